//! Prometheus metrics, under RabbitMQ's names for what exists here. Sums only; objects are the API's.

use std::fmt::{Display, Write};

use hyper::StatusCode;

use super::{Management, answer::Answer, process};

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The text of a scrape.
struct Scrape(String);

impl Scrape {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _always_ok = writeln!(self.0, "# TYPE {name} {kind}\n# HELP {name} {help}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        for (at, (label, value)) in labels.iter().enumerate() {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _always_ok = write!(self.0, "{}{label}=\"{value}\"", if at == 0 { '{' } else { ',' });
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        let _always_ok = writeln!(self.0, " {value}");
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, "gauge", help);
        self.sample(name, &[], value);
    }
}

pub fn answer(management: &Management) -> Answer {
    let mut scrape = Scrape(String::with_capacity(8 << 10));
    identity(management, &mut scrape);
    node(management, &mut scrape);
    objects(management, &mut scrape);
    limits(management, &mut scrape);
    Answer {
        status: StatusCode::OK,
        body: Some(scrape.0.into_bytes()),
        content_type: TEXT,
        headers: Vec::new(),
    }
}

fn identity(management: &Management, scrape: &mut Scrape) {
    let settings = &management.settings;
    let labels = [
        ("rabbitmq_version", settings.advertised_version.as_str()),
        ("product_name", "leveret"),
        ("product_version", env!("CARGO_PKG_VERSION")),
    ];
    scrape.family("rabbitmq_build_info", "untyped", "Versions");
    scrape.sample("rabbitmq_build_info", &labels, 1);
    let labels = [
        ("rabbitmq_node", management.name.as_str()),
        ("rabbitmq_cluster", settings.cluster_name.as_str()),
        ("rabbitmq_endpoint", "aggregated"),
    ];
    scrape.family("rabbitmq_identity_info", "untyped", "Who is scraped");
    scrape.sample("rabbitmq_identity_info", &labels, 1);
}

fn node(management: &Management, scrape: &mut Scrape) {
    let alarms = &management.node.alarms;
    let (descriptors, sockets) = process::descriptors();
    let descriptors_max = process::descriptors_max();
    let resident = process::resident_bytes();
    let uptime = management.uptime() as f64 / 1000.0;
    scrape.gauge("rabbitmq_process_open_fds", "Open file descriptors", descriptors);
    scrape.gauge("rabbitmq_process_max_fds", "Most open file descriptors", descriptors_max);
    scrape.gauge("rabbitmq_process_open_tcp_sockets", "Open sockets", sockets);
    scrape.gauge("rabbitmq_process_max_tcp_sockets", "Most open sockets", descriptors_max);
    scrape.gauge("rabbitmq_process_resident_memory_bytes", "Resident memory", resident);
    scrape.gauge("rabbitmq_resident_memory_limit_bytes", "Memory watermark", alarms.memory_limit());
    if let Some(disk) = management.settings.disk.as_ref().and_then(|disk| disk()) {
        scrape.gauge("rabbitmq_disk_space_available_bytes", "Free disk space", disk.free);
        scrape.gauge("rabbitmq_disk_space_available_limit_bytes", "Least free disk space", disk.limit);
    }
    scrape.gauge("rabbitmq_erlang_uptime_seconds", "Time since the start", uptime);
    let reason = alarms.reason().unwrap_or_default();
    let alarm = |resource| u8::from(reason.contains(resource));
    for (name, help, value) in [
        ("rabbitmq_alarms_memory_used_watermark", "The memory alarm", alarm("memory")),
        ("rabbitmq_alarms_free_disk_space_watermark", "The disk alarm", alarm("disk")),
    ] {
        scrape.family(name, "untyped", help);
        scrape.sample(name, &[], value);
    }
    scrape.family("process_cpu_seconds_total", "counter", "Processor time used");
    scrape.sample("process_cpu_seconds_total", &[], process::cpu_seconds());
}

/// Every limit that clients can run into, by the name of its configuration key.
fn limits(management: &Management, scrape: &mut Scrape) {
    let limits = (management.settings.limits)();
    scrape.family("leveret_limit", "gauge", "What may be, for each limit that is set");
    for limit in &limits {
        if let Some(most) = limit.limit {
            scrape.sample("leveret_limit", &[("limit", limit.name)], most);
        }
    }
    scrape.family("leveret_limit_current", "gauge", "What there is, for limits of the whole broker");
    for limit in &limits {
        if let Some(current) = limit.current {
            scrape.sample("leveret_limit_current", &[("limit", limit.name)], current);
        }
    }
    let help = "How often a limit refused, delayed or dropped something or somebody";
    scrape.family("leveret_limit_refusals_total", "counter", help);
    for limit in &limits {
        scrape.sample("leveret_limit_refusals_total", &[("limit", limit.name)], limit.refusals);
    }
}

fn objects(management: &Management, scrape: &mut Scrape) {
    let node = &management.node;
    let totals = node.sums(node.vhosts(), management.now());
    let held = node.alarms.account().held_bytes();
    scrape.gauge("rabbitmq_connections", "Open connections", node.connection_count());
    scrape.gauge("rabbitmq_channels", "Open channels", node.occupancy.channels());
    scrape.gauge("rabbitmq_consumers", "Consumers", totals.consumers);
    scrape.gauge("rabbitmq_queues", "Queues", totals.queues);
    scrape.family("rabbitmq_global_consumers", "gauge", "Consumers");
    scrape.sample("rabbitmq_global_consumers", &[("protocol", "amqp091")], totals.consumers);
    if totals.queues != 0 {
        // Without queues these would say that none has a message, which nobody asked.
        let counts = totals.counts;
        let messages = counts.ready + counts.unacknowledged;
        scrape.gauge("rabbitmq_queue_messages_ready", "Ready messages", counts.ready);
        scrape.gauge("rabbitmq_queue_messages_unacked", "Unacknowledged messages", counts.unacknowledged);
        scrape.gauge("rabbitmq_queue_messages", "Messages", messages);
        scrape.gauge("rabbitmq_queue_consumers", "Consumers of queues", totals.consumers);
        scrape.gauge("rabbitmq_queue_messages_ready_bytes", "Ready bodies", counts.ready_bytes);
    }
    scrape.gauge("leveret_messages_held_bytes", "Memory that messages take", held);
}
