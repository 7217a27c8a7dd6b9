//! Keys of rabbitmq.conf that only mean something together: lists and users.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::{
    rules::Group,
    syntax::{Entry, segments},
    tls,
};
use crate::{
    cli::settings::{Origin, Settings},
    server::config::ConfigError,
};

/// Applies the entries of one group, which are in the order of their keys.
pub fn apply(group: Group, entries: &[&Entry], settings: &mut Settings) -> Result<(), ConfigError> {
    match group {
        Group::Listeners => listeners(entries, "amqp.listen", settings),
        Group::TlsListeners => listeners(entries, "tls.amqp_listen", settings),
        Group::Tls => tls::amqp(entries, settings),
        Group::ManagementTls => tls::management(entries, settings),
        Group::LoopbackUsers => loopback_users(entries, settings),
        Group::DefaultLimits => default_limits(entries, settings),
        Group::DefaultUsers => default_users(entries, settings),
        Group::AuthMechanisms => auth_mechanisms(entries, settings),
        Group::CorsOrigins => cors_origins(entries, settings),
        Group::Management => one_listener(entries, "management.listen", "15672", settings),
        Group::Prometheus => one_listener(entries, "prometheus.listen", "15692", settings),
    }
}

/// `listeners.tcp.NAME = [ADDRESS:]PORT`, each a listener; `listeners.tcp = none` for none but those.
fn listeners(entries: &[&Entry], key: &'static str, settings: &mut Settings) -> Result<(), ConfigError> {
    let (names, none): (Vec<&Entry>, Vec<&Entry>) =
        entries.iter().copied().partition(|entry| segments(&entry.key).len() == 3);
    for entry in none {
        if entry.value != "none" {
            return Err(wrong(entry, &format!("{} cannot be '{}': expected none", entry.key, entry.value)));
        }
    }
    for entry in &names {
        // One by one first, so that an error is reported at its own line.
        settings.set(key, &Value::from(entry.value.as_str()), entry.origin.clone())?;
    }
    let all = names.iter().map(|entry| Value::from(entry.value.as_str())).collect();
    settings.set(key, &Value::Array(all), last_origin(entries))
}

/// `management.tcp.port` and `management.tcp.ip`, or what they were called before, and the same for metrics: one
/// listener.
fn one_listener(
    entries: &[&Entry],
    key: &'static str,
    usual: &str,
    settings: &mut Settings,
) -> Result<(), ConfigError> {
    let last = |field: &str| entries.iter().rev().find(|entry| entry.key.ends_with(field));
    let port = last(".port").map_or(usual, |entry| entry.value.as_str());
    let address = match last(".ip").map(|entry| entry.value.as_str()) {
        None => port.to_owned(),
        Some(ip) if ip.contains(':') => format!("[{ip}]:{port}"),
        Some(ip) => format!("{ip}:{port}"),
    };
    settings.set(key, &Value::from(address), last_origin(entries))
}

/// `loopback_users.NAME = true`; the list has those that are true and no others.
fn loopback_users(entries: &[&Entry], settings: &mut Settings) -> Result<(), ConfigError> {
    let mut names = Vec::new();
    for entry in entries {
        match entry.value.as_str() {
            "true" => names.push(Value::from(last_segment(entry))),
            "false" => {}
            other => {
                return Err(wrong(
                    entry,
                    &format!("{} cannot be '{other}': expected true or false", entry.key),
                ));
            }
        }
    }
    settings.set("auth.loopback_only", &Value::Array(names), last_origin(entries))
}

/// `default_limits.vhosts.N.pattern` and the limits of vhosts whose names match, in the order of the numbers.
fn default_limits(entries: &[&Entry], settings: &mut Settings) -> Result<(), ConfigError> {
    let mut sets: BTreeMap<(u64, String), Table> = BTreeMap::new();
    for entry in entries {
        let parts = segments(&entry.key);
        let [_, _, number, field] = parts.as_slice() else {
            return Err(wrong(entry, &format!("unknown key '{}'", entry.key)));
        };
        let field = match field.as_str() {
            "pattern" => "pattern",
            "max_connections" => "connections_max",
            "max_queues" => "queues_max",
            _ => return Err(wrong(entry, &format!("unknown key '{}'", entry.key))),
        };
        let set = sets.entry((number.parse().unwrap_or(u64::MAX), number.clone())).or_default();
        set.insert(field.to_owned(), Value::from(entry.value.as_str()));
        // One by one first, so that an error is reported at its own line.
        let alone = Table::from_iter([(field.to_owned(), Value::from(entry.value.as_str()))]);
        settings.set("limits.new_vhosts", &Value::Array(vec![Value::Table(alone)]), entry.origin.clone())?;
    }
    let sets = sets.into_values().map(Value::Table).collect();
    settings.set("limits.new_vhosts", &Value::Array(sets), last_origin(entries))
}

/// `default_users.NAME.password` and what else there is about that user.
fn default_users(entries: &[&Entry], settings: &mut Settings) -> Result<(), ConfigError> {
    let mut users: BTreeMap<String, Option<Value>> = BTreeMap::new();
    for entry in entries {
        let parts = segments(&entry.key);
        let [_, name, field] = parts.as_slice() else {
            return Err(wrong(entry, &format!("unknown key '{}'", entry.key)));
        };
        let password = users.entry(name.clone()).or_default();
        match field.as_str() {
            "password" if entry.value.starts_with("encrypted:") => {
                return Err(wrong(entry, "encrypted values are not part of this version"));
            }
            "password" => *password = Some(Value::from(entry.value.as_str())),
            "tags" => {}
            "vhost_pattern" | "configure" | "read" | "write" if entry.value == ".*" => {}
            "vhost_pattern" | "configure" | "read" | "write" => {
                return Err(wrong(entry, "such users have full permissions in this version, so expected .*"));
            }
            _ => return Err(wrong(entry, &format!("unknown key '{}'", entry.key))),
        }
    }
    let mut tables = Vec::new();
    for (name, password) in users {
        let password =
            password.ok_or_else(|| wrong(entries[0], &format!("default_users.{name} has no password")))?;
        tables.push(Value::Table(Table::from_iter([
            ("name".to_owned(), Value::from(name)),
            ("password".to_owned(), password),
        ])));
    }
    settings.set("bootstrap.users", &Value::Array(tables), last_origin(entries))
}

/// `auth_mechanisms.N = PLAIN`; those that we do not have are left out.
fn auth_mechanisms(entries: &[&Entry], settings: &mut Settings) -> Result<(), ConfigError> {
    let mut known = Vec::new();
    for entry in entries {
        match entry.value.as_str() {
            name @ ("PLAIN" | "AMQPLAIN" | "ANONYMOUS" | "EXTERNAL") => known.push(Value::from(name)),
            other => {
                settings.warn(format!("{}: the mechanism {other} is not part of this version", entry.origin))
            }
        }
    }
    settings.set("auth.mechanisms", &Value::Array(known), last_origin(entries))
}

/// `management.cors.allow_origins.N = https://example.org`.
fn cors_origins(entries: &[&Entry], settings: &mut Settings) -> Result<(), ConfigError> {
    let origins = entries.iter().map(|entry| Value::from(entry.value.as_str())).collect();
    settings.set("management.cors_allow_origins", &Value::Array(origins), last_origin(entries))
}

fn last_segment(entry: &Entry) -> String {
    segments(&entry.key).pop().unwrap_or_default()
}

pub(super) fn last_origin(entries: &[&Entry]) -> Origin {
    entries.last().expect("a group has an entry").origin.clone()
}

pub(super) fn wrong(entry: &Entry, what: &str) -> ConfigError {
    ConfigError(format!("{}: {what}", entry.origin))
}
