//! Argon2id, for those who would rather have hashes that are slow to guess than such that RabbitMQ can read.
//!
//! Kept as the text that other programs keep, too: `$argon2id$v=19$m=12288,t=3,p=1$SALT$DIGEST`.

use std::hint::black_box;

use argon2::{Algorithm, Argon2, Params, PasswordHash, Version};
use base64::prelude::{BASE64_STANDARD_NO_PAD, Engine};

use super::password::is_same;

/// What a hash of ours costs: so much memory in KiB, gone over so many times, by one thread. Some 20 ms.
const MEMORY: u32 = 12 << 10;
const PASSES: u32 = 3;
const LANES: u32 = 1;
/// What a hash from elsewhere may cost.
const MEMORY_MAX: u32 = 64 << 10;
const PASSES_MAX: u32 = 8;
const LANES_MAX: u32 = 8;
/// Octets of a new digest, and of any.
const DIGEST: usize = 32;
const DIGEST_MAX: usize = 64;
/// Octets of any salt.
const SALT_MAX: usize = 48;

/// A hash taken apart.
struct Parts {
    hasher: Argon2<'static>,
    salt: Vec<u8>,
    digest: Vec<u8>,
}

impl Parts {
    fn of(kept: &[u8]) -> Option<Parts> {
        let hash = PasswordHash::new(str::from_utf8(kept).ok()?).ok()?;
        let params = Params::try_from(&hash).ok()?;
        let usual = hash.algorithm == argon2::ARGON2ID_IDENT && hash.version == Some(Version::V0x13.into());
        let affordable =
            params.m_cost() <= MEMORY_MAX && params.t_cost() <= PASSES_MAX && params.p_cost() <= LANES_MAX;
        if !usual || !affordable {
            return None;
        }
        let mut salt = [0; SALT_MAX];
        Some(Parts {
            hasher: Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
            salt: hash.salt?.decode_b64(&mut salt).ok()?.to_vec(),
            digest: hash.hash?.as_bytes().to_vec(),
        })
    }
}

/// The hash of a password, which takes long.
pub fn hash(password: &[u8], salt: [u8; 16]) -> Vec<u8> {
    let mut digest = [0; DIGEST];
    let hasher = ours();
    let filled = hasher.hash_password_into(password, &salt, &mut digest);
    filled.expect("salt and digest have a length that is allowed");
    let [salt, digest] = [&salt[..], &digest].map(|octets| BASE64_STANDARD_NO_PAD.encode(octets));
    format!("$argon2id$v=19$m={MEMORY},t={PASSES},p={LANES}${salt}${digest}").into_bytes()
}

/// Whether this can be the hash of anything, at a price that we are ready to pay.
pub fn is_hash(kept: &[u8]) -> bool {
    Parts::of(kept).is_some()
}

/// Whether this is a hash of the password, which takes long.
pub fn matches(kept: &[u8], password: &[u8]) -> bool {
    let Some(Parts { hasher, salt, digest }) = Parts::of(kept) else {
        spend(password);
        return false;
    };
    let mut found = [0; DIGEST_MAX];
    let Some(found) = found.get_mut(..digest.len()) else { return false };
    hasher.hash_password_into(password, &salt, found).is_ok() && is_same(&digest, found)
}

/// Takes as long as looking at a hash of ours.
pub fn spend(password: &[u8]) {
    let mut digest = [0; DIGEST];
    let _ = ours().hash_password_into(password, &[0; 16], &mut digest);
    black_box(digest);
}

fn ours() -> Argon2<'static> {
    let params = Params::new(MEMORY, PASSES, LANES, Some(DIGEST)).expect("a price that the algorithm knows");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_that_of_one_password() {
        let kept = hash(b"secret", [7; 16]);
        assert!(kept.starts_with(b"$argon2id$v=19$m=12288,t=3,p=1$BwcHBwcHBwcHBwcHBwcHBw$"));
        assert!(is_hash(&kept) && matches(&kept, b"secret"));
        assert!(!matches(&kept, b"Secret") && !matches(&kept, b""));
        assert_ne!(hash(b"secret", [8; 16]), kept);
    }

    #[test]
    fn hashes_of_other_programs_are_read() {
        // Made with the reference implementation, of "password" and "somesalt".
        let kept = b"$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        assert!(matches(kept, b"password") && !matches(kept, b"passwore"));
    }

    #[test]
    fn what_is_no_hash_or_costs_too_much_matches_nothing() {
        for kept in [
            "",
            "$argon2id$v=19$m=12288,t=3,p=1$c29tZXNhbHQ",
            "$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
            "$argon2id$v=16$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
            "$argon2id$v=19$m=65537,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
            "$argon2id$v=19$m=65536,t=9,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
            "$argon2id$v=19$m=4294967295,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        ] {
            assert!(!is_hash(kept.as_bytes()) && !matches(kept.as_bytes(), b"password"), "{kept}");
        }
    }
}
