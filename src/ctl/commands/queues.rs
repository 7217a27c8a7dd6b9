//! Single queues: deleting and purging them, and what `rabbitmq-queues` asks of replicas.

use hyper::Method;
use serde_json::json;

use super::{Command, MANY, command, none};
use crate::ctl::{
    Tool,
    api::segment,
    call::{Call, refused},
    failure::{DATA, Failure, Result, SOFTWARE, UNAVAILABLE, USAGE},
    output::Output,
    words::{flag, valued},
};

const QUEUES: &[Tool] = &[Tool::Queues];
const QUEUES_AND_DIAGNOSTICS: &[Tool] = &[Tool::Queues, Tool::Diagnostics];
const STREAMS: &[Tool] = &[Tool::Streams];

pub const COMMANDS: &[Command] = &[
    command(
        "delete_queue",
        "[--vhost <vhost>] <queue> [--if-empty] [--if-unused]",
        "Deletes a queue with its messages",
        (1, 1),
        |call| {
            let conditions: Vec<&str> =
                [("if-empty", "if queue is empty "), ("if-unused", "if queue is unused ")]
                    .iter()
                    .filter(|(option, _)| call.has(option))
                    .map(|(_, text)| *text)
                    .collect();
            format!(
                "Deleting queue '{}' on vhost '{}' {}...",
                call.arg(0),
                call.vhost(),
                conditions.join("and ")
            )
        },
        delete,
    )
    .with(&[flag("if-empty").short('e'), flag("if-unused").short('u')]),
    command(
        "purge_queue",
        "[--vhost <vhost>] <queue>",
        "Removes all ready messages of a queue",
        (1, 1),
        |call| format!("Purging queue '{}' in vhost '{}' ...", call.arg(0), call.vhost()),
        purge,
    ),
    command(
        "check_if_node_is_quorum_critical",
        "",
        "Ends well if no queue would be lost with this node, which is not asked of a single one",
        (0, 0),
        |call| format!("Checking if node {} is critical for quorum of any quorum queues ...", call.node),
        single,
    )
    .of(QUEUES_AND_DIAGNOSTICS)
    .check(),
    command(
        "check_if_node_is_mirror_sync_critical",
        "",
        "Ends well if no mirrored queue would be lost with this node, of which there are none",
        (0, 0),
        |call| {
            format!(
                "Checking if node {} is critical for data safety of any classic mirrored queues ...",
                call.node
            )
        },
        single,
    )
    .of(QUEUES_AND_DIAGNOSTICS)
    .check(),
    command(
        "rebalance",
        "<all | classic | quorum | stream> [--vhost-pattern <pattern>] [--queue-pattern <pattern>]",
        "Spreads the leaders of queues over the nodes, which changes nothing on one",
        (1, 1),
        none,
        |call| {
            call.change(Method::POST, "rebalance/queues", Some(&json!({})))?;
            Ok(Output::Rows {
                columns: ["Node name", "Number of quorum queue leaders"].map(str::to_owned).to_vec(),
                rows: Vec::new(),
            })
        },
    )
    .of(QUEUES)
    .with(&[valued("vhost-pattern"), valued("queue-pattern")]),
    command(
        "quorum_status",
        "[--vhost <vhost>] <queue>",
        "Shows the members of a quorum queue",
        (1, 1),
        |call| format!("Status of quorum queue {} on node {} ...", call.arg(0), call.node),
        |call| members(call, "quorum"),
    )
    .of(QUEUES_AND_DIAGNOSTICS),
    command(
        "stream_status",
        "[--vhost <vhost>] <stream>",
        "Shows the members of a stream",
        (1, 1),
        |call| format!("Status of stream {} on node {} ...", call.arg(0), call.node),
        |call| members(call, "stream"),
    )
    .of(STREAMS)
    .with(&[flag("tracking")]),
    command(
        "peek",
        "[--vhost <vhost>] <queue> <position>",
        "Shows a message of a queue without taking it; the first is at position 1",
        (2, 2),
        |call| {
            format!(
                "Peeking at queue '{}' in vhost '{}' at position {} ...",
                call.arg(0),
                call.vhost(),
                call.arg(1)
            )
        },
        peek,
    )
    .of(QUEUES),
    command(
        "reclaim_quorum_memory",
        "[--vhost <vhost>] <queue>",
        "Gives back what a queue's log keeps, which is done without being asked",
        (1, MANY),
        |call| format!("Will flush Raft WAL of quorum queue {} ...", call.arg(0)),
        |call| members(call, "quorum").map(|_| Output::Nothing),
    )
    .of(QUEUES),
];

fn path(call: &Call) -> String {
    format!("queues/{}/{}", call.vhost_segment(), segment(call.arg(0)))
}

fn delete(call: &mut Call) -> Result<Output> {
    if call.arg(0).is_empty() {
        return Err(Failure::argument("queue name cannot be an empty string"));
    }
    call.need_vhost()?;
    let found = call.get(&format!("{}?columns=messages_ready", path(call)))?;
    if found.status == 404 {
        return Err(Failure::new(USAGE, "Queue not found"));
    }
    let ready = found.json()["messages_ready"].as_u64().unwrap_or(0);
    let conditions = format!("?if-empty={}&if-unused={}", call.has("if-empty"), call.has("if-unused"));
    let reply = call.ask(Method::DELETE, &format!("{}{conditions}", path(call)), None)?;
    let reason = reply.reason();
    match reply.status {
        404 => Err(Failure::new(USAGE, "Queue not found")),
        400 if reason.contains("not empty") => Err(Failure::new(SOFTWARE, "Queue is not empty")),
        400 if reason.contains("in use") => Err(Failure::new(SOFTWARE, "Queue is in use")),
        _ if reply.is_fine() => {
            Ok(Output::text(format!("Queue was successfully deleted with {ready} ready messages")))
        }
        _ => Err(refused(&reply)),
    }
}

fn purge(call: &mut Call) -> Result<Output> {
    call.need_vhost()?;
    let reply = call.ask(Method::DELETE, &format!("{}/contents", path(call)), None)?;
    match reply.status {
        404 => Err(Failure::new(UNAVAILABLE, "not_found")),
        _ if reply.is_fine() => Ok(Output::Nothing),
        _ => Err(refused(&reply)),
    }
}

fn single(call: &mut Call) -> Result<Output> {
    call.get_json("health/checks/node-is-quorum-critical")?;
    let text = format!(
        "Node {} seems to be the only one in a single node cluster, the check does not apply",
        call.node
    );
    Ok(Output::Said { json: json!({ "result": "ok", "message": text }), text })
}

/// The one member that a queue of this type has.
fn members(call: &mut Call, kind: &str) -> Result<Output> {
    call.need_vhost()?;
    let found = call.get(&path(call))?;
    if found.status == 404 {
        return Err(Failure::new(DATA, "not_found"));
    }
    let queue = found.json();
    if queue["type"] != kind {
        let text = format!("Operation not supported: queue '{}' is of type {}", call.arg(0), queue["type"]);
        return Err(Failure::new(SOFTWARE, text));
    }
    Ok(Output::Rows {
        columns: ["Node Name", "State"].map(str::to_owned).to_vec(),
        rows: vec![vec![queue["node"].clone(), json!("leader")]],
    })
}

fn peek(call: &mut Call) -> Result<Output> {
    let position: u64 = match call.arg(1).parse() {
        Ok(position) if 0 < position => position,
        _ => return Err(Failure::argument("position value must be a positive integer")),
    };
    call.need_vhost()?;
    let asked = format!(
        "leveret/queues/{}/{}/messages?offset={}&count=1",
        call.vhost_segment(),
        segment(call.arg(0)),
        position - 1
    );
    let reply = call.get(&asked)?;
    if reply.status == 404 {
        return Err(Failure::new(DATA, "Target queue was not found"));
    }
    if !reply.is_fine() {
        return Err(refused(&reply));
    }
    let Some(message) = reply.json().pointer("/items/0").cloned() else {
        return Err(Failure::new(SOFTWARE, "No message at this position"));
    };
    let fields = message.as_object().into_iter().flatten();
    Ok(Output::Rows {
        columns: ["keys", "values"].map(str::to_owned).to_vec(),
        rows: fields.map(|(name, value)| vec![json!(name), value.clone()]).collect(),
    })
}
