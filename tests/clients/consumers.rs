//! Consumers: tags, exclusivity, cancelling both ways, priorities, fairness.

use std::collections::HashSet;

use amq_protocol::{
    frame::AMQPFrame,
    protocol::{AMQPClass, basic, channel},
};
use futures_lite::StreamExt;
use lapin::{
    options::*,
    types::{AMQPValue, FieldTable},
};

use crate::{
    fixture::Fixture,
    raw::{Handshake, Raw, decode},
    support::*,
};

const NO_ACK: BasicConsumeOptions =
    BasicConsumeOptions { no_ack: true, no_local: false, exclusive: false, nowait: false };
const EXCLUSIVE: BasicConsumeOptions =
    BasicConsumeOptions { exclusive: true, no_ack: false, no_local: false, nowait: false };

#[tokio::test]
async fn bas_20_consumers_get_what_was_there_and_what_comes() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let queue = peer.declare("stream").await;
    peer.fill(&queue, 0..3).await;
    let mut consumer = peer.consume(&queue).await;
    peer.fill(&queue, 3..5).await;
    for number in 0..5 {
        let delivery = consumer.delivery().await;
        assert_eq!(body(&delivery), number.to_string());
        assert_eq!((delivery.delivery_tag, delivery.redelivered), (number + 1, false));
        assert_eq!((delivery.exchange.as_str(), delivery.routing_key.as_str()), ("", queue.as_str()));
    }
}

#[tokio::test]
async fn bas_21_tags_are_generated_or_kept() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let queue = peer.declare("tags").await;
    let generated = [peer.consume(&queue).await.tag(), peer.consume(&queue).await.tag()];
    assert_ne!(generated[0], generated[1]);
    for tag in generated {
        assert_eq!(tag.as_str().strip_prefix("amq.ctag-").expect("the prefix").len(), 22, "{tag}");
    }
    let none = FieldTable::default;
    let consume = peer.basic_consume(queue.as_str().into(), "mine".into(), NO_ACK, none());
    assert_eq!(within("basic.consume-ok", consume).await.unwrap().tag().as_str(), "mine");
    // CH-60: the scope of a tag is the channel.
    let channel = peer.another_channel().await;
    let consume = channel.basic_consume(queue.as_str().into(), "mine".into(), NO_ACK, none());
    within("basic.consume-ok", consume).await.unwrap();
}

#[tokio::test]
async fn ch_60_a_tag_in_use_is_530_for_the_connection() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let queue = peer.declare("tags").await;
    let consume = || {
        peer.basic_consume(queue.as_str().into(), "twice".into(), Default::default(), FieldTable::default())
    };
    let _first = within("basic.consume-ok", consume()).await.unwrap();
    let refused = within("connection.close", consume()).await;
    assert_reply(refusal(refused), 530, "NOT_ALLOWED - attempt to reuse consumer tag 'twice'");
}

#[tokio::test]
async fn bas_23_without_acks_messages_are_settled_when_sent() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let queue = peer.declare("no-ack").await;
    peer.fill(&queue, 0..3).await;
    // Prefetch does not apply to such a consumer.
    peer.prefetch(1).await;
    let channel = peer.another_channel().await;
    let mut consumer = channel.consume_with(&queue, NO_ACK, FieldTable::default()).await.unwrap();
    assert_eq!(consumer.bodies(3).await, ["0", "1", "2"]);
    within("channel.close-ok", channel.close(200, "done".into())).await.unwrap();
    assert_eq!(peer.ready(&queue).await, 0);
}

#[tokio::test]
async fn ch_61_exclusive_consumers_are_alone() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let queue = peer.declare("alone").await;
    let try_consume = async |options| {
        let channel = peer.another_channel().await;
        channel.consume_with(&queue, options, FieldTable::default()).await
    };
    let exclusive = peer.consume_with(&queue, EXCLUSIVE, FieldTable::default()).await.unwrap();
    for options in [Default::default(), EXCLUSIVE] {
        assert_reply(refusal(try_consume(options).await), 403, "in exclusive use");
    }
    // BAS-51: fetching is not consuming.
    peer.another_channel().await.drain(&queue).await;
    let cancel = peer.basic_cancel(exclusive.tag(), BasicCancelOptions::default());
    within("basic.cancel-ok", cancel).await.unwrap();
    let _ordinary = peer.consume(&queue).await;
    assert_reply(refusal(try_consume(EXCLUSIVE).await), 403, "in exclusive use");
}

#[tokio::test]
async fn bas_28_after_cancel_nothing_more_comes_and_tags_stay_good() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let queue = peer.declare("cancel").await;
    peer.fill(&queue, [0]).await;
    let mut consumer = peer.consume(&queue).await;
    let delivery = consumer.delivery().await;
    let cancel = peer.basic_cancel(consumer.tag(), BasicCancelOptions::default());
    within("basic.cancel-ok", cancel).await.unwrap();
    peer.fill(&queue, [1]).await;
    assert_eq!((peer.ready(&queue).await, peer.consumers(&queue).await), (1, 0));
    consumer.cancelled().await;
    delivery.ack(BasicAckOptions::default()).await.unwrap();
    // Had the ack closed the channel or the message come back, this would show it.
    assert_eq!(peer.drain(&queue).await, ["1"]);
    assert_eq!(peer.ready(&queue).await, 0);
}

#[tokio::test]
async fn ch_65_cancelling_an_unknown_tag_is_fine() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let cancel = peer.basic_cancel("nobody".into(), BasicCancelOptions::default());
    within("basic.cancel-ok", cancel).await.unwrap();
    assert!(peer.publish("", &unique("alive"), "").await.is_ack());
}

#[tokio::test]
async fn bas_29_deleting_the_queue_cancels_its_consumers() {
    let fixture = Fixture::start().await;
    let (here, there) = (peer(&fixture).await, peer(&fixture).await);
    let queue = here.declare("doomed").await;
    let (mut near, mut far) = (here.consume(&queue).await, there.consume(&queue).await);
    let delete = here.queue_delete(queue.as_str().into(), QueueDeleteOptions::default());
    within("queue.delete-ok", delete).await.unwrap();
    near.cancelled().await;
    far.cancelled().await;
    // The channels live on.
    let queue = there.declare("next").await;
    assert!(here.publish("", &queue, "alive").await.is_ack());
}

#[tokio::test]
async fn bas_26_higher_priority_goes_first_while_it_has_room() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let queue = peer.declare("priority").await;
    let (ordinary, preferred) = (peer.another_channel().await, peer.another_channel().await);
    let mut low = ordinary.consume(&queue).await;
    preferred.prefetch(2).await;
    let priority = table([("x-priority", AMQPValue::LongInt(10))]);
    let mut high = preferred.consume_with(&queue, Default::default(), priority).await.unwrap();
    peer.fill(&queue, 0..5).await;
    let first = high.delivery().await;
    let second = high.delivery().await;
    assert_eq!([body(&first), body(&second)], ["0", "1"]);
    assert_eq!(low.bodies(3).await, ["2", "3", "4"]);
    second.ack(BasicAckOptions { multiple: true }).await.unwrap();
    preferred.fence(&queue).await;
    peer.fill(&queue, 5..8).await;
    assert_eq!(high.bodies(2).await, ["5", "6"]);
    assert_eq!(low.bodies(1).await, ["7"]);
    high.nothing().await;
}

#[tokio::test]
async fn ch_77_priority_must_be_an_integer() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let queue = peer.declare("priority").await;
    let refused = peer.consume_with(&queue, Default::default(), table([("x-priority", text("high"))])).await;
    assert_reply(refusal(refused), 406, "invalid arg 'x-priority' for queue");
}

#[tokio::test]
async fn bas_27_round_robin_in_order_of_registration() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let queue = peer.declare("turns").await;
    let mut consumers = Vec::new();
    for _ in 0..3 {
        consumers.push(peer.consume(&queue).await);
    }
    peer.fill(&queue, 0..9).await;
    // Whoever is first, the turns go round from there.
    let mut turns = Vec::new();
    for consumer in &mut consumers {
        let bodies = consumer.bodies(3).await;
        let numbers: Vec<u32> = bodies.iter().map(|body| body.parse().unwrap()).collect();
        assert_eq!([numbers[1] - numbers[0], numbers[2] - numbers[1]], [3, 3], "{numbers:?}");
        turns.push(numbers[0]);
    }
    turns.sort_unstable();
    assert_eq!(turns, [0, 1, 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bas_27_two_consumers_share_within_two_percent() {
    const MESSAGES: u32 = 10_000;
    const BURST: u32 = 200;
    let fixture = Fixture::start().await;
    let publisher = peer(&fixture).await;
    let (left, right) = (peer(&fixture).await, peer(&fixture).await);
    let queue = publisher.declare("fair").await;
    let mut lefts = left.consume_with(&queue, NO_ACK, FieldTable::default()).await.unwrap();
    let mut rights = right.consume_with(&queue, NO_ACK, FieldTable::default()).await.unwrap();
    // In bursts that both can take: fairness is about turns, not about who is faster.
    for burst in 0..MESSAGES / BURST {
        publisher.fill(&queue, burst * BURST..(burst + 1) * BURST).await;
        left.fence(&queue).await;
        right.fence(&queue).await;
    }
    let (left, right) = (lefts.waiting().await, rights.waiting().await);
    assert_eq!(left.len() + right.len(), MESSAGES as usize);
    assert!(left.len().abs_diff(right.len()) <= MESSAGES as usize / 50, "{} : {}", left.len(), right.len());
    // BAS-95: each sees its share in publish order.
    for share in [&left, &right] {
        let numbers: Vec<u32> = share.iter().map(|delivery| body(delivery).parse().unwrap()).collect();
        assert!(numbers.is_sorted());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bas_60_two_acknowledging_consumers_get_each_message_once() {
    const MESSAGES: usize = 4_000;
    let fixture = Fixture::start().await;
    let publisher = peer(&fixture).await;
    let queue = publisher.declare("fair").await;
    publisher.fill(&queue, 0..MESSAGES as u32).await;
    let mut tasks = Vec::new();
    let (done, mut finished) = tokio::sync::mpsc::unbounded_channel();
    for _ in 0..2 {
        let worker = peer(&fixture).await;
        worker.prefetch(100).await;
        let mut consumer = worker.consume(&queue).await;
        let done = done.clone();
        tasks.push(tokio::spawn(async move {
            while let Some(Ok(delivery)) = consumer.next().await {
                delivery.ack(BasicAckOptions::default()).await.unwrap();
                done.send(body(&delivery)).unwrap();
            }
            drop(worker);
        }));
    }
    let mut seen = HashSet::new();
    while seen.len() < MESSAGES {
        let body = within("another message", finished.recv()).await.unwrap();
        assert!(seen.insert(body), "delivered twice");
    }
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn bas_30_single_active_consumer_hands_over() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let single = table([("x-single-active-consumer", AMQPValue::Boolean(true))]);
    let queue = peer.declare_with("single", single).await;
    let (mut active, mut waiting) = (peer.consume(&queue).await, peer.consume(&queue).await);
    peer.fill(&queue, 0..3).await;
    assert_eq!(active.bodies(3).await, ["0", "1", "2"]);
    peer.fence(&queue).await;
    waiting.nothing().await;
    let cancel = peer.basic_cancel(active.tag(), BasicCancelOptions::default());
    within("basic.cancel-ok", cancel).await.unwrap();
    peer.fill(&queue, [3]).await;
    assert_eq!(waiting.bodies(1).await, ["3"]);
    let exclusive = peer.another_channel().await.consume_with(&queue, EXCLUSIVE, FieldTable::default()).await;
    assert_reply(refusal(exclusive), 403, "in exclusive use");
}

#[tokio::test]
async fn bas_50_51_get_shares_the_tags_and_tells_what_is_left() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let queue = peer.declare("get").await;
    assert!(peer.pop(&queue).await.is_none());
    peer.fill(&queue, 0..3).await;
    for number in 0..3 {
        let message = peer.take(&queue).await;
        assert_eq!(body(&message), number.to_string());
        assert_eq!((message.delivery_tag, message.message_count), (u64::from(number) + 1, 2 - number));
    }
    let mut consumer = peer.consume(&queue).await;
    peer.fill(&queue, [3]).await;
    assert_eq!(consumer.delivery().await.delivery_tag, 4);
}

#[tokio::test]
async fn bas_70_an_overdue_delivery_closes_its_channel_and_comes_back() {
    let short = |config: &mut leveret::Config| {
        config.amqp.consumer_timeout = Some(std::time::Duration::from_millis(300));
    };
    let Some(fixture) = Fixture::configured(short).await else { return };
    let mut raw = Raw::open(&fixture, Handshake::default()).await;
    let peer = peer(&fixture).await;
    let queue = peer.declare("overdue").await;
    raw.open_channel(1).await;
    raw.consume_with(1, &queue, false).await;
    peer.fill(&queue, 0..1).await;
    let mut delivered = false;
    let close = async {
        loop {
            let frame = raw.next().await.expect("the connection stays open");
            if let AMQPFrame::Method(_, method) = decode(&frame) {
                match method {
                    AMQPClass::Basic(basic::AMQPMethod::Deliver(_)) => delivered = true,
                    AMQPClass::Channel(channel::AMQPMethod::Close(close)) => break close,
                    other => panic!("neither a delivery nor channel.close: {other:?}"),
                }
            }
        }
    };
    let close = within("channel.close", close).await;
    assert!(delivered);
    assert_eq!((close.reply_code, close.class_id, close.method_id), (406, 0, 0));
    let text =
        "PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out. Timeout value used: 300 ms";
    assert!(close.reply_text.as_str().starts_with(text), "{}", close.reply_text);
    let message = peer.take(&queue).await;
    assert!(message.redelivered);
    message.ack(BasicAckOptions::default()).await.unwrap();
}

/// The text that a channel closes with whose only consumer of `queue` does not settle what it got.
async fn left_unsettled(fixture: &Fixture, queue: &str, arguments: FieldTable) -> String {
    let mut raw = Raw::open(fixture, Handshake::default()).await;
    raw.open_channel(1).await;
    let consume = basic::Consume {
        queue: queue.into(),
        consumer_tag: "raw".into(),
        no_local: false,
        no_ack: false,
        exclusive: false,
        nowait: true,
        arguments,
    };
    raw.send(1, AMQPClass::Basic(basic::AMQPMethod::Consume(consume))).await;
    peer(fixture).await.fill(queue, 0..1).await;
    let close = async {
        loop {
            let frame = raw.next().await.expect("the connection stays open");
            if let AMQPFrame::Method(_, AMQPClass::Channel(channel::AMQPMethod::Close(close))) =
                decode(&frame)
            {
                break close.reply_text.to_string();
            }
        }
    };
    within("channel.close", close).await
}

fn is_of(text: &str, millis: u32) {
    let expected = format!(
        "PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out. Timeout value used: {millis} ms"
    );
    assert!(text.contains(&expected), "{text}");
}

#[tokio::test]
async fn bas_71_a_consumer_may_have_a_timeout_of_its_own() {
    let fixture = Fixture::start().await;
    if !fixture.is_ours() {
        return;
    }
    let queue = peer(&fixture).await.declare("own-timeout").await;
    let arguments = table([("x-consumer-timeout", AMQPValue::LongInt(120))]);
    is_of(&left_unsettled(&fixture, &queue, arguments).await, 120);
}

#[tokio::test]
async fn bas_71_bas_72_the_consumer_comes_before_its_queue_and_the_queue_before_the_broker() {
    let fixture = Fixture::start().await;
    if !fixture.is_ours() {
        return;
    }
    let peer = peer(&fixture).await;
    let queue = unique("queue-timeout");
    let arguments = table([("x-consumer-timeout", AMQPValue::LongInt(130))]);
    peer.queue_declare(queue.as_str().into(), QueueDeclareOptions::default(), arguments).await.unwrap();
    is_of(&left_unsettled(&fixture, &queue, FieldTable::default()).await, 130);
    peer.queue_purge(queue.as_str().into(), QueuePurgeOptions::default()).await.unwrap();
    let longer = table([("x-consumer-timeout", AMQPValue::LongInt(140))]);
    is_of(&left_unsettled(&fixture, &queue, longer).await, 140);
}
