//! Peers of a TLS listener that speak something else, dawdle, or send handshakes without end.

use std::time::Duration;

use leveret::tls::Verify;

use crate::{
    attacker::{Attacker, handshake},
    innocent::Innocent,
    pki::Pki,
    target::{Target, eventually, within},
    wire::Dice,
};

async fn start(pki: &Pki, handshake_timeout: Duration) -> Target {
    Target::configured(|config| {
        pki.configure(config);
        config.tls.verify = Verify::Optional;
        config.tls.handshake_timeout = handshake_timeout;
    })
    .await
}

/// A record of TLS with a handshake message in it that claims to be so long.
fn client_hello(claimed: u32, fragment: &[u8]) -> Vec<u8> {
    let [_, high, middle, low] = claimed.to_be_bytes();
    let message = [&[1, high, middle, low], fragment].concat();
    record(&message)
}

fn record(content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&[22, 3, 1][..], &length, content].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_tls_ends_at_once() {
    let pki = Pki::new();
    // Whoever is dropped in time was not dropped by the clock.
    let target = start(&pki, Duration::from_secs(10)).await;
    let innocent = Innocent::start(&target.uri()).await;
    let address = target.broker.amqps_addrs()[0];
    let noise = Dice::new(7).octets(64 << 10);
    let plain = handshake("guest", "guest");
    for (what, octets) in [
        ("AMQP in clear", &plain[..]),
        ("HTTP", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        ("noise", &noise),
        ("a record of no kind", b"\x99\x03\x03\x00\x05hello"),
        ("a handshake that begins with its end", b"\x16\x03\x01\x00\x04\x14\x00\x00\x00"),
        ("SSL 2", b"\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10"),
        ("TLS 1.1", &tls_1_1()),
    ] {
        let before = target.refusals("tls.handshake_timeout");
        let mut attacker = Attacker::connect(address).await;
        attacker.try_send(octets).await;
        let answer = attacker.rest().await;
        assert!(!answer.starts_with(b"AMQP"), "{what}");
        // An alert is a short record, and nothing else is said.
        assert!(answer.len() <= 7, "{what}: {answer:?}");
        eventually(what, || before < target.refusals("tls.handshake_timeout")).await;
    }
    innocent.unharmed().await;
}

/// What a client says that knows nothing newer than TLS 1.1.
fn tls_1_1() -> Vec<u8> {
    let body = [&[3, 2][..], &[7; 32], &[0], &[0, 4, 0x00, 0x2F, 0xC0, 0x13], &[1, 0]].concat();
    client_hello(u32::try_from(body.len()).unwrap(), &body)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_stalls_in_the_handshake_is_dropped_in_time() {
    let pki = Pki::new();
    let target = start(&pki, Duration::from_millis(300)).await;
    let innocent = Innocent::start(&target.uri()).await;
    let address = target.broker.amqps_addrs()[0];
    let begun = client_hello(300, &[3, 3, 1, 2, 3]);
    for octets in [&b""[..], b"\x16", &begun] {
        let mut attacker = Attacker::connect(address).await;
        attacker.send(octets).await;
        attacker.ended().await;
    }
    // One octet at a time is no progress that buys time.
    let mut attacker = Attacker::connect(address).await;
    let drip = async {
        for octet in &client_hello(60_000, &[0; 4_000]) {
            if !attacker.try_send(&[*octet]).await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        attacker.ended().await;
    };
    within("the end of a handshake that never ends", drip).await;
    assert!(4 <= target.refusals("tls.handshake_timeout"));
    innocent.unharmed().await;
}

/// One message may be 64 KiB long and come in many records; so much is not kept for a stranger.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handshake_without_end_is_cut_off() {
    let pki = Pki::new();
    let target = start(&pki, Duration::from_secs(10)).await;
    let innocent = Innocent::start(&target.uri()).await;
    let mut attacker = Attacker::connect(target.broker.amqps_addrs()[0]).await;
    let mut octets = client_hello(65_000, &[0; 8_000]);
    for _ in 0..7 {
        octets.extend(record(&[0; 8_000]));
    }
    attacker.try_send(&octets).await;
    attacker.ended().await;
    eventually("a line about it", || 0 < target.refusals("tls.handshake_timeout")).await;
    innocent.unharmed().await;
}

/// Handshakes that do not go on have the places of sockets that have not logged in, and go when others come.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_open_handshakes_count_as_sockets_without_a_login() {
    let pki = Pki::new();
    let target = Target::configured(|config| {
        pki.configure(config);
        config.limits.unauthenticated_max = 3;
        config.tls.handshake_timeout = Duration::from_secs(10);
    })
    .await;
    let address = target.broker.amqps_addrs()[0];
    let mut first = Attacker::connect(address).await;
    first.send(b"\x16\x03\x01").await;
    let waiting = || target.report("limits.unauthenticated_max").current;
    eventually("the first socket counts", || waiting() == Some(1)).await;
    let mut others = Vec::new();
    for _ in 0..3 {
        others.push(Attacker::connect(address).await);
    }
    first.ended().await;
    assert_eq!(target.refusals("limits.unauthenticated_max"), 1);
    eventually("three are left", || waiting() == Some(3)).await;
    // In clear, beside them.
    Innocent::start(&target.uri()).await.unharmed().await;
}
