//! The log as it is written: server-sent events, for as long as somebody reads.
//!
//! What a reader has not taken lies in the ring that the last lines are kept in, for all readers once; one that is
//! too slow misses lines, and is told how many.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http_body_util::Full;
use hyper::{
    StatusCode,
    body::{Body, Bytes, Frame, SizeHint},
};
use serde_json::json;
use tokio::sync::mpsc;

use super::{
    LogLine, Management,
    answer::{Answer, Refusal},
    call::Call,
};

/// Portions that may wait for the socket.
const PORTIONS_MAX: usize = 4;
/// How often a line without meaning shows that both ends are there, and that the reader may still read.
const BEAT: Duration = Duration::from_secs(15);

/// What an answer consists of.
#[derive(Debug)]
pub enum Content {
    Whole(Full<Bytes>),
    Live(mpsc::Receiver<Bytes>),
}

impl Body for Content {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Content::Whole(body) => Pin::new(body).poll_frame(context),
            Content::Live(portions) => {
                portions.poll_recv(context).map(|portion| Some(Ok(Frame::data(portion?))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Content::Whole(body) => body.is_end_stream(),
            Content::Live(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Content::Whole(body) => body.size_hint(),
            Content::Live(_) => SizeHint::default(),
        }
    }
}

/// Lines from a number on, now and as they come.
pub fn log(call: &Call) -> Result<Answer, Refusal> {
    let after = call.query.get("after").unwrap_or("0").parse();
    let after = after.map_err(|_| Refusal::bad_request("after: expected a number"))?;
    let (sender, portions) = mpsc::channel(PORTIONS_MAX);
    tokio::spawn(follow(call.management.clone(), call.user.name.clone(), after, sender));
    let answer =
        Answer { live: Some(portions), content_type: "text/event-stream", ..Answer::empty(StatusCode::OK) };
    // Proxies that gather what they pass on would keep it from whoever waits for it.
    Ok(answer.header("cache-control", "no-store").header("x-accel-buffering", "no"))
}

async fn follow(management: Arc<Management>, user: Arc<str>, mut after: u64, sender: mpsc::Sender<Bytes>) {
    let mut beat = tokio::time::interval(BEAT);
    loop {
        // Before looking, so that no line comes in between.
        let mut news = std::pin::pin!(management.settings.log_news.notified());
        news.as_mut().enable();
        let (lines, last) = (management.settings.log)(after);
        let portion = if lines.is_empty() {
            tokio::select! {
                () = news => continue,
                () = sender.closed() => return,
                _ = beat.tick() => {
                    let known = management.node.access.user(&user);
                    if !known.is_some_and(|user| user.is_monitor()) {
                        return;
                    }
                    ": both ends are there\n\n".to_owned()
                }
            }
        } else {
            let portion = portion(&lines, after);
            after = last;
            portion
        };
        if sender.send(Bytes::from(portion)).await.is_err() {
            return;
        }
    }
}

/// Some lines as events, after one that says what was missed.
fn portion(lines: &[LogLine], after: u64) -> String {
    use std::fmt::Write;
    let mut text = String::new();
    let first = lines.first().map_or(after, |line| line.number);
    let missed = first.saturating_sub(after + 1);
    if missed != 0 && after != 0 {
        let _always_ok = write!(text, "event: missed\ndata: {missed}\n\n");
    }
    for LogLine { number, at, level, text: line } in lines {
        let data = json!({ "number": number, "at": at, "level": level, "text": line });
        let _always_ok = write!(text, "id: {number}\ndata: {data}\n\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: u64) -> LogLine {
        LogLine { number, at: 5, level: "INFO", text: "two\nlines".to_owned() }
    }

    #[test]
    fn lines_are_events_and_a_slow_reader_learns_what_it_missed() {
        let text = portion(&[line(4)], 3);
        assert_eq!(
            text,
            "id: 4\ndata: {\"at\":5,\"level\":\"INFO\",\"number\":4,\"text\":\"two\\nlines\"}\n\n"
        );
        assert!(portion(&[line(9)], 3).starts_with("event: missed\ndata: 5\n\nid: 9\n"));
        assert!(portion(&[line(900)], 0).starts_with("id: 900\n"), "whoever begins has missed nothing");
    }
}
