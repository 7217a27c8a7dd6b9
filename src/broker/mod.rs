//! Placeholder.

pub mod arguments;
pub mod topology;
