//! Distinguished names as text, in the form and with the abbreviations that RabbitMQ's users know.

use std::fmt::Write;

use super::der::{Element, OID, SEQUENCE, SET};

/// Object identifiers of what names consist of, in DER, and their abbreviations.
const ATTRIBUTES: &[(&[u8], &str)] = &[
    (&[0x55, 4, 3], "CN"),
    (&[0x55, 4, 4], "SN"),
    (&[0x55, 4, 5], "SERIALNUMBER"),
    (&[0x55, 4, 6], "C"),
    (&[0x55, 4, 7], "L"),
    (&[0x55, 4, 8], "ST"),
    (&[0x55, 4, 9], "STREET"),
    (&[0x55, 4, 10], "O"),
    (&[0x55, 4, 11], "OU"),
    (&[0x55, 4, 12], "TITLE"),
    (&[0x55, 4, 42], "GIVENNAME"),
    (&[0x55, 4, 43], "INITIALS"),
    (&[0x55, 4, 44], "GENERATIONQUALIFIER"),
    (&[0x55, 4, 65], "PSEUDONYM"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xF2, 0x2C, 0x64, 1, 1], "UID"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xF2, 0x2C, 0x64, 1, 25], "DC"),
    (&[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 9, 1], "EMAILADDRESS"),
];
const COMMON_NAME: &[u8] = &[0x55, 4, 3];

/// The last part first, as RFC 4514 has it: `CN=client,O=Example`.
pub fn distinguished(name: Element<'_>) -> Option<String> {
    let mut parts = Vec::new();
    for set in name.inside() {
        if set.tag != SET {
            return None;
        }
        let pairs = set.inside().map(|pair| attribute(pair).map(|(oid, value)| show(oid, value)));
        parts.push(pairs.collect::<Option<Vec<String>>>()?.join("+"));
    }
    parts.reverse();
    Some(parts.join(","))
}

/// All common names of a name, as they are.
pub fn common(name: Element<'_>) -> Vec<String> {
    let pairs = name.inside().flat_map(|set| set.inside()).filter_map(attribute);
    pairs.filter(|(oid, _)| *oid == COMMON_NAME).map(|(_, value)| text(value)).collect()
}

fn attribute(pair: Element<'_>) -> Option<(&[u8], Element<'_>)> {
    if pair.tag != SEQUENCE {
        return None;
    }
    let mut pair = pair.inside();
    Some((pair.next_of(OID)?.content, pair.next()?))
}

fn show(oid: &[u8], value: Element<'_>) -> String {
    let known = ATTRIBUTES.iter().find(|(known, _)| *known == oid);
    let name = known.map_or_else(|| dotted(oid), |(_, name)| (*name).to_owned());
    format!("{name}={}", escape(&text(value)))
}

/// `1.2.840.113549`.
fn dotted(oid: &[u8]) -> String {
    let mut numbers: Vec<u64> = Vec::new();
    let mut number = 0_u64;
    for octet in oid {
        number = number.wrapping_shl(7) | u64::from(octet & 0x7F);
        if octet & 0x80 == 0 {
            if numbers.is_empty() {
                // The first two share a number.
                let first = (number / 40).min(2);
                numbers.push(first);
                number -= first * 40;
            }
            numbers.push(number);
            number = 0;
        }
    }
    numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(".")
}

/// The text of a string of any of DER's kinds; other values as their octets in hexadecimal.
fn text(value: Element<'_>) -> String {
    /// Octets of one character of a `BMPString` and of a `UniversalString`.
    const WIDE: [(u8, usize); 2] = [(0x1E, 2), (0x1C, 4)];
    let wide = WIDE.iter().find(|(tag, _)| *tag == value.tag);
    match (value.tag, wide) {
        (_, Some((_, width))) => {
            let code = |octets: &[u8]| octets.iter().fold(0_u32, |code, octet| code << 8 | u32::from(*octet));
            let letters = value.content.chunks_exact(*width).map(code).map(char::from_u32);
            letters.map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
        }
        // Latin-1, near enough.
        (0x14, _) => value.content.iter().map(|octet| char::from(*octet)).collect(),
        (0x0C | 0x12 | 0x13 | 0x16 | 0x1A, _) => String::from_utf8_lossy(value.content).into_owned(),
        _ => value.content.iter().fold("#".to_owned(), |mut text, octet| {
            let _ = write!(text, "{octet:02x}");
            text
        }),
    }
}

/// Marks what has a meaning in a distinguished name, so that no value can pass for another name. Letters beyond ASCII
/// and what cannot be printed become their octets, `J\C3\BCrgen`, as RabbitMQ has them.
fn escape(value: &str) -> String {
    let last = value.chars().count().saturating_sub(1);
    let mut escaped = String::with_capacity(value.len());
    for (at, letter) in value.chars().enumerate() {
        if !matches!(letter, ' '..='}') {
            for octet in letter.encode_utf8(&mut [0; 4]).bytes() {
                let _ = write!(escaped, "\\{octet:02X}");
            }
            continue;
        }
        let special = matches!(letter, ',' | '+' | '"' | '\\' | '<' | '>' | ';')
            || (letter == '#' && at == 0)
            || (letter == ' ' && (at == 0 || at == last));
        if special {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An element in DER; contents of these tests are short.
    fn element(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u8::try_from(content.len()).unwrap();
        assert!(length < 0x80);
        [&[tag, length], content].concat()
    }

    fn name(parts: &[(&[u8], u8, &[u8])]) -> Vec<u8> {
        let set = |(oid, tag, value): &(&[u8], u8, &[u8])| {
            let pair = [element(OID, oid), element(*tag, value)].concat();
            element(SET, &element(SEQUENCE, &pair))
        };
        parts.iter().flat_map(set).collect()
    }

    fn shown(parts: &[(&[u8], u8, &[u8])]) -> String {
        distinguished(Element { tag: SEQUENCE, content: &name(parts) }).unwrap()
    }

    #[test]
    fn the_last_part_comes_first() {
        let parts: &[(&[u8], u8, &[u8])] =
            &[(&[0x55, 4, 6], 0x13, b"DE"), (&[0x55, 4, 10], 0x0C, b"Acme"), (COMMON_NAME, 0x0C, b"client")];
        assert_eq!(shown(parts), "CN=client,O=Acme,C=DE");
    }

    #[test]
    fn a_value_cannot_pass_for_another_name() {
        assert_eq!(shown(&[(COMMON_NAME, 0x0C, b"a,O=b")]), "CN=a\\,O=b");
        assert_eq!(shown(&[(COMMON_NAME, 0x0C, b" #\"+;<>\\ ")]), "CN=\\ #\\\"\\+\\;\\<\\>\\\\\\ ");
        assert_eq!(shown(&[(COMMON_NAME, 0x0C, b"#1")]), "CN=\\#1");
    }

    #[test]
    fn strings_of_all_kinds_and_what_is_none() {
        for (tag, value, plain, escaped) in [
            (0x1E, &[0x20, 0xAC, 0, b'x'][..], "\u{20AC}x", "CN=\\E2\\82\\ACx"),
            (0x1C, &[0, 1, 0xF4, 0x07], "\u{1F407}", "CN=\\F0\\9F\\90\\87"),
            (0x14, &[0xE4], "\u{E4}", "CN=\\C3\\A4"),
            (0x0C, "J\u{FC}r~\0".as_bytes(), "J\u{FC}r~\0", "CN=J\\C3\\BCr\\7E\\00"),
            (0x02, &[1, 255], "#01ff", "CN=\\#01ff"),
        ] {
            let parts: &[(&[u8], u8, &[u8])] = &[(COMMON_NAME, tag, value)];
            assert_eq!(common(Element { tag: SEQUENCE, content: &name(parts) }), [plain]);
            assert_eq!(shown(parts), escaped);
        }
        assert_eq!(shown(&[(&[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 9], 0x0C, b"x")]), "1.2.840.113549.9=x");
    }
}
