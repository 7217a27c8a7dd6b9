//! What waits in a delayed exchange: listed in pages, the first due first, and cancelled.

use hyper::Method;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::{
    answer::{Answer, Refusal},
    call::Call,
    listing::Page,
    messages::durable,
};
use crate::{
    broker::delay::{Due, Listed},
    engine::{DelayRef, Resource, Right},
};

/// Names a message for as long as it waits.
fn id((at, sequence): Due) -> String {
    format!("{at}-{sequence}")
}

fn parse_id(id: &str) -> Option<Due> {
    let (at, sequence) = id.split_once('-')?;
    Some((at.parse().ok()?, sequence.parse().ok()?))
}

fn find(call: &Call, vhost: &str, exchange: &str) -> Result<DelayRef, Refusal> {
    let vhost = call.vhost(vhost)?;
    if !call.is_get() {
        // What waits goes with its exchange, so that it takes the same right to delete it.
        call.demand(&vhost, Right::Configure, Resource::Exchange(exchange))?;
    }
    vhost.delayed_exchange(exchange).ok_or_else(Refusal::not_found)
}

/// `GET`: a page of what waits. `DELETE`: cancels everything.
pub async fn all(call: &Call, vhost: &str, exchange: &str) -> Result<Answer, Refusal> {
    let delay = find(call, vhost, exchange)?;
    if call.method == Method::DELETE {
        let (_count, position) = call.node().cancel_all_delayed(&delay);
        durable(call, position).await;
        return Ok(Answer::done());
    }
    let page = Page::of(&call.query)?.unwrap_or(Page::FIRST);
    let total = delay.waiting().messages;
    let from = (page.number - 1).saturating_mul(page.size);
    let listed = delay.list(from, page.size);
    let mut items = Vec::with_capacity(listed.len());
    for (listed, key) in listed.iter().zip(routing_keys(call, &delay, &listed).await) {
        items.push(view(listed, key.as_deref()));
    }
    Ok(Answer::json(&json!({
        "total_count": total,
        "filtered_count": total,
        "item_count": items.len(),
        "page": page.number,
        "page_size": page.size,
        "page_count": total.div_ceil(page.size as u64).max(1),
        "items": items,
    })))
}

/// `DELETE`: cancels one message.
pub async fn one(call: &Call, vhost: &str, exchange: &str, id: &str) -> Result<Answer, Refusal> {
    let delay = find(call, vhost, exchange)?;
    let due = parse_id(id).ok_or_else(Refusal::not_found)?;
    let position = call.node().cancel_delayed(&delay, due).ok_or_else(Refusal::not_found)?;
    durable(call, position).await;
    Ok(Answer::done())
}

/// A message that came to its end in this very moment has no routing key any more.
fn view(listed: &Listed, routing_key: Option<&[u8]>) -> Value {
    let (due, _) = listed.due;
    json!({
        "id": id(listed.due),
        "due": due,
        "routing_key": routing_key.map(String::from_utf8_lossy),
        "size": listed.length,
    })
}

/// The routing keys of what is listed, some of which is on disk.
async fn routing_keys(call: &Call, delay: &DelayRef, listed: &[Listed]) -> Vec<Option<Vec<u8>>> {
    let mut keys = Vec::with_capacity(listed.len());
    for item in listed {
        keys.push(item.place.as_ref().ok().map(|message| message.routing_key().to_vec()));
    }
    let mut pages: Vec<_> = listed.iter().filter_map(|item| item.place.as_ref().err().copied()).collect();
    pages.sort_unstable();
    pages.dedup();
    for page in pages {
        let (tell, told) = oneshot::channel();
        call.node().read_page(delay, page, move |entries| {
            let known: Vec<(Due, Vec<u8>)> = entries
                .iter()
                .map(|entry| ((entry.deadline, entry.sequence), entry.message.routing_key().to_vec()))
                .collect();
            let _nobody_waits_any_more = tell.send(known);
        });
        let mut known = told.await.unwrap_or_default();
        known.sort_unstable();
        for (key, item) in keys.iter_mut().zip(listed) {
            if let Ok(at) = known.binary_search_by_key(&item.due, |(due, _)| *due) {
                *key = known.get(at).map(|(_, key)| key.clone());
            }
        }
    }
    keys
}
