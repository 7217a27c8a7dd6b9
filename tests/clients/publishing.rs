//! Publishing: what comes back, extra routing keys, sizes, and what the broker refuses.

use lapin::{BasicProperties, ExchangeKind, options::*, types::AMQPValue};

use crate::{fixture::Fixture, support::*};

#[tokio::test]
async fn bas_05_mandatory_unroutable_is_returned_whole() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let exchange = peer.exchange("nowhere", ExchangeKind::Direct).await;
    let properties = headers([("a", AMQPValue::LongInt(1))]).with_content_type("text/plain".into());
    let options = BasicPublishOptions { mandatory: true, ..Default::default() };
    let publish =
        peer.basic_publish(exchange.as_str().into(), "k".into(), options, b"come back", properties.clone());
    // CNF-05: lapin hands the return over with the confirm because it came first.
    let confirmation = within("a confirm", publish.await.unwrap()).await.unwrap();
    assert!(confirmation.is_ack());
    let returned = confirmation.take_message().expect("returned before the confirm");
    assert_eq!((returned.reply_code, returned.reply_text.as_str()), (312, "NO_ROUTE"));
    assert_eq!((returned.exchange.as_str(), returned.routing_key.as_str()), (exchange.as_str(), "k"));
    assert_eq!(body(&returned), "come back");
    assert_eq!(returned.properties, properties);
}

#[tokio::test]
async fn bas_05_mandatory_routable_and_optional_unroutable_are_not_returned() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let queue = peer.declare("here").await;
    assert!(peer.publish_mandatory("", &queue, "routed").await.take_message().is_none());
    let dropped = peer.publish("", &unique("nowhere"), "dropped").await;
    assert!(dropped.is_ack());
    assert!(dropped.take_message().is_none());
    assert_eq!(peer.drain(&queue).await, ["routed"]);
}

#[tokio::test]
async fn bas_06_cc_adds_routing_keys_and_stays() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let exchange = peer.exchange("cc", ExchangeKind::Direct).await;
    let to = peer.bound(&exchange, "to").await;
    let cc = peer.bound(&exchange, "cc").await;
    peer.bind(&to, &exchange, "also").await;
    let properties = headers([("CC", texts(["cc", "also", "to"]))]);
    peer.publish_with(&exchange, "to", b"copies", properties.clone()).await;
    for queue in [to, cc] {
        let message = peer.take(&queue).await;
        assert_eq!(message.routing_key.as_str(), "to");
        assert_eq!(message.properties, properties);
        assert_eq!(peer.ready(&queue).await, 0, "one copy a queue");
    }
}

#[tokio::test]
async fn bas_07_bcc_adds_routing_keys_and_goes() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let (to, bcc) = (peer.declare("to").await, peer.declare("bcc").await);
    let properties = headers([("BCC", texts([&bcc])), ("other", text("kept"))]);
    peer.publish_with("", &to, b"blind", properties).await;
    for queue in [to.as_str(), &bcc] {
        let message = peer.take(queue).await;
        assert_eq!(message.routing_key.as_str(), to);
        assert_eq!(message.properties.headers(), &Some(table([("other", text("kept"))])));
    }
}

#[tokio::test]
async fn ch_70_cc_must_be_an_array() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let publish = peer.basic_publish(
        "".into(),
        "k".into(),
        BasicPublishOptions::default(),
        b"",
        headers([("CC", text("not an array"))]),
    );
    let refused = within("channel.close", publish.await.unwrap()).await;
    assert_reply(refusal(refused), 406, "unacceptable_type_in_header");
}

#[tokio::test]
async fn ch_34_publishing_to_a_missing_exchange_is_404() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let name = unique("missing");
    let publish = peer.basic_publish(
        name.as_str().into(),
        "k".into(),
        BasicPublishOptions::default(),
        b"",
        BasicProperties::default(),
    );
    // CNF-06: never confirmed, the channel closes.
    let refused = refusal(within("channel.close", publish.await.unwrap()).await);
    assert_eq!(refused, (404, format!("NOT_FOUND - no exchange '{name}' in vhost '{}'", fixture.vhost())));
}

#[tokio::test]
async fn ch_66_immediate_is_540_for_the_connection() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let watch = peer.watch().await;
    let options = BasicPublishOptions { immediate: true, ..Default::default() };
    let publish = peer.basic_publish("".into(), "k".into(), options, b"", BasicProperties::default());
    let _refused_later = publish.await;
    assert_reply(watch.closed().await, 540, "NOT_IMPLEMENTED - immediate=true");
}

#[tokio::test]
async fn ch_67_user_id_must_be_the_login() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let queue = peer.declare("user").await;
    let user = fixture.parts().authority.userinfo.username;
    let mine = BasicProperties::default().with_user_id(user.as_str().into());
    peer.publish_with("", &queue, b"mine", mine.clone()).await;
    assert_eq!(peer.take(&queue).await.properties, mine);
    let publish = peer.basic_publish(
        "".into(),
        queue.into(),
        BasicPublishOptions::default(),
        b"",
        BasicProperties::default().with_user_id("bob".into()),
    );
    let refused = within("channel.close", publish.await.unwrap()).await;
    let expected = format!("user_id property set to 'bob' but authenticated user was '{user}'");
    assert_reply(refusal(refused), 406, &expected);
}

#[tokio::test]
async fn ch_68_expiration_must_be_a_number_of_milliseconds() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let queue = peer.declare("expiration").await;
    for good in ["+5000000", "315360000000"] {
        let properties = BasicProperties::default().with_expiration(good.into());
        assert!(peer.publish_with("", &queue, b"", properties).await.is_ack());
    }
    for (bad, detail) in [("abc", "no_integer"), ("-1", "{value_negative,-1}"), ("", "no_integer")] {
        let channel = peer.another_channel().await;
        within("select-ok", channel.confirm_select(ConfirmSelectOptions::default())).await.unwrap();
        let publish = channel.basic_publish(
            "".into(),
            queue.as_str().into(),
            BasicPublishOptions::default(),
            b"",
            BasicProperties::default().with_expiration(bad.into()),
        );
        let refused = within("channel.close", publish.await.unwrap()).await;
        assert_reply(refusal(refused), 406, &format!("invalid expiration '{bad}': {detail}"));
    }
}

#[tokio::test]
async fn wir_04_bodies_of_every_size_arrive_whole() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let queue = peer.declare("sizes").await;
    let mut consumer = peer.consume(&queue).await;
    // Around the edges of one and two frames of 131 064 octets, nothing at all, and 5 MB.
    for size in [0, 1, 131_063, 131_064, 131_065, 262_128, 262_129, 5_000_000] {
        let body: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
        peer.publish_with("", &queue, &body, BasicProperties::default()).await;
        let delivery = consumer.delivery().await;
        assert_eq!(delivery.data.len(), size);
        assert!(delivery.data == body, "{size} octets arrived, but not the same");
        delivery.ack(BasicAckOptions::default()).await.unwrap();
    }
}

#[tokio::test]
async fn con_119_a_message_above_the_limit_is_refused() {
    let Some(fixture) = Fixture::configured(|config| config.amqp.max_message_size = 1000).await else {
        return;
    };
    let peer = peer(&fixture).await;
    let queue = peer.declare("limit").await;
    assert!(peer.publish_with("", &queue, &[b'x'; 1000], BasicProperties::default()).await.is_ack());
    let publish = peer.basic_publish(
        "".into(),
        queue.as_str().into(),
        BasicPublishOptions::default(),
        &[b'x'; 1001],
        BasicProperties::default(),
    );
    let refused = within("channel.close", publish.await.unwrap()).await;
    assert_reply(
        refusal(refused),
        406,
        "PRECONDITION_FAILED - message size 1001 is larger than configured max size 1000",
    );
    assert_eq!(peer.another_channel().await.ready(&queue).await, 1);
}

#[tokio::test]
async fn exc_10_bas_09_copies_in_several_queues_are_independent() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let (one, two) = (peer.declare("one").await, peer.declare("two").await);
    peer.bind(&one, "amq.fanout", "").await;
    let exchange = peer.exchange("both", ExchangeKind::Fanout).await;
    peer.bind(&one, &exchange, "").await;
    peer.bind(&two, &exchange, "").await;
    peer.publish(&exchange, "", "copy").await;
    let taken = peer.take(&one).await;
    taken.nack(BasicNackOptions { requeue: true, ..Default::default() }).await.unwrap();
    assert!(peer.take(&one).await.redelivered);
    assert!(!peer.take(&two).await.redelivered);
}
