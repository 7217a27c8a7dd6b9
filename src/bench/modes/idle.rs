//! Idle mode: what a connection costs a broker that has nothing to do.

use crate::bench::{
    client::connection::Connection,
    error::Result,
    figures::{measure::Figures, report::Report},
    options::Options,
    traffic::{progress::Progress, workers::snapshot},
};

const COUNT: usize = 100;

/// Opens so many connections that do nothing.
pub fn open(options: &Options, count: usize) -> Result<Vec<Connection>> {
    (0..count).map(|_| Connection::open_small(&options.uri)).collect()
}

pub fn run(options: &Options) -> Result<Report> {
    let progress = Progress::new(0, 0, 1, u64::MAX);
    let before = snapshot(options, &progress)?;
    let count = options.connections.unwrap_or(COUNT);
    let connections = open(options, count)?;
    let opened = snapshot(options, &progress)?;
    progress.rest(options.seconds());
    let after = snapshot(options, &progress)?;
    let opening = Figures::between(&before, &opened);
    let mut figures = Figures::between(&opened, &after);
    // Idle cores are those of the waiting time, memory is compared with that before opening.
    figures.broker_resident_before = opening.broker_resident_before;
    let mut report = Report::new(options, None);
    report.extra.insert("connections", count as f64);
    report.extra.insert("connections_per_second", count as f64 / opening.seconds);
    if let (Some(before), Some(after)) = (figures.broker_resident_before, figures.broker_resident_after) {
        let growth = after.saturating_sub(before) as f64;
        report.extra.insert("bytes_per_connection", growth / count.max(1) as f64);
    }
    for connection in connections {
        connection.close()?;
    }
    report.figures = Some(figures);
    Ok(report)
}
