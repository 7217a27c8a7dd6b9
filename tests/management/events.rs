//! The event exchange (EXC-08): routing keys and headers are those that RabbitMQ's plugin gives.

use lapin::{
    BasicProperties, ExchangeKind,
    options::*,
    types::{AMQPValue, FieldTable},
};
use serde_json::json;

use crate::{
    http::{GUEST, Target},
    tap::{Heard, Tap, assert_has},
};

const EVENTS: &str = "amq.rabbitmq.event";

async fn tap(target: &Target) -> Tap {
    Tap::on(target, "%2f", EVENTS, "#").await
}

fn is_event(heard: &Heard) {
    let at = heard.headers["timestamp_in_ms"].as_u64().expect("when it was");
    assert_eq!((heard.timestamp, heard.delivery_mode), (Some(at / 1000), Some(2)));
    assert!(heard.body.is_empty());
}

#[tokio::test]
async fn exc_08_what_clients_do_is_told_in_order() {
    let target = Target::start().await;
    let mut tap = tap(&target).await;
    let client = target.connect(GUEST, "%2f").await.unwrap();
    let login = tap.hear("user.authentication.success").await;
    is_event(&login);
    assert_has(
        &login.headers,
        json!({ "name": "guest", "auth_mechanism": "PLAIN", "ssl": false, "connection_type": "network", "peer_host": "{127,0,0,1}" }),
    );
    let opened = tap.hear("connection.created").await.headers;
    assert_has(
        &opened,
        json!({ "user": "guest", "vhost": "/", "user_provided_name": "the test", "protocol": "{0,9,1}", "type": "network" }),
    );
    let channel = client.create_channel().await.unwrap();
    let created = tap.hear("channel.created").await.headers;
    assert_has(&created, json!({ "number": 1, "connection": opened["pid"], "user": "guest", "vhost": "/" }));
    assert_eq!(created["name"], format!("{} (1)", opened["name"].as_str().unwrap()));

    let auto_delete = ExchangeDeclareOptions { auto_delete: true, ..Default::default() };
    channel
        .exchange_declare("x".into(), ExchangeKind::Topic, auto_delete, FieldTable::default())
        .await
        .unwrap();
    let exchange = tap.hear("exchange.created").await.headers;
    assert_has(
        &exchange,
        json!({ "name": "x", "type": "topic", "auto_delete": true, "internal": false, "durable": false, "vhost": "/",
                "arguments": [], "user_who_performed_action": "guest" }),
    );
    let mut arguments = FieldTable::default();
    arguments.insert("x-message-ttl".into(), AMQPValue::LongInt(5000));
    let durable = QueueDeclareOptions { durable: true, ..Default::default() };
    channel.queue_declare("q".into(), durable, arguments).await.unwrap();
    let queue = tap.hear("queue.created").await.headers;
    assert_has(
        &queue,
        json!({ "name": "q", "durable": true, "auto_delete": false, "exclusive": false, "owner_pid": "",
                "arguments": [r#"{<<"x-message-ttl">>,signedint,5000}"#], "user_who_performed_action": "guest" }),
    );
    let none = FieldTable::default;
    channel
        .queue_bind("q".into(), "x".into(), "a.*".into(), QueueBindOptions::default(), none())
        .await
        .unwrap();
    let binding = json!({ "source_name": "x", "source_kind": "exchange", "destination_name": "q",
        "destination_kind": "queue", "routing_key": "a.*", "arguments": [], "vhost": "/" });
    assert_has(&tap.hear("binding.created").await.headers, binding.clone());
    channel.basic_consume("q".into(), "c".into(), BasicConsumeOptions::default(), none()).await.unwrap();
    let consumer = tap.hear("consumer.created").await.headers;
    assert_has(
        &consumer,
        json!({ "consumer_tag": "c", "queue": "q", "vhost": "/", "channel": created["pid"], "exclusive": false,
                "ack_required": true, "prefetch_count": 0, "arguments": [] }),
    );
    channel.basic_cancel("c".into(), BasicCancelOptions::default()).await.unwrap();
    assert_has(
        &tap.hear("consumer.deleted").await.headers,
        json!({ "consumer_tag": "c", "queue": "q", "channel": created["pid"] }),
    );
    channel.queue_delete("q".into(), QueueDeleteOptions::default()).await.unwrap();
    // The exchange goes with its last binding, the binding with its queue.
    let unbound = tap.hear("binding.deleted").await.headers;
    assert_has(&unbound, binding);
    assert_eq!(unbound["user_who_performed_action"], "rmq-internal");
    assert_has(
        &tap.next().await.headers,
        json!({ "name": "q", "vhost": "/", "user_who_performed_action": "guest" }),
    );
    assert_has(&tap.hear("exchange.deleted").await.headers, json!({ "name": "x" }));
    channel.close(200, "bye".into()).await.unwrap();
    assert_has(&tap.hear("channel.closed").await.headers, json!({ "pid": created["pid"] }));
    client.close(200, "bye".into()).await.unwrap();
    assert_has(
        &tap.hear("connection.closed").await.headers,
        json!({ "pid": opened["pid"], "name": opened["name"] }),
    );
}

#[tokio::test]
async fn exc_08_what_operators_do_is_told_with_their_names() {
    let target = Target::start().await;
    let mut tap = tap(&target).await;
    let by_guest =
        |heard: &Heard| assert_eq!(heard.headers["user_who_performed_action"], "guest", "{heard:?}");
    for (method, path, body, told) in [
        (
            "PUT",
            "vhosts/v",
            r#"{"description":"d","tags":"a"}"#,
            &[
                ("exchange.created", json!({ "vhost": "v", "name": "" })),
                (
                    "vhost.created",
                    json!({ "name": "v", "description": "d", "tags": ["a"], "tracing": false }),
                ),
                ("permission.created", json!({ "user": "guest", "vhost": "v", "configure": ".*" })),
            ][..],
        ),
        (
            "PUT",
            "users/u",
            r#"{"password":"p","tags":"monitoring"}"#,
            &[
                ("user.created", json!({ "name": "u" })),
                ("user.tags.set", json!({ "name": "u", "tags": ["monitoring"] })),
            ],
        ),
        (
            "PUT",
            "users/u",
            r#"{"password":"other","tags":""}"#,
            &[("user.password.changed", json!({ "name": "u" })), ("user.tags.set", json!({ "tags": [] }))],
        ),
        (
            "PUT",
            "users/u",
            r#"{"password_hash":"","tags":""}"#,
            &[("user.password.cleared", json!({ "name": "u" }))],
        ),
        (
            "PUT",
            "permissions/v/u",
            r#"{"configure":"a","write":"b","read":"c"}"#,
            &[(
                "permission.created",
                json!({ "user": "u", "vhost": "v", "configure": "a", "write": "b", "read": "c" }),
            )],
        ),
        (
            "PUT",
            "topic-permissions/v/u",
            r#"{"exchange":"amq.topic","write":"b","read":"c"}"#,
            &[(
                "topic.permission.created",
                json!({ "user": "u", "exchange": "amq.topic", "write": "b", "read": "c" }),
            )],
        ),
        (
            "DELETE",
            "topic-permissions/v/u",
            "",
            &[("topic.permission.deleted", json!({ "user": "u", "vhost": "v" }))],
        ),
        ("DELETE", "permissions/v/u", "", &[("permission.deleted", json!({ "user": "u", "vhost": "v" }))]),
        (
            "PUT",
            "policies/v/p",
            r#"{"pattern":"^x","definition":{"max-length":5},"priority":3,"apply-to":"queues"}"#,
            &[(
                "policy.set",
                json!({ "name": "p", "vhost": "v", "pattern": "^x", "priority": 3, "apply-to": "queues", "definition": { "max-length": 5 } }),
            )],
        ),
        ("DELETE", "policies/v/p", "", &[("policy.cleared", json!({ "name": "p", "vhost": "v" }))]),
        (
            "PUT",
            "operator-policies/v/p",
            r#"{"pattern":"^x","definition":{"max-length":5},"apply-to":"queues"}"#,
            &[
                ("parameter.set", json!({ "component": "operator_policy", "name": "p" })),
                ("policy.set", json!({ "name": "p" })),
            ],
        ),
        (
            "DELETE",
            "operator-policies/v/p",
            "",
            &[
                ("parameter.cleared", json!({ "component": "operator_policy" })),
                ("operator.policy.cleared", json!({ "name": "p" })),
            ],
        ),
        (
            "PUT",
            "vhost-limits/v/max-queues",
            r#"{"value":5}"#,
            &[
                ("parameter.set", json!({ "component": "vhost-limits", "value": { "max-queues": 5 } })),
                ("vhost.limits.set", json!({ "max-queues": 5 })),
            ],
        ),
        (
            "PUT",
            "user-limits/u/max-channels",
            r#"{"value":5}"#,
            &[("user.limits.set", json!({ "username": "u", "max-channels": 5 }))],
        ),
        ("DELETE", "user-limits/u/max-channels", "", &[("user.limits.cleared", json!({ "username": "u" }))]),
        (
            "PUT",
            "global-parameters/g",
            r#"{"value":{"a":1}}"#,
            &[("parameter.set", json!({ "component": "global", "name": "g", "value": { "a": 1 } }))],
        ),
        ("PUT", "queues/v/q", "{}", &[("queue.created", json!({ "name": "q", "vhost": "v" }))]),
        ("DELETE", "queues/v/q", "", &[("queue.deleted", json!({ "name": "q", "vhost": "v" }))]),
        ("DELETE", "users/u", "", &[("user.deleted", json!({ "name": "u" }))]),
        ("DELETE", "vhosts/v", "", &[("vhost.deleted", json!({ "name": "v" }))]),
    ] {
        let reply = target.request(GUEST, method, path, &[], body).await;
        assert!(reply.status < 300, "{method} {path}: {reply:?}");
        for (key, headers) in told {
            let heard = tap.hear(key).await;
            is_event(&heard);
            by_guest(&heard);
            assert_has(&heard.headers, headers.clone());
        }
    }
}

#[tokio::test]
async fn exc_08_refused_logins_and_alarms_are_told() {
    let target = Target::start().await;
    let mut tap = tap(&target).await;
    target.connect(("mallory", "guess"), "%2f").await.unwrap_err();
    let refused = tap.hear("user.authentication.failure").await.headers;
    assert_has(&refused, json!({ "name": "mallory", "error": "user 'mallory' - invalid credentials" }));
    target.broker.set_memory_limit(0);
    assert_has(&tap.hear("alarm.set").await.headers, json!({ "source": "memory" }));
    target.broker.set_memory_limit(1 << 30);
    assert_has(&tap.hear("alarm.cleared").await.headers, json!({ "source": "memory" }));
}

#[tokio::test]
async fn exc_08_the_exchange_is_the_brokers_own_and_in_one_vhost() {
    let target = Target::start().await;
    let exchange = target.get("exchanges/%2F/amq.rabbitmq.event").await.expect(200).json();
    assert_has(
        &exchange,
        json!({ "type": "topic", "durable": true, "internal": true, "auto_delete": false }),
    );
    target.put("vhosts/other", "{}").await.expect(201);
    target.get("exchanges/other/amq.rabbitmq.event").await.expect(404);
    let client = target.connect(GUEST, "%2f").await.unwrap();
    let channel = client.create_channel().await.unwrap();
    let sent = channel
        .basic_publish(
            EVENTS.into(),
            "queue.created".into(),
            BasicPublishOptions::default(),
            b"",
            BasicProperties::default(),
        )
        .await;
    // The refusal comes with the next answer at the latest.
    let refused = match sent {
        Ok(_) => channel.basic_qos(1, BasicQosOptions::default()).await.unwrap_err(),
        Err(refused) => refused,
    };
    assert!(
        refused.to_string().contains("403") || refused.to_string().contains("ACCESS_REFUSED"),
        "{refused}"
    );
}

#[tokio::test]
async fn exc_08_a_durable_queue_hears_again_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let target = Target::on_disk(directory.path().to_owned()).await;
    target.put("queues/%2F/audit", r#"{"durable":true}"#).await.expect(201);
    let key = r#"{"routing_key":"vhost.*"}"#;
    target.post("bindings/%2F/e/amq.rabbitmq.event/q/audit", key).await.expect(201);
    target.broker.shutdown().await;
    let target = Target::on_disk(directory.path().to_owned()).await;
    target.put("vhosts/new", "{}").await.expect(201);
    let get = r#"{"count":1,"ackmode":"ack_requeue_false","encoding":"auto"}"#;
    crate::http::eventually("the event is in the queue", || async {
        target.get("queues/%2F/audit").await.json()["messages_ready"] == 1
    })
    .await;
    let event = target.post("queues/%2F/audit/get", get).await.expect(200).json();
    assert_eq!((&event[0]["routing_key"], &event[0]["payload_bytes"]), (&json!("vhost.created"), &json!(0)));
    assert_eq!(event[0]["properties"]["headers"]["name"], "new");
}
