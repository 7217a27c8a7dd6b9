//! The headers exchange: the four ways of matching and what counts as equal.

use lapin::{
    BasicProperties, ExchangeKind,
    options::QueueBindOptions,
    types::{AMQPValue, ByteArray},
};

use crate::{fixture::Fixture, support::*};

/// Publishes each message to a fresh exchange and tells which bodies came through the binding.
async fn routed<const B: usize>(
    peer: &Peer,
    binding: [(&str, AMQPValue); B],
    messages: Vec<(&str, BasicProperties)>,
) -> Vec<String> {
    let exchange = peer.exchange("headers", ExchangeKind::Headers).await;
    let queue = peer.bound_with(&exchange, table(binding)).await;
    for (name, properties) in messages {
        peer.publish_with(&exchange, "ignored", name.as_bytes(), properties).await;
    }
    peer.drain(&queue).await
}

fn int(value: i32) -> AMQPValue {
    AMQPValue::LongInt(value)
}

#[tokio::test]
async fn exc_70_all_is_the_default_and_needs_every_header() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let messages = || {
        vec![
            ("both", headers([("a", int(1)), ("b", text("x"))])),
            ("and more", headers([("a", int(1)), ("b", text("x")), ("c", int(3))])),
            ("one", headers([("a", int(1))])),
            ("other value", headers([("a", int(2)), ("b", text("x"))])),
            ("none", BasicProperties::default()),
        ]
    };
    let said = [("x-match", text("all")), ("a", int(1)), ("b", text("x"))];
    assert_eq!(routed(&peer, said, messages()).await, ["both", "and more"]);
    let default = [("a", int(1)), ("b", text("x"))];
    assert_eq!(routed(&peer, default, messages()).await, ["both", "and more"]);
}

#[tokio::test]
async fn exc_70_any_needs_one_header() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let binding = [("x-match", text("any")), ("a", int(1)), ("b", text("x"))];
    let messages = vec![
        ("both", headers([("a", int(1)), ("b", text("x"))])),
        ("second", headers([("b", text("x"))])),
        ("wrong value", headers([("a", int(2))])),
        ("none", BasicProperties::default()),
    ];
    assert_eq!(routed(&peer, binding, messages).await, ["both", "second"]);
}

#[tokio::test]
async fn exc_72_x_headers_count_only_with_x() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let messages = || {
        vec![
            ("both", headers([("a", int(1)), ("x-b", int(2))])),
            ("only a", headers([("a", int(1))])),
            ("only x-b", headers([("x-b", int(2))])),
        ]
    };
    for (x_match, expected) in [
        ("all", vec!["both", "only a"]),
        ("any", vec!["both", "only a"]),
        ("all-with-x", vec!["both"]),
        ("any-with-x", vec!["both", "only a", "only x-b"]),
    ] {
        let binding = [("x-match", text(x_match)), ("a", int(1)), ("x-b", int(2))];
        assert_eq!(routed(&peer, binding, messages()).await, expected, "{x_match}");
    }
}

#[tokio::test]
async fn exc_73_without_arguments_all_matches_everything_and_any_nothing() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let messages = || vec![("bare", BasicProperties::default()), ("with", headers([("a", int(1))]))];
    assert_eq!(routed(&peer, [], messages()).await, ["bare", "with"]);
    let x_only = [("x-foo", int(1)), ("x-match", text("all"))];
    assert_eq!(routed(&peer, x_only, messages()).await, ["bare", "with"]);
    let any = [("x-match", text("any"))];
    assert_eq!(routed(&peer, any, messages()).await, Vec::<String>::new());
}

#[tokio::test]
async fn exc_74_void_asks_for_presence() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let messages = vec![
        ("int", headers([("a", int(1))])),
        ("text", headers([("a", text(""))])),
        ("absent", headers([("b", int(1))])),
    ];
    assert_eq!(routed(&peer, [("a", AMQPValue::Void)], messages).await, ["int", "text"]);
}

#[tokio::test]
async fn exc_75_values_are_equal_across_field_types() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let one_in_every_width = || {
        vec![
            ("i8", headers([("a", AMQPValue::ShortShortInt(1))])),
            ("u8", headers([("a", AMQPValue::ShortShortUInt(1))])),
            ("i16", headers([("a", AMQPValue::ShortInt(1))])),
            ("u16", headers([("a", AMQPValue::ShortUInt(1))])),
            ("i32", headers([("a", AMQPValue::LongInt(1))])),
            ("u32", headers([("a", AMQPValue::LongUInt(1))])),
            ("i64", headers([("a", AMQPValue::LongLongInt(1))])),
            ("bool", headers([("a", AMQPValue::Boolean(true))])),
            ("text", headers([("a", text("1"))])),
        ]
    };
    let widths = ["i8", "u8", "i16", "u16", "i32", "u32", "i64"];
    assert_eq!(routed(&peer, [("a", AMQPValue::LongLongInt(1))], one_in_every_width()).await, widths);
    assert_eq!(routed(&peer, [("a", AMQPValue::Boolean(true))], one_in_every_width()).await, ["bool"]);
    assert_eq!(routed(&peer, [("a", text("1"))], one_in_every_width()).await, ["text"]);

    let floats = vec![
        ("f32", headers([("a", AMQPValue::Float(1.5))])),
        ("f64", headers([("a", AMQPValue::Double(1.5))])),
    ];
    assert_eq!(routed(&peer, [("a", AMQPValue::Double(1.5))], floats).await, ["f32", "f64"]);
    let octets = vec![
        ("bytes", headers([("a", AMQPValue::ByteArray(ByteArray::from(&b"xy"[..])))])),
        ("text", headers([("a", text("xy"))])),
    ];
    assert_eq!(routed(&peer, [("a", text("xy"))], octets).await, ["bytes", "text"]);
    let nested = || AMQPValue::FieldTable(table([("deep", texts(["x", "y"]))]));
    let tables = vec![("same", headers([("a", nested())])), ("flat", headers([("a", texts(["x", "y"]))]))];
    assert_eq!(routed(&peer, [("a", nested())], tables).await, ["same"]);
}

#[tokio::test]
async fn exc_70_a_bad_x_match_is_refused() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let exchange = peer.exchange("headers", ExchangeKind::Headers).await;
    let queue = peer.declare("headers").await;
    for (value, expected) in [
        (text("bogus"), "expected all, any, all-with-x, or any-with-x"),
        (text("ANY"), "expected all, any, all-with-x, or any-with-x"),
        (int(5), "expected longstr"),
    ] {
        let channel = peer.another_channel().await;
        let (options, arguments) = (QueueBindOptions::default(), table([("x-match", value)]));
        let bind = channel.queue_bind(
            queue.as_str().into(),
            exchange.as_str().into(),
            "".into(),
            options,
            arguments,
        );
        assert_reply(refusal(within("channel.close", bind).await), 406, expected);
    }
}

#[tokio::test]
async fn exc_12_bindings_differ_by_their_arguments() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let exchange = peer.exchange("headers", ExchangeKind::Headers).await;
    let queue = peer.bound_with(&exchange, table([("a", int(1))])).await;
    peer.bind_with(&queue, &exchange, "", table([("a", int(2))])).await;
    let unbind =
        |arguments| peer.queue_unbind(queue.as_str().into(), exchange.as_str().into(), "".into(), arguments);
    // The same value in another width is another binding: this removes nothing.
    within("queue.unbind-ok", unbind(table([("a", AMQPValue::LongLongInt(1))]))).await.unwrap();
    within("queue.unbind-ok", unbind(table([("a", int(2))]))).await.unwrap();
    for value in [1, 2] {
        peer.publish_with(&exchange, "", value.to_string().as_bytes(), headers([("a", int(value))])).await;
    }
    assert_eq!(peer.drain(&queue).await, ["1"]);
}
