//! Definitions from one broker to another and back: everything is the same there, and users log in as before.
//!
//! With `REFERENCE_MANAGEMENT=127.0.0.1:15672`, the management interface of a RabbitMQ with its plugin for
//! consistent hashing, the same is tried with that one on the other side. What is defined there belongs to a vhost
//! and a user of the test's own, and is deleted in the end.

use std::{collections::BTreeSet, net::SocketAddr};

use serde_json::{Value, json};

use crate::http::{GUEST, Reply, Target, ask};

const FIXTURE: &str = include_str!("fixtures/definitions.json");
/// What identifies an item, and what both sides must say of it.
const PARTS: &[(&str, &[&str])] = &[
    ("users", &["name", "password_hash", "hashing_algorithm", "tags"]),
    ("permissions", &["user", "vhost", "configure", "write", "read"]),
    ("topic_permissions", &["user", "vhost", "exchange", "write", "read"]),
    ("parameters", &["component", "vhost", "name", "value"]),
    ("policies", &["vhost", "name", "pattern", "apply-to", "priority", "definition"]),
    ("queues", &["name", "vhost", "durable", "auto_delete", "arguments"]),
    ("exchanges", &["name", "vhost", "type", "durable", "auto_delete", "internal", "arguments"]),
    ("bindings", &["source", "vhost", "destination", "destination_type", "routing_key", "arguments"]),
];

/// Whose definitions are moved.
struct Names {
    vhost: String,
    user: String,
}

impl Names {
    fn new() -> Names {
        let unique = format!("{}-{:?}", std::process::id(), std::thread::current().id());
        let unique: String = unique.chars().filter(|letter| letter.is_ascii_alphanumeric()).collect();
        Names { vhost: format!("migration-{unique}"), user: format!("migrant-{unique}") }
    }

    fn document(&self) -> Value {
        let text = FIXTURE.replace("VHOST", &self.vhost).replace("USER", &self.user);
        serde_json::from_str(&text).unwrap()
    }

    /// The part of a document that belongs to the test.
    fn own(&self, document: &Value) -> Value {
        let mut own = json!({ "vhosts": [{ "name": self.vhost }] });
        for (part, _) in PARTS {
            let mut items = document[part].as_array().cloned().unwrap_or_default();
            let is_own = |item: &Value| match (*part, &item["user"]) {
                // Whoever imports a vhost gets rights in it, on either side.
                ("permissions" | "topic_permissions", user) => *user == self.user.as_str(),
                ("users", _) => item["name"] == self.user.as_str(),
                _ => item["vhost"] == self.vhost.as_str(),
            };
            items.retain(is_own);
            own[part] = Value::Array(items);
        }
        own
    }
}

/// What a document says, in no order and without what only one side says.
fn comparable(document: &Value, names_vhost: bool) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for (part, keys) in PARTS {
        for item in document[part].as_array().unwrap_or(&Vec::new()) {
            let keys = keys.iter().filter(|key| names_vhost || **key != "vhost");
            let chosen: Value = keys.map(|key| ((*key).to_owned(), item[key].clone())).collect();
            all.insert(format!("{part} {chosen}"));
        }
    }
    all
}

/// Fails with what only one of them says.
#[track_caller]
fn alike(got: &BTreeSet<String>, wanted: &BTreeSet<String>, what: &str) {
    let (more, less): (Vec<_>, Vec<_>) = (got.difference(wanted).collect(), wanted.difference(got).collect());
    assert!(more.is_empty() && less.is_empty(), "{what}: too much: {more:#?}; missing: {less:#?}");
}

/// One broker's management interface.
#[derive(Clone, Copy)]
struct Side(SocketAddr);

impl Side {
    async fn ask(self, method: &str, path: &str, body: &str) -> Reply {
        let headers = [("content-type", "application/json")];
        let reply = ask(self.0, GUEST, method, path, &headers, body).await;
        Reply { body: dechunked(&reply), ..reply }
    }

    async fn export(self, path: &str) -> Value {
        let reply = self.ask("GET", path, "").await.expect(200);
        serde_json::from_str(&reply.body).unwrap()
    }

    async fn import(self, path: &str, document: &Value) {
        self.ask("POST", path, &document.to_string()).await.expect(204);
    }

    async fn forget(self, names: &Names) {
        self.ask("DELETE", &format!("vhosts/{}", names.vhost), "").await;
        self.ask("DELETE", &format!("users/{}", names.user), "").await;
    }
}

/// The body of an answer that may have come in chunks, as RabbitMQ sends long ones.
fn dechunked(reply: &Reply) -> String {
    if reply.header("transfer-encoding") != Some("chunked") {
        return reply.body.clone();
    }
    let (mut rest, mut whole) = (reply.body.as_bytes(), Vec::new());
    while let Some(at) = rest.windows(2).position(|pair| pair == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..at]).unwrap().trim(), 16).unwrap();
        let chunk = &rest[at + 2..];
        whole.extend_from_slice(&chunk[..size]);
        rest = chunk.get(size + 2..).unwrap_or_default();
    }
    String::from_utf8(whole).unwrap()
}

/// From the other side to a new broker of ours, and back.
async fn there_and_back(other: Side) {
    let names = Names::new();
    let target = Target::start().await;
    let ours = Side(target.broker.management_addrs()[0]);
    other.import("definitions", &names.document()).await;
    let exported = other.export("definitions").await;
    let wanted = comparable(&names.own(&exported), true);
    alike(&wanted, &comparable(&names.document(), true), "what the other side was told");

    ours.import("definitions", &exported).await;
    let imported = ours.export("definitions").await;
    alike(&comparable(&names.own(&imported), true), &wanted, "what we took over");
    let connection = target.connect((&names.user, "test12"), &names.vhost).await.unwrap();
    connection.close(200, "".into()).await.unwrap();
    let whoami = ask(ours.0, (&names.user, "test12"), "GET", "whoami", &[], "").await.expect(200).json();
    assert_eq!(whoami["tags"], json!(["management", "own-tag"]));
    for (queue, policy) in [("jobs", json!("bounded")), ("turns", Value::Null)] {
        let path = format!("queues/{}/{queue}", names.vhost);
        assert_eq!(ours.export(&path).await["policy"], policy, "{queue}");
    }

    other.forget(&names).await;
    other.import("definitions", &names.own(&imported)).await;
    let back = other.export("definitions").await;
    alike(&comparable(&names.own(&back), true), &wanted, "what came back");
    ask(other.0, (&names.user, "test12"), "GET", "whoami", &[], "").await.expect(200);

    // One vhost: out of either side and into the other, under another name.
    let path = format!("definitions/{}", names.vhost);
    let parts = [ours.export(&path).await, other.export(&path).await];
    let wanted = comparable(&parts[0], false);
    alike(&comparable(&parts[1], false), &wanted, "one vhost");
    for (side, part) in [(other, &parts[0]), (ours, &parts[1])] {
        let copy = format!("{}-copy", names.vhost);
        side.ask("PUT", &format!("vhosts/{copy}"), "{}").await.expect(201);
        side.import(&format!("definitions/{copy}"), part).await;
        let copied = side.export(&format!("definitions/{copy}")).await;
        side.ask("DELETE", &format!("vhosts/{copy}"), "").await.expect(204);
        alike(&comparable(&copied, false), &wanted, "its copy");
    }
    other.forget(&names).await;
}

#[tokio::test]
async fn between_two_of_ours() {
    let target = Target::start().await;
    there_and_back(Side(target.broker.management_addrs()[0])).await;
}

#[tokio::test]
async fn between_rabbitmq_and_ours() {
    let Ok(address) = std::env::var("REFERENCE_MANAGEMENT") else {
        eprintln!("skipped: REFERENCE_MANAGEMENT names no RabbitMQ");
        return;
    };
    there_and_back(Side(address.parse().unwrap())).await;
}
