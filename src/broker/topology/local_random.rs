//! Local random exchange: as a random one among the queues of this node, so bound to nothing else (EXC-85).
//!
//! This node has every queue there is; what is left of "local" is what may be bound.

use super::binding::Binding;
use super::error::FurtherError;
use crate::broker::queue_type::QueueType;

/// Checks a binding to a queue of this type, or to an exchange.
pub(super) fn validate(binding: &Binding, queue_type: Option<QueueType>) -> Result<(), FurtherError> {
    if !binding.routing_key.is_empty() {
        return Err(FurtherError::KeyNotEmpty { key: binding.routing_key.to_string() });
    }
    match queue_type {
        Some(QueueType::Classic) => Ok(()),
        Some(other) => Err(FurtherError::QueueType { module: other.module_name() }),
        None => Err(FurtherError::NotAQueue),
    }
}
