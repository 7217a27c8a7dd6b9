//! Hello, queue: declare, publish, consume, acknowledge.
//!
//! `cargo run --example hello`, with a broker at `AMQP_URL` or on this machine.

use futures_lite::StreamExt;
use lapin::{BasicProperties, Connection, ConnectionProperties, options::*, types::FieldTable};

#[tokio::main]
async fn main() -> lapin::Result<()> {
    let url =
        std::env::var("AMQP_URL").unwrap_or_else(|_| "amqp://guest:guest@localhost:5672/%2f".to_owned());
    let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;

    // An exclusive queue goes away with this connection, so nothing is left behind.
    let exclusive = QueueDeclareOptions { exclusive: true, ..Default::default() };
    let queue = channel.queue_declare("".into(), exclusive, FieldTable::default()).await?;
    println!("the broker named our queue {}", queue.name());

    // The default exchange delivers to the queue whose name is the routing key.
    let options = BasicPublishOptions::default();
    let properties = BasicProperties::default().with_content_type("text/plain".into());
    channel.basic_publish("".into(), queue.name().clone(), options, b"Hello, queue!", properties).await?;

    let options = BasicConsumeOptions::default();
    let mut consumer =
        channel.basic_consume(queue.name().clone(), "".into(), options, FieldTable::default()).await?;
    if let Some(delivery) = consumer.next().await.transpose()? {
        println!("received: {}", String::from_utf8_lossy(&delivery.data));
        delivery.ack(BasicAckOptions::default()).await?;
    }
    connection.close(200, "done".into()).await
}
