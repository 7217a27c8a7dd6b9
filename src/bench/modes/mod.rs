//! What the tool can do with a broker, a file for each mode.

mod backlog;
mod churn;
mod connect;
mod declares;
mod idle;
mod latency;
mod relay;
mod rpc;
mod throughput;

use crate::bench::{
    error::Result,
    figures::report::Report,
    options::{Mode, Options},
};

/// Runs the mode that was asked for; a relay ends without a report.
pub fn run(options: &Options) -> Result<Option<Report>> {
    Ok(Some(match options.mode {
        Mode::Throughput => throughput::run(options)?,
        Mode::Backlog | Mode::Replay => backlog::run(options)?,
        Mode::Latency => latency::run(options)?,
        Mode::Rpc => rpc::run(options)?,
        Mode::ConnectionChurn | Mode::ChannelChurn | Mode::QueueChurn => churn::run(options)?,
        Mode::Idle => idle::run(options)?,
        Mode::DeclareBurst => declares::run(options)?,
        Mode::Connect => connect::run(options)?,
        Mode::Relay => return relay::run(options).map(|()| None),
    }))
}
