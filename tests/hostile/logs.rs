//! What clients say of themselves ends up in the log: it must not write lines of its own there.

use crate::{
    attacker::{Attacker, handshake},
    child::Child,
    innocent::Innocent,
    wire::*,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_writes_the_log_but_the_broker() {
    const FORGED: &str = "\r\nFORGED line\u{1b}[2J\u{85}\u{2028}\u{202e}\0";
    let child = Child::start(&["log.level=trace,leveret=trace"]);
    let innocent = Innocent::start(&child.uri()).await;
    let address = child.address;

    let name = text_field("connection_name", FORGED.repeat(1000));
    let opening = |vhost: &str| {
        let properties = client_properties(&name);
        [HEADER, &start_ok(&properties, "guest", "guest"), &tune_ok(0, 0, 0), &open(vhost), &channel_open(1)]
            .concat()
    };
    let mut named = Attacker::connect(address).await;
    named.send(&opening("/")).await;
    for answer in [(10, 10), (10, 30), (10, 41), CHANNEL_OPEN_OK] {
        named.expect(answer).await;
    }
    for octets in [
        get(1, FORGED, false),
        message(1, "", FORGED, b"x"),
        message(1, FORGED, FORGED, b"x"),
        consume(1, FORGED, FORGED, 0),
        declare_exchange(1, "x", FORGED, b""),
        declare(1, "q", 0, &text_field("x-overflow", FORGED)),
    ] {
        named.send(&[octets, channel_open(2)].concat()).await;
        let mut closed = false;
        loop {
            let frame = named.frame().await.expect("the connection lives");
            closed |= frame.method() == CHANNEL_CLOSE;
            if frame.method() == CHANNEL_OPEN_OK {
                break;
            }
        }
        let again = if closed { [channel_close_ok(1), channel_open(1)].concat() } else { Vec::new() };
        named.send(&[channel_close(2), again].concat()).await;
        named.expect((20, 41)).await;
        if closed {
            named.expect(CHANNEL_OPEN_OK).await;
        }
    }
    named.reset();

    let mut nowhere = Attacker::connect(address).await;
    nowhere.send(&opening(FORGED)).await;
    assert_eq!(nowhere.closed_with().await, 530);
    let mut nobody = Attacker::connect(address).await;
    nobody.send(&handshake(&FORGED.replace('\0', ""), "x")).await;
    nobody.expect((10, 10)).await;
    nobody.expect(CONNECTION_CLOSE).await;
    let arguments = [long(b""), short(FORGED), long(b""), short(FORGED)].concat();
    let mut mechanic = Attacker::connect(address).await;
    mechanic.send(&[HEADER, &method(0, 10, 11, &arguments)].concat()).await;
    mechanic.ended().await;
    innocent.unharmed().await;

    let log = child.stop();
    assert!(log.contains("FORGED"), "what was said is in the log, escaped:\n{log}");
    assert!(!log.lines().any(|line| line.trim_start().starts_with("FORGED")), "a forged line:\n{log}");
    let control = |character: &char| character.is_control() && *character != '\n';
    let bad =
        log.chars().find(|character| control(character) || ['\u{2028}', '\u{202e}'].contains(character));
    assert_eq!(bad, None, "control characters in the log");
    let longest = log.lines().map(str::len).max().unwrap_or(0);
    assert!(longest < 8_000, "a line of {longest} octets");
}
