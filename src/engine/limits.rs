//! Limits of vhosts and users as operators set them: kept in `access`, enforced by `occupancy` and `vhost`.

use serde_json::{Map, Value};

use super::{Allowance, Node};

/// What a limit comes to: negative ones are none (LIM-01).
fn allowance(limits: &Map<String, Value>, name: &str) -> Allowance {
    match limits.get(name).and_then(Value::as_i64) {
        None => Allowance::Default,
        Some(limit) => u64::try_from(limit).map_or(Allowance::Unlimited, Allowance::AtMost),
    }
}

impl Node {
    /// Sets all limits of a vhost, or takes them away; false without the vhost.
    pub fn set_vhost_limits(&self, vhost: &str, limits: Option<Map<String, Value>>) -> bool {
        let known = self.access.set_vhost_limits(vhost, limits);
        if known {
            self.enforce_vhost_limits(vhost);
        }
        known
    }

    /// Sets all limits of a user; false without the user.
    pub fn set_user_limits(&self, user: &str, limits: Map<String, Value>) -> bool {
        let known = self.access.set_user_limits(user, limits);
        if known {
            self.enforce_user_limits(user);
        }
        known
    }

    pub(super) fn enforce_vhost_limits(&self, name: &str) {
        let limits = self.access.vhost_limits(name);
        self.occupancy.allow_vhost_connections(name, allowance(&limits, "max-connections"));
        if let Some(vhost) = self.vhost(name) {
            vhost.rules.set_queues_max(allowance(&limits, "max-queues").or(None));
        }
    }

    pub(super) fn enforce_user_limits(&self, name: &str) {
        let limits = self.access.user_limits(name);
        self.occupancy.allow_user_connections(name, allowance(&limits, "max-connections"));
        self.occupancy.allow_user_channels(name, allowance(&limits, "max-channels"));
    }
}
