//! Bindings: identity, both directions, listings.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

#[test]
fn ch_47_bind_names_what_is_missing() {
    let mut topology = with_queues(&["q"]);
    topology.exchange_of("x", "direct");
    let none = FieldTable::default;
    assert_eq!(refused(topology.bind_queue("x", "nq", "", none())), "no queue 'nq' in vhost '/'");
    assert_eq!(refused(topology.bind_queue("nx", "q", "", none())), "no exchange 'nx' in vhost '/'");
    assert_eq!(refused(topology.bind_queue("nx", "nq", "", none())), "no exchange 'nx' in vhost '/'");
}

#[test]
fn ch_32_bind_of_missing_exchanges() {
    let mut topology = with_queues(&[]);
    topology.exchange_of("x", "direct");
    let none = FieldTable::default;
    assert_eq!(refused(topology.bind_exchange("x", "nx", "", none())), "no exchange 'nx' in vhost '/'");
    assert_eq!(refused(topology.bind_exchange("nx", "x", "", none())), "no exchange 'nx' in vhost '/'");
    assert_eq!(refused(topology.bind_exchange("ns", "nd", "", none())), "no exchange 'ns' in vhost '/'");
}

#[test]
fn ch_33_and_ch_48_unbind_of_anything_missing_is_fine() {
    let mut topology = with_queues(&["q"]);
    topology.exchange_of("x", "direct");
    let none = FieldTable::default;
    for (source, queue) in [("x", "q"), ("x", "nq"), ("nx", "q"), ("nx", "nq")] {
        assert_eq!(topology.unbind_queue(source, queue, "k", none()), Ok(Unbound::default()));
        assert_eq!(topology.unbind_exchange(source, queue, "k", none()), Ok(Unbound::default()));
    }
}

#[test]
fn exc_13_binding_twice_is_binding_once() {
    let mut topology = with_queues(&["q"]);
    topology.exchange_of("x", "direct");
    topology.queue_to("x", "q", "k");
    assert_eq!(topology.bind_queue("x", "q", "k", FieldTable::default()), Ok(Bound::Existing));
    assert!(topology.unbind_queue("x", "q", "k", FieldTable::default()).expect("bound").existed);
    assert_eq!(topology.by_key("x", "k"), [""; 0]);
}

#[test]
fn exc_12_arguments_with_other_field_types_are_other_bindings() {
    let mut topology = with_queues(&["q"]);
    topology.exchange_of("x", "direct");
    let (wide, narrow) = (table([("a", AMQPValue::LongLongInt(1))]), table([("a", int(1))]));
    assert_eq!(topology.bind_queue("x", "q", "k", narrow.clone()), Ok(Bound::Created));
    assert!(!topology.unbind_queue("x", "q", "k", wide.clone()).expect("never an error").existed);
    assert_eq!(topology.bind_queue("x", "q", "k", wide.clone()), Ok(Bound::Created));
    assert_eq!(topology.by_key("x", "k"), ["q"]);
    // EXC-14: one with other arguments stays.
    assert!(topology.unbind_queue("x", "q", "k", narrow).expect("bound").existed);
    assert_eq!(topology.by_key("x", "k"), ["q"]);
    assert!(topology.unbind_queue("x", "q", "k", wide).expect("bound").existed);
    assert_eq!(topology.by_key("x", "k"), [""; 0]);
}

#[test]
fn exc_12_even_not_a_number_identifies_a_binding() {
    let mut topology = with_queues(&["q"]);
    topology.exchange_of("x", "fanout");
    let nan = || table([("a", AMQPValue::Double(f64::NAN))]);
    assert_eq!(topology.bind_queue("x", "q", "", nan()), Ok(Bound::Created));
    assert_eq!(topology.bind_queue("x", "q", "", nan()), Ok(Bound::Existing));
    assert!(topology.unbind_queue("x", "q", "", nan()).expect("bound").existed);
}

#[test]
fn listings_show_bindings_from_both_ends() {
    let mut topology = with_queues(&["q", "r"]);
    topology.exchange_of("x", "direct");
    topology.exchange_of("y", "direct");
    assert!(topology.insert_queue("t", "t", QueueType::Classic, false));
    topology.queue_to("x", "q", "k");
    topology.queue_to("x", "t", "k");
    topology.exchange_to("x", "y", "e");
    let (x, none) = ("x", None);
    let implicit = |name: &'static str, durable| BindingView {
        source: "",
        destination: DestinationView::Queue(name),
        routing_key: name,
        arguments: None,
        durable,
    };
    let q = BindingView {
        source: x,
        destination: DestinationView::Queue("q"),
        routing_key: "k",
        arguments: none,
        durable: true,
    };
    let t = BindingView { destination: DestinationView::Queue("t"), durable: false, ..q };
    let y = BindingView { destination: DestinationView::Exchange("y"), routing_key: "e", ..q };
    let all = [implicit("q", true), implicit("r", true), implicit("t", false)];
    assert_eq!(topology.bindings_from("").collect::<Vec<_>>(), all);
    assert_eq!(topology.bindings_from("x").collect::<Vec<_>>(), [q, t, y]);
    assert_eq!(topology.bindings_from("nope").count(), 0);
    assert_eq!(topology.bindings_to_queue("q").collect::<Vec<_>>(), [all[0], q]);
    assert_eq!(topology.bindings_to_queue("nope").count(), 0);
    assert_eq!(topology.bindings_to_exchange("y").collect::<Vec<_>>(), [y]);
    assert_eq!(topology.bindings().collect::<Vec<_>>(), [all[0], all[1], all[2], q, t, y]);
    assert_eq!((topology.queue_count(), topology.binding_count()), (3, 3));
    assert_eq!(topology.queues().map(|(name, _)| name).collect::<Vec<_>>(), ["q", "r", "t"]);
}

/// One step of a random history over a few names.
#[derive(Clone, Debug)]
enum Step {
    Bind(usize, usize, usize),
    Unbind(usize, usize, usize),
    Forget(usize),
}

const KEYS: [&str; 4] = ["", "a", "a.b", "#"];
const KINDS: [&str; 4] = ["direct", "fanout", "topic", "headers"];
const QUEUES: [&str; 3] = ["q0", "q1", "q2"];

fn any_step() -> impl Strategy<Value = Step> {
    let ends = (0..KINDS.len(), 0..QUEUES.len(), 0..KEYS.len());
    prop_oneof![
        4 => ends.clone().prop_map(|(x, q, k)| Step::Bind(x, q, k)),
        3 => ends.prop_map(|(x, q, k)| Step::Unbind(x, q, k)),
        1 => (0..QUEUES.len()).prop_map(Step::Forget),
    ]
}

proptest! {
    /// Whatever was bound and unbound before, the two lists and the routers agree with a plain set.
    #[test]
    fn any_history_leaves_what_a_set_would_hold(steps in prop::collection::vec(any_step(), 0..60)) {
        let mut topology = with_queues(&QUEUES);
        for kind in KINDS {
            topology.exchange_of(kind, kind);
        }
        let mut model: BTreeSet<(&str, &str, &str)> = BTreeSet::new();
        let none = FieldTable::default;
        for step in steps {
            match step {
                Step::Bind(x, q, k) => {
                    let bound = topology.bind_queue(KINDS[x], QUEUES[q], KEYS[k], none());
                    let is_new = model.insert((KINDS[x], QUEUES[q], KEYS[k]));
                    prop_assert_eq!(bound, Ok(if is_new { Bound::Created } else { Bound::Existing }));
                }
                Step::Unbind(x, q, k) => {
                    let unbound = topology.unbind_queue(KINDS[x], QUEUES[q], KEYS[k], none());
                    let existed = model.remove(&(KINDS[x], QUEUES[q], KEYS[k]));
                    prop_assert_eq!(unbound.expect("never an error").existed, existed);
                }
                Step::Forget(q) => {
                    topology.remove_queue(QUEUES[q]).expect("always there");
                    prop_assert!(topology.insert_queue(QUEUES[q], QUEUES[q], QueueType::Classic, true));
                    model.retain(|(_, queue, _)| *queue != QUEUES[q]);
                }
            }
        }
        for kind in KINDS {
            let listed: BTreeSet<_> = topology.bindings_from(kind).map(|view| match view.destination {
                DestinationView::Queue(queue) => (view.source, queue, view.routing_key),
                DestinationView::Exchange(other) => panic!("bound to {other}"),
            }).collect();
            let modelled = model.iter().filter(|(source, ..)| *source == kind).copied().collect();
            prop_assert_eq!(listed, modelled);
        }
        for queue in QUEUES {
            let modelled = model.iter().filter(|(_, other, _)| *other == queue).count();
            prop_assert_eq!(topology.bindings_to_queue(queue).count(), 1 + modelled);
        }
        for key in ["", "a", "a.b", "c"] {
            for kind in KINDS {
                let matches = |bound: &str| match kind {
                    "direct" => bound == key,
                    "topic" => bound == "#" || bound == key,
                    _ => true,
                };
                let modelled: BTreeSet<_> = model
                    .iter()
                    .filter(|(source, _, bound)| *source == kind && matches(bound))
                    .map(|(_, queue, _)| *queue)
                    .collect();
                prop_assert_eq!(topology.by_key(kind, key), modelled.into_iter().collect::<Vec<_>>());
            }
        }
    }
}
