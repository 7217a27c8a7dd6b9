//! What waits in delayed exchanges: listed, counted, cancelled.

use lapin::{
    BasicProperties, Channel,
    options::{BasicPublishOptions, ConfirmSelectOptions},
    types::{AMQPValue, FieldTable},
};
use serde_json::{Value, json};

use crate::http::{GUEST, Target};

const EXCHANGE: &str =
    r#"{"type":"x-delayed-message","durable":true,"arguments":{"x-delayed-type":"fanout"}}"#;
const HOUR: u32 = 3_600_000;

async fn channel(target: &Target) -> Channel {
    let connection = target.connect(GUEST, "%2f").await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    channel
}

/// Publishes to the exchange `x` what is due in an hour and some milliseconds, and awaits the confirms.
async fn publish(channel: &Channel, messages: impl IntoIterator<Item = (u32, String)>, size: usize) {
    let mut confirms = Vec::new();
    for (after, key) in messages {
        let mut headers = FieldTable::default();
        headers.insert("x-delay".into(), AMQPValue::LongUInt(HOUR + after));
        let properties = BasicProperties::default().with_headers(headers).with_delivery_mode(2);
        let (options, body) = (BasicPublishOptions::default(), vec![b'x'; size]);
        let publish = channel.basic_publish("x".into(), key.as_str().into(), options, &body, properties);
        confirms.push(publish.await.unwrap());
    }
    for confirm in confirms {
        confirm.await.unwrap();
    }
}

fn keys(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|item| item["routing_key"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn what_waits_is_listed_and_cancelled() {
    let directory = tempfile::tempdir().unwrap();
    let target = Target::on_disk(directory.path().to_owned()).await;
    target.get("exchanges/%2F/x/delayed").await.expect(404);
    target.put("exchanges/%2F/x", EXCHANGE).await.expect(201);
    target.get("exchanges/%2F/amq.fanout/delayed").await.expect(404);
    let publisher = channel(&target).await;
    let messages = [(200_000, "late"), (1000, "a"), (100_000, "b")];
    publish(&publisher, messages.map(|(after, key)| (after, key.to_owned())), 5).await;

    let listed = target.get("exchanges/%2F/x/delayed").await.expect(200).json();
    assert_eq!(keys(&listed), ["a", "b", "late"]);
    assert_eq!((&listed["total_count"], &listed["page_count"]), (&json!(3), &json!(1)));
    let first = &listed["items"][0];
    assert_eq!(first["size"], 5);
    let due = |at: usize| listed["items"][at]["due"].as_u64().unwrap();
    assert!((98_000..100_000).contains(&(due(1) - due(0))), "{listed}");
    let second = target.get("exchanges/%2F/x/delayed?page=2&page_size=2").await.expect(200).json();
    assert_eq!((keys(&second), &second["page_count"]), (vec!["late"], &json!(2)));
    target.get("exchanges/%2F/x/delayed?page_size=0&page=1").await.expect(400);
    let exchange = target.get("exchanges/%2F/x").await.expect(200).json();
    assert_eq!(exchange["messages_delayed"], 3);
    let other = target.get("exchanges/%2F/amq.fanout").await.expect(200).json();
    assert_eq!(other.get("messages_delayed"), None);

    let id = first["id"].as_str().unwrap();
    let path = format!("exchanges/%2F/x/delayed/{id}");
    for nobody in ["nonsense", "1-0", "-"] {
        target.delete(&format!("exchanges/%2F/x/delayed/{nobody}")).await.expect(404);
    }
    target.delete(&path).await.expect(204);
    target.delete(&path).await.expect(404);
    target.broker.shutdown().await;

    let target = Target::on_disk(directory.path().to_owned()).await;
    let listed = target.get("exchanges/%2F/x/delayed").await.expect(200).json();
    assert_eq!(keys(&listed), ["b", "late"], "what was cancelled does not come back");
    target.delete("exchanges/%2F/x/delayed").await.expect(204);
    assert_eq!(target.get("exchanges/%2F/x").await.json()["messages_delayed"], 0);
    target.broker.shutdown().await;
    let target = Target::on_disk(directory.path().to_owned()).await;
    assert_eq!(target.get("exchanges/%2F/x/delayed").await.expect(200).json()["total_count"], 0);
}

#[tokio::test]
async fn whoever_may_delete_the_exchange_may_cancel() {
    let target = Target::start().await;
    target.put("exchanges/%2F/x", EXCHANGE).await.expect(201);
    target.put("users/reader", r#"{"password":"p","tags":"management"}"#).await.expect(201);
    let rights = r#"{"configure":"^other","write":".*","read":".*"}"#;
    target.put("permissions/%2F/reader", rights).await.expect(201);
    publish(&channel(&target).await, [(1, "k".to_owned())], 1).await;
    let reader = ("reader", "p");
    let listed = target.request(reader, "GET", "exchanges/%2F/x/delayed", &[], "").await.expect(200).json();
    let path = format!("exchanges/%2F/x/delayed/{}", listed["items"][0]["id"].as_str().unwrap());
    for path in [path.as_str(), "exchanges/%2F/x/delayed"] {
        target.request(reader, "DELETE", path, &[], "").await.expect(401);
    }
    target.delete(&path).await.expect(204);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_on_disk_is_listed_and_cancelled_too() {
    let directory = tempfile::tempdir().unwrap();
    let start = || {
        let path = directory.path().to_owned();
        Target::configured(move |config| {
            config.storage.data_dir = Some(path);
            config.limits.resident_max = 0;
        })
    };
    let target = start().await;
    target.put("exchanges/%2F/x", EXCHANGE).await.expect(201);
    let count = 3000;
    let publisher = channel(&target).await;
    publish(&publisher, (0..count).map(|number| (number * 7919 % count * 100, number.to_string())), 2000)
        .await;
    // Until most of it is in page files.
    crate::http::eventually("pages", || async {
        let files = std::fs::read_dir(directory.path().join("pages")).unwrap();
        3 << 20 < files.map(|file| file.unwrap().metadata().unwrap().len()).sum::<u64>()
    })
    .await;
    let mut seen = Vec::new();
    for page in 1..=6 {
        let path = format!("exchanges/%2F/x/delayed?page={page}&page_size=500");
        let listed = target.get(&path).await.expect(200).json();
        seen.extend(keys(&listed).into_iter().map(str::to_owned));
    }
    let last = target.get("exchanges/%2F/x/delayed?page=3000&page_size=1").await.expect(200).json();
    target
        .delete(&format!("exchanges/%2F/x/delayed/{}", last["items"][0]["id"].as_str().unwrap()))
        .await
        .expect(204);
    let mut all: Vec<String> = (0..count).map(|number| number.to_string()).collect();
    assert_eq!(seen.last().map(String::as_str), last["items"][0]["routing_key"].as_str());
    seen.sort();
    all.sort();
    assert_eq!(seen, all);
    target.broker.shutdown().await;

    let target = start().await;
    crate::http::eventually("all pages are known", || async {
        let listed = target.get("exchanges/%2F/x/delayed?page=2999&page_size=1").await.expect(200).json();
        assert_eq!(listed["total_count"], count - 1);
        listed["item_count"] == 1
    })
    .await;
    target.delete("exchanges/%2F/x/delayed").await.expect(204);
    assert_eq!(target.get("exchanges/%2F/x/delayed").await.expect(200).json()["total_count"], 0);
}
