//! Pages in the index: who lives where, and when their space is free.

use smallvec::smallvec;

use super::*;
use crate::store::definition::QueueDefinition;

const QUEUE: QueueId = 1;

/// An index of one queue, with what it gave free.
struct Bench {
    index: Index,
    freed: Vec<PageRange>,
}

impl Bench {
    fn new() -> Bench {
        let mut bench = Bench { index: Index::default(), freed: Vec::new() };
        let queue = QueueDefinition {
            name: "q".to_owned(),
            id: QUEUE,
            auto_delete: false,
            arguments: Vec::new(),
            identities: None,
        };
        let declare = Definition::DeclareQueue { vhost: "/".to_owned(), queue };
        bench.index.define(&declare, 1, &mut bench.freed);
        bench
    }

    /// Messages arrive and are written.
    fn arrive(&mut self, sequences: std::ops::Range<u64>) {
        for sequence in sequences {
            let mut places: Places = smallvec![Place { queue: QUEUE, sequence, deadline: 0, returns: 0 }];
            self.index.arrive(&mut places);
            assert!(places.iter().all(|place| self.index.is_fresh(place)));
        }
        self.index.end_batch();
    }

    /// A page of a run, in a file of its own; says what the log must say of it.
    fn page(&mut self, page: u64, first: u64, length: u64) -> Vec<(u64, u64)> {
        let record = page_record(page, &[(first, length)]);
        self.index.add_page(&record, 1, &mut self.freed).map(|record| record.live).unwrap_or_default()
    }

    fn release(&mut self, page: u64) {
        self.index.release_page(QUEUE, page, &mut self.freed);
    }

    /// Settles them, and says which of them the log must hear of.
    fn settle(&mut self, sequences: impl IntoIterator<Item = u64>) -> Vec<u64> {
        let mut sequences = sequences.into_iter().collect();
        self.index.settle(QUEUE, &mut sequences, &mut self.freed);
        sequences
    }

    /// The files that are free.
    fn freed(&self) -> Vec<u64> {
        self.freed.iter().map(|range| range.file).collect()
    }
}

fn page_record(page: u64, live: &[(u64, u64)]) -> PageRecord {
    let (file, live) = (page, live.to_vec());
    PageRecord {
        queue: QUEUE,
        page,
        file,
        offset: 0,
        length: 4096,
        lane: 0,
        bytes: 1,
        first_deadline: 0,
        live,
        returns: Vec::new(),
    }
}

#[test]
fn a_page_written_across_two_that_were_read_back_hides_nothing_of_them() {
    let mut bench = Bench::new();
    bench.arrive(0..200);
    assert_eq!(bench.page(0, 0, 100), [(0, 100)]);
    assert_eq!(bench.page(1, 100, 100), [(100, 100)]);
    bench.release(0);
    bench.release(1);
    assert_eq!(bench.page(2, 50, 100), [(50, 100)]);
    bench.release(2);
    assert!(bench.freed().is_empty());
    assert_eq!(bench.settle(0..200), (0..200).collect::<Vec<_>>());
    assert_eq!(bench.freed(), [0, 2, 1]);
}

#[test]
fn a_page_in_the_middle_of_one_that_was_read_back_leaves_what_is_behind_it() {
    let mut bench = Bench::new();
    bench.arrive(0..100);
    bench.page(0, 0, 100);
    bench.release(0);
    bench.page(1, 30, 30);
    bench.release(1);
    assert_eq!(bench.settle((60..100).chain(0..60)).len(), 100);
    assert_eq!(bench.freed(), [0, 1]);
}

#[test]
fn a_page_is_kept_for_its_queue_though_none_of_its_messages_has_arrived() {
    let mut bench = Bench::new();
    assert!(bench.page(0, 0, 10).is_empty());
    bench.arrive(0..10);
    assert!(bench.freed().is_empty());
    bench.release(0);
    assert_eq!(bench.freed(), [0]);
    assert_eq!(bench.settle(0..10).len(), 10);
}

#[test]
fn what_arrives_after_its_page_goes_with_it_when_the_queue_is_purged() {
    let mut bench = Bench::new();
    bench.arrive(0..5);
    assert_eq!(bench.page(0, 0, 15), [(0, 5)]);
    bench.arrive(5..10);
    assert_eq!(bench.index.drop_page(QUEUE, 0, &mut bench.freed), [(0, 10)]);
    assert_eq!(bench.freed(), [0]);
    // And what arrives still later is not taken in at all.
    let mut places: Places = smallvec![Place { queue: QUEUE, sequence: 12, deadline: 0, returns: 0 }];
    bench.index.arrive(&mut places);
    assert!(places.is_empty());
}

#[test]
fn a_restart_forgets_pages_in_which_nothing_lives() {
    let mut bench = Bench::new();
    bench.index.recover_page(&page_record(0, &[(0, 10)]), 1);
    bench.index.recover_page(&page_record(1, &[(10, 10)]), 1);
    assert_eq!(bench.settle(0..10).len(), 10);
    bench.index.end_recovery();
    assert_eq!(bench.index.pages().map(|(record, _)| record.page).collect::<Vec<_>>(), [1]);
    assert_eq!(bench.settle([15]), [15]);
}

#[test]
fn a_restart_does_not_count_what_lives_in_pages_or_nowhere() {
    let mut bench = Bench::new();
    for (queue, sequence) in (0..10).map(|sequence| (QUEUE, sequence)).chain([(QUEUE + 1, 0)]) {
        bench.index.recover_message(&Place { queue, sequence, deadline: 0, returns: 0 }, 1000);
    }
    bench.index.recover_page(&page_record(0, &[(2, 8)]), 1);
    bench.index.retain_queues(|queue| queue == QUEUE);
    bench.index.end_recovery();
    assert_eq!(bench.index.live_bytes(), 2000);
}
