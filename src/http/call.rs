//! One request, once it is known who asks.

use std::sync::Arc;

use hyper::{HeaderMap, Method, body::Bytes};
use serde_json::{Map, Value};

use super::{Management, answer::Refusal, path::Query};
use crate::{
    broker::Millis,
    engine::{Node, Permission, Refused, Resource, Right, User, Vhost},
};

/// A request to an endpoint.
#[derive(Debug)]
pub struct Call {
    pub management: Arc<Management>,
    pub user: Arc<User>,
    /// It came through the broker's own socket, or the broker does it by itself: nothing is refused for want of
    /// rights.
    pub is_local: bool,
    pub method: Method,
    pub query: Query,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Call {
    pub fn node(&self) -> &Node {
        &self.management.node
    }

    pub fn now(&self) -> Millis {
        self.management.now()
    }

    /// Whether it only asks.
    pub fn is_get(&self) -> bool {
        self.method == Method::GET
    }

    /// The body as an object; nothing counts as an empty one.
    pub fn object(&self) -> Result<Map<String, Value>, Refusal> {
        match self.body.trim_ascii() {
            b"" | b"null" | b"undefined" => Ok(Map::new()),
            text => match serde_json::from_slice(text) {
                Ok(Value::Object(object)) => Ok(object),
                Ok(_) => Err(Refusal::bad_request("not_an_object")),
                Err(_) => Err(Refusal::bad_request("not_json")),
            },
        }
    }

    pub fn vhost(&self, name: &str) -> Result<Arc<Vhost>, Refusal> {
        self.node().vhost(name).ok_or_else(|| {
            if self.is_get() { Refusal::not_found() } else { Refusal::missing("vhost_not_found") }
        })
    }

    /// The vhosts that this user sees: its own, or all for those who watch.
    pub fn visible_vhosts(&self) -> Vec<Arc<Vhost>> {
        let mut vhosts = self.node().vhosts();
        if !self.user.is_monitor() {
            vhosts.retain(|vhost| self.may_enter(&vhost.name));
        }
        vhosts
    }

    pub fn may_enter(&self, vhost: &str) -> bool {
        self.is_local || self.node().access.permission(vhost, &self.user.name).is_some()
    }

    /// Whoever makes a vhost may use it, if it is somebody known.
    pub fn take_vhost(&self, name: &str) {
        if !self.is_local {
            self.node().access.put_permission(name, &self.user.name, Permission::full());
        }
    }

    /// Refuses what the user could not do over AMQP either.
    pub fn demand(&self, vhost: &Vhost, right: Right, resource: Resource<'_>) -> Result<(), Refused> {
        let permission = self.node().access.permission(&vhost.name, &self.user.name);
        match permission {
            _ if self.is_local => Ok(()),
            Some(permission) if permission.allows(right, resource) => Ok(()),
            _ => Err(Refused::NotAllowed {
                right: right.name(),
                kind: resource.kind(),
                name: resource.name().to_owned(),
                vhost: vhost.name.to_string(),
                user: self.user.name.to_string(),
            }),
        }
    }

    /// The same for a topic of an exchange.
    pub fn demand_topic(
        &self,
        vhost: &Vhost,
        right: Right,
        exchange: &str,
        topic: &str,
    ) -> Result<(), Refused> {
        let rights = self.node().access.topic_rights(&vhost.name, &self.user.name);
        let refused = !self.is_local && rights.is_some_and(|rights| !rights.allows(right, exchange, topic));
        if !refused || !vhost.has_topics(exchange) {
            return Ok(());
        }
        Err(Refused::TopicNotAllowed {
            right: right.name(),
            topic: topic.to_owned(),
            exchange: exchange.to_owned(),
            vhost: vhost.name.to_string(),
            user: self.user.name.to_string(),
        })
    }
}

/// A boolean of a body, which may be spelled as a string.
pub fn flag(object: &Map<String, Value>, key: &str) -> Result<bool, Refusal> {
    match object.get(key) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(value)) => Ok(*value),
        Some(Value::String(text)) if text == "true" => Ok(true),
        Some(Value::String(text)) if text == "false" => Ok(false),
        Some(other) => Err(Refusal::bad_request(format!("{key}: expected a boolean, not {other}"))),
    }
}

/// A string of a body; empty when absent.
pub fn text(object: &Map<String, Value>, key: &str) -> Result<String, Refusal> {
    match object.get(key) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(other) => Err(Refusal::bad_request(format!("{key}: expected a string, not {other}"))),
    }
}

/// Refuses a body that lacks any of these keys.
pub fn need(object: &Map<String, Value>, keys: &[&str]) -> Result<(), Refusal> {
    let missing: Vec<String> = keys
        .iter()
        .filter(|key| !object.contains_key(**key))
        .map(|key| format!("{{key_missing,{key}}}"))
        .collect();
    if missing.is_empty() { Ok(()) } else { Err(Refusal::bad_request(format!("[{}]", missing.join(",")))) }
}

/// A list of words: an array, or one string with commas.
pub fn words(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Some(Value::String(text)) => {
            text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}

/// A name in a path as AMQP has it: the default exchange has one of its own there.
pub fn exchange_name(name: &str) -> &str {
    if name == "amq.default" { "" } else { name }
}
