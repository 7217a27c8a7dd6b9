//! Doing what a command of `rabbitmqadmin` says.

use std::{
    fs,
    io::{self, Read},
};

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::{Map, Value, json};

use super::{Session, died, line::Line, misuse, print, table::Command};
use crate::ctl::{api::segment, failure::Result};

/// What the API takes.
const INPUT_MAX: u64 = 20 << 20;

/// Columns of a list that nobody chose any for.
const USUAL: &[(&str, &[&str])] = &[
    ("connections", &["name", "user", "channels"]),
    ("channels", &["name", "user"]),
    ("exchanges", &["name", "type"]),
    ("queues", &["name", "messages"]),
    ("bindings", &["source", "destination", "routing_key"]),
    ("vhosts", &["name", "messages"]),
    ("nodes", &["name", "type", "mem_used"]),
    ("overview", &["rabbitmq_version", "cluster_name", "queue_totals.messages", "object_totals.queues"]),
];

/// Lists that are also there for one vhost.
const OF_VHOSTS: [&str; 7] =
    ["exchanges", "queues", "bindings", "consumers", "policies", "operator_policies", "vhost_limits"];

pub fn perform(
    session: &mut Session,
    command: &Command,
    line: &Line,
    given: &Map<String, Value>,
) -> Result<()> {
    match command.verb {
        "declare" => declare(session, command, given),
        "delete" | "purge" | "close" => remove(session, command, given),
        "publish" => publish(session, command, given),
        "get" => get(session, command, given),
        "export" => export(session, line, given),
        "import" => import(session, line, given),
        "health_check" => {
            let path = path(session, command, given)?;
            session.ask("GET", &path, None)?;
            session.say("health check passed");
            Ok(())
        }
        "rebalance" => {
            session.ask("POST", command.path, Some(&json!({})))?;
            session.say("rebalancing started");
            Ok(())
        }
        _ => list(session, command, line),
    }
}

/// The path with its arguments in it.
fn path(session: &Session, command: &Command, given: &Map<String, Value>) -> Result<String> {
    let mut path = String::new();
    for part in command.path.split('/') {
        if !path.is_empty() {
            path.push('/');
        }
        let Some(name) = part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) else {
            path.push_str(part);
            continue;
        };
        let text = |name: &str| given.get(name).map(crate::ctl::output::cell);
        let value = match name {
            "vhost" => {
                text("vhost").or_else(|| session.settings.vhost.clone()).unwrap_or_else(|| "/".to_owned())
            }
            "destination_char" => text("destination_type").unwrap_or_default().chars().take(1).collect(),
            // A binding without arguments is known by its routing key, encoded, or by a tilde if that is empty.
            "properties_key" => match (text("properties_key"), text("routing_key")) {
                (Some(key), _) => key,
                (None, Some(key)) if !key.is_empty() => segment(&key),
                _ => "~".to_owned(),
            },
            "source" | "exchange" if text(name).as_deref() == Some("") => "amq.default".to_owned(),
            name => text(name).unwrap_or_default(),
        };
        path.push_str(&segment(&value));
    }
    if path.contains("//") {
        return Err(misuse("a name must not be empty"));
    }
    Ok(path)
}

fn declare(session: &mut Session, command: &Command, given: &Map<String, Value>) -> Result<()> {
    let path = path(session, command, given)?;
    let body = Value::Object(body(session, command, given));
    let method = if command.noun == "binding" { "POST" } else { "PUT" };
    session.ask(method, &path, Some(&body))?;
    session.say(&format!("{} declared", command.noun));
    Ok(())
}

/// What the API wants to be told, which differs a little from how it is said here.
fn body(session: &Session, command: &Command, given: &Map<String, Value>) -> Map<String, Value> {
    let mut body = given.clone();
    let vhost = session.settings.vhost.clone().unwrap_or_else(|| "/".to_owned());
    body.entry("vhost").or_insert_with(|| vhost.into());
    if let Some(value) = body.remove("apply_to") {
        body.insert("apply-to".to_owned(), value);
    }
    let mut arguments = match body.get("arguments") {
        Some(Value::Object(arguments)) => arguments.clone(),
        _ => Map::new(),
    };
    match command.noun {
        "queue" => {
            for name in ["queue_type", "type"] {
                if let Some(value) = body.remove(name) {
                    arguments.insert("x-queue-type".to_owned(), value);
                }
            }
        }
        "stream" => {
            arguments.insert("x-queue-type".to_owned(), "stream".into());
            for (name, argument) in [
                ("expiration", "x-max-age"),
                ("max_length_bytes", "x-max-length-bytes"),
                ("max_segment_length_bytes", "x-stream-max-segment-size-bytes"),
            ] {
                if let Some(value) = body.remove(name) {
                    let number = value.as_str().and_then(|text| text.parse::<u64>().ok());
                    arguments.insert(argument.to_owned(), number.map_or(value, Value::from));
                }
            }
        }
        "user" => {
            body.entry("tags").or_insert_with(|| "".into());
        }
        _ => {}
    }
    if !arguments.is_empty() {
        body.insert("arguments".to_owned(), Value::Object(arguments));
    }
    body
}

fn remove(session: &mut Session, command: &Command, given: &Map<String, Value>) -> Result<()> {
    let path = path(session, command, given)?;
    let done = match command.verb {
        "delete" => "deleted",
        "purge" => "purged",
        _ => "closed",
    };
    match session.ask("DELETE", &path, None) {
        Err(failure) if given.contains_key("idempotently") && failure.text.contains("Not found") => {}
        reply => drop(reply?),
    }
    session.say(&format!("{} {done}", command.noun));
    Ok(())
}

fn publish(session: &mut Session, command: &Command, given: &Map<String, Value>) -> Result<()> {
    let path = path(session, command, given)?;
    let mut body = given.clone();
    if !body.contains_key("payload") {
        let mut payload = Vec::new();
        let read = io::stdin().lock().take(INPUT_MAX).read_to_end(&mut payload);
        read.map_err(|error| died(format!("standard input cannot be read: {error}")))?;
        body.insert("payload".to_owned(), BASE64_STANDARD.encode(payload).into());
        body.insert("payload_encoding".to_owned(), "base64".into());
    }
    let reply = session.ask("POST", &path, Some(&Value::Object(body)))?;
    let is_routed = reply.json()["routed"] == true;
    session.say(if is_routed { "Message published" } else { "Message published but NOT routed" });
    Ok(())
}

fn get(session: &mut Session, command: &Command, given: &Map<String, Value>) -> Result<()> {
    let path = path(session, command, given)?;
    let mut body = given.clone();
    if let Some(mode) = body.remove("ack_mode") {
        body.insert("ackmode".to_owned(), mode);
    }
    let file = body.remove("payload_file").map(|file| crate::ctl::output::cell(&file));
    if file.is_some() && body.get("count").is_some_and(|count| count != "1") {
        return Err(misuse("Cannot get multiple messages using payload_file"));
    }
    let found = session.ask("POST", &path, Some(&Value::Object(body)))?.json();
    let mut columns: Vec<String> = Vec::new();
    if let (Some(file), Some(message)) = (file, found.pointer("/0")) {
        let payload = message["payload"].as_str().unwrap_or_default();
        let octets = match message["payload_encoding"] == "base64" {
            true => BASE64_STANDARD.decode(payload).map_err(|error| died(error.to_string()))?,
            false => payload.as_bytes().to_vec(),
        };
        fs::write(&file, octets).map_err(|error| died(format!("{file} cannot be written: {error}")))?;
        columns = ["routing_key", "exchange", "message_count", "payload_bytes", "redelivered"]
            .map(str::to_owned)
            .to_vec();
    }
    show(session, &found, &columns);
    Ok(())
}

/// The file is an argument without a name in the first syntax, `--file` or standard streams in the second.
fn file<'a>(line: &'a Line, given: &'a Map<String, Value>, stream: &str) -> Result<&'a str> {
    if given.contains_key(stream) {
        return Ok("-");
    }
    match (line.plain.as_slice(), given.get("file").and_then(Value::as_str)) {
        ([file], None) => Ok(file),
        ([], Some(file)) => Ok(file),
        _ => Err(misuse("Exactly one argument required")),
    }
}

fn definitions(session: &Session) -> String {
    match &session.settings.vhost {
        Some(vhost) => format!("definitions/{}", segment(vhost)),
        None => "definitions".to_owned(),
    }
}

fn export(session: &mut Session, line: &Line, given: &Map<String, Value>) -> Result<()> {
    let file = file(line, given, "stdout")?;
    let path = definitions(session);
    let reply = session.ask("GET", &path, None)?;
    if file == "-" {
        println!("{}", String::from_utf8_lossy(&reply.body));
        return Ok(());
    }
    fs::write(file, &reply.body).map_err(|error| died(format!("{file} cannot be written: {error}")))?;
    session.say(&format!("Exported definitions for {} to \"{file}\"", session.settings.remote.host));
    Ok(())
}

fn import(session: &mut Session, line: &Line, given: &Map<String, Value>) -> Result<()> {
    let file = file(line, given, "stdin")?;
    let mut text = Vec::new();
    let read = match file {
        "-" => io::stdin().lock().take(INPUT_MAX).read_to_end(&mut text),
        file => fs::File::open(file).and_then(|opened| opened.take(INPUT_MAX).read_to_end(&mut text)),
    };
    read.map_err(|error| died(format!("{file} cannot be read: {error}")))?;
    let document: Value =
        serde_json::from_slice(&text).map_err(|error| died(format!("{file} is not JSON: {error}")))?;
    let path = definitions(session);
    session.ask("POST", &path, Some(&document))?;
    session.say(&format!("Uploaded definitions from \"{file}\" to {}.", session.settings.remote.host));
    Ok(())
}

fn list(session: &mut Session, command: &Command, line: &Line) -> Result<()> {
    let settings = &session.settings;
    let mut columns: Vec<String> =
        line.plain.iter().flat_map(|word| word.split(',')).map(str::to_owned).collect();
    if columns.is_empty() && settings.depth == 1 && !settings.format.is_json() {
        let usual =
            USUAL.iter().find(|(noun, _)| *noun == command.noun).map_or(&[][..], |(_, columns)| columns);
        columns = usual.iter().map(|name| (*name).to_owned()).collect();
    }
    let mut path = command.path.to_owned();
    if let Some(vhost) = settings.vhost.as_ref().filter(|_| OF_VHOSTS.contains(&command.noun)) {
        path = format!("{path}/{}", segment(vhost));
    }
    let mut query = Vec::new();
    if !columns.is_empty() {
        query.push(format!("columns={}", columns.join(",")));
    }
    if let Some(sort) = &settings.sort {
        query.push(format!("sort={}", segment(sort)));
    }
    if settings.sort_reverse {
        query.push("sort_reverse=true".to_owned());
    }
    if !query.is_empty() {
        path = format!("{path}?{}", query.join("&"));
    }
    let mut found = session.ask("GET", &path, None)?.json();
    if command.noun == "churn" {
        found = found["churn_rates"].take();
    }
    if let ("parameters", Some(component)) = (command.noun, line.named.get("component"))
        && let Value::Array(items) = &mut found
    {
        items.retain(|item| item["component"] == component.as_str());
    }
    show(session, &found, &columns);
    Ok(())
}

fn show(session: &Session, found: &Value, columns: &[String]) {
    let text = print::list(found, columns, &session.settings);
    if !text.is_empty() {
        println!("{text}");
    }
}
