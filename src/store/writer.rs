//! The writer: the only one that writes the log, a batch at a time.
//!
//! It takes everything that gathered while the last batch was written, applies it to the index, writes what
//! still needs a record, syncs if anybody waits, and says so. Between two commits it moves what still lives in
//! the oldest segment to the end, a little at a time, when the log is long compared to what lives in it.

use std::{collections::VecDeque, io, sync::Arc, time::Duration};

use smallvec::SmallVec;

use super::{
    QueueId,
    batch::{ALIGNMENT, Builder},
    disk::Disk,
    index::{Index, PageRange},
    log::{Log, Op, Position, Taken},
    record::{self, Place, Places},
    segment::{self, Segment},
    sequences::runs,
    trim::Trim,
};
use crate::broker::{Message, Millis, queue::stream::Appended};

/// How and when the log is written.
#[derive(Debug, Clone)]
pub struct LogSettings {
    /// Octets of a segment.
    pub segment_size: u64,
    /// The log is trimmed when it is longer than this, in octets, and than twice what lives in it.
    pub trim_min: u64,
    pub sync: Durability,
    /// A number that nobody can guess, for a new log.
    pub mark: u64,
}

/// What durable means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// On disk: survives the loss of power.
    Fsync,
    /// Handed to the kernel, and on disk a moment later: survives the end of the process.
    Interval,
    /// Handed to the kernel, which writes it when it likes.
    Os,
}

/// Unused segments kept for later. The last of them is for a full disk: what frees space is written there.
const SPARES_MAX: usize = 2;
/// What nobody waits for is synced after so many milliseconds at most.
const LAZY_SYNC: Millis = 100;
/// While old records are being moved, how long a commit waits for changes.
const TRIM_PAUSE: Duration = Duration::from_millis(5);
/// A batch buffer beyond this many octets is not kept.
const BUFFER_KEPT: usize = 4 << 20;

/// Owns the log's files.
#[derive(Debug)]
pub struct Writer {
    log: Arc<Log>,
    disk: Arc<dyn Disk>,
    settings: LogSettings,
    pub(super) index: Index,
    /// Oldest first; the last one is written to.
    segments: VecDeque<Segment>,
    spares: Vec<u64>,
    /// There is no spare segment yet; a start does not wait for one.
    wants_spare: bool,
    builder: Builder,
    /// The number of the next batch, and of the last one that is synced.
    next_batch: u64,
    synced_batch: u64,
    /// The last position that is written, whether synced or not.
    written: Position,
    /// Since when something written is not synced.
    unsynced_since: Option<Millis>,
    /// The disk was full: the batch in `builder` is still to be written, and whether somebody waits for it.
    stuck: Option<(Position, bool)>,
    spare_ops: Vec<Op>,
    trim: Option<Trim>,
    /// The oldest segment cannot be read: it is kept, and so is everything behind it.
    is_trim_broken: bool,
    /// Ranges of page files that nothing needs any more once everything written is synced.
    freed: Vec<PageRange>,
    /// The clean stop was noted; it is to stay the last record.
    is_stopping: bool,
    is_closed: bool,
    /// What streams took in: not durable yet, and durable since it was last asked for.
    appended: Vec<(QueueId, Appended)>,
    durably_appended: Vec<(QueueId, Appended)>,
}

/// What a commit did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committed {
    /// Everything that was there is written.
    Done,
    /// The disk is full. What was appended is kept, and the next commit tries again.
    Full,
    /// The log was closed and everything is on disk.
    Closed,
}

/// What the log occupies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    pub segments: usize,
    pub bytes: u64,
    pub live_bytes: u64,
}

/// The state of the files that a recovery hands over.
#[derive(Debug)]
pub(super) struct Found {
    pub segments: VecDeque<Segment>,
    pub spares: Vec<u64>,
    pub next_segment: u64,
    pub mark: Option<u64>,
    pub next_batch: u64,
    pub index: Index,
}

impl Writer {
    /// Continues a log behind what was found, in a new segment.
    pub(super) fn new(
        log: Arc<Log>,
        disk: Arc<dyn Disk>,
        settings: LogSettings,
        mut found: Found,
    ) -> io::Result<Writer> {
        let (number, mark) = (found.next_segment, found.mark.unwrap_or(settings.mark));
        let synced_batch = found.next_batch - 1;
        let place = (number, mark, synced_batch);
        let mut create = |size| segment::create(&*disk, place, size, &mut found.spares);
        let active = match create(settings.segment_size) {
            // Room will only be made by what consumers settle, so there must be a start: the segment grows as it
            // is written.
            Err(error) if is_full(&error) => create(segment::FIRST_BATCH),
            created => created,
        }?;
        found.segments.push_back(active);
        Ok(Writer {
            wants_spare: found.spares.is_empty(),
            log,
            disk,
            settings,
            index: found.index,
            segments: found.segments,
            spares: found.spares,
            builder: Builder::default(),
            next_batch: found.next_batch,
            synced_batch,
            written: 0,
            unsynced_since: None,
            stuck: None,
            spare_ops: Vec::new(),
            trim: None,
            is_trim_broken: false,
            freed: Vec::new(),
            is_stopping: false,
            is_closed: false,
            appended: Vec::new(),
            durably_appended: Vec::new(),
        })
    }

    /// What the log occupies now.
    pub fn usage(&self) -> Usage {
        // The last one is still being filled; what others left empty is gone until they are used again.
        let full = self.segments.iter().rev().skip(1).map(|segment| segment.end.max(segment.length));
        let bytes = full.sum::<u64>() + self.segments.back().map_or(0, |active| active.end);
        Usage { segments: self.segments.len(), bytes, live_bytes: self.index.live_bytes() }
    }

    /// Ranges of page files that are free now.
    pub fn take_freed(&mut self) -> Vec<PageRange> {
        // What freed them may also be in the batch for which there is no space.
        let waits = self.unsynced_since.is_some() && self.settings.sync != Durability::Os;
        if waits || self.stuck.is_some() { Vec::new() } else { std::mem::take(&mut self.freed) }
    }

    /// What streams took in that has become durable.
    pub fn take_appended(&mut self) -> Vec<(QueueId, Appended)> {
        std::mem::take(&mut self.durably_appended)
    }

    /// Writes what was appended, waiting for it at most `patience` when nothing is there.
    ///
    /// # Errors
    /// When a file cannot be written or synced. Nothing is durable then that was not before, the log must not
    /// be used any more, and whoever waits has to be told with [`Log::fail`].
    pub fn commit(&mut self, patience: Option<Duration>, now: Millis) -> io::Result<Committed> {
        if let Some((position, urgent)) = self.stuck {
            if !self.write_batch(now)? {
                return Ok(Committed::Full);
            }
            self.stuck = None;
            self.written = position;
            self.settle_durability(urgent, now)?;
        }
        let patience = if self.is_trimming() { patience.map(|_| TRIM_PAUSE) } else { patience };
        let mut taken =
            self.log.take(std::mem::take(&mut self.spare_ops), patience, self.unsynced_since.is_some());
        self.apply(&mut taken);
        self.builder.begin(self.next_batch);
        self.write_records(&taken.ops);
        self.index.end_batch();
        taken.ops.clear();
        self.spare_ops = std::mem::take(&mut taken.ops);
        if !self.is_stopping {
            self.trim_some();
        }
        self.is_closed |= taken.closing;
        let urgent = taken.urgent || self.is_closed;
        if !self.builder.is_empty() && !self.write_batch(now)? {
            self.stuck = Some((taken.position, urgent));
            return Ok(Committed::Full);
        }
        self.written = taken.position;
        self.settle_durability(urgent, now)?;
        self.retire_trimmed()?;
        if std::mem::take(&mut self.wants_spare) {
            self.create_spare()?;
        }
        Ok(if self.is_closed { Committed::Closed } else { Committed::Done })
    }

    /// Puts a segment aside for the day on which the disk is full. If that is today, there is none.
    fn create_spare(&mut self) -> io::Result<()> {
        match segment::create_spare(&*self.disk, self.settings.segment_size) {
            Ok(spare) => self.spares.push(spare),
            Err(error) if is_full(&error) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Carries the changes out in the index and leaves in them only what needs a record.
    fn apply(&mut self, taken: &mut Taken) {
        let segment = self.active_number();
        let (index, freed) = (&mut self.index, &mut self.freed);
        for op in &mut taken.ops {
            match op {
                Op::Message { places, .. } => index.arrive(places),
                Op::Settled { queue, sequences } => index.settle(*queue, sequences, freed),
                Op::Returned { queue, sequences, how } => index.give_back(*queue, sequences, *how),
                Op::Define(definition) => index.define(definition, segment, freed),
                Op::Page(record) => match index.add_page(record, segment, freed) {
                    Some(kept) => *record = kept,
                    None => record.live.clear(),
                },
                Op::PageReleased { queue, page } => index.release_page(*queue, *page, freed),
                Op::PageDropped { queue, page, live } => *live = index.drop_page(*queue, *page, freed),
                Op::CleanStop => self.is_stopping = true,
                Op::Appended { queue, appended } => self.appended.push((*queue, *appended)),
                Op::Accepted => {}
            }
        }
    }

    fn write_records(&mut self, ops: &[Op]) {
        for op in ops {
            match op {
                Op::Message { message, places } => self.write_message(message, places),
                Op::Settled { queue, sequences } => {
                    self.write_runs(sequences, |out, runs| record::put_settled(out, *queue, runs));
                }
                Op::Returned { queue, sequences, how } => {
                    self.write_runs(sequences, |out, runs| record::put_returned(out, *queue, runs, *how));
                }
                Op::Define(definition) => {
                    self.builder.record(|out| record::put_definition(out, definition));
                }
                Op::Page(page) if page.live.is_empty() => {}
                Op::Page(page) => {
                    self.builder.record(|out| record::put_page(out, page));
                }
                Op::PageReleased { .. } | Op::Appended { .. } => {}
                Op::PageDropped { live, .. } if live.is_empty() => {}
                Op::PageDropped { queue, live, .. } => {
                    self.builder.record(|out| record::put_settled(out, *queue, live));
                }
                Op::Accepted => {
                    let before = self.active_number();
                    self.builder.record(|out| record::put_accepted(out, before));
                }
                Op::CleanStop => {
                    self.builder.record(record::put_clean_stop);
                }
            }
        }
    }

    fn write_message(&mut self, message: &Message, places: &Places) {
        let index = &self.index;
        let returned = |place: &Place| Place { returns: index.returns(place), ..*place };
        let needed: Places = places.iter().filter(|place| index.is_fresh(place)).map(returned).collect();
        if needed.is_empty() {
            return;
        }
        let octets = self.builder.record(|out| record::put_message(out, &needed, message));
        let share = octets as u64 / needed.len() as u64;
        for place in &needed {
            self.index.wrote(place.queue, share);
        }
    }

    fn write_runs(&mut self, sequences: &[u64], put: impl FnOnce(&mut Vec<u8>, &[(u64, u64)])) {
        if sequences.is_empty() {
            return;
        }
        let mut sorted: SmallVec<[u64; 64]> = sequences.into();
        sorted.sort_unstable();
        let runs = runs(sorted.into_iter());
        self.builder.record(|out| put(out, &runs));
    }

    fn active_number(&self) -> u64 {
        self.segments.back().map_or(0, |segment| segment.number)
    }

    /// Writes the batch that was built; false when the disk is full.
    fn write_batch(&mut self, now: Millis) -> io::Result<bool> {
        let span = (self.builder.len() as u64).next_multiple_of(ALIGNMENT);
        let fits = self.segments.back().is_some_and(|active| {
            active.end + span <= self.settings.segment_size || active.end == segment::FIRST_BATCH
        });
        if !fits && !self.roll()? {
            return Ok(false);
        }
        if !self.write_sealed()? {
            // Where there was no room for a whole segment it grows as it is written. A spare one has its room.
            let grows = self.segments.back().is_some_and(|active| active.length < self.settings.segment_size);
            let goes_on = grows && !self.spares.is_empty() && self.roll()?;
            if !goes_on || !self.write_sealed()? {
                return Ok(false);
            }
        }
        self.next_batch += 1;
        self.unsynced_since.get_or_insert(now);
        self.builder.shrink(BUFFER_KEPT);
        Ok(true)
    }

    /// Writes the batch behind the last one; false when the disk is full.
    fn write_sealed(&mut self) -> io::Result<bool> {
        let Some(active) = self.segments.back_mut() else { return Ok(false) };
        let octets = self.builder.seal(active.key(), self.synced_batch);
        match active.file.write_all_at(octets, active.end) {
            Ok(()) => {
                active.end += octets.len() as u64;
                Ok(true)
            }
            // Nothing of the batch counts until all of it is there; it will be written over, or once more in a
            // later segment, where it is looked for first.
            Err(error) if is_full(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Goes on in a new segment; false when the disk is full.
    fn roll(&mut self) -> io::Result<bool> {
        // Only the last segment may hold what is not synced: a reader relies on it.
        if self.unsynced_since.is_some() {
            self.sync()?;
        }
        let number = self.active_number() + 1;
        let mark = self.segments.back().map_or(self.settings.mark, |active| active.mark);
        let place = (number, mark, self.synced_batch);
        let (disk, size) = (&*self.disk, self.settings.segment_size);
        let mut reserve = if self.spares.len() == 1 { std::mem::take(&mut self.spares) } else { Vec::new() };
        let mut created = segment::create(disk, place, size, &mut self.spares);
        if created.as_ref().is_err_and(is_full) && !reserve.is_empty() {
            created = segment::create(disk, place, size, &mut reserve);
        }
        self.spares.append(&mut reserve);
        match created {
            Ok(segment) => {
                self.segments.push_back(segment);
                Ok(true)
            }
            Err(error) if is_full(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Syncs if somebody waits or it was long enough ago, and says what is durable.
    fn settle_durability(&mut self, urgent: bool, now: Millis) -> io::Result<()> {
        let overdue = self.unsynced_since.is_some_and(|since| since + LAZY_SYNC <= now);
        let wanted = match self.settings.sync {
            Durability::Fsync => urgent || overdue,
            Durability::Interval => overdue || self.is_closed,
            // A segment must not go before what says so is on disk, whatever is promised to clients.
            Durability::Os => self.is_closed || overdue && self.retires(),
        };
        if wanted && self.unsynced_since.is_some() {
            self.sync()?;
        }
        let durable = self.unsynced_since.is_none() || self.settings.sync != Durability::Fsync;
        if durable {
            self.durably_appended.append(&mut self.appended);
        }
        self.log.done(durable.then_some(self.written));
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        if let Some(active) = self.segments.back() {
            active.file.sync()?;
        }
        self.synced_batch = self.next_batch - 1;
        self.unsynced_since = None;
        Ok(())
    }

    /// Begins or goes on with moving what lives in the oldest segment.
    fn trim_some(&mut self) {
        if let Err(error) = self.try_to_trim() {
            // What was written again so far does no harm, and nothing of the segment is thrown away.
            tracing::error!(
                "the oldest segment of the log cannot be read, the log grows until a restart: {error}"
            );
            self.trim = None;
            self.is_trim_broken = true;
        }
    }

    fn try_to_trim(&mut self) -> io::Result<()> {
        if self.trim.is_none()
            && self.should_trim()
            && let Some(oldest) = self.segments.front()
        {
            self.trim = Some(Trim::new(oldest));
        }
        let Some(trim) = &mut self.trim else { return Ok(()) };
        let next = self.segments.back().map_or(0, |segment| segment.number);
        trim.go_on(&mut self.index, &mut self.builder, next)?;
        if trim.is_scanned() && trim.trimmed_in.is_none() {
            let wanted = self.index.definitions_before(trim.segment + 1);
            if wanted.is_empty() {
                // The next number may have been an empty segment's, which a start has removed.
                let kept = self.segments.get(1).map_or(trim.segment + 1, |segment| segment.number);
                self.builder.record(|out| record::put_trimmed(out, kept));
                trim.trimmed_in = Some(self.next_batch);
            } else if !trim.has_asked {
                trim.has_asked = true;
                self.log.want_definitions(wanted);
            }
        }
        Ok(())
    }

    /// Whether the oldest segment waits only for a sync to go.
    fn retires(&self) -> bool {
        self.trim.as_ref().is_some_and(|trim| trim.trimmed_in.is_some())
    }

    fn is_trimming(&self) -> bool {
        match &self.trim {
            Some(trim) => !trim.is_scanned() || trim.trimmed_in.is_some(),
            None => self.should_trim(),
        }
    }

    fn should_trim(&self) -> bool {
        let usage = self.usage();
        !self.is_trim_broken
            && 1 < usage.segments
            && self.settings.trim_min.max(2 * usage.live_bytes) < usage.bytes
    }

    /// Gives the oldest segment up once it is on disk that nothing in it is needed.
    fn retire_trimmed(&mut self) -> io::Result<()> {
        let trimmed_in = self.trim.as_ref().and_then(|trim| trim.trimmed_in);
        if trimmed_in.is_none_or(|batch| self.synced_batch < batch) {
            return Ok(());
        }
        self.trim = None;
        match self.segments.pop_front() {
            Some(oldest) => {
                segment::retire(&*self.disk, oldest.number, &mut self.spares, SPARES_MAX)?;
                // One batch may have been larger than a segment is. Not before it has its new name: who finds
                // it under the old one would miss what was cut off.
                if self.settings.segment_size < oldest.file.length()? {
                    oldest.file.set_length(self.settings.segment_size)?;
                }
                Ok(())
            }
            None => Ok(()),
        }
    }
}

/// Whether an operation failed for want of space, which may come back.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
