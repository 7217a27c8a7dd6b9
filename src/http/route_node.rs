//! Routes of what concerns the whole node, and of plugins that there are none of.

use super::route::{DELETE, Endpoint as E, Found, GET, GET_DELETE, GET_POST, GET_PUT, Level, POST};

/// The endpoint of a path, if it is one of these.
pub fn find(segments: &[&str]) -> Option<Found> {
    about(segments).or_else(|| nodes(segments)).or_else(|| checks(segments)).or_else(|| absent(segments))
}

fn name(name: &str) -> String {
    name.to_owned()
}

fn about(segments: &[&str]) -> Option<Found> {
    Some(match segments {
        ["auth"] => (E::Auth, GET, Level::Open),
        ["version"] => (E::Version, GET, Level::Open),
        ["overview"] => (E::Overview, GET, Level::Manager),
        ["cluster-name"] => (E::ClusterName, GET_PUT, Level::AdministratorToChange),
        ["whoami"] => (E::Whoami, GET, Level::Manager),
        ["extensions"] => (E::Extensions, GET, Level::Manager),
        ["openapi.json"] => (E::OpenApi, GET, Level::Manager),
        ["config", "effective"] => (E::EffectiveConfig, GET, Level::Administrator),
        ["definitions"] | ["all-configuration"] => (E::Definitions(None), GET_POST, Level::Administrator),
        ["definitions", vhost] => (E::Definitions(Some(name(vhost))), GET_POST, Level::Administrator),
        _ => return None,
    })
}

fn nodes(segments: &[&str]) -> Option<Found> {
    Some(match segments {
        ["auth", "attempts", node] => {
            (E::AuthAttempts { node: (*node).to_owned(), by_source: false }, GET_DELETE, Level::Monitor)
        }
        ["auth", "attempts", node, "source"] => {
            (E::AuthAttempts { node: (*node).to_owned(), by_source: true }, GET_DELETE, Level::Monitor)
        }
        ["nodes"] => (E::Nodes, GET, Level::Monitor),
        ["nodes", node] => (E::Node(name(node)), GET, Level::Monitor),
        ["nodes", node, "memory"] => (E::NodeMemory(name(node), false), GET, Level::Monitor),
        ["nodes", node, "memory", "relative"] => (E::NodeMemory(name(node), true), GET, Level::Monitor),
        ["reset"] => (E::Reset(None), DELETE, Level::Administrator),
        ["reset", node] => (E::Reset(Some(name(node))), DELETE, Level::Administrator),
        // There is one node, on which everything is.
        ["rebalance", "queues"] => (E::Rebalance, POST, Level::Administrator),
        _ => return None,
    })
}

fn checks(segments: &[&str]) -> Option<Found> {
    /// Of probes that have no password.
    const OPEN: [&str; 4] = [
        "below-node-connection-limit",
        "is-in-service",
        "reached-target-cluster-size",
        "ready-to-serve-clients",
    ];
    Some(match segments {
        ["health", "checks", check @ ..] => {
            let is_open = check.first().is_some_and(|check| OPEN.contains(check));
            let level = if is_open { Level::Open } else { Level::Manager };
            (E::Health(check.iter().map(|part| name(part)).collect()), GET, level)
        }
        ["healthchecks", "node"] => (E::NodeHealth(None), GET, Level::Manager),
        ["healthchecks", "node", node] => (E::NodeHealth(Some(name(node))), GET, Level::Manager),
        ["aliveness-test", vhost] => (E::Aliveness(name(vhost)), GET, Level::Vhost(name(vhost))),
        _ => return None,
    })
}

/// Lists of plugins that are no part of this broker: tools ask for them, and an empty one is the truth.
fn absent(segments: &[&str]) -> Option<Found> {
    Some(match segments {
        ["shovels" | "federation-links" | "traces" | "trace-files"]
        | ["stream", "connections" | "publishers" | "consumers"] => (E::Nothing, GET, Level::Manager),
        ["shovels" | "federation-links" | "traces", vhost]
        | ["stream", "connections" | "publishers" | "consumers", vhost] => {
            (E::NothingIn(name(vhost)), GET, Level::Vhost(name(vhost)))
        }
        _ => return None,
    })
}
