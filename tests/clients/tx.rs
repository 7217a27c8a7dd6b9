//! Transactions: publishes and acknowledgements that happen at commit, or not at all.

use lapin::{Channel, options::*};

use crate::{fixture::Fixture, support::*};

/// A channel in tx mode beside the peer's own.
async fn transactional(peer: &Peer) -> Channel {
    let channel = peer.another_channel().await;
    within("tx.select-ok", channel.tx_select()).await.unwrap();
    channel
}

async fn commit(channel: &Channel) {
    within("tx.commit-ok", channel.tx_commit()).await.unwrap();
}

async fn rollback(channel: &Channel) {
    within("tx.rollback-ok", channel.tx_rollback()).await.unwrap();
}

#[tokio::test]
async fn tx_03_04_publishes_appear_at_commit_in_order() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let queue = peer.declare("tx").await;
    let tx = transactional(&peer).await;
    for body in ["1", "2", "3"] {
        tx.publish("", &queue, body).await;
    }
    // The declare runs after the publishes on the same channel, and sees none of them.
    assert_eq!(tx.ready(&queue).await, 0);
    commit(&tx).await;
    assert_eq!(peer.drain(&queue).await, ["1", "2", "3"]);
    // The next transaction has begun by itself.
    tx.publish("", &queue, "4").await;
    assert_eq!(tx.ready(&queue).await, 0);
    commit(&tx).await;
    assert_eq!(peer.drain(&queue).await, ["4"]);
}

#[tokio::test]
async fn tx_05_rollback_forgets_publishes_and_acks() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let queue = peer.declare("tx").await;
    peer.fill(&queue, [0]).await;
    let tx = transactional(&peer).await;
    let taken = tx.take(&queue).await;
    tx.publish("", &queue, "never").await;
    tx.basic_ack(taken.delivery_tag, BasicAckOptions::default()).await.unwrap();
    rollback(&tx).await;
    commit(&tx).await;
    // Neither requeued nor gone: unacknowledged again, and it can be acknowledged again.
    assert_eq!(peer.ready(&queue).await, 0);
    tx.basic_ack(taken.delivery_tag, BasicAckOptions::default()).await.unwrap();
    commit(&tx).await;
    within("channel.close-ok", tx.close(200, "done".into())).await.unwrap();
    assert_eq!(peer.ready(&queue).await, 0);
}

#[tokio::test]
async fn tx_04_acks_count_at_commit() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let queue = peer.declare("tx").await;
    peer.fill(&queue, 0..2).await;
    let tx = transactional(&peer).await;
    let mut consumer = tx.consume(&queue).await;
    let (first, second) = (consumer.delivery().await, consumer.delivery().await);
    tx.basic_ack(first.delivery_tag, BasicAckOptions::default()).await.unwrap();
    commit(&tx).await;
    tx.basic_ack(second.delivery_tag, BasicAckOptions::default()).await.unwrap();
    // TX-08: closing without a commit rolls back and requeues.
    within("channel.close-ok", tx.close(200, "no commit".into())).await.unwrap();
    let back = peer.take(&queue).await;
    assert_eq!((body(&back), back.redelivered), ("1".to_owned(), true));
    assert_eq!(peer.ready(&queue).await, 0);
}

#[tokio::test]
async fn tx_09_reject_with_requeue_counts_at_commit() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let queue = peer.declare("tx").await;
    peer.fill(&queue, [0]).await;
    let tx = transactional(&peer).await;
    let taken = tx.take(&queue).await;
    tx.basic_reject(taken.delivery_tag, BasicRejectOptions { requeue: true }).await.unwrap();
    assert_eq!(tx.ready(&queue).await, 0);
    commit(&tx).await;
    assert!(peer.take(&queue).await.redelivered);
}

#[tokio::test]
async fn tx_03_returns_come_at_commit() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let tx = transactional(&peer).await;
    tx.publish_mandatory("", &unique("nowhere"), "back").await;
    // A round trip later, nothing has come back yet.
    let queue = tx.declare("fence").await;
    assert!(tx.exists(&queue).await);
    assert_eq!(tx.wait_for_confirms().await.unwrap(), []);
    commit(&tx).await;
    let returned = tx.wait_for_confirms().await.unwrap();
    assert_eq!(returned.len(), 1);
    assert_eq!((returned[0].reply_code, body(&returned[0])), (312, "back".to_owned()));
}

#[tokio::test]
async fn tx_02_checks_happen_at_once() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let tx = transactional(&peer).await;
    let watch = tx.watch().await;
    tx.publish(&unique("missing"), "k", "").await;
    assert_reply(watch.closed().await, 404, "no exchange");

    let queue = peer.declare("tx").await;
    peer.fill(&queue, [0]).await;
    let tx = transactional(&peer).await;
    let watch = tx.watch().await;
    let tag = tx.take(&queue).await.delivery_tag;
    for _ in 0..2 {
        tx.basic_ack(tag, BasicAckOptions::default()).await.unwrap();
    }
    assert_reply(watch.closed().await, 406, &format!("unknown delivery tag {tag}"));
}

#[tokio::test]
async fn ch_74_commit_and_rollback_need_select() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let channel = peer.another_channel().await;
    assert_reply(
        refusal(within("channel.close", channel.tx_commit()).await),
        406,
        "channel is not transactional",
    );
    let channel = peer.another_channel().await;
    assert_reply(
        refusal(within("channel.close", channel.tx_rollback()).await),
        406,
        "channel is not transactional",
    );
}

#[tokio::test]
async fn tx_01_select_twice_is_fine_and_declares_are_immediate() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let tx = transactional(&peer).await;
    within("tx.select-ok", tx.tx_select()).await.unwrap();
    let queue = tx.declare("now").await;
    assert!(peer.exists(&queue).await);
}
