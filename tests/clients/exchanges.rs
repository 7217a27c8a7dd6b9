//! Where messages go: the exchange types, bindings, exchange-to-exchange, alternate exchanges.

use lapin::{ExchangeKind, options::*, types::FieldTable};

use crate::{fixture::Fixture, support::*};

#[tokio::test]
async fn exc_11_default_exchange_routes_by_queue_name_and_cannot_be_touched() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let queue = peer.declare("by.name").await;
    peer.publish("", &queue, "straight").await;
    peer.publish("", "by.*", "no wildcard").await;
    let message = peer.take(&queue).await;
    assert_eq!((message.exchange.as_str(), message.routing_key.as_str()), ("", queue.as_str()));
    assert_eq!(body(&message), "straight");
    assert_eq!(peer.ready(&queue).await, 0);

    let (options, none) = (QueueBindOptions::default(), FieldTable::default());
    let bind = peer.queue_bind(queue.as_str().into(), "".into(), "key".into(), options, none);
    assert_reply(
        refusal(within("channel.close", bind).await),
        403,
        "operation not permitted on the default exchange",
    );
}

#[tokio::test]
async fn exc_08_the_log_is_published_nowhere() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let passive = ExchangeDeclareOptions { passive: true, ..Default::default() };
    let (kind, none) = (ExchangeKind::Topic, FieldTable::default());
    let declare = peer.exchange_declare("amq.rabbitmq.log".into(), kind, passive, none);
    let refused = refusal(within("channel.close", declare).await);
    assert_reply(refused, 404, "no exchange 'amq.rabbitmq.log' in vhost");
}

#[tokio::test]
async fn exc_40_direct_compares_the_whole_key() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let exchange = peer.exchange("direct", ExchangeKind::Direct).await;
    let red = peer.bound(&exchange, "red").await;
    let also_red = peer.bound(&exchange, "red").await;
    let empty = peer.bound(&exchange, "").await;
    for key in ["red", "Red", "red.", "", "*", "#"] {
        peer.publish(&exchange, key, key).await;
    }
    assert_eq!(peer.drain(&red).await, ["red"]);
    assert_eq!(peer.drain(&also_red).await, ["red"]);
    assert_eq!(peer.drain(&empty).await, [""]);
}

#[tokio::test]
async fn exc_41_fanout_ignores_keys() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let exchange = peer.exchange("fanout", ExchangeKind::Fanout).await;
    let (first, second) = (peer.bound(&exchange, "a").await, peer.bound(&exchange, "b").await);
    peer.publish(&exchange, "c", "to all").await;
    assert_eq!(peer.drain(&first).await, ["to all"]);
    assert_eq!(peer.drain(&second).await, ["to all"]);
}

#[tokio::test]
async fn exc_50_to_65_topic_patterns() {
    let table: &[(&str, &[&str], &[&str])] = &[
        ("#", &["", "a", "a.b.c", "."], &[]),
        ("*", &["a"], &["", "a.b", "."]),
        ("", &[""], &["a", "."]),
        ("#.#", &["", "a", "a.b"], &[]),
        ("*.#", &["a", "a.b", ".a", "."], &[""]),
        ("#.*", &["a", "a.b"], &[""]),
        ("*.*", &[".", "a.", ".a", "a.b"], &["", "a", ".."]),
        ("a.#", &["a", "a.", "a.b.c"], &["ab", "b"]),
        ("#.a", &["a", ".a", "b.a", "b.c.a"], &["aa"]),
        ("a.*.c", &["a.b.c", "a..c"], &["a.c", "a.b.b.c"]),
        ("a.#.c", &["a.c", "a..c", "a.b.c", "a.b.b.c"], &["a.b"]),
        ("a.", &["a."], &["a", "a.b"]),
        (".", &["."], &["", "a."]),
        ("a*.b", &["a*.b"], &["aa.b"]),
        ("a#", &["a#"], &["ab", "a"]),
        ("#.a.#", &["a", "b.a", "a.b", "x.a.y"], &["b"]),
        ("#.a.#.b.#", &["a.b", "x.a.y.b.z"], &["b.a"]),
    ];
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    for (pattern, matching, others) in table {
        let exchange = peer.exchange("topic", ExchangeKind::Topic).await;
        let queue = peer.bound(&exchange, pattern).await;
        for key in matching.iter().chain(*others) {
            peer.publish(&exchange, key, key).await;
        }
        assert_eq!(peer.drain(&queue).await, *matching, "pattern {pattern:?}");
    }
}

#[tokio::test]
async fn exc_10_overlapping_bindings_give_one_copy() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let exchange = peer.exchange("topic", ExchangeKind::Topic).await;
    let queue = peer.bound(&exchange, "a.#").await;
    peer.bind(&queue, &exchange, "#.b").await;
    peer.bind(&queue, &exchange, "*.*").await;
    peer.publish(&exchange, "a.b", "once").await;
    assert_eq!(peer.drain(&queue).await, ["once"]);
}

#[tokio::test]
async fn exc_13_14_binding_twice_is_one_binding_and_unbind_is_exact() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let exchange = peer.exchange("direct", ExchangeKind::Direct).await;
    let queue = peer.bound(&exchange, "k").await;
    peer.bind(&queue, &exchange, "k").await;
    peer.bind(&queue, &exchange, "other").await;
    let unbind = |key: &str| {
        peer.queue_unbind(queue.as_str().into(), exchange.as_str().into(), key.into(), FieldTable::default())
    };
    within("queue.unbind-ok", unbind("never bound")).await.unwrap();
    peer.publish(&exchange, "k", "bound").await;
    within("queue.unbind-ok", unbind("k")).await.unwrap();
    peer.publish(&exchange, "k", "unbound").await;
    peer.publish(&exchange, "other", "still bound").await;
    assert_eq!(peer.drain(&queue).await, ["bound", "still bound"]);
}

#[tokio::test]
async fn exc_30_exchange_bindings_with_cycles_end_and_give_one_copy() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let mut ring = Vec::new();
    for name in ["a", "b", "c"] {
        ring.push(peer.exchange(name, ExchangeKind::Fanout).await);
    }
    // a -> b -> c -> a, and a -> a.
    for (source, destination) in [(0, 1), (1, 2), (2, 0), (0, 0)] {
        exchange_bind(&peer, &ring[destination], &ring[source], "").await;
    }
    let queue = peer.bound(&ring[2], "").await;
    let at_the_start = peer.bound(&ring[0], "").await;
    peer.publish(&ring[0], "key", "around").await;
    let message = peer.take(&queue).await;
    // EXC-31: what the receiver sees is where it was published.
    assert_eq!((message.exchange.as_str(), message.routing_key.as_str()), (ring[0].as_str(), "key"));
    assert_eq!(peer.ready(&queue).await, 0);
    assert_eq!(peer.drain(&at_the_start).await, ["around"]);
}

#[tokio::test]
async fn exc_31_each_hop_matches_by_its_own_type() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let topic = peer.exchange("topic", ExchangeKind::Topic).await;
    let direct = peer.exchange("direct", ExchangeKind::Direct).await;
    exchange_bind(&peer, &direct, &topic, "log.#").await;
    let queue = peer.bound(&direct, "log.error").await;
    for key in ["log.error", "log.info", "error"] {
        peer.publish(&topic, key, key).await;
    }
    assert_eq!(peer.drain(&queue).await, ["log.error"]);
    within(
        "exchange.unbind-ok",
        peer.exchange_unbind(
            direct.as_str().into(),
            topic.as_str().into(),
            "log.#".into(),
            ExchangeUnbindOptions::default(),
            FieldTable::default(),
        ),
    )
    .await
    .unwrap();
    peer.publish(&topic, "log.error", "unbound").await;
    assert_eq!(peer.ready(&queue).await, 0);
}

#[tokio::test]
async fn exc_21_22_alternate_exchange_gets_what_found_no_way() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let fallback = peer.exchange("fallback", ExchangeKind::Fanout).await;
    let lost = peer.bound(&fallback, "").await;
    let arguments = table([("alternate-exchange", text(&fallback))]);
    let exchange = peer.exchange_with("main", ExchangeKind::Direct, arguments).await;
    let found = peer.bound(&exchange, "known").await;
    peer.publish(&exchange, "known", "found").await;
    let confirmation = peer.publish_mandatory(&exchange, "unknown", "lost").await;
    // EXC-25: reaching the alternate exchange's queue counts as routed.
    assert!(confirmation.take_message().is_none());
    assert_eq!(peer.drain(&found).await, ["found"]);
    let message = peer.take(&lost).await;
    assert_eq!(body(&message), "lost");
    assert_eq!((message.exchange.as_str(), message.routing_key.as_str()), (exchange.as_str(), "unknown"));
}

#[tokio::test]
async fn exc_23_25_a_cycle_of_alternates_ends_and_mandatory_returns() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let (one, two) = (unique("ae-one"), unique("ae-two"));
    for (name, alternate) in [(&one, &two), (&two, &one)] {
        let arguments = table([("alternate-exchange", text(alternate))]);
        let options = ExchangeDeclareOptions::default();
        let declare = peer.exchange_declare(name.as_str().into(), ExchangeKind::Direct, options, arguments);
        within("exchange.declare-ok", declare).await.unwrap();
    }
    let returned = peer.publish_mandatory(&one, "nowhere", "around").await.take_message().expect("a return");
    assert_eq!(returned.reply_code, 312);
    assert_eq!((returned.exchange.as_str(), returned.routing_key.as_str()), (one.as_str(), "nowhere"));
}

#[tokio::test]
async fn exc_24_a_missing_alternate_exchange_is_as_none() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let arguments = table([("alternate-exchange", text(&unique("missing")))]);
    let exchange = peer.exchange_with("main", ExchangeKind::Direct, arguments).await;
    assert!(peer.publish(&exchange, "nowhere", "dropped").await.is_ack());
    assert!(peer.publish_mandatory(&exchange, "nowhere", "back").await.take_message().is_some());
}

#[tokio::test]
async fn exc_16_auto_delete_exchange_goes_with_its_last_binding() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let exchange = unique("auto");
    let options = ExchangeDeclareOptions { auto_delete: true, ..Default::default() };
    let declare =
        peer.exchange_declare(exchange.as_str().into(), ExchangeKind::Direct, options, FieldTable::default());
    within("exchange.declare-ok", declare).await.unwrap();
    // Never before it had a binding, and not while one is left.
    assert!(exchange_exists(&peer, &exchange).await);
    let (first, second) = (peer.bound(&exchange, "k").await, peer.bound(&exchange, "k").await);
    delete(&peer, &first).await;
    assert!(exchange_exists(&peer, &exchange).await);
    delete(&peer, &second).await;
    assert!(!exchange_exists(&peer, &exchange).await);
}

#[tokio::test]
async fn exc_15_a_deleted_exchange_comes_back_empty() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let exchange = peer.exchange("again", ExchangeKind::Fanout).await;
    let queue = peer.bound(&exchange, "").await;
    let delete = || peer.exchange_delete(exchange.as_str().into(), ExchangeDeleteOptions::default());
    within("exchange.delete-ok", delete()).await.unwrap();
    // CH-30: deleting what is not there is fine.
    within("exchange.delete-ok", delete()).await.unwrap();
    let options = ExchangeDeclareOptions::default();
    let declare =
        peer.exchange_declare(exchange.as_str().into(), ExchangeKind::Fanout, options, FieldTable::default());
    within("exchange.declare-ok", declare).await.unwrap();
    peer.publish(&exchange, "", "nobody bound").await;
    assert_eq!(peer.ready(&queue).await, 0);
}

#[tokio::test]
async fn ch_20_21_passive_exchange_declare() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let exchange = peer.exchange("here", ExchangeKind::Topic).await;
    // The type and the flags of a passive declare do not matter.
    assert!(exchange_exists(&peer, &exchange).await);
    assert!(!exchange_exists(&peer, &unique("not-here")).await);
}

#[tokio::test]
async fn ch_22_29_reserved_exchange_names() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let (options, none) = (ExchangeDeclareOptions::default(), FieldTable::default());
    let name = unique("amq.mine");
    let declare = peer.exchange_declare(name.as_str().into(), ExchangeKind::Direct, options, none.clone());
    assert_reply(refusal(within("channel.close", declare).await), 403, "contains reserved prefix 'amq.*'");

    let channel = peer.another_channel().await;
    let durable = ExchangeDeclareOptions { durable: true, ..Default::default() };
    let declare = channel.exchange_declare("amq.direct".into(), ExchangeKind::Direct, durable, none);
    within("exchange.declare-ok", declare).await.expect("CH-23: equal to the predeclared one");
    let delete = channel.exchange_delete("amq.direct".into(), ExchangeDeleteOptions::default());
    assert_reply(
        refusal(within("channel.close", delete).await),
        403,
        "deletion of system exchange 'amq.direct'",
    );
}

#[tokio::test]
async fn ch_25_26_inequivalent_exchange() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let name = peer.exchange("strict", ExchangeKind::Direct).await;
    let redeclare = async |kind, options, arguments| {
        let channel = peer.another_channel().await;
        refusal(
            within("channel.close", channel.exchange_declare(name.as_str().into(), kind, options, arguments))
                .await,
        )
    };
    let (same, none) = (ExchangeDeclareOptions::default(), FieldTable::default());
    let refused = redeclare(ExchangeKind::Fanout, same, none.clone()).await;
    assert_reply(refused, 406, "received 'fanout' but current is 'direct'");
    let durable = ExchangeDeclareOptions { durable: true, ..same };
    let refused = redeclare(ExchangeKind::Direct, durable, none).await;
    assert_reply(refused, 406, "inequivalent arg 'durable' for exchange");
    let refused = redeclare(ExchangeKind::Direct, same, table([("alternate-exchange", text("foo"))])).await;
    assert_reply(refused, 406, "received the value 'foo' of type 'longstr' but current is none");
}

#[tokio::test]
async fn ch_24_unknown_exchange_type_is_refused() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let kind = ExchangeKind::Custom("bogus".to_owned());
    let (options, none) = (ExchangeDeclareOptions::default(), FieldTable::default());
    let declare = peer.exchange_declare(unique("odd").into(), kind, options, none);
    // Old RabbitMQ closes the connection with 503 instead.
    let code = if fixture.is_ours() { 406 } else { 503 };
    assert_reply(refusal(within("a close", declare).await), code, "unknown exchange type 'bogus'");
}

#[tokio::test]
async fn ch_31_if_unused_protects_a_bound_exchange() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let exchange = peer.exchange("used", ExchangeKind::Direct).await;
    let queue = peer.bound(&exchange, "k").await;
    let channel = peer.another_channel().await;
    let if_unused = ExchangeDeleteOptions { if_unused: true, ..Default::default() };
    let refused = within("channel.close", channel.exchange_delete(exchange.as_str().into(), if_unused)).await;
    assert_reply(refusal(refused), 406, "in use");
    delete(&peer, &queue).await;
    within("exchange.delete-ok", peer.exchange_delete(exchange.as_str().into(), if_unused)).await.unwrap();
    assert!(!exchange_exists(&peer, &exchange).await);
}

#[tokio::test]
async fn ch_32_33_exchange_bind_needs_both_ends_and_unbind_needs_none() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let exchange = peer.exchange("end", ExchangeKind::Fanout).await;
    let missing = unique("missing");
    let none = FieldTable::default;
    let (to, from, key) = (missing.as_str(), exchange.as_str(), "k");
    let unbind =
        peer.exchange_unbind(to.into(), from.into(), key.into(), ExchangeUnbindOptions::default(), none());
    within("exchange.unbind-ok", unbind).await.unwrap();
    for (to, from) in [(to, from), (from, to)] {
        let channel = peer.another_channel().await;
        let options = ExchangeBindOptions::default();
        let bind = channel.exchange_bind(to.into(), from.into(), key.into(), options, none());
        let refused = refusal(within("channel.close", bind).await);
        assert_reply(refused, 404, &format!("no exchange '{missing}' in vhost"));
    }
}

#[tokio::test]
async fn ch_35_exc_17_internal_exchange_is_reached_through_others_only() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let internal = unique("internal");
    let options = ExchangeDeclareOptions { internal: true, ..Default::default() };
    let declare =
        peer.exchange_declare(internal.as_str().into(), ExchangeKind::Fanout, options, FieldTable::default());
    within("exchange.declare-ok", declare).await.unwrap();
    let outer = peer.exchange("outer", ExchangeKind::Fanout).await;
    exchange_bind(&peer, &internal, &outer, "").await;
    let queue = peer.bound(&internal, "").await;
    peer.publish(&outer, "", "through").await;
    assert_eq!(peer.drain(&queue).await, ["through"]);

    let watch = peer.watch().await;
    let options = BasicPublishOptions::default();
    let publish = peer.basic_publish(internal.as_str().into(), "".into(), options, b"no", Default::default());
    let _refused_later = publish.await;
    assert_reply(watch.closed().await, 403, "cannot publish to internal exchange");
}

async fn exchange_bind(channel: &lapin::Channel, destination: &str, source: &str, key: &str) {
    let (options, none) = (ExchangeBindOptions::default(), FieldTable::default());
    within(
        "exchange.bind-ok",
        channel.exchange_bind(destination.into(), source.into(), key.into(), options, none),
    )
    .await
    .unwrap();
}

/// Asks on a channel of its own, which a missing exchange costs.
async fn exchange_exists(peer: &Peer, exchange: &str) -> bool {
    let options = ExchangeDeclareOptions { passive: true, ..Default::default() };
    let channel = peer.another_channel().await;
    let declare =
        channel.exchange_declare(exchange.into(), ExchangeKind::Direct, options, FieldTable::default());
    match within("exchange.declare-ok or channel.close", declare).await {
        Ok(()) => true,
        Err(error) => {
            assert_reply(reply(&error), 404, &format!("no exchange '{exchange}' in vhost"));
            false
        }
    }
}

async fn delete(channel: &lapin::Channel, queue: &str) {
    let delete = channel.queue_delete(queue.into(), QueueDeleteOptions::default());
    within("queue.delete-ok", delete).await.unwrap();
}
