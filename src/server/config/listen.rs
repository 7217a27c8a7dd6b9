//! Listen addresses: `5672`, `:5672`, `127.0.0.1:5672`, `[::]:5672`, `localhost:5672`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Reads one listen address. A port alone means every IPv4 interface; port 0 means any free port.
pub fn read_listen(text: &str) -> Option<SocketAddr> {
    let text = text.trim();
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some(address);
    }
    let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
    let port = read_port(port)?;
    let host = match host {
        "" | "*" => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
        // RabbitMQ's environment gives IPv6 addresses without brackets, so '::1:5672' is one.
        other => other.parse().ok()?,
    };
    Some(SocketAddr::new(host, port))
}

/// Only digits: `u16::parse` alone would take a leading '+'.
fn read_port(text: &str) -> Option<u16> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, expected) in [
            ("5672", Some("0.0.0.0:5672")),
            (":5672", Some("0.0.0.0:5672")),
            ("*:5672", Some("0.0.0.0:5672")),
            ("127.0.0.1:5672", Some("127.0.0.1:5672")),
            ("[::]:5672", Some("[::]:5672")),
            ("[::1]:0", Some("[::1]:0")),
            ("localhost:0", Some("127.0.0.1:0")),
            ("", None),
            (":", None),
            ("+5672", None),
            ("127.0.0.1", None),
            ("127.0.0.1:65536", None),
            ("broker.example:5672", None),
        ] {
            assert_eq!(read_listen(text), expected.map(|e| e.parse().unwrap()), "{text}");
        }
    }
}
