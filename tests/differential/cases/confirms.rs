//! Publisher confirms: chapter 6.1.

use crate::script::{Case, case};

pub fn cases() -> Vec<Case> {
    let on = "> queue.declare queue=%q exclusive\n< queue.declare-ok %q 0 0\n> confirm.select\n< confirm.select-ok";
    let confirmed = |ids: &str, title: &str, lines: &str| case(ids, title, &format!("{on}\n{lines}"));
    vec![
        case("CNF-01", "select twice", "> confirm.select\n< confirm.select-ok\n> confirm.select\n< confirm.select-ok"),
        case(
            "CNF-01 CH-07",
            "select without an answer",
            "> confirm.select nowait\n< quiet\n> basic.publish exchange=amq.fanout body=x\n< confirms ack 1",
        ),
        case(
            "CNF-01 CON-36",
            "confirms for a client without capabilities",
            "> login caps=none\n> confirm.select\n< confirm.select-ok\n> basic.publish key=%nowhere body=x\n< confirms ack 1",
        ),
        case(
            "CNF-02",
            "only what is published after the select counts",
            "> queue.declare queue=%q exclusive\n< queue.declare-ok %q 0 0\n> basic.publish key=%q body=before\n> confirm.select\n< confirm.select-ok
             > basic.publish key=%q body=after\n< confirms ack 1\n< quiet",
        ),
        confirmed("CNF-03", "a single confirm", "> basic.publish key=%q body=x\n< basic.ack 1 false"),
        confirmed(
            "CNF-03 CNF-12",
            "ten confirms, grouped in any way",
            &format!("{}< confirms ack 1 2 3 4 5 6 7 8 9 10\n< quiet", "> basic.publish key=%q body=x\n".repeat(10)),
        ),
        confirmed("CNF-05", "unroutable is confirmed", "> basic.publish key=%nowhere body=x\n< confirms ack 1"),
        confirmed(
            "CNF-05 BAS-98",
            "unroutable and mandatory: the return comes first",
            "> basic.publish key=%nowhere mandatory body=x\n< return 312 \"NO_ROUTE\" ex= rk=%nowhere body=x\n< confirms ack 1",
        ),
        confirmed(
            "CNF-06",
            "a publish that closes the channel is never confirmed",
            "> basic.publish key=%q body=x\n< confirms ack 1\n> basic.publish exchange=%x body=x
             < chan 404 \"NOT_FOUND - no exchange '%x' in vhost '/'\" (60,40)\n> channel.open\n< channel.open-ok ''\n< quiet",
        ),
        case(
            "CNF-07",
            "a persistent message in a durable queue",
            "> queue.declare queue=%q durable\n< queue.declare-ok %q 0 0\n> confirm.select\n< confirm.select-ok
             > basic.publish key=%q delivery-mode=2 body=x\n< confirms ack 1\n> queue.delete queue=%q\n< queue.delete-ok 1",
        ),
        confirmed(
            "CNF-07",
            "a message for several queues is confirmed once",
            "> queue.declare queue=%r exclusive\n< queue.declare-ok %r 0 0\n> basic.publish key=%q headers={CC=['%r']} body=x\n< confirms ack 1\n< quiet",
        ),
        confirmed(
            "CNF-07 BAS-84",
            "a direct reply is confirmed at once",
            "> basic.publish key=amq.rabbitmq.reply-to.nobody body=x\n< confirms ack 1",
        ),
        confirmed(
            "CNF-08",
            "one full queue of two nacks, the other keeps its copy",
            "> queue.declare queue=%full exclusive arguments={x-max-length=I0 x-overflow='reject-publish'}\n< queue.declare-ok %full 0 0
             > basic.publish key=%q headers={CC=['%full']} body=x\n< confirms nack 1\n> queue.purge queue=%q\n< queue.purge-ok 1",
        ),
        confirmed(
            "CNF-09",
            "a message dropped on arrival is acked",
            "> queue.declare queue=%zero exclusive arguments={x-max-length=I0}\n< queue.declare-ok %zero 0 0\n> basic.publish key=%zero body=x
             < confirms ack 1\n> basic.get queue=%zero\n< get-empty",
        ),
        confirmed(
            "CNF-11",
            "a full queue nacks a mandatory publish and returns nothing",
            "> queue.declare queue=%full exclusive arguments={x-max-length=I0 x-overflow='reject-publish'}\n< queue.declare-ok %full 0 0
             > basic.publish key=%full mandatory body=x\n< confirms nack 1\n< quiet",
        ),
        confirmed(
            "CNF-04 QRK-07",
            "a nack is for one message",
            "> queue.declare queue=%full exclusive arguments={x-max-length=I0 x-overflow='reject-publish'}\n< queue.declare-ok %full 0 0
             > basic.publish key=%full body=x\n< basic.nack 1 false …",
        ),
        confirmed(
            "CNF-13",
            "other channels are not confirmed",
            "a2> basic.publish key=%q body=x\na2< quiet\n> basic.publish key=%q body=y\n< confirms ack 1",
        ),
        confirmed(
            "CNF-13 CNF-02",
            "a reopened channel starts without confirms",
            "> channel.close code=200\n< channel.close-ok\n> channel.open\n< channel.open-ok ''\n> basic.publish key=%q body=x\n< quiet",
        ),
    ]
}
