//! A client that does exactly what it is told: for silence, unread sockets and octets as they are.

use amq_protocol::{
    frame::{AMQPFrame, WriteContext, gen_frame, parsing::parse_frame},
    protocol::{AMQPClass, basic, channel, connection, queue},
    types::FieldTable,
};
use lapin::types::AMQPValue;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    fixture::Fixture,
    support::{table, text, within},
};

/// A frame as received: type octet, channel, payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Octets {
    pub kind: u8,
    pub channel: u16,
    pub payload: Vec<u8>,
}

/// What the handshake of a [`Raw`] client asks for.
pub struct Handshake<'a> {
    pub heartbeat: u16,
    pub capabilities: &'a [&'a str],
}

impl Default for Handshake<'_> {
    fn default() -> Self {
        let capabilities = &["consumer_cancel_notify", "connection.blocked", "authentication_failure_close"];
        Handshake { heartbeat: 0, capabilities }
    }
}

/// A socket that speaks frames.
pub struct Raw {
    stream: TcpStream,
}

impl Raw {
    /// Connects without sending anything.
    pub async fn connect(fixture: &Fixture) -> Raw {
        let stream = within("a TCP connection", TcpStream::connect(fixture.address())).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Raw { stream }
    }

    /// Connects and opens the vhost of the fixture.
    pub async fn open(fixture: &Fixture, handshake: Handshake<'_>) -> Raw {
        let mut raw = Raw::connect(fixture).await;
        raw.write(b"AMQP\x00\x00\x09\x01").await;
        let AMQPClass::Connection(connection::AMQPMethod::Start(_)) = raw.method().await else {
            panic!("start")
        };
        raw.log_in(fixture, handshake.capabilities).await;
        let AMQPClass::Connection(connection::AMQPMethod::Tune(tune)) = raw.method().await else {
            panic!("tune")
        };
        let tune_ok = connection::TuneOk {
            channel_max: tune.channel_max,
            frame_max: tune.frame_max,
            heartbeat: handshake.heartbeat,
        };
        raw.send(0, AMQPClass::Connection(connection::AMQPMethod::TuneOk(tune_ok))).await;
        let open = connection::Open { virtual_host: fixture.vhost().into() };
        raw.send(0, AMQPClass::Connection(connection::AMQPMethod::Open(open))).await;
        let AMQPClass::Connection(connection::AMQPMethod::OpenOk(_)) = raw.method().await else {
            panic!("open")
        };
        raw
    }

    async fn log_in(&mut self, fixture: &Fixture, capabilities: &[&str]) {
        let mut granted = FieldTable::default();
        for capability in capabilities {
            granted.insert((*capability).into(), AMQPValue::Boolean(true));
        }
        let user = fixture.parts().authority.userinfo;
        let start_ok = connection::StartOk {
            client_properties: table([
                ("product", text("raw")),
                ("capabilities", AMQPValue::FieldTable(granted)),
            ]),
            mechanism: "PLAIN".into(),
            response: format!("\0{}\0{}", user.username, user.password).into(),
            locale: "en_US".into(),
        };
        self.send(0, AMQPClass::Connection(connection::AMQPMethod::StartOk(start_ok))).await;
    }

    /// Opens a channel and awaits open-ok.
    pub async fn open_channel(&mut self, id: u16) {
        self.send(id, AMQPClass::Channel(channel::AMQPMethod::Open(channel::Open {}))).await;
        let answer = self.method().await;
        assert!(matches!(answer, AMQPClass::Channel(channel::AMQPMethod::OpenOk(_))), "{answer:?}");
    }

    /// Declares a transient queue and awaits declare-ok.
    pub async fn declare(&mut self, id: u16, name: &str) {
        let declare = queue::Declare {
            queue: name.into(),
            passive: false,
            durable: false,
            exclusive: false,
            auto_delete: false,
            nowait: false,
            arguments: FieldTable::default(),
        };
        self.send(id, AMQPClass::Queue(queue::AMQPMethod::Declare(declare))).await;
        let answer = self.method().await;
        assert!(matches!(answer, AMQPClass::Queue(queue::AMQPMethod::DeclareOk(_))), "{answer:?}");
    }

    /// Starts a consumer without acknowledgements and awaits consume-ok.
    pub async fn consume(&mut self, id: u16, queue: &str) {
        self.consume_with(id, queue, true).await;
    }

    /// Starts a consumer and awaits consume-ok.
    pub async fn consume_with(&mut self, id: u16, queue: &str, no_ack: bool) {
        let consume = basic::Consume {
            queue: queue.into(),
            consumer_tag: "raw".into(),
            no_local: false,
            no_ack,
            exclusive: false,
            nowait: false,
            arguments: FieldTable::default(),
        };
        self.send(id, AMQPClass::Basic(basic::AMQPMethod::Consume(consume))).await;
        let answer = self.method().await;
        assert!(matches!(answer, AMQPClass::Basic(basic::AMQPMethod::ConsumeOk(_))), "{answer:?}");
    }

    /// Sends basic.publish with a content header given as octets.
    pub async fn publish(&mut self, id: u16, publish: basic::Publish, header: &[u8], body: &[u8]) {
        self.send(id, AMQPClass::Basic(basic::AMQPMethod::Publish(publish))).await;
        self.send_octets(2, id, header).await;
        if !body.is_empty() {
            self.send_octets(3, id, body).await;
        }
    }

    /// Sends a method.
    pub async fn send(&mut self, id: u16, method: AMQPClass) {
        let frame = AMQPFrame::Method(id, method);
        let octets = gen_frame(&frame)(WriteContext::from(Vec::new())).unwrap().into_inner().0;
        self.write(&octets).await;
    }

    /// Sends a frame with this payload.
    pub async fn send_octets(&mut self, kind: u8, id: u16, payload: &[u8]) {
        let mut frame = vec![kind];
        frame.extend(id.to_be_bytes());
        frame.extend(u32::try_from(payload.len()).unwrap().to_be_bytes());
        frame.extend(payload);
        frame.push(0xCE);
        self.write(&frame).await;
    }

    /// Writes octets as they are.
    pub async fn write(&mut self, octets: &[u8]) {
        within("room in the socket", self.stream.write_all(octets)).await.expect("the socket is open");
    }

    /// The next method; heartbeats are skipped, anything else fails the test.
    pub async fn method(&mut self) -> AMQPClass {
        let frame = within("a method", self.next()).await.expect("the connection stays open");
        match decode(&frame) {
            AMQPFrame::Method(_, method) => method,
            other => panic!("not a method: {other:?}"),
        }
    }

    /// The next frame that is not a heartbeat; `None` at the end of the stream.
    pub async fn next(&mut self) -> Option<Octets> {
        loop {
            let frame = self.next_any().await?;
            if frame.kind != 8 {
                return Some(frame);
            }
        }
    }

    /// The next frame; `None` at the end of the stream, also when it is reset.
    pub async fn next_any(&mut self) -> Option<Octets> {
        let mut head = [0; 7];
        self.stream.read_exact(&mut head).await.ok()?;
        let size = u32::from_be_bytes([head[3], head[4], head[5], head[6]]) as usize;
        let mut payload = vec![0; size + 1];
        self.stream.read_exact(&mut payload).await.ok()?;
        assert_eq!(payload.pop(), Some(0xCE), "frame-end");
        Some(Octets { kind: head[0], channel: u16::from_be_bytes([head[1], head[2]]), payload })
    }
}

/// The frame behind the octets.
pub fn decode(frame: &Octets) -> AMQPFrame {
    let mut octets = vec![frame.kind];
    octets.extend(frame.channel.to_be_bytes());
    octets.extend(u32::try_from(frame.payload.len()).unwrap().to_be_bytes());
    octets.extend(&frame.payload);
    octets.push(0xCE);
    let (rest, frame) = parse_frame(octets.as_slice()).expect("a well-formed frame");
    assert!(rest.is_empty());
    frame
}

/// A content header for class 60: the body size, then property flags and properties as given.
pub fn content_header(body_size: u64, properties: &[u8]) -> Vec<u8> {
    let mut header = vec![0, 60, 0, 0];
    header.extend(body_size.to_be_bytes());
    header.extend(properties);
    header
}
