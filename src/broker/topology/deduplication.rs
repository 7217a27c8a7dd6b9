//! Deduplication exchange: a fanout that lets each message pass once (EXC-91).
//!
//! The topology has no messages and no clock: it only says how much is to be kept in mind. Whoever routes decides
//! which message passes.

use super::error::FurtherError;
use super::fanout::Fanout;
use crate::broker::arguments::{integer, value_text};
use amq_protocol::types::{AMQPValue, FieldTable};

const SIZE_ARGUMENT: &str = "x-cache-size";
const TTL_ARGUMENT: &str = "x-cache-ttl";
const PERSISTENCE_ARGUMENT: &str = "x-cache-persistence";

/// The bindings of a deduplication exchange.
#[derive(Clone, Debug)]
pub(super) struct Deduplication {
    pub(super) fanout: Fanout,
    pub(super) cache: CacheSettings,
}

/// What a deduplication exchange keeps in mind of the messages it saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheSettings {
    /// Of how many messages.
    pub size: u64,
    /// For how many milliseconds, unless a message says otherwise.
    pub ttl: Option<u64>,
    /// Whether that outlives the broker's process, as the exchange may.
    pub survives: bool,
}

impl Deduplication {
    /// Of an exchange with these arguments.
    pub(super) fn new(arguments: &FieldTable) -> Result<Self, FurtherError> {
        let argument = |name| arguments.inner().get(name);
        let size = argument(SIZE_ARGUMENT).and_then(positive).ok_or(FurtherError::CacheSize)?;
        let ttl = match argument(TTL_ARGUMENT) {
            None => None,
            Some(value) => Some(positive(value).ok_or(FurtherError::CacheTtl)?),
        };
        let survives = match argument(PERSISTENCE_ARGUMENT).map(value_text).as_deref() {
            None | Some("disk") => true,
            Some("memory") => false,
            Some(_) => return Err(FurtherError::CachePersistence),
        };
        Ok(Self { fanout: Fanout::default(), cache: CacheSettings { size, ttl, survives } })
    }
}

/// A positive integer, which may come as text.
fn positive(value: &AMQPValue) -> Option<u64> {
    let number = match value {
        AMQPValue::LongString(_) => value_text(value).parse().ok(),
        other => integer(other).and_then(|number| u64::try_from(number).ok()),
    };
    number.filter(|number| 0 < *number)
}
