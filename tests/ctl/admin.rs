//! `rabbitmqadmin` in both syntaxes.

use std::fs;

use serde_json::{Value, json};

use crate::{call::Called, place::Place};

fn admin(place: &Place, line: &str) -> Called {
    place.run(&format!("rabbitmqadmin -P {} {line}", place.http))
}

fn listed(place: &Place, line: &str) -> Value {
    serde_json::from_str(&admin(place, &format!("-f raw_json {line}")).fine()).unwrap()
}

#[test]
fn the_first_syntax() {
    let place = Place::start();
    for (line, said) in [
        ("declare vhost name=shop", "vhost declared\n"),
        ("declare user name=alice password=secret tags=management", "user declared\n"),
        ("declare permission vhost=shop user=alice configure=.* write=.* read=.*", "permission declared\n"),
        ("declare exchange name=hub type=topic", "exchange declared\n"),
        ("declare queue name=q durable=true queue_type=quorum", "queue declared\n"),
        ("declare queue name=short durable=false auto_delete=true", "queue declared\n"),
        ("declare binding source=hub destination=q routing_key=a.#", "binding declared\n"),
        (
            "declare policy name=p pattern=^q definition={\"max-length\":9} apply-to=queues",
            "policy declared\n",
        ),
        ("declare vhost_limit vhost=shop name=max-queues value=3", "vhost_limit declared\n"),
        ("publish exchange=hub routing_key=a.b payload=hello", "Message published\n"),
        ("publish routing_key=nowhere payload=x", "Message published but NOT routed\n"),
    ] {
        assert_eq!(admin(&place, line).fine(), said, "{line}");
    }
    let queues = listed(&place, "list queues");
    assert_eq!((&queues[0]["name"], &queues[0]["type"]), (&json!("q"), &json!("quorum")));
    assert_eq!((&queues[1]["durable"], &queues[1]["auto_delete"]), (&json!(false), &json!(true)));
    assert_eq!(listed(&place, "list policies")[0]["apply-to"], "queues");
    assert_eq!(listed(&place, "list vhost_limits")[0]["value"], json!({ "max-queues": 3 }));
    let got = listed(&place, "get queue=q ackmode=ack_requeue_false");
    assert_eq!((&got[0]["payload"], &got[0]["routing_key"]), (&json!("hello"), &json!("a.b")));
    assert_eq!(admin(&place, "get queue=q").fine(), "No items\n");
    assert_eq!(
        place.run_with(&format!("rabbitmqadmin -P {} publish routing_key=q", place.http), "piped").fine(),
        "Message published\n"
    );
    let got = admin(&place, "get queue=q payload_file=out").fine();
    assert!(got.contains("payload_bytes") && !got.contains("piped"), "{got}");
    assert_eq!(fs::read_to_string(place.path("out")).unwrap(), "piped");
    for (line, said) in [
        ("purge queue name=q", "queue purged\n"),
        (
            "delete binding source=hub destination_type=queue destination=q properties_key=a.%23",
            "binding deleted\n",
        ),
        ("delete queue name=q", "queue deleted\n"),
        ("delete exchange name=hub", "exchange deleted\n"),
        ("delete policy name=p", "policy deleted\n"),
        ("delete permission vhost=shop user=alice", "permission deleted\n"),
        ("delete user name=alice", "user deleted\n"),
        ("delete vhost name=shop", "vhost deleted\n"),
        ("-q delete queue name=short", ""),
    ] {
        assert_eq!(admin(&place, line).fine(), said, "{line}");
    }
    assert_eq!(listed(&place, "list queues"), json!([]));
}

#[test]
fn the_second_syntax() {
    let place = Place::start();
    for line in [
        "declare vhost --name shop --description text",
        "users declare --name alice --password secret --tags management",
        "--vhost shop declare permissions --user alice --configure .* --write .* --read .*",
        "exchanges declare --name hub --type fanout --durable true",
        "declare queue --name q --type quorum --durable true --auto-delete false --arguments {\"x-max-length\":5}",
        "declare stream --name s --expiration 8h --max-length-bytes 100000000",
        "bindings declare --source hub --destination-type queue --destination q --routing-key k",
        "declare policy --name p --pattern ^q --apply-to queues --priority 2 --definition {\"expires\":90000}",
        "publish message --exchange hub --routing-key k --payload hello",
        "health_check local_alarms",
        "health_check protocol_listener --protocol amqp",
    ] {
        admin(&place, line).fine();
    }
    let queues = listed(&place, "queues list");
    assert_eq!((&queues[0]["type"], &queues[0]["arguments"]["x-max-length"]), (&json!("quorum"), &json!(5)));
    assert_eq!((&queues[1]["type"], &queues[1]["arguments"]["x-max-age"]), (&json!("stream"), &json!("8h")));
    assert_eq!(queues[1]["arguments"]["x-max-length-bytes"], 100_000_000);
    assert_eq!(
        listed(&place, "get messages --queue q --count 5 --ack-mode ack_requeue_true")[0]["payload"],
        "hello"
    );
    assert_eq!(listed(&place, "show overview")["object_totals"]["queues"], 2);
    let as_alice = format!(
        "rabbitmqadmin --host localhost --port {} --username alice --password secret list exchanges",
        place.http
    );
    assert!(place.run(&as_alice).fine().contains("| amq.topic"), "the vhosts she may enter");
    admin(&place, "queues delete --name q").fine();
    admin(&place, "delete queue --name q --idempotently").fine();
    admin(&place, "delete queue --name q").fails(1, "*** Not found: /api/queues/%2F/q\n\n");
}

#[test]
fn every_format() {
    let place = Place::start();
    admin(&place, "declare queue name=one").fine();
    admin(&place, "declare queue name=three").fine();
    let list = |format: &str| admin(&place, &format!("-f {format} list queues name messages durable")).fine();
    assert_eq!(
        list("table"),
        "+-------+----------+---------+\n| name  | messages | durable |\n+-------+----------+---------+\n\
         | one   | 0        | True    |\n| three | 0        | True    |\n+-------+----------+---------+\n"
    );
    assert_eq!(list("tsv"), "name\tmessages\tdurable\none\t0\tTrue\nthree\t0\tTrue\n");
    assert_eq!(
        list("kvp"),
        "name=\"one\" messages=\"0\" durable=\"True\"\nname=\"three\" messages=\"0\" durable=\"True\"\n"
    );
    assert_eq!(list("bash"), "one three\n");
    assert!(list("long").contains("\n    name: one\nmessages: 0\n durable: True\n"), "{}", list("long"));
    assert_eq!(serde_json::from_str::<Value>(&list("pretty_json")).unwrap()[0]["name"], "one");
    let sorted = admin(&place, "-f tsv -q -S name -R list queues name").fine();
    assert_eq!(sorted, "three\none\n");
    assert_eq!(admin(&place, "list queues").fine().lines().nth(1), Some("| name  | messages |"));
}

#[test]
fn definitions_are_exported_and_imported() {
    let place = Place::start();
    admin(&place, "declare queue name=kept").fine();
    assert_eq!(
        admin(&place, "export all.json").fine(),
        "Exported definitions for localhost to \"all.json\"\n"
    );
    admin(&place, "delete queue name=kept").fine();
    admin(&place, "import all.json").fine();
    assert_eq!(listed(&place, "list queues")[0]["name"], "kept");
    let printed: Value = serde_json::from_str(&admin(&place, "definitions export --stdout").fine()).unwrap();
    assert_eq!(printed["queues"][0]["name"], "kept");
    admin(&place, "definitions import --file all.json").fine();
    admin(&place, "import nosuch").fails_with(1, "nosuch cannot be read");
}

#[test]
fn a_file_says_where_to_connect() {
    let place = Place::start();
    let file =
        format!("[here]\nhostname = 127.0.0.1\nport = {}\nusername = guest\npassword = guest\n", place.http);
    fs::write(place.path("hosts"), file).unwrap();
    assert!(place.run("rabbitmqadmin -c hosts -N here list vhosts").fine().contains("| /"));
    place
        .run("rabbitmqadmin -c hosts -N nosuch list vhosts")
        .fails_with(1, "Could not read section 'nosuch' in config file 'hosts'");
    place.run("rabbitmqadmin -c nosuch list vhosts").fails_with(1, "Could not read config file 'nosuch'");
    let uri = format!("rabbitmqadmin -U http://guest:guest@127.0.0.1:{} list users", place.http);
    assert!(place.run(&uri).fine().contains("guest"));
}

#[test]
fn mistakes_are_told_as_rabbitmqadmin_does() {
    let place = Place::start();
    admin(&place, "").fails_with(1, "ERROR: Action not specified");
    admin(&place, "frobnicate").fails_with(1, "ERROR: Action frobnicate not understood");
    admin(&place, "list nonsense").fails_with(1, "ERROR: Don't know how to list nonsense");
    admin(&place, "declare queue").fails_with(1, "ERROR: mandatory argument \"name\" is required");
    admin(&place, "declare user name=x")
        .fails_with(1, "one of mandatory arguments \"['password', 'password_hash']\" is required");
    admin(&place, "declare queue name=q colour=blue")
        .fails_with(1, "ERROR: Argument \"colour\" is not recognised");
    admin(&place, "declare queue name=q arguments=nonsense")
        .fails_with(1, "ERROR: Could not parse JSON:\n  nonsense");
    admin(&place, "-u guest -p wrong list queues").fails(1, "*** Access refused: /api/queues\n\n");
    admin(&place, "--ssl -k list queues").fails_with(1, "*** Could not connect: received corrupt message");
    place.run("rabbitmqadmin -P 1 list queues").fails_with(1, "*** Could not connect: ");
    assert_eq!(admin(&place, "--version").fine(), "rabbitmqadmin 4.1.0\n");
    let help = admin(&place, "--help").fine();
    assert!(help.contains("declare queue name=...") && help.contains("list queues [<column>...]"), "{help}");
    admin(&place, "declare queue name=q durable=true").fine();
    admin(&place, "declare queue name=q durable=false")
        .fails_with(1, "*** inequivalent arg 'durable' for queue 'q'");
}
