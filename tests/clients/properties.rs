//! Properties and headers reach the receiver as the sender wrote them.

use amq_protocol::{
    frame::AMQPFrame,
    protocol::{AMQPClass, basic},
};
use lapin::{
    BasicProperties,
    types::{AMQPValue, ByteArray, DecimalValue},
};

use crate::{
    fixture::Fixture,
    raw::{Handshake, Raw, content_header, decode},
    support::*,
};

#[tokio::test]
async fn bas_04_every_property_arrives() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let queue = peer.declare("properties").await;
    let properties = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_content_encoding("gzip".into())
        .with_headers(table([("k", text("v"))]))
        .with_delivery_mode(2)
        .with_priority(7)
        .with_correlation_id("correlation".into())
        .with_reply_to("somewhere".into())
        .with_expiration("600000".into())
        .with_message_id("message".into())
        .with_timestamp(1_700_000_000)
        .with_type("kind".into())
        .with_app_id("app".into())
        .with_cluster_id("cluster".into());
    peer.publish_with("", &queue, b"full", properties.clone()).await;
    peer.publish_with("", &queue, b"bare", BasicProperties::default()).await;
    assert_eq!(peer.take(&queue).await.properties, properties);
    assert_eq!(peer.take(&queue).await.properties, BasicProperties::default());
}

#[tokio::test]
async fn bas_02_every_field_type_arrives() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let queue = peer.declare("fields").await;
    let properties = headers([
        ("bool", AMQPValue::Boolean(true)),
        ("i8", AMQPValue::ShortShortInt(-8)),
        ("u8", AMQPValue::ShortShortUInt(200)),
        ("i16", AMQPValue::ShortInt(-1616)),
        ("u16", AMQPValue::ShortUInt(60_000)),
        ("i32", AMQPValue::LongInt(-323_232)),
        ("u32", AMQPValue::LongUInt(4_000_000_000)),
        ("i64", AMQPValue::LongLongInt(i64::MIN)),
        ("f32", AMQPValue::Float(1.5)),
        ("f64", AMQPValue::Double(-2.25)),
        ("decimal", AMQPValue::DecimalValue(DecimalValue { scale: 2, value: 314 })),
        ("text", text("žába")),
        ("octets", AMQPValue::ByteArray(ByteArray::from(&b"\x00\xff"[..]))),
        ("array", texts(["a", "b"])),
        ("table", AMQPValue::FieldTable(table([("deep", AMQPValue::Void)]))),
        ("time", AMQPValue::Timestamp(1_700_000_000)),
        ("void", AMQPValue::Void),
        ("", text("an empty key")),
    ]);
    peer.publish_with("", &queue, b"", properties.clone()).await;
    assert_eq!(peer.take(&queue).await.properties, properties);
}

#[tokio::test]
async fn bas_01_the_content_header_passes_octet_for_octet() {
    let fixture = Fixture::start().await;
    let mut raw = Raw::open(&fixture, Handshake::default()).await;
    let queue = unique("octets");
    raw.open_channel(1).await;
    raw.declare(1, &queue).await;
    raw.consume(1, &queue).await;

    // Headers only: keys neither sorted nor unique, a bool that is 2, an 'L', a key and a text not UTF-8.
    let fields = [
        &b"\x01zt\x02"[..],
        b"\x01aL\x00\x00\x00\x00\x00\x00\x00\x05",
        b"\x01zI\x00\x00\x00\x09",
        b"\x02\xff\xfeS\x00\x00\x00\x02\xc3\x28",
    ]
    .concat();
    let mut properties = vec![0x20, 0x00];
    properties.extend(u32::try_from(fields.len()).unwrap().to_be_bytes());
    properties.extend(&fields);
    let header = content_header(4, &properties);
    let publish = basic::Publish {
        exchange: "".into(),
        routing_key: queue.as_str().into(),
        mandatory: false,
        immediate: false,
    };
    raw.publish(1, publish, &header, b"body").await;

    let AMQPClass::Basic(basic::AMQPMethod::Deliver(deliver)) = raw.method().await else { panic!("deliver") };
    assert_eq!((deliver.delivery_tag, deliver.redelivered), (1, false));
    let received = within("a content header", raw.next()).await.unwrap();
    assert_eq!((received.kind, received.channel), (2, 1));
    assert_eq!(received.payload, header);
    let content = within("a body", raw.next()).await.unwrap();
    assert_eq!(decode(&content), AMQPFrame::Body(1, b"body".to_vec()));
}
