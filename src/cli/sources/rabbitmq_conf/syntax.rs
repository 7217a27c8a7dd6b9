//! The syntax of rabbitmq.conf: `key = value` lines, `#` comments, single quotes, `$(VARIABLE)`.

use std::path::Path;

use crate::{cli::settings::Origin, cli::sources::Environment, server::config::ConfigError};

/// One setting of one file.
#[derive(Debug, Clone)]
pub struct Entry {
    pub key: String,
    pub value: String,
    pub origin: Origin,
}

/// The settings of a file in its order.
pub fn parse(path: &Path, text: &str, environment: &Environment) -> Result<Vec<Entry>, ConfigError> {
    let mut entries = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let origin = Origin::File { path: path.to_owned(), line: index + 1 };
        let wrong = |what: &str| ConfigError(format!("{origin}: {what}"));
        let (key, value) = line.split_once('=').ok_or_else(|| wrong("expected 'key = value'"))?;
        let value = unquote(value.trim()).ok_or_else(|| wrong("the closing quote is missing"))?;
        let value = interpolate(value, environment).map_err(|problem| wrong(&problem))?;
        entries.push(Entry { key: key.trim().to_owned(), value, origin });
    }
    Ok(entries)
}

/// The value without its quotes or its trailing comment. `None` if a quote is never closed.
fn unquote(value: &str) -> Option<&str> {
    match value.strip_prefix('\'') {
        Some(rest) => rest.split_once('\'').map(|(value, _)| value),
        None => Some(value.split('#').next().unwrap_or(value).trim_end()),
    }
}

/// Replaces each `$(NAME)` by the environment variable NAME.
fn interpolate(value: &str, environment: &Environment) -> Result<String, String> {
    let mut result = String::new();
    let mut rest = value;
    while let Some((before, after)) = rest.split_once("$(") {
        let Some((name, tail)) = after.split_once(')') else { break };
        let found =
            environment.get(name).ok_or_else(|| format!("the environment variable {name} is not set"))?;
        result.push_str(before);
        result.push_str(found);
        rest = tail;
    }
    result.push_str(rest);
    Ok(result)
}

/// The parts of a dotted key. A dot inside a name is written `\.`.
pub fn segments(key: &str) -> Vec<String> {
    let mut segments = vec![String::new()];
    let mut characters = key.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' if characters.peek() == Some(&'.') => {
                characters.next();
                segments.last_mut().expect("starts with one").push('.');
            }
            '.' => segments.push(String::new()),
            other => segments.last_mut().expect("starts with one").push(other),
        }
    }
    segments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Result<Vec<(String, String)>, String> {
        let environment = Environment::from([("SECRET".to_owned(), "hush".to_owned())]);
        parse(Path::new("rabbitmq.conf"), text, &environment)
            .map(|entries| entries.into_iter().map(|entry| (entry.key, entry.value)).collect())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn lines() {
        for (line, expected) in [
            ("heartbeat = 60", Some("60")),
            ("heartbeat=60", Some("60")),
            ("  heartbeat =  60  # seconds", Some("60")),
            ("default_pass = 'a # b'", Some("a # b")),
            ("default_pass = 'a' # b", Some("a")),
            ("default_pass = x$(SECRET)y$(SECRET)", Some("xhushyhush")),
            ("default_pass = $(", Some("$(")),
            ("default_pass =", Some("")),
            ("# heartbeat = 60", None),
            ("", None),
        ] {
            let values = values(line).unwrap();
            assert_eq!(values.first().map(|(_, value)| value.as_str()), expected, "{line}");
        }
    }

    #[test]
    fn errors_name_the_line() {
        for (text, expected) in [
            ("\nheartbeat", "rabbitmq.conf, line 2: expected 'key = value'"),
            ("a = 'b", "rabbitmq.conf, line 1: the closing quote is missing"),
            ("a = $(NOPE)", "rabbitmq.conf, line 1: the environment variable NOPE is not set"),
        ] {
            assert_eq!(values(text).unwrap_err(), expected);
        }
    }

    #[test]
    fn dots_in_names_are_escaped() {
        assert_eq!(segments(r"default_users.a\.b.password"), ["default_users", "a.b", "password"]);
    }
}
