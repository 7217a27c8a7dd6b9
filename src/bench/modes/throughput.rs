//! Throughput mode: as much as broker, gate and rate allow, and nothing lost at the end.

use std::{thread, time::Instant};

use crate::bench::{
    client::connection::Connection,
    error::Result,
    figures::{
        histogram::Histogram,
        measure::Figures,
        report::{Report, Totals, confirm_latency},
    },
    modes::idle,
    options::Options,
    traffic::{
        consumer::Consumer,
        producer::Producer,
        progress::Progress,
        topology::Topology,
        workers::{join, measure_window, snapshot, spawn, watched},
    },
};

pub fn run(options: &Options) -> Result<Report> {
    let topology = Topology::declare(options)?;
    let report = drive(options, &topology);
    let deleted = topology.delete();
    let report = report?;
    deleted?;
    Ok(report)
}

fn drive(options: &Options, topology: &Topology) -> Result<Report> {
    let progress =
        Progress::new(options.producers, options.consumers, options.copies(), options.backlog_max());
    let consumers: Vec<Consumer> = (0..options.consumers)
        .map(|number| Consumer::open(options, topology, number))
        .collect::<Result<_>>()?;
    let producers: Vec<Producer> = (0..options.producers)
        .map(|number| Producer::open(options, topology, number))
        .collect::<Result<_>>()?;
    let idle = idle::open(options, options.connections.unwrap_or(0))?;
    let ((figures, confirms), series) =
        watched(options, &progress, || run_workers(options, &progress, consumers, producers))?;
    idle.into_iter().try_for_each(Connection::close)?;
    let mut report = Report::new(options, Some(figures));
    report.series = series.samples;
    report.confirm_latency = confirm_latency(&confirms);
    if let Some(bytes) = report.resident_bytes_per_queued().filter(|_| options.consumers == 0) {
        report.extra.insert("resident_bytes_per_queued_message", bytes);
    }
    report.totals = Some(match options.consumers {
        0 => Totals::new(progress.published(), 0, 0),
        _ => Totals::new(progress.published(), options.copies(), progress.consumed()),
    });
    Ok(report)
}

fn run_workers(
    options: &Options,
    progress: &Progress,
    consumers: Vec<Consumer>,
    producers: Vec<Producer>,
) -> Result<(Figures, Vec<Histogram>)> {
    thread::scope(|scope| {
        let before = snapshot(options, progress)?;
        if options.count.is_some() {
            progress.begin_window(Instant::now());
        }
        let mut consuming = Vec::new();
        for (number, consumer) in consumers.into_iter().enumerate() {
            let work = move || consumer.run(progress);
            consuming.push(spawn(scope, progress, format!("consumer-{number}"), work)?);
        }
        let mut producing = Vec::new();
        for (number, producer) in producers.into_iter().enumerate() {
            let work = move || producer.run(progress);
            producing.push(spawn(scope, progress, format!("producer-{number}"), work)?);
        }
        let figures = match options.count {
            // The whole run is the window: it ends when the last message has arrived.
            Some(_) => {
                let confirms = join(producing);
                progress.wait_drained();
                snapshot(options, progress).map(|after| (Figures::between(&before, &after), confirms))
            }
            None => {
                let measured = measure_window(options, progress);
                progress.stop_producing();
                let confirms = join(producing);
                progress.wait_drained();
                measured.map(|(figures, _, _)| (figures, confirms))
            }
        };
        // Whatever measuring said, the threads must end before the scope does.
        progress.stop_producing();
        progress.stop_consuming();
        join(consuming);
        figures
    })
}
