//! What waits to be written to a connection's socket: small octets in one buffer, large bodies beside it.

use std::{collections::VecDeque, io::IoSlice};

use bytes::Bytes;

use crate::{
    amqp::{
        AMQPClass, ChannelId, encode,
        frame::{END, OVERHEAD},
        method,
    },
    broker::Message,
    store::Position,
};

/// Pieces of a body from this many octets on are not copied but written from where they are.
const BESIDE_MIN: usize = 4096;
/// A spare buffer that has grown beyond this many octets is not kept.
const SPARE_MAX: usize = 1 << 20;
/// Slices that one vectored write takes.
pub const SLICES_MAX: usize = 64;

/// Octets on their way out, in order.
#[derive(Debug, Default)]
pub struct Output {
    buffer: Vec<u8>,
    /// How much of `buffer` is written.
    written: usize,
    /// Large bodies: each belongs before the octet of `buffer` at its position.
    beside: VecDeque<(usize, Bytes)>,
    beside_length: usize,
    /// From these octets of `buffer` on, everything waits for a position of the log.
    holds: VecDeque<(usize, Position)>,
}

impl Output {
    /// Octets that wait.
    pub fn len(&self) -> usize {
        self.buffer.len() - self.written + self.beside_length
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether anything may be written now.
    pub fn is_writable(&self) -> bool {
        let first_large = self.beside.front().map_or(usize::MAX, |(position, _)| *position);
        !self.is_empty()
            && self.holds.front().is_none_or(|(hold, _)| self.written < *hold || first_large <= *hold)
    }

    /// What is appended from here on waits until a position of the log is durable.
    pub fn hold(&mut self, position: Position) {
        if self.holds.back().is_none_or(|(_, last)| *last < position) {
            self.holds.push_back((self.buffer.len(), position));
        }
    }

    /// The position that the next part of the output waits for.
    pub fn held_for(&self) -> Option<Position> {
        self.holds.front().map(|(_, position)| *position)
    }

    /// Lets the next part go.
    pub fn release(&mut self) {
        self.holds.pop_front();
    }

    /// Throws away what waits for the log, for good: it would promise what is not.
    pub fn forget_holds(&mut self) {
        if let Some((hold, _)) = self.holds.front().copied() {
            self.holds.clear();
            self.buffer.truncate(hold);
            while self.beside.back().is_some_and(|(position, _)| hold < *position) {
                if let Some((_, large)) = self.beside.pop_back() {
                    self.beside_length -= large.len();
                }
            }
        }
    }

    /// The buffer to append small frames to.
    #[inline]
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Appends a method frame.
    pub fn method(&mut self, channel: ChannelId, class: impl Into<Method>) {
        method::encode(&mut self.buffer, channel, class.into().0);
    }

    /// Appends content header and body frames (WIR-04: bodies are split at exactly `frame_max` - 8).
    #[inline]
    pub fn content(&mut self, channel: ChannelId, message: &Message, frame_max: u32) {
        self.content_with(channel, message, message.properties(), frame_max);
    }

    /// As [`Output::content`], with properties in place of the message's own.
    #[inline]
    pub fn content_with(&mut self, channel: ChannelId, message: &Message, properties: &[u8], frame_max: u32) {
        let payload_max = frame_max as usize - OVERHEAD;
        encode::content_header(&mut self.buffer, channel, message.body_length(), properties);
        match message.inline_body() {
            Some([]) => {}
            Some(body) => {
                for part in body.chunks(payload_max) {
                    encode::body(&mut self.buffer, channel, part);
                }
            }
            None => self.pieces(channel, message, payload_max),
        }
    }

    fn pieces(&mut self, channel: ChannelId, message: &Message, payload_max: usize) {
        let mut remaining = usize::try_from(message.body_length()).unwrap_or(usize::MAX);
        let mut pieces = message.pieces().iter();
        let mut piece = Bytes::new();
        while remaining != 0 {
            let mut frame = remaining.min(payload_max);
            remaining -= frame;
            encode::body_head(&mut self.buffer, channel, frame);
            while frame != 0 {
                if piece.is_empty() {
                    match pieces.next() {
                        Some(next) => piece = next.clone(),
                        None => return debug_assert!(false, "a body is as long as its pieces"),
                    }
                }
                let part = piece.split_to(piece.len().min(frame));
                frame -= part.len();
                self.put(part);
            }
            self.buffer.push(END);
        }
    }

    fn put(&mut self, octets: Bytes) {
        if octets.len() < BESIDE_MIN {
            self.buffer.extend_from_slice(&octets);
        } else {
            self.beside_length += octets.len();
            self.beside.push_back((self.buffer.len(), octets));
        }
    }

    /// Fills `slices` with what is next; returns how many were filled.
    pub fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>; SLICES_MAX]) -> usize {
        let mut filled = 0;
        let mut at = self.written;
        let end = self.holds.front().map_or(self.buffer.len(), |(hold, _)| *hold);
        let mut push = |octets: &'a [u8]| {
            if let Some(slice) = slices.get_mut(filled).filter(|_| !octets.is_empty()) {
                *slice = IoSlice::new(octets);
                filled += 1;
            }
        };
        let free = self.beside.iter().take_while(|(position, _)| *position <= end);
        for (position, octets) in free.take(SLICES_MAX / 2) {
            push(self.buffer.get(at..*position).unwrap_or_default());
            push(octets);
            at = *position;
        }
        if self.beside.get(SLICES_MAX / 2).is_none_or(|(position, _)| end < *position) {
            push(self.buffer.get(at..end).unwrap_or_default());
        }
        filled
    }

    /// So many octets were written.
    pub fn advance(&mut self, mut octets: usize) {
        loop {
            let until = self.beside.front().map_or(self.buffer.len(), |(position, _)| *position);
            let small = octets.min(until - self.written);
            self.written += small;
            octets -= small;
            if octets == 0 && self.written < until {
                break;
            }
            let Some((_, large)) = self.beside.front_mut() else { break };
            let part = octets.min(large.len());
            let _ = large.split_to(part);
            self.beside_length -= part;
            octets -= part;
            if !large.is_empty() {
                break;
            }
            self.beside.pop_front();
        }
        if self.is_empty() {
            self.buffer.clear();
            self.written = 0;
        }
    }

    /// Uses `spare` as the buffer while there is none; connections of a thread share one that way.
    pub fn lend(&mut self, spare: &mut Vec<u8>) {
        if self.buffer.capacity() == 0 {
            std::mem::swap(&mut self.buffer, spare);
        }
    }

    /// Gives the buffer back when nothing waits in it.
    pub fn take_back(&mut self, spare: &mut Vec<u8>) {
        if self.is_empty() {
            let buffer = std::mem::take(&mut self.buffer);
            if spare.capacity() == 0 && buffer.capacity() <= SPARE_MAX {
                *spare = buffer;
            }
        }
    }
}

/// A method of any class, so that callers need not wrap twice.
pub struct Method(AMQPClass);

macro_rules! method_of {
    ($($class:ident: $module:ident),*) => {
        $(impl From<crate::amqp::$module::AMQPMethod> for Method {
            fn from(method: crate::amqp::$module::AMQPMethod) -> Method {
                Method(AMQPClass::$class(method))
            }
        })*
    };
}

method_of!(Basic: basic, Exchange: exchange, Queue: queue, Channel: channel, Confirm: confirm, Tx: tx, Access: access);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::Parts;

    const PARTS: Parts<'static> = Parts {
        exchange: b"",
        routing_key: b"q",
        properties: &[0, 0],
        persistent: false,
        priority: 0,
        expiration: None,
        account: crate::broker::memory::Account::UNCOUNTED,
    };

    /// Writes everything out in portions of `portion` octets.
    fn drain(output: &mut Output, portion: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while !output.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let filled = output.slices(&mut slices);
            let octets: Vec<u8> = slices[..filled].iter().flat_map(|slice| slice.to_vec()).collect();
            let part = portion.min(octets.len());
            assert_ne!(part, 0, "something waits, so something can be written");
            all.extend_from_slice(&octets[..part]);
            output.advance(part);
        }
        all
    }

    #[test]
    fn wir_04_bodies_are_split_at_the_frame_size_whatever_pieces_they_came_in() {
        let body: Vec<u8> = (0..40_000u32).map(|n| n as u8).collect();
        let mut expected = Vec::new();
        encode::content_header(&mut expected, 1, body.len() as u64, &[0, 0]);
        body.chunks(4088).for_each(|part| encode::body(&mut expected, 1, part));
        for piece in [1000, 4088, 5000, 16_384, 40_000] {
            let pieces = body.chunks(piece).map(Bytes::copy_from_slice).collect();
            let message = Message::from_pieces(&PARTS, pieces, &mut Vec::new());
            for portion in [97, 4096, usize::MAX] {
                let mut output = Output::default();
                output.content(1, &message, 4096);
                assert_eq!(output.len(), expected.len());
                assert_eq!(drain(&mut output, portion), expected, "pieces {piece}, portions {portion}");
            }
        }
    }
}
