//! One TCP connection to a broker: octets out, events in.

use std::{
    collections::{HashMap, VecDeque},
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use super::{BODY, CONTENT_HEADER, Content, FRAME_END, HEARTBEAT, METHOD, Method, frame, methods};

/// A frame as it came.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    pub kind: u8,
    pub channel: u16,
    pub payload: Vec<u8>,
}

/// Why there is nothing more to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The peer closed, by FIN or RST.
    Closed,
    /// Nothing came in time.
    Timeout,
}

/// What the broker said.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A method, with its content if it has one.
    Method(u16, Method, Option<Content>),
    Heartbeat,
    /// A protocol header instead of a frame.
    Header([u8; 8]),
    /// Something no broker may send.
    Malformed(String),
    End(End),
}

/// A connection.
pub struct Peer {
    stream: TcpStream,
    input: Vec<u8>,
    output: Vec<u8>,
    /// Contents whose body is not complete, by channel.
    partial: HashMap<u16, Partial>,
    /// Events to hand out again before reading.
    pending: VecDeque<Event>,
    /// Largest frame the broker may send.
    pub frame_max: usize,
}

struct Partial {
    method: Method,
    content: Option<Content>,
    left: usize,
}

impl Peer {
    /// Connects; nothing is sent yet.
    pub fn connect(addr: SocketAddr) -> Peer {
        let stream = TcpStream::connect_timeout(&addr, Duration::from_secs(10)).expect("the broker accepts");
        stream.set_nodelay(true).expect("a connected socket takes options");
        let (input, output) = (Vec::new(), Vec::new());
        Peer { stream, input, output, partial: HashMap::new(), pending: VecDeque::new(), frame_max: 131_072 }
    }

    /// Queues octets; they leave with the next [`Peer::flush`], in one write.
    pub fn queue(&mut self, octets: &[u8]) {
        self.output.extend(octets);
    }

    /// Queues a method frame.
    pub fn queue_method(&mut self, channel: u16, method: &Method) {
        self.queue(&frame(METHOD, channel, &method.encode()));
    }

    /// Sends what is queued. A failure shows at the next read, as the end of the stream.
    pub fn flush(&mut self) {
        let output = std::mem::take(&mut self.output);
        let _ = self.stream.write_all(&output);
    }

    /// Puts an event back, to be the next.
    pub fn unread(&mut self, event: Event) {
        self.pending.push_front(event);
    }

    /// The next event. Every heartbeat is one too.
    pub fn next(&mut self, timeout: Duration) -> Event {
        self.flush();
        if let Some(event) = self.pending.pop_front() {
            return event;
        }
        let deadline = Instant::now() + timeout;
        loop {
            match self.parse() {
                Ok(Some(event)) => return event,
                Ok(None) => {}
                Err(why) => return Event::Malformed(why),
            }
            if let Err(end) = self.fill(deadline) {
                return Event::End(end);
            }
        }
    }

    fn fill(&mut self, deadline: Instant) -> Result<(), End> {
        let left = deadline.checked_duration_since(Instant::now()).ok_or(End::Timeout)?;
        let left = left.max(Duration::from_millis(1));
        self.stream.set_read_timeout(Some(left)).expect("a connected socket takes options");
        let mut chunk = [0; 65_536];
        match self.stream.read(&mut chunk) {
            Ok(0) => Err(End::Closed),
            Ok(n) => {
                self.input.extend(&chunk[..n]);
                Ok(())
            }
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Err(End::Timeout),
            Err(e) if e.kind() == ErrorKind::Interrupted => Ok(()),
            Err(_) => Err(End::Closed),
        }
    }

    fn parse(&mut self) -> Result<Option<Event>, String> {
        if self.input.starts_with(b"A") {
            let Some(header) = self.input.first_chunk::<8>().copied() else { return Ok(None) };
            self.input.drain(..8);
            return Ok(Some(Event::Header(header)));
        }
        while let Some(frame) = self.parse_frame()? {
            if let Some(event) = self.absorb(frame)? {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    fn parse_frame(&mut self) -> Result<Option<Frame>, String> {
        let Some(head) = self.input.first_chunk::<7>().copied() else { return Ok(None) };
        let [kind, c1, c0, s3, s2, s1, s0] = head;
        let size = u32::from_be_bytes([s3, s2, s1, s0]) as usize;
        // Only bodies are cut to fit; a method or header goes out whole whatever its size.
        if kind == BODY && size + 8 > self.frame_max {
            return Err(format!("body frame of {size} octets with frame-max {}", self.frame_max));
        }
        if self.input.len() < size + 8 {
            return Ok(None);
        }
        let frame: Vec<u8> = self.input.drain(..size + 8).collect();
        if frame[size + 7] != FRAME_END {
            return Err(format!("frame ends with {:#04x}", frame[size + 7]));
        }
        Ok(Some(Frame { kind, channel: u16::from_be_bytes([c1, c0]), payload: frame[7..size + 7].to_vec() }))
    }

    /// Takes in a frame; an event when it completes one.
    fn absorb(&mut self, frame: Frame) -> Result<Option<Event>, String> {
        let channel = frame.channel;
        match frame.kind {
            HEARTBEAT if frame.payload.is_empty() && channel == 0 => Ok(Some(Event::Heartbeat)),
            METHOD if self.partial.contains_key(&channel) => Err("method inside a content".to_owned()),
            METHOD => {
                let method = Method::decode(&frame.payload)?;
                if !methods::has_content(method.name) {
                    return Ok(Some(Event::Method(channel, method, None)));
                }
                self.partial.insert(channel, Partial { method, content: None, left: 0 });
                Ok(None)
            }
            CONTENT_HEADER => {
                let partial = self.partial.get_mut(&channel).ok_or("header without a method")?;
                let (size, content) = Content::decode_header(&frame.payload)?;
                partial.left = usize::try_from(size).map_err(|_| "absurd body size")?;
                partial.content = Some(content);
                Ok(self.complete(channel))
            }
            BODY => {
                let partial = self.partial.get_mut(&channel).ok_or("body without a header")?;
                let content = partial.content.as_mut().ok_or("body before the header")?;
                partial.left = partial.left.checked_sub(frame.payload.len()).ok_or("body too long")?;
                content.frames.push(frame.payload.len());
                content.body.extend(frame.payload);
                Ok(self.complete(channel))
            }
            kind => Err(format!("frame of type {kind} on channel {channel}")),
        }
    }

    fn complete(&mut self, channel: u16) -> Option<Event> {
        let done = self.partial.get(&channel).is_some_and(|p| p.left == 0 && p.content.is_some());
        let partial = if done { self.partial.remove(&channel)? } else { return None };
        Some(Event::Method(channel, partial.method, partial.content))
    }
}
