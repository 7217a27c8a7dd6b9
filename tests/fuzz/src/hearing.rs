//! What the clients hear from the broker, checked against the accounts and entered in them.

use leveret::amqp::{
    AMQPClass, ChannelId, basic, channel, connection, properties::Properties, table::TABLE_DEPTH_MAX,
};

use crate::{
    client::{Carrier, Channel, Consumer, Delivered, Getting, Incoming, Mode},
    frames::Frame,
    world::{Place, World},
};

/// Octets of a body frame that carries as much as was negotiated.
const PAYLOAD_MAX: usize = 4096 - 8;

impl World {
    pub(crate) fn heard(&mut self, who: usize, frames: Vec<Frame>) {
        for frame in frames {
            match frame {
                Frame::Method(id, class) => self.method(who, id, class),
                Frame::Header { channel, body_size, properties } => {
                    let incoming = self.channel(who, channel).incoming.as_mut().expect("a header is due");
                    assert!(incoming.missing.is_none(), "a second header");
                    incoming.missing = Some(body_size);
                    incoming.properties = properties;
                    self.complete(who, channel);
                }
                Frame::Body(channel, octets) => {
                    let incoming = self.channel(who, channel).incoming.as_mut().expect("a body is due");
                    let missing = incoming.missing.as_mut().expect("after its header");
                    assert_eq!(
                        octets.len() as u64,
                        (*missing).min(PAYLOAD_MAX as u64),
                        "a body is cut oddly"
                    );
                    *missing -= octets.len() as u64;
                    incoming.body.extend(octets);
                    self.complete(who, channel);
                }
                Frame::Heartbeat | Frame::ProtocolHeader => panic!("{frame:?} is not due"),
            }
        }
    }

    fn method(&mut self, who: usize, id: ChannelId, class: AMQPClass) {
        if let Some(channel) = self.clients[who].channels.get(&id) {
            assert!(channel.incoming.is_none(), "{class:?} within a content");
        }
        match &class {
            AMQPClass::Basic(method) => self.basic(who, id, method),
            AMQPClass::Channel(channel::AMQPMethod::Close(_)) => {
                self.channel_ended(who, id);
                self.clients[who].closed_channels.push(id);
            }
            AMQPClass::Channel(channel::AMQPMethod::CloseOk(_)) => self.channel_ended(who, id),
            AMQPClass::Connection(connection::AMQPMethod::CloseOk(_)) => {
                self.connection_ended(who);
                self.clients[who].closed = true;
            }
            AMQPClass::Connection(connection::AMQPMethod::Close(close)) => {
                assert!(self.clients[who].may_close, "the connection is closed: {close:?}");
                self.connection_ended(who);
                self.clients[who].closed = true;
            }
            AMQPClass::Connection(
                connection::AMQPMethod::Blocked(_) | connection::AMQPMethod::Unblocked(_),
            ) => {
                assert!(self.clients[who].notified);
            }
            _ => {}
        }
        self.clients[who].heard.push(class);
    }

    fn basic(&mut self, who: usize, id: ChannelId, method: &basic::AMQPMethod) {
        let notified = self.clients[who].notified;
        let channel = self.channel(who, id);
        let carrier = match method {
            basic::AMQPMethod::Deliver(deliver) => Carrier::Deliver {
                consumer: deliver.consumer_tag.to_string(),
                tag: deliver.delivery_tag,
                redelivered: deliver.redelivered,
            },
            basic::AMQPMethod::GetOk(get_ok) => {
                Carrier::GetOk { tag: get_ok.delivery_tag, redelivered: get_ok.redelivered }
            }
            basic::AMQPMethod::Return(_) => Carrier::Return,
            basic::AMQPMethod::GetEmpty(_) => {
                let Getting { queue, .. } = channel.getting.take().expect("somebody gets");
                let account = &self.queues[queue.as_str()];
                let ready = account.messages.values().any(|place| *place == Place::Ready);
                assert!(!ready || !account.exact, "{queue} is not empty");
                return;
            }
            basic::AMQPMethod::Cancel(cancel) => {
                assert!(notified, "a client is told what it did not ask for");
                let tag = cancel.consumer_tag.as_str();
                // Queues that go by themselves are not in the account of deleted ones.
                let known = channel.doomed.remove(tag) || channel.consumers.remove(tag).is_some();
                assert!(known, "{tag} is cancelled, but nobody consumes by this tag");
                return;
            }
            basic::AMQPMethod::Ack(ack) => return confirmed(channel, ack.delivery_tag, ack.multiple),
            basic::AMQPMethod::Nack(nack) => return confirmed(channel, nack.delivery_tag, nack.multiple),
            _ => return,
        };
        channel.incoming =
            Some(Incoming { carrier, missing: None, properties: Vec::new(), body: Vec::new() });
    }

    /// Takes a content that is complete.
    fn complete(&mut self, who: usize, id: ChannelId) {
        let channel = self.channel(who, id);
        let whole = channel.incoming.take_if(|incoming| incoming.missing == Some(0));
        let Some(Incoming { carrier, properties, body, .. }) = whole else { return };
        let (queue, tag, redelivered, delivered_to, no_ack) = match carrier {
            Carrier::Return => return,
            Carrier::Deliver { consumer, tag, redelivered } => {
                let known = channel.consumers.get(&consumer);
                let Consumer { queue, no_ack, .. } = known.expect("a consumer that is there").clone();
                (queue, tag, redelivered, Some(consumer), no_ack)
            }
            Carrier::GetOk { tag, redelivered } => {
                let Getting { queue, no_ack } = channel.getting.take().expect("somebody gets");
                let incarnation = self.queues[queue.as_str()].incarnation;
                (Some((queue, incarnation)), tag, redelivered, None, no_ack)
            }
        };
        let channel = self.channel(who, id);
        channel.delivered += 1;
        assert_eq!(tag, channel.delivered, "delivery tags ascend one by one");
        let Some((queue, incarnation)) = queue else { return };
        self.remember_reply_to(who, &properties);
        let message = u64::from_be_bytes(*body.first_chunk().expect("our bodies begin with a number"));
        let died = queue == "dead" && self.mortal.contains(&message);
        let account = self.account(&queue, incarnation).expect("a delivery of a queue that is gone");
        if died && !account.seen.contains(&message) {
            account.messages.insert(message, Place::Ready);
        }
        let place = account.messages.get_mut(&message);
        let place = place.unwrap_or_else(|| panic!("{queue} delivers {message}, which it should not have"));
        assert_eq!(*place, Place::Ready, "{queue} delivers {message} twice");
        *place = Place::Outstanding;
        assert!(redelivered || account.seen.insert(message), "{queue} does not say that {message} was seen");
        account.seen.insert(message);
        let delivered = Delivered { queue, incarnation, id: message, consumer: delivered_to };
        if no_ack {
            return self.settled(&delivered, false);
        }
        let channel = self.channel(who, id);
        channel.unacked.insert(tag, delivered.clone());
        let Some(consumer) = delivered.consumer else { return };
        let prefetch = usize::from(channel.consumers[&consumer].prefetch);
        assert!(prefetch == 0 || channel.outstanding(Some(&consumer)) <= prefetch, "more than prefetch");
        let shared = usize::from(channel.shared);
        let within = shared == 0 || channel.outstanding(None) <= shared;
        assert!(within || !channel.shared_is_exact, "more than the shared prefetch");
    }

    fn remember_reply_to(&mut self, who: usize, properties: &[u8]) {
        let scanned = Properties::scan(properties, TABLE_DEPTH_MAX).expect("whole properties");
        if let Some(reply_to) = scanned.reply_to {
            self.clients[who].reply_to = Some(reply_to.to_vec());
        }
    }
}

/// A confirm answers the next publish, or several up to one of them.
fn confirmed(channel: &mut Channel, tag: u64, multiple: bool) {
    let Mode::Confirm { published, answered } = &mut channel.mode else {
        panic!("a confirm nobody asked for")
    };
    assert!(*answered < tag && tag <= *published, "confirm {tag} of {answered}..{published}");
    assert!(multiple || tag == *answered + 1, "{tag} is confirmed before {}", *answered + 1);
    *answered = tag;
}
