//! Latency mode: how old each message is when it arrives, at a rate that does not wait for the broker.

use std::{
    io::Write,
    thread,
    time::{Duration, Instant},
};

use crate::bench::{
    client::{
        connection::{Connection, Role},
        inbound::{Fill, read_u64},
        wire::{BODY, HEADER, METHOD, id, push_ack},
    },
    error::{BenchError, Result},
    figures::{
        histogram::Histogram,
        report::{Latency, Report, Totals},
        usage::wake_precisely,
    },
    options::{Ack, Options},
    traffic::{
        consumer::subscribe,
        pacer::Pacer,
        producer::ring,
        progress::Progress,
        ring::Ring,
        topology::Topology,
        workers::{Timed, Window, join, measure_window, spawn, watched},
    },
};

pub fn run(options: &Options) -> Result<Report> {
    wake_precisely();
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
    let receivers: Vec<Connection> =
        (0..options.consumers).map(|number| subscribe(options, topology, number)).collect::<Result<_>>()?;
    let mut senders = Vec::new();
    for number in 0..options.producers {
        let connection = Connection::open(&options.uri, Role::Producer)?;
        let ring = ring(options, topology, number, connection.frame_max);
        senders.push((connection, ring));
    }
    let work = || drive_workers(options, &progress, receivers, senders);
    let (((figures, start, end), samples), series) = watched(options, &progress, work)?;
    let mut histogram = Histogram::default();
    for (sent, age) in samples.into_iter().flatten() {
        if (start..end).contains(&sent) {
            histogram.record(age);
        }
    }
    let mut report = Report::new(options, Some(figures));
    report.latency = Some(Latency::from(&histogram));
    report.totals = Some(Totals::new(progress.published(), options.copies(), progress.consumed()));
    report.series = series.samples;
    Ok(report)
}

/// Runs all threads; returns what was measured when, and every arrival.
fn drive_workers(
    options: &Options,
    progress: &Progress,
    receivers: Vec<Connection>,
    senders: Vec<(Connection, Ring)>,
) -> Result<(Window, Vec<Vec<Timed>>)> {
    let epoch = Instant::now();
    let per_sender = options.rate.unwrap_or(1000.0) / options.producers as f64;
    thread::scope(|scope| {
        let mut receiving = Vec::new();
        for (number, connection) in receivers.into_iter().enumerate() {
            let work = move || receive(connection, options.ack, progress, number, epoch);
            receiving.push(spawn(scope, progress, format!("consumer-{number}"), work)?);
        }
        let mut sending = Vec::new();
        for (number, (connection, ring)) in senders.into_iter().enumerate() {
            // Evenly apart, or all senders would send at the same instant.
            let offset = Duration::from_secs_f64(number as f64 / (per_sender * options.producers as f64));
            let pacer = Pacer::new(Instant::now() + offset, per_sender);
            let work = move || send(connection, ring, pacer, progress, number, epoch);
            sending.push(spawn(scope, progress, format!("producer-{number}"), work)?);
        }
        let measured = measure_window(options, progress);
        progress.stop_producing();
        join(sending);
        progress.wait_drained();
        progress.stop_consuming();
        let samples: Vec<Vec<Timed>> = join(receiving);
        measured.map(|measured| (measured, samples))
    })
}

fn send(
    mut connection: Connection,
    mut ring: Ring,
    mut pacer: Pacer,
    progress: &Progress,
    number: usize,
    epoch: Instant,
) -> Result<()> {
    let mut total = 0;
    while !progress.producing_stopped() {
        let stamp = pacer.wait_next().saturating_duration_since(epoch).as_nanos() as u64;
        connection.out.write_all(ring.next_stamped(stamp))?;
        total += 1;
        progress.set_published(number, total);
    }
    connection.close()
}

/// Reads until told to stop and notes the age of every message.
fn receive(
    mut connection: Connection,
    ack: Ack,
    progress: &Progress,
    number: usize,
    epoch: Instant,
) -> Result<Vec<Timed>> {
    let mut samples = Vec::new();
    let mut acks = Vec::new();
    let mut expects_body = false;
    loop {
        while let Some(frame) = connection.inbound.take_frame() {
            match frame.kind {
                HEADER => expects_body = true,
                // Only a message's first body frame carries the time.
                BODY if expects_body => {
                    expects_body = false;
                    let sent = epoch + Duration::from_nanos(read_u64(frame.payload, 0));
                    samples.push((sent, sent.elapsed()));
                    let tag = samples.len() as u64;
                    match ack {
                        Ack::Auto => {}
                        Ack::Each => push_ack(&mut acks, tag, false),
                        Ack::Every(every) if tag.is_multiple_of(every) => push_ack(&mut acks, tag, true),
                        Ack::Every(_) => {}
                    }
                }
                METHOD if matches!(frame.method_id(), id::CONNECTION_CLOSE | id::CHANNEL_CLOSE) => {
                    return Err(frame.close_reason());
                }
                _ => {}
            }
        }
        if !acks.is_empty() {
            connection.out.write_all(&acks)?;
            acks.clear();
        }
        progress.set_consumed(number, samples.len() as u64);
        match connection.inbound.fill()? {
            Fill::Data => {}
            Fill::Idle if progress.consuming_stopped() => break,
            Fill::Idle => {}
            Fill::End if progress.producing_stopped() => return Ok(samples),
            Fill::End => return Err(BenchError::Unexpected("end of a consumer's connection".to_owned())),
        }
    }
    if !progress.has_failed() {
        connection.close()?;
    }
    Ok(samples)
}
