//! The frame envelope: seven octets of head, payload, one end octet (WIR-01).

use super::ChannelId;

/// Octets before the payload.
pub const HEAD: usize = 7;
/// Octets of a frame that are not payload.
pub const OVERHEAD: usize = 8;
/// The octet that ends every frame.
pub const END: u8 = 0xCE;
/// Smallest frame-max that may be negotiated (WIR-06: RabbitMQ 3's minimum, so that old clients connect).
pub const FRAME_MAX_FLOOR: u32 = 4096;

/// What a frame carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameKind {
    Method,
    Header,
    Body,
    Heartbeat,
    /// A type octet that AMQP 0-9-1 does not know.
    Unknown(u8),
}

impl FrameKind {
    #[inline]
    pub fn from_octet(octet: u8) -> FrameKind {
        match octet {
            1 => FrameKind::Method,
            2 => FrameKind::Header,
            3 => FrameKind::Body,
            8 => FrameKind::Heartbeat,
            other => FrameKind::Unknown(other),
        }
    }

    pub fn octet(self) -> u8 {
        match self {
            FrameKind::Method => 1,
            FrameKind::Header => 2,
            FrameKind::Body => 3,
            FrameKind::Heartbeat => 8,
            FrameKind::Unknown(octet) => octet,
        }
    }
}

/// The seven octets before a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHead {
    pub kind: FrameKind,
    pub channel: ChannelId,
    /// Octets of payload, as the peer claims.
    pub size: u32,
}

impl FrameHead {
    /// Reads a head from the start of `bytes`; `None` while fewer than seven octets are there.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Option<FrameHead> {
        let &[kind, c0, c1, s0, s1, s2, s3] = bytes.first_chunk::<HEAD>()?;
        Some(FrameHead {
            kind: FrameKind::from_octet(kind),
            channel: u16::from_be_bytes([c0, c1]),
            size: u32::from_be_bytes([s0, s1, s2, s3]),
        })
    }

    /// Octets of the whole frame, end octet included.
    #[inline]
    pub fn frame_size(&self) -> usize {
        self.size as usize + OVERHEAD
    }
}
