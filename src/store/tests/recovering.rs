//! Recovery from files that are torn, damaged, missing or somebody else's.

use super::super::{
    batch::{HEADER, read_header},
    record::{put_encoded_message, put_page, put_returned, put_settled, put_trimmed},
    segment::{FIRST_BATCH, path},
};
use super::*;

/// A log of one segment: a declaration and a message in each of some batches. Also says where batches begin.
fn some_batches(count: u64) -> (MemoryDisk, Vec<u64>) {
    let disk = MemoryDisk::new();
    let mut running = Running::start(&disk);
    let mut offsets = Vec::new();
    for sequence in 1..=count {
        offsets.push(running.bytes());
        let mut ops = vec![publish(1, sequence, &format!("body {sequence}"))];
        if sequence == 1 {
            ops.insert(0, Op::Define(declare(1)));
        }
        running.commit(ops);
    }
    assert_eq!(running.writer.usage().segments, 1);
    (disk, offsets)
}

/// The length of the batch at an offset without its padding.
fn length(disk: &MemoryDisk, offset: u64) -> u64 {
    let file = disk.open(&path(1), Open::ReadOnly).unwrap();
    HEADER as u64 + read_header(&*file, offset, 1).unwrap().unwrap().length
}

/// Many batches, over several segments.
fn some_segments() -> MemoryDisk {
    let disk = MemoryDisk::new();
    let mut running = Running::start(&disk);
    running.commit(vec![Op::Define(declare(1))]);
    for sequence in 1..=30 {
        running.commit(vec![publish(1, sequence, &"x".repeat(3000))]);
    }
    assert!(4 <= running.writer.usage().segments);
    disk
}

#[test]
fn an_empty_directory_is_an_empty_log() {
    let disk = MemoryDisk::new();
    assert_eq!(seen(&disk), Seen::default());
    assert_eq!(disk.files(), [], "looking makes nothing");
    let found = recovered(&disk, false).unwrap();
    assert!(found.definitions.is_empty() && found.queues.is_empty() && found.report.damage.is_empty());
    assert_eq!(segment_paths(&disk), [path(1)]);
}

#[test]
fn a_torn_tail_is_cut_wherever_it_is_torn() {
    let (disk, offsets) = some_batches(3);
    let (start, end) = (offsets[2], offsets[2] + length(&disk, offsets[2]));
    for cut in start..=end {
        for zeros in [true, false] {
            let torn = disk.kill();
            let file = torn.open(&path(1), Open::Existing).unwrap();
            file.set_length(cut).unwrap();
            if zeros {
                file.set_length(SEGMENT).unwrap();
            }
            // The last octets may be zeros anyway.
            let whole = cut == end || (zeros && torn.contents(&path(1)) == disk.contents(&path(1)));
            let expected: &[u64] = if whole { &[1, 2, 3] } else { &[1, 2] };
            let (before, damage) = seen(&torn);
            assert_eq!((sequences(&torn).as_slice(), damage), (expected, vec![]), "cut at {cut}");
            if cut % 16 == 0 {
                // And the log goes on behind it.
                let mut running = Running::start(&torn);
                assert_eq!(seen(&torn).0, before);
                running.commit(vec![publish(1, 9, "later")]);
                assert_eq!(sequences(&torn), [expected, &[9]].concat());
            }
        }
    }
}

#[test]
fn a_first_batch_that_never_was_durable_takes_what_follows_with_it() {
    let disk = MemoryDisk::new();
    let mut running = Running::start(&disk);
    running.log.append(&mut vec![Op::Define(declare(1))], false);
    running.writer.commit(None, 1).unwrap();
    running.log.append(&mut vec![publish(1, 1, "x")], false);
    running.writer.commit(None, 2).unwrap();
    write(&disk, &path(1), &[0; 4096], FIRST_BATCH);
    assert_eq!(seen(&disk), Seen::default());
    let mut running = Running::start(&disk);
    running.commit(vec![Op::Define(declare(1)), publish(1, 5, "y")]);
    assert_eq!(sequences(&disk), [5]);
}

#[test]
fn a_flipped_bit_in_what_was_durable_is_reported_and_the_rest_is_there() {
    let (disk, offsets) = some_batches(4);
    let whole = seen(&disk).0;
    for offset in offsets[1]..offsets[1] + length(&disk, offsets[1]) {
        let bit = (offset % 8) as u8;
        disk.flip_bit(&path(1), offset, bit);
        let (found, damage) = seen(&disk);
        assert_eq!(damage.len(), 1, "octet {offset}: {damage:?}");
        assert_eq!((damage[0].segment, damage[0].offset <= offset || damage[0].kind.is_grave()), (1, true));
        assert_eq!(found.keys().map(|(_, sequence)| *sequence).collect::<Vec<_>>(), [1, 3, 4]);
        assert!(found.iter().all(|(place, message)| whole[place] == *message), "octet {offset}");
        let grave = damage[0].kind.is_grave();
        if offset % 16 == 0 {
            let copy = disk.kill();
            assert_eq!(recovered(&copy, false).is_err(), grave, "octet {offset}");
            assert_eq!(seen(&copy).1, damage, "a refused start changes nothing");
            recovered(&copy, true).unwrap();
            assert_eq!(seen(&copy).0, found);
        }
        disk.flip_bit(&path(1), offset, bit);
    }
    assert_eq!(seen(&disk), (whole, vec![]));
}

#[test]
fn a_flipped_bit_in_the_very_first_batch_is_reported_too() {
    let (disk, offsets) = some_batches(3);
    for offset in offsets[0]..offsets[0] + length(&disk, offsets[0]) {
        disk.flip_bit(&path(1), offset, 3);
        let (found, damage) = seen(&disk);
        assert!(!damage.is_empty(), "octet {offset}");
        assert!(!found.contains_key(&(1, 1)) || damage[0].kind.is_grave());
        disk.flip_bit(&path(1), offset, 3);
    }
}

#[test]
fn a_damaged_message_is_named_and_a_damaged_settlement_does_not_stop_a_start() {
    let (disk, offsets) = some_batches(2);
    let mut running = Running::start(&disk);
    let settled_at = running.bytes() - offsets[1] - 4096 + FIRST_BATCH;
    running.commit(vec![settle(1, &[1])]);
    running.commit(vec![publish(1, 3, "after")]);
    disk.flip_bit(&path(1), offsets[1] + length(&disk, offsets[1]) - 1, 0);
    let damage = seen(&disk).1;
    assert_eq!(damage[0].kind, DamageKind::Record { places: vec![(1, 2)] });
    assert!(damage[0].to_string().contains("it was number 2 of queue #1"), "{}", damage[0]);
    assert_eq!(sequences(&disk), [3]);
    let settlement = DamageKind::Settlement { queue: 1, runs: vec![(1, 1)] };
    assert!(!settlement.is_grave());
    assert!(FIRST_BATCH <= settled_at);
}

#[test]
fn a_missing_first_or_middle_segment_is_damage_and_a_missing_last_one_cannot_be_known() {
    let disk = some_segments();
    let files = segment_paths(&disk);
    let all = sequences(&disk);
    for (at, name) in files.iter().enumerate() {
        let copy = disk.kill();
        copy.remove(name).unwrap();
        let (_, damage) = seen(&copy);
        let is_last = at + 1 == files.len();
        assert_eq!(damage.is_empty(), is_last, "{name}: {damage:?}");
        assert_eq!(recovered(&copy, false).is_err(), !is_last, "{name}");
        let left = sequences(&copy);
        assert!(left.len() < all.len() && left.iter().all(|sequence| all.contains(sequence)));
        match at {
            0 => assert_eq!(damage[0].kind, DamageKind::Segments { before: 2 }),
            _ if !is_last => assert!(matches!(damage[0].kind, DamageKind::Batches { .. })),
            _ => {}
        }
    }
}

#[test]
fn a_truncated_segment_loses_its_end_and_nothing_else() {
    let disk = some_segments();
    let all = sequences(&disk);
    let file = disk.open(&path(2), Open::Existing).unwrap();
    // In the middle of its second batch.
    file.set_length(FIRST_BATCH + 4096 + 100).unwrap();
    let (_, damage) = seen(&disk);
    assert!(
        matches!(damage[..], [Damage { segment: 2, kind: DamageKind::Batches { .. }, .. }, ..]),
        "{damage:?}"
    );
    let left = sequences(&disk);
    let lost: Vec<u64> = all.iter().copied().filter(|sequence| !left.contains(sequence)).collect();
    assert!(!lost.is_empty() && lost.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{lost:?}");
    assert!(left.contains(&30) && left.contains(&1));
    assert!(recovered(&disk.kill(), false).is_err());
    recovered(&disk, true).unwrap();
}

#[test]
fn what_is_missing_before_an_empty_last_segment_is_damage() {
    let disk = some_segments();
    // As every start does, this one makes a segment, and nothing is written to it.
    drop(Running::start(&disk));
    let files = segment_paths(&disk);
    let (last, before) = (files.len() as u64, files.len() as u64 - 1);
    let all = sequences(&disk);
    let end = disk.contents(&path(before)).unwrap().len() as u64;
    for length in [end - 2000, FIRST_BATCH + 10, FIRST_BATCH] {
        let copy = disk.kill();
        copy.open(&path(before), Open::Existing).unwrap().set_length(length).unwrap();
        let (_, damage) = seen(&copy);
        assert_eq!(damage.len(), 1, "{damage:?}");
        assert!(matches!(damage[0].kind, DamageKind::Batches { last: 31, .. }), "{damage:?}");
        assert!(damage[0].segment < last);
        assert!(recovered(&copy, false).is_err());
        let mut running = accepting(&copy);
        let left = sequences(&copy);
        assert!(left.len() < all.len() && all.starts_with(&left));
        running.commit(vec![publish(1, 99, "later")]);
        drop(running);
        assert_eq!(seen(&copy).1, [], "accepted once");
        assert_eq!(sequences(&copy), [left.as_slice(), &[99]].concat());
        recovered(&copy, false).unwrap();
    }
}

/// A log that goes on after a loss that was accepted.
fn accepting(disk: &MemoryDisk) -> Running {
    let found = recovered(disk, true).unwrap();
    Running { log: found.log, writer: found.writer, now: 1 }
}

#[test]
fn a_damaged_segment_header_is_reported_and_costs_nothing() {
    let disk = some_segments();
    let all = sequences(&disk);
    for number in 1..=segment_paths(&disk).len() as u64 {
        disk.flip_bit(&path(number), 20, 0);
        assert_eq!(seen(&disk).1, [], "there is a copy");
        disk.flip_bit(&path(number), 2048 + 20, 0);
        let (_, damage) = seen(&disk);
        assert_eq!(damage, [Damage { segment: number, offset: 0, kind: DamageKind::Header }]);
        assert_eq!(sequences(&disk), all);
        disk.flip_bit(&path(number), 20, 0);
        disk.flip_bit(&path(number), 2048 + 20, 0);
    }
    recovered(&disk, false).unwrap();
}

#[test]
fn spare_and_foreign_files_are_left_alone() {
    let disk = some_segments();
    let all = sequences(&disk);
    // A spare holds what a segment once held.
    let old = disk.contents(&path(1)).unwrap();
    for name in ["log/spare-0000000000000001", "log/notes.txt", "log/0000000000000001.bak"] {
        disk.open(name, Open::CreateNew).unwrap().write_all_at(&old, 0).unwrap();
    }
    let log = replay(&disk, |_, _| (), |_, _| {}).unwrap();
    assert_eq!(log.report.foreign, ["0000000000000001.bak", "notes.txt"]);
    assert_eq!((sequences(&disk), seen(&disk).1), (all.clone(), vec![]));
    // The next start takes the spare for its segment, in which the old batches mean nothing.
    drop(Running::start(&disk));
    assert_eq!((sequences(&disk), seen(&disk).1), (all, vec![]));
    assert!(disk.contents("log/notes.txt").is_some());
    assert!(disk.contents("log/spare-0000000000000001").is_none());
}

#[test]
fn a_trimmed_segment_that_was_left_behind_goes_at_the_next_start() {
    let disk = log_of(&[body_of(|out| record::put_definition(out, &declare(1)))]);
    let second = segment::create(&disk, (2, 0, 1), SEGMENT, &mut Vec::new()).unwrap();
    let mut builder = Builder::default();
    builder.begin(2);
    builder.record(|out| record::put_definition(out, &declare(2)));
    builder.record(|out| put_trimmed(out, 2));
    second.file.write_all_at(builder.seal(2, 1), FIRST_BATCH).unwrap();
    disk.flip_bit(&path(1), 20, 0);
    disk.flip_bit(&path(1), FIRST_BATCH + 60, 0);
    assert_eq!(seen(&disk).1, [], "what is not needed may be damaged");
    recovered(&disk, false).unwrap();
    assert_eq!(segment_paths(&disk), [path(2), path(3)]);
}

#[test]
fn what_a_trimmed_segment_settled_does_not_revive_if_just_that_is_damaged() {
    let (disk, offsets) = some_batches(2);
    let end = offsets[1]
        + read_header(&*disk.open(&path(1), Open::ReadOnly).unwrap(), offsets[1], 1).unwrap().unwrap().span();
    let mut builder = Builder::default();
    builder.begin(3);
    builder.record(|out| put_settled(out, 1, &[(1, 2)]));
    write(&disk, &path(1), builder.seal(1, 2), end);
    let second = segment::create(&disk, (2, 0, 3), SEGMENT, &mut Vec::new()).unwrap();
    builder.begin(4);
    builder.record(|out| record::put_definition(out, &declare(1)));
    builder.record(|out| put_trimmed(out, 2));
    second.file.write_all_at(builder.seal(2, 3), FIRST_BATCH).unwrap();
    assert!(sequences(&disk).is_empty());
    for damaged in [end, end + HEADER as u64 + 9] {
        let disk = disk.kill();
        disk.flip_bit(&path(1), damaged, 0);
        assert_eq!((sequences(&disk), seen(&disk).1), (Vec::<u64>::new(), vec![]), "octet {damaged}");
        recovered(&disk, false).unwrap();
        assert_eq!(segment_paths(&disk), [path(2), path(3)]);
    }
}

#[test]
fn a_record_that_would_have_its_own_segment_thrown_away_is_damage() {
    let disk = hostile(vec![body_of(|out| put_trimmed(out, 2))]);
    assert_eq!(seen(&disk).1[0].kind, DamageKind::Record { places: Vec::new() });
    assert!(recovered(&disk, false).is_err());
    recovered(&disk, true).unwrap();
    assert_eq!(segment_paths(&disk), [path(1), path(2)]);
}

#[test]
fn loss_is_accepted_once() {
    let disk = some_segments();
    disk.remove(&path(1)).unwrap();
    disk.sync_directory(segment::DIRECTORY).unwrap();
    assert!(recovered(&disk, false).is_err());
    let mut accepting = recovered(&disk, true).unwrap();
    assert_eq!(accepting.writer.commit(None, 1).unwrap(), Committed::Done);
    assert_eq!(seen(&disk).1, []);
    recovered(&disk, false).unwrap();
}

#[test]
fn progress_reaches_its_end() {
    let disk = some_segments();
    let mut heard = Vec::new();
    let log = replay(&disk, |_, _| (), |done, total| heard.push((done, total))).unwrap();
    assert!(heard.windows(2).all(|pair| pair[0].0 < pair[1].0));
    assert_eq!(heard.last(), Some(&(log.report.bytes, log.report.bytes)));
    assert_eq!(log.report.records, 31);
    assert_eq!(log.report.written_by.as_deref(), Some(env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_message_is_found_again_where_the_replay_says_it_is() {
    let disk = some_segments();
    let log = replay(&disk, |_, spot| spot, |_, _| {}).unwrap();
    for message in log.queues[&1].messages.values() {
        let octets = log.read(message.message).unwrap();
        assert_eq!(View::decode(&mut Reader::new(&octets)).unwrap().body, [b'x'; 3000]);
    }
}

#[test]
fn a_walk_sees_every_record_in_order() {
    let disk = some_segments();
    let mut kinds = Vec::new();
    let mut batches = Vec::new();
    walk(&disk, |walked| {
        let Body::Good(body) = walked.body else { panic!("{walked:?}") };
        kinds.push(matches!(Record::decode(body), Ok(Record::Message { .. })));
        batches.push(walked.batch);
        if kinds.len() == 15 { std::ops::ControlFlow::Break(()) } else { std::ops::ControlFlow::Continue(()) }
    })
    .unwrap();
    assert_eq!(kinds, [&[false][..], &[true; 14]].concat());
    assert_eq!(batches, (1..=15).collect::<Vec<_>>());
}

fn body_of(put: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out);
    out
}

/// Records of a queue with two messages and a page, and what comes behind them.
fn hostile(more: Vec<Vec<u8>>) -> MemoryDisk {
    let mut contents = Vec::new();
    contents::encode(&message("x"), &mut contents);
    let place = |sequence| Place { queue: 1, sequence, deadline: NEVER, returns: 0 };
    let mut bodies = vec![
        body_of(|out| record::put_definition(out, &declare(1))),
        body_of(|out| put_encoded_message(out, &[place(5)], &contents)),
        body_of(|out| put_encoded_message(out, &[place(u64::MAX - 1)], &contents)),
        body_of(|out| put_page(out, &page(1, &[(10, 3), (20, 1)]))),
    ];
    bodies.extend(more);
    log_of(&bodies)
}

#[test]
fn runs_of_absurd_lengths_cost_what_is_there() {
    let disk = hostile(vec![body_of(|out| put_returned(out, 1, &[(0, u64::MAX)], returns::FAILED))]);
    let log = replay(&disk, |_, _| (), |_, _| {}).unwrap();
    let queue = &log.queues[&1];
    assert!(queue.messages.values().all(|message| message.returns == 1) && queue.messages.len() == 2);
    assert_eq!(
        queue.returns.iter().map(|(sequence, times)| (*sequence, *times)).collect::<Vec<_>>(),
        [(10, 1), (11, 1), (12, 1), (20, 1)]
    );
    let disk = hostile(vec![body_of(|out| put_settled(out, 1, &[(6, u64::MAX - 10)]))]);
    let log = replay(&disk, |_, _| (), |_, _| {}).unwrap();
    let queue = &log.queues[&1];
    assert_eq!(queue.messages.keys().copied().collect::<Vec<_>>(), [5, u64::MAX - 1]);
    assert!(queue.pages.iter().all(|page| page.live.is_empty()), "everything in the page is settled");
    assert_eq!(queue.next_sequence, u64::MAX);
}

#[test]
fn what_is_given_back_in_a_page_counts_although_its_record_was_renewed_later() {
    let returned = body_of(|out| put_returned(out, 1, &[(30, 2)], returns::FAILED));
    let record = PageRecord { returns: vec![(31, 4)], ..page(2, &[(31, 2)]) };
    let renewed = body_of(|out| put_page(out, &record));
    let later = body_of(|out| put_returned(out, 1, &[(30, 3)], returns::FAILED));
    let disk = hostile(vec![returned, renewed, later]);
    let log = replay(&disk, |_, _| (), |_, _| {}).unwrap();
    assert_eq!(log.queues[&1].returns.iter().collect::<Vec<_>>(), [(&31, &5), (&32, &1)]);
}

#[test]
fn a_record_that_is_no_message_after_all_is_damage() {
    let contents = [0xFF; 3];
    let place = Place { queue: 1, sequence: 7, deadline: NEVER, returns: 0 };
    let disk = hostile(vec![body_of(|out| put_encoded_message(out, &[place], &contents)), vec![99]]);
    let kinds: Vec<DamageKind> = seen(&disk).1.into_iter().map(|damage| damage.kind).collect();
    let expected = [DamageKind::Record { places: vec![(1, 7)] }, DamageKind::Record { places: Vec::new() }];
    assert_eq!(kinds, expected);
}
