//! What waits for the keeper of the streams' files, and where to find a stream by its number.
//!
//! Queues and connections only leave requests here; the keeper takes them all at once, on a thread of its own.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use parking_lot::{Condvar, Mutex};

use super::{QueueRef, SharedQueue};
use crate::{
    broker::queue::stream::{Chunk, StreamWork},
    store::QueueId,
};

/// Something to do for a stream.
#[derive(Debug)]
pub enum StreamRequest {
    /// Read a chunk of the segment with this name.
    Read(QueueRef, u64, Chunk),
    /// There is something to write, now or in a while.
    Write(QueueRef),
    /// Segments are gone.
    Drop(QueueId, Vec<u64>),
    /// Stored offsets have changed.
    Offsets(QueueRef),
    /// Consumers go on.
    GoOn(QueueRef),
    /// The stream is gone, and all its files with it.
    Delete(QueueId),
}

/// Requests for the keeper of streams.
#[derive(Debug, Default)]
pub struct Streams {
    known: Mutex<HashMap<QueueId, Weak<SharedQueue>, FixedState>>,
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Debug, Default)]
struct State {
    requests: Vec<StreamRequest>,
    closing: bool,
}

impl Streams {
    /// Notes a new stream.
    pub(super) fn add(&self, queue: &QueueRef) {
        self.known.lock().insert(queue.number, Arc::downgrade(&queue.0));
    }

    /// A stream is deleted.
    pub(super) fn remove(&self, number: QueueId) {
        self.known.lock().remove(&number);
        self.request([StreamRequest::Delete(number)]);
    }

    /// The stream with this number, if it is there.
    pub fn find(&self, number: QueueId) -> Option<QueueRef> {
        self.known.lock().get(&number).and_then(Weak::upgrade).map(QueueRef)
    }

    /// Passes on what a stream asks for.
    pub(super) fn pass_on(&self, queue: &QueueRef, work: StreamWork) {
        let StreamWork { reads, writes, dropped, offsets, more } = work;
        let reads =
            reads.into_iter().map(|(segment, chunk)| StreamRequest::Read(queue.clone(), segment, chunk));
        let write = writes.then(|| StreamRequest::Write(queue.clone()));
        let dropped = (!dropped.is_empty()).then(|| StreamRequest::Drop(queue.number, dropped));
        let offsets = offsets.then(|| StreamRequest::Offsets(queue.clone()));
        let more = more.then(|| StreamRequest::GoOn(queue.clone()));
        self.request(reads.chain(write).chain(dropped).chain(offsets).chain(more));
    }

    fn request(&self, requests: impl IntoIterator<Item = StreamRequest>) {
        self.state.lock().requests.extend(requests);
        self.work.notify_one();
    }

    /// Takes all requests, waiting for one at most so long. `None` when the keeper is to end, and the last
    /// request was taken.
    pub fn wait(&self, patience: Duration) -> Option<Vec<StreamRequest>> {
        let mut state = self.state.lock();
        if state.requests.is_empty() && !state.closing {
            self.work.wait_for(&mut state, patience);
        }
        (!state.closing || !state.requests.is_empty()).then(|| std::mem::take(&mut state.requests))
    }

    /// Ends the keeper.
    pub fn close(&self) {
        self.state.lock().closing = true;
        self.work.notify_one();
    }
}
