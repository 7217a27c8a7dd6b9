//! Field types, property flags and bits on the wire: chapter 10.

use crate::script::{Case, case};

pub fn cases() -> Vec<Case> {
    let mut cases = types();
    cases.extend(flags());
    cases
}

/// A header value comes back as it went.
fn round_trip(ids: &str, title: &str, value: &str) -> Case {
    case(
        ids,
        &format!("{title} {value}"),
        &format!(
            "> queue.declare queue=%q exclusive\n< queue.declare-ok %q 0 0\n> basic.publish key=%q headers={{v={value}}} body=x
             > basic.get queue=%q no-ack\n< get-ok tag=1 redelivered=false ex= rk=%q left=0 headers={{v={value}}} body=x"
        ),
    )
}

fn types() -> Vec<Case> {
    vec![
        round_trip("WIR-30", "bool", "[t0 t1 t255]"),
        round_trip("WIR-31", "int8", "[b-128 b127]"),
        round_trip("WIR-32", "uint8", "[B0 B255]"),
        round_trip("WIR-33", "int16", "[s-32768 s32767]"),
        round_trip("WIR-34", "uint16", "[u0 u65535]"),
        round_trip("WIR-35", "int32", "[I-2147483648 I2147483647]"),
        round_trip("WIR-36", "uint32", "[i0 i4294967295]"),
        round_trip("WIR-37", "int64", "[l-9223372036854775808 l9223372036854775807]"),
        round_trip("WIR-38", "int64 as L", "[L-1 L9223372036854775807]"),
        round_trip("WIR-39", "float and double", "[f1.5 f-0 d2.25 d-0]"),
        round_trip("WIR-39 CON-101", "not a number", "[fNaN dNaN dinf]"),
        round_trip("WIR-40", "decimal", "[D2:314 D0:0 D255:4294967295]"),
        round_trip("WIR-41", "long string", r"['' 'text' '\xff\xfe' 'ä']"),
        round_trip("WIR-42", "byte array", r"[x'' x'\x00\xff']"),
        round_trip("WIR-43", "array", "[[] [I1 ['a' t1]]]"),
        round_trip("WIR-44", "table", "[{} {a={b={c=V}}}]"),
        round_trip("WIR-45", "timestamp", "[T0 T1700000000 T18446744073709551615]"),
        round_trip("WIR-46", "void", "[V V]"),
        case(
            "WIR-30 WIR-46",
            "every type in a queue's arguments",
            "> queue.declare queue=%q exclusive arguments={a=t1 b=b-1 c=B1 d=s-1 e=u1 f=I-1 g=i1 h=l-1 i=L-1 j=f1.5 k=d1.5 l=D1:1 m='s' n=x'b' o=[I1] p={q=V} r=T1 s=V}
             < queue.declare-ok %q 0 0",
        ),
    ]
}

fn flags() -> Vec<Case> {
    vec![
        case(
            "WIR-50",
            "bit 1 of the property flags is ignored",
            "> queue.declare queue=%q exclusive\n< queue.declare-ok %q 0 0\n> basic.publish key=%q bare\n> frame 2 003c000000000000000000010002\n> body x
             > basic.get queue=%q no-ack\n< get-ok tag=1 redelivered=false ex= rk=%q left=0 body=x",
        ),
        case(
            "WIR-50",
            "a continuation of the property flags",
            "> basic.publish key=%q bare\n> frame 2 003c0000000000000000000000010000\na0< conn 502 \"SYNTAX_ERROR - …\" …",
        ),
        case(
            "WIR-51",
            "no properties at all",
            "> queue.declare queue=%q exclusive\n< queue.declare-ok %q 0 0\n> basic.publish key=%q bare\n> frame 2 003c000000000000000000010000\n> body x
             > basic.get queue=%q no-ack\n< get-ok tag=1 redelivered=false ex= rk=%q left=0 body=x",
        ),
        case(
            "WIR-02",
            "unused bits of an octet are ignored",
            "> queue.declare queue=%q exclusive\n< queue.declare-ok %q 0 0\n> frame 1 003c000a000000000001fe\n< basic.qos-ok",
        ),
        case("WIR-60", "methods without content carry none", "> basic.get queue=%q bare\n< chan 404 \"NOT_FOUND - no queue '%q' in vhost '/'\" (60,70)"),
    ]
}
