//! A broker inside your own program, as tests want it: its own port, no disk, gone when done.
//!
//! `cargo run --example in_process`; nothing else has to run.

use lapin::{BasicProperties, Connection, ConnectionProperties, options::*, types::FieldTable};
use leveret::Broker;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Any setting can be changed; the defaults are an ephemeral broker on a free port of 127.0.0.1.
    let broker = Broker::builder().configure(|config| config.amqp.heartbeat = 5).start().await?;
    println!("listening on {}", broker.amqp_addr());

    let connection = Connection::connect(&broker.uri(), ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    channel.queue_declare("orders".into(), QueueDeclareOptions::default(), FieldTable::default()).await?;

    // The code under test would do this.
    let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
    channel.basic_publish("".into(), "orders".into(), options, b"one hare", properties).await?.await?;

    // And the test would check that.
    let order = channel.basic_get("orders".into(), BasicGetOptions { no_ack: true }).await?;
    assert_eq!(order.expect("an order").data, b"one hare");
    println!("the order arrived");

    connection.close(200, "done".into()).await?;
    broker.shutdown().await;
    Ok(())
}
