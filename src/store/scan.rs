//! Finds what is there: the segments of a log and, by their headers alone, the batches in them.

use std::{collections::VecDeque, io};

use super::{
    batch::{self, ALIGNMENT, Header},
    damage::RecoveryError,
    disk::{Disk, Open},
    segment::{self, BadHeader, Name, Segment},
};

/// The files of a log.
#[derive(Debug, Default)]
pub struct Files {
    /// Oldest first.
    pub segments: VecDeque<Segment>,
    pub spares: Vec<u64>,
    pub foreign: Vec<String>,
    /// The version that made the newest segment.
    pub written_by: Option<String>,
    /// The mark of the log, if any segment says it.
    pub mark: Option<u64>,
    /// The last batch that a segment says was there when it was made.
    pub before: u64,
    /// Segments whose header cannot be read.
    pub headless: Vec<u64>,
    /// Segments that are not needed, and not looked at.
    pub left_out: Vec<u64>,
}

/// A batch that was found.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Index of its segment.
    pub segment: usize,
    pub offset: u64,
    pub header: Header,
}

impl Files {
    /// Opens all segments.
    ///
    /// # Errors
    /// When files cannot be read or another version wrote them.
    pub fn find(disk: &dyn Disk, mode: Open) -> Result<Files, RecoveryError> {
        let io = |path: &str, error| RecoveryError::Io { path: path.to_owned(), error };
        let mut files = Files::default();
        let mut numbers = Vec::new();
        for name in disk.list(segment::DIRECTORY).map_err(|error| io(segment::DIRECTORY, error))? {
            match segment::parse_name(&name) {
                Name::Segment(number) => numbers.push(number),
                Name::Spare(number) => files.spares.push(number),
                Name::Foreign => files.foreign.push(name),
            }
        }
        numbers.sort_unstable();
        for number in numbers {
            let path = segment::path(number);
            let file = disk.open(&path, mode).map_err(|error| io(&path, error))?;
            match segment::check_header(&*file, number).map_err(|error| io(&path, error))? {
                Ok(made) => {
                    files.written_by = Some(made.by);
                    files.mark = Some(made.mark);
                    files.before = files.before.max(made.before);
                }
                Err(BadHeader::Format { found, by }) => return Err(RecoveryError::Format { found, by }),
                // Looked through for batches all the same: those missing will be missed.
                Err(BadHeader::Damaged) => files.headless.push(number),
            }
            let end = segment::FIRST_BATCH;
            files.segments.push_back(Segment { number, mark: 0, file, end, length: 0 });
        }
        // All segments have one mark, so that a damaged header costs nothing but itself.
        let mark = files.mark.unwrap_or_default();
        files.segments.iter_mut().for_each(|segment| segment.mark = mark);
        Ok(files)
    }

    /// Forgets the segments before this one.
    pub fn leave_out_before(&mut self, needed: u64) {
        while self.segments.front().is_some_and(|oldest| oldest.number < needed) {
            self.left_out.extend(self.segments.pop_front().map(|oldest| oldest.number));
        }
        self.headless.retain(|number| needed <= *number);
    }

    /// The number of the segment after the last one.
    pub fn next_segment(&self) -> u64 {
        self.segments.back().map_or(1, |last| last.number.saturating_add(1))
    }

    /// The number of a batch's segment.
    pub fn segment_of(&self, place: &Place) -> u64 {
        self.segments.get(place.segment).map_or(0, |segment| segment.number)
    }

    /// Finds the batches of all segments, by number.
    pub fn batches(&self) -> io::Result<Vec<Place>> {
        let mut found: Vec<Place> = Vec::new();
        for (at, segment) in self.segments.iter().enumerate() {
            let length = segment.file.length()?;
            let mut offset = segment::FIRST_BATCH;
            while offset < length {
                match batch::read_header(&*segment.file, offset, segment.key())? {
                    Some(header) => {
                        found.push(Place { segment: at, offset, header });
                        offset = offset.saturating_add(header.span());
                    }
                    None => offset = batch::find(&*segment.file, offset + ALIGNMENT)?.unwrap_or(length),
                }
            }
        }
        // Of two with one number the older did not fit on the disk.
        found.sort_by_key(|place| (place.header.number, std::cmp::Reverse(place.segment)));
        found.dedup_by_key(|place| place.header.number);
        Ok(found)
    }

    /// Reads the records of a batch, or what is there of them; false when some are not.
    pub fn read(&self, place: &Place, octets: &mut Vec<u8>) -> io::Result<bool> {
        let Some(segment) = self.segments.get(place.segment) else { return Ok(false) };
        batch::read_records(&*segment.file, place.offset, &place.header, octets)
    }
}
