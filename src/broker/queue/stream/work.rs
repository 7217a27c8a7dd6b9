//! What a stream asks for beside messages to consumers: reading, writing and removing parts of its files.

use super::{filter::ChunkFilter, segments::Chunk};
use crate::broker::queue::Entry;

/// Work for whoever keeps the files; collected under the queue's lock, done without it.
#[derive(Debug, Default)]
pub struct StreamWork {
    /// Chunks to read, each with its segment's name; to be answered by `chunk_read`.
    pub reads: Vec<(u64, Chunk)>,
    /// There is something to write, now or in a while.
    pub writes: bool,
    /// Segments that are gone.
    pub dropped: Vec<u64>,
    /// Stored offsets have changed.
    pub offsets: bool,
    /// A consumer passed over many messages that it does not want: to be gone on with.
    pub more: bool,
}

/// Messages to be written to the file of a segment, as one chunk.
#[derive(Debug)]
pub struct ChunkOut {
    /// The segment's name.
    pub segment: u64,
    pub first: u64,
    pub entries: Vec<Entry>,
    pub filter: ChunkFilter,
}

/// A published batch, for the log: when it is durable, so is everything in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    pub first: u64,
    pub end: u64,
    /// Whether somebody waits to read it.
    pub urgent: bool,
}
