//! What a vhost refuses, in RabbitMQ's words; the session maps each kind to a reply code.

use crate::broker::{queue_arguments::ArgumentError, topology::TopologyError};

/// Why an operation on queues was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// CH-40.
    #[error("no queue '{name}' in vhost '{vhost}'")]
    NoQueue { name: String, vhost: String },
    /// CH-51.
    #[error("no previously declared queue")]
    NoPreviousQueue,
    /// CH-42.
    #[error("queue name '{name}' contains reserved prefix 'amq.*'")]
    ReservedName { name: String },
    /// CH-44, CH-45.
    #[error(
        "cannot obtain exclusive access to locked queue '{name}' in vhost '{vhost}'. It could be originally \
         declared on another connection or the exclusive property value does not match that of the original \
         declaration."
    )]
    Locked { name: String, vhost: String },
    /// QUE-20 to QUE-67.
    #[error(transparent)]
    Argument(#[from] ArgumentError),
    /// CH-49.
    #[error("queue '{name}' in vhost '{vhost}' in use")]
    InUse { name: String, vhost: String },
    /// CH-50.
    #[error("queue '{name}' in vhost '{vhost}' not empty")]
    NotEmpty { name: String, vhost: String },
    /// CH-53.
    #[error("cannot declare queue '{name}': queue limit in vhost '{vhost}' ({max}) is reached")]
    QueueLimit { name: String, vhost: String, max: u64 },
    /// LIM-03.
    #[error("cannot declare queue '{name}': queue limit in cluster ({max}) is reached")]
    ClusterQueueLimit { name: String, max: u64 },
    /// What streams do not do (BAS-43, BAS-52, STR-04).
    #[error("{what} queue '{name}' in vhost '{vhost}'")]
    NotOfStreams { what: &'static str, name: String, vhost: String },
    /// STR-03.
    #[error("consumer prefetch count is not set for stream queue '{name}' in vhost '{vhost}'")]
    NoPrefetch { name: String, vhost: String },
    /// BAS-43.
    #[error("queue '{name}' in vhost '{vhost}' does not support global qos")]
    SharedPrefetch { name: String, vhost: String },
    /// CH-61.
    #[error("queue '{name}' in vhost '{vhost}' in exclusive use")]
    ExclusiveUse { name: String, vhost: String },
    /// BAS-86.
    #[error("cannot bind or unbind to a volatile (direct reply-to) queue")]
    ReplyQueue,
    /// Its connections are about to hear of it.
    #[error("vhost '{vhost}' is deleted")]
    VhostDeleted { vhost: String },
    /// PRM-14.
    #[error("{right} access to {kind} '{name}' in vhost '{vhost}' refused for user '{user}'")]
    NotAllowed { right: &'static str, kind: &'static str, name: String, vhost: String, user: String },
    /// PRM-21.
    #[error(
        "{right} access to topic '{topic}' in exchange '{exchange}' in vhost '{vhost}' refused for user '{user}'"
    )]
    TopicNotAllowed { right: &'static str, topic: String, exchange: String, vhost: String, user: String },
    #[error("{0}")]
    Topology(#[from] TopologyError),
}
