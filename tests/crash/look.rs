//! Looks at everything a restarted broker has, and leaves it as it was.

use std::time::Duration;

use futures_lite::StreamExt;
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, Consumer, ExchangeKind, options::*,
    protocol::AMQPErrorKind, types::FieldTable,
};

use crate::{
    churn,
    judge::{Found, Seen},
    load::Shared,
    message::Id,
    patience::within,
    place::Broker,
    topology::{CHURN, DEAD, QUEUES, TTL},
};

/// Queues are cut to this length, so that a long run does not get slower and slower.
const QUEUE_MAX: usize = 300;

/// What there is.
pub async fn look(broker: &Broker) -> Found {
    let connection = broker.connect().await;
    let mut found = Found::default();
    for queue in QUEUES.iter().map(|name| (*name).to_owned()).chain(churn::queue_names()) {
        if let Some(seen) = messages(&connection, &queue, &mut found.broken).await {
            found.queues.insert(queue, seen);
        }
    }
    found.dead = messages(&connection, DEAD, &mut found.broken).await.unwrap_or_else(|| {
        found.broken.push(format!("queue {DEAD} is lost"));
        Vec::new()
    });
    let fixed = ["fan", "topic", CHURN].map(str::to_owned);
    for exchange in fixed.into_iter().chain(churn::exchange_names()) {
        if exchange_exists(&connection, &exchange).await {
            found.exchanges.insert(exchange);
        }
    }
    if found.exchanges.contains(CHURN) {
        for queue in churn::queue_names() {
            if is_bound(&connection, &queue).await {
                found.bindings.insert((CHURN.to_owned(), queue));
            }
        }
    }
    found
}

/// Waits until the broker is done with all connections of the load.
pub async fn deserted(broker: &Broker, shared: &Shared) {
    let connection = broker.connect().await;
    let names = shared.model().peers.clone();
    let all = async {
        for name in names {
            while exclusive_exists(&connection, &name).await {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    };
    within("the end of the load's connections", all).await;
}

/// Whether there is a queue of another connection by this name.
async fn exclusive_exists(connection: &Connection, name: &str) -> bool {
    let channel = open(connection).await;
    let options = QueueDeclareOptions { passive: true, ..Default::default() };
    let declare = channel.queue_declare(name.into(), options, FieldTable::default()).await;
    let refused = declare.expect_err("it is another connection's, or gone").to_string();
    !refused.contains("NOT_FOUND")
}

/// Opens a channel. The client may tell a new one of the error that closed the one before it with the same number.
pub async fn open(connection: &Connection) -> Channel {
    let opened = async {
        loop {
            match connection.create_channel().await {
                Ok(channel) => break channel,
                Err(error) if is_of_a_channel(&error) => tokio::time::sleep(Duration::from_millis(10)).await,
                Err(error) => panic!("channel.open: {error}"),
            }
        }
    };
    within("channel.open-ok", opened).await
}

/// Whether it closed a channel; no channel.open is answered with such an error.
fn is_of_a_channel(error: &lapin::Error) -> bool {
    let lapin::ErrorKind::ProtocolError(error) = error.kind() else { return false };
    matches!(error.kind(), AMQPErrorKind::Soft(_))
}

/// How many messages are ready, if there is such a queue.
pub async fn ready(connection: &Connection, queue: &str) -> Option<u32> {
    let channel = open(connection).await;
    let options = QueueDeclareOptions { passive: true, ..Default::default() };
    let declare = channel.queue_declare(queue.into(), options, FieldTable::default());
    match within("queue.declare-ok or channel.close", declare).await {
        Ok(queue) => Some(queue.message_count()),
        Err(error) if error.to_string().contains("NOT_FOUND") => None,
        Err(error) => panic!("{queue}: {error}"),
    }
}

pub async fn exchange_exists(connection: &Connection, exchange: &str) -> bool {
    let channel = open(connection).await;
    let options = ExchangeDeclareOptions { passive: true, ..Default::default() };
    let kind = ExchangeKind::Direct;
    let declare = channel.exchange_declare(exchange.into(), kind, options, FieldTable::default());
    match within("exchange.declare-ok or channel.close", declare).await {
        Ok(()) => true,
        Err(error) if error.to_string().contains("NOT_FOUND") => false,
        Err(error) => panic!("{exchange}: {error}"),
    }
}

pub async fn consume(channel: &Channel, queue: &str) -> Consumer {
    let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
    let consume = channel.basic_consume(queue.into(), "".into(), options, arguments);
    within("basic.consume-ok", consume).await.unwrap()
}

/// Reads a queue to its end; closing the channel puts everything back in its place.
async fn messages(connection: &Connection, queue: &str, broken: &mut Vec<String>) -> Option<Vec<Seen>> {
    let count = ready(connection, queue).await?;
    let channel = open(connection).await;
    let mut seen = Vec::new();
    if queue == TTL {
        // What is counted may expire before it is delivered.
        while let Some(got) =
            within("basic.get-ok", channel.basic_get(queue.into(), BasicGetOptions::default())).await.unwrap()
        {
            match Id::of(&got.delivery) {
                Ok(id) => seen.push(Seen { id, redelivered: got.delivery.redelivered }),
                Err(why) => broken.push(format!("{queue}: {why}")),
            }
        }
        within("channel.close-ok", channel.close(200, "seen".into())).await.unwrap();
        return Some(seen);
    }
    let mut consumer = consume(&channel, queue).await;
    for _ in 0..count {
        let delivery = within("basic.deliver", consumer.next()).await.unwrap().unwrap();
        match Id::of(&delivery) {
            Ok(id) => seen.push(Seen { id, redelivered: delivery.redelivered }),
            Err(why) => broken.push(format!("{queue}: {why}")),
        }
    }
    within("channel.close-ok", channel.close(200, "seen".into())).await.unwrap();
    Some(seen)
}

/// Whether a message gets through the churn's exchange to the queue of its key.
async fn is_bound(connection: &Connection, queue: &str) -> bool {
    let channel = open(connection).await;
    within("confirm.select-ok", channel.confirm_select(ConfirmSelectOptions::default())).await.unwrap();
    let options = BasicPublishOptions { mandatory: true, ..Default::default() };
    // It is transient, so the next restart is rid of it.
    let properties = BasicProperties::default();
    let publish = channel.basic_publish(CHURN.into(), queue.into(), options, b"probe", properties);
    let confirm = within("a publish", publish).await.unwrap();
    match within("a confirm", confirm).await.unwrap() {
        Confirmation::Ack(returned) => returned.is_none(),
        other => panic!("the probe of {queue} is answered with {other:?}"),
    }
}

/// Acknowledges what is too much, in one transaction for each queue: what it took may not come back.
pub async fn trim(broker: &Broker, shared: &Shared) {
    let connection = broker.connect().await;
    let mut lengths: Vec<(String, usize)> = Vec::new();
    {
        let model = shared.model();
        let kept = model.copies.iter().filter(|(queue, _)| *queue != TTL);
        lengths.extend(kept.map(|(queue, copies)| (queue.clone(), copies.len())));
        let dead: u32 = model.dead.values().map(|letter| letter.least).sum();
        lengths.push((DEAD.to_owned(), dead as usize));
    }
    for (queue, length) in lengths.into_iter().filter(|(_, length)| *length > QUEUE_MAX) {
        trim_queue(&connection, shared, &queue, length - QUEUE_MAX / 2).await;
    }
}

async fn trim_queue(connection: &Connection, shared: &Shared, queue: &str, surplus: usize) {
    let channel = open(connection).await;
    within("tx.select-ok", channel.tx_select()).await.unwrap();
    let tx = shared.model().begin();
    let mut last = 0;
    let mut taken = Vec::new();
    let prefetch = u16::try_from(surplus).unwrap_or(u16::MAX);
    within("basic.qos-ok", channel.basic_qos(prefetch, BasicQosOptions::default())).await.unwrap();
    let mut consumer = consume(&channel, queue).await;
    for _ in 0..prefetch {
        let delivery = within("basic.deliver", consumer.next()).await.unwrap().unwrap();
        last = delivery.delivery_tag;
        taken.extend(Id::of(&delivery));
    }
    for id in &taken {
        shared.model().ack_within(tx, queue, *id);
    }
    within("an ack", channel.basic_ack(last, BasicAckOptions { multiple: true })).await.unwrap();
    within("tx.commit-ok", channel.tx_commit()).await.unwrap();
    within("channel.close-ok", channel.close(200, "trimmed".into())).await.unwrap();
    let mut model = shared.model();
    model.committed(tx);
    if queue == DEAD {
        for id in &taken {
            model.dead_gone(*id);
        }
    }
}
