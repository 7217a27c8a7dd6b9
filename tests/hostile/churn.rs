//! Connections that come and go, in order and otherwise.

use crate::{
    attacker::Attacker,
    child::Child,
    innocent::Innocent,
    target::{Target, eventually},
    wire::*,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_connections_leave_no_memory_behind() {
    let child = Child::start(&["log.level=error"]);
    let innocent = Innocent::start(&child.uri()).await;
    let churn = async |count: usize| {
        for number in 0..count {
            let mut peer = Attacker::with_channel(child.address).await;
            peer.send(&[declare(1, "", EXCLUSIVE, b""), consume(1, "", "", 0)].concat()).await;
            peer.expect(DECLARE_OK).await;
            peer.expect((60, 21)).await;
            peer.send(&message(1, "amq.fanout", "", &[b'x'; 500])).await;
            match number % 3 {
                0 => peer.close().await,
                1 => peer.reset(),
                _ => drop(peer),
            }
        }
    };
    churn(400).await;
    let before = child.resident();
    churn(2_000).await;
    let grown = child.resident().saturating_sub(before);
    assert!(grown < 6 << 20, "{} KiB more after 2000 connections", grown >> 10);
    innocent.unharmed().await;
}

/// Everything a connection held is given back, wherever in its octets it is cut off.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_cut_anywhere_give_everything_back() {
    let target = Target::start().await;
    let innocent = Innocent::start(&target.uri()).await;
    let session = [
        crate::attacker::handshake("guest", "guest"),
        channel_open(1),
        declare(1, "lost", EXCLUSIVE, b""),
        consume(1, "lost", "tag", 16 | NO_WAIT),
        publish(1, "", "lost", true),
        content_header(1, 10),
        body(1, b"01234"),
        body(1, b"56789"),
        get(1, "lost", false),
    ]
    .concat();
    for cut in (0..session.len()).step_by(3) {
        for reset in [true, false] {
            let mut attacker = Attacker::connect(target.address()).await;
            attacker.try_send(&session[..cut]).await;
            if reset {
                attacker.reset();
            } else {
                attacker.half_close().await;
                attacker.ended().await;
            }
        }
    }
    eventually("the end of all but the innocent", || target.broker.connection_count() == 1).await;
    // The exclusive queue is free.
    let mut successor = Attacker::with_channel(target.address()).await;
    successor.declare("lost", EXCLUSIVE).await;
    innocent.unharmed().await;
}

const NO_WAIT: u8 = 8;

/// A peer that has said everything still gets its answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unacknowledged_messages_of_a_lost_peer_come_back() {
    const MESSAGES: u32 = 500;
    let target = Target::start().await;
    let innocent = Innocent::start(&target.uri()).await;
    let mut witness = Attacker::with_channel(target.address()).await;
    witness.declare("boomerang", 0).await;
    let all: Vec<u8> = (0..MESSAGES).flat_map(|_| message(1, "", "boomerang", b"x")).collect();
    witness.send(&all).await;
    for _ in 0..20 {
        let mut thief = Attacker::with_channel(target.address()).await;
        thief.send(&consume(1, "boomerang", "", 0)).await;
        thief.expect((60, 21)).await;
        thief.expect((60, 60)).await;
        thief.reset();
    }
    eventually("the end of the thieves", || target.broker.connection_count() == 2).await;
    witness.send(&declare(1, "boomerang", 1, b"")).await;
    let declared = witness.expect(DECLARE_OK).await;
    assert!(declared.payload.ends_with(&[MESSAGES.to_be_bytes(), [0; 4]].concat()));
    innocent.unharmed().await;
}
