//! Queues that drop a message while another of its identity is there.

use super::*;
use crate::broker::memory::Account;

fn identified(identity: &str) -> Message {
    let mut headers = b"\x16x-deduplication-headerS".to_vec();
    headers.extend_from_slice(&(identity.len() as u32).to_be_bytes());
    headers.extend_from_slice(identity.as_bytes());
    let properties = [&[0x20, 0][..], &(headers.len() as u32).to_be_bytes(), &headers].concat();
    let parts = Parts {
        exchange: b"",
        routing_key: b"q",
        properties: &properties,
        persistent: true,
        priority: 0,
        expiration: None,
        account: Account::UNCOUNTED,
    };
    Message::new(&parts, identity.as_bytes(), &mut Vec::new())
}

#[test]
fn que_43_the_log_learns_of_identities_with_their_messages_and_of_their_end() {
    let settings = QueueSettings { deduplicates: true, durable: true, ..Default::default() };
    let mut bench = Bench::new(settings);
    let batch = ["a", "b", "a"].map(identified);
    bench.queue.publish(batch, 0, &mut bench.effects, |_, _| panic!("a duplicate is not refused"));
    let notes = bench.effects.log.identities.take().expect("there is something to say");
    let seen: Vec<u64> = notes.seen.iter().map(|(_, sequence, _)| *sequence).collect();
    assert_eq!((seen, notes.forgotten), (vec![0, 1], vec![]));
    assert_eq!(bench.effects.log.kept.len(), 2);

    // A duplicate alone still has its confirm wait for the log.
    bench.queue.publish([identified("b")], 0, &mut bench.effects, |_, _| {});
    assert!(bench.effects.log.identities.take().is_some_and(|notes| notes.seen.is_empty()));
    bench.queue.publish([identified("c")], 0, &mut bench.effects, |_, _| {});
    bench.effects.log.identities = None;

    bench.queue.forget_settled(&[0, 7], &mut bench.effects);
    let notes = bench.effects.log.identities.take().expect("one had an identity");
    assert_eq!(notes.forgotten, [0]);
    drop(bench.queue.purge(&mut bench.effects));
    let notes = bench.effects.log.identities.take().expect("there were more");
    assert_eq!(notes.forgotten, [1, 2]);
}
