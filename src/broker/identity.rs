//! What tells two messages to be the same one: the header of deduplication exchanges and queues (EXC-91, QUE-43).

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::amqp::table::{FieldRef, TableRef};

const HEADER: &[u8] = b"x-deduplication-header";
/// Octets of an identity that are kept; a longer one is kept as a hash, so that many cost bounded memory.
const IDENTITY_MAX: usize = 128;

/// Short enough for a routing key.
pub type Identity = Arc<[u8]>;

/// The identity of a message with these headers, if it has one.
pub fn identity(headers: TableRef<'_>) -> Option<Identity> {
    headers.find(HEADER).and_then(of_field)
}

/// Octets that are equal for equal values, also after a restart; none for no value.
fn of_field(field: FieldRef<'_>) -> Option<Identity> {
    let number;
    let (kind, octets) = match field {
        FieldRef::Void => return None,
        FieldRef::LongStr(octets) | FieldRef::Bytes(octets) => (b's', octets),
        FieldRef::Array(array) => (b'a', array.as_bytes()),
        FieldRef::Table(table) => (b'f', table.as_bytes()),
        other => {
            let (kind, value) = match other {
                FieldRef::Bool(value) => (b't', i64::from(value)),
                FieldRef::F32(value) => (b'd', f64::from(value).to_bits() as i64),
                FieldRef::F64(value) => (b'd', value.to_bits() as i64),
                FieldRef::Decimal { scale, value } => (b'D', (i64::from(scale) << 32) | i64::from(value)),
                FieldRef::Timestamp(seconds) => (b'i', seconds as i64),
                other => (b'i', whole(other)?),
            };
            number = value.to_be_bytes();
            (kind, &number[..])
        }
    };
    let mut identity = vec![kind];
    if octets.len() <= IDENTITY_MAX {
        identity.extend_from_slice(octets);
    } else {
        identity.extend_from_slice(&octets.len().to_be_bytes());
        identity.extend_from_slice(&Sha256::digest(octets));
        // No shorter identity looks like this one.
        identity.resize(IDENTITY_MAX + 2, 0);
    }
    Some(identity.into())
}

/// An integer of any size.
pub fn whole(field: FieldRef<'_>) -> Option<i64> {
    match field {
        FieldRef::I8(value) => Some(value.into()),
        FieldRef::U8(value) => Some(value.into()),
        FieldRef::I16(value) => Some(value.into()),
        FieldRef::U16(value) => Some(value.into()),
        FieldRef::I32(value) => Some(value.into()),
        FieldRef::U32(value) => Some(value.into()),
        FieldRef::I64(value) => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_are_one_identity() {
        assert_eq!(of_field(FieldRef::I8(5)), of_field(FieldRef::I64(5)));
        assert_eq!(of_field(FieldRef::LongStr(b"5")), of_field(FieldRef::Bytes(b"5")));
        assert_ne!(of_field(FieldRef::LongStr(b"5")), of_field(FieldRef::I8(5)));
        assert_ne!(of_field(FieldRef::Bool(true)), of_field(FieldRef::I8(1)));
        assert_eq!(of_field(FieldRef::Void), None);
        let long = |last: u8| [vec![b'x'; 100_000], vec![last]].concat();
        let (one, same, other) = (long(1), long(1), long(2));
        assert_eq!(of_field(FieldRef::LongStr(&one)), of_field(FieldRef::LongStr(&same)));
        assert_ne!(of_field(FieldRef::LongStr(&one)), of_field(FieldRef::LongStr(&other)));
        assert!(of_field(FieldRef::LongStr(&one)).is_some_and(|kept| kept.len() <= IDENTITY_MAX + 2));
    }
}
