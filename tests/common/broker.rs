//! Starts leveret inside a test process, for tests that speak from blocking threads.
#![allow(dead_code)] // Shared by several test binaries, none of which uses everything.

use std::{
    net::SocketAddr,
    sync::{Arc, mpsc},
    thread,
};

use leveret::Broker;

/// Where a broker is and who may log in.
#[derive(Debug, Clone)]
pub struct Address {
    pub addr: SocketAddr,
    pub user: String,
    pub password: String,
    pub vhost: String,
    /// Where its management interface is, if that is known.
    pub management: Option<SocketAddr>,
}

impl Address {
    /// From `amqp://user:password@host:port/vhost`, the vhost percent-encoded, `/` when absent.
    pub fn from_uri(uri: &str) -> Address {
        let rest = uri.strip_prefix("amqp://").unwrap_or_else(|| panic!("{uri:?} is no amqp:// URI"));
        let (credentials, place) = rest.split_once('@').unwrap_or(("guest:guest", rest));
        let (user, password) = credentials.split_once(':').expect("a URI has user:password");
        let (host, vhost) = place.split_once('/').unwrap_or((place, "%2f"));
        let host = if host.contains(':') { host.to_owned() } else { format!("{host}:5672") };
        let mut found = std::net::ToSocketAddrs::to_socket_addrs(&host).expect("the URI's host resolves");
        let addr = found.next().expect("the URI's host has an address");
        let vhost = vhost.replace("%2f", "/").replace("%2F", "/");
        let (user, password) = (user.to_owned(), password.to_owned());
        Address { addr, user, password, vhost, management: None }
    }
}

/// Starts a broker on a thread of its own, whose runtime lives until the process ends.
pub fn start(configure: impl FnOnce(&mut leveret::Config) + Send + 'static) -> (Address, Arc<Broker>) {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        runtime.expect("a runtime starts").block_on(async move {
            let broker = Broker::builder().configure(configure).start().await;
            send.send(Arc::new(broker.expect("an ephemeral broker starts"))).expect("the starter waits");
            std::future::pending::<()>().await;
        });
    });
    let broker = receive.recv().expect("the broker's thread lives");
    let management = broker.management_addrs().first().copied();
    (Address { management, ..Address::from_uri(&broker.uri()) }, broker)
}
