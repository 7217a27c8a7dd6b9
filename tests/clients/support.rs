//! Short words for what the tests do over and over with lapin, and the one way they wait.

use std::{
    future::{Future, IntoFuture},
    ops::Deref,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use futures_lite::StreamExt;
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Consumer, Error, ErrorKind,
    ExchangeKind,
    message::{BasicGetMessage, Delivery},
    options::*,
    types::{AMQPValue, FieldTable},
};

use crate::fixture::Fixture;

/// How long any single event may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(10);

/// Awaits an event, and fails the test by name of the event if it does not come.
pub async fn within<F: IntoFuture>(event: &str, future: F) -> F::Output {
    within_secs(PATIENCE.as_secs(), event, future).await
}

/// [`within`] for what is allowed to take longer.
pub async fn within_secs<F: IntoFuture>(seconds: u64, event: &str, future: F) -> F::Output {
    match tokio::time::timeout(Duration::from_secs(seconds), future.into_future()).await {
        Ok(output) => output,
        Err(_) => panic!("not within {seconds} s: {event}"),
    }
}

/// A name no other test and no other run uses.
pub fn unique(base: &str) -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    format!("{base}-{}-{}", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed))
}

/// One connection with one channel in confirm mode: `publish(..).await` means "in the queue".
pub struct Peer {
    pub connection: Connection,
    channel: Channel,
}

impl Deref for Peer {
    type Target = Channel;

    fn deref(&self) -> &Channel {
        &self.channel
    }
}

impl Peer {
    /// A further channel of the same connection, not in confirm mode.
    pub async fn another_channel(&self) -> Channel {
        within("channel.open-ok", self.connection.create_channel()).await.expect("a channel opens")
    }

    /// Closes the connection and waits for close-ok.
    pub async fn close(self) {
        within("connection.close-ok", self.connection.close(200, "bye".into())).await.expect("a clean close");
    }
}

/// Connects a [`Peer`].
pub async fn peer(fixture: &Fixture) -> Peer {
    let connection = connect(fixture.uri()).await.expect("the connection opens");
    let channel = within("channel.open-ok", connection.create_channel()).await.expect("a channel opens");
    within("confirm.select-ok", channel.confirm_select(ConfirmSelectOptions::default())).await.unwrap();
    Peer { connection, channel }
}

/// Connects, or tells why not.
pub async fn connect(uri: &str) -> lapin::Result<Connection> {
    within("connection.open-ok", Connection::connect(uri, ConnectionProperties::default())).await
}

/// Arguments from pairs.
pub fn table<const N: usize>(pairs: [(&str, AMQPValue); N]) -> FieldTable {
    let mut table = FieldTable::default();
    for (key, value) in pairs {
        table.insert(key.into(), value);
    }
    table
}

/// A longstr value.
pub fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

/// An array of longstr values.
pub fn texts<const N: usize>(values: [&str; N]) -> AMQPValue {
    AMQPValue::FieldArray(values.map(text).to_vec().into())
}

/// Properties with these headers.
pub fn headers<const N: usize>(pairs: [(&str, AMQPValue); N]) -> BasicProperties {
    BasicProperties::default().with_headers(table(pairs))
}

/// Reply code and reply text of a refused operation.
#[track_caller]
pub fn refusal<T: std::fmt::Debug>(result: lapin::Result<T>) -> (u16, String) {
    reply(&result.expect_err("the broker refuses"))
}

/// Reply code and reply text in a client's error.
#[track_caller]
pub fn reply(error: &Error) -> (u16, String) {
    match error.kind() {
        ErrorKind::ProtocolError(error) => (error.get_id(), error.get_message().to_string()),
        _ => panic!("not a refusal of the broker: {error}"),
    }
}

/// Asserts a reply code and a part of the reply text.
#[track_caller]
pub fn assert_reply((code, reason): (u16, String), expected: u16, part: &str) {
    assert_eq!(code, expected, "{reason}");
    assert!(reason.contains(part), "{reason:?} does not contain {part:?}");
}

/// The body of a message as text.
pub fn body(delivery: &Delivery) -> String {
    String::from_utf8_lossy(&delivery.data).into_owned()
}

/// What tests do with a channel.
pub trait Steps {
    async fn declare(&self, base: &str) -> String;
    async fn declare_with(&self, base: &str, arguments: FieldTable) -> String;
    async fn exchange(&self, base: &str, kind: ExchangeKind) -> String;
    async fn exchange_with(&self, base: &str, kind: ExchangeKind, arguments: FieldTable) -> String;
    async fn bind(&self, queue: &str, exchange: &str, key: &str);
    async fn bind_with(&self, queue: &str, exchange: &str, key: &str, arguments: FieldTable);
    async fn bound(&self, exchange: &str, key: &str) -> String;
    async fn bound_with(&self, exchange: &str, arguments: FieldTable) -> String;
    async fn publish(&self, exchange: &str, key: &str, body: &str) -> Confirmation;
    async fn publish_with(
        &self,
        exchange: &str,
        key: &str,
        body: &[u8],
        properties: BasicProperties,
    ) -> Confirmation;
    async fn publish_mandatory(&self, exchange: &str, key: &str, body: &str) -> Confirmation;
    async fn fill(&self, queue: &str, bodies: impl IntoIterator<Item = u32>);
    async fn pop(&self, queue: &str) -> Option<BasicGetMessage>;
    async fn take(&self, queue: &str) -> BasicGetMessage;
    async fn drain(&self, queue: &str) -> Vec<String>;
    async fn ready(&self, queue: &str) -> u32;
    async fn consumers(&self, queue: &str) -> u32;
    async fn exists(&self, queue: &str) -> bool;
    async fn consume(&self, queue: &str) -> Consumer;
    async fn consume_with(
        &self,
        queue: &str,
        options: BasicConsumeOptions,
        arguments: FieldTable,
    ) -> lapin::Result<Consumer>;
    async fn prefetch(&self, count: u16);
    async fn fence(&self, queue: &str);
    async fn watch(&self) -> Watch;
}

impl Steps for Channel {
    /// Declares a transient queue and returns its name.
    async fn declare(&self, base: &str) -> String {
        self.declare_with(base, FieldTable::default()).await
    }

    async fn declare_with(&self, base: &str, arguments: FieldTable) -> String {
        let name = unique(base);
        let declare = self.queue_declare(name.as_str().into(), QueueDeclareOptions::default(), arguments);
        within("queue.declare-ok", declare).await.expect("the queue is declared");
        name
    }

    /// Declares a transient exchange and returns its name.
    async fn exchange(&self, base: &str, kind: ExchangeKind) -> String {
        self.exchange_with(base, kind, FieldTable::default()).await
    }

    async fn exchange_with(&self, base: &str, kind: ExchangeKind, arguments: FieldTable) -> String {
        let name = unique(base);
        let options = ExchangeDeclareOptions::default();
        within("exchange.declare-ok", self.exchange_declare(name.as_str().into(), kind, options, arguments))
            .await
            .expect("the exchange is declared");
        name
    }

    async fn bind(&self, queue: &str, exchange: &str, key: &str) {
        self.bind_with(queue, exchange, key, FieldTable::default()).await;
    }

    async fn bind_with(&self, queue: &str, exchange: &str, key: &str, arguments: FieldTable) {
        let options = QueueBindOptions::default();
        within(
            "queue.bind-ok",
            self.queue_bind(queue.into(), exchange.into(), key.into(), options, arguments),
        )
        .await
        .expect("the queue is bound");
    }

    /// Declares a queue and binds it with this key.
    async fn bound(&self, exchange: &str, key: &str) -> String {
        let queue = self.declare("bound").await;
        self.bind(&queue, exchange, key).await;
        queue
    }

    /// Declares a queue and binds it with these arguments.
    async fn bound_with(&self, exchange: &str, arguments: FieldTable) -> String {
        let queue = self.declare("bound").await;
        self.bind_with(&queue, exchange, "", arguments).await;
        queue
    }

    /// Publishes and, in confirm mode, awaits the confirm.
    async fn publish(&self, exchange: &str, key: &str, body: &str) -> Confirmation {
        self.publish_with(exchange, key, body.as_bytes(), BasicProperties::default()).await
    }

    async fn publish_with(
        &self,
        exchange: &str,
        key: &str,
        body: &[u8],
        properties: BasicProperties,
    ) -> Confirmation {
        let options = BasicPublishOptions::default();
        let confirm = self
            .basic_publish(exchange.into(), key.into(), options, body, properties)
            .await
            .expect("the publish is written");
        within("a confirm", confirm).await.expect("the channel stays open")
    }

    async fn publish_mandatory(&self, exchange: &str, key: &str, body: &str) -> Confirmation {
        let options = BasicPublishOptions { mandatory: true, ..Default::default() };
        let properties = BasicProperties::default();
        let confirm = self
            .basic_publish(exchange.into(), key.into(), options, body.as_bytes(), properties)
            .await
            .expect("the publish is written");
        within("a confirm", confirm).await.expect("the channel stays open")
    }

    /// Publishes these numbers to a queue, in order, and awaits the last confirm.
    async fn fill(&self, queue: &str, bodies: impl IntoIterator<Item = u32>) {
        let mut confirms = Vec::new();
        for body in bodies {
            let options = BasicPublishOptions::default();
            let (body, properties) = (body.to_string(), BasicProperties::default());
            let publish = self.basic_publish("".into(), queue.into(), options, body.as_bytes(), properties);
            confirms.push(publish.await.expect("the publish is written"));
        }
        for confirm in confirms {
            within("a confirm", confirm).await.expect("the channel stays open");
        }
    }

    /// basic.get without acknowledgement.
    async fn pop(&self, queue: &str) -> Option<BasicGetMessage> {
        within("get-ok or get-empty", self.basic_get(queue.into(), BasicGetOptions { no_ack: true }))
            .await
            .unwrap()
    }

    /// basic.get with acknowledgement; there must be a message.
    async fn take(&self, queue: &str) -> BasicGetMessage {
        within("basic.get-ok", self.basic_get(queue.into(), BasicGetOptions::default()))
            .await
            .unwrap()
            .expect("a message is ready")
    }

    /// All bodies that are ready, in order.
    async fn drain(&self, queue: &str) -> Vec<String> {
        let mut bodies = Vec::new();
        while let Some(message) = self.pop(queue).await {
            bodies.push(body(&message));
        }
        bodies
    }

    /// The message-count of a passive declare.
    async fn ready(&self, queue: &str) -> u32 {
        passive(self, queue).await.expect("the queue exists").message_count()
    }

    /// The consumer-count of a passive declare.
    async fn consumers(&self, queue: &str) -> u32 {
        passive(self, queue).await.expect("the queue exists").consumer_count()
    }

    /// Does a queue of this name exist? When it does not, the broker closes the channel that asked.
    async fn exists(&self, queue: &str) -> bool {
        match passive(self, queue).await {
            Ok(_) => true,
            Err(error) => {
                assert_reply(reply(&error), 404, "NOT_FOUND");
                false
            }
        }
    }

    /// A consumer that acknowledges, with a tag of the broker's choice.
    async fn consume(&self, queue: &str) -> Consumer {
        self.consume_with(queue, BasicConsumeOptions::default(), FieldTable::default())
            .await
            .expect("the consumer starts")
    }

    async fn consume_with(
        &self,
        queue: &str,
        options: BasicConsumeOptions,
        arguments: FieldTable,
    ) -> lapin::Result<Consumer> {
        within("basic.consume-ok", self.basic_consume(queue.into(), "".into(), options, arguments)).await
    }

    /// basic.qos for consumers that start later on this channel.
    async fn prefetch(&self, count: u16) {
        within("basic.qos-ok", self.basic_qos(count, BasicQosOptions::default())).await.unwrap();
    }

    /// After this, whatever the queue had to deliver to this channel has arrived.
    ///
    /// Two round trips: the first passes the queue, the second passes what the queue sent meanwhile.
    async fn fence(&self, queue: &str) {
        for _ in 0..2 {
            passive(self, queue).await.expect("the queue exists");
        }
    }

    /// Starts watching for this channel's closure by the broker.
    async fn watch(&self) -> Watch {
        let options = QueueDeclareOptions { exclusive: true, ..Default::default() };
        let queue = within("queue.declare-ok", self.queue_declare("".into(), options, FieldTable::default()))
            .await
            .unwrap();
        Watch(self.consume(queue.name().as_str()).await)
    }
}

async fn passive(channel: &Channel, queue: &str) -> lapin::Result<lapin::Queue> {
    let options = QueueDeclareOptions { passive: true, ..Default::default() };
    within("queue.declare-ok", channel.queue_declare(queue.into(), options, FieldTable::default())).await
}

/// Learns how the broker closed a channel from a consumer that never gets a message.
pub struct Watch(Consumer);

impl Watch {
    /// Awaits the closure; returns code and text.
    pub async fn closed(mut self) -> (u16, String) {
        match within("channel.close", self.0.next()).await {
            Some(Err(error)) => reply(&error),
            other => panic!("not closed with an error: {other:?}"),
        }
    }
}

/// What tests do with a consumer.
pub trait Inbox {
    async fn delivery(&mut self) -> Delivery;
    async fn bodies(&mut self, count: usize) -> Vec<String>;
    async fn nothing(&mut self);
    async fn waiting(&mut self) -> Vec<Delivery>;
    async fn cancelled(&mut self);
}

impl Inbox for Consumer {
    /// The next delivery.
    async fn delivery(&mut self) -> Delivery {
        within("basic.deliver", self.next()).await.expect("the consumer lives").expect("the channel is open")
    }

    /// The next bodies, left unacknowledged.
    async fn bodies(&mut self, count: usize) -> Vec<String> {
        let mut bodies = Vec::new();
        while bodies.len() < count {
            bodies.push(body(&self.delivery().await));
        }
        bodies
    }

    /// Nothing has been delivered; meaningful after [`Steps::fence`].
    async fn nothing(&mut self) {
        let waiting = self.waiting().await;
        assert!(waiting.is_empty(), "delivered: {:?}", waiting.iter().map(body).collect::<Vec<_>>());
    }

    /// What has been delivered by now; meaningful after [`Steps::fence`].
    async fn waiting(&mut self) -> Vec<Delivery> {
        let mut deliveries = Vec::new();
        while let Some(delivery) = ready_now(self.next()).await {
            deliveries.push(delivery.expect("the consumer lives").expect("the channel is open"));
        }
        deliveries
    }

    /// The consumer ends without an error: cancelled by either side.
    async fn cancelled(&mut self) {
        let end = within("the end of the consumer", self.next()).await;
        assert!(end.is_none(), "instead of the end: {end:?}");
    }
}

/// The output of a future that is ready at once.
async fn ready_now<F: Future>(future: F) -> Option<F::Output> {
    futures_lite::future::poll_once(future).await
}
