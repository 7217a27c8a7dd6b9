//! What a data directory occupies: once everything is consumed, next to nothing.

use std::{fs, os::unix::fs::MetadataExt, path::Path, time::Duration};

use lapin::options::*;

use crate::{
    churn,
    load::Shared,
    look::{open, ready},
    patience::within,
    place::{Broker, Ending, Place},
    settings::PAGING,
    topology::{DEAD, QUEUES},
};

/// Octets of the log when it is trimmed: six segments of 256 KiB, spare ones, and what is on its way.
pub const LOG_MAX: u64 = 4 << 20;
/// Octets of pages when there are none.
const PAGES_MAX: u64 = 64 << 10;

/// Octets that the files of a directory take on the disk. Spare segments, two at most, may be as large as
/// segments were in an earlier life.
fn occupied(directory: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(directory) else { return 0 };
    let is_spare = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with("spare-");
    let entries = entries.filter(|entry| !entry.as_ref().is_ok_and(is_spare));
    // A file may go between being listed and being looked at.
    let blocks = entries.filter_map(|entry| Some(entry.ok()?.metadata().ok()?.blocks()));
    blocks.sum::<u64>() * 512
}

/// Waits until the log and the pages are as small as that.
pub async fn shrunk(place: &Place, log_max: u64, pages_max: u64) {
    let (log, pages) = (place.data().join("log"), place.data().join("pages"));
    let small = async {
        while log_max < occupied(&log) || pages_max < occupied(&pages) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    if tokio::time::timeout(crate::patience::PATIENCE, small).await.is_err() {
        let (log, pages) = (occupied(&log), occupied(&pages));
        panic!(
            "{log} octets of the log are left, should be {log_max}; {pages} of pages, should be {pages_max}"
        );
    }
    eprintln!("left: {} octets of the log, {} of pages", occupied(&log), occupied(&pages));
}

/// Ends this broker, empties all queues with the next one, and waits until the disk is free again.
pub async fn emptied(place: &mut Place, broker: Broker, shared: &Shared) {
    broker.end(Ending::Kill).await;
    place.set(PAGING);
    let broker = place.start();
    let connection = broker.connect().await;
    let names = QUEUES.iter().chain([&DEAD]).map(|name| (*name).to_owned());
    for queue in names.chain(churn::queue_names()) {
        if ready(&connection, &queue).await.is_some() {
            let channel = open(&connection).await;
            let purge = channel.queue_purge(queue.as_str().into(), QueuePurgeOptions::default());
            within("queue.purge-ok", purge).await.unwrap();
        }
    }
    shared.model().copies.clear();
    shared.model().dead.clear();
    shrunk(place, LOG_MAX, PAGES_MAX).await;
    broker.end(Ending::Clean).await;
}
