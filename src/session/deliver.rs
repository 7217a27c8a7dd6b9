//! From the inbox to the socket: delivery tags, encoding, the ledger, and credit back to the queues.

use std::collections::VecDeque;

use super::{
    Core, Output,
    channel::Channel,
    unacked::{OriginIndex, Unacked},
};
use crate::{
    amqp::{
        ChannelId, Failure, basic, encode,
        properties::{ACQUIRED_COUNT, DELIVERY_COUNT, STREAM_OFFSET, put_with_headers},
    },
    broker::{
        Message,
        queue::{ConsumerKey, Entry, WINDOW_BYTES, WINDOW_MESSAGES, returns},
        queue_type::QueueType,
    },
    engine::{ConsumerId, Delivery, Describe, QueueRef, Signal},
};

/// A consumer of this connection.
#[derive(Debug)]
pub struct Consumer {
    pub channel: ChannelId,
    pub tag: Box<[u8]>,
    pub source: Source,
    pub exclusive: bool,
    pub prefetch: u16,
    /// The body of the table of its arguments.
    pub arguments: Box<[u8]>,
    /// Written since the queue was last told.
    written_messages: u32,
    written_bytes: u64,
}

/// What a consumer consumes.
#[derive(Debug)]
pub enum Source {
    /// Not registered with its queue yet.
    Pending,
    Queue {
        queue: QueueRef,
        key: ConsumerKey,
        origin: Option<OriginIndex>,
    },
    /// Direct replies (BAS-80).
    Replies,
}

/// The consumers of a connection by slot; an id of an earlier user of a slot finds nobody.
#[derive(Debug, Default)]
pub struct Consumers {
    slots: Vec<(u32, Option<Consumer>)>,
    free: Vec<u32>,
}

impl Consumers {
    pub fn add(&mut self, channel: ChannelId, tag: &[u8], source: Source) -> ConsumerId {
        let consumer = Consumer {
            channel,
            tag: tag.into(),
            source,
            exclusive: false,
            prefetch: 0,
            arguments: Box::default(),
            written_messages: 0,
            written_bytes: 0,
        };
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push((0, None));
            (self.slots.len() - 1) as u32
        });
        let mut id = ConsumerId { slot, generation: 0 };
        if let Some((generation, place)) = self.slots.get_mut(slot as usize) {
            *generation = generation.wrapping_add(1);
            *place = Some(consumer);
            id.generation = *generation;
        }
        id
    }

    #[inline]
    pub fn get_mut(&mut self, id: ConsumerId) -> Option<&mut Consumer> {
        let (generation, consumer) = self.slots.get_mut(id.slot as usize)?;
        consumer.as_mut().filter(|_| *generation == id.generation)
    }

    pub fn get(&self, id: ConsumerId) -> Option<&Consumer> {
        let (generation, consumer) = self.slots.get(id.slot as usize)?;
        consumer.as_ref().filter(|_| *generation == id.generation)
    }

    pub fn remove(&mut self, id: ConsumerId) -> Option<Consumer> {
        let (generation, consumer) = self.slots.get_mut(id.slot as usize)?;
        if *generation != id.generation {
            return None;
        }
        let removed = consumer.take()?;
        self.free.push(id.slot);
        Some(removed)
    }
}

impl Core {
    pub(super) fn frame_max(&self) -> u32 {
        self.tuned_frame_max
    }

    /// Encodes what was taken from the inbox until `out` holds `limit` octets. `Some` when somebody wants the
    /// connection closed.
    pub(super) fn drain_taken(&mut self, out: &mut Output, limit: usize) -> Option<Failure> {
        let mut deliveries = std::mem::take(&mut self.taken.deliveries);
        while let Some(consumer) = deliveries.front().map(|first| first.consumer) {
            if limit <= out.len() {
                self.taken.deliveries = deliveries;
                return None;
            }
            // A queue leaves its messages in batches, so runs of one consumer are long.
            self.deliver_run(consumer, &mut deliveries, out, limit);
        }
        self.taken.deliveries = deliveries;
        self.log_dropped_replies();
        let mut close = None;
        let mut signals = std::mem::take(&mut self.taken.signals);
        for signal in signals.drain(..) {
            match signal {
                Signal::Cancelled(consumer) => self.on_cancelled(consumer, out),
                Signal::Reply { consumer, message } => self.deliver_reply(consumer, &message, out),
                Signal::Close(failure) => close = Some(failure),
                Signal::Describe(Describe(answer)) => answer(self.report(out.len())),
            }
        }
        self.taken.signals = signals;
        close
    }

    #[inline]
    pub(super) fn deliver_run(
        &mut self,
        id: ConsumerId,
        deliveries: &mut VecDeque<Delivery>,
        out: &mut Output,
        limit: usize,
    ) {
        let frame_max = self.tuned_frame_max;
        let consumer = self.consumers.get_mut(id);
        debug_assert!(consumer.is_some(), "consumers are forgotten only after their deliveries");
        let channel = consumer.as_ref().and_then(|consumer| self.channels.get_mut(&consumer.channel));
        let (Some(consumer), Some(channel)) = (consumer, channel) else {
            deliveries.pop_front();
            return;
        };
        let Source::Queue { queue, key, origin } = &consumer.source else {
            deliveries.pop_front();
            return;
        };
        let queue_type = queue.properties.arguments.queue_type;
        let (mut messages, mut bytes, mut again) = (0, 0, 0);
        let traced = self.vhost.as_ref().is_some_and(|vhost| vhost.is_traced());
        let mut seen = Vec::new();
        while out.len() < limit {
            let Some(Delivery { entry, .. }) = pop_of(deliveries, id) else { break };
            let message = &entry.message;
            let delivery_tag = channel.take_tag();
            let deliver = encode::Deliver {
                consumer_tag: &consumer.tag,
                delivery_tag,
                redelivered: entry.redelivered,
                exchange: message.exchange(),
                routing_key: message.routing_key(),
            };
            encode::deliver(out.buffer(), consumer.channel, &deliver);
            if marked(&entry, queue_type, &mut self.properties) {
                out.content_with(consumer.channel, message, &self.properties, frame_max);
            } else {
                out.content(consumer.channel, message, frame_max);
            }
            messages += 1;
            again += u64::from(entry.redelivered);
            bytes += message.body_length();
            if traced {
                seen.push((entry.message.clone(), entry.redelivered));
            }
            if let Some(origin) = *origin {
                note_unacked(channel, Unacked { tag: delivery_tag, origin, entry, since: self.now });
            }
        }
        let delivered =
            if origin.is_some() { &channel.meter.delivered } else { &channel.meter.delivered_no_ack };
        delivered.add(u64::from(messages));
        channel.meter.redelivered.add(again);
        consumer.written_messages += messages;
        consumer.written_bytes += bytes;
        let must_settle = origin.is_some();
        // Credit goes back in large portions: one lock of the queue for half a window.
        if WINDOW_MESSAGES / 2 <= consumer.written_messages || WINDOW_BYTES / 2 <= consumer.written_bytes {
            let (messages, bytes) = (consumer.written_messages, consumer.written_bytes);
            (consumer.written_messages, consumer.written_bytes) = (0, 0);
            let (queue, key, now) = (queue.clone(), *key, self.now);
            self.node
                .with_queue(&queue, now, |queue, effects| queue.written(key, messages, bytes, now, effects));
        }
        if must_settle {
            self.arm_settlement_check();
        }
        if traced {
            self.trace_deliveries(id, seen);
        }
    }

    pub(super) fn deliver_reply(&mut self, id: ConsumerId, message: &Message, out: &mut Output) {
        let frame_max = self.tuned_frame_max;
        let Some(consumer) = self.consumers.get_mut(id) else { return };
        let Some(channel) = self.channels.get_mut(&consumer.channel) else { return };
        let deliver = encode::Deliver {
            consumer_tag: &consumer.tag,
            delivery_tag: channel.take_tag(),
            redelivered: false,
            exchange: message.exchange(),
            routing_key: message.routing_key(),
        };
        encode::deliver(out.buffer(), consumer.channel, &deliver);
        out.content(consumer.channel, message, frame_max);
    }

    /// The consumer's queue is gone: tells clients that asked for it (BAS-29, CON-34).
    fn on_cancelled(&mut self, id: ConsumerId, out: &mut Output) {
        let Some(consumer) = self.consumers.remove(id) else { return };
        self.tell_consumer_deleted(&consumer);
        if let Some(channel) = self.channels.get_mut(&consumer.channel) {
            channel.consumers.remove(&consumer.tag);
            channel.retire_origin(&consumer.source);
        }
        if self.client.cancel_notify {
            let tag = String::from_utf8_lossy(&consumer.tag);
            let cancel = basic::Cancel { consumer_tag: (&*tag).into(), nowait: true };
            out.method(consumer.channel, basic::AMQPMethod::Cancel(cancel));
        }
    }
}

/// Writes the properties that a delivery has in place of its message's own, if it has: a quorum queue that
/// delivers once more counts (QQ-02), a stream says where the message is (STR-06).
#[inline]
pub fn marked(entry: &Entry, queue_type: QueueType, properties: &mut Vec<u8>) -> bool {
    let own = entry.message.properties();
    match queue_type {
        QueueType::Classic => return false,
        QueueType::Quorum if entry.returns == 0 => return false,
        QueueType::Quorum => {
            let acquired = i64::from(returns::total(entry.returns));
            let failed = i64::from(returns::failures(entry.returns));
            let counts = [(ACQUIRED_COUNT, acquired), (DELIVERY_COUNT, failed)];
            // What was only given back has no count of deliveries.
            put_with_headers(own, if failed == 0 { &counts[..1] } else { &counts }, properties);
        }
        QueueType::Stream => {
            let offset = i64::try_from(entry.sequence).unwrap_or(i64::MAX);
            put_with_headers(own, &[(STREAM_OFFSET, offset)], properties);
        }
    }
    true
}

/// The next delivery, if it is this consumer's.
#[inline]
fn pop_of(deliveries: &mut VecDeque<Delivery>, id: ConsumerId) -> Option<Delivery> {
    if deliveries.front()?.consumer == id { deliveries.pop_front() } else { None }
}

/// Enters a delivery in the channel's ledger.
#[inline]
pub fn note_unacked(channel: &mut Channel, unacked: Unacked) {
    if let Some(origin) = channel.origin_mut(unacked.origin) {
        origin.outstanding += 1;
    }
    channel.unacked.push(unacked);
}
