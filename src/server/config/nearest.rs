//! "Did you mean": the known name closest to an unknown one.

/// The candidate that `name` was probably meant to be, if any is close enough to suggest.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_ascii_lowercase().replace('-', "_");
    candidates
        .into_iter()
        .map(|candidate| (distance(&name, candidate), candidate))
        .filter(|(distance, candidate)| {
            *distance <= 2.max(candidate.len() / 4) || same_leaf(&name, candidate)
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The right word in the wrong section: `heartbeat` or `limits.heartbeat` for `amqp.heartbeat`.
fn same_leaf(name: &str, candidate: &str) -> bool {
    let leaf = |dotted: &str| dotted.rsplit('.').next().map(str::to_owned);
    leaf(name) == leaf(candidate)
}

/// Edits (insert, delete, replace one byte) that turn one name into the other.
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in to.bytes().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [&str; 4] = ["amqp.heartbeat", "amqp.frame_max", "limits.memory", "log.level"];

    #[test]
    fn suggestions() {
        for (name, expected) in [
            ("amqp.hartbeat", Some("amqp.heartbeat")),
            ("ampq.heartbeat", Some("amqp.heartbeat")),
            ("heartbeat", Some("amqp.heartbeat")),
            ("limits.heartbeat", Some("amqp.heartbeat")),
            ("amqp.frame-max", Some("amqp.frame_max")),
            ("log.levle", Some("log.level")),
            ("colour.of.the.sky", None),
        ] {
            assert_eq!(nearest(name, KEYS), expected, "{name}");
        }
    }

    #[test]
    fn distances() {
        for (from, to, edits) in [("", "abc", 3), ("abc", "abc", 0), ("kitten", "sitting", 3)] {
            assert_eq!(distance(from, to), edits);
        }
    }
}
