//! One deadline a queue, in a structure that all queues share.

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
    task::Waker,
};

use parking_lot::Mutex;

use super::SharedQueue;
use crate::broker::Millis;

/// The earliest deadlines of all queues.
#[derive(Debug, Default)]
pub struct Timers {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// By deadline and the queue's number, so that two queues may be due at once.
    due: BTreeMap<(Millis, u64), Weak<SharedQueue>>,
    waker: Option<Waker>,
}

impl Timers {
    /// Makes sure that the queue is looked at by `deadline`.
    ///
    /// A queue may be looked at too early, after its deadline moved; it is then armed again.
    pub fn arm(&self, queue: &Arc<SharedQueue>, deadline: Millis) {
        if !queue.arm_before(deadline) {
            return;
        }
        let waker = {
            let mut state = self.state.lock();
            let first = state.due.first_key_value().map(|((at, _), _)| *at);
            state.due.insert((deadline, queue.number), Arc::downgrade(queue));
            if first.is_none_or(|at| deadline < at) { state.waker.take() } else { None }
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Takes the queues that are due; says when the next one is. `waker` is woken when that changes.
    pub fn take_due(&self, now: Millis, waker: &Waker) -> (Vec<Arc<SharedQueue>>, Option<Millis>) {
        let mut state = self.state.lock();
        let later = state.due.split_off(&(now + 1, 0));
        let due = std::mem::replace(&mut state.due, later);
        state.waker = Some(waker.clone());
        let next = state.due.first_key_value().map(|((at, _), _)| *at);
        drop(state);
        let queues: Vec<_> = due.into_values().filter_map(|queue| queue.upgrade()).collect();
        for queue in &queues {
            queue.disarm();
        }
        (queues, next)
    }
}
