//! Regular expressions that operators write: matched in linear time, bounded when compiled.
//!
//! RabbitMQ's engine takes braces that quantify nothing for themselves, `^{a}`; so they are here.

use regex::{Regex, RegexBuilder};

/// Octets that a compiled pattern may take; far above what names need.
const SIZE_MAX: usize = 1 << 20;

/// Compiles a pattern; it is not anchored.
pub fn compile(text: &str) -> Result<Regex, regex::Error> {
    build(text).or_else(|error| {
        let literal = with_literal_braces(text);
        if literal == text { Err(error) } else { build(&literal) }
    })
}

fn build(text: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(text).size_limit(SIZE_MAX).build()
}

/// Escapes the braces that neither quantify nor belong to an escape.
fn with_literal_braces(text: &str) -> String {
    let mut literal = String::with_capacity(text.len() + 8);
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let length = match letter {
            '\\' => 1 + rest.chars().nth(1).map_or(0, char::len_utf8),
            '{' => quantifier_length(rest).unwrap_or(0),
            '}' => 0,
            other => other.len_utf8(),
        };
        let (kept, after) = if length == 0 {
            literal.push('\\');
            rest.split_at(1)
        } else {
            rest.split_at(length)
        };
        literal.push_str(kept);
        rest = after;
    }
    literal
}

/// The length of `{2}`, `{2,}` or `{2,3}` at the beginning, if it is there.
fn quantifier_length(text: &str) -> Option<usize> {
    let end = text.find('}')?;
    let (low, high) = text.get(1..end)?.split_once(',').unwrap_or((text.get(1..end)?, "0"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    (is_number(low) && (high.is_empty() || is_number(high))).then_some(end + 1)
}

/// What is wrong with a pattern and where, as a term and in RabbitMQ's words where it has them.
pub fn describe(text: &str, error: &regex::Error) -> String {
    let message = error.to_string();
    let (words, position) = if message.contains("unclosed group") {
        ("missing )", text.len())
    } else if message.contains("unclosed character class") {
        ("missing terminating ] for character class", text.len())
    } else if message.contains("unopened group") {
        ("unmatched parentheses", caret(&message).unwrap_or(0))
    } else if message.contains("repetition operator missing expression") {
        ("nothing to repeat", caret(&message).unwrap_or(0))
    } else {
        let last = message.lines().last().unwrap_or_default();
        (last.strip_prefix("error: ").unwrap_or(last), caret(&message).unwrap_or(0))
    };
    format!("{{\"{words}\",{position}}}")
}

/// Where the message points at: below the pattern, which it shows indented.
fn caret(message: &str) -> Option<usize> {
    const INDENT: usize = 4;
    let marks =
        message.lines().find(|line| !line.trim().is_empty() && line.trim_matches([' ', '^']).is_empty())?;
    marks.find('^')?.checked_sub(INDENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_that_quantify_nothing_stand_for_themselves() {
        assert!(compile("^{client_id}\\.x{2,3}$").unwrap().is_match("{client_id}.xx"));
        assert!(compile("^a{2}$").unwrap().is_match("aa"));
        assert!(compile("^\\{a}$").unwrap().is_match("{a}"));
        assert!(compile("a}{").unwrap().is_match("a}{"));
        assert!(compile("a{1000}{1000}{1000}").is_err(), "too large");
    }

    #[test]
    fn pol_06_errors_name_the_place() {
        for (text, term) in [
            ("(", "{\"missing )\",1}"),
            ("a(b", "{\"missing )\",3}"),
            ("ab[", "{\"missing terminating ] for character class\",3}"),
            ("a)", "{\"unmatched parentheses\",1}"),
            ("*a", "{\"nothing to repeat\",0}"),
            ("a|*", "{\"nothing to repeat\",2}"),
        ] {
            assert_eq!(describe(text, &compile(text).unwrap_err()), term, "{text}");
        }
    }
}
