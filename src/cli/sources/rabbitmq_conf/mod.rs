//! rabbitmq.conf: what its keys mean here. Keys without a meaning are accepted, warned about or
//! refused, by the table in `rules`; as in RabbitMQ an unknown key is an error.

mod groups;
mod rules;
mod syntax;
mod tls;

use std::{collections::BTreeMap, path::PathBuf};

use rules::{Action, Group};
use syntax::Entry;
use toml::Value;

use super::{Environment, read_file};
use crate::{
    cli::settings::{Origin, Settings},
    server::config::{ConfigError, nearest},
};

/// Applies the files as the one file that RabbitMQ makes of them: by key, the last one wins.
pub fn apply(
    files: &[PathBuf],
    environment: &Environment,
    settings: &mut Settings,
) -> Result<(), ConfigError> {
    let mut merged: BTreeMap<String, Entry> = BTreeMap::new();
    for path in files {
        for entry in syntax::parse(path, &read_file(path)?, environment)? {
            merged.insert(entry.key.clone(), entry);
        }
        settings.files.push(path.clone());
    }
    let mut groups: Vec<(Group, Vec<&Entry>)> = Vec::new();
    let mut ignored = Ignored::default();
    for entry in in_order(&merged) {
        match rules::find(&entry.key) {
            None => return Err(unknown(entry)),
            Some(Action::Group(group)) => match groups.iter_mut().find(|(known, _)| known == group) {
                Some((_, entries)) => entries.push(entry),
                None => groups.push((*group, vec![entry])),
            },
            Some(action) => apply_one(entry, action, &mut ignored, settings)?,
        }
    }
    for (group, entries) in &groups {
        groups::apply(*group, entries, settings)?;
    }
    tls::close_what_was_not_asked_for(&groups, settings)?;
    ignored.report(settings);
    Ok(())
}

/// By the line they are on, so that of two keys for one value of ours the lower one wins.
fn in_order(merged: &BTreeMap<String, Entry>) -> Vec<&Entry> {
    let mut entries: Vec<&Entry> = merged.values().collect();
    entries.sort_by_key(|entry| match &entry.origin {
        Origin::File { line, .. } => *line,
        Origin::Variable(_) | Origin::Flag(_) => 0,
    });
    entries
}

fn apply_one(
    entry: &Entry,
    action: &Action,
    ignored: &mut Ignored,
    settings: &mut Settings,
) -> Result<(), ConfigError> {
    let Entry { key, value, origin } = entry;
    match action {
        Action::Set(target, translate) => match translate(value) {
            Some(value) => settings.set(target, &value, origin.clone()),
            None if key.contains("pass") => {
                Err(ConfigError(format!("{origin}: {key} has an unusable value")))
            }
            None => Err(ConfigError(format!("{origin}: {key} cannot be '{value}'"))),
        },
        // The one scalar with a meaning of its own.
        Action::Only("none", _) if key == "loopback_users" && value == "none" => {
            settings.set("auth.loopback_only", &Value::Array(Vec::new()), origin.clone())
        }
        Action::Only(valid, _) if value == valid => Ok(()),
        Action::Only(_, reason) | Action::Refuse(reason) => {
            Err(ConfigError(format!("{origin}: {key} = {value} is refused: {reason}")))
        }
        Action::Ignore(reason) => {
            ignored.note(reason, key, origin);
            Ok(())
        }
        Action::Accept | Action::Group(_) => Ok(()),
    }
}

fn unknown(entry: &Entry) -> ConfigError {
    let candidates = rules::candidates(&entry.key);
    let hint = match nearest(&entry.key, candidates.iter().map(String::as_str)) {
        Some(close) => format!("; did you mean '{close}'?"),
        None => String::new(),
    };
    ConfigError(format!("{}: unknown key '{}'{hint}", entry.origin, entry.key))
}

/// Ignored keys by reason, so that each reason is one warning.
#[derive(Default)]
struct Ignored(BTreeMap<&'static str, (String, Vec<String>)>);

impl Ignored {
    fn note(&mut self, reason: &'static str, key: &str, origin: &Origin) {
        let (_, keys) = self.0.entry(reason).or_insert_with(|| (origin.to_string(), Vec::new()));
        keys.push(key.to_owned());
    }

    fn report(self, settings: &mut Settings) {
        for (reason, (origin, keys)) in self.0 {
            settings.warn(format!("{origin}: ignored {}: {reason}", keys.join(", ")));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::server::config::Memory;

    fn read(text: &str) -> Result<Settings, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("rabbitmq.conf");
        std::fs::write(&path, text).unwrap();
        let mut settings = Settings::default();
        let result = apply(&[path], &Environment::new(), &mut settings);
        let place = format!("{}/", directory.path().display());
        result.map(|()| settings).map_err(|error| error.to_string().replace(&place, ""))
    }

    #[test]
    fn keys_with_a_counterpart() {
        let config = read(
            "listeners.tcp.1 = 127.0.0.1:5673\nlisteners.tcp.2 = [::1]:5674\nheartbeat = 20\n\
             frame_max = 65536\nchannel_max = 100\nhandshake_timeout = 5000\nconsumer_timeout = undefined\n\
             max_message_size = 1048576\nconnection_max = infinity\n\
             channel_max_per_node = 7\nvhost_max = 8\ncluster_queue_limit = 9\ncluster_exchange_limit = 10\n\
             vm_memory_high_watermark.relative = 0.4\n\
             default_user = alice\ndefault_pass = 'a#b'\ndefault_vhost = shop\ncluster_name = hare\n\
             tcp_listen_options.backlog = 99\ntcp_listen_options.nodelay = false\n\
             password_hashing_module = rabbit_password_hashing_sha512\n\
             default_limits.vhosts.2.pattern = .*\ndefault_limits.vhosts.2.max_connections = -1\n\
             default_limits.vhosts.1.pattern = ^shop\ndefault_limits.vhosts.1.max_queues = 10\n\
             management.http.max_body_size = 5000\n\
             log.console = true\nlog.console.level = warning\nlog.console.formatter = json\n",
        )
        .unwrap()
        .config;
        assert_eq!(config.amqp.listen, ["127.0.0.1:5673".parse().unwrap(), "[::1]:5674".parse().unwrap()]);
        assert_eq!(
            (config.amqp.heartbeat, config.amqp.frame_max, config.amqp.channel_max),
            (20, 65_536, 100)
        );
        assert_eq!(config.amqp.handshake_timeout, Duration::from_secs(5));
        assert_eq!((config.amqp.consumer_timeout, config.limits.connections_max), (None, None));
        assert_eq!(config.amqp.max_message_size, 1 << 20);
        let limits = &config.limits;
        assert_eq!((limits.channels_max, limits.vhosts_max), (Some(7), Some(8)));
        assert_eq!((limits.queues_max, limits.exchanges_max), (Some(9), Some(10)));
        assert_eq!(config.limits.memory, Memory::Relative(0.4));
        assert_eq!((config.bootstrap.user.as_str(), config.bootstrap.password.as_str()), ("alice", "a#b"));
        assert_eq!((config.bootstrap.vhost.as_str(), config.cluster_name.as_str()), ("shop", "hare"));
        assert_eq!((config.amqp.tcp_backlog, config.amqp.tcp_nodelay), (99, false));
        let sets: Vec<_> = limits.new_vhosts.iter().map(|one| (&*one.pattern, one.queues_max)).collect();
        assert_eq!(sets, [("^shop", Some(10)), (".*", None)]);
        assert_eq!(
            (limits.new_vhosts[1].connections_max, config.management.max_body_size),
            (Some(-1), 5_000)
        );
        assert_eq!(config.auth.password_hashing, crate::engine::Hashing::Sha512);
        assert_eq!(config.log.level, "warn");
    }

    #[test]
    fn loopback_users() {
        for (text, expected) in [
            ("loopback_users.guest = false", vec![]),
            ("loopback_users = none", vec![]),
            ("loopback_users.alice = true\nloopback_users.guest = true", vec!["alice", "guest"]),
            ("heartbeat = 1", vec!["guest"]),
        ] {
            let mut names = read(text).unwrap().config.auth.loopback_only;
            names.sort();
            assert_eq!(names, expected, "{text}");
        }
    }

    #[test]
    fn further_users() {
        let config =
            read("default_users.bob.password = x\ndefault_users.bob.tags = administrator\n").unwrap().config;
        assert_eq!(config.bootstrap.users, [("bob".to_owned(), "x".to_owned())]);
        assert!(read("default_users.bob.tags = x").unwrap_err().contains("has no password"));
        assert!(read("default_users.bob.password = x\ndefault_users.bob.write = ^$").is_err());
    }

    #[test]
    fn keys_without_a_counterpart_are_accepted_or_give_one_warning_for_each_reason() {
        let settings = read(
            "management.db_cache_multiplier = 1\nmanagement.rates_mode = basic\nqueue_master_locator = min-masters\n\
             cluster_formation.peer_discovery_backend = dns\n",
        )
        .unwrap();
        assert_eq!(
            settings.warnings.iter().map(|w| w.split_once("ignored ").unwrap().1).collect::<Vec<_>>(),
            [
                "cluster_formation.peer_discovery_backend: a broker of this version stands alone",
                "management.db_cache_multiplier, management.rates_mode: the management interface of this version has no such setting",
            ]
        );
    }

    #[test]
    fn what_would_be_wrong_to_ignore_is_refused() {
        for (text, expected) in [
            ("ssl_options.password = x", "a key without a password"),
            ("ssl_options.versions.1 = tlsv1.1", "TLS 1.2"),
            ("ssl_options.verify = maybe", "expected verify_none or verify_peer"),
            ("management.ssl.port = here", "tls.management_listen cannot be"),
            ("listeners.tcp = 5672", "expected none"),
            ("auth_backends.1 = ldap", "only the internal user database"),
            ("default_permissions.write = ^$", "full permissions"),
            ("definitions.import_backend = https", "definitions are imported from files only"),
            ("proxy_protocol = perhaps", "proxy_protocol cannot be"),
            ("heartbeat = often", "expected a whole number"),
            ("handshake_timeout = 10s", "handshake_timeout cannot be '10s'"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.starts_with("rabbitmq.conf, line 1: ") && error.contains(expected), "{error}");
        }
        let error = read("default_pass = encrypted:c2VjcmV0").unwrap_err();
        assert!(!error.contains("c2VjcmV0"), "{error}");
    }

    #[test]
    fn unknown_keys_are_refused_with_the_nearest() {
        for (key, nearest) in [
            ("hartbeat", "heartbeat"),
            ("listeners.tpc.default", "listeners.tcp.default"),
            ("vm_memory_high_watermark.relativ", "vm_memory_high_watermark.relative"),
        ] {
            let expected = format!("rabbitmq.conf, line 1: unknown key '{key}'; did you mean '{nearest}'?");
            assert_eq!(read(&format!("{key} = 1")).unwrap_err(), expected);
        }
    }
}
