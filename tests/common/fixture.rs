//! How tests get a broker: an in-process one of their own, or the one `LEVERET_TEST_URI` names.
//!
//! With `LEVERET_TEST_URI=amqp://user:password@host:port/vhost` the same tests run against any broker;
//! those that need a configuration of their own, or an answer only we give, then skip themselves. Use a
//! vhost made for it: tests leave transient queues and exchanges behind, which end with a broker of ours.

// Every test binary compiles this file for itself and uses a part of it.
#![allow(dead_code)]

use lapin::uri::AMQPUri;
use leveret::{Broker, Config};

/// A broker for one test. Dropping it stops the in-process broker.
pub struct Fixture {
    broker: Option<Broker>,
    uri: String,
}

impl Fixture {
    /// A broker with default settings.
    pub async fn start() -> Fixture {
        match std::env::var("LEVERET_TEST_URI") {
            Ok(uri) => Fixture { broker: None, uri },
            Err(_) => Fixture::in_process(|_| {}).await,
        }
    }

    /// A broker with settings of its own; `None` when the tests run against an external broker.
    pub async fn configured(configure: fn(&mut Config)) -> Option<Fixture> {
        match std::env::var("LEVERET_TEST_URI") {
            Ok(_) => {
                eprintln!("skipped: needs a broker configured for it");
                None
            }
            Err(_) => Some(Fixture::in_process(configure).await),
        }
    }

    async fn in_process(configure: fn(&mut Config)) -> Fixture {
        let broker = Broker::builder().configure(configure).start().await.expect("the broker starts");
        let uri = broker.uri();
        Fixture { broker: Some(broker), uri }
    }

    /// `amqp://user:password@host:port/vhost`, with the slash of the vhost percent-encoded.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// The parts of [`Fixture::uri`], for clients that take them one by one.
    pub fn parts(&self) -> AMQPUri {
        self.uri.parse().expect("a valid AMQP URI")
    }

    /// Host and port, for raw sockets.
    pub fn address(&self) -> (String, u16) {
        let authority = self.parts().authority;
        (authority.host, authority.port)
    }

    /// The virtual host, as it appears in reply texts.
    pub fn vhost(&self) -> String {
        self.parts().vhost
    }

    /// False for a broker that is not ours, whose answers may differ where we deliberately do.
    pub fn is_ours(&self) -> bool {
        self.broker.is_some()
    }

    /// Stops the in-process broker and waits for it. Panics with an external one.
    pub async fn shutdown(mut self) {
        self.broker.take().expect("an in-process broker").shutdown().await;
    }
}
