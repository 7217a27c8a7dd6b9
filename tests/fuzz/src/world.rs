//! A node with two clients, and an account of every message: where it must be, and where it must not.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use leveret::{
    amqp::{AMQPClass, AMQPValue, ChannelId, Failure, FieldTable, ReplyCode, channel, connection, queue},
    broker::{
        Message, Parts,
        memory::Account,
        queue::{Effects, Got},
    },
    engine::{Access, Allowances, Journal, LoginGuard, Node, NodeSettings, QueueRef, RoomLimits},
    session::SessionSettings,
};

use crate::{
    client::{Channel, Client, Consumer, Delivered, Mode, Wire},
    frames::{handshake, identity, method_frame, small_limits},
};

/// Queues that never drop a message by themselves come first.
pub const QUEUES: [&str; 13] = [
    "plain0", "plain1", "prio", "sac", "own0", "own1", "short", "reject", "ttl", "auto", "expires", "mortal",
    "dead",
];
const EXACT: usize = 6;
/// What became of a message in a queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    Ready,
    /// Delivered, to be settled.
    Outstanding,
}

/// The account of one queue.
pub struct QueueAccount {
    pub incarnation: u64,
    pub exact: bool,
    pub messages: BTreeMap<u64, Place>,
    /// Messages that a client has seen.
    pub(crate) seen: BTreeSet<u64>,
}

/// Whether what a client does closes its channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expect {
    Fine,
    Closed,
    Either,
}

pub struct World {
    pub node: Arc<Node>,
    settings: Arc<SessionSettings>,
    pub now: u64,
    pub clients: [Client; 2],
    /// Sends whatever it likes, in a virtual host of its own.
    vandal: Option<Wire>,
    pub queues: BTreeMap<&'static str, QueueAccount>,
    /// Exchange, key, queue.
    pub bindings: BTreeSet<(&'static str, &'static str, &'static str)>,
    incarnations: u64,
    ids: u64,
    /// Messages of "mortal", which may come to "dead".
    pub(crate) mortal: BTreeSet<u64>,
    held_at_start: u64,
}

fn random() -> u128 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(1);
    u128::from(NEXT.fetch_add(1, Ordering::Relaxed)).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)
}

fn tune_ok(heartbeat: u16) -> connection::TuneOk {
    connection::TuneOk { channel_max: 4, frame_max: 4096, heartbeat }
}

fn client(node: &Arc<Node>, settings: &Arc<SessionSettings>, now: u64, who: usize) -> Client {
    let mut wire = Wire::new(node, settings, now);
    let notified = who == 0;
    // The answers are the connection machine's, which has a target of its own.
    wire.send_unheard(&handshake(notified, tune_ok(0), "/"), now);
    assert!(wire.session.is_running(), "the handshake succeeds");
    Client {
        wire,
        channels: BTreeMap::new(),
        notified,
        may_close: false,
        closed: false,
        closed_channels: Vec::new(),
        heard: Vec::new(),
        reply_to: None,
    }
}

impl World {
    pub fn new() -> World {
        let mut access = Access::default();
        access.add("guest", "guest", false);
        let node = Arc::new(Node::new(NodeSettings {
            access,
            guard: LoginGuard::new(u32::MAX, 0),
            vhosts: vec!["/".to_owned(), "other".to_owned()],
            memory_limit: u64::MAX,
            allowances: Allowances::default(),
            room: RoomLimits::default(),
            account: Account::open(),
            journal: Journal::default(),
            random,
            name: "leveret@fuzz".to_owned(),
            event_vhost: "/".to_owned(),
        }));
        let settings = Arc::new(SessionSettings {
            limits: small_limits(),
            identity: identity(),
            output_max: 3_000,
            consumers_per_channel_max: 50,
            consumer_timeout: None,
        });
        let held_at_start = held_bytes(node.alarms.account());
        let clients = [client(&node, &settings, 1, 0), client(&node, &settings, 1, 1)];
        World {
            node,
            settings,
            now: 1,
            clients,
            vandal: None,
            queues: BTreeMap::new(),
            bindings: BTreeSet::new(),
            incarnations: 0,
            ids: 0,
            mortal: BTreeSet::new(),
            held_at_start,
        }
    }

    /// A channel of a client; it is open.
    pub fn channel(&mut self, who: usize, id: ChannelId) -> &mut Channel {
        self.clients[who].channels.get_mut(&id).expect("an open channel")
    }

    pub fn new_id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    /// The queue is there from now on.
    pub fn declared(&mut self, name: &'static str) {
        let exact = QUEUES[..EXACT].contains(&name);
        self.incarnations += 1;
        let incarnation = self.incarnations;
        self.queues.entry(name).or_insert_with(|| QueueAccount {
            incarnation,
            exact,
            messages: BTreeMap::new(),
            seen: BTreeSet::new(),
        });
    }

    /// The queue is gone, and with it its bindings and consumers.
    pub fn deleted(&mut self, name: &'static str) {
        self.queues.remove(name);
        self.bindings.retain(|(_, _, queue)| *queue != name);
        for client in &mut self.clients {
            for channel in client.channels.values_mut() {
                let of_queue =
                    |consumer: &Consumer| consumer.queue.as_ref().is_some_and(|(queue, _)| queue == name);
                let gone = channel.consumers.extract_if(.., |_, consumer| of_queue(consumer));
                let doomed = gone.map(|(tag, _)| tag).filter(|_| client.notified);
                channel.doomed.extend(doomed);
            }
        }
    }

    /// Whether an exact queue is locked for a client.
    pub fn is_locked_for(&self, name: &str, who: usize) -> bool {
        name.starts_with("own") && name.ends_with(|digit| digit != char::from(b'0' + who as u8))
    }

    /// The queues that a publish reaches.
    pub fn targets(&self, exchange: &str, key: &str, copy: Option<&str>) -> Vec<(String, u64)> {
        let mut names: BTreeSet<&str> = BTreeSet::new();
        for key in [Some(key), copy].into_iter().flatten() {
            match exchange {
                "" => names.extend(QUEUES.iter().filter(|name| **name == key)),
                exchange => names.extend(self.bindings.iter().filter_map(|(source, bound, queue)| {
                    (*source == exchange && (exchange == "amq.fanout" || *bound == key)).then_some(*queue)
                })),
            }
        }
        let accounts = names.into_iter().filter_map(|name| Some((name, self.queues.get(name)?)));
        accounts.map(|(name, account)| (name.to_owned(), account.incarnation)).collect()
    }

    /// The message is in these queues, as far as they still are the same.
    pub fn arrived(&mut self, targets: &[(String, u64)], id: u64) {
        for (name, incarnation) in targets {
            if let Some(account) = self.account(name, *incarnation) {
                assert!(account.messages.insert(id, Place::Ready).is_none());
                if name == "mortal" {
                    self.mortal.insert(id);
                }
            }
        }
    }

    pub(crate) fn account(&mut self, name: &str, incarnation: u64) -> Option<&mut QueueAccount> {
        self.queues.get_mut(name).filter(|account| account.incarnation == incarnation)
    }

    /// A delivery goes back to its queue, or is done with.
    pub fn settled(&mut self, delivered: &Delivered, requeue: bool) {
        let Delivered { queue, incarnation, id, .. } = delivered;
        let Some(account) = self.account(queue, *incarnation) else { return };
        if requeue {
            let before = account.messages.insert(*id, Place::Ready);
            assert_eq!(before, Some(Place::Outstanding), "{queue} {id} comes back");
        } else {
            assert_eq!(account.messages.remove(id), Some(Place::Outstanding), "{queue} {id} is settled");
        }
    }

    /// A channel ends: what it held goes back, an open transaction is forgotten.
    pub fn channel_ended(&mut self, who: usize, id: ChannelId) {
        let Some(channel) = self.clients[who].channels.remove(&id) else { return };
        assert!(channel.incoming.is_none(), "a content is cut off");
        let mut back: Vec<Delivered> = channel.unacked.into_values().collect();
        if let Mode::Tx { settled, .. } = channel.mode {
            back.extend(settled.into_iter().map(|(_, _, delivered)| delivered));
        }
        back.iter().for_each(|delivered| self.settled(delivered, true));
    }

    /// A connection ends: so do its channels and its exclusive queues.
    pub fn connection_ended(&mut self, who: usize) {
        let ids: Vec<ChannelId> = self.clients[who].channels.keys().copied().collect();
        ids.into_iter().for_each(|id| self.channel_ended(who, id));
        self.deleted(if who == 0 { "own0" } else { "own1" });
    }

    /// A new connection in place of one that ended.
    pub fn reconnect(&mut self, who: usize) {
        self.clients[who] = client(&self.node, &self.settings, self.now, who);
    }

    /// Client `who` sends octets in pieces of `cut`; everything that follows from it happens.
    pub fn send(&mut self, who: usize, octets: &[u8], cut: usize) {
        self.clients[who].heard.clear();
        for piece in octets.chunks(cut.max(1)) {
            let frames = self.clients[who].wire.send(piece, self.now);
            self.heard(who, frames);
        }
        self.settle_down();
        if !self.clients[who].closed {
            assert_eq!(self.clients[who].wire.waiting(), 0, "the session takes everything in");
        }
    }

    /// Everybody works until nothing moves, then what must hold is checked.
    pub fn settle_down(&mut self) {
        loop {
            let mut moved = false;
            for who in [0, 1] {
                let frames = self.clients[who].wire.exchange(self.now);
                moved |= !frames.is_empty();
                self.heard(who, frames);
            }
            if let Some(vandal) = &mut self.vandal {
                moved |= !vandal.exchange(self.now).is_empty();
            }
            if !moved {
                break;
            }
        }
        self.check();
    }

    /// As [`World::send`] on a channel, and whether it survives is as expected. Channels that the broker
    /// closed are answered, one way or the other.
    pub fn send_on(&mut self, who: usize, id: ChannelId, octets: &[u8], cut: usize, expect: Expect) {
        self.send(who, octets, cut);
        let closed = std::mem::take(&mut self.clients[who].closed_channels);
        assert!(closed.iter().all(|other| *other == id), "channels {closed:?} are closed for {id}");
        match expect {
            Expect::Fine => assert!(closed.is_empty(), "channel {id} is closed though nothing is wrong"),
            Expect::Closed => assert_eq!(closed, [id], "channel {id} is open though something is wrong"),
            Expect::Either => {}
        }
        if closed.is_empty() {
            return;
        }
        // At times both sides close at once.
        let mut answer = Vec::new();
        let crosses = cut % 2 == 1;
        if crosses {
            answer.extend(close_channel(id));
        }
        let close_ok = channel::AMQPMethod::CloseOk(channel::CloseOk {});
        answer.extend(method_frame(id, AMQPClass::Channel(close_ok)));
        self.send(who, &answer, cut);
        assert_eq!(self.clients[who].heard.len(), usize::from(crosses));
    }

    /// What holds whenever nothing moves.
    fn check(&mut self) {
        for (name, account) in &self.queues {
            if !account.exact {
                continue;
            }
            let queue = self.queue(name).unwrap_or_else(|| panic!("{name} is gone"));
            let counts = self.node.with_queue(&queue, self.now, |queue, _| queue.counts());
            let ready = account.messages.values().filter(|place| **place == Place::Ready).count() as u64;
            let outstanding = account.messages.len() as u64 - ready;
            assert_eq!(
                (counts.ready, counts.unacknowledged),
                (ready, outstanding),
                "ready, unacked of {name}"
            );
            let consumers = self.consumers_of(name);
            assert_eq!(counts.consumers as usize, consumers.len(), "consumers of {name}");
            if 0 < ready && *name != "sac" {
                let idle = consumers.iter().find(|(channel, tag, consumer)| channel.has_room(tag, consumer));
                assert!(
                    idle.is_none(),
                    "{name} has {ready} ready, and {:?} waits",
                    idle.map(|found| found.1)
                );
            }
        }
        for client in self.clients.iter().filter(|client| !client.closed) {
            for channel in client.channels.values() {
                if let Mode::Confirm { published, answered } = channel.mode {
                    assert_eq!(published, answered, "every publish is confirmed");
                }
                assert!(channel.getting.is_none() && channel.incoming.is_none(), "an answer is missing");
                assert!(channel.doomed.is_empty(), "nobody tells of {:?}", channel.doomed);
            }
        }
    }

    fn queue(&self, name: &str) -> Option<QueueRef> {
        self.node.vhost("/").expect("the default vhost").queue(name).ok()
    }

    fn consumers_of<'a>(&'a self, name: &str) -> Vec<(&'a Channel, &'a str, &'a Consumer)> {
        let channels = self.clients.iter().flat_map(|client| client.channels.values());
        let all =
            channels.flat_map(|channel| channel.consumers.iter().map(move |(tag, one)| (channel, tag, one)));
        all.filter(|(_, _, consumer)| consumer.queue.as_ref().is_some_and(|(queue, _)| queue == name))
            .map(|(channel, tag, consumer)| (channel, tag.as_str(), consumer))
            .collect()
    }

    /// Whether anybody holds a queue exclusively.
    pub fn is_in_exclusive_use(&self, name: &str) -> bool {
        self.consumers_of(name).iter().any(|(_, _, consumer)| consumer.exclusive)
    }

    /// The administrator closes every connection.
    pub fn force_close(&mut self) {
        let failure = Failure::connection(ReplyCode::ConnectionForced, "closed");
        self.node.close_connections(&failure);
        self.clients.iter_mut().for_each(|client| client.may_close = true);
        self.settle_down();
        for who in [0, 1] {
            assert!(self.clients[who].closed);
            let close_ok = connection::AMQPMethod::CloseOk(connection::CloseOk {});
            self.send(who, &method_frame(0, AMQPClass::Connection(close_ok)), 4);
            assert!(self.clients[who].wire.session.is_finished());
            self.clients[who].wire.session.disconnect(self.now);
            self.reconnect(who);
        }
        if let Some(mut vandal) = self.vandal.take() {
            vandal.session.disconnect(self.now);
        }
        self.settle_down();
    }

    /// Time passes; what is due is done.
    pub fn wait(&mut self, millis: u64) {
        self.now += millis;
        let (due, _) = self.node.timers.take_due(self.now, std::task::Waker::noop());
        for holder in &due {
            self.node.look(holder, self.now);
        }
        for client in &mut self.clients {
            client.wire.session.handle_timeout(self.now);
        }
        self.settle_down();
    }

    /// Somebody else sends anything at all, in a virtual host of its own.
    pub fn vandalize(&mut self, octets: &[u8], cut: usize) {
        let mut vandal = self.vandal.take().unwrap_or_else(|| {
            let mut wire = Wire::new(&self.node, &self.settings, self.now);
            wire.send_unheard(&handshake(true, tune_ok(1), "other"), self.now);
            for id in 1..=3 {
                wire.send(&open_channel(id), self.now);
            }
            wire
        });
        for piece in octets.chunks(cut.max(1)) {
            drop(vandal.send(piece, self.now));
        }
        if vandal.session.is_finished() {
            vandal.session.disconnect(self.now);
        } else {
            self.vandal = Some(vandal);
        }
        self.settle_down();
    }

    /// Both clients leave without a word. What was not settled is ready again, and nothing else is.
    pub fn end(mut self) {
        if let Some(mut vandal) = self.vandal.take() {
            vandal.session.disconnect(self.now);
        }
        for who in [0, 1] {
            self.connection_ended(who);
            self.clients[who].wire.session.disconnect(self.now);
            self.clients[who].closed = true;
            // The other one may be delivered what came back.
            let other = 1 - who;
            if !self.clients[other].closed {
                let frames = self.clients[other].wire.exchange(self.now);
                self.heard(other, frames);
            }
        }
        assert_eq!(self.node.connection_count(), 0);
        for (name, account) in &self.queues {
            let Some(queue) = self.queue(name) else {
                assert!(!account.exact, "{name} is gone");
                continue;
            };
            let left = self.node.with_queue(&queue, self.now, |queue, effects: &mut Effects| {
                let counts = queue.counts();
                assert_eq!((counts.unacknowledged, counts.consumers), (0, 0), "{name} after everybody left");
                let left = std::iter::from_fn(|| match queue.get(false, self.now, effects) {
                    Got::Entry(entry, _) => Some(number(&entry.message)),
                    Got::Empty | Got::Wait => None,
                });
                left.collect::<BTreeSet<u64>>()
            });
            let known: BTreeSet<u64> = account.messages.keys().copied().collect();
            if account.exact {
                assert_eq!(left, known, "what {name} holds in the end");
            } else {
                let known = if *name == "dead" { &known | &self.mortal } else { known };
                assert!(left.is_subset(&known), "{name} holds what it should not");
            }
        }
        for name in QUEUES {
            let Ok(queue) = self.node.vhost("other").expect("a vhost").queue(name) else { continue };
            let counts = self.node.with_queue(&queue, self.now, |queue, _| queue.counts());
            assert_eq!((counts.unacknowledged, counts.consumers), (0, 0), "{name} of the other vhost");
        }
        let World { node, clients, held_at_start, .. } = self;
        drop(clients);
        assert_eq!(Arc::strong_count(&node), 1, "somebody keeps the node");
        let account = node.alarms.account();
        drop(node);
        assert_eq!(held_bytes(account), held_at_start, "messages outlive their broker");
    }
}

fn number(message: &Message) -> u64 {
    let pieces = || message.pieces().concat();
    let body = message.inline_body().map_or_else(pieces, <[u8]>::to_vec);
    u64::from_be_bytes(*body.first_chunk().expect("our bodies begin with a number"))
}

/// What the messages of an account cost in memory, to the octet: charging another account first makes this
/// thread tell what it has not told yet.
pub fn held_bytes(account: Account) -> u64 {
    let parts = Parts {
        exchange: b"",
        routing_key: b"",
        properties: &[0, 0],
        persistent: false,
        priority: 0,
        expiration: None,
        account: Account::UNCOUNTED,
    };
    drop(Message::new(&parts, b"", &mut Vec::new()));
    account.held_bytes()
}

pub fn open_channel(id: ChannelId) -> Vec<u8> {
    method_frame(id, AMQPClass::Channel(channel::AMQPMethod::Open(channel::Open {})))
}

pub fn close_channel(id: ChannelId) -> Vec<u8> {
    let close = channel::Close { reply_code: 200, reply_text: "".into(), class_id: 0, method_id: 0 };
    method_frame(id, AMQPClass::Channel(channel::AMQPMethod::Close(close)))
}

/// The declaration that goes with a queue's name.
pub fn declaration(name: &str) -> queue::Declare {
    let mut arguments = FieldTable::default();
    let mut number = |key: &str, value: i32| {
        arguments.insert(key.into(), AMQPValue::LongInt(value));
    };
    match name {
        "prio" => number("x-max-priority", 3),
        "short" | "mortal" => number("x-max-length", 3),
        "reject" => number("x-max-length", 2),
        "ttl" => number("x-message-ttl", 5),
        "expires" => number("x-expires", 20),
        _ => {}
    }
    if name == "mortal" {
        let mut text = |key: &str, value: &str| {
            arguments.insert(key.into(), AMQPValue::LongString(value.into()));
        };
        text("x-dead-letter-exchange", "");
        text("x-dead-letter-routing-key", "dead");
    }
    if name == "sac" {
        arguments.insert("x-single-active-consumer".into(), AMQPValue::Boolean(true));
    }
    if name == "reject" {
        arguments.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
    }
    queue::Declare {
        queue: name.into(),
        exclusive: name.starts_with("own"),
        auto_delete: name == "auto",
        arguments,
        ..queue::Declare::default()
    }
}
