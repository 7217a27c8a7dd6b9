//! Topic matching against a matcher that only follows the definition.
#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use leveret::amqp::FieldTable;
use leveret::broker::queue_type::QueueType;
use leveret::broker::topology::{ExchangeDeclare, RoutingKeys, Scratch, Topology, Traits};
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeSet;

const EXCHANGE: &str = "topics";
/// Queues by number; few, so that several patterns share one.
const QUEUES: usize = 4;
/// A naive match may take exponential time, so keys stay short.
const WORDS_MAX: usize = 7;

#[derive(Arbitrary, Debug)]
enum Step {
    Bind { queue: u8, pattern: Key },
    Unbind { nth: u8 },
    Route { key: Key },
}

/// Words separated by dots.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key(String);

impl<'a> Arbitrary<'a> for Key {
    fn arbitrary(input: &mut Unstructured<'a>) -> arbitrary::Result<Key> {
        const WORDS: [&str; 10] = ["a", "b", "", "*", "#", "#", "ab", "**", "#a", "ü"];
        let count = input.int_in_range(0..=WORDS_MAX)?;
        let words: Vec<&str> = (0..count).map(|_| input.choose(&WORDS).copied()).collect::<Result<_, _>>()?;
        Ok(Key(words.join(".")))
    }
}

fuzz_target!(|steps: Vec<Step>| {
    let mut topology = Topology::new("/");
    let declare = ExchangeDeclare {
        kind: "topic",
        durable: false,
        auto_delete: false,
        internal: false,
        arguments: FieldTable::default(),
    };
    topology.declare_exchange(EXCHANGE, declare).expect("a new exchange");
    for queue in 0..QUEUES {
        assert!(topology.insert_queue(&queue.to_string(), queue, QueueType::Classic, false));
    }
    let mut bindings: BTreeSet<(usize, Key)> = BTreeSet::new();
    let mut scratch = Scratch::default();
    for step in steps {
        match step {
            Step::Bind { queue, pattern } => {
                let queue = usize::from(queue) % QUEUES;
                let name = queue.to_string();
                topology.bind_queue(EXCHANGE, &name, &pattern.0, FieldTable::default()).expect("both exist");
                bindings.insert((queue, pattern));
            }
            Step::Unbind { nth } => {
                let Some((queue, pattern)) = bindings.iter().nth(usize::from(nth)).cloned() else { continue };
                let name = queue.to_string();
                topology
                    .unbind_queue(EXCHANGE, &name, &pattern.0, FieldTable::default())
                    .expect("both exist");
                bindings.remove(&(queue, pattern));
            }
            Step::Route { key } => route(&topology, &bindings, &key, &mut scratch),
        }
    }
});

fn route(topology: &Topology<usize>, bindings: &BTreeSet<(usize, Key)>, key: &Key, scratch: &mut Scratch) {
    let mut found = Vec::new();
    let keys = RoutingKeys::only(key.0.as_bytes());
    topology.route(EXCHANGE, &keys, &Traits::default(), &mut found, scratch).expect("the exchange exists");
    let distinct: BTreeSet<usize> = found.iter().copied().collect();
    assert_eq!(distinct.len(), found.len(), "a queue is found twice: {found:?}");
    let expected = bindings.iter().filter(|(_, pattern)| matches(&words(&pattern.0), &words(&key.0)));
    assert_eq!(distinct, expected.map(|(queue, _)| *queue).collect(), "key {key:?}");
}

/// None for an empty key, else one more than it has dots.
fn words(key: &str) -> Vec<&str> {
    if key.is_empty() { Vec::new() } else { key.split('.').collect() }
}

fn matches(pattern: &[&str], key: &[&str]) -> bool {
    match (pattern, key) {
        ([], []) => true,
        (["#", rest @ ..], _) => (0..=key.len()).any(|swallowed| matches(rest, &key[swallowed..])),
        (["*", rest @ ..], [_, key @ ..]) => matches(rest, key),
        ([word, rest @ ..], [first, key @ ..]) => word == first && matches(rest, key),
        _ => false,
    }
}
