//! What certificates say of their owners: no octets make the reader panic or take memory that they do not pay for,
//! and from the text of a name all its parts can be told, so that no name passes for another.
#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use leveret::tls::{AlternativeName, Certificate, LoginFrom, LoginName};
use libfuzzer_sys::fuzz_target;

/// Object identifiers and what they are called.
const ATTRIBUTES: [(&[u8], &str); 4] = [
    (&[0x55, 4, 3], "CN"),
    (&[0x55, 4, 10], "O"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xF2, 0x2C, 0x64, 1, 25], "DC"),
    (&[0x2A, 3, 4], "1.2.3.4"),
];

/// A name: sets of attributes with their values.
type Name = Vec<Vec<(usize, String)>>;

fuzz_target!(|octets: &[u8]| {
    check(octets);
    // The same as all that is interesting within a certificate.
    check(&certificate(octets, b""));
    check(&certificate(&element(0x30, octets), &element(0xA3, &element(0x30, octets))));
    if let Ok((name, alternative)) = well_formed(&mut Unstructured::new(octets)) {
        agree(&name, &alternative);
    }
});

fn check(der: &[u8]) {
    let Ok(certificate) = Certificate::read(der) else { return };
    // The most that an octet becomes: a number of an identifier with its dot, or a letter that is replaced.
    let most = 32 * der.len();
    assert!(certificate.subject.len() <= most && certificate.issuer.len() <= most);
    let kinds = [AlternativeName::Dns, AlternativeName::Ip, AlternativeName::Email, AlternativeName::Uri];
    for from in [LoginFrom::DistinguishedName, LoginFrom::CommonName, LoginFrom::AlternativeName] {
        for kind in kinds {
            let name = certificate.login_name(LoginName { from, kind, index: 0 });
            assert!(name.is_none_or(|name| !name.is_empty() && name.len() <= most));
        }
    }
}

fn agree(name: &Name, alternative: &str) {
    let sets = name.iter().map(|set| {
        let pairs = set.iter().map(|(attribute, value)| {
            let pair = [element(6, ATTRIBUTES[*attribute].0), element(0x0C, value.as_bytes())].concat();
            element(0x30, &pair)
        });
        element(0x31, &pairs.collect::<Vec<_>>().concat())
    });
    let subject = element(0x30, &sets.collect::<Vec<_>>().concat());
    let names = element(4, &element(0x30, &element(0x82, alternative.as_bytes())));
    let extension = element(0x30, &[element(6, &[0x55, 0x1D, 0x11]), names].concat());
    let extensions = element(0xA3, &element(0x30, &extension));
    let certificate = Certificate::read(&certificate(&subject, &extensions)).expect("a certificate");

    assert_eq!(split(&certificate.subject), flat(name), "{}", certificate.subject);
    assert_eq!(certificate.subject, certificate.issuer);
    let login = |from| certificate.login_name(LoginName { from, kind: AlternativeName::Dns, index: 0 });
    let common = name.iter().flatten().filter(|(attribute, _)| *attribute == 0);
    let common = common.map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(",");
    assert_eq!(login(LoginFrom::CommonName).unwrap_or_default(), common);
    assert_eq!(login(LoginFrom::AlternativeName).unwrap_or_default(), alternative);
}

/// What the text of a name should come to: the last set first.
fn flat(name: &Name) -> Vec<Vec<(String, Vec<u8>)>> {
    let pair = |(attribute, value): &(usize, String)| (ATTRIBUTES[*attribute].1.to_owned(), value.clone().into_bytes());
    name.iter().rev().map(|set| set.iter().map(pair).collect()).collect()
}

/// Takes the text of a name apart again, by the rules of RFC 4514.
fn split(text: &str) -> Vec<Vec<(String, Vec<u8>)>> {
    if text.is_empty() {
        return Vec::new();
    }
    let mut sets = vec![vec![(String::new(), Vec::new())]];
    let mut in_value = false;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        let set = sets.last_mut().expect("there is one");
        let pair = set.last_mut().expect("there is one");
        match letter {
            '=' if !in_value => in_value = true,
            ',' => {
                sets.push(vec![Default::default()]);
                in_value = false;
            }
            '+' => {
                set.push(Default::default());
                in_value = false;
            }
            '\\' if in_value => {
                let first = letters.next().expect("something is escaped");
                match first.to_digit(16) {
                    None => pair.1.push(first as u8),
                    Some(high) => {
                        let low = letters.next().and_then(|second| second.to_digit(16)).expect("two digits");
                        pair.1.push((high << 4 | low) as u8);
                    }
                }
            }
            other if in_value => pair.1.push(u8::try_from(other).expect("ASCII")),
            other => pair.0.push(other),
        }
    }
    sets
}

fn well_formed(input: &mut Unstructured<'_>) -> arbitrary::Result<(Name, String)> {
    let mut name = Name::new();
    for _ in 0..input.int_in_range(0..=3)? {
        let mut set = Vec::new();
        for _ in 0..input.int_in_range(1..=2)? {
            let attribute = input.choose_index(ATTRIBUTES.len())?;
            set.push((attribute, text(input)?));
        }
        name.push(set);
    }
    Ok((name, text(input)?))
}

fn text(input: &mut Unstructured<'_>) -> arbitrary::Result<String> {
    Ok(<&str>::arbitrary(input)?.chars().take(60).collect())
}

/// A certificate with this name as subject and issuer, and these extensions.
fn certificate(name: &[u8], extensions: &[u8]) -> Vec<u8> {
    let moment = element(0x17, b"261122000000Z");
    let validity = element(0x30, &[moment.clone(), moment].concat());
    let algorithm = element(0x30, b"");
    let fields = [&element(2, &[1])[..], &algorithm, name, &validity, name, &algorithm, extensions].concat();
    element(0x30, &element(0x30, &fields))
}

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let head = match u8::try_from(length) {
        Ok(length @ 0..=0x7F) => vec![tag, length],
        Ok(length) => vec![tag, 0x81, length],
        Err(_) => vec![tag, 0x82, (length >> 8) as u8, length as u8],
    };
    [&head, content].concat()
}
