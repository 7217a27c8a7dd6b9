//! A broker without threads and clock: its node, its log's writer, its disk, and its clients, step by step.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc,
    },
    task::Waker,
    time::Duration,
};

use parking_lot::Mutex;

use super::{
    actions,
    check::{Finding, FoundMessage, Loss, body_of, check},
    client::Client,
    model::{DELAYING, Model, STANDING, WAITING, family, is_durable},
    random::Random,
    wire::Letter,
};
use crate::{
    broker::{Millis, memory::Account},
    engine::{Holder, Journal, Node, QueueRef, Restored},
    server::{
        Config, Memory,
        mover::{KnownPages, Mover, MoverSettings, PageSize},
        session_settings::session_settings,
        start::node_settings,
    },
    session::SessionSettings,
    store::{
        Committed, Durability, Log, LogSettings, Op, PageRange, Recovered, RecoveryError, RecoveryOptions,
        Writer,
        disk::{Disk, FaultyDisk, MemoryDisk, Operation, When},
        recover,
    },
};

/// Octets of a segment: so small that segments come and go all the time.
const SEGMENT: u64 = 64 << 10;
const CLIENTS_MAX: usize = 4;

static NEXT_RANDOM: AtomicU64 = AtomicU64::new(1);

/// Names that need only be different.
fn random() -> u128 {
    u128::from(NEXT_RANDOM.fetch_add(1, Relaxed))
}

/// Everything that changes a disk: where a crash makes a difference.
const CHANGES: &[Operation] = &[
    Operation::Write,
    Operation::Sync,
    Operation::Allocate,
    Operation::Discard,
    Operation::SetLength,
    Operation::Open,
    Operation::Rename,
    Operation::Remove,
    Operation::SyncDirectory,
    Operation::CreateDirectory,
];

/// How a life ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Power,
    Kill,
    Clean,
}

/// Copies the disk as a crash would leave it, right before its n-th change.
#[derive(Debug, Default)]
struct Trap {
    changes: u64,
    at: Option<u64>,
    end: Option<End>,
    seed: u64,
    caught: Option<MemoryDisk>,
}

/// A disk with a trap.
#[derive(Debug, Clone)]
pub struct TrappedDisk {
    pub disk: FaultyDisk<MemoryDisk>,
    trap: Arc<Mutex<Trap>>,
}

fn end_of(disk: &MemoryDisk, end: End, seed: u64) -> MemoryDisk {
    if end == End::Power { disk.crash(seed) } else { disk.kill() }
}

impl TrappedDisk {
    pub fn new(memory: MemoryDisk) -> TrappedDisk {
        let disk = TrappedDisk { disk: FaultyDisk::new(memory), trap: Arc::default() };
        disk.heal();
        disk
    }

    /// No more faults; the trap stays.
    pub fn heal(&self) {
        self.disk.heal();
        for operation in CHANGES {
            let (trap, memory) = (self.trap.clone(), self.disk.inner().clone());
            self.disk.plan(When::every(*operation).before(move |_| {
                let mut trap = trap.lock();
                if trap.at == Some(trap.changes)
                    && let Some(end) = trap.end
                {
                    trap.caught = Some(end_of(&memory, end, trap.seed));
                }
                trap.changes += 1;
            }));
        }
    }

    /// Ends the life before the n-th change from now.
    pub fn set_trap(&self, after: u64, end: End, seed: u64) {
        let mut trap = self.trap.lock();
        *trap = Trap { changes: 0, at: Some(after), end: Some(end), seed, caught: None };
    }

    pub fn caught(&self) -> Option<MemoryDisk> {
        self.trap.lock().caught.take()
    }

    pub fn has_caught(&self) -> bool {
        self.trap.lock().caught.is_some()
    }

    pub fn memory(&self) -> &MemoryDisk {
        self.disk.inner()
    }
}

/// One process: from a recovery to its end.
pub struct Life {
    pub node: Arc<Node>,
    log: Arc<Log>,
    writer: Writer,
    mover: Mover,
    /// Where the mover hears what the log needs no more.
    freed: mpsc::Sender<Vec<PageRange>>,
    pub clients: Vec<Client>,
    /// The log failed, and the broker would end itself.
    pub failed: bool,
}

/// Everything.
pub struct World {
    pub random: Random,
    pub disk: TrappedDisk,
    pub now: Millis,
    pub model: Model,
    pub sync: Durability,
    settings: Arc<SessionSettings>,
    config: Config,
    next_id: u64,
    pub commits: u64,
    /// Octets that were moved to pages.
    pub paged: u64,
}

pub fn options(sync: Durability, accept_loss: bool) -> RecoveryOptions {
    let settings = LogSettings { segment_size: SEGMENT, trim_min: 2 * SEGMENT, sync, mark: 7 };
    RecoveryOptions { settings, account: Account::UNCOUNTED, accept_loss }
}

impl World {
    pub fn new(seed: u64) -> World {
        let mut config = Config::default();
        config.limits.memory = Memory::Absolute(1 << 50);
        let settings = Arc::new(session_settings(&config));
        World {
            random: Random::new(seed),
            disk: TrappedDisk::new(MemoryDisk::new()),
            now: 1_000_000_000,
            model: Model { boundaries: vec![0], ..Model::default() },
            sync: Durability::Fsync,
            settings,
            config,
            next_id: 0,
            commits: 0,
            paged: 0,
        }
    }

    /// Reads the log on the disk.
    pub fn recover(&self, accept_loss: bool) -> Result<Recovered, RecoveryError> {
        let disk: Arc<dyn Disk> = Arc::new(self.disk.disk.clone());
        recover(&disk, options(self.sync, accept_loss), |_, _| ())
    }

    /// Begins a life with what was recovered.
    pub fn begin(&mut self, recovered: Recovered) -> Life {
        let finding = Finding::of(&recovered, self.disk.memory());
        let seen = |message: &FoundMessage| !finding.was_clean || message.returns != 0;
        let letters = |messages: &Vec<FoundMessage>| {
            messages.iter().map(|message| (message.letter, seen(message))).collect::<Vec<_>>()
        };
        self.model = Model::begin_life(
            finding.exchanges.iter().cloned(),
            finding.bindings.iter().cloned(),
            finding.queues.iter().map(|(name, messages)| (name.clone(), letters(messages))),
        );
        let Recovered { log, writer, access, definitions, queues, next_queue, was_clean, .. } = recovered;
        let known = Some(access.clone()).filter(|access| !access.is_empty());
        let restored =
            Restored { access, definitions, queues, streams: Default::default(), next_queue, was_clean };
        let journal = Journal::new(Some(log.clone()), next_queue);
        let mut settings = node_settings(&self.config, journal, Account::UNCOUNTED, known);
        settings.random = random;
        let node = Arc::new(Node::new(settings));
        let (freed, is_freed) = mpsc::channel();
        let settings = MoverSettings { account: Account::UNCOUNTED, resident_max: u64::MAX, freed: is_freed };
        let disk = Arc::new(self.disk.disk.clone());
        let mover = Mover::open(node.clone(), disk, KnownPages::of(&restored), settings);
        let mover = mover.expect("the page files can be opened");
        node.restore(restored, self.now);
        let mut life = Life { node, log, writer, mover, freed, clients: Vec::new(), failed: false };
        self.set_up(&mut life);
        life
    }

    fn set_up(&mut self, life: &mut Life) {
        let mut client = Client::new(&life.node, &self.settings, self.now);
        actions::set_up(&mut client);
        self.model.now += 1;
        client.feed(&mut self.model, usize::MAX, self.now);
        assert_eq!(client.backlog(), 0, "everything was taken in");
        life.clients.push(client);
    }

    /// Something happens.
    pub fn step(&mut self, life: &mut Life) {
        self.model.now += 1;
        tell!("step {}", self.model.now);
        match self.random.below(100) {
            0..=2 if life.clients.len() < CLIENTS_MAX => {
                life.clients.push(Client::new(&life.node, &self.settings, self.now));
            }
            3 if self.random.once_in(4) => self.hang_up(life),
            0..=5 => self.pass_time(life),
            6..=17 => self.commit(life),
            18..=19 => self.page(life),
            20..=54 => self.with_client(life, |world, client| {
                actions::act(client, &world.model, &mut world.random, &mut world.next_id);
            }),
            55..=74 => self.with_client(life, |world, client| {
                client.look_around(&mut world.model, world.now);
                let portion = if world.random.once_in(4) { 1 + world.random.index(2000) } else { usize::MAX };
                client.feed(&mut world.model, portion, world.now);
            }),
            75..=84 => self.with_client(life, |world, client| {
                client.look_around(&mut world.model, world.now);
                client.session.deliver(world.now, Waker::noop());
            }),
            _ => self.with_client(life, |world, client| {
                client.look_around(&mut world.model, world.now);
                client.take(&mut world.model, &mut world.random, world.now);
            }),
        }
        life.clients.retain(|client| !client.is_over);
    }

    fn with_client(&mut self, life: &mut Life, act: impl FnOnce(&mut World, &mut Client)) {
        if !life.clients.is_empty() {
            let at = self.random.index(life.clients.len());
            act(self, &mut life.clients[at]);
        }
    }

    fn hang_up(&mut self, life: &mut Life) {
        self.with_client(life, |world, client| client.disconnect(&mut world.model, world.now));
    }

    fn pass_time(&mut self, life: &mut Life) {
        self.now += 1 + self.random.below(60);
        let (due, _) = life.node.timers.take_due(self.now, Waker::noop());
        due.iter().for_each(|holder| life.node.look(holder, self.now));
    }

    /// The pager does what queues have asked for, or moves a part of one to disk.
    fn page(&mut self, life: &mut Life) {
        let requests = life.node.paging.wait(Duration::ZERO).unwrap_or_default();
        tell!("paging: {requests:?}");
        life.mover.serve(requests, self.now);
        let names: Vec<&String> = self.model.queues.keys().collect();
        let vhost = life.node.vhost("/").expect("it is always there");
        let holder = (!names.is_empty()).then(|| match names[self.random.index(names.len())].as_str() {
            WAITING => vhost.delayed_exchange(DELAYING).map(Holder::Delay),
            name => vhost.queue(name).ok().map(Holder::Queue),
        });
        if let Some(Some(holder)) = holder
            && self.random.once_in(2)
        {
            let keep = *self.random.pick(&[0, 500, 5000]);
            let size =
                PageSize { bytes: 1 + self.random.below(5000), messages: 1 + self.random.below(20) as u32 };
            let saved = life.mover.page_out(&holder, keep, 1 + self.random.below(20_000), size, self.now);
            tell!("paged {saved} octets of {holder} out");
            self.paged += saved;
        }
    }

    /// The writer does its work once, as its thread does.
    pub fn commit(&mut self, life: &mut Life) {
        if life.failed {
            return;
        }
        life.node.log_wanted_definitions();
        // Nobody hears it once the mover is gone, which is when the life ends.
        life.freed.send(life.writer.take_freed()).expect("the mover lives as long");
        self.model.boundaries.push(self.model.now);
        self.commits += 1;
        let committed = life.writer.commit(None, self.now);
        tell!(
            "commit at {}: {committed:?} {:?} caught {} usage {:?} {:?}",
            self.model.now,
            life.failed,
            self.disk.has_caught(),
            life.writer.usage(),
            self.disk.memory().files()
        );
        match committed {
            // What was written after the copy was taken is not in it.
            Ok(Committed::Done | Committed::Closed) if !self.disk.has_caught() => {
                self.model.written = self.model.now;
            }
            Ok(_) => {}
            Err(error) => {
                life.log.fail(&error.to_string());
                life.failed = true;
            }
        }
    }

    /// The end in order: clients go, then the log is closed.
    pub fn stop(&mut self, life: &mut Life) {
        self.model.now += 1;
        for mut client in life.clients.drain(..) {
            client.disconnect(&mut self.model, self.now);
        }
        self.model.now += 1;
        life.log.append(&mut vec![Op::CleanStop], true);
        life.log.close();
        self.disk.memory().set_capacity(None);
        self.model.boundaries.push(self.model.now);
        for _ in 0..100 {
            match life.writer.commit(None, self.now).expect("the disk works") {
                Committed::Closed => return,
                Committed::Done | Committed::Full => {}
            }
        }
        panic!("the log does not close");
    }

    /// What is in memory of queues that survive, in the words of a finding; nobody may be connected.
    pub fn in_memory(&self, life: &Life) -> Vec<(String, Vec<(FoundMessage, bool)>)> {
        let vhost = life.node.vhost("/").expect("it is always there");
        let names = self.model.queues.keys().filter(|name| is_durable(name));
        let queues = names.filter_map(|name| vhost.queue(name).ok());
        let entries = |queue: &QueueRef| {
            life.node.with_queue(queue, self.now, |queue, _| {
                let logged = queue.ready_entries().filter(|entry| entry.logged);
                let mut found: Vec<_> = logged
                    .map(|entry| {
                        let letter = Letter::read(&body_of(&entry.message));
                        let crate::broker::queue::Entry { sequence, deadline, returns, .. } = *entry;
                        (FoundMessage { sequence, letter, deadline, returns }, entry.redelivered)
                    })
                    .collect();
                found.sort_by_key(|(found, _)| found.sequence);
                found
            })
        };
        queues.map(|queue| (queue.name.to_string(), entries(&queue))).collect()
    }

    /// Counts of queues about which clients know everything.
    pub fn check_counts(&mut self, life: &Life) {
        if life.failed || life.clients.iter().any(Client::has_unseen_gets) {
            return;
        }
        let vhost = life.node.vhost("/").expect("it is always there");
        let counts = |name: &str| {
            if name == WAITING {
                return vhost.delayed_exchange(DELAYING).expect("it is always there").waiting().messages;
            }
            let queue = vhost.queue(name).expect("the model knows it");
            let counts = life.node.with_queue(&queue, self.now, |queue, _| queue.counts());
            counts.ready + counts.unacknowledged
        };
        for (name, lives) in &self.model.queues {
            let Some(queue) = lives.last().filter(|queue| queue.span.until.is_none()) else { continue };
            let unsure =
                |arrival: &super::model::Arrival| arrival.gone.is_some_and(|(_, latest)| latest == u64::MAX);
            if family(name) != name || queue.leaks || queue.arrivals.iter().any(unsure) {
                continue;
            }
            let alive = queue.arrivals.iter().filter(|arrival| arrival.gone.is_none()).count() as u64;
            let dead = format!("dead.{name}");
            let dead = if STANDING.contains(&&*dead) { counts(&dead) } else { 0 };
            assert_eq!(alive, counts(name) + dead, "{name}: ready and unacknowledged messages");
        }
    }

    /// At a crash: what clients know, and what a restart may have lost.
    pub fn last_words(&mut self, life: &Life) -> Model {
        let mut model = self.model.clone();
        life.clients.iter().for_each(|client| client.forget_unseen(&mut model));
        model
    }

    /// Compares a finding with what clients know.
    pub fn expect(&self, model: &Model, recovered: &Recovered, loss: Loss) {
        assert!(recovered.report.damage.is_empty(), "damage out of nowhere: {:?}", recovered.report.damage);
        if let Err(reason) = check(model, &Finding::of(recovered, self.disk.memory()), loss) {
            panic!("{reason}");
        }
    }
}
