//! The disk that is one: a directory of the file system.
//!
//! The only file of the store that does I/O.

use std::{
    fs::{DirBuilder, File, OpenOptions, read_dir, remove_file, rename},
    io,
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt},
    path::PathBuf,
    sync::Arc,
};

use rustix::{
    fs::{FallocateFlags, fallocate, fdatasync, statvfs},
    io::{Errno, retry_on_intr},
};

use super::{Disk, DiskFile, Open, Space, path};

/// Messages are nobody else's business, save for a group that makes backups.
const FILE_MODE: u32 = 0o640;
const DIRECTORY_MODE: u32 = 0o750;
/// How much is written at once where space can only be taken by writing.
const ZEROS: usize = 256 << 10;

/// A directory of the file system.
#[derive(Debug)]
pub struct RealDisk {
    root: PathBuf,
}

impl RealDisk {
    /// The disk below a directory, which must be there.
    pub fn new(root: PathBuf) -> RealDisk {
        RealDisk { root }
    }

    fn file(&self, path: &str) -> io::Result<PathBuf> {
        path::check(path)?;
        Ok(self.root.join(path))
    }

    fn directory(&self, directory: &str) -> io::Result<PathBuf> {
        path::check_directory(directory)?;
        Ok(self.root.join(directory))
    }
}

impl Disk for RealDisk {
    fn list(&self, directory: &str) -> io::Result<Vec<String>> {
        let entries = match read_dir(self.directory(directory)?) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry?;
            // A name that is not UTF-8 is not one of ours.
            if let (true, Ok(name)) = (entry.file_type()?.is_file(), entry.file_name().into_string()) {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn create_directory(&self, directory: &str) -> io::Result<()> {
        path::check_directory(directory)?;
        for above in path::ancestry(directory) {
            match DirBuilder::new().mode(DIRECTORY_MODE).create(self.root.join(above)) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => made?,
            }
            // Also when it was there: whoever made it may have died before this sync.
            self.sync_directory(path::parent(above))?;
        }
        Ok(())
    }

    fn open(&self, path: &str, mode: Open) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(mode != Open::ReadOnly).create_new(mode == Open::CreateNew).mode(FILE_MODE);
        Ok(Arc::new(RealFile { file: options.open(self.file(path)?)? }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        rename(self.file(from)?, self.file(to)?)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        remove_file(self.file(path)?)
    }

    fn sync_directory(&self, directory: &str) -> io::Result<()> {
        File::open(self.directory(directory)?)?.sync_all()
    }

    fn space(&self) -> io::Result<Space> {
        let system = statvfs(&self.root)?;
        let octets = |blocks: u64| blocks.saturating_mul(system.f_frsize);
        Ok(Space { free: octets(system.f_bavail), total: octets(system.f_blocks) })
    }
}

/// An open file of the file system.
#[derive(Debug)]
struct RealFile {
    file: File,
}

impl RealFile {
    /// Takes space by writing zeros behind the end, where the file system knows no other way.
    fn write_zeros(&self, end: u64) -> io::Result<()> {
        let zeros = vec![0; ZEROS];
        let mut at = self.length()?;
        while at < end {
            let step = usize::try_from(end - at).map_or(ZEROS, |rest| rest.min(ZEROS));
            self.write_all_at(&zeros[..step], at)?;
            at += step as u64;
        }
        Ok(())
    }
}

impl DiskFile for RealFile {
    fn read_at(&self, octets: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(octets, offset)
    }

    fn write_at(&self, octets: &[u8], offset: u64) -> io::Result<usize> {
        self.file.write_at(octets, offset)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(retry_on_intr(|| fdatasync(&self.file))?)
    }

    fn allocate(&self, offset: u64, length: u64) -> io::Result<()> {
        let end = offset.checked_add(length).ok_or(io::ErrorKind::InvalidInput)?;
        // The system refuses an empty range.
        if length == 0 {
            return Ok(());
        }
        match retry_on_intr(|| fallocate(&self.file, FallocateFlags::empty(), offset, length)) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => self.write_zeros(end),
            taken => Ok(taken?),
        }
    }

    fn discard(&self, offset: u64, length: u64) -> io::Result<()> {
        if length == 0 {
            return Ok(());
        }
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        match retry_on_intr(|| fallocate(&self.file, hole, offset, length)) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
            given => Ok(given?),
        }
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }
}
