//! How messages leave a queue other than by delivery, and how deliveries end or come back.

use super::{
    ConsumerKey, Death, Effects, Entry, Message, Millis, Outlet, Overflow, Queue, entry::NEVER, returns,
};

impl<O: Outlet> Queue<O> {
    /// Whether a refusing queue has room for one more.
    pub(super) fn fits(&self, message: &Message) -> bool {
        let count = self.ready.count() + 1;
        let bytes = self.ready.bytes() + message.body_length();
        self.settings.max_length.is_none_or(|max| count <= max)
            && self.settings.max_length_bytes.is_none_or(|max| bytes <= max)
    }

    /// What does not fit is at most dead-lettered (LEN-06); the log never hears of it.
    pub(super) fn refuse(&mut self, message: Message, now: Millis, effects: &mut Effects) {
        if self.settings.overflow == Overflow::RejectPublishDlx && self.settings.dead_letters {
            self.counting.counters.died(Death::MaxLength);
            let entry = Entry { logged: false, ..self.entry(message, now) };
            effects.dead.push((entry, Death::MaxLength));
        }
    }

    /// Drops from the head while over a limit (LEN-02). A queue that refuses publishes instead never drops
    /// what it accepted, even when requeued messages take it over its limit.
    pub(super) fn enforce_limits(&mut self, effects: &mut Effects) {
        if self.settings.overflow != Overflow::DropHead {
            return;
        }
        let (count_max, bytes_max) = (self.settings.max_length, self.settings.max_length_bytes);
        while count_max.is_some_and(|max| max < self.ready.count())
            || bytes_max.is_some_and(|max| max < self.ready.bytes())
        {
            let Some(entry) = self.ready.pop() else { return };
            self.bury(entry, Death::MaxLength, effects);
        }
    }

    fn bury(&mut self, mut entry: Entry, death: Death, effects: &mut Effects) {
        self.counting.counters.died(death);
        self.forget_identity(entry.sequence, effects);
        if !self.settings.dead_letters {
            effects.log.lose(&entry);
            return;
        }
        if self.fresh_from <= entry.sequence {
            // It is not kept after all, so that its death needs no note either.
            effects.log.lose(&entry);
            entry.logged = false;
        }
        effects.dead.push((entry, death));
    }

    /// Expires from the head only, as classic queues do (TTL-02).
    #[inline]
    pub(super) fn expire(&mut self, effects: &mut Effects, due: impl Fn(Millis) -> bool) {
        while self.ready.first_deadline().is_some_and(|deadline| deadline != NEVER && due(deadline)) {
            let Some(entry) = self.ready.pop() else { return };
            self.bury(entry, Death::Expired, effects);
        }
    }

    /// Deliveries are settled for good. `consumer` is `None` for those of basic.get.
    pub fn settle(
        &mut self,
        consumer: Option<ConsumerKey>,
        deliveries: u32,
        now: Millis,
        effects: &mut Effects,
    ) {
        self.counting.counters.acknowledged += u64::from(deliveries);
        self.counting.active = now;
        if let (Some(stream), Some(key)) = (&mut self.stream, consumer) {
            return stream.settle(key, deliveries, &[], effects);
        }
        self.release(consumer, deliveries);
        self.dispatch_and_flush(now, effects);
    }

    /// Octets of bodies that [`Queue::settle`] is about to be told of, or has been.
    pub fn settle_bytes(&mut self, bytes: u64) {
        self.counting.release(bytes);
    }

    /// As [`Queue::settle`], for a consumer of a stream with a name: these offsets are dealt with.
    pub fn settle_offsets(
        &mut self,
        consumer: ConsumerKey,
        deliveries: u32,
        offsets: &[u64],
        effects: &mut Effects,
    ) {
        self.counting.counters.acknowledged += u64::from(deliveries);
        if let Some(stream) = &mut self.stream {
            stream.settle(consumer, deliveries, offsets, effects);
        }
    }

    fn release(&mut self, consumer: Option<ConsumerKey>, deliveries: u32) {
        self.unacknowledged = self.unacknowledged.saturating_sub(u64::from(deliveries));
        if let Some(key) = consumer {
            self.consumers.settled(key, deliveries);
        }
    }

    /// Deliveries come back because they were rejected, or whoever had them is gone; that counts against a
    /// delivery limit (QQ-05).
    pub fn requeue(
        &mut self,
        consumer: Option<ConsumerKey>,
        entries: impl IntoIterator<Item = Entry>,
        now: Millis,
        effects: &mut Effects,
    ) {
        self.take_back(consumer, entries, returns::FAILED, now, effects);
    }

    /// Deliveries are given back by somebody who does not want them now; that does not count.
    pub fn give_back(
        &mut self,
        consumer: Option<ConsumerKey>,
        entries: impl IntoIterator<Item = Entry>,
        now: Millis,
        effects: &mut Effects,
    ) {
        self.take_back(consumer, entries, returns::GIVEN_BACK, now, effects);
    }

    /// Deliveries come back to their original places, marked as redelivered. Limits and deadlines apply to
    /// them again (LEN-04, BAS-67).
    fn take_back(
        &mut self,
        consumer: Option<ConsumerKey>,
        entries: impl IntoIterator<Item = Entry>,
        how: u32,
        now: Millis,
        effects: &mut Effects,
    ) {
        if let Some(stream) = &mut self.stream {
            let entries: Vec<Entry> = entries.into_iter().collect();
            consumer.into_iter().for_each(|key| stream.give_back(key, &entries, effects));
            return;
        }
        let mut deliveries = 0;
        for entry in entries {
            deliveries += 1;
            self.counting.release(entry.message.body_length());
            if self.deleted {
                continue;
            }
            let returns = returns::add(entry.returns, how);
            let failures = returns::failures(returns);
            let counts = how == returns::FAILED;
            if counts && self.settings.delivery_limit.is_some_and(|limit| limit < failures) {
                self.bury(entry, Death::DeliveryLimit, effects);
                continue;
            }
            if entry.logged {
                let noted = if counts { &mut effects.log.returned } else { &mut effects.log.given_back };
                noted.push(entry.sequence);
            }
            let delay = self.settings.retry.map_or(0, |retry| retry.delay(how, returns));
            let entry = Entry { redelivered: true, returns, ..entry };
            match delay {
                0 => self.ready.put_back(entry),
                delay => self.resting.get_or_insert_default().push(now.saturating_add(delay), entry),
            }
        }
        self.release(consumer, deliveries);
        self.settle_returned(now, effects);
    }

    /// What has waited until now is ready again; true when there was any.
    pub(super) fn end_rest(&mut self, now: Millis) -> bool {
        let Some(resting) = &mut self.resting else { return false };
        let before = resting.count();
        while let Some(entry) = resting.pop_due(now) {
            self.ready.put_back(entry);
        }
        resting.count() != before
    }

    /// After messages came back: what is due expires, a consumer with room comes before the limits (LEN-03).
    pub(super) fn settle_returned(&mut self, now: Millis, effects: &mut Effects) {
        self.expire(effects, |deadline| deadline <= now);
        self.dispatch(now, effects);
        self.enforce_limits(effects);
        self.ready.take_wanted(&mut effects.fetch);
        self.consumers.flush(&mut effects.wakes);
    }

    /// Deliveries of no-ack consumers that were never written come back; they were not unacknowledged. The
    /// log was told that they are gone, and that stands.
    pub fn take_back_unsent(
        &mut self,
        entries: impl IntoIterator<Item = Entry>,
        now: Millis,
        effects: &mut Effects,
    ) {
        if self.deleted {
            return;
        }
        for entry in entries {
            self.ready.put_back(Entry { logged: false, ..entry });
        }
        self.settle_returned(now, effects);
    }

    /// Deliveries are settled as rejected without requeue; they die here (BAS-62).
    pub fn reject(
        &mut self,
        consumer: Option<ConsumerKey>,
        entries: impl IntoIterator<Item = Entry>,
        now: Millis,
        effects: &mut Effects,
    ) {
        if let Some(stream) = &mut self.stream {
            let offsets: Vec<u64> = entries.into_iter().map(|entry| entry.sequence).collect();
            let deliveries = u32::try_from(offsets.len()).unwrap_or(u32::MAX);
            consumer.into_iter().for_each(|key| stream.settle(key, deliveries, &offsets, effects));
            return;
        }
        let mut deliveries = 0;
        for entry in entries {
            deliveries += 1;
            self.counting.release(entry.message.body_length());
            if !self.deleted {
                self.bury(entry, Death::Rejected, effects);
            }
        }
        self.counting.active = now;
        self.release(consumer, deliveries);
        self.dispatch_and_flush(now, effects);
    }
}
