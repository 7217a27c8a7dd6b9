//! The command line, and the rules between options that clap cannot express.

use std::{net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

use clap::{Parser, ValueEnum};

use crate::{
    error::{LoadError, Result},
    target::Target,
};

/// Bytes of backlog that the default of `--backlog-max` stays below.
const BACKLOG_BYTES_MAX: usize = 256 << 20;
/// Messages of backlog that the default of `--backlog-max` stays below.
const BACKLOG_MESSAGES_MAX: u64 = 100_000;
/// A latency message carries its send time in the first eight bytes.
pub const LATENCY_SIZE_MIN: usize = 8;

/// Drives an AMQP 0-9-1 broker from outside and says what a message costs it.
#[derive(Debug, Clone, Parser)]
#[command(name = "load")]
pub struct Options {
    /// The broker; relay://HOST:PORT means a `--mode relay` of this tool.
    #[arg(long, default_value = "amqp://guest:guest@localhost:5672/%2f")]
    pub uri: Target,
    #[arg(long, value_enum, default_value_t = Mode::Throughput)]
    pub mode: Mode,
    /// Publishing connections, one thread each; in rpc mode the requesters.
    #[arg(long, default_value_t = 1)]
    pub producers: usize,
    /// Consuming connections, one thread each.
    #[arg(long, default_value_t = 1)]
    pub consumers: usize,
    #[arg(long, default_value_t = 1)]
    pub queues: usize,
    /// Body bytes of a message.
    #[arg(long, default_value_t = 16)]
    pub size: usize,
    /// Measured seconds, warm-up not included.
    #[arg(long, default_value_t = 5.0)]
    pub seconds: f64,
    /// Publish exactly so many messages instead of running for a time; in declare-burst so many queues; in
    /// connect mode wait until the queues hold so many.
    #[arg(long)]
    pub count: Option<u64>,
    /// Seconds before measuring starts; default 1, and 0 with --count.
    #[arg(long)]
    pub warm_up: Option<f64>,
    /// Messages per second of all producers together; in latency mode 1000 unless given.
    #[arg(long)]
    pub rate: Option<f64>,
    /// Unacknowledged messages per consumer, 0 for no limit; not used with --ack auto.
    #[arg(long, default_value_t = 1000)]
    pub prefetch: u16,
    /// auto, each, or a number N: one multiple acknowledgement every N messages.
    #[arg(long, default_value = "auto")]
    pub ack: Ack,
    /// Durable queues and delivery-mode 2.
    #[arg(long)]
    pub persistent: bool,
    /// Durable queues, whatever the messages are.
    #[arg(long)]
    pub durable: bool,
    /// Queues are called NAME-0, NAME-1 and so on; load-PID unless given.
    #[arg(long)]
    pub name: Option<String>,
    /// Leave queues and exchange behind, for a run that names them again.
    #[arg(long)]
    pub keep: bool,
    /// Publisher confirms with at most so many messages unconfirmed per producer.
    #[arg(long)]
    pub confirm: Option<u64>,
    #[arg(long, value_enum, default_value_t = Exchange::Default)]
    pub exchange: Exchange,
    /// Bindings in all; wildcards for topic, two-header matches for headers. Each message matches one.
    #[arg(long, default_value_t = 0)]
    pub bindings: usize,
    /// Of the bindings, how many the messages take turns to match; all unless given.
    #[arg(long)]
    pub keys: Option<usize>,
    /// Shorthand for a fanout exchange with so many queues.
    #[arg(long)]
    pub fanout: Option<usize>,
    /// Value of x-queue-type; the broker's default unless given.
    #[arg(long)]
    pub queue_type: Option<String>,
    /// Producers pause while published minus consumed exceeds this; default 100000 or 256 MiB of bodies.
    #[arg(long)]
    pub backlog_max: Option<u64>,
    /// Connections that idle mode opens.
    #[arg(long, default_value_t = 100)]
    pub connections: usize,
    /// The broker's process: its CPU time and memory are read from /proc.
    #[arg(long)]
    pub broker_pid: Option<u32>,
    /// Where relay mode listens.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// File that relay mode writes its bound address to.
    #[arg(long)]
    pub port_file: Option<PathBuf>,
    /// One JSON object instead of text.
    #[arg(long)]
    pub json: bool,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// As much as the broker takes, or --rate.
    Throughput,
    /// Publish --count messages, then consume them and what the queues held before; --consumers 0 leaves
    /// them there.
    Backlog,
    /// A fixed rate; how old is each message when it arrives.
    Latency,
    /// Direct reply-to, one request at a time and requester.
    Rpc,
    /// Hold --connections open and look at the broker's memory.
    Idle,
    /// Durable queue declares without waiting for the answers.
    DeclareBurst,
    /// Try until one connection has been opened, and say when that was.
    Connect,
    /// Be the lower bound: copy bytes between a producer and a consumer of this tool.
    Relay,
}

/// Where producers publish to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Exchange {
    Default,
    Direct,
    Fanout,
    Topic,
    Headers,
}

/// How consumers acknowledge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ack {
    Auto,
    Each,
    Every(u64),
}

impl FromStr for Ack {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Ack, String> {
        match text {
            "auto" => Ok(Ack::Auto),
            "each" => Ok(Ack::Each),
            _ => match text.parse() {
                Ok(0) | Err(_) => Err("expected auto, each or a number above 0".to_owned()),
                Ok(every) => Ok(Ack::Every(every)),
            },
        }
    }
}

impl Options {
    /// Applies shorthands and rejects combinations that would hang or measure nothing.
    pub fn check(mut self) -> Result<Options> {
        if let Some(queues) = self.fanout {
            self.exchange = Exchange::Fanout;
            self.queues = queues;
        }
        if self.mode == Mode::Latency {
            self.size = self.size.max(LATENCY_SIZE_MIN);
            self.rate = self.rate.or(Some(1000.0));
        }
        let problem = if self.producers == 0 || self.queues == 0 {
            "--producers and --queues must be above 0"
        } else if self.rate.is_some_and(|rate| rate <= 0.0) {
            "--rate must be above 0"
        } else if self.confirm == Some(0) || self.backlog_max == Some(0) || self.keys == Some(0) {
            "--confirm, --backlog-max and --keys must be above 0"
        } else if self.prefetch > 0 && matches!(self.ack, Ack::Every(n) if n > u64::from(self.prefetch)) {
            "--ack N must not exceed --prefetch: the consumer would wait for messages that cannot come"
        } else if self.mode == Mode::Backlog && (self.count.is_none() || self.copies() > 1) {
            "backlog mode needs a --count, and publishes to no fanout"
        } else if self.consumers == 0 && self.mode == Mode::Latency {
            "latency mode needs a consumer"
        } else if self.uri.is_relay() && !self.fits_relay() {
            "a relay carries --ack auto without confirms, and as many consumers as producers"
        } else {
            return Ok(self);
        };
        Err(LoadError::Options(problem.to_owned()))
    }

    fn fits_relay(&self) -> bool {
        self.ack == Ack::Auto
            && self.confirm.is_none()
            && (self.mode == Mode::Rpc || self.producers == self.consumers)
            && matches!(self.mode, Mode::Throughput | Mode::Latency | Mode::Rpc)
    }

    /// How long the run warms up before anything counts.
    pub fn warm_up(&self) -> Duration {
        let default = if self.count.is_some() { 0.0 } else { 1.0 };
        Duration::from_secs_f64(self.warm_up.unwrap_or(default).max(0.0))
    }

    /// How long is measured when no count is given.
    pub fn seconds(&self) -> Duration {
        Duration::from_secs_f64(self.seconds.max(0.1))
    }

    /// The backlog at which producers pause.
    pub fn backlog_max(&self) -> u64 {
        let by_bytes = (BACKLOG_BYTES_MAX / self.size.max(1)).max(1) as u64;
        self.backlog_max.unwrap_or(BACKLOG_MESSAGES_MAX.min(by_bytes))
    }

    /// Whether queues and exchange outlive a restart of the broker.
    pub fn is_durable(&self) -> bool {
        self.persistent || self.durable
    }

    /// How many deliveries one publish leads to.
    pub fn copies(&self) -> u64 {
        if self.exchange == Exchange::Fanout { self.queues as u64 } else { 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options> {
        let all = ["load"].iter().chain(arguments);
        Options::try_parse_from(all).expect("clap accepts them").check()
    }

    #[test]
    fn fanout_is_a_shorthand() {
        let options = parse(&["--fanout", "10"]).unwrap();
        assert_eq!((options.exchange, options.queues, options.copies()), (Exchange::Fanout, 10, 10));
    }

    #[test]
    fn an_acknowledgement_beyond_the_prefetch_is_refused() {
        assert!(parse(&["--ack", "100", "--prefetch", "100"]).is_ok());
        assert!(parse(&["--ack", "101", "--prefetch", "100"]).is_err());
        assert!(parse(&["--ack", "101", "--prefetch", "0"]).is_ok());
    }

    #[test]
    fn the_default_backlog_is_bounded_in_bytes_too() {
        assert_eq!(parse(&["--size", "16"]).unwrap().backlog_max(), 100_000);
        assert_eq!(parse(&["--size", "65536"]).unwrap().backlog_max(), 4096);
        assert_eq!(parse(&["--size", "65536", "--backlog-max", "7"]).unwrap().backlog_max(), 7);
    }

    #[test]
    fn a_backlog_has_an_end_and_one_copy() {
        assert!(parse(&["--mode", "backlog", "--count", "0"]).is_ok());
        assert!(parse(&["--mode", "backlog"]).is_err());
        assert!(parse(&["--mode", "backlog", "--count", "1", "--fanout", "2"]).is_err());
    }

    #[test]
    fn a_relay_cannot_acknowledge() {
        assert!(parse(&["--uri", "relay://127.0.0.1:1"]).is_ok());
        assert!(parse(&["--uri", "relay://127.0.0.1:1", "--ack", "each"]).is_err());
        assert!(parse(&["--uri", "relay://127.0.0.1:1", "--consumers", "2"]).is_err());
    }
}
