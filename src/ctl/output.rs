//! What commands print, in the formats of RabbitMQ's tools.

use serde_json::{Map, Value};

/// What a command has to say.
#[derive(Debug)]
pub enum Output {
    Nothing,
    /// A text for people, and the same for programs.
    Said {
        text: String,
        json: Value,
    },
    /// A list. The values of each row are those of the columns.
    Rows {
        columns: Vec<String>,
        rows: Vec<Vec<Value>>,
    },
    /// Octets for standard output, in whatever format.
    Raw(Vec<u8>),
}

impl Output {
    /// A sentence.
    pub fn text(text: impl Into<String>) -> Output {
        let text = text.into();
        let json = Value::from(text.clone());
        Output::Said { text, json }
    }
}

/// How it is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Table,
    PrettyTable,
    Json,
    Csv,
    Erlang,
}

impl Format {
    pub fn named(name: &str) -> Option<Format> {
        Some(match name {
            "table" | "string" | "report" | "plugins" | "string_per_line" | "inspect" => Format::Table,
            "pretty_table" => Format::PrettyTable,
            "json" | "json_stream" => Format::Json,
            "csv" => Format::Csv,
            "erlang" => Format::Erlang,
            _ => return None,
        })
    }

    /// Whether a program will read it, which banners would confuse.
    pub fn is_for_programs(self) -> bool {
        matches!(self, Format::Json | Format::Csv)
    }
}

/// The text to be printed, with its last line feed.
pub fn render(output: &Output, format: Format, has_headers: bool) -> Vec<u8> {
    let text = match (output, format) {
        (Output::Nothing, _) => String::new(),
        (Output::Raw(octets), _) => return octets.clone(),
        (Output::Said { json, .. }, Format::Json) => format!("{json}\n"),
        (Output::Said { json, .. }, Format::Erlang) => format!("{}\n", erlang(json)),
        (Output::Said { text, .. }, _) => format!("{text}\n"),
        (Output::Rows { columns, rows }, Format::Json) => json(columns, rows),
        (Output::Rows { columns, rows }, Format::Erlang) => {
            let rows: Vec<Value> = rows.iter().map(|row| object(columns, row)).collect();
            format!("{}\n", erlang(&Value::from(rows)))
        }
        (Output::Rows { columns, rows }, Format::Csv) => csv(columns, rows, has_headers),
        (Output::Rows { columns, rows }, Format::Table) => table(columns, rows, has_headers),
        (Output::Rows { columns, rows }, Format::PrettyTable) => boxes(columns, rows),
    };
    text.into_bytes()
}

fn object(columns: &[String], row: &[Value]) -> Value {
    let fields: Map<String, Value> = columns.iter().cloned().zip(row.iter().cloned()).collect();
    Value::Object(fields)
}

/// An object a line, so that long lists can be read as they come.
fn json(columns: &[String], rows: &[Vec<Value>]) -> String {
    let rows: Vec<String> = rows
        .iter()
        .map(|row| {
            let fields: Vec<String> = columns
                .iter()
                .zip(row)
                .map(|(name, value)| format!("{}:{value}", Value::from(name.as_str())))
                .collect();
            format!("{{{}}}", fields.join(","))
        })
        .collect();
    format!("[\n{}\n]\n", rows.join("\n,"))
}

fn table(columns: &[String], rows: &[Vec<Value>], has_headers: bool) -> String {
    let mut text = String::new();
    if has_headers && !rows.is_empty() {
        text.push_str(&columns.join("\t"));
        text.push('\n');
    }
    for row in rows {
        let cells: Vec<String> = row.iter().map(|value| escaped(&cell(value))).collect();
        text.push_str(&cells.join("\t"));
        text.push('\n');
    }
    text
}

/// What would make two cells or two rows of one.
fn escaped(text: &str) -> String {
    text.replace('\t', "\\t").replace('\n', "\\n").replace('\r', "\\r")
}

fn csv(columns: &[String], rows: &[Vec<Value>], has_headers: bool) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let mut text = String::new();
    if has_headers && !rows.is_empty() {
        text.push_str(&columns.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(","));
        text.push('\n');
    }
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .map(|value| match value {
                Value::Number(number) => number.to_string(),
                other => quoted(&cell(other)),
            })
            .collect();
        text.push_str(&cells.join(","));
        text.push('\n');
    }
    text
}

fn boxes(columns: &[String], rows: &[Vec<Value>]) -> String {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|value| escaped(&cell(value))).collect()).collect();
    let widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(at, name)| {
            let cells = rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count());
            cells.chain([name.chars().count()]).max().unwrap_or(0)
        })
        .collect();
    let rule = |left: char, middle: &str, right: char| {
        let lines: Vec<String> = widths.iter().map(|width| "\u{2500}".repeat(width + 2)).collect();
        format!("{left}{}{right}\n", lines.join(middle))
    };
    let line = |cells: &[String]| {
        let padded: Vec<String> = cells
            .iter()
            .zip(&widths)
            .map(|(cell, width)| {
                format!(" {cell}{} ", " ".repeat(width.saturating_sub(cell.chars().count())))
            })
            .collect();
        format!("\u{2502}{}\u{2502}\n", padded.join("\u{2502}"))
    };
    let between = rule('\u{251c}', "\u{253c}", '\u{2524}');
    let rows: Vec<String> = rows.iter().map(|row| line(row)).collect();
    format!(
        "{}{}{between}{}{}",
        rule('\u{250c}', "\u{252c}", '\u{2510}'),
        line(columns),
        rows.join(&between),
        rule('\u{2514}', "\u{2534}", '\u{2518}')
    )
}

/// A value in a cell.
pub fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        // Tags, mostly.
        Value::Array(items) => format!("[{}]", items.iter().map(cell).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) => {
            let pairs: Vec<String> =
                fields.iter().map(|(name, value)| format!("{{\"{name}\",{}}}", term(value))).collect();
            format!("[{}]", pairs.join(","))
        }
        other => other.to_string(),
    }
}

/// A value inside of another one, as Erlang writes them.
fn term(value: &Value) -> String {
    match value {
        Value::String(text) => format!("\"{text}\""),
        Value::Array(items) => format!("[{}]", items.iter().map(term).collect::<Vec<_>>().join(",")),
        other => cell(other),
    }
}

/// A value as an Erlang term that can be read back.
fn erlang(value: &Value) -> String {
    match value {
        Value::Null => "undefined".to_owned(),
        Value::String(text) => format!("<<{}>>", Value::from(text.as_str())),
        Value::Array(items) => format!("[{}]", items.iter().map(erlang).collect::<Vec<_>>().join(",")),
        Value::Object(fields) => {
            let pairs: Vec<String> =
                fields.iter().map(|(name, value)| format!("{{{},{}}}", atom(name), erlang(value))).collect();
            format!("[{}]", pairs.join(","))
        }
        other => other.to_string(),
    }
}

/// A name as an Erlang atom.
fn atom(name: &str) -> String {
    let is_plain = name.starts_with(|letter: char| letter.is_ascii_lowercase())
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_' || letter == '@');
    if is_plain { name.to_owned() } else { format!("'{}'", name.replace('\\', "\\\\").replace('\'', "\\'")) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn users() -> Output {
        Output::Rows {
            columns: ["user", "tags"].map(str::to_owned).to_vec(),
            rows: vec![vec![json!("guest"), json!(["administrator"])], vec![json!("a\tb"), json!([])]],
        }
    }

    fn rendered(format: Format) -> String {
        String::from_utf8(render(&users(), format, true)).unwrap()
    }

    #[test]
    fn one_list_in_every_format() {
        assert_eq!(rendered(Format::Table), "user\ttags\nguest\t[administrator]\na\\tb\t[]\n");
        assert_eq!(
            rendered(Format::Json),
            "[\n{\"user\":\"guest\",\"tags\":[\"administrator\"]}\n,{\"user\":\"a\\tb\",\"tags\":[]}\n]\n"
        );
        assert_eq!(
            rendered(Format::Csv),
            "\"user\",\"tags\"\n\"guest\",\"[administrator]\"\n\"a\tb\",\"[]\"\n"
        );
        assert_eq!(
            rendered(Format::Erlang),
            "[[{tags,[<<\"administrator\">>]},{user,<<\"guest\">>}],[{tags,[]},{user,<<\"a\\tb\">>}]]\n"
        );
        assert_eq!(
            rendered(Format::PrettyTable),
            "┌───────┬─────────────────┐\n│ user  │ tags            │\n├───────┼─────────────────┤\n\
             │ guest │ [administrator] │\n├───────┼─────────────────┤\n│ a\\tb  │ []              │\n\
             └───────┴─────────────────┘\n"
        );
    }

    #[test]
    fn an_empty_list_has_no_headers_and_is_still_json() {
        let empty = Output::Rows { columns: vec!["name".to_owned()], rows: Vec::new() };
        assert_eq!(render(&empty, Format::Table, true), b"");
        assert_eq!(render(&empty, Format::Json, true), b"[\n\n]\n");
    }

    #[test]
    fn arguments_are_written_as_erlang_does() {
        assert_eq!(
            cell(&json!({ "x-max-length": 5, "x-queue-type": "quorum" })),
            "[{\"x-max-length\",5},{\"x-queue-type\",\"quorum\"}]"
        );
    }
}
