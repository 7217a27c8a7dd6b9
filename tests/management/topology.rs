//! Exchanges, queues, bindings: declared, listed in pages, deleted.

use serde_json::{Value, json};

use crate::http::{GUEST, Target};

#[tokio::test]
async fn a_queue_is_put_shown_and_deleted() {
    let target = Target::start().await;
    target.get("queues/%2F/a%2Fb").await.refused(404, "Object Not Found", "Not Found");
    let body = r#"{"durable":"true","arguments":{"x-max-length":5,"x-other":{"deep":[1,"two"]}}}"#;
    target.put("queues/%2F/a%2Fb", body).await.expect(201);
    target.put("queues/%2F/a%2Fb", body).await.expect(204);
    let queue = target.get("queues/%2F/a%2Fb").await.expect(200).json();
    let expected = json!({
        "name": "a/b", "vhost": "/", "durable": true, "auto_delete": false, "exclusive": false,
        "type": "classic", "state": "running", "messages": 0, "messages_ready": 0,
        "messages_unacknowledged": 0, "consumers": 0, "policy": null,
        "arguments": { "x-max-length": 5, "x-other": { "deep": [1, "two"] } },
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&queue[name], value, "{name}");
    }
    let reason =
        "inequivalent arg 'durable' for queue 'a/b' in vhost '/': received 'false' but current is 'true'";
    target.put("queues/%2F/a%2Fb", "{}").await.refused(400, "bad_request", reason);
    target.put("queues/%2F/amq.mine", "{}").await.refused(401, "not_authorised", "Access refused.");
    target.put("queues/none/q", "{}").await.refused(404, "not_found", "vhost_not_found");
    target.put("queues/%2F/q", r#"{"arguments":{"x-queue-type":"quorum"}}"#).await.expect(400);
    target.delete("queues/%2F/a%2Fb").await.expect(204);
    target.delete("queues/%2F/a%2Fb").await.refused(404, "Object Not Found", "Not Found");
}

#[tokio::test]
async fn queues_that_are_used_may_be_spared() {
    let target = Target::start().await;
    target.put("queues/%2F/q", "{}").await.expect(201);
    let publish = r#"{"properties":{},"routing_key":"q","payload":"","payload_encoding":"string"}"#;
    target.post("exchanges/%2F/amq.default/publish", publish).await.expect(200);
    let reply = target.delete("queues/%2F/q?if-empty=true").await;
    reply.refused(400, "bad_request", "queue 'q' in vhost '/' not empty");
    target.delete("queues/%2F/q/contents").await.expect(204);
    target.delete("queues/%2F/none/contents").await.expect(404);
    target.delete("queues/%2F/q?if-empty=true&if-unused=true").await.expect(204);
}

#[tokio::test]
async fn exchanges_and_their_defaults() {
    let target = Target::start().await;
    target.put("exchanges/%2F/x", "").await.expect(201);
    let exchange = target.get("exchanges/%2F/x").await.expect(200).json();
    assert_eq!((&exchange["type"], &exchange["durable"]), (&json!("direct"), &json!(false)));
    target.put("exchanges/%2F/x", r#"{"type":"topic"}"#).await.expect(400);
    target.put("exchanges/%2F/y", r#"{"type":"x-unknown"}"#).await.expect(400);
    let names = target.get("exchanges/%2F?columns=name").await.json();
    let names: Vec<&str> =
        names.as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect();
    let predeclared = [
        "",
        "amq.direct",
        "amq.fanout",
        "amq.headers",
        "amq.match",
        "amq.rabbitmq.event",
        "amq.rabbitmq.trace",
        "amq.topic",
    ];
    assert_eq!(names, [&predeclared[..], &["x"]].concat());
    assert_eq!(target.get("exchanges/%2F/amq.default").await.expect(200).json()["name"], "");
    target.delete("exchanges/%2F/amq.topic").await.refused(401, "not_authorised", "Access refused.");
    target.put("queues/%2F/q", "{}").await.expect(201);
    target.post("bindings/%2F/e/x/q/q", "").await.expect(201);
    let reply = target.delete("exchanges/%2F/x?if-unused=true").await;
    reply.refused(400, "bad_request", "exchange 'x' in vhost '/' in use");
    target.delete("exchanges/%2F/x").await.expect(204);
    target.delete("exchanges/%2F/x").await.refused(404, "Object Not Found", "Not Found");
}

#[tokio::test]
async fn bindings_are_found_again_by_their_location() {
    let target = Target::start().await;
    target.put("queues/%2F/q", "{}").await.expect(201);
    let reply = target.post("bindings/%2F/e/none/q/q", "{}").await;
    reply.refused(404, "not_found", "no exchange 'none' in vhost '/'");
    for (body, key) in [
        ("{}", "~"),
        (r#"{"routing_key":"a/b #"}"#, "a%2Fb+%23"),
        (r#"{"routing_key":"k","arguments":{"x":1}}"#, ""),
    ] {
        let reply = target.post("bindings/%2F/e/amq.direct/q/q", body).await.expect(201);
        // As Terraform does: the last segment, decoded once, is the key.
        let location = reply.header("location").unwrap().to_owned();
        let path = format!("bindings/%2F/e/amq.direct/q/{location}");
        let binding = target.get(&path).await.expect(200).json();
        if !key.is_empty() {
            assert_eq!(binding["properties_key"], key);
        }
        assert_eq!(binding["destination_type"], "queue");
        target.delete(&path).await.expect(204);
        target.delete(&path).await.refused(404, "Object Not Found", "Not Found");
    }
    target.put("exchanges/%2F/x", "{}").await.expect(201);
    target.post("bindings/%2F/e/amq.topic/e/x", r#"{"routing_key":"r"}"#).await.expect(201);
    let source = target.get("exchanges/%2F/amq.topic/bindings/source").await.json();
    assert_eq!(
        (&source[0]["destination"], &source[0]["destination_type"]),
        (&json!("x"), &json!("exchange"))
    );
    assert_eq!(target.get("exchanges/%2F/x/bindings/destination").await.json(), source);
    let implicit = target.get("queues/%2F/q/bindings").await.json();
    assert_eq!((&implicit[0]["source"], &implicit[0]["routing_key"]), (&json!(""), &json!("q")));
    assert_eq!(target.get("bindings").await.json().as_array().unwrap().len(), 2);
    target.delete("bindings/%2F/e/amq.topic/e/x/r").await.expect(204);
}

#[tokio::test]
async fn many_queues_come_in_pages() {
    let target = Target::start().await;
    for number in 0..30 {
        target.put(&format!("queues/%2F/q{number:02}"), "{}").await.expect(201);
    }
    // As KEDA asks.
    let query = "page=1&use_regex=true&pagination=false&name=%5Eq0&page_size=100";
    let page = target.get(&format!("queues/%2F?{query}")).await.expect(200).json();
    assert_eq!(
        (&page["total_count"], &page["filtered_count"], &page["page_count"]),
        (&json!(30), &json!(10), &json!(1))
    );
    assert_eq!(page["items"][0]["name"], "q00");
    let page = target.get("queues?page=3&page_size=8&sort_reverse=true&columns=name").await.json();
    let names: Vec<Value> = page["items"].as_array().unwrap().clone();
    assert_eq!((&names[0], names.len()), (&json!({ "name": "q13" }), 8));
    let totals = target.get("queues/%2F/q00?disable_stats=true&enable_queue_totals=true").await.json();
    assert!(totals.get("consumers").is_none() && totals["messages"] == 0, "{totals}");
    for query in ["page=0", "page=1&page_size=501", "page=x"] {
        let reply = target.get(&format!("queues?{query}")).await;
        reply.refused(400, "bad_request", "Pagination parameters are invalid");
    }
    assert_eq!(target.get("queues?page=9").await.expect(400).json()["error"], "page_out_of_range");
    assert_eq!(target.request(GUEST, "GET", "queues", &[], "").await.json().as_array().unwrap().len(), 30);
}

#[tokio::test]
async fn what_is_declared_over_http_outlives_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    let target = Target::on_disk(path.clone()).await;
    target.put("exchanges/%2F/x", r#"{"durable":true,"type":"fanout"}"#).await.expect(201);
    target.put("queues/%2F/q", r#"{"durable":true}"#).await.expect(201);
    target.put("queues/%2F/transient", "{}").await.expect(201);
    target.post("bindings/%2F/e/x/q/q", "{}").await.expect(201);
    let publish =
        r#"{"properties":{"delivery_mode":2},"routing_key":"","payload":"kept","payload_encoding":"string"}"#;
    let routed = target.post("exchanges/%2F/x/publish", publish).await.expect(200).json();
    assert_eq!(routed, json!({ "routed": true }));
    target.broker.shutdown().await;

    let target = Target::on_disk(path).await;
    assert_eq!(
        target.get("queues?columns=name,messages").await.json(),
        json!([{ "name": "q", "messages": 1 }])
    );
    target.delete("bindings/%2F/e/x/q/q/~").await.expect(204);
    target.broker.shutdown().await;
}
