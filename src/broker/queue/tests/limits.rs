//! Length limits and what happens at them.

use super::*;

fn limited(max_length: Option<u64>, max_length_bytes: Option<u64>, overflow: Overflow) -> Bench {
    Bench::new(QueueSettings { max_length, max_length_bytes, overflow, ..mortal() })
}

fn sized(id: u32, size: usize) -> Draft {
    Draft { id, size, ..Draft::default() }
}

#[test]
fn len_01_only_what_is_ready_counts() {
    let mut bench = limited(Some(2), None, Overflow::DropHead);
    bench.fill(2);
    let taken = [bench.get(), bench.get()];
    assert!(taken.iter().all(Option::is_some));
    bench.fill(2);
    assert_eq!(bench.take_dead(), []);
    bench.fill(1);
    assert_eq!(bench.take_dead(), [(2, Death::MaxLength)]);
}

#[test]
fn len_02_drop_head_drops_the_oldest_until_it_fits() {
    let mut bench = limited(Some(3), Some(10), Overflow::DropHead);
    for (id, size) in [(0, 4), (1, 4), (2, 2)] {
        bench.send(sized(id, size));
    }
    // Exactly at both limits.
    assert_eq!(bench.take_dead(), []);
    bench.send(sized(3, 5));
    assert_eq!(bench.take_dead(), [(0, Death::MaxLength), (1, Death::MaxLength)]);
    // One that can never fit goes after everything before it.
    bench.send(sized(4, 11));
    let dead = [2, 3, 4].map(|id| (id, Death::MaxLength));
    assert_eq!((bench.take_dead(), bench.queue.counts().ready), (dead.to_vec(), 0));
}

#[test]
fn len_02_a_batch_is_limited_message_by_message() {
    let mut bench = limited(Some(2), None, Overflow::DropHead);
    let (_, sink) = bench.with_prefetch(1);
    bench.fill(6);
    let dead: Vec<u32> = bench.take_dead().iter().map(|(id, _)| *id).collect();
    assert_eq!((sink.ids(), dead, bench.drain()), (vec![0], vec![1, 2, 3], vec![4, 5]));
}

#[test]
fn len_03_a_limit_of_zero_passes_through_to_a_ready_consumer() {
    let mut bench = limited(Some(0), None, Overflow::DropHead);
    let (_, sink) = bench.with_prefetch(2);
    bench.fill(3);
    assert_eq!((sink.ids(), bench.take_dead()), (vec![0, 1], vec![(2, Death::MaxLength)]));
}

#[test]
fn len_04_a_requeued_message_is_the_oldest_and_goes_first() {
    let mut bench = limited(Some(2), None, Overflow::DropHead);
    bench.fill(1);
    let taken = bench.get();
    bench.fill(2);
    bench.requeue(None, taken);
    assert_eq!((bench.take_dead(), bench.drain()), (vec![(0, Death::MaxLength)], vec![1, 2]));
}

#[test]
fn len_04_a_refusing_queue_keeps_what_is_requeued() {
    for overflow in [Overflow::RejectPublish, Overflow::RejectPublishDlx] {
        let mut bench = limited(Some(1), None, overflow);
        bench.fill(1);
        let taken = bench.get();
        bench.fill(1);
        bench.requeue(None, taken);
        assert_eq!((bench.take_dead(), bench.drain()), (vec![], vec![0, 1]));
    }
}

#[test]
fn len_04_unwritten_deliveries_come_back_to_a_ready_consumer_before_the_limit() {
    let mut bench = limited(Some(0), None, Overflow::DropHead);
    let never = ConsumerSettings { acknowledges: Acknowledges::Never, ..prefetching(0) };
    let (gone, sink) = bench.consume(never).unwrap();
    bench.fill(1);
    bench.cancel(gone);
    let (_, next) = bench.with_prefetch(1);
    bench.queue.take_back_unsent(sink.take(), bench.now, &mut bench.effects);
    let back = next.take();
    // Nobody ever saw it.
    assert_eq!((ids(&back), back[0].redelivered, bench.take_dead()), (vec![0], false, vec![]));
}

#[test]
fn len_05_reject_publish_refuses_even_with_a_ready_consumer() {
    let mut bench = limited(Some(1), None, Overflow::RejectPublish);
    assert_eq!(bench.send(sized(0, 0)), Accepted::Yes);
    assert_eq!(bench.send(sized(1, 0)), Accepted::Refused);
    assert_eq!((bench.take_dead(), bench.drain()), (vec![], vec![0]));

    let mut bench = limited(None, Some(3), Overflow::RejectPublish);
    let (_, sink) = bench.with_prefetch(0);
    assert_eq!(bench.send(sized(0, 4)), Accepted::Refused);
    assert_eq!(bench.send(sized(1, 3)), Accepted::Yes);
    assert_eq!(sink.ids(), [1]);
}

#[test]
fn len_06_reject_publish_dlx_also_buries_what_it_refuses() {
    let mut bench = limited(Some(1), None, Overflow::RejectPublishDlx);
    assert_eq!(bench.send(sized(0, 0)), Accepted::Yes);
    assert_eq!(bench.send(sized(1, 0)), Accepted::Refused);
    assert_eq!((bench.take_dead(), bench.drain()), (vec![(1, Death::MaxLength)], vec![0]));
}

#[test]
fn len_07_a_priority_queue_drops_its_highest_first() {
    let mut bench = Bench::new(QueueSettings { max_length: Some(2), max_priority: 10, ..mortal() });
    for priority in [9, 1, 5] {
        bench.send(Draft { id: u32::from(priority), priority, ..Draft::default() });
    }
    assert_eq!((bench.take_dead(), bench.drain()), (vec![(9, Death::MaxLength)], vec![5, 1]));
}

#[test]
fn without_a_dead_letter_exchange_nothing_is_buried() {
    let mut bench = Bench::new(QueueSettings { max_length: Some(1), ..QueueSettings::default() });
    bench.fill(3);
    let taken = bench.get();
    bench.queue.reject(None, taken, bench.now, &mut bench.effects);
    assert!(bench.effects.dead.is_empty());
    assert_eq!(bench.queue.counts(), Counts::default());
}
