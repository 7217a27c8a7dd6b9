//! Framing errors and the sequence of a content: chapters 1.9 and 1.10.

use crate::script::{Case, case};

pub fn cases() -> Vec<Case> {
    let mut cases = frames();
    cases.extend(arguments());
    cases.extend(contents());
    cases.extend(sizes());
    cases
}

fn frames() -> Vec<Case> {
    vec![
        case(
            "CON-90",
            "wrong frame end",
            "a1> frame 1 0014000a00 end=00
             a0< conn 501 \"FRAME_ERROR - type 1, all octets = <<0,20,0,10,0>>: {invalid_frame_end_marker,0}\" (0,0)",
        ),
        case(
            "CON-91",
            "a frame announced larger than frame-max",
            "a1> frame 3 size=200000
             a0< conn 501 \"FRAME_ERROR - type 3, all octets = <<>>: {frame_too_large,200000,131064}\" (0,0)",
        ),
        case(
            "CON-91",
            "one octet more than the slack",
            "a> login frame-max=4096\na1> frame 1 size=4097
             a0< conn 501 \"FRAME_ERROR - type 1, all octets = <<>>: {frame_too_large,4097,4088}\" (0,0)",
        ),
        case(
            "CON-92",
            "a payload of exactly frame-max",
            "a> login frame-max=4096\na> queue.declare queue=%q exclusive\na< queue.declare-ok %q 0 0
             a> basic.publish key=%q bare\na> content size=4096\na> frame 3 zeros=4096
             a> basic.get queue=%q no-ack
             a< get-ok tag=1 redelivered=false ex= rk=%q left=0 body=4096*\\x00 frames=4088+8",
        ),
        case(
            "CON-93",
            "a content header larger than frame-max",
            "a1> frame 2 size=131073
             a0< conn 501 \"FRAME_ERROR - type 2, all octets = <<>>: {frame_too_large,131073,131064}\" (0,0)",
        ),
        case(
            "CON-94",
            "unknown frame type on channel 0",
            "a0> frame 9 616263\na0< conn 501 \"FRAME_ERROR - type 9, all octets = …: unknown_frame\" (0,0)",
        ),
        case(
            "CON-94",
            "unknown frame type on a channel",
            "a1> frame 9 616263\na0< conn 501 \"FRAME_ERROR - type 9, all octets = …: unknown_frame\" (0,0)",
        ),
        case(
            "CON-95",
            "a method frame of two octets",
            "a1> frame 1 0032\na0< conn 501 \"FRAME_ERROR - type 1, all octets = …: unknown_frame\" (0,0)",
        ),
    ]
}

fn arguments() -> Vec<Case> {
    vec![
        case(
            "CON-96",
            "arguments cut short",
            "a1> basic.qos cut=1\na0< conn 501 \"FRAME_ERROR - cannot decode …\" (60,10)",
        ),
        case(
            "CON-96",
            "junk behind the arguments",
            "a1> basic.qos junk=00\na0< conn 501 \"FRAME_ERROR - cannot decode …\" (60,10)",
        ),
        case(
            "CON-96",
            "a string longer than its frame",
            "a1> frame 1 0032001e0000ff61\na0< conn 501 \"FRAME_ERROR - cannot decode …\" (50,30)",
        ),
        case(
            "CON-97",
            "a queue name that is not UTF-8",
            r#"a1> queue.declare queue='\xff\xfe'
              a0< conn 501 "FRAME_ERROR - Malformed UTF-8 in shortstr" (50,10)"#,
        ),
        case(
            "CON-97",
            "a consumer tag that is not UTF-8",
            r#"a1> basic.consume queue=%q tag='\xc3\x28'
              a0< conn 501 "FRAME_ERROR - Malformed UTF-8 in shortstr" (60,20)"#,
        ),
        case(
            "CON-97",
            "a binding key that is not UTF-8",
            r#"a1> queue.bind queue=%q exchange=amq.direct key='\xff'
              a0< conn 501 "FRAME_ERROR - Malformed UTF-8 in shortstr" (50,20)"#,
        ),
        case(
            "CON-97",
            "publish passes any octets in key and properties",
            r"a> exchange.declare exchange=%x type=fanout
              a< exchange.declare-ok
              a> queue.declare queue=%q exclusive
              a< queue.declare-ok %q 0 0
              a> queue.bind queue=%q exchange=%x
              a< queue.bind-ok
              a> basic.publish exchange=%x key='k\xff\xfe' message-id='\xc3\x28' body=x
              a> basic.get queue=%q no-ack
              a< get-ok tag=1 redelivered=false ex=%x rk=k\xff\xfe left=0 message-id=\xc3( body=x
              a> exchange.delete exchange=%x
              a< exchange.delete-ok",
        ),
        case(
            "CON-98 QRK-02",
            "unknown class",
            "a1> frame 1 00630001\na0< conn 540 \"NOT_IMPLEMENTED - …\" (99,1)",
        ),
        case(
            "CON-98 QRK-02",
            "unknown method of a known class",
            "a1> frame 1 00320063\na0< conn 540 \"NOT_IMPLEMENTED - …\" (50,99)",
        ),
        case(
            "CON-98",
            "unknown method on channel 0",
            "a0> frame 1 000a0063\na0< conn 540 \"NOT_IMPLEMENTED - …\" (10,99)",
        ),
        case(
            "CON-99 QRK-02",
            "a table whose value is cut off",
            "a1> queue.declare queue=%q arguments=!016b53000000ff\na0< conn 502 \"SYNTAX_ERROR - …\" (50,10)",
        ),
        case(
            "CON-101 WIR-47",
            "an unknown field type in arguments",
            "a1> queue.declare queue=%q arguments=!016b5500\na0< conn 502 \"SYNTAX_ERROR - …\" (50,10)",
        ),
        case(
            "CON-100 QRK-03",
            "properties cut short",
            "a1> basic.publish key=%q bare\na1> frame 2 003c000000000000000000008000ff61
             a0< conn 502 \"SYNTAX_ERROR - …\" …",
        ),
        case(
            "CON-100",
            "a malformed headers table",
            "a1> basic.publish key=%q bare\na1> frame 2 003c00000000000000000000200000000004016b5300
             a0< conn 502 \"SYNTAX_ERROR - …\" …",
        ),
        case(
            "CON-101 WIR-47",
            "an unknown field type in headers",
            "a1> basic.publish key=%q bare\na1> frame 2 003c00000000000000000000200000000004016b5500
             a0< conn 502 \"SYNTAX_ERROR - …\" …",
        ),
    ]
}

fn contents() -> Vec<Case> {
    let no_method =
        "a0< conn 505 \"UNEXPECTED_FRAME - expected method frame, got non method frame instead\" (0,0)";
    let no_header = "a0< conn 505 \"UNEXPECTED_FRAME - expected content header for class 60, got non content header frame instead\" (60,40)";
    let no_body = "a0< conn 505 \"UNEXPECTED_FRAME - expected content body, got non content body frame instead\" (60,40)";
    let after =
        |ids: &str, title: &str, lines: &str, answer: &str| case(ids, title, &format!("{lines}\n{answer}"));
    vec![
        after("CON-110", "a body without a method", "a1> body hello", no_method),
        after("CON-110", "a header without a method", "a1> content size=0", no_method),
        after(
            "CON-111",
            "a method where the header is due",
            "a1> basic.publish bare\na1> basic.qos",
            no_header,
        ),
        after(
            "CON-111",
            "a body where the header is due",
            "a1> basic.publish bare\na1> body hello",
            no_header,
        ),
        after(
            "CON-112",
            "a header of another class",
            "a1> basic.publish bare\na1> content class=50 size=0",
            "a0< conn 505 \"UNEXPECTED_FRAME - expected content header for class 60, got one for class 50 instead\" (60,40)",
        ),
        after("CON-113", "a weight", "a1> basic.publish bare\na1> content weight=1 size=0", no_header),
        after(
            "CON-114",
            "a method inside a body",
            "a1> basic.publish bare\na1> content size=5\na1> basic.qos",
            no_body,
        ),
        after(
            "CON-114",
            "a header inside a body",
            "a1> basic.publish bare\na1> content size=5\na1> content size=5",
            no_body,
        ),
        case(
            "CON-115 QRK-08 VER-33",
            "a body longer than announced",
            "a1> basic.publish bare\na1> content size=4\na1> body hello
             a0< conn 501 \"FRAME_ERROR - content body frame exceeds remaining content size\" (60,40)",
        ),
        case(
            "CON-116",
            "a body announced beyond the hard cap",
            "a1> basic.publish bare\na1> content size=536870913\na1< conn 501 \"FRAME_ERROR - content body size 536870913 exceeds maximum allowed size 536870912\" (60,40)",
        ),
        case(
            "CON-117 WIR-05",
            "empty body frames in the middle, and another channel's frames",
            "a1> queue.declare queue=%q exclusive\na1< queue.declare-ok %q 0 0\na2> queue.declare queue=%r exclusive\na2< queue.declare-ok %r 0 0
             a1> basic.publish key=%q bare\na2> basic.publish key=%r bare\na1> content size=4\na1> body ''
             a2> content size=2\na1> body ab\na2> body xy\na1> body ''\na1> body cd
             a1> basic.get queue=%q no-ack\na1< get-ok tag=1 redelivered=false ex= rk=%q left=0 body=abcd
             a2> basic.get queue=%r no-ack\na2< get-ok tag=1 redelivered=false ex= rk=%r left=0 body=xy",
        ),
        case(
            "CON-118",
            "an empty message is complete at its header",
            "a> queue.declare queue=%q exclusive\na< queue.declare-ok %q 0 0\na> basic.publish key=%q body=''
             a> basic.get queue=%q no-ack\na< get-ok tag=1 redelivered=false ex= rk=%q left=0 body=",
        ),
        after(
            "CON-118",
            "an empty body frame behind an empty message",
            "a1> basic.publish body=''\na1> body ''",
            no_method,
        ),
    ]
}

fn sizes() -> Vec<Case> {
    vec![
        case(
            "WIR-04",
            "a body is cut at frame-max minus eight",
            "a> login frame-max=4096\na> queue.declare queue=%q exclusive\na< queue.declare-ok %q 0 0
             a> basic.publish key=%q body=10000*z\na> basic.get queue=%q no-ack
             a< get-ok tag=1 redelivered=false ex= rk=%q left=0 body=10000*z frames=4088+4088+1824",
        ),
        case(
            "WIR-04",
            "a body of exactly one frame",
            "a> login frame-max=4096\na> queue.declare queue=%q exclusive\na< queue.declare-ok %q 0 0
             a> basic.publish key=%q body=4088*z\na> basic.get queue=%q no-ack
             a< get-ok tag=1 redelivered=false ex= rk=%q left=0 body=4088*z",
        ),
        case(
            "WIR-01 WIR-04",
            "the largest frame by default",
            "a> queue.declare queue=%q exclusive\na< queue.declare-ok %q 0 0
             a> basic.publish key=%q body=200000*z\na> basic.get queue=%q no-ack
             a< get-ok tag=1 redelivered=false ex= rk=%q left=0 body=200000*z frames=131064+68936",
        ),
        case(
            "WIR-04",
            "a header larger than the receiver's frame-max goes out whole",
            &format!(
                "a> queue.declare queue=%q\na< queue.declare-ok %q 0 0\na> confirm.select\na< confirm.select-ok
                 a> basic.publish key=%q headers={{h='{0}'}} body=x\na< confirms ack 1\nb> login frame-max=4096
                 b> basic.get queue=%q no-ack
                 b< get-ok tag=1 redelivered=false ex= rk=%q left=0 headers={{h='{0}'}} body=x
                 b> queue.delete queue=%q\nb< queue.delete-ok 0",
                "h".repeat(6000)
            ),
        ),
    ]
}
