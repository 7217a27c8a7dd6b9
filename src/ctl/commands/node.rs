//! Whether the node is there, what it is, and switches of the running node.

use std::time::{Duration, Instant};

use hyper::Method;
use serde_json::json;

use super::{CTL_AND_DIAGNOSTICS, Command, DIAGNOSTICS, command, none};
use crate::ctl::{
    Tool,
    api::Silence,
    call::{Call, refused},
    failure::{Failure, Result, TEMPORARY, UNAVAILABLE, USAGE},
    output::Output,
    words::{flag, valued},
};

/// Between two looks whether it has started.
const PAUSE: Duration = Duration::from_millis(20);
const START_PATIENCE: Duration = Duration::from_secs(300);
const UPGRADE: &[Tool] = &[Tool::Upgrade];

pub const COMMANDS: &[Command] = &[
    command(
        "await_startup",
        "",
        "Waits until the broker accepts clients, five minutes or what --timeout says",
        (0, 0),
        none,
        await_startup,
    )
    .of(CTL_AND_DIAGNOSTICS),
    command(
        "await_online_nodes",
        "<count>",
        "Waits for so many nodes of the cluster; there is one",
        (1, 1),
        |call| format!("Will wait for at least {} nodes to join the cluster of {}.", call.arg(0), call.node),
        await_nodes,
    ),
    command(
        "await_online_quorum_plus_one",
        "",
        "Waits until all queues could lose this node, which is not asked of a single one",
        (0, 0),
        none,
        await_startup,
    )
    .of(UPGRADE),
    command(
        "await_online_synchronized_mirror",
        "",
        "Waits until all mirrored queues have a copy elsewhere, of which there are none",
        (0, 0),
        none,
        await_startup,
    )
    .of(UPGRADE),
    command(
        "drain",
        "",
        "Puts the node out of service before it is stopped; its connections are closed",
        (0, 0),
        |call| {
            format!(
                "Will put node {} into maintenance mode. The node will no longer serve any client traffic!",
                call.node
            )
        },
        |call| {
            call.put("leveret/local/service", &json!({ "state": "stopped" }))?;
            Ok(Output::Nothing)
        },
    )
    .of(UPGRADE),
    command(
        "post_upgrade",
        "",
        "Does what is to be done after an upgrade, which is nothing",
        (0, 0),
        |call| format!("Executing post upgrade tasks on node {} ...", call.node),
        |call| call.get_json("version").map(|_| Output::Nothing),
    )
    .of(UPGRADE),
    command(
        "revive",
        "",
        "Puts the node back into service",
        (0, 0),
        |call| format!("Will transition node {} back from maintenance mode to regular operation", call.node),
        |call| {
            call.put("leveret/local/service", &json!({ "state": "serving" }))?;
            Ok(Output::Nothing)
        },
    )
    .of(UPGRADE),
    command(
        "enable_feature_flag",
        "<all | flag>",
        "Turns a feature flag on; all that there are are on",
        (1, 1),
        |call| match call.arg(0) {
            "all" => "Enabling all feature flags ...".to_owned(),
            name => format!("Enabling feature flag \"{name}\" ..."),
        },
        enable_flag,
    )
    .with(&[flag("experimental"), flag("opt-in")]),
    command(
        "erlang_version",
        "",
        "Says that no Erlang is involved",
        (0, 0),
        |call| format!("Asking node {} for its Erlang/OTP version...", call.node),
        |call| call.get_json("version").map(|_| Output::text("none: this broker does not run on Erlang")),
    )
    .of(DIAGNOSTICS)
    .with(&[flag("details"), flag("offline")]),
    command(
        "force_gc",
        "",
        "Does nothing: there is no garbage collector",
        (0, 0),
        |call| format!("Will ask all processes on node {} to schedule a full sweep GC", call.node),
        |call| call.get_json("version").map(|_| Output::Nothing),
    ),
    command(
        "log_location",
        "[--all]",
        "Says where the log is",
        (0, 0),
        |call| format!("Log file location(s) on node {} ...", call.node),
        |call| {
            call.get_json("version")?;
            let json = json!({ "result": "ok", "node_name": call.node, "paths": ["<stderr>"] });
            Ok(Output::Said { text: "<stderr>".to_owned(), json })
        },
    )
    .of(DIAGNOSTICS)
    .with(&[flag("all").short('a')]),
    command(
        "log_tail",
        "[--number <n>]",
        "Prints the last lines of the log",
        (0, 0),
        |call| format!("Last {} log lines on node {} ...", call.option("number").unwrap_or("50"), call.node),
        log_tail,
    )
    .of(DIAGNOSTICS)
    .with(&[valued("number").short('N')]),
    command(
        "os_env",
        "",
        "Lists the variables of RabbitMQ that are set where this is called",
        (0, 0),
        |call| format!("Listing RabbitMQ-specific environment variables defined on node {}...", call.node),
        |_| {
            let mut set: Vec<(String, String)> = std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .filter(|(name, _)| name.starts_with("RABBITMQ_") || name.starts_with("LEVERET_"))
                .filter(|(name, _)| !name.contains("PASS") && !name.contains("COOKIE"))
                .collect();
            set.sort();
            let text: Vec<String> = set.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let variables: serde_json::Map<_, _> =
                set.into_iter().map(|(name, value)| (name, value.into())).collect();
            Ok(Output::Said {
                text: text.join("\n"),
                json: json!({ "result": "ok", "variables": variables }),
            })
        },
    )
    .of(DIAGNOSTICS),
    command(
        "ping",
        "",
        "Ends well if the broker answers",
        (0, 0),
        |call| {
            let time = call.timeout().map_or(60_000, |time| time.as_millis());
            format!("Will ping {}. Timeout: {time} ms.", call.node)
        },
        ping,
    )
    .of(CTL_AND_DIAGNOSTICS)
    .check(),
    command(
        "rotate_logs",
        "",
        "Does nothing: the log goes to standard error",
        (0, 0),
        |_| "The log goes to standard error and is rotated by whoever reads it".to_owned(),
        |call| call.get_json("version").map(|_| Output::Nothing),
    ),
    command(
        "server_version",
        "",
        "Says which version of RabbitMQ the broker behaves like",
        (0, 0),
        |call| format!("Asking node {} for its RabbitMQ version...", call.node),
        |call| {
            let version = call.get_json("version")?;
            let text = version.as_str().unwrap_or_default().to_owned();
            Ok(Output::Said { json: json!({ "result": "ok", "value": text }), text })
        },
    )
    .of(DIAGNOSTICS),
    command("version", "", "Says which version of RabbitMQ these tools behave like", (0, 0), none, |call| {
        Ok(Output::text(call.version.as_str()))
    })
    .of(CTL_AND_DIAGNOSTICS),
];

fn await_startup(call: &mut Call) -> Result<Output> {
    let patience = call.timeout().unwrap_or(START_PATIENCE);
    let begun = Instant::now();
    loop {
        call.api.timeout = Some(patience.saturating_sub(begun.elapsed()));
        match call.api.ask(Method::GET, "version", None) {
            Ok(reply) if reply.is_fine() => return Ok(Output::Nothing),
            Ok(reply) => return Err(refused(&reply)),
            Err(_) if begun.elapsed() < patience => call.api.pause(PAUSE),
            Err(silence) => {
                let reason = match silence {
                    Silence::Down(reason) => reason,
                    Silence::TimedOut => "it does not answer".to_owned(),
                };
                let text = format!("timed out while waiting for node {} to start: {reason}", call.node);
                return Err(Failure::line(TEMPORARY, text));
            }
        }
    }
}

fn await_nodes(call: &mut Call) -> Result<Output> {
    match call.arg(0).parse::<u64>() {
        Ok(0) | Err(_) => Err(Failure::argument("Argument must be a positive integer")),
        Ok(1) => await_startup(call),
        Ok(_) => Err(Failure::line(
            TEMPORARY,
            format!("timed out while waiting. Not enough nodes joined {}'s cluster.", call.node),
        )),
    }
}

fn ping(call: &mut Call) -> Result<Output> {
    // Anybody may learn the version; this takes somebody who may ask.
    let reply = call.api.ask(Method::GET, "whoami", None).map_err(|silence| match silence {
        Silence::TimedOut => call.silent(&silence),
        Silence::Down(reason) => {
            let time = call.api.timeout.unwrap_or_default().as_millis();
            let text = format!("Failed to connect and authenticate to {} in {time} ms: {reason}", call.node);
            Failure::new(UNAVAILABLE, text)
        }
    })?;
    if !reply.is_fine() {
        return Err(Failure::line(UNAVAILABLE, reply.reason()));
    }
    Ok(Output::text("Ping succeeded"))
}

fn enable_flag(call: &mut Call) -> Result<Output> {
    let name = call.arg(0).to_owned();
    if name.is_empty() {
        return Err(Failure::argument("feature_flag cannot be an empty string."));
    }
    let flags = call.get_json("feature-flags")?;
    let is_known = flags.as_array().into_iter().flatten().any(|flag| flag["name"] == name.as_str());
    // What has a name in a later RabbitMQ may be something that is done here without a flag; but nobody knows.
    if name == "all" || is_known {
        return Ok(Output::Nothing);
    }
    Err(Failure::new(USAGE, format!("This feature flag is not supported by node {}", call.node)))
}

fn log_tail(call: &mut Call) -> Result<Output> {
    let number: usize = match call.option("number").unwrap_or("50").parse() {
        Ok(number) if 0 < number => number,
        _ => return Err(Failure::argument("--number must be a positive integer")),
    };
    let found = call.get_json("leveret/log")?;
    let lines: Vec<String> = found["items"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|line| {
            let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
            format!("{} [{}] {}", line["at"], text("level"), text("text"))
        })
        .collect();
    let last = lines.len().saturating_sub(number);
    Ok(Output::text(lines.get(last..).unwrap_or_default().join("\n")))
}
