//! The node: memory, disk, descriptors, as far as the operating system tells.

use serde_json::{Map, Value, json};

use super::{
    Management,
    answer::{Answer, Refusal},
    call::Call,
    listing, overview, process,
    stats::Rates,
};
use crate::broker::queue_type::QueueType;

fn node(management: &Management, rates: &Rates) -> Value {
    let alarms = &management.node.alarms;
    let reason = alarms.reason().unwrap_or_default();
    let disk = management.settings.disk.as_ref().and_then(|disk| disk());
    let (descriptors, sockets) = process::descriptors();
    let descriptors_max = process::descriptors_max();
    let version = &management.settings.advertised_version;
    let mut node = json!({
        "name": management.name,
        "type": "disc",
        "running": true,
        "being_drained": false,
        "uptime": management.uptime(),
        "os_pid": std::process::id().to_string(),
        "processors": process::processors(),
        "run_queue": 0,
        "rates_mode": "basic",
        "fd_used": descriptors,
        "fd_total": descriptors_max,
        "sockets_used": sockets,
        "sockets_total": descriptors_max,
        "proc_used": process::threads(),
        "proc_total": process::threads(),
        "mem_used": process::resident_bytes(),
        "mem_limit": alarms.memory_limit(),
        "mem_alarm": reason.contains("memory"),
        "mem_calculation_strategy": "rss",
        "disk_free_alarm": reason.contains("disk"),
        "partitions": [],
        "cluster_links": [],
        "config_files": [],
        "log_files": [],
        "enabled_plugins": ["rabbitmq_event_exchange", "rabbitmq_management", "rabbitmq_prometheus"],
        "applications": [{ "name": "rabbit", "description": "leveret", "version": version }],
        "auth_mechanisms": [
            { "name": "PLAIN", "description": "SASL PLAIN authentication mechanism", "enabled": true },
            { "name": "AMQPLAIN", "description": "QPid AMQPLAIN mechanism", "enabled": true },
        ],
        "exchange_types": overview::exchange_types(),
        "contexts": overview::contexts(management),
        "rabbitmq_version": version,
        "db_dir": management.settings.data_dir,
    });
    put_unknown(&mut node);
    if let (Value::Object(fields), Some(disk)) = (&mut node, disk) {
        fields.insert("disk_free".to_owned(), json!(disk.free));
        fields.insert("disk_free_limit".to_owned(), json!(disk.limit));
    } else if let Value::Object(fields) = &mut node {
        // Clients want a number; without a disk nothing limits.
        fields.insert("disk_free_limit".to_owned(), json!(0));
    }
    if let Value::Object(fields) = &mut node {
        let stats = &management.node.stats;
        overview::put_churn(rates, &stats.churn(), &stats.churn_history.lock().clone(), fields);
    }
    node
}

/// Fields that tools expect of every node and that mean nothing here; and what the disk did.
fn put_unknown(node: &mut Value) {
    const NUMBERS: [&str; 17] = [
        "gc_num",
        "gc_bytes_reclaimed",
        "context_switches",
        "io_read_count",
        "io_write_count",
        "io_sync_count",
        "io_seek_count",
        "io_reopen_count",
        "io_file_handle_open_attempt_count",
        "mnesia_ram_tx_count",
        "mnesia_disk_tx_count",
        "msg_store_read_count",
        "msg_store_write_count",
        "queue_index_read_count",
        "queue_index_write_count",
        "io_read_bytes",
        "io_write_bytes",
    ];
    const AVERAGES: [&str; 5] = [
        "io_read_avg_time",
        "io_write_avg_time",
        "io_sync_avg_time",
        "io_seek_avg_time",
        "io_file_handle_open_attempt_avg_time",
    ];
    const LENGTHS: [&str; 8] = [
        "connection_closed",
        "channel_closed",
        "consumer_deleted",
        "exchange_deleted",
        "queue_deleted",
        "vhost_deleted",
        "node_node_deleted",
        "channel_consumer_deleted",
    ];
    let Value::Object(fields) = node else { return };
    for (names, nothing) in [(&NUMBERS[..], json!(0)), (&AVERAGES, json!(0.0))] {
        for name in names {
            fields.insert((*name).to_owned(), nothing.clone());
            fields.insert(format!("{name}_details"), json!({ "rate": 0.0 }));
        }
    }
    let io = process::io();
    fields.insert("io_read_bytes".to_owned(), json!(io.read_octets));
    fields.insert("io_write_bytes".to_owned(), json!(io.written_octets));
    let lengths: Map<String, Value> = LENGTHS.iter().map(|name| ((*name).to_owned(), json!(0))).collect();
    fields.insert("metrics_gc_queue_length".to_owned(), Value::Object(lengths));
    fields.insert("ra_open_file_metrics".to_owned(), json!({}));
    fields.insert("net_ticktime".to_owned(), json!(60));
}

/// What the memory of the process is for, by RabbitMQ's names as far as they mean something here.
fn memory_parts(management: &Management) -> (Map<String, Value>, u64) {
    /// What only a broker in Erlang, or one with plugins, has.
    const NONE: [&str; 20] = [
        "connection_readers",
        "connection_writers",
        "connection_channels",
        "connection_other",
        "queue_slave_procs",
        "quorum_queue_dlx_procs",
        "stream_queue_replica_reader_procs",
        "stream_queue_coordinator_procs",
        "plugins",
        "metadata_store",
        "other_proc",
        "metrics",
        "mgmt_db",
        "mnesia",
        "quorum_ets",
        "metadata_store_ets",
        "other_ets",
        "msg_index",
        "atom",
        "allocated_unused",
    ];
    let (resident, code) = (process::resident_bytes(), process::code_bytes());
    let mut by_type = [0; QueueType::ALL.len()];
    for queue in management.node.queues() {
        let queue_type = queue.properties.arguments.queue_type;
        if let Some(sum) = by_type.get_mut(queue_type as usize) {
            *sum += queue.report(management.now()).memory;
        }
    }
    let of = |queue_type: QueueType| by_type.get(queue_type as usize).copied().unwrap_or_default();
    let queued: u64 = by_type.iter().sum();
    let elsewhere = management.node.alarms.account().held_bytes().saturating_sub(queued);
    let mut parts: Map<String, Value> = NONE.iter().map(|name| ((*name).to_owned(), json!(0))).collect();
    for (name, octets) in [
        ("queue_procs", of(QueueType::Classic)),
        ("quorum_queue_procs", of(QueueType::Quorum)),
        ("stream_queue_procs", of(QueueType::Stream)),
        // Messages that are in no queue: unacknowledged ones, and those under way.
        ("binary", elsewhere),
        ("code", code),
        ("other_system", resident.saturating_sub(queued + elsewhere + code)),
        ("reserved_unallocated", 0),
    ] {
        parts.insert(name.to_owned(), json!(octets));
    }
    (parts, resident)
}

/// What the memory is for: in octets, or in percent of the whole.
pub fn memory(call: &Call, name: &str, relative: bool) -> Result<Answer, Refusal> {
    check_name(call, name)?;
    let (mut parts, resident) = memory_parts(&call.management);
    if relative {
        let percent = |octets: u64| (octets * 100).div_ceil(resident.max(1));
        for octets in parts.values_mut() {
            *octets = json!(percent(octets.as_u64().unwrap_or_default()));
        }
        parts.insert("total".to_owned(), json!(100));
    } else {
        parts.insert("strategy".to_owned(), json!("rss"));
        let total = json!({ "erlang": resident, "rss": resident, "allocated": resident });
        parts.insert("total".to_owned(), total);
    }
    Ok(listing::single(json!({ "memory": parts }), &call.query))
}

fn check_name(call: &Call, name: &str) -> Result<(), Refusal> {
    if name == call.management.name { Ok(()) } else { Err(Refusal::not_found()) }
}

/// Forgets what was sampled, for rates and charts; counters go on.
pub fn reset(call: &Call, name: Option<&str>) -> Result<Answer, Refusal> {
    name.map_or(Ok(()), |name| check_name(call, name))?;
    call.node().forget_samples();
    tracing::info!("statistics reset by user '{}'", call.user.name);
    Ok(Answer::done())
}

pub fn list(call: &Call) -> Result<Answer, Refusal> {
    Ok(listing::plain(vec![node(&call.management, &Rates::of(call)?)], &call.query))
}

pub fn one(call: &Call, name: &str) -> Result<Answer, Refusal> {
    check_name(call, name)?;
    Ok(listing::single(node(&call.management, &Rates::of(call)?), &call.query))
}
