//! Micro-benchmarks: codec, routing, queue, and the whole way of a message through sessions without sockets.
//!
//! `cargo bench` runs all, `cargo bench -- growth` those that show how cost grows with depth, bindings, queues,
//! connections and unacknowledged messages: the time of a batch must not depend on their number.

#[path = "../tests/common/session.rs"]
mod session;

use divan::{Bencher, black_box, counter::ItemsCount};

#[global_allocator]
static GLOBAL: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    divan::main();
}

/// What is done once a message, by itself.
mod codec {
    use leveret::amqp::{
        FrameHead, encode,
        frame::{END, HEAD},
        hot,
        properties::{ContentHeader, Properties},
    };

    use super::{Bencher, black_box, session::push_publish};

    /// content-type, delivery-mode, correlation-id.
    const PROPERTIES: &[u8] = b"\x94\x00\x0atext/plain\x02\x0aabcdefghij";

    #[divan::bench]
    fn parse_publish_and_header(bencher: Bencher) {
        let mut octets = Vec::new();
        push_publish(&mut octets, "exchange", "routing.key", PROPERTIES, b"body");
        bencher.bench_local(|| {
            let mut rest = black_box(&octets[..]);
            let mut seen = 0;
            while let Some(head) = FrameHead::parse(rest) {
                let (frame, after) = rest.split_at(head.frame_size());
                let payload = &frame[HEAD..frame.len() - 1];
                assert_eq!(frame.last(), Some(&END));
                seen += match frame[0] {
                    1 => hot::publish(payload).map_or(0, |publish| publish.routing_key.len()),
                    2 => ContentHeader::parse(payload).map_or(0, |header| header.properties.len()),
                    _ => payload.len(),
                };
                rest = after;
            }
            seen
        });
    }

    #[divan::bench]
    fn scan_properties(bencher: Bencher) {
        bencher.bench_local(|| Properties::scan(black_box(PROPERTIES), 32).is_ok());
    }

    #[divan::bench(args = [16, 1024])]
    fn encode_delivery(bencher: Bencher, size: usize) {
        let (mut out, body) = (Vec::new(), vec![b'x'; size]);
        let deliver = encode::Deliver {
            consumer_tag: b"ctag",
            delivery_tag: 7,
            redelivered: false,
            exchange: b"exchange",
            routing_key: b"routing.key",
        };
        bencher.bench_local(|| {
            out.clear();
            encode::deliver(&mut out, 1, black_box(&deliver));
            encode::content_header(&mut out, 1, size as u64, PROPERTIES);
            encode::body(&mut out, 1, black_box(&body));
            out.len()
        });
    }
}

/// Finding the queues of a message that no cache knows.
mod routing {
    use leveret::{
        amqp::{
            AMQPValue, FieldTable,
            basic::AMQPProperties,
            properties::{self, Properties},
        },
        broker::{
            queue_type::QueueType,
            topology::{RoutingKeys, Scratch, Topology, Traits},
        },
    };

    use super::{Bencher, black_box};

    const BINDINGS: [usize; 4] = [1, 100, 10_000, 100_000];

    fn topology(exchange: &str, bindings: impl Iterator<Item = (String, FieldTable)>) -> Topology<u32> {
        let mut topology = Topology::new("/");
        assert!(topology.insert_queue("q", 1, QueueType::Classic, false), "a new queue");
        for (key, arguments) in bindings {
            topology.bind_queue(exchange, "q", &key, arguments).expect("both are there");
        }
        topology
    }

    fn route(bencher: Bencher, topology: &Topology<u32>, exchange: &str, key: &str, properties: &[u8]) {
        let scanned = Properties::scan(properties, 8).expect("properties");
        let traits = Traits { headers: scanned.headers(), properties };
        let (mut found, mut scratch) = (Vec::new(), Scratch::default());
        bencher.bench_local(|| {
            found.clear();
            let keys = RoutingKeys::only(black_box(key.as_bytes()));
            topology.route(exchange, &keys, &traits, &mut found, &mut scratch).expect("it exists");
            assert_eq!(found.len(), 1);
        });
    }

    #[divan::bench(args = BINDINGS)]
    fn direct(bencher: Bencher, bindings: usize) {
        let keys = (0..bindings).map(|number| (format!("key.{number}"), FieldTable::default()));
        route(bencher, &topology("amq.direct", keys), "amq.direct", "key.0", &[0, 0]);
    }

    #[divan::bench(args = BINDINGS)]
    fn topic(bencher: Bencher, bindings: usize) {
        let key = |number| match number % 3 {
            0 => format!("a.*.b{number}"),
            1 => format!("a.b{number}.#"),
            _ => format!("#.b{number}"),
        };
        let keys = (0..bindings).map(|number| (key(number), FieldTable::default()));
        route(bencher, &topology("amq.topic", keys), "amq.topic", "a.x.b0", &[0, 0]);
    }

    #[divan::bench(args = BINDINGS)]
    fn headers(bencher: Bencher, bindings: usize) {
        let table = |number: usize| {
            let mut table = FieldTable::default();
            table.insert("kind".into(), AMQPValue::LongString("order".into()));
            table.insert("region".into(), AMQPValue::LongString(format!("r{number}").into()));
            table
        };
        let matches = (0..bindings).map(|number| {
            let mut arguments = table(number);
            arguments.insert("x-match".into(), AMQPValue::LongString("all".into()));
            (String::new(), arguments)
        });
        let properties = properties::encode(&AMQPProperties::default().with_headers(table(0)));
        route(bencher, &topology("amq.headers", matches), "amq.headers", "", &properties);
    }
}

/// One queue, without a lock.
mod queue {
    use leveret::broker::{
        Message, Parts,
        memory::Account,
        queue::{Acknowledges, ConsumerSettings, Effects, Entry, Got, Outlet, Queue, QueueSettings, Wakes},
    };

    use super::{Bencher, ItemsCount};

    /// Messages of a batch.
    const BATCH: usize = 1000;

    /// A connection that drops what it gets.
    struct Sink;

    impl Outlet for Sink {
        fn deliver(&self, batch: &mut Vec<Entry>, _: &mut Wakes) {
            batch.clear();
        }
    }

    fn message() -> Message {
        let parts = Parts {
            exchange: b"",
            routing_key: b"q",
            properties: &[0, 0],
            persistent: false,
            priority: 0,
            expiration: None,
            account: Account::UNCOUNTED,
        };
        Message::new(&parts, b"body", &mut Vec::new())
    }

    #[divan::bench]
    fn make_message(bencher: Bencher) {
        bencher.bench_local(message);
    }

    /// A batch in and out again, on top of so many others.
    #[divan::bench(args = [0, 1000, 1_000_000])]
    fn publish_and_get(bencher: Bencher, depth: usize) {
        let (mut queue, mut effects, message) =
            (Queue::<Sink>::new(QueueSettings::default(), 0), Effects::default(), message());
        queue.publish((0..depth).map(|_| message.clone()), 0, &mut effects, |_, _| ());
        bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
            queue.publish((0..BATCH).map(|_| message.clone()), 0, &mut effects, |_, _| ());
            for _ in 0..BATCH {
                assert!(matches!(queue.get(false, 0, &mut effects), Got::Entry(..)));
            }
        });
    }

    /// A batch to so many consumers, which take it at once.
    #[divan::bench(args = [1, 10, 1000])]
    fn publish_to_consumers(bencher: Bencher, consumers: usize) {
        let (mut queue, mut effects, message) =
            (Queue::<Sink>::new(QueueSettings::default(), 0), Effects::default(), message());
        let settings = || ConsumerSettings {
            acknowledges: Acknowledges::Never,
            priority: 0,
            exclusive: false,
            shared: None,
        };
        let keys: Vec<_> =
            (0..consumers).filter_map(|_| queue.consume(Sink, settings(), 0, &mut effects).ok()).collect();
        bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
            queue.publish((0..BATCH).map(|_| message.clone()), 0, &mut effects, |_, _| ());
            let each = (BATCH / consumers) as u32;
            keys.iter().for_each(|key| queue.written(*key, each, 4 * u64::from(each), 0, &mut effects));
            assert_eq!(queue.counts().ready, 0);
        });
    }
}

/// From the octets of a publish to those of its delivery; a batch of 1,000.
mod message {
    use super::{
        Bencher, ItemsCount,
        session::{Client, acks, node, publishes},
    };

    const BATCH: usize = 1000;

    #[divan::bench(args = [16, 1024, 65_000])]
    fn publish_to_delivery(bencher: Bencher, size: usize) {
        let node = node();
        let (mut publisher, mut reader) = (Client::connect(&node), Client::connect(&node));
        publisher.declare("q");
        reader.consume("q", true);
        let octets = publishes(BATCH, "", "q", size);
        bencher.counter(ItemsCount::new(BATCH)).bench_local(|| publisher.send_to(&octets, Some(&mut reader)));
    }

    #[divan::bench]
    fn publish_to_acknowledgement(bencher: Bencher) {
        let node = node();
        let (mut publisher, mut reader) = (Client::connect(&node), Client::connect(&node));
        publisher.declare("q");
        reader.consume("q", false);
        let octets = publishes(BATCH, "", "q", 16);
        let mut last = 0;
        bencher
            .counter(ItemsCount::new(BATCH))
            .with_inputs(|| {
                last += BATCH as u64;
                acks(last + 1 - BATCH as u64..=last)
            })
            .bench_local_values(|settlements| {
                publisher.send_to(&octets, Some(&mut reader));
                reader.send(&settlements);
            });
    }
}

/// The time of 1,000 messages from publish to delivery or queue, beside so much of something else.
mod growth {
    use leveret::amqp::FieldTable;

    use super::{
        Bencher, ItemsCount,
        session::{Client, acks, node, publishes, push_publish},
    };

    const BATCH: usize = 1000;

    /// Publishes to a queue that holds so many messages, and gets longer.
    #[divan::bench(args = [0, 10_000, 1_000_000], max_time = 1)]
    fn depth(bencher: Bencher, depth: usize) {
        let node = node();
        let mut publisher = Client::connect(&node);
        publisher.declare("q");
        let octets = publishes(BATCH, "", "q", 16);
        (0..depth / BATCH).for_each(|_| publisher.send(&octets));
        bencher.counter(ItemsCount::new(BATCH)).bench_local(|| publisher.send(&octets));
    }

    /// Takes turns with keys that no route in the cache knows, through so many wildcards.
    #[divan::bench(args = [10, 1000, 100_000], max_time = 1)]
    fn bindings(bencher: Bencher, bindings: usize) {
        let node = node();
        let (mut publisher, mut reader) = (Client::connect(&node), Client::connect(&node));
        publisher.declare("q");
        reader.consume("q", true);
        for number in 0..bindings {
            publisher.bind("q", "amq.topic", &format!("*.b{number}.#"), FieldTable::default());
        }
        let mut octets = Vec::new();
        for number in 0..BATCH {
            let key = format!("a.b{}.c", number % bindings);
            push_publish(&mut octets, "amq.topic", &key, &[0, 0], b"body");
        }
        bencher.counter(ItemsCount::new(BATCH)).bench_local(|| publisher.send_to(&octets, Some(&mut reader)));
    }

    /// Each batch to one queue of so many.
    #[divan::bench(args = [1, 1000, 100_000], max_time = 1)]
    fn queues(bencher: Bencher, queues: usize) {
        let node = node();
        let (mut publisher, mut reader) = (Client::connect(&node), Client::connect(&node));
        (0..queues).for_each(|number| publisher.declare(&format!("q{number}")));
        let middle = format!("q{}", queues / 2);
        reader.consume(&middle, true);
        let octets = publishes(BATCH, "", &middle, 16);
        bencher.counter(ItemsCount::new(BATCH)).bench_local(|| publisher.send_to(&octets, Some(&mut reader)));
    }

    /// So many further connections, each with a consumer of a queue of its own.
    #[divan::bench(args = [0, 100, 10_000], max_time = 1)]
    fn connections(bencher: Bencher, connections: usize) {
        let node = node();
        let (mut publisher, mut reader) = (Client::connect(&node), Client::connect(&node));
        publisher.declare("q");
        reader.consume("q", true);
        let others: Vec<Client> = (0..connections)
            .map(|number| {
                let (mut other, name) = (Client::connect(&node), format!("other{number}"));
                other.declare(&name);
                other.consume(&name, true);
                other
            })
            .collect();
        let octets = publishes(BATCH, "", "q", 16);
        bencher.counter(ItemsCount::new(BATCH)).bench_local(|| publisher.send_to(&octets, Some(&mut reader)));
        drop(others);
    }

    /// Each delivery is acknowledged, so many behind the last.
    #[divan::bench(args = [0, 10_000, 1_000_000], max_time = 1)]
    fn unacked(bencher: Bencher, unacked: u64) {
        let node = node();
        let (mut publisher, mut reader) = (Client::connect(&node), Client::connect(&node));
        publisher.declare("q");
        reader.consume("q", false);
        let octets = publishes(BATCH, "", "q", 16);
        (0..unacked / BATCH as u64).for_each(|_| publisher.send_to(&octets, Some(&mut reader)));
        let mut last = 0;
        bencher
            .counter(ItemsCount::new(BATCH))
            .with_inputs(|| {
                last += BATCH as u64;
                acks(last + 1 - BATCH as u64..=last)
            })
            .bench_local_values(|settlements| {
                publisher.send_to(&octets, Some(&mut reader));
                reader.send(&settlements);
            });
    }
}
