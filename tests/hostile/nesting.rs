//! Tables inside tables inside tables: parsers that recurse overflow their stacks, which aborts a process.

use crate::{attacker::Attacker, innocent::Innocent, target::Target, wire::*};

const DEPTH: usize = 100_000;

/// The inside of a table whose only field is nested this deep in tables or arrays.
fn nested(depth: usize, array: bool) -> Vec<u8> {
    let mut octets = Vec::new();
    if array {
        octets.extend(short("k"));
    }
    let level = if array { 5 } else { 6 };
    for inner in (0..depth).rev() {
        if array {
            octets.push(b'A');
        } else {
            octets.extend([0, b'F']);
        }
        octets.extend(((inner * level) as u32).to_be_bytes());
    }
    octets
}

async fn roomy_target() -> Target {
    Target::configured(|config| config.amqp.frame_max = 1 << 20).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deep_tables_before_the_login() {
    let target = roomy_target().await;
    let innocent = Innocent::start(&target.uri()).await;
    for array in [false, true] {
        let mut attacker = Attacker::connect(target.address()).await;
        let deep = start_ok(&client_properties(&nested(DEPTH, array)), "guest", "guest");
        attacker.send(&[HEADER, &deep].concat()).await;
        attacker.ended().await;
    }
    innocent.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deep_tables_in_arguments_and_headers() {
    let target = roomy_target().await;
    let innocent = Innocent::start(&target.uri()).await;
    for array in [false, true] {
        let deep = nested(DEPTH, array);
        for octets in [
            declare(1, "", EXCLUSIVE, &deep),
            declare_exchange(1, "deep", "direct", &deep),
            bind(1, "q", "amq.direct", "", &deep),
            consume_with(1, "q", "", 0, &deep),
            [publish(1, "", "q", false), header_with(1, 0, &headers(&deep))].concat(),
        ] {
            let mut attacker = Attacker::with_channel(target.address()).await;
            attacker.send(&octets).await;
            assert_eq!(attacker.closed_with().await, 502);
        }
    }
    innocent.unharmed().await;
}

/// The deepest that is allowed is carried from end to end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_as_deep_as_allowed_are_carried() {
    let target = Target::start().await;
    let mut peer = Attacker::with_channel(target.address()).await;
    peer.declare("deep", EXCLUSIVE).await;
    let properties = headers(&nested(32, false));
    peer.send(
        &[publish(1, "", "deep", false), header_with(1, 0, &properties), get(1, "deep", true)].concat(),
    )
    .await;
    peer.expect((60, 71)).await;
    let header = peer.frame().await.unwrap();
    assert_eq!(header.payload[12..], properties);
}
