//! Methods other than the hot ones, through `amq-protocol`'s parsers and generators.
//!
//! Its table parser recurses and its string types panic when too long, so what a peer sends is checked
//! here first: nesting, text encoding, and that nothing trails.

use amq_protocol::{
    frame::{AMQPFrame, WriteContext, gen_frame},
    protocol::{AMQPClass, parse_class},
};
use nom::{Parser, combinator::all_consuming};

use super::{
    ChannelId, Failure, Limit, ReplyCode,
    frame::{END, FrameKind},
    reader::{Reader, Truncated},
    table::{TableError, check_table},
};

/// Class and method number, as close methods carry them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MethodId {
    pub class: u16,
    pub method: u16,
}

impl MethodId {
    /// No method at fault.
    pub const NONE: MethodId = MethodId { class: 0, method: 0 };
    pub const PUBLISH: MethodId = MethodId { class: 60, method: 40 };

    /// The number of a decoded method.
    pub fn of(class: &AMQPClass) -> MethodId {
        MethodId { class: class.get_amqp_class_id(), method: class.get_amqp_method_id() }
    }

    /// Reads the two numbers that begin a method payload.
    #[inline]
    pub fn parse(payload: &[u8]) -> Option<MethodId> {
        let &[c0, c1, m0, m1] = payload.first_chunk::<4>()?;
        Some(MethodId { class: u16::from_be_bytes([c0, c1]), method: u16::from_be_bytes([m0, m1]) })
    }

    /// Whether AMQP 0-9-1 with RabbitMQ's extensions knows this method, in either direction.
    pub fn is_known(self) -> bool {
        shape(self).is_some()
    }
}

/// One argument as it lies on the wire.
#[derive(Debug, Clone, Copy)]
enum Arg {
    /// That many octets of plain numbers or bits.
    Octets(usize),
    /// Short string that must be UTF-8 (CON-97).
    Short,
    Long,
    Table,
}

/// The arguments of each method, in wire order (chapter 10.5).
fn shape(id: MethodId) -> Option<&'static [Arg]> {
    use Arg::{Long, Octets, Short, Table};
    Some(match (id.class, id.method) {
        (10, 10) => &[Octets(2), Table, Long, Long],
        (10, 11) => &[Table, Short, Long, Short],
        (10, 20) | (10, 21) => &[Long],
        (10, 30) | (10, 31) => &[Octets(8)],
        (10, 40) => &[Short, Short, Octets(1)],
        (10, 41) | (10, 60) => &[Short],
        (10, 50) | (20, 40) => &[Octets(2), Short, Octets(4)],
        (10, 70) => &[Long, Short],
        (10, 51) | (10, 61) | (10, 71) | (20, 41) => &[],
        (20, 10) => &[Short],
        (20, 11) => &[Long],
        (20, 20) | (20, 21) => &[Octets(1)],
        (30, 10) => &[Short, Octets(1)],
        (30, 11) => &[Octets(2)],
        (40, 10) => &[Octets(2), Short, Short, Octets(1), Table],
        (40, 20) | (50, 30) | (50, 40) => &[Octets(2), Short, Octets(1)],
        (40, 30) | (40, 40) => &[Octets(2), Short, Short, Short, Octets(1), Table],
        (40, 11) | (40, 21) | (40, 31) | (40, 51) => &[],
        (50, 10) => &[Octets(2), Short, Octets(1), Table],
        (50, 11) => &[Short, Octets(8)],
        (50, 20) => &[Octets(2), Short, Short, Short, Octets(1), Table],
        (50, 50) => &[Octets(2), Short, Short, Short, Table],
        (50, 31) | (50, 41) => &[Octets(4)],
        (50, 21) | (50, 51) => &[],
        (60, 10) => &[Octets(7)],
        (60, 20) => &[Octets(2), Short, Short, Octets(1), Table],
        (60, 21) | (60, 31) | (60, 72) => &[Short],
        (60, 30) => &[Short, Octets(1)],
        (60, 40) => &[Octets(2), Short, Short, Octets(1)],
        (60, 50) => &[Octets(2), Short, Short, Short],
        (60, 60) => &[Short, Octets(9), Short, Short],
        (60, 70) => &[Octets(2), Short, Octets(1)],
        (60, 71) => &[Octets(9), Short, Short, Octets(4)],
        (60, 80) | (60, 90) | (60, 120) => &[Octets(9)],
        (60, 100) | (60, 110) | (85, 10) => &[Octets(1)],
        (60, 11) | (60, 111) | (85, 11) => &[],
        (90, 10) | (90, 11) | (90, 20) | (90, 21) | (90, 30) | (90, 31) => &[],
        _ => return None,
    })
}

/// Decodes a method payload that came from a peer.
///
/// `depth_max` bounds the nesting of tables and arrays. Errors are connection errors: 501 for arguments
/// that do not fit (CON-95, CON-96, CON-97), 540 for unknown methods (CON-98), 502 for bad tables (CON-99).
pub fn parse(payload: &[u8], depth_max: usize) -> Result<AMQPClass, Failure> {
    let Some(id) = MethodId::parse(payload) else {
        let text = format!("type 1, {}: unknown_frame", preview(payload));
        return Err(Failure::connection(ReplyCode::FrameError, text));
    };
    let Some(shape) = shape(id) else {
        let text = format!("unknown method {}.{}", id.class, id.method);
        return Err(Failure::connection(ReplyCode::NotImplemented, text).at(id));
    };
    check_arguments(payload, shape, depth_max).map_err(|failure| failure.at(id))?;
    match all_consuming(parse_class).parse(payload) {
        Ok((_, class)) => Ok(class),
        Err(_) => Err(cannot_decode(payload).at(id)),
    }
}

fn check_arguments(payload: &[u8], shape: &[Arg], depth_max: usize) -> Result<(), Failure> {
    let mut reader = Reader::new(payload.get(4..).unwrap_or_default());
    let truncated = |_: Truncated| cannot_decode(payload);
    for arg in shape {
        match *arg {
            Arg::Octets(count) => drop(reader.take(count).map_err(truncated)?),
            Arg::Long => drop(reader.long().map_err(truncated)?),
            Arg::Short => {
                let octets = reader.short().map_err(truncated)?;
                if std::str::from_utf8(octets).is_err() {
                    return Err(Failure::connection(ReplyCode::FrameError, "Malformed UTF-8 in shortstr"));
                }
            }
            Arg::Table => {
                let body = reader.long().map_err(truncated)?;
                check_table(body, depth_max).map_err(|error| bad_table(&error))?;
            }
        }
    }
    if reader.is_empty() { Ok(()) } else { Err(cannot_decode(payload)) }
}

/// The answer to arguments that do not fit their method (CON-96).
pub fn cannot_decode(payload: &[u8]) -> Failure {
    let text = format!("cannot decode {}", octets(payload.get(..16).unwrap_or(payload)));
    Failure::connection(ReplyCode::FrameError, text)
}

/// The answer to a field table that cannot be read (CON-99, CON-100).
pub fn bad_table(error: &TableError) -> Failure {
    let failure = Failure::connection(ReplyCode::SyntaxError, format!("malformed field table: {error}"));
    if *error == TableError::TooDeep { failure.over(Limit::TableDepth) } else { failure }
}

/// `all octets = <<...>>` or `first 16 octets = <<...>>` (chapter 1.9).
pub fn preview(payload: &[u8]) -> String {
    match payload.get(..16) {
        Some(head) if head.len() < payload.len() => format!("first 16 octets = {}", octets(head)),
        _ => format!("all octets = {}", octets(payload)),
    }
}

/// Octets in Erlang's notation: a quoted string when printable, numbers otherwise.
fn octets(bytes: &[u8]) -> String {
    if !bytes.is_empty() && bytes.iter().all(|byte| (b' '..=b'~').contains(byte) && *byte != b'"') {
        return format!("<<\"{}\">>", String::from_utf8_lossy(bytes));
    }
    let numbers: Vec<String> = bytes.iter().map(u8::to_string).collect();
    format!("<<{}>>", numbers.join(","))
}

/// Appends one method frame.
///
/// Ours are small and well formed; should one not fit what the generator takes, nothing is appended.
pub fn encode(out: &mut Vec<u8>, channel: ChannelId, class: AMQPClass) {
    let start = out.len();
    let frame = AMQPFrame::Method(channel, class);
    match gen_frame(&frame)(WriteContext::from(std::mem::take(out))) {
        Ok(context) => *out = context.into_inner().0,
        Err(error) => debug_assert!(false, "a method of ours could not be written: {error}"),
    }
    debug_assert!(out.last() == Some(&END) && out.get(start) == Some(&FrameKind::Method.octet()));
}

#[cfg(test)]
mod tests {
    use amq_protocol::protocol::{basic, queue};

    use super::*;

    fn payload_of(class: AMQPClass) -> Vec<u8> {
        let mut out = Vec::new();
        encode(&mut out, 1, class);
        out[7..out.len() - 1].to_vec()
    }

    #[test]
    fn methods_survive_a_round_trip() {
        let declare = AMQPClass::Queue(queue::AMQPMethod::Declare(queue::Declare {
            queue: "q".into(),
            durable: true,
            ..queue::Declare::default()
        }));
        assert_eq!(parse(&payload_of(declare.clone()), 32).unwrap(), declare);
    }

    #[test]
    fn con_96_trailing_octets_and_missing_octets_are_501() {
        let mut payload = payload_of(AMQPClass::Basic(basic::AMQPMethod::QosOk(basic::QosOk {})));
        payload.push(0);
        let failure = parse(&payload, 32).unwrap_err();
        assert_eq!(failure.code, ReplyCode::FrameError);
        assert_eq!(failure.method, MethodId { class: 60, method: 11 });
        assert!(failure.text.starts_with("FRAME_ERROR - cannot decode <<"));
        assert_eq!(parse(&[0, 60, 0, 10, 0], 32).unwrap_err().code, ReplyCode::FrameError);
    }

    #[test]
    fn con_97_names_must_be_utf_8() {
        let payload = [&[0, 50, 0, 10, 0, 0, 1, 0xff, 0][..], &[0, 0, 0, 0]].concat();
        let failure = parse(&payload, 32).unwrap_err();
        assert_eq!(failure.text, "FRAME_ERROR - Malformed UTF-8 in shortstr");
    }

    #[test]
    fn con_98_unknown_methods_are_540_with_their_ids() {
        let failure = parse(&[0, 99, 0, 7], 32).unwrap_err();
        assert_eq!(failure.code, ReplyCode::NotImplemented);
        assert_eq!(failure.method, MethodId { class: 99, method: 7 });
    }
}
