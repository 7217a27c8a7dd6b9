//! Permissions, permissions on topics, and limits of users.

use hyper::Method;
use serde_json::{Value, json};

use super::{Command, command};
use crate::ctl::{
    api::segment,
    call::{Call, refused},
    failure::{DATA, Failure, NO_USER, Result, UNAVAILABLE},
    output::Output,
    words::{flag, valued},
};

/// RabbitMQ's words for a text that is not JSON.
pub const NOT_JSON: &str = "JSON decoding error. Reason: badarg";

pub const COMMANDS: &[Command] = &[
    command(
        "clear_permissions",
        "[--vhost <vhost>] <username>",
        "Takes a user's permissions in a virtual host away",
        (1, 1),
        |call| format!("Clearing permissions for user \"{}\" in vhost \"{}\" ...", call.arg(0), call.vhost()),
        clear,
    ),
    command(
        "clear_topic_permissions",
        "[--vhost <vhost>] <username> [<exchange>]",
        "Takes a user's permissions on topics away, of one exchange or of all",
        (1, 2),
        |call| match call.args.get(1) {
            Some(exchange) => format!(
                "Clearing topic permissions on \"{exchange}\" for user \"{}\" in vhost \"{}\" ...",
                call.arg(0),
                call.vhost()
            ),
            None => format!(
                "Clearing topic permissions for user \"{}\" in vhost \"{}\" ...",
                call.arg(0),
                call.vhost()
            ),
        },
        clear_topics,
    ),
    command(
        "clear_user_limits",
        "<username> <limit> | all",
        "Takes one limit of a user away, or all",
        (2, 2),
        |call| match call.arg(1) {
            "all" => format!("Clearing all limits for user \"{}\" ...", call.arg(0)),
            limit => format!("Clearing \"{limit}\" limit for user \"{}\" ...", call.arg(0)),
        },
        clear_limits,
    ),
    command(
        "list_permissions",
        "[--vhost <vhost>] [--no-table-headers]",
        "Lists who may do what in a virtual host",
        (0, 0),
        |call| format!("Listing permissions for vhost \"{}\" ...", call.vhost()),
        |call| of_vhost(call, "permissions", &["user", "configure", "write", "read"]),
    ),
    command(
        "list_topic_permissions",
        "[--vhost <vhost>] [--no-table-headers]",
        "Lists the permissions on topics in a virtual host",
        (0, 0),
        |call| format!("Listing topic permissions for vhost \"{}\" ...", call.vhost()),
        |call| of_vhost(call, "topic-permissions", &["user", "exchange", "write", "read"]),
    ),
    command(
        "list_user_limits",
        "[--user <username>] [--global]",
        "Lists limits of one user or of all",
        (0, 0),
        |call| match call.has("global") {
            false => format!("Listing limits for user \"{}\" ...", call.option("user").unwrap_or("guest")),
            true => "Listing limits for all users ...".to_owned(),
        },
        list_limits,
    )
    .with(&[valued("user"), flag("global")]),
    command(
        "list_user_permissions",
        "[--no-table-headers] <username>",
        "Lists what a user may do in which virtual hosts",
        (1, 1),
        |call| format!("Listing permissions for user \"{}\" ...", call.arg(0)),
        |call| of_user(call, "permissions", &["vhost", "configure", "write", "read"]),
    ),
    command(
        "list_user_topic_permissions",
        "[--no-table-headers] <username>",
        "Lists a user's permissions on topics",
        (1, 1),
        |call| format!("Listing topic permissions for user \"{}\" ...", call.arg(0)),
        |call| of_user(call, "topic-permissions", &["vhost", "exchange", "write", "read"]),
    ),
    command(
        "set_permissions",
        "[--vhost <vhost>] <username> <configure> <write> <read>",
        "Lets a user configure, write to and read from whatever the patterns match in a virtual host",
        (4, 4),
        |call| format!("Setting permissions for user \"{}\" in vhost \"{}\" ...", call.arg(0), call.vhost()),
        set,
    ),
    command(
        "set_topic_permissions",
        "[--vhost <vhost>] <username> <exchange> <write> <read>",
        "Restricts a user to routing keys of a topic exchange",
        (4, 4),
        |call| {
            format!(
                "Setting topic permissions on \"{}\" for user \"{}\" in vhost \"{}\" ...",
                call.arg(1),
                call.arg(0),
                call.vhost()
            )
        },
        set_topics,
    ),
    command(
        "set_user_limits",
        "<username> <definition>",
        "Limits a user's connections or channels, as in '{\"max-connections\": 10}'",
        (2, 2),
        |call| format!("Setting user limits to \"{}\" for user \"{}\" ...", call.arg(1), call.arg(0)),
        set_limits,
    ),
];

/// `permissions/VHOST/USER` and its like.
fn path(call: &Call, kind: &str) -> String {
    format!("{kind}/{}/{}", call.vhost_segment(), segment(call.arg(0)))
}

/// Both have to be there; the vhost is looked at first.
fn need_both(call: &mut Call) -> Result<()> {
    let (vhost, name) = (call.vhost().to_owned(), call.arg(0).to_owned());
    call.need_vhost().map_err(|failure| {
        other_words(failure, DATA, UNAVAILABLE, format!("Virtual host {vhost} does not exist"))
    })?;
    call.user(&name)
        .map(drop)
        .map_err(|failure| other_words(failure, NO_USER, NO_USER, format!("User {name} does not exist")))
}

/// Commands about permissions say the same in words and with codes of their own.
fn other_words(failure: Failure, expected: u8, code: u8, text: String) -> Failure {
    if failure.code == expected { Failure::new(code, text) } else { failure }
}

fn set(call: &mut Call) -> Result<Output> {
    need_both(call)?;
    let body = json!({ "configure": call.arg(1), "write": call.arg(2), "read": call.arg(3) });
    call.put(&path(call, "permissions"), &body)?;
    Ok(Output::Nothing)
}

fn set_topics(call: &mut Call) -> Result<Output> {
    need_both(call)?;
    let body = json!({ "exchange": call.arg(1), "write": call.arg(2), "read": call.arg(3) });
    call.put(&path(call, "topic-permissions"), &body)?;
    Ok(Output::Nothing)
}

fn clear(call: &mut Call) -> Result<Output> {
    need_both(call)?;
    // Somebody without permissions has none afterwards, either.
    let _ = call.ask(Method::DELETE, &path(call, "permissions"), None)?;
    Ok(Output::Nothing)
}

fn clear_topics(call: &mut Call) -> Result<Output> {
    need_both(call)?;
    let mut path = path(call, "topic-permissions");
    if let Some(exchange) = call.args.get(1) {
        path = format!("{path}/{}", segment(exchange));
    }
    let _ = call.ask(Method::DELETE, &path, None)?;
    Ok(Output::Nothing)
}

fn of_vhost(call: &mut Call, kind: &str, columns: &[&str]) -> Result<Output> {
    call.need_vhost()?;
    let found = call.get_json(&format!("vhosts/{}/{kind}", call.vhost_segment()))?;
    Ok(rows(&found, columns))
}

fn of_user(call: &mut Call, kind: &str, columns: &[&str]) -> Result<Output> {
    let name = call.arg(0).to_owned();
    call.user(&name).map_err(|failure| {
        other_words(failure, NO_USER, UNAVAILABLE, format!("{{:no_such_user, \"{name}\"}}"))
    })?;
    let found = call.get_json(&format!("users/{}/{kind}", segment(&name)))?;
    Ok(rows(&found, columns))
}

/// The columns of a list of objects that has them under the same names.
pub fn rows(found: &Value, columns: &[&str]) -> Output {
    let items = found.as_array().into_iter().flatten();
    Output::Rows {
        columns: columns.iter().map(|name| (*name).to_owned()).collect(),
        rows: items.map(|item| columns.iter().map(|name| item[*name].clone()).collect()).collect(),
    }
}

/// A JSON object among the arguments.
pub fn definition(text: &str) -> Result<Value> {
    match serde_json::from_str(text) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => {
            Err(Failure::new(UNAVAILABLE, format!("Validation failed\n\n{text} is not a JSON object\n")))
        }
        Err(_) => Err(Failure::new(UNAVAILABLE, NOT_JSON)),
    }
}

fn set_limits(call: &mut Call) -> Result<Output> {
    let limits = definition(call.arg(1))?;
    let name = call.arg(0).to_owned();
    call.user(&name)?;
    for (limit, value) in limits.as_object().into_iter().flatten() {
        let path = format!("user-limits/{}/{}", segment(&name), segment(limit));
        call.put(&path, &json!({ "value": value }))?;
    }
    Ok(Output::Nothing)
}

fn clear_limits(call: &mut Call) -> Result<Output> {
    let name = call.arg(0).to_owned();
    call.user(&name)?;
    let limits: Vec<String> = match call.arg(1) {
        "all" => ["max-connections", "max-channels"].map(str::to_owned).to_vec(),
        one => vec![one.to_owned()],
    };
    for limit in limits {
        let path = format!("user-limits/{}/{}", segment(&name), segment(&limit));
        let reply = call.ask(Method::DELETE, &path, None)?;
        if !reply.is_fine() && reply.status != 404 {
            return Err(refused(&reply));
        }
    }
    Ok(Output::Nothing)
}

fn list_limits(call: &mut Call) -> Result<Output> {
    if call.has("global") {
        return Ok(limits_of_all(&call.get_json("user-limits")?, "user"));
    }
    let user = call.option("user").unwrap_or("guest").to_owned();
    call.user(&user)?;
    let found = call.get_json(&format!("user-limits/{}", segment(&user)))?;
    Ok(limits_alone(&found))
}

/// The limits of the one object of a list.
pub fn limits_alone(found: &Value) -> Output {
    let json = found.pointer("/0/value").cloned().unwrap_or_else(|| json!({}));
    Output::Said { text: json.to_string(), json }
}

/// The limits of many objects, as JSON texts.
pub fn limits_of_all(found: &Value, kind: &str) -> Output {
    let items = found.as_array().into_iter().flatten();
    Output::Rows {
        columns: vec![kind.to_owned(), "limits".to_owned()],
        rows: items.map(|item| vec![item[kind].clone(), item["value"].to_string().into()]).collect(),
    }
}
