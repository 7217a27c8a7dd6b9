//! Putting a content together from its method, header and body frames.

use std::borrow::Cow;

use bytes::Bytes;

use super::{Body, Content};
use crate::amqp::{
    Failure, FrameKind, Limit, MethodId, ReplyCode,
    frame::{HEAD, OVERHEAD},
    hot::Publish,
    properties::ContentHeader,
};

/// The class of contents: basic.
const BASIC: u16 = 60;
/// No configuration allows larger bodies (CON-116).
pub const BODY_SIZE_CAP: u64 = 512 << 20;
/// Body frames below this are gathered into larger pieces, in octets.
const PIECE_MIN: usize = 16 << 10;

/// A channel's content in progress.
#[derive(Debug)]
pub enum Assembly {
    Idle,
    /// A publish came; its content header is due.
    Header(Box<Pending>),
    /// The header came; so many octets of body are still due.
    Body {
        pending: Box<Pending>,
        missing: u64,
    },
}

/// What has arrived of a content.
#[derive(Debug)]
pub struct Pending {
    exchange: Box<[u8]>,
    routing_key: Box<[u8]>,
    mandatory: bool,
    immediate: bool,
    properties: Box<[u8]>,
    pieces: Vec<Bytes>,
    /// Small frames gather here, so that a body sent octet by octet does not cost a piece each.
    tail: Vec<u8>,
    held: u64,
}

impl Pending {
    /// Adds the payload of a frame; `lent` is the frame, when its octets may be kept.
    fn add(&mut self, payload: &[u8], lent: Option<Bytes>) {
        self.held += payload.len() as u64;
        if payload.len() < PIECE_MIN && self.tail.len() < PIECE_MIN {
            self.tail.extend_from_slice(payload);
            return;
        }
        self.flush_tail();
        if payload.len() < PIECE_MIN {
            self.tail.extend_from_slice(payload);
        } else {
            let lent = lent.filter(|frame| frame.len() == payload.len() + OVERHEAD);
            let kept = lent.map(|frame| frame.slice(HEAD..HEAD + payload.len()));
            self.pieces.push(kept.unwrap_or_else(|| Bytes::copy_from_slice(payload)));
        }
    }

    fn flush_tail(&mut self) {
        if !self.tail.is_empty() {
            self.pieces.push(Bytes::from(std::mem::take(&mut self.tail)));
        }
    }

    fn into_content(mut self) -> Content<'static> {
        self.flush_tail();
        Content {
            exchange: Cow::Owned(self.exchange.into()),
            routing_key: Cow::Owned(self.routing_key.into()),
            mandatory: self.mandatory,
            immediate: self.immediate,
            properties: Cow::Owned(self.properties.into()),
            body: Body::Pieces(self.pieces),
            frames: &[],
        }
    }
}

impl Assembly {
    /// A publish came whose content did not come with it.
    pub fn begin(publish: &Publish<'_>) -> Assembly {
        Assembly::Header(Box::new(Pending {
            exchange: publish.exchange.into(),
            routing_key: publish.routing_key.into(),
            mandatory: publish.mandatory,
            immediate: publish.immediate,
            properties: Box::default(),
            pieces: Vec::new(),
            tail: Vec::new(),
            held: 0,
        }))
    }

    /// Octets of properties and body that have arrived.
    pub fn held(&self) -> u64 {
        match self {
            Assembly::Body { pending, .. } => pending.held,
            Assembly::Idle | Assembly::Header(_) => 0,
        }
    }

    /// Takes the next frame of a content; `Some` when the content is complete. `lent` is the whole frame, when its
    /// octets may be kept.
    ///
    /// Errors are those of chapter 1.10 of the reference. After an error the channel or the connection is
    /// closed, so that nothing is left to assemble.
    pub fn accept(
        &mut self,
        kind: FrameKind,
        payload: &[u8],
        lent: Option<Bytes>,
        size_max: u64,
    ) -> Result<Option<Content<'static>>, Failure> {
        match (std::mem::replace(self, Assembly::Idle), kind) {
            (Assembly::Idle, _) => Err(unexpected("expected method frame, got non method frame instead")),
            (Assembly::Header(pending), FrameKind::Header) => self.accept_header(pending, payload, size_max),
            (Assembly::Header(_), _) => Err(header_expected().at(MethodId::PUBLISH)),
            (Assembly::Body { pending, missing }, FrameKind::Body) => {
                self.accept_body(pending, missing, payload, lent)
            }
            (Assembly::Body { .. }, _) => {
                let text = "expected content body, got non content body frame instead";
                Err(unexpected(text).at(MethodId::PUBLISH))
            }
        }
    }

    fn accept_header(
        &mut self,
        mut pending: Box<Pending>,
        payload: &[u8],
        size_max: u64,
    ) -> Result<Option<Content<'static>>, Failure> {
        let header = check_header(payload, size_max)?;
        pending.properties = header.properties.into();
        pending.held = header.properties.len() as u64;
        if header.body_size == 0 {
            return Ok(Some(pending.into_content()));
        }
        *self = Assembly::Body { pending, missing: header.body_size };
        Ok(None)
    }

    fn accept_body(
        &mut self,
        mut pending: Box<Pending>,
        missing: u64,
        payload: &[u8],
        lent: Option<Bytes>,
    ) -> Result<Option<Content<'static>>, Failure> {
        let arrived = payload.len() as u64;
        let Some(missing) = missing.checked_sub(arrived) else {
            let text = "content body frame exceeds remaining content size";
            return Err(Failure::connection(ReplyCode::FrameError, text).at(MethodId::PUBLISH));
        };
        // Empty frames are legal (CON-117).
        pending.add(payload, lent);
        if missing == 0 {
            return Ok(Some(pending.into_content()));
        }
        *self = Assembly::Body { pending, missing };
        Ok(None)
    }
}

/// Checks a content header that is due: class, weight and size.
pub fn check_header(payload: &[u8], size_max: u64) -> Result<ContentHeader<'_>, Failure> {
    let Some(header) = ContentHeader::parse(payload) else {
        return Err(Failure::connection(ReplyCode::SyntaxError, "malformed content header"));
    };
    if header.class != BASIC {
        let text =
            format!("expected content header for class 60, got one for class {} instead", header.class);
        return Err(unexpected(&text).at(MethodId::PUBLISH));
    }
    if header.weight != 0 {
        return Err(header_expected().at(MethodId::PUBLISH));
    }
    let size = header.body_size;
    if BODY_SIZE_CAP < size {
        let text = format!("content body size {size} exceeds maximum allowed size {BODY_SIZE_CAP}");
        let failure = Failure::connection(ReplyCode::FrameError, text).at(MethodId::PUBLISH);
        return Err(failure.over(Limit::MessageSize));
    }
    if size_max < size {
        let limit = if size_max == BODY_SIZE_CAP { "max size" } else { "configured max size" };
        let text = format!("message size {size} is larger than {limit} {size_max}");
        let failure = Failure::channel(ReplyCode::PreconditionFailed, text).at(MethodId::PUBLISH);
        return Err(failure.over(Limit::MessageSize));
    }
    Ok(header)
}

fn unexpected(text: &str) -> Failure {
    Failure::connection(ReplyCode::UnexpectedFrame, text)
}

fn header_expected() -> Failure {
    unexpected("expected content header for class 60, got non content header frame instead")
}
