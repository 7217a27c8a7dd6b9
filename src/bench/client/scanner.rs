//! Counts messages in a stream of frames by looking at little more than frame sizes.
//!
//! The consumer's whole work per message, so it copies nothing and never touches a body.

use crate::bench::client::{
    inbound::{read_u32, read_u64},
    wire::{BODY, FRAME_OVERHEAD, FRAME_PREFIX, HEADER, METHOD, id},
};

/// Where in the stream of contents we are.
#[derive(Debug, Default)]
pub struct Scanner {
    /// Bytes of a body frame that the next blocks still bring.
    skip: usize,
    /// Body bytes that frames not yet seen will bring.
    body_left: u64,
    /// The frame being skipped is the last one of its message.
    ends_message: bool,
    complete: u64,
}

/// Why a scan stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The block is used up, but for the start of a frame.
    NeedMore,
    /// Next is a complete method frame of this length that is no delivery.
    Method { length: usize },
}

impl Scanner {
    /// Messages that have arrived in full.
    pub fn complete(&self) -> u64 {
        self.complete
    }

    /// Goes through `block`; returns how far it came, and why not further.
    pub fn scan(&mut self, block: &[u8]) -> (usize, Stop) {
        let mut at = self.skip.min(block.len());
        self.skip -= at;
        if self.skip > 0 {
            return (at, Stop::NeedMore);
        }
        if std::mem::take(&mut self.ends_message) {
            self.complete += 1;
        }
        loop {
            let rest = &block[at..];
            if rest.len() < FRAME_PREFIX {
                return (at, Stop::NeedMore);
            }
            let length = read_u32(rest, 3) as usize + FRAME_OVERHEAD;
            // The header frame's body size ends at byte 19; a method's identifier at byte 11.
            let wanted = match rest[0] {
                METHOD if read_u32(rest, FRAME_PREFIX) == id::BASIC_DELIVER => FRAME_PREFIX + 4,
                METHOD => length,
                HEADER => FRAME_PREFIX + 12,
                _ => FRAME_PREFIX,
            };
            if rest.len() < wanted {
                return (at, Stop::NeedMore);
            }
            match rest[0] {
                METHOD if wanted == length => return (at, Stop::Method { length }),
                HEADER => {
                    self.body_left = read_u64(rest, FRAME_PREFIX + 4);
                    self.ends_message = self.body_left == 0;
                }
                BODY => {
                    self.body_left = self.body_left.saturating_sub((length - FRAME_OVERHEAD) as u64);
                    self.ends_message = self.body_left == 0;
                }
                _ => {}
            }
            if length > rest.len() {
                self.skip = length - rest.len();
                return (block.len(), Stop::NeedMore);
            }
            at += length;
            if std::mem::take(&mut self.ends_message) {
                self.complete += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::client::wire::{Envelope, Framing, push_ack, push_content};

    fn deliveries(bodies: &[usize]) -> Vec<u8> {
        let mut out = Vec::new();
        let envelope = Envelope { routing_key: "q".to_owned(), ..Envelope::default() };
        for &size in bodies {
            push_content(&mut out, Framing::Deliver, &envelope, &vec![206; size], 4096);
        }
        out
    }

    /// Feeds `stream` in blocks of at most `block` bytes, keeping leftovers as the reader does.
    fn count(stream: &[u8], block: usize) -> (u64, usize) {
        let mut scanner = Scanner::default();
        let (mut held, mut methods) = (Vec::new(), 0);
        for part in stream.chunks(block) {
            held.extend_from_slice(part);
            loop {
                let (used, stop) = scanner.scan(&held);
                held.drain(..used);
                match stop {
                    Stop::NeedMore => break,
                    Stop::Method { length } => {
                        methods += 1;
                        held.drain(..length);
                    }
                }
            }
        }
        assert!(held.is_empty());
        (scanner.complete(), methods)
    }

    #[test]
    fn every_split_of_the_stream_counts_the_same() {
        let mut stream = deliveries(&[16, 0, 1, 5000, 0]);
        push_ack(&mut stream, 1, false);
        stream.extend(deliveries(&[8176, 3]));
        for block in 1..200 {
            assert_eq!(count(&stream, block), (7, 1), "blocks of {block}");
        }
        assert_eq!(count(&stream, stream.len()), (7, 1));
    }

    #[test]
    fn a_message_counts_with_its_last_byte() {
        let stream = deliveries(&[5000]);
        let mut scanner = Scanner::default();
        let (used, _) = scanner.scan(&stream[..stream.len() - 1]);
        assert_eq!((used, scanner.complete()), (stream.len() - 1, 0));
        scanner.scan(&stream[used..]);
        assert_eq!(scanner.complete(), 1);
    }
}
