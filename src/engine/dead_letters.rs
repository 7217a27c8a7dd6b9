//! Dead-lettering: messages that a queue gave up go to its dead-letter exchange.
//!
//! A target may give messages up in turn, because they are too many or have no time to live. That is worked
//! off from a list, one queue's lock at a time; nothing recurses.

use std::{collections::VecDeque, mem::take};

use smallvec::smallvec;

use super::{Node, QueueRef, Vhost, add_identities, add_kept, add_notes};
use crate::{
    broker::{
        Message, Millis,
        death::{DeadLetters, Demise, dead_letter, is_cycle},
        queue::{Accepted, Death, Effects, Entry},
        queue_arguments::{DeadLetterStrategy, Overflow},
        queue_type::QueueType,
    },
    store::{Op, Place},
};

/// Messages that are routed before their targets are told, so that a long backlog is never copied as a whole.
const BATCH_MAX: usize = 1024;
/// Arrivals that one death may lead to before the deaths among them are no longer followed. Queues that
/// overflow into each other all at once could otherwise multiply one message by their number, again and again.
const ARRIVALS_PER_DEATH_MAX: usize = 1000;

/// Milliseconds after which messages are dead-lettered again that nobody took.
const RETRY_AFTER: Millis = 1000;

/// Messages for one queue, in order.
type Arrivals = Vec<(QueueRef, Vec<Message>)>;

/// Publishes dead messages of `queue` to its dead-letter exchange. A missing exchange or route drops them
/// (DLX-06). No lock may be held.
///
/// What the log must learn is added to `ops`: the copies first, then that the originals are gone, so that no
/// crash finds neither.
pub fn bury(node: &Node, queue: &QueueRef, dead: Vec<(Entry, Death)>, now: Millis, ops: &mut Vec<Op>) {
    let mut arrivals_left = dead.len().saturating_mul(ARRIVALS_PER_DEATH_MAX);
    let mut work = VecDeque::from([(queue.clone(), dead)]);
    let mut scratch = Vec::new();
    while let Some((source, dead)) = work.pop_front() {
        let Some(vhost) = node.vhost(&source.vhost) else { return };
        if is_at_least_once(&source) {
            let arrived = bury_for_sure(node, &vhost, &source, dead, now, ops);
            arrivals_left = arrivals_left.saturating_sub(arrived.len());
            work.extend(arrived.into_iter().filter(|(_, dead_again)| !dead_again.is_empty()));
            continue;
        }
        let mut gone = Vec::new();
        forget(&mut gone, &source, &dead);
        let mut dead = dead.into_iter().peekable();
        while dead.peek().is_some() {
            let batch = dead.by_ref().take(BATCH_MAX);
            for (target, messages) in route(node, &vhost, &source, batch, now, (&mut scratch, ops)).0 {
                arrivals_left = arrivals_left.saturating_sub(messages.len());
                let (dead_again, _refused) = arrive(node, &target, messages, now, ops);
                if dead_again.is_empty() {
                    continue;
                }
                if 0 < arrivals_left {
                    work.push_back((target, dead_again));
                } else {
                    forget(ops, &target, &dead_again);
                }
            }
        }
        ops.append(&mut gone);
    }
}

/// Tells the log that dead messages are gone from their queue.
fn forget(ops: &mut Vec<Op>, queue: &QueueRef, dead: &[(Entry, Death)]) {
    let logged = dead.iter().filter(|(entry, _)| entry.logged);
    let sequences: Vec<u64> = logged.map(|(entry, _)| entry.sequence).collect();
    if !sequences.is_empty() {
        ops.push(Op::Settled { queue: queue.number, sequences });
    }
}

/// Finds the targets of dead messages, except those that a message went round through already (DLX-30). Says, too,
/// whether any waits in a delayed exchange.
fn route(
    node: &Node,
    vhost: &Vhost,
    source: &QueueRef,
    dead: impl Iterator<Item = (Entry, Death)>,
    now: Millis,
    (scratch, ops): (&mut Vec<u8>, &mut Vec<Op>),
) -> (Arrivals, bool) {
    let rules = source.rules();
    let Some(exchange) = rules.dead_letter_exchange.as_deref() else { return (Arrivals::new(), false) };
    let mut waits = false;
    let to = DeadLetters { exchange, routing_key: rules.dead_letter_routing_key.as_deref() };
    let mut arrivals = Arrivals::new();
    for (entry, reason) in dead {
        let message = dead_letter(&entry.message, &Demise { queue: &source.name, reason, now }, &to, scratch);
        let routed = vhost.route_message(exchange, &message, now);
        waits |= !routed.held.is_empty();
        for target in node.accept(routed, &message, ops) {
            if !is_cycle(&message, reason, &target.name) {
                add(&mut arrivals, target, message.clone());
            }
        }
    }
    (arrivals, waits)
}

/// Adds the next message for a queue.
pub(super) fn add(arrivals: &mut Arrivals, target: QueueRef, message: Message) {
    match arrivals.iter_mut().rev().find(|(known, _)| *known == target) {
        Some((_, messages)) => messages.push(message),
        None => arrivals.push((target, vec![message])),
    }
}

/// Publishes to one queue; says what it gave up for that. What it refuses is lost, unless it dead-letters
/// that, too (LEN-05, LEN-06): nobody waits for a confirm.
pub(super) fn arrive(
    node: &Node,
    target: &QueueRef,
    messages: Vec<Message>,
    now: Millis,
    ops: &mut Vec<Op>,
) -> (Vec<(Entry, Death)>, bool) {
    let mut effects = Effects::default();
    let mut refused = false;
    let copies = if node.journal.is_on() && target.is_durable() { messages.clone() } else { Vec::new() };
    let deadline = {
        let mut state = target.state.lock();
        state.publish(messages, now, &mut effects, |_, accepted| refused |= accepted == Accepted::Refused);
        node.paging.note_length(target, state.resident_cost());
        state.next_deadline()
    };
    effects.wake_all();
    if let Some(deadline) = deadline {
        node.timers.arm(&target.0, deadline);
    }
    node.request_pages(target, &mut effects, ops);
    if effects.log.identities.is_some() {
        add_identities(ops, target.properties.identities, &mut effects.log);
    }
    if let Some(work) = effects.stream.take() {
        node.streams.pass_on(target, *work);
    }
    add_kept(ops, target.number, &take(&mut effects.log.kept), &copies);
    add_notes(ops, target.number, &mut effects.log);
    (effects.dead, refused)
}

/// Whether a queue's dead messages wait until somebody takes them (QQ-08).
fn is_at_least_once(queue: &QueueRef) -> bool {
    let rules = queue.rules();
    rules.queue_type == QueueType::Quorum
        && rules.dead_letter_strategy == DeadLetterStrategy::AtLeastOnce
        && rules.overflow == Overflow::RejectPublish
        && rules.dead_letter_exchange.is_some()
}

/// As [`bury`], but a message that reaches no queue, or that a queue refuses, stays its queue's and is tried
/// again after a while. Returns what died in turn at its targets.
fn bury_for_sure(
    node: &Node,
    vhost: &Vhost,
    source: &QueueRef,
    dead: Vec<(Entry, Death)>,
    now: Millis,
    ops: &mut Vec<Op>,
) -> Vec<(QueueRef, Vec<(Entry, Death)>)> {
    let (mut scratch, mut died_again, mut stuck) = (Vec::new(), Vec::new(), Vec::new());
    for (mut entry, reason) in dead {
        let one = std::iter::once((entry.clone(), reason));
        let (arrivals, waits) = route(node, vhost, source, one, now, (&mut scratch, ops));
        let mut is_stuck = arrivals.is_empty() && !waits && !source.state.lock().is_deleted();
        for (target, messages) in arrivals {
            let (dead_again, refused) = arrive(node, &target, messages, now, ops);
            is_stuck |= refused;
            died_again.push((target, dead_again));
        }
        if is_stuck {
            if !entry.logged && source.is_durable() && node.journal.is_on() {
                // It died before the log heard of it.
                entry.logged = true;
                let Entry { sequence, deadline, returns, .. } = entry;
                let place = Place { queue: source.number, sequence, deadline, returns };
                ops.push(Op::Message { message: entry.message.clone(), places: smallvec![place] });
            }
            stuck.push((entry, reason));
        } else {
            forget(ops, source, &[(entry, reason)]);
        }
    }
    if !stuck.is_empty() {
        source.undelivered.lock().append(&mut stuck);
        node.timers.arm(&source.0, now + RETRY_AFTER);
    }
    died_again
}

/// Tries to dead-letter again what nobody took the last time.
pub fn retry(node: &Node, queue: &QueueRef, now: Millis) {
    let undelivered = take(&mut *queue.undelivered.lock());
    if !undelivered.is_empty() {
        let mut ops = Vec::new();
        bury(node, queue, undelivered, now, &mut ops);
        node.journal.append(&mut ops, false);
    }
}
