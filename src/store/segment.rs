//! Segments: the files of the log, of one size, used again once nothing in them is needed.

use std::{io, sync::Arc};

use super::{
    batch::{ALIGNMENT, fill},
    disk::{Disk, DiskFile, Open},
};

/// Where the segments are, within the data directory.
pub const DIRECTORY: &str = "log";
/// The version of everything in this module's formats.
pub const FORMAT: u32 = 1;
/// Where the first batch begins.
pub const FIRST_BATCH: u64 = ALIGNMENT;

const MAGIC: &[u8; 12] = b"leveret log\n";
const SPARE: &str = "spare-";
/// Where the header stands once more.
const COPY: u64 = ALIGNMENT / 2;
/// Octets of the header that are checked.
const CHECKED: usize = 64;

/// A segment's file.
#[derive(Debug, Clone)]
pub struct Segment {
    pub number: u64,
    /// The log's: a number that no client knows, so that no octets of a client's pass for a batch.
    pub mark: u64,
    pub file: Arc<dyn DiskFile>,
    /// Where the next batch goes.
    pub end: u64,
    /// Octets that it takes on the disk.
    pub length: u64,
}

impl Segment {
    /// What each batch in it must say.
    pub fn key(&self) -> u64 {
        self.number ^ self.mark
    }
}

/// What a file in the log's directory is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    Segment(u64),
    Spare(u64),
    Foreign,
}

/// The path of a segment: sixteen hexadecimal digits, so that names sort by number.
pub fn path(number: u64) -> String {
    format!("{DIRECTORY}/{number:016x}")
}

fn spare_path(number: u64) -> String {
    format!("{DIRECTORY}/{SPARE}{number:016x}")
}

/// Tells what a file's name means.
pub fn parse_name(name: &str) -> Name {
    let number = |digits: &str| {
        // Only the spelling that a path has: the file is opened by its number.
        u64::from_str_radix(digits, 16).ok().filter(|number| format!("{number:016x}") == digits)
    };
    match name.strip_prefix(SPARE) {
        Some(digits) => number(digits).map_or(Name::Foreign, Name::Spare),
        None => number(name).map_or(Name::Foreign, Name::Segment),
    }
}

/// Why a segment's header is not accepted.
#[derive(Debug, PartialEq, Eq)]
pub enum BadHeader {
    /// It is not a header.
    Damaged,
    /// Another version wrote it.
    Format { found: u32, by: String },
}

/// The header: magic, format, the segment's number, the log's mark, the version that wrote it (16 octets, padded
/// with zeros), the number of the last batch before it, checksum of all that.
fn header(number: u64, mark: u64, before: u64) -> [u8; CHECKED] {
    let mut octets = [0; CHECKED];
    let version = env!("CARGO_PKG_VERSION").as_bytes();
    let fields: [(usize, &[u8]); 6] = [
        (0, MAGIC),
        (12, &FORMAT.to_le_bytes()),
        (16, &number.to_le_bytes()),
        (24, &mark.to_le_bytes()),
        (32, version.get(..16).unwrap_or(version)),
        (48, &before.to_le_bytes()),
    ];
    for (at, field) in fields {
        if let Some(place) = octets.get_mut(at..at + field.len()) {
            place.copy_from_slice(field);
        }
    }
    let (content, crc) = octets.split_at_mut(CHECKED - 8);
    let sum = crc32c::crc32c(content);
    if let Some(place) = crc.first_chunk_mut::<4>() {
        *place = sum.to_le_bytes();
    }
    octets
}

/// What a good header says.
#[derive(Debug, PartialEq, Eq)]
pub struct Made {
    /// The version that wrote it.
    pub by: String,
    pub mark: u64,
    /// The last batch before the segment, which was synced when the segment was made.
    pub before: u64,
}

/// Checks a segment's header, and its copy if it is damaged.
pub fn check_header(file: &dyn DiskFile, number: u64) -> io::Result<Result<Made, BadHeader>> {
    match check_header_at(file, number, 0)? {
        Err(BadHeader::Damaged) => check_header_at(file, number, COPY),
        answer => Ok(answer),
    }
}

fn check_header_at(file: &dyn DiskFile, number: u64, offset: u64) -> io::Result<Result<Made, BadHeader>> {
    let mut octets = [0; CHECKED];
    if !fill(file, &mut octets, offset)? {
        return Ok(Err(BadHeader::Damaged));
    }
    let (content, crc) = octets.split_at(CHECKED - 8);
    let sum = crc32c::crc32c(content).to_le_bytes();
    let field = |at: usize, length: usize| content.get(at..at + length).unwrap_or_default();
    if field(0, 12) != MAGIC || crc.first_chunk::<4>() != Some(&sum) {
        return Ok(Err(BadHeader::Damaged));
    }
    let format = field(12, 4).first_chunk::<4>().map_or(0, |octets| u32::from_le_bytes(*octets));
    let by = String::from_utf8_lossy(field(32, 16)).trim_end_matches('\0').to_owned();
    if format != FORMAT {
        return Ok(Err(BadHeader::Format { found: format, by }));
    }
    let long = |at| field(at, 8).first_chunk::<8>().map_or(0, |octets| u64::from_le_bytes(*octets));
    let same = long(16) == number;
    Ok(if same { Ok(Made { by, mark: long(24), before: long(48) }) } else { Err(BadHeader::Damaged) })
}

/// Makes segment `number` of the log with this mark, to go on behind batch `before`, of a spare file if there is
/// one. Durable when it returns.
pub fn create(
    disk: &dyn Disk,
    (number, mark, before): (u64, u64, u64),
    size: u64,
    spares: &mut Vec<u64>,
) -> io::Result<Segment> {
    let path = path(number);
    let file = match spares.pop() {
        Some(spare) => {
            let renamed = disk.rename(&spare_path(spare), &path);
            renamed.and_then(|()| disk.open(&path, Open::Existing))?
        }
        None => disk.open(&path, Open::CreateNew)?,
    };
    let prepared = prepare(disk, &*file, &header(number, mark, before), size);
    if let Err(error) = prepared {
        // A segment without a header would be taken for damage at the next start.
        let _ = disk.remove(&path);
        return Err(error);
    }
    Ok(Segment { number, mark, file, end: FIRST_BATCH, length: size })
}

/// Makes a file to be used when there is no space for another; returns its number.
pub fn create_spare(disk: &dyn Disk, size: u64) -> io::Result<u64> {
    let number = 0;
    let path = spare_path(number);
    let file = disk.open(&path, Open::CreateNew)?;
    if let Err(error) = file.allocate(0, size).and_then(|()| disk.sync_directory(DIRECTORY)) {
        let _ = disk.remove(&path);
        return Err(error);
    }
    Ok(number)
}

fn prepare(disk: &dyn Disk, file: &dyn DiskFile, header: &[u8], size: u64) -> io::Result<()> {
    let length = file.length()?;
    if length < size {
        file.allocate(0, size)?;
    } else if size < length {
        // A spare one from when segments were larger.
        file.set_length(size)?;
    }
    file.write_all_at(header, 0)?;
    file.write_all_at(header, COPY)?;
    file.sync()?;
    disk.sync_directory(DIRECTORY)
}

/// Puts a segment aside for later use, or removes it when there are enough.
pub fn retire(disk: &dyn Disk, number: u64, spares: &mut Vec<u64>, spares_max: usize) -> io::Result<()> {
    if spares.len() < spares_max {
        disk.rename(&path(number), &spare_path(number))?;
        spares.push(number);
    } else {
        disk.remove(&path(number))?;
    }
    disk.sync_directory(DIRECTORY)
}
