//! Policies at work: which one a queue or exchange goes by, and how a change reaches what is there already.
//!
//! A change puts new policies in place first, so that whatever is declared from then on goes by them, and then
//! walks through what was there before, a slice at a time, with no lock held in between.

use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use parking_lot::Mutex;

use super::{Node, QueueRef, Vhost, access::PolicyList, vhost::settings};
use crate::broker::{
    Millis,
    policy::{Applied, Owner, Policy},
    queue_type::QueueType,
    topology::Topology,
};

/// Queues or exchanges that are looked at in one go.
const SLICE: usize = 256;

/// The places of a policy and an operator policy in their lists.
type Places = (Option<usize>, Option<usize>);

/// The policies of a vhost, the highest priority first.
#[derive(Debug, Default)]
pub struct PolicySet {
    pub(super) version: u64,
    users: Vec<Arc<Policy>>,
    operators: Vec<Arc<Policy>>,
    /// What two policies come to, so that all queues that go by both share it.
    known: Mutex<HashMap<Places, Arc<Applied>, RandomState>>,
}

impl PolicySet {
    pub(super) fn new(list: PolicyList) -> PolicySet {
        let of = |owner: Owner| {
            let mut policies: Vec<_> = list
                .policies
                .iter()
                .filter(|(of, _)| *of == owner)
                .map(|(_, policy)| policy.clone())
                .collect();
            policies.sort_by(|one, other| other.rank().total_cmp(&one.rank()));
            policies
        };
        PolicySet {
            version: list.version,
            users: of(Owner::User),
            operators: of(Owner::Operator),
            known: Mutex::default(),
        }
    }

    /// What a queue goes by (POL-02).
    pub fn for_queue(&self, name: &str, queue_type: QueueType) -> Option<Arc<Applied>> {
        let first = |policies: &[Arc<Policy>]| {
            policies.iter().position(|policy| policy.is_for_queue(name, queue_type))
        };
        self.applied(first(&self.users), first(&self.operators))
    }

    /// What an exchange goes by.
    pub fn for_exchange(&self, name: &str) -> Option<Arc<Applied>> {
        self.applied(self.users.iter().position(|policy| policy.is_for_exchange(name)), None)
    }

    fn applied(&self, user: Option<usize>, operator: Option<usize>) -> Option<Arc<Applied>> {
        if user.is_none() && operator.is_none() {
            return None;
        }
        let policy =
            |policies: &[Arc<Policy>], at: Option<usize>| at.and_then(|at| policies.get(at)).cloned();
        let make = || Arc::new(Applied::new(policy(&self.users, user), policy(&self.operators, operator)));
        Some(self.known.lock().entry((user, operator)).or_insert_with(make).clone())
    }
}

/// A walk through everything that a change of policies may concern.
#[derive(Debug)]
pub struct PolicySweep {
    vhost: Arc<Vhost>,
    queues: Vec<QueueRef>,
    exchanges: Vec<String>,
}

impl PolicySweep {
    /// Looks at some more; true when there is still something left.
    pub fn step(&mut self, node: &Node, now: Millis) -> bool {
        if self.exchanges.is_empty() {
            let rest = self.queues.len().saturating_sub(SLICE);
            self.queues.drain(rest..).for_each(|queue| node.govern(&self.vhost, &queue, now));
        } else {
            let rest = self.exchanges.len().saturating_sub(SLICE);
            self.vhost.govern_exchanges(self.exchanges.drain(rest..));
        }
        !self.queues.is_empty() || !self.exchanges.is_empty()
    }
}

impl Node {
    /// Adds or changes a policy; true when it is new, `None` when its vhost is gone. [`Node::sweep_policies`] is
    /// to follow.
    pub fn put_policy(&self, vhost: &Vhost, owner: Owner, policy: Policy) -> Option<bool> {
        let (is_new, list) = self.access.put_policy(&vhost.name, owner, policy)?;
        vhost.rules.adopt_policies(list);
        Some(is_new)
    }

    /// Takes a policy away; false when there was none. [`Node::sweep_policies`] is to follow.
    pub fn clear_policy(&self, vhost: &Vhost, owner: Owner, name: &str) -> bool {
        let Some(list) = self.access.clear_policy(&vhost.name, owner, name) else { return false };
        vhost.rules.adopt_policies(list);
        true
    }

    /// The walk that makes everything in a vhost go by its policies.
    pub fn sweep_policies(&self, vhost: &Arc<Vhost>) -> PolicySweep {
        let exchanges =
            vhost.topology.read().exchanges().map(|exchange| exchange.name().to_owned()).collect();
        PolicySweep { vhost: vhost.clone(), queues: vhost.queues(), exchanges }
    }

    /// Makes a queue go by the policies of its vhost.
    fn govern(&self, vhost: &Vhost, queue: &QueueRef, now: Millis) {
        let policies = vhost.rules.policies();
        let applied = policies.for_queue(&queue.name, queue.properties.arguments.queue_type);
        if !queue.is_governed_otherwise(&policies, applied.as_deref()) {
            return;
        }
        self.with_queue(queue, now, |state, effects| {
            if queue.adopt(&policies, applied) {
                state.reconfigure(settings(&queue.rules(), queue.is_logged(&self.journal)), now, effects);
            }
        });
    }
}

impl Vhost {
    /// Makes exchanges go by the policies (EXC-20). Whoever declares one holds the same lock, so that none is
    /// missed.
    fn govern_exchanges(&self, names: impl Iterator<Item = String>) {
        self.change(|topology| {
            names.for_each(|name| self.govern_exchange(topology, &name));
        });
    }

    /// Makes the exchanges of a new vhost go by its policies.
    pub(super) fn govern_predeclared(&self) {
        let names: Vec<_> = self.exchanges().into_iter().map(|exchange| exchange.name).collect();
        self.govern_exchanges(names.into_iter());
    }

    /// As [`Vhost::govern_exchanges`] for one, by who holds the lock.
    pub(super) fn govern_exchange(&self, topology: &mut Topology<QueueRef>, name: &str) {
        let applied = self.rules.policies().for_exchange(name);
        let alternate = applied.as_ref().and_then(|applied| applied.effective.alternate_exchange.as_deref());
        let current = topology.exchange(name).map(|exchange| exchange.alternate_by_policy());
        if current.is_some_and(|current| current != alternate) {
            topology.set_alternate_by_policy(name, alternate);
        }
    }
}
