//! The node: who it is, its resources, its alarms, its limits.

use super::{
    super::{Management, process},
    scrape::{Scrape, counter, gauge, labels, untyped},
};

pub fn identity(management: &Management, scrape: &mut Scrape, endpoint: &str) {
    let settings = &management.settings;
    let version = settings.advertised_version.as_str();
    let build = labels(&[
        ("rabbitmq_version", version),
        ("prometheus_plugin_version", version),
        ("prometheus_client_version", ""),
        ("erlang_version", ""),
        ("product_name", "leveret"),
        ("product_version", env!("CARGO_PKG_VERSION")),
    ]);
    scrape.family(untyped("build_info", "Versions"), [(build, 1.0)]);
    let identity = labels(&[
        ("rabbitmq_node", management.name.as_str()),
        ("rabbitmq_cluster", &management.cluster_name()),
        ("rabbitmq_cluster_permanent_id", &permanent_id(management)),
        ("rabbitmq_endpoint", endpoint),
    ]);
    scrape.family(untyped("identity_info", "Who is scraped"), [(identity, 1.0)]);
}

/// Tells brokers apart that are called alike on different machines.
fn permanent_id(management: &Management) -> String {
    management.node.access.cluster_id().unwrap_or_default()
}

pub fn resources(management: &Management, scrape: &mut Scrape) {
    let alarms = &management.node.alarms;
    let (descriptors, sockets) = process::descriptors();
    let (descriptors_max, resident) = (process::descriptors_max() as f64, process::resident_bytes() as f64);
    scrape.one(gauge("process_open_fds", "Open file descriptors"), descriptors as f64);
    scrape.one(gauge("process_max_fds", "Most open file descriptors"), descriptors_max);
    scrape.one(gauge("process_open_tcp_sockets", "Open sockets"), sockets as f64);
    scrape.one(gauge("process_max_tcp_sockets", "Most open sockets"), descriptors_max);
    scrape.one(gauge("process_resident_memory_bytes", "Resident memory"), resident);
    scrape.one(gauge("resident_memory_limit_bytes", "Memory watermark"), alarms.memory_limit() as f64);
    if let Some(disk) = management.settings.disk.as_ref().and_then(|disk| disk()) {
        scrape.one(gauge("disk_space_available_bytes", "Free disk space"), disk.free as f64);
        scrape.one(gauge("disk_space_available_limit_bytes", "Least free disk space"), disk.limit as f64);
    }
    let uptime = management.uptime() as f64 / 1000.0;
    scrape.one(gauge("erlang_uptime_seconds", "Time since the start"), uptime);
    let reason = alarms.reason().unwrap_or_default();
    let alarm = |resource| f64::from(u8::from(reason.contains(resource)));
    scrape.one(untyped("alarms_memory_used_watermark", "The memory alarm"), alarm("memory"));
    scrape.one(untyped("alarms_free_disk_space_watermark", "The disk alarm"), alarm("disk"));
    let at_limit = f64::from(u8::from(descriptors_max <= descriptors as f64));
    scrape.one(untyped("alarms_file_descriptor_limit", "No descriptor is left"), at_limit);
    let io = process::io();
    scrape.one(counter("io_read_bytes_total", "Octets read from disk"), io.read_octets as f64);
    scrape.one(counter("io_write_bytes_total", "Octets written to disk"), io.written_octets as f64);
    // The usual names for a process, for dashboards that know no RabbitMQ.
    let started = management.settings.started_at as f64 / 1000.0;
    for (head, value) in [
        (counter("process_cpu_seconds_total", "Processor time used"), process::cpu_seconds()),
        (gauge("process_resident_memory_bytes", "Resident memory"), resident),
        (gauge("process_open_fds", "Open file descriptors"), descriptors as f64),
        (gauge("process_max_fds", "Most open file descriptors"), descriptors_max),
        (gauge("process_start_time_seconds", "When it started"), started),
    ] {
        scrape.plain(head, [(String::new(), value)]);
    }
    let held = management.node.alarms.account().held_bytes() as f64;
    scrape.plain(gauge("leveret_messages_held_bytes", "Memory that messages take"), [(String::new(), held)]);
}

/// Every limit that clients can run into, by the name of its configuration key.
pub fn limits(management: &Management, scrape: &mut Scrape) {
    let limits = (management.settings.limits)();
    let label = |name: &str| labels(&[("limit", name)]);
    let set = limits.iter().filter_map(|limit| Some((label(limit.name), limit.limit? as f64)));
    scrape.plain(gauge("leveret_limit", "What may be, for each limit that is set"), set);
    let current = limits.iter().filter_map(|limit| Some((label(limit.name), limit.current? as f64)));
    scrape.plain(gauge("leveret_limit_current", "What there is, for limits of the whole broker"), current);
    let refusals = limits.iter().map(|limit| (label(limit.name), limit.refusals as f64));
    let help = "How often a limit refused, delayed or dropped something or somebody";
    scrape.plain(counter("leveret_limit_refusals_total", help), refusals);
}

/// What memory is used for.
pub fn memory(management: &Management, scrape: &mut Scrape) {
    let resident = process::resident_bytes();
    let messages = management.node.alarms.account().held_bytes();
    scrape.one(gauge("memory_binary_bytes", "Messages"), messages as f64);
    scrape
        .one(gauge("memory_other_system_bytes", "Everything else"), resident.saturating_sub(messages) as f64);
}
