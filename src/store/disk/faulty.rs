//! A disk that fails on demand: the n-th sync, every write from the third on, one short read.
//!
//! It wraps another disk and counts what is asked of it. A [`Rule`] says when and what: an error, a short
//! transfer, or a hook, with which a test cuts the power at exactly that point or holds a sync up.

use std::{collections::BTreeMap, io, sync::Arc};

use parking_lot::Mutex;

use super::{Disk, DiskFile, Open, Space};

mod rule;
#[cfg(test)]
mod tests;

use rule::{Fault, Hook};
pub use rule::{Operation, Rule, When};

/// A disk whose operations fail as planned. Clones of it share the plan and the counters.
#[derive(Debug, Clone)]
pub struct FaultyDisk<D> {
    disk: D,
    plan: Arc<Plan>,
}

impl<D: Disk> FaultyDisk<D> {
    /// Wraps a disk; nothing fails yet.
    pub fn new(disk: D) -> FaultyDisk<D> {
        FaultyDisk { disk, plan: Arc::default() }
    }

    /// The disk inside, to look at it without faults.
    pub fn inner(&self) -> &D {
        &self.disk
    }

    /// Adds a rule. It counts from now on.
    pub fn plan(&self, rule: Rule) {
        self.plan.rules.lock().push(rule);
    }

    /// Drops all rules: the disk works again.
    pub fn heal(&self) {
        self.plan.rules.lock().clear();
    }

    /// How many operations of a kind were asked for, failed ones included.
    pub fn count(&self, operation: Operation) -> u64 {
        self.count_under(operation, "")
    }

    /// The same for paths with a prefix.
    pub fn count_under(&self, operation: Operation, prefix: &str) -> u64 {
        let counts = self.plan.counts.lock();
        let paths = counts.get(&operation).into_iter().flatten();
        paths.filter(|(path, _)| path.starts_with(prefix)).map(|(_, count)| count).sum()
    }
}

/// Rules and counters, shared with the open files.
#[derive(Debug, Default)]
struct Plan {
    rules: Mutex<Vec<Rule>>,
    counts: Mutex<BTreeMap<Operation, BTreeMap<String, u64>>>,
}

/// What is to happen to one operation.
#[derive(Default)]
struct Verdict {
    before: Vec<Hook>,
    fault: Option<Fault>,
    after: Vec<Hook>,
}

impl Plan {
    /// Carries an operation out, or what the rules made of it. `act` is told how many octets it may transfer.
    fn run<R>(
        &self,
        operation: Operation,
        path: &str,
        act: impl FnOnce(usize) -> io::Result<R>,
    ) -> io::Result<R> {
        self.count(operation, path);
        // Hooks run without our locks, so that they may use this very disk.
        let verdict = self.decide(operation, path);
        verdict.before.iter().for_each(|hook| hook.call(path));
        let result = match verdict.fault {
            None => act(usize::MAX),
            Some(Fault::Fail(number)) => Err(io::Error::from_raw_os_error(number)),
            Some(Fault::Short { octets, then }) => act(octets).and_then(|done| match then {
                Some(number) => Err(io::Error::from_raw_os_error(number)),
                None => Ok(done),
            }),
        };
        verdict.after.iter().for_each(|hook| hook.call(path));
        result
    }

    fn count(&self, operation: Operation, path: &str) {
        let mut counts = self.counts.lock();
        let paths = counts.entry(operation).or_default();
        match paths.get_mut(path) {
            Some(count) => *count += 1,
            None => drop(paths.insert(path.to_owned(), 1)),
        }
    }

    /// Asks every rule, because every rule counts; the first fault wins, hooks all run.
    fn decide(&self, operation: Operation, path: &str) -> Verdict {
        let mut verdict = Verdict::default();
        for rule in self.rules.lock().iter_mut().filter_map(|rule| rule.strikes(operation, path)) {
            match rule {
                rule::Act::Before(hook) => verdict.before.push(hook.clone()),
                rule::Act::After(hook) => verdict.after.push(hook.clone()),
                rule::Act::Fault(fault) => verdict.fault = verdict.fault.or(Some(*fault)),
            }
        }
        verdict
    }
}

impl<D: Disk> Disk for FaultyDisk<D> {
    fn list(&self, directory: &str) -> io::Result<Vec<String>> {
        self.plan.run(Operation::List, directory, |_| self.disk.list(directory))
    }

    fn create_directory(&self, directory: &str) -> io::Result<()> {
        self.plan.run(Operation::CreateDirectory, directory, |_| self.disk.create_directory(directory))
    }

    fn open(&self, path: &str, mode: Open) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.plan.run(Operation::Open, path, |_| self.disk.open(path, mode))?;
        Ok(Arc::new(FaultyFile { file, path: path.to_owned(), plan: self.plan.clone() }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.plan.run(Operation::Rename, to, |_| self.disk.rename(from, to))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.plan.run(Operation::Remove, path, |_| self.disk.remove(path))
    }

    fn sync_directory(&self, directory: &str) -> io::Result<()> {
        self.plan.run(Operation::SyncDirectory, directory, |_| self.disk.sync_directory(directory))
    }

    fn space(&self) -> io::Result<Space> {
        self.plan.run(Operation::Space, "", |_| self.disk.space())
    }
}

/// An open file of a disk that fails on demand.
#[derive(Debug)]
struct FaultyFile {
    file: Arc<dyn DiskFile>,
    /// The name it was opened by, whatever it is called now.
    path: String,
    plan: Arc<Plan>,
}

impl FaultyFile {
    fn run<R>(&self, operation: Operation, act: impl FnOnce(usize) -> io::Result<R>) -> io::Result<R> {
        self.plan.run(operation, &self.path, act)
    }
}

impl DiskFile for FaultyFile {
    fn read_at(&self, octets: &mut [u8], offset: u64) -> io::Result<usize> {
        self.run(Operation::Read, |limit| {
            let end = octets.len().min(limit);
            self.file.read_at(&mut octets[..end], offset)
        })
    }

    fn write_at(&self, octets: &[u8], offset: u64) -> io::Result<usize> {
        self.run(Operation::Write, |limit| self.file.write_at(&octets[..octets.len().min(limit)], offset))
    }

    fn sync(&self) -> io::Result<()> {
        self.run(Operation::Sync, |_| self.file.sync())
    }

    fn allocate(&self, offset: u64, length: u64) -> io::Result<()> {
        self.run(Operation::Allocate, |_| self.file.allocate(offset, length))
    }

    fn discard(&self, offset: u64, length: u64) -> io::Result<()> {
        self.run(Operation::Discard, |_| self.file.discard(offset, length))
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.run(Operation::SetLength, |_| self.file.set_length(length))
    }

    fn length(&self) -> io::Result<u64> {
        self.run(Operation::Length, |_| self.file.length())
    }
}
