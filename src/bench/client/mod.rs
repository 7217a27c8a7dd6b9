//! One connection to a broker: where it is, what is written, what is read.

pub mod connection;
pub mod inbound;
pub mod properties;
pub mod scanner;
pub mod target;
pub mod wire;
