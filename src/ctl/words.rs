//! The command line of RabbitMQ's tools: options anywhere, in several spellings.

use std::collections::BTreeMap;

/// An option.
#[derive(Debug, Clone, Copy)]
pub struct Switch {
    pub name: &'static str,
    pub short: Option<char>,
    /// Whether a value follows.
    pub valued: bool,
}

/// An option that is there or not.
pub const fn flag(name: &'static str) -> Switch {
    Switch { name, short: None, valued: false }
}

/// An option with a value.
pub const fn valued(name: &'static str) -> Switch {
    Switch { name, short: None, valued: true }
}

impl Switch {
    pub const fn short(self, letter: char) -> Switch {
        Switch { short: Some(letter), ..self }
    }
}

/// Options of every command.
pub const EVERYWHERE: &[Switch] = &[
    valued("node").short('n'),
    flag("quiet").short('q'),
    flag("silent").short('s'),
    valued("timeout").short('t'),
    flag("longnames").short('l'),
    valued("vhost").short('p'),
    valued("formatter"),
    flag("table-headers"),
    flag("help").short('?'),
    valued("socket"),
    valued("data-dir"),
    valued("uri"),
    // These mean something to RabbitMQ's tools alone.
    valued("erlang-cookie"),
    valued("printer"),
    valued("script-name"),
    valued("rabbitmq-home"),
    valued("mnesia-dir"),
    valued("plugins-dir"),
    valued("enabled-plugins-file"),
    valued("aliases-file"),
    flag("dry-run"),
    flag("print-stacktrace"),
];

/// A command line in parts.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// The command and its arguments.
    pub plain: Vec<String>,
    /// By name; of a flag `true` or `false`.
    pub options: BTreeMap<&'static str, String>,
    /// Options that the command does not have.
    pub unknown: Vec<String>,
}

impl Words {
    /// Takes a command line apart. Unknown options are taken for flags.
    pub fn parse(words: &[String], switches: &[Switch]) -> Words {
        let mut parsed = Words::default();
        let mut rest = words.iter().peekable();
        while let Some(word) = rest.next() {
            if word == "--" {
                parsed.plain.extend(rest.cloned());
                return parsed;
            }
            if word == "-" || !word.starts_with('-') || is_number(word) {
                parsed.plain.push(word.clone());
                continue;
            }
            let (name, inline) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (word.as_str(), None),
            };
            let Some((switch, is_on)) = find(name, switches) else {
                parsed.unknown.push(name.to_owned());
                continue;
            };
            let value = match (switch.valued, inline) {
                (_, Some(value)) => value,
                (false, None) => is_on.to_string(),
                (true, None) => match rest.next() {
                    Some(value) => value.clone(),
                    None => {
                        parsed.unknown.push(name.to_owned());
                        continue;
                    }
                },
            };
            parsed.options.insert(switch.name, value);
        }
        parsed
    }

    /// The first word that is no option and no option's value.
    pub fn command(words: &[String]) -> Option<String> {
        Words::parse(words, EVERYWHERE).plain.into_iter().next()
    }

    pub fn option(&self, name: &str) -> Option<&str> {
        self.options.get(name).map(String::as_str)
    }

    pub fn has(&self, name: &str) -> bool {
        self.option(name) == Some("true")
    }
}

/// `-5` is an argument.
fn is_number(word: &str) -> bool {
    word.len() > 1 && word.trim_start_matches('-').chars().all(|letter| letter.is_ascii_digit())
}

/// The option of this spelling, and whether it is meant as such or as its opposite, `--no-x`.
fn find<'a>(spelling: &str, switches: &'a [Switch]) -> Option<(&'a Switch, bool)> {
    if let Some(long) = spelling.strip_prefix("--") {
        let long = long.replace('_', "-");
        let named = |name: &str| switches.iter().find(|switch| switch.name == name);
        return named(&long).map(|switch| (switch, true)).or_else(|| {
            let switch = named(long.strip_prefix("no-")?)?;
            (!switch.valued).then_some((switch, false))
        });
    }
    let mut letters = spelling.strip_prefix('-')?.chars();
    let (letter, more) = (letters.next()?, letters.next());
    if more.is_some() {
        return None;
    }
    // A command's own letter comes before one that all have.
    let found = switches.iter().rev().find(|switch| switch.short == Some(letter));
    found.or_else(|| switches.iter().find(|switch| switch.name == "help" && letter == 'h')).map(|s| (s, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Words {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        Words::parse(&words, EVERYWHERE)
    }

    #[test]
    fn options_are_found_wherever_they_are() {
        let words = parse("-q list_queues -p v name --no-table-headers messages --formatter=json -5");
        assert_eq!(words.plain, ["list_queues", "name", "messages", "-5"]);
        assert!(words.has("quiet"));
        assert_eq!(words.option("vhost"), Some("v"));
        assert_eq!(words.option("table-headers"), Some("false"));
        assert_eq!(words.option("formatter"), Some("json"));
        assert_eq!(words.unknown, Vec::<String>::new());
    }

    #[test]
    fn what_is_unknown_or_has_no_value_is_told() {
        assert_eq!(parse("x --bogus -Z").unknown, ["--bogus", "-Z"]);
        assert_eq!(parse("x --vhost").unknown, ["--vhost"]);
    }

    #[test]
    fn behind_two_dashes_all_are_arguments() {
        assert_eq!(parse("add_user u -- -secret").plain, ["add_user", "u", "-secret"]);
        let words: Vec<String> = ["-n", "rabbit@x", "status"].map(str::to_owned).to_vec();
        assert_eq!(Words::command(&words), Some("status".to_owned()));
    }
}
