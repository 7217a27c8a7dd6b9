//! Headers routing: bindings look at message headers, all of them or any of them, instead of the key.
//!
//! `cargo run --example headers_routing`, with a broker at `AMQP_URL` or on this machine.

use lapin::{
    BasicProperties, Connection, ConnectionProperties, ExchangeKind,
    options::*,
    types::{AMQPValue, FieldTable},
};

const EXCHANGE: &str = "example.documents";

#[tokio::main]
async fn main() -> lapin::Result<()> {
    let url =
        std::env::var("AMQP_URL").unwrap_or_else(|_| "amqp://guest:guest@localhost:5672/%2f".to_owned());
    let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let auto_delete = ExchangeDeclareOptions { auto_delete: true, ..Default::default() };
    channel
        .exchange_declare(EXCHANGE.into(), ExchangeKind::Headers, auto_delete, FieldTable::default())
        .await?;

    let bindings = [
        ("pdf reports", table([("x-match", "all"), ("format", "pdf"), ("kind", "report")])),
        ("anything pdf or urgent", table([("x-match", "any"), ("format", "pdf"), ("urgent", "yes")])),
    ];
    let mut queues = Vec::new();
    for (title, arguments) in bindings {
        let exclusive = QueueDeclareOptions { exclusive: true, ..Default::default() };
        let queue = channel.queue_declare("".into(), exclusive, FieldTable::default()).await?.name().clone();
        let options = QueueBindOptions::default();
        channel.queue_bind(queue.clone(), EXCHANGE.into(), "".into(), options, arguments).await?;
        queues.push((title, queue));
    }

    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    for (document, headers) in [
        ("annual report", table([("format", "pdf"), ("kind", "report")])),
        ("manual", table([("format", "pdf"), ("kind", "manual")])),
        ("fire alarm", table([("format", "txt"), ("urgent", "yes")])),
        ("lunch menu", table([("format", "txt")])),
    ] {
        let options = BasicPublishOptions::default();
        let properties = BasicProperties::default().with_headers(headers);
        channel
            .basic_publish(EXCHANGE.into(), "".into(), options, document.as_bytes(), properties)
            .await?
            .await?;
    }

    for (title, queue) in queues {
        println!("{title}:");
        while let Some(message) = channel.basic_get(queue.clone(), BasicGetOptions { no_ack: true }).await? {
            println!("    {}", String::from_utf8_lossy(&message.data));
        }
    }
    connection.close(200, "done".into()).await
}

/// A field table of strings.
fn table<const N: usize>(pairs: [(&str, &str); N]) -> FieldTable {
    let mut table = FieldTable::default();
    for (key, value) in pairs {
        table.insert(key.into(), AMQPValue::LongString(value.into()));
    }
    table
}
