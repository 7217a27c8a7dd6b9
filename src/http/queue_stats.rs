//! What a queue is like at this moment: its counts, its memory, its traffic.

use serde_json::{Map, Value, json};

use super::{
    call::Call,
    stats::{Chart, DELIVER_GET, LENGTHS, QUEUE, Rates},
    time,
};
use crate::{
    broker::{Millis, queue_type::QueueType},
    engine::{
        DELIVERY_LIMIT, QueueRef,
        stats::{Figure, Figures},
    },
};

/// A queue without work for so long counts as idle.
const IDLE_AFTER: Millis = 5_000;

/// Puts the numbers of messages.
pub fn put_totals(fields: &mut Map<String, Value>, queue: &QueueRef) {
    let counts = queue.counts();
    fields.insert("messages".to_owned(), json!(counts.ready + counts.unacknowledged));
    fields.insert("messages_ready".to_owned(), json!(counts.ready));
    fields.insert("messages_unacknowledged".to_owned(), json!(counts.unacknowledged));
}

/// The number at a field that long lists are sorted by, without everything else.
pub fn number(rates: &Rates, queue: &QueueRef, field: &str) -> Option<f64> {
    const RATES: [(&str, &[Figure]); 5] = [
        ("publish", &[Figure::Publish]),
        ("deliver_get", DELIVER_GET.1),
        ("ack", &[Figure::Ack]),
        ("deliver", &[Figure::Deliver]),
        ("redeliver", &[Figure::Redeliver]),
    ];
    if let Some(name) = field.strip_prefix("message_stats.") {
        let name = name.strip_suffix("_details.rate")?;
        let (_, shown) = RATES.iter().find(|(known, _)| *known == name)?;
        return Some(rates.rate_of(queue, shown));
    }
    let (counts, _, memory) = queue.sums(rates.now());
    Some(match field {
        "messages" => counts.ready + counts.unacknowledged,
        "messages_ready" => counts.ready,
        "messages_unacknowledged" => counts.unacknowledged,
        "message_bytes" => counts.ready_bytes + counts.unacknowledged_bytes,
        "message_bytes_ready" => counts.ready_bytes,
        "message_bytes_unacknowledged" => counts.unacknowledged_bytes,
        "consumers" => u64::from(counts.consumers),
        "memory" => memory,
        _ => return None,
    } as f64)
}

/// Puts everything that is measured of a queue.
pub fn put(call: &Call, rates: &Rates, queue: &QueueRef, fields: &mut Map<String, Value>) {
    let report = queue.report(rates.now());
    let counts = report.counts;
    let figures = Figures::of_queue(&counts, &report.counters);
    let history = queue.history.lock().clone();
    rates.put_all(fields, Chart::Lengths, &history, &figures, LENGTHS);
    let stats = rates.message_stats(&history, &figures, &[QUEUE]);
    let utilisation = queue.utilisation(rates.now(), call.node().stats.interval(), &figures, &report);
    let is_durable = queue.is_durable();
    let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    if let Some(stats) = stats {
        put("message_stats", stats);
    }
    put("consumers", json!(counts.consumers));
    if counts.resting != 0 {
        // Neither ready nor unacknowledged: what came back and waits (QQ-11).
        put("messages_delayed", json!(counts.resting));
    }
    put("consumer_utilisation", json!(utilisation));
    put("consumer_capacity", json!(utilisation));
    put("memory", json!(report.memory));
    let all = counts.ready + counts.unacknowledged;
    let all_bytes = counts.ready_bytes + counts.unacknowledged_bytes;
    put("messages_ready_ram", json!(counts.ready - report.away.min(counts.ready)));
    put("messages_unacknowledged_ram", json!(counts.unacknowledged));
    put("messages_ram", json!(all - report.away.min(all)));
    put("messages_paged_out", json!(report.away));
    put("message_bytes", json!(all_bytes));
    put("message_bytes_ready", json!(counts.ready_bytes));
    put("message_bytes_unacknowledged", json!(counts.unacknowledged_bytes));
    put("message_bytes_ram", json!(all_bytes - report.away_bytes.min(all_bytes)));
    put("message_bytes_paged_out", json!(report.away_bytes));
    if !is_durable {
        // Of a queue that survives nobody counts which of its messages do.
        put("messages_persistent", json!(0));
        put("message_bytes_persistent", json!(0));
    } else if queue.properties.arguments.queue_type == QueueType::Quorum {
        put("messages_persistent", json!(all));
        put("message_bytes_persistent", json!(all_bytes));
    }
    put("head_message_timestamp", json!(report.head_timestamp));
    if report.active.saturating_add(IDLE_AFTER) <= rates.now() {
        put("idle_since", json!(time::text(report.active)));
    }
    if report.is_pressed {
        put("state", json!("flow"));
    }
    let queue_type = queue.properties.arguments.queue_type;
    if queue_type == QueueType::Quorum {
        let limit = queue.rules().delivery_limit.unwrap_or(i64::from(DELIVERY_LIMIT));
        put("delivery_limit", if limit < 0 { json!("unlimited") } else { json!(limit) });
    }
    if queue_type != QueueType::Classic {
        let node = &call.management.name;
        put("leader", json!(node));
        put("members", json!([node]));
        put("online", json!([node]));
    }
}
