//! What the log is told.

use super::*;

/// A durable queue whose messages persist.
fn durable(settings: QueueSettings) -> Bench {
    Bench::new(QueueSettings { durable: true, ..settings })
}

fn persistent(id: u32) -> Draft {
    Draft { id, persistent: true, ..Draft::default() }
}

fn no_ack() -> ConsumerSettings {
    ConsumerSettings { acknowledges: Acknowledges::Never, ..prefetching(0) }
}

impl Bench {
    /// Publishes these in one batch and says which of them, by their place in it, are kept.
    fn kept_of(&mut self, drafts: &[Draft]) -> Vec<u32> {
        let batch = drafts.iter().map(|draft| message(*draft));
        self.queue.publish(batch, self.now, &mut self.effects, |_, _| ());
        self.effects.log.kept.drain(..).map(|kept| kept.index).collect()
    }

    fn take_gone(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.effects.log.gone)
    }
}

#[test]
fn an_entry_is_half_a_cache_line() {
    assert_eq!(size_of::<Entry>(), 32);
}

#[test]
fn only_persistent_messages_of_durable_queues_are_kept() {
    let drafts = [persistent(0), Draft::default(), Draft { ttl: Some(70), ..persistent(2) }];
    let mut bench = durable(mortal());
    bench.queue.publish(drafts.map(message), bench.now, &mut bench.effects, |_, _| ());
    let kept = [
        Kept { index: 0, sequence: 0, deadline: Millis::MAX },
        Kept { index: 2, sequence: 2, deadline: bench.now + 70 },
    ];
    assert_eq!(bench.effects.log.kept, kept);
    let mut transient = Bench::new(mortal());
    assert!(transient.kept_of(&drafts).is_empty());
    transient.drain();
    assert!(transient.effects.log.is_empty());
}

#[test]
fn what_passes_through_is_never_written() {
    let mut bench = durable(QueueSettings { max_priority: 5, ..mortal() });
    assert_eq!(bench.kept_of(&[persistent(0)]), [0]);
    let (key, _) = bench.consume(no_ack()).unwrap();
    assert_eq!(bench.take_gone(), [0]);
    // Whatever the order in which they pass.
    let mixed = [1, 5, 3].map(|priority| Draft { priority, ..persistent(priority.into()) });
    assert!(bench.kept_of(&mixed).is_empty());
    assert!(bench.effects.log.is_empty());
    bench.cancel(key);
    // One chance, and it dies of it: its copy elsewhere is all that is written.
    assert_eq!(bench.kept_of(&[Draft { ttl: Some(0), ..persistent(9) }, persistent(10)]), [1]);
    let dead: Vec<_> = bench.effects.dead.drain(..).map(|(entry, _)| (id_of(&entry), entry.logged)).collect();
    assert_eq!((dead, bench.effects.log.is_empty()), (vec![(9, false)], true));
}

#[test]
fn an_old_message_that_leaves_for_a_new_one_is_gone() {
    let mut bench = durable(QueueSettings { max_length: Some(2), ..QueueSettings::default() });
    assert_eq!(bench.kept_of(&[persistent(0), persistent(1)]), [0, 1]);
    // Three come: both old ones and the first new one go.
    assert_eq!(bench.kept_of(&[2, 3, 4].map(persistent)), [1, 2]);
    assert_eq!(bench.take_gone(), [0, 1]);
}

#[test]
fn dead_letters_are_left_to_the_caller() {
    for (dead_letters, gone) in [(true, vec![]), (false, vec![0, 1, 2])] {
        let mut bench = durable(QueueSettings { dead_letters, ..QueueSettings::default() });
        bench.kept_of(&[persistent(0), Draft { ttl: Some(10), ..persistent(1) }, persistent(2)]);
        let rejected = bench.get();
        bench.queue.reject(None, rejected, bench.now, &mut bench.effects);
        bench.now += 10;
        bench.tick();
        let rejected = bench.get();
        bench.queue.reject(None, rejected, bench.now, &mut bench.effects);
        assert_eq!(bench.take_gone(), gone);
        assert!(bench.effects.dead.iter().all(|(entry, _)| entry.logged));
        assert_eq!(bench.effects.dead.len(), 3 - gone.len());
    }
}

#[test]
fn returns_are_counted_and_noted() {
    let mut bench = durable(mortal());
    bench.kept_of(&[persistent(0), Draft { id: 1, ..Draft::default() }]);
    for _ in 0..3 {
        let taken = [bench.get().unwrap(), bench.get().unwrap()];
        bench.requeue(None, taken);
        assert_eq!(std::mem::take(&mut bench.effects.log.returned), [0]);
    }
    let returns: Vec<u32> = [bench.get(), bench.get()].iter().flatten().map(|entry| entry.returns).collect();
    assert_eq!(returns, [3, 3]);
    bench.send(persistent(2));
    let most = Entry { returns: u32::MAX, ..bench.get().unwrap() };
    bench.requeue(None, [most]);
    assert_eq!(bench.get().unwrap().returns, u32::MAX);
}

#[test]
fn what_a_no_ack_consumer_gives_back_is_not_logged_again() {
    let mut bench = durable(mortal());
    bench.kept_of(&[persistent(0)]);
    let (key, sink) = bench.consume(no_ack()).unwrap();
    assert_eq!(bench.take_gone(), [0]);
    bench.cancel(key);
    bench.queue.take_back_unsent(sink.take(), bench.now, &mut bench.effects);
    assert_eq!(bench.queue.purge(&mut bench.effects).count(), 1);
    assert!(bench.effects.log.is_empty());
}

#[test]
fn gets_without_acknowledgement_and_purges_are_gone() {
    let mut bench = durable(mortal());
    bench.kept_of(&[0, 1, 2, 3].map(persistent));
    let held = bench.get();
    assert!(bench.take_gone().is_empty());
    assert!(matches!(bench.queue.get(false, bench.now, &mut bench.effects), Got::Entry(..)));
    assert_eq!(bench.take_gone(), [1]);
    bench.requeue(None, held);
    bench.queue.purge(&mut bench.effects);
    let mut gone = bench.take_gone();
    gone.sort_unstable();
    assert_eq!(gone, [0, 2, 3]);
    bench.kept_of(&[persistent(4)]);
    bench.queue.delete(&mut bench.effects);
    assert!(bench.effects.log.gone.is_empty());
}

#[test]
fn a_restored_queue_goes_on_where_it_stopped() {
    let mut bench = durable(QueueSettings { max_length: Some(2), ..mortal() });
    let restored = |sequence: u64| Entry {
        message: message(persistent(sequence as u32)),
        sequence,
        deadline: Millis::MAX,
        returns: 2,
        redelivered: true,
        logged: true,
    };
    bench.queue.restore([3, 5, 8].map(restored).into(), 7);
    assert_eq!((bench.queue.counts().ready, bench.effects.log.is_empty()), (3, true));
    assert_eq!(bench.get().map(|entry| (id_of(&entry), entry.returns)), Some((3, 2)));
    bench.queue.publish([message(persistent(9))], bench.now, &mut bench.effects, |_, _| ());
    assert_eq!(bench.effects.log.kept[0].sequence, 9);
    assert_eq!((bench.take_dead(), bench.drain()), (vec![(5, Death::MaxLength)], vec![8, 9]));

    let mut bench = durable(mortal());
    bench.queue.restore(vec![restored(1)], 40);
    bench.queue.publish([message(persistent(0))], bench.now, &mut bench.effects, |_, _| ());
    assert_eq!(bench.effects.log.kept[0].sequence, 40);
}
