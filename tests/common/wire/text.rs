//! The text notation of values, and the scanner that reads it.
//!
//! A value is its type octet and a literal: `t1 b-1 B2 s3 u4 I5 i6 l7 L8 f1.5 d2.5 D2:314 T100 V`;
//! `'text'` is a long string (`S`), `x'text'` a byte array, `[I1 'a']` an array, `{a=I1 b='x'}` a
//! table, `!5501` octets as they are. In quotes `\xNN`, `\r`, `\n`, `\'` and `\\` are understood.

use super::value::{Table, Value};

/// Reads a notation left to right. Scripts are part of the test, so a mistake in one panics.
pub struct Scanner<'a> {
    rest: &'a str,
    whole: &'a str,
}

impl<'a> Scanner<'a> {
    pub fn new(text: &'a str) -> Scanner<'a> {
        Scanner { rest: text.trim_start(), whole: text }
    }

    pub fn at_end(&mut self) -> bool {
        self.rest = self.rest.trim_start();
        self.rest.is_empty()
    }

    /// The characters up to white space or one of `=}]`.
    pub fn word(&mut self) -> &'a str {
        self.rest = self.rest.trim_start();
        let end = self.rest.find(|c: char| c.is_whitespace() || "=}]".contains(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    /// Everything up to white space.
    pub fn token(&mut self) -> &'a str {
        self.rest = self.rest.trim_start();
        let end = self.rest.find(char::is_whitespace).unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at(end);
        self.rest = rest;
        token
    }

    /// Whether `c` comes next; if so it is taken.
    pub fn eat(&mut self, c: char) -> bool {
        match self.rest.strip_prefix(c) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn need(&mut self, c: char) {
        assert!(self.eat(c), "script error: {c:?} expected before {:?} in {:?}", self.rest, self.whole);
    }

    /// A quoted string or a bare token, as octets.
    pub fn string(&mut self) -> Vec<u8> {
        if self.rest.starts_with('\'') { self.quoted() } else { self.token().as_bytes().to_vec() }
    }

    /// A string in single quotes.
    pub fn quoted(&mut self) -> Vec<u8> {
        self.need('\'');
        let mut out = Vec::new();
        loop {
            let mut chars = self.rest.chars();
            let c = chars.next().unwrap_or_else(|| panic!("script error: open quote in {:?}", self.whole));
            self.rest = chars.as_str();
            match c {
                '\'' => return out,
                '\\' => self.escape(&mut out),
                c => out.extend(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
    }

    fn escape(&mut self, out: &mut Vec<u8>) {
        let c = self.rest.chars().next().expect("script error: a backslash at the end");
        self.rest = &self.rest[c.len_utf8()..];
        match c {
            'r' => out.push(b'\r'),
            'n' => out.push(b'\n'),
            'x' => {
                let (digits, rest) = self.rest.split_at(2);
                self.rest = rest;
                out.push(u8::from_str_radix(digits, 16).expect("script error: two hex digits after \\x"));
            }
            other => out.extend(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }

    /// A table in braces.
    pub fn table(&mut self) -> Table {
        self.rest = self.rest.trim_start();
        self.need('{');
        let mut table = Table::new();
        loop {
            self.rest = self.rest.trim_start();
            if self.eat('}') {
                return table;
            }
            let key =
                if self.rest.starts_with('\'') { self.quoted() } else { self.word().as_bytes().to_vec() };
            self.need('=');
            table.push((key, self.value()));
        }
    }

    /// A value: see the head of the file.
    pub fn value(&mut self) -> Value {
        self.rest = self.rest.trim_start();
        if self.rest.starts_with('\'') {
            return Value::Str(self.quoted());
        }
        if self.rest.starts_with('{') {
            return Value::Table(self.table());
        }
        if self.eat('[') {
            let mut items = Vec::new();
            loop {
                self.rest = self.rest.trim_start();
                if self.eat(']') {
                    return Value::Array(items);
                }
                items.push(self.value());
            }
        }
        if self.eat('!') {
            return Value::Raw(unhex(self.word()));
        }
        if self.rest.starts_with("x'") {
            self.need('x');
            return Value::Bytes(self.quoted());
        }
        scalar(self.word())
    }
}

fn scalar(word: &str) -> Value {
    let kind = word.chars().next().unwrap_or_else(|| panic!("script error: a value is missing"));
    let literal = &word[kind.len_utf8()..];
    match kind {
        't' => Value::Bool(number(literal)),
        'b' => Value::I8(number(literal)),
        'B' => Value::U8(number(literal)),
        's' => Value::I16(number(literal)),
        'u' => Value::U16(number(literal)),
        'I' => Value::I32(number(literal)),
        'i' => Value::U32(number(literal)),
        'l' => Value::I64(number(literal), false),
        'L' => Value::I64(number(literal), true),
        'f' => Value::F32(number::<f32>(literal).to_bits()),
        'd' => Value::F64(number::<f64>(literal).to_bits()),
        'D' => {
            let (scale, v) = literal.split_once(':').expect("script error: a decimal is D<scale>:<value>");
            Value::Decimal(number(scale), number(v))
        }
        'T' => Value::Time(number(literal)),
        'V' => Value::Void,
        _ => panic!("script error: no value starts like {word:?}"),
    }
}

/// A number, or a script error that shows the literal.
pub fn number<T: std::str::FromStr>(literal: &str) -> T {
    literal.parse().unwrap_or_else(|_| panic!("script error: {literal:?} is no such number"))
}

/// Hex digits, white space between them allowed.
pub fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
    let pair = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16);
    digits
        .chunks(2)
        .map(|p| pair(p).unwrap_or_else(|_| panic!("script error: {text:?} is not hex")))
        .collect()
}

/// Octets as readable text: what is not printable becomes `\xNN`.
pub fn printable(octets: &[u8]) -> String {
    let mut out = String::new();
    for chunk in octets.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\r' => out.push_str("\\r"),
                '\n' => out.push_str("\\n"),
                c if c.is_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
                c => out.push(c),
            }
        }
        chunk.invalid().iter().for_each(|b| out.push_str(&format!("\\x{b:02x}")));
    }
    out
}

/// [`printable`] in single quotes.
pub fn quoted(octets: &[u8]) -> String {
    format!("'{}'", printable(octets).replace('\'', "\\'"))
}
