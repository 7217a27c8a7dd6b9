//! Times to live of messages and of the queue itself.

use super::*;

fn with_ttl(ttl: Millis) -> QueueSettings {
    QueueSettings { message_ttl: Some(ttl), ..mortal() }
}

#[test]
fn ttl_01_the_shorter_of_both_times_to_live_counts() {
    let mut bench = Bench::new(with_ttl(100));
    for (id, ttl) in [(0, Some(30)), (1, Some(500)), (2, None)] {
        bench.send(Draft { id, ttl, ..Draft::default() });
    }
    bench.now += 29;
    bench.tick();
    assert_eq!(bench.take_dead(), []);
    bench.now += 1;
    bench.tick();
    assert_eq!(bench.take_dead(), [(0, Death::Expired)]);
    bench.now += 69;
    bench.tick();
    assert_eq!(bench.take_dead(), []);
    bench.now += 1;
    bench.tick();
    assert_eq!(bench.take_dead(), [(1, Death::Expired), (2, Death::Expired)]);
}

#[test]
fn ttl_02_a_head_that_lives_longer_blocks_those_behind_it() {
    let mut bench = Bench::new(mortal());
    bench.send(Draft { id: 0, ttl: Some(500), ..Draft::default() });
    bench.send(Draft { id: 1, ttl: Some(10), ..Draft::default() });
    bench.send(Draft { id: 2, ..Draft::default() });
    bench.now += 100;
    bench.tick();
    assert_eq!((bench.take_dead(), bench.queue.counts().ready), (vec![], 3));
    // It expires when it comes to the head, before anybody gets it.
    assert_eq!(bench.drain(), [0, 2]);
    assert_eq!(bench.take_dead(), [(1, Death::Expired)]);
}

#[test]
fn ttl_02_an_expired_message_behind_the_head_is_not_delivered_to_a_new_consumer() {
    let mut bench = Bench::new(mortal());
    bench.send(Draft { id: 0, ..Draft::default() });
    bench.send(Draft { id: 1, ttl: Some(10), ..Draft::default() });
    bench.now += 100;
    let (_, sink) = bench.with_prefetch(0);
    assert_eq!((sink.ids(), bench.take_dead()), (vec![0], vec![(1, Death::Expired)]));
    // Nothing was delivered in its place.
    assert_eq!(bench.queue.counts(), Counts { unacknowledged: 1, consumers: 1, ..Counts::default() });
}

#[test]
fn ttl_02_when_everything_has_expired_a_new_consumer_leaves_nothing_unacknowledged() {
    let mut bench = Bench::new(mortal());
    bench.send(Draft { id: 0, ttl: Some(10), ..Draft::default() });
    bench.now += 100;
    let (_, sink) = bench.with_prefetch(1);
    assert_eq!((sink.ids(), bench.queue.counts().unacknowledged), (vec![], 0));
    // Its only place is still free.
    bench.send(Draft { id: 1, ..Draft::default() });
    assert_eq!(sink.ids(), [1]);
}

#[test]
fn ttl_03_zero_is_one_chance() {
    for settings in [with_ttl(0), mortal()] {
        let mut bench = Bench::new(settings);
        bench.send(Draft { id: 0, ttl: Some(0), ..Draft::default() });
        assert_eq!(bench.take_dead(), [(0, Death::Expired)]);
        let (_, sink) = bench.with_prefetch(1);
        bench.send(Draft { id: 1, ttl: Some(0), ..Draft::default() });
        bench.send(Draft { id: 2, ttl: Some(0), ..Draft::default() });
        assert_eq!((sink.ids(), bench.take_dead()), (vec![1], vec![(2, Death::Expired)]));
    }
}

#[test]
fn ttl_04_bas_67_unacknowledged_messages_expire_when_they_come_back() {
    let mut bench = Bench::new(with_ttl(50));
    bench.fill(2);
    let (key, sink) = bench.with_prefetch(1);
    bench.now += 49;
    bench.requeue(Some(key), sink.take());
    // The deadline has not come yet, and it has not moved either.
    let again = sink.take();
    assert_eq!((ids(&again), again[0].redelivered), (vec![0], true));
    bench.now += 1;
    bench.tick();
    assert_eq!(bench.take_dead(), [(1, Death::Expired)]);
    bench.requeue(Some(key), again);
    assert_eq!((sink.ids(), bench.take_dead()), (vec![], vec![(0, Death::Expired)]));
    assert_eq!(bench.queue.counts().unacknowledged, 0);
}

#[test]
fn pri_04_ttl_09_an_expired_low_priority_stays_behind_a_living_high_one() {
    let mut bench = Bench::new(QueueSettings { max_priority: 5, ..mortal() });
    bench.send(Draft { id: 0, priority: 1, ttl: Some(10), ..Draft::default() });
    bench.send(Draft { id: 1, priority: 4, ..Draft::default() });
    bench.now += 100;
    bench.tick();
    assert_eq!((bench.take_dead(), bench.queue.counts().ready), (vec![], 2));
    assert_eq!(bench.get().map(|entry| id_of(&entry)), Some(1));
    bench.tick();
    assert_eq!(bench.take_dead(), [(0, Death::Expired)]);
}

#[test]
fn ttl_08_in_quorum_queues_too_only_the_head_expires() {
    let mut bench = Bench::new(QueueSettings { quorum: true, ..mortal() });
    bench.send(Draft { id: 0, ..Draft::default() });
    bench.send(Draft { id: 1, ttl: Some(10), ..Draft::default() });
    bench.now += 100;
    bench.tick();
    assert_eq!((bench.take_dead(), bench.queue.counts().ready), (vec![], 2));
    assert_eq!(bench.get().map(|entry| id_of(&entry)), Some(0));
    bench.tick();
    assert_eq!(bench.take_dead(), [(1, Death::Expired)]);
}

#[test]
fn the_next_deadline_is_that_of_the_head_or_of_the_queue() {
    let mut bench = Bench::new(QueueSettings { expires: Some(1_000), ..mortal() });
    assert_eq!(bench.queue.next_deadline(), Some(2_000));
    bench.send(Draft { id: 0, ttl: Some(300), ..Draft::default() });
    bench.send(Draft { id: 1, ttl: Some(5), ..Draft::default() });
    assert_eq!(bench.queue.next_deadline(), Some(1_300));
    let (key, _) = bench.with_prefetch(1);
    // The head is now the short-lived one; a consumed queue does not expire.
    assert_eq!(bench.queue.next_deadline(), Some(1_005));
    bench.now = 1_400;
    bench.tick();
    assert_eq!(bench.queue.next_deadline(), None);
    bench.cancel(key);
    assert_eq!(bench.queue.next_deadline(), Some(2_400));
}

#[test]
fn que_70_a_queue_expires_when_nobody_uses_it() {
    let mut bench = Bench::new(QueueSettings { expires: Some(100), ..mortal() });
    bench.now += 99;
    assert!(!bench.tick());
    // Declaring, fetching and consuming are use; publishing is not.
    bench.queue.touch(bench.now);
    bench.now += 60;
    bench.fill(1);
    assert!(!bench.tick());
    bench.now += 40;
    assert!(bench.tick());
    bench.get();
    assert!(!bench.tick());
    bench.now += 90;
    let (key, _) = bench.with_prefetch(1);
    bench.now += 10_000;
    assert!(!bench.tick());
    bench.cancel(key);
    bench.now += 99;
    assert!(!bench.tick());
    bench.now += 1;
    assert!(bench.tick());
    // DLX-02: what was in it is not dead-lettered.
    bench.fill(1);
    bench.queue.delete(&mut bench.effects);
    assert_eq!(bench.take_dead(), []);
}
