//! Declaring and deleting exchanges.

use super::*;

#[test]
fn exc_01_to_07_predeclared_exchanges() {
    let topology = with_queues(&[]);
    let listed: Vec<_> = topology
        .exchanges()
        .map(|exchange| {
            assert!(exchange.durable() && !exchange.auto_delete());
            (exchange.name(), exchange.kind().name(), exchange.internal())
        })
        .collect();
    let expected = [
        ("", "direct", false),
        ("amq.direct", "direct", false),
        ("amq.fanout", "fanout", false),
        ("amq.topic", "topic", false),
        ("amq.headers", "headers", false),
        ("amq.match", "headers", false),
        ("amq.rabbitmq.trace", "topic", true),
    ];
    assert_eq!(listed, expected);
    assert_eq!(topology.exchange_count(), 7);
}

#[test]
fn ch_20_passive_declare_of_a_missing_exchange() {
    let topology = with_queues(&[]);
    assert_eq!(refused(topology.check_exchange("x")), "no exchange 'x' in vhost '/'");
    assert_eq!(topology.check_exchange("amq.topic").map(Exchange::name), Ok("amq.topic"));
}

#[test]
fn ch_22_reserved_names_cannot_be_declared() {
    let mut topology = with_queues(&[]);
    let text = refused(topology.declare_exchange("amq.foo", plain("direct")));
    assert_eq!(text, "exchange name 'amq.foo' contains reserved prefix 'amq.*'");
}

#[test]
fn ch_23_predeclared_exchanges_may_be_redeclared() {
    let mut topology = with_queues(&[]);
    assert_eq!(topology.declare_exchange("amq.direct", plain("direct")), Ok(Declared::Existing));
    let text = refused(topology.declare_exchange("amq.direct", plain("topic")));
    assert_eq!(
        text,
        "inequivalent arg 'type' for exchange 'amq.direct' in vhost '/': received 'topic' but current is 'direct'"
    );
}

#[test]
fn ch_24_unknown_type_comes_before_everything_else() {
    let mut topology = with_queues(&[]);
    for name in ["x", "", "amq.foo"] {
        let text = refused(topology.declare_exchange(name, plain("bogus")));
        assert_eq!(text, "unknown exchange type 'bogus'");
    }
}

#[test]
fn ch_25_redeclare_reports_the_first_difference() {
    let mut topology = with_queues(&[]);
    topology.exchange_of("x", "direct");
    let all_different = ExchangeDeclare {
        kind: "fanout",
        durable: false,
        auto_delete: true,
        internal: true,
        arguments: table([("alternate-exchange", string("a"))]),
    };
    let steps = [
        (all_different.clone(), "type", "received 'fanout' but current is 'direct'"),
        (
            ExchangeDeclare { kind: "direct", ..all_different.clone() },
            "durable",
            "received 'false' but current is 'true'",
        ),
        (
            ExchangeDeclare { kind: "direct", durable: true, ..all_different.clone() },
            "auto_delete",
            "received 'true' but current is 'false'",
        ),
        (
            ExchangeDeclare { internal: true, ..with_alternate("direct", "a") },
            "internal",
            "received 'true' but current is 'false'",
        ),
    ];
    for (declare, attribute, difference) in steps {
        let text = refused(topology.declare_exchange("x", declare));
        assert_eq!(
            text,
            format!("inequivalent arg '{attribute}' for exchange 'x' in vhost '/': {difference}")
        );
    }
}

#[test]
fn ch_26_alternate_exchange_takes_part_in_equivalence() {
    let mut topology = with_queues(&[]);
    topology.exchange_of("none", "direct");
    assert_eq!(topology.declare_exchange("some", with_alternate("direct", "bar")), Ok(Declared::Created));
    assert_eq!(topology.declare_exchange("some", with_alternate("direct", "bar")), Ok(Declared::Existing));
    let cases = [
        (
            "none",
            with_alternate("direct", "foo"),
            "received the value 'foo' of type 'longstr' but current is none",
        ),
        ("some", plain("direct"), "received none but current is the value 'bar' of type 'longstr'"),
        ("some", with_alternate("direct", "foo"), "received 'foo' but current is 'bar'"),
    ];
    for (name, declare, difference) in cases {
        let text = refused(topology.declare_exchange(name, declare));
        let start = format!("inequivalent arg 'alternate-exchange' for exchange '{name}' in vhost '/': ");
        assert_eq!(text, start + difference);
    }
}

#[test]
fn exc_19_other_arguments_are_stored_and_ignored() {
    let mut topology = with_queues(&[]);
    let declare = ExchangeDeclare { arguments: table([("x-foo", int(1))]), ..plain("direct") };
    assert_eq!(topology.declare_exchange("x", declare), Ok(Declared::Created));
    assert_eq!(topology.declare_exchange("x", plain("direct")), Ok(Declared::Existing));
    let shown = topology.exchange("x").expect("declared").arguments();
    assert_eq!(shown, &table([("x-foo", int(1))]));
}

#[test]
fn ch_27_alternate_exchange_must_be_a_long_string() {
    let mut topology = with_queues(&[]);
    let declare = ExchangeDeclare { arguments: table([("alternate-exchange", int(5))]), ..plain("direct") };
    let text = refused(topology.declare_exchange("x", declare));
    assert_eq!(text, "invalid type 'signedint' for arg 'alternate-exchange' in exchange 'x' in vhost '/'");
    assert!(topology.exchange("x").is_none());
}

#[test]
fn ch_28_the_default_exchange_is_untouchable() {
    let mut topology = with_queues(&["q"]);
    topology.exchange_of("x", "direct");
    let none = FieldTable::default;
    let texts = [
        refused(topology.declare_exchange("", plain("direct"))),
        refused(topology.check_exchange("")),
        refused(topology.delete_exchange("", false)),
        refused(topology.bind_queue("", "q", "k", none())),
        refused(topology.unbind_queue("", "q", "q", none())),
        refused(topology.bind_exchange("", "x", "k", none())),
        refused(topology.bind_exchange("x", "", "k", none())),
        refused(topology.unbind_exchange("", "x", "k", none())),
        refused(topology.unbind_exchange("x", "", "k", none())),
    ];
    for text in texts {
        assert_eq!(text, "operation not permitted on the default exchange");
    }
}

#[test]
fn ch_29_system_exchanges_cannot_be_deleted() {
    let mut topology = with_queues(&[]);
    for name in ["amq.direct", "amq.nope"] {
        let text = refused(topology.delete_exchange(name, false));
        assert_eq!(text, format!("deletion of system exchange '{name}' in vhost '/' not allowed"));
    }
}

#[test]
fn ch_30_deleting_a_missing_exchange_is_fine() {
    let mut topology = with_queues(&[]);
    assert_eq!(topology.delete_exchange("x", true), Ok(Deleted::default()));
}

#[test]
fn ch_31_if_unused_looks_at_bindings_from_the_exchange() {
    let mut topology = with_queues(&["q"]);
    topology.exchange_of("x", "fanout");
    topology.exchange_of("y", "fanout");
    topology.exchange_to("y", "x", "");
    topology.queue_to("x", "q", "");
    assert_eq!(refused(topology.delete_exchange("x", true)), "exchange 'x' in vhost '/' in use");
    assert!(topology.unbind_queue("x", "q", "", FieldTable::default()).expect("bound").existed);
    // Being a destination is no use.
    assert!(topology.delete_exchange("x", true).expect("unused").existed);
    assert_eq!(topology.binding_count(), 0);
}

#[test]
fn exc_15_a_deleted_exchange_starts_empty_again() {
    let mut topology = with_queues(&["q"]);
    topology.exchange_of("x", "fanout");
    topology.exchange_of("y", "fanout");
    topology.exchange_to("x", "x", "");
    topology.exchange_to("x", "y", "");
    topology.exchange_to("y", "x", "");
    topology.queue_to("x", "q", "");
    assert_eq!(topology.by_key("x", ""), ["q"]);
    assert!(topology.delete_exchange("x", false).expect("exists").existed);
    assert!(topology.exchange("x").is_none());
    assert_eq!(topology.binding_count(), 0);
    assert_eq!(topology.by_key("y", ""), [""; 0]);
    topology.exchange_of("x", "fanout");
    assert_eq!(topology.by_key("x", ""), [""; 0]);
}

#[test]
fn exc_16_auto_delete_goes_with_the_last_binding_from_it() {
    let mut topology = with_queues(&["q", "r"]);
    assert_eq!(topology.declare_exchange("auto", auto_delete("direct")), Ok(Declared::Created));
    topology.exchange_of("x", "fanout");
    // Losing a binding in which it is the destination does not matter.
    topology.exchange_to("x", "auto", "");
    assert!(topology.unbind_exchange("x", "auto", "", FieldTable::default()).expect("bound").existed);
    assert!(topology.exchange("auto").is_some());
    topology.queue_to("auto", "q", "1");
    topology.queue_to("auto", "r", "2");
    let unbound = topology.unbind_queue("auto", "q", "1", FieldTable::default()).expect("bound");
    assert_eq!(unbound, Unbound { existed: true, auto_deleted: vec![] });
    let removed = topology.remove_queue("r").expect("exists");
    assert_eq!(removed, RemovedQueue { handle: "r", auto_deleted: vec!["auto".to_owned()] });
    assert!(topology.exchange("auto").is_none());
}

#[test]
fn exc_16_deletion_cascades_up_the_sources() {
    let mut topology = with_queues(&["q"]);
    for name in ["a", "b", "c"] {
        assert_eq!(topology.declare_exchange(name, auto_delete("fanout")), Ok(Declared::Created));
    }
    topology.exchange_to("a", "b", "");
    topology.exchange_to("b", "c", "");
    topology.exchange_to("c", "c", "loop");
    topology.queue_to("c", "q", "");
    let unbound = topology.unbind_queue("c", "q", "", FieldTable::default()).expect("bound");
    // 'c' still has the binding to itself.
    assert_eq!(unbound.auto_deleted, [""; 0]);
    let unbound = topology.unbind_exchange("c", "c", "loop", FieldTable::default()).expect("bound");
    assert_eq!(unbound.auto_deleted, ["c", "b", "a"]);
    assert_eq!((topology.exchange_count(), topology.binding_count()), (7, 0));
}

#[test]
fn exc_16_a_deleted_destination_takes_its_source_along() {
    let mut topology = with_queues(&[]);
    assert_eq!(topology.declare_exchange("source", auto_delete("fanout")), Ok(Declared::Created));
    topology.exchange_of("destination", "fanout");
    topology.exchange_to("source", "destination", "");
    let deleted = topology.delete_exchange("destination", false).expect("exists");
    assert_eq!(deleted, Deleted { existed: true, auto_deleted: vec!["source".to_owned()] });
}

#[test]
fn the_generation_moves_with_every_change_and_with_nothing_else() {
    let mut topology = with_queues(&["q"]);
    let mut last = topology.generation();
    let mut moved = |topology: &Names| {
        let moved = last != topology.generation();
        last = topology.generation();
        moved
    };
    topology.exchange_of("x", "direct");
    assert!(moved(&topology));
    assert_eq!(topology.declare_exchange("x", plain("direct")), Ok(Declared::Existing));
    assert!(!moved(&topology));
    topology.queue_to("x", "q", "k");
    assert!(moved(&topology));
    assert_eq!(topology.bind_queue("x", "q", "k", FieldTable::default()), Ok(Bound::Existing));
    assert_eq!(topology.by_key("x", "k"), ["q"]);
    assert!(!moved(&topology));
    assert!(topology.set_alternate_by_policy("x", Some("amq.fanout")));
    assert!(moved(&topology));
    assert!(topology.insert_queue("r", "r", QueueType::Classic, false));
    assert!(moved(&topology));
    assert!(!topology.insert_queue("r", "other", QueueType::Classic, false));
    assert!(!moved(&topology));
    assert!(topology.remove_queue("q").is_some());
    assert!(moved(&topology));
}
