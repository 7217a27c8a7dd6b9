//! Delayed exchange: routes as an exchange of another type does, but only when a message's time has come (EXC-88).
//!
//! The topology has no messages and no clock: whoever routes decides which message has to wait.

use super::error::{FurtherError, TopologyError};
use super::kind::{ExchangeKind, Router};
use crate::broker::arguments::long_string;
use amq_protocol::types::FieldTable;

const TYPE_ARGUMENT: &str = "x-delayed-type";

/// The router that a delayed exchange declared with these arguments lends its bindings to.
pub(super) fn inner(arguments: &FieldTable) -> Result<Router, TopologyError> {
    let name = arguments.inner().get(TYPE_ARGUMENT).and_then(long_string);
    let kind = ExchangeKind::named(&name.ok_or(FurtherError::DelayedType)?)?;
    match kind {
        // One within another would have no end.
        ExchangeKind::Delayed => Err(FurtherError::DelayedTwice.into()),
        kind => Router::new(kind, arguments),
    }
}
