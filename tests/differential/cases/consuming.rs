//! Consumers, prefetch and get: chapters 5.2 to 5.4.

use crate::script::{Case, case};

/// An own queue to begin with.
const QUEUE: &str = "> queue.declare queue=%q exclusive\n< queue.declare-ok %q 0 0";

pub fn cases() -> Vec<Case> {
    let mut cases = consume();
    cases.extend(sharing());
    cases.extend(cancel());
    cases.extend(qos());
    cases.extend(get());
    cases
}

fn queued(ids: &str, title: &str, lines: &str) -> Case {
    case(ids, title, &format!("{QUEUE}\n{lines}"))
}

/// Publishes `m1` to `m{count}` and waits until the queue has them all.
fn filled(count: u32) -> String {
    let publishes: String = (1..=count).map(|i| format!("a9> basic.publish key=%q body=m{i}\n")).collect();
    let tags: String = (1..=count).map(|i| format!(" {i}")).collect();
    format!("a9> confirm.select\na9< confirm.select-ok\n{publishes}a9< confirms ack{tags}")
}

fn consume() -> Vec<Case> {
    vec![
        queued(
            "BAS-20",
            "consume-ok comes before the first delivery",
            &format!(
                "{}\n> basic.consume queue=%q tag=c\n< basic.consume-ok c\n< deliver c tag=1 redelivered=false ex= rk=%q body=m1
                 < deliver c tag=2 redelivered=false ex= rk=%q body=m2",
                filled(2)
            ),
        ),
        queued(
            "BAS-21",
            "a generated tag",
            "> basic.consume queue=%q\n< basic.consume-ok %ctag\n> basic.publish key=%q body=x\n< deliver %ctag tag=1 redelivered=false ex= rk=%q body=x",
        ),
        queued(
            "BAS-21",
            "a generated tag that is not told",
            "> basic.consume queue=%q nowait\n> basic.publish key=%q body=x\n< deliver amq.ctag-… tag=1 redelivered=false ex= rk=%q body=x",
        ),
        queued(
            "BAS-21 WIR-70",
            "a tag of 255 octets",
            &format!("> basic.consume queue=%q tag={0}\n< basic.consume-ok {0}\n> basic.cancel tag={0}\n< basic.cancel-ok {0}", "t".repeat(255)),
        ),
        queued(
            "BAS-22",
            "no-local is ignored",
            "> basic.consume queue=%q tag=c no-local\n< basic.consume-ok c\n> basic.publish key=%q body=x\n< deliver c tag=1 redelivered=false ex= rk=%q body=x",
        ),
        queued(
            "BAS-23",
            "no-ack: tags grow, prefetch does not apply",
            "> basic.qos prefetch-count=1\n< basic.qos-ok\n> basic.consume queue=%q tag=c no-ack\n< basic.consume-ok c
             > basic.publish key=%q body=m1\n> basic.publish key=%q body=m2\n< deliver c tag=1 redelivered=false ex= rk=%q body=m1
             < deliver c tag=2 redelivered=false ex= rk=%q body=m2\n> channel.close code=200\n< channel.close-ok\na2> basic.get queue=%q\na2< get-empty",
        ),
        queued(
            "WIR-04",
            "an empty message and a large one are delivered",
            "> basic.consume queue=%q tag=c\n< basic.consume-ok c\na2> basic.publish key=%q\na2> basic.publish key=%q body=150000*z
             < deliver c tag=1 redelivered=false ex= rk=%q body=\n< deliver c tag=2 redelivered=false ex= rk=%q body=150000*z frames=131064+18936",
        ),
    ]
}

fn sharing() -> Vec<Case> {
    vec![
        queued(
            "BAS-27",
            "round robin over three consumers",
            "> basic.consume queue=%q tag=A\n< basic.consume-ok A\na2> basic.consume queue=%q tag=B\na2< basic.consume-ok B
             a3> basic.consume queue=%q tag=C\na3< basic.consume-ok C\na4> basic.publish key=%q body=m1\na4> basic.publish key=%q body=m2
             a4> basic.publish key=%q body=m3\na4> basic.publish key=%q body=m4\na4> basic.publish key=%q body=m5
             # The order between channels is free, who gets what is not.
             a1<~ deliver A tag=1 redelivered=false ex= rk=%q body=m1\na2<~ deliver B tag=1 redelivered=false ex= rk=%q body=m2
             a3<~ deliver C tag=1 redelivered=false ex= rk=%q body=m3\na1<~ deliver A tag=2 redelivered=false ex= rk=%q body=m4
             a2<~ deliver B tag=2 redelivered=false ex= rk=%q body=m5",
        ),
        queued(
            "BAS-27 BAS-40",
            "a consumer at its prefetch limit is skipped",
            "> basic.qos prefetch-count=1\n< basic.qos-ok\n> basic.consume queue=%q tag=A\n< basic.consume-ok A\n> basic.qos prefetch-count=0\n< basic.qos-ok
             a3> basic.consume queue=%q tag=B\na3< basic.consume-ok B\na2> basic.publish key=%q body=m1\na2> basic.publish key=%q body=m2\na2> basic.publish key=%q body=m3
             a1<~ deliver A tag=1 redelivered=false ex= rk=%q body=m1\na3<~ deliver B tag=1 redelivered=false ex= rk=%q body=m2
             a3<~ deliver B tag=2 redelivered=false ex= rk=%q body=m3",
        ),
        queued(
            "BAS-25 BAS-26",
            "the higher priority gets everything while it has room",
            "> basic.qos prefetch-count=2\n< basic.qos-ok\n> basic.consume queue=%q tag=low arguments={x-priority=I-1}\n< basic.consume-ok low
             a3> basic.qos prefetch-count=2\na3< basic.qos-ok\na3> basic.consume queue=%q tag=high arguments={x-priority=I5}\na3< basic.consume-ok high
             a2> basic.publish key=%q body=m1\na2> basic.publish key=%q body=m2\na2> basic.publish key=%q body=m3
             a3<~ deliver high tag=1 redelivered=false ex= rk=%q body=m1\na3<~ deliver high tag=2 redelivered=false ex= rk=%q body=m2
             a1<~ deliver low tag=1 redelivered=false ex= rk=%q body=m3",
        ),
        case(
            "BAS-30",
            "single active consumer: the next takes over when the first is cancelled",
            "> queue.declare queue=%q exclusive arguments={x-single-active-consumer=t1}\n< queue.declare-ok %q 0 0
             > basic.consume queue=%q tag=A\n< basic.consume-ok A\n> basic.consume queue=%q tag=B\n< basic.consume-ok B
             > basic.publish key=%q body=m1\n< deliver A tag=1 redelivered=false ex= rk=%q body=m1
             > basic.publish key=%q body=m2\n< deliver A tag=2 redelivered=false ex= rk=%q body=m2\n> basic.cancel tag=A\n< basic.cancel-ok A
             > basic.publish key=%q body=m3\n< deliver B tag=3 redelivered=false ex= rk=%q body=m3\n> basic.ack tag=3 multiple\n< quiet",
        ),
        case(
            "BAS-30 CH-61",
            "an exclusive consumer on a single-active-consumer queue",
            "> queue.declare queue=%q exclusive arguments={x-single-active-consumer=t1}\n< queue.declare-ok %q 0 0
             > basic.consume queue=%q tag=A exclusive\n< chan 403 \"ACCESS_REFUSED - queue '%q' in vhost '/' in exclusive use\" (60,20)",
        ),
        case(
            "BAS-30 BAS-51",
            "get on a classic single-active-consumer queue",
            "> queue.declare queue=%q exclusive arguments={x-single-active-consumer=t1}\n< queue.declare-ok %q 0 0
             > basic.publish key=%q body=x\n> basic.get queue=%q\n< get-ok tag=1 redelivered=false ex= rk=%q left=0 body=x",
        ),
    ]
}

fn cancel() -> Vec<Case> {
    vec![
        queued(
            "BAS-28",
            "after cancel-ok nothing comes, what is unacked stays so",
            &format!(
                "> basic.qos prefetch-count=1\n< basic.qos-ok\n{}\n> basic.consume queue=%q tag=c\n< basic.consume-ok c
                 < deliver c tag=1 redelivered=false ex= rk=%q body=m1\n> basic.cancel tag=c\n< basic.cancel-ok c\n> basic.ack tag=1\n< quiet
                 > basic.get queue=%q\n< get-ok tag=2 redelivered=false ex= rk=%q left=0 body=m2",
                filled(2)
            ),
        ),
        queued(
            "BAS-28",
            "a cancelled tag can be used again",
            "> basic.consume queue=%q tag=c\n< basic.consume-ok c\n> basic.cancel tag=c\n< basic.cancel-ok c\n> basic.consume queue=%q tag=c\n< basic.consume-ok c",
        ),
        queued(
            "BAS-32 VER-29",
            "a client's cancel-ok",
            "> basic.consume queue=%q tag=c\n< basic.consume-ok c\n> queue.delete queue=%q\n< queue.delete-ok 0\n< basic.cancel c true
             > basic.cancel-ok tag=c\n< quiet",
        ),
    ]
}

fn qos() -> Vec<Case> {
    vec![
        queued(
            "BAS-40",
            "a new limit is for later consumers",
            &format!(
                "> basic.qos prefetch-count=1\n< basic.qos-ok\n{}\n> basic.consume queue=%q tag=A\n< basic.consume-ok A
                 < deliver A tag=1 redelivered=false ex= rk=%q body=m1\n> basic.qos prefetch-count=2\n< basic.qos-ok\n< quiet
                 > basic.consume queue=%q tag=B\n< basic.consume-ok B\n< deliver B tag=2 redelivered=false ex= rk=%q body=m2
                 < deliver B tag=3 redelivered=false ex= rk=%q body=m3\n> basic.get queue=%q no-ack\n< get-ok tag=4 redelivered=false ex= rk=%q left=0 body=m4",
                filled(4)
            ),
        ),
        queued(
            "BAS-40 BAS-68",
            "an ack makes room",
            &format!(
                "> basic.qos prefetch-count=2\n< basic.qos-ok\n{}\n> basic.consume queue=%q tag=A\n< basic.consume-ok A
                 < deliver A tag=1 redelivered=false ex= rk=%q body=m1\n< deliver A tag=2 redelivered=false ex= rk=%q body=m2
                 > basic.ack tag=2\n< deliver A tag=3 redelivered=false ex= rk=%q body=m3\n> basic.ack tag=3 multiple
                 < deliver A tag=4 redelivered=false ex= rk=%q body=m4\n< deliver A tag=5 redelivered=false ex= rk=%q body=m5",
                filled(5)
            ),
        ),
        queued(
            "BAS-41 VER-19",
            "a global limit is shared and takes effect at once",
            &format!(
                "> basic.qos prefetch-count=2 global\n< basic.qos-ok\n{}\n> basic.consume queue=%q tag=A\n< basic.consume-ok A
                 < deliver A tag=1 redelivered=false ex= rk=%q body=m1\n< deliver A tag=2 redelivered=false ex= rk=%q body=m2
                 > basic.consume queue=%q tag=B\n< basic.consume-ok B\n< quiet\n> basic.qos prefetch-count=3 global\n<~ basic.qos-ok
                 <~ deliver … tag=3 redelivered=false ex= rk=%q body=m3\n< quiet\n> basic.get queue=%q no-ack
                 < get-ok tag=4 redelivered=false ex= rk=%q left=0 body=m4",
                filled(4)
            ),
        ),
        queued(
            "BAS-41",
            "a global limit of 0 removes it",
            &format!(
                "> basic.qos prefetch-count=1 global\n< basic.qos-ok\n{}\n> basic.consume queue=%q tag=A\n< basic.consume-ok A
                 < deliver A tag=1 redelivered=false ex= rk=%q body=m1\n> basic.qos global\n<~ basic.qos-ok
                 <~ deliver A tag=2 redelivered=false ex= rk=%q body=m2\n<~ deliver A tag=3 redelivered=false ex= rk=%q body=m3",
                filled(3)
            ),
        ),
        queued(
            "BAS-42 WIR-73",
            "the largest prefetch-count",
            "> basic.qos prefetch-count=65535\n< basic.qos-ok\n> basic.consume queue=%q tag=c\n< basic.consume-ok c",
        ),
    ]
}

fn get() -> Vec<Case> {
    vec![
        queued("BAS-50", "get from an empty queue", "> basic.get queue=%q\n< get-empty"),
        queued(
            "BAS-50 BAS-42",
            "get-ok counts the ready messages left, and is never limited",
            &format!(
                "> basic.qos prefetch-count=1\n< basic.qos-ok\n{}\n> basic.get queue=%q\n< get-ok tag=1 redelivered=false ex= rk=%q left=2 body=m1
                 > basic.get queue=%q\n< get-ok tag=2 redelivered=false ex= rk=%q left=1 body=m2\n> basic.get queue=%q
                 < get-ok tag=3 redelivered=false ex= rk=%q left=0 body=m3",
                filled(3)
            ),
        ),
        queued(
            "BAS-51 BAS-60",
            "gets and deliveries share one sequence of tags",
            "> basic.publish key=%q body=m1\n> basic.get queue=%q\n< get-ok tag=1 redelivered=false ex= rk=%q left=0 body=m1
             > basic.consume queue=%q tag=c\n< basic.consume-ok c\n> basic.publish key=%q body=m2\n< deliver c tag=2 redelivered=false ex= rk=%q body=m2
             > basic.ack tag=2 multiple\n< quiet",
        ),
        queued(
            "BAS-50",
            "a no-ack get settles at once but takes a tag",
            "> basic.publish key=%q body=m1\n> basic.publish key=%q body=m2\n> basic.get queue=%q no-ack\n< get-ok tag=1 redelivered=false ex= rk=%q left=1 body=m1
             > basic.get queue=%q\n< get-ok tag=2 redelivered=false ex= rk=%q left=0 body=m2\n> basic.ack tag=1
             < chan 406 \"PRECONDITION_FAILED - unknown delivery tag 1\" (60,80)",
        ),
    ]
}
