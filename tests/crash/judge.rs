//! Compares what is found after a restart with what the model says, and makes it the new model.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
};

use crate::{
    message::{EXPIRING, Id},
    model::{Arrival, Bond, Copy, Leaving, Model, Presence, Stage, Tx},
    place::Ending,
    topology::{PRIORITIES, TTL, UNTOUCHED},
};

/// A message found in a queue.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    pub id: Id,
    pub redelivered: bool,
}

/// What there is after a restart. Everything that ever had a name is looked for, not only what should be there.
#[derive(Default)]
pub struct Found {
    /// The messages of each queue that exists, in order; dead letters are apart.
    pub queues: BTreeMap<String, Vec<Seen>>,
    pub dead: Vec<Seen>,
    pub exchanges: BTreeSet<String>,
    pub bindings: BTreeSet<Bond>,
    /// Messages that are not whole.
    pub broken: Vec<String>,
}

/// The violations, none if all is well. What was found is what the model continues with.
pub fn judge(model: &mut Model, found: &Found, ending: Ending) -> Vec<String> {
    let mut violations = mem::take(&mut model.violations);
    violations.extend(found.broken.iter().cloned());
    objects(model, found, &mut violations);
    for (queue, seen) in &found.queues {
        messages(model, queue, seen, ending, &mut violations);
    }
    dead_letters(model, found, ending, &mut violations);
    transactions(model, found, &mut violations);
    adopt(model, found);
    violations
}

/// Declared is there, deleted is not.
fn objects(model: &mut Model, found: &Found, violations: &mut Vec<String>) {
    let names = found.queues.keys().cloned().collect();
    presences("queue", &mut model.queues, &names, violations);
    // The deletion of a queue that is gone has happened, with all that was in it.
    model.copies.retain(|queue, _| names.contains(queue));
    presences("exchange", &mut model.exchanges, &found.exchanges, violations);
    presences("binding", &mut model.bindings, &found.bindings, violations);
}

fn presences<K: Ord + Clone + std::fmt::Debug>(
    kind: &str,
    expected: &mut BTreeMap<K, Presence>,
    found: &BTreeSet<K>,
    violations: &mut Vec<String>,
) {
    for (name, presence) in expected.iter() {
        if *presence == Presence::There && !found.contains(name) {
            violations.push(format!("{kind} {name:?} is lost"));
        }
    }
    for name in found.iter().filter(|name| !expected.contains_key(*name)) {
        violations.push(format!("{kind} {name:?} is there again, though it was deleted"));
    }
    *expected = found.iter().map(|name| (name.clone(), Presence::There)).collect();
}

/// One queue: nothing lost, nothing twice, nothing that was gone, in order, flagged.
fn messages(model: &Model, queue: &str, seen: &[Seen], ending: Ending, violations: &mut Vec<String>) {
    let none = BTreeMap::new();
    let copies = model.copies.get(queue).unwrap_or(&none);
    let mut present = BTreeSet::new();
    let mut latest: BTreeMap<(u16, u8), Id> = BTreeMap::new();
    let has_priorities = queue == PRIORITIES;
    let mut lowest = u8::MAX;
    for Seen { id, redelivered } in seen {
        if !present.insert(*id) {
            violations.push(format!("{queue}: {id} is there twice"));
        }
        let Some(copy) = copies.get(id) else {
            violations.push(format!("{queue}: {id} is there, though it was gone or never sent here"));
            continue;
        };
        if let Arrival::Within(tx) = copy.arrival
            && model.transactions.get(&tx) == Some(&Stage::Open)
        {
            violations.push(format!("{queue}: {id} is there, though its {tx:?} was not committed"));
        }
        if !redelivered && (ending == Ending::Kill || copy.delivered) {
            violations.push(format!("{queue}: {id} is not flagged as redelivered"));
        }
        if *redelivered && ending == Ending::Clean && queue == UNTOUCHED && !copy.delivered {
            violations.push(format!("{queue}: {id} is flagged as redelivered after an orderly end"));
        }
        if copy.purged && ending == Ending::Clean {
            violations.push(format!("{queue}: {id} is there, though the queue was purged"));
        }
        let priority = if has_priorities { id.priority() } else { 0 };
        if lowest < priority {
            violations.push(format!("{queue}: {id} comes after messages of lower priority"));
        }
        lowest = lowest.min(priority);
        if !copy.requeued
            && let Some(before) = latest.insert((id.publisher, priority), *id)
            && before > *id
        {
            violations.push(format!("{queue}: {id} comes after {before}"));
        }
    }
    for (id, copy) in copies.iter().filter(|(id, copy)| must_be_there(model, copy) && !present.contains(id)) {
        violations.push(format!("{queue}: {id} is lost: {copy:?}"));
    }
}

fn must_be_there(model: &Model, copy: &Copy) -> bool {
    let stays = match copy.leaving {
        Leaving::Stays => true,
        Leaving::Within(tx) => model.transactions.get(&tx) == Some(&Stage::Open),
        Leaving::Settled => false,
    };
    copy.arrival == Arrival::Proven && stays
}

/// Each dead letter as often as it can be; and a rejected message is in one queue or the other.
fn dead_letters(model: &Model, found: &Found, ending: Ending, violations: &mut Vec<String>) {
    let mut counts: BTreeMap<Id, u32> = BTreeMap::new();
    for Seen { id, redelivered } in &found.dead {
        *counts.entry(*id).or_default() += 1;
        // What expires after the restart dies anew.
        if ending == Ending::Kill && !redelivered && id.publisher != EXPIRING {
            violations.push(format!("dead letter {id} is not flagged as redelivered"));
        }
        if !model.dead.contains_key(id) {
            violations.push(format!("dead letter {id}, which was gone or not rejected"));
        }
    }
    let count = |id| counts.get(id).copied().unwrap_or_default();
    for (id, letter) in &model.dead {
        if !(letter.least..=letter.most).contains(&count(id)) {
            violations.push(format!("dead letter {id} is there {} times: {letter:?}", count(id)));
        }
    }
    for (queue, copies) in &model.copies {
        let rejected = copies.iter().filter(|(_, copy)| copy.rejected && copy.arrival == Arrival::Proven);
        for id in rejected.map(|(id, _)| id) {
            let acked = model.dead.get(id).is_some_and(|letter| letter.acked);
            if !acked && count(id) == 0 && !is_in(found, queue, *id) {
                violations.push(format!("{id} is neither in {queue}, which it was rejected from, nor dead"));
            }
        }
    }
}

/// What is known of a transaction whose commit was not answered must all say yes, or all say no.
fn transactions(model: &Model, found: &Found, violations: &mut Vec<String>) {
    let mut evidence: BTreeMap<Tx, (Vec<String>, Vec<String>)> = BTreeMap::new();
    let mut tell = |tx: Tx, happened: bool, what: String| {
        if model.transactions.get(&tx) == Some(&Stage::Committing) {
            let (yes, no) = evidence.entry(tx).or_default();
            if happened { yes.push(what) } else { no.push(what) }
        }
    };
    for (queue, copies) in &model.copies {
        let present: BTreeSet<Id> = found.queues[queue].iter().map(|seen| seen.id).collect();
        for (id, copy) in copies {
            let there = present.contains(id);
            // A message that is absent may have been settled since, so it shows nothing.
            if let Arrival::Within(tx) = copy.arrival
                && (there || copy.leaving == Leaving::Stays)
            {
                tell(tx, there, format!("publish of {id} to {queue}"));
            }
            // A message that may never have arrived shows nothing by its absence.
            if let Leaving::Within(tx) = copy.leaving
                && (there || copy.arrival == Arrival::Proven)
            {
                tell(tx, !there, format!("ack of {id} in {queue}"));
            }
        }
    }
    for (tx, (yes, no)) in evidence {
        if !yes.is_empty() && !no.is_empty() {
            violations.push(format!("half of {tx:?} happened: {yes:?}, but not: {no:?}"));
        }
    }
}

fn is_in(found: &Found, queue: &str, id: Id) -> bool {
    found.queues.get(queue).is_some_and(|seen| seen.iter().any(|seen| seen.id == id))
}

/// What was found has been recovered from the disk, and must be there from now on. It has been delivered, too.
fn adopt(model: &mut Model, found: &Found) {
    let mut copies: BTreeMap<String, BTreeMap<Id, Copy>> = BTreeMap::new();
    for (queue, seen) in &found.queues {
        let here = copies.entry(queue.clone()).or_default();
        for Seen { id, .. } in seen {
            let known = model.copies.get(queue).and_then(|copies| copies.get(id));
            let requeued = known.is_some_and(|copy| copy.requeued);
            let arrival = Arrival::Proven;
            let (leaving, rejected) =
                if queue == TTL { (Leaving::Settled, true) } else { (Leaving::Stays, false) };
            let copy = Copy { arrival, leaving, delivered: true, requeued, rejected, purged: false };
            here.insert(*id, copy);
        }
    }
    model.copies = copies;
    model.dead.clear();
    for Seen { id, .. } in &found.dead {
        let letter = model.dead.entry(*id).or_default();
        letter.least += 1;
        letter.most += 1;
    }
    // They expire, or have by now.
    for id in model.copies.get(TTL).into_iter().flat_map(BTreeMap::keys) {
        model.dead.entry(*id).or_default().most += 1;
    }
    model.transactions.clear();
}

/// The judge is right about what it is shown: each test lets one thing go wrong.
#[cfg(test)]
mod tests {
    use super::*;

    const QUEUE: &str = "q";

    /// A model of one queue, with what `load` does to it.
    fn model(load: impl FnOnce(&mut Model)) -> Model {
        let mut model = Model::default();
        model.queues.insert(QUEUE.to_owned(), Presence::There);
        load(&mut model);
        model
    }

    fn confirmed(model: &mut Model) -> Id {
        let id = model.send(1, 10, &[QUEUE], None);
        model.confirmed(id);
        id
    }

    fn found(ids: &[Id]) -> Found {
        let seen = ids.iter().map(|id| Seen { id: *id, redelivered: true }).collect();
        Found { queues: BTreeMap::from([(QUEUE.to_owned(), seen)]), ..Found::default() }
    }

    /// The judgement about one restart after a kill.
    fn verdict(mut model: Model, found: Found) -> String {
        judge(&mut model, &found, Ending::Kill).join("; ")
    }

    #[test]
    fn a_confirmed_message_must_be_there_once_and_flagged() {
        let mut ids = Vec::new();
        model(|model| ids.extend((0..3).map(|_| confirmed(model))));
        let three = || model(|model| ids.iter().for_each(|id| assert_eq!(confirmed(model), *id)));
        assert_eq!(verdict(three(), found(&ids)), "");
        assert!(verdict(three(), found(&ids[..2])).contains("1/3/10 is lost"));
        assert!(verdict(three(), found(&[ids[0], ids[1], ids[1], ids[2]])).contains("1/2/10 is there twice"));
        assert!(verdict(three(), found(&[ids[1], ids[0], ids[2]])).contains("1/1/10 comes after 1/2/10"));
        let mut unflagged = found(&ids);
        unflagged.queues.get_mut(QUEUE).unwrap()[1].redelivered = false;
        assert!(verdict(three(), unflagged).contains("1/2/10 is not flagged"));
        assert!(verdict(three(), Found::default()).contains("queue \"q\" is lost"));
    }

    #[test]
    fn what_was_not_confirmed_or_was_acked_may_be_there_or_not() {
        for absent in [true, false] {
            let mut ids = Vec::new();
            let model = model(|model| {
                ids.push(model.send(1, 10, &[QUEUE], None));
                ids.push(confirmed(model));
                model.delivered(QUEUE, ids[1]);
                model.ack(QUEUE, ids[1]);
            });
            let found = found(if absent { &[] } else { &ids });
            assert_eq!(verdict(model, found), "");
        }
    }

    #[test]
    fn what_was_seen_once_stays_and_what_was_not_stays_away() {
        let mut ids = Vec::new();
        let mut model = model(|model| ids.extend((0..2).map(|_| model.send(1, 10, &[QUEUE], None))));
        assert_eq!(judge(&mut model, &found(&ids[..1]), Ending::Kill), [""; 0]);
        assert!(verdict(model, found(&ids[1..])).contains("1/1/10 is lost"));
        let mut model = self::model(|model| assert_eq!(model.send(1, 10, &[QUEUE], None), ids[0]));
        assert_eq!(judge(&mut model, &found(&[]), Ending::Kill), [""; 0]);
        assert!(verdict(model, found(&ids[..1])).contains("though it was gone or never sent here"));
    }

    #[test]
    fn a_transaction_is_all_or_nothing() {
        let mut ids = Vec::new();
        let mut run = |answered: bool, sent: bool| {
            ids.clear();
            model(|model| {
                ids.push(confirmed(model));
                let tx = model.begin();
                ids.push(model.send(1, 10, &[QUEUE], Some(tx)));
                model.ack_within(tx, QUEUE, ids[0]);
                if sent {
                    model.committing(tx);
                }
                if answered {
                    model.committed(tx);
                }
            })
        };
        let (open, answered, committing) = (run(false, false), run(true, true), || run(false, true));
        let mut committing = committing;
        let (one, two, three, four) = (committing(), committing(), committing(), committing());
        let (before, after) = (ids[0], ids[1]);
        assert_eq!(verdict(one, found(&[before])), "");
        assert_eq!(verdict(two, found(&[after])), "");
        assert!(verdict(three, found(&[before, after])).contains("half of Tx(1) happened"));
        assert!(verdict(four, found(&[])).contains("half of Tx(1) happened"));
        let wrong = verdict(answered, found(&[before]));
        assert!(wrong.contains("1/1/10 is there, though") && wrong.contains("1/2/10 is lost"), "{wrong}");
        let wrong = verdict(open, found(&[after]));
        assert!(wrong.contains("was not committed") && wrong.contains("1/1/10 is lost"), "{wrong}");
    }

    #[test]
    fn a_rejected_message_is_in_one_queue_or_the_other() {
        let run = |acked: bool| {
            model(|model| {
                let id = confirmed(model);
                model.reject(QUEUE, id);
                if acked {
                    model.dead_ack(id);
                }
            })
        };
        let id = Id { publisher: 1, serial: 1, length: 10 };
        let mut dead = found(&[]);
        dead.dead.push(Seen { id, redelivered: true });
        assert_eq!(verdict(run(false), dead), "");
        assert_eq!(verdict(run(false), found(&[id])), "");
        assert_eq!(verdict(run(true), found(&[])), "");
        assert!(verdict(run(false), found(&[])).contains("neither in q"));
    }

    #[test]
    fn deleted_objects_stay_away() {
        let mut gone = model(|model| {
            model.exchanges.insert("x".to_owned(), Presence::Deleting);
            model.deleting_queue(QUEUE);
            model.deleted_queue(QUEUE);
        });
        gone.exchanges.remove("x");
        let mut back = found(&[]);
        back.exchanges.insert("x".to_owned());
        let wrong = verdict(gone, back);
        assert!(
            wrong.contains("queue \"q\" is there again") && wrong.contains("exchange \"x\" is there again")
        );
    }
}
