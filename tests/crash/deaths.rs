//! Dead letters, times to live and returns of messages across a kill: nothing is lost, nothing is there twice, and
//! what was counted goes on.

use std::time::Duration;

use lapin::{
    BasicProperties, Channel,
    message::BasicGetMessage,
    options::*,
    types::{AMQPValue, FieldTable},
};

use crate::{
    patience::within,
    place::{Broker, Ending, Place},
    topology::durable_queue,
};

const BODIES: [&str; 3] = ["a", "b", "c"];

fn table<const N: usize>(pairs: [(&str, AMQPValue); N]) -> FieldTable {
    let mut table = FieldTable::default();
    for (key, value) in pairs {
        table.insert(key.into(), value);
    }
    table
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

async fn declare(channel: &Channel, queue: &str, arguments: FieldTable) {
    within("declare-ok", channel.queue_declare(queue.into(), durable_queue(), arguments)).await.unwrap();
}

async fn fill(channel: &Channel, queue: &str) {
    within("select-ok", channel.confirm_select(ConfirmSelectOptions::default())).await.unwrap();
    for body in BODIES {
        let properties = BasicProperties::default().with_delivery_mode(2);
        let options = BasicPublishOptions::default();
        let publish = channel.basic_publish("".into(), queue.into(), options, body.as_bytes(), properties);
        assert!(within("a confirm", publish.await.unwrap()).await.unwrap().is_ack());
    }
}

async fn take(channel: &Channel, queue: &str) -> Option<BasicGetMessage> {
    within("an answer", channel.basic_get(queue.into(), BasicGetOptions::default())).await.unwrap()
}

/// Takes so many as they come, for as long as it takes.
async fn await_bodies(channel: &Channel, queue: &str, count: usize) -> Vec<String> {
    let mut bodies = Vec::new();
    let all = async {
        while bodies.len() < count {
            match take(channel, queue).await {
                Some(message) => bodies.push(String::from_utf8(message.delivery.data.clone()).unwrap()),
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    within("all messages", all).await;
    bodies
}

fn header(message: &BasicGetMessage, name: &str) -> Option<AMQPValue> {
    message.properties.headers().as_ref()?.inner().get(name).cloned()
}

fn dying(strategy: &str, more: &[(&str, AMQPValue)]) -> FieldTable {
    let mut arguments = table([
        ("x-queue-type", text("quorum")),
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text("morgue")),
        ("x-dead-letter-strategy", text(strategy)),
        ("x-overflow", text("reject-publish")),
    ]);
    for (key, value) in more {
        arguments.insert((*key).into(), value.clone());
    }
    arguments
}

/// Rejects everything in `dying`, and waits until the broker has heard of it.
async fn reject_all(channel: &Channel) {
    while let Some(message) = take(channel, "dying").await {
        message.acker.reject(BasicRejectOptions { requeue: false }).await.unwrap();
    }
}

#[tokio::test]
async fn qq_08_dead_letters_that_nobody_took_survive_a_kill() {
    let place = Place::new();
    let broker = place.start();
    let channel = broker.channel().await;
    declare(&channel, "dying", dying("at-least-once", &[])).await;
    fill(&channel, "dying").await;
    reject_all(&channel).await;
    broker.end(Ending::Kill).await;

    // After a kill they are in their queue again, or wait still: they are rejected once more, into a queue that
    // takes one at a time.
    let broker = place.start();
    let channel = broker.channel().await;
    let one = [("x-max-length", AMQPValue::LongInt(1)), ("x-overflow", text("reject-publish"))];
    declare(&channel, "morgue", table(one)).await;
    reject_all(&channel).await;
    let mut found = await_bodies(&channel, "morgue", 2).await;
    broker.end(Ending::Kill).await;

    let broker = place.start();
    let channel = broker.channel().await;
    reject_all(&channel).await;
    let rest = async {
        loop {
            found.extend(await_bodies(&channel, "morgue", 1).await);
            if BODIES.iter().all(|body| found.iter().any(|found| found == body)) {
                return;
            }
        }
    };
    within("the rest", rest).await;
}

#[tokio::test]
async fn dlx_10_a_dead_letter_is_in_one_of_its_queues_whenever_the_power_goes() {
    for round in 0..6u32 {
        let place = Place::new();
        let broker = place.start();
        let channel = broker.channel().await;
        declare(&channel, "morgue", FieldTable::default()).await;
        let arguments = [("x-dead-letter-exchange", text("")), ("x-dead-letter-routing-key", text("morgue"))];
        declare(&channel, "dying", table(arguments)).await;
        fill(&channel, "dying").await;
        for _ in 0..=round % 3 {
            let message = take(&channel, "dying").await.unwrap();
            message.acker.reject(BasicRejectOptions { requeue: false }).await.unwrap();
        }
        broker.end(Ending::Kill).await;
        let broker = place.start();
        let channel = broker.channel().await;
        let mut found = Vec::new();
        for queue in ["dying", "morgue"] {
            while let Some(message) = take(&channel, queue).await {
                found.push(String::from_utf8(message.delivery.data.clone()).unwrap());
            }
        }
        found.sort();
        assert_eq!(found, BODIES, "round {round}");
    }
}

#[tokio::test]
async fn ttl_06_what_expires_while_the_broker_is_away_is_dead_lettered() {
    for ending in [Ending::Clean, Ending::Kill] {
        let place = Place::new();
        let broker = place.start();
        let channel = broker.channel().await;
        declare(&channel, "morgue", FieldTable::default()).await;
        let arguments = [
            ("x-message-ttl", AMQPValue::LongInt(1_500)),
            ("x-dead-letter-exchange", text("")),
            ("x-dead-letter-routing-key", text("morgue")),
        ];
        declare(&channel, "dying", table(arguments)).await;
        fill(&channel, "dying").await;
        broker.end(ending).await;
        tokio::time::sleep(Duration::from_millis(2_000)).await;
        let broker: Broker = place.start();
        let channel = broker.channel().await;
        assert!(take(&channel, "dying").await.is_none(), "its time is over");
        assert_eq!(await_bodies(&channel, "morgue", 3).await, BODIES);
    }
}

#[tokio::test]
async fn rst_16_qq_05_returns_are_counted_on_after_a_restart_each_in_its_way() {
    for ending in [Ending::Clean, Ending::Kill] {
        let place = Place::new();
        let broker = place.start();
        let channel = broker.channel().await;
        declare(&channel, "counted", table([("x-queue-type", text("quorum"))])).await;
        fill(&channel, "counted").await;
        for times in 0..4 {
            let message = take(&channel, "counted").await.unwrap();
            match times {
                0 => message.acker.reject(BasicRejectOptions { requeue: true }).await.unwrap(),
                _ => message.acker.nack(BasicNackOptions { requeue: true, multiple: false }).await.unwrap(),
            };
        }
        // A confirm comes after what was logged before.
        fill(&channel, "counted").await;
        broker.end(ending).await;
        let broker = place.start();
        let channel = broker.channel().await;
        let message = take(&channel, "counted").await.unwrap();
        assert_eq!(message.delivery.data, b"a");
        assert!(message.delivery.redelivered);
        let count = |name| header(&message, name);
        assert_eq!(count("x-delivery-count"), Some(AMQPValue::LongLongInt(1)), "{ending:?}");
        assert_eq!(count("x-acquired-count"), Some(AMQPValue::LongLongInt(4)), "{ending:?}");
        if ending == Ending::Clean {
            assert!(!take(&channel, "counted").await.unwrap().delivery.redelivered);
        }
    }
}
