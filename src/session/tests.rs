//! A basic.get whose message is on disk: it waits, what follows it waits, and neither is ever lost.

use std::{
    io::IoSlice,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    task::Wake,
};

use super::*;
use crate::{
    amqp::{FieldTable, basic, channel, connection, encode, method, queue},
    broker::{memory::Account, queue::PageOut},
    engine::{Access, Allowances, Journal, LoginGuard, NodeSettings, RoomLimits},
};

#[derive(Default)]
struct Flag(AtomicU32);

impl Wake for Flag {
    fn wake(self: Arc<Flag>) {
        self.0.fetch_add(1, Relaxed);
    }
}

/// A client on channel 1 with the queue "q" of four messages, all on disk in two pages.
struct Bench {
    node: Arc<Node>,
    session: Session,
    /// Sent but not used up.
    input: Vec<u8>,
    pages: Vec<PageOut>,
    flag: Arc<Flag>,
}

fn node() -> Arc<Node> {
    let mut access = Access::default();
    access.add("guest", "guest", false);
    Arc::new(Node::new(NodeSettings {
        access,
        guard: LoginGuard::new(u32::MAX, 0),
        vhosts: vec!["/".to_owned()],
        memory_limit: u64::MAX,
        account: Account::UNCOUNTED,
        journal: Journal::default(),
        allowances: Allowances::default(),
        room: RoomLimits::default(),
        random: || 0,
        name: "leveret@test".to_owned(),
        event_vhost: "/".to_owned(),
    }))
}

fn settings() -> Arc<SessionSettings> {
    let limits = Limits {
        frame_max: 4096,
        channel_max: 9,
        heartbeat: 0,
        message_size_max: 1 << 20,
        partial_content_max: 1 << 20,
        table_depth_max: 8,
        handshake_timeout: 10_000,
    };
    let identity = Identity {
        cluster_name: String::new(),
        version: "4.0.0".to_owned(),
        mechanisms: vec![Mechanism::Plain, Mechanism::AmqPlain],
    };
    Arc::new(SessionSettings {
        limits,
        identity,
        output_max: 1 << 20,
        consumers_per_channel_max: 9,
        consumer_timeout: None,
    })
}

fn handshake() -> Vec<u8> {
    let start_ok = connection::StartOk {
        client_properties: FieldTable::default(),
        mechanism: "PLAIN".into(),
        response: b"\0guest\0guest".to_vec().into(),
        locale: "en_US".into(),
    };
    let tune_ok = connection::TuneOk { channel_max: 9, frame_max: 4096, heartbeat: 0 };
    let methods = [
        connection::AMQPMethod::StartOk(start_ok),
        connection::AMQPMethod::TuneOk(tune_ok),
        connection::AMQPMethod::Open(connection::Open { virtual_host: "/".into() }),
    ];
    let mut octets = b"AMQP\0\0\x09\x01".to_vec();
    for each in methods {
        method::encode(&mut octets, 0, AMQPClass::Connection(each));
    }
    octets
}

fn get(no_ack: bool) -> AMQPClass {
    AMQPClass::Basic(basic::AMQPMethod::Get(basic::Get { queue: "q".into(), no_ack }))
}

impl Bench {
    fn new() -> Bench {
        let node = node();
        let local = SocketAddr::from(([127, 0, 0, 1], 5672));
        let peer = Peer { address: [127, 0, 0, 1].into(), port: 1, local, encryption: None };
        let session = Session::new(node.clone(), settings(), peer, 1);
        let mut bench = Bench { node, session, input: handshake(), pages: Vec::new(), flag: Arc::default() };
        bench.send(1, AMQPClass::Channel(channel::AMQPMethod::Open(channel::Open {})));
        let declare = queue::Declare { queue: "q".into(), ..queue::Declare::default() };
        bench.send(1, AMQPClass::Queue(queue::AMQPMethod::Declare(declare)));
        for body in ["0", "1", "2", "3"] {
            let publish = basic::Publish { routing_key: "q".into(), ..basic::Publish::default() };
            method::encode(&mut bench.input, 1, AMQPClass::Basic(basic::AMQPMethod::Publish(publish)));
            encode::content_header(&mut bench.input, 1, 1, &[0, 0]);
            encode::body(&mut bench.input, 1, body.as_bytes());
        }
        bench.work();
        bench.heard();
        let queue = bench.queue();
        bench.pages = bench.node.with_queue(&queue, 1, |queue, _| {
            let pages: Vec<PageOut> = std::iter::from_fn(|| queue.page_out(0, u64::MAX, 2)).collect();
            assert!(pages.iter().all(|out| queue.paged_out(out.page)));
            pages
        });
        assert_eq!(bench.pages.len(), 2);
        bench
    }

    fn queue(&self) -> QueueRef {
        self.node.vhost("/").and_then(|vhost| vhost.queue("q").ok()).expect("it was declared")
    }

    fn send(&mut self, channel: ChannelId, class: AMQPClass) {
        method::encode(&mut self.input, channel, class);
        self.work();
    }

    /// What a driver does whenever it is polled.
    fn work(&mut self) {
        loop {
            let waker: Waker = self.flag.clone().into();
            self.session.recheck_get(1, &waker);
            let used = self.session.receive(&self.input, 1);
            self.input.drain(..used);
            if used == 0 && !self.session.deliver(1, &waker) {
                return;
            }
        }
    }

    /// The disk answers for a page; true when that woke the session.
    fn read(&mut self, page: usize) -> bool {
        let out = self.pages[page].clone();
        self.node.with_queue(&self.queue(), 1, |queue, effects| {
            assert!(queue.paged_in(out.page, out.entries.to_vec(), 1, effects));
        });
        self.flag.0.swap(0, Relaxed) != 0
    }

    /// Class and method of every frame that came, and bodies as they are.
    fn heard(&mut self) -> Vec<String> {
        let output = self.session.output();
        let mut octets = Vec::new();
        while !output.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let filled = output.slices(&mut slices);
            let before = octets.len();
            slices[..filled].iter().for_each(|slice| octets.extend_from_slice(slice));
            output.advance(octets.len() - before);
        }
        let mut heard = Vec::new();
        let mut rest = &octets[..];
        while let Some(head) = FrameHead::parse(rest) {
            let payload = &rest[frame::HEAD..head.frame_size() - 1];
            match head.kind {
                FrameKind::Method => heard.push(format!("{}.{}", payload[1], payload[3])),
                FrameKind::Body => heard.push(String::from_utf8_lossy(payload).into_owned()),
                _ => {}
            }
            rest = &rest[head.frame_size()..];
        }
        heard
    }
}

#[test]
fn a_get_of_a_message_on_disk_holds_what_follows_it() {
    let mut bench = Bench::new();
    bench.send(1, get(true));
    assert_eq!((bench.session.hold(), bench.heard()), (Hold::Page, vec![]));
    // Neither another get nor another channel overtakes it.
    bench.send(1, get(false));
    bench.send(2, AMQPClass::Channel(channel::AMQPMethod::Open(channel::Open {})));
    assert!(bench.heard().is_empty() && !bench.input.is_empty());
    assert!(bench.read(0));
    bench.work();
    assert_eq!(bench.heard(), ["60.71", "0", "60.71", "1", "20.11"]);
    assert_eq!((bench.session.hold(), bench.input.len()), (Hold::No, 0));
    let counts = bench.node.with_queue(&bench.queue(), 1, |queue, _| queue.counts());
    assert_eq!((counts.ready, counts.unacknowledged), (2, 1));
}

#[test]
fn a_get_that_is_overtaken_waits_for_the_next_page_or_finds_nothing() {
    let mut bench = Bench::new();
    bench.send(1, get(true));
    let other = |bench: &Bench| {
        bench.node.with_queue(&bench.queue(), 1, |queue, effects| queue.purge(effects).count())
    };
    let out = bench.pages[0].clone();
    bench.node.with_queue(&bench.queue(), 1, |queue, effects| {
        assert!(queue.paged_in(out.page, Vec::new(), 1, effects));
    });
    bench.work();
    assert_eq!((bench.session.hold(), bench.heard()), (Hold::Page, vec![]));
    assert_ne!(bench.flag.0.swap(0, Relaxed), 0);
    assert_eq!(other(&bench), 2);
    assert_eq!(bench.flag.0.swap(0, Relaxed), 1);
    bench.work();
    assert_eq!(bench.heard(), ["60.72"]);
}

#[test]
fn a_queue_deleted_under_a_waiting_get_is_empty() {
    let mut bench = Bench::new();
    bench.send(1, get(true));
    let deleted = bench.node.vhost("/").unwrap().delete_queue(&bench.queue(), false, false);
    assert_eq!(deleted.unwrap(), 4);
    assert_eq!(bench.flag.0.load(Relaxed), 1);
    bench.work();
    assert_eq!((bench.session.hold(), bench.heard()), (Hold::No, vec!["60.72".to_owned()]));
}

#[test]
fn whoever_leaves_while_waiting_takes_nothing() {
    let mut bench = Bench::new();
    bench.send(1, get(false));
    assert_eq!(bench.session.hold(), Hold::Page);
    bench.session.disconnect(1);
    bench.read(0);
    bench.work();
    let counts = bench.node.with_queue(&bench.queue(), 1, |queue, _| queue.counts());
    assert_eq!((counts.ready, counts.unacknowledged), (4, 0));

    // Only the channel goes: what was held is taken again.
    let mut bench = Bench::new();
    bench.send(1, get(false));
    bench.session.core.close_channel(1);
    assert_eq!(bench.session.hold(), Hold::No);
    bench.send(2, AMQPClass::Channel(channel::AMQPMethod::Open(channel::Open {})));
    bench.read(0);
    bench.work();
    assert_eq!(bench.heard(), ["20.11"]);
    let counts = bench.node.with_queue(&bench.queue(), 1, |queue, _| queue.counts());
    assert_eq!((counts.ready, counts.unacknowledged), (4, 0));
}
