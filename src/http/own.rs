//! What only this broker has, under `/api/leveret`: looking at messages without taking them, moving them, and
//! why a queue does not move. The management pages use it.

use serde_json::{Value, json};

use super::{
    answer::{Answer, Refusal},
    call::{Call, text},
    messages::{self, Held, Mode},
    queues::NOBODY,
    streams, why,
};
use crate::{
    broker::{
        Message,
        queue::Entry,
        redrive::{readdressed, revived},
    },
    engine::{QueueRef, Resource, Right, Vhost},
};

/// Messages looked at in one request, and how far from the first.
const LOOK_MAX: usize = 100;
const OFFSET_MAX: usize = 100_000;
/// Octets of a body that are shown.
const SHOWN_MAX: u64 = 64 << 10;
/// Messages that are moved before the log is waited for.
const BATCH_MAX: usize = 256;

/// What is asked of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Own {
    Messages,
    Move,
    Redrive,
    Stream,
    Why,
}

pub async fn queue(call: &Call, vhost: &str, name: &str, own: Own) -> Result<Answer, Refusal> {
    let vhost = call.vhost(vhost)?;
    let queue = match own {
        Own::Stream | Own::Why => vhost.queue(name)?,
        Own::Messages | Own::Move | Own::Redrive => {
            call.demand(&vhost, Right::Read, Resource::Queue(name))?;
            vhost.queue_for(name, NOBODY)?
        }
    };
    match own {
        Own::Messages => look(call, &queue),
        Own::Move => {
            let object = call.object()?;
            let (exchange, key) = (text(&object, "exchange")?, text(&object, "routing_key")?);
            if 255 < exchange.len() || 255 < key.len() {
                return Err(Refusal::bad_request("a name has at most 255 bytes"));
            }
            let most = object.get("count").and_then(Value::as_u64).unwrap_or(u64::MAX);
            call.demand(&vhost, Right::Write, Resource::Exchange(&exchange))?;
            let mut scratch = Vec::new();
            let to = |message: &Message| {
                Some(readdressed(message, exchange.as_bytes(), key.as_bytes(), &mut scratch))
            };
            transfer(call, &vhost, queue, most, to).await
        }
        Own::Redrive => {
            let mut scratch = Vec::new();
            transfer(call, &vhost, queue, u64::MAX, |message| revived(message, &mut scratch)).await
        }
        Own::Stream => streams::answer(&queue),
        Own::Why => Ok(Answer::json(&why::answer(call, &vhost, &queue))),
    }
}

/// The ready messages from some place on, which stay where they are.
fn look(call: &Call, queue: &QueueRef) -> Result<Answer, Refusal> {
    let number = |name: &str, usual: usize| match call.query.get(name) {
        None => Ok(usual),
        Some(text) => text.parse().map_err(|_| Refusal::bad_request(format!("{name}: expected a number"))),
    };
    // A stream finds any place at once.
    let furthest = if queue.is_stream() { usize::MAX } else { OFFSET_MAX };
    let offset = number("offset", 0)?.min(furthest);
    let count = number("count", 20)?.min(LOOK_MAX);
    let (entries, is_on_disk) = queue.look(offset, count + 1);
    let more = count < entries.len();
    let shown = entries.iter().take(count).enumerate().map(|(at, entry)| {
        let left = 0;
        let mut view = messages::view(entry, left, "auto", Some(SHOWN_MAX));
        if let Value::Object(fields) = &mut view {
            fields.remove("message_count");
            fields.insert("position".to_owned(), json!(offset + at));
            if queue.is_stream() {
                fields.insert("offset".to_owned(), json!(entry.sequence));
            }
        }
        view
    });
    let items: Vec<Value> = shown.collect();
    Ok(Answer::json(&json!({ "items": items, "more": more, "on_disk": is_on_disk && !more })))
}

/// Moves what was ready when it began; `to` says where each goes, or that it stays.
async fn transfer(
    call: &Call,
    vhost: &Vhost,
    queue: QueueRef,
    most: u64,
    mut to: impl FnMut(&Message) -> Option<Message>,
) -> Result<Answer, Refusal> {
    let most = most.min(queue.counts().ready);
    let (mut seen, mut moved, mut stopped) = (0, 0, None);
    // What stays goes back at the end, to its old place.
    let mut staying = Held::new(call, queue.clone(), Mode::PutBack);
    while seen < most && stopped.is_none() {
        let mut going = Held::new(call, queue.clone(), Mode::PutBack);
        let mut position = None;
        while seen < most && going.entries.len() < BATCH_MAX {
            let Some((entry, _)) = messages::next(call, &queue, true).await else {
                seen = most;
                break;
            };
            seen += 1;
            let Some(message) = to(&entry.message) else {
                staying.entries.push(entry);
                continue;
            };
            match hand_in(call, vhost, &message) {
                Ok(at) => {
                    position = Some(at);
                    going.entries.push(entry);
                }
                Err(reason) => {
                    staying.entries.push(entry);
                    stopped = Some(reason);
                    break;
                }
            }
        }
        if let Some(position) = position {
            messages::durable(call, position).await;
        }
        let gone: Vec<Entry> = std::mem::take(&mut going.entries);
        call.node().settle_taken(&queue, &gone, call.now());
        moved += gone.len();
    }
    let left = staying.entries.len();
    drop(staying);
    tracing::info!(
        "{moved} messages of queue '{}' moved by user '{}'",
        queue.name.escape_debug(),
        call.user.name
    );
    Ok(Answer::json(&json!({ "moved": moved, "left": left, "stopped": stopped })))
}

/// Publishes a copy; the reason when no queue has it now.
fn hand_in(call: &Call, vhost: &Vhost, message: &Message) -> Result<crate::store::Position, String> {
    let exchange = String::from_utf8_lossy(message.exchange()).into_owned();
    call.demand(vhost, Right::Write, Resource::Exchange(&exchange)).map_err(|refused| refused.to_string())?;
    let handed = call.node().hand_in(vhost, message, call.now()).map_err(|refused| refused.to_string())?;
    let key = String::from_utf8_lossy(message.routing_key());
    match (handed.routed, handed.refused) {
        (true, false) => Ok(handed.position),
        (true, true) => Err("a queue refused it".to_owned()),
        (false, _) => {
            Err(format!("no queue gets what is published to exchange '{exchange}' with key '{key}'"))
        }
    }
}
