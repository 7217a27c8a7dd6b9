//! RPC mode: direct reply-to round trips, one at a time for each requester.

use std::{
    io::Write,
    thread,
    time::{Duration, Instant},
};

use crate::bench::{
    client::{
        connection::{Connection, Role},
        inbound::{Fill, Frame},
        wire::{BODY, Envelope, FLAG_REPLY_TO, Framing, HEADER, METHOD, id, push_content, read_short_string},
    },
    error::{BenchError, Result},
    figures::{
        histogram::Histogram,
        report::{Latency, Report},
    },
    options::Options,
    traffic::{
        progress::Progress,
        topology::Topology,
        workers::{Timed, Window, join, measure_window, spawn, watched},
    },
};

const REPLY_TO: &str = "amq.rabbitmq.reply-to";
/// How often a responder looks whether it is wanted.
const IDLE: Duration = Duration::from_millis(50);
/// Byte of a header frame where the properties' flags are.
const FLAGS_AT: usize = 12;

pub fn run(options: &Options) -> Result<Report> {
    let topology = Topology::declare(options)?;
    let report = drive(options, &topology);
    let deleted = topology.delete();
    let report = report?;
    deleted?;
    Ok(report)
}

fn drive(options: &Options, topology: &Topology) -> Result<Report> {
    let progress = Progress::new(options.producers, options.producers, 1, u64::MAX);
    let pairs: Vec<(Peer, Peer)> =
        (0..options.producers).map(|_| open_pair(options, topology)).collect::<Result<_>>()?;
    let work = || converse(options, topology, &progress, pairs);
    let (((figures, start, end), samples), series) = watched(options, &progress, work)?;
    let mut histogram = Histogram::default();
    for (sent, took) in samples.into_iter().flatten() {
        if (start..end).contains(&sent) {
            histogram.record(took);
        }
    }
    let mut report = Report::new(options, Some(figures));
    report.latency = Some(Latency::from(&histogram));
    report.series = series.samples;
    Ok(report)
}

/// Runs all threads; returns what was measured when, and each request's time and duration.
fn converse(
    options: &Options,
    topology: &Topology,
    progress: &Progress,
    pairs: Vec<(Peer, Peer)>,
) -> Result<(Window, Vec<Vec<Timed>>)> {
    thread::scope(|scope| {
        let (mut requesting, mut responding) = (Vec::new(), Vec::new());
        for (number, (requester, responder)) in pairs.into_iter().enumerate() {
            let work = move || responder.respond(progress);
            responding.push(spawn(scope, progress, format!("responder-{number}"), work)?);
            let work = move || requester.request(options, topology, progress, number);
            requesting.push(spawn(scope, progress, format!("requester-{number}"), work)?);
        }
        let measured = measure_window(options, progress);
        progress.stop_producing();
        let samples: Vec<Vec<Timed>> = join(requesting);
        progress.stop_consuming();
        join(responding);
        measured.map(|measured| (measured, samples))
    })
}

/// One end of the conversation.
struct Peer {
    connection: Connection,
    framing: Framing,
}

/// A requester that can get replies, and a responder that waits for requests.
fn open_pair(options: &Options, topology: &Topology) -> Result<(Peer, Peer)> {
    let mut requester = Connection::open(&options.uri, Role::Producer)?;
    let mut responder = Connection::open(&options.uri, Role::Consumer)?;
    responder.inbound.set_timeout(Some(IDLE))?;
    let framing = if options.uri.is_relay() {
        Framing::Deliver
    } else {
        requester.consume(REPLY_TO, true)?;
        responder.consume(&topology.queues()[0], true)?;
        Framing::Publish
    };
    Ok((Peer { connection: requester, framing }, Peer { connection: responder, framing }))
}

impl Peer {
    /// Sends the next request when the last reply is here; returns when each was sent and how long it took.
    fn request(
        mut self,
        options: &Options,
        topology: &Topology,
        progress: &Progress,
        number: usize,
    ) -> Result<Vec<Timed>> {
        let mut envelope = topology.envelopes_of(0, 1)[0].clone();
        envelope.reply_to = Some(REPLY_TO.to_owned());
        let (mut request, body) = (Vec::new(), vec![b'x'; options.size[0]]);
        push_content(&mut request, self.framing, &envelope, &body, self.connection.frame_max);
        let mut samples = Vec::new();
        while !progress.producing_stopped() {
            let sent = Instant::now();
            self.connection.out.write_all(&request)?;
            let mut reply = Incoming::default();
            while !reply.take(self.connection.inbound.wait_frame()?)? {}
            samples.push((sent, sent.elapsed()));
            let total = samples.len() as u64;
            progress.set_published(number, total);
            progress.set_consumed(number, total);
        }
        self.connection.close()?;
        Ok(samples)
    }

    /// Answers each request with its own body.
    fn respond(mut self, progress: &Progress) -> Result<()> {
        let mut request = Incoming::default();
        let mut reply = Vec::new();
        loop {
            while let Some(frame) = self.connection.inbound.take_frame() {
                if !request.take(frame)? {
                    continue;
                }
                let envelope = Envelope { routing_key: request.reply_to.clone(), ..Envelope::default() };
                reply.clear();
                push_content(&mut reply, self.framing, &envelope, &request.body, self.connection.frame_max);
                self.connection.out.write_all(&reply)?;
                request = Incoming::default();
            }
            match self.connection.inbound.fill()? {
                Fill::Data => {}
                Fill::Idle if progress.consuming_stopped() => break,
                Fill::Idle => {}
                Fill::End if progress.producing_stopped() => return Ok(()),
                Fill::End => {
                    return Err(BenchError::Unexpected("end of a responder's connection".to_owned()));
                }
            }
        }
        if progress.has_failed() { Ok(()) } else { self.connection.close() }
    }
}

/// A message being received.
#[derive(Debug, Default)]
struct Incoming {
    body_size: u64,
    body: Vec<u8>,
    reply_to: String,
}

impl Incoming {
    /// Takes a frame; true once the message is complete.
    fn take(&mut self, frame: Frame<'_>) -> Result<bool> {
        match frame.kind {
            HEADER => {
                self.body_size = crate::bench::client::inbound::read_u64(frame.payload, 4);
                self.reply_to = reply_to(frame.payload).unwrap_or_default().to_owned();
            }
            BODY => self.body.extend_from_slice(frame.payload),
            METHOD if matches!(frame.method_id(), id::CONNECTION_CLOSE | id::CHANNEL_CLOSE) => {
                return Err(frame.close_reason());
            }
            _ => return Ok(false),
        }
        Ok(self.body.len() as u64 == self.body_size)
    }
}

/// The reply-to of a header frame that has no other property, which is what requesters send.
fn reply_to(header: &[u8]) -> Option<&str> {
    let (flags, properties) = header.get(FLAGS_AT..)?.split_at_checked(2)?;
    let only_reply_to = u16::from_be_bytes([flags[0], flags[1]]) == FLAG_REPLY_TO;
    only_reply_to.then(|| read_short_string(properties)).flatten().map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_complete_with_its_body_and_knows_where_to_reply() {
        let header = [
            &[0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3][..],
            &FLAG_REPLY_TO.to_be_bytes(),
            &[4, b'b', b'a', b'c', b'k'],
        ]
        .concat();
        let mut request = Incoming::default();
        assert!(!request.take(Frame { kind: HEADER, payload: &header }).unwrap());
        assert!(!request.take(Frame { kind: BODY, payload: b"ab" }).unwrap());
        assert!(request.take(Frame { kind: BODY, payload: b"c" }).unwrap());
        assert_eq!((request.reply_to.as_str(), request.body.as_slice()), ("back", b"abc".as_slice()));
    }
}
