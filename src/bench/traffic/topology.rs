//! The queues, the exchange and the bindings of a run: declared before it, deleted after it.

use std::process;

use crate::bench::{
    client::{
        connection::{Connection, Role},
        inbound::read_u32,
        wire::{CHANNEL, Envelope, Table, Value, id},
    },
    error::Result,
    options::{Exchange, Options},
};

/// What the run works on; lives on its own connection, which clean-up uses too.
pub struct Topology {
    /// `None` for a relay, which has no queues.
    control: Option<Connection>,
    exchange: String,
    queues: Vec<String>,
    /// Messages that the queues held when they were declared.
    held: u64,
    /// Everything stays when the run is over.
    keep: bool,
    /// What a message must look like to match each binding.
    envelopes: Vec<Envelope>,
}

/// One binding: what the broker is given, and an envelope that matches it and no other.
struct Binding {
    pattern: String,
    arguments: Table,
    routing_key: String,
    headers: Table,
}

impl Topology {
    /// Declares everything; unless given, the names are this process's own.
    pub fn declare(options: &Options) -> Result<Topology> {
        let (prefix, queues) = names(options);
        let exchange = match options.exchange {
            Exchange::Default => String::new(),
            _ => prefix,
        };
        let keep = options.keep;
        let mut topology = Topology { control: None, exchange, queues, held: 0, keep, envelopes: Vec::new() };
        let bindings = topology.bindings(options);
        let matched = options.keys.unwrap_or(bindings.len()).min(bindings.len());
        topology.envelopes = bindings[..matched]
            .iter()
            .map(|binding| Envelope {
                exchange: topology.exchange.clone(),
                routing_key: binding.routing_key.clone(),
                headers: binding.headers.clone(),
                reply_to: None,
                persistent: options.persistent,
            })
            .collect();
        if !options.uri.is_relay() {
            let mut control = Connection::open(&options.uri, Role::Producer)?;
            let declared = topology.declare_on(&mut control, options, &bindings);
            topology.control = Some(control);
            match declared {
                Ok(held) => topology.held = held,
                Err(error) => {
                    // What was declared before the mistake goes too; the mistake is what to report.
                    let _ = topology.delete();
                    return Err(error);
                }
            }
        }
        Ok(topology)
    }

    /// Messages that the queues held when they were declared.
    pub fn held(&self) -> u64 {
        self.held
    }

    pub fn queues(&self) -> &[String] {
        &self.queues
    }

    /// The queues that consumer `number` of `consumers` reads: every queue gets someone.
    pub fn queues_of(&self, number: usize, consumers: usize) -> Vec<&str> {
        let count = self.queues.len();
        if consumers >= count {
            return vec![&self.queues[number % count]];
        }
        self.queues.iter().skip(number).step_by(consumers).map(String::as_str).collect()
    }

    /// The envelopes that producer `number` of `producers` takes turns with.
    pub fn envelopes_of(&self, number: usize, producers: usize) -> Vec<Envelope> {
        let count = self.envelopes.len();
        if producers > count {
            return vec![self.envelopes[number % count].clone()];
        }
        self.envelopes.iter().skip(number).step_by(producers).cloned().collect()
    }

    fn bindings(&self, options: &Options) -> Vec<Binding> {
        match options.exchange {
            Exchange::Default => self.queues.iter().map(|queue| exact_binding(queue)).collect(),
            Exchange::Fanout => vec![exact_binding("")],
            kind => (0..options.bindings.max(self.queues.len()))
                .map(|number| match kind {
                    Exchange::Topic => topic_binding(number),
                    Exchange::Headers => headers_binding(number),
                    _ => exact_binding(&format!("bench.b{number}")),
                })
                .collect(),
        }
    }

    /// Returns how many messages are in the queues.
    fn declare_on(&self, control: &mut Connection, options: &Options, bindings: &[Binding]) -> Result<u64> {
        let durable = u8::from(options.is_durable()) << 1;
        let mut held = 0;
        let arguments = options.queue_arguments();
        for queue in &self.queues {
            let answer = control.call(id::QUEUE_DECLARE, id::QUEUE_DECLARE_OK, |fields| {
                fields.short(0).short_string(queue).octet(durable).table(&arguments)
            })?;
            held += message_count(&answer);
        }
        let kind = match options.exchange {
            Exchange::Default => return Ok(held),
            Exchange::Direct => "direct",
            Exchange::Fanout => "fanout",
            Exchange::Topic => "topic",
            Exchange::Headers => "headers",
        };
        control.call(id::EXCHANGE_DECLARE, id::EXCHANGE_DECLARE_OK, |fields| {
            let fields = fields.short(0).short_string(&self.exchange).short_string(kind);
            fields.octet(durable).table(&[])
        })?;
        self.bind(control, bindings)?;
        Ok(held)
    }

    fn bind(&self, control: &mut Connection, bindings: &[Binding]) -> Result<()> {
        let count = bindings.len().max(self.queues.len());
        for number in 0..count {
            let binding = &bindings[number % bindings.len()];
            let queue = &self.queues[number % self.queues.len()];
            // Only the last waits: a thousand round trips say nothing a single one does not.
            let last = number + 1 == count;
            control.send(CHANNEL, id::QUEUE_BIND, |fields| {
                let fields = fields.short(0).short_string(queue).short_string(&self.exchange);
                fields.short_string(&binding.pattern).octet(u8::from(!last)).table(&binding.arguments)
            })?;
        }
        control.expect(id::QUEUE_BIND_OK)?;
        Ok(())
    }

    /// Deletes everything, unless it is to be kept, and closes the control connection.
    pub fn delete(self) -> Result<()> {
        let Some(mut control) = self.control else { return Ok(()) };
        if self.keep {
            return control.close();
        }
        for queue in &self.queues {
            control.call(id::QUEUE_DELETE, id::QUEUE_DELETE_OK, |fields| {
                fields.short(0).short_string(queue).octet(0)
            })?;
        }
        if !self.exchange.is_empty() {
            control.call(id::EXCHANGE_DELETE, id::EXCHANGE_DELETE_OK, |fields| {
                fields.short(0).short_string(&self.exchange).octet(0)
            })?;
        }
        control.close()
    }
}

/// The prefix of all names, and the queues' names.
fn names(options: &Options) -> (String, Vec<String>) {
    let prefix = options.name.clone().unwrap_or_else(|| format!("bench-{}", process::id()));
    let queues = (0..options.queues).map(|number| format!("{prefix}-{number}")).collect();
    (prefix, queues)
}

/// How many messages the queues of a run hold, without declaring them.
pub fn count_held(control: &mut Connection, options: &Options) -> Result<u64> {
    const PASSIVE: u8 = 1;
    let mut held = 0;
    for queue in names(options).1 {
        let answer = control.call(id::QUEUE_DECLARE, id::QUEUE_DECLARE_OK, |fields| {
            fields.short(0).short_string(&queue).octet(PASSIVE).table(&[])
        })?;
        held += message_count(&answer);
    }
    Ok(held)
}

/// The messages that a declare-ok counts, behind the queue's name.
fn message_count(answer: &[u8]) -> u64 {
    let name = answer.first().map_or(0, |length| usize::from(*length));
    u64::from(read_u32(answer, 1 + name))
}

fn exact_binding(key: &str) -> Binding {
    Binding { pattern: key.to_owned(), arguments: vec![], routing_key: key.to_owned(), headers: vec![] }
}

/// The three shapes a wildcard takes; the number is a word, so no key matches another's pattern.
fn topic_binding(number: usize) -> Binding {
    let (pattern, routing_key) = match number % 3 {
        0 => (format!("bench.*.b{number}"), format!("bench.x.b{number}")),
        1 => (format!("bench.b{number}.#"), format!("bench.b{number}.x.y")),
        _ => (format!("#.b{number}"), format!("bench.x.y.b{number}")),
    };
    Binding { pattern, arguments: vec![], routing_key, headers: vec![] }
}

fn headers_binding(number: usize) -> Binding {
    let text = |text: &str| Value::Text(text.to_owned());
    let headers =
        vec![("kind".to_owned(), text("order")), ("region".to_owned(), text(&format!("r{number}")))];
    let mut arguments = headers.clone();
    arguments.push(("x-match".to_owned(), text("all")));
    Binding { pattern: String::new(), arguments, routing_key: String::new(), headers }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::client::wire::Payload;

    /// Topic matching by the book: '*' is one word, '#' any number.
    fn matches(pattern: &[&str], key: &[&str]) -> bool {
        match (pattern.split_first(), key.split_first()) {
            (None, None) => true,
            (Some((&"#", rest)), _) => (0..=key.len()).any(|skipped| matches(rest, &key[skipped..])),
            (Some((&word, pattern)), Some((&first, key))) => {
                (word == "*" || word == first) && matches(pattern, key)
            }
            _ => false,
        }
    }

    #[test]
    fn each_topic_key_matches_exactly_its_own_pattern() {
        let bindings: Vec<Binding> = (0..40).map(topic_binding).collect();
        for (number, binding) in bindings.iter().enumerate() {
            let key: Vec<&str> = binding.routing_key.split('.').collect();
            let hits: Vec<usize> = (0..bindings.len())
                .filter(|&other| matches(&bindings[other].pattern.split('.').collect::<Vec<_>>(), &key))
                .collect();
            assert_eq!(hits, [number]);
        }
    }

    #[test]
    fn a_declare_ok_counts_behind_the_name() {
        let answer = Payload::default().short_string("bench-7-0").long(70_000).long(3);
        assert_eq!(message_count(&answer.0), 70_000);
        assert_eq!(message_count(&[]), 0);
    }

    #[test]
    fn every_queue_has_a_consumer_and_every_key_a_producer() {
        let queues: Vec<String> = (0..5).map(|number| format!("q{number}")).collect();
        let envelopes =
            (0..5).map(|number| Envelope { routing_key: format!("k{number}"), ..Envelope::default() });
        let (exchange, envelopes) = (String::new(), envelopes.collect());
        let topology = Topology { control: None, exchange, queues, held: 0, keep: false, envelopes };
        for workers in 1..8 {
            let mut read: Vec<&str> =
                (0..workers).flat_map(|number| topology.queues_of(number, workers)).collect();
            read.sort_unstable();
            read.dedup();
            assert_eq!(read.len(), 5, "{workers} consumers");
            let mut keys: Vec<String> = (0..workers)
                .flat_map(|number| topology.envelopes_of(number, workers))
                .map(|envelope| envelope.routing_key)
                .collect();
            keys.sort_unstable();
            keys.dedup();
            assert_eq!(keys.len(), 5, "{workers} producers");
        }
    }
}
