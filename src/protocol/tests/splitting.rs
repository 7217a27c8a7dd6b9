//! However the network cuts the octets of a client, the same happens in the same order.

use proptest::prelude::*;

use super::*;
use crate::protocol::Limits;

/// Small bounds, so that sessions of a few hundred octets reach them.
fn small() -> Limits {
    Limits { frame_max: 4096, message_size_max: 600, partial_content_max: 700, channel_max: 3, ..limits() }
}

/// Feeds the pieces one after the other; returns all that happened, and how the machine stands.
fn transcript<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<String>, bool, bool) {
    let mut peer = Peer::new(small());
    let mut lines: Vec<String> = Vec::new();
    for piece in pieces {
        let more = peer.send(piece);
        // Once finished a machine says so at every look.
        if lines.last().is_some_and(|last| last == "finished") {
            assert_eq!(more, ["finished"]);
        } else {
            lines.extend(more);
        }
    }
    (lines, peer.machine.is_running(), peer.machine.is_finished())
}

/// A session that touches every kind of event.
fn session() -> Vec<u8> {
    let long = vec![b'l'; 500];
    [
        HEADER.to_vec(),
        start_ok("PLAIN", &plain("guest", "guest")),
        tune_ok(3, 4096, 0),
        open("/"),
        channel_open(1),
        frame(8, 0, b""),
        publish(1, "x", "whole"),
        content_header(1, 5, &[0x10, 0, 2]),
        body(1, b"whole"),
        publish(1, "", "empty"),
        content_header(1, 0, &[0, 0]),
        channel_open(7),
        publish(1, "", "pieces"),
        publish(7, "", "other"),
        content_header(1, 502, &[0, 0]),
        body(1, &long),
        content_header(7, 1, &[0, 0]),
        body(7, b"7"),
        body(1, b"12"),
        raw(1, (60, 80), &[0, 0, 0, 0, 0, 0, 0, 1, 1]),
        raw(7, (50, 10), &[0, 0, 1, b'q', 0, 0, 0, 0, 0]),
        publish(7, "", "too large"),
        content_header(7, 601, &[0, 0]),
        body(7, &long),
        raw(7, (20, 41), b""),
        channel_close(1),
        channel_open(1),
        close(),
    ]
    .concat()
}

#[test]
fn every_single_cut_of_a_session_gives_the_same_transcript() {
    let session = session();
    let whole = transcript([&session[..]]);
    assert_eq!(whole.0.last().map(String::as_str), Some("finished"));
    assert!(15 < whole.0.len(), "{:?}", whole.0);
    for at in 1..session.len() {
        let (first, second) = session.split_at(at);
        assert_eq!(transcript([first, second]), whole, "cut at {at}");
    }
}

#[test]
fn a_session_octet_by_octet_gives_the_same_transcript() {
    let session = session();
    assert_eq!(transcript(session.chunks(1)), transcript([&session[..]]));
}

/// One frame of a client, good or bad, on channels that may be open or not.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let payload = || prop::collection::vec(any::<u8>(), 0..30);
    let channel = || prop_oneof![4 => Just(1u16), 2 => Just(2u16), 1 => 0u16..5];
    prop_oneof![
        4 => channel().prop_map(channel_open),
        2 => channel().prop_map(channel_close),
        3 => channel().prop_map(|channel| raw(channel, (20, 41), b"")),
        6 => (channel(), "[a-z]{0,3}").prop_map(|(channel, key)| publish(channel, "", &key)),
        6 => (channel(), 0u64..12).prop_map(|(channel, size)| content_header(channel, size, &[0, 0])),
        1 => (channel(), 590u64..620).prop_map(|(channel, size)| content_header(channel, size, &[0, 0])),
        6 => (channel(), prop::collection::vec(any::<u8>(), 0..12))
            .prop_map(|(channel, octets)| body(channel, &octets)),
        1 => (channel(), 300usize..600).prop_map(|(channel, size)| body(channel, &vec![b'x'; size])),
        // A complete publish, which has a path of its own.
        8 => (channel(), prop::collection::vec(any::<u8>(), 0..12)).prop_map(|(channel, octets)| {
            let header = content_header(channel, octets.len() as u64, &[0, 0]);
            let body = if octets.is_empty() { Vec::new() } else { body(channel, &octets) };
            [publish(channel, "x", "k"), header, body].concat()
        }),
        3 => (channel(), any::<u64>(), any::<u8>()).prop_map(|(channel, tag, bits)| {
            raw(channel, (60, 80), &[&tag.to_be_bytes()[..], &[bits]].concat())
        }),
        2 => channel().prop_map(|channel| raw(channel, (60, 10), &[0; 7])),
        1 => (channel(), payload()).prop_map(|(channel, octets)| frame(1, channel, &octets)),
        1 => (any::<u8>(), channel(), payload()).prop_map(|(kind, channel, octets)| frame(kind, channel, &octets)),
        1 => Just(frame(8, 0, b"")),
        1 => Just(close_ok()),
        1 => Just(close()),
        1 => payload(),
        // Larger than negotiated.
        1 => Just(frame(3, 1, &[0; 4097])),
    ]
}

/// A session from good and bad frames, and where to cut it.
fn any_session() -> impl Strategy<Value = (Vec<u8>, Vec<prop::sample::Index>)> {
    let frames = prop::collection::vec(any_frame(), 0..40);
    let handshake =
        [HEADER, &start_ok("PLAIN", b"\0guest\0guest"), &tune_ok(3, 4096, 0), &open("/")].concat();
    let octets = frames.prop_map(move |frames| [handshake.clone(), frames.concat()].concat());
    (octets, prop::collection::vec(any::<prop::sample::Index>(), 1..12))
}

proptest! {
    #[test]
    fn any_cuts_of_any_session_give_the_same_transcript((octets, cuts) in any_session()) {
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(octets.len())).collect();
        at.sort_unstable();
        let ends = at.iter().copied().chain([octets.len()]);
        let starts = [0].into_iter().chain(at.iter().copied());
        let pieces = starts.zip(ends).map(|(start, end)| &octets[start..end]);
        prop_assert_eq!(transcript(pieces), transcript([&octets[..]]));
        prop_assert_eq!(transcript(octets.chunks(1)), transcript([&octets[..]]));
    }
}
