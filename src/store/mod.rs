//! What outlives the process: durable state on a disk that may fail, fill up or lose power.
//!
//! Everything above [`disk`] is written against its trait, so that each crash and each fault can be played
//! through in memory. No clock: time comes in as milliseconds, as in the broker.

pub mod disk;
