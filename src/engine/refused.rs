//! What a vhost refuses, in RabbitMQ's words; the session maps each kind to a reply code.

use crate::broker::topology::TopologyError;

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
    /// QUE-60 to QUE-64.
    #[error("inequivalent arg '{argument}' for queue '{name}' in vhost '{vhost}': {difference}")]
    Inequivalent { argument: String, name: String, vhost: String, difference: String },
    /// QUE-20 to QUE-52; the text is complete.
    #[error("{0}")]
    Invalid(String),
    /// CH-49.
    #[error("queue '{name}' in vhost '{vhost}' in use")]
    InUse { name: String, vhost: String },
    /// CH-50.
    #[error("queue '{name}' in vhost '{vhost}' not empty")]
    NotEmpty { name: String, vhost: String },
    /// CH-61.
    #[error("queue '{name}' in vhost '{vhost}' in exclusive use")]
    ExclusiveUse { name: String, vhost: String },
    /// BAS-86.
    #[error("cannot bind or unbind to a volatile (direct reply-to) queue")]
    ReplyQueue,
    #[error("{0}")]
    Topology(#[from] TopologyError),
}
