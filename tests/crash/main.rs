//! Crashes: the built binary under load, ended by every means there is, and looked at after its restart.
//!
//! What the clients were promised is kept in a model ([`model`]) and compared with what is found
//! ([`judge`]); the model says nothing about how the broker stores things.
//!
//! `cargo test --test crash` takes some seconds: a few kills under load ([`cycles`]) and, one test for each
//! line of the behaviour reference, what a restart keeps and what it does not ([`restart`]).
//!
//! Some settings change from start to start, chosen by the seed: the log is trimmed all the time, long queues
//! go to disk, syncs are left to the kernel where no power is cut ([`settings`]). In the end everything is
//! consumed, and the disk must be free again ([`footprint`]).
//!
//! The long runs, of which the first is only a longer one and the others need Linux, root, `mkfs.ext4`,
//! `python3` and `strace`; they say so and pass where these are missing, and leave nothing mounted:
//!
//! ```text
//! LEVERET_CRASH_CYCLES=10000 cargo test --release --test crash kill_after_kill -- --nocapture
//! LEVERET_CRASH_CYCLES=1000 cargo test --release --test crash power -- --ignored --nocapture
//! LEVERET_CRASH_CYCLES=100 cargo test --test crash failing_syncs -- --ignored --nocapture
//! cargo test --test crash full_disk -- --ignored --nocapture
//! cargo test --test crash -- --ignored
//! ```
//!
//! `LEVERET_CRASH_BINARY` is the broker to try, for example the release build under a harness for debugging.
//!
//! A failure prints the seed, which `LEVERET_CRASH_SEED` takes, and where the broker's log and data are
//! kept. The seed repeats what the load does and when it is interrupted, not how the threads interleave.

mod backlogs;
mod churn;
mod consumers;
mod cycles;
mod deaths;
mod delays;
mod disk;
mod failing_syncs;
mod footprint;
mod full_disk;
mod isolated;
mod judge;
mod load;
mod look;
mod message;
mod model;
mod patience;
mod pinned;
mod place;
mod power;
mod publishers;
mod random;
mod restart;
mod settings;
mod streams;
mod topology;
mod transactions;
