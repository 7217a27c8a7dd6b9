//! Redeclaring a queue with other attributes: chapter 4.4.

use crate::script::{Case, case};

pub fn cases() -> Vec<Case> {
    let mut cases = flags();
    cases.extend(arguments());
    cases
}

/// Declares `%q` twice; the second is answered with a 406 about the argument.
fn differs(ids: &str, title: &str, first: &str, second: &str, key: &str, detail: &str) -> Case {
    case(
        ids,
        title,
        &format!(
            "> queue.declare queue=%q {first}\n< queue.declare-ok %q 0 0\n> queue.declare queue=%q {second}
             < chan 406 \"PRECONDITION_FAILED - inequivalent arg '{key}' for queue '%q' in vhost '/': {detail}\" (50,10)"
        ),
    )
}

/// Declares `%q` twice; both are accepted.
fn same(ids: &str, title: &str, first: &str, second: &str) -> Case {
    case(
        ids,
        title,
        &format!(
            "> queue.declare queue=%q {first}\n< queue.declare-ok %q 0 0\n> queue.declare queue=%q {second}\n< queue.declare-ok %q 0 0"
        ),
    )
}

fn flags() -> Vec<Case> {
    vec![
        differs("QUE-61", "not durable", "durable", "", "durable", "received 'false' but current is 'true'"),
        differs("QUE-61", "durable", "", "durable", "durable", "received 'true' but current is 'false'"),
        differs(
            "QUE-61",
            "auto-delete",
            "",
            "auto-delete",
            "auto_delete",
            "received 'true' but current is 'false'",
        ),
        differs(
            "QUE-60",
            "durable is compared before auto-delete and arguments",
            "",
            "durable auto-delete arguments={x-max-length=I5}",
            "durable",
            "received 'true' but current is 'false'",
        ),
        differs(
            "QUE-60",
            "auto-delete is compared before arguments",
            "",
            "auto-delete arguments={x-max-length=I5}",
            "auto_delete",
            "received 'true' but current is 'false'",
        ),
        case(
            "QUE-60",
            "the owner is compared first",
            r#"> queue.declare queue=%q
               < queue.declare-ok %q 0 0
               > queue.declare queue=%q exclusive durable auto-delete
               < chan 405 "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '%q' in vhost '/'. It could be originally declared on another connection or the exclusive property value does not match that of the original declaration." (50,10)"#,
        ),
        same(
            "QUE-60",
            "everything equal",
            "auto-delete arguments={x-max-length=I5}",
            "auto-delete arguments={x-max-length=I5}",
        ),
    ]
}

fn arguments() -> Vec<Case> {
    let is_none = |value: &str, kind: &str| {
        format!("received the value '{value}' of type '{kind}' but current is none")
    };
    let was = |value: &str, kind: &str| {
        format!("received none but current is the value '{value}' of type '{kind}'")
    };
    let mut cases = vec![
        same("QUE-62", "unknown arguments never matter", "arguments={x-foo=I1}", "arguments={foo='bar'}"),
        same(
            "QUE-64",
            "integer widths do not matter",
            "arguments={x-max-length=s5}",
            "arguments={x-max-length=l5}",
        ),
        same("QUE-65", "no type is classic", "", "arguments={x-queue-type='classic'}"),
        same("QUE-65", "classic is no type", "arguments={x-queue-type='classic'}", ""),
        differs(
            "QUE-64",
            "another value",
            "arguments={x-max-length=I5}",
            "arguments={x-max-length=I6}",
            "x-max-length",
            "received '6' but current is '5'",
        ),
        differs(
            "QUE-63",
            "an explicit default is not the same as nothing",
            "",
            "arguments={x-overflow='drop-head'}",
            "x-overflow",
            &is_none("drop-head", "longstr"),
        ),
        differs(
            "QUE-66",
            "an invalid value is an inequivalence",
            "",
            "arguments={x-message-ttl=I-5}",
            "x-message-ttl",
            &is_none("-5", "signedint"),
        ),
        differs(
            "QUE-65",
            "quorum is not the default",
            "durable",
            "durable arguments={x-queue-type='quorum'}",
            "x-queue-type",
            &is_none("quorum", "longstr"),
        ),
    ];
    for (key, value, shown, kind) in [
        ("x-message-ttl", "b5", "5", "byte"),
        ("x-message-ttl", "B5", "5", "unsignedbyte"),
        ("x-expires", "s30000", "30000", "short"),
        ("x-expires", "u60000", "60000", "unsignedshort"),
        ("x-max-length", "I5", "5", "signedint"),
        ("x-max-length", "i5", "5", "unsignedint"),
        ("x-max-length-bytes", "l5", "5", "long"),
        ("x-max-length-bytes", "L5", "5", "long"),
        ("x-dead-letter-exchange", "'a'", "a", "longstr"),
        ("x-max-priority", "I5", "5", "signedint"),
        ("x-single-active-consumer", "t1", "true", "bool"),
    ] {
        cases.push(differs(
            "QUE-63 QUE-67",
            &format!("{key}={value} where there was none"),
            "",
            &format!("arguments={{{key}={value}}}"),
            key,
            &is_none(shown, kind),
        ));
        cases.push(differs(
            "QUE-63 QUE-67",
            &format!("none where there was {key}={value}"),
            &format!("arguments={{{key}={value}}}"),
            "",
            key,
            &was(shown, kind),
        ));
    }
    cases
}
