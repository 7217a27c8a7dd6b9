//! Rules that change while a queue is in use.

use super::*;

fn settings(bench: &mut Bench, settings: QueueSettings) {
    let settings = QueueSettings { dead_letters: true, ..settings };
    bench.queue.reconfigure(settings, bench.now, &mut bench.effects);
}

#[test]
fn len_09_a_lower_limit_drops_at_once_and_from_the_head() {
    let mut bench = Bench::new(mortal());
    bench.fill(5);
    settings(&mut bench, QueueSettings { max_length: Some(2), ..QueueSettings::default() });
    let dead: Vec<_> = (0..3).map(|id| (id, Death::MaxLength)).collect();
    assert_eq!((bench.take_dead(), bench.queue.counts().ready), (dead, 2));
    settings(&mut bench, QueueSettings::default());
    bench.fill(4);
    assert_eq!((bench.take_dead(), bench.queue.counts().ready), (vec![], 6));
}

#[test]
fn len_09_a_queue_that_refuses_drops_nothing_that_it_took() {
    let mut bench = Bench::new(mortal());
    bench.fill(3);
    let refuses = QueueSettings { max_length: Some(1), overflow: Overflow::RejectPublish, ..mortal() };
    settings(&mut bench, refuses);
    assert_eq!((bench.take_dead(), bench.queue.counts().ready), (vec![], 3));
    assert_eq!(bench.send(Draft::default()), Accepted::Refused);
    assert_eq!(bench.queue.counts().ready, 3);
}

#[test]
fn ttl_07_messages_keep_the_deadlines_that_they_came_with() {
    let mut bench = Bench::new(mortal());
    bench.fill(1);
    settings(&mut bench, QueueSettings { message_ttl: Some(100), ..QueueSettings::default() });
    assert_eq!(bench.queue.next_deadline(), None);
    bench.get();
    bench.fill(1);
    assert_eq!(bench.queue.next_deadline(), Some(bench.now + 100));
}

#[test]
fn pol_03_expiry_counts_from_the_change_of_its_rule() {
    let mut bench = Bench::new(mortal());
    bench.now += 5_000;
    settings(&mut bench, QueueSettings { expires: Some(1_000), ..QueueSettings::default() });
    assert_eq!(bench.queue.next_deadline(), Some(bench.now + 1_000));
    let expected = bench.queue.next_deadline();
    bench.now += 500;
    settings(
        &mut bench,
        QueueSettings { expires: Some(1_000), max_length: Some(9), ..QueueSettings::default() },
    );
    assert_eq!(bench.queue.next_deadline(), expected, "that rule did not change");
    settings(&mut bench, QueueSettings::default());
    assert_eq!(bench.queue.next_deadline(), None);
}

#[test]
fn pol_07_what_a_queue_is_stays() {
    let mut bench = Bench::new(QueueSettings { max_priority: 5, ..mortal() });
    settings(&mut bench, QueueSettings::default());
    bench.send(Draft { id: 1, priority: 1, ..Draft::default() });
    bench.send(Draft { id: 2, priority: 5, ..Draft::default() });
    assert_eq!(bench.drain(), [2, 1]);
}
