//! One client: a session of the broker without a socket, and what the client knows of its channels.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::IoSlice,
    net::IpAddr,
    sync::Arc,
    task::Waker,
};

use leveret::{
    amqp::ChannelId,
    engine::Node,
    session::{Peer, SLICES_MAX, Session, SessionSettings},
};

use crate::frames::{Frame, take_frames};

/// A session with the octets under way in both directions.
pub struct Wire {
    pub session: Session,
    /// Sent, but not used up by the session.
    input: Vec<u8>,
    /// Received, but not a whole frame yet.
    output: Vec<u8>,
}

impl Wire {
    pub fn new(node: &Arc<Node>, settings: &Arc<SessionSettings>, now: u64) -> Wire {
        let address = IpAddr::from([127, 0, 0, 1]);
        let peer = Peer { address, port: 1, local: (address, 5672).into(), encryption: None };
        let session = Session::new(node.clone(), settings.clone(), peer, now);
        Wire { session, input: Vec::new(), output: Vec::new() }
    }

    /// Sends octets and looks at nothing that comes back; deliveries stay under way.
    pub fn send_unheard(&mut self, octets: &[u8], now: u64) {
        let mut used = 0;
        while used < octets.len() {
            let more = self.session.receive(&octets[used..], now);
            let written = self.session.output().len();
            self.session.output().advance(written);
            assert!(0 < more + written, "the session is stuck");
            used += more;
        }
    }

    /// Sends octets and takes what comes back.
    pub fn send(&mut self, octets: &[u8], now: u64) -> Vec<Frame> {
        self.input.extend_from_slice(octets);
        self.session.received(now);
        self.exchange(now)
    }

    /// Lets the session work until nothing moves any more; returns what it sent.
    pub fn exchange(&mut self, now: u64) -> Vec<Frame> {
        loop {
            let used = self.session.receive(&self.input, now);
            self.input.drain(..used);
            let mut moved = 0 < used;
            while self.session.deliver(now, Waker::noop()) {
                moved = true;
            }
            moved |= self.take_output(now);
            if !moved {
                break;
            }
        }
        let frames = take_frames(&mut self.output);
        assert!(self.output.is_empty(), "the broker sends whole frames");
        frames
    }

    fn take_output(&mut self, now: u64) -> bool {
        let output = self.session.output();
        let before = self.output.len();
        while !output.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let filled = output.slices(&mut slices);
            let start = self.output.len();
            slices[..filled].iter().for_each(|slice| self.output.extend_from_slice(slice));
            let taken = self.output.len() - start;
            assert_ne!(taken, 0, "what waits can be written");
            // A socket takes a part of it at times.
            let part = if taken % 3 == 0 { taken.div_ceil(2) } else { taken };
            self.output.truncate(start + part);
            output.advance(part);
        }
        let moved = before != self.output.len();
        if moved {
            self.session.sent(self.output.len() - before, now);
        }
        moved
    }

    /// Octets that the session has not used up.
    pub fn waiting(&self) -> usize {
        self.input.len()
    }
}

/// What a client knows of one of its channels.
#[derive(Default)]
pub struct Channel {
    pub mode: Mode,
    /// Delivery tags given so far.
    pub delivered: u64,
    pub unacked: BTreeMap<u64, Delivered>,
    pub consumers: BTreeMap<String, Consumer>,
    /// Consumers whose queue was deleted; the client is still to be told.
    pub doomed: BTreeSet<String>,
    /// For consumers that start later.
    pub prefetch: u16,
    pub shared: u16,
    /// What the shared limit counts is exactly the deliveries to consumers.
    pub shared_is_exact: bool,
    pub getting: Option<Getting>,
    pub incoming: Option<Incoming>,
}

/// basic.get waiting for its answer.
pub struct Getting {
    pub queue: String,
    pub no_ack: bool,
}

#[derive(Default)]
pub enum Mode {
    #[default]
    Plain,
    Confirm {
        published: u64,
        answered: u64,
    },
    Tx {
        publishes: Vec<(Vec<(String, u64)>, u64)>,
        settled: Vec<(u64, bool, Delivered)>,
    },
}

/// A delivery that waits for a settlement.
#[derive(Clone)]
pub struct Delivered {
    pub queue: String,
    /// Which queue of this name.
    pub incarnation: u64,
    pub id: u64,
    pub consumer: Option<String>,
}

#[derive(Clone)]
pub struct Consumer {
    /// `None` for direct replies.
    pub queue: Option<(String, u64)>,
    pub no_ack: bool,
    pub exclusive: bool,
    pub prefetch: u16,
}

/// Whose content is coming in.
pub enum Carrier {
    Deliver { consumer: String, tag: u64, redelivered: bool },
    GetOk { tag: u64, redelivered: bool },
    Return,
}

/// A content coming in.
pub struct Incoming {
    pub carrier: Carrier,
    /// Set by the content header.
    pub missing: Option<u64>,
    pub properties: Vec<u8>,
    pub body: Vec<u8>,
}

impl Channel {
    /// Deliveries to consumers that are not settled for good, and of these the ones to `consumer`.
    pub fn outstanding(&self, consumer: Option<&str>) -> usize {
        let settled: &[(u64, bool, Delivered)] = match &self.mode {
            Mode::Tx { settled, .. } => settled,
            _ => &[],
        };
        let all = self.unacked.values().chain(settled.iter().map(|(_, _, delivered)| delivered));
        all.filter(|delivered| match consumer {
            Some(tag) => delivered.consumer.as_deref() == Some(tag),
            None => delivered.consumer.is_some(),
        })
        .count()
    }

    /// Whether the broker owes this consumer messages, if there are any.
    pub fn has_room(&self, tag: &str, consumer: &Consumer) -> bool {
        if consumer.no_ack {
            return true;
        }
        let own = consumer.prefetch == 0 || self.outstanding(Some(tag)) < usize::from(consumer.prefetch);
        let shared =
            self.shared == 0 || self.shared_is_exact && self.outstanding(None) < usize::from(self.shared);
        own && shared
    }
}

/// A client's connection as it knows it itself.
pub struct Client {
    pub wire: Wire,
    pub channels: BTreeMap<ChannelId, Channel>,
    /// Whether it asked to hear of cancelled consumers and alarms.
    pub notified: bool,
    /// What just happened may close the connection.
    pub may_close: bool,
    pub closed: bool,
    /// Channels that the broker closed just now.
    pub closed_channels: Vec<ChannelId>,
    /// Methods of the last exchange, for those who wait for one.
    pub heard: Vec<leveret::amqp::AMQPClass>,
    /// The last reply-to seen.
    pub reply_to: Option<Vec<u8>>,
}
