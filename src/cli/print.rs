//! Configuration as TOML: what is in effect, what a rabbitmq.conf says, the defaults with comments.

use std::fmt::Write;

use super::settings::Settings;
use crate::server::config::{Config, KEYS, Key};

const TEMPLATE_HEAD: &str = "\
# leveret's configuration: every key with its default, ready to be uncommented.
#
# Read from /etc/leveret/leveret.toml and /etc/leveret/conf.d/*.toml, or from --config FILE.
# Every key is also an environment variable, LEVERET_AMQP__HEARTBEAT for amqp.heartbeat, and can be
# set on the command line with --set amqp.heartbeat=10; both are stronger than this file.
# Sizes take KiB, MiB, GiB (1024) and KB, MB, GB (1000); durations us, ms, s, min, h, d.
# 'leveret check-config' checks, 'leveret print-config --origin' shows what is in effect.
";

/// The effective configuration. Secrets are comments, so that the output can still be read back.
pub fn effective(settings: &Settings, with_origin: bool) -> String {
    sections(KEYS.iter(), |key| {
        let (_, name) = key.split();
        let setting = if key.secret {
            format!("# {name} = \"********\"")
        } else {
            format!("{name} = {}", (key.show)(&settings.config))
        };
        match settings.origins.get(key.name) {
            _ if !with_origin => setting,
            Some(origin) => format!("{setting}  # {origin}"),
            None => format!("{setting}  # default"),
        }
    })
}

/// Only what was set, secrets included, each with the place it was set at.
pub fn imported(settings: &Settings) -> String {
    let set = KEYS.iter().filter(|key| settings.origins.contains_key(key.name));
    sections(set, |key| {
        format!("{} = {}  # {}", key.split().1, (key.show)(&settings.config), settings.origins[key.name])
    })
}

/// All keys as comments with their defaults and what they mean.
pub fn template() -> String {
    let body = sections(KEYS.iter(), |key| {
        let help: String = key.help.lines().map(|line| format!("# {}\n", line.trim())).collect();
        format!("\n{help}#{} = {}", key.split().1, (key.show)(&Config::default()))
    });
    format!("{TEMPLATE_HEAD}{body}")
}

/// The keys, each as `show` has it, under the headers of their tables.
fn sections<'a>(keys: impl Iterator<Item = &'a Key>, show: impl Fn(&Key) -> String) -> String {
    let mut text = String::new();
    let mut table = "";
    for key in keys {
        if key.split().0 != table {
            table = key.split().0;
            let gap = if text.is_empty() { "" } else { "\n" };
            let _ = writeln!(text, "{gap}[{table}]");
        }
        let _ = writeln!(text, "{}", show(key));
    }
    text
}

#[cfg(test)]
mod tests {
    use toml::{Table, Value};

    use super::*;
    use crate::cli::settings::Origin;

    /// The keys of a document, dotted.
    fn leaves(text: &str) -> Vec<(String, Value)> {
        let document: Table = text.parse().unwrap();
        let mut leaves = Vec::new();
        for (name, value) in document {
            match value {
                Value::Table(table) => {
                    leaves.extend(table.into_iter().map(|(key, v)| (format!("{name}.{key}"), v)))
                }
                leaf => leaves.push((name, leaf)),
            }
        }
        leaves
    }

    fn read(text: &str) -> Config {
        let mut config = Config::default();
        for (name, value) in leaves(text) {
            Key::find(&name).unwrap().set(&mut config, &value).unwrap();
        }
        config
    }

    #[test]
    fn what_is_in_effect_reads_back_but_for_secrets() {
        let mut settings = Settings::default();
        for (name, value) in
            [("amqp.heartbeat", "9"), ("bootstrap.password", "hush"), ("limits.memory", "2GiB")]
        {
            settings.set(name, &Value::from(value), Origin::Flag("--set".to_owned())).unwrap();
        }
        let text = effective(&settings, true);
        assert!(!text.contains("hush") && text.contains("heartbeat = 9  # --set\n"), "{text}");
        assert!(text.contains("frame_max = \"128KiB\"  # default\n"), "{text}");
        let mut expected = settings.config.clone();
        expected.bootstrap.password = "guest".to_owned();
        assert_eq!(read(&text), expected);
        assert_eq!(read(&imported(&settings)), settings.config);
        assert_eq!(leaves(&imported(&settings)).len(), 3);
    }

    #[test]
    fn the_file_in_etc_is_the_template() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/etc/leveret.toml");
        let file = std::fs::read_to_string(path).unwrap();
        assert_eq!(
            file,
            template(),
            "write the file anew: leveret print-config --template > etc/leveret.toml"
        );
    }

    #[test]
    fn the_template_has_every_key_at_its_default() {
        assert_eq!(
            leaves(&template()).iter().filter(|(_, v)| !v.is_table()).count(),
            0,
            "nothing is set in it"
        );
        let template = template();
        let uncommented: Vec<&str> = template
            .lines()
            .map(|line| match line.strip_prefix('#') {
                Some(setting) if setting.starts_with(|c: char| c.is_ascii_lowercase()) => setting,
                _ => line,
            })
            .collect();
        let text = uncommented.join("\n");
        let mut names: Vec<String> = leaves(&text).into_iter().map(|(name, _)| name).collect();
        let mut keys: Vec<&str> = KEYS.iter().map(|key| key.name).collect();
        names.sort();
        keys.sort_unstable();
        assert_eq!(names, keys);
        assert_eq!(read(&text), Config::default());
    }
}
