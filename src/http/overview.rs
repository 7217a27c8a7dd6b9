//! The overview, and small things that everybody asks first.

use serde_json::{Value, json};

use super::{Management, answer::Answer, call::Call, channels, listing, totals};
use crate::broker::topology::ExchangeKind;

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
    let listener = |protocol: &str, address: &std::net::SocketAddr| {
        json!({
            "node": management.name,
            "protocol": protocol,
            "ip_address": address.ip(),
            "port": address.port(),
            "socket_opts": {},
        })
    };
    let settings = &management.settings;
    let amqp = settings.amqp.iter().map(|address| listener("amqp", address));
    amqp.chain(settings.management.iter().map(|address| listener("http", address))).collect()
}

/// Where the interface is, in RabbitMQ's words for that.
pub fn contexts(management: &Management) -> Value {
    let context = |address: &std::net::SocketAddr| {
        json!({
            "node": management.name,
            "description": "RabbitMQ Management",
            "path": "/",
            "port": address.port().to_string(),
            "ip": address.ip(),
            "ssl_opts": [],
        })
    };
    management.settings.management.iter().map(context).collect()
}

pub async fn overview(call: &Call) -> Answer {
    let management = &call.management;
    let settings = &management.settings;
    let version = &settings.advertised_version;
    let vhosts = call.visible_vhosts();
    let totals = totals::of_vhosts(&vhosts);
    let connections = call.visible_connections();
    let channels = channels::count(&connections).await;
    let mut overview = json!({
        "management_version": version,
        "rabbitmq_version": version,
        "product_name": "leveret",
        "product_version": env!("CARGO_PKG_VERSION"),
        "erlang_version": "",
        "erlang_full_version": "",
        "cluster_name": settings.cluster_name,
        "cluster_tags": {},
        "node_tags": {},
        "default_queue_type": "classic",
        "rates_mode": "none",
        "sample_retention_policies": { "global": [], "basic": [], "detailed": [] },
        "disable_stats": false,
        "enable_queue_totals": false,
        "exchange_types": exchange_types(),
        "message_stats": {},
        "queue_totals": {
            "messages": totals.ready + totals.unacknowledged,
            "messages_ready": totals.ready,
            "messages_unacknowledged": totals.unacknowledged,
        },
        "object_totals": {
            "channels": channels,
            "connections": connections.len(),
            "consumers": totals.consumers,
            "exchanges": totals.exchanges,
            "queues": totals.queues,
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
    listing::single(overview, &call.query)
}

pub fn cluster_name(call: &Call) -> Answer {
    Answer::json(&json!({ "name": call.management.settings.cluster_name }))
}

pub fn whoami(call: &Call) -> Answer {
    Answer::json(&json!({ "name": &*call.user.name, "tags": call.user.tags }))
}
