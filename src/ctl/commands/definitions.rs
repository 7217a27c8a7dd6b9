//! Definitions, to and from files.

use std::{
    fs,
    io::{self, Read},
};

use hyper::Method;
use serde_json::{Value, json};

use super::{Command, command};
use crate::ctl::{
    call::Call,
    failure::{DATA, Failure, IO, Result},
    output::Output,
    words::{Switch, flag, valued},
};

/// What the broker takes.
const FILE_MAX: u64 = 20 << 20;
const OPTIONS: &[Switch] = &[valued("format"), flag("skip-if-unchanged")];

pub const COMMANDS: &[Command] = &[
    command(
        "export_definitions",
        "<file | -> [--format json]",
        "Writes users, virtual hosts, permissions, policies, queues, exchanges and bindings to a file",
        (1, 1),
        |call| match call.arg(0) {
            "-" => String::new(),
            file => format!("Exporting definitions in JSON to a file at \"{file}\" ..."),
        },
        export,
    )
    .with(OPTIONS),
    command(
        "import_definitions",
        "[<file | ->] [--format json] [--skip-if-unchanged]",
        "Adds what a file of definitions has; without a file it is read from standard input",
        (0, 1),
        |call| match call.arg(0) {
            "" | "-" => "Importing definitions in JSON from standard input ...".to_owned(),
            file => format!("Importing definitions in JSON from a file at \"{file}\" ..."),
        },
        import,
    )
    .with(OPTIONS),
];

fn check_format(call: &Call) -> Result<()> {
    match call.option("format").map(str::to_ascii_lowercase).as_deref() {
        None | Some("json") => Ok(()),
        Some("erlang") => Err(Failure::argument("Erlang terms are not supported, only JSON")),
        Some(_) => Err(Failure::argument("Format should be either json or erlang")),
    }
}

fn export(call: &mut Call) -> Result<Output> {
    check_format(call)?;
    let found = call.get_json("definitions")?;
    let text = format!("{found}\n");
    match call.arg(0) {
        "-" => Ok(Output::Raw(text.into_bytes())),
        file => {
            fs::write(file, text).map_err(|error| {
                let text = match error.kind() {
                    io::ErrorKind::NotFound => format!("Parent directory or file {file} does not exist"),
                    io::ErrorKind::PermissionDenied => {
                        format!("No permissions to write to file {file} or its parent directory")
                    }
                    io::ErrorKind::IsADirectory => format!("Path {file} is a directory"),
                    _ => format!("Could not write to file {file}: {error}"),
                };
                Failure::new(IO, text)
            })?;
            Ok(Output::Nothing)
        }
    }
}

fn import(call: &mut Call) -> Result<Output> {
    check_format(call)?;
    let mut text = String::new();
    let read = match call.arg(0) {
        "" | "-" => io::stdin().lock().take(FILE_MAX + 1).read_to_string(&mut text),
        file => fs::File::open(file).and_then(|opened| opened.take(FILE_MAX + 1).read_to_string(&mut text)),
    };
    read.map_err(|error| {
        let file = call.arg(0);
        let text = match error.kind() {
            io::ErrorKind::NotFound => format!("File {file} does not exist"),
            io::ErrorKind::PermissionDenied => format!("No permissions to read from file {file}"),
            io::ErrorKind::IsADirectory => format!("Path {file} is a directory"),
            _ => format!("Could not read from file {file}: {error}"),
        };
        Failure { code: DATA, ..Failure::argument(format!("Bad argument: {text}")) }
    })?;
    if FILE_MAX < text.len() as u64 {
        return Err(Failure::new(DATA, "The definitions are too large"));
    }
    let document: Value = serde_json::from_str(&text).map_err(|error| {
        Failure::new(DATA, format!("Failed to deserialise input (format: JSON) (error: {error})"))
    })?;
    call.change(Method::POST, "definitions", Some(&document))?;
    let text = "Successfully imported definitions.";
    Ok(Output::Said { text: text.to_owned(), json: json!({ "result": "ok", "node": call.node }) })
}
