//! Messages and records as names and values: one line of text, or one JSON object.

use serde_json::{Map, Value, json};

use super::{Names, safe};
use crate::{
    amqp::{
        properties::{self, Properties},
        table::{ArrayRef, FieldRef, TABLE_DEPTH_MAX, TableRef, check_table},
    },
    broker::queue::returns,
    store::{
        BindingDefinition, Definition, PageRecord, ParameterKey, Place, QueueId, Record, Setting, TopicKey,
        View,
    },
};

/// What is said of one thing, in this order.
pub type Fields = Vec<(&'static str, Value)>;

/// One JSON object.
pub fn object(fields: Fields) -> String {
    let map: Map<String, Value> = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Value::Object(map).to_string()
}

/// `name=value name=value`; the values are JSON, with what would disturb a terminal escaped.
pub fn text(fields: Fields) -> String {
    let pairs = fields.into_iter().map(|(name, value)| format!("{name}={}", safe(&value.to_string())));
    pairs.collect::<Vec<_>>().join(" ")
}

/// Octets as text where they are text, else in hexadecimal digits.
fn octets(octets: &[u8]) -> Value {
    match std::str::from_utf8(octets) {
        Ok(text) if !text.chars().any(|one| one.is_control() && !one.is_whitespace()) => json!(text),
        _ => json!({ "hex": hex(octets) }),
    }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// The first octets of a body, not cut inside of a character.
fn beginning(body: &[u8], length_max: usize) -> &[u8] {
    let cut = body.get(..length_max.min(body.len())).unwrap_or_default();
    match std::str::from_utf8(cut) {
        Err(error) if error.error_len().is_none() && cut.len() < body.len() => {
            cut.get(..error.valid_up_to()).unwrap_or_default()
        }
        _ => cut,
    }
}

/// A message without its places.
pub fn message(view: &View<'_>, body_max: usize) -> Fields {
    let mut fields = vec![
        ("exchange", octets(view.exchange)),
        ("routing_key", octets(view.routing_key)),
        ("persistent", json!(view.persistent)),
        ("priority", json!(view.priority)),
    ];
    if let Some(expiration) = view.expiration {
        fields.push(("expiration", json!(expiration)));
    }
    fields.push(("properties", list(view.properties)));
    fields.push(("octets", json!(view.body.len())));
    let shown = beginning(view.body, body_max);
    fields.push(("body", octets(shown)));
    if shown.len() < view.body.len() {
        fields.push(("more", json!(view.body.len() - shown.len())));
    }
    fields
}

fn list(list: &[u8]) -> Value {
    if Properties::scan(list, TABLE_DEPTH_MAX).is_err() {
        return json!({ "hex": hex(list) });
    }
    let values = properties::list(list).into_iter().map(|(name, value)| {
        let value = match value {
            properties::Value::Short(text) => octets(text),
            properties::Value::Table(table) => table_value(table),
            properties::Value::Octet(number) => json!(number),
            properties::Value::Time(seconds) => json!(seconds),
        };
        (name.to_owned(), value)
    });
    Value::Object(values.collect())
}

/// The arguments of a definition.
fn arguments(body: &[u8]) -> Value {
    match check_table(body, TABLE_DEPTH_MAX) {
        Ok(()) => table_value(TableRef::new(body)),
        Err(_) => json!({ "hex": hex(body) }),
    }
}

/// A checked table; its depth is bounded.
fn table_value(table: TableRef<'_>) -> Value {
    let fields = table.iter().map(|(name, value)| (String::from_utf8_lossy(name).into_owned(), field(value)));
    Value::Object(fields.collect())
}

fn array_value(array: ArrayRef<'_>) -> Value {
    Value::Array(array.iter().map(field).collect())
}

fn field(value: FieldRef<'_>) -> Value {
    match value {
        FieldRef::Bool(value) => json!(value),
        FieldRef::I8(value) => json!(value),
        FieldRef::U8(value) => json!(value),
        FieldRef::I16(value) => json!(value),
        FieldRef::U16(value) => json!(value),
        FieldRef::I32(value) => json!(value),
        FieldRef::U32(value) => json!(value),
        FieldRef::I64(value) => json!(value),
        FieldRef::F32(value) => json!(value),
        FieldRef::F64(value) => json!(value),
        FieldRef::Decimal { scale, value } => json!({ "decimal": value, "scale": scale }),
        FieldRef::LongStr(text) | FieldRef::Bytes(text) => octets(text),
        FieldRef::Array(array) => array_value(array),
        FieldRef::Timestamp(seconds) => json!({ "timestamp": seconds }),
        FieldRef::Table(table) => table_value(table),
        FieldRef::Void => Value::Null,
    }
}

/// A record: what kind it is, and what it says.
pub fn record(record: &Record<'_>, names: &Names, body_max: usize) -> (&'static str, Fields) {
    match record {
        Record::Message { places, contents } => {
            let places = places.iter().map(|place| place_value(place, names)).collect();
            let mut fields = vec![("places", Value::Array(places))];
            match View::decode(&mut crate::store::Reader::new(contents)) {
                Ok(view) => fields.extend(message(&view, body_max)),
                Err(error) => fields.push(("error", json!(error.to_string()))),
            }
            ("message", fields)
        }
        Record::Settled { queue, runs } => ("settled", runs_of(*queue, runs, names)),
        Record::Returned { queue, runs, how } => {
            (if *how == returns::FAILED { "returned" } else { "given back" }, runs_of(*queue, runs, names))
        }
        Record::Definition(definition) => self::definition(definition),
        Record::Page(page) => ("page", page_fields(page, names)),
        Record::Trimmed { before } => ("trimmed", vec![("before", json!(format!("{before:016x}")))]),
        Record::CleanStop => ("clean-stop", Vec::new()),
        Record::Accepted { before } => ("accepted", vec![("before", json!(format!("{before:016x}")))]),
    }
}

fn queue_value(id: QueueId, names: &Names) -> Value {
    match names.get(id) {
        Some((vhost, name)) => json!({ "vhost": vhost, "name": name, "id": id }),
        None => json!({ "id": id }),
    }
}

fn place_value(place: &Place, names: &Names) -> Value {
    let deadline = (place.deadline != u64::MAX).then_some(place.deadline);
    json!({
        "queue": queue_value(place.queue, names),
        "sequence": place.sequence,
        "deadline": deadline,
        "returns": place.returns,
    })
}

/// Runs as first and last sequences.
fn ranges(runs: &[(u64, u64)]) -> Value {
    let runs = runs.iter().filter(|(_, length)| *length != 0);
    runs.map(|(first, length)| json!([first, first.saturating_add(length - 1)])).collect()
}

fn runs_of(queue: QueueId, runs: &[(u64, u64)], names: &Names) -> Fields {
    vec![("queue", queue_value(queue, names)), ("sequences", ranges(runs))]
}

pub fn page_fields(page: &PageRecord, names: &Names) -> Fields {
    vec![
        ("queue", queue_value(page.queue, names)),
        ("page", json!(page.page)),
        ("file", json!(page.file)),
        ("offset", json!(page.offset)),
        ("length", json!(page.length)),
        ("lane", json!(page.lane)),
        ("octets", json!(page.bytes)),
        ("deadline", json!((page.first_deadline != u64::MAX).then_some(page.first_deadline))),
        ("sequences", ranges(&page.live)),
    ]
}

fn definition(definition: &Definition) -> (&'static str, Fields) {
    let mut fields = vec![("vhost", json!(definition.vhost()))];
    let kind = match definition {
        Definition::Reset { .. } => "reset",
        Definition::DeclareExchange { exchange, .. } => {
            fields.extend([
                ("name", json!(exchange.name)),
                ("type", json!(exchange.kind)),
                ("auto_delete", json!(exchange.auto_delete)),
                ("internal", json!(exchange.internal)),
                ("arguments", arguments(&exchange.arguments)),
                ("delay_id", json!(exchange.delay)),
                ("cache_id", json!(exchange.cache)),
            ]);
            "declare-exchange"
        }
        Definition::DeleteExchange { name, .. } => {
            fields.push(("name", json!(name)));
            "delete-exchange"
        }
        Definition::DeclareQueue { queue, .. } => {
            fields.extend([
                ("name", json!(queue.name)),
                ("id", json!(queue.id)),
                ("auto_delete", json!(queue.auto_delete)),
                ("arguments", arguments(&queue.arguments)),
                ("identities_id", json!(queue.identities)),
            ]);
            "declare-queue"
        }
        Definition::DeleteQueue { name, id, .. } => {
            fields.extend([("name", json!(name)), ("id", json!(id))]);
            "delete-queue"
        }
        Definition::DeleteKept { id, .. } => {
            fields.push(("id", json!(id)));
            "delete-kept"
        }
        Definition::Bind { binding, .. } => {
            fields.extend(binding_fields(binding));
            "bind"
        }
        Definition::Unbind { binding, .. } => {
            fields.extend(binding_fields(binding));
            "unbind"
        }
        Definition::PutUser(user) => {
            // Not its hash, which is for nobody to see.
            fields.extend([("name", json!(user.name)), ("tags", json!(user.tags))]);
            "put-user"
        }
        Definition::DeleteUser { name } => {
            fields.push(("name", json!(name)));
            "delete-user"
        }
        Definition::PutVhost(vhost) => {
            fields.extend([("name", json!(vhost.name)), ("description", json!(vhost.description))]);
            "put-vhost"
        }
        Definition::DeleteVhost { name } => {
            fields.push(("name", json!(name)));
            "delete-vhost"
        }
        Definition::PutPermission(row) => {
            fields.extend([
                ("of", json!(row.vhost)),
                ("user", json!(row.user)),
                ("configure", json!(row.configure)),
                ("write", json!(row.write)),
                ("read", json!(row.read)),
            ]);
            "put-permission"
        }
        Definition::ClearPermission { vhost, user } => {
            fields.extend([("of", json!(vhost)), ("user", json!(user))]);
            "clear-permission"
        }
        Definition::Set(setting) => {
            let (kind, texts) = setting_fields(setting);
            fields.extend(texts);
            kind
        }
    };
    (kind, fields)
}

fn setting_fields(setting: &Setting) -> (&'static str, Fields) {
    let parameter = |key: &ParameterKey| {
        vec![("of", json!(key.vhost)), ("component", json!(key.component)), ("name", json!(key.name))]
    };
    let topic = |key: &TopicKey| {
        vec![("of", json!(key.vhost)), ("user", json!(key.user)), ("exchange", json!(key.exchange))]
    };
    match setting {
        Setting::PutParameter { key, value } => {
            let mut fields = parameter(key);
            fields.push(("value", json!(value)));
            ("put-parameter", fields)
        }
        Setting::ClearParameter { key } => ("clear-parameter", parameter(key)),
        Setting::PutTopicPermission { key, write, read } => {
            let mut fields = topic(key);
            fields.extend([("write", json!(write)), ("read", json!(read))]);
            ("put-topic-permission", fields)
        }
        Setting::ClearTopicPermission { key } => ("clear-topic-permission", topic(key)),
        Setting::DefaultQueueType { vhost, queue_type } => {
            ("default-queue-type", vec![("of", json!(vhost)), ("queue_type", json!(queue_type))])
        }
    }
}

fn binding_fields(binding: &BindingDefinition) -> Fields {
    vec![
        ("source", json!(binding.source)),
        ("destination", json!(binding.destination)),
        ("to", json!(if binding.to_queue { "queue" } else { "exchange" })),
        ("routing_key", json!(binding.routing_key)),
        ("arguments", arguments(&binding.arguments)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_cut_between_characters_and_shown_as_what_they_are() {
        assert_eq!(beginning("h\u{e4}se".as_bytes(), 2), b"h");
        assert_eq!(beginning("h\u{e4}se".as_bytes(), 3), "h\u{e4}".as_bytes());
        assert_eq!(beginning(b"\xff\xfe\xfd", 2), b"\xff\xfe", "what is no text is cut anywhere");
        assert_eq!(beginning(b"ab", 10), b"ab");
        assert_eq!(octets(b"a\tb"), json!("a\tb"));
        assert_eq!(octets(b"a\x1b[2J"), json!({ "hex": "611b5b324a" }));
        assert_eq!(octets(&[0xff]), json!({ "hex": "ff" }));
    }

    #[test]
    fn a_line_cannot_disturb_a_terminal() {
        let fields = vec![("name", json!("a\n\u{1b}[2J\u{202e}b\u{7f}")), ("n", json!(1))];
        let line = text(fields.clone());
        assert_eq!(line, r#"name="a\n\u001b[2J\u{202e}b\u{7f}" n=1"#);
        assert_eq!(
            serde_json::from_str::<Value>(&object(fields)).unwrap()["name"],
            "a\n\u{1b}[2J\u{202e}b\u{7f}"
        );
    }
}
