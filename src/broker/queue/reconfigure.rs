//! Other rules for a queue that is in use, as policies make them.

use super::{Effects, Message, Millis, Outlet, Queue, QueueSettings};

impl<O: Outlet> Queue<O> {
    /// Goes by other rules from now on. What is too much by them is dropped at once (LEN-09), the time until the
    /// queue expires begins anew, and messages keep the deadlines that they came with (TTL-07).
    ///
    /// What a queue is for its life stays: its type, its priorities, how it serves its consumers.
    pub fn reconfigure(&mut self, settings: QueueSettings, now: Millis, effects: &mut Effects) {
        if self.deleted {
            return;
        }
        if settings.expires != self.settings.expires {
            self.last_used = now;
        }
        if let (Some(stream), Some(rules)) = (&mut self.stream, &settings.stream) {
            stream.keep_only(rules.max_bytes, rules.max_age, now, effects);
        }
        let QueueSettings { durable, max_priority, single_active_consumer, quorum, .. } = *self.settings;
        // The stream has its own.
        let stream = self.settings.stream.clone();
        let settings =
            QueueSettings { durable, max_priority, single_active_consumer, quorum, stream, ..settings };
        self.settings = settings.shared();
        if self.stream.is_none() {
            self.settle_returned(now, effects);
        }
    }

    /// Takes in what was published before the queue began to refuse: nobody would learn of a refusal.
    pub fn publish_unrefused(
        &mut self,
        batch: impl IntoIterator<Item = Message>,
        now: Millis,
        effects: &mut Effects,
    ) {
        self.take_in(batch, false, now, effects, |_, _| ());
    }
}
