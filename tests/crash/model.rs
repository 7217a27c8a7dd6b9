//! What must be there after a crash, may be there, and must not.
//!
//! The load tells the model what it is about to send *before* it sends it, and what the broker answered
//! *after* it has arrived. So at any moment the model knows every copy of a message that can exist, and what
//! the broker has promised of it. [`judge`](crate::judge) compares that with what is found.

use std::collections::BTreeMap;

use crate::message::Id;

/// A transaction of the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tx(pub u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// tx.commit has not been sent: nothing of it may have happened.
    Open,
    /// tx.commit has been sent: all of it has happened, or nothing.
    Committing,
}

/// How sure it is that a copy has come into its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    Sent,
    Within(Tx),
    /// Confirmed, committed, or seen after a restart.
    Proven,
}

/// How sure it is that a copy has left its queue again. One that has for certain is not in the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaving {
    Stays,
    Within(Tx),
    /// Acknowledged or rejected, which nothing confirms.
    Settled,
}

/// One message in one queue.
#[derive(Clone, Copy, Debug)]
pub struct Copy {
    pub arrival: Arrival,
    pub leaving: Leaving,
    pub delivered: bool,
    pub requeued: bool,
    pub rejected: bool,
    /// Purged, which the broker has confirmed.
    pub purged: bool,
}

/// The copies of one message in the dead-letter queue. Usually there is one; but a message that came back
/// after its rejection, because nothing confirms a rejection, may be rejected again.
#[derive(Clone, Copy, Debug, Default)]
pub struct DeadLetter {
    pub least: u32,
    pub most: u32,
    pub acked: bool,
}

/// Whether a durable object is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    Declaring,
    There,
    Deleting,
}

/// A binding: exchange and queue.
pub type Bond = (String, String);

#[derive(Default)]
pub struct Model {
    pub queues: BTreeMap<String, Presence>,
    pub exchanges: BTreeMap<String, Presence>,
    pub bindings: BTreeMap<Bond, Presence>,
    pub copies: BTreeMap<String, BTreeMap<Id, Copy>>,
    pub dead: BTreeMap<Id, DeadLetter>,
    pub transactions: BTreeMap<Tx, Stage>,
    pub violations: Vec<String>,
    /// Exclusive queues of the load's connections.
    pub peers: Vec<String>,
    last_tx: u32,
    serials: BTreeMap<u16, u32>,
}

impl Model {
    /// A name for the exclusive queue of a connection.
    pub fn next_peer(&mut self) -> String {
        let name = format!("peer.{}", self.peers.len());
        self.peers.push(name.clone());
        name
    }

    /// The next message of a publisher, about to be sent to these queues.
    pub fn send(&mut self, publisher: u16, length: u32, queues: &[&str], tx: Option<Tx>) -> Id {
        let serial = self.serials.entry(publisher).or_default();
        *serial += 1;
        let id = Id { publisher, serial: *serial, length };
        let arrival = tx.map_or(Arrival::Sent, Arrival::Within);
        for queue in queues {
            let fresh = Copy {
                arrival,
                leaving: Leaving::Stays,
                delivered: false,
                requeued: false,
                rejected: false,
                purged: false,
            };
            self.copies.entry((*queue).to_owned()).or_default().insert(id, fresh);
        }
        id
    }

    /// The broker has confirmed a message.
    pub fn confirmed(&mut self, id: Id) {
        for copy in self.copies.values_mut().filter_map(|copies| copies.get_mut(&id)) {
            copy.arrival = Arrival::Proven;
        }
    }

    /// A message has been delivered.
    pub fn delivered(&mut self, queue: &str, id: Id) {
        match self.copy(queue, id) {
            Some(copy) if copy.leaving == Leaving::Stays => copy.delivered = true,
            Some(_) => self.violations.push(format!("{queue}: {id} delivered again after its settlement")),
            None => self.violations.push(format!("{queue}: {id} delivered, which is not in this queue")),
        }
    }

    /// An acknowledgement is about to be sent.
    pub fn ack(&mut self, queue: &str, id: Id) {
        if let Some(copy) = self.copy(queue, id) {
            copy.leaving = Leaving::Settled;
        }
    }

    /// An acknowledgement is about to be sent in a transaction.
    pub fn ack_within(&mut self, tx: Tx, queue: &str, id: Id) {
        if let Some(copy) = self.copy(queue, id) {
            copy.leaving = Leaving::Within(tx);
        }
    }

    /// A message is about to be requeued.
    pub fn requeue(&mut self, queue: &str, id: Id) {
        if let Some(copy) = self.copy(queue, id) {
            copy.requeued = true;
        }
    }

    /// A purge is about to be sent. It is not synced.
    pub fn purging(&mut self, queue: &str) {
        for copy in self.copies.get_mut(queue).into_iter().flat_map(BTreeMap::values_mut) {
            copy.leaving = Leaving::Settled;
        }
    }

    /// purge-ok has arrived.
    pub fn purged(&mut self, queue: &str) {
        for copy in self.copies.get_mut(queue).into_iter().flat_map(BTreeMap::values_mut) {
            copy.purged = copy.leaving == Leaving::Settled;
        }
    }

    /// The broker is another: what was transient is gone.
    pub fn restarted(&mut self) {
        for copies in self.copies.values_mut() {
            copies.retain(|id, _| !id.is_transient());
        }
    }

    /// A message is about to be rejected into the dead-letter queue.
    pub fn reject(&mut self, queue: &str, id: Id) {
        if let Some(copy) = self.copy(queue, id) {
            copy.leaving = Leaving::Settled;
            copy.rejected = true;
            self.dead.entry(id).or_default().most += 1;
        }
    }

    /// A dead letter has been delivered.
    pub fn dead_delivered(&mut self, id: Id) {
        if !self.dead.contains_key(&id) {
            self.violations.push(format!("dead letter {id}, which was not rejected"));
        }
    }

    /// The acknowledgement of a dead letter is about to be sent.
    pub fn dead_ack(&mut self, id: Id) {
        if let Some(letter) = self.dead.get_mut(&id) {
            letter.least = letter.least.saturating_sub(1);
            letter.acked = true;
        }
    }

    /// A dead letter has been acknowledged in a transaction that is committed.
    pub fn dead_gone(&mut self, id: Id) {
        if let Some(letter) = self.dead.get_mut(&id) {
            letter.least = letter.least.saturating_sub(1);
            letter.most = letter.most.saturating_sub(1);
        }
    }

    pub fn begin(&mut self) -> Tx {
        self.last_tx += 1;
        self.transactions.insert(Tx(self.last_tx), Stage::Open);
        Tx(self.last_tx)
    }

    /// tx.commit is about to be sent.
    pub fn committing(&mut self, tx: Tx) {
        self.transactions.insert(tx, Stage::Committing);
    }

    /// commit-ok has arrived.
    pub fn committed(&mut self, tx: Tx) {
        self.transactions.remove(&tx);
        for copies in self.copies.values_mut() {
            copies.retain(|_, copy| copy.leaving != Leaving::Within(tx));
            for copy in copies.values_mut().filter(|copy| copy.arrival == Arrival::Within(tx)) {
                copy.arrival = Arrival::Proven;
            }
        }
    }

    /// rollback-ok has arrived.
    pub fn rolled_back(&mut self, tx: Tx) {
        self.transactions.remove(&tx);
        for copies in self.copies.values_mut() {
            copies.retain(|_, copy| copy.arrival != Arrival::Within(tx));
            for copy in copies.values_mut().filter(|copy| copy.leaving == Leaving::Within(tx)) {
                copy.leaving = Leaving::Stays;
            }
        }
    }

    /// queue.delete is about to be sent; its bindings go with it.
    pub fn deleting_queue(&mut self, queue: &str) {
        self.queues.insert(queue.to_owned(), Presence::Deleting);
        for (bond, presence) in &mut self.bindings {
            if bond.1 == queue {
                *presence = Presence::Deleting;
            }
        }
    }

    /// delete-ok has arrived.
    pub fn deleted_queue(&mut self, queue: &str) {
        self.queues.remove(queue);
        self.copies.remove(queue);
        self.bindings.retain(|bond, _| bond.1 != queue);
    }

    fn copy(&mut self, queue: &str, id: Id) -> Option<&mut Copy> {
        self.copies.get_mut(queue)?.get_mut(&id)
    }
}
