//! Frames that cannot be read (CON-90 to CON-101).

use super::*;
use crate::{amqp::table::TABLE_DEPTH_MAX, protocol::Limits};

/// A frame head that announces more than will be sent.
fn head(kind: u8, channel: u16, size: u32) -> Vec<u8> {
    [&[kind][..], &channel.to_be_bytes(), &size.to_be_bytes()].concat()
}

fn assert_501(lines: &[String], text: &str) {
    assert_eq!(lines, [format!("> conn 501 \"FRAME_ERROR - {text}\" (0,0)")]);
}

#[test]
fn con_90_every_frame_ends_with_its_octet() {
    let mut wrong = channel_open(1);
    *wrong.last_mut().expect("an end") = 0;
    let lines = Peer::opened().send(&wrong);
    assert_501(&lines, "type 1, all octets = <<0,20,0,10,0>>: {invalid_frame_end_marker,0}");
    let mut wrong = publish(1, "", "a routing key of some length");
    *wrong.last_mut().expect("an end") = 1;
    let lines = Peer::with_channel().send(&wrong);
    let octets = "0,60,0,40,0,0,0,28,97,32,114,111,117,116,105,110";
    assert_501(&lines, &format!("type 1, first 16 octets = <<{octets}>>: {{invalid_frame_end_marker,1}}"));
}

#[test]
fn con_91_a_frame_that_is_too_large_is_refused_by_its_head() {
    let lines = Peer::with_channel().send(&head(3, 1, 200_000));
    assert_501(&lines, "type 3, all octets = <<>>: {frame_too_large,200000,131064}");
    let lines = Peer::opened().send(&head(1, 0, u32::MAX));
    assert_501(&lines, "type 1, all octets = <<>>: {frame_too_large,4294967295,131064}");
}

#[test]
fn con_91_the_negotiated_frame_size_counts() {
    let mut peer = Peer::opened_with(limits(), &tune_ok(2047, 4096, 60)).and_channel(1);
    assert_501(&peer.send(&head(3, 1, 4097)), "type 3, all octets = <<>>: {frame_too_large,4097,4088}");
}

#[test]
fn con_92_eight_octets_more_than_allowed_are_accepted() {
    let mut peer = Peer::opened_with(limits(), &tune_ok(2047, 4096, 60)).and_channel(1);
    let octets = [publish(1, "", "q"), content_header(1, 4096, &[0, 0]), body(1, &[b'x'; 4096])].concat();
    let lines = peer.send(&octets);
    assert_eq!(lines.len(), 1);
    assert!(lines[0].starts_with("1: publish '' 'q' [\\x00\\x00] 4096 octets"), "{lines:?}");
}

#[test]
fn con_93_a_content_header_obeys_the_same_limit() {
    let mut peer = Peer::opened_with(limits(), &tune_ok(2047, 4096, 60)).and_channel(1);
    let lines = peer.send(&[publish(1, "", "q"), head(2, 1, 4097)].concat());
    assert_501(&lines, "type 2, all octets = <<>>: {frame_too_large,4097,4088}");
}

#[test]
fn con_94_unknown_frame_types_are_501() {
    for channel in [0, 1, 9] {
        let lines = Peer::with_channel().send(&frame(9, channel, b"abc"));
        assert_501(&lines, "type 9, all octets = <<\"abc\">>: unknown_frame");
    }
}

#[test]
fn con_95_a_method_has_at_least_its_numbers() {
    let lines = Peer::with_channel().send(&frame(1, 1, &[0, 50]));
    assert_501(&lines, "type 1, all octets = <<0,50>>: unknown_frame");
    assert_501(&Peer::opened().send(&frame(1, 0, b"")), "type 1, all octets = <<>>: unknown_frame");
}

#[test]
fn con_96_arguments_fit_their_method_exactly() {
    let truncated: [((u16, u16), &[u8]); 6] = [
        ((50, 10), &[0, 0, 1]),
        ((60, 40), &[0, 0, 0, 0]),
        ((60, 40), &[0, 0, 0, 0, 0, 0]),
        ((60, 80), &[0; 8]),
        ((60, 120), &[0; 10]),
        ((60, 10), &[0; 8]),
    ];
    for ((class, method), arguments) in truncated {
        let lines = Peer::with_channel().send(&raw(1, (class, method), arguments));
        assert_eq!(lines.len(), 1);
        assert!(lines[0].starts_with("> conn 501 \"FRAME_ERROR - cannot decode <<0,"), "{lines:?}");
        assert!(lines[0].ends_with(&format!("({class},{method})")), "{lines:?}");
    }
}

#[test]
fn con_97_names_are_utf_8_except_in_a_publish() {
    let lines = Peer::with_channel().send(&raw(1, (50, 30), &[0, 0, 1, 0xff, 0]));
    assert_eq!(lines, ["> conn 501 \"FRAME_ERROR - Malformed UTF-8 in shortstr\" (50,30)"]);
    let octets = [raw(1, (60, 40), &[0, 0, 1, 0xff, 1, 0xfe, 0]), content_header(1, 0, &[0, 0])].concat();
    let lines = Peer::with_channel().send(&octets);
    assert_eq!(lines, ["1: publish '\\xff' '\\xfe' [\\x00\\x00] \"\""]);
}

#[test]
fn con_98_unknown_methods_are_540_with_their_numbers() {
    for channel in [0, 1, 9] {
        let lines = Peer::with_channel().send(&raw(channel, (60, 200), b""));
        assert_eq!(lines, ["> conn 540 \"NOT_IMPLEMENTED - unknown method 60.200\" (60,200)"]);
    }
}

/// queue.declare with these octets as its arguments table.
fn declare_with(table: &[u8]) -> Vec<u8> {
    let size = u32::try_from(table.len()).expect("a small table");
    raw(1, (50, 10), &[&[0, 0, 1, b'q', 0][..], &size.to_be_bytes(), table].concat())
}

#[test]
fn con_99_malformed_tables_are_502() {
    let lines = Peer::with_channel().send(&declare_with(b"\x09x"));
    assert_eq!(
        lines,
        ["> conn 502 \"SYNTAX_ERROR - malformed field table: field table ends inside a field\" (50,10)"]
    );
}

#[test]
fn con_99_tables_are_nested_as_deep_as_configured() {
    let nested = |depth: usize| {
        (0..depth).fold(Vec::new(), |inner: Vec<u8>, _| {
            let size = u32::try_from(inner.len()).expect("a small table");
            [&b"\x01tF"[..], &size.to_be_bytes(), &inner].concat()
        })
    };
    for depth_max in [1, 8, TABLE_DEPTH_MAX] {
        let deep = || Peer::opened_with(Limits { table_depth_max: depth_max, ..limits() }, &tune_ok(1, 0, 0));
        let mut peer = deep().and_channel(1);
        assert_eq!(peer.send(&declare_with(&nested(depth_max))), ["1: 50.10"]);
        let lines = peer.send(&declare_with(&nested(depth_max + 1)));
        assert_eq!(
            lines,
            ["> conn 502 \"SYNTAX_ERROR - malformed field table: field table nested too deep\" (50,10)"]
        );
    }
}

#[test]
fn con_101_unknown_field_types_are_502_and_a_nan_passes() {
    let lines = Peer::with_channel().send(&declare_with(b"\x01kU\0\0"));
    assert_eq!(lines, ["> conn 502 \"SYNTAX_ERROR - malformed field table: unknown field type 85\" (50,10)"]);
    let nan = [&b"\x01kd"[..], &f64::NAN.to_be_bytes()].concat();
    assert_eq!(Peer::with_channel().send(&declare_with(&nan)), ["1: 50.10"]);
}
