//! Lengths of time as streams write them: digits and a unit, `7D` (QUE-38).

/// The seconds that an interval stands for; none if it is malformed, zero or beyond counting.
pub fn interval_seconds(text: &[u8]) -> Option<u64> {
    let (unit, digits) = text.split_last()?;
    let seconds: u64 = match unit {
        b'Y' => 365 * 24 * 3600,
        b'M' => 30 * 24 * 3600,
        b'D' => 24 * 3600,
        b'h' => 3600,
        b'm' => 60,
        b's' => 1,
        _ => return None,
    };
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let count: u64 = str::from_utf8(digits).ok()?.parse().ok()?;
    count.checked_mul(seconds).filter(|seconds| 0 < *seconds)
}
