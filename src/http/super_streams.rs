//! Super streams: one exchange, and streams bound to it that are its partitions, declared, shown and deleted as one.
//!
//! Exchange, streams and bindings are what any client could declare, with the arguments that RabbitMQ's tools give
//! them; nothing else says that they belong together.

use hyper::Method;
use serde_json::{Map, Value, json};

use super::{
    answer::{Answer, Refusal},
    bindings,
    call::{Call, text, words},
    exchanges,
    json::{of_table, to_table},
    listing,
    queues::{self, NOBODY},
    route::BindingPath,
};
use crate::{
    amqp::{AMQPValue, FieldTable},
    broker::topology::ExchangeDeclare,
    engine::{
        BindingSummary, BindingsOf, PARTITION_ORDER, QueueDeclare, Resource, Right, SUPER_STREAM, Vhost,
        is_super_stream,
    },
};

/// Partitions of one super stream at most: each is a stream with files of its own.
const PARTITIONS_MAX: usize = 1_000;
/// What routes to partitions: by the publisher's choice of a key, or by a hash of any key.
const KINDS: [&str; 3] = ["direct", "x-modulus-hash", "x-consistent-hash"];

pub fn item(call: &Call, vhost: &str, name: &str) -> Result<Answer, Refusal> {
    let vhost = call.vhost(vhost)?;
    match call.method {
        Method::PUT => add(call, &vhost, name),
        Method::DELETE => delete(call, &vhost, name),
        _ => show(call, &vhost, name),
    }
}

/// A partition to be.
struct Partition {
    stream: String,
    key: String,
    arguments: FieldTable,
}

/// What a body asks for: so many partitions, or one for each binding key.
fn partitions(name: &str, kind: &str, object: &Map<String, Value>) -> Result<Vec<Partition>, Refusal> {
    let count = match object.get("partitions") {
        None | Some(Value::Null) => None,
        Some(value) => Some(value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap_or(0)),
    };
    let keys = words(object.get("binding-keys"));
    let suffixes: Vec<String> = match (count, keys.is_empty()) {
        (Some(_), false) => {
            return Err(Refusal::bad_request("Specify partitions or binding-keys, not both"));
        }
        (None, true) => return Err(Refusal::bad_request("Specify partitions or binding-keys")),
        (Some(0), _) => return Err(Refusal::bad_request("The partition number must be greater than 0")),
        (Some(count), _) => (0..count.min(PARTITIONS_MAX as u64 + 1)).map(|at| at.to_string()).collect(),
        (None, false) => keys,
    };
    if PARTITIONS_MAX < suffixes.len() {
        let text = format!("a super stream has at most {PARTITIONS_MAX} partitions");
        return Err(Refusal::bad_request(text));
    }
    let partition = |(suffix, order): (String, i64)| {
        let mut arguments = FieldTable::default();
        arguments.insert(PARTITION_ORDER.into(), AMQPValue::LongLongInt(order));
        // There the key is a weight, and all have the same.
        let key = if kind == "x-consistent-hash" { "1".to_owned() } else { suffix.clone() };
        Partition { stream: format!("{name}-{suffix}"), key, arguments }
    };
    Ok(suffixes.into_iter().zip(0..).map(partition).collect())
}

/// Declares all of it, or nothing.
fn add(call: &Call, vhost: &Vhost, name: &str) -> Result<Answer, Refusal> {
    let object = call.object()?;
    let kind = match text(&object, "type")? {
        kind if kind.is_empty() => KINDS[0].to_owned(),
        kind if KINDS.contains(&kind.as_str()) => kind,
        other => {
            let text = format!("type: expected one of {}, not '{other}'", KINDS.join(", "));
            return Err(Refusal::bad_request(text));
        }
    };
    let partitions = partitions(name, &kind, &object)?;
    let mut arguments = to_table(object.get("arguments"))?;
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("stream".into()));
    let mut made = Made { call, vhost, exchange: None, streams: Vec::new(), is_kept: false };
    made.exchange(name, &kind)?;
    for partition in partitions {
        made.partition(name, partition, &arguments)?;
    }
    made.is_kept = true;
    let is_new = made.exchange.is_some();
    if is_new {
        tracing::info!("super stream '{}' created by user '{}'", name.escape_debug(), call.user.name);
    }
    Ok(Answer::put(is_new))
}

/// What was declared so far; it goes again unless everything else could be declared, too.
struct Made<'a> {
    call: &'a Call,
    vhost: &'a Vhost,
    exchange: Option<String>,
    streams: Vec<String>,
    is_kept: bool,
}

impl Made<'_> {
    fn exchange(&mut self, name: &str, kind: &str) -> Result<(), Refusal> {
        let mut arguments = FieldTable::default();
        arguments.insert(SUPER_STREAM.into(), AMQPValue::Boolean(true));
        // Equivalence does not look at this argument.
        if self.vhost.exchange(name).is_some_and(|found| !is_super_stream(&found.arguments)) {
            return Err(Refusal::bad_request(format!("exchange '{name}' is no super stream")));
        }
        let declare = ExchangeDeclare { kind, durable: true, auto_delete: false, internal: false, arguments };
        if exchanges::declare_exchange(self.call, self.vhost, name, declare)? {
            self.exchange = Some(name.to_owned());
        }
        Ok(())
    }

    fn partition(
        &mut self,
        source: &str,
        partition: Partition,
        arguments: &FieldTable,
    ) -> Result<(), Refusal> {
        let Partition { stream, key, arguments: binding } = partition;
        let arguments = arguments.clone();
        let declare = QueueDeclare { durable: true, auto_delete: false, exclusive: false, arguments };
        if queues::declare_queue(self.call, self.vhost, &stream, declare)? {
            self.streams.push(stream.clone());
        }
        let path = BindingPath {
            vhost: self.vhost.name.to_string(),
            source: source.to_owned(),
            destination: stream,
            to_queue: true,
        };
        bindings::bind(self.call, self.vhost, &path, &key, binding)
    }
}

impl Drop for Made<'_> {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        for stream in &self.streams {
            if let Ok(queue) = self.vhost.queue(stream) {
                let _gone_either_way = self.vhost.delete_queue(&queue, false, false);
            }
        }
        if let Some(exchange) = &self.exchange {
            let _gone_either_way = self.vhost.delete_exchange(exchange, false);
        }
    }
}

/// The partitions of a super stream, in their order.
fn found(vhost: &Vhost, name: &str) -> Result<Vec<BindingSummary>, Refusal> {
    let exchange = vhost.exchange(name).filter(|exchange| is_super_stream(&exchange.arguments));
    exchange.ok_or_else(Refusal::not_found)?;
    let mut bindings = vhost.bindings(BindingsOf::Source(name));
    bindings.retain(|binding| {
        binding.to_queue && vhost.queue(&binding.destination).is_ok_and(|queue| queue.is_stream())
    });
    bindings.sort_by_key(|binding| (order(binding), binding.destination.clone()));
    Ok(bindings)
}

fn order(binding: &BindingSummary) -> Option<u64> {
    of_table(&binding.arguments).get(PARTITION_ORDER)?.as_u64()
}

fn show(call: &Call, vhost: &Vhost, name: &str) -> Result<Answer, Refusal> {
    let partition = |binding: &BindingSummary| {
        let messages = vhost.queue(&binding.destination).map_or(0, |queue| queue.counts().ready);
        json!({
            "name": binding.destination,
            "binding_key": binding.routing_key,
            "order": order(binding),
            "messages": messages,
        })
    };
    let partitions: Vec<Value> = found(vhost, name)?.iter().map(partition).collect();
    let view = json!({ "name": name, "vhost": &*vhost.name, "partitions": partitions });
    Ok(listing::single(view, &call.query))
}

fn delete(call: &Call, vhost: &Vhost, name: &str) -> Result<Answer, Refusal> {
    let partitions = found(vhost, name)?;
    call.demand(vhost, Right::Configure, Resource::Exchange(name))?;
    for partition in &partitions {
        call.demand(vhost, Right::Configure, Resource::Queue(&partition.destination))?;
    }
    for partition in &partitions {
        if let Ok(queue) = vhost.queue_for(&partition.destination, NOBODY) {
            vhost.delete_queue(&queue, false, false)?;
        }
    }
    vhost.delete_exchange(name, false)?;
    tracing::info!("super stream '{}' deleted by user '{}'", name.escape_debug(), call.user.name);
    Ok(Answer::done())
}
