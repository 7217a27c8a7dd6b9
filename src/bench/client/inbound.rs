//! Reading: a large buffer in front of a socket, seen as frames or as raw bytes.

use std::{
    io::{ErrorKind, Read},
    net::TcpStream,
    time::{Duration, Instant},
};

use crate::bench::{
    client::wire::{FRAME_OVERHEAD, FRAME_PREFIX, read_short_string},
    error::{BenchError, Result},
};

/// How long `wait_frame` waits.
const ANSWER_WAIT: Duration = Duration::from_secs(30);

/// A socket's incoming bytes.
pub struct Inbound {
    stream: TcpStream,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
}

/// What a read brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fill {
    Data,
    /// The read timeout of the socket passed.
    Idle,
    End,
}

/// One complete frame.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    pub kind: u8,
    pub payload: &'a [u8],
}

impl Frame<'_> {
    /// The method's identifier, for a method frame.
    pub fn method_id(&self) -> u32 {
        read_u32(self.payload, 0)
    }

    /// The frame's arguments as the error a close method stands for.
    pub fn close_reason(&self) -> BenchError {
        let code = self.payload.get(4..6).map_or(0, |code| u16::from_be_bytes([code[0], code[1]]));
        let text = self.payload.get(6..).and_then(read_short_string).map_or("", |(text, _)| text);
        BenchError::Closed { code, text: text.to_owned() }
    }
}

/// The big-endian number at `offset`, or 0 if the bytes end before.
pub fn read_u32(bytes: &[u8], offset: usize) -> u32 {
    bytes.get(offset..offset + 4).map_or(0, |four| u32::from_be_bytes(four.try_into().expect("four bytes")))
}

/// The big-endian number at `offset`, or 0 if the bytes end before.
pub fn read_u64(bytes: &[u8], offset: usize) -> u64 {
    bytes
        .get(offset..offset + 8)
        .map_or(0, |eight| u64::from_be_bytes(eight.try_into().expect("eight bytes")))
}

impl Inbound {
    /// Reads up to `block` octets at once; a frame must fit.
    pub fn new(stream: TcpStream, block: usize) -> Inbound {
        Inbound { stream, buffer: vec![0; block].into_boxed_slice(), start: 0, end: 0 }
    }

    /// Lets `fill` return `Idle` after this long.
    pub fn set_timeout(&self, timeout: Option<Duration>) -> Result<()> {
        Ok(self.stream.set_read_timeout(timeout)?)
    }

    /// What has been read and not consumed.
    pub fn data(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    pub fn consume(&mut self, bytes: usize) {
        self.start += bytes;
        debug_assert!(self.start <= self.end);
    }

    /// One read behind what is still there.
    pub fn fill(&mut self) -> Result<Fill> {
        // Leftovers are a fraction of a frame, so moving them is cheaper than a ring.
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.end == self.buffer.len() {
            return Err(BenchError::Unexpected("a frame above the agreed frame-max".to_owned()));
        }
        loop {
            match self.stream.read(&mut self.buffer[self.end..]) {
                Ok(0) => return Ok(Fill::End),
                Ok(count) => {
                    self.end += count;
                    return Ok(Fill::Data);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Ok(Fill::Idle);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Takes the next frame if all of it is here.
    pub fn take_frame(&mut self) -> Option<Frame<'_>> {
        let total = complete_frame(self.data())?;
        let frame = &self.buffer[self.start..self.start + total];
        self.start += total;
        Some(Frame { kind: frame[0], payload: &frame[FRAME_PREFIX..total - 1] })
    }

    /// Whether `take_frame` would give one.
    pub fn has_frame(&self) -> bool {
        complete_frame(self.data()).is_some()
    }

    /// Waits for the next frame, for as long as an answer may take.
    pub fn wait_frame(&mut self) -> Result<Frame<'_>> {
        let start = Instant::now();
        while !self.has_frame() {
            match self.fill()? {
                Fill::Data => {}
                Fill::Idle if start.elapsed() < ANSWER_WAIT => {}
                Fill::Idle => return Err(BenchError::Unexpected("nothing for 30 s".to_owned())),
                Fill::End => {
                    return Err(BenchError::Unexpected("the broker ended the connection".to_owned()));
                }
            }
        }
        Ok(self.take_frame().expect("has_frame said so"))
    }
}

/// The length of the frame that `data` starts with, if it is complete.
fn complete_frame(data: &[u8]) -> Option<usize> {
    let prefix = data.get(..FRAME_PREFIX)?;
    let total = read_u32(prefix, 3) as usize + FRAME_OVERHEAD;
    (total <= data.len()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_complete_with_its_last_byte() {
        let frame = [1, 0, 1, 0, 0, 0, 2, 9, 9, 0xCE];
        assert_eq!(complete_frame(&frame), Some(10));
        assert_eq!(complete_frame(&[frame.as_slice(), &[1]].concat()), Some(10));
        assert_eq!(complete_frame(&frame[..9]), None);
        assert_eq!(complete_frame(&frame[..6]), None);
    }
}
