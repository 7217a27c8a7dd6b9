//! Health checks: 200 with `ok`, or 503 with what is wrong.

use hyper::StatusCode;
use serde_json::{Value, json};

use super::{
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

pub fn check(call: &Call, check: &[String]) -> Result<Answer, Refusal> {
    let parts: Vec<&str> = check.iter().map(String::as_str).collect();
    match parts.as_slice() {
        ["alarms" | "local-alarms"] => Ok(alarms(call)),
        // A vhost that is there is served.
        ["virtual-hosts"] => Ok(healthy()),
        ["node-is-quorum-critical" | "node-is-mirror-sync-critical"] => {
            Ok(Answer::json(&json!({ "status": "ok", "reason": "single node cluster" })))
        }
        ["is-in-service" | "ready-to-serve-clients"] => Ok(healthy()),
        ["port-listener", port] => port_listener(call, port),
        ["protocol-listener", protocols] => Ok(protocol_listener(call, protocols)),
        // There is no TLS listener, and so no certificate that could expire.
        ["certificate-expiration", within, unit] => certificate_expiration(within, unit),
        _ => Err(Refusal::not_found()),
    }
}

fn alarms(call: &Call) -> Answer {
    let Some(reason) = call.node().alarms.reason() else { return healthy() };
    let resources = ["memory", "disk"].into_iter().filter(|resource| reason.contains(resource));
    let node = &call.management.name;
    let alarms = resources.map(|resource| json!({ "node": node, "resource": resource })).collect();
    failed("There are alarms in effect in the cluster", "alarms", &alarms)
}

fn port_listener(call: &Call, port: &str) -> Result<Answer, Refusal> {
    let port: u16 = port.parse().map_err(|_| Refusal::bad_request("Invalid port"))?;
    let settings = &call.management.settings;
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

fn protocol_listener(call: &Call, protocols: &str) -> Answer {
    let settings = &call.management.settings;
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
