//! Protocol header, start, SASL, tune and open: chapter 1.1 to 1.5.

use crate::script::{Case, case};

/// The response of PLAIN for guest, as a quoted string.
const GUEST: &str = r"'\x00guest\x00guest'";
/// Capabilities of a client that wants to be told why it is not let in.
const FRANK: &str = "client-properties={capabilities={authentication_failure_close=t1}}";

pub fn cases() -> Vec<Case> {
    let mut cases = headers();
    cases.extend(start());
    cases.extend(sasl());
    cases.extend(order());
    cases.extend(tune());
    cases.extend(open());
    cases
}

/// A hand-made start-ok.
fn start_ok(properties: &str, mechanism: &str, response: &str) -> String {
    format!("a0> connection.start-ok {properties} mechanism={mechanism} response={response} locale=en_US")
}

fn headers() -> Vec<Case> {
    let mismatch = |ids: &str, title: &str, raw: &str| {
        case(ids, title, &format!("a> raw {raw}\na< header AMQP 0 0 9 1\na< eof"))
    };
    vec![
        case("CON-01", "the 0-9-1 header", "a> header\na0< connection.start 0 9 …"),
        case("CON-02", "the 0-9 header is taken for 0-9-1", "a> raw 'AMQP' 01010009\na0< connection.start 0 9 …"),
        mismatch("CON-03 VER-07", "the 0-8 header is a mismatch", "'AMQP' 01010800"),
        mismatch("CON-04", "an HTTP request", "'GET / HT'"),
        mismatch("CON-04", "a TLS hello", "1603010200010001"),
        mismatch("CON-04", "eight zeros", "0000000000000000"),
        mismatch("CON-04", "AMQP with an unknown version", "'AMQP' 00000902"),
        mismatch("CON-05", "the AMQP 1.0 SASL header", "'AMQP' 03010000"),
        mismatch("CON-05 VER-06", "the AMQP 1.0 header", "'AMQP' 00010000"),
        case("CON-07", "a header in two writes", "a> raw 'AMQP' 00\na> raw 000901\na0< connection.start …"),
        case("CON-08", "no header at all: dropped without a word", "a> dial\na< eof").brisk(),
        case("CON-08", "half a header: dropped without a word", "a> raw 'AMQP' 0000\na< eof").brisk(),
        case(
            "CON-08 QRK-11",
            "no start-ok: dropped without a word",
            "a> header\na0< connection.start …\na< eof",
        )
        .brisk(),
        case(
            "CON-08",
            "no tune-ok: dropped without a word",
            &format!(
                "a> header\na0< connection.start …\n{}\na0< connection.tune 2047 131072 60\na< eof",
                start_ok(FRANK, "PLAIN", GUEST)
            ),
        )
        .brisk(),
        case(
            "CON-08",
            "no open: dropped without a word",
            &format!(
                "a> header\na0< connection.start …\n{}\na0< connection.tune …
                 a0> connection.tune-ok channel-max=2047 frame-max=131072\na< eof",
                start_ok(FRANK, "PLAIN", GUEST)
            ),
        )
        .brisk(),
        case(
            "CON-09",
            "the whole handshake in one write",
            &format!(
                "a> header\n{}\na0> connection.tune-ok channel-max=2047 frame-max=131072
                 a0> connection.open vhost=/\na1!> channel.open
                 a0< connection.start …\na0< connection.tune …\na0< connection.open-ok ''\na1< channel.open-ok ''",
                start_ok(FRANK, "PLAIN", GUEST)
            ),
        ),
    ]
}

fn start() -> Vec<Case> {
    vec![
        case("CON-10", "start has version 0-9 and en_US", "a> header\na0< connection.start 0 9 {…} … en_US"),
        case("CON-11", "PLAIN is offered", "a> header\na0< connection.start 0 9 {…} …PLAIN… en_US"),
        case("CON-11", "AMQPLAIN is offered", "a> header\na0< connection.start 0 9 {…} …AMQPLAIN… en_US"),
        case(
            "CON-12",
            "server properties, sorted, long strings",
            "a> header
             a0< connection.start 0 9 {capabilities={…} cluster_name='…' copyright='…' information='…' platform='…' product='RabbitMQ' version='…'} …",
        ),
        case(
            "CON-13",
            "the nine capabilities",
            "a> header
             a0< connection.start 0 9 {capabilities={…authentication_failure_close=t1 basic.nack=t1 connection.blocked=t1 consumer_cancel_notify=t1 consumer_priorities=t1 direct_reply_to=t1 exchange_exchange_bindings=t1 per_consumer_qos=t1 publisher_confirms=t1} cluster_name=…",
        ),
    ]
}

fn sasl() -> Vec<Case> {
    let refused = |mechanism: &str| {
        format!(
            "a0< conn 403 \"ACCESS_REFUSED - Login was refused using authentication mechanism {mechanism}. \
             For details see the broker logfile.\" (0,0)\na< eof"
        )
    };
    let attempt = |ids: &str, title: &str, start_ok: &str, answer: &str| {
        case(ids, title, &format!("a> header\na0< connection.start …\n{start_ok}\n{answer}")).slow()
    };
    let tune = "a0< connection.tune 2047 131072 60";
    let malformed = "a0< conn 502 \"SYNTAX_ERROR - malformed PLAIN response\" (10,11)\na< eof";
    vec![
        attempt("CON-20 CON-40", "PLAIN, then tune", &start_ok(FRANK, "PLAIN", GUEST), tune),
        attempt(
            "CON-21",
            "AMQPLAIN, then tune",
            &start_ok(
                FRANK,
                "AMQPLAIN",
                r"'\x05LOGINS\x00\x00\x00\x05guest\x08PASSWORDS\x00\x00\x00\x05guest'",
            ),
            tune,
        ),
        attempt(
            "CON-25",
            "any locale will do",
            &format!("a0> connection.start-ok {FRANK} mechanism=PLAIN response={GUEST} locale=xx_XX"),
            tune,
        ),
        attempt(
            "CON-26",
            "wrong password",
            &start_ok(FRANK, "PLAIN", r"'\x00guest\x00wrong'"),
            &refused("PLAIN"),
        ),
        attempt(
            "CON-26",
            "unknown user",
            &start_ok(FRANK, "PLAIN", r"'\x00nobody\x00guest'"),
            &refused("PLAIN"),
        ),
        attempt("CON-26", "empty password", &start_ok(FRANK, "PLAIN", r"'\x00guest\x00'"), &refused("PLAIN")),
        attempt(
            "CON-26",
            "wrong password by AMQPLAIN",
            &start_ok(
                FRANK,
                "AMQPLAIN",
                r"'\x05LOGINS\x00\x00\x00\x05guest\x08PASSWORDS\x00\x00\x00\x05wrong'",
            ),
            &refused("AMQPLAIN"),
        ),
        attempt(
            "CON-27 CON-33",
            "wrong password of a client that cannot be told",
            &start_ok("", "PLAIN", r"'\x00guest\x00wrong'"),
            "a< eof",
        ),
        attempt(
            "CON-20",
            "PLAIN with an authzid",
            &start_ok(FRANK, "PLAIN", r"'me\x00guest\x00guest'"),
            malformed,
        ),
        attempt(
            "CON-20",
            "PLAIN with a field too many",
            &start_ok(FRANK, "PLAIN", r"'\x00guest\x00guest\x00x'"),
            malformed,
        ),
        attempt("CON-20", "PLAIN with a field too few", &start_ok(FRANK, "PLAIN", r"'\x00guest'"), malformed),
        attempt(
            "CON-28 QRK-01",
            "unknown mechanism",
            &start_ok(FRANK, "FOO", GUEST),
            "a0< conn 503 \"COMMAND_INVALID - unknown authentication mechanism 'FOO'\" …\na< eof",
        ),
        attempt(
            "CON-30 VER-05",
            "a start-ok of 64 KiB",
            &start_ok(&format!("client-properties={{x='{}'}}", "y".repeat(65_000)), "PLAIN", GUEST),
            tune,
        ),
        attempt(
            "CON-32",
            "heartbeats during the handshake",
            &format!("a0> heartbeat\n{}\na0> heartbeat", start_ok(FRANK, "PLAIN", GUEST)),
            tune,
        ),
        case(
            "CON-26",
            "login by AMQPLAIN works",
            "a> login mechanism=AMQPLAIN\na1> channel.open\na1< channel.open-ok ''",
        ),
    ]
}

/// Methods at the wrong time: what is said is free before the login, that nothing works is not.
fn order() -> Vec<Case> {
    let early = |title: &str, line: &str| {
        case("CON-31", title, &format!("a> header\na0< connection.start …\n{line}\na< eof")).slow()
    };
    let tuned = |ids: &str, title: &str, lines: &str| {
        let start_ok = start_ok(FRANK, "PLAIN", GUEST);
        let tune_ok = "a0> connection.tune-ok channel-max=2047 frame-max=131072";
        case(
            ids,
            title,
            &format!(
                "a> header\na0< connection.start …\n{start_ok}\na0< connection.tune …\n{tune_ok}\n{lines}"
            ),
        )
    };
    vec![
        early("channel.open before start-ok", "a1!> channel.open"),
        early("tune-ok before start-ok", "a0> connection.tune-ok channel-max=2047 frame-max=131072"),
        early("open before start-ok", "a0> connection.open vhost=/"),
        early("a body before start-ok", "a1!> body hello"),
        case(
            "CON-31",
            "open before tune-ok",
            &format!(
                "a> header\na0< connection.start …\n{}\na0< connection.tune …\na0> connection.open vhost=/
                 a0< conn 504 \"CHANNEL_ERROR - unexpected method in connection state tuning\" (10,40)\na< eof",
                start_ok(FRANK, "PLAIN", GUEST)
            ),
        )
        .slow(),
        tuned(
            "CON-31",
            "a channel's method before open",
            "a1!> channel.open\na0< conn 505 \"UNEXPECTED_FRAME - type 1, all octets = …\" (0,0)",
        ),
        tuned(
            "CON-31",
            "connection.close before open",
            "a0> connection.close code=200 text=bye\na0< connection.close-ok",
        ),
    ]
}

fn tune() -> Vec<Case> {
    let accepted = |ids: &str, title: &str, settings: &str| {
        case(ids, title, &format!("a> login {settings}\na1!> channel.open\na1< channel.open-ok ''"))
    };
    let refused = |title: &str, settings: &str, text: &str| {
        case(
            "CON-42",
            title,
            &format!("a> login {settings}\na0< conn 530 \"NOT_ALLOWED - {text}\" …\na< eof"),
        )
        .slow()
    };
    vec![
        accepted("CON-41", "channel-max 1", "channel-max=1"),
        accepted("CON-41 VER-04 WIR-06", "frame-max 4096", "frame-max=4096"),
        accepted("CON-41", "heartbeat 65535", "heartbeat=65535"),
        accepted("CON-41", "heartbeat 0", "heartbeat=0"),
        accepted("CON-42", "channel-max 0 is the server's", "channel-max=0").slow(),
        accepted("CON-42", "frame-max 0 is the server's", "frame-max=0").slow(),
        refused(
            "channel-max above the offer",
            "channel-max=2048",
            "negotiated channel_max = 2048 is higher than the maximum allowed value (2047)",
        ),
        refused(
            "frame-max above the offer",
            "frame-max=131073",
            "negotiated frame_max = 131073 is higher than the maximum allowed value (131072)",
        ),
        refused(
            "frame-max below the minimum",
            "frame-max=4095",
            "negotiated frame_max = 4095 is lower than the minimum allowed value (4096)",
        ),
    ]
}

fn open() -> Vec<Case> {
    vec![
        case(
            "CON-50",
            "open-ok is empty, capabilities and insist are ignored",
            &format!(
                "a> header\na0< connection.start …\n{}\na0< connection.tune …
                 a0> connection.tune-ok channel-max=2047 frame-max=131072
                 a0> connection.open vhost=/ capabilities=whatever insist\na0< connection.open-ok ''",
                start_ok(FRANK, "PLAIN", GUEST)
            ),
        ),
        case(
            "CON-52",
            "unknown vhost",
            "a> login vhost=beh.novhost\na0< conn 530 \"NOT_ALLOWED - vhost beh.novhost not found\" (10,40)",
        ),
        case(
            "CON-52",
            "empty vhost",
            "a> login vhost=\na0< conn 530 \"NOT_ALLOWED - vhost  not found\" (10,40)",
        ),
        case(
            "CON-58",
            "a second open",
            "a0> connection.open vhost=/
             a0< conn 504 \"CHANNEL_ERROR - unexpected method in connection state running\" (10,40)",
        ),
        case(
            "CON-58",
            "a second start-ok",
            "a0> connection.start-ok mechanism=PLAIN response=x locale=en_US
             a0< conn 504 \"CHANNEL_ERROR - unexpected method in connection state running\" (10,11)",
        ),
    ]
}
