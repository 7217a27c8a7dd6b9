//! The part of the AMQP 0-9-1 wire format the tool writes: frames, methods, contents.
//!
//! Written apart from the broker's codec on purpose: a mistake in one does not hide in the other.

/// Frame types.
pub const METHOD: u8 = 1;
pub const HEADER: u8 = 2;
pub const BODY: u8 = 3;
const FRAME_END: u8 = 0xCE;
/// Type, channel, size before the payload.
pub const FRAME_PREFIX: usize = 7;
/// Everything of a frame that is not payload.
pub const FRAME_OVERHEAD: usize = 8;
/// What the tool asks for, and the most it accepts.
pub const FRAME_MAX: u32 = 131_072;
/// The one channel each connection uses.
pub const CHANNEL: u16 = 1;

/// Method identifiers, class in the upper half as on the wire.
pub mod id {
    pub const CONNECTION_START: u32 = (10 << 16) | 10;
    pub const CONNECTION_START_OK: u32 = (10 << 16) | 11;
    pub const CONNECTION_TUNE: u32 = (10 << 16) | 30;
    pub const CONNECTION_TUNE_OK: u32 = (10 << 16) | 31;
    pub const CONNECTION_OPEN: u32 = (10 << 16) | 40;
    pub const CONNECTION_OPEN_OK: u32 = (10 << 16) | 41;
    pub const CONNECTION_CLOSE: u32 = (10 << 16) | 50;
    pub const CONNECTION_CLOSE_OK: u32 = (10 << 16) | 51;
    pub const CHANNEL_OPEN: u32 = (20 << 16) | 10;
    pub const CHANNEL_OPEN_OK: u32 = (20 << 16) | 11;
    pub const CHANNEL_CLOSE: u32 = (20 << 16) | 40;
    pub const CHANNEL_CLOSE_OK: u32 = (20 << 16) | 41;
    pub const EXCHANGE_DECLARE: u32 = (40 << 16) | 10;
    pub const EXCHANGE_DECLARE_OK: u32 = (40 << 16) | 11;
    pub const EXCHANGE_DELETE: u32 = (40 << 16) | 20;
    pub const EXCHANGE_DELETE_OK: u32 = (40 << 16) | 21;
    pub const QUEUE_DECLARE: u32 = (50 << 16) | 10;
    pub const QUEUE_DECLARE_OK: u32 = (50 << 16) | 11;
    pub const QUEUE_BIND: u32 = (50 << 16) | 20;
    pub const QUEUE_BIND_OK: u32 = (50 << 16) | 21;
    pub const QUEUE_DELETE: u32 = (50 << 16) | 40;
    pub const QUEUE_DELETE_OK: u32 = (50 << 16) | 41;
    pub const BASIC_CANCEL: u32 = (60 << 16) | 30;
    pub const BASIC_QOS: u32 = (60 << 16) | 10;
    pub const BASIC_QOS_OK: u32 = (60 << 16) | 11;
    pub const BASIC_CONSUME: u32 = (60 << 16) | 20;
    pub const BASIC_CONSUME_OK: u32 = (60 << 16) | 21;
    pub const BASIC_PUBLISH: u32 = (60 << 16) | 40;
    pub const BASIC_DELIVER: u32 = (60 << 16) | 60;
    pub const BASIC_GET: u32 = (60 << 16) | 70;
    pub const BASIC_GET_OK: u32 = (60 << 16) | 71;
    pub const BASIC_GET_EMPTY: u32 = (60 << 16) | 72;
    pub const BASIC_ACK: u32 = (60 << 16) | 80;
    pub const BASIC_NACK: u32 = (60 << 16) | 120;
    pub const CONFIRM_SELECT: u32 = (85 << 16) | 10;
    pub const CONFIRM_SELECT_OK: u32 = (85 << 16) | 11;
}

/// Field values the tool sends in tables.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Bool(bool),
    Text(String),
    Table(Table),
}

pub type Table = Vec<(String, Value)>;

/// The arguments of a method or the fields of a content header, being written.
#[derive(Debug, Default)]
pub struct Payload(pub Vec<u8>);

impl Payload {
    pub fn octet(mut self, value: u8) -> Payload {
        self.0.push(value);
        self
    }

    pub fn short(mut self, value: u16) -> Payload {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub fn long(mut self, value: u32) -> Payload {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub fn long_long(mut self, value: u64) -> Payload {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub fn short_string(mut self, text: &str) -> Payload {
        self.0.push(u8::try_from(text.len()).expect("the tool's names are short"));
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    pub fn long_string(mut self, bytes: &[u8]) -> Payload {
        self.0.extend_from_slice(&length(bytes).to_be_bytes());
        self.0.extend_from_slice(bytes);
        self
    }

    pub fn table(self, table: &[(String, Value)]) -> Payload {
        let fields = table.iter().fold(Payload::default(), |fields, (name, value)| {
            let fields = fields.short_string(name);
            match value {
                Value::Bool(value) => fields.octet(b't').octet(u8::from(*value)),
                Value::Text(text) => fields.octet(b'S').long_string(text.as_bytes()),
                Value::Table(table) => fields.octet(b'F').table(table),
            }
        });
        self.long_string(&fields.0)
    }
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("the tool's frames are below 4 GiB")
}

/// Appends one frame.
pub fn push_frame(out: &mut Vec<u8>, kind: u8, channel: u16, payload: &[u8]) {
    out.push(kind);
    out.extend_from_slice(&channel.to_be_bytes());
    out.extend_from_slice(&length(payload).to_be_bytes());
    out.extend_from_slice(payload);
    out.push(FRAME_END);
}

/// Appends one method frame; `fill` writes the arguments.
pub fn push_method(out: &mut Vec<u8>, channel: u16, id: u32, fill: impl FnOnce(Payload) -> Payload) {
    push_frame(out, METHOD, channel, &fill(Payload::default().long(id)).0);
}

/// One acknowledgement.
pub fn push_ack(out: &mut Vec<u8>, delivery_tag: u64, multiple: bool) {
    // Up to a million of these a second are written, so no intermediate buffer.
    out.extend_from_slice(&[METHOD, 0, 1, 0, 0, 0, 13, 0, 60, 0, 80]);
    out.extend_from_slice(&delivery_tag.to_be_bytes());
    out.extend_from_slice(&[u8::from(multiple), FRAME_END]);
}

/// The method that starts a content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// What a client sends a broker.
    Publish,
    /// What a consumer reads: sent through a relay, which does not translate.
    Deliver,
}

/// A message but for its body.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Envelope {
    pub exchange: String,
    pub routing_key: String,
    pub headers: Table,
    pub reply_to: Option<String>,
    pub persistent: bool,
}

const FLAG_HEADERS: u16 = 1 << 13;
const FLAG_DELIVERY_MODE: u16 = 1 << 12;
pub const FLAG_REPLY_TO: u16 = 1 << 9;

/// Appends method, header and body frames; returns where in `out` the body starts.
pub fn push_content(
    out: &mut Vec<u8>,
    framing: Framing,
    envelope: &Envelope,
    body: &[u8],
    frame_max: u32,
) -> usize {
    let Envelope { exchange, routing_key, .. } = envelope;
    match framing {
        Framing::Publish => push_method(out, CHANNEL, id::BASIC_PUBLISH, |arguments| {
            arguments.short(0).short_string(exchange).short_string(routing_key).octet(0)
        }),
        Framing::Deliver => push_method(out, CHANNEL, id::BASIC_DELIVER, |arguments| {
            let arguments = arguments.short_string("bench").long_long(1).octet(0);
            arguments.short_string(exchange).short_string(routing_key)
        }),
    }
    push_frame(out, HEADER, CHANNEL, &header_payload(envelope, body.len() as u64));
    let body_start = out.len() + FRAME_PREFIX;
    for part in body.chunks(frame_max as usize - FRAME_OVERHEAD) {
        push_frame(out, BODY, CHANNEL, part);
    }
    body_start
}

fn header_payload(envelope: &Envelope, body_size: u64) -> Vec<u8> {
    let mut flags = 0;
    let mut properties = Payload::default();
    if !envelope.headers.is_empty() {
        flags |= FLAG_HEADERS;
        properties = properties.table(&envelope.headers);
    }
    if envelope.persistent {
        flags |= FLAG_DELIVERY_MODE;
        properties = properties.octet(2);
    }
    if let Some(reply_to) = &envelope.reply_to {
        flags |= FLAG_REPLY_TO;
        properties = properties.short_string(reply_to);
    }
    let mut payload = Payload::default().short(60).short(0).long_long(body_size).short(flags);
    payload.0.extend_from_slice(&properties.0);
    payload.0
}

/// Text of a short string that starts `bytes`, and what follows it.
pub fn read_short_string(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (&length, rest) = bytes.split_first()?;
    let (text, rest) = rest.split_at_checked(usize::from(length))?;
    Some((std::str::from_utf8(text).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use amq_protocol::{
        frame::{AMQPFrame, parse_frame},
        protocol::{AMQPClass, basic},
    };

    use super::*;

    /// Every frame of `bytes`, read by a codec that is not ours.
    fn parse(mut bytes: &[u8]) -> Vec<AMQPFrame> {
        let mut frames = Vec::new();
        while !bytes.is_empty() {
            let (rest, frame) = parse_frame(bytes).expect("a frame");
            frames.push(frame);
            bytes = rest;
        }
        frames
    }

    #[test]
    fn an_acknowledgement_reads_back() {
        let mut out = Vec::new();
        push_ack(&mut out, 77, true);
        match parse(&out).as_slice() {
            [AMQPFrame::Method(1, AMQPClass::Basic(basic::AMQPMethod::Ack(ack)))] => {
                assert_eq!((ack.delivery_tag, ack.multiple), (77, true));
            }
            frames => panic!("{frames:?}"),
        }
    }

    #[test]
    fn a_publish_reads_back() {
        let envelope = Envelope {
            exchange: "ex".to_owned(),
            routing_key: "key".to_owned(),
            headers: vec![("kind".to_owned(), Value::Text("order".to_owned()))],
            reply_to: Some("back".to_owned()),
            persistent: true,
        };
        let mut out = Vec::new();
        let body_start = push_content(&mut out, Framing::Publish, &envelope, &[7; 10], FRAME_MAX);
        assert_eq!(&out[body_start..body_start + 10], &[7; 10]);
        let frames = parse(&out);
        let [AMQPFrame::Method(1, method), AMQPFrame::Header(1, header), AMQPFrame::Body(1, body)] =
            &frames[..]
        else {
            panic!("{frames:?}");
        };
        let AMQPClass::Basic(basic::AMQPMethod::Publish(publish)) = method else { panic!("{method:?}") };
        assert_eq!((publish.exchange.as_str(), publish.routing_key.as_str()), ("ex", "key"));
        assert_eq!((header.body_size, body.as_slice()), (10, [7; 10].as_slice()));
        assert_eq!(header.properties.delivery_mode(), &Some(2));
        assert_eq!(header.properties.reply_to().as_ref().map(|name| name.as_str()), Some("back"));
        let headers = header.properties.headers().as_ref().expect("headers");
        assert!(headers.inner().contains_key("kind"));
    }

    #[test]
    fn a_large_body_is_split_and_an_empty_one_has_no_frame() {
        let mut out = Vec::new();
        push_content(&mut out, Framing::Deliver, &Envelope::default(), &[1; 5000], 4096);
        let sizes: Vec<usize> = parse(&out)
            .into_iter()
            .filter_map(|frame| if let AMQPFrame::Body(_, body) = frame { Some(body.len()) } else { None })
            .collect();
        assert_eq!(sizes, [4088, 912]);
        out.clear();
        push_content(&mut out, Framing::Deliver, &Envelope::default(), &[], 4096);
        assert_eq!(parse(&out).len(), 2);
    }
}
