//! Queues that drop a message while another with the same identity is in them (QUE-43).

use futures_lite::StreamExt;
use lapin::{
    BasicProperties, Channel,
    options::*,
    types::{AMQPValue, FieldTable},
};

use crate::{fixture::Fixture, support::*};

/// A queue that deduplicates; none where only a plugin would bring it.
async fn deduplicating(fixture: &Fixture, more: FieldTable) -> Option<(Peer, String)> {
    if !fixture.is_ours() {
        return None;
    }
    let mut arguments = more;
    arguments.insert("x-message-deduplication".into(), AMQPValue::Boolean(true));
    let peer = peer(fixture).await;
    let queue = peer.declare_with("once", arguments).await;
    Some((peer, queue))
}

fn identified(identity: &str) -> BasicProperties {
    headers([("x-deduplication-header", text(identity))])
}

async fn publish(channel: &Channel, queue: &str, identity: &str, body: &str) {
    channel.publish_with("", queue, body.as_bytes(), identified(identity)).await;
}

#[tokio::test]
async fn que_43_a_message_is_dropped_while_another_of_its_identity_is_there() {
    let fixture = Fixture::start().await;
    let Some((peer, queue)) = deduplicating(&fixture, FieldTable::default()).await else { return };
    for (identity, body) in [("one", "1"), ("two", "2"), ("one", "1 again"), ("two", "2 again")] {
        publish(&peer, &queue, identity, body).await;
    }
    peer.publish("", &queue, "plain").await;
    peer.publish("", &queue, "plain").await;
    assert_eq!(peer.ready(&queue).await, 4);
    assert_eq!(peer.drain(&queue).await, ["1", "2", "plain", "plain"]);
    publish(&peer, &queue, "one", "1 anew").await;
    assert_eq!(peer.drain(&queue).await, ["1 anew"]);
}

#[tokio::test]
async fn que_43_unacknowledged_messages_are_there_until_they_are_settled() {
    let fixture = Fixture::start().await;
    let Some((peer, queue)) = deduplicating(&fixture, FieldTable::default()).await else { return };
    publish(&peer, &queue, "id", "first").await;
    let got = peer.take(&queue).await;
    publish(&peer, &queue, "id", "duplicate").await;
    got.nack(BasicNackOptions { requeue: true, ..Default::default() }).await.unwrap();
    publish(&peer, &queue, "id", "duplicate").await;
    let got = peer.take(&queue).await;
    assert_eq!((body(&got), got.redelivered), ("first".to_owned(), true));
    got.ack(BasicAckOptions::default()).await.unwrap();
    publish(&peer, &queue, "id", "second").await;
    let got = peer.take(&queue).await;
    assert_eq!(body(&got), "second");
    got.reject(BasicRejectOptions { requeue: false }).await.unwrap();
    publish(&peer, &queue, "id", "third").await;
    assert_eq!(peer.drain(&queue).await, ["third"]);
}

#[tokio::test]
async fn que_43_consumers_make_room_as_they_settle() {
    let fixture = Fixture::start().await;
    let Some((peer, queue)) = deduplicating(&fixture, FieldTable::default()).await else { return };
    let options = BasicConsumeOptions { no_ack: true, ..Default::default() };
    let mut careless = peer.consume_with(&queue, options, FieldTable::default()).await.unwrap();
    for _ in 0..3 {
        publish(&peer, &queue, "id", "body").await;
        within("a delivery", careless.next()).await.unwrap().unwrap();
    }
    let (other, second) = deduplicating(&fixture, FieldTable::default()).await.unwrap();
    let mut consumer = other.consume(&second).await;
    for round in ["1", "2"] {
        publish(&other, &second, "id", round).await;
        publish(&other, &second, "id", "duplicate").await;
        let delivery = within("a delivery", consumer.next()).await.unwrap().unwrap();
        assert_eq!(body(&delivery), round);
        publish(&other, &second, "id", "duplicate").await;
        delivery.ack(BasicAckOptions::default()).await.unwrap();
        other.fence(&second).await;
    }
}

#[tokio::test]
async fn que_43_what_is_purged_expired_or_too_much_is_not_there_any_more() {
    let fixture = Fixture::start().await;
    let limits = table([("x-max-length", AMQPValue::LongInt(1))]);
    let Some((peer, queue)) = deduplicating(&fixture, limits).await else { return };
    publish(&peer, &queue, "one", "1").await;
    publish(&peer, &queue, "two", "2").await;
    publish(&peer, &queue, "one", "1 again").await;
    publish(&peer, &queue, "one", "duplicate").await;
    assert_eq!(peer.drain(&queue).await, ["1 again"]);
    publish(&peer, &queue, "one", "purged").await;
    within("queue.purge-ok", peer.queue_purge(queue.as_str().into(), Default::default())).await.unwrap();
    publish(&peer, &queue, "one", "after the purge").await;
    assert_eq!(peer.drain(&queue).await, ["after the purge"]);
    // Behind a message that stays, one that is overdue is still in the queue, but nobody would get it.
    let (peer, queue) = deduplicating(&fixture, FieldTable::default()).await.unwrap();
    publish(&peer, &queue, "stays", "stays").await;
    peer.publish_with("", &queue, b"overdue", identified("id").with_expiration("1".into())).await;
    within("an expiry", async {
        while peer.ready(&queue).await < 3 {
            publish(&peer, &queue, "id", "in time").await;
        }
    })
    .await;
    assert_eq!(peer.drain(&queue).await, ["stays", "in time"]);
}

#[tokio::test]
async fn que_43_every_queue_for_itself_and_only_if_it_is_asked_to() {
    let fixture = Fixture::start().await;
    let Some((peer, queue)) = deduplicating(&fixture, FieldTable::default()).await else { return };
    let exchange = peer.exchange("fan", lapin::ExchangeKind::Fanout).await;
    let off = table([("x-message-deduplication", AMQPValue::Boolean(false))]);
    let (plain, off) = (peer.declare("plain").await, peer.declare_with("off", off).await);
    for queue in [&queue, &plain, &off] {
        peer.bind(queue, &exchange, "").await;
    }
    for body in ["1", "2"] {
        peer.publish_with(&exchange, "", body.as_bytes(), identified("id")).await;
    }
    assert_eq!(peer.drain(&queue).await, ["1"]);
    assert_eq!((peer.drain(&plain).await.len(), peer.drain(&off).await.len()), (2, 2));
}
