//! Back to an empty broker: everything is deleted, and what the configuration starts with is there again.

use super::config::Bootstrap;
use crate::engine::{Node, Permission, VhostAbout};

/// The tag of the users that a broker starts with.
const TAG: &str = "administrator";

/// Deletes all virtual hosts, users and parameters, and makes those that an empty broker has.
pub fn reset(node: &Node, bootstrap: &Bootstrap) {
    for vhost in node.access.vhosts() {
        node.delete_vhost(&vhost);
    }
    for user in node.access.users() {
        node.delete_user(&user.name);
    }
    for (name, _) in node.access.global_parameters() {
        node.access.clear_global_parameter(&name);
    }
    let first = (bootstrap.user.clone(), bootstrap.password.clone());
    let users: Vec<_> = std::iter::once(&first).chain(&bootstrap.users).collect();
    for (name, password) in &users {
        let hash = node.access.hash(password.as_bytes());
        node.access.put_user(name, hash, vec![TAG.to_owned()]);
    }
    for vhost in std::iter::once(&bootstrap.vhost).chain(&bootstrap.vhosts) {
        if let Err(most) = node.put_vhost(vhost, VhostAbout::default()) {
            tracing::warn!("virtual host '{vhost}' is not there again: there may be {most}");
        }
        for (name, _) in &users {
            node.access.put_permission(vhost, name, Permission::full());
        }
    }
    tracing::warn!("the broker was reset: queues, exchanges, messages, users and virtual hosts are gone");
}
