//! Closing clients' connections.

use std::time::Duration;

use hyper::Method;

use super::{Command, command};
use crate::ctl::{
    api::segment,
    call::{Call, refused},
    failure::{Failure, Result, UNAVAILABLE},
    output::Output,
    words::{flag, valued},
};

pub const COMMANDS: &[Command] = &[
    command(
        "close_all_connections",
        "[--vhost <vhost>] [--limit <n>] [--global] [--per-connection-delay <milliseconds>] <explanation>",
        "Closes the connections to a virtual host, or with --global all",
        (1, 1),
        |call| match scope(call) {
            Some(vhost) => format!("Closing all connections in vhost {vhost}, reason: {}...", call.arg(0)),
            None => format!(
                "Closing all connections to node {} (across all vhosts), reason: {}...",
                call.node,
                call.arg(0)
            ),
        },
        close_all,
    )
    .with(&[flag("global"), valued("limit"), valued("per-connection-delay")]),
    command(
        "close_all_user_connections",
        "<username> <explanation>",
        "Closes the connections of a user",
        (2, 2),
        |call| format!("Closing connections of user {}, reason: {}...", call.arg(0), call.arg(1)),
        |call| {
            let path = format!("connections/username/{}", segment(call.arg(0)));
            close(call, &path, 1)?;
            Ok(Output::Nothing)
        },
    ),
    command(
        "close_connection",
        "<connection> <explanation>",
        "Closes a connection by the name or pid that list_connections shows",
        (2, 2),
        |call| format!("Closing connection {}, reason: {}...", call.arg(0), call.arg(1)),
        |call| {
            let path = format!("connections/{}", segment(call.arg(0)));
            match close(call, &path, 1)? {
                true => Ok(Output::Nothing),
                false => Err(Failure::new(UNAVAILABLE, "Connection not found")),
            }
        },
    ),
];

/// The vhost whose connections are meant, unless all are.
fn scope(call: &Call) -> Option<&str> {
    if call.has("global") { None } else { Some(call.vhost()) }
}

/// Closes, if there is something to close. The reason goes into a header, which takes no line feeds.
fn close(call: &mut Call, path: &str, reason: usize) -> Result<bool> {
    let reason = call.arg(reason).replace(|letter: char| letter.is_control() || !letter.is_ascii(), " ");
    let answer = call.api.send(Method::DELETE, path, None, &[("x-reason", &reason)]);
    let reply = answer.map_err(|silence| call.silent(&silence))?;
    match reply.status {
        404 => Ok(false),
        _ if reply.is_fine() => Ok(true),
        _ => Err(refused(&reply)),
    }
}

fn number(call: &Call, option: &str) -> Result<Option<u64>> {
    let Some(text) = call.option(option) else { return Ok(None) };
    let number = text.parse();
    number.map(Some).map_err(|_| Failure::argument(format!("--{option} must be a number, not '{text}'")))
}

fn close_all(call: &mut Call) -> Result<Output> {
    let most = match number(call, "limit")? {
        None | Some(0) => usize::MAX,
        Some(most) => usize::try_from(most).unwrap_or(usize::MAX),
    };
    let delay = number(call, "per-connection-delay")?.map(Duration::from_millis);
    let path = match scope(call) {
        Some(_) => {
            call.need_vhost()?;
            format!("vhosts/{}/connections?columns=name", call.vhost_segment())
        }
        None => "connections?columns=name".to_owned(),
    };
    let found = call.get_json(&path)?;
    let names = found.as_array().into_iter().flatten().filter_map(|item| item["name"].as_str());
    let mut closed = 0;
    for name in names.take(most) {
        // One that is not there any more has gone by itself.
        closed += u32::from(close(call, &format!("connections/{}", segment(name)), 0)?);
        if let Some(delay) = delay {
            call.api.pause(delay);
        }
    }
    Ok(Output::text(format!("Closed {closed} connections")))
}
