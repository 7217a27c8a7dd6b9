//! Rights on topics: given over HTTP, demanded over AMQP and HTTP (chapter 8.3).

use lapin::{BasicProperties, Channel, ExchangeKind, options::*, types::FieldTable};
use serde_json::json;

use crate::http::Target;

const USER: (&str, &str) = ("u", "p");

/// A user who may do everything but what rows say, and a topic exchange `x`.
async fn with_row(row: &str) -> Target {
    let target = Target::start().await;
    target.put("users/u", r#"{"password":"p","tags":"management"}"#).await.expect(201);
    let full = r#"{"configure":".*","write":".*","read":".*"}"#;
    target.put("permissions/%2F/u", full).await.expect(201);
    target.put("exchanges/%2F/x", r#"{"type":"topic"}"#).await.expect(201);
    target.put("exchanges/%2F/direct", r#"{"type":"direct"}"#).await.expect(201);
    target.put("queues/%2F/q", "{}").await.expect(201);
    target.put("topic-permissions/%2F/u", row).await.expect(201);
    target
}

async fn channel(target: &Target) -> Channel {
    let connection = target.connect(USER, "%2f").await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    channel
}

async fn publish(
    channel: &Channel,
    exchange: &str,
    key: &str,
    properties: BasicProperties,
) -> Result<(), String> {
    let options = BasicPublishOptions::default();
    let publish = channel.basic_publish(exchange.into(), key.into(), options, b"", properties);
    let confirm = publish.await.map_err(|error| error.to_string())?;
    confirm.await.map(drop).map_err(|error| error.to_string())
}

fn names(refused: Result<(), String>, right: &str, topic: &str) {
    let text = format!(
        "ACCESS_REFUSED - {right} access to topic '{topic}' in exchange 'x' in vhost '/' refused for user 'u'"
    );
    let refused = refused.unwrap_err();
    assert!(refused.contains(&text), "{refused:?} is not {text:?}");
}

#[tokio::test]
async fn prm_20_and_21_publishing_asks_for_the_routing_key_and_its_copies() {
    let target = with_row(r#"{"exchange":"x","write":"^a","read":"^b"}"#).await;
    let plain = BasicProperties::default;
    let first = channel(&target).await;
    publish(&first, "x", "a.1", plain()).await.unwrap();
    names(publish(&first, "x", "b.x", plain()).await, "write", "b.x");
    let second = channel(&target).await;
    publish(&second, "direct", "b.x", plain()).await.expect("only topic exchanges have topics");
    publish(&second, "amq.topic", "b.x", plain()).await.expect("there is no row");
    let mut headers = FieldTable::default();
    let copies = vec![lapin::types::AMQPValue::LongString("c".into())];
    headers.insert("CC".into(), lapin::types::AMQPValue::FieldArray(copies.into()));
    names(publish(&second, "x", "a", plain().with_headers(headers)).await, "write", "c");
}

#[tokio::test]
async fn prm_20_binding_and_unbinding_ask_for_the_binding_key() {
    let target = with_row(r#"{"exchange":"x","write":"","read":"^b"}"#).await;
    let table = FieldTable::default;
    let bind = async |channel: &Channel, key: &str| {
        let options = QueueBindOptions::default();
        let bound = channel.queue_bind("q".into(), "x".into(), key.into(), options, table()).await;
        bound.map_err(|error| error.to_string())
    };
    let first = channel(&target).await;
    bind(&first, "b.#").await.unwrap();
    names(bind(&first, "a").await, "read", "a");
    let second = channel(&target).await;
    let unbound = second.queue_unbind("q".into(), "x".into(), "a".into(), table()).await;
    names(unbound.map_err(|error| error.to_string()), "read", "a");
    let third = channel(&target).await;
    let options = ExchangeDeclareOptions::default();
    third.exchange_declare("to".into(), ExchangeKind::Fanout, options, table()).await.unwrap();
    let options = ExchangeBindOptions::default();
    let bound = third.exchange_bind("to".into(), "x".into(), "a".into(), options, table()).await;
    names(bound.map_err(|error| error.to_string()), "read", "a");
}

#[tokio::test]
async fn prm_22_variables_name_the_user_and_the_vhost() {
    let target = with_row(r#"{"exchange":"x","write":"^{username}\\.{vhost}$","read":""}"#).await;
    let channel = channel(&target).await;
    publish(&channel, "x", "u./", BasicProperties::default()).await.unwrap();
    names(publish(&channel, "x", "v./", BasicProperties::default()).await, "write", "v./");
    assert_eq!(target.get("topic-permissions/%2F/u").await.json()[0]["write"], "^{username}\\.{vhost}$");
}

#[tokio::test]
async fn prm_20_a_row_that_is_added_stops_a_publisher_that_was_allowed() {
    let target = with_row(r#"{"exchange":"other","write":"","read":""}"#).await;
    target.post("bindings/%2F/e/x/q/q", r##"{"routing_key":"#"}"##).await.expect(201);
    let channel = channel(&target).await;
    let plain = BasicProperties::default;
    publish(&channel, "x", "b", plain()).await.unwrap();
    publish(&channel, "x", "b", plain()).await.unwrap();
    target.put("topic-permissions/%2F/u", r#"{"exchange":"x","write":"^a","read":""}"#).await.expect(204);
    names(publish(&channel, "x", "b", plain()).await, "write", "b");
}

#[tokio::test]
async fn prm_20_http_asks_for_the_same_rights() {
    let target = with_row(r#"{"exchange":"x","write":"^a","read":"^b"}"#).await;
    let ask = async |path: &str, body: &str| target.request(USER, "POST", path, &[], body).await;
    let publish = |key: &str| {
        json!({ "properties": {}, "routing_key": key, "payload": "", "payload_encoding": "string" })
            .to_string()
    };
    ask("exchanges/%2F/x/publish", &publish("a")).await.expect(200);
    let reason =
        "403 ACCESS_REFUSED - write access to topic 'b' in exchange 'x' in vhost '/' refused for user 'u'";
    ask("exchanges/%2F/x/publish", &publish("b")).await.refused(400, "bad_request", reason);
    ask("bindings/%2F/e/x/q/q", r#"{"routing_key":"b"}"#).await.expect(201);
    let refused = ask("bindings/%2F/e/x/q/q", r#"{"routing_key":"a"}"#).await;
    refused.refused(401, "not_authorised", "Access refused.");
}

#[tokio::test]
async fn rows_are_checked_listed_and_deleted() {
    let target = with_row(r#"{"exchange":"x","write":"^a","read":"^b"}"#).await;
    let path = "topic-permissions/%2F/u";
    target.put(path, r#"{"exchange":"y","write":"^a","read":"^b"}"#).await.expect(204);
    let row = |exchange: &str| json!({ "user": "u", "vhost": "/", "exchange": exchange, "write": "^a", "read": "^b" });
    let both = json!([row("x"), row("y")]);
    for list in [path, "topic-permissions", "vhosts/%2F/topic-permissions", "users/u/topic-permissions"] {
        assert_eq!(target.get(list).await.expect(200).json(), both, "{list}");
    }
    target.put(path, r#"{"exchange":"y","write":"^a"}"#).await.refused(
        400,
        "bad_request",
        "[{key_missing,read}]",
    );
    target.put(path, r#"{"exchange":"z","write":"(","read":""}"#).await.expect(400);
    for missing in ["topic-permissions/none/u", "topic-permissions/%2F/none"] {
        let reply = target.put(missing, r#"{"exchange":"y","write":"","read":""}"#).await;
        reply.refused(400, "bad_request", "vhost_or_user_not_found");
        target.get(missing).await.refused(404, "Object Not Found", "Not Found");
        target.delete(missing).await.refused(404, "Object Not Found", "Not Found");
    }
    target.get("users/none/topic-permissions").await.expect(404);
    target.delete(&format!("{path}/x")).await.expect(204);
    assert_eq!(target.get(path).await.json(), json!([row("y")]));
    target.delete(path).await.expect(204);
    target.get(path).await.refused(404, "Object Not Found", "Not Found");
    assert_eq!(target.get("topic-permissions").await.json(), json!([]));
}
