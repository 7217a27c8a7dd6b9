//! The node, its health, and the rules of every request.

use serde_json::json;

use crate::http::{GUEST, Target};

#[tokio::test]
async fn without_credentials_browsers_are_asked_for_them_and_others_are_told() {
    let target = Target::start().await;
    let reply = target.raw(b"GET /api/overview HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert_eq!((reply.status, reply.body.as_str()), (401, ""));
    assert_eq!(reply.header("www-authenticate"), Some("Basic realm=\"RabbitMQ Management\""));
    let reply = target.request(("guest", "wrong"), "GET", "whoami", &[], "").await;
    reply.refused(401, "not_authorized", "Login failed");
    let reply = target.request(("nobody", ""), "GET", "whoami", &[], "").await;
    reply.refused(401, "not_authorized", "Login failed");
    assert_eq!(target.get("whoami").await.json(), json!({ "name": "guest", "tags": ["administrator"] }));
}

#[tokio::test]
async fn paths_and_methods_that_are_not_there() {
    let target = Target::start().await;
    target.get("nonsense").await.refused(404, "Object Not Found", "Not Found");
    let reply = target.post("overview", "").await;
    assert_eq!((reply.status, reply.body.as_str()), (405, ""));
    assert_eq!(reply.header("allow"), Some("HEAD, GET, OPTIONS"));
    let reply = target.raw(b"OPTIONS /api/vhosts/x HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert_eq!((reply.status, reply.header("allow")), (200, Some("HEAD, GET, PUT, DELETE, OPTIONS")));
    let reply = target.request(GUEST, "HEAD", "overview", &[], "").await;
    assert_eq!((reply.status, reply.body.as_str()), (200, ""));
    assert_eq!(target.request(GUEST, "HEAD", "vhosts/none", &[], "").await.status, 404);
    assert_eq!(target.request(GUEST, "GET", "overview", &[("accept", "text/html")], "").await.status, 406);
}

#[tokio::test]
async fn heads_and_bodies_are_bounded() {
    let target = Target::start().await;
    let long = "x".repeat(20_000);
    assert_eq!(target.request(GUEST, "GET", "whoami", &[("x-long", &long)], "").await.status, 431);
    // The body is refused by its announced length, before it is sent.
    let head = "PUT /api/vhosts/v HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 30000000\r\n\
                authorization: Basic Z3Vlc3Q6Z3Vlc3Q=\r\n\r\n{";
    assert_eq!(target.raw(head.as_bytes()).await.status, 413);
    let small = Target::configured(|config| config.management.max_body_size = 5_000).await;
    let body = format!("{{\"description\":\"{long}\"}}");
    small.put("vhosts/v", &body).await.expect(413);
    target.put("vhosts/v", &body).await.expect(201);
    // Whoever is not let in is told so before anything is read.
    let head = head.replace("Z3Vlc3Q6Z3Vlc3Q=", "Z3Vlc3Q6eA==");
    assert_eq!(target.raw(head.as_bytes()).await.status, 401);
}

#[tokio::test]
async fn the_overview_says_what_clients_look_for() {
    let target = Target::start().await;
    target.put("queues/%2F/q", "{}").await.expect(201);
    let overview = target.get("overview").await.expect(200).json();
    assert!(overview["rabbitmq_version"].as_str().unwrap().starts_with("4."), "{overview}");
    assert_eq!(overview["management_version"], overview["rabbitmq_version"]);
    assert_eq!(overview["object_totals"]["queues"], 1);
    assert_eq!(overview["object_totals"]["exchanges"], 8);
    assert_eq!(overview["queue_totals"]["messages"], 0);
    assert_eq!(overview["disable_stats"], false);
    assert!(overview["message_stats"].is_object());
    let port = target.broker.amqp_addr().port();
    assert_eq!(overview["listeners"][0]["port"], port);
    assert_eq!(overview["listeners"][0]["protocol"], "amqp");
    let node = overview["node"].as_str().unwrap();
    let one = target.get(&format!("nodes/{}", node.replace('@', "%40"))).await.expect(200).json();
    assert_eq!(
        (&one["name"], &one["running"], &one["mem_alarm"]),
        (&json!(node), &json!(true), &json!(false))
    );
    assert!(one["os_pid"].is_string() && one["fd_used"].as_u64().unwrap() != 0, "{one}");
    assert!(one["mem_used"].as_u64().unwrap() != 0, "{one}");
    target.get("nodes/other").await.refused(404, "Object Not Found", "Not Found");
    let narrow = target.get("overview?columns=object_totals.queues,none.such").await.json();
    assert_eq!(narrow, json!({ "object_totals": { "queues": 1 } }));
}

#[tokio::test]
async fn health_checks_follow_alarms_and_listeners() {
    let target = Target::start().await;
    let ok = json!({ "status": "ok" });
    for check in ["alarms", "local-alarms", "virtual-hosts", "is-in-service", "certificate-expiration/1/days"]
    {
        assert_eq!(target.get(&format!("health/checks/{check}")).await.expect(200).json(), ok, "{check}");
    }
    let quorum = target.get("health/checks/node-is-quorum-critical").await.expect(200).json();
    assert_eq!(quorum["reason"], "single node cluster");
    let port = target.broker.amqp_addr().port();
    let listens = target.get(&format!("health/checks/port-listener/{port}")).await.expect(200).json();
    assert_eq!(listens, json!({ "status": "ok", "port": port }));
    let missing = target.get("health/checks/port-listener/1").await.expect(503).json();
    assert_eq!((&missing["missing"], &missing["reason"]), (&json!(1), &json!("No active listener")));
    target.get("health/checks/protocol-listener/amqp091,http").await.expect(200);
    let missing = target.get("health/checks/protocol-listener/mqtt").await.expect(503).json();
    assert_eq!(missing["missing"], json!(["mqtt"]));
    target.get("health/checks/certificate-expiration/1/moons").await.expect(400);
    target.get("health/checks/other").await.expect(404);
    assert_eq!(target.get("aliveness-test/%2F").await.expect(200).json(), ok);
    target.get("aliveness-test/none").await.expect(404);

    target.broker.set_memory_limit(0);
    let failed = target.get("health/checks/local-alarms").await.expect(503).json();
    assert_eq!((&failed["status"], &failed["alarms"][0]["resource"]), (&json!("failed"), &json!("memory")));
}

#[tokio::test]
async fn metrics_are_what_prometheus_reads() {
    let target = Target::start().await;
    target.put("queues/%2F/q", "{}").await.expect(201);
    let reply =
        target.raw(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.expect(200);
    assert!(reply.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    let values = |name: &str| -> Vec<&str> {
        reply.body.lines().filter(|line| line.split([' ', '{']).next() == Some(name)).collect()
    };
    assert_eq!(values("rabbitmq_identity_info").len(), 1);
    assert_eq!(values("rabbitmq_queues"), ["rabbitmq_queues 1"]);
    assert_eq!(values("rabbitmq_alarms_memory_used_watermark"), ["rabbitmq_alarms_memory_used_watermark 0"]);
    let connections = "leveret_limit_refusals_total{limit=\"limits.connections_max\"} 0";
    assert!(values("leveret_limit_refusals_total").contains(&connections));
    assert!(
        values("leveret_limit_current")
            .contains(&"leveret_limit_current{limit=\"limits.connections_max\"} 0")
    );
    for line in reply.body.lines().filter(|line| !line.starts_with('#')) {
        let value = line.rsplit(' ').next().unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
    }
}

#[tokio::test]
async fn guessing_passwords_over_http_slows_amqp_down_too() {
    let target = Target::configured(|config| config.limits.login_failures_free = 1).await;
    for _ in 0..2 {
        target.request(("guest", "x"), "GET", "whoami", &[], "").await.expect(401);
    }
    let count = |name: &str| target.broker.limits().iter().find(|limit| limit.name == name).unwrap().refusals;
    let before = count("limits.login_failures_free");
    let connection = target.connect(GUEST, "%2f").await.unwrap();
    assert_eq!(count("limits.login_failures_free"), before + 1, "its login was delayed");
    connection.close(200, "".into()).await.unwrap();
}
