//! Batches: what one commit writes, framed so that a reader knows whether all of it is there.

use std::io;

use super::disk::DiskFile;

/// Batches begin at multiples of this many octets, so that no write touches a page that holds older batches,
/// and a reader finds the next batch behind a broken one.
pub const ALIGNMENT: u64 = 4096;
/// Octets before the first record.
pub const HEADER: usize = 48;
/// Octets before each record's body.
pub const RECORD_HEADER: usize = 8;

const MAGIC: [u8; 4] = *b"LVB1";
/// A batch longer than this, or with a higher number, is not one.
const LENGTH_MAX: u64 = 1 << 40;
const NUMBER_MAX: u64 = 1 << 62;

/// A batch being put together. Keeps its memory.
#[derive(Debug, Default)]
pub struct Builder {
    octets: Vec<u8>,
    number: u64,
    records: u32,
}

/// The checksum of a record: of its body, begun with its batch's number, so that what an earlier use of the
/// file left behind never passes.
fn checksum(number: u64, body: &[u8]) -> u32 {
    crc32c::crc32c_append(number as u32 ^ (number >> 32) as u32, body)
}

impl Builder {
    /// Forgets the last batch and begins the next.
    pub fn begin(&mut self, number: u64) {
        self.octets.clear();
        self.octets.resize(HEADER, 0);
        self.number = number;
        self.records = 0;
    }

    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Octets so far.
    pub fn len(&self) -> usize {
        self.octets.len()
    }

    /// Adds a record with the body that `write` appends; returns the octets it took.
    #[inline]
    pub fn record(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> usize {
        let start = self.octets.len();
        self.octets.extend_from_slice(&[0; RECORD_HEADER]);
        write(&mut self.octets);
        let Some((header, body)) =
            self.octets.get_mut(start..).and_then(|record| record.split_at_mut_checked(RECORD_HEADER))
        else {
            return 0;
        };
        let (length, crc) = header.split_at_mut(4);
        length.copy_from_slice(&(body.len() as u32).to_le_bytes());
        crc.copy_from_slice(&checksum(self.number, body).to_le_bytes());
        self.records += 1;
        self.octets.len() - start
    }

    /// Completes the batch for its place: a segment. `durable` is the last batch that was synced before.
    pub fn seal(&mut self, segment: u64, durable: u64) -> &[u8] {
        let header = Header {
            segment,
            number: self.number,
            durable,
            length: (self.octets.len() - HEADER) as u64,
            records: self.records,
        };
        if let Some(place) = self.octets.get_mut(..HEADER) {
            place.copy_from_slice(&header.encode());
        }
        self.octets.resize(self.octets.len().next_multiple_of(ALIGNMENT as usize), 0);
        &self.octets
    }

    /// Gives back the memory of an unusually large batch.
    pub fn shrink(&mut self, octets: usize) {
        if octets < self.octets.capacity() {
            self.octets.clear();
            self.octets.shrink_to(octets);
        }
    }
}

/// What stands before the records of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The segment's key; in a page, the queue's id.
    pub segment: u64,
    /// One more than the batch's before.
    pub number: u64,
    /// The last batch that had been synced when this one was written.
    pub durable: u64,
    /// Octets of all records.
    pub length: u64,
    pub records: u32,
}

impl Header {
    fn encode(&self) -> [u8; HEADER] {
        let mut octets = [0; HEADER];
        let fields: [(usize, &[u8]); 6] = [
            (0, &MAGIC),
            (8, &self.segment.to_le_bytes()),
            (16, &self.number.to_le_bytes()),
            (24, &self.durable.to_le_bytes()),
            (32, &self.length.to_le_bytes()),
            (40, &self.records.to_le_bytes()),
        ];
        for (at, field) in fields {
            if let Some(place) = octets.get_mut(at..at + field.len()) {
                place.copy_from_slice(field);
            }
        }
        let crc = crc32c::crc32c(octets.get(8..).unwrap_or_default());
        if let Some(place) = octets.get_mut(4..8) {
            place.copy_from_slice(&crc.to_le_bytes());
        }
        octets
    }

    fn decode(octets: &[u8; HEADER]) -> Option<Header> {
        let (head, fields) = octets.split_at_checked(8)?;
        let (magic, crc) = head.split_at_checked(4)?;
        if magic != MAGIC || u32::from_le_bytes(crc.try_into().ok()?) != crc32c::crc32c(fields) {
            return None;
        }
        let number = |at: usize| Some(u64::from_le_bytes(fields.get(at..at + 8)?.try_into().ok()?));
        let header = Header {
            segment: number(0)?,
            number: number(8)?,
            durable: number(16)?,
            length: number(24)?,
            records: u32::from_le_bytes(fields.get(32..36)?.try_into().ok()?),
        };
        // What no log of ours reaches, so that sums of these never overflow.
        let possible = header.length <= LENGTH_MAX && header.number.max(header.durable) <= NUMBER_MAX;
        possible.then_some(header)
    }

    /// Octets from this batch's beginning to the next one's.
    pub fn span(&self) -> u64 {
        (HEADER as u64 + self.length).next_multiple_of(ALIGNMENT)
    }
}

/// Reads all of `octets`; false when the file ends before.
pub fn fill(file: &dyn DiskFile, octets: &mut [u8], offset: u64) -> io::Result<bool> {
    match file.read_exact_at(octets, offset) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// Reads the header of the batch at `offset`; `None` where there is none.
pub fn read_header(file: &dyn DiskFile, offset: u64, segment: u64) -> io::Result<Option<Header>> {
    let mut octets = [0; HEADER];
    if !fill(file, &mut octets, offset)? {
        return Ok(None);
    }
    Ok(Header::decode(&octets).filter(|header| header.segment == segment))
}

/// Octets that are looked through at once.
const WINDOW: usize = 1 << 20;

/// Finds the next place from `offset` on that begins like a batch: behind the end, or behind damage.
pub fn find(file: &dyn DiskFile, mut offset: u64) -> io::Result<Option<u64>> {
    let mut window = vec![0; WINDOW];
    loop {
        let read = file.read_at(&mut window, offset)?;
        let found = window.get(..read).unwrap_or_default();
        let step = ALIGNMENT as usize;
        if let Some(at) = found.chunks(step).position(|page| page.starts_with(&MAGIC)) {
            return Ok(Some(offset + (at * step) as u64));
        }
        if read < step {
            return Ok(None);
        }
        offset += (read - read % step) as u64;
    }
}

/// Reads the records behind a header into `octets`, or what is there of them; false when the file ends before
/// they do.
pub fn read_records(
    file: &dyn DiskFile,
    offset: u64,
    header: &Header,
    octets: &mut Vec<u8>,
) -> io::Result<bool> {
    let from = offset + HEADER as u64;
    octets.clear();
    let there = header.length.min(file.length()?.saturating_sub(from));
    octets.resize(usize::try_from(there).unwrap_or(0), 0);
    Ok(fill(file, octets, from)? && octets.len() as u64 == header.length)
}

/// Reads the body of the first record behind a header; `None` when it is damaged.
pub fn read_first(file: &dyn DiskFile, offset: u64, header: &Header) -> io::Result<Option<Vec<u8>>> {
    let (mut head, from) = ([0; RECORD_HEADER], offset + HEADER as u64);
    if header.length < RECORD_HEADER as u64 || !fill(file, &mut head, from)? {
        return Ok(None);
    }
    let (length, crc) = (u32::from_le_bytes([head[0], head[1], head[2], head[3]]), &head[4..]);
    if header.length - (RECORD_HEADER as u64) < u64::from(length) {
        return Ok(None);
    }
    let mut body = vec![0; length as usize];
    let is_there = fill(file, &mut body, from + RECORD_HEADER as u64)?;
    Ok((is_there && checksum(header.number, &body).to_le_bytes() == *crc).then_some(body))
}

/// One record's body, or what is left of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body<'a> {
    Good(&'a [u8]),
    /// The checksum does not fit.
    Bad(&'a [u8]),
    /// The lengths do not fit, so that nothing behind this can be read.
    Lost,
}

/// Takes the records of a batch apart.
pub fn bodies<'a>(header: &Header, mut octets: &'a [u8]) -> impl Iterator<Item = Body<'a>> + use<'a> {
    let number = header.number;
    let mut left = header.records;
    let fits = lengths_fit(header.records, octets);
    std::iter::from_fn(move || {
        if left == 0 {
            return None;
        }
        left -= 1;
        match next_body(number, octets) {
            // Where a checksum fails and the lengths do not add up, it is a length that is damaged.
            Some((body, rest)) if fits || matches!(body, Body::Good(_)) => {
                octets = rest;
                Some(body)
            }
            _ => {
                left = 0;
                Some(Body::Lost)
            }
        }
    })
}

/// Whether so many records take exactly these octets.
fn lengths_fit(records: u32, mut octets: &[u8]) -> bool {
    for _ in 0..records {
        let Some((length, rest)) = octets.split_first_chunk::<4>() else { return false };
        let skipped = RECORD_HEADER - length.len() + u32::from_le_bytes(*length) as usize;
        let Some(rest) = rest.get(skipped..) else { return false };
        octets = rest;
    }
    octets.is_empty()
}

fn next_body(number: u64, octets: &[u8]) -> Option<(Body<'_>, &[u8])> {
    let (length, rest) = octets.split_first_chunk::<4>()?;
    let (crc, rest) = rest.split_first_chunk::<4>()?;
    let (body, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    let good = checksum(number, body) == u32::from_le_bytes(*crc);
    Some((if good { Body::Good(body) } else { Body::Bad(body) }, rest))
}
