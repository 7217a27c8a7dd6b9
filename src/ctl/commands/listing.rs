//! Lists whose columns can be chosen: queues, exchanges, bindings, connections, channels, consumers, vhosts, flags.

use serde_json::{Value, json};

use super::{Command, MANY, command};
use crate::ctl::{
    call::{Call, refused},
    failure::{Failure, Result},
    output::Output,
    words::{Switch, flag, valued},
};

const QUEUE_OPTIONS: &[Switch] = &[flag("online"), flag("offline"), flag("local"), valued("queue-timeout")];

pub const COMMANDS: &[Command] = &[
    command(
        "list_bindings",
        "[--vhost <vhost>] [--no-table-headers] [<column> ...]",
        "Lists bindings of a virtual host",
        (0, MANY),
        |call| format!("Listing bindings for vhost {}...", call.vhost()),
        |call| list(call, &BINDINGS),
    ),
    command(
        "list_channels",
        "[--no-table-headers] [<column> ...]",
        "Lists open channels",
        (0, MANY),
        |_| "Listing channels ...".to_owned(),
        |call| list(call, &CHANNELS),
    ),
    command(
        "list_connections",
        "[--no-table-headers] [<column> ...]",
        "Lists open connections",
        (0, MANY),
        |_| "Listing connections ...".to_owned(),
        |call| list(call, &CONNECTIONS),
    ),
    command(
        "list_consumers",
        "[--vhost <vhost>] [--no-table-headers] [<column> ...]",
        "Lists consumers of a virtual host",
        (0, MANY),
        |call| format!("Listing consumers in vhost {} ...", call.vhost()),
        |call| list(call, &CONSUMERS),
    ),
    command(
        "list_exchanges",
        "[--vhost <vhost>] [--no-table-headers] [<column> ...]",
        "Lists exchanges of a virtual host",
        (0, MANY),
        |call| format!("Listing exchanges for vhost {} ...", call.vhost()),
        |call| list(call, &EXCHANGES),
    ),
    command(
        "list_feature_flags",
        "[<column> ...]",
        "Lists feature flags, all of which are on",
        (0, MANY),
        |_| "Listing feature flags ...".to_owned(),
        |call| list(call, &FLAGS),
    ),
    command(
        "list_queues",
        "[--vhost <vhost>] [--online] [--offline] [--local] [--no-table-headers] [<column> ...]",
        "Lists queues of a virtual host",
        (0, MANY),
        queues_banner,
        list_queues,
    )
    .with(QUEUE_OPTIONS),
    command(
        "list_unresponsive_queues",
        "[--local] [--queue-timeout <milliseconds>] [--no-table-headers] [<column> ...]",
        "Lists queues that do not answer, of which there are none",
        (0, MANY),
        |call| format!("Listing unresponsive queues for vhost {} ...", call.vhost()),
        |call| {
            chosen(call, &QUEUES)?;
            call.get_json("version")?;
            Ok(Output::Rows { columns: vec!["name".to_owned()], rows: Vec::new() })
        },
    )
    .with(QUEUE_OPTIONS),
    command(
        "list_vhosts",
        "[--no-table-headers] [<column> ...]",
        "Lists virtual hosts",
        (0, MANY),
        |_| "Listing vhosts ...".to_owned(),
        |call| list(call, &VHOSTS),
    ),
];

/// Where a column's value is in the API's objects.
enum From {
    /// Under this name; a dot leads further in.
    Field(&'static str),
    /// Always the same.
    Is(&'static str),
    /// Nothing here corresponds to it.
    Nothing,
}

use From::{Field, Is, Nothing};

/// A list.
struct List {
    /// Below `/api/`; `{}` stands for the vhost.
    path: &'static str,
    columns: &'static [(&'static str, From)],
    usual: &'static [&'static str],
}

const BINDINGS: List = List {
    path: "bindings/{}",
    columns: &[
        ("source_name", Field("source")),
        ("source_kind", Is("exchange")),
        ("destination_name", Field("destination")),
        ("destination_kind", Field("destination_type")),
        ("routing_key", Field("routing_key")),
        ("arguments", Field("arguments")),
    ],
    usual: &[
        "source_name",
        "source_kind",
        "destination_name",
        "destination_kind",
        "routing_key",
        "arguments",
    ],
};

const CHANNELS: List = List {
    path: "channels",
    columns: &[
        ("pid", Field("name")),
        ("connection", Field("connection_details.name")),
        ("name", Field("name")),
        ("number", Field("number")),
        ("user", Field("user")),
        ("vhost", Field("vhost")),
        ("transactional", Field("transactional")),
        ("confirm", Field("confirm")),
        ("consumer_count", Field("consumer_count")),
        ("messages_unacknowledged", Field("messages_unacknowledged")),
        ("messages_uncommitted", Field("messages_uncommitted")),
        ("acks_uncommitted", Field("acks_uncommitted")),
        ("messages_unconfirmed", Field("messages_unconfirmed")),
        ("prefetch_count", Field("prefetch_count")),
        ("global_prefetch_count", Field("global_prefetch_count")),
    ],
    usual: &["pid", "user", "consumer_count", "messages_unacknowledged"],
};

const CONNECTIONS: List = List {
    path: "connections",
    columns: &[
        ("pid", Field("name")),
        ("name", Field("name")),
        ("port", Field("port")),
        ("host", Field("host")),
        ("peer_port", Field("peer_port")),
        ("peer_host", Field("peer_host")),
        ("ssl", Field("ssl")),
        ("ssl_protocol", Field("ssl_protocol")),
        ("ssl_key_exchange", Field("ssl_key_exchange")),
        ("ssl_cipher", Field("ssl_cipher")),
        ("ssl_hash", Field("ssl_hash")),
        ("peer_cert_subject", Field("peer_cert_subject")),
        ("peer_cert_issuer", Field("peer_cert_issuer")),
        ("peer_cert_validity", Field("peer_cert_validity")),
        ("state", Field("state")),
        ("channels", Field("channels")),
        ("protocol", Field("protocol")),
        ("auth_mechanism", Field("auth_mechanism")),
        ("user", Field("user")),
        ("vhost", Field("vhost")),
        ("timeout", Field("timeout")),
        ("frame_max", Field("frame_max")),
        ("channel_max", Field("channel_max")),
        ("client_properties", Field("client_properties")),
        ("recv_oct", Field("recv_oct")),
        ("recv_cnt", Field("recv_cnt")),
        ("send_oct", Field("send_oct")),
        ("send_cnt", Field("send_cnt")),
        ("send_pend", Field("send_pend")),
        ("connected_at", Field("connected_at")),
    ],
    usual: &["user", "peer_host", "peer_port", "state"],
};

const CONSUMERS: List = List {
    path: "consumers/{}",
    columns: &[
        ("queue_name", Field("queue.name")),
        ("channel_pid", Field("channel_details.name")),
        ("consumer_tag", Field("consumer_tag")),
        ("ack_required", Field("ack_required")),
        ("prefetch_count", Field("prefetch_count")),
        ("active", Field("active")),
        ("arguments", Field("arguments")),
    ],
    usual: &[
        "queue_name",
        "channel_pid",
        "consumer_tag",
        "ack_required",
        "prefetch_count",
        "active",
        "arguments",
    ],
};

const EXCHANGES: List = List {
    path: "exchanges/{}",
    columns: &[
        ("name", Field("name")),
        ("type", Field("type")),
        ("durable", Field("durable")),
        ("auto_delete", Field("auto_delete")),
        ("internal", Field("internal")),
        ("arguments", Field("arguments")),
        ("policy", Field("policy")),
        ("user_who_performed_action", Field("user_who_performed_action")),
    ],
    usual: &["name", "type"],
};

const FLAGS: List = List {
    path: "feature-flags",
    columns: &[
        ("name", Field("name")),
        ("state", Field("state")),
        ("stability", Field("stability")),
        ("provided_by", Field("provided_by")),
        ("desc", Field("desc")),
        ("doc_url", Field("doc_url")),
    ],
    usual: &["name", "state"],
};

const QUEUES: List = List {
    path: "queues/{}",
    columns: &[
        ("name", Field("name")),
        ("durable", Field("durable")),
        ("auto_delete", Field("auto_delete")),
        ("arguments", Field("arguments")),
        ("policy", Field("policy")),
        ("operator_policy", Field("operator_policy")),
        ("effective_policy_definition", Field("effective_policy_definition")),
        ("type", Field("type")),
        ("pid", Field("node")),
        ("leader", Field("node")),
        ("owner_pid", Field("owner_pid_details.name")),
        ("exclusive", Field("exclusive")),
        ("exclusive_consumer_pid", Nothing),
        ("exclusive_consumer_tag", Nothing),
        ("messages_ready", Field("messages_ready")),
        ("messages_unacknowledged", Field("messages_unacknowledged")),
        ("messages", Field("messages")),
        ("messages_ready_ram", Field("messages_ready_ram")),
        ("messages_unacknowledged_ram", Field("messages_unacknowledged_ram")),
        ("messages_ram", Field("messages_ram")),
        ("messages_persistent", Field("messages_persistent")),
        ("message_bytes", Field("message_bytes")),
        ("message_bytes_ready", Field("message_bytes_ready")),
        ("message_bytes_unacknowledged", Field("message_bytes_unacknowledged")),
        ("message_bytes_ram", Field("message_bytes_ram")),
        ("message_bytes_persistent", Field("message_bytes_persistent")),
        ("message_stats", Field("message_stats")),
        ("head_message_timestamp", Field("head_message_timestamp")),
        ("disk_reads", Field("message_stats.disk_reads")),
        ("disk_writes", Field("message_stats.disk_writes")),
        ("consumers", Field("consumers")),
        ("consumer_utilisation", Field("consumer_utilisation")),
        ("consumer_capacity", Field("consumer_capacity")),
        ("memory", Field("memory")),
        ("slave_pids", Nothing),
        ("synchronised_slave_pids", Nothing),
        ("mirror_pids", Nothing),
        ("synchronised_mirror_pids", Nothing),
        ("state", Field("state")),
        ("online", Field("online")),
        ("members", Field("members")),
        ("garbage_collection", Nothing),
        ("delivery_limit", Field("delivery_limit")),
    ],
    usual: &["name", "messages"],
};

const VHOSTS: List = List {
    path: "vhosts",
    columns: &[
        ("name", Field("name")),
        ("description", Field("description")),
        ("tags", Field("tags")),
        ("default_queue_type", Field("default_queue_type")),
        ("tracing", Field("tracing")),
        ("cluster_state", Field("cluster_state")),
        ("metadata", Field("metadata")),
        ("protected_from_deletion", Field("protected_from_deletion")),
    ],
    usual: &["name"],
};

/// The columns that were asked for; they may also be separated by commas.
fn chosen(call: &Call, list: &List) -> Result<Vec<&'static (&'static str, From)>> {
    let asked: Vec<&str> = call
        .args
        .iter()
        .flat_map(|word| word.split(','))
        .map(str::trim)
        .filter(|word| !word.is_empty())
        .collect();
    let asked: &[&str] = if asked.is_empty() { list.usual } else { &asked };
    let known = |name: &&str| list.columns.iter().find(|(known, _)| known == name);
    let bad: Vec<&str> = asked.iter().filter(|name| known(name).is_none()).copied().collect();
    if bad.is_empty() {
        return Ok(asked.iter().filter_map(known).collect());
    }
    Err(Failure::argument(format!("Info key(s) {} are not supported", bad.join(", "))))
}

fn list(call: &mut Call, list: &'static List) -> Result<Output> {
    let columns = chosen(call, list)?;
    let needed: Vec<&str> = columns
        .iter()
        .filter_map(|(_, from)| match from {
            Field(path) => Some(*path),
            Is(_) | Nothing => None,
        })
        .collect();
    // One column at least, or the API would give all.
    let needed = if needed.is_empty() { "name".to_owned() } else { needed.join(",") };
    let path = list.path.replace("{}", &call.vhost_segment());
    let reply = call.get(&format!("{path}?columns={needed}"))?;
    // Nothing is in a vhost that is not there.
    if !reply.is_fine() && reply.status != 404 {
        return Err(refused(&reply));
    }
    let found = reply.json();
    let rows = found.as_array().into_iter().flatten().map(|item| {
        columns
            .iter()
            .map(|(_, from)| match from {
                Field(path) => value(item, path),
                Is(text) => json!(text),
                Nothing => json!(""),
            })
            .collect()
    });
    Ok(Output::Rows {
        columns: columns.iter().map(|(name, _)| (*name).to_owned()).collect(),
        rows: rows.collect(),
    })
}

/// What is not there is an empty text, as in RabbitMQ's lists.
fn value(item: &Value, path: &str) -> Value {
    let found = path.split('.').try_fold(item, |item, name| item.get(name));
    found.filter(|value| !value.is_null()).cloned().unwrap_or_else(|| json!(""))
}

fn queues_banner(call: &Call) -> String {
    let time = call.timeout().map_or(60, |time| time.as_secs());
    format!("Timeout: {time}.0 seconds ...\nListing queues for vhost {} ...", call.vhost())
}

fn list_queues(call: &mut Call) -> Result<Output> {
    let mut output = list(call, &QUEUES)?;
    // Every queue is online: there is one node.
    if call.has("offline")
        && let Output::Rows { rows, .. } = &mut output
    {
        rows.clear();
    }
    Ok(output)
}
