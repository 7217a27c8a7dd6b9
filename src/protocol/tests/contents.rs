//! Contents from their method, header and body frames (CON-110 to CON-119).

use super::*;
use crate::protocol::{Body, Event, Limits, Step};

const NO_METHOD: &str =
    "> conn 505 \"UNEXPECTED_FRAME - expected method frame, got non method frame instead\" (0,0)";
const NO_HEADER: &str = "> conn 505 \"UNEXPECTED_FRAME - expected content header for class 60, got non content \
                         header frame instead\" (60,40)";
const NO_BODY: &str = "> conn 505 \"UNEXPECTED_FRAME - expected content body, got non content body frame \
                       instead\" (60,40)";

/// A content header with any class and weight.
fn header_of(class: u16, weight: u16, body_size: u64) -> Vec<u8> {
    let payload =
        [&class.to_be_bytes()[..], &weight.to_be_bytes(), &body_size.to_be_bytes(), &[0, 0]].concat();
    frame(2, 1, &payload)
}

/// A client that has published and owes the content.
fn published() -> Peer {
    let mut peer = Peer::with_channel();
    assert_eq!(peer.send(&publish(1, "x", "k")), [""; 0]);
    peer
}

/// A client that owes so many octets of body.
fn owing(octets: u64) -> Peer {
    let mut peer = published();
    assert_eq!(peer.send(&content_header(1, octets, &[0, 0])), [""; 0]);
    peer
}

#[test]
fn con_110_a_content_begins_with_its_method() {
    for frame in [content_header(1, 3, &[0, 0]), body(1, b"abc")] {
        assert_eq!(Peer::with_channel().send(&frame), [NO_METHOD]);
    }
}

#[test]
fn con_111_after_a_publish_its_header_is_due() {
    for frame in [publish(1, "x", "k"), channel_close(1), raw(1, (60, 80), &[0; 9]), body(1, b"abc")] {
        assert_eq!(published().send(&frame), [NO_HEADER]);
        let at_once = [publish(1, "x", "k"), frame].concat();
        assert_eq!(Peer::with_channel().send(&at_once), [NO_HEADER], "in one read as in two");
    }
}

#[test]
fn con_112_the_header_is_of_class_basic() {
    let expected = "> conn 505 \"UNEXPECTED_FRAME - expected content header for class 60, got one for class 50 \
                    instead\" (60,40)";
    assert_eq!(published().send(&header_of(50, 0, 3)), [expected]);
    assert_eq!(Peer::with_channel().send(&[publish(1, "", ""), header_of(50, 0, 3)].concat()), [expected]);
}

#[test]
fn con_113_the_weight_is_zero() {
    assert_eq!(published().send(&header_of(60, 1, 3)), [NO_HEADER]);
}

#[test]
fn con_114_after_the_header_its_body_is_due() {
    for frame in [publish(1, "x", "k"), content_header(1, 3, &[0, 0]), channel_close(1)] {
        assert_eq!(owing(3).send(&frame), [NO_BODY]);
        let at_once = [publish(1, "x", "k"), content_header(1, 3, &[0, 0]), frame].concat();
        assert_eq!(Peer::with_channel().send(&at_once), [NO_BODY]);
    }
}

#[test]
fn con_115_a_body_is_not_longer_than_announced() {
    let expected = "> conn 501 \"FRAME_ERROR - content body frame exceeds remaining content size\" (60,40)";
    assert_eq!(owing(3).send(&body(1, b"abcd")), [expected]);
    assert_eq!(owing(3).send(&[body(1, b"ab"), body(1, b"cd")].concat()), [expected]);
    let at_once = [publish(1, "x", "k"), content_header(1, 3, &[0, 0]), body(1, b"abcd")].concat();
    assert_eq!(Peer::with_channel().send(&at_once), [expected]);
}

#[test]
fn con_116_no_configuration_allows_more_than_the_cap() {
    let lines = published().send(&content_header(1, 536_870_913, &[0, 0]));
    assert_eq!(
        lines,
        ["> conn 501 \"FRAME_ERROR - content body size 536870913 exceeds maximum allowed size 536870912\" \
          (60,40)"]
    );
    assert!(published().send(&content_header(1, u64::MAX, &[0, 0]))[0].starts_with("> conn 501"));
}

#[test]
fn con_117_empty_body_frames_are_accepted_in_the_middle() {
    let frames = [body(1, b""), body(1, b"ab"), body(1, b""), body(1, b"c")].concat();
    assert_eq!(owing(3).send(&frames), ["1: publish 'x' 'k' [\\x00\\x00] \"abc\""]);
}

#[test]
fn con_118_an_empty_content_is_complete_with_its_header() {
    let mut peer = published();
    let lines = peer.send(&[content_header(1, 0, &[0x10, 0, 2]), body(1, b"")].concat());
    assert_eq!(lines, ["1: publish 'x' 'k' [\\x10\\x00\\x02] \"\"", NO_METHOD]);
}

#[test]
fn con_119_a_message_that_is_too_large_closes_its_channel_and_its_body_is_discarded() {
    let configured = |message_size_max| {
        let limits = Limits { message_size_max, ..limits() };
        Peer::opened_with(limits, &tune_ok(2047, 131_072, 60)).and_channel(1).and_channel(2)
    };
    let mut peer = configured(10);
    let publish_of = |octets| [publish(1, "x", "k"), content_header(1, octets, &[0, 0])].concat();
    let expected = "> chan 1 406 \"PRECONDITION_FAILED - message size 11 is larger than configured max size 10\" \
                    (60,40)";
    let lines = peer.send(&[publish_of(11), body(1, b"hello "), body(1, b"world")].concat());
    assert_eq!(lines, [expected]);
    assert_eq!(peer.send(&raw(1, (20, 41), b"")), [""; 0]);
    assert!(peer.machine.is_channel_open(2) && peer.machine.is_running());

    let mut peer = configured(10);
    let whole = [publish_of(10), body(1, b"helloworld")].concat();
    assert_eq!(peer.send(&whole), ["1: publish 'x' 'k' [\\x00\\x00] \"helloworld\""]);
    // At the cap itself nothing was configured.
    assert!(configured(536_870_912).send(&publish_of(536_870_913))[0].starts_with("> conn 501"));
}

#[test]
fn a_header_without_properties_is_malformed() {
    let lines = published().send(&frame(2, 1, &[0; 13]));
    assert_eq!(lines.len(), 1);
    assert!(lines[0].starts_with("> conn 502 \"SYNTAX_ERROR"), "{lines:?}");
}

#[test]
fn wir_05_contents_of_different_channels_may_interleave() {
    let mut peer = Peer::with_channel().and_channel(2);
    let frames = [
        publish(1, "", "a"),
        publish(2, "", "b"),
        content_header(2, 2, &[0, 0]),
        content_header(1, 2, &[0, 0]),
        body(1, b"1"),
        frame(8, 0, b""),
        body(2, b"2"),
        body(2, b"2"),
        body(1, b"1"),
    ];
    assert_eq!(
        peer.send(&frames.concat()),
        ["2: publish '' 'b' [\\x00\\x00] \"22\"", "1: publish '' 'a' [\\x00\\x00] \"11\""]
    );
}

#[test]
fn a_long_body_arrives_whole_in_frames_of_any_size() {
    let long: Vec<u8> = (0..100_000u32).map(|n| (n % 251) as u8).collect();
    let mut lines = Vec::new();
    for size in [1_000, 16_384, 20_000, 100_000] {
        let mut peer = owing(100_000);
        let frames: Vec<u8> = long.chunks(size).flat_map(|part| body(1, part)).collect();
        lines.extend(peer.send(&frames));
    }
    lines.dedup();
    assert_eq!(lines.len(), 1, "{lines:?}");
}

#[test]
fn a_large_body_lies_where_its_frame_was_lent() {
    let long: Vec<u8> = (0..20_000u32).map(|n| (n % 251) as u8).collect();
    let mut peer = owing(20_000);
    let lent = bytes::Bytes::from(body(1, &long));
    peer.machine.lend(Some(lent.clone()));
    let mut out = Vec::new();
    let step = peer.machine.step(&lent, &mut out).expect("the frame is in order");
    let Step::Event { used, event: Event::Content(1, content) } = step else { panic!("{step:?}") };
    let Body::Pieces(pieces) = content.body else { panic!("{:?}", content.body) };
    assert_eq!((used, pieces.len()), (lent.len(), 1));
    assert_eq!(pieces[0], long);
    assert_eq!(pieces[0].as_ptr(), lent[7..].as_ptr(), "nothing was copied");
}

#[test]
fn what_was_lent_for_another_frame_is_not_kept() {
    let long: Vec<u8> = (0..20_000u32).map(|n| (n % 251) as u8).collect();
    let mut peer = owing(20_000);
    peer.machine.lend(Some(bytes::Bytes::from(body(1, &[7; 19_999]))));
    let mut out = Vec::new();
    let input = body(1, &long);
    let step = peer.machine.step(&input, &mut out).expect("the frame is in order");
    let Step::Event { event: Event::Content(1, content), .. } = step else { panic!("{step:?}") };
    let Body::Pieces(pieces) = content.body else { panic!("{:?}", content.body) };
    assert_eq!(pieces.concat(), long);
}

/// Half a content of so many octets on each of these channels.
fn halves(channels: std::ops::RangeInclusive<u16>, octets: usize) -> Vec<u8> {
    let mut frames = Vec::new();
    for channel in channels {
        frames.extend(publish(channel, "", "q"));
        frames.extend(content_header(channel, 2 * octets as u64, &[0, 0]));
        frames.extend(body(channel, &vec![b'x'; octets]));
    }
    frames
}

#[test]
fn half_received_contents_over_several_channels_are_bounded() {
    let limits = Limits { partial_content_max: 1_000, ..limits() };
    let peer = || {
        let peer = Peer::opened_with(limits.clone(), &tune_ok(2047, 131_072, 60));
        peer.and_channel(1).and_channel(2).and_channel(3)
    };
    let expected = "> conn 506 \"RESOURCE_ERROR - too many octets in contents that are not complete\" (0,0)";
    assert_eq!(peer().send(&halves(1..=3, 300)), [""; 0]);
    assert_eq!(peer().send(&halves(1..=3, 400)), [expected]);
    // One alone may be as large as messages may be: nothing else would end it.
    assert_eq!(peer().send(&halves(1..=1, 5_000)), [""; 0]);
    assert_eq!(peer().send(&halves(1..=2, 5_000)), [expected]);
}

#[test]
fn what_is_complete_or_closed_no_longer_counts_as_half_received() {
    let limits = Limits { partial_content_max: 1_000, ..limits() };
    let peer = Peer::opened_with(limits, &tune_ok(2047, 131_072, 60));
    let mut peer = peer.and_channel(1).and_channel(2);
    for _ in 0..5 {
        assert_eq!(peer.send(&halves(1..=2, 400)), [""; 0]);
        let rest = [body(1, &[b'x'; 400]), body(2, &[b'x'; 400])].concat();
        assert_eq!(peer.send(&rest).len(), 2);
    }
    for _ in 0..5 {
        assert_eq!(peer.send(&halves(1..=2, 400)), [""; 0]);
        assert_eq!(peer.close_channel(1).len() + peer.close_channel(2).len(), 2);
        let again = [raw(1, (20, 41), b""), raw(2, (20, 41), b""), channel_open(1), channel_open(2)];
        assert_eq!(peer.send(&again.concat()).len(), 4);
    }
}

#[test]
fn properties_count_as_half_received_octets() {
    let limits = Limits { partial_content_max: 10_000, ..limits() };
    let peer = Peer::opened_with(limits, &tune_ok(2047, 131_072, 60));
    let mut peer = peer.and_channel(1).and_channel(2);
    let large = vec![0; 9_000];
    let frames = |channel| [publish(channel, "", "q"), content_header(channel, 5, &large)].concat();
    assert_eq!(peer.send(&frames(1)), [""; 0]);
    let lines = peer.send(&frames(2));
    assert_eq!(lines.len(), 1);
    assert!(lines[0].starts_with("> conn 506"), "{lines:?}");
}
