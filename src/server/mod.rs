//! Sockets, tasks, timers and configuration: the shell around the broker's pure core.

pub(crate) mod config;
mod data_dir;
pub(crate) mod logging;

pub use config::{Config, ConfigError};

// A stand-in that listens and nothing more, until the core is here.

use std::net::SocketAddr;

/// An in-process broker.
pub struct Broker {
    addresses: Vec<SocketAddr>,
    _listeners: Vec<tokio::net::TcpListener>,
    _data_dir: Option<data_dir::DataDir>,
}

/// Builds a [`Broker`].
pub struct BrokerBuilder {
    config: Config,
}

/// Why it did not start.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StartError(String);

impl Broker {
    pub fn builder() -> BrokerBuilder {
        BrokerBuilder { config: Config::default() }
    }

    pub fn amqp_addrs(&self) -> &[SocketAddr] {
        &self.addresses
    }

    pub async fn shutdown(self) {}
}

impl BrokerBuilder {
    pub fn config(self, config: Config) -> BrokerBuilder {
        BrokerBuilder { config }
    }

    pub async fn start(self) -> Result<Broker, StartError> {
        let data_dir = self.config.storage.data_dir.map(data_dir::DataDir::open).transpose();
        let data_dir = data_dir.map_err(|error| StartError(error.to_string()))?;
        let mut listeners = Vec::new();
        let mut addresses = Vec::new();
        for address in &self.config.amqp.listen {
            let listener = tokio::net::TcpListener::bind(address)
                .await
                .map_err(|error| StartError(format!("cannot listen on {address}: {error}")))?;
            addresses.push(listener.local_addr().expect("a bound listener has an address"));
            listeners.push(listener);
        }
        Ok(Broker { addresses, _listeners: listeners, _data_dir: data_dir })
    }
}
