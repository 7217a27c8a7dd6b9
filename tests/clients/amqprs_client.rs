//! The second Rust client, amqprs, through the patterns of its users.

use amqprs::{
    BasicProperties, DELIVERY_MODE_PERSISTENT,
    callbacks::{ChannelCallback, ConnectionCallback},
    channel::*,
    connection::{Connection, OpenConnectionArguments},
};
use async_trait::async_trait;
use tokio::sync::mpsc;

use crate::{
    fixture::Fixture,
    support::{unique, within},
};

/// What the callbacks of a channel heard.
#[derive(Debug, PartialEq)]
enum Heard {
    Ack { tag: u64, multiple: bool },
    Return { code: u16, key: String, body: Vec<u8> },
    Cancel { tag: String },
}

/// Passes on what a channel's callbacks hear.
struct Ears(mpsc::UnboundedSender<Heard>);

#[async_trait]
impl ChannelCallback for Ears {
    async fn close(&mut self, _: &Channel, close: amqprs::CloseChannel) -> Result<(), amqprs::error::Error> {
        panic!("the broker closed the channel: {close}")
    }

    async fn cancel(&mut self, _: &Channel, cancel: amqprs::Cancel) -> Result<(), amqprs::error::Error> {
        let _test_over = self.0.send(Heard::Cancel { tag: cancel.consumer_tag().to_owned() });
        Ok(())
    }

    async fn flow(&mut self, _: &Channel, active: bool) -> Result<bool, amqprs::error::Error> {
        Ok(active)
    }

    async fn publish_ack(&mut self, _: &Channel, ack: amqprs::Ack) {
        let _test_over = self.0.send(Heard::Ack { tag: ack.delivery_tag(), multiple: ack.mutiple() });
    }

    async fn publish_nack(&mut self, _: &Channel, nack: amqprs::Nack) {
        panic!("the broker refused publish {}", nack.delivery_tag())
    }

    async fn publish_return(
        &mut self,
        _: &Channel,
        ret: amqprs::Return,
        _: BasicProperties,
        content: Vec<u8>,
    ) {
        let (code, key) = (ret.reply_code(), ret.routing_key().to_owned());
        let _test_over = self.0.send(Heard::Return { code, key, body: content });
    }
}

/// Connection callbacks that expect nothing.
struct Quiet;

#[async_trait]
impl ConnectionCallback for Quiet {
    async fn close(&mut self, _: &Connection, close: amqprs::Close) -> Result<(), amqprs::error::Error> {
        panic!("the broker closed the connection: {close}")
    }

    async fn blocked(&mut self, _: &Connection, reason: String) {
        panic!("blocked: {reason}")
    }

    async fn unblocked(&mut self, _: &Connection) {}

    async fn secret_updated(&mut self, _: &Connection) {}
}

fn arguments(fixture: &Fixture) -> OpenConnectionArguments {
    let parts = fixture.parts();
    let (host, user) = (parts.authority.host, parts.authority.userinfo);
    OpenConnectionArguments::new(&host, parts.authority.port, &user.username, &user.password)
        .virtual_host(&parts.vhost)
        .finish()
}

/// A connection, a channel on it, and what the channel's callbacks hear.
async fn open(fixture: &Fixture) -> (Connection, Channel, mpsc::UnboundedReceiver<Heard>) {
    let connection = within("connection.open-ok", Connection::open(&arguments(fixture))).await.unwrap();
    connection.register_callback(Quiet).await.unwrap();
    let channel = within("channel.open-ok", connection.open_channel(None)).await.unwrap();
    let (ears, heard) = mpsc::unbounded_channel();
    channel.register_callback(Ears(ears)).await.unwrap();
    (connection, channel, heard)
}

/// Declares a transient queue that the test deletes by closing, and returns its name.
async fn declare(channel: &Channel) -> String {
    let arguments = QueueDeclareArguments::new(&unique("amqprs")).exclusive(true).finish();
    let (name, messages, consumers) =
        within("queue.declare-ok", channel.queue_declare(arguments)).await.unwrap().unwrap();
    assert_eq!((messages, consumers), (0, 0));
    name
}

async fn publish(channel: &Channel, exchange: &str, key: &str, body: &[u8]) {
    let arguments = BasicPublishArguments::new(exchange, key).mandatory(true).finish();
    let properties = BasicProperties::default().with_delivery_mode(DELIVERY_MODE_PERSISTENT).finish();
    channel.basic_publish(properties, body.to_vec(), arguments).await.unwrap();
}

#[tokio::test]
async fn con_13_amqprs_sees_our_capabilities() {
    let fixture = Fixture::start().await;
    let (connection, _channel, _heard) = open(&fixture).await;
    let server = connection.server_properties();
    assert_eq!(server.product(), "RabbitMQ");
    let capabilities = server.capabilities();
    assert!(capabilities.publisher_confirms());
    assert!(capabilities.exchange_exchange_bindings());
    assert!(capabilities.basic_nack());
    assert!(capabilities.consumer_cancel_notify());
    assert!(capabilities.connection_blocked());
    assert!(capabilities.consumer_priorities());
    assert!(capabilities.authentication_failure_close());
    assert!(capabilities.per_consumer_qos());
    assert!(capabilities.direct_reply_to());
    within("connection.close-ok", connection.close()).await.unwrap();
}

#[tokio::test]
async fn con_26_amqprs_is_refused_with_a_wrong_password() {
    let fixture = Fixture::start().await;
    let parts = fixture.parts();
    let arguments =
        OpenConnectionArguments::new(&parts.authority.host, parts.authority.port, "guest", "wrong");
    let result = within("the refusal", Connection::open(&arguments)).await;
    assert!(result.is_err());
}

#[tokio::test]
async fn bas_20_amqprs_publishes_consumes_and_acknowledges() {
    let fixture = Fixture::start().await;
    let (connection, channel, _heard) = open(&fixture).await;
    let queue = declare(&channel).await;
    let bind = QueueBindArguments::new(&queue, "amq.topic", "news.#");
    within("queue.bind-ok", channel.queue_bind(bind)).await.unwrap();
    within("basic.qos-ok", channel.basic_qos(BasicQosArguments::new(0, 2, false))).await.unwrap();
    let (tag, mut deliveries) = channel
        .basic_consume_rx(BasicConsumeArguments::new(&queue, "").manual_ack(true).finish())
        .await
        .unwrap();
    assert!(tag.starts_with("amq.ctag-"), "{tag}");
    for number in 0..6_u8 {
        publish(&channel, "amq.topic", "news.today", &[number; 40_000]).await;
    }
    for number in 0..6_u8 {
        let message = within("basic.deliver", deliveries.recv()).await.unwrap();
        let deliver = message.deliver.unwrap();
        assert_eq!(message.content.unwrap(), [number; 40_000]);
        assert_eq!(deliver.routing_key(), "news.today");
        assert_eq!(message.basic_properties.unwrap().delivery_mode(), Some(DELIVERY_MODE_PERSISTENT));
        // Prefetch 2: without the acknowledgements the loop would end at the second.
        let ack = BasicAckArguments::new(deliver.delivery_tag(), number % 2 == 1);
        if number % 2 == 1 {
            channel.basic_ack(ack).await.unwrap();
        }
    }
    within("channel.close-ok", channel.close()).await.unwrap();
    within("connection.close-ok", connection.close()).await.unwrap();
}

#[tokio::test]
async fn cnf_03_05_amqprs_gets_confirms_and_returns_in_order() {
    let fixture = Fixture::start().await;
    let (_connection, channel, mut heard) = open(&fixture).await;
    let queue = declare(&channel).await;
    within("confirm.select-ok", channel.confirm_select(ConfirmSelectArguments::default())).await.unwrap();
    let nowhere = unique("nowhere");
    publish(&channel, "", &nowhere, b"back").await;
    let back = Heard::Return { code: 312, key: nowhere, body: b"back".to_vec() };
    assert_eq!(within("basic.return", heard.recv()).await, Some(back));
    assert_eq!(within("basic.ack", heard.recv()).await, Some(Heard::Ack { tag: 1, multiple: false }));

    for number in 0..100_u8 {
        publish(&channel, "", &queue, &[number]).await;
    }
    let mut open: std::collections::BTreeSet<u64> = (2..=101).collect();
    while !open.is_empty() {
        let Some(Heard::Ack { tag, multiple }) = within("basic.ack", heard.recv()).await else {
            panic!("acks")
        };
        assert!(open.contains(&tag), "{tag} confirmed twice or never published");
        open.retain(|other| *other != tag && !(multiple && *other < tag));
    }
}

#[tokio::test]
async fn bas_50_62_amqprs_gets_rejects_and_recovers() {
    let fixture = Fixture::start().await;
    let (_connection, channel, _heard) = open(&fixture).await;
    let queue = declare(&channel).await;
    let get = || channel.basic_get(BasicGetArguments::new(&queue));
    assert!(within("basic.get-empty", get()).await.unwrap().is_none());
    for body in [b"1", b"2", b"3"] {
        publish(&channel, "", &queue, body).await;
    }
    let (first, _, body) = within("basic.get-ok", get()).await.unwrap().unwrap();
    assert_eq!((first.message_count(), first.redelivered(), body.as_slice()), (2, false, &b"1"[..]));
    channel.basic_reject(BasicRejectArguments::new(first.delivery_tag(), false)).await.unwrap();
    let (second, _, _) = within("basic.get-ok", get()).await.unwrap().unwrap();
    channel.basic_nack(BasicNackArguments::new(second.delivery_tag(), false, true)).await.unwrap();
    let (again, _, body) = within("basic.get-ok", get()).await.unwrap().unwrap();
    assert_eq!((again.redelivered(), body.as_slice()), (true, &b"2"[..]));
    within("basic.recover-ok", channel.basic_recover(true)).await.unwrap();
    let (recovered, _, body) = within("basic.get-ok", get()).await.unwrap().unwrap();
    assert_eq!((recovered.redelivered(), body.as_slice()), (true, &b"2"[..]));
}

#[tokio::test]
async fn bas_29_amqprs_hears_of_a_deleted_queue() {
    let fixture = Fixture::start().await;
    let (_connection, channel, mut heard) = open(&fixture).await;
    let queue = declare(&channel).await;
    let (tag, _deliveries) =
        channel.basic_consume_rx(BasicConsumeArguments::new(&queue, "mine")).await.unwrap();
    within("queue.delete-ok", channel.queue_delete(QueueDeleteArguments::new(&queue))).await.unwrap();
    assert_eq!(within("basic.cancel", heard.recv()).await, Some(Heard::Cancel { tag }));
}

#[tokio::test]
async fn tx_04_05_amqprs_commits_and_rolls_back() {
    let fixture = Fixture::start().await;
    let (_connection, channel, _heard) = open(&fixture).await;
    let queue = declare(&channel).await;
    within("tx.select-ok", channel.tx_select()).await.unwrap();
    publish(&channel, "", &queue, b"never").await;
    within("tx.rollback-ok", channel.tx_rollback()).await.unwrap();
    publish(&channel, "", &queue, b"committed").await;
    within("tx.commit-ok", channel.tx_commit()).await.unwrap();
    let get = BasicGetArguments::new(&queue);
    let (_, _, body) = within("basic.get-ok", channel.basic_get(get.clone())).await.unwrap().unwrap();
    assert_eq!(body, b"committed");
    assert!(within("basic.get-empty", channel.basic_get(get)).await.unwrap().is_none());
}

#[tokio::test]
async fn exc_30_32_amqprs_binds_exchanges() {
    let fixture = Fixture::start().await;
    let (_connection, channel, _heard) = open(&fixture).await;
    let queue = declare(&channel).await;
    let (source, destination) = (unique("source"), unique("destination"));
    for (name, kind) in [(&source, ExchangeType::Topic), (&destination, ExchangeType::Fanout)] {
        let declare = ExchangeDeclareArguments::of_type(name, kind).auto_delete(true).finish();
        within("exchange.declare-ok", channel.exchange_declare(declare)).await.unwrap();
    }
    let bind = QueueBindArguments::new(&queue, &destination, "");
    within("queue.bind-ok", channel.queue_bind(bind)).await.unwrap();
    let bind = ExchangeBindArguments::new(&destination, &source, "a.*");
    within("exchange.bind-ok", channel.exchange_bind(bind)).await.unwrap();
    publish(&channel, &source, "a.b", b"through").await;
    let get = BasicGetArguments::new(&queue);
    let (ok, _, body) = within("basic.get-ok", channel.basic_get(get)).await.unwrap().unwrap();
    assert_eq!(
        (ok.exchange().as_str(), ok.routing_key().as_str(), body.as_slice()),
        (source.as_str(), "a.b", &b"through"[..])
    );
    let unbind = ExchangeUnbindArguments::new(&destination, &source, "a.*");
    within("exchange.unbind-ok", channel.exchange_unbind(unbind)).await.unwrap();
}
