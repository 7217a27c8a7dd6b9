//! Direct reply-to: requesters that wait for replies without a queue (BAS-80 to BAS-89).

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use dashmap::DashMap;
use foldhash::fast::RandomState;

use super::{ConsumerId, Inbox, Refusals, Signal};
use crate::{amqp::Limit, broker::Message};

/// The pseudo queue that requesters consume from.
pub const REPLY_TO: &str = "amq.rabbitmq.reply-to";
/// What every reply name begins with.
const PREFIX: &[u8] = b"amq.rabbitmq.reply-to.";

/// The requesters of a node.
#[derive(Debug)]
pub struct Replies {
    requesters: DashMap<Box<[u8]>, Requester, RandomState>,
    serial: AtomicU64,
    refusals: Arc<Refusals>,
}

#[derive(Debug)]
struct Requester {
    vhost: Arc<str>,
    inbox: Arc<Inbox>,
    consumer: ConsumerId,
}

impl Replies {
    /// Replies that are dropped are counted in `refusals`; the requester's connection logs them.
    pub fn new(refusals: Arc<Refusals>) -> Replies {
        Replies { requesters: DashMap::default(), serial: AtomicU64::new(0), refusals }
    }

    /// Registers a requester; the name is as unguessable as `secret` (BAS-82).
    pub fn register(
        &self,
        vhost: &Arc<str>,
        inbox: &Arc<Inbox>,
        consumer: ConsumerId,
        secret: u128,
    ) -> String {
        let serial = self.serial.fetch_add(1, Relaxed);
        let name = format!("{REPLY_TO}.g{serial:x}.{secret:032x}");
        let requester = Requester { vhost: vhost.clone(), inbox: inbox.clone(), consumer };
        self.requesters.insert(name.as_bytes().into(), requester);
        name
    }

    pub fn unregister(&self, name: &str) {
        self.requesters.remove(name.as_bytes());
    }

    /// Whether a routing key or queue name has the form of a reply name.
    #[inline]
    pub fn is_reply_name(name: &[u8]) -> bool {
        name.starts_with(PREFIX)
    }

    /// Whether the requester still waits (BAS-87).
    pub fn is_alive(&self, vhost: &str, name: &[u8]) -> bool {
        self.requesters.get(name).is_some_and(|requester| *requester.vhost == *vhost)
    }

    /// Delivers a reply; false when nobody waits for it any more.
    pub fn deliver(&self, vhost: &str, name: &[u8], message: Message) -> bool {
        let Some(requester) = self.requesters.get(name) else { return false };
        if *requester.vhost != *vhost {
            return false;
        }
        let signal = Signal::Reply { consumer: requester.consumer, message };
        if !requester.inbox.signal(signal) {
            self.refusals.add(Limit::DirectReplies);
        }
        true
    }
}
