//! Recent-history exchange: a fanout whose last messages reach those bound later, too (EXC-87).
//!
//! The topology has no messages: it only says how many are to be remembered. Whoever routes keeps them.

use super::error::FurtherError;
use super::fanout::Fanout;
use crate::broker::arguments::{integer, term_text};
use amq_protocol::types::FieldTable;

const LENGTH_ARGUMENT: &str = "x-recent-history-length";
const LENGTH_DEFAULT: u64 = 20;

/// The bindings of a recent-history exchange.
#[derive(Clone, Debug)]
pub(super) struct RecentHistory {
    pub(super) fanout: Fanout,
    /// How many messages are remembered.
    pub(super) length: u64,
}

impl RecentHistory {
    /// Of an exchange with these arguments.
    pub(super) fn new(arguments: &FieldTable) -> Result<Self, FurtherError> {
        let length = match arguments.inner().get(LENGTH_ARGUMENT) {
            None => LENGTH_DEFAULT,
            Some(value) => {
                let length = integer(value).and_then(|length| u64::try_from(length).ok());
                let refused = || FurtherError::HistoryLength { value: term_text(value) };
                length.filter(|length| 0 < *length).ok_or_else(refused)?
            }
        };
        Ok(Self { fanout: Fanout::default(), length })
    }
}
