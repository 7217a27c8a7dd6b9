//! A raw AMQP 0-9-1 client for tests: blocking sockets and a codec of its own.
//!
//! It shares no code with the broker, so that a mistake in the broker's codec cannot hide here,
//! and it can send what a well-behaved client never would. Values have a text notation
//! (see [`text`]), the same for what is sent and for what is shown.
#![allow(dead_code)] // Shared by several test binaries, none of which uses everything.

pub mod codec;
pub mod methods;
pub mod peer;
pub mod text;
pub mod value;

pub use codec::{Content, Method};
pub use peer::{End, Event, Peer};
pub use value::{Table, Value};

/// The protocol header of AMQP 0-9-1.
pub const HEADER: &[u8; 8] = b"AMQP\x00\x00\x09\x01";

/// Frame type of a method.
pub const METHOD: u8 = 1;
/// Frame type of a content header.
pub const CONTENT_HEADER: u8 = 2;
/// Frame type of a part of a body.
pub const BODY: u8 = 3;
/// Frame type of a heartbeat.
pub const HEARTBEAT: u8 = 8;
/// Closes every frame.
pub const FRAME_END: u8 = 0xCE;

/// One frame as octets.
pub fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let size = u32::try_from(payload.len()).expect("a test's frame fits in 4 GiB");
    let mut out = Vec::with_capacity(payload.len() + 8);
    out.push(kind);
    out.extend(channel.to_be_bytes());
    out.extend(size.to_be_bytes());
    out.extend(payload);
    out.push(FRAME_END);
    out
}
