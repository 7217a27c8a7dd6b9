//! The keys of policies: which values they take, whose policies may have them, and which queues know them.

use serde_json::{Map, Value};

use super::term::{json_term, pairs_term};
use crate::broker::{
    queue_arguments::{SEGMENT_BYTES_MAX, interval_seconds},
    queue_type::QueueType,
};

/// Whether a value will do.
type Check = fn(&Value) -> bool;

/// What is known of one key.
struct Key {
    name: &'static str,
    check: Check,
    /// What a refused value is said not to be.
    meaning: &'static str,
    /// Whether operators' policies may have it, too (POL-05).
    is_operators: bool,
    /// Queue types on which a policy with this key has no effect at all.
    foreign_to: &'static [QueueType],
}

const NONE: &[QueueType] = &[];
const S: &[QueueType] = &[QueueType::Stream];
const CS: &[QueueType] = &[QueueType::Classic, QueueType::Stream];
const CQ: &[QueueType] = &[QueueType::Classic, QueueType::Quorum];
const QS: &[QueueType] = &[QueueType::Quorum, QueueType::Stream];

static KEYS: &[Key] = &[
    key("alternate-exchange", is_text, "alternate exchange name", false, NONE),
    key("consumer-timeout", is_not_negative, "consumer timeout", false, NONE),
    key("dead-letter-exchange", is_text, "dead letter exchange name", false, S),
    key("dead-letter-routing-key", is_text, "dead letter routing key", false, S),
    key("dead-letter-strategy", is_strategy, "dead letter strategy", false, CS),
    key("delayed-retry-max", is_not_negative, "delayed retry maximum", true, CS),
    key("delayed-retry-min", is_not_negative, "delayed retry minimum", true, CS),
    key("delayed-retry-type", is_retry_type, "delayed retry type", true, CS),
    key("delivery-limit", is_integer, "delivery limit", true, CS),
    key("expires", is_positive, "queue expiry", true, S),
    key("ha-mode", is_ha_mode, "ha-mode value", false, QS),
    key("ha-params", accept, "ha-params value", false, QS),
    key("ha-promote-on-failure", accept, "ha-promote-on-failure value", false, QS),
    key("ha-promote-on-shutdown", accept, "ha-promote-on-shutdown value", false, QS),
    key("ha-sync-batch-size", accept, "ha-sync-batch-size value", false, QS),
    key("ha-sync-mode", accept, "ha-sync-mode value", false, QS),
    key("initial-cluster-size", is_not_negative, "cluster size", false, CQ),
    key("max-age", is_interval, "max age", false, CQ),
    key("max-in-memory-bytes", is_not_negative, "maximum memory in bytes", true, CS),
    key("max-in-memory-length", is_not_negative, "maximum memory in bytes", true, CS),
    key("max-length", is_not_negative, "maximum length", true, S),
    key("max-length-bytes", is_not_negative, "maximum length in bytes", true, NONE),
    key("message-ttl", is_not_negative, "message TTL", true, S),
    key("overflow", is_overflow, "overflow value", true, S),
    key("queue-leader-locator", is_locator, "queue leader locator value", false, NONE),
    key("queue-master-locator", is_master_locator, "", false, QS),
    key("queue-mode", is_queue_mode, "queue-mode value", false, QS),
    key("queue-version", is_queue_version, "queue-version value", true, NONE),
    key("stream-filter-size-bytes", is_filter_size, "filter size", false, NONE),
    key("stream-max-segment-size-bytes", is_segment_size, "segment size", false, CQ),
    key("target-group-size", is_positive, "target group size", true, CS),
];

const fn key(
    name: &'static str,
    check: Check,
    meaning: &'static str,
    is_operators: bool,
    foreign_to: &'static [QueueType],
) -> Key {
    Key { name, check, meaning, is_operators, foreign_to }
}

/// Mirroring keys that say nothing without `ha-mode`.
const MIRRORING: [&str; 3] = ["ha-params", "ha-promote-on-shutdown", "ha-sync-mode"];

fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// Whether a policy with this definition has any effect on queues of a type: with one key that they do not
/// know, it has none.
pub fn is_applicable(definition: &Map<String, Value>, queue_type: QueueType) -> bool {
    !definition.keys().filter_map(|name| find(name)).any(|key| key.foreign_to.contains(&queue_type))
}

/// Checks a definition as RabbitMQ does: wrong values of known keys first, then unknown keys (POL-06).
pub fn check(definition: &Map<String, Value>, is_operators: bool) -> Result<(), String> {
    if definition.is_empty() {
        return Err("no policy provided".to_owned());
    }
    let known = |name: &str| find(name).filter(|key| key.is_operators || !is_operators);
    for (key, value) in definition.iter().filter_map(|(name, value)| Some((known(name)?, value))) {
        if !(key.check)(value) {
            return Err(refusal(key, value));
        }
    }
    if !definition.contains_key("ha-mode")
        && MIRRORING.iter().any(|key| definition.contains_key(*key))
        && !is_operators
    {
        let text = "ha-mode must be specified to specify ha-params, ha-sync-mode or ha-promote-on-shutdown";
        return Err(text.to_owned());
    }
    let mut unknown = definition.iter().filter(|(name, _)| known(name).is_none()).peekable();
    if unknown.peek().is_some() {
        return Err(format!("{} are not recognised policy settings", pairs_term(unknown)));
    }
    Ok(())
}

fn refusal(key: &Key, value: &Value) -> String {
    let value = json_term(value);
    match key.meaning {
        "" => format!("{value} invalid {} value", key.name),
        meaning => format!("{value} is not a valid {meaning}"),
    }
}

fn accept(_: &Value) -> bool {
    true
}

fn is_text(value: &Value) -> bool {
    value.is_string()
}

fn is_integer(value: &Value) -> bool {
    value.is_i64() || value.is_u64()
}

fn is_not_negative(value: &Value) -> bool {
    value.is_u64()
}

fn is_positive(value: &Value) -> bool {
    value.as_u64().is_some_and(|number| 0 < number)
}

fn is_one_of(value: &Value, accepted: &[&str]) -> bool {
    value.as_str().is_some_and(|text| accepted.contains(&text))
}

fn is_strategy(value: &Value) -> bool {
    is_one_of(value, &["at-most-once", "at-least-once"])
}

fn is_retry_type(value: &Value) -> bool {
    is_one_of(value, &["disabled", "all", "failed", "returned"])
}

fn is_overflow(value: &Value) -> bool {
    is_one_of(value, &["drop-head", "reject-publish", "reject-publish-dlx"])
}

fn is_ha_mode(value: &Value) -> bool {
    is_one_of(value, &["all", "exactly", "nodes"])
}

fn is_locator(value: &Value) -> bool {
    is_one_of(value, &["client-local", "balanced", "random", "least-leaders"])
}

fn is_master_locator(value: &Value) -> bool {
    is_one_of(value, &["client-local", "min-masters", "random"])
}

fn is_queue_mode(value: &Value) -> bool {
    is_one_of(value, &["default", "lazy"])
}

fn is_queue_version(value: &Value) -> bool {
    matches!(value.as_u64(), Some(1 | 2))
}

fn is_interval(value: &Value) -> bool {
    value.as_str().is_some_and(|text| interval_seconds(text.as_bytes()).is_some())
}

fn is_segment_size(value: &Value) -> bool {
    value.as_u64().is_some_and(|bytes| bytes <= SEGMENT_BYTES_MAX)
}

fn is_filter_size(value: &Value) -> bool {
    value.as_u64().is_some_and(|bytes| (16..=255).contains(&bytes))
}
