//! What a queue or exchange goes by, out of its policy, its operator policy and its own arguments (POL-10 to
//! POL-15).

use amq_protocol::types::FieldTable;
use serde_json::{Map, Value};

use crate::broker::{
    queue_arguments::{DeadLetterStrategy, Overflow, QueueArguments, interval_seconds},
    queue_type::QueueType,
};

/// Keys of which the smaller number counts.
const SMALLER: [&str; 6] = [
    "expires",
    "max-in-memory-bytes",
    "max-in-memory-length",
    "max-length",
    "max-length-bytes",
    "message-ttl",
];

/// Both definitions as one (POL-15).
pub fn merge(
    policy: Option<&Map<String, Value>>,
    operator: Option<&Map<String, Value>>,
) -> Map<String, Value> {
    let mut merged = policy.cloned().unwrap_or_default();
    for (key, operators) in operator.into_iter().flatten() {
        let value = match merged.get(key) {
            Some(value) => merge_value(key, value, operators).clone(),
            None => operators.clone(),
        };
        merged.insert(key.clone(), value);
    }
    merged
}

/// Operators have the last word, but never loosen a limit.
fn merge_value<'a>(key: &str, value: &'a Value, operators: &'a Value) -> &'a Value {
    match (value.as_i64(), operators.as_i64()) {
        (Some(one), Some(other)) if key == "delivery-limit" => {
            if stricter_limit(one, other) == one {
                value
            } else {
                operators
            }
        }
        (Some(one), Some(other)) if SMALLER.contains(&key) && one < other => value,
        _ => operators,
    }
}

/// Of two delivery limits the smaller one; but a negative one is none, and leaves the other (POL-13).
fn stricter_limit(one: i64, other: i64) -> i64 {
    if one < 0 || other < 0 { one.max(other) } else { one.min(other) }
}

/// What policies say of an object, typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effective {
    pub message_ttl_ms: Option<u64>,
    pub expires_ms: Option<u64>,
    pub max_length: Option<u64>,
    pub max_length_bytes: Option<u64>,
    pub overflow: Option<Overflow>,
    pub dead_letter_exchange: Option<String>,
    pub dead_letter_routing_key: Option<String>,
    pub dead_letter_strategy: Option<DeadLetterStrategy>,
    pub delivery_limit: Option<i64>,
    pub retry_type: Option<String>,
    pub retry_min_ms: Option<u64>,
    pub retry_max_ms: Option<u64>,
    pub consumer_timeout_ms: Option<u64>,
    pub max_age_s: Option<u64>,
    pub segment_bytes: Option<u64>,
    pub alternate_exchange: Option<String>,
}

impl Effective {
    /// Reads a definition that was checked.
    pub fn of(definition: &Map<String, Value>) -> Effective {
        let number = |key: &str| definition.get(key).and_then(Value::as_u64);
        let text = |key: &str| definition.get(key).and_then(Value::as_str);
        Effective {
            message_ttl_ms: number("message-ttl"),
            expires_ms: number("expires"),
            max_length: number("max-length"),
            max_length_bytes: number("max-length-bytes"),
            overflow: text("overflow").map(Overflow::named),
            dead_letter_exchange: text("dead-letter-exchange").map(str::to_owned),
            dead_letter_routing_key: text("dead-letter-routing-key").map(str::to_owned),
            dead_letter_strategy: text("dead-letter-strategy").map(DeadLetterStrategy::named),
            delivery_limit: definition.get("delivery-limit").and_then(Value::as_i64),
            retry_type: text("delayed-retry-type").map(str::to_owned),
            retry_min_ms: number("delayed-retry-min"),
            retry_max_ms: number("delayed-retry-max"),
            consumer_timeout_ms: number("consumer-timeout"),
            max_age_s: text("max-age").and_then(|text| interval_seconds(text.as_bytes())),
            segment_bytes: number("stream-max-segment-size-bytes"),
            alternate_exchange: text("alternate-exchange").map(str::to_owned),
        }
    }

    /// What a queue of these arguments goes by (POL-10 to POL-14). What it was declared with stays its own: the
    /// result has no raw table.
    pub fn govern(&self, own: &QueueArguments) -> QueueArguments {
        let is_stream = own.queue_type == QueueType::Stream;
        let of_policy = |own: Option<u64>, policy: Option<u64>| {
            if is_stream { policy.or(own) } else { least(own, policy) }
        };
        QueueArguments {
            queue_type: own.queue_type,
            deduplicates: own.deduplicates,
            message_ttl_ms: least(own.message_ttl_ms, self.message_ttl_ms),
            expires_ms: least(own.expires_ms, self.expires_ms),
            max_length: least(own.max_length, self.max_length),
            max_length_bytes: of_policy(own.max_length_bytes, self.max_length_bytes),
            overflow: self.overflow_over(own),
            dead_letter_exchange: own.dead_letter_exchange.clone().or(self.dead_letter_exchange.clone()),
            dead_letter_routing_key: own
                .dead_letter_routing_key
                .clone()
                .or(self.dead_letter_routing_key.clone()),
            dead_letter_strategy: match self.dead_letter_strategy {
                Some(strategy) if !own.raw.contains_key("x-dead-letter-strategy") => strategy,
                _ => own.dead_letter_strategy,
            },
            max_priority: own.max_priority,
            single_active_consumer: own.single_active_consumer,
            delivery_limit: match (own.delivery_limit, self.delivery_limit) {
                (Some(one), Some(other)) => Some(stricter_limit(one, other)),
                (one, other) => one.or(other),
            },
            retry_type: own.retry_type.clone().or(self.retry_type.clone()),
            retry_min_ms: own.retry_min_ms.or(self.retry_min_ms),
            retry_max_ms: own.retry_max_ms.or(self.retry_max_ms),
            consumer_timeout_ms: least(own.consumer_timeout_ms, self.consumer_timeout_ms),
            max_age_s: self.max_age_s.or(own.max_age_s),
            // Sizes only change what was there from the beginning.
            segment_bytes: own.segment_bytes.or(self.segment_bytes),
            filter_bytes: own.filter_bytes,
            raw: FieldTable::default(),
        }
    }

    /// POL-12.
    fn overflow_over(&self, own: &QueueArguments) -> Overflow {
        let is_own = own.queue_type != QueueType::Quorum && own.raw.contains_key("x-overflow");
        self.overflow.filter(|_| !is_own).unwrap_or(own.overflow)
    }
}

fn least(own: Option<u64>, policy: Option<u64>) -> Option<u64> {
    match (own, policy) {
        (Some(own), Some(policy)) => Some(own.min(policy)),
        (own, policy) => own.or(policy),
    }
}
