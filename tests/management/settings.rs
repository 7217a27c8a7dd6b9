//! Runtime parameters, limits of vhosts and users, default queue types (chapters 4, 8.2).

use lapin::{
    ExchangeKind,
    options::*,
    types::{AMQPValue, FieldTable},
};
use serde_json::{Value, json};

use crate::http::{GUEST, Reply, Target, eventually};

async fn set(target: &Target, path: &str, value: Value) -> Reply {
    target.put(path, &json!({ "value": value }).to_string()).await
}

#[tokio::test]
async fn lim_01_limits_of_vhosts_are_set_shown_and_cleared() {
    let target = Target::start().await;
    assert_eq!(target.get("vhost-limits").await.json(), json!([]));
    set(&target, "vhost-limits/%2F/max-queues", json!(1)).await.expect(204);
    set(&target, "vhost-limits/%2F/max-connections", json!(-5)).await.expect(204);
    let shown = json!([{ "vhost": "/", "value": { "max-connections": -5, "max-queues": 1 } }]);
    assert_eq!(target.get("vhost-limits").await.json(), shown);
    assert_eq!(target.get("vhost-limits/%2F").await.json(), shown);
    let parameter = json!({
        "vhost": "/", "component": "vhost-limits", "name": "limits", "value": shown[0]["value"],
    });
    assert_eq!(target.get("parameters").await.json(), json!([parameter]));
    assert_eq!(target.get("parameters/vhost-limits/%2F/limits").await.json(), parameter);
    for (name, value, reason) in [
        ("max-connections", json!("x"), "max-connections should be a number, actually was <<\"x\">>"),
        ("max-connections", json!(1.5), "max-connections should be a number, actually was 1.5"),
        ("bogus", json!(5), "Unrecognised terms [{<<\"bogus\">>,5}] in limits"),
    ] {
        let reply = set(&target, &format!("vhost-limits/%2F/{name}"), value).await;
        reply.refused(400, "bad_request", &format!("Validation failed\n\n{reason}\n"));
    }
    target.put("vhost-limits/%2F/max-queues", "{}").await.refused(
        400,
        "bad_request",
        "[{key_missing,value}]",
    );
    let missing = set(&target, "vhost-limits/none/max-queues", json!(1)).await;
    missing.refused(404, "not_found", "vhost_not_found");
    target.get("vhost-limits/%2F/max-queues").await.expect(405);
    target.delete("vhost-limits/%2F/max-queues").await.expect(204);
    target.delete("vhost-limits/%2F/max-queues").await.expect(204);
    target.delete("vhost-limits/%2F/max-connections").await.expect(204);
    assert_eq!(target.get("vhost-limits").await.json(), json!([]));
}

#[tokio::test]
async fn ch_53_a_vhost_has_so_many_queues_and_not_one_more() {
    let target = Target::start().await;
    set(&target, "vhost-limits/%2F/max-queues", json!(1)).await.expect(204);
    target.put("queues/%2F/one", "{}").await.expect(201);
    let text = "cannot declare queue 'two': queue limit in vhost '/' (1) is reached";
    target.put("queues/%2F/two", "{}").await.refused(400, "bad_request", text);
    let connection = target.connect(GUEST, "%2f").await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let declare = async |name: &str| {
        let options = QueueDeclareOptions::default();
        channel
            .queue_declare(name.into(), options, FieldTable::default())
            .await
            .map_err(|error| error.to_string())
    };
    declare("one").await.expect("it is there already");
    let refused = declare("two").await.unwrap_err();
    assert!(refused.contains(&format!("PRECONDITION_FAILED - {text}")), "{refused}");
    set(&target, "vhost-limits/%2F/max-queues", json!(-1)).await.expect(204);
    target.put("queues/%2F/two", "{}").await.expect(201);
    set(&target, "vhost-limits/%2F/max-queues", json!(0)).await.expect(204);
    target.put("queues/%2F/three", "{}").await.expect(400);
}

#[tokio::test]
async fn lim_03_the_node_has_so_many_queues_exchanges_and_vhosts() {
    let target = Target::configured(|config| {
        config.limits.queues_max = Some(2);
        // Each vhost has seven from the beginning, and that of events does not count.
        config.limits.exchanges_max = Some(15);
        config.limits.vhosts_max = Some(2);
    })
    .await;
    target.put("vhosts/v", "").await.expect(201);
    let text = "cannot create vhost 'w': vhost limit of 2 is reached";
    target.put("vhosts/w", "").await.refused(400, "bad_request", text);
    target.put("vhosts/v", "").await.expect(204);

    target.put("queues/%2F/one", "{}").await.expect(201);
    target.put("queues/v/two", "{}").await.expect(201);
    target.put("exchanges/v/x", "{}").await.expect(201);
    let connection = target.connect(GUEST, "%2f").await.unwrap();
    let channel = async || connection.create_channel().await.unwrap();
    let queue = async |name: &str| {
        let options = QueueDeclareOptions::default();
        let declared = channel().await.queue_declare(name.into(), options, FieldTable::default()).await;
        declared.map(drop).map_err(|error| error.to_string())
    };
    let exchange = async |name: &str| {
        let (kind, options) = (ExchangeKind::Direct, ExchangeDeclareOptions::default());
        let declared =
            channel().await.exchange_declare(name.into(), kind, options, FieldTable::default()).await;
        declared.map_err(|error| error.to_string())
    };
    queue("one").await.expect("it is there already");
    exchange("amq.direct").await.unwrap_err();
    let refused = queue("three").await.unwrap_err();
    let text = "PRECONDITION_FAILED - cannot declare queue 'three': queue limit in cluster (2) is reached";
    assert!(refused.contains(text), "{refused}");
    let refused = exchange("y").await.unwrap_err();
    let text =
        "PRECONDITION_FAILED - cannot declare exchange 'y' in vhost '/': exchange limit of 15 is reached";
    assert!(refused.contains(text), "{refused}");

    // What goes makes room, alone and with its vhost.
    target.delete("queues/v/two").await.expect(204);
    queue("three").await.unwrap();
    target.delete("exchanges/v/x").await.expect(204);
    exchange("y").await.unwrap();
    exchange("z").await.unwrap_err();
    target.delete("vhosts/v").await.expect(204);
    exchange("z").await.unwrap();
    target.put("vhosts/w", "").await.expect(201);
}

#[tokio::test]
async fn lim_03_the_node_has_so_many_channels() {
    let target = Target::configured(|config| config.limits.channels_max = Some(2)).await;
    let (one, two) =
        (target.connect(GUEST, "%2f").await.unwrap(), target.connect(GUEST, "%2f").await.unwrap());
    let first = one.create_channel().await.unwrap();
    let second = two.create_channel().await.unwrap();
    let refused = one.create_channel().await.unwrap_err().to_string();
    let text = "number of channels opened on this node has reached the maximum allowed limit of (2)";
    assert!(refused.contains(text), "{refused}");
    drop((first, second));
}

#[tokio::test]
async fn lim_04_a_limit_counts_what_is_there_and_comes_before_arguments_and_their_rights() {
    let target = Target::start().await;
    target.put("users/u", r#"{"password":"p","tags":""}"#).await.expect(201);
    target.put("permissions/%2F/u", r#"{"configure":"^q","write":"^q","read":"^q"}"#).await.expect(201);
    set(&target, "vhost-limits/%2F/max-queues", json!(1)).await.expect(204);
    target.put("queues/%2F/q1", "{}").await.expect(201);
    let connection = target.connect(("u", "p"), "%2f").await.unwrap();
    let declare = async |name: &str, arguments: &[(&str, AMQPValue)]| {
        let mut table = FieldTable::default();
        for (key, value) in arguments {
            table.insert((*key).into(), value.clone());
        }
        let channel = connection.create_channel().await.unwrap();
        let declared = channel.queue_declare(name.into(), QueueDeclareOptions::default(), table).await;
        declared.map(drop).map_err(|error| error.to_string()).err().unwrap_or_default()
    };
    let limit = "cannot declare queue 'q2': queue limit in vhost '/' (1) is reached";
    let elsewhere = [("x-dead-letter-exchange", AMQPValue::LongString("other".into()))];
    for arguments in [&elsewhere[..], &[("x-max-length", AMQPValue::LongInt(-1))], &[]] {
        let refused = declare("q2", arguments).await;
        assert!(refused.contains(limit), "{refused}");
    }
    // The right to the queue itself comes first.
    assert!(declare("other", &[]).await.contains("configure access to queue 'other'"));
    target.delete("queues/%2F/q1").await.expect(204);
    assert!(declare("q2", &elsewhere).await.contains("write access to exchange 'other'"));
    assert_eq!(declare("q2", &[]).await, "");
}

#[tokio::test]
async fn con_54_and_55_limits_of_connections_that_are_set_over_http() {
    let target = Target::start().await;
    set(&target, "vhost-limits/%2F/max-connections", json!(0)).await.expect(204);
    let refused = target.connect(GUEST, "%2f").await.unwrap_err();
    let text = "NOT_ALLOWED - access to vhost '/' refused for user 'guest': connection limit (0) is reached";
    assert!(refused.contains(text), "{refused}");
    target.delete("vhost-limits/%2F/max-connections").await.expect(204);
    set(&target, "user-limits/guest/max-connections", json!(0)).await.expect(204);
    let refused = target.connect(GUEST, "%2f").await.unwrap_err();
    let text = "NOT_ALLOWED - connection refused for user 'guest': user connection limit (0) is reached";
    assert!(refused.contains(text), "{refused}");
    target.delete("user-limits/guest/max-connections").await.expect(204);
    target.connect(GUEST, "%2f").await.unwrap();
}

#[tokio::test]
async fn lim_02_limits_of_users_are_set_shown_and_go_with_their_user() {
    let target = Target::start().await;
    target.put("users/u", r#"{"password":"p","tags":""}"#).await.expect(201);
    set(&target, "user-limits/u/max-connections", json!(1)).await.expect(204);
    set(&target, "user-limits/u/max-channels", json!(-7)).await.expect(204);
    let limits = json!({ "max-channels": -7, "max-connections": 1 });
    assert_eq!(target.get("user-limits").await.json(), json!([{ "user": "u", "value": limits }]));
    assert_eq!(target.get("user-limits/u").await.json(), json!([{ "user": "u", "value": limits }]));
    assert_eq!(target.get("users/u").await.json()["limits"], limits);
    assert_eq!(target.get("user-limits/guest").await.json(), json!([]));
    target.get("user-limits/none").await.refused(404, "Object Not Found", "Not Found");
    for (name, value, reason) in [
        ("max-channels", json!("x"), "max-channels should be a number, actually was <<\"x\">>"),
        ("bogus", json!(1), "Unrecognised terms [{<<\"bogus\">>,1}] in user-limits"),
    ] {
        set(&target, &format!("user-limits/u/{name}"), value).await.refused(400, "bad_request", reason);
    }
    set(&target, "user-limits/none/max-channels", json!(1)).await.refused(
        400,
        "bad_request",
        "no_such_user: none",
    );
    target.delete("user-limits/u/max-channels").await.expect(204);
    assert_eq!(target.get("users/u").await.json()["limits"], json!({ "max-connections": 1 }));
    target.delete("users/u").await.expect(204);
    assert_eq!(target.get("user-limits").await.json(), json!([]));
    target.put("users/u", r#"{"password":"p","tags":""}"#).await.expect(201);
    assert_eq!(target.get("users/u").await.json()["limits"], json!({}));
}

#[tokio::test]
async fn usr_04_parameters_are_of_components_that_there_are() {
    let target = Target::start().await;
    let bogus = set(&target, "parameters/bogus/%2F/x", json!(1)).await;
    bogus.refused(400, "bad_request", "Validation failed\n\ncomponent bogus not found\n");
    let own_way = set(&target, "parameters/policy/%2F/x", json!(1)).await;
    own_way.refused(400, "bad_request", "policies may not be set using this method");
    let limits = json!({ "max-queues": 5 });
    set(&target, "parameters/vhost-limits/%2F/limits", limits.clone()).await.expect(201);
    set(&target, "parameters/vhost-limits/%2F/limits", limits.clone()).await.expect(204);
    assert_eq!(target.get("vhost-limits/%2F").await.json()[0]["value"], limits);
    let wrong = set(&target, "parameters/vhost-limits/%2F/limits", json!({ "bogus": 5 })).await;
    wrong.refused(
        400,
        "bad_request",
        "Validation failed\n\nUnrecognised terms [{<<\"bogus\">>,5}] in limits\n",
    );
    assert_eq!(target.get("parameters/bogus").await.json(), json!([]));
    assert_eq!(target.get("parameters/bogus/%2F").await.json(), json!([]));
    target.get("parameters/vhost-limits/none").await.expect(404);
    target.get("parameters/vhost-limits/%2F/none").await.expect(404);
    target.delete("parameters/vhost-limits/%2F/none").await.expect(404);
    target.delete("parameters/vhost-limits/%2F/limits").await.expect(204);
    assert_eq!(target.get("parameters").await.json(), json!([]));
    // Policies of operators are parameters, too; those of others only if they are asked for.
    let policy =
        json!({ "pattern": "x", "apply-to": "all", "definition": { "max-length": 1 }, "priority": 0 });
    set(&target, "parameters/operator_policy/%2F/o", policy.clone()).await.expect(201);
    target.put("policies/%2F/p", &policy.to_string()).await.expect(201);
    assert_eq!(target.get("operator-policies/%2F/o").await.json()["definition"], policy["definition"]);
    assert_eq!(target.get("parameters").await.json().as_array().unwrap().len(), 1);
    let listed = json!([{ "vhost": "/", "component": "policy", "name": "p", "value": policy }]);
    assert_eq!(target.get("parameters/policy").await.json(), listed);
}

#[tokio::test]
async fn usr_04_parameters_of_the_node_hold_anything() {
    let target = Target::start().await;
    let all = target.get("global-parameters").await.json();
    let id = all[0]["value"].as_str().unwrap();
    assert!(all[0]["name"] == "internal_cluster_id" && id.starts_with("rabbitmq-cluster-id-"), "{all}");
    let value = json!({ "a": [1, "x", null, 1.5] });
    set(&target, "global-parameters/g", value.clone()).await.expect(201);
    assert_eq!(target.get("global-parameters/g").await.json(), json!({ "name": "g", "value": value }));
    set(&target, "global-parameters/g", json!(5)).await.expect(204);
    assert_eq!(target.get("global-parameters/g").await.json()["value"], 5);
    target.put("global-parameters/g", "{}").await.refused(400, "bad_request", "[{key_missing,value}]");
    target.delete("global-parameters/g").await.expect(204);
    target.delete("global-parameters/g").await.refused(404, "Object Not Found", "Not Found");
    target.get("global-parameters/g").await.refused(404, "Object Not Found", "Not Found");
}

#[tokio::test]
async fn features_and_logins_are_what_clients_look_for() {
    let target = Target::start().await;
    let flags = target.get("feature-flags").await.expect(200).json();
    for needed in ["quorum_queue", "stream_queue"] {
        let is_on = |flag: &Value| flag["name"] == needed && flag["state"] == "enabled";
        assert!(flags.as_array().unwrap().iter().any(is_on), "{needed}");
    }
    target.put("feature-flags/quorum_queue/enable", "{}").await.expect(204);
    target.put("feature-flags/bogus/enable", "{}").await.refused(400, "bad_request", "unsupported");
    target.post("rebalance/queues", "").await.expect(204);
    target.get("rebalance/queues").await.expect(405);
    let hash = target.get("auth/hash_password/secret").await.expect(200).json();
    let user = json!({ "password_hash": hash["ok"], "tags": "management" });
    target.put("users/u", &user.to_string()).await.expect(201);
    target.request(("u", "secret"), "GET", "whoami", &[], "").await.expect(200);
    let form = |body: &str| {
        format!(
            "POST /api/login HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let reply = target.raw(form("username=u&password=secret").as_bytes()).await.expect(200);
    assert_eq!(reply.json(), "ok");
    assert!(reply.header("set-cookie").unwrap().starts_with("auth=dTpzZWNyZXQ=;"), "{reply:?}");
    let reply = target.raw(form("username=u&password=wrong").as_bytes()).await;
    reply.refused(401, "not_authorized", "Login failed");
}

/// A broker of the built binary; it is killed, not stopped, when this goes.
struct Spawned {
    child: std::process::Child,
    port: u16,
}

impl Drop for Spawned {
    fn drop(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }
}

impl Spawned {
    async fn on(data: &std::path::Path) -> Spawned {
        let ports = data.with_extension("ports");
        let _none_yet = std::fs::remove_file(&ports);
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_leveret"));
        command.args(["--config", "none", "--rabbitmq-conf", "none", "--amqp", "127.0.0.1:0"]);
        command.args(["--management", "127.0.0.1:0", "--data-dir"]).arg(data).arg("--port-file").arg(&ports);
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        let mut spawned = Spawned { child: command.spawn().expect("the broker starts"), port: 0 };
        let read = || -> Option<u16> {
            let known: Value = serde_json::from_str(&std::fs::read_to_string(&ports).ok()?).ok()?;
            known["management_port"].as_u64()?.try_into().ok()
        };
        eventually("the broker says its ports", || async { read().is_some() }).await;
        spawned.port = read().expect("they do not change");
        spawned
    }

    async fn ask(&self, method: &str, path: &str, body: &str) -> Reply {
        crate::http::ask(([127, 0, 0, 1], self.port).into(), GUEST, method, path, &[], body).await
    }
}

#[tokio::test]
async fn rst_20_what_was_answered_survives_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let broker = Spawned::on(&data).await;
    for number in 0..20 {
        let policy = format!(r#"{{"pattern":"^q{number}","definition":{{"max-length":{number}}}}}"#);
        broker.ask("PUT", &format!("policies/%2F/p{number}"), &policy).await.expect(201);
    }
    broker.ask("DELETE", "policies/%2F/p7", "").await.expect(204);
    broker.ask("PUT", "vhost-limits/%2F/max-queues", r#"{"value":5}"#).await.expect(204);
    let topics = r#"{"exchange":"x","write":"","read":""}"#;
    broker.ask("PUT", "topic-permissions/%2F/guest", topics).await.expect(201);
    let before = broker.ask("GET", "definitions", "").await.json();
    drop(broker);
    let broker = Spawned::on(&data).await;
    let after = broker.ask("GET", "definitions", "").await.json();
    assert_eq!(before["policies"].as_array().unwrap().len(), 19);
    assert_eq!(after, before);
}

#[tokio::test]
async fn que_55_a_vhost_has_a_type_for_queues_that_name_none() {
    let target = Target::start().await;
    target.put("vhosts/v", r#"{"default_queue_type":"quorum"}"#).await.expect(201);
    assert_eq!(target.get("vhosts/v").await.json()["default_queue_type"], "quorum");
    let connection = target.connect(GUEST, "v").await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare("q".into(), durable, FieldTable::default()).await.unwrap();
    channel.queue_declare("q".into(), durable, FieldTable::default()).await.expect("it is the same again");
    let exclusive = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
    channel.queue_declare("x".into(), exclusive, FieldTable::default()).await.expect("classic after all");
    let mut table = FieldTable::default();
    table.insert("x-queue-type".into(), AMQPValue::LongString("classic".into()));
    channel.queue_declare("c".into(), durable, table).await.unwrap();
    let shown = async |name: &str| target.get(&format!("queues/v/{name}")).await.json();
    let queue = shown("q").await;
    assert_eq!(
        (&queue["type"], &queue["arguments"]),
        (&json!("quorum"), &json!({ "x-queue-type": "quorum" }))
    );
    let queue = shown("x").await;
    assert_eq!((&queue["type"], &queue["arguments"]), (&json!("classic"), &json!({})));
    assert_eq!(shown("c").await["type"], "classic");
    // The server names no quorum queues (QUE-03).
    let refused =
        channel.queue_declare("".into(), durable, FieldTable::default()).await.unwrap_err().to_string();
    let text = "PRECONDITION_FAILED - Cannot declare a server-named queue for type rabbit_quorum_queue";
    assert!(refused.contains(text), "{refused}");
    target.put("vhosts/v", r#"{"default_queue_type":"bogus"}"#).await.expect(400);
    target.put("vhosts/v", r#"{"default_queue_type":"undefined"}"#).await.expect(204);
    target.put("queues/v/later", r#"{"durable":true}"#).await.expect(201);
    assert_eq!(shown("later").await["type"], "classic");
}

#[tokio::test]
async fn rst_20_parameters_limits_and_default_types_survive() {
    let directory = tempfile::tempdir().unwrap();
    let target = Target::on_disk(directory.path().to_owned()).await;
    target.put("vhosts/v", r#"{"default_queue_type":"quorum"}"#).await.expect(201);
    target.put("vhosts/gone", r#"{"default_queue_type":"quorum"}"#).await.expect(201);
    set(&target, "vhost-limits/v/max-queues", json!(0)).await.expect(204);
    set(&target, "vhost-limits/gone/max-queues", json!(0)).await.expect(204);
    set(&target, "user-limits/guest/max-connections", json!(0)).await.expect(204);
    set(&target, "global-parameters/g", json!([1])).await.expect(201);
    let topics = r#"{"exchange":"x","write":"^a","read":"^b"}"#;
    target.put("topic-permissions/v/guest", topics).await.expect(201);
    target.delete("vhosts/gone").await.expect(204);
    target.put("vhosts/gone", "").await.expect(201);
    let before = target.get("definitions").await.json();
    target.broker.shutdown().await;

    let target = Target::on_disk(directory.path().to_owned()).await;
    assert_eq!(target.get("definitions").await.json(), before);
    assert_eq!(target.get("vhosts/v").await.json()["default_queue_type"], "quorum");
    target.put("queues/v/q", "{}").await.expect(400);
    target.put("queues/gone/q", "{}").await.expect(201);
    assert!(target.connect(GUEST, "%2f").await.unwrap_err().contains("user connection limit (0) is reached"));
}

#[tokio::test]
async fn new_vhosts_get_the_limits_of_the_first_pattern_that_matches() {
    let limits = |pattern: &str, connections_max, queues_max| leveret::engine::NewVhostLimits {
        pattern: pattern.to_owned(),
        connections_max,
        queues_max,
    };
    let target = Target::configured(|config| {
        config.limits.new_vhosts = vec![limits("^shop", Some(0), Some(1)), limits(".*", None, Some(2))];
    })
    .await;
    target.put("vhosts/shop1", "").await.expect(201);
    let of =
        async |vhost: &str| target.get(&format!("vhost-limits/{vhost}")).await.json()[0]["value"].clone();
    assert_eq!(of("shop1").await, json!({ "max-connections": 0, "max-queues": 1 }));
    assert_eq!(of("%2F").await, json!({ "max-queues": 2 }), "the first one, too");
    let refused = target.connect(GUEST, "shop1").await.unwrap_err();
    assert!(refused.contains("connection limit (0) is reached"), "{refused}");
    target.put("queues/shop1/one", "{}").await.expect(201);
    target.put("queues/shop1/two", "{}").await.expect(400);
    // What operators set stays, and definitions that say so come after.
    target.delete("vhost-limits/shop1/max-queues").await.expect(204);
    target.put("vhosts/shop1", r#"{"description":"d"}"#).await.expect(204);
    assert_eq!(of("shop1").await, json!({ "max-connections": 0 }));
    let definitions = r#"{"vhosts":[{"name":"shop2","limits":{"max-queues":7}},{"name":"shop3"}]}"#;
    target.post("definitions", definitions).await.expect(204);
    assert_eq!(of("shop3").await, json!({ "max-connections": 0, "max-queues": 1 }));
    assert_eq!(of("shop2").await["max-queues"], 7);
}
