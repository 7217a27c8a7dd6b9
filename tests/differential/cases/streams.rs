//! Streams: chapter 7.8. Messages are published one by one, each confirmed before the next, so that each is a
//! chunk of RabbitMQ's.

use crate::script::{Case, case};

const STREAM: &str =
    "> queue.declare queue=%q durable arguments={x-queue-type='stream'}\n< queue.declare-ok %q 0 0\n";

pub fn cases() -> Vec<Case> {
    let mut cases = offsets();
    cases.extend(refusals());
    cases.extend(settling());
    cases
}

fn stream(ids: &str, title: &str, lines: &str) -> Case {
    case(ids, title, &format!("{STREAM}{lines}"))
}

/// Publishes `m0` to `m{count - 1}`, each a chunk of its own.
fn filled(count: u32) -> String {
    let publishes: String = (0..count)
        .map(|number| format!("a9> basic.publish key=%q body=m{number}\na9< confirms ack {}\n", number + 1))
        .collect();
    format!(
        "a9> confirm.select\na9< confirm.select-ok\n{publishes}> basic.qos prefetch-count=10\n< basic.qos-ok\n"
    )
}

/// A start in a stream of three messages, and the first that is read from there.
fn starts_at(title: &str, argument: &str, number: u32) -> Case {
    let rest: String = (number..3)
        .enumerate()
        .map(|(index, number)| {
            format!("\n< deliver c tag={} redelivered=false ex= rk=%q headers={{x-stream-offset=l{number}}} body=m{number}", index + 1)
        })
        .collect();
    let consume = format!(
        "> basic.consume queue=%q tag=c arguments={{x-stream-offset={argument}}}\n< basic.consume-ok c"
    );
    stream("STR-05 STR-06", title, &format!("{}{consume}{rest}", filled(3)))
}

fn offsets() -> Vec<Case> {
    vec![
        starts_at("the oldest message", "'first'", 0),
        starts_at("the last chunk", "'last'", 2),
        starts_at("an offset", "l1", 1),
        starts_at("a short offset", "s1", 1),
        starts_at("an offset below the oldest", "l-5", 0),
        starts_at("a time before the log", "T1", 0),
        starts_at("an interval", "'1h'", 0),
        stream(
            "STR-05",
            "only what is written after, and beyond the end",
            &format!(
                "{}> basic.consume queue=%q tag=c\n< basic.consume-ok c\na2> basic.qos prefetch-count=1\na2< basic.qos-ok
                 a2> basic.consume queue=%q tag=d arguments={{x-stream-offset=l3}}\na2< basic.consume-ok d\n< quiet\na9> basic.publish key=%q body=m3\na9< confirms ack 4
                 <~ deliver c tag=1 redelivered=false ex= rk=%q headers={{x-stream-offset=l3}} body=m3
                 a2<~ deliver d tag=1 redelivered=false ex= rk=%q headers={{x-stream-offset=l3}} body=m3",
                filled(3)
            ),
        ),
        stream(
            "STR-05 QRK-03",
            "no offset at all",
            r#"> basic.qos prefetch-count=1
               < basic.qos-ok
               > basic.consume queue=%q tag=c arguments={x-stream-offset='bogus'}
               < chan 406 "PRECONDITION_FAILED - invalid arg 'x-stream-offset' for queue '%q' in vhost '/': {invalid_stream_offset_arg,{longstr,<<"bogus">>}}" (60,20)"#,
        ),
    ]
}

fn refusals() -> Vec<Case> {
    vec![
        stream(
            "STR-03",
            "consuming without prefetch",
            r#"> basic.consume queue=%q tag=c
               < chan 406 "PRECONDITION_FAILED - consumer prefetch count is not set for stream queue '%q' in vhost '/'" (60,20)"#,
        ),
        stream(
            "STR-04",
            "consuming without acknowledgements",
            r#"> basic.qos prefetch-count=1
               < basic.qos-ok
               > basic.consume queue=%q tag=c no-ack
               < conn 540 "NOT_IMPLEMENTED - automatic acknowledgement not supported by stream queue '%q' in vhost '/'" (60,20)"#,
        ),
        stream(
            "BAS-43",
            "a limit for the channel",
            r#"> basic.qos prefetch-count=1
               < basic.qos-ok
               > basic.qos prefetch-count=1 global
               < basic.qos-ok
               > basic.consume queue=%q tag=c
               < conn 540 "NOT_IMPLEMENTED - queue '%q' in vhost '/' does not support global qos" (60,20)"#,
        ),
        stream(
            "BAS-52",
            "getting",
            r#"> basic.get queue=%q
               < conn 540 "NOT_IMPLEMENTED - basic.get not supported by stream queues queue '%q' in vhost '/'" (60,70)"#,
        ),
        stream(
            "STR-04",
            "purging",
            r#"> queue.purge queue=%q
               < conn 540 "NOT_IMPLEMENTED - queue.purge not supported by stream queues queue '%q' in vhost '/'" (50,30)"#,
        ),
        stream(
            "STR-12 CH-78",
            "a priority",
            r#"> basic.qos prefetch-count=1
               < basic.qos-ok
               > basic.consume queue=%q tag=c arguments={x-priority=I1}
               < chan 406 "PRECONDITION_FAILED - invalid arg 'x-priority' for queue '%q' in vhost '/' of queue type rabbit_stream_queue" (60,20)"#,
        ),
        stream(
            "STR-12",
            "two exclusive consumers",
            "> basic.qos prefetch-count=1\n< basic.qos-ok\n> basic.consume queue=%q tag=c exclusive\n< basic.consume-ok c
             > basic.consume queue=%q tag=d exclusive\n< basic.consume-ok d",
        ),
        stream(
            "QUE-54",
            "deleting what is not empty",
            &format!("{}> queue.delete queue=%q if-unused if-empty\n< queue.delete-ok 0", filled(1)),
        ),
        stream(
            "QUE-61 QUE-64",
            "a redeclare with another segment size",
            r#"> queue.declare queue=%q durable arguments={x-queue-type='stream' x-stream-max-segment-size-bytes=I5000}
               < chan 406 "PRECONDITION_FAILED - inequivalent arg 'x-stream-max-segment-size-bytes' for queue '%q' in vhost '/': received the value '5000' of type 'signedint' but current is none" (50,10)"#,
        ),
    ]
}

fn settling() -> Vec<Case> {
    vec![
        stream(
            "STR-02 STR-07 STR-13",
            "another consumer reads it again",
            &format!(
                "{}> basic.consume queue=%q tag=c arguments={{x-stream-offset='first'}}\n< basic.consume-ok c
                 < deliver c tag=1 redelivered=false ex= rk=%q headers={{x-stream-offset=l0}} body=m0
                 > basic.ack tag=1\n> basic.cancel tag=c\n< basic.cancel-ok c
                 > basic.consume queue=%q tag=d arguments={{x-stream-offset='first'}}\n< basic.consume-ok d
                 < deliver d tag=2 redelivered=false ex= rk=%q headers={{x-stream-offset=l0}} body=m0",
                filled(1)
            ),
        ),
        stream(
            "STR-09",
            "the count of messages",
            &format!("{}> queue.declare queue=%q passive\n< queue.declare-ok %q 2 0", filled(2)),
        ),
    ]
}
