//! Health checks: `rabbitmq-diagnostics check_...`.

use std::{
    net::{IpAddr, SocketAddr, TcpStream},
    time::Duration,
};

use serde_json::{Value, json};

use super::{
    CTL_AND_DIAGNOSTICS, Command, DIAGNOSTICS, command,
    status::{alarm_line, listener_lines, listeners},
};
use crate::ctl::{
    api::Reply,
    call::{Call, refused},
    failure::{DATA, Failure, Result, UNAVAILABLE},
    output::Output,
    words::valued,
};

const CONNECT_PATIENCE: Duration = Duration::from_secs(10);

const fn check(
    name: &'static str,
    usage: &'static str,
    about: &'static str,
    banner: fn(&Call) -> String,
    run: fn(&mut Call) -> Result<Output>,
) -> Command {
    let arity = if usage.is_empty() || matches!(usage.as_bytes(), [b'[', ..]) { (0, 0) } else { (1, 1) };
    command(name, usage, about, arity, banner, run).of(DIAGNOSTICS).check()
}

pub const COMMANDS: &[Command] = &[
    command(
        "alarms",
        "",
        "Lists alarms of memory and disk that are in effect",
        (0, 0),
        |call| format!("Asking node {} to report any known resource alarms ...", call.node),
        |call| {
            let alarms = alarms(call)?;
            let text = if alarms.is_empty() {
                format!("Node {} reported no alarms, local or clusterwide", call.node)
            } else {
                format!("Node {} reported alarms:\n{}", call.node, lines(call, &alarms))
            };
            let json = json!({
                "result": "ok", "node": call.node, "alarms": alarms, "global": alarms, "local": alarms,
                "message": if alarms.is_empty() { text.as_str() } else { "" },
            });
            Ok(Output::Said { text, json })
        },
    )
    .of(DIAGNOSTICS),
    check(
        "check_alarms",
        "",
        "Ends well if no alarm is in effect",
        |call| format!("Asking node {} to report any local resource alarms ...", call.node),
        |call| check_alarms(call, "no alarms, local or clusterwide"),
    ),
    check(
        "check_certificate_expiration",
        "[--within <period>] [--unit <unit>]",
        "Ends well if no certificate of a listener ends so soon",
        |call| format!("Checking certificate expiration on node {} ...", call.node),
        certificates,
    )
    .with(&[valued("within"), valued("unit")]),
    check(
        "check_local_alarms",
        "",
        "Ends well if no alarm of this node is in effect",
        |call| format!("Asking node {} to report any local resource alarms ...", call.node),
        |call| check_alarms(call, "no local alarms"),
    ),
    check(
        "check_port_connectivity",
        "[--address <address>]",
        "Ends well if every listener can be connected to",
        |call| format!("Testing TCP connections to all active listeners on node {} ...", call.node),
        connectivity,
    )
    .with(&[valued("address")]),
    check(
        "check_port_listener",
        "<port>",
        "Ends well if there is a listener at this port",
        |call| format!("Asking node {} if there's an active listener on port {} ...", call.node, call.arg(0)),
        |call| {
            if call.arg(0).parse::<u16>().is_ok_and(|port| 0 < port) {
                listener(call, "port")
            } else {
                Err(Failure::argument("Argument must be a positive integer"))
            }
        },
    ),
    check(
        "check_protocol_listener",
        "<protocol>",
        "Ends well if there is a listener for this protocol",
        |call| {
            format!(
                "Asking node {} if there's an active listener for protocol {} ...",
                call.node,
                call.arg(0)
            )
        },
        |call| listener(call, "protocol"),
    ),
    check(
        "check_running",
        "",
        "Ends well if the broker serves clients",
        |call| format!("Checking if RabbitMQ is running on node {} ...", call.node),
        running,
    ),
    check(
        "check_virtual_hosts",
        "",
        "Ends well if all virtual hosts are served",
        |call| format!("Checking if all vhosts are running on node {} ...", call.node),
        |call| {
            let text = format!("Node {} reported all vhosts as running", call.node);
            passed(call, "virtual-hosts", &text)
        },
    ),
    check(
        "is_booting",
        "",
        "Says whether the broker is starting, which it is not when it answers",
        |call| format!("Asking node {} for its boot status ...", call.node),
        |call| {
            call.get_json("version")?;
            let text = format!(
                "RabbitMQ on node {} is fully booted (check with is_running), stopped or has not started booting yet",
                call.node
            );
            Ok(Output::Said { json: json!({ "result": false, "message": text }), text })
        },
    ),
    check(
        "is_running",
        "",
        "Says whether the broker serves clients",
        |call| format!("Asking node {} for its status ...", call.node),
        running,
    ),
    command(
        "listeners",
        "",
        "Lists what the broker listens on",
        (0, 0),
        |call| format!("Asking node {} to report its protocol listeners ...", call.node),
        |call| {
            let found = listeners(&call.get_json("overview")?);
            let json = json!({ "result": "ok", "node": call.node, "listeners": found });
            Ok(Output::Said { text: listener_lines(&found, false), json })
        },
    )
    .of(DIAGNOSTICS),
    command(
        "node_health_check",
        "",
        "Ends well if no alarm is in effect and all virtual hosts are served",
        (0, 0),
        |call| format!("Checking health of node {} ...", call.node),
        |call| {
            check_alarms(call, "")?;
            passed(call, "virtual-hosts", "Health check passed")
        },
    )
    .of(CTL_AND_DIAGNOSTICS)
    .check(),
];

/// The answer of a health check of the API, which is not a failure when the check fails.
fn health(call: &mut Call, check: &str) -> Result<Reply> {
    let reply = call.get(&format!("health/checks/{check}"))?;
    if reply.is_fine() || reply.status == 503 { Ok(reply) } else { Err(refused(&reply)) }
}

fn said(text: impl Into<String>) -> Output {
    let text = text.into();
    Output::Said { json: json!({ "result": "ok", "message": text }), text }
}

fn passed(call: &mut Call, check: &str, text: &str) -> Result<Output> {
    let reply = health(call, check)?;
    if reply.is_fine() { Ok(said(text)) } else { Err(Failure::new(UNAVAILABLE, reply.reason())) }
}

fn running(call: &mut Call) -> Result<Output> {
    if !health(call, "ready-to-serve-clients")?.is_fine() {
        let text = format!(
            "RabbitMQ on node {} is not running or has not fully booted yet (check with is_booting)",
            call.node
        );
        return Err(Failure::new(UNAVAILABLE, text));
    }
    Ok(said(format!("RabbitMQ on node {} is fully booted and running", call.node)))
}

/// The resources for which there are alarms.
fn alarms(call: &mut Call) -> Result<Vec<Value>> {
    let reply = health(call, "alarms")?;
    Ok(reply.json()["alarms"].as_array().cloned().unwrap_or_default())
}

fn lines(call: &Call, alarms: &[Value]) -> String {
    let line = |alarm: &Value| alarm_line(alarm["resource"].as_str().unwrap_or_default(), &call.node);
    alarms.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn check_alarms(call: &mut Call, without: &str) -> Result<Output> {
    let alarms = alarms(call)?;
    if alarms.is_empty() {
        return Ok(said(format!("Node {} reported {without}", call.node)));
    }
    let text = format!("Node {} reported alarms:\n{}", call.node, lines(call, &alarms));
    Err(Failure::new(UNAVAILABLE, text))
}

fn certificates(call: &mut Call) -> Result<Output> {
    let within = call.option("within").unwrap_or("4").to_owned();
    let unit = call.option("unit").unwrap_or("weeks").to_owned();
    let reply = health(call, &format!("certificate-expiration/{within}/{unit}"));
    let reply = reply.map_err(|failure| match failure.code {
        DATA => Failure::argument(format!(
            "unit '{unit}' is not supported. Please use one of: days, weeks, months, years"
        )),
        _ => failure,
    })?;
    if reply.is_fine() {
        return Ok(said(format!("No certificates are expiring within {within} {unit}.")));
    }
    Err(Failure::new(UNAVAILABLE, reply.reason()))
}

/// A listener at a port or for a protocol, named by the first argument.
fn listener(call: &mut Call, kind: &str) -> Result<Output> {
    let wanted = call.arg(0).to_owned();
    let reply = health(call, &format!("{kind}-listener/{}", crate::ctl::api::segment(&wanted)))?;
    if reply.is_fine() {
        let text = format!("A listener for {kind} {wanted} is running on node {}.", call.node);
        return Ok(Output::Said { json: json!({ "result": "ok", "node": call.node, kind: wanted }), text });
    }
    let answer = reply.json();
    let found = answer[format!("{kind}s").as_str()].as_array().cloned().unwrap_or_default();
    let found: Vec<String> = found.iter().map(crate::ctl::output::cell).collect();
    let those = if kind == "port" { "that use the following ports" } else { "for the following protocols" };
    let text = format!(
        "No listener for {kind} {wanted} is active on node {}. Found listeners {those}: {}",
        call.node,
        found.join(", ")
    );
    // As it is: of one it is an error, of the other only a text.
    Err(if kind == "port" { Failure::bare(UNAVAILABLE, text) } else { Failure::new(UNAVAILABLE, text) })
}

/// Connects to every listener, at an address of this machine when it listens on all.
fn connectivity(call: &mut Call) -> Result<Output> {
    let overview = call.get_json("overview")?;
    let elsewhere: Option<IpAddr> = match call.option("address") {
        None => None,
        Some(text) => {
            Some(text.parse().map_err(|_| Failure::argument(format!("'{text}' is not an IP address")))?)
        }
    };
    let (mut ports, mut failed) = (Vec::new(), Vec::new());
    for listener in overview["listeners"].as_array().into_iter().flatten() {
        let (Some(ip), Some(port)) = (
            listener["ip_address"].as_str().and_then(|text| text.parse::<IpAddr>().ok()),
            listener["port"].as_u64().and_then(|port| u16::try_from(port).ok()),
        ) else {
            continue;
        };
        let ip = elsewhere.unwrap_or(match ip {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::from([127, 0, 0, 1]),
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::from([127, 0, 0, 1]),
            ip => ip,
        });
        let patience = call.timeout().unwrap_or(CONNECT_PATIENCE).max(Duration::from_millis(1));
        match TcpStream::connect_timeout(&SocketAddr::new(ip, port), patience) {
            Ok(_) => ports.push(port.to_string()),
            Err(_) => failed.push(listener.clone()),
        }
    }
    let all = listeners(&overview);
    if failed.is_empty() {
        let text = format!("Successfully connected to ports {} on node {}.", ports.join(", "), call.node);
        let json = json!({ "result": "ok", "node": call.node, "listeners": all });
        return Ok(Output::Said { text, json });
    }
    let failed = listeners(&json!({ "listeners": failed }));
    Err(Failure::new(
        UNAVAILABLE,
        format!(
            "Connection to ports of the following listeners on node {} failed: \n{}",
            call.node,
            listener_lines(&failed, false)
        ),
    ))
}
