//! Finds the chunks of all segments, and what is wrong with the files. Changes nothing.

use std::io;

use super::{
    DIRECTORY, Name,
    chunk::{FIRST_CHUNK, about, read_mark, view},
    parse_name, path,
};
use crate::{
    broker::queue::stream::{Chunk, Segment},
    store::{
        batch::{self, Body, Header},
        definition::QueueId,
        disk::{Disk, DiskFile, Open},
    },
};

/// A segment's file as it was found.
#[derive(Debug)]
pub struct FoundSegment {
    pub queue: QueueId,
    pub segment: Segment,
    pub mark: u64,
    /// Where its last whole chunk ends, and where the file does.
    pub end: u64,
    pub length: u64,
    /// What is wrong with it.
    pub damaged: Vec<String>,
}

/// How much of the files is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// What may have been torn.
    Doubtful,
    /// Every message.
    Everything,
}

/// Looks at every segment's file, in order. `logged_from` gives the first offset of a stream that is still in
/// the log: chunks from there on may have been torn, and are read as a whole.
///
/// # Errors
/// When a file cannot be read.
pub fn scan_streams(
    disk: &dyn Disk,
    logged_from: impl Fn(QueueId) -> Option<u64>,
    depth: Depth,
) -> io::Result<Vec<FoundSegment>> {
    let mut found = Vec::new();
    for name in disk.list(DIRECTORY)? {
        let Name::Segment((queue, first)) = parse_name(&name) else { continue };
        let file = disk.open(&path((queue, first)), Open::ReadOnly)?;
        found.push(scan(&*file, (queue, first), logged_from(queue), depth)?);
    }
    Ok(found)
}

fn scan(
    file: &dyn DiskFile,
    (queue, first): (QueueId, u64),
    logged_from: Option<u64>,
    depth: Depth,
) -> io::Result<FoundSegment> {
    let segment = Segment { first, end: first, ..Segment::default() };
    let length = file.length()?;
    let mut found = FoundSegment { queue, segment, mark: 0, end: 0, length, damaged: Vec::new() };
    let Some(mark) = read_mark(file, queue, first)? else {
        if FIRST_CHUNK < length {
            found.damaged.push("its header is damaged, nothing in it can be found".to_owned());
        }
        return Ok(found);
    };
    (found.mark, found.end) = (mark, FIRST_CHUNK);
    let (key, mut position) = (queue ^ mark, FIRST_CHUNK);
    while let Some((at, header)) = next_header(file, key, position)? {
        let Some(chunk) = chunk(file, at, &header, logged_from)? else {
            position = at + batch::ALIGNMENT;
            continue;
        };
        if found.segment.end <= chunk.first && chunk.first < chunk.end {
            if found.end != at {
                let octets = at - found.end;
                found.damaged.push(format!("{octets} octets at {} are damaged and lost", found.end));
            }
            (position, found.end) = (at + chunk.length, at + chunk.length);
            found.segment.end = chunk.end;
            found.segment.bytes += chunk.length;
            found.segment.last_time = found.segment.last_time.max(chunk.last_time);
            if depth == Depth::Everything && !is_whole(file, at, &header)? {
                let (first, last) = (chunk.first, chunk.end - 1);
                found.damaged.push(format!("messages among the offsets {first} to {last} are damaged"));
            }
            found.segment.chunks.push(chunk);
        } else {
            position = at + batch::ALIGNMENT;
        }
    }
    Ok(found)
}

/// The next chunk's header from a position on, and where it is.
fn next_header(file: &dyn DiskFile, key: u64, mut position: u64) -> io::Result<Option<(u64, Header)>> {
    loop {
        if let Some(header) = batch::read_header(file, position, key)? {
            return Ok(Some((position, header)));
        }
        match batch::find(file, position + batch::ALIGNMENT)? {
            Some(found) => position = found,
            None => return Ok(None),
        }
    }
}

/// The chunk with this header, unless it is torn.
fn chunk(
    file: &dyn DiskFile,
    position: u64,
    header: &Header,
    logged_from: Option<u64>,
) -> io::Result<Option<Chunk>> {
    if file.length()? < position + header.span() {
        return Ok(None);
    }
    let Some(body) = batch::read_first(file, position, header)? else { return Ok(None) };
    let Ok((end, filter)) = about(&body) else { return Ok(None) };
    if logged_from.is_some_and(|logged| logged < end) && !is_whole(file, position, header)? {
        return Ok(None);
    }
    let (first, length, last_time) = (header.number, header.span(), header.durable);
    Ok(Some(Chunk { first, end, position, length, last_time, filter }))
}

/// Whether every record of a chunk is as it was written.
fn is_whole(file: &dyn DiskFile, position: u64, header: &Header) -> io::Result<bool> {
    let mut octets = Vec::new();
    if !batch::read_records(file, position, header, &mut octets)? {
        return Ok(false);
    }
    let is_good = |body: Body<'_>| matches!(body, Body::Good(body) if view(body, header.number, header.durable).is_ok());
    Ok(batch::bodies(header, &octets).skip(1).all(is_good))
}
