//! Deaths of single messages, seen in the headers that the next reader gets.

use amq_protocol::types::{AMQPValue, FieldTable};
use proptest::prelude::*;

use super::*;
use crate::amqp::table::parse_field_table;

const TO_DLX: DeadLetters<'static> = DeadLetters { exchange: "dlx", routing_key: None };
const TO_KEY: DeadLetters<'static> = DeadLetters { exchange: "", routing_key: Some("grave") };

/// A message with these octets as its headers table and, maybe, an expiration.
fn message(headers: &[u8], expiration: Option<&str>) -> Message {
    // content-type "t", headers, delivery-mode 2, priority 3, expiration, app-id "a".
    let flags: u16 = 0xb808 | if expiration.is_some() { 0x100 } else { 0 };
    let mut properties = flags.to_be_bytes().to_vec();
    properties.extend([1, b't']);
    properties.extend((headers.len() as u32).to_be_bytes());
    properties.extend(headers);
    properties.extend([2, 3]);
    if let Some(expiration) = expiration {
        properties.push(expiration.len() as u8);
        properties.extend(expiration.bytes());
    }
    properties.extend([1, b'a']);
    let parts = Parts {
        exchange: b"first",
        routing_key: b"key",
        properties: &properties,
        persistent: true,
        priority: 3,
        expiration: expiration.map(|digits| digits.parse().expect("digits")),
        account: crate::broker::memory::Account::UNCOUNTED,
    };
    Message::new(&parts, b"body", &mut Vec::new())
}

fn plain() -> Message {
    message(&[], None)
}

fn die(message: &Message, queue: &str, reason: Death, to: &DeadLetters<'_>) -> Message {
    dead_letter(message, &Demise { queue, reason, now: 1_700_000_000_999 }, to, &mut Vec::new())
}

fn header_octets(message: &Message) -> Vec<u8> {
    properties_of(message).headers.unwrap_or_default().to_vec()
}

fn headers(message: &Message) -> FieldTable {
    parse_field_table(&header_octets(message)).expect("a well-formed table")
}

fn field<'a>(table: &'a FieldTable, name: &str) -> Option<&'a AMQPValue> {
    table.inner().get(name)
}

fn long(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

/// A header field of one text.
fn text_field(name: &str, value: &str) -> Vec<u8> {
    let mut out = Vec::new();
    put_text(&mut out, name.as_bytes(), value.as_bytes());
    out
}

fn carbon_copy(keys: &[&str]) -> Vec<u8> {
    let mut out = Vec::new();
    put_name(&mut out, b"CC");
    put_sized(&mut out, b'A', |out| keys.iter().for_each(|key| put_long_string(out, key.as_bytes())));
    out
}

/// The tables in x-death.
fn deaths(message: &Message) -> Vec<FieldTable> {
    let headers = headers(message);
    let Some(AMQPValue::FieldArray(deaths)) = field(&headers, "x-death") else { panic!("{headers:?}") };
    let table = |event: &AMQPValue| match event {
        AMQPValue::FieldTable(event) => event.clone(),
        other => panic!("not a table: {other:?}"),
    };
    deaths.as_slice().iter().map(table).collect()
}

/// Queue, reason and count of each event, latest first.
fn history(message: &Message) -> Vec<(String, String, i64)> {
    let text = |value: Option<&AMQPValue>| match value {
        Some(AMQPValue::LongString(text)) => text.to_string(),
        other => panic!("not a long string: {other:?}"),
    };
    let event = |event: FieldTable| {
        let Some(AMQPValue::LongLongInt(count)) = field(&event, "count") else { panic!("{event:?}") };
        (text(field(&event, "queue")), text(field(&event, "reason")), *count)
    };
    deaths(message).into_iter().map(event).collect()
}

#[test]
fn dlx_20_21_the_first_event_has_all_its_fields_and_types() {
    let dead = die(&message(&carbon_copy(&["copy"]), Some("60")), "q", Death::Expired, &TO_DLX);
    let [event] = &deaths(&dead)[..] else { panic!("one event") };
    let keys = AMQPValue::FieldArray(vec![long("key"), long("copy")].into());
    let expected = [
        ("count", AMQPValue::LongLongInt(1)),
        ("reason", long("expired")),
        ("queue", long("q")),
        ("time", AMQPValue::Timestamp(1_700_000_000)),
        ("exchange", long("first")),
        ("routing-keys", keys),
        ("original-expiration", long("60")),
    ];
    for (name, value) in &expected {
        assert_eq!(field(event, name), Some(value), "{name}");
    }
    assert_eq!(event.inner().len(), expected.len());
    // Without an expiration that field is absent.
    let [event] = &deaths(&die(&plain(), "q", Death::MaxLength, &TO_DLX))[..] else { panic!("one event") };
    assert_eq!(field(event, "original-expiration"), None);
    assert_eq!(field(event, "reason"), Some(&long("maxlen")));
}

#[test]
fn dlx_20_22_a_repeated_event_counts_and_comes_first_but_keeps_its_facts() {
    let first = die(&message(&[], Some("60")), "one", Death::Expired, &TO_DLX);
    let second = die(&first, "two", Death::Rejected, &TO_DLX);
    let demise = Demise { queue: "one", reason: Death::Expired, now: 1_800_000_000_000 };
    let third = dead_letter(&second, &demise, &TO_DLX, &mut Vec::new());
    let events = [("one", "expired", 2), ("two", "rejected", 1)];
    assert_eq!(history(&third), events.map(|(queue, why, count)| (queue.into(), why.into(), count)));
    let (before, after) = (&deaths(&first)[0], &deaths(&third)[0]);
    for name in ["time", "exchange", "routing-keys", "original-expiration", "reason", "queue"] {
        assert_eq!(field(before, name), field(after, name), "{name}");
    }
    // The second event saw the names that the first death gave.
    assert_eq!(field(&deaths(&second)[0], "exchange"), Some(&long("dlx")));
    // Another reason in the same queue is another event.
    assert_eq!(history(&die(&third, "one", Death::MaxLength, &TO_DLX)).len(), 3);
}

#[test]
fn dlx_23_24_first_death_is_set_once_and_last_death_each_time() {
    let first = die(&plain(), "one", Death::Expired, &TO_DLX);
    let second = die(&first, "two", Death::Rejected, &TO_DLX);
    for (message, last) in [(&first, ["expired", "one", "first"]), (&second, ["rejected", "two", "dlx"])] {
        let headers = headers(message);
        for (which, expected) in [("first", ["expired", "one", "first"]), ("last", last)] {
            for (what, value) in ["reason", "queue", "exchange"].into_iter().zip(expected) {
                let name = format!("x-{which}-death-{what}");
                assert_eq!(field(&headers, &name), Some(&long(value)), "{name}");
            }
        }
    }
}

#[test]
fn dlx_25_what_a_client_says_of_deaths_is_replaced() {
    let forged = die(&plain(), "q", Death::Expired, &TO_DLX);
    let forged = die(&forged, "q", Death::Expired, &TO_DLX);
    assert_eq!(history(&forged), [("q".into(), "expired".into(), 2)]);
    // Its headers, sent by a client: an array of the right shape, and one that is none.
    let number = [&[7][..], b"x-death", b"I", &[0, 0, 0, 7]].concat();
    for headers in [header_octets(&forged), [number, text_field("x-last-death-queue", "lie")].concat()] {
        let sent = message(&headers, None);
        assert!(!is_cycle(&sent, Death::Expired, "q"));
        let dead = die(&sent, "q", Death::Expired, &TO_DLX);
        assert_eq!(history(&dead), [("q".into(), "expired".into(), 1)]);
        let once = header_octets(&dead);
        assert_eq!(once.windows(7).filter(|octets| octets == b"x-death").count(), 1);
        assert!(!once.windows(3).any(|octets| octets == b"lie"));
    }
}

#[test]
fn dlx_26_other_headers_come_first_with_their_octets_and_order() {
    // Unsorted, a duplicate, an empty name, a bool of two, a name that is no text.
    let odd = [&b"\x01zI\0\0\0\x01"[..], b"\x01at\x02", b"\x01zV", b"\0V", b"\x02\xff\xfeb\x01"].concat();
    let dead = die(&message(&odd, None), "q", Death::Rejected, &TO_DLX);
    assert_eq!(&header_octets(&dead)[..odd.len()], odd);
    let again = die(&dead, "r", Death::Rejected, &TO_KEY);
    assert_eq!(&header_octets(&again)[..odd.len()], odd);
    let octets = header_octets(&again);
    let names: Vec<&[u8]> = TableRef::new(&octets[odd.len()..]).iter().map(|(name, _)| name).collect();
    assert_eq!(names, [&[DEATHS][..], &FIRST, &LAST].concat());
}

#[test]
fn dlx_04_05_keys_stay_unless_the_queue_names_one() {
    let sent = message(&[text_field("z", "1"), carbon_copy(&["c1", "c2"])].concat(), None);
    let sent = sent.with_hidden_keys([&b"b1"[..]], &mut Vec::new());
    let dead = die(&sent, "q", Death::Rejected, &TO_DLX);
    assert_eq!((dead.exchange(), dead.routing_key()), (&b"dlx"[..], &b"key"[..]));
    assert_eq!(extras(&dead).keys[..], [&b"c1"[..], b"c2", b"b1"]);
    // BCC never shows.
    assert!(!header_octets(&dead).windows(2).any(|octets| octets == b"b1"));

    let dead = die(&sent, "q", Death::Rejected, &TO_KEY);
    assert_eq!((dead.exchange(), dead.routing_key()), (&b""[..], &b"grave"[..]));
    assert!(extras(&dead).keys.is_empty() && dead.hidden_keys().is_empty());
    let headers = headers(&dead);
    assert_eq!((field(&headers, "CC"), field(&headers, "z")), (None, Some(&long("1"))));
}

#[test]
fn dlx_07_the_expiration_goes_and_all_else_stays() {
    let dead = die(&message(&[], Some("60")), "q", Death::Expired, &TO_DLX);
    let properties = properties_of(&dead);
    assert_eq!((dead.expiration(), properties.expiration), (None, None));
    assert_eq!((properties.delivery_mode, properties.priority), (Some(2), Some(3)));
    assert_eq!((dead.is_persistent(), dead.priority()), (true, 3));
    assert_eq!(dead.inline_body(), Some(&b"body"[..]));
    assert!(dead.properties().starts_with(&[0xb8, 0x08, 1, b't']));
    assert!(dead.properties().ends_with(&[2, 3, 1, b'a']));
}

#[test]
fn a_message_without_any_properties_gets_headers() {
    let parts = Parts {
        exchange: b"",
        routing_key: b"q",
        properties: &[0, 0],
        persistent: false,
        priority: 0,
        expiration: None,
        account: crate::broker::memory::Account::UNCOUNTED,
    };
    let dead = die(&Message::new(&parts, b"", &mut Vec::new()), "q", Death::Expired, &TO_KEY);
    assert_eq!(history(&dead), [("q".into(), "expired".into(), 1)]);
}

#[test]
fn names_that_are_too_long_for_the_wire_are_cut() {
    let long = "k".repeat(300);
    let to = DeadLetters { exchange: &long, routing_key: Some(&long) };
    let dead = die(&plain(), "q", Death::Rejected, &to);
    assert_eq!((dead.exchange().len(), dead.routing_key().len()), (255, 255));
}

#[test]
fn dlx_30_a_message_does_not_go_round_by_itself() {
    let expired = die(&plain(), "one", Death::Expired, &TO_DLX);
    // Back to where it just came from.
    assert!(is_cycle(&expired, Death::Expired, "one"));
    assert!(!is_cycle(&expired, Death::Expired, "two"));
    let dropped = die(&expired, "two", Death::MaxLength, &TO_DLX);
    assert!(is_cycle(&dropped, Death::MaxLength, "one"));
    assert!(is_cycle(&dropped, Death::MaxLength, "two"));
}

#[test]
fn dlx_30_31_a_rejection_makes_every_way_free() {
    let rejected = die(&plain(), "one", Death::Rejected, &TO_DLX);
    assert!(!is_cycle(&rejected, Death::Rejected, "one"));
    // Expired in one, rejected in two, expired in one again: the rejection lies between.
    let expired = die(&plain(), "one", Death::Expired, &TO_DLX);
    let rejected = die(&expired, "two", Death::Rejected, &TO_DLX);
    assert!(!is_cycle(&rejected, Death::Rejected, "one"));
    let again = die(&rejected, "one", Death::Expired, &TO_DLX);
    assert!(!is_cycle(&again, Death::Expired, "two"));
    // But straight back is still a cycle.
    assert!(is_cycle(&again, Death::Expired, "one"));
}

#[test]
fn a_long_history_forgets_its_oldest_events() {
    let key = "k".repeat(30_000);
    let mut dead = message(&carbon_copy(&[&key]), None);
    for queue in 0..10 {
        dead = die(&dead, &queue.to_string(), Death::Rejected, &TO_DLX);
    }
    let queues: Vec<String> = history(&dead).into_iter().map(|(queue, ..)| queue).collect();
    assert_eq!(queues, ["9", "8", "7"]);
    assert_eq!(field(&headers(&dead), "x-first-death-queue"), Some(&long("0")));
}

proptest! {
    #[test]
    fn the_history_agrees_with_a_plain_list(events in proptest::collection::vec((0..4u8, 0..3u8), 1..40)) {
        let mut dead = plain();
        let mut model: Vec<(String, String, i64)> = Vec::new();
        for (queue, reason) in events {
            let queue = queue.to_string();
            let reason = [Death::Rejected, Death::Expired, Death::MaxLength][usize::from(reason)];
            dead = die(&dead, &queue, reason, &TO_DLX);
            let name = reason_name(reason).to_owned();
            let same = model.iter().position(|(of, why, _)| *of == queue && *why == name);
            let count = same.map_or(0, |at| model.remove(at).2);
            model.insert(0, (queue, name, count + 1));
            prop_assert_eq!(history(&dead), model.clone());
            for target in 0..5u8 {
                let target = target.to_string();
                let visit = model.iter().position(|(of, ..)| *of == target);
                let free = visit.is_none_or(|at| model[..=at].iter().any(|(_, why, _)| why == "rejected"));
                let expected = reason != Death::Rejected && !free;
                prop_assert_eq!(is_cycle(&dead, reason, &target), expected);
            }
        }
    }
}
