//! Every endpoint in one list, for people and for tools that read OpenAPI.

use serde_json::{Map, Value, json};

use super::Management;

type Listed = (&'static str, &'static str, &'static str);

/// Path below `/api`, methods, and what it is for. Names in braces stand for one segment, percent-encoded.
pub const ENDPOINTS: &[Listed] = &[
    ("overview", "GET", "The whole broker: versions, listeners, totals, rates"),
    ("cluster-name", "GET PUT", "The name that clients and operators see"),
    ("version", "GET", "The version, without a login"),
    ("whoami", "GET", "Who asks"),
    ("auth", "GET", "How to log in, without a login"),
    ("auth/hash_password/{password}", "GET", "The hash that a user with this password would have"),
    ("login", "POST", "Log in by a form, as browsers do"),
    ("extensions", "GET", "What the pages are made of"),
    ("openapi.json", "GET", "This list"),
    ("config/effective", "GET", "Every key of the configuration; secrets are hidden"),
    ("feature-flags", "GET", "Feature flags"),
    ("feature-flags/{flag}/enable", "PUT", "Enable a feature flag; all are"),
    ("deprecated-features", "GET", "What RabbitMQ calls deprecated, and whether it is done here"),
    ("deprecated-features/used", "GET", "Those in use"),
    ("auth/attempts/{node}", "GET DELETE", "Logins by protocol, and how many failed"),
    ("auth/attempts/{node}/source", "GET DELETE", "Logins by address and user"),
    ("nodes", "GET", "The node, as a list"),
    ("nodes/{node}", "GET", "Memory, disk, descriptors, alarms"),
    ("nodes/{node}/memory", "GET", "What the memory is for, in bytes"),
    ("nodes/{node}/memory/relative", "GET", "The same in percent"),
    ("reset", "DELETE", "Forget sampled statistics"),
    ("reset/{node}", "DELETE", "The same of a node"),
    ("rebalance/queues", "POST", "Spread leaders of queues over nodes; nothing to do on one"),
    ("health/checks/alarms", "GET", "Fails while there is an alarm"),
    ("health/checks/local-alarms", "GET", "The same of this node"),
    ("health/checks/virtual-hosts", "GET", "Fails when a virtual host is down"),
    ("health/checks/port-listener/{port}", "GET", "Fails when nothing listens on a port"),
    ("health/checks/protocol-listener/{protocols}", "GET", "Fails when a protocol has no listener"),
    ("health/checks/certificate-expiration/{within}/{unit}", "GET", "Fails when a certificate expires soon"),
    ("health/checks/node-is-quorum-critical", "GET", "Whether the node may be stopped"),
    ("health/checks/node-is-mirror-sync-critical", "GET", "Whether the node may be stopped"),
    ("health/checks/is-in-service", "GET", "Whether clients are served, without a login"),
    ("health/checks/ready-to-serve-clients", "GET", "Whether clients are served, without a login"),
    ("health/checks/reached-target-cluster-size", "GET", "Whether all nodes are there, without a login"),
    ("health/checks/below-node-connection-limit", "GET", "Whether more clients may come, without a login"),
    ("health/checks/metadata-store/initialized", "GET", "Whether definitions are loaded"),
    ("health/checks/metadata-store/initialized/with-data", "GET", "Whether definitions are loaded"),
    (
        "health/checks/quorum-queues-without-elected-leaders/all-vhosts/pattern/{pattern}",
        "GET",
        "Whether every queue has a leader",
    ),
    (
        "health/checks/quorum-queues-without-elected-leaders/vhost/{vhost}/pattern/{pattern}",
        "GET",
        "Whether every queue has a leader",
    ),
    ("healthchecks/node", "GET", "One check for everything, as old tools want it"),
    ("healthchecks/node/{node}", "GET", "The same of a node"),
    ("aliveness-test/{vhost}", "GET", "Whether a virtual host answers"),
    ("definitions", "GET POST", "Everything that is defined: out, and in"),
    ("all-configuration", "GET POST", "The same by its old name"),
    ("definitions/{vhost}", "GET POST", "The same of one virtual host"),
    ("vhosts", "GET", "Virtual hosts"),
    ("vhosts/{vhost}", "GET PUT DELETE", "A virtual host"),
    ("vhosts/{vhost}/permissions", "GET", "Who may do what in it"),
    ("vhosts/{vhost}/topic-permissions", "GET", "Who may use which topics in it"),
    ("vhosts/{vhost}/connections", "GET", "Connections to it"),
    ("vhosts/{vhost}/channels", "GET", "Channels of these"),
    ("vhosts/{vhost}/deletion/protection", "POST DELETE", "Whether it may be deleted"),
    ("vhosts/{vhost}/start/{node}", "POST", "Start it on a node; every one runs"),
    ("users", "GET", "Users"),
    ("users/without-permissions", "GET", "Users that may use no virtual host"),
    ("users/bulk-delete", "POST", "Delete several users"),
    ("users/{user}", "GET PUT DELETE", "A user"),
    ("users/{user}/permissions", "GET", "What it may do"),
    ("users/{user}/topic-permissions", "GET", "Which topics it may use"),
    ("permissions", "GET", "All permissions"),
    ("permissions/{vhost}/{user}", "GET PUT DELETE", "What a user may do in a virtual host"),
    ("topic-permissions", "GET", "All permissions on topics"),
    ("topic-permissions/{vhost}/{user}", "GET PUT DELETE", "Which topics a user may use in a virtual host"),
    ("topic-permissions/{vhost}/{user}/{exchange}", "GET PUT DELETE", "The same of one exchange"),
    ("user-limits", "GET", "Limits of all users"),
    ("user-limits/{user}", "GET", "Limits of a user"),
    ("user-limits/{user}/{limit}", "PUT DELETE", "One limit of a user"),
    ("vhost-limits", "GET", "Limits of all virtual hosts"),
    ("vhost-limits/{vhost}", "GET", "Limits of a virtual host"),
    ("vhost-limits/{vhost}/{limit}", "PUT DELETE", "One limit of a virtual host"),
    ("policies", "GET", "All policies"),
    ("policies/{vhost}", "GET", "Policies of a virtual host"),
    ("policies/{vhost}/{policy}", "GET PUT DELETE", "A policy"),
    ("operator-policies", "GET", "All operators' policies"),
    ("operator-policies/{vhost}", "GET", "Operators' policies of a virtual host"),
    ("operator-policies/{vhost}/{policy}", "GET PUT DELETE", "An operators' policy"),
    ("parameters", "GET", "Runtime parameters"),
    ("parameters/{component}", "GET", "Those of a component"),
    ("parameters/{component}/{vhost}", "GET", "Those of a component in a virtual host"),
    ("parameters/{component}/{vhost}/{name}", "GET PUT DELETE", "A runtime parameter"),
    ("global-parameters", "GET", "Runtime parameters of the whole broker"),
    ("global-parameters/{name}", "GET PUT DELETE", "One of them"),
    ("connections", "GET", "Connections"),
    ("connections/{connection}", "GET DELETE", "A connection; DELETE closes it"),
    ("connections/{connection}/channels", "GET", "Its channels"),
    ("connections/{connection}/sessions", "GET", "Its AMQP 1.0 sessions; there are none"),
    ("connections/username/{user}", "GET DELETE", "Connections of a user"),
    ("channels", "GET", "Channels"),
    ("channels/{channel}", "GET", "A channel"),
    ("consumers", "GET", "Consumers"),
    ("consumers/{vhost}", "GET", "Consumers in a virtual host"),
    ("exchanges", "GET", "Exchanges"),
    ("exchanges/{vhost}", "GET", "Exchanges of a virtual host"),
    ("exchanges/{vhost}/{exchange}", "GET PUT DELETE", "An exchange"),
    ("exchanges/{vhost}/{exchange}/bindings/source", "GET", "Bindings from it"),
    ("exchanges/{vhost}/{exchange}/bindings/destination", "GET", "Bindings to it"),
    ("exchanges/{vhost}/{exchange}/publish", "POST", "Publish a message"),
    ("exchanges/{vhost}/{exchange}/delayed", "GET DELETE", "Messages that wait in a delayed exchange"),
    ("exchanges/{vhost}/{exchange}/delayed/{id}", "DELETE", "One of them"),
    ("queues", "GET", "Queues"),
    ("queues/detailed", "GET", "Queues, with everything"),
    ("queues/detailed/{vhost}", "GET", "The same of a virtual host"),
    ("queues/{vhost}", "GET", "Queues of a virtual host"),
    ("queues/{vhost}/{queue}", "GET PUT DELETE", "A queue"),
    ("queues/{vhost}/{queue}/bindings", "GET", "Bindings to it"),
    ("queues/{vhost}/{queue}/contents", "DELETE", "Purge it"),
    ("queues/{vhost}/{queue}/get", "POST", "Get messages"),
    ("queues/{vhost}/{queue}/actions", "POST", "Synchronise mirrors; there are none"),
    ("queues/quorum/{vhost}/{queue}/status", "GET", "How the members of a quorum queue stand"),
    ("bindings", "GET", "Bindings"),
    ("bindings/{vhost}", "GET", "Bindings of a virtual host"),
    ("bindings/{vhost}/e/{exchange}/q/{queue}", "GET POST", "Bindings between an exchange and a queue"),
    ("bindings/{vhost}/e/{exchange}/q/{queue}/{key}", "GET DELETE", "One of them"),
    ("bindings/{vhost}/e/{source}/e/{exchange}", "GET POST", "Bindings between two exchanges"),
    ("bindings/{vhost}/e/{source}/e/{exchange}/{key}", "GET DELETE", "One of them"),
    ("shovels", "GET", "Shovels; there are none"),
    ("shovels/{vhost}", "GET", "Shovels of a virtual host; there are none"),
    ("federation-links", "GET", "Federation links; there are none"),
    ("federation-links/{vhost}", "GET", "Those of a virtual host; there are none"),
    ("traces", "GET", "Traces; there are none"),
    ("traces/{vhost}", "GET", "Traces of a virtual host; there are none"),
    ("trace-files", "GET", "Files of traces; there are none"),
    ("stream/connections", "GET", "Connections of the stream protocol; there are none"),
    ("stream/connections/{vhost}", "GET", "The same of a virtual host"),
    ("stream/publishers", "GET", "Publishers of the stream protocol; there are none"),
    ("stream/publishers/{vhost}", "GET", "The same of a virtual host"),
    ("stream/consumers", "GET", "Consumers of the stream protocol; there are none"),
    ("stream/consumers/{vhost}", "GET", "The same of a virtual host"),
    (
        "stream/super-streams/{vhost}/{stream}",
        "GET PUT DELETE",
        "A super stream: an exchange with its partitions",
    ),
    ("leveret/log", "GET", "The last lines of the log"),
    ("leveret/log/live", "GET", "The log as it is written: server-sent events"),
    ("leveret/queues/{vhost}/{queue}/messages", "GET", "Look at messages without taking them"),
    ("leveret/queues/{vhost}/{queue}/move", "POST", "Move messages elsewhere"),
    ("leveret/queues/{vhost}/{queue}/redrive", "POST", "Send dead letters where they came from"),
    ("leveret/queues/{vhost}/{queue}/stream", "GET", "A stream's segments, offsets and readers"),
    ("leveret/queues/{vhost}/{queue}/why", "GET", "Why a queue does not move"),
];

/// The list as an OpenAPI document.
pub fn document(management: &Management) -> Value {
    let paths = ENDPOINTS.iter().map(|(path, methods, about)| {
        let parameters: Vec<Value> = names(path)
            .map(|name| {
                json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })
            })
            .collect();
        let operation = |method: &str| {
            let answers = match method {
                "GET" => json!({ "200": { "description": "OK" }, "401": { "description": "Refused" } }),
                "PUT" => json!({ "201": { "description": "Created" }, "204": { "description": "Changed" } }),
                "DELETE" => {
                    json!({ "204": { "description": "Gone" }, "404": { "description": "Not there" } })
                }
                _ => json!({ "default": { "description": "Done" } }),
            };
            let operation = json!({ "summary": about, "parameters": parameters, "responses": answers });
            (method.to_lowercase(), operation)
        };
        let operations: Map<String, Value> = methods.split(' ').map(operation).collect();
        (format!("/api/{path}"), Value::Object(operations))
    });
    json!({
        "openapi": "3.0.3",
        "info": {
            "title": "leveret: the management API of RabbitMQ",
            "version": management.settings.advertised_version,
            "license": { "name": "Apache-2.0" },
        },
        "components": { "securitySchemes": { "basic": { "type": "http", "scheme": "basic" } } },
        "security": [{ "basic": [] }],
        "paths": paths.collect::<Map<String, Value>>(),
    })
}

/// The names in braces of a path.
fn names(path: &'static str) -> impl Iterator<Item = &'static str> {
    path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::http::route;

    #[test]
    fn every_listed_endpoint_has_its_methods() {
        for (path, methods, _) in ENDPOINTS {
            let segments: Vec<&str> =
                path.split('/').map(|segment| segment.trim_matches(['{', '}'])).collect();
            let route = route::find(&segments).unwrap_or_else(|| panic!("no route: {path}"));
            let listed: BTreeSet<&str> = methods.split(' ').collect();
            let has: BTreeSet<&str> = route.methods.iter().copied().collect();
            assert_eq!(has, listed, "{path}");
        }
    }

    /// Read from the source, since what a path leads to is code and not a table.
    #[test]
    fn every_word_of_a_route_is_in_the_list() {
        let words: BTreeSet<&str> = ENDPOINTS.iter().flat_map(|(path, _, _)| path.split('/')).collect();
        let sources =
            [include_str!("route.rs"), include_str!("route_node.rs"), include_str!("route_settings.rs")];
        for source in sources {
            let (code, _) = source.split_once("impl Route").unwrap_or((source, ""));
            let lines = code.lines().filter(|line| line.contains("=>") || line.trim_start().starts_with('|'));
            let literals = lines.flat_map(|line| line.split('"').skip(1).step_by(2));
            // What only the local socket serves is no part of the interface.
            for literal in literals.filter(|literal| *literal != "local") {
                assert!(words.contains(literal), "not in the list: {literal}");
            }
        }
    }
}
