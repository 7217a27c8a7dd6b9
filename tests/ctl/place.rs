//! A broker as a process, and the tools beside it.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::symlink,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::call::Called;

/// A directory with a broker's data, links of RabbitMQ's names to the binary, and nothing of this machine.
pub struct Place {
    directory: TempDir,
    broker: Option<Child>,
    pub amqp: u16,
    pub http: u16,
}

impl Place {
    /// Without a broker.
    pub fn empty() -> Place {
        let directory = tempfile::tempdir().unwrap();
        for name in [
            "rabbitmqctl",
            "rabbitmq-diagnostics",
            "rabbitmq-plugins",
            "rabbitmq-queues",
            "rabbitmq-streams",
            "rabbitmq-upgrade",
            "rabbitmq-server",
            "rabbitmqadmin",
        ] {
            symlink(env!("CARGO_BIN_EXE_leveret"), directory.path().join(name)).unwrap();
        }
        fs::create_dir(directory.path().join("run")).unwrap();
        Place { directory, broker: None, amqp: 0, http: 0 }
    }

    /// With a broker that is ready.
    pub fn start() -> Place {
        let mut place = Place::empty();
        place.launch(&[]);
        place
    }

    /// Starts a broker here.
    pub fn launch(&mut self, arguments: &[&str]) {
        let ports = self.path("ports");
        let mut command = self.program(env!("CARGO_BIN_EXE_leveret"));
        command
            .args(["--amqp", "127.0.0.1:0", "--management", "127.0.0.1:0", "--set", "prometheus.listen=none"])
            .args(["--port-file", ports.to_str().unwrap()])
            .args(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        assert!(ready.contains("Server startup complete"), "{ready:?}");
        let known: Value = serde_json::from_str(&fs::read_to_string(ports).unwrap()).unwrap();
        let port = |key: &str| u16::try_from(known[key].as_u64().unwrap()).unwrap();
        (self.amqp, self.http) = (port("amqp_port"), port("management_port"));
        self.broker = Some(child);
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn pid(&self) -> u32 {
        self.broker.as_ref().expect("a broker").id()
    }

    /// The broker's exit code, once it has ended.
    pub fn ended(&mut self) -> Option<i32> {
        self.broker.take().expect("a broker").wait().unwrap().code()
    }

    fn program(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.directory.path())
            .env_clear()
            .env("LEVERET_CONFIG", "none")
            .env("LEVERET_RABBITMQ_CONF", "none")
            .env("XDG_RUNTIME_DIR", self.path("run"))
            .env("RABBITMQ_NODENAME", "rabbit@here");
        command
    }

    /// One of the tools, by its name, ready to be run.
    pub fn tool(&self, name: &str) -> Command {
        self.program(self.path(name))
    }

    /// The binary under its own name.
    pub fn leveret(&self) -> Command {
        self.program(env!("CARGO_BIN_EXE_leveret"))
    }

    /// Runs a tool. The words of the line are separated by spaces; single quotes keep some together.
    pub fn run(&self, line: &str) -> Called {
        self.run_with(line, "")
    }

    /// The same with something on standard input.
    pub fn run_with(&self, line: &str, input: &str) -> Called {
        let words = words(line);
        let (name, arguments) = words.split_first().expect("a tool's name");
        Called::run(self.tool(name).args(arguments), input)
    }

    /// What a tool prints that ends well, without banners.
    #[track_caller]
    pub fn quiet(&self, line: &str) -> String {
        self.run(&format!("{line} -q")).fine()
    }

    /// The same as JSON.
    #[track_caller]
    pub fn json(&self, line: &str) -> Value {
        let printed = self.run(&format!("{line} --formatter json")).fine();
        serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{line}: {error}: {printed}"))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(broker) = &mut self.broker {
            // Has no effect on one that has ended.
            let _ = broker.kill();
            let _ = broker.wait();
        }
    }
}

fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (at, part) in line.split('\'').enumerate() {
        match at % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_owned)),
            _ => words.push(part.to_owned()),
        }
    }
    words
}
