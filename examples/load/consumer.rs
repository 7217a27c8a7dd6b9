//! A consuming connection: counts deliveries and acknowledges them in one write per read.

use std::{io::Write, time::Duration};

use crate::{
    connection::{Connection, Role},
    error::{LoadError, Result},
    inbound::Fill,
    options::{Ack, Options},
    progress::Progress,
    scanner::{Scanner, Stop},
    topology::Topology,
    wire::{FRAME_PREFIX, METHOD, Table, Value, id, push_ack},
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
}

/// Connects and subscribes to this consumer's share of the queues.
pub fn subscribe(options: &Options, topology: &Topology, number: usize) -> Result<Connection> {
    let mut connection = Connection::open(&options.uri, Role::Consumer)?;
    connection.inbound.set_timeout(Some(IDLE))?;
    if options.uri.is_relay() {
        return Ok(connection);
    }
    let automatic = options.ack == Ack::Auto;
    if !automatic && options.prefetch > 0 {
        connection.call(id::BASIC_QOS, id::BASIC_QOS_OK, |arguments| {
            arguments.long(0).short(options.prefetch).octet(0)
        })?;
    }
    // A backlog of a stream is there before its consumers are.
    let is_stream = options.queue_type.as_deref() == Some("stream");
    let offset = ("x-stream-offset".to_owned(), Value::Text("first".to_owned()));
    let arguments: Table = is_stream.then_some(offset).into_iter().collect();
    for queue in topology.queues_of(number, options.consumers) {
        connection.consume(queue, automatic, &arguments)?;
    }
    Ok(connection)
}

impl Consumer {
    pub fn open(options: &Options, topology: &Topology, number: usize) -> Result<Consumer> {
        let connection = subscribe(options, topology, number)?;
        Ok(Consumer { number, connection, ack: options.ack, acknowledged: 0 })
    }

    /// Consumes until told to stop, then closes the connection.
    pub fn run(mut self, progress: &Progress) -> Result<()> {
        let mut scanner = Scanner::default();
        let mut acks = Vec::new();
        loop {
            self.scan(&mut scanner)?;
            // Delivery tags count from one on a channel, so the number of messages is the last tag.
            self.acknowledge(scanner.complete(), &mut acks)?;
            progress.set_consumed(self.number, scanner.complete());
            match self.connection.inbound.fill()? {
                Fill::Data if progress.consuming_stopped() && progress.has_failed() => break,
                Fill::Data => {}
                Fill::Idle if progress.consuming_stopped() => break,
                Fill::Idle => {}
                Fill::End if progress.producing_stopped() => return Ok(()),
                Fill::End => return Err(LoadError::Unexpected("end of a consumer's connection".to_owned())),
            }
        }
        if progress.has_failed() {
            // The stream may stand in the middle of a body, where an orderly end cannot be read.
            return Ok(());
        }
        self.connection.close()
    }

    fn scan(&mut self, scanner: &mut Scanner) -> Result<()> {
        loop {
            let (used, stop) = scanner.scan(self.connection.inbound.data());
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
            id::CONNECTION_CLOSE | id::CHANNEL_CLOSE => Err(frame.close_reason()),
            id::BASIC_CANCEL => Err(LoadError::Unexpected("the broker cancelled a consumer".to_owned())),
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
