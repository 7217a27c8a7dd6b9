//! Arguments and constraints of quorum queues and streams: chapter 4.3.

use crate::script::{Case, case};

pub fn cases() -> Vec<Case> {
    let mut cases = quorum();
    cases.extend(streams());
    cases.extend(foreign());
    cases.extend(constraints());
    cases
}

/// A durable declare of a type that is refused with the given detail.
fn refused(ids: &str, kind: &str, arguments: &str, detail: &str) -> Case {
    let key = arguments.split('=').next().unwrap_or_default();
    let text = format!("PRECONDITION_FAILED - invalid arg '{key}' for queue '%q' in vhost '/': {detail}");
    declared(ids, kind, "durable", arguments, "refused", &format!("chan 406 \"{text}\" (50,10)"))
}

/// A declare with which nothing is wrong.
fn valid(ids: &str, kind: &str, arguments: &str) -> Case {
    declared(ids, kind, "durable", arguments, "valid", "queue.declare-ok %q 0 0")
}

fn declared(ids: &str, kind: &str, flags: &str, arguments: &str, verdict: &str, answer: &str) -> Case {
    case(
        ids,
        &format!("{kind} {flags} {{{arguments}}} {verdict}"),
        &format!(
            "> queue.declare queue=%q {flags} arguments={{x-queue-type='{kind}' {arguments}}}\n< {answer}"
        ),
    )
}

fn quorum() -> Vec<Case> {
    vec![
        valid("QUE-31", "quorum", "x-message-ttl=I60000 x-max-length=I10 x-overflow='reject-publish'"),
        refused("QUE-27", "quorum", "x-dead-letter-strategy='bogus'", "invalid_dlx_strategy"),
        valid("QUE-27 QUE-31", "quorum", "x-dead-letter-strategy='at-least-once'"),
        valid("QUE-33 QUE-31", "quorum", "x-delivery-limit=I5"),
        valid("QUE-33 QUE-31", "quorum", "x-delivery-limit=I-1"),
        refused("QUE-34", "quorum", "x-quorum-initial-group-size=I0", "{value_zero,0}"),
        refused("QUE-35", "quorum", "x-queue-leader-locator='bogus'", "invalid_queue_locator_arg"),
        valid("QUE-37 QUE-31", "quorum", "x-max-in-memory-length=I0 x-max-in-memory-bytes=I0"),
        refused("QUE-37", "quorum", "x-max-in-memory-length=I-1", "{value_negative,-1}"),
        refused("QUE-22", "quorum", "x-max-length=I-1", "{value_negative,-1}"),
    ]
}

fn streams() -> Vec<Case> {
    vec![
        valid("QUE-31 QUE-38", "stream", "x-max-age='7D'"),
        refused("QUE-38", "stream", "x-max-age='5x'", "invalid_max_age"),
        refused("QUE-38 QRK-03", "stream", "x-max-age='D'", "invalid_max_age"),
        refused("QUE-38", "stream", "x-max-age=I5", "{unacceptable_type,signedint}"),
        declared(
            "QUE-39",
            "stream",
            "durable",
            "x-stream-max-segment-size-bytes=l3000000001",
            "refused",
            "chan 406 \"PRECONDITION_FAILED - Exceeded max value for x-stream-max-segment-size-bytes\" (50,10)",
        ),
        refused("QUE-41", "stream", "x-initial-cluster-size=I0", "{value_zero,0}"),
        refused("QUE-23", "stream", "x-max-length-bytes=I-1", "{value_negative,-1}"),
    ]
}

/// Arguments that belong to another type.
fn foreign() -> Vec<Case> {
    let foreign = |kind: &str, arguments: &str| {
        let key = arguments.split('=').next().unwrap_or_default();
        let text = format!(
            "PRECONDITION_FAILED - invalid arg '{key}' for queue '%q' in vhost '/' of queue type rabbit_{kind}_queue"
        );
        declared("QUE-45", kind, "durable", arguments, "refused", &format!("chan 406 \"{text}\" (50,10)"))
    };
    vec![
        foreign("quorum", "x-max-priority=I5"),
        foreign("quorum", "x-max-age='1D'"),
        foreign("classic", "x-max-age='1D'"),
        foreign("classic", "x-delivery-limit=I5"),
        foreign("classic", "x-dead-letter-strategy='at-most-once'"),
        foreign("classic", "x-quorum-initial-group-size=I3"),
        foreign("classic", "x-stream-max-segment-size-bytes=I1000000"),
        foreign("stream", "x-message-ttl=I5"),
        foreign("stream", "x-expires=I5000"),
        foreign("stream", "x-max-length=I5"),
        foreign("stream", "x-overflow='drop-head'"),
        foreign("stream", "x-single-active-consumer=t1"),
        refused("QUE-46", "classic", "x-message-ttl=I-1 x-max-age='1D'", "{value_negative,-1}"),
        refused("QUE-46", "quorum", "x-max-length=I-1 x-max-priority=I5", "{value_negative,-1}"),
    ]
}

fn constraints() -> Vec<Case> {
    let property = |ids: &str, kind: &str, flags: &str, property: &str| {
        let text = format!("PRECONDITION_FAILED - invalid property '{property}' for queue '%q' in vhost '/'");
        declared(ids, kind, flags, "", "refused", &format!("chan 406 \"{text}\" (50,10)"))
    };
    let unnamed = |kind: &str| {
        let text =
            format!("PRECONDITION_FAILED - Cannot declare a server-named queue for type rabbit_{kind}_queue");
        case(
            "QUE-03",
            &format!("a server-named {kind} queue"),
            &format!(
                "> queue.declare durable arguments={{x-queue-type='{kind}'}}\n< chan 406 \"{text}\" (50,10)"
            ),
        )
    };
    vec![
        unnamed("quorum"),
        unnamed("stream"),
        property("QUE-50", "quorum", "", "non-durable"),
        property("QUE-50", "stream", "", "non-durable"),
        property("QUE-51", "quorum", "durable exclusive", "exclusive-owner"),
        property("QUE-51", "stream", "durable exclusive", "exclusive-owner"),
        property("QUE-52", "quorum", "durable auto-delete", "auto-delete"),
        property("QUE-52", "stream", "durable auto-delete", "auto-delete"),
    ]
}
