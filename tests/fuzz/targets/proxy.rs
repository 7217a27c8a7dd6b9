//! Headers of the PROXY protocol: no octets make the reader panic or take more than the header, a header that
//! comes in pieces is the same header, and one without mistakes says what was put in.
#![no_main]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use arbitrary::{Arbitrary, Unstructured};
use leveret::server::proxy::{HEADER_MAX, Header, Parsed, parse};
use libfuzzer_sys::fuzz_target;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

fuzz_target!(|octets: &[u8]| {
    check(octets);
    // Random octets rarely begin as a header does.
    check(&[b"PROXY ", octets].concat());
    check(&[b"PROXY TCP4 ", octets].concat());
    check(&[SIGNATURE, octets].concat());
    let _too_short = well_formed(&mut Unstructured::new(octets));
});

fn check(input: &[u8]) {
    match parse(input) {
        Err(_) => {}
        Ok(Parsed::Incomplete) => assert!(input.len() < HEADER_MAX, "it waits for more than there may be"),
        Ok(Parsed::Header { header, length }) => {
            assert!(length <= input.len() && length <= HEADER_MAX);
            assert_eq!(parse(&input[..length]), Ok(Parsed::Header { header, length }), "what follows counts");
            for end in 0..length {
                assert_eq!(parse(&input[..end]), Ok(Parsed::Incomplete), "{end} of {length} octets");
            }
        }
    }
}

fn well_formed(input: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    let ports = <[u16; 2]>::arbitrary(input)?;
    let addresses: [IpAddr; 2] = match bool::arbitrary(input)? {
        true => <[[u8; 4]; 2]>::arbitrary(input)?.map(|octets| Ipv4Addr::from(octets).into()),
        false => <[[u8; 16]; 2]>::arbitrary(input)?.map(|octets| Ipv6Addr::from(octets).into()),
    };
    let [source, destination] = [0, 1].map(|at| SocketAddr::new(addresses[at], ports[at]));
    let more = input.bytes(input.len().min(300))?;
    // An IPv4 address is one however it is written.
    let plain = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    let expected = Header::Proxied { source: plain(source), destination: plain(destination) };

    let kind = if source.is_ipv4() { "TCP4" } else { "TCP6" };
    let line = format!("PROXY {kind} {} {} {} {}\r\n", source.ip(), destination.ip(), ports[0], ports[1]);
    let length = line.len();
    let whole = [line.as_bytes(), more].concat();
    assert_eq!(parse(&whole), Ok(Parsed::Header { header: expected, length }));
    check(&whole);

    let mut body = Vec::new();
    for address in addresses {
        match address {
            IpAddr::V4(address) => body.extend(address.octets()),
            IpAddr::V6(address) => body.extend(address.octets()),
        }
    }
    ports.iter().for_each(|port| body.extend(port.to_be_bytes()));
    body.extend_from_slice(more);
    let family = if source.is_ipv4() { 0x11 } else { 0x21 };
    for (command, header) in [(0x21, expected), (0x20, Header::Own)] {
        let size = u16::try_from(body.len()).expect("a few hundred octets").to_be_bytes();
        let whole = [SIGNATURE, &[command, family], &size, &body, more].concat();
        let length = SIGNATURE.len() + 4 + body.len();
        assert_eq!(parse(&whole), Ok(Parsed::Header { header, length }));
        check(&whole);
    }
    Ok(())
}
