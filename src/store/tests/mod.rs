//! Tests of the log as a whole, on a disk in memory.

mod batches;
mod records;
mod recovering;
mod segments;
mod writing;

use std::{collections::BTreeMap, sync::Arc, task::Waker};

use super::{
    batch::Builder,
    disk::{Disk, MemoryDisk, Open},
    segment, *,
};
use crate::broker::{Message, Millis, Parts, memory::Account, queue::returns};

const SEGMENT: u64 = 32 << 10;
const NEVER: Millis = Millis::MAX;

fn message(body: &str) -> Message {
    let parts = Parts {
        exchange: b"",
        routing_key: b"q",
        properties: &[0x10, 0, 2],
        persistent: true,
        priority: 0,
        expiration: None,
        account: Account::UNCOUNTED,
    };
    Message::new(&parts, body.as_bytes(), &mut Vec::new())
}

fn publish(queue: QueueId, sequence: u64, body: &str) -> Op {
    let place = Place { queue, sequence, deadline: NEVER, returns: 0 };
    Op::Message { message: message(body), places: Places::from_slice(&[place]) }
}

fn settle(queue: QueueId, sequences: &[u64]) -> Op {
    Op::Settled { queue, sequences: sequences.to_vec() }
}

fn give_back(queue: QueueId, sequences: &[u64]) -> Op {
    Op::Returned { queue, sequences: sequences.to_vec(), how: returns::FAILED }
}

fn declare(id: QueueId) -> Definition {
    let queue = QueueDefinition {
        name: format!("q{id}"),
        id,
        auto_delete: false,
        arguments: Vec::new(),
        identities: None,
    };
    Definition::DeclareQueue { vhost: "/".into(), queue }
}

/// A page of queue 1 with these messages.
fn page(page: u64, live: &[(u64, u64)]) -> PageRecord {
    PageRecord {
        queue: 1,
        page,
        file: 1,
        offset: 0,
        length: 4096,
        lane: 0,
        bytes: 10,
        first_deadline: NEVER,
        live: live.to_vec(),
        returns: Vec::new(),
    }
}

/// A log that is written to.
struct Running {
    log: Arc<Log>,
    writer: Writer,
    now: Millis,
}

impl Running {
    fn start(disk: &MemoryDisk) -> Running {
        let (log, writer) = recovered(disk, false).map(|found| (found.log, found.writer)).unwrap();
        Running { log, writer, now: 1_000_000 }
    }

    /// Makes changes durable, as one batch.
    fn commit(&mut self, mut ops: Vec<Op>) -> Position {
        let position = self.log.append(&mut ops, true);
        self.now += 1;
        assert_eq!(self.writer.commit(None, self.now).unwrap(), Committed::Done);
        assert!(self.log.is_durable(position, Waker::noop()));
        position
    }

    /// Commits without anything new until nothing is moved any more, answering what is asked for.
    fn idle(&mut self) {
        for _ in 0..200 {
            let mut ops = Vec::new();
            for vhost in self.log.take_wanted_definitions() {
                ops.push(Op::Define(Definition::Reset { vhost }));
                ops.push(Op::Define(declare(1)));
            }
            self.log.append(&mut ops, true);
            self.now += 1000;
            self.writer.commit(None, self.now).unwrap();
        }
    }

    /// Where the active segment ends.
    fn bytes(&self) -> u64 {
        self.writer.usage().bytes
    }
}

fn settings() -> LogSettings {
    LogSettings { segment_size: SEGMENT, trim_min: 2 * SEGMENT, sync: Durability::Fsync, mark: 0 }
}

fn recovered(disk: &MemoryDisk, accept_loss: bool) -> Result<Recovered, RecoveryError> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let options = RecoveryOptions { settings: settings(), account: Account::UNCOUNTED, accept_loss };
    recover(&disk, options, |_, _| {})
}

/// Queue, sequence, body and returns of all messages, and the damage.
type Seen = (BTreeMap<(QueueId, u64), (String, u32)>, Vec<Damage>);

fn seen(disk: &MemoryDisk) -> Seen {
    let body = |view: &View<'_>, _| String::from_utf8_lossy(view.body).into_owned();
    let log = replay(disk, body, |_, _| {}).unwrap();
    let mut all = BTreeMap::new();
    for (queue, found) in log.queues {
        for (sequence, message) in found.messages {
            all.insert((queue, sequence), (message.message, message.returns));
        }
    }
    (all, log.report.damage)
}

/// Paths of the segments, oldest first.
fn segment_paths(disk: &MemoryDisk) -> Vec<String> {
    disk.files().into_iter().map(|(name, _)| name).filter(|name| !name.contains("spare")).collect()
}

/// The sequences of queue 1.
fn sequences(disk: &MemoryDisk) -> Vec<u64> {
    seen(disk).0.into_keys().filter(|(queue, _)| *queue == 1).map(|(_, sequence)| sequence).collect()
}

fn write(disk: &MemoryDisk, path: &str, octets: &[u8], offset: u64) {
    disk.open(path, Open::Existing).unwrap().write_all_at(octets, offset).unwrap();
}

/// A log of one segment with one batch, whose records have these bodies.
fn log_of(bodies: &[Vec<u8>]) -> MemoryDisk {
    let disk = MemoryDisk::new();
    disk.create_directory(segment::DIRECTORY).unwrap();
    let made = segment::create(&disk, (1, 0, 0), SEGMENT, &mut Vec::new()).unwrap();
    let mut builder = Builder::default();
    builder.begin(1);
    for body in bodies {
        builder.record(|out| out.extend_from_slice(body));
    }
    made.file.write_all_at(builder.seal(1, 0), segment::FIRST_BATCH).unwrap();
    disk
}
