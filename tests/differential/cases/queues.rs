//! Declaring, naming, owning, emptying and losing queues: chapters 4.1, 4.2 and 4.5.

use crate::script::{Case, case};

/// A shared queue, made by the other connection so that it outlives the first.
const GONE: &str = r#"chan 404 "NOT_FOUND - no queue '%q' in vhost '/'" (50,10)"#;

pub fn cases() -> Vec<Case> {
    let mut cases = declare();
    cases.extend(last_declared());
    cases.extend(lifetimes());
    cases.extend(deletion());
    cases
}

fn declare() -> Vec<Case> {
    vec![
        case(
            "QUE-01 QRK-05",
            "declare-ok counts ready messages, not unacked ones, and consumers",
            "> queue.declare queue=%q exclusive\n< queue.declare-ok %q 0 0\n> confirm.select\n< confirm.select-ok
             > basic.publish key=%q body=m1\n> basic.publish key=%q body=m2\n> basic.publish key=%q body=m3\n< confirms ack 1 2 3
             > queue.declare queue=%q exclusive\n< queue.declare-ok %q 3 0
             > basic.get queue=%q\n< get-ok tag=1 redelivered=false ex= rk=%q left=2 body=m1
             > queue.declare queue=%q passive\n< queue.declare-ok %q 2 0
             a2> basic.qos prefetch-count=1\na2< basic.qos-ok\na2> basic.consume queue=%q tag=c\na2< basic.consume-ok c
             a2< deliver c tag=1 redelivered=false ex= rk=%q body=m2
             > queue.declare queue=%q passive\n< queue.declare-ok %q 1 1",
        ),
        case(
            "QUE-02",
            "passive ignores flags and arguments",
            "> queue.declare queue=%q\n< queue.declare-ok %q 0 0
             > queue.declare queue=%q passive durable auto-delete arguments={x-message-ttl='bogus'}\n< queue.declare-ok %q 0 0",
        ),
        case("QUE-03", "a server-made name", "> queue.declare exclusive\n< queue.declare-ok %gen 0 0"),
        case(
            "QUE-03 QUE-06",
            "each empty name makes another queue",
            "> queue.declare exclusive\n< queue.declare-ok %gen 0 0\n> queue.declare exclusive\n< queue.declare-ok %gen2 0 0
             > queue.declare queue=%gen passive\n< queue.declare-ok %gen 0 0",
        ),
        case(
            "WIR-70",
            "a name of 255 octets",
            &format!(
                "> queue.delete queue={0}\n< queue.delete-ok 0\n> queue.declare queue={0} exclusive\n< queue.declare-ok {0} 0 0",
                "z".repeat(255)
            ),
        ),
    ]
}

fn last_declared() -> Vec<Case> {
    vec![
        case(
            "QUE-05",
            "the empty name is the last declared queue",
            "> queue.declare queue=%q exclusive\n< queue.declare-ok %q 0 0\n> queue.bind exchange=amq.direct key=%k\n< queue.bind-ok
             > basic.publish exchange=amq.direct key=%k body=x\n> basic.get no-ack\n< get-ok tag=1 redelivered=false ex=amq.direct rk=%k left=0 body=x
             > basic.consume tag=c\n< basic.consume-ok c\n> queue.purge\n< queue.purge-ok 0\n> queue.unbind exchange=amq.direct key=%k\n< queue.unbind-ok
             > queue.delete\n< queue.delete-ok 0",
        ),
        case(
            "QUE-05",
            "an empty queue and an empty key are both its name",
            "> queue.declare queue=%q exclusive\n< queue.declare-ok %q 0 0\n> queue.bind exchange=amq.direct\n< queue.bind-ok
             > basic.publish exchange=amq.direct key=%q body=x\n> basic.get no-ack\n< get-ok tag=1 redelivered=false ex=amq.direct rk=%q left=0 body=x
             > queue.unbind exchange=amq.direct\n< queue.unbind-ok\n> basic.publish exchange=amq.direct key=%q mandatory body=y
             < return 312 \"NO_ROUTE\" ex=amq.direct rk=%q body=y",
        ),
        case(
            "QUE-05",
            "a named queue with an empty key is bound under the empty key",
            "> queue.declare queue=%q exclusive\n< queue.declare-ok %q 0 0\n> queue.bind queue=%q exchange=amq.direct\n< queue.bind-ok
             > basic.publish exchange=amq.direct key=%q mandatory body=y\n< return 312 \"NO_ROUTE\" ex=amq.direct rk=%q body=y
             > queue.unbind queue=%q exchange=amq.direct\n< queue.unbind-ok",
        ),
        case(
            "QUE-05",
            "a passive declare counts, other channels do not see it",
            "> queue.declare queue=%q exclusive\n< queue.declare-ok %q 0 0\na2> queue.declare queue=%q passive\na2< queue.declare-ok %q 0 0
             a2> queue.purge\na2< queue.purge-ok 0\na3> queue.purge\na3< chan 404 \"NOT_FOUND - no previously declared queue\" (50,30)",
        ),
        case(
            "QUE-05",
            "it is remembered after its deletion",
            "> queue.declare queue=%q exclusive\n< queue.declare-ok %q 0 0\n> queue.delete\n< queue.delete-ok 0
             > queue.purge\n< chan 404 \"NOT_FOUND - no queue '%q' in vhost '/'\" (50,30)",
        ),
    ]
}

fn lifetimes() -> Vec<Case> {
    let auto = "> queue.declare queue=%q auto-delete\n< queue.declare-ok %q 0 0\n> basic.consume queue=%q tag=c\n< basic.consume-ok c";
    vec![
        case(
            "QUE-10",
            "an exclusive queue survives its channel and serves the whole connection",
            "> queue.declare queue=%q exclusive\n< queue.declare-ok %q 0 0\n> channel.close code=200\n< channel.close-ok
             a2> queue.declare queue=%q exclusive\na2< queue.declare-ok %q 0 0",
        ),
        case(
            "QUE-10 CON-74",
            "an exclusive queue goes with the socket",
            "> queue.declare queue=%other\n< queue.declare-ok %other 0 0\nb> queue.declare queue=%q exclusive\nb< queue.declare-ok %q 0 0
             b> queue.bind queue=%q exchange=amq.fanout\nb< queue.bind-ok\nb> basic.consume queue=%other tag=c exclusive\nb< basic.consume-ok c
             > basic.publish key=%other body=x\nb< deliver c tag=1 redelivered=false ex= rk=%other body=x\nb> hangup
             > retry queue.declare queue=%q exclusive\n< queue.declare-ok %q 0 0",
        ),
        case(
            "QUE-11",
            "durable makes no difference to an exclusive queue",
            "> queue.declare queue=%q exclusive durable\n< queue.declare-ok %q 0 0\n> queue.declare queue=%q exclusive\n< queue.declare-ok %q 0 0",
        ),
        case(
            "QUE-12",
            "auto-delete by cancel",
            &format!("{auto}\n> basic.cancel tag=c\n< basic.cancel-ok c\n> queue.declare queue=%q passive\n< {GONE}"),
        ),
        case(
            "QUE-12",
            "auto-delete by closing the channel",
            &format!("{auto}\n> channel.close code=200\n< channel.close-ok\na2> queue.declare queue=%q passive\na2< {GONE}"),
        ),
        case(
            "QUE-12",
            "auto-delete by closing the connection",
            &format!("{auto}\na0> connection.close code=200\na0< connection.close-ok\nb> queue.declare queue=%q passive\nb< {GONE}"),
        ),
        case(
            "QUE-12",
            "not while another consumer is left",
            &format!(
                "{auto}\n> basic.consume queue=%q tag=d\n< basic.consume-ok d\n> basic.cancel tag=c\n< basic.cancel-ok c
                 > queue.declare queue=%q passive\n< queue.declare-ok %q 0 1\n> basic.cancel tag=d\n< basic.cancel-ok d
                 > queue.declare queue=%q passive\n< {GONE}"
            ),
        ),
        case(
            "QUE-12",
            "a get does not count as a consumer",
            "> queue.declare queue=%q auto-delete\n< queue.declare-ok %q 0 0\n> basic.get queue=%q\n< get-empty
             > queue.declare queue=%q passive\n< queue.declare-ok %q 0 0",
        ),
        case(
            "QUE-12",
            "exclusive and auto-delete",
            &format!(
                "> queue.declare queue=%q auto-delete exclusive\n< queue.declare-ok %q 0 0\n> basic.consume queue=%q tag=c\n< basic.consume-ok c
                 > basic.cancel tag=c\n< basic.cancel-ok c\n> queue.declare queue=%q passive\n< {GONE}"
            ),
        ),
        case(
            "QUE-13 VER-20",
            "a transient shared queue",
            "> queue.declare queue=%q\n< queue.declare-ok %q 0 0\nb> queue.declare queue=%q\nb< queue.declare-ok %q 0 0",
        ),
        case(
            "QUE-70 DLX-02",
            "an unused queue expires, its messages are not dead-lettered",
            "> queue.declare queue=%d exclusive\n< queue.declare-ok %d 0 0
             > exchange.declare exchange=%x type=fanout auto-delete\n< exchange.declare-ok
             > queue.declare queue=%q arguments={x-expires=I200 x-dead-letter-exchange='' x-dead-letter-routing-key='%d'}
             < queue.declare-ok %q 0 0\n> queue.bind queue=%q exchange=%x\n< queue.bind-ok\n> confirm.select\n< confirm.select-ok
             > basic.publish key=%q body=x\n< confirms ack 1
             > retry exchange.declare exchange=%x passive\n< chan 404 \"NOT_FOUND - no exchange '%x' in vhost '/'\" (40,10)
             a2> queue.purge queue=%d\na2< queue.purge-ok 0",
        ),
        case(
            "QUE-70 BAS-29",
            "no expiry while there is a consumer",
            "> exchange.declare exchange=%x type=fanout auto-delete\n< exchange.declare-ok
             > queue.declare queue=%q arguments={x-expires=I100}\n< queue.declare-ok %q 0 0\n> queue.bind queue=%q exchange=%x
             < queue.bind-ok\n> basic.consume queue=%q tag=c\n< basic.consume-ok c
             # The heartbeats of an idle connection are the clock: one every 500 ms.
             b> login heartbeat=1\nb0< heartbeat\nb0< heartbeat\n> queue.declare queue=%q passive\n< queue.declare-ok %q 0 1
             > basic.cancel tag=c\n< basic.cancel-ok c
             > retry exchange.declare exchange=%x passive\n< chan 404 \"NOT_FOUND - no exchange '%x' in vhost '/'\" (40,10)
             a2> queue.purge queue=%q\na2< chan 404 \"NOT_FOUND - no queue '%q' in vhost '/'\" (50,30)",
        )
        .slow(),
    ]
}

fn deletion() -> Vec<Case> {
    vec![
        case(
            "QUE-14 BAS-29 CON-34",
            "consumers are told by basic.cancel, after the delete-ok",
            "> queue.declare queue=%q exclusive\n< queue.declare-ok %q 0 0\n> basic.consume queue=%q tag=c\n< basic.consume-ok c
             > queue.delete queue=%q\n< queue.delete-ok 0\n< basic.cancel c true",
        ),
        case(
            "QUE-14 BAS-29",
            "a consumer on another channel is told too, and its channel lives on",
            "> queue.declare queue=%q exclusive\n< queue.declare-ok %q 0 0\na2> basic.consume queue=%q tag=c\na2< basic.consume-ok c
             > queue.delete queue=%q\n<~ queue.delete-ok 0\n<~ ch2 basic.cancel c true\na2< quiet",
        ),
        case(
            "CON-34",
            "a client that cannot be told is not",
            "> login caps=authentication_failure_close\n> queue.declare queue=%q exclusive\n< queue.declare-ok %q 0 0
             > basic.consume queue=%q tag=c\n< basic.consume-ok c\n> queue.delete queue=%q\n< queue.delete-ok 0\n< quiet",
        ),
        case(
            "QUE-14",
            "delivery tags of a deleted queue can be settled",
            "> queue.declare queue=%q exclusive\n< queue.declare-ok %q 0 0\n> basic.publish key=%q body=x\n> basic.get queue=%q
             < get-ok tag=1 redelivered=false ex= rk=%q left=0 body=x\n> queue.delete queue=%q\n< queue.delete-ok 0\n> basic.ack tag=1\n< quiet",
        ),
        case(
            "QUE-15",
            "delete-ok counts ready messages only",
            "> queue.declare queue=%q exclusive\n< queue.declare-ok %q 0 0\n> basic.publish key=%q body=m1\n> basic.publish key=%q body=m2
             > basic.publish key=%q body=m3\n> basic.get queue=%q\n< get-ok tag=1 redelivered=false ex= rk=%q left=2 body=m1
             > queue.delete queue=%q\n< queue.delete-ok 2",
        ),
        case(
            "QUE-15",
            "purge leaves unacked messages, which return",
            "> queue.declare queue=%q exclusive\n< queue.declare-ok %q 0 0\n> basic.publish key=%q body=m1\n> basic.publish key=%q body=m2
             > basic.get queue=%q\n< get-ok tag=1 redelivered=false ex= rk=%q left=1 body=m1\n> queue.purge queue=%q\n< queue.purge-ok 1
             > basic.nack tag=1 requeue\n> basic.get queue=%q\n< get-ok tag=2 redelivered=true ex= rk=%q left=0 body=m1",
        ),
    ]
}
