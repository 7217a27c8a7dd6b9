//! Files of streams: a file for each segment, and one for what names have read.
//!
//! What a stream takes in is durable through the log. Once a chunk's worth of it is there, it is written here,
//! synced, and settled in the log, which then needs it no more. So a chunk that was being written when the
//! power went is still in the log; a chunk that is settled there is whole here.
//!
//! All numbers are little-endian; *n* and *octets* are what they are in the log's records.
//!
//! | file `streams/<queue>-<first offset>`, both of 16 hexadecimal digits: a segment | octets |
//! |---|---|
//! | `leveret stream\n` and a zero | 16 |
//! | format, 1, and 4 zeros | 8 |
//! | the queue's id | 8 |
//! | the first offset | 8 |
//! | a random number, the file's mark | 8 |
//! | CRC-32C of the above | 4 |
//! | zeros up to 4,096; then chunks, each at a multiple of 4,096 | |
//!
//! A chunk is framed as a batch of the log is: `LVB1`, checksum, then the queue's id xor the mark where a
//! batch has its segment's number, the first offset where it has its own, and the time of its last message
//! where it has the last synced batch. The first record is about the chunk, each other one a message.
//!
//! | record | |
//! |---|---|
//! | about the chunk | the offset behind its last message *n*, flags (octet: 1 some messages have no filter value), filter *octets* |
//! | message | its offset less the chunk's first *n*, its age when the chunk's last message came in milliseconds *n*, and the message as in the log |
//!
//! The filter is a Bloom filter of the values of `x-stream-filter-value`: a value sets the bits `s mod m` and
//! `s + t mod m` of its *m* bits, where *s* is the low half of the value's FNV-1a hash of 64 bits, and *t* the
//! high half with its lowest bit set.
//!
//! | file `streams/<queue>-offsets`: one frame as above, with the queue's id and 1 for the numbers | |
//! |---|---|
//! | record | name *octets*, the offset where it goes on *n* |

mod chunk;
mod scan;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, io, ops::Bound, sync::Arc};

use super::{
    batch::{self, Body, Builder},
    definition::QueueId,
    disk::{Disk, DiskFile, Open},
    octets::{Reader, put_number, put_octets},
};
use crate::broker::{
    memory::Account,
    queue::{
        Entry,
        stream::{Chunk, ChunkOut, RestoredStream},
    },
};
use chunk::{FIRST_CHUNK, header, put_about, put_entry};
pub use scan::{Depth, FoundSegment, scan_streams};

/// Where the files are, within the data directory.
pub const DIRECTORY: &str = "streams";
/// Files that are kept open at most, beside those that are written to.
const OPEN_MAX: usize = 128;
/// A write buffer beyond this many octets is not kept.
const BUFFER_KEPT: usize = 1 << 20;

/// Names a segment: a stream and its first offset.
type SegmentKey = (QueueId, u64);

/// The files of all streams.
#[derive(Debug)]
pub struct StreamFiles {
    disk: Arc<dyn Disk>,
    files: BTreeMap<SegmentKey, SegmentFile>,
    builder: Builder,
    mark: u64,
    open: usize,
    /// Names that were made or removed and are not on disk yet.
    directory_is_dirty: bool,
}

#[derive(Debug)]
struct SegmentFile {
    file: Option<Arc<dyn DiskFile>>,
    mark: u64,
    end: u64,
    is_dirty: bool,
}

/// What a start finds.
#[derive(Debug)]
pub struct OpenedStreams {
    pub files: StreamFiles,
    pub streams: BTreeMap<QueueId, RestoredStream>,
    /// What is wrong, a sentence each.
    pub damage: Vec<String>,
    /// Octets that were being written when the broker stopped.
    pub torn_bytes: u64,
}

fn path((queue, first): SegmentKey) -> String {
    format!("{DIRECTORY}/{queue:016x}-{first:016x}")
}

fn offsets_path(queue: QueueId) -> String {
    format!("{DIRECTORY}/{queue:016x}-offsets")
}

/// What a name in the directory stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    Segment(SegmentKey),
    Offsets(QueueId),
    Other,
}

fn parse_name(name: &str) -> Name {
    let Some((queue, rest)) = name.split_once('-') else { return Name::Other };
    let Ok(queue) = u64::from_str_radix(queue, 16) else { return Name::Other };
    match u64::from_str_radix(rest, 16) {
        Ok(first) if rest.len() == 16 => Name::Segment((queue, first)),
        _ if rest == "offsets" || rest == "offsets.new" => Name::Offsets(queue),
        _ => Name::Other,
    }
}

impl StreamFiles {
    /// Reads what the files of these streams hold; those of others are removed. With each comes the first
    /// offset that is still in the log, up to which the files are known to be whole.
    pub fn open(
        disk: Arc<dyn Disk>,
        known: &BTreeMap<QueueId, Option<u64>>,
        mark: u64,
    ) -> io::Result<OpenedStreams> {
        disk.create_directory(DIRECTORY)?;
        for name in disk.list(DIRECTORY)? {
            let (Name::Segment((queue, _)) | Name::Offsets(queue)) = parse_name(&name) else { continue };
            if !known.contains_key(&queue) || name.ends_with(".new") {
                disk.remove(&format!("{DIRECTORY}/{name}"))?;
            }
        }
        let (mut files, mut streams) = (BTreeMap::new(), BTreeMap::<QueueId, RestoredStream>::new());
        let (mut damage, mut torn_bytes) = (Vec::new(), 0);
        for found in scan_streams(&*disk, |queue| known.get(&queue).copied().flatten(), Depth::Doubtful)? {
            let FoundSegment { queue, segment, mark, end, length, damaged } = found;
            let key = (queue, segment.first);
            damage.extend(damaged.into_iter().map(|what| format!("{}: {what}", path(key))));
            if segment.chunks.is_empty() {
                disk.remove(&path(key))?;
                torn_bytes += length;
                continue;
            }
            let file = disk.open(&path(key), Open::Existing)?;
            if end < length {
                torn_bytes += length - end;
                file.set_length(end)?;
            }
            files.insert(key, SegmentFile { file: None, mark, end, is_dirty: false });
            streams.entry(queue).or_default().segments.push(segment);
        }
        for queue in known.keys() {
            let offsets = read_offsets(&*disk, *queue)?;
            if !offsets.is_empty() {
                streams.entry(*queue).or_default().offsets = offsets;
            }
        }
        let builder = Builder::default();
        let files = StreamFiles { disk, files, builder, mark, open: 0, directory_is_dirty: true };
        Ok(OpenedStreams { files, streams, damage, torn_bytes })
    }

    /// Writes a chunk; it is durable after [`StreamFiles::sync`].
    pub fn write(&mut self, queue: QueueId, out: &ChunkOut) -> io::Result<Chunk> {
        let key = (queue, out.segment);
        if !self.files.contains_key(&key) {
            self.create(key)?;
        }
        let (first, last) = (out.first, out.entries.last());
        let (end, last_time) = last.map_or((first, 0), |last| (last.sequence + 1, last.deadline));
        self.builder.begin(first);
        self.builder.record(|octets| put_about(octets, end, &out.filter));
        for entry in &out.entries {
            self.builder.record(|octets| put_entry(octets, entry, first, last_time));
        }
        let handle = self.handle(key)?;
        let Some(file) = self.files.get_mut(&key) else { return Err(io::ErrorKind::NotFound.into()) };
        let octets = self.builder.seal(queue ^ file.mark, last_time);
        let (position, length) = (file.end, octets.len() as u64);
        file.is_dirty = true;
        handle.write_all_at(octets, position)?;
        file.end += length;
        self.builder.shrink(BUFFER_KEPT);
        Ok(Chunk { first, end, position, length, last_time, filter: out.filter.clone() })
    }

    fn create(&mut self, key: SegmentKey) -> io::Result<()> {
        let file = self.disk.open(&path(key), Open::CreateNew)?;
        let mark = self.mark;
        if let Err(error) = file.write_all_at(&header(key.0, key.1, mark), 0) {
            let _nothing_is_in_it = self.disk.remove(&path(key));
            return Err(error);
        }
        self.directory_is_dirty = true;
        self.open += 1;
        let file = SegmentFile { file: Some(file), mark, end: FIRST_CHUNK, is_dirty: true };
        self.files.insert(key, file);
        Ok(())
    }

    /// The open file of a segment. Others are closed when there are many.
    fn handle(&mut self, key: SegmentKey) -> io::Result<Arc<dyn DiskFile>> {
        if let Some(SegmentFile { file: Some(file), .. }) = self.files.get(&key) {
            return Ok(file.clone());
        }
        if OPEN_MAX <= self.open {
            for file in self.files.values_mut().filter(|file| !file.is_dirty) {
                file.file = None;
            }
            self.open = self.files.values().filter(|file| file.file.is_some()).count();
        }
        let Some(place) = self.files.get_mut(&key) else { return Err(io::ErrorKind::NotFound.into()) };
        let file = self.disk.open(&path(key), Open::Existing)?;
        place.file = Some(file.clone());
        self.open += 1;
        Ok(file)
    }

    /// Makes every chunk written so far durable.
    pub fn sync(&mut self) -> io::Result<()> {
        for file in self.files.values_mut().filter(|file| file.is_dirty) {
            if let Some(handle) = &file.file {
                handle.sync()?;
            }
            file.is_dirty = false;
        }
        if self.directory_is_dirty {
            self.disk.sync_directory(DIRECTORY)?;
            self.directory_is_dirty = false;
        }
        Ok(())
    }

    /// Reads a chunk back; also says how many of its messages could not be read.
    pub fn read(
        &mut self,
        queue: QueueId,
        segment: u64,
        chunk: &Chunk,
        account: Account,
    ) -> io::Result<(Vec<Entry>, u32)> {
        let missing = || io::Error::new(io::ErrorKind::InvalidData, "the chunk is not where it was written");
        let file = self.handle((queue, segment))?;
        let mark = self.files.get(&(queue, segment)).map_or(0, |file| file.mark);
        chunk::read(&*file, queue ^ mark, chunk, account)?.ok_or_else(missing)
    }

    /// Segments are gone, and their files with them.
    pub fn remove(&mut self, queue: QueueId, segments: &[u64]) -> io::Result<()> {
        for first in segments {
            // What was never written has no file.
            if self.files.remove(&(queue, *first)).is_some() {
                self.directory_is_dirty = true;
                self.disk.remove(&path((queue, *first)))?;
            }
        }
        Ok(())
    }

    /// A stream is gone.
    pub fn remove_all(&mut self, queue: QueueId) -> io::Result<()> {
        let range = (Bound::Included((queue, 0)), Bound::Included((queue, u64::MAX)));
        let segments: Vec<u64> = self.files.range(range).map(|((_, first), _)| *first).collect();
        self.remove(queue, &segments)?;
        match self.disk.remove(&offsets_path(queue)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Writes where each name of a stream goes on, durably.
    pub fn store_offsets(&mut self, queue: QueueId, offsets: &[(Vec<u8>, u64)]) -> io::Result<()> {
        self.builder.begin(1);
        for (name, offset) in offsets {
            self.builder.record(|octets| {
                put_octets(octets, name);
                put_number(octets, *offset);
            });
        }
        let (name, new) = (offsets_path(queue), format!("{}.new", offsets_path(queue)));
        match self.disk.remove(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = self.disk.open(&new, Open::CreateNew)?;
        file.write_all_at(self.builder.seal(queue, 0), 0)?;
        file.sync()?;
        self.disk.rename(&new, &name)?;
        self.disk.sync_directory(DIRECTORY)
    }
}

/// Where each name of a stream goes on; what is damaged is left out.
fn read_offsets(disk: &dyn Disk, queue: QueueId) -> io::Result<Vec<(Vec<u8>, u64)>> {
    let file = match disk.open(&offsets_path(queue), Open::ReadOnly) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let Some(header) = batch::read_header(&*file, 0, queue)? else { return Ok(Vec::new()) };
    let (mut octets, mut offsets) = (Vec::new(), Vec::new());
    batch::read_records(&*file, 0, &header, &mut octets)?;
    for body in batch::bodies(&header, &octets) {
        let Body::Good(body) = body else { continue };
        let mut reader = Reader::new(body);
        if let (Ok(name), Ok(offset)) = (reader.octets(), reader.number()) {
            offsets.push((name.to_vec(), offset));
        }
    }
    Ok(offsets)
}
