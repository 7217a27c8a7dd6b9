//! What arguments of queues and consumers can be refused for.
//!
//! `Display` is the explanation as RabbitMQ words it, without the reply code's name in front. All of these are
//! 406 on the channel.

use super::QueueIdentity;
use crate::broker::queue_type::QueueType;

/// Why arguments were refused. Each variant names the reference lines it implements.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArgumentError {
    /// QUE-20 to QUE-42, CH-77: a value of the wrong type or range.
    #[error("invalid arg '{argument}' for queue '{name}' in vhost '{vhost}': {detail}")]
    Invalid {
        /// The argument's name.
        argument: &'static str,
        /// The queue.
        name: String,
        /// Its virtual host.
        vhost: String,
        /// What is wrong, as a term.
        detail: String,
    },
    /// QUE-45, CH-78: an argument that another type of queue knows.
    #[error("invalid arg '{argument}' for queue '{name}' in vhost '{vhost}' of queue type {queue_type}")]
    Foreign {
        /// The argument's name.
        argument: &'static str,
        /// The queue.
        name: String,
        /// Its virtual host.
        vhost: String,
        /// The type that does not know it.
        queue_type: &'static str,
    },
    /// QUE-25: the dead letter exchange is not a long string.
    #[error("invalid type '{found}' for arg 'x-dead-letter-exchange' in queue '{name}' in vhost '{vhost}'")]
    DeadLetterType {
        /// The field type it came with.
        found: &'static str,
        /// The queue.
        name: String,
        /// Its virtual host.
        vhost: String,
    },
    /// QUE-50 to QUE-52: a flag that this type of queue cannot have.
    #[error("invalid property '{property}' for queue '{name}' in vhost '{vhost}'")]
    Property {
        /// The flag.
        property: &'static str,
        /// The queue.
        name: String,
        /// Its virtual host.
        vhost: String,
    },
    /// QUE-03: a quorum queue or stream without a name.
    #[error("Cannot declare a server-named queue for type {queue_type}")]
    ServerNamed {
        /// The type asked for.
        queue_type: &'static str,
    },
    /// QUE-04: the beginning of a generated name is too long.
    #[error("Queue name prefix '{prefix}' exceeds the 64-byte limit")]
    NamePrefix {
        /// What was asked for.
        prefix: String,
    },
    /// QUE-39: segments too large.
    #[error("Exceeded max value for x-stream-max-segment-size-bytes")]
    SegmentSize,
    /// QUE-40: filters too small or too large.
    #[error("Invalid value for x-stream-filter-size-bytes")]
    FilterSize,
    /// QUE-61, QUE-63, QUE-64: a redeclare that asks for something else.
    #[error("inequivalent arg '{attribute}' for queue '{name}' in vhost '{vhost}': {difference}")]
    Inequivalent {
        /// The flag or argument that differs.
        attribute: &'static str,
        /// The queue.
        name: String,
        /// Its virtual host.
        vhost: String,
        /// What was received and what is current.
        difference: String,
    },
}

impl ArgumentError {
    pub(in crate::broker) fn invalid(
        queue: QueueIdentity<'_>,
        argument: &'static str,
        detail: String,
    ) -> Self {
        let QueueIdentity { name, vhost } = queue;
        Self::Invalid { argument, name: name.to_owned(), vhost: vhost.to_owned(), detail }
    }

    pub(in crate::broker) fn foreign(
        queue: QueueIdentity<'_>,
        argument: &'static str,
        queue_type: QueueType,
    ) -> Self {
        let queue_type = queue_type.module_name();
        let QueueIdentity { name, vhost } = queue;
        Self::Foreign { argument, name: name.to_owned(), vhost: vhost.to_owned(), queue_type }
    }

    pub(super) fn dead_letter_type(queue: QueueIdentity<'_>, found: &'static str) -> Self {
        Self::DeadLetterType { found, name: queue.name.to_owned(), vhost: queue.vhost.to_owned() }
    }

    pub(super) fn property(queue: QueueIdentity<'_>, property: &'static str) -> Self {
        Self::Property { property, name: queue.name.to_owned(), vhost: queue.vhost.to_owned() }
    }

    pub(super) fn inequivalent(
        queue: QueueIdentity<'_>,
        attribute: &'static str,
        difference: String,
    ) -> Self {
        let QueueIdentity { name, vhost } = queue;
        Self::Inequivalent { attribute, name: name.to_owned(), vhost: vhost.to_owned(), difference }
    }
}
