//! Queues, exchanges and bindings in great numbers.

use crate::{attacker::Attacker, innocent::Innocent, target::Target, wire::*};

/// A connection's exclusive queues were once looked through at every declare.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_exclusive_queues() {
    const QUEUES: usize = 20_000;
    let target = Target::start().await;
    let innocent = Innocent::start(&target.uri()).await;
    let mut attacker = Attacker::with_channel(target.address()).await;
    let flood: Vec<u8> = (0..QUEUES).flat_map(|_| declare(1, "", EXCLUSIVE, b"")).collect();
    let answers = attacker.exchange(&flood, QUEUES).await;
    let name = answers.last().unwrap().first_short();
    attacker.close().await;
    // They went with their connection: the last one's name is free again.
    let mut successor = Attacker::with_channel(target.address()).await;
    successor.send(&declare(1, &name, 1, b"")).await;
    assert_eq!(successor.channel_closed_with(1).await, 404);
    innocent.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_queues_with_random_names() {
    const QUEUES: usize = 10_000;
    let target = Target::start().await;
    let innocent = Innocent::start(&target.uri()).await;
    let mut attacker = Attacker::with_channel(target.address()).await;
    let mut dice = Dice::new(3);
    let names: Vec<String> = (0..QUEUES).map(|_| format!("{:x}", dice.roll())).collect();
    let flood: Vec<u8> = names.iter().flat_map(|name| declare(1, name, 0, b"")).collect();
    attacker.exchange(&flood, QUEUES).await;
    let delete = |name: &String| method(1, 50, 40, &[&[0, 0][..], &short(name), &[0]].concat());
    let ebb: Vec<u8> = names.iter().flat_map(delete).collect();
    let answers = attacker.exchange(&ebb, QUEUES).await;
    assert!(answers.iter().all(|answer| answer.method() == (50, 41)));
    innocent.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_bindings() {
    const BINDINGS: usize = 10_000;
    let target = Target::start().await;
    let innocent = Innocent::start(&target.uri()).await;
    for exchange in ["amq.topic", "amq.direct", "amq.headers"] {
        let mut attacker = Attacker::with_channel(target.address()).await;
        attacker.declare("bound", EXCLUSIVE).await;
        let binding = |number: usize| {
            let arguments = text_field("n", number.to_string());
            bind(1, "bound", exchange, format!("a.{number}.*.#.{number}"), &arguments)
        };
        let flood: Vec<u8> = (0..BINDINGS).flat_map(binding).collect();
        attacker.exchange(&flood, BINDINGS).await;
        // The bindings go with the queue, the queue with its connection.
        attacker.close().await;
    }
    innocent.unharmed().await;
}

/// One publish that reaches very many queues costs one push a queue, and their end no more than that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publish_to_ten_thousand_queues() {
    const QUEUES: usize = 10_000;
    const PUBLISHES: usize = 10;
    let target = Target::start().await;
    let innocent = Innocent::start(&target.uri()).await;
    let mut attacker = Attacker::with_channel(target.address()).await;
    let names: Vec<String> = (0..QUEUES).map(|number| format!("wide-{number}")).collect();
    let flood: Vec<u8> = names
        .iter()
        .flat_map(|name| [declare(1, name, EXCLUSIVE, b""), bind(1, name, "amq.fanout", "", b"")].concat())
        .collect();
    attacker.exchange(&flood, 2 * QUEUES).await;
    let publishes: Vec<u8> = (0..PUBLISHES).flat_map(|_| message(1, "amq.fanout", "", b"wide")).collect();
    attacker.send(&[confirm_select(1), publishes].concat()).await;
    attacker.expect((85, 11)).await;
    let mut confirmed = 0;
    while confirmed < PUBLISHES as u64 {
        let confirm = attacker.expect((60, 80)).await;
        confirmed = u64::from_be_bytes(*confirm.arguments().first_chunk().unwrap());
    }
    for name in [names.first().unwrap(), names.last().unwrap()] {
        attacker.send(&declare(1, name, EXCLUSIVE, b"")).await;
        let declared = attacker.expect(DECLARE_OK).await;
        let counts = &declared.arguments()[1 + name.len()..];
        assert_eq!(counts, [0, 0, 0, PUBLISHES as u8, 0, 0, 0, 0]);
    }
    attacker.close().await;
    innocent.unharmed().await;
}

/// A commit of publishes that each reach another queue.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_to_ten_thousand_queues() {
    const QUEUES: usize = 10_000;
    let target = Target::start().await;
    let innocent = Innocent::start(&target.uri()).await;
    let mut attacker = Attacker::with_channel(target.address()).await;
    let names: Vec<String> = (0..QUEUES).map(|number| format!("tx-{number}")).collect();
    let flood: Vec<u8> = names.iter().flat_map(|name| declare(1, name, EXCLUSIVE, b"")).collect();
    attacker.exchange(&flood, QUEUES).await;
    let publishes: Vec<u8> = names.iter().flat_map(|name| message(1, "", name, b"x")).collect();
    let (select, commit) = (method(1, 90, 10, b""), method(1, 90, 20, b""));
    for _ in 0..3 {
        attacker.exchange(&[select.clone(), publishes.clone(), commit.clone()].concat(), 2).await;
    }
    let ask: Vec<u8> = names.iter().flat_map(|name| declare(1, name, EXCLUSIVE, b"")).collect();
    for (declared, name) in attacker.exchange(&ask, QUEUES).await.iter().zip(&names) {
        assert_eq!(declared.arguments()[1 + name.len()..], [0, 0, 0, 3, 0, 0, 0, 0]);
    }
    attacker.close().await;
    innocent.unharmed().await;
}

/// Values at the edges of their types: they are taken or refused, and nothing overflows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn extreme_arguments_are_taken_or_refused() {
    let target = Target::start().await;
    let innocent = Innocent::start(&target.uri()).await;
    let names = [
        "x-message-ttl",
        "x-expires",
        "x-max-length",
        "x-max-length-bytes",
        "x-max-priority",
        "x-queue-type",
        "x-overflow",
        "x-single-active-consumer",
        "x-dead-letter-exchange",
        "x-dead-letter-routing-key",
        "x-delivery-limit",
        "x-priority",
        "x-cancel-on-ha-failover",
        "alternate-exchange",
        "x-match",
    ];
    let mut values: Vec<Vec<u8>> = Vec::new();
    for number in [i64::MIN, -1, 0, 1, i64::from(i32::MAX), i64::from(u32::MAX), 315_360_000_001, i64::MAX] {
        values.push([&b"l"[..], &number.to_be_bytes()].concat());
    }
    for number in [i32::MIN, -1, 0, 255, 256, i32::MAX] {
        values.push([&b"I"[..], &number.to_be_bytes()].concat());
    }
    values.push(b"t\x01".to_vec());
    values.push(b"V".to_vec());
    values.push([&b"d"[..], &f64::NAN.to_be_bytes()].concat());
    values.push([&b"D\xff"[..], &[255; 4]].concat());
    values.push([&b"S"[..], &long([b'x'; 300])].concat());
    values.push([&b"S"[..], &long([0xff; 300])].concat());
    values.push([&b"F"[..], &long(b"")].concat());
    values.push([&b"A"[..], &long(b"")].concat());
    let mut attacker = Attacker::open(target.address()).await;
    for name in names {
        for value in &values {
            let arguments = [&short(name)[..], value].concat();
            for octets in [
                [declare(1, "edge", 0, &arguments), message(1, "", "edge", b"x")].concat(),
                declare_exchange(1, "edge", "topic", &arguments),
                bind(1, "edge", "amq.headers", "", &arguments),
                consume_with(1, "edge", "", 2, &arguments),
            ] {
                attacker.open_channel(1).await;
                // The second channel's answer comes after everything about the first one.
                attacker.send(&[octets, channel_open(2)].concat()).await;
                let mut closed = false;
                loop {
                    let frame = attacker.frame().await.expect("only the channel may be closed");
                    assert_ne!(frame.method(), CONNECTION_CLOSE, "{name} = {value:?}: {frame:?}");
                    closed |= frame.method() == CHANNEL_CLOSE;
                    if frame.method() == CHANNEL_OPEN_OK {
                        break;
                    }
                }
                let end = if closed { channel_close_ok(1) } else { channel_close(1) };
                attacker.send(&[end, channel_close(2)].concat()).await;
                while attacker.frame().await.unwrap().channel != 2 {}
            }
        }
    }
    innocent.unharmed().await;
}
