//! The log: standard error, one line an event, and nothing a client sends can break that.

use std::fmt::{self, Write};

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::{
    filter::Targets,
    fmt::{
        FmtContext, FormatEvent, FormatFields, MakeWriter,
        format::Writer,
        time::{FormatTime, SystemTime},
    },
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};

use super::{
    config::{ConfigError, Log, LogFormat},
    recent::Keep,
};

/// Longest client-supplied text in a log line, in bytes.
const PRINTABLE_MAX: usize = 512;

/// Sends the events of this process to standard error. A second call leaves the first in place.
pub fn init(log: &Log) -> Result<(), ConfigError> {
    let colour =
        std::env::var_os("NO_COLOR").is_none() && std::io::IsTerminal::is_terminal(&std::io::stderr());
    // Fails only if a log is already set up, as in a test process with several brokers.
    let _ = subscriber(log, std::io::stderr, colour)?.try_init();
    Ok(())
}

fn subscriber<W>(log: &Log, writer: W, colour: bool) -> Result<Box<dyn Subscriber + Send + Sync>, ConfigError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter: Targets =
        log.level.parse().map_err(|_| ConfigError(format!("log.level cannot be '{}'", log.level)))?;
    let layer = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(colour);
    let registry = tracing_subscriber::registry().with(filter).with(Keep);
    Ok(match log.format {
        LogFormat::Pretty => Box::new(registry.with(layer.event_format(Line))),
        LogFormat::Json => Box::new(
            registry.with(layer.json().flatten_event(true).with_current_span(false).with_span_list(false)),
        ),
    })
}

/// `2026-11-20T22:56:47.089854Z  INFO session: message field=value`.
struct Line;

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'l> LookupSpan<'l>,
    N: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        SystemTime.format_time(&mut out)?;
        let level = *event.metadata().level();
        match (out.has_ansi_escapes(), colour(level)) {
            (true, Some(code)) => write!(out, " \x1b[{code}m{level:>5}\x1b[0m ")?,
            _ => write!(out, " {level:>5} ")?,
        }
        let target = event.metadata().target();
        write!(out, "{}: ", target.strip_prefix("leveret::").unwrap_or(target))?;
        // Formatted apart, so that one line stays one line whatever the fields hold.
        let mut fields = String::new();
        context.format_fields(Writer::new(&mut fields), event)?;
        escape(&fields, &mut out)?;
        writeln!(out)
    }
}

fn colour(level: Level) -> Option<u8> {
    match level {
        Level::ERROR => Some(31),
        Level::WARN => Some(33),
        Level::DEBUG | Level::TRACE => Some(2),
        _ => None,
    }
}

/// Text from a client, safe in a log line: control characters and bytes that are not UTF-8 are
/// escaped, and what is beyond 512 bytes is left out.
#[derive(Clone, Copy)]
pub struct Printable<'a>(pub &'a [u8]);

/// Shows client-supplied bytes in a log line.
pub fn printable<T: AsRef<[u8]> + ?Sized>(bytes: &T) -> Printable<'_> {
    Printable(bytes.as_ref())
}

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0;
        let mut shown = &bytes[..bytes.len().min(PRINTABLE_MAX)];
        if shown.len() < bytes.len() {
            // Not in the middle of a character: its first byte is at most three back.
            let cut = (0..4).find(|back| !is_continuation(bytes[shown.len() - back])).unwrap_or(0);
            shown = &shown[..shown.len() - cut];
        }
        for chunk in shown.utf8_chunks() {
            escape(chunk.valid(), f)?;
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        if shown.len() < bytes.len() {
            write!(f, "... ({} bytes)", bytes.len())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn is_continuation(byte: u8) -> bool {
    byte & 0b1100_0000 == 0b1000_0000
}

/// Writes text with what would disturb a terminal or a line escaped.
pub(crate) fn escape(text: &str, out: &mut impl Write) -> fmt::Result {
    for character in text.chars() {
        if disturbs(character) {
            write!(out, "{}", character.escape_default())?
        } else {
            out.write_char(character)?
        }
    }
    Ok(())
}

/// Control characters, line separators, and marks that change the direction of what follows.
fn disturbs(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Keeps what is written.
    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(level: &str, format: LogFormat, events: impl FnOnce()) -> String {
        let sink = Sink::default();
        let writer = sink.clone();
        let log = Log { level: level.to_owned(), format };
        let subscriber = subscriber(&log, move || writer.clone(), false).unwrap();
        tracing::subscriber::with_default(subscriber, events);
        String::from_utf8(sink.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn an_event_is_a_line() {
        let text = logged("info", LogFormat::Pretty, || {
            tracing::info!(user = %"eve\n2026 INFO forged\x1b[2J", "login\nrefused");
            tracing::debug!("not shown");
        });
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        assert!(
            text.contains(
                r"  INFO server::logging::tests: login\nrefused user=eve\n2026 INFO forged\u{1b}[2J"
            ),
            "{text}"
        );
    }

    #[test]
    fn json_is_an_object_a_line() {
        let text = logged("warn,leveret=debug", LogFormat::Json, || {
            tracing::debug!(queue = "a\nb", "declared");
            tracing::info!(target: "elsewhere", "not shown");
        });
        let event: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(text.matches('\n').count(), 1);
        assert_eq!(
            (&event["level"], &event["message"], &event["queue"]),
            (&"DEBUG".into(), &"declared".into(), &"a\nb".into())
        );
    }

    #[test]
    fn client_text_is_escaped_and_capped() {
        for (bytes, expected) in [
            (&b"orders"[..], "orders"),
            ("h\u{e4}se".as_bytes(), "h\u{e4}se"),
            (b"a\r\nb\x00\x1b", "a\\r\\nb\\u{0}\\u{1b}"),
            (b"\xff\xfeok", "\\xff\\xfeok"),
            ("\u{202e}txt".as_bytes(), "\\u{202e}txt"),
        ] {
            assert_eq!(printable(bytes).to_string(), expected);
        }
        let long = format!("{}\u{e4}{}", "x".repeat(511), "y".repeat(100));
        assert_eq!(printable(&long).to_string(), format!("{}... (613 bytes)", "x".repeat(511)));
        assert_eq!(printable(&"x".repeat(512)).to_string(), "x".repeat(512));
    }
}
