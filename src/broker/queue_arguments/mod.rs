//! What a queue is declared with: parsing, checking and comparing its arguments (QUE-20 to QUE-67).
//!
//! [`QueueArguments::parse`] checks a new queue in the order RabbitMQ does, so that of several mistakes the same
//! one is reported; [`inequivalence`] compares a redeclare with what is.

mod equivalence;
mod error;
mod interval;
pub(in crate::broker) mod rules;

#[cfg(test)]
mod tests;

pub use equivalence::inequivalence;
pub use error::ArgumentError;
pub use interval::interval_seconds;

use std::{cell::RefCell, sync::Arc};

use crate::amqp::table::value_type_name;
use crate::broker::arguments::{integer, long_string, value_text};
use crate::broker::queue_type::QueueType;
use amq_protocol::types::{AMQPValue, FieldTable};

/// The argument that chooses the queue type.
const QUEUE_TYPE: &str = "x-queue-type";
const DEAD_LETTER_EXCHANGE: &str = "x-dead-letter-exchange";
const DEAD_LETTER_ROUTING_KEY: &str = "x-dead-letter-routing-key";
const SEGMENT_SIZE: &str = "x-stream-max-segment-size-bytes";
const RETRY_TYPE: &str = "x-delayed-retry-type";
const RETRY_MIN: &str = "x-delayed-retry-min";
const RETRY_MAX: &str = "x-delayed-retry-max";
const FILTER_SIZE: &str = "x-stream-filter-size-bytes";

const NAME_PREFIX: &str = "x-name-prefix";
/// Octets of a generated name's prefix at most.
const NAME_PREFIX_MAX: usize = 64;

/// The largest segment of a stream that may be asked for (QUE-39).
pub const SEGMENT_BYTES_MAX: u64 = 3_000_000_000;

/// Which queue a text speaks of.
#[derive(Clone, Copy, Debug)]
pub struct QueueIdentity<'a> {
    /// The queue's name.
    pub name: &'a str,
    /// Its virtual host.
    pub vhost: &'a str,
}

/// The flags of a declare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueProperties {
    /// Survives a restart.
    pub durable: bool,
    /// Belongs to one connection.
    pub exclusive: bool,
    /// Goes when its last consumer goes.
    pub auto_delete: bool,
}

/// What happens to a publish when a queue is at its limit (QUE-24).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// The oldest message makes room.
    #[default]
    DropHead,
    /// The new message is refused.
    RejectPublish,
    /// The new message is refused and dead-lettered.
    RejectPublishDlx,
}

impl Overflow {
    /// What arguments and policies call so; the default for what nothing is called.
    pub fn named(name: &str) -> Self {
        match name {
            "reject-publish" => Self::RejectPublish,
            "reject-publish-dlx" => Self::RejectPublishDlx,
            _ => Self::DropHead,
        }
    }
}

/// How safely dead letters are moved (QUE-27).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeadLetterStrategy {
    /// Without waiting for the target.
    #[default]
    AtMostOnce,
    /// Kept until the target has them.
    AtLeastOnce,
}

impl DeadLetterStrategy {
    /// What arguments and policies call so; the default for what nothing is called.
    pub fn named(name: &str) -> Self {
        match name {
            "at-least-once" => Self::AtLeastOnce,
            _ => Self::AtMostOnce,
        }
    }
}

/// A queue's arguments, checked and typed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueueArguments {
    /// The type of the queue.
    pub queue_type: QueueType,
    /// Milliseconds a message may wait.
    pub message_ttl_ms: Option<u64>,
    /// Milliseconds the queue may go unused.
    pub expires_ms: Option<u64>,
    /// Ready messages at most.
    pub max_length: Option<u64>,
    /// Octets of ready bodies at most.
    pub max_length_bytes: Option<u64>,
    /// What happens at these limits.
    pub overflow: Overflow,
    /// Where dead letters go; empty for the default exchange.
    pub dead_letter_exchange: Option<String>,
    /// Their routing key, if not their own.
    pub dead_letter_routing_key: Option<String>,
    /// How safely they go.
    pub dead_letter_strategy: DeadLetterStrategy,
    /// Whether and up to what the queue orders by priority.
    pub max_priority: Option<u8>,
    /// Whether one consumer at a time gets everything.
    pub single_active_consumer: bool,
    /// Whether a message is dropped while another with the same identity is there (QUE-43).
    pub deduplicates: bool,
    /// Deliveries after which a message is dead-lettered; negative for no limit.
    pub delivery_limit: Option<i64>,
    /// Which of a quorum queue's messages wait when they come back, and how many milliseconds (QQ-11).
    pub retry_type: Option<String>,
    pub retry_min_ms: Option<u64>,
    pub retry_max_ms: Option<u64>,
    /// Milliseconds a delivery may stay unacknowledged.
    pub consumer_timeout_ms: Option<u64>,
    /// Seconds a stream keeps its messages.
    pub max_age_s: Option<u64>,
    /// Octets of a stream's segment.
    pub segment_bytes: Option<u64>,
    /// Octets of a stream chunk's filter.
    pub filter_bytes: Option<u8>,
    /// Everything as declared, unknown arguments included (QUE-44).
    pub raw: FieldTable,
}

impl QueueArguments {
    /// Most queues are declared as the one before: those share their arguments.
    pub fn shared(self) -> Arc<QueueArguments> {
        thread_local! {
            static LAST: RefCell<Arc<QueueArguments>> = RefCell::default();
        }
        LAST.with_borrow_mut(|last| {
            if **last != self {
                *last = Arc::new(self);
            }
            last.clone()
        })
    }

    /// Checks the arguments of a new queue (QUE-46, QUE-50 to QUE-52).
    ///
    /// `default_type` is the virtual host's, if it has one: it applies unless the flags rule it out, and is then
    /// written into the stored arguments (QUE-55).
    pub fn parse(
        queue: QueueIdentity<'_>,
        properties: QueueProperties,
        mut raw: FieldTable,
        default_type: Option<QueueType>,
    ) -> Result<Self, ArgumentError> {
        dead_letter_exchange(queue, &raw)?;
        let queue_type = match declared_type(queue, &raw)? {
            Some(queue_type) => queue_type,
            None => apply_default_type(&mut raw, properties, default_type),
        };
        rules::check_values(queue, queue_type, &raw)?;
        rules::refuse_foreign(queue, queue_type, &raw)?;
        check_properties(queue, queue_type, properties)?;
        let arguments = Self::read(queue_type, raw);
        arguments.check_stream_sizes()?;
        Ok(arguments)
    }

    /// Reads arguments that were checked when the queue was declared, as when recovering it.
    pub fn stored(raw: FieldTable) -> Self {
        let queue_type = named_type(&raw).unwrap_or_default();
        Self::read(queue_type, raw)
    }

    fn read(queue_type: QueueType, raw: FieldTable) -> Self {
        let value = |name: &str| raw.inner().get(name);
        let number = |name: &str| value(name).and_then(integer).and_then(|number| u64::try_from(number).ok());
        let text = |name: &str| value(name).and_then(long_string);
        let single_active_consumer = value("x-single-active-consumer") == Some(&AMQPValue::Boolean(true));
        Self {
            queue_type,
            message_ttl_ms: number("x-message-ttl"),
            expires_ms: number("x-expires"),
            max_length: number("x-max-length"),
            max_length_bytes: number("x-max-length-bytes"),
            overflow: text("x-overflow").as_deref().map(Overflow::named).unwrap_or_default(),
            dead_letter_exchange: text(DEAD_LETTER_EXCHANGE),
            dead_letter_routing_key: text(DEAD_LETTER_ROUTING_KEY),
            dead_letter_strategy: text("x-dead-letter-strategy")
                .as_deref()
                .map(DeadLetterStrategy::named)
                .unwrap_or_default(),
            max_priority: number("x-max-priority").and_then(|number| number.try_into().ok()),
            single_active_consumer,
            deduplicates: value("x-message-deduplication") == Some(&AMQPValue::Boolean(true)),
            delivery_limit: value("x-delivery-limit").and_then(integer),
            retry_type: text(RETRY_TYPE),
            retry_min_ms: number(RETRY_MIN),
            retry_max_ms: number(RETRY_MAX),
            consumer_timeout_ms: number("x-consumer-timeout"),
            max_age_s: text("x-max-age").and_then(|text| interval_seconds(text.as_bytes())),
            segment_bytes: number(SEGMENT_SIZE),
            filter_bytes: number(FILTER_SIZE).and_then(|number| number.try_into().ok()),
            raw,
        }
    }

    /// QUE-39 and QUE-40: the two limits that are checked last.
    fn check_stream_sizes(&self) -> Result<(), ArgumentError> {
        if self.segment_bytes.is_some_and(|bytes| SEGMENT_BYTES_MAX < bytes) {
            return Err(ArgumentError::SegmentSize);
        }
        match self.filter_bytes {
            None if self.raw.contains_key(FILTER_SIZE) => Err(ArgumentError::FilterSize),
            Some(..16) => Err(ArgumentError::FilterSize),
            _ => Ok(()),
        }
    }
}

/// The dead letter exchange, for the permission check that comes before all others (QUE-25).
pub fn dead_letter_exchange(
    queue: QueueIdentity<'_>,
    raw: &FieldTable,
) -> Result<Option<String>, ArgumentError> {
    match raw.inner().get(DEAD_LETTER_EXCHANGE) {
        None => Ok(None),
        Some(value) => match long_string(value) {
            Some(name) => Ok(Some(name)),
            None => Err(ArgumentError::dead_letter_type(queue, value_type_name(value))),
        },
    }
}

/// QUE-04: what the generated name of a queue begins with instead of `amq.gen`, if it says so.
pub fn name_prefix(raw: &FieldTable) -> Result<Option<String>, ArgumentError> {
    let Some(AMQPValue::LongString(prefix)) = raw.inner().get(NAME_PREFIX) else { return Ok(None) };
    let prefix = String::from_utf8_lossy(prefix.as_bytes()).into_owned();
    match prefix.len() {
        0 => Ok(None),
        1..=NAME_PREFIX_MAX => Ok(Some(prefix)),
        _ => Err(ArgumentError::NamePrefix { prefix }),
    }
}

/// QUE-03: only classic queues are named by the server. To be asked before a name is generated.
pub fn refuse_server_named(raw: &FieldTable) -> Result<(), ArgumentError> {
    match named_type(raw) {
        None | Some(QueueType::Classic) => Ok(()),
        Some(queue_type) => Err(ArgumentError::ServerNamed { queue_type: queue_type.module_name() }),
    }
}

/// The queue type that the arguments name, if they name a known one.
fn named_type(raw: &FieldTable) -> Option<QueueType> {
    match raw.inner().get(QUEUE_TYPE) {
        Some(AMQPValue::LongString(name)) => QueueType::named(name.as_bytes()),
        _ => None,
    }
}

/// QUE-31: none if the argument is missing or empty.
fn declared_type(queue: QueueIdentity<'_>, raw: &FieldTable) -> Result<Option<QueueType>, ArgumentError> {
    let invalid = |detail| Err(ArgumentError::invalid(queue, QUEUE_TYPE, detail));
    match raw.inner().get(QUEUE_TYPE) {
        None => Ok(None),
        Some(AMQPValue::LongString(name)) if name.is_empty() => Ok(None),
        Some(value @ AMQPValue::LongString(_)) => match named_type(raw) {
            Some(queue_type) => Ok(Some(queue_type)),
            None => invalid(format!("\"unsupported queue type '{}'\"", value_text(value))),
        },
        Some(other) => invalid(rules::unacceptable_type(other)),
    }
}

fn apply_default_type(
    raw: &mut FieldTable,
    properties: QueueProperties,
    default_type: Option<QueueType>,
) -> QueueType {
    match default_type {
        Some(queue_type) if unsupported_property(queue_type, properties).is_none() => {
            raw.insert(QUEUE_TYPE.into(), AMQPValue::LongString(queue_type.name().into()));
            queue_type
        }
        _ => QueueType::Classic,
    }
}

fn check_properties(
    queue: QueueIdentity<'_>,
    queue_type: QueueType,
    properties: QueueProperties,
) -> Result<(), ArgumentError> {
    match unsupported_property(queue_type, properties) {
        Some(property) => Err(ArgumentError::property(queue, property)),
        None => Ok(()),
    }
}

/// The first flag that this type of queue cannot have (QUE-50 to QUE-52).
fn unsupported_property(queue_type: QueueType, properties: QueueProperties) -> Option<&'static str> {
    match (queue_type, properties) {
        (QueueType::Classic, _) => None,
        (_, QueueProperties { auto_delete: true, .. }) => Some("auto-delete"),
        (_, QueueProperties { exclusive: true, .. }) => Some("exclusive-owner"),
        (_, QueueProperties { durable: false, .. }) => Some("non-durable"),
        _ => None,
    }
}
