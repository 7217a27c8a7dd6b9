//! A configuration under construction: the values so far, where each came from, what to warn about.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use toml::Value;

use crate::server::config::{Config, ConfigError, KEYS, Key, nearest};

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    File { path: PathBuf, line: usize },
    Variable(String),
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::File { path, line } => write!(f, "{}, line {line}", path.display()),
            Origin::Variable(name) => write!(f, "environment variable {name}"),
            Origin::Flag(flag) => write!(f, "{flag}"),
        }
    }
}

/// What the sources add up to. Sources are applied from the weakest to the strongest.
#[derive(Debug, Default)]
pub struct Settings {
    pub config: Config,
    /// By key; keys that are not here have their default.
    pub origins: BTreeMap<&'static str, Origin>,
    /// Sentences for the operator, to be logged once the log is open.
    pub warnings: Vec<String>,
    /// Files that were read, weakest first.
    pub files: Vec<PathBuf>,
}

impl Settings {
    /// Sets a key; the error names the origin, the key and what would have been right.
    pub fn set(&mut self, name: &str, value: &Value, origin: Origin) -> Result<(), ConfigError> {
        let Some(key) = Key::find(name) else { return Err(unknown(name, &origin)) };
        key.set(&mut self.config, value).map_err(|error| ConfigError(format!("{origin}: {error}")))?;
        self.origins.insert(key.name, origin);
        Ok(())
    }

    /// Records something the operator should know.
    pub fn warn(&mut self, sentence: impl Into<String>) {
        self.warnings.push(sentence.into());
    }
}

/// Names from RabbitMQ's world, or from a later version of ours, that deserve more than "unknown".
const ABSENT: &[(&str, &str)] = &[
    ("metrics", "the Prometheus endpoint"),
    ("limits.disk_free", "the disk alarm"),
    ("bootstrap.definitions", "loading of definitions"),
    ("log.file", "logging to a file"),
    ("mqtt", "MQTT"),
];

/// What a name would configure if it were part of this version.
pub fn absent(name: &str) -> Option<&'static str> {
    let covers =
        |prefix: &str| name.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    ABSENT.iter().find(|(prefix, _)| covers(prefix)).map(|(_, feature)| *feature)
}

fn unknown(name: &str, origin: &Origin) -> ConfigError {
    let hint = match (absent(name), nearest(name, KEYS.iter().map(|key| key.name))) {
        (Some(feature), _) => format!("{feature} is not part of this version"),
        (None, Some(key)) => format!("did you mean '{key}'?"),
        (None, None) => "'leveret print-config' lists all keys".to_owned(),
    };
    ConfigError(format!("{origin}: unknown key '{name}'; {hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(name: &str, value: &str) -> String {
        let origin = Origin::Flag("--set".to_owned());
        Settings::default().set(name, &Value::from(value), origin).unwrap_err().to_string()
    }

    #[test]
    fn an_unknown_key_is_answered_with_the_nearest_one() {
        assert_eq!(
            error("amqp.hartbeat", "1"),
            "--set: unknown key 'amqp.hartbeat'; did you mean 'amqp.heartbeat'?"
        );
        assert_eq!(
            error("mqtt.port", "1"),
            "--set: unknown key 'mqtt.port'; MQTT is not part of this version"
        );
        assert_eq!(error("zzz", "x"), "--set: unknown key 'zzz'; 'leveret print-config' lists all keys");
    }

    #[test]
    fn a_stronger_source_replaces_value_and_origin() {
        let mut settings = Settings::default();
        let file = Origin::File { path: "a.toml".into(), line: 3 };
        settings.set("amqp.heartbeat", &Value::Integer(10), file.clone()).unwrap();
        assert_eq!(settings.origins["amqp.heartbeat"], file);
        let flag = Origin::Flag("--set".to_owned());
        settings.set("amqp.heartbeat", &Value::from("20"), flag.clone()).unwrap();
        assert_eq!((settings.config.amqp.heartbeat, &settings.origins["amqp.heartbeat"]), (20, &flag));
    }
}
