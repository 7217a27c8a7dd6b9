//! The management interface: RabbitMQ's HTTP API and Prometheus metrics over the engine's state.
//!
//! | file | job |
//! |---|---|
//! | `server` | sockets, and the limits of HTTP |
//! | `route` | from a path to an endpoint, its methods and who may use it |
//! | `login` | who is asking |
//! | `dispatch` | from an endpoint to the function that answers |
//! | `listing` | paging, sorting, columns |
//! | `answer`, `call`, `path`, `json` | what all of them use |
//!
//! Every other file answers the endpoints that it is called after. No lock of the engine is held while anything
//! is serialised: listings copy handles first.

mod answer;
mod attempts;
mod bindings;
mod call;
mod channels;
mod compress;
mod connections;
mod cors;
mod definitions;
mod delayed;
mod deprecated;
mod dispatch;
mod endpoints;
mod etag;
mod exchanges;
mod features;
mod health;
mod import;
mod json;
mod limits;
mod listing;
mod live;
mod local;
mod login;
mod messages;
mod metrics;
mod nodes;
mod overview;
mod own;
mod pages;
mod parameters;
pub mod passwords;
mod path;
mod permissions;
mod policies;
mod process;
mod properties;
mod queue_stats;
mod queues;
mod route;
mod route_node;
mod route_settings;
mod server;
mod stats;
mod streams;
mod super_streams;
mod time;
mod topic_permissions;
mod users;
mod vhosts;
mod why;

use std::{fmt, net::SocketAddr, sync::Arc};

use tokio::sync::Notify;

use crate::{broker::Millis, engine::Node, tls::LoadedCertificate};

pub use cors::Cors;
pub use server::{Served, serve, serve_local};

/// Free octets of the data directory's disk, and below how many publishers wait.
#[derive(Debug, Clone, Copy)]
pub struct DiskSpace {
    pub free: u64,
    pub limit: u64,
}

/// Where one limit of the wire stands.
#[derive(Debug, Clone, Copy)]
pub struct LimitState {
    /// Its configuration key, mostly.
    pub name: &'static str,
    /// What there is, where the whole broker has one count.
    pub current: Option<u64>,
    /// What may be.
    pub limit: Option<u64>,
    /// How often it refused, delayed or dropped somebody.
    pub refusals: u64,
}

/// A line of the log.
#[derive(Debug, Clone)]
pub struct LogLine {
    /// Ascending, from 1.
    pub number: u64,
    pub at: Millis,
    pub level: &'static str,
    pub text: String,
}

/// Lines after a number, and the number of the last one.
pub type LogAfter = Box<dyn Fn(u64) -> (Vec<LogLine>, u64) + Send + Sync>;

/// The certificates in use by listeners of a protocol.
pub type CertificatesOf = Box<dyn Fn(&str) -> Vec<LoadedCertificate> + Send + Sync>;

/// What the management interface is told of its broker.
pub struct Settings {
    pub cluster_name: String,
    /// The version told to clients, of which some decide by it what they may use.
    pub advertised_version: String,
    /// Where the broker listens, with RabbitMQ's name of the protocol.
    pub listeners: Vec<(&'static str, SocketAddr)>,
    /// The certificates in use by listeners of a protocol.
    pub certificates: CertificatesOf,
    pub data_dir: Option<String>,
    /// Every key of the configuration with its value; secrets are hidden.
    pub effective: serde_json::Value,
    /// In milliseconds.
    pub consumer_timeout: Option<Millis>,
    pub message_size_max: u64,
    /// `/metrics` has each object for itself, not their sums.
    pub metrics_per_object: bool,
    pub started_at: Millis,
    pub log: LogAfter,
    /// Woken with every line of the log.
    pub log_news: &'static Notify,
    pub now: Box<dyn Fn() -> Millis + Send + Sync>,
    pub limits: Box<dyn Fn() -> Vec<LimitState> + Send + Sync>,
    /// Which pages from elsewhere may ask.
    pub cors: Cors,
    /// Said to browsers over TLS: how long they are to come in no other way.
    pub hsts: Option<String>,
    /// Octets of a request's body.
    pub body_max: usize,
    /// Makes an empty broker of this one.
    pub reset: Box<dyn Fn(&Node) + Send + Sync>,
    /// Octets that the process may use at most.
    pub memory: u64,
    /// Moves the limit of `disk`; `None` without one.
    pub set_disk_limit: Option<Box<dyn Fn(u64) + Send + Sync>>,
    /// `None` without a disk.
    pub disk: Option<Box<dyn Fn() -> Option<DiskSpace> + Send + Sync>>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("listeners", &self.listeners).finish_non_exhaustive()
    }
}

/// The management interface of one broker.
#[derive(Debug)]
pub struct Management {
    node: Arc<Node>,
    settings: Settings,
    /// The node's name in every listing.
    name: String,
}

/// What this node is called.
pub fn node_name() -> String {
    format!("leveret@{}", process::host_name())
}

impl Management {
    pub fn new(node: Arc<Node>, settings: Settings) -> Arc<Management> {
        Arc::new(Management { node, settings, name: node_name() })
    }

    fn now(&self) -> Millis {
        (self.settings.now)()
    }

    /// The name that operators gave, or that of the configuration.
    fn cluster_name(&self) -> String {
        self.node.access.cluster_name().unwrap_or_else(|| self.settings.cluster_name.clone())
    }

    /// Milliseconds since the start.
    fn uptime(&self) -> Millis {
        self.now().saturating_sub(self.settings.started_at)
    }
}
