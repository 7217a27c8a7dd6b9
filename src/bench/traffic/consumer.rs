//! A consuming connection: counts deliveries and acknowledges them in one write per read.

use std::{io::Write, time::Duration};

use crate::bench::{
    client::{
        connection::{Connection, Role},
        inbound::Fill,
        scanner::{Scanner, Stop},
        wire::{FRAME_PREFIX, METHOD, Value, id, push_ack},
    },
    error::{BenchError, Result},
    options::{Ack, Options},
    traffic::{progress::Progress, topology::Topology},
};

/// How often an idle consumer looks whether it is wanted.
const IDLE: Duration = Duration::from_millis(50);

/// One consumer, subscribed and ready.
pub struct Consumer {
    number: usize,
    connection: Connection,
    ack: Ack,
    /// Everything up to this delivery tag has been acknowledged.
    acknowledged: u64,
    /// So many messages stay unacknowledged.
    behind: u64,
    scanner: Scanner,
    /// Queues that it consumes from by now.
    subscribed: usize,
}

/// Connects and subscribes to this consumer's share of the queues, which are empty.
pub fn subscribe(options: &Options, topology: &Topology, number: usize) -> Result<Connection> {
    let (mut connection, queues) = ask(options, topology, number)?;
    (0..queues).try_for_each(|_| connection.expect(id::BASIC_CONSUME_OK).map(drop))?;
    Ok(connection)
}

/// Connects and asks for this consumer's share of the queues; says how many those are. From queues that are
/// not empty, deliveries may come before the last answer.
fn ask(options: &Options, topology: &Topology, number: usize) -> Result<(Connection, usize)> {
    let mut connection = Connection::open(&options.uri, Role::Consumer)?;
    connection.inbound.set_timeout(Some(IDLE))?;
    if options.uri.is_relay() {
        return Ok((connection, 0));
    }
    let automatic = options.ack == Ack::Auto;
    if !automatic && options.prefetch > 0 {
        connection.call(id::BASIC_QOS, id::BASIC_QOS_OK, |arguments| {
            arguments.long(0).short(options.prefetch).octet(0)
        })?;
    }
    // Where publishing comes first, what a stream has so far is what is to be read.
    let from_first = options.is_stream() && options.has_phases();
    let arguments = if from_first { vec![stream_offset("first")] } else { Vec::new() };
    let queues = topology.queues_of(number, options.consumers);
    for queue in &queues {
        connection.ask_to_consume(queue, automatic, &arguments)?;
    }
    Ok((connection, queues.len()))
}

fn stream_offset(place: &str) -> (String, Value) {
    ("x-stream-offset".to_owned(), Value::Text(place.to_owned()))
}

impl Consumer {
    pub fn open(options: &Options, topology: &Topology, number: usize) -> Result<Consumer> {
        let (connection, queues) = ask(options, topology, number)?;
        let mut consumer = Consumer {
            number,
            connection,
            ack: options.ack,
            acknowledged: 0,
            behind: options.unacked,
            scanner: Scanner::default(),
            subscribed: 0,
        };
        while consumer.subscribed < queues {
            if consumer.connection.inbound.fill()? == Fill::End {
                return Err(BenchError::Unexpected("end of a consumer's connection".to_owned()));
            }
            consumer.scan()?;
        }
        Ok(consumer)
    }

    /// Consumes until told to stop, then closes the connection.
    pub fn run(mut self, progress: &Progress) -> Result<()> {
        let mut acks = Vec::new();
        loop {
            self.scan()?;
            // Delivery tags count from one on a channel, so the number of messages is the last tag.
            self.acknowledge(self.scanner.complete().saturating_sub(self.behind), &mut acks)?;
            progress.set_consumed(self.number, self.scanner.complete());
            match self.connection.inbound.fill()? {
                Fill::Data if progress.consuming_stopped() && progress.has_failed() => break,
                Fill::Data => {}
                Fill::Idle if progress.consuming_stopped() => break,
                Fill::Idle => {}
                Fill::End if progress.producing_stopped() => return Ok(()),
                Fill::End => return Err(BenchError::Unexpected("end of a consumer's connection".to_owned())),
            }
        }
        if progress.has_failed() {
            // The stream may stand in the middle of a body, where an orderly end cannot be read.
            return Ok(());
        }
        if self.ack != Ack::Auto && self.acknowledged < self.scanner.complete() {
            // What fills no batch, and what was held back, shall not return to a queue that is kept.
            acks.clear();
            push_ack(&mut acks, self.scanner.complete(), true);
            self.connection.out.write_all(&acks)?;
        }
        self.connection.close()
    }

    fn scan(&mut self) -> Result<()> {
        loop {
            let (used, stop) = self.scanner.scan(self.connection.inbound.data());
            self.connection.inbound.consume(used);
            match stop {
                Stop::NeedMore => return Ok(()),
                Stop::Method { .. } => self.take_method()?,
            }
        }
    }

    /// A method that is no delivery: the end, or nothing to us.
    fn take_method(&mut self) -> Result<()> {
        let frame = self.connection.inbound.take_frame().expect("the scanner saw all of it");
        debug_assert!(frame.kind == METHOD && frame.payload.len() + FRAME_PREFIX > FRAME_PREFIX);
        match frame.method_id() {
            id::BASIC_CONSUME_OK => {
                self.subscribed += 1;
                Ok(())
            }
            id::CONNECTION_CLOSE | id::CHANNEL_CLOSE => Err(frame.close_reason()),
            id::BASIC_CANCEL => Err(BenchError::Unexpected("the broker cancelled a consumer".to_owned())),
            _ => Ok(()),
        }
    }

    fn acknowledge(&mut self, complete: u64, out: &mut Vec<u8>) -> Result<()> {
        out.clear();
        match self.ack {
            Ack::Auto => return Ok(()),
            Ack::Each => (self.acknowledged + 1..=complete).for_each(|tag| push_ack(out, tag, false)),
            Ack::Every(every) => {
                let due = complete - complete % every;
                (self.acknowledged + every..=due)
                    .step_by(usize::try_from(every).unwrap_or(usize::MAX))
                    .for_each(|tag| push_ack(out, tag, true));
            }
        }
        if !out.is_empty() {
            self.connection.out.write_all(out)?;
            self.acknowledged = match self.ack {
                Ack::Every(every) => complete - complete % every,
                _ => complete,
            };
        }
        Ok(())
    }
}
