//! A node as its log remembers it.

use std::collections::BTreeMap;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::{DelayRef, Node, QueueRef};
use crate::{
    broker::{
        Millis,
        queue::{Entry, PageId, PageSummary, stream::RestoredStream},
    },
    store::{AccessDefinitions, Definitions, PageRecord, QueueId, RecoveredMessage, RecoveredQueue},
};

/// What a recovery found.
#[derive(Debug)]
pub struct Restored {
    pub access: AccessDefinitions,
    pub definitions: BTreeMap<String, Definitions>,
    pub queues: HashMap<QueueId, RecoveredQueue, FixedState>,
    /// What the files of streams hold.
    pub streams: BTreeMap<QueueId, RestoredStream>,
    /// Greater than the id of every queue that the log mentions.
    pub next_queue: QueueId,
    /// Without a clean stop every message may have been delivered before (RST-15).
    pub was_clean: bool,
}

/// A page as its queue sees it.
fn summary(page: &PageRecord) -> Option<PageSummary> {
    let ((first, _), (last, length)) = (page.live.first()?, page.live.last()?);
    let count: u64 = page.live.iter().map(|(_, length)| length).sum();
    Some(PageSummary {
        id: PageId(page.page),
        lane: page.lane,
        first_sequence: *first,
        last_sequence: last + length - 1,
        count: u32::try_from(count).unwrap_or(u32::MAX),
        bytes: page.bytes,
        first_deadline: page.first_deadline,
    })
}

impl Node {
    /// Declares what was found and fills the queues; nobody is connected yet. Returns the numbers of queues
    /// and messages.
    pub fn restore(&self, restored: Restored, now: Millis) -> (usize, u64) {
        let Restored { definitions, mut queues, mut streams, was_clean, .. } = restored;
        let (mut count, mut messages) = (0, 0);
        for (vhost, definitions) in definitions {
            // Of a deleted vhost a name is left, and nothing behind it.
            if self.vhost(&vhost).is_none() && definitions == Definitions::default() {
                continue;
            }
            let vhost = self.add_vhost(&vhost);
            for queue in vhost.restore(definitions, now) {
                count += 1;
                let recovered = queues.remove(&queue.number).unwrap_or_default();
                let paged = recovered.pages.iter().flat_map(|page| &page.live).map(|(_, length)| length);
                messages += recovered.messages.len() as u64 + paged.sum::<u64>();
                let identities =
                    queue.properties.identities.and_then(|number| queues.remove(&number)).unwrap_or_default();
                let found = streams.remove(&queue.number).unwrap_or_default();
                let in_files = found.segments.iter().map(|segment| segment.end - segment.first);
                messages += in_files.sum::<u64>();
                self.fill(&queue, (recovered, identities), found, (was_clean, now));
            }
            for delay in vhost.delays.all() {
                self.fill_delay(&delay, queues.remove(&delay.number).unwrap_or_default());
            }
            vhost.duplicates.restore(|number| queues.remove(&number).unwrap_or_default());
        }
        (count, messages)
    }

    /// What became due meanwhile goes at the first look, which this arms the timer for.
    fn fill_delay(&self, delay: &DelayRef, recovered: RecoveredQueue) {
        let entry = |(sequence, recovered): (u64, RecoveredMessage)| {
            let RecoveredMessage { message, deadline, .. } = recovered;
            Entry { message, sequence, deadline, returns: 0, redelivered: false, logged: true }
        };
        let unread = self.with_delay(delay, &mut Vec::new(), |delay, _| {
            delay.restore_pages(recovered.pages.iter().filter_map(summary));
            delay.restore(recovered.messages.into_iter().map(entry), recovered.next_sequence);
            delay.unread_page()
        });
        self.index_next(delay, unread);
    }

    fn fill_stream(
        &self,
        queue: &QueueRef,
        found: RestoredStream,
        (entries, next): (Vec<Entry>, u64),
        now: Millis,
    ) {
        let mut ops = Vec::new();
        self.with_queue_logging(queue, now, &mut ops, |queue, effects| {
            let Some(stream) = queue.stream() else { return };
            effects.log.gone = stream.restore(found, entries, next, now, effects);
        });
        self.journal.append(&mut ops, false);
    }

    fn fill(
        &self,
        queue: &QueueRef,
        (recovered, identities): (RecoveredQueue, RecoveredQueue),
        found: RestoredStream,
        (was_clean, now): (bool, Millis),
    ) {
        let entry = |(sequence, message): (u64, RecoveredMessage)| {
            let RecoveredMessage { message, deadline, returns } = message;
            let redelivered = !was_clean || returns != 0;
            Entry { message, sequence, deadline, returns, redelivered, logged: true }
        };
        let entries: Vec<Entry> = recovered.messages.into_iter().map(entry).collect();
        if queue.is_stream() {
            return self.fill_stream(queue, found, (entries, recovered.next_sequence), now);
        }
        // What expired meanwhile goes at the first look, which this arms the timer for (RST-17).
        self.with_queue(queue, now, |queue, _| {
            queue.restore_pages(recovered.pages.iter().filter_map(summary));
            queue.restore(entries, recovered.next_sequence);
            let identity = |(sequence, kept): (u64, RecoveredMessage)| {
                (kept.message.routing_key().into(), sequence, kept.deadline)
            };
            queue.restore_identities(identities.messages.into_iter().map(identity));
        });
    }
}
