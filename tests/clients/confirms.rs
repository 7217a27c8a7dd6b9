//! Publisher confirms: one, many, in every order, and what is nacked.

use lapin::{
    BasicProperties, Confirmation,
    options::*,
    types::{AMQPValue, FieldTable},
};

use crate::{fixture::Fixture, support::*};

#[tokio::test]
async fn cnf_01_select_twice_is_fine() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    within("confirm.select-ok", peer.confirm_select(ConfirmSelectOptions::default())).await.unwrap();
    let queue = peer.declare("confirm").await;
    assert_eq!(peer.publish("", &queue, "one").await, Confirmation::Ack(None));
}

#[tokio::test]
async fn cnf_02_only_publishes_after_select_are_confirmed() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let queue = peer.declare("confirm").await;
    let channel = peer.another_channel().await;
    assert_eq!(channel.publish("", &queue, "before").await, Confirmation::NotRequested);
    within("confirm.select-ok", channel.confirm_select(ConfirmSelectOptions::default())).await.unwrap();
    // Were the first publish numbered, lapin would close the channel over the unknown tag.
    assert_eq!(channel.publish("", &queue, "after").await, Confirmation::Ack(None));
    assert_eq!(channel.drain(&queue).await, ["before", "after"]);
}

#[tokio::test]
async fn cnf_03_many_outstanding_publishes_are_all_confirmed() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let queue = peer.declare("many").await;
    peer.fill(&queue, 0..2_000).await;
    assert_eq!(peer.ready(&queue).await, 2_000);
    let expected: Vec<String> = (0..2_000).map(|number: u32| number.to_string()).collect();
    assert_eq!(peer.drain(&queue).await, expected);
}

#[tokio::test]
async fn cnf_05_unroutable_publishes_are_confirmed() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    assert_eq!(peer.publish("", &unique("nowhere"), "lost").await, Confirmation::Ack(None));
    assert_eq!(peer.publish("amq.fanout", &unique("nobody"), "lost").await, Confirmation::Ack(None));
}

#[tokio::test]
async fn cnf_07_a_persistent_message_in_a_durable_queue_is_confirmed() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let queue = unique("durable");
    let options = QueueDeclareOptions { durable: true, ..Default::default() };
    let declare = peer.queue_declare(queue.as_str().into(), options, FieldTable::default());
    within("queue.declare-ok", declare).await.unwrap();
    let persistent = BasicProperties::default().with_delivery_mode(2);
    assert!(peer.publish_with("", &queue, b"kept", persistent).await.is_ack());
    within("queue.delete-ok", peer.queue_delete(queue.into(), QueueDeleteOptions::default())).await.unwrap();
}

#[tokio::test]
async fn cnf_08_11_a_full_queue_nacks_and_does_not_return() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let arguments = table([("x-max-length", AMQPValue::LongInt(2)), ("x-overflow", text("reject-publish"))]);
    let full = peer.declare_with("full", arguments).await;
    let roomy = peer.declare("roomy").await;
    let exchange = peer.exchange("both", lapin::ExchangeKind::Fanout).await;
    peer.bind(&full, &exchange, "").await;
    peer.bind(&roomy, &exchange, "").await;
    for body in ["1", "2"] {
        assert!(peer.publish(&exchange, "", body).await.is_ack());
    }
    assert_eq!(peer.publish_mandatory(&exchange, "", "3").await, Confirmation::Nack(None));
    // The other queue has its copy all the same.
    assert_eq!(peer.drain(&roomy).await, ["1", "2", "3"]);
    assert_eq!(peer.drain(&full).await, ["1", "2"]);
    assert!(peer.publish(&exchange, "", "4").await.is_ack());
}

#[tokio::test]
async fn cnf_09_dropped_on_arrival_is_an_ack() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let queue = peer.declare_with("none", table([("x-max-length", AMQPValue::LongInt(0))])).await;
    assert!(peer.publish("", &queue, "dropped").await.is_ack());
    assert_eq!(peer.ready(&queue).await, 0);
}

#[tokio::test]
async fn cnf_12_confirms_do_not_wait_for_consumers() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let queue = peer.declare("slow").await;
    peer.prefetch(1).await;
    let mut consumer = peer.consume(&queue).await;
    peer.fill(&queue, 0..10).await;
    assert_eq!(consumer.bodies(1).await, ["0"]);
    assert_eq!(peer.ready(&queue).await, 9);
}

#[tokio::test]
async fn ch_75_confirm_and_tx_exclude_each_other() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    assert_reply(
        refusal(within("channel.close", peer.tx_select()).await),
        406,
        "cannot switch from confirm to tx mode",
    );
    let channel = peer.another_channel().await;
    within("tx.select-ok", channel.tx_select()).await.unwrap();
    let select = channel.confirm_select(ConfirmSelectOptions::default());
    assert_reply(
        refusal(within("channel.close", select).await),
        406,
        "cannot switch from tx to confirm mode",
    );
}
