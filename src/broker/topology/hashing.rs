//! Hashes that spread messages over destinations: equal input, equal number, in every process.

use super::route::RoutingKeys;
use foldhash::quality::FixedState;
use std::hash::{BuildHasher, Hasher};

/// Messages without what is to be hashed are as if it were this: they stay together (EXC-83).
pub(super) const ABSENT: u64 = 0;

/// The hash of what `feed` feeds.
pub(super) fn hash(feed: impl FnOnce(&mut <FixedState as BuildHasher>::Hasher)) -> u64 {
    let mut hasher = FixedState::default().build_hasher();
    feed(&mut hasher);
    hasher.finish()
}

/// The hash of all routing keys, where one ends and the next begins included.
pub(super) fn hash_keys(keys: &RoutingKeys<'_>) -> u64 {
    hash(|hasher| {
        for key in keys.iter() {
            hasher.write_usize(key.len());
            hasher.write(key);
        }
    })
}

/// The bucket, of so many, that a hash belongs to by the jump consistent hash of Lamping and Veach: with one more
/// bucket, only what moves there moves. Meaningless without buckets.
pub(super) fn jump(hash: u64, buckets: u64) -> u64 {
    const MULTIPLIER: u64 = 2_862_933_555_777_941_757;
    let (mut state, mut bucket, mut next) = (hash, 0, 0);
    while next < buckets {
        bucket = next;
        state = state.wrapping_mul(MULTIPLIER).wrapping_add(1);
        let leap = (1u64 << 31) as f64 / ((state >> 33) + 1) as f64;
        // Far beyond any number of buckets the conversion loses digits, but never turns back.
        next = ((bucket + 1) as f64 * leap) as u64;
    }
    bucket
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_further_bucket_takes_its_share_and_moves_nothing_else() {
        let hashes: Vec<u64> = (0..10_000u64).map(|n| hash(|hasher| hasher.write_u64(n))).collect();
        for buckets in 1..20 {
            let moved: Vec<u64> = hashes
                .iter()
                .map(|hash| (jump(*hash, buckets), jump(*hash, buckets + 1)))
                .filter(|(before, after)| before != after)
                .map(|(_, after)| after)
                .collect();
            assert!(moved.iter().all(|bucket| *bucket == buckets));
            let share = 10_000 / (buckets as usize + 1);
            assert!((share / 2..share * 2).contains(&moved.len()), "{} to bucket {buckets}", moved.len());
        }
    }

    #[test]
    fn huge_rings_end() {
        assert!(jump(u64::MAX, u64::MAX / 2) < u64::MAX / 2);
        assert_eq!(jump(7, 1), 0);
    }

    #[test]
    fn keys_are_told_apart_where_they_end() {
        let keys = |key, extra: &[&[u8]]| hash_keys(&RoutingKeys { key, extra });
        assert_ne!(keys(b"ab", &[b"c"]), keys(b"a", &[b"bc"]));
        assert_eq!(keys(b"ab", &[b"c"]), keys(b"ab", &[b"c"]));
    }
}
