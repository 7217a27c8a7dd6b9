//! The kind of values that say which limits new virtual hosts get.

use toml::{Table, Value};

use super::kind::{Kind, NONE, text};
use crate::engine::NewVhostLimits;

/// Limits of new vhosts: a table in TOML, `connections:queues:pattern` as text.
pub struct VhostLimits;

/// `Some(None)` for no number.
fn limit(value: Option<&Value>) -> Option<Option<i64>> {
    match value {
        None => Some(None),
        Some(Value::Integer(number)) => Some(Some(*number)),
        Some(other) => match text(other)?.trim() {
            "" | NONE => Some(None),
            number => number.parse().ok().map(Some),
        },
    }
}

impl Kind for VhostLimits {
    type Of = NewVhostLimits;
    fn read(&self, value: &Value) -> Option<NewVhostLimits> {
        let (pattern, connections_max, queues_max) = match value {
            Value::Table(table) => {
                let known = ["pattern", "connections_max", "queues_max"];
                if table.keys().any(|key| !known.contains(&key.as_str())) {
                    return None;
                }
                let pattern = table.get("pattern").map_or(Some(".*".to_owned()), text)?;
                (pattern, limit(table.get("connections_max"))?, limit(table.get("queues_max"))?)
            }
            other => {
                let text = text(other)?;
                let mut parts = text.splitn(3, ':');
                let [connections, queues, pattern] = [parts.next()?, parts.next()?, parts.next()?];
                let [connections, queues] = [connections, queues].map(Value::from);
                (pattern.to_owned(), limit(Some(&connections))?, limit(Some(&queues))?)
            }
        };
        Some(NewVhostLimits { pattern, connections_max, queues_max }).filter(NewVhostLimits::is_valid)
    }
    fn show(&self, value: &NewVhostLimits) -> Value {
        let numbers = [("connections_max", value.connections_max), ("queues_max", value.queues_max)];
        let numbers = numbers.into_iter().filter_map(|(key, number)| Some((key.to_owned(), number?.into())));
        let pattern = ("pattern".to_owned(), Value::from(value.pattern.as_str()));
        Value::Table(Table::from_iter(std::iter::once(pattern).chain(numbers)))
    }
    fn expected(&self) -> String {
        "{ pattern = \"^shop\", connections_max = 10, queues_max = 100 } with a regular expression".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_and_texts_are_read_and_shown() {
        let read = VhostLimits.read(&Value::from("10:none:^a:b")).unwrap();
        let expected =
            NewVhostLimits { pattern: "^a:b".to_owned(), connections_max: Some(10), queues_max: None };
        assert_eq!(read, expected);
        assert_eq!(VhostLimits.read(&VhostLimits.show(&read)), Some(expected));
        for wrong in ["10", "a:b:c", "1:1:("] {
            assert_eq!(VhostLimits.read(&Value::from(wrong)), None, "{wrong}");
        }
        let misspelt: Table = toml::from_str("pattern = \"x\"\nqueue_max = 1").unwrap();
        assert_eq!(VhostLimits.read(&Value::Table(misspelt)), None);
    }
}
