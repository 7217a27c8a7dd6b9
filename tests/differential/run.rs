//! Plays one case against one broker.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use leveret::Broker;

use crate::{
    common::Address,
    http::Request,
    login::Login,
    script::{Action, Case, Line, fits, parse},
    send,
    show::{self, Names},
    wire::{Event, Method, Peer, codec::Field},
};

/// How long any single answer may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long a connection may take to be closed: RabbitMQ waits 30 s for a missing close-ok.
const PATIENCE_FOR_END: Duration = Duration::from_secs(45);

/// The first line that did not come out as written.
pub struct Mismatch {
    pub expected: String,
    pub got: String,
    /// The script up to there, as played.
    pub transcript: String,
}

/// Plays the case against a broker that others use too; cleans up what it declared if `clean` is set.
pub fn run(case: &Case, address: &Address, clean: bool) -> Result<(), Mismatch> {
    let mut run = Run::new(address, None);
    let result = run.play(&parse(&case.script));
    if clean {
        run.clean_up();
    }
    result
}

/// Plays the case against a broker of its own, whose alarm it may set.
pub fn run_alone(case: &Case, address: &Address, broker: &Broker) -> Result<(), Mismatch> {
    Run::new(address, Some(broker)).play(&parse(&case.script))
}

struct Run<'a> {
    address: &'a Address,
    /// The broker itself, for scripts that set its alarm.
    broker: Option<&'a Broker>,
    names: Names,
    connections: BTreeMap<char, Connection>,
    /// Delete requests for everything declared.
    declared: BTreeSet<String>,
    /// What the last request over HTTP was answered with, and what takes back what such requests made.
    answer: Option<String>,
    made: Vec<Request>,
    /// The request to repeat until its answer fits.
    retry: Option<Line>,
    transcript: String,
}

struct Connection {
    peer: Peer,
    /// Dialled by hand: nothing is opened for the script.
    manual: bool,
    /// Leave the broker's closes unanswered.
    hold: bool,
    opened: HashSet<u16>,
    /// Publishes already confirmed, by channel.
    confirmed: BTreeMap<u16, BTreeSet<u64>>,
}

impl<'a> Run<'a> {
    fn new(address: &'a Address, broker: Option<&'a Broker>) -> Run<'a> {
        let names = Names::new(unique_prefix(), address);
        let (connections, declared) = (BTreeMap::new(), BTreeSet::new());
        Run {
            address,
            broker,
            names,
            connections,
            declared,
            answer: None,
            made: Vec::new(),
            retry: None,
            transcript: String::new(),
        }
    }

    fn play(&mut self, lines: &[Line]) -> Result<(), Mismatch> {
        let mut at = 0;
        while let Some(line) = lines.get(at) {
            match line.action {
                Action::Send => self.send(line),
                Action::Expect => self.expect(line)?,
                Action::ExpectAnyOrder => {
                    let group = lines[at..].iter().take_while(|l| l.action == Action::ExpectAnyOrder);
                    let group: Vec<&Line> = group.collect();
                    self.expect_any_order(&group)?;
                    at += group.len() - 1;
                }
            }
            at += 1;
        }
        self.connections.values_mut().for_each(|connection| connection.peer.flush());
        Ok(())
    }

    fn send(&mut self, line: &Line) {
        self.note(line, '>', &line.text);
        let text = self.names.expand(&line.text);
        let (verb, rest) = text.split_once(' ').unwrap_or((&text, ""));
        match verb {
            "login" => self.login(line.connection, rest),
            "dial" => self.dial(line.connection),
            "hangup" => {
                if let Some(mut connection) = self.connections.remove(&line.connection) {
                    connection.peer.flush();
                }
            }
            "hold" => self.connection(line).hold = true,
            "alarm" => self.set_alarm(rest == "on"),
            "retry" => {
                let again = Line { text: rest.to_owned(), ..line.clone() };
                self.send(&again);
                self.retry = Some(again);
            }
            "http" => self.ask(rest),
            "sync" => self.connection(line).sync(line.channel),
            _ => {
                let by_hand = matches!(verb, "header" | "raw");
                if by_hand && !self.connections.contains_key(&line.connection) {
                    self.dial(line.connection);
                }
                self.remember_declared(&text);
                let connection = self.connection(line);
                let body_max = connection.peer.frame_max - 8;
                connection.peer.queue(&send::encode(line.channel, &text, body_max));
            }
        }
    }

    /// The connection of a line, logged in and with the channel open unless the script says no.
    fn connection(&mut self, line: &Line) -> &mut Connection {
        if !self.connections.contains_key(&line.connection) {
            self.login(line.connection, "");
        }
        let connection = self.connections.get_mut(&line.connection).expect("just made");
        let verb = line.text.split(' ').next().unwrap_or_default();
        let about_connection = line.channel == 0 || matches!(verb, "hold" | "raw");
        let by_script = connection.manual || line.bare || verb == "channel.open";
        if !about_connection && connection.opened.insert(line.channel) && !by_script {
            connection.open_channel(line.channel);
        }
        connection
    }

    fn dial(&mut self, name: char) {
        let connection = Connection::new(Peer::connect(self.address.addr), true);
        self.connections.insert(name, connection);
    }

    fn login(&mut self, name: char, settings: &str) {
        let mut connection = Connection::new(Peer::connect(self.address.addr), false);
        Login::parse(settings, self.address).perform(&mut connection.peer);
        self.connections.insert(name, connection);
    }

    /// Asks over HTTP, when everything sent before is on its way.
    fn ask(&mut self, text: &str) {
        self.flush_all();
        let request = Request::parse(text, self.address);
        self.answer = Some(request.ask(self.address));
        self.made.extend(request.undo());
    }

    /// Once a single message is held, a limit of nothing is an alarm.
    fn set_alarm(&mut self, on: bool) {
        self.flush_all();
        let broker = self.broker.expect("script error: an alarm needs a case that is `alarmed`");
        broker.set_memory_limit(if on { 0 } else { u64::MAX });
    }

    fn expect(&mut self, line: &Line) -> Result<(), Mismatch> {
        self.flush_all();
        let got = match line.text.split_once(' ').unwrap_or((&line.text, "")) {
            ("quiet", _) => self.quiet(line),
            ("confirms", wanted) => {
                let count = wanted.split_whitespace().filter(|word| word.parse::<u64>().is_ok()).count();
                self.confirms(line, count)
            }
            _ => self.next_line(line),
        };
        let got = self.retried(line, got);
        self.judge(line, &line.text, got)
    }

    /// After a `retry`: asks again until the answer is the expected one, for what the broker does
    /// in its own time and tells nobody.
    fn retried(&mut self, line: &Line, mut got: String) -> String {
        let Some(again) = self.retry.take() else { return got };
        let deadline = Instant::now() + PATIENCE;
        while !fits(&line.text, &got) && Instant::now() < deadline {
            if got.starts_with("chan ") {
                self.connection(&again).open_channel(again.channel);
            }
            thread::sleep(Duration::from_millis(25));
            self.send(&again);
            got = self.next_line(line);
        }
        got
    }

    fn judge(&mut self, line: &Line, expected: &str, got: String) -> Result<(), Mismatch> {
        if fits(expected, &got) {
            self.note(line, '<', &got);
            return Ok(());
        }
        let transcript = std::mem::take(&mut self.transcript);
        Err(Mismatch { expected: expected.to_owned(), got, transcript })
    }

    fn expect_any_order(&mut self, group: &[&Line]) -> Result<(), Mismatch> {
        self.flush_all();
        let mut left: Vec<&Line> = group.to_vec();
        while let Some(first) = left.first().copied() {
            let event = self.next_event(first, false);
            let shown = |line: &Line| self.names.normalise(&show::event(&event, line.channel));
            let hit = left.iter().position(|l| l.connection == first.connection && fits(&l.text, &shown(l)));
            let Some(hit) = hit else {
                let wanted: Vec<&str> = left.iter().map(|l| l.text.as_str()).collect();
                let got = shown(first);
                return self.judge(first, &format!("any order: {}", wanted.join(" | ")), got);
            };
            let line = left.remove(hit);
            let got = shown(line);
            self.note(line, '<', &got);
        }
        Ok(())
    }

    fn next_line(&mut self, line: &Line) -> String {
        if line.text.starts_with("http ") {
            let answer =
                self.answer.take().unwrap_or_else(|| panic!("script error: nothing was asked over HTTP"));
            return self.names.normalise(&answer);
        }
        let event = self.next_event(line, line.text == "heartbeat");
        self.names.normalise(&show::event(&event, line.channel))
    }

    /// The next event; answers closes unless told to hold, and learns generated names.
    fn next_event(&mut self, line: &Line, heartbeats: bool) -> Event {
        let Some(connection) = self.connections.get_mut(&line.connection) else {
            panic!("script error: nothing was sent on connection {}", line.connection);
        };
        let patience = if line.text == "eof" { PATIENCE_FOR_END } else { PATIENCE };
        let event = loop {
            match connection.peer.next(patience) {
                Event::Heartbeat if !heartbeats => {}
                event => break event,
            }
        };
        if let Event::Method(channel, method, content) = &event {
            self.names.learn(method, content.as_ref());
            connection.answer_close(*channel, method);
        }
        event
    }

    /// `quiet` when nothing came before the answer to a harmless question on this channel.
    fn quiet(&mut self, line: &Line) -> String {
        let connection = self.connection(line);
        connection.peer.queue_method(line.channel, &flow());
        match self.next_event(line, false) {
            Event::Method(channel, method, _)
                if channel == line.channel && method.name == "channel.flow-ok" =>
            {
                "quiet".to_owned()
            }
            event => self.names.normalise(&show::event(&event, line.channel)),
        }
    }

    /// Reads acks and nacks until `count` publishes are settled: how they are grouped is free.
    fn confirms(&mut self, line: &Line, count: usize) -> String {
        let (mut acked, mut nacked) = (BTreeSet::new(), BTreeSet::new());
        while acked.len() + nacked.len() < count {
            let event = self.next_event(line, false);
            let shown = self.names.normalise(&show::event(&event, line.channel));
            let Event::Method(_, method, None) = event else { return shown };
            let into = match method.name {
                "basic.ack" => &mut acked,
                "basic.nack" => &mut nacked,
                _ => return shown,
            };
            let (tag, multiple) = (method.number("tag"), method.number("multiple") == 1);
            let connection = self.connections.get_mut(&line.connection).expect("an event came from it");
            let known = connection.confirmed.entry(line.channel).or_default();
            into.extend((1..=tag).filter(|t| (*t == tag || multiple) && known.insert(*t)));
        }
        let list = |word: &str, tags: BTreeSet<u64>| {
            tags.iter().fold(if tags.is_empty() { String::new() } else { format!(" {word}") }, |out, tag| {
                format!("{out} {tag}")
            })
        };
        format!("confirms{}{}", list("ack", acked), list("nack", nacked))
    }

    fn flush_all(&mut self) {
        self.connections.values_mut().for_each(|connection| connection.peer.flush());
    }

    fn note(&mut self, line: &Line, arrow: char, text: &str) {
        let short: String = text.chars().take(240).collect();
        self.transcript.push_str(&format!("    {}{}{arrow} {short}\n", line.connection, line.channel));
    }

    fn remember_declared(&mut self, text: &str) {
        let request = |key: &str, verb: &str| {
            let name = text.split_whitespace().find_map(|word| word.strip_prefix(key))?;
            (!name.starts_with("amq.") && !name.starts_with('\'')).then(|| format!("{verb}={name}"))
        };
        if text.starts_with("queue.declare") {
            self.declared.extend(request("queue=", "queue.delete queue"));
        }
        if text.starts_with("exchange.declare") {
            self.declared.extend(request("exchange=", "exchange.delete exchange"));
        }
    }

    /// Deletes what the case declared, over a connection of its own.
    fn clean_up(&mut self) {
        self.connections.clear();
        for request in self.made.drain(..).rev() {
            // What the script took back itself is gone already.
            let _answer = request.ask(self.address);
        }
        let generated = self.names.generated_queues().map(|name| format!("queue.delete queue={name}"));
        self.declared.extend(generated.collect::<Vec<_>>());
        if self.declared.is_empty() {
            return;
        }
        let mut peer = Peer::connect(self.address.addr);
        Login::parse("", self.address).perform(&mut peer);
        for (index, request) in self.declared.iter().enumerate() {
            // A channel each: a queue that is still locked must not keep the others from going.
            let channel = u16::try_from(index + 1).expect("a case declares few things");
            peer.queue(&send::encode(channel, "channel.open", 4096));
            peer.queue(&send::encode(channel, request, 4096));
            while let Event::Method(_, method, _) = peer.next(PATIENCE) {
                if method.name.ends_with("delete-ok") || method.name == "channel.close" {
                    break;
                }
            }
        }
    }
}

impl Connection {
    fn new(peer: Peer, manual: bool) -> Connection {
        Connection { peer, manual, hold: false, opened: HashSet::new(), confirmed: BTreeMap::new() }
    }

    fn open_channel(&mut self, channel: u16) {
        self.peer.queue(&send::encode(channel, "channel.open", 4096));
        self.read_until(|event| is(event, channel, "channel.open-ok"));
    }

    /// Returns when the broker has read everything sent before on this channel.
    fn sync(&mut self, channel: u16) {
        self.peer.queue_method(channel, &flow());
        self.read_until(|event| is(event, channel, "channel.flow-ok"));
    }

    /// Reads up to the wanted event and drops that one; what came before it stays to be read.
    fn read_until(&mut self, wanted: impl Fn(&Event) -> bool) {
        let mut before = Vec::new();
        loop {
            let event = self.peer.next(PATIENCE);
            if wanted(&event) {
                break;
            }
            let fatal = match &event {
                Event::Method(_, method, _) => method.name == "connection.close",
                Event::End(_) | Event::Malformed(_) => true,
                _ => false,
            };
            before.push(event);
            if fatal {
                break;
            }
        }
        before.into_iter().rev().for_each(|event| self.peer.unread(event));
    }

    fn answer_close(&mut self, channel: u16, method: &Method) {
        let answer = match method.name {
            "channel.close" => "channel.close-ok",
            "connection.close" => "connection.close-ok",
            _ => return,
        };
        if !self.hold {
            self.peer.queue_method(channel, &Method { name: answer, fields: Vec::new() });
            self.peer.flush();
        }
    }
}

fn is(event: &Event, channel: u16, name: &str) -> bool {
    matches!(event, Event::Method(on, method, None) if *on == channel && method.name == name)
}

fn flow() -> Method {
    Method { name: "channel.flow", fields: vec![Field::Bit(true)] }
}

/// A prefix for names that no other case and no other run uses.
fn unique_prefix() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    format!("diff{:x}-{}-{}-", now.as_secs(), std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}
