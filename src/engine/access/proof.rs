//! Checks of passwords: those that are known at once, and those that take long and are done elsewhere.

use std::{fmt, sync::Arc};

use sha2::{Digest, Sha256};

use super::{Access, INVALID, PasswordHash, User, argon};

/// What a right password looks like that was right before: a digest of it, with a key that dies with the process.
pub type Proof = [u8; 32];

/// The reason for the log.
pub type LoginError = &'static str;

/// How far a check of a password got.
#[derive(Debug)]
pub enum PasswordCheck {
    Done(Result<Arc<User>, LoginError>),
    Slow(SlowCheck),
}

/// A check that takes long. Not for a thread that others wait for, and not many at once.
pub struct SlowCheck {
    user: Option<Arc<User>>,
    /// What the right password leads to.
    granted: Result<Arc<User>, LoginError>,
    password: Vec<u8>,
    proof: Proof,
}

impl fmt::Debug for SlowCheck {
    /// Without the password.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SlowCheck").finish_non_exhaustive()
    }
}

impl PasswordCheck {
    /// Looks at a password as far as that is quick. Where any hash is slow, nobody is refused quickly: that would tell
    /// which users there are. The right password of a user is remembered once it was found to be right.
    pub(super) fn begin(
        access: &Access,
        user: Option<Arc<User>>,
        password: &[u8],
        granted: Result<Arc<User>, LoginError>,
    ) -> PasswordCheck {
        let proof = access.proof(user.as_deref(), password);
        let proven = user.as_ref().is_some_and(|user| user.proven.get() == Some(&proof));
        let quick = user.as_ref().filter(|user| !user.hash.hashing.is_slow());
        let right = quick.map_or(&PasswordHash::nobody(), |user| &user.hash).matches(password);
        if (right || proven) && !password.is_empty() {
            return PasswordCheck::Done(granted);
        }
        if access.has_slow_hashes() {
            return PasswordCheck::Slow(SlowCheck { user, granted, password: password.to_vec(), proof });
        }
        PasswordCheck::Done(Err(INVALID))
    }

    /// The outcome, however long it takes.
    pub fn finish(self) -> Result<Arc<User>, LoginError> {
        match self {
            PasswordCheck::Done(result) => result,
            PasswordCheck::Slow(check) => check.run(),
        }
    }
}

impl SlowCheck {
    /// Does the work, which is the same whoever it is about.
    pub fn run(self) -> Result<Arc<User>, LoginError> {
        let SlowCheck { user, granted, password, proof } = self;
        let Some(user) = user.filter(|user| user.hash.hashing.is_slow()) else {
            argon::spend(&password);
            return Err(INVALID);
        };
        if !user.hash.matches(&password) || password.is_empty() {
            return Err(INVALID);
        }
        // Somebody else may have proved the same meanwhile.
        let _ = user.proven.set(proof);
        granted
    }
}

impl Access {
    /// Goes with the hash, so that it is void as soon as the password is another one.
    fn proof(&self, user: Option<&User>, password: &[u8]) -> Proof {
        let hash = user.map_or(&[][..], |user| &user.hash.octets);
        Sha256::new().chain_update(self.key).chain_update(hash).chain_update(password).finalize().into()
    }
}
