//! `RABBITMQ_...`: the variables of RabbitMQ, of its official image and of Bitnami's.
//!
//! What has a counterpart is used, what would change security is refused, the rest is no concern
//! of ours: such variables are around for many reasons, so unknown ones are left alone.

use toml::Value;

use super::{read_file, variables::Environment};
use crate::{
    cli::settings::{Origin, Settings},
    server::config::ConfigError,
};

/// Variables that carry the value of one key; of several for one key the later ones win.
/// Each also exists with `_FILE` appended, naming a file that holds the value.
const PLAIN: &[(&str, &str)] = &[
    ("RABBITMQ_USERNAME", "bootstrap.user"),
    ("RABBITMQ_PASSWORD", "bootstrap.password"),
    ("RABBITMQ_VHOST", "bootstrap.vhost"),
    ("RABBITMQ_DEFAULT_USER", "bootstrap.user"),
    ("RABBITMQ_DEFAULT_PASS", "bootstrap.password"),
    ("RABBITMQ_DEFAULT_VHOST", "bootstrap.vhost"),
    ("RABBITMQ_VM_MEMORY_HIGH_WATERMARK", "limits.memory"),
    ("RABBITMQ_MNESIA_DIR", "storage.data_dir"),
];

/// Applies the variables that mean something to us.
pub fn apply(environment: &Environment, settings: &mut Settings) -> Result<(), ConfigError> {
    let set = |name: &str| environment.get(name).filter(|value| !value.is_empty());
    if let Some((name, _)) = environment.iter().find(|(name, value)| is_tls(name) && !value.is_empty()) {
        return Err(ConfigError(format!("environment variable {name}: TLS is not part of this version")));
    }
    if let Some(base) = set("RABBITMQ_MNESIA_BASE") {
        let origin = Origin::Variable("RABBITMQ_MNESIA_BASE".to_owned());
        settings.set("storage.data_dir", &Value::from(format!("{base}/leveret")), origin)?;
    }
    for (name, key) in PLAIN {
        let file = format!("{name}_FILE");
        match (set(name), set(&file)) {
            (Some(_), Some(_)) => {
                return Err(ConfigError(format!(
                    "environment: {name} and {file} are both set; use one of them"
                )));
            }
            (Some(value), None) => {
                settings.set(key, &Value::from(value.as_str()), Origin::Variable((*name).to_owned()))?;
            }
            (None, Some(path)) => {
                let content = read_file(path.as_ref())?;
                let value = Value::from(content.trim_end_matches(['\r', '\n']));
                settings.set(key, &value, Origin::Variable(file))?;
            }
            (None, None) => {}
        }
    }
    listen(set("RABBITMQ_NODE_IP_ADDRESS"), set("RABBITMQ_NODE_PORT"), settings)?;
    set("RABBITMQ_LOG").map_or(Ok(()), |value| log(value, settings))
}

/// The broker would answer in clear where the operator asked for encryption.
fn is_tls(name: &str) -> bool {
    name.starts_with("RABBITMQ_SSL_") || name.starts_with("RABBITMQ_MANAGEMENT_SSL_")
}

/// The two variables make one listener; either has a default.
fn listen(ip: Option<&String>, port: Option<&String>, settings: &mut Settings) -> Result<(), ConfigError> {
    let name = match (ip, port) {
        (None, None) => return Ok(()),
        (_, Some(_)) => "RABBITMQ_NODE_PORT",
        (Some(_), None) => "RABBITMQ_NODE_IP_ADDRESS",
    };
    // In a Kubernetes cluster with a service called 'rabbitmq-node' this is a URL, not a port.
    if port.is_some_and(|port| port.contains("://")) {
        return Ok(());
    }
    let ip = ip.map_or("", |ip| if ip == "auto" { "" } else { ip.as_str() });
    let port = port.map_or("5672", String::as_str);
    settings.set("amqp.listen", &Value::from(format!("{ip}:{port}")), Origin::Variable(name.to_owned()))
}

/// `debug,+json,connection=warning`: a level, switches, levels of RabbitMQ's log categories.
fn log(value: &str, settings: &mut Settings) -> Result<(), ConfigError> {
    let origin = || Origin::Variable("RABBITMQ_LOG".to_owned());
    for word in value.split(',').map(str::trim) {
        match word {
            "+json" => settings.set("log.format", &Value::from("json"), origin())?,
            "-json" => settings.set("log.format", &Value::from("pretty"), origin())?,
            "" | "+color" | "-color" => {}
            category if category.contains('=') => {
                settings
                    .warn(format!("RABBITMQ_LOG: {category} is ignored: log categories have one level here"));
            }
            level => {
                settings.set("log.level", &Value::from(super::log_level(level).unwrap_or(level)), origin())?
            }
        }
    }
    Ok(())
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
    fn the_official_image() {
        let config = read(&[
            ("RABBITMQ_DEFAULT_USER", "alice"),
            ("RABBITMQ_DEFAULT_PASS", "secret"),
            ("RABBITMQ_DEFAULT_VHOST", "shop"),
            ("RABBITMQ_NODE_PORT", "5673"),
            ("RABBITMQ_VM_MEMORY_HIGH_WATERMARK", "50%"),
            ("RABBITMQ_LOG", "warning,+json"),
            ("RABBITMQ_NODENAME", "rabbit@here"),
            ("RABBITMQ_ERLANG_COOKIE", "whatever"),
        ])
        .unwrap()
        .config;
        assert_eq!((config.bootstrap.user, config.bootstrap.password), ("alice".into(), "secret".into()));
        assert_eq!(config.bootstrap.vhost, "shop");
        assert_eq!(config.amqp.listen, ["0.0.0.0:5673".parse().unwrap()]);
        assert_eq!(config.limits.memory, crate::server::config::Memory::Relative(0.5));
        assert_eq!(config.log.level, "warn");
        assert_eq!(config.log.format, crate::server::config::LogFormat::Json);
    }

    #[test]
    fn bitnami_yields_to_the_official_image() {
        let config =
            read(&[("RABBITMQ_USERNAME", "bitnami"), ("RABBITMQ_DEFAULT_USER", "official")]).unwrap().config;
        assert_eq!(config.bootstrap.user, "official");
    }

    #[test]
    fn one_listener_from_two_variables() {
        for (ip, port, expected) in [
            ("127.0.0.1", "", "127.0.0.1:5672"),
            ("::1", "5673", "[::1]:5673"),
            ("auto", "5673", "0.0.0.0:5673"),
            ("", "tcp://10.0.0.1:5672", "0.0.0.0:5672"),
        ] {
            let config =
                read(&[("RABBITMQ_NODE_IP_ADDRESS", ip), ("RABBITMQ_NODE_PORT", port)]).unwrap().config;
            assert_eq!(config.amqp.listen, [expected.parse().unwrap()], "{ip} {port}");
        }
    }

    #[test]
    fn a_password_may_be_in_a_file_but_not_in_both_places() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "s3cret\n").unwrap();
        let path = file.path().to_str().unwrap();
        let config = read(&[("RABBITMQ_DEFAULT_PASS_FILE", path)]).unwrap().config;
        assert_eq!(config.bootstrap.password, "s3cret");
        let both = read(&[("RABBITMQ_DEFAULT_PASS_FILE", path), ("RABBITMQ_DEFAULT_PASS", "x")]);
        assert!(both.unwrap_err().contains("both set"));
    }

    #[test]
    fn tls_is_refused() {
        let error = read(&[("RABBITMQ_SSL_CERTFILE", "/cert.pem")]).unwrap_err();
        assert_eq!(error, "environment variable RABBITMQ_SSL_CERTFILE: TLS is not part of this version");
    }
}
