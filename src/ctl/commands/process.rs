//! The broker as a process: stopping it, and waiting for it.

use std::{
    fs,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::{CTL, Command, command, none};
use crate::ctl::{
    api::Silence,
    call::Call,
    failure::{DATA, Failure, Result, SOFTWARE, TEMPORARY, UNAVAILABLE},
    output::Output,
    words::{flag, valued},
};

const PAUSE: Duration = Duration::from_millis(5);
/// For a process to end, and for one to start.
const PATIENCE: Duration = Duration::from_secs(60);

pub const COMMANDS: &[Command] = &[
    command(
        "stop",
        "[--idempotent] [<pidfile>]",
        "Stops the broker; clients are told, and what was confirmed is on disk",
        (0, 1),
        |call| match call.args.first() {
            Some(file) => {
                format!("Stopping and halting node {} (will monitor pid file {file}) ...", call.node)
            }
            None => format!("Stopping and halting node {} ...", call.node),
        },
        stop,
    )
    .of(CTL)
    .with(&[flag("idempotent")]),
    command(
        "shutdown",
        "[--wait | --no-wait]",
        "Stops the broker and waits for its process to end",
        (0, 0),
        |call| format!("Shutting down RabbitMQ node {}", call.node),
        shutdown,
    )
    .with(&[flag("wait")]),
    command(
        "wait",
        "[<pidfile>] [--pid <pid>]",
        "Waits until the broker whose pid is given, or will be in a file, accepts clients",
        (0, 1),
        none,
        wait,
    )
    .with(&[valued("pid").short('P')]),
];

/// The process of the broker that answers.
fn ask_pid(call: &mut Call) -> Result<Pid> {
    let nodes = call.get_json("nodes")?;
    let text = nodes.pointer("/0/os_pid").and_then(|pid| pid.as_str()).unwrap_or_default();
    read_pid(text).ok_or_else(|| Failure::new(SOFTWARE, format!("'{text}' is not the number of a process")))
}

fn read_pid(text: &str) -> Option<Pid> {
    Pid::from_raw(text.trim().parse().ok()?)
}

fn terminate(pid: Pid) -> Result<()> {
    kill_process(pid, Signal::TERM).map_err(|error| {
        let text = format!("process {} cannot be told to stop: {error}", pid.as_raw_nonzero());
        Failure::new(UNAVAILABLE, text)
    })
}

fn is_alive(pid: Pid) -> bool {
    // One that we may not signal is there as well.
    match test_kill_process(pid) {
        Ok(()) => !is_zombie(pid),
        Err(error) => error == rustix::io::Errno::PERM,
    }
}

/// A process that has ended, of which its parent has not taken note yet.
fn is_zombie(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, fields)| fields.trim_start().starts_with('Z'))
}

fn await_end(call: &Call, pid: Pid) -> Result<()> {
    let begun = Instant::now();
    let patience = call.timeout().unwrap_or(PATIENCE);
    while is_alive(pid) {
        if patience < begun.elapsed() {
            let text =
                format!("process {} has not ended in {} seconds", pid.as_raw_nonzero(), patience.as_secs());
            return Err(Failure::line(TEMPORARY, text));
        }
        call.api.pause(PAUSE);
    }
    Ok(())
}

fn stop(call: &mut Call) -> Result<Output> {
    let pid = match ask_pid(call) {
        Err(failure) if failure.code == UNAVAILABLE && call.has("idempotent") => {
            return Ok(Output::text(format!("Node {} is no longer running", call.node)));
        }
        pid => pid?,
    };
    if let Some(file) = call.args.first() {
        let text = fs::read_to_string(file).map_err(|error| {
            Failure::line(SOFTWARE, format!("could not read pid from file {file}: {error}"))
        })?;
        let noted = read_pid(&text).ok_or_else(|| {
            Failure::line(
                SOFTWARE,
                format!("could not read pid from file {file}. File contents: {}", text.trim()),
            )
        })?;
        if noted != pid {
            let text = format!(
                "process {} (take from pid file {file}) is not that of node {}",
                noted.as_raw_nonzero(),
                call.node
            );
            return Err(Failure::line(SOFTWARE, text));
        }
    }
    terminate(pid)?;
    await_end(call, pid)?;
    Ok(Output::Nothing)
}

fn shutdown(call: &mut Call) -> Result<Output> {
    let pid = ask_pid(call)?;
    terminate(pid)?;
    if call.option("wait") == Some("false") {
        return Ok(Output::Nothing);
    }
    await_end(call, pid)?;
    let number = pid.as_raw_nonzero();
    Ok(Output::text(format!("RabbitMQ node {} running at PID {number} successfully shut down", call.node)))
}

fn wait(call: &mut Call) -> Result<Output> {
    let begun = Instant::now();
    let patience = call.timeout().unwrap_or(PATIENCE);
    let late = |what: &str| Failure::line(TEMPORARY, format!("timed out while waiting for {what}"));
    let pid = match (call.args.first().cloned(), call.option("pid").map(str::to_owned)) {
        (Some(_), Some(_)) => return Err(Failure::argument("Cannot specify both pid and pidfile")),
        (None, None) => return Err(Failure::argument("No pid or pidfile specified")),
        (None, Some(text)) => {
            read_pid(&text).ok_or_else(|| Failure::argument(format!("'{text}' is not a pid")))?
        }
        (Some(file), None) => {
            println!("Waiting for pid file '{file}' to appear");
            loop {
                match fs::read_to_string(&file) {
                    // Somebody is about to write it.
                    Ok(text) if !text.contains('\n') && read_pid(&text).is_none() => {}
                    Ok(text) => match read_pid(&text) {
                        Some(pid) => break pid,
                        None => return Err(Failure::bare(DATA, "Error: garbage in pid file.")),
                    },
                    Err(_) => {}
                }
                if patience < begun.elapsed() {
                    return Err(late(&format!("pid file '{file}'")));
                }
                call.api.pause(PAUSE);
            }
        }
    };
    println!("pid is {}", pid.as_raw_nonzero());
    println!(
        "Waiting for erlang distribution on node '{}' while OS process '{}' is running",
        call.node,
        pid.as_raw_nonzero()
    );
    loop {
        if !is_alive(pid) {
            return Err(Failure::bare(UNAVAILABLE, "Error: process is not running."));
        }
        match call.api.ask(hyper::Method::GET, "version", None) {
            Ok(reply) if reply.is_fine() => break,
            Err(Silence::TimedOut) | Err(Silence::Down(_)) | Ok(_) if begun.elapsed() < patience => {
                call.api.pause(PAUSE)
            }
            _ => return Err(late(&format!("node {} to start", call.node))),
        }
    }
    println!("Waiting for applications 'rabbit_and_plugins' to start on node '{}'", call.node);
    Ok(Output::text(format!("Applications 'rabbit_and_plugins' are running on node '{}'", call.node)))
}
