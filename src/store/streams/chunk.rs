//! A chunk and a segment's header as octets.

use std::io;

use crate::broker::{
    Millis,
    memory::Account,
    queue::{
        Entry,
        stream::{Chunk, ChunkFilter},
    },
};
use crate::store::{
    batch::{self, Body},
    contents::{self, View},
    definition::QueueId,
    disk::DiskFile,
    octets::{Malformed, Reader, put_number, put_octets},
};

const MAGIC: [u8; 16] = *b"leveret stream\n\0";
const FORMAT: u64 = 1;
/// Octets of the header.
const HEADER: usize = 52;
/// Where the first chunk begins.
pub const FIRST_CHUNK: u64 = 4096;

const HAS_UNFILTERED: u8 = 1;

/// The header of a segment's file.
pub fn header(queue: QueueId, first: u64, mark: u64) -> [u8; HEADER] {
    let mut octets = [0; HEADER];
    let fields = [FORMAT, queue, first, mark].map(u64::to_le_bytes).concat();
    for (place, octet) in octets.iter_mut().zip(MAGIC.iter().chain(&fields)) {
        *place = *octet;
    }
    if let Some((checked, crc)) = octets.split_last_chunk_mut::<4>() {
        *crc = crc32c::crc32c(checked).to_le_bytes();
    }
    octets
}

/// The mark of a segment's file; `None` when its header is not what it should be.
pub fn read_mark(file: &dyn DiskFile, queue: QueueId, first: u64) -> io::Result<Option<u64>> {
    let mut octets = [0; HEADER];
    if !batch::fill(file, &mut octets, 0)? {
        return Ok(None);
    }
    let mark = octets.get(40..48).and_then(|octets| octets.try_into().ok()).map(u64::from_le_bytes);
    Ok(mark.filter(|mark| octets == header(queue, first, *mark)))
}

/// The record about a chunk.
pub fn put_about(out: &mut Vec<u8>, end: u64, filter: &ChunkFilter) {
    put_number(out, end);
    out.push(if filter.has_unfiltered { HAS_UNFILTERED } else { 0 });
    put_octets(out, &filter.bits);
}

/// What a record about a chunk says: the offset behind it, and its filter.
pub fn about(body: &[u8]) -> Result<(u64, ChunkFilter), Malformed> {
    let mut reader = Reader::new(body);
    let end = reader.number()?;
    let has_unfiltered = reader.octet()? & HAS_UNFILTERED != 0;
    let bits = reader.octets()?.into();
    reader.end()?;
    Ok((end, ChunkFilter { has_unfiltered, bits }))
}

/// The record of a message.
pub fn put_entry(out: &mut Vec<u8>, entry: &Entry, first: u64, last_time: Millis) {
    put_number(out, entry.sequence - first);
    put_number(out, last_time.saturating_sub(entry.deadline));
    contents::encode(&entry.message, out);
}

/// A record of a message, taken apart: its offset and its time.
pub fn view(body: &[u8], first: u64, last_time: Millis) -> Result<(u64, Millis, View<'_>), Malformed> {
    let mut reader = Reader::new(body);
    let offset = first.checked_add(reader.number()?).ok_or(Malformed)?;
    let time = last_time.saturating_sub(reader.number()?);
    let view = View::decode(&mut reader)?;
    reader.end()?;
    Ok((offset, time, view))
}

/// Reads a chunk; `None` when it is not there. Also says how many of its messages could not be read.
pub fn read(
    file: &dyn DiskFile,
    key: u64,
    chunk: &Chunk,
    account: Account,
) -> io::Result<Option<(Vec<Entry>, u32)>> {
    // All of it at once: a header read by itself would be another call for each chunk.
    let Some(header) = batch::read_header(file, chunk.position, key)? else { return Ok(None) };
    let mut octets = Vec::new();
    if header.number != chunk.first
        || header.span() != chunk.length
        || !batch::read_records(file, chunk.position, &header, &mut octets)?
    {
        return Ok(None);
    }
    let mut entries = Vec::with_capacity((header.records as usize).min(octets.len()));
    let (mut scratch, mut lost, mut last) = (Vec::new(), 0, None);
    for body in batch::bodies(&header, &octets).skip(1) {
        let Body::Good(body) = body else {
            lost += 1;
            continue;
        };
        match view(body, chunk.first, header.durable) {
            Ok((offset, time, view)) if last < Some(offset) && offset < chunk.end => {
                let message = view.message(account, &mut scratch);
                last = Some(offset);
                entries.push(Entry {
                    message,
                    sequence: offset,
                    deadline: time,
                    returns: 0,
                    redelivered: false,
                    logged: false,
                });
            }
            _ => lost += 1,
        }
    }
    Ok(Some((entries, lost)))
}
