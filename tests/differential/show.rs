//! Turns what a broker says into one line, the same for every broker and run.

use std::collections::BTreeMap;

use crate::{
    common::Address,
    wire::{Content, End, Event, Method, codec::Field, text::printable},
};

/// Names that differ from run to run, and what stands for them in a script.
pub struct Names {
    prefix: String,
    /// Generated names by their stand-in: `gen`, `gen2`, `ctag`, `reply` and so on.
    generated: BTreeMap<String, String>,
    vhost: String,
    user: String,
}

impl Names {
    pub fn new(prefix: String, address: &Address) -> Names {
        let (vhost, user) = (address.vhost.clone(), address.user.clone());
        Names { prefix, generated: BTreeMap::new(), vhost, user }
    }

    /// Replaces each `%name` of a script line by the real name.
    pub fn expand(&self, text: &str) -> String {
        let mut parts = text.split('%');
        let mut out = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let end = part.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(part.len());
            let (name, rest) = part.split_at(end);
            match self.generated.get(name) {
                Some(generated) => out.push_str(generated),
                None => out.push_str(&format!("{}{name}", self.prefix)),
            }
            out.push_str(rest);
        }
        out
    }

    /// The way back: real names become `%name`, the vhost `/`, the user `guest`.
    pub fn normalise(&self, line: &str) -> String {
        let mut out = line.to_owned();
        for (stand_in, generated) in &self.generated {
            out = out.replace(generated.as_str(), &format!("%{stand_in}"));
        }
        out.replace(&self.prefix, "%")
            .replace(&format!("vhost '{}'", self.vhost), "vhost '/'")
            .replace(&format!("user was '{}'", self.user), "user was 'guest'")
    }

    /// Takes note of names the broker made up, if they have the form such names have.
    pub fn learn(&mut self, method: &Method, content: Option<&Content>) {
        match method.name {
            "queue.declare-ok" => self.learn_random("gen", "amq.gen-", &method.text("queue")),
            "basic.consume-ok" => self.learn_random("ctag", "amq.ctag-", &method.text("tag")),
            _ => {}
        }
        let reply_to = content.and_then(|c| c.properties.iter().find(|(name, _)| *name == "reply-to"));
        if let Some((_, Field::Text(name))) = reply_to {
            let opaque = name.strip_prefix(b"amq.rabbitmq.reply-to.");
            if opaque.is_some_and(|opaque| opaque.len() >= 16) {
                self.add("reply", &printable(name));
            }
        }
    }

    fn learn_random(&mut self, stand_in: &str, prefix: &str, name: &[u8]) {
        let Some(random) = name.strip_prefix(prefix.as_bytes()) else { return };
        if random.len() == 22 && random.iter().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(b)) {
            self.add(stand_in, &printable(name));
        }
    }

    fn add(&mut self, stand_in: &str, name: &str) {
        if self.generated.values().any(|known| known == name) {
            return;
        }
        let taken = self.generated.keys().filter(|key| key.starts_with(stand_in)).count();
        let key = if taken == 0 { stand_in.to_owned() } else { format!("{stand_in}{}", taken + 1) };
        self.generated.insert(key, name.to_owned());
    }

    /// The generated queue names, for the clean-up.
    pub fn generated_queues(&self) -> impl Iterator<Item = &String> {
        self.generated.iter().filter(|(key, _)| key.starts_with("gen")).map(|(_, name)| name)
    }
}

/// The line for an event that was expected on `channel`.
pub fn event(event: &Event, channel: u16) -> String {
    match event {
        Event::Heartbeat => "heartbeat".to_owned(),
        Event::Header(octets) => {
            let version: Vec<String> = octets[4..].iter().map(u8::to_string).collect();
            format!("header {} {}", printable(&octets[..4]), version.join(" "))
        }
        Event::Malformed(why) => format!("malformed: {why}"),
        Event::End(End::Closed) => "eof".to_owned(),
        Event::End(End::Timeout) => "nothing in time".to_owned(),
        Event::Method(came_on, method, content) => {
            let line = method_line(method, content.as_ref());
            if *came_on == channel || *came_on == 0 { line } else { format!("ch{came_on} {line}") }
        }
    }
}

fn method_line(method: &Method, content: Option<&Content>) -> String {
    let content = content.map(Content::shown).unwrap_or_default();
    let text = |argument: &str| printable(&method.text(argument));
    let number = |argument: &str| method.number(argument);
    let bit = |argument: &str| method.number(argument) == 1;
    match method.name {
        "channel.close" | "connection.close" => format!(
            "{} {} \"{}\" ({},{})",
            if method.name == "channel.close" { "chan" } else { "conn" },
            number("code"),
            text("text"),
            number("class"),
            number("method"),
        ),
        "basic.return" => format!(
            "return {} \"{}\" ex={} rk={}{content}",
            number("code"),
            text("text"),
            text("exchange"),
            text("key")
        ),
        "basic.deliver" => format!(
            "deliver {} tag={} redelivered={} ex={} rk={}{content}",
            text("ctag"),
            number("tag"),
            bit("redelivered"),
            text("exchange"),
            text("key")
        ),
        "basic.get-ok" => format!(
            "get-ok tag={} redelivered={} ex={} rk={} left={}{content}",
            number("tag"),
            bit("redelivered"),
            text("exchange"),
            text("key"),
            number("messages")
        ),
        "basic.get-empty" => "get-empty".to_owned(),
        _ => method.shown(),
    }
}
