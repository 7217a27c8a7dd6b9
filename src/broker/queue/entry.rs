//! A message's place in a queue.

use crate::broker::{Message, Millis};

/// A deadline that never comes.
pub const NEVER: Millis = Millis::MAX;

/// A message's place in a queue. Half a cache line: a backlog is a long array of these.
#[derive(Debug, Clone)]
pub struct Entry {
    pub message: Message,
    /// Ascending in order of arrival; its original position.
    pub sequence: u64,
    /// When it expires; fixed on arrival (TTL-01). `Millis::MAX` for never.
    pub deadline: Millis,
    /// How often it was requeued, and how; see [`returns`](super::returns).
    pub returns: u32,
    /// Whether it was delivered to anybody before (BAS-64).
    pub redelivered: bool,
    /// Whether the log knows it, or is about to: a persistent message in a durable queue.
    pub logged: bool,
}
