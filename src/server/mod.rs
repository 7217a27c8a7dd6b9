//! Sockets, tasks, timers and configuration: the shell around the broker's pure core.

mod config;

pub use config::{Config, ConfigError};

/// An in-process broker.
pub struct Broker;
/// Builds a [`Broker`].
pub struct BrokerBuilder;
