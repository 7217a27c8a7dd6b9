//! Very many queues: what an overview and a page of them say then.

use std::time::Duration;

use lapin::{Channel, options::*, types::FieldTable};
use serde_json::json;

use crate::http::{GUEST, Target, eventually};

/// More than sums are made over at once.
const MANY: usize = 2_100;

async fn declare(channel: &Channel, name: &str) {
    let options = QueueDeclareOptions { nowait: true, ..Default::default() };
    channel.queue_declare(name.into(), options, FieldTable::default()).await.unwrap();
}

#[tokio::test]
async fn sums_over_very_many_queues_are_those_of_the_last_look() {
    let target = Target::configured(|config| {
        config.management.sample_interval = Duration::from_millis(100);
    })
    .await;
    let client = target.connect(GUEST, "%2f").await.unwrap();
    let channel = client.create_channel().await.unwrap();
    for number in 0..MANY {
        declare(&channel, &format!("q{number:04}")).await;
    }
    channel.basic_qos(1, BasicQosOptions::default()).await.unwrap();
    let message =
        json!({ "properties": {}, "routing_key": "q0007", "payload": "x", "payload_encoding": "string" });
    target.post("exchanges/%2F/amq.default/publish", &message.to_string()).await.expect(200);
    // How many there are is known at once, what is in them after the next look.
    assert_eq!(target.get("overview").await.json()["object_totals"]["queues"], MANY);
    eventually("the message is in the sums", || async {
        target.get("overview").await.json()["queue_totals"]["messages_ready"] == 1
    })
    .await;
    assert_eq!(target.get("vhosts/%2F").await.json()["messages_ready"], 1);
    channel.queue_purge("q0007".into(), QueuePurgeOptions::default()).await.unwrap();
    eventually("it has gone from the sums", || async {
        target.get("overview").await.json()["queue_totals"]["messages_ready"] == 0
    })
    .await;
}

#[tokio::test]
async fn pages_go_through_the_queues_of_all_vhosts_in_order() {
    let target = Target::start().await;
    for vhost in ["a", "b"] {
        target.put(&format!("vhosts/{vhost}"), "{}").await.expect(201);
        let client = target.connect(GUEST, vhost).await.unwrap();
        let channel = client.create_channel().await.unwrap();
        // The first octets are the same in all of them, and their order is not that in which they come.
        for number in (0..30).rev() {
            declare(&channel, &format!("a-name-that-begins-as-all-others-do-{number:02}")).await;
        }
        declare(&channel, "Short").await;
        channel.basic_qos(1, BasicQosOptions::default()).await.unwrap();
        client.close(200, "bye".into()).await.unwrap();
    }
    let names = |query: &'static str| {
        let target = &target;
        async move {
            let page = target.get(&format!("queues?columns=vhost,name&{query}")).await.expect(200).json();
            let items = page["items"].as_array().unwrap();
            let name = |item: &serde_json::Value| {
                let name = item["name"].as_str().unwrap();
                format!("{}/{}", item["vhost"].as_str().unwrap(), name.rsplit('-').next().unwrap())
            };
            (items.iter().map(name).collect::<Vec<_>>(), page)
        }
    };
    let (first, page) = names("page=1&page_size=3").await;
    assert_eq!(first, ["a/Short", "a/00", "a/01"]);
    assert_eq!(
        (&page["total_count"], &page["filtered_count"], &page["page_count"]),
        (&json!(62), &json!(62), &json!(21))
    );
    assert_eq!(names("page=11&page_size=3").await.0, ["a/29", "b/Short", "b/00"], "over the end of a vhost");
    assert_eq!(names("page=21&page_size=3").await.0, ["b/28", "b/29"]);
    assert_eq!(names("page=1&page_size=2&sort_reverse=true").await.0, ["b/29", "b/28"]);
    assert_eq!(names("page=16&page_size=2&sort_reverse=true").await.0, ["b/Short", "a/29"]);
    let (found, page) = names("page=2&page_size=2&name=DO-1").await;
    assert_eq!(found, ["a/12", "a/13"]);
    assert_eq!((&page["total_count"], &page["filtered_count"]), (&json!(62), &json!(20)));
    assert_eq!(names("page=1&use_regex=true&name=^s").await.0, ["a/Short", "b/Short"]);
    target.get("queues?page=22&page_size=3").await.expect(400);
    assert_eq!(
        target.get("queues/b?page=1&page_size=1&columns=name").await.json()["items"],
        json!([{ "name": "Short" }])
    );
}
