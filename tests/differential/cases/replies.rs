//! Direct reply-to and order: chapters 5.7 and 5.8.

use crate::script::{Case, case};

/// A requester on channel 1 of `a` and a responder's queue on `b`, which has got the request.
const REQUEST: &str = "b> queue.declare queue=%q exclusive\nb< queue.declare-ok %q 0 0\nb> basic.consume queue=%q tag=srv no-ack\nb< basic.consume-ok srv
> basic.consume queue=amq.rabbitmq.reply-to tag=r no-ack\n< basic.consume-ok r
> basic.publish key=%q reply-to=amq.rabbitmq.reply-to correlation-id=1 body=ask
b< deliver srv tag=1 redelivered=false ex= rk=%q correlation-id=1 reply-to=%reply body=ask";

pub fn cases() -> Vec<Case> {
    let mut cases = consumers();
    cases.extend(answers());
    cases.extend(names());
    cases.extend(order());
    cases
}

fn asked(ids: &str, title: &str, lines: &str) -> Case {
    case(ids, title, &format!("{REQUEST}\n{lines}"))
}

fn consumers() -> Vec<Case> {
    vec![
        case(
            "BAS-80",
            "a generated tag",
            "> basic.consume queue=amq.rabbitmq.reply-to no-ack\n< basic.consume-ok %ctag",
        ),
        case(
            "BAS-80",
            "acks are not possible",
            r#"> basic.consume queue=amq.rabbitmq.reply-to tag=r
               < chan 406 "PRECONDITION_FAILED - reply consumer cannot acknowledge" (60,20)"#,
        ),
        case(
            "BAS-80",
            "one per channel",
            r#"> basic.consume queue=amq.rabbitmq.reply-to tag=r no-ack
               < basic.consume-ok r
               > basic.consume queue=amq.rabbitmq.reply-to tag=s no-ack
               < chan 406 "PRECONDITION_FAILED - reply consumer already set" (60,20)"#,
        ),
        case(
            "BAS-80",
            "again after a cancel, and exclusive is ignored",
            "> basic.consume queue=amq.rabbitmq.reply-to tag=r no-ack exclusive\n< basic.consume-ok r\n> basic.cancel tag=r\n< basic.cancel-ok r
             > basic.consume queue=amq.rabbitmq.reply-to tag=r no-ack\n< basic.consume-ok r",
        ),
        case(
            "BAS-81 CH-71",
            "the consumer of another channel does not count",
            "> basic.consume queue=amq.rabbitmq.reply-to tag=r no-ack\n< basic.consume-ok r\na2> basic.publish key=%q reply-to=amq.rabbitmq.reply-to body=x
             a2< chan 406 \"PRECONDITION_FAILED - fast reply consumer does not exist\" (60,40)",
        ),
    ]
}

fn answers() -> Vec<Case> {
    vec![
        asked(
            "BAS-81 BAS-82 BAS-83",
            "request and reply",
            "b> basic.publish key=%reply correlation-id=1 body=answer\n< deliver r tag=1 redelivered=false ex= rk=%reply correlation-id=1 body=answer",
        ),
        asked(
            "BAS-82",
            "the name stays the same for the consumer",
            "> basic.publish key=%q reply-to=amq.rabbitmq.reply-to body=more\nb< deliver srv tag=2 redelivered=false ex= rk=%q reply-to=%reply body=more",
        ),
        asked(
            "BAS-84",
            "a reply to a cancelled consumer is dropped and confirmed",
            "> basic.cancel tag=r\n< basic.cancel-ok r\nb> confirm.select\nb< confirm.select-ok\nb> basic.publish key=%reply body=late\nb< confirms ack 1\n< quiet",
        ),
        asked(
            "BAS-85",
            "a mandatory reply to nobody is returned",
            "> channel.close code=200\n< channel.close-ok\nb> basic.publish key=%reply mandatory body=late\nb< return 312 \"NO_ROUTE\" ex= rk=%reply body=late",
        ),
        asked(
            "BAS-85 VER-27 QRK-13",
            "a mandatory reply that arrives is not returned",
            "b> basic.publish key=%reply mandatory body=answer\n< deliver r tag=1 redelivered=false ex= rk=%reply body=answer\nb< quiet",
        ),
        asked(
            "BAS-86",
            "other exchanges do not reach it",
            "b> basic.publish exchange=amq.direct key=%reply mandatory body=x\nb< return 312 \"NO_ROUTE\" ex=amq.direct rk=%reply body=x",
        ),
        asked(
            "BAS-89",
            "prefetch does not apply",
            "> basic.qos prefetch-count=1\n< basic.qos-ok\nb> basic.publish key=%reply body=m1\nb> basic.publish key=%reply body=m2
             < deliver r tag=1 redelivered=false ex= rk=%reply body=m1\n< deliver r tag=2 redelivered=false ex= rk=%reply body=m2",
        ),
    ]
}

fn names() -> Vec<Case> {
    vec![
        asked(
            "BAS-87",
            "declare tells that the requester is alive",
            "b> queue.declare queue=%reply\nb< queue.declare-ok %reply 0 1",
        ),
        asked(
            "BAS-87",
            "passive declare too",
            "b> queue.declare queue=%reply passive\nb< queue.declare-ok %reply 0 1",
        ),
        asked(
            "BAS-87",
            "declare tells that the requester is gone",
            "> channel.close code=200\n< channel.close-ok\nb> queue.declare queue=%reply passive\nb< chan 404 \"NOT_FOUND - no queue '%reply' in vhost '/'\" (50,10)",
        ),
        case(
            "BAS-87",
            "the bare name is always there",
            "> queue.declare queue=amq.rabbitmq.reply-to passive\n< queue.declare-ok amq.rabbitmq.reply-to 0 1",
        ),
        case(
            "BAS-87 QRK-03",
            "a malformed name is not",
            "> queue.declare queue=amq.rabbitmq.reply-to.bogus passive\n< chan 404 \"NOT_FOUND - no queue 'amq.rabbitmq.reply-to.bogus' in vhost '/'\" (50,10)",
        ),
        asked(
            "BAS-86 VER-28",
            "a reply name cannot be bound",
            "b> queue.bind queue=%reply exchange=amq.direct key=k\nb< chan 403 \"ACCESS_REFUSED - cannot bind or unbind to a volatile (direct reply-to) queue\" (50,20)",
        ),
        asked(
            "BAS-88",
            "a reply name cannot be consumed from",
            "b> basic.consume queue=%reply tag=x no-ack\nb< chan 404 \"NOT_FOUND - no queue '%reply' in vhost '/'\" (60,20)",
        ),
        asked(
            "BAS-88",
            "deleting a reply name does nothing",
            "b> queue.delete queue=%reply\nb< queue.delete-ok 0",
        ),
        case(
            "BAS-88",
            "the bare name has nothing to get",
            "> basic.get queue=amq.rabbitmq.reply-to\n< chan 404 \"NOT_FOUND - no queue 'amq.rabbitmq.reply-to' in vhost '/'\" (60,70)",
        ),
    ]
}

fn order() -> Vec<Case> {
    let publishes: String = (1..=50).map(|i| format!("b> basic.publish key=%q body=m{i}\n")).collect();
    let deliveries: String =
        (1..=50).map(|i| format!("\n< deliver c tag={i} redelivered=false ex= rk=%q body=m{i}")).collect();
    vec![
        case(
            "BAS-95",
            "fifty messages stay in order",
            &format!("> queue.declare queue=%q\n< queue.declare-ok %q 0 0\n> basic.consume queue=%q tag=c\n< basic.consume-ok c\n{publishes}{deliveries}"),
        ),
        case(
            "BAS-97",
            "what is confirmed is ahead of what is published later",
            "> queue.declare queue=%q exclusive\n< queue.declare-ok %q 0 0\nb> confirm.select\nb< confirm.select-ok\nb> basic.publish key=%q body=first
             b< confirms ack 1\na2> basic.publish key=%q body=second\na2> basic.get queue=%q no-ack
             a2< get-ok tag=1 redelivered=false ex= rk=%q left=1 body=first",
        ),
        case(
            "BAS-98",
            "nothing comes after the cancel-ok",
            "> queue.declare queue=%q exclusive\n< queue.declare-ok %q 0 0\n> basic.consume queue=%q tag=c\n< basic.consume-ok c\na2> basic.publish key=%q body=m1
             < deliver c tag=1 redelivered=false ex= rk=%q body=m1\n> basic.cancel tag=c\n> basic.publish key=%q body=m2\n< basic.cancel-ok c
             > basic.get queue=%q\n< get-ok tag=2 redelivered=false ex= rk=%q left=0 body=m2",
        ),
    ]
}
