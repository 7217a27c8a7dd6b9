//! Queues as the topology sees them: a name, a handle, and the bindings that lead there.

use super::Topology;
use super::binding::BindingId;
use crate::broker::queue_type::QueueType;
use std::sync::Arc;

/// A queue known to routing.
#[derive(Clone, Debug)]
pub(super) struct QueueEntry<Q> {
    pub(super) name: Arc<str>,
    pub(super) handle: Q,
    pub(super) queue_type: QueueType,
    pub(super) durable: bool,
    pub(super) incoming: Vec<BindingId>,
}

/// What went with a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemovedQueue<Q> {
    /// The handle the queue was inserted with.
    pub handle: Q,
    /// The auto-delete exchanges that lost their last binding (EXC-16).
    pub auto_deleted: Vec<String>,
}

impl<Q: Clone> Topology<Q> {
    /// Makes a queue known, without bindings but the implicit one; false if the name is taken.
    #[must_use]
    pub fn insert_queue(&mut self, name: &str, handle: Q, queue_type: QueueType, durable: bool) -> bool {
        if self.queue_ids.contains_key(name) {
            return false;
        }
        let name: Arc<str> = name.into();
        let incoming = Vec::new();
        let entry = QueueEntry { name: name.clone(), handle, queue_type, durable, incoming };
        let id = self.queues.insert(entry);
        self.queue_ids.insert(name, id);
        self.changed();
        true
    }

    /// Forgets a queue and its bindings (EXC-15).
    pub fn remove_queue(&mut self, name: &str) -> Option<RemovedQueue<Q>> {
        let id = self.queue_ids.remove(name)?;
        let mut bereft = Vec::new();
        while let Some(binding) = self.queues[id].incoming.last() {
            bereft.extend(self.remove_binding(*binding));
        }
        let handle = self.queues.remove(id).handle;
        let auto_deleted = self.remove_cascading(bereft);
        self.changed();
        Some(RemovedQueue { handle, auto_deleted })
    }
}
