//! Peers that do not take what they are sent.

use std::time::Duration;

use crate::{
    attacker::Attacker,
    child::Child,
    innocent::Innocent,
    target::{Target, eventually, within},
    wire::*,
};

/// Puts this many messages into a queue and awaits that they are there.
async fn fill(peer: &mut Attacker, queue: &str, messages: u32, content: &[u8]) {
    let one = message(1, "", queue, content);
    for _ in 0..messages {
        peer.send(&one).await;
    }
    assert_eq!(ready(peer, queue).await, messages);
}

/// The message count of a queue.
async fn ready(peer: &mut Attacker, queue: &str) -> u32 {
    peer.send(&declare(1, queue, 1, b"")).await;
    let declared = peer.expect(DECLARE_OK).await;
    u32::from_be_bytes(*declared.arguments()[1 + queue.len()..].first_chunk().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_never_reads_costs_little_and_is_dropped() {
    const MESSAGES: u32 = 12_000;
    let child = Child::start(&["limits.output_stall=1500ms"]);
    let innocent = Innocent::start(&child.uri()).await;
    let mut witness = Attacker::with_channel(child.address).await;
    witness.declare("heap", 0).await;
    fill(&mut witness, "heap", MESSAGES, &[b'x'; 4000]).await;
    let before = child.resident();
    let mut sleeper = Attacker::connect_narrow(child.address).await;
    sleeper.log_in().await;
    sleeper.open_channel(1).await;
    let ticks = child.ticks();
    sleeper.send(&consume(1, "heap", "sleeper", 0)).await;
    // Dropped after no progress for a while: the queue has everything back.
    within("the end of the sleeper", async {
        while ready(&mut witness, "heap").await == MESSAGES {}
        while ready(&mut witness, "heap").await < MESSAGES {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    let (grown, busy) = (child.peak().saturating_sub(before), child.ticks() - ticks);
    assert!(grown < 16 << 20, "{} MiB for one consumer", grown >> 20);
    // One and a half seconds of waiting must be waiting. The innocent client needs some of it.
    assert!(busy < 60, "{busy} hundredths of a second of processor time while nothing moves");
    innocent.unharmed().await;
}

/// Many consumers on one connection that is not read: each has its window, the connection has one bound.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_consumers_of_one_sleeping_connection_share_one_bound() {
    const MESSAGES: u32 = 60_000;
    let child = Child::start(&[]);
    let mut witness = Attacker::with_channel(child.address).await;
    witness.declare("crowd", 0).await;
    fill(&mut witness, "crowd", MESSAGES, &[b'x'; 1000]).await;
    let before = child.resident();
    let mut sleeper = Attacker::connect_narrow(child.address).await;
    sleeper.log_in().await;
    sleeper.open_channel(1).await;
    let consumers: Vec<u8> =
        (0..1_000).flat_map(|number| consume(1, "crowd", format!("c{number}"), NOWAIT_CONSUME)).collect();
    sleeper.send(&consumers).await;
    within("the windows of the sleepers", async {
        while 0 < ready(&mut witness, "crowd").await {}
        // Nothing tells when the broker has encoded what it will; newcomers are served after that.
        for _ in 0..20 {
            Attacker::open(child.address).await.close().await;
        }
    })
    .await;
    // Neither a cancel nor the end of another channel empties them all into the output.
    let cancel = method(1, 60, 30, &[short("c7"), vec![0]].concat());
    sleeper.send(&[cancel, channel_open(2), channel_close(2)].concat()).await;
    for _ in 0..20 {
        Attacker::open(child.address).await.close().await;
    }
    let grown = child.peak().saturating_sub(before);
    assert!(grown < 48 << 20, "{} MiB for one connection", grown >> 20);
    Innocent::start(&child.uri()).await.unharmed().await;
}

const NOWAIT_CONSUME: u8 = 8;

/// Returns and confirms pile up for a publisher that does not read: its input is left where it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publisher_that_never_reads_is_not_read_either() {
    let child = Child::start(&["limits.output_stall=1s"]);
    let innocent = Innocent::start(&child.uri()).await;
    let mut attacker = Attacker::connect_narrow(child.address).await;
    attacker.log_in().await;
    attacker.open_channel(1).await;
    attacker.send(&confirm_select(1)).await;
    attacker.expect((85, 11)).await;
    let before = child.resident();
    let unroutable =
        [publish(1, "", "nowhere", true), content_header(1, 1000), body(1, &[b'x'; 1000])].concat();
    let batch = unroutable.repeat(64);
    let (mut sent, most) = (0, 256 << 20);
    while sent < most && attacker.try_send(&batch).await {
        sent += batch.len();
    }
    assert!(sent < most, "the broker goes on reading from a peer that does not read");
    let grown = child.peak().saturating_sub(before);
    assert!(grown < 48 << 20, "{} MiB for one publisher", grown >> 20);
    innocent.unharmed().await;
}

/// The same with answers of methods, the cheapest there are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_only_asks_is_dropped() {
    let target = Target::configured(|config| {
        config.limits.output_stall = Duration::from_millis(500);
        config.limits.output_max = 64 << 10;
    })
    .await;
    let innocent = Innocent::start(&target.uri()).await;
    let mut attacker = Attacker::connect_narrow(target.address()).await;
    attacker.log_in().await;
    attacker.open_channel(1).await;
    let questions = declare(1, "amq.rabbitmq.reply-to", 1, b"").repeat(1000);
    let (mut sent, most) = (0, 256 << 20);
    while sent < most && attacker.try_send(&questions).await {
        sent += questions.len();
    }
    assert!(sent < most);
    eventually("the end of the asker", || target.broker.connection_count() == 1).await;
    eventually("it is counted", || target.refusals("limits.output_stall") == 1).await;
    assert!(1 <= target.refusals("limits.output_max"), "and before that, that its input waited");
    innocent.unharmed().await;
}

/// Slow is not stalled: who takes a little now and then is served to the end, heartbeats or not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_with_heartbeats_is_not_taken_for_dead() {
    let target = Target::configured(|config| {
        config.limits.output_max = 64 << 10;
        config.limits.output_stall = Duration::from_secs(20);
    })
    .await;
    let address = target.address();
    let mut filler = Attacker::with_channel(address).await;
    filler.declare("slow", 0).await;
    let content = vec![b'x'; 100 << 10];
    let head = [publish(1, "", "slow", false), content_header(1, 80 * content.len() as u64)].concat();
    filler.send(&[head, body(1, &content).repeat(80)].concat()).await;
    assert_eq!(ready(&mut filler, "slow").await, 1);
    let mut reader = Attacker::connect_narrow(address).await;
    let login = start_ok(&client_properties(b""), "guest", "guest");
    reader.send(&[HEADER, &login, &tune_ok(0, 0, 1), &open("/"), &channel_open(1)].concat()).await;
    for answer in [(10, 10), (10, 30), (10, 41), CHANNEL_OPEN_OK] {
        reader.expect(answer).await;
    }
    reader.send(&get(1, "slow", true)).await;
    reader.expect((60, 71)).await;
    reader.frame().await.unwrap();
    // One frame and one heartbeat at a time, for longer than a dead peer would be given.
    let mut received = 0;
    for number in 0..80 {
        let frame = reader.frame().await.expect("a slow reader is served");
        received += frame.payload.len();
        if received == 80 * content.len() {
            break;
        }
        if number < 35 {
            reader.send(&frame_of_heartbeat()).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    assert_eq!(received, 80 * content.len());
    // Served to the end, and not given up in the middle of it.
    reader.declare("slow", 0).await;
}

fn frame_of_heartbeat() -> Vec<u8> {
    frame(HEARTBEAT, 0, b"")
}

/// Replies are never stored: a requester that does not read loses them, nobody waits for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_to_a_requester_that_never_reads_are_bounded() {
    const REPLIES: usize = 10_000;
    const BODY_SIZE: usize = 10_000;
    let child = Child::start(&[]);
    let mut requester = Attacker::connect_narrow(child.address).await;
    requester.log_in().await;
    requester.open_channel(1).await;
    let mut responder = Attacker::with_channel(child.address).await;
    responder.declare("requests", EXCLUSIVE).await;
    requester.send(&consume(1, "amq.rabbitmq.reply-to", "", 2)).await;
    requester.expect((60, 21)).await;
    let properties = [&[0x02, 0][..], &short("amq.rabbitmq.reply-to")].concat();
    requester.send(&[publish(1, "", "requests", false), header_with(1, 0, &properties)].concat()).await;
    let header = loop {
        responder.send(&get(1, "requests", true)).await;
        let answer = responder.frame().await.unwrap();
        if answer.method() == (60, 71) {
            break responder.frame().await.unwrap();
        }
    };
    let reply_to = header.payload[15..].to_vec();
    let before = child.resident();
    let reply = message(1, "", &reply_to, &[b'r'; BODY_SIZE]);
    for _ in 0..REPLIES {
        responder.send(&reply).await;
    }
    // The responder's answers come at once, whatever becomes of its replies.
    responder.declare("requests", EXCLUSIVE).await;
    let grown = child.peak().saturating_sub(before);
    assert!(grown < 48 << 20, "{} MiB of {} MiB of replies", grown >> 20, (REPLIES * BODY_SIZE) >> 20);
    Innocent::start(&child.uri()).await.unharmed().await;
    requester.reset();
    let log = child.stop();
    let lines = log.lines().filter(|line| line.contains("direct replies dropped (limit direct_replies)"));
    assert_eq!(lines.count(), 1, "{log}");
}
