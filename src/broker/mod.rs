//! Placeholder.

pub mod arguments;
pub mod consumer_arguments;
pub mod queue_arguments;
pub mod queue_type;
pub mod topology;
