//! What may be said on which channel (CON-120 to CON-130).

use super::{peer::opened_lines, *};
use crate::protocol::Limits;

fn assert_504(lines: &[String], text: &str, (class, method): (u16, u16)) {
    assert_eq!(lines, [format!("> conn 504 \"CHANNEL_ERROR - {text}\" ({class},{method})")]);
}

/// queue.declare of a queue named `q`.
fn declare(channel: u16) -> Vec<u8> {
    raw(channel, (50, 10), &[0, 0, 1, b'q', 0, 0, 0, 0, 0])
}

#[test]
fn con_120_channel_zero_is_for_the_connection() {
    let text = "unexpected method in connection state running";
    assert_504(&Peer::opened().send(&publish(0, "", "q")), text, (60, 40));
    assert_504(&Peer::opened().send(&declare(0)), text, (50, 10));
    assert_504(&Peer::opened().send(&channel_open(0)), text, (20, 10));
}

#[test]
fn con_121_contents_have_no_place_on_channel_zero() {
    let lines = Peer::opened().send(&body(0, b"abc"));
    assert_eq!(lines, ["> conn 505 \"UNEXPECTED_FRAME - type 3, all octets = <<\"abc\">>\" (0,0)"]);
    let lines = Peer::opened().send(&content_header(0, 0, &[0, 0]));
    assert!(lines[0].starts_with("> conn 505 \"UNEXPECTED_FRAME - type 2, "), "{lines:?}");
}

#[test]
fn con_122_the_connection_is_managed_on_channel_zero_only() {
    for channel in [1, 9] {
        let lines = Peer::with_channel().send(&raw(channel, (10, 51), b""));
        assert_eq!(lines, ["> conn 503 \"COMMAND_INVALID - unimplemented method\" (10,51)"]);
    }
}

#[test]
fn con_123_methods_of_servers_reach_the_session_which_refuses_them() {
    let deliver = raw(1, (60, 60), &[1, b'c', 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]);
    assert_eq!(Peer::with_channel().send(&deliver), ["1: 60.60"]);
    assert_eq!(Peer::with_channel().send(&raw(1, (20, 11), &[0; 4])), ["1: 20.11"]);
}

#[test]
fn con_124_a_channel_is_opened_first() {
    let text = "expected 'channel.open'";
    assert_504(&Peer::opened().send(&declare(1)), text, (50, 10));
    assert_504(&Peer::opened().send(&publish(1, "", "q")), text, (60, 40));
    assert_504(&Peer::opened().send(&raw(1, (60, 80), &[0; 9])), text, (60, 80));
    assert_504(&Peer::opened().send(&channel_close(1)), text, (20, 40));
    assert_504(&Peer::opened().send(&raw(1, (60, 10), &[0, 0, 0, 1, 0, 0, 0])), text, (60, 10));
    let lines = Peer::opened().send(&body(1, b"abc"));
    assert_eq!(
        lines,
        ["> conn 505 \"UNEXPECTED_FRAME - expected method frame, got non method frame instead\" (0,0)"]
    );
}

#[test]
fn con_125_a_channel_is_opened_once() {
    let text = "second 'channel.open' seen";
    assert_504(&Peer::with_channel().send(&channel_open(1)), text, (20, 10));
    let mut peer = Peer::with_channel();
    peer.close_channel(1);
    assert_504(&peer.send(&channel_open(1)), text, (20, 10));
}

#[test]
fn con_126_a_channel_that_nobody_closed_is_not_answered() {
    let lines = Peer::with_channel().send(&raw(1, (20, 41), b""));
    assert_eq!(lines, ["> conn 503 \"COMMAND_INVALID - unimplemented method\" (20,41)"]);
}

#[test]
fn con_127_channel_max_bounds_how_many_channels_not_their_numbers() {
    let mut peer = Peer::opened_with(limits(), &tune_ok(1, 131_072, 60));
    assert_eq!(peer.send(&channel_open(7)), opened_lines(7));
    let mut peer = Peer::opened();
    for channel in [1, 3_000, 65_535] {
        assert_eq!(peer.send(&channel_open(channel)), opened_lines(channel));
    }
}

#[test]
fn con_128_one_channel_more_than_negotiated_is_530() {
    let mut peer = Peer::opened_with(limits(), &tune_ok(1, 131_072, 60)).and_channel(1);
    let lines = peer.send(&channel_open(2));
    let text = "number of channels opened (1) has reached the negotiated channel_max (1)";
    assert_eq!(lines, [format!("> conn 530 \"NOT_ALLOWED - {text}\" (0,0)")]);
    // A channel that closed is not counted.
    let mut peer = Peer::opened_with(limits(), &tune_ok(1, 131_072, 60)).and_channel(1);
    assert_eq!(peer.send(&[channel_close(1), channel_open(2)].concat())[2..], opened_lines(2));
}

#[test]
fn con_130_a_number_is_free_after_close_ok_in_either_direction() {
    let mut peer = Peer::with_channel();
    for _ in 0..3 {
        peer.send(&channel_close(1));
        assert_eq!(peer.send(&channel_open(1)), opened_lines(1));
        peer.close_channel(1);
        let lines = peer.send(&[raw(1, (20, 41), b""), channel_open(1)].concat());
        assert_eq!(lines, opened_lines(1));
    }
}

#[test]
fn con_130_a_new_channel_owes_nothing_of_an_earlier_content() {
    let mut peer = Peer::with_channel();
    peer.send(&[publish(1, "", "q"), content_header(1, 9, &[0, 0])].concat());
    peer.close_channel(1);
    peer.send(&[raw(1, (20, 41), b""), channel_open(1)].concat());
    assert_eq!(peer.send(&declare(1)), ["1: 50.10"]);
}

#[test]
fn ch_72_a_prefetch_size_is_not_implemented() {
    let lines = Peer::with_channel().send(&raw(1, (60, 10), &[0, 0, 0, 1, 0, 5, 0]));
    assert_eq!(lines, ["> conn 540 \"NOT_IMPLEMENTED - prefetch_size!=0 (1)\" (60,10)"]);
    assert_eq!(Peer::with_channel().send(&raw(1, (60, 10), &[0, 0, 0, 0, 0, 5, 0])), ["1: 60.10"]);
}

#[test]
fn as_many_channels_as_configured_can_be_open() {
    let limits = Limits { channel_max: 300, ..limits() };
    let mut peer = Peer::opened_with(limits, &tune_ok(300, 131_072, 60));
    let all: Vec<u8> = (1..=300).flat_map(channel_open).collect();
    assert_eq!(peer.send(&all).len(), 600);
    assert!(peer.send(&channel_open(301))[0].starts_with("> conn 530"));
}
