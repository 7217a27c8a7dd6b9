//! Publish and subscribe: a fanout exchange gives every subscriber its own copy.
//!
//! `cargo run --example publish_subscribe`, with a broker at `AMQP_URL` or on this machine.

use futures_lite::StreamExt;
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties, Consumer, ExchangeKind, options::*,
    types::FieldTable,
};

const EXCHANGE: &str = "example.news";

#[tokio::main]
async fn main() -> lapin::Result<()> {
    let url =
        std::env::var("AMQP_URL").unwrap_or_else(|_| "amqp://guest:guest@localhost:5672/%2f".to_owned());
    let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;

    // Auto-delete: the exchange goes when the last queue bound to it goes.
    let auto_delete = ExchangeDeclareOptions { auto_delete: true, ..Default::default() };
    channel
        .exchange_declare(EXCHANGE.into(), ExchangeKind::Fanout, auto_delete, FieldTable::default())
        .await?;
    let mut subscribers = [subscribe(&channel).await?, subscribe(&channel).await?];

    for headline in ["hares win", "tortoises protest"] {
        let options = BasicPublishOptions::default();
        let properties = BasicProperties::default();
        channel.basic_publish(EXCHANGE.into(), "".into(), options, headline.as_bytes(), properties).await?;
    }
    for (number, subscriber) in subscribers.iter_mut().enumerate() {
        for _ in 0..2 {
            let Some(news) = subscriber.next().await.transpose()? else { break };
            println!("subscriber {number} reads: {}", String::from_utf8_lossy(&news.data));
        }
    }
    connection.close(200, "done".into()).await
}

/// A queue of its own for one subscriber, bound to the exchange. Who is not subscribed misses the news.
async fn subscribe(channel: &Channel) -> lapin::Result<Consumer> {
    let exclusive = QueueDeclareOptions { exclusive: true, ..Default::default() };
    let queue = channel.queue_declare("".into(), exclusive, FieldTable::default()).await?.name().clone();
    let options = QueueBindOptions::default();
    channel.queue_bind(queue.clone(), EXCHANGE.into(), "".into(), options, FieldTable::default()).await?;
    let no_ack = BasicConsumeOptions { no_ack: true, ..Default::default() };
    channel.basic_consume(queue, "".into(), no_ack, FieldTable::default()).await
}
