//! Definition files that the configuration names, read at the start.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::config::Definitions;

/// The files and what is in them, by name; none when none are configured.
pub fn read(settings: &Definitions) -> Result<Vec<(PathBuf, Vec<u8>)>, String> {
    let Some(path) = &settings.load else { return Ok(Vec::new()) };
    let named = |path: &Path, error: io::Error| format!("{}: {error}", path.display());
    let mut files = vec![path.clone()];
    if path.is_dir() {
        let entries = fs::read_dir(path).map_err(|error| named(path, error))?;
        files = entries.flatten().map(|entry| entry.path()).collect();
        files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
        files.sort();
    }
    let read = |file: PathBuf| match fs::read(&file) {
        Ok(content) => Ok((file, content)),
        Err(error) => Err(named(&file, error)),
    };
    files.into_iter().map(read).collect()
}
