//! Queue arguments: values, order of checks, and equivalence.

use super::*;

const QUEUE: QueueIdentity<'_> = QueueIdentity { name: "q", vhost: "/" };
const DURABLE: QueueProperties = QueueProperties { durable: true, exclusive: false, auto_delete: false };

fn int(number: i64) -> AMQPValue {
    AMQPValue::LongLongInt(number)
}

fn string(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

fn table(fields: &[(&str, AMQPValue)]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in fields {
        table.insert((*name).into(), value.clone());
    }
    table
}

fn of_type(queue_type: &str, fields: &[(&str, AMQPValue)]) -> FieldTable {
    let mut table = table(fields);
    table.insert(QUEUE_TYPE.into(), string(queue_type));
    table
}

fn parse(raw: FieldTable) -> Result<QueueArguments, ArgumentError> {
    QueueArguments::parse(QUEUE, DURABLE, raw, None)
}

fn refused(raw: FieldTable) -> String {
    parse(raw).expect_err("must be refused").to_string()
}

/// Asserts the detail with which one argument of a queue of this type is refused.
fn check_detail(queue_type: &str, argument: &str, value: AMQPValue, detail: &str) {
    let text = refused(of_type(queue_type, &[(argument, value)]));
    assert_eq!(text, format!("invalid arg '{argument}' for queue 'q' in vhost '/': {detail}"));
}

#[test]
fn que_20_message_ttl() {
    for queue_type in ["classic", "quorum"] {
        check_detail(queue_type, "x-message-ttl", int(-1), "{value_negative,-1}");
        let too_large = "{value_too_large,315360000001}";
        check_detail(queue_type, "x-message-ttl", int(315_360_000_001), too_large);
        check_detail(queue_type, "x-message-ttl", string("1"), "\"expected integer, got longstr\"");
        let double = AMQPValue::Double(1.0);
        check_detail(queue_type, "x-message-ttl", double, "\"expected integer, got double\"");
        check_detail(queue_type, "x-message-ttl", AMQPValue::Boolean(true), "\"expected integer, got bool\"");
    }
    for number in [0, 315_360_000_000] {
        let parsed = parse(table(&[("x-message-ttl", int(number))])).expect("in range");
        assert_eq!(parsed.message_ttl_ms, u64::try_from(number).ok());
    }
}

#[test]
fn que_20_every_integer_type_is_accepted() {
    let fives = [
        AMQPValue::ShortShortInt(5),
        AMQPValue::ShortShortUInt(5),
        AMQPValue::ShortInt(5),
        AMQPValue::ShortUInt(5),
        AMQPValue::LongInt(5),
        AMQPValue::LongUInt(5),
        AMQPValue::LongLongInt(5),
    ];
    for five in fives {
        assert_eq!(parse(table(&[("x-message-ttl", five)])).expect("five").message_ttl_ms, Some(5));
    }
}

#[test]
fn que_21_expires() {
    check_detail("classic", "x-expires", int(0), "{value_zero,0}");
    check_detail("classic", "x-expires", int(-1), "{value_negative,-1}");
    check_detail("classic", "x-expires", int(315_360_000_001), "{value_too_large,315360000001}");
    assert_eq!(parse(table(&[("x-expires", int(1))])).expect("in range").expires_ms, Some(1));
}

#[test]
fn que_22_and_23_lengths() {
    check_detail("classic", "x-max-length", int(-1), "{value_negative,-1}");
    check_detail("stream", "x-max-length-bytes", int(-1), "{value_negative,-1}");
    let parsed = parse(table(&[("x-max-length", int(0)), ("x-max-length-bytes", int(9))])).expect("in range");
    assert_eq!((parsed.max_length, parsed.max_length_bytes), (Some(0), Some(9)));
}

#[test]
fn que_24_overflow() {
    check_detail("classic", "x-overflow", string("bogus"), "invalid_overflow");
    check_detail("classic", "x-overflow", AMQPValue::LongInt(5), "{unacceptable_type,signedint}");
    let modes = [
        ("drop-head", Overflow::DropHead),
        ("reject-publish", Overflow::RejectPublish),
        ("reject-publish-dlx", Overflow::RejectPublishDlx),
    ];
    for (name, overflow) in modes {
        assert_eq!(parse(table(&[("x-overflow", string(name))])).expect("known").overflow, overflow);
    }
    assert_eq!(parse(table(&[])).expect("nothing wrong").overflow, Overflow::DropHead);
}

#[test]
fn que_25_dead_letter_exchange_is_checked_before_everything() {
    let text = refused(of_type("bogus", &[("x-dead-letter-exchange", AMQPValue::LongInt(5))]));
    let expected = "invalid type 'signedint' for arg 'x-dead-letter-exchange' in queue 'q' in vhost '/'";
    assert_eq!(text, expected);
    let parsed = parse(table(&[("x-dead-letter-exchange", string(""))])).expect("the default exchange");
    assert_eq!(parsed.dead_letter_exchange.as_deref(), Some(""));
}

#[test]
fn que_26_dead_letter_routing_key() {
    let argument = "x-dead-letter-routing-key";
    check_detail("classic", argument, string("k"), "routing_key_but_no_dlx_defined");
    check_detail("classic", argument, AMQPValue::LongInt(5), "{unacceptable_type,signedint}");
    let parsed = parse(table(&[(argument, string("k")), ("x-dead-letter-exchange", string("x"))]));
    assert_eq!(parsed.expect("both given").dead_letter_routing_key.as_deref(), Some("k"));
}

#[test]
fn que_27_dead_letter_strategy() {
    check_detail("quorum", "x-dead-letter-strategy", string("bogus"), "invalid_dlx_strategy");
    check_detail("quorum", "x-dead-letter-strategy", int(5), "{unacceptable_type,long}");
    let parsed = parse(of_type("quorum", &[("x-dead-letter-strategy", string("at-least-once"))]));
    assert_eq!(parsed.expect("known").dead_letter_strategy, DeadLetterStrategy::AtLeastOnce);
}

#[test]
fn que_28_max_priority() {
    check_detail("classic", "x-max-priority", int(-1), "{value_negative,-1}");
    check_detail("classic", "x-max-priority", int(256), "{max_value_exceeded,256}");
    for number in [0, 255] {
        let parsed = parse(table(&[("x-max-priority", int(number))])).expect("in range");
        assert_eq!(parsed.max_priority.map(i64::from), Some(number));
    }
}

#[test]
fn que_29_and_30_mode_and_version_are_checked_and_ignored() {
    check_detail("classic", "x-queue-mode", string("bogus"), "\"unsupported queue mode 'bogus'\"");
    check_detail("classic", "x-queue-mode", AMQPValue::LongInt(5), "{unacceptable_type,signedint}");
    check_detail("classic", "x-queue-version", int(3), "\"unsupported queue version '3'\"");
    check_detail("classic", "x-queue-version", string("s"), "\"expected integer, got longstr\"");
    for version in [1, 2] {
        let raw = table(&[("x-queue-mode", string("lazy")), ("x-queue-version", int(version))]);
        assert_eq!(parse(raw.clone()).expect("known").raw, raw);
    }
}

#[test]
fn que_31_queue_type() {
    let invalid = "invalid arg 'x-queue-type' for queue 'q' in vhost '/': ";
    let bogus = refused(of_type("bogus", &[("x-expires", int(0))]));
    assert_eq!(bogus, format!("{invalid}\"unsupported queue type 'bogus'\""));
    let number = refused(table(&[(QUEUE_TYPE, AMQPValue::LongInt(5))]));
    assert_eq!(number, format!("{invalid}{{unacceptable_type,signedint}}"));
    for queue_type in QueueType::ALL {
        assert_eq!(parse(of_type(queue_type.name(), &[])).expect("known").queue_type, queue_type);
    }
    assert_eq!(parse(of_type("", &[])).expect("the default").queue_type, QueueType::Classic);
}

#[test]
fn que_32_single_active_consumer() {
    let argument = "x-single-active-consumer";
    check_detail("classic", argument, string("s"), "{unacceptable_type,longstr}");
    for flag in [true, false] {
        let parsed = parse(table(&[(argument, AMQPValue::Boolean(flag))])).expect("a bool");
        assert_eq!(parsed.single_active_consumer, flag);
    }
}

#[test]
fn que_33_delivery_limit_takes_anything() {
    for (value, limit) in [(int(5), Some(5)), (int(-1), Some(-1)), (string("s"), None)] {
        let parsed = parse(of_type("quorum", &[("x-delivery-limit", value)])).expect("anything");
        assert_eq!(parsed.delivery_limit, limit);
    }
}

#[test]
fn que_34_to_37_arguments_without_effect_are_checked() {
    check_detail("quorum", "x-quorum-initial-group-size", int(0), "{value_zero,0}");
    check_detail("quorum", "x-quorum-initial-group-size", int(-1), "{value_negative,-1}");
    check_detail("quorum", "x-queue-leader-locator", string("bogus"), "invalid_queue_locator_arg");
    check_detail("quorum", "x-queue-leader-locator", int(5), "{unacceptable_type,long}");
    check_detail("quorum", "x-max-in-memory-length", int(-1), "{value_negative,-1}");
    assert!(parse(of_type("classic", &[("x-queue-leader-locator", string("balanced"))])).is_ok());
    assert!(parse(of_type("classic", &[("x-queue-master-locator", string("anything"))])).is_ok());
}

#[test]
fn que_42_what_only_quorum_queues_of_43_know() {
    for argument in ["x-consumer-disconnected-timeout", RETRY_MIN, RETRY_MAX] {
        check_detail("quorum", argument, int(-1), "{value_negative,-1}");
        check_detail("quorum", argument, string("1"), "\"expected integer, got longstr\"");
        assert!(refused(table(&[(argument, int(1))])).ends_with("of queue type rabbit_classic_queue"));
    }
    check_detail("quorum", "x-consumer-timeout", int(-1), "{value_negative,-1}");
    check_detail("quorum", RETRY_TYPE, string("bogus"), "invalid_delayed_retry_type");
    check_detail("quorum", RETRY_TYPE, AMQPValue::Boolean(true), "{unacceptable_type,bool}");
    check_detail("quorum", "x-member-placement-tag", int(1), "{unacceptable_type,long}");
    for kind in ["disabled", "all", "failed", "returned"] {
        let raw = of_type("quorum", &[(RETRY_TYPE, string(kind)), (RETRY_MIN, int(0)), (RETRY_MAX, int(7))]);
        let parsed = parse(raw).expect("a kind");
        let retry = (parsed.retry_type.as_deref(), parsed.retry_min_ms, parsed.retry_max_ms);
        assert_eq!(retry, (Some(kind), Some(0), Some(7)));
    }
}

#[test]
fn que_04_generated_names_may_begin_otherwise() {
    let prefix = |value| name_prefix(&table(&[(NAME_PREFIX, value)]));
    assert_eq!(name_prefix(&FieldTable::default()), Ok(None));
    assert_eq!(prefix(string("")), Ok(None));
    assert_eq!(prefix(string("orders")), Ok(Some("orders".to_owned())));
    assert_eq!(prefix(string(&"x".repeat(64))), Ok(Some("x".repeat(64))));
    let text = prefix(string(&"x".repeat(65))).unwrap_err().to_string();
    assert_eq!(text, format!("Queue name prefix '{}' exceeds the 64-byte limit", "x".repeat(65)));
}

#[test]
fn que_38_max_age() {
    check_detail("stream", "x-max-age", AMQPValue::LongInt(5), "{unacceptable_type,signedint}");
    for bad in ["0D", "5", "5x", "1.5h", "", "h", "-5h", "5h ", "+5h", "99999999999999999999Y"] {
        check_detail("stream", "x-max-age", string(bad), "invalid_max_age");
    }
    let ages =
        [("1Y", 31_536_000), ("2M", 5_184_000), ("7D", 604_800), ("05m", 300), ("3h", 10_800), ("9s", 9)];
    for (text, seconds) in ages {
        let parsed = parse(of_type("stream", &[("x-max-age", string(text))])).expect("an age");
        assert_eq!(parsed.max_age_s, Some(seconds));
    }
}

#[test]
fn que_39_to_41_stream_sizes() {
    check_detail("stream", SEGMENT_SIZE, int(-1), "{value_negative,-1}");
    check_detail("stream", "x-initial-cluster-size", int(0), "{value_zero,0}");
    let text = refused(of_type("stream", &[(SEGMENT_SIZE, int(3_000_000_001))]));
    assert_eq!(text, "Exceeded max value for x-stream-max-segment-size-bytes");
    for size in [15, 256, -1] {
        let text = refused(of_type("stream", &[(FILTER_SIZE, int(size))]));
        assert_eq!(text, "Invalid value for x-stream-filter-size-bytes");
    }
    let raw = of_type("stream", &[(SEGMENT_SIZE, int(3_000_000_000)), (FILTER_SIZE, int(255))]);
    let parsed = parse(raw).expect("in range");
    assert_eq!((parsed.segment_bytes, parsed.filter_bytes), (Some(SEGMENT_BYTES_MAX), Some(255)));
}

#[test]
fn que_44_unknown_arguments_are_stored() {
    for queue_type in ["classic", "quorum", "stream"] {
        let raw = of_type(queue_type, &[("x-foo", int(1)), ("foo", AMQPValue::Void)]);
        assert_eq!(parse(raw.clone()).expect("nothing known").raw, raw);
    }
}

#[test]
fn que_45_arguments_of_other_types_are_refused() {
    let check = |queue_type: &str, argument: &str, value: AMQPValue| {
        let text = refused(of_type(queue_type, &[(argument, value)]));
        let end = format!("queue 'q' in vhost '/' of queue type rabbit_{queue_type}_queue");
        assert_eq!(text, format!("invalid arg '{argument}' for {end}"));
    };
    check("quorum", "x-max-priority", int(5));
    check("quorum", "x-queue-mode", string("lazy"));
    check("classic", "x-delivery-limit", int(5));
    check("classic", "x-max-age", string("1h"));
    check("stream", "x-message-ttl", int(5));
    check("stream", "x-dead-letter-routing-key", string("k"));
    // A value is not looked at where the argument does not belong.
    check("classic", "x-dead-letter-strategy", string("bogus"));
}

#[test]
fn que_46_order_of_checks() {
    let (bad_value, foreign) = (("x-overflow", string("bogus")), ("x-dead-letter-strategy", string("bogus")));
    let first = |raw| match parse(raw).expect_err("several mistakes") {
        ArgumentError::Invalid { argument, .. } | ArgumentError::Foreign { argument, .. } => argument,
        other => panic!("not an argument: {other}"),
    };
    assert_eq!(first(of_type("bogus", &[bad_value.clone(), foreign.clone()])), QUEUE_TYPE);
    assert_eq!(first(table(&[bad_value, foreign])), "x-overflow");
    let all_wrong = [
        ("x-expires", int(0)),
        ("x-message-ttl", int(-1)),
        ("x-dead-letter-routing-key", int(5)),
        ("x-max-length", int(-1)),
        ("x-max-length-bytes", int(-1)),
        ("x-max-priority", int(-1)),
        ("x-overflow", string("bogus")),
        ("x-queue-mode", string("bogus")),
        ("x-queue-version", int(3)),
        ("x-single-active-consumer", string("s")),
        ("x-dead-letter-strategy", string("bogus")),
        ("x-max-in-memory-length", int(-1)),
        ("x-max-in-memory-bytes", int(-1)),
        ("x-quorum-initial-group-size", int(0)),
        ("x-delivery-limit", int(0)),
        ("x-max-age", string("bogus")),
        (SEGMENT_SIZE, int(-1)),
        ("x-initial-cluster-size", int(0)),
    ];
    for start in 0..all_wrong.len() {
        assert_eq!(first(table(&all_wrong[start..])), all_wrong[start].0);
    }
    // Flags come after all of these, and before the size of segments.
    let transient = QueueProperties::default();
    let parse = |argument, value| {
        QueueArguments::parse(QUEUE, transient, of_type("stream", &[(argument, value)]), None)
    };
    let foreign = parse("x-max-priority", int(5)).expect_err("two mistakes");
    assert!(matches!(foreign, ArgumentError::Foreign { .. }));
    let flags = parse(SEGMENT_SIZE, int(3_000_000_001)).expect_err("two mistakes");
    assert!(matches!(flags, ArgumentError::Property { .. }));
}

#[test]
fn que_50_to_52_flags_that_quorum_and_stream_refuse() {
    let steps = [
        (QueueProperties { durable: false, exclusive: true, auto_delete: true }, "auto-delete"),
        (QueueProperties { durable: false, exclusive: true, auto_delete: false }, "exclusive-owner"),
        (QueueProperties { durable: false, exclusive: false, auto_delete: false }, "non-durable"),
    ];
    for (properties, property) in steps {
        for queue_type in ["quorum", "stream"] {
            let parsed = QueueArguments::parse(QUEUE, properties, of_type(queue_type, &[]), None);
            let text = parsed.expect_err("a flag").to_string();
            assert_eq!(text, format!("invalid property '{property}' for queue 'q' in vhost '/'"));
        }
        assert!(QueueArguments::parse(QUEUE, properties, table(&[]), None).is_ok());
    }
}

#[test]
fn que_03_only_classic_queues_are_server_named() {
    let text = refuse_server_named(&of_type("quorum", &[])).expect_err("no name").to_string();
    assert_eq!(text, "Cannot declare a server-named queue for type rabbit_quorum_queue");
    assert_eq!(refuse_server_named(&of_type("classic", &[])), Ok(()));
    assert_eq!(refuse_server_named(&table(&[])), Ok(()));
}

#[test]
fn que_55_default_type_of_the_virtual_host() {
    let parse = |properties, raw| {
        QueueArguments::parse(QUEUE, properties, raw, Some(QueueType::Quorum)).expect("fine")
    };
    let parsed = parse(DURABLE, table(&[]));
    assert_eq!((parsed.queue_type, &parsed.raw), (QueueType::Quorum, &of_type("quorum", &[])));
    let transient = parse(QueueProperties::default(), table(&[]));
    assert_eq!((transient.queue_type, transient.raw), (QueueType::Classic, table(&[])));
    assert_eq!(parse(DURABLE, of_type("classic", &[])).queue_type, QueueType::Classic);
    assert_eq!(QueueArguments::stored(parsed.raw.clone()), parsed);
}

/// The text of the first difference, from the attribute on.
fn difference(
    current: FieldTable,
    received: FieldTable,
    default_type: Option<QueueType>,
) -> Option<(&'static str, String)> {
    let current = parse(current).expect("a queue");
    match inequivalence(QUEUE, (DURABLE, &current), (DURABLE, &received), default_type)? {
        ArgumentError::Inequivalent { attribute, difference, .. } => Some((attribute, difference)),
        other => panic!("not a difference: {other}"),
    }
}

#[test]
fn que_61_flags_come_first() {
    let current = parse(table(&[])).expect("a queue");
    let received = table(&[("x-expires", int(5))]);
    let text =
        |flags| inequivalence(QUEUE, (DURABLE, &current), (flags, &received), None).map(|e| e.to_string());
    let both = QueueProperties { durable: false, exclusive: false, auto_delete: true };
    let start = "inequivalent arg";
    let queue = "for queue 'q' in vhost '/'";
    assert_eq!(
        text(both),
        Some(format!("{start} 'durable' {queue}: received 'false' but current is 'true'"))
    );
    assert_eq!(
        text(QueueProperties { durable: true, ..both }),
        Some(format!("{start} 'auto_delete' {queue}: received 'true' but current is 'false'"))
    );
    let value = "received the value '5' of type 'long' but current is none";
    assert_eq!(text(DURABLE), Some(format!("{start} 'x-expires' {queue}: {value}")));
}

#[test]
fn que_11_durable_is_ignored_on_exclusive_queues() {
    let current = parse(table(&[])).expect("a queue");
    let exclusive = QueueProperties { durable: true, exclusive: true, auto_delete: false };
    let received = QueueProperties { durable: false, ..exclusive };
    assert_eq!(inequivalence(QUEUE, (exclusive, &current), (received, &table(&[])), None), None);
}

#[test]
fn que_62_only_known_arguments_matter() {
    let received = table(&[("x-foo", int(1)), ("x-max-age", string("1h"))]);
    assert_eq!(difference(table(&[("foo", int(2))]), received, None), None);
}

#[test]
fn que_63_an_explicit_default_is_not_absence() {
    let received = table(&[("x-overflow", string("drop-head"))]);
    let text = "received the value 'drop-head' of type 'longstr' but current is none";
    assert_eq!(difference(table(&[]), received.clone(), None), Some(("x-overflow", text.to_owned())));
    let text = "received none but current is the value 'drop-head' of type 'longstr'";
    assert_eq!(difference(received, table(&[]), None), Some(("x-overflow", text.to_owned())));
}

#[test]
fn que_64_widths_do_not_matter() {
    let current = || table(&[("x-max-length", int(5))]);
    assert_eq!(difference(current(), table(&[("x-max-length", AMQPValue::ShortInt(5))]), None), None);
    let text = "received '6' but current is '5'".to_owned();
    let received = table(&[("x-max-length", int(6))]);
    assert_eq!(difference(current(), received, None), Some(("x-max-length", text)));
}

#[test]
fn que_65_an_absent_type_is_classic() {
    let (absent, classic, quorum) = (table(&[]), of_type("classic", &[]), of_type("quorum", &[]));
    assert_eq!(difference(absent.clone(), classic.clone(), None), None);
    assert_eq!(difference(classic.clone(), absent.clone(), None), None);
    let text = "received none but current is the value 'quorum' of type 'longstr'".to_owned();
    assert_eq!(difference(quorum.clone(), absent.clone(), None), Some((QUEUE_TYPE, text)));
    assert_eq!(difference(quorum.clone(), absent, Some(QueueType::Quorum)), None);
    let text = "received 'quorum' but current is 'classic'".to_owned();
    assert_eq!(difference(classic, quorum, None), Some((QUEUE_TYPE, text)));
}

#[test]
fn que_66_invalid_values_are_differences_on_redeclare() {
    let text = "received the value '0' of type 'long' but current is none".to_owned();
    assert_eq!(difference(table(&[]), table(&[("x-expires", int(0))]), None), Some(("x-expires", text)));
    let text = "received 'bogus' but current is 'classic'".to_owned();
    assert_eq!(difference(of_type("classic", &[]), of_type("bogus", &[]), None), Some((QUEUE_TYPE, text)));
}

#[test]
fn que_60_each_type_compares_in_its_own_order() {
    let received = |queue_type| {
        let fields = [
            ("x-expires", int(1)),
            ("x-message-ttl", int(1)),
            ("x-max-length-bytes", int(1)),
            ("x-overflow", string("drop-head")),
            ("x-delivery-limit", int(1)),
            ("x-max-age", string("1h")),
        ];
        of_type(queue_type, &fields)
    };
    let first = |queue_type, without: &[&str]| {
        let kept = received(queue_type)
            .inner()
            .iter()
            .filter(|(name, _)| !without.contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect::<std::collections::BTreeMap<_, _>>();
        difference(of_type(queue_type, &[]), kept.into(), None).map(|(attribute, _)| attribute)
    };
    assert_eq!(first("classic", &[]), Some("x-expires"));
    assert_eq!(first("classic", &["x-expires"]), Some("x-message-ttl"));
    assert_eq!(first("quorum", &["x-expires"]), Some("x-max-length-bytes"));
    assert_eq!(first("quorum", &["x-expires", "x-max-length-bytes", "x-overflow"]), Some("x-delivery-limit"));
    assert_eq!(first("stream", &[]), Some("x-max-length-bytes"));
    assert_eq!(first("stream", &["x-max-length-bytes"]), Some("x-max-age"));
}
