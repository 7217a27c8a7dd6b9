//! The client's end of a transcript, and a session that gives the verdicts the machine asks for.

use amq_protocol::frame::{AMQPFrame, parse_frame};

use crate::{
    amqp::{
        AMQPClass, AMQPValue, ChannelId, Failure, FieldTable, FrameKind, MethodId, ReplyCode, basic, channel,
        connection, encode, frame::END, hot::Settle, method as codec,
    },
    protocol::{Body, Connection, Content, Event, Identity, Limits, Login, Mechanism, Millis, Step, Timeout},
};

pub const HEADER: &[u8] = b"AMQP\x00\x00\x09\x01";

/// The bounds of a default configuration, as in the reference's examples.
pub fn limits() -> Limits {
    Limits {
        frame_max: 131_072,
        channel_max: 2047,
        heartbeat: 60,
        message_size_max: 134_217_728,
        partial_content_max: 1 << 20,
        table_depth_max: 8,
        handshake_timeout: 10_000,
    }
}

/// A client talking to a machine. What happens is told in lines: events as words, the machine's octets as
/// lines that begin with `>`.
pub struct Peer {
    pub machine: Connection,
    pub now: Millis,
    /// Octets that no step has used up.
    input: Vec<u8>,
    /// When set, events wait for a verdict that the test gives itself.
    pub undecided: bool,
}

impl Peer {
    pub fn new(limits: Limits) -> Peer {
        let identity = Identity {
            cluster_name: "test".to_owned(),
            version: "4.2.0".to_owned(),
            mechanisms: vec![Mechanism::Plain, Mechanism::AmqPlain],
        };
        Peer::with_identity(limits, identity)
    }

    pub fn with_identity(limits: Limits, identity: Identity) -> Peer {
        Peer { machine: Connection::new(limits, identity, 0), now: 0, input: Vec::new(), undecided: false }
    }

    /// A connection that is open, with the values the server offered.
    pub fn opened() -> Peer {
        Peer::opened_with(limits(), &tune_ok(2047, 131_072, 60))
    }

    pub fn opened_with(limits: Limits, tune_ok: &[u8]) -> Peer {
        let mut peer = Peer::new(limits);
        peer.send(&[HEADER, &start_ok("PLAIN", b"\0guest\0guest"), tune_ok, &open("/")].concat());
        assert!(peer.machine.is_running(), "the handshake succeeded");
        peer
    }

    /// As [`Peer::opened`], with channel 1 open.
    pub fn with_channel() -> Peer {
        Peer::opened().and_channel(1)
    }

    pub fn and_channel(mut self, channel: ChannelId) -> Peer {
        assert_eq!(self.send(&channel_open(channel)), opened_lines(channel));
        self
    }

    /// Time passes and what is due is done; returns what the machine said and how it ended.
    pub fn at(&mut self, now: Millis) -> (Vec<String>, Option<Timeout>) {
        self.now = now;
        let mut out = Vec::new();
        let timeout = self.machine.handle_timeout(now, &mut out);
        (told(&out), timeout)
    }

    /// Octets arrive; returns everything that happened.
    pub fn send(&mut self, octets: &[u8]) -> Vec<String> {
        self.machine.received(self.now);
        self.input.extend_from_slice(octets);
        let input = std::mem::take(&mut self.input);
        let mut lines = Vec::new();
        let mut used = 0;
        loop {
            let mut out = Vec::new();
            let step = self.machine.step(&input[used..], &mut out);
            lines.extend(told(&out));
            out.clear();
            let finished = match step {
                Ok(Step::NeedMore { used: octets }) => {
                    used += octets;
                    break;
                }
                Ok(Step::Finished) => true,
                Ok(Step::Event { used: octets, event }) => {
                    used += octets;
                    assert!(0 < octets, "an event uses something up");
                    lines.push(event_line(&event));
                    let decision = decision_on(&event);
                    if !self.undecided {
                        self.decide(decision, &mut out);
                    }
                    false
                }
                Err((channel, failure, octets)) => {
                    used += octets;
                    self.machine.fail(channel, &failure, self.now, &mut out);
                    false
                }
            };
            lines.extend(told(&out));
            if finished {
                lines.push("finished".to_owned());
                return lines;
            }
        }
        self.input = input[used..].to_vec();
        lines
    }

    /// Octets that wait for more.
    pub fn waiting(&self) -> usize {
        self.input.len()
    }

    fn decide(&mut self, decision: Decision, out: &mut Vec<u8>) {
        match decision {
            Decision::None => {}
            Decision::Login(true) => self.machine.accept_login(out),
            Decision::Login(false) => self.machine.refuse_login(self.now, out),
            Decision::Open(None) => self.machine.accept_open(self.now, out),
            Decision::Open(Some(failure)) => self.machine.fail(0, &failure, self.now, out),
            Decision::ChannelOpen(channel) => self.machine.accept_channel(channel, out),
            Decision::ChannelClose(channel) => self.machine.channel_closed(channel, out),
            Decision::Close => self.machine.closed_by_peer(out),
        }
    }

    /// The session closes a channel for an error of its own.
    pub fn close_channel(&mut self, channel: ChannelId) -> Vec<String> {
        let failure = Failure::channel(ReplyCode::NotFound, "no queue 'q' in vhost '/'");
        self.fail(channel, &failure.at(MethodId { class: 50, method: 10 }))
    }

    /// The session closes the connection, as at shutdown.
    pub fn close_connection(&mut self) -> Vec<String> {
        self.fail(0, &Failure::connection(ReplyCode::ConnectionForced, "closed"))
    }

    fn fail(&mut self, channel: ChannelId, failure: &Failure) -> Vec<String> {
        let mut out = Vec::new();
        self.machine.fail(channel, failure, self.now, &mut out);
        told(&out)
    }
}

/// What a session would do about an event.
enum Decision {
    None,
    Login(bool),
    /// `None` to accept.
    Open(Option<Failure>),
    ChannelOpen(ChannelId),
    ChannelClose(ChannelId),
    Close,
}

fn decision_on(event: &Event<'_>) -> Decision {
    match event {
        Event::Login(login) => Decision::Login(login.password == b"guest"),
        Event::Open { vhost } if vhost == "/" => Decision::Open(None),
        Event::Open { vhost } => {
            let failure = Failure::connection(ReplyCode::NotAllowed, format!("vhost {vhost} not found"));
            Decision::Open(Some(failure.at(MethodId { class: 10, method: 40 })))
        }
        Event::ChannelOpen(channel) => Decision::ChannelOpen(*channel),
        Event::ChannelClose(channel) => Decision::ChannelClose(*channel),
        Event::Close => Decision::Close,
        _ => Decision::None,
    }
}

fn event_line(event: &Event<'_>) -> String {
    match event {
        Event::Login(login) => {
            let Login { mechanism, user, password, .. } = &**login;
            format!("login {} {user}:{}", mechanism.name(), password.escape_ascii())
        }
        Event::Open { vhost } => format!("open {vhost}"),
        Event::SecretUpdated => "secret updated".to_owned(),
        Event::ChannelOpen(channel) => format!("channel {channel} opens"),
        Event::ChannelClose(channel) => format!("channel {channel} closes"),
        Event::Close => "closes".to_owned(),
        Event::Content(channel, content) => format!("{channel}: publish {}", content_line(content)),
        Event::Settle(channel, settle) => match settle {
            Settle::Ack { tag, multiple } => format!("{channel}: ack {tag} {multiple}"),
            Settle::Nack { tag, multiple, requeue } => format!("{channel}: nack {tag} {multiple} {requeue}"),
            Settle::Reject { tag, requeue } => format!("{channel}: reject {tag} {requeue}"),
        },
        Event::Method(channel, class) => format!("{channel}: {}", id_line(class)),
    }
}

fn content_line(content: &Content<'_>) -> String {
    let flags = match (content.mandatory, content.immediate) {
        (false, false) => "",
        (true, false) => " mandatory",
        (false, true) => " immediate",
        (true, true) => " mandatory immediate",
    };
    let body = match &content.body {
        Body::Whole(octets) => octets.to_vec(),
        Body::Pieces(pieces) => pieces.concat(),
    };
    assert_eq!(body.len() as u64, content.body.length());
    format!(
        "'{}' '{}'{flags} [{}] {}",
        content.exchange.escape_ascii(),
        content.routing_key.escape_ascii(),
        content.properties.escape_ascii(),
        body_line(&body)
    )
}

/// Short bodies as they are, long ones by length and a checksum that depends on the order.
fn body_line(body: &[u8]) -> String {
    if body.len() <= 40 {
        return format!("\"{}\"", body.escape_ascii());
    }
    let sum = body.iter().fold(0u32, |sum, octet| sum.wrapping_mul(31).wrapping_add(u32::from(*octet)));
    format!("{} octets, sum {sum:08x}", body.len())
}

fn id_line(class: &AMQPClass) -> String {
    let MethodId { class, method } = MethodId::of(class);
    format!("{class}.{method}")
}

/// What the machine wrote: whole frames, one line each.
fn told(mut out: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    while !out.is_empty() {
        if out.starts_with(b"AMQP") {
            lines.push(format!("> {}", out[..8].escape_ascii()));
            out = &out[8..];
            continue;
        }
        let (rest, frame) = parse_frame(out).expect("the machine writes whole frames");
        lines.push(format!("> {}", frame_line(frame)));
        out = rest;
    }
    lines
}

fn frame_line(frame: AMQPFrame) -> String {
    match frame {
        AMQPFrame::Heartbeat => "heartbeat".to_owned(),
        AMQPFrame::Method(0, AMQPClass::Connection(connection::AMQPMethod::Close(close))) => {
            let connection::Close { reply_code, reply_text, class_id, method_id } = close;
            format!("conn {reply_code} \"{reply_text}\" ({class_id},{method_id})")
        }
        AMQPFrame::Method(channel, AMQPClass::Channel(channel::AMQPMethod::Close(close))) => {
            let channel::Close { reply_code, reply_text, class_id, method_id } = close;
            format!("chan {channel} {reply_code} \"{reply_text}\" ({class_id},{method_id})")
        }
        AMQPFrame::Method(channel, class) => format!("{channel}: {}", id_line(&class)),
        other => panic!("the machine itself never writes {other:?}"),
    }
}

/// What opening a channel looks like.
pub fn opened_lines(channel: ChannelId) -> [String; 2] {
    [format!("channel {channel} opens"), format!("> {channel}: 20.11")]
}

pub fn frame(kind: u8, channel: ChannelId, payload: &[u8]) -> Vec<u8> {
    assert_eq!(FrameKind::from_octet(kind).octet(), kind);
    let size = u32::try_from(payload.len()).expect("a frame of a test is short");
    let mut octets = vec![kind];
    octets.extend_from_slice(&channel.to_be_bytes());
    octets.extend_from_slice(&size.to_be_bytes());
    octets.extend_from_slice(payload);
    octets.push(END);
    octets
}

/// A method frame from its numbers and the octets of its arguments.
pub fn raw(channel: ChannelId, (class, method): (u16, u16), arguments: &[u8]) -> Vec<u8> {
    frame(1, channel, &[&class.to_be_bytes()[..], &method.to_be_bytes(), arguments].concat())
}

pub fn method(channel: ChannelId, class: AMQPClass) -> Vec<u8> {
    let mut octets = Vec::new();
    codec::encode(&mut octets, channel, class);
    octets
}

fn on_connection(method_of: connection::AMQPMethod) -> Vec<u8> {
    method(0, AMQPClass::Connection(method_of))
}

/// Client properties with the capability that matters in a handshake.
pub fn client(failure_close: bool) -> FieldTable {
    let mut capabilities = FieldTable::default();
    capabilities.insert("authentication_failure_close".into(), AMQPValue::Boolean(failure_close));
    let mut properties = FieldTable::default();
    properties.insert("capabilities".into(), AMQPValue::FieldTable(capabilities));
    properties
}

/// start-ok of a client with every capability.
pub fn start_ok(mechanism: &str, response: &[u8]) -> Vec<u8> {
    start_ok_of(client(true), mechanism, response)
}

pub fn start_ok_of(client_properties: FieldTable, mechanism: &str, response: &[u8]) -> Vec<u8> {
    on_connection(connection::AMQPMethod::StartOk(connection::StartOk {
        client_properties,
        mechanism: mechanism.into(),
        response: response.to_vec().into(),
        locale: "en_US".into(),
    }))
}

pub fn plain(user: &str, password: &str) -> Vec<u8> {
    format!("\0{user}\0{password}").into_bytes()
}

/// The body of a table with LOGIN and PASSWORD.
pub fn amqplain(user: &str, password: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    for (name, value) in [("LOGIN", user), ("PASSWORD", password)] {
        octets.push(name.len() as u8);
        octets.extend_from_slice(name.as_bytes());
        octets.push(b'S');
        octets.extend_from_slice(&(value.len() as u32).to_be_bytes());
        octets.extend_from_slice(value.as_bytes());
    }
    octets
}

pub fn tune_ok(channel_max: u16, frame_max: u32, heartbeat: u16) -> Vec<u8> {
    let tune_ok = connection::TuneOk { channel_max, frame_max, heartbeat };
    on_connection(connection::AMQPMethod::TuneOk(tune_ok))
}

pub fn open(vhost: &str) -> Vec<u8> {
    on_connection(connection::AMQPMethod::Open(connection::Open { virtual_host: vhost.into() }))
}

pub fn close() -> Vec<u8> {
    let close = connection::Close { reply_code: 200, reply_text: "bye".into(), class_id: 0, method_id: 0 };
    on_connection(connection::AMQPMethod::Close(close))
}

pub fn close_ok() -> Vec<u8> {
    on_connection(connection::AMQPMethod::CloseOk(connection::CloseOk {}))
}

pub fn channel_open(channel: ChannelId) -> Vec<u8> {
    method(channel, AMQPClass::Channel(channel::AMQPMethod::Open(channel::Open {})))
}

pub fn channel_close(channel: ChannelId) -> Vec<u8> {
    let close = channel::Close { reply_code: 200, reply_text: "bye".into(), class_id: 0, method_id: 0 };
    method(channel, AMQPClass::Channel(channel::AMQPMethod::Close(close)))
}

/// basic.publish without its content.
pub fn publish(channel: ChannelId, exchange: &str, routing_key: &str) -> Vec<u8> {
    let publish = basic::Publish {
        exchange: exchange.into(),
        routing_key: routing_key.into(),
        mandatory: false,
        immediate: false,
    };
    method(channel, AMQPClass::Basic(basic::AMQPMethod::Publish(publish)))
}

/// A content header of class basic.
pub fn content_header(channel: ChannelId, body_size: u64, properties: &[u8]) -> Vec<u8> {
    let mut octets = Vec::new();
    encode::content_header(&mut octets, channel, body_size, properties);
    octets
}

pub fn body(channel: ChannelId, payload: &[u8]) -> Vec<u8> {
    frame(3, channel, payload)
}
