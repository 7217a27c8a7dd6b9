//! The disk as the store sees it: a few directories of files, and an exact word on what is durable when.
//!
//! [`RealDisk`] is the file system, [`MemoryDisk`] a model of it that can lose power, [`FaultyDisk`] wraps
//! either and fails on demand. Paths are relative to the data directory: "log/0000000000000007".
//!
//! The rules, for all of them:
//! - What is written is durable after [`DiskFile::sync`] of the file, and not before. After a failed sync
//!   nobody knows what is durable, and a second sync that succeeds proves nothing.
//! - A name (created, renamed, removed) is durable after [`Disk::sync_directory`] of its directory.
//! - A rename is atomic: after a crash there is the old name or the new one.

use std::{fmt::Debug, io, sync::Arc};

mod faulty;
mod memory;
mod path;
mod real;
#[cfg(test)]
mod tests;

pub use faulty::{FaultyDisk, Operation, Rule, When};
pub use memory::MemoryDisk;
pub use real::RealDisk;

/// Error numbers of the system that the models answer with.
pub mod errno {
    /// A device error.
    pub const EIO: i32 = 5;
    /// Writing through a handle that only reads.
    pub const EBADF: i32 = 9;
    /// No space left.
    pub const ENOSPC: i32 = 28;
}

/// How to open a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Open {
    /// Read and write a file that is there.
    Existing,
    /// Only read a file that is there.
    ReadOnly,
    /// Read and write a file that must not be there yet.
    CreateNew,
}

/// Room on the disk, in octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// What we may still use.
    pub free: u64,
    /// The size of the whole file system.
    pub total: u64,
}

/// The directory all our data is in.
pub trait Disk: Send + Sync + Debug {
    /// The names of the files in a directory, sorted. A missing directory is empty.
    fn list(&self, directory: &str) -> io::Result<Vec<String>>;
    /// Makes a directory and those above it, durable when it returns. It may be there already.
    fn create_directory(&self, directory: &str) -> io::Result<()>;
    /// Opens a file.
    fn open(&self, path: &str, mode: Open) -> io::Result<Arc<dyn DiskFile>>;
    /// Gives a file another name, replacing the file that had it.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes the name of a file. Open handles go on working.
    fn remove(&self, path: &str) -> io::Result<()>;
    /// Makes creations, renames and removals in a directory durable. A rename between two directories is
    /// durable when both are.
    fn sync_directory(&self, directory: &str) -> io::Result<()>;
    /// How much room there is.
    fn space(&self) -> io::Result<Space>;
}

/// An open file. All offsets are explicit, so that one handle serves any number of threads.
pub trait DiskFile: Send + Sync + Debug {
    /// Reads what is at an offset: fewer octets than asked for are no error, zero is the end of the file.
    fn read_at(&self, octets: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes at an offset, perhaps not everything, and answers how much.
    fn write_at(&self, octets: &[u8], offset: u64) -> io::Result<usize>;
    /// Makes contents and length durable.
    fn sync(&self) -> io::Result<()>;
    /// Takes the space of a range and extends the file to its end; what was never written reads as zeros.
    /// A full disk shows here, not in later writes to the range; then part of it may have been taken.
    fn allocate(&self, offset: u64, length: u64) -> io::Result<()>;
    /// Gives the space of a range back, which then reads as zeros; the length stays. Only a wish: a file
    /// system that cannot do it leaves the range as it is.
    fn discard(&self, offset: u64, length: u64) -> io::Result<()>;
    /// Cuts the file or extends it with zeros.
    fn set_length(&self, length: u64) -> io::Result<()>;
    /// The length now.
    fn length(&self) -> io::Result<u64>;

    /// Fills the whole buffer from an offset, or fails with `UnexpectedEof`.
    fn read_exact_at(&self, mut octets: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !octets.is_empty() {
            match self.read_at(octets, offset) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => {
                    octets = &mut octets[read..];
                    offset += read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Writes everything, in as many pieces as it takes. After an error any part may have been written.
    fn write_all_at(&self, mut octets: &[u8], mut offset: u64) -> io::Result<()> {
        while !octets.is_empty() {
            match self.write_at(octets, offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    octets = &octets[written..];
                    offset += written as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl<D: Disk + ?Sized> Disk for Arc<D> {
    fn list(&self, directory: &str) -> io::Result<Vec<String>> {
        (**self).list(directory)
    }

    fn create_directory(&self, directory: &str) -> io::Result<()> {
        (**self).create_directory(directory)
    }

    fn open(&self, path: &str, mode: Open) -> io::Result<Arc<dyn DiskFile>> {
        (**self).open(path, mode)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        (**self).rename(from, to)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        (**self).remove(path)
    }

    fn sync_directory(&self, directory: &str) -> io::Result<()> {
        (**self).sync_directory(directory)
    }

    fn space(&self) -> io::Result<Space> {
        (**self).space()
    }
}
