//! How often the broker asks the allocator for memory, per operation. Counted, not timed: the figures are exact
//! on any machine, and one allocation more for a message than written here is a failing test.
//!
//! Sessions are driven without sockets; what a connection or a queue allocates once, and growth of what it
//! keeps, disappears among thousands of messages.

#[path = "common/session.rs"]
mod session;

use allocation_counter::measure;
use leveret::amqp::FieldTable;
use session::{Client, READ, acks, node, publishes};

/// Messages of one count.
const MESSAGES: usize = 4000;

/// The whole number of allocations an operation takes, of which there were `count`; growth may add a little.
fn each(count: usize, work: impl FnOnce()) -> u64 {
    let info = measure(work);
    let tenths = info.count_total * 10 / count as u64;
    assert!(
        tenths % 10 <= 1,
        "{} allocations for {count} operations: no whole number each",
        info.count_total
    );
    tenths / 10
}

/// A publisher, a reader, and the queue "q".
fn pair() -> (Client, Client) {
    let node = node();
    let (mut publisher, reader) = (Client::connect(&node), Client::connect(&node));
    publisher.declare("q");
    (publisher, reader)
}

/// Allocations for a message of `size` octets from publish to delivery, in reads that end with a message: one
/// that comes in two takes more.
fn from_publish_to_delivery(size: usize) -> u64 {
    let (mut publisher, mut reader) = pair();
    reader.consume("q", true);
    let portion = (READ / (size + 100)).max(1);
    let (octets, rounds) = (publishes(portion, "", "q", size), MESSAGES.div_ceil(portion));
    let mut pass = || (0..rounds).for_each(|_| publisher.send_to(&octets, Some(&mut reader)));
    pass();
    let allocations = each(rounds * portion, pass);
    assert!(reader.heard.octets > (2 * rounds * portion * size) as u64, "all were delivered");
    allocations
}

#[test]
fn a_message_of_up_to_4_kib_is_one_allocation_from_publish_to_delivery() {
    for size in [0, 16, 1024, 4096] {
        assert_eq!(from_publish_to_delivery(size), 1, "{size} octets");
    }
}

#[test]
fn a_larger_body_lies_beside_its_message_and_takes_three_more() {
    assert_eq!(from_publish_to_delivery(60_000), 4);
}

#[test]
fn acknowledging_each_delivery_takes_none() {
    let (mut publisher, mut reader) = pair();
    reader.consume("q", false);
    let octets = publishes(MESSAGES, "", "q", 16);
    let last = MESSAGES as u64;
    publisher.send_to(&octets, Some(&mut reader));
    reader.send(&acks(1..=last));
    // The ledger has its size now; the second round is that of a running consumer.
    assert_eq!(each(MESSAGES, || publisher.send_to(&octets, Some(&mut reader))), 1);
    let settlements = acks(last + 1..=2 * last);
    assert_eq!(each(MESSAGES, || reader.send(&settlements)), 0);
}

#[test]
fn a_confirm_takes_none() {
    let (mut publisher, mut reader) = pair();
    reader.consume("q", true);
    publisher.select_confirms();
    let octets = publishes(MESSAGES, "", "q", 16);
    publisher.send_to(&octets, Some(&mut reader));
    let before = publisher.heard.octets;
    assert_eq!(each(MESSAGES, || publisher.send_to(&octets, Some(&mut reader))), 1);
    assert!(publisher.heard.octets > before, "confirms came");
}

#[test]
fn waiting_in_a_queue_takes_none_but_the_growth_of_its_list() {
    let (mut publisher, _) = pair();
    let octets = publishes(MESSAGES, "", "q", 16);
    publisher.send(&octets);
    assert_eq!(each(MESSAGES, || publisher.send(&octets)), 1);
}

#[test]
fn ten_queues_share_the_one_message() {
    let (mut publisher, mut reader) = pair();
    publisher.declare_exchange("f", "fanout");
    for number in 0..10 {
        let name = format!("f{number}");
        publisher.declare(&name);
        publisher.bind(&name, "f", "", FieldTable::default());
        reader.consume(&name, true);
    }
    let octets = publishes(MESSAGES, "f", "", 16);
    let mut round = || publisher.send_to(&octets, Some(&mut reader));
    round();
    assert_eq!(each(MESSAGES, round), 1);
}

#[test]
fn wildcards_are_matched_once_and_remembered() {
    let (mut publisher, mut reader) = pair();
    publisher.declare_exchange("t", "topic");
    for number in 0..100 {
        publisher.bind("q", "t", &format!("*.{number}.#"), FieldTable::default());
    }
    reader.consume("q", true);
    let octets = publishes(MESSAGES, "t", "a.7.b.c", 16);
    let mut round = || publisher.send_to(&octets, Some(&mut reader));
    round();
    assert_eq!(each(MESSAGES, round), 1);
}

#[test]
fn the_counter_counts() {
    assert_eq!(each(10, || (0..10).for_each(|number| drop(std::hint::black_box(Box::new(number))))), 1);
}
