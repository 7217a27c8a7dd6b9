//! JSON values as RabbitMQ prints them in refusals: Erlang terms.

use amq_protocol::types::AMQPValue;
use serde_json::Value;

use crate::broker::arguments::term_text;

/// A value as a term: `5`, `<<"text">>`, `[1,2]`, `#{<<"key">> => 1}`.
pub fn json_term(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() => term_text(&AMQPValue::Double(float)),
            _ => number.to_string(),
        },
        Value::String(text) => term_text(&AMQPValue::LongString(text.as_str().into())),
        Value::Array(items) => format!("[{}]", list(items.iter().map(json_term))),
        Value::Object(fields) => {
            let field =
                |(name, value): (&String, &Value)| format!("{} => {}", text_term(name), json_term(value));
            format!("#{{{}}}", list(fields.iter().map(field)))
        }
    }
}

/// Fields as a list of pairs.
pub fn pairs_term<'a>(fields: impl Iterator<Item = (&'a String, &'a Value)>) -> String {
    let pair = |(name, value): (&String, &Value)| format!("{{{},{}}}", text_term(name), json_term(value));
    format!("[{}]", list(fields.map(pair)))
}

fn text_term(text: &str) -> String {
    term_text(&AMQPValue::LongString(text.into()))
}

fn list(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_print_as_terms() {
        for (value, term) in [
            (json!(-5), "-5"),
            (json!(1.5), "1.5"),
            (json!("a\"b"), "<<\"a\\\"b\">>"),
            (json!([1, "b", null, true]), "[1,<<\"b\">>,null,true]"),
            (json!({ "a": 1 }), "#{<<\"a\">> => 1}"),
        ] {
            assert_eq!(json_term(&value), term);
        }
        let fields = json!({ "bogus": 1, "more": "x" });
        assert_eq!(
            pairs_term(fields.as_object().unwrap().iter()),
            "[{<<\"bogus\">>,1},{<<\"more\">>,<<\"x\">>}]"
        );
    }
}
