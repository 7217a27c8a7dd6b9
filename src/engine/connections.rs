//! Open connections as operators see them: what is fixed when one opens, and what it reports when asked.

use std::{fmt, net::SocketAddr, sync::Arc};

use super::{ConnectionId, Inbox, Signal, stats::ConnectionMeter};
use crate::{amqp::ChannelId, broker::Millis};

/// What TLS agreed on with a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encryption {
    /// `tlsv1.3` or `tlsv1.2`.
    pub protocol: &'static str,
    /// `aes_256_gcm`, for one.
    pub cipher: &'static str,
    /// How octets are authenticated.
    pub hash: &'static str,
    /// `any` where the version leaves no choice.
    pub key_exchange: &'static str,
    /// The certificate that the client showed; it was verified.
    pub certificate: Option<PeerCertificate>,
}

/// What a client's certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerCertificate {
    /// `CN=client,O=Example`.
    pub subject: String,
    pub issuer: String,
    /// From when to when.
    pub validity: String,
    /// Who logs in by it, if it names anybody (CON-22).
    pub user: Option<String>,
}

/// What is known of a connection from its start.
#[derive(Debug, Clone)]
pub struct ConnectionInfo {
    pub user: Arc<str>,
    pub vhost: Arc<str>,
    pub peer: SocketAddr,
    /// The address of ours that it connected to.
    pub local: SocketAddr,
    pub encryption: Option<Arc<Encryption>>,
    pub connected_at: Millis,
    pub mechanism: &'static str,
    /// The body of the table that the client described itself with, or of as much of it as is kept.
    pub client_properties: Box<[u8]>,
    pub frame_max: u32,
    pub channel_max: u16,
    /// In seconds.
    pub heartbeat: u16,
}

impl ConnectionInfo {
    /// RabbitMQ's name of the connection, `127.0.0.1:50860 -> 127.0.0.1:5672`.
    pub fn name(&self) -> String {
        format!("{} -> {}", self.peer, self.local)
    }
}

/// An open connection.
#[derive(Debug)]
pub struct OpenConnection {
    pub id: ConnectionId,
    pub info: ConnectionInfo,
    pub(super) inbox: Arc<Inbox>,
    pub meter: Arc<ConnectionMeter>,
}

impl OpenConnection {
    pub(super) fn new(
        id: ConnectionId,
        info: ConnectionInfo,
        inbox: Arc<Inbox>,
        meter: Arc<ConnectionMeter>,
    ) -> OpenConnection {
        OpenConnection { id, info, inbox, meter }
    }

    /// Leaves a signal for it.
    pub fn signal(&self, signal: Signal) {
        self.inbox.signal(signal);
    }

    /// Asks it for a report. `answer` is dropped unused when the connection ends before it comes to it.
    pub fn ask(&self, answer: impl FnOnce(ConnectionReport) + Send + 'static) {
        self.inbox.signal(Signal::Describe(Describe(Box::new(answer))));
    }
}

/// A request for a report.
pub struct Describe(pub Box<dyn FnOnce(ConnectionReport) + Send>);

impl fmt::Debug for Describe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Describe")
    }
}

/// What a connection says of itself at one moment.
#[derive(Debug, Clone, Default)]
pub struct ConnectionReport {
    /// An alarm holds its publishes back.
    pub blocked: bool,
    /// Octets that wait to be written.
    pub output: usize,
    /// By number.
    pub channels: Vec<ChannelReport>,
}

/// What is to be said of a channel.
#[derive(Debug, Clone, Default)]
pub struct ChannelReport {
    pub number: ChannelId,
    pub confirm: bool,
    pub transactional: bool,
    pub prefetch: u16,
    pub global_prefetch: u32,
    pub unacknowledged: usize,
    pub unconfirmed: u64,
    pub uncommitted: usize,
    pub uncommitted_acks: usize,
    pub consumers: Vec<ConsumerReport>,
}

/// What is to be said of a consumer.
#[derive(Debug, Clone)]
pub struct ConsumerReport {
    pub tag: String,
    pub queue: Arc<str>,
    pub acknowledges: bool,
    pub exclusive: bool,
    /// It gets messages, and does not wait for its turn.
    pub active: bool,
    pub prefetch: u16,
    /// The body of the table of its arguments.
    pub arguments: Box<[u8]>,
}
