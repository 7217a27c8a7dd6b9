//! What streams need beside the connections: a thread that shows consumers what has become durable, and one
//! that keeps the files.

use std::{
    io,
    sync::{Arc, mpsc},
    thread::JoinHandle,
    time::Duration,
};

use super::clock::Clock;
use crate::{
    broker::queue::stream::Appended,
    engine::{Node, QueueRef, StreamRequest},
    store::QueueId,
};

/// How long the keeper waits for requests before it looks at what is old enough to be written.
const PATIENCE: Duration = Duration::from_millis(500);

/// What the log says of streams.
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
    /// Starts the threads. The one that hears the log ends with it.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(
        node: Arc<Node>,
        appended: Option<AppendedReceiver>,
        clock: Clock,
    ) -> io::Result<StreamKeeper> {
        if let Some(appended) = appended {
            let node = node.clone();
            let show = move || show_appended(&node, &appended, clock);
            std::thread::Builder::new().name("leveret-commits".to_owned()).spawn(show)?;
        }
        let mut state = State { node: node.clone(), clock };
        let thread = std::thread::Builder::new()
            .name("leveret-streams".to_owned())
            .spawn(move || while state.turn() {})?;
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
}

impl State {
    /// Does what there is to do; false when the keeper is to end.
    fn turn(&mut self) -> bool {
        let Some(requests) = self.node.streams.wait(PATIENCE) else { return false };
        for request in requests {
            if let StreamRequest::GoOn(queue) = request {
                self.go_on(&queue);
            }
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
}
