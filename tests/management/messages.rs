//! Messages published and got by hand.

use lapin::{BasicProperties, message::BasicGetMessage, options::*};
use serde_json::{Value, json};

use crate::http::{GUEST, Target};

async fn publish(target: &Target, routing_key: &str, payload: &str, properties: Value) -> Value {
    let body = json!({
        "properties": properties, "routing_key": routing_key, "payload": payload, "payload_encoding": "string",
    });
    target.post("exchanges/%2F/amq.default/publish", &body.to_string()).await.expect(200).json()
}

async fn get(target: &Target, count: u32, ackmode: &str) -> Vec<Value> {
    let body = json!({ "count": count.to_string(), "ackmode": ackmode, "encoding": "auto", "name": "q", "vhost": "/" });
    let messages = target.post("queues/%2F/q/get", &body.to_string()).await.expect(200).json();
    messages.as_array().unwrap().clone()
}

fn payloads(messages: &[Value]) -> Vec<&str> {
    messages.iter().map(|message| message["payload"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn messages_are_looked_at_and_taken() {
    let target = Target::start().await;
    target.put("queues/%2F/q", "{}").await.expect(201);
    assert_eq!(publish(&target, "none", "", json!({})).await, json!({ "routed": false }));
    let properties = json!({ "content_type": "text/plain", "headers": { "n": 1 }, "delivery_mode": 2 });
    for payload in ["one", "two", "three"] {
        let routed = publish(&target, "q", payload, properties.clone()).await;
        assert_eq!(routed, json!({ "routed": true }));
    }
    let seen = get(&target, 5, "ack_requeue_true").await;
    assert_eq!(payloads(&seen), ["one", "two", "three"]);
    assert_eq!(seen[0]["properties"], properties);
    let (left, again) = (&seen[0]["message_count"], &seen[0]["redelivered"]);
    assert_eq!((left, again), (&json!(2), &json!(false)));
    let seen = get(&target, 1, "reject_requeue_true").await;
    assert_eq!((payloads(&seen), &seen[0]["redelivered"]), (vec!["one"], &json!(true)));
    assert_eq!(payloads(&get(&target, 2, "ack_requeue_false").await), ["one", "two"]);
    assert_eq!(payloads(&get(&target, 2, "reject_requeue_false").await), ["three"]);
    assert_eq!(get(&target, 1, "ack_requeue_true").await, [] as [Value; 0]);
    let queue = target.get("queues/%2F/q").await.json();
    assert_eq!((&queue["messages"], &queue["messages_unacknowledged"]), (&json!(0), &json!(0)));
}

#[tokio::test]
async fn octets_that_are_no_text_travel_as_base_64() {
    let target = Target::start().await;
    target.put("queues/%2F/q", "{}").await.expect(201);
    let body = r#"{"properties":[],"routing_key":"q","payload":"/wA=","payload_encoding":"base64"}"#;
    target.post("exchanges/%2F//publish", body).await.expect(200);
    let message = &get(&target, 1, "ack_requeue_true").await[0];
    assert_eq!((&message["payload"], &message["payload_encoding"]), (&json!("/wA="), &json!("base64")));
    assert_eq!((&message["payload_bytes"], &message["properties"]), (&json!(2), &json!({})));
    let body = r#"{"count":1,"ackmode":"ack_requeue_false","encoding":"base64","truncate":1}"#;
    let cut = target.post("queues/%2F/q/get", body).await.json();
    assert_eq!((&cut[0]["payload"], &cut[0]["payload_bytes"]), (&json!("/w=="), &json!(2)));
}

#[tokio::test]
async fn what_cannot_be_published_or_got_is_refused() {
    let target = Target::start().await;
    target.put("queues/%2F/q", "{}").await.expect(201);
    let path = "exchanges/%2F/amq.default/publish";
    let with = |properties: &str, encoding: &str, payload: &str| {
        format!(
            r#"{{"properties":{properties},"routing_key":"q","payload":"{payload}","payload_encoding":"{encoding}"}}"#
        )
    };
    target.post(path, "{}").await.expect(400);
    target.post(path, &with("{}", "foo", "")).await.refused(400, "bad_request", "unsupported_encoding: foo");
    target.post(path, &with("{}", "base64", "!!")).await.expect(400);
    target.post(path, &with(r#"{"timestamp":"x"}"#, "string", "")).await.expect(400);
    target.post(path, &with(r#"{"expiration":"soon"}"#, "string", "")).await.expect(400);
    let reason = "406 PRECONDITION_FAILED - user_id property set to 'bob' but authenticated user was 'guest'";
    target.post(path, &with(r#"{"user_id":"bob"}"#, "string", "")).await.refused(400, "bad_request", reason);
    let reason = "404 NOT_FOUND - no exchange 'none' in vhost '/'";
    let reply = target.post("exchanges/%2F/none/publish", &with("{}", "string", "")).await;
    reply.refused(400, "bad_request", reason);
    let reply = target.post("queues/%2F/q/get", r#"{"count":1,"encoding":"auto"}"#).await;
    reply.refused(400, "bad_request", "[{key_missing,ackmode}]");
    let reply =
        target.post("queues/%2F/q/get", r#"{"count":1,"encoding":"x","ackmode":"ack_requeue_true"}"#).await;
    reply.refused(400, "bad_request", "unsupported_encoding: x");
    assert_eq!(target.get("queues/%2F/q").await.json()["messages"], 0);
}

#[tokio::test]
async fn amqp_and_http_see_the_same_messages() {
    let target = Target::start().await;
    target
        .put("queues/%2F/q", r#"{"arguments":{"x-max-length":1,"x-overflow":"reject-publish"}}"#)
        .await
        .expect(201);
    let connection = target.connect(GUEST, "%2f").await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let properties = BasicProperties::default().with_priority(3).with_message_id("m".into());
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let options = BasicPublishOptions::default();
    channel
        .basic_publish("".into(), "q".into(), options, b"from amqp", properties)
        .await
        .unwrap()
        .await
        .unwrap();
    // The queue is full.
    let body = r#"{"properties":{},"routing_key":"q","payload":"","payload_encoding":"string"}"#;
    target.post("exchanges/%2F/amq.default/publish", body).await.expect(400);
    let seen = get(&target, 1, "ack_requeue_false").await;
    assert_eq!((payloads(&seen), &seen[0]["properties"]["message_id"]), (vec!["from amqp"], &json!("m")));
    publish(&target, "q", "from http", json!({ "headers": { "BCC": ["q"], "k": true } })).await;
    let got: BasicGetMessage =
        channel.basic_get("q".into(), BasicGetOptions { no_ack: true }).await.unwrap().unwrap();
    assert_eq!(got.delivery.data, b"from http");
    assert_eq!(got.delivery.properties.headers().as_ref().unwrap().inner().len(), 1);
}

#[tokio::test]
async fn str_04_bas_52_a_stream_is_listed_and_neither_got_from_nor_purged() {
    let target = Target::start().await;
    let declare = r#"{"durable":true,"arguments":{"x-queue-type":"stream"}}"#;
    target.put("queues/%2F/q", declare).await.expect(201);
    for payload in ["one", "two"] {
        publish(&target, "q", payload, json!({})).await;
    }
    let get = r#"{"count":1,"ackmode":"ack_requeue_true","encoding":"auto"}"#;
    let refused = target.post("queues/%2F/q/get", get).await.expect(400).json();
    let reason = "540 basic.get not supported by stream queues queue 'q' in vhost '/'";
    assert_eq!(refused, json!({ "error": "bad_request", "reason": reason }));
    let refused = target.delete("queues/%2F/q/contents").await.expect(400).json();
    let reason = "queue.purge not supported by stream queues queue 'q' in vhost '/'";
    assert_eq!(refused, json!({ "error": "bad_request", "reason": reason }));
    let queue = target.get("queues/%2F/q").await.json();
    assert_eq!((&queue["type"], &queue["messages"]), (&json!("stream"), &json!(2)));
    assert_eq!((&queue["committed_offset"], &queue["segments"]), (&json!(1), &json!(1)));
    target.delete("queues/%2F/q?if-empty=true").await.expect(204);
}
