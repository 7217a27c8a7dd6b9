//! A publishing connection: writes from the ring as fast as back-pressure, gate and rate allow.

use std::{
    io::Write,
    iter,
    net::{Shutdown, TcpStream},
    thread,
    time::Instant,
};

use crate::bench::{
    client::{
        connection::{Connection, Role, send_close, watch},
        inbound::{Frame, Inbound, read_u64},
        wire::{CHANNEL, Framing, METHOD, id},
    },
    error::{BenchError, Result},
    figures::histogram::Histogram,
    options::Options,
    traffic::{confirms::Confirms, paced, pacer::Pacer, progress::Progress, ring::Ring, topology::Topology},
};

/// One publisher, connected and ready.
pub struct Producer {
    connection: Connection,
    writer: Writer,
    /// Most messages without a confirm; `None` without confirms.
    window: Option<u64>,
    relay: bool,
}

/// What a producer still has to write.
pub struct Writer {
    number: usize,
    ring: Ring,
    pacer: Option<Pacer>,
    /// `None` means until told to stop.
    count: Option<u64>,
    total: u64,
}

impl Producer {
    pub fn open(options: &Options, topology: &Topology, number: usize) -> Result<Producer> {
        let mut connection = Connection::open(&options.uri, Role::Producer)?;
        if options.confirm.is_some() {
            connection.call(id::CONFIRM_SELECT, id::CONFIRM_SELECT_OK, |arguments| arguments.octet(0))?;
        }
        let rate = options.rate.map(|rate| rate / options.producers as f64);
        let writer = Writer {
            number,
            ring: ring(options, topology, number, connection.frame_max),
            pacer: rate.map(|rate| Pacer::new(Instant::now(), rate)),
            count: options.count.map(|count| share(count, number, options.producers)),
            total: 0,
        };
        Ok(Producer { connection, writer, window: options.confirm, relay: options.uri.is_relay() })
    }

    /// Publishes until told to stop or the count is reached, then closes the connection; returns how long
    /// confirms took.
    pub fn run(mut self, progress: &Progress) -> Result<Histogram> {
        if let Some(pacer) = &mut self.writer.pacer {
            // Connections before this one took time to set up; that is no debt of messages.
            pacer.restart(Instant::now());
        }
        match self.window {
            Some(window) if self.writer.pacer.is_some() => {
                return paced::run(self.connection, self.writer, progress, window);
            }
            Some(window) => return self.run_confirmed(progress, window),
            None if self.relay => {
                while self.writer.burst(&mut self.connection.out, u64::MAX, progress, |_| ())? {}
                self.connection.close()?;
            }
            None => self.run_free(progress)?,
        }
        Ok(Histogram::default())
    }

    /// Without confirms nothing comes back but a close; a second thread waits for that.
    fn run_free(mut self, progress: &Progress) -> Result<()> {
        let Connection { out, inbound, .. } = &mut self.connection;
        thread::scope(|scope| {
            let watcher = scope.spawn(|| watch(inbound).map_err(|error| progress.fail(error)));
            let mut publish = || -> Result<()> {
                while self.writer.burst(out, u64::MAX, progress, |_| ())? {}
                send_close(out, CHANNEL, id::CHANNEL_CLOSE)
            };
            let published = publish();
            if published.is_err() {
                // The watcher would wait for an answer that cannot come.
                let _ = out.shutdown(Shutdown::Both);
            }
            let watched = watcher.join().expect("the watcher does not panic");
            // A failed watch has been reported, and explains a failed write.
            if watched.is_err() { Ok(()) } else { published }
        })?;
        if progress.has_failed() { Ok(()) } else { self.connection.finish() }
    }

    /// One thread writes up to the window and reads what confirms came: at a window of one, a second
    /// thread would only add a switch to every message.
    fn run_confirmed(mut self, progress: &Progress, window: u64) -> Result<Histogram> {
        let mut confirms = Confirms::default();
        let mut more = true;
        while more || confirms.open() > 0 {
            let open = confirms.open();
            if more && open < window {
                let out = &mut self.connection.out;
                more = self.writer.burst(out, window - open, progress, |times| confirms.sent(times))?;
            } else {
                read_confirms(&mut self.connection.inbound, &mut confirms, progress)?;
            }
        }
        self.connection.close()?;
        Ok(confirms.into_ages())
    }
}

impl Writer {
    /// Writes once, at most `room` messages; false when there is nothing more to write. `note` gets the times
    /// from which they count, before they are written.
    pub fn burst(
        &mut self,
        out: &mut TcpStream,
        room: u64,
        progress: &Progress,
        note: impl FnOnce(&mut dyn Iterator<Item = Instant>),
    ) -> Result<bool> {
        let left = self.count.map_or(u64::MAX, |count| count - self.total);
        if left == 0 || !progress.may_publish() {
            return Ok(false);
        }
        let (due, has_waited) = self.pacer.as_ref().map_or((u64::MAX, false), Pacer::wait_due);
        let (bytes, messages) = self.ring.next(room.min(left).min(due).min(progress.burst_max()));
        let count = usize::try_from(messages).unwrap_or(usize::MAX);
        match &self.pacer {
            Some(pacer) => note(&mut pacer.scheduled(has_waited).take(count)),
            None => note(&mut iter::repeat_n(Instant::now(), count)),
        }
        out.write_all(bytes)?;
        self.total += messages;
        progress.set_published(self.number, self.total);
        if let Some(pacer) = &mut self.pacer {
            pacer.sent(messages);
        }
        Ok(true)
    }
}

/// Waits for confirms and takes all that are there.
fn read_confirms(inbound: &mut Inbound, confirms: &mut Confirms, progress: &Progress) -> Result<()> {
    let first = inbound.wait_frame()?;
    let now = Instant::now();
    take_confirm(first, confirms, now, progress)?;
    while let Some(frame) = inbound.take_frame() {
        take_confirm(frame, confirms, now, progress)?;
    }
    Ok(())
}

/// Takes a frame that arrived at `now`.
pub fn take_confirm(
    frame: Frame<'_>,
    confirms: &mut Confirms,
    now: Instant,
    progress: &Progress,
) -> Result<()> {
    if frame.kind != METHOD {
        return Ok(());
    }
    match frame.method_id() {
        id::BASIC_ACK => {
            let multiple = frame.payload.get(12).is_some_and(|bits| bits & 1 == 1);
            confirms.ack(read_u64(frame.payload, 4), multiple, now, progress);
            Ok(())
        }
        id::BASIC_NACK => Err(BenchError::Unexpected("the broker refused a message (basic.nack)".to_owned())),
        id::CONNECTION_CLOSE | id::CHANNEL_CLOSE => Err(frame.close_reason()),
        _ => Ok(()),
    }
}

/// How many of `count` messages fall to producer `number`.
pub fn share(count: u64, number: usize, producers: usize) -> u64 {
    let (number, producers) = (number as u64, producers as u64);
    count / producers + u64::from(number < count % producers)
}

/// The messages of producer `number`.
pub fn ring(options: &Options, topology: &Topology, number: usize, frame_max: u32) -> Ring {
    let framing = if options.uri.is_relay() { Framing::Deliver } else { Framing::Publish };
    let envelopes = topology.envelopes_of(number, options.producers);
    Ring::new(framing, &envelopes, &options.size, frame_max)
}
