//! Files of pages: parts of long queues, written when memory is short and read back before they are needed.
//!
//! A page is framed as a batch of the log is, with the queue's id in the place of the segment's number and the
//! page's number in that of the batch's; each of its records is an entry. What a page is worth after a restart
//! the log knows; a page that the log does not know means nothing.

use std::{collections::BTreeMap, io, sync::Arc};

use super::{
    batch::{self, Body, Builder},
    contents::{self, View},
    definition::QueueId,
    disk::{Disk, DiskFile, Open},
    holes::Holes,
    index::PageRange,
    octets::{Malformed, Reader, put_number},
};
use crate::broker::{memory::Account, queue::Entry};

/// Where the files are, within the data directory.
pub const DIRECTORY: &str = "pages";
/// A file that is longer than this gets no more pages, in octets.
const FILE_MAX: u64 = 64 << 20;
/// A write buffer beyond this many octets is not kept.
const BUFFER_KEPT: usize = 4 << 20;

const REDELIVERED: u8 = 1;
const LOGGED: u8 = 2;

/// Where a page is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageLocation {
    pub file: u64,
    pub offset: u64,
    pub length: u64,
}

/// The files of all queues.
#[derive(Debug)]
pub struct PageFiles {
    disk: Arc<dyn Disk>,
    files: BTreeMap<u64, PageFile>,
    /// The one that is written to, by all queues: one sync is enough for any number of them.
    current: Option<u64>,
    next_file: u64,
    builder: Builder,
    /// Names that were made or removed and are not on disk yet.
    directory_is_dirty: bool,
}

#[derive(Debug)]
struct PageFile {
    file: Arc<dyn DiskFile>,
    end: u64,
    /// Pages in it that somebody needs.
    pages: u32,
    is_dirty: bool,
    holes: Holes,
}

fn path(file: u64) -> String {
    format!("{DIRECTORY}/{file:016x}")
}

fn parse_name(name: &str) -> Option<u64> {
    u64::from_str_radix(name, 16).ok().filter(|number| format!("{number:016x}") == name)
}

impl PageFiles {
    /// Opens the directory; files in which no known page lies are removed.
    pub fn open(disk: Arc<dyn Disk>, known: impl IntoIterator<Item = PageRange>) -> io::Result<PageFiles> {
        disk.create_directory(DIRECTORY)?;
        let mut needed: BTreeMap<u64, Vec<(u64, u64)>> = BTreeMap::new();
        for range in known {
            needed.entry(range.file).or_default().push((range.offset, range.length));
        }
        let mut files = BTreeMap::new();
        let mut next_file = needed.last_key_value().map_or(1, |(file, _)| file.saturating_add(1));
        for name in disk.list(DIRECTORY)? {
            let Some(number) = parse_name(&name) else { continue };
            next_file = next_file.max(number.saturating_add(1));
            match needed.remove(&number) {
                None => disk.remove(&path(number))?,
                Some(used) => {
                    let file = disk.open(&path(number), Open::Existing)?;
                    let (end, pages) = (file.length()?, u32::try_from(used.len()).unwrap_or(u32::MAX));
                    let holes = Holes::between(used);
                    files.insert(number, PageFile { file, end, pages, is_dirty: false, holes });
                }
            }
        }
        let builder = Builder::default();
        Ok(PageFiles { disk, files, current: None, next_file, builder, directory_is_dirty: true })
    }

    /// Writes a page; it is durable after [`PageFiles::sync`].
    pub fn write(&mut self, queue: QueueId, page: u64, entries: &[Entry]) -> io::Result<PageLocation> {
        self.builder.begin(page);
        for entry in entries {
            self.builder.record(|out| put_entry(out, entry));
        }
        let number = self.current_file()?;
        let Some(file) = self.files.get_mut(&number) else { return Err(io::ErrorKind::NotFound.into()) };
        let octets = self.builder.seal(queue, 0);
        let location = PageLocation { file: number, offset: file.end, length: octets.len() as u64 };
        file.file.write_all_at(octets, file.end)?;
        file.end += location.length;
        file.pages += 1;
        file.is_dirty = true;
        self.builder.shrink(BUFFER_KEPT);
        Ok(location)
    }

    fn current_file(&mut self) -> io::Result<u64> {
        if let Some(number) = self.current {
            if self.files.get(&number).is_some_and(|file| file.end < FILE_MAX) {
                return Ok(number);
            }
            self.current = None;
            self.remove_if_empty(number)?;
        }
        let number = self.next_file;
        // Only a file that is not ours can have a number like that.
        self.next_file =
            number.checked_add(1).ok_or_else(|| io::Error::other("no number is left for a file"))?;
        let file = self.disk.open(&path(number), Open::CreateNew)?;
        let holes = Holes::default();
        self.files.insert(number, PageFile { file, end: 0, pages: 0, is_dirty: true, holes });
        self.current = Some(number);
        self.directory_is_dirty = true;
        Ok(number)
    }

    /// Makes every page written so far durable.
    pub fn sync(&mut self) -> io::Result<()> {
        for file in self.files.values_mut().filter(|file| file.is_dirty) {
            file.is_dirty = false;
            if let Err(error) = file.file.sync() {
                // A later sync that succeeds would prove nothing about these pages: no more go to this file.
                self.current = None;
                return Err(error);
            }
        }
        if self.directory_is_dirty {
            self.disk.sync_directory(DIRECTORY)?;
            self.directory_is_dirty = false;
        }
        Ok(())
    }

    /// Reads a page back; also says how many of its entries could not be read.
    pub fn read(
        &self,
        queue: QueueId,
        page: u64,
        location: PageLocation,
        account: Account,
    ) -> io::Result<(Vec<Entry>, u32)> {
        let file = self.files.get(&location.file).ok_or_else(missing)?;
        read(&*file.file, queue, page, location, account)
    }

    /// Nobody needs a page any more: its space goes back to the disk, perhaps with that of its neighbours.
    pub fn free(&mut self, range: PageRange) -> io::Result<()> {
        let Some(file) = self.files.get_mut(&range.file) else { return Ok(()) };
        file.pages = file.pages.saturating_sub(1);
        let is_current = self.current == Some(range.file);
        if file.pages != 0 {
            return match file.holes.add(range.offset, range.length) {
                Some((offset, length)) => file.file.discard(offset, length),
                None => Ok(()),
            };
        }
        if is_current && file.end <= FILE_MAX / 4 {
            // It is worth going on with, and all of it is free.
            file.holes = Holes::gone(file.end);
            return file.file.discard(0, file.end);
        }
        if is_current {
            self.current = None;
        }
        self.remove_if_empty(range.file)
    }

    fn remove_if_empty(&mut self, number: u64) -> io::Result<()> {
        if self.files.get(&number).is_some_and(|file| file.pages == 0) {
            self.files.remove(&number);
            self.disk.remove(&path(number))?;
            self.directory_is_dirty = true;
        }
        Ok(())
    }
}

/// Reads a page of a disk on which nobody works.
///
/// # Errors
/// When it cannot be read.
pub fn read_page(
    disk: &dyn Disk,
    queue: QueueId,
    page: u64,
    location: PageLocation,
    account: Account,
) -> io::Result<(Vec<Entry>, u32)> {
    let file = disk.open(&path(location.file), Open::ReadOnly)?;
    read(&*file, queue, page, location, account)
}

fn missing() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the page is not where it was written")
}

fn read(
    file: &dyn DiskFile,
    queue: QueueId,
    page: u64,
    location: PageLocation,
    account: Account,
) -> io::Result<(Vec<Entry>, u32)> {
    let header = batch::read_header(file, location.offset, queue)?.ok_or_else(missing)?;
    let mut octets = Vec::new();
    let fits = header.number == page && header.span() == location.length;
    if !fits || !batch::read_records(file, location.offset, &header, &mut octets)? {
        return Err(missing());
    }
    let (mut entries, mut scratch) =
        (Vec::with_capacity(octets.len().min(header.records as usize)), Vec::new());
    for body in batch::bodies(&header, &octets) {
        if let Body::Good(body) = body
            && let Ok(entry) = entry(body, account, &mut scratch)
        {
            entries.push(entry);
        }
    }
    let lost = header.records - entries.len() as u32;
    Ok((entries, lost))
}

/// Sequence, deadline plus one, returns, flags, message.
fn put_entry(out: &mut Vec<u8>, entry: &Entry) {
    put_number(out, entry.sequence);
    put_number(out, entry.deadline.wrapping_add(1));
    put_number(out, u64::from(entry.returns));
    out.push(if entry.redelivered { REDELIVERED } else { 0 } | if entry.logged { LOGGED } else { 0 });
    contents::encode(&entry.message, out);
}

fn entry(body: &[u8], account: Account, scratch: &mut Vec<u8>) -> Result<Entry, Malformed> {
    let mut reader = Reader::new(body);
    let sequence = reader.number()?;
    let deadline = reader.number()?.wrapping_sub(1);
    let returns = reader.number_as()?;
    let flags = reader.octet()?;
    let message = View::decode(&mut reader)?.message(account, scratch);
    reader.end()?;
    let (redelivered, logged) = (flags & REDELIVERED != 0, flags & LOGGED != 0);
    Ok(Entry { message, sequence, deadline, returns, redelivered, logged })
}
