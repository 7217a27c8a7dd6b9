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
    batch::{self, ALIGNMENT, Body, Header},
    catalog::{AccessDefinitions, Catalog, Definitions},
    contents::View,
    definition::{Definition, QueueId},
    disk::{Disk, Open},
    index::Index,
    log::Log,
    octets::Reader,
    record::{PageRecord, Places, Record},
    segment::{self, BadHeader, Name, Segment},
    writer::{Found, LogSettings, Writer},
};
use crate::broker::{Message, Millis, memory::Account};

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

/// The messages of a queue.
#[derive(Debug, Default)]
pub struct RecoveredQueue {
    /// By sequence.
    pub messages: BTreeMap<u64, RecoveredMessage>,
    /// With what lives in them.
    pub pages: Vec<PageRecord>,
    /// How often messages in pages were given back, by sequence.
    pub returns: BTreeMap<u64, u32>,
    /// Greater than every sequence that the log mentions.
    pub next_sequence: u64,
}

/// A message in a queue.
#[derive(Debug)]
pub struct RecoveredMessage {
    pub message: Message,
    pub deadline: Millis,
    /// How often it was given back.
    pub returns: u32,
}

/// What a recovery found, for people.
#[derive(Debug, Default)]
pub struct Report {
    pub segments: usize,
    pub batches: u64,
    pub records: u64,
    pub bytes: u64,
    /// Octets at the end that were being written when the broker stopped; nothing in them was confirmed.
    pub torn_bytes: u64,
    pub damage: Vec<Damage>,
}

/// Something that was durable and cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    pub segment: u64,
    pub offset: u64,
    pub kind: DamageKind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DamageKind {
    /// A record fails its checksum; its message stood in these places, as far as can be told.
    Record { places: Vec<(QueueId, u64)> },
    /// Whole batches, by number, are missing or unreadable.
    Batches { first: u64, last: u64 },
    /// Segments up to this one are missing though they were needed.
    Segments { before: u64 },
}

impl DamageKind {
    /// Whether more is lost than single messages that can be named.
    pub fn is_grave(&self) -> bool {
        !matches!(self, DamageKind::Record { .. })
    }
}

/// Why a log cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    #[error("{path} cannot be used: {error}")]
    Io { path: String, error: io::Error },
    #[error(
        "the log has format {found}, written by leveret {by}; this version knows format {}",
        segment::FORMAT
    )]
    Format { found: u32, by: String },
    #[error("the log is damaged: {}", .0.first().map(ToString::to_string).unwrap_or_default())]
    Damaged(Vec<Damage>),
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Damage { segment, offset, kind } = self;
        match kind {
            DamageKind::Record { places } if places.is_empty() => {
                write!(f, "segment {segment:016x}, octet {offset}: a record cannot be read")
            }
            DamageKind::Record { places } => {
                write!(f, "segment {segment:016x}, octet {offset}: a message cannot be read")?;
                for (queue, sequence) in places {
                    write!(f, "; it was number {sequence} of queue #{queue}")?;
                }
                Ok(())
            }
            DamageKind::Batches { first, last } => {
                write!(f, "segment {segment:016x}, octet {offset}: batches {first} to {last} are missing")
            }
            DamageKind::Segments { before } => write!(f, "segments before {before:016x} are missing"),
        }
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

/// A batch that was found.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// Index of its segment.
    segment: usize,
    offset: u64,
    header: Header,
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
    let mut replay = replay(&**disk, options.account, progress)?;
    let grave = replay.report.damage.iter().any(|damage| damage.kind.is_grave());
    if grave && !options.accept_loss {
        return Err(RecoveryError::Damaged(replay.report.damage));
    }
    replay.cut_tail(&**disk).map_err(io)?;
    let log = Arc::new(Log::new());
    let found = Found {
        next_segment: replay.next_segment,
        next_batch: replay.next_batch,
        segments: replay.segments,
        spares: replay.spares,
        index: replay.index,
    };
    let writer = Writer::new(log.clone(), disk.clone(), options.settings, found).map_err(io)?;
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
pub struct Replay {
    segments: VecDeque<Segment>,
    spares: Vec<u64>,
    next_segment: u64,
    next_batch: u64,
    index: Index,
    catalog: Catalog,
    pub access: AccessDefinitions,
    pub definitions: BTreeMap<String, Definitions>,
    pub queues: HashMap<QueueId, RecoveredQueue, FixedState>,
    pub was_clean: bool,
    pub report: Report,
    /// Segments before this one are not needed.
    trimmed: u64,
    /// Queues whose messages are of no use. Others may be defined only later in the log than their messages
    /// are: trimming writes definitions again at the end.
    deleted: HashSet<QueueId, FixedState>,
    next_queue: QueueId,
    account: Account,
    scratch: Vec<u8>,
}

/// Reads a log without changing anything.
///
/// # Errors
/// When files cannot be read or another version wrote them.
pub fn replay(
    disk: &dyn Disk,
    account: Account,
    mut progress: impl FnMut(u64, u64),
) -> Result<Replay, RecoveryError> {
    let mut replay = Replay {
        segments: VecDeque::new(),
        spares: Vec::new(),
        next_segment: 1,
        next_batch: 1,
        index: Index::default(),
        catalog: Catalog::default(),
        access: AccessDefinitions::default(),
        definitions: BTreeMap::new(),
        queues: HashMap::default(),
        was_clean: false,
        report: Report::default(),
        trimmed: 1,
        deleted: HashSet::default(),
        next_queue: 1,
        account,
        scratch: Vec::new(),
    };
    replay.find_segments(disk)?;
    let io = |error| RecoveryError::Io { path: segment::DIRECTORY.to_owned(), error };
    let batches = replay.find_batches().map_err(io)?;
    replay.apply_batches(&batches, &mut progress).map_err(io)?;
    replay.finish();
    Ok(replay)
}

impl Replay {
    fn find_segments(&mut self, disk: &dyn Disk) -> Result<(), RecoveryError> {
        let io = |path: &str, error| RecoveryError::Io { path: path.to_owned(), error };
        let mut numbers = Vec::new();
        for name in disk.list(segment::DIRECTORY).map_err(|error| io(segment::DIRECTORY, error))? {
            match segment::parse_name(&name) {
                Name::Segment(number) => numbers.push(number),
                Name::Spare(number) => self.spares.push(number),
                Name::Foreign => tracing::warn!("{}/{name} is not leveret's", segment::DIRECTORY),
            }
        }
        numbers.sort_unstable();
        self.next_segment = numbers.last().map_or(1, |last| last + 1);
        let last = numbers.last().copied();
        for number in numbers {
            let path = segment::path(number);
            let file = disk.open(&path, Open::Existing).map_err(|error| io(&path, error))?;
            match segment::check_header(&*file, number).map_err(|error| io(&path, error))? {
                Ok(()) => {}
                Err(BadHeader::Format { found, by }) => return Err(RecoveryError::Format { found, by }),
                // A segment that was being made when the broker stopped. Any other is looked through for
                // batches: those missing will be missed.
                Err(BadHeader::Damaged) if Some(number) == last => {}
                Err(BadHeader::Damaged) => tracing::error!("{path} has a damaged header"),
            }
            self.segments.push_back(Segment { number, file, end: segment::FIRST_BATCH });
        }
        self.report.segments = self.segments.len();
        Ok(())
    }

    /// Finds the batches of all segments, by number.
    fn find_batches(&mut self) -> io::Result<Vec<Place>> {
        let mut found: Vec<Place> = Vec::new();
        for (at, segment) in self.segments.iter().enumerate() {
            let length = segment.file.length()?;
            let mut offset = segment::FIRST_BATCH;
            while offset < length {
                match batch::read_header(&*segment.file, offset, segment.number)? {
                    Some(header) => {
                        found.push(Place { segment: at, offset, header });
                        offset = offset.saturating_add(header.span());
                    }
                    None => offset = batch::find(&*segment.file, offset + ALIGNMENT)?.unwrap_or(length),
                }
            }
        }
        found.sort_by_key(|place| place.header.number);
        found.dedup_by_key(|place| place.header.number);
        Ok(found)
    }

    fn apply_batches(&mut self, batches: &[Place], progress: &mut impl FnMut(u64, u64)) -> io::Result<()> {
        let total: u64 = batches.iter().map(|place| place.header.span()).sum();
        let last_segment = self.segments.len().saturating_sub(1);
        // A segment is only begun once everything before it is on disk.
        let known = |place: &Place| {
            let own = if place.segment < last_segment { place.header.number } else { 0 };
            own.max(place.header.durable)
        };
        let durable = batches.iter().map(known).max().unwrap_or(0);
        let mut done = 0;
        let mut expected = batches.first().map_or(1, |first| first.header.number);
        let mut octets = Vec::new();
        for place in batches {
            let header = place.header;
            if expected < header.number {
                if durable < expected {
                    break;
                }
                self.damage(place, DamageKind::Batches { first: expected, last: header.number - 1 });
            }
            let Some(file) = self.segments.get(place.segment).map(|segment| segment.file.clone()) else {
                break;
            };
            let whole = batch::read_records(&*file, place.offset, &header, &mut octets)?;
            let intact = whole && batch::bodies(&header, &octets).all(|body| matches!(body, Body::Good(_)));
            if !intact && durable < header.number {
                break;
            }
            if !whole {
                self.damage(place, DamageKind::Batches { first: header.number, last: header.number });
            }
            self.apply_batch(place, &octets);
            expected = header.number + 1;
            if let Some(segment) = self.segments.get_mut(place.segment) {
                segment.end = place.offset + header.span();
            }
            done += header.span();
            self.report.batches += 1;
            progress(done, total);
        }
        self.next_batch = expected;
        self.report.bytes = done;
        self.report.torn_bytes = total - done;
        Ok(())
    }

    fn damage(&mut self, place: &Place, kind: DamageKind) {
        let segment = self.segments.get(place.segment).map_or(0, |segment| segment.number);
        self.report.damage.push(Damage { segment, offset: place.offset, kind });
    }

    fn apply_batch(&mut self, place: &Place, octets: &[u8]) {
        let segment = self.segments.get(place.segment).map_or(0, |segment| segment.number);
        for body in batch::bodies(&place.header, octets) {
            self.report.records += 1;
            let decoded = match body {
                Body::Good(body) => Record::decode(body).map_err(|_| body),
                Body::Bad(body) => Err(body),
                Body::Lost => {
                    let number = place.header.number;
                    self.damage(place, DamageKind::Batches { first: number, last: number });
                    return;
                }
            };
            match decoded {
                Ok(record) => {
                    self.was_clean = record == Record::CleanStop;
                    self.apply(record, segment);
                }
                Err(body) => {
                    let places = match Record::decode(body) {
                        Ok(Record::Message { places, .. }) => {
                            places.iter().map(|place| (place.queue, place.sequence)).collect()
                        }
                        _ => Vec::new(),
                    };
                    self.damage(place, DamageKind::Record { places });
                }
            }
        }
    }

    fn apply(&mut self, record: Record<'_>, segment: u64) {
        match record {
            Record::Message { places, contents } => self.apply_message(&places, contents),
            Record::Settled { queue, runs } => self.settle(queue, &runs),
            Record::Returned { queue, runs } => self.give_back(queue, &runs),
            Record::Definition(definition) => self.define(definition, segment),
            Record::Page(page) => {
                self.next_queue = self.next_queue.max(page.queue.saturating_add(1));
                if !self.deleted.contains(&page.queue) {
                    self.index.recover_page(&page, segment);
                    let queue = self.queues.entry(page.queue).or_default();
                    for (first, length) in &page.live {
                        queue.next_sequence = queue.next_sequence.max(first + length);
                        for sequence in *first..first.saturating_add(*length) {
                            if let Some(message) = queue.messages.remove(&sequence)
                                && message.returns != 0
                            {
                                queue.returns.insert(sequence, message.returns);
                            }
                        }
                    }
                }
            }
            Record::Trimmed { before } => self.trimmed = self.trimmed.max(before),
            Record::CleanStop => {}
        }
    }

    fn apply_message(&mut self, places: &Places, contents: &[u8]) {
        let Ok(view) = View::decode(&mut Reader::new(contents)) else { return };
        let mut message = None;
        for place in places {
            self.next_queue = self.next_queue.max(place.queue.saturating_add(1));
            if self.deleted.contains(&place.queue) {
                continue;
            }
            self.index.recover_message(place, contents.len() as u64);
            let message =
                message.get_or_insert_with(|| view.message(self.account, &mut self.scratch)).clone();
            let queue = self.queues.entry(place.queue).or_default();
            queue.next_sequence = queue.next_sequence.max(place.sequence + 1);
            let recovered = RecoveredMessage { message, deadline: place.deadline, returns: place.returns };
            queue.messages.insert(place.sequence, recovered);
        }
    }

    fn settle(&mut self, id: QueueId, runs: &[(u64, u64)]) {
        let Some(queue) = self.queues.get_mut(&id) else { return };
        for (first, length) in runs {
            let end = first.saturating_add(*length);
            queue.next_sequence = queue.next_sequence.max(end);
            let mut sequences: Vec<u64> = (*first..end).collect();
            for sequence in &sequences {
                queue.messages.remove(sequence);
                queue.returns.remove(sequence);
            }
            self.index.settle(id, &mut sequences, &mut Vec::new());
        }
    }

    fn give_back(&mut self, id: QueueId, runs: &[(u64, u64)]) {
        let Some(queue) = self.queues.get_mut(&id) else { return };
        for (first, length) in runs {
            let mut sequences: Vec<u64> = (*first..first.saturating_add(*length)).collect();
            for sequence in &sequences {
                match queue.messages.get_mut(sequence) {
                    Some(message) => message.returns = message.returns.saturating_add(1),
                    None => *queue.returns.entry(*sequence).or_default() += 1,
                }
            }
            self.index.give_back(id, &mut sequences);
        }
    }

    fn define(&mut self, definition: Definition, segment: u64) {
        if let Definition::DeleteQueue { id, .. } = &definition {
            self.queues.remove(id);
            self.deleted.insert(*id);
            self.next_queue = self.next_queue.max(id.saturating_add(1));
        }
        if let Definition::DeclareQueue { queue, .. } = &definition {
            self.queues.entry(queue.id).or_default();
            self.next_queue = self.next_queue.max(queue.id.saturating_add(1));
        }
        self.index.define(&definition, segment, &mut Vec::new());
        self.catalog.apply(definition);
    }

    fn finish(&mut self) {
        self.access = self.catalog.take_access();
        self.definitions = std::mem::take(&mut self.catalog).into_definitions();
        let ids: std::collections::HashSet<QueueId> =
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
        let first = self.segments.front().map_or(self.trimmed, |segment| segment.number);
        if self.trimmed < first {
            let kind = DamageKind::Segments { before: first };
            self.report.damage.push(Damage { segment: first, offset: 0, kind });
        }
    }

    /// Whether anything in the log is damaged gravely.
    pub fn segments(&self) -> impl Iterator<Item = (u64, u64)> {
        self.segments.iter().map(|segment| (segment.number, segment.end))
    }

    /// Cuts off what was being written, makes the rest durable for sure, and removes what is not needed.
    fn cut_tail(&mut self, disk: &dyn Disk) -> io::Result<()> {
        for segment in &self.segments {
            if segment.end < segment.file.length()? {
                segment.file.set_length(segment.end)?;
                segment.file.sync()?;
            }
        }
        if let Some(last) = self.segments.back() {
            last.file.sync()?;
        }
        while self.segments.front().is_some_and(|oldest| oldest.number < self.trimmed) {
            if let Some(oldest) = self.segments.pop_front() {
                disk.remove(&segment::path(oldest.number))?;
            }
        }
        // Segments without a batch, as every start in vain leaves one.
        let (empty, used): (VecDeque<_>, _) = std::mem::take(&mut self.segments)
            .into_iter()
            .partition(|segment| segment.end == segment::FIRST_BATCH);
        self.segments = used;
        for segment in empty {
            disk.remove(&segment::path(segment.number))?;
        }
        disk.sync_directory(segment::DIRECTORY)
    }
}
