//! The messages of an exchange that wait for their time, in the order in which it comes.
//!
//! A pure state machine, as a queue is: the time comes in, and what is to be done comes out as [`Effects`]. Of
//! messages that memory has no room for it keeps the time, the size and the page; [`paging`] has that.

mod header;
mod paging;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use header::{delay_of, released};
use paging::{Away, Page};

use super::{
    Message, Millis,
    memory::Account,
    queue::{Effects, Entry, Kept, PageId},
};

/// When a message is due and its number, which tells those apart that are due together: the earlier came first.
pub type Due = (Millis, u64);

/// Octets of memory that a waiting message costs beside its body.
const OVERHEAD: u64 = 150;

/// A message that waits in memory.
#[derive(Debug)]
struct Here {
    message: Message,
    /// The page that it is being written to.
    page: Option<PageId>,
}

/// What is known of a waiting message.
#[derive(Debug, Clone)]
pub struct Listed {
    pub due: Due,
    /// Octets of its body.
    pub length: u64,
    /// The message, or the page that it is in.
    pub place: Result<Message, PageId>,
}

/// How much waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Waiting {
    pub messages: u64,
    /// Octets of their bodies.
    pub bytes: u64,
}

/// The waiting messages of one exchange.
#[derive(Debug)]
pub struct Delay {
    /// Whether what waits outlives the broker's process.
    durable: bool,
    /// Whose memory it is.
    account: Account,
    here: BTreeMap<Due, Here>,
    /// Octets of the bodies in `here`.
    here_bytes: u64,
    away: BTreeMap<Due, Away>,
    away_bytes: u64,
    pages: BTreeMap<PageId, Page>,
    /// The first message away, if it was found not to be worth fetching yet.
    deferred: Option<Due>,
    next_sequence: u64,
    next_page: u64,
    deleted: bool,
}

fn cost(message: &Message) -> u64 {
    message.body_length() + OVERHEAD
}

impl Delay {
    pub fn new(durable: bool, account: Account) -> Delay {
        Delay {
            durable,
            account,
            here: BTreeMap::new(),
            here_bytes: 0,
            away: BTreeMap::new(),
            away_bytes: 0,
            pages: BTreeMap::new(),
            deferred: None,
            next_sequence: 0,
            next_page: 0,
            deleted: false,
        }
    }

    pub fn waiting(&self) -> Waiting {
        let unread = self.unread();
        Waiting {
            messages: (self.here.len() + self.away.len()) as u64 + unread.messages,
            bytes: self.here_bytes + self.away_bytes + unread.bytes,
        }
    }

    pub fn is_deleted(&self) -> bool {
        self.deleted
    }

    /// Takes messages in, each with the time that it is to wait for. Their exchange may have been deleted an
    /// instant ago: then they are dropped.
    pub fn hold(&mut self, batch: impl IntoIterator<Item = (Message, Millis)>, effects: &mut Effects) {
        if self.deleted {
            return;
        }
        for (index, (message, at)) in batch.into_iter().enumerate() {
            let sequence = self.next_sequence;
            self.next_sequence += 1;
            if self.durable {
                // A batch is bounded far below.
                let index = u32::try_from(index).unwrap_or(u32::MAX);
                effects.log.kept.push(Kept { index, sequence, deadline: at });
            }
            self.put((at, sequence), message);
        }
    }

    fn put(&mut self, due: Due, message: Message) {
        self.here_bytes += message.body_length();
        self.here.insert(due, Here { message, page: None });
    }

    /// Takes out at most so many messages whose time has come, in order. The log is to be told that they are gone
    /// after it was told where they went.
    pub fn take_due(&mut self, now: Millis, most: usize, effects: &mut Effects) -> Vec<Entry> {
        let mut due = Vec::new();
        while due.len() < most
            && let Some((first, _)) = self.here.first_key_value()
            && first.0 <= now
            // What is on disk comes in its turn.
            && self.away.first_key_value().is_none_or(|(away, _)| first < away)
            && let Some((key, Here { message, .. })) = self.here.pop_first()
        {
            self.here_bytes -= message.body_length();
            due.push(self.entry(key, message));
        }
        self.look_ahead(now, effects);
        due
    }

    fn entry(&self, (deadline, sequence): Due, message: Message) -> Entry {
        Entry { message, sequence, deadline, returns: 0, redelivered: false, logged: self.durable }
    }

    /// When [`Delay::take_due`] has something to do next.
    pub fn next_deadline(&self) -> Option<Millis> {
        let here = self.here.first_key_value().map(|(due, _)| *due);
        let away = self.first_fetch().filter(|(due, _)| self.deferred != Some(*due));
        let fetch_at = away.map(|((at, _), _)| at.saturating_sub(paging::LEAD));
        // What comes behind something that is being fetched waits for that.
        let blocked =
            self.away.first_key_value().is_some_and(|(away, _)| here.is_none_or(|here| *away < here));
        let here = here.filter(|_| !blocked).map(|(at, _)| at);
        [here, fetch_at].into_iter().flatten().min()
    }

    /// Drops one message; false when it is not there any more.
    pub fn cancel(&mut self, due: Due, effects: &mut Effects) -> bool {
        self.deferred = None;
        if let Some(Here { message, .. }) = self.here.remove(&due) {
            self.here_bytes -= message.body_length();
        } else if !self.cancel_away(due, effects) {
            return false;
        }
        if self.durable {
            effects.log.gone.push(due.1);
        }
        true
    }

    /// Drops everything that waits; says how much that was.
    pub fn cancel_all(&mut self, effects: &mut Effects) -> u64 {
        if self.durable {
            effects.log.gone.extend(self.here.keys().map(|(_, sequence)| *sequence));
        }
        let count = self.waiting().messages;
        self.drop_all(effects);
        count
    }

    /// Drops everything, also what is held from now on. The log is to forget the exchange as a whole.
    pub fn delete(&mut self, effects: &mut Effects) {
        self.deleted = true;
        self.drop_all(effects);
    }

    fn drop_all(&mut self, effects: &mut Effects) {
        self.here.clear();
        self.here_bytes = 0;
        self.drop_pages(effects);
    }

    /// What waits, the first due first, from the `skip`th on.
    pub fn list(&self, skip: usize, most: usize) -> Vec<Listed> {
        let mut here = self.here.iter().peekable();
        let mut away = self.away.iter().peekable();
        let next = || {
            let is_here = match (here.peek(), away.peek()) {
                (Some((one, _)), Some((other, _))) => one < other,
                (one, _) => one.is_some(),
            };
            if is_here {
                let (due, here) = here.next()?;
                let length = here.message.body_length();
                return Some(Listed { due: *due, length, place: Ok(here.message.clone()) });
            }
            let (due, away) = away.next()?;
            Some(Listed { due: *due, length: away.length.into(), place: Err(away.page) })
        };
        std::iter::from_fn(next).skip(skip).take(most).collect()
    }

    /// Fills a new one with what waited when the broker stopped.
    pub fn restore(&mut self, entries: impl IntoIterator<Item = Entry>, next_sequence: u64) {
        self.next_sequence = self.next_sequence.max(next_sequence);
        for Entry { message, sequence, deadline, .. } in entries {
            self.next_sequence = self.next_sequence.max(sequence + 1);
            self.put((deadline, sequence), message);
        }
    }
}

impl Drop for Delay {
    fn drop(&mut self) {
        self.forget_away();
    }
}
