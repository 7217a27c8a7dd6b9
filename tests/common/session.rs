//! Sessions driven without sockets or clock: octets in, octets out, on one thread. For tests that count and
//! benchmarks that measure what the broker itself does with a message.
#![allow(dead_code)] // Shared by a test and a benchmark, neither of which uses everything.

use std::{io::IoSlice, net::SocketAddr, sync::Arc, task::Waker};

use leveret::{
    amqp::{
        AMQPClass, ChannelId, FieldTable, FrameHead, basic, channel, confirm, connection, encode, exchange,
        frame, method, queue,
    },
    broker::memory::Account,
    engine::{Access, Allowances, Journal, LoginGuard, Node, NodeSettings, RoomLimits},
    protocol::{Identity, Limits, Mechanism},
    session::{Peer, SLICES_MAX, Session, SessionSettings},
};

/// The one channel of each client.
pub const CHANNEL: ChannelId = 1;
/// Octets that a driver reads at once.
pub const READ: usize = 64 << 10;
const NOW: u64 = 1;

pub fn node() -> Arc<Node> {
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
        frame_max: 131_072,
        channel_max: 9,
        heartbeat: 0,
        message_size_max: 1 << 24,
        partial_content_max: 1 << 24,
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
        output_max: 1 << 24,
        consumers_per_channel_max: 1000,
        consumer_timeout: None,
    })
}

/// A connection with one open channel.
pub struct Client {
    session: Session,
    pub heard: Heard,
}

/// What a client has been sent.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    pub octets: u64,
    pub writes: u64,
}

impl Client {
    pub fn connect(node: &Arc<Node>) -> Client {
        let local = SocketAddr::from(([127, 0, 0, 1], 5672));
        let peer = Peer { address: [127, 0, 0, 1].into(), port: 1, local, encryption: None };
        let session = Session::new(node.clone(), settings(), peer, NOW);
        let mut client = Client { session, heard: Heard::default() };
        let start_ok = connection::StartOk {
            client_properties: FieldTable::default(),
            mechanism: "PLAIN".into(),
            response: b"\0guest\0guest".to_vec().into(),
            locale: "en_US".into(),
        };
        let tune_ok = connection::TuneOk { channel_max: 9, frame_max: 131_072, heartbeat: 0 };
        let methods = [
            connection::AMQPMethod::StartOk(start_ok),
            connection::AMQPMethod::TuneOk(tune_ok),
            connection::AMQPMethod::Open(connection::Open { virtual_host: "/".into() }),
        ];
        let mut octets = b"AMQP\0\0\x09\x01".to_vec();
        for each in methods {
            method::encode(&mut octets, 0, AMQPClass::Connection(each));
        }
        client.send(&octets);
        client.call(AMQPClass::Channel(channel::AMQPMethod::Open(channel::Open {})));
        client
    }

    /// Sends one method; what it says must not be a failure.
    pub fn call(&mut self, class: AMQPClass) {
        let mut octets = Vec::new();
        method::encode(&mut octets, CHANNEL, class);
        self.send(&octets);
        assert!(self.session.is_running(), "the broker closed the connection");
    }

    pub fn declare(&mut self, name: &str) {
        let declare = queue::Declare { queue: name.into(), ..queue::Declare::default() };
        self.call(AMQPClass::Queue(queue::AMQPMethod::Declare(declare)));
    }

    pub fn declare_exchange(&mut self, name: &str, kind: &str) {
        let declare =
            exchange::Declare { exchange: name.into(), kind: kind.into(), ..exchange::Declare::default() };
        self.call(AMQPClass::Exchange(exchange::AMQPMethod::Declare(declare)));
    }

    pub fn bind(&mut self, queue: &str, exchange: &str, key: &str, arguments: FieldTable) {
        let bind = queue::Bind {
            queue: queue.into(),
            exchange: exchange.into(),
            routing_key: key.into(),
            nowait: false,
            arguments,
        };
        self.call(AMQPClass::Queue(queue::AMQPMethod::Bind(bind)));
    }

    pub fn consume(&mut self, queue: &str, no_ack: bool) {
        let consume = basic::Consume { queue: queue.into(), no_ack, ..basic::Consume::default() };
        self.call(AMQPClass::Basic(basic::AMQPMethod::Consume(consume)));
    }

    pub fn select_confirms(&mut self) {
        self.call(AMQPClass::Confirm(confirm::AMQPMethod::Select(confirm::Select { nowait: false })));
    }

    /// Hands the octets in, as reads of a driver would, and takes what comes of them.
    pub fn send(&mut self, octets: &[u8]) {
        self.send_to(octets, None);
    }

    /// As [`Client::send`], and `reader` takes what is for it after each read: a queue never gets long.
    pub fn send_to(&mut self, octets: &[u8], mut reader: Option<&mut Client>) {
        let mut at = 0;
        let mut end = 0;
        while at < octets.len() {
            end = (end.max(at) + READ).min(octets.len());
            let used = self.session.receive(&octets[at..end], NOW);
            at += used;
            self.read();
            if let Some(reader) = &mut reader {
                reader.read();
            }
            assert!(used != 0 || end < octets.len(), "the session takes nothing: {:?}", self.session.hold());
        }
    }

    /// Takes everything that waits for this client, as writes of a driver would.
    pub fn read(&mut self) {
        loop {
            let delivered = self.session.deliver(NOW, Waker::noop());
            let output = self.session.output();
            while !output.is_empty() {
                let mut slices = [IoSlice::new(&[]); SLICES_MAX];
                let filled = output.slices(&mut slices);
                let octets = slices[..filled].iter().map(|slice| slice.len()).sum();
                output.advance(octets);
                self.heard.octets += octets as u64;
                self.heard.writes += 1;
            }
            if !delivered {
                return;
            }
        }
    }

    /// What is waiting to be written, as octets.
    pub fn take_octets(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        while self.session.deliver(NOW, Waker::noop()) || !self.session.output().is_empty() {
            let output = self.session.output();
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let filled = output.slices(&mut slices);
            let before = all.len();
            slices[..filled].iter().for_each(|slice| all.extend_from_slice(slice));
            output.advance(all.len() - before);
        }
        all
    }
}

/// Appends a publish.
pub fn push_publish(octets: &mut Vec<u8>, exchange: &str, key: &str, properties: &[u8], body: &[u8]) {
    let publish =
        basic::Publish { exchange: exchange.into(), routing_key: key.into(), ..basic::Publish::default() };
    method::encode(octets, CHANNEL, AMQPClass::Basic(basic::AMQPMethod::Publish(publish)));
    encode::content_header(octets, CHANNEL, body.len() as u64, properties);
    for part in body.chunks(131_064) {
        encode::body(octets, CHANNEL, part);
    }
}

/// So many publishes of one kind.
pub fn publishes(count: usize, exchange: &str, key: &str, size: usize) -> Vec<u8> {
    let mut octets = Vec::new();
    (0..count).for_each(|_| push_publish(&mut octets, exchange, key, &[0, 0], &vec![b'x'; size]));
    octets
}

/// Acknowledgements of each of these deliveries.
pub fn acks(tags: std::ops::RangeInclusive<u64>) -> Vec<u8> {
    let mut octets = Vec::new();
    for delivery_tag in tags {
        let ack = basic::Ack { delivery_tag, multiple: false };
        method::encode(&mut octets, CHANNEL, AMQPClass::Basic(basic::AMQPMethod::Ack(ack)));
    }
    octets
}

/// How many frames of `kind` there are; for methods, of this class and method.
pub fn count_frames(mut octets: &[u8], class: u8, id: u8) -> usize {
    let mut count = 0;
    while let Some(head) = FrameHead::parse(octets) {
        let payload = &octets[frame::HEAD..head.frame_size() - 1];
        count += usize::from(octets[0] == 1 && payload[1] == class && payload[3] == id);
        octets = &octets[head.frame_size()..];
    }
    count
}
