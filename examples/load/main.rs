//! `load`: drives any AMQP 0-9-1 broker from outside and measures what a message costs it.
//!
//! Blocking threads, one per connection, and a codec of its own that writes messages encoded once and
//! reads little more than frame sizes: the tool must cost far less per message than any broker, or it
//! would measure itself. `modes` of work are in files named after them; what they share is in
//! `connection`, `producer`, `consumer`, `topology` and `measure`.

mod backlog;
mod confirms;
mod connect;
mod connection;
mod consumer;
mod declares;
mod error;
mod histogram;
mod idle;
mod inbound;
mod latency;
mod measure;
mod options;
mod paced;
mod pacer;
mod producer;
mod progress;
mod properties;
mod relay;
mod report;
mod ring;
mod rpc;
mod scanner;
mod series;
mod target;
mod throughput;
mod topology;
mod usage;
mod wire;
mod workers;

use std::process::ExitCode;

use clap::Parser;

use crate::{
    error::Result,
    options::{Mode, Options},
    report::Report,
};

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode> {
    let options = Options::parse().check()?;
    let report: Report = match options.mode {
        Mode::Throughput => throughput::run(&options)?,
        Mode::Backlog => backlog::run(&options)?,
        Mode::Latency => latency::run(&options)?,
        Mode::Rpc => rpc::run(&options)?,
        Mode::Idle => idle::run(&options)?,
        Mode::DeclareBurst => declares::run(&options)?,
        Mode::Connect => connect::run(&options)?,
        Mode::Relay => {
            relay::run(&options)?;
            return Ok(ExitCode::SUCCESS);
        }
    };
    report.print(options.json);
    // Losing or doubling a message fails the run, whatever its speed.
    let correct = report.totals.as_ref().is_none_or(|totals| totals.agree());
    Ok(if correct { ExitCode::SUCCESS } else { ExitCode::from(2) })
}
