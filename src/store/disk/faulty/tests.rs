//! Faults strike when they are planned, and what they leave alone works.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::{
    super::{MemoryDisk, errno},
    *,
};

fn disk() -> FaultyDisk<MemoryDisk> {
    let disk = FaultyDisk::new(MemoryDisk::new());
    disk.create_directory("log").unwrap();
    disk
}

fn code<T>(result: io::Result<T>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}

#[test]
fn the_nth_operation_fails_and_only_that_one() {
    let disk = disk();
    let file = disk.open("log/1", Open::CreateNew).unwrap();
    disk.plan(When::nth(Operation::Sync, 2).fail(errno::EIO));
    let answers: Vec<Option<i32>> = (0..4).map(|_| code(file.sync())).collect();
    assert_eq!(answers, [None, Some(errno::EIO), None, None]);
    assert_eq!((disk.count(Operation::Sync), disk.inner().syncs()), (4, 3));
}

#[test]
fn from_then_on_everything_fails_until_the_disk_is_healed() {
    let disk = disk();
    let file = disk.open("log/1", Open::CreateNew).unwrap();
    disk.plan(When::nth(Operation::Write, 2).and_after().fail(errno::ENOSPC));
    let answers: Vec<Option<i32>> = (0..4).map(|at| code(file.write_at(b"x", at))).collect();
    assert_eq!(answers, [None, Some(errno::ENOSPC), Some(errno::ENOSPC), Some(errno::ENOSPC)]);
    assert_eq!(file.length().unwrap(), 1, "a failed write wrote");
    disk.heal();
    assert_eq!(file.write_at(b"x", 1).unwrap(), 1);
}

#[test]
fn a_prefix_counts_and_strikes_apart() {
    let disk = disk();
    disk.create_directory("other").unwrap();
    let (log, other) = (disk.open("log/1", Open::CreateNew), disk.open("other/1", Open::CreateNew));
    let (log, other) = (log.unwrap(), other.unwrap());
    disk.plan(When::nth(Operation::Sync, 2).under("log/").fail(errno::EIO));
    for _ in 0..3 {
        other.sync().unwrap();
    }
    log.sync().unwrap();
    other.sync().unwrap();
    assert_eq!(code(log.sync()), Some(errno::EIO));
    assert_eq!((disk.count_under(Operation::Sync, "log/"), disk.count(Operation::Sync)), (2, 6));
}

#[test]
fn short_transfers_are_finished_by_the_helpers() {
    let disk = disk();
    let file = disk.open("log/1", Open::CreateNew).unwrap();
    disk.plan(When::every(Operation::Write).short(3));
    disk.plan(When::every(Operation::Read).short(4));
    file.write_all_at(b"0123456789", 5).unwrap();
    assert_eq!(disk.count(Operation::Write), 4);
    let mut octets = [0; 10];
    file.read_exact_at(&mut octets, 5).unwrap();
    assert_eq!(&octets, b"0123456789");
    assert_eq!(disk.count(Operation::Read), 3);
    let error = file.read_exact_at(&mut octets, 6).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}

#[test]
fn a_short_write_that_fails_leaves_its_part_behind() {
    let disk = disk();
    let file = disk.open("log/1", Open::CreateNew).unwrap();
    disk.plan(When::nth(Operation::Write, 1).short_then_fail(4, errno::EIO));
    assert_eq!(code(file.write_all_at(b"0123456789", 0)), Some(errno::EIO));
    assert_eq!(disk.inner().contents("log/1").unwrap(), b"0123");
}

#[test]
fn interruptions_are_retried_and_empty_writes_are_errors() {
    const EINTR: i32 = 4;
    let disk = disk();
    let file = disk.open("log/1", Open::CreateNew).unwrap();
    disk.plan(When::nth(Operation::Write, 1).fail(EINTR));
    disk.plan(When::nth(Operation::Read, 1).fail(EINTR));
    file.write_all_at(b"once", 0).unwrap();
    let mut octets = [0; 4];
    file.read_exact_at(&mut octets, 0).unwrap();
    assert_eq!(&octets, b"once");
    disk.plan(When::nth(Operation::Write, 1).short(0));
    assert_eq!(file.write_all_at(b"x", 0).unwrap_err().kind(), io::ErrorKind::WriteZero);
}

#[test]
fn a_hook_cuts_the_power_at_exactly_one_sync() {
    let disk = disk();
    let file = disk.open("log/1", Open::CreateNew).unwrap();
    disk.sync_directory("log").unwrap();
    let cut = |slot: &Arc<Mutex<Option<MemoryDisk>>>| {
        let (slot, memory) = (slot.clone(), disk.inner().clone());
        move |path: &str| {
            assert_eq!(path, "log/1");
            *slot.lock() = (0..1000).map(|seed| memory.crash(seed)).find(|found| {
                // The worst case: nothing unsynced survived.
                found.contents("log/1").is_some_and(|octets| octets.len() < 2)
            });
        }
    };
    let (before, after) = (Arc::default(), Arc::default());
    disk.plan(When::nth(Operation::Sync, 2).before(cut(&before)));
    disk.plan(When::nth(Operation::Sync, 2).after(cut(&after)));
    for at in 0..3 {
        file.write_all_at(b"x", at).unwrap();
        file.sync().unwrap();
    }
    let found = before.lock().take().expect("a crash before the sync may lose the second octet");
    assert_eq!(found.contents("log/1").unwrap(), b"x", "the first was synced");
    assert!(after.lock().is_none(), "a crash after the sync lost what it synced");
}

#[test]
fn a_failed_sync_may_lose_what_it_was_to_make_durable() {
    let disk = disk();
    let file = disk.open("log/1", Open::CreateNew).unwrap();
    disk.sync_directory("log").unwrap();
    file.write_all_at(b"x", 0).unwrap();
    let memory = disk.inner().clone();
    disk.plan(When::nth(Operation::Sync, 1).before(move |path| assert!(memory.lose_unsynced(path))));
    disk.plan(When::nth(Operation::Sync, 1).fail(errno::EIO));
    assert_eq!(code(file.sync()), Some(errno::EIO));
    file.sync().unwrap();
    assert_eq!(disk.inner().contents("log/1").unwrap(), b"x", "visible");
    for seed in 0..100 {
        assert_ne!(disk.inner().crash(seed).contents("log/1").unwrap(), b"x", "and gone");
    }
}

#[test]
fn every_kind_of_operation_can_be_counted_and_failed() {
    let disk = disk();
    let file = disk.open("log/1", Open::CreateNew).unwrap();
    let struck = Arc::new(AtomicU64::new(0));
    type Call<'a> = (Operation, Box<dyn Fn() -> io::Result<()> + 'a>);
    let mut octet = [0];
    let octet = Mutex::new(&mut octet);
    let calls: Vec<Call<'_>> = vec![
        (Operation::Read, Box::new(|| file.read_at(*octet.lock(), 0).map(drop))),
        (Operation::Write, Box::new(|| file.write_at(b"x", 0).map(drop))),
        (Operation::Sync, Box::new(|| file.sync())),
        (Operation::Allocate, Box::new(|| file.allocate(0, 1))),
        (Operation::Discard, Box::new(|| file.discard(0, 1))),
        (Operation::SetLength, Box::new(|| file.set_length(1))),
        (Operation::Length, Box::new(|| file.length().map(drop))),
        (Operation::Open, Box::new(|| disk.open("log/1", Open::ReadOnly).map(drop))),
        (Operation::Rename, Box::new(|| disk.rename("log/1", "log/1"))),
        (Operation::SyncDirectory, Box::new(|| disk.sync_directory("log"))),
        (Operation::CreateDirectory, Box::new(|| disk.create_directory("more"))),
        (Operation::List, Box::new(|| disk.list("log").map(drop))),
        (Operation::Space, Box::new(|| disk.space().map(drop))),
        (Operation::Remove, Box::new(|| disk.remove("log/1"))),
    ];
    for (operation, call) in &calls {
        let (before, counter) = (disk.count(*operation), struck.clone());
        disk.plan(When::nth(*operation, 1).before(move |_| {
            counter.fetch_add(1, Relaxed);
        }));
        disk.plan(When::nth(*operation, 1).fail(errno::EIO));
        assert_eq!(code(call()), Some(errno::EIO), "{operation:?}");
        assert!(call().is_ok(), "{operation:?} stays broken");
        assert_eq!(disk.count(*operation), before + 2, "{operation:?}");
    }
    assert_eq!(struck.load(Relaxed), calls.len() as u64);
}
