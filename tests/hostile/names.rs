//! Names of any length and any octets.

use crate::{attacker::Attacker, innocent::Innocent, target::Target, wire::*};

/// Declares, binds, publishes, consumes and acknowledges under one name for everything.
async fn whole_life_of(name: &str, peer: &mut Attacker) {
    let setup = [
        declare(1, name, 0, b""),
        declare_exchange(1, name, "topic", b""),
        bind(1, name, name, name, &text_field(name, name)),
        consume(1, name, name, 0),
    ];
    for (octets, answer) in setup.iter().zip([DECLARE_OK, (40, 11), (50, 21), (60, 21)]) {
        peer.send(octets).await;
        peer.expect(answer).await;
    }
    let properties = headers(&text_field(name, name));
    peer.send(&[publish(1, name, name, true), header_with(1, 1, &properties), body(1, b"x")].concat()).await;
    let deliver = peer.expect((60, 60)).await;
    assert_eq!(deliver.first_short(), name.as_bytes(), "the consumer tag");
    assert!(deliver.payload.ends_with(&[short(name), short(name)].concat()), "exchange and routing key");
    assert!(peer.frame().await.unwrap().payload.ends_with(&properties));
    assert_eq!(peer.frame().await.unwrap().payload, b"x");
    // Deleting them takes the consumer along.
    peer.send(&method(1, 40, 20, &[&[0, 0][..], &short(name), &[0]].concat())).await;
    peer.expect((40, 21)).await;
    peer.send(&method(1, 50, 40, &[&[0, 0][..], &short(name), &[0]].concat())).await;
    peer.expect((50, 41)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_may_be_long_and_strange() {
    let target = Target::start().await;
    let innocent = Innocent::start(&target.uri()).await;
    let mut peer = Attacker::with_channel(target.address()).await;
    let random: String = Dice::new(9)
        .octets(600)
        .chunks(4)
        .filter_map(|octets| char::from_u32(u32::from_be_bytes([0, octets[0] % 17, octets[1], octets[2]])))
        .filter(|character| !['\r', '\n'].contains(character))
        .take(60)
        .collect();
    for name in [
        "x".repeat(255),
        "ü".repeat(127),
        "\0\u{1b}[31m\u{7f}\u{202e}'\"\\{}%s".into(),
        random,
        ".#.*".into(),
    ] {
        whole_life_of(&name, &mut peer).await;
    }
    innocent.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_of_255_octets_fit_into_every_refusal() {
    let target = Target::start().await;
    let innocent = Innocent::start(&target.uri()).await;
    let mut peer = Attacker::with_channel(target.address()).await;
    for name in ["x".repeat(255), "ü".repeat(127), "😀".repeat(63)] {
        for (code, octets) in [
            (404, declare(1, &name, 1, b"")),
            (404, get(1, &name, false)),
            (404, consume(1, &name, &name, 0)),
            (404, message(1, &name, &name, b"x")),
            (404, bind(1, "amq.q", &name, &name, b"")),
        ] {
            peer.send(&octets).await;
            assert_eq!(peer.channel_closed_with(1).await, code);
            peer.open_channel(1).await;
        }
    }
    innocent.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_that_are_no_text() {
    let target = Target::start().await;
    let innocent = Innocent::start(&target.uri()).await;
    let mut dice = Dice::new(10);
    let names = [vec![0xff; 255], vec![0xc3], b"\xed\xa0\x80".to_vec(), dice.octets(200)];
    for name in &names {
        for octets in [
            declare(1, name, 0, b""),
            get(1, name, false),
            consume(1, "q", name, 0),
            bind(1, name, "x", "", b""),
        ] {
            let mut attacker = Attacker::with_channel(target.address()).await;
            attacker.send(&octets).await;
            assert_eq!(attacker.closed_with().await, 501);
        }
        // Routing keys are octets, and come back as they went.
        let mut peer = Attacker::with_channel(target.address()).await;
        let returned = [publish(1, "amq.topic", name, true), content_header(1, 0)].concat();
        peer.send(&returned).await;
        let returned = peer.expect((60, 50)).await;
        assert!(returned.payload.ends_with(&short(name)));
        peer.frame().await.unwrap();
        // So are names in headers.
        peer.declare("octets", EXCLUSIVE).await;
        let fields = [&short(name)[..], b"S", &long(name)].concat();
        let properties = headers(&fields);
        peer.send(
            &[publish(1, "", "octets", false), header_with(1, 0, &properties), get(1, "octets", true)]
                .concat(),
        )
        .await;
        peer.expect((60, 71)).await;
        assert!(peer.frame().await.unwrap().payload.ends_with(&properties));
        // An exchange that cannot exist.
        let exchange = [&[0, 0][..], &short(name), &short("k"), &[0]].concat();
        peer.send(&[method(1, 60, 40, &exchange), content_header(1, 0)].concat()).await;
        assert_eq!(peer.channel_closed_with(1).await, 404);
    }
    innocent.unharmed().await;
}
