//! The memory alarm as clients see it: chapter 9. Only leveret in this process can be told to be short
//! of memory, so these cases are not played against other brokers.

use crate::script::{Case, case};

/// A queue with a message in it that is large enough to be accounted at once, and confirms on channel 1.
const HEAD: &str =
    "> queue.declare queue=%q\n< queue.declare-ok %q 0 0\n> confirm.select\n< confirm.select-ok
                    > basic.publish key=%q body=100000*m\n< confirms ack 1";

pub fn cases() -> Vec<Case> {
    let alarmed =
        |ids: &str, title: &str, lines: &str| case(ids, title, &format!("{HEAD}\n{lines}")).alarmed();
    vec![
        alarmed(
            "ALM-02 ALM-04 ALM-05",
            "a publisher is told, waits, and is told again",
            "> alarm on\na2> basic.publish key=%q body=m2\na0< connection.blocked low on memory\na3> channel.open\n> alarm off
             a0< connection.unblocked\na3< channel.open-ok ''\na3> queue.purge queue=%q\na3< queue.purge-ok 2",
        ),
        alarmed(
            "ALM-02",
            "declare, get, consume and ack go on",
            "> alarm on\n> queue.declare queue=%r exclusive\n< queue.declare-ok %r 0 0\n> basic.get queue=%q
             < get-ok tag=1 redelivered=false ex= rk=%q left=0 body=100000*m\n> basic.nack tag=1 requeue\n> basic.consume queue=%q tag=c
             < basic.consume-ok c\n< deliver c tag=2 redelivered=true ex= rk=%q body=100000*m\n> basic.nack tag=2 requeue
             < deliver c tag=3 redelivered=true ex= rk=%q body=100000*m",
        ),
        alarmed(
            "ALM-06",
            "a new connection is let in, and blocked at its first publish",
            "> alarm on\nb> queue.declare queue=%q passive\nb< queue.declare-ok %q 1 0\nb> basic.publish key=%q body=x
             b0< connection.blocked low on memory",
        ),
        alarmed(
            "ALM-07 CON-35",
            "a client that cannot be told waits all the same",
            "b> login caps=none\nb1> confirm.select\nb1< confirm.select-ok\n> alarm on\nb1> basic.publish key=%q body=x\nb1> confirm.select
             > queue.declare queue=%q passive\n< queue.declare-ok %q …\n> alarm off\nb1<~ basic.ack 1 false\nb1<~ confirm.select-ok",
        ),
        alarmed(
            "ALM-09 QRK-12",
            "a blocked client may close",
            "> alarm on\na2> basic.publish key=%q body=m2\na0< connection.blocked low on memory
             a0> connection.close code=200 text=bye\na0< connection.close-ok",
        ),
        alarmed(
            "ALM-11 ALM-03",
            "a blocked connection still gets deliveries",
            "a2> basic.consume queue=%q tag=c\na2< basic.consume-ok c\na2< deliver c tag=1 redelivered=false ex= rk=%q body=100000*m
             b> basic.get queue=%q\nb< get-empty\n> alarm on\na3> basic.publish exchange=amq.fanout body=x\na0< connection.blocked low on memory
             b2> basic.consume queue=%q tag=d exclusive\nb2< chan 403 \"ACCESS_REFUSED - queue '%q' in vhost '/' in exclusive use\" (60,20)",
        ),
    ]
}
