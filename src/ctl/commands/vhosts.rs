//! Virtual hosts, and their limits.

use hyper::Method;
use serde_json::{Map, Value, json};

use super::{
    Command, MANY, command,
    rights::{definition, limits_alone, limits_of_all},
};
use crate::ctl::{
    api::segment,
    call::{Call, refused},
    failure::{Failure, Result},
    output::Output,
    words::{Switch, flag, valued},
};

const ABOUT: &[Switch] = &[valued("description"), valued("tags"), valued("default-queue-type")];

pub const COMMANDS: &[Command] = &[
    command(
        "add_vhost",
        "<vhost> [--description <text>] [--tags <tag>,<tag>] [--default-queue-type <type>]",
        "Adds a virtual host, or changes its description and tags",
        (1, 1),
        |call| format!("Adding vhost \"{}\" ...", call.arg(0)),
        add,
    )
    .with(ABOUT),
    command(
        "clear_vhost_limits",
        "[--vhost <vhost>]",
        "Takes the limits of a virtual host away",
        (0, 0),
        |call| format!("Clearing vhost \"{}\" limits ...", call.vhost()),
        clear_limits,
    ),
    command(
        "delete_vhost",
        "<vhost>",
        "Removes a virtual host with everything in it and closes its connections",
        (1, 1),
        |call| format!("Deleting vhost \"{}\" ...", call.arg(0)),
        delete,
    ),
    command(
        "list_vhost_limits",
        "[--vhost <vhost>] [--global] [--no-table-headers]",
        "Lists limits of one virtual host or of all",
        (0, 0),
        |call| match call.has("global") {
            false => format!("Listing limits for vhost \"{}\" ...", call.vhost()),
            true => "Listing limits for all vhosts ...".to_owned(),
        },
        list_limits,
    )
    .with(&[flag("global")]),
    command(
        "restart_vhost",
        "[--vhost <vhost>]",
        "Starts a virtual host again that has failed, which none does here",
        (0, 0),
        |call| format!("Trying to restart vhost '{}' on node '{}' ...", call.vhost(), call.node),
        restart,
    ),
    command(
        "set_vhost_limits",
        "[--vhost <vhost>] <definition>",
        "Limits connections or queues of a virtual host, as in '{\"max-queues\": 10}'",
        (1, 1),
        |call| format!("Setting vhost limits to \"{}\" for vhost \"{}\" ...", call.arg(0), call.vhost()),
        set_limits,
    ),
    command(
        "set_vhost_tags",
        "<vhost> [<tag> ...]",
        "Gives a virtual host these tags and no others",
        (1, MANY),
        |call| {
            let tags = call.args.get(1..).unwrap_or_default().join(", ");
            format!("Setting tags for virtual host \"{}\" to [{tags}] ...", call.arg(0))
        },
        set_tags,
    ),
    command(
        "trace_off",
        "[--vhost <vhost>]",
        "No longer copies every message of a virtual host to amq.rabbitmq.trace",
        (0, 0),
        |call| format!("Stopping tracing for vhost \"{}\" ...", call.vhost()),
        |call| trace(call, false),
    ),
    command(
        "trace_on",
        "[--vhost <vhost>]",
        "Copies every message of a virtual host to amq.rabbitmq.trace",
        (0, 0),
        |call| format!("Starting tracing for vhost \"{}\" ...", call.vhost()),
        |call| trace(call, true),
    ),
    command(
        "update_vhost_metadata",
        "<vhost> [--description <text>] [--tags <tag>,<tag>] [--default-queue-type <type>]",
        "Changes the description, tags or default queue type of a virtual host",
        (1, 1),
        |call| format!("Updating metadata of vhost \"{}\" ...", call.arg(0)),
        |call| {
            need(call)?;
            add(call)
        },
    )
    .with(ABOUT),
];

fn path(call: &Call) -> String {
    format!("vhosts/{}", segment(call.arg(0)))
}

/// Fails unless the vhost in the first argument is there.
fn need(call: &mut Call) -> Result<()> {
    match call.get(&path(call))?.status {
        404 => Err(Failure::no_vhost(call.arg(0))),
        _ => Ok(()),
    }
}

fn add(call: &mut Call) -> Result<Output> {
    let mut about = Map::new();
    for (option, key) in
        [("description", "description"), ("tags", "tags"), ("default-queue-type", "default_queue_type")]
    {
        if let Some(value) = call.option(option) {
            about.insert(key.to_owned(), Value::from(value));
        }
    }
    call.put(&path(call), &Value::Object(about))?;
    Ok(Output::Nothing)
}

fn set_tags(call: &mut Call) -> Result<Output> {
    need(call)?;
    let tags = json!({ "tags": call.args.get(1..).unwrap_or_default() });
    call.put(&path(call), &tags)?;
    Ok(Output::Nothing)
}

fn delete(call: &mut Call) -> Result<Output> {
    let reply = call.ask(Method::DELETE, &path(call), None)?;
    match reply.status {
        404 => Err(Failure::no_vhost(call.arg(0))),
        _ if reply.is_fine() => Ok(Output::Nothing),
        _ => Err(refused(&reply)),
    }
}

fn restart(call: &mut Call) -> Result<Output> {
    call.need_vhost()?;
    Ok(Output::text(format!("Vhost '{}' is already running on node '{}'", call.vhost(), call.node)))
}

fn set_limits(call: &mut Call) -> Result<Output> {
    let limits = definition(call.arg(0))?;
    call.need_vhost()?;
    for (limit, value) in limits.as_object().into_iter().flatten() {
        let path = format!("vhost-limits/{}/{}", call.vhost_segment(), segment(limit));
        call.put(&path, &json!({ "value": value }))?;
    }
    Ok(Output::Nothing)
}

fn clear_limits(call: &mut Call) -> Result<Output> {
    call.need_vhost()?;
    for limit in ["max-connections", "max-queues"] {
        let path = format!("vhost-limits/{}/{limit}", call.vhost_segment());
        let reply = call.ask(Method::DELETE, &path, None)?;
        if !reply.is_fine() && reply.status != 404 {
            return Err(refused(&reply));
        }
    }
    Ok(Output::Nothing)
}

fn list_limits(call: &mut Call) -> Result<Output> {
    if call.has("global") {
        return Ok(limits_of_all(&call.get_json("vhost-limits")?, "vhost"));
    }
    call.need_vhost()?;
    let found = call.get_json(&format!("vhost-limits/{}", call.vhost_segment()))?;
    Ok(limits_alone(&found))
}

fn trace(call: &mut Call, is_on: bool) -> Result<Output> {
    call.need_vhost()?;
    call.put(&format!("vhosts/{}", call.vhost_segment()), &json!({ "tracing": is_on }))?;
    let state = if is_on { "enabled" } else { "disabled" };
    Ok(Output::text(format!("Trace {state} for vhost {}", call.vhost())))
}
