//! The header itself, of version 1 in text and of version 2 in octets: reading it, no more.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

/// Octets of a header, with all that proxies add to it.
pub const HEADER_MAX: usize = 4 << 10;
/// Octets of a line of version 1, its end included.
const LINE_MAX: usize = 107;
const LINE_START: &[u8] = b"PROXY ";
/// What a header of version 2 begins with.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Octets in front of the addresses of version 2.
const FIXED: usize = 16;

/// What a proxy said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    /// Nothing of a client: the proxy speaks for itself, or cannot tell.
    Own,
    /// The client's address, and the one that it connected to.
    Proxied { source: SocketAddr, destination: SocketAddr },
}

/// How far a header has come.
#[derive(Debug, PartialEq, Eq)]
pub enum Parsed {
    /// All that is there belongs to it, and more will come.
    Incomplete,
    /// It has so many octets.
    Header { header: Header, length: usize },
}

/// Why something is no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    #[error("it does not begin with a PROXY header")]
    None,
    #[error("its PROXY header is malformed")]
    Malformed,
    #[error("its PROXY header is too long")]
    TooLong,
    #[error("its PROXY header is of an unknown version or command")]
    Unknown,
    #[error("its PROXY header is not about TCP")]
    NotTcp,
}

/// Looks for a header at the start of `input`.
pub fn parse(input: &[u8]) -> Result<Parsed, HeaderError> {
    if begins(input, LINE_START) {
        return if LINE_START.len() <= input.len() { parse_line(input) } else { Ok(Parsed::Incomplete) };
    }
    if begins(input, SIGNATURE) {
        return if FIXED <= input.len() { parse_octets(input) } else { Ok(Parsed::Incomplete) };
    }
    Err(HeaderError::None)
}

/// Whether one begins with the other, as far as both go.
fn begins(input: &[u8], start: &[u8]) -> bool {
    input.iter().zip(start).all(|(one, other)| one == other)
}

fn parse_line(input: &[u8]) -> Result<Parsed, HeaderError> {
    let head = input.get(..LINE_MAX).unwrap_or(input);
    let Some(end) = head.windows(2).position(|octets| octets == b"\r\n") else {
        return if head.len() < LINE_MAX { Ok(Parsed::Incomplete) } else { Err(HeaderError::TooLong) };
    };
    let line = head.get(LINE_START.len()..end).unwrap_or_default();
    let line = std::str::from_utf8(line).map_err(|_| HeaderError::Malformed)?;
    let header = match line.split_once(' ').unwrap_or((line, "")) {
        ("UNKNOWN", _) => Header::Own,
        ("TCP4", rest) => addresses::<Ipv4Addr>(rest).ok_or(HeaderError::Malformed)?,
        ("TCP6", rest) => addresses::<Ipv6Addr>(rest).ok_or(HeaderError::Malformed)?,
        _ => return Err(HeaderError::Malformed),
    };
    Ok(Parsed::Header { header, length: end + 2 })
}

/// `192.0.2.1 192.0.2.2 50860 5672`.
fn addresses<A: FromStr + Into<IpAddr>>(text: &str) -> Option<Header> {
    let mut words = text.split(' ');
    let mut address = || words.next()?.parse::<A>().ok().map(Into::into);
    let (source, destination): (IpAddr, IpAddr) = (address()?, address()?);
    // As in the other version: an IPv4 client is one however its address is written.
    let (source, destination) = (source.to_canonical(), destination.to_canonical());
    let mut port = || {
        let word = words.next()?;
        // `u16::parse` alone would take '+1' and '01'.
        word.parse::<u16>().ok().filter(|port| port.to_string() == word)
    };
    let (source_port, destination_port) = (port()?, port()?);
    if words.next().is_some() {
        return None;
    }
    Some(Header::Proxied {
        source: SocketAddr::new(source, source_port),
        destination: SocketAddr::new(destination, destination_port),
    })
}

fn parse_octets(input: &[u8]) -> Result<Parsed, HeaderError> {
    const LOCAL: u8 = 0x20;
    const PROXY: u8 = 0x21;
    let fixed = input.get(SIGNATURE.len()..FIXED).unwrap_or_default();
    let &[command, family, high, low] = fixed else { return Ok(Parsed::Incomplete) };
    let length = FIXED + usize::from(u16::from_be_bytes([high, low]));
    if !matches!(command, LOCAL | PROXY) {
        return Err(HeaderError::Unknown);
    }
    if HEADER_MAX < length {
        return Err(HeaderError::TooLong);
    }
    let Some(rest) = input.get(FIXED..length) else { return Ok(Parsed::Incomplete) };
    let header = if command == LOCAL { Header::Own } else { proxied(family, rest)? };
    Ok(Parsed::Header { header, length })
}

/// Addresses; what proxies add behind them is passed over.
fn proxied(family: u8, rest: &[u8]) -> Result<Header, HeaderError> {
    const UNSPECIFIED: u8 = 0x00;
    const TCP4: u8 = 0x11;
    const TCP6: u8 = 0x21;
    const UNIX: u8 = 0x31;
    match family {
        TCP4 => pair::<4>(rest).ok_or(HeaderError::Malformed),
        TCP6 => pair::<16>(rest).ok_or(HeaderError::Malformed),
        // There is a client, but no address that could be shown or limited.
        UNSPECIFIED | UNIX => Ok(Header::Own),
        _ => Err(HeaderError::NotTcp),
    }
}

/// Two addresses and two ports.
fn pair<const OCTETS: usize>(rest: &[u8]) -> Option<Header>
where
    IpAddr: From<[u8; OCTETS]>,
{
    let (source, rest) = rest.split_first_chunk::<OCTETS>()?;
    let (destination, rest) = rest.split_first_chunk::<OCTETS>()?;
    let (source_port, rest) = rest.split_first_chunk::<2>()?;
    let destination_port = rest.first_chunk::<2>()?;
    let address = |ip: &[u8; OCTETS], port: &[u8; 2]| {
        SocketAddr::new(IpAddr::from(*ip).to_canonical(), u16::from_be_bytes(*port))
    };
    Some(Header::Proxied {
        source: address(source, source_port),
        destination: address(destination, destination_port),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn proxied(source: &str, destination: &str) -> Header {
        Header::Proxied { source: source.parse().unwrap(), destination: destination.parse().unwrap() }
    }

    fn octets(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [SIGNATURE, &[command, family], &length, rest].concat()
    }

    #[test]
    fn lines() {
        for (line, expected) in [
            (
                "PROXY TCP4 192.0.2.1 192.0.2.2 50860 5672\r\n",
                Ok(proxied("192.0.2.1:50860", "192.0.2.2:5672")),
            ),
            ("PROXY TCP6 2001:db8::1 ::1 1 65535\r\n", Ok(proxied("[2001:db8::1]:1", "[::1]:65535"))),
            ("PROXY UNKNOWN\r\n", Ok(Header::Own)),
            ("PROXY UNKNOWN what ever\r\n", Ok(Header::Own)),
            ("PROXY TCP4 2001:db8::1 ::1 1 2\r\n", Err(HeaderError::Malformed)),
            ("PROXY TCP4 192.0.2.1 192.0.2.2 50860\r\n", Err(HeaderError::Malformed)),
            ("PROXY TCP4 192.0.2.1 192.0.2.2 50860 65536\r\n", Err(HeaderError::Malformed)),
            ("PROXY TCP4 192.0.2.1 192.0.2.2 050 5672\r\n", Err(HeaderError::Malformed)),
            ("PROXY TCP4 192.0.2.1 192.0.2.2 50860 5672 \r\n", Err(HeaderError::Malformed)),
            ("PROXY TCP4  192.0.2.1 192.0.2.2 50860 5672\r\n", Err(HeaderError::Malformed)),
            ("PROXY UDP4 192.0.2.1 192.0.2.2 50860 5672\r\n", Err(HeaderError::Malformed)),
            ("PROXY \r\n", Err(HeaderError::Malformed)),
            ("AMQP\0\0\x09\x01", Err(HeaderError::None)),
            ("proxy unknown\r\n", Err(HeaderError::None)),
        ] {
            let expected = expected.map(|header| Parsed::Header { header, length: line.len() });
            assert_eq!(parse(line.as_bytes()), expected, "{line:?}");
        }
        let endless = [LINE_START, &[b'x'; 200]].concat();
        assert_eq!(parse(&endless), Err(HeaderError::TooLong));
        assert_eq!(parse(&endless[..LINE_MAX - 1]), Ok(Parsed::Incomplete));
    }

    #[test]
    fn version_two() {
        let four = [192, 0, 2, 1, 192, 0, 2, 2, 0xC6, 0xAC, 0x16, 0x28];
        let expected = Ok(proxied("192.0.2.1:50860", "192.0.2.2:5672"));
        let more = [&four[..], &[0x20, 0, 3, 1, 2, 3]].concat();
        let six = [&[0; 15][..], &[1], &[0; 15], &[2], &[0, 1, 0, 2]].concat();
        for (command, family, rest, expected) in [
            (0x21, 0x11, &four[..], expected),
            (0x21, 0x11, &more, expected),
            (0x21, 0x21, &six, Ok(proxied("[::1]:1", "[::2]:2"))),
            (0x20, 0x11, &four, Ok(Header::Own)),
            (0x20, 0x00, &[], Ok(Header::Own)),
            (0x21, 0x00, &[], Ok(Header::Own)),
            (0x21, 0x31, &[0; 216], Ok(Header::Own)),
            (0x21, 0x11, &four[..11], Err(HeaderError::Malformed)),
            (0x21, 0x21, &four, Err(HeaderError::Malformed)),
            (0x21, 0x12, &four, Err(HeaderError::NotTcp)),
            (0x22, 0x11, &four, Err(HeaderError::Unknown)),
            (0x11, 0x11, &four, Err(HeaderError::Unknown)),
            (0x21, 0x11, &[0; HEADER_MAX], Err(HeaderError::TooLong)),
        ] {
            let input = octets(command, family, rest);
            let expected = expected.map(|header| Parsed::Header { header, length: input.len() });
            assert_eq!(parse(&input), expected, "{command:#x} {family:#x} {rest:?}");
        }
    }

    fn header() -> impl Strategy<Value = Vec<u8>> {
        let line = any::<([u8; 4], [u8; 4], u16, u16)>().prop_map(|(one, other, from, to)| {
            let (one, other) = (Ipv4Addr::from(one), Ipv4Addr::from(other));
            format!("PROXY TCP4 {one} {other} {from} {to}\r\n").into_bytes()
        });
        let two = (any::<bool>(), proptest::collection::vec(any::<u8>(), 12..300))
            .prop_map(|(is_local, rest)| octets(if is_local { 0x20 } else { 0x21 }, 0x11, &rest));
        prop_oneof![line, two]
    }

    proptest! {
        #[test]
        fn a_header_is_found_wherever_it_is_cut_and_nothing_behind_it_is_touched(
            header in header(),
            behind in proptest::collection::vec(any::<u8>(), 0..50),
        ) {
            for at in 0..header.len() {
                prop_assert_eq!(parse(&header[..at]), Ok(Parsed::Incomplete));
            }
            let whole = parse(&header);
            let is_whole = matches!(whole, Ok(Parsed::Header { length, .. }) if length == header.len());
            prop_assert!(is_whole);
            prop_assert_eq!(parse(&[header, behind].concat()), whole);
        }

        #[test]
        fn anything_is_a_header_or_none(input in proptest::collection::vec(any::<u8>(), 0..400), start in 0..3_usize) {
            let start: &[u8] = [&b""[..], LINE_START, SIGNATURE][start];
            let input = [start, &input].concat();
            if let Ok(Parsed::Header { length, .. }) = parse(&input) {
                prop_assert!(length <= input.len());
            }
        }
    }
}
