//! The load, interrupted again and again on one data directory, and looked at after each restart.

use std::time::Duration;

use crate::{
    footprint::emptied,
    judge::judge,
    load::{Load, Shared},
    look::{deserted, look, trim},
    place::{Broker, Ending, Place},
    random::Random,
    settings::{self, chosen},
    topology,
};

/// A number from the environment.
fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is not a number: {text}")))
}

/// How many cycles: `LEVERET_CRASH_CYCLES`, or this.
pub fn cycles(default: u64) -> u64 {
    number("LEVERET_CRASH_CYCLES").unwrap_or(default)
}

/// Random choices from `LEVERET_CRASH_SEED`, or from the clock; cargo shows the line when the test fails.
pub fn seeded() -> Random {
    let seed = number("LEVERET_CRASH_SEED").unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        u64::from(now.subsec_nanos())
    });
    eprintln!("LEVERET_CRASH_SEED={seed}");
    Random::new(seed)
}

/// The broker of the first cycle, with everything declared.
pub async fn first(place: &Place, shared: &Shared) -> Broker {
    let broker = place.start();
    let channel = broker.channel().await;
    let mut model = crate::model::Model::default();
    topology::declare(&channel, &mut model).await;
    *shared.model() = model;
    broker
}

/// Loads the broker for a random time up to a second, then has it ended, and waits for what the clients know.
pub async fn interrupted(
    broker: Broker,
    shared: &Shared,
    random: &mut Random,
    end: impl AsyncFnOnce(Broker),
) {
    shared.expect_life();
    let load = Load::start(broker.uri(), shared, random);
    tokio::time::sleep(Duration::from_millis(u64::from(random.pick(0..1000)))).await;
    shared.expect_end();
    end(broker).await;
    load.end().await;
}

/// Compares what the restarted broker has with what it must have.
pub async fn verify(broker: &Broker, shared: &Shared, ending: Ending, cycle: u64) {
    shared.model().restarted();
    compare(broker, shared, ending, cycle).await;
}

async fn compare(broker: &Broker, shared: &Shared, ending: Ending, cycle: u64) {
    let found = look(broker).await;
    let violations = judge(&mut shared.model(), &found, ending);
    let (messages, dead) = (found.queues.values().map(Vec::len).sum::<usize>(), found.dead.len());
    eprintln!(
        "cycle {cycle}, {ending:?}: {messages} messages, {dead} dead letters, {} wrong",
        violations.len()
    );
    let shown: Vec<&String> = violations.iter().take(50).collect();
    assert!(violations.is_empty(), "cycle {cycle}, {ending:?}: {} wrong: {shown:#?}", violations.len());
    trim(broker, shared).await;
}

/// Nothing is wrong where nothing crashes: the clients go away in the middle, the broker stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_crash_the_model_agrees() {
    let (mut random, mut place, shared) = (seeded(), Place::new(), Shared::default());
    place.set(chosen(&mut random, settings::ALL));
    let broker = first(&place, &shared).await;
    shared.expect_life();
    let load = Load::start(broker.uri(), &shared, &mut random);
    tokio::time::sleep(Duration::from_secs(1)).await;
    shared.expect_end();
    load.cut().await;
    deserted(&broker, &shared).await;
    // Once only: the look leaves probes in queues, which a restart would remove.
    compare(&broker, &shared, Ending::Clean, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn confirmed_messages_survive_kill_after_kill() {
    let (mut random, mut place, shared) = (seeded(), Place::new(), Shared::default());
    place.set(settings::PAGING);
    let mut broker = first(&place, &shared).await;
    for cycle in 1..=cycles(4) {
        // Some ends are orderly, so that both kinds of recovery follow each other.
        let ending = if cycle % 4 == 0 { Ending::Clean } else { Ending::Kill };
        let logged = place.log().len();
        interrupted(broker, &shared, &mut random, async |broker| broker.end(ending).await).await;
        let ending = if place.log()[logged..].contains("clients did not leave in time") {
            Ending::Kill
        } else {
            ending
        };
        place.set(chosen(&mut random, settings::ALL));
        broker = place.start();
        verify(&broker, &shared, ending, cycle).await;
    }
    emptied(&mut place, broker, &shared).await;
}
