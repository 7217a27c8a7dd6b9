//! The broker of this process: vhosts, users, alarms, timers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::Waker,
};

use dashmap::DashMap;
use foldhash::fast::RandomState;

use super::{
    Access, Alarms, Allowances, Attempts, ConnectionId, ConnectionInfo, ConsumerOutlet, Holder, Inbox,
    Journal, LoginGuard, Occupancy, OpenConnection, PageRequest, Paging, QueueRef, Refusals, Refused,
    Replies, Room, RoomLimits, Service, Signal, Streams, Timers, Vhost, add_identities, add_notes,
    dead_letters,
    events::{self, Events},
    stats::{ConnectionMeter, Event, NodeStats},
};
use crate::{
    amqp::Failure,
    broker::{
        Millis,
        memory::Account,
        queue::{Effects, Queue, Wakes},
    },
    store::{Definition, NODE, Op},
};

/// What a node is made with.
pub struct NodeSettings {
    pub access: Access,
    pub guard: LoginGuard,
    /// Vhosts to begin with, in which every user of `access` may do everything; beside those it knows.
    pub vhosts: Vec<String>,
    /// Octets of messages in memory above which publishers wait.
    pub memory_limit: u64,
    /// Whose memory the messages are; the node closes it.
    pub account: Account,
    pub journal: Journal,
    /// How many connections and channels there may be.
    pub allowances: Allowances,
    /// How many vhosts, queues and exchanges.
    pub room: RoomLimits,
    /// Sixteen octets that nobody can guess, for generated names.
    pub random: fn() -> u128,
    /// What events and traces call it.
    pub name: String,
    /// The vhost with the event exchange.
    pub event_vhost: String,
}

/// Everything that connections share.
#[derive(Debug)]
pub struct Node {
    vhosts: DashMap<Arc<str>, Arc<Vhost>, RandomState>,
    connections: DashMap<ConnectionId, Arc<OpenConnection>, RandomState>,
    pub access: Access,
    pub guard: LoginGuard,
    pub attempts: Attempts,
    pub alarms: Alarms,
    pub service: Service,
    pub timers: Timers,
    pub replies: Replies,
    pub journal: Arc<Journal>,
    pub paging: Arc<Paging>,
    pub streams: Arc<Streams>,
    pub occupancy: Arc<Occupancy>,
    pub room: Arc<Room>,
    pub refusals: Arc<Refusals>,
    pub stats: Arc<NodeStats>,
    pub events: Arc<Events>,
    next_connection: AtomicU64,
    random: fn() -> u128,
}

impl Node {
    pub fn new(settings: NodeSettings) -> Node {
        let refusals = Arc::new(Refusals::default());
        let journal = Arc::new(settings.journal);
        let mut access = settings.access;
        let events = Arc::new(Events::new(&settings.name, &settings.event_vhost));
        access.attach(journal.clone(), events.clone());
        settings.vhosts.iter().for_each(|name| access.add_vhost(name));
        let node = Node {
            vhosts: DashMap::default(),
            connections: DashMap::default(),
            access,
            guard: settings.guard,
            attempts: Attempts::default(),
            alarms: Alarms::new(settings.memory_limit, settings.account),
            service: Service::default(),
            timers: Timers::default(),
            paging: Arc::new(Paging::new(journal.is_on())),
            streams: Arc::default(),
            journal,
            replies: Replies::new(refusals.clone()),
            occupancy: Occupancy::new(settings.allowances),
            room: Room::new(settings.room),
            refusals,
            stats: Arc::default(),
            events,
            next_connection: AtomicU64::new(1),
            random: settings.random,
        };
        for name in node.access.vhosts() {
            node.add_vhost(&name);
            node.enforce_vhost_limits(&name);
        }
        node.access.name_cluster((node.random)());
        for (user, _) in node.access.all_user_limits() {
            node.enforce_user_limits(&user);
        }
        node
    }

    /// The vhost with this name, which is made if it is not there.
    pub(super) fn add_vhost(&self, name: &str) -> Arc<Vhost> {
        let account = self.alarms.account();
        let new = || {
            let shared =
                (self.journal.clone(), self.paging.clone(), self.streams.clone(), self.events.clone());
            let vhost = Vhost::new(name, shared, account, self.stats.clone(), self.room.clone());
            vhost.rules.adopt_policies(self.access.policies_of(name));
            vhost.rules.set_default_queue_type(self.access.default_queue_type(name));
            vhost.add_event_exchange();
            vhost.govern_predeclared();
            Arc::new(vhost)
        };
        self.vhosts.entry(name.into()).or_insert_with(new).clone()
    }

    pub(super) fn remove_vhost(&self, name: &str) -> Option<Arc<Vhost>> {
        self.vhosts.remove(name).map(|(_, vhost)| vhost)
    }

    /// All vhosts, by name.
    pub fn vhosts(&self) -> Vec<Arc<Vhost>> {
        let mut vhosts: Vec<_> = self.vhosts.iter().map(|vhost| vhost.clone()).collect();
        vhosts.sort_by(|one, other| one.name.cmp(&other.name));
        vhosts
    }

    /// Appends the definitions to the log that it wants once more, so that it can throw old ones away.
    pub fn log_wanted_definitions(&self) {
        for name in self.journal.take_wanted_definitions() {
            if name == NODE {
                self.access.log_definitions();
                continue;
            }
            match self.vhost(&name) {
                Some(vhost) => vhost.log_definitions(),
                // A vhost that is gone has no definitions.
                None => self.journal.define([Definition::Reset { vhost: name }]),
            }
        }
    }

    pub fn vhost(&self, name: &str) -> Option<Arc<Vhost>> {
        self.vhosts.get(name).map(|vhost| vhost.clone())
    }

    pub fn next_connection_id(&self) -> ConnectionId {
        self.next_connection.fetch_add(1, Relaxed)
    }

    /// A number that nobody can guess.
    pub fn random(&self) -> u128 {
        (self.random)()
    }

    /// Makes a connection reachable for signals.
    pub fn register_connection(
        &self,
        id: ConnectionId,
        info: ConnectionInfo,
        inbox: Arc<Inbox>,
        meter: Arc<ConnectionMeter>,
    ) {
        self.stats.note(Event::ConnectionCreated);
        self.tell_connection_created(id, &info);
        self.connections.insert(id, Arc::new(OpenConnection::new(id, info, inbox, meter)));
    }

    /// All open connections, the oldest first.
    pub fn connections(&self) -> Vec<Arc<OpenConnection>> {
        let mut connections: Vec<_> = self.connections.iter().map(|open| open.clone()).collect();
        connections.sort_by_key(|open| open.id);
        connections
    }

    pub fn connection(&self, id: ConnectionId) -> Option<Arc<OpenConnection>> {
        self.connections.get(&id).map(|open| open.clone())
    }

    pub fn forget_connection(&self, id: ConnectionId) {
        let Some((_, gone)) = self.connections.remove(&id) else { return };
        self.stats.note(Event::ConnectionClosed);
        self.tell_connection_closed(id, &gone.info);
        self.stats.take_over(&gone.meter);
        if let Some(vhost) = self.vhost(&gone.info.vhost) {
            vhost.take_over(&gone.meter);
        }
    }

    pub fn connection_count(&self) -> usize {
        self.connections.len()
    }

    /// Asks every connection to close, telling its client why.
    pub fn close_connections(&self, failure: &Failure) {
        for open in &self.connections {
            open.signal(Signal::Close(failure.clone()));
        }
    }

    /// Wakes every connection, so that blocked ones look at the alarms again.
    pub fn wake_connections(&self) {
        for open in &self.connections {
            open.inbox.wake();
        }
    }

    /// Operates on a queue under its lock, then performs what it asked for.
    #[inline]
    pub fn with_queue<R>(
        &self,
        queue: &QueueRef,
        now: Millis,
        operation: impl FnOnce(&mut Queue<ConsumerOutlet>, &mut Effects) -> R,
    ) -> R {
        let mut ops = Vec::new();
        let result = self.with_queue_logging(queue, now, &mut ops, operation);
        self.journal.append(&mut ops, false);
        result
    }

    /// As [`Node::with_queue`], for an operation that is logged together with others: what the log must learn
    /// of it is added to `ops`, but for the messages it kept.
    #[inline]
    pub fn with_queue_logging<R>(
        &self,
        queue: &QueueRef,
        now: Millis,
        ops: &mut Vec<Op>,
        operation: impl FnOnce(&mut Queue<ConsumerOutlet>, &mut Effects) -> R,
    ) -> R {
        let mut wakes = Wakes::new();
        let result = self.with_queue_quietly(queue, now, ops, &mut wakes, operation);
        wakes.into_iter().for_each(Waker::wake);
        result
    }

    /// As [`Node::with_queue_logging`], for one of several queues: whoever got something is woken by the caller,
    /// once for all of them.
    #[inline]
    pub fn with_queue_quietly<R>(
        &self,
        queue: &QueueRef,
        now: Millis,
        ops: &mut Vec<Op>,
        wakes: &mut Wakes,
        operation: impl FnOnce(&mut Queue<ConsumerOutlet>, &mut Effects) -> R,
    ) -> R {
        let mut effects = Effects { wakes: std::mem::take(wakes), ..Effects::default() };
        let (result, deadline) = {
            let mut state = queue.state.lock();
            let result = operation(&mut state, &mut effects);
            state.relieve(&mut effects);
            self.paging.note_length(queue, state.resident_cost());
            (result, state.next_deadline())
        };
        *wakes = std::mem::take(&mut effects.wakes);
        if !effects.fetch.is_empty() || !effects.dropped_pages.is_empty() {
            self.request_pages(queue, &mut effects, ops);
        }
        if let Some(work) = effects.stream.take() {
            self.streams.pass_on(queue, *work);
        }
        if let Some(deadline) = deadline {
            self.timers.arm(&queue.0, deadline);
        }
        if !effects.log.is_empty() {
            if effects.log.identities.is_some() {
                add_identities(ops, queue.properties.identities, &mut effects.log);
            }
            add_notes(ops, queue.number, &mut effects.log);
        }
        if !effects.dead.is_empty() {
            dead_letters::bury(self, queue, effects.dead, now, ops);
        }
        result
    }

    #[cold]
    pub(super) fn request_pages(&self, queue: &QueueRef, effects: &mut Effects, ops: &mut Vec<Op>) {
        if queue.is_durable() {
            // The pager comes to it later than whoever waits for what is logged now.
            let dropped = effects.dropped_pages.iter();
            let queue = queue.number;
            ops.extend(dropped.map(|page| Op::PageDropped { queue, page: page.0, live: Vec::new() }));
        }
        let holder = || Holder::Queue(queue.clone());
        let fetch = effects.fetch.drain(..).map(|page| PageRequest::Fetch(holder(), page));
        let dropped = effects.dropped_pages.drain(..).map(|page| PageRequest::Drop(holder(), page));
        self.paging.request(fetch.chain(dropped));
    }

    /// Looks at a queue whose deadline came; deletes it when it has expired itself.
    pub fn tick(&self, queue: &QueueRef, now: Millis) {
        let expired = self.with_queue(queue, now, |queue, effects| queue.tick(now, effects));
        dead_letters::retry(self, queue, now);
        if expired && let Some(vhost) = self.vhost(&queue.vhost) {
            vhost.delete_unused(queue);
        }
    }

    /// A consumer went away: an auto-delete queue goes with its last one (QUE-12).
    pub fn consumer_gone(&self, queue: &QueueRef) {
        if queue.properties.auto_delete
            && let Some(vhost) = self.vhost(&queue.vhost)
        {
            vhost.delete_unused(queue);
        }
    }

    /// Deletes an exclusive queue whose connection ends.
    pub fn delete_exclusive(&self, queue: &QueueRef) {
        if let Some(vhost) = self.vhost(&queue.vhost) {
            let _broker = events::acting_for_nobody();
            let deleted: Result<u64, Refused> = vhost.delete_queue(queue, false, false);
            debug_assert!(deleted.is_ok(), "nothing keeps an exclusive queue");
        }
    }
}
