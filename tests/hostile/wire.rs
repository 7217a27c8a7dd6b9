//! Octets of AMQP 0-9-1, right and wrong ones alike: nothing here checks anything.

pub const HEADER: &[u8] = b"AMQP\x00\x00\x09\x01";

pub const METHOD: u8 = 1;
pub const CONTENT_HEADER: u8 = 2;
pub const BODY: u8 = 3;
pub const HEARTBEAT: u8 = 8;

pub const CONNECTION_CLOSE: (u16, u16) = (10, 50);
pub const CHANNEL_OPEN_OK: (u16, u16) = (20, 11);
pub const CHANNEL_CLOSE: (u16, u16) = (20, 40);
pub const DECLARE_OK: (u16, u16) = (50, 11);

/// A frame with its end.
pub fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let mut octets = head(kind, channel, payload.len() as u32);
    octets.extend(payload);
    octets.push(0xCE);
    octets
}

/// The seven octets before a payload, which may never come.
pub fn head(kind: u8, channel: u16, size: u32) -> Vec<u8> {
    let mut octets = vec![kind];
    octets.extend(channel.to_be_bytes());
    octets.extend(size.to_be_bytes());
    octets
}

pub fn method(channel: u16, class: u16, method: u16, arguments: &[u8]) -> Vec<u8> {
    let payload = [&class.to_be_bytes(), &method.to_be_bytes(), arguments].concat();
    frame(METHOD, channel, &payload)
}

/// A short string of at most 255 octets.
pub fn short(octets: impl AsRef<[u8]>) -> Vec<u8> {
    let octets = octets.as_ref();
    [&[u8::try_from(octets.len()).unwrap()], octets].concat()
}

/// A long string, or a table from its fields.
pub fn long(octets: impl AsRef<[u8]>) -> Vec<u8> {
    let octets = octets.as_ref();
    [&(octets.len() as u32).to_be_bytes(), octets].concat()
}

/// A table field whose value is a long string.
pub fn text_field(name: &str, value: impl AsRef<[u8]>) -> Vec<u8> {
    [short(name), b"S".to_vec(), long(value)].concat()
}

/// Client properties of a client that wants to be told why its login was refused, and more fields.
pub fn client_properties(more: &[u8]) -> Vec<u8> {
    let capability = [short("authentication_failure_close"), b"t\x01".to_vec()].concat();
    [&short("capabilities")[..], b"F", &long(capability), more].concat()
}

/// connection.start-ok for PLAIN; `properties` is the inside of a table.
pub fn start_ok(properties: &[u8], user: &str, password: &str) -> Vec<u8> {
    let response = format!("\0{user}\0{password}");
    let arguments = [long(properties), short("PLAIN"), long(response), short("en_US")].concat();
    method(0, 10, 11, &arguments)
}

pub fn tune_ok(channel_max: u16, frame_max: u32, heartbeat: u16) -> Vec<u8> {
    let arguments =
        [&channel_max.to_be_bytes()[..], &frame_max.to_be_bytes(), &heartbeat.to_be_bytes()].concat();
    method(0, 10, 31, &arguments)
}

/// connection.open.
pub fn open(vhost: &str) -> Vec<u8> {
    method(0, 10, 40, &[short(vhost), vec![0, 0]].concat())
}

pub fn channel_open(channel: u16) -> Vec<u8> {
    method(channel, 20, 10, &[0])
}

pub fn channel_close(channel: u16) -> Vec<u8> {
    method(channel, 20, 40, &[0, 200, 0, 0, 0, 0, 0])
}

pub fn channel_close_ok(channel: u16) -> Vec<u8> {
    method(channel, 20, 41, &[])
}

pub const EXCLUSIVE: u8 = 4;

/// queue.declare; `arguments` is the inside of a table.
pub fn declare(channel: u16, queue: impl AsRef<[u8]>, bits: u8, arguments: &[u8]) -> Vec<u8> {
    method(channel, 50, 10, &[&[0, 0][..], &short(queue), &[bits], &long(arguments)].concat())
}

pub fn bind(
    channel: u16,
    queue: impl AsRef<[u8]>,
    exchange: &str,
    key: impl AsRef<[u8]>,
    arguments: &[u8],
) -> Vec<u8> {
    let names = [short(queue), short(exchange), short(key)].concat();
    method(channel, 50, 20, &[&[0, 0][..], &names, &[0], &long(arguments)].concat())
}

pub fn declare_exchange(channel: u16, exchange: &str, kind: &str, arguments: &[u8]) -> Vec<u8> {
    let names = [short(exchange), short(kind)].concat();
    method(channel, 40, 10, &[&[0, 0][..], &names, &[0], &long(arguments)].concat())
}

pub fn bind_exchange(channel: u16, destination: &str, source: &str, key: &str) -> Vec<u8> {
    let names = [short(destination), short(source), short(key)].concat();
    method(channel, 40, 30, &[&[0, 0][..], &names, &[0], &long(b"")].concat())
}

/// basic.consume; bit 2 of `bits` is no-ack.
pub fn consume(channel: u16, queue: impl AsRef<[u8]>, tag: impl AsRef<[u8]>, bits: u8) -> Vec<u8> {
    consume_with(channel, queue, tag, bits, b"")
}

pub fn consume_with(
    channel: u16,
    queue: impl AsRef<[u8]>,
    tag: impl AsRef<[u8]>,
    bits: u8,
    arguments: &[u8],
) -> Vec<u8> {
    let names = [short(queue), short(tag)].concat();
    method(channel, 60, 20, &[&[0, 0][..], &names, &[bits], &long(arguments)].concat())
}

pub fn get(channel: u16, queue: impl AsRef<[u8]>, no_ack: bool) -> Vec<u8> {
    method(channel, 60, 70, &[&[0, 0][..], &short(queue), &[u8::from(no_ack)]].concat())
}

pub fn publish(channel: u16, exchange: &str, key: impl AsRef<[u8]>, mandatory: bool) -> Vec<u8> {
    let names = [short(exchange), short(key)].concat();
    method(channel, 60, 40, &[&[0, 0][..], &names, &[u8::from(mandatory)]].concat())
}

/// A content header without properties.
pub fn content_header(channel: u16, body_size: u64) -> Vec<u8> {
    header_with(channel, body_size, &[0, 0])
}

/// A content header with this flag word and property list.
pub fn header_with(channel: u16, body_size: u64, properties: &[u8]) -> Vec<u8> {
    let payload = [&[0, 60, 0, 0][..], &body_size.to_be_bytes(), properties].concat();
    frame(CONTENT_HEADER, channel, &payload)
}

/// Properties that consist of a headers table, given by its inside.
pub fn headers(fields: &[u8]) -> Vec<u8> {
    [&[0x20, 0][..], &long(fields)].concat()
}

pub fn body(channel: u16, octets: &[u8]) -> Vec<u8> {
    frame(BODY, channel, octets)
}

/// A whole publish with its body in one frame, or none if it is empty.
pub fn message(channel: u16, exchange: &str, key: impl AsRef<[u8]>, octets: &[u8]) -> Vec<u8> {
    let header = content_header(channel, octets.len() as u64);
    let content = if octets.is_empty() { Vec::new() } else { body(channel, octets) };
    [publish(channel, exchange, key, false), header, content].concat()
}

/// basic.ack.
pub fn ack(channel: u16, tag: u64, multiple: bool) -> Vec<u8> {
    method(channel, 60, 80, &[&tag.to_be_bytes()[..], &[u8::from(multiple)]].concat())
}

/// basic.nack with requeue.
pub fn requeue(channel: u16, tag: u64) -> Vec<u8> {
    method(channel, 60, 120, &[&tag.to_be_bytes()[..], &[2]].concat())
}

pub fn confirm_select(channel: u16) -> Vec<u8> {
    method(channel, 85, 10, &[0])
}

/// Random octets that every run repeats.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed | 1)
    }

    pub fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn octets(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| (self.roll() >> 32) as u8).collect()
    }
}
