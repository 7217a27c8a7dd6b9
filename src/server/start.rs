//! Starting and stopping a broker in this process.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::task::JoinHandle;

use super::{
    Config, ConfigError, Socket,
    certificates::Certificates,
    clock::Clock,
    definitions,
    door::{Door, DoorLimits, descriptor_limit},
    duties::{publish_events, run_timers, watch_alarms},
    limits::{LimitReport, Limits},
    listener::{self, Shared},
    listeners::{Bound, Listeners},
    local::LocalSocket,
    memory,
    mover::{KnownPages, MoverSettings},
    pager::Pager,
    random::random,
    recent,
    reset::reset,
    sampler,
    session_settings::session_settings,
    storage::{FreeSpace, Opened, ReplayListener, Storage, StorageError},
    streams::StreamKeeper,
};
use crate::{
    amqp::{Failure, ReplyCode},
    broker::{Millis, memory::Account},
    engine::{Access, Allowances, Journal, LoginGuard, Node, NodeSettings, Occupancy, RoomLimits},
    http::{self, Cors, DiskSpace, LimitState, Management, Served},
    store::AccessDefinitions,
    tls::LoadError,
};

/// How long clients may take to answer our close at shutdown.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(3);

/// Why a broker did not start: one sentence that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot listen on {address}: {error}; choose another address with {flag}")]
    Listen { address: SocketAddr, error: io::Error, flag: &'static str },
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("definitions cannot be imported: {0}")]
    Definitions(String),
    #[error("reading the data directory ended in a panic; please report what the log says")]
    Panicked,
    #[error("a thread cannot be started: {0}")]
    Thread(io::Error),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Tls(#[from] LoadError),
}

/// A running broker. Dropping it stops it at once; [`Broker::shutdown`] says goodbye to clients first.
#[derive(Debug)]
pub struct Broker {
    node: Arc<Node>,
    addresses: Listeners,
    certificates: Certificates,
    user: (String, String),
    listeners: Vec<JoinHandle<()>>,
    tasks: Vec<JoinHandle<()>>,
    /// Closes when the last connection's task is gone.
    alive: tokio::sync::mpsc::Receiver<()>,
    limits: Arc<Limits>,
    /// Ends before the storage does.
    pager: Option<Pager>,
    streams: Option<StreamKeeper>,
    /// Removed before the data directory is unlocked.
    local: Option<LocalSocket>,
    storage: Option<Storage>,
}

/// Builds a [`Broker`]. The defaults suit tests: one listener on a free port of 127.0.0.1, no disk, no management
/// interface.
#[derive(Debug, Clone)]
pub struct BrokerBuilder {
    config: Config,
    replay: ReplayListener,
}

impl Broker {
    /// A broker for tests: `127.0.0.1:0`, nothing on disk, user `guest` with password `guest`.
    ///
    /// ```
    /// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = leveret::Broker::builder().start().await?;
    /// println!("connect your client to {}", broker.uri());
    /// broker.shutdown().await;
    /// # Ok(()) }
    /// ```
    pub fn builder() -> BrokerBuilder {
        let mut config = Config::default();
        config.amqp.listen = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
        config.storage.data_dir = None;
        config.management.listen = Vec::new();
        config.prometheus.listen = Vec::new();
        config.management.socket = Socket::None;
        BrokerBuilder { config, replay: ReplayListener::default() }
    }

    /// The address of the first listener, with the port actually bound.
    pub fn amqp_addr(&self) -> SocketAddr {
        self.addresses.amqp.first().copied().unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// The addresses of all listeners for AMQP, with the ports actually bound.
    pub fn amqp_addrs(&self) -> &[SocketAddr] {
        &self.addresses.amqp
    }

    /// The same for AMQP in TLS.
    pub fn amqps_addrs(&self) -> &[SocketAddr] {
        &self.addresses.amqps
    }

    /// The addresses of the management interface, with the ports actually bound.
    pub fn management_addrs(&self) -> &[SocketAddr] {
        &self.addresses.management
    }

    /// The same with TLS.
    pub fn management_tls_addrs(&self) -> &[SocketAddr] {
        &self.addresses.management_tls
    }

    /// The addresses where metrics are collected, with the ports actually bound.
    pub fn prometheus_addrs(&self) -> &[SocketAddr] {
        &self.addresses.prometheus
    }

    /// The same with TLS.
    pub fn prometheus_tls_addrs(&self) -> &[SocketAddr] {
        &self.addresses.prometheus_tls
    }

    /// Reads all certificates again. New connections get them; where one cannot be used, the log says why and all
    /// of that listener stay as they were.
    pub fn reload_certificates(&self) {
        self.certificates.reload(|_| true);
    }

    /// An AMQP URI of the first listener, with the first user's name and password and vhost `/`.
    pub fn uri(&self) -> String {
        let (user, password) = &self.user;
        format!("amqp://{user}:{password}@{}/%2f", self.amqp_addr())
    }

    /// Clients that are logged in.
    pub fn connection_count(&self) -> usize {
        self.node.connection_count()
    }

    /// Every limit that a client can run into: where it stands and how often it refused something.
    pub fn limits(&self) -> Vec<LimitReport> {
        self.limits.report()
    }

    /// Counts of connections and channels, and the limits of single users and virtual hosts, which can be
    /// changed while the broker runs.
    pub fn occupancy(&self) -> &Occupancy {
        &self.node.occupancy
    }

    /// Moves the memory watermark, in octets of messages held (ALM-01).
    pub fn set_memory_limit(&self, octets: u64) {
        self.node.alarms.set_memory_limit(octets);
        self.node.wake_connections();
    }

    /// Stops listening, closes every connection with 320 and waits for the clients to answer, three seconds
    /// at most (CON-82).
    pub async fn shutdown(mut self) {
        self.stop_listening();
        let text = "broker forced connection closure with reason 'shutdown'";
        self.node.close_connections(&Failure::connection(ReplyCode::ConnectionForced, text));
        let all_gone = tokio::time::timeout(SHUTDOWN_GRACE, self.alive.recv()).await.is_ok();
        // Joins its thread: pages that are being written are given up.
        let keepers = (self.pager.take(), self.streams.take());
        let _ended = tokio::task::spawn_blocking(move || drop(keepers)).await;
        if let Some(mut storage) = self.storage.take() {
            // While connections are left, what they hold has not been given back.
            if all_gone {
                // Ends what nobody asked for, such as messages that expire: the log takes nothing after it.
                storage.note_clean_stop();
            } else {
                tracing::warn!(
                    "clients did not leave in time: after the next start every message counts as delivered before"
                );
            }
            let _ended = tokio::task::spawn_blocking(move || storage.close()).await;
        }
    }

    /// Ends when the message log cannot be written any more, with the reason: nothing is confirmed from then
    /// on, and the broker should be stopped. Never ends for a broker without a disk.
    pub async fn failed(&self) -> Arc<str> {
        if let Some(storage) = &self.storage
            && let Ok(reason) = storage.failed().wait_for(Option::is_some).await
            && let Some(reason) = reason.clone()
        {
            return reason;
        }
        std::future::pending().await
    }

    fn stop_listening(&mut self) {
        self.listeners.drain(..).for_each(|listener| listener.abort());
        self.local = None;
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.stop_listening();
        self.tasks.drain(..).for_each(|task| task.abort());
        self.limits.door.close();
    }
}

impl BrokerBuilder {
    /// Changes single settings.
    pub fn configure(mut self, change: impl FnOnce(&mut Config)) -> BrokerBuilder {
        change(&mut self.config);
        self
    }

    /// Replaces every setting.
    pub fn config(mut self, config: Config) -> BrokerBuilder {
        self.config = config;
        self
    }

    /// Tells how far the start is with reading the data directory: octets read, and in all. The last call has
    /// twice the same number. Without it, a long start says so in the log.
    pub fn on_replay(mut self, listen: impl Fn(u64, u64) + Send + Sync + 'static) -> BrokerBuilder {
        self.replay = ReplayListener::new(listen);
        self
    }

    /// Starts the broker on the current tokio runtime. Connections are accepted when this returns.
    ///
    /// # Errors
    /// When a listener cannot be opened.
    pub async fn start(self) -> Result<Broker, StartError> {
        let BrokerBuilder { config, replay } = self;
        config.validate()?;
        let clock = Clock::start();
        let account = Account::open();
        let (storage, mut restored, freed, stream_files) = match config.storage.data_dir.clone() {
            None => (None, None, None, None),
            Some(path) => {
                let settings = config.storage.clone();
                // Reading a long log takes a while, and no worker of the runtime should be kept by it.
                let open = move || Storage::open(&settings, &path, account, clock, &replay, random);
                let opened = tokio::task::spawn_blocking(open).await;
                let Opened { storage, restored, freed, streams, appended } =
                    opened.map_err(|_| StartError::Panicked)??;
                (Some(storage), Some(restored), Some(freed), Some((streams, appended)))
            }
        };
        let log = storage.as_ref().map(|storage| storage.log().clone());
        let journal = Journal::new(log, restored.as_ref().map_or(1, |restored| restored.next_queue));
        let access = restored.as_mut().map(|restored| std::mem::take(&mut restored.access));
        let known = access.filter(|access| !access.is_empty());
        let is_first_start = known.is_none();
        let node = Arc::new(Node::new(node_settings(&config, journal, account, known)));
        node.stats.set_interval(millis(config.management.sample_interval));
        if is_first_start {
            node.access.log_definitions();
        }
        let known_pages = restored.as_ref().map(KnownPages::of).unwrap_or_default();
        let pager = match (&storage, freed) {
            (Some(storage), Some(freed)) => {
                let settings = MoverSettings { account, resident_max: config.limits.resident_max, freed };
                Some(start_pager(storage, &node, known_pages, &config, clock, settings)?)
            }
            _ => None,
        };
        let streams =
            StreamKeeper::start(node.clone(), stream_files, account, clock).map_err(StartError::Thread)?;
        if let Some(restored) = restored {
            let (queues, messages) = node.restore(restored, clock.now());
            if queues != 0 {
                tracing::info!("restored {queues} queues with {messages} messages");
            }
        }
        let limits = &config.limits;
        let door = Door::new(DoorLimits {
            sockets: descriptor_limit(),
            waiting: limits.unauthenticated_max,
            waiting_per_address: limits.unauthenticated_per_ip_max,
            waiting_bytes: limits.unauthenticated_bytes_max,
        });
        let (alive, gone) = tokio::sync::mpsc::channel(1);
        let settings = Arc::new(session_settings(&config));
        let shared = Shared {
            node: node.clone(),
            settings: settings.clone(),
            clock,
            door: door.clone(),
            stall: limits.output_stall,
            handshake_timeout: config.amqp.handshake_timeout,
            nodelay: config.amqp.tcp_nodelay,
            proxies: config.amqp.proxy_protocol.clone().into(),
            tls: None,
            tls_patience: config.tls.handshake_timeout.min(config.amqp.handshake_timeout),
            alive,
        };
        let definitions = definitions::read(&config.definitions).map_err(StartError::Definitions)?;
        let certificates = Certificates::load(&config)?;
        let (bound, addresses) = Bound::open(&config, &certificates)?;
        addresses.announce();
        let limits = Arc::new(Limits {
            node: node.clone(),
            door,
            settings,
            config: config.limits.clone(),
            tls_handshake_timeout: millis(config.tls.handshake_timeout),
        });
        let space =
            storage.as_ref().map(|storage| FreeSpace::new(storage.disk().clone(), config.limits.disk_free));
        let http_settings =
            http_settings(&config, &addresses, &certificates, clock, limits.clone(), space.clone());
        let management = Management::new(node.clone(), http_settings);
        if !definitions.is_empty() {
            let skips = config.definitions.skip_if_unchanged;
            management.import(&definitions, skips).await.map_err(StartError::Definitions)?;
        }
        let mut listeners = Vec::new();
        for (sockets, tls) in [(bound.amqp, None), (bound.amqps, certificates.amqp.clone())] {
            let shared = Shared { tls, ..shared.clone() };
            let serve = |socket| tokio::spawn(listener::serve(socket, shared.clone()));
            listeners.extend(sockets.into_iter().map(serve));
        }
        drop(shared);
        for (sockets, served, tls) in [
            (bound.management, Served::All, None),
            (bound.management_tls, Served::All, certificates.management.clone()),
            (bound.prometheus, Served::Metrics, None),
            (bound.prometheus_tls, Served::Metrics, certificates.management.clone()),
        ] {
            let serve = |socket| tokio::spawn(http::serve(socket, management.clone(), served, tls.clone()));
            listeners.extend(sockets.into_iter().map(serve));
        }
        let local = LocalSocket::open(&config).map(|(socket, listener)| {
            listeners.push(tokio::spawn(http::serve_local(listener, management.clone())));
            socket
        });
        let mut tasks = vec![
            tokio::spawn(run_timers(node.clone(), clock)),
            tokio::spawn(watch_alarms(node.clone(), space)),
            tokio::spawn(sampler::run(node.clone(), clock)),
            tokio::spawn(publish_events(node.clone(), clock)),
        ];
        if !certificates.is_empty() {
            tasks.push(tokio::spawn(certificates.clone().watch()));
        }
        let user = (config.bootstrap.user, config.bootstrap.password);
        Ok(Broker {
            node,
            addresses,
            certificates,
            user,
            listeners,
            tasks,
            alive: gone,
            limits,
            pager,
            streams: Some(streams),
            local,
            storage,
        })
    }
}

fn http_settings(
    config: &Config,
    addresses: &Listeners,
    certificates: &Certificates,
    clock: Clock,
    limits: Arc<Limits>,
    disk: Option<FreeSpace>,
) -> http::Settings {
    let state = |report: LimitReport| {
        let LimitReport { name, current, limit, refusals } = report;
        LimitState { name, current, limit, refusals }
    };
    let space = |disk: FreeSpace| -> Box<dyn Fn() -> Option<DiskSpace> + Send + Sync> {
        Box::new(move || disk.free().map(|(free, limit)| DiskSpace { free, limit }))
    };
    let certificates = certificates.clone();
    let bootstrap = config.bootstrap.clone();
    http::Settings {
        cluster_name: config.cluster_name.clone(),
        advertised_version: config.amqp.advertised_version.clone(),
        effective: config.effective(),
        listeners: addresses.by_protocol(),
        certificates: Box::new(move |protocol| certificates.of(protocol)),
        data_dir: config.storage.data_dir.as_ref().map(|path| path.display().to_string()),
        consumer_timeout: config.amqp.consumer_timeout.map(millis),
        message_size_max: config.amqp.max_message_size,
        metrics_per_object: config.prometheus.per_object,
        cors: Cors {
            origins: config.management.cors_allow_origins.clone(),
            max_age: config.management.cors_max_age.map(|age| age.as_secs()),
        },
        hsts: config.management.hsts.clone(),
        body_max: config.management.max_body_size,
        started_at: clock.now(),
        log: Box::new(recent::after),
        log_news: &recent::NEWS,
        now: Box::new(move || clock.now()),
        limits: Box::new(move || limits.report().into_iter().map(state).collect()),
        reset: Box::new(move |node| reset(node, &bootstrap)),
        memory: memory::available(),
        set_disk_limit: disk.clone().map(|disk| Box::new(move |octets| disk.set_min(octets)) as Box<_>),
        disk: disk.map(space),
    }
}

fn millis(duration: Duration) -> Millis {
    Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX)
}

fn start_pager(
    storage: &Storage,
    node: &Arc<Node>,
    known: KnownPages,
    config: &Config,
    clock: Clock,
    settings: MoverSettings,
) -> Result<Pager, StorageError> {
    let path = config.storage.data_dir.clone().unwrap_or_default();
    let started = Pager::start(node.clone(), storage.disk().clone(), known, clock, settings);
    started.map_err(|error| StorageError::Pages { path, error })
}

/// `known` are the users and vhosts of an earlier run; without them the broker starts as the configuration
/// says.
pub(super) fn node_settings(
    config: &Config,
    journal: Journal,
    account: Account,
    known: Option<AccessDefinitions>,
) -> NodeSettings {
    let mut access = Access::new(random);
    access.set_hashing(config.auth.password_hashing);
    access.set_vhost_defaults(&config.limits.new_vhosts);
    let bootstrap = &config.bootstrap;
    access.set_loopback_only(config.auth.loopback_only.iter().cloned());
    let mut vhosts = Vec::new();
    match known {
        Some(known) => access.restore(known),
        // Definitions take the place of what an empty broker starts with.
        None if config.definitions.load.is_some() => {}
        None => {
            let first = (bootstrap.user.clone(), bootstrap.password.clone());
            for (name, password) in std::iter::once(&first).chain(&bootstrap.users) {
                access.add(name, password, config.auth.loopback_only.contains(name));
            }
            vhosts.push(bootstrap.vhost.clone());
            vhosts.extend(bootstrap.vhosts.iter().cloned());
        }
    }
    access.set_anonymous(config.auth.anonymous_user.clone());
    let delay = config.limits.login_delay.as_millis();
    NodeSettings {
        access,
        guard: LoginGuard::new(config.limits.login_failures_free, u64::try_from(delay).unwrap_or(u64::MAX)),
        vhosts,
        memory_limit: memory::watermark(config.limits.memory),
        account,
        journal,
        allowances: Allowances {
            connections: config.limits.connections_max,
            connections_per_vhost: config.limits.connections_per_vhost_max,
            connections_per_user: config.limits.connections_per_user_max,
            channels_per_user: config.limits.channels_per_user_max,
            channels: config.limits.channels_max,
        },
        room: RoomLimits {
            vhosts: config.limits.vhosts_max,
            queues: config.limits.queues_max,
            exchanges: config.limits.exchanges_max,
        },
        random,
        name: http::node_name(),
        event_vhost: bootstrap.vhost.clone(),
    }
}
