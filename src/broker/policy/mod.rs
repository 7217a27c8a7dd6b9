//! Policies: settings for all queues and exchanges whose names match a pattern.
//!
//! [`Policy::parse`] checks one as RabbitMQ does; [`Applied`] is what one policy and one operator policy make of
//! an object together.

mod keys;
mod merge;
mod term;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use regex::Regex;
use serde_json::{Map, Number, Value, json};

pub use merge::{Effective, merge};
pub use term::{json_term, pairs_term};

use super::{pattern, queue_type::QueueType};

/// Which objects a policy is for (POL-01).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApplyTo {
    All,
    Queues,
    Exchanges,
    /// Queues of one type.
    Type(QueueType),
}

impl ApplyTo {
    const NAMES: [(&str, ApplyTo); 6] = [
        ("all", ApplyTo::All),
        ("queues", ApplyTo::Queues),
        ("exchanges", ApplyTo::Exchanges),
        ("classic_queues", ApplyTo::Type(QueueType::Classic)),
        ("quorum_queues", ApplyTo::Type(QueueType::Quorum)),
        ("streams", ApplyTo::Type(QueueType::Stream)),
    ];

    fn named(name: &str) -> Option<ApplyTo> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, apply_to)| *apply_to)
    }

    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, known)| *known == self).map_or("all", |(name, _)| name)
    }
}

/// Whose policy it is. Each object goes by one of each at most (POL-02).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    User,
    Operator,
}

impl Owner {
    /// The component that runtime parameters list them under.
    pub fn component(self) -> &'static str {
        match self {
            Owner::User => "policy",
            Owner::Operator => "operator_policy",
        }
    }

    pub fn of_component(component: &str) -> Option<Owner> {
        [Owner::User, Owner::Operator].into_iter().find(|owner| owner.component() == component)
    }
}

/// A policy that was checked.
#[derive(Debug, Clone)]
pub struct Policy {
    pub name: String,
    pub pattern: String,
    pub apply_to: ApplyTo,
    pub definition: Map<String, Value>,
    pub priority: Number,
    regex: Regex,
}

impl Policy {
    /// Checks what an operator wrote (POL-05, POL-06); missing parts are their defaults.
    ///
    /// # Errors
    /// RabbitMQ's words for what is wrong.
    pub fn parse(name: &str, owner: Owner, value: &Map<String, Value>) -> Result<Policy, String> {
        let given = |key: &str| value.get(key).filter(|value| !value.is_null());
        let priority = match given("priority") {
            None => Number::from(0),
            Some(Value::Number(number)) => number.clone(),
            Some(other) => {
                return Err(format!("priority should be a number, actually was {}", json_term(other)));
            }
        };
        let pattern = match given("pattern") {
            Some(Value::String(text)) => text,
            Some(other) => return Err(format!("pattern should be a binary but was {}", json_term(other))),
            None => return Err("pattern should be a binary but was undefined".to_owned()),
        };
        let regex = pattern::compile(pattern).map_err(|error| {
            let reason = pattern::describe(pattern, &error);
            format!("pattern should be regular expression but is invalid: {reason}")
        })?;
        let definition = match given("definition") {
            Some(Value::Object(definition)) => definition,
            Some(Value::Array(items)) if items.is_empty() => return Err("no policy provided".to_owned()),
            None => return Err("no policy provided".to_owned()),
            Some(other) => return Err(format!("definition must be a dictionary: {}", json_term(other))),
        };
        let apply_to = match given("apply-to") {
            None => ApplyTo::All,
            Some(Value::String(text)) => ApplyTo::named(text).ok_or_else(|| unknown_kind(text))?,
            Some(other) => return Err(unknown_kind(&json_term(other))),
        };
        keys::check(definition, owner == Owner::Operator)?;
        Ok(Policy {
            name: name.to_owned(),
            pattern: pattern.clone(),
            apply_to,
            definition: definition.clone(),
            priority,
            regex,
        })
    }

    /// As runtime parameters and the log have it; [`Policy::parse`] reads it.
    pub fn value(&self) -> Value {
        json!({
            "pattern": self.pattern,
            "apply-to": self.apply_to.name(),
            "definition": self.definition,
            "priority": self.priority,
        })
    }

    /// Higher ones win.
    pub fn rank(&self) -> f64 {
        self.priority.as_f64().unwrap_or_default()
    }

    pub fn is_for_queue(&self, name: &str, queue_type: QueueType) -> bool {
        let is_kind = match self.apply_to {
            ApplyTo::All | ApplyTo::Queues => true,
            ApplyTo::Exchanges => false,
            ApplyTo::Type(only) => only == queue_type,
        };
        is_kind && keys::is_applicable(&self.definition, queue_type) && self.regex.is_match(name)
    }

    pub fn is_for_exchange(&self, name: &str) -> bool {
        matches!(self.apply_to, ApplyTo::All | ApplyTo::Exchanges) && self.regex.is_match(name)
    }
}

fn unknown_kind(kind: &str) -> String {
    format!(
        "apply-to '{kind}' unrecognised; should be one of: 'queues', 'classic_queues',  'quorum_queues', \
         'streams', 'exchanges', or 'all'"
    )
}

/// The policies that an object goes by, at least one, and what they come to.
#[derive(Debug)]
pub struct Applied {
    pub policy: Option<Arc<Policy>>,
    pub operator: Option<Arc<Policy>>,
    /// As operators read it.
    pub definition: Map<String, Value>,
    pub effective: Effective,
}

impl Applied {
    pub fn new(policy: Option<Arc<Policy>>, operator: Option<Arc<Policy>>) -> Applied {
        let definition =
            |policy: &Option<Arc<Policy>>| policy.as_ref().map(|policy| policy.definition.clone());
        let definition = merge(definition(&policy).as_ref(), definition(&operator).as_ref());
        let effective = Effective::of(&definition);
        Applied { policy, operator, definition, effective }
    }

    /// Whether it is of the same two policies, neither of which was changed since.
    pub fn is_of(&self, other: &Applied) -> bool {
        let same = |one: &Option<Arc<Policy>>, other: &Option<Arc<Policy>>| match (one, other) {
            (None, None) => true,
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            _ => false,
        };
        same(&self.policy, &other.policy) && same(&self.operator, &other.operator)
    }
}
