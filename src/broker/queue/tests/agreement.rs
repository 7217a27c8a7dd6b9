//! Random histories: after each step the queue and its model must say the same.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use proptest::{collection::vec, option, prelude::*};

use super::{
    disk::{Disk, DiskStep, disk_step},
    model::{Found, Item, Model},
    *,
};
use crate::broker::queue::page::ENTRY_OVERHEAD;

/// One thing that happens to a queue. Indices are taken modulo what there is.
#[derive(Debug, Clone)]
enum Step {
    Publish(Vec<Draft>),
    Consume { prefetch: Option<u16>, priority: i64, exclusive: bool, shared: bool },
    Cancel(usize),
    Written(usize),
    Settle { which: Which, verdict: Verdict },
    Get { acknowledges: bool },
    SharedLimit(u16),
    Advance(Millis),
    Touch,
    Tick,
    Purge,
    Delete,
    Disk(DiskStep),
}

/// Some of the unacknowledged deliveries: every `stride`th from `first` on.
#[derive(Debug, Clone, Copy)]
struct Which {
    first: usize,
    stride: usize,
    count: usize,
}

#[derive(Debug, Clone, Copy)]
enum Verdict {
    Acknowledge,
    Requeue,
    Reject,
}

fn draft() -> impl Strategy<Value = Draft> {
    let size = prop_oneof![4 => 0..4usize, 1 => Just(600_000)];
    let ttl = prop_oneof![4 => Just(None), 1 => Just(Some(0)), 2 => (1..60u64).prop_map(Some)];
    (size, 0..6u8, ttl, any::<bool>()).prop_map(|(size, priority, ttl, persistent)| Draft {
        id: 0,
        size,
        priority,
        ttl,
        persistent,
    })
}

fn step() -> impl Strategy<Value = Step> {
    let verdict = prop_oneof![Just(Verdict::Acknowledge), Just(Verdict::Requeue), Just(Verdict::Reject)];
    let which = (0..20usize, 1..4usize, 1..6usize);
    prop_oneof![
        10 => vec(draft(), 1..8).prop_map(Step::Publish),
        4 => (option::weighted(0.8, 0..4u16), -1..2i64, prop::bool::weighted(0.1), any::<bool>()).prop_map(
            |(prefetch, priority, exclusive, shared)| Step::Consume { prefetch, priority, exclusive, shared }
        ),
        2 => any::<usize>().prop_map(Step::Cancel),
        3 => any::<usize>().prop_map(Step::Written),
        10 => (which, verdict).prop_map(|((first, stride, count), verdict)| {
            Step::Settle { which: Which { first, stride, count }, verdict }
        }),
        3 => any::<bool>().prop_map(|acknowledges| Step::Get { acknowledges }),
        1 => (0..5u16).prop_map(Step::SharedLimit),
        4 => (0..40u64).prop_map(Step::Advance),
        12 => disk_step().prop_map(Step::Disk),
        1 => Just(Step::Touch),
        2 => Just(Step::Tick),
        1 => Just(Step::Purge),
        1 => prop::bool::weighted(0.05).prop_map(|delete| if delete { Step::Delete } else { Step::Tick }),
    ]
}

fn settings() -> impl Strategy<Value = QueueSettings> {
    let overflow = prop_oneof![
        Just(Overflow::DropHead),
        Just(Overflow::RejectPublish),
        Just(Overflow::RejectPublishDlx)
    ];
    let lengths = (option::of(0..6u64), option::weighted(0.3, 0..12u64), overflow);
    let times = (option::weighted(0.4, 0..80u64), option::weighted(0.3, 1..80u64));
    let max_priority = prop_oneof![Just(0), Just(4)];
    (lengths, times, max_priority, prop::bool::weighted(0.3), any::<bool>(), any::<bool>()).prop_map(
        |(
            (max_length, max_length_bytes, overflow),
            (message_ttl, expires),
            max_priority,
            single,
            dead,
            durable,
        )| {
            QueueSettings {
                quorum: false,
                delivery_limit: None,
                retry: None,
                durable,
                message_ttl,
                expires,
                max_length,
                max_length_bytes,
                overflow,
                max_priority,
                single_active_consumer: single,
                deduplicates: false,
                dead_letters: dead,
                stream: None,
            }
        },
    )
}

/// A delivery that waits for its settlement.
pub struct Held {
    consumer: Option<usize>,
    entry: Entry,
    item: Item,
}

/// The queue, its model, and what a session would keep.
pub struct Pair {
    pub bench: Bench,
    pub model: Model,
    pub disk: Disk,
    shared: Arc<SharedPrefetch>,
    consumers: Vec<(ConsumerKey, Sink)>,
    held: Vec<Held>,
    held_by_shared_before: u32,
    /// Deliveries of no-ack consumers that are not written yet.
    unwritten: Vec<(usize, Entry, Item)>,
    /// Where every message that was ever accepted ended.
    fates: BTreeMap<u32, u32>,
    pub log: Ledger,
}

impl Pair {
    fn new(settings: QueueSettings) -> Pair {
        let bench = Bench::new(settings.clone());
        let model = Model::new(settings, bench.now);
        Pair {
            bench,
            model,
            disk: Disk::default(),
            shared: Arc::default(),
            consumers: Vec::new(),
            held: Vec::new(),
            held_by_shared_before: 0,
            unwritten: Vec::new(),
            fates: BTreeMap::new(),
            log: Ledger::default(),
        }
    }

    fn run(&mut self, step: &Step) {
        match step {
            Step::Publish(drafts) => self.publish(drafts),
            Step::Consume { prefetch, priority, exclusive, shared } => {
                self.consume(*prefetch, *priority, *exclusive, *shared);
            }
            Step::Cancel(index) => self.cancel(*index),
            Step::Written(index) => self.written(*index),
            Step::Settle { which, verdict } => self.settle(*which, *verdict),
            Step::Get { acknowledges } => self.get(*acknowledges),
            Step::SharedLimit(limit) => {
                if self.shared.limit() == 0 {
                    let outstanding = self.held_by_shared();
                    self.shared.count_outstanding(outstanding);
                    self.model.shared_used = outstanding;
                }
                self.shared.set_limit(*limit);
                self.model.shared_limit = u32::from(*limit);
                self.recheck();
            }
            Step::Advance(by) => {
                self.bench.now += by;
                self.model.now += by;
            }
            Step::Touch => {
                self.bench.queue.touch(self.bench.now);
                self.model.last_used = self.model.now;
            }
            Step::Tick => assert_eq!(self.bench.tick(), self.model.tick(), "expired"),
            Step::Purge => {
                let purged = self.bench.queue.purge(&mut self.bench.effects);
                self.emptied(&purged);
            }
            Step::Disk(step) => self.disk_step(*step),
            Step::Delete => {
                let deleted = self.bench.queue.delete(&mut self.bench.effects);
                self.emptied(&deleted);
                self.model.deleted = true;
                // The log forgets the queue as a whole.
                self.log = Ledger::default();
                for held in &mut self.held {
                    (held.item.logged, held.entry.logged) = (false, false);
                }
            }
        }
        self.collect();
        self.compare();
        self.compare_log();
    }

    fn held_by_shared(&self) -> u32 {
        let of_shared = |held: &&Held| held.consumer.is_some_and(|index| self.model.consumers[index].shared);
        self.held.iter().filter(of_shared).count() as u32
    }

    fn publish(&mut self, drafts: &[Draft]) {
        let mut batch = drafts.to_vec();
        for draft in &mut batch {
            draft.id = self.bench.next_id;
            self.bench.next_id += 1;
        }
        let mut refused = Vec::new();
        let (now, effects) = (self.bench.now, &mut self.bench.effects);
        let messages = batch.iter().map(|draft| message(*draft));
        self.bench.queue.publish(messages, now, effects, |index, accepted| {
            assert_eq!(accepted, Accepted::Refused);
            refused.push(batch[index].id);
        });
        assert_eq!(refused, self.model.publish(&batch), "refused");
        let here = || self.model.ready.iter().chain(self.model.delivered.iter().map(|(_, item)| item));
        let stays = |sequence| here().find(|item| item.sequence == sequence);
        for kept in &self.bench.effects.log.kept {
            let item = stays(kept.sequence).expect("only what stays is kept");
            assert_eq!((batch[kept.index as usize].id, kept.deadline), (item.id, item.deadline), "kept");
        }
    }

    fn consume(&mut self, prefetch: Option<u16>, priority: i64, exclusive: bool, shared: bool) {
        if self.model.deleted {
            return;
        }
        let acknowledges = prefetch.map_or(Acknowledges::Never, |prefetch| Acknowledges::Each { prefetch });
        // As in a session: no-ack consumers have nothing to share.
        let shared = (shared && prefetch.is_some()).then(|| self.shared.clone());
        let settings = ConsumerSettings { acknowledges, priority, exclusive, shared };
        let accepted = self.model.consume(&settings);
        let consumed = self.bench.consume(settings);
        assert_eq!(consumed.is_ok(), accepted, "in exclusive use");
        self.consumers.extend(consumed);
    }

    fn present(&self, index: usize) -> Option<usize> {
        let present: Vec<usize> =
            (0..self.consumers.len()).filter(|at| self.model.consumers[*at].present).collect();
        (!present.is_empty()).then(|| present[index % present.len()])
    }

    /// Cancelling gives back what a no-ack consumer had not been sent.
    fn cancel(&mut self, index: usize) {
        let Some(index) = self.present(index) else { return };
        self.model.cancel(index);
        let last = !self.model.consumers.iter().any(|consumer| consumer.present);
        let key = self.consumers[index].0;
        assert_eq!(self.bench.cancel(key), last, "the last consumer");
        self.collect();
        let unwritten = std::mem::take(&mut self.unwritten);
        let (back, rest): (Vec<_>, Vec<_>) = unwritten.into_iter().partition(|(of, ..)| *of == index);
        self.unwritten = rest;
        let (entries, items): (Vec<Entry>, Vec<Item>) =
            back.into_iter().map(|(_, entry, item)| (entry, item)).unzip();
        self.bench.queue.take_back_unsent(entries, self.bench.now, &mut self.bench.effects);
        if !self.model.deleted {
            let items = items.into_iter().map(|item| Item { logged: false, ..item }).collect();
            self.model.come_back(items);
        }
    }

    fn written(&mut self, index: usize) {
        let Some(index) = self.present(index) else { return };
        let window = &self.model.consumers[index].window;
        let (messages, bytes) = (window.len() as u32, window.iter().sum());
        let (key, now) = (self.consumers[index].0, self.bench.now);
        self.unwritten.retain(|(of, ..)| *of != index);
        self.bench.queue.written(key, messages, bytes, now, &mut self.bench.effects);
        self.model.written(index);
    }

    /// Settles some deliveries of one consumer, as a session groups them.
    fn settle(&mut self, which: Which, verdict: Verdict) {
        if self.held.is_empty() {
            return;
        }
        let consumer = self.held[which.first % self.held.len()].consumer;
        let mut of_consumer =
            (0..self.held.len()).filter(|at| self.held[*at].consumer == consumer).collect::<Vec<_>>();
        let skipped = which.first % of_consumer.len();
        let chosen: Vec<usize> =
            of_consumer.drain(skipped..).step_by(which.stride).take(which.count).collect();
        let settled: Vec<Held> = chosen.iter().rev().map(|at| self.held.remove(*at)).collect();
        let (entries, items): (Vec<Entry>, Vec<Item>) =
            settled.into_iter().rev().map(|held| (held.entry, held.item)).unzip();
        let shared = consumer.is_some_and(|index| self.model.consumers[index].shared);
        let count = items.len() as u32;
        if shared {
            self.shared.give_back(count);
            self.model.shared_used = self.model.shared_used.saturating_sub(count);
        }
        let key = consumer.map(|index| self.consumers[index].0);
        let (queue, now, effects) = (&mut self.bench.queue, self.bench.now, &mut self.bench.effects);
        match verdict {
            Verdict::Acknowledge => {
                queue.settle_bytes(entries.iter().map(|entry| entry.message.body_length()).sum());
                queue.settle(key, count, now, effects);
                self.log.settled(&entries);
                self.model.settle(consumer, count);
            }
            Verdict::Requeue => {
                queue.requeue(key, entries, now, effects);
                self.model.requeue(consumer, &items);
            }
            Verdict::Reject => {
                queue.reject(key, entries, now, effects);
                self.model.reject(consumer, &items);
            }
        }
        if shared {
            self.recheck();
        }
    }

    fn recheck(&mut self) {
        for (index, (key, _)) in self.consumers.iter().enumerate() {
            if self.model.consumers[index].present {
                self.bench.queue.recheck(*key, self.bench.now, &mut self.bench.effects);
                self.model.recheck(index);
            }
        }
    }

    fn get(&mut self, acknowledges: bool) {
        let got = self.bench.queue.get(acknowledges, self.bench.now, &mut self.bench.effects);
        let found = self.model.get(acknowledges);
        match (got, found) {
            (Got::Entry(entry, left), Found::Item(item)) => {
                assert_eq!((id_of(&entry), entry.redelivered), (item.id, item.redelivered), "basic.get");
                assert_eq!(left, self.model.ready.len() as u64);
                if acknowledges {
                    self.held.push(Held { consumer: None, entry, item });
                }
            }
            (Got::Wait, Found::Wait) => {
                self.note_fetches();
                assert!(self.disk.is_asked_for(&self.model.ready[0]), "nobody fetches the head");
            }
            (Got::Empty, Found::Empty) => {}
            (got, found) => panic!("basic.get: {got:?}, not {found:?}"),
        }
    }

    /// Takes what each consumer got and compares it, in order.
    fn collect(&mut self) {
        let delivered = std::mem::take(&mut self.model.delivered);
        for (index, (_, sink)) in self.consumers.iter().enumerate() {
            let entries = sink.take();
            let expected: Vec<Item> =
                delivered.iter().filter(|(of, _)| *of == index).map(|(_, item)| *item).collect();
            let got: Vec<_> =
                entries.iter().map(|entry| (id_of(entry), entry.redelivered, entry.returns)).collect();
            let wanted: Vec<_> =
                expected.iter().map(|item| (item.id, item.redelivered, item.returns)).collect();
            assert_eq!(got, wanted, "delivered to consumer {index}");
            for (entry, item) in entries.into_iter().zip(expected) {
                assert!(self.bench.now <= entry.deadline, "delivered after it expired");
                match self.model.consumers[index].prefetch {
                    None => self.unwritten.push((index, entry, item)),
                    Some(_) => self.held.push(Held { consumer: Some(index), entry, item }),
                }
            }
        }
    }

    fn compare(&mut self) {
        self.note_fetches();
        let dead = std::mem::take(&mut self.bench.effects.dead);
        self.log.apply(std::mem::take(&mut self.bench.effects.log), &dead);
        for (entry, death) in &dead {
            assert!(*death != Death::Expired || entry.deadline <= self.bench.now, "expired early");
            *self.fates.entry(id_of(entry)).or_default() += 1;
        }
        let dead: Vec<_> = dead.iter().map(|(entry, death)| (id_of(entry), *death)).collect();
        assert_eq!(dead, std::mem::take(&mut self.model.dead), "dead letters");
        assert!(self.fates.values().all(|deaths| *deaths == 1), "died twice: {:?}", self.fates);
        let expected = Counts {
            ready: self.model.ready.len() as u64,
            ready_bytes: self.model.bytes(),
            unacknowledged: self.held.len() as u64,
            unacknowledged_bytes: self.held.iter().map(|held| held.entry.message.body_length()).sum(),
            consumers: self.model.consumers.iter().filter(|consumer| consumer.present).count() as u32,
            resting: 0,
        };
        assert_eq!(self.bench.queue.counts(), expected);
        assert_eq!(self.model.unacknowledged, expected.unacknowledged);
        assert_eq!(self.bench.queue.resident_cost(), self.model.resident_cost(ENTRY_OVERHEAD));
        let fetching = self.model.ready.first().is_some_and(|head| self.disk.is_asked_for(head));
        assert_eq!(self.bench.queue.next_deadline(), self.model.next_deadline(fetching));
        if self.model.shared_limit != 0 {
            let (held, limit) = (self.held_by_shared(), self.model.shared_limit);
            // What was outstanding when the limit was set, or lowered, may stay above it.
            assert!(held <= limit.max(self.held_by_shared_before), "shared limit {limit} exceeded: {held}");
        }
        self.held_by_shared_before = self.held_by_shared();
        self.model.check();
    }
}

impl Pair {
    /// Everything ready was taken out at once.
    fn emptied(&mut self, taken: &Ready) {
        assert_eq!(taken.count(), self.model.ready.len() as u64);
        let away = std::mem::take(&mut self.model.away);
        self.log.living.retain(|sequence| !away.contains(sequence));
        self.model.ready.clear();
        self.disk.emptied(std::mem::take(&mut self.bench.effects.dropped_pages));
    }

    /// What the log knows is what would have to be there after a restart.
    fn compare_log(&self) {
        let ready = self.model.ready.iter().filter(|item| item.logged).map(|item| item.sequence);
        let held = self.held.iter().filter(|held| held.item.logged).map(|held| held.item.sequence);
        assert_eq!(self.log.living, ready.chain(held).collect(), "the log");
    }
}

/// What the log would hold.
#[derive(Debug, Default)]
pub struct Ledger {
    pub living: BTreeSet<u64>,
    /// Everything that was ever kept.
    known: BTreeSet<u64>,
}

impl Ledger {
    fn apply(&mut self, notes: Notes, dead: &[(Entry, Death)]) {
        for Kept { sequence, .. } in notes.kept {
            assert!(self.known.insert(sequence), "kept twice: {sequence}");
            self.living.insert(sequence);
        }
        for sequence in notes.returned {
            assert!(self.living.contains(&sequence), "returned from the dead: {sequence}");
        }
        let logged = dead.iter().filter(|(entry, _)| entry.logged).map(|(entry, _)| entry.sequence);
        for sequence in notes.gone.into_iter().chain(logged) {
            assert!(self.living.remove(&sequence), "gone twice or never kept: {sequence}");
        }
    }

    fn settled(&mut self, entries: &[Entry]) {
        for entry in entries.iter().filter(|entry| entry.logged) {
            assert!(self.living.remove(&entry.sequence), "settled, but not there: {entry:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn the_queue_agrees_with_its_model(settings in settings(), steps in vec(step(), 1..80)) {
        let mut pair = Pair::new(settings);
        steps.iter().for_each(|step| pair.run(step));
        // What is left comes out in the model's order, once every question is answered.
        while !pair.model.ready.is_empty() {
            let before = pair.model.ready.len();
            pair.run(&Step::Get { acknowledges: false });
            if pair.model.ready.len() == before {
                pair.run(&Step::Disk(DiskStep::Read { index: 0, lost: None }));
            }
        }
        pair.run(&Step::Get { acknowledges: false });
    }

    #[test]
    fn equal_consumers_get_equally_much(consumers in 1..8usize, batches in vec(1..20u32, 1..20)) {
        let mut bench = Bench::new(QueueSettings::default());
        let sinks: Vec<Sink> = (0..consumers).map(|_| bench.with_prefetch(0).1).collect();
        for batch in batches {
            bench.fill(batch);
            let counts: Vec<usize> = sinks.iter().map(|sink| sink.ids().len()).collect();
            let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
            assert!(most - least <= 1, "{counts:?}");
        }
    }

    #[test]
    fn a_lower_priority_gets_something_only_when_the_higher_are_full(
        prefetches in vec(1..5u16, 2..6), count in 1..30u32,
    ) {
        let mut bench = Bench::new(QueueSettings::default());
        let mut sinks = Vec::new();
        for (priority, prefetch) in prefetches.iter().enumerate() {
            let settings = ConsumerSettings { priority: priority as i64, ..prefetching(*prefetch) };
            sinks.push(bench.consume(settings).unwrap().1);
        }
        bench.fill(count);
        let mut left = count as usize;
        for (sink, prefetch) in sinks.iter().zip(&prefetches).rev() {
            let expected = left.min(usize::from(*prefetch));
            assert_eq!(sink.ids().len(), expected);
            left -= expected;
        }
        assert_eq!(bench.queue.counts().ready, left as u64);
    }
}
