//! Numbers with units: sizes (`64MiB`), durations (`30min`), memory watermarks (`60%`).
//! Reading and showing are inverse: what is shown reads back as the same value.

use std::time::Duration;

use super::Memory;

/// Units of size, largest first, so that showing can take the first that divides.
const BINARY: [(&str, u64); 4] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

/// Units of time in microseconds, largest first.
const SPANS: [(&str, u64); 6] = [
    ("d", 86_400_000_000),
    ("h", 3_600_000_000),
    ("min", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1_000),
    ("us", 1),
];

/// Reads a size such as `131072`, `2GiB`, `128MB` or `64k`. `None` if it is not one.
pub fn read_size(text: &str) -> Option<u64> {
    let (number, unit) = split(text);
    // As in rabbitmq.conf: 'kB' counts in thousands, 'k' and 'KiB' in 1024s.
    let scale = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(scale)
}

/// Shows a size in the largest binary unit that divides it.
pub fn show_size(bytes: u64) -> String {
    BINARY
        .iter()
        .find(|(_, scale)| 0 < bytes && bytes.is_multiple_of(*scale))
        .map_or_else(|| bytes.to_string(), |(unit, scale)| format!("{}{unit}", bytes / scale))
}

/// Reads a duration such as `10s`, `30min` or `100ms`. A number without a unit is not one.
pub fn read_duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text);
    let unit = match unit {
        "m" | "minutes" => "min",
        "seconds" => "s",
        "hours" => "h",
        "days" => "d",
        other => other,
    };
    let (_, micros) = SPANS.iter().find(|(name, _)| *name == unit)?;
    Some(Duration::from_micros(number.parse::<u64>().ok()?.checked_mul(*micros)?))
}

/// Shows a duration in the largest unit that divides it.
pub fn show_duration(duration: Duration) -> String {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    SPANS
        .iter()
        .find(|(_, scale)| 0 < micros && micros.is_multiple_of(*scale))
        .map_or_else(|| "0s".to_owned(), |(unit, scale)| format!("{}{unit}", micros / scale))
}

/// Reads a watermark: `60%`, a fraction such as `0.6`, or a size.
pub fn read_memory(text: &str) -> Option<Memory> {
    let fraction = match text.strip_suffix('%') {
        Some(percent) => Some(percent.trim().parse::<f64>().ok()? / 100.0),
        None if text.contains('.') => Some(text.parse::<f64>().ok()?),
        None => None,
    };
    match fraction {
        Some(fraction) if 0.0 < fraction && fraction <= 1.0 => Some(Memory::Relative(fraction)),
        Some(_) => None,
        None => read_size(text).filter(|bytes| 0 < *bytes).map(Memory::Absolute),
    }
}

/// Shows a watermark the way [`read_memory`] takes it.
pub fn show_memory(memory: Memory) -> String {
    match memory {
        Memory::Relative(fraction) => format!("{}%", fraction * 100.0),
        Memory::Absolute(bytes) => show_size(bytes),
    }
}

/// The leading digits and what follows them.
fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    (&text[..end], text[end..].trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("131072", Some(131_072)),
            ("2GiB", Some(2 << 30)),
            ("128MB", Some(128_000_000)),
            ("64 MiB", Some(64 << 20)),
            ("64k", Some(65_536)),
            ("0", Some(0)),
            ("", None),
            ("MiB", None),
            ("-1", None),
            ("1.5GiB", None),
            ("3 furlongs", None),
            ("99999999999TiB", None),
        ] {
            assert_eq!(read_size(text), bytes, "{text}");
        }
    }

    #[test]
    fn durations() {
        for (text, duration) in [
            ("10s", Some(Duration::from_secs(10))),
            ("30min", Some(Duration::from_secs(1_800))),
            ("100ms", Some(Duration::from_millis(100))),
            ("1 h", Some(Duration::from_secs(3_600))),
            ("10", None),
            ("s", None),
            ("10 fortnights", None),
        ] {
            assert_eq!(read_duration(text), duration, "{text}");
        }
    }

    #[test]
    fn watermarks() {
        for (text, memory) in [
            ("60%", Some(Memory::Relative(0.6))),
            ("0.4", Some(Memory::Relative(0.4))),
            ("100%", Some(Memory::Relative(1.0))),
            ("2GiB", Some(Memory::Absolute(2 << 30))),
            ("0%", None),
            ("101%", None),
            ("1.5", None),
            ("NaN%", None),
            ("0", None),
            ("plenty", None),
        ] {
            assert_eq!(read_memory(text), memory, "{text}");
        }
    }

    #[test]
    fn what_is_shown_reads_back() {
        for bytes in [0, 1, 1_000, 1_024, 131_072, 128 << 20, 3 << 40, u64::MAX] {
            assert_eq!(read_size(&show_size(bytes)), Some(bytes));
        }
        for millis in [0, 1, 999, 1_000, 60_000, 90_000, 3_600_000] {
            let duration = Duration::from_millis(millis);
            assert_eq!(read_duration(&show_duration(duration)), Some(duration));
        }
        for memory in [Memory::Relative(0.6), Memory::Relative(0.45), Memory::Absolute(5 << 30)] {
            assert_eq!(read_memory(&show_memory(memory)), Some(memory));
        }
    }
}
