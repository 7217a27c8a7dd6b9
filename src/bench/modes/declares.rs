//! Declare-burst mode: durable queues declared, and deleted again, without waiting for each answer.

use std::{io::Write, process, thread, time::Instant};

use crate::bench::{
    client::{
        connection::{Connection, Role, expect},
        wire::{CHANNEL, id, push_method},
    },
    error::Result,
    figures::{measure::Figures, report::Report},
    options::Options,
    traffic::{progress::Progress, workers::snapshot},
};

const COUNT: u64 = 1000;

pub fn run(options: &Options) -> Result<Report> {
    let count = options.count.unwrap_or(COUNT);
    let mut connection = Connection::open(&options.uri, Role::Producer)?;
    let progress = Progress::new(1, 0, 1, u64::MAX);
    let before = snapshot(options, &progress)?;
    let declared = declare(&mut connection, count);
    if declared.is_ok() {
        progress.set_published(0, count);
    }
    let after = snapshot(options, &progress)?;
    declared?;
    let start = Instant::now();
    delete(&mut connection, count)?;
    let deleting = start.elapsed().as_secs_f64();
    connection.close()?;
    let figures = Figures::between(&before, &after);
    let mut report = Report::new(options, None);
    report.extra.insert("declares_per_second", figures.published_per_second);
    report.extra.insert("deletes_per_second", count as f64 / deleting);
    report.figures = Some(figures);
    Ok(report)
}

fn name(number: u64) -> String {
    format!("bench-{}-d{number}", process::id())
}

fn declare(connection: &mut Connection, count: u64) -> Result<()> {
    const DURABLE: u8 = 1 << 1;
    let mut frames = Vec::new();
    for number in 0..count {
        push_method(&mut frames, CHANNEL, id::QUEUE_DECLARE, |arguments| {
            arguments.short(0).short_string(&name(number)).octet(DURABLE).table(&[])
        });
    }
    pipeline(connection, &frames, id::QUEUE_DECLARE_OK, count)
}

fn delete(connection: &mut Connection, count: u64) -> Result<()> {
    let mut frames = Vec::new();
    for number in 0..count {
        push_method(&mut frames, CHANNEL, id::QUEUE_DELETE, |arguments| {
            arguments.short(0).short_string(&name(number)).octet(0)
        });
    }
    pipeline(connection, &frames, id::QUEUE_DELETE_OK, count)
}

/// Writes all frames while reading the answers: a broker may stop reading when nobody takes those.
fn pipeline(connection: &mut Connection, frames: &[u8], answer: u32, count: u64) -> Result<()> {
    let Connection { out, inbound, .. } = connection;
    thread::scope(|scope| {
        let writer = scope.spawn(|| out.write_all(frames));
        let answered = (0..count).try_for_each(|_| expect(inbound, answer).map(drop));
        writer.join().expect("the writer does not panic")?;
        answered
    })
}
