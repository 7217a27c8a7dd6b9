//! Who holds messages, in the order of their arrival or of their times, as the timers and the pager see it.

use std::fmt;

use super::{DelayRef, Node, PageRequest, QueueRef, Reader};
use crate::{
    broker::{
        Millis,
        queue::{Entry, PageId, PageOut},
    },
    store::{Op, PageRecord, runs},
};

/// A queue or a delayed exchange.
#[derive(Debug, Clone)]
pub enum Holder {
    Queue(QueueRef),
    Delay(DelayRef),
}

impl Holder {
    /// Tells it from every other one; also in the log.
    pub fn number(&self) -> u64 {
        match self {
            Holder::Queue(queue) => queue.number,
            Holder::Delay(delay) => delay.number,
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Holder::Queue(queue) => write!(f, "queue '{}' in vhost '{}'", queue.name, queue.vhost),
            Holder::Delay(delay) => write!(f, "exchange '{}' in vhost '{}'", delay.exchange, delay.vhost),
        }
    }
}

impl Node {
    /// Looks at whose deadline came.
    pub fn look(&self, holder: &Holder, now: Millis) {
        match holder {
            Holder::Queue(queue) => self.tick(queue, now),
            Holder::Delay(delay) => self.release(delay, now),
        }
    }

    /// Octets of memory that the messages cost which are not on disk.
    pub fn resident_cost(&self, holder: &Holder, now: Millis) -> u64 {
        match holder {
            Holder::Queue(queue) => self.with_queue(queue, now, |queue, _| queue.resident_cost()),
            Holder::Delay(delay) => delay.state.lock().resident_cost(),
        }
    }

    /// Takes messages that are needed last, to be written to disk: all but the first so many octets, at most so
    /// many octets and messages.
    pub fn page_out(
        &self,
        holder: &Holder,
        now: Millis,
        (keep, bytes, messages): (u64, u64, u32),
    ) -> Option<PageOut> {
        match holder {
            Holder::Queue(queue) => {
                self.with_queue(queue, now, |queue, _| queue.page_out(keep, bytes, messages))
            }
            Holder::Delay(delay) => delay.state.lock().page_out(keep, bytes, messages),
        }
    }

    /// A page is on disk, as the record says, which goes to the log unless nothing in it must survive. False when
    /// its messages were needed meanwhile: then its place is free again.
    pub fn paged_out(&self, holder: &Holder, now: Millis, mut record: PageRecord) -> bool {
        let page = PageId(record.page);
        // The log learns of a page under its holder's lock, before anything that happens to it later.
        let note = |record: PageRecord| {
            if !record.live.is_empty() {
                self.journal.append(&mut vec![Op::Page(record)], false);
            }
        };
        match holder {
            Holder::Queue(queue) => self.with_queue(queue, now, |queue, _| {
                let is_out = queue.paged_out(page);
                if is_out {
                    note(record);
                }
                is_out
            }),
            Holder::Delay(delay) => self.with_delay(delay, &mut Vec::new(), |delay, _| {
                let moved = delay.paged_out(page);
                let is_out = !moved.is_empty();
                if is_out && !record.live.is_empty() {
                    record.live = runs(moved.into_iter());
                    note(record);
                }
                is_out
            }),
        }
    }

    /// A page could not be written; its messages stay in memory.
    pub fn page_out_failed(&self, holder: &Holder, page: PageId, now: Millis) {
        match holder {
            Holder::Queue(queue) => self.with_queue(queue, now, |queue, _| queue.page_out_failed(page)),
            Holder::Delay(delay) => delay.state.lock().page_out_failed(page),
        }
    }

    /// What is left of a page that was asked for. False when nobody waits for it any more.
    pub fn paged_in(&self, holder: &Holder, page: PageId, entries: Vec<Entry>, now: Millis) -> bool {
        match holder {
            Holder::Queue(queue) => {
                self.with_queue(queue, now, |queue, effects| queue.paged_in(page, entries, now, effects))
            }
            Holder::Delay(delay) => self.with_delay(delay, &mut Vec::new(), |delay, effects| {
                delay.paged_in(page, entries, now, effects)
            }),
        }
    }

    /// A page cannot be read; says how many messages are lost with it.
    pub fn page_lost(&self, holder: &Holder, page: PageId, now: Millis) -> u64 {
        match holder {
            Holder::Queue(queue) => {
                self.with_queue(queue, now, |queue, effects| queue.page_lost(page, now, effects))
            }
            Holder::Delay(delay) => {
                let (lost, unread) = self.with_delay(delay, &mut Vec::new(), |delay, effects| {
                    (delay.page_lost(page, now, effects), delay.unread_page())
                });
                self.index_next(delay, unread);
                lost
            }
        }
    }

    /// What is in a page from before a restart, which stays where it is; the next one is asked for.
    pub fn indexed(&self, delay: &DelayRef, page: PageId, entries: &[Entry], now: Millis) {
        let unread = self.with_delay(delay, &mut Vec::new(), |delay, effects| {
            delay.indexed(page, entries, now, effects);
            delay.unread_page()
        });
        self.index_next(delay, unread);
    }

    /// Reads a page for somebody who only looks.
    pub fn read_page(
        &self,
        delay: &DelayRef,
        page: PageId,
        reader: impl FnOnce(Vec<Entry>) + Send + 'static,
    ) {
        self.paging.request([PageRequest::Look(delay.clone(), page, Reader(Box::new(reader)))]);
    }

    /// Asks for a page from before a restart to be read; one after the other, so that others get a turn.
    pub(super) fn index_next(&self, delay: &DelayRef, unread: Option<PageId>) {
        self.paging.request(unread.map(|page| PageRequest::Index(delay.clone(), page)));
    }
}
