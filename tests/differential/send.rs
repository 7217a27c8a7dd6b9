//! Turns the verbs of a script into octets.

use crate::wire::{
    BODY, CONTENT_HEADER, Content, HEADER, HEARTBEAT, METHOD, Method,
    codec::Field,
    frame,
    methods::{self, PROPERTIES},
    text::{Scanner, number, unhex},
};

/// Octets for one line of a script. `body_max` is the largest body frame payload.
pub fn encode(channel: u16, line: &str, body_max: usize) -> Vec<u8> {
    let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
    match verb {
        "header" => HEADER.to_vec(),
        "raw" => raw(rest),
        "frame" => raw_frame(channel, rest),
        "heartbeat" => frame(HEARTBEAT, channel, b""),
        "body" => frame(BODY, channel, &body(&mut Scanner::new(rest))),
        "content" => content_header(channel, rest),
        _ => method(channel, verb, rest, body_max),
    }
}

/// `raw 'AMQP' 00000901`: strings and hex.
fn raw(text: &str) -> Vec<u8> {
    let mut scanner = Scanner::new(text);
    let mut out = Vec::new();
    while !scanner.at_end() {
        let quoted = text.trim_start().starts_with('\'') && out.is_empty();
        out.extend(if quoted { scanner.quoted() } else { unhex(scanner.token()) });
    }
    out
}

/// `frame 1 00320028 end=00 size=9`: a frame with what may be wrong about it.
fn raw_frame(channel: u16, text: &str) -> Vec<u8> {
    let mut tokens = text.split_whitespace();
    let kind: u8 = number(tokens.next().expect("script error: frame type"));
    let (mut payload, mut end, mut size) = (Vec::new(), None, None);
    for token in tokens {
        match token.split_once('=') {
            Some(("end", hex)) => end = Some(unhex(hex)),
            Some(("size", announced)) => size = Some(number::<u32>(announced)),
            Some(("zeros", count)) => payload.resize(payload.len() + number::<usize>(count), 0),
            _ => payload.extend(unhex(token)),
        }
    }
    let mut out = frame(kind, channel, &payload);
    if let Some(size) = size {
        out[3..7].copy_from_slice(&size.to_be_bytes());
    }
    if let Some(end) = end {
        out.pop();
        out.extend(end);
    }
    out
}

/// `content size=5 class=60 weight=0 priority=1`: a content header alone.
fn content_header(channel: u16, text: &str) -> Vec<u8> {
    let (mut class, mut weight, mut size) = (60, 0, 0);
    let mut content = Content::default();
    let mut scanner = Scanner::new(text);
    while !scanner.at_end() {
        let key = scanner.word();
        assert!(scanner.eat('='), "script error: {key} needs a value in {text:?}");
        match key {
            "class" => class = number(scanner.token()),
            "weight" => weight = number(scanner.token()),
            "size" => size = number(scanner.token()),
            _ => content.properties.push(property(key, &mut scanner)),
        }
    }
    frame(CONTENT_HEADER, channel, &content.encode_header(class, weight, size))
}

/// A method by name, and its content if it has one and the line has no `bare`.
fn method(channel: u16, name: &str, text: &str, body_max: usize) -> Vec<u8> {
    let definition = methods::by_name(name).unwrap_or_else(|| panic!("script error: no verb {name:?}"));
    let mut fields: Vec<Field> = methods::arguments(definition).map(|(_, kind)| empty(kind)).collect();
    let mut content = Content::default();
    let (mut bare, mut junk, mut cut) = (!methods::has_content(name), Vec::new(), 0);
    let mut scanner = Scanner::new(text);
    while !scanner.at_end() {
        let key = scanner.word();
        let slot = methods::arguments(definition).position(|(argument, _)| argument == key);
        match (slot, scanner.eat('=')) {
            (Some(slot), false) => fields[slot] = Field::Bit(true),
            (Some(slot), true) => fields[slot] = argument(&fields[slot], &mut scanner),
            (None, false) if key == "bare" => bare = true,
            (None, true) if key == "body" => content.body = body(&mut scanner),
            (None, true) if key == "junk" => junk = unhex(scanner.token()),
            (None, true) if key == "cut" => cut = number(scanner.token()),
            (None, true) => content.properties.push(property(key, &mut scanner)),
            (None, false) => panic!("script error: {name} has no {key:?}"),
        }
    }
    let mut payload = Method { name: definition.2, fields }.encode();
    payload.truncate(payload.len() - cut);
    payload.extend(junk);
    let mut out = frame(METHOD, channel, &payload);
    if !bare {
        out.extend(frame(CONTENT_HEADER, channel, &content.encode_header(60, 0, content.body.len() as u64)));
        content.body.chunks(body_max).for_each(|part| out.extend(frame(BODY, channel, part)));
    }
    out
}

/// `text`, `'quoted'` or `200000*a`.
fn body(scanner: &mut Scanner<'_>) -> Vec<u8> {
    let octets = scanner.string();
    match std::str::from_utf8(&octets).ok().and_then(|text| text.split_once('*')) {
        Some((count, one)) if one.len() == 1 && count.parse::<usize>().is_ok() => {
            one.repeat(number(count)).into_bytes()
        }
        _ => octets,
    }
}

fn empty(kind: char) -> Field {
    match kind {
        'b' => Field::Bit(false),
        'S' | 'X' => Field::Text(Vec::new()),
        'F' => Field::Table(Vec::new()),
        _ => Field::Number(0),
    }
}

fn argument(slot: &Field, scanner: &mut Scanner<'_>) -> Field {
    match slot {
        Field::Bit(_) => panic!("script error: a bit is set by its bare name"),
        Field::Number(_) => Field::Number(number(scanner.token())),
        Field::Text(_) => Field::Text(scanner.string()),
        Field::Table(_) | Field::RawTable(_) if scanner.eat('!') => Field::RawTable(unhex(scanner.token())),
        Field::Table(_) | Field::RawTable(_) => Field::Table(scanner.table()),
    }
}

fn property(key: &str, scanner: &mut Scanner<'_>) -> (&'static str, Field) {
    let known = PROPERTIES.iter().find(|(name, _)| *name == key);
    let (name, kind) = known.unwrap_or_else(|| panic!("script error: no property {key:?}"));
    (name, argument(&empty(*kind), scanner))
}
