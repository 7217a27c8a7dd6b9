//! What happens to a message on its way in: chapter 5.1.

use crate::script::{Case, case};

pub fn cases() -> Vec<Case> {
    let mut cases = properties();
    cases.extend(mandatory());
    cases.extend(copies());
    cases
}

/// Published and fetched: the content is the same.
fn round_trip(ids: &str, title: &str, properties: &str) -> Case {
    case(
        ids,
        title,
        &format!(
            "> queue.declare queue=%q exclusive\n< queue.declare-ok %q 0 0\n> basic.publish key=%q {properties} body=x
             > basic.get queue=%q no-ack\n< get-ok tag=1 redelivered=false ex= rk=%q left=0 {properties} body=x"
        ),
    )
}

fn properties() -> Vec<Case> {
    vec![
        round_trip(
            "BAS-01 BAS-04",
            "every property",
            "content-type=text/plain content-encoding=gzip headers={a=I1} delivery-mode=1 priority=3 correlation-id=c-1 \
             reply-to=somewhere expiration=60000 message-id=m-1 timestamp=1700000000 type=t user-id=guest app-id=app cluster-id=cl",
        ),
        round_trip("BAS-01", "headers keep their order, duplicates and odd booleans", "headers={z=I1 a=t2 z=I2 m=L5}"),
        round_trip("BAS-02", "empty keys and keys that are not UTF-8", r"headers={''=I1 '\xff\xfe'=I2}"),
        round_trip("BAS-02", "an empty headers table", "headers={}"),
        case(
            "BAS-04",
            "opaque properties pass as octets",
            r"> queue.declare queue=%q exclusive
              < queue.declare-ok %q 0 0
              > basic.publish key=%q correlation-id='\xff' message-id='\xfe' app-id='\x00' body=x
              > basic.get queue=%q
              < get-ok tag=1 redelivered=false ex= rk=%q left=0 correlation-id=\xff message-id=\xfe app-id=\x00 body=x",
        ),
        case(
            "BAS-09",
            "copies in several queues are independent",
            "> queue.declare queue=%q exclusive\n< queue.declare-ok %q 0 0\n> queue.declare queue=%r exclusive\n< queue.declare-ok %r 0 0
             > basic.publish key=%q headers={CC=['%r']} body=x\n> basic.get queue=%q\n< get-ok tag=1 redelivered=false ex= rk=%q left=0 headers={CC=['%r']} body=x
             > basic.nack tag=1 requeue\n> basic.get queue=%q\n< get-ok tag=2 redelivered=true ex= rk=%q left=0 headers={CC=['%r']} body=x
             > basic.get queue=%r\n< get-ok tag=3 redelivered=false ex= rk=%q left=0 headers={CC=['%r']} body=x",
        ),
    ]
}

fn mandatory() -> Vec<Case> {
    vec![
        case(
            "BAS-05",
            "mandatory and unroutable comes back whole",
            "> basic.publish exchange=amq.direct key=%k mandatory headers={a='b'} delivery-mode=2 message-id=m body=hello
             < return 312 \"NO_ROUTE\" ex=amq.direct rk=%k headers={a='b'} delivery-mode=2 message-id=m body=hello",
        ),
        case(
            "BAS-05",
            "mandatory and empty",
            "> basic.publish exchange=amq.direct key=%k mandatory\n< return 312 \"NO_ROUTE\" ex=amq.direct rk=%k body=",
        ),
        case("BAS-05", "not mandatory and unroutable vanishes", "> basic.publish exchange=amq.direct key=%k body=x\n< quiet"),
        case(
            "BAS-05",
            "one CC recipient is enough",
            "> queue.declare queue=%q exclusive\n< queue.declare-ok %q 0 0\n> basic.publish key=%nowhere mandatory headers={CC=['%q']} body=x\n< quiet
             > basic.get queue=%q\n< get-ok tag=1 redelivered=false ex= rk=%nowhere left=0 headers={CC=['%q']} body=x",
        ),
        case(
            "BAS-05 BAS-07",
            "a returned message lacks its BCC",
            "> basic.publish key=%nowhere mandatory headers={BCC=['%neither']} body=x\n< return 312 \"NO_ROUTE\" ex= rk=%nowhere headers={} body=x",
        ),
    ]
}

fn copies() -> Vec<Case> {
    let three = "> queue.declare queue=%q exclusive\n< queue.declare-ok %q 0 0\n> queue.declare queue=%r exclusive\n< queue.declare-ok %r 0 0
                 > queue.declare queue=%s exclusive\n< queue.declare-ok %s 0 0";
    vec![
        case(
            "BAS-06",
            "CC adds routing keys, once per queue",
            &format!(
                "{three}\n> basic.publish key=%q headers={{CC=['%r' '%s' '%r' '%q']}} body=x
                 > basic.get queue=%q\n< get-ok tag=1 redelivered=false ex= rk=%q left=0 headers={{CC=['%r' '%s' '%r' '%q']}} body=x
                 > basic.get queue=%r\n< get-ok tag=2 redelivered=false ex= rk=%q left=0 headers={{CC=['%r' '%s' '%r' '%q']}} body=x
                 > basic.get queue=%s\n< get-ok tag=3 redelivered=false ex= rk=%q left=0 headers={{CC=['%r' '%s' '%r' '%q']}} body=x"
            ),
        ),
        case(
            "BAS-07 BAS-03",
            "BCC is taken out",
            &format!(
                "{three}\n> basic.publish key=%q headers={{a=I1 BCC=['%r'] b=I2}} body=x
                 > basic.get queue=%q\n< get-ok tag=1 redelivered=false ex= rk=%q left=0 headers={{a=I1 b=I2}} body=x
                 > basic.get queue=%r\n< get-ok tag=2 redelivered=false ex= rk=%q left=0 headers={{a=I1 b=I2}} body=x"
            ),
        ),
        case(
            "BAS-07 BAS-06",
            "CC and BCC together",
            &format!(
                "{three}\n> basic.publish key=%q headers={{BCC=['%s'] CC=['%r']}} body=x
                 > basic.get queue=%s\n< get-ok tag=1 redelivered=false ex= rk=%q left=0 headers={{CC=['%r']}} body=x
                 > basic.get queue=%r\n< get-ok tag=2 redelivered=false ex= rk=%q left=0 headers={{CC=['%r']}} body=x"
            ),
        ),
        case(
            "BAS-06",
            "cc in lower case is an ordinary header",
            &format!("{three}\n> basic.publish key=%q headers={{cc=['%r']}} body=x\n> queue.purge queue=%q\n< queue.purge-ok 1\n> basic.get queue=%r\n< get-empty"),
        ),
        case(
            "BAS-06 EXC-10",
            "CC through a topic exchange",
            &format!(
                "{three}\n> queue.bind queue=%q exchange=amq.topic key=%a.*\n< queue.bind-ok\n> queue.bind queue=%r exchange=amq.topic key=%b.*\n< queue.bind-ok
                 > basic.publish exchange=amq.topic key=%a.x headers={{CC=['%b.x' '%a.y']}} body=x\n> queue.purge queue=%q\n< queue.purge-ok 1
                 > queue.purge queue=%r\n< queue.purge-ok 1"
            ),
        ),
    ]
}
