//! What a session tells of itself: events for who watches the node, copies of messages for the firehose.

use std::net::SocketAddr;

use super::{
    Core,
    deliver::{Consumer, Source},
};
use crate::{
    amqp::{ChannelId, FieldTable},
    broker::{Message, queue::Entry},
    engine::{
        ConsumerId, QueueRef, Seen, TRACE_EXCHANGE, Tap, Vhost,
        events::{Acting, LoginEvent, acting},
    },
    protocol::Mechanism,
};

impl Core {
    /// What this thread does from now on it does for the user of this session, if anybody wants to know.
    #[inline]
    pub(super) fn acting(&self) -> Option<Acting> {
        self.node.events.is_watched().then(|| acting(&self.user))
    }

    fn peer_address(&self) -> SocketAddr {
        SocketAddr::new(self.peer.address, self.peer.port)
    }

    pub(super) fn tell_login(&self, mechanism: Mechanism, user: &str, error: Option<&str>) {
        self.node.events.tell_login(LoginEvent {
            user,
            mechanism: mechanism.name(),
            peer: self.peer_address(),
            local: self.peer.local,
            encrypted: self.peer.encryption.is_some(),
            error,
        });
    }

    pub(super) fn tell_channel_created(&self, number: ChannelId) {
        if self.node.events.is_watched()
            && let Some(open) = self.node.connection(self.id)
        {
            self.node.events.tell_channel_created(self.id, &open.info, number);
        }
    }

    pub(super) fn tell_consumer_created(&self, id: ConsumerId, arguments: &FieldTable) {
        let Some(consumer) = self.consumers.get(id) else { return };
        let Source::Queue { queue, origin, .. } = &consumer.source else { return };
        let tag = String::from_utf8_lossy(&consumer.tag);
        let place = (&*queue.vhost, &*queue.name, &*tag);
        self.node.events.tell_consumer("consumer.created", (self.id, consumer.channel), place, |headers| {
            headers
                .flag("exclusive", consumer.exclusive)
                .flag("ack_required", origin.is_some())
                .number("prefetch_count", u64::from(consumer.prefetch))
                .terms("arguments", arguments)
        });
    }

    pub(super) fn tell_consumer_deleted(&self, consumer: &Consumer) {
        let Source::Queue { queue, .. } = &consumer.source else { return };
        let tag = String::from_utf8_lossy(&consumer.tag);
        let place = (&*queue.vhost, &*queue.name, &*tag);
        let channel = (self.id, consumer.channel);
        self.node.events.tell_consumer("consumer.deleted", channel, place, |headers| headers);
    }

    /// The copy of a message for the firehose.
    pub(super) fn trace_of(
        &self,
        vhost: &Vhost,
        channel: ChannelId,
        message: &Message,
        seen: &Seen<'_>,
    ) -> Option<Message> {
        let connection = format!("{} -> {}", self.peer_address(), self.peer.local);
        self.node.trace(vhost, message, Tap { connection: &connection, channel, user: &self.user }, seen)
    }

    /// Gathers the copy of a publish with the publishes; nobody waits for a confirm of it.
    #[cold]
    pub(super) fn trace_publish(&mut self, id: ChannelId, message: &Message, queues: &[QueueRef]) {
        let Some(vhost) = self.vhost.clone() else { return };
        let Some(trace) = self.trace_of(&vhost, id, message, &Seen::Published(queues)) else { return };
        let mut routed = vhost.route_message(TRACE_EXCHANGE, &trace, self.now);
        self.batch.notes.append(&mut routed.notes);
        self.batch.add_held(routed.held, &trace);
        self.batch.add_all(&routed.queues, trace, None);
    }

    /// Publishes the copy of what a basic.get got, if the firehose is on.
    pub(super) fn trace_got(&self, channel: ChannelId, queue: &QueueRef, entry: &Entry) {
        let Some(vhost) = self.vhost.as_ref().filter(|vhost| vhost.is_traced()) else { return };
        if !self.channels.contains_key(&channel) {
            return;
        }
        let seen = Seen::Delivered { queue: &queue.name, redelivered: entry.redelivered };
        let copy = self.trace_of(vhost, channel, &entry.message, &seen);
        self.node.publish_traces(vhost, copy.into_iter().collect(), self.now);
    }

    /// Publishes copies of what a consumer was sent.
    #[cold]
    pub(super) fn trace_deliveries(&self, id: ConsumerId, messages: Vec<(Message, bool)>) {
        let (Some(vhost), Some(consumer)) = (&self.vhost, self.consumers.get(id)) else { return };
        let Source::Queue { queue, .. } = &consumer.source else { return };
        let copy = |(message, redelivered): (Message, bool)| {
            let seen = Seen::Delivered { queue: &queue.name, redelivered };
            self.trace_of(vhost, consumer.channel, &message, &seen)
        };
        let copies = messages.into_iter().filter_map(copy).collect();
        self.node.publish_traces(vhost, copies, self.now);
    }
}
