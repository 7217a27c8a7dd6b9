//! A peer that sends whatever it is told to, and reads only when it is told to.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use futures_lite::future;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

use crate::{target::within, wire::*};

/// A frame as received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub channel: u16,
    pub payload: Vec<u8>,
}

impl Frame {
    /// Class and method number; zeros when it is no method.
    pub fn method(&self) -> (u16, u16) {
        match *self.payload.as_slice() {
            [c0, c1, m0, m1, ..] if self.kind == METHOD => {
                (u16::from_be_bytes([c0, c1]), u16::from_be_bytes([m0, m1]))
            }
            _ => (0, 0),
        }
    }

    /// The octets after class and method number.
    pub fn arguments(&self) -> &[u8] {
        self.payload.get(4..).unwrap_or_default()
    }

    /// The reply code of a close.
    pub fn reply_code(&self) -> u16 {
        u16::from_be_bytes(*self.arguments().first_chunk().expect("a close has a reply code"))
    }

    /// A close in words: `530 NOT_ALLOWED - why (10,40)`.
    pub fn reason(&self) -> String {
        let (_, rest) = self.arguments().split_at(2);
        let (text, ids) = rest[1..].split_at(usize::from(rest[0]));
        let (class, method) = (u16::from_be_bytes([ids[0], ids[1]]), u16::from_be_bytes([ids[2], ids[3]]));
        format!("{} {} ({class},{method})", self.reply_code(), String::from_utf8_lossy(text))
    }

    /// A short string at the start of the arguments.
    pub fn first_short(&self) -> Vec<u8> {
        let arguments = self.arguments();
        arguments[1..=usize::from(arguments[0])].to_vec()
    }
}

/// A socket without manners.
pub struct Attacker {
    stream: TcpStream,
    /// Received and not looked at yet.
    input: Vec<u8>,
}

impl Attacker {
    /// Connects and says nothing.
    pub async fn connect(address: SocketAddr) -> Attacker {
        Attacker::connect_from(Ipv4Addr::LOCALHOST, address).await
    }

    /// Connects from another address of this machine.
    pub async fn connect_from(from: Ipv4Addr, address: SocketAddr) -> Attacker {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((from, 0).into()).unwrap();
        let stream = within("a TCP connection", socket.connect(address)).await.expect("the port is open");
        stream.set_nodelay(true).unwrap();
        Attacker { stream, input: Vec::new() }
    }

    /// Connects with as small a receive buffer as the kernel allows, for peers that will not read.
    pub async fn connect_narrow(address: SocketAddr) -> Attacker {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let stream = within("a TCP connection", socket.connect(address)).await.expect("the port is open");
        Attacker { stream, input: Vec::new() }
    }

    /// Logs in and opens `/`, with every limit as the broker offers it and without heartbeats.
    pub async fn open(address: SocketAddr) -> Attacker {
        let mut attacker = Attacker::connect(address).await;
        attacker.log_in().await;
        attacker
    }

    /// As [`Attacker::open`], with channel 1 open.
    pub async fn with_channel(address: SocketAddr) -> Attacker {
        let mut attacker = Attacker::open(address).await;
        attacker.open_channel(1).await;
        attacker
    }

    /// The handshake of a socket that has sent nothing yet.
    pub async fn log_in(&mut self) {
        self.send(&handshake("guest", "guest")).await;
        self.expect((10, 10)).await;
        self.expect((10, 30)).await;
        self.expect((10, 41)).await;
    }

    pub async fn open_channel(&mut self, channel: u16) {
        self.send(&channel_open(channel)).await;
        self.expect(CHANNEL_OPEN_OK).await;
    }

    /// Declares a queue without arguments.
    pub async fn declare(&mut self, queue: &str, bits: u8) -> Frame {
        self.send(&declare(1, queue, bits, b"")).await;
        self.expect(DECLARE_OK).await
    }

    /// Writes octets that the broker has to take.
    pub async fn send(&mut self, octets: &[u8]) {
        within("room in the socket", self.stream.write_all(octets)).await.expect("the socket is open");
    }

    /// Writes octets; false when the broker has closed the socket.
    pub async fn try_send(&mut self, octets: &[u8]) -> bool {
        within("room in the socket", self.stream.write_all(octets)).await.is_ok()
    }

    /// Writes octets while reading as many frames, so that neither side waits for the other.
    pub async fn exchange(&mut self, octets: &[u8], answers: usize) -> Vec<Frame> {
        let (mut reader, mut writer) = self.stream.split();
        let input = &mut self.input;
        let write = async { writer.write_all(octets).await.expect("the socket is open") };
        let read = async {
            let mut frames = Vec::new();
            while frames.len() < answers {
                match take_frame(input) {
                    Some(frame) => frames.push(frame),
                    None if read_more(&mut reader, input).await => {}
                    None => panic!("the broker closed the socket after {} answers", frames.len()),
                }
            }
            frames
        };
        within("all answers", future::zip(write, read)).await.1
    }

    /// The next frame that is no heartbeat; `None` at the end of the stream, also when it is reset.
    pub async fn frame(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = take_frame(&mut self.input) {
                if frame.kind != HEARTBEAT {
                    return Some(frame);
                }
            } else if !within("a frame", read_more(&mut self.stream, &mut self.input)).await {
                return None;
            }
        }
    }

    /// The next frame is this method.
    pub async fn expect(&mut self, method: (u16, u16)) -> Frame {
        let frame = self.frame().await.expect("the connection stays open");
        assert_eq!(frame.method(), method, "{frame:?}");
        frame
    }

    /// The broker asks to close the connection; its reply code.
    pub async fn close_code(&mut self) -> u16 {
        loop {
            let frame = self.frame().await.expect("connection.close before the end of the stream");
            if frame.method() == CONNECTION_CLOSE {
                return frame.reply_code();
            }
        }
    }

    /// The broker closes the connection, and the socket after our answer; its reply code.
    pub async fn closed_with(&mut self) -> u16 {
        let code = self.close_code().await;
        self.try_send(&method(0, 10, 51, &[])).await;
        self.ended().await;
        code
    }

    /// The broker closes a channel; its reply code. The channel is free again then.
    pub async fn channel_closed_with(&mut self, channel: u16) -> u16 {
        loop {
            let frame = self.frame().await.expect("channel.close before the end of the stream");
            if frame.method() == CHANNEL_CLOSE && frame.channel == channel {
                self.send(&channel_close_ok(channel)).await;
                return frame.reply_code();
            }
            assert_ne!(frame.method(), CONNECTION_CLOSE, "only a channel is closed: {frame:?}");
        }
    }

    /// The broker closes the socket; what it sent before does not matter.
    pub async fn ended(&mut self) {
        within("the end of the stream", async {
            while read_more(&mut self.stream, &mut self.input).await {
                self.input.clear();
            }
        })
        .await;
    }

    /// Everything that the broker sent until it closed the socket.
    pub async fn rest(&mut self) -> Vec<u8> {
        let all = async { while read_more(&mut self.stream, &mut self.input).await {} };
        within("the end of the stream", all).await;
        std::mem::take(&mut self.input)
    }

    /// Whether the broker has sent anything that was not read yet.
    pub async fn has_input(&mut self) -> bool {
        let more = read_more(&mut self.stream, &mut self.input);
        let _ended_or_nothing_yet = future::poll_once(more).await;
        !self.input.is_empty()
    }

    /// Ends the connection without a word, with a reset.
    pub fn reset(self) {
        socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// Sends the end of the stream, and reads on.
    pub async fn half_close(&mut self) {
        self.stream.shutdown().await.expect("the socket is open");
    }

    /// Closes in order.
    pub async fn close(mut self) {
        self.send(&method(0, 10, 50, &[0, 200, 0, 0, 0, 0, 0])).await;
        while self.frame().await.expect("connection.close-ok").method() != (10, 51) {}
    }
}

/// The client's half of the handshake at one go.
pub fn handshake(user: &str, password: &str) -> Vec<u8> {
    [HEADER, &start_ok(&client_properties(b""), user, password), &tune_ok(0, 0, 0), &open("/")].concat()
}

/// Splits a complete frame off the front.
fn take_frame(input: &mut Vec<u8>) -> Option<Frame> {
    let &[kind, c0, c1, s0, s1, s2, s3] = input.first_chunk::<7>()?;
    let size = u32::from_be_bytes([s0, s1, s2, s3]) as usize;
    if input.len() < size + 8 {
        return None;
    }
    let payload = input[7..7 + size].to_vec();
    assert_eq!(input[7 + size], 0xCE, "frames of the broker are whole");
    input.drain(..size + 8);
    Some(Frame { kind, channel: u16::from_be_bytes([c0, c1]), payload })
}

/// False at the end of the stream, or when the connection is reset.
async fn read_more(stream: &mut (impl AsyncReadExt + Unpin), input: &mut Vec<u8>) -> bool {
    let read: io::Result<usize> = stream.read_buf(input).await;
    read.is_ok_and(|octets| octets != 0)
}
