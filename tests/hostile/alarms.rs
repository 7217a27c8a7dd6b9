//! Publishers that fill the memory faster than anybody empties it.

use futures_lite::future;

use crate::{
    attacker::Attacker,
    child::Child,
    innocent::Innocent,
    target::{Target, within},
    wire::*,
};

/// A message that came in several reads is there once, whole, though its last frame met an alarm.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_in_pieces_survives_an_alarm() {
    const PART: usize = 40_000;
    let target = Target::start().await;
    let mut peer = Attacker::with_channel(target.address()).await;
    peer.open_channel(2).await;
    peer.declare("blocked", EXCLUSIVE).await;
    // Something must be held for the alarm to go off; small messages are counted late.
    let first = vec![b'f'; 100 << 10];
    for _ in 0..10 {
        peer.send(&message(1, "", "blocked", &first)).await;
    }
    let opening = [publish(1, "", "blocked", false), content_header(1, 2 * PART as u64)].concat();
    peer.send(&[opening, body(1, &[1; PART])].concat()).await;
    // An answer on another channel: the first half has been taken in.
    peer.send(&confirm_select(2)).await;
    peer.expect((85, 11)).await;
    target.broker.set_memory_limit(0);
    peer.send(&[body(1, &[2; PART]), message(1, "", "blocked", b"last")].concat()).await;
    // The alarm holds this connection back, and only this one.
    peer.send(&confirm_select(2)).await;
    Attacker::with_channel(target.address()).await.close().await;
    assert!(!peer.has_input().await, "blocked");
    target.broker.set_memory_limit(u64::MAX);
    peer.expect((85, 11)).await;
    for expected in
        [first.as_slice(); 10].into_iter().chain([&[vec![1; PART], vec![2; PART]].concat()[..], b"last"])
    {
        peer.send(&get(1, "blocked", true)).await;
        peer.expect((60, 71)).await;
        peer.frame().await.unwrap();
        assert_eq!(peer.frame().await.unwrap().payload, expected);
    }
}

/// Far more is published than memory may hold, while a consumer takes one message at a time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fast_publisher_and_a_slow_consumer_stay_within_memory() {
    const WATERMARK: u64 = 16 << 20;
    const MESSAGES: u32 = 12_000;
    const BODY_SIZE: usize = 16 << 10;
    let child = Child::start(&["limits.memory=16MiB"]);
    let mut consumer = Attacker::with_channel(child.address).await;
    consumer.declare("tide", 0).await;
    // basic.qos with a prefetch of one.
    consumer.send(&method(1, 60, 10, &[0, 0, 0, 0, 0, 1, 0])).await;
    consumer.expect((60, 11)).await;
    let mut publisher = Attacker::with_channel(child.address).await;
    let before = child.resident();
    let publish = async {
        let content = vec![b'x'; BODY_SIZE];
        for number in 0..MESSAGES {
            let mut content = content.clone();
            content[..4].copy_from_slice(&number.to_be_bytes());
            publisher.send(&message(1, "", "tide", &content)).await;
        }
        publisher
    };
    let drain = async {
        consumer.send(&consume(1, "tide", "slow", 0)).await;
        consumer.expect((60, 21)).await;
        for number in 0..MESSAGES {
            consumer.expect((60, 60)).await;
            consumer.frame().await.expect("a content header");
            let content = consumer.frame().await.expect("a body");
            assert_eq!(content.payload[..4], number.to_be_bytes(), "in order, none lost, none twice");
            consumer.send(&ack(1, u64::from(number) + 1, false)).await;
        }
    };
    within("the whole tide", future::zip(publish, drain)).await;
    let grown = child.peak() - before;
    // The allocator keeps some of what came and went; it must not keep all of it.
    assert!(grown < 6 * WATERMARK, "{} MiB more at the peak, for 187 MiB published", grown >> 20);
}

/// Nobody consumes: the publishers stop, everybody else goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publishers_that_nobody_empties_are_stopped() {
    const CONTENT: usize = 64 << 10;
    let child = Child::start(&["limits.memory=16MiB"]);
    let mut witness = Attacker::with_channel(child.address).await;
    witness.declare("dam", 0).await;
    let before = child.resident();
    let mut publishers = Vec::new();
    for _ in 0..4 {
        publishers.push(Attacker::with_channel(child.address).await);
    }
    let octets = message(1, "", "dam", &vec![b'x'; CONTENT]);
    let flood = async {
        // One after the other, each until it is not read any more: then its write never ends.
        for publisher in &mut publishers {
            let forever = async { while publisher.try_send(&octets).await {} };
            let _stopped = tokio::time::timeout(std::time::Duration::from_millis(700), forever).await;
        }
    };
    within("the flood", flood).await;
    assert!(child.peak() - before < (16 << 20) + (24 << 20), "{} MiB more", (child.peak() - before) >> 20);
    // Consumers, declarations and newcomers are served.
    witness.send(&get(1, "dam", true)).await;
    witness.expect((60, 71)).await;
    Attacker::open(child.address).await.close().await;
    // Without the queue, what the publishers have sent already goes nowhere, and they go on.
    witness.send(&method(1, 50, 40, &[&[0, 0][..], &short("dam"), &[0]].concat())).await;
    while witness.frame().await.expect("the witness stays connected").method() != (50, 41) {}
    drop(publishers);
    let innocent = Innocent::start(&child.uri()).await;
    innocent.unharmed().await;
}

/// Held input is searched for a close as it comes, not from its start each time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blocked_publisher_that_dribbles_can_still_close() {
    const WRITES: usize = 10_000;
    let target = Target::start().await;
    let mut peer = Attacker::with_channel(target.address()).await;
    peer.declare("dribble", EXCLUSIVE).await;
    peer.send(&message(1, "", "dribble", &[b'x'; 100 << 10]).repeat(4)).await;
    peer.declare("dribble", EXCLUSIVE).await;
    target.broker.set_memory_limit(0);
    // The publish that meets the alarm is taken, the question after it waits.
    peer.send(&[message(1, "", "dribble", b"x"), declare(1, "dribble", EXCLUSIVE, b"")].concat()).await;
    let some = frame(HEARTBEAT, 0, b"").repeat(10);
    for _ in 0..WRITES {
        peer.send(&some).await;
    }
    assert!(!peer.has_input().await, "blocked");
    peer.close().await;
}
