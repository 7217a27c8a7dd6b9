//! The command-line tools of RabbitMQ: one program under many names, which asks the broker over HTTP.
//!
//! | file | job |
//! |---|---|
//! | `words` | the command line, in the spellings of RabbitMQ's tools |
//! | `api` | the broker, through its socket or its management interface |
//! | `call` | one command under way |
//! | `commands` | what there is to say, a table for each subject |
//! | `output` | tables, JSON, CSV |
//! | `failure` | texts and exit codes |
//! | `help` | usage |
//! | `admin` | `rabbitmqadmin`, which has another command line |
//!
//! It shares no code with the broker and does nothing that the HTTP API does not offer.

mod admin;
mod api;
mod call;
mod commands;
mod failure;
mod help;
mod output;
mod tls;
mod words;

use std::{
    io::{self, Write},
    os::unix::net::UnixStream,
    process::ExitCode,
    time::Duration,
};

use api::{Api, Remote, Target};
use call::Call;
use commands::Command;
use failure::{ARGUMENT, Failure, IO, Result, SOFTWARE, USAGE};
use output::{Format, Output};
use words::{EVERYWHERE, Words};

/// What a tool knows about the place it runs in.
pub struct Surroundings {
    /// Opens the socket of the broker that is meant; why there is none, in words. The arguments are a socket and a data
    /// directory, if they were named.
    pub open: Opener,
    /// The node's name if another one was not asked for.
    pub node: String,
    /// The version that the broker tells its clients.
    pub version: String,
    /// Where somebody's settings are.
    pub home: Option<String>,
}

/// Opens the socket of a broker, whose path or data directory may be given.
pub type Opener = fn(Option<&str>, Option<&str>) -> std::result::Result<UnixStream, String>;

/// The programs that we stand in for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    Ctl,
    Diagnostics,
    Plugins,
    Queues,
    Streams,
    Upgrade,
    Admin,
}

impl Tool {
    /// By the name of a program.
    pub fn of_program(name: &str) -> Option<Tool> {
        Some(match name {
            "rabbitmqctl" => Tool::Ctl,
            "rabbitmq-diagnostics" => Tool::Diagnostics,
            "rabbitmq-plugins" => Tool::Plugins,
            "rabbitmq-queues" => Tool::Queues,
            "rabbitmq-streams" => Tool::Streams,
            "rabbitmq-upgrade" => Tool::Upgrade,
            "rabbitmqadmin" => Tool::Admin,
            _ => return None,
        })
    }

    /// By our own name for it, behind `leveret`.
    pub fn of_command(name: &str) -> Option<Tool> {
        Some(match name {
            "ctl" => Tool::Ctl,
            "diagnostics" => Tool::Diagnostics,
            "plugins" => Tool::Plugins,
            "queues" => Tool::Queues,
            "streams" => Tool::Streams,
            "upgrade" => Tool::Upgrade,
            "admin" => Tool::Admin,
            _ => return None,
        })
    }

    /// Its name in usage and errors.
    pub fn program(self) -> &'static str {
        match self {
            Tool::Ctl => "rabbitmqctl",
            Tool::Diagnostics => "rabbitmq-diagnostics",
            Tool::Plugins => "rabbitmq-plugins",
            Tool::Queues => "rabbitmq-queues",
            Tool::Streams => "rabbitmq-streams",
            Tool::Upgrade => "rabbitmq-upgrade",
            Tool::Admin => "rabbitmqadmin",
        }
    }
}

/// Runs a tool with the words behind its name.
pub fn run(tool: Tool, words: &[String], surroundings: &Surroundings) -> ExitCode {
    let done = match tool {
        Tool::Admin => admin::run(words, surroundings),
        _ => perform(tool, words, surroundings),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.text.is_empty() {
                eprintln!("{}", failure.text);
            }
            ExitCode::from(failure.code)
        }
    }
}

fn perform(tool: Tool, words: &[String], surroundings: &Surroundings) -> Result<()> {
    let Some(name) = Words::command(words) else {
        let asked = Words::parse(words, EVERYWHERE);
        if words.iter().any(|word| word == "--version") {
            return print(&Output::text(surroundings.version.as_str()), Format::Table, true);
        }
        let usage = help::overview(tool);
        if asked.has("help") {
            return print(&Output::text(usage), Format::Table, true);
        }
        return Err(Failure::bare(USAGE, usage));
    };
    if name == "help" {
        return help::run(tool, &Words::parse(words, EVERYWHERE));
    }
    let Some(command) = commands::find(tool, &name) else {
        return Err(Failure::bare(USAGE, help::unknown(tool, &name)));
    };
    let switches: Vec<words::Switch> = EVERYWHERE.iter().chain(command.switches).copied().collect();
    let given = words;
    let mut words = Words::parse(words, &switches);
    if words.has("help") {
        return print(&Output::text(help::of(tool, command)), Format::Table, true);
    }
    words.plain.remove(0);
    check(command, &words).map_err(|problem| help::misused(tool, command, &problem, given))?;
    let format = match words.option("formatter") {
        None => Format::Table,
        Some(name) => Format::named(name).ok_or_else(|| {
            help::misused(tool, command, &format!("formatter {name} is not supported"), given)
        })?,
    };
    let api =
        Api::new(target(&words, surroundings)?).map_err(|error| Failure::new(SOFTWARE, error.to_string()))?;
    let node = node_name(&words, surroundings);
    let args = std::mem::take(&mut words.plain);
    let mut call = Call { node, version: surroundings.version.clone(), args, words, api };
    call.api.timeout = call.timeout().or(Some(Duration::from_secs(command.patience)));
    let is_quiet = call.has("quiet") || call.has("silent") || format.is_for_programs();
    let banner = (command.banner)(&call);
    if !is_quiet && !banner.is_empty() {
        print(&Output::text(banner), Format::Table, true)?;
    }
    let output = (command.run)(&mut call).map_err(|failure| match failure.text.strip_prefix(ARGUMENT) {
        Some(problem) => Failure { code: failure.code, ..help::misused(tool, command, problem, given) },
        None => failure,
    })?;
    if call.has("silent") && command.is_check {
        return Ok(());
    }
    let has_headers = call.option("table-headers") != Some("false") && !call.has("silent");
    print(&output, format, has_headers)
}

/// Options and the number of arguments.
fn check(command: &Command, words: &Words) -> std::result::Result<(), String> {
    if !words.unknown.is_empty() {
        let lines: Vec<String> = words.unknown.iter().map(|option| format!("{option} : ")).collect();
        return Err(format!("Invalid options for this command:\n{}", lines.join("\n")));
    }
    let (least, most) = command.arity;
    let given = words.plain.len();
    match given {
        _ if given < least => Err("not enough arguments.".to_owned()),
        _ if most < given => Err("too many arguments.".to_owned()),
        _ => Ok(()),
    }
}

fn target(words: &Words, surroundings: &Surroundings) -> Result<Target> {
    if let Some(uri) = words.option("uri") {
        let remote = Remote::parse(uri)
            .ok_or_else(|| Failure::argument(format!("'{uri}' is not http[s]://USER:PASSWORD@HOST:PORT")))?;
        return Ok(Target::Remote(remote));
    }
    let open = surroundings.open;
    let named = ["socket", "data-dir"].map(|name| words.option(name).map(str::to_owned));
    Ok(Target::Local(Box::new(move || {
        let [socket, data_dir] = &named;
        open(socket.as_deref(), data_dir.as_deref())
    })))
}

/// The name that was asked for, complete.
fn node_name(words: &Words, surroundings: &Surroundings) -> String {
    let host = || surroundings.node.split_once('@').map_or("localhost", |(_, host)| host);
    match words.option("node") {
        None => surroundings.node.clone(),
        Some(name) if name.contains('@') => name.to_owned(),
        Some(name) => format!("{name}@{}", host()),
    }
}

/// A reader that has seen enough closes the pipe; that is its right, not an error.
fn print(output: &Output, format: Format, has_headers: bool) -> Result<()> {
    let mut stdout = io::stdout().lock();
    let written =
        stdout.write_all(&output::render(output, format, has_headers)).and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::new(IO, error.to_string())),
        _ => Ok(()),
    }
}
