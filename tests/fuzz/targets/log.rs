//! The message log: whatever is in its files, a start reads it without panic, does not read forever, and finds
//! the same at the next start.
//!
//! The first octet chooses: random octets as a segment; records of random octets in batches whose checksums are
//! right, as only malice makes them; or a log that the writer wrote, with octets changed.
#![no_main]

use std::{collections::BTreeMap, sync::Arc};

use leveret::{
    broker::{Message, Parts, memory::Account},
    store::{
        Definition, Durability, LogSettings, Op, PageRecord, Place, Places, QueueDefinition, Recovered,
        RecoveryError, RecoveryOptions, View,
        disk::{Disk, MemoryDisk, Open},
        recover, replay, walk,
    },
};
use libfuzzer_sys::fuzz_target;

const SEGMENT: u64 = 64 << 10;
const PAGE: usize = 4096;
const FIRST: &str = "log/0000000000000001";

fuzz_target!(|input: &[u8]| {
    let Some((&form, rest)) = input.split_first() else { return };
    let disk = match form % 4 {
        0 => random_segment(rest),
        1 | 2 => malicious_log(rest),
        _ => changed_log(rest),
    };
    check(&disk);
});

/// What must hold whatever is on the disk.
fn check(disk: &MemoryDisk) {
    let body = |view: &View<'_>, _| view.body.to_vec();
    let Ok(before) = replay(disk, body, |_, _| {}) else { return };
    walk(disk, |_| std::ops::ControlFlow::Continue(())).expect("what is replayed can be walked");
    let grave = before.report.damage.iter().any(|damage| damage.kind.is_grave());
    match start(disk, false) {
        Ok(_) => assert!(!grave, "a start goes on over {:?}", before.report.damage),
        Err(RecoveryError::Damaged(damage)) => assert_eq!(damage, before.report.damage),
        Err(error) => panic!("what is replayed is not recovered: {error}"),
    }
    drop(start(disk, true).expect("a start that accepts losses"));
    let after = replay(disk, body, |_, _| {}).expect("what a start leaves can be read");
    assert_eq!(after.definitions, before.definitions);
    assert_eq!(after.report.torn_bytes, 0, "the tail was cut");
    let ids = |queues: Vec<u64>| queues.into_iter().collect::<std::collections::BTreeSet<_>>();
    assert_eq!(ids(after.queues.keys().copied().collect()), ids(before.queues.keys().copied().collect()));
    for (id, queue) in &before.queues {
        let again = &after.queues[id];
        let messages = |queue: &BTreeMap<u64, leveret::store::RecoveredMessage<Vec<u8>>>| {
            let all = queue.iter().map(|(sequence, one)| (*sequence, one.message.clone(), one.returns));
            all.collect::<Vec<_>>()
        };
        assert_eq!(messages(&again.messages), messages(&queue.messages), "queue {id}");
        assert_eq!(again.pages, queue.pages, "pages of queue {id}");
        assert!(queue.messages.keys().next_back().is_none_or(|last| *last < queue.next_sequence));
    }
}

fn start(disk: &MemoryDisk, accept_loss: bool) -> Result<Recovered, RecoveryError> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let settings =
        LogSettings { segment_size: SEGMENT, trim_min: 4 * SEGMENT, sync: Durability::Fsync, mark: 0 };
    recover(&disk, RecoveryOptions { settings, account: Account::UNCOUNTED, accept_loss }, |_, _| {})
}

/// A segment with its header, written from the description of the format.
fn new_segment() -> MemoryDisk {
    let disk = MemoryDisk::new();
    disk.create_directory("log").expect("a directory");
    let file = disk.open(FIRST, Open::CreateNew).expect("a new file");
    let mut header = Vec::from(*b"leveret log\n");
    header.extend(1u32.to_le_bytes());
    header.extend(1u64.to_le_bytes());
    header.resize(56, 0);
    header.extend(crc32c::crc32c(&header).to_le_bytes());
    file.write_all_at(&header, 0).expect("room");
    disk
}

fn write(disk: &MemoryDisk, octets: &[u8], offset: u64) {
    disk.open(FIRST, Open::Existing).expect("the segment").write_all_at(octets, offset).expect("room");
}

fn random_segment(octets: &[u8]) -> MemoryDisk {
    let disk = new_segment();
    let (first, rest) = octets.split_at(octets.len().min(60));
    write(&disk, rest, PAGE as u64);
    write(&disk, first, 2 * PAGE as u64);
    disk
}

/// Batches of records that pass their checksums. Input: for each batch an octet for its number's distance, one
/// for what it calls durable and one for the count of records; for each record its length and its octets.
fn malicious_log(mut input: &[u8]) -> MemoryDisk {
    let disk = new_segment();
    let (mut number, mut offset) = (0u64, PAGE as u64);
    while let Some((&[distance, durable, count], rest)) = input.split_first_chunk() {
        input = rest;
        number += if distance < 240 { 1 } else { u64::from(distance) };
        let mut records = Vec::new();
        let mut written = 0u32;
        for _ in 0..count % 8 {
            let Some((&length, rest)) = input.split_first() else { break };
            let (body, rest) = rest.split_at(usize::from(length).min(rest.len()));
            input = rest;
            records.extend((body.len() as u32).to_le_bytes());
            let seed = number as u32 ^ (number >> 32) as u32;
            records.extend(crc32c::crc32c_append(seed, body).to_le_bytes());
            records.extend(body);
            written += 1;
        }
        let durable = if durable < 128 { number - 1 } else { u64::from(durable) << (durable % 60) };
        let mut header = Vec::new();
        for field in [1, number, durable, records.len() as u64, u64::from(written)] {
            header.extend(field.to_le_bytes());
        }
        let mut batch = Vec::from(*b"LVB1");
        batch.extend(crc32c::crc32c(&header).to_le_bytes());
        batch.extend(header);
        batch.extend(records);
        write(&disk, &batch, offset);
        offset += batch.len().next_multiple_of(PAGE) as u64;
    }
    disk
}

/// A log of the writer's, in which the input, read as place, place and octet, changes octets.
fn changed_log(input: &[u8]) -> MemoryDisk {
    let disk = real_log();
    let octets = disk.contents(FIRST).expect("the first segment");
    for change in input.chunks_exact(3) {
        // Mostly in the pages that hold something.
        let at = usize::from(change[0] % 12) * PAGE / 2 + usize::from(change[1]) % 512;
        let Some(before) = octets.get(at) else { continue };
        write(&disk, &[before ^ change[2]], at as u64);
    }
    disk
}

fn real_log() -> MemoryDisk {
    let disk = MemoryDisk::new();
    let Recovered { log, mut writer, .. } = start(&disk, false).expect("an empty log");
    let queue = QueueDefinition {
        name: "q".into(),
        id: 1,
        auto_delete: false,
        arguments: Vec::new(),
        identities: None,
    };
    let page = PageRecord {
        queue: 1,
        page: 1,
        file: 1,
        offset: 0,
        length: 4096,
        lane: 0,
        bytes: 8,
        first_deadline: u64::MAX,
        live: vec![(3, 2)],
        returns: vec![(4, 1)],
    };
    let batches = [
        vec![Op::Define(Definition::DeclareQueue { vhost: "/".into(), queue }), message(1), message(2)],
        vec![message(3), message(4), message(5)],
        vec![
            Op::Settled { queue: 1, sequences: vec![2] },
            Op::Returned { queue: 1, sequences: vec![1, 3], how: 1 },
        ],
        vec![Op::Page(page)],
        vec![message(6), Op::CleanStop],
    ];
    for (now, mut batch) in (1..).zip(batches) {
        log.append(&mut batch, true);
        writer.commit(None, now).expect("a disk without faults");
    }
    disk
}

fn message(sequence: u64) -> Op {
    let parts = Parts {
        exchange: b"",
        routing_key: b"q",
        properties: &[0x10, 0, 2],
        persistent: true,
        priority: 0,
        expiration: None,
        account: Account::UNCOUNTED,
    };
    let message = Message::new(&parts, &sequence.to_be_bytes(), &mut Vec::new());
    let place = Place { queue: 1, sequence, deadline: u64::MAX, returns: 0 };
    Op::Message { message, places: Places::from_slice(&[place]) }
}
