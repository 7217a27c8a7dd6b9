//! The broker's configuration as one validated value.
//!
//! [`keys`] names every field; where values come from is the command line's business ([`crate::cli`]).

mod keys;
mod kind;
mod listen;
mod nearest;
mod units;
mod vhost_limits;

pub(crate) use keys::{KEYS, Key};
pub(crate) use kind::NONE;
pub(crate) use nearest::nearest;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use super::proxy::Network;
use crate::{
    engine::{Hashing, NewVhostLimits},
    protocol::Mechanism,
    store::Durability,
    tls::{LoginName, NamedPair, TlsSettings, TlsVersion, Verify},
};

/// Everything the broker can be told. Every field has a default that suits a first start.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    pub amqp: Amqp,
    pub management: Management,
    pub prometheus: Prometheus,
    pub definitions: Definitions,
    pub limits: Limits,
    pub auth: Auth,
    pub bootstrap: Bootstrap,
    pub storage: Storage,
    pub tls: Tls,
    pub log: Log,
    /// Shown to clients in server-properties and to operators; default `leveret@HOSTNAME`.
    pub cluster_name: String,
    /// Where to write the bound ports as JSON once ready.
    pub port_file: Option<PathBuf>,
    /// Runtime worker threads; `None` means one per core.
    pub workers: Option<usize>,
}

/// `[amqp]`: listeners and what is offered to clients.
#[derive(Debug, Clone, PartialEq)]
pub struct Amqp {
    /// Default `[::]:5672`-like dual stack is not assumed: `0.0.0.0:5672`. Empty only where TLS has a listener.
    pub listen: Vec<SocketAddr>,
    /// Offered heartbeat in seconds, 0 disables. Default 60.
    pub heartbeat: u16,
    /// Offered frame-max in bytes. Default 131 072.
    pub frame_max: u32,
    /// Offered channel-max. Default 2 047.
    pub channel_max: u16,
    /// From accept to connection.open-ok. Default 10 s.
    pub handshake_timeout: Duration,
    /// Largest body in bytes. Default 128 MiB, at most 512 MiB.
    pub max_message_size: u64,
    /// `None` switches it off. Default 30 min.
    pub consumer_timeout: Option<Duration>,
    /// Default 10 000.
    pub consumers_per_channel_max: u32,
    /// The version string told to clients; must be dotted numbers. Default a 4.x.
    pub advertised_version: String,
    pub tcp_nodelay: bool,
    pub tcp_backlog: u32,
    /// Networks of proxies, whose connections begin with a PROXY header. Default none.
    pub proxy_protocol: Vec<Network>,
}

/// `[management]`: the HTTP API.
#[derive(Debug, Clone, PartialEq)]
pub struct Management {
    /// Default `0.0.0.0:15672`; empty for none.
    pub listen: Vec<SocketAddr>,
    /// Between two looks at all counters, for rates. Default 5 s.
    pub sample_interval: Duration,
    /// Pages from elsewhere that may ask, or `*`. Default none.
    pub cors_allow_origins: Vec<String>,
    /// How long browsers may remember that they may. Default 30 min.
    pub cors_max_age: Option<Duration>,
    /// What is said to browsers over TLS. Default nothing.
    pub hsts: Option<String>,
    /// Octets of a request's body. Default 20 MiB.
    pub max_body_size: usize,
    /// Where the command-line tools reach the broker without a password. Default in the data directory.
    pub socket: Socket,
}

/// Where the socket for the command-line tools is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Socket {
    /// In the data directory, or in the user's directory of sockets without one.
    Auto,
    None,
    At(PathBuf),
}

/// `[prometheus]`: a listener for metrics alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Prometheus {
    /// Default `0.0.0.0:15692`; empty for none.
    pub listen: Vec<SocketAddr>,
    /// `/metrics` has each object for itself. Default false.
    pub per_object: bool,
}

/// `[definitions]`: what is imported at each start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definitions {
    /// A definition file, or a directory of them. Default none.
    pub load: Option<PathBuf>,
    /// Do nothing when they are those that were imported last. Default false.
    pub skip_if_unchanged: bool,
}

/// `[limits]`: the defences of the wire.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Above this, publishers are blocked. Default 60 % of RAM or of the container's limit.
    pub memory: Memory,
    /// Octets of messages in memory beyond which the rest of long queues goes to disk.
    pub resident_max: u64,
    /// Octets of free disk below which publishers wait; `None` = 1 GiB, or 5 % of a small disk.
    pub disk_free: Option<u64>,
    /// Open connections; `None` = file descriptor limit minus a reserve.
    pub connections_max: Option<u64>,
    /// Open connections of each virtual host. Default no limit.
    pub connections_per_vhost_max: Option<u64>,
    /// Open connections of each user. Default no limit.
    pub connections_per_user_max: Option<u64>,
    /// Channels of each user, on all its connections. Default no limit.
    pub channels_per_user_max: Option<u64>,
    /// Channels of the node. Default no limit.
    pub channels_max: Option<u64>,
    /// Virtual hosts. Default no limit.
    pub vhosts_max: Option<u64>,
    /// Queues of all virtual hosts. Default no limit.
    pub queues_max: Option<u64>,
    /// Exchanges of all virtual hosts. Default no limit.
    pub exchanges_max: Option<u64>,
    /// Limits that vhosts get when they are made. Default none.
    pub new_vhosts: Vec<NewVhostLimits>,
    /// Sockets that have not logged in yet. Default 1 000.
    pub unauthenticated_max: usize,
    /// The same for one peer address. Default 100.
    pub unauthenticated_per_ip_max: usize,
    /// Octets that all sockets before their login may have sent and we must keep. Default 16 MiB.
    pub unauthenticated_bytes_max: usize,
    /// Half-received contents of one connection, in bytes. Default 64 MiB.
    pub partial_content_max: u64,
    /// Output not yet taken by a peer, in bytes, before its input is no longer read. Default 4 MiB.
    pub output_max: usize,
    /// A peer that takes nothing for this long is dropped. Default 60 s.
    pub output_stall: Duration,
    /// Nesting of field tables and arrays. Default 32.
    pub table_depth_max: usize,
    /// First delay after too many failed logins; doubles up to 3 s. Default 100 ms.
    pub login_delay: Duration,
    /// Failed logins of one address before it is delayed. Default 5.
    pub login_failures_free: u32,
}

/// A memory watermark.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Memory {
    /// Fraction of RAM or of the cgroup's limit, above 0 and at most 1.
    Relative(f64),
    /// Bytes.
    Absolute(u64),
}

/// `[auth]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Auth {
    /// Users that may log in from a loopback peer only. Default `guest`.
    pub loopback_only: Vec<String>,
    /// Offer ANONYMOUS and log such peers in as this user.
    pub anonymous_user: Option<String>,
    /// How a client's certificate becomes the name of a user.
    pub certificate_login: LoginName,
    /// Mechanisms that are offered, where they make sense.
    pub mechanisms: Vec<Mechanism>,
    /// How new passwords are kept. Default SHA-256.
    pub password_hashing: Hashing,
}

/// `[bootstrap]`: what an empty broker starts with.
#[derive(Debug, Clone, PartialEq)]
pub struct Bootstrap {
    pub user: String,
    pub password: String,
    pub vhost: String,
    /// Further users (name, password), with full permissions on every vhost.
    pub users: Vec<(String, String)>,
    /// Further vhosts.
    pub vhosts: Vec<String>,
}

/// `[storage]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Storage {
    /// `None` = ephemeral, no disk at all.
    pub data_dir: Option<PathBuf>,
    /// What a confirm means.
    pub sync: Durability,
    /// Octets of a segment of the log; `None` = 64 MiB, or less on a small disk.
    pub segment_size: Option<u64>,
    /// Start although parts of the log are missing.
    pub accept_loss: bool,
}

/// `[tls]`. Nothing is encrypted while there is no certificate.
#[derive(Debug, Clone, PartialEq)]
pub struct Tls {
    pub cert: Option<PathBuf>,
    pub key: Option<PathBuf>,
    /// Who issues certificates of clients.
    pub ca: Option<PathBuf>,
    /// Of AMQP clients. Default none.
    pub verify: Verify,
    /// Default 1.2.
    pub min_version: TlsVersion,
    /// Default 5 s.
    pub handshake_timeout: Duration,
    /// Further certificates, by the name that the client asks for.
    pub names: Vec<NamedPair>,
    /// Default `0.0.0.0:5671`; empty for none.
    pub amqp_listen: Vec<SocketAddr>,
    /// Default `0.0.0.0:15671`; empty for none.
    pub management_listen: Vec<SocketAddr>,
    /// Default none.
    pub prometheus_listen: Vec<SocketAddr>,
    /// Of the management interface and metrics; `None` = those of AMQP.
    pub management_cert: Option<PathBuf>,
    pub management_key: Option<PathBuf>,
    pub management_ca: Option<PathBuf>,
    /// Of clients of the management interface. Default none.
    pub management_verify: Verify,
}

/// `[log]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Log {
    /// A `tracing` filter such as `info` or `leveret=debug`.
    pub level: String,
    pub format: LogFormat,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// Why a configuration cannot be used: one sentence that names the key and what would be valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

impl Config {
    /// Every key with its value, as operators may see it.
    pub(super) fn effective(&self) -> serde_json::Value {
        let shown = |key: &Key| match key.secret {
            true => serde_json::Value::from("******"),
            false => serde_json::json!((key.show)(self)),
        };
        KEYS.iter().map(|key| (key.name.to_owned(), shown(key))).collect()
    }

    /// Checks every field against the range of its key, for a configuration that was built in code.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let mut scratch = self.clone();
        KEYS.iter().try_for_each(|key| key.set(&mut scratch, &(key.show)(self)))?;
        self.check_together()
    }

    /// Checks what only several keys together can get wrong.
    pub fn check_together(&self) -> Result<(), ConfigError> {
        let Tls { cert, key, management_cert, management_key, .. } = &self.tls;
        for (name, cert, key) in [("", cert, key), ("management_", management_cert, management_key)] {
            if cert.is_some() != key.is_some() {
                let text = format!("tls.{name}cert and tls.{name}key: one is set and the other is not");
                return Err(ConfigError(text));
            }
        }
        let has_tls = self.amqp_tls().is_some() && !self.tls.amqp_listen.is_empty();
        if self.amqp.listen.is_empty() && !has_tls {
            let text = "amqp.listen is empty: without TLS clients could connect nowhere";
            return Err(ConfigError(text.to_owned()));
        }
        let verifies = self.tls.verify != Verify::None;
        if verifies && self.tls.ca.is_none() {
            let text = "tls.verify asks for certificates of clients, but tls.ca does not say who issues them";
            return Err(ConfigError(text.to_owned()));
        }
        Ok(())
    }

    /// How AMQP listeners encrypt; `None` = not at all.
    pub(super) fn amqp_tls(&self) -> Option<TlsSettings> {
        let Tls { cert, key, ca, verify, min_version, names, .. } = self.tls.clone();
        let login = self.auth.certificate_login;
        Some(TlsSettings { cert: cert?, key: key?, ca, verify, oldest: min_version, names, login })
    }

    /// The same for management and metrics.
    pub(super) fn management_tls(&self) -> Option<TlsSettings> {
        let tls = self.tls.clone();
        let own = tls.management_cert.zip(tls.management_key);
        // Who asks for a name gets its certificate; that is of no use where a certificate was chosen.
        let names = if own.is_some() { Vec::new() } else { tls.names };
        let (cert, key) = own.or_else(|| tls.cert.zip(tls.key))?;
        let (ca, verify) = (tls.management_ca.or(tls.ca), tls.management_verify);
        let login = self.auth.certificate_login;
        Some(TlsSettings { cert, key, ca, verify, oldest: tls.min_version, names, login })
    }
}

impl Default for Config {
    fn default() -> Config {
        Config {
            amqp: Amqp {
                listen: vec![SocketAddr::from(([0, 0, 0, 0], 5672))],
                heartbeat: 60,
                frame_max: 131_072,
                channel_max: 2_047,
                handshake_timeout: Duration::from_secs(10),
                max_message_size: 128 << 20,
                consumer_timeout: Some(Duration::from_secs(30 * 60)),
                consumers_per_channel_max: 10_000,
                advertised_version: "4.1.0".to_owned(),
                tcp_nodelay: true,
                tcp_backlog: 1024,
                proxy_protocol: Vec::new(),
            },
            management: Management {
                listen: vec![SocketAddr::from(([0, 0, 0, 0], 15_672))],
                sample_interval: Duration::from_secs(5),
                cors_allow_origins: Vec::new(),
                cors_max_age: Some(Duration::from_secs(30 * 60)),
                hsts: None,
                max_body_size: 20 << 20,
                socket: Socket::Auto,
            },
            prometheus: Prometheus {
                listen: vec![SocketAddr::from(([0, 0, 0, 0], 15_692))],
                per_object: false,
            },
            definitions: Definitions { load: None, skip_if_unchanged: false },
            limits: Limits {
                memory: Memory::Relative(0.6),
                resident_max: 512 << 20,
                disk_free: None,
                connections_max: None,
                connections_per_vhost_max: None,
                connections_per_user_max: None,
                channels_per_user_max: None,
                channels_max: None,
                vhosts_max: None,
                queues_max: None,
                exchanges_max: None,
                new_vhosts: Vec::new(),
                unauthenticated_max: 1_000,
                unauthenticated_per_ip_max: 100,
                unauthenticated_bytes_max: 16 << 20,
                partial_content_max: 64 << 20,
                output_max: 4 << 20,
                output_stall: Duration::from_secs(60),
                table_depth_max: 32,
                login_delay: Duration::from_millis(100),
                login_failures_free: 5,
            },
            auth: Auth {
                loopback_only: vec!["guest".to_owned()],
                anonymous_user: None,
                certificate_login: LoginName::default(),
                mechanisms: Mechanism::ALL.to_vec(),
                password_hashing: Hashing::Sha256,
            },
            bootstrap: Bootstrap {
                user: "guest".to_owned(),
                password: "guest".to_owned(),
                vhost: "/".to_owned(),
                users: Vec::new(),
                vhosts: Vec::new(),
            },
            storage: Storage {
                data_dir: Some(PathBuf::from("leveret-data")),
                sync: Durability::Fsync,
                segment_size: None,
                accept_loss: false,
            },
            tls: Tls {
                cert: None,
                key: None,
                ca: None,
                verify: Verify::None,
                min_version: TlsVersion::V1_2,
                handshake_timeout: Duration::from_secs(5),
                names: Vec::new(),
                amqp_listen: vec![SocketAddr::from(([0, 0, 0, 0], 5671))],
                management_listen: vec![SocketAddr::from(([0, 0, 0, 0], 15_671))],
                prometheus_listen: Vec::new(),
                management_cert: None,
                management_key: None,
                management_ca: None,
                management_verify: Verify::None,
            },
            log: Log { level: "info".to_owned(), format: LogFormat::Pretty },
            cluster_name: "leveret".to_owned(),
            port_file: None,
            workers: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn validation_covers_configurations_built_in_code() {
        let mut config = Config::default();
        assert_eq!(config.validate(), Ok(()));
        config.amqp.frame_max = 100;
        assert!(config.validate().unwrap_err().to_string().starts_with("amqp.frame_max cannot be 100"));
    }
}
