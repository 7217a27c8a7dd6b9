//! Connecting, being refused, heartbeats, closing, and the broker going away.

use std::time::{Duration, Instant};

use amq_protocol::protocol::{AMQPClass, basic, connection};
use futures_lite::StreamExt;
use lapin::{Connection, ConnectionProperties, Event, options::*, types::FieldTable};

use crate::{
    fixture::Fixture,
    raw::{Handshake, Raw},
    support::*,
};

#[tokio::test]
async fn con_40_tune_offers_are_adopted() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let configuration = peer.connection.configuration();
    assert_eq!(configuration.channel_max(), 2047);
    assert_eq!(configuration.frame_max(), 131_072);
    assert_eq!(configuration.heartbeat(), 60);
    peer.close().await;
}

#[tokio::test]
async fn con_26_wrong_password_is_refused_with_403() {
    let fixture = Fixture::start().await;
    let mut uri = fixture.parts();
    uri.authority.userinfo.password = "wrong".to_owned();
    let options = ConnectionProperties::default();
    let result = within("the refusal", Connection::connect_uri(uri, options)).await;
    assert_reply(refusal(result), 403, "Login was refused using authentication mechanism PLAIN");
}

#[tokio::test]
async fn con_26_unknown_user_is_refused_like_a_wrong_password() {
    let fixture = Fixture::start().await;
    let mut uri = fixture.parts();
    uri.authority.userinfo.username = unique("nobody");
    let options = ConnectionProperties::default();
    let result = within("the refusal", Connection::connect_uri(uri, options)).await;
    assert_reply(refusal(result), 403, "Login was refused using authentication mechanism PLAIN");
}

#[tokio::test]
async fn con_52_unknown_vhost_is_refused_with_530() {
    let fixture = Fixture::start().await;
    let mut uri = fixture.parts();
    uri.vhost = unique("nowhere");
    let expected = format!("vhost {} not found", uri.vhost);
    let options = ConnectionProperties::default();
    let result = within("the refusal", Connection::connect_uri(uri, options)).await;
    assert_reply(refusal(result), 530, &expected);
}

#[tokio::test]
async fn con_04_another_protocol_is_answered_with_our_header_and_a_close() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let fixture = Fixture::start().await;
    let mut socket = tokio::net::TcpStream::connect(fixture.address()).await.unwrap();
    socket.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    let mut answer = [0; 8];
    within("a protocol header", socket.read_exact(&mut answer)).await.unwrap();
    assert_eq!(&answer, b"AMQP\x00\x00\x09\x01");
    // RabbitMQ resets the connection here, which reads as an error; both mean that it is over.
    let end = within("the end of the stream", socket.read(&mut answer)).await;
    assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
}

#[tokio::test]
async fn con_70_close_is_answered_and_exclusive_queues_are_gone_before() {
    let fixture = Fixture::start().await;
    let (owner, other) = (peer(&fixture).await, peer(&fixture).await);
    let name = unique("exclusive");
    let options = QueueDeclareOptions { exclusive: true, ..Default::default() };
    owner.queue_declare(name.as_str().into(), options, FieldTable::default()).await.unwrap();
    owner.close().await;
    // CON-71: no waiting needed.
    assert!(!other.exists(&name).await);
}

#[tokio::test]
async fn ch_01_channel_close_requeues_what_was_unacknowledged() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let queue = peer.declare("close").await;
    peer.fill(&queue, [1]).await;
    let channel = peer.another_channel().await;
    assert!(!channel.consume(&queue).await.delivery().await.redelivered);
    within("channel.close-ok", channel.close(200, "done".into())).await.unwrap();
    let again = peer.take(&queue).await;
    assert!(again.redelivered);
}

#[tokio::test]
async fn ch_02_a_channel_error_leaves_the_connection_and_other_channels_alone() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let doomed = peer.another_channel().await;
    assert!(!doomed.exists(&unique("missing")).await);
    let queue = peer.declare("alive").await;
    peer.publish("", &queue, "still here").await;
    assert_eq!(peer.drain(&queue).await, ["still here"]);
}

#[tokio::test]
async fn con_130_a_channel_number_can_be_used_again() {
    let fixture = Fixture::start().await;
    let mut raw = Raw::open(&fixture, Handshake::default()).await;
    for _ in 0..3 {
        raw.open_channel(7).await;
        let close = amq_protocol::protocol::channel::Close {
            reply_code: 200,
            reply_text: "done".into(),
            class_id: 0,
            method_id: 0,
        };
        raw.send(7, AMQPClass::Channel(amq_protocol::protocol::channel::AMQPMethod::Close(close))).await;
        let answer = raw.method().await;
        assert!(matches!(
            answer,
            AMQPClass::Channel(amq_protocol::protocol::channel::AMQPMethod::CloseOk(_))
        ));
    }
}

#[tokio::test]
async fn con_81_update_secret_is_accepted() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let update = peer.connection.update_secret("fresh".into(), "rotation".into());
    within("update-secret-ok", update).await.unwrap();
    let queue = peer.declare("after").await;
    assert!(peer.exists(&queue).await);
}

#[tokio::test]
async fn con_60_heartbeats_keep_an_idle_connection_open() {
    let fixture = Fixture::start().await;
    let separator = if fixture.uri().contains('?') { '&' } else { '?' };
    let connection = connect(&format!("{}{separator}heartbeat=1", fixture.uri())).await.unwrap();
    assert_eq!(connection.configuration().heartbeat(), 1);
    let channel = connection.create_channel().await.unwrap();
    let mut events = connection.events_listener();
    // Four intervals of silence. Elapsed time is what this test is about, so it lets time elapse.
    let quiet = tokio::time::timeout(Duration::from_secs(4), async {
        loop {
            if let Some(Event::Error(error)) = events.next().await {
                return error;
            }
        }
    });
    if let Ok(error) = quiet.await {
        panic!("lost the connection: {error}");
    }
    let queue = channel.declare("idle").await;
    assert!(channel.exists(&queue).await);
}

#[tokio::test]
async fn con_61_a_silent_peer_is_dropped_between_two_and_three_intervals() {
    let fixture = Fixture::start().await;
    let mut raw = Raw::open(&fixture, Handshake { heartbeat: 1, ..Default::default() }).await;
    let since = Instant::now();
    let mut heartbeats = 0;
    // CON-63: no connection.close precedes the end of the stream.
    while let Some(frame) = within("the end of the stream", raw.next_any()).await {
        assert_eq!((frame.kind, frame.channel, frame.payload.len()), (8, 0, 0));
        heartbeats += 1;
    }
    let silence = since.elapsed();
    assert!(silence > Duration::from_millis(1_900), "dropped after {silence:?}");
    assert!(silence < Duration::from_millis(3_900), "dropped after {silence:?} only");
    // CON-60: the broker's own heartbeats come twice per interval.
    assert!((3..=7).contains(&heartbeats), "{heartbeats} heartbeats in {silence:?}");
}

#[tokio::test]
async fn con_62_any_octet_counts_as_a_sign_of_life() {
    let fixture = Fixture::start().await;
    let mut raw = Raw::open(&fixture, Handshake { heartbeat: 1, ..Default::default() }).await;
    raw.open_channel(1).await;
    // A heartbeat frame sent one octet each half interval is never complete in time, yet counts.
    let mut ticks = tokio::time::interval(Duration::from_millis(500));
    for octet in [8, 0, 0, 0, 0, 0, 0, 0xCE] {
        ticks.tick().await;
        raw.write(&[octet]).await;
    }
    raw.declare(1, &unique("alive")).await;
}

#[tokio::test]
async fn con_82_graceful_shutdown_tells_clients_320() {
    if std::env::var("LEVERET_TEST_URI").is_ok() {
        eprintln!("skipped: would stop a broker that is not ours");
        return;
    }
    let fixture = Fixture::start().await;
    let mut raw = Raw::open(&fixture, Handshake::default()).await;
    let peer = peer(&fixture).await;
    let watch = peer.watch().await;
    let close_ok = async {
        let close = raw.method().await;
        let AMQPClass::Connection(connection::AMQPMethod::Close(close)) = close else {
            panic!("instead of connection.close: {close:?}")
        };
        raw.send(0, AMQPClass::Connection(connection::AMQPMethod::CloseOk(connection::CloseOk {}))).await;
        assert!(within("the end of the stream", raw.next()).await.is_none());
        close
    };
    let (close, (), seen_by_lapin) = tokio::join!(close_ok, fixture.shutdown(), watch.closed());
    assert_eq!((close.reply_code, close.class_id, close.method_id), (320, 0, 0));
    let text = "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'";
    assert_eq!(close.reply_text.as_str(), text);
    assert_reply(seen_by_lapin, 320, text);
}

#[tokio::test]
async fn con_34_cancel_notify_is_sent_to_capable_clients_only() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let queue = peer.declare("notify").await;
    let mut capable = Raw::open(&fixture, Handshake::default()).await;
    let mut plain = Raw::open(&fixture, Handshake { capabilities: &[], ..Default::default() }).await;
    for raw in [&mut capable, &mut plain] {
        raw.open_channel(1).await;
        raw.consume(1, &queue).await;
    }
    within("queue.delete-ok", peer.queue_delete(queue.into(), QueueDeleteOptions::default())).await.unwrap();
    let AMQPClass::Basic(basic::AMQPMethod::Cancel(cancel)) = capable.method().await else {
        panic!("cancel")
    };
    assert_eq!((cancel.consumer_tag.as_str(), cancel.nowait), ("raw", true));
    // The next thing the other one hears is the answer to its own request.
    plain.declare(1, &unique("next")).await;
}
