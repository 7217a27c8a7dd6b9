//! The definitions as a replay finds them.
//!
//! An exchange or queue that is deleted takes its bindings with it. Instead of searching for those, each
//! declaration gets a number, a binding remembers the numbers of its ends, and bindings whose ends have other
//! numbers by now are left out in the end.

use std::collections::{BTreeMap, HashMap};

use super::definition::{
    BindingDefinition, Definition, ExchangeDefinition, NODE, PermissionDefinition, QueueDefinition, QueueId,
    UserDefinition, VhostDefinition,
};
use super::setting::Settings;

/// Everything defined, by vhost.
#[derive(Debug, Default)]
pub struct Catalog {
    access: Access,
    vhosts: BTreeMap<String, Vhost>,
    next_number: u64,
}

#[derive(Debug, Default)]
struct Vhost {
    exchanges: BTreeMap<String, (u64, ExchangeDefinition)>,
    queues: BTreeMap<String, (u64, QueueDefinition)>,
    bindings: HashMap<BindingDefinition, (Option<u64>, Option<u64>)>,
}

#[derive(Debug, Default)]
struct Access {
    users: BTreeMap<String, UserDefinition>,
    vhosts: BTreeMap<String, VhostDefinition>,
    /// By vhost and user.
    permissions: BTreeMap<(String, String), PermissionDefinition>,
    settings: Settings,
}

/// Users, vhosts and permissions. All empty in a log that never heard of any.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct AccessDefinitions {
    pub users: Vec<UserDefinition>,
    pub vhosts: Vec<VhostDefinition>,
    pub permissions: Vec<PermissionDefinition>,
    pub settings: Settings,
}

impl AccessDefinitions {
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && self.vhosts.is_empty()
    }
}

/// What a vhost holds, in an order in which it can be declared.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Definitions {
    pub exchanges: Vec<ExchangeDefinition>,
    pub queues: Vec<QueueDefinition>,
    pub bindings: Vec<BindingDefinition>,
}

impl Vhost {
    /// The numbers of a binding's ends. Predeclared exchanges are never declared and have none.
    fn ends(&self, binding: &BindingDefinition) -> (Option<u64>, Option<u64>) {
        let exchange = |name: &str| self.exchanges.get(name).map(|(number, _)| *number);
        let destination = if binding.to_queue {
            self.queues.get(&binding.destination).map(|(number, _)| *number)
        } else {
            exchange(&binding.destination)
        };
        (exchange(&binding.source), destination)
    }
}

impl Access {
    fn apply(&mut self, definition: Definition) {
        match definition {
            Definition::PutUser(user) => {
                self.users.insert(user.name.clone(), user);
            }
            Definition::DeleteUser { name } => {
                self.users.remove(&name);
                self.settings.forget_user(&name);
            }
            Definition::PutVhost(vhost) => {
                self.vhosts.insert(vhost.name.clone(), vhost);
            }
            Definition::DeleteVhost { name } => {
                self.vhosts.remove(&name);
                self.permissions.retain(|(vhost, _), _| *vhost != name);
                self.settings.forget_vhost(&name);
            }
            Definition::PutPermission(row) => {
                self.permissions.insert((row.vhost.clone(), row.user.clone()), row);
            }
            Definition::ClearPermission { vhost, user } => {
                self.permissions.remove(&(vhost, user));
            }
            Definition::Set(setting) => self.settings.apply(setting),
            Definition::Reset { .. } => *self = Access::default(),
            // Whatever else is defined is in some vhost.
            _ => {}
        }
    }
}

impl Catalog {
    /// Carries a change out.
    pub fn apply(&mut self, definition: Definition) {
        if definition.vhost() == NODE {
            return self.access.apply(definition);
        }
        self.next_number += 1;
        let number = self.next_number;
        let vhost = self.vhosts.entry(definition.vhost().to_owned()).or_default();
        match definition {
            Definition::Reset { .. } => *vhost = Vhost::default(),
            Definition::DeclareExchange { exchange, .. } => {
                vhost.exchanges.insert(exchange.name.clone(), (number, exchange));
            }
            Definition::DeleteExchange { name, .. } => {
                vhost.exchanges.remove(&name);
            }
            Definition::DeclareQueue { queue, .. } => {
                vhost.queues.insert(queue.name.clone(), (number, queue));
            }
            Definition::DeleteQueue { name, id, .. } => {
                if vhost.queues.get(&name).is_some_and(|(_, queue)| queue.id == id) {
                    vhost.queues.remove(&name);
                }
            }
            Definition::Bind { binding, .. } => {
                let ends = vhost.ends(&binding);
                vhost.bindings.insert(binding, ends);
            }
            Definition::Unbind { binding, .. } => {
                vhost.bindings.remove(&binding);
            }
            // Its exchange or queue goes with the next definition.
            Definition::DeleteKept { .. }
            | Definition::PutUser(_)
            | Definition::DeleteUser { .. }
            | Definition::PutVhost(_)
            | Definition::DeleteVhost { .. }
            | Definition::PutPermission(_)
            | Definition::ClearPermission { .. }
            | Definition::Set(_) => {}
        }
    }

    /// Who and what vhosts there are in the end.
    pub fn take_access(&mut self) -> AccessDefinitions {
        let Access { users, vhosts, permissions, settings } = std::mem::take(&mut self.access);
        AccessDefinitions {
            users: users.into_values().collect(),
            vhosts: vhosts.into_values().collect(),
            permissions: permissions.into_values().collect(),
            settings,
        }
    }

    /// What is defined in the end, by vhost.
    pub fn into_definitions(self) -> BTreeMap<String, Definitions> {
        let vhosts = self.vhosts.into_iter();
        let definitions = vhosts.map(|(name, vhost)| {
            let standing = vhost.bindings.iter().filter(|(binding, ends)| vhost.ends(binding) == **ends);
            let mut bindings: Vec<_> = standing.map(|(binding, _)| binding.clone()).collect();
            let key = |binding: &BindingDefinition| {
                let BindingDefinition { source, destination, routing_key, arguments, to_queue } = binding;
                (*to_queue, source.clone(), destination.clone(), routing_key.clone(), arguments.clone())
            };
            bindings.sort_by_cached_key(key);
            let exchanges = vhost.exchanges.into_values().map(|(_, exchange)| exchange).collect();
            let queues = vhost.queues.into_values().map(|(_, queue)| queue).collect();
            (name, Definitions { exchanges, queues, bindings })
        });
        definitions.collect()
    }
}

impl Definitions {
    /// The ids of its queues, and those under which they and exchanges keep messages.
    pub fn queue_ids(&self) -> impl Iterator<Item = QueueId> {
        let queues = self.queues.iter().flat_map(QueueDefinition::ids);
        queues.chain(self.exchanges.iter().flat_map(ExchangeDefinition::kept))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(name: &str, id: QueueId) -> Definition {
        let queue = QueueDefinition {
            name: name.into(),
            id,
            auto_delete: false,
            arguments: Vec::new(),
            identities: None,
        };
        Definition::DeclareQueue { vhost: "/".into(), queue }
    }

    fn bind(source: &str, destination: &str) -> Definition {
        let binding = BindingDefinition {
            source: source.into(),
            destination: destination.into(),
            to_queue: true,
            routing_key: "key".into(),
            arguments: Vec::new(),
        };
        Definition::Bind { vhost: "/".into(), binding }
    }

    #[test]
    fn bindings_go_with_their_queue_and_do_not_come_back_with_its_name() {
        let mut catalog = Catalog::default();
        catalog.apply(queue("one", 1));
        catalog.apply(bind("amq.direct", "one"));
        catalog.apply(Definition::DeleteQueue { vhost: "/".into(), name: "one".into(), id: 1 });
        catalog.apply(queue("one", 2));
        catalog.apply(queue("two", 3));
        catalog.apply(bind("amq.direct", "two"));
        let definitions = catalog.into_definitions().remove("/").unwrap();
        assert_eq!(definitions.queue_ids().collect::<Vec<_>>(), [2, 3]);
        let bound: Vec<_> = definitions.bindings.iter().map(|binding| &*binding.destination).collect();
        assert_eq!(bound, ["two"]);
    }

    #[test]
    fn a_reset_leaves_only_what_follows() {
        let mut catalog = Catalog::default();
        catalog.apply(queue("one", 1));
        catalog.apply(Definition::Reset { vhost: "/".into() });
        catalog.apply(queue("two", 2));
        let definitions = catalog.into_definitions().remove("/").unwrap();
        assert_eq!(definitions.queue_ids().collect::<Vec<_>>(), [2]);
    }
}
