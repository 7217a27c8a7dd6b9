//! Finding a broker, waiting for it, stopping it.

use std::{fs, os::unix::fs::MetadataExt, process::Stdio};

use crate::{call::Called, place::Place};

#[test]
fn nobody_is_there() {
    let place = Place::empty();
    let ping = place.run("rabbitmq-diagnostics -q ping");
    assert_eq!(ping.out, "");
    ping.fails_with(
        69,
        "Error:\nFailed to connect and authenticate to rabbit@here in 60000 ms: no broker of this user",
    );
    let down = "Error: unable to perform an operation on node 'rabbit@here'";
    place.run("rabbitmqctl status").fails_with(69, down);
    place.run("rabbitmqctl -n other list_queues").fails_with(69, "node 'other@here'");
    place.run("rabbitmqctl await_startup -t 0").fails_with(75, "timed out while waiting");
    place.run("rabbitmqctl stop --idempotent").fine();
}

#[test]
fn the_socket_is_private_and_found_by_all_ways() {
    let mut place = Place::start();
    let socket = place.path("leveret-data/leveret.sock");
    assert_eq!(fs::metadata(&socket).unwrap().mode() & 0o777, 0o600);
    let elsewhere = tempfile::tempdir().unwrap();
    let ping = |arguments: &[&str]| {
        let mut command = place.tool("rabbitmqctl");
        Called::run(command.current_dir(elsewhere.path()).arg("ping").args(arguments), "").code
    };
    let text = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    assert_eq!(ping(&[]), Some(0), "through the user's directory of sockets");
    assert_eq!(ping(&["--socket", &text(&socket)]), Some(0));
    assert_eq!(ping(&["--data-dir", &text(&place.path("leveret-data"))]), Some(0));
    assert_eq!(ping(&["--uri", &format!("http://guest:guest@127.0.0.1:{}", place.http)]), Some(0));
    assert_eq!(ping(&["--uri", &format!("http://guest:wrong@127.0.0.1:{}", place.http)]), Some(69));
    assert_eq!(ping(&["--socket", "nosuch"]), Some(69));
    place.run("rabbitmqctl stop").fine();
    assert_eq!(place.ended(), Some(0));
    assert!(!socket.exists());
    assert_eq!(fs::read_dir(place.path("run/leveret")).unwrap().count(), 0);
}

#[test]
fn one_of_several_must_be_named() {
    let mut one = Place::empty();
    one.launch(&["--ephemeral"]);
    assert_eq!(one.quiet("rabbitmqctl ping"), "Ping succeeded\n", "without a data directory, too");
    let mut other = Place::empty();
    std::os::unix::fs::symlink(one.path("run/leveret"), other.path("run/leveret")).ok();
    fs::remove_file(other.path("run/leveret")).unwrap();
    other.launch(&[]);
    // As if both had been started by one user.
    fs::remove_dir_all(other.path("run")).unwrap();
    std::os::unix::fs::symlink(one.path("run"), other.path("run")).unwrap();
    assert_eq!(other.quiet("rabbitmqctl ping"), "Ping succeeded\n");
    let second = one.path("run/leveret/second.sock");
    std::os::unix::fs::symlink(other.path("leveret-data/leveret.sock"), &second).unwrap();
    one.run("rabbitmqctl ping").fails_with(69, "several brokers are running; name one with --socket: ");
}

#[test]
fn stop_waits_for_the_end_and_looks_at_the_pid_file() {
    let mut place = Place::start();
    fs::write(place.path("pid"), format!("{}\n", std::process::id())).unwrap();
    place.run("rabbitmqctl stop pid").fails_with(70, "is not that of node rabbit@here");
    fs::write(place.path("pid"), format!("{}\n", place.pid())).unwrap();
    assert_eq!(
        place.run("rabbitmqctl stop pid").fine(),
        "Stopping and halting node rabbit@here (will monitor pid file pid) ...\n"
    );
    assert_eq!(place.ended(), Some(0));
}

#[test]
fn shutdown_says_which_process_it_was() {
    let mut place = Place::start();
    let pid = place.pid();
    let said = place.quiet("rabbitmqctl shutdown");
    assert_eq!(said, format!("RabbitMQ node rabbit@here running at PID {pid} successfully shut down\n"));
    assert_eq!(place.ended(), Some(0));
}

#[test]
fn waiting_begins_before_the_broker_does() {
    let mut place = Place::empty();
    let mut await_startup = place.tool("rabbitmqctl").arg("await_startup").spawn().unwrap();
    let wait = place.tool("rabbitmqctl").args(["wait", "pid"]).stdout(Stdio::piped()).spawn().unwrap();
    place.launch(&[]);
    fs::write(place.path("pid"), format!("{}\n", place.pid())).unwrap();
    assert!(await_startup.wait().unwrap().success());
    let waited = wait.wait_with_output().unwrap();
    assert!(waited.status.success());
    let text = String::from_utf8(waited.stdout).unwrap();
    assert!(
        text.ends_with("Applications 'rabbit_and_plugins' are running on node 'rabbit@here'\n"),
        "{text}"
    );
    place.run(&format!("rabbitmqctl wait --pid {}", place.pid())).fine();
    fs::write(place.path("garbage"), "what\n").unwrap();
    place
        .run("rabbitmqctl wait garbage")
        .fails(65, "pid file garbage\n".replace("pid file garbage", "Error: garbage in pid file.").as_str());
    place.run("rabbitmqctl wait garbage --pid 1").fails_with(64, "Cannot specify both pid and pidfile");
}

#[test]
fn no_socket_if_none_is_wanted() {
    let mut place = Place::empty();
    place.launch(&["--socket", "none"]);
    assert!(!place.path("leveret-data/leveret.sock").exists());
    place.run("rabbitmqctl ping").fails_with(69, "no broker of this user is running here");
}

#[tokio::test]
async fn a_broker_is_stopped_emptied_and_started_again() {
    let place = Place::start();
    let uri = format!("amqp://guest:guest@127.0.0.1:{}/%2f", place.amqp);
    let connect = || lapin::Connection::connect(&uri, lapin::ConnectionProperties::default());
    let connection = connect().await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel.queue_declare("q".into(), Default::default(), Default::default()).await.unwrap();
    place.run("rabbitmqctl add_user alice a").fine();
    place.run("rabbitmqctl add_vhost shop").fine();
    place.run("rabbitmqctl reset").fails(
        64,
        "Error: this command requires the 'rabbit' app to be stopped on the target node. \
         Stop it with 'rabbitmqctl stop_app'.\n",
    );

    place.run("rabbitmqctl suspend_listeners").fine();
    assert!(connect().await.is_err());
    channel.basic_qos(1, Default::default()).await.expect("who is in stays");
    place.run("rabbitmqctl resume_listeners").fine();
    drop(connect().await.unwrap());

    assert_eq!(
        place.run("rabbitmqctl stop_app").fine(),
        "Stopping rabbit application on node rabbit@here ...\n"
    );
    while channel.basic_qos(1, Default::default()).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(connect().await.is_err());
    place.run("rabbitmq-diagnostics -q check_running").fails(
        69,
        "Error:\nRabbitMQ on node rabbit@here is not running or has not fully booted yet (check with is_booting)\n",
    );
    place.run("rabbitmqctl reset").fine();
    place.run("rabbitmqctl start_app").fine();
    place.run("rabbitmq-diagnostics -q check_running").fine();
    assert_eq!(place.json("rabbitmqctl list_users").as_array().map(Vec::len), Some(1));
    assert_eq!(place.json("rabbitmqctl list_vhosts"), serde_json::json!([{ "name": "/" }]));
    assert_eq!(place.json("rabbitmqctl list_queues"), serde_json::json!([]));
    let connection = connect().await.expect("guest is there again");
    connection.create_channel().await.unwrap();

    place.run("rabbitmq-upgrade drain").fine();
    assert!(connect().await.is_err());
    place.run("rabbitmq-upgrade revive").fine();
    connect().await.unwrap();
}

#[test]
fn the_server_has_rabbitmqs_name_and_pid_file() {
    let place = Place::empty();
    let started = place
        .tool("rabbitmq-server")
        .args([
            "-detached",
            "--amqp",
            "127.0.0.1:0",
            "--management",
            "none",
            "--set",
            "prometheus.listen=none",
        ])
        .env("RABBITMQ_PID_FILE", place.path("pid"))
        .status()
        .unwrap();
    assert!(started.success());
    place.run("rabbitmqctl wait pid").fine();
    place.run("rabbitmqctl stop pid").fine();
    place.run("rabbitmqctl ping").fails_with(69, "no broker of this user");
}
