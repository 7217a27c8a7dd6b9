//! Frames from a client's side: reading the broker's output strictly, writing input.

use leveret::amqp::{
    AMQPClass, AMQPValue, ChannelId, FieldTable, FrameHead, FrameKind, connection, encode,
    frame::{END, HEAD},
    method,
    properties::{ContentHeader, Properties},
    table::TABLE_DEPTH_MAX,
};
use leveret::protocol::{Identity, Limits, Mechanism};

/// The octets that open a connection.
pub const HEADER: &[u8] = b"AMQP\x00\x00\x09\x01";

/// One frame of the broker.
#[derive(Debug, Clone, PartialEq)]
pub enum Frame {
    Method(ChannelId, AMQPClass),
    Header {
        channel: ChannelId,
        body_size: u64,
        properties: Vec<u8>,
    },
    Body(ChannelId, Vec<u8>),
    Heartbeat,
    /// The protocol header, which is no frame.
    ProtocolHeader,
}

/// Takes complete frames off the front of `output`.
///
/// Panics when anything is not well formed: that is what the targets look for.
pub fn take_frames(output: &mut Vec<u8>) -> Vec<Frame> {
    let mut frames = Vec::new();
    let mut at = 0;
    loop {
        let rest = &output[at..];
        if rest.starts_with(HEADER) {
            frames.push(Frame::ProtocolHeader);
            at += HEADER.len();
            continue;
        }
        let Some(head) = FrameHead::parse(rest) else { break };
        let size = head.frame_size();
        let Some(whole) = rest.get(..size) else { break };
        assert_eq!(whole[size - 1], END, "a frame of the broker ends with its octet");
        frames.push(read(head, &whole[HEAD..size - 1]));
        at += size;
    }
    output.drain(..at);
    frames
}

fn read(head: FrameHead, payload: &[u8]) -> Frame {
    let channel = head.channel;
    match head.kind {
        FrameKind::Method => {
            let method = method::parse(payload, TABLE_DEPTH_MAX);
            Frame::Method(channel, method.unwrap_or_else(|error| panic!("{error} in {payload:?}")))
        }
        FrameKind::Header => {
            let header = ContentHeader::parse(payload).expect("a content header of the broker is whole");
            assert_eq!((header.class, header.weight), (60, 0));
            Properties::scan(header.properties, TABLE_DEPTH_MAX).expect("properties of the broker are whole");
            Frame::Header { channel, body_size: header.body_size, properties: header.properties.to_vec() }
        }
        FrameKind::Body => {
            assert!(!payload.is_empty(), "the broker sends no empty body frames");
            Frame::Body(channel, payload.to_vec())
        }
        FrameKind::Heartbeat => {
            assert!(channel == 0 && payload.is_empty());
            Frame::Heartbeat
        }
        FrameKind::Unknown(octet) => panic!("the broker sent a frame of type {octet}"),
    }
}

/// One frame of a client, whatever it holds.
pub fn frame(kind: u8, channel: ChannelId, payload: &[u8]) -> Vec<u8> {
    let mut octets = vec![kind];
    octets.extend_from_slice(&channel.to_be_bytes());
    octets.extend_from_slice(&u32::try_from(payload.len()).expect("inputs are short").to_be_bytes());
    octets.extend_from_slice(payload);
    octets.push(END);
    octets
}

pub fn method_frame(channel: ChannelId, class: AMQPClass) -> Vec<u8> {
    let mut octets = Vec::new();
    method::encode(&mut octets, channel, class);
    octets
}

/// A content in body frames of at most `frame_payload` octets.
pub fn content(channel: ChannelId, properties: &[u8], body: &[u8], frame_payload: usize) -> Vec<u8> {
    let mut octets = Vec::new();
    encode::content_header(&mut octets, channel, body.len() as u64, properties);
    body.chunks(frame_payload).for_each(|part| encode::body(&mut octets, channel, part));
    octets
}

/// Everything a client sends until the connection is open.
pub fn handshake(notified: bool, tuned: connection::TuneOk, vhost: &str) -> Vec<u8> {
    let mut capabilities = FieldTable::default();
    capabilities.insert("consumer_cancel_notify".into(), AMQPValue::Boolean(notified));
    capabilities.insert("connection.blocked".into(), AMQPValue::Boolean(notified));
    capabilities.insert("authentication_failure_close".into(), AMQPValue::Boolean(notified));
    let mut client_properties = FieldTable::default();
    client_properties.insert("capabilities".into(), AMQPValue::FieldTable(capabilities));
    let start_ok = connection::StartOk {
        client_properties,
        mechanism: "PLAIN".into(),
        response: b"\0guest\0guest".to_vec().into(),
        locale: "en_US".into(),
    };
    let methods = [
        connection::AMQPMethod::StartOk(start_ok),
        connection::AMQPMethod::TuneOk(tuned),
        connection::AMQPMethod::Open(connection::Open { virtual_host: vhost.into() }),
    ];
    let mut octets = HEADER.to_vec();
    for method in methods {
        octets.extend(method_frame(0, AMQPClass::Connection(method)));
    }
    octets
}

/// Bounds that short inputs can reach.
pub fn small_limits() -> Limits {
    Limits {
        frame_max: 4096,
        channel_max: 4,
        heartbeat: 10,
        message_size_max: 20_000,
        partial_content_max: 9_000,
        table_depth_max: 8,
        handshake_timeout: 10_000,
    }
}

pub fn identity() -> Identity {
    Identity {
        cluster_name: "fuzz".to_owned(),
        version: "4.2.0".to_owned(),
        mechanisms: Mechanism::ALL.to_vec(),
    }
}
