//! Files of streams on a disk that loses power and octets.

use std::{collections::BTreeMap, sync::Arc};

use super::*;
use crate::{
    broker::{Message, Parts, queue::stream::ChunkFilter},
    store::disk::MemoryDisk,
};

const QUEUE: QueueId = 7;

fn entry(offset: u64) -> Entry {
    let properties = &[0, 0];
    let parts = Parts {
        exchange: b"",
        routing_key: b"q",
        properties,
        persistent: false,
        priority: 0,
        expiration: None,
        account: Account::UNCOUNTED,
    };
    let message = Message::new(&parts, offset.to_string().repeat(100).as_bytes(), &mut Vec::new());
    Entry {
        message,
        sequence: offset,
        deadline: 1_000 + offset,
        returns: 0,
        redelivered: false,
        logged: true,
    }
}

fn chunk_out(segment: u64, offsets: impl Iterator<Item = u64>) -> ChunkOut {
    let entries: Vec<Entry> = offsets.map(entry).collect();
    let filter = ChunkFilter::of(entries.iter().map(|entry| &entry.message), 16);
    ChunkOut { segment, first: entries[0].sequence, entries, filter }
}

fn open(disk: &MemoryDisk, logged_from: Option<u64>) -> OpenedStreams {
    let known = BTreeMap::from([(QUEUE, logged_from)]);
    StreamFiles::open(Arc::new(disk.clone()), &known, 99).unwrap()
}

fn offsets(files: &mut StreamFiles, segment: u64, chunk: &Chunk) -> Vec<u64> {
    let (entries, lost) = files.read(QUEUE, segment, chunk, Account::UNCOUNTED).unwrap();
    assert_eq!(lost, 0);
    for found in &entries {
        let expected = entry(found.sequence);
        assert_eq!(found.message.inline_body(), expected.message.inline_body());
        assert_eq!((found.deadline, found.logged), (expected.deadline, false));
    }
    entries.iter().map(|entry| entry.sequence).collect()
}

#[test]
fn chunks_come_back_with_their_gaps() {
    let disk = MemoryDisk::new();
    let mut opened = open(&disk, None);
    let files = &mut opened.files;
    let written = [
        files.write(QUEUE, &chunk_out(0, 0..10)).unwrap(),
        files.write(QUEUE, &chunk_out(0, [12, 13, 20].into_iter())).unwrap(),
        files.write(QUEUE, &chunk_out(21, 21..25)).unwrap(),
    ];
    files.sync().unwrap();
    let mut again = open(&disk.crash(1), None);
    assert!(again.damage.is_empty() && again.torn_bytes == 0, "{again:?}");
    let segments = again.streams.remove(&QUEUE).unwrap().segments;
    let chunks: Vec<&Chunk> = segments.iter().flat_map(|segment| &segment.chunks).collect();
    assert_eq!(chunks, written.iter().collect::<Vec<_>>());
    assert_eq!(segments.iter().map(|one| (one.first, one.end)).collect::<Vec<_>>(), [(0, 21), (21, 25)]);
    assert_eq!(offsets(&mut again.files, 0, &written[0]), (0..10).collect::<Vec<_>>());
    assert_eq!(offsets(&mut again.files, 0, &written[1]), [12, 13, 20]);
    assert_eq!(offsets(&mut again.files, 21, &written[2]), [21, 22, 23, 24]);
}

#[test]
fn what_was_not_synced_is_whole_or_cut_off_and_synced_chunks_stay() {
    for seed in 0..200 {
        let disk = MemoryDisk::new();
        let mut opened = open(&disk, None);
        opened.files.write(QUEUE, &chunk_out(0, 0..50)).unwrap();
        opened.files.sync().unwrap();
        // The log has what was not synced.
        opened.files.write(QUEUE, &chunk_out(0, 50..100)).unwrap();
        opened.files.write(QUEUE, &chunk_out(100, 100..150)).unwrap();
        let crashed = disk.crash(seed);
        let mut found = open(&crashed, Some(50));
        let segments = found.streams.remove(&QUEUE).unwrap().segments;
        let chunks: Vec<(u64, Chunk)> = segments
            .iter()
            .flat_map(|segment| segment.chunks.iter().map(|chunk| (segment.first, chunk.clone())))
            .collect();
        assert_eq!(offsets(&mut found.files, 0, &chunks[0].1), (0..50).collect::<Vec<_>>());
        for (segment, chunk) in &chunks {
            assert_eq!(offsets(&mut found.files, *segment, chunk).len(), 50, "seed {seed}");
        }
        // Writing goes on where the file was cut.
        let end = segments[0].end;
        found.files.write(QUEUE, &chunk_out(0, end..end + 5)).unwrap();
        found.files.sync().unwrap();
        let mut last = open(&crashed, None);
        assert!(last.damage.is_empty(), "seed {seed}: {:?}", last.damage);
        let again = last.streams.remove(&QUEUE).unwrap().segments;
        let chunk = again[0].chunks.last().unwrap();
        assert_eq!(offsets(&mut last.files, 0, chunk), (end..end + 5).collect::<Vec<_>>());
    }
}

#[test]
fn damage_is_reported_and_what_is_around_it_found() {
    let disk = MemoryDisk::new();
    let mut opened = open(&disk, None);
    for first in [0, 10, 20] {
        opened.files.write(QUEUE, &chunk_out(0, first..first + 10)).unwrap();
    }
    opened.files.sync().unwrap();
    let name = path((QUEUE, 0));
    let second = 2 * 4096;
    // A header, the record about a chunk, and a message.
    for (offset, chunks, lost) in [(second + 20, 2, 0), (second + 57, 2, 0), (second + 900, 3, 1)] {
        let damaged = disk.crash(0);
        assert!(damaged.flip_bit(&name, offset, 3));
        let found = scan_streams(&damaged, |_| None, Depth::Everything).unwrap();
        assert_eq!(found[0].segment.chunks.len(), chunks, "at {offset}");
        assert_eq!(found[0].damaged.len(), 1, "{:?}", found[0].damaged);
        let mut again = open(&damaged, None);
        let segment = &again.streams[&QUEUE].segments[0];
        let mut unreadable = 0;
        for chunk in segment.chunks.clone() {
            unreadable += again.files.read(QUEUE, 0, &chunk, Account::UNCOUNTED).unwrap().1;
        }
        assert_eq!(unreadable, lost, "at {offset}");
    }
}

#[test]
fn files_of_segments_and_streams_that_are_gone_go() {
    let disk = MemoryDisk::new();
    let mut opened = open(&disk, None);
    for first in [0, 10, 20] {
        opened.files.write(QUEUE, &chunk_out(first, first..first + 10)).unwrap();
    }
    opened.files.write(8, &chunk_out(0, 0..10)).unwrap();
    opened.files.store_offsets(QUEUE, &[(b"name".to_vec(), 5)]).unwrap();
    opened.files.sync().unwrap();
    opened.files.remove(QUEUE, &[0, 5]).unwrap();
    assert_eq!(disk.list(DIRECTORY).unwrap().len(), 4);
    let found = open(&disk.kill(), None);
    assert_eq!(found.streams[&QUEUE].segments.len(), 2);
    assert_eq!(found.streams[&QUEUE].offsets, [(b"name".to_vec(), 5)]);
    opened.files.remove_all(QUEUE).unwrap();
    // Nobody knows the other stream any more.
    let disk = disk.kill();
    open(&disk, None);
    assert!(disk.list(DIRECTORY).unwrap().is_empty());
}

#[test]
fn stored_offsets_are_the_old_ones_or_the_new_ones() {
    for seed in 0..50 {
        let disk = MemoryDisk::new();
        let mut opened = open(&disk, None);
        opened.files.store_offsets(QUEUE, &[(b"a".to_vec(), 5), (vec![0xff; 255], u64::MAX - 1)]).unwrap();
        opened.files.store_offsets(QUEUE, &[(b"a".to_vec(), 6)]).unwrap();
        let found = open(&disk.crash(seed), None);
        assert_eq!(found.streams[&QUEUE].offsets, [(b"a".to_vec(), 6)]);
    }
}
