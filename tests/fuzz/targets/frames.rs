//! Octets into the connection machine after a valid handshake: no panic, well-formed output, and the same
//! events and output however the octets are cut.
//!
//! The first octet says how to read the rest: odd, as a stream as it is; even, as frames in a compact form
//! (kind, channel, length, payload) that are given their envelopes, so that most inputs get past framing.
#![no_main]

use leveret::amqp::connection::TuneOk;
use leveret::protocol::{Body, Connection, Content, Event, Step};
use leveret_fuzz::frames::{HEADER, frame, handshake, identity, small_limits, take_frames};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((&[form, cut], rest)) = input.split_first_chunk() else { return };
    let opening = handshake(true, TuneOk { channel_max: 4, frame_max: 4096, heartbeat: 1 }, "/");
    let (opening, octets) = match form {
        form if form % 2 == 0 => (opening, framed(rest)),
        // Rarely the handshake itself.
        form if form % 16 == 1 => (HEADER.to_vec(), rest.to_vec()),
        form if form % 16 == 3 => (Vec::new(), rest.to_vec()),
        _ => (opening, rest.to_vec()),
    };
    let whole = transcript(&opening, [&octets[..]]);
    let size = 1 + usize::from(cut);
    if size < octets.len() {
        assert_eq!(transcript(&opening, octets.chunks(size)), whole, "cut into pieces of {size}");
    }
    let (first, second) = octets.split_at(octets.len() * usize::from(cut) / 256);
    assert_eq!(transcript(&opening, [first, second]), whole, "cut at {}", first.len());
});

/// Frames from their compact form; what is left over at the end follows as it is.
fn framed(mut rest: &[u8]) -> Vec<u8> {
    let mut octets = Vec::new();
    while let Some((&[kind, channel, length], after)) = rest.split_first_chunk() {
        let length = usize::from(length).min(after.len());
        let (payload, after) = after.split_at(length);
        // Mostly the types that exist and the channels that can be open.
        let kind = if kind < 200 { [1, 1, 2, 3, 8][usize::from(kind % 5)] } else { kind };
        octets.extend(frame(kind, u16::from(channel % 6), payload));
        rest = after;
    }
    octets.extend_from_slice(rest);
    octets
}

/// What happened after the opening, in order, and how the machine stands after it.
fn transcript<'a>(opening: &[u8], pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<String>, bool, bool) {
    let mut machine = Connection::new(small_limits(), identity(), 0);
    let mut lines = Vec::new();
    let mut waiting: Vec<u8> = Vec::new();
    assert_eq!(take_in(&mut machine, opening, &mut lines), opening.len());
    lines.clear();
    for piece in pieces {
        waiting.extend_from_slice(piece);
        let used = take_in(&mut machine, &waiting, &mut lines);
        assert!(used <= waiting.len());
        waiting.drain(..used);
    }
    assert!(machine.next_timeout().is_none_or(|at| at <= 30_000 || machine.is_running()));
    (lines, machine.is_running(), machine.is_finished())
}

fn take_in(machine: &mut Connection, input: &[u8], lines: &mut Vec<String>) -> usize {
    let mut used = 0;
    loop {
        let mut out = Vec::new();
        let step = machine.step(&input[used..], &mut out);
        tell(&mut out, lines);
        match step {
            Ok(Step::NeedMore { used: octets }) => return used + octets,
            Ok(Step::Finished) => return input.len(),
            Ok(Step::Event { used: octets, event }) => {
                used += octets;
                lines.push(line(&event));
                match event {
                    Event::Login(login) if login.password == b"guest" => machine.accept_login(&mut out),
                    Event::Login(_) => machine.refuse_login(0, &mut out),
                    Event::Open { .. } => machine.accept_open(0, &mut out),
                    Event::ChannelClose(channel) => machine.channel_closed(channel, &mut out),
                    Event::Close => machine.closed_by_peer(&mut out),
                    _ => {}
                }
            }
            Err((channel, failure, octets)) => {
                assert!(failure.text.len() <= 255);
                used += octets;
                machine.fail(channel, &failure, 0, &mut out);
            }
        }
        tell(&mut out, lines);
    }
}

fn tell(out: &mut Vec<u8>, lines: &mut Vec<String>) {
    if !out.is_empty() {
        lines.push(format!("> {}", out.escape_ascii()));
        take_frames(out);
        assert!(out.is_empty(), "the machine writes whole frames");
    }
}

/// An event in words. Whether a body came whole or in pieces depends on the cuts, and nothing else does.
fn line(event: &Event<'_>) -> String {
    match event {
        Event::Content(channel, content) => {
            // Whether it stood in the input in one piece depends on the cuts, too.
            let Content { exchange, routing_key, mandatory, immediate, properties, body, frames: _ } =
                content;
            let octets = match body {
                Body::Whole(octets) => octets.to_vec(),
                Body::Pieces(pieces) => pieces.concat(),
            };
            assert_eq!(octets.len() as u64, body.length());
            format!(
                "{channel} {exchange:?} {routing_key:?} {mandatory} {immediate} {properties:?} {octets:?}"
            )
        }
        other => format!("{other:?}"),
    }
}
