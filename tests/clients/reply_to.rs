//! Direct reply-to: requester, responder, and what happens when one of them is gone.

use lapin::{BasicProperties, Consumer, options::*, types::FieldTable};

use crate::{fixture::Fixture, support::*};

const REPLY_TO: &str = "amq.rabbitmq.reply-to";

/// Starts the reply consumer of a channel.
async fn reply_consumer(channel: &lapin::Channel) -> lapin::Result<Consumer> {
    let options = BasicConsumeOptions { no_ack: true, ..Default::default() };
    channel.consume_with(REPLY_TO, options, FieldTable::default()).await
}

/// Sends a request and returns the reply name the responder sees.
async fn request(requester: &Peer, responder: &Peer, queue: &str) -> String {
    let properties =
        BasicProperties::default().with_reply_to(REPLY_TO.into()).with_correlation_id("17".into());
    requester.publish_with("", queue, b"question", properties).await;
    let request = responder.take(queue).await;
    assert_eq!(request.properties.correlation_id().as_ref().map(|id| id.as_str()), Some("17"));
    request.properties.reply_to().as_ref().expect("a reply-to").to_string()
}

#[tokio::test]
async fn bas_80_to_83_a_reply_reaches_the_requester() {
    let fixture = Fixture::start().await;
    let (requester, responder) = (peer(&fixture).await, peer(&fixture).await);
    let queue = responder.declare("requests").await;
    let mut replies = reply_consumer(&requester).await.unwrap();
    let name = request(&requester, &responder, &queue).await;
    assert!(name.starts_with("amq.rabbitmq.reply-to.") && name.len() < 255, "{name}");
    let properties = BasicProperties::default().with_correlation_id("17".into());
    for answer in ["one", "two"] {
        assert!(responder.publish_with("", &name, answer.as_bytes(), properties.clone()).await.is_ack());
    }
    for answer in ["one", "two"] {
        let reply = replies.delivery().await;
        // The tag means nothing here: RabbitMQ does not even count it up between replies.
        assert!(reply.delivery_tag >= 1 && !reply.redelivered);
        assert_eq!((reply.exchange.as_str(), reply.routing_key.as_str()), ("", name.as_str()));
        assert_eq!(reply.properties, properties);
        assert_eq!(body(&reply), answer);
    }
}

#[tokio::test]
async fn bas_84_85_a_reply_to_a_dead_requester_is_dropped_or_returned() {
    let fixture = Fixture::start().await;
    let (requester, responder) = (peer(&fixture).await, peer(&fixture).await);
    let queue = responder.declare("requests").await;
    let _replies = reply_consumer(&requester).await.unwrap();
    let name = request(&requester, &responder, &queue).await;
    requester.close().await;
    assert!(responder.publish("", &name, "too late").await.is_ack());
    let returned = responder.publish_mandatory("", &name, "too late").await.take_message().expect("a return");
    assert_eq!((returned.reply_code, returned.reply_text.as_str()), (312, "NO_ROUTE"));
    assert_eq!(body(&returned), "too late");
}

#[tokio::test]
async fn bas_85_a_mandatory_reply_to_a_living_requester_is_not_returned() {
    let fixture = Fixture::start().await;
    if !fixture.is_ours() {
        eprintln!("skipped: old RabbitMQ returns the reply although it delivers it");
        return;
    }
    let (requester, responder) = (peer(&fixture).await, peer(&fixture).await);
    let queue = responder.declare("requests").await;
    let mut replies = reply_consumer(&requester).await.unwrap();
    let name = request(&requester, &responder, &queue).await;
    assert!(responder.publish_mandatory("", &name, "answer").await.take_message().is_none());
    assert_eq!(replies.bodies(1).await, ["answer"]);
}

#[tokio::test]
async fn bas_84_after_cancel_replies_are_dropped() {
    let fixture = Fixture::start().await;
    let (requester, responder) = (peer(&fixture).await, peer(&fixture).await);
    let queue = responder.declare("requests").await;
    let mut replies = reply_consumer(&requester).await.unwrap();
    let name = request(&requester, &responder, &queue).await;
    let cancel = requester.basic_cancel(replies.tag(), BasicCancelOptions::default());
    within("basic.cancel-ok", cancel).await.unwrap();
    assert!(responder.publish("", &name, "late").await.is_ack());
    replies.cancelled().await;
    // Set again, it works again; the old name stays dead.
    let mut replies = reply_consumer(&requester).await.unwrap();
    let fresh = request(&requester, &responder, &queue).await;
    assert!(responder.publish("", &name, "to the old name").await.is_ack());
    assert!(responder.publish("", &fresh, "to the new name").await.is_ack());
    let reply = replies.delivery().await;
    assert_eq!(body(&reply), "to the new name");
}

#[tokio::test]
async fn bas_80_a_reply_consumer_must_be_single_and_without_acks() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let _first = reply_consumer(&peer).await.unwrap();
    assert_reply(refusal(reply_consumer(&peer).await), 406, "reply consumer already set");
    let channel = peer.another_channel().await;
    let with_acks =
        channel.consume_with(REPLY_TO, BasicConsumeOptions::default(), FieldTable::default()).await;
    assert_reply(refusal(with_acks), 406, "reply consumer cannot acknowledge");
}

#[tokio::test]
async fn ch_71_a_request_without_a_reply_consumer_is_406() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let properties = BasicProperties::default().with_reply_to(REPLY_TO.into());
    let publish =
        peer.basic_publish("".into(), "anywhere".into(), BasicPublishOptions::default(), b"", properties);
    let refused = within("channel.close", publish.await.unwrap()).await;
    assert_reply(refusal(refused), 406, "fast reply consumer does not exist");
}

#[tokio::test]
async fn bas_87_declaring_a_reply_name_tells_whether_it_lives() {
    let fixture = Fixture::start().await;
    let (requester, responder) = (peer(&fixture).await, peer(&fixture).await);
    let queue = responder.declare("requests").await;
    let _replies = reply_consumer(&requester).await.unwrap();
    let name = request(&requester, &responder, &queue).await;
    let probe = async || {
        let channel = responder.another_channel().await;
        let options = QueueDeclareOptions { passive: true, ..Default::default() };
        within("an answer", channel.queue_declare(name.as_str().into(), options, FieldTable::default())).await
    };
    let alive = probe().await.unwrap();
    assert_eq!((alive.name().as_str(), alive.message_count(), alive.consumer_count()), (name.as_str(), 0, 1));
    requester.close().await;
    assert_reply(refusal(probe().await), 404, &format!("no queue '{name}' in vhost"));
}
