//! A stream under kill after kill: what was confirmed is there, once and in order, and an offset that anybody
//! has read means the same message for ever.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_lite::StreamExt;
use lapin::{
    BasicProperties, Channel, Confirmation, Consumer,
    message::Delivery,
    options::*,
    types::{AMQPValue, FieldTable},
};
use tokio::task::JoinHandle;

use crate::{
    patience::within,
    place::{Broker, Ending, Place},
    random::Random,
    settings::{TRIMMING, chosen},
    topology::durable_queue,
};

const STREAM: &str = "stream";
const KILLS: u32 = 4;
/// Publishes under way at most.
const WINDOW: usize = 200;

/// What clients have been told.
#[derive(Default)]
struct Told {
    published: u64,
    confirmed: BTreeSet<u64>,
    /// Messages by the offsets at which somebody has read them.
    read: BTreeMap<i64, u64>,
}

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

async fn declare(channel: &Channel) {
    // Small segments, so that the files change all the time.
    let arguments = table([
        ("x-queue-type", text("stream")),
        ("x-stream-max-segment-size-bytes", AMQPValue::LongInt(300_000)),
    ]);
    within("declare-ok", channel.queue_declare(STREAM.into(), durable_queue(), arguments)).await.unwrap();
}

/// The number in a message, and its offset.
fn parse(delivery: &Delivery) -> (u64, i64) {
    let number = u64::from_be_bytes(delivery.data[..8].try_into().unwrap());
    assert!(delivery.data[8..].iter().all(|octet| *octet == number as u8), "{number} is torn");
    let headers = delivery.properties.headers().as_ref().unwrap();
    match headers.inner().get("x-stream-offset") {
        Some(AMQPValue::LongLongInt(offset)) => (number, *offset),
        other => panic!("{number} has the offset {other:?}"),
    }
}

/// Publishes until the broker is gone, and notes what it confirmed.
async fn publish(channel: Channel, told: Arc<Mutex<Told>>, mut random: Random) {
    if channel.confirm_select(ConfirmSelectOptions::default()).await.is_err() {
        return;
    }
    let mut under_way = std::collections::VecDeque::new();
    loop {
        let number = {
            let mut told = told.lock().unwrap();
            told.published += 1;
            told.published
        };
        let mut body = number.to_be_bytes().to_vec();
        body.resize(8 + random.pick(0..3_000) as usize, number as u8);
        let options = BasicPublishOptions::default();
        let published =
            channel.basic_publish("".into(), STREAM.into(), options, &body, BasicProperties::default());
        let Ok(confirm) = published.await else { return };
        under_way.push_back((number, confirm));
        while WINDOW <= under_way.len() {
            let Some((number, confirm)) = under_way.pop_front() else { break };
            let Ok(Confirmation::Ack(_)) = confirm.await else { return };
            told.lock().unwrap().confirmed.insert(number);
        }
    }
}

async fn consume(channel: &Channel, offset: AMQPValue) -> Consumer {
    within("qos-ok", channel.basic_qos(500, BasicQosOptions::default())).await.unwrap();
    let arguments = table([("x-stream-offset", offset)]);
    let consume = channel.basic_consume(STREAM.into(), "".into(), BasicConsumeOptions::default(), arguments);
    within("consume-ok", consume).await.unwrap()
}

/// Reads until the broker is gone, and notes what it saw.
async fn read(mut consumer: Consumer, told: Arc<Mutex<Told>>) {
    while let Some(Ok(delivery)) = consumer.next().await {
        let (number, offset) = parse(&delivery);
        told.lock().unwrap().read.insert(offset, number);
        if delivery.acker.ack(BasicAckOptions::default()).await.is_err() {
            return;
        }
    }
}

/// Lets a client take in what the broker said before it was gone. One that does not notice the end (a client's
/// acknowledgement may wait for ever on a lost connection) only makes the test know less.
async fn noticed(mut client: JoinHandle<()>) {
    match tokio::time::timeout(Duration::from_secs(2), &mut client).await {
        Ok(end) => end.unwrap(),
        Err(_) => client.abort(),
    }
}

/// Reads everything there is, and compares it with what clients were told.
async fn judge(broker: &Broker, told: &Told) {
    let channel = broker.channel().await;
    // The stream ends with a message of ours.
    within("select-ok", channel.confirm_select(ConfirmSelectOptions::default())).await.unwrap();
    let last = u64::MAX.to_be_bytes();
    let options = BasicPublishOptions::default();
    let end = channel.basic_publish("".into(), STREAM.into(), options, &last, BasicProperties::default());
    within("a confirm", end.await.unwrap()).await.unwrap();
    let mut consumer = consume(&channel, text("first")).await;
    let mut found = BTreeMap::new();
    let mut before = None;
    loop {
        let delivery = within("a delivery", consumer.next()).await.unwrap().unwrap();
        let (number, offset) = parse(&delivery);
        assert!(before < Some(offset), "offset {offset} comes after {before:?}");
        before = Some(offset);
        delivery.acker.ack(BasicAckOptions::default()).await.unwrap();
        if number == u64::MAX {
            break;
        }
        found.insert(offset, number);
    }
    let numbers: Vec<u64> = found.values().copied().filter(|number| *number != u64::MAX).collect();
    assert!(numbers.is_sorted_by(|one, other| one < other), "out of order, or twice");
    let there: BTreeSet<u64> = numbers.into_iter().collect();
    let lost: Vec<&u64> = told.confirmed.difference(&there).collect();
    assert!(lost.is_empty(), "confirmed and lost: {lost:?}");
    for (offset, number) in &told.read {
        assert_eq!(found.get(offset), Some(number), "at offset {offset}");
    }
    eprintln!("{} messages, {} confirmed, {} read", found.len(), told.confirmed.len(), told.read.len());
}

#[tokio::test]
async fn str_02_a_stream_survives_kill_after_kill() {
    let seed = std::env::var("LEVERET_CRASH_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7);
    eprintln!("seed {seed}");
    let mut random = Random::new(seed);
    let mut place = Place::new();
    let told = Arc::new(Mutex::new(Told::default()));
    let cycles = std::env::var("LEVERET_CRASH_CYCLES").ok().and_then(|cycles| cycles.parse().ok());
    for _ in 0..cycles.unwrap_or(KILLS) {
        place.set(chosen(&mut random, &[TRIMMING, &[], &["storage.sync=interval"]]));
        let broker = place.start();
        let channel = broker.channel().await;
        declare(&channel).await;
        let reader = consume(&broker.channel().await, text("next")).await;
        let reader = tokio::spawn(read(reader, told.clone()));
        let publisher = tokio::spawn(publish(channel, told.clone(), random.fork()));
        let enough = told.lock().unwrap().confirmed.len() + random.pick(100..2_000) as usize;
        let progress = async {
            while told.lock().unwrap().confirmed.len() < enough {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        within("enough confirms", progress).await;
        let ending = if random.percent(75) { Ending::Kill } else { Ending::Clean };
        broker.end(ending).await;
        noticed(publisher).await;
        noticed(reader).await;
    }
    let broker = place.start();
    let told = std::mem::take(&mut *told.lock().unwrap());
    judge(&broker, &told).await;
}

/// Reads under a name until the broker is gone, acknowledging each; how far it came is in `settled`.
async fn follow(mut consumer: Consumer, settled: Arc<Mutex<i64>>) {
    while let Some(Ok(delivery)) = consumer.next().await {
        let (_, offset) = parse(&delivery);
        // Noted first: what the broker heard of is never ahead of it.
        *settled.lock().unwrap() = offset + 1;
        if delivery.acker.ack(BasicAckOptions::default()).await.is_err() {
            return;
        }
    }
}

async fn named(channel: &Channel) -> Consumer {
    within("qos-ok", channel.basic_qos(50, BasicQosOptions::default())).await.unwrap();
    let arguments = table([("x-stream-offset", text("stored")), ("x-stream-offset-name", text("follower"))]);
    let consume = channel.basic_consume(STREAM.into(), "".into(), BasicConsumeOptions::default(), arguments);
    within("consume-ok", consume).await.unwrap()
}

#[tokio::test]
async fn a_name_that_a_kill_interrupts_reads_half_a_second_again_and_misses_nothing() {
    let place = Place::new();
    let (mut settled_early, mut random) = (0, Random::new(11));
    for round in 0..4 {
        let broker = place.start();
        let channel = broker.channel().await;
        declare(&channel).await;
        let mut consumer = named(&broker.channel().await).await;
        let told = Arc::new(Mutex::new(Told::default()));
        let publisher = tokio::spawn(publish(channel, told.clone(), random.fork()));
        let first = within("a delivery", consumer.next()).await.unwrap().unwrap();
        let (_, start) = parse(&first);
        first.acker.ack(BasicAckOptions::default()).await.unwrap();
        assert!(
            settled_early <= start,
            "round {round}: {start} was settled long before, {settled_early} was next"
        );
        let settled = Arc::new(Mutex::new(start + 1));
        let follower = tokio::spawn(follow(consumer, settled.clone()));
        let progress = async |least: i64| {
            while *settled.lock().unwrap() < least {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        within("progress", progress(start + 200)).await;
        // What is settled now is stored before it has been for as long as that twice.
        settled_early = *settled.lock().unwrap();
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        broker.end(Ending::Kill).await;
        noticed(publisher).await;
        noticed(follower).await;
        let settled = *settled.lock().unwrap();
        let broker = place.start();
        let mut consumer = named(&broker.channel().await).await;
        let publisher = tokio::spawn(publish(broker.channel().await, Arc::default(), random.fork()));
        let (_, again) = parse(&within("a delivery", consumer.next()).await.unwrap().unwrap());
        assert!(again <= settled, "round {round}: {again} is read, and {settled} was next");
        assert!(
            settled_early <= again,
            "round {round}: {again} is read again, {settled_early} was settled long before"
        );
        broker.end(Ending::Kill).await;
        noticed(publisher).await;
        settled_early = settled_early.max(again);
    }
}
