//! The management interface over real HTTP, with real AMQP clients beside it.

mod accounts;
mod attempts;
mod clients;
mod cors;
mod definitions;
mod delayed;
mod http;
mod messages;
mod metrics;
mod node;
mod pages;
mod permissions;
#[path = "../common/pki.rs"]
mod pki;
mod policies;
mod settings;
mod stats;
mod tls;
mod topic_permissions;
mod topology;
