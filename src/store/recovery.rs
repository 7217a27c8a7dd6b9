//! From the files of a log back to what a broker knew.
//!
//! First every batch is found by its header, then the batches are replayed in order. What was never synced may
//! be missing or torn, and is cut off; what was synced must be there, and what is not is reported.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    sync::Arc,
};

use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};

use super::{
    batch::{self, Body, HEADER, RECORD_HEADER},
    catalog::{AccessDefinitions, Catalog, Definitions},
    contents::View,
    damage::{Damage, DamageKind, RecoveryError, Report},
    definition::{Definition, QueueId},
    disk::{Disk, Open},
    index::Index,
    log::{Log, Op},
    octets::Reader,
    record::{PageRecord, Places, Record},
    scan::{Files, Place},
    segment,
    writer::{Found, LogSettings, Writer},
};
use crate::broker::{Message, Millis, memory::Account, queue::returns};

/// A broker's durable state, and the log to go on with.
#[derive(Debug)]
pub struct Recovered {
    pub log: Arc<Log>,
    pub writer: Writer,
    pub access: AccessDefinitions,
    pub definitions: BTreeMap<String, Definitions>,
    pub queues: HashMap<QueueId, RecoveredQueue, FixedState>,
    /// Greater than the id of every queue that the log mentions, also of deleted ones: records of theirs that
    /// are not trimmed yet must not be taken for another queue's.
    pub next_queue: QueueId,
    /// Whether the broker stopped in order; if not, every message may have been delivered before.
    pub was_clean: bool,
    pub report: Report,
}

/// The messages of a queue, or what was kept of each.
#[derive(Debug)]
pub struct RecoveredQueue<M = Message> {
    /// By sequence.
    pub messages: BTreeMap<u64, RecoveredMessage<M>>,
    /// With what lives in them.
    pub pages: Vec<PageRecord>,
    /// How often messages in pages were given back, by sequence.
    pub returns: BTreeMap<u64, u32>,
    /// Greater than every sequence that the log mentions.
    pub next_sequence: u64,
}

/// A message in a queue.
#[derive(Debug)]
pub struct RecoveredMessage<M = Message> {
    pub message: M,
    pub deadline: Millis,
    /// How often it was given back.
    pub returns: u32,
}

/// Where in the log an encoded message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spot {
    pub segment: u64,
    pub offset: u64,
    pub length: u64,
}

impl<M> Default for RecoveredQueue<M> {
    fn default() -> RecoveredQueue<M> {
        let (messages, returns) = (BTreeMap::new(), BTreeMap::new());
        RecoveredQueue { messages, pages: Vec::new(), returns, next_sequence: 0 }
    }
}

/// What a caller of a recovery decides.
#[derive(Debug)]
pub struct RecoveryOptions {
    pub settings: LogSettings,
    /// Whose memory the messages are.
    pub account: Account,
    /// Go on though durable batches are missing.
    pub accept_loss: bool,
}

/// Reads a log and continues it; `progress` gets the octets replayed so far and in all.
///
/// # Errors
/// When files cannot be read, another version wrote them, or durable batches are missing.
pub fn recover(
    disk: &Arc<dyn Disk>,
    options: RecoveryOptions,
    progress: impl FnMut(u64, u64),
) -> Result<Recovered, RecoveryError> {
    let io = |error| RecoveryError::Io { path: segment::DIRECTORY.to_owned(), error };
    disk.create_directory(segment::DIRECTORY).map_err(io)?;
    let mut scratch = Vec::new();
    let build = |view: &View<'_>, _| view.message(options.account, &mut scratch);
    let mut replay = replay_with(&**disk, Open::Existing, build, progress)?;
    let grave = replay.report.damage.iter().any(|damage| damage.kind.is_grave());
    if grave && !options.accept_loss {
        return Err(RecoveryError::Damaged(replay.report.damage));
    }
    let is_accepted = grave;
    replay.cut_tail(&**disk).map_err(io)?;
    // After the empty ones are gone: a gap in the numbers would look like segments that were lost.
    let next_segment = replay.files.next_segment().max(replay.trimmed);
    let log = Arc::new(Log::new());
    let found = Found {
        mark: replay.files.mark,
        next_segment,
        next_batch: replay.next_batch,
        segments: replay.files.segments,
        spares: replay.files.spares,
        index: replay.index,
    };
    let writer = Writer::new(log.clone(), disk.clone(), options.settings, found).map_err(io)?;
    if is_accepted {
        log.append(&mut vec![Op::Accepted], true);
    }
    Ok(Recovered {
        log,
        writer,
        access: replay.access,
        definitions: replay.definitions,
        queues: replay.queues,
        next_queue: replay.next_queue,
        was_clean: replay.was_clean,
        report: replay.report,
    })
}

/// The state of a replay, and in the end its result.
#[derive(Debug)]
pub struct Replay<M = Message> {
    files: Files,
    next_batch: u64,
    index: Index,
    catalog: Catalog,
    pub access: AccessDefinitions,
    pub definitions: BTreeMap<String, Definitions>,
    pub queues: HashMap<QueueId, RecoveredQueue<M>, FixedState>,
    pub was_clean: bool,
    pub report: Report,
    /// Damage in segments before this one was accepted.
    accepted: u64,
    /// Segments before this one are not needed.
    trimmed: u64,
    /// Batches that may never have been synced.
    unproven: Vec<Place>,
    /// Queues whose messages are of no use. Others may be defined only later in the log than their messages
    /// are: trimming writes definitions again at the end.
    deleted: HashSet<QueueId, FixedState>,
    next_queue: QueueId,
}

/// What is kept of a message; it gets the encoded one and where it is.
type Keep<'k, M> = &'k mut dyn FnMut(&View<'_>, Spot) -> M;

/// Reads a log without changing anything; `keep` chooses what of each message stays in memory.
///
/// # Errors
/// When files cannot be read or another version wrote them.
pub fn replay<M: Clone>(
    disk: &dyn Disk,
    keep: impl FnMut(&View<'_>, Spot) -> M,
    progress: impl FnMut(u64, u64),
) -> Result<Replay<M>, RecoveryError> {
    replay_with(disk, Open::ReadOnly, keep, progress)
}

fn replay_with<M: Clone>(
    disk: &dyn Disk,
    mode: Open,
    mut keep: impl FnMut(&View<'_>, Spot) -> M,
    mut progress: impl FnMut(u64, u64),
) -> Result<Replay<M>, RecoveryError> {
    let files = Files::find(disk, mode)?;
    for name in &files.foreign {
        tracing::warn!("{}/{name} is not leveret's", segment::DIRECTORY);
    }
    let io = |error| RecoveryError::Io { path: segment::DIRECTORY.to_owned(), error };
    let mut replay = Replay::of(files, &mut keep, &mut progress).map_err(io)?;
    if replay.files.segments.front().is_some_and(|oldest| oldest.number < replay.trimmed) {
        // A crash came before a segment that is not needed was gone. Its messages are settled elsewhere, and
        // revive if just that is damaged; so it must not be carried out, which was known only in the end.
        let mut files = Files::find(disk, mode)?;
        files.leave_out_before(replay.trimmed);
        replay = Replay::of(files, &mut keep, &mut progress).map_err(io)?;
    }
    Ok(replay)
}

impl<M: Clone> Replay<M> {
    fn of(files: Files, keep: Keep<'_, M>, progress: &mut impl FnMut(u64, u64)) -> io::Result<Replay<M>> {
        let mut replay = Replay {
            files,
            next_batch: 1,
            index: Index::default(),
            catalog: Catalog::default(),
            access: AccessDefinitions::default(),
            definitions: BTreeMap::new(),
            queues: HashMap::default(),
            was_clean: false,
            report: Report::default(),
            accepted: 0,
            trimmed: 1,
            unproven: Vec::new(),
            deleted: HashSet::default(),
            next_queue: 1,
        };
        let batches = replay.files.batches()?;
        replay.apply_batches(&batches, keep, progress)?;
        replay.finish();
        Ok(replay)
    }

    fn apply_batches(
        &mut self,
        batches: &[Place],
        keep: Keep<'_, M>,
        progress: &mut impl FnMut(u64, u64),
    ) -> io::Result<()> {
        let total: u64 = batches.iter().map(|place| place.header.span()).sum();
        let last_segment = self.files.segments.len().saturating_sub(1);
        // A segment is only begun once everything before it is on disk.
        let known = |place: &Place| {
            let own = if place.segment < last_segment { place.header.number } else { 0 };
            own.max(place.header.durable)
        };
        let durable = batches.iter().map(known).max().unwrap_or(0).max(self.files.before);
        let mut done = 0;
        let mut expected = self.find_beginning(batches.first(), durable);
        let mut octets = Vec::new();
        for place in batches {
            let header = place.header;
            if expected < header.number {
                if durable < expected {
                    break;
                }
                self.damage(place, DamageKind::Batches { first: expected, last: header.number - 1 });
            }
            let whole = self.files.read(place, &mut octets)?;
            let intact = whole && batch::bodies(&header, &octets).all(|body| matches!(body, Body::Good(_)));
            if !intact && durable < header.number {
                break;
            }
            self.apply_batch(place, &octets, keep);
            if durable < header.number {
                self.unproven.push(*place);
            }
            expected = header.number + 1;
            if let Some(segment) = self.files.segments.get_mut(place.segment) {
                segment.end = place.offset + header.span();
            }
            done += header.span();
            self.report.batches += 1;
            progress(done, total);
        }
        if expected <= durable {
            self.damage_at_end(DamageKind::Batches { first: expected, last: durable });
        }
        self.next_batch = expected;
        self.report.bytes = done;
        self.report.torn_bytes = total - done;
        Ok(())
    }

    /// The number that the first batch has, or should have. A segment begins with a batch; where one is missing
    /// the numbers of its neighbours say so, but before the first there are none.
    fn find_beginning(&mut self, first: Option<&Place>, durable: u64) -> u64 {
        let Some(first) = first else { return 1 };
        let number = first.header.number;
        if first.segment == 0 && first.offset == segment::FIRST_BATCH {
            return number;
        }
        if durable < number.saturating_sub(1) {
            return number - 1;
        }
        self.damage(first, DamageKind::Beginning { before: number });
        number
    }

    /// What is missing behind everything that was found, in the last segment that has anything.
    fn damage_at_end(&mut self, kind: DamageKind) {
        let used = |segment: &&segment::Segment| segment.end != segment::FIRST_BATCH;
        let last = self.files.segments.iter().rfind(used).or(self.files.segments.back());
        let (segment, offset) = last.map_or((0, 0), |last| (last.number, last.end));
        self.report.damage.push(Damage { segment, offset, kind });
    }

    fn damage(&mut self, place: &Place, kind: DamageKind) {
        let segment = self.files.segment_of(place);
        self.report.damage.push(Damage { segment, offset: place.offset, kind });
    }

    fn apply_batch(&mut self, place: &Place, octets: &[u8], keep: Keep<'_, M>) {
        let segment = self.files.segment_of(place);
        let mut end = place.offset + HEADER as u64;
        for body in batch::bodies(&place.header, octets) {
            self.report.records += 1;
            let applied = match body {
                Body::Good(body) => {
                    end += (RECORD_HEADER + body.len()) as u64;
                    let record = Record::decode(body);
                    let applied = record.map(|record| self.apply(record, segment, end, keep)) == Ok(true);
                    if applied { Ok(()) } else { Err(body) }
                }
                Body::Bad(body) => {
                    end += (RECORD_HEADER + body.len()) as u64;
                    Err(body)
                }
                Body::Lost => {
                    let number = place.header.number;
                    self.damage(place, DamageKind::Batches { first: number, last: number });
                    return;
                }
            };
            if let Err(body) = applied {
                self.damage(place, unreadable(body));
            }
        }
    }

    /// Carries a record out that ends at `end`; false when it is not what it should be.
    fn apply(&mut self, record: Record<'_>, segment: u64, end: u64, keep: Keep<'_, M>) -> bool {
        self.was_clean = record == Record::CleanStop;
        match record {
            Record::Message { places, contents } => {
                let length = contents.len() as u64;
                return self.apply_message(
                    &places,
                    contents,
                    Spot { segment, offset: end - length, length },
                    keep,
                );
            }
            Record::Settled { queue, runs } => self.settle(queue, &runs),
            Record::Returned { queue, runs, how } => self.give_back(queue, &runs, how),
            Record::Definition(definition) => self.define(definition, segment),
            Record::Page(page) => self.apply_page(&page, segment),
            // One that has no use for itself would have the log thrown away.
            Record::Trimmed { before } if segment < before => return false,
            Record::Trimmed { before } => self.trimmed = self.trimmed.max(before),
            Record::Accepted { before } => self.accepted = self.accepted.max(before),
            Record::CleanStop => {}
        }
        true
    }

    fn apply_message(&mut self, places: &Places, contents: &[u8], at: Spot, keep: Keep<'_, M>) -> bool {
        let mut reader = Reader::new(contents);
        let Ok(view) = View::decode(&mut reader) else { return false };
        if !reader.is_empty() {
            return false;
        }
        let mut message = None;
        for place in places {
            self.next_queue = self.next_queue.max(place.queue.saturating_add(1));
            if self.deleted.contains(&place.queue) {
                continue;
            }
            self.index.recover_message(place, contents.len() as u64);
            let message = message.get_or_insert_with(|| keep(&view, at)).clone();
            let queue = self.queues.entry(place.queue).or_default();
            queue.next_sequence = queue.next_sequence.max(place.sequence + 1);
            let recovered = RecoveredMessage { message, deadline: place.deadline, returns: place.returns };
            queue.messages.insert(place.sequence, recovered);
        }
        true
    }

    fn apply_page(&mut self, page: &PageRecord, segment: u64) {
        self.next_queue = self.next_queue.max(page.queue.saturating_add(1));
        if self.deleted.contains(&page.queue) {
            return;
        }
        self.index.recover_page(page, segment);
        let queue = self.queues.entry(page.queue).or_default();
        for (first, length) in &page.live {
            let end = first.saturating_add(*length);
            queue.next_sequence = queue.next_sequence.max(end);
            let range = *first..end;
            queue.messages.extract_if(range.clone(), |_, _| true).for_each(drop);
            queue.returns.extract_if(range, |_, _| true).for_each(drop);
        }
        queue.returns.extend(page.returns.iter().copied());
    }

    fn settle(&mut self, id: QueueId, runs: &[(u64, u64)]) {
        if self.deleted.contains(&id) {
            return;
        }
        let queue = self.queues.entry(id).or_default();
        for (first, length) in runs {
            let end = first.saturating_add(*length);
            queue.next_sequence = queue.next_sequence.max(end);
            let mut living = self.index.living(id, *first, end);
            for sequence in &living {
                queue.messages.remove(sequence);
                queue.returns.remove(sequence);
            }
            self.index.settle(id, &mut living, &mut Vec::new());
        }
    }

    fn give_back(&mut self, id: QueueId, runs: &[(u64, u64)], how: u32) {
        if self.deleted.contains(&id) {
            return;
        }
        let queue = self.queues.entry(id).or_default();
        for (first, length) in runs {
            // What was in a page whose record comes later is said there.
            let mut living = self.index.living(id, *first, first.saturating_add(*length));
            for sequence in &living {
                let times = match queue.messages.get_mut(sequence) {
                    Some(message) => &mut message.returns,
                    None => queue.returns.entry(*sequence).or_default(),
                };
                *times = returns::add(*times, how);
            }
            self.index.give_back(id, &mut living, how);
        }
    }

    fn define(&mut self, definition: Definition, segment: u64) {
        if let Definition::DeleteQueue { id, .. } | Definition::DeleteKept { id, .. } = &definition {
            self.queues.remove(id);
            self.deleted.insert(*id);
            self.next_queue = self.next_queue.max(id.saturating_add(1));
        }
        if let Definition::DeclareQueue { queue, .. } = &definition {
            for id in queue.ids() {
                self.queues.entry(id).or_default();
                self.next_queue = self.next_queue.max(id.saturating_add(1));
            }
        }
        if let Definition::DeclareExchange { exchange, .. } = &definition {
            for id in exchange.kept() {
                self.queues.entry(id).or_default();
                self.next_queue = self.next_queue.max(id.saturating_add(1));
            }
        }
        self.index.define(&definition, segment, &mut Vec::new());
        self.catalog.apply(definition);
    }

    fn finish(&mut self) {
        self.access = self.catalog.take_access();
        self.definitions = std::mem::take(&mut self.catalog).into_definitions();
        let ids: HashSet<QueueId, FixedState> =
            self.definitions.values().flat_map(Definitions::queue_ids).collect();
        self.queues.retain(|id, _| ids.contains(id));
        self.index.retain_queues(|id| ids.contains(&id));
        self.index.end_recovery();
        for (record, live) in self.index.pages() {
            if let Some(queue) = self.queues.get_mut(&record.queue) {
                queue.pages.push(PageRecord { live: live.runs(), ..record.clone() });
            }
        }
        for queue in self.queues.values_mut() {
            queue.pages.sort_by_key(|page| page.page);
        }
        self.report_segments();
        let accepted = self.accepted;
        self.report.damage.retain(|damage| accepted <= damage.segment || !damage.kind.is_grave());
    }

    /// What can be said of the files once the log was read.
    fn report_segments(&mut self) {
        let segments = &self.files.segments;
        let first = segments.front().map_or(self.trimmed, |segment| segment.number);
        let damage = &mut self.report.damage;
        if self.trimmed < first {
            damage.push(Damage { segment: first, offset: 0, kind: DamageKind::Segments { before: first } });
        }
        for number in &self.files.headless {
            // A last segment without anything was being made when the broker stopped.
            let is_used = segments.iter().any(|one| one.number == *number && one.end != segment::FIRST_BATCH);
            if is_used || segments.back().is_some_and(|last| last.number != *number) {
                damage.push(Damage { segment: *number, offset: 0, kind: DamageKind::Header });
            }
        }
        let numbers = segments.iter().map(|segment| segment.number);
        for (one, next) in numbers.clone().zip(numbers.skip(1)) {
            // Segments have no gaps, but among those that are not needed.
            if one + 1 < next && self.trimmed < next {
                damage.push(Damage { segment: next, offset: 0, kind: DamageKind::Segments { before: next } });
            }
        }
        // What is not needed any more may be damaged.
        damage.retain(|damage| self.trimmed <= damage.segment);
        self.report.segments = segments.len();
        self.report.written_by = self.files.written_by.clone();
        self.report.foreign = self.files.foreign.clone();
    }

    /// The segments and where each ends.
    pub fn segments(&self) -> impl Iterator<Item = (u64, u64)> {
        self.files.segments.iter().map(|segment| (segment.number, segment.end))
    }

    /// The encoded message at a place that the replay has named.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(&self, spot: Spot) -> io::Result<Vec<u8>> {
        let segment = self.files.segments.iter().find(|segment| segment.number == spot.segment);
        let Some(segment) = segment else { return Err(io::ErrorKind::NotFound.into()) };
        let length = usize::try_from(spot.length).map_err(|_| io::ErrorKind::InvalidInput)?;
        let mut octets = vec![0; length];
        segment.file.read_exact_at(&mut octets, spot.offset)?;
        Ok(octets)
    }

    /// Makes durable what may not be. After a sync that failed, what can be read may never have reached the disk,
    /// and a sync that succeeds proves nothing: only what is written again is written.
    fn write_again(&mut self) -> io::Result<()> {
        let mut octets = Vec::new();
        for place in std::mem::take(&mut self.unproven) {
            let Some(segment) = self.files.segments.get(place.segment) else { continue };
            // Without the zeros behind it: the file may end before them.
            let length = usize::try_from(HEADER as u64 + place.header.length).unwrap_or(usize::MAX);
            octets.resize(length, 0);
            segment.file.read_exact_at(&mut octets, place.offset)?;
            segment.file.write_all_at(&octets, place.offset)?;
        }
        match self.files.segments.iter().rfind(|segment| segment.end != segment::FIRST_BATCH) {
            Some(last) => last.file.sync(),
            None => Ok(()),
        }
    }

    /// Cuts off what was being written, makes the rest durable for sure, and removes what is not needed.
    fn cut_tail(&mut self, disk: &dyn Disk) -> io::Result<()> {
        for segment in &self.files.segments {
            if segment.end < segment.file.length()? {
                segment.file.set_length(segment.end)?;
                segment.file.sync()?;
            }
        }
        self.write_again()?;
        for number in std::mem::take(&mut self.files.left_out) {
            disk.remove(&segment::path(number))?;
        }
        // Segments without a batch, as every start in vain leaves one.
        let (empty, used): (VecDeque<_>, _) = std::mem::take(&mut self.files.segments)
            .into_iter()
            .partition(|segment| segment.end == segment::FIRST_BATCH);
        self.files.segments = used;
        for segment in empty {
            disk.remove(&segment::path(segment.number))?;
        }
        disk.sync_directory(segment::DIRECTORY)
    }
}

/// What a record that cannot be read was, as far as can be told.
fn unreadable(body: &[u8]) -> DamageKind {
    let places = match Record::decode(body) {
        Ok(Record::Settled { queue, runs } | Record::Returned { queue, runs, .. }) => {
            return DamageKind::Settlement { queue, runs };
        }
        Ok(Record::Message { places, .. }) => {
            places.iter().map(|place| (place.queue, place.sequence)).collect()
        }
        _ => Vec::new(),
    };
    DamageKind::Record { places }
}
