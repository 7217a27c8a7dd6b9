//! A stream against a list: random publishes, commits, reads, writes, acknowledgements and retention.

use std::{cell::RefCell, collections::VecDeque, rc::Rc};

use proptest::prelude::*;

use super::{filter::Filter, *};
use crate::broker::{Parts, memory::Account, queue::Wakes};

/// What a consumer was sent.
#[derive(Debug, Clone, Default)]
struct Sink(Rc<RefCell<VecDeque<Entry>>>);

impl Outlet for Sink {
    fn deliver(&self, batch: &mut Vec<Entry>, _: &mut Wakes) {
        self.0.borrow_mut().extend(batch.drain(..));
    }
}

fn message(body: usize) -> Message {
    let parts = Parts {
        exchange: b"",
        routing_key: b"q",
        properties: &[0, 0],
        persistent: false,
        priority: 0,
        expiration: None,
        account: Account::UNCOUNTED,
    };
    Message::new(&parts, &vec![0; body], &mut Vec::new())
}

/// A stream with the files that it asks for, which are lists of chunks.
struct Bench {
    stream: Stream<Sink>,
    now: Millis,
    appended: Vec<Appended>,
    chunks: Vec<(u64, Chunk, Vec<Entry>)>,
    reads: Vec<(u64, Chunk)>,
    dropped: Vec<u64>,
}

impl Bench {
    fn new(segment_bytes: u64, max_bytes: Option<u64>, has_files: bool) -> Bench {
        let settings =
            StreamSettings { segment_bytes, max_bytes, max_age: None, filter_bytes: 16, has_files };
        let (appended, chunks, reads, dropped) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Bench { stream: Stream::new(settings), now: 1_000, appended, chunks, reads, dropped }
    }

    fn with<R>(&mut self, operation: impl FnOnce(&mut Stream<Sink>, Millis, &mut Effects) -> R) -> R {
        let mut effects = Effects::default();
        let result = operation(&mut self.stream, self.now, &mut effects);
        self.appended.extend(effects.log.appended);
        if let Some(work) = effects.stream {
            self.reads.extend(work.reads);
            self.dropped.extend(work.dropped);
        }
        result
    }

    fn publish(&mut self, bodies: &[usize]) {
        let batch: Vec<Message> = bodies.iter().map(|body| message(*body)).collect();
        self.with(|stream, now, effects| stream.publish(batch, now, effects));
    }

    /// Lets a batch be durable, the oldest or another one.
    fn commit(&mut self, which: usize) {
        if !self.appended.is_empty() {
            let Appended { first, end, .. } = self.appended.remove(which % self.appended.len());
            self.with(|stream, _, effects| stream.committed(first, end, effects));
        }
    }

    fn write(&mut self) {
        self.now += 10_000;
        while let Ok(out) = self.with(|stream, now, _| stream.chunk_to_write(now)) {
            let (first, last) = (out.first, out.entries.last().unwrap());
            let (end, last_time) = (last.sequence + 1, last.deadline);
            let chunk = Chunk { first, end, position: 0, length: 0, last_time, filter: out.filter };
            let kept = self.with(|stream, now, _| stream.chunk_written(out.segment, chunk.clone(), now));
            assert_eq!(kept, !self.dropped.contains(&out.segment));
            self.chunks.push((out.segment, chunk, out.entries));
        }
        // As if nothing of it were in memory any more, whatever the limits are.
        while self.stream.tail.pop_before(self.stream.written).is_some() {}
    }

    fn read(&mut self) {
        for (segment, chunk) in std::mem::take(&mut self.reads) {
            let is_there = !self.dropped.contains(&segment);
            let found = self.chunks.iter().find(|(_, known, _)| *known == chunk && is_there);
            let entries = found.map(|(_, _, entries)| entries.clone());
            self.with(|stream, _, effects| stream.chunk_read(&chunk, entries, effects));
        }
    }

    fn consume(&mut self, offset: StreamOffset, prefetch: u16, name: Option<&str>) -> (ConsumerKey, Sink) {
        let sink = Sink::default();
        let name = name.map(|name| name.as_bytes().to_vec());
        let read = StreamRead { prefetch, offset, name, ..StreamRead::default() };
        let key = self.with(|stream, now, effects| stream.consume(sink.clone(), read, now, effects));
        (key, sink)
    }

    /// Takes everything that there is for a consumer, with acknowledgements.
    fn drain(&mut self, (key, sink): &(ConsumerKey, Sink), offsets: &mut Vec<u64>) {
        loop {
            self.read();
            let taken: Vec<Entry> = sink.0.borrow_mut().drain(..).collect();
            if taken.is_empty() && self.reads.is_empty() {
                return;
            }
            offsets.extend(taken.iter().map(|entry| entry.sequence));
            let logged: Vec<u64> =
                taken.iter().filter(|entry| entry.logged).map(|one| one.sequence).collect();
            let count = taken.len() as u32;
            self.with(|stream, _, effects| stream.written(*key, count, 0, effects));
            self.with(|stream, _, effects| stream.settle(*key, count, &logged, effects));
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Publish(Vec<usize>),
    Commit(usize),
    Write,
    Read,
    Drain,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => proptest::collection::vec(0usize..400, 1..20).prop_map(Step::Publish),
        3 => (0usize..4).prop_map(Step::Commit),
        1 => Just(Step::Write),
        1 => Just(Step::Read),
        1 => Just(Step::Drain),
    ]
}

proptest! {
    #[test]
    fn every_consumer_gets_everything_in_order_from_memory_and_files(
        steps in proptest::collection::vec(step(), 1..80),
        segment in 100u64..5_000,
        prefetch in 1u16..50,
        has_files: bool,
    ) {
        let mut bench = Bench::new(segment, None, has_files);
        let mut early = (bench.consume(StreamOffset::First, prefetch, None), Vec::new());
        for step in steps {
            match step {
                Step::Publish(bodies) => bench.publish(&bodies),
                Step::Commit(which) => bench.commit(which),
                Step::Write if has_files => bench.write(),
                Step::Write => {}
                Step::Read => bench.read(),
                Step::Drain => bench.drain(&early.0, &mut early.1),
            }
            let seen = early.0.1.0.borrow().back().map_or(0, |entry| entry.sequence + 1);
            prop_assert!(seen <= bench.stream.committed, "what is not durable is not shown");
        }
        while !bench.appended.is_empty() {
            bench.commit(0);
        }
        let end = bench.stream.segments.next();
        let mut late = (bench.consume(StreamOffset::First, prefetch, Some("name")), Vec::new());
        bench.drain(&early.0, &mut early.1);
        bench.drain(&late.0, &mut late.1);
        prop_assert_eq!(&early.1, &(0..end).collect::<Vec<_>>());
        prop_assert_eq!(&late.1, &early.1);
        prop_assert_eq!(bench.stream.names.offset(b"name"), (end != 0).then_some(end));
        prop_assert_eq!(bench.stream.delivered(), 2 * end);
    }

    #[test]
    fn retention_drops_whole_segments_from_the_oldest_on_and_a_reader_goes_on_behind_them(
        steps in proptest::collection::vec(step(), 1..80),
        segment in 100u64..3_000,
        max in 0u64..10_000,
        has_files: bool,
    ) {
        let mut bench = Bench::new(segment, Some(max), has_files);
        let mut reader = (bench.consume(StreamOffset::First, 10, None), Vec::new());
        for step in steps {
            match step {
                Step::Publish(bodies) => bench.publish(&bodies),
                Step::Commit(which) => bench.commit(which),
                Step::Write if has_files => bench.write(),
                Step::Write => {}
                Step::Read => bench.read(),
                Step::Drain => bench.drain(&reader.0, &mut reader.1),
            }
            let stream = &bench.stream;
            prop_assert!(stream.segments.count() == 1 || stream.segments.bytes() <= max + segment + 500);
            prop_assert!(bench.dropped.iter().all(|name| *name < stream.segments.first()));
            prop_assert!(bench.dropped.is_sorted());
        }
        while !bench.appended.is_empty() {
            bench.commit(0);
        }
        bench.drain(&reader.0, &mut reader.1);
        let (first, end) = (bench.stream.segments.first(), bench.stream.segments.next());
        prop_assert!(reader.1.is_sorted_by(|one, other| one < other), "in order, and nothing twice");
        let tail: Vec<u64> = reader.1.iter().copied().filter(|offset| first <= *offset).collect();
        prop_assert_eq!(tail, (first..end).collect::<Vec<_>>());
    }
}

#[test]
fn old_segments_go_when_another_begins() {
    let mut bench = Bench::new(1_000, None, true);
    bench.stream.settings.max_age = Some(60_000);
    bench.publish(&[500]);
    bench.publish(&[500]);
    bench.now += 61_000;
    bench.publish(&[100]);
    assert_eq!(bench.stream.segments.names().collect::<Vec<_>>(), [0, 1], "a message was not older yet");
    bench.now += 30_000;
    bench.publish(&[900]);
    assert_eq!(bench.stream.segments.names().collect::<Vec<_>>(), [1, 3]);
    assert_eq!(bench.dropped, [0]);
}

#[test]
fn a_restart_goes_on_with_what_files_and_log_have() {
    let mut bench = Bench::new(2_000, None, true);
    for _ in 0..20 {
        bench.publish(&[100; 5]);
        bench.commit(0);
    }
    bench.write();
    let segments: Vec<Segment> = {
        let mut names: Vec<u64> = bench.chunks.iter().map(|(segment, _, _)| *segment).collect();
        names.dedup();
        let chunks = |name: u64| bench.chunks.iter().filter(move |(segment, _, _)| *segment == name);
        names
            .into_iter()
            .map(|first| Segment {
                first,
                end: chunks(first).map(|(_, chunk, _)| chunk.end).max().unwrap(),
                bytes: 2_000,
                last_time: 2_000,
                chunks: chunks(first).map(|(_, chunk, _)| chunk.clone()).collect(),
            })
            .collect()
    };
    let mut again = Bench::new(2_000, None, true);
    again.chunks = std::mem::take(&mut bench.chunks);
    let offsets = vec![(b"name".to_vec(), 7)];
    // The log has five that are in files, too, and behind a gap some that are not.
    let entry = |sequence| Entry {
        message: message(10),
        sequence,
        deadline: 2_500,
        returns: 1,
        redelivered: true,
        logged: true,
    };
    let logged: Vec<Entry> = (95..100).chain(110..115).map(entry).collect();
    let found = RestoredStream { segments, offsets };
    let unneeded = again.with(|stream, now, effects| stream.restore(found, logged, 120, now, effects));
    assert_eq!(unneeded, (95..100).collect::<Vec<_>>());
    let mut all = Vec::new();
    let reader = again.consume(StreamOffset::Stored, 100, Some("name"));
    again.drain(&reader, &mut all);
    assert_eq!(all, (7..100).chain(110..115).collect::<Vec<_>>());
    again.publish(&[1]);
    again.commit(0);
    again.drain(&reader, &mut all);
    assert_eq!(all.last(), Some(&120));
    let mut last = Vec::new();
    let reader = again.consume(StreamOffset::Timestamp(2), 100, None);
    again.drain(&reader, &mut last);
    assert_eq!(last, (110..115).chain(120..121).collect::<Vec<_>>());
}

#[test]
fn a_client_that_asks_for_tiny_segments_gets_a_bounded_number_of_files() {
    let mut bench = Bench::new(0, None, true);
    for _ in 0..5_000 {
        bench.publish(&[10]);
    }
    assert_eq!(bench.stream.segment_count(), 1_024);
    let mut absurd = Bench::new(u64::MAX, Some(0), true);
    absurd.stream.settings.max_age = Some(Millis::MAX);
    absurd.now = Millis::MAX - 20_000;
    absurd.publish(&[10; 100]);
    assert_eq!((absurd.stream.segment_count(), absurd.stream.counts().ready), (1, 100));
}

#[test]
fn any_offset_is_some_place() {
    let mut bench = Bench::new(1_000, None, true);
    bench.publish(&[100; 30]);
    bench.commit(0);
    bench.write();
    for (offset, first) in [
        (StreamOffset::At(i64::MIN), Some(0)),
        (StreamOffset::At(-1), Some(0)),
        (StreamOffset::At(29), Some(29)),
        (StreamOffset::At(30), None),
        (StreamOffset::At(i64::MAX), None),
        (StreamOffset::Timestamp(0), Some(0)),
        (StreamOffset::Timestamp(u64::MAX), None),
        (StreamOffset::SecondsAgo(u64::MAX), Some(0)),
    ] {
        let reader = bench.consume(offset, 100, None);
        let mut seen = Vec::new();
        bench.drain(&reader, &mut seen);
        assert_eq!(seen.first().copied(), first, "{offset:?}");
        bench.with(|stream, _, effects| stream.cancel(reader.0, effects));
    }
}

#[test]
fn a_filter_of_very_many_values_finds_what_one_value_would() {
    let values = |count: u32| (0..count).map(|value| format!("v{value}").into_bytes()).collect::<Vec<_>>();
    let few = Filter::new(values(10), false).unwrap();
    let many = Filter::new(values(20_000), false).unwrap();
    let with = |value: &str| {
        // Properties: headers with one long string.
        let header = b"x-stream-filter-value";
        let mut table = vec![header.len() as u8];
        table.extend_from_slice(header);
        table.push(b'S');
        table.extend_from_slice(&(value.len() as u32).to_be_bytes());
        table.extend_from_slice(value.as_bytes());
        let mut properties = vec![0x20, 0];
        properties.extend_from_slice(&(table.len() as u32).to_be_bytes());
        properties.extend_from_slice(&table);
        let parts = Parts {
            exchange: b"",
            routing_key: b"",
            properties: &properties,
            persistent: true,
            priority: 0,
            expiration: None,
            account: Account::UNCOUNTED,
        };
        Message::new(&parts, b"x", &mut Vec::new())
    };
    for (value, by_few, by_many) in
        [("v3", true, true), ("v10", false, true), ("v19999", false, true), ("v20000", false, false)]
    {
        let message = with(value);
        assert_eq!((few.wants(&message), many.wants(&message)), (by_few, by_many), "{value}");
        let chunk = ChunkFilter::of([&message].into_iter(), 16);
        assert!(many.may_want(&chunk), "{value}: all chunks with values are read");
        assert!(!by_few || few.may_want(&chunk));
    }
    let plain = ChunkFilter { has_unfiltered: true, ..ChunkFilter::default() };
    assert!(!many.may_want(&plain) && !few.may_want(&plain));
}
