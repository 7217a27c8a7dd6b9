//! Passwords as RabbitMQ keeps them: a salt of four octets, and a digest of salt and password. Or as Argon2id.

use sha2::{Digest, Sha256, Sha512};

use super::argon;

/// Octets of the salt in front of a digest.
const SALT: usize = 4;

/// The algorithm of a password's digest; the names are those of definition files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Hashing {
    #[default]
    Sha256,
    Sha512,
    /// Slow on purpose; RabbitMQ does not have it.
    Argon2id,
}

impl Hashing {
    pub fn name(self) -> &'static str {
        match self {
            Hashing::Sha256 => "rabbit_password_hashing_sha256",
            Hashing::Sha512 => "rabbit_password_hashing_sha512",
            Hashing::Argon2id => "leveret_password_hashing_argon2id",
        }
    }

    pub fn of_name(name: &str) -> Option<Hashing> {
        let all = [Hashing::Sha256, Hashing::Sha512, Hashing::Argon2id];
        all.into_iter().find(|hashing| hashing.name() == name)
    }

    /// Whether hashing takes so long that it is nothing for a thread that others wait for.
    pub fn is_slow(self) -> bool {
        self == Hashing::Argon2id
    }
}

/// Salt and digest in one.
fn salted<D: Digest>(salt: &[u8], password: &[u8]) -> Vec<u8> {
    let digest = D::new().chain_update(salt).chain_update(password).finalize();
    [salt, &digest].concat()
}

/// What is kept of a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordHash {
    pub hashing: Hashing,
    /// Salt and digest. Anything else, such as nothing, matches no password.
    pub octets: Vec<u8>,
}

impl PasswordHash {
    /// The hash of a password; the first octets of `random` are the salt.
    pub fn of(hashing: Hashing, password: &[u8], random: u128) -> PasswordHash {
        let random = random.to_le_bytes();
        let salt = random.first_chunk::<SALT>().expect("a salt is shorter than this");
        let octets = match hashing {
            Hashing::Sha256 => salted::<Sha256>(salt, password),
            Hashing::Sha512 => salted::<Sha512>(salt, password),
            Hashing::Argon2id => argon::hash(password, random),
        };
        PasswordHash { hashing, octets }
    }

    /// Whether any password can have this hash.
    pub fn is_usable(&self) -> bool {
        !self.hashing.is_slow() || argon::is_hash(&self.octets)
    }

    /// A hash that no password has.
    pub fn nobody() -> PasswordHash {
        PasswordHash { hashing: Hashing::default(), octets: Vec::new() }
    }

    /// Whether this is a hash of the password; costs the same whatever the answer.
    pub fn matches(&self, password: &[u8]) -> bool {
        let salt = self.octets.get(..SALT).unwrap_or_default();
        match self.hashing {
            Hashing::Sha256 => is_same(&self.octets, &salted::<Sha256>(salt, password)),
            Hashing::Sha512 => is_same(&self.octets, &salted::<Sha512>(salt, password)),
            Hashing::Argon2id => argon::matches(&self.octets, password),
        }
    }
}

/// Compares without telling by its time how much was right.
pub(super) fn is_same(expected: &[u8], given: &[u8]) -> bool {
    let mut difference = u8::from(expected.len() != given.len());
    for (index, octet) in given.iter().enumerate() {
        // Against itself where there is nothing left, so that the work follows the guess, not the secret.
        let other = expected.get(index).copied().unwrap_or(!octet);
        difference |= std::hint::black_box(octet ^ other);
    }
    difference == 0
}

#[cfg(test)]
mod tests {
    use base64::prelude::{BASE64_STANDARD, Engine};

    use super::*;

    #[test]
    fn usr_03_hashes_of_rabbitmq_match_their_passwords() {
        // The examples of RabbitMQ's documentation.
        for (text, password) in [
            ("kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR", "test12"),
            ("9/1i+jKFRpbTRV1PtRnzFFYibT3cEpP92JeZ8YKGtflf4e/u", "guest"),
        ] {
            let octets = BASE64_STANDARD.decode(text).unwrap();
            let hash = PasswordHash { hashing: Hashing::Sha256, octets };
            assert!(hash.matches(password.as_bytes()), "{password}");
            assert!(!hash.matches(b"other") && !hash.matches(b""));
        }
    }

    #[test]
    fn a_new_hash_has_its_salt_in_front() {
        let hash = PasswordHash::of(Hashing::Sha256, b"secret", u128::from_le_bytes([7; 16]));
        assert_eq!((&hash.octets[..4], hash.octets.len()), (&[7; 4][..], 36));
        assert!(hash.matches(b"secret") && !hash.matches(b"Secret"));
    }

    #[test]
    fn longer_digests_match_too_and_nothing_matches_nobody() {
        for hashing in [Hashing::Sha512, Hashing::Argon2id] {
            let hash = PasswordHash::of(hashing, b"secret", 1);
            assert!(hash.is_usable() && hash.matches(b"secret") && !hash.matches(b"secreT"));
        }
        assert!(!PasswordHash::nobody().matches(b""));
        assert_eq!(Hashing::of_name(Hashing::Sha512.name()), Some(Hashing::Sha512));
    }
}
