//! Publishing without a session, for operators.

use super::{Node, QueueRef, Queues, Refused, Seen, Tap, Vhost, add_kept, events};
use crate::{
    broker::{Message, Millis, queue::Accepted},
    store::Position,
};

/// What became of a message.
#[derive(Debug, Clone, Copy)]
pub struct HandedIn {
    /// Whether any queue got it.
    pub routed: bool,
    /// A queue refused it because of its limits.
    pub refused: bool,
    /// When this is durable, so is the message.
    pub position: Position,
}

impl Node {
    /// Routes one message and hands it to its queues.
    pub fn hand_in(&self, vhost: &Vhost, message: &Message, now: Millis) -> Result<HandedIn, Refused> {
        let exchange = String::from_utf8_lossy(message.exchange());
        vhost.check_publishable(&exchange)?;
        let (queues, handed_in) = self.pass_on(vhost, message, now);
        if vhost.is_traced() {
            self.trace_publish(vhost, message, &queues, now);
        }
        let ended = &vhost.stats.ended;
        ended.channels.published.add_shared(1);
        if queues.is_empty() {
            ended.channels.returned.add_shared(1);
        }
        ended.add_exchange(&exchange, 1, queues.len() as u64);
        Ok(handed_in)
    }

    /// Publishes what the broker itself says, also to exchanges that are off limits for others. It is counted for
    /// nobody. No lock may be held.
    pub fn publish_for_itself(&self, vhost: &Vhost, message: &Message, now: Millis) {
        let _position_is_waited_for_by_nobody = self.pass_on(vhost, message, now);
    }

    fn pass_on(&self, vhost: &Vhost, message: &Message, now: Millis) -> (Queues, HandedIn) {
        let exchange = String::from_utf8_lossy(message.exchange());
        let mut ops = Vec::new();
        let queues = self.accept(vhost.route_message(&exchange, message, now), message, &mut ops);
        let mut refused = false;
        for queue in &queues {
            let published = [message.clone()];
            let kept = self.with_queue_logging(queue, now, &mut ops, |queue, effects| {
                queue.publish(published.clone(), now, effects, |_, accepted| {
                    refused |= accepted == Accepted::Refused;
                });
                std::mem::take(&mut effects.log.kept)
            });
            add_kept(&mut ops, queue.number, &kept, &published);
        }
        let position = self.journal.append(&mut ops, true);
        let handed_in = HandedIn { routed: !queues.is_empty(), refused, position };
        (queues, handed_in)
    }

    /// What operators publish and get has no connection.
    fn trace_publish(&self, vhost: &Vhost, message: &Message, queues: &[QueueRef], now: Millis) {
        let trace = self.trace_for_actor(vhost, message, &Seen::Published(queues));
        trace.into_iter().for_each(|trace| self.publish_for_itself(vhost, &trace, now));
    }

    /// As the firehose shows what an operator does.
    pub fn trace_for_actor(&self, vhost: &Vhost, message: &Message, seen: &Seen<'_>) -> Option<Message> {
        events::with_actor(|user| {
            let connection = format!("<{}.0.1>", self.events.node_name());
            self.trace(vhost, message, Tap { connection: &connection, channel: 1, user }, seen)
        })
    }
}
