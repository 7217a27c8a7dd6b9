//! Taking the running broker out of service and back, and emptying it meanwhile.

use hyper::Method;
use serde_json::json;

use super::{Command, command};
use crate::ctl::{
    call::{Call, refused},
    failure::{Failure, Result, USAGE},
    output::Output,
};

const NOT_STOPPED: &str = "Error: this command requires the 'rabbit' app to be stopped on the target node. \
                           Stop it with 'rabbitmqctl stop_app'.";

pub const COMMANDS: &[Command] = &[
    command(
        "force_reset",
        "",
        "Empties a broker that stop_app has stopped, as reset does",
        (0, 0),
        |call| format!("Forcefully resetting node {} ...", call.node),
        reset,
    ),
    command(
        "reset",
        "",
        "Empties a broker that stop_app has stopped: only what it would start with without data is left",
        (0, 0),
        |call| format!("Resetting node {} ...", call.node),
        reset,
    ),
    command(
        "resume_listeners",
        "",
        "Lets clients in again after suspend_listeners",
        (0, 0),
        |call| {
            format!(
                "Will resume client connection listeners on node {}. The node will now accept client connections",
                call.node
            )
        },
        |call| set(call, "serving"),
    ),
    command(
        "start_app",
        "",
        "Lets clients in again after stop_app",
        (0, 0),
        |call| format!("Starting node {} ...", call.node),
        |call| set(call, "serving"),
    ),
    command(
        "stop_app",
        "",
        "Closes all connections and lets no client in; the process stays, and so does its management interface",
        (0, 0),
        |call| format!("Stopping rabbit application on node {} ...", call.node),
        |call| set(call, "stopped"),
    ),
    command(
        "suspend_listeners",
        "",
        "Lets no further client in; those who are connected stay",
        (0, 0),
        |call| {
            format!(
                "Will suspend client connection listeners on node {}. \
                 The node will no longer accept client connections!",
                call.node
            )
        },
        |call| set(call, "suspended"),
    ),
];

fn set(call: &mut Call, state: &str) -> Result<Output> {
    call.put("leveret/local/service", &json!({ "state": state }))?;
    Ok(Output::Nothing)
}

fn reset(call: &mut Call) -> Result<Output> {
    let reply = call.ask(Method::PUT, "leveret/local/reset", Some(&json!({})))?;
    match reply.status {
        400 if reply.reason() == "not_stopped" => Err(Failure::bare(USAGE, NOT_STOPPED)),
        _ if reply.is_fine() => Ok(Output::Nothing),
        _ => Err(refused(&reply)),
    }
}
