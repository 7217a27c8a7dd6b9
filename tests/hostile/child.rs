//! The built binary in a process of its own, for its memory, its processor time and its log.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child as Process, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A running broker; killed when it is dropped.
pub struct Child {
    process: Process,
    directory: TempDir,
    pub address: SocketAddr,
}

impl Child {
    /// Starts the broker on a free port, with these settings (`amqp.heartbeat=10`).
    pub fn start(settings: &[&str]) -> Child {
        let directory = tempfile::tempdir().unwrap();
        let log = File::create(directory.path().join("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_leveret"));
        command
            .current_dir(directory.path())
            .env_clear()
            .env("LEVERET_CONFIG", "none")
            .env("LEVERET_RABBITMQ_CONF", "none")
            .args(["--ephemeral", "--management", "none", "--amqp", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(log);
        for setting in settings {
            command.args(["--set", setting]);
        }
        let mut process = command.spawn().unwrap();
        let mut ready = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        let address = ready.split("AMQP on ").nth(1).and_then(|rest| rest.split(';').next());
        let address = address.and_then(|address| address.parse().ok());
        let address = address.unwrap_or_else(|| panic!("not ready: {ready:?}"));
        Child { process, directory, address }
    }

    pub fn uri(&self) -> String {
        format!("amqp://guest:guest@{}/%2f", self.address)
    }

    /// Octets of memory in use now.
    pub fn resident(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// The most octets of memory that were ever in use.
    pub fn peak(&self) -> u64 {
        self.status("VmHWM:")
    }

    fn status(&self, field: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("the field is there");
        let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
        kibibytes << 10
    }

    /// Processor time used so far, in ticks of a hundredth of a second.
    pub fn ticks(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id())).expect("it runs");
        // The fields after the name, which is in parentheses: state is the first, utime the twelfth.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }

    /// Stops the broker in order; returns what it logged.
    pub fn stop(mut self) -> String {
        kill_process(Pid::from_child(&self.process), Signal::TERM).unwrap();
        assert!(self.process.wait().unwrap().success(), "the broker stops in order");
        let log = fs::read(self.directory.path().join("log")).unwrap();
        String::from_utf8(log).expect("logs are text")
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Has no effect on one that has ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
