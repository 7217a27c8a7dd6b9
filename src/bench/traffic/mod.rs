//! What the modes share: who publishes and consumes what, how fast, and how far they are.

pub mod confirms;
pub mod consumer;
pub mod paced;
pub mod pacer;
pub mod producer;
pub mod progress;
pub mod ring;
pub mod topology;
pub mod workers;
