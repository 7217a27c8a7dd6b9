//! One slow queue keeps old messages among many that are gone at once: the log is trimmed all the same.

use futures_lite::StreamExt;
use lapin::{Confirmation, options::*, types::FieldTable};

use crate::{
    footprint::{LOG_MAX, shrunk},
    look::{consume, open, ready},
    message::Id,
    model::Model,
    patience::within,
    place::{Ending, Place},
    settings::{PAGING, Settings, TRIMMING},
    topology::durable_queue,
};

const MESSAGES: u32 = 1600;
const OCTETS: u32 = 8000;
/// One of so many is for the slow queue.
const SHARE: u32 = 16;
const WINDOW: usize = 50;
const PUBLISHER: u16 = 1;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_queue_does_not_keep_the_log_long() {
    pin(TRIMMING).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_queue_on_disk_does_not_keep_the_log_long() {
    pin(PAGING).await;
}

async fn pin(settings: Settings) {
    let mut place = Place::new();
    place.set(settings);
    let broker = place.start();
    let connection = broker.connect().await;
    let channel = open(&connection).await;
    for queue in ["slow", "fast"] {
        let declare = channel.queue_declare(queue.into(), durable_queue(), FieldTable::default());
        within("queue.declare-ok", declare).await.unwrap();
    }
    let no_ack = BasicConsumeOptions { no_ack: true, ..Default::default() };
    let mut fast =
        channel.basic_consume("fast".into(), "".into(), no_ack, FieldTable::default()).await.unwrap();
    let reader = tokio::spawn(async move { while fast.next().await.is_some_and(|got| got.is_ok()) {} });
    let slow = publish(&connection).await;
    shrunk(&place, LOG_MAX + slow.len() as u64 * u64::from(OCTETS), u64::MAX).await;
    reader.abort();

    broker.end(Ending::Kill).await;
    let broker = place.start();
    let connection = broker.connect().await;
    assert_eq!(ready(&connection, "slow").await, Some(u32::try_from(slow.len()).unwrap()));
    let channel = open(&connection).await;
    let mut consumer = consume(&channel, "slow").await;
    for id in slow {
        let delivery = within("basic.deliver", consumer.next()).await.unwrap().unwrap();
        assert_eq!(Id::of(&delivery), Ok(id));
        delivery.ack(BasicAckOptions::default()).await.unwrap();
    }
    shrunk(&place, LOG_MAX, 64 << 10).await;
    broker.end(Ending::Clean).await;
}

/// Publishes everything, and returns what is in the slow queue.
async fn publish(connection: &lapin::Connection) -> Vec<Id> {
    let channel = open(connection).await;
    within("confirm.select-ok", channel.confirm_select(ConfirmSelectOptions::default())).await.unwrap();
    let (mut model, mut slow, mut waiting) = (Model::default(), Vec::new(), Vec::new());
    for number in 0..MESSAGES {
        let queue = if number % SHARE == 0 { "slow" } else { "fast" };
        let id = model.send(PUBLISHER, OCTETS, &[queue], None);
        if queue == "slow" {
            slow.push(id);
        }
        let (options, body) = (BasicPublishOptions::default(), id.body());
        let publish = channel.basic_publish("".into(), queue.into(), options, &body, id.properties());
        waiting.push(publish.await.unwrap());
        if waiting.len() == WINDOW {
            for confirm in waiting.drain(..) {
                let confirm = within("a confirm", confirm).await.unwrap();
                assert!(matches!(confirm, Confirmation::Ack(None)));
            }
        }
    }
    slow
}
