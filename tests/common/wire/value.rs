//! Field values and tables, octets preserved: a boolean keeps its octet, `l` and `L` stay apart.

use std::fmt;

use super::text::quoted;

/// A field table in wire order, duplicates and odd keys included.
pub type Table = Vec<(Vec<u8>, Value)>;

/// A field value together with the type octet it travels under.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Bool(u8),
    I8(i8),
    U8(u8),
    I16(i16),
    U16(u16),
    I32(i32),
    U32(u32),
    /// `l`, or `L` when the flag is set.
    I64(i64, bool),
    /// The bits, so that NaN compares.
    F32(u32),
    /// The bits, so that NaN compares.
    F64(u64),
    Decimal(u8, u32),
    Str(Vec<u8>),
    Bytes(Vec<u8>),
    Array(Vec<Value>),
    Table(Table),
    Time(u64),
    Void,
    /// Octets as they are, type octet included: for malformed tables.
    Raw(Vec<u8>),
}

impl Value {
    /// Appends the type octet and the value.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Value::Bool(byte) => out.extend([b't', *byte]),
            Value::I8(v) => tagged(out, b'b', &v.to_be_bytes()),
            Value::U8(v) => tagged(out, b'B', &v.to_be_bytes()),
            Value::I16(v) => tagged(out, b's', &v.to_be_bytes()),
            Value::U16(v) => tagged(out, b'u', &v.to_be_bytes()),
            Value::I32(v) => tagged(out, b'I', &v.to_be_bytes()),
            Value::U32(v) => tagged(out, b'i', &v.to_be_bytes()),
            Value::I64(v, upper) => tagged(out, if *upper { b'L' } else { b'l' }, &v.to_be_bytes()),
            Value::F32(v) => tagged(out, b'f', &v.to_be_bytes()),
            Value::F64(v) => tagged(out, b'd', &v.to_be_bytes()),
            Value::Decimal(scale, v) => {
                out.extend([b'D', *scale]);
                out.extend(v.to_be_bytes());
            }
            Value::Str(v) => sized(out, b'S', v),
            Value::Bytes(v) => sized(out, b'x', v),
            Value::Array(items) => {
                let mut inner = Vec::new();
                items.iter().for_each(|item| item.encode(&mut inner));
                sized(out, b'A', &inner);
            }
            Value::Table(table) => sized(out, b'F', &encode_table(table)),
            Value::Time(v) => tagged(out, b'T', &v.to_be_bytes()),
            Value::Void => out.push(b'V'),
            Value::Raw(octets) => out.extend(octets),
        }
    }

    /// Reads a type octet and its value from the front of `input`.
    pub fn decode(input: &mut &[u8]) -> Result<Value, String> {
        let [kind] = take::<1>(input)?;
        Ok(match kind {
            b't' => Value::Bool(take::<1>(input)?[0]),
            b'b' => Value::I8(i8::from_be_bytes(take(input)?)),
            b'B' => Value::U8(u8::from_be_bytes(take(input)?)),
            b's' => Value::I16(i16::from_be_bytes(take(input)?)),
            b'u' => Value::U16(u16::from_be_bytes(take(input)?)),
            b'I' => Value::I32(i32::from_be_bytes(take(input)?)),
            b'i' => Value::U32(u32::from_be_bytes(take(input)?)),
            b'l' => Value::I64(i64::from_be_bytes(take(input)?), false),
            b'L' => Value::I64(i64::from_be_bytes(take(input)?), true),
            b'f' => Value::F32(u32::from_be_bytes(take(input)?)),
            b'd' => Value::F64(u64::from_be_bytes(take(input)?)),
            b'D' => Value::Decimal(take::<1>(input)?[0], u32::from_be_bytes(take(input)?)),
            b'S' => Value::Str(take_long(input)?.to_vec()),
            b'x' => Value::Bytes(take_long(input)?.to_vec()),
            b'A' => {
                let mut inner = take_long(input)?;
                let mut items = Vec::new();
                while !inner.is_empty() {
                    items.push(Value::decode(&mut inner)?);
                }
                Value::Array(items)
            }
            b'F' => Value::Table(decode_table(input)?),
            b'T' => Value::Time(u64::from_be_bytes(take(input)?)),
            b'V' => Value::Void,
            other => return Err(format!("unknown field type {other:#04x}")),
        })
    }
}

/// The entries without the length in front.
pub fn encode_table(table: &Table) -> Vec<u8> {
    let mut out = Vec::new();
    for (key, value) in table {
        out.push(u8::try_from(key.len()).expect("a test's key is a short string"));
        out.extend(key);
        value.encode(&mut out);
    }
    out
}

/// Reads a table with its length in front.
pub fn decode_table(input: &mut &[u8]) -> Result<Table, String> {
    let mut inner = take_long(input)?;
    let mut table = Vec::new();
    while !inner.is_empty() {
        let key = take_short(&mut inner)?.to_vec();
        table.push((key, Value::decode(&mut inner)?));
    }
    Ok(table)
}

/// Takes a fixed number of octets.
pub fn take<const N: usize>(input: &mut &[u8]) -> Result<[u8; N], String> {
    let (head, rest) = input.split_first_chunk::<N>().ok_or("octets missing")?;
    *input = rest;
    Ok(*head)
}

/// Takes a string with one octet of length.
pub fn take_short<'a>(input: &mut &'a [u8]) -> Result<&'a [u8], String> {
    let [len] = take::<1>(input)?;
    take_len(input, usize::from(len))
}

/// Takes octets with four octets of length.
pub fn take_long<'a>(input: &mut &'a [u8]) -> Result<&'a [u8], String> {
    let len = u32::from_be_bytes(take(input)?);
    take_len(input, usize::try_from(len).expect("usize has at least 32 bits"))
}

fn take_len<'a>(input: &mut &'a [u8], len: usize) -> Result<&'a [u8], String> {
    let (head, rest) = input.split_at_checked(len).ok_or("octets missing")?;
    *input = rest;
    Ok(head)
}

fn tagged(out: &mut Vec<u8>, kind: u8, octets: &[u8]) {
    out.push(kind);
    out.extend(octets);
}

fn sized(out: &mut Vec<u8>, kind: u8, octets: &[u8]) {
    out.push(kind);
    out.extend(u32::try_from(octets.len()).expect("a test's value fits in 4 GiB").to_be_bytes());
    out.extend(octets);
}

/// The notation of [`super::text`]: type octet first, strings in quotes.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Bool(v) => write!(f, "t{v}"),
            Value::I8(v) => write!(f, "b{v}"),
            Value::U8(v) => write!(f, "B{v}"),
            Value::I16(v) => write!(f, "s{v}"),
            Value::U16(v) => write!(f, "u{v}"),
            Value::I32(v) => write!(f, "I{v}"),
            Value::U32(v) => write!(f, "i{v}"),
            Value::I64(v, false) => write!(f, "l{v}"),
            Value::I64(v, true) => write!(f, "L{v}"),
            Value::F32(v) => write!(f, "f{}", f32::from_bits(*v)),
            Value::F64(v) => write!(f, "d{}", f64::from_bits(*v)),
            Value::Decimal(scale, v) => write!(f, "D{scale}:{v}"),
            Value::Str(v) => write!(f, "{}", quoted(v)),
            Value::Bytes(v) => write!(f, "x{}", quoted(v)),
            Value::Array(items) => {
                let items: Vec<String> = items.iter().map(Value::to_string).collect();
                write!(f, "[{}]", items.join(" "))
            }
            Value::Table(table) => write!(f, "{}", show_table(table)),
            Value::Time(v) => write!(f, "T{v}"),
            Value::Void => write!(f, "V"),
            Value::Raw(octets) => write!(f, "!{}", hex(octets)),
        }
    }
}

/// A table in the notation of [`super::text`]. Server properties and dead-letter history are shown
/// sorted by key: their order is nobody's contract.
pub fn show_table(table: &Table) -> String {
    if table.iter().any(|(key, _)| key == b"x-death" || key == b"capabilities") {
        return show_entries(&sorted(table));
    }
    show_entries(table)
}

fn sorted(table: &Table) -> Table {
    let mut table: Table = table.iter().map(|(key, value)| (key.clone(), sorted_inside(value))).collect();
    table.sort_by(|(a, _), (b, _)| a.cmp(b));
    table
}

fn sorted_inside(value: &Value) -> Value {
    match value {
        Value::Table(table) => Value::Table(sorted(table)),
        Value::Array(items) => Value::Array(items.iter().map(sorted_inside).collect()),
        other => other.clone(),
    }
}

fn show_entries(table: &Table) -> String {
    let entries: Vec<String> = table
        .iter()
        .map(|(key, value)| {
            let plain =
                !key.is_empty() && key.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b));
            let key = if plain { String::from_utf8_lossy(key).into_owned() } else { quoted(key) };
            format!("{key}={value}")
        })
        .collect();
    format!("{{{}}}", entries.join(" "))
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|b| format!("{b:02x}")).collect()
}
