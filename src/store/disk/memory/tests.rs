//! The model of power loss: what must survive, what may, and what never happens.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const SEEDS: std::ops::Range<u64> = 0..300;
const MIB: u64 = 1 << 20;

/// A disk with one durable file, open.
fn disk_with(octets: &[u8]) -> (MemoryDisk, Arc<dyn DiskFile>) {
    let disk = MemoryDisk::new();
    disk.create_directory("log").unwrap();
    let file = disk.open("log/1", Open::CreateNew).unwrap();
    disk.sync_directory("log").unwrap();
    file.write_all_at(octets, 0).unwrap();
    file.sync().unwrap();
    (disk, file)
}

/// All that may be found of the file, over many crashes.
fn found(disk: &MemoryDisk) -> BTreeSet<Vec<u8>> {
    SEEDS.map(|seed| disk.crash(seed).contents("log/1").expect("the name is durable")).collect()
}

fn code<T>(result: io::Result<T>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}

#[test]
fn what_is_synced_survives_every_crash() {
    let (disk, file) = disk_with(&[7; 10_000]);
    assert_eq!(found(&disk), BTreeSet::from([vec![7; 10_000]]));
    file.set_length(3).unwrap();
    file.sync().unwrap();
    assert_eq!(found(&disk), BTreeSet::from([vec![7; 3]]));
    assert_eq!(disk.syncs(), 2);
}

#[test]
fn what_is_not_synced_survives_or_not() {
    let (disk, file) = disk_with(b"old");
    file.write_all_at(b"new", 0).unwrap();
    assert_eq!(found(&disk), BTreeSet::from([b"old".to_vec(), b"new".to_vec()]));
    assert!(disk.is_dirty("log/1"));
    file.sync().unwrap();
    assert_eq!(found(&disk), BTreeSet::from([b"new".to_vec()]));
    assert!(!disk.is_dirty("log/1"));
}

#[test]
fn the_same_seed_is_the_same_crash() {
    let (disk, file) = disk_with(&[1; 40_000]);
    for at in 0..40 {
        file.write_all_at(&[2; 700], at * 1000).unwrap();
    }
    for seed in SEEDS {
        assert_eq!(disk.crash(seed).contents("log/1"), disk.crash(seed).contents("log/1"), "seed {seed}");
    }
    assert!(found(&disk).len() > 100, "crashes hardly differ");
}

#[test]
fn writes_tear_at_sectors_and_nowhere_else() {
    let (disk, file) = disk_with(&[1; 8192]);
    file.write_all_at(&[2; 8192], 0).unwrap();
    let found = found(&disk);
    for octets in &found {
        assert!(octets.chunks(512).all(|sector| sector.iter().all(|octet| *octet == sector[0])));
    }
    let torn = |page: usize| found.iter().any(|octets| octets[page * 4096] != octets[page * 4096 + 3584]);
    assert!(torn(0) && torn(1), "no page is ever torn");
    assert!(found.contains(&vec![1; 8192]) && found.contains(&vec![2; 8192]), "never all or nothing");
}

#[test]
fn a_later_write_may_survive_an_earlier_one() {
    let (disk, file) = disk_with(&[0; 8192]);
    file.write_all_at(b"first", 0).unwrap();
    file.write_all_at(b"second", 4096).unwrap();
    let pairs: BTreeSet<(bool, bool)> =
        found(&disk).iter().map(|octets| (octets[0] == b'f', octets[4096] == b's')).collect();
    assert_eq!(pairs.len(), 4, "{pairs:?}");
}

#[test]
fn a_sector_shows_only_states_that_it_had() {
    let (disk, file) = disk_with(b"....");
    for (at, octet) in [b"a", b"b", b"c"].into_iter().enumerate() {
        file.write_all_at(octet, at as u64).unwrap();
    }
    let states = [&b"...."[..], b"a...", b"ab..", b"abc."].map(<[u8]>::to_vec);
    assert_eq!(found(&disk), BTreeSet::from(states));
}

#[test]
fn a_length_may_be_new_while_the_octets_are_not() {
    let (disk, file) = disk_with(b"old");
    file.write_all_at(&[9; 5000], 3).unwrap();
    let found = found(&disk);
    let lengths: BTreeSet<usize> = found.iter().map(Vec::len).collect();
    assert_eq!(lengths, BTreeSet::from([3, 5003]));
    assert!(
        found.iter().any(|octets| octets.len() == 5003 && octets[4096..].iter().all(|octet| *octet == 0))
    );
    assert!(found.iter().all(|octets| octets.starts_with(b"old")));
}

#[test]
fn nothing_lurks_behind_the_end_of_a_file_after_a_crash() {
    let (disk, file) = disk_with(b"old");
    file.write_all_at(&[9; 5000], 3).unwrap();
    let short = SEEDS.map(|seed| disk.crash(seed)).filter(|found| found.files()[0].1 == 3);
    let mut tried = 0;
    for found in short {
        found.open("log/1", Open::Existing).unwrap().set_length(5003).unwrap();
        assert_eq!(found.contents("log/1").unwrap(), [&b"old"[..], &[0; 5000]].concat());
        tried += 1;
    }
    assert!(tried > 10, "only {tried} crashes kept the old length");
}

#[test]
fn a_cut_file_is_old_or_new_and_shows_nothing_from_before_the_cut() {
    let (disk, file) = disk_with(&[1; 8192]);
    file.set_length(0).unwrap();
    file.write_all_at(&[2; 4096], 4096).unwrap();
    file.write_all_at(&[3; 4096], 0).unwrap();
    for octets in found(&disk) {
        match octets.len() {
            0 => {}
            // The cut was lost, and what was written after it went to other blocks.
            8192 if octets.contains(&1) => assert_eq!(octets, vec![1; 8192]),
            8192 => assert!(octets[..4096].iter().all(|octet| matches!(octet, 0 | 3))),
            length => panic!("{length} octets"),
        }
    }
}

#[test]
fn a_discarded_range_reads_as_zeros_now_and_comes_back_only_without_a_sync() {
    let (disk, file) = disk_with(&[1; 20_000]);
    file.discard(4000, 12_000).unwrap();
    let mut expected = vec![1; 20_000];
    expected[4000..16_000].fill(0);
    assert_eq!(disk.contents("log/1").unwrap(), expected);
    let middle: BTreeSet<u8> = found(&disk).iter().map(|octets| octets[8192]).collect();
    assert_eq!(middle, BTreeSet::from([0, 1]));
    file.sync().unwrap();
    assert_eq!(found(&disk), BTreeSet::from([expected]));
}

#[test]
fn a_name_is_durable_when_its_directory_is_synced() {
    let disk = MemoryDisk::new();
    disk.create_directory("log").unwrap();
    let file = disk.open("log/1", Open::CreateNew).unwrap();
    file.write_all_at(b"x", 0).unwrap();
    file.sync().unwrap();
    let there = || SEEDS.map(|seed| disk.crash(seed).files().len()).collect::<BTreeSet<_>>();
    assert_eq!(there(), BTreeSet::from([0, 1]));
    disk.sync_directory("log").unwrap();
    assert_eq!(there(), BTreeSet::from([1]));
    disk.remove("log/1").unwrap();
    assert!(disk.list("log").unwrap().is_empty());
    assert_eq!(there(), BTreeSet::from([0, 1]));
    disk.sync_directory("log").unwrap();
    assert_eq!(there(), BTreeSet::from([0]));
    assert_eq!(disk.directory_syncs(), 2);
    assert_eq!(file.write_at(b"still", 0).unwrap(), 5, "an open file outlives its name");
}

#[test]
fn a_rename_is_atomic() {
    let (disk, _) = disk_with(b"old");
    let file = disk.open("log/new", Open::CreateNew).unwrap();
    file.write_all_at(b"new", 0).unwrap();
    file.sync().unwrap();
    disk.sync_directory("log").unwrap();
    disk.rename("log/new", "log/1").unwrap();
    let names = |disk: &MemoryDisk| disk.list("log").unwrap().join(" ");
    let outcomes: BTreeSet<(String, Vec<u8>)> = SEEDS
        .map(|seed| disk.crash(seed))
        .map(|after| (names(&after), after.contents("log/1").unwrap()))
        .collect();
    let before = ("1 new".to_owned(), b"old".to_vec());
    let after = ("1".to_owned(), b"new".to_vec());
    assert_eq!(outcomes, BTreeSet::from([before, after.clone()]));
    disk.sync_directory("log").unwrap();
    for seed in SEEDS {
        let found = disk.crash(seed);
        assert_eq!((names(&found), found.contents("log/1").unwrap()), after, "seed {seed}");
    }
}

#[test]
fn a_rename_between_directories_needs_both_synced() {
    let (disk, _) = disk_with(b"x");
    disk.create_directory("free").unwrap();
    disk.rename("log/1", "free/1").unwrap();
    let places = || -> BTreeSet<String> {
        let only = |seed| {
            let files = disk.crash(seed).files();
            assert_eq!(files.len(), 1, "seed {seed}: {files:?}");
            files[0].0.clone()
        };
        SEEDS.map(only).collect()
    };
    disk.sync_directory("free").unwrap();
    assert_eq!(places().len(), 2);
    disk.sync_directory("log").unwrap();
    assert_eq!(places(), BTreeSet::from(["free/1".to_owned()]));
}

#[test]
fn a_synced_name_takes_along_what_it_builds_on() {
    let (disk, _) = disk_with(b"x");
    disk.create_directory("free").unwrap();
    disk.rename("log/1", "free/1").unwrap();
    disk.open("log/1", Open::CreateNew).unwrap();
    // The new file can only have the name if the old one has lost it.
    disk.sync_directory("log").unwrap();
    for seed in SEEDS {
        let lengths = [("free/1".to_owned(), 1), ("log/1".to_owned(), 0)];
        assert_eq!(disk.crash(seed).files(), lengths, "seed {seed}");
    }
}

#[test]
fn no_crash_loses_a_file_that_was_only_moved_out_of_the_way() {
    let (disk, _) = disk_with(b"old");
    disk.rename("log/1", "log/2").unwrap();
    disk.open("log/1", Open::CreateNew).unwrap().write_all_at(b"new", 0).unwrap();
    for seed in SEEDS {
        let found = disk.crash(seed);
        let keeps = |path: &&str| found.contents(path).is_some_and(|octets| octets == b"old");
        assert_eq!(["log/1", "log/2"].iter().filter(|path| keeps(path)).count(), 1, "seed {seed}");
    }
}

#[test]
fn a_killed_process_loses_nothing_but_its_successor_still_may() {
    let (disk, file) = disk_with(b"old");
    file.write_all_at(b"new", 0).unwrap();
    disk.open("log/2", Open::CreateNew).unwrap();
    let next = disk.kill();
    assert_eq!(next.contents("log/1").unwrap(), b"new");
    assert_eq!(next.list("log").unwrap(), ["1", "2"]);
    assert_eq!(found(&next).len(), 2);
    // The dead process's handle writes to the dead process's disk.
    file.write_all_at(b"dead", 0).unwrap();
    assert_eq!(next.contents("log/1").unwrap(), b"new");
    next.open("log/1", Open::Existing).unwrap().sync().unwrap();
    assert_eq!(found(&next), BTreeSet::from([b"new".to_vec()]));
}

#[test]
fn handles_from_before_a_crash_do_not_reach_the_disk_after_it() {
    let (disk, file) = disk_with(b"old");
    let after = disk.crash(1);
    file.write_all_at(b"new", 0).unwrap();
    file.sync().unwrap();
    assert_eq!(
        (after.contents("log/1").unwrap(), disk.contents("log/1").unwrap()),
        (b"old".to_vec(), b"new".to_vec())
    );
}

#[test]
fn what_a_failed_sync_lost_stays_lost_after_a_good_one() {
    let (disk, file) = disk_with(&[1; 8192]);
    file.write_all_at(&[2; 4096], 0).unwrap();
    assert!(disk.lose_unsynced("log/1"));
    file.write_all_at(&[3; 4096], 4096).unwrap();
    file.sync().unwrap();
    assert_eq!(disk.contents("log/1").unwrap(), [[2; 4096], [3; 4096]].concat());
    assert_eq!(found(&disk), BTreeSet::from([[[1; 4096], [3; 4096]].concat()]));
}

#[test]
fn a_full_disk_says_so_when_space_is_taken() {
    let disk = MemoryDisk::with_capacity(MIB);
    let file = disk.open("a", Open::CreateNew).unwrap();
    assert_eq!(code(file.allocate(0, MIB + 1)), Some(errno::ENOSPC));
    file.allocate(0, MIB / 2).unwrap();
    assert_eq!(disk.space().unwrap(), Space { free: MIB / 2, total: MIB });
    let other = disk.open("b", Open::CreateNew).unwrap();
    assert_eq!(other.write_at(&vec![1; MIB as usize], 100).unwrap() as u64, MIB / 2 - 100, "a short write");
    assert_eq!(code(other.write_at(b"x", MIB / 2)), Some(errno::ENOSPC));
    file.write_all_at(&vec![1; MIB as usize / 2], 0).expect("what was allocated can be written");
    disk.remove("b").unwrap();
    assert_eq!(disk.space().unwrap().free, 0, "an open file keeps its space");
    drop(other);
    assert_eq!(disk.space().unwrap().free, MIB / 2);
    file.discard(0, MIB / 4).unwrap();
    assert_eq!(disk.space().unwrap().free, MIB * 3 / 4);
    disk.set_capacity(Some(MIB / 4));
    assert_eq!(disk.space().unwrap().free, 0);
}

#[test]
fn allocated_space_costs_nothing_until_it_is_written() {
    let disk = MemoryDisk::new();
    for number in 0..1000 {
        let file = disk.open(&format!("{number}"), Open::CreateNew).unwrap();
        file.allocate(0, 64 * MIB).unwrap();
        file.sync().unwrap();
        assert_eq!(file.length().unwrap(), 64 * MIB);
    }
    disk.sync_directory("").unwrap();
    let crashed = disk.crash(3);
    let file = crashed.open("999", Open::ReadOnly).unwrap();
    let mut octets = [1; 100];
    file.read_exact_at(&mut octets, 64 * MIB - 100).unwrap();
    assert_eq!(octets, [0; 100]);
    assert_eq!(file.read_at(&mut octets, 64 * MIB).unwrap(), 0);
}

#[test]
fn a_decayed_bit_is_durable() {
    let (disk, _) = disk_with(&[0; 10]);
    assert!(disk.flip_bit("log/1", 3, 6));
    assert_eq!(disk.contents("log/1").unwrap(), [0, 0, 0, 64, 0, 0, 0, 0, 0, 0]);
    assert_eq!(disk.crash(0).contents("log/1"), disk.contents("log/1"));
    assert!(!disk.flip_bit("log/1", 10, 0), "there is no such octet");
    assert!(!disk.flip_bit("log/2", 0, 0), "there is no such file");
}

#[test]
fn long_unsynced_files_are_written_back_in_the_end() {
    let (disk, file) = disk_with(b"");
    let chunk = vec![5; MIB as usize];
    for at in 0..65 {
        file.write_all_at(&chunk, at * MIB).unwrap();
    }
    assert_eq!(disk.syncs(), 1, "nobody synced");
    assert_eq!(disk.crash(0).contents("log/1").unwrap().len() as u64, 65 * MIB);
}

/// What a program may do to a file.
#[derive(Debug, Clone)]
enum Step {
    Write(u64, usize, u8),
    Allocate(u64, u64),
    Discard(u64, u64),
    SetLength(u64),
    Sync,
}

fn step() -> impl Strategy<Value = Step> {
    let offset = 0u64..20_000;
    prop_oneof![
        4 => (offset.clone(), 1usize..6000, 1u8..).prop_map(|(at, length, octet)| Step::Write(at, length, octet)),
        1 => (offset.clone(), 0u64..9000).prop_map(|(at, length)| Step::Allocate(at, length)),
        2 => (offset.clone(), 0u64..9000).prop_map(|(at, length)| Step::Discard(at, length)),
        1 => offset.prop_map(Step::SetLength),
        1 => Just(Step::Sync),
    ]
}

/// The same on a plain vector.
fn apply(plain: &mut Vec<u8>, step: &Step) {
    let mut extend = |end: u64| plain.resize(plain.len().max(end as usize), 0);
    match *step {
        Step::Write(at, length, octet) => {
            extend(at + length as u64);
            plain[at as usize..at as usize + length].fill(octet);
        }
        Step::Allocate(_, 0) | Step::Sync => {}
        Step::Allocate(at, length) => extend(at + length),
        Step::Discard(at, length) => {
            let end = plain.len().min((at + length) as usize);
            if (at as usize) < end {
                plain[at as usize..end].fill(0);
            }
        }
        Step::SetLength(length) => plain.resize(length as usize, 0),
    }
}

proptest! {
    #[test]
    fn a_file_agrees_with_a_plain_vector_and_crashes_into_its_past(
        steps in prop::collection::vec(step(), 1..30),
        seed: u64,
    ) {
        let (disk, file) = disk_with(b"");
        let mut plain = Vec::new();
        // What the file has been since the last sync.
        let mut past = vec![plain.clone()];
        for step in &steps {
            match *step {
                Step::Write(at, length, octet) => file.write_all_at(&vec![octet; length], at).unwrap(),
                Step::Allocate(at, length) => file.allocate(at, length).unwrap(),
                Step::Discard(at, length) => file.discard(at, length).unwrap(),
                Step::SetLength(length) => file.set_length(length).unwrap(),
                Step::Sync => {
                    file.sync().unwrap();
                    past.clear();
                }
            }
            apply(&mut plain, step);
            past.push(plain.clone());
            prop_assert_eq!(&disk.contents("log/1").unwrap(), &plain);
        }
        let found = disk.crash(seed).contents("log/1").unwrap();
        prop_assert!(past.iter().any(|state| state.len() == found.len()), "a length it never had");
        for (at, octet) in found.iter().enumerate() {
            let had = |state: &Vec<u8>| state.get(at).copied().unwrap_or(0) == *octet;
            prop_assert!(*octet == 0 || past.iter().any(had), "octet {} never was {}", at, octet);
        }
        // Where nothing changed since the sync, nothing changes at the crash.
        for (at, octet) in found.iter().enumerate().filter(|(at, _)| past.iter().all(|state| state.len() > *at)) {
            let changed = past.iter().any(|state| state[at] != past[0][at]);
            prop_assert!(changed || *octet == past[0][at], "octet {} changed", at);
        }
    }
}
