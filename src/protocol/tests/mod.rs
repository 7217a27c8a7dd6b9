//! Transcripts of the connection machine: octets in, events and octets out, time as a number.
//!
//! Tests are named after the lines of the behaviour reference they hold us to.

mod channels;
mod closing;
mod contents;
mod framing;
mod handshake;
mod heartbeats;
mod peer;
mod splitting;

use peer::{
    HEADER, Peer, amqplain, body, channel_close, channel_open, client, close, close_ok, content_header,
    frame, limits, method, open, plain, publish, raw, start_ok, tune_ok,
};
