//! basic.ack, basic.nack, basic.reject and basic.recover.

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::{
    Core,
    channel::Mode,
    unacked::{OriginIndex, Unacked},
};
use crate::{
    amqp::{ChannelId, Failure, ReplyCode, hot::Settle},
    broker::{Millis, queue::Entry},
    store::Op,
};

/// How often overdue deliveries are looked for at least, in milliseconds.
const OVERDUE_CHECK_MAX: Millis = 60_000;
/// And at most: consumers choose their timeouts, and looking may mean to look at everything they hold.
const OVERDUE_CHECK_MIN: Millis = 50;

/// What a client says of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Acknowledge,
    /// To its place, and that it came back counts against a delivery limit (QQ-05).
    Requeue,
    /// To its place, without that.
    GiveBack,
    /// Dead-letter or drop (BAS-62).
    Discard,
}

/// Groups a transaction's settlements into runs of equal verdict, in order.
pub fn by_verdict(settlements: Vec<(Verdict, Unacked)>) -> Vec<(Verdict, Vec<Unacked>)> {
    let mut runs: Vec<(Verdict, Vec<Unacked>)> = Vec::new();
    for (verdict, unacked) in settlements {
        match runs.last_mut() {
            Some((last, run)) if *last == verdict => run.push(unacked),
            _ => runs.push((verdict, vec![unacked])),
        }
    }
    runs
}

impl Core {
    /// Settles deliveries. Acknowledgements reach their queues at the next flush, all others at once.
    #[inline]
    pub(super) fn on_settle(&mut self, id: ChannelId, settle: Settle) -> Result<(), Failure> {
        let (tag, multiple, verdict) = match settle {
            Settle::Ack { tag, multiple } => (tag, multiple, Verdict::Acknowledge),
            Settle::Nack { tag, multiple, requeue: true } => (tag, multiple, Verdict::GiveBack),
            Settle::Nack { tag, multiple, requeue: false } => (tag, multiple, Verdict::Discard),
            Settle::Reject { tag, requeue: true } => (tag, false, Verdict::Requeue),
            Settle::Reject { tag, requeue: false } => (tag, false, Verdict::Discard),
        };
        let Some(channel) = self.channels.get_mut(&id) else { return Ok(()) };
        let unknown = || {
            let text = format!("unknown delivery tag {tag}");
            Failure::channel(ReplyCode::PreconditionFailed, text)
        };
        if verdict == Verdict::Acknowledge && !matches!(channel.mode, Mode::Transaction(_)) {
            let settled = channel.unacked.len();
            if multiple {
                for unacked in channel.unacked.take_up_to(tag).ok_or_else(unknown)? {
                    channel.note_settled(&unacked);
                }
            } else {
                let unacked = channel.unacked.take(tag).ok_or_else(unknown)?;
                channel.note_settled(&unacked);
            }
            channel.meter.acknowledged.add((settled - channel.unacked.len()) as u64);
            if settled != channel.unacked.len() && !channel.is_dirty {
                channel.is_dirty = true;
                self.dirty.push(id);
            }
            if channel.deduplicates {
                self.flush_in_order(id);
            }
            return Ok(());
        }
        let taken = if multiple {
            channel.unacked.take_up_to(tag).ok_or_else(unknown)?
        } else {
            vec![channel.unacked.take(tag).ok_or_else(unknown)?]
        };
        if let Mode::Transaction(transaction) = &mut channel.mode {
            transaction.settlements.extend(taken.into_iter().map(|unacked| (verdict, unacked)));
            return Ok(());
        }
        // What was published or acknowledged before comes first.
        self.flush_in_order(id);
        self.settle_all(id, vec![(verdict, taken)]);
        Ok(())
    }

    /// Tells queues what was settled, and before that what was published, if one of them is particular about it.
    fn flush_in_order(&mut self, id: ChannelId) {
        let matters = self.channels.get(&id).is_some_and(|channel| channel.deduplicates);
        if matters && !self.batch.is_empty() {
            let refused = self.flush_batch();
            self.note_refused(&refused);
        }
        self.flush_settlements(id);
    }

    /// Carries settlements out, a queue at a time within each run.
    pub(super) fn settle_all(&mut self, id: ChannelId, runs: Vec<(Verdict, Vec<Unacked>)>) {
        for (verdict, run) in runs {
            if verdict == Verdict::Acknowledge {
                if let Some(channel) = self.channels.get_mut(&id) {
                    channel.meter.acknowledged.add(run.len() as u64);
                    run.iter().for_each(|unacked| channel.note_settled(unacked));
                }
                self.flush_settlements(id);
                continue;
            }
            for (origin, entries) in by_origin(run) {
                self.return_entries(id, origin, entries, verdict);
            }
        }
    }

    /// Gives deliveries back to their queue, or lets them die there.
    pub(super) fn return_entries(
        &mut self,
        id: ChannelId,
        index: OriginIndex,
        entries: Vec<Entry>,
        verdict: Verdict,
    ) {
        let count = entries.len() as u32;
        let Some(channel) = self.channels.get_mut(&id) else { return };
        let Some(origin) = channel.origin_mut(index) else { return };
        origin.outstanding = origin.outstanding.saturating_sub(count);
        let (queue, consumer, now) = (origin.queue.clone(), origin.consumer, self.now);
        channel.drop_if_unused(index);
        let shared = channel.shared_prefetch.clone();
        if consumer.is_some() {
            shared.give_back(count);
        }
        self.node.with_queue_logging(&queue, now, &mut self.ops, |queue, effects| match verdict {
            Verdict::Requeue => queue.requeue(consumer, entries, now, effects),
            Verdict::GiveBack => queue.give_back(consumer, entries, now, effects),
            Verdict::Acknowledge | Verdict::Discard => queue.reject(consumer, entries, now, effects),
        });
        if shared.limit() != 0 {
            self.recheck_consumers(id);
        }
    }

    /// Tells each queue once how many of its deliveries were acknowledged.
    pub(super) fn flush_settlements(&mut self, id: ChannelId) {
        let Some(channel) = self.channels.get_mut(&id) else { return };
        if channel.settled_origins.is_empty() {
            return;
        }
        let now = self.now;
        let mut freed = 0;
        for index in std::mem::take(&mut channel.settled_origins) {
            let Some(origin) = channel.origin_mut(index) else { continue };
            let (consumer, settled) = (origin.consumer, std::mem::take(&mut origin.settled));
            let bytes = std::mem::take(&mut origin.settled_bytes);
            if let Some(consumer) = consumer
                && origin.queue.is_stream()
            {
                // Reading takes nothing away that the log would have to know.
                let offsets = std::mem::take(&mut origin.settled_logged);
                self.node.with_queue_logging(&origin.queue, now, &mut self.ops, |queue, effects| {
                    queue.settle_offsets(consumer, settled, &offsets, effects);
                });
                freed += settled;
                channel.drop_if_unused(index);
                continue;
            }
            if !origin.settled_logged.is_empty() {
                let sequences = std::mem::take(&mut origin.settled_logged);
                self.ops.push(Op::Settled { queue: origin.queue.number, sequences });
            }
            if consumer.is_some() {
                freed += settled;
            }
            let identified = origin.settled_identified.as_mut().map(std::mem::take).unwrap_or_default();
            self.node.with_queue_logging(&origin.queue, now, &mut self.ops, |queue, effects| {
                queue.settle_bytes(bytes);
                queue.forget_settled(&identified, effects);
                queue.settle(consumer, settled, now, effects);
            });
            channel.drop_if_unused(index);
        }
        if channel.shared_prefetch.limit() != 0 {
            channel.shared_prefetch.give_back(freed);
            self.recheck_consumers(id);
        }
    }

    /// The shared limit of a channel may have room: its consumers that waited for it take part again.
    pub(super) fn recheck_consumers(&mut self, id: ChannelId) {
        use super::deliver::Source;
        let Some(channel) = self.channels.get(&id) else { return };
        let now = self.now;
        for consumer in channel.consumers.values() {
            if let Some(Source::Queue { queue, key, .. }) =
                self.consumers.get(*consumer).map(|consumer| &consumer.source)
            {
                self.node.with_queue(queue, now, |queue, effects| queue.recheck(*key, now, effects));
            }
        }
    }

    /// Something is outstanding: makes sure that somebody looks whether it is settled in time.
    #[inline]
    pub(super) fn arm_settlement_check(&mut self) {
        if self.check_settlements_at.is_none() {
            self.check_settlements_at = self.shortest_timeout.map(|timeout| self.now + check_after(timeout));
        }
    }

    /// A consumer is started: looks in time for what it may leave unsettled, if it may leave it for less long than
    /// others.
    pub(super) fn note_timeout(&mut self, timeout: Option<Millis>) {
        let Some(timeout) = timeout else { return };
        if self.shortest_timeout.is_none_or(|shortest| timeout < shortest) {
            self.shortest_timeout = Some(timeout);
            let at = self.now + check_after(timeout);
            self.check_settlements_at = self.check_settlements_at.map(|before| before.min(at));
        }
    }

    /// Channels with a delivery that waits longer than it may, and for how long it may (BAS-70, BAS-71).
    pub(super) fn overdue_channels(&mut self) -> Vec<(ChannelId, Millis)> {
        if self.check_settlements_at.is_none_or(|at| self.now < at) {
            return Vec::new();
        }
        self.check_settlements_at = None;
        let default = self.settings.consumer_timeout;
        self.shortest_timeout = default;
        let (mut overdue, mut outstanding) = (Vec::new(), false);
        for (id, channel) in &self.channels {
            let timeouts = channel.timeouts(default);
            let shortest = timeouts.iter().copied().chain([self.shortest_timeout]).flatten().min();
            self.shortest_timeout = shortest;
            outstanding |= channel.unacked.oldest().is_some();
            overdue.extend(channel.exceeded(&timeouts, self.now).map(|timeout| (*id, timeout)));
        }
        if outstanding {
            self.arm_settlement_check();
        }
        overdue
    }

    /// Requeues everything outstanding on a channel (BAS-65).
    pub(super) fn return_all(&mut self, id: ChannelId, verdict: Verdict) {
        let Some(channel) = self.channels.get_mut(&id) else { return };
        let all = channel.unacked.take_up_to(0).unwrap_or_default();
        self.settle_all(id, vec![(verdict, all)]);
    }
}

/// How long to wait before looking for what takes longer than `timeout`.
fn check_after(timeout: Millis) -> Millis {
    (timeout / 2).clamp(OVERDUE_CHECK_MIN, OVERDUE_CHECK_MAX)
}

/// What a channel with an overdue delivery is told.
pub fn overdue(channel: ChannelId, timeout: Millis) -> Failure {
    let text = format!(
        "delivery acknowledgement on channel {channel} timed out. Timeout value used: {timeout} ms. This \
         timeout value can be configured, see consumers doc guide to learn more"
    );
    Failure::channel(ReplyCode::PreconditionFailed, text)
}

/// Groups deliveries by where they came from, keeping their order.
fn by_origin(run: Vec<Unacked>) -> Vec<(OriginIndex, Vec<Entry>)> {
    let mut groups: Vec<(OriginIndex, Vec<Entry>)> = Vec::new();
    let mut places: HashMap<OriginIndex, usize, FixedState> = HashMap::default();
    for Unacked { origin, entry, .. } in run {
        let place = *places.entry(origin).or_insert_with(|| {
            groups.push((origin, Vec::new()));
            groups.len() - 1
        });
        if let Some((_, entries)) = groups.get_mut(place) {
            entries.push(entry);
        }
    }
    groups
}
