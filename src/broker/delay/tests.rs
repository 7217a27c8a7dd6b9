//! Waiting, being due, being cancelled, and all of it with messages on disk.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::broker::{
    Parts,
    queue::{PageOut, PageSummary},
};

fn message(name: u64, size: usize) -> Message {
    let parts = Parts {
        exchange: b"x",
        routing_key: &name.to_be_bytes(),
        properties: &[0, 0],
        persistent: true,
        priority: 0,
        expiration: None,
        account: Account::UNCOUNTED,
    };
    Message::new(&parts, &vec![0; size], &mut Vec::new())
}

fn name(message: &Message) -> u64 {
    u64::from_be_bytes(message.routing_key().try_into().unwrap())
}

/// A delay with somebody who writes and reads its pages.
struct Bench {
    delay: Delay,
    effects: Effects,
    written: BTreeMap<PageId, Vec<Entry>>,
    next: u64,
}

impl Bench {
    fn new() -> Bench {
        let delay = Delay::new(true, Account::UNCOUNTED);
        Bench { delay, effects: Effects::default(), written: BTreeMap::new(), next: 0 }
    }

    /// Returns what it is known by.
    fn hold(&mut self, at: Millis, size: usize) -> Due {
        let sequence = self.next;
        self.next += 1;
        self.delay.hold([(message(sequence, size), at)], &mut self.effects);
        let kept = self.effects.log.kept.pop().expect("it is to be logged");
        assert_eq!((kept.sequence, kept.deadline), (sequence, at));
        (at, sequence)
    }

    /// One message for each of so many milliseconds, in a mixed order.
    fn fill(&mut self, count: u64) {
        for number in 0..count {
            self.hold(number * 7919 % count, 4000);
        }
    }

    fn take(&mut self, now: Millis) -> Vec<u64> {
        let taken = self.delay.take_due(now, usize::MAX, &mut self.effects);
        taken.iter().map(|entry| name(&entry.message)).collect()
    }

    /// Takes what is due, and fetches for as long as something is wanted.
    fn take_all(&mut self, now: Millis) -> Vec<u64> {
        let mut taken = self.take(now);
        while self.fetch(now) {
            taken.extend(self.take(now));
        }
        taken
    }

    fn page_out(&mut self) -> Option<PageOut> {
        self.delay.page_out(0, u64::MAX, u32::MAX)
    }

    /// Writes as long as there is something to write; says how many pages.
    fn page_out_all(&mut self) -> usize {
        let mut pages = 0;
        while let Some(page) = self.page_out() {
            assert_eq!(self.delay.paged_out(page.page).len(), page.entries.len());
            self.written.insert(page.page, page.entries.to_vec());
            pages += 1;
        }
        pages
    }

    /// Reads what is wanted; false if nothing is.
    fn fetch(&mut self, now: Millis) -> bool {
        let Some(page) = self.effects.fetch.pop() else { return false };
        let entries = self.written.remove(&page).expect("a page that was written");
        assert!(self.delay.paged_in(page, entries, now, &mut self.effects));
        true
    }
}

#[test]
fn exc_90_messages_come_when_they_are_due_and_in_the_order_of_their_publishing_if_together() {
    let mut bench = Bench::new();
    assert_eq!(bench.delay.next_deadline(), None);
    for at in [30, 10, 20, 10] {
        bench.hold(at, 1);
    }
    assert_eq!(bench.delay.waiting(), Waiting { messages: 4, bytes: 4 });
    assert_eq!(bench.delay.next_deadline(), Some(10));
    assert_eq!(bench.take(9), Vec::<u64>::new());
    assert_eq!(bench.take(10), [1, 3]);
    assert_eq!(bench.delay.next_deadline(), Some(20));
    assert_eq!(bench.take(99), [2, 0]);
    assert_eq!((bench.delay.next_deadline(), bench.delay.waiting()), (None, Waiting::default()));
}

#[test]
fn a_batch_ends_where_it_is_told_to() {
    let mut bench = Bench::new();
    for _ in 0..5 {
        bench.hold(1, 1);
    }
    assert_eq!(bench.delay.take_due(1, 2, &mut bench.effects).len(), 2);
    assert_eq!(bench.delay.next_deadline(), Some(1));
    assert_eq!(bench.take(1), [2, 3, 4]);
}

#[test]
fn cancelled_messages_are_gone_and_the_log_learns_it() {
    let mut bench = Bench::new();
    let (one, other) = (bench.hold(5, 1), bench.hold(5, 1));
    assert!(bench.delay.cancel(one, &mut bench.effects));
    assert!(!bench.delay.cancel(one, &mut bench.effects));
    assert!(!bench.delay.cancel((6, other.1), &mut bench.effects));
    assert_eq!(bench.effects.log.gone, [0]);
    assert_eq!(bench.take(5), [1]);
    bench.hold(7, 1);
    assert_eq!(bench.delay.cancel_all(&mut bench.effects), 1);
    assert_eq!(bench.effects.log.gone, [0, 2]);
    assert_eq!(bench.delay.next_deadline(), None);
}

#[test]
fn a_deleted_exchange_holds_nothing() {
    let mut bench = Bench::new();
    bench.hold(5, 1);
    bench.delay.delete(&mut bench.effects);
    assert!(bench.delay.is_deleted() && bench.effects.log.gone.is_empty());
    bench.delay.hold([(message(1, 1), 1)], &mut bench.effects);
    assert!(bench.take(99).is_empty() && bench.effects.log.kept.is_empty());
}

#[test]
fn what_is_due_last_goes_to_disk_and_comes_back_before_its_time() {
    let mut bench = Bench::new();
    for number in 0..1000 {
        bench.hold(1_000_000 - number * 1000, 4000);
    }
    let before = bench.delay.resident_cost();
    assert!(1 < bench.page_out_all());
    assert!(bench.delay.resident_cost() < before / 4);
    assert_eq!(bench.delay.waiting(), Waiting { messages: 1000, bytes: 4_000_000 });
    for second in 1..=1000 {
        let now = second * 1000;
        assert!(bench.take(now - 1).is_empty(), "early");
        while bench.fetch(now - 1) {}
        assert_eq!(bench.take(now), [1000 - second], "not there in time");
    }
    assert!(bench.written.is_empty() && bench.delay.next_deadline().is_none());
}

#[test]
fn the_timer_is_set_for_fetching_and_silent_while_that_is_under_way() {
    let mut bench = Bench::new();
    for _ in 0..400 {
        bench.hold(100_000, 4000);
    }
    bench.page_out_all();
    // Those that stayed are of the same time.
    assert_eq!(bench.delay.next_deadline(), Some(100_000 - paging::LEAD));
    bench.take(100_000 - paging::LEAD);
    assert!(bench.effects.fetch.is_empty(), "there is enough in front of it");
    assert_eq!(bench.delay.next_deadline(), Some(100_000));
    let kept = bench.take(100_000).len();
    assert!(0 < kept && kept < 400 && bench.effects.fetch.len() == 1);
    assert_eq!(bench.delay.next_deadline(), None, "the page comes first");
    let mut rest = Vec::new();
    while bench.fetch(100_000) {
        rest.extend(bench.take(100_000));
    }
    assert_eq!(kept + rest.len(), 400);
    assert!(rest.is_sorted());
}

#[test]
fn what_is_used_or_cancelled_while_it_is_written_is_not_away() {
    let mut bench = Bench::new();
    let dues: Vec<Due> = (0..400).map(|number| bench.hold(number, 4000)).collect();
    let page = bench.page_out().expect("a page");
    let last = page.entries.last().map(|entry| entry.sequence).unwrap();
    assert!(bench.delay.cancel(dues[last as usize], &mut bench.effects));
    let moved = bench.delay.paged_out(page.page);
    assert_eq!(moved.len() + 1, page.entries.len());
    assert!(!moved.contains(&last));
    let next = bench.page_out().expect("another page");
    assert_eq!(bench.take(398).len() + page.entries.len(), 400);
    assert_eq!(bench.delay.paged_out(next.page), Vec::<u64>::new(), "its place is free");
}

#[test]
fn a_page_that_could_not_be_written_stays() {
    let mut bench = Bench::new();
    bench.fill(400);
    let page = bench.page_out().expect("a page");
    bench.delay.page_out_failed(page.page);
    assert_eq!(bench.page_out().expect("the same again").entries.len(), page.entries.len());
    assert_eq!(bench.take(400).len(), 400);
}

#[test]
fn a_page_that_cannot_be_read_is_lost_and_nothing_waits_for_it() {
    let mut bench = Bench::new();
    bench.fill(400);
    bench.page_out_all();
    let here = bench.take(400).len() as u64;
    let page = bench.effects.fetch.pop().expect("the first page is wanted");
    let lost = bench.delay.page_lost(page, 400, &mut bench.effects);
    assert!(0 < lost);
    assert_eq!(here + lost + bench.take_all(400).len() as u64, 400);
    assert_eq!(bench.delay.waiting(), Waiting::default());
}

#[test]
fn a_page_of_which_everything_is_cancelled_is_dropped() {
    let mut bench = Bench::new();
    let dues: Vec<Due> = (0..400).map(|number| bench.hold(number, 4000)).collect();
    let page = bench.page_out().expect("a page");
    let moved = bench.delay.paged_out(page.page);
    for sequence in &moved {
        assert!(bench.delay.cancel(dues[*sequence as usize], &mut bench.effects));
    }
    assert_eq!(bench.effects.dropped_pages, [page.page]);
    assert_eq!(bench.take_all(400).len() + moved.len(), 400);
}

#[test]
fn a_list_has_everything_in_order_wherever_it_is() {
    let mut bench = Bench::new();
    let mut dues: Vec<Due> = (0..500).map(|number| bench.hold(number * 7919 % 500, 4000)).collect();
    dues.sort_unstable();
    bench.page_out_all();
    let listed = bench.delay.list(0, usize::MAX);
    assert!(listed.iter().any(|item| item.place.is_err()) && listed.iter().any(|item| item.place.is_ok()));
    assert!(listed.iter().all(|item| item.length == 4000));
    assert_eq!(listed.iter().map(|item| item.due).collect::<Vec<_>>(), dues);
    let part: Vec<Due> = bench.delay.list(100, 3).iter().map(|item| item.due).collect();
    assert_eq!(part, dues[100..103]);
}

#[test]
fn after_a_restart_pages_are_read_once_to_know_what_is_in_them() {
    let mut bench = Bench::new();
    bench.fill(1000);
    bench.page_out_all();
    let entry = |item: Listed| {
        let (deadline, sequence) = item.due;
        let message = item.place.ok()?;
        Some(Entry { message, sequence, deadline, returns: 0, redelivered: false, logged: true })
    };
    let here: Vec<Entry> = bench.delay.list(0, usize::MAX).into_iter().filter_map(entry).collect();
    let summary = |(id, entries): (&PageId, &Vec<Entry>)| PageSummary {
        id: *id,
        lane: 0,
        first_sequence: 0,
        last_sequence: 999,
        count: entries.len() as u32,
        bytes: entries.len() as u64 * 4000,
        first_deadline: entries.first().map_or(0, |entry| entry.deadline),
    };
    let pages: Vec<PageSummary> = bench.written.iter().map(summary).collect();
    bench.delay = Delay::new(true, Account::UNCOUNTED);
    bench.delay.restore_pages(pages);
    bench.delay.restore(here, 0);
    let all = Waiting { messages: 1000, bytes: 4_000_000 };
    assert_eq!(bench.delay.waiting(), all);
    while let Some(page) = bench.delay.unread_page() {
        bench.delay.indexed(page, &bench.written[&page], 0, &mut bench.effects);
        assert_eq!(bench.delay.waiting(), all);
    }
    bench.next = 1000;
    assert_eq!(bench.hold(2000, 1).1, 1000, "numbers go on");
    let mut times: Vec<Millis> = Vec::new();
    for now in 0..2001 {
        times.extend(bench.take_all(now).iter().map(|_| now));
    }
    assert_eq!(times.len(), 1001);
    assert_eq!(times[..1000], (0..1000).collect::<Vec<_>>());
}

#[derive(Debug, Clone)]
enum Step {
    Hold { after: Millis, size: usize },
    Wait(Millis),
    Cancel(usize),
    Write,
    Written(usize),
    Fail(usize),
    Read(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..5000u64, 0..4000usize).prop_map(|(after, size)| Step::Hold { after, size: size * 50 }),
        3 => (0..1500u64).prop_map(Step::Wait),
        2 => any::<usize>().prop_map(Step::Cancel),
        3 => Just(Step::Write),
        3 => any::<usize>().prop_map(Step::Written),
        1 => any::<usize>().prop_map(Step::Fail),
        3 => any::<usize>().prop_map(Step::Read),
    ]
}

proptest! {
    /// Beside a plain map, with pages that take their time.
    #[test]
    fn everything_comes_once_and_never_early(steps in proptest::collection::vec(step(), 1..200)) {
        let (mut bench, mut model, mut now) = (Bench::new(), BTreeMap::new(), 0);
        let mut writing: Vec<PageOut> = Vec::new();
        for step in steps.into_iter().chain([Step::Wait(10_000)]) {
            match step {
                Step::Hold { after, size } => {
                    let due = bench.hold(now + after, size);
                    model.insert(due, ());
                }
                Step::Wait(time) => {
                    now += time;
                    let taken = bench.take(now);
                    // Only what is on disk may be late; it keeps back what comes after it.
                    for sequence in taken {
                        let due = model.first_key_value().map(|(due, ())| *due).expect("something waits");
                        prop_assert!(due.1 == sequence && due.0 <= now, "{due:?} is first, not {sequence}");
                        model.remove(&due);
                    }
                }
                Step::Cancel(at) if !model.is_empty() => {
                    let due = *model.keys().nth(at % model.len()).unwrap();
                    model.remove(&due);
                    prop_assert!(bench.delay.cancel(due, &mut bench.effects));
                }
                Step::Write => writing.extend(bench.page_out()),
                Step::Written(at) if !writing.is_empty() => {
                    let page = writing.remove(at % writing.len());
                    if !bench.delay.paged_out(page.page).is_empty() {
                        bench.written.insert(page.page, page.entries.to_vec());
                    }
                }
                Step::Fail(at) if !writing.is_empty() => {
                    let page = writing.remove(at % writing.len());
                    bench.delay.page_out_failed(page.page);
                }
                Step::Read(at) if !bench.effects.fetch.is_empty() => {
                    let at = at % bench.effects.fetch.len();
                    let page = bench.effects.fetch.remove(at);
                    let entries = bench.written.remove(&page).unwrap();
                    prop_assert!(bench.delay.paged_in(page, entries, now, &mut bench.effects));
                }
                _ => {}
            }
            prop_assert_eq!(bench.delay.waiting().messages, model.len() as u64);
            let listed: Vec<Due> = bench.delay.list(0, usize::MAX).iter().map(|item| item.due).collect();
            prop_assert_eq!(&listed, &model.keys().copied().collect::<Vec<_>>());
            // Whatever is overdue is being fetched, or a timer is set for it.
            if let Some(((at, _), ())) = model.first_key_value() {
                let set = bench.delay.next_deadline().is_some_and(|deadline| deadline <= *at);
                prop_assert!(set || !bench.effects.fetch.is_empty());
            }
        }
        let rest = bench.take_all(now);
        prop_assert_eq!(rest, model.keys().map(|(_, sequence)| *sequence).collect::<Vec<_>>());
    }
}
