//! The records of the log: one change each.

use smallvec::SmallVec;

use super::{
    contents,
    definition::{Definition, QueueId},
    octets::{Malformed, Reader, put_number},
};
use crate::broker::{Message, Millis, queue::returns};

/// Where a message stands in a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub queue: QueueId,
    pub sequence: u64,
    /// When it expires there; `Millis::MAX` for never.
    pub deadline: Millis,
    /// How often it was given back.
    pub returns: u32,
}

/// The places of a message; one for most.
pub type Places = SmallVec<[Place; 1]>;

/// A page of a queue: neighbouring messages that were written to a file of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRecord {
    pub queue: QueueId,
    pub page: u64,
    /// The file's number and where in it the page lies.
    pub file: u64,
    pub offset: u64,
    pub length: u64,
    /// The priority of its messages.
    pub lane: u8,
    /// Octets of the bodies of what is in `live`.
    pub bytes: u64,
    pub first_deadline: Millis,
    /// Messages in it that must survive: runs of the first sequence and how many.
    pub live: Vec<(u64, u64)>,
    /// How often those of them were given back that were, by sequence. Whatever was said before is void.
    pub returns: Vec<(u64, u32)>,
}

/// A record as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record<'a> {
    /// A message, still encoded, with all its places.
    Message {
        places: Places,
        contents: &'a [u8],
    },
    /// Messages that are done with, as runs of sequences.
    Settled {
        queue: QueueId,
        runs: Vec<(u64, u64)>,
    },
    /// Deliveries that came back, and what that adds to their number of returns.
    Returned {
        queue: QueueId,
        runs: Vec<(u64, u64)>,
        how: u32,
    },
    Definition(Definition),
    Page(PageRecord),
    /// Segments before this one are not needed any more.
    Trimmed {
        before: u64,
    },
    /// The broker stopped in order: what was never delivered is known.
    CleanStop,
    /// The operator went on without what is damaged in segments before this one.
    Accepted {
        before: u64,
    },
}

const MESSAGE: u8 = 1;
const SETTLED: u8 = 2;
const RETURNED: u8 = 3;
const DEFINITION: u8 = 4;
const PAGE: u8 = 5;
const TRIMMED: u8 = 6;
const CLEAN_STOP: u8 = 7;
const ACCEPTED: u8 = 8;
const GIVEN_BACK: u8 = 9;

/// For absent deadlines, so that they take one octet.
fn put_deadline(out: &mut Vec<u8>, deadline: Millis) {
    put_number(out, deadline.wrapping_add(1));
}

fn deadline(reader: &mut Reader<'_>) -> Result<Millis, Malformed> {
    Ok(reader.number()?.wrapping_sub(1))
}

/// Appends the body of a message record.
pub fn put_message(out: &mut Vec<u8>, places: &[Place], message: &Message) {
    put_places(out, places);
    contents::encode(message, out);
}

/// As [`put_message`], for a message that is encoded already.
pub fn put_encoded_message(out: &mut Vec<u8>, places: &[Place], contents: &[u8]) {
    put_places(out, places);
    out.extend_from_slice(contents);
}

fn put_places(out: &mut Vec<u8>, places: &[Place]) {
    out.push(MESSAGE);
    put_number(out, places.len() as u64);
    for place in places {
        put_number(out, place.queue);
        put_number(out, place.sequence);
        put_deadline(out, place.deadline);
        put_number(out, u64::from(place.returns));
    }
}

/// Appends the body of a record of settled sequences.
pub fn put_settled(out: &mut Vec<u8>, queue: QueueId, runs: &[(u64, u64)]) {
    out.push(SETTLED);
    put_number(out, queue);
    put_runs(out, runs);
}

/// Appends the body of a record of returned sequences.
pub fn put_returned(out: &mut Vec<u8>, queue: QueueId, runs: &[(u64, u64)], how: u32) {
    out.push(if how == returns::FAILED { RETURNED } else { GIVEN_BACK });
    put_number(out, queue);
    put_runs(out, runs);
}

pub fn put_definition(out: &mut Vec<u8>, definition: &Definition) {
    out.push(DEFINITION);
    definition.encode(out);
}

pub fn put_page(out: &mut Vec<u8>, page: &PageRecord) {
    out.push(PAGE);
    for number in [page.queue, page.page, page.file, page.offset, page.length] {
        put_number(out, number);
    }
    out.push(page.lane);
    put_number(out, page.bytes);
    put_deadline(out, page.first_deadline);
    put_runs(out, &page.live);
    put_number(out, page.returns.len() as u64);
    for (sequence, times) in &page.returns {
        put_number(out, *sequence);
        put_number(out, u64::from(*times));
    }
}

pub fn put_trimmed(out: &mut Vec<u8>, before: u64) {
    out.push(TRIMMED);
    put_number(out, before);
}

pub fn put_accepted(out: &mut Vec<u8>, before: u64) {
    out.push(ACCEPTED);
    put_number(out, before);
}

pub fn put_clean_stop(out: &mut Vec<u8>) {
    out.push(CLEAN_STOP);
}

/// Messages that a page may hold; more is not a page but damage.
pub const PAGE_MESSAGES_MAX: u64 = 1 << 24;

/// Runs are written as the distance from the end of the run before and a length.
fn put_runs(out: &mut Vec<u8>, runs: &[(u64, u64)]) {
    put_number(out, runs.len() as u64);
    let mut after = 0u64;
    for (first, length) in runs {
        put_number(out, first.wrapping_sub(after));
        put_number(out, *length);
        after = first.wrapping_add(*length);
    }
}

fn runs(reader: &mut Reader<'_>) -> Result<Vec<(u64, u64)>, Malformed> {
    let count = reader.number()?;
    let mut runs = Vec::new();
    let mut after = 0u64;
    for _ in 0..count {
        let first = after.wrapping_add(reader.number()?);
        let length = reader.number()?;
        after = first.checked_add(length).ok_or(Malformed)?;
        runs.push((first, length));
    }
    Ok(runs)
}

fn returns(reader: &mut Reader<'_>) -> Result<Vec<(u64, u32)>, Malformed> {
    let count = reader.number()?;
    let mut returns = Vec::new();
    for _ in 0..count {
        returns.push((reader.number()?, reader.number_as()?));
    }
    Ok(returns)
}

fn page(reader: &mut Reader<'_>) -> Result<PageRecord, Malformed> {
    let page = PageRecord {
        queue: reader.number()?,
        page: reader.number()?,
        file: reader.number()?,
        offset: reader.number()?,
        length: reader.number()?,
        lane: reader.octet()?,
        bytes: reader.number()?,
        first_deadline: deadline(reader)?,
        live: runs(reader)?,
        returns: returns(reader)?,
    };
    let count = page.live.iter().fold(0u64, |count, (_, length)| count.saturating_add(*length));
    if PAGE_MESSAGES_MAX < count { Err(Malformed) } else { Ok(page) }
}

impl<'a> Record<'a> {
    /// Reads the body of a record.
    ///
    /// # Errors
    /// When it is not exactly what its kind promises, or of a kind that this version does not know.
    pub fn decode(body: &'a [u8]) -> Result<Record<'a>, Malformed> {
        let mut reader = Reader::new(body);
        let record = match reader.octet()? {
            MESSAGE => {
                let count = reader.number()?;
                let mut places = Places::new();
                for _ in 0..count {
                    let place = Place {
                        queue: reader.number()?,
                        sequence: reader.number()?,
                        deadline: deadline(&mut reader)?,
                        returns: reader.number_as()?,
                    };
                    // The last number has no successor, and no queue comes so far.
                    if place.sequence == u64::MAX {
                        return Err(Malformed);
                    }
                    places.push(place);
                }
                return Ok(Record::Message { places, contents: reader.rest() });
            }
            SETTLED => Record::Settled { queue: reader.number()?, runs: runs(&mut reader)? },
            kind @ (RETURNED | GIVEN_BACK) => Record::Returned {
                queue: reader.number()?,
                runs: runs(&mut reader)?,
                how: if kind == RETURNED { returns::FAILED } else { returns::GIVEN_BACK },
            },
            DEFINITION => Record::Definition(Definition::decode(&mut reader)?),
            PAGE => Record::Page(page(&mut reader)?),
            TRIMMED => Record::Trimmed { before: reader.number()? },
            CLEAN_STOP => Record::CleanStop,
            ACCEPTED => Record::Accepted { before: reader.number()? },
            _ => return Err(Malformed),
        };
        reader.end()?;
        Ok(record)
    }
}
