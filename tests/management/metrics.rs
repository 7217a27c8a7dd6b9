//! What Prometheus collects, read as strictly as Prometheus reads it.

use std::collections::{BTreeMap, BTreeSet};

use futures_lite::StreamExt;
use lapin::{
    BasicProperties,
    options::{BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions},
    types::FieldTable,
};

use crate::http::{GUEST, Reply, Target, eventually};

async fn scrape(target: &Target, path: &str) -> Reply {
    target.raw(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes()).await
}

/// Each sample by its name and labels. Fails where Prometheus would, or would complain.
fn parse(text: &str) -> BTreeMap<String, f64> {
    let (mut samples, mut families) = (BTreeMap::new(), BTreeSet::new());
    let (mut family, mut kind) = ("", "");
    for line in text.lines() {
        if let Some(head) = line.strip_prefix("# TYPE ") {
            (family, kind) = head.split_once(' ').expect("a name and a kind");
            assert!(["counter", "gauge", "untyped", "histogram"].contains(&kind), "{line}");
            assert!(families.insert(family), "two families {family}");
            let is_counter = kind == "counter";
            assert_eq!(family.ends_with("_total"), is_counter, "{line}");
            continue;
        }
        if let Some(help) = line.strip_prefix("# HELP ") {
            assert_eq!(help.split(' ').next(), Some(family), "{line}");
            continue;
        }
        let (series, value) = line.rsplit_once(' ').expect("a series and a value");
        let name = series.split('{').next().unwrap();
        let base = match kind {
            "histogram" => {
                ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap()
            }
            _ => name,
        };
        assert_eq!(base, family, "{line} stands below another family");
        assert!(series.len() == name.len() || series.ends_with("\"}"), "{line}");
        let value = value.parse().unwrap_or_else(|_| panic!("{line}"));
        assert!(samples.insert(series.to_owned(), value).is_none(), "twice: {series}");
    }
    assert!(text.ends_with('\n'));
    samples
}

/// Two messages in a queue and one that was dropped. The channel closes when it is dropped.
async fn busy() -> (Target, lapin::Connection, lapin::Channel) {
    let target = Target::start().await;
    target.put("queues/%2F/q%22", "{}").await.expect(201);
    let connection = target.connect(GUEST, "%2f").await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    for key in ["q\"", "q\"", "nowhere"] {
        let options = BasicPublishOptions::default();
        let body = vec![0; 500];
        let sent = channel.basic_publish("".into(), key.into(), options, &body, BasicProperties::default());
        sent.await.unwrap().await.unwrap();
    }
    (target, connection, channel)
}

#[tokio::test]
async fn the_dashboards_series_are_there_and_right() {
    let (target, connection, _channel) = busy().await;
    let samples = parse(&scrape(&target, "/metrics").await.expect(200).body);
    let identities = samples.keys().filter(|series| series.starts_with("rabbitmq_identity_info{"));
    let identities: Vec<_> = identities.collect();
    assert!(
        identities.len() == 1 && identities[0].contains("rabbitmq_endpoint=\"aggregated\""),
        "{identities:?}"
    );
    let amqp = "{protocol=\"amqp091\"}";
    let classic = "{protocol=\"amqp091\",queue_type=\"rabbit_classic_queue\"}";
    for (series, value) in [
        ("rabbitmq_connections".to_owned(), 1.0),
        ("rabbitmq_channels".to_owned(), 1.0),
        ("rabbitmq_channel_consumers".to_owned(), 0.0),
        ("rabbitmq_channel_messages_unacked".to_owned(), 0.0),
        ("rabbitmq_channel_messages_unconfirmed".to_owned(), 0.0),
        ("rabbitmq_channel_messages_uncommitted".to_owned(), 0.0),
        ("rabbitmq_channel_acks_uncommitted".to_owned(), 0.0),
        ("rabbitmq_channel_prefetch".to_owned(), 0.0),
        ("rabbitmq_consumer_prefetch".to_owned(), 0.0),
        ("rabbitmq_queues".to_owned(), 1.0),
        ("rabbitmq_queue_messages_ready".to_owned(), 2.0),
        ("rabbitmq_queue_messages_bytes".to_owned(), 1000.0),
        ("rabbitmq_connections_opened_total".to_owned(), 1.0),
        ("rabbitmq_queues_created_total".to_owned(), 1.0),
        ("rabbitmq_channel_messages_unroutable_dropped_total".to_owned(), 1.0),
        (format!("rabbitmq_global_publishers{amqp}"), 1.0),
        (format!("rabbitmq_global_messages_received_total{amqp}"), 3.0),
        (format!("rabbitmq_global_messages_received_confirm_total{amqp}"), 3.0),
        (format!("rabbitmq_global_messages_confirmed_total{amqp}"), 3.0),
        (format!("rabbitmq_global_messages_routed_total{amqp}"), 2.0),
        (format!("rabbitmq_global_messages_unroutable_dropped_total{amqp}"), 1.0),
        (format!("rabbitmq_global_messages_delivered_total{classic}"), 0.0),
        ("rabbitmq_message_size_bytes_bucket{protocol=\"amqp091\",le=\"100\"}".to_owned(), 0.0),
        ("rabbitmq_message_size_bytes_bucket{protocol=\"amqp091\",le=\"1000\"}".to_owned(), 3.0),
        (format!("rabbitmq_message_size_bytes_sum{amqp}"), 1500.0),
        (format!("rabbitmq_auth_attempts_failed_total{amqp}"), 0.0),
    ] {
        assert_eq!(samples.get(&series), Some(&value), "{series}");
    }
    for queue_type in ["rabbit_quorum_queue", "rabbit_stream_queue"] {
        let labels = format!("{{protocol=\"amqp091\",queue_type=\"{queue_type}\"}}");
        assert!(samples.contains_key(&format!("rabbitmq_global_messages_acknowledged_total{labels}")));
    }
    assert!(samples["rabbitmq_connection_incoming_bytes_total"] > 1500.0);
    assert!(!samples.contains_key("rabbitmq_queue_head_message_timestamp"), "means nothing in a sum");

    connection.close(200, "".into()).await.unwrap();
    eventually("the connection is closed", || async {
        parse(&scrape(&target, "/metrics").await.body)["rabbitmq_connections_closed_total"] == 1.0
    })
    .await;
    let after = parse(&scrape(&target, "/metrics").await.body);
    for name in ["rabbitmq_connection_incoming_bytes_total", "rabbitmq_channel_messages_published_total"] {
        assert!(samples[name] <= after[name], "{name} went back");
    }
    assert_eq!(after[&format!("rabbitmq_global_messages_received_total{amqp}")], 3.0);
    assert_eq!(after[&format!("rabbitmq_global_publishers{amqp}")], 0.0);
}

#[tokio::test]
async fn objects_have_series_of_their_own() {
    let (target, _connection, channel) = busy().await;
    let consume = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
    let _consumer =
        channel.basic_consume("q\"".into(), "c".into(), consume, FieldTable::default()).await.unwrap();
    let queue = "{vhost=\"/\",queue=\"q\\\"\"}";
    eventually("both are delivered", || async {
        let samples = parse(&scrape(&target, "/metrics/per-object").await.expect(200).body);
        samples[&format!("rabbitmq_queue_messages_delivered_total{queue}")] == 2.0
    })
    .await;
    let samples = parse(&scrape(&target, "/metrics/per-object").await.body);
    assert_eq!(samples[&format!("rabbitmq_queue_messages_ready{queue}")], 0.0);
    assert_eq!(samples[&format!("rabbitmq_queue_consumers{queue}")], 1.0);
    assert!(samples[&format!("rabbitmq_queue_head_message_timestamp{queue}")].is_nan());
    assert_eq!(samples["rabbitmq_exchange_messages_published_total{vhost=\"/\",exchange=\"\"}"], 3.0);
    let of_channels =
        |name: &str| samples.keys().filter(|series| series.starts_with(&format!("{name}{{"))).count();
    assert_eq!(of_channels("rabbitmq_channel_messages_published_total"), 1);
    assert_eq!(of_channels("rabbitmq_channel_consumers"), 1);
    assert_eq!(of_channels("rabbitmq_connection_incoming_bytes_total"), 1);
}

#[tokio::test]
async fn sums_over_channels_are_of_what_they_hold_now() {
    let (target, connection, channel) = busy().await;
    channel.basic_qos(5, BasicQosOptions::default()).await.unwrap();
    let consume = BasicConsumeOptions::default();
    let mut consumer =
        channel.basic_consume("q\"".into(), "c".into(), consume, FieldTable::default()).await.unwrap();
    for _ in 0..2 {
        consumer.next().await.unwrap().unwrap();
    }
    let other = connection.create_channel().await.unwrap();
    other.tx_select().await.unwrap();
    let options = BasicPublishOptions::default();
    other.basic_publish("".into(), "q\"".into(), options, b"x", BasicProperties::default()).await.unwrap();
    other.basic_qos(7, BasicQosOptions::default()).await.unwrap();
    let samples = parse(&scrape(&target, "/metrics").await.expect(200).body);
    for (name, value) in [
        ("channel_consumers", 1.0),
        ("channel_messages_unacked", 2.0),
        ("consumer_prefetch", 12.0),
        ("channel_messages_uncommitted", 1.0),
    ] {
        assert_eq!(samples[&format!("rabbitmq_{name}")], value, "{name}");
    }
}

#[tokio::test]
async fn detailed_scrapes_choose_families_vhosts_and_queues() {
    let (target, _connection, _channel) = busy().await;
    target.put("vhosts/other", "{}").await.expect(201);
    target.put("queues/other/q2", "{}").await.expect(201);
    let names = |body: &str| -> Vec<String> {
        parse(body).into_keys().filter(|series| !series.contains("_info{")).collect()
    };
    assert_eq!(names(&scrape(&target, "/metrics/detailed").await.expect(200).body), Vec::<String>::new());
    let coarse = "/metrics/detailed?family=queue_consumer_count";
    assert_eq!(
        names(&scrape(&target, coarse).await.body),
        [
            "rabbitmq_detailed_queue_consumers{vhost=\"/\",queue=\"q\\\"\"}",
            "rabbitmq_detailed_queue_consumers{vhost=\"other\",queue=\"q2\"}"
        ]
    );
    assert_eq!(names(&scrape(&target, &format!("{coarse}&vhost=other")).await.body).len(), 1);
    assert_eq!(names(&scrape(&target, &format!("{coarse}&queue=^q2$")).await.body).len(), 1);
    let vhosts = names(&scrape(&target, "/metrics/detailed?family=vhost_status").await.body);
    assert_eq!(vhosts[0], "rabbitmq_cluster_vhost_status{vhost=\"/\"}");
    for path in ["/metrics/detailed?family=none", "/metrics/nothing", "/metrics/detailed?queue=("] {
        scrape(&target, path).await.expect(404);
    }
}

#[tokio::test]
async fn a_listener_of_its_own_has_metrics_and_nothing_else() {
    let target = Target::configured(|config| {
        config.prometheus.listen = vec!["127.0.0.1:0".parse().unwrap()];
        config.prometheus.per_object = true;
    })
    .await;
    let address = target.broker.prometheus_addrs()[0];
    let get = |path: &'static str| async move {
        let client = tokio::net::TcpStream::connect(address).await.unwrap();
        crate::http::exchange(
            client,
            format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes(),
        )
        .await
    };
    let samples = parse(&get("/metrics").await.expect(200).body);
    assert!(samples.keys().any(|series| series.contains("rabbitmq_endpoint=\"per-object\"")));
    assert!(!samples.contains_key("rabbitmq_queue_consumers"), "nothing says that no queue has consumers");
    parse(&get("/metrics/memory-breakdown").await.expect(200).body);
    get("/").await.expect(404);
    get("/api/overview").await.expect(404);
    let port = address.port();
    target.get(&format!("health/checks/port-listener/{port}")).await.expect(200);
    assert!(target.get("overview").await.body.contains("\"http/prometheus\""));
}

#[tokio::test]
async fn long_answers_are_compressed_for_who_reads_that() {
    let target = Target::start().await;
    let request = b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\naccept-encoding: gzip\r\n\r\n";
    let octets = target.octets(request).await;
    let at = octets.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let head = String::from_utf8_lossy(&octets[..at]).to_lowercase();
    assert!(head.contains("content-encoding: gzip"), "{head}");
    let mut text = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&octets[at + 4..]), &mut text).unwrap();
    assert!(parse(&text).contains_key("rabbitmq_queues"));
}

#[tokio::test]
async fn the_dashboard_of_ours_asks_for_series_that_there_are() {
    let (target, _connection, _channel) = busy().await;
    let mut known: BTreeSet<String> = BTreeSet::new();
    for path in ["/metrics", "/metrics/per-object"] {
        let samples = parse(&scrape(&target, path).await.body);
        known.extend(samples.keys().map(|series| series.split('{').next().unwrap().to_owned()));
    }
    // Only a broker with a disk has these.
    known.extend(["available", "available_limit"].map(|what| format!("rabbitmq_disk_space_{what}_bytes")));
    let dashboard: serde_json::Value =
        serde_json::from_str(include_str!("../../etc/grafana/leveret.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    assert!(panels.len() > 15);
    for target in panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap()) {
        let expression = target["expr"].as_str().unwrap();
        let mut words = expression.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
        let series =
            words.find(|word| ["rabbitmq_", "leveret_", "process_"].iter().any(|of| word.starts_with(of)));
        let series = series.unwrap_or_else(|| panic!("no series in {expression}"));
        assert!(known.contains(series), "{series} of {expression}");
    }
}
