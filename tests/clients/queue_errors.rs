//! What the broker refuses about queues, and with which code and words.

use lapin::{
    options::*,
    types::{AMQPValue, FieldTable},
};

use crate::{fixture::Fixture, support::*};

#[tokio::test]
async fn ch_40_operations_on_a_missing_queue_are_404() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let name = unique("missing");
    let expected = format!("NOT_FOUND - no queue '{name}' in vhost '{}'", fixture.vhost());
    let queue = || name.as_str().into();
    for what in ["passive", "consume", "get", "purge", "bind"] {
        let channel = peer.another_channel().await;
        let none = FieldTable::default();
        let passive = QueueDeclareOptions { passive: true, ..Default::default() };
        let result = match what {
            "passive" => channel.queue_declare(queue(), passive, none).await.map(drop),
            "consume" => channel
                .basic_consume(queue(), "".into(), BasicConsumeOptions::default(), none)
                .await
                .map(drop),
            "get" => channel.basic_get(queue(), BasicGetOptions::default()).await.map(drop),
            "purge" => channel.queue_purge(queue(), QueuePurgeOptions::default()).await.map(drop),
            _ => {
                let options = QueueBindOptions::default();
                channel.queue_bind(queue(), "amq.fanout".into(), "".into(), options, none).await
            }
        };
        assert_eq!(refusal(result), (404, expected.clone()), "{what}");
    }
}

#[tokio::test]
async fn ch_47_binding_to_a_missing_exchange_is_404() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let queue = peer.declare("lonely").await;
    let (options, none) = (QueueBindOptions::default(), FieldTable::default());
    let bind = peer.queue_bind(queue.into(), "no-such-exchange".into(), "".into(), options, none);
    assert_reply(
        refusal(within("channel.close", bind).await),
        404,
        "no exchange 'no-such-exchange' in vhost",
    );
}

#[tokio::test]
async fn ch_42_reserved_queue_names() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let name = unique("amq.mine");
    let declare =
        peer.queue_declare(name.as_str().into(), QueueDeclareOptions::default(), FieldTable::default());
    assert_reply(refusal(within("channel.close", declare).await), 403, "contains reserved prefix 'amq.*'");
}

#[tokio::test]
async fn ch_51_52_an_empty_name_before_any_declare() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let get = peer.basic_get("".into(), BasicGetOptions::default());
    assert_reply(refusal(within("channel.close", get).await), 404, "no previously declared queue");

    let channel = peer.another_channel().await;
    channel.declare("declared").await;
    let passive = QueueDeclareOptions { passive: true, ..Default::default() };
    let declare = channel.queue_declare("".into(), passive, FieldTable::default());
    assert_reply(refusal(within("channel.close", declare).await), 404, "no queue '' in vhost");
}

#[tokio::test]
async fn que_61_inequivalent_flags_are_406() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let name = unique("durable");
    let original = QueueDeclareOptions { durable: true, ..Default::default() };
    let declare = peer.queue_declare(name.as_str().into(), original, FieldTable::default());
    within("queue.declare-ok", declare).await.unwrap();
    for (options, expected) in [
        (
            QueueDeclareOptions { durable: false, ..original },
            format!(
                "PRECONDITION_FAILED - inequivalent arg 'durable' for queue '{name}' in vhost '{}': received \
                 'false' but current is 'true'",
                fixture.vhost()
            ),
        ),
        (
            QueueDeclareOptions { auto_delete: true, ..original },
            "received 'true' but current is 'false'".to_owned(),
        ),
    ] {
        let channel = peer.another_channel().await;
        let declare = channel.queue_declare(name.as_str().into(), options, FieldTable::default());
        assert_reply(refusal(within("channel.close", declare).await), 406, &expected);
    }
    within("queue.delete-ok", peer.queue_delete(name.into(), QueueDeleteOptions::default())).await.unwrap();
}

#[tokio::test]
async fn ch_45_exclusive_and_not_is_405() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let name = peer.declare("shared").await;
    let options = QueueDeclareOptions { exclusive: true, ..Default::default() };
    let declare = peer.queue_declare(name.into(), options, FieldTable::default());
    assert_reply(
        refusal(within("channel.close", declare).await),
        405,
        "RESOURCE_LOCKED - cannot obtain exclusive",
    );
}

#[tokio::test]
async fn que_63_64_inequivalent_arguments_are_406() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let name = peer.declare_with("limited", table([("x-max-length", AMQPValue::LongInt(5))])).await;
    let redeclare = async |arguments| {
        let channel = peer.another_channel().await;
        let options = QueueDeclareOptions::default();
        within("an answer", channel.queue_declare(name.as_str().into(), options, arguments)).await
    };
    // The width of the number is no difference, its value is.
    redeclare(table([("x-max-length", AMQPValue::LongLongInt(5))])).await.unwrap();
    let other = redeclare(table([("x-max-length", AMQPValue::LongInt(6))])).await;
    assert_reply(refusal(other), 406, "inequivalent arg 'x-max-length' for queue");
    let absent = redeclare(FieldTable::default()).await;
    assert_reply(refusal(absent), 406, "received none but current is the value '5' of type 'signedint'");
    let more = table([("x-max-length", AMQPValue::LongInt(5)), ("x-message-ttl", AMQPValue::ShortInt(9))]);
    assert_reply(
        refusal(redeclare(more).await),
        406,
        "received the value '9' of type 'short' but current is none",
    );
}

#[tokio::test]
async fn que_20_to_32_bad_argument_values_are_406() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let int = AMQPValue::LongInt;
    for (key, value, detail) in [
        ("x-message-ttl", int(-1), "{value_negative,-1}"),
        ("x-message-ttl", text("9"), "expected integer, got longstr"),
        ("x-expires", int(0), "{value_zero,0}"),
        ("x-max-length", int(-1), "{value_negative,-1}"),
        ("x-max-length-bytes", int(-1), "{value_negative,-1}"),
        ("x-overflow", text("bogus"), "invalid_overflow"),
        ("x-dead-letter-routing-key", text("k"), "routing_key_but_no_dlx_defined"),
        ("x-max-priority", int(256), "{max_value_exceeded,256}"),
        ("x-queue-type", text("bogus"), "unsupported queue type 'bogus'"),
        ("x-single-active-consumer", text("yes"), "{unacceptable_type,longstr}"),
    ] {
        let channel = peer.another_channel().await;
        let (name, options) = (unique("bad"), QueueDeclareOptions::default());
        let declare = channel.queue_declare(name.as_str().into(), options, table([(key, value)]));
        let (code, reason) = refusal(within("channel.close", declare).await);
        assert_eq!(code, 406, "{key}: {reason}");
        let expected = format!(
            "PRECONDITION_FAILED - invalid arg '{key}' for queue '{name}' in vhost '{}': ",
            fixture.vhost()
        );
        assert!(reason.starts_with(&expected) && reason.contains(detail), "{key}: {reason}");
    }
}
