//! Connect mode: the moment a starting broker serves its first connection, and has its messages.

use std::{
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use crate::bench::{
    client::connection::{Connection, Role},
    error::{BenchError, Result},
    figures::report::Report,
    options::Options,
    traffic::topology::count_held,
};

/// Between two attempts; there is no event to wait for before somebody listens.
const RETRY: Duration = Duration::from_micros(500);

/// Tries for `--seconds`; the wall-clock time lets whoever started the broker subtract.
pub fn run(options: &Options) -> Result<Report> {
    let end = Instant::now() + options.seconds();
    loop {
        let attempt = Instant::now();
        match Connection::open(&options.uri, Role::Consumer) {
            Ok(mut connection) => {
                let handshake = attempt.elapsed();
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let mut report = Report::new(options, None);
                report.server = connection.server.clone();
                report.extra.insert("opened_at_unix_seconds", now.as_secs_f64());
                report.extra.insert("handshake_us", handshake.as_secs_f64() * 1e6);
                if let Some(count) = options.count {
                    wait_held(&mut connection, options, count, end, &mut report)?;
                }
                connection.close()?;
                return Ok(report);
            }
            // A broker may accept before it can log anybody in, so any failure may pass.
            Err(error) if Instant::now() > end => {
                return Err(BenchError::Unexpected(format!("no connection in time, last: {error}")));
            }
            Err(_) => thread::sleep(RETRY),
        }
    }
}

/// Waits until the queues hold `count` messages: a broker may serve before it knows all of them.
fn wait_held(
    connection: &mut Connection,
    options: &Options,
    count: u64,
    end: Instant,
    report: &mut Report,
) -> Result<()> {
    loop {
        let held = count_held(connection, options)?;
        if held >= count {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            report.extra.insert("counted_at_unix_seconds", now.as_secs_f64());
            report.extra.insert("messages", held as f64);
            return Ok(());
        }
        if Instant::now() > end {
            return Err(BenchError::Unexpected(format!(
                "the queues hold {held} messages in place of {count}"
            )));
        }
        thread::sleep(RETRY);
    }
}
