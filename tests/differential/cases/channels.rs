//! Channel numbers and the life of a channel: chapters 1.11 and 2.1.

use crate::script::{Case, case};

pub fn cases() -> Vec<Case> {
    let mut cases = numbers();
    cases.extend(life());
    cases
}

fn numbers() -> Vec<Case> {
    let on_zero = |title: &str, line: &str, ids: &str| {
        let text = "CHANNEL_ERROR - unexpected method in connection state running";
        case("CON-120", title, &format!("a0> {line}\na0< conn 504 \"{text}\" {ids}"))
    };
    let unimplemented = |ids: &str, title: &str, line: &str, numbers: &str| {
        let text = "COMMAND_INVALID - unimplemented method";
        case(ids, title, &format!("a1> sync\na1> {line}\na0< conn 503 \"{text}\" {numbers}"))
    };
    let not_open = |title: &str, line: &str, numbers: &str| {
        let text = "CHANNEL_ERROR - expected 'channel.open'";
        case("CON-124", title, &format!("a7!> {line}\na0< conn 504 \"{text}\" {numbers}"))
    };
    vec![
        on_zero("publish on channel 0", "basic.publish bare", "(60,40)"),
        on_zero("queue.declare on channel 0", "queue.declare queue=%q", "(50,10)"),
        on_zero("channel.open on channel 0", "channel.open", "(20,10)"),
        case(
            "CON-121",
            "a body on channel 0",
            "a0> body abc\na0< conn 505 \"UNEXPECTED_FRAME - type 3, all octets = …\" (0,0)",
        ),
        case(
            "CON-121",
            "a content header on channel 0",
            "a0> content size=0\na0< conn 505 \"UNEXPECTED_FRAME - type 2, … octets = …\" (0,0)",
        ),
        unimplemented("CON-122", "connection.close on a channel", "connection.close code=200 text=bye", "(10,50)"),
        unimplemented("CON-122", "connection.open on a channel", "connection.open vhost=/", "(10,40)"),
        unimplemented("CON-123", "channel.open-ok from the client", "channel.open-ok", "(20,11)"),
        unimplemented("CON-123", "basic.consume-ok from the client", "basic.consume-ok tag=c", "(60,21)"),
        unimplemented("CON-123", "queue.declare-ok from the client", "queue.declare-ok queue=%q", "(50,11)"),
        unimplemented("CON-126", "an unexpected channel.close-ok", "channel.close-ok", "(20,41)"),
        not_open("queue.declare on a channel that is not open", "queue.declare queue=%q", "(50,10)"),
        not_open("publish on a channel that is not open", "basic.publish body=x", "(60,40)"),
        not_open("channel.close on a channel that is not open", "channel.close code=200", "(20,40)"),
        case(
            "CON-124",
            "a method after close-ok",
            "a1> channel.close code=200 text=bye\na1< channel.close-ok\na1> basic.qos
             a0< conn 504 \"CHANNEL_ERROR - expected 'channel.open'\" (60,10)",
        ),
        case(
            "CON-124 CON-110",
            "a body on a channel that is not open",
            "a7!> body abc\na0< conn 505 \"UNEXPECTED_FRAME - expected method frame, got non method frame instead\" (0,0)",
        ),
        case(
            "CON-125",
            "channel.open on an open channel",
            "a1> sync\na1> channel.open\na0< conn 504 \"CHANNEL_ERROR - second 'channel.open' seen\" (20,10)",
        ),
        case(
            "CON-125",
            "channel.open before close-ok of the server's close",
            "a1> hold\na1> basic.ack tag=9\na1< chan 406 \"PRECONDITION_FAILED - unknown delivery tag 9\" (60,80)
             a1> channel.open\na0< conn 504 \"CHANNEL_ERROR - second 'channel.open' seen\" (20,10)",
        ),
        case(
            "CON-127",
            "channel-max counts channels, it does not bound their ids",
            "a> login channel-max=1\na7!> channel.open\na7< channel.open-ok ''",
        ),
        case(
            "CON-127",
            "channel ids up to 65535",
            "a> login\na3000!> channel.open\na3000< channel.open-ok ''\na65535!> channel.open\na65535< channel.open-ok ''",
        ),
        case(
            "CON-128",
            "one channel too many",
            "a> login channel-max=1\na1!> channel.open\na1< channel.open-ok ''\na2!> channel.open
             a0< conn 530 \"NOT_ALLOWED - number of channels opened (1) has reached the negotiated channel_max (1)\" (0,0)",
        ),
        case(
            "CON-128",
            "a closed channel makes room",
            "a> login channel-max=1\na1!> channel.open\na1< channel.open-ok ''\na1> channel.close code=200
             a1< channel.close-ok\na2!> channel.open\na2< channel.open-ok ''",
        ),
        case(
            "CON-130",
            "an id is free again after the client's close",
            "a1> channel.close code=200 text=bye\na1< channel.close-ok\na1> channel.open\na1< channel.open-ok ''",
        ),
        case(
            "CON-130",
            "an id is free again after the server's close",
            "a1> basic.ack tag=9\na1< chan 406 \"PRECONDITION_FAILED - unknown delivery tag 9\" (60,80)
             a1> channel.open\na1< channel.open-ok ''",
        ),
    ]
}

fn life() -> Vec<Case> {
    vec![
        case("CH-01", "open-ok has an empty channel-id", "a1!> channel.open out-of-band=x\na1< channel.open-ok ''"),
        case(
            "CH-01",
            "close-ok comes after the requeue",
            "b> queue.declare queue=%q exclusive\nb< queue.declare-ok %q 0 0\nb2> confirm.select\nb2< confirm.select-ok
             b2> basic.publish key=%q body=m1\nb2< confirms ack 1
             b2> basic.get queue=%q\nb2< get-ok tag=1 redelivered=false ex= rk=%q left=0 body=m1
             b2> channel.close code=200\nb2< channel.close-ok
             b> basic.get queue=%q\nb< get-ok tag=1 redelivered=true ex= rk=%q left=0 body=m1",
        ),
        case(
            "CH-02",
            "a closed channel ignores everything until close-ok, others go on",
            "a1> hold\na1> queue.declare queue=%q exclusive\na1< queue.declare-ok %q 0 0
             a1> basic.ack tag=9\na1< chan 406 \"PRECONDITION_FAILED - unknown delivery tag 9\" (60,80)
             a1> basic.publish key=%q body=lost\na1> queue.delete queue=%q\na1> basic.ack tag=9
             a2> queue.declare queue=%q passive\na2< queue.declare-ok %q 0 0
             a1> channel.close code=200\na1< channel.close-ok
             a2> basic.publish key=%q body=kept\na2> basic.get queue=%q no-ack
             a2< get-ok tag=1 redelivered=false ex= rk=%q left=0 body=kept",
        ),
        case(
            "CH-02",
            "what was pipelined behind an error is dropped",
            "a1> queue.declare queue=%q exclusive\na1< queue.declare-ok %q 0 0
             a1> basic.ack tag=9\na1> basic.publish key=%q body=lost\na1> queue.delete queue=%q
             a1< chan 406 \"PRECONDITION_FAILED - unknown delivery tag 9\" (60,80)
             a2> queue.declare queue=%q passive\na2< queue.declare-ok %q 0 0",
        ),
        case(
            "CH-03 QRK-06",
            "deliveries and gets are requeued before close-ok",
            "a2> hold\na1> queue.declare queue=%q exclusive\na1< queue.declare-ok %q 0 0\na1> confirm.select
             a1< confirm.select-ok\na1> basic.publish key=%q body=m1\na1< confirms ack 1
             a2> basic.get queue=%q\na2< get-ok tag=1 redelivered=false ex= rk=%q left=0 body=m1
             a2> basic.ack tag=9\na2< chan 406 \"PRECONDITION_FAILED - unknown delivery tag 9\" (60,80)
             a1> basic.get queue=%q\na1< get-ok tag=1 redelivered=true ex= rk=%q left=0 body=m1",
        ),
        case("CH-04", "flow on", "a1> channel.flow active\na1< channel.flow-ok true"),
        case("CH-04", "flow off", "a1> channel.flow\na0< conn 540 \"NOT_IMPLEMENTED - active=false\" (20,20)"),
        case("CH-05", "access.request", "a1> access.request realm=/data active\na1< access.request-ok 1"),
        case(
            "CH-05",
            "tickets are ignored",
            "a1> queue.declare queue=%q ticket=77 exclusive\na1< queue.declare-ok %q 0 0",
        ),
        case(
            "CH-06",
            "commands may be pipelined and are answered in order",
            "a1> exchange.declare exchange=%x type=direct auto-delete\na1> queue.declare queue=%q exclusive
             a1> queue.bind queue=%q exchange=%x key=k\na1> basic.publish exchange=%x key=k body=m\na1> queue.purge queue=%q
             a1> queue.delete queue=%q\na1< exchange.declare-ok\na1< queue.declare-ok %q 0 0\na1< queue.bind-ok
             a1< queue.purge-ok 1\na1< queue.delete-ok 0",
        ),
        case(
            "CH-07",
            "nowait leaves out every -ok",
            "a1> exchange.declare exchange=%x type=fanout auto-delete nowait\na1> exchange.declare exchange=%y type=fanout nowait
             a1> exchange.bind destination=%y source=%x nowait\na1> exchange.unbind destination=%y source=%x nowait
             a1> queue.declare queue=%q exclusive nowait\na1> queue.bind queue=%q exchange=%y nowait
             a1> basic.consume queue=%q tag=c nowait\na1> basic.cancel tag=c nowait\na1> queue.purge queue=%q nowait
             a1> queue.delete queue=%q nowait\na1> exchange.delete exchange=%y nowait\na1> confirm.select nowait\na1< quiet",
        ),
        case(
            "CH-07",
            "an error under nowait still closes the channel",
            "a1> queue.purge queue=%q nowait\na1< chan 404 \"NOT_FOUND - no queue '%q' in vhost '/'\" (50,30)",
        ),
        case(
            "CH-08",
            "CR and LF are taken out of names",
            r#"a1> queue.declare queue='%qa\r\nb' exclusive
              a1< queue.declare-ok %qab 0 0
              a1> queue.bind queue='%qa\nb' exchange=amq.direct key=k
              a1< queue.bind-ok
              a1> queue.delete queue='%qa\rb'
              a1< queue.delete-ok 0
              a1> queue.declare queue=%qab passive
              a1< chan 404 "NOT_FOUND - no queue '%qab' in vhost '/'" (50,10)"#,
        ),
        case(
            "CH-08",
            "spaces and any UTF-8 in a name",
            "a1> queue.declare queue='%q ä 🐇' exclusive\na1< queue.declare-ok %q ä 🐇 0 0",
        ),
        case(
            "CH-08",
            "the reserved prefix is lower case only",
            "a1> exchange.declare exchange='AMQ.%x' type=fanout auto-delete\na1< exchange.declare-ok
             a1> exchange.delete exchange='AMQ.%x'\na1< exchange.delete-ok",
        ),
    ]
}
