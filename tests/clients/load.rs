//! Many channels, many connections, order under load, and slow consumers beside fast ones.

use amq_protocol::protocol::{AMQPClass, basic};
use futures_lite::StreamExt;
use lapin::{BasicProperties, Channel, Consumer, options::*, types::FieldTable};
use tokio::task::JoinSet;

use crate::{
    fixture::Fixture,
    raw::{Handshake, Raw},
    support::*,
};

const NO_ACK: BasicConsumeOptions =
    BasicConsumeOptions { no_ack: true, no_local: false, exclusive: false, nowait: false };

/// Publishes numbered bodies without waiting for anything.
async fn pour(channel: &Channel, queue: &str, count: u32, size: usize) {
    let mut body = vec![b'.'; size.max(4)];
    for number in 0..count {
        body[..4].copy_from_slice(&number.to_be_bytes());
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        channel.basic_publish("".into(), queue.into(), options, &body, properties).await.unwrap();
    }
}

/// Reads numbered bodies and checks that none is missing, doubled or out of order.
async fn read_in_order(consumer: &mut Consumer, count: u32) {
    for expected in 0..count {
        let delivery = consumer.next().await.expect("the consumer lives").expect("the channel is open");
        let number = u32::from_be_bytes(delivery.data[..4].try_into().unwrap());
        assert_eq!(number, expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn con_127_many_channels_on_one_connection() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let queue = peer.declare("channels").await;
    let mut channels = Vec::new();
    for _ in 0..500 {
        channels.push(peer.another_channel().await);
    }
    for (number, channel) in channels.iter().enumerate() {
        channel.publish("", &queue, &number.to_string()).await;
    }
    // Each channel answers for what was published on it before.
    for channel in &channels {
        assert!(channel.exists(&queue).await);
    }
    let mut bodies: Vec<u32> = peer.drain(&queue).await.iter().map(|body| body.parse().unwrap()).collect();
    bodies.sort_unstable();
    assert_eq!(bodies, (0..500).collect::<Vec<u32>>());
}

#[tokio::test]
async fn con_128_one_channel_too_many_is_530() {
    let Some(fixture) = Fixture::configured(|config| config.amqp.channel_max = 2).await else { return };
    let mut raw = Raw::open(&fixture, Handshake::default()).await;
    // CON-127: the number of channels is limited, not their ids.
    raw.open_channel(7).await;
    raw.open_channel(60_000).await;
    use amq_protocol::protocol::{channel, connection};
    raw.send(1, AMQPClass::Channel(channel::AMQPMethod::Open(channel::Open {}))).await;
    let answer = raw.method().await;
    let AMQPClass::Connection(connection::AMQPMethod::Close(close)) = answer else { panic!("{answer:?}") };
    assert_eq!(close.reply_code, 530);
    let expected = "NOT_ALLOWED - number of channels opened (2) has reached the negotiated channel_max (2)";
    assert_eq!(close.reply_text.as_str(), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_connections_work_at_once() {
    let fixture = Fixture::start().await;
    let publisher = peer(&fixture).await;
    let exchange = publisher.exchange("everyone", lapin::ExchangeKind::Fanout).await;
    let mut opening = JoinSet::new();
    for _ in 0..200 {
        let uri = fixture.uri().to_owned();
        opening.spawn(async move {
            let connection = connect(&uri).await.expect("one of many connections");
            let channel = connection.create_channel().await.unwrap();
            (connection, channel)
        });
    }
    let mut receivers = Vec::new();
    while let Some(opened) = within("another connection", opening.join_next()).await {
        let (connection, channel) = opened.unwrap();
        let options = QueueDeclareOptions { exclusive: true, ..Default::default() };
        let queue = channel.queue_declare("".into(), options, FieldTable::default()).await.unwrap();
        channel.bind(queue.name().as_str(), &exchange, "").await;
        let consumer =
            channel.consume_with(queue.name().as_str(), NO_ACK, FieldTable::default()).await.unwrap();
        receivers.push((connection, channel, consumer));
    }
    assert_eq!(receivers.len(), 200);
    publisher.publish(&exchange, "", "to all of you").await;
    for (_connection, _channel, consumer) in &mut receivers {
        assert_eq!(consumer.bodies(1).await, ["to all of you"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bas_95_order_holds_for_each_channel() {
    const EACH: u32 = 2_000;
    let fixture = Fixture::start().await;
    let (publisher, receiver) = (peer(&fixture).await, peer(&fixture).await);
    let queue = publisher.declare("ordered").await;
    let mut consumer = receiver.consume_with(&queue, NO_ACK, FieldTable::default()).await.unwrap();
    let mut pouring = JoinSet::new();
    for name in 0..4_u8 {
        let (channel, queue) = (publisher.another_channel().await, queue.clone());
        pouring.spawn(async move {
            for number in 0..EACH {
                channel.publish_with("", &queue, &body_of(name, number), BasicProperties::default()).await;
            }
        });
    }
    let mut next = [0; 4];
    for _ in 0..4 * EACH {
        let delivery = consumer.delivery().await;
        let (name, number) = (delivery.data[0], u32::from_be_bytes(delivery.data[1..5].try_into().unwrap()));
        assert_eq!(number, next[usize::from(name)], "channel {name}");
        next[usize::from(name)] += 1;
    }
    while let Some(poured) = pouring.join_next().await {
        poured.unwrap();
    }
}

fn body_of(name: u8, number: u32) -> Vec<u8> {
    let mut body = vec![name];
    body.extend(number.to_be_bytes());
    body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bas_31_a_consumer_that_never_reads_does_not_stop_others() {
    const FAST: u32 = 100_000;
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;

    // 400 messages of 100 KiB for somebody who will not read one: more than any socket buffer holds.
    let stuck_queue = peer.declare("stuck").await;
    let mut stuck = Raw::open(&fixture, Handshake::default()).await;
    stuck.open_channel(1).await;
    stuck.consume(1, &stuck_queue).await;
    let filler = peer.another_channel().await;
    pour(&filler, &stuck_queue, 400, 100 << 10).await;

    let queue = peer.declare("fast").await;
    let receiver = crate::support::peer(&fixture).await;
    let mut consumer = receiver.consume_with(&queue, NO_ACK, FieldTable::default()).await.unwrap();
    let channel = peer.another_channel().await;
    within_secs(60, "100 000 messages", async {
        tokio::join!(pour(&channel, &queue, FAST, 16), read_in_order(&mut consumer, FAST))
    })
    .await;

    // It was slow, not lost: once it reads, the first thing it gets is the first message.
    let first = stuck.method().await;
    let AMQPClass::Basic(basic::AMQPMethod::Deliver(deliver)) = first else { panic!("{first:?}") };
    assert_eq!(deliver.delivery_tag, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bas_31_messages_of_a_stuck_consumer_go_back_to_the_others() {
    const MESSAGES: u32 = 600;
    let fixture = Fixture::start().await;
    let (publisher, fast) = (peer(&fixture).await, peer(&fixture).await);
    let queue = publisher.declare("shared").await;
    let mut stuck = Raw::open(&fixture, Handshake::default()).await;
    stuck.open_channel(1).await;
    let consume = basic::Consume {
        queue: queue.as_str().into(),
        consumer_tag: "stuck".into(),
        no_local: false,
        no_ack: false,
        exclusive: false,
        nowait: false,
        arguments: FieldTable::default(),
    };
    stuck.send(1, AMQPClass::Basic(basic::AMQPMethod::Consume(consume))).await;
    stuck.method().await;

    let mut consumer = fast.consume(&queue).await;
    pour(&publisher, &queue, MESSAGES, 100 << 10).await;
    within_secs(60, "the confirms", publisher.wait_for_confirms()).await.unwrap();
    let mut seen = vec![false; MESSAGES as usize];
    let mut take = |delivery: &lapin::message::Delivery| {
        let number = u32::from_be_bytes(delivery.data[..4].try_into().unwrap());
        assert!(!std::mem::replace(&mut seen[number as usize], true), "{number} came twice");
    };
    // A peer that does not read stops getting messages: it holds at most what sockets and one window do, and
    // the consumer that reads gets the others while the stuck one lives.
    let mut count = 0;
    while fixture.is_ours() && count <= MESSAGES * 6 / 10 {
        take(&consumer.delivery().await);
        count += 1;
    }
    drop(stuck);
    while count < MESSAGES {
        let delivery = consumer.delivery().await;
        assert!(delivery.redelivered || fixture.is_ours());
        take(&delivery);
        count += 1;
    }
    assert!(seen.iter().all(|seen| *seen));
}
