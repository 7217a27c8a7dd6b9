//! Churn modes: how often a second connections, channels or queues can come and go.
//!
//! Each worker does one round after the other and waits for its end; a round's latency is that of all its
//! steps together. With `--rate` rounds begin on schedule, and one that had to wait counts from when it was due.

use std::{io::Write, process, thread, time::Instant};

use crate::bench::{
    client::{
        connection::{Connection, Role, expect},
        wire::{CHANNEL, Envelope, Framing, id, push_content, push_method},
    },
    error::{BenchError, Result},
    figures::{
        histogram::Histogram,
        measure::Figures,
        report::{Latency, Report},
    },
    options::{Mode, Options},
    traffic::{
        pacer::Pacer,
        producer::share,
        progress::Progress,
        workers::{join, measure_window, snapshot, spawn, watched},
    },
};

/// The channel that comes and goes; the connection's own stays.
const PASSING: u16 = CHANNEL + 1;

pub fn run(options: &Options) -> Result<Report> {
    let progress = Progress::new(options.producers, 0, 1, u64::MAX);
    let workers: Vec<Worker> =
        (0..options.producers).map(|number| Worker::open(options, number)).collect::<Result<_>>()?;
    let ((figures, rounds), series) = watched(options, &progress, || work(options, &progress, workers))?;
    let mut report = Report::new(options, Some(figures));
    report.latency = Some(Latency::from(&rounds));
    report.series = series.samples;
    Ok(report)
}

fn work(options: &Options, progress: &Progress, workers: Vec<Worker>) -> Result<(Figures, Histogram)> {
    thread::scope(|scope| {
        let before = snapshot(options, progress)?;
        if options.count.is_some() {
            progress.begin_window(Instant::now());
        }
        let mut working = Vec::new();
        for (number, worker) in workers.into_iter().enumerate() {
            let work = move || worker.run(options, progress);
            working.push(spawn(scope, progress, format!("worker-{number}"), work)?);
        }
        let measured = match options.count {
            Some(_) => None,
            None => Some(measure_window(options, progress)),
        };
        if measured.is_some() {
            progress.stop_producing();
        }
        let mut all = Histogram::default();
        join(working).iter().for_each(|rounds| all.merge(rounds));
        let figures = match measured {
            Some(measured) => measured?.0,
            None => Figures::between(&before, &snapshot(options, progress)?),
        };
        Ok((figures, all))
    })
}

/// One thread's part.
struct Worker {
    number: usize,
    /// What channels and queues live on; connections that come and go need none.
    connection: Option<Connection>,
    /// All frames of a round, written at once.
    frames: Vec<u8>,
}

impl Worker {
    fn open(options: &Options, number: usize) -> Result<Worker> {
        let connection = match options.mode {
            Mode::ConnectionChurn => None,
            _ => Some(Connection::open(&options.uri, Role::Producer)?),
        };
        let frames = match (&connection, options.mode) {
            (Some(connection), Mode::QueueChurn) => queue_frames(options, number, connection.frame_max),
            (Some(_), _) => channel_frames(),
            (None, _) => Vec::new(),
        };
        Ok(Worker { number, connection, frames })
    }

    /// Rounds until told to stop or the count is reached; returns how long those in the window took.
    fn run(mut self, options: &Options, progress: &Progress) -> Result<Histogram> {
        let mut rounds = Histogram::default();
        let count = options.count.map_or(u64::MAX, |count| share(count, self.number, options.producers));
        let per_worker = options.rate.map(|rate| rate / options.producers as f64);
        let mut pacer = per_worker.map(|rate| Pacer::new(Instant::now(), rate));
        let mut total = 0;
        while total < count && !progress.producing_stopped() {
            let began = pacer.as_mut().map_or_else(Instant::now, Pacer::wait_next);
            self.round(options)?;
            let took = began.elapsed();
            if progress.is_measured(began) {
                rounds.record(took);
            }
            total += 1;
            progress.set_published(self.number, total);
        }
        if let Some(connection) = self.connection {
            connection.close()?;
        }
        Ok(rounds)
    }

    fn round(&mut self, options: &Options) -> Result<()> {
        let Some(connection) = &mut self.connection else {
            return Connection::open_small(&options.uri)?.close_for_good();
        };
        connection.out.write_all(&self.frames)?;
        let inbound = &mut connection.inbound;
        if options.mode == Mode::ChannelChurn {
            expect(inbound, id::CHANNEL_OPEN_OK)?;
            return expect(inbound, id::CHANNEL_CLOSE_OK).map(drop);
        }
        expect(inbound, id::QUEUE_DECLARE_OK)?;
        let answer = inbound.wait_frame()?;
        if answer.method_id() != id::BASIC_GET_OK {
            let lost = answer.method_id() == id::BASIC_GET_EMPTY;
            let close = answer.close_reason();
            return Err(if lost {
                BenchError::Unexpected("the message was not in its queue".to_owned())
            } else {
                close
            });
        }
        // Its header and its body, which is there and fits one frame.
        inbound.wait_frame()?;
        inbound.wait_frame()?;
        expect(inbound, id::QUEUE_DELETE_OK).map(drop)
    }
}

fn channel_frames() -> Vec<u8> {
    let mut frames = Vec::new();
    push_method(&mut frames, PASSING, id::CHANNEL_OPEN, |arguments| arguments.short_string(""));
    push_method(&mut frames, PASSING, id::CHANNEL_CLOSE, |arguments| {
        arguments.short(200).short_string("done").short(0).short(0)
    });
    frames
}

/// Declares a queue of this worker's own, publishes to it, gets the message without acknowledgement, deletes it.
fn queue_frames(options: &Options, number: usize, frame_max: u32) -> Vec<u8> {
    const NO_ACK: u8 = 1;
    let prefix = options.name.clone().unwrap_or_else(|| format!("bench-{}", process::id()));
    let name = format!("{prefix}-churn-{number}");
    let durable = u8::from(options.is_durable()) << 1;
    let body = vec![b'x'; options.size[0].clamp(1, frame_max as usize / 2)];
    let envelope =
        Envelope { routing_key: name.clone(), persistent: options.persistent, ..Envelope::default() };
    let mut frames = Vec::new();
    push_method(&mut frames, CHANNEL, id::QUEUE_DECLARE, |arguments| {
        arguments.short(0).short_string(&name).octet(durable).table(&options.queue_arguments())
    });
    push_content(&mut frames, Framing::Publish, &envelope, &body, frame_max);
    push_method(&mut frames, CHANNEL, id::BASIC_GET, |arguments| {
        arguments.short(0).short_string(&name).octet(NO_ACK)
    });
    push_method(&mut frames, CHANNEL, id::QUEUE_DELETE, |arguments| {
        arguments.short(0).short_string(&name).octet(0)
    });
    frames
}
