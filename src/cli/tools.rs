//! The command-line tools that the binary is, too, under RabbitMQ's names for them or as `leveret ctl`.

use std::{
    ffi::OsString,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use super::{
    args::Options,
    environment,
    sources::{self, Directories},
};
use crate::{
    Config,
    ctl::{self, Surroundings, Tool},
    server::local,
};

/// The tool that was called by name of the program or by the first word, with the words for it.
pub fn called(program: &Path, words: &[OsString]) -> Option<(Tool, Vec<String>)> {
    let text = |words: &[OsString]| words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let by_name = program.file_name().and_then(|name| name.to_str()).and_then(Tool::of_program);
    if let Some(tool) = by_name {
        return Some((tool, text(words)));
    }
    let (first, rest) = words.split_first()?;
    Some((Tool::of_command(first.to_str()?)?, text(rest)))
}

pub fn run(tool: Tool, words: &[String]) -> ExitCode {
    let environment = environment();
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let node = environment.get("RABBITMQ_NODENAME").filter(|name| !name.is_empty());
    let node = match node {
        Some(name) if name.contains('@') => name.clone(),
        Some(name) => format!("{name}@{host}"),
        None => format!("leveret@{host}"),
    };
    let surroundings = Surroundings {
        open,
        node,
        version: Config::default().amqp.advertised_version,
        home: environment.get("HOME").cloned(),
    };
    ctl::run(tool, words, &surroundings)
}

/// Opens the socket that is named, or that of the data directory that is named; or that which a broker would have if it
/// were started here; or that of the only broker of this user.
fn open(socket: Option<&str>, data_dir: Option<&str>) -> Result<UnixStream, String> {
    if let Some(path) = socket {
        return connect(Path::new(path));
    }
    let mut config = configured();
    if let Some(directory) = data_dir {
        config.storage.data_dir = Some(PathBuf::from(directory));
        config.management.socket = crate::server::Socket::Auto;
        return connect(&local::place(&config).unwrap_or_default());
    }
    let usual = match local::place(&config) {
        Some(path) => connect(&path),
        None => Err("the configuration says that there is no socket for tools".to_owned()),
    };
    let Err(reason) = usual else { return usual };
    match local::living().as_slice() {
        [] => Err(format!("no broker of this user is running here ({reason})")),
        [only] => connect(only),
        several => {
            let paths: Vec<String> = several.iter().map(|path| path.display().to_string()).collect();
            Err(format!("several brokers are running; name one with --socket: {}", paths.join(", ")))
        }
    }
}

fn connect(path: &Path) -> Result<UnixStream, String> {
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    local::connect(&path).map_err(|error| format!("{}: {error}", path.display()))
}

/// The configuration of a broker that would be started here. One that is wrong does not keep us from asking one that
/// runs.
fn configured() -> Config {
    let loaded = sources::load(&Options::default(), &environment(), &Directories::default());
    loaded.map(|settings| settings.config).unwrap_or_default()
}

/// Whether the program was called as RabbitMQ's server.
pub fn is_server(program: &Path) -> bool {
    program.file_name().is_some_and(|name| name == "rabbitmq-server")
}

/// The file in which scripts look for the number of the server's process.
pub fn note_pid() -> Result<(), String> {
    let environment = environment();
    let Some(path) = environment.get("RABBITMQ_PID_FILE").filter(|path| !path.is_empty()) else {
        return Ok(());
    };
    std::fs::write(path, format!("{}\n", std::process::id()))
        .map_err(|error| format!("RABBITMQ_PID_FILE: {path} cannot be written: {error}"))
}

/// `rabbitmq-server -detached`: the same without it, on its own.
pub fn detach(words: &[OsString]) -> Option<ExitCode> {
    use std::os::unix::process::CommandExt;
    let is_detached = |word: &OsString| word == "-detached" || word == "--detached";
    if !words.iter().any(is_detached) {
        return None;
    }
    let rest = words.iter().filter(|word| !is_detached(word));
    let started = std::env::current_exe().and_then(|program| {
        let mut command = Command::new(program);
        command.arg0("rabbitmq-server").args(rest).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
    });
    Some(match started {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => super::complain(format!("cannot start in the background: {error}"), super::FAILURE),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_is_called_by_its_name_or_by_ours() {
        let words = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
        let tool = |program: &str, line: &str| {
            called(Path::new(program), &words(line)).map(|(tool, rest)| (tool, rest.len()))
        };
        assert_eq!(tool("/usr/sbin/rabbitmqctl", "status -q"), Some((Tool::Ctl, 2)));
        assert_eq!(tool("leveret", "ctl status -q"), Some((Tool::Ctl, 2)));
        assert_eq!(tool("rabbitmq-diagnostics", "ping"), Some((Tool::Diagnostics, 1)));
        assert_eq!(tool("leveret", "admin list queues"), Some((Tool::Admin, 2)));
        assert_eq!(tool("leveret", "--ephemeral"), None);
        assert!(is_server(Path::new("/opt/rabbitmq/sbin/rabbitmq-server")));
    }
}
