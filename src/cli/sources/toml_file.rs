//! `leveret.toml`: every leaf of the document is a key of the configuration.

use std::path::Path;

use serde::Deserialize;
use toml::{
    Spanned, Value,
    de::{DeTable, DeValue, ValueDeserializer},
};

use super::read_file;
use crate::{
    cli::settings::{Origin, Settings},
    server::config::{ConfigError, KEYS, Key},
};

/// Applies one TOML file.
pub fn apply(path: &Path, settings: &mut Settings) -> Result<(), ConfigError> {
    let text = read_file(path)?;
    let document = DeTable::parse(&text).map_err(|error| {
        let line = line_at(&text, error.span().map_or(0, |span| span.start));
        let message = error.message().trim().replace('\n', "; ");
        ConfigError(format!("{}, line {line}: {message}", path.display()))
    })?;
    Reader { path, text: &text, settings }.table("", document.into_inner())?;
    settings.files.push(path.to_owned());
    Ok(())
}

struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
    settings: &'a mut Settings,
}

impl Reader<'_> {
    fn table(&mut self, prefix: &str, table: DeTable<'_>) -> Result<(), ConfigError> {
        for (key, value) in table {
            let dot = if prefix.is_empty() { "" } else { "." };
            let name = format!("{prefix}{dot}{}", key.get_ref());
            let line = line_at(self.text, key.span().start);
            match value.get_ref() {
                // A table is a section unless it is the value of a key, which none is today; a
                // table in the wrong place is then reported by the leaf that is not known.
                DeValue::Table(table) if Key::find(&name).is_none() && !table.is_empty() => {
                    let DeValue::Table(table) = value.into_inner() else { continue };
                    self.table(&name, table)?;
                }
                DeValue::Table(_) if is_section(&name) => {}
                _ => self.leaf(&name, line, value)?,
            }
        }
        Ok(())
    }

    fn leaf(&mut self, name: &str, line: usize, value: Spanned<DeValue<'_>>) -> Result<(), ConfigError> {
        let origin = Origin::File { path: self.path.to_owned(), line };
        let value = Value::deserialize(ValueDeserializer::from(value))
            .map_err(|error| ConfigError(format!("{origin}: {}", error.message())))?;
        self.settings.set(name, &value, origin)
    }
}

/// An empty table may stay in a file when all of its keys are comments.
fn is_section(name: &str) -> bool {
    KEYS.iter().any(|key| key.split().0 == name)
}

fn line_at(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Settings, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("leveret.toml");
        std::fs::write(&path, text).unwrap();
        let mut settings = Settings::default();
        let result = apply(&path, &mut settings);
        let place = format!("{}/", directory.path().display());
        result.map(|()| settings).map_err(|error| error.to_string().replace(&place, ""))
    }

    #[test]
    fn leaves_are_keys() {
        let config = read(
            "workers = 3\n[amqp]\nlisten = [\"127.0.0.1:5673\"]\nheartbeat = 10\n\
             [limits]\nmemory = 0.5\n[log]\n[[bootstrap.users]]\nname = \"alice\"\npassword = \"x\"\n",
        )
        .unwrap()
        .config;
        assert_eq!(config.workers, Some(3));
        assert_eq!(config.amqp.listen, ["127.0.0.1:5673".parse().unwrap()]);
        assert_eq!(config.amqp.heartbeat, 10);
        assert_eq!(config.limits.memory, crate::server::config::Memory::Relative(0.5));
        assert_eq!(config.bootstrap.users, [("alice".to_owned(), "x".to_owned())]);
    }

    #[test]
    fn errors_name_the_file_and_the_line() {
        for (text, expected) in [
            (
                "[amqp]\nhartbeat = 3\n",
                "leveret.toml, line 2: unknown key 'amqp.hartbeat'; did you mean 'amqp.heartbeat'?",
            ),
            ("[ampq]\n", "leveret.toml, line 1: unknown key 'ampq'; 'leveret print-config' lists all keys"),
            (
                "\namqp.heartbeat = \"soon\"\n",
                "leveret.toml, line 2: amqp.heartbeat cannot be \"soon\": expected a whole number from 0 to 65535",
            ),
        ] {
            assert_eq!(read(text).unwrap_err(), expected);
        }
        let error = read("[amqp]\nheartbeat = = 3\n").unwrap_err();
        assert!(error.starts_with("leveret.toml, line 2: ") && !error.contains('\n'), "{error}");
    }
}
