//! Health checks: 200 with `ok`, or 503 with what is wrong.

use hyper::StatusCode;
use serde_json::{Value, json};

use super::{
    Management,
    answer::{Answer, Refusal},
    call::Call,
};

fn healthy() -> Answer {
    Answer::json(&json!({ "status": "ok" }))
}

fn failed(reason: &str, key: &str, value: &Value) -> Answer {
    let body = json!({ "status": "failed", "reason": reason, key: value });
    Answer::with_status(StatusCode::SERVICE_UNAVAILABLE, &body)
}

pub fn check(management: &Management, check: &[String]) -> Result<Answer, Refusal> {
    let parts: Vec<&str> = check.iter().map(String::as_str).collect();
    match parts.as_slice() {
        ["alarms" | "local-alarms"] => Ok(alarms(management)),
        // A vhost that is there is served; what is asked of clusters holds for one node as soon as it answers.
        ["virtual-hosts"]
        | ["is-in-service" | "ready-to-serve-clients" | "reached-target-cluster-size"]
        | ["metadata-store", "initialized"]
        | ["metadata-store", "initialized", "with-data"] => Ok(healthy()),
        ["quorum-queues-without-elected-leaders", "all-vhosts", "pattern", _]
        | ["quorum-queues-without-elected-leaders", "vhost", _, "pattern", _] => Ok(healthy()),
        ["node-is-quorum-critical" | "node-is-mirror-sync-critical"] => {
            Ok(Answer::json(&json!({ "status": "ok", "reason": "single node cluster" })))
        }
        ["below-node-connection-limit"] => Ok(below_connection_limit(management)),
        ["port-listener", port] => port_listener(management, port),
        ["protocol-listener", protocols] => Ok(protocol_listener(management, protocols)),
        // There is no TLS listener, and so no certificate that could expire.
        ["certificate-expiration", within, unit] => certificate_expiration(within, unit),
        _ => Err(Refusal::not_found()),
    }
}

/// The check of old clients: no alarm, and the node is the one that is asked.
pub fn node(call: &Call, name: Option<&str>) -> Result<Answer, Refusal> {
    if name.is_some_and(|name| name != call.management.name) {
        return Err(Refusal::not_found());
    }
    Ok(alarms(&call.management))
}

fn below_connection_limit(management: &Management) -> Answer {
    let limits = (management.settings.limits)();
    let limit = limits.iter().find(|limit| limit.name == "limits.connections_max");
    let connections = management.node.connection_count() as u64;
    match limit.and_then(|limit| limit.limit) {
        Some(most) if most <= connections => {
            let body = json!({
                "status": "failed", "reason": "connection limit is reached", "limit": most,
                "connections": connections,
            });
            Answer::with_status(StatusCode::SERVICE_UNAVAILABLE, &body)
        }
        limit => Answer::json(&json!({ "status": "ok", "limit": limit, "connections": connections })),
    }
}

fn alarms(management: &Management) -> Answer {
    let Some(reason) = management.node.alarms.reason() else { return healthy() };
    let resources = ["memory", "disk"].into_iter().filter(|resource| reason.contains(resource));
    let node = &management.name;
    let alarms = resources.map(|resource| json!({ "node": node, "resource": resource })).collect();
    failed("There are alarms in effect in the cluster", "alarms", &alarms)
}

fn port_listener(management: &Management, port: &str) -> Result<Answer, Refusal> {
    let port: u16 = port.parse().map_err(|_| Refusal::bad_request("Invalid port"))?;
    let settings = &management.settings;
    let ports: Vec<u16> = settings
        .amqp
        .iter()
        .chain(&settings.management)
        .chain(&settings.prometheus)
        .map(|address| address.port())
        .collect();
    if ports.contains(&port) {
        return Ok(Answer::json(&json!({ "status": "ok", "port": port })));
    }
    let body = json!({ "status": "failed", "reason": "No active listener", "missing": port, "ports": ports });
    Ok(Answer::with_status(StatusCode::SERVICE_UNAVAILABLE, &body))
}

fn protocol_listener(management: &Management, protocols: &str) -> Answer {
    let settings = &management.settings;
    let mut active = Vec::new();
    if !settings.amqp.is_empty() {
        active.push("amqp");
    }
    if !settings.management.is_empty() {
        active.push("http");
    }
    if !settings.prometheus.is_empty() {
        active.push("http/prometheus");
    }
    let wanted: Vec<&str> = protocols.split(',').map(str::trim).collect();
    let is_active = |protocol: &&str| match *protocol {
        "amqp091" | "amqp" => active.contains(&"amqp"),
        other => active.contains(&other),
    };
    let missing: Vec<&str> = wanted.iter().copied().filter(|protocol| !is_active(protocol)).collect();
    if missing.is_empty() {
        return Answer::json(&json!({ "status": "ok", "protocol": protocols, "protocols": wanted }));
    }
    let body = json!({
        "status": "failed", "reason": "No active listener", "missing": missing, "protocols": active,
    });
    Answer::with_status(StatusCode::SERVICE_UNAVAILABLE, &body)
}

fn certificate_expiration(within: &str, unit: &str) -> Result<Answer, Refusal> {
    let is_unit = ["days", "weeks", "months", "years"].contains(&unit);
    if !is_unit || within.parse::<u32>().is_err() {
        return Err(Refusal::bad_request("Invalid expiration unit or value"));
    }
    Ok(healthy())
}

/// The vhost answers questions, so it is alive.
pub fn aliveness(call: &Call, vhost: &str) -> Result<Answer, Refusal> {
    call.vhost(vhost)?.check_exchange("amq.direct")?;
    Ok(healthy())
}
