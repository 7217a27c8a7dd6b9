//! Cases and the lines they are made of.
//!
//! A line is `[connection][channel][!]> verb ...` (we send), `...< event` (the next event) or
//! `...<~ event` (these events, in any order). Connection `a` and channel 1 are the defaults; both
//! are opened when first sent to, unless the line has `!` or the connection was dialled by hand.
//! `%name` stands for a name that is unique to the case; `#` starts a comment.

/// One wire exchange.
pub struct Case {
    /// The lines of the behaviour reference it proves, separated by spaces.
    pub ids: String,
    pub title: String,
    pub script: String,
    /// Wants the broker with a short handshake timeout, where one can be had.
    pub brisk: bool,
    /// Waits for seconds, so it starts first.
    pub slow: bool,
    /// Sets an alarm, so it gets a broker of its own and is not played against brokers of others.
    pub alarmed: bool,
}

/// A case with the usual settings.
pub fn case(ids: &str, title: &str, script: &str) -> Case {
    Case {
        ids: ids.to_owned(),
        title: title.to_owned(),
        script: script.to_owned(),
        brisk: false,
        slow: false,
        alarmed: false,
    }
}

impl Case {
    pub fn brisk(mut self) -> Case {
        self.brisk = true;
        self.slow()
    }

    pub fn slow(mut self) -> Case {
        self.slow = true;
        self
    }

    pub fn alarmed(mut self) -> Case {
        self.alarmed = true;
        self
    }

    /// Whether it proves that line of the reference.
    pub fn proves(&self, id: &str) -> bool {
        self.ids.split(' ').any(|proved| proved == id)
    }

    /// Whether it asks over HTTP.
    pub fn manages(&self) -> bool {
        self.script.contains("> http ") || self.script.contains("> retry http ")
    }

    pub fn name(&self) -> String {
        format!("{}: {}", self.ids, self.title)
    }
}

/// What a line asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Send,
    Expect,
    ExpectAnyOrder,
}

/// One parsed line.
#[derive(Debug, Clone)]
pub struct Line {
    pub connection: char,
    pub channel: u16,
    /// Do not open the channel first.
    pub bare: bool,
    pub action: Action,
    pub text: String,
}

/// The lines of a script.
pub fn parse(script: &str) -> Vec<Line> {
    let lines = script.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(parse_line).collect()
}

fn parse_line(line: &str) -> Line {
    let at = line.find(['<', '>']).unwrap_or_else(|| panic!("script error: no arrow in {line:?}"));
    let (who, rest) = line.split_at(at);
    let (action, text) = match rest.split_at(1) {
        (">", text) => (Action::Send, text),
        (_, text) => match text.strip_prefix('~') {
            Some(text) => (Action::ExpectAnyOrder, text),
            None => (Action::Expect, text),
        },
    };
    let (who, bare) = match who.strip_suffix('!') {
        Some(who) => (who, true),
        None => (who, false),
    };
    let connection = who.chars().next().filter(char::is_ascii_lowercase);
    let channel = who.trim_start_matches(|c: char| c.is_ascii_lowercase());
    let channel = if channel.is_empty() { 1 } else { channel.parse().expect("script error: channel number") };
    Line { connection: connection.unwrap_or('a'), channel, bare, action, text: text.trim().to_owned() }
}

/// Whether `text` fits `pattern`, in which `…` stands for anything.
pub fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('…');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}
