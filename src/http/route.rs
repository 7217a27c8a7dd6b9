//! From a path to an endpoint, the methods it has and who may use it.

use hyper::Method;

use super::{
    Management, answer::Refusal, local::Local, own::Own, parameters::ParameterPath, route_node,
    route_settings,
};
use crate::{broker::policy::Owner, engine::User};

/// Who may use an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Level {
    /// Everybody, without a password.
    Open,
    /// Nobody but the tools on the broker's own socket.
    Local,
    /// Whoever may use the interface at all.
    Manager,
    /// Whoever has rights in this vhost; those who watch may look.
    Vhost(String),
    Monitor,
    /// Whoever may set policies, in whatever vhosts are its own.
    Policymaker,
    /// Whoever may set policies, in this vhost.
    PolicymakerOf(String),
    Administrator,
    /// To look it takes nothing more, to change it takes an administrator.
    AdministratorToChange,
}

/// Which end of bindings an exchange is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Source,
    Destination,
}

/// What a binding's path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindingPath {
    pub vhost: String,
    pub source: String,
    pub destination: String,
    pub to_queue: bool,
}

/// What a request is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    Auth,
    Version,
    Overview,
    ClusterName,
    Whoami,
    Extensions,
    /// Of a node, and whether by where they came from.
    AuthAttempts {
        node: String,
        by_source: bool,
    },
    Nodes,
    Node(String),
    /// Of a node, also in parts of the whole.
    NodeMemory(String, bool),
    /// Of a node.
    Reset(Option<String>),
    EffectiveConfig,
    OpenApi,
    Health(Vec<String>),
    /// Of a node, as it was asked for before there were single checks.
    NodeHealth(Option<String>),
    Aliveness(String),
    Vhosts,
    Vhost(String),
    VhostPermissions(String),
    VhostProtection(String),
    /// On a node.
    VhostStart(String, String),
    Users,
    UsersWithoutPermissions,
    UsersBulkDelete,
    User(String),
    UserPermissions(String),
    Permissions,
    Permission {
        vhost: String,
        user: String,
    },
    Exchanges(Option<String>),
    Exchange {
        vhost: String,
        name: String,
    },
    ExchangeBindings {
        vhost: String,
        name: String,
        side: Side,
    },
    Publish {
        vhost: String,
        name: String,
    },
    Delayed {
        vhost: String,
        name: String,
    },
    DelayedMessage {
        vhost: String,
        name: String,
        id: String,
    },
    Queues(Option<String>),
    Queue {
        vhost: String,
        name: String,
    },
    QueueBindings {
        vhost: String,
        name: String,
    },
    QueueContents {
        vhost: String,
        name: String,
    },
    QueueGet {
        vhost: String,
        name: String,
    },
    QueueActions {
        vhost: String,
        name: String,
    },
    QuorumStatus {
        vhost: String,
        name: String,
    },
    Bindings(Option<String>),
    BindingsBetween(BindingPath),
    Binding(BindingPath, String),
    Connections(Option<String>),
    Connection(String),
    ConnectionChannels(String),
    /// Of AMQP 1.0.
    ConnectionSessions(String),
    ConnectionsOf(String),
    Channels(Option<String>),
    Channel(String),
    Consumers(Option<String>),
    Definitions(Option<String>),
    /// The last lines of the log.
    Log,
    /// What only the machine's tools may do.
    Local(Local),
    LiveLog,
    /// What only this broker has.
    Own {
        vhost: String,
        name: String,
        own: Own,
    },
    Policies(Owner, Option<String>),
    Policy {
        owner: Owner,
        vhost: String,
        name: String,
    },
    /// Of a component, of a vhost.
    Parameters(Option<String>, Option<String>),
    Parameter(ParameterPath),
    GlobalParameters,
    GlobalParameter(String),
    VhostLimits(Option<String>),
    VhostLimit {
        vhost: String,
        name: String,
    },
    UserLimits(Option<String>),
    UserLimit {
        user: String,
        name: String,
    },
    TopicPermissions,
    TopicPermission {
        vhost: String,
        user: String,
        exchange: Option<String>,
    },
    VhostTopicPermissions(String),
    UserTopicPermissions(String),
    Login,
    FeatureFlags,
    DeprecatedFeatures,
    DeprecatedFeaturesUsed,
    FeatureFlag(String),
    Rebalance,
    HashPassword(String),
    /// A super stream: an exchange with the streams that are its partitions.
    SuperStream {
        vhost: String,
        name: String,
    },
    /// What there is none of in this version, so that a list of it is empty.
    Nothing,
    /// The same in a vhost.
    NothingIn(String),
}

/// An endpoint with its rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    pub endpoint: Endpoint,
    pub methods: &'static [&'static str],
    pub level: Level,
}

pub(super) const GET: &[&str] = &["GET"];
pub(super) const POST: &[&str] = &["POST"];
pub(super) const PUT: &[&str] = &["PUT"];
pub(super) const GET_POST: &[&str] = &["GET", "POST"];
pub(super) const DELETE: &[&str] = &["DELETE"];
pub(super) const GET_PUT: &[&str] = &["GET", "PUT"];
pub(super) const GET_DELETE: &[&str] = &["GET", "DELETE"];
pub(super) const ITEM: &[&str] = &["GET", "PUT", "DELETE"];
const DELETE_POST: &[&str] = &["DELETE", "POST"];
pub(super) const DELETE_PUT: &[&str] = &["DELETE", "PUT"];

/// The route of a path's decoded segments below `/api`.
pub fn find(segments: &[&str]) -> Option<Route> {
    let (endpoint, methods, level) = route_node::find(segments)
        .or_else(|| own(segments))
        .or_else(|| accounts(segments))
        .or_else(|| topology(segments))
        .or_else(|| clients(segments))
        .or_else(|| route_settings::find(segments))?;
    Some(Route { endpoint, methods, level })
}

pub(super) type Found = (Endpoint, &'static [&'static str], Level);

/// What RabbitMQ has nothing like.
fn own(segments: &[&str]) -> Option<Found> {
    let ["leveret", rest @ ..] = segments else { return None };
    Some(match rest {
        ["log"] => (Endpoint::Log, GET, Level::Monitor),
        ["local", what] => (Endpoint::Local(Local::named(what)?), PUT, Level::Local),
        ["log", "live"] => (Endpoint::LiveLog, GET, Level::Monitor),
        ["queues", vhost, name, what] => {
            let (own, methods) = match *what {
                "messages" => (Own::Messages, GET),
                "move" => (Own::Move, POST),
                "redrive" => (Own::Redrive, POST),
                "stream" => (Own::Stream, GET),
                "why" => (Own::Why, GET),
                _ => return None,
            };
            let level = Level::Vhost((*vhost).to_owned());
            (Endpoint::Own { vhost: (*vhost).to_owned(), name: (*name).to_owned(), own }, methods, level)
        }
        _ => return None,
    })
}

/// Vhosts, users, permissions.
fn accounts(segments: &[&str]) -> Option<Found> {
    use Endpoint as E;
    let name = |name: &str| name.to_owned();
    Some(match segments {
        ["vhosts"] => (E::Vhosts, GET, Level::Manager),
        ["vhosts", vhost] => (E::Vhost(name(vhost)), ITEM, Level::AdministratorToChange),
        ["vhosts", vhost, "permissions"] => (E::VhostPermissions(name(vhost)), GET, Level::Administrator),
        ["vhosts", vhost, "deletion", "protection"] => {
            (E::VhostProtection(name(vhost)), DELETE_POST, Level::Administrator)
        }
        ["vhosts", vhost, "start", node] => {
            (E::VhostStart(name(vhost), name(node)), POST, Level::Administrator)
        }
        ["vhosts", vhost, "connections"] => {
            (E::Connections(Some(name(vhost))), GET, Level::Vhost(name(vhost)))
        }
        ["vhosts", vhost, "channels"] => (E::Channels(Some(name(vhost))), GET, Level::Vhost(name(vhost))),
        ["users"] => (E::Users, GET, Level::Administrator),
        ["users", "without-permissions"] => (E::UsersWithoutPermissions, GET, Level::Administrator),
        ["users", "bulk-delete"] => (E::UsersBulkDelete, POST, Level::Administrator),
        ["users", user] => (E::User(name(user)), ITEM, Level::Administrator),
        ["users", user, "permissions"] => (E::UserPermissions(name(user)), GET, Level::Administrator),
        ["permissions"] => (E::Permissions, GET, Level::Administrator),
        ["permissions", vhost, user] => {
            (E::Permission { vhost: name(vhost), user: name(user) }, ITEM, Level::Administrator)
        }
        _ => return None,
    })
}

/// Exchanges, queues, bindings.
fn topology(segments: &[&str]) -> Option<Found> {
    use Endpoint as E;
    let name = |name: &str| name.to_owned();
    if let ["stream", "super-streams", vhost, stream] = segments {
        let found = E::SuperStream { vhost: name(vhost), name: name(stream) };
        return Some((found, ITEM, Level::Vhost(name(vhost))));
    }
    let (kind, rest) = segments.split_first()?;
    let Some((vhost, rest)) = rest.split_first() else {
        return Some(match *kind {
            "exchanges" => (E::Exchanges(None), GET, Level::Manager),
            "queues" => (E::Queues(None), GET, Level::Manager),
            "bindings" => (E::Bindings(None), GET, Level::Manager),
            _ => return None,
        });
    };
    match (*kind, *vhost, rest) {
        ("queues", "detailed", []) => return Some((E::Queues(None), GET, Level::Manager)),
        ("queues", "detailed", [vhost]) => {
            return Some((E::Queues(Some(name(vhost))), GET, Level::Vhost(name(vhost))));
        }
        ("queues", "quorum", [vhost, queue, "status"]) => {
            let status = E::QuorumStatus { vhost: name(vhost), name: name(queue) };
            return Some((status, GET, Level::Vhost(name(vhost))));
        }
        _ => {}
    }
    let vhost = name(vhost);
    let level = Level::Vhost(vhost.clone());
    let (endpoint, methods) = match (*kind, rest) {
        ("exchanges", []) => (E::Exchanges(Some(vhost)), GET),
        ("exchanges", [exchange]) => (E::Exchange { vhost, name: name(exchange) }, ITEM),
        ("exchanges", [exchange, "bindings", "source"]) => {
            (E::ExchangeBindings { vhost, name: name(exchange), side: Side::Source }, GET)
        }
        ("exchanges", [exchange, "bindings", "destination"]) => {
            (E::ExchangeBindings { vhost, name: name(exchange), side: Side::Destination }, GET)
        }
        ("exchanges", [exchange, "publish"]) => (E::Publish { vhost, name: name(exchange) }, POST),
        ("exchanges", [exchange, "delayed"]) => (E::Delayed { vhost, name: name(exchange) }, GET_DELETE),
        ("exchanges", [exchange, "delayed", id]) => {
            (E::DelayedMessage { vhost, name: name(exchange), id: name(id) }, DELETE)
        }
        ("queues", []) => (E::Queues(Some(vhost)), GET),
        ("queues", [queue]) => (E::Queue { vhost, name: name(queue) }, ITEM),
        ("queues", [queue, "bindings"]) => (E::QueueBindings { vhost, name: name(queue) }, GET),
        ("queues", [queue, "contents"]) => (E::QueueContents { vhost, name: name(queue) }, DELETE),
        ("queues", [queue, "actions"]) => (E::QueueActions { vhost, name: name(queue) }, POST),
        ("queues", [queue, "get"]) => (E::QueueGet { vhost, name: name(queue) }, POST),
        ("bindings", []) => (E::Bindings(Some(vhost)), GET),
        ("bindings", ["e", source, kind @ ("q" | "e"), destination, rest @ ..]) => {
            let to_queue = *kind == "q";
            let path = BindingPath { vhost, source: name(source), destination: name(destination), to_queue };
            match rest {
                [] => (E::BindingsBetween(path), GET_POST),
                [key] => (E::Binding(path, name(key)), GET_DELETE),
                _ => return None,
            }
        }
        _ => return None,
    };
    Some((endpoint, methods, level))
}

/// Connections, channels, consumers.
fn clients(segments: &[&str]) -> Option<Found> {
    use Endpoint as E;
    let name = |name: &str| name.to_owned();
    Some(match segments {
        ["connections"] => (E::Connections(None), GET, Level::Manager),
        ["connections", "username", user] => (E::ConnectionsOf(name(user)), GET_DELETE, Level::Manager),
        ["connections", connection] => (E::Connection(name(connection)), GET_DELETE, Level::Manager),
        ["connections", connection, "channels"] => {
            (E::ConnectionChannels(name(connection)), GET, Level::Manager)
        }
        ["connections", connection, "sessions"] => {
            (E::ConnectionSessions(name(connection)), GET, Level::Manager)
        }
        ["channels"] => (E::Channels(None), GET, Level::Manager),
        ["channels", channel] => (E::Channel(name(channel)), GET, Level::Manager),
        ["consumers"] => (E::Consumers(None), GET, Level::Manager),
        ["consumers", vhost] => (E::Consumers(Some(name(vhost))), GET, Level::Vhost(name(vhost))),
        _ => return None,
    })
}

impl Route {
    /// The value of the header that names the methods.
    pub fn allow(&self) -> String {
        let head = self.methods.contains(&"GET").then_some("HEAD");
        let all = head.into_iter().chain(self.methods.iter().copied()).chain(["OPTIONS"]);
        all.collect::<Vec<_>>().join(", ")
    }

    /// Whether the user may do this.
    pub fn check(
        &self,
        management: &Management,
        user: &User,
        method: &Method,
        is_local: bool,
    ) -> Result<(), Refusal> {
        let is_get = *method == Method::GET;
        let (allowed, reason) = match &self.level {
            Level::Open | Level::Manager => (true, ""),
            Level::Local => (false, "This is only for tools on the broker's own socket"),
            Level::Monitor => (user.is_monitor(), "Not monitor user"),
            Level::Policymaker => (user.is_policymaker(), "User not authorised to access object"),
            Level::PolicymakerOf(vhost) => {
                if management.node.vhost(vhost).is_none() {
                    return Err(no_vhost(method));
                }
                let is_its_own = management.node.access.permission(vhost, &user.name).is_some();
                let allowed = user.is_administrator() || user.is_policymaker() && is_its_own;
                (allowed, "User not authorised to access object")
            }
            Level::Administrator => (user.is_administrator(), "Not administrator user"),
            Level::AdministratorToChange => (is_get || user.is_administrator(), "Not administrator user"),
            Level::Vhost(vhost) => {
                if management.node.vhost(vhost).is_none() {
                    return Err(no_vhost(method));
                }
                let is_its_own = management.node.access.permission(vhost, &user.name).is_some();
                (is_its_own || is_get && user.is_monitor(), "User not authorised to access virtual host")
            }
        };
        if allowed || is_local { Ok(()) } else { Err(Refusal::not_authorised(reason)) }
    }
}

/// Who asks for something below a vhost that is not there is told so only when adding to it.
fn no_vhost(method: &Method) -> Refusal {
    if *method == Method::GET || *method == Method::DELETE {
        Refusal::not_found()
    } else {
        Refusal::missing("vhost_not_found")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_where_they_should() {
        let endpoint = |segments: &[&str]| find(segments).map(|route| route.endpoint);
        let (vhost, name) = ("/".to_owned(), String::new());
        assert_eq!(endpoint(&["exchanges", "/", "", "publish"]), Some(Endpoint::Publish { vhost, name }));
        assert_eq!(endpoint(&["users", "bulk-delete"]), Some(Endpoint::UsersBulkDelete));
        assert_eq!(
            endpoint(&["connections", "username", "u"]),
            Some(Endpoint::ConnectionsOf("u".to_owned()))
        );
        for unknown in [&["nonsense"][..], &[], &["queues", "/", "q", "other"], &["bindings", "/", "x"]] {
            assert_eq!(endpoint(unknown), None, "{unknown:?}");
        }
    }

    #[test]
    fn methods_are_named_with_those_that_every_endpoint_has() {
        assert_eq!(find(&["overview"]).unwrap().allow(), "HEAD, GET, OPTIONS");
        assert_eq!(find(&["users", "bulk-delete"]).unwrap().allow(), "POST, OPTIONS");
    }
}
