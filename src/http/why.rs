//! Why a queue does not move, in sentences: what its numbers mean together.

use serde_json::{Value, json};

use super::call::Call;
use crate::{
    broker::{
        queue::stream::{ReaderOverview, StreamOverview},
        queue_arguments::Overflow,
    },
    engine::{
        QueueRef, Vhost,
        stats::{Figure, Figures},
    },
};

/// What was found; `bad` and `warn` are shown as such.
struct Reasons(Vec<(&'static str, String)>);

impl Reasons {
    fn say(&mut self, level: &'static str, text: impl Into<String>) {
        self.0.push((level, text.into()));
    }
}

pub fn answer(call: &Call, vhost: &Vhost, queue: &QueueRef) -> Value {
    let now = call.now();
    let report = queue.report(now);
    let (counts, counters) = (report.counts, report.counters);
    let figures = Figures::of_queue(&counts, &counters);
    let (history, interval) = (queue.history.lock().clone(), call.node().stats.interval());
    let rate = |shown: &[Figure]| {
        let sum = |of: &[u64; Figure::COUNT]| shown.iter().filter_map(|at| of.get(*at as usize)).sum();
        history.rate(now, &figures.0, interval, sum)
    };
    let input = rate(&[Figure::Publish]);
    let output = rate(&[Figure::Deliver, Figure::DeliverNoAck, Figure::Get, Figure::GetNoAck]);
    let mut reasons = Reasons(Vec::new());
    if let Some(overview) = queue.stream_overview() {
        return stream(call, &overview, input, output);
    }
    let is_moving = counts.ready == 0 || 0.0 < output || 0 < counts.consumers && report.has_room;

    if let Some(reason) = call.node().alarms.reason() {
        reasons.say("bad", format!("Publishers wait, because an alarm is on: {reason}."));
    }
    match (counts.ready, counts.consumers) {
        (0, 0) => reasons.say("", "Nothing is ready, and nobody waits for anything."),
        (0, consumers) => reasons.say("", format!("Nothing is ready; {} for messages.", waiting(consumers))),
        (ready, 0) => {
            reasons.say("bad", format!("{ready} messages are ready, but nobody consumes from this queue."));
        }
        (ready, consumers) if !report.has_room => reasons.say(
            "warn",
            format!(
                "{ready} messages are ready, but {} another one: {} messages are delivered and not acknowledged, \
                 as many as the prefetch of consumers allows, or they do not read what they are sent.",
                if consumers == 1 { "its consumer does not take" } else { "none of its consumers takes" },
                counts.unacknowledged
            ),
        ),
        _ => {}
    }
    speed(&mut reasons, counts.ready, input, output);
    if queue.properties.arguments.single_active_consumer && 1 < counts.consumers {
        let others = counts.consumers - 1;
        reasons.say("", format!("Only one consumer is served at a time; {others} wait for their turn."));
    }
    limits(&mut reasons, queue, &counts);
    if report.is_pressed {
        reasons.say("", "Publishers are slowed down for a moment, until its consumers catch up.");
    }
    dead(&mut reasons, vhost, queue, &counters);
    if counters.published == 0 && counts.ready + counts.unacknowledged == 0 {
        reasons.say("", "Nothing has been published to it since the broker started.");
    }
    answer_of(is_moving, reasons)
}

/// Nothing leaves a stream when it is read: what counts is how far behind its readers are.
fn stream(call: &Call, overview: &StreamOverview, input: f64, output: f64) -> Value {
    let mut reasons = Reasons(Vec::new());
    if let Some(reason) = call.node().alarms.reason() {
        reasons.say("bad", format!("Publishers wait, because an alarm is on: {reason}."));
    }
    let kept = overview.next - overview.first;
    match overview.readers.len() {
        0 => reasons.say("", format!("{kept} messages are kept, and nobody reads them.")),
        1 => reasons.say("", format!("{kept} messages are kept; one consumer reads them.")),
        readers => reasons.say("", format!("{kept} messages are kept; {readers} consumers read them.")),
    }
    let behind = |reader: &&ReaderOverview| reader.is_active && reader.next < overview.committed;
    let slow: Vec<&ReaderOverview> = overview.readers.iter().filter(behind).collect();
    if let Some(last) = slow.first() {
        let who =
            last.name.as_ref().map_or_else(|| "One without a name".to_owned(), |name| format!("'{name}'"));
        let text = format!(
            "{who} is furthest behind, by {} messages; {} of them are delivered and not acknowledged.",
            overview.committed - last.next,
            last.unacknowledged
        );
        reasons.say("warn", text);
    }
    if let Some(lost) = slow.iter().find(|reader| reader.next < overview.first) {
        let missed = overview.first - lost.next;
        reasons.say(
            "bad",
            format!("A reader was overtaken by retention: {missed} messages went before it came to them."),
        );
    }
    let waiting = overview.readers.iter().filter(|reader| !reader.is_active).count();
    if waiting != 0 {
        reasons.say("", format!("{waiting} consumers of a group wait for their turn."));
    }
    if overview.committed < overview.next {
        let text = match overview.next - overview.committed {
            1 => "The last message is on its way to the disk; consumers see it after that.".to_owned(),
            count => format!("The last {count} are on their way to the disk; consumers see them after that."),
        };
        reasons.say("", text);
    }
    let is_moving = slow.is_empty() || 0.0 < output || 0.0 < input;
    answer_of(is_moving, reasons)
}

fn answer_of(is_moving: bool, reasons: Reasons) -> Value {
    let reasons: Vec<Value> =
        reasons.0.into_iter().map(|(level, text)| json!({ "level": level, "text": text })).collect();
    json!({ "moving": is_moving, "reasons": reasons })
}

fn speed(reasons: &mut Reasons, ready: u64, input: f64, output: f64) {
    if ready == 0 || output <= 0.0 {
        return;
    }
    let surplus = output - input;
    if surplus < 0.0 {
        let text = format!(
            "It grows: {input:.0} messages come each second and {output:.0} leave. More or faster consumers are needed."
        );
        reasons.say("warn", text);
    } else if 1.0 <= surplus {
        let seconds = ready as f64 / surplus;
        let text =
            format!("It shrinks by {surplus:.0} messages each second, and is empty in {}.", span(seconds));
        reasons.say("", text);
    }
}

fn waiting(consumers: u32) -> String {
    if consumers == 1 { "one consumer waits".to_owned() } else { format!("{consumers} consumers wait") }
}

fn span(seconds: f64) -> String {
    match seconds {
        ..90.0 => format!("{seconds:.0} seconds"),
        ..5400.0 => format!("{:.0} minutes", seconds / 60.0),
        ..172_800.0 => format!("{:.0} hours", seconds / 3600.0),
        _ => format!("{:.0} days", seconds / 86_400.0),
    }
}

fn limits(reasons: &mut Reasons, queue: &QueueRef, counts: &crate::broker::queue::Counts) {
    let arguments = queue.rules();
    let is_full = arguments.max_length.is_some_and(|most| most <= counts.ready)
        || arguments.max_length_bytes.is_some_and(|most| most <= counts.ready_bytes);
    if is_full {
        let what = match arguments.overflow {
            Overflow::DropHead => "each new message drives out the oldest",
            Overflow::RejectPublish | Overflow::RejectPublishDlx => "new messages are refused",
        };
        reasons.say("warn", format!("It is as long as it may be: {what}."));
    }
}

fn dead(
    reasons: &mut Reasons,
    vhost: &Vhost,
    queue: &QueueRef,
    counters: &crate::broker::queue::QueueCounters,
) {
    let died = [
        (counters.died_expired, "expired"),
        (counters.died_rejected, "were rejected"),
        (counters.died_of_length, "did not fit"),
        (counters.died_of_delivery_limit, "were given back too often"),
    ];
    let died: Vec<String> =
        died.iter().filter(|(count, _)| *count != 0).map(|(count, how)| format!("{count} {how}")).collect();
    let rules = queue.rules();
    let target = rules.dead_letter_exchange.as_deref();
    if !died.is_empty() {
        let to = match target {
            None => "they are lost, as it has no dead-letter exchange".to_owned(),
            Some("") => "they went to the default exchange".to_owned(),
            Some(name) => format!("they went to the exchange '{name}'"),
        };
        reasons.say("", format!("Of its messages {}; {to}.", died.join(", ")));
    }
    if let Some(name) = target.filter(|name| !name.is_empty() && !vhost.has_exchange(name)) {
        reasons.say("bad", format!("Its dead letters are lost: there is no exchange '{name}'."));
    }
    let undelivered = queue.undelivered_count();
    if undelivered != 0 {
        reasons.say("warn", format!("{undelivered} dead letters wait until a queue takes them."));
    }
}
