//! Whether a redeclare asks for the queue that is there (QUE-60 to QUE-66).

use super::{ArgumentError, QUEUE_TYPE, QueueArguments, QueueIdentity, QueueProperties};
use super::{apply_default_type, named_type};
use crate::broker::arguments;
use crate::broker::queue_type::QueueType;
use amq_protocol::types::{AMQPValue, FieldTable};

/// What classic queues compare, in this order.
const CLASSIC: &[&str] = &[
    "x-expires",
    "x-message-ttl",
    "x-dead-letter-exchange",
    "x-dead-letter-routing-key",
    "x-max-length",
    "x-max-length-bytes",
    "x-max-priority",
    "x-overflow",
    "x-queue-mode",
    "x-queue-version",
    "x-single-active-consumer",
    QUEUE_TYPE,
    "x-queue-master-locator",
    "x-queue-leader-locator",
    "x-consumer-timeout",
];

/// What quorum queues compare, in this order.
const QUORUM: &[&str] = &[
    "x-dead-letter-exchange",
    "x-dead-letter-routing-key",
    "x-dead-letter-strategy",
    "x-expires",
    "x-max-length",
    "x-max-length-bytes",
    "x-max-in-memory-length",
    "x-max-in-memory-bytes",
    "x-overflow",
    "x-single-active-consumer",
    QUEUE_TYPE,
    "x-quorum-initial-group-size",
    "x-delivery-limit",
    "x-message-ttl",
    "x-queue-leader-locator",
    "x-consumer-timeout",
    "x-consumer-disconnected-timeout",
    "x-delayed-retry-type",
    "x-delayed-retry-min",
    "x-delayed-retry-max",
    "x-member-placement-tag",
];

/// What streams compare, in this order.
const STREAM: &[&str] = &[
    "x-max-length-bytes",
    QUEUE_TYPE,
    "x-max-age",
    "x-stream-max-segment-size-bytes",
    "x-stream-filter-size-bytes",
    "x-initial-cluster-size",
    "x-queue-leader-locator",
];

/// A queue as it is, or as a redeclare asks for it.
pub type Declared<'a, Arguments> = (QueueProperties, &'a Arguments);

/// The first difference between an existing queue and what a redeclare received, if any.
///
/// Who owns an exclusive queue comes before this and is not compared here.
pub fn inequivalence(
    queue: QueueIdentity<'_>,
    current: Declared<'_, QueueArguments>,
    received: Declared<'_, FieldTable>,
    default_type: Option<QueueType>,
) -> Option<ArgumentError> {
    let (flags, arguments) = current;
    let (received_flags, received_arguments) = received;
    // QUE-11: exclusive queues never survive a restart, so the durable bit says nothing.
    if !flags.exclusive && flags.durable != received_flags.durable {
        let difference = flag_difference(received_flags.durable, flags.durable);
        return Some(ArgumentError::inequivalent(queue, "durable", difference));
    }
    if flags.auto_delete != received_flags.auto_delete {
        let difference = flag_difference(received_flags.auto_delete, flags.auto_delete);
        return Some(ArgumentError::inequivalent(queue, "auto_delete", difference));
    }
    let compared = match arguments.queue_type {
        QueueType::Classic => CLASSIC,
        QueueType::Quorum => QUORUM,
        QueueType::Stream => STREAM,
    };
    compared.iter().find_map(|argument| {
        let received_value = received_arguments.inner().get(*argument);
        let is_same_type = || {
            let received_type = effective_type(received_arguments, received_flags, default_type);
            received_type == Some(arguments.queue_type)
        };
        if *argument == QUEUE_TYPE && is_same_type() {
            return None;
        }
        let current_value = arguments.raw.inner().get(*argument);
        let difference = arguments::inequivalence(current_value, received_value)?;
        Some(ArgumentError::inequivalent(queue, argument, difference))
    })
}

/// The type that a declare asks for; none if it names one that does not exist (QUE-65).
fn effective_type(
    raw: &FieldTable,
    flags: QueueProperties,
    default_type: Option<QueueType>,
) -> Option<QueueType> {
    let is_unnamed = match raw.inner().get(QUEUE_TYPE) {
        None => true,
        Some(AMQPValue::LongString(name)) => name.is_empty(),
        Some(_) => false,
    };
    match is_unnamed {
        true => Some(apply_default_type(&mut FieldTable::default(), flags, default_type)),
        false => named_type(raw),
    }
}

fn flag_difference(received: bool, current: bool) -> String {
    format!("received '{received}' but current is '{current}'")
}
