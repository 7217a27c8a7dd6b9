//! Where messages go that a queue gives up: reasons, histories, cycles, and what people build from them.

use lapin::{
    BasicProperties, Confirmation, Consumer, ExchangeKind,
    message::Delivery,
    options::*,
    types::{AMQPValue, FieldTable},
};

use crate::{fixture::Fixture, support::*};

const REJECT: BasicNackOptions = BasicNackOptions { multiple: false, requeue: false };
/// Longer than any test.
const LONG_MS: &str = "600000";

fn int(value: i32) -> AMQPValue {
    AMQPValue::LongInt(value)
}

/// Arguments that dead-letter to a queue by way of the default exchange.
fn dying_into(queue: &str, more: &[(&str, AMQPValue)]) -> FieldTable {
    let to = [("x-dead-letter-exchange", text("")), ("x-dead-letter-routing-key", text(queue))];
    arguments(&to, more)
}

fn arguments(some: &[(&str, AMQPValue)], more: &[(&str, AMQPValue)]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in some.iter().chain(more) {
        table.insert((*name).into(), value.clone());
    }
    table
}

fn expiration(milliseconds: &str) -> BasicProperties {
    BasicProperties::default().with_expiration(milliseconds.into())
}

/// A queue with a consumer on it, and the consumer.
async fn grave(peer: &Peer) -> (String, Consumer) {
    let queue = peer.declare("grave").await;
    let consumer = peer.consume(&queue).await;
    (queue, consumer)
}

fn header<'a>(delivery: &'a Delivery, name: &str) -> Option<&'a AMQPValue> {
    delivery.properties.headers().as_ref()?.inner().get(name)
}

/// The events of x-death, latest first.
#[track_caller]
fn deaths(delivery: &Delivery) -> Vec<FieldTable> {
    let Some(AMQPValue::FieldArray(deaths)) = header(delivery, "x-death") else {
        panic!("no history: {:?}", delivery.properties.headers());
    };
    let table = |event: &AMQPValue| match event {
        AMQPValue::FieldTable(event) => event.clone(),
        other => panic!("not a table: {other:?}"),
    };
    deaths.as_slice().iter().map(table).collect()
}

/// Queue, reason and count of each event.
#[track_caller]
fn history(delivery: &Delivery) -> Vec<(String, String, i64)> {
    let text = |event: &FieldTable, name: &str| match event.inner().get(name) {
        Some(AMQPValue::LongString(text)) => text.to_string(),
        other => panic!("{name} is not a long string: {other:?}"),
    };
    let event = |event: FieldTable| {
        let Some(AMQPValue::LongLongInt(count)) = event.inner().get("count") else { panic!("{event:?}") };
        (text(&event, "queue"), text(&event, "reason"), *count)
    };
    deaths(delivery).into_iter().map(event).collect()
}

/// RabbitMQ before 4.0 turned everything after the latest event round with each further one; ours is sorted
/// from the latest to the first. With other brokers the order of the older events does not count.
fn assert_latest_first(fixture: &Fixture, delivery: &Delivery, mut expected: Vec<(String, String, i64)>) {
    let mut found = history(delivery);
    if !fixture.is_ours() {
        found[1..].sort();
        expected[1..].sort();
    }
    assert_eq!(found, expected);
}

fn event(queue: &str, reason: &str, count: i64) -> (String, String, i64) {
    (queue.to_owned(), reason.to_owned(), count)
}

#[tokio::test]
async fn dlx_01_08_rejected_messages_are_dead_lettered_as_new_ones() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let (grave, mut dead) = grave(&peer).await;
    let queue = peer.declare_with("mortal", dying_into(&grave, &[])).await;
    peer.fill(&queue, 0..4).await;
    let taken = [peer.take(&queue).await, peer.take(&queue).await, peer.take(&queue).await];
    taken[0].reject(BasicRejectOptions { requeue: false }).await.unwrap();
    taken[2].nack(BasicNackOptions { multiple: true, requeue: false }).await.unwrap();
    for expected in ["0", "1", "2"] {
        let message = dead.delivery().await;
        assert_eq!(body(&message), expected);
        assert_eq!(history(&message), [event(&queue, "rejected", 1)]);
        // DLX-08: to this queue it is new.
        assert!(!message.redelivered);
    }
    // Requeueing is no death.
    peer.take(&queue).await.nack(BasicNackOptions { requeue: true, ..REJECT }).await.unwrap();
    assert_eq!(peer.drain(&queue).await, ["3"]);
    peer.fence(&grave).await;
    dead.nothing().await;
}

#[tokio::test]
async fn dlx_01_09_expired_messages_are_dead_lettered_in_order() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let (grave, mut dead) = grave(&peer).await;
    let queue = peer.declare_with("mortal", dying_into(&grave, &[("x-message-ttl", int(50))])).await;
    peer.fill(&queue, 0..20).await;
    for expected in 0..20 {
        let message = dead.delivery().await;
        assert_eq!(body(&message), expected.to_string());
        assert_eq!(history(&message), [event(&queue, "expired", 1)]);
    }
    assert_eq!(peer.ready(&queue).await, 0);
}

#[tokio::test]
async fn dlx_01_len_02_dropped_heads_are_dead_lettered_and_confirmed() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let (grave, mut dead) = grave(&peer).await;
    let queue = peer.declare_with("mortal", dying_into(&grave, &[("x-max-length", int(2))])).await;
    for number in 0..5 {
        assert_eq!(peer.publish("", &queue, &number.to_string()).await, Confirmation::Ack(None));
    }
    for expected in ["0", "1", "2"] {
        let message = dead.delivery().await;
        assert_eq!(
            (body(&message).as_str(), history(&message)),
            (expected, vec![event(&queue, "maxlen", 1)])
        );
    }
    assert_eq!(peer.drain(&queue).await, ["3", "4"]);
}

#[tokio::test]
async fn len_06_refused_publishes_are_dead_lettered_and_nacked() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let (grave, mut dead) = grave(&peer).await;
    let limit = [("x-max-length", int(1)), ("x-overflow", text("reject-publish-dlx"))];
    let queue = peer.declare_with("mortal", dying_into(&grave, &limit)).await;
    assert_eq!(peer.publish("", &queue, "kept").await, Confirmation::Ack(None));
    assert_eq!(peer.publish("", &queue, "refused").await, Confirmation::Nack(None));
    let message = dead.delivery().await;
    assert_eq!((body(&message).as_str(), history(&message)), ("refused", vec![event(&queue, "maxlen", 1)]));
    assert_eq!(peer.drain(&queue).await, ["kept"]);
}

#[tokio::test]
async fn dlx_02_purged_deleted_and_refused_messages_are_not_dead_lettered() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let (grave, mut dead) = grave(&peer).await;
    let limit = [("x-max-length", int(1)), ("x-overflow", text("reject-publish"))];
    let queue = peer.declare_with("mortal", dying_into(&grave, &limit)).await;
    peer.publish("", &queue, "purged").await;
    assert_eq!(peer.publish("", &queue, "refused").await, Confirmation::Nack(None));
    within("purge-ok", peer.queue_purge(queue.as_str().into(), Default::default())).await.unwrap();
    peer.publish("", &queue, "deleted").await;
    within("delete-ok", peer.queue_delete(queue.as_str().into(), Default::default())).await.unwrap();
    peer.fence(&grave).await;
    dead.nothing().await;
}

#[tokio::test]
async fn dlx_04_05_routing_keys_and_copies() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let source = peer.exchange("source", ExchangeKind::Fanout).await;
    let dlx = peer.exchange("dlx", ExchangeKind::Direct).await;
    let own = peer.declare_with("own", table([("x-dead-letter-exchange", text(&dlx))])).await;
    let to_dlx = [("x-dead-letter-exchange", text(&dlx)), ("x-dead-letter-routing-key", text("named"))];
    let named = peer.declare_with("named", table(to_dlx)).await;
    peer.bind(&own, &source, "").await;
    peer.bind(&named, &source, "").await;
    let mut graves = Vec::new();
    for key in ["key", "copy", "named"] {
        let queue = peer.bound(&dlx, key).await;
        graves.push(peer.consume(&queue).await);
    }
    let properties = headers([("CC", texts(["copy"])), ("kept", int(1))]);
    peer.publish_with(&source, "key", b"x", properties).await;

    // All of the message's own keys count, and the copies stay.
    peer.take(&own).await.nack(REJECT).await.unwrap();
    for dead in &mut graves[..2] {
        let message = dead.delivery().await;
        assert_eq!((message.exchange.as_str(), message.routing_key.as_str()), (dlx.as_str(), "key"));
        assert_eq!(header(&message, "CC"), Some(&texts(["copy"])));
        assert_eq!(deaths(&message)[0].inner().get("routing-keys"), Some(&texts(["key", "copy"])));
    }
    // The queue's key replaces them all.
    peer.take(&named).await.nack(REJECT).await.unwrap();
    let message = graves[2].delivery().await;
    assert_eq!(message.routing_key.as_str(), "named");
    assert_eq!((header(&message, "CC"), header(&message, "kept")), (None, Some(&int(1))));
    assert_eq!(deaths(&message)[0].inner().get("routing-keys"), Some(&texts(["key", "copy"])));
    peer.fence(&own).await;
    graves[0].nothing().await;
    graves[1].nothing().await;
}

#[tokio::test]
async fn dlx_04_blind_copies_are_dead_lettered_too_but_never_shown() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let source = peer.exchange("source", ExchangeKind::Fanout).await;
    let dlx = peer.exchange("dlx", ExchangeKind::Direct).await;
    let queue = peer.declare_with("mortal", table([("x-dead-letter-exchange", text(&dlx))])).await;
    peer.bind(&queue, &source, "").await;
    let mut dead = peer.consume(&peer.bound(&dlx, "blind").await).await;
    let large = vec![b'x'; 10_000];
    for body in [&b"small"[..], &large] {
        peer.publish_with(&source, "key", body, headers([("BCC", texts(["blind"]))])).await;
        peer.take(&queue).await.nack(REJECT).await.unwrap();
        let message = dead.delivery().await;
        assert_eq!((message.routing_key.as_str(), &message.data[..]), ("key", body));
        assert_eq!(header(&message, "BCC"), None);
        assert_eq!(deaths(&message)[0].inner().get("routing-keys"), Some(&texts(["key"])));
    }
}

#[tokio::test]
async fn dlx_06_a_missing_exchange_drops_and_an_alternate_one_helps() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let dlx = unique("later");
    let queue = peer.declare_with("mortal", table([("x-dead-letter-exchange", text(&dlx))])).await;
    peer.publish("", &queue, "dropped").await;
    peer.take(&queue).await.nack(REJECT).await.unwrap();
    // The rejection has been carried out before the exchange exists.
    assert_eq!(peer.ready(&queue).await, 0);
    let last_resort = peer.exchange("last", ExchangeKind::Fanout).await;
    let (grave, mut dead) = grave(&peer).await;
    peer.bind(&grave, &last_resort, "").await;
    let alternate = table([("alternate-exchange", text(&last_resort))]);
    let options = ExchangeDeclareOptions::default();
    let declare = peer.exchange_declare(dlx.as_str().into(), ExchangeKind::Direct, options, alternate);
    within("declare-ok", declare).await.unwrap();
    peer.publish("", &queue, "rescued").await;
    peer.take(&queue).await.nack(REJECT).await.unwrap();
    let message = dead.delivery().await;
    assert_eq!((body(&message).as_str(), message.exchange.as_str()), ("rescued", dlx.as_str()));
}

#[tokio::test]
async fn dlx_07_properties_stay_but_the_expiration_becomes_history() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let (grave, mut dead) = grave(&peer).await;
    let queue = peer.declare_with("mortal", dying_into(&grave, &[])).await;
    let properties = headers([("b", text("1")), ("a", int(2))])
        .with_content_type("text/plain".into())
        .with_delivery_mode(2)
        .with_priority(7)
        .with_correlation_id("c".into())
        .with_message_id("m".into())
        .with_expiration("20".into());
    peer.publish_with("", &queue, b"body", properties.clone()).await;
    let message = dead.delivery().await;
    let (got, sent) = (&message.properties, &properties);
    assert_eq!(got.expiration(), &None);
    assert_eq!(
        (got.content_type(), got.delivery_mode(), got.priority(), got.correlation_id(), got.message_id()),
        (
            sent.content_type(),
            sent.delivery_mode(),
            sent.priority(),
            sent.correlation_id(),
            sent.message_id()
        ),
    );
    assert_eq!((header(&message, "b"), header(&message, "a")), (Some(&text("1")), Some(&int(2))));
    assert_eq!(deaths(&message)[0].inner().get("original-expiration"), Some(&text("20")));
}

#[tokio::test]
async fn dlx_20_21_23_the_layout_of_a_history() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let source = peer.exchange("source", ExchangeKind::Fanout).await;
    let (grave, mut dead) = grave(&peer).await;
    let queue = peer.declare_with("mortal", dying_into(&grave, &[])).await;
    peer.bind(&queue, &source, "").await;
    peer.publish(&source, "key", "x").await;
    peer.take(&queue).await.nack(REJECT).await.unwrap();
    let message = dead.delivery().await;
    let [event] = &deaths(&message)[..] else { panic!("one event") };
    let expected = [
        ("count", AMQPValue::LongLongInt(1)),
        ("reason", text("rejected")),
        ("queue", text(&queue)),
        ("exchange", text(&source)),
        ("routing-keys", texts(["key"])),
    ];
    for (name, value) in &expected {
        assert_eq!(event.inner().get(*name), Some(value), "{name}");
    }
    let Some(AMQPValue::Timestamp(seconds)) = event.inner().get("time") else { panic!("{event:?}") };
    // Seconds, not milliseconds, of this century.
    assert!((1_500_000_000..5_000_000_000).contains(seconds), "{seconds}");
    assert_eq!(event.inner().len(), expected.len() + 1);
    let which = if fixture.is_ours() { &["first", "last"][..] } else { &["first"] };
    for which in which {
        for (what, value) in [("reason", "rejected"), ("queue", &queue), ("exchange", &source)] {
            let name = format!("x-{which}-death-{what}");
            assert_eq!(header(&message, &name), Some(&text(value)), "{name}");
        }
    }
}

#[tokio::test]
async fn dlx_25_a_history_that_a_client_sends_is_none() {
    let fixture = Fixture::start().await;
    if !fixture.is_ours() {
        // RabbitMQ before 4.0 went on counting.
        return;
    }
    let peer = peer(&fixture).await;
    let (grave, mut dead) = grave(&peer).await;
    let queue = peer.declare_with("mortal", dying_into(&grave, &[])).await;
    peer.publish("", &queue, "x").await;
    for _ in 0..2 {
        peer.take(&queue).await.nack(REJECT).await.unwrap();
        let message = dead.delivery().await;
        assert_eq!(history(&message), [event(&queue, "rejected", 1)]);
        // As an application does that copies all headers when it publishes again.
        peer.publish_with("", &queue, &message.data, message.properties.clone()).await;
    }
}

#[tokio::test]
async fn dlx_30_a_queue_that_expires_into_itself_loses_the_message() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let dlx = peer.exchange("dlx", ExchangeKind::Fanout).await;
    let (grave, mut dead) = grave(&peer).await;
    let ttl = [("x-dead-letter-exchange", text(&dlx)), ("x-message-ttl", int(20))];
    let queue = peer.declare_with("itself", table(ttl)).await;
    peer.bind(&queue, &dlx, "").await;
    peer.bind(&grave, &dlx, "").await;
    peer.publish("", &queue, "x").await;
    assert_eq!(history(&dead.delivery().await), [event(&queue, "expired", 1)]);
    assert_eq!(peer.ready(&queue).await, 0);
    peer.publish("", &queue, "y").await;
    assert_eq!(body(&dead.delivery().await), "y");
    assert_eq!(peer.ready(&queue).await, 0);
    peer.fence(&grave).await;
    dead.nothing().await;
}

#[tokio::test]
async fn dlx_30_a_circle_of_expiries_ends_where_it_began() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let dlx = peer.exchange("dlx", ExchangeKind::Direct).await;
    let (grave, mut dead) = grave(&peer).await;
    let circle = |to: &str| {
        let to = [("x-dead-letter-exchange", text(&dlx)), ("x-dead-letter-routing-key", text(to))];
        arguments(&to, &[("x-message-ttl", int(20))])
    };
    let one = peer.declare_with("one", circle("two")).await;
    let two = peer.declare_with("two", circle("one")).await;
    peer.bind(&one, &dlx, "one").await;
    peer.bind(&two, &dlx, "two").await;
    peer.bind(&grave, &dlx, "one").await;
    peer.publish("", &one, "x").await;
    // What goes back to the first queue also goes to the grave, but only there it arrives.
    let message = dead.delivery().await;
    assert_eq!(history(&message), [event(&two, "expired", 1), event(&one, "expired", 1)]);
    assert_eq!((peer.ready(&one).await, peer.ready(&two).await), (0, 0));
    peer.fence(&grave).await;
    dead.nothing().await;
}

#[tokio::test]
async fn dlx_22_31_app_12_a_retry_loop_counts_its_rounds() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    // Rejected work waits in a delay queue and comes back, until its reader has had enough.
    let (work, delay) = (unique("work"), unique("delay"));
    for (queue, arguments) in
        [(&work, dying_into(&delay, &[])), (&delay, dying_into(&work, &[("x-message-ttl", int(20))]))]
    {
        let declare = peer.queue_declare(queue.as_str().into(), QueueDeclareOptions::default(), arguments);
        within("declare-ok", declare).await.unwrap();
    }
    peer.prefetch(1).await;
    let mut worker = peer.consume(&work).await;
    peer.publish("", &work, "job").await;
    let first = worker.delivery().await;
    assert_eq!(header(&first, "x-death"), None);
    first.nack(REJECT).await.unwrap();
    for round in 1..=3 {
        let again = worker.delivery().await;
        assert_eq!(history(&again), [event(&delay, "expired", round), event(&work, "rejected", round)]);
        assert_eq!(header(&again, "x-first-death-queue"), Some(&text(&work)));
        if fixture.is_ours() {
            assert_eq!(header(&again, "x-last-death-queue"), Some(&text(&delay)));
        }
        again.nack(REJECT).await.unwrap();
    }
    worker.delivery().await.ack(BasicAckOptions::default()).await.unwrap();
    assert_eq!((peer.ready(&work).await, peer.ready(&delay).await), (0, 0));
}

#[tokio::test]
async fn dlx_31_rejecting_into_the_same_queue_goes_on() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let queue = unique("self");
    let (arguments, options) = (dying_into(&queue, &[]), QueueDeclareOptions::default());
    within("declare-ok", peer.queue_declare(queue.as_str().into(), options, arguments)).await.unwrap();
    let mut consumer = peer.consume(&queue).await;
    peer.publish("", &queue, "x").await;
    consumer.delivery().await.nack(REJECT).await.unwrap();
    for round in 1..=3 {
        let again = consumer.delivery().await;
        assert_eq!((history(&again), again.redelivered), (vec![event(&queue, "rejected", round)], false));
        again.nack(REJECT).await.unwrap();
    }
}

#[tokio::test]
async fn app_11_delays_of_growing_length_pass_a_message_on() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let (grave, mut done) = grave(&peer).await;
    let mut next = grave;
    let mut chain = Vec::new();
    for ttl in [60, 40, 20] {
        next = peer.declare_with("delay", dying_into(&next, &[("x-message-ttl", int(ttl))])).await;
        chain.push(next.clone());
    }
    peer.publish("", &next, "x").await;
    let message = done.delivery().await;
    let expected = chain.iter().map(|queue| event(queue, "expired", 1)).collect();
    assert_latest_first(&fixture, &message, expected);
    assert_eq!(header(&message, "x-first-death-queue"), Some(&text(&next)));
}

#[tokio::test]
async fn ttl_01_02_messages_expire_by_their_own_time_at_the_head() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let (grave, mut dead) = grave(&peer).await;
    let queue = peer.declare_with("mortal", dying_into(&grave, &[])).await;
    peer.publish_with("", &queue, b"head", expiration(LONG_MS)).await;
    peer.publish_with("", &queue, b"short", expiration("1")).await;
    // Another queue's message with a longer time has died: the short one's time is over, too.
    let clock = peer.declare_with("clock", dying_into(&grave, &[])).await;
    peer.publish_with("", &clock, b"clock", expiration("50")).await;
    assert_eq!(body(&dead.delivery().await), "clock");
    assert_eq!(peer.ready(&queue).await, 2);
    let head = peer.take(&queue).await;
    assert_eq!(body(&head), "head");
    let message = dead.delivery().await;
    assert_eq!((body(&message).as_str(), history(&message)), ("short", vec![event(&queue, "expired", 1)]));
    // TTL-04: unacknowledged, the head does not expire; its deadline is far away still.
    head.nack(BasicNackOptions { requeue: true, ..REJECT }).await.unwrap();
    assert_eq!(peer.drain(&queue).await, ["head"]);
}

#[tokio::test]
async fn ttl_04_bas_67_an_expired_message_dies_when_it_is_requeued() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let (grave, mut dead) = grave(&peer).await;
    let queue = peer.declare_with("mortal", dying_into(&grave, &[])).await;
    peer.publish_with("", &queue, b"held", expiration("100")).await;
    let held = peer.take(&queue).await;
    let clock = peer.declare_with("clock", dying_into(&grave, &[])).await;
    peer.publish_with("", &clock, b"clock", expiration("150")).await;
    assert_eq!(body(&dead.delivery().await), "clock");
    held.nack(BasicNackOptions { requeue: true, ..REJECT }).await.unwrap();
    let message = dead.delivery().await;
    assert_eq!((body(&message).as_str(), history(&message)), ("held", vec![event(&queue, "expired", 1)]));
}

#[tokio::test]
async fn ttl_03_no_time_to_live_means_now_or_never() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let (grave, mut dead) = grave(&peer).await;
    let queue = peer.declare_with("mortal", dying_into(&grave, &[("x-message-ttl", int(0))])).await;
    // It was routed, so it is confirmed and not returned.
    assert_eq!(peer.publish_mandatory("", &queue, "never").await, Confirmation::Ack(None));
    assert_eq!(body(&dead.delivery().await), "never");
    let mut consumer = peer.consume(&queue).await;
    peer.publish("", &queue, "now").await;
    assert_eq!(body(&consumer.delivery().await), "now");
    peer.fence(&grave).await;
    dead.nothing().await;
}

#[tokio::test]
async fn len_07_a_priority_queue_gives_up_its_highest_first() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let (grave, mut dead) = grave(&peer).await;
    let limits = [("x-max-length", int(2)), ("x-max-priority", int(10))];
    let queue = peer.declare_with("mortal", dying_into(&grave, &limits)).await;
    for priority in [9, 1, 5] {
        let properties = BasicProperties::default().with_priority(priority);
        peer.publish_with("", &queue, priority.to_string().as_bytes(), properties).await;
    }
    let message = dead.delivery().await;
    assert_eq!((body(&message).as_str(), message.properties.priority()), ("9", &Some(9)));
    assert_eq!(peer.drain(&queue).await, ["5", "1"]);
}

#[tokio::test]
async fn deaths_cause_deaths_down_a_chain_of_full_queues() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let (grave, mut dead) = grave(&peer).await;
    let full = |next: &str| dying_into(next, &[("x-max-length", int(1))]);
    let third = peer.declare_with("third", full(&grave)).await;
    let second = peer.declare_with("second", full(&third)).await;
    let first = peer.declare_with("first", full(&second)).await;
    peer.fill(&first, 0..5).await;
    for expected in ["0", "1"] {
        let message = dead.delivery().await;
        assert_eq!(body(&message), expected);
        let events = [&third, &second, &first].map(|queue| event(queue, "maxlen", 1));
        assert_latest_first(&fixture, &message, events.to_vec());
    }
    for (queue, left) in [(&third, "2"), (&second, "3"), (&first, "4")] {
        assert_eq!(peer.drain(queue).await, [left]);
    }
}

#[tokio::test]
async fn queues_that_overflow_into_each_other_do_not_stop_the_broker() {
    let fixture = Fixture::start().await;
    if !fixture.is_ours() {
        // The number of deaths is the factorial of the number of queues.
        return;
    }
    let peer = peer(&fixture).await;
    let dlx = peer.exchange("storm", ExchangeKind::Fanout).await;
    let none = [("x-dead-letter-exchange", text(&dlx)), ("x-max-length", int(0))];
    let mut queues = Vec::new();
    for _ in 0..20 {
        let queue = peer.declare_with("storm", table(none.clone())).await;
        peer.bind(&queue, &dlx, "").await;
        queues.push(queue);
    }
    assert_eq!(peer.publish("", &queues[0], "x").await, Confirmation::Ack(None));
    assert_eq!(peer.ready(&queues[19]).await, 0);
}
