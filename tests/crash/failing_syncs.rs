//! Syncs that fail, by strace's fault injection: after the first of them nothing is promised any more, the
//! broker says so and ends, and its successor has everything that was promised before.

use std::{fs, path::Path, process::Command};

use lapin::{Confirmation, options::*};

use crate::{
    cycles::{cycles, first, seeded, verify},
    isolated::run,
    load::{Load, Peer, Shared},
    patience::within,
    place::{Ending, Place},
    settings::{self, chosen},
    topology::ROUTES,
};

/// The syncs that are the first to fail, counted from a restart on and by thread, as strace counts.
const FAILING: [u64; 10] = [1, 2, 3, 4, 5, 8, 13, 50, 100, 200];
const PROBER: u16 = 9;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs strace"]
async fn nothing_is_confirmed_after_a_failed_sync() {
    let mut probe = Command::new("strace");
    probe.args(["-qq", "-f", "-o", "/dev/null", "true"]);
    if run(&mut probe).is_none() {
        eprintln!("skipped: needs strace, and to be allowed to trace");
        return;
    }
    let (mut random, mut place, shared) = (seeded(), Place::new(), Shared::default());
    first(&place, &shared).await.end(Ending::Kill).await;
    let count = cycles(FAILING.len() as u64);
    for (cycle, when) in (1..=count).zip(FAILING.iter().cycle()) {
        place.set(chosen(&mut random, settings::SYNCED));
        let trace = place.path().join(format!("trace.{cycle}"));
        let logged = place.log().len();
        let failed = fail(&place, &shared, &mut random, *when, &trace).await;
        let log = place.log().split_off(logged);
        assert!(failed, "sync {when} and what follows should fail: see {}", trace.display());
        // Long queues stay in memory then, which is a word of its own.
        let errors: Vec<&str> = log
            .lines()
            .filter(|line| line.contains(" ERROR ") && !line.contains("cannot be moved to disk"))
            .collect();
        // A broker that has not got as far as to its clients says its last words only.
        let last_words = || log.lines().filter(|line| !line.contains(" INFO ")).collect();
        let told: Vec<&str> = if errors.is_empty() { last_words() } else { errors };
        assert_eq!(told.len(), 1, "sync {when}: one clear line, not:\n{log}");
        assert!(told[0].contains("Input/output error"), "sync {when}: {}", told[0]);
        let broker = place.start();
        verify(&broker, &shared, Ending::Kill, cycle).await;
        broker.end(Ending::Kill).await;
    }
}

/// Runs a broker under load until a failed sync ends it; false if none failed.
async fn fail(
    place: &Place,
    shared: &Shared,
    random: &mut crate::random::Random,
    when: u64,
    trace: &Path,
) -> bool {
    let inject = format!("inject=fdatasync,fsync:error=EIO:when={when}+");
    let out = trace.to_str().unwrap();
    // With -D it is strace that is the child, and our child the broker.
    let strace = [
        "strace",
        "-D",
        "-f",
        "-y",
        "-qq",
        "-o",
        out,
        "-e",
        "trace=fdatasync,fsync,syncfs",
        "-e",
        &inject,
        "--",
    ];
    let status = match place.try_start(&strace) {
        // As early as that.
        Err(status) => status,
        Ok(mut broker) => {
            shared.expect_end();
            let load = Load::start(broker.uri(), shared, random);
            let peer = Peer::connect(broker.uri(), shared.clone(), random.fork()).await;
            if let Ok(peer) = peer {
                // Ends with its connection.
                let _ = within("a failed sync that ends the broker", probe(peer, trace)).await;
            }
            let status = broker.ended().await;
            load.end().await;
            status
        }
    };
    assert!(status.code().is_some_and(|code| code != 0), "sync {when}: ended with {status}");
    has_failed(trace)
}

fn has_failed(trace: &Path) -> bool {
    fs::read_to_string(trace).is_ok_and(|trace| trace.contains("INJECTED"))
}

/// Whether a sync of the log has failed. Long queues stay in memory when those of their files fail, and nothing
/// else follows.
fn log_has_failed(trace: &Path) -> bool {
    let is_log = |line: &str| line.contains("INJECTED") && line.contains("/data/log");
    fs::read_to_string(trace).is_ok_and(|trace| trace.lines().any(is_log))
}

/// Publishes one message after the other. One that is sent after a failed sync must not be confirmed.
async fn probe(peer: Peer, trace: &Path) -> lapin::Result<()> {
    peer.channel.confirm_select(ConfirmSelectOptions::default()).await?;
    loop {
        let failed = log_has_failed(trace);
        let id = peer.shared.model().send(PROBER, 100, ROUTES[0].queues, None);
        let (key, options) = (ROUTES[0].key.into(), BasicPublishOptions::default());
        let publish =
            peer.channel.basic_publish("".into(), key, options, &id.body(), id.properties()).await?;
        if let Confirmation::Ack(_) = publish.await? {
            let mut model = peer.shared.model();
            model.confirmed(id);
            if failed {
                model.violations.push(format!("{id} is confirmed, though it was sent after a failed sync"));
            }
        }
    }
}
