//! Definition files that are imported at the start.

use std::{fs, path::PathBuf};

use leveret::{Broker, Config};
use serde_json::{Value, json};

use crate::http::Target;

fn document(queue: &str) -> Value {
    json!({
        "users": [{ "name": "admin", "password": "secret", "tags": "administrator" }],
        "vhosts": [{ "name": "shop" }],
        "permissions": [{ "user": "admin", "vhost": "shop", "configure": ".*", "write": ".*", "read": ".*" }],
        "queues": [{ "name": queue, "vhost": "shop", "durable": true, "auto_delete": false, "arguments": {} }],
        "exchanges": [{ "name": "x", "vhost": "shop", "type": "topic", "durable": true, "auto_delete": false }],
        "bindings": [{ "source": "x", "vhost": "shop", "destination": queue, "destination_type": "queue",
                       "routing_key": "#", "arguments": {} }],
        "policies": [{ "vhost": "shop", "name": "p", "pattern": ".*", "apply-to": "queues",
                       "definition": { "max-length": 5 }, "priority": 0 }],
    })
}

const ADMIN: (&str, &str) = ("admin", "secret");

fn loads(path: PathBuf) -> impl FnOnce(&mut Config) {
    move |config| config.definitions.load = Some(path)
}

async fn names(target: &Target, list: &str) -> Vec<String> {
    let path = format!("{list}?columns=name");
    let items = target.request(ADMIN, "GET", &path, &[], "").await.expect(200).json();
    items.as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn an_empty_broker_starts_with_what_the_file_says_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("definitions.json");
    fs::write(&file, document("q").to_string()).unwrap();
    let target = Target::configured(loads(file)).await;
    assert_eq!(names(&target, "users").await, ["admin"]);
    assert_eq!(names(&target, "vhosts").await, ["shop"]);
    assert_eq!(names(&target, "queues").await, ["q"]);
    let queue = target.request(ADMIN, "GET", "queues/shop/q", &[], "").await.expect(200).json();
    assert_eq!(queue["policy"], "p");
    let permissions = target.request(ADMIN, "GET", "permissions", &[], "").await.json();
    assert_eq!(permissions.as_array().unwrap().len(), 1, "the import gives no rights to anybody else");
    target.connect(ADMIN, "shop").await.unwrap();
    target.request(crate::http::GUEST, "GET", "whoami", &[], "").await.expect(401);
}

#[tokio::test]
async fn every_start_imports_again_unless_what_is_unchanged_is_skipped() {
    let directory = tempfile::tempdir().unwrap();
    let (data, files) = (directory.path().join("data"), directory.path().join("files"));
    fs::create_dir(&files).unwrap();
    fs::write(files.join("1.json"), document("one").to_string()).unwrap();
    fs::write(
        files.join("2.json"),
        json!({ "queues": [{ "name": "two", "vhost": "shop", "durable": true }] }).to_string(),
    )
    .unwrap();
    fs::write(files.join("notes.txt"), "not a definition file").unwrap();
    let start = async |skip: bool| {
        let (data, files) = (data.clone(), files.clone());
        Target::configured(move |config| {
            config.storage.data_dir = Some(data);
            config.definitions.load = Some(files);
            config.definitions.skip_if_unchanged = skip;
        })
        .await
    };
    let delete = async |target: &Target| {
        target.request(ADMIN, "DELETE", "queues/shop/two", &[], "").await.expect(204);
    };
    let target = start(false).await;
    assert_eq!(names(&target, "queues").await, ["one", "two"]);
    delete(&target).await;
    target.broker.shutdown().await;

    let target = start(true).await;
    assert_eq!(names(&target, "queues").await, ["one"], "the same files were imported before");
    target.broker.shutdown().await;

    let target = start(false).await;
    assert_eq!(names(&target, "queues").await, ["one", "two"]);
    delete(&target).await;
    target.broker.shutdown().await;

    fs::write(files.join("1.json"), document("three").to_string()).unwrap();
    let target = start(true).await;
    assert_eq!(names(&target, "queues").await, ["one", "three", "two"]);
    target.broker.shutdown().await;
}

#[tokio::test]
async fn a_start_fails_with_the_file_and_the_reason() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("definitions.json");
    let start = async || {
        let file = file.clone();
        let started = Broker::builder().configure(loads(file)).start().await;
        started.expect_err("these definitions cannot be imported").to_string()
    };
    let shown = file.display().to_string();
    let missing = start().await;
    assert!(missing.contains(&shown) && missing.contains("No such file"), "{missing}");
    fs::write(&file, "{").unwrap();
    assert_eq!(start().await, format!("definitions cannot be imported: {shown}: not_json"));
    fs::write(&file, json!({ "queues": [{ "name": "q", "vhost": "none" }] }).to_string()).unwrap();
    assert_eq!(start().await, format!("definitions cannot be imported: {shown}: no_such_vhost: none"));
}
