//! One channel of a client: what it asked for, what the broker took in, and what it was told.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{
    model::{Model, QueueKey, Stamp, family},
    wire::Letter,
};
use crate::amqp::ChannelId;

/// What publishes mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Plain,
    Confirm,
    Transaction,
}

/// As the client sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opened {
    Opening,
    Open,
    /// Nothing may be sent until the answer.
    Closing,
    Closed,
}

/// What a client says of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Accept,
    Requeue,
    Discard,
}

/// Something a client sends; it takes effect when the session has used it up.
#[derive(Debug)]
pub enum Command {
    Nothing,
    Open(ChannelId),
    Close(ChannelId),
    CloseOk(ChannelId),
    /// A method whose answer tells nothing.
    Ask(ChannelId),
    Commit(ChannelId),
    Rollback(ChannelId),
    Publish {
        channel: ChannelId,
        exchange: String,
        key: String,
        letter: Letter,
    },
    Settle {
        channel: ChannelId,
        deliveries: Vec<Delivery>,
        verdict: Verdict,
    },
    Consume {
        channel: ChannelId,
        queue: String,
        tag: String,
        no_ack: bool,
    },
    Cancel {
        channel: ChannelId,
    },
    Get {
        channel: ChannelId,
        queue: String,
    },
    DeclareQueue {
        channel: ChannelId,
        queue: String,
    },
    DeleteQueue {
        channel: ChannelId,
        queue: String,
    },
    Purge {
        channel: ChannelId,
        queue: String,
    },
    DeclareExchange {
        channel: ChannelId,
        exchange: String,
    },
    DeleteExchange {
        channel: ChannelId,
        exchange: String,
    },
    Bind {
        channel: ChannelId,
        exchange: String,
        queue: String,
        key: String,
    },
    Unbind {
        channel: ChannelId,
        exchange: String,
        queue: String,
        key: String,
    },
}

impl Command {
    pub fn channel(&self) -> Option<ChannelId> {
        Some(match self {
            Command::Nothing => return None,
            Command::Open(channel)
            | Command::Close(channel)
            | Command::CloseOk(channel)
            | Command::Ask(channel)
            | Command::Commit(channel)
            | Command::Rollback(channel)
            | Command::Publish { channel, .. }
            | Command::Settle { channel, .. }
            | Command::Consume { channel, .. }
            | Command::Cancel { channel }
            | Command::Get { channel, .. }
            | Command::DeclareQueue { channel, .. }
            | Command::DeleteQueue { channel, .. }
            | Command::Purge { channel, .. }
            | Command::DeclareExchange { channel, .. }
            | Command::DeleteExchange { channel, .. }
            | Command::Bind { channel, .. }
            | Command::Unbind { channel, .. } => *channel,
        })
    }
}

/// A message that a client holds, and the queue it came from.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub tag: u64,
    pub name: String,
    pub key: QueueKey,
    pub letter: Letter,
}

/// How a message arrives.
#[derive(Debug)]
pub struct How<'a> {
    /// `None` for basic.get.
    pub consumer: Option<&'a str>,
    /// When it left its queue, if that needs no acknowledgement.
    pub gone: Option<(Stamp, Stamp)>,
    pub redelivered: bool,
}

/// An answer that the client waits for.
#[derive(Debug)]
pub struct Pending {
    pub what: What,
    /// What the answer says is durable; `None` until the method is taken in.
    pub promise: Option<Stamp>,
}

#[derive(Debug)]
pub enum What {
    Reply,
    Open,
    Close,
    Rollback,
    Get { name: String, key: Option<QueueKey>, no_ack: bool },
}

/// A publish that waits for its confirm.
#[derive(Debug)]
struct Unconfirmed {
    number: u64,
    id: u64,
    targets: Vec<QueueKey>,
    promise: Stamp,
}

/// A channel.
#[derive(Debug)]
pub struct Channel {
    pub mode: Mode,
    pub state: Opened,
    /// The broker has closed it, or has been told to: what else was sent on it has no effect.
    pub dead: bool,
    pub pending: VecDeque<Pending>,
    /// Stamps of gets that were taken in and not answered.
    pub gets: VecDeque<Stamp>,
    /// By consumer tag: the name of the queue, the queue, and whether deliveries are not acknowledged.
    pub consumers: BTreeMap<String, (String, QueueKey, bool)>,
    /// Those of them that the client has cancelled.
    pub cancelled: BTreeSet<String>,
    /// Deliveries by tag, without those settled.
    pub held: BTreeMap<u64, Delivery>,
    /// Those that the client has settled and the broker has not, be it for a transaction that is open.
    limbo: BTreeMap<u64, Delivery>,
    last_tag: u64,
    unconfirmed: VecDeque<Unconfirmed>,
    published: u64,
    /// What the broker has of the open transaction.
    publishes: Vec<(Letter, Vec<QueueKey>)>,
    settlements: Vec<(Verdict, Delivery)>,
    /// By consumer: the place of the last message that was delivered for the first time.
    fresh: BTreeMap<String, usize>,
}

impl Channel {
    pub fn new(mode: Mode) -> Channel {
        Channel {
            mode,
            state: Opened::Opening,
            dead: false,
            pending: VecDeque::new(),
            gets: VecDeque::new(),
            consumers: BTreeMap::new(),
            cancelled: BTreeSet::new(),
            held: BTreeMap::new(),
            limbo: BTreeMap::new(),
            last_tag: 0,
            unconfirmed: VecDeque::new(),
            published: 0,
            publishes: Vec::new(),
            settlements: Vec::new(),
            fresh: BTreeMap::new(),
        }
    }

    /// The client waits for an answer.
    pub fn expect(&mut self, what: What) {
        self.pending.push_back(Pending { what, promise: None });
    }

    /// The session has used a command up.
    pub fn taken_in(&mut self, model: &mut Model, command: Command) {
        if let Command::CloseOk(_) = command {
            self.state = Opened::Closed;
            return;
        }
        if let Command::Close(_) = command {
            if !self.dead {
                self.answer(0);
            }
            return self.die(model);
        }
        if self.dead {
            return;
        }
        self.act(model, command);
    }

    fn act(&mut self, model: &mut Model, command: Command) {
        match command {
            Command::Nothing | Command::Close(_) | Command::CloseOk(_) => {}
            Command::Open(_) | Command::Ask(_) => self.answer(0),
            Command::Publish { exchange, key, letter, .. } => {
                self.publish(model, &exchange, &key, letter);
            }
            Command::Settle { deliveries, verdict, .. } => {
                for delivery in deliveries {
                    if self.mode == Mode::Transaction {
                        self.settlements.push((verdict, delivery));
                    } else {
                        self.limbo.remove(&delivery.tag);
                        settle(model, &delivery, verdict);
                    }
                }
            }
            Command::Commit(_) => self.commit(model),
            Command::Rollback(_) => {
                self.publishes.clear();
                self.settlements.clear();
                self.answer(0);
            }
            Command::Consume { queue, tag, no_ack, .. } => self.consume(model, queue, tag, no_ack),
            Command::Cancel { .. } => self.answer(0),
            Command::Get { queue, .. } => self.get(model, &queue),
            other => self.define(model, other),
        }
    }

    fn define(&mut self, model: &mut Model, command: Command) {
        let missing = |model: &Model, queue: &str| model.current(queue).is_none();
        match command {
            Command::DeclareQueue { queue, .. } => {
                model.declare_queue(&queue);
            }
            Command::DeleteQueue { queue, .. } => model.delete_queue(&queue),
            Command::Purge { queue, .. } => {
                if missing(model, &queue) {
                    return self.die(model);
                }
                model.purge(&queue);
                return self.answer(0);
            }
            Command::DeclareExchange { exchange, .. } => {
                model.declare_exchange(&exchange);
            }
            Command::DeleteExchange { exchange, .. } => model.delete_exchange(&exchange),
            Command::Bind { exchange, queue, key, .. } => {
                if missing(model, &queue) || !model.has_exchange(&exchange) {
                    return self.die(model);
                }
                model.bind(&exchange, &queue, &key);
            }
            Command::Unbind { exchange, queue, key, .. } => model.unbind(&exchange, &queue, &key),
            other => panic!("{other:?} defines nothing"),
        }
        self.answer(model.defined);
    }

    /// The next answer says that everything up to `promise` is durable.
    fn answer(&mut self, promise: Stamp) {
        let next = self.pending.iter_mut().find(|pending| pending.promise.is_none());
        next.expect("the client waits for an answer").promise = Some(promise);
    }

    fn publish(&mut self, model: &mut Model, exchange: &str, key: &str, letter: Letter) {
        if !model.has_exchange(exchange) {
            return self.die(model);
        }
        let targets = model.route(exchange, key);
        if self.mode == Mode::Transaction {
            return self.publishes.push((letter, targets));
        }
        let logged = model.arrive(letter, &targets);
        if self.mode == Mode::Confirm {
            self.published += 1;
            let promise = if logged { model.now } else { 0 };
            let number = self.published;
            self.unconfirmed.push_back(Unconfirmed { number, id: letter.id, targets, promise });
        }
    }

    fn commit(&mut self, model: &mut Model) {
        let mut logged = false;
        for (letter, targets) in std::mem::take(&mut self.publishes) {
            logged |= model.arrive(letter, &targets);
        }
        for (verdict, delivery) in std::mem::take(&mut self.settlements) {
            let plain = family(&delivery.name) == delivery.name && delivery.name != "noack";
            logged |= verdict == Verdict::Accept
                && plain
                && delivery.letter.persistent
                && super::model::is_durable(&delivery.name);
            self.limbo.remove(&delivery.tag);
            settle(model, &delivery, verdict);
        }
        self.answer(if logged { model.now } else { 0 });
    }

    fn consume(&mut self, model: &mut Model, name: String, tag: String, no_ack: bool) {
        if model.current(&name).is_none() {
            return self.die(model);
        }
        let key = model.current(family(&name)).expect("a family is complete");
        if let Some(queue) = model.queue(&key) {
            queue.used = true;
        }
        if no_ack {
            model.leak(&key);
        }
        self.consumers.insert(tag, (name, key, no_ack));
        self.answer(0);
    }

    fn get(&mut self, model: &mut Model, name: &str) {
        if model.current(name).is_none() {
            return self.die(model);
        }
        let current = model.current(family(name));
        if let Some(queue) = current.as_ref().and_then(|key| model.queue(key)) {
            queue.used = true;
        }
        let next = self.pending.iter_mut().find(|pending| pending.promise.is_none());
        let next = next.expect("the client waits for an answer");
        next.promise = Some(0);
        self.gets.push_back(model.now);
        if let What::Get { key, .. } = &mut next.what {
            *key = current;
        }
    }

    /// Gets without acknowledgement that were taken in, but not answered as far as the client knows.
    pub fn unseen_gets(&self) -> impl Iterator<Item = (QueueKey, Stamp)> {
        let taken_in = self.pending.iter().filter(|pending| pending.promise.is_some());
        let gets = taken_in.filter_map(|pending| match &pending.what {
            What::Get { key, no_ack, .. } => Some((key.clone(), *no_ack)),
            _ => None,
        });
        let with_stamps = gets.zip(self.gets.iter().copied());
        let unacknowledged = with_stamps.filter(|((_, no_ack), _)| *no_ack);
        unacknowledged.filter_map(|((key, _), at)| key.map(|key| (key, at)))
    }

    /// Publishes are confirmed, or one is refused.
    pub fn confirmed(&mut self, model: &mut Model, number: u64, multiple: bool, accepted: bool) {
        let first = self.unconfirmed.front().expect("something waits for a confirm").number;
        assert!(multiple || first == number, "confirm {number} comes before that of {first}");
        while self.unconfirmed.front().is_some_and(|first| first.number <= number) {
            let Some(Unconfirmed { id, targets, promise, .. }) = self.unconfirmed.pop_front() else { break };
            model.answer(id, &targets, accepted);
            if accepted {
                model.told(promise);
            } else {
                assert!(targets.iter().any(|target| target.name == "refusing"), "{id} was refused");
            }
        }
    }

    /// A message arrives.
    pub fn delivered(
        &mut self,
        model: &mut Model,
        tag: u64,
        name: &str,
        key: &QueueKey,
        letter: Letter,
        how: How<'_>,
    ) {
        let How { consumer, gone, redelivered } = how;
        let id = letter.id;
        tell!(
            "at {}: delivered {id} of {name} {gone:?} redelivered {redelivered} dead {}",
            model.now,
            self.dead
        );
        assert!(self.last_tag < tag, "delivery tag {tag} comes after {}", self.last_tag);
        self.last_tag = tag;
        let queue = model.queue(key).expect("the queue was there");
        let leaks = queue.leaks;
        let place = queue.place(id).unwrap_or_else(|| panic!("message {id} was never in {name}"));
        let arrival = queue.arrival(id).expect("it has a place");
        // Dead letters are new messages; and what was put out before the channel closed may be old.
        let dead = family(name) != name;
        assert!(
            redelivered || !arrival.seen || dead || leaks || self.dead,
            "message {id} of {name} was seen before"
        );
        let is_over = arrival.gone.is_some_and(|(_, latest)| latest != Stamp::MAX);
        assert!(!is_over || self.dead, "message {id} of {name} is delivered though it is gone");
        arrival.seen |= !dead;
        if let Some((first, latest)) = gone {
            let first = if leaks { arrival.gone.map_or(first, |(first, _)| first) } else { first };
            arrival.gone = Some((first, latest));
            return;
        }
        if self.dead {
            return;
        }
        assert!(!arrival.held, "message {id} of {name} is delivered twice");
        arrival.held = true;
        if !leaks {
            arrival.gone = None;
        }
        let ordered = !redelivered && !leaks && !dead && name != "priority";
        if ordered
            && let Some(consumer) = consumer
            && let Some(before) = self.fresh.insert(consumer.to_owned(), place)
        {
            assert!(before < place, "message {id} of {name} comes after a later one");
        }
        let delivery = Delivery { tag, name: name.to_owned(), key: key.clone(), letter };
        self.held.insert(tag, delivery);
    }

    /// Whether what was settled may come back.
    pub fn is_rolling_back(&self) -> bool {
        self.pending.iter().any(|pending| matches!(pending.what, What::Rollback))
    }

    /// The client settles deliveries: they are its own no more.
    pub fn settle(&mut self, tags: &[u64]) -> Vec<Delivery> {
        let deliveries: Vec<Delivery> = tags.iter().filter_map(|tag| self.held.remove(tag)).collect();
        self.limbo.extend(deliveries.iter().map(|delivery| (delivery.tag, delivery.clone())));
        deliveries
    }

    /// A rollback was answered: settlements may be made again.
    pub fn rolled_back(&mut self) {
        self.held.append(&mut self.limbo);
    }

    /// The broker closed the channel: what it held goes back.
    pub fn die(&mut self, model: &mut Model) {
        if std::mem::replace(&mut self.dead, true) {
            return;
        }
        let limbo = std::mem::take(&mut self.limbo);
        for delivery in std::mem::take(&mut self.held).into_values().chain(limbo.into_values()) {
            release(model, &delivery);
        }
        self.publishes.clear();
        self.settlements.clear();
    }
}

fn release(model: &mut Model, delivery: &Delivery) {
    if let Some(arrival) = model.queue(&delivery.key).and_then(|queue| queue.arrival(delivery.letter.id)) {
        arrival.held = false;
    }
}

fn settle(model: &mut Model, delivery: &Delivery, verdict: Verdict) {
    let now = model.now;
    release(model, delivery);
    let Some(queue) = model.queue(&delivery.key) else { return };
    let leaks = queue.leaks;
    let Some(arrival) = queue.arrival(delivery.letter.id) else { return };
    // In these two a rejected message changes its queue, within its family.
    let moves = verdict == Verdict::Discard && matches!(&*delivery.name, "limited" | "ttl");
    if verdict != Verdict::Requeue && !moves {
        let first = if leaks { arrival.gone.map_or(now, |(first, _)| first) } else { now };
        arrival.gone = Some((first, now));
    }
}
