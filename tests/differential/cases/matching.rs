//! Which keys a topic binding matches and which headers a headers binding: chapters 3.6 and 3.7.

use crate::script::{Case, case};

pub fn cases() -> Vec<Case> {
    let mut cases = topics();
    cases.extend(headers());
    cases.extend(bad_bindings());
    cases
}

/// One binding key, keys that match and keys that do not, all in one case.
fn topic(ids: &str, key: &str, matches: &[&str], misses: &[&str]) -> Case {
    let mut script = format!(
        "> exchange.declare exchange=%x type=topic\n< exchange.declare-ok\n> queue.declare queue=%q exclusive
         < queue.declare-ok %q 0 0\n> queue.bind queue=%q exchange=%x key='{key}'\n< queue.bind-ok\n"
    );
    for (tag, matching) in matches.iter().enumerate() {
        script.push_str(&format!(
            "> basic.publish exchange=%x key='{matching}' mandatory body=x\n> basic.get queue=%q no-ack
             < get-ok tag={} redelivered=false ex=%x rk={matching} left=0 body=x\n",
            tag + 1
        ));
    }
    for miss in misses {
        script.push_str(&format!(
            "> basic.publish exchange=%x key='{miss}' mandatory body=x\n< return 312 \"NO_ROUTE\" ex=%x rk={miss} body=x\n"
        ));
    }
    script.push_str("> exchange.delete exchange=%x\n< exchange.delete-ok");
    case(ids, &format!("binding key '{key}'"), &script)
}

fn topics() -> Vec<Case> {
    vec![
        topic("EXC-50", "#", &["", "a", "a.b", ".", "a..b"], &[]),
        topic("EXC-51", "*", &["a", "ab"], &["", "a.b", "."]),
        topic("EXC-52", "", &[""], &["a", "."]),
        topic("EXC-53", "#.#", &["", "a", "a.b"], &[]),
        topic("EXC-54", "*.#", &["a", "a.b", ".a", "."], &[""]),
        topic("EXC-55", "#.*", &["a", "a.b"], &[""]),
        topic("EXC-56", "*.*", &[".", "a.", ".a", "a.b"], &["", "a", ".."]),
        topic("EXC-57", "a.#", &["a", "a.", "a.b.c"], &["ab", "b"]),
        topic("EXC-58", "#.a", &["a", ".a", "b.a", "b.c.a"], &["aa"]),
        topic("EXC-59", "a.*.c", &["a.b.c", "a..c"], &["a.c", "a.b.b.c"]),
        topic("EXC-60", "a.#.c", &["a.c", "a..c", "a.b.c", "a.b.b.c"], &["a", "a.b"]),
        topic("EXC-61", "a.", &["a."], &["a", "a.b"]),
        topic("EXC-62", ".", &["."], &["", "a."]),
        topic("EXC-63", "a*.b", &["a*.b"], &["aa.b", "a.b"]),
        topic("EXC-63", "a#", &["a#"], &["ab", "a"]),
        topic("EXC-64", "#.a.#", &["a", "b.a", "a.b", "x.a.y"], &["b", ""]),
        topic("EXC-65", "#.a.#.b.#", &["a.b", "x.a.y.b.z"], &["b.a"]),
        topic("EXC-65 EXC-66 VER-34", "#.#.#.a", &["a", "b.a", "b.c.d.e.a"], &["b", "a.b"]),
        topic("EXC-50", "stock.*.NYSE", &["stock.IBM.NYSE"], &["stock.IBM.nyse", "stock.NYSE"]),
    ]
}

/// One headers binding, headers that match and headers that do not.
fn header(ids: &str, title: &str, binding: &str, matches: &[&str], misses: &[&str]) -> Case {
    let property = |headers: &str| match headers {
        "none" => String::new(),
        headers => format!(" headers={{{headers}}}"),
    };
    let mut script = format!(
        "> exchange.declare exchange=%x type=headers\n< exchange.declare-ok\n> queue.declare queue=%q exclusive
         < queue.declare-ok %q 0 0\n> queue.bind queue=%q exchange=%x key=ignored arguments={{{binding}}}\n< queue.bind-ok\n"
    );
    for matching in matches {
        let headers = property(matching);
        script.push_str(&format!(
            "> basic.publish exchange=%x key=k mandatory{headers} body=x\n> basic.get queue=%q no-ack
             < get-ok tag=… redelivered=false ex=%x rk=k left=0{headers} body=x\n"
        ));
    }
    for miss in misses {
        let headers = property(miss);
        script.push_str(&format!(
            "> basic.publish exchange=%x key=k mandatory{headers} body=x\n< return 312 \"NO_ROUTE\" ex=%x rk=k{headers} body=x\n"
        ));
    }
    script.push_str("> exchange.delete exchange=%x\n< exchange.delete-ok");
    case(ids, title, &script)
}

fn headers() -> Vec<Case> {
    vec![
        header(
            "EXC-70 EXC-71",
            "all is the default",
            "a='1' b='2'",
            &["a='1' b='2'", "b='2' c='3' a='1'"],
            &["a='1'", "none"],
        ),
        header(
            "EXC-70",
            "x-match all",
            "x-match='all' a='1' b='2'",
            &["a='1' b='2'"],
            &["a='1'", "b='2'", "a='1' b='3'"],
        ),
        header(
            "EXC-70 EXC-78",
            "x-match any",
            "x-match='any' a='1' b='2'",
            &["a='1'", "b='2' z=I1", "a='3' b='2'"],
            &["a='2'", "none"],
        ),
        header(
            "EXC-72",
            "all skips arguments with x-",
            "x-match='all' x-foo='1' b='2'",
            &["b='2'", "x-foo='9' b='2'"],
            &["x-foo='1'"],
        ),
        header(
            "EXC-72",
            "all-with-x compares them",
            "x-match='all-with-x' x-foo='1' b='2'",
            &["x-foo='1' b='2'"],
            &["b='2'"],
        ),
        header(
            "EXC-72",
            "any skips arguments with x-",
            "x-match='any' x-foo='1' b='2'",
            &["b='2'"],
            &["x-foo='1'"],
        ),
        header(
            "EXC-72",
            "any-with-x compares them",
            "x-match='any-with-x' x-foo='1'",
            &["x-foo='1'"],
            &["x-foo='2'"],
        ),
        header(
            "EXC-72",
            "x-match itself is never compared",
            "x-match='any-with-x' a='1'",
            &["a='1'"],
            &["x-match='any-with-x'"],
        ),
        header(
            "EXC-73",
            "all without arguments matches everything",
            "x-match='all'",
            &["none", "a='1'"],
            &[],
        ),
        header("EXC-73", "any without arguments matches nothing", "x-match='any'", &[], &["none", "a='1'"]),
        header(
            "EXC-73",
            "all with nothing but x- matches everything",
            "x-match='all' x-foo=I1",
            &["none", "x-foo=I2"],
            &[],
        ),
        header(
            "EXC-73",
            "any with nothing but x- matches nothing",
            "x-match='any' x-foo=I1",
            &[],
            &["x-foo=I1"],
        ),
        header(
            "EXC-74",
            "void means present",
            "a=V",
            &["a='1'", "a=I5", "a=V", "a={b=I1}"],
            &["b='1'", "none"],
        ),
        header(
            "EXC-75",
            "integers of all widths are equal",
            "a=I1",
            &["a=b1", "a=B1", "a=s1", "a=u1", "a=i1", "a=l1"],
            &["a=l2", "a='1'", "a=t1"],
        ),
        header("EXC-75", "a long string equals a byte array", "a='xy'", &["a='xy'", "a=x'xy'"], &["a='xyz'"]),
        header("EXC-75", "float equals double", "a=f1.5", &["a=d1.5", "a=f1.5"], &["a=d1.25", "a='1.5'"]),
        header("EXC-75", "bool equals only bool", "a=t1", &["a=t1"], &["a=t0", "a=I1", "a='true'"]),
        header("EXC-75", "decimal is not an integer", "a=D0:1", &["a=D0:1"], &["a=I1"]),
        header(
            "EXC-75",
            "tables and arrays are compared inside",
            "a={b=I1} c=[I1 'x']",
            &["a={b=I1} c=[I1 'x']"],
            &["a={b=I2} c=[I1 'x']", "a={b=I1} c=[I1]"],
        ),
        header("EXC-76 VER-14", "an integer is not a float", "a=I1", &[], &["a=d1"]),
        header("EXC-77", "a timestamp equals an integer of its seconds", "a=I100", &["a=T100"], &["a=T101"]),
    ]
}

fn bad_bindings() -> Vec<Case> {
    let refused = |title: &str, value: &str, text: &str| {
        case(
            "EXC-70",
            title,
            &format!(
                "> queue.declare queue=%q exclusive\n< queue.declare-ok %q 0 0
                 > queue.bind queue=%q exchange=amq.headers arguments={{x-match={value}}}
                 < chan 406 \"PRECONDITION_FAILED - Invalid x-match field {text}; expected {}\" (50,20)",
                if value.starts_with('\'') { "all, any, all-with-x, or any-with-x" } else { "longstr" }
            ),
        )
    };
    vec![
        refused("x-match of an unknown value", "'bogus'", "value <<\"bogus\">>"),
        refused("x-match is case-sensitive", "'ANY'", "value <<\"ANY\">>"),
        refused("x-match of another type", "I5", "type signedint (value 5)"),
    ]
}
