//! Messages encoded once and written over and over.

use crate::bench::client::wire::{Envelope, Framing, push_content};

/// What one write aims at; a longer run of messages is cut into several.
pub const WRITE_BYTES: usize = 256 * 1024;
/// The ring is not grown beyond this to give every envelope its turn.
const RING_BYTES_MAX: usize = 16 << 20;

/// A cycle of encoded messages.
pub struct Ring {
    bytes: Vec<u8>,
    /// Where each message starts, and at the end where the last one stops.
    starts: Vec<usize>,
    /// Where each message's body starts.
    bodies: Vec<usize>,
    position: usize,
}

impl Ring {
    /// Whole turns of `envelopes`, enough for one large write; bodies have the `sizes` in turn.
    pub fn new(framing: Framing, envelopes: &[Envelope], sizes: &[usize], frame_max: u32) -> Ring {
        let mut ring = Ring { bytes: Vec::new(), starts: vec![0], bodies: Vec::new(), position: 0 };
        let body = vec![b'x'; sizes.iter().copied().max().unwrap_or(0)];
        let mut turns = 0;
        while ring.bytes.len() < WRITE_BYTES || turns < sizes.len() {
            for (number, envelope) in envelopes.iter().enumerate() {
                // Each turn begins with another size, so that every envelope has every one.
                let body = &body[..sizes[(turns + number) % sizes.len()]];
                let start = push_content(&mut ring.bytes, framing, envelope, body, frame_max);
                ring.bodies.push(start);
                ring.starts.push(ring.bytes.len());
                if ring.bytes.len() > RING_BYTES_MAX {
                    return ring;
                }
            }
            turns += 1;
        }
        ring
    }

    fn len(&self) -> usize {
        self.bodies.len()
    }

    /// The next messages as one slice: at most `wanted`, at most about one write's worth, at least one.
    pub fn next(&mut self, wanted: u64) -> (&[u8], u64) {
        let first = self.position;
        let most = usize::try_from(wanted).unwrap_or(usize::MAX).clamp(1, self.len() - first);
        let start = self.starts[first];
        let fitting =
            self.starts[first + 1..=first + most].partition_point(|&end| end - start <= WRITE_BYTES).max(1);
        self.position = (first + fitting) % self.len();
        (&self.bytes[start..self.starts[first + fitting]], fitting as u64)
    }

    /// The next message with its body's first eight bytes replaced.
    pub fn next_stamped(&mut self, stamp: u64) -> &[u8] {
        let (first, body) = (self.position, self.bodies[self.position]);
        self.bytes[body..body + 8].copy_from_slice(&stamp.to_be_bytes());
        self.position = (first + 1) % self.len();
        &self.bytes[self.starts[first]..self.starts[first + 1]]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::client::{scanner::Scanner, wire::FRAME_MAX};

    fn ring(keys: usize, size: usize) -> Ring {
        let envelopes: Vec<Envelope> = (0..keys)
            .map(|number| Envelope { routing_key: format!("k{number}"), ..Envelope::default() })
            .collect();
        Ring::new(Framing::Deliver, &envelopes, &[size], FRAME_MAX)
    }

    #[test]
    fn every_size_and_every_envelope_has_its_turn() {
        let envelopes =
            [Envelope::default(), Envelope { routing_key: "k".to_owned(), ..Envelope::default() }];
        let mut ring = Ring::new(Framing::Deliver, &envelopes, &[300_000, 0, 10], FRAME_MAX);
        let lengths: Vec<usize> = (0..6).map(|_| ring.next(1).0.len()).collect();
        // Without its body each message is as long as an empty one; the second envelope's key adds an octet.
        let empty = lengths[1] - 1;
        let body_frames = |size: usize| size + 8 * size.div_ceil(FRAME_MAX as usize - 8);
        let expected = [300_000, 0, 0, 10, 10, 300_000].map(body_frames);
        let bodies: Vec<usize> = (0..6).map(|number| lengths[number] - empty - number % 2).collect();
        assert_eq!(bodies, expected);
    }

    #[test]
    fn slices_hold_the_messages_they_claim() {
        for (keys, size) in [(1, 16), (7, 100), (3, 65_536), (1, 300_000)] {
            let mut ring = ring(keys, size);
            assert_eq!(ring.len() % keys, 0);
            let mut scanner = Scanner::default();
            let mut claimed = 0;
            for wanted in [1, 5, 1_000_000, 3, u64::MAX, 2] {
                let (bytes, count) = ring.next(wanted);
                claimed += count;
                assert!(count <= wanted && (count == 1 || bytes.len() <= WRITE_BYTES));
                assert_eq!(scanner.scan(bytes).0, bytes.len());
                assert_eq!(scanner.complete(), claimed);
            }
        }
    }

    #[test]
    fn a_stamp_lands_in_the_body() {
        let mut ring = ring(2, 16);
        let message = ring.next_stamped(0x0102_0304_0506_0708).to_vec();
        let body = &message[message.len() - 17..];
        assert_eq!(body[..9], [1, 2, 3, 4, 5, 6, 7, 8, b'x']);
        assert_eq!(ring.next(1).1, 1);
    }

    #[test]
    fn many_large_keys_do_not_grow_the_ring_without_bound() {
        let ring = ring(1000, 65_536);
        assert!(ring.bytes.len() < RING_BYTES_MAX + 70_000);
    }
}
