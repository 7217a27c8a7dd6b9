//! Plays the cases of a group against the brokers under test and reports what differs.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    io::Write as _,
    net::SocketAddr,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use leveret::Broker;

use crate::{
    all_groups,
    common::{self, Address},
    gaps::{GAPS, Gap},
    intended::INTENDED,
    run::{Mismatch, run, run_alone},
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
    /// Keeps the brokers in this process alive.
    _running: Vec<Arc<Broker>>,
}

/// A case that came out otherwise.
struct Failure {
    ids: String,
    /// Known: see [`GAPS`].
    in_gap: bool,
    text: String,
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
    let mut failures = play(&cases, |case| judge_leveret(case, brokers));
    failures.extend(outdated_gaps(&cases, &failures));
    failures.retain(|failure| !failure.in_gap);
    if let Some(rabbitmq) = &brokers.rabbitmq {
        failures.extend(play(&cases, |case| judge_rabbitmq(case, rabbitmq)));
    }
    count_group();
    let texts: Vec<String> = failures.into_iter().map(|failure| failure.text).collect();
    assert!(texts.is_empty(), "{title}: {} of {} differ\n\n{}", texts.len(), cases.len(), texts.join("\n"));
}

fn judge_leveret(case: &Case, brokers: &Brokers) -> Option<String> {
    let result = match (case.alarmed, brokers.external) {
        (true, true) => Ok(()),
        (true, false) => {
            let (address, broker) = common::start(tolerate_tests);
            run_alone(case, &address, &broker)
        }
        (false, external) => {
            let address = if case.brisk { &brokers.brisk } else { &brokers.leveret };
            if case.manages() && address.management.is_none() {
                return None;
            }
            run(case, address, external)
        }
    };
    result.err().map(|mismatch| report("leveret", case, &mismatch))
}

/// A gap that none of its cases shows any more must leave the list.
fn outdated_gaps(cases: &[Case], failures: &[Failure]) -> Vec<Failure> {
    let closed = GAPS.iter().filter(|gap| {
        let concerned = cases.iter().any(|case| case.proves(gap.id));
        concerned && !failures.iter().any(|failure| failure.ids.split(' ').any(|id| id == gap.id))
    });
    let text =
        |gap: &Gap| format!("--- {} is in the list of gaps ({}) but passes: take it out\n", gap.id, gap.what);
    closed.map(|gap| Failure { ids: gap.id.to_owned(), in_gap: false, text: text(gap) }).collect()
}

fn judge_rabbitmq(case: &Case, address: &Address) -> Option<String> {
    if case.alarmed || case.manages() && address.management.is_none() {
        return None;
    }
    let mismatch = run(case, address, true).err()?;
    let intended = INTENDED.iter().position(|difference| {
        case.proves(difference.id)
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

/// Runs `job` for each case on a few threads; returns what it found, in the order of the names.
fn play(cases: &[Case], job: impl Fn(&Case) -> Option<String> + Sync) -> Vec<Failure> {
    let next = AtomicUsize::new(0);
    let found = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..THREADS.min(cases.len()) {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let failure = job(case).map(|text| Failure {
                        ids: case.ids.clone(),
                        in_gap: GAPS.iter().any(|gap| case.proves(gap.id)),
                        text,
                    });
                    found.lock().expect("no holder panics").extend(failure);
                }
            });
        }
    });
    let mut found = found.into_inner().expect("no holder panics");
    found.sort_by(|a, b| a.text.cmp(&b.text));
    found
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
        let from_env = |name: &str, management: &str| {
            let address = Address::from_uri(&std::env::var(name).ok()?);
            let place = std::env::var(management).ok();
            let place = place.map(|place| place.parse().expect("the management interface's HOST:PORT"));
            Some(Address { management: place, ..address })
        };
        let rabbitmq = from_env("LEVERET_DIFF_URI", "LEVERET_DIFF_MANAGEMENT");
        match from_env("LEVERET_URI", "LEVERET_MANAGEMENT") {
            Some(address) => Brokers {
                leveret: address.clone(),
                brisk: address,
                external: true,
                rabbitmq,
                _running: Vec::new(),
            },
            None => {
                let (leveret, one) = common::start(tolerate_tests);
                let (brisk, two) = common::start(|config| {
                    tolerate_tests(config);
                    config.amqp.handshake_timeout = Duration::from_secs(1);
                });
                Brokers { leveret, brisk, external: false, rabbitmq, _running: vec![one, two] }
            }
        }
    })
}

/// Many failed logins and half-open connections from one address are what these tests are about.
fn tolerate_tests(config: &mut leveret::Config) {
    config.limits.login_failures_free = 10_000;
    config.limits.unauthenticated_per_ip_max = 1_000;
    config.management.listen = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
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
