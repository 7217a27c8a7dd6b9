//! What goes to disk and when it comes back.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    task::Wake,
};

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::broker::queue::page::{ENTRY_OVERHEAD, Page};

/// A batch of so many messages a page, whatever they cost.
fn page_of(bench: &mut Bench, keep_messages: u64, messages: u32) -> Option<PageOut> {
    bench.queue.page_out(keep_messages * (ENTRY_OVERHEAD + 1), u64::MAX, messages)
}

/// Writes out as many pages as there are.
fn page_all(bench: &mut Bench, keep_messages: u64, messages: u32) -> Vec<PageOut> {
    let outs: Vec<PageOut> = std::iter::from_fn(|| page_of(bench, keep_messages, messages)).collect();
    assert!(outs.iter().all(|out| bench.queue.paged_out(out.page)));
    outs
}

fn get(bench: &mut Bench) -> Got {
    bench.queue.get(true, bench.now, &mut bench.effects)
}

fn fetched(bench: &mut Bench) -> Vec<u64> {
    bench.effects.fetch.drain(..).map(|page| page.0).collect()
}

fn read(bench: &mut Bench, out: &PageOut) -> bool {
    bench.queue.paged_in(out.page, out.entries.to_vec(), bench.now, &mut bench.effects)
}

/// Takes everything, reading whatever is asked for.
fn drain_all(bench: &mut Bench, outs: &[PageOut]) -> Vec<u32> {
    let mut ids = Vec::new();
    loop {
        match get(bench) {
            Got::Entry(entry, _) => ids.push(id_of(&entry)),
            Got::Empty => return ids,
            Got::Wait => {
                for page in std::mem::take(&mut bench.effects.fetch) {
                    let out = outs.iter().find(|out| out.page == page).expect("a page that went out");
                    assert!(read(bench, out));
                }
            }
        }
    }
}

#[derive(Default)]
struct Flag(AtomicU32);

impl Wake for Flag {
    fn wake(self: Arc<Flag>) {
        self.0.fetch_add(1, Relaxed);
    }
}

#[test]
fn a_page_on_disk_costs_a_cache_line() {
    assert!(size_of::<Page>() <= 64);
}

#[test]
fn pages_lie_between_the_kept_head_and_what_comes_later() {
    let mut bench = Bench::new(mortal());
    bench.fill(10);
    let first = page_of(&mut bench, 2, 3).unwrap();
    assert_eq!((ids(first.entries.iter()), first.lane), (vec![2, 3, 4], 0));
    let second = page_of(&mut bench, 2, 3).unwrap();
    assert_eq!(ids(second.entries.iter()), [5, 6, 7]);
    // Two are left: too few, unless they are a page's worth.
    assert!(page_of(&mut bench, 2, 3).is_none());
    bench.fill(1);
    let third = page_of(&mut bench, 2, 3).unwrap();
    assert_eq!(ids(third.entries.iter()), [8, 9, 10]);
    let before = bench.queue.resident_cost();
    for out in [&third, &first, &second] {
        assert!(bench.queue.paged_out(out.page));
        assert!(!bench.queue.paged_out(out.page));
    }
    assert_eq!(before - bench.queue.resident_cost(), 9 * (ENTRY_OVERHEAD + 1));
    let counts = bench.queue.counts();
    assert_eq!((counts.ready, counts.ready_bytes), (11, 11));
    bench.fill(2);
    assert_eq!(drain_all(&mut bench, &[first, second, third]), (0..13).collect::<Vec<u32>>());
    assert_eq!(bench.queue.resident_cost(), 0);
}

#[test]
fn too_little_is_not_worth_a_page() {
    let mut bench = Bench::new(mortal());
    bench.fill(100);
    assert!(bench.queue.page_out(0, 1 << 20, 10_000).is_none());
    bench.fill(400);
    let out = bench.queue.page_out(0, 1 << 20, 10_000).unwrap();
    assert_eq!(out.entries.len(), 500);
    bench.queue.purge(&mut bench.effects);
    for id in 0..4 {
        bench.send(Draft { id, size: 300_000, ..Draft::default() });
    }
    let out = bench.queue.page_out(300_000, 700_000, 10_000).unwrap();
    assert_eq!(ids(out.entries.iter()), [1, 2]);
}

#[test]
fn the_lowest_priority_goes_first_and_the_highest_is_served_first() {
    let mut bench = Bench::new(QueueSettings { max_priority: 9, ..mortal() });
    for id in 0..8 {
        bench.send(Draft { id, priority: if id % 2 == 0 { 7 } else { 3 }, ..Draft::default() });
    }
    let outs = page_all(&mut bench, 0, 2);
    let lanes: Vec<(u8, Vec<u32>)> = outs.iter().map(|out| (out.lane, ids(out.entries.iter()))).collect();
    assert_eq!(lanes, [(3, vec![1, 3]), (3, vec![5, 7]), (7, vec![0, 2]), (7, vec![4, 6])]);
    assert_eq!(bench.queue.resident_cost(), 0);
    // A lower priority in memory does not overtake.
    bench.send(Draft { id: 8, priority: 1, ..Draft::default() });
    assert_eq!(drain_all(&mut bench, &outs), [0, 2, 4, 6, 1, 3, 5, 7, 8]);
}

#[test]
fn what_is_being_written_is_used_from_memory() {
    let mut bench = Bench::new(mortal());
    bench.fill(4);
    let [first, second] = [0, 0].map(|_| page_of(&mut bench, 0, 2).unwrap());
    let (key, sink) = bench.with_prefetch(1);
    assert_eq!((sink.ids(), fetched(&mut bench)), (vec![0], vec![]));
    assert!(!bench.queue.paged_out(first.page));
    assert!(bench.queue.paged_out(second.page));
    bench.settle(key, 1);
    // The rest of the first page is little: the second is on its way before it is needed.
    assert_eq!((sink.ids(), fetched(&mut bench)), (vec![0, 1], vec![second.page.0]));
    bench.settle(key, 1);
    assert_eq!(sink.ids(), [0, 1]);
    assert!(read(&mut bench, &second));
    assert_eq!(sink.ids(), [0, 1, 2]);
}

#[test]
fn a_failed_write_changes_nothing() {
    let mut bench = Bench::new(mortal());
    bench.fill(8);
    let outs = [0, 0, 0].map(|_| page_of(&mut bench, 1, 2).unwrap());
    let cost = bench.queue.resident_cost();
    bench.queue.page_out_failed(outs[0].page);
    bench.queue.page_out_failed(outs[2].page);
    bench.queue.page_out_failed(PageId(99));
    assert_eq!(bench.queue.resident_cost(), cost);
    assert!(!bench.queue.paged_out(outs[0].page) && bench.queue.paged_out(outs[1].page));
    // What was last can go again.
    let again = page_of(&mut bench, 1, 3).unwrap();
    assert_eq!(ids(again.entries.iter()), [5, 6, 7]);
    assert!(again.page > outs[2].page);
    assert_eq!(drain_all(&mut bench, &outs), (0..8).collect::<Vec<u32>>());
}

#[test]
fn two_pages_are_fetched_ahead_and_used_in_order() {
    let mut bench = Bench::new(mortal());
    bench.fill(12);
    let outs = page_all(&mut bench, 2, 2);
    // Nobody needs anything yet.
    bench.tick();
    assert!(fetched(&mut bench).is_empty());
    let (_, sink) = bench.with_prefetch(0);
    assert_eq!((sink.ids(), fetched(&mut bench)), (vec![0, 1], vec![0, 1]));
    assert!(read(&mut bench, &outs[1]));
    assert_eq!((sink.ids(), fetched(&mut bench)), (vec![0, 1], vec![2]));
    assert!(read(&mut bench, &outs[0]));
    assert_eq!((sink.ids(), fetched(&mut bench)), ((0..6).collect(), vec![3]));
    // No answer is taken twice.
    assert!(!read(&mut bench, &outs[0]));
    assert!(read(&mut bench, &outs[2]) && read(&mut bench, &outs[3]));
    assert!(read(&mut bench, &outs[4]));
    assert_eq!((sink.ids(), bench.queue.counts().ready), ((0..12).collect(), 0));
}

#[test]
fn a_long_head_needs_no_reading_ahead() {
    let mut bench = Bench::new(mortal());
    for id in 0..6 {
        bench.send(Draft { id, size: 600_000, ..Draft::default() });
    }
    let out = bench.queue.page_out(2_000_000, 1_000_000, 1).unwrap();
    assert!(bench.queue.paged_out(out.page) && out.entries[0].sequence == 4);
    let mut wanted = Vec::new();
    for _ in 0..3 {
        assert!(matches!(get(&mut bench), Got::Entry(..)));
        wanted.push(fetched(&mut bench));
    }
    // Three, two, one of 600,000 octets are left.
    assert_eq!(wanted, [vec![], vec![], vec![0]]);
}

#[test]
fn a_get_waits_and_is_woken() {
    let mut bench = Bench::new(mortal());
    let flag = Arc::new(Flag::default());
    let woken = |bench: &mut Bench| {
        bench.effects.wake_all();
        flag.0.swap(0, Relaxed)
    };
    bench.fill(6);
    let outs = page_all(&mut bench, 0, 2);
    assert!(matches!(get(&mut bench), Got::Wait));
    for _ in 0..2 {
        bench.queue.wait_for_page(&flag.clone().into());
    }
    assert_eq!(woken(&mut bench), 0);
    assert!(read(&mut bench, &outs[0]));
    assert_eq!(woken(&mut bench), 1);
    assert!(matches!(get(&mut bench), Got::Entry(_, 5)) && matches!(get(&mut bench), Got::Entry(_, 4)));
    assert!(matches!(get(&mut bench), Got::Wait));
    bench.queue.wait_for_page(&flag.clone().into());
    assert_eq!(bench.queue.page_lost(outs[1].page, bench.now, &mut bench.effects), 2);
    assert_eq!((woken(&mut bench), bench.queue.counts().ready), (1, 2));
    assert!(matches!(get(&mut bench), Got::Wait));
    bench.queue.wait_for_page(&flag.clone().into());
    bench.queue.purge(&mut bench.effects);
    assert_eq!(woken(&mut bench), 1);
    assert!(matches!(get(&mut bench), Got::Empty));
}

#[test]
fn purging_drops_pages_and_numbers_go_on() {
    let mut bench = Bench::new(QueueSettings { durable: true, ..mortal() });
    for id in 0..6 {
        bench.send(Draft { id, persistent: true, ..Draft::default() });
    }
    let [stored, fetching, writing] = [0, 0, 0].map(|_| page_of(&mut bench, 0, 2).unwrap());
    assert!(bench.queue.paged_out(stored.page) && bench.queue.paged_out(fetching.page));
    assert!(matches!(get(&mut bench), Got::Wait));
    bench.effects.log = Notes::default();
    assert_eq!(bench.queue.purge(&mut bench.effects).count(), 6);
    assert_eq!(bench.effects.dropped_pages, [stored.page, fetching.page]);
    // What was in memory is noted one by one.
    assert_eq!(bench.effects.log.gone, [4, 5]);
    assert!(!bench.queue.paged_out(writing.page) && !read(&mut bench, &stored));
    bench.fill(2);
    assert_eq!(page_of(&mut bench, 0, 2).unwrap().page, PageId(3));
}

#[test]
fn a_page_that_is_due_is_fetched_to_expire() {
    let mut bench = Bench::new(mortal());
    for id in 0..3 {
        bench.send(Draft { id, ttl: Some(100 + u64::from(id)), ..Draft::default() });
    }
    let outs = page_all(&mut bench, 0, 3);
    assert_eq!(bench.queue.next_deadline(), Some(1_100));
    bench.now = 1_101;
    bench.tick();
    // There is nothing to do before it is here.
    assert_eq!((fetched(&mut bench), bench.queue.next_deadline()), (vec![0], None));
    assert!(read(&mut bench, &outs[0]));
    assert_eq!(bench.take_dead(), [(0, Death::Expired), (1, Death::Expired)]);
    assert_eq!(bench.queue.next_deadline(), Some(1_102));
}

#[test]
fn a_limit_is_exceeded_only_while_its_head_is_fetched() {
    let mut bench = Bench::new(QueueSettings { max_length: Some(4), ..mortal() });
    bench.fill(4);
    let out = page_of(&mut bench, 0, 4).unwrap();
    assert!(bench.queue.paged_out(out.page));
    bench.fill(2);
    assert_eq!((bench.queue.counts().ready, bench.take_dead(), fetched(&mut bench)), (6, vec![], vec![0]));
    assert!(read(&mut bench, &out));
    assert_eq!(bench.take_dead(), [(0, Death::MaxLength), (1, Death::MaxLength)]);
    assert_eq!(bench.drain(), [2, 3, 4, 5]);
}

#[test]
fn requeued_messages_come_before_a_page() {
    let mut bench = Bench::new(mortal());
    bench.fill(4);
    let taken = [bench.get().unwrap(), bench.get().unwrap()];
    let outs = page_all(&mut bench, 0, 2);
    bench.requeue(None, taken);
    assert_eq!(drain_all(&mut bench, &outs), [0, 1, 2, 3]);
}

/// Where a message is found after a restart.
#[derive(Debug, Clone, Copy)]
enum Place {
    Memory,
    Page,
    /// In a page that begins with it.
    NextPage,
}

proptest! {
    #[test]
    fn a_restored_queue_leaves_in_order(
        found in vec((prop_oneof![Just(Place::Memory), Just(Place::Page), Just(Place::NextPage)], 0..3u8), 0..40),
        backwards in any::<bool>(), lost in any::<bool>(),
    ) {
        let mut bench = Bench::new(QueueSettings { max_priority: 2, ..mortal() });
        let (mut outs, mut entries) = (Vec::<PageOut>::new(), Vec::new());
        let mut expected: Vec<(u8, u32)> = Vec::new();
        for (sequence, (place, priority)) in (0..).zip(&found) {
            let draft = Draft { id: sequence, size: 1, priority: *priority, ..Draft::default() };
            let entry = Entry {
                message: message(draft),
                sequence: sequence.into(),
                deadline: Millis::MAX,
                returns: 0,
                redelivered: true,
                logged: false,
            };
            expected.push((2 - priority, sequence));
            let last = outs.iter_mut().rev().find(|out| out.lane == *priority);
            match (place, last) {
                (Place::Memory, _) => entries.push(entry),
                (Place::Page, Some(last)) => Arc::make_mut(&mut last.entries).push(entry),
                (Place::Page, None) | (Place::NextPage, _) => {
                    let page = PageId(outs.len() as u64);
                    outs.push(PageOut { page, lane: *priority, entries: Arc::new(vec![entry]) });
                }
            }
        }
        bench.queue.restore_pages(outs.iter().map(|out| PageSummary {
            id: out.page,
            lane: out.lane,
            first_sequence: out.entries[0].sequence,
            last_sequence: out.entries.last().unwrap().sequence,
            count: out.entries.len() as u32,
            bytes: out.entries.len() as u64,
            first_deadline: Millis::MAX,
        }));
        bench.queue.restore(entries, 0);
        prop_assert_eq!(bench.queue.counts().ready, found.len() as u64);
        if lost && let Some(gone) = outs.pop() {
            let ids = ids(gone.entries.iter());
            expected.retain(|(_, id)| !ids.contains(id));
            bench.queue.page_lost(gone.page, bench.now, &mut bench.effects);
        }
        expected.sort_unstable();
        if backwards {
            // The first answers come in the wrong order.
            let _wait = get(&mut bench);
            let asked = std::mem::take(&mut bench.effects.fetch);
            for page in asked.iter().rev() {
                let out = outs.iter().find(|out| out.page == *page).unwrap();
                prop_assert!(read(&mut bench, out));
            }
            if let Got::Entry(entry, _) = _wait {
                bench.requeue(None, [entry]);
            }
        }
        let left: Vec<u32> = expected.iter().map(|(_, id)| *id).collect();
        prop_assert_eq!(drain_all(&mut bench, &outs), left);
        bench.fill(1);
        let next = bench.get().map(|entry| entry.sequence);
        prop_assert_eq!(next, Some(found.len() as u64));
    }
}
