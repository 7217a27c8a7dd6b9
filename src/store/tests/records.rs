//! Records: what is written is read back, and nothing that is read can do harm.

use proptest::{collection::vec, prelude::*};

use super::super::{octets::put_number, record::*};
use super::*;

fn runs() -> impl Strategy<Value = Vec<(u64, u64)>> {
    vec((1..1_000_000u64, 1..1_000u64), 0..20).prop_map(|steps| {
        let mut after = 0;
        let next = |(distance, length)| {
            let first = after + distance;
            after = first + length;
            (first, length)
        };
        steps.into_iter().map(next).collect()
    })
}

fn name() -> impl Strategy<Value = String> {
    "\\PC{0,30}"
}

fn definition() -> impl Strategy<Value = Definition> {
    let kept = any::<[Option<u64>; 2]>();
    let exchange = (name(), name(), name(), any::<[bool; 2]>(), any::<Vec<u8>>(), kept);
    let exchange = exchange.prop_map(|(vhost, name, kind, [auto_delete, internal], arguments, kept)| {
        let [delay, cache] = kept;
        let exchange = ExchangeDefinition { name, kind, auto_delete, internal, arguments, delay, cache };
        Definition::DeclareExchange { vhost, exchange }
    });
    let queue = (name(), name(), any::<u64>(), any::<bool>(), any::<Vec<u8>>(), any::<Option<u64>>());
    let queue =
        queue.prop_map(|(vhost, name, id, auto_delete, arguments, identities)| Definition::DeclareQueue {
            vhost,
            queue: QueueDefinition { name, id, auto_delete, arguments, identities },
        });
    let binding = (any::<[bool; 2]>(), [name(), name(), name(), name()], any::<Vec<u8>>());
    let binding =
        binding.prop_map(|([bind, to_queue], [vhost, source, destination, routing_key], arguments)| {
            let binding = BindingDefinition { source, destination, to_queue, routing_key, arguments };
            if bind { Definition::Bind { vhost, binding } } else { Definition::Unbind { vhost, binding } }
        });
    prop_oneof![
        name().prop_map(|vhost| Definition::Reset { vhost }),
        (name(), name()).prop_map(|(vhost, name)| Definition::DeleteExchange { vhost, name }),
        (name(), name(), any::<u64>()).prop_map(|(vhost, name, id)| Definition::DeleteQueue {
            vhost,
            name,
            id
        }),
        (name(), any::<u64>()).prop_map(|(vhost, id)| Definition::DeleteKept { vhost, id }),
        exchange,
        queue,
        binding,
    ]
}

fn page_record() -> impl Strategy<Value = PageRecord> {
    let returns = vec(any::<(u64, u32)>(), 0..5);
    (any::<[u64; 7]>(), any::<u8>(), runs(), returns).prop_map(|(numbers, lane, live, returns)| {
        let [queue, page, file, offset, length, bytes, first_deadline] = numbers;
        PageRecord { queue, page, file, offset, length, lane, bytes, first_deadline, live, returns }
    })
}

fn place() -> impl Strategy<Value = Place> {
    (any::<u64>(), 0..u64::MAX, any::<u64>(), any::<u32>())
        .prop_map(|(queue, sequence, deadline, returns)| Place { queue, sequence, deadline, returns })
}

proptest! {
    #[test]
    fn every_kind_is_read_back(
        queue: u64,
        how in prop_oneof![Just(returns::FAILED), Just(returns::GIVEN_BACK)],
        runs in runs(),
        definition in definition(),
        page in page_record(),
        places in vec(place(), 0..5),
        contents: Vec<u8>,
    ) {
        let mut out = Vec::new();
        let mut written = |put: &dyn Fn(&mut Vec<u8>)| {
            out.clear();
            put(&mut out);
            out.clone()
        };
        let settled = written(&|out| put_settled(out, queue, &runs));
        prop_assert_eq!(Record::decode(&settled), Ok(Record::Settled { queue, runs: runs.clone() }));
        let returned = written(&|out| put_returned(out, queue, &runs, how));
        prop_assert_eq!(Record::decode(&returned), Ok(Record::Returned { queue, runs: runs.clone(), how }));
        let defined = written(&|out| put_definition(out, &definition));
        prop_assert_eq!(Record::decode(&defined), Ok(Record::Definition(definition.clone())));
        let paged = written(&|out| put_page(out, &page));
        prop_assert_eq!(Record::decode(&paged), Ok(Record::Page(page.clone())));
        let trimmed = written(&|out| put_trimmed(out, queue));
        prop_assert_eq!(Record::decode(&trimmed), Ok(Record::Trimmed { before: queue }));
        let stopped = written(&put_clean_stop);
        prop_assert_eq!(Record::decode(&stopped), Ok(Record::CleanStop));
        let message = written(&|out| put_encoded_message(out, &places, &contents));
        let expected = Record::Message { places: Places::from_slice(&places), contents: &contents };
        prop_assert_eq!(Record::decode(&message), Ok(expected));
        // Each but a message says where it ends.
        for whole in [settled, returned, defined, paged, trimmed] {
            let longer = [&whole[..], &[0]].concat();
            prop_assert_eq!(Record::decode(&longer), Err(Malformed));
            prop_assert_eq!(Record::decode(whole.get(..whole.len() - 1).unwrap()), Err(Malformed));
        }
    }

    #[test]
    fn any_octets_are_a_record_or_refused_and_cost_no_more_than_they_are(kind in 0..9u8, rest: Vec<u8>) {
        let body = [&[kind][..], &rest].concat();
        match Record::decode(&body) {
            Ok(Record::Settled { runs, .. } | Record::Returned { runs, .. }) => {
                prop_assert!(runs.capacity() <= 4.max(2 * body.len()));
            }
            Ok(Record::Page(page)) => prop_assert!(page.live.capacity() <= 4.max(2 * body.len())),
            Ok(Record::Message { places, .. }) => prop_assert!(places.capacity() <= 1.max(2 * body.len())),
            _ => {}
        }
    }
}

#[test]
fn counts_that_promise_more_than_there_is_are_refused() {
    // A message, settlements and returns of a queue, and as many places or runs as there are numbers.
    for head in [&[1][..], &[2, 1], &[3, 1], &[5, 1, 1, 1, 1, 1, 0, 1, 1]] {
        let mut body = head.to_vec();
        put_number(&mut body, u64::MAX);
        body.extend([1; 40]);
        assert_eq!(Record::decode(&body), Err(Malformed), "{head:?}");
    }
}

#[test]
fn a_page_of_more_messages_than_any_page_has_is_refused() {
    let mut out = Vec::new();
    put_page(&mut out, &page(1, &[(1, PAGE_MESSAGES_MAX / 2), (u64::MAX / 2, PAGE_MESSAGES_MAX)]));
    assert_eq!(Record::decode(&out), Err(Malformed));
    out.clear();
    put_page(&mut out, &page(1, &[(1, PAGE_MESSAGES_MAX)]));
    assert!(Record::decode(&out).is_ok());
}

#[test]
fn runs_that_pass_the_last_number_are_refused() {
    let mut out = Vec::new();
    put_settled(&mut out, 1, &[(u64::MAX, 1)]);
    assert_eq!(Record::decode(&out), Err(Malformed));
    out.clear();
    put_encoded_message(&mut out, &[Place { queue: 1, sequence: u64::MAX, deadline: 0, returns: 0 }], &[]);
    assert_eq!(Record::decode(&out), Err(Malformed));
}
