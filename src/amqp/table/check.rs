//! Structural check of a field table: iterative, without allocation for the depths a broker accepts.

use smallvec::SmallVec;

/// How many containers (tables and arrays) may be nested in a table before it is refused.
pub const TABLE_DEPTH_MAX: usize = 32;

/// Why a field table was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// A name, value or container reaches past the end of what holds it.
    #[error("field table ends inside a field")]
    Truncated,
    /// A field type that this protocol's dialect does not have, such as `U` (WIR-47).
    #[error("unknown field type {0}")]
    UnknownType(u8),
    /// More containers inside each other than allowed.
    #[error("field table nested too deep")]
    TooDeep,
    /// A field name that is not UTF-8; harmless in message headers, refused in method arguments.
    #[error("field name is not UTF-8")]
    NameNotUtf8,
}

/// A container being read: where it ends, and whether its fields carry names.
#[derive(Clone, Copy)]
struct Container {
    end: usize,
    named: bool,
}

/// Checks the body of a field table (the bytes after its length): names, field types, lengths, and that no
/// more than `depth_max` containers are nested in it.
pub fn check_table(bytes: &[u8], depth_max: usize) -> Result<(), TableError> {
    let mut position = 0;
    let mut current = Container { end: bytes.len(), named: true };
    let mut parents: SmallVec<[Container; TABLE_DEPTH_MAX]> = SmallVec::new();
    loop {
        if position == current.end {
            match parents.pop() {
                Some(parent) => current = parent,
                None => return Ok(()),
            }
            continue;
        }
        let (kind, value) = field_head(&bytes[..current.end], position, current.named)?;
        let length = value_length(kind, &bytes[value..current.end])?;
        if current.end - value < length {
            return Err(TableError::Truncated);
        }
        position = value + length;
        if kind == b'A' || kind == b'F' {
            if parents.len() == depth_max {
                return Err(TableError::TooDeep);
            }
            parents.push(current);
            current = Container { end: position, named: kind == b'F' };
            position = value + 4;
        }
    }
}

/// The type of the field at `position`, and where its value begins.
fn field_head(bytes: &[u8], position: usize, named: bool) -> Result<(u8, usize), TableError> {
    let kind_at = match named {
        true => position + 1 + usize::from(bytes[position]),
        false => position,
    };
    let kind = *bytes.get(kind_at).ok_or(TableError::Truncated)?;
    Ok((kind, kind_at + 1))
}

/// How many bytes the value of a field takes, its own length prefix included; `bytes` begins at the value.
/// The answer may exceed what `bytes` holds.
pub(super) fn value_length(kind: u8, bytes: &[u8]) -> Result<usize, TableError> {
    match kind {
        b'V' => Ok(0),
        b't' | b'b' | b'B' => Ok(1),
        b's' | b'u' => Ok(2),
        b'I' | b'i' | b'f' => Ok(4),
        b'D' => Ok(5),
        b'l' | b'L' | b'd' | b'T' => Ok(8),
        b'S' | b'x' | b'A' | b'F' => {
            let prefix = bytes.first_chunk::<4>().ok_or(TableError::Truncated)?;
            // A 32-bit length and its prefix fit a usize on every platform we build for.
            Ok(4 + u32::from_be_bytes(*prefix) as usize)
        }
        other => Err(TableError::UnknownType(other)),
    }
}
