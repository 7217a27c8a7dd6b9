//! What queue methods refuse: chapter 2.4.

use crate::script::{Case, case};

/// No such queue, up to the ids.
const MISSING: &str = r#"chan 404 "NOT_FOUND - no queue '%q' in vhost '/'""#;
/// Another connection's exclusive queue, up to the ids.
const LOCKED: &str = r#"chan 405 "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '%q' in vhost '/'. It could be originally declared on another connection or the exclusive property value does not match that of the original declaration.""#;

pub fn cases() -> Vec<Case> {
    let mut cases = missing();
    cases.extend(locked());
    cases.extend(refused());
    cases.extend(unnamed());
    cases
}

fn missing() -> Vec<Case> {
    let missing =
        |title: &str, line: &str, ids: &str| case("CH-40", title, &format!("> {line}\n< {MISSING} {ids}"));
    vec![
        missing("passive declare of a missing queue", "queue.declare queue=%q passive", "(50,10)"),
        missing("consume from a missing queue", "basic.consume queue=%q", "(60,20)"),
        missing("get from a missing queue", "basic.get queue=%q", "(60,70)"),
        missing("purge a missing queue", "queue.purge queue=%q", "(50,30)"),
        case("CH-41", "delete a missing queue", "> queue.delete queue=%q\n< queue.delete-ok 0"),
        case("CH-41", "delete a missing queue if unused and empty", "> queue.delete queue=%q if-unused if-empty\n< queue.delete-ok 0"),
        case("CH-47", "bind a missing queue", &format!("> queue.bind queue=%q exchange=amq.direct key=k\n< {MISSING} (50,20)")),
        case(
            "CH-47",
            "bind to a missing exchange",
            r#"> queue.declare queue=%q exclusive
               < queue.declare-ok %q 0 0
               > queue.bind queue=%q exchange=%x key=k
               < chan 404 "NOT_FOUND - no exchange '%x' in vhost '/'" (50,20)"#,
        ),
        case(
            "CH-47",
            "bind a missing queue to a missing exchange",
            r#"> queue.bind queue=%q exchange=%x key=k
               < chan 404 "NOT_FOUND - no exchange '%x' in vhost '/'" (50,20)"#,
        ),
        case("CH-48", "unbind a missing queue", "> queue.unbind queue=%q exchange=amq.direct key=k\n< queue.unbind-ok"),
        case(
            "CH-48",
            "unbind from a missing exchange, and what is not bound",
            "> queue.declare queue=%q exclusive\n< queue.declare-ok %q 0 0\n> queue.unbind queue=%q exchange=%x key=k\n< queue.unbind-ok
             > queue.unbind queue=%q exchange=amq.direct key=k\n< queue.unbind-ok",
        ),
    ]
}

fn locked() -> Vec<Case> {
    let locked = |title: &str, line: &str, ids: &str| {
        case(
            "CH-44",
            title,
            &format!(
                "> queue.declare queue=%q exclusive\n< queue.declare-ok %q 0 0\nb> {line}\nb< {LOCKED} {ids}"
            ),
        )
    };
    vec![
        locked("declare another's exclusive queue", "queue.declare queue=%q exclusive", "(50,10)"),
        locked("passive declare of another's exclusive queue", "queue.declare queue=%q passive", "(50,10)"),
        locked("consume from another's exclusive queue", "basic.consume queue=%q", "(60,20)"),
        locked("get from another's exclusive queue", "basic.get queue=%q", "(60,70)"),
        locked("purge another's exclusive queue", "queue.purge queue=%q", "(50,30)"),
        locked("delete another's exclusive queue", "queue.delete queue=%q", "(50,40)"),
        locked("bind another's exclusive queue", "queue.bind queue=%q exchange=amq.direct key=%k", "(50,20)"),
        case(
            "CH-44",
            "unbind another's exclusive queue",
            &format!(
                "> queue.declare queue=%q exclusive\n< queue.declare-ok %q 0 0\n> queue.bind queue=%q exchange=amq.direct key=%k
                 < queue.bind-ok\nb> queue.unbind queue=%q exchange=amq.direct key=%k\nb< {LOCKED} (50,50)"
            ),
        ),
        case(
            "CH-45",
            "redeclare a shared queue as exclusive",
            &format!("> queue.declare queue=%q\n< queue.declare-ok %q 0 0\n> queue.declare queue=%q exclusive\n< {LOCKED} (50,10)\n> channel.open\n< channel.open-ok ''\n> queue.delete queue=%q\n< queue.delete-ok 0"),
        ),
        case(
            "CH-45",
            "redeclare an own exclusive queue as shared",
            &format!("> queue.declare queue=%q exclusive\n< queue.declare-ok %q 0 0\n> queue.declare queue=%q\n< {LOCKED} (50,10)"),
        ),
        case(
            "CH-46",
            "publish to another's exclusive queue",
            "> queue.declare queue=%q exclusive\n< queue.declare-ok %q 0 0\nb> confirm.select\nb< confirm.select-ok
             b> basic.publish key=%q body=x\nb< confirms ack 1
             > basic.get queue=%q no-ack\n< get-ok tag=1 redelivered=false ex= rk=%q left=0 body=x",
        ),
    ]
}

fn refused() -> Vec<Case> {
    vec![
        case(
            "CH-42",
            "declare a reserved name",
            r#"> queue.declare queue=amq.foo
               < chan 403 "ACCESS_REFUSED - queue name 'amq.foo' contains reserved prefix 'amq.*'" (50,10)"#,
        ),
        case(
            "CH-42 RST-22",
            "redeclare a server-named queue by its name; passive works",
            r#"> queue.declare exclusive
               < queue.declare-ok %gen 0 0
               > queue.declare queue=%gen passive
               < queue.declare-ok %gen 0 0
               > queue.declare queue=%gen exclusive
               < chan 403 "ACCESS_REFUSED - queue name '%gen' contains reserved prefix 'amq.*'" (50,10)"#,
        ),
        case(
            "CH-49",
            "delete if-unused with a consumer",
            r#"> queue.declare queue=%q exclusive
               < queue.declare-ok %q 0 0
               > basic.consume queue=%q tag=c
               < basic.consume-ok c
               > queue.delete queue=%q if-unused
               < chan 406 "PRECONDITION_FAILED - queue '%q' in vhost '/' in use" (50,40)"#,
        ),
        case(
            "CH-49",
            "delete if-unused without a consumer",
            "> queue.declare queue=%q\n< queue.declare-ok %q 0 0\n> queue.delete queue=%q if-unused\n< queue.delete-ok 0",
        ),
        case(
            "CH-50",
            "delete if-empty with a message",
            r#"> queue.declare queue=%q exclusive
               < queue.declare-ok %q 0 0
               > basic.publish key=%q body=x
               > queue.delete queue=%q if-empty
               < chan 406 "PRECONDITION_FAILED - queue '%q' in vhost '/' not empty" (50,40)"#,
        ),
        case(
            "CH-50",
            "an unacked message leaves the queue empty",
            "> queue.declare queue=%q exclusive\n< queue.declare-ok %q 0 0\n> basic.publish key=%q body=x\n> basic.get queue=%q
             < get-ok tag=1 redelivered=false ex= rk=%q left=0 body=x\n> queue.delete queue=%q if-empty\n< queue.delete-ok 0",
        ),
    ]
}

fn unnamed() -> Vec<Case> {
    let none = |title: &str, line: &str, ids: &str| {
        let text = "NOT_FOUND - no previously declared queue";
        case("CH-51", title, &format!("> {line}\n< chan 404 \"{text}\" {ids}"))
    };
    vec![
        none("get with nothing declared", "basic.get", "(60,70)"),
        none("consume with nothing declared", "basic.consume tag=c", "(60,20)"),
        none("bind with nothing declared", "queue.bind exchange=amq.direct key=k", "(50,20)"),
        none("unbind with nothing declared", "queue.unbind exchange=amq.direct key=k", "(50,50)"),
        none("purge with nothing declared", "queue.purge", "(50,30)"),
        none("delete with nothing declared", "queue.delete", "(50,40)"),
        case(
            "CH-52",
            "passive declare of the empty name",
            r#"> queue.declare queue=%q exclusive
               < queue.declare-ok %q 0 0
               > queue.declare passive
               < chan 404 "NOT_FOUND - no queue '' in vhost '/'" (50,10)"#,
        ),
    ]
}
