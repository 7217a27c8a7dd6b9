//! ack, nack, reject, recover: what is settled, what comes back, and where.

use lapin::{Channel, message::BasicGetMessage, options::*};

use crate::{fixture::Fixture, support::*};

const REQUEUE: BasicNackOptions = BasicNackOptions { requeue: true, multiple: false };

/// Fetches this many messages with acknowledgement.
async fn take_many(channel: &Channel, queue: &str, count: usize) -> Vec<BasicGetMessage> {
    let mut taken = Vec::new();
    while taken.len() < count {
        taken.push(channel.take(queue).await);
    }
    taken
}

/// What comes next out of the queue, with the redelivered flag.
async fn contents(channel: &Channel, queue: &str) -> Vec<(String, bool)> {
    let mut contents = Vec::new();
    while let Some(message) = channel.pop(queue).await {
        contents.push((body(&message), message.redelivered));
    }
    contents
}

fn expected<const N: usize>(contents: [(&str, bool); N]) -> Vec<(String, bool)> {
    contents.map(|(body, redelivered)| (body.to_owned(), redelivered)).to_vec()
}

#[tokio::test]
async fn bas_61_ack_settles_one_or_everything_up_to() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let queue = peer.declare("ack").await;
    peer.fill(&queue, 0..6).await;
    let channel = peer.another_channel().await;
    let mut consumer = channel.consume(&queue).await;
    let mut taken = Vec::new();
    for _ in 0..6 {
        taken.push(consumer.delivery().await);
    }
    taken[1].ack(BasicAckOptions::default()).await.unwrap();
    taken[3].ack(BasicAckOptions { multiple: true }).await.unwrap();
    within("channel.close-ok", channel.close(200, "done".into())).await.unwrap();
    assert_eq!(contents(&peer, &queue).await, expected([("4", true), ("5", true)]));
}

#[tokio::test]
async fn ch_64_tag_zero_with_multiple_means_all() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let queue = peer.declare("zero").await;
    peer.fill(&queue, 0..3).await;
    let channel = peer.another_channel().await;
    // Nothing outstanding is fine, too.
    channel.basic_ack(0, BasicAckOptions { multiple: true }).await.unwrap();
    take_many(&channel, &queue, 3).await;
    channel.basic_ack(0, BasicAckOptions { multiple: true }).await.unwrap();
    within("channel.close-ok", channel.close(200, "done".into())).await.unwrap();
    assert_eq!(peer.ready(&queue).await, 0);
}

#[tokio::test]
async fn ch_62_63_unknown_delivery_tags_are_406() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let queue = peer.declare("unknown").await;
    for what in ["never issued", "settled", "multiple settled", "multiple beyond", "nack", "reject", "no-ack"]
    {
        peer.fill(&queue, 0..2).await;
        let channel = peer.another_channel().await;
        let watch = channel.watch().await;
        let multiple = BasicAckOptions { multiple: true };
        let one = BasicAckOptions::default();
        let (tag, result) = match what {
            "never issued" => (1, channel.basic_ack(1, one).await),
            "settled" => {
                take_many(&channel, &queue, 1).await;
                channel.basic_ack(1, one).await.unwrap();
                (1, channel.basic_ack(1, one).await)
            }
            "multiple settled" => {
                take_many(&channel, &queue, 2).await;
                channel.basic_ack(2, multiple).await.unwrap();
                (1, channel.basic_ack(1, multiple).await)
            }
            "multiple beyond" => {
                take_many(&channel, &queue, 1).await;
                (2, channel.basic_ack(2, multiple).await)
            }
            "nack" => (7, channel.basic_nack(7, BasicNackOptions::default()).await),
            "reject" => (7, channel.basic_reject(7, BasicRejectOptions::default()).await),
            _ => {
                channel.pop(&queue).await;
                (1, channel.basic_ack(1, one).await)
            }
        };
        result.expect("acknowledgements have no reply");
        let (code, reason) = watch.closed().await;
        assert_eq!(
            (code, reason),
            (406, format!("PRECONDITION_FAILED - unknown delivery tag {tag}")),
            "{what}"
        );
        let purge = peer.queue_purge(queue.as_str().into(), QueuePurgeOptions::default());
        within("queue.purge-ok", purge).await.unwrap();
    }
}

#[tokio::test]
async fn bas_62_nack_and_reject_without_requeue_drop() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let queue = peer.declare("drop").await;
    peer.fill(&queue, 0..5).await;
    let taken = take_many(&peer, &queue, 4).await;
    taken[3].reject(BasicRejectOptions { requeue: false }).await.unwrap();
    taken[0].nack(BasicNackOptions::default()).await.unwrap();
    taken[2].nack(BasicNackOptions { multiple: true, requeue: false }).await.unwrap();
    assert_eq!(contents(&peer, &queue).await, expected([("4", false)]));
}

#[tokio::test]
async fn bas_63_requeue_returns_to_original_position() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let queue = peer.declare("position").await;
    peer.fill(&queue, 0..6).await;
    let taken = take_many(&peer, &queue, 5).await;
    // Out of order, by both methods.
    taken[3].nack(REQUEUE).await.unwrap();
    taken[0].reject(BasicRejectOptions { requeue: true }).await.unwrap();
    taken[2].nack(REQUEUE).await.unwrap();
    peer.fill(&queue, [6]).await;
    let back = expected([("0", true), ("2", true), ("3", true), ("5", false), ("6", false)]);
    assert_eq!(contents(&peer, &queue).await, back);
}

#[tokio::test]
async fn bas_63_multiple_requeue_returns_all_in_order() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let queue = peer.declare("position").await;
    peer.fill(&queue, 0..4).await;
    let taken = take_many(&peer, &queue, 3).await;
    taken[2].nack(BasicNackOptions { multiple: true, requeue: true }).await.unwrap();
    let back = expected([("0", true), ("1", true), ("2", true), ("3", false)]);
    assert_eq!(contents(&peer, &queue).await, back);
}

#[tokio::test]
async fn bas_63_a_lost_connection_returns_everything_in_order() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let queue = peer.declare("lost").await;
    peer.fill(&queue, 0..4).await;
    let doomed = crate::support::peer(&fixture).await;
    let mut consumer = doomed.consume(&queue).await;
    assert_eq!(consumer.bodies(4).await, ["0", "1", "2", "3"]);
    doomed.close().await;
    let back = expected([("0", true), ("1", true), ("2", true), ("3", true)]);
    assert_eq!(contents(&peer, &queue).await, back);
}

#[tokio::test]
async fn bas_64_66_a_requeued_message_comes_straight_back() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let queue = peer.declare("hot").await;
    let mut consumer = peer.consume(&queue).await;
    peer.fill(&queue, [7]).await;
    for tag in 1..=50 {
        let delivery = consumer.delivery().await;
        assert_eq!((delivery.delivery_tag, delivery.redelivered), (tag, tag > 1));
        delivery.nack(REQUEUE).await.unwrap();
    }
}

#[tokio::test]
async fn bas_65_recover_redelivers_with_new_tags() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let queue = peer.declare("recover").await;
    peer.fill(&queue, 0..3).await;
    let channel = peer.another_channel().await;
    let mut consumer = channel.consume(&queue).await;
    for number in 0..3 {
        let delivery = consumer.delivery().await;
        assert_eq!((delivery.delivery_tag, delivery.redelivered), (number + 1, false));
        if number == 1 {
            delivery.ack(BasicAckOptions::default()).await.unwrap();
        }
    }
    within("basic.recover-ok", channel.basic_recover(BasicRecoverOptions { requeue: true })).await.unwrap();
    for (tag, expected) in [(4, "0"), (5, "2")] {
        let delivery = consumer.delivery().await;
        assert_eq!((delivery.delivery_tag, delivery.redelivered), (tag, true));
        assert_eq!(body(&delivery), expected);
    }
}

#[tokio::test]
async fn ch_73_recover_without_requeue_is_540() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let recover = peer.basic_recover(BasicRecoverOptions { requeue: false });
    assert_reply(refusal(within("connection.close", recover).await), 540, "NOT_IMPLEMENTED - requeue=false");
}

#[tokio::test]
async fn ch_03_a_channel_error_requeues_what_was_unacknowledged() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let queue = peer.declare("error").await;
    peer.fill(&queue, 0..3).await;
    let channel = peer.another_channel().await;
    let mut consumer = channel.consume(&queue).await;
    assert_eq!(consumer.bodies(3).await, ["0", "1", "2"]);
    assert!(!channel.exists(&unique("missing")).await);
    let back = expected([("0", true), ("1", true), ("2", true)]);
    assert_eq!(contents(&peer, &queue).await, back);
}
