//! Connections, channels and consumers of real clients.

use futures_lite::StreamExt;
use lapin::{Event, options::*, types::FieldTable};
use serde_json::json;

use crate::http::{GUEST, Target, eventually};

#[tokio::test]
async fn a_client_is_seen_with_all_it_has() {
    let target = Target::start().await;
    let connection = target.connect(GUEST, "%2f").await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    channel.basic_qos(7, BasicQosOptions::default()).await.unwrap();
    let exclusive = QueueDeclareOptions { exclusive: true, ..Default::default() };
    channel.queue_declare("q".into(), exclusive, FieldTable::default()).await.unwrap();
    let mut arguments = FieldTable::default();
    arguments.insert("x-priority".into(), 5.into());
    let _consumer = channel
        .basic_consume("q".into(), "tag".into(), BasicConsumeOptions::default(), arguments)
        .await
        .unwrap();

    let connections = target.get("connections").await.expect(200).json();
    let seen = &connections[0];
    assert_eq!(connections.as_array().unwrap().len(), 1);
    let port = target.broker.amqp_addr().port();
    for (name, value) in [
        ("user", json!("guest")),
        ("vhost", json!("/")),
        ("user_provided_name", json!("the test")),
        ("protocol", json!("AMQP 0-9-1")),
        ("state", json!("running")),
        ("channels", json!(1)),
        ("ssl", json!(false)),
        ("port", json!(port)),
        ("auth_mechanism", json!("PLAIN")),
    ] {
        assert_eq!(seen[name], value, "{name}");
    }
    assert_eq!(seen["client_properties"]["capabilities"]["basic.nack"], true);
    let name = seen["name"].as_str().unwrap();
    assert_eq!(name, format!("127.0.0.1:{} -> 127.0.0.1:{port}", seen["peer_port"]));

    let path = name.replace(' ', "%20").replace('>', "%3E");
    assert_eq!(target.get(&format!("connections/{path}")).await.expect(200).json()["name"], name);
    let channels = target.get("channels").await.json();
    assert_eq!(channels, target.get(&format!("connections/{path}/channels")).await.json());
    for (field, value) in [
        ("name", json!(format!("{name} (1)"))),
        ("number", json!(1)),
        ("confirm", json!(true)),
        ("transactional", json!(false)),
        ("prefetch_count", json!(7)),
        ("consumer_count", json!(1)),
        ("messages_unacknowledged", json!(0)),
    ] {
        assert_eq!(channels[0][field], value, "{field}");
    }
    let one = target.get(&format!("channels/{path}%20(1)")).await.expect(200).json();
    let consumers = target.get("consumers").await.json();
    assert_eq!(one["consumer_details"], consumers);
    for (field, value) in [
        ("consumer_tag", json!("tag")),
        ("ack_required", json!(true)),
        ("exclusive", json!(false)),
        ("prefetch_count", json!(7)),
        ("active", json!(true)),
        ("arguments", json!({ "x-priority": 5 })),
        ("queue", json!({ "name": "q", "vhost": "/" })),
        ("consumer_timeout", json!(1_800_000)),
    ] {
        assert_eq!(consumers[0][field], value, "{field}");
    }
    let queue = target.get("queues/%2F/q").await.json();
    assert_eq!((&queue["consumers"], &queue["owner_pid_details"]["name"]), (&json!(1), &json!(name)));
    // Nobody else may have it.
    target.delete("queues/%2F/q").await.expect(400);
    let totals = target.get("overview").await.json()["object_totals"].clone();
    assert_eq!(
        (&totals["connections"], &totals["channels"], &totals["consumers"]),
        (&json!(1), &json!(1), &json!(1))
    );
    let of_user = target.get("connections/username/guest").await.json();
    assert_eq!(of_user[0]["name"], name);
    assert_eq!(target.get("connections/username/nobody").await.json(), json!([]));
    assert_eq!(target.get("vhosts/%2F/connections?page=1").await.json()["total_count"], 1);
}

#[tokio::test]
async fn what_is_deprecated_shows_whether_it_is_done_and_whether_it_is_used() {
    let target = Target::start().await;
    let all = target.get("deprecated-features").await.expect(200).json();
    let state = |name: &str| {
        let found = all.as_array().unwrap().iter().find(|feature| feature["name"] == name).unwrap();
        (found["deprecation_phase"].clone(), found["state"].clone())
    };
    assert_eq!(state("global_qos"), (json!("permitted_by_default"), json!("permitted")));
    assert_eq!(state("ram_node_type"), (json!("removed"), json!("denied")));
    assert_eq!(target.get("deprecated-features/used").await.json(), json!([]));

    let connection = target.connect(GUEST, "%2f").await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    target.put("queues/%2F/kept", r#"{"durable":true}"#).await.expect(201);
    let of_its_own = QueueDeclareOptions { exclusive: true, ..Default::default() };
    channel.queue_declare("own".into(), of_its_own, FieldTable::default()).await.unwrap();
    channel.basic_qos(5, BasicQosOptions { global: false }).await.unwrap();
    assert_eq!(target.get("deprecated-features/used").await.json(), json!([]));

    let names = async || {
        let used = target.get("deprecated-features/used?columns=name").await.expect(200).json();
        used.as_array().unwrap().iter().map(|feature| feature["name"].clone()).collect::<Vec<_>>()
    };
    target.put("queues/%2F/passing", "{}").await.expect(201);
    assert_eq!(names().await, ["transient_nonexcl_queues"]);
    channel.basic_qos(5, BasicQosOptions { global: true }).await.unwrap();
    assert_eq!(names().await, ["global_qos", "transient_nonexcl_queues"]);
}

#[tokio::test]
async fn con_82_a_connection_is_closed_with_the_reason_that_was_given() {
    let target = Target::start().await;
    target.get("connections/none").await.refused(404, "Object Not Found", "Not Found");
    for (headers, text) in [
        (&[("x-reason", "because I can")][..], "CONNECTION_FORCED - because I can"),
        (&[], "CONNECTION_FORCED - Closed via management plugin"),
    ] {
        let connection = target.connect(GUEST, "%2f").await.unwrap();
        let mut events = connection.events_listener();
        let name =
            target.get("connections?columns=name").await.json()[0]["name"].as_str().unwrap().to_owned();
        let path = format!("connections/{}", name.replace(' ', "%20").replace('>', "%3E"));
        target.request(GUEST, "DELETE", &path, headers, "").await.expect(204);
        let error = loop {
            if let Some(Event::Error(error)) = events.next().await {
                break error.to_string();
            }
        };
        assert!(error.contains(text), "{error}");
        eventually("the end of the connection", || async {
            target.get("connections").await.json() == json!([])
        })
        .await;
    }
}

#[tokio::test]
async fn users_without_tags_for_it_see_only_their_own() {
    let target = Target::start().await;
    target.put("users/u", r#"{"password":"p","tags":"management"}"#).await.expect(201);
    target.put("permissions/%2F/u", r#"{"configure":".*","write":".*","read":".*"}"#).await.expect(201);
    let theirs = target.connect(GUEST, "%2f").await.unwrap();
    let own = target.connect(("u", "p"), "%2f").await.unwrap();
    let user = ("u", "p");
    let seen = target.request(user, "GET", "connections?columns=user", &[], "").await.json();
    assert_eq!(seen, json!([{ "user": "u" }]));
    assert_eq!(target.get("connections").await.json().as_array().unwrap().len(), 2);
    let all = target.get("connections").await.json();
    let name = all.as_array().unwrap().iter().find(|item| item["user"] == "guest").unwrap()["name"].clone();
    let path = format!("connections/{}", name.as_str().unwrap().replace(' ', "%20").replace('>', "%3E"));
    let reason = "User not authorised to access object";
    target.request(user, "DELETE", &path, &[], "").await.refused(401, "not_authorised", reason);
    target.request(user, "DELETE", "connections/username/u", &[], "").await.expect(204);
    eventually("the end of its own", || async { !own.status().connected() }).await;
    assert!(theirs.status().connected());
}
