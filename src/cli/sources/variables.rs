//! `LEVERET_...`: `LEVERET_AMQP__HEARTBEAT` for the key `amqp.heartbeat`, `LEVERET_DATA_DIR` for
//! the flag `--data-dir`.

use std::collections::BTreeMap;

use toml::Value;

use super::read_file;
use crate::{
    cli::{
        args::FLAGS,
        settings::{Origin, Settings, absent},
    },
    server::config::{ConfigError, KEYS, Key, NONE, nearest},
};

/// The environment, as an argument so that tests have their own.
pub type Environment = BTreeMap<String, String>;

/// Variables that say where the configuration is, and so are used before this module is.
const LOCATIONS: [&str; 2] = ["LEVERET_CONFIG", "LEVERET_RABBITMQ_CONF"];

/// Applies the variables of this prefix.
pub fn apply(environment: &Environment, settings: &mut Settings) -> Result<(), ConfigError> {
    for (variable, value) in environment {
        // Compose files pass on unset variables as empty ones.
        let ours = variable.starts_with("LEVERET_") && !value.is_empty() && !from_kubernetes(variable, value);
        if ours && !LOCATIONS.contains(&variable.as_str()) {
            apply_one(variable, value, settings)?;
        }
    }
    Ok(())
}

fn apply_one(variable: &str, value: &str, settings: &mut Settings) -> Result<(), ConfigError> {
    let origin = Origin::Variable(variable.to_owned());
    if variable == "LEVERET_EPHEMERAL" {
        return apply_ephemeral(value, origin, settings);
    }
    if let Some(key) = key_of(variable) {
        return settings.set(key, &Value::from(value), origin);
    }
    // Docker and Kubernetes hand out secrets as files.
    if let Some(key) = variable.strip_suffix("_FILE").and_then(key_of) {
        let content = read_file(value.as_ref())?;
        return settings.set(key, &Value::from(content.trim_end_matches(['\r', '\n'])), origin);
    }
    Err(unknown(variable, &origin))
}

/// `LEVERET_EPHEMERAL=true` is `storage.data_dir = "none"`.
fn apply_ephemeral(value: &str, origin: Origin, settings: &mut Settings) -> Result<(), ConfigError> {
    match value {
        "true" | "1" | "yes" | "on" => settings.set("storage.data_dir", &Value::from(NONE), origin),
        "false" | "0" | "no" | "off" => Ok(()),
        _ => Err(ConfigError(format!("{origin} cannot be '{value}': expected true or false"))),
    }
}

fn key_of(variable: &str) -> Option<&'static str> {
    let of_flag = FLAGS.iter().find(|(flag, _)| flag_variable(flag) == variable).map(|(_, key)| *key);
    of_flag.or_else(|| KEYS.iter().find(|key| key.variable() == variable).map(|key| key.name))
}

/// The variable of a flag: `LEVERET_DATA_DIR` for `--data-dir`.
fn flag_variable(flag: &str) -> String {
    format!("LEVERET_{}", flag.replace('-', "_").to_ascii_uppercase())
}

/// In a cluster that has a service called 'leveret', every pod gets variables such as
/// `LEVERET_SERVICE_HOST` and `LEVERET_PORT_5672_TCP_ADDR`. They are not meant for us.
fn from_kubernetes(variable: &str, value: &str) -> bool {
    let numbered =
        variable.split_once("_PORT_").is_some_and(|(_, rest)| rest.starts_with(|c: char| c.is_ascii_digit()));
    variable.ends_with("_SERVICE_HOST")
        || variable.contains("_SERVICE_PORT")
        || (variable.ends_with("_PORT") && value.contains("://"))
        || numbered
}

fn unknown(variable: &str, origin: &Origin) -> ConfigError {
    let name = variable.trim_start_matches("LEVERET_").to_ascii_lowercase().replace("__", ".");
    let known: Vec<String> = LOCATIONS
        .iter()
        .map(|name| (*name).to_owned())
        .chain(FLAGS.iter().map(|(flag, _)| flag_variable(flag)))
        .chain(KEYS.iter().map(Key::variable))
        .map(|name| name.to_ascii_lowercase())
        .collect();
    let hint = match (absent(&name), nearest(variable, known.iter().map(String::as_str))) {
        (Some(feature), _) => format!("{feature} is not part of this version"),
        (None, Some(close)) => format!("did you mean {}?", close.to_ascii_uppercase()),
        (None, None) => "'leveret print-config' lists all keys".to_owned(),
    };
    ConfigError(format!("{origin} stands for no key; {hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings, String> {
        let environment = variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let mut settings = Settings::default();
        apply(&environment, &mut settings).map(|()| settings).map_err(|error| error.to_string())
    }

    #[test]
    fn keys_and_flags_have_variables() {
        let settings = read(&[
            ("LEVERET_AMQP__HEARTBEAT", "7"),
            ("LEVERET_AMQP", "127.0.0.1:1,127.0.0.1:2"),
            ("LEVERET_CLUSTER_NAME", "hare"),
            ("LEVERET_AUTH__LOOPBACK_ONLY", "none"),
            ("LEVERET_EPHEMERAL", "true"),
            ("PATH", "/bin"),
        ])
        .unwrap();
        assert_eq!(settings.config.amqp.heartbeat, 7);
        assert_eq!(settings.config.amqp.listen.len(), 2);
        assert_eq!(settings.config.cluster_name, "hare");
        assert!(settings.config.auth.loopback_only.is_empty());
        assert_eq!(settings.config.storage.data_dir, None);
    }

    #[test]
    fn empty_and_foreign_variables_are_left_alone() {
        let settings = read(&[
            ("LEVERET_AMQP__HEARTBEAT", ""),
            ("LEVERET_PORT", "tcp://10.0.0.1:5672"),
            ("LEVERET_PORT_5672_TCP_ADDR", "10.0.0.1"),
            ("LEVERET_SERVICE_HOST", "10.0.0.1"),
            ("LEVERET_SERVICE_PORT_AMQP", "5672"),
        ]);
        assert_eq!(settings.unwrap().config, crate::Config::default());
    }

    #[test]
    fn a_value_may_be_in_a_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "s3cret\n").unwrap();
        let settings = read(&[("LEVERET_BOOTSTRAP__PASSWORD_FILE", file.path().to_str().unwrap())]).unwrap();
        assert_eq!(settings.config.bootstrap.password, "s3cret");
    }

    #[test]
    fn unknown_variables_are_refused() {
        for (variable, expected) in [
            (
                "LEVERET_AMQP__HARTBEAT",
                "environment variable LEVERET_AMQP__HARTBEAT stands for no key; did you mean LEVERET_AMQP__HEARTBEAT?",
            ),
            (
                "LEVERET_DATADIR",
                "environment variable LEVERET_DATADIR stands for no key; did you mean LEVERET_DATA_DIR?",
            ),
            (
                "LEVERET_MQTT__PORT",
                "environment variable LEVERET_MQTT__PORT stands for no key; MQTT is not part of this version",
            ),
        ] {
            assert_eq!(read(&[(variable, "x")]).unwrap_err(), expected);
        }
    }
}
