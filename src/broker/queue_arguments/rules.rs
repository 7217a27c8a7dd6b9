//! The table of known queue arguments: which queue types have them, and which values they take.

use super::{ArgumentError, DEAD_LETTER_EXCHANGE, DEAD_LETTER_ROUTING_KEY, QueueIdentity};
use super::{FILTER_SIZE, RETRY_MAX, RETRY_MIN, RETRY_TYPE, SEGMENT_SIZE, interval_seconds};
use crate::amqp::table::value_type_name;
use crate::broker::arguments::{integer, value_text};
use crate::broker::queue_type::QueueType;
use amq_protocol::types::{AMQPValue, FieldTable};

/// The longest time to live or to expire that a queue takes: ten years.
const MILLISECONDS_MAX: i64 = 315_360_000_000;

/// The detail of the error text if a value is wrong.
type Check = fn(&AMQPValue, &FieldTable) -> Result<(), String>;

/// What is known about one argument.
struct Rule {
    argument: &'static str,
    queue_types: &'static [QueueType],
    check: Check,
}

const C: &[QueueType] = &[QueueType::Classic];
const Q: &[QueueType] = &[QueueType::Quorum];
const S: &[QueueType] = &[QueueType::Stream];
const CQ: &[QueueType] = &[QueueType::Classic, QueueType::Quorum];
const CQS: &[QueueType] = &QueueType::ALL;

/// In the order in which wrong values, and then foreign arguments, are looked for. `x-queue-type` is not among
/// them: it is read before, because it decides which of these apply.
static RULES: &[Rule] = &[
    rule("x-expires", CQ, check_expires),
    rule("x-message-ttl", CQ, check_message_ttl),
    // Its type is checked before everything else.
    rule(DEAD_LETTER_EXCHANGE, CQ, accept),
    rule(DEAD_LETTER_ROUTING_KEY, CQ, check_dead_letter_routing_key),
    rule("x-dead-letter-strategy", Q, check_dead_letter_strategy),
    rule("x-max-length", CQ, check_not_negative),
    rule("x-max-length-bytes", CQS, check_not_negative),
    rule("x-max-in-memory-length", Q, check_not_negative),
    rule("x-max-in-memory-bytes", Q, check_not_negative),
    rule("x-max-priority", C, check_max_priority),
    rule("x-overflow", CQ, check_overflow),
    rule("x-queue-mode", C, check_queue_mode),
    rule("x-queue-version", C, check_queue_version),
    rule("x-single-active-consumer", CQ, check_boolean),
    rule("x-quorum-initial-group-size", Q, check_positive),
    // RabbitMQ takes anything here and ignores what is no integer (QUE-33).
    rule("x-delivery-limit", Q, accept),
    rule("x-max-age", S, check_max_age),
    rule(SEGMENT_SIZE, S, check_not_negative),
    rule(FILTER_SIZE, S, check_integer),
    rule("x-initial-cluster-size", S, check_positive),
    rule("x-queue-leader-locator", CQS, check_leader_locator),
    rule("x-queue-master-locator", C, accept),
    rule("x-consumer-timeout", CQ, check_not_negative),
    rule("x-consumer-disconnected-timeout", Q, check_not_negative),
    rule(RETRY_TYPE, Q, check_retry_type),
    rule(RETRY_MIN, Q, check_not_negative),
    rule(RETRY_MAX, Q, check_not_negative),
    rule("x-member-placement-tag", Q, check_text),
];

const fn rule(argument: &'static str, queue_types: &'static [QueueType], check: Check) -> Rule {
    Rule { argument, queue_types, check }
}

/// Checks the values of the arguments that this type of queue has (QUE-20 to QUE-42).
pub(super) fn check_values(
    queue: QueueIdentity<'_>,
    queue_type: QueueType,
    raw: &FieldTable,
) -> Result<(), ArgumentError> {
    for rule in RULES.iter().filter(|rule| rule.queue_types.contains(&queue_type)) {
        if let Some(value) = raw.inner().get(rule.argument) {
            let checked = (rule.check)(value, raw);
            checked.map_err(|detail| ArgumentError::invalid(queue, rule.argument, detail))?;
        }
    }
    Ok(())
}

/// Refuses arguments that only other types of queues have (QUE-45).
pub(super) fn refuse_foreign(
    queue: QueueIdentity<'_>,
    queue_type: QueueType,
    raw: &FieldTable,
) -> Result<(), ArgumentError> {
    let is_foreign =
        |rule: &&Rule| !rule.queue_types.contains(&queue_type) && raw.contains_key(rule.argument);
    match RULES.iter().find(is_foreign) {
        Some(rule) => Err(ArgumentError::foreign(queue, rule.argument, queue_type)),
        None => Ok(()),
    }
}

/// The detail for a value of a type that the argument does not take.
pub(in crate::broker) fn unacceptable_type(value: &AMQPValue) -> String {
    format!("{{unacceptable_type,{}}}", value_type_name(value))
}

/// The integer, or the detail that none was given; shared with consumer arguments.
pub(in crate::broker) fn expect_integer(value: &AMQPValue) -> Result<i64, String> {
    integer(value).ok_or_else(|| format!("\"expected integer, got {}\"", value_type_name(value)))
}

/// The octets of a long string, or the detail that none was given.
fn expect_text(value: &AMQPValue) -> Result<&[u8], String> {
    match value {
        AMQPValue::LongString(text) => Ok(text.as_bytes()),
        other => Err(unacceptable_type(other)),
    }
}

fn expect_one_of(value: &AMQPValue, accepted: &[&str], detail: &str) -> Result<(), String> {
    let text = expect_text(value)?;
    match accepted.iter().any(|name| name.as_bytes() == text) {
        true => Ok(()),
        false => Err(detail.to_owned()),
    }
}

fn accept(_: &AMQPValue, _: &FieldTable) -> Result<(), String> {
    Ok(())
}

fn check_integer(value: &AMQPValue, _: &FieldTable) -> Result<(), String> {
    expect_integer(value).map(|_| ())
}

pub(in crate::broker) fn check_not_negative(value: &AMQPValue, _: &FieldTable) -> Result<(), String> {
    match expect_integer(value)? {
        number if number < 0 => Err(format!("{{value_negative,{number}}}")),
        _ => Ok(()),
    }
}

fn check_positive(value: &AMQPValue, raw: &FieldTable) -> Result<(), String> {
    match expect_integer(value)? {
        0 => Err("{value_zero,0}".to_owned()),
        _ => check_not_negative(value, raw),
    }
}

fn check_message_ttl(value: &AMQPValue, raw: &FieldTable) -> Result<(), String> {
    match expect_integer(value)? {
        number if MILLISECONDS_MAX < number => Err(format!("{{value_too_large,{number}}}")),
        _ => check_not_negative(value, raw),
    }
}

fn check_expires(value: &AMQPValue, raw: &FieldTable) -> Result<(), String> {
    check_positive(value, raw)?;
    check_message_ttl(value, raw)
}

fn check_max_priority(value: &AMQPValue, raw: &FieldTable) -> Result<(), String> {
    match expect_integer(value)? {
        number if i64::from(u8::MAX) < number => Err(format!("{{max_value_exceeded,{number}}}")),
        _ => check_not_negative(value, raw),
    }
}

fn check_dead_letter_routing_key(value: &AMQPValue, raw: &FieldTable) -> Result<(), String> {
    expect_text(value)?;
    match raw.contains_key(DEAD_LETTER_EXCHANGE) {
        true => Ok(()),
        false => Err("routing_key_but_no_dlx_defined".to_owned()),
    }
}

fn check_dead_letter_strategy(value: &AMQPValue, _: &FieldTable) -> Result<(), String> {
    expect_one_of(value, &["at-most-once", "at-least-once"], "invalid_dlx_strategy")
}

fn check_overflow(value: &AMQPValue, _: &FieldTable) -> Result<(), String> {
    let accepted = ["drop-head", "reject-publish", "reject-publish-dlx"];
    expect_one_of(value, &accepted, "invalid_overflow")
}

fn check_queue_mode(value: &AMQPValue, _: &FieldTable) -> Result<(), String> {
    let detail = format!("\"unsupported queue mode '{}'\"", value_text(value));
    expect_one_of(value, &["default", "lazy"], &detail)
}

fn check_queue_version(value: &AMQPValue, _: &FieldTable) -> Result<(), String> {
    match expect_integer(value)? {
        1 | 2 => Ok(()),
        number => Err(format!("\"unsupported queue version '{number}'\"")),
    }
}

fn check_boolean(value: &AMQPValue, _: &FieldTable) -> Result<(), String> {
    match value {
        AMQPValue::Boolean(_) => Ok(()),
        other => Err(unacceptable_type(other)),
    }
}

fn check_max_age(value: &AMQPValue, _: &FieldTable) -> Result<(), String> {
    match interval_seconds(expect_text(value)?) {
        Some(_) => Ok(()),
        None => Err("invalid_max_age".to_owned()),
    }
}

fn check_text(value: &AMQPValue, _: &FieldTable) -> Result<(), String> {
    expect_text(value).map(|_| ())
}

fn check_retry_type(value: &AMQPValue, _: &FieldTable) -> Result<(), String> {
    expect_one_of(value, &["disabled", "all", "failed", "returned"], "invalid_delayed_retry_type")
}

fn check_leader_locator(value: &AMQPValue, _: &FieldTable) -> Result<(), String> {
    let accepted = ["client-local", "balanced", "random", "least-leaders", "min-masters"];
    expect_one_of(value, &accepted, "invalid_queue_locator_arg")
}
