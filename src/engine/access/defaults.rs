//! Limits that vhosts get when they are made, by their names.

use regex::Regex;
use serde_json::{Map, Value};

use super::{Access, State, parameters};
use crate::broker::pattern;

/// What vhosts get whose names match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewVhostLimits {
    /// A regular expression, not anchored.
    pub pattern: String,
    /// A negative one is no limit, also where others follow.
    pub connections_max: Option<i64>,
    pub queues_max: Option<i64>,
}

/// The same, ready for use.
#[derive(Debug)]
pub(super) struct VhostDefaults {
    pattern: Regex,
    limits: Map<String, Value>,
}

impl NewVhostLimits {
    /// Whether its pattern is one.
    pub fn is_valid(&self) -> bool {
        pattern::compile(&self.pattern).is_ok()
    }
}

impl Access {
    /// Limits of vhosts that are made from now on: those of the first pattern that matches.
    pub fn set_vhost_defaults(&mut self, all: &[NewVhostLimits]) {
        let ready = |one: &NewVhostLimits| {
            let named = [("max-connections", one.connections_max), ("max-queues", one.queues_max)];
            let limits = named.into_iter().filter_map(|(name, limit)| Some((name.to_owned(), limit?.into())));
            Some(VhostDefaults { pattern: pattern::compile(&one.pattern).ok()?, limits: limits.collect() })
        };
        self.vhost_defaults = all.iter().filter_map(ready).collect();
    }

    /// The limits of a new vhost, if it gets any.
    pub(in crate::engine) fn limits_of_new_vhost(&self, name: &str) -> Option<Map<String, Value>> {
        let found = self.vhost_defaults.iter().find(|one| one.pattern.is_match(name))?;
        (!found.limits.is_empty()).then(|| found.limits.clone())
    }

    /// The same for a vhost that an empty broker starts with.
    pub(super) fn limit_first_vhost(&mut self, name: &str) {
        if let Some(limits) = self.limits_of_new_vhost(name) {
            let state: &mut State = self.state.get_mut();
            parameters::limit_vhost(state, name, limits);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_pattern_that_matches_counts() {
        let limits = |pattern: &str, connections_max, queues_max| NewVhostLimits {
            pattern: pattern.to_owned(),
            connections_max,
            queues_max,
        };
        let mut access = Access::default();
        access.set_vhost_defaults(&[
            limits("^pipe", Some(10), Some(-1)),
            limits("line", None, None),
            limits(".*", Some(20), None),
        ]);
        let of = |name: &str| access.limits_of_new_vhost(name).map(|limits| Value::from(limits).to_string());
        assert_eq!(of("pipeline").as_deref(), Some(r#"{"max-connections":10,"max-queues":-1}"#));
        assert_eq!(of("a line"), None);
        assert_eq!(of("other").as_deref(), Some(r#"{"max-connections":20}"#));
        assert!(!limits("(", None, None).is_valid());
        access.add_vhost("pipes");
        assert_eq!(access.vhost_limits("pipes")["max-connections"], 10);
    }
}
