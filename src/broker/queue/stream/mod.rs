//! A stream as a pure state machine: an append-only log that consumers read at their own places (STR-01 to
//! STR-13).
//!
//! Messages get offsets as they come. Consumers see them once they are committed: in the log, or at once
//! without one. The end of the stream is in memory ([`tail`]); what is older lies in files, a chunk at a time
//! ([`segments`]), and comes back when a consumer is there ([`cache`]). The stream only decides; its caller
//! reads and writes without its lock, as [`StreamWork`] asks. Reading takes nothing away: an acknowledgement
//! gives credit, and moves what is stored under the consumer's name ([`names`]).
//!
//! In entries of streams `sequence` is the offset and `deadline` the time of publishing.

mod cache;
mod files;
mod filter;
mod names;
mod overview;
mod readers;
mod segments;
mod settings;
mod tail;
#[cfg(test)]
mod tests;
mod work;

use std::collections::BTreeMap;

use cache::{Cache, Loaded};
pub use files::{CHUNK_BYTES, RestoredStream};
pub use filter::ChunkFilter;
use names::{Names, Outstanding, Turn};
pub use overview::{ReaderOverview, SegmentOverview, StreamOverview};
use readers::Reader;
use segments::Segments;
pub use segments::{Chunk, Segment};
pub use settings::{StreamRead, StreamSettings};
use tail::{Tail, weight};
pub use work::{Appended, ChunkOut, StreamWork};

use super::{ConsumerKey, Counts, Effects, Entry, Outlet};
use crate::broker::{Message, Millis, consumer_arguments::StreamOffset};

/// Messages that one operation passes over for a consumer that does not want them; more wait their turn.
const LOOK_MAX: usize = 16_384;

/// A stream.
#[derive(Debug)]
pub struct Stream<O> {
    settings: StreamSettings,
    segments: Segments,
    tail: Tail,
    /// Consumers may see what is before this.
    committed: u64,
    /// Ranges that are committed behind something that is not: first offset to end.
    committed_ahead: BTreeMap<u64, u64>,
    /// What is before this is in files, or gone; and what is before that is on its way there.
    written: u64,
    writing: u64,
    /// The writer knows that there is something to write; and that it should do it now.
    is_write_noted: bool,
    is_write_due: bool,
    /// First offset of the batch published last.
    last_batch: u64,
    cache: Cache,
    readers: BTreeMap<u32, Reader<O>>,
    next_reader: u32,
    names: Names,
    are_offsets_noted: bool,
    /// Named consumers that went away before what they were sent was settled: name, place, deliveries.
    departed: BTreeMap<u32, (Vec<u8>, u64, Outstanding)>,
    delivered: u64,
}

impl<O: Outlet> Stream<O> {
    pub fn new(settings: StreamSettings) -> Stream<O> {
        Stream {
            settings,
            segments: Segments::new(0),
            tail: Tail::default(),
            committed: 0,
            committed_ahead: BTreeMap::new(),
            written: 0,
            writing: 0,
            is_write_noted: false,
            is_write_due: false,
            last_batch: 0,
            cache: Cache::default(),
            readers: BTreeMap::new(),
            next_reader: 0,
            names: Names::default(),
            are_offsets_noted: false,
            departed: BTreeMap::new(),
            delivered: 0,
        }
    }

    pub fn counts(&self) -> Counts {
        Counts {
            ready: self.segments.next() - self.segments.first(),
            ready_bytes: self.segments.bytes(),
            // What was delivered is still there.
            unacknowledged: 0,
            unacknowledged_bytes: 0,
            consumers: u32::try_from(self.readers.len()).unwrap_or(u32::MAX),
            resting: 0,
        }
    }

    pub fn segment_count(&self) -> usize {
        self.segments.count()
    }

    /// The last offset that consumers may see.
    pub fn committed_offset(&self) -> Option<u64> {
        self.committed.checked_sub(1)
    }

    /// Octets of messages in memory.
    pub fn memory(&self) -> u64 {
        self.tail.bytes()
    }

    pub fn outlets(&self) -> impl Iterator<Item = &O> {
        self.readers.values().map(|reader| &reader.outlet)
    }

    /// Messages given to consumers so far.
    pub fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Appends a batch, and says how many messages that were; nothing is ever refused.
    pub fn publish(
        &mut self,
        batch: impl IntoIterator<Item = Message>,
        now: Millis,
        effects: &mut Effects,
    ) -> u64 {
        let (first, logged) = (self.segments.next(), self.settings.has_files);
        // The clock of an earlier run may have been ahead.
        let time = now.max(self.segments.last_time());
        let mut rolled = false;
        for (index, message) in batch.into_iter().enumerate() {
            let sequence = self.segments.next();
            rolled |= self.segments.push(weight(&message), time, self.settings.segment_bytes);
            let entry = Entry { message, sequence, deadline: time, returns: 0, redelivered: false, logged };
            if logged {
                effects.log.keep(index, &entry);
            }
            self.tail.push(entry);
        }
        let end = self.segments.next();
        if first == end {
            return 0;
        }
        self.last_batch = first;
        if logged {
            effects.log.appended = Some(Appended { first, end, urgent: !self.readers.is_empty() });
        } else {
            self.commit(first, end);
        }
        if rolled {
            self.expire(now, effects);
        }
        self.feed_all(effects);
        end - first
    }

    /// A published batch is durable.
    pub fn committed(&mut self, first: u64, end: u64, effects: &mut Effects) {
        self.commit(first, end);
        self.note_writes(effects);
        self.feed_all(effects);
    }

    /// Batches of several connections may become durable in another order than they came.
    fn commit(&mut self, first: u64, end: u64) {
        if self.committed < first {
            self.committed_ahead.insert(first, end);
            return;
        }
        self.committed = self.committed.max(end);
        while let Some(next) = self.committed_ahead.first_entry() {
            if self.committed < *next.key() {
                break;
            }
            self.committed = self.committed.max(next.remove());
        }
    }

    /// Other limits of what is kept, as policies set them: octets of all segments, age in milliseconds.
    pub fn keep_only(
        &mut self,
        max_bytes: Option<u64>,
        max_age: Option<Millis>,
        now: Millis,
        effects: &mut Effects,
    ) {
        (self.settings.max_bytes, self.settings.max_age) = (max_bytes, max_age);
        self.expire(now, effects);
    }

    /// Throws segments away that are too old, or too many (STR-11).
    fn expire(&mut self, now: Millis, effects: &mut Effects) {
        while let Some(gone) = self.segments.expire(&self.settings, now) {
            if self.settings.has_files {
                effects.stream().dropped.push(gone.first);
            }
        }
        let first = self.segments.first();
        while let Some(entry) = self.tail.pop_before(first) {
            if entry.logged && self.written <= entry.sequence {
                effects.log.gone.push(entry.sequence);
            }
        }
        self.commit(first.min(self.committed), self.committed.max(first));
        self.written = self.written.max(first);
        self.writing = self.writing.max(first);
    }

    /// Adds a consumer; its first messages are on their way when this returns.
    pub fn consume(
        &mut self,
        outlet: O,
        read: StreamRead,
        now: Millis,
        effects: &mut Effects,
    ) -> ConsumerKey {
        let number = self.next_reader;
        self.next_reader = self.next_reader.wrapping_add(1);
        let (offset, group) = (read.offset, read.single_active.then_some(read.partition));
        let mut reader = Reader::new(outlet, read);
        let name = reader.name.clone();
        if let Some(name) = &name {
            reader.is_active = self.names.join(name, number, group);
        }
        self.start_at(&mut reader, offset, now);
        self.readers.insert(number, reader);
        self.feed(number, effects);
        name.iter().for_each(|name| self.take_turns(name, effects));
        ConsumerKey::of_stream(number)
    }

    /// Finds a consumer's first message (STR-05).
    fn start_at(&self, reader: &mut Reader<O>, offset: StreamOffset, now: Millis) {
        let (first, next) = (self.segments.first(), self.segments.next());
        let stored = reader.name.as_ref().and_then(|name| self.names.offset(name));
        reader.next = match offset {
            StreamOffset::Unspecified => stored.unwrap_or(next),
            StreamOffset::Stored => stored.unwrap_or(first),
            StreamOffset::First => first,
            StreamOffset::Last => self.last_batch.max(first),
            StreamOffset::Next => next,
            StreamOffset::At(offset) => u64::try_from(offset).unwrap_or(0).max(first),
            StreamOffset::Timestamp(seconds) => self.start_at_time(reader, seconds.saturating_mul(1000)),
            StreamOffset::SecondsAgo(seconds) => {
                self.start_at_time(reader, now.saturating_sub(seconds.saturating_mul(1000)))
            }
        };
    }

    /// The first message that is not older: its offset, or that of a chunk in which to look for it.
    fn start_at_time(&self, reader: &mut Reader<O>, time: Millis) -> u64 {
        if let Some(chunk) = self.segments.chunk_at(time) {
            reader.from_time = Some(time);
            return chunk;
        }
        // What is published from now on is wanted, whatever the clock says.
        self.tail.at_time(time).unwrap_or_else(|| self.segments.next())
    }

    /// Whether a consumer gets messages, or waits for its turn in its group.
    pub fn is_served(&self, key: ConsumerKey) -> bool {
        self.readers.get(&key.of_reader()).is_some_and(|reader| reader.is_active)
    }

    /// Takes a consumer away.
    pub fn cancel(&mut self, key: ConsumerKey, effects: &mut Effects) {
        let number = key.of_reader();
        let Some(reader) = self.readers.remove(&number) else { return };
        let position = reader.position();
        let Some(name) = reader.name else { return };
        // Whoever waits for its turn has read nothing.
        if reader.is_active || self.names.turn(&name).is_some_and(|turn| turn.reading == Some(number)) {
            self.store(&name, number, position, effects);
        }
        if !reader.outstanding.is_empty() {
            self.departed.insert(number, (name.clone(), reader.next, reader.outstanding));
        }
        self.names.leave(&name, number);
        self.take_turns(&name, effects);
        self.forget_chunks();
    }

    /// Lets the one of a group read whose turn it is, once the one before has settled what it was given: so the
    /// group reads everything in order.
    fn take_turns(&mut self, name: &[u8], effects: &mut Effects) {
        let Some(Turn { reading, chosen }) = self.names.turn(name) else { return };
        if let Some(before) = reading.filter(|reading| *reading != chosen)
            && let Some(reader) = self.readers.get_mut(&before)
        {
            reader.is_active = false;
            if !reader.outstanding.is_empty() {
                return;
            }
            let position = reader.position();
            self.store(name, before, position, effects);
        }
        if reading != Some(chosen) {
            self.names.hand_over(name, chosen);
            let stored = self.names.offset(name);
            if let Some(reader) = self.readers.get_mut(&chosen)
                && let Some(stored) = stored
            {
                (reader.next, reader.from_time) = (stored, None);
            }
        }
        if let Some(reader) = self.readers.get_mut(&chosen)
            && !reader.is_active
        {
            reader.is_active = true;
            self.feed(chosen, effects);
        }
    }

    fn store(&mut self, name: &[u8], number: u32, offset: u64, effects: &mut Effects) {
        if self.names.store(name, number, offset) && self.settings.has_files && !self.are_offsets_noted {
            self.are_offsets_noted = true;
            effects.stream().offsets = true;
        }
    }

    /// Deliveries are settled: that gives credit, and nothing else (STR-07). `offsets` are those that were
    /// marked as logged.
    pub fn settle(&mut self, key: ConsumerKey, deliveries: u32, offsets: &[u64], effects: &mut Effects) {
        self.end_deliveries(key, deliveries, effects, |outstanding| {
            offsets.iter().for_each(|offset| outstanding.settle(*offset));
        });
    }

    /// Deliveries come back, because the client says so or is gone. That gives credit, too; a name stays
    /// before them.
    pub fn give_back(&mut self, key: ConsumerKey, entries: &[Entry], effects: &mut Effects) {
        let deliveries = u32::try_from(entries.len()).unwrap_or(u32::MAX);
        self.end_deliveries(key, deliveries, effects, |outstanding| {
            entries.iter().for_each(|entry| outstanding.give_back(entry.sequence));
        });
    }

    fn end_deliveries(
        &mut self,
        key: ConsumerKey,
        deliveries: u32,
        effects: &mut Effects,
        end: impl FnOnce(&mut Outstanding),
    ) {
        let number = key.of_reader();
        if let Some(reader) = self.readers.get_mut(&number) {
            reader.settled(deliveries);
            if let Some(name) = reader.name.clone() {
                end(&mut reader.outstanding);
                let (position, is_active) = (reader.position(), reader.is_active);
                self.store(&name, number, position, effects);
                if !is_active {
                    self.take_turns(&name, effects);
                }
            }
            self.feed(number, effects);
        } else if let Some((name, next, mut outstanding)) = self.departed.remove(&number) {
            end(&mut outstanding);
            self.store(&name, number, outstanding.position(next), effects);
            if !outstanding.is_empty() {
                self.departed.insert(number, (name, next, outstanding));
            }
        }
    }

    /// A consumer's connection has written deliveries; more may follow.
    pub fn written(&mut self, key: ConsumerKey, messages: u32, bytes: u64, effects: &mut Effects) {
        if let Some(reader) = self.readers.get_mut(&key.of_reader()) {
            reader.written(messages, bytes);
            self.feed(key.of_reader(), effects);
        }
    }

    /// Goes on with every consumer that has room.
    pub fn feed_all(&mut self, effects: &mut Effects) {
        let ready: smallvec::SmallVec<[u32; 8]> =
            self.readers.iter().filter(|(_, reader)| reader.has_room()).map(|(number, _)| *number).collect();
        for number in ready {
            self.feed(number, effects);
        }
    }

    /// Gives a consumer what it has room for.
    fn feed(&mut self, number: u32, effects: &mut Effects) {
        let Some(reader) = self.readers.get_mut(&number) else { return };
        let before = reader.unacknowledged();
        let (mut looked_at, mut has_finished) = (0, false);
        while reader.has_room() && reader.next < self.committed {
            reader.next = reader.next.max(self.segments.first());
            if LOOK_MAX <= looked_at {
                effects.stream().more = true;
                break;
            }
            if self.tail.first().is_some_and(|first| first <= reader.next) {
                let entries = self.tail.range(reader.next, self.committed);
                let (all, seen) = (entries.len(), reader.look_at(entries.take(LOOK_MAX)));
                looked_at += seen;
                if seen == all && reader.has_room() {
                    reader.next = self.committed;
                }
                continue;
            }
            let Some((segment, chunk)) = self.segments.chunk(reader.next) else {
                // Nothing knows it: it was lost, and what comes next is in memory.
                reader.next = self.tail.first().unwrap_or(self.committed).max(reader.next + 1);
                continue;
            };
            if reader.filter.as_ref().is_some_and(|filter| !filter.may_want(&chunk.filter)) {
                reader.next = chunk.end;
                continue;
            }
            match self.cache.find(reader.next.max(chunk.first)) {
                Some(loaded) => {
                    looked_at += read_chunk(reader, &loaded);
                    has_finished |= loaded.end <= reader.next;
                    ask_for(&self.segments, &mut self.cache, chunk.end, effects);
                }
                None => {
                    if self.cache.want(chunk.first) {
                        effects.stream().reads.push((segment, chunk.clone()));
                    }
                    ask_for(&self.segments, &mut self.cache, chunk.end, effects);
                    break;
                }
            }
        }
        self.delivered += u64::from(reader.unacknowledged() - before);
        reader.flush(&mut effects.wakes);
        if has_finished {
            self.forget_chunks();
        }
    }

    /// Drops chunks that every consumer is past.
    fn forget_chunks(&mut self) {
        let readers = &self.readers;
        self.cache.keep(|chunk| {
            readers.values().any(|reader| {
                reader.is_active && reader.next < chunk.end && chunk.first <= reader.next + AHEAD_MAX
            })
        });
    }

    /// The stream is gone: nothing is read or written any more.
    pub fn delete(&mut self) {
        self.tail.clear();
        self.cache.clear();
        self.segments = Segments::new(self.committed);
        self.writing = self.committed;
    }
}

/// Offsets that a chunk may be ahead of a consumer and still be kept for it.
const AHEAD_MAX: u64 = 65_536;

/// Lets a consumer read on in a chunk.
fn read_chunk<O: Outlet>(reader: &mut Reader<O>, loaded: &Loaded) -> usize {
    let from = loaded.entries.partition_point(|entry| entry.sequence < reader.next);
    let looked_at = reader.look_at(loaded.entries.iter().skip(from));
    // What is missing at the chunk's end was damaged.
    if reader.has_room() {
        reader.next = reader.next.max(loaded.end);
    }
    looked_at
}

/// Asks for the chunk that a consumer will need next.
fn ask_for(segments: &Segments, cache: &mut Cache, offset: u64, effects: &mut Effects) {
    if let Some((segment, chunk)) = segments.chunk(offset)
        && cache.want(chunk.first)
    {
        effects.stream().reads.push((segment, chunk.clone()));
    }
}
