//! Publishing and getting single messages by hand.

use std::{task::Poll, time::Duration};

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::{Map, Value, json};

use super::{
    answer::{Answer, Refusal},
    call::{Call, exchange_name, need, text},
    properties,
    queues::NOBODY,
};
use crate::{
    amqp::properties::Properties,
    broker::{
        Message, Parts,
        queue::{Entry, Got},
    },
    engine::{QueueRef, Resource, Right, Seen, Vhost},
    store::Position,
};

/// Nesting of headers, as of those over AMQP.
const TABLE_DEPTH_MAX: usize = 32;
/// Messages of one get.
const GET_MAX: u64 = 10_000;
/// Octets of bodies of one get; at least one message comes.
const GET_BYTES_MAX: u64 = 64 << 20;
/// How often a publish looks whether an alarm is over.
const ALARM_PATIENCE: Duration = Duration::from_millis(50);
/// The longest time to live, ten years in milliseconds (CH-68).
const EXPIRATION_MAX: u64 = 315_360_000_000;

pub async fn publish(call: &Call, vhost: &str, exchange: &str) -> Result<Answer, Refusal> {
    let vhost = call.vhost(vhost)?;
    let object = call.object()?;
    need(&object, &["properties", "routing_key", "payload", "payload_encoding"])?;
    let message = message(call, exchange_name(exchange), &object)?;
    if call.demand(&vhost, Right::Write, Resource::Exchange(exchange_name(exchange))).is_err() {
        let text = format!(
            "403 ACCESS_REFUSED - write access to exchange '{exchange}' in vhost '{}' refused for user '{}'",
            vhost.name, call.user.name
        );
        return Err(Refusal::bad_request(text));
    }
    let topic = String::from_utf8_lossy(message.routing_key());
    if let Err(refused) = call.demand_topic(&vhost, Right::Write, exchange_name(exchange), &topic) {
        return Err(Refusal::bad_request(format!("403 ACCESS_REFUSED - {refused}")));
    }
    // Operators wait like every publisher.
    while call.node().alarms.reason().is_some() || call.node().journal.is_full_now() {
        tokio::time::sleep(ALARM_PATIENCE).await;
    }
    let handed_in = call.node().hand_in(&vhost, &message, call.now());
    let handed_in = handed_in.map_err(|refused| {
        let refusal = Refusal::from(refused.clone());
        let name = if refusal.status == 404 { "404 NOT_FOUND" } else { "403 ACCESS_REFUSED" };
        Refusal::bad_request(format!("{name} - {refused}"))
    })?;
    durable(call, handed_in.position).await;
    if handed_in.refused {
        return Err(Refusal::bad_request("rejected Unable to publish message. Check queue limits."));
    }
    Ok(Answer::json(&json!({ "routed": handed_in.routed })))
}

/// Waits until a position of the log is durable.
pub async fn durable(call: &Call, position: Position) {
    let journal = &call.node().journal;
    std::future::poll_fn(|context| {
        if journal.is_durable(position, context.waker()) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

fn message(call: &Call, exchange: &str, object: &Map<String, Value>) -> Result<Message, Refusal> {
    let routing_key = text(object, "routing_key")?;
    let payload = text(object, "payload")?;
    let body = match text(object, "payload_encoding")?.as_str() {
        "string" => payload.into_bytes(),
        "base64" => {
            BASE64_STANDARD.decode(&payload).map_err(|_| Refusal::bad_request("not_base64: the payload"))?
        }
        other => return Err(Refusal::bad_request(format!("unsupported_encoding: {other}"))),
    };
    if 255 < routing_key.len() || 255 < exchange.len() {
        return Err(Refusal::bad_request("a routing key has at most 255 bytes"));
    }
    if call.management.settings.message_size_max < body.len() as u64 {
        return Err(Refusal::bad_request("the payload is larger than the maximum message size"));
    }
    let given = properties::given(object.get("properties"))?;
    let scanned = Properties::scan(&given.octets, TABLE_DEPTH_MAX)
        .map_err(|failure| Refusal::bad_request(failure.text))?;
    if let Some(user) = scanned.user_id.filter(|user| *user != call.user.name.as_bytes()) {
        return Err(Refusal::bad_request(format!(
            "406 PRECONDITION_FAILED - user_id property set to '{}' but authenticated user was '{}'",
            String::from_utf8_lossy(user),
            call.user.name
        )));
    }
    let parts = Parts {
        exchange: exchange.as_bytes(),
        routing_key: routing_key.as_bytes(),
        properties: &given.octets,
        persistent: scanned.is_persistent(),
        priority: scanned.priority.unwrap_or(0),
        expiration: scanned.expiration.map(expiration).transpose()?,
        account: call.node().alarms.account(),
    };
    let mut scratch = Vec::new();
    let message = Message::new(&parts, &body, &mut scratch);
    if given.hidden_keys.is_empty() {
        return Ok(message);
    }
    Ok(message.with_hidden_keys(given.hidden_keys.iter().map(Vec::as_slice), &mut scratch))
}

fn expiration(octets: &[u8]) -> Result<u64, Refusal> {
    let text = String::from_utf8_lossy(octets);
    let is_number = !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    let value = text.parse().ok().filter(|value| is_number && *value <= EXPIRATION_MAX);
    value
        .ok_or_else(|| Refusal::bad_request(format!("406 PRECONDITION_FAILED - invalid expiration '{text}'")))
}

/// What happens to messages that were got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// They are taken for good.
    Take,
    /// They come back.
    PutBack,
    /// They are rejected, and die.
    Reject,
}

fn mode(object: &Map<String, Value>) -> Result<Mode, Refusal> {
    match (object.get("ackmode").and_then(Value::as_str), object.get("requeue")) {
        (Some("ack_requeue_true" | "reject_requeue_true"), _) => Ok(Mode::PutBack),
        (Some("ack_requeue_false"), _) => Ok(Mode::Take),
        (Some("reject_requeue_false"), _) => Ok(Mode::Reject),
        (Some(other), _) => Err(Refusal::bad_request(format!("unknown ackmode '{other}'"))),
        // As very old clients have it.
        (None, Some(Value::Bool(true))) => Ok(Mode::PutBack),
        (None, Some(Value::Bool(false))) => Ok(Mode::Take),
        (None, _) => Err(Refusal::bad_request("[{key_missing,ackmode}]")),
    }
}

fn number(object: &Map<String, Value>, key: &str) -> Result<Option<u64>, Refusal> {
    let number = match object.get(key) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text.trim().parse().ok(),
        Some(other) => other.as_u64(),
    };
    number.map(Some).ok_or_else(|| Refusal::bad_request(format!("{key}: expected a number")))
}

/// Messages that were got and must be settled, also if the client goes away meanwhile.
pub struct Held<'a> {
    call: &'a Call,
    queue: QueueRef,
    mode: Mode,
    pub entries: Vec<Entry>,
}

impl<'a> Held<'a> {
    pub fn new(call: &'a Call, queue: QueueRef, mode: Mode) -> Held<'a> {
        Held { call, queue, mode, entries: Vec::new() }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let entries = std::mem::take(&mut self.entries);
        if entries.is_empty() || self.mode == Mode::Take {
            return;
        }
        let mode = self.mode;
        let now = self.call.now();
        self.call.node().with_queue(&self.queue, now, |queue, effects| match mode {
            Mode::Reject => queue.reject(None, entries, now, effects),
            Mode::PutBack | Mode::Take => queue.give_back(None, entries, now, effects),
        });
    }
}

pub async fn get(call: &Call, vhost: &str, name: &str) -> Result<Answer, Refusal> {
    let vhost: std::sync::Arc<Vhost> = call.vhost(vhost)?;
    let object = call.object()?;
    need(&object, &["count", "encoding"])?;
    let mode = mode(&object)?;
    let count = number(&object, "count")?.unwrap_or(1).min(GET_MAX);
    let truncate = number(&object, "truncate")?;
    let encoding = text(&object, "encoding")?;
    if !matches!(encoding.as_str(), "auto" | "base64") {
        return Err(Refusal::bad_request(format!("unsupported_encoding: {encoding}")));
    }
    call.demand(&vhost, Right::Read, Resource::Queue(name))?;
    let queue = vhost.queue_for(name, NOBODY)?;
    super::queues::refuse_stream(&queue, "540 basic.get not supported by stream queues")?;
    let mut held = Held::new(call, queue, mode);
    let (mut shown, mut bytes) = (Vec::new(), 0);
    while (shown.len() as u64) < count && bytes < GET_BYTES_MAX {
        let Some((entry, left)) = next(call, &held.queue, mode != Mode::Take).await else { break };
        bytes += entry.message.body_length();
        shown.push(view(&entry, left, &encoding, truncate));
        if vhost.is_traced() {
            let seen = Seen::Delivered { queue: name, redelivered: entry.redelivered };
            let trace = call.node().trace_for_actor(&vhost, &entry.message, &seen);
            call.node().publish_traces(&vhost, trace.into_iter().collect(), call.now());
        }
        let meter = &vhost.stats.ended.channels;
        if mode == Mode::Take { &meter.got_no_ack } else { &meter.got }.add_shared(1);
        meter.redelivered.add_shared(u64::from(entry.redelivered));
        if mode == Mode::Take {
            continue;
        }
        held.entries.push(entry);
    }
    drop(held);
    Ok(Answer::json(&Value::Array(shown)))
}

/// The queue's next message; one on disk is waited for.
pub async fn next(call: &Call, queue: &QueueRef, acknowledges: bool) -> Option<(Entry, u64)> {
    std::future::poll_fn(|context| {
        let now = call.now();
        let got = call.node().with_queue(queue, now, |queue, effects| {
            let got = queue.get(acknowledges, now, effects);
            if matches!(got, Got::Wait) {
                queue.wait_for_page(context.waker());
            }
            got
        });
        match got {
            Got::Entry(entry, left) => Poll::Ready(Some((entry, left))),
            Got::Empty => Poll::Ready(None),
            Got::Wait => Poll::Pending,
        }
    })
    .await
}

pub fn view(entry: &Entry, left: u64, encoding: &str, truncate: Option<u64>) -> Value {
    let message = &entry.message;
    let mut body = match message.inline_body() {
        Some(body) => body.to_vec(),
        None => message.pieces().concat(),
    };
    let length = body.len();
    if let Some(truncate) = truncate.and_then(|length| usize::try_from(length).ok()) {
        body.truncate(truncate);
    }
    let (payload, payload_encoding) = match String::from_utf8(body) {
        Ok(text) if encoding == "auto" => (text, "string"),
        Ok(text) => (BASE64_STANDARD.encode(text), "base64"),
        Err(error) => (BASE64_STANDARD.encode(error.as_bytes()), "base64"),
    };
    json!({
        "payload_bytes": length,
        "redelivered": entry.redelivered,
        "exchange": String::from_utf8_lossy(message.exchange()),
        "routing_key": String::from_utf8_lossy(message.routing_key()),
        "message_count": left,
        "properties": properties::shown(message.properties()),
        "payload": payload,
        "payload_encoding": payload_encoding,
    })
}
