//! Publishing without a session, for operators.

use super::{Node, Refused, Vhost, add_kept};
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
        let (position, ended) = (self.journal.append(&mut ops, true), &vhost.stats.ended);
        ended.channels.published.add_shared(1);
        if queues.is_empty() {
            ended.channels.returned.add_shared(1);
        }
        ended.add_exchange(&exchange, 1, queues.len() as u64);
        Ok(HandedIn { routed: !queues.is_empty(), refused, position })
    }
}
