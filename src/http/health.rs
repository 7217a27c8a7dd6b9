//! Health checks: 200 with `ok`, or 503 with what is wrong.

use std::net::SocketAddr;

use hyper::StatusCode;
use serde_json::{Value, json};

use super::{
    Management,
    answer::{Answer, Refusal},
    call::Call,
};
use crate::{engine::ServiceState, tls::LoadedCertificate};

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
        | ["reached-target-cluster-size"]
        | ["metadata-store", "initialized"]
        | ["metadata-store", "initialized", "with-data"] => Ok(healthy()),
        ["quorum-queues-without-elected-leaders", "all-vhosts", "pattern", _]
        | ["quorum-queues-without-elected-leaders", "vhost", _, "pattern", _] => Ok(healthy()),
        ["node-is-quorum-critical" | "node-is-mirror-sync-critical"] => {
            Ok(Answer::json(&json!({ "status": "ok", "reason": "single node cluster" })))
        }
        ["is-in-service" | "ready-to-serve-clients"] => Ok(match management.node.service.state() {
            ServiceState::Serving => healthy(),
            state => failed("this node is not in service", "state", &json!(state.name())),
        }),
        ["below-node-connection-limit"] => Ok(below_connection_limit(management)),
        ["port-listener", port] => port_listener(management, port),
        ["protocol-listener", protocols] => Ok(protocol_listener(management, protocols)),
        ["certificate-expiration", within, unit] => certificate_expiration(management, within, unit),
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
    let ports: Vec<u16> = settings.listeners.iter().map(|(_, address)| address.port()).collect();
    if ports.contains(&port) {
        return Ok(Answer::json(&json!({ "status": "ok", "port": port })));
    }
    let body = json!({ "status": "failed", "reason": "No active listener", "missing": port, "ports": ports });
    Ok(Answer::with_status(StatusCode::SERVICE_UNAVAILABLE, &body))
}

fn protocol_listener(management: &Management, protocols: &str) -> Answer {
    let settings = &management.settings;
    let mut active: Vec<&str> = settings.listeners.iter().map(|(protocol, _)| *protocol).collect();
    active.dedup();
    let wanted: Vec<&str> = protocols.split(',').map(str::trim).collect();
    let is_active = |protocol: &&str| match *protocol {
        "amqp091" | "amqp" => active.contains(&"amqp"),
        "amqps" => active.contains(&"amqp/ssl"),
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

/// Whether a certificate in use runs out within a time from now.
fn certificate_expiration(management: &Management, within: &str, unit: &str) -> Result<Answer, Refusal> {
    const DAY: u64 = 86_400;
    let unit = match unit {
        "days" => Some(DAY),
        "weeks" => Some(DAY * 7),
        "months" => Some(DAY * 30),
        "years" => Some(DAY * 365),
        _ => None,
    };
    let (Some(unit), Ok(within)) = (unit, within.parse::<u32>()) else {
        return Err(Refusal::bad_request("Invalid expiration unit or value"));
    };
    let until = management.now() / 1_000 + u64::from(within) * unit;
    let until = i64::try_from(until).unwrap_or(i64::MAX);
    let settings = &management.settings;
    let expired: Vec<Value> =
        settings.listeners.iter().filter_map(|listener| expiring(management, *listener, until)).collect();
    match expired.is_empty() {
        true => Ok(healthy()),
        false => Ok(failed("Certificates expiring", "expired", &json!(expired))),
    }
}

/// A listener with those of its certificates that run out before a second.
fn expiring(management: &Management, (protocol, address): (&str, SocketAddr), until: i64) -> Option<Value> {
    let certificates = (management.settings.certificates)(protocol);
    let expiring = certificates.iter().filter(|certificate| certificate.expires_at <= until);
    let (issuers, own): (Vec<_>, Vec<_>) = expiring.partition(|certificate| certificate.is_issuer);
    if issuers.is_empty() && own.is_empty() {
        return None;
    }
    let files =
        |of: &[&LoadedCertificate]| of.iter().map(|one| one.path.display().to_string()).collect::<Vec<_>>();
    let dates = |of: &[&LoadedCertificate]| of.iter().map(|one| one.expires.clone()).collect::<Vec<_>>();
    Some(json!({
        "node": management.name,
        "protocol": protocol,
        "interface": address.ip(),
        "port": address.port(),
        "certfile": files(&own),
        "certfile_expires_on": dates(&own),
        "cacertfile": files(&issuers),
        "cacertfile_expires_on": dates(&issuers),
    }))
}

/// The vhost answers questions, so it is alive.
pub fn aliveness(call: &Call, vhost: &str) -> Result<Answer, Refusal> {
    call.vhost(vhost)?.check_exchange("amq.direct")?;
    Ok(healthy())
}
