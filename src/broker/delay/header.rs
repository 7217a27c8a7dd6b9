//! The header by which a message asks to wait, and what becomes of it when the wait is over (EXC-89, EXC-90).

use super::super::{Message, Millis};
use crate::amqp::{
    properties::{Change, Properties, rewrite},
    table::{FieldRef, TableRef},
};

const DELAY: &[u8] = b"x-delay";
/// Nothing waits for longer: a hundred years, in milliseconds.
const DELAY_MAX: Millis = 100 * 31_557_600_000;

/// For how long a message with these headers wants to wait; `None` for not at all.
pub fn delay_of(headers: TableRef<'_>) -> Option<Millis> {
    let delay = headers.find(DELAY).and_then(millis)?;
    Millis::try_from(delay).ok().filter(|delay| 0 < *delay).map(|delay| delay.min(DELAY_MAX))
}

/// The message as it goes on: the header says by its sign that it has waited, and nobody delays it again.
pub fn released(message: &Message, scratch: &mut Vec<u8>) -> Message {
    // Octets that were checked when they came in.
    let scanned = Properties::scan(message.properties(), usize::from(u16::MAX)).unwrap_or_default();
    let Some(headers) = scanned.headers().and_then(turned) else { return message.clone() };
    message.with_properties(&rewrite(message.properties(), Change::Headers(&headers)), scratch)
}

/// The headers with the delay's sign turned, everything else octet for octet.
fn turned(headers: TableRef<'_>) -> Option<Vec<u8>> {
    let delay = headers.find(DELAY).and_then(millis)?;
    let mut out = Vec::with_capacity(headers.as_bytes().len() + 8);
    let mut fields = headers.iter();
    let mut is_turned = false;
    loop {
        let before = fields.rest();
        let Some((name, _)) = fields.next() else { return Some(out) };
        if name == DELAY && !std::mem::replace(&mut is_turned, true) {
            out.push(DELAY.len() as u8);
            out.extend_from_slice(DELAY);
            put_integer(&mut out, delay.saturating_neg());
        } else {
            let length = before.len() - fields.rest().len();
            out.extend_from_slice(before.get(..length).unwrap_or_default());
        }
    }
}

/// As the shorter of the types that clients expect.
fn put_integer(out: &mut Vec<u8>, value: i64) {
    match i32::try_from(value) {
        Ok(value) => {
            out.push(b'I');
            out.extend_from_slice(&value.to_be_bytes());
        }
        Err(_) => {
            out.push(b'l');
            out.extend_from_slice(&value.to_be_bytes());
        }
    }
}

/// A number of milliseconds: integers, decimal digits, and other numbers without what follows the point.
fn millis(field: FieldRef<'_>) -> Option<i64> {
    Some(match field {
        FieldRef::I8(value) => value.into(),
        FieldRef::U8(value) => value.into(),
        FieldRef::I16(value) => value.into(),
        FieldRef::U16(value) => value.into(),
        FieldRef::I32(value) => value.into(),
        FieldRef::U32(value) => value.into(),
        FieldRef::I64(value) => value,
        FieldRef::LongStr(text) => str::from_utf8(text).ok()?.parse().ok()?,
        // Saturates; what is not a number is no time either.
        FieldRef::F32(value) => value as i64,
        FieldRef::F64(value) => value as i64,
        FieldRef::Decimal { scale, value } => {
            10u32.checked_pow(scale.into()).map_or(0, |divisor| i64::from(value / divisor))
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::{Parts, memory::Account};

    /// A table with one field besides others.
    fn table(field: &[u8]) -> Vec<u8> {
        [&b"\x01at\x01\x07x-delay"[..], field, b"\x01zV"].concat()
    }

    fn delay(field: &[u8]) -> Option<Millis> {
        delay_of(TableRef::new(&table(field)))
    }

    #[test]
    fn exc_89_integers_texts_and_floats_are_milliseconds() {
        assert_eq!(delay(b"I\x00\x00\x13\x88"), Some(5000));
        assert_eq!(delay(b"B\xff"), Some(255));
        assert_eq!(delay(b"i\xff\xff\xff\xff"), Some(4_294_967_295));
        assert_eq!(delay(b"S\x00\x00\x00\x045000"), Some(5000));
        assert_eq!(delay(&[b"d", &2500.9f64.to_be_bytes()[..]].concat()), Some(2500));
        assert_eq!(delay(&[b"f", &7.5f32.to_be_bytes()[..]].concat()), Some(7));
        assert_eq!(delay(b"D\x01\x00\x00\x00\x37"), Some(5));
    }

    #[test]
    fn exc_89_anything_else_does_not_wait() {
        assert_eq!(delay(b"I\x00\x00\x00\x00"), None);
        assert_eq!(delay(b"I\xff\xff\xff\xff"), None);
        assert_eq!(delay(b"t\x01"), None);
        assert_eq!(delay(b"V"), None);
        assert_eq!(delay(b"S\x00\x00\x00\x03now"), None);
        assert_eq!(delay(&[b"d", &f64::NAN.to_be_bytes()[..]].concat()), None);
        assert_eq!(delay_of(TableRef::new(b"")), None);
    }

    #[test]
    fn years_are_possible_and_ages_are_a_hundred_years() {
        let years = 10 * 31_557_600_000i64;
        assert_eq!(delay(&[b"l", &years.to_be_bytes()[..]].concat()), Some(years as Millis));
        assert_eq!(delay(&[b"l", &i64::MAX.to_be_bytes()[..]].concat()), Some(DELAY_MAX));
    }

    fn with_delay(field: &[u8]) -> Message {
        let headers = table(field);
        let length = (headers.len() as u32).to_be_bytes();
        let properties = [&[0x30, 0][..], &length, &headers, &[2]].concat();
        let parts = Parts {
            exchange: b"x",
            routing_key: b"k",
            properties: &properties,
            persistent: true,
            priority: 0,
            expiration: None,
            account: Account::UNCOUNTED,
        };
        Message::new(&parts, b"body", &mut Vec::new()).with_hidden_keys([&b"hidden"[..]], &mut Vec::new())
    }

    #[test]
    fn exc_90_a_message_that_has_waited_has_the_header_negated_and_is_else_the_same() {
        let before = with_delay(b"S\x00\x00\x00\x045000");
        let after = released(&before, &mut Vec::new());
        let expected = with_delay(b"I\xff\xff\xec\x78");
        assert_eq!(after.properties(), expected.properties());
        assert_eq!(after.hidden_keys(), before.hidden_keys());
        assert_eq!((after.routing_key(), after.inline_body()), (&b"k"[..], Some(&b"body"[..])));
        assert!(after.is_persistent());
        let long = released(&with_delay(&[b"l", &(1i64 << 40).to_be_bytes()[..]].concat()), &mut Vec::new());
        let expected = with_delay(&[b"l", &(-(1i64 << 40)).to_be_bytes()[..]].concat());
        assert_eq!(long.properties(), expected.properties());
    }
}
