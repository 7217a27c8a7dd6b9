//! Kinds of configuration values: how each is read from TOML or from text, shown, and described.
//!
//! Environment variables, flags and rabbitmq.conf only have text, so every kind also reads text;
//! there a list is separated by commas.

use std::{fmt::Display, net::SocketAddr, ops::RangeInclusive, path::PathBuf, time::Duration};

use toml::Value;

use super::{LogFormat, Memory, Network, Socket, listen, units};
use crate::{store::Durability, tls::NamedPair};

/// The word that stands for the absent value of an optional key, TOML having no null.
pub const NONE: &str = "none";

/// One kind of value.
pub trait Kind {
    /// What it is in [`super::Config`].
    type Of;
    /// The value, or `None` when it is not of this kind or out of range.
    fn read(&self, value: &Value) -> Option<Self::Of>;
    /// The inverse of `read`.
    fn show(&self, value: &Self::Of) -> Value;
    /// What would have been valid, to follow the word "expected".
    fn expected(&self) -> String;
}

/// A whole number in a range.
pub struct Count<T>(pub RangeInclusive<T>);

impl<T: TryFrom<u64> + Copy + PartialOrd + Display> Kind for Count<T>
where
    u64: TryFrom<T>,
{
    type Of = T;
    fn read(&self, value: &Value) -> Option<T> {
        let number = match value {
            Value::Integer(number) => non_negative(*number)?,
            other => text(other)?.trim().parse().ok()?,
        };
        T::try_from(number).ok().filter(|number| self.0.contains(number))
    }
    fn show(&self, value: &T) -> Value {
        number(*value)
    }
    fn expected(&self) -> String {
        format!("a whole number from {} to {}", self.0.start(), self.0.end())
    }
}

/// A number of bytes in a range.
pub struct Size<T>(pub RangeInclusive<T>);

impl<T: TryFrom<u64> + Copy + PartialOrd> Kind for Size<T>
where
    u64: TryFrom<T>,
{
    type Of = T;
    fn read(&self, value: &Value) -> Option<T> {
        T::try_from(units::read_size(&text(value)?)?).ok().filter(|size| self.0.contains(size))
    }
    fn show(&self, value: &T) -> Value {
        match u64::try_from(*value).map(units::show_size) {
            Ok(shown) if shown.bytes().all(|b| b.is_ascii_digit()) => number(*value),
            Ok(shown) => Value::String(shown),
            Err(_) => number(*value),
        }
    }
    fn expected(&self) -> String {
        let show = |size: &T| units::show_size(u64::try_from(*size).unwrap_or(u64::MAX));
        format!("a size such as '64MiB', from {} to {}", show(self.0.start()), show(self.0.end()))
    }
}

/// A duration in a range.
pub struct Span(pub RangeInclusive<Duration>);

impl Kind for Span {
    type Of = Duration;
    fn read(&self, value: &Value) -> Option<Duration> {
        units::read_duration(&text(value)?).filter(|span| self.0.contains(span))
    }
    fn show(&self, value: &Duration) -> Value {
        Value::String(units::show_duration(*value))
    }
    fn expected(&self) -> String {
        let [from, to] = [self.0.start(), self.0.end()].map(|span| units::show_duration(*span));
        format!("a duration such as '100ms', '10s' or '30min', from {from} to {to}")
    }
}

/// True or false.
pub struct Switch;

impl Kind for Switch {
    type Of = bool;
    fn read(&self, value: &Value) -> Option<bool> {
        match value {
            Value::Boolean(on) => Some(*on),
            other => match text(other)?.to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" | "1" => Some(true),
                "false" | "no" | "off" | "0" => Some(false),
                _ => None,
            },
        }
    }
    fn show(&self, value: &bool) -> Value {
        Value::Boolean(*value)
    }
    fn expected(&self) -> String {
        "true or false".to_owned()
    }
}

/// The name of a user, vhost or broker; AMQP carries these in strings of at most 255 bytes.
pub struct Name;

impl Kind for Name {
    type Of = String;
    fn read(&self, value: &Value) -> Option<String> {
        text(value).filter(|name| (1..=255).contains(&name.len()) && !name.contains(char::is_control))
    }
    fn show(&self, value: &String) -> Value {
        Value::String(value.clone())
    }
    fn expected(&self) -> String {
        "a name of 1 to 255 bytes without control characters".to_owned()
    }
}

/// A password. An empty one would let nobody in, so it is refused here.
pub struct Password;

impl Kind for Password {
    type Of = String;
    fn read(&self, value: &Value) -> Option<String> {
        text(value).filter(|password| !password.is_empty())
    }
    fn show(&self, value: &String) -> Value {
        Value::String(value.clone())
    }
    fn expected(&self) -> String {
        "a password that is not empty".to_owned()
    }
}

/// A path of a file or directory.
pub struct FilePath;

impl Kind for FilePath {
    type Of = PathBuf;
    fn read(&self, value: &Value) -> Option<PathBuf> {
        text(value).filter(|path| !path.is_empty()).map(PathBuf::from)
    }
    fn show(&self, value: &PathBuf) -> Value {
        Value::String(value.to_string_lossy().into_owned())
    }
    fn expected(&self) -> String {
        "a path".to_owned()
    }
}

/// A path for a socket, `auto` or `none`.
pub struct SocketPlace;

impl Kind for SocketPlace {
    type Of = Socket;
    fn read(&self, value: &Value) -> Option<Socket> {
        match value.as_str()? {
            "auto" => Some(Socket::Auto),
            NONE => Some(Socket::None),
            _ => FilePath.read(value).map(Socket::At),
        }
    }
    fn show(&self, value: &Socket) -> Value {
        match value {
            Socket::Auto => Value::from("auto"),
            Socket::None => Value::from(NONE),
            Socket::At(path) => FilePath.show(path),
        }
    }
    fn expected(&self) -> String {
        format!("{}, 'auto' or '{NONE}'", FilePath.expected())
    }
}

/// A version as clients parse it: numbers separated by dots.
pub struct Version;

impl Kind for Version {
    type Of = String;
    fn read(&self, value: &Value) -> Option<String> {
        // Not through `text`: the TOML number 4.10 would lose its zero.
        let version = value.as_str()?;
        let numeric = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        (version.contains('.') && version.split('.').all(numeric)).then(|| version.to_owned())
    }
    fn show(&self, value: &String) -> Value {
        Value::String(value.clone())
    }
    fn expected(&self) -> String {
        "numbers separated by dots, such as '4.1.0', in quotes".to_owned()
    }
}

/// A listen address.
pub struct Listen;

impl Kind for Listen {
    type Of = SocketAddr;
    fn read(&self, value: &Value) -> Option<SocketAddr> {
        listen::read_listen(&text(value)?)
    }
    fn show(&self, value: &SocketAddr) -> Value {
        Value::String(value.to_string())
    }
    fn expected(&self) -> String {
        "'5672', ':5672', '127.0.0.1:5672' or '[::]:5672'".to_owned()
    }
}

/// A network.
pub struct Net;

impl Kind for Net {
    type Of = Network;
    fn read(&self, value: &Value) -> Option<Network> {
        Network::read(text(value)?.trim())
    }
    fn show(&self, value: &Network) -> Value {
        Value::String(value.to_string())
    }
    fn expected(&self) -> String {
        "an address or a network such as '10.0.0.0/8' or 'fd00::/8'".to_owned()
    }
}

/// A memory watermark.
pub struct Watermark;

impl Kind for Watermark {
    type Of = Memory;
    fn read(&self, value: &Value) -> Option<Memory> {
        match value {
            Value::Float(fraction) => units::read_memory(&format!("{fraction:?}")),
            other => units::read_memory(&text(other)?),
        }
    }
    fn show(&self, value: &Memory) -> Value {
        Value::String(units::show_memory(*value))
    }
    fn expected(&self) -> String {
        "a share such as '60%' (above 0, at most 100) or a size such as '2GiB'".to_owned()
    }
}

/// A log filter: a level, or levels per module.
pub struct Filter;

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

impl Kind for Filter {
    type Of = String;
    fn read(&self, value: &Value) -> Option<String> {
        let filter = text(value)?.replace(' ', "");
        // The subscriber would take a misspelt level for the name of a module.
        let known = |directive: &str| {
            let (target, level) = directive.rsplit_once('=').unwrap_or(("leveret", directive));
            !target.is_empty() && LEVELS.contains(&level.to_ascii_lowercase().as_str())
        };
        filter.split(',').all(known).then_some(filter)
    }
    fn show(&self, value: &String) -> Value {
        Value::String(value.clone())
    }
    fn expected(&self) -> String {
        "one of off, error, warn, info, debug, trace, or 'warn,leveret=debug'".to_owned()
    }
}

/// What durable means.
pub struct SyncMode;

const SYNC_MODES: [(&str, Durability); 3] =
    [("fsync", Durability::Fsync), ("interval", Durability::Interval), ("os", Durability::Os)];

impl Kind for SyncMode {
    type Of = Durability;
    fn read(&self, value: &Value) -> Option<Durability> {
        let name = text(value)?;
        SYNC_MODES.iter().find(|(known, _)| *known == name).map(|(_, mode)| *mode)
    }
    fn show(&self, value: &Durability) -> Value {
        let known = SYNC_MODES.iter().find(|(_, mode)| mode == value);
        Value::from(known.map_or("fsync", |(name, _)| name))
    }
    fn expected(&self) -> String {
        "fsync, interval or os".to_owned()
    }
}

/// One of a few words.
pub struct Word<T: 'static>(pub &'static [(&'static str, T)]);

impl<T: Copy + PartialEq> Kind for Word<T> {
    type Of = T;
    fn read(&self, value: &Value) -> Option<T> {
        // A version such as 1.2 may stand without quotes.
        let word = match value {
            Value::Float(number) => number.to_string(),
            other => text(other)?,
        };
        self.0.iter().find(|(known, _)| *known == word).map(|(_, value)| *value)
    }
    fn show(&self, value: &T) -> Value {
        let known = self.0.iter().find(|(_, other)| other == value);
        Value::from(known.map_or("", |(word, _)| *word))
    }
    fn expected(&self) -> String {
        let words: Vec<&str> = self.0.iter().map(|(word, _)| *word).collect();
        format!("one of {}", words.join(", "))
    }
}

/// A certificate for a name: a table in TOML, `name:cert:key` as text.
pub struct Named;

impl Kind for Named {
    type Of = NamedPair;
    fn read(&self, value: &Value) -> Option<NamedPair> {
        let parts: Vec<Value> = match value {
            Value::Table(table) if table.len() == 3 => {
                ["name", "cert", "key"].iter().map(|part| table.get(*part).cloned()).collect::<Option<_>>()?
            }
            other => text(other)?.splitn(3, ':').map(Value::from).collect(),
        };
        let [name, cert, key] = parts.as_slice() else { return None };
        Some(NamedPair { name: Name.read(name)?, cert: FilePath.read(cert)?, key: FilePath.read(key)? })
    }
    fn show(&self, pair: &NamedPair) -> Value {
        let entries = [
            ("name", Name.show(&pair.name)),
            ("cert", FilePath.show(&pair.cert)),
            ("key", FilePath.show(&pair.key)),
        ];
        Value::Table(entries.map(|(key, value)| (key.to_owned(), value)).into_iter().collect())
    }
    fn expected(&self) -> String {
        "{ name = \"amqp.example.org\", cert = \"...\", key = \"...\" }".to_owned()
    }
}

/// How log lines look.
pub struct Format;

impl Kind for Format {
    type Of = LogFormat;
    fn read(&self, value: &Value) -> Option<LogFormat> {
        match text(value)?.as_str() {
            "pretty" => Some(LogFormat::Pretty),
            "json" => Some(LogFormat::Json),
            _ => None,
        }
    }
    fn show(&self, value: &LogFormat) -> Value {
        let word = match value {
            LogFormat::Pretty => "pretty",
            LogFormat::Json => "json",
        };
        Value::String(word.to_owned())
    }
    fn expected(&self) -> String {
        "pretty or json".to_owned()
    }
}

/// A user with a password: a table in TOML, `name:password` as text.
pub struct User;

impl Kind for User {
    type Of = (String, String);
    fn read(&self, value: &Value) -> Option<(String, String)> {
        let (name, password) = match value {
            Value::Table(table) if table.len() == 2 => {
                (table.get("name")?.clone(), table.get("password")?.clone())
            }
            other => {
                let text = text(other)?;
                let (name, password) = text.split_once(':')?;
                (Value::from(name), Value::from(password))
            }
        };
        Some((Name.read(&name)?, Password.read(&password)?))
    }
    fn show(&self, (name, password): &(String, String)) -> Value {
        let entries = [("name", name), ("password", password)];
        Value::Table(
            entries.map(|(key, text)| (key.to_owned(), Value::from(text.as_str()))).into_iter().collect(),
        )
    }
    fn expected(&self) -> String {
        "{ name = \"alice\", password = \"...\" } or 'alice:...'".to_owned()
    }
}

/// Any number of values, separated by commas when given as text.
pub struct List<K>(pub K);

impl<K: Kind> Kind for List<K> {
    type Of = Vec<K::Of>;
    fn read(&self, value: &Value) -> Option<Vec<K::Of>> {
        match value {
            Value::Array(items) => items.iter().map(|item| self.0.read(item)).collect(),
            other => match text(other)?.trim() {
                "" | NONE => Some(Vec::new()),
                items => items.split(',').map(|item| self.0.read(&Value::from(item.trim()))).collect(),
            },
        }
    }
    fn show(&self, value: &Vec<K::Of>) -> Value {
        Value::Array(value.iter().map(|item| self.0.show(item)).collect())
    }
    fn expected(&self) -> String {
        format!("a list, each item {}", self.0.expected())
    }
}

/// The same with at least one value.
pub struct Some1<K>(pub K);

impl<K: Kind> Kind for Some1<K> {
    type Of = Vec<K::Of>;
    fn read(&self, value: &Value) -> Option<Vec<K::Of>> {
        List(&self.0).read(value).filter(|items| !items.is_empty())
    }
    fn show(&self, value: &Vec<K::Of>) -> Value {
        List(&self.0).show(value)
    }
    fn expected(&self) -> String {
        format!("a list of at least one item, each {}", self.0.expected())
    }
}

/// A value or [`NONE`].
pub struct Maybe<K>(pub K);

impl<K: Kind> Kind for Maybe<K> {
    type Of = Option<K::Of>;
    fn read(&self, value: &Value) -> Option<Option<K::Of>> {
        match value.as_str() {
            Some(NONE) => Some(None),
            _ => self.0.read(value).map(Some),
        }
    }
    fn show(&self, value: &Option<K::Of>) -> Value {
        value.as_ref().map_or_else(|| Value::from(NONE), |value| self.0.show(value))
    }
    fn expected(&self) -> String {
        format!("{}, or '{NONE}'", self.0.expected())
    }
}

impl<K: Kind> Kind for &K {
    type Of = K::Of;
    fn read(&self, value: &Value) -> Option<K::Of> {
        (**self).read(value)
    }
    fn show(&self, value: &K::Of) -> Value {
        (**self).show(value)
    }
    fn expected(&self) -> String {
        (**self).expected()
    }
}

/// The text of a plain value. `None` for lists and tables, which no plain kind takes.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Outside the generic code above, whose bounds hide the plain conversion.
fn non_negative(number: i64) -> Option<u64> {
    u64::try_from(number).ok()
}

/// A number as TOML has it. TOML's end at `i64::MAX`, so what is above becomes text.
fn number<T: Copy>(value: T) -> Value
where
    u64: TryFrom<T>,
{
    let value = u64::try_from(value).unwrap_or(u64::MAX);
    i64::try_from(value).map_or_else(|_| Value::String(value.to_string()), Value::Integer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_read_from_numbers_and_text_and_kept_in_range() {
        let heartbeat = Count(0..=u16::MAX);
        assert_eq!(heartbeat.read(&Value::Integer(30)), Some(30));
        assert_eq!(heartbeat.read(&Value::from("30")), Some(30));
        for wrong in [Value::Integer(-1), Value::Integer(65_536), Value::from("soon"), Value::Float(1.0)] {
            assert_eq!(heartbeat.read(&wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_size_is_shown_as_short_as_it_is_exact() {
        let size = Size(0..=u64::MAX);
        assert_eq!(size.show(&131_072), Value::from("128KiB"));
        assert_eq!(size.show(&1_000), Value::Integer(1_000));
        assert_eq!(Size(4_096..=1_u32 << 20).read(&Value::Integer(4_095)), None);
    }

    #[test]
    fn lists_are_arrays_or_text_with_commas() {
        let names = List(Name);
        let expected = Some(vec!["a".to_owned(), "b".to_owned()]);
        assert_eq!(names.read(&Value::Array(vec![Value::from("a"), Value::from("b")])), expected);
        assert_eq!(names.read(&Value::from("a, b")), expected);
        assert_eq!(names.read(&Value::from("")), Some(Vec::new()));
        assert_eq!(names.read(&Value::from("none")), Some(Vec::new()));
        assert_eq!(Some1(Listen).read(&Value::from("none")), None);
    }

    #[test]
    fn users_are_tables_or_pairs() {
        let expected = Some(("alice".to_owned(), "s:cret".to_owned()));
        assert_eq!(User.read(&Value::from("alice:s:cret")), expected);
        let shown = User.show(&expected.clone().unwrap());
        assert_eq!(User.read(&shown), expected);
        for wrong in ["alice", ":secret", "alice:"] {
            assert_eq!(User.read(&Value::from(wrong)), None, "{wrong}");
        }
    }

    #[test]
    fn a_misspelt_level_is_not_taken_for_a_module() {
        for (filter, valid) in [
            ("info", true),
            ("warn,leveret=debug", true),
            ("leveret::session=TRACE", true),
            ("verbose", false),
            ("warning", false),
            ("leveret=loud", false),
            ("=debug", false),
            ("", false),
        ] {
            assert_eq!(Filter.read(&Value::from(filter)).is_some(), valid, "{filter}");
        }
    }

    #[test]
    fn versions_are_dotted_numbers() {
        for (version, valid) in
            [("4.1.0", true), ("4.1", true), ("4", false), ("4.x", false), ("4..1", false)]
        {
            assert_eq!(Version.read(&Value::from(version)).is_some(), valid, "{version}");
        }
    }
}
