//! The management pages and what they ask this broker for alone.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::http::{GUEST, Reply, Target};

async fn page(target: &Target, path: &str) -> Reply {
    target.raw(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes()).await
}

async fn publish(target: &Target, exchange: &str, key: &str, payload: &str) {
    let message =
        json!({ "properties": {}, "routing_key": key, "payload": payload, "payload_encoding": "string" });
    let path = format!("exchanges/%2F/{exchange}/publish");
    let reply = target.post(&path, &message.to_string()).await.expect(200);
    assert_eq!(reply.json()["routed"], true);
}

/// The bodies of what is ready, in order.
async fn bodies(target: &Target, queue: &str) -> Vec<String> {
    let found = target.get(&format!("leveret/queues/%2F/{queue}/messages")).await.expect(200).json();
    let items = found["items"].as_array().unwrap();
    items.iter().map(|item| item["payload"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn every_file_that_a_page_names_is_there_and_nothing_comes_from_elsewhere() {
    let target = Target::start().await;
    let index = page(&target, "/").await.expect(200);
    assert_eq!(index.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = index.header("content-security-policy").unwrap().to_owned();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    let (mut wanted, mut seen) = (vec!["/ui/app.js".to_owned(), "/ui/style.css".to_owned()], BTreeSet::new());
    while let Some(path) = wanted.pop() {
        if !seen.insert(path.clone()) {
            continue;
        }
        assert!(index.body.contains("ui/app.js"));
        let file = page(&target, &path).await.expect(200);
        let outside = file.body.replace("http://www.w3.org/2000/svg", "");
        assert!(!outside.contains("http://") && !outside.contains("https://"), "{path}");
        assert!(!file.body.contains("innerHTML"), "{path}: data must not become markup");
        let imports = file.body.lines().filter_map(|line| line.split("from './").nth(1));
        wanted.extend(imports.map(|rest| format!("/ui/{}", rest.split('\'').next().unwrap())));
    }
    assert!(10 < seen.len(), "{seen:?}");
    page(&target, "/ui/none.js").await.expect(404);
    let posted =
        target.raw(b"POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(posted.status, 405);
}

#[tokio::test]
async fn who_has_a_page_or_the_definitions_is_told_that_nothing_changed() {
    let target = Target::start().await;
    let script = page(&target, "/ui/app.js").await.expect(200);
    let tag = script.header("etag").unwrap();
    let again =
        format!("GET /ui/app.js HTTP/1.1\r\nhost: x\r\nconnection: close\r\nif-none-match: {tag}\r\n\r\n");
    let same = target.raw(again.as_bytes()).await.expect(304);
    assert_eq!((same.body.as_str(), same.header("etag")), ("", Some(tag)));
    assert_ne!(page(&target, "/ui/dom.js").await.header("etag"), Some(tag));

    let all = target.get("definitions").await.expect(200);
    let tag = all.header("etag").unwrap();
    let asked = async || target.request(GUEST, "GET", "definitions", &[("if-none-match", tag)], "").await;
    assert_eq!(asked().await.expect(304).body, "");
    target.put("queues/%2F/new", r#"{"durable":true}"#).await.expect(201);
    let changed = asked().await.expect(200);
    assert_ne!(changed.header("etag"), Some(tag));
    assert_eq!(changed.json()["queues"][0]["name"], "new");
}

#[tokio::test]
async fn looking_at_messages_leaves_them_where_they_are() {
    let target = Target::start().await;
    target.put("queues/%2F/q", r#"{"arguments":{"x-max-priority":3}}"#).await.expect(201);
    for number in 0..25 {
        publish(&target, "amq.default", "q", &number.to_string()).await;
    }
    let page = target.get("leveret/queues/%2F/q/messages?offset=20&count=3").await.expect(200).json();
    let shown: Vec<_> =
        page["items"].as_array().unwrap().iter().map(|item| item["payload"].as_str().unwrap()).collect();
    assert_eq!((shown, &page["more"]), (vec!["20", "21", "22"], &json!(true)));
    assert_eq!(
        (&page["items"][0]["position"], &page["items"][0]["redelivered"]),
        (&json!(20), &json!(false))
    );
    let end = target.get("leveret/queues/%2F/q/messages?offset=24").await.json();
    assert_eq!((end["items"].as_array().unwrap().len(), &end["more"]), (1, &json!(false)));
    let queue = target.get("queues/%2F/q").await.json();
    assert_eq!((&queue["messages_ready"], &queue["message_stats"]["deliver_get"]), (&json!(25), &json!(0)));
    target.get("leveret/queues/%2F/q/messages?offset=x").await.expect(400);
    target.get("leveret/queues/%2F/none/messages").await.expect(404);
}

#[tokio::test]
async fn messages_move_and_what_cannot_stays_in_place() {
    let directory = tempfile::tempdir().unwrap();
    let target = Target::on_disk(directory.path().to_owned()).await;
    for queue in ["from", "to"] {
        target.put(&format!("queues/%2F/{queue}"), r#"{"durable":true}"#).await.expect(201);
    }
    for body in ["a", "b", "c"] {
        publish(&target, "amq.default", "from", body).await;
    }
    let moved =
        target.post("leveret/queues/%2F/from/move", r#"{"exchange":"","routing_key":"to","count":2}"#).await;
    assert_eq!(moved.expect(200).json(), json!({ "moved": 2, "left": 0, "stopped": null }));
    assert_eq!(
        (bodies(&target, "from").await, bodies(&target, "to").await),
        (vec!["c".into()], vec!["a".into(), "b".into()])
    );
    let nowhere =
        target.post("leveret/queues/%2F/to/move", r#"{"exchange":"amq.direct","routing_key":"x"}"#).await;
    let nowhere = nowhere.expect(200).json();
    assert_eq!((&nowhere["moved"], &nowhere["left"]), (&json!(0), &json!(1)));
    assert!(nowhere["stopped"].as_str().unwrap().starts_with("no queue gets"), "{nowhere}");
    assert_eq!(bodies(&target, "to").await, ["a", "b"]);
    let queue = target.get("queues/%2F/from").await.json();
    assert_eq!((&queue["messages_unacknowledged"], &queue["message_bytes"]), (&json!(0), &json!(1)));
    // To itself: each once, not for ever.
    let around = target.post("leveret/queues/%2F/to/move", r#"{"exchange":"","routing_key":"to"}"#).await;
    assert_eq!(around.expect(200).json()["moved"], 2);
    assert_eq!(bodies(&target, "to").await.len(), 2);
}

#[tokio::test]
async fn dead_letters_go_back_to_where_they_were_published() {
    let target = Target::start().await;
    target.put("exchanges/%2F/orders", r#"{"type":"topic"}"#).await.expect(201);
    target.put("queues/%2F/dead", "{}").await.expect(201);
    let arguments = r#"{"arguments":{"x-dead-letter-exchange":"","x-dead-letter-routing-key":"dead"}}"#;
    target.put("queues/%2F/work", arguments).await.expect(201);
    target.post("bindings/%2F/e/orders/q/work", r#"{"routing_key":"new.*"}"#).await.expect(201);
    publish(&target, "orders", "new.eu", "an order").await;
    publish(&target, "amq.default", "dead", "never died").await;
    let reject = r#"{"count":1,"ackmode":"reject_requeue_false","encoding":"auto"}"#;
    target.post("queues/%2F/work/get", reject).await.expect(200);
    assert_eq!(bodies(&target, "dead").await, ["never died", "an order"]);
    let moved = target.post("leveret/queues/%2F/dead/redrive", "").await.expect(200).json();
    assert_eq!((&moved["moved"], &moved["left"]), (&json!(1), &json!(1)));
    assert_eq!(bodies(&target, "dead").await, ["never died"]);
    let back = target.get("leveret/queues/%2F/work/messages").await.json();
    let back = &back["items"][0];
    assert_eq!((&back["exchange"], &back["routing_key"]), (&json!("orders"), &json!("new.eu")));
    assert_eq!(back["properties"]["headers"], json!({}), "no history");
}

#[tokio::test]
async fn a_queue_says_why_it_does_not_move() {
    let target = Target::start().await;
    target
        .put("queues/%2F/q", r#"{"arguments":{"x-max-length":2,"x-dead-letter-exchange":"none"}}"#)
        .await
        .expect(201);
    let why = |path: &'static str| {
        let target = &target;
        async move {
            let answer = target.get(path).await.expect(200).json();
            let reasons = answer["reasons"].as_array().unwrap();
            let texts: Vec<&str> = reasons.iter().map(|reason| reason["text"].as_str().unwrap()).collect();
            (answer["moving"] == Value::Bool(true), texts.join("\n"))
        }
    };
    let (moving, text) = why("leveret/queues/%2F/q/why").await;
    assert!(moving && text.contains("Nothing has been published"), "{text}");
    for body in ["a", "b", "c"] {
        publish(&target, "amq.default", "q", body).await;
    }
    let (moving, text) = why("leveret/queues/%2F/q/why").await;
    assert!(!moving);
    for part in [
        "2 messages are ready, but nobody consumes",
        "as long as it may be",
        "1 did not fit",
        "there is no exchange 'none'",
    ] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
    target.broker.set_memory_limit(0);
    assert!(why("leveret/queues/%2F/q/why").await.1.contains("memory"));
}

#[tokio::test]
async fn only_those_with_the_right_look_and_move() {
    let target = Target::start().await;
    target.put("users/reader", r#"{"password":"x","tags":"management"}"#).await.expect(201);
    target.put("permissions/%2F/reader", r#"{"configure":"","write":"","read":"open"}"#).await.expect(201);
    for queue in ["open", "secret"] {
        target.put(&format!("queues/%2F/{queue}"), "{}").await.expect(201);
        publish(&target, "amq.default", queue, "x").await;
    }
    let reader = ("reader", "x");
    let ask = |method, path: &'static str, body| target.request(reader, method, path, &[], body);
    ask("GET", "leveret/queues/%2F/open/messages", "").await.expect(200);
    ask("GET", "leveret/queues/%2F/secret/messages", "").await.expect(401);
    ask("GET", "leveret/log", "").await.expect(401);
    let moving = r#"{"exchange":"","routing_key":"secret"}"#;
    ask("POST", "leveret/queues/%2F/open/move", moving).await.expect(401);
    assert_eq!(
        target.request(GUEST, "GET", "leveret/log?after=0", &[], "").await.expect(200).json()["items"],
        json!([])
    );
    target.get("leveret/log?after=x").await.expect(400);
}
