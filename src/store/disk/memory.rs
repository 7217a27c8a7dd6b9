//! A disk in memory that can lose power: the model that crash tests run on.
//!
//! It keeps what is durable apart from what programs see, and [`MemoryDisk::crash`] makes the disk that a
//! machine could find afterwards, chosen by a seed. Files are sparse: a segment of 64 MiB that nobody has
//! written to takes no memory, though it takes its space on the disk.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::Arc,
};

use parking_lot::Mutex;

use super::{Disk, DiskFile, Open, Space, errno, path};

mod extents;
mod inode;
mod names;
mod pages;
mod random;
#[cfg(test)]
mod tests;

use inode::Inode;
use names::{Names, Number};
use pages::PAGE;
use random::Fate;

/// The total of a disk without a limit.
const UNLIMITED: u64 = 1 << 50;
/// No file reaches further, as on a real one.
const FILE_END: u64 = i64::MAX as u64;

/// A disk in memory. Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub struct MemoryDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<Number, Inode>,
    names: Names,
    directories: BTreeSet<String>,
    /// The next file's number.
    next: Number,
    /// Octets of the disk, when there is a limit.
    capacity: Option<u64>,
    syncs: u64,
    directory_syncs: u64,
}

impl MemoryDisk {
    /// An empty disk without a limit.
    pub fn new() -> MemoryDisk {
        MemoryDisk::default()
    }

    /// An empty disk of so many octets; space is taken in pages of 4 KiB.
    pub fn with_capacity(octets: u64) -> MemoryDisk {
        let disk = MemoryDisk::new();
        disk.set_capacity(Some(octets));
        disk
    }

    /// Makes the disk larger or smaller. What is on it stays.
    pub fn set_capacity(&self, octets: Option<u64>) {
        self.state.lock().capacity = octets;
    }

    /// What the machine finds after a power loss at this moment; the seed decides how much of what is not
    /// synced survives. This disk and its handles go on unaware.
    pub fn crash(&self, seed: u64) -> MemoryDisk {
        let state = self.state.lock();
        let mut fate = Fate::new(seed);
        let names = state.names.crash(&mut fate);
        let named: BTreeSet<Number> = names.live().values().copied().collect();
        let survivors = state.files.iter().filter(|(number, _)| named.contains(number));
        let files = survivors.map(|(number, file)| (*number, file.crash(&mut fate))).collect();
        MemoryDisk::after(&state, files, names)
    }

    /// What the next process finds if this one dies now and the machine does not: everything written, not
    /// yet any more durable than before. This disk and its handles go on unaware.
    pub fn kill(&self) -> MemoryDisk {
        let state = self.state.lock();
        let names = state.names.clone();
        let known = names.known();
        let kept = state.files.iter().filter(|(number, _)| known.contains(number));
        let files = kept.map(|(number, file)| (*number, file.without_handles())).collect();
        MemoryDisk::after(&state, files, names)
    }

    fn after(state: &State, files: BTreeMap<Number, Inode>, names: Names) -> MemoryDisk {
        let directories = state.directories.clone();
        let state = State {
            files,
            names,
            directories,
            next: state.next,
            capacity: state.capacity,
            ..State::default()
        };
        MemoryDisk { state: Arc::new(Mutex::new(state)) }
    }

    /// All files with their lengths, sorted.
    pub fn files(&self) -> Vec<(String, u64)> {
        let state = self.state.lock();
        let length = |number| state.files.get(number).map_or(0, Inode::length);
        state.names.live().iter().map(|(name, number)| (name.clone(), length(number))).collect()
    }

    /// The whole of a file, if it is there.
    pub fn contents(&self, path: &str) -> Option<Vec<u8>> {
        let state = self.state.lock();
        let file = state.files.get(&state.names.find(path)?)?;
        let mut octets = vec![0; usize::try_from(file.length()).ok()?];
        file.read(&mut octets, 0);
        Some(octets)
    }

    /// Turns one bit (0 to 7) of a file over, as a decaying medium does. False if there is no such octet.
    pub fn flip_bit(&self, path: &str, offset: u64, bit: u8) -> bool {
        let mut state = self.state.lock();
        let Some(number) = state.names.find(path) else { return false };
        let Some(file) = state.files.get_mut(&number).filter(|file| offset < file.length()) else {
            return false;
        };
        file.flip(offset, bit);
        true
    }

    /// What a kernel does after a failed sync: the changes stay visible, but count as written and never reach
    /// the disk, not even by a later sync. False if there is no such file.
    pub fn lose_unsynced(&self, path: &str) -> bool {
        let mut state = self.state.lock();
        let Some(number) = state.names.find(path) else { return false };
        state.files.get_mut(&number).map(Inode::lose_unsynced).is_some()
    }

    /// Whether a file has changes that a power loss could take.
    pub fn is_dirty(&self, path: &str) -> bool {
        let state = self.state.lock();
        state.names.find(path).and_then(|number| state.files.get(&number)).is_some_and(Inode::is_dirty)
    }

    /// How many times files were synced.
    pub fn syncs(&self) -> u64 {
        self.state.lock().syncs
    }

    /// How many times directories were synced.
    pub fn directory_syncs(&self) -> u64 {
        self.state.lock().directory_syncs
    }
}

impl State {
    fn has_directory(&self, directory: &str) -> bool {
        directory.is_empty() || self.directories.contains(directory)
    }

    /// Pages that are free, counting those of removed files as free at once unless they are open.
    fn pages_free(&self) -> u64 {
        let Some(capacity) = self.capacity else { return UNLIMITED / PAGE };
        let named: BTreeSet<&Number> = self.names.live().values().collect();
        let held = self.files.iter().filter(|(number, file)| file.handles > 0 || named.contains(number));
        (capacity / PAGE).saturating_sub(held.map(|(_, file)| file.pages()).sum())
    }

    /// Forgets files that nobody can reach any more, not even after a crash.
    fn sweep(&mut self) {
        let known = self.names.known();
        self.files.retain(|number, file| file.handles > 0 || known.contains(number));
    }

    /// How many of so many octets find space.
    fn room(&self, number: Number, offset: u64, octets: u64) -> u64 {
        let Some(file) = self.files.get(&number) else { return 0 };
        let mut range = pages::touched(offset, octets);
        if self.capacity.is_none() || file.pages_missing(&range) == 0 {
            return octets;
        }
        let free = self.pages_free();
        while file.pages_missing(&range) > free {
            range.end -= 1;
        }
        (range.end * PAGE).saturating_sub(offset).min(octets)
    }
}

impl Disk for MemoryDisk {
    fn list(&self, directory: &str) -> io::Result<Vec<String>> {
        path::check_directory(directory)?;
        let state = self.state.lock();
        let inside = state.names.live().keys().filter(|name| path::parent(name) == directory);
        let name = |path: &String| path.rsplit('/').next().unwrap_or_default().to_owned();
        Ok(inside.map(name).collect())
    }

    fn create_directory(&self, directory: &str) -> io::Result<()> {
        path::check_directory(directory)?;
        let mut state = self.state.lock();
        if path::ancestry(directory).any(|above| state.names.find(above).is_some()) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.directories.extend(path::ancestry(directory).map(str::to_owned));
        Ok(())
    }

    fn open(&self, path: &str, mode: Open) -> io::Result<Arc<dyn DiskFile>> {
        path::check(path)?;
        let mut state = self.state.lock();
        let number = match (state.names.find(path), mode) {
            (Some(_), Open::CreateNew) => return Err(io::ErrorKind::AlreadyExists.into()),
            (None, Open::CreateNew) if state.has_directory(path::parent(path)) => {
                let number = state.next;
                state.next += 1;
                state.names.create(path, number);
                state.files.insert(number, Inode::default());
                number
            }
            (None, _) => return Err(io::ErrorKind::NotFound.into()),
            (Some(number), _) => number,
        };
        if let Some(file) = state.files.get_mut(&number) {
            file.handles += 1;
        }
        Ok(Arc::new(MemoryFile { disk: self.clone(), number, writes: mode != Open::ReadOnly }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        path::check(from)?;
        path::check(to)?;
        let mut state = self.state.lock();
        if !state.has_directory(path::parent(to)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.names.rename(from, to).ok_or(io::ErrorKind::NotFound)?;
        Ok(())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        path::check(path)?;
        self.state.lock().names.remove(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(())
    }

    fn sync_directory(&self, directory: &str) -> io::Result<()> {
        path::check_directory(directory)?;
        let mut state = self.state.lock();
        if !state.has_directory(directory) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.directory_syncs += 1;
        state.names.sync(directory);
        state.sweep();
        Ok(())
    }

    fn space(&self) -> io::Result<Space> {
        let state = self.state.lock();
        Ok(Space { free: state.pages_free() * PAGE, total: state.capacity.unwrap_or(UNLIMITED) })
    }
}

/// An open file of a disk in memory.
#[derive(Debug)]
struct MemoryFile {
    disk: MemoryDisk,
    number: Number,
    writes: bool,
}

impl MemoryFile {
    /// Does something with the file and its disk.
    fn with<R>(&self, act: impl FnOnce(&mut Inode) -> R) -> io::Result<R> {
        let mut state = self.disk.state.lock();
        // A handle keeps its file, so it is always there.
        Ok(act(state.files.get_mut(&self.number).ok_or(io::ErrorKind::NotFound)?))
    }

    /// Refuses changes through a reading handle, and ranges that no file reaches.
    fn check_change(&self, offset: u64, length: u64) -> io::Result<()> {
        if !self.writes {
            return Err(io::Error::from_raw_os_error(errno::EBADF));
        }
        let fits = offset.checked_add(length).is_some_and(|end| end <= FILE_END);
        if fits { Ok(()) } else { Err(io::ErrorKind::InvalidInput.into()) }
    }
}

impl Drop for MemoryFile {
    fn drop(&mut self) {
        let mut state = self.disk.state.lock();
        let Some(file) = state.files.get_mut(&self.number) else { return };
        file.handles -= 1;
        if file.handles == 0 && !state.names.known().contains(&self.number) {
            state.files.remove(&self.number);
        }
    }
}

impl DiskFile for MemoryFile {
    fn read_at(&self, octets: &mut [u8], offset: u64) -> io::Result<usize> {
        self.with(|file| file.read(octets, offset))
    }

    fn write_at(&self, octets: &[u8], offset: u64) -> io::Result<usize> {
        self.check_change(offset, octets.len() as u64)?;
        if octets.is_empty() {
            return Ok(0);
        }
        let mut state = self.disk.state.lock();
        let room = state.room(self.number, offset, octets.len() as u64);
        let part = &octets[..usize::try_from(room).unwrap_or(octets.len())];
        match state.files.get_mut(&self.number) {
            Some(file) if !part.is_empty() => file.write(part, offset),
            _ => return Err(io::Error::from_raw_os_error(errno::ENOSPC)),
        }
        Ok(part.len())
    }

    fn sync(&self) -> io::Result<()> {
        self.with(Inode::sync)?;
        self.disk.state.lock().syncs += 1;
        Ok(())
    }

    fn allocate(&self, offset: u64, length: u64) -> io::Result<()> {
        self.check_change(offset, length)?;
        if length == 0 {
            return Ok(());
        }
        let mut state = self.disk.state.lock();
        if state.room(self.number, offset, length) < length {
            return Err(io::Error::from_raw_os_error(errno::ENOSPC));
        }
        state.files.get_mut(&self.number).ok_or(io::ErrorKind::NotFound)?.allocate(offset, length);
        Ok(())
    }

    fn discard(&self, offset: u64, length: u64) -> io::Result<()> {
        self.check_change(offset, length)?;
        self.with(|file| file.discard(offset, length))
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.check_change(0, length)?;
        self.with(|file| file.set_length(length))
    }

    fn length(&self) -> io::Result<u64> {
        self.with(|file| file.length())
    }
}
