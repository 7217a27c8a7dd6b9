//! The command line of `rabbitmqadmin` in parts.

use std::collections::BTreeMap;

use super::{misuse, table};
use crate::ctl::failure::Result;

/// Options of the program: the name, its letter, whether a value follows.
const OPTIONS: &[(&str, char, bool)] = &[
    ("config", 'c', true),
    ("node", 'N', true),
    ("host", 'H', true),
    ("port", 'P', true),
    ("path_prefix", '\0', true),
    ("vhost", 'V', true),
    ("username", 'u', true),
    ("password", 'p', true),
    ("base_uri", 'U', true),
    ("quiet", 'q', false),
    ("ssl", 's', false),
    ("ssl_key_file", '\0', true),
    ("ssl_cert_file", '\0', true),
    ("ssl_ca_cert_file", '\0', true),
    ("ssl_disable_hostname_verification", '\0', false),
    ("ssl_insecure", 'k', false),
    ("request_timeout", 't', true),
    ("timeout", '\0', true),
    ("format", 'f', true),
    ("sort", 'S', true),
    ("sort_reverse", 'R', false),
    ("depth", 'd', true),
    ("table_style", '\0', true),
    ("non_interactive", '\0', false),
    ("version", '\0', false),
    ("help", 'h', false),
    ("yes", 'y', false),
];

/// What options of the second version are called in the first.
const SYNONYMS: &[(&str, &str)] = &[
    ("hostname", "host"),
    ("tls", "ssl"),
    ("use_tls", "ssl"),
    ("tls_ca_cert_file", "ssl_ca_cert_file"),
    ("tls_cert_file", "ssl_cert_file"),
    ("tls_key_file", "ssl_key_file"),
    ("insecure", "ssl_insecure"),
];

fn usual_name(name: &str) -> &str {
    SYNONYMS.iter().find(|(other, _)| *other == name).map_or(name, |(_, usual)| usual)
}

/// A command line.
#[derive(Debug, Default)]
pub struct Line {
    pub verb: String,
    /// As it was given, since answers repeat it.
    pub noun: String,
    /// Named arguments of the command, by names with underscores.
    pub named: BTreeMap<String, String>,
    /// Further words.
    pub plain: Vec<String>,
    options: BTreeMap<&'static str, String>,
}

impl Line {
    pub fn parse(words: &[String]) -> Result<Line> {
        let mut line = Line::default();
        let mut rest = words.iter();
        while let Some(word) = rest.next() {
            if word == "-" || !word.starts_with('-') {
                line.word(word);
                continue;
            }
            let (name, inline) = match word.strip_prefix("--") {
                Some(long) => match long.split_once('=') {
                    Some((name, value)) => (name, Some(value.to_owned())),
                    None => (long, None),
                },
                None => (word.get(1..).unwrap_or_default(), None),
            };
            let is_long = word.starts_with("--");
            let name = name.replace('-', "_");
            // Behind the command, its own arguments come first: 'declare user --password' is the new user's.
            if is_long && line.takes(&name) {
                let value = inline.or_else(|| rest.next().cloned());
                line.named.insert(name, value.ok_or_else(|| misuse(&format!("{word} needs a value")))?);
                continue;
            }
            let letters: Vec<char> = name.chars().collect();
            let known = OPTIONS.iter().find(|(long, short, _)| match (is_long, letters.as_slice()) {
                (true, _) => *long == usual_name(&name),
                (false, [letter]) => short == letter,
                (false, _) => false,
            });
            match known {
                Some((long, _, true)) => {
                    let value = inline.or_else(|| rest.next().cloned());
                    line.options.insert(long, value.ok_or_else(|| misuse(&format!("{word} needs a value")))?);
                }
                Some((long, _, false)) => {
                    line.options.insert(long, "true".to_owned());
                }
                None if is_long && table::is_flag(&name) => {
                    line.named.insert(name, "true".to_owned());
                }
                None => return Err(misuse(&format!("no such option: {word}"))),
            }
        }
        Ok(line)
    }

    /// Verb and noun, in either order, then named arguments and whatever else there is.
    fn word(&mut self, word: &str) {
        if self.verb.is_empty() {
            self.verb = word.replace('-', "_");
            return;
        }
        if self.noun.is_empty() && self.plain.is_empty() && table::has_noun(&self.verb) && !word.contains('=')
        {
            self.noun = word.replace('-', "_");
            // 'queues declare' is 'declare queue'.
            if table::is_group(&self.verb) {
                std::mem::swap(&mut self.verb, &mut self.noun);
            }
            return;
        }
        match word.split_once('=') {
            Some((name, value)) if !table::is_list(&self.verb) => {
                self.named.insert(name.replace('-', "_"), value.to_owned());
            }
            _ => self.plain.push(word.to_owned()),
        }
    }

    fn takes(&self, name: &str) -> bool {
        table::find(self).is_some_and(|command| command.takes(name)) && !table::is_flag(name)
    }

    pub fn option(&self, name: &str) -> Option<&str> {
        self.options.get(name).map(String::as_str)
    }

    pub fn is_set(&self, name: &str) -> bool {
        self.option(name) == Some("true")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Line {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Line::parse(&words).unwrap()
    }

    #[test]
    fn both_syntaxes_come_to_the_same() {
        for line in [
            "-H there declare queue name=q queue_type=quorum durable=true",
            "--host there declare queue --name q --type quorum --durable true",
            "queues declare --name=q --type quorum --durable true --host there",
            "declare -H there queue --name q --type quorum --durable=true",
        ] {
            let parsed = parse(line);
            assert_eq!(
                (parsed.verb.as_str(), parsed.noun.as_str()),
                ("declare", if line.starts_with("queues") { "queues" } else { "queue" }),
                "{line}"
            );
            assert_eq!(parsed.named["name"], "q", "{line}");
            assert_eq!(parsed.named["durable"], "true", "{line}");
            assert_eq!(parsed.option("host"), Some("there"), "{line}");
        }
    }

    #[test]
    fn a_new_users_password_is_not_ours() {
        let line = parse("-u admin -p mine declare user --name alice --password hers --tags management");
        assert_eq!(line.option("password"), Some("mine"));
        assert_eq!(line.named["password"], "hers");
        let line = parse("list queues name messages -u admin --password mine");
        assert_eq!(line.option("password"), Some("mine"));
        assert_eq!(line.plain, ["name", "messages"]);
    }

    #[test]
    fn unknown_options_and_missing_values_are_refused() {
        for wrong in ["--bogus list queues", "list queues -f", "-x list queues"] {
            let words: Vec<String> = wrong.split(' ').map(str::to_owned).collect();
            assert!(Line::parse(&words).is_err(), "{wrong}");
        }
    }
}
