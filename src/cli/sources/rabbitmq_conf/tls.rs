//! TLS in rabbitmq.conf: `ssl_options.*` for AMQP, `management.ssl.*` for the management interface.

use toml::Value;

use super::{
    groups::{last_origin, wrong},
    rules::Group,
    syntax::{Entry, segments},
};
use crate::{
    cli::settings::Settings,
    server::config::{ConfigError, NONE},
};

/// Options that have no meaning here: what they choose is chosen well, or cannot be chosen.
const NO_MATTER: &[&str] = &[
    "depth",
    "honor_cipher_order",
    "honor_ecc_order",
    "client_renegotiation",
    "secure_renegotiate",
    "reuse_sessions",
    "log_alert",
    "log_level",
    "hibernate_after",
    "bypass_pem_cache",
    "dh",
    "dhfile",
    "backlog",
    "cacerts",
];

/// `ssl_options.*`.
pub fn amqp(entries: &[&Entry], settings: &mut Settings) -> Result<(), ConfigError> {
    options(entries, ["tls.cert", "tls.key", "tls.ca", "tls.verify"], settings)
}

/// `management.ssl.*`, and what it was called before.
pub fn management(entries: &[&Entry], settings: &mut Settings) -> Result<(), ConfigError> {
    let (listener, others): (Vec<&Entry>, Vec<&Entry>) =
        entries.iter().copied().partition(|entry| matches!(last(entry).as_str(), "port" | "ip"));
    let find = |field: &str| listener.iter().rev().find(|entry| last(entry) == field);
    if !listener.is_empty() {
        let port = find("port").map_or("15671", |entry| entry.value.as_str());
        let address = match find("ip").map(|entry| entry.value.as_str()) {
            None => port.to_owned(),
            Some(ip) if ip.contains(':') => format!("[{ip}]:{port}"),
            Some(ip) => format!("{ip}:{port}"),
        };
        settings.set("tls.management_listen", &Value::from(address), last_origin(&listener))?;
    }
    let keys = ["tls.management_cert", "tls.management_key", "tls.management_ca", "tls.management_verify"];
    options(&others, keys, settings)
}

/// Sets files and whether clients are verified.
fn options(
    entries: &[&Entry],
    [cert, key, ca, verify]: [&'static str; 4],
    settings: &mut Settings,
) -> Result<(), ConfigError> {
    let mut versions = Vec::new();
    let mut verifies = None;
    let mut must_have_one = false;
    for entry in entries {
        let parts = segments(&entry.key);
        let option = parts.iter().find(|part| {
            !matches!(part.as_str(), "ssl_options" | "management" | "ssl" | "listener" | "ssl_opts")
        });
        let value = entry.value.as_str();
        let target = match option.map_or("", String::as_str) {
            "certfile" => cert,
            "keyfile" => key,
            "cacertfile" => ca,
            "verify" => {
                verifies = Some((
                    match value {
                        "verify_none" => false,
                        "verify_peer" => true,
                        _ => {
                            return Err(wrong(
                                entry,
                                &format!(
                                    "{} cannot be '{value}': expected verify_none or verify_peer",
                                    entry.key
                                ),
                            ));
                        }
                    },
                    entry.origin.clone(),
                ));
                continue;
            }
            "fail_if_no_peer_cert" => {
                must_have_one = value == "true";
                continue;
            }
            "versions" => {
                versions.push(*entry);
                continue;
            }
            "password" => {
                return Err(wrong(
                    entry,
                    &format!(
                        "{} is refused: keep the key in a file of its own as a key without a password",
                        entry.key
                    ),
                ));
            }
            "ciphers" => {
                settings.warn(format!(
                    "{}: ignored {}: ciphers are those of TLS 1.3 and the good ones of 1.2",
                    entry.origin, entry.key
                ));
                continue;
            }
            other if NO_MATTER.contains(&other) => continue,
            _ => return Err(wrong(entry, &format!("unknown key '{}'", entry.key))),
        };
        settings.set(target, &Value::from(value), entry.origin.clone())?;
    }
    if let Some((verifies, origin)) = verifies {
        let word = match (verifies, must_have_one) {
            (false, _) => "none",
            (true, false) => "optional",
            (true, true) => "required",
        };
        settings.set(verify, &Value::from(word), origin)?;
    }
    set_versions(&versions, settings)
}

/// `versions.N = tlsv1.3`: the oldest decides.
fn set_versions(entries: &[&Entry], settings: &mut Settings) -> Result<(), ConfigError> {
    let has = |version: &str| entries.iter().any(|entry| entry.value == version);
    let Some(last) = entries.last() else { return Ok(()) };
    for entry in entries {
        match entry.value.as_str() {
            "tlsv1.3" | "tlsv1.2" => {}
            old @ ("tlsv1.1" | "tlsv1" | "sslv3") => {
                settings.warn(format!("{}: {old} is not spoken any more", entry.origin));
            }
            other => {
                return Err(wrong(
                    entry,
                    &format!("{} cannot be '{other}': expected tlsv1.2 or tlsv1.3", entry.key),
                ));
            }
        }
    }
    match (has("tlsv1.2"), has("tlsv1.3")) {
        (false, false) => {
            Err(wrong(last, &format!("{} is refused: TLS 1.2 is the oldest that is spoken", last.key)))
        }
        (is_old, _) => {
            let oldest = if is_old { "1.2" } else { "1.3" };
            settings.set("tls.min_version", &Value::from(oldest), last.origin.clone())
        }
    }
}

/// With a certificate of ours alone there are listeners; RabbitMQ has those that are asked for.
pub fn close_what_was_not_asked_for(
    groups: &[(Group, Vec<&Entry>)],
    settings: &mut Settings,
) -> Result<(), ConfigError> {
    let entries = |group: Group| groups.iter().find(|(other, _)| *other == group).map(|(_, entries)| entries);
    if let (Some(options), None) = (entries(Group::Tls), entries(Group::TlsListeners)) {
        settings.set("tls.amqp_listen", &Value::from(NONE), last_origin(options))?;
    }
    let first = entries(Group::Tls).or_else(|| entries(Group::TlsListeners));
    if let (Some(options), None) = (first, entries(Group::ManagementTls)) {
        settings.set("tls.management_listen", &Value::from(NONE), last_origin(options))?;
    }
    if let (Some(options), None) = (entries(Group::ManagementTls), entries(Group::Management)) {
        settings.set("management.listen", &Value::from(NONE), last_origin(options))?;
    }
    Ok(())
}

fn last(entry: &Entry) -> String {
    segments(&entry.key).pop().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use crate::{
        cli::{settings::Settings, sources::Environment},
        tls::{AlternativeName, LoginFrom, TlsVersion, Verify},
    };

    const FILES: &str =
        "ssl_options.cacertfile = /ca.pem\nssl_options.certfile = /c.pem\nssl_options.keyfile = /k.pem\n";

    fn read(text: &str) -> Result<Settings, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let mut settings = Settings::default();
        let applied = super::super::apply(&[file.path().to_owned()], &Environment::new(), &mut settings);
        applied.map(|()| settings).map_err(|error| error.to_string())
    }

    #[test]
    fn tls_of_amqp() {
        let config = read(&format!(
            "listeners.tcp = none\nlisteners.ssl.default = 5671\nlisteners.ssl.2 = [::1]:5679\n{FILES}\
             ssl_options.verify = verify_peer\nssl_options.fail_if_no_peer_cert = true\nssl_options.depth = 2\n\
             ssl_options.versions.1 = tlsv1.3\nssl_cert_login_from = subject_alternative_name\n\
             ssl_cert_login_san_type = email\nauth_mechanisms.1 = EXTERNAL\n"
        ))
        .unwrap()
        .config;
        assert!(config.amqp.listen.is_empty() && config.tls.management_listen.is_empty());
        assert_eq!(config.tls.amqp_listen, ["0.0.0.0:5671".parse().unwrap(), "[::1]:5679".parse().unwrap()]);
        assert_eq!((config.tls.cert.unwrap(), config.tls.key.unwrap()), ("/c.pem".into(), "/k.pem".into()));
        assert_eq!((config.tls.ca.unwrap(), config.tls.verify), ("/ca.pem".into(), Verify::Required));
        assert_eq!(config.tls.min_version, TlsVersion::V1_3);
        let login = config.auth.certificate_login;
        assert_eq!((login.from, login.kind), (LoginFrom::AlternativeName, AlternativeName::Email));
        assert_eq!(config.auth.mechanisms, [crate::protocol::Mechanism::External]);
    }

    #[test]
    fn files_alone_make_no_listener() {
        let config = read(FILES).unwrap().config;
        assert!(config.tls.amqp_listen.is_empty() && config.tls.management_listen.is_empty());
        assert_eq!((config.amqp.listen.len(), config.tls.verify), (1, Verify::None));
        assert_eq!(
            read(&format!("{FILES}ssl_options.verify = verify_peer")).unwrap().config.tls.verify,
            Verify::Optional
        );
    }

    #[test]
    fn tls_of_management_is_there_instead_of_http_or_beside_it() {
        let text = "management.ssl.port = 15671\nmanagement.ssl.certfile = /m.pem\nmanagement.ssl.keyfile = /n.pem\n";
        let config = read(text).unwrap().config;
        assert!(config.management.listen.is_empty());
        assert_eq!(config.tls.management_listen, ["0.0.0.0:15671".parse().unwrap()]);
        assert_eq!(config.tls.management_cert.unwrap(), std::path::PathBuf::from("/m.pem"));
        let both = read(&format!("{text}management.tcp.port = 15672\n")).unwrap().config;
        assert_eq!((both.management.listen.len(), both.tls.management_listen.len()), (1, 1));
    }

    #[test]
    fn old_versions_are_named_and_left_out() {
        let settings = read("ssl_options.versions.1 = tlsv1.2\nssl_options.versions.2 = tlsv1.1\n").unwrap();
        assert_eq!(settings.config.tls.min_version, TlsVersion::V1_2);
        assert!(
            settings.warnings.iter().any(|warning| warning.contains("tlsv1.1")),
            "{:?}",
            settings.warnings
        );
    }
}
