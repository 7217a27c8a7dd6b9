//! Dead letters, times to live, lengths, priorities and quorum queues: chapter 7.

use crate::script::{Case, case};

pub fn cases() -> Vec<Case> {
    let mut cases = dead_letters();
    cases.extend(times());
    cases.extend(lengths());
    cases.extend(priorities());
    cases.extend(quorum());
    cases
}

/// A queue `%d` for what dies in `%q`, which has further arguments.
fn mortal(arguments: &str) -> String {
    format!(
        "> queue.declare queue=%d\n< queue.declare-ok %d 0 0\n{}",
        declared(&format!("x-dead-letter-exchange='' x-dead-letter-routing-key='%d' {arguments}"))
    )
}

fn declared(arguments: &str) -> String {
    format!("> queue.declare queue=%q arguments={{{arguments}}}\n< queue.declare-ok %q 0 0\n")
}

/// Publishes these, with properties, and has them confirmed.
fn put(messages: &[&str]) -> String {
    let publishes: String =
        messages.iter().map(|message| format!("a9> basic.publish key=%q {message}\n")).collect();
    let tags: Vec<String> = (1..=messages.len()).map(|tag| tag.to_string()).collect();
    format!("a9> confirm.select\na9< confirm.select-ok\n{publishes}a9< confirms ack {}\n", tags.join(" "))
}

fn dead_letters() -> Vec<Case> {
    let three = put(&["body=1", "body=2", "body=3"]);
    vec![
        case(
            "DLX-08 DLX-09",
            "they come in order, and as new ones",
            &format!(
                "{}{three}> basic.get queue=%q\n< get-ok tag=1 redelivered=false ex= rk=%q left=2 body=1
                 > basic.get queue=%q\n< get-ok tag=2 redelivered=false ex= rk=%q left=1 body=2
                 > basic.get queue=%q\n< get-ok tag=3 redelivered=false ex= rk=%q left=0 body=3
                 > basic.nack tag=3 multiple\n> basic.consume queue=%d tag=c no-ack\n< basic.consume-ok c
                 < deliver c tag=4 redelivered=false ex= rk=%d headers={{…}} body=1
                 < deliver c tag=5 redelivered=false ex= rk=%d headers={{…}} body=2
                 < deliver c tag=6 redelivered=false ex= rk=%d headers={{…}} body=3",
                mortal("")
            ),
        ),
        case(
            "DLX-06",
            "an exchange that is not there takes them away",
            &format!(
                "{}{}> basic.get queue=%q\n< get-ok tag=1 redelivered=false ex= rk=%q left=0 body=1\n> basic.reject tag=1
                 > basic.get queue=%q\n< get-empty",
                declared("x-dead-letter-exchange='%none'"),
                put(&["body=1"])
            ),
        ),
        case(
            "DLX-04 DLX-22",
            "without a key of the queue's they keep theirs",
            r#"> exchange.declare exchange=%x type=direct
               < exchange.declare-ok
               > queue.declare queue=%d
               < queue.declare-ok %d 0 0
               > queue.bind queue=%d exchange=%x key=%q
               < queue.bind-ok
               > queue.declare queue=%q arguments={x-dead-letter-exchange='%x'}
               < queue.declare-ok %q 0 0
               > basic.publish key=%q body=m
               > basic.get queue=%q
               < get-ok tag=1 redelivered=false ex= rk=%q left=0 body=m
               > basic.reject tag=1
               > basic.consume queue=%d tag=c no-ack
               < basic.consume-ok c
               < deliver c tag=2 redelivered=false ex=%x rk=%q headers={x-death=[{count=l1 exchange='' queue='%q' reason='rejected' routing-keys=['%q'] time=T…"#,
        ),
        case(
            "DLX-07",
            "the expiration becomes history",
            &format!(
                "{}> basic.consume queue=%d tag=c no-ack\n< basic.consume-ok c\n{}
                 < deliver c tag=1 redelivered=false ex= rk=%d headers={{x-death=[{{count=l1 exchange='' original-expiration='20' queue='%q' reason='expired' routing-keys=['%q'] time=T…}}…}} message-id=m body=x",
                mortal(""),
                put(&["expiration=20 message-id=m body=x"])
            ),
        ),
        case(
            "DLX-30",
            "one that expires into its own queue is gone",
            &format!(
                "{}{}> retry queue.declare queue=%q passive\n< queue.declare-ok %q 0 0",
                declared("x-dead-letter-exchange='' x-dead-letter-routing-key='%q'"),
                put(&["expiration=1 body=x"])
            ),
        ),
    ]
}

fn times() -> Vec<Case> {
    let gone = "> retry queue.declare queue=%q passive\n< queue.declare-ok %q 0 0";
    vec![
        case(
            "TTL-01",
            "the message's is shorter",
            &format!("{}{}{gone}", declared("x-message-ttl=I100000"), put(&["expiration=1 body=x"])),
        ),
        case(
            "TTL-01",
            "the queue's is shorter",
            &format!("{}{}{gone}", declared("x-message-ttl=I1"), put(&["expiration=100000 body=x"])),
        ),
        case(
            "TTL-02",
            "what is behind waits for the head, and is counted",
            &format!(
                "{}{}> queue.declare queue=%q passive\n< queue.declare-ok %q 2 0\n> basic.get queue=%q no-ack
                 < get-ok tag=1 redelivered=false ex= rk=%q left=0 body=1\n> basic.get queue=%q no-ack\n< get-empty",
                declared(""),
                put(&["body=1", "expiration=0 body=2"])
            ),
        ),
    ]
}

fn lengths() -> Vec<Case> {
    vec![
        case(
            "LEN-03",
            "a length of nothing passes on what a consumer takes",
            &format!(
                "{}> basic.consume queue=%q tag=c no-ack\n< basic.consume-ok c\n{}< deliver c tag=1 redelivered=false ex= rk=%q body=m",
                declared("x-max-length=I0"),
                put(&["body=m"])
            ),
        ),
        case(
            "LEN-04",
            "what comes back is the oldest, and goes",
            &format!(
                "{}{}> basic.get queue=%q\n< get-ok tag=1 redelivered=false ex= rk=%q left=0 body=1\na8> confirm.select\na8< confirm.select-ok
                 a8> basic.publish key=%q body=2\na8< confirms ack 1\n> basic.nack tag=1 requeue\n> basic.get queue=%q
                 < get-ok tag=2 redelivered=false ex= rk=%q left=0 body=2",
                declared("x-max-length=I1"),
                put(&["body=1"])
            ),
        ),
        case(
            "LEN-06",
            "what is refused dies",
            &format!(
                "{}> confirm.select\n< confirm.select-ok\n> basic.publish key=%q body=1\n< confirms ack 1
                 > basic.publish key=%q body=2\n< confirms nack 2\n> basic.consume queue=%d tag=c no-ack\n< basic.consume-ok c
                 < deliver c tag=1 redelivered=false ex= rk=%d headers={{x-death=[{{count=l1 exchange='' queue='%q' reason='maxlen' …",
                mortal("x-max-length=I1 x-overflow='reject-publish-dlx'")
            ),
        ),
        case(
            "LEN-07",
            "of a priority queue the highest goes first",
            &format!(
                "{}{}> basic.get queue=%q no-ack\n< get-ok tag=1 redelivered=false ex= rk=%q left=1 priority=5 body=5
                 > basic.get queue=%q no-ack\n< get-ok tag=2 redelivered=false ex= rk=%q left=0 priority=1 body=1",
                declared("x-max-priority=I10 x-max-length=I2"),
                put(&["priority=9 body=9", "priority=1 body=1", "priority=5 body=5"])
            ),
        ),
    ]
}

fn priorities() -> Vec<Case> {
    vec![case(
        "PRI-03",
        "what comes back is at the front of its level",
        &format!(
            "{}{}> basic.get queue=%q\n< get-ok tag=1 redelivered=false ex= rk=%q left=0 priority=5 body=a\na8> confirm.select
             a8< confirm.select-ok\na8> basic.publish key=%q priority=9 body=b\na8> basic.publish key=%q priority=5 body=c
             a8> basic.publish key=%q priority=1 body=d\na8< confirms ack 1 2 3\n> basic.nack tag=1 requeue
             > basic.consume queue=%q tag=c no-ack\n< basic.consume-ok c
             < deliver c tag=2 redelivered=false ex= rk=%q priority=9 body=b
             < deliver c tag=3 redelivered=true ex= rk=%q priority=5 body=a
             < deliver c tag=4 redelivered=false ex= rk=%q priority=5 body=c
             < deliver c tag=5 redelivered=false ex= rk=%q priority=1 body=d",
            declared("x-max-priority=I10"),
            put(&["priority=5 body=a"])
        ),
    )]
}

fn quorum() -> Vec<Case> {
    let queue = |arguments: &str| {
        format!(
            "> queue.declare queue=%q durable arguments={{x-queue-type='quorum' {arguments}}}\n< queue.declare-ok %q 0 0\n"
        )
    };
    vec![
        case(
            "QQ-03",
            "redelivered is what was out before",
            &format!(
                "{}{}> retry basic.get queue=%q\n< get-ok tag=1 redelivered=false ex= rk=%q left=0 …body=m\n> basic.reject tag=1 requeue
                 > retry basic.get queue=%q\n< get-ok tag=2 redelivered=true ex= rk=%q left=0 headers={{…x-delivery-count=l1…}} body=m",
                queue(""),
                put(&["body=m"])
            ),
        ),
        case(
            "QQ-06",
            "what came back comes in the order of its return",
            &format!(
                "{}{}> basic.get queue=%q\n< get-ok tag=1 …body=0\n> basic.get queue=%q\n< get-ok tag=2 …body=1\n> basic.get queue=%q\n< get-ok tag=3 …body=2
                 > basic.reject tag=1 requeue\n> basic.reject tag=3 requeue\n> basic.reject tag=2 requeue
                 > basic.get queue=%q no-ack\n< get-ok tag=4 redelivered=true …body=0\n> basic.get queue=%q no-ack\n< get-ok tag=5 redelivered=true …body=2
                 > basic.get queue=%q no-ack\n< get-ok tag=6 redelivered=true …body=1",
                queue(""),
                put(&["body=0", "body=1", "body=2"])
            ),
        ),
        case(
            "QQ-04 DLX-01",
            "so many times and not once more",
            &format!(
                "> queue.declare queue=%d\n< queue.declare-ok %d 0 0\n{}{}> basic.get queue=%q\n< get-ok tag=1 …body=m\n> basic.reject tag=1 requeue
                 > basic.get queue=%q\n< get-ok tag=2 …body=m\n> basic.reject tag=2 requeue\n> basic.get queue=%q\n< get-ok tag=3 …body=m
                 > basic.reject tag=3 requeue\n> basic.get queue=%q\n< get-empty\n> basic.consume queue=%d tag=c no-ack\n< basic.consume-ok c
                 < deliver c tag=4 redelivered=false ex= rk=%d headers={{…reason='delivery_limit'…",
                queue("x-delivery-limit=I2 x-dead-letter-exchange='' x-dead-letter-routing-key='%d'"),
                put(&["body=m"])
            ),
        ),
        case(
            "QUE-47 QQ-10",
            "refusing with dead letters is dropping from the head",
            &format!(
                "{}{}> basic.get queue=%q no-ack\n< get-ok tag=1 …body=2\n> basic.get queue=%q\n< get-empty",
                queue("x-max-length=I1 x-overflow='reject-publish-dlx'"),
                put(&["body=1", "body=2"])
            ),
        ),
        case(
            "QUE-53",
            "deleting one that is unused",
            &format!("{}> queue.delete queue=%q if-unused\n< queue.delete-ok 0", queue("")),
        ),
    ]
}
