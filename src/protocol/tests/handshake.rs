//! From the protocol header to connection.open (CON-01 to CON-58).

use amq_protocol::frame::{AMQPFrame, parse_frame};

use super::{peer::start_ok_of, *};
use crate::{
    amqp::{AMQPClass, AMQPValue, FieldTable, connection, encode, table::check_table},
    protocol::{Connection, Event, Identity, Login, Mechanism, Step, Timeout},
};

const STARTED: &str = "> 0: 10.10";
const OURS: &str = "> AMQP\\x00\\x00\\t\\x01";

/// A client that has sent its header.
fn started() -> Peer {
    let mut peer = Peer::new(limits());
    assert_eq!(peer.send(HEADER), [STARTED]);
    peer
}

/// A client that has logged in.
fn logged_in() -> Peer {
    let mut peer = started();
    assert_eq!(peer.send(&start_ok("PLAIN", b"\0guest\0guest")), ["login PLAIN guest:guest", "> 0: 10.30"]);
    peer
}

/// A client that has tuned.
fn tuned() -> Peer {
    let mut peer = logged_in();
    assert_eq!(peer.send(&tune_ok(2047, 131_072, 60)), [""; 0]);
    peer
}

/// The connection is dropped three seconds from now, and nothing the client says until then matters.
fn assert_dropped_in_silence(peer: &mut Peer) {
    let now = peer.now;
    assert_eq!(peer.machine.next_timeout(), Some(now + 3_000));
    assert_eq!(
        peer.send(&[start_ok("PLAIN", b"\0guest\0guest"), close(), HEADER.to_vec()].concat()),
        [""; 0]
    );
    assert_eq!(peer.at(now + 2_999), (vec![], None));
    assert_eq!(peer.at(now + 3_000), (vec![], Some(Timeout::Close)));
    assert!(peer.machine.is_finished());
}

/// The first method of the machine, decoded.
fn first_method(input: &[u8]) -> connection::AMQPMethod {
    let identity = Identity {
        cluster_name: "hutch".to_owned(),
        version: "4.2.0".to_owned(),
        mechanisms: vec![Mechanism::Plain, Mechanism::AmqPlain],
    };
    let mut machine = Connection::new(limits(), identity, 0);
    let mut out = Vec::new();
    machine.step(input, &mut out).expect("a good header");
    match parse_frame(out.as_slice()) {
        Ok((_, AMQPFrame::Method(0, AMQPClass::Connection(method)))) => method,
        other => panic!("not one method on channel 0: {other:?}"),
    }
}

#[test]
fn con_01_the_header_is_answered_with_start() {
    let connection::AMQPMethod::Start(start) = first_method(HEADER) else { panic!("not start") };
    assert_eq!((start.version_major, start.version_minor), (0, 9));
}

#[test]
fn con_02_the_header_of_0_9_is_taken_for_0_9_1() {
    assert_eq!(Peer::new(limits()).send(b"AMQP\x01\x01\x00\x09"), [STARTED]);
}

#[test]
fn con_03_con_04_con_05_other_headers_are_answered_with_ours_and_the_end() {
    let headers: [&[u8]; 8] = [
        b"AMQP\x01\x01\x08\x00",
        b"AMQP\x03\x01\x00\x00",
        b"AMQP\x00\x01\x00\x00",
        b"AMQP\x00\x00\x09\x02",
        b"GET / HTTP/1.1\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
        b"AMQX",
        b"\0",
    ];
    for header in headers {
        let mut peer = Peer::new(limits());
        assert_eq!(peer.send(header), [OURS, "finished"], "{}", header.escape_ascii());
        assert!(peer.machine.is_finished());
        assert_eq!(peer.machine.next_timeout(), None);
    }
}

#[test]
fn con_07_nothing_is_sent_before_eight_octets_are_there() {
    let mut peer = Peer::new(limits());
    for octet in &HEADER[..7] {
        assert_eq!(peer.send(&[*octet]), [""; 0]);
    }
    assert_eq!(peer.send(&HEADER[7..]), [STARTED]);
}

#[test]
fn con_08_the_handshake_ends_after_ten_seconds_in_whatever_state() {
    for mut peer in [Peer::new(limits()), started(), logged_in(), tuned()] {
        assert_eq!(peer.machine.next_timeout(), Some(10_000));
        assert_eq!(peer.at(9_999), (vec![], None));
        assert_eq!(peer.at(10_000), (vec![], Some(Timeout::Handshake)));
        assert_eq!(peer.send(HEADER), ["finished"]);
    }
}

#[test]
fn con_09_a_pipelined_handshake_is_answered_in_order() {
    let all = [
        HEADER,
        &start_ok("PLAIN", &plain("guest", "guest")),
        &tune_ok(2047, 131_072, 60),
        &open("/"),
        &channel_open(1),
    ];
    let expected = [
        STARTED,
        "login PLAIN guest:guest",
        "> 0: 10.30",
        "open /",
        "> 0: 10.41",
        "channel 1 opens",
        "> 1: 20.11",
    ];
    assert_eq!(Peer::new(limits()).send(&all.concat()), expected);
}

#[test]
fn con_10_con_11_start_offers_mechanisms_and_one_locale() {
    let connection::AMQPMethod::Start(start) = first_method(HEADER) else { panic!("not start") };
    assert_eq!(start.mechanisms.as_bytes(), b"PLAIN AMQPLAIN");
    assert_eq!(start.locales.as_bytes(), b"en_US");
}

#[test]
fn con_12_con_13_the_server_says_who_it_is_and_what_it_can() {
    let connection::AMQPMethod::Start(start) = first_method(HEADER) else { panic!("not start") };
    let properties = start.server_properties.inner();
    let text = |name: &str| match properties.get(name) {
        Some(AMQPValue::LongString(text)) => String::from_utf8_lossy(text.as_bytes()).into_owned(),
        other => panic!("{name} is {other:?}"),
    };
    assert_eq!((text("product"), text("version")), ("RabbitMQ".to_owned(), "4.2.0".to_owned()));
    assert_eq!(text("cluster_name"), "hutch");
    let Some(AMQPValue::FieldTable(capabilities)) = properties.get("capabilities") else {
        panic!("no table")
    };
    for name in [
        "publisher_confirms",
        "exchange_exchange_bindings",
        "basic.nack",
        "consumer_cancel_notify",
        "connection.blocked",
        "consumer_priorities",
        "authentication_failure_close",
        "per_consumer_qos",
        "direct_reply_to",
    ] {
        assert_eq!(capabilities.inner().get(name), Some(&AMQPValue::Boolean(true)), "{name}");
    }
}

#[test]
fn con_20_plain_takes_exactly_an_empty_authzid_a_user_and_a_password() {
    let mut peer = started();
    assert_eq!(peer.send(&start_ok("PLAIN", b"\0me\0pa ss")), ["login PLAIN me:pa ss", REFUSED_PLAIN]);
    let malformed: [&[u8]; 5] =
        [b"authzid\0guest\0guest", b"\0guest\0guest\0", b"\0guest", b"", b"\0\xff\0x"];
    for response in malformed {
        let lines = started().send(&start_ok("PLAIN", response));
        assert_eq!(lines, ["> conn 502 \"SYNTAX_ERROR - malformed PLAIN response\" (10,11)"]);
    }
}

#[test]
fn con_21_amqplain_is_the_body_of_a_table() {
    let expected = ["login AMQPLAIN guest:guest", "> 0: 10.30"];
    assert_eq!(started().send(&start_ok("AMQPLAIN", &amqplain("guest", "guest"))), expected);
    // A byte array is as good as a long string.
    let bytes = [&b"\x05LOGINx\0\0\0\x05guest\x08PASSWORDx\0\0\0\x05guest"[..]].concat();
    assert_eq!(started().send(&start_ok("AMQPLAIN", &bytes)), expected);
    let good = amqplain("guest", "guest");
    let malformed: [&[u8]; 4] =
        [b"\x05LOGINS\0\0\0\x05guest", &good[..good.len() - 1], b"", b"\x05LOGINI\0\0\0\x05\x08PASSWORDV"];
    for response in malformed {
        let lines = started().send(&start_ok("AMQPLAIN", response));
        assert_eq!(lines, ["> conn 502 \"SYNTAX_ERROR - malformed AMQPLAIN response\" (10,11)"]);
    }
}

#[test]
fn con_23_anonymous_is_offered_when_configured() {
    let identity = Identity {
        cluster_name: String::new(),
        version: "4.2.0".to_owned(),
        mechanisms: vec![Mechanism::Plain, Mechanism::AmqPlain, Mechanism::Anonymous],
    };
    let mut peer = Peer::with_identity(limits(), identity);
    peer.undecided = true;
    peer.send(HEADER);
    assert_eq!(peer.send(&start_ok("ANONYMOUS", b"trace")), ["login ANONYMOUS :"]);
}

#[test]
fn con_25_the_locale_is_ignored() {
    let start_ok = AMQPClass::Connection(connection::AMQPMethod::StartOk(connection::StartOk {
        client_properties: client(true),
        mechanism: "PLAIN".into(),
        response: plain("guest", "guest").into(),
        locale: "xx_XX".into(),
    }));
    assert_eq!(started().send(&method(0, start_ok)), ["login PLAIN guest:guest", "> 0: 10.30"]);
}

const REFUSED_PLAIN: &str = "> conn 403 \"ACCESS_REFUSED - Login was refused using authentication mechanism \
                             PLAIN. For details see the broker logfile.\" (0,0)";

#[test]
fn con_26_a_refused_client_is_told_and_dropped_after_three_seconds() {
    let mut peer = started();
    peer.now = 500;
    let lines = peer.send(&start_ok("PLAIN", b"\0guest\0wrong"));
    assert_eq!(lines, ["login PLAIN guest:wrong", REFUSED_PLAIN]);
    assert!(peer.machine.is_unauthenticated());
    assert_eq!(peer.send(&close_ok()), [""; 0]);
    assert_dropped_in_silence(&mut peer);

    let lines = started().send(&start_ok("AMQPLAIN", &amqplain("guest", "")));
    assert_eq!(lines[1], REFUSED_PLAIN.replace("PLAIN", "AMQPLAIN"));
}

#[test]
fn con_27_without_the_capability_silence_is_the_refusal() {
    let tables = [FieldTable::default(), client(false)];
    for properties in tables {
        let mut peer = started();
        peer.now = 500;
        let lines = peer.send(&start_ok_of(properties, "PLAIN", b"\0guest\0wrong"));
        assert_eq!(lines, ["login PLAIN guest:wrong"]);
        assert_dropped_in_silence(&mut peer);
    }
}

#[test]
fn con_28_unknown_mechanisms_are_refused() {
    let lines = started().send(&start_ok("FOO", b""));
    assert_eq!(lines, ["> conn 503 \"COMMAND_INVALID - unknown authentication mechanism 'FOO'\" (10,11)"]);
    // Not offered is as good as unknown.
    let lines = started().send(&start_ok("ANONYMOUS", b""));
    assert!(lines[0].starts_with("> conn 503"), "{lines:?}");
    let mut peer = started();
    assert_eq!(peer.send(&start_ok_of(FieldTable::default(), "FOO", b"")), [""; 0]);
    assert_dropped_in_silence(&mut peer);
}

#[test]
fn con_30_a_long_password_fits_before_tuning_and_a_longer_frame_does_not() {
    let password = "x".repeat(100_000);
    let lines = started().send(&start_ok("PLAIN", &plain("guest", &password)));
    assert_eq!(lines[1], REFUSED_PLAIN);
    let mut peer = started();
    // The head alone decides: nothing of such a frame is waited for.
    assert_eq!(peer.send(&start_ok("PLAIN", &[b'x'; 131_072])[..7]), [""; 0]);
    assert_dropped_in_silence(&mut peer);
    // Also against many tiny fields: the depth of tables is bounded before anybody has logged in.
    let deep = (0..9).fold(vec![], |inner: Vec<u8>, _| {
        [&b"\x01tF"[..], &(inner.len() as u32).to_be_bytes(), &inner].concat()
    });
    assert!(check_table(&deep, 8).is_err());
    let arguments = [&(deep.len() as u32).to_be_bytes()[..], &deep, b"\x05PLAIN\0\0\0\0\x05en_US"].concat();
    let mut peer = started();
    assert_eq!(peer.send(&raw(0, (10, 11), &arguments)), [""; 0]);
    assert_dropped_in_silence(&mut peer);
}

#[test]
fn con_31_anything_out_of_order_before_the_login_ends_in_silence() {
    for out_of_order in [channel_open(1), tune_ok(1, 4096, 0), open("/"), body(0, b"x"), frame(9, 0, b"")] {
        let mut peer = started();
        assert_eq!(peer.send(&out_of_order), [""; 0]);
        assert_dropped_in_silence(&mut peer);
    }
}

#[test]
fn con_31_out_of_order_after_the_login_is_told() {
    let lines = logged_in().send(&open("/"));
    assert_eq!(
        lines,
        ["> conn 504 \"CHANNEL_ERROR - unexpected method in connection state tuning\" (10,40)"]
    );
    let lines = tuned().send(&channel_open(1));
    assert_eq!(lines, ["> conn 505 \"UNEXPECTED_FRAME - type 1, all octets = <<0,20,0,10,0>>\" (0,0)"]);
    let lines = tuned().send(&raw(0, (20, 10), &[0]));
    assert_eq!(
        lines,
        ["> conn 504 \"CHANNEL_ERROR - unexpected method in connection state opening\" (20,10)"]
    );
}

#[test]
fn con_31_close_is_answered_in_every_state() {
    for mut peer in [started(), logged_in(), tuned()] {
        assert_eq!(peer.send(&close()), ["closes", "> 0: 10.51", "finished"]);
    }
}

#[test]
fn con_32_heartbeats_are_welcome_during_the_handshake() {
    let mut heartbeat = Vec::new();
    encode::heartbeat(&mut heartbeat);
    for mut peer in [started(), logged_in(), tuned()] {
        assert_eq!(peer.send(&heartbeat), [""; 0]);
        assert_eq!(peer.machine.next_timeout(), Some(10_000), "and do not prolong it");
    }
}

#[test]
fn con_33_capabilities_are_read_from_start_ok() {
    let mut capabilities = FieldTable::default();
    capabilities.insert("connection.blocked".into(), AMQPValue::Boolean(true));
    capabilities.insert("basic.nack".into(), AMQPValue::Boolean(false));
    let mut properties = FieldTable::default();
    properties.insert("capabilities".into(), AMQPValue::FieldTable(capabilities));
    let identity = Identity {
        cluster_name: String::new(),
        version: String::new(),
        mechanisms: vec![Mechanism::Plain, Mechanism::AmqPlain],
    };
    let mut machine = Connection::new(limits(), identity, 0);
    let input = [HEADER, &start_ok_of(properties, "PLAIN", b"\0a\0b")].concat();
    let Ok(Step::Event { event: Event::Login(login), .. }) = machine.step(&input, &mut Vec::new()) else {
        panic!("no login")
    };
    let declared = |name| Login::has_capability(&login, name);
    assert_eq!(
        (declared("connection.blocked"), declared("basic.nack"), declared("consumer_cancel_notify")),
        (true, false, false)
    );
}

#[test]
fn con_40_tune_offers_the_configured_limits() {
    let identity = Identity {
        cluster_name: String::new(),
        version: String::new(),
        mechanisms: vec![Mechanism::Plain, Mechanism::AmqPlain],
    };
    let mut machine = Connection::new(limits(), identity, 0);
    let mut out = Vec::new();
    let input = [HEADER, &start_ok("PLAIN", b"\0a\0b")].concat();
    assert!(matches!(machine.step(&input, &mut out), Ok(Step::Event { event: Event::Login(_), .. })));
    out.clear();
    machine.accept_login(&mut out);
    let tune = connection::Tune { channel_max: 2047, frame_max: 131_072, heartbeat: 60 };
    let expected = AMQPFrame::Method(0, AMQPClass::Connection(connection::AMQPMethod::Tune(tune)));
    assert_eq!(parse_frame(out.as_slice()).expect("one frame").1, expected);
}

#[test]
fn con_41_what_the_client_answers_is_final() {
    for (channel_max, frame_max, heartbeat) in [(1, 4096, 0), (2047, 131_072, 65_535), (7, 8192, 1)] {
        let mut peer = logged_in();
        assert_eq!(peer.send(&tune_ok(channel_max, frame_max, heartbeat)), [""; 0]);
        let tuned = peer.machine.tuned();
        assert_eq!((tuned.channel_max, tuned.frame_max), (channel_max, frame_max));
        assert_eq!(tuned.heartbeat, heartbeat);
    }
}

#[test]
fn con_42_zero_means_the_offer_and_more_than_the_offer_is_refused() {
    let mut peer = logged_in();
    assert_eq!(peer.send(&tune_ok(0, 0, 0)), [""; 0]);
    let tuned = peer.machine.tuned();
    assert_eq!((tuned.channel_max, tuned.frame_max, tuned.heartbeat), (2047, 131_072, 0));
    for (channel_max, frame_max, text) in [
        (2048, 131_072, "channel_max = 2048 is higher than the maximum allowed value (2047)"),
        (2047, 131_073, "frame_max = 131073 is higher than the maximum allowed value (131072)"),
        (2047, 4095, "frame_max = 4095 is lower than the minimum allowed value (4096)"),
    ] {
        let lines = logged_in().send(&tune_ok(channel_max, frame_max, 60));
        assert_eq!(lines, [format!("> conn 530 \"NOT_ALLOWED - negotiated {text}\" (10,31)")]);
    }
}

#[test]
fn con_44_tune_ok_has_no_answer() {
    assert_eq!(logged_in().send(&tune_ok(2047, 131_072, 60)), [""; 0]);
}

#[test]
fn con_52_an_unknown_vhost_is_530() {
    let mut peer = tuned();
    let lines = peer.send(&open("nowhere"));
    assert_eq!(lines, ["open nowhere", "> conn 530 \"NOT_ALLOWED - vhost nowhere not found\" (10,40)"]);
    assert_eq!(peer.send(&close_ok()), ["finished"]);
}

#[test]
fn con_58_neither_open_nor_start_ok_comes_twice() {
    let lines = Peer::opened().send(&open("/"));
    assert_eq!(
        lines,
        ["> conn 504 \"CHANNEL_ERROR - unexpected method in connection state running\" (10,40)"]
    );
    let lines = Peer::opened().send(&start_ok("PLAIN", b"\0guest\0guest"));
    assert_eq!(
        lines,
        ["> conn 504 \"CHANNEL_ERROR - unexpected method in connection state running\" (10,11)"]
    );
    let lines = logged_in().send(&start_ok("PLAIN", b"\0guest\0guest"));
    assert_eq!(
        lines,
        ["> conn 504 \"CHANNEL_ERROR - unexpected method in connection state tuning\" (10,11)"]
    );
}

#[test]
fn con_81_a_new_secret_is_taken() {
    let arguments = b"\0\0\0\x06secret\x06reason";
    assert_eq!(Peer::opened().send(&raw(0, (10, 70), arguments)), ["> 0: 10.71", "secret updated"]);
}
