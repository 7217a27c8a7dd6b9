//! Transactions: chapter 6.2.

use crate::script::{Case, case};

pub fn cases() -> Vec<Case> {
    let mut cases = publishes();
    cases.extend(settlements());
    cases
}

/// A queue, and channel 1 in a transaction.
fn begun(ids: &str, title: &str, lines: &str) -> Case {
    let head =
        "a2> queue.declare queue=%q exclusive\na2< queue.declare-ok %q 0 0\n> tx.select\n< tx.select-ok";
    case(ids, title, &format!("{head}\n{lines}"))
}

fn publishes() -> Vec<Case> {
    vec![
        begun("TX-01", "select twice", "> tx.select\n< tx.select-ok"),
        begun("TX-04", "an empty commit", "> tx.commit\n< tx.commit-ok"),
        begun("TX-05", "an empty rollback", "> tx.rollback\n< tx.rollback-ok"),
        begun(
            "TX-03 TX-04",
            "publishes are visible after the commit, in order",
            "> basic.publish key=%q body=m1\n> basic.publish key=%q body=m2\n< quiet\na2> basic.get queue=%q\na2< get-empty\n> tx.commit\n< tx.commit-ok
             a2> basic.get queue=%q no-ack\na2< get-ok tag=1 redelivered=false ex= rk=%q left=1 body=m1
             a2> basic.get queue=%q no-ack\na2< get-ok tag=2 redelivered=false ex= rk=%q left=0 body=m2",
        ),
        begun(
            "TX-04",
            "a new transaction begins by itself",
            "> basic.publish key=%q body=m1\n> tx.commit\n< tx.commit-ok\n> basic.publish key=%q body=m2\n< quiet
             a2> basic.get queue=%q no-ack\na2< get-ok tag=1 redelivered=false ex= rk=%q left=0 body=m1\na2> basic.get queue=%q\na2< get-empty
             > tx.rollback\n< tx.rollback-ok\na2> basic.get queue=%q\na2< get-empty",
        ),
        begun(
            "TX-05",
            "rollback drops publishes",
            "> basic.publish key=%q body=m1\n> tx.rollback\n< tx.rollback-ok\n> tx.commit\n< tx.commit-ok\na2> basic.get queue=%q\na2< get-empty",
        ),
        begun(
            "TX-02",
            "a missing exchange closes the channel at the publish",
            "> basic.publish exchange=%x key=k body=x\n< chan 404 \"NOT_FOUND - no exchange '%x' in vhost '/'\" (60,40)",
        ),
        begun(
            "TX-02 CH-68",
            "a bad expiration too",
            "> basic.publish key=%q expiration=abc body=x\n< chan 406 \"PRECONDITION_FAILED - invalid expiration 'abc': no_integer\" (60,40)",
        ),
        begun(
            "TX-03",
            "returns come at the commit, before commit-ok",
            "> basic.publish key=%nowhere mandatory body=x\n< quiet\n> tx.commit\n< return 312 \"NO_ROUTE\" ex= rk=%nowhere body=x\n< tx.commit-ok",
        ),
        begun(
            "TX-03",
            "routing is decided at the publish",
            "a2> queue.bind queue=%q exchange=amq.direct key=%k\na2< queue.bind-ok\n> basic.publish exchange=amq.direct key=%k body=x\n< quiet
             a2> queue.unbind queue=%q exchange=amq.direct key=%k\na2< queue.unbind-ok\n> tx.commit\n< tx.commit-ok
             a2> basic.get queue=%q\na2< get-ok tag=1 redelivered=false ex=amq.direct rk=%k left=0 body=x",
        ),
        begun(
            "TX-07",
            "a queue that refuses a message",
            "> queue.declare queue=%full exclusive arguments={x-max-length=I0 x-overflow='reject-publish'}\n< queue.declare-ok %full 0 0
             > basic.publish key=%q body=in\n> basic.publish key=%full body=out\n> tx.commit
             < chan 406 \"PRECONDITION_FAILED - partial tx completion\" (90,20)
             a2> basic.get queue=%q\na2< get-ok tag=1 redelivered=false ex= rk=%q left=0 body=in",
        ),
        begun(
            "TX-08",
            "closing the channel rolls back",
            "> basic.publish key=%q body=x\n> channel.close code=200\n< channel.close-ok\na2> basic.get queue=%q\na2< get-empty",
        ),
        begun(
            "TX-01",
            "declares and gets are immediate",
            "a2> basic.publish key=%q body=x\na2< quiet\n> basic.get queue=%q no-ack\n< get-ok tag=1 redelivered=false ex= rk=%q left=0 body=x
             > queue.declare queue=%r exclusive\n< queue.declare-ok %r 0 0\n> tx.rollback\n< tx.rollback-ok\na2> queue.declare queue=%r passive\na2< queue.declare-ok %r 0 0",
        ),
    ]
}

fn settlements() -> Vec<Case> {
    let got = "a2> basic.publish key=%q body=x\na2< quiet\n> basic.get queue=%q\n< get-ok tag=1 redelivered=false ex= rk=%q left=0 body=x";
    vec![
        begun(
            "TX-02 CH-62",
            "a double ack is refused at once",
            &format!("{got}\n> basic.ack tag=1\n> basic.ack tag=1\n< chan 406 \"PRECONDITION_FAILED - unknown delivery tag 1\" (60,80)"),
        ),
        begun(
            "TX-05",
            "rollback of an ack: the delivery is unacked again, not requeued",
            &format!(
                "{got}\n> basic.ack tag=1\n> tx.rollback\n< tx.rollback-ok\na2> basic.get queue=%q\na2< get-empty\n> basic.ack tag=1\n> tx.commit\n< tx.commit-ok
                 > channel.close code=200\n< channel.close-ok\na2> basic.get queue=%q\na2< get-empty"
            ),
        ),
        begun(
            "TX-08",
            "an uncommitted ack does not survive the channel",
            &format!("{got}\n> basic.ack tag=1\n> channel.close code=200\n< channel.close-ok\na2> basic.get queue=%q\na2< get-ok tag=1 redelivered=true ex= rk=%q left=0 body=x"),
        ),
        begun(
            "TX-04",
            "a committed ack does",
            &format!("{got}\n> basic.ack tag=1\n> tx.commit\n< tx.commit-ok\n> channel.close code=200\n< channel.close-ok\na2> basic.get queue=%q\na2< get-empty"),
        ),
        begun(
            "TX-09",
            "a requeue takes effect at the commit",
            &format!(
                "{got}\n> basic.reject tag=1 requeue\n< quiet\na2> basic.get queue=%q\na2< get-empty\n> tx.commit\n< tx.commit-ok
                 a2> basic.get queue=%q\na2< get-ok tag=1 redelivered=true ex= rk=%q left=0 body=x"
            ),
        ),
    ]
}
