//! Where leveret means to answer differently from RabbitMQ 3.10, and why.

/// One intended difference. A case of this id may meet `rabbitmq` where it expects `ours`;
/// the rest of that case is then not played against RabbitMQ.
pub struct Intended {
    /// The line of the behaviour reference.
    pub id: &'static str,
    /// The expected line of the case: what leveret answers.
    pub ours: &'static str,
    /// What RabbitMQ 3.10 answers; `…` stands for anything.
    pub rabbitmq: &'static str,
    pub why: &'static str,
}

const fn intended(
    id: &'static str,
    rabbitmq: &'static str,
    ours: &'static str,
    why: &'static str,
) -> Intended {
    Intended { id, ours, rabbitmq, why }
}

/// The whole list, in the order of the reference.
pub const INTENDED: &[Intended] = &[
    intended(
        "CON-03",
        "connection.start 8 0 {…} …",
        "header AMQP 0 0 9 1",
        "AMQP 0-8 is gone from RabbitMQ 4 as well",
    ),
    intended(
        "CON-20",
        "eof",
        r#"conn 502 "SYNTAX_ERROR - malformed PLAIN response" (10,11)"#,
        "three seconds of silence tell a client nothing; the failure is not about the password",
    ),
    intended(
        "CON-28",
        "eof",
        r#"conn 503 "COMMAND_INVALID - unknown authentication mechanism 'FOO'" …"#,
        "three seconds of silence tell a client nothing",
    ),
    intended(
        "CON-30",
        "eof",
        "connection.tune 2047 131072 60",
        "long credentials such as tokens exceed 4 KiB; memory before the login is bounded otherwise",
    ),
    intended(
        "CON-31",
        "eof",
        r#"conn 504 "CHANNEL_ERROR - unexpected method in connection state tuning" (10,40)"#,
        "three seconds of silence tell a client nothing",
    ),
    intended(
        "CON-31",
        r#"conn 504 "CHANNEL_ERROR - unexpected method in connection state opening" (10,50)"#,
        "connection.close-ok",
        "a client may leave in every state",
    ),
    intended(
        "CON-42",
        "eof",
        "channel.open-ok ''",
        "0 asks for no limit of the client's own, so the offer holds; no client depends on being refused",
    ),
    intended(
        "CON-42",
        "eof",
        r#"conn 530 "NOT_ALLOWED - negotiated channel_max = 2048 is higher than the maximum allowed value (2047)" …"#,
        "RabbitMQ writes this reason to its log only",
    ),
    intended(
        "CON-42",
        "eof",
        r#"conn 530 "NOT_ALLOWED - negotiated frame_max = 131073 is higher than the maximum allowed value (131072)" …"#,
        "RabbitMQ writes this reason to its log only",
    ),
    intended(
        "CON-42",
        "eof",
        r#"conn 530 "NOT_ALLOWED - negotiated frame_max = 4095 is lower than the minimum allowed value (4096)" …"#,
        "RabbitMQ writes this reason to its log only",
    ),
    intended(
        "CON-97",
        r#"conn 501 "FRAME_ERROR - Malformed UTF-8 in shortstr" (0,0)"#,
        r#"conn 501 "FRAME_ERROR - Malformed UTF-8 in shortstr" (50,10)"#,
        "the method is known, so it is named",
    ),
    intended(
        "CON-97",
        r#"conn 501 "FRAME_ERROR - Malformed UTF-8 in shortstr" (0,0)"#,
        r#"conn 501 "FRAME_ERROR - Malformed UTF-8 in shortstr" (60,20)"#,
        "the method is known, so it is named",
    ),
    intended(
        "CON-97",
        r#"conn 501 "FRAME_ERROR - Malformed UTF-8 in shortstr" (0,0)"#,
        r#"conn 501 "FRAME_ERROR - Malformed UTF-8 in shortstr" (50,20)"#,
        "the method is known, so it is named",
    ),
    intended(
        "CON-98",
        "eof",
        r#"conn 540 "NOT_IMPLEMENTED - …" (99,1)"#,
        "RabbitMQ's reader crashes; a client's author needs the ids",
    ),
    intended(
        "CON-98",
        "eof",
        r#"conn 540 "NOT_IMPLEMENTED - …" (50,99)"#,
        "RabbitMQ's reader crashes; a client's author needs the ids",
    ),
    intended(
        "CON-98",
        "eof",
        r#"conn 540 "NOT_IMPLEMENTED - …" (10,99)"#,
        "RabbitMQ's reader crashes; a client's author needs the ids",
    ),
    intended("CON-99", "eof", r#"conn 502 "SYNTAX_ERROR - …" (50,10)"#, "RabbitMQ's reader crashes"),
    intended("CON-101", "eof", r#"conn 502 "SYNTAX_ERROR - …" (50,10)"#, "RabbitMQ's reader crashes"),
    intended(
        "CON-100",
        r#"conn 541 "INTERNAL_ERROR" (0,0)"#,
        r#"conn 502 "SYNTAX_ERROR - …" …"#,
        "the client's mistake, not the broker's",
    ),
    intended(
        "CON-101",
        r#"conn 541 "INTERNAL_ERROR" (0,0)"#,
        r#"conn 502 "SYNTAX_ERROR - …" …"#,
        "the client's mistake, not the broker's",
    ),
    intended(
        "CON-115",
        "nothing in time",
        r#"conn 501 "FRAME_ERROR - content body frame exceeds remaining content size" (60,40)"#,
        "3.10 leaves the channel stuck; 4.2.6 answers like this",
    ),
    intended(
        "CON-116",
        "nothing in time",
        r#"conn 501 "FRAME_ERROR - content body size 536870913 exceeds maximum allowed size 536870912" (60,40)"#,
        "3.10 keeps reading; 4.2.6 answers like this",
    ),
    intended(
        "CON-129",
        r#"conn 530 "NOT_ALLOWED - number of channels opened for user '%u' has reached the maximum allowed user limit of (1)" …"#,
        r#"conn 530 "NOT_ALLOWED - number of channels opened for user '%u' has reached the maximum allowed user limit of 1" …"#,
        "the words of RabbitMQ 4",
    ),
    intended(
        "CH-03",
        "get-empty",
        "get-ok tag=1 redelivered=true ex= rk=%q left=0 body=m1",
        "3.10 holds fetched messages until close-ok; a client that never sends it would keep them",
    ),
    intended(
        "CH-24",
        r#"conn 503 "COMMAND_INVALID - unknown exchange type 'bogus'" (40,10)"#,
        r#"chan 406 "PRECONDITION_FAILED - unknown exchange type 'bogus'" (40,10)"#,
        "since 3.13 a channel error",
    ),
    intended(
        "CH-69",
        r#"chan 406 "PRECONDITION_FAILED - invalid message: {delivery_mode_unknown,3}" (60,40)"#,
        "get-ok tag=1 redelivered=false ex= rk=%q left=0 delivery-mode=3 body=x",
        "since 3.13 accepted, only 2 is persistent",
    ),
    intended(
        "EXC-76",
        "nothing in time",
        r#"return 312 "NO_ROUTE" ex=%x rk=k headers={a=d1} body=x"#,
        "since 3.13 an integer does not match a float",
    ),
    intended(
        "EXC-80",
        r#"conn 503 "COMMAND_INVALID - unknown exchange type …" (40,10)"#,
        "exchange.declare-ok",
        "a plugin there",
    ),
    intended(
        "EXC-80",
        "queue.bind-ok",
        r#"chan 406 "PRECONDITION_FAILED - The binding key must not exceed 10000" (50,20)"#,
        "since 4.2.6 bounded",
    ),
    intended(
        "EXC-81",
        r#"conn 503 "COMMAND_INVALID - unknown exchange type …" (40,10)"#,
        "exchange.declare-ok",
        "a plugin there",
    ),
    intended(
        "EXC-83",
        r#"conn 503 "COMMAND_INVALID - unknown exchange type …" (40,10)"#,
        "exchange.declare-ok",
        "a plugin there",
    ),
    intended(
        "EXC-83",
        r#"conn 503 "COMMAND_INVALID - unknown exchange type …" (40,10)"#,
        r#"chan 406 "PRECONDITION_FAILED - hash-header and hash-property are mutually exclusive" (40,10)"#,
        "a plugin there",
    ),
    intended(
        "EXC-83",
        r#"conn 503 "COMMAND_INVALID - unknown exchange type …" (40,10)"#,
        r#"chan 406 "PRECONDITION_FAILED - Unsupported property: bogus" (40,10)"#,
        "a plugin there",
    ),
    intended(
        "EXC-84",
        r#"conn 503 "COMMAND_INVALID - unknown exchange type …" (40,10)"#,
        "exchange.declare-ok",
        "a plugin there",
    ),
    intended(
        "EXC-85",
        r#"conn 503 "COMMAND_INVALID - unknown exchange type …" (40,10)"#,
        "exchange.declare-ok",
        "new in RabbitMQ 4",
    ),
    intended(
        "EXC-86",
        r#"conn 503 "COMMAND_INVALID - unknown exchange type …" (40,10)"#,
        "exchange.declare-ok",
        "a plugin there; built in since 4.3",
    ),
    intended(
        "EXC-87",
        r#"conn 503 "COMMAND_INVALID - unknown exchange type …" (40,10)"#,
        "exchange.declare-ok",
        "a plugin there",
    ),
    intended(
        "EXC-87",
        r#"conn 503 "COMMAND_INVALID - unknown exchange type …" (40,10)"#,
        r#"chan 406 "PRECONDITION_FAILED - Invalid argument 0, 'x-recent-history-length' must be a positive integer" (40,10)"#,
        "a plugin there",
    ),
    intended(
        "EXC-87",
        r#"conn 503 "COMMAND_INVALID - unknown exchange type …" (40,10)"#,
        r#"chan 406 "PRECONDITION_FAILED - Invalid argument <<"5">>, 'x-recent-history-length' must be a positive integer" (40,10)"#,
        "a plugin there",
    ),
    intended(
        "EXC-91",
        r#"conn 503 "COMMAND_INVALID - unknown exchange type …" (40,10)"#,
        "exchange.declare-ok",
        "a plugin there",
    ),
    intended(
        "EXC-91",
        r#"conn 503 "COMMAND_INVALID - unknown exchange type …" (40,10)"#,
        r#"chan 406 "PRECONDITION_FAILED - Missing or invalid argument, 'x-cache-size' must be an integer greater than 0" (40,10)"#,
        "a plugin there",
    ),
    intended(
        "QUE-35",
        r#"chan 406 "PRECONDITION_FAILED - invalid arg 'x-queue-leader-locator' for queue '%q' in vhost '/' of queue type rabbit_classic_queue" (50,10)"#,
        "queue.declare-ok %q 0 0",
        "since 4.0 known to classic queues",
    ),
    intended(
        "QUE-36",
        r#"conn 541 "INTERNAL_ERROR" (0,0)"#,
        "queue.declare-ok %q 0 0",
        "a locator has no meaning on one node; 3.10 crashes on unknown ones",
    ),
    intended(
        "QUE-38",
        r#"conn 541 "INTERNAL_ERROR" (0,0)"#,
        r#"chan 406 "PRECONDITION_FAILED - invalid arg 'x-max-age' for queue '%q' in vhost '/': invalid_max_age" (50,10)"#,
        "3.10 crashes on a unit without a number",
    ),
    intended(
        "QUE-53",
        r#"conn 540 "NOT_IMPLEMENTED - cannot delete queue '%q' in vhost '/'. queue.delete operations with if-unused flag set are not supported by quorum queues" (50,40)"#,
        "queue.delete-ok 0",
        "nothing speaks against it on one node",
    ),
    intended(
        "STR-03",
        r#"chan 406 "PRECONDITION_FAILED - consumer prefetch count is not set for 'queue '%q' in vhost '/''" (60,20)"#,
        r#"chan 406 "PRECONDITION_FAILED - consumer prefetch count is not set for stream queue '%q' in vhost '/'" (60,20)"#,
        "the words of RabbitMQ 4",
    ),
    intended(
        "STR-04",
        r#"conn 540 "NOT_IMPLEMENTED - automatic acknowledgement not supported by stream queues queue '%q' in vhost '/'" (60,20)"#,
        r#"conn 540 "NOT_IMPLEMENTED - automatic acknowledgement not supported by stream queue '%q' in vhost '/'" (60,20)"#,
        "the words of RabbitMQ 4",
    ),
    intended(
        "STR-05",
        r#"conn 541 "INTERNAL_ERROR" (0,0)"#,
        r#"chan 406 "PRECONDITION_FAILED - invalid arg 'x-stream-offset' for queue '%q' in vhost '/': {invalid_stream_offset_arg,{longstr,<<"bogus">>}}" (60,20)"#,
        "3.10 crashes on an offset that is none",
    ),
    intended(
        "STR-09",
        "queue.declare-ok %q 0 0",
        "queue.declare-ok %q 2 0",
        "since 3.13 the count of what is there",
    ),
    intended(
        "BAS-32",
        r#"conn 503 "COMMAND_INVALID - unimplemented method" (60,31)"#,
        "quiet",
        "since 4.3 accepted; the specification lets a client send it",
    ),
    intended(
        "BAS-85",
        r#"return 312 "NO_ROUTE" ex= rk=%reply body=answer"#,
        "quiet",
        "3.10 returns a reply that was delivered",
    ),
    intended(
        "BAS-86",
        r#"chan 404 "NOT_FOUND - no queue '%reply' in vhost '/'" (50,20)"#,
        r#"chan 403 "ACCESS_REFUSED - cannot bind or unbind to a volatile (direct reply-to) queue" (50,20)"#,
        "since 4.2.6 refused in these words",
    ),
    intended(
        "BAS-89",
        "deliver r tag=1 redelivered=false ex= rk=%reply body=m2",
        "deliver r tag=2 redelivered=false ex= rk=%reply body=m2",
        "3.10 gives every direct reply the same delivery tag; tags are to grow",
    ),
    intended(
        "CNF-04",
        "basic.nack 1 true true",
        "basic.nack 1 false …",
        "one message needs no multiple; every client handles both",
    ),
    intended(
        "DLX-24",
        "deliver d tag=1 redelivered=false ex= rk=%d headers={x-death=[{count=l1 exchange='' queue='%q' reason='rejected' routing-keys=['%q'] time=T…}] x-first-death-exchange='' x-first-death-queue='%q' x-first-death-reason='rejected'} body=x",
        "deliver d tag=1 redelivered=false ex= rk=%d headers={x-death=[{count=l1 exchange='' queue='%q' reason='rejected' routing-keys=['%q'] time=T…}] x-first-death-exchange='' x-first-death-queue='%q' x-first-death-reason='rejected' x-last-death-exchange='' x-last-death-queue='%q' x-last-death-reason='rejected'} body=x",
        "x-last-death headers are there since 3.13",
    ),
    intended(
        "DLX-24",
        "deliver d tag=1 redelivered=false ex= rk=%d headers={x-death=[{count=l1 exchange='' queue='%q' reason='expired' routing-keys=['%q'] time=T…}] x-first-death-exchange='' x-first-death-queue='%q' x-first-death-reason='expired'} body=x",
        "deliver d tag=1 redelivered=false ex= rk=%d headers={x-death=[{count=l1 exchange='' queue='%q' reason='expired' routing-keys=['%q'] time=T…}] x-first-death-exchange='' x-first-death-queue='%q' x-first-death-reason='expired' x-last-death-exchange='' x-last-death-queue='%q' x-last-death-reason='expired'} body=x",
        "x-last-death headers are there since 3.13",
    ),
    intended(
        "DLX-24",
        "deliver d tag=1 redelivered=false ex= rk=%d headers={x-death=[{count=l1 exchange='' queue='%q' reason='maxlen' routing-keys=['%q'] time=T…}] x-first-death-exchange='' x-first-death-queue='%q' x-first-death-reason='maxlen'} body=x",
        "deliver d tag=1 redelivered=false ex= rk=%d headers={x-death=[{count=l1 exchange='' queue='%q' reason='maxlen' routing-keys=['%q'] time=T…}] x-first-death-exchange='' x-first-death-queue='%q' x-first-death-reason='maxlen' x-last-death-exchange='' x-last-death-queue='%q' x-last-death-reason='maxlen'} body=x",
        "x-last-death headers are there since 3.13",
    ),
    intended(
        "PRM-03",
        r#"chan 403 "ACCESS_REFUSED - access to queue '%q' in vhost '/' refused for user '%u'" (50,10)"#,
        r#"chan 403 "ACCESS_REFUSED - configure access to queue '%q' in vhost '/' refused for user '%u'" (50,10)"#,
        "since 3.12 the right is named",
    ),
    intended(
        "PRM-08",
        r#"chan 403 "ACCESS_REFUSED - access to exchange '%none' in vhost '/' refused for user '%u'" (60,40)"#,
        r#"chan 403 "ACCESS_REFUSED - write access to exchange '%none' in vhost '/' refused for user '%u'" (60,40)"#,
        "since 3.12 the right is named",
    ),
    intended(
        "PRM-09",
        r#"chan 403 "ACCESS_REFUSED - access to queue '%none' in vhost '/' refused for user '%u'" (60,70)"#,
        r#"chan 403 "ACCESS_REFUSED - read access to queue '%none' in vhost '/' refused for user '%u'" (60,70)"#,
        "since 3.12 the right is named",
    ),
    intended(
        "CON-101",
        r#"conn 541 "INTERNAL_ERROR" (0,0)"#,
        "get-ok tag=1 redelivered=false ex= rk=%q left=0 headers={v=[fNaN dNaN dinf]} body=x",
        "headers are passed through as octets, so there is nothing to refuse",
    ),
    intended(
        "WIR-50",
        r#"conn 541 "INTERNAL_ERROR" (0,0)"#,
        r#"conn 502 "SYNTAX_ERROR - …" …"#,
        "the client's mistake, not the broker's",
    ),
];
