//! One deadline a queue or delayed exchange, in a structure that all share.

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
    task::Waker,
};

use parking_lot::Mutex;

use super::{DelayRef, Holder, QueueRef, SharedDelay, SharedQueue};
use crate::broker::Millis;

/// The earliest deadlines of all queues.
#[derive(Debug, Default)]
pub struct Timers {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// By deadline and the queue's number, so that two queues may be due at once.
    due: BTreeMap<(Millis, u64), Timed>,
    waker: Option<Waker>,
}

/// Who is to be looked at, if it is still there then.
#[derive(Debug)]
enum Timed {
    Queue(Weak<SharedQueue>),
    Delay(Weak<SharedDelay>),
}

impl Timed {
    /// From now on nothing is armed for it.
    fn disarmed(self) -> Option<Holder> {
        match self {
            Timed::Queue(queue) => {
                let queue = queue.upgrade()?;
                queue.disarm();
                Some(Holder::Queue(QueueRef(queue)))
            }
            Timed::Delay(delay) => {
                let delay = delay.upgrade()?;
                delay.disarm();
                Some(Holder::Delay(DelayRef(delay)))
            }
        }
    }
}

impl Timers {
    /// Makes sure that the queue is looked at by `deadline`.
    ///
    /// A queue may be looked at too early, after its deadline moved; it is then armed again.
    pub fn arm(&self, queue: &Arc<SharedQueue>, deadline: Millis) {
        if queue.arm_before(deadline) {
            self.insert((deadline, queue.number), Timed::Queue(Arc::downgrade(queue)));
        }
    }

    /// As [`Timers::arm`], for messages that wait.
    pub fn arm_delay(&self, delay: &DelayRef, deadline: Millis) {
        if delay.arm_before(deadline) {
            self.insert((deadline, delay.number), Timed::Delay(Arc::downgrade(&delay.0)));
        }
    }

    fn insert(&self, key: (Millis, u64), timed: Timed) {
        let (deadline, _) = key;
        let waker = {
            let mut state = self.state.lock();
            let first = state.due.first_key_value().map(|((at, _), _)| *at);
            state.due.insert(key, timed);
            if first.is_none_or(|at| deadline < at) { state.waker.take() } else { None }
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Takes those that are due; says when the next one is. `waker` is woken when that changes.
    pub fn take_due(&self, now: Millis, waker: &Waker) -> (Vec<Holder>, Option<Millis>) {
        let mut state = self.state.lock();
        let later = state.due.split_off(&(now + 1, 0));
        let due = std::mem::replace(&mut state.due, later);
        state.waker = Some(waker.clone());
        let next = state.due.first_key_value().map(|((at, _), _)| *at);
        drop(state);
        (due.into_values().filter_map(Timed::disarmed).collect(), next)
    }
}
