//! The command line, and the rules between options that clap cannot express.

use std::{net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

use clap::{Parser, ValueEnum};

use crate::bench::{
    client::{
        target::Target,
        wire::{Table, Value},
    },
    error::{BenchError, Result},
};

/// Bytes of backlog that the default of `--backlog-max` stays below.
const BACKLOG_BYTES_MAX: usize = 256 << 20;
/// Messages of backlog that the default of `--backlog-max` stays below.
const BACKLOG_MESSAGES_MAX: u64 = 100_000;
/// A latency message carries its send time in the first eight bytes.
pub const LATENCY_SIZE_MIN: usize = 8;

const AFTER_HELP: &str = "\
With --broker-pid the report has the broker's CPU time per message and its memory; it must run on this machine.
Queues and exchanges are named bench-PID-..., or --name, and deleted at the end unless --keep is given.
Exit codes: 0 fine, 1 the broker could not be driven, 2 wrong usage, 3 messages were lost or doubled.

Examples:
  leveret bench                                            1 producer, 1 consumer, 16 octets, 5 seconds
  leveret bench --size 1024 --ack each --broker-pid $(pidof leveret)
  leveret bench --producers 4 --consumers 4 --queues 4 --persistent --confirm 100
  leveret bench --exchange topic --bindings 1000           each message matches one of 1,000 patterns
  leveret bench --fanout 10 --consumers 10                 every message to ten queues
  leveret bench latency --rate 5000 --html latency.html    how old messages are when they arrive
  leveret bench backlog --count 1000000 --size 1024        pile up, then drain
  leveret bench replay --count 1000000 --size 100          a stream, read from its first message
  leveret bench rpc --producers 8                          direct reply-to round trips
  leveret bench queue-churn --producers 4                  declare, use and delete queues
  leveret bench relay                                      the lower bound; use its relay:// address as --uri";

/// Measures an AMQP 0-9-1 broker from outside: rates, latencies, and what a message costs it.
#[derive(Debug, Clone, Parser)]
#[command(name = "leveret bench", after_help = AFTER_HELP, next_line_help = false)]
pub struct Options {
    /// What to do
    #[arg(value_enum, default_value_t = Mode::Throughput)]
    pub mode: Mode,

    /// The broker; relay://HOST:PORT means a running 'leveret bench relay'
    #[arg(long, short, default_value = "amqp://guest:guest@localhost:5672/%2f", help_heading = "Broker")]
    pub uri: Target,
    /// The broker's process: its CPU time and memory are read from /proc
    #[arg(long, value_name = "PID", help_heading = "Broker")]
    pub broker_pid: Option<u32>,

    /// Publishing connections, one thread each; in rpc mode requesters, in churn modes workers
    #[arg(long, short, value_name = "N", default_value_t = 1, help_heading = "Work")]
    pub producers: usize,
    /// Consuming connections, one thread each
    #[arg(long, short, value_name = "N", default_value_t = 1, help_heading = "Work")]
    pub consumers: usize,
    /// Queues, which producers and consumers share out among themselves
    #[arg(long, short, value_name = "N", default_value_t = 1, help_heading = "Work")]
    pub queues: usize,
    /// Octets of a body; several, as in 100,1000,10000, take turns
    #[arg(
        long,
        short,
        value_name = "N,...",
        default_value = "16",
        value_delimiter = ',',
        help_heading = "Work"
    )]
    pub size: Vec<usize>,
    /// Where producers publish to
    #[arg(long, value_enum, default_value_t = Exchange::Default, help_heading = "Work")]
    pub exchange: Exchange,
    /// Bindings in all: wildcards for topic, matches of two headers for headers; a message matches one
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Work")]
    pub bindings: usize,
    /// Of the bindings, how many the messages take turns to match [default: all]
    #[arg(long, value_name = "N", help_heading = "Work")]
    pub keys: Option<usize>,
    /// Shorthand for a fanout exchange with so many queues
    #[arg(long, value_name = "QUEUES", help_heading = "Work")]
    pub fanout: Option<usize>,
    /// Value of x-queue-type: classic, quorum or stream [default: the broker's]
    #[arg(long, value_name = "TYPE", help_heading = "Work")]
    pub queue_type: Option<String>,
    /// Durable queues and persistent messages
    #[arg(long, help_heading = "Work")]
    pub persistent: bool,
    /// Durable queues, whatever the messages are
    #[arg(long, help_heading = "Work")]
    pub durable: bool,
    /// Name of the exchange; queues are NAME-0, NAME-1 and so on [default: bench-PID]
    #[arg(long, help_heading = "Work")]
    pub name: Option<String>,
    /// Leave queues and exchange behind, for a run that names them again
    #[arg(long, help_heading = "Work")]
    pub keep: bool,

    /// Measured seconds, warm-up not included
    #[arg(long, short = 't', value_name = "N", default_value_t = 5.0, help_heading = "Pace")]
    pub seconds: f64,
    /// Publish exactly so many messages instead of running for a time; declare-burst: so many queues;
    /// connect: wait until the queues hold so many
    #[arg(long, short = 'n', value_name = "N", help_heading = "Pace")]
    pub count: Option<u64>,
    /// Seconds before measuring starts [default: 1, and 0 with --count]
    #[arg(long, value_name = "N", help_heading = "Pace")]
    pub warm_up: Option<f64>,
    /// Messages (in churn modes: rounds) per second of all producers together [default in latency mode: 1000]
    #[arg(long, short, value_name = "N", help_heading = "Pace")]
    pub rate: Option<f64>,
    /// Publisher confirms, with at most so many messages unconfirmed per producer
    #[arg(long, value_name = "WINDOW", help_heading = "Pace")]
    pub confirm: Option<u64>,
    /// auto, each, or a number N: one multiple acknowledgement every N messages
    #[arg(long, short, default_value = "auto", help_heading = "Pace")]
    pub ack: Ack,
    /// Unacknowledged messages per consumer, 0 for no limit; not used with --ack auto
    #[arg(long, value_name = "N", default_value_t = 1000, help_heading = "Pace")]
    pub prefetch: u16,
    /// Consumers acknowledge so many messages behind: that many are unacknowledged all the time
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Pace")]
    pub unacked: u64,
    /// Producers pause while more are published and not consumed [default: 100000, or 256 MiB of bodies]
    #[arg(long, value_name = "N", help_heading = "Pace")]
    pub backlog_max: Option<u64>,
    /// Further connections that are open and do nothing; idle mode opens 100 unless told otherwise
    #[arg(long, value_name = "N", help_heading = "Pace")]
    pub connections: Option<usize>,

    /// One JSON object instead of text
    #[arg(long, help_heading = "Output")]
    pub json: bool,
    /// Also write the report with plots to this file; it needs nothing beside it
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub html: Option<PathBuf>,
    /// No live line, also where standard error is a terminal
    #[arg(long, help_heading = "Output")]
    pub quiet: bool,

    /// Where relay mode listens
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:0", help_heading = "Relay")]
    pub listen: SocketAddr,
    /// File that relay mode writes its bound address to
    #[arg(long, value_name = "FILE", help_heading = "Relay")]
    pub port_file: Option<PathBuf>,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// As much as the broker takes, or --rate
    Throughput,
    /// A fixed --rate; how old each message is when it arrives
    Latency,
    /// Publish --count messages, then consume them and what the queues held before; --consumers 0
    /// leaves them there
    Backlog,
    /// Publish --count messages to streams, then read them from the first
    Replay,
    /// Direct reply-to: each requester sends when its last reply is here
    Rpc,
    /// Open and close connections, each with a channel
    ConnectionChurn,
    /// Open and close channels
    ChannelChurn,
    /// Declare a queue, publish to it, get the message, delete it
    QueueChurn,
    /// Hold --connections open and look at the broker's memory
    Idle,
    /// Durable queue declares without waiting for the answers
    DeclareBurst,
    /// Try until one connection has been opened, and say when that was
    Connect,
    /// Be the lower bound: copy octets between a producer and a consumer of this tool
    Relay,
}

impl Mode {
    /// As on the command line.
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// What it counts.
    pub fn unit(self) -> &'static str {
        if self.is_churn() { "rounds" } else { "msgs" }
    }

    /// Whether it opens and closes things in place of moving messages.
    pub fn is_churn(self) -> bool {
        matches!(self, Mode::ConnectionChurn | Mode::ChannelChurn | Mode::QueueChurn)
    }
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
            self.size.iter_mut().for_each(|size| *size = (*size).max(LATENCY_SIZE_MIN));
            self.rate = self.rate.or(Some(1000.0));
        }
        if self.mode == Mode::Replay {
            self.queue_type = Some("stream".to_owned());
            // Reading begins when everything is there, which only confirms can say.
            self.confirm = self.confirm.or(Some(1000));
        }
        if self.is_stream() && self.ack == Ack::Auto {
            // Streams are only delivered to who acknowledges.
            self.ack = Ack::Every((u64::from(self.prefetch) / 2).max(1));
        }
        let problem = if self.producers == 0 || self.queues == 0 {
            "--producers and --queues must be above 0"
        } else if self.rate.is_some_and(|rate| rate <= 0.0) {
            "--rate must be above 0"
        } else if self.confirm == Some(0) || self.backlog_max == Some(0) || self.keys == Some(0) {
            "--confirm, --backlog-max and --keys must be above 0"
        } else if self.prefetch > 0 && matches!(self.ack, Ack::Every(n) if n > u64::from(self.prefetch)) {
            "--ack N must not exceed --prefetch: the consumer would wait for messages that cannot come"
        } else if self.unacked > 0 && !matches!(self.mode, Mode::Throughput | Mode::Backlog) {
            "--unacked is for throughput and backlog mode"
        } else if self.unacked > 0 && !self.fits_unacked() {
            "--unacked needs --ack each or a number, and must leave room for it below --prefetch, or --prefetch 0"
        } else if self.has_phases() && (self.count.is_none() || self.exchange == Exchange::Fanout) {
            "backlog and replay mode need a --count, and publish to no fanout"
        } else if self.is_stream() && self.prefetch == 0 {
            "a stream needs a --prefetch above 0"
        } else if self.is_stream()
            && self.queues < self.consumers
            && !self.consumers.is_multiple_of(self.queues)
        {
            "every consumer of a stream gets all of it: give a multiple of --queues as --consumers"
        } else if self.mode == Mode::Replay && self.consumers == 0 {
            "replay mode needs a consumer"
        } else if self.consumers == 0 && self.mode == Mode::Latency {
            "latency mode needs a consumer"
        } else if self.uri.is_relay() && !self.fits_relay() {
            "a relay carries --ack auto without confirms, and as many consumers as producers"
        } else {
            return Ok(self);
        };
        Err(BenchError::Options(problem.to_owned()))
    }

    fn fits_relay(&self) -> bool {
        self.ack == Ack::Auto
            && self.confirm.is_none()
            && (self.mode == Mode::Rpc || self.producers == self.consumers)
            && matches!(self.mode, Mode::Throughput | Mode::Latency | Mode::Rpc)
    }

    /// A consumer must reach the next acknowledgement, so far behind, before its prefetch is used up.
    fn fits_unacked(&self) -> bool {
        let batch = match self.ack {
            Ack::Auto => return false,
            Ack::Each => 1,
            Ack::Every(every) => every,
        };
        self.prefetch == 0 || self.unacked.saturating_add(batch) <= u64::from(self.prefetch)
    }

    /// The largest body.
    pub fn size_max(&self) -> usize {
        self.size.iter().copied().max().unwrap_or(0)
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
        let by_bytes = (BACKLOG_BYTES_MAX / self.size_max().max(1)).max(1) as u64;
        self.backlog_max.unwrap_or(BACKLOG_MESSAGES_MAX.min(by_bytes))
    }

    /// Whether queues and exchange outlive a restart of the broker; streams always do.
    pub fn is_durable(&self) -> bool {
        self.persistent || self.durable || self.is_stream()
    }

    /// What queues are declared with.
    pub fn queue_arguments(&self) -> Table {
        let kind = self.queue_type.iter();
        kind.map(|name| ("x-queue-type".to_owned(), Value::Text(name.clone()))).collect()
    }

    /// Whether reading does not take messages away.
    pub fn is_stream(&self) -> bool {
        self.queue_type.as_deref() == Some("stream")
    }

    /// Whether publishing ends before consuming begins.
    pub fn has_phases(&self) -> bool {
        matches!(self.mode, Mode::Backlog | Mode::Replay)
    }

    /// How many deliveries one publish leads to.
    pub fn copies(&self) -> u64 {
        let routed = if self.exchange == Exchange::Fanout { self.queues } else { 1 };
        let read = if self.is_stream() { (self.consumers / self.queues.max(1)).max(1) } else { 1 };
        (routed * read) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options> {
        let all = ["bench"].iter().chain(arguments);
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
        assert!(parse(&["backlog", "--count", "0"]).is_ok());
        assert!(parse(&["backlog"]).is_err());
        assert!(parse(&["backlog", "--count", "1", "--fanout", "2"]).is_err());
    }

    #[test]
    fn what_stays_unacknowledged_leaves_room_for_the_next_acknowledgement() {
        assert!(parse(&["--unacked", "10"]).is_err());
        assert!(parse(&["--unacked", "999", "--ack", "each"]).is_ok());
        assert!(parse(&["--unacked", "1000", "--ack", "each"]).is_err());
        assert!(parse(&["--unacked", "901", "--ack", "100"]).is_err());
        assert!(parse(&["--unacked", "100000", "--ack", "100", "--prefetch", "0"]).is_ok());
    }

    #[test]
    fn a_replay_is_of_streams_and_acknowledges() {
        let options = parse(&["replay", "--count", "10"]).unwrap();
        assert_eq!((options.queue_type.as_deref(), options.ack), (Some("stream"), Ack::Every(500)));
        assert!(options.is_durable());
        assert_eq!(parse(&["replay", "--count", "10", "--consumers", "3"]).unwrap().copies(), 3);
        assert!(parse(&["replay", "--count", "10", "--consumers", "3", "--queues", "2"]).is_err());
        assert!(parse(&["replay"]).is_err());
        assert!(parse(&["replay", "--count", "10", "--prefetch", "0"]).is_err());
    }

    #[test]
    fn sizes_take_turns_and_the_largest_bounds_the_backlog() {
        let options = parse(&["--size", "16,65536"]).unwrap();
        assert_eq!((options.size.as_slice(), options.backlog_max()), ([16, 65536].as_slice(), 4096));
        assert_eq!(parse(&["latency", "--size", "1,100"]).unwrap().size, [8, 100]);
    }

    #[test]
    fn the_command_line_is_consistent() {
        <Options as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn a_relay_cannot_acknowledge() {
        assert!(parse(&["--uri", "relay://127.0.0.1:1"]).is_ok());
        assert!(parse(&["--uri", "relay://127.0.0.1:1", "--ack", "each"]).is_err());
        assert!(parse(&["--uri", "relay://127.0.0.1:1", "--consumers", "2"]).is_err());
    }
}
