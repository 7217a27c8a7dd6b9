//! Relative paths: which ones the store may use, and the directory a file is in.

use std::io;

/// Refuses what could lead out of the data directory or name one file in two ways. Empty is the data
/// directory itself.
pub fn check_directory(directory: &str) -> io::Result<()> {
    if directory.is_empty() { Ok(()) } else { check(directory) }
}

/// The same for a file, which needs a name.
pub fn check(path: &str) -> io::Result<()> {
    let plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\0');
    if path.split('/').all(plain) {
        Ok(())
    } else {
        let text = format!("not a plain relative path: {path:?}");
        Err(io::Error::new(io::ErrorKind::InvalidInput, text))
    }
}

/// The directory of a file or directory; that of "log/7" is "log", that of "log" is "".
pub fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(directory, _)| directory)
}

/// A directory and all above it, the topmost first, without the data directory.
pub fn ancestry(directory: &str) -> impl Iterator<Item = &str> {
    let ends = directory.match_indices('/').map(|(at, _)| at).chain(Some(directory.len()));
    ends.map(|end| &directory[..end]).filter(|above| !above.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_relative_paths_pass() {
        for good in ["log", "log/0000000000000007", "a/b/c..d", "a/.b"] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in ["", "/log", "log/", "log//7", "../log", "log/../7", "./log", "a\0b"] {
            assert_eq!(check(bad).unwrap_err().kind(), io::ErrorKind::InvalidInput, "{bad:?}");
        }
        assert!(check_directory("").is_ok());
        assert!(check_directory("..").is_err());
    }

    #[test]
    fn a_path_knows_what_is_above_it() {
        assert_eq!((parent("log/7"), parent("log"), parent("a/b/c")), ("log", "", "a/b"));
        assert_eq!(ancestry("a/b/c").collect::<Vec<_>>(), ["a", "a/b", "a/b/c"]);
        assert_eq!(ancestry("").count(), 0);
    }
}
