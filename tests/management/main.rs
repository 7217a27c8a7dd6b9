//! The management interface over real HTTP, with real AMQP clients beside it.

mod accounts;
mod clients;
mod definitions;
mod delayed;
mod http;
mod messages;
mod metrics;
mod node;
mod pages;
mod permissions;
mod policies;
mod settings;
mod stats;
mod super_streams;
mod topic_permissions;
mod topology;
