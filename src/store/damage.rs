//! What can be wrong with a log, in words.

use std::io;

use super::{definition::QueueId, segment};

/// What a recovery found, for people.
#[derive(Debug, Default)]
pub struct Report {
    pub segments: usize,
    pub batches: u64,
    pub records: u64,
    pub bytes: u64,
    /// Octets at the end that were being written when the broker stopped; nothing in them was confirmed.
    pub torn_bytes: u64,
    pub damage: Vec<Damage>,
    /// The version of leveret that made the newest segment.
    pub written_by: Option<String>,
    /// Files in the log's directory that are not leveret's.
    pub foreign: Vec<String>,
}

/// Something that was durable and cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    pub segment: u64,
    pub offset: u64,
    pub kind: DamageKind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DamageKind {
    /// A record fails its checksum; its message stood in these places, as far as can be told.
    Record { places: Vec<(QueueId, u64)> },
    /// A record that says what became of messages fails its checksum: they are there again.
    Settlement { queue: QueueId, runs: Vec<(u64, u64)> },
    /// Whole batches, by number, are missing or unreadable.
    Batches { first: u64, last: u64 },
    /// Batches before this one are missing from the oldest segment; nothing says how many.
    Beginning { before: u64 },
    /// Segments up to this one are missing though they were needed.
    Segments { before: u64 },
    /// What a segment begins with cannot be read; its batches can.
    Header,
}

impl DamageKind {
    /// Whether more is lost than single messages that can be named.
    pub fn is_grave(&self) -> bool {
        match self {
            DamageKind::Record { places } => places.is_empty(),
            DamageKind::Settlement { .. } | DamageKind::Header => false,
            DamageKind::Batches { .. } | DamageKind::Beginning { .. } | DamageKind::Segments { .. } => true,
        }
    }
}

/// Why a log cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    #[error("{path} cannot be used: {error}")]
    Io { path: String, error: io::Error },
    #[error(
        "the log has format {found}, written by leveret {by}; this version knows format {}",
        segment::FORMAT
    )]
    Format { found: u32, by: String },
    #[error("the log is damaged: {}", .0.first().map(ToString::to_string).unwrap_or_default())]
    Damaged(Vec<Damage>),
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Damage { segment, offset, kind } = self;
        match kind {
            DamageKind::Segments { before } => return write!(f, "segments before {before:016x} are missing"),
            _ => write!(f, "segment {segment:016x}, octet {offset}: ")?,
        }
        match kind {
            DamageKind::Record { places } if places.is_empty() => write!(f, "a record cannot be read"),
            DamageKind::Record { places } => {
                write!(f, "a message cannot be read")?;
                for (queue, sequence) in places {
                    write!(f, "; it was number {sequence} of queue #{queue}")?;
                }
                Ok(())
            }
            DamageKind::Settlement { queue, .. } => {
                write!(f, "a settlement of queue #{queue} cannot be read")
            }
            DamageKind::Batches { first, last } if first == last => {
                write!(f, "batch {first} is missing or cannot be read to its end")
            }
            DamageKind::Batches { first, last } => write!(f, "batches {first} to {last} are missing"),
            DamageKind::Beginning { before } => write!(f, "batches before batch {before} are missing"),
            DamageKind::Header => write!(f, "the segment's header cannot be read"),
            DamageKind::Segments { .. } => Ok(()),
        }
    }
}
