//! Lists in the formats of `rabbitmqadmin`.

use serde_json::Value;

use super::settings::Settings;

/// How a list is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Table,
    Long,
    KeyValue,
    Tsv,
    Bash,
    RawJson,
    PrettyJson,
}

impl Format {
    pub fn named(name: &str) -> Option<Format> {
        Some(match name {
            "table" => Format::Table,
            "long" => Format::Long,
            "kvp" => Format::KeyValue,
            "tsv" => Format::Tsv,
            "bash" => Format::Bash,
            "raw_json" => Format::RawJson,
            "pretty_json" => Format::PrettyJson,
            _ => return None,
        })
    }

    /// Whether all columns are wanted if none were named.
    pub fn is_json(self) -> bool {
        matches!(self, Format::RawJson | Format::PrettyJson)
    }
}

/// Columns that come first, in this order.
const FIRST: [&str; 7] =
    ["vhost", "name", "type", "source", "destination", "destination_type", "routing_key"];

/// The text of a list, without the last line feed; empty if there is nothing to print.
pub fn list(found: &Value, columns: &[String], settings: &Settings) -> String {
    match settings.format {
        Format::RawJson => return found.to_string(),
        Format::PrettyJson => return format!("{found:#}"),
        _ => {}
    }
    let depth = if columns.is_empty() { settings.depth } else { usize::MAX };
    let items: &[Value] = match found {
        Value::Array(items) => items,
        one => std::slice::from_ref(one),
    };
    let rows: Vec<Vec<(String, String)>> = items.iter().map(|item| flat(item, depth)).collect();
    let columns: Vec<String> = if columns.is_empty() { all(&rows) } else { columns.to_vec() };
    let table: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let cell =
                |name: &String| row.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
            columns.iter().map(|name| cell(name).unwrap_or_default()).collect()
        })
        .collect();
    if table.is_empty() {
        return if settings.is_quiet { String::new() } else { "No items".to_owned() };
    }
    match settings.format {
        Format::Long => long(&columns, &table),
        Format::KeyValue => key_values(&columns, &table),
        Format::Tsv => tsv(&columns, &table, !settings.is_quiet),
        Format::Bash => names(&columns, &table),
        Format::Table | Format::RawJson | Format::PrettyJson => ascii(&columns, &table),
    }
}

/// An object's fields, those of objects in it with a dot.
fn flat(item: &Value, depth: usize) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    collect("", item, 1, depth, &mut fields);
    fields
}

fn collect(prefix: &str, item: &Value, level: usize, depth: usize, fields: &mut Vec<(String, String)>) {
    for (key, value) in item.as_object().into_iter().flatten() {
        let column = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match value {
            // Of these the whole matters, not the parts.
            Value::Object(_) if matches!(key.as_str(), "definition" | "value") => {
                fields.push((column, value.to_string()));
            }
            Value::Object(_) if level < depth => collect(&column, value, level + 1, depth, fields),
            Value::Object(_) => {}
            Value::Array(items) => {
                let words: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
                fields.push((column, words.map_or_else(|| value.to_string(), |words| words.join(" "))));
            }
            Value::String(text) => fields.push((column, text.clone())),
            Value::Null => fields.push((column, String::new())),
            Value::Bool(true) => fields.push((column, "True".to_owned())),
            Value::Bool(false) => fields.push((column, "False".to_owned())),
            Value::Number(number) => fields.push((column, number.to_string())),
        }
    }
}

/// Every column that a row has.
fn all(rows: &[Vec<(String, String)>]) -> Vec<String> {
    let mut columns: Vec<String> = rows.iter().flatten().map(|(name, _)| name.clone()).collect();
    let place = |name: &String| FIRST.iter().position(|first| first == name).unwrap_or(FIRST.len());
    columns.sort_by(|one, other| (place(one), one).cmp(&(place(other), other)));
    columns.dedup();
    columns
}

fn ascii(columns: &[String], table: &[Vec<String>]) -> String {
    let width = |at: usize| {
        let cells = table.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count());
        cells.chain(columns.get(at).map(|name| name.chars().count())).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let bar: String = widths.iter().map(|width| format!("{}+", "-".repeat(width + 2))).collect();
    let line = |cells: &[String], is_head: bool| {
        let cells = cells.iter().zip(&widths).map(|(cell, width)| {
            let width = *width;
            if is_head { format!(" {cell:^width$} |") } else { format!(" {cell:width$} |") }
        });
        format!("|{}", cells.collect::<String>())
    };
    let rows: Vec<String> = table.iter().map(|row| line(row, false)).collect();
    format!("+{bar}\n{}\n+{bar}\n{}\n+{bar}", line(columns, true), rows.join("\n"))
}

fn long(columns: &[String], table: &[Vec<String>]) -> String {
    let rule = format!("\n{}\n", "-".repeat(80));
    let width = columns.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let mut text = rule.clone();
    for row in table {
        for (name, cell) in columns.iter().zip(row) {
            text.push_str(&format!("\n{name:>width$}: {cell}"));
        }
        text.push('\n');
        text.push_str(&rule);
    }
    text
}

fn key_values(columns: &[String], table: &[Vec<String>]) -> String {
    let line = |row: &Vec<String>| {
        let pairs = columns.iter().zip(row).map(|(name, cell)| format!("{name}=\"{cell}\""));
        pairs.collect::<Vec<_>>().join(" ")
    };
    table.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn tsv(columns: &[String], table: &[Vec<String>], has_head: bool) -> String {
    let head = has_head.then(|| columns.join("\t"));
    head.into_iter().chain(table.iter().map(|row| row.join("\t"))).collect::<Vec<_>>().join("\n")
}

fn names(columns: &[String], table: &[Vec<String>]) -> String {
    let Some(at) = columns.iter().position(|name| name == "name") else { return String::new() };
    table.iter().filter_map(|row| row.get(at)).cloned().collect::<Vec<_>>().join(" ")
}
