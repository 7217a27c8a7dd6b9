//! What policies may say, whom they are for, and what comes of them.

use amq_protocol::types::{AMQPValue, FieldTable};
use proptest::{option, prelude::*};

use super::*;
use crate::broker::queue_arguments::{Overflow, QueueArguments, QueueIdentity, QueueProperties};

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => panic!("not an object: {other}"),
    }
}

fn parse(value: Value) -> Result<Policy, String> {
    Policy::parse("p", Owner::User, &object(value))
}

fn with(definition: Value) -> Value {
    json!({ "pattern": "x", "definition": definition })
}

#[test]
fn pol_01_what_is_not_said_is_the_default() {
    let policy = parse(json!({ "pattern": "^a", "definition": { "max-length": 1 } })).unwrap();
    assert_eq!((policy.apply_to, policy.rank()), (ApplyTo::All, 0.0));
    assert!(policy.is_for_queue("ab", QueueType::Stream) == policy.is_for_queue("ba", QueueType::Classic));
    assert!(policy.is_for_queue("ab", QueueType::Classic) && policy.is_for_exchange("ab"));
    let again = Policy::parse("p", Owner::User, &object(policy.value())).unwrap();
    assert_eq!(again.value(), policy.value());
}

#[test]
fn pol_01_policies_are_for_kinds_of_objects() {
    for (apply_to, queues, exchanges) in [
        ("all", &[QueueType::Classic, QueueType::Quorum, QueueType::Stream][..], true),
        ("queues", &[QueueType::Classic, QueueType::Quorum, QueueType::Stream], false),
        ("exchanges", &[], true),
        ("classic_queues", &[QueueType::Classic], false),
        ("quorum_queues", &[QueueType::Quorum], false),
        ("streams", &[QueueType::Stream], false),
    ] {
        let value = json!({ "pattern": "", "definition": { "max-length-bytes": 1 }, "apply-to": apply_to });
        let policy = parse(value).unwrap();
        let matched = QueueType::ALL.into_iter().filter(|queue_type| policy.is_for_queue("q", *queue_type));
        assert_eq!(matched.collect::<Vec<_>>(), queues, "{apply_to}");
        assert_eq!(policy.is_for_exchange("x"), exchanges, "{apply_to}");
        assert_eq!(policy.apply_to.name(), apply_to);
    }
}

#[test]
fn pol_02_a_key_that_a_type_does_not_know_keeps_the_whole_policy_from_it() {
    let lazy = parse(with(json!({ "max-length": 3, "queue-mode": "lazy" }))).unwrap();
    assert!(lazy.is_for_queue("x", QueueType::Classic) && !lazy.is_for_queue("x", QueueType::Quorum));
    let old = parse(with(json!({ "max-age": "1D" }))).unwrap();
    assert!(!old.is_for_queue("x", QueueType::Classic) && old.is_for_queue("x", QueueType::Stream));
}

#[test]
fn pol_04_there_are_these_keys_and_they_take_these_values() {
    for definition in [
        json!({ "alternate-exchange": "x", "dead-letter-exchange": "x", "dead-letter-routing-key": "x" }),
        json!({ "dead-letter-strategy": "at-least-once", "delivery-limit": -1, "consumer-timeout": 0 }),
        json!({ "message-ttl": 0, "expires": 1, "max-length": 0, "max-length-bytes": 0 }),
        json!({ "overflow": "drop-head" }),
        json!({ "overflow": "reject-publish" }),
        json!({ "overflow": "reject-publish-dlx" }),
        json!({ "queue-mode": "lazy", "queue-version": 2, "queue-master-locator": "min-masters" }),
        json!({ "queue-leader-locator": "balanced", "initial-cluster-size": 3, "target-group-size": 3 }),
        json!({ "max-in-memory-length": 0, "max-in-memory-bytes": 0 }),
        json!({ "max-age": "1D", "stream-max-segment-size-bytes": 1_000_000, "stream-filter-size-bytes": 16 }),
        json!({ "delayed-retry-type": "all", "delayed-retry-min": 0, "delayed-retry-max": 5 }),
        json!({ "ha-mode": "all", "ha-sync-mode": "automatic", "ha-promote-on-shutdown": "always" }),
    ] {
        let parsed = parse(with(definition.clone()));
        assert_eq!(parsed.map(|policy| Value::Object(policy.definition)), Ok(definition));
    }
}

#[test]
fn pol_05_operators_have_fewer_keys() {
    for (definition, refused) in [
        (json!({ "expires": 5, "message-ttl": 5, "max-length": 5, "max-length-bytes": 5 }), None),
        (json!({ "delivery-limit": 5, "max-in-memory-length": 5, "overflow": "drop-head" }), None),
        (json!({ "dead-letter-exchange": "x" }), Some("[{<<\"dead-letter-exchange\">>,<<\"x\">>}]")),
        (json!({ "ha-mode": "all" }), Some("[{<<\"ha-mode\">>,<<\"all\">>}]")),
    ] {
        let parsed = Policy::parse("p", Owner::Operator, &object(with(definition)));
        let text = refused.map(|keys| format!("{keys} are not recognised policy settings"));
        assert_eq!(parsed.err(), text);
    }
}

#[test]
fn pol_06_refusals_are_rabbitmqs() {
    let refused = |value: Value, text: &str| assert_eq!(parse(value).err().as_deref(), Some(text));
    refused(json!({ "pattern": "x", "definition": {} }), "no policy provided");
    refused(json!({ "pattern": 5, "definition": {} }), "pattern should be a binary but was 5");
    refused(
        json!({ "pattern": "(", "definition": { "max-length": 1 } }),
        "pattern should be regular expression but is invalid: {\"missing )\",1}",
    );
    let value = json!({ "pattern": "x", "definition": { "max-length": 1 }, "priority": "5" });
    refused(value, "priority should be a number, actually was <<\"5\">>");
    for (definition, text) in [
        (json!({ "message-ttl": -1 }), "-1 is not a valid message TTL"),
        (json!({ "expires": 0 }), "0 is not a valid queue expiry"),
        (json!({ "max-length": "5" }), "<<\"5\">> is not a valid maximum length"),
        (json!({ "max-length": 1.5 }), "1.5 is not a valid maximum length"),
        (json!({ "max-length": null }), "null is not a valid maximum length"),
        (json!({ "max-length-bytes": -5 }), "-5 is not a valid maximum length in bytes"),
        (json!({ "overflow": 5 }), "5 is not a valid overflow value"),
        (json!({ "dead-letter-exchange": 5 }), "5 is not a valid dead letter exchange name"),
        (json!({ "dead-letter-routing-key": 5 }), "5 is not a valid dead letter routing key"),
        (json!({ "dead-letter-strategy": "x" }), "<<\"x\">> is not a valid dead letter strategy"),
        (json!({ "delivery-limit": "x" }), "<<\"x\">> is not a valid delivery limit"),
        (json!({ "queue-mode": "x" }), "<<\"x\">> is not a valid queue-mode value"),
        (json!({ "queue-version": 3 }), "3 is not a valid queue-version value"),
        (json!({ "queue-leader-locator": "x" }), "<<\"x\">> is not a valid queue leader locator value"),
        (json!({ "queue-master-locator": "x" }), "<<\"x\">> invalid queue-master-locator value"),
        (json!({ "max-age": "x" }), "<<\"x\">> is not a valid max age"),
        (json!({ "stream-max-segment-size-bytes": "x" }), "<<\"x\">> is not a valid segment size"),
        (json!({ "alternate-exchange": 5 }), "5 is not a valid alternate exchange name"),
        (json!({ "max-priority": 5 }), "[{<<\"max-priority\">>,5}] are not recognised policy settings"),
        // Wrong values come before unknown keys, in the order of the keys.
        (json!({ "bogus": 1, "max-length": "x" }), "<<\"x\">> is not a valid maximum length"),
        (json!({ "max-length": "y", "expires": "z" }), "<<\"z\">> is not a valid queue expiry"),
        (
            json!({ "ha-params": 2 }),
            "ha-mode must be specified to specify ha-params, ha-sync-mode or ha-promote-on-shutdown",
        ),
    ] {
        refused(with(definition), text);
    }
}

fn arguments(queue_type: QueueType, pairs: &[(&str, AMQPValue)]) -> QueueArguments {
    let mut raw = FieldTable::default();
    raw.insert("x-queue-type".into(), AMQPValue::LongString(queue_type.name().into()));
    for (name, value) in pairs {
        raw.insert((*name).into(), value.clone());
    }
    let identity = QueueIdentity { name: "q", vhost: "/" };
    let flags = QueueProperties { durable: true, ..QueueProperties::default() };
    QueueArguments::parse(identity, flags, raw, None).unwrap()
}

fn govern(own: &QueueArguments, definition: Value) -> QueueArguments {
    Effective::of(&object(definition)).govern(own)
}

#[test]
fn pol_10_an_argument_about_dead_letters_wins() {
    let own =
        arguments(QueueType::Classic, &[("x-dead-letter-exchange", AMQPValue::LongString("own".into()))]);
    let policy = json!({ "dead-letter-exchange": "theirs", "dead-letter-routing-key": "key" });
    let governed = govern(&own, policy);
    assert_eq!(governed.dead_letter_exchange.as_deref(), Some("own"));
    assert_eq!(governed.dead_letter_routing_key.as_deref(), Some("key"));
}

#[test]
fn pol_12_overflow_is_the_queues_own_but_in_quorum_queues() {
    let refuse = ("x-overflow", AMQPValue::LongString("reject-publish".into()));
    for (queue_type, expected) in
        [(QueueType::Classic, Overflow::RejectPublish), (QueueType::Quorum, Overflow::DropHead)]
    {
        let own = arguments(queue_type, std::slice::from_ref(&refuse));
        assert_eq!(govern(&own, json!({ "overflow": "drop-head" })).overflow, expected);
        let silent = arguments(queue_type, &[]);
        assert_eq!(
            govern(&silent, json!({ "overflow": "reject-publish" })).overflow,
            Overflow::RejectPublish
        );
    }
}

#[test]
fn pol_13_a_negative_delivery_limit_is_none_and_leaves_the_other() {
    let own = arguments(QueueType::Quorum, &[("x-delivery-limit", AMQPValue::LongInt(-1))]);
    assert_eq!(govern(&own, json!({ "delivery-limit": 5 })).delivery_limit, Some(5));
    let own = arguments(QueueType::Quorum, &[("x-delivery-limit", AMQPValue::LongInt(3))]);
    assert_eq!(govern(&own, json!({ "delivery-limit": 5 })).delivery_limit, Some(3));
    assert_eq!(govern(&own, json!({ "delivery-limit": -1 })).delivery_limit, Some(3));
    let both =
        merge(Some(&object(json!({ "delivery-limit": -1 }))), Some(&object(json!({ "delivery-limit": 7 }))));
    assert_eq!(Value::Object(both), json!({ "delivery-limit": 7 }));
}

#[test]
fn pol_14_of_streams_the_policy_counts() {
    let own = arguments(
        QueueType::Stream,
        &[("x-max-age", AMQPValue::LongString("1D".into())), ("x-max-length-bytes", AMQPValue::LongInt(10))],
    );
    let governed = govern(&own, json!({ "max-age": "2D", "max-length-bytes": 20 }));
    assert_eq!((governed.max_age_s, governed.max_length_bytes), (Some(2 * 86_400), Some(20)));
}

fn limit() -> impl Strategy<Value = Option<u64>> {
    option::of(1..1000u64)
}

proptest! {
    /// POL-11, POL-15: whoever says the least of a number, that counts; and what nobody says, does not.
    #[test]
    fn pol_11_of_three_numbers_the_least_counts(own in limit(), policy in limit(), operator in limit(), key in 0..4usize) {
        let (argument, key) = [
            ("x-message-ttl", "message-ttl"),
            ("x-expires", "expires"),
            ("x-max-length", "max-length"),
            ("x-max-length-bytes", "max-length-bytes"),
        ][key];
        let value = |number: u64| AMQPValue::LongLongInt(number.cast_signed());
        let pairs: Vec<_> = own.map(|number| (argument, value(number))).into_iter().collect();
        let definition = |number: Option<u64>| {
            let pair = number.map(|number| (key.to_owned(), json!(number)));
            pair.into_iter().collect::<Map<_, _>>()
        };
        let merged = merge(Some(&definition(policy)), Some(&definition(operator)));
        prop_assert_eq!(merged.get(key).and_then(Value::as_u64), [policy, operator].into_iter().flatten().min());
        let expected = [own, policy, operator].into_iter().flatten().min();
        for queue_type in [QueueType::Classic, QueueType::Quorum] {
            let governed = Effective::of(&merged).govern(&arguments(queue_type, &pairs));
            let numbers = [governed.message_ttl_ms, governed.expires_ms, governed.max_length, governed.max_length_bytes];
            prop_assert_eq!(numbers.into_iter().flatten().collect::<Vec<_>>(), expected.into_iter().collect::<Vec<_>>());
        }
    }

    /// What no policy says stays as the queue was declared.
    #[test]
    fn pol_07_an_empty_definition_changes_nothing(own in limit(), sac: bool, priority in option::of(0..255u8)) {
        let mut pairs: Vec<_> =
            own.map(|number| ("x-max-length", AMQPValue::LongLongInt(number.cast_signed()))).into_iter().collect();
        pairs.push(("x-single-active-consumer", AMQPValue::Boolean(sac)));
        pairs.extend(priority.map(|level| ("x-max-priority", AMQPValue::ShortShortUInt(level))));
        let own = arguments(QueueType::Classic, &pairs);
        let governed = Effective::default().govern(&own);
        prop_assert_eq!(QueueArguments { raw: own.raw.clone(), ..governed }, own);
    }
}
