//! Every configuration key in one table: its name, its place in [`Config`], its kind, its meaning.
//!
//! Whatever handles keys goes through this table: files, environment, flags, what is printed, the
//! commented default file, validation. A key that is not here does not exist.

use std::time::Duration;

use toml::Value;

use super::kind::{
    Count, FilePath, Filter, Format, Kind, List, Listen, Maybe, Name, Named, Net, Password, Size,
    SocketPlace, Some1, Span, Switch, SyncMode, User, Version, Watermark, Word,
};
use super::{Config, ConfigError, vhost_limits::VhostLimits};
use crate::{
    engine::Hashing,
    protocol::Mechanism,
    tls::{AlternativeName, LoginFrom, TlsVersion, Verify},
};

/// One configuration key.
pub struct Key {
    /// Dotted, as in `amqp.heartbeat`.
    pub name: &'static str,
    /// What it does, in lines short enough for a comment.
    pub help: &'static str,
    /// Never shown in clear.
    pub secret: bool,
    /// The value of this key in a configuration.
    pub show: fn(&Config) -> Value,
    /// Sets it, or says what was expected.
    set: fn(&mut Config, &Value) -> Result<(), String>,
}

impl Key {
    /// The key of this name.
    pub fn find(name: &str) -> Option<&'static Key> {
        KEYS.iter().find(|key| key.name == name)
    }

    /// Sets this key, or says in one sentence why the value cannot be used.
    pub fn set(&self, config: &mut Config, value: &Value) -> Result<(), ConfigError> {
        (self.set)(config, value).map_err(|expected| {
            let shown = if self.secret { "this value".to_owned() } else { value.to_string() };
            ConfigError(format!("{} cannot be {shown}: expected {expected}", self.name))
        })
    }

    /// Its environment variable: `LEVERET_AMQP__HEARTBEAT`.
    pub fn variable(&self) -> String {
        format!("LEVERET_{}", self.name.replace('.', "__").to_ascii_uppercase())
    }

    /// The table it is in and its name there. The first is empty for keys outside any table.
    pub fn split(&self) -> (&'static str, &'static str) {
        self.name.split_once('.').unwrap_or(("", self.name))
    }

    const fn secret(mut self) -> Key {
        self.secret = true;
        self
    }
}

macro_rules! key {
    ($name:literal, $($field:ident).+, $kind:expr, $help:literal) => {
        Key {
            name: $name,
            help: $help,
            secret: false,
            show: |config| $kind.show(&config.$($field).+),
            set: |config, value| {
                config.$($field).+ = $kind.read(value).ok_or_else(|| $kind.expected())?;
                Ok(())
            },
        }
    };
}

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
const MILLI: Duration = Duration::from_millis(1);
const MAX_MESSAGE: u64 = 512 << 20;
const VERIFY: Word<Verify> =
    Word(&[("none", Verify::None), ("optional", Verify::Optional), ("required", Verify::Required)]);
const TLS_VERSION: Word<TlsVersion> = Word(&[("1.2", TlsVersion::V1_2), ("1.3", TlsVersion::V1_3)]);
const LOGIN_FROM: Word<LoginFrom> = Word(&[
    ("distinguished_name", LoginFrom::DistinguishedName),
    ("common_name", LoginFrom::CommonName),
    ("subject_alternative_name", LoginFrom::AlternativeName),
]);
const ALTERNATIVE_NAME: Word<AlternativeName> = Word(&[
    ("dns", AlternativeName::Dns),
    ("ip", AlternativeName::Ip),
    ("email", AlternativeName::Email),
    ("uri", AlternativeName::Uri),
]);
const MECHANISM: Word<Mechanism> = Word(&[
    ("PLAIN", Mechanism::Plain),
    ("AMQPLAIN", Mechanism::AmqPlain),
    ("ANONYMOUS", Mechanism::Anonymous),
    ("EXTERNAL", Mechanism::External),
]);

const HASHING: Word<Hashing> =
    Word(&[("sha256", Hashing::Sha256), ("sha512", Hashing::Sha512), ("argon2id", Hashing::Argon2id)]);

/// All keys; those outside any table first, as TOML wants them.
pub static KEYS: &[Key] = &[
    key!(
        "cluster_name",
        cluster_name,
        Name,
        "The broker's name, told to clients in server-properties and to operators."
    ),
    key!("workers", workers, Maybe(Count(1..=1_024)), "Runtime worker threads; none = one for each core."),
    key!(
        "port_file",
        port_file,
        Maybe(FilePath),
        "A file to write the bound addresses and ports to, as JSON, once clients are accepted."
    ),
    key!(
        "amqp.listen",
        amqp.listen,
        List(Listen),
        "Addresses to accept AMQP clients on: \"5672\", \":5672\", \"127.0.0.1:5672\", \"[::]:5672\".\n\
         A port alone means every IPv4 interface. Port 0 means any free port. [] = none, if TLS has some."
    ),
    key!(
        "amqp.heartbeat",
        amqp.heartbeat,
        Count(0..=u16::MAX),
        "Heartbeat interval offered to clients, in seconds; 0 switches heartbeats off."
    ),
    key!("amqp.frame_max", amqp.frame_max, Size(4_096..=u32::MAX), "Largest frame offered to clients."),
    key!(
        "amqp.channel_max",
        amqp.channel_max,
        Count(1..=u16::MAX),
        "Channels that one connection may open, as offered to clients."
    ),
    key!(
        "amqp.handshake_timeout",
        amqp.handshake_timeout,
        Span(MILLI..=HOUR),
        "A client has this long from connecting to an open connection."
    ),
    key!(
        "amqp.max_message_size",
        amqp.max_message_size,
        Size(1..=MAX_MESSAGE),
        "Largest message body; a larger one closes the channel. At most 512MiB."
    ),
    key!(
        "amqp.consumer_timeout",
        amqp.consumer_timeout,
        Maybe(Span(MILLI..=DAY * 365)),
        "A delivery not acknowledged for this long closes its channel; none = never."
    ),
    key!(
        "amqp.consumers_per_channel_max",
        amqp.consumers_per_channel_max,
        Count(1..=u32::MAX),
        "Consumers that one channel may have."
    ),
    key!(
        "amqp.advertised_version",
        amqp.advertised_version,
        Version,
        "The version told to clients. Some decide by it which RabbitMQ features they may use."
    ),
    key!("amqp.tcp_nodelay", amqp.tcp_nodelay, Switch, "Send small writes at once (TCP_NODELAY)."),
    key!(
        "amqp.tcp_backlog",
        amqp.tcp_backlog,
        Count(1..=65_535),
        "Connections the kernel may hold until they are accepted."
    ),
    key!(
        "amqp.proxy_protocol",
        amqp.proxy_protocol,
        List(Net),
        "Networks of proxies that say by the PROXY protocol, version 1 or 2, whom they connect for: [\"10.0.0.0/8\"].\n\
         From these a connection must begin with such a header, from others it is not understood."
    ),
    key!(
        "management.listen",
        management.listen,
        List(Listen),
        "Addresses of the management interface: the HTTP API and, at /metrics, what Prometheus collects.\n\
         [] or none = no management interface."
    ),
    key!(
        "management.sample_interval",
        management.sample_interval,
        Span(Duration::from_millis(10)..=HOUR),
        "How often all counters are looked at, for rates and charts; rates are those of such an interval."
    ),
    key!(
        "management.cors_allow_origins",
        management.cors_allow_origins,
        List(Name),
        "Pages from elsewhere that may ask the HTTP API: [\"https://example.org\"], or [\"*\"] for all, which then have\n\
         to bring a password of their own."
    ),
    key!(
        "management.cors_max_age",
        management.cors_max_age,
        Maybe(Span(Duration::from_secs(1)..=DAY)),
        "How long browsers may remember that they may; none = they ask each time, or as long as they like."
    ),
    key!(
        "management.max_body_size",
        management.max_body_size,
        Size(4_096..=1 << 30),
        "Bytes of a request's body; above it the answer is 413."
    ),
    key!(
        "management.hsts",
        management.hsts,
        Maybe(Name),
        "Strict-Transport-Security of answers over TLS: \"max-age=31536000\". none = not said."
    ),
    key!(
        "management.socket",
        management.socket,
        SocketPlace,
        "The socket that 'leveret ctl' and the other tools use: its user and root need no password.\n\
         auto = leveret.sock in the data directory, or without one in $XDG_RUNTIME_DIR/leveret or\n\
         /tmp/leveret-UID; none = the tools need a user, a password and the management interface."
    ),
    key!(
        "prometheus.listen",
        prometheus.listen,
        List(Listen),
        "Addresses where Prometheus collects metrics, without a login: /metrics, /metrics/per-object and\n\
         /metrics/detailed. [] or none = nowhere but at the management interface."
    ),
    key!(
        "prometheus.per_object",
        prometheus.per_object,
        Switch,
        "Whether /metrics has each queue, channel and connection for itself, not their sums."
    ),
    key!(
        "definitions.load",
        definitions.load,
        Maybe(FilePath),
        "A definition file as RabbitMQ exports it, or a directory of them (*.json, by name), imported at each\n\
         start. An empty broker then starts with what is in it, without the user and vhost of [bootstrap]."
    ),
    key!(
        "definitions.skip_if_unchanged",
        definitions.skip_if_unchanged,
        Switch,
        "Import nothing at a start when the files are those that were imported last."
    ),
    key!(
        "limits.memory",
        limits.memory,
        Watermark,
        "Above this much memory publishers are blocked: a share of the machine's or container's\n\
         memory (\"60%\") or a size (\"2GiB\")."
    ),
    key!(
        "limits.resident_max",
        limits.resident_max,
        Size(0..=u64::MAX),
        "With more octets of messages in memory than this, or than 40% of limits.memory, the rest of long\n\
         queues goes to disk until it is needed."
    ),
    key!(
        "limits.disk_free",
        limits.disk_free,
        Maybe(Size(0..=u64::MAX)),
        "With less space than this on the disk of the data directory publishers are blocked; none = 1GiB, or 5%\n\
         of the disk if that is less."
    ),
    key!(
        "limits.connections_max",
        limits.connections_max,
        Maybe(Count(1..=u64::MAX)),
        "Open connections in all; none = as many as there are file descriptors, less a reserve."
    ),
    key!(
        "limits.connections_per_vhost_max",
        limits.connections_per_vhost_max,
        Maybe(Count(0..=u64::MAX)),
        "Open connections of each virtual host; none = no limit."
    ),
    key!(
        "limits.connections_per_user_max",
        limits.connections_per_user_max,
        Maybe(Count(0..=u64::MAX)),
        "Open connections of each user; none = no limit."
    ),
    key!(
        "limits.channels_per_user_max",
        limits.channels_per_user_max,
        Maybe(Count(0..=u64::MAX)),
        "Channels that each user may have open on all its connections together; none = no limit."
    ),
    key!(
        "limits.channels_max",
        limits.channels_max,
        Maybe(Count(0..=u64::MAX)),
        "Channels of all connections together; none = no limit."
    ),
    key!(
        "limits.vhosts_max",
        limits.vhosts_max,
        Maybe(Count(1..=u64::MAX)),
        "Virtual hosts; none = no limit."
    ),
    key!(
        "limits.queues_max",
        limits.queues_max,
        Maybe(Count(0..=u64::MAX)),
        "Queues of all virtual hosts together; none = no limit."
    ),
    key!(
        "limits.exchanges_max",
        limits.exchanges_max,
        Maybe(Count(0..=u64::MAX)),
        "Exchanges of all virtual hosts together, with the seven that each of them always has, without that\n\
         of events; none = no limit."
    ),
    key!(
        "limits.new_vhosts",
        limits.new_vhosts,
        List(VhostLimits),
        "Limits that virtual hosts get when they are made, those of the first pattern that matches; negative = none:\n\
         new_vhosts = [{ pattern = \"^shop\", connections_max = 10, queues_max = 100 }]"
    ),
    key!(
        "limits.unauthenticated_max",
        limits.unauthenticated_max,
        Count(1..=usize::MAX),
        "Connections that have not logged in yet, in all."
    ),
    key!(
        "limits.unauthenticated_per_ip_max",
        limits.unauthenticated_per_ip_max,
        Count(1..=usize::MAX),
        "Connections that have not logged in yet, of one address."
    ),
    key!(
        "limits.unauthenticated_bytes_max",
        limits.unauthenticated_bytes_max,
        Size(131_072..=usize::MAX),
        "Bytes that all connections together may have sent before they have logged in; above it they are dropped."
    ),
    key!(
        "limits.partial_content_max",
        limits.partial_content_max,
        Size(4_096..=u64::MAX),
        "Bytes of half-received messages that one connection may have."
    ),
    key!(
        "limits.output_max",
        limits.output_max,
        Size(4_096..=usize::MAX),
        "Output a client has not taken yet before no more input is read from it."
    ),
    key!(
        "limits.output_stall",
        limits.output_stall,
        Span(MILLI..=DAY),
        "A client that takes none of its output for this long is dropped."
    ),
    key!(
        "limits.table_depth_max",
        limits.table_depth_max,
        Count(1..=256),
        "How deep tables and arrays in arguments and headers may nest."
    ),
    key!(
        "limits.login_failures_free",
        limits.login_failures_free,
        Count(0..=u32::MAX),
        "Failed logins of one address before its next ones are delayed."
    ),
    key!(
        "limits.login_delay",
        limits.login_delay,
        Span(Duration::ZERO..=HOUR),
        "The first such delay. It doubles with every further failure, up to 3s."
    ),
    key!(
        "auth.loopback_only",
        auth.loopback_only,
        List(Name),
        "Users that may log in from this machine only. [] lets everyone in from everywhere:\n\
         change the default user's password before doing that."
    ),
    key!(
        "auth.anonymous_user",
        auth.anonymous_user,
        Maybe(Name),
        "Offer the ANONYMOUS mechanism and log such clients in as this user; none = do not."
    ),
    key!(
        "auth.certificate_login",
        auth.certificate_login.from,
        LOGIN_FROM,
        "Which part of a client's certificate is the name of its user (EXTERNAL): distinguished_name, as in\n\
         \"CN=client,O=Example\", common_name, or subject_alternative_name."
    ),
    key!(
        "auth.certificate_san_type",
        auth.certificate_login.kind,
        ALTERNATIVE_NAME,
        "Which of the alternative names: dns, ip, email or uri."
    ),
    key!(
        "auth.certificate_san_index",
        auth.certificate_login.index,
        Count(0..=100),
        "Which one of that kind, counted from 0."
    ),
    key!(
        "auth.mechanisms",
        auth.mechanisms,
        Some1(MECHANISM),
        "Mechanisms that clients may log in by. ANONYMOUS is offered only with auth.anonymous_user, EXTERNAL only\n\
         where TLS has verified a certificate of the client."
    ),
    key!(
        "auth.password_hashing",
        auth.password_hashing,
        HASHING,
        "How new passwords are kept: sha256 and sha512 as RabbitMQ does, or argon2id, which is slow to guess and which\n\
         RabbitMQ cannot import. Older ones stay as they are until they are set again."
    ),
    key!(
        "bootstrap.user",
        bootstrap.user,
        Name,
        "The user an empty broker starts with. Any other name replaces guest."
    ),
    key!("bootstrap.password", bootstrap.password, Password, "That user's password.").secret(),
    key!("bootstrap.vhost", bootstrap.vhost, Name, "The virtual host an empty broker starts with."),
    key!(
        "bootstrap.users",
        bootstrap.users,
        List(User),
        "Further users, with full permissions on every virtual host:\n\
         users = [{ name = \"alice\", password = \"...\" }]"
    )
    .secret(),
    key!("bootstrap.vhosts", bootstrap.vhosts, List(Name), "Further virtual hosts."),
    key!(
        "storage.data_dir",
        storage.data_dir,
        Maybe(FilePath),
        "Where the broker keeps its data; none = use no disk at all (--ephemeral)."
    ),
    key!(
        "storage.sync",
        storage.sync,
        SyncMode,
        "What a confirm of a persistent message means:\n\
         fsync = it is on disk and survives the loss of power;\n\
         interval = the kernel has it and it is on disk within 100 ms: survives a crash of the broker only;\n\
         os = the kernel has it and writes it when it likes."
    ),
    key!(
        "storage.segment_size",
        storage.segment_size,
        Maybe(Size(65_536..=1 << 30)),
        "Size of the files that the log consists of. It keeps about six of them, and twice what lives in it if\n\
         that is more. none = 64MiB, or a 64th of a small disk."
    ),
    key!(
        "storage.accept_loss",
        storage.accept_loss,
        Switch,
        "Start although durable parts of the log are missing or cannot be read, without what was in them."
    ),
    key!(
        "tls.cert",
        tls.cert,
        Maybe(FilePath),
        "The server's certificate in PEM, followed by those that it was issued with. With it and its key AMQP and the\n\
         management interface also listen with TLS. Files that change are read again, and all on SIGHUP."
    ),
    key!("tls.key", tls.key, Maybe(FilePath), "The certificate's key in PEM, without a password."),
    key!("tls.ca", tls.ca, Maybe(FilePath), "Who issues certificates of clients, in PEM."),
    key!(
        "tls.verify",
        tls.verify,
        VERIFY,
        "Certificates of AMQP clients: none = not asked for, optional = verified if there is one, required."
    ),
    key!(
        "tls.min_version",
        tls.min_version,
        TLS_VERSION,
        "The oldest version of TLS that is spoken: 1.2 or 1.3."
    ),
    key!(
        "tls.handshake_timeout",
        tls.handshake_timeout,
        Span(MILLI..=HOUR),
        "A TLS handshake may take this long, and never longer than amqp.handshake_timeout."
    ),
    key!(
        "tls.names",
        tls.names,
        List(Named),
        "Other certificates for clients that ask for a server of this name (SNI); *.example.org is any first label:\n\
         names = [{ name = \"mq.example.org\", cert = \"...\", key = \"...\" }]"
    ),
    key!(
        "tls.amqp_listen",
        tls.amqp_listen,
        List(Listen),
        "Addresses to accept AMQP clients with TLS on, once there is a certificate. [] or none = nowhere."
    ),
    key!(
        "tls.management_listen",
        tls.management_listen,
        List(Listen),
        "Addresses of the management interface with TLS, once there is a certificate. [] or none = nowhere."
    ),
    key!(
        "tls.prometheus_listen",
        tls.prometheus_listen,
        List(Listen),
        "Addresses where Prometheus collects metrics with TLS. [] or none = nowhere."
    ),
    key!(
        "tls.management_cert",
        tls.management_cert,
        Maybe(FilePath),
        "A certificate for management and metrics alone; none = tls.cert."
    ),
    key!("tls.management_key", tls.management_key, Maybe(FilePath), "That certificate's key."),
    key!(
        "tls.management_ca",
        tls.management_ca,
        Maybe(FilePath),
        "Who issues certificates of clients of the management interface; none = tls.ca."
    ),
    key!(
        "tls.management_verify",
        tls.management_verify,
        VERIFY,
        "Certificates of clients of the management interface, which log in by password all the same."
    ),
    key!(
        "log.level",
        log.level,
        Filter,
        "off, error, warn, info, debug or trace; also by module, as in \"warn,leveret=debug\"."
    ),
    key!(
        "log.format",
        log.format,
        Format,
        "pretty = a line for people; json = one JSON object a line. Logs go to standard error."
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_valid_and_is_kept_by_showing_and_setting() {
        let mut config = Config::default();
        for key in KEYS {
            key.set(&mut config, &(key.show)(&Config::default())).unwrap();
        }
        assert_eq!(config, Config::default());
    }

    #[test]
    fn names_are_unique_and_tables_are_contiguous() {
        let mut tables: Vec<&str> = KEYS.iter().map(|key| key.split().0).collect();
        tables.dedup();
        let mut unique = tables.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), tables.len());
        assert_eq!(tables[0], "");
        let mut names: Vec<&str> = KEYS.iter().map(|key| key.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), KEYS.len());
    }

    #[test]
    fn the_limits_that_the_protocol_sets() {
        for (name, value, valid) in [
            ("amqp.frame_max", "4095", false),
            ("amqp.frame_max", "4096", true),
            ("amqp.heartbeat", "65535", true),
            ("amqp.heartbeat", "65536", false),
            ("amqp.max_message_size", "512MiB", true),
            ("amqp.max_message_size", "513MiB", false),
            ("amqp.consumer_timeout", "none", true),
        ] {
            let set = Key::find(name).unwrap().set(&mut Config::default(), &Value::from(value));
            assert_eq!(set.is_ok(), valid, "{name} = {value}");
        }
    }

    #[test]
    fn an_error_names_the_key_and_what_is_valid_but_no_secret() {
        let mut config = Config::default();
        let error = Key::find("amqp.heartbeat").unwrap().set(&mut config, &Value::Integer(70_000));
        assert_eq!(
            error.unwrap_err().to_string(),
            "amqp.heartbeat cannot be 70000: expected a whole number from 0 to 65535"
        );
        let error = Key::find("bootstrap.users").unwrap().set(&mut config, &Value::from("hunter2"));
        assert!(!error.unwrap_err().to_string().contains("hunter2"));
    }
}
