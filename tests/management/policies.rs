//! Policies and operator policies: set over HTTP, felt over AMQP at once (chapter 8.1).

use lapin::{
    BasicProperties, Channel,
    options::*,
    types::{AMQPValue, FieldTable},
};
use serde_json::{Value, json};

use crate::http::{GUEST, Target, eventually};

async fn channel(target: &Target) -> Channel {
    let connection = target.connect(GUEST, "%2f").await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    channel
}

async fn declare(channel: &Channel, name: &str, pairs: &[(&str, AMQPValue)]) {
    let mut table = FieldTable::default();
    for (key, value) in pairs {
        table.insert((*key).into(), value.clone());
    }
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(name.into(), options, table).await.unwrap();
}

/// Publishes to a queue; whether it was taken.
async fn publish(channel: &Channel, queue: &str, body: &[u8]) -> bool {
    let options = BasicPublishOptions::default();
    let confirm = channel.basic_publish("".into(), queue.into(), options, body, BasicProperties::default());
    confirm.await.unwrap().await.unwrap().is_ack()
}

/// The bodies in a queue, in order, all taken.
async fn drain(channel: &Channel, queue: &str) -> Vec<String> {
    let mut bodies = Vec::new();
    let options = BasicGetOptions { no_ack: true };
    while let Some(message) = channel.basic_get(queue.into(), options).await.unwrap() {
        bodies.push(String::from_utf8(message.delivery.data).unwrap());
    }
    bodies
}

async fn set(target: &Target, kind: &str, name: &str, body: Value) {
    let reply = target.put(&format!("{kind}/%2F/{name}"), &body.to_string()).await;
    assert!(matches!(reply.status, 201 | 204), "{reply:?}");
}

fn policy(pattern: &str, definition: Value) -> Value {
    json!({ "pattern": pattern, "definition": definition })
}

async fn count(target: &Target, queue: &str) -> Value {
    target.get(&format!("queues/%2F/{queue}")).await.expect(200).json()["messages"].clone()
}

#[tokio::test]
async fn pol_01_policies_are_set_shown_and_cleared() {
    let target = Target::start().await;
    let body = r#"{"pattern":"^a","definition":{"max-length":5}}"#;
    target.put("policies/%2F/p", body).await.expect(201);
    target.put("policies/%2F/p", body).await.expect(204);
    let shown = json!({
        "vhost": "/", "name": "p", "pattern": "^a", "apply-to": "all", "definition": { "max-length": 5 }, "priority": 0,
    });
    assert_eq!(target.get("policies/%2F/p").await.expect(200).json(), shown);
    assert_eq!(target.get("policies/%2F").await.json(), json!([shown]));
    assert_eq!(target.get("policies").await.json(), json!([shown]));
    assert_eq!(target.get("operator-policies").await.json(), json!([]));
    target.get("policies/%2F/none").await.refused(404, "Object Not Found", "Not Found");
    target.get("policies/none").await.refused(404, "Object Not Found", "Not Found");
    target.put("policies/none/p", body).await.refused(404, "not_found", "vhost_not_found");
    target.delete("policies/%2F/p").await.expect(204);
    target.delete("policies/%2F/p").await.refused(404, "Object Not Found", "Not Found");
    let missing = target.put("policies/%2F/p", "{}").await;
    missing.refused(400, "bad_request", "[{key_missing,pattern},{key_missing,definition}]");
}

#[tokio::test]
async fn pol_06_what_is_wrong_with_a_policy_is_said_in_rabbitmqs_words() {
    let target = Target::start().await;
    for (kind, definition, reason) in [
        ("policies", json!({}), "no policy provided"),
        ("policies", json!({ "max-length": "5" }), "&lt;&lt;\"5\"&gt;&gt; is not a valid maximum length"),
        ("operator-policies", json!({ "max-length": "x" }), "<<\"x\">> is not a valid maximum length"),
        (
            "operator-policies",
            json!({ "bogus": 2 }),
            "[{<<\"bogus\">>,2}] are not recognised policy settings",
        ),
    ] {
        let reply = target.put(&format!("{kind}/%2F/p"), &policy("x", definition).to_string()).await;
        reply.refused(400, "bad_request", &format!("Validation failed\n\n{reason}\n"));
    }
    let pattern = policy("(", json!({ "max-length": 1 }));
    target.put("policies/%2F/p", &pattern.to_string()).await.refused(
        400,
        "bad_request",
        "Validation failed\n\npattern should be regular expression but is invalid: {\"missing )\",1}\n",
    );
    assert_eq!(target.get("policies").await.json(), json!([]));
}

#[tokio::test]
async fn pol_07_pri_05_what_a_queue_is_for_its_life_is_in_no_policy() {
    let target = Target::start().await;
    for key in ["max-priority", "queue-type", "durable", "exclusive", "single-active-consumer"] {
        let body = policy("x", json!({ key: 2 })).to_string();
        let reason = format!(
            "Validation failed\n\n[{{&lt;&lt;\"{key}\"&gt;&gt;,2}}] are not recognised policy settings\n"
        );
        target.put("policies/%2F/p", &body).await.refused(400, "bad_request", &reason);
    }
    let channel = channel(&target).await;
    declare(&channel, "q", &[("x-max-priority", AMQPValue::LongInt(2))]).await;
    let connection = target.connect(GUEST, "%2f").await.unwrap();
    let other = connection.create_channel().await.unwrap();
    let mut three = FieldTable::default();
    three.insert("x-max-priority".into(), AMQPValue::LongInt(3));
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    let refused = other.queue_declare("q".into(), options, three).await.unwrap_err().to_string();
    let text =
        "inequivalent arg 'x-max-priority' for queue 'q' in vhost '/': received '3' but current is '2'";
    assert!(refused.contains(text), "{refused}");
}

#[tokio::test]
async fn qq_11_returns_wait_by_a_policy() {
    let target = Target::start().await;
    let channel = channel(&target).await;
    declare(&channel, "q", &[("x-queue-type", AMQPValue::LongString("quorum".into()))]).await;
    let patient = json!({ "delayed-retry-type": "all", "delayed-retry-min": 3_600_000, "delayed-retry-max": 7_200_000 });
    set(&target, "policies", "p", policy("^q", patient)).await;
    assert!(publish(&channel, "q", b"1").await);
    let message = channel.basic_get("q".into(), BasicGetOptions::default()).await.unwrap().unwrap();
    message.delivery.acker.reject(BasicRejectOptions { requeue: true }).await.unwrap();
    assert_eq!(drain(&channel, "q").await, Vec::<String>::new());
    let shown = target.get("queues/%2F/q").await.expect(200).json();
    assert_eq!((&shown["messages_ready"], &shown["messages_delayed"]), (&json!(0), &json!(1)));
    target.delete("policies/%2F/p").await.expect(204);
    assert!(publish(&channel, "q", b"2").await);
    assert_eq!(drain(&channel, "q").await, ["2"], "what waits goes on waiting");
}

#[tokio::test]
async fn pol_02_the_highest_priority_that_matches_applies_alone() {
    let target = Target::start().await;
    let channel = channel(&target).await;
    declare(&channel, "xc", &[]).await;
    declare(&channel, "xq", &[("x-queue-type", AMQPValue::LongString("quorum".into()))]).await;
    for (name, definition, priority) in [
        ("a", json!({ "max-length": 1, "dead-letter-strategy": "at-most-once" }), 5),
        ("b", json!({ "max-length": 2, "expires": 60_000 }), 4),
        ("c", json!({ "max-length": 3, "queue-mode": "lazy" }), 6),
        ("d", json!({ "max-age": "1D" }), 7),
    ] {
        let body = json!({ "pattern": "^x", "definition": definition, "priority": priority });
        set(&target, "policies", name, body).await;
    }
    let shown = async |queue: &str| {
        let queue = target.get(&format!("queues/%2F/{queue}")).await.json();
        (queue["policy"].clone(), queue["effective_policy_definition"].clone())
    };
    assert_eq!(shown("xc").await, (json!("c"), json!({ "max-length": 3, "queue-mode": "lazy" })));
    assert_eq!(
        shown("xq").await,
        (json!("a"), json!({ "max-length": 1, "dead-letter-strategy": "at-most-once" }))
    );
    target.delete("policies/%2F/c").await.expect(204);
    assert_eq!(shown("xc").await, (json!("b"), json!({ "max-length": 2, "expires": 60_000 })));
    // What is declared later goes by them, too.
    declare(&channel, "xlater", &[]).await;
    assert_eq!(shown("xlater").await.0, json!("b"));
    declare(&channel, "other", &[]).await;
    assert_eq!(shown("other").await, (Value::Null, json!({})));
}

#[tokio::test]
async fn pol_03_and_len_09_a_length_limit_takes_effect_at_once() {
    let target = Target::start().await;
    let channel = channel(&target).await;
    declare(&channel, "q", &[]).await;
    for body in ["1", "2", "3", "4"] {
        publish(&channel, "q", body.as_bytes()).await;
    }
    set(&target, "policies", "p", policy("^q$", json!({ "max-length": 2 }))).await;
    assert_eq!(count(&target, "q").await, 2);
    publish(&channel, "q", b"5").await;
    assert_eq!(drain(&channel, "q").await, ["4", "5"]);
    target.delete("policies/%2F/p").await.expect(204);
    for body in ["6", "7", "8"] {
        publish(&channel, "q", body.as_bytes()).await;
    }
    assert_eq!(drain(&channel, "q").await, ["6", "7", "8"]);
}

#[tokio::test]
async fn pol_12_refusing_publishes_begins_and_ends_with_its_policy() {
    let target = Target::start().await;
    let channel = channel(&target).await;
    declare(&channel, "q", &[]).await;
    assert!(publish(&channel, "q", b"1").await);
    let refuse = json!({ "max-length": 1, "overflow": "reject-publish" });
    set(&target, "policies", "p", policy("^q$", refuse)).await;
    assert!(!publish(&channel, "q", b"2").await);
    target.delete("policies/%2F/p").await.expect(204);
    assert!(publish(&channel, "q", b"3").await);
    assert_eq!(drain(&channel, "q").await, ["1", "3"]);
}

#[tokio::test]
async fn pol_10_dlx_03_dead_letters_go_where_the_policy_says_unless_the_queue_does() {
    let target = Target::start().await;
    let channel = channel(&target).await;
    for queue in ["dead", "own", "morgue"] {
        declare(&channel, queue, &[]).await;
    }
    declare(&channel, "q1", &[]).await;
    let own = [
        ("x-dead-letter-exchange", AMQPValue::LongString("".into())),
        ("x-dead-letter-routing-key", AMQPValue::LongString("own".into())),
    ];
    declare(&channel, "q2", &own).await;
    let dead =
        |key: &str| json!({ "dead-letter-exchange": "", "dead-letter-routing-key": key, "max-length": 0 });
    set(&target, "policies", "p", policy("^q", dead("dead"))).await;
    publish(&channel, "q1", b"1").await;
    publish(&channel, "q2", b"2").await;
    set(&target, "policies", "p", policy("^q", dead("morgue"))).await;
    publish(&channel, "q1", b"3").await;
    assert_eq!(drain(&channel, "dead").await, ["1"]);
    assert_eq!(drain(&channel, "own").await, ["2"]);
    assert_eq!(drain(&channel, "morgue").await, ["3"]);
    target.delete("policies/%2F/p").await.expect(204);
    publish(&channel, "q1", b"4").await;
    assert_eq!(drain(&channel, "q1").await, ["4"]);
}

#[tokio::test]
async fn pol_11_and_15_of_argument_policy_and_operators_the_least_counts() {
    let target = Target::start().await;
    let channel = channel(&target).await;
    declare(&channel, "q", &[("x-max-length", AMQPValue::LongInt(4))]).await;
    let fill = async || {
        for body in ["1", "2", "3", "4", "5"] {
            publish(&channel, "q", body.as_bytes()).await;
        }
        drain(&channel, "q").await.len()
    };
    set(&target, "policies", "p", policy("^q$", json!({ "max-length": 5 }))).await;
    assert_eq!(fill().await, 4);
    set(&target, "policies", "p", policy("^q$", json!({ "max-length": 3 }))).await;
    assert_eq!(fill().await, 3);
    set(&target, "operator-policies", "o", policy("^q$", json!({ "max-length": 2, "message-ttl": 60_000 })))
        .await;
    assert_eq!(fill().await, 2);
    let queue = target.get("queues/%2F/q").await.json();
    assert_eq!((&queue["policy"], &queue["operator_policy"]), (&json!("p"), &json!("o")));
    assert_eq!(queue["effective_policy_definition"], json!({ "max-length": 2, "message-ttl": 60_000 }));
    assert_eq!(queue["arguments"], json!({ "x-max-length": 4 }));
    // They are no argument: a redeclare as before is equivalent.
    declare(&channel, "q", &[("x-max-length", AMQPValue::LongInt(4))]).await;
    target.delete("operator-policies/%2F/o").await.expect(204);
    assert_eq!(fill().await, 3);
}

#[tokio::test]
async fn pol_03_a_queue_expires_by_a_policy() {
    let target = Target::start().await;
    let channel = channel(&target).await;
    declare(&channel, "q", &[]).await;
    set(&target, "policies", "p", policy("^q$", json!({ "expires": 1 }))).await;
    eventually("the queue expires", || async { target.get("queues/%2F/q").await.status == 404 }).await;
}

#[tokio::test]
async fn ttl_07_messages_that_come_after_a_policy_expire_by_it() {
    let target = Target::start().await;
    let channel = channel(&target).await;
    declare(&channel, "q", &[]).await;
    set(&target, "policies", "p", policy("^q$", json!({ "message-ttl": 1 }))).await;
    publish(&channel, "q", b"1").await;
    eventually("the message expires", || async { count(&target, "q").await == 0 }).await;
}

#[tokio::test]
async fn exc_20_an_alternate_exchange_by_policy_yields_to_the_argument() {
    let target = Target::start().await;
    let channel = channel(&target).await;
    for (exchange, body) in [
        ("ae1", r#"{"type":"fanout"}"#),
        ("ae2", r#"{"type":"fanout"}"#),
        ("x1", "{}"),
        ("x2", r#"{"arguments":{"alternate-exchange":"ae2"}}"#),
    ] {
        target.put(&format!("exchanges/%2F/{exchange}"), body).await.expect(201);
    }
    for (queue, exchange) in [("q1", "ae1"), ("q2", "ae2")] {
        declare(&channel, queue, &[]).await;
        let (options, table) = (QueueBindOptions::default(), FieldTable::default());
        channel.queue_bind(queue.into(), exchange.into(), "".into(), options, table).await.unwrap();
    }
    let body =
        json!({ "pattern": "^x", "definition": { "alternate-exchange": "ae1" }, "apply-to": "exchanges" });
    set(&target, "policies", "ae", body).await;
    assert_eq!(target.get("exchanges/%2F/x1").await.json()["policy"], "ae");
    target.put("exchanges/%2F/xnew", "{}").await.expect(201);
    let publish = async |exchange: &str| {
        let options = BasicPublishOptions::default();
        let confirm = channel.basic_publish(
            exchange.into(),
            "none".into(),
            options,
            exchange.as_bytes(),
            BasicProperties::default(),
        );
        confirm.await.unwrap().await.unwrap();
    };
    for exchange in ["x1", "x2", "xnew", "amq.direct"] {
        publish(exchange).await;
    }
    assert_eq!(drain(&channel, "q1").await, ["x1", "xnew"]);
    assert_eq!(drain(&channel, "q2").await, ["x2"]);
    target.delete("policies/%2F/ae").await.expect(204);
    publish("x1").await;
    assert_eq!(drain(&channel, "q1").await, [] as [&str; 0]);
    assert_eq!(target.get("exchanges/%2F/x1").await.json()["policy"], Value::Null);
}

#[tokio::test]
async fn bas_71_a_policy_shortens_the_time_for_settlements() {
    let target = Target::start().await;
    let channel = channel(&target).await;
    declare(&channel, "q", &[]).await;
    set(&target, "policies", "p", policy("^q$", json!({ "consumer-timeout": 120 }))).await;
    publish(&channel, "q", b"1").await;
    let (options, table) = (BasicConsumeOptions::default(), FieldTable::default());
    channel.basic_consume("q".into(), "".into(), options, table).await.unwrap();
    eventually("the channel closes", || async { !channel.status().connected() }).await;
    assert_eq!(count(&target, "q").await, 1);
}

#[tokio::test]
async fn pol_03_very_many_queues_change_and_nobody_waits_long() {
    let target = Target::start().await;
    let queues: Vec<_> =
        (0..20_000).map(|number| json!({ "name": format!("m{number}"), "vhost": "/" })).collect();
    target.post("definitions", &json!({ "queues": queues }).to_string()).await.expect(204);
    for definition in [json!({ "max-length": 5 }), json!({ "max-length": 6, "expires": 3_600_000 })] {
        set(&target, "policies", "p", policy("^m", definition.clone())).await;
        for queue in ["m0", "m777", "m19999"] {
            let shown = target.get(&format!("queues/%2F/{queue}")).await.json();
            assert_eq!(shown["effective_policy_definition"], definition);
        }
    }
    target.delete("policies/%2F/p").await.expect(204);
    assert_eq!(target.get("queues/%2F/m1234").await.json()["policy"], Value::Null);
}

/// What is set while queues come and go holds for all of them in the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pol_03_no_queue_is_missed_that_is_declared_while_policies_change() {
    let target = std::sync::Arc::new(Target::start().await);
    let declares = {
        let target = target.clone();
        tokio::spawn(async move {
            let channel = channel(&target).await;
            for number in 0..400 {
                declare(&channel, &format!("m{number}"), &[]).await;
            }
        })
    };
    for length in 1..=20 {
        set(&target, "policies", "p", policy("^m", json!({ "max-length": length }))).await;
    }
    declares.await.unwrap();
    let queues = target.get("queues?columns=name,effective_policy_definition").await.json();
    let all = queues.as_array().unwrap();
    assert_eq!(all.len(), 400);
    for queue in all {
        assert_eq!(queue["effective_policy_definition"], json!({ "max-length": 20 }), "{queue}");
    }
}

#[tokio::test]
async fn policymakers_set_policies_in_vhosts_of_theirs_and_operators_alone_set_operators() {
    let target = Target::start().await;
    target.put("vhosts/v", "").await.expect(201);
    for (user, tags) in [("p", "policymaker"), ("m", "management")] {
        let body = format!(r#"{{"password":"p","tags":"{tags}"}}"#);
        target.put(&format!("users/{user}"), &body).await.expect(201);
        let full = r#"{"configure":".*","write":".*","read":".*"}"#;
        target.put(&format!("permissions/%2F/{user}"), full).await.expect(201);
    }
    let body = r#"{"pattern":"x","definition":{"max-length":1}}"#;
    let ask =
        async |user: &'static str, path: &str| target.request((user, "p"), "PUT", path, &[], body).await;
    ask("p", "policies/%2F/p").await.expect(201);
    let refused = |reply: crate::http::Reply, reason: &str| reply.refused(401, "not_authorised", reason);
    refused(ask("p", "policies/v/p").await, "User not authorised to access object");
    refused(ask("m", "policies/%2F/p").await, "User not authorised to access object");
    refused(ask("p", "operator-policies/%2F/p").await, "Not administrator user");
    target.request(("m", "p"), "GET", "policies/%2F", &[], "").await.expect(200);
}

#[tokio::test]
async fn rst_20_policies_are_there_after_a_restart_before_their_queues_serve() {
    let directory = tempfile::tempdir().unwrap();
    let target = Target::on_disk(directory.path().to_owned()).await;
    let channel = channel(&target).await;
    declare(&channel, "q", &[]).await;
    set(&target, "policies", "p", policy("^q$", json!({ "max-length": 1 }))).await;
    set(&target, "operator-policies", "o", policy("^q$", json!({ "expires": 3_600_000 }))).await;
    set(&target, "policies", "gone", policy("^q$", json!({ "max-length": 1 }))).await;
    target.delete("policies/%2F/gone").await.expect(204);
    let before = target.get("definitions").await.json();
    target.broker.shutdown().await;

    let target = Target::on_disk(directory.path().to_owned()).await;
    assert_eq!(target.get("definitions").await.json(), before);
    let queue = target.get("queues/%2F/q").await.json();
    assert_eq!((&queue["policy"], &queue["operator_policy"]), (&json!("p"), &json!("o")));
    let channel = self::channel(&target).await;
    publish(&channel, "q", b"1").await;
    publish(&channel, "q", b"2").await;
    assert_eq!(drain(&channel, "q").await, ["2"]);
}
