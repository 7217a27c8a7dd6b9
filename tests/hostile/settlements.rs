//! Acknowledgements of what was never delivered, and of the same thing for ever.

use crate::{attacker::Attacker, innocent::Innocent, target::Target, wire::*};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_delivery_tags_close_their_channel_every_time() {
    const ROUNDS: usize = 2_000;
    let target = Target::start().await;
    let innocent = Innocent::start(&target.uri()).await;
    let mut attacker = Attacker::open(target.address()).await;
    let round =
        |tag: u64| [channel_open(1), ack(1, tag, false), ack(1, tag, true), channel_close_ok(1)].concat();
    let tags = [1, 2, 1 << 32, i64::MAX as u64, u64::MAX];
    let flood: Vec<u8> = (0..ROUNDS).flat_map(|number| round(tags[number % tags.len()])).collect();
    let answers = attacker.exchange(&flood, 2 * ROUNDS).await;
    for pair in answers.chunks(2) {
        assert_eq!((pair[0].method(), pair[1].method()), (CHANNEL_OPEN_OK, CHANNEL_CLOSE));
        assert_eq!(pair[1].reply_code(), 406);
    }
    attacker.close().await;
    innocent.unharmed().await;
}

/// One client returns the same messages over and over; only its own consumer sees them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loop_of_redeliveries_is_its_owners_problem() {
    const LOOPS: u64 = 20_000;
    let target = Target::start().await;
    let innocent = Innocent::start(&target.uri()).await;
    let mut attacker = Attacker::with_channel(target.address()).await;
    attacker.declare("loop", EXCLUSIVE).await;
    for number in 0..10 {
        attacker.send(&message(1, "", "loop", &[number])).await;
    }
    attacker.send(&consume(1, "loop", "", 0)).await;
    attacker.expect((60, 21)).await;
    for delivery in 1..=LOOPS {
        let deliver = attacker.expect((60, 60)).await;
        attacker.frame().await.unwrap();
        attacker.frame().await.unwrap();
        let tag = u64::from_be_bytes(
            *deliver.arguments()[deliver.first_short().len() + 1..].first_chunk().unwrap(),
        );
        assert_eq!(tag, delivery, "tags go on");
        attacker.send(&requeue(1, tag)).await;
    }
    attacker.close().await;
    innocent.unharmed().await;
}

/// Rolling back many settlements puts them back in one go.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rolled_back_settlements_cost_no_more_than_settling() {
    const MESSAGES: usize = 60_000;
    let target = Target::start().await;
    let innocent = Innocent::start(&target.uri()).await;
    let mut attacker = Attacker::with_channel(target.address()).await;
    attacker.declare("pendulum", EXCLUSIVE).await;
    let all: Vec<u8> = (0..MESSAGES).flat_map(|_| message(1, "", "pendulum", b"")).collect();
    attacker.send(&all).await;
    attacker.open_channel(2).await;
    let start = [consume(2, "pendulum", "", 0), method(2, 90, 10, b"")].concat();
    // Each delivery is a method and a header.
    let answers = attacker.exchange(&start, 2 + 2 * MESSAGES).await;
    assert_eq!(answers.iter().filter(|answer| answer.method() == (60, 60)).count(), MESSAGES);
    let roll_back = method(2, 90, 30, b"");
    let half = MESSAGES as u64 / 2;
    for _ in 0..3 {
        attacker.exchange(&[ack(2, half, true), roll_back.clone()].concat(), 1).await;
    }
    // Settled one by one, in no order.
    let mut dice = Dice::new(7);
    let mut tags: Vec<u64> = (1..=MESSAGES as u64).collect();
    for at in (1..tags.len()).rev() {
        tags.swap(at, dice.roll() as usize % (at + 1));
    }
    let acks: Vec<u8> = tags.iter().flat_map(|tag| ack(2, *tag, false)).collect();
    attacker.exchange(&[acks.clone(), roll_back].concat(), 1).await;
    // Everything is outstanding again, and can be settled.
    attacker.exchange(&[acks, method(2, 90, 20, b"")].concat(), 1).await;
    attacker.close().await;
    innocent.unharmed().await;
}
