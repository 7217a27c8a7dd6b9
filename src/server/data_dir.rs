//! The data directory: made if missing, ours alone while we run, of a format we know.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Seek, Write},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};

/// The lock. Holds the owner's process id for people; the lock itself is the kernel's, so a crash
/// leaves nothing behind that a restart would have to clean up.
const LOCK: &str = "leveret.lock";
/// Names the format of what is in the directory.
const FORMAT: &str = "FORMAT";
/// The only format there is.
const FORMAT_TEXT: &str = "leveret data, format 1\n";

/// An open data directory, locked until it is dropped.
#[derive(Debug)]
pub struct DataDir {
    _lock: Option<File>,
}

/// Why a data directory cannot be used, in one sentence.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    #[error("data directory {path} is in use by another leveret (pid {pid})")]
    InUse { path: PathBuf, pid: String },
    #[error("data directory {path} has files in it that are not leveret's; choose another with --data-dir")]
    Foreign { path: PathBuf },
    #[error("{path} is not a data directory of leveret: there is no file FORMAT in it")]
    NotOurs { path: PathBuf },
    #[error("data directory {path} has the format '{found}', which this version does not know")]
    UnknownFormat { path: PathBuf, found: String },
    #[error("data directory {path} cannot be used: {error}")]
    Io { path: PathBuf, error: io::Error },
}

impl DataDir {
    /// Opens the directory, which is created if it is missing, and locks it.
    pub fn open(path: impl Into<PathBuf>) -> Result<DataDir, DataDirError> {
        let path = path.into();
        let io = |error| DataDirError::Io { path: path.clone(), error };
        // Messages are nobody else's business.
        DirBuilder::new().recursive(true).mode(0o750).create(&path).map_err(io)?;
        // Checked before the lock file is made, so that a foreign directory is left as it was.
        let new = !path.join(FORMAT).exists();
        if new && has_foreign_files(&path).map_err(io)? {
            return Err(DataDirError::Foreign { path });
        }
        let lock = lock(&path)?;
        // Again under the lock: another process may just have been the first.
        if path.join(FORMAT).exists() {
            check_format(&path)?;
        } else {
            write_format(&path).map_err(io)?;
        }
        Ok(DataDir { _lock: Some(lock) })
    }

    /// Opens a directory to look at it: nothing in it is changed, and no broker may use it meanwhile.
    pub fn inspect(path: &Path) -> Result<DataDir, DataDirError> {
        let io = |error| DataDirError::Io { path: path.to_owned(), error };
        fs::read_dir(path).map_err(io)?;
        if !path.join(FORMAT).exists() {
            return Err(DataDirError::NotOurs { path: path.to_owned() });
        }
        check_format(path)?;
        let lock = match File::open(path.join(LOCK)) {
            Ok(file) => Some(file),
            // A copy of a directory may lack it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(io(error)),
        };
        if let Some(file) = &lock {
            take_lock(file, path, FlockOperation::NonBlockingLockShared)?;
        }
        Ok(DataDir { _lock: lock })
    }
}

/// Files that are there before we are. A fresh file system has a `lost+found`, and a start that was
/// interrupted leaves the lock and a half-made format file.
fn has_foreign_files(path: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(path)? {
        let name = entry?.file_name();
        if ![LOCK, FORMAT, "FORMAT.new", "lost+found"].iter().any(|known| name == *known) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn lock(path: &Path) -> Result<File, DataDirError> {
    let io = |error| DataDirError::Io { path: path.to_owned(), error };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path.join(LOCK))
        .map_err(io)?;
    take_lock(&file, path, FlockOperation::NonBlockingLockExclusive)?;
    let write = |file: &mut File| {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    };
    write(&mut file).map_err(io)?;
    Ok(file)
}

fn take_lock(mut file: &File, path: &Path, operation: FlockOperation) -> Result<(), DataDirError> {
    match flock(file, operation) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut pid = String::new();
            let known = file.read_to_string(&mut pid).is_ok() && !pid.trim().is_empty();
            let pid = if known { pid.trim().to_owned() } else { "unknown".to_owned() };
            Err(DataDirError::InUse { path: path.to_owned(), pid })
        }
        Err(error) => Err(DataDirError::Io { path: path.to_owned(), error: error.into() }),
    }
}

fn check_format(path: &Path) -> Result<(), DataDirError> {
    let found = fs::read_to_string(path.join(FORMAT))
        .map_err(|error| DataDirError::Io { path: path.to_owned(), error })?;
    if found == FORMAT_TEXT {
        return Ok(());
    }
    let found = super::logging::printable(found.trim()).to_string();
    Err(DataDirError::UnknownFormat { path: path.to_owned(), found })
}

/// In one step as others see it: a crash leaves either no format file or a whole one.
fn write_format(path: &Path) -> io::Result<()> {
    let draft = path.join("FORMAT.new");
    let mut file = File::create(&draft)?;
    file.write_all(FORMAT_TEXT.as_bytes())?;
    file.sync_all()?;
    fs::rename(&draft, path.join(FORMAT))?;
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_made_and_can_be_opened_again_after_it_was_dropped() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/b");
        drop(DataDir::open(&path).unwrap());
        assert_eq!(fs::read_to_string(path.join(FORMAT)).unwrap(), FORMAT_TEXT);
        DataDir::open(&path).unwrap();
    }

    #[test]
    fn one_owner_at_a_time() {
        let root = tempfile::tempdir().unwrap();
        let _owner = DataDir::open(root.path()).unwrap();
        let error = DataDir::open(root.path()).unwrap_err().to_string();
        let expected = format!(
            "data directory {} is in use by another leveret (pid {})",
            root.path().display(),
            std::process::id()
        );
        assert_eq!(error, expected);
    }

    #[test]
    fn an_inspection_changes_nothing_and_keeps_brokers_out() {
        let root = tempfile::tempdir().unwrap();
        assert!(matches!(DataDir::inspect(root.path()), Err(DataDirError::NotOurs { .. })));
        assert!(matches!(DataDir::inspect(&root.path().join("none")), Err(DataDirError::Io { .. })));
        let owner = DataDir::open(root.path()).unwrap();
        assert!(matches!(DataDir::inspect(root.path()), Err(DataDirError::InUse { .. })));
        drop(owner);
        let before = fs::read(root.path().join(LOCK)).unwrap();
        let inspections = [DataDir::inspect(root.path()).unwrap(), DataDir::inspect(root.path()).unwrap()];
        assert!(matches!(DataDir::open(root.path()), Err(DataDirError::InUse { .. })));
        drop(inspections);
        assert_eq!(fs::read(root.path().join(LOCK)).unwrap(), before);
        fs::remove_file(root.path().join(LOCK)).unwrap();
        DataDir::inspect(root.path()).unwrap();
        assert!(!root.path().join(LOCK).exists());
    }

    #[test]
    fn other_formats_and_other_peoples_directories_are_left_alone() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("thesis.tex"), "").unwrap();
        assert!(matches!(DataDir::open(root.path()), Err(DataDirError::Foreign { .. })));
        assert!(!root.path().join(LOCK).exists());
        fs::write(root.path().join(FORMAT), "leveret data, format 9\n").unwrap();
        let error = DataDir::open(root.path()).unwrap_err().to_string();
        assert!(error.ends_with("has the format 'leveret data, format 9', which this version does not know"));
    }

    #[test]
    fn what_an_interrupted_start_leaves_is_no_obstacle() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("lost+found")).unwrap();
        fs::write(root.path().join(LOCK), "").unwrap();
        fs::write(root.path().join("FORMAT.new"), "lev").unwrap();
        DataDir::open(root.path()).unwrap();
    }
}
