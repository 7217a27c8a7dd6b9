//! Placeholder.

pub mod table;
