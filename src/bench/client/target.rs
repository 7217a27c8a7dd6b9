//! The thing that is driven: an AMQP URI, or the address of a relay.

use std::{fmt, str::FromStr};

const AMQP_PORT: u16 = 5672;

/// A parsed `--uri`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    Amqp { user: String, password: String, host: String, port: u16, vhost: String },
    Relay { host: String, port: u16 },
}

impl Target {
    pub fn is_relay(&self) -> bool {
        matches!(self, Target::Relay { .. })
    }

    /// Where to connect to.
    pub fn address(&self) -> (&str, u16) {
        match self {
            Target::Amqp { host, port, .. } | Target::Relay { host, port } => (host, *port),
        }
    }
}

impl fmt::Display for Target {
    /// Without the password: reports get pasted.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Amqp { host, port, vhost, .. } => write!(f, "amqp://{host}:{port}/{vhost}"),
            Target::Relay { host, port } => write!(f, "relay://{host}:{port}"),
        }
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Target, String> {
        if let Some(address) = text.strip_prefix("relay://") {
            let (host, port) = split_host(address, 0)?;
            return Ok(Target::Relay { host, port });
        }
        let rest = text.strip_prefix("amqp://").ok_or("expected amqp:// or relay://")?;
        let (authority, vhost) = match rest.split_once('/') {
            Some((authority, vhost)) => (authority, decode(vhost)?),
            None => (rest, "/".to_owned()),
        };
        let (login, address) = authority.rsplit_once('@').unwrap_or(("guest:guest", authority));
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        let (host, port) = split_host(address, AMQP_PORT)?;
        Ok(Target::Amqp { user: decode(user)?, password: decode(password)?, host, port, vhost })
    }
}

/// Splits `HOST:PORT`, where an IPv6 host stands in brackets.
fn split_host(address: &str, default_port: u16) -> Result<(String, u16), String> {
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => {
            (host, port.parse().map_err(|_| format!("'{port}' is not a port"))?)
        }
        _ => (address, default_port),
    };
    Ok((host.trim_matches(['[', ']']).to_owned(), port))
}

/// Resolves `%xx` escapes.
fn decode(text: &str) -> Result<String, String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = [rest.next().unwrap_or(0), rest.next().unwrap_or(0)];
        let value = std::str::from_utf8(&digits).ok().and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(value.ok_or_else(|| format!("bad escape in '{text}'"))?);
    }
    String::from_utf8(bytes).map_err(|_| format!("'{text}' is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_uri_is_taken_apart() {
        let target: Target = "amqp://us%40er:p:w@[::1]:5673/a%2fb".parse().unwrap();
        let expected = Target::Amqp {
            user: "us@er".to_owned(),
            password: "p:w".to_owned(),
            host: "::1".to_owned(),
            port: 5673,
            vhost: "a/b".to_owned(),
        };
        assert_eq!(target, expected);
        assert_eq!(target.to_string(), "amqp://::1:5673/a/b");
    }

    #[test]
    fn missing_parts_have_defaults() {
        let short: Target = "amqp://broker".parse().unwrap();
        assert_eq!(short, "amqp://guest:guest@broker:5672/%2f".parse().unwrap());
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["http://x", "amqp://h:port/", "amqp://h/%zz", "amqp://h/%2"] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }
}
