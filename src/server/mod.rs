//! Sockets, tasks, timers and configuration: the shell around the broker's pure core.

mod certificates;
mod clock;
pub(crate) mod config;
mod connection;
pub(crate) mod data_dir;
mod definitions;
mod door;
mod duties;
mod limits;
mod listener;
mod listeners;
pub(crate) mod local;
pub(crate) mod logging;
mod memory;
mod mover;
mod pager;
pub mod proxy;
mod random;
mod recent;
mod reset;
mod sampler;
mod session_settings;
#[cfg(test)]
mod simulation;
mod start;
mod storage;
mod streams;

pub use config::{
    Amqp, Auth, Bootstrap, Config, ConfigError, Limits, Log, LogFormat, Management, Memory, Prometheus,
    Socket, Storage, Tls,
};
pub use limits::LimitReport;
pub use proxy::Network;
pub use start::{Broker, BrokerBuilder, StartError};
