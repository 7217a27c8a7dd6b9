//! Virtual hosts.

use hyper::Method;
use serde_json::{Map, Value, json};

use super::{
    answer::{Answer, Refusal},
    call::{Call, flag, text, words},
    listing::{self, Listing},
    stats::{CHANNEL, Chart, DISK, LENGTHS, Rates},
};
use crate::{
    broker::queue_type::QueueType,
    engine::{Vhost, VhostAbout},
};

/// Octets of a name, as AMQP bounds it.
const NAME_MAX: usize = 255;

fn view(call: &Call, rates: &Rates, vhost: &std::sync::Arc<Vhost>) -> Value {
    let about = call.node().access.vhost(&vhost.name).unwrap_or_default();
    let queue_type = vhost.rules.default_queue_type().unwrap_or_default().name();
    let sums = call.node().sums(vec![vhost.clone()], rates.now());
    let mut view = json!({
        "name": &*vhost.name,
        "description": about.description,
        "tags": about.tags,
        "default_queue_type": queue_type,
        "metadata": {
            "description": about.description, "tags": about.tags, "default_queue_type": queue_type,
        },
        "tracing": vhost.is_traced(),
        "protected_from_deletion": call.node().access.is_protected(&vhost.name),
        "cluster_state": { &call.management.name: "running" },
        "recv_oct": sums.received_octets,
        "send_oct": sums.sent_octets,
    });
    if let Value::Object(fields) = &mut view {
        let history = vhost.stats.history.lock().clone();
        rates.put_all(fields, Chart::Lengths, &history, &sums.figures, LENGTHS);
        if let Some(stats) = rates.message_stats(&history, &sums.figures, &[CHANNEL, DISK]) {
            fields.insert("message_stats".to_owned(), stats);
        }
    }
    view
}

pub fn list(call: &Call) -> Result<Answer, Refusal> {
    let rates = Rates::of(call)?;
    let listing = Listing::new(
        call.visible_vhosts(),
        |vhost: &std::sync::Arc<Vhost>| ("", &*vhost.name),
        |vhost: &std::sync::Arc<Vhost>| view(call, &rates, vhost),
    );
    listing.answer(&call.query)
}

pub fn item(call: &Call, name: &str) -> Result<Answer, Refusal> {
    match call.method {
        Method::PUT => put(call, name),
        Method::DELETE => {
            if call.node().access.is_protected(name) {
                return Err(Refusal::protected(format!("virtual host '{name}' is protected from deletion")));
            }
            if !call.node().delete_vhost(name) {
                return Err(Refusal::not_found());
            }
            tracing::info!("vhost '{}' deleted by user '{}'", name.escape_debug(), call.user.name);
            Ok(Answer::done())
        }
        _ => {
            let vhost = call.vhost(name)?;
            if !call.user.is_monitor() && !call.may_enter(name) {
                return Err(Refusal::not_found());
            }
            Ok(listing::single(view(call, &Rates::of(call)?, &vhost), &call.query))
        }
    }
}

/// Whether a body says that a vhost may not be deleted: `None` when it does not mention it.
pub fn protection(object: &Map<String, Value>) -> Result<Option<bool>, Refusal> {
    const KEY: &str = "protected_from_deletion";
    let metadata = object.get("metadata").and_then(Value::as_object);
    let of = [Some(object), metadata].into_iter().flatten().find(|object| object.contains_key(KEY));
    of.map(|object| flag(object, KEY)).transpose()
}

/// Protects a vhost from being deleted over HTTP, or does not any more.
pub fn protect(call: &Call, name: &str) -> Result<Answer, Refusal> {
    match call.node().access.set_protected(name, call.method == Method::POST) {
        true => Ok(Answer::done()),
        false => Err(Refusal::not_found()),
    }
}

/// Starts a vhost on a node; every one runs.
pub fn start(call: &Call, name: &str, node: &str) -> Result<Answer, Refusal> {
    call.vhost(name)?;
    if node != call.management.name {
        return Err(Refusal::bad_request(format!("Request to node {node} failed with nodedown")));
    }
    Ok(Answer::done())
}

/// What a body says of a vhost; what it does not mention stays as `before`.
pub fn about(object: &Map<String, Value>, before: VhostAbout) -> Result<VhostAbout, Refusal> {
    let metadata = object.get("metadata").and_then(Value::as_object);
    let find = |key: &str| object.get(key).or_else(|| metadata?.get(key));
    let description = match find("description") {
        None => before.description,
        Some(_) => text(
            if object.contains_key("description") { object } else { metadata.unwrap_or(object) },
            "description",
        )?,
    };
    let tags = match find("tags") {
        None => before.tags,
        some => words(some),
    };
    Ok(VhostAbout { description, tags })
}

/// The queue type that a body makes the default: `None` when it does not mention it.
pub fn default_queue_type(object: &Map<String, Value>) -> Result<Option<Option<QueueType>>, Refusal> {
    let metadata = object.get("metadata").and_then(Value::as_object);
    let mentioned = object
        .get("default_queue_type")
        .or_else(|| object.get("defaultqueuetype"))
        .or_else(|| metadata?.get("default_queue_type"));
    match mentioned {
        None => Ok(None),
        Some(Value::Null) => Ok(Some(None)),
        Some(Value::String(name)) if name.is_empty() || name == "undefined" => Ok(Some(None)),
        Some(value) => match value.as_str().and_then(|name| QueueType::named(name.as_bytes())) {
            Some(queue_type) => Ok(Some(Some(queue_type))),
            None => Err(Refusal::bad_request(format!("default queue type {value} is not supported"))),
        },
    }
}

pub fn check_name(name: &str) -> Result<(), Refusal> {
    if name.is_empty() || NAME_MAX < name.len() || name.contains(char::is_control) {
        return Err(Refusal::bad_request("a name has 1 to 255 bytes and no control characters"));
    }
    Ok(())
}

/// Adds a vhost or changes it; true when it is new.
pub fn add(call: &Call, name: &str, about: VhostAbout) -> Result<bool, Refusal> {
    call.node().put_vhost(name, about).map_err(|limit| {
        Refusal::bad_request(format!("cannot create vhost '{name}': vhost limit of {limit} is reached"))
    })
}

fn put(call: &Call, name: &str) -> Result<Answer, Refusal> {
    check_name(name)?;
    let before = call.node().access.vhost(name).unwrap_or_default();
    let object = call.object()?;
    let (about, queue_type) = (about(&object, before)?, default_queue_type(&object)?);
    let protection = protection(&object)?;
    let tracing = object.contains_key("tracing").then(|| flag(&object, "tracing")).transpose()?;
    let is_new = add(call, name, about)?;
    if let (Some(traced), Some(vhost)) = (tracing, call.node().vhost(name)) {
        vhost.set_traced(traced);
    }
    if let Some(queue_type) = queue_type {
        call.node().set_default_queue_type(name, queue_type);
    }
    if let Some(protected) = protection {
        call.node().access.set_protected(name, protected);
    }
    if is_new {
        call.take_vhost(name);
        tracing::info!("vhost '{}' created by user '{}'", name.escape_debug(), call.user.name);
    }
    Ok(Answer::put(is_new))
}
