//! Super streams: declared as one, deleted as one, and everything or nothing.

use lapin::{
    BasicProperties,
    options::*,
    types::{AMQPValue, FieldTable},
};
use serde_json::{Value, json};

use crate::http::{GUEST, Target};

const PATH: &str = "stream/super-streams/%2F/orders";

fn names(shown: &Value) -> Vec<(&str, &str)> {
    let partitions = shown["partitions"].as_array().unwrap();
    partitions
        .iter()
        .map(|partition| (partition["name"].as_str().unwrap(), partition["binding_key"].as_str().unwrap()))
        .collect()
}

#[tokio::test]
async fn one_call_makes_an_exchange_its_partitions_and_their_bindings() {
    let target = Target::start().await;
    target.get(PATH).await.expect(404);
    let body = r#"{"partitions":12,"arguments":{"x-max-length-bytes":1000000}}"#;
    target.put(PATH, body).await.expect(201);
    target.put(PATH, body).await.expect(204);
    let exchange = target.get("exchanges/%2F/orders").await.expect(200).json();
    assert_eq!((&exchange["type"], &exchange["durable"]), (&json!("direct"), &json!(true)));
    assert_eq!(exchange["arguments"], json!({ "x-super-stream": true }));
    let stream = target.get("queues/%2F/orders-11").await.expect(200).json();
    assert_eq!(stream["arguments"], json!({ "x-queue-type": "stream", "x-max-length-bytes": 1_000_000 }));
    let bindings = target.get("queues/%2F/orders-11/bindings").await.expect(200).json();
    let binding = bindings.as_array().unwrap().iter().find(|binding| binding["source"] == "orders").unwrap();
    assert_eq!(binding["routing_key"], "11");
    assert_eq!(binding["arguments"], json!({ "x-stream-partition-order": 11 }));
    let shown = target.get(PATH).await.expect(200).json();
    let expected: Vec<String> = (0..12).map(|at| format!("orders-{at} {at}")).collect();
    let found: Vec<String> = names(&shown).iter().map(|(name, key)| format!("{name} {key}")).collect();
    assert_eq!(found, expected);
    target.delete(PATH).await.expect(204);
    target.delete(PATH).await.expect(404);
    for gone in ["exchanges/%2F/orders", "queues/%2F/orders-0", "queues/%2F/orders-11"] {
        target.get(gone).await.expect(404);
    }
}

#[tokio::test]
async fn partitions_may_have_keys_of_their_own() {
    let target = Target::start().await;
    target.put(PATH, r#"{"binding-keys":"emea,apac , amer"}"#).await.expect(201);
    let shown = target.get(PATH).await.expect(200).json();
    assert_eq!(names(&shown), [("orders-emea", "emea"), ("orders-apac", "apac"), ("orders-amer", "amer")]);
    let connection = target.connect(GUEST, "%2f").await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    for key in ["apac", "amer", "apac", "none"] {
        let options = BasicPublishOptions::default();
        let publish =
            channel.basic_publish("orders".into(), key.into(), options, b"x", BasicProperties::default());
        publish.await.unwrap().await.unwrap();
    }
    let shown = target.get(PATH).await.expect(200).json();
    let messages: Vec<u64> =
        shown["partitions"].as_array().unwrap().iter().map(|one| one["messages"].as_u64().unwrap()).collect();
    assert_eq!(messages, [0, 2, 1]);
}

#[tokio::test]
async fn what_cannot_be_made_as_a_whole_is_not_made() {
    let target = Target::start().await;
    for (body, reason) in [
        ("{}", "Specify partitions or binding-keys"),
        (r#"{"partitions":2,"binding-keys":"a"}"#, "Specify partitions or binding-keys, not both"),
        (r#"{"partitions":0}"#, "The partition number must be greater than 0"),
        (r#"{"partitions":"x"}"#, "The partition number must be greater than 0"),
        (r#"{"partitions":1001}"#, "a super stream has at most 1000 partitions"),
        (
            r#"{"partitions":2,"type":"topic"}"#,
            "type: expected one of direct, x-modulus-hash, x-consistent-hash, not 'topic'",
        ),
    ] {
        target.put(PATH, body).await.refused(400, "bad_request", reason);
    }
    // The third partition is something else.
    target.put("queues/%2F/orders-2", r#"{"durable":true}"#).await.expect(201);
    target.put(PATH, r#"{"partitions":4}"#).await.expect(400);
    target.get("exchanges/%2F/orders").await.expect(404);
    target.get("queues/%2F/orders-0").await.expect(404);
    target.get("queues/%2F/orders-2").await.expect(200);
    target.delete("queues/%2F/orders-2").await.expect(204);
    target.put("exchanges/%2F/orders", r#"{"durable":true}"#).await.expect(201);
    let refused = target.put(PATH, r#"{"partitions":4}"#).await;
    refused.refused(400, "bad_request", "exchange 'orders' is no super stream");
    target.delete(PATH).await.expect(404);
    // Nor what the user has no right to.
    target.put("users/u", r#"{"password":"p","tags":"management"}"#).await.expect(201);
    let rights = r#"{"configure":"^mine(-[01])?$","write":".*","read":".*"}"#;
    target.put("permissions/%2F/u", rights).await.expect(201);
    let mine = async |body: &str| {
        target.request(("u", "p"), "PUT", "stream/super-streams/%2F/mine", &[], body).await
    };
    mine(r#"{"partitions":3}"#).await.expect(401);
    target.get("queues/%2F/mine-0").await.expect(404);
    mine(r#"{"partitions":2}"#).await.expect(201);
}

#[tokio::test]
async fn a_hash_of_the_key_chooses_the_partition() {
    let target = Target::start().await;
    target.put(PATH, r#"{"partitions":3,"type":"x-modulus-hash"}"#).await.expect(201);
    let connection = target.connect(GUEST, "%2f").await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    for number in 0..90 {
        let (options, key) = (BasicPublishOptions::default(), format!("customer{}", number % 30));
        let properties = BasicProperties::default();
        let publish = channel.basic_publish("orders".into(), key.as_str().into(), options, b"x", properties);
        publish.await.unwrap().await.unwrap();
    }
    let shown = target.get(PATH).await.expect(200).json();
    let messages: Vec<u64> =
        shown["partitions"].as_array().unwrap().iter().map(|one| one["messages"].as_u64().unwrap()).collect();
    assert_eq!(messages.iter().sum::<u64>(), 90);
    // Each customer's three are together.
    assert!(messages.iter().all(|count| 0 < *count && count % 3 == 0), "{messages:?}");
    let channel = connection.create_channel().await.unwrap();
    let mut named = FieldTable::default();
    named.insert("x-queue-type".into(), AMQPValue::LongString("stream".into()));
    let options = QueueDeclareOptions { durable: true, ..Default::default() };
    channel.queue_declare("orders-0".into(), options, named).await.expect("partitions are plain streams");
}
