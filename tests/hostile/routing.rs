//! Routing that is made to work hard.

use crate::{attacker::Attacker, innocent::Innocent, target::Target, wire::*};

/// The message count of a queue of this connection.
async fn ready(peer: &mut Attacker, queue: &str) -> u32 {
    let declared = peer.declare(queue, EXCLUSIVE).await;
    u32::from_be_bytes(*declared.arguments()[1 + queue.len()..].first_chunk().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exchanges_bound_in_circles_route_once() {
    const EXCHANGES: usize = 40;
    const PUBLISHES: u32 = 500;
    let target = Target::start().await;
    let innocent = Innocent::start(&target.uri()).await;
    let mut attacker = Attacker::with_channel(target.address()).await;
    attacker.declare("centre", EXCLUSIVE).await;
    let name = |number: usize| format!("circle-{number}");
    let mut octets = Vec::new();
    for number in 0..EXCHANGES {
        octets.extend(declare_exchange(1, &name(number), "fanout", b""));
    }
    for source in 0..EXCHANGES {
        octets.extend(bind(1, "centre", &name(source), "", b""));
        for destination in 0..EXCHANGES {
            octets.extend(bind_exchange(1, &name(destination), &name(source), ""));
        }
    }
    // Alternates in a circle, too, which nobody is bound to.
    for number in 0..2 {
        let alternate = text_field("alternate-exchange", format!("spare-{}", 1 - number));
        octets.extend(declare_exchange(1, &format!("spare-{number}"), "direct", &alternate));
    }
    attacker.exchange(&octets, EXCHANGES + EXCHANGES * (EXCHANGES + 1) + 2).await;
    for _ in 0..PUBLISHES {
        let publishes = [message(1, "circle-0", "", b"x"), message(1, "spare-0", "", b"x")].concat();
        attacker.send(&publishes).await;
    }
    assert_eq!(ready(&mut attacker, "centre").await, PUBLISHES);
    innocent.unharmed().await;
}

/// Patterns full of `#` against keys of 128 words: the work is words times pattern, never exponential.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_hashes_in_a_pattern_are_no_explosion() {
    const PUBLISHES: u32 = 1_000;
    let target = Target::start().await;
    let innocent = Innocent::start(&target.uri()).await;
    let mut attacker = Attacker::with_channel(target.address()).await;
    attacker.declare("thicket", EXCLUSIVE).await;
    let patterns = [
        "#.a".to_owned(),
        ["#.a"; 60].join("."),
        ["#.*"; 60].join("."),
        ["#.a.*"; 40].join("."),
        ["#"; 128].join("."),
    ];
    for pattern in &patterns {
        attacker.send(&bind(1, "thicket", "amq.topic", pattern, b"")).await;
        attacker.expect((50, 21)).await;
    }
    let mut dice = Dice::new(8);
    for _ in 0..PUBLISHES {
        // Keys that no cache knows.
        let words: Vec<&str> = (0..128).map(|_| ["a", "b"][(dice.roll() % 2) as usize]).collect();
        attacker.send(&message(1, "amq.topic", words.join("."), b"x")).await;
    }
    // The last pattern matches everything; a queue gets a message once however many match.
    assert_eq!(ready(&mut attacker, "thicket").await, PUBLISHES);
    innocent.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_headers_are_matched_in_one_pass() {
    const HEADERS: usize = 5_000;
    const BINDINGS: usize = 20;
    const PUBLISHES: u32 = 100;
    let target = Target::start().await;
    let innocent = Innocent::start(&target.uri()).await;
    let mut attacker = Attacker::with_channel(target.address()).await;
    attacker.declare("ledger", EXCLUSIVE).await;
    let field = |number: usize| text_field(&format!("key-{number}"), format!("{number}"));
    for binding in 0..BINDINGS {
        let fields: Vec<u8> = (0..HEADERS / 2).flat_map(|number| field(number + binding)).collect();
        attacker.send(&bind(1, "ledger", "amq.headers", "", &fields)).await;
        attacker.expect((50, 21)).await;
    }
    let fields: Vec<u8> = (0..HEADERS).flat_map(field).collect();
    assert!(fields.len() < 128 << 10);
    let properties = headers(&fields);
    let one = [publish(1, "amq.headers", "", false), header_with(1, 0, &properties)].concat();
    for _ in 0..PUBLISHES {
        attacker.send(&one).await;
    }
    assert_eq!(ready(&mut attacker, "ledger").await, PUBLISHES);
    innocent.unharmed().await;
}

/// CC and BCC name as many keys as fit into a frame.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_copies_reach_each_queue_once() {
    const KEYS: usize = 10_000;
    const PUBLISHES: u32 = 20;
    let target = Target::start().await;
    let innocent = Innocent::start(&target.uri()).await;
    let mut attacker = Attacker::with_channel(target.address()).await;
    attacker.declare("copies", EXCLUSIVE).await;
    attacker.send(&bind(1, "copies", "amq.topic", "#.x.#", b"")).await;
    attacker.expect((50, 21)).await;
    let keys: Vec<u8> = (0..KEYS).flat_map(|_| [&b"S"[..], &long("x.y")].concat()).collect();
    let fields = [&short("CC")[..], b"A", &long(&keys)].concat();
    let properties = headers(&fields);
    for exchange in ["amq.topic", ""] {
        let one = [publish(1, exchange, "x", false), header_with(1, 0, &properties)].concat();
        for _ in 0..PUBLISHES {
            attacker.send(&one).await;
        }
    }
    assert_eq!(ready(&mut attacker, "copies").await, PUBLISHES);
    innocent.unharmed().await;
}
