//! Queues.

use std::sync::Arc;

use hyper::Method;
use serde_json::{Value, json};

use super::{
    answer::{Answer, Refusal},
    call::{Call, flag, need},
    channels,
    exchanges::named,
    json::{of_table, to_table},
    listing::{self, Listing, Wanted},
    queue_stats,
    stats::Rates,
};
use crate::broker::{policy::Policy, queue_type::QueueType};
use crate::engine::{ConnectionId, QueueDeclare, QueueRef, Refused, Resource, Right, Vhost};

/// Stands for the interface where a queue asks which connection wants it; connections count from 1.
pub const NOBODY: ConnectionId = 0;

/// What a queue was declared as.
fn identity(call: &Call, queue: &QueueRef) -> Value {
    let properties = &queue.properties;
    json!({
        "name": &*queue.name,
        "vhost": &*queue.vhost,
        "type": properties.arguments.queue_type.name(),
        "durable": properties.durable,
        "auto_delete": properties.auto_delete,
        "exclusive": properties.owner.is_some(),
        "arguments": of_table(&properties.arguments.raw),
        "node": call.management.name,
        "state": "running",
    })
}

fn view(call: &Call, rates: &Rates, queue: &QueueRef) -> Value {
    let mut view = identity(call, queue);
    let Value::Object(fields) = &mut view else { return view };
    let totals = call.query.is_true("enable_queue_totals");
    if call.query.is_true("disable_stats") {
        if totals {
            queue_stats::put_totals(fields, queue);
        }
        return view;
    }
    queue_stats::put(call, rates, queue, fields);
    let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    let applied = queue.applied();
    let name = |policy: &Option<Arc<Policy>>| policy.as_ref().map(|policy| policy.name.clone());
    put("policy", json!(applied.as_ref().and_then(|applied| name(&applied.policy))));
    put("operator_policy", json!(applied.as_ref().and_then(|applied| name(&applied.operator))));
    let definition = applied.map(|applied| applied.definition.clone());
    put("effective_policy_definition", Value::Object(definition.unwrap_or_default()));
    put("exclusive_consumer_tag", Value::Null);
    put("single_active_consumer_tag", Value::Null);
    put("recoverable_slaves", Value::Null);
    if let Some(stream) = queue.stream_status() {
        put("segments", json!(stream.segments));
        put("committed_offset", json!(stream.committed_offset));
        put("readers", json!({ (call.management.name.as_str()): queue.counts().consumers }));
    }
    if let Some(owner) = queue.properties.owner.and_then(|owner| call.node().connection(owner)) {
        let info = &owner.info;
        let details = json!({
            "name": info.name(), "peer_host": info.peer.ip(), "peer_port": info.peer.port(),
        });
        put("owner_pid_details", details);
    }
    view
}

pub fn list(call: &Call, vhost: Option<&str>) -> Result<Answer, Refusal> {
    let vhosts = match vhost {
        Some(name) => vec![call.vhost(name)?],
        None => call.visible_vhosts(),
    };
    let rates = Rates::of(call)?;
    if let Some(wanted) = Wanted::of(&call.query)? {
        return page(call, vhosts, &rates, &wanted);
    }
    let listing = Listing::new(
        vhosts.iter().flat_map(|vhost| vhost.queues()).collect(),
        |queue: &QueueRef| (&*queue.vhost, &*queue.name),
        |queue: &QueueRef| view(call, &rates, queue),
    );
    let listing = listing.sorted_by(|queue, field| queue_stats::number(&rates, queue, field));
    listing.answer(&call.query)
}

/// A page of all queues by vhost and name.
fn page(call: &Call, mut vhosts: Vec<Arc<Vhost>>, rates: &Rates, wanted: &Wanted) -> Result<Answer, Refusal> {
    if wanted.reverse {
        vhosts.reverse();
    }
    let (mut total, mut passed, mut queues) = (0, 0, Vec::new());
    let places = wanted.range();
    for vhost in vhosts {
        // What the vhosts before this one have is behind us.
        let range = places.start.saturating_sub(passed)..places.end.saturating_sub(passed);
        let mut chosen = vhost.choose_queues(|name| wanted.passes(name), range, wanted.reverse);
        total += chosen.total;
        passed += chosen.passed;
        queues.append(&mut chosen.queues);
    }
    wanted.answer((total, passed), queues.iter().map(|queue| view(call, rates, queue)), &call.query)
}

fn find(vhost: &Vhost, name: &str) -> Result<QueueRef, Refusal> {
    Ok(vhost.queue(name)?)
}

pub async fn item(call: &Call, vhost: &str, name: &str) -> Result<Answer, Refusal> {
    let vhost = call.vhost(vhost)?;
    match call.method {
        Method::PUT => {
            let object = call.object()?;
            let declare = QueueDeclare {
                durable: flag(&object, "durable")?,
                auto_delete: flag(&object, "auto_delete")?,
                exclusive: false,
                arguments: to_table(object.get("arguments"))?,
            };
            declare_queue(call, &vhost, name, declare).map(Answer::put)
        }
        Method::DELETE => {
            call.demand(&vhost, Right::Configure, Resource::Queue(name))?;
            find(&vhost, name)?;
            let queue = vhost.queue_for(name, NOBODY)?;
            let (unused, empty) = (call.query.is_true("if-unused"), call.query.is_true("if-empty"));
            vhost.delete_queue(&queue, unused, empty)?;
            Ok(Answer::done())
        }
        _ => {
            let queue = find(&vhost, name)?;
            let mut view = view(call, &Rates::of(call)?, &queue);
            if let Value::Object(fields) = &mut view
                && !call.query.is_true("disable_stats")
            {
                let consumers = channels::consumers_of(call, &queue).await;
                let tag_of = |is_meant: &dyn Fn(&&Value) -> bool| {
                    let found = consumers.iter().find(is_meant);
                    found.and_then(|consumer| consumer.get("consumer_tag")).cloned().unwrap_or_default()
                };
                let single = tag_of(&|consumer| {
                    consumer.get("activity_status").is_some_and(|status| status == "single_active")
                });
                let exclusive =
                    tag_of(&|consumer| consumer.get("exclusive").is_some_and(|exclusive| exclusive == true));
                fields.insert("single_active_consumer_tag".to_owned(), single);
                fields.insert("exclusive_consumer_tag".to_owned(), exclusive);
                fields.insert("consumer_details".to_owned(), Value::Array(consumers));
                fields.insert("incoming".to_owned(), json!([]));
                fields.insert("deliveries".to_owned(), json!([]));
            }
            Ok(listing::single(view, &call.query))
        }
    }
}

/// Declares for the user; true when it is new.
pub fn declare_queue(call: &Call, vhost: &Vhost, name: &str, declare: QueueDeclare) -> Result<bool, Refusal> {
    super::vhosts::check_name(name)?;
    call.demand(vhost, Right::Configure, Resource::Queue(name))?;
    if let Some(target) = named(&declare.arguments, "x-dead-letter-exchange") {
        call.demand(vhost, Right::Read, Resource::Queue(name))?;
        call.demand(vhost, Right::Write, Resource::Exchange(&target))?;
    }
    let now = call.now();
    let (queue, is_new) = vhost.declare_queue(name, declare, NOBODY, false, now)?;
    if is_new {
        // Arms the timer of x-expires.
        call.node().with_queue(&queue, now, |_, _| ());
    }
    Ok(is_new)
}

pub fn purge(call: &Call, vhost: &str, name: &str) -> Result<Answer, Refusal> {
    let vhost = call.vhost(vhost)?;
    call.demand(&vhost, Right::Read, Resource::Queue(name))?;
    let queue = vhost.queue_for(name, NOBODY)?;
    refuse_stream(&queue, "queue.purge not supported by stream queues")?;
    call.node().with_queue(&queue, call.now(), |queue, effects| queue.purge(effects));
    Ok(Answer::done())
}

/// Synchronising mirrors, of which there are none.
pub fn act(call: &Call, vhost: &str, name: &str) -> Result<Answer, Refusal> {
    find(&*call.vhost(vhost)?, name)?;
    let object = call.object()?;
    need(&object, &["action"])?;
    match object.get("action").and_then(Value::as_str) {
        Some("sync" | "cancel_sync") => Ok(Answer::done()),
        _ => Err(Refusal::bad_request(format!("unknown: {}", object.get("action").unwrap_or(&Value::Null)))),
    }
}

/// How the members of a quorum queue stand: there is this one, and it leads.
pub fn quorum_status(call: &Call, vhost: &str, name: &str) -> Result<Answer, Refusal> {
    let queue = find(&*call.vhost(vhost)?, name)?;
    if queue.properties.arguments.queue_type != QueueType::Quorum {
        return Err(Refusal::bad_request(format!("queue '{name}' in vhost '{vhost}' is not a quorum queue")));
    }
    let member = json!({
        "Node Name": call.management.name, "Raft State": "leader", "Membership": "voter", "Term": 1,
        "Last Log Index": 0, "Last Written": 0, "Last Applied": 0, "Commit Index": 0, "Snapshot Index": 0,
        "Machine Version": 0,
    });
    Ok(listing::plain(vec![member], &call.query))
}

/// What streams do not do.
pub fn refuse_stream(queue: &QueueRef, what: &'static str) -> Result<(), Refusal> {
    if !queue.is_stream() {
        return Ok(());
    }
    let (name, vhost) = (queue.name.to_string(), queue.vhost.to_string());
    Err(Refused::NotOfStreams { what, name, vhost }.into())
}
