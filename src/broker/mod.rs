//! Exchanges, bindings, queues and messages as pure logic.
//!
//! No I/O, no locks, no clock: time comes in as milliseconds, effects go out through a sink. Nothing here
//! knows frames or reply codes.

pub mod arguments;
pub mod consumer_arguments;
pub mod death;
pub mod delay;
pub mod identity;
pub mod memory;
pub mod message;
pub mod pattern;
pub mod policy;
pub mod queue;
pub mod queue_arguments;
pub mod queue_type;
pub mod redrive;
pub mod topology;

pub use message::{Message, Parts};

/// Milliseconds on the server's clock. Wall-clock based, so that deadlines outlive a restart.
pub type Millis = u64;
