//! Rights: given over HTTP, demanded over AMQP and HTTP (chapter 8.3).

use lapin::{
    BasicProperties, Channel, Connection, ExchangeKind,
    options::*,
    types::{AMQPValue, FieldTable},
};
use serde_json::json;

use crate::http::{Target, eventually};

const USER: (&str, &str) = ("u", "p");

async fn with_user(rights: &str) -> Target {
    let target = Target::start().await;
    target.put("users/u", r#"{"password":"p","tags":"management"}"#).await.expect(201);
    target.put("permissions/%2F/u", rights).await.expect(201);
    target
}

/// The text of the error that an operation closes its channel with.
macro_rules! refusal {
    ($connection:expr, |$channel:ident| $operation:expr) => {{
        let $channel: Channel = $connection.create_channel().await.unwrap();
        match $operation.await {
            Ok(_) => panic!("allowed: {}", stringify!($operation)),
            Err(error) => error.to_string(),
        }
    }};
}

fn names(refusal: &str, right: &str, kind: &str, name: &str) {
    let text =
        format!("ACCESS_REFUSED - {right} access to {kind} '{name}' in vhost '/' refused for user 'u'");
    assert!(refusal.contains(&text), "{refusal:?} is not {text:?}");
}

fn argument(name: &str, value: &str) -> FieldTable {
    let mut table = FieldTable::default();
    table.insert(name.into(), AMQPValue::LongString(value.into()));
    table
}

async fn connect(target: &Target) -> Connection {
    target.connect(USER, "%2f").await.unwrap()
}

#[tokio::test]
async fn con_53_without_a_row_there_is_no_way_in() {
    let target = Target::start().await;
    target.put("users/u", r#"{"password":"p","tags":""}"#).await.expect(201);
    let refused = target.connect(USER, "%2f").await.unwrap_err();
    assert!(refused.contains("NOT_ALLOWED - access to vhost '/' refused for user 'u'"), "{refused}");
}

#[tokio::test]
async fn prm_01_to_09_and_14_exc_09_exc_26_each_operation_asks_for_its_rights() {
    let target = with_user(r#"{"configure":"^c","write":"^w","read":"^r"}"#).await;
    for queue in ["c", "w", "r", "x"] {
        target.put(&format!("queues/%2F/{queue}"), "{}").await.expect(201);
        target.put(&format!("exchanges/%2F/{queue}"), "{}").await.expect(201);
    }
    let connection = connect(&target).await;
    let (table, empty) = (FieldTable::default, BasicProperties::default());
    let declare_exchange = ExchangeDeclareOptions::default();

    let text = refusal!(connection, |ch| ch.exchange_declare(
        "x".into(),
        ExchangeKind::Direct,
        declare_exchange,
        table()
    ));
    names(&text, "configure", "exchange", "x");
    let alternate = argument("alternate-exchange", "x");
    let text = refusal!(connection, |ch| ch.exchange_declare(
        "cr".into(),
        ExchangeKind::Direct,
        declare_exchange,
        alternate
    ));
    names(&text, "read", "exchange", "cr");
    let text = refusal!(connection, |ch| ch.exchange_delete("none".into(), ExchangeDeleteOptions::default()));
    names(&text, "configure", "exchange", "none");
    let text =
        refusal!(connection, |ch| ch.queue_declare("x".into(), QueueDeclareOptions::default(), table()));
    names(&text, "configure", "queue", "x");
    let dead = argument("x-dead-letter-exchange", "x");
    let text = refusal!(connection, |ch| ch.queue_declare("c2".into(), QueueDeclareOptions::default(), dead));
    names(&text, "read", "queue", "c2");
    let text = refusal!(connection, |ch| ch.queue_delete("none".into(), QueueDeleteOptions::default()));
    names(&text, "configure", "queue", "none");
    let passive = QueueDeclareOptions { passive: true, ..Default::default() };
    let text = refusal!(connection, |ch| ch.queue_declare("none".into(), passive, table()));
    names(&text, "configure", "queue", "none");
    let text = refusal!(connection, |ch| ch.queue_bind(
        "r".into(),
        "r".into(),
        "".into(),
        QueueBindOptions::default(),
        table()
    ));
    names(&text, "write", "queue", "r");
    let text = refusal!(connection, |ch| ch.queue_bind(
        "w".into(),
        "w".into(),
        "".into(),
        QueueBindOptions::default(),
        table()
    ));
    names(&text, "read", "exchange", "w");
    let text = refusal!(connection, |ch| ch.exchange_bind(
        "r".into(),
        "r".into(),
        "".into(),
        ExchangeBindOptions::default(),
        table()
    ));
    names(&text, "write", "exchange", "r");
    let text = refusal!(connection, |ch| ch.basic_get("w".into(), BasicGetOptions::default()));
    names(&text, "read", "queue", "w");
    let text = refusal!(connection, |ch| ch.queue_purge("w".into(), QueuePurgeOptions::default()));
    names(&text, "read", "queue", "w");
    let text = refusal!(connection, |ch| ch.basic_consume(
        "w".into(),
        "".into(),
        BasicConsumeOptions::default(),
        table()
    ));
    names(&text, "read", "queue", "w");

    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let publish =
        channel.basic_publish("".into(), "w".into(), BasicPublishOptions::default(), b"", empty.clone());
    let refused = publish.await.unwrap().await.unwrap_err().to_string();
    names(&refused, "write", "exchange", "amq.default");

    // What the rights are for works.
    let channel = connection.create_channel().await.unwrap();
    channel.queue_declare("c3".into(), QueueDeclareOptions::default(), table()).await.unwrap();
    channel
        .queue_bind("w".into(), "r".into(), "".into(), QueueBindOptions::default(), table())
        .await
        .unwrap();
    channel.queue_declare("r".into(), passive, table()).await.unwrap();
    channel.basic_get("r".into(), BasicGetOptions::default()).await.unwrap();
}

#[tokio::test]
async fn prm_10_and_11_direct_replies_and_settlements_need_no_rights() {
    let target = with_user(r#"{"configure":"","write":"","read":""}"#).await;
    let connection = connect(&target).await;
    let channel = connection.create_channel().await.unwrap();
    let (name, options) =
        ("amq.rabbitmq.reply-to", BasicConsumeOptions { no_ack: true, ..Default::default() });
    channel.basic_consume(name.into(), "".into(), options, FieldTable::default()).await.unwrap();
    let declare = channel.queue_declare(name.into(), QueueDeclareOptions::default(), FieldTable::default());
    declare.await.unwrap();
    channel.basic_qos(5, BasicQosOptions::default()).await.unwrap();
    channel.basic_recover(BasicRecoverOptions { requeue: true }).await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel.tx_select().await.unwrap();
    channel.tx_commit().await.unwrap();
}

#[tokio::test]
async fn prm_12_and_13_refusals_come_in_order_and_hide_what_exists() {
    let target = with_user(r#"{"configure":"","write":"^w","read":"^r"}"#).await;
    let connection = connect(&target).await;
    let table = FieldTable::default;
    let options = QueueBindOptions::default;
    let text =
        refusal!(connection, |ch| ch.queue_bind("x".into(), "x".into(), "".into(), options(), table()));
    names(&text, "write", "queue", "x");
    let text = refusal!(connection, |ch| ch.queue_bind("w".into(), "".into(), "".into(), options(), table()));
    assert!(text.contains("ACCESS_REFUSED - operation not permitted on the default exchange"), "{text}");
    let text =
        refusal!(connection, |ch| ch.queue_bind("w".into(), "x".into(), "".into(), options(), table()));
    names(&text, "read", "exchange", "x");
    let text =
        refusal!(connection, |ch| ch.queue_bind("w".into(), "r".into(), "".into(), options(), table()));
    assert!(text.contains("NOT_FOUND - no exchange 'r' in vhost '/'"), "{text}");
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
    let publish = channel.basic_publish("none".into(), "".into(), options, b"", properties);
    let refused = publish.await.unwrap().await.unwrap_err().to_string();
    names(&refused, "write", "exchange", "none");
}

#[tokio::test]
async fn prm_15_a_consumer_outlives_its_right() {
    let target = with_user(r#"{"configure":".*","write":".*","read":".*"}"#).await;
    target.put("queues/%2F/q", "{}").await.expect(201);
    let connection = connect(&target).await;
    let channel = connection.create_channel().await.unwrap();
    let (options, table) = (BasicConsumeOptions::default(), FieldTable::default());
    let mut consumer = channel.basic_consume("q".into(), "".into(), options, table).await.unwrap();
    target.put("permissions/%2F/u", r#"{"configure":"","write":"","read":""}"#).await.expect(204);
    let body = r#"{"properties":{},"routing_key":"q","payload":"still","payload_encoding":"string"}"#;
    target.post("exchanges/%2F/amq.default/publish", body).await.expect(200);
    let delivery = futures_lite::StreamExt::next(&mut consumer).await.unwrap().unwrap();
    assert_eq!(delivery.data, b"still");
}

#[tokio::test]
async fn usr_01_a_first_start_has_guest_and_one_vhost() {
    let target = Target::start().await;
    let users = target.get("users").await.json();
    assert_eq!((users.as_array().unwrap().len(), &users[0]["name"]), (1, &json!("guest")));
    assert_eq!(users[0]["tags"], json!(["administrator"]));
    let row = json!({ "user": "guest", "vhost": "/", "configure": ".*", "write": ".*", "read": ".*" });
    assert_eq!(target.get("permissions").await.json(), json!([row]));
}

#[tokio::test]
async fn usr_02_tags_give_no_rights_over_amqp() {
    let target = Target::start().await;
    target.put("users/u", r#"{"password":"p","tags":"administrator"}"#).await.expect(201);
    let refused = target.connect(USER, "%2f").await.unwrap_err();
    assert!(refused.contains("NOT_ALLOWED - access to vhost '/' refused for user 'u'"), "{refused}");
    target.request(USER, "GET", "users", &[], "").await.expect(200);
}

#[tokio::test]
async fn prm_08_a_right_that_is_taken_away_stops_a_publisher_that_used_it() {
    let target = with_user(r#"{"configure":".*","write":".*","read":".*"}"#).await;
    let connection = connect(&target).await;
    let channel = connection.create_channel().await.unwrap();
    channel.queue_declare("q".into(), QueueDeclareOptions::default(), FieldTable::default()).await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let publish = async || {
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        channel.basic_publish("".into(), "q".into(), options, b"", properties).await?.await
    };
    publish().await.unwrap();
    publish().await.unwrap();
    target.put("permissions/%2F/u", r#"{"configure":"","write":"","read":""}"#).await.expect(204);
    let refused = publish().await.unwrap_err().to_string();
    names(&refused, "write", "exchange", "amq.default");
    assert_eq!(target.get("queues/%2F/q").await.json()["messages"], 2);
}

#[tokio::test]
async fn rows_are_checked_listed_and_deleted() {
    let target = with_user(r#"{"configure":".*","write":"^w","read":""}"#).await;
    let row = json!({ "user": "u", "vhost": "/", "configure": ".*", "write": "^w", "read": "" });
    assert_eq!(target.get("permissions/%2F/u").await.expect(200).json(), row);
    assert_eq!(target.get("users/u/permissions").await.json(), json!([row]));
    assert_eq!(target.get("vhosts/%2F/permissions").await.json().as_array().unwrap().len(), 2);
    let missing = target.put("permissions/%2F/u", r#"{"configure":""}"#).await;
    missing.refused(400, "bad_request", "[{key_missing,write},{key_missing,read}]");
    let full = r#"{"configure":"","write":"","read":""}"#;
    target.put("permissions/%2F/none", full).await.refused(400, "bad_request", "vhost_or_user_not_found");
    target.put("permissions/none/u", full).await.refused(400, "bad_request", "vhost_or_user_not_found");
    target.put("permissions/%2F/u", r#"{"configure":"(","write":"","read":""}"#).await.expect(400);
    target.delete("permissions/%2F/u").await.expect(204);
    target.delete("permissions/%2F/u").await.refused(404, "Object Not Found", "Not Found");
}

#[tokio::test]
async fn http_asks_for_the_same_rights() {
    let target = with_user(r#"{"configure":"^c","write":"^w","read":"^r"}"#).await;
    for queue in ["c", "w", "r"] {
        target.put(&format!("queues/%2F/{queue}"), "{}").await.expect(201);
    }
    let ask =
        async |method: &str, path: &str, body: &str| target.request(USER, method, path, &[], body).await;
    let denied = |reply: crate::http::Reply| reply.refused(401, "not_authorised", "Access refused.");
    denied(ask("PUT", "queues/%2F/x", "{}").await);
    denied(ask("DELETE", "queues/%2F/w", "").await);
    denied(ask("PUT", "exchanges/%2F/x", "{}").await);
    denied(ask("POST", "bindings/%2F/e/amq.direct/q/w", "{}").await);
    denied(ask("DELETE", "queues/%2F/w/contents", "").await);
    let get = r#"{"count":1,"ackmode":"ack_requeue_true","encoding":"auto"}"#;
    denied(ask("POST", "queues/%2F/w/get", get).await);
    ask("POST", "queues/%2F/r/get", get).await.expect(200);
    let publish = r#"{"properties":{},"routing_key":"w","payload":"","payload_encoding":"string"}"#;
    let refused = ask("POST", "exchanges/%2F/amq.default/publish", publish).await.expect(400).json();
    assert!(refused["reason"].as_str().unwrap().starts_with("403 ACCESS_REFUSED"), "{refused}");
    ask("PUT", "queues/%2F/c2", "{}").await.expect(201);
}

#[tokio::test]
async fn a_deleted_user_is_disconnected() {
    let target = with_user(r#"{"configure":"","write":"","read":""}"#).await;
    let connection = connect(&target).await;
    target.delete("users/u").await.expect(204);
    eventually("the end of the connection", || async { !connection.status().connected() }).await;
    assert!(target.connect(USER, "%2f").await.is_err());
}
