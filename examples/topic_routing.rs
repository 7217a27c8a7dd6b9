//! Topic routing: subscribers choose by pattern, `*` for one word and `#` for any number of them.
//!
//! `cargo run --example topic_routing`, with a broker at `AMQP_URL` or on this machine.

use lapin::{BasicProperties, Connection, ConnectionProperties, ExchangeKind, options::*, types::FieldTable};

const EXCHANGE: &str = "example.logs";

#[tokio::main]
async fn main() -> lapin::Result<()> {
    let url =
        std::env::var("AMQP_URL").unwrap_or_else(|_| "amqp://guest:guest@localhost:5672/%2f".to_owned());
    let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let auto_delete = ExchangeDeclareOptions { auto_delete: true, ..Default::default() };
    channel
        .exchange_declare(EXCHANGE.into(), ExchangeKind::Topic, auto_delete, FieldTable::default())
        .await?;

    let patterns = ["shop.#", "*.*.error", "#.payment.#"];
    let mut queues = Vec::new();
    for pattern in patterns {
        let exclusive = QueueDeclareOptions { exclusive: true, ..Default::default() };
        let queue = channel.queue_declare("".into(), exclusive, FieldTable::default()).await?.name().clone();
        let (options, none) = (QueueBindOptions::default(), FieldTable::default());
        channel.queue_bind(queue.clone(), EXCHANGE.into(), pattern.into(), options, none).await?;
        queues.push(queue);
    }

    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    for key in ["shop.cart.info", "shop.payment.error", "mail.queue.error", "mail"] {
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        // A confirm says that the message is where it belongs, or that it belongs nowhere, as "mail" does.
        channel
            .basic_publish(EXCHANGE.into(), key.into(), options, key.as_bytes(), properties)
            .await?
            .await?;
    }

    for (pattern, queue) in patterns.into_iter().zip(queues) {
        println!("{pattern} matched:");
        while let Some(message) = channel.basic_get(queue.clone(), BasicGetOptions { no_ack: true }).await? {
            println!("    {}", message.routing_key);
        }
    }
    connection.close(200, "done".into()).await
}
