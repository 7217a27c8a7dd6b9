//! What exchange methods refuse: chapter 2.3.

use crate::script::{Case, case};

/// No such exchange, up to the ids.
const MISSING: &str = "chan 404 \"NOT_FOUND - no exchange '%x' in vhost '/'\"";

pub fn cases() -> Vec<Case> {
    let mut cases = declare();
    cases.extend(redeclare());
    cases.extend(others());
    cases
}

fn declare() -> Vec<Case> {
    let on_default = |title: &str, line: &str, ids: &str| {
        let text = "ACCESS_REFUSED - operation not permitted on the default exchange";
        case("CH-28", title, &format!("> {line}\n< chan 403 \"{text}\" {ids}"))
    };
    vec![
        case("CH-20", "passive declare of a missing exchange", &format!("> exchange.declare exchange=%x passive\n< {MISSING} (40,10)")),
        case(
            "CH-21",
            "passive declare ignores type, flags and arguments",
            "> exchange.declare exchange=%x type=direct\n< exchange.declare-ok
             > exchange.declare exchange=%x type=bogus passive durable internal arguments={alternate-exchange=I5}
             < exchange.declare-ok\n> exchange.delete exchange=%x\n< exchange.delete-ok",
        ),
        case(
            "CH-22",
            "declare a reserved name",
            "> exchange.declare exchange=amq.foo type=direct
             < chan 403 \"ACCESS_REFUSED - exchange name 'amq.foo' contains reserved prefix 'amq.*'\" (40,10)",
        ),
        case("CH-23", "redeclare a predeclared exchange", "> exchange.declare exchange=amq.direct type=direct durable\n< exchange.declare-ok"),
        case(
            "CH-23 CH-25",
            "redeclare a predeclared exchange with another type",
            "> exchange.declare exchange=amq.direct type=fanout durable
             < chan 406 \"PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'amq.direct' in vhost '/': received 'fanout' but current is 'direct'\" (40,10)",
        ),
        case(
            "CH-24 VER-01",
            "unknown type",
            "> exchange.declare exchange=%x type=bogus
             < chan 406 \"PRECONDITION_FAILED - unknown exchange type 'bogus'\" (40,10)",
        ),
        case(
            "CH-27",
            "alternate-exchange of the wrong type",
            "> exchange.declare exchange=%x type=direct arguments={alternate-exchange=I5}
             < chan 406 \"PRECONDITION_FAILED - invalid type 'signedint' for arg 'alternate-exchange' in exchange '%x' in vhost '/'\" (40,10)",
        ),
        on_default("declare the default exchange", "exchange.declare exchange='' type=direct", "(40,10)"),
        on_default("passive declare of the default exchange", "exchange.declare exchange='' passive", "(40,10)"),
        on_default("delete the default exchange", "exchange.delete exchange=''", "(40,20)"),
        on_default("bind from the default exchange", "exchange.bind source='' destination=amq.fanout key=k", "(40,30)"),
        on_default("bind to the default exchange", "exchange.bind source=amq.fanout destination='' key=k", "(40,30)"),
        on_default("unbind from the default exchange", "exchange.unbind source='' destination=amq.fanout key=k", "(40,40)"),
    ]
}

fn redeclare() -> Vec<Case> {
    let differs = |title: &str, first: &str, second: &str, detail: &str| {
        case(
            "CH-25",
            title,
            &format!(
                "> exchange.declare exchange=%x {first}\n< exchange.declare-ok\n> exchange.declare exchange=%x {second}
                 < chan 406 \"PRECONDITION_FAILED - inequivalent arg {detail}\" (40,10)
                 > channel.open\n< channel.open-ok ''\n> exchange.delete exchange=%x\n< exchange.delete-ok"
            ),
        )
    };
    let of = "for exchange '%x' in vhost '/'";
    let alternate = |title: &str, first: &str, second: &str, detail: &str| {
        let mut case = differs(
            title,
            &format!("type=direct {first}"),
            &format!("type=direct {second}"),
            &format!("'alternate-exchange' {of}: {detail}"),
        );
        case.ids = "CH-26 EXC-18".to_owned();
        case
    };
    let (to_foo, to_bar) = ("arguments={alternate-exchange='foo'}", "arguments={alternate-exchange='bar'}");
    vec![
        differs("another type", "type=direct", "type=fanout", &format!("'type' {of}: received 'fanout' but current is 'direct'")),
        differs("not durable", "type=direct durable", "type=direct", &format!("'durable' {of}: received 'false' but current is 'true'")),
        differs("durable", "type=direct", "type=direct durable", &format!("'durable' {of}: received 'true' but current is 'false'")),
        differs("auto-delete", "type=direct", "type=direct auto-delete", &format!("'auto_delete' {of}: received 'true' but current is 'false'")),
        differs("internal", "type=direct", "type=direct internal", &format!("'internal' {of}: received 'true' but current is 'false'")),
        differs(
            "type is compared first, then durable",
            "type=direct",
            "type=topic durable auto-delete internal",
            &format!("'type' {of}: received 'topic' but current is 'direct'"),
        ),
        differs(
            "auto-delete is compared before internal",
            "type=direct",
            "type=direct auto-delete internal",
            &format!("'auto_delete' {of}: received 'true' but current is 'false'"),
        ),
        alternate("an alternate exchange where there was none", "", to_foo, "received the value 'foo' of type 'longstr' but current is none"),
        alternate("no alternate exchange where there was one", to_foo, "", "received none but current is the value 'foo' of type 'longstr'"),
        alternate("another alternate exchange", to_bar, to_foo, "received 'foo' but current is 'bar'"),
        case(
            "CH-26 EXC-19",
            "other arguments are not compared",
            "> exchange.declare exchange=%x type=direct arguments={foo='bar' x-what=I1}\n< exchange.declare-ok
             > exchange.declare exchange=%x type=direct\n< exchange.declare-ok
             > exchange.delete exchange=%x\n< exchange.delete-ok",
        ),
    ]
}

fn others() -> Vec<Case> {
    vec![
        case(
            "CH-29",
            "delete a system exchange",
            "> exchange.delete exchange=amq.direct
             < chan 403 \"ACCESS_REFUSED - deletion of system exchange 'amq.direct' in vhost '/' not allowed\" (40,20)",
        ),
        case("CH-30", "delete a missing exchange", "> exchange.delete exchange=%x\n< exchange.delete-ok"),
        case("CH-30", "delete a missing exchange if unused", "> exchange.delete exchange=%x if-unused\n< exchange.delete-ok"),
        case(
            "CH-31",
            "delete if-unused while it is a source",
            "> exchange.declare exchange=%x type=fanout\n< exchange.declare-ok\n> queue.declare queue=%q exclusive\n< queue.declare-ok %q 0 0
             > queue.bind queue=%q exchange=%x\n< queue.bind-ok\n> exchange.delete exchange=%x if-unused
             < chan 406 \"PRECONDITION_FAILED - exchange '%x' in vhost '/' in use\" (40,20)
             > channel.open\n< channel.open-ok ''\n> queue.unbind queue=%q exchange=%x\n< queue.unbind-ok
             > exchange.delete exchange=%x if-unused\n< exchange.delete-ok",
        ),
        case(
            "CH-31",
            "being a destination is no use",
            "> exchange.declare exchange=%x type=fanout\n< exchange.declare-ok\n> exchange.bind destination=%x source=amq.fanout
             < exchange.bind-ok\n> exchange.delete exchange=%x if-unused\n< exchange.delete-ok",
        ),
        case("CH-32", "bind to a missing exchange", &format!("> exchange.bind destination=%x source=amq.fanout\n< {MISSING} (40,30)")),
        case("CH-32", "bind from a missing exchange", &format!("> exchange.bind destination=amq.fanout source=%x\n< {MISSING} (40,30)")),
        case(
            "CH-33 EXC-32",
            "unbind what was never bound",
            "> exchange.unbind destination=amq.fanout source=amq.direct key=%nothing\n< exchange.unbind-ok",
        ),
        case("CH-33 EXC-32", "unbind missing exchanges", "> exchange.unbind destination=%x source=%y key=k\n< exchange.unbind-ok"),
        case("CH-34", "publish to a missing exchange", &format!("> basic.publish exchange=%x key=k body=x\n< {MISSING} (60,40)")),
        case(
            "CH-34 CNF-06",
            "publish to a missing exchange in confirm mode",
            &format!("> confirm.select\n< confirm.select-ok\n> basic.publish exchange=%x key=k body=x\n< {MISSING} (60,40)"),
        ),
        case(
            "CH-35 EXC-17",
            "publish to an internal exchange",
            "> exchange.declare exchange=%x type=fanout internal\n< exchange.declare-ok\n> basic.publish exchange=%x key=k body=x
             < chan 403 \"ACCESS_REFUSED - cannot publish to internal exchange '%x' in vhost '/'\" (60,40)
             > channel.open\n< channel.open-ok ''\n> exchange.delete exchange=%x\n< exchange.delete-ok",
        ),
        case(
            "CH-35 EXC-07",
            "publish to the trace exchange",
            "> basic.publish exchange=amq.rabbitmq.trace key=k body=x
             < chan 403 \"ACCESS_REFUSED - cannot publish to internal exchange 'amq.rabbitmq.trace' in vhost '/'\" (60,40)",
        ),
    ]
}
