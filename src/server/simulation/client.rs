//! A client and its session: octets go in and come out in portions, and the model learns of both.

use std::{
    collections::{BTreeMap, VecDeque},
    io::IoSlice,
    sync::Arc,
    task::Waker,
};

use amq_protocol::frame::{AMQPFrame, parse_frame};

use super::{
    channel::{Channel, Command, How, Opened, Pending, What},
    model::{Model, Stamp},
    random::Random,
    wire::{self, Letter},
};
use crate::{
    amqp::{AMQPClass, ChannelId, FrameHead, basic, channel, connection},
    broker::Millis,
    engine::Node,
    session::{Hold, Peer, SLICES_MAX, Session, SessionSettings},
};

/// A connection of the simulation.
pub struct Client {
    pub session: Session,
    /// Octets sent, and how many of them the session has used up.
    queued: u64,
    used: u64,
    input: Vec<u8>,
    sent: VecDeque<(u64, Command)>,
    incoming: Vec<u8>,
    pub channels: BTreeMap<ChannelId, Channel>,
    /// A content that is being received.
    content: Option<Receiving>,
    pub is_over: bool,
    /// The connection was open at some time.
    has_run: bool,
    pub next_tag: u64,
}

/// A delivery without all of its body.
struct Receiving {
    channel: ChannelId,
    kind: Kind,
    left: u64,
    body: Vec<u8>,
}

/// What brought a content.
enum Kind {
    Deliver { consumer: String, tag: u64, redelivered: bool },
    Get { tag: u64, redelivered: bool },
}

impl Client {
    pub fn new(node: &Arc<Node>, settings: &Arc<SessionSettings>, now: Millis) -> Client {
        let local = ([127, 0, 0, 1], 5672).into();
        let peer = Peer { address: [127, 0, 0, 1].into(), port: 1, local, encryption: None };
        let session = Session::new(node.clone(), settings.clone(), peer, now);
        let mut client = Client {
            session,
            queued: 0,
            used: 0,
            input: Vec::new(),
            sent: VecDeque::new(),
            incoming: Vec::new(),
            channels: BTreeMap::new(),
            content: None,
            is_over: false,
            has_run: false,
            next_tag: 0,
        };
        client.send(Command::Nothing, wire::handshake());
        client
    }

    /// Commands that the session has not used up.
    pub fn backlog(&self) -> usize {
        self.sent.len()
    }

    pub fn send(&mut self, command: Command, octets: Vec<u8>) {
        self.queued += octets.len() as u64;
        self.input.extend(octets);
        self.sent.push_back((self.queued, command));
    }

    /// What the driver of a connection does before it reads or writes.
    pub fn look_around(&mut self, model: &mut Model, now: Millis) {
        if self.session.next_timeout().is_some_and(|at| at <= now) {
            self.session.handle_timeout(now);
        }
        self.session.check_log();
        self.session.recheck_pressure(now, Waker::noop());
        self.session.recheck_get(now, Waker::noop());
        self.session.recheck_alarms(now);
        self.session.recheck_log(Waker::noop());
        if self.has_run && !self.session.is_running() {
            // The log has failed and the session said so: everything goes back before the client knows.
            for channel in self.channels.values_mut() {
                channel.die(model);
            }
        }
    }

    /// The session gets some of what was sent.
    pub fn feed(&mut self, model: &mut Model, portion: usize, now: Millis) {
        if self.session.hold() != Hold::No || self.session.is_finished() || self.input.is_empty() {
            return;
        }
        let portion = portion.min(self.input.len());
        self.session.received(now);
        // What the client sends to a session that ends is not carried out.
        let is_closing = self.has_run && !self.session.is_running();
        let used = self.session.receive(&self.input[..portion], now);
        self.has_run |= self.session.is_running();
        self.input.drain(..used);
        self.used += used as u64;
        while self.sent.front().is_some_and(|(end, _)| *end <= self.used) {
            let (_, command) = self.sent.pop_front().expect("it was just seen");
            tell!(
                "{} at {}: {command:?} dead {:?}",
                self.session.id(),
                model.now,
                command.channel().and_then(|id| self.channels.get(&id)).map(|c| c.dead)
            );
            if !is_closing && let Some(channel) = command.channel().and_then(|id| self.channels.get_mut(&id))
            {
                channel.taken_in(model, command);
            }
        }
    }

    /// The client gets some of what is put out.
    pub fn take(&mut self, model: &mut Model, random: &mut Random, now: Millis) {
        while self.session.output().is_writable() {
            let output = self.session.output();
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let filled = output.slices(&mut slices);
            let octets: Vec<u8> = slices[..filled].iter().flat_map(|slice| slice.to_vec()).collect();
            let portion = if random.once_in(4) { 1 + random.index(octets.len()) } else { octets.len() };
            self.incoming.extend_from_slice(&octets[..portion]);
            output.advance(portion);
            self.session.sent(portion, now);
            if random.once_in(4) {
                break;
            }
        }
        self.read(model);
        if self.session.is_finished() && self.session.output().is_empty() {
            self.is_over = true;
        }
    }

    fn read(&mut self, model: &mut Model) {
        let incoming = std::mem::take(&mut self.incoming);
        let mut rest = &incoming[..];
        while FrameHead::parse(rest).is_some_and(|head| head.frame_size() <= rest.len()) {
            let (after, frame) = parse_frame(rest).expect("the session writes frames");
            rest = after;
            self.on_frame(model, frame);
        }
        self.incoming = rest.to_vec();
    }

    fn on_frame(&mut self, model: &mut Model, frame: AMQPFrame) {
        match frame {
            AMQPFrame::Method(_, AMQPClass::Connection(connection::AMQPMethod::Close(close))) => {
                let text = close.reply_text.to_string();
                assert!(text.contains("the message log failed"), "closed for no reason: {text}");
            }
            AMQPFrame::Method(_, AMQPClass::Connection(_)) | AMQPFrame::Heartbeat => {}
            AMQPFrame::Method(id, AMQPClass::Basic(method)) => self.on_basic(model, id, method),
            AMQPFrame::Method(id, AMQPClass::Channel(channel::AMQPMethod::Close(close))) => {
                let channel = self.channels.get_mut(&id).expect("only open channels are closed");
                let text = format!("{} {}", close.reply_code, close.reply_text);
                assert!(channel.dead, "channel {id} is closed for no reason: {text}");
                channel.state = Opened::Closing;
                channel.pending.clear();
                self.send(Command::CloseOk(id), wire::close_ok(id));
            }
            AMQPFrame::Method(id, _) => self.on_reply(model, id),
            AMQPFrame::Header(id, header) => {
                let content = self.content.as_mut().expect("a header follows a method");
                assert_eq!(content.channel, id);
                content.left = header.body_size;
                self.finish_content(model);
            }
            AMQPFrame::Body(id, octets) => {
                let content = self.content.as_mut().expect("a body follows a header");
                assert_eq!(content.channel, id);
                content.left -= octets.len() as u64;
                content.body.extend_from_slice(&octets);
                self.finish_content(model);
            }
            other => panic!("a session does not send {other:?}"),
        }
    }

    fn on_basic(&mut self, model: &mut Model, id: ChannelId, method: basic::AMQPMethod) {
        match method {
            basic::AMQPMethod::Deliver(deliver) => {
                let basic::Deliver { consumer_tag, delivery_tag: tag, redelivered, .. } = deliver;
                let kind = Kind::Deliver { consumer: consumer_tag.to_string(), tag, redelivered };
                self.begin_content(id, kind);
            }
            basic::AMQPMethod::GetOk(got) => {
                let basic::GetOk { delivery_tag: tag, redelivered, .. } = got;
                self.begin_content(id, Kind::Get { tag, redelivered });
            }
            basic::AMQPMethod::Ack(ack) => {
                let channel = self.channels.get_mut(&id).expect("an open channel");
                channel.confirmed(model, ack.delivery_tag, ack.multiple, true);
            }
            basic::AMQPMethod::Nack(nack) => {
                let channel = self.channels.get_mut(&id).expect("an open channel");
                channel.confirmed(model, nack.delivery_tag, nack.multiple, false);
            }
            basic::AMQPMethod::Return(_) => panic!("nothing was mandatory"),
            _ => self.on_reply(model, id),
        }
    }

    fn begin_content(&mut self, channel: ChannelId, kind: Kind) {
        assert!(self.content.is_none(), "contents do not mix");
        self.content = Some(Receiving { channel, kind, left: u64::MAX, body: Vec::new() });
    }

    fn on_reply(&mut self, model: &mut Model, id: ChannelId) {
        let channel = self.channels.get_mut(&id).expect("an open channel");
        let pending = channel.pending.pop_front().expect("somebody waits for a reply");
        let promise = pending.promise.expect("replies come after their methods");
        model.told(promise);
        match pending.what {
            What::Reply => {}
            What::Get { .. } => drop(channel.gets.pop_front()),
            What::Open if channel.state == Opened::Opening => channel.state = Opened::Open,
            What::Open => {}
            What::Close => channel.state = Opened::Closed,
            What::Rollback => channel.rolled_back(),
        }
    }

    fn finish_content(&mut self, model: &mut Model) {
        if self.content.as_ref().is_none_or(|content| content.left != 0) {
            return;
        }
        let Some(Receiving { channel: id, kind, body, .. }) = self.content.take() else { return };
        let letter = Letter::read(&body);
        let channel = self.channels.get_mut(&id).expect("an open channel");
        match kind {
            Kind::Deliver { consumer, tag, redelivered } => {
                let (name, key, no_ack) = channel.consumers.get(&consumer).expect("a consumer").clone();
                let at = model.now;
                let gone = no_ack.then_some((0, at));
                let how = How { consumer: Some(&consumer), gone, redelivered };
                channel.delivered(model, tag, &name, &key, letter, how);
            }
            Kind::Get { tag, redelivered } => {
                let Pending { what, promise } = channel.pending.pop_front().expect("a get waits");
                let What::Get { name, key, no_ack } = what else { panic!("get-ok is no answer to that") };
                let at: Stamp = promise.map(|_| channel.gets.pop_front().expect("a stamp")).unwrap_or(0);
                let key = key.expect("the queue was there");
                // It may have waited for a page to be read.
                let how = How { consumer: None, gone: no_ack.then_some((at, model.now)), redelivered };
                channel.delivered(model, tag, &name, &key, letter, how);
            }
        }
    }

    /// The connection ends, however: what it held goes back.
    pub fn disconnect(&mut self, model: &mut Model, now: Millis) {
        self.session.disconnect(now);
        self.forget_unseen(model);
        for channel in self.channels.values_mut() {
            channel.die(model);
        }
        self.is_over = true;
    }

    /// Whether a get without acknowledgement took something that the client has not seen yet.
    pub fn has_unseen_gets(&self) -> bool {
        self.channels.values().any(|channel| channel.unseen_gets().next().is_some())
    }

    /// What gets took that nobody will see may be anything.
    pub fn forget_unseen(&self, model: &mut Model) {
        for (key, at) in self.channels.values().flat_map(Channel::unseen_gets) {
            let Some(queue) = model.queue(&key) else { continue };
            queue.doubt = true;
            for arrival in queue.arrivals.iter_mut().filter(|arrival| !arrival.held) {
                if arrival.gone.is_none_or(|(_, latest)| latest == Stamp::MAX) {
                    let first = arrival.gone.map_or(at, |(first, _)| first.min(at));
                    arrival.gone = Some((first.max(arrival.at), Stamp::MAX));
                }
            }
        }
    }
}
