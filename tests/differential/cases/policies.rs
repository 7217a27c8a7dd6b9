//! Policies, limits and permissions, set over HTTP and felt over AMQP: chapter 8.

use crate::script::{Case, case};

pub fn cases() -> Vec<Case> {
    let mut cases = choice();
    cases.extend(merging());
    cases.extend(refusals());
    cases.extend(limits());
    cases.extend(permissions());
    cases
}

/// A policy for the case's queues, which `rest` says more of.
fn policy(kind: &str, name: &str, definition: &str, rest: &str) -> String {
    format!(
        "> http PUT {kind}/~/%{name} {{\"pattern\":\"^%q\",\"definition\":{definition}{rest}}}\n< http 201\n"
    )
}

/// Publishes so many messages to a queue and has them confirmed.
fn filled(queue: &str, count: u32) -> String {
    let publishes: String =
        (0..count).map(|at| format!("a9> basic.publish key={queue} body=m{at}\n")).collect();
    let tags: Vec<String> = (1..=count).map(|tag| tag.to_string()).collect();
    format!("a9> confirm.select\na9< confirm.select-ok\n{publishes}a9< confirms ack {}\n", tags.join(" "))
}

fn holds(count: u32) -> String {
    format!("> queue.declare queue=%q passive\n< queue.declare-ok %q {count} 0\n")
}

const DECLARE: &str = "> queue.declare queue=%q\n< queue.declare-ok %q 0 0\n";

fn choice() -> Vec<Case> {
    let least = |definition: &str, rest: &str| policy("policies", "p", definition, rest);
    let other = |definition: &str, rest: &str| policy("policies", "r", definition, rest);
    vec![
        case(
            "POL-01 POL-03",
            "a policy counts for what is declared after it",
            &format!("{}{DECLARE}{}{}", least(r#"{"max-length":2}"#, ""), filled("%q", 4), holds(2)),
        ),
        case(
            "POL-03 LEN-09",
            "and for what is there, at once",
            &format!(
                "{DECLARE}{}{}> retry queue.declare queue=%q passive\n< queue.declare-ok %q 1 0",
                filled("%q", 4),
                least(r#"{"max-length":1}"#, "")
            ),
        ),
        case(
            "POL-02",
            "the highest priority counts alone",
            &format!(
                "{}{}{DECLARE}{}{}",
                least(r#"{"max-length":1}"#, ",\"priority\":1"),
                other(r#"{"message-ttl":3600000}"#, ",\"priority\":2"),
                filled("%q", 4),
                holds(4)
            ),
        ),
        case(
            "POL-01",
            "a policy for exchanges is none for queues",
            &format!(
                "{}{DECLARE}{}{}",
                least(r#"{"max-length":1}"#, ",\"apply-to\":\"exchanges\""),
                filled("%q", 3),
                holds(3)
            ),
        ),
        case(
            "POL-03",
            "what a policy did ends with it",
            &format!(
                "{}{DECLARE}> http DELETE policies/~/%p\n< http 204\n> http DELETE policies/~/%p\n< http 404 Object Not Found \"Not Found\"\n
                 > http GET policies/~/%p\n< http 404 Object Not Found \"Not Found\"",
                least(r#"{"max-length":1}"#, "")
            ),
        ),
        case(
            "EXC-20 POL-04",
            "an alternate exchange by policy",
            r#"> http PUT policies/~/%p {"pattern":"^%x","apply-to":"exchanges","definition":{"alternate-exchange":"%other"}}
               < http 201
               > exchange.declare exchange=%x type=direct
               < exchange.declare-ok
               > exchange.declare exchange=%other type=fanout
               < exchange.declare-ok
               > queue.declare queue=%q
               < queue.declare-ok %q 0 0
               > queue.bind queue=%q exchange=%other
               < queue.bind-ok
               > basic.publish exchange=%x key=k body=m
               > sync
               > retry basic.get queue=%q
               < get-ok tag=1 redelivered=false ex=%x rk=k left=0 body=m"#,
        ),
    ]
}

fn merging() -> Vec<Case> {
    let set = |definition: &str| policy("policies", "p", definition, "");
    let operators = |definition: &str| policy("operator-policies", "o", definition, "");
    let declared = |arguments: &str| {
        format!("> queue.declare queue=%q arguments={{{arguments}}}\n< queue.declare-ok %q 0 0\n")
    };
    vec![
        case(
            "POL-11",
            "of argument and policy the smaller length counts",
            &format!("{}{}{}{}", set(r#"{"max-length":3}"#), declared("x-max-length=I2"), filled("%q", 4), holds(2)),
        ),
        case(
            "POL-11",
            "also when it is the policy's",
            &format!("{}{}{}{}", set(r#"{"max-length":1}"#), declared("x-max-length=I2"), filled("%q", 4), holds(1)),
        ),
        case(
            "POL-15",
            "of policy and operator policy the smaller",
            &format!(
                "{}{}{DECLARE}{}{}",
                set(r#"{"max-length":5}"#),
                operators(r#"{"max-length":2}"#),
                filled("%q", 6),
                holds(2)
            ),
        ),
        case(
            "POL-12",
            "a classic queue's own overflow counts",
            &format!(
                "{}{}{}{}",
                set(r#"{"max-length":1,"overflow":"reject-publish"}"#),
                declared("x-overflow='drop-head'"),
                filled("%q", 3),
                holds(1)
            ),
        ),
        case(
            "POL-12 CNF-08",
            "without one it is the policy's",
            &format!(
                "{}{DECLARE}> confirm.select\n< confirm.select-ok\n> basic.publish key=%q body=1\n< confirms ack 1
                 > basic.publish key=%q body=2\n< confirms nack 2",
                set(r#"{"max-length":1,"overflow":"reject-publish"}"#)
            ),
        ),
        case(
            "POL-10 DLX-03",
            "dead letters go by the policy, to the default exchange",
            &format!(
                "{}> queue.declare queue=%dead\n< queue.declare-ok %dead 0 0\n{DECLARE}> basic.publish key=%q body=m
                 > retry basic.get queue=%q\n< get-ok tag=1 redelivered=false ex= rk=%q left=0 body=m\n> basic.reject tag=1
                 > retry basic.get queue=%dead\n< get-ok tag=2 redelivered=false ex= rk=%dead left=0 …",
                set(r#"{"dead-letter-exchange":"","dead-letter-routing-key":"%dead"}"#)
            ),
        ),
    ]
}

fn refusals() -> Vec<Case> {
    let refused = |ids: &str, title: &str, request: &str, answer: &str| {
        case(ids, title, &format!("> http PUT {request}\n< http 400 bad_request \"{answer}\""))
    };
    vec![
        refused(
            "POL-06",
            "an unknown key",
            r#"operator-policies/~/%p {"pattern":"x","definition":{"bogus-key":1}}"#,
            r#"Validation failed\n\n[{<<"bogus-key">>,1}] are not recognised policy settings\n"#,
        ),
        refused(
            "POL-06",
            "a wrong value",
            r#"operator-policies/~/%p {"pattern":"x","definition":{"max-length":"x"}}"#,
            r#"Validation failed\n\n<<"x">> is not a valid maximum length\n"#,
        ),
        refused(
            "POL-06",
            "an unknown kind of object",
            r#"policies/~/%p {"pattern":"x","apply-to":"foo","definition":{"max-length":1}}"#,
            "Validation failed…apply-to…foo…",
        ),
        refused(
            "POL-05",
            "what operators do not set",
            r#"operator-policies/~/%p {"pattern":"x","definition":{"dead-letter-exchange":"x"}}"#,
            r#"Validation failed\n\n[{<<"dead-letter-exchange">>,<<"x">>}] are not recognised policy settings\n"#,
        ),
        refused(
            "POL-07 PRI-05",
            "what a queue is for its life",
            r#"operator-policies/~/%p {"pattern":"x","definition":{"max-priority":1}}"#,
            r#"Validation failed\n\n[{<<"max-priority">>,1}] are not recognised policy settings\n"#,
        ),
        refused("POL-06", "nothing", r#"policies/~/%p {"pattern":"x"}"#, "[{key_missing,definition}]"),
    ]
}

fn limits() -> Vec<Case> {
    // A vhost of its own, with all rights.
    let vhost = |lines: &str| {
        format!(
            "> http PUT vhosts/%v\n< http 201\n> http PUT permissions/%v/guest {{\"configure\":\".*\",\"write\":\".*\",\"read\":\".*\"}}
             < http …\n{lines}"
        )
    };
    vec![
        case(
            "LIM-01 LIM-04 CH-53",
            "a vhost has so many queues, whatever they are declared with",
            &vhost(
                r#"> http PUT vhost-limits/%v/max-queues {"value":1}
                   < http 204
                   b> login vhost=%v
                   b> queue.declare queue=%q exclusive
                   b< queue.declare-ok %q 0 0
                   b> queue.declare queue=%q exclusive
                   b< queue.declare-ok %q 0 0
                   b2> queue.declare queue=%r arguments={x-max-length=I-1}
                   b2< chan 406 "PRECONDITION_FAILED - cannot declare queue '%r': queue limit in vhost '%v' (1) is reached" (50,10)
                   b> queue.delete queue=%q
                   b< queue.delete-ok 0
                   b3> queue.declare queue=%r exclusive
                   b3< queue.declare-ok %r 0 0"#,
            ),
        ),
        case(
            "LIM-01 CON-54",
            "a vhost has so many connections",
            &vhost(
                r#"> http PUT vhost-limits/%v/max-connections {"value":0}
                   < http 204
                   b> login vhost=%v
                   b0< conn 530 "NOT_ALLOWED - access to vhost '%v' refused for user 'guest': connection limit (0) is reached" (10,40)"#,
            ),
        ),
        case(
            "LIM-02 CON-129",
            "a user has so many channels",
            r#"> http PUT users/%u {"password":"p","tags":""}
               < http 201
               > http PUT permissions/~/%u {"configure":".*","write":".*","read":".*"}
               < http 201
               > http PUT user-limits/%u/max-channels {"value":1}
               < http 204
               b> login user=%u password=p
               b1!> channel.open
               b1< channel.open-ok ''
               b2!> channel.open
               b2< conn 530 "NOT_ALLOWED - number of channels opened for user '%u' has reached the maximum allowed user limit of 1" …"#,
        ),
    ]
}

fn permissions() -> Vec<Case> {
    let user = |rights: &str, lines: &str| {
        format!(
            "> http PUT users/%u {{\"password\":\"p\",\"tags\":\"\"}}\n< http 201\n> http PUT permissions/~/%u {rights}\n< http 201
             b> login user=%u password=p\n{lines}"
        )
    };
    let none = r#"{"configure":"","write":"","read":""}"#;
    vec![
        case(
            "PRM-03 PRM-14",
            "declaring takes configure",
            &user(
                none,
                r#"b> queue.declare queue=%q
                           b< chan 403 "ACCESS_REFUSED - configure access to queue '%q' in vhost '/' refused for user '%u'" (50,10)"#,
            ),
        ),
        case(
            "PRM-08 PRM-13 PRM-14",
            "publishing takes write, before anything is looked for",
            &user(
                none,
                r#"b> basic.publish exchange=%none key=k body=m
                           b< chan 403 "ACCESS_REFUSED - write access to exchange '%none' in vhost '/' refused for user '%u'" (60,40)"#,
            ),
        ),
        case(
            "PRM-09 PRM-14",
            "getting takes read",
            &user(
                none,
                r#"b> basic.get queue=%none
                           b< chan 403 "ACCESS_REFUSED - read access to queue '%none' in vhost '/' refused for user '%u'" (60,70)"#,
            ),
        ),
        case(
            "PRM-02 PRM-04",
            "deleting takes configure, whether it is there or not",
            &user(none, "b> exchange.delete exchange=%none\nb< chan 403 \"ACCESS_REFUSED - …access to exchange '%none' in vhost '/' refused for user '%u'\" (40,20)
                         b2> queue.delete queue=%none\nb2< chan 403 \"ACCESS_REFUSED - …access to queue '%none' in vhost '/' refused for user '%u'\" (50,40)"),
        ),
        case(
            "PRM-06 PRM-12",
            "binding asks for write on the queue before anything is looked for",
            &user(none, "b> queue.bind queue=%none exchange=%none\nb< chan 403 \"ACCESS_REFUSED - …access to queue '%none' in vhost '/' refused for user '%u'\" (50,20)"),
        ),
        case(
            "PRM-20 PRM-21",
            "rights on topics",
            &user(
                r#"{"configure":".*","write":".*","read":".*"}"#,
                r#"> http PUT topic-permissions/~/%u {"exchange":"amq.topic","write":"^a","read":"^a"}
                   < http 201
                   b> basic.publish exchange=amq.topic key=a.x body=m
                   b> sync
                   b> basic.publish exchange=amq.topic key=b.x body=m
                   b< chan 403 "ACCESS_REFUSED - …access to topic 'b.x' in exchange 'amq.topic' in vhost '/' refused for user '%u'" (60,40)"#,
            ),
        ),
        case(
            "PRM-01 PRM-03 PRM-06 PRM-07 PRM-08 PRM-09",
            "with the rights everything goes",
            &user(
                r#"{"configure":"^%","write":"^%|^amq.default$","read":"^%"}"#,
                r#"b> exchange.declare exchange=%x type=fanout
                   b< exchange.declare-ok
                   b> queue.declare queue=%q exclusive arguments={x-dead-letter-exchange='%x'}
                   b< queue.declare-ok %q 0 0
                   b> queue.bind queue=%q exchange=%x
                   b< queue.bind-ok
                   b> basic.publish exchange=%x key=k body=m
                   b> sync
                   b> retry basic.get queue=%q no-ack
                   b< get-ok tag=1 redelivered=false ex=%x rk=k left=0 body=m
                   b> queue.unbind queue=%q exchange=%x
                   b< queue.unbind-ok
                   b> exchange.delete exchange=%x
                   b< exchange.delete-ok"#,
            ),
        ),
        case(
            "PRM-10 PRM-11",
            "direct replies and settling take none",
            &user(
                none,
                "b> basic.consume queue=amq.rabbitmq.reply-to tag=r no-ack\nb< basic.consume-ok r\nb> basic.qos prefetch-count=1\nb< basic.qos-ok\nb> basic.cancel tag=r\nb< basic.cancel-ok r\nb> tx.select\nb< tx.select-ok",
            ),
        ),
        case(
            "CON-53",
            "without a row there is no way in",
            r#"> http PUT users/%u {"password":"p","tags":""}
               < http 201
               b> login user=%u password=p
               b0< conn 530 "NOT_ALLOWED - access to vhost '/' refused for user '%u'" (10,40)"#,
        ),
    ]
}
