//! The overview, and small things that everybody asks first.

use std::net::SocketAddr;

use serde_json::{Map, Value, json};

use super::{
    Management,
    answer::{Answer, Refusal},
    call::{Call, need, text},
    listing,
    stats::{CHANNEL, Chart, DISK, LENGTHS, Rates},
};
use crate::{
    broker::topology::ExchangeKind,
    engine::stats::{Churn, History},
};

/// Exchange types by name.
pub fn exchange_types() -> Value {
    let mut names: Vec<&str> = ExchangeKind::ALL.iter().map(|kind| kind.name()).collect();
    names.sort_unstable();
    names
        .iter()
        .map(|name| {
            json!({
                "name": name,
                "description": format!("{name} exchange"),
                "enabled": true,
            })
        })
        .collect()
}

/// Where the broker listens, as listings have it.
pub fn listeners(management: &Management) -> Value {
    let listener = |(protocol, address): &(&str, SocketAddr)| {
        json!({
            "node": management.name,
            "protocol": protocol,
            "ip_address": address.ip(),
            "port": address.port(),
            "socket_opts": {},
        })
    };
    management.settings.listeners.iter().map(listener).collect()
}

/// Where the interface is, in RabbitMQ's words for that.
pub fn contexts(management: &Management) -> Value {
    let context = |(protocol, address): &(&str, SocketAddr)| {
        // What there is to know of TLS are the files.
        let ssl_opts: Vec<Value> = match *protocol {
            "https" => (management.settings.certificates)(protocol)
                .iter()
                .map(|certificate| json!({ "certfile": certificate.path.display().to_string() }))
                .collect(),
            _ => Vec::new(),
        };
        json!({
            "node": management.name,
            "description": "RabbitMQ Management",
            "path": "/",
            "port": address.port().to_string(),
            "ip": address.ip(),
            "ssl_opts": ssl_opts,
        })
    };
    let own =
        management.settings.listeners.iter().filter(|(protocol, _)| matches!(*protocol, "http" | "https"));
    own.map(context).collect()
}

/// Names of what comes and goes, in the order in which it is counted.
const CHURN: [&str; 7] = [
    "connection_created",
    "connection_closed",
    "channel_created",
    "channel_closed",
    "queue_declared",
    "queue_created",
    "queue_deleted",
];

/// What came and went, of the whole node.
pub fn put_churn(rates: &Rates, churn: &Churn, history: &History<7>, fields: &mut Map<String, Value>) {
    for (at, name) in CHURN.into_iter().enumerate() {
        let sum = |churn: &Churn| churn.get(at).copied().unwrap_or(0);
        rates.put(fields, Chart::Messages, (history, churn), name, sum);
    }
}

pub fn overview(call: &Call) -> Result<Answer, Refusal> {
    let management = &call.management;
    let settings = &management.settings;
    let version = &settings.advertised_version;
    let vhosts = call.visible_vhosts();
    let rates = Rates::of(call)?;
    let sums = call.node().sums(vhosts, rates.now());
    let connections = call.visible_connections();
    let channels: usize = connections.iter().map(|connection| connection.meter.channel_count()).sum();
    let stats = &call.node().stats;
    // Only the sums of all vhosts have a history.
    let history = if call.user.is_monitor() { stats.history.lock().clone() } else { History::default() };
    let mut queue_totals = Map::new();
    rates.put_all(&mut queue_totals, Chart::Lengths, &history, &sums.figures, LENGTHS);
    let message_stats = rates.message_stats(&history, &sums.figures, &[CHANNEL, DISK]);
    let mut churn = Map::new();
    if call.user.is_monitor() {
        put_churn(&rates, &stats.churn(), &stats.churn_history.lock().clone(), &mut churn);
    }
    let mut overview = json!({
        "management_version": version,
        "rabbitmq_version": version,
        "product_name": "leveret",
        "product_version": env!("CARGO_PKG_VERSION"),
        "erlang_version": "",
        "erlang_full_version": "",
        "cluster_name": management.cluster_name(),
        "cluster_tags": {},
        "node_tags": {},
        "default_queue_type": "classic",
        "rates_mode": "basic",
        "sample_retention_policies": { "global": [600, 3600], "basic": [600], "detailed": [600] },
        "is_op_policy_updating_enabled": true,
        "disable_stats": false,
        "enable_queue_totals": false,
        "exchange_types": exchange_types(),
        "message_stats": message_stats.unwrap_or_else(|| json!({})),
        "churn_rates": churn,
        "queue_totals": queue_totals,
        "object_totals": {
            "channels": channels,
            "connections": connections.len(),
            "consumers": sums.consumers,
            "exchanges": sums.exchanges,
            "queues": sums.queues,
        },
        "statistics_db_event_queue": 0,
    });
    if call.user.is_monitor()
        && let Value::Object(fields) = &mut overview
    {
        fields.insert("node".to_owned(), json!(management.name));
        fields.insert("listeners".to_owned(), listeners(management));
        fields.insert("contexts".to_owned(), contexts(management));
    }
    Ok(listing::single(overview, &call.query))
}

pub fn cluster_name(call: &Call) -> Result<Answer, Refusal> {
    if call.is_get() {
        return Ok(Answer::json(&json!({ "name": call.management.cluster_name() })));
    }
    let object = call.object()?;
    need(&object, &["name"])?;
    let name = text(&object, "name")?;
    super::vhosts::check_name(&name)?;
    call.node().access.set_cluster_name(&name);
    tracing::info!("cluster name set to '{}' by user '{}'", name.escape_debug(), call.user.name);
    Ok(Answer::done())
}

pub fn whoami(call: &Call) -> Answer {
    Answer::json(&json!({ "name": &*call.user.name, "tags": call.user.tags }))
}
