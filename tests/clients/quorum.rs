//! Quorum queues on one node: delivery counts and limits, returned messages, priorities, what they refuse.

use lapin::{
    BasicProperties, Channel,
    message::BasicGetMessage,
    options::*,
    types::{AMQPValue, FieldTable},
};

use crate::{fixture::Fixture, support::*};

async fn declare(channel: &Channel, name: &str, arguments: &[(&str, AMQPValue)]) {
    let mut table = FieldTable::default();
    table.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    for (key, value) in arguments {
        table.insert((*key).into(), value.clone());
    }
    let options = QueueDeclareOptions { durable: true, ..Default::default() };
    channel.queue_declare(name.into(), options, table).await.unwrap();
}

async fn put(channel: &Channel, queue: &str, body: &str, priority: Option<u8>) {
    let properties = priority
        .map_or_else(BasicProperties::default, |priority| BasicProperties::default().with_priority(priority));
    let confirm = channel.basic_publish(
        "".into(),
        queue.into(),
        BasicPublishOptions::default(),
        body.as_bytes(),
        properties,
    );
    confirm.await.unwrap().await.unwrap();
}

async fn get(channel: &Channel, queue: &str) -> Option<BasicGetMessage> {
    channel.basic_get(queue.into(), BasicGetOptions::default()).await.unwrap()
}

async fn give_back(message: &BasicGetMessage) {
    message.acker.nack(BasicNackOptions { requeue: true, multiple: false }).await.unwrap();
}

fn header(message: &BasicGetMessage, name: &str) -> Option<AMQPValue> {
    message.properties.headers().as_ref()?.inner().get(name).cloned()
}

#[tokio::test]
async fn qq_02_qq_03_deliveries_are_counted_from_the_second_on() {
    let fixture = Fixture::start().await;
    let (peer, queue) = (peer(&fixture).await, unique("counted"));
    declare(&peer, &queue, &[]).await;
    put(&peer, &queue, "a", None).await;
    for count in 0..4i64 {
        let message = get(&peer, &queue).await.unwrap();
        assert_eq!(message.redelivered, count != 0);
        let expected = (count != 0).then_some(AMQPValue::LongLongInt(count));
        assert_eq!(header(&message, "x-delivery-count"), expected);
        give_back(&message).await;
    }
}

#[tokio::test]
async fn qq_04_a_message_given_back_too_often_dies() {
    let fixture = Fixture::start().await;
    let (peer, queue, morgue) = (peer(&fixture).await, unique("limited"), unique("morgue"));
    declare(&peer, &morgue, &[]).await;
    let to = AMQPValue::LongString(morgue.as_str().into());
    let exchange = AMQPValue::LongString("".into());
    let limit = AMQPValue::LongInt(2);
    let arguments = [
        ("x-delivery-limit", limit),
        ("x-dead-letter-exchange", exchange),
        ("x-dead-letter-routing-key", to),
    ];
    declare(&peer, &queue, &arguments).await;
    put(&peer, &queue, "a", None).await;
    for _ in 0..3 {
        give_back(&get(&peer, &queue).await.unwrap()).await;
    }
    assert!(get(&peer, &queue).await.is_none());
    let dead = get(&peer, &morgue).await.unwrap();
    assert_eq!(header(&dead, "x-first-death-reason"), Some(AMQPValue::LongString("delivery_limit".into())));
    assert!(!dead.redelivered);
}

#[tokio::test]
async fn qq_04_the_limit_is_20_unless_it_is_switched_off() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    for (arguments, deliveries) in
        [(vec![], Some(21)), (vec![("x-delivery-limit", AMQPValue::LongInt(-1))], None)]
    {
        let queue = unique("default");
        declare(&peer, &queue, &arguments).await;
        put(&peer, &queue, "a", None).await;
        let mut count = 0;
        while count < 40 {
            let Some(message) = get(&peer, &queue).await else { break };
            count += 1;
            give_back(&message).await;
        }
        assert_eq!(count, deliveries.unwrap_or(40));
    }
}

#[tokio::test]
async fn qq_06_what_came_back_comes_first_in_the_order_of_its_return() {
    let fixture = Fixture::start().await;
    let (peer, queue) = (peer(&fixture).await, unique("returned"));
    declare(&peer, &queue, &[]).await;
    for body in ["0", "1", "2", "3"] {
        put(&peer, &queue, body, None).await;
    }
    let mut taken = Vec::new();
    for _ in 0..3 {
        taken.push(get(&peer, &queue).await.unwrap());
    }
    for index in [2, 0, 1] {
        give_back(&taken[index]).await;
    }
    let mut order = Vec::new();
    while let Some(message) = get(&peer, &queue).await {
        order.push(String::from_utf8(message.data.clone()).unwrap());
    }
    assert_eq!(order, ["2", "0", "1", "3"]);
}

#[tokio::test]
async fn qq_07_priorities_are_strict_and_absent_is_four() {
    let fixture = Fixture::start().await;
    let (peer, queue) = (peer(&fixture).await, unique("priorities"));
    declare(&peer, &queue, &[]).await;
    for (body, priority) in
        [("3", Some(3)), ("none", None), ("5", Some(5)), ("200", Some(200)), ("31", Some(31))]
    {
        put(&peer, &queue, body, priority).await;
    }
    let mut order = Vec::new();
    while let Some(message) = get(&peer, &queue).await {
        order.push(String::from_utf8(message.data.clone()).unwrap());
    }
    assert_eq!(order, ["200", "31", "5", "none", "3"]);
}

#[tokio::test]
async fn qq_08_at_least_once_dead_letters_wait_for_a_queue_that_takes_them() {
    let fixture = Fixture::start().await;
    let (peer, queue, morgue) = (peer(&fixture).await, unique("sure"), unique("later"));
    let text = |text: &str| AMQPValue::LongString(text.into());
    let arguments = [
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text(&morgue)),
        ("x-dead-letter-strategy", text("at-least-once")),
        ("x-overflow", text("reject-publish")),
        ("x-message-ttl", AMQPValue::LongInt(50)),
    ];
    declare(&peer, &queue, &arguments).await;
    put(&peer, &queue, "a", None).await;
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert!(get(&peer, &queue).await.is_none());
    assert_eq!(peer.queue_purge(queue.as_str().into(), QueuePurgeOptions::default()).await.unwrap(), 0);
    // Nobody was there when it died; now somebody is, but only for one message.
    declare(
        &peer,
        &morgue,
        &[("x-max-length", AMQPValue::LongInt(1)), ("x-overflow", text("reject-publish"))],
    )
    .await;
    let dead = async {
        loop {
            if let Some(dead) = get(&peer, &morgue).await {
                return dead;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let dead = within("the dead letter", dead).await;
    assert_eq!(header(&dead, "x-first-death-reason"), Some(text("expired")));
    assert_eq!(dead.data, b"a");
}

/// Whether each of three publishes was taken.
async fn three(channel: &Channel, queue: &str) -> Vec<bool> {
    let mut taken = Vec::new();
    for body in [b"1", b"2", b"3"] {
        let options = BasicPublishOptions::default();
        let confirm =
            channel.basic_publish("".into(), queue.into(), options, body, BasicProperties::default());
        taken.push(confirm.await.unwrap().await.unwrap().is_ack());
    }
    taken
}

async fn bodies(channel: &Channel, queue: &str) -> Vec<Vec<u8>> {
    let mut bodies = Vec::new();
    while let Some(message) = get(channel, queue).await {
        bodies.push(message.data.clone());
    }
    bodies
}

#[tokio::test]
async fn que_47_qq_10_refusing_with_dead_letters_is_dropping_from_the_head() {
    let fixture = Fixture::start().await;
    let (peer, queue) = (peer(&fixture).await, unique("dlx"));
    let arguments = [("x-max-length", AMQPValue::LongInt(2)), ("x-overflow", text("reject-publish-dlx"))];
    declare(&peer, &queue, &arguments).await;
    assert_eq!(three(&peer, &queue).await, [true, true, true]);
    assert_eq!(bodies(&peer, &queue).await, [b"2", b"3"]);
}

#[tokio::test]
async fn len_08_a_limit_that_refuses_is_exact() {
    let fixture = Fixture::start().await;
    let (peer, queue) = (peer(&fixture).await, unique("exact"));
    let arguments = [("x-max-length", AMQPValue::LongInt(2)), ("x-overflow", text("reject-publish"))];
    declare(&peer, &queue, &arguments).await;
    assert_eq!(three(&peer, &queue).await, [true, true, false]);
    assert_eq!(bodies(&peer, &queue).await, [b"1", b"2"]);
}

#[tokio::test]
async fn que_53_deleting_if_unused_or_empty_works_as_for_other_queues() {
    let fixture = Fixture::start().await;
    let (peer, queue) = (peer(&fixture).await, unique("kept"));
    declare(&peer, &queue, &[]).await;
    put(&peer, &queue, "a", None).await;
    let channel = peer.another_channel().await;
    let if_empty = QueueDeleteOptions { if_empty: true, ..Default::default() };
    let (code, text) = refusal(channel.queue_delete(queue.as_str().into(), if_empty).await);
    assert_eq!(code, 406);
    assert_eq!(text, format!("PRECONDITION_FAILED - queue '{queue}' in vhost '/' not empty"));
    let if_unused = QueueDeleteOptions { if_unused: true, ..Default::default() };
    let deleted = peer.queue_delete(queue.as_str().into(), if_unused).await;
    assert_eq!(deleted.unwrap(), 1);
}

#[tokio::test]
async fn qq_09_whoever_gets_is_no_consumer() {
    let fixture = Fixture::start().await;
    let (peer, queue) = (peer(&fixture).await, unique("getter"));
    declare(&peer, &queue, &[]).await;
    put(&peer, &queue, "a", None).await;
    let message = get(&peer, &queue).await.unwrap();
    let passive = QueueDeclareOptions { passive: true, ..Default::default() };
    let found = peer.queue_declare(queue.as_str().into(), passive, FieldTable::default()).await.unwrap();
    assert_eq!((found.consumer_count(), found.message_count()), (0, 0));
    give_back(&message).await;
}
