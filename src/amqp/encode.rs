//! Hand-written writers of the frames that pass once per message.
//!
//! They append to a caller's buffer and allocate nothing else. Property tests hold them equal to
//! `amq-protocol`'s generators. Short strings longer than 255 octets do not occur: all of ours came in as
//! short strings or are built shorter.

use super::{
    ChannelId,
    frame::{END, OVERHEAD},
};

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
/// Class, weight and body size of a content header.
const HEADER_FIXED: usize = 12;

/// basic.deliver without its content.
#[derive(Debug, Clone, Copy)]
pub struct Deliver<'a> {
    pub consumer_tag: &'a [u8],
    pub delivery_tag: u64,
    pub redelivered: bool,
    pub exchange: &'a [u8],
    pub routing_key: &'a [u8],
}

/// basic.get-ok without its content.
#[derive(Debug, Clone, Copy)]
pub struct GetOk<'a> {
    pub delivery_tag: u64,
    pub redelivered: bool,
    pub exchange: &'a [u8],
    pub routing_key: &'a [u8],
    pub message_count: u32,
}

/// basic.return without its content.
#[derive(Debug, Clone, Copy)]
pub struct Return<'a> {
    pub reply_code: u16,
    pub reply_text: &'a [u8],
    pub exchange: &'a [u8],
    pub routing_key: &'a [u8],
}

/// The length of a short string, as its octet.
#[inline]
fn short_length(value: &[u8]) -> u8 {
    debug_assert!(value.len() <= 255, "a short string of ours is too long");
    value.len().min(255) as u8
}

#[inline]
fn put_short(out: &mut Vec<u8>, value: &[u8]) {
    let length = short_length(value);
    out.push(length);
    out.extend_from_slice(value.get(..usize::from(length)).unwrap_or_default());
}

#[inline]
fn put_head(out: &mut Vec<u8>, kind: u8, channel: ChannelId, size: usize) {
    let [c0, c1] = channel.to_be_bytes();
    let [s0, s1, s2, s3] = (size as u32).to_be_bytes();
    out.extend_from_slice(&[kind, c0, c1, s0, s1, s2, s3]);
}

#[inline]
pub fn deliver(out: &mut Vec<u8>, channel: ChannelId, deliver: &Deliver<'_>) {
    let names = deliver.consumer_tag.len() + deliver.exchange.len() + deliver.routing_key.len();
    let size = 4 + 3 + 9 + names;
    out.reserve(size + OVERHEAD);
    put_head(out, METHOD, channel, size);
    out.extend_from_slice(&[0, 60, 0, 60]);
    put_short(out, deliver.consumer_tag);
    let mut fixed = [0; 9];
    let (tag, bits) = fixed.split_at_mut(8);
    tag.copy_from_slice(&deliver.delivery_tag.to_be_bytes());
    bits.fill(u8::from(deliver.redelivered));
    out.extend_from_slice(&fixed);
    put_short(out, deliver.exchange);
    put_short(out, deliver.routing_key);
    out.push(END);
}

pub fn get_ok(out: &mut Vec<u8>, channel: ChannelId, get_ok: &GetOk<'_>) {
    let size = 4 + 9 + 2 + get_ok.exchange.len() + get_ok.routing_key.len() + 4;
    put_head(out, METHOD, channel, size);
    out.extend_from_slice(&[0, 60, 0, 71]);
    out.extend_from_slice(&get_ok.delivery_tag.to_be_bytes());
    out.push(u8::from(get_ok.redelivered));
    put_short(out, get_ok.exchange);
    put_short(out, get_ok.routing_key);
    out.extend_from_slice(&get_ok.message_count.to_be_bytes());
    out.push(END);
}

pub fn basic_return(out: &mut Vec<u8>, channel: ChannelId, fields: &Return<'_>) {
    let names = fields.reply_text.len() + fields.exchange.len() + fields.routing_key.len();
    put_head(out, METHOD, channel, 4 + 2 + 3 + names);
    out.extend_from_slice(&[0, 60, 0, 50]);
    out.extend_from_slice(&fields.reply_code.to_be_bytes());
    put_short(out, fields.reply_text);
    put_short(out, fields.exchange);
    put_short(out, fields.routing_key);
    out.push(END);
}

/// basic.ack of the server: a publisher confirm.
pub fn ack(out: &mut Vec<u8>, channel: ChannelId, tag: u64, multiple: bool) {
    put_head(out, METHOD, channel, 13);
    out.extend_from_slice(&[0, 60, 0, 80]);
    out.extend_from_slice(&tag.to_be_bytes());
    out.extend_from_slice(&[u8::from(multiple), END]);
}

/// basic.nack of the server, for one publish: a refused confirm (CNF-04).
pub fn nack(out: &mut Vec<u8>, channel: ChannelId, tag: u64) {
    put_head(out, METHOD, channel, 13);
    out.extend_from_slice(&[0, 60, 0, 120]);
    out.extend_from_slice(&tag.to_be_bytes());
    out.extend_from_slice(&[0, END]);
}

/// The content header frame; `properties` is the flag word and list as received.
#[inline]
pub fn content_header(out: &mut Vec<u8>, channel: ChannelId, body_size: u64, properties: &[u8]) {
    let size = HEADER_FIXED + properties.len();
    out.reserve(size + OVERHEAD);
    put_head(out, HEADER, channel, size);
    let mut fixed = [0; HEADER_FIXED];
    let (class, length) = fixed.split_at_mut(4);
    class.copy_from_slice(&[0, 60, 0, 0]);
    length.copy_from_slice(&body_size.to_be_bytes());
    out.extend_from_slice(&fixed);
    out.extend_from_slice(properties);
    out.push(END);
}

/// The seven octets before a body frame's payload.
#[inline]
pub fn body_head(out: &mut Vec<u8>, channel: ChannelId, size: usize) {
    put_head(out, BODY, channel, size);
}

/// One whole body frame.
#[inline]
pub fn body(out: &mut Vec<u8>, channel: ChannelId, payload: &[u8]) {
    out.reserve(payload.len() + OVERHEAD);
    put_head(out, BODY, channel, payload.len());
    out.extend_from_slice(payload);
    out.push(END);
}

/// A heartbeat frame.
pub fn heartbeat(out: &mut Vec<u8>) {
    out.extend_from_slice(&[8, 0, 0, 0, 0, 0, 0, END]);
}

#[cfg(test)]
mod tests {
    use amq_protocol::{
        frame::{AMQPFrame, parse_frame},
        protocol::{AMQPClass, basic},
    };
    use proptest::prelude::*;

    use super::*;

    fn method_of(bytes: &[u8]) -> (u16, basic::AMQPMethod) {
        match parse_frame(bytes) {
            Ok(([], AMQPFrame::Method(channel, AMQPClass::Basic(method)))) => (channel, method),
            other => panic!("not one basic method: {other:?}"),
        }
    }

    proptest! {
        #[test]
        fn deliver_is_read_back_by_the_library(
            channel in 1u16.., delivery_tag: u64, redelivered: bool,
            tag in "\\PC{0,60}", exchange in "\\PC{0,60}", key in "\\PC{0,60}",
        ) {
            let mut out = Vec::new();
            deliver(&mut out, channel, &Deliver {
                consumer_tag: tag.as_bytes(), delivery_tag, redelivered,
                exchange: exchange.as_bytes(), routing_key: key.as_bytes(),
            });
            let expected = basic::AMQPMethod::Deliver(basic::Deliver {
                consumer_tag: tag.as_str().into(), delivery_tag, redelivered,
                exchange: exchange.as_str().into(), routing_key: key.as_str().into(),
            });
            prop_assert_eq!(method_of(&out), (channel, expected));
        }

        #[test]
        fn get_ok_and_return_are_read_back_by_the_library(
            delivery_tag: u64, redelivered: bool, message_count: u32,
            exchange in "\\PC{0,60}", key in "\\PC{0,60}",
        ) {
            let (exchange, routing_key) = (exchange.as_bytes(), key.as_bytes());
            let mut out = Vec::new();
            get_ok(&mut out, 1, &GetOk { delivery_tag, redelivered, exchange, routing_key, message_count });
            let (_, method) = method_of(&out);
            let basic::AMQPMethod::GetOk(read) = method else { panic!("{method:?}") };
            prop_assert_eq!(read.delivery_tag, delivery_tag);
            prop_assert_eq!((read.redelivered, read.message_count), (redelivered, message_count));
            prop_assert_eq!(read.routing_key.as_str().as_bytes(), routing_key);

            let mut out = Vec::new();
            basic_return(&mut out, 1, &Return { reply_code: 312, reply_text: b"NO_ROUTE", exchange, routing_key });
            let (_, method) = method_of(&out);
            let basic::AMQPMethod::Return(read) = method else { panic!("{method:?}") };
            prop_assert_eq!((read.reply_code, read.reply_text.as_str()), (312, "NO_ROUTE"));
            prop_assert_eq!(read.exchange.as_str().as_bytes(), exchange);
        }

        #[test]
        fn confirms_and_contents_are_read_back_by_the_library(
            tag: u64, multiple: bool, body_size: u64, payload in proptest::collection::vec(any::<u8>(), 1..99),
        ) {
            let mut out = Vec::new();
            ack(&mut out, 3, tag, multiple);
            let expected = basic::AMQPMethod::Ack(basic::Ack { delivery_tag: tag, multiple });
            prop_assert_eq!(method_of(&out), (3, expected));
            out.clear();
            nack(&mut out, 3, tag);
            let expected = basic::Nack { delivery_tag: tag, multiple: false, requeue: false };
            prop_assert_eq!(method_of(&out), (3, basic::AMQPMethod::Nack(expected)));
            out.clear();
            content_header(&mut out, 3, body_size, &[0x10, 0, 2]);
            let (_, frame) = parse_frame(out.as_slice()).unwrap();
            let AMQPFrame::Header(3, header) = frame else { panic!("{frame:?}") };
            prop_assert_eq!(header.body_size, body_size);
            prop_assert_eq!(header.properties.delivery_mode(), &Some(2));
            out.clear();
            body(&mut out, 3, &payload);
            let frame = parse_frame(out.as_slice()).unwrap().1;
            prop_assert_eq!(frame, AMQPFrame::Body(3, payload));
        }
    }
}
