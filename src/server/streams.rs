//! What streams need beside the connections: a thread that shows consumers what has become durable, and one
//! that keeps the files.

use std::{
    io,
    sync::{Arc, mpsc},
    thread::JoinHandle,
    time::Duration,
};

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::clock::Clock;
use crate::{
    broker::{
        Millis,
        memory::Account,
        queue::stream::{Appended, Chunk},
    },
    engine::{Node, QueueRef, StreamRequest},
    store::{QueueId, StreamFiles},
};

/// How long the keeper waits for requests before it looks at what is old enough to be written.
const PATIENCE: Duration = Duration::from_millis(500);
/// The same, in milliseconds.
const LOOK_INTERVAL: Millis = 500;
/// Chunks of one stream that are synced together.
const ROUND_MAX: usize = 64;

/// Where the log says what of streams is durable.
pub type AppendedSender = mpsc::Sender<Vec<(QueueId, Appended)>>;
/// Where it is heard.
pub type AppendedReceiver = mpsc::Receiver<Vec<(QueueId, Appended)>>;

/// The threads.
#[derive(Debug)]
pub struct StreamKeeper {
    node: Arc<Node>,
    thread: Option<JoinHandle<()>>,
}

impl StreamKeeper {
    /// Starts the threads; without files there is nothing to write or read. The one that hears the log ends
    /// with it.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(
        node: Arc<Node>,
        files: Option<(StreamFiles, AppendedReceiver)>,
        account: Account,
        clock: Clock,
    ) -> io::Result<StreamKeeper> {
        let (files, appended) = files.unzip();
        if let Some(appended) = appended {
            let node = node.clone();
            let show = move || show_appended(&node, &appended, clock);
            std::thread::Builder::new().name("leveret-commits".to_owned()).spawn(show)?;
        }
        let mut state = State {
            node: node.clone(),
            clock,
            account,
            files,
            unwritten: HashMap::default(),
            offsets: HashMap::default(),
            looked_at: clock.now(),
            is_broken: false,
            has_complained: false,
        };
        let thread = std::thread::Builder::new().name("leveret-streams".to_owned()).spawn(move || {
            while state.turn() {}
            state.store_offsets();
        })?;
        Ok(StreamKeeper { node, thread: Some(thread) })
    }
}

impl Drop for StreamKeeper {
    fn drop(&mut self) {
        self.node.streams.close();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the keeper of streams has panicked");
        }
    }
}

/// Tells streams what of them is durable, so that consumers get it.
fn show_appended(node: &Node, appended: &AppendedReceiver, clock: Clock) {
    while let Ok(batches) = appended.recv() {
        for (number, Appended { first, end, .. }) in batches {
            let Some(queue) = node.streams.find(number) else { continue };
            node.with_queue(&queue, clock.now(), |queue, effects| {
                if let Some(stream) = queue.stream() {
                    stream.committed(first, end, effects);
                }
            });
        }
    }
}

#[derive(Debug)]
struct State {
    node: Arc<Node>,
    clock: Clock,
    account: Account,
    files: Option<StreamFiles>,
    /// Streams with something that is to be written soon.
    unwritten: HashMap<QueueId, QueueRef, FixedState>,
    /// Streams whose stored offsets have changed.
    offsets: HashMap<QueueId, QueueRef, FixedState>,
    looked_at: Millis,
    /// A sync failed: what the files hold is not known, and the log keeps everything.
    is_broken: bool,
    /// Something could not be written; said once.
    has_complained: bool,
}

impl State {
    /// Does what there is to do; false when the keeper is to end.
    fn turn(&mut self) -> bool {
        let Some(requests) = self.node.streams.wait(PATIENCE) else { return false };
        for request in requests {
            match request {
                StreamRequest::Read(queue, segment, chunk) => self.read(&queue, segment, &chunk),
                StreamRequest::Write(queue) => self.write(&queue),
                StreamRequest::Drop(number, segments) => self.remove(number, Some(&segments)),
                StreamRequest::Delete(number) => self.remove(number, None),
                StreamRequest::Offsets(queue) => {
                    self.offsets.insert(queue.number, queue);
                }
                StreamRequest::GoOn(queue) => self.go_on(&queue),
            }
        }
        let now = self.clock.now();
        if self.looked_at + LOOK_INTERVAL <= now {
            self.looked_at = now;
            let unwritten: Vec<QueueRef> = self.unwritten.values().cloned().collect();
            unwritten.iter().for_each(|queue| self.write(queue));
            self.store_offsets();
        }
        true
    }

    fn go_on(&self, queue: &QueueRef) {
        self.node.with_queue(queue, self.clock.now(), |queue, effects| {
            if let Some(stream) = queue.stream() {
                stream.feed_all(effects);
            }
        });
    }

    fn read(&mut self, queue: &QueueRef, segment: u64, chunk: &Chunk) {
        let Some(files) = &mut self.files else { return };
        let entries = match files.read(queue.number, segment, chunk, self.account) {
            Ok((entries, 0)) => Some(entries),
            Ok((entries, lost)) => {
                let (name, vhost) = (&queue.name, &queue.vhost);
                tracing::error!("{lost} messages of stream '{name}' in vhost '{vhost}' are damaged on disk");
                Some(entries)
            }
            Err(error) => {
                let (name, vhost, first, last) = (&queue.name, &queue.vhost, chunk.first, chunk.end - 1);
                // A segment that went away meanwhile is no loss.
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::error!(
                        "offsets {first} to {last} of stream '{name}' in vhost '{vhost}' cannot be read: {error}"
                    );
                }
                None
            }
        };
        self.node.with_queue(queue, self.clock.now(), |queue, effects| {
            if let Some(stream) = queue.stream() {
                stream.chunk_read(chunk, entries, effects);
            }
        });
    }

    /// Writes what is worth it, syncs it, and lets the log forget it.
    fn write(&mut self, queue: &QueueRef) {
        let (now, number) = (self.clock.now(), queue.number);
        let Some(files) = self.files.as_mut().filter(|_| !self.is_broken) else { return };
        let mut again = true;
        while again {
            let mut written = Vec::new();
            let failed = loop {
                if ROUND_MAX <= written.len() {
                    break None;
                }
                let next = self.node.with_queue(queue, now, |queue, _| {
                    queue.stream().map_or(Err(false), |stream| stream.chunk_to_write(now))
                });
                match next {
                    Err(more) => {
                        // What is too little now is looked at again in a while.
                        let _known = match more {
                            true => self.unwritten.insert(number, queue.clone()),
                            false => self.unwritten.remove(&number),
                        };
                        again = false;
                        break None;
                    }
                    Ok(out) => match files.write(number, &out) {
                        Ok(chunk) => written.push((out, chunk)),
                        Err(error) => break Some(error),
                    },
                }
            };
            let synced = if written.is_empty() { Ok(()) } else { files.sync() };
            self.is_broken |= synced.is_err();
            if synced.is_ok() {
                written.into_iter().for_each(|(out, chunk)| {
                    self.node.with_queue(queue, now, |queue, effects| {
                        let Some(stream) = queue.stream() else { return };
                        if stream.chunk_written(out.segment, chunk, now) {
                            effects.log.gone = out.entries.iter().map(|entry| entry.sequence).collect();
                        }
                    });
                });
            }
            if let Some(error) = failed.or(synced.err()) {
                self.unwritten.insert(number, queue.clone());
                self.node
                    .with_queue(queue, now, |queue, _| queue.stream().map(|stream| stream.chunk_failed()));
                return self.complain(&error);
            }
        }
    }

    fn complain(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.has_complained, true) {
            tracing::error!("streams cannot be written to their files and stay in the log: {error}");
        }
    }

    fn remove(&mut self, number: QueueId, segments: Option<&[u64]>) {
        let Some(files) = &mut self.files else { return };
        let removed = match segments {
            Some(segments) => files.remove(number, segments),
            None => {
                self.unwritten.remove(&number);
                self.offsets.remove(&number);
                files.remove_all(number)
            }
        };
        if let Err(error) = removed {
            tracing::warn!("space of streams is not given back: {error}");
        }
    }

    fn store_offsets(&mut self) {
        let Some(files) = &mut self.files else { return };
        let mut failed = None;
        for (number, queue) in self.offsets.drain() {
            let now = self.clock.now();
            let offsets = self.node.with_queue(&queue, now, |queue, _| {
                if queue.is_deleted() { None } else { queue.stream().map(|stream| stream.take_offsets()) }
            });
            if let Some(offsets) = offsets
                && let Err(error) = files.store_offsets(number, &offsets)
            {
                failed = Some(error);
            }
        }
        if let Some(error) = failed {
            self.complain(&error);
        }
    }
}
