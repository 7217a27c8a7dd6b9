//! Sockets, tasks, timers and configuration: the shell around the broker's pure core.

mod clock;
mod config;
mod connection;
mod door;
mod listener;
mod memory;
mod start;

pub use config::{Amqp, Auth, Bootstrap, Config, ConfigError, Limits, Log, LogFormat, Memory, Storage};
pub use start::{Broker, BrokerBuilder, StartError};
