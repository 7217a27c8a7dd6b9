//! Plays the cases of a group against the brokers under test and reports what differs.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    io::Write as _,
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use crate::{
    all_groups,
    common::{self, Address},
    intended::INTENDED,
    run::{Mismatch, run},
    script::{Case, fits},
};

/// Cases in flight per group. They wait much more than they work.
const THREADS: usize = 16;

/// The brokers under test.
struct Brokers {
    leveret: Address,
    /// A leveret whose handshake timeout is short.
    brisk: Address,
    /// Whether that leveret outlives this process, so that names must be cleaned up.
    external: bool,
    rabbitmq: Option<Address>,
}

/// What the groups found, for the last line of the output.
#[derive(Default)]
struct Tally {
    groups: usize,
    /// Indices of the intended differences that RabbitMQ showed.
    seen: BTreeSet<usize>,
}

static TALLY: Mutex<Tally> = Mutex::new(Tally { groups: 0, seen: BTreeSet::new() });

/// Plays a group; panics with every difference there is.
pub fn judge(title: &str, mut cases: Vec<Case>) {
    cases.sort_by_key(|case| !case.slow);
    let brokers = brokers();
    let skip = std::env::var("LEVERET_URI").is_ok_and(|uri| uri == "none");
    let mut failures = if skip { Vec::new() } else { play(&cases, |case| {
        let address = if case.brisk { &brokers.brisk } else { &brokers.leveret };
        run(case, address, brokers.external).map_err(|mismatch| report("leveret", case, &mismatch)).err()
    }) };
    if let Some(rabbitmq) = &brokers.rabbitmq {
        failures.extend(play(&cases, |case| judge_rabbitmq(case, rabbitmq)));
    }
    count_group();
    let count = failures.len();
    assert!(failures.is_empty(), "{title}: {count} of {} differ\n\n{}", cases.len(), failures.join("\n"));
}

fn judge_rabbitmq(case: &Case, address: &Address) -> Option<String> {
    let mismatch = run(case, address, true).err()?;
    let intended = INTENDED.iter().position(|difference| {
        case.ids.split(' ').any(|id| id == difference.id)
            && mismatch.expected == difference.ours
            && fits(difference.rabbitmq, &mismatch.got)
    });
    match intended {
        Some(index) => {
            TALLY.lock().expect("no group panics inside").seen.insert(index);
            None
        }
        None => Some(report("RabbitMQ", case, &mismatch)),
    }
}

/// Runs `job` for each case on a few threads; returns what it found, in the order of the cases.
fn play(cases: &[Case], job: impl Fn(&Case) -> Option<String> + Sync) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let found = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..THREADS.min(cases.len()) {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let t = std::time::Instant::now();
                    let r = job(case);
                    if t.elapsed().as_secs() >= 2 { eprintln!("SLOW {:.1} {}", t.elapsed().as_secs_f32(), case.name()); }
                    let job = |_: &Case| r.clone();
                    found.lock().expect("no holder panics").extend(job(case).map(|text| (case.name(), text)));
                }
            });
        }
    });
    let mut found = found.into_inner().expect("no holder panics");
    found.sort();
    found.into_iter().map(|(_, text)| text).collect()
}

/// The case, what was played, and the two answers under each other.
fn report(broker: &str, case: &Case, mismatch: &Mismatch) -> String {
    let Mismatch { expected, got, transcript } = mismatch;
    let mut out = format!("--- {broker}: {}\n{transcript}", case.name());
    writeln!(out, "  expected: {expected}\n  got:      {got}").expect("a String takes anything");
    out
}

/// The brokers, started once for all groups.
fn brokers() -> &'static Brokers {
    static BROKERS: OnceLock<Brokers> = OnceLock::new();
    BROKERS.get_or_init(|| {
        let from_env = |name| std::env::var(name).ok().map(|uri| Address::from_uri(&uri));
        let rabbitmq = from_env("LEVERET_DIFF_URI");
        if std::env::var("LEVERET_URI").is_ok_and(|uri| uri == "none") {
            let a = rabbitmq.clone().unwrap();
            return Brokers { leveret: a.clone(), brisk: a, external: true, rabbitmq };
        }
        match from_env("LEVERET_URI") {
            Some(address) => {
                Brokers { leveret: address.clone(), brisk: address, external: true, rabbitmq }
            }
            None => {
                let leveret = common::start(|config| tolerate_tests(config));
                let brisk = common::start(|config| {
                    tolerate_tests(config);
                    config.amqp.handshake_timeout = std::time::Duration::from_secs(1);
                });
                Brokers { leveret, brisk, external: false, rabbitmq }
            }
        }
    })
}

/// Many failed logins and half-open connections from one address are what these tests are about.
fn tolerate_tests(config: &mut leveret::Config) {
    config.limits.login_failures_free = 10_000;
    config.limits.unauthenticated_per_ip_max = 1_000;
}

/// After the last group: one line of totals, and the differences RabbitMQ should have shown.
fn count_group() {
    let groups = all_groups();
    let mut tally = TALLY.lock().expect("no holder panics");
    tally.groups += 1;
    if tally.groups < groups.len() {
        return;
    }
    let cases = || groups.iter().flat_map(|(_, cases)| cases);
    let ids: BTreeSet<&str> = cases().flat_map(|case| case.ids.split(' ')).collect();
    let mut text = format!(
        "differential: {} exchanges, {} reference ids, {} intended differences\n",
        cases().count(),
        ids.len(),
        INTENDED.len()
    );
    if brokers().rabbitmq.is_some() {
        for (_, difference) in INTENDED.iter().enumerate().filter(|(index, _)| !tally.seen.contains(index)) {
            let unseen = format!("not shown by this RabbitMQ: {} {}\n", difference.id, difference.rabbitmq);
            text.push_str(&unseen);
        }
    }
    // Straight to the file descriptor: the test harness swallows what `eprintln!` prints.
    std::io::stderr().write_all(text.as_bytes()).expect("stderr is open");
}
