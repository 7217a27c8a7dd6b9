//! The entry point of the image in RabbitMQ's place: who runs what. The programs that it calls only say so.

use std::process::Command;

use tempfile::TempDir;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/etc/docker/rabbitmq/docker-entrypoint.sh");

/// A container of which there is nothing but programs that say how they were called.
struct Image(TempDir);

impl Image {
    /// With these programs, for the user with this number.
    fn new(uid: u32, programs: &[&str]) -> Image {
        let image = Image(tempfile::tempdir().unwrap());
        for name in ["find", "rabbitmq-server", "rabbitmqctl", "bash"].iter().chain(programs) {
            image.program(name, &format!("echo {name} \"$@\""));
        }
        image.program("id", &format!("echo {uid}"));
        image
    }

    /// Written by another process: a program cannot be run while somebody has it open to write, and a child that another
    /// test starts at this moment would have it open, too.
    fn program(&self, name: &str, line: &str) {
        let written = Command::new("/bin/sh")
            .args(["-c", r#"printf '#!/bin/sh\n%s\n' "$2" >"$1" && chmod 755 "$1""#, "sh"])
            .arg(self.0.path().join(name))
            .arg(line)
            .status()
            .unwrap();
        assert!(written.success());
    }

    /// What is called, in its order, when the container is started with this command.
    #[track_caller]
    fn run(&self, command: &[&str]) -> Vec<String> {
        let output = Command::new("/bin/sh")
            .arg(SCRIPT)
            .args(command)
            .env_clear()
            .env("PATH", self.0.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
    }
}

const HANDED_OVER: &str = "find /var/lib/rabbitmq ! -user rabbitmq -exec chown rabbitmq:rabbitmq {} +";
const BECOME: &str = "setpriv --reuid=rabbitmq --regid=rabbitmq --init-groups";

#[test]
fn root_hands_the_volume_over_and_becomes_rabbitmq() {
    let debian = Image::new(0, &["setpriv"]);
    let server = format!("{BECOME} rabbitmq-server");
    assert_eq!(debian.run(&["rabbitmq-server"]), [HANDED_OVER, &server]);
    assert_eq!(debian.run(&[]), [HANDED_OVER, &server]);
    assert_eq!(
        debian.run(&["--set", "amqp.heartbeat=13"]),
        [HANDED_OVER, &format!("{server} --set amqp.heartbeat=13")]
    );
    let alpine = Image::new(0, &["su-exec", "setpriv"]);
    assert_eq!(alpine.run(&["rabbitmq-server"]), [HANDED_OVER, "su-exec rabbitmq rabbitmq-server"]);
}

#[test]
fn tools_touch_no_volume_and_other_commands_are_roots() {
    let image = Image::new(0, &["setpriv"]);
    assert_eq!(
        image.run(&["rabbitmqctl", "list_queues", "a b"]),
        [format!("{BECOME} rabbitmqctl list_queues a b")]
    );
    assert_eq!(image.run(&["bash", "-c", "exit 1"]), ["bash -c exit 1"]);
}

#[test]
fn anybody_else_stays_who_he_is() {
    // Neither of the programs that change the user is there to be called.
    let image = Image::new(4711, &[]);
    assert_eq!(image.run(&["rabbitmq-server"]), ["rabbitmq-server"]);
    assert_eq!(image.run(&["--ephemeral"]), ["rabbitmq-server --ephemeral"]);
    assert_eq!(image.run(&["rabbitmqctl", "status"]), ["rabbitmqctl status"]);
}
