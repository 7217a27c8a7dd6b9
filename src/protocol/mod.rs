//! One connection as a deterministic machine: handshake, channels, content assembly, heartbeats, close.
//!
//! Call order: feed received octets to [`Connection::step`] until it wants more; act on each [`Event`];
//! answer those that ask for a verdict ([`Connection::accept_login`] and the like); report errors with
//! [`Connection::fail`]. Ask [`Connection::next_timeout`] when to call [`Connection::handle_timeout`].
//! Whatever must be sent is appended to the caller's buffer. There is no socket and no clock in here: time
//! is milliseconds on any steady clock.

mod assembly;
mod handshake;
mod heartbeat;
mod step;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use bytes::Bytes;
use foldhash::fast::FixedState;
use hashbrown::HashMap;

use assembly::Assembly;
use handshake::Handshake;
use heartbeat::Heartbeat;

pub use handshake::{Identity, Login, Mechanism};

use crate::amqp::{
    AMQPClass, ChannelId, Failure, Limit, MethodId, ReplyCode, Scope, channel, connection, encode,
    hot::Settle, method,
};

/// Milliseconds on a steady clock.
pub type Millis = u64;

/// How long a peer that we closed may take to answer, in milliseconds, whatever its heartbeat (CON-72).
const CLOSE_WAIT_MAX: Millis = 30_000;
/// How long a peer whose login failed is kept waiting, so that guessing is slow (CON-26).
const REFUSAL_WAIT: Millis = 3_000;

/// The bounds of one connection; all of them come from the configuration.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Offered in tune, in octets; also the largest frame before tuning.
    pub frame_max: u32,
    /// Offered in tune.
    pub channel_max: u16,
    /// Offered in tune, in seconds; 0 switches heartbeats off.
    pub heartbeat: u16,
    /// Largest body in octets.
    pub message_size_max: u64,
    /// Octets of half-received contents over several channels.
    pub partial_content_max: u64,
    /// Nesting of tables and arrays.
    pub table_depth_max: usize,
    /// From accept to connection.open-ok, in milliseconds.
    pub handshake_timeout: Millis,
}

/// What a step found.
#[derive(Debug)]
pub enum Event<'a> {
    /// A login attempt; answer with [`Connection::accept_login`] or [`Connection::refuse_login`].
    Login(Box<Login>),
    /// connection.open; answer with [`Connection::accept_open`] or a failure.
    Open { vhost: String },
    /// connection.update-secret; the machine has answered it.
    SecretUpdated,
    /// channel.open; answer with [`Connection::accept_channel`] or a failure.
    ChannelOpen(ChannelId),
    /// channel.close; clean up, then call [`Connection::channel_closed`].
    ChannelClose(ChannelId),
    /// connection.close; clean up, then call [`Connection::closed_by_peer`].
    Close,
    /// A complete publish.
    Content(ChannelId, Content<'a>),
    /// A settlement of deliveries.
    Settle(ChannelId, Settle),
    /// Any other method on an open channel.
    Method(ChannelId, AMQPClass),
}

/// A complete basic.publish with its content.
#[derive(Debug, Clone)]
pub struct Content<'a> {
    pub exchange: Cow<'a, [u8]>,
    pub routing_key: Cow<'a, [u8]>,
    pub mandatory: bool,
    pub immediate: bool,
    /// Flag word and property list as received; not yet checked.
    pub properties: Cow<'a, [u8]>,
    pub body: Body<'a>,
    /// From the length of the exchange's name to the end of the body as it came, if it came in one frame of each
    /// kind.
    pub frames: &'a [u8],
}

/// The body of a content.
#[derive(Debug, Clone)]
pub enum Body<'a> {
    /// It came in one frame.
    Whole(&'a [u8]),
    /// It came in several.
    Pieces(Vec<Bytes>),
}

impl Body<'_> {
    /// Octets.
    pub fn length(&self) -> u64 {
        match self {
            Body::Whole(octets) => octets.len() as u64,
            Body::Pieces(pieces) => pieces.iter().map(|piece| piece.len() as u64).sum(),
        }
    }
}

/// The result of looking at the input once.
#[derive(Debug)]
pub enum Step<'a> {
    /// Nothing complete is there; feed more. So many octets were used up.
    NeedMore { used: usize },
    /// Something happened; so many octets were used up.
    Event { used: usize, event: Event<'a> },
    /// The connection is over: send what is buffered, then close the socket.
    Finished,
}

/// Where a connection stands.
#[derive(Debug)]
enum Phase {
    Handshake(Handshake),
    Running,
    /// We sent connection.close: only close and close-ok count any more (CON-72).
    Closing {
        drop_at: Millis,
    },
    /// A refused login waits out its punishment; input is ignored (CON-26).
    Refused {
        drop_at: Millis,
    },
    Finished,
    /// We answered the client's close; it closes the socket, or we do after a while (CON-70).
    Answered,
}

#[derive(Debug)]
enum ChannelPhase {
    Open(Assembly),
    /// We sent channel.close: everything but close and close-ok is discarded (CH-02).
    Closing,
}

/// What was negotiated in tune.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tuned {
    /// Octets of a frame, envelope included.
    pub frame_max: u32,
    pub channel_max: u16,
    /// Seconds; 0 is off.
    pub heartbeat: u16,
}

/// The machine.
#[derive(Debug)]
pub struct Connection {
    phase: Phase,
    limits: Limits,
    tuned: Tuned,
    channels: HashMap<ChannelId, ChannelPhase, FixedState>,
    heartbeat: Heartbeat,
    /// Octets of contents that are not complete, over all channels.
    partial: u64,
    /// Octets still to come of a frame that could not be read.
    skip: usize,
    /// The frame that the next step looks at, when its octets may be kept.
    lent: Option<Bytes>,
    opened_at: Millis,
}

impl Connection {
    /// A connection that was accepted at `now`.
    pub fn new(limits: Limits, identity: Identity, now: Millis) -> Connection {
        let tuned = Tuned {
            frame_max: limits.frame_max,
            channel_max: limits.channel_max,
            heartbeat: limits.heartbeat,
        };
        Connection {
            phase: Phase::Handshake(Handshake::new(identity)),
            limits,
            tuned,
            channels: HashMap::default(),
            heartbeat: Heartbeat::off(now),
            partial: 0,
            skip: 0,
            lent: None,
            opened_at: now,
        }
    }

    /// What was negotiated; before that, what is offered.
    pub fn tuned(&self) -> Tuned {
        self.tuned
    }

    /// Whether connection.open has succeeded and nothing has closed it.
    pub fn is_running(&self) -> bool {
        matches!(self.phase, Phase::Running)
    }

    /// Whether the socket is to be closed once the output is sent.
    pub fn is_finished(&self) -> bool {
        matches!(self.phase, Phase::Finished | Phase::Answered)
    }

    /// How long to leave closing the socket to the peer, in milliseconds; 0 when it is ours to close.
    pub fn leave_open(&self) -> Millis {
        match self.phase {
            Phase::Answered => self.close_wait(),
            _ => 0,
        }
    }

    fn close_wait(&self) -> Millis {
        let heartbeat = Millis::from(self.tuned.heartbeat) * 1000;
        if heartbeat == 0 { CLOSE_WAIT_MAX } else { heartbeat.min(CLOSE_WAIT_MAX) }
    }

    /// Whether the login has not succeeded yet.
    pub fn is_unauthenticated(&self) -> bool {
        match &self.phase {
            Phase::Handshake(handshake) => !handshake.is_authenticated(),
            Phase::Refused { .. } => true,
            Phase::Running | Phase::Closing { .. } | Phase::Finished | Phase::Answered => false,
        }
    }

    /// Whether a channel is open and not being closed.
    #[inline]
    pub fn is_channel_open(&self, channel: ChannelId) -> bool {
        matches!(self.channels.get(&channel), Some(ChannelPhase::Open(_)))
    }

    /// Octets of contents that are not complete.
    #[inline]
    pub fn partial_bytes(&self) -> u64 {
        self.partial
    }

    /// Octets arrived.
    pub fn received(&mut self, now: Millis) {
        self.heartbeat.received(now);
    }

    /// Lends the octets of a frame, and nothing else, that the next step looks at: of a large body they are kept
    /// and not copied. `None` takes back what was not needed.
    pub fn lend(&mut self, frame: Option<Bytes>) {
        self.lent = frame;
    }

    /// Octets were written to the socket.
    pub fn sent(&mut self, now: Millis) {
        self.heartbeat.sent(now);
    }

    /// Input is not read on purpose, so silence says nothing about the peer (CON-64).
    pub fn pause_monitoring(&mut self, paused: bool, now: Millis) {
        self.heartbeat.pause(paused, now);
    }

    /// When [`Connection::handle_timeout`] has something to do.
    pub fn next_timeout(&self) -> Option<Millis> {
        match self.phase {
            Phase::Handshake(_) => Some(self.opened_at + self.limits.handshake_timeout),
            Phase::Closing { drop_at } | Phase::Refused { drop_at } => Some(drop_at),
            Phase::Running => self.heartbeat.next_timeout(),
            Phase::Finished | Phase::Answered => None,
        }
    }

    /// Does what is due: sends a heartbeat, or ends the connection (without a word, CON-08 and CON-63).
    pub fn handle_timeout(&mut self, now: Millis, out: &mut Vec<u8>) -> Option<Timeout> {
        if self.next_timeout().is_none_or(|at| now < at) {
            return None;
        }
        let timeout = match self.phase {
            Phase::Handshake(_) => Timeout::Handshake,
            Phase::Closing { .. } | Phase::Refused { .. } => Timeout::Close,
            Phase::Running if self.heartbeat.is_peer_dead(now) => Timeout::Heartbeat,
            Phase::Running => {
                if self.heartbeat.is_send_due(now) {
                    encode::heartbeat(out);
                    // It counts from now on: a peer that takes nothing must not pile them up.
                    self.heartbeat.sent(now);
                }
                return None;
            }
            Phase::Finished | Phase::Answered => return None,
        };
        self.phase = Phase::Finished;
        Some(timeout)
    }

    /// Tells the peer of an error: closes its channel or the connection.
    pub fn fail(&mut self, channel: ChannelId, failure: &Failure, now: Millis, out: &mut Vec<u8>) {
        match failure.scope {
            Scope::Channel if self.is_channel_open(channel) => {
                self.forget_assembly(channel);
                self.channels.insert(channel, ChannelPhase::Closing);
                let close = channel::Close {
                    reply_code: failure.code.id(),
                    reply_text: failure.text.as_str().into(),
                    class_id: failure.method.class,
                    method_id: failure.method.method,
                };
                method::encode(out, channel, AMQPClass::Channel(channel::AMQPMethod::Close(close)));
            }
            Scope::Channel => {}
            Scope::Connection => self.close(failure, now, out),
        }
    }

    fn close(&mut self, failure: &Failure, now: Millis, out: &mut Vec<u8>) {
        if matches!(
            self.phase,
            Phase::Closing { .. } | Phase::Finished | Phase::Answered | Phase::Refused { .. }
        ) {
            return;
        }
        if let Phase::Handshake(handshake) = &self.phase
            && !handshake.refuses_politely()
        {
            // Such a client takes silence for the refusal (CON-27, CON-28, QRK-01).
            self.phase = Phase::Refused { drop_at: now + REFUSAL_WAIT };
            return;
        }
        let close = connection::Close {
            reply_code: failure.code.id(),
            reply_text: failure.text.as_str().into(),
            class_id: failure.method.class,
            method_id: failure.method.method,
        };
        method::encode(out, 0, AMQPClass::Connection(connection::AMQPMethod::Close(close)));
        self.phase = Phase::Closing { drop_at: now + self.close_wait() };
    }

    /// Answers a channel.close once its channel is cleaned up.
    pub fn channel_closed(&mut self, channel: ChannelId, out: &mut Vec<u8>) {
        self.forget_assembly(channel);
        self.channels.remove(&channel);
        let close_ok = channel::AMQPMethod::CloseOk(channel::CloseOk {});
        method::encode(out, channel, AMQPClass::Channel(close_ok));
    }

    /// Answers a connection.close once everything is cleaned up; the connection is over.
    pub fn closed_by_peer(&mut self, out: &mut Vec<u8>) {
        let close_ok = connection::AMQPMethod::CloseOk(connection::CloseOk {});
        method::encode(out, 0, AMQPClass::Connection(close_ok));
        self.phase = Phase::Answered;
    }

    fn forget_assembly(&mut self, channel: ChannelId) {
        if let Some(ChannelPhase::Open(assembly)) = self.channels.get_mut(&channel) {
            self.partial = self.partial.saturating_sub(assembly.held());
            *assembly = Assembly::Idle;
        }
    }

    fn open_channel(&mut self, channel: ChannelId) -> Result<(), Failure> {
        let id = MethodId { class: 20, method: 10 };
        if self.channels.contains_key(&channel) {
            let failure = Failure::connection(ReplyCode::ChannelError, "second 'channel.open' seen");
            return Err(failure.at(id));
        }
        // A count, not a bound on the number: CON-127.
        let max = usize::from(self.tuned.channel_max);
        if max <= self.channels.len() {
            let text = format!(
                "number of channels opened ({}) has reached the negotiated channel_max ({max})",
                self.channels.len()
            );
            return Err(Failure::connection(ReplyCode::NotAllowed, text).over(Limit::Channels));
        }
        self.channels.insert(channel, ChannelPhase::Open(Assembly::Idle));
        Ok(())
    }

    /// Answers a channel.open that nothing speaks against.
    pub fn accept_channel(&self, channel: ChannelId, out: &mut Vec<u8>) {
        let open_ok = channel::AMQPMethod::OpenOk(channel::OpenOk {});
        method::encode(out, channel, AMQPClass::Channel(open_ok));
    }
}

/// Why a timeout ended a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timeout {
    /// connection.open did not come in time (CON-08).
    Handshake,
    /// The peer did not answer our close, or has waited out a refused login.
    Close,
    /// Silence for more than two heartbeat intervals (CON-61).
    Heartbeat,
}
