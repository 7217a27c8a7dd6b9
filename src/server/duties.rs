//! What a broker does beside serving connections: deadlines, events, alarms.

use std::{future::Future, pin::Pin, sync::Arc, task::Poll, time::Duration};

use super::{clock::Clock, storage::FreeSpace};
use crate::engine::Node;

/// How often the alarms are looked at while nobody else does.
const ALARM_INTERVAL: Duration = Duration::from_millis(100);

/// Looks at queues and delayed exchanges whose deadline has come.
pub async fn run_timers(node: Arc<Node>, clock: Clock) {
    /// Looks at the timers in a row.
    const ROUNDS: u32 = 16;
    let mut rounds = 0;
    let mut sleep = Box::pin(tokio::time::sleep(Duration::ZERO));
    std::future::poll_fn(move |context| {
        loop {
            let now = clock.now();
            let (due, next) = node.timers.take_due(now, context.waker());
            let any = !due.is_empty();
            for holder in &due {
                node.look(holder, now);
            }
            rounds += 1;
            if any && ROUNDS <= rounds {
                // Very many messages are due at once: others on this thread get a turn.
                rounds = 0;
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            if any {
                continue;
            }
            rounds = 0;
            let Some(at) = next else { return Poll::<()>::Pending };
            sleep.as_mut().reset(clock.instant(at));
            if Pin::new(&mut sleep).poll(context).is_pending() {
                return Poll::Pending;
            }
        }
    })
    .await;
}

/// Publishes what happens on the node to whoever has bound a queue for that.
pub async fn publish_events(node: Arc<Node>, clock: Clock) {
    std::future::poll_fn(|context| {
        if node.publish_events(clock.now(), context.waker()) {
            // Others on this thread get a turn between two portions.
            context.waker().wake_by_ref();
        }
        Poll::<()>::Pending
    })
    .await;
}

/// Wakes blocked connections when the alarm is over.
pub async fn watch_alarms(node: Arc<Node>, space: Option<FreeSpace>) {
    let mut raised = false;
    let mut told = [false; 2];
    loop {
        tokio::time::sleep(ALARM_INTERVAL).await;
        node.log_wanted_definitions();
        if let Some(space) = &space {
            node.alarms.set_disk(space.is_low());
        }
        node.tell_alarms(&mut told);
        let reason = node.alarms.reason();
        // Also after an alarm too short to be seen here.
        if reason.is_none() && (raised || node.alarms.has_waiting()) {
            node.wake_connections();
        }
        if reason.is_some() != raised {
            raised = reason.is_some();
            match reason {
                Some(reason) => tracing::warn!("alarm set: publishers wait, {reason}"),
                None => tracing::warn!("alarm cleared: publishers go on"),
            }
        }
    }
}
