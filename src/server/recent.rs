//! The last lines of the log, for those who look at it over HTTP.

use std::{collections::VecDeque, fmt, sync::LazyLock};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::layer::{Context, Layer};

use super::{clock, logging::escape};
use crate::{broker::Millis, http::LogLine};

/// Lines that are kept.
const LINES_MAX: usize = 1_000;
/// Octets kept of a line.
const LINE_MAX: usize = 2_000;

/// The lines of this process, which has one log however many brokers it runs.
static RECENT: LazyLock<Mutex<Recent>> = LazyLock::new(Mutex::default);

#[derive(Default)]
struct Recent {
    lines: VecDeque<LogLine>,
    last: u64,
}

/// Lines after number `after`, and the number of the last one.
pub fn after(after: u64) -> (Vec<LogLine>, u64) {
    let recent = RECENT.lock();
    let newer = recent.lines.iter().filter(|line| after < line.number);
    (newer.cloned().collect(), recent.last)
}

/// Woken with every line.
pub static NEWS: Notify = Notify::const_new();

fn keep(at: Millis, level: Level, text: String) {
    let mut recent = RECENT.lock();
    recent.last += 1;
    let number = recent.last;
    if recent.lines.len() == LINES_MAX {
        recent.lines.pop_front();
    }
    recent.lines.push_back(LogLine { number, at, level: level.as_str(), text });
    drop(recent);
    NEWS.notify_waiters();
}

/// Keeps what passes through the log.
pub struct Keep;

impl<S: Subscriber> Layer<S> for Keep {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut text = Text::default();
        event.record(&mut text);
        let mut safe = String::with_capacity(text.0.len());
        let _always_ok = escape(&text.0, &mut safe);
        if let Some((end, _)) = safe.char_indices().find(|(at, _)| LINE_MAX <= *at) {
            safe.truncate(end);
        }
        keep(clock::wall(), *event.metadata().level(), safe);
    }
}

/// The message of an event, and its fields behind it.
#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        use fmt::Write;
        let _always_ok = match field.name() {
            "message" => write!(self.0, "{value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}
