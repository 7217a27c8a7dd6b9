//! Content properties: the scan never panics and finds what an independent reader finds; rewriting one
//! property keeps the octets of every other.
#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use leveret::amqp::properties::{Change, ContentHeader, Properties, rewrite};
use leveret::amqp::table::{TABLE_DEPTH_MAX, check_table};
use libfuzzer_sys::fuzz_target;

const REPLY_TO: usize = 6;
const EXPIRATION: usize = 7;
const HEADERS: usize = 2;

fuzz_target!(|octets: &[u8]| {
    check(octets);
    if let Some(header) = ContentHeader::parse(octets) {
        check(header.properties);
    }
    // Random octets are rarely a well-formed list, so the same octets also build one.
    if let Ok(list) = well_formed(&mut Unstructured::new(octets)) {
        assert!(Properties::scan(&list, TABLE_DEPTH_MAX).is_ok(), "a well-formed list is refused");
        check(&list);
    }
});

fn check(octets: &[u8]) {
    let Ok(found) = Properties::scan(octets, TABLE_DEPTH_MAX) else { return };
    let before = split(octets).expect("what passed the scan is well formed");
    assert_eq!(found.expiration, before[EXPIRATION].map(|value| &value[1..]));
    assert_eq!(found.reply_to, before[REPLY_TO].map(|value| &value[1..]));
    assert_eq!(found.headers, before[HEADERS].map(|value| &value[4..]));
    assert_eq!(found.delivery_mode, before[3].map(|value| value[0]));
    assert_eq!(found.priority, before[4].map(|value| value[0]));
    assert_eq!(found.user_id, before[11].map(|value| &value[1..]));

    rewritten(&before, REPLY_TO, Some(b"\x09elsewhere"), &rewrite(octets, Change::ReplyTo(b"elsewhere")));
    rewritten(&before, EXPIRATION, None, &rewrite(octets, Change::NoExpiration));
    let headers = b"\0\0\0\x03\x01kV";
    rewritten(&before, HEADERS, Some(headers), &rewrite(octets, Change::Headers(&headers[4..])));
    // What no short string can hold is not written at all.
    assert_eq!(rewrite(octets, Change::ReplyTo(&[b'x'; 256])), octets);
}

/// Compares property lists, value by value as octets, of which one differs.
fn rewritten(before: &[Option<&[u8]>; 14], changed: usize, value: Option<&[u8]>, after: &[u8]) {
    assert!(Properties::scan(after, TABLE_DEPTH_MAX).is_ok(), "a rewritten list is well formed");
    let after = split(after).expect("a rewritten list can be split");
    for (index, before) in before.iter().enumerate() {
        let expected = if index == changed { value } else { *before };
        assert_eq!(after[index], expected, "property {index} after a change of {changed}");
    }
}

/// The octets of each property, length prefixes included: written from the specification, not from the
/// scan that it is compared with.
fn split(octets: &[u8]) -> Option<[Option<&[u8]>; 14]> {
    let (flags, mut rest) = octets.split_at_checked(2)?;
    let flags = u16::from_be_bytes([flags[0], flags[1]]);
    let mut values = [None; 14];
    for (index, place) in values.iter_mut().enumerate() {
        if flags & (0x8000 >> index) == 0 {
            continue;
        }
        let length = match index {
            2 => 4 + u32::from_be_bytes(*rest.first_chunk::<4>()?) as usize,
            3 | 4 => 1,
            9 => 8,
            _ => 1 + usize::from(*rest.first()?),
        };
        let (value, after) = rest.split_at_checked(length)?;
        *place = Some(value);
        rest = after;
    }
    rest.is_empty().then_some(values)
}

/// A property list without mistakes.
fn well_formed(input: &mut Unstructured<'_>) -> arbitrary::Result<Vec<u8>> {
    let flags = u16::arbitrary(input)? & !3;
    let mut list = flags.to_be_bytes().to_vec();
    for index in (0..14).filter(|index| flags & (0x8000 >> index) != 0) {
        match index {
            2 => {
                let body = <&[u8]>::arbitrary(input)?;
                let body = if check_table(body, TABLE_DEPTH_MAX).is_ok() { body } else { b"\x01kV" };
                list.extend_from_slice(&(body.len() as u32).to_be_bytes());
                list.extend_from_slice(body);
            }
            3 | 4 => list.push(u8::arbitrary(input)?),
            9 => list.extend_from_slice(&u64::arbitrary(input)?.to_be_bytes()),
            _ => {
                let text = <&[u8]>::arbitrary(input)?;
                let text = &text[..text.len().min(255)];
                list.push(text.len() as u8);
                list.extend_from_slice(text);
            }
        }
    }
    Ok(list)
}
