//! What a stream is declared as, and what a consumer of it asks for.

use crate::broker::{Millis, consumer_arguments::StreamOffset};

/// The rules of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamSettings {
    /// A segment that would grow beyond this is closed, in octets.
    pub segment_bytes: u64,
    /// All segments together should not be larger.
    pub max_bytes: Option<u64>,
    /// What is older should go, in milliseconds.
    pub max_age: Option<Millis>,
    /// Octets of the filter of each chunk.
    pub filter_bytes: usize,
    /// Whether there are files behind it; else everything is in memory.
    pub has_files: bool,
}

/// A segment without an argument that says otherwise (QUE-39).
const SEGMENT_BYTES: u64 = 500_000_000;
/// Octets that a chunk's filter has unless declared (QUE-40).
const FILTER_BYTES: usize = 16;
/// Octets of a stream without files at most, whatever was declared; the oldest segments go.
pub const MEMORY_MAX: u64 = 256 << 20;
/// Octets of a segment without a file at most, so that there are several.
const MEMORY_SEGMENT_MAX: u64 = MEMORY_MAX / 16;

impl StreamSettings {
    /// The rules that a declare asks for.
    pub fn new(
        segment_bytes: Option<u64>,
        max_bytes: Option<u64>,
        max_age: Option<Millis>,
        filter_bytes: Option<u8>,
        has_files: bool,
    ) -> StreamSettings {
        let segment_bytes = segment_bytes.unwrap_or(SEGMENT_BYTES);
        let filter_bytes = filter_bytes.map_or(FILTER_BYTES, usize::from);
        if has_files {
            return StreamSettings { segment_bytes, max_bytes, max_age, filter_bytes, has_files };
        }
        let max_bytes = Some(max_bytes.map_or(MEMORY_MAX, |max| max.min(MEMORY_MAX)));
        let segment_bytes = segment_bytes.min(MEMORY_SEGMENT_MAX);
        StreamSettings { segment_bytes, max_bytes, max_age, filter_bytes, has_files }
    }
}

/// What a consumer of a stream reads.
#[derive(Debug, Clone, Default)]
pub struct StreamRead {
    /// Deliveries that may wait for their acknowledgement; not zero.
    pub prefetch: u16,
    pub offset: StreamOffset,
    /// Only messages with one of these filter values; empty for all.
    pub filters: Vec<Vec<u8>>,
    /// Whether messages without a filter value pass, too.
    pub match_unfiltered: bool,
    /// Under which name the stream remembers how far it was read.
    pub name: Option<Vec<u8>>,
    /// Of the consumers with its name only one reads.
    pub single_active: bool,
    /// The stream's number among those of a super stream; it decides which one reads.
    pub partition: u64,
}
