//! A client doing one thing: its octets, what must follow, and the entries in the accounts.

use leveret::amqp::{AMQPClass, AMQPValue, ChannelId, FieldTable, basic, confirm, connection, queue, tx};

use crate::{
    client::{Channel, Consumer, Delivered, Getting, Mode},
    frames::{content, method_frame},
    steps::{Action, How, Item, Step, Then},
    vandal::Blow,
    world::{Expect, Place, QUEUES, World, close_channel, declaration, held_bytes, open_channel},
};

const SIZES: [usize; 8] = [8, 9, 30, 600, 4096, 4097, 5_000, 9_000];
const REPLY_TO: &str = "amq.rabbitmq.reply-to";

/// Exchange and key of a publish.
pub const TARGETS: [(&str, &str); 22] = [
    ("", "plain0"),
    ("", "plain0"),
    ("", "plain1"),
    ("", "plain1"),
    ("", "prio"),
    ("", "sac"),
    ("", "own0"),
    ("", "own1"),
    ("", "short"),
    ("", "reject"),
    ("", "ttl"),
    ("", "auto"),
    ("", "expires"),
    ("", "mortal"),
    ("", "dead"),
    ("", "nobody"),
    ("amq.fanout", "a"),
    ("amq.fanout", "b"),
    ("amq.direct", "a"),
    ("amq.direct", "b"),
    ("amq.direct", "c"),
    ("amq.topic", "a.b"),
];
/// Where queues can be bound.
pub const BINDINGS: [(&str, &str); 4] =
    [("amq.fanout", "a"), ("amq.direct", "a"), ("amq.direct", "b"), ("amq.direct", "c")];

/// The first two queues are taken as often as all others.
pub fn queue_name(number: u8) -> &'static str {
    if number < 128 { QUEUES[usize::from(number) % QUEUES.len()] } else { QUEUES[usize::from(number) % 2] }
}

/// One client doing one thing on one channel.
struct Actor<'a> {
    world: &'a mut World,
    who: usize,
    id: ChannelId,
    cut: usize,
}

pub fn take(world: &mut World, step: Step) {
    let Step { place, cut, action } = step;
    let (who, id) = (usize::from(place % 2), ChannelId::from(place / 2 % 3) + 1);
    let mut actor = Actor { world, who, id, cut: usize::from(cut) };
    match action {
        Action::Wait { millis } => return actor.world.wait(u64::from(millis % 12)),
        Action::ForceClose => return actor.world.force_close(),
        Action::Vandalize(blows) => {
            let octets: Vec<u8> = blows.into_iter().flat_map(Blow::octets).collect();
            return actor.world.vandalize(&octets, actor.cut);
        }
        Action::CloseConnection => return actor.close_connection(b""),
        Action::Vanish => return actor.vanish(),
        _ => actor.open(id),
    }
    match action {
        Action::CloseChannel => actor.close_channel(),
        Action::Declare { queue, nowait } => actor.declare(queue_name(queue), nowait),
        Action::Delete { queue, if_unused, if_empty } => actor.delete(queue_name(queue), if_unused, if_empty),
        Action::Purge { queue } => actor.purge(queue_name(queue)),
        Action::Bind { queue, target, nowait } => actor.bind(queue_name(queue), target, nowait),
        Action::Unbind { queue, target } => actor.unbind(queue_name(queue), target),
        Action::Burst(items, then) => actor.burst(items, then),
        Action::PublishNowhere => actor.publish_nowhere(),
        Action::Consume { queue, no_ack, exclusive, priority, nowait } => {
            actor.consume(queue_name(queue), no_ack, exclusive, priority, nowait);
        }
        Action::Cancel { nth, nowait } => actor.cancel(nth, nowait),
        Action::Get { queue, no_ack } => actor.get(queue_name(queue), no_ack),
        Action::Settle { tag, how, multiple } => actor.settle(tag, how, multiple),
        Action::Qos { count, global } => actor.qos(u16::from(count % 5), global),
        Action::Recover { is_async } => actor.recover(is_async),
        Action::ConfirmSelect { nowait } => actor.confirm_select(nowait),
        Action::TxSelect => actor.tx_select(),
        Action::TxCommit => actor.tx_commit(),
        Action::TxRollback => actor.tx_rollback(),
        Action::ConsumeReplies => actor.consume_replies(),
        Action::Reply => actor.reply(),
        Action::Wait { .. }
        | Action::ForceClose
        | Action::Vandalize(_)
        | Action::CloseConnection
        | Action::Vanish => {}
    }
}

impl Actor<'_> {
    fn channel(&mut self) -> &mut Channel {
        self.world.channel(self.who, self.id)
    }

    fn send(&mut self, class: AMQPClass, expect: Expect) {
        self.world.send_on(self.who, self.id, &method_frame(self.id, class), self.cut, expect);
    }

    /// Whether the channel is still there.
    fn survived(&self) -> bool {
        self.world.clients[self.who].channels.contains_key(&self.id)
    }

    fn open(&mut self, id: ChannelId) {
        if !self.world.clients[self.who].channels.contains_key(&id) {
            self.world.clients[self.who].channels.insert(id, Channel::default());
            self.world.send(self.who, &open_channel(id), self.cut);
            assert_eq!(self.world.clients[self.who].heard.len(), 1, "channel.open-ok");
        }
    }

    fn close_channel(&mut self) {
        self.world.send(self.who, &close_channel(self.id), self.cut);
        assert!(!self.survived(), "channel.close-ok");
    }

    fn close_connection(&mut self, before: &[u8]) {
        let close = connection::Close { reply_code: 200, reply_text: "".into(), class_id: 0, method_id: 0 };
        let octets = method_frame(0, AMQPClass::Connection(connection::AMQPMethod::Close(close)));
        self.world.send(self.who, &[before, &octets].concat(), self.cut);
        let client = &mut self.world.clients[self.who];
        assert!(client.closed, "connection.close-ok");
        assert!(client.wire.session.is_finished());
        client.wire.session.disconnect(self.world.now);
        self.world.reconnect(self.who);
        self.world.settle_down();
    }

    fn vanish(&mut self) {
        self.world.connection_ended(self.who);
        self.world.clients[self.who].wire.session.disconnect(self.world.now);
        self.world.reconnect(self.who);
        self.world.settle_down();
    }

    /// Whether a method on an existing queue is refused: for certain, or perhaps, when the queue may have
    /// gone by itself.
    fn expect_queue(&self, name: &str) -> Expect {
        match self.world.queues.get(name) {
            _ if self.world.is_locked_for(name, self.who) && self.world.queues.contains_key(name) => {
                Expect::Closed
            }
            Some(account) if account.exact => Expect::Fine,
            Some(_) => Expect::Either,
            None => Expect::Closed,
        }
    }

    fn declare(&mut self, name: &'static str, nowait: bool) {
        let locked = self.world.is_locked_for(name, self.who);
        if locked && !self.world.queues.contains_key(name) {
            // It would become ours under the other one's name.
            return;
        }
        let declare = queue::Declare { nowait, ..declaration(name) };
        let expect = if locked { Expect::Closed } else { Expect::Fine };
        self.send(AMQPClass::Queue(queue::AMQPMethod::Declare(declare)), expect);
        if !locked {
            self.world.declared(name);
        }
    }

    fn delete(&mut self, name: &'static str, if_unused: bool, if_empty: bool) {
        let exact = self.world.queues.get(name).is_none_or(|account| account.exact);
        let expect = match self.world.queues.get(name) {
            None => Expect::Fine,
            Some(_) if self.world.is_locked_for(name, self.who) => Expect::Closed,
            Some(account) if account.exact => {
                let ready = account.messages.values().any(|place| *place == Place::Ready);
                let consumers = self.world.clients.iter().flat_map(|client| client.channels.values());
                let mut consumers = consumers.flat_map(|channel| channel.consumers.values());
                let used = consumers.any(|one| one.queue.as_ref().is_some_and(|(queue, _)| queue == name));
                if if_unused && used || if_empty && ready { Expect::Closed } else { Expect::Fine }
            }
            Some(_) => Expect::Either,
        };
        let delete = queue::Delete { queue: name.into(), if_unused, if_empty, ..queue::Delete::default() };
        if exact && expect == Expect::Fine {
            self.world.deleted(name);
        }
        self.send(AMQPClass::Queue(queue::AMQPMethod::Delete(delete)), expect);
        if !exact && self.survived() {
            self.world.deleted(name);
            // It may have gone by itself earlier, and then clients were told then.
            for client in &mut self.world.clients {
                client.channels.values_mut().for_each(|channel| channel.doomed.clear());
            }
        }
    }

    fn purge(&mut self, name: &'static str) {
        let expect = self.expect_queue(name);
        let mut purged = None;
        if expect == Expect::Fine {
            let messages = &mut self.world.queues.get_mut(name).expect("it exists").messages;
            let before = messages.len();
            messages.retain(|_, place| *place == Place::Outstanding);
            purged = Some(before - messages.len());
        }
        let purge = queue::Purge { queue: name.into(), nowait: false };
        self.send(AMQPClass::Queue(queue::AMQPMethod::Purge(purge)), expect);
        if let Some(purged) = purged {
            let heard = &self.world.clients[self.who].heard;
            let expected = queue::PurgeOk { message_count: purged as u32 };
            assert!(heard.contains(&AMQPClass::Queue(queue::AMQPMethod::PurgeOk(expected))), "{heard:?}");
        }
    }

    fn bind(&mut self, name: &'static str, target: u8, nowait: bool) {
        let (exchange, key) = BINDINGS[usize::from(target) % BINDINGS.len()];
        let expect = self.expect_queue(name);
        let bind = queue::Bind {
            queue: name.into(),
            exchange: exchange.into(),
            routing_key: key.into(),
            nowait,
            arguments: FieldTable::default(),
        };
        self.send(AMQPClass::Queue(queue::AMQPMethod::Bind(bind)), expect);
        if self.survived() {
            self.world.bindings.insert((exchange, key, name));
        }
    }

    fn unbind(&mut self, name: &'static str, target: u8) {
        let (exchange, key) = BINDINGS[usize::from(target) % BINDINGS.len()];
        let locked = self.world.is_locked_for(name, self.who) && self.world.queues.contains_key(name);
        let unbind = queue::Unbind {
            queue: name.into(),
            exchange: exchange.into(),
            routing_key: key.into(),
            arguments: FieldTable::default(),
        };
        let expect = if locked { Expect::Closed } else { Expect::Fine };
        self.send(AMQPClass::Queue(queue::AMQPMethod::Unbind(unbind)), expect);
        if !locked {
            self.world.bindings.remove(&(exchange, key, name));
        }
    }

    /// Publishes and settlements on several channels, sent at once.
    fn burst(&mut self, items: Vec<Item>, then: Then) {
        let channel_of = |item: &Item| {
            let (Item::Publish { channel, .. } | Item::Settle { channel, .. }) = item;
            ChannelId::from(channel % 3) + 1
        };
        let items: Vec<Item> = items.into_iter().take(12).collect();
        items.iter().for_each(|item| self.open(channel_of(item)));
        let mut octets = Vec::new();
        for item in items {
            self.id = channel_of(&item);
            match item {
                Item::Publish { target, size, extras, frame, .. } => {
                    octets.extend(self.publish(target, size, extras, frame));
                }
                Item::Settle { which, how, multiple, .. } => {
                    octets.extend(self.settle_outstanding(which, how, multiple));
                }
            }
        }
        match then {
            Then::Nothing => {}
            Then::Alarm => self.meet_alarm(&mut octets),
            Then::CloseChannel => {
                octets.extend(close_channel(self.id));
                self.world.send(self.who, &octets, self.cut);
                return assert!(!self.survived(), "channel.close-ok");
            }
            Then::CloseConnection => return self.close_connection(&octets),
            Then::Vanish => {
                // Nobody reads what the session says meanwhile.
                self.world.clients[self.who].wire.send_unheard(&octets, self.world.now);
                return self.vanish();
            }
        }
        self.world.send_on(self.who, self.id, &octets, self.cut, Expect::Fine);
    }

    /// The session takes in what it does during an alarm, which then ends.
    fn meet_alarm(&mut self, octets: &mut Vec<u8>) {
        // Told first, so that what is held is known to the octet.
        held_bytes(self.world.node.alarms.account());
        self.world.node.alarms.set_memory_limit(0);
        let session = &mut self.world.clients[self.who].wire.session;
        let used = session.receive(octets, self.world.now);
        octets.drain(..used);
        self.world.node.alarms.set_memory_limit(u64::MAX);
        session.recheck_alarms(self.world.now);
    }

    /// The octets of a publish, entered in the accounts.
    fn publish(&mut self, target: u8, size: u8, extras: u8, frame: u16) -> Vec<u8> {
        let (exchange, key) = TARGETS[usize::from(target) % TARGETS.len()];
        let id = self.world.new_id();
        let copy = (extras % 16 == 7).then_some("plain1");
        let targets = self.world.targets(exchange, key, copy);
        let may_be_dropped =
            exchange.is_empty() && copy.is_none() && ["ttl", "auto", "short", "mortal"].contains(&key);
        let properties: &[u8] = match extras % 16 {
            7 => b"\x20\0\0\0\0\x13\x02CCA\0\0\0\x0bS\0\0\0\x06plain1",
            0 | 1 => &[0x10, 0, 2],
            2 => &[0x08, 0, 0],
            3 => &[0x08, 0, 2],
            4 => &[0x08, 0, 9],
            5 if may_be_dropped => b"\x01\0\x013",
            6 if self.channel().consumers.values().any(|one| one.queue.is_none()) => {
                b"\x02\0\x15amq.rabbitmq.reply-to"
            }
            _ => &[0, 0],
        };
        let mut body = id.to_be_bytes().to_vec();
        body.resize(SIZES[usize::from(size) % SIZES.len()], b'x');
        let publish = basic::Publish {
            exchange: exchange.into(),
            routing_key: key.into(),
            mandatory: extras & 64 != 0,
            immediate: false,
        };
        let mut octets = method_frame(self.id, AMQPClass::Basic(basic::AMQPMethod::Publish(publish)));
        octets.extend(content(self.id, properties, &body, 1 + usize::from(frame) % 4096));
        match &mut self.channel().mode {
            Mode::Plain => self.world.arrived(&targets, id),
            Mode::Confirm { published, .. } => {
                *published += 1;
                self.world.arrived(&targets, id);
            }
            Mode::Tx { publishes, .. } => publishes.push((targets, id)),
        }
        octets
    }

    /// Settles one of the outstanding deliveries, or all up to it; nothing when there are none.
    fn settle_outstanding(&mut self, which: u8, how: How, multiple: bool) -> Vec<u8> {
        let unacked = &self.channel().unacked;
        let nth = usize::from(which) % unacked.len().max(1);
        let Some(tag) = unacked.keys().nth(nth).copied() else { return Vec::new() };
        self.enter_settlement(tag, how, multiple);
        settlement(self.id, tag, how, multiple)
    }

    /// Enters a valid settlement in the accounts.
    fn enter_settlement(&mut self, tag: u64, how: How, multiple: bool) {
        let multiple = multiple && !matches!(how, How::Reject | How::RejectRequeue);
        let channel = self.channel();
        let tags: Vec<u64> = if multiple {
            channel.unacked.keys().copied().filter(|other| tag == 0 || *other <= tag).collect()
        } else {
            vec![tag]
        };
        let taken: Vec<(u64, Delivered)> =
            tags.iter().map(|tag| (*tag, channel.unacked.remove(tag).expect("outstanding"))).collect();
        if let Mode::Tx { settled, .. } = &mut channel.mode {
            settled.extend(taken.into_iter().map(|(tag, delivered)| (tag, how.requeues(), delivered)));
            return;
        }
        for (_, delivered) in taken {
            self.world.settled(&delivered, how.requeues());
        }
    }

    /// Settles whatever tag it is.
    fn settle(&mut self, tag: u8, how: How, multiple: bool) {
        let tag = u64::from(tag);
        let many = multiple && !matches!(how, How::Reject | How::RejectRequeue);
        let valid = self.channel().unacked.contains_key(&tag) || many && tag == 0;
        if valid {
            self.enter_settlement(tag, how, multiple);
        }
        let octets = settlement(self.id, tag, how, multiple);
        let expect = if valid { Expect::Fine } else { Expect::Closed };
        self.world.send_on(self.who, self.id, &octets, self.cut, expect);
    }

    fn publish_nowhere(&mut self) {
        let publish = basic::Publish { exchange: "nowhere".into(), ..basic::Publish::default() };
        let mut octets = method_frame(self.id, AMQPClass::Basic(basic::AMQPMethod::Publish(publish)));
        octets.extend(content(self.id, &[0, 0], b"lost", 2));
        self.world.send_on(self.who, self.id, &octets, self.cut, Expect::Closed);
    }

    fn consume(&mut self, name: &'static str, no_ack: bool, exclusive: bool, priority: i8, nowait: bool) {
        if 20 < self.channel().consumers.len() {
            return;
        }
        let expect = match self.expect_queue(name) {
            Expect::Fine if exclusive || self.world.is_in_exclusive_use(name) => Expect::Either,
            expect => expect,
        };
        let tag = format!("c{}", self.world.new_id());
        if let Some(account) = self.world.queues.get(name) {
            let queue = Some((name.to_owned(), account.incarnation));
            let prefetch = self.channel().prefetch;
            self.channel().consumers.insert(tag.clone(), Consumer { queue, no_ack, exclusive, prefetch });
        }
        let mut arguments = FieldTable::default();
        if priority != 0 {
            arguments.insert("x-priority".into(), AMQPValue::LongInt(priority.into()));
        }
        let consume = basic::Consume {
            queue: name.into(),
            consumer_tag: tag.as_str().into(),
            no_local: false,
            no_ack,
            exclusive,
            nowait,
            arguments,
        };
        self.send(AMQPClass::Basic(basic::AMQPMethod::Consume(consume)), expect);
    }

    fn consume_replies(&mut self) {
        if self.channel().consumers.values().any(|one| one.queue.is_none()) {
            return;
        }
        let tag = format!("r{}", self.world.new_id());
        let consumer = Consumer { queue: None, no_ack: true, exclusive: false, prefetch: 0 };
        self.channel().consumers.insert(tag.clone(), consumer);
        let consume = basic::Consume {
            queue: REPLY_TO.into(),
            consumer_tag: tag.as_str().into(),
            no_ack: true,
            ..basic::Consume::default()
        };
        self.send(AMQPClass::Basic(basic::AMQPMethod::Consume(consume)), Expect::Fine);
    }

    /// Replies to the last request seen, whose requester may be gone.
    fn reply(&mut self) {
        let Some(name) = self.world.clients[self.who].reply_to.clone() else { return };
        let Ok(name) = String::from_utf8(name) else { return };
        let publish = basic::Publish { routing_key: name.as_str().into(), ..basic::Publish::default() };
        let mut octets = method_frame(self.id, AMQPClass::Basic(basic::AMQPMethod::Publish(publish)));
        octets.extend(content(self.id, &[0, 0], b"a reply", 3));
        match &mut self.channel().mode {
            Mode::Confirm { published, .. } => *published += 1,
            Mode::Plain | Mode::Tx { .. } => {}
        }
        self.world.send_on(self.who, self.id, &octets, self.cut, Expect::Fine);
    }

    fn cancel(&mut self, nth: u8, nowait: bool) {
        let consumers = &mut self.channel().consumers;
        let nth = usize::from(nth) % (consumers.len() + 1);
        let tag = consumers.keys().nth(nth).cloned().unwrap_or_else(|| "nobody".to_owned());
        consumers.remove(&tag);
        let cancel = basic::Cancel { consumer_tag: tag.as_str().into(), nowait };
        self.send(AMQPClass::Basic(basic::AMQPMethod::Cancel(cancel)), Expect::Fine);
    }

    fn get(&mut self, name: &'static str, no_ack: bool) {
        let expect = self.expect_queue(name);
        self.channel().getting = Some(Getting { queue: name.to_owned(), no_ack });
        let get = basic::Get { queue: name.into(), no_ack };
        self.send(AMQPClass::Basic(basic::AMQPMethod::Get(get)), expect);
    }

    fn qos(&mut self, count: u16, global: bool) {
        let channel = self.channel();
        if global {
            if channel.shared == 0 {
                let settled_later = matches!(&channel.mode, Mode::Tx { settled, .. } if !settled.is_empty());
                let got = channel.unacked.values().any(|delivered| delivered.consumer.is_none());
                channel.shared_is_exact = !settled_later && !got;
            }
            channel.shared = count;
        } else {
            channel.prefetch = count;
        }
        let qos = basic::Qos { prefetch_count: count, global };
        self.send(AMQPClass::Basic(basic::AMQPMethod::Qos(qos)), Expect::Fine);
    }

    fn recover(&mut self, is_async: bool) {
        let unacked = std::mem::take(&mut self.channel().unacked);
        for delivered in unacked.values() {
            self.world.settled(delivered, true);
        }
        let requeue = true;
        let method = if is_async {
            basic::AMQPMethod::RecoverAsync(basic::RecoverAsync { requeue })
        } else {
            basic::AMQPMethod::Recover(basic::Recover { requeue })
        };
        self.send(AMQPClass::Basic(method), Expect::Fine);
    }

    fn confirm_select(&mut self, nowait: bool) {
        let channel = self.channel();
        let expect = if matches!(channel.mode, Mode::Tx { .. }) { Expect::Closed } else { Expect::Fine };
        if matches!(channel.mode, Mode::Plain) {
            channel.mode = Mode::Confirm { published: 0, answered: 0 };
        }
        self.send(AMQPClass::Confirm(confirm::AMQPMethod::Select(confirm::Select { nowait })), expect);
    }

    fn tx_select(&mut self) {
        let channel = self.channel();
        let expect = if matches!(channel.mode, Mode::Confirm { .. }) { Expect::Closed } else { Expect::Fine };
        if matches!(channel.mode, Mode::Plain) {
            channel.mode = Mode::Tx { publishes: Vec::new(), settled: Vec::new() };
        }
        self.send(AMQPClass::Tx(tx::AMQPMethod::Select(tx::Select {})), expect);
    }

    fn tx_commit(&mut self) {
        let mut expect = Expect::Closed;
        if let Mode::Tx { publishes, settled } = &mut self.channel().mode {
            let (publishes, settled) = (std::mem::take(publishes), std::mem::take(settled));
            // A queue may refuse a message, and then the channel closes though the rest is done.
            let refusable =
                publishes.iter().any(|(targets, _)| targets.iter().any(|(name, _)| name == "reject"));
            expect = if refusable { Expect::Either } else { Expect::Fine };
            publishes.iter().for_each(|(targets, id)| self.world.arrived(targets, *id));
            settled.iter().for_each(|(_, requeue, delivered)| self.world.settled(delivered, *requeue));
        }
        self.send(AMQPClass::Tx(tx::AMQPMethod::Commit(tx::Commit {})), expect);
    }

    fn tx_rollback(&mut self) {
        let mut expect = Expect::Closed;
        let channel = self.channel();
        if let Mode::Tx { publishes, settled } = &mut channel.mode {
            publishes.clear();
            let settled = std::mem::take(settled);
            channel.unacked.extend(settled.into_iter().map(|(tag, _, delivered)| (tag, delivered)));
            expect = Expect::Fine;
        }
        self.send(AMQPClass::Tx(tx::AMQPMethod::Rollback(tx::Rollback {})), expect);
    }
}

pub fn settlement(id: ChannelId, tag: u64, how: How, multiple: bool) -> Vec<u8> {
    let (delivery_tag, requeue) = (tag, how.requeues());
    let method = match how {
        How::Ack => basic::AMQPMethod::Ack(basic::Ack { delivery_tag, multiple }),
        How::Nack | How::NackRequeue => {
            basic::AMQPMethod::Nack(basic::Nack { delivery_tag, multiple, requeue })
        }
        How::Reject | How::RejectRequeue => {
            basic::AMQPMethod::Reject(basic::Reject { delivery_tag, requeue })
        }
    };
    method_frame(id, AMQPClass::Basic(method))
}

/// Every queue is there to begin with.
pub fn declare_all(world: &mut World) {
    for who in [0, 1] {
        let mut actor = Actor { world, who, id: 1, cut: usize::MAX };
        actor.open(1);
        let mut names = QUEUES.to_vec();
        names.retain(|name| !actor.world.is_locked_for(name, who));
        let declare = |name: &&str| {
            let declare = queue::AMQPMethod::Declare(declaration(name));
            method_frame(1, AMQPClass::Queue(declare))
        };
        let octets: Vec<u8> = names.iter().flat_map(declare).collect();
        actor.world.send_on(who, 1, &octets, usize::MAX, Expect::Fine);
        names.into_iter().for_each(|name| actor.world.declared(name));
    }
}
