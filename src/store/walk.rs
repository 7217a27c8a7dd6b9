//! Every record of a log in order, for people to look at.

use std::{io, ops::ControlFlow};

pub use super::batch::Body;
use super::{
    batch::{self, HEADER, RECORD_HEADER},
    damage::RecoveryError,
    disk::{Disk, Open},
    scan::Files,
    segment,
};

/// A record and where it is.
#[derive(Debug, Clone, Copy)]
pub struct Walked<'a> {
    pub segment: u64,
    pub offset: u64,
    pub batch: u64,
    pub body: Body<'a>,
}

/// Hands out all records by the number of their batch, also those of batches that a start would cut off.
/// Changes nothing.
///
/// # Errors
/// When files cannot be read or another version wrote them.
pub fn walk(
    disk: &dyn Disk,
    mut visit: impl FnMut(Walked<'_>) -> ControlFlow<()>,
) -> Result<(), RecoveryError> {
    let io = |error: io::Error| RecoveryError::Io { path: segment::DIRECTORY.to_owned(), error };
    let files = Files::find(disk, Open::ReadOnly)?;
    let mut octets = Vec::new();
    for place in files.batches().map_err(io)? {
        files.read(&place, &mut octets).map_err(io)?;
        let mut offset = place.offset + HEADER as u64;
        for body in batch::bodies(&place.header, &octets) {
            let segment = files.segment_of(&place);
            if visit(Walked { segment, offset, batch: place.header.number, body }).is_break() {
                return Ok(());
            }
            if let Body::Good(body) | Body::Bad(body) = body {
                offset += (RECORD_HEADER + body.len()) as u64;
            }
        }
    }
    Ok(())
}
