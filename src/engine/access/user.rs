//! A user: its password's hash and its tags.

use std::sync::{Arc, OnceLock};

use super::{PasswordHash, proof::Proof};

/// A user that may log in, if its hash matches anything.
#[derive(Debug, Clone)]
pub struct User {
    pub name: Arc<str>,
    pub hash: PasswordHash,
    /// In the order given; some mean rights in the management interface, others are kept for their owners.
    pub tags: Vec<String>,
    /// Set once the password was found to be right, where that took long.
    pub(super) proven: OnceLock<Proof>,
}

impl User {
    pub fn new(name: &str, hash: PasswordHash, tags: Vec<String>) -> User {
        User { name: name.into(), hash, tags, proven: OnceLock::new() }
    }

    pub fn has_tag(&self, tag: &str) -> bool {
        self.tags.iter().any(|other| other == tag)
    }

    /// Everything.
    pub fn is_administrator(&self) -> bool {
        self.has_tag("administrator")
    }

    /// Sees what belongs to others.
    pub fn is_monitor(&self) -> bool {
        self.is_administrator() || self.has_tag("monitoring")
    }

    /// May set policies and parameters where it has rights.
    pub fn is_policymaker(&self) -> bool {
        self.is_administrator() || self.has_tag("policymaker")
    }

    /// May use the management interface at all.
    pub fn is_manager(&self) -> bool {
        self.is_monitor() || self.has_tag("policymaker") || self.has_tag("management")
    }
}
