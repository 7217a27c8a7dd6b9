//! Heartbeats, closes and update-secret: chapter 1.6 to 1.8.

use crate::script::{Case, case};

pub fn cases() -> Vec<Case> {
    let mut cases = heartbeats();
    cases.extend(closes());
    cases
}

fn heartbeats() -> Vec<Case> {
    vec![
        case(
            "CON-60",
            "the server sends heartbeats",
            "a> login heartbeat=1\na0< heartbeat\na0> heartbeat\na0< heartbeat\na0> heartbeat\na0< heartbeat",
        )
        .slow(),
        case(
            "CON-61 CON-63 QRK-11",
            "a silent client is dropped without a word",
            "a> login heartbeat=1\na< eof",
        )
        .slow(),
        case(
            "CON-62",
            "half a frame counts as life, then silence does not",
            "a> login heartbeat=1\na0< heartbeat\na> raw 08\na0< heartbeat\na> raw 0000\na0< heartbeat
             a0< heartbeat\na> raw 00000000\na0< heartbeat\na0< heartbeat\na> raw ce\na0< heartbeat
             a1> channel.open\na1< channel.open-ok ''\na< eof",
        )
        .slow(),
        case(
            "CON-65",
            "heartbeat on a channel",
            "a1> sync\na1> heartbeat\na0< conn 505 \"UNEXPECTED_FRAME - type 8, all octets = <<>>\" (0,0)",
        ),
        case(
            "CON-65",
            "heartbeat with a payload",
            "a0> frame 8 78\na0< conn 501 \"FRAME_ERROR - type 8, all octets = …: unknown_frame\" (0,0)",
        ),
        case("CON-65", "heartbeats without having agreed on any", "a0> heartbeat\na0> heartbeat\na1< quiet"),
    ]
}

fn closes() -> Vec<Case> {
    vec![
        case("CON-70", "close, close-ok", "a0> connection.close code=200 text=bye\na0< connection.close-ok"),
        case(
            "CON-70 CON-71 QUE-10",
            "an exclusive queue is gone at close-ok",
            "a> queue.declare queue=%q exclusive\na< queue.declare-ok %q 0 0
             a0> connection.close code=200 text=bye\na0< connection.close-ok
             b> queue.declare queue=%q passive\nb< chan 404 \"NOT_FOUND - no queue '%q' in vhost '/'\" (50,10)",
        ),
        case(
            "CON-70",
            "unacked messages are back at close-ok, in their order",
            "b> queue.declare queue=%q\nb< queue.declare-ok %q 0 0
             a> confirm.select\na< confirm.select-ok
             a> basic.publish key=%q body=m1\na> basic.publish key=%q body=m2\na< confirms ack 1 2
             a2> basic.get queue=%q\na2< get-ok tag=1 redelivered=false ex= rk=%q left=1 body=m1
             a2> basic.get queue=%q\na2< get-ok tag=2 redelivered=false ex= rk=%q left=0 body=m2
             a0> connection.close code=200 text=bye\na0< connection.close-ok
             b> basic.get queue=%q\nb< get-ok tag=1 redelivered=true ex= rk=%q left=1 body=m1
             b> basic.get queue=%q\nb< get-ok tag=2 redelivered=true ex= rk=%q left=0 body=m2",
        ),
        case(
            "CON-72",
            "after the server's close only close and close-ok count",
            "a> login heartbeat=5\na> hold\na1> channel.open\na1< channel.open-ok ''
             a1> channel.open\na0< conn 504 \"CHANNEL_ERROR - second 'channel.open' seen\" (20,10)
             a1> queue.declare queue=%q\na2!> channel.open\na1> basic.publish key=%q body=x
             a0> connection.close code=200 text=bye\na0< connection.close-ok",
        ),
        case(
            "CON-72",
            "without close-ok the server closes after the heartbeat time",
            "a> login heartbeat=2\na> hold\na1> sync\na1> channel.open
             a0< conn 504 \"CHANNEL_ERROR - second 'channel.open' seen\" (20,10)\na< eof",
        )
        .slow(),
        case(
            "CON-72",
            "close-ok ends the connection at once",
            "a1> sync\na1> channel.open\na0< conn 504 \"CHANNEL_ERROR - second 'channel.open' seen\" (20,10)\na< eof",
        ),
        case(
            "CON-72 CON-71",
            "exclusive queues are gone when the server's close arrives",
            "a> hold\na1> queue.declare queue=%q exclusive\na1< queue.declare-ok %q 0 0\na1> channel.open
             a0< conn 504 \"CHANNEL_ERROR - second 'channel.open' seen\" (20,10)
             b> queue.declare queue=%q passive\nb< chan 404 \"NOT_FOUND - no queue '%q' in vhost '/'\" (50,10)",
        ),
        case(
            "CON-73",
            "crossing closes",
            "a> hold\na0> frame 8 78\na0> connection.close code=200 text=bye
             a0< conn 501 \"FRAME_ERROR - type 8, all octets = …: unknown_frame\" (0,0)\na0< connection.close-ok",
        ),
        case(
            "CON-81",
            "update-secret",
            "a0> connection.update-secret new-secret=hush reason=because\na0< connection.update-secret-ok",
        ),
        case(
            "CON-140",
            "a text is cut to 255 octets",
            &format!(
                "a> queue.delete queue={long}\na< queue.delete-ok 0\na> queue.declare queue={long} passive
                 a< chan 404 \"NOT_FOUND - no queue '{}…\" (50,10)",
                "n".repeat(200),
                long = "n".repeat(255)
            ),
        ),
    ]
}
