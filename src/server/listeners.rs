//! Where the broker listens: opening the sockets, and their addresses by protocol.

use std::net::SocketAddr;

use tokio::net::TcpListener;

use super::{Config, certificates::Certificates, listener, start::StartError};

/// Sockets that listen.
#[derive(Debug)]
pub struct Bound {
    pub amqp: Vec<TcpListener>,
    pub amqps: Vec<TcpListener>,
    pub management: Vec<TcpListener>,
    pub management_tls: Vec<TcpListener>,
    pub prometheus: Vec<TcpListener>,
    pub prometheus_tls: Vec<TcpListener>,
}

/// Their addresses, with the ports actually bound.
#[derive(Debug, Clone)]
pub struct Listeners {
    pub amqp: Vec<SocketAddr>,
    pub amqps: Vec<SocketAddr>,
    pub management: Vec<SocketAddr>,
    pub management_tls: Vec<SocketAddr>,
    pub prometheus: Vec<SocketAddr>,
    pub prometheus_tls: Vec<SocketAddr>,
}

impl Bound {
    /// Opens every socket that the configuration asks for; those for TLS only where there is a certificate.
    pub fn open(config: &Config, certificates: &Certificates) -> Result<(Bound, Listeners), StartError> {
        let backlog = config.amqp.tcp_backlog;
        let tls = &config.tls;
        let if_there = |is_there: bool, listen: &Vec<SocketAddr>, flag| match is_there {
            true => bind_all(listen, backlog, flag),
            false => Ok(Vec::new()),
        };
        let (has_amqp, has_http) = (certificates.amqp.is_some(), certificates.management.is_some());
        let bound = Bound {
            amqp: bind_all(&config.amqp.listen, backlog, "--amqp")?,
            amqps: if_there(has_amqp, &tls.amqp_listen, "--amqps")?,
            management: bind_all(&config.management.listen, backlog, "--management")?,
            management_tls: if_there(has_http, &tls.management_listen, "tls.management_listen")?,
            prometheus: bind_metrics(config, backlog)?,
            prometheus_tls: if_there(has_http, &tls.prometheus_listen, "tls.prometheus_listen")?,
        };
        let addresses = bound.addresses();
        Ok((bound, addresses))
    }

    fn addresses(&self) -> Listeners {
        let of = |sockets: &Vec<TcpListener>| {
            sockets.iter().filter_map(|socket| socket.local_addr().ok()).collect()
        };
        Listeners {
            amqp: of(&self.amqp),
            amqps: of(&self.amqps),
            management: of(&self.management),
            management_tls: of(&self.management_tls),
            prometheus: of(&self.prometheus),
            prometheus_tls: of(&self.prometheus_tls),
        }
    }
}

impl Listeners {
    /// Each with RabbitMQ's name of its protocol.
    pub fn by_protocol(&self) -> Vec<(&'static str, SocketAddr)> {
        let named = [
            ("amqp", &self.amqp),
            ("amqp/ssl", &self.amqps),
            ("http", &self.management),
            ("https", &self.management_tls),
            ("http/prometheus", &self.prometheus),
            ("https/prometheus", &self.prometheus_tls),
        ];
        named.into_iter().flat_map(|(name, all)| all.iter().map(move |address| (name, *address))).collect()
    }

    /// Says where clients may connect, in the lines that fixtures for RabbitMQ wait for.
    pub fn announce(&self) {
        for (protocol, address) in self.by_protocol() {
            let port = address.port();
            match protocol {
                "amqp" => tracing::info!("started TCP listener on {}", everywhere(address)),
                "amqp/ssl" => tracing::info!("started TLS (SSL) listener on {}", everywhere(address)),
                "http" => tracing::info!("Management plugin: HTTP (non-TLS) listener started on port {port}"),
                "https" => tracing::info!("Management plugin: HTTPS listener started on port {port}"),
                "http/prometheus" => {
                    tracing::info!("Prometheus metrics: HTTP (non-TLS) listener started on port {port}")
                }
                _ => tracing::info!("Prometheus metrics: HTTPS listener started on port {port}"),
            }
        }
    }
}

/// The address as RabbitMQ would say it, which calls all interfaces `[::]` whatever families they have.
fn everywhere(address: SocketAddr) -> String {
    match address.ip().is_unspecified() {
        true => format!("[::]:{}", address.port()),
        false => address.to_string(),
    }
}

/// Opens listening sockets; `flag` is where other addresses are given.
fn bind_all(
    addresses: &[SocketAddr],
    backlog: u32,
    flag: &'static str,
) -> Result<Vec<TcpListener>, StartError> {
    let bind = |address: &SocketAddr| {
        let address = *address;
        listener::bind(address, backlog).map_err(|error| StartError::Listen { address, error, flag })
    };
    addresses.iter().map(bind).collect()
}

/// Opens the sockets for metrics. That the usual port is taken, which nobody asked for, only costs a warning.
fn bind_metrics(config: &Config, backlog: u32) -> Result<Vec<TcpListener>, StartError> {
    let listen = &config.prometheus.listen;
    match bind_all(listen, backlog, "prometheus.listen") {
        Err(StartError::Listen { address, error, .. }) if *listen == Config::default().prometheus.listen => {
            tracing::warn!("metrics are not served on {address}: {error}");
            Ok(Vec::new())
        }
        bound => bound,
    }
}
