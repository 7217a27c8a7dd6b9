//! The management interface over real HTTP, with real AMQP clients beside it.

mod accounts;
mod argon;
mod attempts;
mod boot;
mod clients;
mod cors;
mod definitions;
mod delayed;
mod endpoints;
mod events;
mod firehose;
mod http;
mod lists;
mod many;
mod messages;
mod metrics;
mod migration;
mod node;
mod pages;
mod permissions;
#[path = "../common/pki.rs"]
mod pki;
mod policies;
mod settings;
mod stats;
mod streams;
mod super_streams;
mod tap;
mod tls;
mod topic_permissions;
mod topology;
mod upkeep;
