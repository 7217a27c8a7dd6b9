//! What consumers, acks, publishes and modes are refused for: chapter 2.5.

use crate::script::{Case, case};

/// An own queue to begin with.
const QUEUE: &str = "> queue.declare queue=%q exclusive\n< queue.declare-ok %q 0 0";

pub fn cases() -> Vec<Case> {
    let mut cases = consumers();
    cases.extend(tags());
    cases.extend(publish());
    cases.extend(expiration());
    cases.extend(modes());
    cases
}

/// A case that starts with an own queue.
fn queued(ids: &str, title: &str, lines: &str) -> Case {
    case(ids, title, &format!("{QUEUE}\n{lines}"))
}

fn consumers() -> Vec<Case> {
    let in_use = r#"chan 403 "ACCESS_REFUSED - queue '%q' in vhost '/' in exclusive use" (60,20)"#;
    vec![
        queued(
            "CH-60",
            "a consumer tag twice on a channel",
            r#"> basic.consume queue=%q tag=c
               < basic.consume-ok c
               > basic.consume queue=%q tag=c
               a0< conn 530 "NOT_ALLOWED - attempt to reuse consumer tag 'c'" (60,20)"#,
        ),
        queued(
            "CH-60",
            "a consumer tag on two channels",
            "> basic.consume queue=%q tag=c\n< basic.consume-ok c\na2> basic.consume queue=%q tag=c\na2< basic.consume-ok c",
        ),
        queued(
            "CH-61",
            "exclusive consume while there is a consumer",
            &format!("> basic.consume queue=%q tag=c\n< basic.consume-ok c\na2> basic.consume queue=%q exclusive\na2< {in_use}"),
        ),
        queued(
            "CH-61 BAS-24",
            "consume while there is an exclusive consumer, until it is cancelled",
            &format!(
                "> basic.consume queue=%q tag=c exclusive\n< basic.consume-ok c\na2> basic.consume queue=%q tag=d\na2< {in_use}
                 > basic.cancel tag=c\n< basic.cancel-ok c\na3> basic.consume queue=%q tag=d\na3< basic.consume-ok d"
            ),
        ),
        queued(
            "CH-61 BAS-51",
            "get while there is an exclusive consumer",
            "> basic.qos prefetch-count=1\n< basic.qos-ok\n> basic.consume queue=%q tag=c exclusive\n< basic.consume-ok c
             > basic.publish key=%q body=m1\n< deliver c tag=1 redelivered=false ex= rk=%q body=m1
             > basic.publish key=%q body=m2\n> basic.get queue=%q\n< get-ok tag=2 redelivered=false ex= rk=%q left=0 body=m2",
        ),
        queued("CH-65", "cancel of an unknown tag", "> basic.cancel tag=nobody\n< basic.cancel-ok nobody"),
        queued(
            "CH-77",
            "consumer priority that is no integer",
            r#"> basic.consume queue=%q arguments={x-priority='high'}
               < chan 406 "PRECONDITION_FAILED - invalid arg 'x-priority' for queue '%q' in vhost '/': "expected integer, got longstr"" (60,20)"#,
        ),
        queued(
            "CH-78",
            "a stream's consumer argument",
            r#"> basic.consume queue=%q arguments={x-stream-offset='first'}
               < chan 406 "PRECONDITION_FAILED - invalid arg 'x-stream-offset' for queue '%q' in vhost '/' of queue type rabbit_classic_queue" (60,20)"#,
        ),
        queued(
            "CH-78",
            "unknown consumer arguments",
            "> basic.consume queue=%q tag=c arguments={x-what='ever' foo=I1}\n< basic.consume-ok c",
        ),
    ]
}

fn tags() -> Vec<Case> {
    let unknown = |tag: u64, ids: &str| {
        format!(r#"< chan 406 "PRECONDITION_FAILED - unknown delivery tag {tag}" {ids}"#)
    };
    let got = "> basic.publish key=%q body=m1\n> basic.get queue=%q\n< get-ok tag=1 redelivered=false ex= rk=%q left=0 body=m1";
    let both = "> basic.publish key=%q body=m1\n> basic.publish key=%q body=m2\n> basic.get queue=%q
                < get-ok tag=1 redelivered=false ex= rk=%q left=1 body=m1\n> basic.get queue=%q
                < get-ok tag=2 redelivered=false ex= rk=%q left=0 body=m2";
    vec![
        case("CH-62", "ack of a tag never issued", &format!("> basic.ack tag=5\n{}", unknown(5, "(60,80)"))),
        case(
            "CH-62",
            "nack of a tag never issued",
            &format!("> basic.nack tag=5\n{}", unknown(5, "(60,120)")),
        ),
        case(
            "CH-62",
            "reject of a tag never issued",
            &format!("> basic.reject tag=5\n{}", unknown(5, "(60,90)")),
        ),
        queued(
            "CH-63",
            "ack twice",
            &format!("{got}\n> basic.ack tag=1\n> basic.ack tag=1\n{}", unknown(1, "(60,80)")),
        ),
        queued(
            "CH-63",
            "ack on another channel",
            &format!("{got}\na2> basic.ack tag=1\na2{}", unknown(1, "(60,80)")),
        ),
        queued(
            "CH-63 BAS-23",
            "ack of a no-ack delivery",
            &format!(
                "> basic.consume queue=%q tag=c no-ack\n< basic.consume-ok c\n> basic.publish key=%q body=m1
                 < deliver c tag=1 redelivered=false ex= rk=%q body=m1\n> basic.ack tag=1\n{}",
                unknown(1, "(60,80)")
            ),
        ),
        queued(
            "CH-63",
            "ack multiple beyond the last tag",
            &format!("{got}\n> basic.ack tag=2 multiple\n{}", unknown(2, "(60,80)")),
        ),
        queued(
            "CH-63 BAS-61",
            "ack multiple of what is all settled",
            &format!(
                "{both}\n> basic.ack tag=2 multiple\n> basic.ack tag=1 multiple\n{}",
                unknown(1, "(60,80)")
            ),
        ),
        queued("CH-64", "ack of tag 0", &format!("{got}\n> basic.ack tag=0\n{}", unknown(0, "(60,80)"))),
        queued(
            "CH-64",
            "ack of tag 0 with multiple settles all",
            &format!(
                "{both}\n> basic.ack tag=0 multiple\n< quiet\n> basic.ack tag=2\n{}",
                unknown(2, "(60,80)")
            ),
        ),
        case(
            "CH-64",
            "ack of tag 0 with multiple and nothing outstanding",
            "> basic.ack tag=0 multiple\n< quiet",
        ),
    ]
}

fn publish() -> Vec<Case> {
    vec![
        case(
            "CH-66",
            "immediate",
            r#"> basic.publish key=%q immediate body=x
               a0< conn 540 "NOT_IMPLEMENTED - immediate=true" (60,40)"#,
        ),
        case(
            "CH-67",
            "another user's user-id",
            r#"> basic.publish key=%q user-id=bob body=x
               < chan 406 "PRECONDITION_FAILED - user_id property set to 'bob' but authenticated user was 'guest'" (60,40)"#,
        ),
        queued(
            "CH-67",
            "the own user-id",
            "> basic.publish key=%q user-id=guest body=x\n> basic.get queue=%q\n< get-ok tag=1 redelivered=false ex= rk=%q left=0 user-id=guest body=x",
        ),
        queued(
            "CH-69 VER-09",
            "delivery-mode 3",
            "> basic.publish key=%q delivery-mode=3 body=x\n> basic.get queue=%q
             < get-ok tag=1 redelivered=false ex= rk=%q left=0 delivery-mode=3 body=x",
        ),
        case(
            "CH-70",
            "CC that is no array",
            r#"> basic.publish key=%q headers={CC='a'} body=x
               < chan 406 "PRECONDITION_FAILED - invalid message: {unacceptable_type_in_header,"CC",longstr}" (60,40)"#,
        ),
        case(
            "CH-70",
            "BCC that is no array",
            r#"> basic.publish key=%q headers={BCC=I5} body=x
               < chan 406 "PRECONDITION_FAILED - invalid message: {unacceptable_type_in_header,"BCC",signedint}" (60,40)"#,
        ),
        queued(
            "CH-70",
            "CC elements that are no strings are skipped",
            "> basic.publish key=%nowhere headers={CC=[I5 '%q' t1]} body=x\n> basic.get queue=%q
             < get-ok tag=1 redelivered=false ex= rk=%nowhere left=0 headers={CC=[I5 '%q' t1]} body=x",
        ),
        case(
            "CH-71",
            "reply-to without a reply consumer",
            r#"> basic.publish key=%q reply-to=amq.rabbitmq.reply-to body=x
               < chan 406 "PRECONDITION_FAILED - fast reply consumer does not exist" (60,40)"#,
        ),
    ]
}

fn expiration() -> Vec<Case> {
    let bad = |value: &str, detail: &str| {
        case(
            "CH-68 TTL-05",
            &format!("expiration {value:?}"),
            &format!(
                "> basic.publish key=%q expiration='{value}' body=x\n< chan 406 \"PRECONDITION_FAILED - invalid expiration '{value}': {detail}\" (60,40)"
            ),
        )
    };
    let good = |value: &str| {
        queued(
            "CH-68 TTL-05",
            &format!("expiration {value:?}"),
            &format!(
                "> basic.publish key=%q expiration='{value}' body=x\n> queue.purge queue=%q\n< queue.purge-ok 1"
            ),
        )
    };
    vec![
        bad("abc", "no_integer"),
        bad("", "no_integer"),
        bad(" 5", "no_integer"),
        bad("-1", "{value_negative,-1}"),
        bad("1.5", r#"{leftover_string,".5"}"#),
        bad("5 ", r#"{leftover_string," "}"#),
        bad("315360000001", "{value_too_large,315360000001}"),
        good("+50000"),
        good("315360000000"),
    ]
}

fn modes() -> Vec<Case> {
    vec![
        case(
            "CH-72",
            "prefetch-size",
            r#"> basic.qos prefetch-size=1
               a0< conn 540 "NOT_IMPLEMENTED - prefetch_size!=0 (1)" (60,10)"#,
        ),
        case(
            "CH-73",
            "recover without requeue",
            r#"> basic.recover
               a0< conn 540 "NOT_IMPLEMENTED - requeue=false" (60,110)"#,
        ),
        case(
            "CH-73",
            "recover-async without requeue",
            r#"> basic.recover-async
               a0< conn 540 "NOT_IMPLEMENTED - requeue=false" (60,100)"#,
        ),
        case(
            "CH-74",
            "commit without select",
            r#"> tx.commit
               < chan 406 "PRECONDITION_FAILED - channel is not transactional" (90,20)"#,
        ),
        case(
            "CH-74",
            "rollback without select",
            r#"> tx.rollback
               < chan 406 "PRECONDITION_FAILED - channel is not transactional" (90,30)"#,
        ),
        case(
            "CH-75 CNF-01",
            "tx after confirm",
            r#"> confirm.select
               < confirm.select-ok
               > tx.select
               < chan 406 "PRECONDITION_FAILED - cannot switch from confirm to tx mode" (90,10)"#,
        ),
        case(
            "CH-75 CNF-01",
            "confirm after tx",
            r#"> tx.select
               < tx.select-ok
               > confirm.select
               < chan 406 "PRECONDITION_FAILED - cannot switch from tx to confirm mode" (85,10)"#,
        ),
    ]
}
