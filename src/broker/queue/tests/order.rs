//! The order in which messages leave, and what comes back to its place.

use super::*;

#[test]
fn bas_63_requeued_messages_return_to_their_places() {
    let mut bench = Bench::new(QueueSettings::default());
    bench.fill(5);
    let mut taken: Vec<Entry> = (0..4).filter_map(|_| bench.get()).collect();
    let acknowledged = taken.remove(1);
    assert_eq!(id_of(&acknowledged), 1);
    bench.queue.settle(None, 1, bench.now, &mut bench.effects);
    // Out of order, one by one.
    for index in [1, 0, 0] {
        let entry = taken.remove(index);
        bench.requeue(None, [entry]);
    }
    let back: Vec<Entry> = std::iter::from_fn(|| bench.get()).collect();
    assert_eq!(ids(&back), [0, 2, 3, 4]);
    let redelivered: Vec<bool> = back.iter().map(|entry| entry.redelivered).collect();
    assert_eq!(redelivered, [true, true, true, false]);
}

#[test]
fn bas_66_a_requeued_message_may_go_straight_back() {
    let mut bench = Bench::new(QueueSettings::default());
    let (key, sink) = bench.with_prefetch(1);
    bench.fill(2);
    for _ in 0..3 {
        let taken = sink.take();
        assert_eq!(ids(&taken), [0]);
        bench.requeue(Some(key), taken);
    }
    assert!(sink.take()[0].redelivered);
}

#[test]
fn bas_62_rejected_messages_die_and_make_room() {
    let mut bench = Bench::new(mortal());
    let (key, sink) = bench.with_prefetch(2);
    bench.fill(3);
    bench.queue.reject(Some(key), sink.take(), bench.now, &mut bench.effects);
    assert_eq!(bench.take_dead(), [(0, Death::Rejected), (1, Death::Rejected)]);
    assert_eq!((sink.ids(), bench.queue.counts().unacknowledged), (vec![2], 1));
}

#[test]
fn pri_01_02_higher_levels_first_and_first_in_first_out_within_a_level() {
    let mut bench = Bench::new(QueueSettings { max_priority: 5, ..Default::default() });
    for (id, priority) in [(0, 5), (1, 0), (2, 9), (3, 1), (4, 5), (5, 255)] {
        bench.send(Draft { id, priority, ..Draft::default() });
    }
    assert_eq!(bench.drain(), [0, 2, 4, 5, 3, 1]);
}

#[test]
fn pri_01_all_256_levels() {
    let mut bench = Bench::new(QueueSettings { max_priority: 255, ..Default::default() });
    for priority in (0..=255).rev().step_by(2).chain((0..=255).step_by(2)) {
        bench.send(Draft { id: u32::from(priority), priority, ..Draft::default() });
    }
    assert_eq!(bench.drain(), (0..=255).rev().collect::<Vec<u32>>());
}

#[test]
fn pri_03_requeued_messages_return_to_their_level() {
    let mut bench = Bench::new(QueueSettings { max_priority: 10, ..Default::default() });
    bench.send(Draft { id: 0, priority: 5, ..Draft::default() });
    let taken = bench.get();
    for (id, priority) in [(1, 1), (2, 5), (3, 9)] {
        bench.send(Draft { id, priority, ..Draft::default() });
    }
    bench.requeue(None, taken);
    assert_eq!(bench.drain(), [3, 0, 2, 1]);
}

#[test]
fn que_15_purging_leaves_what_is_unacknowledged() {
    let mut bench = Bench::new(mortal());
    bench.fill(4);
    let taken = bench.get();
    assert_eq!(bench.queue.purge(&mut bench.effects).count(), 3);
    bench.requeue(None, taken);
    assert_eq!((bench.drain(), bench.take_dead()), (vec![0], vec![]));
}

#[test]
fn a_deleted_queue_takes_nothing_and_gives_nothing() {
    let mut bench = Bench::new(mortal());
    bench.fill(3);
    let (returned, rejected) = (bench.get(), bench.get());
    assert_eq!(bench.queue.delete(&mut bench.effects).count(), 1);
    bench.fill(1);
    bench.requeue(None, returned);
    bench.queue.reject(None, rejected, bench.now, &mut bench.effects);
    bench.queue.take_back_unsent(None, bench.now, &mut bench.effects);
    assert_eq!(bench.queue.counts(), Counts::default());
    assert!(bench.get().is_none() && bench.take_dead().is_empty() && !bench.tick());
    assert_eq!(bench.queue.next_deadline(), None);
}
