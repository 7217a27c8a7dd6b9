//! Methods of queues.

use super::{
    Core, Output, errors,
    rights::{DEAD_LETTER_EXCHANGE, named_exchange},
    topology::clean_name,
};
use crate::{
    amqp::{ChannelId, Failure, queue},
    broker::queue_arguments::{name_prefix, refuse_server_named},
    engine::{QueueDeclare, QueueRef, REPLY_TO, Refused, Replies, Resource, Right},
};

/// What generated names begin with (QUE-03).
const GENERATED: &str = "amq.gen";
/// Characters of generated names: URL-safe base 64 (QUE-03).
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// `prefix` and 22 characters that nobody can guess.
pub fn generated_name(prefix: &str, random: u128) -> String {
    let mut name = prefix.to_owned();
    for position in (0..22).rev() {
        let index = (random >> (6 * position)) & 63;
        name.push(char::from(ALPHABET.get(index as usize).copied().unwrap_or(b'A')));
    }
    name
}

impl Core {
    pub(super) fn on_queue(
        &mut self,
        id: ChannelId,
        method: queue::AMQPMethod,
        out: &mut Output,
    ) -> Result<(), Failure> {
        let handled = match method {
            queue::AMQPMethod::Declare(declare) => self.declare_queue(id, declare, out),
            queue::AMQPMethod::Bind(bind) => self.bind_queue(id, bind, out),
            queue::AMQPMethod::Unbind(unbind) => self.unbind_queue(id, unbind, out),
            queue::AMQPMethod::Purge(purge) => self.purge_queue(id, &purge, out),
            queue::AMQPMethod::Delete(delete) => self.delete_queue(id, &delete, out),
            _ => return Err(errors::unimplemented_method()),
        };
        handled.map_err(errors::of_queue)
    }

    /// The queue that a name in a method means: the last declared one when it is empty (QUE-05).
    pub(super) fn named_queue(&self, id: ChannelId, name: &str) -> Result<String, Refused> {
        if !name.is_empty() {
            return Ok(clean_name(name));
        }
        let last = self.channels.get(&id).and_then(|channel| channel.last_queue.as_ref());
        last.map(|name| name.to_string()).ok_or(Refused::NoPreviousQueue)
    }

    fn declare_queue(
        &mut self,
        id: ChannelId,
        declare: queue::Declare,
        out: &mut Output,
    ) -> Result<(), Refused> {
        let Some(vhost) = self.vhost.clone() else { return Ok(()) };
        let nowait = declare.nowait;
        let name = clean_name(declare.queue.as_str());
        if name == REPLY_TO || Replies::is_reply_name(name.as_bytes()) {
            return self.declare_reply_queue(id, &name, nowait, out);
        }
        let queue = if declare.passive {
            self.demand_any(Resource::Queue(&name))?;
            let queue = vhost.queue_for(&name, self.id)?;
            let now = self.now;
            self.node.with_queue(&queue, now, |queue, _| queue.touch(now));
            queue
        } else {
            let generated = name.is_empty();
            if generated {
                refuse_server_named(&declare.arguments)?;
            }
            let name = match generated {
                true => {
                    let prefix = name_prefix(&declare.arguments)?;
                    let prefix = clean_name(prefix.as_deref().unwrap_or(GENERATED));
                    generated_name(&format!("{prefix}-"), self.node.random())
                }
                false => name,
            };
            self.demand(Right::Configure, Resource::Queue(&name))?;
            if let Some(target) = named_exchange(&declare.arguments, DEAD_LETTER_EXCHANGE) {
                vhost.check_new_queue(&name)?;
                self.demand(Right::Read, Resource::Queue(&name))?;
                self.demand(Right::Write, Resource::Exchange(&target))?;
            }
            let attributes = QueueDeclare {
                durable: declare.durable,
                auto_delete: declare.auto_delete,
                exclusive: declare.exclusive,
                arguments: declare.arguments,
            };
            let (queue, created) = vhost.declare_queue(&name, attributes, self.id, generated, self.now)?;
            if created {
                // Arms the timer of x-expires.
                self.node.with_queue(&queue, self.now, |_, _| ());
                if declare.exclusive {
                    self.note_exclusive(queue.clone());
                }
            }
            queue
        };
        if let Some(channel) = self.channels.get_mut(&id) {
            channel.last_queue = Some(queue.name.clone());
        }
        if !nowait {
            self.promise_definitions(out);
            let counts = self.node.with_queue(&queue, self.now, |queue, _| queue.counts());
            // STR-09.
            let is_stream = queue.is_stream();
            let consumers = if is_stream { 0 } else { counts.consumers };
            self.declare_ok(id, &queue.name, counts.ready, consumers, out);
        }
        Ok(())
    }

    /// Remembers an exclusive queue of this connection, and forgets deleted ones whenever their number
    /// reaches a power of two: a sweep at every declare would make many declares quadratic.
    fn note_exclusive(&mut self, queue: QueueRef) {
        if self.exclusive.len().is_power_of_two() {
            let (node, now) = (&self.node, self.now);
            self.exclusive.retain(|queue| !node.with_queue(queue, now, |queue, _| queue.is_deleted()));
        }
        self.exclusive.push(queue);
    }

    /// Declaring a reply name asks whether its requester lives (BAS-87).
    fn declare_reply_queue(
        &mut self,
        id: ChannelId,
        name: &str,
        nowait: bool,
        out: &mut Output,
    ) -> Result<(), Refused> {
        let Some(vhost) = &self.vhost else { return Ok(()) };
        if name != REPLY_TO && !self.node.replies.is_alive(&vhost.name, name.as_bytes()) {
            return Err(Refused::NoQueue { name: name.to_owned(), vhost: vhost.name.to_string() });
        }
        if !nowait {
            self.declare_ok(id, name, 0, 1, out);
        }
        Ok(())
    }

    fn declare_ok(&self, id: ChannelId, name: &str, ready: u64, consumers: u32, out: &mut Output) {
        let message_count = u32::try_from(ready).unwrap_or(u32::MAX);
        let declare_ok = queue::DeclareOk { queue: name.into(), message_count, consumer_count: consumers };
        out.method(id, queue::AMQPMethod::DeclareOk(declare_ok));
    }

    fn bind_queue(&mut self, id: ChannelId, bind: queue::Bind, out: &mut Output) -> Result<(), Refused> {
        let Some(vhost) = self.vhost.clone() else { return Ok(()) };
        let (name, key) = self.bind_names(id, bind.queue.as_str(), bind.routing_key.as_str())?;
        let source = clean_name(bind.exchange.as_str());
        self.demand_binding(&source, Resource::Queue(&name), &key)?;
        if !source.is_empty() && vhost.check_exchange(&source).is_ok() {
            // A queue of another connection is locked; a missing one is the topology's to report.
            if let Err(locked @ Refused::Locked { .. }) = vhost.queue_for(&name, self.id) {
                return Err(locked);
            }
        }
        let replay = vhost.bind_queue(&source, &name, &key, bind.arguments)?;
        self.node.replay(replay, self.now);
        if !bind.nowait {
            self.promise_definitions(out);
            out.method(id, queue::AMQPMethod::BindOk(queue::BindOk {}));
        }
        Ok(())
    }

    fn unbind_queue(
        &mut self,
        id: ChannelId,
        unbind: queue::Unbind,
        out: &mut Output,
    ) -> Result<(), Refused> {
        let Some(vhost) = self.vhost.clone() else { return Ok(()) };
        let (name, key) = self.bind_names(id, unbind.queue.as_str(), unbind.routing_key.as_str())?;
        let source = clean_name(unbind.exchange.as_str());
        self.demand_binding(&source, Resource::Queue(&name), &key)?;
        if let Err(locked @ Refused::Locked { .. }) = vhost.queue_for(&name, self.id) {
            return Err(locked);
        }
        vhost.unbind_queue(&source, &name, &key, unbind.arguments)?;
        self.promise_definitions(out);
        out.method(id, queue::AMQPMethod::UnbindOk(queue::UnbindOk {}));
        Ok(())
    }

    /// With queue and routing key both empty the last declared name stands for both (QUE-05).
    fn bind_names(&self, id: ChannelId, queue: &str, key: &str) -> Result<(String, String), Refused> {
        let name = self.named_queue(id, queue)?;
        if name == REPLY_TO || Replies::is_reply_name(name.as_bytes()) {
            return Err(Refused::ReplyQueue);
        }
        let key = if queue.is_empty() && key.is_empty() { name.clone() } else { key.to_owned() };
        Ok((name, key))
    }

    fn purge_queue(&mut self, id: ChannelId, purge: &queue::Purge, out: &mut Output) -> Result<(), Refused> {
        let Some(vhost) = self.vhost.clone() else { return Ok(()) };
        let name = self.named_queue(id, purge.queue.as_str())?;
        self.demand(Right::Read, Resource::Queue(&name))?;
        let queue = vhost.queue_for(&name, self.id)?;
        if queue.is_stream() {
            let what = "queue.purge not supported by stream queues";
            return Err(Refused::NotOfStreams { what, name, vhost: vhost.name.to_string() });
        }
        let purged = self.node.with_queue(&queue, self.now, |queue, effects| queue.purge(effects));
        if !purge.nowait {
            let message_count = u32::try_from(purged.count()).unwrap_or(u32::MAX);
            out.method(id, queue::AMQPMethod::PurgeOk(queue::PurgeOk { message_count }));
        }
        Ok(())
    }

    fn delete_queue(
        &mut self,
        id: ChannelId,
        delete: &queue::Delete,
        out: &mut Output,
    ) -> Result<(), Refused> {
        let Some(vhost) = self.vhost.clone() else { return Ok(()) };
        let name = self.named_queue(id, delete.queue.as_str())?;
        self.demand(Right::Configure, Resource::Queue(&name))?;
        let deleted = match vhost.queue_for(&name, self.id) {
            Ok(queue) => vhost.delete_queue(&queue, delete.if_unused, delete.if_empty)?,
            // Deleting what is not there succeeds (CH-41).
            Err(Refused::NoQueue { .. }) => 0,
            Err(refused) => return Err(refused),
        };
        if !delete.nowait {
            self.promise_definitions(out);
            let message_count = u32::try_from(deleted).unwrap_or(u32::MAX);
            out.method(id, queue::AMQPMethod::DeleteOk(queue::DeleteOk { message_count }));
        }
        Ok(())
    }
}
