//! One command under way: its arguments, and the broker it talks to.

use std::{
    io::{IsTerminal, Read},
    time::Duration,
};

use hyper::Method;
use serde_json::Value;

use super::{
    api::{Api, Reply, Silence, segment},
    failure::{DATA, DENIED, Failure, Result, SOFTWARE, TEMPORARY, UNAVAILABLE},
    words::Words,
};

/// A password or another text on standard input is not longer.
const INPUT_MAX: u64 = 64 << 10;

/// A command and its broker.
pub struct Call {
    /// As it is called in sentences; there is one node, whatever its name.
    pub node: String,
    /// Of RabbitMQ, that these tools and the broker behave like.
    pub version: String,
    /// Behind the command.
    pub args: Vec<String>,
    pub words: Words,
    pub api: Api,
}

impl Call {
    /// An argument; empty when there are fewer.
    pub fn arg(&self, at: usize) -> &str {
        self.args.get(at).map_or("", String::as_str)
    }

    pub fn vhost(&self) -> &str {
        self.words.option("vhost").unwrap_or("/")
    }

    /// The vhost as a segment of a path.
    pub fn vhost_segment(&self) -> String {
        segment(self.vhost())
    }

    pub fn option(&self, name: &str) -> Option<&str> {
        self.words.option(name)
    }

    pub fn has(&self, name: &str) -> bool {
        self.words.has(name)
    }

    /// `-t` in seconds.
    pub fn timeout(&self) -> Option<Duration> {
        match self.option("timeout") {
            None | Some("infinity") => None,
            Some(text) => text.parse().ok().map(Duration::from_secs),
        }
    }

    pub fn ask(&mut self, method: Method, path: &str, body: Option<&Value>) -> Result<Reply> {
        let answer = self.api.ask(method, path, body);
        answer.map_err(|silence| self.silent(&silence))
    }

    pub fn get(&mut self, path: &str) -> Result<Reply> {
        self.ask(Method::GET, path, None)
    }

    /// What is at a path; anything but an answer with it is a failure.
    pub fn get_json(&mut self, path: &str) -> Result<Value> {
        let reply = self.get(path)?;
        if reply.is_fine() { Ok(reply.json()) } else { Err(refused(&reply)) }
    }

    /// Changes something; anything but success is a failure.
    pub fn change(&mut self, method: Method, path: &str, body: Option<&Value>) -> Result<()> {
        let reply = self.ask(method, path, body)?;
        if reply.is_fine() { Ok(()) } else { Err(refused(&reply)) }
    }

    pub fn put(&mut self, path: &str, body: &Value) -> Result<()> {
        self.change(Method::PUT, path, Some(body))
    }

    /// Fails unless the vhost of this command is there.
    pub fn need_vhost(&mut self) -> Result<()> {
        let path = format!("vhosts/{}?columns=name", self.vhost_segment());
        match self.get(&path)?.status {
            404 => Err(Failure::no_vhost(self.vhost())),
            _ => Ok(()),
        }
    }

    /// The user as the broker knows it.
    pub fn user(&mut self, name: &str) -> Result<Value> {
        let reply = self.get(&format!("users/{}", segment(name)))?;
        match reply.status {
            404 => Err(Failure::no_user(name)),
            200 => Ok(reply.json()),
            _ => Err(refused(&reply)),
        }
    }

    /// No broker, or none that answers.
    pub fn silent(&self, silence: &Silence) -> Failure {
        let node = &self.node;
        match silence {
            Silence::TimedOut => {
                let time = self.api.timeout.unwrap_or_default().as_millis();
                Failure::new(
                    TEMPORARY,
                    format!("operation on node {node} timed out. Timeout value used: {time}"),
                )
            }
            Silence::Down(reason) => Failure::line(
                UNAVAILABLE,
                format!("unable to perform an operation on node '{node}': {reason}"),
            ),
        }
    }

    /// An argument that may be left out and is then read from standard input, without its line feed.
    pub fn arg_or_input(&self, at: usize, prompt: &str, missing: &str) -> Result<String> {
        if let Some(given) = self.args.get(at) {
            return Ok(given.clone());
        }
        let text = input(prompt).map_err(|error| Failure::new(SOFTWARE, error.to_string()))?;
        if text.is_empty() { Err(Failure::new(DATA, missing)) } else { Ok(text) }
    }
}

/// The broker's refusal as a failure.
pub fn refused(reply: &Reply) -> Failure {
    let code = match reply.status {
        400 | 404 => DATA,
        401 | 403 => DENIED,
        503 => UNAVAILABLE,
        _ => SOFTWARE,
    };
    Failure::new(code, reply.reason())
}

fn input(prompt: &str) -> std::io::Result<String> {
    let mut text = String::new();
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        eprint!("{prompt}");
        let _silent = Quiet::begin();
        stdin.read_line(&mut text)?;
        eprintln!();
    } else {
        stdin.lock().take(INPUT_MAX).read_to_string(&mut text)?;
    }
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// While it lives, the terminal does not show what is typed.
struct Quiet(Option<rustix::termios::Termios>);

impl Quiet {
    fn begin() -> Quiet {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let before = tcgetattr(std::io::stdin()).ok();
        if let Some(before) = &before {
            let mut silent = before.clone();
            silent.local_modes.remove(LocalModes::ECHO);
            // A terminal that cannot be told so shows the password, as if we had not asked.
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Flush, &silent);
        }
        Quiet(before)
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ =
                rustix::termios::tcsetattr(std::io::stdin(), rustix::termios::OptionalActions::Flush, before);
        }
    }
}
