//! RabbitMQ's exchange types beyond those of AMQP: chapter 3.8.

use crate::script::{Case, case};

pub fn cases() -> Vec<Case> {
    let mut cases = consistent_hash();
    cases.extend(random());
    cases.extend(recent_history());
    cases.extend(deduplication());
    cases
}

/// An exchange `%x` and an own queue `%q`; the exchange goes at the end.
fn routed(ids: &str, title: &str, exchange: &str, lines: &str) -> Case {
    case(
        ids,
        title,
        &format!(
            "> exchange.declare exchange=%x {exchange}\n< exchange.declare-ok\n> queue.declare queue=%q exclusive
             < queue.declare-ok %q 0 0\n{lines}\n> exchange.delete exchange=%x\n< exchange.delete-ok"
        ),
    )
}

/// A binding that the exchange refuses.
fn refused(ids: &str, title: &str, kind: &str, key: &str, text: &str) -> Case {
    let lines = format!(
        "> queue.bind queue=%q exchange=%x key={key}\n< chan 406 \"PRECONDITION_FAILED - {text}\" (50,20)
         > channel.open\n< channel.open-ok ''"
    );
    routed(ids, title, &format!("type={kind}"), &lines)
}

/// An exchange that is refused for its arguments.
fn undeclared(ids: &str, title: &str, kind: &str, arguments: &str, text: &str) -> Case {
    case(
        ids,
        title,
        &format!(
            "> exchange.declare exchange=%x type={kind} arguments={{{arguments}}}
             < chan 406 \"PRECONDITION_FAILED - {text}\" (40,10)"
        ),
    )
}

fn consistent_hash() -> Vec<Case> {
    let weight = |key: &str, text: &str| {
        refused("EXC-80", &format!("the weight {key}"), "x-consistent-hash", key, text)
    };
    let small = "The binding key must be greater than 0";
    let arguments = |title: &str, arguments: &str, text: &str| {
        undeclared("EXC-83", title, "x-consistent-hash", arguments, text)
    };
    let get = |left: u32, key: &str, body: &str| {
        format!("< get-ok tag=1 redelivered=false ex=%x rk={key} left={left} body={body}")
    };
    vec![
        weight("0", small),
        weight("-1", small),
        weight("abc", "The binding key must be an integer: <<\"abc\">>"),
        weight("1.5", "The binding key must be an integer: <<\"1.5\">>"),
        weight("10001", "The binding key must not exceed 10000"),
        routed(
            "EXC-81 EXC-82",
            "one queue, however often it is bound, gets each message once",
            "type=x-consistent-hash",
            &format!(
                "> queue.bind queue=%q exchange=%x key=2\n< queue.bind-ok\n> queue.bind queue=%q exchange=%x key=5
                 < queue.bind-ok\n> basic.publish exchange=%x key=k mandatory body=x\n> basic.get queue=%q\n{}
                 > basic.publish exchange=%x key=k headers={{CC=['l' 'm']}} body=y\n> queue.purge queue=%q
                 < queue.purge-ok 1",
                get(0, "k", "x")
            ),
        ),
        arguments(
            "a header and a property",
            "hash-header='h' hash-property='message_id'",
            "hash-header and hash-property are mutually exclusive",
        ),
        arguments("an unknown property", "hash-property='bogus'", "Unsupported property: bogus"),
        routed(
            "EXC-83",
            "a message without the header has its place, too",
            "type=x-consistent-hash arguments={hash-header='h'}",
            &format!(
                "> queue.bind queue=%q exchange=%x key=1\n< queue.bind-ok
                 > basic.publish exchange=%x key=k mandatory body=x\n> basic.get queue=%q\n{}",
                get(0, "k", "x")
            ),
        ),
        routed(
            "EXC-81",
            "nothing bound, nothing routed",
            "type=x-consistent-hash",
            "> basic.publish exchange=%x key=k mandatory body=x\n< return 312 \"NO_ROUTE\" ex=%x rk=k body=x",
        ),
    ]
}

fn random() -> Vec<Case> {
    let local = "x-local-random";
    let once = |ids: &str, kind: &str| {
        routed(
            ids,
            &format!("{kind} gives a message to one queue"),
            &format!("type={kind}"),
            "> queue.declare queue=%r exclusive\n< queue.declare-ok %r 0 0
             > queue.bind queue=%q exchange=%x\n< queue.bind-ok\n> queue.bind queue=%r exchange=%x\n< queue.bind-ok
             > confirm.select\n< confirm.select-ok\n> basic.publish exchange=%x key=k headers={CC=['l']} mandatory body=x
             < confirms ack 1\n> queue.unbind queue=%r exchange=%x\n< queue.unbind-ok
             > basic.publish exchange=%x key=k mandatory body=y\n< confirms ack 2
             > queue.unbind queue=%q exchange=%x\n< queue.unbind-ok
             > basic.publish exchange=%x key=k mandatory body=z
             < return 312 \"NO_ROUTE\" ex=%x rk=k body=z\n< confirms ack 3",
        )
    };
    vec![
        once("EXC-84", "x-random"),
        once("EXC-85", local),
        once("EXC-86", "x-modulus-hash"),
        refused("EXC-85", "a binding key", local, "k", "Non empty binding 'k' key not permitted"),
        case(
            "EXC-85",
            "a quorum queue",
            &format!(
                "> exchange.declare exchange=%x type={local}\n< exchange.declare-ok
                 > queue.declare queue=%q durable arguments={{x-queue-type='quorum'}}\n< queue.declare-ok %q 0 0
                 > queue.bind queue=%q exchange=%x
                 < chan 406 \"PRECONDITION_FAILED - Queue type rabbit_quorum_queue not valid for this exchange type\" (50,20)
                 > channel.open\n< channel.open-ok ''\n> exchange.delete exchange=%x\n< exchange.delete-ok
                 > queue.delete queue=%q\n< queue.delete-ok 0"
            ),
        ),
        case(
            "EXC-85",
            "an exchange",
            &format!(
                "> exchange.declare exchange=%x type={local}\n< exchange.declare-ok
                 > exchange.bind source=%x destination=amq.fanout
                 < chan 406 \"PRECONDITION_FAILED - Destination not found\" (40,30)
                 > channel.open\n< channel.open-ok ''\n> exchange.delete exchange=%x\n< exchange.delete-ok"
            ),
        ),
    ]
}

fn recent_history() -> Vec<Case> {
    let length = |title: &str, value: &str, term: &str| {
        let text = format!("Invalid argument {term}, 'x-recent-history-length' must be a positive integer");
        undeclared("EXC-87", title, "x-recent-history", &format!("x-recent-history-length={value}"), &text)
    };
    vec![
        length("a history of length 0", "I0", "0"),
        length("a history of a text's length", "'5'", "<<\"5\">>"),
        routed(
            "EXC-87",
            "the last messages, oldest first, but those that do not want it",
            "type=x-recent-history arguments={x-recent-history-length=I2}",
            "> confirm.select\n< confirm.select-ok\n> basic.publish exchange=%x key=a body=1
             > basic.publish exchange=%x key=b body=2\n> basic.publish exchange=%x key=c body=3
             > basic.publish exchange=%x key=d headers={x-recent-history-no-store=t1} body=4\n< confirms ack 1 2 3 4
             > queue.bind queue=%q exchange=%x\n< queue.bind-ok\n> basic.get queue=%q
             < get-ok tag=1 redelivered=false ex=%x rk=b left=1 body=2\n> basic.get queue=%q
             < get-ok tag=2 redelivered=false ex=%x rk=c left=0 body=3",
        ),
    ]
}

fn deduplication() -> Vec<Case> {
    let publish = |id: &str, body: u32| {
        format!("> basic.publish exchange=%x mandatory headers={{x-deduplication-header='{id}'}} body={body}")
    };
    let returned = "< return 312 \"NO_ROUTE\" ex=%x rk= headers={x-deduplication-header='a'} body=2";
    vec![
        undeclared(
            "EXC-91",
            "no size",
            "x-message-deduplication",
            "",
            "Missing or invalid argument, 'x-cache-size' must be an integer greater than 0",
        ),
        routed(
            "EXC-91",
            "a duplicate reaches nothing",
            "type=x-message-deduplication arguments={x-cache-size=I9}",
            &format!(
                "> queue.bind queue=%q exchange=%x\n< queue.bind-ok\n{}\n{}\n{returned}\n{}
                 > queue.purge queue=%q\n< queue.purge-ok 2",
                publish("a", 1),
                publish("a", 2),
                publish("b", 3),
            ),
        ),
    ]
}
