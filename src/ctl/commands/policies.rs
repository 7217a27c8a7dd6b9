//! Policies, runtime parameters, and the cluster's name.

use hyper::Method;
use serde_json::{Value, json};

use super::{
    Command, command,
    rights::{NOT_JSON, rows},
};
use crate::ctl::{
    api::{Reply, segment},
    call::{Call, refused},
    failure::{Failure, Result, UNAVAILABLE},
    output::Output,
    words::{Switch, valued},
};

const POLICY: &[Switch] = &[valued("priority"), valued("apply-to")];
const COLUMNS: &[&str] = &["vhost", "name", "pattern", "apply-to", "definition", "priority"];
const NEITHER: &str = "Parameter does not exist";

pub const COMMANDS: &[Command] = &[
    command(
        "clear_global_parameter",
        "<name>",
        "Removes a parameter of the whole broker",
        (1, 1),
        |call| format!("Clearing global runtime parameter \"{}\" ...", call.arg(0)),
        |call| remove(call, &format!("global-parameters/{}", segment(call.arg(0))), NEITHER),
    ),
    command(
        "clear_operator_policy",
        "[--vhost <vhost>] <name>",
        "Removes an operator policy",
        (1, 1),
        |call| format!("Clearing operator policy \"{}\" on vhost \"{}\" ...", call.arg(0), call.vhost()),
        |call| remove(call, &path(call, "operator-policies"), NEITHER),
    ),
    command(
        "clear_parameter",
        "[--vhost <vhost>] <component> <name>",
        "Removes a runtime parameter of a component",
        (2, 2),
        |call| {
            format!(
                "Clearing runtime parameter \"{}\" for component \"{}\" on vhost \"{}\" ...",
                call.arg(1),
                call.arg(0),
                call.vhost()
            )
        },
        |call| remove(call, &parameter(call), NEITHER),
    ),
    command(
        "clear_policy",
        "[--vhost <vhost>] <name>",
        "Removes a policy",
        (1, 1),
        |call| format!("Clearing policy \"{}\" on vhost \"{}\" ...", call.arg(0), call.vhost()),
        |call| remove(call, &path(call, "policies"), NEITHER),
    ),
    command(
        "list_global_parameters",
        "[--no-table-headers]",
        "Lists parameters of the whole broker",
        (0, 0),
        |_| "Listing global runtime parameters ...".to_owned(),
        |call| list(call, "global-parameters", &["name", "value"]),
    ),
    command(
        "list_operator_policies",
        "[--vhost <vhost>] [--no-table-headers]",
        "Lists operator policies of a virtual host",
        (0, 0),
        |call| format!("Listing operator policy overrides for vhost \"{}\" ...", call.vhost()),
        |call| list_here(call, "operator-policies", COLUMNS),
    ),
    command(
        "list_parameters",
        "[--vhost <vhost>] [--no-table-headers]",
        "Lists runtime parameters of a virtual host",
        (0, 0),
        |call| format!("Listing runtime parameters for vhost \"{}\" ...", call.vhost()),
        list_parameters,
    ),
    command(
        "list_policies",
        "[--vhost <vhost>] [--no-table-headers]",
        "Lists policies of a virtual host",
        (0, 0),
        |call| format!("Listing policies for vhost \"{}\" ...", call.vhost()),
        |call| list_here(call, "policies", COLUMNS),
    ),
    command(
        "set_cluster_name",
        "<name>",
        "Gives the broker another name",
        (1, 1),
        |call| format!("Setting cluster name to {} ...", call.arg(0)),
        |call| {
            call.put("cluster-name", &json!({ "name": call.arg(0) }))?;
            Ok(Output::Nothing)
        },
    ),
    command(
        "set_global_parameter",
        "<name> <value>",
        "Sets a parameter of the whole broker to a JSON value",
        (2, 2),
        |call| format!("Setting global runtime parameter \"{}\" to \"{}\" ...", call.arg(0), call.arg(1)),
        |call| {
            let value = json!({ "value": json(call.arg(1))? });
            call.put(&format!("global-parameters/{}", segment(call.arg(0))), &value)?;
            Ok(Output::Nothing)
        },
    ),
    command(
        "set_operator_policy",
        "[--vhost <vhost>] [--priority <n>] [--apply-to <kind>] <name> <pattern> <definition>",
        "Sets an operator policy, whose limits win over those of policies",
        (3, 3),
        |call| banner(call, "operator policy override"),
        |call| set(call, "operator-policies"),
    )
    .with(POLICY),
    command(
        "set_parameter",
        "[--vhost <vhost>] <component> <name> <value>",
        "Sets a runtime parameter of a component to a JSON value",
        (3, 3),
        |call| {
            format!(
                "Setting runtime parameter \"{}\" for component \"{}\" to \"{}\" in vhost \"{}\" ...",
                call.arg(1),
                call.arg(0),
                call.arg(2),
                call.vhost()
            )
        },
        |call| {
            let value = json(call.arg(2))?;
            call.need_vhost()?;
            let body = json!({
                "component": call.arg(0), "vhost": call.vhost(), "name": call.arg(1), "value": value,
            });
            let reply = call.ask(Method::PUT, &parameter(call), Some(&body))?;
            if reply.is_fine() { Ok(Output::Nothing) } else { Err(invalid(&reply)) }
        },
    ),
    command(
        "set_policy",
        "[--vhost <vhost>] [--priority <n>] [--apply-to <kind>] <name> <pattern> <definition>",
        "Sets a policy for the queues and exchanges whose names match the pattern",
        (3, 3),
        |call| banner(call, "policy"),
        |call| set(call, "policies"),
    )
    .with(POLICY),
];

fn path(call: &Call, kind: &str) -> String {
    format!("{kind}/{}/{}", call.vhost_segment(), segment(call.arg(0)))
}

fn parameter(call: &Call) -> String {
    format!("parameters/{}/{}/{}", segment(call.arg(0)), call.vhost_segment(), segment(call.arg(1)))
}

fn banner(call: &Call, what: &str) -> String {
    format!(
        "Setting {what} \"{}\" for pattern \"{}\" to \"{}\" with priority \"{}\" for vhost \"{}\" ...",
        call.arg(0),
        call.arg(1),
        call.arg(2),
        call.option("priority").unwrap_or("0"),
        call.vhost()
    )
}

fn json(text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|_| Failure::new(UNAVAILABLE, NOT_JSON))
}

fn set(call: &mut Call, kind: &str) -> Result<Output> {
    let definition = json(call.arg(2))?;
    let priority = call.option("priority").unwrap_or("0");
    let priority: i64 = priority
        .parse()
        .map_err(|_| Failure::argument(format!("priority must be a number, not '{priority}'")))?;
    call.need_vhost()?;
    let body = json!({
        "pattern": call.arg(1),
        "definition": definition,
        "priority": priority,
        "apply-to": call.option("apply-to").unwrap_or("all"),
    });
    let reply = call.ask(Method::PUT, &path(call, kind), Some(&body))?;
    if reply.is_fine() {
        return Ok(Output::Nothing);
    }
    Err(invalid(&reply))
}

/// What the broker says of a value that it does not take ends with an empty line.
fn invalid(reply: &Reply) -> Failure {
    Failure::new(UNAVAILABLE, format!("{}\n", reply.reason().trim_end()))
}

fn remove(call: &mut Call, path: &str, missing: &str) -> Result<Output> {
    if !path.starts_with("global") {
        call.need_vhost()?;
    }
    let reply = call.ask(Method::DELETE, path, None)?;
    match reply.status {
        404 => Err(Failure::new(UNAVAILABLE, missing)),
        _ if reply.is_fine() => Ok(Output::Nothing),
        _ => Err(refused(&reply)),
    }
}

fn list(call: &mut Call, path: &str, columns: &[&str]) -> Result<Output> {
    let found = call.get_json(path)?;
    let Output::Rows { columns, rows } = rows(&found, columns) else { return Ok(Output::Nothing) };
    // Definitions and values are JSON texts here.
    let is_json = |at: usize| matches!(columns.get(at).map(String::as_str), Some("definition" | "value"));
    let text = |(at, value): (usize, Value)| if is_json(at) { value.to_string().into() } else { value };
    let rows = rows.into_iter().map(|row| row.into_iter().enumerate().map(text).collect()).collect();
    Ok(Output::Rows { columns, rows })
}

fn list_here(call: &mut Call, kind: &str, columns: &[&str]) -> Result<Output> {
    call.need_vhost()?;
    list(call, &format!("{kind}/{}", call.vhost_segment()), columns)
}

/// Policies and limits are parameters, too, but have lists of their own.
fn list_parameters(call: &mut Call) -> Result<Output> {
    call.need_vhost()?;
    let mut found = call.get_json("parameters")?;
    let vhost = call.vhost().to_owned();
    if let Value::Array(items) = &mut found {
        items.retain(|item| item["vhost"] == vhost.as_str());
    }
    let Output::Rows { columns, rows } = rows(&found, &["component", "name", "value"]) else {
        return Ok(Output::Nothing);
    };
    let text = |(at, value): (usize, Value)| if at == 2 { value.to_string().into() } else { value };
    let rows = rows.into_iter().map(|row| row.into_iter().enumerate().map(text).collect()).collect();
    Ok(Output::Rows { columns, rows })
}
