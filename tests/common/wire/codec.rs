//! Methods and content headers to and from octets, driven by the tables in [`super::methods`].

use super::{
    methods::{self, PROPERTIES},
    text::printable,
    value::{Table, Value, decode_table, encode_table, show_table, take, take_long, take_short},
};

/// One argument or property.
#[derive(Debug, Clone, PartialEq)]
pub enum Field {
    Number(u64),
    Text(Vec<u8>),
    Table(Table),
    Bit(bool),
    /// A table argument given as the octets behind its length.
    RawTable(Vec<u8>),
}

impl Field {
    fn shown(&self) -> String {
        match self {
            Field::Number(v) => v.to_string(),
            Field::Text(v) if v.is_empty() => "''".to_owned(),
            Field::Text(v) => printable(v),
            Field::Table(table) => show_table(table),
            Field::Bit(v) => v.to_string(),
            Field::RawTable(octets) => Value::Raw(octets.clone()).to_string(),
        }
    }
}

/// A method with its arguments in wire order.
#[derive(Debug, Clone, PartialEq)]
pub struct Method {
    pub name: &'static str,
    pub fields: Vec<Field>,
}

impl Method {
    /// Encodes class id, method id and arguments.
    pub fn encode(&self) -> Vec<u8> {
        let definition = methods::by_name(self.name).expect("a Method has a known name");
        let mut out = Vec::new();
        out.extend(definition.0.to_be_bytes());
        out.extend(definition.1.to_be_bytes());
        let mut bits: Vec<bool> = Vec::new();
        for ((_, kind), field) in methods::arguments(definition).zip(&self.fields) {
            if let Field::Bit(bit) = field {
                bits.push(*bit);
                continue;
            }
            flush_bits(&mut out, &mut bits);
            encode_field(&mut out, kind, field);
        }
        flush_bits(&mut out, &mut bits);
        out
    }

    /// Decodes the payload of a method frame.
    pub fn decode(mut payload: &[u8]) -> Result<Method, String> {
        let input = &mut payload;
        let class = u16::from_be_bytes(take(input)?);
        let method = u16::from_be_bytes(take(input)?);
        let definition =
            methods::by_ids(class, method).ok_or_else(|| format!("unknown method ({class},{method})"))?;
        let mut fields = Vec::new();
        let mut bits: Option<(u8, u8)> = None;
        for (_, kind) in methods::arguments(definition) {
            if kind == 'b' {
                let (octet, index) = match bits {
                    Some((octet, index)) => (octet, index),
                    None => (take::<1>(input)?[0], 0),
                };
                fields.push(Field::Bit(octet >> index & 1 == 1));
                bits = (index < 7).then_some((octet, index + 1));
            } else {
                bits = None;
                fields.push(decode_field(input, kind)?);
            }
        }
        if !input.is_empty() {
            return Err(format!("{} octets behind {}", input.len(), definition.2));
        }
        Ok(Method { name: definition.2, fields })
    }

    /// The octets of a text argument, by its name in [`methods::METHODS`].
    pub fn text(&self, argument: &str) -> Vec<u8> {
        match self.field(argument) {
            Field::Text(text) => text.clone(),
            other => panic!("{argument} of {} is {other:?}", self.name),
        }
    }

    /// A numeric argument or bit, by its name in [`methods::METHODS`].
    pub fn number(&self, argument: &str) -> u64 {
        match self.field(argument) {
            Field::Number(v) => *v,
            Field::Bit(bit) => u64::from(*bit),
            other => panic!("{argument} of {} is {other:?}", self.name),
        }
    }

    fn field(&self, argument: &str) -> &Field {
        let definition = methods::by_name(self.name).expect("a Method has a known name");
        let index = methods::arguments(definition).position(|(name, _)| name == argument);
        &self.fields[index.unwrap_or_else(|| panic!("{} has no {argument}", self.name))]
    }

    /// The name and the arguments in wire order, separated by spaces.
    pub fn shown(&self) -> String {
        let mut out = self.name.to_owned();
        for field in &self.fields {
            out.push(' ');
            out.push_str(&field.shown());
        }
        out
    }
}

/// What follows a method with content.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Content {
    /// Name and value, in wire order.
    pub properties: Vec<(&'static str, Field)>,
    /// Flags and properties as they came.
    pub octets: Vec<u8>,
    pub body: Vec<u8>,
    /// The payload size of each body frame.
    pub frames: Vec<usize>,
}

impl Content {
    /// The payload of the header frame.
    pub fn encode_header(&self, class: u16, weight: u16, size: u64) -> Vec<u8> {
        let mut flags = 0u16;
        let mut values = Vec::new();
        for (bit, (name, kind)) in PROPERTIES.iter().enumerate() {
            if let Some((_, field)) = self.properties.iter().find(|(given, _)| given == name) {
                flags |= 0x8000 >> bit;
                encode_field(&mut values, *kind, field);
            }
        }
        let mut out = Vec::new();
        out.extend(class.to_be_bytes());
        out.extend(weight.to_be_bytes());
        out.extend(size.to_be_bytes());
        out.extend(flags.to_be_bytes());
        out.extend(values);
        out
    }

    /// Decodes a header frame's payload: the announced size and a content without body yet.
    pub fn decode_header(mut payload: &[u8]) -> Result<(u64, Content), String> {
        let input = &mut payload;
        let class_and_weight = u32::from_be_bytes(take(input)?);
        if class_and_weight != 60 << 16 {
            return Err(format!("class and weight of a header are {class_and_weight:#010x}"));
        }
        let size = u64::from_be_bytes(take(input)?);
        let octets = input.to_vec();
        let flags = u16::from_be_bytes(take(input)?);
        let mut properties = Vec::new();
        for (bit, (name, kind)) in PROPERTIES.iter().enumerate() {
            if flags & (0x8000 >> bit) != 0 {
                properties.push((*name, decode_field(input, *kind)?));
            }
        }
        if !input.is_empty() {
            return Err(format!("{} octets behind the properties", input.len()));
        }
        Ok((size, Content { properties, octets, ..Content::default() }))
    }

    /// ` name=value` for each property, then ` body=...`, then the frame sizes if several.
    pub fn shown(&self) -> String {
        let mut out = String::new();
        for (name, field) in &self.properties {
            out.push_str(&format!(" {name}={}", field.shown()));
        }
        out.push_str(&format!(" body={}", shown_body(&self.body)));
        if self.frames.len() > 1 {
            let sizes: Vec<String> = self.frames.iter().map(usize::to_string).collect();
            out.push_str(&format!(" frames={}", sizes.join("+")));
        }
        out
    }
}

/// A body: text when short, `N*c` when it is one octet over and over.
fn shown_body(body: &[u8]) -> String {
    match body {
        [first, rest @ ..] if body.len() > 40 && rest.iter().all(|b| b == first) => {
            format!("{}*{}", body.len(), printable(&[*first]))
        }
        _ if body.len() > 200 => format!("({} octets)", body.len()),
        _ => printable(body),
    }
}

fn flush_bits(out: &mut Vec<u8>, bits: &mut Vec<bool>) {
    for octet in bits.chunks(8) {
        out.push(octet.iter().enumerate().fold(0, |octet, (index, bit)| octet | u8::from(*bit) << index));
    }
    bits.clear();
}

fn encode_field(out: &mut Vec<u8>, kind: char, field: &Field) {
    match (kind, field) {
        ('o', Field::Number(v)) => out.push(u8::try_from(*v).expect("script error: not an octet")),
        ('s', Field::Number(v)) => {
            out.extend(u16::try_from(*v).expect("script error: not a short").to_be_bytes());
        }
        ('l', Field::Number(v)) => {
            out.extend(u32::try_from(*v).expect("script error: not a long").to_be_bytes());
        }
        ('L', Field::Number(v)) => out.extend(v.to_be_bytes()),
        ('S', Field::Text(v)) => {
            out.push(u8::try_from(v.len()).expect("script error: not a short string"));
            out.extend(v);
        }
        ('X', Field::Text(v)) => long(out, v),
        ('F', Field::Table(table)) => long(out, &encode_table(table)),
        ('F', Field::RawTable(octets)) => long(out, octets),
        (kind, field) => panic!("script error: {field:?} given for type {kind}"),
    }
}

fn long(out: &mut Vec<u8>, octets: &[u8]) {
    out.extend(u32::try_from(octets.len()).expect("script error: not a long string").to_be_bytes());
    out.extend(octets);
}

fn decode_field(input: &mut &[u8], kind: char) -> Result<Field, String> {
    Ok(match kind {
        'o' => Field::Number(u64::from(take::<1>(input)?[0])),
        's' => Field::Number(u64::from(u16::from_be_bytes(take(input)?))),
        'l' => Field::Number(u64::from(u32::from_be_bytes(take(input)?))),
        'L' => Field::Number(u64::from_be_bytes(take(input)?)),
        'S' => Field::Text(take_short(input)?.to_vec()),
        'X' => Field::Text(take_long(input)?.to_vec()),
        'F' => Field::Table(decode_table(input)?),
        other => panic!("no field has type {other}"),
    })
}
