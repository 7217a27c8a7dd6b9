//! The rules that a queue was declared with.

use std::{cell::RefCell, sync::Arc};

use super::{resting::Retry, stream::StreamSettings};
use crate::broker::{Millis, queue_arguments::Overflow};

/// The rules that a queue applies by itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct QueueSettings {
    /// Whether it outlives the broker's process; its persistent messages do, too.
    pub durable: bool,
    /// Time to live of every message, in milliseconds.
    pub message_ttl: Option<Millis>,
    /// The queue goes after so many milliseconds without use (QUE-70).
    pub expires: Option<Millis>,
    pub max_length: Option<u64>,
    pub max_length_bytes: Option<u64>,
    pub overflow: Overflow,
    /// 0 for a queue without priorities.
    pub max_priority: u8,
    pub single_active_consumer: bool,
    /// A quorum queue: everything in it survives, returned messages come first, priorities are 0 to 31.
    pub quorum: bool,
    /// How often a message may be given back before it dies (QQ-04).
    pub delivery_limit: Option<u32>,
    /// Whether messages wait when they come back (QQ-11).
    pub retry: Option<Retry>,
    /// Whether a message whose identity is there already is dropped (QUE-43).
    pub deduplicates: bool,
    /// Whether dead messages go anywhere.
    pub dead_letters: bool,
    /// A stream: nothing of the above applies, but for `durable`.
    pub stream: Option<StreamSettings>,
}

impl QueueSettings {
    /// Most queues have the same rules as the one before: those share them.
    pub fn shared(self) -> Arc<QueueSettings> {
        thread_local! {
            static LAST: RefCell<Arc<QueueSettings>> = RefCell::default();
        }
        LAST.with_borrow_mut(|last| {
            if **last != self {
                *last = Arc::new(self);
            }
            last.clone()
        })
    }
}
