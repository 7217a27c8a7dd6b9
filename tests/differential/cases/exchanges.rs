//! Bindings, alternate exchanges and exchange-to-exchange routing: chapters 3.1 to 3.5.

use crate::script::{Case, case};

/// Nothing was routed: the mandatory message with body `x` is back.
const RETURNED: &str = r#"< return 312 "NO_ROUTE" ex=%x rk=k body=x"#;

pub fn cases() -> Vec<Case> {
    let mut cases = predeclared();
    cases.extend(bindings());
    cases.extend(auto_delete());
    cases.extend(alternate());
    cases.extend(between());
    cases
}

/// An exchange `%x` of some kind and an own queue `%q`; the exchange goes at the end.
fn routed(ids: &str, title: &str, exchange: &str, lines: &str) -> Case {
    case(
        ids,
        title,
        &format!(
            "> exchange.declare exchange=%x {exchange}\n< exchange.declare-ok\n> queue.declare queue=%q exclusive
             < queue.declare-ok %q 0 0\n{lines}\n> exchange.delete exchange=%x\n< exchange.delete-ok"
        ),
    )
}

fn predeclared() -> Vec<Case> {
    let known = |id: &str, name: &str, kind: &str, more: &str| {
        case(
            id,
            &format!("{name} exists"),
            &format!("> exchange.declare exchange={name} type={kind} durable{more}\n< exchange.declare-ok"),
        )
    };
    vec![
        known("EXC-02", "amq.direct", "direct", ""),
        known("EXC-03", "amq.fanout", "fanout", ""),
        known("EXC-04", "amq.topic", "topic", ""),
        known("EXC-05", "amq.headers", "headers", ""),
        known("EXC-06", "amq.match", "headers", ""),
        known("EXC-07", "amq.rabbitmq.trace", "topic", " internal"),
        case(
            "EXC-11",
            "the default exchange routes by queue name, without wildcards",
            "> queue.declare queue=%q exclusive\n< queue.declare-ok %q 0 0\n> basic.publish key=# mandatory body=x
             < return 312 \"NO_ROUTE\" ex= rk=# body=x\n> basic.publish key=%q mandatory body=y\n> basic.get queue=%q
             < get-ok tag=1 redelivered=false ex= rk=%q left=0 body=y",
        ),
    ]
}

fn bindings() -> Vec<Case> {
    let once = "> basic.publish exchange=%x key=k body=x\n> queue.purge queue=%q\n< queue.purge-ok 1";
    vec![
        routed(
            "EXC-10",
            "one copy for three matching bindings",
            "type=topic",
            &format!(
                "> queue.bind queue=%q exchange=%x key=k\n< queue.bind-ok\n> queue.bind queue=%q exchange=%x key=#\n< queue.bind-ok
                 > queue.bind queue=%q exchange=%x key=*\n< queue.bind-ok\n{once}"
            ),
        ),
        routed(
            "EXC-10 EXC-41",
            "one copy for two fanout bindings",
            "type=fanout",
            &format!(
                "> queue.bind queue=%q exchange=%x key=one\n< queue.bind-ok\n> queue.bind queue=%q exchange=%x key=two\n< queue.bind-ok\n{once}"
            ),
        ),
        routed(
            "EXC-12",
            "arguments of other types make another binding",
            "type=direct",
            &format!(
                "> queue.bind queue=%q exchange=%x key=k arguments={{a=I1}}\n< queue.bind-ok
                 > queue.unbind queue=%q exchange=%x key=k arguments={{a=l1}}\n< queue.unbind-ok\n{once}
                 > queue.unbind queue=%q exchange=%x key=k arguments={{a=I1}}\n< queue.unbind-ok
                 > basic.publish exchange=%x key=k mandatory body=x\n{RETURNED}"
            ),
        ),
        routed(
            "EXC-12",
            "the order of arguments does not matter",
            "type=direct",
            &format!(
                "> queue.bind queue=%q exchange=%x key=k arguments={{a=I1 b='z'}}\n< queue.bind-ok
                 > queue.unbind queue=%q exchange=%x key=k arguments={{b='z' a=I1}}\n< queue.unbind-ok
                 > basic.publish exchange=%x key=k mandatory body=x\n{RETURNED}"
            ),
        ),
        routed(
            "EXC-13",
            "bind twice, unbind once",
            "type=direct",
            &format!(
                "> queue.bind queue=%q exchange=%x key=k\n< queue.bind-ok\n> queue.bind queue=%q exchange=%x key=k\n< queue.bind-ok
                 > queue.unbind queue=%q exchange=%x key=k\n< queue.unbind-ok\n> basic.publish exchange=%x key=k mandatory body=x\n{RETURNED}"
            ),
        ),
        routed(
            "EXC-14",
            "unbind matches key and arguments exactly",
            "type=fanout",
            &format!(
                "> queue.bind queue=%q exchange=%x key=k arguments={{a=I1}}\n< queue.bind-ok
                 > queue.unbind queue=%q exchange=%x key=k\n< queue.unbind-ok
                 > queue.unbind queue=%q exchange=%x key=other arguments={{a=I1}}\n< queue.unbind-ok\n{once}"
            ),
        ),
        routed(
            "EXC-15",
            "a redeclared exchange starts empty",
            "type=direct",
            &format!(
                "> queue.bind queue=%q exchange=%x key=k\n< queue.bind-ok\n> exchange.delete exchange=%x\n< exchange.delete-ok
                 > exchange.declare exchange=%x type=direct\n< exchange.declare-ok\n> basic.publish exchange=%x key=k mandatory body=x\n{RETURNED}"
            ),
        ),
        routed(
            "EXC-15",
            "a deleted queue takes its bindings along",
            "type=direct",
            &format!(
                "> queue.bind queue=%q exchange=%x key=k\n< queue.bind-ok\n> queue.delete queue=%q\n< queue.delete-ok 0
                 > queue.declare queue=%q exclusive\n< queue.declare-ok %q 0 0\n> basic.publish exchange=%x key=k mandatory body=x\n{RETURNED}"
            ),
        ),
        routed(
            "EXC-17",
            "an internal exchange can be bound to a queue",
            "type=fanout internal",
            "> exchange.declare exchange=%y type=fanout\n< exchange.declare-ok\n> exchange.bind destination=%x source=%y\n< exchange.bind-ok
             > queue.bind queue=%q exchange=%x\n< queue.bind-ok\n> basic.publish exchange=%y key=k body=x\n> basic.get queue=%q
             < get-ok tag=1 redelivered=false ex=%y rk=k left=0 body=x\n> exchange.delete exchange=%y\n< exchange.delete-ok",
        ),
        routed(
            "EXC-40",
            "the empty key is an ordinary key, keys are compared by octets",
            "type=direct",
            &format!(
                "> queue.bind queue=%q exchange=%x\n< queue.bind-ok\n> basic.publish exchange=%x key=k mandatory body=x\n{RETURNED}
                 > basic.publish exchange=%x mandatory body=y\n> basic.get queue=%q\n< get-ok tag=1 redelivered=false ex=%x rk= left=0 body=y
                 > queue.bind queue=%q exchange=%x key=K\n< queue.bind-ok\n> basic.publish exchange=%x key=k mandatory body=x\n{RETURNED}"
            ),
        ),
        routed(
            "EXC-40",
            "several queues under one key",
            "type=direct",
            "> queue.declare queue=%r exclusive\n< queue.declare-ok %r 0 0\n> queue.bind queue=%q exchange=%x key=k\n< queue.bind-ok
             > queue.bind queue=%r exchange=%x key=k\n< queue.bind-ok\n> basic.publish exchange=%x key=k body=x
             > queue.purge queue=%q\n< queue.purge-ok 1\n> queue.purge queue=%r\n< queue.purge-ok 1",
        ),
    ]
}

fn auto_delete() -> Vec<Case> {
    let gone = r#"> exchange.declare exchange=%x passive
                  < chan 404 "NOT_FOUND - no exchange '%x' in vhost '/'" (40,10)"#;
    let there = "> exchange.declare exchange=%x passive\n< exchange.declare-ok";
    let bound = "> exchange.declare exchange=%x type=fanout auto-delete\n< exchange.declare-ok
                 > queue.declare queue=%q exclusive\n< queue.declare-ok %q 0 0\n> queue.bind queue=%q exchange=%x\n< queue.bind-ok";
    vec![
        case("EXC-16", "gone with its last unbind", &format!("{bound}\n> queue.unbind queue=%q exchange=%x\n< queue.unbind-ok\n{gone}")),
        case("EXC-16", "gone with its last queue", &format!("{bound}\n> queue.delete queue=%q\n< queue.delete-ok 0\n{gone}")),
        case(
            "EXC-16",
            "gone with its last destination exchange",
            &format!(
                "> exchange.declare exchange=%x type=fanout auto-delete\n< exchange.declare-ok\n> exchange.declare exchange=%y type=fanout
                 < exchange.declare-ok\n> exchange.bind destination=%y source=%x\n< exchange.bind-ok
                 > exchange.delete exchange=%y\n< exchange.delete-ok\n{gone}"
            ),
        ),
        case(
            "EXC-16",
            "not before it had a binding, nor as a mere destination",
            &format!(
                "> exchange.declare exchange=%x type=fanout auto-delete\n< exchange.declare-ok\n{there}
                 > exchange.bind destination=%x source=amq.fanout\n< exchange.bind-ok\n> exchange.unbind destination=%x source=amq.fanout
                 < exchange.unbind-ok\n{there}\n> exchange.delete exchange=%x\n< exchange.delete-ok"
            ),
        ),
        case(
            "EXC-16",
            "a second binding keeps it",
            &format!(
                "{bound}\n> queue.bind queue=%q exchange=%x key=two\n< queue.bind-ok\n> queue.unbind queue=%q exchange=%x\n< queue.unbind-ok
                 {there}\n> queue.unbind queue=%q exchange=%x key=two\n< queue.unbind-ok\n{gone}"
            ),
        ),
    ]
}

fn alternate() -> Vec<Case> {
    let with = |name: &str| format!("type=direct arguments={{alternate-exchange='{name}'}}");
    vec![
        routed(
            "EXC-20 EXC-21 EXC-22",
            "what is not routed goes to the alternate, unchanged",
            &with("%y"),
            "> exchange.declare exchange=%y type=fanout\n< exchange.declare-ok\n> queue.bind queue=%q exchange=%y\n< queue.bind-ok
             > basic.publish exchange=%x key=k mandatory body=x\n> basic.get queue=%q\n< get-ok tag=1 redelivered=false ex=%x rk=k left=0 body=x
             > exchange.delete exchange=%y\n< exchange.delete-ok",
        ),
        routed(
            "EXC-21",
            "what is routed does not",
            &with("%y"),
            "> exchange.declare exchange=%y type=fanout\n< exchange.declare-ok\n> queue.bind queue=%q exchange=%x key=k\n< queue.bind-ok
             > queue.declare queue=%r exclusive\n< queue.declare-ok %r 0 0\n> queue.bind queue=%r exchange=%y\n< queue.bind-ok
             > basic.publish exchange=%x key=k body=x\n> basic.get queue=%r\n< get-empty\n> basic.get queue=%q
             < get-ok tag=1 redelivered=false ex=%x rk=k left=0 body=x\n> exchange.delete exchange=%y\n< exchange.delete-ok",
        ),
        routed(
            "EXC-21 EXC-25",
            "an exchange as destination counts, even if it drops the message",
            &with("%y"),
            "> exchange.declare exchange=%y type=fanout\n< exchange.declare-ok\n> queue.bind queue=%q exchange=%y\n< queue.bind-ok
             > exchange.declare exchange=%z type=fanout\n< exchange.declare-ok\n> exchange.bind destination=%z source=%x key=k\n< exchange.bind-ok
             > basic.publish exchange=%x key=k mandatory body=x\n< return 312 \"NO_ROUTE\" ex=%x rk=k body=x\n> basic.get queue=%q\n< get-empty
             > exchange.delete exchange=%y\n< exchange.delete-ok\n> exchange.delete exchange=%z\n< exchange.delete-ok",
        ),
        routed(
            "EXC-23",
            "a chain of alternates",
            &with("%y"),
            "> exchange.declare exchange=%y type=direct arguments={alternate-exchange='%z'}\n< exchange.declare-ok
             > exchange.declare exchange=%z type=fanout\n< exchange.declare-ok\n> queue.bind queue=%q exchange=%z\n< queue.bind-ok
             > basic.publish exchange=%x key=k mandatory body=x\n> basic.get queue=%q\n< get-ok tag=1 redelivered=false ex=%x rk=k left=0 body=x
             > exchange.delete exchange=%y\n< exchange.delete-ok\n> exchange.delete exchange=%z\n< exchange.delete-ok",
        ),
        routed(
            "EXC-23 EXC-25",
            "an exchange that is its own alternate",
            &with("%x"),
            &format!("> basic.publish exchange=%x key=k mandatory body=x\n{RETURNED}"),
        ),
        routed(
            "EXC-23",
            "two exchanges that are each other's alternate",
            &with("%y"),
            &format!(
                "> exchange.declare exchange=%y type=direct arguments={{alternate-exchange='%x'}}\n< exchange.declare-ok
                 > basic.publish exchange=%x key=k mandatory body=x\n{RETURNED}\n> exchange.delete exchange=%y\n< exchange.delete-ok"
            ),
        ),
        routed(
            "EXC-24",
            "a missing alternate",
            &with("%nowhere"),
            &format!("> basic.publish exchange=%x key=k mandatory body=x\n{RETURNED}"),
        ),
    ]
}

fn between() -> Vec<Case> {
    vec![
        routed(
            "EXC-30 EXC-31",
            "a cycle of exchanges gives one copy",
            "type=fanout",
            "> exchange.declare exchange=%y type=fanout\n< exchange.declare-ok\n> exchange.declare exchange=%z type=fanout\n< exchange.declare-ok
             > exchange.bind destination=%y source=%x\n< exchange.bind-ok\n> exchange.bind destination=%z source=%y\n< exchange.bind-ok
             > exchange.bind destination=%x source=%z\n< exchange.bind-ok\n> exchange.bind destination=%x source=%x\n< exchange.bind-ok
             > queue.bind queue=%q exchange=%z\n< queue.bind-ok\n> queue.bind queue=%q exchange=%y\n< queue.bind-ok
             > basic.publish exchange=%x key=k body=x\n> basic.get queue=%q\n< get-ok tag=1 redelivered=false ex=%x rk=k left=0 body=x
             > exchange.delete exchange=%y\n< exchange.delete-ok\n> exchange.delete exchange=%z\n< exchange.delete-ok",
        ),
        routed(
            "EXC-31",
            "each hop matches the original key by its own rules",
            "type=topic",
            "> exchange.declare exchange=%y type=direct\n< exchange.declare-ok\n> exchange.bind destination=%y source=%x key=a.#\n< exchange.bind-ok
             > queue.bind queue=%q exchange=%y key=a.b\n< queue.bind-ok\n> basic.publish exchange=%x key=a.c body=no\n> basic.publish exchange=%x key=a.b body=yes
             > basic.get queue=%q\n< get-ok tag=1 redelivered=false ex=%x rk=a.b left=0 body=yes
             > exchange.delete exchange=%y\n< exchange.delete-ok",
        ),
        routed(
            "EXC-32",
            "after unbind nothing flows",
            "type=fanout",
            "> exchange.declare exchange=%y type=fanout\n< exchange.declare-ok\n> exchange.bind destination=%y source=%x key=k\n< exchange.bind-ok
             > queue.bind queue=%q exchange=%y\n< queue.bind-ok\n> exchange.unbind destination=%y source=%x key=k\n< exchange.unbind-ok
             > basic.publish exchange=%x key=k mandatory body=x\n< return 312 \"NO_ROUTE\" ex=%x rk=k body=x
             > exchange.delete exchange=%y\n< exchange.delete-ok",
        ),
    ]
}
