//! Tests of the topology through its public face, by subject.

mod binding;
mod declare;
mod exchange_types;
mod further;
mod headers;
mod route;
mod topic;

use super::*;
use crate::broker::queue_type::QueueType;
use amq_protocol::types::{AMQPValue, FieldTable};

type Names = Topology<&'static str>;

/// A topology with these queues, each its own handle.
fn with_queues(queues: &[&'static str]) -> Names {
    let mut topology = Names::new("/");
    for queue in queues {
        assert!(topology.insert_queue(queue, queue, QueueType::Classic, true));
    }
    topology
}

/// A durable exchange without arguments.
fn plain(kind: &str) -> ExchangeDeclare<'_> {
    let arguments = FieldTable::default();
    ExchangeDeclare { kind, durable: true, auto_delete: false, internal: false, arguments }
}

fn auto_delete(kind: &str) -> ExchangeDeclare<'_> {
    ExchangeDeclare { auto_delete: true, ..plain(kind) }
}

fn with_alternate<'a>(kind: &'a str, alternate: &str) -> ExchangeDeclare<'a> {
    ExchangeDeclare { arguments: table([("alternate-exchange", string(alternate))]), ..plain(kind) }
}

fn table<const N: usize>(fields: [(&str, AMQPValue); N]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in fields {
        table.insert(name.into(), value);
    }
    table
}

fn string(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

fn int(number: i32) -> AMQPValue {
    AMQPValue::LongInt(number)
}

impl Names {
    fn exchange_of(&mut self, name: &str, kind: &str) {
        assert_eq!(self.declare_exchange(name, plain(kind)), Ok(Declared::Created));
    }

    fn queue_to(&mut self, source: &str, queue: &str, key: &str) {
        let bound = self.bind_queue(source, queue, key, FieldTable::default());
        assert_eq!(bound, Ok(Bound::Created));
    }

    fn exchange_to(&mut self, source: &str, destination: &str, key: &str) {
        let bound = self.bind_exchange(source, destination, key, FieldTable::default());
        assert_eq!(bound, Ok(Bound::Created));
    }

    /// The queues reached, sorted; panics if one comes twice.
    fn reached(&self, exchange: &str, keys: &RoutingKeys<'_>, headers: &FieldTable) -> Vec<&'static str> {
        let body = crate::amqp::table::field_table_bytes(headers);
        let traits = headers_only(crate::amqp::table::TableRef::new(&body));
        let mut queues = Vec::new();
        let routed = self.route(exchange, keys, &traits, &mut queues, &mut Scratch::default());
        routed.expect("the exchange exists");
        queues.sort_unstable();
        assert!(queues.windows(2).all(|pair| pair[0] != pair[1]), "a queue came twice: {queues:?}");
        queues
    }

    fn by_key(&self, exchange: &str, key: &str) -> Vec<&'static str> {
        self.reached(exchange, &RoutingKeys::only(key.as_bytes()), &FieldTable::default())
    }

    fn by_headers(&self, exchange: &str, headers: FieldTable) -> Vec<&'static str> {
        self.reached(exchange, &RoutingKeys::only(b""), &headers)
    }
}

/// Headers, and no other properties.
fn headers_only(headers: crate::amqp::table::TableRef<'_>) -> Traits<'_> {
    Traits { headers: Some(headers), properties: &[] }
}

/// The text of the error that an operation must give.
fn refused<T: std::fmt::Debug>(result: Result<T, TopologyError>) -> String {
    result.expect_err("must be refused").to_string()
}
