//! The names of the model: those that programs see, those that are durable, and the changes between.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
};

use super::{super::path, random::Fate};

/// The number of a file, whatever its names.
pub type Number = u64;

/// Names and what they stand for. Paths are whole: "log/7".
pub type Table = BTreeMap<String, Number>;

#[derive(Debug, Clone)]
enum Act {
    Create { name: String, number: Number },
    Rename { from: String, to: String, number: Number },
    Remove { name: String },
}

impl Act {
    fn names(&self) -> impl Iterator<Item = &str> {
        let (one, two) = match self {
            Act::Create { name, .. } | Act::Remove { name } => (name, None),
            Act::Rename { from, to, .. } => (from, Some(to)),
        };
        Some(one).into_iter().chain(two).map(String::as_str)
    }

    fn number(&self) -> Option<Number> {
        match self {
            Act::Create { number, .. } | Act::Rename { number, .. } => Some(*number),
            Act::Remove { .. } => None,
        }
    }

    fn apply(self, table: &mut Table) {
        match self {
            Act::Create { name, number } => drop(table.insert(name, number)),
            Act::Remove { name } => drop(table.remove(&name)),
            Act::Rename { from, to, number } => {
                table.remove(&from);
                table.insert(to, number);
            }
        }
    }
}

/// A change that is not durable yet.
#[derive(Debug, Clone)]
struct Pending {
    act: Act,
    /// The directories that must be synced for it.
    waits_for: BTreeSet<String>,
}

/// All names of a disk.
#[derive(Debug, Clone, Default)]
pub struct Names {
    live: Table,
    durable: Table,
    pending: Vec<Pending>,
}

impl Names {
    /// What programs see.
    pub fn live(&self) -> &Table {
        &self.live
    }

    /// The file of a name.
    pub fn find(&self, name: &str) -> Option<Number> {
        self.live.get(name).copied()
    }

    /// Gives a new file its name.
    pub fn create(&mut self, name: &str, number: Number) {
        self.act(Act::Create { name: name.to_owned(), number });
    }

    /// Renames a file, if it is there.
    pub fn rename(&mut self, from: &str, to: &str) -> Option<()> {
        let number = self.find(from)?;
        if from != to {
            self.act(Act::Rename { from: from.to_owned(), to: to.to_owned(), number });
        }
        Some(())
    }

    /// Removes a name, if it is there.
    pub fn remove(&mut self, name: &str) -> Option<()> {
        self.find(name)?;
        self.act(Act::Remove { name: name.to_owned() });
        Some(())
    }

    fn act(&mut self, act: Act) {
        let waits_for = act.names().map(|name| path::parent(name).to_owned()).collect();
        act.clone().apply(&mut self.live);
        self.pending.push(Pending { act, waits_for });
    }

    /// Makes the changes in a directory durable, with all that they build on.
    pub fn sync(&mut self, directory: &str) {
        for change in &mut self.pending {
            change.waits_for.remove(directory);
        }
        let mut needed: BTreeSet<String> = BTreeSet::new();
        for change in self.pending.iter_mut().rev() {
            if change.waits_for.is_empty() || change.act.names().any(|name| needed.contains(name)) {
                change.waits_for.clear();
                needed.extend(change.act.names().map(str::to_owned));
            }
        }
        for change in mem::take(&mut self.pending) {
            if change.waits_for.is_empty() {
                change.act.apply(&mut self.durable);
            } else {
                self.pending.push(change);
            }
        }
    }

    /// The files that have a name, or may have one after a crash.
    pub fn known(&self) -> BTreeSet<Number> {
        let pending = self.pending.iter().filter_map(|change| change.act.number());
        self.live.values().chain(self.durable.values()).copied().chain(pending).collect()
    }

    /// The names after a power loss: each change survives or not, but none that builds on a lost one.
    pub fn crash(&self, fate: &mut Fate) -> Names {
        let mut table = self.durable.clone();
        let mut lost: BTreeSet<&str> = BTreeSet::new();
        for change in &self.pending {
            if fate.spares() && !change.act.names().any(|name| lost.contains(name)) {
                change.act.clone().apply(&mut table);
            } else {
                lost.extend(change.act.names());
            }
        }
        Names { live: table.clone(), durable: table, pending: Vec::new() }
    }
}
