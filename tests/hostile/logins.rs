//! Guessing passwords.

use std::{net::Ipv4Addr, time::Duration};

use crate::{
    attacker::{Attacker, handshake},
    innocent::Innocent,
    target::Target,
    wire::*,
};

const GUESSER: Ipv4Addr = Ipv4Addr::new(127, 0, 4, 1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guessing_slows_its_address_down_and_nobody_else() {
    let target = Target::configured(|config| {
        config.limits.login_failures_free = 2;
        config.limits.login_delay = Duration::from_millis(200);
    })
    .await;
    let innocent = Innocent::start(&target.uri()).await;
    for (user, password) in [("guest", "wrong"), ("nobody", "guest"), ("guest", ""), ("", "")] {
        let mut guesser = Attacker::connect_from(GUESSER, target.address()).await;
        guesser.send(&handshake(user, password)).await;
        guesser.expect((10, 10)).await;
        assert_eq!(guesser.expect(CONNECTION_CLOSE).await.reply_code(), 403);
    }
    // Now even the right password waits; of another address it does not.
    let started = std::time::Instant::now();
    let mut late = Attacker::connect_from(GUESSER, target.address()).await;
    late.send(&handshake("guest", "guest")).await;
    late.expect((10, 10)).await;
    Attacker::open(target.address()).await.close().await;
    assert!(!late.has_input().await, "the guesser's address is still waiting");
    late.expect((10, 30)).await;
    // Two failures beyond the free ones: twice doubled.
    assert!(Duration::from_millis(800) <= started.elapsed());
    late.expect((10, 41)).await;
    late.close().await;
    // A success wipes the slate clean.
    let mut clean = Attacker::connect_from(GUESSER, target.address()).await;
    clean.log_in().await;
    innocent.unharmed().await;
}

/// A login that was delayed counts as one however its octets came.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delayed_login_is_not_taken_for_a_silent_socket() {
    let target = Target::configured(|config| {
        config.limits.login_failures_free = 0;
        config.limits.login_delay = Duration::from_millis(50);
        config.limits.unauthenticated_max = 5;
    })
    .await;
    let mut guesser = Attacker::connect(target.address()).await;
    guesser.send(&handshake("guest", "wrong")).await;
    guesser.expect((10, 10)).await;
    guesser.expect(CONNECTION_CLOSE).await;
    // The rest of the handshake waits with the login, and nothing follows it.
    let mut delayed = Attacker::connect(target.address()).await;
    delayed.log_in().await;
    let mut crowd = Vec::new();
    for _ in 0..20 {
        let mut silent = Attacker::connect(target.address()).await;
        silent.send(HEADER).await;
        silent.expect((10, 10)).await;
        crowd.push(silent);
    }
    delayed.open_channel(1).await;
    delayed.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_responses_are_no_logins() {
    let target = Target::start().await;
    let innocent = Innocent::start(&target.uri()).await;
    for (mechanism, response) in [
        ("PLAIN", &b""[..]),
        ("PLAIN", b"\0guest"),
        ("PLAIN", b"other\0guest\0guest"),
        ("PLAIN", b"\0guest\0guest\0more"),
        ("PLAIN", b"\0\xff\xfe\0guest"),
        ("AMQPLAIN", b"\x05LOGINS\xff\xff\xff\xff"),
        ("AMQPLAIN", b"\xff"),
        ("AMQPLAIN", b"\x05LOGINt\x01\x08PASSWORDt\x01"),
        ("ANONYMOUS", b""),
        ("EXTERNAL", b""),
        ("\u{1b}[31m\n", b""),
    ] {
        let arguments =
            [long(client_properties(b"")), short(mechanism), long(response), short("en_US")].concat();
        let mut attacker = Attacker::connect(target.address()).await;
        attacker.send(&[HEADER, &method(0, 10, 11, &arguments)].concat()).await;
        attacker.expect((10, 10)).await;
        let close = attacker.expect(CONNECTION_CLOSE).await;
        assert!([403, 502, 503].contains(&close.reply_code()), "{mechanism:?}: {close:?}");
    }
    innocent.unharmed().await;
}
