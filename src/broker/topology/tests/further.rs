//! RabbitMQ's exchange types beyond those of AMQP.

use super::*;
use std::collections::BTreeMap;

/// Declares an exchange with these arguments.
fn declare<const N: usize>(
    topology: &mut Names,
    name: &str,
    kind: &str,
    arguments: [(&str, AMQPValue); N],
) -> Result<Declared, TopologyError> {
    topology.declare_exchange(name, ExchangeDeclare { arguments: table(arguments), ..plain(kind) })
}

/// Where messages with the keys `0`, `1`, ... go.
fn places(topology: &Names, exchange: &str, count: usize) -> Vec<Vec<&'static str>> {
    (0..count).map(|key| topology.by_key(exchange, &key.to_string())).collect()
}

/// How many messages each queue got; every message must have gone to one.
fn shares(places: &[Vec<&'static str>]) -> BTreeMap<&'static str, usize> {
    let mut shares = BTreeMap::new();
    for place in places {
        assert_eq!(place.len(), 1, "to one destination");
        *shares.entry(place[0]).or_default() += 1;
    }
    shares
}

/// Where messages with these headers and properties go, all with the same scratch.
fn spread<'a>(
    topology: &Names,
    exchange: &str,
    messages: impl IntoIterator<Item = (RoutingKeys<'a>, Traits<'a>)>,
) -> Vec<Vec<&'static str>> {
    let mut scratch = Scratch::seeded(1);
    let route = |(keys, traits)| {
        let mut queues = Vec::new();
        topology.route(exchange, &keys, &traits, &mut queues, &mut scratch).expect("the exchange exists");
        queues
    };
    messages.into_iter().map(route).collect()
}

#[test]
fn exc_80_weights_are_positive_integers_up_to_ten_thousand() {
    let mut topology = with_queues(&["q"]);
    topology.exchange_of("x", "x-consistent-hash");
    let not_integer = |term: &str| format!("The binding key must be an integer: {term}");
    for (key, text) in [
        ("0", "The binding key must be greater than 0".to_owned()),
        ("-0", "The binding key must be greater than 0".to_owned()),
        ("-1", "The binding key must be greater than 0".to_owned()),
        ("-99999999999999999999999", "The binding key must be greater than 0".to_owned()),
        ("10001", "The binding key must not exceed 10000".to_owned()),
        ("99999999999999999999999", "The binding key must not exceed 10000".to_owned()),
        ("abc", not_integer("<<\"abc\">>")),
        ("", not_integer("<<>>")),
        ("-", not_integer("<<\"-\">>")),
        ("1.5", not_integer("<<\"1.5\">>")),
        (" 1", not_integer("<<\" 1\">>")),
    ] {
        assert_eq!(refused(topology.bind_queue("x", "q", key, table([]))), text, "{key:?}");
    }
    assert_eq!(topology.by_key("x", "k"), [""; 0], "nothing was bound");
    for key in ["1", "+2", "007", "10000"] {
        topology.queue_to("x", "q", key);
    }
    assert_eq!(topology.by_key("x", "k"), ["q"]);
}

#[test]
fn exc_81_one_destination_by_weight_and_the_same_for_the_same_key() {
    let mut topology = with_queues(&["q", "r", "s"]);
    topology.exchange_of("x", "x-consistent-hash");
    assert_eq!(topology.by_key("x", "k"), [""; 0]);
    for (queue, weight) in [("q", "1"), ("r", "2"), ("s", "1")] {
        topology.queue_to("x", queue, weight);
    }
    let before = places(&topology, "x", 4_000);
    let shares = shares(&before);
    assert!((900..1_100).contains(&shares["q"]), "{shares:?}");
    assert!((1_850..2_150).contains(&shares["r"]), "{shares:?}");
    assert!((900..1_100).contains(&shares["s"]), "{shares:?}");
    assert_eq!(places(&topology, "x", 4_000), before);
    // What was bound last is all that moves when it goes, and comes back to the same place.
    assert!(topology.unbind_queue("x", "s", "1", FieldTable::default()).expect("bound").existed);
    for (before, after) in before.iter().zip(places(&topology, "x", 4_000)) {
        assert!(before == &after || before == &["s"] && after != ["s"]);
    }
    topology.queue_to("x", "s", "1");
    assert_eq!(places(&topology, "x", 4_000), before);
    // All keys of a message together are hashed, once.
    let copies = RoutingKeys { key: b"a", extra: &[b"b", b"c"] };
    assert_eq!(topology.reached("x", &copies, &FieldTable::default()).len(), 1);
}

#[test]
fn exc_82_a_second_weight_does_not_count_until_the_first_goes() {
    let mut topology = with_queues(&["q", "r"]);
    topology.exchange_of("x", "x-consistent-hash");
    topology.queue_to("x", "q", "1");
    topology.queue_to("x", "r", "1");
    let before = places(&topology, "x", 1_000);
    topology.queue_to("x", "q", "100");
    assert_eq!(places(&topology, "x", 1_000), before);
    assert!(topology.unbind_queue("x", "q", "1", FieldTable::default()).expect("bound").existed);
    let shares = shares(&places(&topology, "x", 1_000));
    assert!(950 < shares["q"], "{shares:?}");
    assert!(topology.unbind_queue("x", "q", "100", FieldTable::default()).expect("bound").existed);
    assert_eq!(topology.by_key("x", "k"), ["r"]);
}

#[test]
fn exc_83_a_header_is_hashed_instead() {
    let mut topology = with_queues(&["q", "r", "s"]);
    assert_eq!(
        declare(&mut topology, "x", "x-consistent-hash", [("hash-header", string("id"))]),
        Ok(Declared::Created)
    );
    for queue in ["q", "r", "s"] {
        topology.queue_to("x", queue, "1");
    }
    let by_header = |value: AMQPValue| topology.by_headers("x", table([("id", value)]));
    let by_text: Vec<_> = (0..300).map(|id: i32| by_header(string(&id.to_string()))).collect();
    assert_eq!(shares(&by_text).len(), 3);
    assert_eq!(by_text, (0..300).map(|id| by_header(string(&id.to_string()))).collect::<Vec<_>>());
    assert_eq!(shares(&(0..300).map(|id| by_header(int(id))).collect::<Vec<_>>()).len(), 3);
    // Without the header the key does not matter: all go together.
    assert_eq!(shares(&places(&topology, "x", 300)).len(), 1);
}

#[test]
fn exc_83_a_property_is_hashed_instead() {
    let mut topology = with_queues(&["q", "r", "s"]);
    // The bit of each property in the flags, and a value of it.
    let short = |id: u32| [&[4u8][..], &format!("{id:04}").into_bytes()].concat();
    let time = |id: u32| u64::from(id).to_be_bytes().to_vec();
    type Write<'a> = &'a dyn Fn(u32) -> Vec<u8>;
    let properties: [(&str, u16, Write<'_>); 3] =
        [("correlation_id", 1 << 10, &short), ("message_id", 1 << 7, &short), ("timestamp", 1 << 6, &time)];
    for (name, bit, write) in properties {
        assert_eq!(
            declare(&mut topology, name, "x-consistent-hash", [("hash-property", string(name))]),
            Ok(Declared::Created)
        );
        for queue in ["q", "r", "s"] {
            topology.queue_to(name, queue, "1");
        }
        let octets: Vec<Vec<u8>> = (0..300).map(|id| [&bit.to_be_bytes()[..], &write(id)].concat()).collect();
        let messages = |octets: &'static str| (RoutingKeys::only(octets.as_bytes()), Traits::default());
        let with = |key: &'static [u8]| {
            octets
                .iter()
                .map(move |properties| (RoutingKeys::only(key), Traits { headers: None, properties }))
        };
        let reached = spread(&topology, name, with(b"k"));
        assert_eq!(shares(&reached).len(), 3, "{name}");
        assert_eq!(spread(&topology, name, with(b"other")), reached, "the key does not matter");
        assert_eq!(shares(&spread(&topology, name, ["a", "b", "c", "d", "e"].map(messages))).len(), 1);
    }
}

#[test]
fn exc_83_hash_arguments_are_checked() {
    let mut topology = with_queues(&[]);
    let header = ("hash-header", string("h"));
    let both = [header.clone(), ("hash-property", string("message_id"))];
    let text = refused(declare(&mut topology, "x", "x-consistent-hash", both));
    assert_eq!(text, "hash-header and hash-property are mutually exclusive");
    for (value, name) in [(string("bogus"), "bogus"), (string("app_id"), "app_id"), (int(5), "5")] {
        let text = refused(declare(&mut topology, "x", "x-consistent-hash", [("hash-property", value)]));
        assert_eq!(text, format!("Unsupported property: {name}"));
    }
    assert!(topology.exchange("x").is_none());
    // Other types do not know these arguments.
    assert_eq!(declare(&mut topology, "y", "direct", [("hash-property", int(5))]), Ok(Declared::Created));
}

#[test]
fn exc_84_random_chooses_one_whatever_the_keys() {
    let mut topology = with_queues(&["q", "r", "s"]);
    topology.exchange_of("x", "x-random");
    assert_eq!(topology.by_key("x", "k"), [""; 0]);
    for (queue, key) in [("q", "a"), ("q", "b"), ("r", ""), ("s", "k")] {
        topology.queue_to("x", queue, key);
    }
    let message = (RoutingKeys { key: b"a", extra: &[b"b", b"c"] }, Traits::default());
    let counts = shares(&spread(&topology, "x", std::iter::repeat_n(message, 3_000)));
    assert_eq!(counts.len(), 3);
    assert!(counts.values().all(|count| (900..1_100).contains(count)), "{counts:?}");
    assert!(topology.remove_queue("r").is_some());
    assert_eq!(shares(&spread(&topology, "x", std::iter::repeat_n(message, 100))).len(), 2);
}

#[test]
fn exc_85_local_random_binds_classic_queues_without_a_key() {
    let mut topology = with_queues(&["q", "r"]);
    assert!(topology.insert_queue("quorum", "quorum", QueueType::Quorum, true));
    topology.exchange_of("x", "x-local-random");
    topology.exchange_of("y", "fanout");
    let none = FieldTable::default;
    let text = refused(topology.bind_queue("x", "q", "k", none()));
    assert_eq!(text, "Non empty binding 'k' key not permitted");
    let text = refused(topology.bind_queue("x", "quorum", "", none()));
    assert_eq!(text, "Queue type rabbit_quorum_queue not valid for this exchange type");
    assert_eq!(refused(topology.bind_exchange("x", "y", "", none())), "Destination not found");
    assert_eq!(topology.binding_count(), 0);
    topology.queue_to("x", "q", "");
    topology.queue_to("x", "r", "");
    let message = (RoutingKeys::only(b"any"), Traits::default());
    assert_eq!(shares(&spread(&topology, "x", std::iter::repeat_n(message, 100))).len(), 2);
}

#[test]
fn exc_86_modulus_hash_counts_destinations_by_name() {
    let names = ["a", "b", "c", "d"];
    let mut topology = with_queues(&names);
    topology.exchange_of("x", "x-modulus-hash");
    topology.exchange_of("y", "x-modulus-hash");
    assert_eq!(topology.by_key("x", "k"), [""; 0]);
    names.iter().for_each(|queue| topology.queue_to("x", queue, "ignored"));
    names.iter().rev().for_each(|queue| topology.queue_to("y", queue, queue));
    // A further binding to the same destination changes nothing.
    topology.queue_to("y", "b", "again");
    let reached = places(&topology, "x", 4_000);
    let counts = shares(&reached);
    assert!(counts.len() == 4 && counts.values().all(|count| (850..1_150).contains(count)), "{counts:?}");
    assert_eq!(places(&topology, "y", 4_000), reached, "whatever the order of the bindings");
    assert!(topology.unbind_queue("y", "b", "b", FieldTable::default()).expect("bound").existed);
    assert_eq!(places(&topology, "y", 4_000), reached);
    assert!(topology.remove_queue("b").is_some());
    assert_eq!(shares(&places(&topology, "y", 100)).len(), 3);
}

#[test]
fn exc_87_recent_history_routes_as_fanout_and_says_how_much_to_remember() {
    let mut topology = with_queues(&["q", "r"]);
    topology.exchange_of("x", "x-recent-history");
    assert_eq!(topology.exchange("x").and_then(Exchange::history_length), Some(20));
    let three = [("x-recent-history-length", int(3))];
    assert_eq!(declare(&mut topology, "y", "x-recent-history", three), Ok(Declared::Created));
    topology.queue_to("x", "q", "a");
    topology.exchange_to("x", "y", "");
    topology.queue_to("y", "r", "b");
    assert_eq!(topology.by_key("x", "k"), ["q", "r"]);
    let mut scratch = Scratch::default();
    let info = |topology: &Names, exchange: &str, scratch: &mut Scratch| {
        let keys = RoutingKeys::only(b"q");
        let info = topology.route(exchange, &keys, &Traits::default(), &mut Vec::new(), scratch);
        let histories = topology.histories(scratch).map(|(name, length)| (name.to_string(), length));
        (info.expect("the exchange exists"), histories.collect::<Vec<_>>())
    };
    let (found, histories) = info(&topology, "x", &mut scratch);
    assert_eq!(found, RouteInfo { by_keys_alone: false, is_remembered: true });
    assert_eq!(histories, [("x".to_owned(), 20), ("y".to_owned(), 3)]);
    // The walk before has left no trace.
    let (found, histories) = info(&topology, "", &mut scratch);
    assert_eq!(found, RouteInfo { by_keys_alone: true, is_remembered: false });
    assert!(histories.is_empty());
}

#[test]
fn exc_87_the_length_of_a_history_is_a_positive_integer() {
    let mut topology = with_queues(&[]);
    for (value, term) in
        [(int(0), "0"), (int(-3), "-3"), (string("5"), "<<\"5\">>"), (AMQPValue::Boolean(true), "true")]
    {
        let declared = declare(&mut topology, "x", "x-recent-history", [("x-recent-history-length", value)]);
        assert_eq!(
            refused(declared),
            format!("Invalid argument {term}, 'x-recent-history-length' must be a positive integer")
        );
    }
    assert!(topology.exchange("x").is_none());
}

#[test]
fn exc_91_deduplication_arguments_are_checked() {
    let mut topology = with_queues(&[]);
    let size = || ("x-cache-size", int(5));
    let kind = "x-message-deduplication";
    let text = "Missing or invalid argument, 'x-cache-size' must be an integer greater than 0";
    assert_eq!(refused(declare(&mut topology, "x", kind, [])), text);
    for value in [int(0), int(-1), string("many"), AMQPValue::Boolean(true)] {
        assert_eq!(refused(declare(&mut topology, "x", kind, [("x-cache-size", value)])), text);
    }
    let ttl = declare(&mut topology, "x", kind, [size(), ("x-cache-ttl", int(0))]);
    assert_eq!(refused(ttl), "Invalid argument, 'x-cache-ttl' must be an integer greater than 0");
    let place = |place| [size(), ("x-cache-persistence", string(place))];
    let text = refused(declare(&mut topology, "x", kind, place("moon")));
    assert_eq!(text, "Invalid argument, 'x-cache-persistence' must be either 'disk' or 'memory'");
    assert!(topology.exchange("x").is_none());
    assert_eq!(declare(&mut topology, "x", kind, place("memory")), Ok(Declared::Created));
    let texts = [("x-cache-size", string("7")), ("x-cache-ttl", string("1000"))];
    assert_eq!(declare(&mut topology, "y", kind, texts), Ok(Declared::Created));
    let cache = |name| topology.exchange(name).and_then(Exchange::cache);
    assert_eq!(cache("x"), Some(CacheSettings { size: 5, ttl: None, survives: false }));
    assert_eq!(cache("y"), Some(CacheSettings { size: 7, ttl: Some(1000), survives: true }));
    assert_eq!(declare(&mut topology, "z", kind, place("disk")), Ok(Declared::Created));
}

#[test]
fn exc_88_a_delayed_exchange_has_the_bindings_of_the_inner_type() {
    let mut topology = with_queues(&["q", "lost"]);
    let kind = "x-delayed-message";
    let text = "Invalid argument, 'x-delayed-type' must be an existing exchange type";
    assert_eq!(refused(declare(&mut topology, "x", kind, [])), text);
    assert_eq!(refused(declare(&mut topology, "x", kind, [("x-delayed-type", int(1))])), text);
    let inner = |inner| [("x-delayed-type", string(inner)), ("alternate-exchange", string("ae"))];
    let text = "Invalid argument, 'x-delayed-message' can't be used for 'x-delayed-type'";
    assert_eq!(refused(declare(&mut topology, "x", kind, inner(kind))), text);
    assert_eq!(refused(declare(&mut topology, "x", kind, inner("none"))), "unknown exchange type 'none'");
    assert_eq!(declare(&mut topology, "x", kind, inner("topic")), Ok(Declared::Created));
    assert!(topology.exchange("x").is_some_and(Exchange::is_delayed));
    topology.exchange_of("ae", "fanout");
    topology.queue_to("ae", "lost", "");
    topology.queue_to("x", "q", "a.*");
    for (key, passage, expected) in [
        (&b"a.b"[..], Passage::Through, Some("q")),
        (b"b.b", Passage::Through, Some("lost")),
        (b"a.b", Passage::Held, None),
        (b"b.b", Passage::Held, None),
    ] {
        let (mut queues, scratch) = (Vec::new(), &mut Scratch::default());
        let (keys, traits) = (RoutingKeys::only(key), Traits::default());
        let mut passes = |exchange: &Exchange| if exchange.is_delayed() { passage } else { Passage::Through };
        let info = topology.route_through("x", &keys, &traits, &mut queues, scratch, &mut passes);
        assert_eq!(info, Ok(RouteInfo { by_keys_alone: false, is_remembered: true }));
        assert_eq!(queues.first().copied(), expected);
    }
}

#[test]
fn exc_91_a_message_that_does_not_pass_goes_to_the_alternate_exchange_alone() {
    let mut topology = with_queues(&["q", "lost"]);
    topology.exchange_of("ae", "fanout");
    topology.queue_to("ae", "lost", "");
    let arguments = [("x-cache-size", int(5)), ("alternate-exchange", string("ae"))];
    assert_eq!(declare(&mut topology, "x", "x-message-deduplication", arguments), Ok(Declared::Created));
    topology.queue_to("x", "q", "ignored");
    for (passes, expected) in [(true, "q"), (false, "lost")] {
        let (keys, mut queues, mut asked) = (RoutingKeys::only(b"k"), Vec::new(), Vec::new());
        let info = topology.route_through(
            "x",
            &keys,
            &Traits::default(),
            &mut queues,
            &mut Scratch::default(),
            &mut |exchange| {
                asked.push(exchange.name().to_owned());
                if passes || exchange.cache().is_none() { Passage::Through } else { Passage::Stopped }
            },
        );
        assert_eq!(info, Ok(RouteInfo { by_keys_alone: false, is_remembered: true }));
        assert_eq!(queues, [expected]);
        assert_eq!(asked.first().map(String::as_str), Some("x"));
    }
}

#[test]
fn only_routes_by_keys_alone_may_be_remembered_by_publishers() {
    let mut topology = with_queues(&[]);
    let header = [("hash-header", string("h"))];
    assert_eq!(declare(&mut topology, "by-header", "x-consistent-hash", header), Ok(Declared::Created));
    for kind in ["x-consistent-hash", "x-modulus-hash", "x-random", "x-local-random", "x-recent-history"] {
        topology.exchange_of(kind, kind);
    }
    for (exchange, expected) in [
        ("x-consistent-hash", true),
        ("by-header", false),
        ("x-modulus-hash", true),
        ("x-random", false),
        ("x-local-random", false),
        ("x-recent-history", false),
    ] {
        let (keys, traits) = (RoutingKeys::only(b"k"), Traits::default());
        let info = topology.route(exchange, &keys, &traits, &mut Vec::new(), &mut Scratch::default());
        assert_eq!(info.map(|info| info.by_keys_alone), Ok(expected), "{exchange}");
    }
}
