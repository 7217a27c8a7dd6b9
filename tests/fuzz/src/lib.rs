//! What the fuzz targets share: frames as a client sees them, and a client that keeps its own account of what
//! the broker owes it.

pub mod client;
pub mod dice;
pub mod frames;
pub mod world;
