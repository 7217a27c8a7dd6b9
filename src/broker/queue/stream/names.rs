//! Named consumers: how far each name has read, and who of a group reads now.

use std::collections::{BTreeMap, BTreeSet};

/// Names whose offsets a stream remembers at most; more push out those nobody uses.
const NAMES_MAX: usize = 10_000;

/// What is known of a name.
#[derive(Debug, Default)]
struct Name {
    /// Where to go on reading.
    offset: Option<u64>,
    /// The consumer that began last: what it says counts.
    holder: Option<u32>,
    /// Consumers of which one reads at a time, in the order in which they came.
    members: Vec<u32>,
    /// The one of them that reads, or did and has not settled everything yet.
    reading: Option<u32>,
    /// Which one should read: the stream's number among those of a super stream, so that members that are in the
    /// groups of all of them share these.
    partition: u64,
    consumers: u32,
}

/// Who of a group reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    pub reading: Option<u32>,
    pub chosen: u32,
}

/// All names of a stream.
#[derive(Debug, Default)]
pub struct Names {
    names: BTreeMap<Vec<u8>, Name>,
}

impl Names {
    /// Names that a restart found.
    pub fn restore(&mut self, offsets: impl IntoIterator<Item = (Vec<u8>, u64)>) {
        for (name, offset) in offsets.into_iter().take(NAMES_MAX) {
            self.names.entry(name).or_default().offset = Some(offset);
        }
    }

    /// Where each name goes on.
    pub fn offsets(&self) -> impl Iterator<Item = (&[u8], u64)> {
        self.names.iter().filter_map(|(name, known)| Some((name.as_slice(), known.offset?)))
    }

    pub fn offset(&self, name: &[u8]) -> Option<u64> {
        self.names.get(name)?.offset
    }

    /// A consumer begins; true when it reads at once. With `group`, the number of the stream, it takes turns with
    /// others of its name.
    pub fn join(&mut self, name: &[u8], consumer: u32, group: Option<u64>) -> bool {
        if NAMES_MAX <= self.names.len() && !self.names.contains_key(name) {
            let unused = self.names.iter().filter(|(_, known)| known.consumers == 0);
            let oldest = unused.min_by_key(|(_, known)| known.offset).map(|(name, _)| name.clone());
            oldest.and_then(|oldest| self.names.remove(&oldest));
        }
        let known = self.names.entry(name.to_vec()).or_default();
        known.consumers += 1;
        if let Some(partition) = group {
            known.members.push(consumer);
            known.partition = partition;
            if known.reading.is_some() {
                return false;
            }
            known.reading = Some(consumer);
        }
        known.holder = Some(consumer);
        true
    }

    /// A consumer went away.
    pub fn leave(&mut self, name: &[u8], consumer: u32) {
        let Some(known) = self.names.get_mut(name) else { return };
        known.consumers = known.consumers.saturating_sub(1);
        known.members.retain(|member| *member != consumer);
        known.reading = known.reading.filter(|reading| *reading != consumer);
        if known.consumers == 0 && known.offset.is_none() {
            self.names.remove(name);
        }
    }

    /// Of a group: who reads, or has not settled everything yet, and who should.
    pub fn turn(&self, name: &[u8]) -> Option<Turn> {
        let known = self.names.get(name)?;
        let place = known.partition.checked_rem(known.members.len() as u64)?;
        let chosen = known.members.get(usize::try_from(place).ok()?)?;
        Some(Turn { reading: known.reading, chosen: *chosen })
    }

    /// Another one of a group reads from now on.
    pub fn hand_over(&mut self, name: &[u8], consumer: u32) {
        if let Some(known) = self.names.get_mut(name) {
            (known.reading, known.holder) = (Some(consumer), Some(consumer));
        }
    }

    /// A consumer has settled everything before an offset; true when that is news. One that began earlier
    /// than the name's last only counts if it is further.
    pub fn store(&mut self, name: &[u8], consumer: u32, offset: u64) -> bool {
        let Some(known) = self.names.get_mut(name) else { return false };
        let counts = known.holder == Some(consumer) || known.offset.is_none_or(|stored| stored < offset);
        if !counts || known.offset == Some(offset) {
            return false;
        }
        known.offset = Some(offset);
        true
    }
}

/// Deliveries to one named consumer that are not settled, and whether any came back. No more than its
/// prefetch, whatever the client does.
#[derive(Debug, Default)]
pub struct Outstanding {
    offsets: BTreeSet<u64>,
    /// The first one that was given back: the name stays before it.
    returned: Option<u64>,
}

impl Outstanding {
    pub fn push(&mut self, offset: u64) {
        self.offsets.insert(offset);
    }

    pub fn settle(&mut self, offset: u64) {
        self.offsets.remove(&offset);
    }

    /// A delivery was given back, to be read again by whoever goes on under this name.
    pub fn give_back(&mut self, offset: u64) {
        self.offsets.remove(&offset);
        self.returned = Some(self.returned.map_or(offset, |first| first.min(offset)));
    }

    pub fn is_empty(&self) -> bool {
        self.offsets.is_empty()
    }

    /// Before this everything is dealt with; `next` is where the consumer is.
    pub fn position(&self, next: u64) -> u64 {
        let first = self.offsets.first().copied().unwrap_or(next);
        self.returned.map_or(first, |returned| returned.min(first))
    }
}
