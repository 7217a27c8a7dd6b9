//! Headers exchanges.

use super::*;
use proptest::prelude::*;

/// Binds `q` with these arguments to a headers exchange.
fn bound<const N: usize>(arguments: [(&str, AMQPValue); N]) -> Names {
    let mut topology = with_queues(&["q"]);
    topology.exchange_of("x", "headers");
    assert_eq!(topology.bind_queue("x", "q", "", table(arguments)), Ok(Bound::Created));
    topology
}

impl Names {
    fn takes<const N: usize>(&self, headers: [(&str, AMQPValue); N]) -> bool {
        !self.by_headers("x", table(headers)).is_empty()
    }
}

#[test]
fn exc_70_all_is_the_default() {
    for mode in [None, Some("all")] {
        let mut arguments = table([("a", int(1)), ("b", int(2))]);
        if let Some(mode) = mode {
            arguments.insert("x-match".into(), string(mode));
        }
        let mut topology = with_queues(&["q"]);
        topology.exchange_of("x", "headers");
        assert_eq!(topology.bind_queue("x", "q", "", arguments), Ok(Bound::Created));
        assert!(topology.takes([("a", int(1)), ("b", int(2))]));
        assert!(!topology.takes([("a", int(1))]));
        assert!(!topology.takes([("a", int(1)), ("b", int(3))]));
        // EXC-78: extra headers are irrelevant.
        assert!(topology.takes([("a", int(1)), ("b", int(2)), ("c", int(3))]));
    }
}

#[test]
fn exc_70_any_wants_one() {
    let topology = bound([("x-match", string("any")), ("a", int(1)), ("b", int(2))]);
    assert!(topology.takes([("a", int(1))]));
    assert!(topology.takes([("a", int(9)), ("b", int(2))]));
    assert!(topology.takes([("a", int(1)), ("b", int(2))]));
    assert!(!topology.takes([("a", int(2)), ("b", int(1))]));
    assert!(!topology.takes([]));
}

#[test]
fn exc_70_bad_modes_are_refused() {
    let mut topology = with_queues(&["q"]);
    topology.exchange_of("x", "headers");
    let mut refusal =
        |value: AMQPValue| refused(topology.bind_queue("x", "q", "", table([("x-match", value)])));
    let expected = "expected all, any, all-with-x, or any-with-x";
    assert_eq!(refusal(string("bogus")), format!("Invalid x-match field value <<\"bogus\">>; {expected}"));
    assert_eq!(refusal(string("ANY")), format!("Invalid x-match field value <<\"ANY\">>; {expected}"));
    assert_eq!(refusal(string("")), format!("Invalid x-match field value <<>>; {expected}"));
    assert_eq!(refusal(int(5)), "Invalid x-match field type signedint (value 5); expected longstr");
    assert_eq!(
        refusal(AMQPValue::ByteArray(b"all"[..].into())),
        "Invalid x-match field type binary (value <<\"all\">>); expected longstr"
    );
    // Nothing is left behind, unbinding the same is fine, and so is binding an exchange rightly.
    assert_eq!(topology.binding_count(), 0);
    let unbound = topology.unbind_queue("x", "q", "", table([("x-match", int(5))]));
    assert_eq!(unbound, Ok(Unbound::default()));
}

#[test]
fn ch_47_missing_ends_are_reported_before_bad_modes() {
    let mut topology = with_queues(&[]);
    topology.exchange_of("x", "headers");
    let bad = table([("x-match", string("bogus"))]);
    assert_eq!(refused(topology.bind_queue("x", "nope", "", bad)), "no queue 'nope' in vhost '/'");
}

#[test]
fn exc_71_the_routing_key_is_ignored() {
    let topology = bound([("a", int(1))]);
    let headers = table([("a", int(1))]);
    assert_eq!(topology.reached("x", &RoutingKeys::only(b"whatever"), &headers), ["q"]);
}

#[test]
fn exc_72_x_arguments_count_only_on_request() {
    let without = bound([("x-match", string("all")), ("x-a", int(1)), ("b", int(2))]);
    assert!(without.takes([("b", int(2))]));
    let all = bound([("x-match", string("all-with-x")), ("x-a", int(1)), ("b", int(2))]);
    assert!(!all.takes([("b", int(2))]));
    assert!(all.takes([("x-a", int(1)), ("b", int(2))]));
    let any = bound([("x-match", string("any-with-x")), ("x-a", int(1)), ("b", int(2))]);
    assert!(any.takes([("x-a", int(1))]));
    // Never 'x-match' itself.
    assert!(!any.takes([("x-match", string("any-with-x"))]));
}

#[test]
fn exc_73_nothing_to_compare() {
    for arguments in [table([]), table([("x-match", string("all")), ("x-foo", int(1))])] {
        let mut topology = with_queues(&["q"]);
        topology.exchange_of("x", "headers");
        assert_eq!(topology.bind_queue("x", "q", "", arguments.clone()), Ok(Bound::Created));
        assert!(topology.takes([]) && topology.takes([("z", int(1))]));
        let mut queues = Vec::new();
        let keys = RoutingKeys::only(b"");
        topology.route("x", &keys, &Traits::default(), &mut queues, &mut Scratch::default()).expect("exists");
        assert_eq!(queues, ["q"], "a message without headers");
        assert!(topology.unbind_queue("x", "q", "", arguments).expect("bound").existed);
        assert!(!topology.takes([]));
    }
    let any = bound([("x-match", string("any")), ("x-foo", int(1))]);
    assert!(!any.takes([]) && !any.takes([("x-foo", int(1))]));
}

#[test]
fn exc_74_void_means_present() {
    for mode in ["all", "any"] {
        let topology = bound([("x-match", string(mode)), ("a", AMQPValue::Void)]);
        assert!(topology.takes([("a", int(1))]));
        assert!(topology.takes([("a", string("anything"))]));
        assert!(topology.takes([("a", AMQPValue::Void)]));
        assert!(!topology.takes([("b", int(1))]));
    }
}

#[test]
fn exc_75_to_77_values_are_compared_by_value() {
    assert!(bound([("a", int(7))]).takes([("a", AMQPValue::LongLongInt(7))]));
    assert!(bound([("a", int(7))]).takes([("a", AMQPValue::Timestamp(7))]));
    assert!(!bound([("a", int(7))]).takes([("a", AMQPValue::Double(7.0))]));
    assert!(!bound([("a", int(7))]).takes([("a", string("7"))]));
    assert!(bound([("a", string("s"))]).takes([("a", AMQPValue::ByteArray(b"s"[..].into()))]));
    assert!(bound([("a", AMQPValue::Float(1.5))]).takes([("a", AMQPValue::Double(1.5))]));
    assert!(bound([("a", AMQPValue::Double(0.0))]).takes([("a", AMQPValue::Double(-0.0))]));
    let list =
        |numbers: &[i32]| AMQPValue::FieldArray(numbers.iter().copied().map(int).collect::<Vec<_>>().into());
    assert!(bound([("a", list(&[1, 2]))]).takes([("a", list(&[1, 2]))]));
    assert!(!bound([("a", list(&[1, 2]))]).takes([("a", list(&[2, 1]))]));
}

#[test]
fn of_duplicated_headers_the_first_counts() {
    let topology = bound([("a", int(1))]);
    let reached = |body: &[u8]| {
        let (keys, headers) = (RoutingKeys::only(b""), crate::amqp::table::TableRef::new(body));
        let mut queues = Vec::new();
        topology
            .route("x", &keys, &headers_only(headers), &mut queues, &mut Scratch::default())
            .expect("exists");
        queues.len()
    };
    assert_eq!(reached(b"\x01ab\x01\x01ab\x02"), 1);
    assert_eq!(reached(b"\x01ab\x02\x01ab\x01"), 0);
    // The same when there are too many headers to scan.
    let mut many: Vec<u8> = (b'b'..b'z').flat_map(|name| [1, name, b'V']).collect();
    many.extend_from_slice(b"\x01ab\x02\x01ab\x01");
    assert_eq!(reached(&many), 0);
    many.splice(0..0, *b"\x01ab\x01");
    assert_eq!(reached(&many), 1);
}

fn small_value() -> impl Strategy<Value = AMQPValue> {
    prop_oneof![
        (0..3i32).prop_map(int),
        (0..3i64).prop_map(AMQPValue::LongLongInt),
        (0..3u64).prop_map(AMQPValue::Timestamp),
        (0..2u8).prop_map(|n| AMQPValue::Double(n.into())),
        any::<bool>().prop_map(AMQPValue::Boolean),
        Just(string("1")),
        Just(AMQPValue::ByteArray(b"1"[..].into())),
        Just(AMQPValue::Void),
    ]
}

fn small_table() -> impl Strategy<Value = FieldTable> {
    let name = prop::sample::select(&["a", "b", "c", "x-d"][..]);
    prop::collection::btree_map(name.prop_map(Into::into), small_value(), 0..4).prop_map(FieldTable::from)
}

/// The rules tried binding by binding.
fn naive(mode: &str, arguments: &FieldTable, headers: &FieldTable) -> bool {
    let with_x = mode.ends_with("-with-x");
    let body = crate::amqp::table::field_table_bytes(headers);
    let headers = crate::amqp::table::TableRef::new(&body);
    let compared = arguments.inner().iter().filter(|(name, _)| with_x || !name.as_str().starts_with("x-"));
    let mut met = compared.map(|(name, value)| {
        headers
            .find(name.as_str().as_bytes())
            .is_some_and(|field| *value == AMQPValue::Void || crate::amqp::table::value_matches(value, field))
    });
    if mode.starts_with("all") { met.all(|met| met) } else { met.any(|met| met) }
}

const MODES: [&str; 4] = ["all", "any", "all-with-x", "any-with-x"];

proptest! {
    #[test]
    fn the_index_agrees_with_trying_every_binding(
        bindings in prop::collection::vec((0..MODES.len(), small_table()), 1..12),
        removed in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        messages in prop::collection::vec(small_table(), 1..8),
    ) {
        let mut topology: Topology<usize> = Topology::new("/");
        topology.declare_exchange("x", plain("headers")).expect("new");
        let mut live: Vec<(usize, &str, &FieldTable)> = Vec::new();
        for (number, (mode, arguments)) in bindings.iter().enumerate() {
            let name = number.to_string();
            prop_assert!(topology.insert_queue(&name, number, QueueType::Classic, false));
            let mut with_mode = arguments.clone();
            with_mode.insert("x-match".into(), string(MODES[*mode]));
            topology.bind_queue("x", &name, "", with_mode).expect("a known mode");
            live.push((number, MODES[*mode], arguments));
        }
        for index in removed {
            if !live.is_empty() {
                let (number, ..) = live.remove(index.index(live.len()));
                prop_assert!(topology.remove_queue(&number.to_string()).is_some());
            }
        }
        for headers in messages {
            let body = crate::amqp::table::field_table_bytes(&headers);
            let view = crate::amqp::table::TableRef::new(&body);
            let (keys, mut reached) = (RoutingKeys::only(b""), Vec::new());
            topology.route("x", &keys, &headers_only(view), &mut reached, &mut Scratch::default()).expect("exists");
            reached.sort_unstable();
            let expected: Vec<usize> = live
                .iter()
                .filter(|(_, mode, arguments)| naive(mode, arguments, &headers))
                .map(|(number, ..)| *number)
                .collect();
            prop_assert_eq!(reached, expected);
        }
    }
}
