//! The segments of a stream: which offsets there are, in which chunks of which files, and what goes first.

use std::collections::VecDeque;

use super::{filter::ChunkFilter, settings::StreamSettings};
use crate::broker::Millis;

/// Segments smaller than [`SMALL`] that there may be: each is a file, and clients choose their size.
const SMALL_SEGMENTS_MAX: usize = 1_024;
/// Octets of a segment when there are so many.
const SMALL: u64 = 1 << 20;

/// Neighbouring messages that were written together, and are read together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    pub first: u64,
    /// The offset behind its last message.
    pub end: u64,
    /// Where it lies in its segment's file.
    pub position: u64,
    pub length: u64,
    /// When its last message was published.
    pub last_time: Millis,
    pub filter: ChunkFilter,
}

/// A part of a stream that is thrown away as a whole; its first offset names it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Segment {
    pub first: u64,
    pub end: u64,
    /// Octets of its messages.
    pub bytes: u64,
    /// When its last message was published.
    pub last_time: Millis,
    /// What of it is in its file, in order.
    pub chunks: Vec<Chunk>,
}

/// All segments, the oldest first. Invariant: there is at least one, and each begins where the one before
/// ends. Offsets may be missing within, where something was lost or never became durable.
#[derive(Debug)]
pub struct Segments {
    all: VecDeque<Segment>,
    bytes: u64,
}

impl Segments {
    pub fn new(first: u64) -> Segments {
        let segment = Segment { first, end: first, ..Segment::default() };
        Segments { all: [segment].into(), bytes: 0 }
    }

    /// Segments that a restart found, in order.
    pub fn restored(found: Vec<Segment>) -> Segments {
        if found.is_empty() {
            return Segments::new(0);
        }
        let bytes = found.iter().map(|segment| segment.bytes).sum();
        Segments { all: found.into(), bytes }
    }

    pub fn count(&self) -> usize {
        self.all.len()
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The oldest offset kept.
    pub fn first(&self) -> u64 {
        self.all.front().map_or(0, |segment| segment.first)
    }

    /// The offset of the next message.
    pub fn next(&self) -> u64 {
        self.all.back().map_or(0, |segment| segment.end)
    }

    /// Continues at a higher offset: what is in between does not exist.
    pub fn skip_to(&mut self, offset: u64) {
        if let Some(last) = self.all.back_mut() {
            if last.bytes == 0 && last.chunks.is_empty() {
                last.first = last.first.max(offset);
            }
            last.end = last.end.max(offset);
        }
    }

    /// When the last message was published.
    pub fn last_time(&self) -> Millis {
        self.all.iter().rev().map(|segment| segment.last_time).find(|time| *time != 0).unwrap_or(0)
    }

    /// Adds a message of so many octets; true when a new segment begins with it.
    pub fn push(&mut self, bytes: u64, time: Millis, segment_max: u64) -> bool {
        let segment_max =
            if SMALL_SEGMENTS_MAX <= self.all.len() { segment_max.max(SMALL) } else { segment_max };
        let is_full = self
            .all
            .back()
            .is_none_or(|last| last.first != last.end && segment_max < last.bytes.saturating_add(bytes));
        if is_full {
            let first = self.next();
            self.all.push_back(Segment { first, end: first, ..Segment::default() });
        }
        if let Some(last) = self.all.back_mut() {
            last.end += 1;
            last.bytes += bytes;
            last.last_time = last.last_time.max(time);
        }
        self.bytes += bytes;
        is_full
    }

    /// Takes the oldest segment away if it is too old, or all are too large (STR-11). The last one stays.
    pub fn expire(&mut self, settings: &StreamSettings, now: Millis) -> Option<Segment> {
        let oldest = self.all.front().filter(|_| 1 < self.all.len())?;
        let is_too_large = settings.max_bytes.is_some_and(|max| max < self.bytes);
        let is_too_old = settings.max_age.is_some_and(|age| oldest.last_time.saturating_add(age) < now);
        if !is_too_large && !is_too_old {
            return None;
        }
        let gone = self.all.pop_front()?;
        self.bytes -= gone.bytes;
        Some(gone)
    }

    /// The segment that an offset belongs to: its name, and the offset behind it.
    pub fn bounds(&self, offset: u64) -> Option<(u64, u64)> {
        self.segment(offset).map(|segment| (segment.first, segment.end))
    }

    fn segment(&self, offset: u64) -> Option<&Segment> {
        let after = self.all.partition_point(|segment| segment.first <= offset);
        self.all.get(after.checked_sub(1)?)
    }

    /// A chunk was written; false when its segment is gone.
    pub fn add_chunk(&mut self, name: u64, chunk: Chunk) -> bool {
        let found = self.all.binary_search_by_key(&name, |segment| segment.first);
        let Some(segment) = found.ok().and_then(|at| self.all.get_mut(at)) else { return false };
        segment.chunks.push(chunk);
        true
    }

    /// The chunk with an offset, or the next one if the offset is in none; and the name of its segment.
    pub fn chunk(&self, offset: u64) -> Option<(u64, &Chunk)> {
        let after = self.all.partition_point(|segment| segment.first <= offset);
        let mut segments = self.all.range(after.saturating_sub(1)..);
        segments.find_map(|segment| {
            let at = segment.chunks.partition_point(|chunk| chunk.end <= offset);
            segment.chunks.get(at).map(|chunk| (segment.first, chunk))
        })
    }

    /// The first offset of the chunk that may hold the first message not older than `time`, if a file does.
    pub fn chunk_at(&self, time: Millis) -> Option<u64> {
        let at = self.all.partition_point(|segment| {
            segment.chunks.last().is_none_or(|chunk| chunk.last_time < time) && segment.last_time < time
        });
        let mut chunks = self.all.range(at..).flat_map(|segment| &segment.chunks);
        chunks.find(|chunk| time <= chunk.last_time).map(|chunk| chunk.first)
    }

    /// The last chunk in a file.
    pub fn last_chunk(&self) -> Option<&Chunk> {
        self.all.iter().rev().find_map(|segment| segment.chunks.last())
    }

    /// So many of them, the newest first.
    pub fn newest(&self, count: usize) -> impl Iterator<Item = &Segment> {
        self.all.iter().rev().take(count)
    }

    /// The names of all segments.
    pub fn names(&self) -> impl Iterator<Item = u64> {
        self.all.iter().map(|segment| segment.first)
    }
}
