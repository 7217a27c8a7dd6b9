//! The node: memory, disk, descriptors, as far as the operating system tells.

use serde_json::{Value, json};

use super::{
    Management,
    answer::{Answer, Refusal},
    call::Call,
    listing, overview, process,
    stats::Rates,
};

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

pub fn list(call: &Call) -> Result<Answer, Refusal> {
    Ok(listing::plain(vec![node(&call.management, &Rates::of(call)?)], &call.query))
}

pub fn one(call: &Call, name: &str) -> Result<Answer, Refusal> {
    if name != call.management.name {
        return Err(Refusal::not_found());
    }
    Ok(listing::single(node(&call.management, &Rates::of(call)?), &call.query))
}
