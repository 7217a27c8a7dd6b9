//! The stories of a simulation: what happens in the lives of a disk, and how they end.

use std::fmt;

use super::{
    check::{Finding, Loss},
    faults,
    world::{End, Life, TrappedDisk, World},
};
use crate::store::{
    Durability, Recovered,
    disk::{Operation, When, errno},
};

/// Changes of the disk that a recovery or a first life makes, about.
const CHANGES: u64 = 120;

/// What happened, to be added up.
#[derive(Debug, Default, Clone, Copy)]
pub struct Story {
    pub lives: u64,
    pub commits: u64,
    pub crashes: u64,
    pub faults: u64,
    /// Octets that were moved to pages.
    pub paged: u64,
}

impl Story {
    pub fn add(&mut self, other: &Story) {
        self.lives += other.lives;
        self.commits += other.commits;
        self.crashes += other.crashes;
        self.faults += other.faults;
        self.paged += other.paged;
    }
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Story { lives, commits, crashes, faults, paged } = self;
        write!(
            f,
            "{lives} lives, {commits} commits, {crashes} crashes, {faults} faults, {} KiB in pages",
            paged >> 10
        )
    }
}

/// Several lives with all kinds of ends.
pub fn lives(seed: u64) -> Story {
    let mut world = World::new(seed);
    let mut story = Story::default();
    // Without a sync for each confirm, confirms survive the process at least.
    if world.random.once_in(6) {
        world.sync = *world.random.pick(&[Durability::Interval, Durability::Os]);
    }
    let lives = 2 + world.random.below(4);
    let mut recovered = world.recover(false).expect("an empty disk");
    for _ in 0..lives {
        story.lives += 1;
        let mut life = world.begin(recovered);
        let steps = *world.random.pick(&[30, 150, 600, 1500]);
        recovered = live(&mut world, &mut life, steps, &mut story);
    }
    story.commits = world.commits;
    story.paged = world.paged;
    story
}

/// One life, and what the restart after it finds.
fn live(world: &mut World, life: &mut Life, steps: u64, story: &mut Story) -> Recovered {
    let mut end = *world.random.pick(&[End::Power, End::Power, End::Kill, End::Clean]);
    if end == End::Power && world.sync != Durability::Fsync {
        end = End::Kill;
    }
    let trapped = end != End::Clean && world.random.once_in(2);
    if trapped {
        let after = world.random.below(CHANGES);
        let seed = world.random.next();
        world.disk.set_trap(after, end, seed);
    }
    if end != End::Clean {
        faults::plan(world, story);
    }
    let mut after_failure = 40;
    for step in 0..steps {
        world.step(life);
        if world.disk.has_caught() || (life.failed && after_failure == 0) {
            break;
        }
        after_failure -= u64::from(life.failed);
        faults::fill_disk(world, story);
        if step % 16 == 0 {
            world.check_counts(life);
        }
    }
    if life.failed || end != End::Clean {
        let end = if end == End::Clean { End::Kill } else { end };
        crash(world, life, end, story)
    } else {
        stop(world, life)
    }
}

/// The end in disorder: a new disk, and what is on it.
fn crash(world: &mut World, life: &mut Life, end: End, story: &mut Story) -> Recovered {
    story.crashes += 1;
    let seed = world.random.next();
    let caught = world.disk.caught();
    let disk = caught.unwrap_or_else(|| match end {
        End::Power => world.disk.memory().crash(seed),
        End::Kill | End::Clean => world.disk.memory().kill(),
    });
    let model = world.last_words(life);
    life.clients.clear();
    let mut loss = if end == End::Power || life.failed { Loss::Power } else { Loss::Process };
    disk.set_capacity(None);
    world.disk = TrappedDisk::new(disk);
    faults::damage(world, &model, loss, story);
    // The power may go again while the log is being read.
    if world.sync == Durability::Fsync && world.random.once_in(3) {
        let (after, seed) = (world.random.below(12), world.random.next());
        world.disk.set_trap(after, End::Power, seed);
        let first = world.recover(false);
        if let Some(disk) = world.disk.caught() {
            drop(first);
            loss = Loss::Power;
            world.disk = TrappedDisk::new(disk);
        } else {
            let first = first.expect("the log can be read");
            world.expect(&model, &first, loss);
            return first;
        }
    }
    let recovered = world.recover(false).unwrap_or_else(|error| panic!("the log cannot be read: {error}"));
    world.expect(&model, &recovered, loss);
    recovered
}

/// The end in order, after which everything is as it was.
fn stop(world: &mut World, life: &mut Life) -> Recovered {
    world.stop(life);
    let before = world.in_memory(life);
    let model = world.last_words(life);
    let disk = world.disk.memory().kill();
    world.disk = TrappedDisk::new(disk);
    let recovered = world.recover(false).unwrap_or_else(|error| panic!("the log cannot be read: {error}"));
    world.expect(&model, &recovered, Loss::None);
    assert!(recovered.was_clean, "the stop was clean");
    let finding = Finding::of(&recovered, world.disk.memory());
    for (name, messages) in before {
        let in_memory: Vec<_> = messages.iter().map(|(message, _)| *message).collect();
        let mut found = finding.queues.get(&name).cloned().expect("the queue was found");
        // What lies in pages need not be in memory.
        let is_resident = |sequence| in_memory.iter().any(|message| message.sequence == sequence);
        found.retain(|message| {
            !finding.in_pages.contains(&(name.clone(), message.sequence)) || is_resident(message.sequence)
        });
        assert_eq!(found, in_memory, "queue {name} after a clean stop");
    }
    recovered
}

/// A short story told once for each change of the disk, each time with the power going right before it.
pub fn every_change(seed: u64) -> Story {
    let mut story = Story::default();
    for end in [End::Power, End::Kill] {
        for at in 0.. {
            let mut world = World::new(seed);
            let recovered = world.recover(false).expect("an empty disk");
            world.disk.set_trap(at, end, seed ^ at);
            let mut life = world.begin(recovered);
            for _ in 0..400 {
                world.step(&mut life);
                if world.disk.has_caught() {
                    break;
                }
            }
            story.lives += 1;
            story.commits += world.commits;
            story.paged += world.paged;
            if !world.disk.has_caught() {
                break;
            }
            let mut recovered = crash(&mut world, &mut life, end, &mut story);
            // A second life, which ends in order.
            drop(life);
            life = world.begin(recovered);
            for _ in 0..60 {
                world.step(&mut life);
            }
            recovered = stop(&mut world, &mut life);
            drop(recovered);
        }
    }
    story
}

/// A broker starts and is killed before it writes anything, again and again.
pub fn starts_in_vain() {
    let mut world = World::new(0);
    for _ in 0..3 {
        drop(world.recover(false).expect("nothing is damaged"));
        world.disk = TrappedDisk::new(world.disk.memory().kill());
    }
    let recovered = world.recover(false).expect("nothing is damaged");
    let mut life = world.begin(recovered);
    world.commit(&mut life);
    world.disk = TrappedDisk::new(world.disk.memory().kill());
    let recovered = world.recover(false).expect("segments are in their order");
    world.expect(&world.model, &recovered, Loss::Process);
}

/// A sync fails, and the kernel goes on showing what never reached the disk. What a restart finds of it must be
/// on the disk before the power goes.
pub fn lost_by_a_failed_sync() {
    let mut world = World::new(0);
    let recovered = world.recover(false).expect("an empty disk");
    let mut life = world.begin(recovered);
    let memory = world.disk.memory().clone();
    world.disk.disk.plan(When::nth(Operation::Sync, 1).under("log/0").before(move |path| {
        memory.lose_unsynced(path);
    }));
    world.disk.disk.plan(When::nth(Operation::Sync, 1).under("log/0").fail(errno::EIO));
    let ask = |client: &mut super::client::Client, world: &mut World| {
        client.look_around(&mut world.model, world.now);
        client.take(&mut world.model, &mut world.random, world.now);
    };
    life.clients.iter_mut().for_each(|client| ask(client, &mut world));
    world.commit(&mut life);
    assert!(life.failed, "the sync was asked for, and failed");
    world.disk = TrappedDisk::new(world.disk.memory().kill());
    let recovered = world.recover(false).expect("all of it can be read");
    let found = Finding::of(&recovered, world.disk.memory());
    assert!(!found.queues.is_empty(), "the batch can be seen");
    drop(recovered);
    for seed in 0..8 {
        let disk = TrappedDisk::new(world.disk.memory().crash(seed));
        let before = std::mem::replace(&mut world.disk, disk);
        let recovered = world.recover(false).expect("what was there once stays");
        assert_eq!(Finding::of(&recovered, world.disk.memory()).queues, found.queues, "seed {seed}");
        world.disk = before;
    }
}

/// The rules of a disk that fails.
pub fn rules(world: &mut World) -> Vec<crate::store::disk::Rule> {
    let nth = 1 + world.random.below(40);
    let memory = world.disk.memory().clone();
    match world.random.below(5) {
        0 => vec![
            When::nth(Operation::Sync, nth).before(move |path| {
                memory.lose_unsynced(path);
            }),
            When::nth(Operation::Sync, nth).fail(errno::EIO),
        ],
        1 => vec![When::nth(Operation::Write, nth).fail(errno::EIO)],
        2 => vec![When::nth(Operation::Write, nth).short_then_fail(world.random.index(9000), errno::EIO)],
        3 => vec![When::nth(Operation::SyncDirectory, 1 + nth / 8).fail(errno::EIO)],
        _ => vec![When::nth(Operation::Write, nth).short(1 + world.random.index(9000))],
    }
}
