//! Backlog and replay mode: messages pile up, and are then consumed; what each part costs, and the broker's
//! memory. What is read from a stream stays there, and every consumer gets all of it.

use std::{thread, time::Instant};

use crate::bench::{
    error::Result,
    figures::{
        histogram::Histogram,
        measure::Figures,
        report::{Report, Totals, confirm_latency},
        series::Series,
    },
    options::Options,
    traffic::{
        consumer::Consumer,
        producer::Producer,
        progress::Progress,
        topology::Topology,
        workers::{join, snapshot, spawn, watched},
    },
};

/// What the parts have measured.
struct Parts {
    build: Figures,
    confirms: Vec<Histogram>,
    drain: Option<Figures>,
}

pub fn run(options: &Options) -> Result<Report> {
    let topology = Topology::declare(options)?;
    let report = drive(options, &topology);
    let deleted = topology.delete();
    let report = report?;
    deleted?;
    Ok(report)
}

fn drive(options: &Options, topology: &Topology) -> Result<Report> {
    // What the queues hold already counts as the work of one more producer.
    let progress = Progress::new(options.producers + 1, options.consumers, options.copies(), u64::MAX);
    progress.set_published(options.producers, topology.held());
    let (parts, series) = watched(options, &progress, || build_and_drain(options, topology, &progress))?;
    Ok(report(options, &progress, parts, series))
}

fn build_and_drain(options: &Options, topology: &Topology, progress: &Progress) -> Result<Parts> {
    let producers: Vec<Producer> = (0..options.producers)
        .map(|number| Producer::open(options, topology, number))
        .collect::<Result<_>>()?;
    let before = snapshot(options, progress)?;
    progress.begin_window(Instant::now());
    let confirms = thread::scope(|scope| {
        let mut producing = Vec::new();
        for (number, producer) in producers.into_iter().enumerate() {
            let work = move || producer.run(progress);
            producing.push(spawn(scope, progress, format!("producer-{number}"), work)?);
        }
        Result::Ok(join(producing))
    })?;
    let built = snapshot(options, progress)?;
    let mut parts = Parts { build: Figures::between(&before, &built), confirms, drain: None };
    if options.consumers == 0 || progress.has_failed() {
        return Ok(parts);
    }
    let start = snapshot(options, progress)?;
    let consumers: Vec<Consumer> = (0..options.consumers)
        .map(|number| Consumer::open(options, topology, number))
        .collect::<Result<_>>()?;
    let drain: Result<Figures> = thread::scope(|scope| {
        let mut consuming = Vec::new();
        for (number, consumer) in consumers.into_iter().enumerate() {
            let work = move || consumer.run(progress);
            consuming.push(spawn(scope, progress, format!("consumer-{number}"), work)?);
        }
        progress.wait_drained();
        let end = snapshot(options, progress);
        // Whatever measuring said, the threads must end before the scope does.
        progress.stop_consuming();
        join(consuming);
        Ok(Figures::between(&start, &end?))
    });
    parts.drain = Some(drain?);
    Ok(parts)
}

fn report(options: &Options, progress: &Progress, parts: Parts, series: Series) -> Report {
    let mut report = Report::new(options, None);
    let before = parts.build.broker_resident_before;
    if let (Some(before), Some(after)) = (before, parts.build.broker_resident_after) {
        let grown = after.saturating_sub(before) as f64;
        if parts.build.published > 0 {
            report.extra.insert("resident_bytes_per_queued_message", grown / parts.build.published as f64);
        }
        report.extra.insert("resident_highest_bytes", series.highest_bytes.max(after) as f64);
    }
    report.confirm_latency = confirm_latency(&parts.confirms);
    report.totals = Some(match options.consumers {
        0 => Totals::new(progress.published(), 0, 0),
        _ => Totals::new(progress.published(), options.copies(), progress.consumed()),
    });
    if options.count != Some(0) {
        report.phases.insert("build", parts.build);
    }
    if let Some(drain) = parts.drain {
        report.phases.insert("drain", drain);
    }
    report.series = series.samples;
    report
}
