//! Paths and queries: split first, decoded then, so that `%2F` stays within its segment.

/// The segments of a path below `/api`, decoded; `None` when they are not UTF-8. Trailing slashes do not count.
pub fn segments(path: &str) -> Option<Vec<String>> {
    path.trim_end_matches('/').split('/').map(|segment| decode(segment, false)).collect()
}

/// A query's parameters in their order.
#[derive(Debug, Default, Clone)]
pub struct Query(Vec<(String, String)>);

impl Query {
    pub fn parse(text: &str) -> Query {
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).filter_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode(name, true)?, decode(value, true)?))
        });
        Query(pairs.collect())
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Every value of a parameter.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn is_true(&self, name: &str) -> bool {
        self.get(name) == Some("true")
    }
}

/// Undoes [`quote_plus`]; `None` when that is no text.
pub fn unquote(text: &str) -> Option<String> {
    decode(text, true)
}

fn decode(text: &str, plus_is_space: bool) -> Option<String> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&octet, after)) = rest.split_first() {
        rest = after;
        match (octet, after) {
            (b'%', [high, low, after @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    octets.push(high << 4 | low);
                    rest = after;
                }
                _ => octets.push(b'%'),
            },
            (b'+', _) if plus_is_space => octets.push(b' '),
            (other, _) => octets.push(other),
        }
    }
    String::from_utf8(octets).ok()
}

fn digit(letter: u8) -> Option<u8> {
    char::from(letter).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Percent-encodes all but letters, digits and `-._`, and a space as `+`: RabbitMQ's way with its own keys.
pub fn quote_plus(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for octet in text.bytes() {
        match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => quoted.push(char::from(octet)),
            b' ' => quoted.push('+'),
            other => quoted.push_str(&format!("%{other:02X}")),
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slash_that_was_encoded_does_not_split() {
        let split = |path| segments(path).unwrap();
        assert_eq!(split("queues/%2F/a%2fb"), ["queues", "/", "a/b"]);
        assert_eq!(split("queues/%2F/"), ["queues", "/"]);
        assert_eq!(split("exchanges/%2F//publish"), ["exchanges", "/", "", "publish"]);
        assert_eq!(split("users/a+b%20c"), ["users", "a+b c"]);
        assert!(segments("users/%FF").is_none());
        assert_eq!(split("users/%zz%4"), ["users", "%zz%4"]);
    }

    #[test]
    fn queries_take_a_plus_for_a_space() {
        let query = Query::parse("page=2&name=a+b%2B&flag");
        assert_eq!(
            (query.get("page"), query.get("name"), query.get("flag")),
            (Some("2"), Some("a b+"), Some(""))
        );
        assert!(!query.is_true("page") && query.get("none").is_none());
    }

    #[test]
    fn quoting() {
        assert_eq!(quote_plus("a/b #~"), "a%2Fb+%23%7E");
    }
}
