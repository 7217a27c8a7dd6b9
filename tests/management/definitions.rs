//! Definition files, out of one broker and into another.

use serde_json::{Value, json};

use crate::http::Target;

async fn filled() -> Target {
    let target = Target::start().await;
    target.put("vhosts/v", r#"{"description":"d","tags":"t"}"#).await.expect(201);
    target.put("users/u", r#"{"password":"p","tags":"management"}"#).await.expect(201);
    target.put("permissions/v/u", r#"{"configure":"^c","write":"w","read":".*"}"#).await.expect(201);
    target.put("exchanges/v/x", r#"{"type":"topic","durable":true}"#).await.expect(201);
    target.put("queues/v/q", r#"{"durable":true,"arguments":{"x-max-length":5}}"#).await.expect(201);
    let binding = r##"{"routing_key":"a.#","arguments":{"k":"v"}}"##;
    target.post("bindings/v/e/x/q/q", binding).await.expect(201);
    target.post("bindings/v/e/amq.topic/e/x", "{}").await.expect(201);
    target.put("vhosts/v", r#"{"default_queue_type":"quorum"}"#).await.expect(204);
    let policy = r#"{"pattern":"^q","definition":{"max-length":3},"priority":2,"apply-to":"queues"}"#;
    target.put("policies/v/p", policy).await.expect(201);
    target
        .put("operator-policies/v/o", r#"{"pattern":".*","definition":{"expires":600000}}"#)
        .await
        .expect(201);
    target.put("vhost-limits/v/max-queues", r#"{"value":9}"#).await.expect(204);
    target.put("user-limits/u/max-channels", r#"{"value":7}"#).await.expect(204);
    let topics = r#"{"exchange":"x","write":"^{username}","read":".*"}"#;
    target.put("topic-permissions/v/u", topics).await.expect(201);
    target.put("global-parameters/g", r#"{"name":"g","value":{"a":[1,null]}}"#).await.expect(201);
    target
}

/// Without what names the broker.
fn comparable(document: &Value) -> Value {
    let mut document = document.clone();
    document["users"].as_array_mut().unwrap().retain(|user| user["name"] != "guest");
    document
}

#[tokio::test]
async fn an_export_is_imported_as_it_was() {
    let source = filled().await;
    let document = source.get("definitions").await.expect(200).json();
    assert_eq!(
        document["queues"],
        json!([
            { "name": "q", "vhost": "v", "type": "classic", "durable": true, "auto_delete": false, "arguments": { "x-max-length": 5 } },
        ])
    );
    assert_eq!(
        (document["exchanges"].as_array().unwrap().len(), document["bindings"].as_array().unwrap().len()),
        (1, 2)
    );
    let lengths = ["policies", "parameters", "topic_permissions", "global_parameters"]
        .map(|key| document[key].as_array().unwrap().len());
    assert_eq!(lengths, [1, 2, 1, 2]);
    let target = Target::start().await;
    target.post("definitions", &document.to_string()).await.expect(204);
    target.post("definitions", &document.to_string()).await.expect(204);
    assert_eq!(target.get("queues/v/q").await.json()["policy"], "p", "what is imported goes by its policies");
    let imported = target.get("definitions").await.json();
    assert_eq!(comparable(&imported), comparable(&document));
    target.connect(("u", "p"), "v").await.unwrap();
}

#[tokio::test]
async fn one_vhost_may_be_copied_into_another() {
    let target = filled().await;
    let document = target.get("definitions/v?download=v.json").await.expect(200);
    assert_eq!(document.header("content-disposition"), Some("attachment; filename=\"v.json\""));
    assert!(document.json().get("users").is_none() && document.json()["queues"][0].get("vhost").is_none());
    target.put("vhosts/copy", "").await.expect(201);
    target.post("definitions/copy", &document.body).await.expect(204);
    let without_name = |reply: crate::http::Reply| {
        let mut document = reply.json();
        document["original_vhost_name"].take();
        document
    };
    let copy = without_name(target.get("definitions/copy").await);
    assert_eq!(copy, without_name(target.get("definitions/v").await));
    target.get("definitions/none").await.expect(404);
}

#[tokio::test]
async fn documents_of_rabbitmq_3_and_of_browsers_are_understood() {
    let target = Target::start().await;
    let document = json!({
        "rabbit_version": "3.10.8",
        "users": [{ "name": "old", "password_hash": "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR",
                    "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": "administrator", "limits": {} }],
        "vhosts": [{ "name": "/" }],
        "permissions": [{ "user": "old", "vhost": "/", "configure": ".*", "write": ".*", "read": ".*" }],
        "topic_permissions": [], "parameters": [], "policies": [],
        "global_parameters": [{ "name": "internal_cluster_id", "value": "x" }],
        "queues": [{ "name": "bare", "vhost": "/" }],
        "exchanges": [], "bindings": [],
    });
    let body = format!(
        "--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"d.json\"\r\n\r\n{document}\r\n--edge--\r\n"
    );
    let form = [("content-type", "multipart/form-data; boundary=edge")];
    target.request(crate::http::GUEST, "POST", "definitions", &form, &body).await.expect(204);
    target.request(("old", "test12"), "GET", "queues/%2F/bare", &[], "").await.expect(200);
}

#[tokio::test]
async fn what_cannot_be_taken_in_is_refused_by_its_name() {
    let target = Target::start().await;
    let with =
        |item: Value| json!({ "policies": [item], "queues": [{ "name": "q", "vhost": "/" }] }).to_string();
    let bogus = json!({ "vhost": "/", "name": "p", "pattern": "x", "definition": { "bogus": 1 } });
    target.post("definitions", &with(bogus)).await.refused(
        400,
        "bad_request",
        "Validation failed\n\n[{&lt;&lt;\"bogus\"&gt;&gt;,1}] are not recognised policy settings\n (//p)",
    );
    assert_eq!(target.get("queues").await.json(), json!([]), "policies come before queues");
    let parameter =
        json!({ "parameters": [{ "vhost": "/", "component": "bogus", "name": "x", "value": 1 }] });
    target.post("definitions", &parameter.to_string()).await.refused(
        400,
        "bad_request",
        "Validation failed\n\ncomponent bogus not found\n (//bogus/x)",
    );
    let reply = target.post("definitions", r#"{"queues":[{"name":"q","vhost":"none"}]}"#).await;
    reply.refused(400, "bad_request", "no_such_vhost: none");
    target.post("definitions", "[").await.refused(400, "bad_request", "not_json");
}
