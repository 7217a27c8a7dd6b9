//! Emptying the oldest segment: what still lives there is written again at the end of the log.
//!
//! Settlements and returns need not be said again: their messages are in this segment or in older ones, which are
//! gone, or in pages, whose records are written again with what lives in them and how often it was given back.

use std::{io, sync::Arc};

use super::{
    batch::{self, Body, Builder, Header},
    disk::DiskFile,
    index::Index,
    record::{self, PageRecord, Places, Record},
    segment::{self, Segment},
};

/// Octets that one commit writes again, and those it looks at, unless its own batch is larger.
const WRITE_PORTION: usize = 1 << 20;
const READ_PORTION: usize = 8 << 20;

/// How far the emptying of a segment has come.
#[derive(Debug)]
pub struct Trim {
    pub segment: u64,
    key: u64,
    /// The batch with the record that says that the segment is empty.
    pub trimmed_in: Option<u64>,
    /// Whether the definitions in it have been asked for.
    pub has_asked: bool,
    file: Arc<dyn DiskFile>,
    /// Where the next batch begins, and where the segment ends.
    offset: u64,
    end: u64,
    batch: Option<Batch>,
}

/// The batch being looked at.
#[derive(Debug)]
struct Batch {
    header: Header,
    octets: Vec<u8>,
    /// Records that are done.
    done: usize,
}

impl Trim {
    pub fn new(oldest: &Segment) -> Trim {
        Trim {
            segment: oldest.number,
            key: oldest.key(),
            trimmed_in: None,
            has_asked: false,
            file: oldest.file.clone(),
            offset: segment::FIRST_BATCH,
            end: oldest.end,
            batch: None,
        }
    }

    /// Whether everything that lives in the segment was written again.
    pub fn is_scanned(&self) -> bool {
        self.batch.is_none() && self.end <= self.offset
    }

    /// Looks at some more records; `into` is the segment that is written to.
    pub fn go_on(&mut self, index: &mut Index, builder: &mut Builder, into: u64) -> io::Result<()> {
        // Large batches fill the log faster, and take longer anyway.
        let write_max = builder.len() + WRITE_PORTION.max(builder.len());
        let read_max = READ_PORTION.max(8 * builder.len());
        let mut read = 0;
        while !self.is_scanned() && builder.len() < write_max && read < read_max {
            let Some(mut batch) =
                self.batch.take().map_or_else(|| self.next_batch(), |batch| Ok(Some(batch)))?
            else {
                continue;
            };
            let mut finished = true;
            for body in batch::bodies(&batch.header, &batch.octets).skip(batch.done) {
                if write_max <= builder.len() || read_max <= read {
                    finished = false;
                    break;
                }
                batch.done += 1;
                match body {
                    Body::Good(body) => {
                        read += body.len();
                        self.renew(body, index, builder, into);
                    }
                    Body::Bad(_) | Body::Lost => self.report(),
                }
            }
            if !finished {
                self.batch = Some(batch);
            }
        }
        Ok(())
    }

    fn next_batch(&mut self) -> io::Result<Option<Batch>> {
        let offset = self.offset;
        let Some(header) = batch::read_header(&*self.file, offset, self.key)? else {
            // Where one should be: nothing behind it can be found, and nothing may be thrown away unseen.
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a batch of the oldest segment is damaged",
            ));
        };
        self.offset += header.span();
        let mut octets = Vec::new();
        if !batch::read_records(&*self.file, offset, &header, &mut octets)? {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the oldest segment was cut short"));
        }
        Ok(Some(Batch { header, octets, done: 0 }))
    }

    /// Writes a record again if something in it is still needed.
    fn renew(&self, body: &[u8], index: &mut Index, builder: &mut Builder, into: u64) {
        match Record::decode(body) {
            Ok(Record::Message { places, contents }) => {
                let live = places.into_iter().filter(|place| index.is_live(place));
                let live: Places = live.collect();
                if live.is_empty() {
                    return;
                }
                let mut renewed = live;
                for place in &mut renewed {
                    place.returns = index.returns(place);
                }
                builder.record(|out| record::put_encoded_message(out, &renewed, contents));
            }
            Ok(Record::Page(PageRecord { queue, page, .. })) => {
                if let Some(record) = index.renew_page(queue, page, self.segment, into) {
                    builder.record(|out| record::put_page(out, &record));
                }
            }
            Ok(_) => {}
            Err(_) => self.report(),
        }
    }

    fn report(&self) {
        tracing::error!(
            "log segment {:016x}: a damaged record was met while the segment was being emptied; its messages \
             are lost after the next restart",
            self.segment
        );
    }
}
