//! `rabbitmq-plugins`: what RabbitMQ has as plugins is built in here, or it is not there.
//!
//! These commands need no broker, so that images can be built with them.

use serde_json::{Value, json};

use super::{Command, MANY, command};
use crate::ctl::{
    Tool,
    call::Call,
    failure::{Failure, Result, SOFTWARE, UNAVAILABLE},
    output::Output,
    words::{Switch, flag},
};

const PLUGINS: &[Tool] = &[Tool::Plugins];
const PLACE: &[Switch] = &[flag("offline"), flag("online"), flag("all")];
const LIST: &[Switch] = &[
    flag("verbose").short('v'),
    flag("minimal").short('m'),
    flag("enabled").short('E'),
    flag("implicitly-enabled").short('e'),
    flag("offline"),
    flag("online"),
];

/// Plugins whose work the broker does itself. They cannot be turned off.
const BUILT_IN: &[&str] = &[
    "rabbitmq_consistent_hash_exchange",
    "rabbitmq_delayed_message_exchange",
    "rabbitmq_event_exchange",
    "rabbitmq_management",
    "rabbitmq_management_agent",
    "rabbitmq_message_deduplication",
    "rabbitmq_prometheus",
    "rabbitmq_random_exchange",
    "rabbitmq_recent_history_exchange",
    "rabbitmq_top",
    "rabbitmq_web_dispatch",
];

/// Plugins of RabbitMQ that there is nothing like here.
const ABSENT: &[&str] = &[
    "rabbitmq_amqp1_0",
    "rabbitmq_auth_backend_cache",
    "rabbitmq_auth_backend_http",
    "rabbitmq_auth_backend_ldap",
    "rabbitmq_auth_backend_oauth2",
    "rabbitmq_auth_mechanism_ssl",
    "rabbitmq_federation",
    "rabbitmq_federation_management",
    "rabbitmq_jms_topic_exchange",
    "rabbitmq_mqtt",
    "rabbitmq_peer_discovery_aws",
    "rabbitmq_peer_discovery_common",
    "rabbitmq_peer_discovery_consul",
    "rabbitmq_peer_discovery_etcd",
    "rabbitmq_peer_discovery_k8s",
    "rabbitmq_sharding",
    "rabbitmq_shovel",
    "rabbitmq_shovel_management",
    "rabbitmq_stomp",
    "rabbitmq_stream",
    "rabbitmq_stream_management",
    "rabbitmq_tracing",
    "rabbitmq_trust_store",
    "rabbitmq_web_mqtt",
    "rabbitmq_web_stomp",
];

pub const COMMANDS: &[Command] = &[
    command(
        "directories",
        "[--offline] [--online]",
        "Says that plugins have no directory",
        (0, 0),
        |_| "Listing plugin directories inferred from local environment...".to_owned(),
        |_| {
            let text = "Plugin archives directory: (none)\nPlugin expansion directory: (none)\n\
                        Enabled plugins file: (none)";
            Ok(Output::Said { text: text.to_owned(), json: json!({ "result": "ok" }) })
        },
    )
    .of(PLUGINS)
    .with(PLACE),
    command(
        "disable",
        "<plugin> [<plugin> ...] | --all [--offline] [--online]",
        "Turns plugins off that are on, of which none can be",
        (0, MANY),
        |call| names_banner("Disabling", call),
        disable,
    )
    .of(PLUGINS)
    .with(PLACE),
    command(
        "enable",
        "<plugin> [<plugin> ...] | --all [--offline] [--online]",
        "Ends well if what these plugins do is built in",
        (0, MANY),
        |call| names_banner("Enabling", call),
        |call| {
            if !call.has("all") && call.args.is_empty() {
                return Err(Failure::argument("not enough arguments."));
            }
            enable(call)
        },
    )
    .of(PLUGINS)
    .with(PLACE),
    command(
        "is_enabled",
        "<plugin> [<plugin> ...] [--offline] [--online]",
        "Ends well if what these plugins do is built in",
        (1, MANY),
        |call| format!("Asking node {} if {} enabled...", call.node, plural(&call.args)),
        is_enabled,
    )
    .of(PLUGINS)
    .with(PLACE)
    .check(),
    command(
        "list",
        "[<pattern>] [--verbose] [--minimal] [--enabled] [--implicitly-enabled]",
        "Lists what is built in and what is not there",
        (0, 1),
        |call| match call.args.first() {
            Some(pattern) => format!("Listing plugins with pattern \"{pattern}\" ..."),
            None => "Listing plugins with pattern \".*\" ...".to_owned(),
        },
        list,
    )
    .of(PLUGINS)
    .with(LIST),
    command(
        "set",
        "[<plugin> ...] [--offline] [--online]",
        "Ends well if what these plugins do is built in; what else is built in stays on",
        (0, MANY),
        |call| names_banner("Enabling", call),
        enable,
    )
    .of(PLUGINS)
    .with(PLACE),
];

fn names_banner(verb: &str, call: &Call) -> String {
    if call.has("all") {
        return format!("{verb} ALL plugins on node {}", call.node);
    }
    format!("{verb} plugins on node {}:\n{}", call.node, call.args.join("\n"))
}

fn plural(names: &[String]) -> String {
    match names {
        [one] => format!("plugin {one} is"),
        _ => format!("plugins {} are", names.join(", ")),
    }
}

/// Fails for a name that means nothing, or something that is not there.
fn check(names: &[String]) -> Result<()> {
    let not_known: Vec<&str> = names
        .iter()
        .map(String::as_str)
        .filter(|name| !BUILT_IN.contains(name) && !ABSENT.contains(name))
        .collect();
    if !not_known.is_empty() {
        let names: Vec<String> = not_known.iter().map(|name| format!(":{name}")).collect();
        return Err(Failure::new(SOFTWARE, format!("{{:plugins_not_found, [{}]}}", names.join(", "))));
    }
    let absent: Vec<&str> = names.iter().map(String::as_str).filter(|name| ABSENT.contains(name)).collect();
    if absent.is_empty() {
        return Ok(());
    }
    let text =
        format!("The following plugins are not part of this version of leveret:\n  {}", absent.join("\n  "));
    Err(Failure::new(UNAVAILABLE, text))
}

fn enable(call: &mut Call) -> Result<Output> {
    check(&call.args)?;
    let mut lines = vec!["The following plugins have been configured:".to_owned()];
    lines.extend(BUILT_IN.iter().map(|name| format!("  {name}")));
    lines.push(format!("Applying plugin configuration to {}...", call.node));
    lines.push("Plugin configuration unchanged.".to_owned());
    let json =
        json!({ "enabled": BUILT_IN, "set": BUILT_IN, "started": [], "stopped": [], "mode": "offline" });
    Ok(Output::Said { text: lines.join("\n"), json })
}

fn disable(call: &mut Call) -> Result<Output> {
    let named: Vec<String> = match call.has("all") {
        true => BUILT_IN.iter().map(|name| (*name).to_owned()).collect(),
        false => call.args.clone(),
    };
    if named.is_empty() {
        return Err(Failure::argument("not enough arguments."));
    }
    let fixed: Vec<&str> = named.iter().map(String::as_str).filter(|name| BUILT_IN.contains(name)).collect();
    if !fixed.is_empty() {
        let text =
            format!("The following plugins are built in and cannot be disabled:\n  {}", fixed.join("\n  "));
        return Err(Failure::new(UNAVAILABLE, text));
    }
    // What is not there is off, and was.
    let json = json!({ "disabled": [], "set": BUILT_IN, "started": [], "stopped": [], "mode": "offline" });
    Ok(Output::Said { text: "Plugin configuration unchanged.".to_owned(), json })
}

fn is_enabled(call: &mut Call) -> Result<Output> {
    let off: Vec<String> =
        call.args.iter().filter(|name| !BUILT_IN.contains(&name.as_str())).cloned().collect();
    let of_node = if call.has("offline") { String::new() } else { format!(" on node {}", call.node) };
    if off.is_empty() {
        let text = format!("{} enabled{of_node}", capital(&plural(&call.args)));
        return Ok(Output::Said { json: json!({ "result": "ok", "message": text }), text });
    }
    let text = format!(
        "{} not enabled{of_node}. Enabled plugins and dependencies: {}",
        capital(&plural(&off)),
        BUILT_IN.join(", ")
    );
    Err(Failure::new(UNAVAILABLE, text))
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().collect::<String>() + letters.as_str())
        .unwrap_or_default()
}

fn list(call: &mut Call) -> Result<Output> {
    if call.has("verbose") && call.has("minimal") {
        return Err(Failure::argument("Cannot set both verbose and minimal"));
    }
    let pattern = call.args.first().map_or(".*", String::as_str);
    let pattern = regex::Regex::new(pattern)
        .map_err(|_| Failure::argument(format!("'{pattern}' is not a regular expression")))?;
    let enabled_only = call.has("enabled") || call.has("implicitly-enabled");
    let mut names: Vec<(&str, bool)> = BUILT_IN.iter().map(|name| (*name, true)).collect();
    if !enabled_only {
        names.extend(ABSENT.iter().map(|name| (*name, false)));
    }
    names.retain(|(name, _)| pattern.is_match(name));
    names.sort_unstable();
    let json: Vec<Value> = names
        .iter()
        .map(|(name, is_on)| {
            let state = if *is_on { "enabled" } else { "not_enabled" };
            json!({ "name": name, "enabled": state, "running": is_on, "version": call.version, "running_version": if *is_on { call.version.as_str() } else { "" } })
        })
        .collect();
    let width = names.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut lines = Vec::new();
    if !call.has("minimal") && !call.has("quiet") && !call.has("silent") {
        lines.push(" Configured: E = explicitly enabled; e = implicitly enabled".to_owned());
        lines.push(format!(" | Status: * = running on {}", call.node));
        lines.push(" |/".to_owned());
    }
    for (name, is_on) in &names {
        let mark = if *is_on { "[E*]" } else { "[  ]" };
        lines.push(match call.has("minimal") {
            true => (*name).to_owned(),
            false => format!("{mark} {name:width$} {}", call.version),
        });
    }
    Ok(Output::Said {
        text: lines.join("\n"),
        json: json!({ "status": "running", "format": "normal", "plugins": json }),
    })
}
