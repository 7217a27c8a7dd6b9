//! What a queue is: names, flags, counts, purging, deleting, living and dying.

use lapin::{options::*, types::FieldTable};

use crate::{fixture::Fixture, support::*};

#[tokio::test]
async fn que_01_declare_ok_counts_ready_messages_and_consumers() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let queue = peer.declare("counts").await;
    assert_eq!((peer.ready(&queue).await, peer.consumers(&queue).await), (0, 0));
    peer.fill(&queue, 0..3).await;
    assert_eq!(peer.ready(&queue).await, 3);
    // Unacknowledged messages are not ready.
    let _taken = peer.take(&queue).await;
    assert_eq!(peer.ready(&queue).await, 2);
    peer.prefetch(1).await;
    let _first = peer.consume(&queue).await;
    let _second = peer.consume(&queue).await;
    peer.fence(&queue).await;
    // Consumers that are at their limit count, too.
    assert_eq!((peer.ready(&queue).await, peer.consumers(&queue).await), (0, 2));
}

#[tokio::test]
async fn que_03_06_an_empty_name_always_makes_a_new_queue() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let mut names = Vec::new();
    for _ in 0..2 {
        names.push(server_named(&peer).await);
    }
    assert_ne!(names[0], names[1]);
    for name in names {
        let random = name.strip_prefix("amq.gen-").expect("the prefix");
        assert_eq!(random.len(), 22, "{name}");
        assert!(
            random.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_".contains(&octet)),
            "{name}"
        );
    }
}

#[tokio::test]
async fn que_04_a_generated_name_begins_as_it_is_told_to() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let declare = async |prefix: &str| {
        let (options, arguments) = (QueueDeclareOptions::default(), table([("x-name-prefix", text(prefix))]));
        let channel = peer.another_channel().await;
        channel.queue_declare("".into(), options, arguments).await
    };
    let declared = declare("orders").await.unwrap();
    let random = declared.name().as_str().strip_prefix("orders-").expect("the prefix");
    assert_eq!(random.len(), 22, "{random}");
    let long = "x".repeat(65);
    let expected = format!("Queue name prefix '{long}' exceeds the 64-byte limit");
    assert_reply(refusal(declare(&long).await), 406, &expected);
    // Where the name is given it is an argument as any other.
    let options = QueueDeclareOptions::default();
    let (name, arguments) = (unique("named"), table([("x-name-prefix", text(&long))]));
    peer.queue_declare(name.as_str().into(), options, arguments).await.unwrap();
}

#[tokio::test]
async fn que_05_an_empty_name_elsewhere_means_the_last_declared_queue() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let name = server_named(&peer).await;
    // Without a routing key, too, the queue's name is the key.
    let (options, none) = (QueueBindOptions::default(), FieldTable::default());
    within("queue.bind-ok", peer.queue_bind("".into(), "amq.direct".into(), "".into(), options, none))
        .await
        .unwrap();
    peer.publish("amq.direct", &name, "one").await;
    peer.publish("", &name, "two").await;
    let message = peer.take("").await;
    assert_eq!(body(&message), "one");
    let mut consumer = peer.consume("").await;
    assert_eq!(consumer.bodies(1).await, ["two"]);
    let purge = peer.queue_purge("".into(), QueuePurgeOptions::default());
    assert_eq!(within("queue.purge-ok", purge).await.unwrap(), 0);
    // A passive declare counts as one.
    let other = peer.another_channel().await;
    let options = QueueDeclareOptions { passive: true, ..Default::default() };
    other.queue_declare(name.as_str().into(), options, FieldTable::default()).await.unwrap();
    peer.publish("", &name, "three").await;
    consumer.delivery().await;
    let delete = other.queue_delete("".into(), QueueDeleteOptions::default());
    assert_eq!(within("queue.delete-ok", delete).await.unwrap(), 0);
    assert!(!other.exists(&name).await);
}

#[tokio::test]
async fn que_10_ch_44_exclusive_queue_belongs_to_its_connection() {
    let fixture = Fixture::start().await;
    let (owner, other) = (peer(&fixture).await, peer(&fixture).await);
    let name = unique("mine");
    let options = QueueDeclareOptions { exclusive: true, ..Default::default() };
    let declare = owner.queue_declare(name.as_str().into(), options, FieldTable::default());
    within("queue.declare-ok", declare).await.unwrap();
    // Any channel of the owner may use it; CH-46: anybody may publish to it.
    other.publish("", &name, "from outside").await;
    let second = owner.another_channel().await;
    assert_eq!(second.drain(&name).await, ["from outside"]);

    let locked = format!("cannot obtain exclusive access to locked queue '{name}'");
    let queue = || name.as_str().into();
    for what in ["declare", "passive", "consume", "get", "purge", "delete", "bind"] {
        let channel = other.another_channel().await;
        let none = FieldTable::default();
        let passive = QueueDeclareOptions { passive: true, ..Default::default() };
        let result = match what {
            "declare" => channel.queue_declare(queue(), options, none).await.map(drop),
            "passive" => channel.queue_declare(queue(), passive, none).await.map(drop),
            "consume" => channel
                .basic_consume(queue(), "".into(), BasicConsumeOptions::default(), none)
                .await
                .map(drop),
            "get" => channel.basic_get(queue(), BasicGetOptions::default()).await.map(drop),
            "purge" => channel.queue_purge(queue(), QueuePurgeOptions::default()).await.map(drop),
            "delete" => channel.queue_delete(queue(), QueueDeleteOptions::default()).await.map(drop),
            _ => {
                let options = QueueBindOptions::default();
                channel.queue_bind(queue(), "amq.fanout".into(), "".into(), options, none).await
            }
        };
        let (code, reason) = refusal(result);
        assert_eq!(code, 405, "{what}: {reason}");
        assert!(reason.contains(&locked), "{what}: {reason}");
    }
}

#[tokio::test]
async fn que_12_auto_delete_queue_goes_with_its_last_consumer() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let name = unique("auto");
    let options = QueueDeclareOptions { auto_delete: true, ..Default::default() };
    let declare = peer.queue_declare(name.as_str().into(), options, FieldTable::default());
    within("queue.declare-ok", declare).await.unwrap();
    // Fetching is not consuming.
    peer.publish("", &name, "fetched").await;
    assert_eq!(peer.drain(&name).await, ["fetched"]);
    let (first, second) = (peer.consume(&name).await, peer.consume(&name).await);
    for (consumer, left) in [(first, true), (second, false)] {
        let cancel = peer.basic_cancel(consumer.tag(), BasicCancelOptions::default());
        within("basic.cancel-ok", cancel).await.unwrap();
        assert_eq!(peer.another_channel().await.exists(&name).await, left);
    }
}

#[tokio::test]
async fn que_12_auto_delete_queue_goes_with_its_consumers_connection() {
    let fixture = Fixture::start().await;
    let (owner, other) = (peer(&fixture).await, peer(&fixture).await);
    let name = unique("auto");
    let options = QueueDeclareOptions { auto_delete: true, ..Default::default() };
    let declare = owner.queue_declare(name.as_str().into(), options, FieldTable::default());
    within("queue.declare-ok", declare).await.unwrap();
    let _consumer = owner.consume(&name).await;
    owner.close().await;
    assert!(!other.exists(&name).await);
}

#[tokio::test]
async fn que_15_purge_takes_ready_messages_only() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let queue = peer.declare("purge").await;
    peer.fill(&queue, 0..5).await;
    let taken = peer.take(&queue).await;
    let purge = peer.queue_purge(queue.as_str().into(), QueuePurgeOptions::default());
    assert_eq!(within("queue.purge-ok", purge).await.unwrap(), 4);
    taken.nack(BasicNackOptions { requeue: true, ..Default::default() }).await.unwrap();
    assert_eq!(peer.drain(&queue).await, ["0"]);
}

#[tokio::test]
async fn que_15_delete_tells_how_much_was_ready() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let queue = peer.declare("delete").await;
    peer.fill(&queue, 0..5).await;
    let taken = peer.take(&queue).await;
    let delete = || peer.queue_delete(queue.as_str().into(), QueueDeleteOptions::default());
    assert_eq!(within("queue.delete-ok", delete()).await.unwrap(), 4);
    // QUE-14: the tag is still good; CH-41: deleting again is fine.
    taken.ack(BasicAckOptions::default()).await.unwrap();
    assert_eq!(within("queue.delete-ok", delete()).await.unwrap(), 0);
    assert!(!peer.exists(&queue).await);
}

#[tokio::test]
async fn ch_49_50_delete_if_unused_and_if_empty() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let queue = peer.declare("guarded").await;
    peer.fill(&queue, [1]).await;
    let delete = async |options| {
        let channel = peer.another_channel().await;
        within("queue.delete-ok or channel.close", channel.queue_delete(queue.as_str().into(), options)).await
    };
    let if_empty = QueueDeleteOptions { if_empty: true, ..Default::default() };
    let if_unused = QueueDeleteOptions { if_unused: true, ..Default::default() };
    assert_reply(refusal(delete(if_empty).await), 406, "not empty");
    let consumer = peer.consume(&queue).await;
    peer.fence(&queue).await;
    assert_reply(refusal(delete(if_unused).await), 406, "in use");
    within("basic.cancel-ok", peer.basic_cancel(consumer.tag(), BasicCancelOptions::default()))
        .await
        .unwrap();
    // What is left is unacknowledged, and that counts as empty.
    let both = QueueDeleteOptions { if_empty: true, if_unused: true, ..Default::default() };
    assert_eq!(delete(both).await.unwrap(), 0);
}

#[tokio::test]
async fn ch_48_unbinding_what_is_not_bound_is_fine() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let queue = peer.declare("unbound").await;
    for (queue, exchange) in
        [(queue.as_str(), "amq.direct"), ("no-such-queue", "amq.direct"), (&queue, "no-such-exchange")]
    {
        let unbind = peer.queue_unbind(queue.into(), exchange.into(), "k".into(), FieldTable::default());
        within("queue.unbind-ok", unbind).await.unwrap();
    }
}

#[tokio::test]
async fn ch_08_line_breaks_are_stripped_from_names() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let name = unique("line");
    let broken = format!("{name}\r\nbreak");
    let declare = peer.queue_declare(broken.into(), QueueDeclareOptions::default(), FieldTable::default());
    let declared = within("queue.declare-ok", declare).await.unwrap();
    assert_eq!(declared.name().as_str(), format!("{name}break"));
    assert!(peer.exists(&format!("{name}break")).await);
}

#[tokio::test]
async fn ch_08_names_may_be_long_and_in_any_script() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let base = unique("žába ☂ ");
    let name = format!("{base}{}", "x".repeat(255 - base.len()));
    let declare =
        peer.queue_declare(name.as_str().into(), QueueDeclareOptions::default(), FieldTable::default());
    assert_eq!(within("queue.declare-ok", declare).await.unwrap().name().as_str(), name);
    peer.publish("", &name, "reached").await;
    assert_eq!(peer.drain(&name).await, ["reached"]);
}

#[tokio::test]
async fn que_44_62_unknown_arguments_never_matter() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let name = peer.declare_with("args", table([("x-foo", text("1")), ("bar", text("2"))])).await;
    let redeclare = peer.queue_declare(
        name.as_str().into(),
        QueueDeclareOptions::default(),
        table([("x-foo", text("3"))]),
    );
    within("queue.declare-ok", redeclare).await.unwrap();
}

/// An exclusive queue with a name of the broker's choice.
async fn server_named(peer: &Peer) -> String {
    let options = QueueDeclareOptions { exclusive: true, ..Default::default() };
    let declare = peer.queue_declare("".into(), options, FieldTable::default());
    within("queue.declare-ok", declare).await.unwrap().name().to_string()
}
