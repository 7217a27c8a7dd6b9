//! `RABBITMQ_...`: the variables of RabbitMQ, of its official image and of Bitnami's.
//!
//! What has a counterpart is used, what would change security is refused, the rest is no concern
//! of ours: such variables are around for many reasons, so unknown ones are left alone.

use toml::Value;

use super::{read_file, variables::Environment};
use crate::{
    cli::settings::{Origin, Settings},
    server::config::{ConfigError, NONE},
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
    for image in &TLS {
        tls(image, environment, settings)?;
    }
    listen(set("RABBITMQ_NODE_IP_ADDRESS"), set("RABBITMQ_NODE_PORT"), settings)?;
    set("RABBITMQ_LOG").map_or(Ok(()), |value| log(value, settings))
}

/// The variables of TLS for one kind of listener, as the official image had them.
struct ImageTls {
    prefix: &'static str,
    /// Keys of certificate, key, issuers and verification.
    keys: [&'static str; 4],
    /// What is meant where the variables for it are not set.
    verify: &'static str,
    must_have_one: &'static str,
    /// What listens no more: without TLS beside these, or with TLS beside others.
    closes: &'static str,
}

const TLS: [ImageTls; 2] = [
    ImageTls {
        prefix: "RABBITMQ_SSL_",
        keys: ["tls.cert", "tls.key", "tls.ca", "tls.verify"],
        verify: "verify_peer",
        must_have_one: "true",
        closes: "tls.management_listen",
    },
    ImageTls {
        prefix: "RABBITMQ_MANAGEMENT_SSL_",
        keys: ["tls.management_cert", "tls.management_key", "tls.management_ca", "tls.management_verify"],
        verify: "verify_none",
        must_have_one: "false",
        closes: "management.listen",
    },
];

/// Applies the variables of one kind of listener, if there are any.
fn tls(image: &ImageTls, environment: &Environment, settings: &mut Settings) -> Result<(), ConfigError> {
    let name = |option: &str| format!("{}{option}", image.prefix);
    let get =
        |option: &str| environment.get(&name(option)).map(String::as_str).filter(|value| !value.is_empty());
    let known = ["CERTFILE", "KEYFILE", "CACERTFILE", "VERIFY", "FAIL_IF_NO_PEER_CERT", "DEPTH"];
    let Some(first) = known.iter().find(|option| get(option).is_some()) else { return Ok(()) };
    if get("CERTFILE").is_none() || get("KEYFILE").is_none() {
        // Without them the broker would answer in clear where the operator asked for encryption.
        let (cert, key) = (name("CERTFILE"), name("KEYFILE"));
        return Err(ConfigError(format!(
            "environment variable {}: {cert} and {key} must be set, too",
            name(first)
        )));
    }
    let [cert, key, ca, verify] = image.keys;
    for (option, key) in [("CERTFILE", cert), ("KEYFILE", key), ("CACERTFILE", ca)] {
        if let Some(path) = get(option) {
            settings.set(key, &Value::from(path), Origin::Variable(name(option)))?;
        }
    }
    let word = match (
        get("VERIFY").unwrap_or(image.verify),
        get("FAIL_IF_NO_PEER_CERT").unwrap_or(image.must_have_one),
    ) {
        ("verify_none", _) => "none",
        ("verify_peer", "false") => "optional",
        ("verify_peer", _) => "required",
        (other, _) => {
            let text = format!(
                "environment variable {}: expected verify_none or verify_peer, not '{other}'",
                name("VERIFY")
            );
            return Err(ConfigError(text));
        }
    };
    settings.set(verify, &Value::from(word), Origin::Variable(name("VERIFY")))?;
    settings.set(image.closes, &Value::from(NONE), Origin::Variable(name(first)))?;
    if image.closes == "management.listen" {
        settings.set("tls.management_listen", &Value::from("15671"), Origin::Variable(name(first)))?;
    }
    Ok(())
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
    use crate::tls::Verify;

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
    fn tls_of_amqp_leaves_management_as_it_is() {
        let files = [
            ("RABBITMQ_SSL_CERTFILE", "/c.pem"),
            ("RABBITMQ_SSL_KEYFILE", "/k.pem"),
            ("RABBITMQ_SSL_CACERTFILE", "/ca.pem"),
        ];
        let config = read(&files).unwrap().config;
        assert_eq!((config.tls.cert.unwrap(), config.tls.key.unwrap()), ("/c.pem".into(), "/k.pem".into()));
        assert_eq!((config.tls.ca.unwrap(), config.tls.verify), ("/ca.pem".into(), Verify::Required));
        assert_eq!((config.tls.amqp_listen.len(), config.tls.management_listen.len()), (1, 0));
        assert_eq!((config.amqp.listen.len(), config.management.listen.len()), (1, 1));
        for (verify, must, expected) in [
            ("verify_none", "true", Verify::None),
            ("verify_peer", "false", Verify::Optional),
            ("verify_peer", "true", Verify::Required),
        ] {
            let more = [("RABBITMQ_SSL_VERIFY", verify), ("RABBITMQ_SSL_FAIL_IF_NO_PEER_CERT", must)];
            let variables = [&files[..], &more].concat();
            assert_eq!(read(&variables).unwrap().config.tls.verify, expected);
        }
        let wrong = [&files[..], &[("RABBITMQ_SSL_VERIFY", "perhaps")]].concat();
        assert!(read(&wrong).unwrap_err().contains("RABBITMQ_SSL_VERIFY"));
        let alone = read(&[("RABBITMQ_SSL_CACERTFILE", "/ca.pem")]).unwrap_err();
        assert!(alone.contains("RABBITMQ_SSL_CERTFILE and RABBITMQ_SSL_KEYFILE must be set"), "{alone}");
    }

    #[test]
    fn management_with_tls_is_not_there_without() {
        let config =
            read(&[("RABBITMQ_MANAGEMENT_SSL_CERTFILE", "/c"), ("RABBITMQ_MANAGEMENT_SSL_KEYFILE", "/k")]);
        let config = config.unwrap().config;
        assert!(config.management.listen.is_empty());
        assert_eq!(config.tls.management_listen, ["0.0.0.0:15671".parse().unwrap()]);
        assert_eq!((config.tls.cert, config.tls.management_verify), (None, Verify::None));
    }
}
