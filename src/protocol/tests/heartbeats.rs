//! Heartbeats to the millisecond (CON-60 to CON-65).

use super::*;
use crate::protocol::Timeout;

fn heartbeat() -> Vec<u8> {
    frame(8, 0, b"")
}

/// An open connection whose heartbeat is so many seconds; it was opened at time zero.
fn every(seconds: u16) -> Peer {
    Peer::opened_with(limits(), &tune_ok(2047, 131_072, seconds))
}

#[test]
fn con_60_a_heartbeat_is_sent_after_half_the_interval_without_output() {
    let mut peer = every(2);
    for at in [1_000, 2_000, 3_000] {
        peer.machine.received(at);
        assert_eq!(peer.machine.next_timeout(), Some(at));
        assert_eq!(peer.at(at - 1), (vec![], None));
        assert_eq!(peer.at(at), (vec!["> heartbeat".to_owned()], None));
    }
    assert_eq!(every(1).machine.next_timeout(), Some(500));
}

#[test]
fn con_60_other_output_takes_the_place_of_a_heartbeat() {
    let mut peer = every(2);
    peer.machine.sent(700);
    assert_eq!(peer.machine.next_timeout(), Some(1_700));
    assert_eq!(peer.at(1_000), (vec![], None));
    assert_eq!(peer.at(1_700), (vec!["> heartbeat".to_owned()], None));
}

#[test]
fn con_60_a_peer_that_takes_nothing_gets_one_heartbeat_an_interval() {
    // Nothing is ever reported as sent: the socket is full.
    let mut peer = every(2);
    assert_eq!(peer.at(1_000), (vec!["> heartbeat".to_owned()], None));
    assert_eq!(peer.at(1_000), (vec![], None));
    assert_eq!(peer.machine.next_timeout(), Some(2_000));
}

#[test]
fn con_61_a_silent_peer_is_dropped_between_two_and_three_intervals() {
    for seconds in [1, 2, 4, 60, 65_535] {
        let interval = u64::from(seconds) * 1_000;
        let mut peer = every(seconds);
        let mut now = 0;
        while peer.machine.next_timeout() < Some(interval * 2) {
            now = peer.machine.next_timeout().expect("heartbeats are on");
            assert_eq!(peer.at(now).1, None);
        }
        assert!(now <= interval * 2);
        let dead_at = interval * 2 + interval / 4;
        peer.machine.sent(dead_at);
        assert_eq!(peer.at(dead_at - 1).1, None);
        assert_eq!(peer.at(dead_at), (vec![], Some(Timeout::Heartbeat)));
    }
}

#[test]
fn con_62_any_octet_counts_as_a_sign_of_life() {
    let mut peer = every(2);
    peer.machine.sent(4_000);
    peer.now = 4_000;
    assert_eq!(peer.send(&heartbeat()[..1]), [""; 0]);
    peer.machine.sent(8_499);
    assert_eq!(peer.at(8_499), (vec![], None));
    assert_eq!(peer.at(8_500), (vec![], Some(Timeout::Heartbeat)));
}

#[test]
fn con_63_nothing_is_said_to_a_peer_that_is_gone() {
    let mut peer = every(1);
    assert_eq!(peer.at(2_250), (vec![], Some(Timeout::Heartbeat)));
    assert!(peer.machine.is_finished());
    assert_eq!((peer.machine.next_timeout(), peer.at(9_999)), (None, (vec![], None)));
    assert_eq!(peer.send(&channel_open(1)), ["finished"]);
}

#[test]
fn con_64_while_input_waits_for_an_alarm_silence_says_nothing() {
    let mut peer = every(2);
    peer.machine.pause_monitoring(true, 1_000);
    // Our own heartbeats go on.
    assert_eq!(peer.at(5_000), (vec!["> heartbeat".to_owned()], None));
    assert_eq!(peer.machine.next_timeout(), Some(6_000));
    peer.machine.pause_monitoring(false, 9_000);
    peer.machine.sent(13_000);
    assert_eq!(peer.at(13_499), (vec![], None));
    assert_eq!(peer.at(13_500), (vec![], Some(Timeout::Heartbeat)));
}

#[test]
fn con_65_a_heartbeat_is_empty_and_on_channel_zero() {
    assert_eq!(Peer::opened().send(&heartbeat()), [""; 0]);
    let lines = Peer::opened().send(&frame(8, 1, b""));
    assert_eq!(lines, ["> conn 505 \"UNEXPECTED_FRAME - type 8, all octets = <<>>\" (0,0)"]);
    let lines = Peer::opened().send(&frame(8, 0, b"x"));
    assert_eq!(lines, ["> conn 501 \"FRAME_ERROR - type 8, all octets = <<\"x\">>: unknown_frame\" (0,0)"]);
}

#[test]
fn zero_switches_heartbeats_off_in_both_directions() {
    let mut peer = every(0);
    assert_eq!(peer.machine.next_timeout(), None);
    assert_eq!(peer.at(u64::MAX), (vec![], None));
}

#[test]
fn a_slow_handshake_is_no_missed_heartbeat() {
    let mut peer = Peer::new(limits());
    peer.send(&[HEADER, &start_ok("PLAIN", b"\0guest\0guest"), &tune_ok(2047, 131_072, 1)].concat());
    peer.now = 9_000;
    assert_eq!(peer.send(&open("/")), ["open /", "> 0: 10.41"]);
    assert_eq!(peer.machine.next_timeout(), Some(9_500));
}
