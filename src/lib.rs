//! leveret: an AMQP 0-9-1 message broker.
//!
//! The map, lowest layer first; imports point down only (`tests/tidy.rs` checks it):
//!
//! | module | job |
//! |---|---|
//! | [`amqp`] | wire vocabulary and frame codec, built on `amq-protocol` |
//! | [`protocol`] | one connection as a machine without I/O: handshake, frames, contents, heartbeats |
//! | [`broker`] | exchanges, bindings, queues, messages: pure logic, time as an argument |
//! | [`store`] | what outlives the process, on a disk that may fail or lose power |
//! | [`engine`] | who owns what and behind which lock: vhosts, shared queues, inboxes, alarms |
//! | [`session`] | methods meet broker: replies, delivery tags, unacked, confirms, tx |
//! | [`tls`] | certificates from files, TLS handshakes, what a client's certificate says |
//! | [`http`] | the management interface: RabbitMQ's HTTP API, metrics |
//! | [`server`] | sockets, tasks, timers, configuration |
//! | `bench` | the load tool: any broker from outside, with code of its own |
//! | `ctl` | RabbitMQ's command-line tools, which ask a broker over HTTP |
//! | [`cli`] | the command line |
//!
//! Most users of the library want [`Broker`]: an in-process broker for tests.

pub mod amqp;
mod bench;
pub mod broker;
pub mod cli;
mod ctl;
pub mod engine;
pub mod http;
pub mod protocol;
pub mod server;
pub mod session;
pub mod store;
pub mod tls;

pub use server::{Broker, BrokerBuilder, Config, LimitReport};
