//! One blocking AMQP connection with one channel: handshake, calls, orderly end.

use std::{
    io::Write,
    net::{Shutdown, TcpStream},
    time::Duration,
};

use socket2::SockRef;

use crate::bench::{
    client::{
        inbound::{Fill, Inbound},
        properties::server_name,
        target::Target,
        wire::{CHANNEL, FRAME_MAX, METHOD, Payload, Value, id, push_method},
    },
    error::{BenchError, Result},
};

/// A broker that takes nothing for this long is given up.
const WRITE_STALL: Duration = Duration::from_secs(60);
/// One read; also above the largest frame the tool lets a broker send.
const BLOCK: usize = 256 * 1024;
/// Room for the frames of handshakes and answers.
const SMALL_BLOCK: usize = 8 * 1024;
/// How often a waiting read looks at the clock.
const READ_WAKE: Duration = Duration::from_secs(1);

/// Which end of a relay a connection is; AMQP brokers do not care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Producer,
    Consumer,
}

impl Role {
    /// The first byte a relay reads.
    pub fn marker(self) -> u8 {
        match self {
            Role::Producer => b'P',
            Role::Consumer => b'C',
        }
    }
}

pub struct Connection {
    pub out: TcpStream,
    pub inbound: Inbound,
    pub frame_max: u32,
    /// What the broker calls itself.
    pub server: Option<String>,
    relay: bool,
}

impl Connection {
    /// Connects and, unless the target is a relay, logs in and opens the channel.
    pub fn open(target: &Target, role: Role) -> Result<Connection> {
        Connection::open_with(target, role, BLOCK)
    }

    /// One that moves no messages to speak of, and is one of many or short-lived.
    pub fn open_small(target: &Target) -> Result<Connection> {
        Connection::open_with(target, Role::Consumer, SMALL_BLOCK)
    }

    fn open_with(target: &Target, role: Role, block: usize) -> Result<Connection> {
        let out = TcpStream::connect(target.address())
            .map_err(|error| BenchError::Connect { target: target.to_string(), error })?;
        out.set_nodelay(true)?;
        out.set_write_timeout(Some(WRITE_STALL))?;
        let inbound = Inbound::new(out.try_clone()?, block);
        inbound.set_timeout(Some(READ_WAKE))?;
        let mut connection =
            Connection { out, inbound, frame_max: FRAME_MAX, server: None, relay: target.is_relay() };
        match target {
            Target::Relay { .. } => connection.out.write_all(&[role.marker()])?,
            Target::Amqp { user, password, vhost, .. } => connection.handshake(user, password, vhost)?,
        }
        Ok(connection)
    }

    fn handshake(&mut self, user: &str, password: &str, vhost: &str) -> Result<()> {
        self.out.write_all(b"AMQP\0\0\x09\x01")?;
        self.server = server_name(&self.expect(id::CONNECTION_START)?);
        let tune = self.call_on(0, id::CONNECTION_START_OK, id::CONNECTION_TUNE, |arguments| {
            let login = format!("\0{user}\0{password}");
            let arguments = arguments.table(&client_properties()).short_string("PLAIN");
            arguments.long_string(login.as_bytes()).short_string("en_US")
        })?;
        let (channel_max, offered) = match tune[..] {
            [c0, c1, f0, f1, f2, f3, ..] => {
                (u16::from_be_bytes([c0, c1]), u32::from_be_bytes([f0, f1, f2, f3]))
            }
            _ => return Err(BenchError::Unexpected("a short connection.tune".to_owned())),
        };
        self.frame_max = if offered == 0 { FRAME_MAX } else { offered.min(FRAME_MAX) };
        let frame_max = self.frame_max;
        self.send(0, id::CONNECTION_TUNE_OK, |arguments| {
            arguments.short(channel_max).long(frame_max).short(0)
        })?;
        self.call_on(0, id::CONNECTION_OPEN, id::CONNECTION_OPEN_OK, |arguments| {
            arguments.short_string(vhost).short_string("").octet(0)
        })?;
        self.call(id::CHANNEL_OPEN, id::CHANNEL_OPEN_OK, |arguments| arguments.short_string(""))?;
        Ok(())
    }

    /// Writes one method.
    pub fn send(&mut self, channel: u16, id: u32, fill: impl FnOnce(Payload) -> Payload) -> Result<()> {
        let mut frame = Vec::new();
        push_method(&mut frame, channel, id, fill);
        Ok(self.out.write_all(&frame)?)
    }

    /// Writes one method on the channel and waits for its answer's arguments.
    pub fn call(&mut self, id: u32, answer: u32, fill: impl FnOnce(Payload) -> Payload) -> Result<Vec<u8>> {
        self.call_on(CHANNEL, id, answer, fill)
    }

    /// As [`Connection::call`], on any channel.
    pub fn call_on(
        &mut self,
        channel: u16,
        id: u32,
        answer: u32,
        fill: impl FnOnce(Payload) -> Payload,
    ) -> Result<Vec<u8>> {
        self.send(channel, id, fill)?;
        self.expect(answer)
    }

    /// Waits for one method; a close in its place is an error.
    pub fn expect(&mut self, expected: u32) -> Result<Vec<u8>> {
        expect(&mut self.inbound, expected)
    }

    /// Starts consuming `queue` without waiting for more than the answer.
    pub fn consume(&mut self, queue: &str, automatic: bool) -> Result<()> {
        self.ask_to_consume(queue, automatic, &[])?;
        self.expect(id::BASIC_CONSUME_OK).map(drop)
    }

    /// As [`Connection::consume`], and leaves the answer to be read.
    pub fn ask_to_consume(&mut self, queue: &str, automatic: bool, table: &[(String, Value)]) -> Result<()> {
        self.send(CHANNEL, id::BASIC_CONSUME, |arguments| {
            let bits = u8::from(automatic) << 1;
            arguments.short(0).short_string(queue).short_string("").octet(bits).table(table)
        })
    }

    /// Ends channel and connection; whatever the broker still sends is read and dropped.
    pub fn close(mut self) -> Result<()> {
        if self.relay {
            return Ok(self.out.shutdown(Shutdown::Write)?);
        }
        send_close(&mut self.out, CHANNEL, id::CHANNEL_CLOSE)?;
        self.skip_until(id::CHANNEL_CLOSE_OK)?;
        self.finish()
    }

    /// Ends the connection after its channel has been closed.
    pub fn finish(mut self) -> Result<()> {
        send_close(&mut self.out, 0, id::CONNECTION_CLOSE)?;
        self.skip_until(id::CONNECTION_CLOSE_OK)
    }

    /// As [`Connection::close`], leaving no trace of the socket behind.
    ///
    /// A socket that its owner closes first keeps its port for a minute, and a machine has some 28,000: too
    /// few to open and close thousands a second. A reset after close-ok keeps nothing.
    pub fn close_for_good(mut self) -> Result<()> {
        send_close(&mut self.out, 0, id::CONNECTION_CLOSE)?;
        self.skip_until(id::CONNECTION_CLOSE_OK)?;
        Ok(SockRef::from(&self.out).set_linger(Some(Duration::ZERO))?)
    }

    fn skip_until(&mut self, wanted: u32) -> Result<()> {
        loop {
            let frame = self.inbound.wait_frame()?;
            if frame.kind == METHOD && frame.method_id() == wanted {
                return Ok(());
            }
        }
    }
}

/// Asks for the end of the channel or, on channel 0, of the connection.
///
/// The channel goes first: its close-ok says that everything published on it has been taken.
pub fn send_close(out: &mut TcpStream, channel: u16, id: u32) -> Result<()> {
    let mut frame = Vec::new();
    push_method(&mut frame, channel, id, |arguments| {
        arguments.short(200).short_string("done").short(0).short(0)
    });
    Ok(out.write_all(&frame)?)
}

/// Waits on `inbound` for the method `expected` and returns its arguments.
pub fn expect(inbound: &mut Inbound, expected: u32) -> Result<Vec<u8>> {
    let frame = inbound.wait_frame()?;
    match frame.method_id() {
        method if frame.kind == METHOD && method == expected => Ok(frame.payload[4..].to_vec()),
        id::CONNECTION_CLOSE | id::CHANNEL_CLOSE if frame.kind == METHOD => Err(frame.close_reason()),
        method => Err(BenchError::Unexpected(format!(
            "frame type {}, method {}.{} in place of {}.{}",
            frame.kind,
            method >> 16,
            method & 0xffff,
            expected >> 16,
            expected & 0xffff
        ))),
    }
}

/// Watches a connection that should stay silent; ends without error at its end.
pub fn watch(inbound: &mut Inbound) -> Result<()> {
    loop {
        while let Some(frame) = inbound.take_frame() {
            match frame.method_id() {
                id::CONNECTION_CLOSE | id::CHANNEL_CLOSE if frame.kind == METHOD => {
                    return Err(frame.close_reason());
                }
                id::CHANNEL_CLOSE_OK if frame.kind == METHOD => return Ok(()),
                _ => {}
            }
        }
        if inbound.fill()? == Fill::End {
            return Ok(());
        }
    }
}

fn client_properties() -> Vec<(String, Value)> {
    let capabilities = vec![
        ("authentication_failure_close".to_owned(), Value::Bool(true)),
        ("basic.nack".to_owned(), Value::Bool(true)),
        ("consumer_cancel_notify".to_owned(), Value::Bool(true)),
        ("publisher_confirms".to_owned(), Value::Bool(true)),
    ];
    vec![
        ("product".to_owned(), Value::Text("leveret bench".to_owned())),
        ("capabilities".to_owned(), Value::Table(capabilities)),
    ]
}
