//! The memory alarm: publishers are told and held, everybody else goes on.

use std::pin::pin;

use amq_protocol::protocol::{AMQPClass, basic, connection};
use futures_lite::{Stream, StreamExt};
use lapin::{BasicProperties, Event, options::*};
use leveret::server::Memory;

use crate::{
    fixture::Fixture,
    raw::{Handshake, Raw, content_header},
    support::*,
};

const WATERMARK: u64 = 4 << 20;
const BODY: usize = 64 << 10;

/// A broker with so little memory that a few messages fill it.
async fn small_broker() -> Option<Fixture> {
    Fixture::configured(|config| config.limits.memory = Memory::Absolute(WATERMARK)).await
}

/// Awaits the connection event that `select` wants.
async fn event<T>(events: &mut (impl Stream<Item = Event> + Unpin), select: fn(Event) -> Option<T>) -> T {
    loop {
        match events.next().await.expect("the connection lives") {
            Event::Error(error) => panic!("{error}"),
            event => {
                if let Some(selected) = select(event) {
                    return selected;
                }
            }
        }
    }
}

/// Publishes until the broker says that this connection is blocked; returns the reason it gave.
async fn publish_until_blocked(
    publisher: &Peer,
    queue: &str,
    events: &mut (impl Stream<Item = Event> + Unpin),
) -> String {
    let blocked = event(events, |event| match event {
        Event::ConnectionBlocked(reason) => Some(reason),
        _ => None,
    });
    let publish = async {
        // Far beyond the watermark: who is not blocked by then never will be.
        for _ in 0..20 * WATERMARK / BODY as u64 {
            let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
            publisher
                .basic_publish("".into(), queue.into(), options, &[b'm'; BODY], properties)
                .await
                .unwrap();
        }
        std::future::pending::<String>().await
    };
    within("connection.blocked", futures_lite::future::or(blocked, publish)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alm_04_05_publishers_are_blocked_and_unblocked_by_consumption() {
    let Some(fixture) = small_broker().await else { return };
    let (publisher, consumer) = (peer(&fixture).await, peer(&fixture).await);
    let queue = publisher.declare("memory").await;
    let mut events = pin!(publisher.connection.events_listener());
    assert_eq!(publish_until_blocked(&publisher, &queue, &mut events).await, "low on memory");

    // ALM-02, ALM-11: whoever does not publish is served as ever, and frees the memory.
    let drain = async {
        loop {
            while consumer.pop(&queue).await.is_some() {}
            tokio::task::yield_now().await;
        }
    };
    let unblocked = async {
        event(&mut events, |event| matches!(event, Event::ConnectionUnblocked).then_some(())).await;
        publisher.wait_for_confirms().await.expect("the confirms of what was held");
    };
    within("connection.unblocked and the confirms", futures_lite::future::or(unblocked, drain)).await;
    consumer.drain(&queue).await;
    assert!(publisher.publish("", &queue, "after").await.is_ack());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alm_02_06_everything_but_publishing_works_during_an_alarm() {
    let Some(fixture) = small_broker().await else { return };
    let publisher = peer(&fixture).await;
    let queue = publisher.declare("memory").await;
    let mut events = pin!(publisher.connection.events_listener());
    publish_until_blocked(&publisher, &queue, &mut events).await;

    let newcomer = peer(&fixture).await;
    let other = newcomer.declare("other").await;
    newcomer.bind(&other, "amq.fanout", "").await;
    let message = newcomer.take(&queue).await;
    assert_eq!(message.data.len(), BODY);
    message.nack(BasicNackOptions { requeue: true, ..Default::default() }).await.unwrap();
    let mut consumer = newcomer.consume(&queue).await;
    assert_eq!(consumer.delivery().await.data.len(), BODY);
    newcomer.close().await;
}

/// lapin holds its own connection.close back while it is blocked, so this client speaks frames.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alm_09_a_blocked_publisher_can_still_close() {
    let Some(fixture) = small_broker().await else { return };
    let mut raw = Raw::open(&fixture, Handshake::default()).await;
    raw.open_channel(1).await;
    let queue = unique("memory");
    raw.declare(1, &queue).await;
    let body = vec![b'm'; BODY];
    for _ in 0..WATERMARK / BODY as u64 + 8 {
        let publish = basic::Publish { routing_key: queue.as_str().into(), ..Default::default() };
        raw.publish(1, publish, &content_header(BODY as u64, &[0, 0]), &body).await;
    }
    let close = connection::Close { reply_code: 200, ..Default::default() };
    raw.send(0, AMQPClass::Connection(connection::AMQPMethod::Close(close))).await;
    let blocked = raw.method().await;
    assert!(matches!(blocked, AMQPClass::Connection(connection::AMQPMethod::Blocked(_))), "{blocked:?}");
    let close_ok = raw.method().await;
    assert!(matches!(close_ok, AMQPClass::Connection(connection::AMQPMethod::CloseOk(_))), "{close_ok:?}");
}
