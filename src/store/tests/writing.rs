//! What the writer writes, what it does not, and what it moves.

use super::*;

/// A log with queue 1.
fn started() -> (MemoryDisk, Running) {
    let disk = MemoryDisk::new();
    let mut running = Running::start(&disk);
    running.commit(vec![Op::Define(declare(1))]);
    (disk, running)
}

#[test]
fn nothing_follows_a_clean_stop() {
    let disk = MemoryDisk::new();
    let mut running = Running::start(&disk);
    running.commit(vec![Op::Define(declare(1))]);
    running.commit(vec![Op::CleanStop]);
    let late = running.log.append(&mut vec![Op::Settled { queue: 1, sequences: vec![1] }], true);
    assert!(!running.log.is_durable_now(late));
    running.writer.commit(None, 2_000_000).unwrap();
    assert!(recovered(&disk.kill(), false).unwrap().was_clean);
}

#[test]
fn what_is_consumed_within_its_batch_is_not_written() {
    let (disk, mut running) = started();
    let before = running.bytes();
    running.commit(vec![publish(1, 1, "gone"), publish(1, 2, "too"), settle(1, &[1, 2])]);
    assert_eq!(running.bytes(), before);
    running.commit(vec![publish(1, 3, "gone"), publish(1, 4, "stays"), settle(1, &[3])]);
    assert_eq!(running.bytes(), before + 4096);
    assert_eq!(seen(&disk).0.into_values().collect::<Vec<_>>(), [("stays".to_owned(), 0)]);
}

#[test]
fn a_settlement_may_come_before_its_message() {
    let (disk, mut running) = started();
    let before = running.bytes();
    running.commit(vec![settle(1, &[1])]);
    running.commit(vec![publish(1, 1, "late"), publish(1, 2, "stays")]);
    running.commit(vec![settle(1, &[3]), publish(1, 3, "late")]);
    assert_eq!(running.bytes(), before + 4096);
    assert_eq!(sequences(&disk), [2]);
}

#[test]
fn returns_are_counted_whenever_they_come() {
    let (disk, mut running) = started();
    running.commit(vec![give_back(1, &[1])]);
    running.commit(vec![
        publish(1, 1, "early"),
        publish(1, 2, "same"),
        publish(1, 3, "later"),
        give_back(1, &[2, 2]),
    ]);
    running.commit(vec![give_back(1, &[3, 1])]);
    let returns: Vec<u32> = seen(&disk).0.into_values().map(|(_, returns)| returns).collect();
    assert_eq!(returns, [2, 2, 1]);
}

#[test]
fn a_queue_that_is_not_known_gets_nothing() {
    let (disk, mut running) = started();
    let before = running.bytes();
    running.commit(vec![publish(7, 1, "x"), settle(7, &[1]), give_back(7, &[1])]);
    assert_eq!(running.bytes(), before);
    running.commit(vec![publish(1, 1, "x")]);
    running.commit(vec![Op::Define(Definition::DeleteQueue { vhost: "/".into(), name: "q1".into(), id: 1 })]);
    assert_eq!(seen(&disk), Seen::default());
    assert_eq!(running.writer.usage().live_bytes, 0);
}

#[test]
fn what_lives_is_moved_and_the_rest_is_forgotten() {
    let (disk, mut running) = started();
    running.commit(vec![publish(1, 1, "survivor"), publish(1, 2, "returned")]);
    running.commit(vec![give_back(1, &[2])]);
    for sequence in 3..60 {
        running.commit(vec![publish(1, sequence, &"x".repeat(3000))]);
        running.commit(vec![settle(1, &[sequence])]);
    }
    let before = running.writer.usage();
    assert!(4 <= before.segments, "{before:?}");
    running.idle();
    let after = running.writer.usage();
    assert!(after.bytes <= 2 * SEGMENT && after.segments <= 3, "{after:?}");
    let expected = [((1, 1), ("survivor".to_owned(), 0)), ((1, 2), ("returned".to_owned(), 1))];
    assert_eq!(seen(&disk).0.into_iter().collect::<Vec<_>>(), expected);
    assert_eq!(seen(&disk.crash(1)), seen(&disk), "and survives the loss of power");
    // Two are kept for later, no more.
    let spares = disk.files().iter().filter(|(name, _)| name.contains("spare")).count();
    assert!((1..=2).contains(&spares), "{spares}");
    running.commit(vec![settle(1, &[1])]);
    assert_eq!(sequences(&disk), [2]);
}

#[test]
fn the_oldest_segment_waits_for_its_definitions() {
    let (disk, mut running) = started();
    for sequence in 1..60 {
        running.commit(vec![publish(1, sequence, &"x".repeat(3000))]);
        running.commit(vec![settle(1, &[sequence])]);
    }
    let oldest = disk.files()[0].clone();
    let wanted = running.log.take_wanted_definitions();
    assert_eq!(wanted, ["/"]);
    for _ in 0..20 {
        running.now += 1000;
        running.writer.commit(None, running.now).unwrap();
    }
    assert_eq!(disk.files()[0], oldest, "nobody has answered");
    running.commit(vec![Op::Define(Definition::Reset { vhost: "/".into() }), Op::Define(declare(1))]);
    running.idle();
    assert_ne!(disk.files()[0], oldest);
    let log = replay(&disk, |_, _| (), |_, _| {}).unwrap();
    assert_eq!(log.definitions["/"].queue_ids().collect::<Vec<_>>(), [1]);
}

#[test]
fn what_was_moved_before_its_queue_was_defined_again_is_not_lost() {
    let (disk, mut running) = started();
    running.commit(vec![publish(1, 1, "survivor"), publish(1, 2, "paged"), publish(1, 3, "settled")]);
    running.commit(vec![Op::Page(page(1, &[(2, 1)]))]);
    let oldest = disk.files()[0].clone();
    let mut sequence = 3;
    while running.log.take_wanted_definitions().is_empty() {
        sequence += 1;
        running.commit(vec![publish(1, sequence, &"x".repeat(3000))]);
        running.commit(vec![settle(1, &[sequence])]);
        assert!(sequence < 100, "nobody asks for definitions");
    }
    // By now all that lives in the first segment is written again, and only then its queue's definition.
    running.commit(vec![settle(1, &[3])]);
    running.commit(vec![Op::Define(Definition::Reset { vhost: "/".into() }), Op::Define(declare(1))]);
    while disk.files()[0] == oldest {
        running.commit(vec![Op::Define(declare(1))]);
    }
    let log = replay(&disk, |_, _| (), |_, _| {}).unwrap();
    let queue = &log.queues[&1];
    assert_eq!(queue.messages.keys().copied().collect::<Vec<_>>(), [1]);
    assert_eq!(queue.pages[0].live, [(2, 1)]);
    assert!(sequence < queue.next_sequence, "{} after {sequence}", queue.next_sequence);
}

#[test]
fn records_of_pages_are_renewed_with_what_lives_in_them() {
    let (disk, mut running) = started();
    running.commit((1..=6).map(|sequence| publish(1, sequence, "paged")).collect());
    running.commit(vec![Op::Page(page(1, &[(1, 3)])), Op::Page(page(2, &[(4, 3)]))]);
    running.commit(vec![settle(1, &[2])]);
    for sequence in 7..60 {
        running.commit(vec![publish(1, sequence, &"x".repeat(3000))]);
        running.commit(vec![settle(1, &[sequence])]);
    }
    let oldest = disk.files()[0].clone();
    running.idle();
    assert_ne!(disk.files()[0], oldest);
    let pages = |disk: &MemoryDisk| -> Vec<(u64, Vec<(u64, u64)>)> {
        let log = replay(disk, |_, _| (), |_, _| {}).unwrap();
        assert!(log.queues[&1].messages.is_empty());
        // One of which everything is settled is only a range of a file to be given back.
        let used = log.queues[&1].pages.iter().filter(|page| !page.live.is_empty());
        used.map(|page| (page.page, page.live.clone())).collect()
    };
    assert_eq!(pages(&disk), [(1, vec![(1, 1), (3, 1)]), (2, vec![(4, 3)])]);
    // A page is free once it is released and empty, and that is on disk.
    running.commit(vec![settle(1, &[1, 3]), Op::PageReleased { queue: 1, page: 1 }]);
    assert_eq!(running.writer.take_freed(), [PageRange { file: 1, offset: 0, length: 4096 }]);
    assert_eq!(pages(&disk), [(2, vec![(4, 3)])]);
}

#[test]
fn a_full_disk_keeps_what_waits_and_goes_on() {
    let disk = MemoryDisk::with_capacity(3 * SEGMENT);
    let mut running = Running::start(&disk);
    running.commit(vec![Op::Define(declare(1))]);
    let mut sequence = 0;
    let stuck = loop {
        sequence += 1;
        let position = running.log.append(&mut vec![publish(1, sequence, &"x".repeat(3000))], true);
        match running.writer.commit(None, sequence).unwrap() {
            Committed::Done => assert!(running.log.is_durable_now(position)),
            other => break (position, other),
        }
        assert!(sequence < 1000, "the disk never fills up");
    };
    assert_eq!(stuck.1, Committed::Full);
    assert!(!running.log.is_durable_now(stuck.0));
    let behind = running.log.append(&mut vec![settle(1, &[1]), publish(1, 9999, "behind")], true);
    assert_eq!(running.writer.commit(None, 0).unwrap(), Committed::Full);
    assert_eq!(sequences(&disk), (1..sequence).collect::<Vec<_>>(), "what was durable is there");
    disk.set_capacity(None);
    assert_eq!(running.writer.commit(None, 0).unwrap(), Committed::Done);
    assert!(running.log.is_durable_now(behind));
    let expected: Vec<u64> = (2..=sequence).chain([9999]).collect();
    assert_eq!(sequences(&disk.crash(3)), expected);
    assert_eq!(seen(&disk).1, []);
}

#[test]
fn a_log_on_a_full_disk_can_be_started_and_emptied() {
    let disk = MemoryDisk::with_capacity(3 * SEGMENT);
    let mut running = Running::start(&disk);
    running.commit(vec![Op::Define(declare(1))]);
    let mut sequence = 0;
    loop {
        sequence += 1;
        running.log.append(&mut vec![publish(1, sequence, &"x".repeat(3000))], true);
        if running.writer.commit(None, 0).unwrap() == Committed::Full {
            break;
        }
    }
    drop(running);
    // What a start cuts off is not room enough for a segment.
    let used: u64 = disk.files().iter().map(|(_, length)| *length).sum();
    disk.set_capacity(Some(used + 4 * 4096));
    let mut running = Running::start(&disk);
    assert_eq!(sequences(&disk), (1..sequence).collect::<Vec<_>>());
    let all: Vec<u64> = (1..sequence).collect();
    running.log.append(&mut vec![settle(1, &all)], true);
    running.idle();
    assert!(running.writer.usage().segments <= 2, "{:?}", running.writer.usage());
    running.commit(vec![publish(1, 9999, "again")]);
    assert_eq!(sequences(&disk.crash(3)), [9999]);
}

#[test]
fn a_trimmed_log_can_begin_behind_a_segment_that_a_start_removed() {
    let disk = MemoryDisk::new();
    let mut log = Running::start(&disk);
    log.commit(vec![Op::Define(declare(1)), publish(1, 0, "kept")]);
    // Two starts in vain: the segment of the first is removed by the second.
    drop(log);
    drop(Running::start(&disk));
    let mut log = Running::start(&disk);
    for sequence in 1..100 {
        log.commit(vec![publish(1, sequence, "x"), settle(1, &[sequence])]);
        log.commit(vec![publish(1, 100 + sequence, "x")]);
        log.commit(vec![settle(1, &[100 + sequence])]);
        // Wherever the trimming is when the broker dies.
        assert_eq!(seen(&disk).1, []);
        assert_eq!(sequences(&disk), [0]);
    }
    log.idle();
    assert!(segment_paths(&disk).len() < 5);
    assert_eq!(sequences(&disk), [0]);
}

#[test]
fn what_was_given_back_in_a_page_is_remembered_when_its_segment_goes() {
    let (disk, mut log) = started();
    log.commit((0..4).map(|sequence| publish(1, sequence, "paged")).collect());
    log.commit(vec![Op::Page(page(0, &[(0, 4)]))]);
    log.commit(vec![give_back(1, &[1, 2])]);
    let oldest = segment_paths(&disk).remove(0);
    for sequence in 10..100 {
        log.commit(vec![publish(1, sequence, "x")]);
        log.commit(vec![settle(1, &[sequence])]);
    }
    log.idle();
    assert!(!segment_paths(&disk).contains(&oldest));
    let found = recovered(&disk, false).unwrap();
    let returned: Vec<u64> = found.queues[&1].returns.keys().copied().collect();
    assert_eq!(returned, [1, 2]);
}
