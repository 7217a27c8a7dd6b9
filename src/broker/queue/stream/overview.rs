//! What operators see of a stream: its segments, its readers and where they are, what it keeps.

use super::Stream;
use crate::broker::{
    Millis,
    queue::{Entry, Outlet},
};

/// Segments, readers and names that are shown at most: the newest segments, the readers furthest behind.
const SHOWN_MAX: usize = 1_000;

/// A stream at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StreamOverview {
    /// The oldest offset kept, and that of the next message.
    pub first: u64,
    pub next: u64,
    /// Consumers see what is before this.
    pub committed: u64,
    pub bytes: u64,
    pub segment_count: usize,
    /// A segment is full with so many octets.
    pub segment_bytes: u64,
    /// What is older, or beyond so many octets, goes with its segment.
    pub max_bytes: Option<u64>,
    pub max_age: Option<Millis>,
    /// The newest first.
    pub segments: Vec<SegmentOverview>,
    /// The one furthest behind first.
    pub readers: Vec<ReaderOverview>,
    /// Names that go on somewhere, whether somebody reads under them or not.
    pub names: Vec<(String, u64)>,
}

/// A segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentOverview {
    pub first: u64,
    pub end: u64,
    pub bytes: u64,
    /// When its last message was published; 0 before there is one.
    pub last_time: Millis,
    /// Chunks that are in its file.
    pub chunks: usize,
}

/// A consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReaderOverview {
    pub name: Option<String>,
    /// The next offset that it looks at.
    pub next: u64,
    pub unacknowledged: u32,
    /// Whether it takes turns with others of its name, and whether it is its turn.
    pub single_active: bool,
    pub is_active: bool,
    pub is_filtered: bool,
}

fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

impl<O: Outlet> Stream<O> {
    /// Messages from some place on, counted from the first that is kept; true when they are not in memory.
    pub fn look(&self, place: usize, count: usize) -> (Vec<Entry>, bool) {
        let from = self.segments.first().saturating_add(place as u64);
        match self.tail.first() {
            Some(first) if first <= from => {
                (self.tail.range(from, self.committed).take(count).cloned().collect(), false)
            }
            _ => (Vec::new(), from < self.committed),
        }
    }

    pub fn overview(&self) -> StreamOverview {
        let segment = |segment: &super::Segment| SegmentOverview {
            first: segment.first,
            end: segment.end,
            bytes: segment.bytes,
            last_time: segment.last_time,
            chunks: segment.chunks.len(),
        };
        let mut readers: Vec<ReaderOverview> = self
            .readers
            .values()
            .map(|reader| ReaderOverview {
                name: reader.name.as_deref().map(shown),
                next: reader.next,
                unacknowledged: reader.unacknowledged(),
                single_active: reader.single_active,
                is_active: reader.is_active,
                is_filtered: reader.filter.is_some(),
            })
            .collect();
        readers.sort_by_key(|reader| reader.next);
        readers.truncate(SHOWN_MAX);
        StreamOverview {
            first: self.segments.first(),
            next: self.segments.next(),
            committed: self.committed,
            bytes: self.segments.bytes(),
            segment_count: self.segments.count(),
            segment_bytes: self.settings.segment_bytes,
            max_bytes: self.settings.max_bytes,
            max_age: self.settings.max_age,
            segments: self.segments.newest(SHOWN_MAX).map(segment).collect(),
            readers,
            names: self.names.offsets().take(SHOWN_MAX).map(|(name, at)| (shown(name), at)).collect(),
        }
    }
}
