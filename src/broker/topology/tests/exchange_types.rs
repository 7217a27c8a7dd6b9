//! The default, direct and fanout exchanges.

use super::*;

#[test]
fn exc_11_the_default_exchange_routes_by_queue_name() {
    let topology = with_queues(&["q", "r", "#"]);
    assert_eq!(topology.by_key("", "q"), ["q"]);
    assert_eq!(topology.by_key("", "nope"), [""; 0]);
    assert_eq!(topology.by_key("", "#"), ["#"]);
    let copies = RoutingKeys { key: b"q", extra: &[b"r", b"q", b"\xff", b"r"] };
    assert_eq!(topology.reached("", &copies, &FieldTable::default()), ["q", "r"]);
}

#[test]
fn exc_40_direct_compares_octets() {
    let mut topology = with_queues(&["q", "r", "s"]);
    topology.exchange_of("x", "direct");
    topology.queue_to("x", "q", "k");
    topology.queue_to("x", "r", "k");
    topology.queue_to("x", "s", "");
    assert_eq!(topology.by_key("x", "k"), ["q", "r"]);
    assert_eq!(topology.by_key("x", ""), ["s"]);
    assert_eq!(topology.by_key("x", "K"), [""; 0]);
    assert_eq!(topology.reached("x", &RoutingKeys::only(b"\xff"), &FieldTable::default()), [""; 0]);
    let copies = RoutingKeys { key: b"none", extra: &[b"", b"k"] };
    assert_eq!(topology.reached("x", &copies, &FieldTable::default()), ["q", "r", "s"]);
}

#[test]
fn exc_41_fanout_ignores_keys_and_arguments() {
    let mut topology = with_queues(&["q", "r"]);
    topology.exchange_of("x", "fanout");
    topology.queue_to("x", "q", "k");
    topology.queue_to("x", "q", "other");
    assert_eq!(topology.bind_queue("x", "r", "", table([("x-match", string("bogus"))])), Ok(Bound::Created));
    assert_eq!(topology.by_key("x", "anything"), ["q", "r"]);
    assert!(topology.unbind_queue("x", "q", "k", FieldTable::default()).expect("bound").existed);
    assert_eq!(topology.by_key("x", ""), ["q", "r"]);
    assert!(topology.unbind_queue("x", "q", "other", FieldTable::default()).expect("bound").existed);
    assert_eq!(topology.by_key("x", ""), ["r"]);
}

#[test]
fn a_fanout_to_many_queues_reaches_each_once() {
    let mut topology: Topology<usize> = Topology::new("/");
    assert_eq!(topology.declare_exchange("x", plain("fanout")), Ok(Declared::Created));
    assert_eq!(topology.declare_exchange("y", plain("fanout")), Ok(Declared::Created));
    let none = FieldTable::default;
    assert_eq!(topology.bind_exchange("x", "y", "", none()), Ok(Bound::Created));
    for number in 0..5_000 {
        let name = number.to_string();
        assert!(topology.insert_queue(&name, number, QueueType::Classic, false));
        for exchange in ["x", "y"] {
            assert_eq!(topology.bind_queue(exchange, &name, "", none()), Ok(Bound::Created));
        }
    }
    let mut queues = Vec::new();
    let mut scratch = Scratch::default();
    for _ in 0..2 {
        queues.clear();
        let keys = RoutingKeys::only(b"k");
        let routed = topology.route("x", &keys, &Traits::default(), &mut queues, &mut scratch);
        assert_eq!(routed, Ok(RouteInfo { by_keys_alone: true, is_remembered: false }));
        queues.sort_unstable();
        assert!(queues.iter().copied().eq(0..5_000));
    }
    for number in 0..5_000 {
        assert!(topology.remove_queue(&number.to_string()).is_some());
    }
    assert_eq!((topology.binding_count(), topology.queue_count()), (1, 0));
}
