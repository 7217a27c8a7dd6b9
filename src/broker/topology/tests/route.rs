//! Walking from exchange to exchange.

use super::*;

#[test]
fn ch_34_publishing_to_a_missing_exchange() {
    let topology = with_queues(&[]);
    assert_eq!(refused(topology.publishable("x")), "no exchange 'x' in vhost '/'");
    let keys = RoutingKeys::only(b"");
    let routed = topology.route("x", &keys, &Traits::default(), &mut Vec::new(), &mut Scratch::default());
    assert_eq!(refused(routed), "no exchange 'x' in vhost '/'");
    assert_eq!(topology.publishable(""), Ok(()));
}

#[test]
fn ch_35_publishing_to_an_internal_exchange() {
    let mut topology = with_queues(&["q"]);
    let text = refused(topology.publishable("amq.rabbitmq.trace"));
    assert_eq!(text, "cannot publish to internal exchange 'amq.rabbitmq.trace' in vhost '/'");
    // EXC-17: bindings from and to it work.
    let internal = ExchangeDeclare { internal: true, ..plain("fanout") };
    assert_eq!(topology.declare_exchange("inner", internal), Ok(Declared::Created));
    topology.exchange_of("outer", "fanout");
    topology.exchange_to("outer", "inner", "");
    topology.queue_to("inner", "q", "");
    assert_eq!(topology.by_key("outer", ""), ["q"]);
}

#[test]
fn exc_10_a_queue_gets_one_copy_however_many_paths() {
    let mut topology = with_queues(&["q"]);
    topology.exchange_of("x", "topic");
    for key in ["a.*", "#", "a.b"] {
        topology.queue_to("x", "q", key);
    }
    assert_eq!(topology.by_key("x", "a.b"), ["q"]);
}

#[test]
fn exc_30_cycles_of_exchanges_end() {
    let mut topology = with_queues(&["q"]);
    for name in ["a", "b", "c"] {
        topology.exchange_of(name, "fanout");
    }
    topology.exchange_to("a", "b", "");
    topology.exchange_to("b", "c", "");
    topology.exchange_to("c", "a", "");
    topology.exchange_to("a", "a", "");
    topology.queue_to("c", "q", "");
    topology.queue_to("a", "q", "");
    for start in ["a", "b", "c"] {
        assert_eq!(topology.by_key(start, "k"), ["q"]);
    }
}

#[test]
fn exc_31_each_hop_matches_by_its_own_rules() {
    let mut topology = with_queues(&["q", "r", "s"]);
    topology.exchange_of("first", "topic");
    topology.exchange_of("second", "direct");
    topology.exchange_of("third", "headers");
    topology.exchange_to("first", "second", "a.#");
    topology.exchange_to("second", "third", "a.b");
    topology.queue_to("second", "q", "a.c");
    let arguments = table([("h", int(1))]);
    assert_eq!(topology.bind_queue("third", "s", "", arguments), Ok(Bound::Created));
    assert_eq!(topology.by_key("first", "a.c"), ["q"]);
    let keys = RoutingKeys::only(b"a.b");
    assert_eq!(topology.reached("first", &keys, &table([("h", int(1))])), ["s"]);
    assert_eq!(topology.reached("first", &keys, &table([("h", int(2))])), [""; 0]);
}

#[test]
fn routes_say_whether_headers_took_part() {
    let mut topology = with_queues(&["q"]);
    topology.exchange_of("x", "direct");
    topology.exchange_of("h", "headers");
    topology.exchange_to("x", "h", "with");
    let info = |exchange: &str, key: &[u8]| {
        let keys = RoutingKeys::only(key);
        topology.route(exchange, &keys, &Traits::default(), &mut Vec::new(), &mut Scratch::default())
    };
    assert_eq!(info("x", b"without"), Ok(RouteInfo { by_keys_alone: true, is_remembered: false }));
    assert_eq!(info("x", b"with"), Ok(RouteInfo { by_keys_alone: false, is_remembered: false }));
    assert_eq!(info("h", b""), Ok(RouteInfo { by_keys_alone: false, is_remembered: false }));
    assert_eq!(info("", b"q"), Ok(RouteInfo { by_keys_alone: true, is_remembered: false }));
}

#[test]
fn exc_21_the_alternate_exchange_gets_what_reached_nothing() {
    let mut topology = with_queues(&["q", "lost"]);
    assert_eq!(topology.declare_exchange("x", with_alternate("direct", "ae")), Ok(Declared::Created));
    // EXC-24: a missing alternate exchange is as none.
    assert_eq!(topology.by_key("x", "k"), [""; 0]);
    topology.exchange_of("ae", "fanout");
    topology.queue_to("ae", "lost", "");
    assert_eq!(topology.by_key("x", "k"), ["lost"]);
    topology.queue_to("x", "q", "k");
    assert_eq!(topology.by_key("x", "k"), ["q"]);
    // An exchange counts as a destination even if it then drops the message.
    topology.exchange_of("sink", "direct");
    topology.exchange_to("x", "sink", "dropped");
    assert_eq!(topology.by_key("x", "dropped"), [""; 0]);
}

#[test]
fn exc_21_an_exchange_reached_by_binding_has_its_alternate_too() {
    let mut topology = with_queues(&["lost"]);
    topology.exchange_of("x", "fanout");
    assert_eq!(topology.declare_exchange("inner", with_alternate("direct", "ae")), Ok(Declared::Created));
    topology.exchange_of("ae", "fanout");
    topology.exchange_to("x", "inner", "");
    topology.queue_to("ae", "lost", "");
    assert_eq!(topology.by_key("x", "k"), ["lost"]);
}

#[test]
fn exc_23_alternate_exchanges_chain_and_cycles_end() {
    let mut topology = with_queues(&["q"]);
    for (name, alternate) in [("a", "b"), ("b", "c"), ("c", "a"), ("self", "self")] {
        assert_eq!(
            topology.declare_exchange(name, with_alternate("direct", alternate)),
            Ok(Declared::Created)
        );
    }
    assert_eq!(topology.by_key("a", "k"), [""; 0]);
    assert_eq!(topology.by_key("self", "k"), [""; 0]);
    topology.queue_to("c", "q", "k");
    assert_eq!(topology.by_key("a", "k"), ["q"]);
}

#[test]
fn exc_20_the_argument_wins_over_the_policy() {
    let mut topology = with_queues(&["q", "r"]);
    topology.exchange_of("by-argument", "fanout");
    topology.exchange_of("by-policy", "fanout");
    topology.queue_to("by-argument", "q", "");
    topology.queue_to("by-policy", "r", "");
    assert_eq!(
        topology.declare_exchange("x", with_alternate("direct", "by-argument")),
        Ok(Declared::Created)
    );
    topology.exchange_of("y", "direct");
    for exchange in ["x", "y"] {
        assert!(topology.set_alternate_by_policy(exchange, Some("by-policy")));
    }
    assert!(!topology.set_alternate_by_policy("nope", Some("by-policy")));
    assert_eq!(topology.by_key("x", ""), ["q"]);
    assert_eq!(topology.by_key("y", ""), ["r"]);
    assert!(topology.set_alternate_by_policy("y", None));
    assert_eq!(topology.by_key("y", ""), [""; 0]);
}

#[test]
fn the_default_exchange_as_alternate_drops_the_message() {
    let mut topology = with_queues(&["q"]);
    assert_eq!(topology.declare_exchange("x", with_alternate("direct", "")), Ok(Declared::Created));
    assert_eq!(topology.by_key("x", "q"), [""; 0]);
}
