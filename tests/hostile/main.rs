//! Hostile peers: clients that lie, flood, stall, and send garbage, over real sockets.
//!
//! Every test is a row of the table of defences: it mounts one attack, checks that the defence holds, and
//! that an innocent client on a connection of its own ([`innocent`]) works on unharmed meanwhile. No broker
//! may panic during any of it ([`target`]). Memory and logs are looked at from outside, at the built binary
//! ([`child`]).

mod attacker;
mod child;
mod innocent;
#[path = "../common/pki.rs"]
mod pki;
mod target;
mod wire;

mod alarms;
mod bodies;
mod channels;
mod churn;
mod crowds;
mod encrypted;
mod frames;
mod handshake;
mod limits;
mod logins;
mod logs;
mod memory;
mod methods;
mod names;
mod nesting;
mod proxies;
mod readers;
mod routing;
mod settlements;
mod streams;
mod topology;
