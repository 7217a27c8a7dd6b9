//! What operators and their tools ask of the node itself, beside its state.

use lapin::{options::*, types::FieldTable};
use serde_json::{Value, json};

use crate::http::{GUEST, Target};

async fn node_name(target: &Target) -> String {
    let name = target.get("overview?columns=node").await.json()["node"].as_str().unwrap().to_owned();
    name.replace('@', "%40")
}

#[tokio::test]
async fn probes_without_a_password_are_answered_and_others_are_not() {
    let target = Target::configured(|config| config.limits.connections_max = Some(1)).await;
    let open = async |request: &str| {
        let request = format!("{request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        target.raw(request.as_bytes()).await
    };
    for reply in [
        open("GET /api/health/checks/is-in-service").await,
        open("GET /api/health/checks/ready-to-serve-clients").await,
        open("GET /api/health/checks/reached-target-cluster-size/").await,
    ] {
        assert_eq!(reply.expect(200).json(), json!({ "status": "ok" }));
    }
    for request in
        ["GET /api/health/checks/alarms", "GET /api/overview", "HEAD /api/health/checks/virtual-hosts"]
    {
        open(request).await.expect(401);
    }
    let version = open("GET /api/version").await.expect(200).json();
    assert_eq!(version, target.get("overview").await.json()["rabbitmq_version"]);
    assert_eq!(open("GET /api/auth").await.expect(200).json(), json!({ "oauth_enabled": false }));

    let below = open("GET /api/health/checks/below-node-connection-limit").await.expect(200).json();
    assert_eq!(below, json!({ "status": "ok", "limit": 1, "connections": 0 }));
    let _only = target.connect(GUEST, "%2f").await.unwrap();
    let reached = open("GET /api/health/checks/below-node-connection-limit").await.expect(503).json();
    assert_eq!((&reached["status"], &reached["connections"]), (&json!("failed"), &json!(1)));
}

#[tokio::test]
async fn checks_of_clusters_hold_for_one_node() {
    let target = Target::start().await;
    let ok = json!({ "status": "ok" });
    for reply in [
        target.get("health/checks/metadata-store/initialized").await,
        target.get("health/checks/metadata-store/initialized/with-data").await,
        target.get("health/checks/quorum-queues-without-elected-leaders/all-vhosts/pattern/.*").await,
        target.get("health/checks/quorum-queues-without-elected-leaders/vhost/%2F/pattern/.*").await,
        target.get("healthchecks/node/").await,
        target.get(&format!("healthchecks/node/{}", node_name(&target).await)).await,
    ] {
        assert_eq!(reply.expect(200).json(), ok);
    }
    let critical = target.get("health/checks/node-is-mirror-sync-critical").await.expect(200).json();
    assert_eq!(critical["reason"], "single node cluster");
    target.get("healthchecks/node/other").await.expect(404);
    target.broker.set_memory_limit(0);
    assert_eq!(target.get("healthchecks/node").await.expect(503).json()["status"], "failed");
}

#[tokio::test]
async fn the_memory_is_told_in_parts_that_make_up_the_whole() {
    let target = Target::start().await;
    target.put("queues/%2F/q", "{}").await.expect(201);
    let message = json!({ "properties": {}, "routing_key": "q", "payload": "x".repeat(100_000), "payload_encoding": "string" });
    target.post("exchanges/%2F/amq.default/publish", &message.to_string()).await.expect(200);
    let name = node_name(&target).await;
    let memory = target.get(&format!("nodes/{name}/memory")).await.expect(200).json()["memory"].clone();
    assert!(100_000 <= memory["queue_procs"].as_u64().unwrap(), "{memory}");
    let parts = memory.as_object().unwrap().values().filter_map(Value::as_u64);
    assert_eq!(parts.sum::<u64>(), memory["total"]["rss"].as_u64().unwrap());
    for part in ["connection_readers", "mgmt_db", "metadata_store_ets", "reserved_unallocated"] {
        assert!(memory[part].is_u64(), "{part}");
    }
    let relative = target.get(&format!("nodes/{name}/memory/relative")).await.expect(200).json();
    assert_eq!(relative["memory"]["total"], 100);
    target.get("nodes/other/memory").await.refused(404, "Object Not Found", "Not Found");
}

#[tokio::test]
async fn a_reset_forgets_samples_and_keeps_what_was_counted() {
    let target = Target::start().await;
    target.put("queues/%2F/q", "{}").await.expect(201);
    let message = r#"{"properties":{},"routing_key":"q","payload":"x","payload_encoding":"string"}"#;
    target.post("exchanges/%2F/amq.default/publish", message).await.expect(200);
    target.delete("reset").await.expect(204);
    target.delete(&format!("reset/{}", node_name(&target).await)).await.expect(204);
    target.delete("reset/other").await.expect(404);
    let queue = target.get("queues/%2F/q").await.json();
    assert_eq!((&queue["messages"], &queue["message_stats"]["publish"]), (&json!(1), &json!(1)));
}

#[tokio::test]
async fn the_cluster_can_be_given_a_name_that_clients_see_and_that_stays() {
    let directory = tempfile::tempdir().unwrap();
    let target = Target::on_disk(directory.path().join("data")).await;
    target.put("cluster-name", "{}").await.refused(400, "bad_request", "[{key_missing,name}]");
    target.put("cluster-name", r#"{"name":"warren"}"#).await.expect(204);
    target.put("users/u", r#"{"password":"p","tags":"monitoring"}"#).await.expect(201);
    let reply = target.request(("u", "p"), "PUT", "cluster-name", &[], r#"{"name":"other"}"#).await;
    reply.refused(401, "not_authorised", "Not administrator user");
    target.broker.shutdown().await;

    let target = Target::on_disk(directory.path().join("data")).await;
    assert_eq!(target.get("cluster-name").await.json(), json!({ "name": "warren" }));
    assert_eq!(target.get("overview").await.json()["cluster_name"], "warren");
    assert_eq!(target.get("global-parameters/cluster_name").await.json()["value"], "warren");
    let exported = target.get("definitions").await.json();
    assert_eq!(exported["original_cluster_name"], "warren");
    assert_eq!(target.get("all-configuration").await.json(), exported);
    let (mut stream, mut answer) =
        (tokio::net::TcpStream::connect(target.broker.amqp_addr()).await.unwrap(), [0; 512]);
    tokio::io::AsyncWriteExt::write_all(&mut stream, b"AMQP\0\0\x09\x01").await.unwrap();
    let length = tokio::io::AsyncReadExt::read(&mut stream, &mut answer).await.unwrap();
    assert!(answer[..length].windows(6).any(|octets| octets == b"warren"), "in the server's properties");
    target.broker.shutdown().await;
}

#[tokio::test]
async fn a_protected_vhost_is_not_deleted_until_it_is_not_protected() {
    let directory = tempfile::tempdir().unwrap();
    let target = Target::on_disk(directory.path().join("data")).await;
    target.put("vhosts/v", r#"{"metadata":{"protected_from_deletion":true}}"#).await.expect(201);
    target.put("vhosts/w", "").await.expect(201);
    target.post("vhosts/w/deletion/protection", "").await.expect(204);
    target.post("vhosts/none/deletion/protection", "").await.expect(404);
    target.broker.shutdown().await;

    let target = Target::on_disk(directory.path().join("data")).await;
    let reason = "virtual host 'v' is protected from deletion";
    target.delete("vhosts/v").await.refused(412, "precondition_failed", reason);
    assert_eq!(target.get("vhosts/w").await.json()["protected_from_deletion"], true);
    let exported = target.get("definitions").await.json();
    for vhost in ["v", "w"] {
        target.delete(&format!("vhosts/{vhost}/deletion/protection")).await.expect(204);
        target.delete(&format!("vhosts/{vhost}")).await.expect(204);
    }
    // A new one of the name is not protected, unless the definitions say so.
    target.put("vhosts/v", "").await.expect(201);
    target.delete("vhosts/v").await.expect(204);
    target.post("definitions", &exported.to_string()).await.expect(204);
    target.delete("vhosts/w").await.expect(412);
    target.broker.shutdown().await;
}

#[tokio::test]
async fn what_has_no_meaning_on_one_node_is_answered_as_done() {
    let target = Target::start().await;
    let name = node_name(&target).await;
    target.post("rebalance/queues", "").await.expect(204);
    target.post(&format!("vhosts/%2F/start/{name}"), "").await.expect(204);
    let reason = "Request to node other failed with nodedown";
    target.post("vhosts/%2F/start/other", "").await.refused(400, "bad_request", reason);
    target.put("queues/%2F/q", "{}").await.expect(201);
    target.post("queues/%2F/q/actions", r#"{"action":"sync"}"#).await.expect(204);
    target.post("queues/%2F/q/actions", "{}").await.refused(400, "bad_request", "[{key_missing,action}]");
    target.post("queues/%2F/q/actions", r#"{"action":"dance"}"#).await.expect(400);
    target.post("queues/%2F/none/actions", r#"{"action":"sync"}"#).await.expect(404);
    target
        .put("queues/%2F/quorum", r#"{"durable":true,"arguments":{"x-queue-type":"quorum"}}"#)
        .await
        .expect(201);
    assert_eq!(target.get("queues/%2F/quorum").await.json()["delivery_limit"], 20);
    let unlimited = r#"{"pattern":"^quorum$","definition":{"delivery-limit":-1}}"#;
    target.put("policies/%2F/unlimited", unlimited).await.expect(201);
    let quorum = target.get("queues/%2F/quorum").await.json();
    assert_eq!(
        (&quorum["delivery_limit"], &quorum["members"]),
        (&json!("unlimited"), &json!([name.replace("%40", "@")]))
    );
    let status = target.get("queues/quorum/%2F/quorum/status").await.expect(200).json();
    assert_eq!(status[0]["Raft State"], "leader");
    target.get("queues/quorum/%2F/q/status").await.expect(400);
    for list in ["queues/detailed", "queues/detailed/%2F"] {
        assert_eq!(target.get(list).await.expect(200).json().as_array().unwrap().len(), 2, "{list}");
    }
    target.get("queues/detailed").await.expect(200);
    target.get("queues/detailed/%2F").await.expect(200);
}

#[tokio::test]
async fn lists_of_plugins_that_are_not_there_are_empty() {
    let target = Target::start().await;
    for reply in [
        target.get("shovels").await,
        target.get("shovels/%2F").await,
        target.get("federation-links").await,
        target.get("federation-links/%2F/").await,
        target.get("traces").await,
        target.get("traces/%2F").await,
        target.get("trace-files").await,
        target.get("stream/connections").await,
        target.get("stream/connections/%2F").await,
        target.get("stream/publishers").await,
        target.get("stream/publishers/%2F").await,
        target.get("stream/consumers").await,
        target.get("stream/consumers/%2F").await,
    ] {
        assert_eq!(reply.expect(200).json(), json!([]));
    }
    target.get("shovels/none").await.refused(404, "Object Not Found", "Not Found");
    assert_eq!(target.get("extensions").await.json(), json!([{ "javascript": "dispatcher.js" }]));
}

#[tokio::test]
async fn the_configuration_is_shown_without_its_secrets() {
    let target = Target::configured(|config| config.bootstrap.password = "hunter2".to_owned()).await;
    let reply = target.request(("guest", "hunter2"), "GET", "config/effective", &[], "").await.expect(200);
    assert!(!reply.body.contains("hunter2"), "{}", reply.body);
    let config = reply.json();
    assert_eq!((&config["amqp.heartbeat"], &config["bootstrap.user"]), (&json!(60), &json!("guest")));
}

#[tokio::test]
async fn bas_30_which_of_several_consumers_is_active_is_told() {
    let target = Target::start().await;
    let body = r#"{"arguments":{"x-single-active-consumer":true}}"#;
    target.put("queues/%2F/q", body).await.expect(201);
    let connection = target.connect(GUEST, "%2f").await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let options = BasicConsumeOptions::default();
    let mut consumers = Vec::new();
    for tag in ["first", "second"] {
        let consumer = channel.basic_consume("q".into(), tag.into(), options, FieldTable::default());
        // One that is dropped is cancelled.
        consumers.push(consumer.await.unwrap());
    }
    let states = async || {
        let consumers = target.get("consumers/%2F").await.expect(200).json();
        let consumers = consumers.as_array().unwrap().clone();
        consumers
            .iter()
            .map(|one| json!([one["consumer_tag"], one["active"], one["activity_status"]]))
            .collect()
    };
    let both: Vec<Value> = states().await;
    assert_eq!(both, [json!(["first", true, "single_active"]), json!(["second", false, "waiting"])]);
    assert_eq!(target.get("queues/%2F/q").await.json()["single_active_consumer_tag"], "first");
    channel.basic_cancel("first".into(), BasicCancelOptions::default()).await.unwrap();
    let one: Vec<Value> = states().await;
    assert_eq!(one, [json!(["second", true, "single_active"])]);

    let exclusive = BasicConsumeOptions { exclusive: true, ..Default::default() };
    target.put("queues/%2F/own", "{}").await.expect(201);
    let consumer = channel.basic_consume("own".into(), "mine".into(), exclusive, FieldTable::default());
    consumers.push(consumer.await.unwrap());
    let queue = target.get("queues/%2F/own").await.json();
    assert_eq!(
        (&queue["exclusive_consumer_tag"], &queue["single_active_consumer_tag"]),
        (&json!("mine"), &Value::Null)
    );
    let path = target.get("connections?columns=name").await.json()[0]["name"].as_str().unwrap().to_owned();
    let path = path.replace(' ', "%20").replace('>', "%3E");
    assert_eq!(target.get(&format!("connections/{path}/sessions")).await.expect(200).json(), json!([]));
}
