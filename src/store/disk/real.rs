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

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    fn disk() -> (tempfile::TempDir, RealDisk) {
        let root = tempfile::tempdir().unwrap();
        let disk = RealDisk::new(root.path().to_owned());
        (root, disk)
    }

    #[test]
    fn files_are_written_read_listed_renamed_and_removed() {
        let (root, disk) = disk();
        assert!(disk.list("log").unwrap().is_empty(), "a missing directory is empty");
        disk.create_directory("log/deep").unwrap();
        disk.create_directory("log/deep").unwrap();
        let file = disk.open("log/2", Open::CreateNew).unwrap();
        file.write_all_at(b"hello", 3).unwrap();
        file.sync().unwrap();
        disk.open("log/1", Open::CreateNew).unwrap();
        disk.sync_directory("log").unwrap();
        assert_eq!(disk.list("log").unwrap(), ["1", "2"], "files only, sorted");
        disk.rename("log/2", "log/1").unwrap();
        let mut octets = [9; 16];
        let found = disk.open("log/1", Open::ReadOnly).unwrap();
        assert_eq!(found.read_at(&mut octets, 0).unwrap(), 8);
        assert_eq!(&octets[..8], b"\0\0\0hello");
        assert_eq!(found.read_at(&mut octets, 8).unwrap(), 0, "the end");
        assert!(found.write_at(b"x", 0).is_err(), "it only reads");
        disk.remove("log/1").unwrap();
        assert!(disk.list("log").unwrap().is_empty());
        assert_eq!(read_dir(root.path().join("log")).unwrap().count(), 1);
    }

    #[test]
    fn opening_says_what_is_there() {
        let (root, disk) = disk();
        let kind = |mode| disk.open("a", mode).map(drop).map_err(|error| error.kind());
        assert_eq!(kind(Open::Existing), Err(io::ErrorKind::NotFound));
        assert_eq!(kind(Open::ReadOnly), Err(io::ErrorKind::NotFound));
        assert_eq!(kind(Open::CreateNew), Ok(()));
        assert_eq!(kind(Open::CreateNew), Err(io::ErrorKind::AlreadyExists));
        assert_eq!(kind(Open::Existing), Ok(()));
        let mode = fs::metadata(root.path().join("a")).unwrap().permissions().mode();
        assert_eq!(mode & 0o137, 0, "{mode:o}: only the owner writes, and the group at most reads");
        let outside = disk.open("../a", Open::Existing).unwrap_err();
        assert_eq!(outside.kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn space_is_taken_given_back_and_measured() {
        let (_root, disk) = disk();
        let file = disk.open("a", Open::CreateNew).unwrap();
        file.write_all_at(&[1; 8192], 0).unwrap();
        file.allocate(4096, 1 << 20).unwrap();
        file.allocate(0, 0).unwrap();
        assert_eq!(file.length().unwrap(), 4096 + (1 << 20));
        let mut octets = [9; 8192];
        file.read_exact_at(&mut octets, 4096).unwrap();
        assert_eq!((octets[4095], octets[4096]), (1, 0), "what was there stays, the rest is zeros");
        file.discard(0, 0).unwrap();
        file.discard(0, 4096).unwrap();
        assert_eq!(file.length().unwrap(), 4096 + (1 << 20), "a hole is no cut");
        file.set_length(10).unwrap();
        assert_eq!(file.length().unwrap(), 10);
        assert_eq!(file.allocate(u64::MAX, 2).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        let space = disk.space().unwrap();
        assert!(space.free <= space.total && space.total > 0, "{space:?}");
    }

    #[test]
    fn where_space_cannot_be_taken_it_is_written() {
        let (root, disk) = disk();
        fs::write(root.path().join("a"), b"kept").unwrap();
        let file =
            RealFile { file: OpenOptions::new().read(true).write(true).open(root.path().join("a")).unwrap() };
        file.write_zeros(ZEROS as u64 * 2 + 5).unwrap();
        file.write_zeros(7).unwrap();
        let octets = fs::read(root.path().join("a")).unwrap();
        assert_eq!(octets.len(), ZEROS * 2 + 5);
        assert!(octets.starts_with(b"kept\0") && octets[4..].iter().all(|octet| *octet == 0));
        drop(disk);
    }
}
