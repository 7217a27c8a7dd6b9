//! Before the login: garbage, dawdling, crowds, and lies about limits.

use std::{net::Ipv4Addr, time::Duration};

use tokio::task::JoinSet;

use crate::{
    attacker::Attacker,
    innocent::Innocent,
    target::{Target, within},
    wire::*,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_is_answered_with_our_header_and_an_end() {
    let target = Target::start().await;
    let innocent = Innocent::start(&target.uri()).await;
    let noise = Dice::new(1).octets(64 << 10);
    for octets in [
        &b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"[..],
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"AMQP\x00\x01\x00\x00",
        b"AMQP\x03\x01\x00\x00",
        b"AMQP\x00\x00\x09\x02",
        b"AMQX",
        b"\x00",
        &noise,
    ] {
        let mut attacker = Attacker::connect(target.address()).await;
        attacker.try_send(octets).await;
        assert_eq!(attacker.rest().await, HEADER);
    }
    innocent.unharmed().await;
}

/// The deadline runs from the accept, however busily octets keep coming.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handshake_octet_by_octet_runs_into_one_deadline() {
    let target =
        Target::configured(|config| config.amqp.handshake_timeout = Duration::from_millis(400)).await;
    let innocent = Innocent::start(&target.uri()).await;
    let slow_start = start_ok(&client_properties(&text_field("x", vec![b'x'; 60_000])), "guest", "guest");
    for (at_once, drop_by_drop) in [(&b""[..], HEADER), (HEADER, &slow_start[..])] {
        let mut attacker = Attacker::connect(target.address()).await;
        attacker.send(at_once).await;
        let drip = async {
            // The last octet is never sent: only the broker can end this.
            let (_, drops) = drop_by_drop.split_last().unwrap();
            for octet in drops {
                if !attacker.try_send(&[*octet]).await {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            attacker.ended().await;
        };
        within("the end of a handshake that never ends", drip).await;
    }
    innocent.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_too_many_silent_sockets_the_oldest_go() {
    const SILENT: usize = 1_060;
    let target = Target::start().await;
    let innocent = Innocent::start(&target.uri()).await;
    let mut silent = Vec::new();
    for number in 0..SILENT {
        // Not more of one address than may wait.
        let from = Ipv4Addr::new(127, 0, 1, (1 + number / 90) as u8);
        silent.push(Attacker::connect_from(from, target.address()).await);
    }
    // Somebody new gets in all the same, at the cost of the oldest.
    Attacker::open(target.address()).await.close().await;
    for attacker in &mut silent[..SILENT - 1_000] {
        attacker.ended().await;
    }
    assert!(60 <= target.refusals("limits.unauthenticated_max"));
    let mut youngest = silent.pop().unwrap();
    youngest.send(HEADER).await;
    youngest.expect((10, 10)).await;
    innocent.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_honest_connections_at_once_all_succeed() {
    let target = Target::start().await;
    let address = target.address();
    let mut burst = JoinSet::new();
    for _ in 0..200 {
        burst.spawn(async move { Attacker::open(address).await });
    }
    let opened = within("every connection of the burst", burst.join_all()).await;
    assert_eq!(target.broker.connection_count(), 200);
    for peer in opened {
        peer.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_of_one_address_keeps_nobody_else_out() {
    let target = Target::configured(|config| config.limits.unauthenticated_per_ip_max = 10).await;
    let innocent = Innocent::start(&target.uri()).await;
    let crowded = Ipv4Addr::new(127, 0, 2, 1);
    let mut crowd = Vec::new();
    for _ in 0..10 {
        let mut silent = Attacker::connect_from(crowded, target.address()).await;
        silent.send(HEADER).await;
        silent.expect((10, 10)).await;
        crowd.push(silent);
    }
    let mut neighbour = Attacker::connect_from(crowded, target.address()).await;
    neighbour.send(HEADER).await;
    // Of other addresses clients come in at once ...
    Attacker::open(target.address()).await.close().await;
    assert!(!neighbour.has_input().await, "an eleventh socket of that address waits for its turn");
    // ... and of this one when there is room.
    crowd.pop().unwrap().reset();
    neighbour.expect((10, 10)).await;
    innocent.unharmed().await;
}

/// Waiting for a turn that never came must not use up the room for waiting.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sockets_that_wait_in_vain_leave_no_trace() {
    let target = Target::configured(|config| {
        config.limits.unauthenticated_per_ip_max = 1;
        config.limits.unauthenticated_max = 4;
        config.amqp.handshake_timeout = Duration::from_millis(150);
    })
    .await;
    let innocent = Innocent::start(&target.uri()).await;
    let crowded = Ipv4Addr::new(127, 0, 3, 1);
    for _ in 0..6 {
        let mut crowd = Vec::new();
        for _ in 0..3 {
            crowd.push(Attacker::connect_from(crowded, target.address()).await);
        }
        for attacker in &mut crowd {
            attacker.ended().await;
        }
    }
    // Two at a time: the second waits until the first goes, and then gets its turn.
    let mut first = Attacker::connect_from(crowded, target.address()).await;
    first.send(HEADER).await;
    first.expect((10, 10)).await;
    let mut second = Attacker::connect_from(crowded, target.address()).await;
    second.send(HEADER).await;
    first.reset();
    second.expect((10, 10)).await;
    innocent.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lies_about_limits_are_refused() {
    let target = Target::start().await;
    let innocent = Innocent::start(&target.uri()).await;
    for tune in [
        tune_ok(0, 131_073, 0),
        tune_ok(0, u32::MAX, 0),
        tune_ok(0, 4_095, 0),
        tune_ok(0, 1, 0),
        tune_ok(2_048, 0, 0),
        tune_ok(u16::MAX, 0, 0),
    ] {
        let mut attacker = Attacker::connect(target.address()).await;
        attacker.send(&[HEADER, &start_ok(&client_properties(b""), "guest", "guest"), &tune].concat()).await;
        assert_eq!(attacker.closed_with().await, 530);
    }
    innocent.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_negotiated_is_enforced() {
    let target = Target::start().await;
    let innocent = Innocent::start(&target.uri()).await;
    let opening = |tune: &[u8]| {
        [HEADER, &start_ok(&client_properties(b""), "guest", "guest"), tune, &open("/"), &channel_open(1)]
            .concat()
    };
    // A frame above the negotiated size, of which only the head is sent.
    let mut attacker = Attacker::connect(target.address()).await;
    attacker.send(&[opening(&tune_ok(0, 4_096, 0)), head(BODY, 1, 4_097)].concat()).await;
    assert_eq!(attacker.close_code().await, 501);
    // One channel more than negotiated.
    let mut attacker = Attacker::connect(target.address()).await;
    attacker.send(&[opening(&tune_ok(1, 0, 0)), channel_open(2)].concat()).await;
    assert_eq!(attacker.closed_with().await, 530);
    // Silence, though heartbeats were promised; the promise may be broken in the middle of a frame.
    let mut attacker = Attacker::connect(target.address()).await;
    attacker.send(&[opening(&tune_ok(0, 0, 1)), head(BODY, 1, 4_096)].concat()).await;
    attacker.ended().await;
    innocent.unharmed().await;
}
