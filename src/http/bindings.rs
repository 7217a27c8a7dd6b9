//! Bindings. Each has a key within its two ends, made of its routing key and arguments.

use hyper::{Method, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    answer::{Answer, Refusal},
    call::{Call, exchange_name, text},
    json::{of_table, to_table},
    listing,
    path::{quote_plus, unquote},
    queues::NOBODY,
    route::{BindingPath, Side},
};
use crate::{
    amqp::{FieldTable, table::field_table_bytes},
    engine::{BindingSummary, BindingsOf, Refused, Resource, Right, Vhost},
};

/// What a binding is called in paths: `~`, the routing key, or that and a digest of the arguments.
pub fn properties_key(routing_key: &str, arguments: &FieldTable) -> String {
    let key = quote_plus(routing_key);
    if arguments.inner().is_empty() {
        return if key.is_empty() { "~".to_owned() } else { key };
    }
    let digest = Sha256::digest(field_table_bytes(arguments));
    let letters: String = digest.iter().take(4).map(|octet| format!("{octet:02x}")).collect();
    format!("{key}~{letters}")
}

/// Whether a path names a binding by its routing key as it is, or quoted otherwise than we quote it: clients do that
/// where they should send back the key that they were told.
fn is_named(binding: &BindingSummary, key: &str) -> bool {
    let own = properties_key(&binding.routing_key, &binding.arguments);
    let (routing_key, is_same) = match (binding.arguments.inner().is_empty(), key.rsplit_once('~')) {
        (true, _) => (key, true),
        (false, Some((routing_key, digest))) => (routing_key, own.ends_with(&format!("~{digest}"))),
        (false, None) => return false,
    };
    let is_quoted = || unquote(routing_key).is_some_and(|unquoted| unquoted == binding.routing_key);
    is_same && (routing_key == binding.routing_key || is_quoted())
}

fn view(vhost: &str, binding: &BindingSummary) -> Value {
    json!({
        "source": binding.source,
        "vhost": vhost,
        "destination": binding.destination,
        "destination_type": if binding.to_queue { "queue" } else { "exchange" },
        "routing_key": binding.routing_key,
        "arguments": of_table(&binding.arguments),
        "properties_key": properties_key(&binding.routing_key, &binding.arguments),
    })
}

fn views(vhost: &Vhost, of: BindingsOf<'_>, chosen: impl Fn(&BindingSummary) -> bool) -> Vec<Value> {
    let mut bindings = vhost.bindings(of);
    bindings.retain(chosen);
    bindings.sort_by(|one, other| {
        let key = |binding: &BindingSummary| {
            (
                binding.source.clone(),
                !binding.to_queue,
                binding.destination.clone(),
                binding.routing_key.clone(),
            )
        };
        key(one).cmp(&key(other))
    });
    bindings.iter().map(|binding| view(&vhost.name, binding)).collect()
}

pub fn list(call: &Call, vhost: Option<&str>) -> Result<Answer, Refusal> {
    let vhosts = match vhost {
        Some(name) => vec![call.vhost(name)?],
        None => call.visible_vhosts(),
    };
    let all = vhosts.iter().flat_map(|vhost| views(vhost, BindingsOf::All, |_| true)).collect();
    Ok(listing::plain(all, &call.query))
}

/// As in RabbitMQ, what is not there has no bindings: tools ask so before they unbind.
pub fn of_queue(call: &Call, vhost: &str, name: &str) -> Result<Answer, Refusal> {
    let vhost = call.vhost(vhost)?;
    Ok(listing::plain(views(&vhost, BindingsOf::ToQueue(name), |_| true), &call.query))
}

pub fn of_exchange(call: &Call, vhost: &str, name: &str, side: Side) -> Result<Answer, Refusal> {
    let vhost = call.vhost(vhost)?;
    let name = exchange_name(name);
    let of = match side {
        Side::Source => BindingsOf::Source(name),
        Side::Destination => BindingsOf::ToExchange(name),
    };
    Ok(listing::plain(views(&vhost, of, |_| true), &call.query))
}

/// The bindings between the ends of a path; between ends of which one is not there, there are none.
fn of_path_if_there(vhost: &Vhost, path: &BindingPath) -> Vec<BindingSummary> {
    of_path(vhost, path).unwrap_or_default()
}

/// The bindings between the ends of a path.
fn of_path(vhost: &Vhost, path: &BindingPath) -> Result<Vec<BindingSummary>, Refusal> {
    let source = exchange_name(&path.source);
    vhost.exchange(source).ok_or_else(Refusal::not_found)?;
    let of = if path.to_queue {
        vhost.queue(&path.destination)?;
        BindingsOf::ToQueue(&path.destination)
    } else {
        vhost.exchange(exchange_name(&path.destination)).ok_or_else(Refusal::not_found)?;
        BindingsOf::ToExchange(exchange_name(&path.destination))
    };
    let mut bindings = vhost.bindings(of);
    bindings.retain(|binding| binding.source == source);
    Ok(bindings)
}

pub fn between(call: &Call, path: &BindingPath) -> Result<Answer, Refusal> {
    let vhost = call.vhost(&path.vhost)?;
    if call.method == Method::POST {
        let object = call.object()?;
        let key = text(&object, "routing_key")?;
        let arguments = to_table(object.get("arguments"))?;
        let name = properties_key(&key, &arguments);
        bind(call, &vhost, path, &key, arguments)?;
        // Relative to the request; the key is quoted itself and once more for the path.
        let location = format!("{}/{}", quote_plus(&path.destination), quote_plus(&name));
        return Ok(Answer::empty(StatusCode::CREATED).header("location", location));
    }
    let bindings = of_path_if_there(&vhost, path);
    Ok(listing::plain(bindings.iter().map(|binding| view(&vhost.name, binding)).collect(), &call.query))
}

pub fn item(call: &Call, path: &BindingPath, key: &str) -> Result<Answer, Refusal> {
    let vhost = call.vhost(&path.vhost)?;
    let bindings = of_path(&vhost, path)?;
    let is_meant =
        |binding: &&BindingSummary| properties_key(&binding.routing_key, &binding.arguments) == key;
    let binding = bindings.iter().find(is_meant).or_else(|| bindings.iter().find(|one| is_named(one, key)));
    let binding = binding.ok_or_else(Refusal::not_found)?;
    if call.method == Method::DELETE {
        demand(call, &vhost, path, &binding.routing_key)?;
        let (source, destination) = (exchange_name(&path.source), path.destination.as_str());
        let (key, arguments) = (&binding.routing_key, binding.arguments.clone());
        if path.to_queue {
            vhost.unbind_queue(source, destination, key, arguments)?;
        } else {
            vhost.unbind_exchange(source, exchange_name(destination), key, arguments)?;
        }
        return Ok(Answer::done());
    }
    Ok(listing::single(view(&vhost.name, binding), &call.query))
}

/// Rights as for AMQP: to write to the destination and to read from the source and its topic.
fn demand(call: &Call, vhost: &Vhost, path: &BindingPath, routing_key: &str) -> Result<(), Refused> {
    let destination = if path.to_queue {
        Resource::Queue(&path.destination)
    } else {
        Resource::Exchange(exchange_name(&path.destination))
    };
    call.demand(vhost, Right::Write, destination)?;
    match exchange_name(&path.source) {
        "" => Ok(()),
        source => {
            call.demand(vhost, Right::Read, Resource::Exchange(source))?;
            call.demand_topic(vhost, Right::Read, source, routing_key)
        }
    }
}

/// Binds for the user.
pub fn bind(
    call: &Call,
    vhost: &Vhost,
    path: &BindingPath,
    routing_key: &str,
    arguments: FieldTable,
) -> Result<(), Refusal> {
    demand(call, vhost, path, routing_key)?;
    if 255 < routing_key.len() {
        return Err(Refusal::bad_request("a routing key has at most 255 bytes"));
    }
    let (source, destination) = (exchange_name(&path.source), path.destination.as_str());
    let replay = if path.to_queue {
        match vhost.queue_for(destination, NOBODY) {
            Err(locked @ Refused::Locked { .. }) => return Err(locked.into()),
            // A missing one is the topology's to report.
            _ => vhost.bind_queue(source, destination, routing_key, arguments)?,
        }
    } else {
        vhost.bind_exchange(source, exchange_name(destination), routing_key, arguments)?
    };
    call.node().replay(replay, call.now());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_bindings() {
        let none = FieldTable::default();
        assert_eq!(properties_key("", &none), "~");
        assert_eq!(properties_key("a/b #~", &none), "a%2Fb+%23%7E");
        let some = to_table(Some(&json!({ "x-match": "all" }))).unwrap();
        let key = properties_key("k", &some);
        assert!(key.starts_with("k~") && key.len() == 10, "{key}");
        assert_ne!(key, properties_key("k", &to_table(Some(&json!({ "x-match": "any" }))).unwrap()));
    }
}
