//! A client's session: methods meet broker.
//!
//! It owns everything about one connection, so nothing here is locked: channels, consumers, delivery tags,
//! unacknowledged deliveries, confirms, transactions. Queues are reached through the engine, a batch at a
//! time. Octets go in through [`Session::receive`], come out through [`Session::output`]; time is an
//! argument.

mod basic;
mod batch;
mod channel;
mod close;
mod confirms;
mod deliver;
mod errors;
mod exchange_meters;
mod login;
mod output;
mod publish;
mod queues;
mod report;
mod rights;
mod routes;
mod settle;
mod tells;
#[cfg(test)]
mod tests;
mod topology;
mod transaction;
mod unacked;

use std::{
    collections::VecDeque,
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    task::Waker,
};

use bytes::Bytes;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use smallvec::SmallVec;

use basic::PendingGet;
use batch::Batch;
use channel::Channel;
use confirms::Awaited;
use deliver::Consumers;
use exchange_meters::ExchangeMeters;
pub use output::{Output, SLICES_MAX};
use rights::Rights;
use routes::Routes;

use crate::{
    amqp::{AMQPClass, ChannelId, Failure, FrameHead, FrameKind, Limit, Scope, frame},
    broker::Millis,
    engine::{
        ConnectionId, Encryption, Inbox, Node, QueueRef, Seat, Taken, Vhost,
        stats::{ConnectionMeter, Event as Churn},
    },
    protocol::{Connection, Event, Identity, Limits, Mechanism, Step, Timeout},
    store::Op,
};

/// Output above this many octets is written before more deliveries are encoded; messages and output of one
/// write stay in a core's cache together.
const ENCODE_MAX: usize = 128 << 10;

/// What a session may use, from the configuration.
#[derive(Debug, Clone)]
pub struct SessionSettings {
    pub limits: Limits,
    pub identity: Identity,
    /// Output not taken by the peer, in octets, above which its input waits.
    pub output_max: usize,
    pub consumers_per_channel_max: u32,
    /// An unacknowledged delivery older than this closes its channel (BAS-70), in milliseconds.
    pub consumer_timeout: Option<Millis>,
}

/// Who is at the other end.
#[derive(Debug, Clone)]
pub struct Peer {
    pub address: IpAddr,
    pub port: u16,
    /// The address of ours that it connected to.
    pub local: SocketAddr,
    /// What TLS agreed on, where it carries the connection.
    pub encryption: Option<Arc<Encryption>>,
}

/// Why a session does not take input for the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// It takes input.
    No,
    /// The peer must read first.
    Output,
    /// An alarm blocks publishers (ALM-03).
    Alarm,
    /// A login is delayed because others of this address failed, or its password takes long to check.
    Login,
    /// A queue has a backlog that its consumers will have worked off in a moment.
    Pressure,
    /// The log has more to write than it should, or the pager more to move to disk.
    Log,
    /// The message that a basic.get asked for is being read from disk.
    Page,
}

/// One connection of a client.
#[derive(Debug)]
pub struct Session {
    machine: Connection,
    output: Output,
    core: Core,
}

/// What methods work on: everything but the machine that events borrow from.
#[derive(Debug)]
struct Core {
    node: Arc<Node>,
    settings: Arc<SessionSettings>,
    peer: Peer,
    id: ConnectionId,
    user: Arc<str>,
    rights: Rights,
    /// Set by connection.open.
    vhost: Option<Arc<Vhost>>,
    /// Its place among the open connections, from then on until it ends.
    seat: Option<Seat>,
    inbox: Arc<Inbox>,
    /// What it counts of its traffic, for all to read.
    meter: Arc<ConnectionMeter>,
    exchanges: ExchangeMeters,
    /// Reused by every drain.
    taken: Taken,
    channels: HashMap<ChannelId, Box<Channel>, FixedState>,
    consumers: Consumers,
    /// Exclusive queues, which end with the connection (QUE-10).
    exclusive: Vec<QueueRef>,
    batch: Batch,
    /// What the log must learn at the next flush, as one.
    ops: Vec<Op>,
    /// Confirms that wait for the log, in order.
    awaited: VecDeque<Awaited>,
    /// So much waits for the log, or for room in memory, that publishers must wait, too.
    disk_is_behind: bool,
    routes: Routes,
    /// Channels with confirms or settlements to pass on at the next flush.
    dirty: SmallVec<[ChannelId; 4]>,
    client: login::Client,
    pending_login: Option<login::PendingLogin>,
    checked_login: Option<login::CheckedLogin>,
    blocked: bool,
    /// Octets of half-received contents that the node's account knows of.
    partial_charged: i64,
    /// A queue with a backlog, and how long to wait for its consumers.
    pressed: Option<(QueueRef, Millis)>,
    /// A basic.get that waits for its message.
    pending_get: Option<PendingGet>,
    /// When to look for deliveries that wait for their settlement too long.
    check_settlements_at: Option<Millis>,
    /// The shortest time that any delivery may stay unsettled, as far as is known (BAS-71).
    shortest_timeout: Option<Millis>,
    /// Reused memory for properties that are not their message's own.
    properties: Vec<u8>,
    /// Negotiated; known to everything that encodes contents.
    tuned_frame_max: u32,
    now: Millis,
}

impl Session {
    /// A session for a connection that was accepted at `now`.
    pub fn new(node: Arc<Node>, settings: Arc<SessionSettings>, peer: Peer, now: Millis) -> Session {
        let mut identity = settings.identity.clone();
        if let Some(name) = node.access.cluster_name() {
            identity.cluster_name = name;
        }
        let certificate = peer.encryption.as_ref().and_then(|encryption| encryption.certificate.as_ref());
        if certificate.is_none() {
            identity.mechanisms.retain(|mechanism| *mechanism != Mechanism::External);
        }
        let machine = Connection::new(settings.limits.clone(), identity, now);
        let frame_max = machine.tuned().frame_max;
        let inbox = Arc::new(Inbox::default());
        let id = node.next_connection_id();
        let shortest_timeout = settings.consumer_timeout;
        let core = Core {
            node,
            settings,
            peer,
            id,
            user: "".into(),
            rights: Rights::default(),
            vhost: None,
            seat: None,
            inbox,
            meter: Arc::default(),
            exchanges: ExchangeMeters::default(),
            taken: Taken::default(),
            channels: HashMap::default(),
            consumers: Consumers::default(),
            exclusive: Vec::new(),
            batch: Batch::default(),
            ops: Vec::new(),
            awaited: VecDeque::new(),
            disk_is_behind: false,
            routes: Routes::default(),
            dirty: SmallVec::new(),
            client: login::Client::default(),
            pending_login: None,
            checked_login: None,
            blocked: false,
            partial_charged: 0,
            pressed: None,
            pending_get: None,
            check_settlements_at: None,
            shortest_timeout,
            properties: Vec::new(),
            tuned_frame_max: frame_max,
            now,
        };
        Session { machine, output: Output::default(), core }
    }

    /// What waits to be written.
    pub fn output(&mut self) -> &mut Output {
        &mut self.output
    }

    /// Octets were written to the socket.
    pub fn sent(&mut self, octets: usize, now: Millis) {
        self.core.meter.sent_octets.add(octets as u64);
        self.core.meter.writes.add(1);
        self.machine.sent(now);
        if self.hold() == Hold::Output {
            // Its heartbeats wait behind its output, but whoever takes output is alive.
            self.machine.received(now);
        }
    }

    /// Whether the socket is to be closed once the output is written.
    pub fn is_finished(&self) -> bool {
        self.machine.is_finished()
    }

    /// How long to leave closing the socket to the peer, in milliseconds (CON-70).
    pub fn leave_open(&self) -> Millis {
        self.machine.leave_open()
    }

    /// Whether nobody has logged in yet.
    pub fn is_unauthenticated(&self) -> bool {
        self.machine.is_unauthenticated()
    }

    /// Whether the connection is open for work.
    pub fn is_running(&self) -> bool {
        self.machine.is_running()
    }

    /// For logs: who this is.
    pub fn description(&self) -> String {
        self.core.describe()
    }

    /// Why input must wait now.
    pub fn hold(&self) -> Hold {
        if self.core.settings.output_max < self.output.len() {
            Hold::Output
        } else if self.core.pending_login.is_some() || self.core.checked_login.is_some() {
            Hold::Login
        } else if self.core.pressed.is_some() {
            Hold::Pressure
        } else if self.core.disk_is_behind {
            Hold::Log
        } else if self.core.pending_get.is_some() {
            Hold::Page
        } else if self.core.blocked {
            Hold::Alarm
        } else {
            Hold::No
        }
    }

    /// Octets arrived; keeps the heartbeat monitor quiet.
    pub fn received(&mut self, now: Millis) {
        self.machine.received(now);
    }

    /// Acts on `input`, which begins with octets that an earlier call did not use up; returns how many were
    /// used up now. Everything that was published or settled in it has reached its queues when this returns.
    pub fn receive(&mut self, input: &[u8], now: Millis) -> usize {
        self.core.now = now;
        let mut used = 0;
        while self.hold() == Hold::No {
            let rest = input.get(used..).unwrap_or_default();
            match self.machine.step(rest, self.output.buffer()) {
                Ok(Step::NeedMore { used: octets }) => {
                    used += octets;
                    break;
                }
                Ok(Step::Finished) => {
                    used = input.len();
                    break;
                }
                Ok(Step::Event { used: octets, event }) => {
                    used += octets;
                    let publishes = matches!(event, Event::Content(..));
                    self.on_event(event);
                    // The publish that meets the alarm is taken; what follows it waits (ALM-03).
                    let disk_is_behind = || {
                        let node = &self.core.node;
                        node.journal.is_full_now() || node.paging.is_behind_now()
                    };
                    self.core.disk_is_behind |= publishes && disk_is_behind();
                    if publishes && let Some(reason) = self.core.node.alarms.reason() {
                        self.core.block(reason, &mut self.output);
                        self.machine.pause_monitoring(true, now);
                    }
                }
                Err((channel, failure, octets)) => {
                    used += octets;
                    self.on_failure(channel, &failure);
                }
            }
        }
        self.core.flush(&mut self.output);
        self.charge_partial();
        self.core.meter.received_octets.add(used as u64);
        self.core.meter.reads.add(1);
        used
    }

    /// As [`Session::receive`] with one frame, which a message may keep rather than copy its body out of it.
    pub fn receive_frame(&mut self, frame: &Bytes, now: Millis) -> usize {
        self.machine.lend(Some(frame.clone()));
        let used = self.receive(frame, now);
        self.machine.lend(None);
        used
    }

    fn on_event(&mut self, event: Event<'_>) {
        let result = match event {
            Event::Content(channel, content) => {
                let result = self.core.publish(channel, content, &mut self.output);
                result.map_err(|failure| (channel, failure))
            }
            Event::Settle(channel, settle) => {
                self.core.on_settle(channel, settle).map_err(|failure| (channel, failure.at(settle.id())))
            }
            Event::Method(channel, class) => self.on_method(channel, class),
            Event::ChannelOpen(channel) => self.open_channel(channel).map_err(|failure| (channel, failure)),
            Event::ChannelClose(channel) => {
                let _acting = self.core.acting();
                self.core.flush(&mut self.output);
                self.core.close_channel(channel);
                self.machine.channel_closed(channel, self.output.buffer());
                Ok(())
            }
            Event::Close => {
                let _acting = self.core.acting();
                self.core.flush(&mut self.output);
                self.core.close_all();
                self.machine.closed_by_peer(self.output.buffer());
                Ok(())
            }
            Event::SecretUpdated => Ok(()),
            Event::Login(login) => {
                self.on_login(*login);
                Ok(())
            }
            Event::Open { vhost } => self.on_open(&vhost).map_err(|failure| (0, failure)),
        };
        if let Err((channel, failure)) = result {
            self.on_failure(channel, &failure);
        }
    }

    fn open_channel(&mut self, channel: ChannelId) -> Result<(), Failure> {
        if let Some(seat) = &mut self.core.seat {
            seat.open_channel().map_err(|full| errors::of_full(&full))?;
        }
        self.core.node.stats.note(Churn::ChannelCreated);
        let meter = self.core.meter.open_channel(channel);
        self.core.channels.insert(channel, Box::new(Channel::new(meter)));
        self.core.tell_channel_created(channel);
        self.machine.accept_channel(channel, self.output.buffer());
        Ok(())
    }

    fn on_method(&mut self, channel: ChannelId, class: AMQPClass) -> Result<(), (ChannelId, Failure)> {
        let _acting = self.core.acting();
        self.core.flush(&mut self.output);
        let id = crate::amqp::MethodId::of(&class);
        self.core.method(channel, class, &mut self.output).map_err(|failure| (channel, failure.at(id)))
    }

    fn on_failure(&mut self, channel: ChannelId, failure: &Failure) {
        let _acting = self.core.acting();
        self.core.flush(&mut self.output);
        self.core.log_failure(channel, failure);
        match failure.scope {
            Scope::Channel => {
                self.core.close_channel(channel);
            }
            Scope::Connection => self.core.close_all(),
        }
        self.machine.fail(channel, failure, self.core.now, self.output.buffer());
    }

    /// Moves what the inbox holds into the output, a portion at a time. False when nothing was moved: either
    /// nothing is there, and `waker` is woken when there is, or the output must be written first.
    pub fn deliver(&mut self, now: Millis, waker: &Waker) -> bool {
        self.core.now = now;
        if ENCODE_MAX <= self.output.len() {
            return false;
        }
        if self.core.taken.is_empty() && self.core.inbox.take(&mut self.core.taken, waker).is_pending() {
            return false;
        }
        if let Some(failure) = self.core.drain_taken(&mut self.output, ENCODE_MAX) {
            self.on_failure(0, &failure);
        }
        true
    }

    /// Looks again at the queue whose backlog this session waits for; true when it waits no longer. `waker` is
    /// woken when the backlog is gone.
    pub fn recheck_pressure(&mut self, now: Millis, waker: &Waker) -> bool {
        let Some((queue, until)) = &self.core.pressed else { return false };
        let over = self.core.node.with_queue(queue, now, |queue, effects| {
            if queue.is_pressed() && now < *until {
                queue.wait_for_consumers(waker);
                return false;
            }
            if queue.is_pressed() {
                queue.give_up_waiting(effects);
            }
            true
        });
        if over {
            self.core.pressed = None;
        }
        over
    }

    /// Looks again for the message that a basic.get waits for; true when it waits no longer. `waker` is woken
    /// when there is news.
    pub fn recheck_get(&mut self, now: Millis, waker: &Waker) -> bool {
        self.core.now = now;
        self.core.retry_get(waker, &mut self.output)
    }

    /// Looks at the alarms again; true when a blocked session may go on.
    pub fn recheck_alarms(&mut self, now: Millis) -> bool {
        if self.core.blocked && self.core.node.alarms.reason().is_none() {
            self.core.unblock(&mut self.output);
            self.machine.pause_monitoring(false, now);
            return true;
        }
        false
    }

    /// Looks for connection.close in input that an alarm holds back: a client that gives up need not wait for
    /// the alarm, and what it published last is not taken (QRK-12). `held` begins with a frame.
    ///
    /// `Err` says how many octets of it are whole frames without a close, which need not be looked at again.
    pub fn close_if_asked(&mut self, held: &[u8], now: Millis) -> Result<(), usize> {
        if !self.core.blocked {
            return Err(0);
        }
        find_close(held)?;
        self.core.now = now;
        self.on_event(Event::Close);
        Ok(())
    }

    /// When [`Session::handle_timeout`] has something to do.
    pub fn next_timeout(&self) -> Option<Millis> {
        let login = self.core.pending_login.as_ref().map(|pending| pending.at);
        let pressed = self.core.pressed.as_ref().map(|(_, until)| *until);
        [self.machine.next_timeout(), login, pressed, self.core.check_settlements_at]
            .into_iter()
            .flatten()
            .min()
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Millis) {
        self.core.now = now;
        if self.core.pending_login.as_ref().is_some_and(|pending| pending.at <= now) {
            self.finish_login();
        }
        for (channel, timeout) in self.core.overdue_channels() {
            let failure = settle::overdue(channel, timeout).over(Limit::ConsumerTimeout);
            self.on_failure(channel, &failure);
        }
        match self.machine.handle_timeout(now, self.output.buffer()) {
            Some(Timeout::Handshake) => {
                self.core.ran_into(Limit::Handshake, format_args!("handshake timeout"));
            }
            Some(Timeout::Heartbeat) => {
                let seconds = self.machine.tuned().heartbeat;
                let what = format_args!("missed heartbeats from client, timeout: {seconds}s");
                self.core.ran_into(Limit::Heartbeat, what);
            }
            Some(Timeout::Close) | None => {}
        }
    }

    /// Counts and logs that the client ran into a limit which somebody else watches.
    pub fn ran_into(&mut self, limit: Limit, what: fmt::Arguments<'_>, now: Millis) {
        self.core.now = now;
        self.core.ran_into(limit, what);
    }

    /// The socket is gone: everything the connection held goes back (CON-74).
    pub fn disconnect(&mut self, now: Millis) {
        self.core.now = now;
        let _acting = self.core.acting();
        self.core.flush(&mut self.output);
        self.core.close_all();
    }

    /// Counts what is half received as memory of the node.
    fn charge_partial(&mut self) {
        let held = self.machine.partial_bytes();
        self.core.charge_partial(held);
    }

    /// Gives back memory that only traffic needs, once a connection has been quiet for a while.
    pub fn release(&mut self) {
        self.core.release_batch();
        if self.core.taken.is_empty() {
            self.core.taken = Taken::default();
        }
        self.core.inbox.shrink();
    }

    /// Its number on this node.
    pub fn id(&self) -> ConnectionId {
        self.core.id
    }
}

/// Looks for a connection.close among the complete frames of `input`; `Err` is how many octets those are.
fn find_close(input: &[u8]) -> Result<(), usize> {
    const CLOSE: [u8; 4] = [0, 10, 0, 50];
    let mut seen = 0;
    loop {
        let rest = input.get(seen..).unwrap_or_default();
        let Some(head) = FrameHead::parse(rest) else { return Err(seen) };
        let payload = rest.get(frame::HEAD..).unwrap_or_default();
        if head.kind == FrameKind::Method && head.channel == 0 && payload.starts_with(&CLOSE) {
            return Ok(());
        }
        if rest.len() < head.frame_size() {
            return Err(seen);
        }
        seen += head.frame_size();
    }
}

impl Drop for Session {
    /// A task that ends in any other way than in order, by a panic or because the broker stops, still gives
    /// back what its client held.
    fn drop(&mut self) {
        self.core.close_all();
    }
}
