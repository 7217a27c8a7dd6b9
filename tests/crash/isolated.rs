//! Tests that mount something run in namespaces of their own, so that nothing stays mounted and nothing goes
//! on running, whatever happens to them.

use std::{
    env,
    process::{Command, Stdio},
};

/// Set for the process that runs inside.
const INSIDE: &str = "LEVERET_CRASH_INSIDE";
const NAMESPACES: [&str; 6] = ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"];

/// True inside. Outside it runs this one test inside, and is false when that is done; or it is false at
/// once, with a message, where namespaces cannot be had.
pub fn inside(test: &str) -> bool {
    if env::var_os(INSIDE).is_some() {
        return true;
    }
    let mut probe = Command::new("unshare");
    probe.args(NAMESPACES).arg("true").stderr(Stdio::null());
    if !probe.status().is_ok_and(|status| status.success()) {
        eprintln!("skipped: {test} needs root and mount namespaces");
        return false;
    }
    let mut run = Command::new("unshare");
    run.args(NAMESPACES).arg(env::current_exe().unwrap());
    run.args([test, "--exact", "--ignored", "--nocapture"]).env(INSIDE, "1");
    let status = run.status().unwrap();
    assert!(status.success(), "{test} ended with {status}; its output is above");
    false
}

/// Runs a command that must end well; `None`, and why, if it does not.
pub fn run(command: &mut Command) -> Option<()> {
    match command.stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => Some(()),
        Ok(output) => {
            eprintln!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
            None
        }
        Err(error) => {
            eprintln!("{command:?}: {error}");
            None
        }
    }
}
