//! Consuming: qos, consume, cancel, get, recover; and confirm.select.

use std::{collections::VecDeque, task::Waker};

use super::{
    Core, Output,
    channel::{Channel, Confirms, Mode},
    deliver::{Source, marked, note_unacked},
    errors,
    queues::generated_name,
    settle::Verdict,
    unacked::Unacked,
};
use crate::{
    amqp::{ChannelId, Failure, Limit, ReplyCode, basic, confirm, encode, table::field_table_bytes},
    broker::{
        consumer_arguments::ConsumerArguments,
        queue::{Acknowledges, ConsumeError, ConsumerSettings, Entry, Got, stream::StreamRead},
        queue_arguments::QueueIdentity,
    },
    engine::{ConsumerId, ConsumerOutlet, QueueRef, REPLY_TO, Refused, Resource, Right, Signal},
};

/// A basic.get whose message is on disk.
#[derive(Debug)]
pub struct PendingGet {
    pub channel: ChannelId,
    queue: QueueRef,
    no_ack: bool,
}

impl Core {
    pub(super) fn on_basic(
        &mut self,
        id: ChannelId,
        method: basic::AMQPMethod,
        out: &mut Output,
    ) -> Result<(), Failure> {
        match method {
            basic::AMQPMethod::Qos(qos) => self.qos(id, &qos, out),
            basic::AMQPMethod::Consume(consume) => self.consume(id, consume, out),
            basic::AMQPMethod::Cancel(cancel) => {
                self.cancel(id, cancel, out);
                Ok(())
            }
            // The answer to our own basic.cancel: welcome, and nothing is left to do (BAS-32).
            basic::AMQPMethod::CancelOk(_) => Ok(()),
            basic::AMQPMethod::Get(get) => self.get(id, &get, out),
            basic::AMQPMethod::Recover(recover) => {
                self.check_recover(recover.requeue)?;
                self.return_all(id, Verdict::GiveBack);
                out.method(id, basic::AMQPMethod::RecoverOk(basic::RecoverOk {}));
                Ok(())
            }
            basic::AMQPMethod::RecoverAsync(recover) => {
                self.check_recover(recover.requeue)?;
                self.return_all(id, Verdict::GiveBack);
                Ok(())
            }
            _ => Err(errors::unimplemented_method()),
        }
    }

    fn check_recover(&self, requeue: bool) -> Result<(), Failure> {
        if !requeue {
            return Err(Failure::connection(ReplyCode::NotImplemented, "requeue=false"));
        }
        Ok(())
    }

    fn qos(&mut self, id: ChannelId, qos: &basic::Qos, out: &mut Output) -> Result<(), Failure> {
        let Some(channel) = self.channels.get_mut(&id) else { return Ok(()) };
        // The generated type leaves prefetch-size out; the caller has looked at the octets (CH-72).
        if qos.global {
            let outstanding = u32::try_from(channel.unacked.len()).unwrap_or(u32::MAX);
            if channel.shared_prefetch.limit() == 0 {
                channel.shared_prefetch.count_outstanding(outstanding);
            }
            channel.shared_prefetch.set_limit(qos.prefetch_count);
            self.recheck_consumers(id);
        } else {
            channel.prefetch = qos.prefetch_count;
        }
        out.method(id, basic::AMQPMethod::QosOk(basic::QosOk {}));
        Ok(())
    }

    fn consume(&mut self, id: ChannelId, consume: basic::Consume, out: &mut Output) -> Result<(), Failure> {
        let vhost = self.opened_vhost()?;
        let Some(channel) = self.channels.get(&id) else { return Ok(()) };
        let mut tag = String::from(consume.consumer_tag.clone());
        let max = self.settings.consumers_per_channel_max as usize;
        if channel.consumers.contains_key(tag.as_bytes()) {
            let text = format!("attempt to reuse consumer tag '{tag}'");
            return Err(Failure::connection(ReplyCode::NotAllowed, text));
        }
        if max <= channel.consumers.len() {
            let text = format!("reached maximum ({max}) of consumers per channel");
            return Err(Failure::connection(ReplyCode::NotAllowed, text).over(Limit::Consumers));
        }
        if tag.is_empty() {
            tag = generated_name("amq.ctag-", self.node.random());
        }
        if consume.queue.as_str() == REPLY_TO {
            return self.consume_replies(id, &tag, &consume, out);
        }
        let name = self.named_queue(id, consume.queue.as_str()).map_err(errors::of_queue)?;
        self.demand(Right::Read, Resource::Queue(&name)).map_err(errors::of_queue)?;
        let queue = vhost.queue_for(&name, self.id).map_err(errors::of_queue)?;
        let identity = QueueIdentity { name: &name, vhost: &vhost.name };
        let arguments =
            ConsumerArguments::parse(identity, queue.properties.arguments.queue_type, &consume.arguments)
                .map_err(|error| errors::of_queue(error.into()))?;
        let Some(channel) = self.channels.get_mut(&id) else { return Ok(()) };
        let acknowledges = if consume.no_ack {
            Acknowledges::Never
        } else {
            Acknowledges::Each { prefetch: channel.prefetch }
        };
        let is_stream = queue.is_stream();
        if is_stream {
            check_stream_consumer(consume.no_ack, channel, &name, &vhost.name).map_err(errors::of_queue)?;
        }
        let settings = ConsumerSettings {
            acknowledges,
            priority: arguments.priority,
            exclusive: consume.exclusive,
            shared: (!consume.no_ack).then(|| channel.shared_prefetch.clone()),
        };
        let consumer = self.consumers.add(id, tag.as_bytes(), Source::Pending);
        let outlet = ConsumerOutlet { inbox: self.inbox.clone(), consumer };
        let now = self.now;
        let prefetch = channel.prefetch;
        let own_timeout = arguments.timeout_ms;
        let partition = if is_stream && arguments.single_active { vhost.partition(&name) } else { 0 };
        let added = self.node.with_queue(&queue, now, |queue, effects| {
            if is_stream {
                queue.consume_stream(outlet, stream_read(prefetch, partition, arguments), now, effects)
            } else {
                queue.consume(outlet, settings, now, effects)
            }
        });
        let key = match added {
            Ok(key) => key,
            Err(error) => {
                self.consumers.remove(consumer);
                let vhost = vhost.name.to_string();
                return Err(errors::of_queue(match error {
                    ConsumeError::InExclusiveUse => Refused::ExclusiveUse { name, vhost },
                    ConsumeError::Deleted => Refused::NoQueue { name, vhost },
                }));
            }
        };
        let origin = (!consume.no_ack).then(|| channel.add_origin(queue.clone(), Some(key), own_timeout));
        channel.consumers.insert(tag.as_bytes().into(), consumer);
        if origin.is_some() {
            let timeout = own_timeout.or_else(|| queue.rules().consumer_timeout_ms);
            self.note_timeout(timeout);
        }
        if let Some(consumer) = self.consumers.get_mut(consumer) {
            consumer.source = Source::Queue { queue, key, origin };
            consumer.exclusive = consume.exclusive;
            consumer.prefetch = prefetch;
            consumer.arguments = field_table_bytes(&consume.arguments).into();
        }
        self.tell_consumer_created(consumer, &consume.arguments);
        // Its first messages lie in the inbox already; they are encoded after this (BAS-20).
        self.consume_ok(id, &tag, consume.nowait, out);
        Ok(())
    }

    fn consume_ok(&self, id: ChannelId, tag: &str, nowait: bool, out: &mut Output) {
        if !nowait {
            let consume_ok = basic::ConsumeOk { consumer_tag: tag.into() };
            out.method(id, basic::AMQPMethod::ConsumeOk(consume_ok));
        }
    }

    /// The requester's side of direct reply-to (BAS-80).
    fn consume_replies(
        &mut self,
        id: ChannelId,
        tag: &str,
        consume: &basic::Consume,
        out: &mut Output,
    ) -> Result<(), Failure> {
        let vhost = self.opened_vhost()?;
        let refuse = |text| Err(Failure::channel(ReplyCode::PreconditionFailed, text));
        let Some(channel) = self.channels.get_mut(&id) else { return Ok(()) };
        if channel.reply.is_some() {
            return refuse("reply consumer already set");
        }
        if !consume.no_ack {
            return refuse("reply consumer cannot acknowledge");
        }
        let consumer = self.consumers.add(id, tag.as_bytes(), Source::Replies);
        let name = self.node.replies.register(&vhost.name, &self.inbox, consumer, self.node.random());
        channel.reply = Some((consumer, name));
        channel.consumers.insert(tag.as_bytes().into(), consumer);
        self.consume_ok(id, tag, consume.nowait, out);
        Ok(())
    }

    /// cancel-ok comes after the last delivery; deliveries stay outstanding (BAS-28).
    fn cancel(&mut self, id: ChannelId, cancel: basic::Cancel, out: &mut Output) {
        let tag = cancel.consumer_tag.as_str();
        let Some(channel) = self.channels.get(&id) else { return };
        if let Some(consumer) = channel.consumers.get(tag.as_bytes()).copied() {
            let now = self.now;
            if let Some(Source::Queue { queue, key, .. }) =
                self.consumers.get(consumer).map(|consumer| &consumer.source)
            {
                self.node.with_queue(queue, now, |queue, effects| queue.cancel(*key, now, effects));
            }
            self.deliver_pending(consumer, out);
            if let Some(removed) = self.consumers.remove(consumer) {
                self.tell_consumer_deleted(&removed);
                self.forget_consumer(id, tag, &removed.source);
            }
        }
        if !cancel.nowait {
            let cancel_ok = basic::CancelOk { consumer_tag: tag.into() };
            out.method(id, basic::AMQPMethod::CancelOk(cancel_ok));
        }
    }

    fn forget_consumer(&mut self, id: ChannelId, tag: &str, source: &Source) {
        if let Some(channel) = self.channels.get_mut(&id) {
            channel.consumers.remove(tag.as_bytes());
            channel.retire_origin(source);
            if matches!(source, Source::Replies)
                && let Some((_, name)) = channel.reply.take()
            {
                self.node.replies.unregister(&name);
            }
        }
        if let Source::Queue { queue, .. } = source {
            self.node.consumer_gone(queue);
        }
    }

    /// Encodes what the inbox holds for a consumer, so that a reply can follow it. What it holds for others
    /// stays until the output has room.
    fn deliver_pending(&mut self, id: ConsumerId, out: &mut Output) {
        let inbox = self.inbox.clone();
        inbox.take_now(&mut self.taken);
        let (mut due, later): (VecDeque<_>, _) =
            self.taken.deliveries.drain(..).partition(|delivery| delivery.consumer == id);
        self.taken.deliveries = later;
        while !due.is_empty() {
            self.deliver_run(id, &mut due, out, usize::MAX);
        }
        let is_due = |signal: &Signal| matches!(signal, Signal::Reply { consumer, .. } if *consumer == id);
        let (due, later) = std::mem::take(&mut self.taken.signals).into_iter().partition(is_due);
        self.taken.signals = later;
        let due: Vec<Signal> = due;
        for signal in due {
            if let Signal::Reply { message, .. } = signal {
                self.deliver_reply(id, &message, out);
            }
        }
    }

    fn get(&mut self, id: ChannelId, get: &basic::Get, out: &mut Output) -> Result<(), Failure> {
        let vhost = self.opened_vhost()?;
        let name = self.named_queue(id, get.queue.as_str()).map_err(errors::of_queue)?;
        self.demand(Right::Read, Resource::Queue(&name)).map_err(errors::of_queue)?;
        let queue = vhost.queue_for(&name, self.id).map_err(errors::of_queue)?;
        if queue.is_stream() {
            let what = "basic.get not supported by stream queues";
            let refused = Refused::NotOfStreams { what, name, vhost: vhost.name.to_string() };
            return Err(errors::of_queue(refused));
        }
        self.try_get(PendingGet { channel: id, queue, no_ack: get.no_ack }, None, out);
        Ok(())
    }

    /// Looks again for the message that a basic.get waits for; true when it has its answer. `waker` is woken
    /// when it is worth another look.
    pub(super) fn retry_get(&mut self, waker: &Waker, out: &mut Output) -> bool {
        let Some(get) = self.pending_get.take() else { return false };
        self.try_get(get, Some(waker), out);
        self.pending_get.is_none()
    }

    /// Answers a basic.get, or holds it and all input behind it until its message has been read from disk.
    fn try_get(&mut self, get: PendingGet, waker: Option<&Waker>, out: &mut Output) {
        let now = self.now;
        let got = self.node.with_queue(&get.queue, now, |queue, effects| {
            let got = queue.get(!get.no_ack, now, effects);
            if let (Got::Wait, Some(waker)) = (&got, waker) {
                queue.wait_for_page(waker);
            }
            got
        });
        match got {
            Got::Entry(entry, left) => self.got(&get, entry, left, out),
            Got::Empty => {
                if let Some(channel) = self.channels.get(&get.channel) {
                    channel.meter.got_nothing.add(1);
                }
                out.method(get.channel, basic::AMQPMethod::GetEmpty(basic::GetEmpty {}));
            }
            Got::Wait => self.pending_get = Some(get),
        }
    }

    fn got(&mut self, get: &PendingGet, entry: Entry, left: u64, out: &mut Output) {
        self.trace_got(get.channel, &get.queue, &entry);
        let Some(channel) = self.channels.get_mut(&get.channel) else { return };
        let meter = &channel.meter;
        if get.no_ack { &meter.got_no_ack } else { &meter.got }.add(1);
        meter.redelivered.add(u64::from(entry.redelivered));
        let delivery_tag = channel.take_tag();
        let get_ok = encode::GetOk {
            delivery_tag,
            redelivered: entry.redelivered,
            exchange: entry.message.exchange(),
            routing_key: entry.message.routing_key(),
            message_count: u32::try_from(left).unwrap_or(u32::MAX),
        };
        encode::get_ok(out.buffer(), get.channel, &get_ok);
        if marked(&entry, get.queue.properties.arguments.queue_type, &mut self.properties) {
            out.content_with(get.channel, &entry.message, &self.properties, self.tuned_frame_max);
        } else {
            out.content(get.channel, &entry.message, self.tuned_frame_max);
        }
        if !get.no_ack {
            let origin = channel.origin_of_gets(&get.queue);
            note_unacked(channel, Unacked { tag: delivery_tag, origin, entry, since: self.now });
            self.arm_settlement_check();
        }
    }

    pub(super) fn confirm_select(
        &mut self,
        id: ChannelId,
        nowait: bool,
        out: &mut Output,
    ) -> Result<(), Failure> {
        let Some(channel) = self.channels.get_mut(&id) else { return Ok(()) };
        match channel.mode {
            Mode::Plain => channel.mode = Mode::Confirm(Confirms::default()),
            Mode::Confirm(_) => {}
            Mode::Transaction(_) => {
                let text = "cannot switch from tx to confirm mode";
                return Err(Failure::channel(ReplyCode::PreconditionFailed, text));
            }
        }
        if !nowait {
            out.method(id, confirm::AMQPMethod::SelectOk(confirm::SelectOk {}));
        }
        Ok(())
    }
}

/// What streams ask of their consumers (STR-03, STR-04, BAS-43).
fn check_stream_consumer(no_ack: bool, channel: &Channel, name: &str, vhost: &str) -> Result<(), Refused> {
    let (name, vhost) = (name.to_owned(), vhost.to_owned());
    if channel.prefetch == 0 {
        return Err(Refused::NoPrefetch { name, vhost });
    }
    if no_ack {
        let what = "automatic acknowledgement not supported by stream";
        return Err(Refused::NotOfStreams { what, name, vhost });
    }
    if channel.shared_prefetch.limit() != 0 {
        return Err(Refused::SharedPrefetch { name, vhost });
    }
    Ok(())
}

fn stream_read(prefetch: u16, partition: u64, arguments: ConsumerArguments) -> StreamRead {
    let ConsumerArguments { offset, filters, match_unfiltered, offset_name: name, single_active, .. } =
        arguments;
    StreamRead { prefetch, offset, filters, match_unfiltered, name, single_active, partition }
}
