//! The pager: the thread on which messages move between memory and disk.

use std::{io, sync::Arc, thread::JoinHandle, time::Duration};

use super::{
    clock::Clock,
    mover::{KnownPages, Mover, MoverSettings},
};
use crate::{engine::Node, store::disk::Disk};

/// How long the pager waits for requests before it looks at the memory again.
const PATIENCE: Duration = Duration::from_millis(20);

/// The thread that moves pages.
#[derive(Debug)]
pub struct Pager {
    node: Arc<Node>,
    thread: Option<JoinHandle<()>>,
}

impl Pager {
    /// Opens the page files and starts the thread.
    ///
    /// # Errors
    /// When the files cannot be opened or the thread cannot be started.
    pub fn start(
        node: Arc<Node>,
        disk: Arc<dyn Disk>,
        known: KnownPages,
        clock: Clock,
        settings: MoverSettings,
    ) -> io::Result<Pager> {
        let mut mover = Mover::open(node.clone(), disk, known, settings)?;
        let requests = node.clone();
        let run = move || {
            let paging = &requests.paging;
            let patience = || if paging.is_behind_now() { Duration::ZERO } else { PATIENCE };
            while let Some(requests) = paging.wait(patience()) {
                mover.serve(requests, clock.now());
            }
        };
        let thread = std::thread::Builder::new().name("leveret-pager".to_owned()).spawn(run)?;
        Ok(Pager { node, thread: Some(thread) })
    }
}

impl Drop for Pager {
    fn drop(&mut self) {
        self.node.paging.close();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the pager has panicked");
        }
    }
}
