//! Queue arguments of classic queues and how bad values are refused: chapter 4.3.

use crate::script::{Case, case};

pub fn cases() -> Vec<Case> {
    let mut cases = integers();
    cases.extend(limits());
    cases.extend(strings());
    cases.extend(tolerated());
    cases
}

/// A declare that is refused with the given detail.
fn refused(ids: &str, arguments: &str, detail: &str) -> Case {
    let key = arguments.split('=').next().unwrap_or_default();
    case(
        ids,
        &format!("refused {{{arguments}}}"),
        &format!(
            "> queue.declare queue=%q arguments={{{arguments}}}\n< chan 406 \"PRECONDITION_FAILED - invalid arg '{key}' for queue '%q' in vhost '/': {detail}\" (50,10)"
        ),
    )
}

/// A declare that is accepted.
fn accepted(ids: &str, arguments: &str) -> Case {
    case(
        ids,
        &format!("accepted {{{arguments}}}"),
        &format!("> queue.declare queue=%q exclusive arguments={{{arguments}}}\n< queue.declare-ok %q 0 0"),
    )
}

/// Every integer argument refuses other types in the same words.
fn integers() -> Vec<Case> {
    let mut cases = Vec::new();
    for (id, key) in [
        ("QUE-20", "x-message-ttl"),
        ("QUE-21", "x-expires"),
        ("QUE-22", "x-max-length"),
        ("QUE-23", "x-max-length-bytes"),
        ("QUE-28", "x-max-priority"),
    ] {
        cases.push(refused(id, &format!("{key}='5'"), "\"expected integer, got longstr\""));
        cases.push(refused(id, &format!("{key}=d5.5"), "\"expected integer, got double\""));
        cases.push(refused(id, &format!("{key}=t1"), "\"expected integer, got bool\""));
        cases.push(refused(id, &format!("{key}=I-1"), "{value_negative,-1}"));
    }
    for kind in ["b", "B", "s", "u", "I", "i", "l", "L"] {
        cases.push(accepted("QUE-20", &format!("x-message-ttl={kind}60")));
    }
    cases
}

fn limits() -> Vec<Case> {
    let too_large = "{value_too_large,315360000001}";
    vec![
        accepted("QUE-20 WIR-74", "x-message-ttl=I0"),
        accepted("QUE-20 WIR-74", "x-message-ttl=l315360000000"),
        refused("QUE-20 WIR-74", "x-message-ttl=l315360000001", too_large),
        refused("QUE-21", "x-expires=I0", "{value_zero,0}"),
        accepted("QUE-21", "x-expires=l315360000000"),
        refused("QUE-21", "x-expires=l315360000001", too_large),
        accepted("QUE-22", "x-max-length=I0"),
        accepted("QUE-23", "x-max-length-bytes=l9223372036854775807"),
        accepted("QUE-28", "x-max-priority=B255"),
        accepted("QUE-28", "x-max-priority=I0"),
        refused("QUE-28 WIR-75", "x-max-priority=I256", "{max_value_exceeded,256}"),
    ]
}

fn strings() -> Vec<Case> {
    vec![
        accepted("QUE-24", "x-overflow='drop-head'"),
        accepted("QUE-24", "x-overflow='reject-publish'"),
        accepted("QUE-24", "x-overflow='reject-publish-dlx'"),
        refused("QUE-24", "x-overflow='bogus'", "invalid_overflow"),
        refused("QUE-24", "x-overflow=I5", "{unacceptable_type,signedint}"),
        accepted("QUE-25", "x-dead-letter-exchange='%nowhere'"),
        accepted("QUE-25", "x-dead-letter-exchange=''"),
        case(
            "QUE-25",
            "refused {x-dead-letter-exchange=I5}",
            r#"> queue.declare queue=%q arguments={x-dead-letter-exchange=I5}
               < chan 406 "PRECONDITION_FAILED - invalid type 'signedint' for arg 'x-dead-letter-exchange' in queue '%q' in vhost '/'" (50,10)"#,
        ),
        accepted("QUE-26", "x-dead-letter-exchange='' x-dead-letter-routing-key='k'"),
        refused("QUE-26", "x-dead-letter-routing-key='k'", "routing_key_but_no_dlx_defined"),
        refused("QUE-26", "x-dead-letter-routing-key=I5", "{unacceptable_type,signedint}"),
        accepted("QUE-29", "x-queue-mode='default'"),
        accepted("QUE-29 VER-21", "x-queue-mode='lazy'"),
        accepted("QUE-30", "x-queue-version=I1"),
        accepted("QUE-30", "x-queue-version=I2"),
        accepted("QUE-31", "x-queue-type='classic'"),
        refused("QUE-31", "x-queue-type='bogus'", "\"unsupported queue type 'bogus'\""),
        refused("QUE-31", "x-queue-type=I5", "{unacceptable_type,signedint}"),
        accepted("QUE-32", "x-single-active-consumer=t1"),
        accepted("QUE-32", "x-single-active-consumer=t0"),
        refused("QUE-32", "x-single-active-consumer='true'", "{unacceptable_type,longstr}"),
        refused("QUE-32", "x-single-active-consumer=I1", "{unacceptable_type,signedint}"),
        accepted("QUE-36", "x-queue-master-locator='min-masters'"),
        case(
            "QUE-36 VER-25",
            "accepted {x-queue-master-locator='bogus'}",
            "> queue.declare queue=%q arguments={x-queue-master-locator='bogus'}\n< queue.declare-ok %q 0 0",
        ),
        accepted("QUE-35 VER-24", "x-queue-leader-locator='client-local'"),
    ]
}

fn tolerated() -> Vec<Case> {
    vec![
        accepted("QUE-44", "x-foo='bar' foo=I1"),
        accepted("QUE-44 VER-23", "x-cancel-on-ha-failover=t1"),
        accepted("QUE-43 QUE-44", "x-message-deduplication=t1"),
        accepted(
            "APP-10",
            "x-expires=I60000 x-message-ttl=I5000 x-max-length=I10 x-overflow='drop-head' x-max-priority=I9",
        ),
        case(
            "APP-10",
            "what celery's reply queues ask for",
            "> queue.declare queue=%q auto-delete arguments={x-expires=i10000 x-message-ttl=i10000}\n< queue.declare-ok %q 0 0",
        ),
    ]
}
