//! Frames that should not be, and frames that should be elsewhere.

use crate::{attacker::Attacker, innocent::Innocent, target::Target, wire::*};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_frame_out_of_place_has_its_reply_code() {
    let target = Target::start().await;
    let innocent = Innocent::start(&target.uri()).await;
    let mut bad_end = body(1, b"x");
    *bad_end.last_mut().unwrap() = 0xCD;
    let publish = publish(1, "", "q", false);
    let cases: Vec<(&str, u16, Vec<u8>)> = vec![
        ("unknown frame type", 501, frame(4, 1, b"x")),
        ("frame type 0", 501, frame(0, 0, b"")),
        ("frame type 255", 501, frame(255, 65_535, b"xyz")),
        ("bad frame end", 501, bad_end),
        ("heartbeat with a payload", 501, frame(HEARTBEAT, 0, b"x")),
        ("heartbeat on a channel", 505, frame(HEARTBEAT, 1, b"")),
        ("method without numbers", 501, frame(METHOD, 1, b"\0\x3c")),
        ("empty method", 501, frame(METHOD, 1, b"")),
        ("header without publish", 505, content_header(1, 0)),
        ("body without header", 505, body(1, b"x")),
        ("header on channel 0", 505, content_header(0, 0)),
        ("body on channel 0", 505, body(0, b"x")),
        ("header on a closed channel", 505, content_header(9, 0)),
        ("body on a closed channel", 505, body(9, b"x")),
        ("body after publish", 505, [&publish[..], &body(1, b"x")].concat()),
        ("method after publish", 505, [&publish[..], &publish].concat()),
        ("close after publish", 505, [&publish[..], &channel_close(1)].concat()),
        ("two headers", 505, [&publish[..], &content_header(1, 1), &content_header(1, 1)].concat()),
        ("method after header", 505, [&publish[..], &content_header(1, 1), &publish].concat()),
        ("empty header", 502, [&publish[..], &frame(CONTENT_HEADER, 1, b"")].concat()),
        ("header of another class", 505, [&publish[..], &frame(CONTENT_HEADER, 1, &[0; 14])].concat()),
        ("header cut short", 502, [&publish[..], &frame(CONTENT_HEADER, 1, &[0, 60, 0, 0, 0])].concat()),
        ("flags without values", 502, [&publish[..], &header_with(1, 0, &[0xff, 0xfc])].concat()),
        ("flags that go on", 502, [&publish[..], &header_with(1, 0, &[0xff, 0xff, 0xff, 0xff])].concat()),
        ("method on a closed channel", 504, declare(9, "q", 0, b"")),
        ("channel opened twice", 504, channel_open(1)),
        ("channel 0 opened", 504, channel_open(0)),
        ("second handshake", 504, start_ok(b"", "guest", "guest")),
        ("second tune", 504, tune_ok(0, 0, 0)),
        ("second open", 504, open("/")),
        ("immediate", 540, method(1, 60, 40, &[0, 0, 0, 1, b'q', 2])),
    ];
    for (what, code, octets) in cases {
        let mut attacker = Attacker::with_channel(target.address()).await;
        let publishes_for_good = what == "immediate";
        let rest = if publishes_for_good { content_header(1, 0) } else { Vec::new() };
        attacker.send(&[octets, rest].concat()).await;
        let closed = attacker.closed_with().await;
        assert!(
            closed == code || (500..=541).contains(&closed) && what == "channel 0 opened",
            "{what}: {closed}"
        );
    }
    // The rest of a frame that is too large is awaited and dropped, so our answer would be taken for it.
    let mut attacker = Attacker::with_channel(target.address()).await;
    attacker.send(&head(METHOD, 1, u32::MAX)).await;
    assert_eq!(attacker.close_code().await, 501);
    innocent.unharmed().await;
}

/// Whatever comes, the answer is an orderly close or an ordinary answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_frames_never_break_more_than_their_connection() {
    const CONNECTIONS: usize = 400;
    let target = Target::start().await;
    let innocent = Innocent::start(&target.uri()).await;
    let mut dice = Dice::new(4);
    for _ in 0..CONNECTIONS {
        let mut attacker = Attacker::with_channel(target.address()).await;
        let mut octets = Vec::new();
        for _ in 0..8 {
            let kind = [METHOD, METHOD, CONTENT_HEADER, BODY, HEARTBEAT, dice.roll() as u8]
                [dice.roll() as usize % 6];
            let channel = [0, 1, 1, 1, dice.roll() as u16][dice.roll() as usize % 5];
            let size = dice.roll() as usize % 40;
            let mut payload = dice.octets(size);
            if kind == METHOD && 4 <= payload.len() {
                let class = [10, 20, 40, 50, 60, 85, 90][dice.roll() as usize % 7];
                let number = [10, 11, 20, 30, 40, 70, 80, 90, 110, 120][dice.roll() as usize % 10];
                payload[..4].copy_from_slice(&[0, class, 0, number]);
            }
            octets.extend(frame(kind, channel, &payload));
        }
        // An end of the stream: the broker answers what it can and closes its side.
        attacker.send(&octets).await;
        attacker.half_close().await;
        attacker.ended().await;
    }
    innocent.unharmed().await;
}

/// A valid session with single octets changed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mutated_sessions_never_break_more_than_their_connection() {
    const CONNECTIONS: usize = 600;
    let target = Target::start().await;
    let innocent = Innocent::start(&target.uri()).await;
    let fields =
        [text_field("key", "value"), [&short("t")[..], b"F", &long(b"\x01at\x01")].concat()].concat();
    let session = [
        crate::attacker::handshake("guest", "guest"),
        channel_open(1),
        declare(1, "mutant", EXCLUSIVE, &text_field("x-overflow", "drop-head")),
        bind(1, "mutant", "amq.headers", "key", &fields),
        consume(1, "mutant", "tag", 0),
        publish(1, "amq.headers", "key", true),
        header_with(1, 3, &headers(&fields)),
        body(1, b"abc"),
        method(1, 60, 10, &[0, 0, 0, 0, 0, 9, 0]),
        ack(1, 1, true),
        method(1, 60, 110, &[1]),
        get(1, "mutant", false),
        channel_close(1),
    ]
    .concat();
    let mut dice = Dice::new(5);
    for _ in 0..CONNECTIONS {
        let mut octets = session.clone();
        for _ in 0..=dice.roll() % 3 {
            // Past the protocol header, which has a test of its own.
            let at = HEADER.len() + dice.roll() as usize % (octets.len() - HEADER.len());
            octets[at] = dice.roll() as u8;
        }
        let mut attacker = Attacker::connect(target.address()).await;
        attacker.try_send(&octets).await;
        // The answers do not matter; a login refused without a word would be waited for three seconds.
        attacker.reset();
    }
    innocent.unharmed().await;
}
