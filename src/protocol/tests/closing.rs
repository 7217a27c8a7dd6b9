//! Closing in both directions (CON-70 to CON-73, CH-01, CH-02).

use super::{peer::opened_lines, *};
use crate::protocol::Timeout;

const FORCED: &str = "> conn 320 \"CONNECTION_FORCED - closed\" (0,0)";
const NOT_FOUND: &str = "> chan 1 404 \"NOT_FOUND - no queue 'q' in vhost '/'\" (50,10)";

#[test]
fn con_70_a_client_that_closes_is_answered_and_the_rest_of_its_input_is_not_read() {
    let mut peer = Peer::with_channel();
    let lines = peer.send(&[close(), channel_open(2), b"garbage".to_vec()].concat());
    assert_eq!(lines, ["closes", "> 0: 10.51", "finished"]);
    assert!(peer.machine.is_finished());
    assert_eq!(peer.machine.next_timeout(), None);
}

#[test]
fn con_72_after_our_close_everything_but_close_and_close_ok_is_ignored() {
    let mut peer = Peer::with_channel();
    assert_eq!(peer.close_connection(), [FORCED]);
    assert!(!peer.machine.is_running());
    let ignored = [
        channel_open(2),
        publish(1, "", "q"),
        content_header(1, 3, &[0, 0]),
        frame(8, 0, b""),
        frame(9, 7, b"?"),
        raw(1, (10, 51), b""),
        raw(0, (99, 99), b""),
    ];
    assert_eq!(peer.send(&ignored.concat()), [""; 0]);
    assert_eq!(peer.send(&close_ok()), ["finished"]);
}

#[test]
fn con_72_an_unanswered_close_ends_after_the_heartbeat_thirty_seconds_at_most() {
    for (heartbeat, wait) in [(0, 30_000), (5, 5_000), (30, 30_000), (60, 30_000)] {
        let mut peer = Peer::opened_with(limits(), &tune_ok(2047, 131_072, heartbeat));
        peer.now = 1_000;
        assert_eq!(peer.close_connection(), [FORCED]);
        assert_eq!(peer.machine.next_timeout(), Some(1_000 + wait));
        // Signs of life do not prolong it.
        peer.now = 2_000;
        assert_eq!(peer.send(&frame(8, 0, b"")), [""; 0]);
        assert_eq!(peer.at(999 + wait), (vec![], None));
        assert_eq!(peer.at(1_000 + wait), (vec![], Some(Timeout::Close)));
    }
}

#[test]
fn con_72_only_the_first_reason_is_told() {
    let mut peer = Peer::opened();
    assert_eq!(peer.send(&[frame(9, 0, b""), frame(9, 0, b"")].concat()).len(), 1);
    assert_eq!(peer.close_connection(), [""; 0]);
}

#[test]
fn con_73_crossing_closes_are_legal() {
    let mut peer = Peer::opened();
    assert_eq!(peer.close_connection(), [FORCED]);
    assert_eq!(peer.send(&[close(), close_ok()].concat()), ["closes", "> 0: 10.51", "finished"]);
}

#[test]
fn con_91_the_answer_to_our_close_is_found_behind_a_frame_that_was_too_large() {
    let mut peer = Peer::with_channel();
    let too_large = body(1, &vec![b'x'; 200_000]);
    let lines = peer.send(&too_large[..100_000]);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with("> conn 501"));
    assert_eq!(peer.waiting(), 0, "nothing of it is kept");
    assert_eq!(peer.send(&too_large[100_000..]), [""; 0]);
    assert_eq!(peer.send(&close_ok()), ["finished"]);
}

#[test]
fn con_90_the_answer_to_our_close_is_found_behind_a_frame_with_a_wrong_end() {
    let mut peer = Peer::opened();
    let mut wrong = channel_open(1);
    *wrong.last_mut().expect("an end") = 0;
    let lines = peer.send(&[wrong, close_ok()].concat());
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!(lines[1], "finished");
}

#[test]
fn after_our_close_octets_that_make_no_sense_end_the_connection() {
    let mut peer = Peer::opened();
    peer.close_connection();
    assert_eq!(peer.send(b"GET / HTTP/1.1\r\n\r\n"), ["finished"]);
}

#[test]
fn ch_01_a_channel_is_closed_by_its_client_and_opened_again() {
    let mut peer = Peer::with_channel();
    let lines = peer.send(&[channel_close(1), channel_open(1)].concat());
    assert_eq!(lines[..2], ["channel 1 closes", "> 1: 20.41"]);
    assert_eq!(lines[2..], opened_lines(1));
}

#[test]
fn ch_02_a_channel_that_we_closed_discards_everything_but_the_answer() {
    let mut peer = Peer::with_channel().and_channel(2);
    assert_eq!(peer.close_channel(1), [NOT_FOUND]);
    assert!(!peer.machine.is_channel_open(1));
    let discarded = [
        publish(1, "", "q"),
        content_header(1, 1, &[0, 0]),
        body(1, b"x"),
        raw(1, (50, 10), b"malformed"),
        raw(1, (60, 80), &[0; 9]),
        raw(1, (99, 99), b""),
    ];
    assert_eq!(peer.send(&discarded.concat()), [""; 0]);
    // Others go on, and an error that comes late is not told.
    assert_eq!(peer.send(&raw(2, (60, 80), &[0, 0, 0, 0, 0, 0, 0, 5, 1])), ["2: ack 5 true"]);
    assert_eq!(peer.close_channel(1), [""; 0]);
    assert_eq!(peer.send(&raw(1, (20, 41), b"")), [""; 0]);
    assert_eq!(peer.send(&channel_open(1)), opened_lines(1));
}

#[test]
fn ch_02_crossing_closes_of_a_channel_leave_its_number_free() {
    let mut peer = Peer::with_channel();
    assert_eq!(peer.close_channel(1), [NOT_FOUND]);
    // The client closed before it read our close: it hears close-ok, then answers ours.
    assert_eq!(peer.send(&channel_close(1)), ["> 1: 20.41"]);
    assert_eq!(peer.send(&raw(1, (20, 41), b"")), [""; 0]);
    assert_eq!(peer.send(&channel_open(1)), opened_lines(1));
}

#[test]
fn ch_02_a_client_that_never_answers_our_close_may_go_on_after_its_own() {
    let mut peer = Peer::with_channel();
    peer.close_channel(1);
    let lines = peer.send(&[channel_close(1), channel_open(1)].concat());
    assert_eq!(lines[0], "> 1: 20.41");
    assert_eq!(lines[1..], opened_lines(1));
}
