//! Runtime parameters: policies, limits, and whatever operators keep for the whole node.

use std::{collections::BTreeMap, sync::Arc};

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use serde_json::{Map, Value};

use super::{Access, State};
use crate::{
    broker::{
        policy::{Owner, Policy},
        queue_type::QueueType,
    },
    store::{Definition, ParameterKey, Setting, Settings},
};

/// The component of limits of vhosts, and the only name in it.
pub const VHOST_LIMITS: &str = "vhost-limits";
pub const LIMITS: &str = "limits";
/// Components of ours for what RabbitMQ keeps elsewhere: parameters of the node, and limits of users.
const GLOBAL: &str = "global";
const USER_LIMITS: &str = "user-limits";
/// And which vhosts may not be deleted.
const PROTECTION: &str = "vhost-protection";

/// The parameter of the node that tools tell clusters apart by.
const CLUSTER_ID: &str = "internal_cluster_id";

/// And the one that names the cluster, where operators gave it another name than the configuration.
const CLUSTER_NAME: &str = "cluster_name";

/// A policy and where it belongs.
pub type PolicyKey = (String, Owner, String);

/// Everything beside users, vhosts and rights.
#[derive(Debug, Default)]
pub(super) struct Parameters {
    /// By vhost, whose it is, and name.
    policies: BTreeMap<PolicyKey, Arc<Policy>>,
    others: BTreeMap<ParameterKey, Value>,
    /// Counts changes of policies, so that of two the later one is known.
    version: u64,
}

/// A runtime parameter of a vhost, as it is listed.
#[derive(Debug, Clone)]
pub struct Parameter {
    pub vhost: String,
    pub component: String,
    pub name: String,
    pub value: Value,
}

/// The policies of a vhost at one moment.
#[derive(Debug, Default)]
pub struct PolicyList {
    pub version: u64,
    pub policies: Vec<(Owner, Arc<Policy>)>,
}

fn key(vhost: &str, component: &str, name: &str) -> ParameterKey {
    ParameterKey { vhost: vhost.to_owned(), component: component.to_owned(), name: name.to_owned() }
}

fn put(key: ParameterKey, value: &Value) -> Definition {
    Definition::Set(Setting::PutParameter { key, value: value.to_string() })
}

fn clear(key: ParameterKey) -> Definition {
    Definition::Set(Setting::ClearParameter { key })
}

impl Parameters {
    pub(super) fn restore(settings: &Settings) -> Parameters {
        let mut parameters = Parameters::default();
        for (key, text) in &settings.parameters {
            let Ok(value) = serde_json::from_str::<Value>(text) else {
                tracing::error!("parameter '{}' of '{}' is lost: it is not JSON", key.name, key.component);
                continue;
            };
            let Some(owner) = Owner::of_component(&key.component) else {
                parameters.others.insert(key.clone(), value);
                continue;
            };
            match Policy::parse(&key.name, owner, value.as_object().unwrap_or(&Map::new())) {
                Ok(policy) => {
                    let place = (key.vhost.clone(), owner, key.name.clone());
                    parameters.policies.insert(place, Arc::new(policy));
                }
                Err(reason) => {
                    tracing::error!("policy '{}' in vhost '{}' is lost: {reason}", key.name, key.vhost);
                }
            }
        }
        parameters
    }

    pub(super) fn forget_vhost(&mut self, vhost: &str) {
        self.policies.retain(|(of, _, _), _| of != vhost);
        self.others.retain(|key, _| key.vhost != vhost);
    }

    /// The change that takes a vhost's protection away, if it has any.
    pub(super) fn forget_protection(&mut self, vhost: &str) -> Option<Definition> {
        let key = key("", PROTECTION, vhost);
        self.others.remove(&key).map(|_| clear(key))
    }

    /// The change that takes a user's limits away, if it has any.
    pub(super) fn forget_user(&mut self, user: &str) -> Option<Definition> {
        let key = key("", USER_LIMITS, user);
        self.others.remove(&key).map(|_| clear(key))
    }

    pub(super) fn definitions(&self) -> impl Iterator<Item = Definition> {
        let policies = self.policies.iter();
        let policies = policies
            .map(|((vhost, owner, name), policy)| put(key(vhost, owner.component(), name), &policy.value()));
        policies.chain(self.others.iter().map(|(key, value)| put(key.clone(), value)))
    }

    fn policies_of(&self, vhost: &str) -> PolicyList {
        let from = (vhost.to_owned(), Owner::User, String::new());
        let range = self.policies.range(from..).take_while(|((of, _, _), _)| of == vhost);
        let policies = range.map(|((_, owner, _), policy)| (*owner, policy.clone())).collect();
        PolicyList { version: self.version, policies }
    }

    fn object(&self, key: &ParameterKey) -> Map<String, Value> {
        self.others.get(key).and_then(Value::as_object).cloned().unwrap_or_default()
    }
}

impl Access {
    /// Adds or changes a policy: whether it is new, and all that its vhost has then. `None` without the vhost.
    pub(in crate::engine) fn put_policy(
        &self,
        vhost: &str,
        owner: Owner,
        policy: Policy,
    ) -> Option<(bool, PolicyList)> {
        let mut state = self.state.write();
        if !state.vhosts.contains_key(vhost) {
            return None;
        }
        self.journal.define([put(key(vhost, owner.component(), &policy.name), &policy.value())]);
        self.events.tell_policy_set(vhost, owner, &policy);
        let parameters = &mut state.parameters;
        let place = (vhost.to_owned(), owner, policy.name.clone());
        let is_new = parameters.policies.insert(place, Arc::new(policy)).is_none();
        parameters.version += 1;
        Some((is_new, parameters.policies_of(vhost)))
    }

    /// Takes a policy away; what its vhost has then, or `None` when there was no such policy.
    pub(in crate::engine) fn clear_policy(
        &self,
        vhost: &str,
        owner: Owner,
        name: &str,
    ) -> Option<PolicyList> {
        let mut state = self.state.write();
        let parameters = &mut state.parameters;
        parameters.policies.remove(&(vhost.to_owned(), owner, name.to_owned()))?;
        self.journal.define([clear(key(vhost, owner.component(), name))]);
        self.events.tell_policy_cleared(vhost, owner, name);
        parameters.version += 1;
        Some(parameters.policies_of(vhost))
    }

    pub(in crate::engine) fn policies_of(&self, vhost: &str) -> PolicyList {
        self.state.read().parameters.policies_of(vhost)
    }

    /// The policies of all vhosts, by vhost and name.
    pub fn policies(&self, owner: Owner) -> Vec<(String, Arc<Policy>)> {
        let state = self.state.read();
        let policies = state.parameters.policies.iter();
        policies
            .filter(|((_, of, _), _)| *of == owner)
            .map(|((vhost, _, _), policy)| (vhost.clone(), policy.clone()))
            .collect()
    }

    /// The parameters of vhosts but policies, which RabbitMQ lists apart; operators' are among them.
    pub fn parameters(&self) -> Vec<Parameter> {
        let state = self.state.read();
        let parameters = &state.parameters;
        let operators = parameters.policies.iter().filter(|((_, owner, _), _)| *owner == Owner::Operator);
        let mut listed: Vec<Parameter> = operators
            .map(|((vhost, owner, name), policy)| Parameter {
                vhost: vhost.clone(),
                component: owner.component().to_owned(),
                name: name.clone(),
                value: policy.value(),
            })
            .collect();
        let others = parameters.others.iter().filter(|(key, _)| !key.vhost.is_empty());
        listed.extend(others.map(|(key, value)| Parameter {
            vhost: key.vhost.clone(),
            component: key.component.clone(),
            name: key.name.clone(),
            value: value.clone(),
        }));
        listed
    }

    /// The parameters of the node, by name.
    pub fn global_parameters(&self) -> Vec<(String, Value)> {
        self.state.read().named(GLOBAL)
    }

    /// Sets a parameter of the node; true when it is new.
    pub fn put_global_parameter(&self, name: &str, value: Value) -> bool {
        self.put_other(key("", GLOBAL, name), value)
    }

    /// The name that operators gave the cluster.
    pub fn cluster_name(&self) -> Option<String> {
        self.global_text(CLUSTER_NAME)
    }

    /// What tools tell the cluster apart by.
    pub fn cluster_id(&self) -> Option<String> {
        self.global_text(CLUSTER_ID)
    }

    /// A parameter of the node that is a text.
    pub fn global_text(&self, name: &str) -> Option<String> {
        let state = self.state.read();
        let value = state.parameters.others.get(&key("", GLOBAL, name))?;
        value.as_str().map(str::to_owned)
    }

    pub fn set_cluster_name(&self, name: &str) {
        self.put_global_parameter(CLUSTER_NAME, name.into());
    }

    /// Gives the cluster an id of its own, unless it has one.
    pub(in crate::engine) fn name_cluster(&self, random: u128) {
        let is_named = self.global_parameters().iter().any(|(name, _)| name == CLUSTER_ID);
        if !is_named {
            let id = BASE64_URL_SAFE_NO_PAD.encode(random.to_be_bytes());
            self.put_global_parameter(CLUSTER_ID, format!("rabbitmq-cluster-id-{id}").into());
        }
    }

    /// Takes a parameter of the node away; false when there was none.
    pub fn clear_global_parameter(&self, name: &str) -> bool {
        self.clear_other(key("", GLOBAL, name))
    }

    /// The limits of a vhost, as operators wrote them.
    pub fn vhost_limits(&self, vhost: &str) -> Map<String, Value> {
        self.state.read().parameters.object(&key(vhost, VHOST_LIMITS, LIMITS))
    }

    /// Sets all limits of a vhost, or none; false without the vhost.
    pub(in crate::engine) fn set_vhost_limits(
        &self,
        vhost: &str,
        limits: Option<Map<String, Value>>,
    ) -> bool {
        if self.vhost(vhost).is_none() {
            return false;
        }
        let key = key(vhost, VHOST_LIMITS, LIMITS);
        match limits {
            Some(limits) => self.put_other(key, Value::Object(limits)),
            None => self.clear_other(key),
        };
        true
    }

    /// Whether a vhost may not be deleted over HTTP.
    pub fn is_protected(&self, vhost: &str) -> bool {
        self.state.read().parameters.others.contains_key(&key("", PROTECTION, vhost))
    }

    /// Protects a vhost, or does not any more; false without the vhost.
    pub fn set_protected(&self, vhost: &str, protected: bool) -> bool {
        if self.vhost(vhost).is_none() {
            return false;
        }
        let key = key("", PROTECTION, vhost);
        if protected {
            self.put_other(key, Value::Bool(true))
        } else {
            self.clear_other(key)
        };
        true
    }

    /// The limits of all users that have any, by name.
    pub fn all_user_limits(&self) -> Vec<(String, Value)> {
        self.state.read().named(USER_LIMITS)
    }

    pub fn user_limits(&self, user: &str) -> Map<String, Value> {
        self.state.read().parameters.object(&key("", USER_LIMITS, user))
    }

    /// Sets all limits of a user; false without the user.
    pub(in crate::engine) fn set_user_limits(&self, user: &str, limits: Map<String, Value>) -> bool {
        if self.user(user).is_none() {
            return false;
        }
        let key = key("", USER_LIMITS, user);
        if limits.is_empty() {
            self.clear_other(key)
        } else {
            self.put_other(key, Value::Object(limits))
        };
        true
    }

    fn put_other(&self, key: ParameterKey, value: Value) -> bool {
        let mut state = self.state.write();
        self.journal.define([put(key.clone(), &value)]);
        self.tell_parameter(&key, Some(&value));
        state.parameters.others.insert(key, value).is_none()
    }

    fn clear_other(&self, key: ParameterKey) -> bool {
        let mut state = self.state.write();
        if state.parameters.others.remove(&key).is_none() {
            return false;
        }
        self.tell_parameter(&key, None);
        self.journal.define([clear(key)]);
        true
    }

    /// Limits have events of their own; those of users are parameters to us alone.
    fn tell_parameter(&self, key: &ParameterKey, value: Option<&Value>) {
        let limits = value.and_then(Value::as_object);
        let is_set = value.is_some();
        if key.component == USER_LIMITS {
            let event = if is_set { "user.limits.set" } else { "user.limits.cleared" };
            return self.events.tell_limits(event, Some(&key.name), limits);
        }
        self.events.tell_parameter(&key.vhost, &key.component, &key.name, value);
        if key.component == VHOST_LIMITS {
            let event = if is_set { "vhost.limits.set" } else { "vhost.limits.cleared" };
            self.events.tell_limits(event, None, limits);
        }
    }

    /// The queue type of declares in a vhost that name none.
    pub fn default_queue_type(&self, vhost: &str) -> Option<QueueType> {
        self.state.read().queue_types.get(vhost).copied()
    }

    /// Sets that; the node tells the vhost.
    pub(in crate::engine) fn set_default_queue_type(&self, vhost: &str, queue_type: Option<QueueType>) {
        let mut state = self.state.write();
        let before = match queue_type {
            Some(queue_type) => state.queue_types.insert(vhost.to_owned(), queue_type),
            None => state.queue_types.remove(vhost),
        };
        if before != queue_type {
            self.journal.define([default_type(vhost, queue_type)]);
        }
    }
}

/// Sets the limits of a vhost that nobody knows of yet.
pub(super) fn limit_vhost(state: &mut State, vhost: &str, limits: Map<String, Value>) {
    state.parameters.others.insert(key(vhost, VHOST_LIMITS, LIMITS), Value::Object(limits));
}

pub(super) fn default_type(vhost: &str, queue_type: Option<QueueType>) -> Definition {
    let queue_type = queue_type.map(QueueType::name).unwrap_or_default().to_owned();
    Definition::Set(Setting::DefaultQueueType { vhost: vhost.to_owned(), queue_type })
}

impl State {
    /// The parameters of the node in one component.
    fn named(&self, component: &str) -> Vec<(String, Value)> {
        let all = self.parameters.others.iter();
        let named = all.filter(|(key, _)| key.vhost.is_empty() && key.component == component);
        named.map(|(key, value)| (key.name.clone(), value.clone())).collect()
    }
}
