//! Lists of what is in a virtual host, and of who is connected.

use serde_json::json;

use crate::place::Place;

/// Declares through the API as guest, which is not what is tested here.
fn declare(place: &Place) {
    for line in [
        "declare queue name=orders durable=true",
        "declare queue name=more arguments={\"x-max-length\":7}",
        "declare exchange name=hub type=topic",
        "declare binding source=hub destination=orders routing_key=a.#",
        "publish routing_key=orders payload=hello",
    ] {
        place.run(&format!("rabbitmqadmin -P {} {line}", place.http)).fine();
    }
}

#[test]
fn queues_with_the_columns_that_are_asked_for() {
    let place = Place::start();
    declare(&place);
    assert_eq!(
        place.run("rabbitmqctl list_queues").fine(),
        "Timeout: 60.0 seconds ...\nListing queues for vhost / ...\nname\tmessages\nmore\t0\norders\t1\n"
    );
    assert_eq!(
        place.quiet("rabbitmqctl list_queues name durable --no-table-headers"),
        "more\ttrue\norders\ttrue\n"
    );
    assert_eq!(
        place.quiet("rabbitmqctl list_queues name,messages_ready,consumers"),
        "name\tmessages_ready\tconsumers\nmore\t0\t0\norders\t1\t0\n"
    );
    assert_eq!(
        place.quiet("rabbitmqctl list_queues arguments policy"),
        "arguments\tpolicy\n[{\"x-max-length\",7}]\t\n[]\t\n"
    );
    assert_eq!(
        place.run("rabbitmqctl list_queues name messages --formatter csv").fine(),
        "\"name\",\"messages\"\n\"more\",0\n\"orders\",1\n"
    );
    assert_eq!(place.quiet("rabbitmqctl list_queues -p nosuch"), "");
    assert_eq!(place.quiet("rabbitmqctl list_queues --offline"), "");
    place.run("rabbitmqctl list_queues name nosuch").fails_with(64, "Error (argument validation): Info key(s) nosuch are not supported\nArguments given:\n\tlist_queues name nosuch\n");
}

#[test]
fn exchanges_and_bindings() {
    let place = Place::start();
    declare(&place);
    let exchanges = place.json("rabbitmqctl list_exchanges name type durable");
    assert!(
        exchanges.as_array().unwrap().contains(&json!({ "name": "hub", "type": "topic", "durable": true }))
    );
    assert!(place.quiet("rabbitmqctl list_exchanges name").lines().any(|line| line == "amq.direct"));
    let bindings = place.quiet("rabbitmqctl list_bindings");
    let mut lines = bindings.lines();
    assert_eq!(
        lines.next(),
        Some("source_name\tsource_kind\tdestination_name\tdestination_kind\trouting_key\targuments")
    );
    assert!(lines.clone().any(|line| line == "hub\texchange\torders\tqueue\ta.#\t[]"), "{bindings}");
    assert!(lines.any(|line| line == "\texchange\torders\tqueue\torders\t[]"), "{bindings}");
}

#[test]
fn queues_are_purged_and_deleted() {
    let place = Place::start();
    declare(&place);
    place.run("rabbitmqctl delete_queue orders --if-empty").fails(70, "Error:\nQueue is not empty\n");
    assert_eq!(
        place.run("rabbitmqctl purge_queue orders").fine(),
        "Purging queue 'orders' in vhost '/' ...\n"
    );
    assert_eq!(place.quiet("rabbitmqctl list_queues messages --no-table-headers"), "0\n0\n");
    assert_eq!(
        place.run("rabbitmqctl delete_queue orders -e -u").fine(),
        "Deleting queue 'orders' on vhost '/' if queue is empty and if queue is unused ...\n\
         Queue was successfully deleted with 0 ready messages\n"
    );
    place.run("rabbitmqctl delete_queue orders").fails(64, "Error:\nQueue not found\n");
    place.run("rabbitmqctl purge_queue orders").fails(69, "Error:\nnot_found\n");
}

#[tokio::test]
async fn who_is_connected_is_listed_and_can_be_thrown_out() {
    let place = Place::start();
    let uri = format!("amqp://guest:guest@127.0.0.1:{}/%2f", place.amqp);
    let connect = || lapin::Connection::connect(&uri, lapin::ConnectionProperties::default());
    let connection = connect().await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel.basic_qos(9, Default::default()).await.unwrap();
    let queue = channel.queue_declare("q".into(), Default::default(), Default::default()).await.unwrap();
    channel
        .basic_consume(queue.name().clone(), "me".into(), Default::default(), Default::default())
        .await
        .unwrap();
    let connections = place.json("rabbitmqctl list_connections user peer_host state channels pid");
    let one = &connections[0];
    assert_eq!(
        (&one["user"], &one["state"], &one["channels"]),
        (&json!("guest"), &json!("running"), &json!(1))
    );
    let channels = place.json("rabbitmqctl list_channels name prefetch_count consumer_count connection");
    assert_eq!(channels[0]["consumer_count"], 1);
    assert_eq!(channels[0]["connection"], one["pid"]);
    let consumers = place.json("rabbitmqctl list_consumers");
    assert_eq!((&consumers[0]["queue_name"], &consumers[0]["consumer_tag"]), (&json!("q"), &json!("me")));
    assert_eq!(consumers[0]["prefetch_count"], 9);
    place.run(&format!("rabbitmqctl close_connection '{}' enough", one["pid"].as_str().unwrap())).fine();
    assert_eq!(closed(channel).await, "CONNECTION_FORCED - enough");
    assert_eq!(place.json("rabbitmqctl list_connections"), json!([]));

    let connection = connect().await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    assert!(place.run("rabbitmqctl close_all_connections bye").fine().ends_with("Closed 1 connections\n"));
    assert_eq!(closed(channel).await, "CONNECTION_FORCED - bye");
    place.run("rabbitmqctl close_connection nosuch why").fails(69, "Error:\nConnection not found\n");
}

/// The words with which a connection was closed, learned from the next thing that fails.
async fn closed(channel: lapin::Channel) -> String {
    loop {
        match channel.basic_qos(1, Default::default()).await {
            Ok(()) => tokio::task::yield_now().await,
            Err(error) => {
                let text = error.to_string();
                let at = text.find("CONNECTION_FORCED").unwrap_or_else(|| panic!("{text}"));
                return text[at..].trim_end_matches(['"', '\'', ')']).to_owned();
            }
        }
    }
}
