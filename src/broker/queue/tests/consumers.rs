//! Who gets the next message.

use std::sync::Arc;

use super::*;

#[test]
fn bas_27_consumers_take_turns_in_order_of_registration() {
    let mut bench = Bench::new(QueueSettings::default());
    let sinks: Vec<Sink> = (0..3).map(|_| bench.with_prefetch(0).1).collect();
    (0..7).for_each(|_| bench.fill(1));
    let got: Vec<_> = sinks.iter().map(Sink::ids).collect();
    assert_eq!(got, [vec![0, 3, 6], vec![1, 4], vec![2, 5]]);
}

#[test]
fn bas_27_consumers_at_their_limit_are_skipped() {
    let mut bench = Bench::new(QueueSettings::default());
    let (small_key, small) = bench.with_prefetch(1);
    let (_, large) = bench.with_prefetch(3);
    bench.fill(10);
    assert_eq!((small.ids(), large.ids()), (vec![0], vec![1, 2, 3]));
    assert_eq!(bench.queue.counts().ready, 6);
    bench.settle(small_key, 1);
    assert_eq!((small.ids(), large.ids()), (vec![0, 4], vec![1, 2, 3]));
}

#[test]
fn bas_26_a_higher_priority_gets_everything_while_it_has_room() {
    let mut bench = Bench::new(QueueSettings::default());
    let (_, low) = bench.consume(ConsumerSettings { priority: -3, ..prefetching(0) }).unwrap();
    let (_, middle) = bench.with_prefetch(2);
    let (high_key, high) = bench.consume(ConsumerSettings { priority: 7, ..prefetching(2) }).unwrap();
    (0..6).for_each(|_| bench.fill(1));
    assert_eq!((high.ids(), middle.ids(), low.ids()), (vec![0, 1], vec![2, 3], vec![4, 5]));
    bench.settle(high_key, 1);
    bench.fill(2);
    assert_eq!((high.ids(), low.ids()), (vec![0, 1, 6], vec![4, 5, 7]));
}

#[test]
fn bas_30_a_single_active_consumer_gets_everything_until_it_goes() {
    let mut bench = Bench::new(QueueSettings { single_active_consumer: true, ..Default::default() });
    let (first_key, first) = bench.with_prefetch(2);
    let (second_key, second) = bench.with_prefetch(0);
    let (_, third) = bench.consume(ConsumerSettings { priority: 9, ..prefetching(0) }).unwrap();
    bench.fill(3);
    // At its limit, the active one still keeps the others waiting.
    assert_eq!((first.ids(), second.ids(), third.ids()), (vec![0, 1], vec![], vec![]));
    assert!(!bench.cancel(first_key));
    assert_eq!((first.ids(), second.ids(), third.ids()), (vec![0, 1], vec![2], vec![]));
    // What the first had unacknowledged stays with it.
    assert_eq!(bench.queue.counts().unacknowledged, 3);
    bench.requeue(Some(first_key), first.take());
    assert_eq!((second.ids(), third.ids()), (vec![2, 0, 1], vec![]));
    assert!(!bench.cancel(second_key));
    bench.fill(1);
    assert_eq!(third.ids(), [3]);
}

#[test]
fn ch_61_an_exclusive_consumer_is_alone() {
    let mut bench = Bench::new(QueueSettings::default());
    let exclusive = || ConsumerSettings { exclusive: true, ..prefetching(0) };
    let (plain, _) = bench.with_prefetch(0);
    assert_eq!(bench.consume(exclusive()).unwrap_err(), ConsumeError::InExclusiveUse);
    bench.cancel(plain);
    let (key, _) = bench.consume(exclusive()).unwrap();
    assert_eq!(bench.consume(prefetching(0)).unwrap_err(), ConsumeError::InExclusiveUse);
    // BAS-51: fetching is allowed all the same.
    assert!(bench.get().is_none());
    bench.cancel(key);
    assert!(bench.consume(prefetching(0)).is_ok());

    let mut single = Bench::new(QueueSettings { single_active_consumer: true, ..Default::default() });
    assert_eq!(single.consume(exclusive()).unwrap_err(), ConsumeError::InExclusiveUse);
}

#[test]
fn bas_23_no_ack_deliveries_are_settled_at_once() {
    let mut bench = Bench::new(QueueSettings::default());
    let settings = ConsumerSettings { acknowledges: Acknowledges::Never, ..prefetching(0) };
    let (_, sink) = bench.consume(settings).unwrap();
    bench.fill(5);
    assert_eq!(sink.ids(), [0, 1, 2, 3, 4]);
    assert_eq!(bench.queue.counts(), Counts { consumers: 1, ..Counts::default() });
}

#[test]
fn bas_41_a_shared_limit_holds_for_all_consumers_of_a_channel() {
    let mut bench = Bench::new(QueueSettings::default());
    let shared = Arc::new(SharedPrefetch::default());
    shared.set_limit(3);
    let settings = || ConsumerSettings { shared: Some(shared.clone()), ..prefetching(2) };
    let (one_key, one) = bench.consume(settings()).unwrap();
    let (two_key, two) = bench.consume(settings()).unwrap();
    bench.fill(9);
    // Both limits are in force.
    assert_eq!((one.ids(), two.ids()), (vec![0, 2], vec![1]));
    shared.give_back(1);
    bench.settle(two_key, 1);
    assert_eq!((one.ids(), two.ids()), (vec![0, 2], vec![1, 3]));
    // Without the shared limit, each has its own.
    shared.set_limit(0);
    bench.queue.recheck(one_key, bench.now, &mut bench.effects);
    bench.queue.recheck(two_key, bench.now, &mut bench.effects);
    assert_eq!((one.ids(), two.ids()), (vec![0, 2], vec![1, 3, 4]));
}

#[test]
fn an_expired_head_takes_no_place_of_a_shared_limit() {
    let mut bench = Bench::new(mortal());
    bench.send(Draft { id: 7, ttl: Some(10), ..Draft::default() });
    bench.now += 50;
    let shared = Arc::new(SharedPrefetch::default());
    shared.set_limit(1);
    let settings = ConsumerSettings { shared: Some(shared.clone()), ..prefetching(0) };
    let (_, sink) = bench.consume(settings).unwrap();
    assert_eq!(bench.take_dead(), [(7, Death::Expired)]);
    assert_eq!(bench.queue.counts().unacknowledged, 0);
    bench.send(Draft { id: 8, ..Draft::default() });
    assert_eq!(sink.ids(), [8]);
}

#[test]
fn a_consumer_that_writes_slowly_gets_no_more_than_its_window() {
    let mut bench = Bench::new(QueueSettings::default());
    let (slow_key, slow) = bench.with_prefetch(0);
    bench.fill(WINDOW_MESSAGES + 10);
    assert_eq!(slow.take().len() as u32, WINDOW_MESSAGES);
    bench.queue.written(slow_key, 4, 4, bench.now, &mut bench.effects);
    assert_eq!(slow.take().len(), 4);

    let mut bench = Bench::new(QueueSettings::default());
    let (key, sink) = bench.with_prefetch(0);
    let size = BODY.len() / 2;
    for id in 0..4 {
        bench.send(Draft { id, size, ..Draft::default() });
    }
    assert_eq!(sink.ids(), [0, 1]);
    bench.queue.written(key, 1, size as u64, bench.now, &mut bench.effects);
    assert_eq!(sink.ids(), [0, 1, 2]);
}

#[test]
fn que_12_cancelling_tells_when_the_last_consumer_went() {
    let mut bench = Bench::new(QueueSettings::default());
    let (first, _) = bench.with_prefetch(0);
    let (second, _) = bench.with_prefetch(0);
    assert!(!bench.cancel(first));
    // A key is never used again, even when its place is.
    assert!(!bench.cancel(first));
    assert!(bench.cancel(second));
}
