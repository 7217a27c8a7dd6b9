//! What becomes of each key of rabbitmq.conf, in one table.
//!
//! In a pattern `*` stands for one part of the key and a final `**` for any number of parts, none
//! included. The first pattern that fits decides.

use toml::Value;

use super::syntax::segments;
use crate::{cli::sources::log_level, server::config::NONE};

/// What is done with a key.
pub enum Action {
    /// Sets this key of ours, the value translated; `None` means it cannot be.
    Set(&'static str, fn(&str) -> Option<Value>),
    /// One of several keys that make one value of ours; see the module `groups`.
    Group(Group),
    /// Makes no difference here.
    Accept,
    /// Fine with this value, refused with any other, for this reason.
    Only(&'static str, &'static str),
    /// Ignored with a warning that gives this reason.
    Ignore(&'static str),
    /// Refused for this reason: the broker would not do what the file asks for.
    Refuse(&'static str),
}

/// Keys that are read together.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Group {
    Listeners,
    TlsListeners,
    Tls,
    ManagementTls,
    LoopbackUsers,
    DefaultLimits,
    DefaultUsers,
    AuthMechanisms,
    CorsOrigins,
    Management,
    Prometheus,
}

use Action::{Accept, Group as Part, Ignore, Only, Refuse, Set};

const MANAGEMENT: &str = "the management interface of this version has no such setting";
const PROMETHEUS: &str = "the metrics of this version have no such setting";
const DISK: &str = "this version has no disk alarm";
const CLUSTER: &str = "a broker of this version stands alone";
const PLUGIN: &str = "the plugin is not part of this version";
const NO_LIMIT: &str = "this limit does not exist in this version";
const ERLANG: &str = "it tunes RabbitMQ's own engine and has no meaning here";
const LOGS: &str = "logs go to standard error, all categories at one level";
const DEFINITIONS: &str = "definitions are imported from files only, so those of this place would be missing";
const BACKENDS: &str = "only the internal user database is part of this version";
const PERMISSIONS: &str = "the default user has full permissions in this version";

/// Every key of RabbitMQ that is known here.
pub static RULES: &[(&str, Action)] = &[
    ("listeners.tcp", Part(Group::Listeners)),
    ("listeners.tcp.*", Part(Group::Listeners)),
    ("listeners.ssl", Part(Group::TlsListeners)),
    ("listeners.ssl.*", Part(Group::TlsListeners)),
    ("ssl_options.**", Part(Group::Tls)),
    ("ssl_handshake_timeout", Set("tls.handshake_timeout", millis)),
    ("ssl_cert_login_from", Set("auth.certificate_login", same)),
    ("ssl_cert_login_san_type", Set("auth.certificate_san_type", same)),
    ("ssl_cert_login_san_index", Set("auth.certificate_san_index", same)),
    ("ssl_allow_poodle_attack", Accept),
    ("num_acceptors.**", Accept),
    ("tcp_listen_options.backlog", Set("amqp.tcp_backlog", same)),
    ("tcp_listen_options.nodelay", Set("amqp.tcp_nodelay", same)),
    ("tcp_listen_options.**", Accept),
    ("socket_writer.**", Accept),
    ("reverse_dns_lookups", Only("false", "addresses are not resolved to names in this version")),
    ("proxy_protocol", Set("amqp.proxy_protocol", proxies)),
    ("handshake_timeout", Set("amqp.handshake_timeout", millis)),
    ("heartbeat", Set("amqp.heartbeat", same)),
    ("frame_max", Set("amqp.frame_max", same)),
    ("initial_frame_max", Accept),
    ("channel_max", Set("amqp.channel_max", same)),
    ("connection_max", Set("limits.connections_max", infinity)),
    ("max_connections", Set("limits.connections_max", infinity)),
    ("max_message_size", Set("amqp.max_message_size", same)),
    ("consumer_timeout", Set("amqp.consumer_timeout", millis)),
    ("consumer_max_per_channel", Set("amqp.consumers_per_channel_max", same)),
    ("channel_max_per_node", Set("limits.channels_max", infinity)),
    ("session_max_per_connection", Ignore(NO_LIMIT)),
    ("link_max_per_session", Ignore(NO_LIMIT)),
    ("vhost_max", Set("limits.vhosts_max", infinity)),
    ("cluster_queue_limit", Set("limits.queues_max", infinity)),
    ("cluster_exchange_limit", Set("limits.exchanges_max", infinity)),
    ("default_limits.vhosts.**", Part(Group::DefaultLimits)),
    ("default_user", Set("bootstrap.user", same)),
    ("default_pass", Set("bootstrap.password", clear_password)),
    ("default_vhost", Set("bootstrap.vhost", same)),
    ("default_user_tags.*", Accept),
    ("default_permissions.*", Only(".*", PERMISSIONS)),
    ("default_users.**", Part(Group::DefaultUsers)),
    ("default_policies.**", Ignore("policies do not exist in this version")),
    ("default_queue_type", Only("classic", "queues are classic unless they are declared otherwise")),
    ("default_consumer_prefetch.**", Ignore("it does not exist in this version")),
    ("loopback_users", Only("none", "expected 'none', or keys such as loopback_users.guest = false")),
    ("loopback_users.*", Part(Group::LoopbackUsers)),
    ("anonymous_login_user", Set("auth.anonymous_user", same)),
    ("anonymous_login_pass", Accept),
    ("auth_mechanisms.*", Part(Group::AuthMechanisms)),
    ("auth_backends.*", Only("internal", BACKENDS)),
    ("auth_backends.**", Refuse(BACKENDS)),
    ("auth_http.**", Refuse(BACKENDS)),
    ("auth_ldap.**", Refuse(BACKENDS)),
    ("auth_oauth2.**", Refuse(BACKENDS)),
    ("auth_cache.**", Refuse(BACKENDS)),
    ("password_hashing_module", Set("auth.password_hashing", hashing)),
    ("credential_validator.**", Ignore("passwords are not checked for strength in this version")),
    ("vm_memory_high_watermark.relative", Set("limits.memory", share)),
    ("vm_memory_high_watermark.absolute", Set("limits.memory", same)),
    (
        "total_memory_available_override_value",
        Ignore("memory is measured; set an absolute watermark instead"),
    ),
    ("vm_memory_calculation_strategy", Accept),
    ("vm_memory_high_watermark_paging_ratio", Accept),
    ("memory_monitor_interval", Accept),
    ("disk_free_limit.**", Ignore(DISK)),
    ("disk_monitor.**", Ignore(DISK)),
    ("cluster_name", Set("cluster_name", same)),
    ("cluster_tags.**", Ignore(CLUSTER)),
    ("node_tags.**", Ignore(CLUSTER)),
    ("cluster_formation.**", Ignore(CLUSTER)),
    ("cluster_partition_handling", Only("ignore", CLUSTER)),
    ("cluster_partition_handling.**", Ignore(CLUSTER)),
    ("cluster_keepalive_interval", Accept),
    ("cluster_nodes.**", Ignore(CLUSTER)),
    ("queue_leader_locator", Accept),
    ("queue_master_locator", Accept),
    ("mirroring_sync_batch_size", Accept),
    ("mirroring_flow_control", Accept),
    ("mnesia_table_loading_retry_timeout", Accept),
    ("mnesia_table_loading_retry_limit", Accept),
    ("distribution.**", Ignore(CLUSTER)),
    ("net_ticktime", Accept),
    ("load_definitions", Set("definitions.load", same)),
    ("definitions.skip_if_unchanged", Set("definitions.skip_if_unchanged", same)),
    ("definitions.import_backend", Only("local_filesystem", DEFINITIONS)),
    ("definitions.local.path", Set("definitions.load", same)),
    ("definitions.**", Refuse(DEFINITIONS)),
    ("management.load_definitions", Set("definitions.load", same)),
    ("management.tcp.port", Part(Group::Management)),
    ("management.tcp.ip", Part(Group::Management)),
    ("management.listener.port", Part(Group::Management)),
    ("management.listener.ip", Part(Group::Management)),
    ("management.ssl.**", Part(Group::ManagementTls)),
    ("management.listener.ssl_opts.**", Part(Group::ManagementTls)),
    (
        "management.cors.allow_origins",
        Only("none", "expected none, or keys such as management.cors.allow_origins.1"),
    ),
    ("management.cors.allow_origins.*", Part(Group::CorsOrigins)),
    ("management.cors.max_age", Set("management.cors_max_age", seconds)),
    ("management.csp.policy", Ignore("the pages have the strictest policy that they work with")),
    ("management.hsts.policy", Set("management.hsts", same)),
    ("management.http.max_body_size", Set("management.max_body_size", same)),
    ("management.**", Ignore(MANAGEMENT)),
    ("management_agent.**", Accept),
    (
        "prometheus.ssl.**",
        Refuse(
            "metrics with TLS are at tls.prometheus_listen, with the certificate of the management interface",
        ),
    ),
    ("prometheus.tcp.port", Part(Group::Prometheus)),
    ("prometheus.tcp.ip", Part(Group::Prometheus)),
    ("prometheus.return_per_object_metrics", Set("prometheus.per_object", same)),
    ("prometheus.**", Ignore(PROMETHEUS)),
    ("collect_statistics", Accept),
    ("collect_statistics_interval", Set("management.sample_interval", millis)),
    ("log.console", Accept),
    ("log.console.level", Set("log.level", level)),
    ("log.console.formatter", Set("log.format", format)),
    ("log.console.**", Accept),
    ("log.default.level", Set("log.level", level)),
    ("log.file.level", Set("log.level", level)),
    ("log.file", Only("false", LOGS)),
    ("log.**", Ignore(LOGS)),
    ("mqtt.**", Ignore(PLUGIN)),
    ("stomp.**", Ignore(PLUGIN)),
    ("stream.**", Ignore(PLUGIN)),
    ("web_mqtt.**", Ignore(PLUGIN)),
    ("web_stomp.**", Ignore(PLUGIN)),
    ("web_dispatch.**", Ignore(PLUGIN)),
    ("amqp1_0.**", Ignore(PLUGIN)),
    ("shovel.**", Ignore(PLUGIN)),
    ("federation.**", Ignore(PLUGIN)),
    ("trace_files_directory", Ignore(PLUGIN)),
    ("consistent_hash_exchange.**", Ignore(PLUGIN)),
    ("message_interceptors.**", Ignore("messages are not intercepted in this version")),
    ("deprecated_features.**", Accept),
    ("motd_file", Accept),
    ("product.**", Accept),
    ("erlang.**", Accept),
    ("hipe_compile", Accept),
    ("kernel.**", Accept),
    ("sysmon_handler.**", Accept),
    ("raft.**", Ignore(ERLANG)),
    ("quorum_queue.**", Ignore(ERLANG)),
    ("classic_queue.**", Accept),
    ("lazy_queue_explicit_gc_run_operation_threshold", Accept),
    ("queue_explicit_gc_run_operation_threshold", Accept),
    ("queue_index_embed_msgs_below", Accept),
    ("queue_index_max_journal_entries", Accept),
    ("msg_store_file_size_limit", Ignore(ERLANG)),
    ("msg_store_credit_disc_bound.**", Ignore(ERLANG)),
    ("msg_store_io_batch_size", Accept),
    ("background_gc_enabled", Accept),
    ("background_gc_target_interval", Accept),
    ("delegate_count", Accept),
    ("channel_tick_interval", Accept),
    ("channel_operation_timeout", Accept),
    ("channel_queue_cleanup_interval", Accept),
    ("direct_exchange_routing_v2", Accept),
    ("tracking_execution_timeout", Accept),
    ("vhost_restart_strategy", Accept),
    ("vhost_process_reconciliation_run_interval", Accept),
    ("dead_letter_worker_consumer_prefetch", Accept),
    ("dead_letter_worker_publisher_confirm_timeout", Accept),
    ("log_definitions_import_warnings", Accept),
    ("metadata_store.**", Ignore(ERLANG)),
    ("khepri_default_timeout", Accept),
];

/// What is done with this key, if it is known.
pub fn find(key: &str) -> Option<&'static Action> {
    let parts = segments(key);
    RULES.iter().find(|(pattern, _)| fits(pattern, &parts)).map(|(_, action)| action)
}

fn fits(pattern: &str, parts: &[String]) -> bool {
    let mut parts = parts.iter();
    for expected in pattern.split('.') {
        match (expected, parts.next()) {
            ("**", _) => return true,
            (_, None) => return false,
            ("*", Some(_)) => {}
            (expected, Some(part)) if expected == part => {}
            _ => return false,
        }
    }
    parts.next().is_none()
}

/// The known keys to compare an unknown one with: patterns, with its own parts for their stars.
pub fn candidates(key: &str) -> Vec<String> {
    let parts = segments(key);
    let fill = |(index, expected): (usize, &str)| match expected {
        "*" | "**" => parts.get(index).cloned().unwrap_or_else(|| "1".to_owned()),
        exact => exact.to_owned(),
    };
    RULES
        .iter()
        .map(|(pattern, _)| pattern.split('.').enumerate().map(fill).collect::<Vec<_>>().join("."))
        .collect()
}

fn same(value: &str) -> Option<Value> {
    Some(Value::from(value))
}

/// Milliseconds; `undefined` and `infinity` mean never.
fn millis(value: &str) -> Option<Value> {
    match value {
        "undefined" | "infinity" => Some(Value::from(NONE)),
        number => number.parse::<u64>().ok().map(|millis| Value::from(format!("{millis}ms"))),
    }
}

fn seconds(value: &str) -> Option<Value> {
    match value {
        "undefined" => Some(Value::from(NONE)),
        number => number.parse::<u64>().ok().map(|seconds| Value::from(format!("{seconds}s"))),
    }
}

/// Whoever connects is a proxy, or nobody is.
fn proxies(value: &str) -> Option<Value> {
    match value {
        "true" => Some(Value::from("0.0.0.0/0,::/0")),
        "false" => Some(Value::from(NONE)),
        _ => None,
    }
}

fn infinity(value: &str) -> Option<Value> {
    Some(Value::from(if value == "infinity" { NONE } else { value }))
}

/// The module that hashes passwords, as far as we have what it does.
fn hashing(value: &str) -> Option<Value> {
    let name = value.strip_prefix("rabbit_password_hashing_")?;
    matches!(name, "sha256" | "sha512").then(|| Value::from(name))
}

/// A fraction of the memory: `0.6`, and `1` is all of it, not one byte.
fn share(value: &str) -> Option<Value> {
    value.parse::<f64>().ok().map(|fraction| Value::from(format!("{}%", fraction * 100.0)))
}

fn level(value: &str) -> Option<Value> {
    log_level(value).map(Value::from)
}

fn format(value: &str) -> Option<Value> {
    match value {
        "json" => Some(Value::from("json")),
        "plaintext" => Some(Value::from("pretty")),
        _ => None,
    }
}

/// An encrypted value would otherwise become the password itself.
fn clear_password(value: &str) -> Option<Value> {
    (!value.starts_with("encrypted:")).then(|| Value::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::config::Key;

    #[test]
    fn patterns() {
        for (pattern, key, expected) in [
            ("heartbeat", "heartbeat", true),
            ("heartbeat", "heartbeat.x", false),
            ("listeners.tcp.*", "listeners.tcp.1", true),
            ("listeners.tcp.*", "listeners.tcp", false),
            ("listeners.tcp.*", "listeners.tcp.1.2", false),
            ("mqtt.**", "mqtt", true),
            ("mqtt.**", "mqtt.listeners.tcp.1", true),
            ("mqtt.**", "mqttx", false),
        ] {
            assert_eq!(fits(pattern, &segments(key)), expected, "{pattern} {key}");
        }
    }

    #[test]
    fn no_rule_is_hidden_by_an_earlier_one_and_every_target_exists() {
        for (index, (pattern, action)) in RULES.iter().enumerate() {
            let sample = pattern.replace("**", "any.thing").replace('*', "any");
            let first = RULES.iter().position(|(earlier, _)| fits(earlier, &segments(&sample)));
            assert_eq!(first, Some(index), "{pattern}");
            if let Set(target, _) = action {
                assert!(Key::find(target).is_some(), "{target}");
            }
        }
    }
}
