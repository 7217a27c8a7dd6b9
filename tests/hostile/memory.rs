//! Memory that is promised, not sent: nothing may be set aside for it.

use std::net::Ipv4Addr;

use crate::{attacker::Attacker, child::Child, innocent::Innocent, wire::*};

/// Connections of several addresses, since one address may have a hundred that have not logged in.
async fn crowd(child: &Child, count: usize) -> Vec<Attacker> {
    let mut crowd = Vec::new();
    for number in 0..count {
        let from = Ipv4Addr::new(127, 0, 5, (1 + number / 90) as u8);
        crowd.push(Attacker::connect_from(from, child.address).await);
    }
    crowd
}

fn assert_grown(child: &Child, before: u64, most: u64) {
    let grown = child.peak().saturating_sub(before);
    assert!(grown < most, "{} KiB more, {} KiB at most", grown >> 10, most >> 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claimed_frames_before_the_login_cost_nothing() {
    let child = Child::start(&[]);
    let innocent = Innocent::start(&child.uri()).await;
    let before = child.resident();
    let mut crowd = crowd(&child, 900).await;
    for attacker in &mut crowd {
        attacker.send(&[HEADER, &head(METHOD, 0, 128 << 10), b"\x00\x0a\x00\x0b"].concat()).await;
        attacker.expect((10, 10)).await;
    }
    assert_grown(&child, before, 24 << 20);
    // Two gigabytes are not even waited for.
    let mut liar = Attacker::connect(child.address).await;
    liar.send(&[HEADER, &head(METHOD, 0, i32::MAX as u32)].concat()).await;
    liar.ended().await;
    innocent.unharmed().await;
}

/// Frames that begin and never end, before any login: all together stay within their budget.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_sent_frames_before_the_login_share_a_budget() {
    const SOCKETS: usize = 500;
    let child = Child::start(&["limits.unauthenticated_bytes_max=2MiB"]);
    let veteran = Innocent::start(&child.uri()).await;
    let before = child.resident();
    let mut crowd = crowd(&child, SOCKETS).await;
    let part = [HEADER, &head(METHOD, 0, 128 << 10), b"\x00\x0a\x00\x0b", &vec![b'x'; 120_000]].concat();
    for attacker in &mut crowd {
        // The broker may drop it before all is sent.
        attacker.try_send(&part).await;
    }
    let newcomer = Innocent::start(&child.uri()).await;
    // Sixty megabytes were sent.
    assert_grown(&child, before, 20 << 20);
    newcomer.unharmed().await;
    veteran.unharmed().await;
    drop(crowd);
    let log = child.stop();
    let lines = log.lines().filter(|line| line.contains("limits.unauthenticated_bytes_max")).count();
    assert!((1..=6).contains(&lines), "a line for each of six addresses at most:\n{log}");
}

/// A login that is delayed keeps what it needs, not the client's whole self-portrait in memory: a table of
/// 128 KiB takes megabytes once it is parsed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn delayed_logins_do_not_keep_their_tables() {
    let child = Child::start(&["limits.login_failures_free=0", "limits.login_delay=3s"]);
    let before_failure = [&short("a")[..], b"A", &long(vec![b'V'; 100_000])].concat();
    let mut guesser = Attacker::connect(child.address).await;
    guesser.send(&[HEADER, &start_ok(&client_properties(&before_failure), "guest", "wrong")].concat()).await;
    guesser.expect((10, 10)).await;
    guesser.expect(CONNECTION_CLOSE).await;
    let before = child.resident();
    let mut delayed = Vec::new();
    for _ in 0..50 {
        let mut attacker = Attacker::connect(child.address).await;
        attacker
            .send(&[HEADER, &start_ok(&client_properties(&before_failure), "guest", "guest")].concat())
            .await;
        attacker.expect((10, 10)).await;
        delayed.push(attacker);
    }
    for attacker in &mut delayed {
        attacker.expect((10, 30)).await;
    }
    assert_grown(&child, before, 40 << 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claimed_bodies_cost_nothing() {
    const CHANNELS: u16 = 500;
    let child = Child::start(&["amqp.max_message_size=512MiB"]);
    let innocent = Innocent::start(&child.uri()).await;
    let before = child.resident();
    let mut attackers = Vec::new();
    for _ in 0..4 {
        let mut attacker = Attacker::open(child.address).await;
        for channel in 1..=CHANNELS {
            let claim = [publish(channel, "", "q", false), content_header(channel, 512 << 20)].concat();
            attacker.send(&[channel_open(channel), claim, body(channel, b"x")].concat()).await;
        }
        for _ in 0..CHANNELS {
            attacker.expect(CHANNEL_OPEN_OK).await;
        }
        attackers.push(attacker);
    }
    // A terabyte was promised.
    assert_grown(&child, before, 24 << 20);
    innocent.unharmed().await;
}

/// Half-sent bodies stay within their bound, whatever is sent beside them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_sent_bodies_cost_what_was_sent() {
    let child = Child::start(&["limits.partial_content_max=8MiB"]);
    let innocent = Innocent::start(&child.uri()).await;
    let before = child.resident();
    let mut attacker = Attacker::open(child.address).await;
    for channel in 1..=1_000 {
        let claim = [publish(channel, "", "q", false), content_header(channel, 100 << 20)].concat();
        let part = body(channel, &[b'x'; 64 << 10]);
        // The broker closes the connection long before the last one, but reads on for the answer to that.
        attacker.try_send(&[channel_open(channel), claim, part].concat()).await;
    }
    assert_eq!(attacker.closed_with().await, 506);
    assert_grown(&child, before, 24 << 20);
    innocent.unharmed().await;
}
