//! Adding and removing vhosts and users while clients are connected.

use std::sync::Arc;

use super::{Node, OpenConnection, QueueRef, Signal, VhostAbout};
use crate::{
    amqp::{Failure, ReplyCode},
    broker::queue_type::QueueType,
};

impl Node {
    /// Adds a vhost, or changes what is said of it; true when it is new.
    ///
    /// # Errors
    /// The limit, when there are as many as there may be (LIM-03).
    pub fn put_vhost(&self, name: &str, about: VhostAbout) -> Result<bool, u64> {
        let limit = self.room.limits().vhosts;
        let is_new = self.access.put_vhost(name, about, limit)?;
        let vhost = self.add_vhost(name);
        if is_new {
            vhost.tell_predeclared();
            if let Some(limits) = self.access.limits_of_new_vhost(name) {
                self.set_vhost_limits(name, Some(limits));
            }
        }
        self.tell_vhost(if is_new { "vhost.created" } else { "vhost.updated" }, name);
        Ok(is_new)
    }

    /// Sets the queue type of declares in a vhost that name none; false without the vhost.
    pub fn set_default_queue_type(&self, name: &str, queue_type: Option<QueueType>) -> bool {
        let Some(vhost) = self.vhost(name) else { return false };
        self.access.set_default_queue_type(name, queue_type);
        vhost.rules.set_default_queue_type(queue_type);
        true
    }

    /// Deletes a vhost with everything in it; its connections are closed. False when there was none.
    pub fn delete_vhost(&self, name: &str) -> bool {
        if !self.access.remove_vhost(name) {
            return false;
        }
        self.enforce_vhost_limits(name);
        let removed = self.remove_vhost(name);
        self.close_where(&format!("vhost '{name}' is deleted"), |connection| &*connection.info.vhost == name);
        if let Some(vhost) = removed {
            for queue in vhost.retire() {
                let _gone_either_way = vhost.delete_queue(&queue, false, false);
            }
            let names: Vec<_> = vhost.exchanges().into_iter().map(|exchange| exchange.name).collect();
            vhost.tell_exchanges_deleted(names.iter().map(String::as_str));
        }
        self.events.tell_user("vhost.deleted", name);
        true
    }

    /// Deletes a user with its rights; its connections are closed. False when there was none.
    pub fn delete_user(&self, name: &str) -> bool {
        if !self.access.remove_user(name) {
            return false;
        }
        self.enforce_user_limits(name);
        self.close_where(&format!("user '{name}' is deleted"), |connection| &*connection.info.user == name);
        true
    }

    /// Asks connections to close, telling their clients why (CON-82).
    pub fn close_where(&self, reason: &str, chosen: impl Fn(&OpenConnection) -> bool) {
        let failure = Failure::connection(ReplyCode::ConnectionForced, reason);
        for connection in self.connections().iter().filter(|connection| chosen(connection)) {
            connection.signal(Signal::Close(failure.clone()));
        }
    }

    /// Every queue of every vhost.
    pub fn queues(&self) -> Vec<QueueRef> {
        self.vhosts().iter().flat_map(|vhost| vhost.queues()).collect()
    }

    /// An open connection by RabbitMQ's name for it.
    pub fn connection_named(&self, name: &str) -> Option<Arc<OpenConnection>> {
        self.connections().into_iter().find(|connection| connection.info.name() == name)
    }
}
