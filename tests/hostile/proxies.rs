//! The PROXY protocol: who is believed, and what becomes of headers that are none.

use std::{net::Ipv4Addr, time::Duration};

use leveret::server::Network;

use crate::{
    attacker::{Attacker, handshake},
    innocent::Innocent,
    target::{Target, eventually},
    wire::*,
};

const PROXY: Ipv4Addr = Ipv4Addr::new(127, 0, 9, 1);
const LINE: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.1 50860 5672\r\n";
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

async fn start(handshake_timeout: Duration) -> Target {
    Target::configured(|config| {
        config.amqp.proxy_protocol = vec![Network::read("127.0.9.0/24").unwrap()];
        config.amqp.handshake_timeout = handshake_timeout;
        config.auth.loopback_only = Vec::new();
    })
    .await
}

/// A header of version 2 for a TCP connection over IPv4, with something behind the addresses.
fn octets(more: &[u8]) -> Vec<u8> {
    let addresses = [203, 0, 113, 9, 198, 51, 100, 1, 0x30, 0x39, 0x16, 0x28];
    let length = u16::try_from(addresses.len() + more.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[0x21, 0x11], &length, &addresses, more].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_is_believed_however_its_header_is_cut() {
    let target = start(Duration::from_secs(10)).await;
    let innocent = Innocent::start(&target.uri()).await;
    let local = [SIGNATURE, &[0x20, 0, 0, 0]].concat();
    for header in [LINE.to_vec(), octets(b""), octets(&[4, 0, 1, 0]), local, b"PROXY UNKNOWN\r\n".to_vec()] {
        // With all that follows, in two pieces, octet by octet.
        for piece in [usize::MAX, header.len() / 2, 1] {
            let mut client = Attacker::connect_from(PROXY, target.address()).await;
            let all = [&header[..], &handshake("guest", "guest")].concat();
            let (first, rest) = all.split_at(header.len().min(piece));
            client.send(first).await;
            for octets in rest.chunks(piece.min(rest.len())) {
                client.send(octets).await;
            }
            client.expect((10, 10)).await;
            client.expect((10, 30)).await;
            client.expect((10, 41)).await;
            client.close().await;
        }
    }
    innocent.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_of_a_proxy_begins_with_a_header() {
    let target = start(Duration::from_secs(10)).await;
    let innocent = Innocent::start(&target.uri()).await;
    let too_long = [SIGNATURE, &[0x21, 0x11, 0xFF, 0xFF]].concat();
    for (what, octets) in [
        ("none", &handshake("guest", "guest")[..]),
        ("half a word", b"PROXZ"),
        ("no line", &[b'x'; 300]),
        ("an endless line", &[LINE.strip_suffix(b"\r\n").unwrap(), &[b' '; 300]].concat()),
        ("no addresses", b"PROXY TCP4 a b c d\r\n"),
        ("a version 3", &[SIGNATURE, &[0x31, 0x11, 0, 0]].concat()),
        ("too few octets", &[SIGNATURE, &[0x21, 0x11, 0, 4, 1, 2, 3, 4]].concat()),
        ("too many octets", &too_long),
    ] {
        let before = target.refusals("amqp.proxy_protocol");
        let mut client = Attacker::connect_from(PROXY, target.address()).await;
        client.try_send(octets).await;
        assert!(client.rest().await.is_empty(), "{what}");
        eventually(what, || before < target.refusals("amqp.proxy_protocol")).await;
    }
    assert_eq!(target.broker.connection_count(), 1, "the innocent one");
    innocent.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_header_comes_in_time() {
    let target = start(Duration::from_millis(300)).await;
    for octets in [&b""[..], b"PRO", &LINE[..20]] {
        let mut client = Attacker::connect_from(PROXY, target.address()).await;
        client.send(octets).await;
        client.ended().await;
    }
    assert_eq!(target.refusals("amqp.proxy_protocol"), 3);
}

/// Others may say what they like: to them it is no AMQP.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_else_is_believed() {
    let target = start(Duration::from_secs(10)).await;
    let mut client = Attacker::connect(target.address()).await;
    client.try_send(&[LINE, &handshake("guest", "guest")].concat()).await;
    assert_eq!(client.rest().await, HEADER);
    Attacker::open(target.address()).await.close().await;
}

/// What holds for addresses holds for the client's, not for the proxy's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn con_29_loopback_users_do_not_come_through_proxies() {
    let target = Target::configured(|config| {
        config.amqp.proxy_protocol = vec![Network::read("127.0.9.0/24").unwrap()];
    })
    .await;
    let mut far = Attacker::connect_from(PROXY, target.address()).await;
    far.send(&[LINE, &handshake("guest", "guest")].concat()).await;
    far.expect((10, 10)).await;
    assert_eq!(far.expect(CONNECTION_CLOSE).await.reply_code(), 403);
    let near = b"PROXY TCP4 127.0.0.1 127.0.0.1 50860 5672\r\n";
    let mut near_by = Attacker::connect_from(PROXY, target.address()).await;
    near_by.send(&[&near[..], &handshake("guest", "guest")].concat()).await;
    near_by.expect((10, 10)).await;
    near_by.expect((10, 30)).await;
}

/// Many that have not logged in come from one proxy, and one client of it cannot keep the others out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_behind_a_proxy_is_counted_by_its_own_addresses() {
    let target = Target::configured(|config| {
        config.amqp.proxy_protocol = vec![Network::read("127.0.9.0/24").unwrap()];
        config.limits.unauthenticated_per_ip_max = 2;
        config.auth.loopback_only = Vec::new();
    })
    .await;
    let mut crowd = Vec::new();
    for _ in 0..4 {
        let mut one = Attacker::connect_from(PROXY, target.address()).await;
        one.send(&[LINE, HEADER].concat()).await;
        crowd.push(one);
    }
    crowd[0].expect((10, 10)).await;
    crowd[1].expect((10, 10)).await;
    let mut other = Attacker::connect_from(PROXY, target.address()).await;
    other.send(&[&octets(b"")[..], &handshake("guest", "guest")].concat()).await;
    other.expect((10, 10)).await;
    other.expect((10, 30)).await;
    assert!(!crowd[3].has_input().await, "its turn has not come");
}
