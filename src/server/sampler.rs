//! Remembers every few seconds what everything counts, for rates and charts.

use std::{sync::Arc, time::Duration};

use super::clock::Clock;
use crate::engine::Node;

/// With more queues than these, a thread of its own looks.
const INLINE_MAX: usize = 5_000;

/// Samples until its task is aborted, at multiples of the interval as far as the machine keeps up.
pub async fn run(node: Arc<Node>, clock: Clock) {
    loop {
        let interval = node.stats.interval();
        tokio::time::sleep(Duration::from_millis(interval - clock.now() % interval)).await;
        if INLINE_MAX < node.queues().len() {
            // Long enough to be felt by clients whose connections this thread serves.
            let node = node.clone();
            let _ended = tokio::task::spawn_blocking(move || node.sample(clock.now())).await;
        } else {
            node.sample(clock.now());
        }
    }
}
