//! The binary as its users see it: what it prints, what it reads, how it starts, stops and fails.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, ChildStdout, Command, Output, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A directory to run in, so that nothing of this machine gets in: no files of /etc, no variables.
struct Place(TempDir);

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    fn leveret(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_leveret"));
        command
            .current_dir(self.0.path())
            .env_clear()
            .env("LEVERET_CONFIG", "none")
            .env("LEVERET_RABBITMQ_CONF", "none")
            .args(arguments);
        command
    }

    /// Standard output of a run that ends well.
    fn output(&self, arguments: &[&str]) -> String {
        let output = self.leveret(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        text(&output.stdout)
    }

    /// Standard error of a run that ends with this code.
    fn failure(&self, code: i32, arguments: &[&str]) -> String {
        failure(code, &self.leveret(arguments).output().unwrap())
    }

    /// A broker on a free port of its own, ready.
    fn start(&self, arguments: &[&str]) -> Running {
        let mut command = self.leveret(&["--amqp", "127.0.0.1:0", "--management", "127.0.0.1:0"]);
        let mut child =
            command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut ready = String::new();
        stdout.read_line(&mut ready).unwrap();
        let running = Running { child, stdout, ready };
        assert!(running.ready.contains("Server startup complete"), "{:?}", running.ready);
        running
    }
}

/// A started broker, killed when it is dropped.
struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
    ready: String,
}

impl Running {
    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Exit code, further standard output, standard error.
    fn finish(mut self) -> (Option<i32>, String, String) {
        let (mut out, mut err) = (String::new(), String::new());
        self.stdout.read_to_string(&mut out).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        (self.child.wait().unwrap().code(), out, err)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Has no effect on one that has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn failure(code: i32, output: &Output) -> String {
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    stderr
}

fn has_line(text: &str, line: &str) -> bool {
    text.lines().any(|found| found == line)
}

#[test]
fn help_and_version() {
    let place = Place::new();
    let help = place.output(&["--help"]);
    for expected in [
        "--amqp",
        "--amqps",
        "--data-dir",
        "--ephemeral",
        "--port-file",
        "Exit codes",
        "Examples",
        "print-config",
    ] {
        assert!(help.contains(expected), "{expected} is missing in:\n{help}");
    }
    assert_eq!(place.output(&["--version"]), format!("leveret {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn an_unknown_key_is_one_sentence_with_a_suggestion() {
    let place = Place::new();
    let file = place.file("mine.toml", "[amqp]\nlisten = [\"5672\"]\nhartbeat = 10\n");
    let file = file.to_str().unwrap();
    assert_eq!(
        place.failure(2, &["--config", file]),
        format!("error: {file}, line 3: unknown key 'amqp.hartbeat'; did you mean 'amqp.heartbeat'?\n")
    );
    assert_eq!(
        place.failure(2, &["--set", "log.levle=info"]),
        "error: --set: unknown key 'log.levle'; did you mean 'log.level'?\n"
    );
    let output = place.leveret(&["check-config"]).env("LEVERET_AMQP__FRAMEMAX", "1").output().unwrap();
    assert_eq!(
        failure(2, &output),
        "error: environment variable LEVERET_AMQP__FRAMEMAX stands for no key; did you mean LEVERET_AMQP__FRAME_MAX?\n"
    );
}

#[test]
fn bad_values_and_bad_usage_exit_with_2() {
    let place = Place::new();
    for (arguments, expected) in [
        (&["--set", "amqp.frame_max=100"][..], "--set: amqp.frame_max cannot be \"100\": expected a size"),
        (&["--set", "amqp.heartbeat"], "expected KEY=VALUE"),
        (&["--amqp", "here"], "--amqp: amqp.listen cannot be [\"here\"]"),
        (&["--memory", "much"], "expected a share such as '60%'"),
        (&["--log-level", "loud"], "expected one of off, error, warn, info, debug, trace"),
        (&["--config", "/nowhere.toml"], "cannot read the file /nowhere.toml"),
        (&["--amqps", ":5671"], "a listener for TLS needs a certificate"),
        (&["--set", "tls.cert=c.pem"], "tls.cert and tls.key: one is set and the other is not"),
        (&["--set", "amqp.listen=none"], "amqp.listen is empty"),
        (&["--management", "nowhere"], "management.listen cannot be"),
        (&["--ephemeral", "--data-dir", "x"], "cannot be used with"),
        (&["--emphemeral"], "--ephemeral"),
    ] {
        let error = place.failure(2, arguments);
        assert!(error.starts_with("error: ") && error.contains(expected), "{arguments:?}: {error}");
    }
}

#[test]
fn flags_beat_variables_and_variables_beat_files() {
    let place = Place::new();
    let toml = place.file("mine.toml", "[amqp]\nheartbeat = 10\nchannel_max = 10\nframe_max = \"10KB\"\n");
    let conf = place.file("rabbitmq.conf", "heartbeat = 9\nmax_message_size = 9\n");
    let output = place
        .leveret(&["print-config", "--origin", "--set", "amqp.heartbeat=30"])
        .env("LEVERET_CONFIG", &toml)
        .env("LEVERET_RABBITMQ_CONF", &conf)
        .env("LEVERET_AMQP__HEARTBEAT", "20")
        .env("LEVERET_AMQP__CHANNEL_MAX", "20")
        .env("RABBITMQ_DEFAULT_USER", "alice")
        .env("LEVERET_PASSWORD", "hush")
        .output()
        .unwrap();
    let printed = text(&output.stdout);
    for line in [
        "heartbeat = 30  # --set".to_owned(),
        "channel_max = 20  # environment variable LEVERET_AMQP__CHANNEL_MAX".to_owned(),
        format!("frame_max = 10000  # {}, line 4", toml.display()),
        format!("max_message_size = 9  # {}, line 2", conf.display()),
        "user = \"alice\"  # environment variable RABBITMQ_DEFAULT_USER".to_owned(),
        "# password = \"********\"  # environment variable LEVERET_PASSWORD".to_owned(),
        "vhost = \"/\"  # default".to_owned(),
    ] {
        assert!(has_line(&printed, &line), "no line {line:?} in:\n{printed}");
    }
    assert!(!printed.contains("hush"));
    assert!(printed.parse::<toml::Table>().is_ok());
}

#[test]
fn a_rabbitmq_conf_becomes_toml() {
    let place = Place::new();
    let conf = place.file(
        "rabbitmq.conf",
        "listeners.tcp.default = 5673\nloopback_users.guest = false\nmanagement.tcp.port = 15673\nmanagement.rates_mode = basic\n\
         default_pass = 'a # b'\nconsumer_timeout = 60000\n",
    );
    let output = place.leveret(&["import-config", conf.to_str().unwrap()]).output().unwrap();
    let table: toml::Table = text(&output.stdout).parse().unwrap();
    let expected: toml::Table = "amqp.listen = ['0.0.0.0:5673']\nmanagement.listen = ['0.0.0.0:15673']\namqp.consumer_timeout = '1min'\n\
         auth.loopback_only = []\nbootstrap.password = 'a # b'\n"
        .parse()
        .unwrap();
    assert_eq!(table, expected);
    let warning = text(&output.stderr);
    assert!(
        warning
            .contains("management.rates_mode: the management interface of this version has no such setting"),
        "{warning}"
    );

    place.file("mine.toml", &text(&output.stdout));
    let checked = place.output(&["check-config", "--config", "mine.toml"]);
    assert_eq!(checked, "read mine.toml\nthe configuration is valid\n");

    place.file("rabbitmq.conf", "ssl_options.password = secret\n");
    let refused = place.failure(2, &["import-config", "rabbitmq.conf"]);
    assert!(
        refused.contains("rabbitmq.conf, line 1") && refused.contains("a key without a password"),
        "{refused}"
    );
    assert!(!refused.contains("secret"), "{refused}");
}

#[test]
fn the_template_is_a_valid_configuration() {
    let place = Place::new();
    place.file("all.toml", &place.output(&["print-config", "--template"]));
    place.output(&["check-config", "--config", "all.toml"]);
}

#[test]
fn the_image_lets_guest_in_from_everywhere_and_keeps_data_in_its_volume() {
    let place = Place::new();
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/etc/docker/leveret.toml");
    let printed = place.output(&["print-config", "--config", file]);
    assert!(has_line(&printed, "loopback_only = []"), "{printed}");
    assert!(has_line(&printed, "data_dir = \"/var/lib/leveret\""), "{printed}");
}

#[test]
fn the_image_for_rabbitmqs_place_has_its_defaults_where_rabbitmqs_has_them() {
    let place = Place::new();
    let files = concat!(env!("CARGO_MANIFEST_DIR"), "/etc/docker/rabbitmq");
    let (toml, conf) = (format!("{files}/leveret.toml"), format!("{files}/10-defaults.conf"));
    let printed = place.output(&["print-config", "--config", &toml, "--rabbitmq-conf", &conf]);
    assert!(has_line(&printed, "loopback_only = []"), "{printed}");
    assert!(has_line(&printed, "data_dir = \"/var/lib/rabbitmq/leveret\""), "{printed}");
    // Another file beside it may be stricter, which it could not if ours said so, too.
    let strict = place.output(&["print-config", "--config", &toml, "--rabbitmq-conf", "none"]);
    assert!(has_line(&strict, "loopback_only = [\"guest\"]"), "{strict}");
}

#[test]
fn starts_on_any_port_tells_it_and_stops_on_request() {
    let place = Place::new();
    for signal in [Signal::TERM, Signal::INT] {
        let broker = place.start(&["--ephemeral", "--port-file", "ports", "--amqp", "127.0.0.1:0"]);
        let ports: serde_json::Value =
            serde_json::from_slice(&fs::read(place.path("ports")).unwrap()).unwrap();
        assert_eq!(ports["pid"], broker.child.id());
        assert_eq!(ports["amqp"].as_array().unwrap().len(), 2);
        let port = u16::try_from(ports["amqp_port"].as_u64().unwrap()).unwrap();
        assert!(broker.ready.contains(&format!("127.0.0.1:{port}")), "{}", broker.ready);
        TcpStream::connect(("127.0.0.1", port)).unwrap();
        let management = u16::try_from(ports["management_port"].as_u64().unwrap()).unwrap();
        assert!(broker.ready.contains(&format!("HTTP on 127.0.0.1:{management}")), "{}", broker.ready);
        TcpStream::connect(("127.0.0.1", management)).unwrap();

        broker.signal(signal);
        let (code, out, err) = broker.finish();
        assert_eq!((code, out.as_str()), (Some(0), ""), "{err}");
        assert!(err.contains("stopping on SIG"), "{err}");
        assert!(!place.path("ports").exists(), "a broker that is gone has no ports");
    }
    assert_eq!(fs::read_dir(place.0.path()).unwrap().count(), 0, "an ephemeral broker leaves nothing behind");
}

/// The data of the next server-sent event.
fn event(stream: &mut impl BufRead) -> serde_json::Value {
    loop {
        let mut line = String::new();
        assert_ne!(stream.read_line(&mut line).unwrap(), 0, "the stream ended");
        if let Some(data) = line.strip_prefix("data: ") {
            return json(data);
        }
    }
}

#[test]
fn the_log_is_told_line_by_line_as_it_is_written() {
    let place = Place::new();
    let broker = place.start(&["--ephemeral", "--port-file", "ports"]);
    let ports: serde_json::Value = serde_json::from_slice(&fs::read(place.path("ports")).unwrap()).unwrap();
    let port = |name: &str| u16::try_from(ports[name].as_u64().unwrap()).unwrap();
    let ask = |path: &str| {
        let mut socket = TcpStream::connect(("127.0.0.1", port("management_port"))).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let head = "host: x\r\nauthorization: Basic Z3Vlc3Q6Z3Vlc3Q=\r\naccept: text/event-stream";
        socket.write_all(format!("GET /api/leveret/{path} HTTP/1.1\r\n{head}\r\n\r\n").as_bytes()).unwrap();
        BufReader::new(socket)
    };
    let mut live = ask("log/live");
    let first = event(&mut live);
    assert_eq!(first["number"], 1, "what was written before comes first: {first}");
    // Whoever begins behind everything hears nothing until there is something new.
    let mut later = ask("log/live?after=1000000");
    let mut status = String::new();
    later.read_line(&mut status).unwrap();
    assert!(status.starts_with("HTTP/1.1 200"), "{status}");
    let mut socket = TcpStream::connect(("127.0.0.1", port("management_port"))).unwrap();
    let head = "host: x\r\nauthorization: Basic Z3Vlc3Q6Z3Vlc3Q=\r\nconnection: close";
    socket.write_all(format!("PUT /api/vhosts/heard HTTP/1.1\r\n{head}\r\n\r\n").as_bytes()).unwrap();
    while event(&mut live)["text"] != "vhost 'heard' created by user 'guest'" {}
    // A client that goes away is no reason to stop, nor is one that stays.
    drop(later);
    broker.signal(Signal::TERM);
    assert_eq!(broker.finish().0, Some(0));
}

#[test]
fn logs_as_json_on_request() {
    let place = Place::new();
    let broker = place.start(&["--ephemeral", "--log-format", "json"]);
    broker.signal(Signal::TERM);
    let (code, _, err) = broker.finish();
    assert_eq!(code, Some(0));
    let events: Vec<serde_json::Value> =
        err.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(events.iter().any(|event| event["message"].as_str().unwrap().starts_with("ready")), "{err}");
}

#[test]
fn a_taken_port_is_one_sentence_and_1() {
    let place = Place::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let error = place
        .failure(1, &["--ephemeral", "--log-level", "error", "--management", "none", "--amqp", &address]);
    assert!(error.starts_with("error: ") && error.contains(&address), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
}

#[test]
fn a_data_directory_has_one_broker_at_a_time() {
    let place = Place::new();
    let broker = place.start(&["--data-dir", "data"]);
    let elsewhere = ["--amqp", "127.0.0.1:0", "--management", "none"];
    let error = place.failure(1, &[&elsewhere[..], &["--data-dir", "data", "--log-level", "error"]].concat());
    let expected =
        format!("error: data directory data is in use by another leveret (pid {})\n", broker.child.id());
    assert_eq!(error, expected);

    // A crash leaves the lock file but not the lock.
    broker.signal(Signal::KILL);
    broker.finish();
    let broker = place.start(&["--data-dir", "data"]);
    broker.signal(Signal::TERM);
    assert_eq!(broker.finish().0, Some(0));
}

/// A stopped broker's data directory with two messages in a durable queue, and the first segment's path.
fn data_with_two_messages(place: &Place) -> PathBuf {
    let broker = place.start(&["--data-dir", "data", "--port-file", "ports"]);
    let ports: serde_json::Value = serde_json::from_slice(&fs::read(place.path("ports")).unwrap()).unwrap();
    let uri = format!("amqp://guest:guest@127.0.0.1:{}/%2f", ports["amqp_port"]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let connection =
            lapin::Connection::connect(&uri, lapin::ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        let confirms = lapin::options::ConfirmSelectOptions::default();
        channel.confirm_select(confirms).await.unwrap();
        let durable = lapin::options::QueueDeclareOptions { durable: true, ..Default::default() };
        channel.queue_declare("orders".into(), durable, Default::default()).await.unwrap();
        for body in [&b"first \xc3\xa4"[..], b"\x1b[2J"] {
            let properties =
                lapin::BasicProperties::default().with_delivery_mode(2).with_app_id("the\u{1b} shop".into());
            let options = lapin::options::BasicPublishOptions::default();
            let confirm = channel.basic_publish("".into(), "orders".into(), options, body, properties);
            assert!(confirm.await.unwrap().await.unwrap().is_ack());
        }
        connection.close(200, "bye".into()).await.unwrap();
    });
    let pid = broker.child.id();
    let refused = place.failure(2, &["check", "data"]);
    assert_eq!(refused, format!("error: data directory data is in use by another leveret (pid {pid})\n"));
    broker.signal(Signal::TERM);
    assert_eq!(broker.finish().0, Some(0));
    place.path("data/log/0000000000000001")
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn check_says_what_is_there_and_what_is_damaged() {
    let place = Place::new();
    assert!(place.failure(2, &["check", "data"]).contains("data cannot be used"));
    fs::create_dir(place.path("data")).unwrap();
    assert!(place.failure(2, &["check", "data"]).contains("is not a data directory of leveret"));
    let segment = data_with_two_messages(&place);

    let text = place.output(&["check", "data"]);
    for expected in ["log format 1", "in order", "orders", "no damage found"] {
        assert!(text.contains(expected), "{expected} is missing in:\n{text}");
    }
    let found = json(&place.output(&["check", "--json", "data"]));
    assert_eq!((&found["stopped_in_order"], &found["damage"]), (&true.into(), &serde_json::json!([])));
    let queue = &found["queues"][0];
    assert_eq!(
        (&queue["name"], &queue["messages"], &queue["octets"]),
        (&"orders".into(), &2.into(), &12.into())
    );

    // One bit of the first body.
    let mut octets = fs::read(&segment).unwrap();
    let at = octets.windows(5).position(|part| part == b"first").unwrap();
    octets[at] ^= 1;
    fs::write(&segment, octets).unwrap();
    let output = place.leveret(&["check", "data"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = text_of(&output);
    assert!(
        text.contains("damage found: 1") && text.contains("queue 'orders' in vhost '/': messages 0"),
        "{text}"
    );
    let output = place.leveret(&["check", "data", "--json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let found = json(&text_of(&output));
    assert_eq!(found["queues"][0]["messages"], 1);
    assert_eq!(found["damage"][0]["queues"][0]["name"], "orders");
    assert_eq!(found["damage"][0]["kind"], "record");
}

fn text_of(output: &Output) -> String {
    text(&output.stdout)
}

#[test]
fn dump_shows_messages_and_records() {
    let place = Place::new();
    data_with_two_messages(&place);
    let shown = place.output(&["dump", "data", "--queue", "orders", "--body", "6"]);
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines.len(), 2, "{shown}");
    for expected in ["sequence=0", "routing_key=\"orders\"", "persistent=true", "body=\"first \"", "more=2"] {
        assert!(lines[0].contains(expected), "{expected} is missing in: {}", lines[0]);
    }
    assert!(lines[1].contains("body={\"hex\":\"1b5b324a\"}"), "{}", lines[1]);
    assert!(!shown.contains('\u{1b}'));

    let shown = place.output(&["dump", "data", "--queue", "orders", "--vhost", "/", "--all", "--json"]);
    let message = json(shown.lines().next().unwrap());
    assert_eq!(message["body"], "first \u{e4}");
    assert_eq!(message["properties"]["delivery_mode"], 2);
    assert_eq!(message["properties"]["app_id"]["hex"], "7468651b2073686f70");

    let records = place.output(&["dump", "data"]);
    for kind in ["declare-queue", "message", "clean-stop"] {
        assert!(records.contains(kind), "no {kind} in:\n{records}");
    }
    let records = place.output(&["dump", "data", "--json"]);
    assert_eq!(records.lines().filter(|line| json(line)["kind"] == "message").count(), 2);

    assert!(
        place.failure(1, &["dump", "data", "--queue", "none"]).contains("there is no durable queue 'none'")
    );
    assert!(place.failure(2, &["dump", "data", "--vhost", "/"]).contains("--vhost goes with --queue"));
    assert!(place.failure(2, &["dump", "nowhere"]).starts_with("error: "));

    // A reader that is gone is no error.
    let mut child =
        place.leveret(&["dump", "data"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""));
}

#[test]
fn the_port_file_must_be_writable() {
    let place = Place::new();
    let elsewhere = ["--amqp", "127.0.0.1:0", "--management", "none"];
    let arguments = [&elsewhere[..], &["--ephemeral", "--port-file", "no/such/directory"]].concat();
    let error = place.failure(1, &arguments);
    assert!(error.contains("cannot write the port file no/such/directory"), "{error}");
}

#[test]
fn a_closed_standard_output_is_no_reason_to_stop() {
    let place = Place::new();
    let mut child = place
        .leveret(&["--ephemeral", "--amqp", "127.0.0.1:0", "--management", "none", "--port-file", "ports"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut log = String::new();
    while !log.contains("ready") {
        assert_ne!(stderr.read_line(&mut log).unwrap(), 0, "{log}");
    }
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    stderr.read_to_string(&mut log).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{log}");
}

/// The report of a run of the load tool, as JSON.
fn bench(place: &Place, uri: &str, arguments: &str) -> serde_json::Value {
    let words = arguments.split(' ');
    let line: Vec<&str> = ["bench", "--json", "--uri", uri].into_iter().chain(words).collect();
    json(&place.output(&line))
}

#[test]
fn bench_drives_a_broker_in_every_mode_and_counts_what_arrives() {
    let place = Place::new();
    let broker = place.start(&["--ephemeral", "--port-file", "ports"]);
    let ports = json(&fs::read_to_string(place.path("ports")).unwrap());
    let uri = format!("amqp://guest:guest@127.0.0.1:{}", ports["amqp_port"]);
    let counted = |arguments: &str, published: u64, consumed: u64| {
        let totals = bench(&place, &uri, arguments)["totals"].clone();
        assert_eq!((&totals["published"], &totals["consumed"]), (&published.into(), &consumed.into()));
    };
    counted("throughput --count 3000 --size 10,5000", 3000, 3000);
    counted("--count 1000 --ack each --unacked 500 --confirm 10 --producers 2 --consumers 2", 1000, 1000);
    counted("--count 500 --exchange topic --bindings 10 --ack 7", 500, 500);
    counted("--count 500 --exchange headers --bindings 10 --persistent", 500, 500);
    counted("--count 100 --fanout 5 --consumers 5 --connections 3", 100, 500);
    counted("backlog --count 2000 --queues 3 --consumers 2 --ack 100", 2000, 2000);
    for mode in ["connection-churn", "channel-churn", "queue-churn"] {
        let report = bench(&place, &uri, &format!("{mode} --count 20 --producers 2"));
        assert_eq!((&report["published"], &report["latency"]["samples"]), (&20.into(), &20.into()), "{mode}");
    }
    let report = bench(&place, &uri, "rpc --seconds 0.1 --warm-up 0");
    assert!(report["latency"]["samples"].as_u64() > Some(0), "{report}");
    let report = bench(&place, &uri, "latency --seconds 0.2 --warm-up 0 --rate 500 --html page.html");
    assert!(report["latency"]["p99_us"].as_f64() > Some(0.0), "{report}");
    let page = fs::read_to_string(place.path("page.html")).unwrap();
    assert!(page.contains("<svg") && page.contains("--rate 500") && !page.contains("guest:guest"));
    let report = bench(&place, &uri, "idle --connections 5 --seconds 0.1");
    assert_eq!(report["connections"], 5.0);
    assert_eq!(bench(&place, &uri, "declare-burst --count 10")["published"], 10);
    drop(broker);
    let error = place.failure(1, &["bench", "--uri", &uri]);
    assert!(error.contains("cannot connect to") && !error.contains("guest"), "{error}");
}

#[test]
fn bench_has_a_command_line_of_its_own() {
    let place = Place::new();
    let help = place.output(&["bench", "--help"]);
    assert!(help.contains("--producers") && help.contains("Exit codes") && !help.contains("--data-dir"));
    assert_eq!(place.output(&["help", "bench"]), help);
    assert!(place.output(&["--help"]).contains("bench"));
    assert!(place.failure(2, &["bench", "--prodcers", "3"]).contains("--producers"));
    assert!(place.failure(2, &["bench", "backlog"]).contains("--count"));
}
