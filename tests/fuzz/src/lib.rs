//! What the fuzz targets share: frames as a client sees them, and clients that keep their own account of what
//! the broker owes them.

pub mod actor;
pub mod client;
pub mod dice;
pub mod frames;
mod hearing;
pub mod steps;
pub mod vandal;
pub mod world;
