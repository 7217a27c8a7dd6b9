//! The broker as a deterministic simulation: real sessions, node and log; clients, disk, time and chance of
//! our own. No thread, no clock: a seed tells the whole story, so that a failure can be told again.
//!
//! A run is several lives of one disk. Clients publish, consume and define things at random; the power goes,
//! the process is killed, the disk fails or is full; then what a restart finds is held against what clients
//! were told. With `LEVERET_SIM_TELL=1` every step is told. The long run:
//!
//! `LEVERET_SIM_SEEDS=100000 LEVERET_SIM_FROM=0 cargo test --release simulation -- --nocapture`

/// A line of the story, for whoever wants to read it: with LEVERET_SIM_TELL=1 every step is told.
macro_rules! tell {
    ($($line:tt)*) => {
        if std::env::var_os("LEVERET_SIM_TELL").is_some() {
            eprintln!($($line)*);
        }
    };
}

mod actions;
mod channel;
mod check;
mod client;
mod faults;
mod model;
mod random;
mod runs;
mod wire;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use runs::Story;

/// Seeds of a run without the variable.
const SEEDS: u64 = 60;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// Tells one story for each seed; a failure is printed with how to repeat it.
fn tell_all(test: &str, seeds: u64, story: impl Fn(u64) -> Story) {
    let from = number("LEVERET_SIM_FROM").unwrap_or(0);
    let seeds = number("LEVERET_SIM_SEEDS").unwrap_or(seeds);
    let mut sum = Story::default();
    for seed in from..from + seeds {
        match catch_unwind(AssertUnwindSafe(|| story(seed))) {
            Ok(told) => sum.add(&told),
            Err(panic) => {
                eprintln!(
                    "repeat it with LEVERET_SIM_FROM={seed} LEVERET_SIM_SEEDS=1 cargo test simulation::{test}"
                );
                resume_unwind(panic);
            }
        }
        if (seed + 1 - from).is_multiple_of(1000) {
            println!("{test}: {} seeds, {sum}", seed + 1 - from);
        }
    }
    println!("{test}: {seeds} seeds, {sum}");
}

#[test]
fn whatever_happens_a_restart_finds_what_clients_were_told() {
    tell_all("whatever_happens", SEEDS, runs::lives);
}

#[test]
fn the_power_may_go_at_every_change_of_the_disk() {
    tell_all("the_power_may_go", 1, runs::every_change);
}

#[test]
fn starts_in_vain_leave_a_log_that_can_be_read() {
    runs::starts_in_vain();
}

#[test]
fn what_a_failed_sync_left_in_memory_is_not_taken_for_durable() {
    runs::lost_by_a_failed_sync();
}
