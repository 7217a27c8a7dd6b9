//! A stream and its files: what is to be written, what was, what was read, and what a restart finds.

use super::{
    Chunk, ChunkFilter, ChunkOut, Effects, Entry, Loaded, Millis, Outlet, Segment, Segments, Stream, weight,
};

/// Octets of messages that are worth a chunk.
pub const CHUNK_BYTES: u64 = 256 << 10;
/// Messages in a chunk at most.
const CHUNK_MESSAGES: usize = 16_384;
/// What is older than this is written although it is less than a chunk, in milliseconds.
const CHUNK_AGE: Millis = 5_000;
/// Octets at the end of a stream that stay in memory although they are in files.
const TAIL_BYTES: u64 = 2 << 20;
/// The same, of a stream that nobody publishes to for a while.
const TAIL_BYTES_IDLE: u64 = 64 << 10;
/// Octets that wait to be written from which on publishers should wait, too.
const UNWRITTEN_MAX: u64 = 64 << 20;

/// What a restart finds of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RestoredStream {
    pub segments: Vec<Segment>,
    /// Names and where they go on.
    pub offsets: Vec<(Vec<u8>, u64)>,
}

impl<O: Outlet> Stream<O> {
    /// Whether so much waits to be written that publishers should wait.
    pub fn is_pressed(&self) -> bool {
        self.settings.has_files && UNWRITTEN_MAX + TAIL_BYTES < self.tail.bytes()
    }

    /// Tells the writer when there is something to write, and again when it is enough for a chunk.
    pub(super) fn note_writes(&mut self, effects: &mut Effects) {
        if !self.settings.has_files || self.committed <= self.writing {
            return;
        }
        if !self.is_write_noted {
            self.is_write_noted = true;
            effects.stream().writes = true;
        }
        if !self.is_write_due && CHUNK_BYTES / 2 <= self.unwritten_bytes() {
            self.is_write_due = true;
            effects.stream().writes = true;
        }
    }

    /// About how many octets wait to be written.
    fn unwritten_bytes(&self) -> u64 {
        let all = self.tail.range(0, u64::MAX).len() as u64;
        let waiting = self.committed.saturating_sub(self.writing);
        self.tail.bytes().saturating_mul(waiting).checked_div(all).unwrap_or(0)
    }

    /// Takes the next messages to be written to a file, if they are worth it: a chunk's worth of octets, the
    /// end of a segment, or old. `None` also ends what [`super::StreamWork::writes`] asked for, unless less
    /// is left than it takes; then true says that somebody should look again in a while.
    ///
    /// To be answered by [`Stream::chunk_written`] or [`Stream::chunk_failed`].
    pub fn chunk_to_write(&mut self, now: Millis) -> Result<ChunkOut, bool> {
        let done = |stream: &mut Stream<O>| {
            stream.is_write_due = false;
            stream.is_write_noted = stream.writing < stream.committed;
            Err(stream.is_write_noted)
        };
        let Some((segment, segment_end)) = self.segments.bounds(self.writing) else { return done(self) };
        let is_closed = segment_end < self.segments.next();
        let end = if is_closed { segment_end.min(self.committed) } else { self.committed };
        let (mut bytes, mut count) = (0, 0);
        for entry in self.tail.range(self.writing, end).take(CHUNK_MESSAGES) {
            let more = bytes + weight(&entry.message);
            if count != 0 && CHUNK_BYTES < more {
                break;
            }
            (bytes, count) = (more, count + 1);
        }
        let entries: Vec<Entry> = self.tail.range(self.writing, end).take(count).cloned().collect();
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return done(self) };
        let is_full = last.sequence + 1 < end || CHUNK_BYTES / 2 <= bytes || CHUNK_MESSAGES <= count;
        let is_end = is_closed && last.sequence + 1 == segment_end;
        if !is_full && !is_end && now < first.deadline.saturating_add(CHUNK_AGE) {
            return done(self);
        }
        self.writing = last.sequence + 1;
        let first = first.sequence;
        let messages = entries.iter().map(|entry| &entry.message);
        let filter = ChunkFilter::of(messages, self.settings.filter_bytes);
        Ok(ChunkOut { segment, first, entries, filter })
    }

    /// A chunk is in its file, durably. The log need not keep its messages any more, which is the caller's to
    /// say. False when the segment is gone: then nobody needs the chunk.
    pub fn chunk_written(&mut self, segment: u64, chunk: Chunk, now: Millis) -> bool {
        let (end, last_time) = (chunk.end, chunk.last_time);
        self.written = self.written.max(end);
        let is_known = self.segments.add_chunk(segment, chunk);
        let is_idle = last_time.saturating_add(CHUNK_AGE) <= now;
        let keep = if is_idle { TAIL_BYTES_IDLE } else { TAIL_BYTES };
        while keep < self.tail.bytes() && self.tail.pop_before(self.written).is_some() {}
        self.tail.shrink();
        is_known
    }

    /// Chunks could not be written: they are to be tried again.
    pub fn chunk_failed(&mut self) {
        self.writing = self.written;
        self.is_write_noted = true;
    }

    /// A chunk that was asked for; without entries it cannot be read, and is passed over.
    pub fn chunk_read(&mut self, chunk: &Chunk, entries: Option<Vec<Entry>>, effects: &mut Effects) {
        let (first, end) = (chunk.first, chunk.end);
        let entries = entries.unwrap_or_default();
        let loaded = Loaded { first, end, entries: entries.into() };
        if self.cache.put(Some(loaded), first, self.readers.len()) {
            self.feed_all(effects);
        }
    }

    /// Where each name goes on, to be written.
    pub fn take_offsets(&mut self) -> Vec<(Vec<u8>, u64)> {
        self.are_offsets_noted = false;
        self.names.offsets().map(|(name, offset)| (name.to_vec(), offset)).collect()
    }

    /// The names of the segments that there are.
    pub fn segment_names(&self) -> Vec<u64> {
        self.segments.names().collect()
    }

    /// Fills a new stream with what its files and the log hold; `entries` in ascending order. Returns the
    /// sequences that the log need not hold, because files do or because they are too old.
    pub fn restore(
        &mut self,
        found: RestoredStream,
        entries: Vec<Entry>,
        next: u64,
        now: Millis,
        effects: &mut Effects,
    ) -> Vec<u64> {
        self.segments = Segments::restored(found.segments);
        self.names.restore(found.offsets);
        let written = self.segments.next();
        (self.written, self.writing) = (written, written);
        self.last_batch = self.segments.last_chunk().map_or(0, |chunk| chunk.first);
        let mut unneeded = Vec::new();
        for mut entry in entries {
            if entry.sequence < self.segments.next() {
                unneeded.push(entry.sequence);
                continue;
            }
            // Batches that were not durable yet when others behind them were are missing.
            self.segments.skip_to(entry.sequence);
            if entry.deadline == Millis::MAX {
                entry.deadline = now;
            }
            if self.segments.last_time() < entry.deadline || self.tail.first().is_none() {
                self.last_batch = entry.sequence;
            }
            entry.redelivered = false;
            self.segments.push(weight(&entry.message), entry.deadline, self.settings.segment_bytes);
            self.tail.push(entry);
        }
        self.segments.skip_to(next);
        if self.tail.first().is_none() {
            (self.written, self.writing) = (self.segments.next(), self.segments.next());
        }
        self.committed = self.segments.next();
        self.expire(now, effects);
        unneeded.append(&mut effects.log.gone);
        self.note_writes(effects);
        unneeded
    }
}
