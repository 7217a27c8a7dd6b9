//! Acknowledgement, requeue and recover: chapter 5.5, with what classic queues do when messages
//! come back or expire.

use crate::script::{Case, case};

pub fn cases() -> Vec<Case> {
    let mut cases = requeue();
    cases.extend(recover());
    cases.extend(limits());
    cases.extend(dead_letters());
    cases
}

/// Four messages in an own queue, all fetched.
fn fetched(ids: &str, title: &str, lines: &str) -> Case {
    let publishes: String = (0..4).map(|i| format!("> basic.publish key=%q body=m{i}\n")).collect();
    let gets: String = (0..4)
        .map(|i| {
            format!(
                "> basic.get queue=%q\n< get-ok tag={} redelivered=false ex= rk=%q left={} body=m{i}\n",
                i + 1,
                3 - i
            )
        })
        .collect();
    case(
        ids,
        title,
        &format!("> queue.declare queue=%q exclusive\n< queue.declare-ok %q 0 0\n{publishes}{gets}{lines}"),
    )
}

/// Fetches the given bodies in order, all redelivered, with the tags that follow `tag`.
fn again(channel: &str, tag: usize, bodies: &[&str]) -> String {
    let last = bodies.len() - 1;
    let get = |(i, body): (usize, &&str)| {
        format!(
            "\n{channel}> basic.get queue=%q\n{channel}< get-ok tag={} redelivered=true ex= rk=%q left={} body={body}",
            tag + i + 1,
            last - i
        )
    };
    bodies.iter().enumerate().map(get).collect()
}

fn requeue() -> Vec<Case> {
    vec![
        fetched(
            "BAS-63 BAS-96",
            "requeued out of order, back in order",
            &format!(
                "> basic.nack tag=4 requeue\n> basic.nack tag=1 requeue\n> basic.reject tag=3 requeue\n> basic.ack tag=2{}",
                again("", 4, &["m0", "m2", "m3"])
            ),
        ),
        fetched(
            "BAS-62 BAS-61",
            "nack multiple requeues all up to the tag",
            &format!("> basic.ack tag=4\n> basic.nack tag=3 multiple requeue{}", again("", 4, &["m0", "m1", "m2"])),
        ),
        fetched(
            "BAS-62",
            "nack and reject without requeue drop",
            &format!(
                "> basic.nack tag=1\n> basic.reject tag=2\n> basic.nack tag=3 requeue\n> basic.nack tag=4 requeue{}",
                again("", 4, &["m2", "m3"])
            ),
        ),
        fetched(
            "BAS-61",
            "ack multiple settles all up to the tag",
            &format!("> basic.ack tag=3 multiple\n> basic.nack tag=0 multiple requeue{}", again("", 4, &["m3"])),
        ),
        fetched(
            "BAS-63 CH-01",
            "closing the channel requeues in order",
            &format!("> basic.ack tag=2\n> channel.close code=200\n< channel.close-ok{}", again("a2", 0, &["m0", "m2", "m3"])),
        ),
        fetched(
            "BAS-63",
            "requeued messages are ahead of newer ones",
            "> basic.publish key=%q body=new\n> basic.nack tag=0 multiple requeue\n> basic.get queue=%q
             < get-ok tag=5 redelivered=true ex= rk=%q left=4 body=m0",
        ),
        fetched(
            "BAS-64",
            "redelivered to anyone",
            "> basic.nack tag=1 requeue\na2> basic.consume queue=%q tag=c\na2< basic.consume-ok c\na2< deliver c tag=1 redelivered=true ex= rk=%q body=m0",
        ),
        case(
            "BAS-66 BAS-44",
            "a requeued message may come back to the same consumer",
            "> queue.declare queue=%q exclusive\n< queue.declare-ok %q 0 0\n> basic.qos prefetch-count=1\n< basic.qos-ok\n> basic.consume queue=%q tag=c
             < basic.consume-ok c\n> basic.publish key=%q body=x\n< deliver c tag=1 redelivered=false ex= rk=%q body=x\n> basic.nack tag=1 requeue
             < deliver c tag=2 redelivered=true ex= rk=%q body=x\n> basic.reject tag=2 requeue\n< deliver c tag=3 redelivered=true ex= rk=%q body=x
             > basic.ack tag=3\n< quiet",
        ),
    ]
}

fn recover() -> Vec<Case> {
    vec![
        fetched(
            "BAS-65",
            "recover requeues gets and deliveries",
            &format!("> basic.ack tag=2\n> basic.recover requeue\n< basic.recover-ok{}", again("", 4, &["m0", "m2", "m3"])),
        ),
        case(
            "BAS-65",
            "recover delivers again to the same consumer, after recover-ok",
            "> queue.declare queue=%q exclusive\n< queue.declare-ok %q 0 0\n> basic.consume queue=%q tag=c\n< basic.consume-ok c\n> basic.publish key=%q body=x
             < deliver c tag=1 redelivered=false ex= rk=%q body=x\n> basic.recover requeue\n< basic.recover-ok\n< deliver c tag=2 redelivered=true ex= rk=%q body=x",
        ),
        fetched(
            "BAS-65",
            "recover-async has no reply",
            &format!("> basic.recover-async requeue{}", again("", 4, &["m0", "m1", "m2", "m3"])),
        ),
        case("BAS-65", "recover with nothing outstanding", "> basic.recover requeue\n< basic.recover-ok"),
    ]
}

/// Length and priority of classic queues.
fn limits() -> Vec<Case> {
    let declared = |arguments: &str| {
        format!("> queue.declare queue=%q exclusive arguments={{{arguments}}}\n< queue.declare-ok %q 0 0")
    };
    vec![
        case(
            "LEN-02",
            "drop-head keeps the newest",
            &format!(
                "{}\n> basic.publish key=%q body=m1\n> basic.publish key=%q body=m2\n> basic.publish key=%q body=m3
                 > basic.get queue=%q\n< get-ok tag=1 redelivered=false ex= rk=%q left=1 body=m2",
                declared("x-max-length=I2")
            ),
        ),
        case(
            "LEN-02 LEN-01",
            "max-length-bytes counts bodies, exactly at the limit is fine",
            &format!(
                "{}\n> confirm.select\n< confirm.select-ok\n> basic.publish key=%q message-id=not-counted body=12345\n> basic.publish key=%q body=67890
                 < confirms ack 1 2\n> queue.declare queue=%q passive\n< queue.declare-ok %q 2 0\n> basic.publish key=%q body=x\n< confirms ack 3\n> basic.get queue=%q
                 < get-ok tag=1 redelivered=false ex= rk=%q left=1 body=67890",
                declared("x-max-length-bytes=I10")
            ),
        ),
        case(
            "LEN-05 CNF-08",
            "reject-publish keeps the oldest and nacks",
            &format!(
                "{}\n> confirm.select\n< confirm.select-ok\n> basic.publish key=%q body=m1\n< confirms ack 1\n> basic.publish key=%q body=m2\n< confirms nack 2
                 > basic.get queue=%q\n< get-ok tag=1 redelivered=false ex= rk=%q left=0 body=m1",
                declared("x-max-length=I1 x-overflow='reject-publish'")
            ),
        ),
        case(
            "PRI-01 PRI-02",
            "higher priorities first, in order inside, above the maximum is the maximum",
            &format!(
                "{}\n> basic.publish key=%q priority=1 body=low\n> basic.publish key=%q body=none\n> basic.publish key=%q priority=5 body=top1
                 > basic.publish key=%q priority=9 body=top2\n> basic.get queue=%q no-ack\n< get-ok tag=1 redelivered=false ex= rk=%q left=3 priority=5 body=top1
                 > basic.get queue=%q no-ack\n< get-ok tag=2 redelivered=false ex= rk=%q left=2 priority=9 body=top2
                 > basic.get queue=%q no-ack\n< get-ok tag=3 redelivered=false ex= rk=%q left=1 priority=1 body=low
                 > basic.get queue=%q no-ack\n< get-ok tag=4 redelivered=false ex= rk=%q left=0 body=none",
                declared("x-max-priority=I5")
            ),
        ),
        case(
            "TTL-03",
            "time to live 0 without a consumer: routed, not returned, gone",
            &format!("{}\n> basic.publish key=%q mandatory body=x\n< quiet\n> basic.get queue=%q\n< get-empty", declared("x-message-ttl=I0")),
        ),
        case(
            "TTL-03",
            "time to live 0 with a ready consumer",
            &format!(
                "{}\n> basic.consume queue=%q tag=c\n< basic.consume-ok c\n> basic.publish key=%q body=x\n< deliver c tag=1 redelivered=false ex= rk=%q body=x",
                declared("x-message-ttl=I0")
            ),
        ),
    ]
}

fn dead_letters() -> Vec<Case> {
    let queues = |arguments: &str| {
        format!(
            "> queue.declare queue=%d exclusive\n< queue.declare-ok %d 0 0\na2> basic.consume queue=%d tag=d no-ack\na2< basic.consume-ok d
             > queue.declare queue=%q exclusive arguments={{x-dead-letter-exchange='' x-dead-letter-routing-key='%d' {arguments}}}\n< queue.declare-ok %q 0 0"
        )
    };
    // Shown sorted by key, whatever the order on the wire.
    let headers = |reason: &str| {
        format!(
            "headers={{x-death=[{{count=l1 exchange='' queue='%q' reason='{reason}' routing-keys=['%q'] time=T…}}] \
             x-first-death-exchange='' x-first-death-queue='%q' x-first-death-reason='{reason}' \
             x-last-death-exchange='' x-last-death-queue='%q' x-last-death-reason='{reason}'}}"
        )
    };
    let dead = |ids: &str, title: &str, arguments: &str, lines: &str, reason: &str| {
        let headers = headers(reason);
        case(
            ids,
            title,
            &format!(
                "{}\n{lines}\na2< deliver d tag=1 redelivered=false ex= rk=%d {headers} body=x",
                queues(arguments)
            ),
        )
    };
    vec![
        dead(
            "DLX-20 DLX-21 DLX-23 DLX-24 VER-11",
            "a rejected message",
            "",
            "> basic.publish key=%q body=x\n> basic.get queue=%q\n< get-ok tag=1 redelivered=false ex= rk=%q left=0 body=x\n> basic.reject tag=1",
            "rejected",
        ),
        dead(
            "DLX-01 DLX-24 TTL-03",
            "an expired message",
            "x-message-ttl=I0",
            "> basic.publish key=%q body=x",
            "expired",
        ),
        dead(
            "DLX-01 DLX-24 LEN-02",
            "a message pushed out",
            "x-max-length=I1",
            "> basic.publish key=%q body=x\n> basic.publish key=%q body=y",
            "maxlen",
        ),
    ]
}
