//! Bodies that are not what their headers say.

use crate::{attacker::Attacker, innocent::Innocent, target::Target, wire::*};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claimed_sizes_are_judged_at_the_header() {
    let target = Target::start().await;
    let innocent = Innocent::start(&target.uri()).await;
    let mut attacker = Attacker::with_channel(target.address()).await;
    for size in [(128 << 20) + 1, 512 << 20] {
        attacker.send(&[publish(1, "", "q", false), content_header(1, size)].concat()).await;
        assert_eq!(attacker.channel_closed_with(1).await, 406);
        attacker.open_channel(1).await;
    }
    for size in [(512 << 20) + 1, u64::from(u32::MAX) + 1, i64::MAX as u64, u64::MAX] {
        let mut attacker = Attacker::with_channel(target.address()).await;
        attacker.send(&[publish(1, "", "q", false), content_header(1, size)].concat()).await;
        assert_eq!(attacker.closed_with().await, 501);
    }
    innocent.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_body_than_claimed_is_refused() {
    let target = Target::start().await;
    let innocent = Innocent::start(&target.uri()).await;
    for (claimed, frames) in [(1, &[2][..]), (100, &[50, 51]), (5_000, &[4_999, 2]), (0, &[1])] {
        let mut attacker = Attacker::with_channel(target.address()).await;
        attacker.declare("short", EXCLUSIVE).await;
        let mut octets = [publish(1, "", "short", false), content_header(1, claimed)].concat();
        for size in frames {
            octets.extend(body(1, &vec![b'x'; *size]));
        }
        attacker.send(&octets).await;
        let code = attacker.closed_with().await;
        assert!([501, 505].contains(&code), "claimed {claimed}, sent {frames:?}: {code}");
    }
    innocent.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_sent_bodies_are_bounded_for_all_channels_together() {
    const PART: usize = 64 << 10;
    // Property octets count as well.
    let limit = (1 << 20) + 1024;
    let target = Target::configured(|config| config.limits.partial_content_max = limit).await;
    let innocent = Innocent::start(&target.uri()).await;
    let mut attacker = Attacker::open(target.address()).await;
    for channel in 1..=17 {
        attacker.send(&channel_open(channel)).await;
        // Up to the limit it is a slow client, above it is an attack; what else a content needs may count.
        if channel < 16 {
            attacker.expect(CHANNEL_OPEN_OK).await;
        }
        let opening = [publish(channel, "", "q", false), content_header(channel, 1 << 20)].concat();
        attacker.send(&[opening, body(channel, &[b'x'; PART])].concat()).await;
    }
    assert_eq!(attacker.closed_with().await, 506);
    innocent.unharmed().await;
}

/// What a content held is free again when it is complete, and when the channel fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_unfinished_bodies_count() {
    const PART: usize = 100 << 10;
    let target = Target::configured(|config| {
        config.limits.partial_content_max = 256 << 10;
        config.amqp.max_message_size = 1 << 20;
    })
    .await;
    let mut peer = Attacker::open(target.address()).await;
    for channel in [1, 2] {
        peer.open_channel(channel).await;
    }
    for _ in 0..10 {
        for channel in [1, 2] {
            let opening =
                [publish(channel, "", "q", false), content_header(channel, 2 * PART as u64)].concat();
            peer.send(&[opening, body(channel, &[b'x'; PART])].concat()).await;
        }
        for channel in [1, 2] {
            peer.send(&body(channel, &[b'x'; PART])).await;
        }
        // An exchange that is not there: the content is complete, and the channel closes.
        let opening = [publish(1, "nowhere", "q", false), content_header(1, 2 * PART as u64)].concat();
        peer.send(&[opening, body(1, &[b'x'; PART]), body(1, &[b'x'; PART])].concat()).await;
        assert_eq!(peer.channel_closed_with(1).await, 404);
        peer.open_channel(1).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_of_one_octet_frames_arrives_whole() {
    const SIZE: usize = 50_000;
    let target = Target::start().await;
    let innocent = Innocent::start(&target.uri()).await;
    let mut attacker = Attacker::with_channel(target.address()).await;
    attacker.declare("crumbs", EXCLUSIVE).await;
    let content = Dice::new(2).octets(SIZE);
    let mut octets = [publish(1, "", "crumbs", false), content_header(1, SIZE as u64)].concat();
    for octet in &content {
        // Empty frames are legal, and no progress.
        octets.extend(body(1, b""));
        octets.extend(body(1, &[*octet]));
    }
    attacker.send(&octets).await;
    attacker.send(&get(1, "crumbs", true)).await;
    attacker.expect((60, 71)).await;
    attacker.frame().await.unwrap();
    assert_eq!(attacker.frame().await.unwrap().payload, content);
    innocent.unharmed().await;
}

/// A client that is merely slow, with contents of several channels in pieces and interleaved.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn interleaved_bodies_of_many_channels_arrive_whole() {
    const CHANNELS: u16 = 50;
    let target = Target::start().await;
    let mut peer = Attacker::with_channel(target.address()).await;
    peer.declare("braid", EXCLUSIVE).await;
    for channel in 2..=CHANNELS {
        peer.open_channel(channel).await;
    }
    let part = |channel: u16, part: u8| body(channel, &vec![part; 30 * usize::from(channel)]);
    for channel in 1..=CHANNELS {
        let size = 3 * 30 * u64::from(channel);
        peer.send(&[publish(channel, "", "braid", false), content_header(channel, size)].concat()).await;
    }
    for number in 1..=3 {
        for channel in 1..=CHANNELS {
            peer.send(&part(channel, number)).await;
        }
    }
    peer.open_channel(CHANNELS + 1).await;
    for channel in 1..=CHANNELS {
        peer.send(&get(CHANNELS + 1, "braid", true)).await;
        peer.expect((60, 71)).await;
        peer.frame().await.unwrap();
        let size = 30 * usize::from(channel);
        let expected = [vec![1; size], vec![2; size], vec![3; size]].concat();
        assert_eq!(peer.frame().await.unwrap().payload, expected);
    }
}

/// Bodies around the sizes at which frames are read in other ways, large beside small, cut wherever the network
/// likes: what is got is what was published, in its order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_of_all_sizes_arrive_whole_however_they_are_cut() {
    const SIZES: [usize; 12] =
        [65_536, 65_536, 10, 16_375, 16_376, 16_377, 0, 131_064, 65_528, 300_000, 1, 4_096];
    let target = Target::start().await;
    let mut dice = Dice::new(7);
    for cut in [usize::MAX, 65_536, 4_096, 1_000, 0] {
        let mut peer = Attacker::with_channel(target.address()).await;
        peer.declare("cut", EXCLUSIVE).await;
        let contents: Vec<Vec<u8>> = SIZES.iter().map(|size| dice.octets(*size)).collect();
        let mut octets = Vec::new();
        for content in &contents {
            octets.extend([publish(1, "", "cut", false), content_header(1, content.len() as u64)].concat());
            content.chunks(131_064).for_each(|part| octets.extend(body(1, part)));
        }
        let mut rest = &octets[..];
        while !rest.is_empty() {
            // A cut of zero stands for cuts of any size.
            let wanted = if cut == 0 { 1 + dice.roll() as usize % 40_000 } else { cut };
            let (part, after) = rest.split_at(wanted.min(rest.len()));
            peer.send(part).await;
            tokio::task::yield_now().await;
            rest = after;
        }
        for content in &contents {
            peer.send(&get(1, "cut", true)).await;
            peer.expect((60, 71)).await;
            peer.frame().await.unwrap();
            let mut got = Vec::new();
            while got.len() < content.len() {
                got.extend(peer.frame().await.unwrap().payload);
            }
            assert!(got == *content, "a body of {} octets in cuts of {cut}", content.len());
        }
        peer.close().await;
    }
}
