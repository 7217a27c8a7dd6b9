//! What clients know of a broker: what they sent that it has taken in, and what it told them.
//!
//! Every step of a simulation has a number, its stamp. The log is one, so what a restart finds is everything
//! up to one stamp and nothing after it: the end of some commit, and at the earliest the last stamp of which
//! a client was told that it is durable. The model keeps for each thing from which stamp on it is there and
//! until when; where only the broker knows, the end is a range.

use std::collections::BTreeMap;

use super::wire::Letter;
use crate::amqp::AMQPValue;

/// A step of a life; zero is what it began with.
pub type Stamp = u64;

/// Exchanges: name, type, whether durable.
pub const EXCHANGES: &[(&str, &str, bool)] = &[
    ("x.direct", "direct", true),
    ("x.fanout", "fanout", true),
    ("x.topic", "topic", true),
    ("x.passing", "direct", false),
];
pub const KEYS: &[&str] = &["k0", "k1", "k.0", "k.1"];
pub const PATTERNS: &[&str] = &["k0", "k1", "k.*", "*.1", "#"];
/// Queues that are bound, unbound, deleted and declared again.
pub const CHANGING: &[&str] = &["q0", "q1", "q2", "passing"];
/// Queues that are always there, in an order in which they can be declared.
pub const STANDING: &[&str] =
    &["dead.limited", "dead.ttl", "dead.wait", "limited", "ttl", "priority", "noack", "refusing", "long"];
/// An exchange that delays, always there; what waits in it is as in a queue that nobody can name, and goes to
/// `dead.wait` when only the broker knows.
pub const DELAYING: &str = "x.delaying";
pub const WAITING: &str = "wait";

/// What a queue is declared with.
pub fn arguments(name: &str) -> Vec<(&'static str, AMQPValue)> {
    let text = |value: &str| AMQPValue::LongString(value.as_bytes().to_vec().into());
    let dead = || ("x-dead-letter-exchange", text(""));
    match name {
        "limited" => vec![
            ("x-max-length", AMQPValue::LongInt(5)),
            dead(),
            ("x-dead-letter-routing-key", text("dead.limited")),
        ],
        "ttl" => vec![
            ("x-message-ttl", AMQPValue::LongInt(150)),
            dead(),
            ("x-dead-letter-routing-key", text("dead.ttl")),
        ],
        "priority" => vec![("x-max-priority", AMQPValue::LongInt(3))],
        "refusing" => {
            vec![("x-max-length", AMQPValue::LongInt(4)), ("x-overflow", text("reject-publish"))]
        }
        _ => Vec::new(),
    }
}

pub fn is_durable(queue: &str) -> bool {
    queue != "passing"
}

/// The queue whose messages are counted together with this one's: dead letters still belong to where they
/// died, since only the broker knows when.
pub fn family(queue: &str) -> &str {
    queue.strip_prefix("dead.").unwrap_or(queue)
}

/// When a thing is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub from: Stamp,
    pub until: Option<Stamp>,
}

impl Span {
    fn holds(&self, at: Stamp) -> bool {
        self.from <= at && self.until.is_none_or(|until| at < until)
    }
}

/// Things that come and go under one name.
#[derive(Debug, Clone, Default)]
pub struct Spans(Vec<Span>);

impl Spans {
    pub fn hold(&self, at: Stamp) -> bool {
        self.0.iter().any(|span| span.holds(at))
    }

    pub fn is_there(&self) -> bool {
        self.0.last().is_some_and(|last| last.until.is_none())
    }

    fn begin(&mut self, at: Stamp) {
        self.0.push(Span { from: at, until: None });
    }

    fn end(&mut self, at: Stamp) {
        if let Some(last) = self.0.last_mut() {
            last.until.get_or_insert(at);
        }
    }
}

/// A message in a queue.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    pub letter: Letter,
    pub at: Stamp,
    /// It is still there before the first, and gone from the second on; in between nobody can know.
    pub gone: Option<(Stamp, Stamp)>,
    /// A client saw it.
    pub seen: bool,
    /// A client holds it.
    pub held: bool,
}

/// One life of a queue from its declaration to its deletion.
#[derive(Debug, Clone)]
pub struct Queue {
    pub span: Span,
    pub arrivals: Vec<Arrival>,
    places: BTreeMap<u64, usize>,
    /// Since when consumers that do not acknowledge take messages away at times that nobody sees.
    pub leaks: bool,
    /// Somebody consumed from it, so that messages may be on their way that nobody knows of.
    pub used: bool,
    /// Somebody took messages away, and nobody will ever know which.
    pub doubt: bool,
}

impl Queue {
    fn new(from: Stamp) -> Queue {
        let span = Span { from, until: None };
        Queue { span, arrivals: Vec::new(), places: BTreeMap::new(), leaks: false, used: false, doubt: false }
    }

    pub fn place(&self, id: u64) -> Option<usize> {
        self.places.get(&id).copied()
    }

    pub fn arrival(&mut self, id: u64) -> Option<&mut Arrival> {
        let place = self.place(id)?;
        self.arrivals.get_mut(place)
    }

    fn push(&mut self, arrival: Arrival) {
        let before = self.places.insert(arrival.letter.id, self.arrivals.len());
        assert!(before.is_none(), "a message comes to a queue once");
        self.arrivals.push(arrival);
    }
}

/// A queue, and which of those that had its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct QueueKey {
    pub name: String,
    pub life: usize,
}

/// Everything clients know.
#[derive(Debug, Default, Clone)]
pub struct Model {
    pub now: Stamp,
    /// Clients were told that everything up to here is durable.
    pub horizon: Stamp,
    /// Everything up to here is written, so that it survives the process.
    pub written: Stamp,
    /// Where commits ended, those that failed included.
    pub boundaries: Vec<Stamp>,
    /// The last change of something durable.
    pub defined: Stamp,
    pub exchanges: BTreeMap<String, Spans>,
    /// Exchange, queue, key.
    pub bindings: BTreeMap<(String, String, String), Spans>,
    pub queues: BTreeMap<String, Vec<Queue>>,
}

impl Model {
    pub fn queue(&mut self, key: &QueueKey) -> Option<&mut Queue> {
        self.queues.get_mut(&key.name)?.get_mut(key.life)
    }

    /// The queue that has this name now.
    pub fn current(&self, name: &str) -> Option<QueueKey> {
        let lives = self.queues.get(name)?;
        let is_there = lives.last()?.span.until.is_none();
        is_there.then(|| QueueKey { name: name.to_owned(), life: lives.len() - 1 })
    }

    pub fn has_exchange(&self, name: &str) -> bool {
        name.is_empty() || self.exchanges.get(name).is_some_and(Spans::is_there)
    }

    /// Where a publish goes.
    pub fn route(&self, exchange: &str, key: &str) -> Vec<QueueKey> {
        if exchange.is_empty() {
            return self.current(key).into_iter().collect();
        }
        if exchange == DELAYING {
            return self.current(WAITING).into_iter().collect();
        }
        let bound = self.bindings.iter().filter(|((source, _, pattern), spans)| {
            source == exchange && spans.is_there() && matches(exchange, pattern, key)
        });
        let mut names: Vec<&str> = bound.map(|((_, queue, _), _)| &**queue).collect();
        names.dedup();
        names.sort_unstable();
        names.dedup();
        names.into_iter().filter_map(|name| self.current(name)).collect()
    }

    /// A message reaches its queues. True when the log must have it before anybody is told.
    pub fn arrive(&mut self, letter: Letter, targets: &[QueueKey]) -> bool {
        let now = self.now;
        let mut logged = false;
        for target in targets {
            let Some(queue) = self.queue(target).filter(|queue| queue.span.until.is_none()) else { continue };
            let leaks = queue.leaks;
            // Whether it was refused, the confirm will say.
            let unsure = leaks || target.name == "refusing";
            let gone = unsure.then_some((now, Stamp::MAX));
            queue.push(Arrival { letter, at: now, gone, seen: false, held: false });
            logged |= letter.persistent && is_durable(&target.name) && !leaks;
        }
        logged
    }

    /// A refusing queue took a message, or did not.
    pub fn answer(&mut self, id: u64, targets: &[QueueKey], accepted: bool) {
        for target in targets.iter().filter(|target| target.name == "refusing") {
            let Some(queue) = self.queue(target) else { continue };
            let doubt = queue.doubt;
            let Some(arrival) = queue.arrival(id) else { continue };
            if accepted && !doubt && arrival.gone == Some((arrival.at, Stamp::MAX)) {
                arrival.gone = None;
            } else if !accepted {
                assert!(!arrival.seen, "message {id} was refused and delivered");
                arrival.gone = Some((0, 0));
            }
        }
    }

    /// Told that everything up to a stamp is durable.
    pub fn told(&mut self, durable: Stamp) {
        self.horizon = self.horizon.max(durable);
    }

    /// A queue is declared; true when that is new.
    pub fn declare_queue(&mut self, name: &str) -> bool {
        if self.current(name).is_some() {
            return false;
        }
        self.queues.entry(name.to_owned()).or_default().push(Queue::new(self.now));
        self.note_definition(is_durable(name));
        true
    }

    pub fn delete_queue(&mut self, name: &str) {
        let Some(key) = self.current(name) else { return };
        let now = self.now;
        if let Some(queue) = self.queue(&key) {
            queue.span.until = Some(now);
        }
        self.end_bindings(|_, queue| queue == name);
        self.note_definition(is_durable(name));
    }

    /// Everything that nobody holds goes.
    pub fn purge(&mut self, name: &str) {
        let now = self.now;
        let is_dead = family(name) != name;
        let Some(key) = self.current(family(name)) else { return };
        let Some(queue) = self.queue(&key) else { return };
        // What is on its way to a consumer stays, and which of a family's queues a message is in is not known.
        queue.doubt = true;
        let sure = !queue.used && !is_dead && name != "limited" && name != "ttl";
        for arrival in queue.arrivals.iter_mut().filter(|arrival| !arrival.held) {
            if arrival.gone.is_none_or(|(_, latest)| now < latest) {
                let first = arrival.gone.map_or(now, |(first, _)| first.min(now));
                arrival.gone = Some((first, if sure { now } else { Stamp::MAX }));
            }
        }
    }

    pub fn declare_exchange(&mut self, name: &str) -> bool {
        if self.has_exchange(name) {
            return false;
        }
        self.exchanges.entry(name.to_owned()).or_default().begin(self.now);
        self.note_definition(name != "x.passing");
        if name == DELAYING {
            self.declare_queue(WAITING);
        }
        true
    }

    pub fn delete_exchange(&mut self, name: &str) {
        if !self.has_exchange(name) {
            return;
        }
        let now = self.now;
        self.exchanges.entry(name.to_owned()).or_default().end(now);
        self.end_bindings(|exchange, _| exchange == name);
        self.note_definition(name != "x.passing");
    }

    fn end_bindings(&mut self, ends: impl Fn(&str, &str) -> bool) {
        let now = self.now;
        for ((exchange, queue, _), spans) in &mut self.bindings {
            if ends(exchange, queue) && spans.is_there() {
                spans.end(now);
            }
        }
    }

    pub fn bind(&mut self, exchange: &str, queue: &str, key: &str) {
        let now = self.now;
        let spans = self.bindings.entry((exchange.to_owned(), queue.to_owned(), key.to_owned())).or_default();
        if !spans.is_there() {
            spans.begin(now);
            self.note_definition(exchange != "x.passing" && is_durable(queue));
        }
    }

    pub fn unbind(&mut self, exchange: &str, queue: &str, key: &str) {
        let now = self.now;
        let spans = self.bindings.entry((exchange.to_owned(), queue.to_owned(), key.to_owned())).or_default();
        if spans.is_there() {
            spans.end(now);
            self.note_definition(exchange != "x.passing" && is_durable(queue));
        }
    }

    fn note_definition(&mut self, durable: bool) {
        if durable {
            self.defined = self.now;
        }
    }

    /// A consumer that does not acknowledge: from now on messages go at times that only the broker knows.
    pub fn leak(&mut self, key: &QueueKey) {
        let now = self.now;
        let Some(queue) = self.queue(key) else { return };
        queue.leaks = true;
        for arrival in &mut queue.arrivals {
            if arrival.gone.is_none() {
                arrival.gone = Some((now.max(arrival.at), Stamp::MAX));
            }
        }
    }

    /// A new life begins with these messages, and everything else that is not gone.
    pub fn begin_life(
        exchanges: impl Iterator<Item = String>,
        bindings: impl Iterator<Item = (String, String, String)>,
        queues: impl Iterator<Item = (String, Vec<(Letter, bool)>)>,
    ) -> Model {
        let mut next = Model { boundaries: vec![0], ..Model::default() };
        let there = || Spans(vec![Span { from: 0, until: None }]);
        next.exchanges = exchanges.map(|name| (name, there())).collect();
        next.bindings = bindings.map(|binding| (binding, there())).collect();
        for (name, letters) in queues {
            next.queues.entry(name.clone()).or_insert_with(|| vec![Queue::new(0)]);
            let family = next.queues.entry(family(&name).to_owned()).or_insert_with(|| vec![Queue::new(0)]);
            for (letter, seen) in letters {
                family[0].push(Arrival { letter, at: 0, gone: None, seen, held: false });
            }
        }
        next
    }
}

/// Whether a binding's key lets a routing key through.
fn matches(exchange: &str, pattern: &str, key: &str) -> bool {
    match (exchange, pattern) {
        ("x.fanout", _) | ("x.topic", "#") => true,
        ("x.topic", "k.*") => key.starts_with("k."),
        ("x.topic", "*.1") => key == "k.1",
        _ => pattern == key,
    }
}
