//! The consumers of one queue: who gets the next message.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

use super::{Entry, Outlet, Wakes};

/// Messages that may be under way to one consumer before its connection has written them.
pub const WINDOW_MESSAGES: u32 = 4096;
/// Octets of bodies that may be under way to one consumer before its connection has written them.
pub const WINDOW_BYTES: u64 = 1 << 20;

/// Names a consumer of a queue; never reused within that queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConsumerKey {
    slot: u32,
    number: u32,
}

impl ConsumerKey {
    /// The key of a stream's consumer.
    pub(super) fn of_stream(number: u32) -> ConsumerKey {
        ConsumerKey { slot: 0, number }
    }

    pub(super) fn of_reader(self) -> u32 {
        self.number
    }
}

/// How a consumer wants its messages.
#[derive(Debug, Clone)]
pub struct ConsumerSettings {
    pub acknowledges: Acknowledges,
    /// Higher ones get everything while they have room (BAS-26).
    pub priority: i64,
    pub exclusive: bool,
    /// The limit that all consumers of its channel share (BAS-41).
    pub shared: Option<Arc<SharedPrefetch>>,
}

/// Whether a delivery stays the queue's until it is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acknowledges {
    /// no-ack: settled when sent (BAS-23).
    Never,
    /// Unsettled deliveries at most; 0 is unlimited (BAS-42).
    Each { prefetch: u16 },
}

/// What became of the message at the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handed {
    /// Delivered for good.
    Settled,
    /// Delivered; a settlement will follow.
    Unacknowledged,
    /// Nobody has room.
    Nobody,
}

/// basic.qos with global set: one limit for all consumers of a channel, over several queues.
#[derive(Debug, Default)]
pub struct SharedPrefetch {
    /// 0 is unlimited.
    limit: AtomicU32,
    used: AtomicU32,
}

impl SharedPrefetch {
    pub fn set_limit(&self, limit: u16) {
        self.limit.store(u32::from(limit), Relaxed);
    }

    pub fn limit(&self) -> u32 {
        self.limit.load(Relaxed)
    }

    /// Counts deliveries that were outstanding before the limit was set.
    pub fn count_outstanding(&self, outstanding: u32) {
        self.used.store(outstanding, Relaxed);
    }

    /// Takes one place, unless the limit is reached.
    pub fn take(&self) -> bool {
        let limit = self.limit();
        if limit == 0 {
            self.used.fetch_add(1, Relaxed);
            return true;
        }
        // Never counts a place that it does not get: another queue's consumer would see the limit reached and
        // wait for a settlement that nobody owes.
        self.used.fetch_update(Relaxed, Relaxed, |used| (used < limit).then(|| used + 1)).is_ok()
    }

    pub fn give_back(&self, places: u32) {
        // Saturating, because deliveries from before the first limit may be settled after it.
        let _ = self.used.fetch_update(Relaxed, Relaxed, |used| Some(used.saturating_sub(places)));
    }
}

#[derive(Debug)]
struct Consumer<O> {
    number: u32,
    outlet: O,
    settings: ConsumerSettings,
    unacknowledged: u32,
    /// Delivered but not yet written to the socket; the connection reports in batches.
    under_way_messages: u32,
    under_way_bytes: u64,
    /// Whether its slot stands in a ring. Invariant: a consumer with room stands in exactly one.
    queued: bool,
    /// Handed over at the end of the operation, so that its inbox is locked once.
    batch: Vec<Entry>,
}

impl<O> Consumer<O> {
    #[inline]
    fn has_room(&self) -> bool {
        let within_prefetch = match self.settings.acknowledges {
            Acknowledges::Never | Acknowledges::Each { prefetch: 0 } => true,
            Acknowledges::Each { prefetch } => self.unacknowledged < u32::from(prefetch),
        };
        within_prefetch && self.under_way_messages < WINDOW_MESSAGES && self.under_way_bytes < WINDOW_BYTES
    }

    #[inline]
    fn give(&mut self, entry: Entry) {
        if self.settings.acknowledges != Acknowledges::Never {
            self.unacknowledged += 1;
        }
        self.under_way_messages += 1;
        self.under_way_bytes += entry.message.body_length();
        self.batch.push(entry);
    }
}

#[derive(Debug)]
struct Ring {
    priority: i64,
    /// In turn. Consumers that went away leave their keys behind until their turn comes, or a sweep.
    keys: VecDeque<ConsumerKey>,
}

/// All consumers of a queue.
#[derive(Debug)]
pub struct Consumers<O> {
    slots: Vec<Option<Consumer<O>>>,
    free: Vec<u32>,
    next_number: u32,
    /// Consumers with room, by ascending priority, in turn.
    rings: Vec<Ring>,
    /// Slots whose `batch` holds something.
    touched: Vec<u32>,
    count: u32,
    /// With single active consumer.
    single: Option<Box<Single>>,
    /// Keys in the rings whose consumers went away, at most.
    gone: u32,
    exclusive: bool,
}

/// One consumer at a time gets everything (BAS-30).
#[derive(Debug, Default)]
struct Single {
    /// Only this one is served.
    active: Option<ConsumerKey>,
    /// Slots by order of registration, for the takeover.
    registered: BTreeMap<u32, u32>,
}

impl Single {
    /// A consumer goes away. If it was the active one, the one that registered first among the remaining takes
    /// over, and is returned.
    fn remove(&mut self, key: ConsumerKey) -> Option<ConsumerKey> {
        self.registered.remove(&key.number);
        if self.active != Some(key) {
            return None;
        }
        let next = self.registered.first_key_value();
        self.active = next.map(|(number, slot)| ConsumerKey { slot: *slot, number: *number });
        self.active
    }
}

/// Keys of consumers that went away may stand in the rings up to the number of consumers and this.
const SWEEP_MIN: u32 = 16;

fn consumer_at<O>(slots: &[Option<Consumer<O>>], key: ConsumerKey) -> Option<&Consumer<O>> {
    let consumer = slots.get(key.slot as usize)?.as_ref()?;
    (consumer.number == key.number).then_some(consumer)
}

impl<O: Outlet> Consumers<O> {
    pub fn new(single_active: bool) -> Consumers<O> {
        Consumers {
            slots: Vec::new(),
            free: Vec::new(),
            next_number: 0,
            rings: Vec::new(),
            touched: Vec::new(),
            count: 0,
            single: single_active.then(Box::default),
            gone: 0,
            exclusive: false,
        }
    }

    pub fn count(&self) -> u32 {
        self.count
    }

    /// Whether a consumer holds the queue for itself (CH-61).
    pub fn has_exclusive(&self) -> bool {
        self.exclusive
    }

    pub fn is_single_active(&self) -> bool {
        self.single.is_some()
    }

    /// Whether a consumer gets messages, or waits until the one before it is gone (BAS-30).
    pub fn is_served(&self, key: ConsumerKey) -> bool {
        self.single.as_ref().is_none_or(|single| single.active == Some(key))
    }

    /// Everybody's outlet, for telling them that the queue is gone.
    pub fn outlets(&self) -> impl Iterator<Item = &O> {
        self.slots.iter().flatten().map(|consumer| &consumer.outlet)
    }

    pub fn add(&mut self, outlet: O, settings: ConsumerSettings) -> ConsumerKey {
        let number = self.next_number;
        self.next_number = self.next_number.wrapping_add(1);
        self.count += 1;
        self.exclusive |= settings.exclusive;
        let consumer = Consumer {
            number,
            outlet,
            settings,
            unacknowledged: 0,
            under_way_messages: 0,
            under_way_bytes: 0,
            queued: false,
            batch: Vec::new(),
        };
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                self.slots.push(None);
                (self.slots.len() - 1) as u32
            }
        };
        if let Some(place) = self.slots.get_mut(slot as usize) {
            *place = Some(consumer);
        }
        let key = ConsumerKey { slot, number };
        if let Some(single) = &mut self.single {
            single.registered.insert(number, slot);
            single.active.get_or_insert(key);
        }
        self.queue_if_room(slot);
        key
    }

    /// Takes a consumer away; what it holds unacknowledged stays its channel's (BAS-28).
    pub fn remove(&mut self, key: ConsumerKey) -> bool {
        let Some(place) = self.slots.get_mut(key.slot as usize) else { return false };
        if place.as_ref().is_none_or(|consumer| consumer.number != key.number) {
            return false;
        }
        let removed = place.take();
        self.free.push(key.slot);
        self.count -= 1;
        if removed.as_ref().is_some_and(|consumer| consumer.settings.exclusive) {
            self.exclusive = false;
        }
        if removed.is_some_and(|consumer| consumer.queued) {
            self.gone += 1;
            self.sweep();
        }
        if let Some(active) = self.single.as_mut().and_then(|single| single.remove(key)) {
            self.queue_if_room(active.slot);
        }
        true
    }

    /// Clears the rings of consumers that went away, once those are the larger part: cheap on average however
    /// consumers come and go.
    fn sweep(&mut self) {
        if self.gone <= self.count + SWEEP_MIN {
            return;
        }
        let slots = &self.slots;
        for ring in &mut self.rings {
            ring.keys.retain(|key| consumer_at(slots, *key).is_some());
        }
        self.rings.retain(|ring| !ring.keys.is_empty());
        self.gone = 0;
    }

    fn get_mut(&mut self, key: ConsumerKey) -> Option<&mut Consumer<O>> {
        let consumer = self.slots.get_mut(key.slot as usize)?.as_mut()?;
        (consumer.number == key.number).then_some(consumer)
    }

    /// Settled deliveries make room again.
    pub fn settled(&mut self, key: ConsumerKey, deliveries: u32) {
        if let Some(consumer) = self.get_mut(key) {
            consumer.unacknowledged = consumer.unacknowledged.saturating_sub(deliveries);
            self.queue_if_room(key.slot);
        }
    }

    /// The connection has written deliveries to its socket.
    pub fn written(&mut self, key: ConsumerKey, messages: u32, bytes: u64) {
        if let Some(consumer) = self.get_mut(key) {
            consumer.under_way_messages = consumer.under_way_messages.saturating_sub(messages);
            consumer.under_way_bytes = consumer.under_way_bytes.saturating_sub(bytes);
            self.queue_if_room(key.slot);
        }
    }

    /// Looks at one consumer again: its channel's shared limit may have room now.
    pub fn recheck(&mut self, key: ConsumerKey) {
        if self.get_mut(key).is_some() {
            self.queue_if_room(key.slot);
        }
    }

    fn queue_if_room(&mut self, slot: u32) {
        let Some(consumer) = self.slots.get_mut(slot as usize).and_then(Option::as_mut) else { return };
        let key = ConsumerKey { slot, number: consumer.number };
        let inactive = self.single.as_ref().is_some_and(|single| single.active != Some(key));
        if inactive || consumer.queued || !consumer.has_room() {
            return;
        }
        consumer.queued = true;
        let priority = consumer.settings.priority;
        let position = self.rings.binary_search_by(|ring| ring.priority.cmp(&priority));
        let position = position.unwrap_or_else(|position| {
            self.rings.insert(position, Ring { priority, keys: VecDeque::new() });
            position
        });
        if let Some(ring) = self.rings.get_mut(position) {
            ring.keys.push_back(key);
        }
    }

    /// Whether anybody could take a message now, as far as the queue knows.
    pub fn somebody_has_room(&self) -> bool {
        !self.rings.is_empty()
    }

    /// Gives `pop`'s message, which must exist, to whoever is next; `pop` is not called when nobody has room.
    #[inline]
    pub fn hand_over(&mut self, pop: impl FnOnce() -> Option<Entry>) -> Handed {
        while let Some(ring) = self.rings.last_mut() {
            let Some(key) = ring.keys.pop_front() else {
                self.rings.pop();
                continue;
            };
            let place = self.slots.get_mut(key.slot as usize).and_then(Option::as_mut);
            let Some(consumer) = place.filter(|consumer| consumer.number == key.number) else {
                self.gone = self.gone.saturating_sub(1);
                continue;
            };
            let shared_room = consumer.settings.shared.as_ref().is_none_or(|shared| shared.take());
            if !shared_room {
                // Its channel rechecks it when something is settled there.
                consumer.queued = false;
                continue;
            }
            let entry = pop();
            debug_assert!(entry.is_some(), "there is a message when somebody is asked to take it");
            if let Some(entry) = entry {
                if consumer.batch.is_empty() {
                    self.touched.push(key.slot);
                }
                consumer.give(entry);
            }
            let handed = match consumer.settings.acknowledges {
                Acknowledges::Never => Handed::Settled,
                Acknowledges::Each { .. } => Handed::Unacknowledged,
            };
            if consumer.has_room() {
                ring.keys.push_back(key);
            } else {
                consumer.queued = false;
                if ring.keys.is_empty() {
                    self.rings.pop();
                }
            }
            return handed;
        }
        Handed::Nobody
    }

    /// Hands every batch to its outlet.
    pub fn flush(&mut self, wakes: &mut Wakes) {
        for slot in self.touched.drain(..) {
            if let Some(consumer) = self.slots.get_mut(slot as usize).and_then(Option::as_mut) {
                consumer.outlet.deliver(&mut consumer.batch, wakes);
                debug_assert!(consumer.batch.is_empty(), "an outlet takes the whole batch");
            }
        }
    }
}
