//! The data directory in use: its log, the thread that writes it, and what a start finds in it.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc,
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use tokio::sync::watch;

use super::{
    clock::Clock,
    config,
    data_dir::{DataDir, DataDirError},
    streams::{AppendedReceiver, AppendedSender},
};
use crate::{
    broker::memory::Account,
    engine::Restored,
    store::{
        Committed, Definitions, Log, LogSettings, Op, OpenedStreams, PageRange, QueueId, Recovered,
        RecoveredQueue, RecoveryError, RecoveryOptions, StreamFiles, Writer,
        disk::{Disk, RealDisk},
        recover,
    },
};

/// Octets of a segment of the log, on a disk with room for it.
const SEGMENT_MAX: u64 = 64 << 20;
const SEGMENT_MIN: u64 = 1 << 20;
/// Parts of the disk that one segment may be.
const SEGMENT_SHARE: u64 = 64;
/// Segments that the log may have however little lives in it.
const SEGMENTS_FREE: u64 = 6;
/// Free space that should be left: this much, or this part of a small disk.
const DISK_FREE_MAX: u64 = 1 << 30;
const DISK_FREE_SHARE: u64 = 20;
/// How long the writer waits for work before it looks around.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long it waits for space on a full disk.
const FULL_PAUSE: Duration = Duration::from_millis(200);
/// How often a long replay says how far it is.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

/// Why a data directory cannot be used: one sentence that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    #[error("data directory {path}: {error}")]
    Recovery { path: PathBuf, error: RecoveryError },
    #[error(
        "data directory {path}: {error}; restore it from a copy, or start with --accept-loss to go on with what \
         can be read (`leveret check` lists it)"
    )]
    Damaged { path: PathBuf, error: RecoveryError },
    #[error("data directory {path}: the thread that writes the log cannot be started: {error}")]
    Thread { path: PathBuf, error: io::Error },
    #[error("data directory {path}: the files of long queues cannot be opened: {error}")]
    Pages { path: PathBuf, error: io::Error },
    #[error("data directory {path}: the files of streams cannot be opened: {error}")]
    Streams { path: PathBuf, error: io::Error },
}

/// An open data directory.
#[derive(Debug)]
pub struct Storage {
    log: Arc<Log>,
    disk: Arc<dyn Disk>,
    writer: Option<JoinHandle<()>>,
    failed: watch::Receiver<Option<Arc<str>>>,
    /// Its lock keeps other processes out until the writer has ended.
    _data_dir: DataDir,
}

/// What opening a data directory gives.
#[derive(Debug)]
pub struct Opened {
    pub storage: Storage,
    pub restored: Restored,
    /// Gets ranges of page files that the log needs no more.
    pub freed: mpsc::Receiver<Vec<PageRange>>,
    pub streams: StreamFiles,
    /// Gets what streams took in once it is durable.
    pub appended: AppendedReceiver,
}

impl Storage {
    /// Opens a data directory and reads what is in it. Takes as long as that takes.
    pub fn open(
        settings: &config::Storage,
        path: &Path,
        account: Account,
        clock: Clock,
        listener: &ReplayListener,
        random: fn() -> u128,
    ) -> Result<Opened, StorageError> {
        let data_dir = DataDir::open(path)?;
        let disk: Arc<dyn Disk> = Arc::new(RealDisk::new(path.to_owned()));
        let options = RecoveryOptions {
            settings: log_settings(&*disk, settings, random() as u64),
            account,
            accept_loss: settings.accept_loss,
        };
        let began = Instant::now();
        let recovered = recover(&disk, options, progress(listener)).map_err(|error| {
            let path = path.to_owned();
            match error {
                RecoveryError::Damaged(_) => StorageError::Damaged { path, error },
                _ => StorageError::Recovery { path, error },
            }
        })?;
        let Recovered { log, writer, access, definitions, queues, next_queue, was_clean, report } = recovered;
        listener.hear(report.bytes, report.bytes);
        for damage in &report.damage {
            tracing::error!("the log is damaged: {damage}");
        }
        if report.torn_bytes != 0 {
            tracing::info!(
                "cut {} octets off the end of the log that were being written when the broker stopped",
                report.torn_bytes
            );
        }
        if report.records != 0 {
            let millis = began.elapsed().as_millis();
            tracing::info!("replayed {} records, {} octets, in {millis} ms", report.records, report.bytes);
        }
        let known = known_queues(&definitions, &queues);
        let opened = StreamFiles::open(disk.clone(), &known, random() as u64);
        let OpenedStreams { files, streams, damage, torn_bytes } =
            opened.map_err(|error| StorageError::Streams { path: path.to_owned(), error })?;
        damage.iter().for_each(|damage| tracing::error!("a stream is damaged: {damage}"));
        if torn_bytes != 0 {
            tracing::info!("cut {torn_bytes} octets off streams that were being written; the log has them");
        }
        let (tell, failed) = watch::channel(None);
        let (free, freed) = mpsc::channel();
        let (show, appended) = mpsc::channel();
        let thread = {
            let log = log.clone();
            let write = move || write(writer, &log, clock, &tell, (&free, &show));
            std::thread::Builder::new().name("leveret-log".to_owned()).spawn(write)
        };
        let writer = Some(thread.map_err(|error| StorageError::Thread { path: path.to_owned(), error })?);
        let storage = Storage { log, disk, writer, failed, _data_dir: data_dir };
        let restored = Restored { access, definitions, queues, streams, next_queue, was_clean };
        Ok(Opened { storage, restored, freed, streams: files, appended })
    }

    pub fn log(&self) -> &Arc<Log> {
        &self.log
    }

    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// Gets the reason when the log fails.
    pub fn failed(&self) -> watch::Receiver<Option<Arc<str>>> {
        self.failed.clone()
    }

    /// Notes that the broker stops in order: all connections have ended.
    pub fn note_clean_stop(&self) {
        self.log.append(&mut vec![Op::CleanStop], true);
    }

    /// Waits until everything appended is on disk.
    pub fn close(&mut self) {
        self.log.close();
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the thread that writes the log has panicked");
        }
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        self.close();
    }
}

/// Watches the space on the disk.
#[derive(Debug, Clone)]
pub struct FreeSpace {
    disk: Arc<dyn Disk>,
    min: Arc<AtomicU64>,
}

impl FreeSpace {
    /// `min` in octets; without it the default for a disk of this size.
    pub fn new(disk: Arc<dyn Disk>, min: Option<u64>) -> FreeSpace {
        let total = disk.space().map_or(u64::MAX, |space| space.total);
        let min = min.unwrap_or_else(|| DISK_FREE_MAX.min(total / DISK_FREE_SHARE));
        FreeSpace { disk, min: Arc::new(AtomicU64::new(min)) }
    }

    /// Moves the limit, for all clones.
    pub fn set_min(&self, octets: u64) {
        self.min.store(octets, Relaxed);
    }

    /// Free octets, and how many there should be.
    pub fn free(&self) -> Option<(u64, u64)> {
        self.disk.space().ok().map(|space| (space.free, self.min.load(Relaxed)))
    }

    /// Whether less is left than should be. What cannot be asked is taken for enough: writing will tell.
    pub fn is_low(&self) -> bool {
        self.disk.space().is_ok_and(|space| space.free < self.min.load(Relaxed))
    }
}

/// Every queue that is defined, with the first sequence that the log has of it.
fn known_queues(
    definitions: &BTreeMap<String, Definitions>,
    queues: &HashMap<QueueId, RecoveredQueue, FixedState>,
) -> BTreeMap<QueueId, Option<u64>> {
    let defined = definitions.values().flat_map(|definitions| &definitions.queues);
    let first = |id: &QueueId| Some(*queues.get(id)?.messages.first_key_value()?.0);
    defined.map(|queue| (queue.id, first(&queue.id))).collect()
}

fn log_settings(disk: &dyn Disk, settings: &config::Storage, mark: u64) -> LogSettings {
    let total = disk.space().map_or(u64::MAX, |space| space.total);
    let fitting = (total / SEGMENT_SHARE).clamp(SEGMENT_MIN, SEGMENT_MAX);
    let segment_size = settings.segment_size.unwrap_or(fitting);
    LogSettings { segment_size, trim_min: SEGMENTS_FREE * segment_size, sync: settings.sync, mark }
}

/// The thread that writes the log.
fn write(
    mut writer: Writer,
    log: &Log,
    clock: Clock,
    failed: &watch::Sender<Option<Arc<str>>>,
    (freed, appended): (&mpsc::Sender<Vec<PageRange>>, &AppendedSender),
) {
    let mut was_full = false;
    loop {
        let ranges = writer.take_freed();
        if !ranges.is_empty() {
            let _nobody_pages = freed.send(ranges);
        }
        let committed = writer.commit(Some(PATIENCE), clock.now());
        let batches = writer.take_appended();
        if !batches.is_empty() {
            let _nobody_reads = appended.send(batches);
        }
        match committed {
            Ok(Committed::Closed) => break,
            Ok(Committed::Done) => {
                if std::mem::take(&mut was_full) {
                    tracing::warn!("there is space on the disk again; the log goes on");
                }
            }
            Ok(Committed::Full) => {
                if !std::mem::replace(&mut was_full, true) {
                    tracing::error!("the disk is full: nothing is confirmed until there is space");
                }
                std::thread::sleep(FULL_PAUSE);
            }
            Err(error) => {
                let reason: Arc<str> = error.to_string().into();
                tracing::error!("the log cannot be written, nothing more is confirmed: {reason}");
                log.fail(&reason);
                let _nobody_looks = failed.send(Some(reason));
                return;
            }
        }
    }
}

/// Hears how far the replay of the log at a start is.
#[derive(Clone, Default)]
pub struct ReplayListener(Option<Arc<dyn Fn(u64, u64) + Send + Sync>>);

impl ReplayListener {
    pub fn new(listen: impl Fn(u64, u64) + Send + Sync + 'static) -> ReplayListener {
        ReplayListener(Some(Arc::new(listen)))
    }

    fn hear(&self, done: u64, total: u64) {
        if let Some(listen) = &self.0 {
            listen(done, total);
        }
    }
}

impl std::fmt::Debug for ReplayListener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ReplayListener").field(&self.0.is_some()).finish()
    }
}

/// Tells the listener how far a replay is or, where there is none, now and then the log.
fn progress(listener: &ReplayListener) -> impl FnMut(u64, u64) {
    let mut last = Instant::now();
    move |done, total| {
        if listener.0.is_some() {
            listener.hear(done, total);
        } else if PROGRESS_INTERVAL <= last.elapsed() {
            last = Instant::now();
            let percent = done.saturating_mul(100) / total.max(1);
            tracing::info!("replaying the log: {percent} % of {total} octets");
        }
    }
}
