//! What the operator gets to see of limits that are hit: a counter each, and a line now and then.

use std::{net::Ipv4Addr, time::Duration};

use crate::{
    attacker::{Attacker, handshake},
    child::Child,
    innocent::Innocent,
    target::{Target, eventually},
    wire::*,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_refusal_is_counted_under_its_limit() {
    let target = Target::configured(|config| {
        config.amqp.channel_max = 3;
        config.amqp.max_message_size = 10_000;
        config.amqp.consumers_per_channel_max = 1;
        config.amqp.consumer_timeout = Some(Duration::from_millis(50));
        config.limits.partial_content_max = 4_096;
        config.limits.table_depth_max = 2;
    })
    .await;
    let address = target.address();
    let expect_one = |limit: &str| assert_eq!(target.refusals(limit), 1, "{limit}");

    let mut attacker = Attacker::with_channel(address).await;
    attacker.send(&head(BODY, 1, 200_000)).await;
    assert_eq!(attacker.close_code().await, 501);
    expect_one("amqp.frame_max");

    let mut attacker = Attacker::open(address).await;
    attacker.send(&(1..=4).flat_map(channel_open).collect::<Vec<u8>>()).await;
    assert_eq!(attacker.close_code().await, 530);
    expect_one("amqp.channel_max");

    let mut attacker = Attacker::with_channel(address).await;
    attacker.send(&[publish(1, "", "q", false), content_header(1, 10_001)].concat()).await;
    assert_eq!(attacker.channel_closed_with(1).await, 406);
    expect_one("amqp.max_message_size");

    let mut attacker = Attacker::with_channel(address).await;
    attacker.open_channel(2).await;
    for channel in [1, 2] {
        let half = [publish(channel, "", "q", false), content_header(channel, 9_000)].concat();
        attacker.send(&[half, body(channel, &[b'x'; 3_000])].concat()).await;
    }
    assert_eq!(attacker.close_code().await, 506);
    expect_one("limits.partial_content_max");

    let mut attacker = Attacker::with_channel(address).await;
    let nested = (0..3).fold(Vec::new(), |inner, _| [&short("t")[..], b"F", &long(inner)].concat());
    attacker.send(&declare(1, "deep", EXCLUSIVE, &nested)).await;
    assert_eq!(attacker.close_code().await, 502);
    expect_one("limits.table_depth_max");

    let mut attacker = Attacker::with_channel(address).await;
    attacker.declare("scarce", EXCLUSIVE).await;
    attacker.send(&[consume(1, "scarce", "a", 0), consume(1, "scarce", "b", 0)].concat()).await;
    assert_eq!(attacker.close_code().await, 530);
    expect_one("amqp.consumers_per_channel_max");

    let mut attacker = Attacker::with_channel(address).await;
    attacker.declare("kept", EXCLUSIVE).await;
    attacker.send(&[consume(1, "kept", "a", 0), message(1, "", "kept", b"x")].concat()).await;
    assert_eq!(attacker.channel_closed_with(1).await, 406);
    expect_one("amqp.consumer_timeout");

    let mut attacker = Attacker::connect(address).await;
    let silence = [HEADER, &start_ok(&client_properties(b""), "guest", "guest"), &tune_ok(0, 0, 1)].concat();
    attacker.send(&[silence, open("/")].concat()).await;
    attacker.ended().await;
    expect_one("amqp.heartbeat");

    target.broker.set_memory_limit(0);
    let mut attacker = Attacker::with_channel(address).await;
    attacker.declare("full", EXCLUSIVE).await;
    attacker.send(&message(1, "", "full", b"x")).await;
    eventually("the publisher is held up", || target.refusals("limits.memory") == 1).await;
    let report = target.report("limits.memory");
    assert!(report.limit == Some(0) && report.current.is_some(), "{report:?}");

    let refused: u64 = target.broker.limits().iter().map(|report| report.refusals).sum();
    assert_eq!(refused, 9, "nothing is counted twice: {:?}", target.broker.limits());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_before_the_login_are_counted() {
    let target = Target::configured(|config| {
        config.amqp.handshake_timeout = Duration::from_millis(200);
        config.limits.unauthenticated_per_ip_max = 2;
    })
    .await;
    let connect = |last| Attacker::connect_from(Ipv4Addr::new(127, 0, 6, last), target.address());
    connect(1).await.ended().await;
    assert_eq!(target.refusals("amqp.handshake_timeout"), 1);

    // Two wait inside and time out, the third waits outside for as long.
    let mut crowd = [connect(2).await, connect(2).await, connect(2).await];
    for attacker in &mut crowd {
        attacker.ended().await;
    }
    eventually("all are gone", || target.report("sockets").current == Some(0)).await;
    let in_vain = target.refusals("limits.unauthenticated_per_ip_max");
    let timed_out = target.refusals("amqp.handshake_timeout");
    // It gets in for the rest of its time if the first of the others goes early enough.
    assert_eq!(in_vain + timed_out, 4, "{in_vain} in vain, {timed_out} timed out");

    let target = Target::configured(|config| {
        config.limits.unauthenticated_max = 3;
        config.limits.login_failures_free = 1;
        config.limits.login_delay = Duration::from_millis(1);
    })
    .await;
    let connect = |last| Attacker::connect_from(Ipv4Addr::new(127, 0, 6, last), target.address());
    let mut crowd = Vec::new();
    for last in 3..=6 {
        crowd.push(connect(last).await);
    }
    eventually("the oldest goes", || target.refusals("limits.unauthenticated_max") == 1).await;
    crowd[0].ended().await;

    for password in ["wrong", "guest"] {
        let mut guesser = connect(7).await;
        guesser.send(&handshake("guest", password)).await;
        guesser.expect((10, 10)).await;
        guesser.frame().await.expect("tune or close");
    }
    assert_eq!(target.refusals("limits.login_failures_free"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sent_before_logins_is_bounded_for_all_together() {
    const BUDGET: u64 = 1 << 20;
    const SENT: usize = 100_000;
    const SOCKETS: usize = 80;
    let target = Target::configured(|config| {
        config.limits.unauthenticated_bytes_max = BUDGET as usize;
        config.amqp.handshake_timeout = Duration::from_secs(60);
    })
    .await;
    let veteran = Innocent::start(&target.uri()).await;
    let part = [HEADER, &head(METHOD, 0, 128 << 10), &[0, 10, 0, 11], &vec![b'x'; SENT]].concat();
    let mut crowd = Vec::new();
    for number in 0..SOCKETS {
        let from = Ipv4Addr::new(127, 0, 7, (1 + number / 20) as u8);
        let mut attacker = Attacker::connect_from(from, target.address()).await;
        // The broker may drop it before all is sent.
        attacker.try_send(&part).await;
        crowd.push(attacker);
    }
    let name = "limits.unauthenticated_bytes_max";
    let most = SOCKETS as u64 - BUDGET / SENT as u64;
    eventually("those that are too many are dropped", || most <= target.refusals(name)).await;
    let report = target.report(name);
    assert_eq!(report.limit, Some(BUDGET));
    assert!(report.current.is_some_and(|octets| octets <= BUDGET), "{report:?}");
    // Somebody new gets in, also with a login that comes in two pieces.
    let newcomer = Innocent::start(&target.uri()).await;
    let login = handshake("guest", "guest");
    let (head, tail) = login.split_at(20);
    let mut slow = Attacker::connect(target.address()).await;
    slow.send(head).await;
    slow.expect((10, 10)).await;
    slow.send(tail).await;
    slow.expect((10, 30)).await;
    slow.expect((10, 41)).await;
    slow.close().await;
    // What the survivors kept is free again when they go.
    drop(crowd);
    eventually("the budget is free", || target.report(name).current == Some(0)).await;
    newcomer.unharmed().await;
    veteran.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_keeps_hitting_a_limit_is_logged_once_a_minute() {
    const TIMES: usize = 10;
    let child = Child::start(&["amqp.channel_max=1"]);
    let innocent = Innocent::start(&child.uri()).await;
    let one = Ipv4Addr::new(127, 0, 8, 1);
    let other = Ipv4Addr::new(127, 0, 8, 2);
    let open = async |from| {
        let mut attacker = Attacker::connect_from(from, child.address).await;
        attacker.log_in().await;
        attacker
    };
    for _ in 0..TIMES {
        for from in [one, other] {
            let mut giant = open(from).await;
            giant.send(&head(METHOD, 0, 1 << 20)).await;
            assert_eq!(giant.close_code().await, 501);
            giant.reset();
        }
        let mut greedy = open(one).await;
        greedy.send(&[channel_open(1), channel_open(2)].concat()).await;
        assert_eq!(greedy.closed_with().await, 530);
    }
    innocent.unharmed().await;
    let log = child.stop();
    let lines = |from: Ipv4Addr, limit: &str| {
        let (from, limit) = (format!("({from}:"), format!("limit {limit}"));
        log.lines().filter(|line| line.contains(&from) && line.contains(&limit)).count()
    };
    assert_eq!(lines(one, "amqp.frame_max"), 1, "{log}");
    assert_eq!(lines(other, "amqp.frame_max"), 1, "each address for itself:\n{log}");
    assert_eq!(lines(one, "amqp.channel_max"), 1, "each limit for itself:\n{log}");
    assert_eq!(lines(other, "amqp.channel_max"), 0, "{log}");
    let about_us = log.lines().filter(|line| line.contains("127.0.8.") && line.contains("WARN")).count();
    assert_eq!(about_us, 3, "no other line says the same again:\n{log}");
}
