//! What `rabbitmqadmin` can do: verbs, kinds of objects, their arguments and paths.

use serde_json::{Map, Value};

use super::{line::Line, misuse};
use crate::ctl::failure::Result;

/// A verb for a kind of object.
pub struct Command {
    pub verb: &'static str,
    pub noun: &'static str,
    /// Below `/api/`, with arguments in braces.
    pub path: &'static str,
    /// The names that are needed; of those with a bar one.
    pub needed: &'static [&'static str],
    /// The names that may be left out, with what is sent then; nothing is not sent.
    pub optional: &'static [(&'static str, &'static str)],
    /// Arguments that are JSON.
    pub json: &'static [&'static str],
}

const NOT_SENT: &str = "";

const fn command(
    verb: &'static str,
    noun: &'static str,
    path: &'static str,
    needed: &'static [&'static str],
    optional: &'static [(&'static str, &'static str)],
    json: &'static [&'static str],
) -> Command {
    Command { verb, noun, path, needed, optional, json }
}

const NONE: &[(&str, &str)] = &[];
const POLICY: &[(&str, &str)] = &[("priority", "0"), ("apply_to", NOT_SENT)];

const COMMANDS: &[Command] = &[
    command(
        "declare",
        "exchange",
        "exchanges/{vhost}/{name}",
        &["name"],
        &[
            ("type", "direct"),
            ("auto_delete", "false"),
            ("durable", "true"),
            ("internal", "false"),
            ("arguments", "{}"),
        ],
        &["arguments"],
    ),
    command(
        "declare",
        "queue",
        "queues/{vhost}/{name}",
        &["name"],
        &[
            ("auto_delete", "false"),
            ("durable", "true"),
            ("arguments", "{}"),
            ("node", NOT_SENT),
            ("queue_type", NOT_SENT),
            ("type", NOT_SENT),
        ],
        &["arguments"],
    ),
    command(
        "declare",
        "stream",
        "queues/{vhost}/{name}",
        &["name"],
        &[
            ("durable", "true"),
            ("arguments", "{}"),
            ("expiration", NOT_SENT),
            ("max_length_bytes", NOT_SENT),
            ("max_segment_length_bytes", NOT_SENT),
        ],
        &["arguments"],
    ),
    command(
        "declare",
        "binding",
        "bindings/{vhost}/e/{source}/{destination_char}/{destination}",
        &["source", "destination"],
        &[("destination_type", "queue"), ("routing_key", NOT_SENT), ("arguments", "{}")],
        &["arguments"],
    ),
    command(
        "declare",
        "vhost",
        "vhosts/{name}",
        &["name"],
        &[
            ("tracing", NOT_SENT),
            ("description", NOT_SENT),
            ("tags", NOT_SENT),
            ("default_queue_type", NOT_SENT),
        ],
        &[],
    ),
    command(
        "declare",
        "user",
        "users/{name}",
        &["name", "password|password_hash"],
        &[
            ("password", NOT_SENT),
            ("password_hash", NOT_SENT),
            ("tags", NOT_SENT),
            ("hashing_algorithm", NOT_SENT),
        ],
        &[],
    ),
    command(
        "declare",
        "permission",
        "permissions/{vhost}/{user}",
        &["user", "configure", "write", "read"],
        &[("vhost", NOT_SENT)],
        &[],
    ),
    command(
        "declare",
        "parameter",
        "parameters/{component}/{vhost}/{name}",
        &["component", "name", "value"],
        NONE,
        &["value"],
    ),
    command("declare", "global_parameter", "global-parameters/{name}", &["name", "value"], NONE, &["value"]),
    command(
        "declare",
        "policy",
        "policies/{vhost}/{name}",
        &["name", "pattern", "definition"],
        POLICY,
        &["definition", "priority"],
    ),
    command(
        "declare",
        "operator_policy",
        "operator-policies/{vhost}/{name}",
        &["name", "pattern", "definition"],
        POLICY,
        &["definition", "priority"],
    ),
    command(
        "declare",
        "vhost_limit",
        "vhost-limits/{vhost}/{name}",
        &["name", "value"],
        &[("vhost", NOT_SENT)],
        &["value"],
    ),
    command(
        "declare",
        "user_limit",
        "user-limits/{user}/{name}",
        &["user", "name", "value"],
        NONE,
        &["value"],
    ),
    command("delete", "exchange", "exchanges/{vhost}/{name}", &["name"], NONE, &[]),
    command("delete", "queue", "queues/{vhost}/{name}", &["name"], NONE, &[]),
    command("delete", "stream", "queues/{vhost}/{name}", &["name"], NONE, &[]),
    command(
        "delete",
        "binding",
        "bindings/{vhost}/e/{source}/{destination_char}/{destination}/{properties_key}",
        &["source", "destination"],
        &[("destination_type", "queue"), ("properties_key", NOT_SENT), ("routing_key", NOT_SENT)],
        &[],
    ),
    command("delete", "vhost", "vhosts/{name}", &["name"], NONE, &[]),
    command("delete", "user", "users/{name}", &["name"], NONE, &[]),
    command("delete", "permission", "permissions/{vhost}/{user}", &["user"], &[("vhost", NOT_SENT)], &[]),
    command(
        "delete",
        "parameter",
        "parameters/{component}/{vhost}/{name}",
        &["component", "name"],
        NONE,
        &[],
    ),
    command("delete", "global_parameter", "global-parameters/{name}", &["name"], NONE, &[]),
    command("delete", "policy", "policies/{vhost}/{name}", &["name"], NONE, &[]),
    command("delete", "operator_policy", "operator-policies/{vhost}/{name}", &["name"], NONE, &[]),
    command("delete", "vhost_limit", "vhost-limits/{vhost}/{name}", &["name"], &[("vhost", NOT_SENT)], &[]),
    command("delete", "user_limit", "user-limits/{user}/{name}", &["user", "name"], NONE, &[]),
    command("close", "connection", "connections/{name}", &["name"], &[("reason", NOT_SENT)], &[]),
    command(
        "close",
        "user_connections",
        "connections/username/{username}",
        &["username"],
        &[("reason", NOT_SENT)],
        &[],
    ),
    command("purge", "queue", "queues/{vhost}/{name}/contents", &["name"], NONE, &[]),
    command(
        "publish",
        "",
        "exchanges/{vhost}/{exchange}/publish",
        &["routing_key"],
        &[
            ("payload", NOT_SENT),
            ("properties", "{}"),
            ("exchange", "amq.default"),
            ("payload_encoding", "string"),
        ],
        &["properties"],
    ),
    command(
        "get",
        "",
        "queues/{vhost}/{queue}/get",
        &["queue"],
        &[
            ("count", "1"),
            ("ackmode", "ack_requeue_true"),
            ("ack_mode", NOT_SENT),
            ("payload_file", NOT_SENT),
            ("encoding", "auto"),
        ],
        &[],
    ),
    command("export", "", "definitions", &[], &[("file", NOT_SENT)], &[]),
    command("import", "", "definitions", &[], &[("file", NOT_SENT)], &[]),
    command("show", "overview", "overview", &[], NONE, &[]),
    command("show", "churn", "overview", &[], NONE, &[]),
    command("show", "endpoint", "overview", &[], NONE, &[]),
    command("list", "bindings", "bindings", &[], NONE, &[]),
    command("list", "channels", "channels", &[], NONE, &[]),
    command("list", "connections", "connections", &[], NONE, &[]),
    command("list", "consumers", "consumers", &[], NONE, &[]),
    command("list", "exchanges", "exchanges", &[], NONE, &[]),
    command("list", "feature_flags", "feature-flags", &[], NONE, &[]),
    command("list", "global_parameters", "global-parameters", &[], NONE, &[]),
    command("list", "nodes", "nodes", &[], NONE, &[]),
    command("list", "operator_policies", "operator-policies", &[], NONE, &[]),
    command("list", "parameters", "parameters", &[], &[("component", NOT_SENT)], &[]),
    command("list", "permissions", "permissions", &[], NONE, &[]),
    command("list", "policies", "policies", &[], NONE, &[]),
    command("list", "queues", "queues", &[], NONE, &[]),
    command("list", "topic_permissions", "topic-permissions", &[], NONE, &[]),
    command("list", "user_limits", "user-limits", &[], NONE, &[]),
    command("list", "users", "users", &[], NONE, &[]),
    command("list", "vhost_limits", "vhost-limits", &[], NONE, &[]),
    command("list", "vhosts", "vhosts", &[], NONE, &[]),
    command("health_check", "cluster_wide_alarms", "health/checks/alarms", &[], NONE, &[]),
    command("health_check", "local_alarms", "health/checks/local-alarms", &[], NONE, &[]),
    command(
        "health_check",
        "node_is_quorum_critical",
        "health/checks/node-is-quorum-critical",
        &[],
        NONE,
        &[],
    ),
    command("health_check", "port_listener", "health/checks/port-listener/{port}", &["port"], NONE, &[]),
    command(
        "health_check",
        "protocol_listener",
        "health/checks/protocol-listener/{protocol}",
        &["protocol"],
        NONE,
        &[],
    ),
    command("rebalance", "queues", "rebalance/queues", &[], NONE, &[]),
];

/// Verbs of the second syntax that come behind the kind of object.
const GROUPS: &[&str] = &[
    "bindings",
    "channels",
    "connections",
    "consumers",
    "definitions",
    "exchanges",
    "feature_flags",
    "global_parameters",
    "messages",
    "nodes",
    "operator_policies",
    "parameters",
    "permissions",
    "policies",
    "queues",
    "streams",
    "user_limits",
    "users",
    "vhost_limits",
    "vhosts",
    "overview",
];

/// Options without a value.
const FLAGS: &[&str] = &["idempotently", "stdout", "stdin", "all"];

pub fn is_flag(name: &str) -> bool {
    FLAGS.contains(&name)
}

/// Whether this is a kind of object, behind which the verb comes.
pub fn is_group(word: &str) -> bool {
    GROUPS.contains(&word)
}

pub fn is_list(verb: &str) -> bool {
    matches!(verb, "list" | "show" | "export" | "import")
}

/// Whether a kind of object may follow. `publish` and `get` have none in the first syntax.
pub fn has_noun(verb: &str) -> bool {
    is_group(verb) || !matches!(verb, "export" | "import" | "help")
}

/// The command that a line means.
pub fn find(line: &Line) -> Option<&'static Command> {
    let verb = line.verb.as_str();
    let noun = match (verb, line.noun.as_str()) {
        ("publish", "message" | "messages") | ("get", "messages" | "message") | ("export" | "import", _) => {
            ""
        }
        ("declare" | "delete" | "purge" | "close", noun) => singular(noun),
        (_, noun) => noun,
    };
    COMMANDS.iter().find(|command| command.verb == verb && command.noun == noun)
}

fn singular(noun: &str) -> &str {
    match noun {
        "operator_policies" => "operator_policy",
        "policies" => "policy",
        "user_connections" => noun,
        _ => noun.strip_suffix('s').unwrap_or(noun),
    }
}

impl Command {
    pub fn takes(&self, name: &str) -> bool {
        let is_needed = self.needed.iter().any(|needed| needed.split('|').any(|one| one == name));
        is_needed || self.optional.iter().any(|(optional, _)| *optional == name)
    }

    /// What is to be sent, from the arguments that were given.
    pub fn arguments(&self, line: &Line) -> Result<Map<String, Value>> {
        let given = &line.named;
        let mut arguments = Map::new();
        for (name, usual) in self.optional.iter().filter(|(_, usual)| *usual != NOT_SENT) {
            arguments.insert((*name).to_owned(), self.value(name, usual)?);
        }
        for (name, value) in given {
            let is_place = name == "vhost" && self.path.contains("{vhost}");
            let is_known = self.takes(name) || is_flag(name) || is_place;
            if !is_known {
                return Err(misuse(&format!("Argument \"{name}\" is not recognised")));
            }
            arguments.insert(name.clone(), self.value(name, value)?);
        }
        for needed in self.needed {
            if !needed.split('|').any(|one| given.contains_key(one)) {
                let text = match needed.split_once('|') {
                    Some((one, other)) => {
                        format!("one of mandatory arguments \"['{one}', '{other}']\" is required")
                    }
                    None => format!("mandatory argument \"{needed}\" is required"),
                };
                return Err(misuse(&text));
            }
        }
        Ok(arguments)
    }

    fn value(&self, name: &str, text: &str) -> Result<Value> {
        if !self.json.contains(&name) {
            return Ok(Value::from(text));
        }
        serde_json::from_str(text).map_err(|_| {
            crate::ctl::failure::Failure::bare(
                super::FAILED,
                format!("ERROR: Could not parse JSON:\n  {text}"),
            )
        })
    }
}

pub fn usage() -> String {
    let mut lines = String::new();
    for command in COMMANDS {
        let needed = command.needed.iter().map(|name| format!(" {}=...", name.replace('|', "=... OR ")));
        let optional: Vec<String> = command.optional.iter().map(|(name, _)| format!("{name}=...")).collect();
        let optional = if optional.is_empty() { String::new() } else { format!(" [{}]", optional.join(" ")) };
        let columns = if matches!(command.verb, "list" | "show") { " [<column>...]" } else { "" };
        let noun = if command.noun.is_empty() { "" } else { " " };
        lines.push_str(&format!(
            "  {}{noun}{}{}{optional}{columns}\n",
            command.verb,
            command.noun,
            needed.collect::<String>()
        ));
    }
    format!(
        "Usage\n=====\n  rabbitmqadmin [options] subcommand\n\n\
         Subcommands, whose arguments may also be written --name value, as in 'queues declare --name q'\n\
         ===========\n{lines}\n\
         Options\n=======\n\
         \x20 -H, --host HOST, -P, --port PORT, -u, --username USER, -p, --password PASSWORD\n\
         \x20 -U, --base-uri URI         all of these in one\n\
         \x20 -V, --vhost VHOST          default: all for list, / for the rest\n\
         \x20 -c, --config FILE          default: ~/.rabbitmqadmin.conf\n\
         \x20 -N, --node NODE            a section of that file\n\
         \x20 -f, --format FORMAT        table, long, kvp, tsv, bash, raw_json, pretty_json\n\
         \x20 -S, --sort COLUMN, -R, --sort-reverse, -d, --depth N, -q, --quiet\n\
         \x20 -t, --request-timeout SECONDS\n\
         \x20 -s, --ssl                  over TLS, on port 15671 unless there is another; also --use-tls\n\
         \x20 --ssl-ca-cert-file FILE, --ssl-cert-file FILE, --ssl-key-file FILE; also --tls-...\n\
         \x20 --ssl-disable-hostname-verification, -k, --ssl-insecure"
    )
}
