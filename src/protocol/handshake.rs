//! From the protocol header to connection.open (reference chapter 1.1 to 1.5).

use super::{Connection, Event, Heartbeat, Phase, REFUSAL_WAIT, step::check_heartbeat};
use crate::{
    amqp::{
        AMQPClass, AMQPValue, ChannelId, Failure, FieldTable, FrameKind, Limit, MethodId, ReplyCode,
        connection, frame::FRAME_MAX_FLOOR, method,
    },
    protocol::Millis,
};

/// The octets that open a connection.
const HEADER: [u8; 8] = *b"AMQP\x00\x00\x09\x01";
/// What clients of 0-9 send, taken for 0-9-1 (CON-02).
const HEADER_0_9: [u8; 8] = *b"AMQP\x01\x01\x00\x09";
/// What the server can do, in RabbitMQ's order (CON-13), and that we take cancel-ok (BAS-32).
const CAPABILITIES: [&str; 10] = [
    "publisher_confirms",
    "exchange_exchange_bindings",
    "basic.nack",
    "consumer_cancel_notify",
    "connection.blocked",
    "consumer_priorities",
    "authentication_failure_close",
    "per_consumer_qos",
    "direct_reply_to",
    "accept_consumer_cancel_ok",
];

/// What the server says of itself.
#[derive(Debug, Clone)]
pub struct Identity {
    pub cluster_name: String,
    /// Dotted numbers; clients choose what they dare to use by it (APP-01).
    pub version: String,
    /// What is offered (CON-11).
    pub mechanisms: Vec<Mechanism>,
}

impl Identity {
    fn mechanisms(&self) -> String {
        self.mechanisms.iter().map(|mechanism| mechanism.name()).collect::<Vec<_>>().join(" ")
    }
}

/// How a client proves who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    Plain,
    AmqPlain,
    Anonymous,
    /// By the certificate that TLS has verified (CON-22).
    External,
}

impl Mechanism {
    /// All of them, in the order in which they are offered.
    pub const ALL: &[Mechanism] =
        &[Mechanism::Plain, Mechanism::AmqPlain, Mechanism::Anonymous, Mechanism::External];

    /// The name as it stands in connection.start.
    pub fn name(self) -> &'static str {
        match self {
            Mechanism::Plain => "PLAIN",
            Mechanism::AmqPlain => "AMQPLAIN",
            Mechanism::Anonymous => "ANONYMOUS",
            Mechanism::External => "EXTERNAL",
        }
    }
}

/// A login attempt.
#[derive(Debug, Clone)]
pub struct Login {
    pub mechanism: Mechanism,
    /// Empty for ANONYMOUS and EXTERNAL.
    pub user: String,
    pub password: Vec<u8>,
    /// What the client says of itself.
    pub client: FieldTable,
}

impl Login {
    /// Whether the client declared a capability (CON-33 to CON-36).
    pub fn has_capability(&self, name: &str) -> bool {
        has_capability(&self.client, name)
    }
}

fn has_capability(client: &FieldTable, name: &str) -> bool {
    match client.inner().get("capabilities") {
        Some(AMQPValue::FieldTable(table)) => {
            matches!(table.inner().get(name), Some(AMQPValue::Boolean(true)))
        }
        _ => false,
    }
}

/// What is awaited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Awaiting {
    Header,
    StartOk,
    Verdict(Mechanism),
    TuneOk,
    Open,
}

/// A handshake in progress.
#[derive(Debug)]
pub struct Handshake {
    awaiting: Awaiting,
    identity: Identity,
    /// Whether the client understands connection.close as the answer to a refused login (CON-26).
    failure_close: bool,
}

impl Handshake {
    pub fn new(identity: Identity) -> Handshake {
        Handshake { awaiting: Awaiting::Header, identity, failure_close: false }
    }

    /// Whether the client can be told of errors with connection.close.
    pub fn refuses_politely(&self) -> bool {
        self.failure_close || self.is_authenticated()
    }

    pub fn is_authenticated(&self) -> bool {
        matches!(self.awaiting, Awaiting::TuneOk | Awaiting::Open)
    }
}

impl Connection {
    pub(super) fn awaits_header(&self) -> bool {
        matches!(&self.phase, Phase::Handshake(handshake) if handshake.awaiting == Awaiting::Header)
    }

    /// Reads the protocol header; a wrong one is answered with ours and ends the connection (CON-04).
    pub(super) fn read_header(&mut self, input: &[u8], out: &mut Vec<u8>) -> Option<usize> {
        let Phase::Handshake(handshake) = &mut self.phase else { return None };
        let octets = input.len().min(HEADER.len());
        let (given, expected) = (input.get(..octets)?, HEADER.get(..octets)?);
        let matches_so_far = given == expected || Some(given) == HEADER_0_9.get(..octets);
        if matches_so_far && octets < HEADER.len() {
            return None;
        }
        if !matches_so_far {
            // Only a whole header can be judged, but garbage need not be waited for.
            out.extend_from_slice(&HEADER);
            self.phase = Phase::Finished;
            return None;
        }
        handshake.awaiting = Awaiting::StartOk;
        let start = connection::Start {
            version_major: 0,
            version_minor: 9,
            server_properties: server_properties(&handshake.identity),
            mechanisms: handshake.identity.mechanisms().into(),
            locales: "en_US".into(),
        };
        method::encode(out, 0, AMQPClass::Connection(connection::AMQPMethod::Start(start)));
        Some(HEADER.len())
    }

    pub(super) fn handshake(
        &mut self,
        kind: FrameKind,
        channel: ChannelId,
        payload: &[u8],
    ) -> Result<Option<Event<'static>>, Failure> {
        match kind {
            FrameKind::Heartbeat => return check_heartbeat(channel, payload).map(|()| None),
            FrameKind::Method if channel == 0 => {}
            _ => {
                let text = format!("type {}, {}", kind.octet(), method::preview(payload));
                return Err(Failure::connection(ReplyCode::UnexpectedFrame, text));
            }
        }
        let class = method::parse(payload, self.limits.table_depth_max)?;
        let id = MethodId::of(&class);
        let AMQPClass::Connection(class) = class else { return Err(self.out_of_order().at(id)) };
        self.handshake_method(class).map_err(|failure| failure.at(id))
    }

    fn handshake_method(
        &mut self,
        method: connection::AMQPMethod,
    ) -> Result<Option<Event<'static>>, Failure> {
        let Phase::Handshake(handshake) = &mut self.phase else { return Ok(None) };
        match (handshake.awaiting, method) {
            // In every state: QRK-12's spirit, and what a polite client does when it gives up.
            (_, connection::AMQPMethod::Close(_)) => Ok(Some(Event::Close)),
            (Awaiting::StartOk, connection::AMQPMethod::StartOk(start_ok)) => {
                handshake.failure_close =
                    has_capability(&start_ok.client_properties, "authentication_failure_close");
                let login = login(start_ok, &handshake.identity.mechanisms)?;
                handshake.awaiting = Awaiting::Verdict(login.mechanism);
                Ok(Some(Event::Login(Box::new(login))))
            }
            (Awaiting::TuneOk, connection::AMQPMethod::TuneOk(tune_ok)) => {
                self.tune(&tune_ok)?;
                Ok(None)
            }
            (Awaiting::Open, connection::AMQPMethod::Open(open)) => {
                Ok(Some(Event::Open { vhost: open.virtual_host.into() }))
            }
            _ => Err(self.out_of_order()),
        }
    }

    fn out_of_order(&self) -> Failure {
        let state = match &self.phase {
            Phase::Handshake(handshake) => match handshake.awaiting {
                Awaiting::Header | Awaiting::StartOk | Awaiting::Verdict(_) => "starting",
                Awaiting::TuneOk => "tuning",
                Awaiting::Open => "opening",
            },
            _ => "running",
        };
        let text = format!("unexpected method in connection state {state}");
        Failure::connection(ReplyCode::ChannelError, text)
    }

    /// The login is good: sends tune.
    pub fn accept_login(&mut self, out: &mut Vec<u8>) {
        if let Phase::Handshake(handshake) = &mut self.phase {
            handshake.awaiting = Awaiting::TuneOk;
            let tune = connection::Tune {
                channel_max: self.limits.channel_max,
                frame_max: self.limits.frame_max,
                heartbeat: self.limits.heartbeat,
            };
            method::encode(out, 0, AMQPClass::Connection(connection::AMQPMethod::Tune(tune)));
        }
    }

    /// The login is bad: tells those who understand it, and drops the connection after a while (CON-26).
    pub fn refuse_login(&mut self, now: Millis, out: &mut Vec<u8>) {
        let Phase::Handshake(handshake) = &self.phase else { return };
        let Awaiting::Verdict(mechanism) = handshake.awaiting else { return };
        let text = format!(
            "Login was refused using authentication mechanism {}. For details see the broker logfile.",
            mechanism.name()
        );
        let failure = Failure::connection(ReplyCode::AccessRefused, text);
        self.close(&failure, now, out);
        self.phase = Phase::Refused { drop_at: now + REFUSAL_WAIT };
    }

    /// The virtual host is there and may be used: sends open-ok.
    pub fn accept_open(&mut self, now: Millis, out: &mut Vec<u8>) {
        let open_ok = connection::AMQPMethod::OpenOk(connection::OpenOk {});
        method::encode(out, 0, AMQPClass::Connection(open_ok));
        self.phase = Phase::Running;
        // The clocks start anew: a slow handshake is no missed heartbeat.
        self.heartbeat = Heartbeat::every(self.tuned.heartbeat, now);
    }

    /// Zero means "whatever the server says"; anything above the offer is refused (CON-41, CON-42).
    fn tune(&mut self, tune_ok: &connection::TuneOk) -> Result<(), Failure> {
        let refuse = |limit, text: String| Err(Failure::connection(ReplyCode::NotAllowed, text).over(limit));
        let frame_max = if tune_ok.frame_max == 0 { self.limits.frame_max } else { tune_ok.frame_max };
        let channel_max =
            if tune_ok.channel_max == 0 { self.limits.channel_max } else { tune_ok.channel_max };
        if self.limits.frame_max < frame_max {
            let text = format!(
                "negotiated frame_max = {frame_max} is higher than the maximum allowed value ({})",
                self.limits.frame_max
            );
            return refuse(Limit::FrameSize, text);
        }
        if frame_max < FRAME_MAX_FLOOR {
            let text = format!(
                "negotiated frame_max = {frame_max} is lower than the minimum allowed value ({FRAME_MAX_FLOOR})"
            );
            return refuse(Limit::FrameSize, text);
        }
        if self.limits.channel_max < channel_max {
            let text = format!(
                "negotiated channel_max = {channel_max} is higher than the maximum allowed value ({})",
                self.limits.channel_max
            );
            return refuse(Limit::Channels, text);
        }
        self.tuned.frame_max = frame_max;
        self.tuned.channel_max = channel_max;
        self.tuned.heartbeat = tune_ok.heartbeat;
        if let Phase::Handshake(handshake) = &mut self.phase {
            handshake.awaiting = Awaiting::Open;
        }
        Ok(())
    }
}

fn server_properties(identity: &Identity) -> FieldTable {
    let mut capabilities = FieldTable::default();
    for name in CAPABILITIES {
        capabilities.insert(name.into(), AMQPValue::Boolean(true));
    }
    let mut table = FieldTable::default();
    table.insert("capabilities".into(), AMQPValue::FieldTable(capabilities));
    let texts = [
        ("cluster_name", identity.cluster_name.as_str()),
        ("copyright", "Copyright the leveret authors"),
        ("information", "Licensed under the Apache License 2.0. leveret, a broker for RabbitMQ's clients"),
        ("platform", concat!("leveret ", env!("CARGO_PKG_VERSION"))),
        // Clients branch on exactly this name (APP-01).
        ("product", "RabbitMQ"),
        ("version", identity.version.as_str()),
    ];
    for (key, value) in texts {
        table.insert(key.into(), AMQPValue::LongString(value.into()));
    }
    table
}

/// Reads the SASL response (CON-20, CON-21, CON-23).
fn login(start_ok: connection::StartOk, offered: &[Mechanism]) -> Result<Login, Failure> {
    let response = start_ok.response.as_bytes();
    let malformed =
        |name: &str| Failure::connection(ReplyCode::SyntaxError, format!("malformed {name} response"));
    let name = start_ok.mechanism.as_str();
    let Some(mechanism) = offered.iter().copied().find(|mechanism| mechanism.name() == name) else {
        let text = format!("unknown authentication mechanism '{}'", name.escape_debug());
        return Err(Failure::connection(ReplyCode::CommandInvalid, text));
    };
    let (user, password) = match mechanism {
        Mechanism::Plain => plain(response).ok_or_else(|| malformed("PLAIN"))?,
        Mechanism::AmqPlain => amqplain(response).ok_or_else(|| malformed("AMQPLAIN"))?,
        // What they respond says nothing (CON-22, CON-23).
        Mechanism::Anonymous | Mechanism::External => (String::new(), Vec::new()),
    };
    Ok(Login { mechanism, user, password, client: start_ok.client_properties })
}

fn plain(response: &[u8]) -> Option<(String, Vec<u8>)> {
    let mut fields = response.split(|octet| *octet == 0);
    let (authzid, user, password) = (fields.next()?, fields.next()?, fields.next()?);
    if !authzid.is_empty() || fields.next().is_some() {
        return None;
    }
    Some((String::from_utf8(user.to_vec()).ok()?, password.to_vec()))
}

fn amqplain(response: &[u8]) -> Option<(String, Vec<u8>)> {
    use crate::amqp::table::{FieldRef, TableRef, check_table};
    // LOGIN and PASSWORD are flat; nothing nested belongs here.
    check_table(response, 2).ok()?;
    let table = TableRef::new(response);
    let text = |key: &[u8]| match table.find(key)? {
        FieldRef::LongStr(octets) | FieldRef::Bytes(octets) => Some(octets),
        _ => None,
    };
    let (user, password) = (text(b"LOGIN")?, text(b"PASSWORD")?);
    Some((String::from_utf8(user.to_vec()).ok()?, password.to_vec()))
}
