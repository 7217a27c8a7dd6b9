//! Crashes: the built binary under load, ended by every means there is, and looked at after its restart.
//!
//! What the clients were promised is kept in a model ([`model`]) and compared with what is found
//! ([`judge`]); the model says nothing about how the broker stores things.
//!
//! `cargo test --test crash` takes some seconds: a few kills under load ([`cycles`]) and, one test for each
//! line of the behaviour reference, what a restart keeps and what it does not ([`restart`]).

mod churn;
mod consumers;
mod cycles;
mod judge;
mod load;
mod look;
mod message;
mod model;
mod patience;
mod place;
mod publishers;
mod random;
mod restart;
mod topology;
mod transactions;
