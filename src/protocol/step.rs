//! One look at the input: the next complete frame, or content, and what it means.

use std::borrow::Cow;

use super::{
    Body, ChannelPhase, Connection, Content, Event, Phase, Step,
    assembly::{self, Assembly},
};
use crate::amqp::{
    AMQPClass, ChannelId, Failure, FrameHead, FrameKind, Limit, MethodId, ReplyCode, basic, channel,
    connection,
    frame::{END, HEAD, OVERHEAD},
    hot, method,
    reader::Reader,
};

/// A frame that cannot be read is passed over up to this many octets; one that claims more is not believed to
/// come at all, and must not hide the answer to our close.
const SKIP_MAX: usize = 16 << 20;

/// Where in the frame of a publish its exchange's name begins, its length first: behind the head, two numbers and
/// the ticket.
const EXCHANGE_AT: usize = HEAD + 4 + 2;

/// A frame whose payload lies in the input.
#[derive(Debug, Clone, Copy)]
struct Frame<'a> {
    kind: FrameKind,
    channel: ChannelId,
    payload: &'a [u8],
}

/// A frame that cannot be read, and how many octets it has, envelope included; not all need have arrived.
type Unreadable = Box<(Failure, usize)>;

/// The octets of a frame at the start of `input`, `None` while it is incomplete.
#[inline]
fn split_frame(input: &[u8], frame_max: u32) -> Result<Option<(Frame<'_>, usize)>, Unreadable> {
    let Some(head) = FrameHead::parse(input) else { return Ok(None) };
    let size = head.frame_size();
    // Eight octets of slack for clients that forget the envelope (CON-92).
    if frame_max < head.size {
        return Err(too_large(head, frame_max));
    }
    let Some(whole) = input.get(..size) else { return Ok(None) };
    let Some((&end, rest)) = whole.split_last() else { return Ok(None) };
    let payload = rest.get(HEAD..).unwrap_or_default();
    if end != END {
        return Err(badly_ended(head, payload, end));
    }
    Ok(Some((Frame { kind: head.kind, channel: head.channel, payload }, size)))
}

#[cold]
fn too_large(head: FrameHead, frame_max: u32) -> Unreadable {
    let (kind, size) = (head.kind.octet(), head.size);
    let text = format!("type {kind}, all octets = <<>>: {{frame_too_large,{size},{}}}", frame_max - 8);
    let failure = Failure::connection(ReplyCode::FrameError, text).over(Limit::FrameSize);
    Box::new((failure, head.frame_size()))
}

#[cold]
fn badly_ended(head: FrameHead, payload: &[u8], end: u8) -> Unreadable {
    let (kind, octets) = (head.kind.octet(), method::preview(payload));
    let text = format!("type {kind}, {octets}: {{invalid_frame_end_marker,{end}}}");
    Box::new((Failure::connection(ReplyCode::FrameError, text), head.frame_size()))
}

impl Connection {
    /// Looks at `input`, which begins with octets not used up yet, and takes at most one event off it.
    ///
    /// # Errors
    /// What the peer did wrong; hand it to [`Connection::fail`] with the channel given here. The octets at
    /// fault count as used up, so that a channel error can go on with what follows them.
    pub fn step<'a>(
        &mut self,
        input: &'a [u8],
        out: &mut Vec<u8>,
    ) -> Result<Step<'a>, (ChannelId, Failure, usize)> {
        let mut used = 0;
        loop {
            let rest = input.get(used..).unwrap_or_default();
            match self.phase {
                Phase::Running => {}
                Phase::Closing { .. } if self.skip != 0 => match self.skip(rest.len()) {
                    0 => return Ok(Step::NeedMore { used }),
                    octets => {
                        used += octets;
                        continue;
                    }
                },
                Phase::Closing { .. } => {}
                Phase::Finished | Phase::Answered => return Ok(Step::Finished),
                Phase::Refused { .. } => return Ok(Step::NeedMore { used: input.len() }),
                Phase::Handshake(_) if self.awaits_header() => match self.read_header(rest, out) {
                    Some(octets) => {
                        used += octets;
                        continue;
                    }
                    None if self.is_finished() => return Ok(Step::Finished),
                    None => return Ok(Step::NeedMore { used }),
                },
                Phase::Handshake(_) => {}
            }
            let frame_max = self.tuned.frame_max;
            let (frame, size) = match split_frame(rest, frame_max) {
                Ok(Some(found)) => found,
                Ok(None) => return Ok(Step::NeedMore { used }),
                // After our own close nothing the peer sends is an error any more.
                Err(_) if matches!(self.phase, Phase::Closing { .. }) => {
                    self.phase = Phase::Finished;
                    return Ok(Step::Finished);
                }
                Err(unreadable) => {
                    let (failure, size) = *unreadable;
                    let size = if SKIP_MAX < size { HEAD } else { size };
                    let here = size.min(rest.len());
                    self.skip = size - here;
                    return Err((0, failure, used + here));
                }
            };
            let before = used;
            used += size;
            let found = match self.phase {
                Phase::Running => self.running(frame, rest, &mut used, out),
                Phase::Closing { .. } => Ok(self.closing(frame)),
                _ => self.handshake(frame.kind, frame.channel, frame.payload),
            };
            debug_assert!(before < used, "each turn uses something up");
            match found {
                Ok(Some(event)) => return Ok(Step::Event { used, event }),
                Ok(None) => {}
                Err(failure) => return Err((frame.channel, failure, used)),
            }
        }
    }

    /// Passes over what is still to come of a frame that could not be read: the peer's close-ok follows it.
    fn skip(&mut self, available: usize) -> usize {
        let octets = self.skip.min(available);
        self.skip -= octets;
        octets
    }

    #[inline]
    fn running<'a>(
        &mut self,
        frame: Frame<'a>,
        input: &'a [u8],
        used: &mut usize,
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'a>>, Failure> {
        match frame.kind {
            FrameKind::Method => self.method(frame, input, used, out),
            FrameKind::Header | FrameKind::Body => self.content(frame),
            FrameKind::Heartbeat => check_heartbeat(frame.channel, frame.payload).map(|()| None),
            FrameKind::Unknown(octet) => {
                let text = format!("type {octet}, {}: unknown_frame", method::preview(frame.payload));
                Err(Failure::connection(ReplyCode::FrameError, text))
            }
        }
    }

    #[inline]
    fn method<'a>(
        &mut self,
        frame: Frame<'a>,
        input: &'a [u8],
        used: &mut usize,
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'a>>, Failure> {
        match (frame.payload, self.channels.get_mut(&frame.channel)) {
            (&[0, 60, 0, 40, ..], Some(ChannelPhase::Open(assembly @ Assembly::Idle))) => {
                let publish = hot::publish(frame.payload)
                    .ok_or_else(|| method::cannot_decode(frame.payload).at(MethodId::PUBLISH))?;
                let limits = (self.tuned.frame_max, self.limits.message_size_max);
                let size = frame.payload.len() + OVERHEAD;
                match whole_content(publish, frame.channel, input, size, limits) {
                    Some((content, octets)) => {
                        *used += octets;
                        Ok(Some(Event::Content(frame.channel, content)))
                    }
                    None => {
                        *assembly = Assembly::begin(&publish);
                        Ok(None)
                    }
                }
            }
            (&[0, 60, 0, 80 | 90 | 120, ..], Some(ChannelPhase::Open(Assembly::Idle))) => {
                let settle = hot::settle(frame.payload).ok_or_else(|| {
                    let id = MethodId::parse(frame.payload).unwrap_or(MethodId::NONE);
                    method::cannot_decode(frame.payload).at(id)
                })?;
                Ok(Some(Event::Settle(frame.channel, settle)))
            }
            (_, Some(ChannelPhase::Open(assembly @ (Assembly::Header(_) | Assembly::Body { .. })))) => {
                assembly.accept(FrameKind::Method, frame.payload, None, 0).map(|_| None)
            }
            _ => self.slow_method(frame, out),
        }
    }

    fn slow_method(
        &mut self,
        frame: Frame<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'static>>, Failure> {
        if matches!(self.channels.get(&frame.channel), Some(ChannelPhase::Closing)) {
            return self.closing_channel(frame, out);
        }
        let class = method::parse(frame.payload, self.limits.table_depth_max)?;
        let id = MethodId::of(&class);
        let unimplemented = || Failure::connection(ReplyCode::CommandInvalid, "unimplemented method").at(id);
        if frame.channel == 0 {
            return self.connection_method(class, out).map_err(|failure| failure.at(id));
        }
        if let AMQPClass::Connection(_) = class {
            return Err(unimplemented());
        }
        if let AMQPClass::Channel(channel::AMQPMethod::Open(_)) = class {
            self.open_channel(frame.channel)?;
            return Ok(Some(Event::ChannelOpen(frame.channel)));
        }
        if !self.channels.contains_key(&frame.channel) {
            // After crossing closes the answer to ours comes when the channel is gone already (CH-02).
            if let AMQPClass::Channel(channel::AMQPMethod::CloseOk(_)) = class {
                return Ok(None);
            }
            return Err(Failure::connection(ReplyCode::ChannelError, "expected 'channel.open'").at(id));
        }
        match class {
            AMQPClass::Basic(basic::AMQPMethod::Qos(_)) => {
                check_prefetch_size(frame.payload)?;
                Ok(Some(Event::Method(frame.channel, class)))
            }
            AMQPClass::Channel(channel::AMQPMethod::Close(_)) => Ok(Some(Event::ChannelClose(frame.channel))),
            AMQPClass::Channel(channel::AMQPMethod::CloseOk(_)) => Err(unimplemented()),
            class => Ok(Some(Event::Method(frame.channel, class))),
        }
    }

    /// A channel that we closed hears only close and close-ok; a second open is still an error (CON-125).
    fn closing_channel(
        &mut self,
        frame: Frame<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'static>>, Failure> {
        match MethodId::parse(frame.payload) {
            Some(MethodId { class: 20, method: 41 }) => {
                self.channels.remove(&frame.channel);
            }
            // Both sides closed at once. The number is free when the peer has our answer (CON-130).
            Some(MethodId { class: 20, method: 40 }) => self.channel_closed(frame.channel, out),
            Some(MethodId { class: 20, method: 10 }) => self.open_channel(frame.channel)?,
            _ => {}
        }
        Ok(None)
    }

    fn connection_method(
        &mut self,
        class: AMQPClass,
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'static>>, Failure> {
        match class {
            AMQPClass::Connection(connection::AMQPMethod::Close(_)) => Ok(Some(Event::Close)),
            AMQPClass::Connection(connection::AMQPMethod::UpdateSecret(_)) => {
                let ok = connection::AMQPMethod::UpdateSecretOk(connection::UpdateSecretOk {});
                method::encode(out, 0, AMQPClass::Connection(ok));
                Ok(Some(Event::SecretUpdated))
            }
            _ => {
                let text = "unexpected method in connection state running";
                Err(Failure::connection(ReplyCode::ChannelError, text))
            }
        }
    }

    fn content<'a>(&mut self, frame: Frame<'a>) -> Result<Option<Event<'a>>, Failure> {
        if frame.channel == 0 {
            let text = format!("type {}, {}", frame.kind.octet(), method::preview(frame.payload));
            return Err(Failure::connection(ReplyCode::UnexpectedFrame, text));
        }
        let assembly = match self.channels.get_mut(&frame.channel) {
            Some(ChannelPhase::Open(assembly)) => assembly,
            Some(ChannelPhase::Closing) => return Ok(None),
            None => {
                let text = "expected method frame, got non method frame instead";
                return Err(Failure::connection(ReplyCode::UnexpectedFrame, text));
            }
        };
        let held_before = assembly.held();
        let lent = self.lent.take();
        let content = assembly.accept(frame.kind, frame.payload, lent, self.limits.message_size_max);
        self.partial = (self.partial + assembly.held()).saturating_sub(held_before);
        let only_one = self.partial == assembly.held();
        if self.limits.partial_content_max < self.partial && !only_one {
            let text = "too many octets in contents that are not complete";
            return Err(Failure::connection(ReplyCode::ResourceError, text).over(Limit::PartialContent));
        }
        Ok(content?.map(|content| Event::Content(frame.channel, content)))
    }

    /// After our connection.close only close and close-ok count (CON-72, CON-73).
    fn closing(&mut self, frame: Frame<'_>) -> Option<Event<'static>> {
        if frame.kind != FrameKind::Method || frame.channel != 0 {
            return None;
        }
        match MethodId::parse(frame.payload) {
            Some(MethodId { class: 10, method: 50 }) => Some(Event::Close),
            Some(MethodId { class: 10, method: 51 }) => {
                self.phase = Phase::Finished;
                None
            }
            _ => None,
        }
    }
}

/// basic.qos with a prefetch-size, which the generated type leaves out (CH-72).
fn check_prefetch_size(payload: &[u8]) -> Result<(), Failure> {
    let mut reader = Reader::new(payload.get(4..).unwrap_or_default());
    match reader.u32() {
        Ok(0) | Err(_) => Ok(()),
        Ok(size) => {
            let text = format!("prefetch_size!=0 ({size})");
            Err(Failure::connection(ReplyCode::NotImplemented, text).at(MethodId { class: 60, method: 10 }))
        }
    }
}

/// A heartbeat lives on channel 0 and is empty (CON-65).
pub fn check_heartbeat(channel: ChannelId, payload: &[u8]) -> Result<(), Failure> {
    if channel != 0 {
        let text = format!("type 8, {}", method::preview(payload));
        return Err(Failure::connection(ReplyCode::UnexpectedFrame, text));
    }
    if !payload.is_empty() {
        let text = format!("type 8, {}: unknown_frame", method::preview(payload));
        return Err(Failure::connection(ReplyCode::FrameError, text));
    }
    Ok(())
}

/// The commonest case by far: content header and body follow the publish in the same read, in one body
/// frame. Nothing is copied then. `None` when it is any other case. `input` begins with the publish's frame, which
/// has `method_size` octets.
#[inline]
fn whole_content<'a>(
    publish: hot::Publish<'a>,
    channel: ChannelId,
    input: &'a [u8],
    method_size: usize,
    (frame_max, size_max): (u32, u64),
) -> Option<(Content<'a>, usize)> {
    let frames = input;
    let input = input.get(method_size..)?;
    let Ok(Some((header_frame, header_size))) = split_frame(input, frame_max) else { return None };
    if header_frame.kind != FrameKind::Header || header_frame.channel != channel {
        return None;
    }
    let Ok(header) = assembly::check_header(header_frame.payload, size_max) else { return None };
    let mut octets = header_size;
    let mut body: &[u8] = &[];
    if header.body_size != 0 {
        let after = input.get(header_size..).unwrap_or_default();
        let Ok(Some((body_frame, body_size))) = split_frame(after, frame_max) else { return None };
        let complete = body_frame.payload.len() as u64 == header.body_size;
        if body_frame.kind != FrameKind::Body || body_frame.channel != channel || !complete {
            return None;
        }
        octets += body_size;
        body = body_frame.payload;
    }
    let content = Content {
        exchange: Cow::Borrowed(publish.exchange),
        routing_key: Cow::Borrowed(publish.routing_key),
        mandatory: publish.mandatory,
        immediate: publish.immediate,
        properties: Cow::Borrowed(header.properties),
        body: Body::Whole(body),
        frames: frames.get(EXCHANGE_AT..method_size + octets - 1).unwrap_or_default(),
    };
    Some((content, octets))
}
