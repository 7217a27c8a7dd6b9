//! Connect mode: the moment a starting broker serves its first connection.

use std::{
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use crate::{
    connection::{Connection, Role},
    error::{LoadError, Result},
    options::Options,
    report::Report,
};

/// Between two attempts; there is no event to wait for before somebody listens.
const RETRY: Duration = Duration::from_micros(500);

/// Tries for `--seconds`; the wall-clock time lets whoever started the broker subtract.
pub fn run(options: &Options) -> Result<Report> {
    let end = Instant::now() + options.seconds();
    loop {
        let attempt = Instant::now();
        match Connection::open(&options.uri, Role::Consumer) {
            Ok(connection) => {
                let handshake = attempt.elapsed();
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let mut report = Report::new(options, None);
                report.server = connection.server.clone();
                connection.close()?;
                report.extra.insert("opened_at_unix_seconds", now.as_secs_f64());
                report.extra.insert("handshake_us", handshake.as_secs_f64() * 1e6);
                return Ok(report);
            }
            // A broker may accept before it can log anybody in, so any failure may pass.
            Err(error) if Instant::now() > end => {
                return Err(LoadError::Unexpected(format!("no connection in time, last: {error}")));
            }
            Err(_) => thread::sleep(RETRY),
        }
    }
}
