//! Request and reply: direct reply-to answers without a queue for the answers.
//!
//! `cargo run --example request_reply`, with a broker at `AMQP_URL` or on this machine.

use futures_lite::StreamExt;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, options::*, types::FieldTable};

const REQUESTS: &str = "example.square";
/// The pseudo-queue to which the broker sends replies for this channel.
const REPLY_TO: &str = "amq.rabbitmq.reply-to";

#[tokio::main]
async fn main() -> lapin::Result<()> {
    let url =
        std::env::var("AMQP_URL").unwrap_or_else(|_| "amqp://guest:guest@localhost:5672/%2f".to_owned());
    let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
    let server = connection.create_channel().await?;
    let exclusive = QueueDeclareOptions { exclusive: true, ..Default::default() };
    server.queue_declare(REQUESTS.into(), exclusive, FieldTable::default()).await?;
    tokio::spawn(serve(server));

    // Consume replies on the channel that will send the requests, and before the first of them.
    let client = connection.create_channel().await?;
    let no_ack = BasicConsumeOptions { no_ack: true, ..Default::default() };
    let mut replies = client.basic_consume(REPLY_TO.into(), "".into(), no_ack, FieldTable::default()).await?;
    for number in 1..=5_u32 {
        let properties = BasicProperties::default()
            .with_reply_to(REPLY_TO.into())
            .with_correlation_id(number.to_string().as_str().into());
        let (options, body) = (BasicPublishOptions::default(), number.to_string());
        client.basic_publish("".into(), REQUESTS.into(), options, body.as_bytes(), properties).await?;
    }
    for _ in 1..=5 {
        let Some(reply) = replies.next().await.transpose()? else { break };
        // The correlation id tells which request this answers.
        let question = reply.properties.correlation_id().clone().unwrap_or_default();
        println!("{question} squared is {}", String::from_utf8_lossy(&reply.data));
    }
    connection.close(200, "done".into()).await
}

/// Answers each request to the name the broker put into its reply-to.
async fn serve(channel: Channel) -> lapin::Result<()> {
    let options = BasicConsumeOptions::default();
    let mut requests =
        channel.basic_consume(REQUESTS.into(), "".into(), options, FieldTable::default()).await?;
    while let Some(request) = requests.next().await.transpose()? {
        let number: u64 = String::from_utf8_lossy(&request.data).parse().unwrap_or_default();
        if let Some(reply_to) = request.properties.reply_to().clone() {
            let mut properties = BasicProperties::default();
            if let Some(id) = request.properties.correlation_id().clone() {
                properties = properties.with_correlation_id(id);
            }
            let (options, body) = (BasicPublishOptions::default(), (number * number).to_string());
            channel.basic_publish("".into(), reply_to, options, body.as_bytes(), properties).await?;
        }
        request.ack(BasicAckOptions::default()).await?;
    }
    Ok(())
}
