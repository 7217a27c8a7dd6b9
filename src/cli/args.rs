//! The command line as typed arguments. Everything a flag can say is also a configuration key.

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, Parser, Subcommand};
use toml::Value;

use super::{completions::Shell, settings::Origin};
use crate::server::config::{ConfigError, NONE};

/// Flags that set a key, with the key. The variable of `--data-dir` is `LEVERET_DATA_DIR`.
pub const FLAGS: &[(&str, &str)] = &[
    ("amqp", "amqp.listen"),
    ("amqps", "tls.amqp_listen"),
    ("management", "management.listen"),
    ("data-dir", "storage.data_dir"),
    ("ephemeral", "storage.data_dir"),
    ("user", "bootstrap.user"),
    ("password", "bootstrap.password"),
    ("vhost", "bootstrap.vhost"),
    ("memory", "limits.memory"),
    ("workers", "workers"),
    ("cluster-name", "cluster_name"),
    ("port-file", "port_file"),
    ("socket", "management.socket"),
    ("log-level", "log.level"),
    ("log-format", "log.format"),
];

const AFTER_HELP: &str = "\
Configuration, from the strongest source to the weakest:
  flags, then --set
  environment   LEVERET_DATA_DIR for --data-dir, LEVERET_AMQP__HEARTBEAT for amqp.heartbeat
  RabbitMQ's    RABBITMQ_DEFAULT_USER, RABBITMQ_DEFAULT_PASS, RABBITMQ_NODE_PORT, ...
  leveret.toml  --config, or /etc/leveret/leveret.toml and /etc/leveret/conf.d/*.toml
  rabbitmq.conf --rabbitmq-conf, or RABBITMQ_CONFIG_FILE, or /etc/rabbitmq/rabbitmq.conf and conf.d
  defaults      'leveret print-config --template' prints them all with an explanation

Exit codes: 0 stopped on request, 1 could not start or run, 2 wrong usage or configuration.
Of 'check': 0 nothing is damaged, 1 something is, 2 the data directory cannot be read.

Examples:
  leveret --ephemeral                        a broker for development that leaves nothing behind
  leveret --amqp 127.0.0.1:0 --port-file p   on any free port, which is then found in the file p
  leveret --set amqp.heartbeat=10            any configuration key
  leveret print-config --origin              what is in effect, and why
  leveret check leveret-data                 is the data of a stopped broker whole? what is in it?
  leveret dump leveret-data --queue orders   the messages of a queue
  leveret bench --size 1024 --html r.html    load on a broker, measured and drawn";

/// What was asked for.
#[derive(Debug, Parser)]
#[command(
    name = "leveret",
    version,
    about = "An AMQP 0-9-1 message broker that behaves like RabbitMQ.",
    long_about = "An AMQP 0-9-1 message broker that behaves like RabbitMQ.\n\n\
                  Without a command it starts the broker: clients connect to port 5672 as guest/guest from this \
                  machine, data is kept in ./leveret-data, SIGTERM or Ctrl-C stops it.",
    after_help = AFTER_HELP
)]
pub struct Arguments {
    #[command(flatten)]
    pub options: Options,
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do instead of starting the broker.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check the configuration and exit
    #[command(name = "check-config")]
    Check,
    /// Print the effective configuration as TOML; passwords are masked
    #[command(name = "print-config")]
    Print {
        /// Say at each key where its value came from
        #[arg(long)]
        origin: bool,
        /// Print all keys with their defaults and explanations instead, as a file to start from
        #[arg(long, conflicts_with = "origin")]
        template: bool,
    },
    /// Translate a rabbitmq.conf into TOML
    #[command(name = "import-config")]
    Import {
        /// The rabbitmq.conf to read
        #[arg(value_name = "RABBITMQ.CONF")]
        file: PathBuf,
    },
    /// Read the data directory of a stopped broker, verify every checksum, and say what is there
    #[command(name = "check")]
    CheckData {
        /// The data directory; nothing in it is changed
        #[arg(value_name = "DATA_DIR")]
        directory: PathBuf,
        /// One JSON object instead of text
        #[arg(long)]
        json: bool,
    },
    /// Print the messages of a queue, or every record of the log, of a stopped broker
    Dump(Dump),
    /// Print a script for a shell that completes this command line
    Completions {
        #[arg(value_enum)]
        shell: Shell,
    },
    /// Measure this or any other AMQP 0-9-1 broker: rates, latencies, cost of a message
    // It has a command line of its own, since the broker's options would mean nothing to it.
    #[command(disable_help_flag = true)]
    Bench {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
        arguments: Vec<OsString>,
    },
}

/// What to print of a data directory.
#[derive(Debug, Args)]
pub struct Dump {
    /// The data directory; nothing in it is changed
    #[arg(value_name = "DATA_DIR")]
    pub directory: PathBuf,
    /// The messages in this queue, instead of all records in order; --vhost says where if several have it
    #[arg(long, value_name = "NAME")]
    pub queue: Option<String>,
    /// Octets of each body to show
    #[arg(long, value_name = "N", default_value_t = 80, conflicts_with = "all")]
    pub body: usize,
    /// Show whole bodies
    #[arg(long)]
    pub all: bool,
    /// One JSON object a line instead of text
    #[arg(long)]
    pub json: bool,
}

/// Options of every command.
#[derive(Debug, Default, Args)]
pub struct Options {
    /// Configuration file (TOML) to read instead of the usual ones; 'none' reads none
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// rabbitmq.conf to read instead of the usual ones; 'none' reads none
    #[arg(long, global = true, value_name = "FILE")]
    pub rabbitmq_conf: Option<PathBuf>,
    /// Set any configuration key, as in amqp.heartbeat=10; may be repeated
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    set: Vec<String>,

    /// Listen here for AMQP clients; may be repeated; port 0 is any free one [default: 0.0.0.0:5672]
    #[arg(long, global = true, value_name = "ADDR:PORT", help_heading = "Broker")]
    amqp: Vec<String>,
    /// Listen here for AMQP clients with TLS; may be repeated; needs tls.cert and tls.key [default: 0.0.0.0:5671]
    #[arg(long, global = true, value_name = "ADDR:PORT", help_heading = "Broker")]
    amqps: Vec<String>,
    /// The management interface listens here; may be repeated; 'none' for none [default: 0.0.0.0:15672]
    #[arg(long, global = true, value_name = "ADDR:PORT", help_heading = "Broker")]
    management: Vec<String>,
    /// Keep data here [default: leveret-data]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Broker")]
    data_dir: Option<String>,
    /// Keep everything in memory and use no disk at all
    #[arg(long, global = true, help_heading = "Broker", conflicts_with = "data_dir")]
    ephemeral: bool,
    /// The user an empty broker starts with [default: guest]
    #[arg(long, global = true, value_name = "NAME", help_heading = "Broker")]
    user: Option<String>,
    /// That user's password; better given as LEVERET_PASSWORD, which other users cannot see
    #[arg(long, global = true, value_name = "PASSWORD", help_heading = "Broker")]
    password: Option<String>,
    /// The virtual host an empty broker starts with [default: /]
    #[arg(long, global = true, value_name = "NAME", help_heading = "Broker")]
    vhost: Option<String>,
    /// Block publishers above this much memory: '60%' or '2GiB' [default: 60%]
    #[arg(long, global = true, value_name = "SHARE|SIZE", help_heading = "Broker")]
    memory: Option<String>,
    /// Worker threads [default: one for each core]
    #[arg(long, global = true, value_name = "N", help_heading = "Broker")]
    workers: Option<String>,
    /// The broker's name, as clients and operators see it [default: leveret]
    #[arg(long, global = true, value_name = "NAME", help_heading = "Broker")]
    cluster_name: Option<String>,
    /// Once clients are accepted, write the bound addresses and ports to this file, as JSON
    #[arg(long, global = true, value_name = "FILE", help_heading = "Broker")]
    port_file: Option<String>,
    /// The socket for 'leveret ctl' and the other tools; 'none' for none [default: in the data directory]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Broker")]
    socket: Option<String>,

    /// off, error, warn, info, debug, trace, or by module: 'warn,leveret=debug' [default: info]
    #[arg(long, global = true, value_name = "LEVEL", help_heading = "Logging (on standard error)")]
    log_level: Option<String>,
    /// 'pretty' for people, 'json' for machines [default: pretty]
    #[arg(long, global = true, value_name = "FORMAT", help_heading = "Logging (on standard error)")]
    log_format: Option<String>,
}

impl Options {
    /// The keys that were set on the command line, the weakest first.
    pub fn settings(&self) -> Result<Vec<(Origin, String, Value)>, ConfigError> {
        let mut settings = Vec::new();
        for pair in &self.set {
            let (key, value) = pair.split_once('=').ok_or_else(|| {
                ConfigError(format!("--set {pair}: expected KEY=VALUE, such as amqp.heartbeat=10"))
            })?;
            settings.push((
                Origin::Flag("--set".to_owned()),
                key.trim().to_owned(),
                Value::from(value.trim()),
            ));
        }
        for (flag, key) in FLAGS {
            if let Some(value) = self.flag(flag) {
                settings.push((Origin::Flag(format!("--{flag}")), (*key).to_owned(), value));
            }
        }
        Ok(settings)
    }

    /// The vhost that was named on the command line.
    pub fn vhost(&self) -> Option<&str> {
        self.vhost.as_deref()
    }

    fn flag(&self, flag: &str) -> Option<Value> {
        let text = match flag {
            "amqp" => return list(&self.amqp),
            "amqps" => return list(&self.amqps),
            "management" if self.management == [NONE] => return Some(Value::from(NONE)),
            "management" => return list(&self.management),
            "ephemeral" => return self.ephemeral.then(|| Value::from(NONE)),
            "data-dir" => &self.data_dir,
            "user" => &self.user,
            "password" => &self.password,
            "vhost" => &self.vhost,
            "memory" => &self.memory,
            "workers" => &self.workers,
            "cluster-name" => &self.cluster_name,
            "port-file" => &self.port_file,
            "socket" => &self.socket,
            "log-level" => &self.log_level,
            "log-format" => &self.log_format,
            other => unreachable!("the flag --{other} is in FLAGS but has no field"),
        };
        text.as_deref().map(Value::from)
    }
}

/// What was given of an option that may be repeated.
fn list(given: &[String]) -> Option<Value> {
    let items = given.iter().map(|item| Value::from(item.as_str())).collect();
    Some(Value::Array(items)).filter(|_| !given.is_empty())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::server::config::Key;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_flag_has_a_key_and_reads_into_it() {
        let command = Arguments::command();
        let flags: Vec<&str> = command
            .get_arguments()
            .filter(|argument| !argument.is_hide_set())
            .filter_map(clap::Arg::get_long)
            .filter(|flag| !["config", "rabbitmq-conf", "set", "help", "version"].contains(flag))
            .collect();
        assert_eq!(flags, FLAGS.iter().map(|(flag, _)| *flag).collect::<Vec<_>>());
        for (flag, key) in FLAGS {
            assert!(Key::find(key).is_some(), "{key}");
            let option = format!("--{flag}");
            let line = if *flag == "ephemeral" { vec![option.as_str()] } else { vec![option.as_str(), "1"] };
            let options = Arguments::parse_from(["leveret"].into_iter().chain(line)).options;
            let settings = options.settings().unwrap();
            assert_eq!(settings.len(), 1);
            assert_eq!(settings[0].0, Origin::Flag(option.clone()));
            assert_eq!(settings[0].1, *key);
        }
    }

    #[test]
    fn options_may_follow_the_command() {
        let arguments =
            Arguments::parse_from(["leveret", "check-config", "--log-level", "debug", "--amqp", "1"]);
        assert!(matches!(arguments.command, Some(Command::Check)));
        assert_eq!(arguments.options.settings().unwrap().len(), 2);
    }
}
