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

/// Back to the queue, in a way that counts against its delivery limit.
async fn reject(message: &BasicGetMessage) {
    message.acker.reject(BasicRejectOptions { requeue: true }).await.unwrap();
}

/// Back to the queue, in a way that does not.
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
        assert_eq!(header(&message, "x-acquired-count"), expected);
        reject(&message).await;
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
        reject(&get(&peer, &queue).await.unwrap()).await;
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
            reject(&message).await;
        }
        assert_eq!(count, deliveries.unwrap_or(40));
    }
}

#[tokio::test]
async fn qq_05_ver_16_only_rejections_and_losses_count() {
    let fixture = Fixture::start().await;
    let (peer, queue) = (peer(&fixture).await, unique("lenient"));
    declare(&peer, &queue, &[("x-delivery-limit", AMQPValue::LongInt(1))]).await;
    put(&peer, &queue, "a", None).await;
    for times in 1..=30i64 {
        let channel = peer.another_channel().await;
        let message = get(&channel, &queue).await.expect("giving back does not count");
        if times % 2 == 0 {
            give_back(&message).await;
        } else {
            channel.basic_recover(BasicRecoverOptions { requeue: true }).await.unwrap();
        }
        let message = get(&channel, &queue).await.unwrap();
        assert_eq!(header(&message, "x-delivery-count"), None);
        assert_eq!(header(&message, "x-acquired-count"), Some(AMQPValue::LongLongInt(2 * times - 1)));
        give_back(&message).await;
        channel.close(200, "".into()).await.unwrap();
    }
    // A channel that ends with it counts, as a rejection does: once is allowed, twice is not.
    let channel = peer.another_channel().await;
    get(&channel, &queue).await.unwrap();
    channel.close(200, "".into()).await.unwrap();
    let message = get(&peer, &queue).await.unwrap();
    assert_eq!(header(&message, "x-delivery-count"), Some(AMQPValue::LongLongInt(1)));
    reject(&message).await;
    assert!(get(&peer, &queue).await.is_none());
}

async fn count(channel: &Channel, queue: &str) -> u32 {
    let passive = QueueDeclareOptions { passive: true, ..Default::default() };
    channel.queue_declare(queue.into(), passive, FieldTable::default()).await.unwrap().message_count()
}

#[tokio::test]
async fn qq_11_what_comes_back_waits_longer_each_time() {
    let fixture = Fixture::start().await;
    let (peer, queue) = (peer(&fixture).await, unique("patient"));
    let wait = |kind: &str| {
        [
            ("x-delayed-retry-type", text(kind)),
            ("x-delayed-retry-min", AMQPValue::LongInt(300)),
            ("x-delayed-retry-max", AMQPValue::LongInt(500)),
        ]
    };
    declare(&peer, &queue, &wait("all")).await;
    put(&peer, &queue, "a", None).await;
    put(&peer, &queue, "b", None).await;
    let mut message = get(&peer, &queue).await.unwrap();
    for least in [300, 500, 500] {
        let since = std::time::Instant::now();
        reject(&message).await;
        // The other one does not wait for it.
        let other = get(&peer, &queue).await.unwrap();
        assert_eq!((other.data.as_slice(), count(&peer, &queue).await), (&b"b"[..], 0));
        let again = async {
            loop {
                if let Some(again) = get(&peer, &queue).await {
                    return again;
                }
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        };
        message = within("the message again", again).await;
        assert_eq!(message.data, b"a");
        let waited = since.elapsed().as_millis();
        assert!(least <= waited, "{waited} ms are too early");
        other.acker.ack(BasicAckOptions::default()).await.unwrap();
        put(&peer, &queue, "b", None).await;
    }
    // What waits goes with a purge, and keeps a queue from being empty.
    reject(&message).await;
    get(&peer, &queue).await.unwrap().acker.ack(BasicAckOptions::default()).await.unwrap();
    let channel = peer.another_channel().await;
    let if_empty = QueueDeleteOptions { if_empty: true, ..Default::default() };
    assert_eq!(refusal(channel.queue_delete(queue.as_str().into(), if_empty).await).0, 406);
    assert_eq!(peer.queue_purge(queue.as_str().into(), QueuePurgeOptions::default()).await.unwrap(), 1);

    let (failed, returned) = (unique("failed"), unique("returned"));
    for (queue, kind, waits) in [(&failed, "failed", [true, false]), (&returned, "returned", [false, true])] {
        declare(&peer, queue, &wait(kind)).await;
        for (rejects, waits) in [true, false].into_iter().zip(waits) {
            put(&peer, queue, "a", None).await;
            let message = get(&peer, queue).await.unwrap();
            if rejects {
                reject(&message).await
            } else {
                give_back(&message).await
            };
            assert_eq!(get(&peer, queue).await.is_none(), waits, "{kind}, rejected: {rejects}");
            peer.queue_purge(queue.as_str().into(), QueuePurgeOptions::default()).await.unwrap();
        }
    }
}

#[tokio::test]
async fn qq_01_every_message_survives_whatever_its_mode() {
    let directory = tempfile::tempdir().unwrap();
    let queue = unique("all modes");
    let broker = async || {
        let path = directory.path().to_owned();
        let configured = leveret::Broker::builder().configure(|config| config.storage.data_dir = Some(path));
        configured.start().await.expect("the broker starts")
    };
    let before = broker().await;
    let connection = connect(&before.uri()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    declare(&channel, &queue, &[]).await;
    for mode in [None, Some(1), Some(2)] {
        let properties = mode.map_or_else(BasicProperties::default, |mode| {
            BasicProperties::default().with_delivery_mode(mode)
        });
        let (options, body) = (BasicPublishOptions::default(), format!("{mode:?}"));
        let publish =
            channel.basic_publish("".into(), queue.as_str().into(), options, body.as_bytes(), properties);
        publish.await.unwrap().await.unwrap();
    }
    // Server-named and auto-delete ones do not exist.
    for (name, options) in [
        ("", QueueDeclareOptions { durable: true, ..Default::default() }),
        ("auto-delete", QueueDeclareOptions { durable: true, auto_delete: true, ..Default::default() }),
        ("exclusive", QueueDeclareOptions { durable: true, exclusive: true, ..Default::default() }),
        ("transient", QueueDeclareOptions::default()),
    ] {
        let channel = connection.create_channel().await.unwrap();
        let arguments = table([("x-queue-type", text("quorum"))]);
        assert_eq!(refusal(channel.queue_declare(name.into(), options, arguments).await).0, 406, "{name}");
    }
    before.shutdown().await;
    let after = broker().await;
    let connection = connect(&after.uri()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    assert_eq!(bodies(&channel, &queue).await, [&b"None"[..], b"Some(1)", b"Some(2)"]);
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
