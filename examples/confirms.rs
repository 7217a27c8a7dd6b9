//! Publisher confirms: know what the broker has taken over, what it refused and what fitted nowhere.
//!
//! `cargo run --example confirms`, with a broker at `AMQP_URL` or on this machine.

use lapin::{
    BasicProperties, Confirmation, Connection, ConnectionProperties,
    options::*,
    types::{AMQPValue, FieldTable},
};

#[tokio::main]
async fn main() -> lapin::Result<()> {
    let url =
        std::env::var("AMQP_URL").unwrap_or_else(|_| "amqp://guest:guest@localhost:5672/%2f".to_owned());
    let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;

    // Room for three messages; a full queue refuses more instead of dropping the oldest.
    let mut arguments = FieldTable::default();
    arguments.insert("x-max-length".into(), AMQPValue::LongInt(3));
    arguments.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
    let exclusive = QueueDeclareOptions { exclusive: true, ..Default::default() };
    let queue = channel.queue_declare("".into(), exclusive, arguments).await?.name().clone();

    // Send everything first, then await the confirms: one round trip for all of them, not one for each.
    let mandatory = BasicPublishOptions { mandatory: true, ..Default::default() };
    let mut outstanding = Vec::new();
    for number in 1..=5 {
        let (key, body) = (queue.clone(), format!("message {number}"));
        let properties = BasicProperties::default();
        let confirm = channel.basic_publish("".into(), key, mandatory, body.as_bytes(), properties).await?;
        outstanding.push((body, confirm));
    }
    let (body, properties) = ("stray message".to_owned(), BasicProperties::default());
    let confirm = channel
        .basic_publish("".into(), "no such queue".into(), mandatory, body.as_bytes(), properties)
        .await?;
    outstanding.push((body, confirm));

    for (body, confirm) in outstanding {
        match confirm.await? {
            Confirmation::Ack(None) => println!("{body}: taken over by the broker"),
            Confirmation::Ack(Some(returned)) => println!("{body}: came back, {}", returned.reply_text),
            Confirmation::Nack(_) => println!("{body}: refused, the queue is full"),
            Confirmation::NotRequested => println!("{body}: nobody asked for confirms"),
        }
    }
    connection.close(200, "done".into()).await
}
