//! The built binary on a data directory that outlives it, and the ways to end it.

use std::{
    env,
    fs::{self, OpenOptions},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use lapin::{Channel, Connection, ConnectionProperties};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{
    patience::{PATIENCE, within},
    settings::{DEFAULT, Settings},
};

/// Where brokers run one after the other: their data and their log. Kept when the test fails.
pub struct Place {
    directory: Option<TempDir>,
    data: PathBuf,
    settings: Settings,
}

impl Place {
    pub fn new() -> Place {
        let directory = tempfile::Builder::new().prefix("leveret-crash-").tempdir().unwrap();
        let data = directory.path().join("data");
        Place { directory: Some(directory), data, settings: DEFAULT }
    }

    /// The same, with the data elsewhere.
    pub fn with_data(mut self, data: &Path) -> Place {
        self.data = data.to_owned();
        self
    }

    /// What brokers started from now on are set to.
    pub fn set(&mut self, settings: Settings) {
        self.settings = settings;
    }

    pub fn data(&self) -> &Path {
        &self.data
    }

    pub fn path(&self) -> &Path {
        self.directory.as_ref().expect("kept until the end").path()
    }

    /// Everything the brokers here have logged.
    pub fn log(&self) -> String {
        let log = fs::read(self.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// Starts a broker and awaits that it accepts clients.
    pub fn start(&self) -> Broker {
        let started = self.try_start(&[]);
        started.unwrap_or_else(|status| panic!("the broker ended with {status}; its log:\n{}", self.log()))
    }

    /// Starts a broker below a command such as strace, which must end as the broker ends.
    pub fn try_start(&self, wrapper: &[&str]) -> Result<Broker, ExitStatus> {
        // The release binary, perhaps, under a harness that is built for debugging.
        let other = env::var("LEVERET_CRASH_BINARY").ok();
        let binary = other.as_deref().unwrap_or(env!("CARGO_BIN_EXE_leveret"));
        let words = [wrapper, &[binary]].concat();
        let mut command = Command::new(words[0]);
        let log = OpenOptions::new().create(true).append(true).open(self.path().join("log")).unwrap();
        // Without this program's environment: the broker refuses variables that it does not know.
        command
            .args(&words[1..])
            .current_dir(self.path())
            .env_clear()
            .env("LEVERET_CONFIG", "none")
            .env("LEVERET_RABBITMQ_CONF", "none")
            .args(["--management", "none", "--amqp", "127.0.0.1:0", "--data-dir"])
            .arg(&self.data)
            .args(self.settings.iter().flat_map(|setting| ["--set", *setting]))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        let mut process = command.spawn().unwrap();
        let ready = first_line(process.stdout.take().unwrap());
        let address = ready.split("AMQP on ").nth(1).and_then(|rest| rest.split(';').next());
        let mut broker = Broker { process, uri: String::new() };
        match address {
            Some(address) => {
                broker.uri = format!("amqp://guest:guest@{}/%2f", address.trim());
                Ok(broker)
            }
            None => Err(broker.process.wait().unwrap()),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if thread::panicking()
            && let Some(directory) = self.directory.take()
        {
            eprintln!("log kept in {}, data in {}", directory.keep().display(), self.data.display());
        }
    }
}

/// What a broker says when it is ready, or nothing if it ends before. Its further output is read, too.
fn first_line(stdout: std::process::ChildStdout) -> String {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut lines = BufReader::new(stdout).lines();
        let _ = sender.send(lines.next().and_then(Result::ok).unwrap_or_default());
        lines.for_each(drop);
    });
    receiver.recv_timeout(PATIENCE).expect("the broker starts or ends in time")
}

/// How a broker ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// SIGTERM, and it leaves in order.
    Clean,
    /// SIGKILL.
    Kill,
}

/// A running broker; killed when it is dropped.
pub struct Broker {
    process: Child,
    uri: String,
}

impl Broker {
    pub fn uri(&self) -> &str {
        &self.uri
    }

    pub async fn connect(&self) -> Connection {
        let connect = Connection::connect(&self.uri, ConnectionProperties::default());
        within("connection.open-ok", connect).await.expect("the connection opens")
    }

    /// A channel of a connection of its own.
    pub async fn channel(&self) -> Channel {
        let connection = self.connect().await;
        within("channel.open-ok", connection.create_channel()).await.expect("a channel opens")
    }

    /// Ends it this way, and waits until it is gone.
    pub async fn end(mut self, ending: Ending) {
        match ending {
            Ending::Kill => self.process.kill().unwrap(),
            Ending::Clean => kill_process(Pid::from_child(&self.process), Signal::TERM).unwrap(),
        }
        let status = self.ended().await;
        assert_eq!(status.success(), ending == Ending::Clean, "ended with {status}");
    }

    /// Stops all of its threads where they are, and returns once none is in a call of the kernel's.
    pub async fn pause(&self) {
        kill_process(Pid::from_child(&self.process), Signal::STOP).unwrap();
        let tasks = format!("/proc/{}/task", self.process.id());
        let paused = async {
            while !fs::read_dir(&tasks).unwrap().all(|task| is_stopped(&task.unwrap().path())) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        within("the pause of the broker", paused).await;
    }

    /// Lets it go on after a pause.
    pub fn resume(&self) {
        kill_process(Pid::from_child(&self.process), Signal::CONT).unwrap();
    }

    /// Waits until it has ended by itself. The clients of this thread go on meanwhile.
    pub async fn ended(&mut self) -> ExitStatus {
        let ended = async {
            loop {
                if let Some(status) = self.process.try_wait().unwrap() {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        within("the end of the broker", ended).await
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // Has no effect on one that has ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Whether a thread's state is T, the field behind its name in parentheses. One that is gone does nothing either.
fn is_stopped(task: &Path) -> bool {
    let Ok(status) = fs::read_to_string(task.join("stat")) else { return true };
    status.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('T'))
}
