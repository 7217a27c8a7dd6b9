//! How often a message came back to its queue, in the one number that its place and the log have for that.
//!
//! The lower bits count the times that count against a delivery limit: whoever had it was lost, or rejected it. The
//! upper ones count the times that it was merely given back (QQ-05). Both stop at their highest value.

/// What a return adds that counts.
pub const FAILED: u32 = 1;
/// What one adds that does not.
pub const GIVEN_BACK: u32 = 1 << BITS;

/// Bits of what counts; the other twelve are for what does not.
const BITS: u32 = 20;
const FAILED_MAX: u32 = GIVEN_BACK - 1;
const GIVEN_BACK_MAX: u32 = u32::MAX >> BITS;

/// Both sums.
#[must_use]
pub fn add(one: u32, other: u32) -> u32 {
    let failed = (failures(one) + failures(other)).min(FAILED_MAX);
    let given_back = ((one >> BITS) + (other >> BITS)).min(GIVEN_BACK_MAX);
    given_back << BITS | failed
}

/// How often it came back in a way that counts: `x-delivery-count`.
#[must_use]
pub fn failures(returns: u32) -> u32 {
    returns & FAILED_MAX
}

/// How often it came back at all: `x-acquired-count`.
#[must_use]
pub fn total(returns: u32) -> u32 {
    failures(returns) + (returns >> BITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn qq_05_the_two_counts_do_not_touch_each_other() {
        let mut returns = 0;
        for _ in 0..3 {
            returns = add(add(returns, FAILED), GIVEN_BACK);
        }
        assert_eq!((failures(returns), total(returns)), (3, 6));
        let many = add(u32::MAX, FAILED);
        assert_eq!((many, failures(many)), (u32::MAX, FAILED_MAX));
        assert_eq!(add(many, GIVEN_BACK), u32::MAX);
        assert_eq!(failures(add(GIVEN_BACK_MAX << BITS, GIVEN_BACK)), 0);
        assert_eq!(total(add(FAILED_MAX, FAILED)), FAILED_MAX);
    }
}
