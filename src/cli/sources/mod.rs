//! Where configuration comes from, weakest first: defaults, rabbitmq.conf, leveret.toml,
//! `RABBITMQ_...`, `LEVERET_...`, flags.

mod image;
mod rabbitmq_conf;
mod toml_file;
mod variables;

use std::path::{Path, PathBuf};

use super::{args::Options, settings::Settings};
use crate::server::config::{ConfigError, NONE};

pub use variables::Environment;

/// The directories that are looked into when no file is named.
pub struct Directories {
    pub leveret: PathBuf,
    pub rabbitmq: PathBuf,
}

impl Default for Directories {
    fn default() -> Directories {
        Directories { leveret: "/etc/leveret".into(), rabbitmq: "/etc/rabbitmq".into() }
    }
}

/// The effective configuration.
pub fn load(
    options: &Options,
    environment: &Environment,
    directories: &Directories,
) -> Result<Settings, ConfigError> {
    let mut settings = Settings::default();
    let variable = |name: &str| environment.get(name).filter(|value| !value.is_empty()).map(PathBuf::from);

    let named = options.rabbitmq_conf.clone().or_else(|| variable("LEVERET_RABBITMQ_CONF"));
    let files = match named {
        Some(file) => named_file(file),
        None => rabbitmq_files(environment, directories, &mut settings),
    };
    rabbitmq_conf::apply(&files, environment, &mut settings)?;

    let named = options.config.clone().or_else(|| variable("LEVERET_CONFIG"));
    let files = match named {
        Some(file) => named_file(file),
        None => with_fragments(
            directories.leveret.join("leveret.toml"),
            &directories.leveret.join("conf.d"),
            "toml",
        ),
    };
    for file in &files {
        toml_file::apply(file, &mut settings)?;
    }

    image::apply(environment, &mut settings)?;
    variables::apply(environment, &mut settings)?;
    for (origin, key, value) in options.settings()? {
        settings.set(&key, &value, origin)?;
    }
    settings.config.check_together()?;
    check_encrypted_listeners(&settings)?;
    Ok(settings)
}

/// Whoever asks for a listener with TLS must get one, not silence for want of a certificate.
fn check_encrypted_listeners(settings: &Settings) -> Result<(), ConfigError> {
    let tls = &settings.config.tls;
    let has_cert = tls.cert.is_some();
    for (key, listen, has_cert) in [
        ("tls.amqp_listen", &tls.amqp_listen, has_cert),
        ("tls.management_listen", &tls.management_listen, has_cert || tls.management_cert.is_some()),
        ("tls.prometheus_listen", &tls.prometheus_listen, has_cert || tls.management_cert.is_some()),
    ] {
        if let Some(origin) = settings.origins.get(key).filter(|_| !listen.is_empty() && !has_cert) {
            let text = format!("{origin}: a listener for TLS needs a certificate: set tls.cert and tls.key");
            return Err(ConfigError(text));
        }
    }
    Ok(())
}

/// What one rabbitmq.conf alone says.
pub fn import(file: &Path, environment: &Environment) -> Result<Settings, ConfigError> {
    let mut settings = Settings::default();
    rabbitmq_conf::apply(&[file.to_owned()], environment, &mut settings)?;
    Ok(settings)
}

/// A file that was asked for by name, where the name 'none' asks for no file at all.
fn named_file(file: PathBuf) -> Vec<PathBuf> {
    if file == Path::new(NONE) { Vec::new() } else { vec![file] }
}

/// The files that RabbitMQ would read.
fn rabbitmq_files(
    environment: &Environment,
    directories: &Directories,
    settings: &mut Settings,
) -> Vec<PathBuf> {
    let set = |name: &str| environment.get(name).filter(|value| !value.is_empty());
    let named = set("RABBITMQ_CONFIG_FILE").map(Path::new);
    let main = match named {
        // The extension may be left out there.
        Some(file) if file.extension().is_some() => file.to_owned(),
        Some(file) => file.with_extension("conf"),
        None => directories.rabbitmq.join("rabbitmq.conf"),
    };
    // The older format, which is read where there is no file of the newer one.
    let classic = main.with_extension("config");
    if classic.exists() && (main == classic || !main.exists()) {
        settings.warn(format!("{} is ignored: Erlang terms are not read", classic.display()));
    } else if named.is_some() && !main.exists() {
        // RabbitMQ starts without it, and so must we, but not silently.
        settings.warn(format!("RABBITMQ_CONFIG_FILE: {} does not exist", main.display()));
    }
    let advanced = set("RABBITMQ_ADVANCED_CONFIG_FILE")
        .map_or_else(|| directories.rabbitmq.join("advanced.config"), PathBuf::from);
    if advanced.exists() {
        settings.warn(format!("{} is ignored: Erlang terms are not read", advanced.display()));
    }
    let fragments =
        set("RABBITMQ_CONFIG_FILES").map_or_else(|| directories.rabbitmq.join("conf.d"), PathBuf::from);
    // The variable may hold a pattern for the files of a directory.
    let directory = match fragments.file_name().and_then(|name| name.to_str()) {
        Some(pattern) if pattern.contains('*') => fragments.parent().unwrap_or(Path::new(".")),
        _ => &fragments,
    };
    let mut files = with_fragments(main, directory, "conf");
    files.retain(|file| *file != classic);
    files
}

/// A main file if it exists, then the fragments of a directory in the order of their names.
fn with_fragments(main: PathBuf, directory: &Path, extension: &str) -> Vec<PathBuf> {
    let mut fragments: Vec<PathBuf> = std::fs::read_dir(directory)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|found| found == extension) && *path != main)
        .collect();
    fragments.sort();
    if main.exists() {
        fragments.insert(0, main);
    }
    fragments
}

/// Reads a text file, or says in one sentence why not.
fn read_file(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path)
        .map_err(|error| ConfigError(format!("cannot read the file {}: {error}", path.display())))
}

/// Our word for a log level of RabbitMQ.
fn log_level(theirs: &str) -> Option<&'static str> {
    Some(match theirs {
        "debug" => "debug",
        "info" | "notice" => "info",
        "warning" => "warn",
        "error" | "critical" | "alert" | "emergency" => "error",
        "none" => "off",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::args::Arguments;

    /// A machine of its own: two configuration directories and an environment.
    struct Machine {
        root: tempfile::TempDir,
        environment: Environment,
    }

    impl Machine {
        fn new() -> Machine {
            Machine { root: tempfile::tempdir().unwrap(), environment: Environment::new() }
        }

        fn file(&self, name: &str, text: &str) -> PathBuf {
            let path = self.root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
            path
        }

        fn variable(&mut self, name: &str, value: &str) {
            self.environment.insert(name.to_owned(), value.to_owned());
        }

        fn load(&self, flags: &[&str]) -> Settings {
            let arguments = Arguments::parse_from(["leveret"].iter().chain(flags));
            let directories = Directories {
                leveret: self.root.path().join("leveret"),
                rabbitmq: self.root.path().join("rabbitmq"),
            };
            load(&arguments.options, &self.environment, &directories).unwrap()
        }

        fn user(&self, flags: &[&str]) -> String {
            self.load(flags).config.bootstrap.user
        }
    }

    #[test]
    fn every_source_beats_the_ones_below_it() {
        let mut machine = Machine::new();
        assert_eq!(machine.user(&[]), "guest");
        machine.file("rabbitmq/rabbitmq.conf", "default_user = conf\n");
        assert_eq!(machine.user(&[]), "conf");
        machine.file("rabbitmq/conf.d/10.conf", "default_user = conf_d\n");
        assert_eq!(machine.user(&[]), "conf_d");
        machine.file("leveret/leveret.toml", "[bootstrap]\nuser = \"toml\"\n");
        assert_eq!(machine.user(&[]), "toml");
        machine.file("leveret/conf.d/b.toml", "bootstrap.user = \"later\"\n");
        machine.file("leveret/conf.d/a.toml", "bootstrap.user = \"sooner\"\n");
        assert_eq!(machine.user(&[]), "later");
        machine.variable("RABBITMQ_DEFAULT_USER", "image");
        assert_eq!(machine.user(&[]), "image");
        machine.variable("LEVERET_BOOTSTRAP__USER", "variable");
        assert_eq!(machine.user(&[]), "variable");
        assert_eq!(machine.user(&["--set", "bootstrap.user=set"]), "set");
        assert_eq!(machine.user(&["--user", "flag"]), "flag");
    }

    #[test]
    fn a_named_file_replaces_the_usual_ones() {
        let mut machine = Machine::new();
        machine.file("leveret/leveret.toml", "workers = 1\n");
        machine.file("leveret/conf.d/a.toml", "workers = 2\n");
        let mine = machine.file("mine.toml", "cluster_name = \"mine\"\n");
        let mine = mine.to_str().unwrap();
        assert_eq!(machine.load(&["--config", mine]).config.workers, None);
        assert_eq!(machine.load(&["--config", "none"]).files, Vec::<PathBuf>::new());
        machine.variable("LEVERET_CONFIG", mine);
        assert_eq!(machine.load(&[]).config.cluster_name, "mine");
    }

    #[test]
    fn rabbitmq_names_its_files_in_variables() {
        let mut machine = Machine::new();
        let custom = machine.file("custom.conf", "heartbeat = 11\n");
        machine.file("fragments/x.conf", "channel_max = 12\n");
        let fragments = machine.root.path().join("fragments/*.conf");
        machine.variable("RABBITMQ_CONFIG_FILE", custom.with_extension("").to_str().unwrap());
        machine.variable("RABBITMQ_CONFIG_FILES", fragments.to_str().unwrap());
        let config = machine.load(&[]).config;
        assert_eq!((config.amqp.heartbeat, config.amqp.channel_max), (11, 12));
    }

    #[test]
    fn files_that_cannot_be_used_are_mentioned() {
        let mut machine = Machine::new();
        machine.file("rabbitmq/advanced.config", "[].");
        machine.variable("RABBITMQ_CONFIG_FILE", "/nowhere/rabbitmq.conf");
        let warnings = machine.load(&[]).warnings;
        assert!(warnings.iter().any(|w| w.contains("/nowhere/rabbitmq.conf does not exist")), "{warnings:?}");
        assert!(warnings.iter().any(|w| w.contains("Erlang terms")), "{warnings:?}");
    }

    #[test]
    fn the_older_format_of_rabbitmq_is_mentioned_not_read() {
        let mut machine = Machine::new();
        let warnings = |machine: &Machine, expected: usize| {
            let settings = machine.load(&[]);
            let about = settings.warnings.iter().filter(|w| w.contains(".config is ignored: Erlang terms"));
            assert_eq!(
                (about.count(), settings.warnings.len()),
                (expected, expected),
                "{:?}",
                settings.warnings
            );
            settings.config.amqp.heartbeat
        };
        machine.file("rabbitmq/rabbitmq.config", "[{rabbit, [{heartbeat, 5}]}].");
        assert_eq!(warnings(&machine, 1), 60);
        machine.file("rabbitmq/rabbitmq.conf", "heartbeat = 11\n");
        assert_eq!(warnings(&machine, 0), 11);

        // Named with its extension or without.
        let custom = machine.file("rabbitmq-custom.config", "[].").display().to_string();
        for name in [custom.as_str(), custom.trim_end_matches(".config")] {
            machine.variable("RABBITMQ_CONFIG_FILE", name);
            assert_eq!(warnings(&machine, 1), 60, "{name}");
        }
    }
}
