//! Numbers as people read them.

use std::time::Duration;

/// With a comma before every three digits; small ones with decimals.
pub fn grouped(value: f64) -> String {
    if value > 0.0 && value < 100.0 {
        let decimals =
            if value < 10.0 && value.fract() != 0.0 { 2 } else { usize::from(value.fract() != 0.0) };
        return format!("{value:.decimals$}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Microseconds in the unit that suits them.
pub fn micros(value: f64) -> String {
    match value {
        _ if value < 1e3 => format!("{value:.1} us"),
        _ if value < 1e6 => format!("{:.2} ms", value / 1e3),
        _ => format!("{:.2} s", value / 1e6),
    }
}

/// Octets in mebibytes.
pub fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

/// Nanosecond precision in microseconds.
pub fn as_micros(value: Duration) -> f64 {
    value.as_nanos() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_come_in_threes() {
        let pairs = [(0.0, "0"), (5.0, "5"), (1.234, "1.23"), (45.67, "45.7"), (999.4, "999")];
        for (value, text) in pairs.into_iter().chain([(1000.0, "1,000"), (1234567.0, "1,234,567")]) {
            assert_eq!(grouped(value), text);
        }
        assert_eq!(
            (micros(12.34), micros(12_340.0), micros(2e6)),
            ("12.3 us".into(), "12.34 ms".into(), "2.00 s".into())
        );
    }
}
