//! Channels and consumers by the thousand.

use crate::{attacker::Attacker, innocent::Innocent, target::Target, wire::*};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn channels_opened_and_closed_over_and_over() {
    const ROUNDS: usize = 100;
    const CHANNELS: u16 = 500;
    let target = Target::start().await;
    let innocent = Innocent::start(&target.uri()).await;
    let mut attacker = Attacker::open(target.address()).await;
    let round: Vec<u8> =
        (1..=CHANNELS).flat_map(|id| [channel_open(id), channel_close(id)].concat()).collect();
    for _ in 0..ROUNDS {
        let answers = attacker.exchange(&round, 2 * usize::from(CHANNELS)).await;
        assert!(answers.iter().all(|answer| [CHANNEL_OPEN_OK, (20, 41)].contains(&answer.method())));
    }
    attacker.close().await;
    innocent.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_many_channels_as_offered_and_not_one_more() {
    let target = Target::start().await;
    let innocent = Innocent::start(&target.uri()).await;
    let mut attacker = Attacker::open(target.address()).await;
    // Ids are free; only their number counts.
    let all: Vec<u8> = (0..2_047).flat_map(|number| channel_open(65_535 - 7 * number)).collect();
    attacker.exchange(&all, 2_047).await;
    attacker.send(&channel_open(1)).await;
    assert_eq!(attacker.closed_with().await, 530);
    innocent.unharmed().await;
}

/// Channels that we closed and whose close is never answered still count.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failed_channels_whose_close_is_not_answered_are_bounded() {
    let target = Target::start().await;
    let innocent = Innocent::start(&target.uri()).await;
    let mut attacker = Attacker::open(target.address()).await;
    let fail = |id| [channel_open(id), message(id, "nowhere", "", b"x")].concat();
    let all: Vec<u8> = (1..=2_047).flat_map(fail).collect();
    let answers = attacker.exchange(&all, 2 * 2_047).await;
    assert_eq!(answers.iter().filter(|answer| answer.method() == CHANNEL_CLOSE).count(), 2_047);
    // What such a channel sends on is discarded.
    let more: Vec<u8> = (1..=2_047).flat_map(|id| message(id, "nowhere", "", b"x")).collect();
    attacker.send(&[more, channel_open(2_048)].concat()).await;
    assert_eq!(attacker.closed_with().await, 530);
    innocent.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_consumers_and_not_one_more() {
    const MAX: usize = 10_000;
    let target = Target::start().await;
    let innocent = Innocent::start(&target.uri()).await;
    let mut attacker = Attacker::with_channel(target.address()).await;
    attacker.declare("popular", EXCLUSIVE).await;
    let all: Vec<u8> = (0..MAX).flat_map(|number| consume(1, "popular", format!("c{number}"), 0)).collect();
    attacker.exchange(&all, MAX).await;
    // They work: a message finds one of them.
    attacker.send(&message(1, "", "popular", b"x")).await;
    attacker.expect((60, 60)).await;
    attacker.send(&consume(1, "popular", "", 0)).await;
    assert_eq!(attacker.closed_with().await, 530);
    innocent.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn consumers_started_and_cancelled_over_and_over() {
    const ROUNDS: usize = 20;
    const CONSUMERS: usize = 500;
    let target = Target::start().await;
    let innocent = Innocent::start(&target.uri()).await;
    let mut attacker = Attacker::with_channel(target.address()).await;
    attacker.declare("fickle", EXCLUSIVE).await;
    let cancel = |tag: &str| method(1, 60, 30, &[short(tag), vec![0]].concat());
    let round: Vec<u8> =
        (0..CONSUMERS).flat_map(|_| [consume(1, "fickle", "tag", 2), cancel("tag")].concat()).collect();
    for _ in 0..ROUNDS {
        attacker.exchange(&round, 2 * CONSUMERS).await;
    }
    attacker.send(&consume(1, "fickle", "tag", 2)).await;
    attacker.expect((60, 21)).await;
    attacker.send(&consume(1, "fickle", "tag", 2)).await;
    assert_eq!(attacker.closed_with().await, 530, "a tag in use");
    innocent.unharmed().await;
}
