//! basic.qos: per consumer, per channel, and what frees room.

use lapin::{Channel, options::*, types::FieldTable};

use crate::{fixture::Fixture, support::*};

async fn prefetch_global(channel: &Channel, count: u16) {
    within("basic.qos-ok", channel.basic_qos(count, BasicQosOptions { global: true })).await.unwrap();
}

#[tokio::test]
async fn bas_40_each_consumer_has_the_limit_it_started_with() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let queue = peer.declare("prefetch").await;
    let channel = peer.another_channel().await;
    channel.prefetch(2).await;
    let mut two = channel.consume(&queue).await;
    channel.prefetch(4).await;
    let mut four = channel.consume(&queue).await;
    peer.fill(&queue, 0..20).await;
    channel.fence(&queue).await;
    assert_eq!(peer.ready(&queue).await, 14);
    let (held, others) = (two.waiting().await, four.waiting().await);
    assert_eq!((held.len(), others.len()), (2, 4));
    // An ack makes room for exactly one more.
    held[0].ack(BasicAckOptions::default()).await.unwrap();
    two.delivery().await;
    channel.fence(&queue).await;
    two.nothing().await;
    four.nothing().await;
    // Multiple: four more for the one whose four were settled, one more for the other.
    others[3].ack(BasicAckOptions { multiple: true }).await.unwrap();
    channel.fence(&queue).await;
    let settled =
        1 + held.iter().skip(1).filter(|delivery| delivery.delivery_tag < others[3].delivery_tag).count();
    assert_eq!(four.waiting().await.len(), 4);
    assert_eq!(two.waiting().await.len(), settled - 1);
}

#[tokio::test]
async fn bas_41_a_shared_limit_counts_all_consumers_of_the_channel() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let (one, two) = (peer.declare("one").await, peer.declare("two").await);
    peer.fill(&one, 0..10).await;
    peer.fill(&two, 0..10).await;
    let channel = peer.another_channel().await;
    prefetch_global(&channel, 3).await;
    let (mut ones, mut twos) = (channel.consume(&one).await, channel.consume(&two).await);
    let settle = async || {
        channel.fence(&one).await;
        channel.fence(&two).await;
    };
    settle().await;
    let mut held = ones.waiting().await;
    held.extend(twos.waiting().await);
    assert_eq!(held.len(), 3);
    // One settled, one more.
    held[0].ack(BasicAckOptions::default()).await.unwrap();
    settle().await;
    assert_eq!(ones.waiting().await.len() + twos.waiting().await.len(), 1);
    // Raised: room at once. Removed: everything.
    prefetch_global(&channel, 5).await;
    settle().await;
    assert_eq!(ones.waiting().await.len() + twos.waiting().await.len(), 2);
    prefetch_global(&channel, 0).await;
    settle().await;
    assert_eq!(ones.waiting().await.len() + twos.waiting().await.len(), 14);
}

#[tokio::test]
async fn bas_41_both_limits_hold_together() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let queue = peer.declare("both").await;
    peer.fill(&queue, 0..10).await;
    let channel = peer.another_channel().await;
    // This order: RabbitMQ lifts the shared limit when a later qos is not global.
    channel.prefetch(2).await;
    prefetch_global(&channel, 3).await;
    let (mut first, mut second) = (channel.consume(&queue).await, channel.consume(&queue).await);
    channel.fence(&queue).await;
    let (first, second) = (first.waiting().await.len(), second.waiting().await.len());
    assert_eq!((first, second), (2, 1));
}

#[tokio::test]
async fn bas_42_zero_means_no_limit_and_get_is_never_limited() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let queue = peer.declare("free").await;
    let channel = peer.another_channel().await;
    channel.prefetch(1).await;
    let mut limited = channel.consume(&queue).await;
    peer.fill(&queue, 0..10).await;
    assert_eq!(limited.bodies(1).await, ["0"]);
    for number in 1..4 {
        let message = channel.take(&queue).await;
        assert_eq!(body(&message), number.to_string());
    }
    channel.prefetch(0).await;
    let mut free = channel.consume(&queue).await;
    assert_eq!(free.bodies(6).await, ["4", "5", "6", "7", "8", "9"]);
}

#[tokio::test]
async fn bas_44_requeue_frees_room() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let queue = peer.declare("room").await;
    let channel = peer.another_channel().await;
    channel.prefetch(1).await;
    let mut consumer = channel.consume(&queue).await;
    peer.fill(&queue, 0..2).await;
    let first = consumer.delivery().await;
    first.nack(BasicNackOptions { requeue: true, ..Default::default() }).await.unwrap();
    let again = consumer.delivery().await;
    assert_eq!((body(&again), again.redelivered), ("0".to_owned(), true));
    again.reject(BasicRejectOptions { requeue: false }).await.unwrap();
    assert_eq!(consumer.bodies(1).await, ["1"]);
}

#[tokio::test]
async fn bas_27_consumers_at_their_limit_are_skipped() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let queue = peer.declare("skip").await;
    let channel = peer.another_channel().await;
    channel.prefetch(1).await;
    let mut busy = channel.consume(&queue).await;
    channel.prefetch(0).await;
    let mut free = channel.consume(&queue).await;
    peer.fill(&queue, 0..10).await;
    let mine = busy.bodies(1).await;
    let rest: Vec<String> =
        (0..10).map(|number| number.to_string()).filter(|body| *body != mine[0]).collect();
    assert_eq!(free.bodies(9).await, rest);
}

#[tokio::test]
async fn bas_28_41_cancelled_consumers_leave_their_unacknowledged_in_the_shared_count() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let queue = peer.declare("left").await;
    peer.fill(&queue, 0..4).await;
    let channel = peer.another_channel().await;
    prefetch_global(&channel, 2).await;
    let mut first = channel.consume(&queue).await;
    let held = [first.delivery().await, first.delivery().await];
    within("cancel-ok", channel.basic_cancel(first.tag(), BasicCancelOptions::default())).await.unwrap();
    let mut second =
        channel.consume_with(&queue, BasicConsumeOptions::default(), FieldTable::default()).await.unwrap();
    channel.fence(&queue).await;
    second.nothing().await;
    held[1].ack(BasicAckOptions { multiple: true }).await.unwrap();
    assert_eq!(second.bodies(2).await, ["2", "3"]);
}
