//! The socket for the command-line tools: whoever may open it administers the broker without a password.
//!
//! It is in the data directory, where only the broker's own user and root can open it. So that the tools find it from
//! any working directory, a link to it is in the directory of sockets of that user; a broker without a data directory
//! has its socket there.

use std::{
    ffi::OsString,
    fs::{self, DirBuilder, File, Permissions},
    io,
    os::{
        fd::AsRawFd,
        unix::{
            fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt, symlink},
            net::UnixStream,
        },
    },
    path::{Path, PathBuf},
};

use tokio::net::UnixListener;

use super::config::{Config, Socket};

/// Its name in a data directory.
const NAME: &str = "leveret.sock";
/// What an address of the kernel has room for, less its terminating zero.
const ADDRESS_MAX: usize = 107;

/// A bound socket, removed when it is dropped.
#[derive(Debug)]
pub struct LocalSocket {
    path: PathBuf,
    link: Option<PathBuf>,
}

impl LocalSocket {
    /// The socket that the configuration asks for. A broker without one serves clients as well.
    pub fn open(config: &Config) -> Option<(LocalSocket, UnixListener)> {
        LocalSocket::bind(config).unwrap_or_else(|error| {
            tracing::warn!("there is no socket for the command-line tools: {error}");
            None
        })
    }

    /// Binds the socket that the configuration asks for, if any.
    ///
    /// Whoever has the data directory's lock may remove the socket that another broker left there.
    fn bind(config: &Config) -> io::Result<Option<(LocalSocket, UnixListener)>> {
        let Some(path) = place(config) else { return Ok(None) };
        let is_in_run_dir = path.parent() == Some(&*run_dir());
        let has_run_dir = make_run_dir();
        if is_in_run_dir {
            has_run_dir.as_ref().map_err(|error| io::Error::new(error.kind(), error.to_string()))?;
        }
        match path.symlink_metadata() {
            Ok(found) if found.file_type().is_socket() => fs::remove_file(&path)?,
            // Perhaps the path is a slip: nothing but a socket is ever removed.
            Ok(_) => return Err(io::Error::other(format!("{} is not a socket", path.display()))),
            Err(_) => {}
        }
        let (_directory, address) = address(&path)?;
        let listener = UnixListener::bind(address)?;
        let mut socket = LocalSocket { path, link: None };
        fs::set_permissions(&socket.path, Permissions::from_mode(0o600))?;
        if !is_in_run_dir && config.management.socket == Socket::Auto && has_run_dir.is_ok() {
            let link = run_dir().join(own_name());
            // Left by a process that had our number.
            let _ = fs::remove_file(&link);
            let target = fs::canonicalize(&socket.path)?;
            // Without it the tools must be told where the data is, which is no reason not to start.
            socket.link = symlink(target, &link).is_ok().then_some(link);
        }
        Ok(Some((socket, listener)))
    }
}

impl Drop for LocalSocket {
    fn drop(&mut self) {
        // Someone else may have removed them already, which is just as well.
        for path in [Some(&self.path), self.link.as_ref()].into_iter().flatten() {
            let _ = fs::remove_file(path);
        }
    }
}

/// Where the socket of a broker with this configuration is; of one without a directory, of this process.
pub fn place(config: &Config) -> Option<PathBuf> {
    match (&config.management.socket, &config.storage.data_dir) {
        (Socket::None, _) => None,
        (Socket::At(path), _) => Some(path.clone()),
        (Socket::Auto, Some(directory)) => Some(directory.join(NAME)),
        (Socket::Auto, None) => Some(run_dir().join(own_name())),
    }
}

/// Opens a socket at a path of any length.
pub fn connect(path: &Path) -> io::Result<UnixStream> {
    let (_directory, address) = address(path)?;
    UnixStream::connect(address)
}

/// The sockets of this user's brokers that answer. What nobody listens at any more is removed.
pub fn living() -> Vec<PathBuf> {
    let directory = run_dir();
    if !is_ours(&directory) {
        return Vec::new();
    }
    let entries = fs::read_dir(&directory).into_iter().flatten().flatten();
    let mut sockets: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sock"))
        .filter(|path| match fs::canonicalize(path).and_then(|real| connect(&real)) {
            Ok(_) => true,
            Err(error) => {
                use io::ErrorKind::{ConnectionRefused, NotFound};
                if matches!(error.kind(), ConnectionRefused | NotFound) {
                    let _ = fs::remove_file(path);
                }
                false
            }
        })
        .collect();
    sockets.sort();
    sockets
}

fn own_name() -> OsString {
    format!("{}.sock", std::process::id()).into()
}

/// The directory of sockets of the user that we run as.
fn run_dir() -> PathBuf {
    match std::env::var_os("XDG_RUNTIME_DIR").filter(|directory| !directory.is_empty()) {
        Some(directory) => PathBuf::from(directory).join("leveret"),
        None => PathBuf::from(format!("/tmp/leveret-{}", rustix::process::geteuid().as_raw())),
    }
}

fn make_run_dir() -> io::Result<()> {
    let directory = run_dir();
    match DirBuilder::new().mode(0o700).create(&directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    if is_ours(&directory) {
        return Ok(());
    }
    // Somebody else could put a socket of his own there and be told our passwords.
    let text = format!("{} belongs to somebody else, or others may write to it", directory.display());
    Err(io::Error::new(io::ErrorKind::PermissionDenied, text))
}

/// A directory that nobody else can write to.
fn is_ours(directory: &Path) -> bool {
    directory.symlink_metadata().is_ok_and(|found| {
        found.is_dir() && found.uid() == rustix::process::geteuid().as_raw() && found.mode() & 0o022 == 0
    })
}

/// An address that the kernel takes for this path. A long one is reached through its directory, which has to stay
/// open meanwhile.
fn address(path: &Path) -> io::Result<(Option<File>, PathBuf)> {
    if path.as_os_str().len() <= ADDRESS_MAX {
        return Ok((None, path.to_owned()));
    }
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let directory = File::open(parent)?;
    let short = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd())).join(name);
    Ok((Some(directory), short))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(path: PathBuf) -> Config {
        let mut config = Config::default();
        config.management.socket = Socket::At(path);
        config
    }

    #[tokio::test]
    async fn a_socket_is_for_its_user_and_gone_afterwards() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let (socket, _listener) = LocalSocket::bind(&at(path.clone())).unwrap().unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        connect(&path).unwrap();
        drop(socket);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_long_path_works_and_what_a_crash_left_there_does_not_matter() {
        let directory = tempfile::tempdir().unwrap();
        let deep = directory.path().join("x".repeat(120));
        fs::create_dir(&deep).unwrap();
        let path = deep.join("socket");
        {
            let (_directory, address) = address(&path).unwrap();
            drop(std::os::unix::net::UnixListener::bind(address).unwrap());
        }
        assert!(path.exists() && connect(&path).is_err());
        let (_socket, _listener) = LocalSocket::bind(&at(path.clone())).unwrap().unwrap();
        connect(&path).unwrap();
    }

    #[tokio::test]
    async fn a_file_that_is_no_socket_stays_where_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notes");
        fs::write(&path, "precious").unwrap();
        let refused = LocalSocket::bind(&at(path.clone())).unwrap_err();
        assert!(refused.to_string().ends_with("notes is not a socket"), "{refused}");
        assert_eq!(fs::read(&path).unwrap(), b"precious");
    }

    #[test]
    fn the_data_directory_has_it_unless_something_else_is_asked_for() {
        let mut config = Config::default();
        config.storage.data_dir = Some("/data".into());
        assert_eq!(place(&config), Some("/data/leveret.sock".into()));
        config.management.socket = Socket::None;
        assert_eq!(place(&config), None);
        config.management.socket = Socket::Auto;
        config.storage.data_dir = None;
        assert_eq!(place(&config).unwrap().parent(), Some(&*run_dir()));
    }
}
