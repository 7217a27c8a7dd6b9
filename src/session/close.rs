//! Giving back what channels and connections held (CH-01, CH-03, CON-71, CON-74).

use std::collections::VecDeque;

use super::{
    Core,
    channel::Mode,
    deliver::{Consumer, Source},
    settle::Verdict,
};
use crate::{
    amqp::ChannelId,
    broker::queue::Entry,
    engine::{ConsumerId, Delivery, QueueRef, stats::Event},
};

impl Core {
    /// Ends a channel: consumers go, deliveries return to their queues, an open transaction is rolled back.
    pub(super) fn close_channel(&mut self, id: ChannelId) {
        let Some(channel) = self.channels.get_mut(&id) else { return };
        if let Mode::Transaction(transaction) = &mut channel.mode {
            let transaction = std::mem::take(&mut **transaction);
            self.roll_back(id, transaction);
        }
        let gone = self.detach_consumers(id);
        self.return_undelivered(&gone);
        self.return_all(id, Verdict::Requeue);
        self.log(false);
        self.forget_awaited(id);
        self.forget_channel(id);
        if let Some(seat) = &mut self.seat {
            seat.close_channel();
        }
        self.pending_get.take_if(|get| get.channel == id);
        self.dirty.retain(|dirty| *dirty != id);
        for (_, consumer) in gone {
            if let Source::Queue { queue, .. } = &consumer.source {
                self.node.consumer_gone(queue);
            }
        }
    }

    /// What the channel counted stays in the sums.
    fn forget_channel(&mut self, id: ChannelId) {
        let Some(channel) = self.channels.remove(&id) else { return };
        self.meter.close_channel(id);
        self.node.stats.note(Event::ChannelClosed);
        self.node.events.tell_channel_closed(self.id, id, &self.user);
        if let Some(vhost) = &self.vhost {
            vhost.stats.ended.add_channel(&channel.meter);
        }
    }

    /// Takes a channel's consumers away from their queues, but not yet from the inbox.
    fn detach_consumers(&mut self, id: ChannelId) -> Vec<(ConsumerId, Consumer)> {
        let Some(channel) = self.channels.get_mut(&id) else { return Vec::new() };
        let ids: Vec<ConsumerId> = channel.consumers.drain().map(|(_, id)| id).collect();
        if let Some((_, name)) = channel.reply.take() {
            self.node.replies.unregister(&name);
        }
        let now = self.now;
        let mut gone = Vec::with_capacity(ids.len());
        for id in ids {
            let Some(consumer) = self.consumers.remove(id) else { continue };
            self.tell_consumer_deleted(&consumer);
            if let Source::Queue { queue, key, .. } = &consumer.source {
                self.node.with_queue(queue, now, |queue, effects| queue.cancel(*key, now, effects));
            }
            gone.push((id, consumer));
        }
        gone
    }

    /// Deliveries to consumers that are gone, which never reached the socket, return to their queues.
    /// What the inbox holds for others stays until the output has room.
    fn return_undelivered(&mut self, gone: &[(ConsumerId, Consumer)]) {
        self.inbox.take_now(&mut self.taken);
        let mut kept = VecDeque::new();
        let mut returns: Vec<(ConsumerId, Vec<Entry>)> = Vec::new();
        for delivery in self.taken.deliveries.drain(..) {
            let Delivery { consumer, entry } = delivery;
            if self.consumers.get(consumer).is_some() {
                kept.push_back(Delivery { consumer, entry });
                continue;
            }
            match returns.last_mut() {
                Some((last, entries)) if *last == consumer => entries.push(entry),
                _ => returns.push((consumer, vec![entry])),
            }
        }
        let sources: hashbrown::HashMap<_, _, foldhash::fast::FixedState> =
            gone.iter().map(|(id, consumer)| (*id, &consumer.source)).collect();
        for (id, entries) in returns {
            if let Some(Source::Queue { queue, origin, .. }) = sources.get(&id) {
                self.give_back(queue, origin.is_some(), entries);
            }
        }
        self.taken.deliveries = kept;
    }

    fn give_back(&mut self, queue: &QueueRef, acknowledges: bool, entries: Vec<Entry>) {
        let now = self.now;
        self.node.with_queue(queue, now, |queue, effects| {
            if acknowledges {
                // It never reached the client.
                queue.give_back(None, entries, now, effects);
            } else {
                queue.take_back_unsent(entries, now, effects);
            }
        });
    }

    /// Ends everything: channels, then exclusive queues, so that a client may reconnect and redeclare at once.
    pub(super) fn close_all(&mut self) {
        let ids: Vec<ChannelId> = self.channels.keys().copied().collect();
        let mut gone = Vec::new();
        for id in &ids {
            if let Some(Mode::Transaction(transaction)) =
                self.channels.get_mut(id).map(|channel| &mut channel.mode)
            {
                let transaction = std::mem::take(&mut **transaction);
                self.roll_back(*id, transaction);
            }
            gone.extend(self.detach_consumers(*id));
        }
        self.return_undelivered(&gone);
        self.log_dropped_replies();
        self.taken.deliveries.clear();
        self.taken.signals.clear();
        for id in ids {
            if let Some(channel) = self.channels.get_mut(&id) {
                let all = channel.unacked.take_up_to(0).unwrap_or_default();
                self.settle_all(id, vec![(Verdict::Requeue, all)]);
            }
            self.forget_channel(id);
        }
        for (_, consumer) in gone {
            if let Source::Queue { queue, .. } = &consumer.source {
                self.node.consumer_gone(queue);
            }
        }
        for queue in std::mem::take(&mut self.exclusive) {
            self.node.delete_exclusive(&queue);
        }
        self.log(false);
        self.awaited.clear();
        self.disk_is_behind = false;
        self.charge_partial(0);
        self.stop_waiting();
        self.pressed = None;
        self.pending_get = None;
        self.dirty.clear();
        self.routes.clear();
        self.release_batch();
        self.seat = None;
        self.node.forget_connection(self.id);
    }
}
