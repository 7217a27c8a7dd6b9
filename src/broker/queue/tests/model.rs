//! The reference: one sorted list of messages, one list of consumers, every rule a line that reads like it.

use std::collections::BTreeSet;

use super::*;

/// A ready message of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    pub id: u32,
    pub priority: u8,
    pub size: u64,
    pub sequence: u64,
    pub deadline: Millis,
    pub redelivered: bool,
    pub returns: u32,
    pub logged: bool,
}

#[derive(Debug)]
pub struct ModelConsumer {
    pub present: bool,
    pub priority: i64,
    pub exclusive: bool,
    /// `None` for no-ack.
    pub prefetch: Option<u32>,
    pub shared: bool,
    pub unacknowledged: u32,
    pub window: Vec<u64>,
    /// When it began to wait for its turn; `None` while it does not take part.
    turn: Option<u64>,
}

impl ModelConsumer {
    fn has_room(&self) -> bool {
        let within = self.prefetch.is_none_or(|limit| limit == 0 || self.unacknowledged < limit);
        within
            && (self.window.len() as u32) < WINDOW_MESSAGES
            && self.window.iter().sum::<u64>() < WINDOW_BYTES
    }
}

/// What basic.get should find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    Item(Item),
    Empty,
    Wait,
}

/// What the queue should be and do.
pub struct Model {
    pub settings: QueueSettings,
    pub now: Millis,
    pub ready: Vec<Item>,
    /// Sequence numbers of what is on disk: it can only be counted until it is back.
    pub away: BTreeSet<u64>,
    pub unacknowledged: u64,
    pub consumers: Vec<ModelConsumer>,
    pub shared_limit: u32,
    pub shared_used: u32,
    pub deleted: bool,
    pub last_used: Millis,
    active: Option<usize>,
    clock: u64,
    next_sequence: u64,
    /// Outcomes of the current step.
    pub delivered: Vec<(usize, Item)>,
    pub dead: Vec<(u32, Death)>,
}

impl Model {
    pub fn new(settings: QueueSettings, now: Millis) -> Model {
        Model {
            settings,
            now,
            ready: Vec::new(),
            away: BTreeSet::new(),
            unacknowledged: 0,
            consumers: Vec::new(),
            shared_limit: 0,
            shared_used: 0,
            deleted: false,
            last_used: now,
            active: None,
            clock: 0,
            next_sequence: 0,
            delivered: Vec::new(),
            dead: Vec::new(),
        }
    }

    fn sort(&mut self) {
        self.ready.sort_by_key(|item| (std::cmp::Reverse(item.priority), item.sequence));
    }

    fn item(&mut self, draft: Draft) -> Item {
        let ttl = [self.settings.message_ttl, draft.ttl].into_iter().flatten().min();
        self.next_sequence += 1;
        Item {
            id: draft.id,
            priority: draft.priority.min(self.settings.max_priority),
            size: draft.size as u64,
            sequence: self.next_sequence - 1,
            deadline: ttl.map_or(Millis::MAX, |ttl| self.now + ttl),
            redelivered: false,
            returns: 0,
            logged: self.settings.durable && draft.persistent,
        }
    }

    pub fn bytes(&self) -> u64 {
        self.ready.iter().map(|item| item.size).sum()
    }

    fn exceeds(&self, count: u64, bytes: u64) -> bool {
        self.settings.max_length.is_some_and(|max| max < count)
            || self.settings.max_length_bytes.is_some_and(|max| max < bytes)
    }

    fn kill(&mut self, item: Item, death: Death) {
        if self.settings.dead_letters {
            self.dead.push((item.id, death));
        }
    }

    /// The next to leave, unless it is on disk.
    fn front(&self) -> Option<Item> {
        self.ready.first().filter(|item| !self.away.contains(&item.sequence)).copied()
    }

    fn expire(&mut self, due: impl Fn(Millis) -> bool) {
        while let Some(item) = self.front().filter(|item| due(item.deadline)) {
            self.ready.remove(0);
            self.kill(item, Death::Expired);
        }
    }

    fn enforce(&mut self) {
        while self.settings.overflow == Overflow::DropHead
            && self.exceeds(self.ready.len() as u64, self.bytes())
            && let Some(item) = self.front()
        {
            self.ready.remove(0);
            self.kill(item, Death::MaxLength);
        }
    }

    /// Returns the ids that were refused.
    pub fn publish(&mut self, batch: &[Draft]) -> Vec<u32> {
        let mut refused = Vec::new();
        if self.deleted {
            return refused;
        }
        let now = self.now;
        self.expire(|deadline| deadline < now);
        for draft in batch {
            let full = self.exceeds(self.ready.len() as u64 + 1, self.bytes() + draft.size as u64);
            if full && self.settings.overflow != Overflow::DropHead {
                refused.push(draft.id);
                if self.settings.overflow == Overflow::RejectPublishDlx && self.settings.dead_letters {
                    let item = self.item(*draft);
                    self.kill(item, Death::MaxLength);
                }
                continue;
            }
            let item = self.item(*draft);
            self.ready.push(item);
            self.sort();
            if self.settings.max_length.is_some() || self.settings.max_length_bytes.is_some() {
                self.dispatch();
                self.enforce();
            }
        }
        self.dispatch();
        self.expire(|deadline| deadline <= now);
        refused
    }

    /// Lets everybody take part who may and can.
    fn line_up(&mut self, index: usize) {
        let may = !self.settings.single_active_consumer || self.active == Some(index);
        let consumer = &mut self.consumers[index];
        if consumer.present && may && consumer.turn.is_none() && consumer.has_room() {
            consumer.turn = Some(self.clock);
            self.clock += 1;
        }
    }

    /// The highest priority first, among equals who has waited longest.
    fn next_in_turn(&self) -> Option<usize> {
        let waiting = self.consumers.iter().enumerate().filter(|(_, consumer)| consumer.turn.is_some());
        waiting.min_by_key(|(_, one)| (std::cmp::Reverse(one.priority), one.turn)).map(|(index, _)| index)
    }

    fn dispatch(&mut self) {
        let now = self.now;
        self.hand_out();
        self.expire(|deadline| deadline < now);
    }

    fn hand_out(&mut self) {
        let now = self.now;
        while let Some(index) = self.next_in_turn() {
            self.expire(|deadline| deadline < now);
            let Some(item) = self.front() else { return };
            self.consumers[index].turn = None;
            if self.consumers[index].shared {
                if self.shared_limit != 0 && self.shared_limit <= self.shared_used {
                    continue;
                }
                self.shared_used += 1;
            }
            self.ready.remove(0);
            let consumer = &mut self.consumers[index];
            if consumer.prefetch.is_some() {
                consumer.unacknowledged += 1;
                self.unacknowledged += 1;
            }
            consumer.window.push(item.size);
            self.delivered.push((index, item));
            self.line_up(index);
        }
    }

    pub fn consume(&mut self, settings: &ConsumerSettings) -> bool {
        let present = self.consumers.iter().any(|consumer| consumer.present);
        let exclusive = self.consumers.iter().any(|consumer| consumer.present && consumer.exclusive);
        if exclusive || settings.exclusive && (present || self.settings.single_active_consumer) {
            return false;
        }
        let prefetch = match settings.acknowledges {
            Acknowledges::Never => None,
            Acknowledges::Each { prefetch } => Some(u32::from(prefetch)),
        };
        self.consumers.push(ModelConsumer {
            present: true,
            priority: settings.priority,
            exclusive: settings.exclusive,
            prefetch,
            shared: settings.shared.is_some(),
            unacknowledged: 0,
            window: Vec::new(),
            turn: None,
        });
        let index = self.consumers.len() - 1;
        if self.active.is_none() {
            self.active = Some(index);
        }
        self.line_up(index);
        self.dispatch();
        true
    }

    pub fn cancel(&mut self, index: usize) {
        self.consumers[index].present = false;
        self.consumers[index].turn = None;
        if self.settings.single_active_consumer && self.active == Some(index) {
            self.active = self.consumers.iter().position(|consumer| consumer.present);
            if let Some(next) = self.active {
                self.line_up(next);
            }
        }
        self.last_used = self.now;
        self.dispatch();
    }

    pub fn written(&mut self, index: usize) {
        self.consumers[index].window.clear();
        self.line_up(index);
        self.dispatch();
    }

    /// Everything the shared limit stopped looks again.
    pub fn recheck(&mut self, index: usize) {
        self.line_up(index);
        self.dispatch();
    }

    fn release(&mut self, consumer: Option<usize>, deliveries: u32) {
        self.unacknowledged -= u64::from(deliveries);
        if let Some(index) = consumer {
            self.consumers[index].unacknowledged -= deliveries;
            self.line_up(index);
        }
    }

    pub fn settle(&mut self, consumer: Option<usize>, deliveries: u32) {
        self.release(consumer, deliveries);
        self.dispatch();
    }

    pub fn reject(&mut self, consumer: Option<usize>, items: &[Item]) {
        if !self.deleted {
            items.iter().for_each(|item| self.kill(*item, Death::Rejected));
        }
        self.settle(consumer, items.len() as u32);
    }

    pub fn requeue(&mut self, consumer: Option<usize>, items: &[Item]) {
        self.release(consumer, items.len() as u32);
        let again = |item: &Item| Item { redelivered: true, returns: item.returns + 1, ..*item };
        self.come_back(items.iter().map(again).collect());
    }

    pub fn come_back(&mut self, items: Vec<Item>) {
        let now = self.now;
        if !self.deleted {
            self.ready.extend(items);
            self.sort();
        }
        self.expire(|deadline| deadline <= now);
        self.dispatch();
        self.enforce();
    }

    pub fn get(&mut self, acknowledges: bool) -> Found {
        let now = self.now;
        self.last_used = now;
        self.expire(|deadline| deadline <= now);
        let Some(item) = self.front() else {
            return if self.ready.is_empty() { Found::Empty } else { Found::Wait };
        };
        self.ready.remove(0);
        self.unacknowledged += u64::from(acknowledges);
        self.expire(|deadline| deadline <= now);
        Found::Item(item)
    }

    /// When something is due; what is being fetched cannot be helped.
    pub fn next_deadline(&self, fetching: bool) -> Option<Millis> {
        if self.deleted {
            return None;
        }
        let head = self.ready.first().filter(|_| !fetching).map(|item| item.deadline);
        let consumed = self.consumers.iter().any(|consumer| consumer.present);
        let expires = self.settings.expires.filter(|_| !consumed).map(|expires| self.last_used + expires);
        head.filter(|deadline| *deadline != Millis::MAX).into_iter().chain(expires).min()
    }

    /// Octets of memory; those of a message are for the queue to say.
    pub fn resident_cost(&self, overhead: u64) -> u64 {
        let here = self.ready.iter().filter(|item| !self.away.contains(&item.sequence));
        here.map(|item| item.size + overhead).sum()
    }

    /// Returns whether the queue has expired.
    pub fn tick(&mut self) -> bool {
        let now = self.now;
        if self.deleted {
            return false;
        }
        self.expire(|deadline| deadline <= now);
        let consumed = self.consumers.iter().any(|consumer| consumer.present);
        !consumed && self.settings.expires.is_some_and(|expires| self.last_used + expires <= now)
    }

    /// Statements about every state, whatever led there.
    pub fn check(&self) {
        for consumer in self.consumers.iter().filter(|consumer| consumer.present) {
            if let Some(limit) = consumer.prefetch.filter(|limit| *limit != 0) {
                assert!(consumer.unacknowledged <= limit, "prefetch exceeded: {consumer:?}");
            }
        }
        let order: Vec<_> = self.ready.iter().map(|i| (std::cmp::Reverse(i.priority), i.sequence)).collect();
        assert!(order.is_sorted());
        if self.settings.overflow == Overflow::DropHead && (self.ready.is_empty() || self.front().is_some()) {
            assert!(!self.exceeds(self.ready.len() as u64, self.bytes()));
        }
    }
}
