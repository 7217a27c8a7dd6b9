//! Events of what operators set: users, vhosts, rights, parameters; and of the alarms.

use serde_json::{Map, Value};

use super::{super::Node, Events, Headers};
use crate::broker::policy::{Owner, Policy};

/// The alarms' names, as RabbitMQ calls what runs short.
const ALARMS: [&str; 2] = ["memory", "disk"];

impl Events {
    /// Something about a user, by its name alone.
    pub fn tell_user(&self, key: &'static str, name: &str) {
        self.tell(key, |headers| headers.text("name", name).by_actor());
    }

    pub fn tell_tags(&self, name: &str, tags: &[String]) {
        self.tell("user.tags.set", |headers| {
            headers.text("name", name).texts("tags", tags.iter().map(String::as_str)).by_actor()
        });
    }

    /// Rights of a user in a vhost; `details` are those that were given.
    pub fn tell_rights(&self, key: &'static str, vhost: &str, user: &str, details: &[(&str, &str)]) {
        self.tell(key, |headers| {
            let headers = headers.text("user", user).text("vhost", vhost).by_actor();
            details.iter().fold(headers, |headers, (name, text)| headers.text(name, text))
        });
    }

    /// A parameter was set or, without a value, cleared. Those of the node have no vhost.
    pub fn tell_parameter(&self, vhost: &str, component: &str, name: &str, value: Option<&Value>) {
        let key = if value.is_some() { "parameter.set" } else { "parameter.cleared" };
        self.tell(key, |headers| {
            let mut headers = headers.text("component", component).text("name", name).by_actor();
            if !vhost.is_empty() {
                headers = headers.text("vhost", vhost);
            }
            match value {
                Some(value) => headers.json("value", value),
                None => headers,
            }
        });
    }

    /// A policy was set. Operators' are parameters, too.
    pub fn tell_policy_set(&self, vhost: &str, owner: Owner, policy: &Policy) {
        let value = policy.value();
        if owner == Owner::Operator {
            self.tell_parameter(vhost, owner.component(), &policy.name, Some(&value));
        }
        self.tell("policy.set", |headers| {
            let headers = headers.text("name", &policy.name).text("vhost", vhost).by_actor();
            match &value {
                Value::Object(fields) => headers.fields(fields),
                _ => headers,
            }
        });
    }

    pub fn tell_policy_cleared(&self, vhost: &str, owner: Owner, name: &str) {
        let key = match owner {
            Owner::User => "policy.cleared",
            Owner::Operator => {
                self.tell_parameter(vhost, owner.component(), name, None);
                "operator.policy.cleared"
            }
        };
        self.tell(key, |headers| headers.text("name", name).text("vhost", vhost).by_actor());
    }

    /// The limits of a vhost or a user, which are an event of their own.
    pub fn tell_limits(&self, key: &'static str, user: Option<&str>, limits: Option<&Map<String, Value>>) {
        self.tell(key, |headers| {
            let mut headers = headers.text("name", "limits").by_actor();
            if let Some(user) = user {
                headers = headers.text("username", user);
            }
            limits.into_iter().fold(headers, Headers::fields)
        });
    }
}

impl Node {
    /// Tells of a vhost that is new or has changed.
    pub(in crate::engine) fn tell_vhost(&self, key: &'static str, name: &str) {
        self.events.tell(key, |headers| {
            let about = self.access.vhost(name).unwrap_or_default();
            let vhost = self.vhost(name);
            let queue_type = vhost.as_ref().and_then(|vhost| vhost.rules.default_queue_type());
            let state = Map::from_iter([(self.events.node_name().to_owned(), Value::from("running"))]);
            headers
                .text("name", name)
                .text("description", &about.description)
                .texts("tags", about.tags.iter().map(String::as_str))
                .text("default_queue_type", queue_type.map_or("undefined", |queue_type| queue_type.name()))
                .flag("tracing", vhost.is_some_and(|vhost| vhost.is_traced()))
                .json("cluster_state", &Value::Object(state))
                .by_actor()
        });
    }

    /// Tells which alarms were set or cleared since the last time: memory, disk.
    pub fn tell_alarms(&self, told: &mut [bool; 2]) {
        let now = [self.alarms.is_memory_low(), self.alarms.is_disk_low()];
        for ((source, before), now) in ALARMS.into_iter().zip(told.iter_mut()).zip(now) {
            if *before != now {
                *before = now;
                let key = if now { "alarm.set" } else { "alarm.cleared" };
                let name = self.events.node_name();
                self.events.tell(key, |headers| headers.text("source", source).text("node", name));
            }
        }
    }
}
