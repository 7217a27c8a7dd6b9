//! Work on passwords that takes long: on threads where nobody waits for it, and a few at a time.
//!
//! AMQP logins do theirs here, too, so that the bound is one for the process.

use std::sync::Arc;

use tokio::{sync::Semaphore, task::spawn_blocking};

use crate::engine::{Access, LoginError, PasswordHash, SlowCheck, User};

/// So many at once: each takes a core and the 12 MiB of a hash of ours for a while. Who comes next waits in line,
/// logins no longer than their handshake may take.
const AT_ONCE: usize = 2;

static TURNS: Semaphore = Semaphore::const_new(AT_ONCE);

/// Finishes a check of a password. Whoever stops waiting before its turn costs nothing.
pub async fn check(check: SlowCheck) -> Result<Arc<User>, LoginError> {
    // The work is done to its end even if nobody waits any more, so the turn is that of the work.
    let checked = in_turn(move || check.run()).await;
    checked.unwrap_or(Err("the password could not be checked"))
}

/// The hash of a new password.
pub async fn hash(access: &Access, password: &[u8]) -> PasswordHash {
    if !access.hashing().is_slow() {
        return access.hash(password);
    }
    in_turn(access.hasher(password)).await.unwrap_or_else(PasswordHash::nobody)
}

/// `None` when the work failed or the broker stops.
async fn in_turn<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let turn = TURNS.acquire().await.ok()?;
    let done = spawn_blocking(move || {
        let _turn = turn;
        work()
    });
    done.await.ok()
}
