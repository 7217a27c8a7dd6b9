//! Which metrics a scrape wants.

use std::sync::Arc;

use regex::{Regex, RegexBuilder};

use super::super::{Management, path::Query};
use crate::engine::Vhost;

/// Octets that a filter's pattern may take once it is compiled.
const PATTERN_SIZE_MAX: usize = 1 << 20;
const PATTERN_LENGTH_MAX: usize = 1024;

/// Metrics that come and go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    Churn,
    Node,
    Auth,
    QueueCoarse,
    QueueConsumers,
    Queue,
    QueueDelivery,
    QueueExchange,
    Channel,
    ChannelExchange,
    ChannelQueue,
    Connection,
    Exchange,
    VhostStatus,
    ExchangeBindings,
    ExchangeNames,
    /// What is only there as a sum over all objects.
    Global,
}

/// Families by the names that `family` may have.
const FAMILIES: &[(&str, &[Family])] = &[
    ("connection_churn_metrics", &[Family::Churn]),
    ("node_coarse_metrics", &[Family::Node]),
    ("node_metrics", &[Family::Node]),
    ("node_persister_metrics", &[Family::Node]),
    ("ra_metrics", &[]),
    ("auth_attempt_metrics", &[Family::Auth]),
    ("queue_coarse_metrics", &[Family::QueueCoarse]),
    ("queue_consumer_count", &[Family::QueueConsumers]),
    ("queue_metrics", &[Family::QueueCoarse, Family::QueueConsumers, Family::Queue]),
    ("queue_delivery_metrics", &[Family::QueueDelivery]),
    ("queue_exchange_metrics", &[Family::QueueExchange]),
    ("channel_metrics", &[Family::Channel]),
    ("channel_process_metrics", &[]),
    ("channel_exchange_metrics", &[Family::ChannelExchange]),
    ("channel_queue_metrics", &[Family::ChannelQueue]),
    ("channel_queue_exchange_metrics", &[]),
    ("connection_coarse_metrics", &[Family::Connection]),
    ("connection_metrics", &[Family::Connection]),
    ("exchange_metrics", &[Family::Exchange]),
    ("vhost_status", &[Family::VhostStatus]),
    ("exchange_bindings", &[Family::ExchangeBindings]),
    ("exchange_names", &[Family::ExchangeNames]),
];

/// Families that stand for the cluster: only in detailed scrapes.
const CLUSTER: [Family; 3] = [Family::VhostStatus, Family::ExchangeBindings, Family::ExchangeNames];

/// A scrape.
#[derive(Debug)]
pub struct Request {
    /// Its name in the metrics themselves.
    pub endpoint: &'static str,
    /// Each object for itself, not their sums.
    pub per_object: bool,
    /// What memory is used for, and nothing else.
    pub memory: bool,
    /// `None` is all but those of the cluster.
    families: Option<Vec<Family>>,
    /// Only objects of these.
    vhosts: Vec<String>,
    /// Only queues whose names match.
    queue: Option<Regex>,
}

impl Request {
    /// `None` when the path is none of metrics, or asks for families that nobody knows.
    pub fn of(path: &str, query: &Query, per_object: bool) -> Option<Request> {
        let all = |endpoint, per_object| Request {
            endpoint,
            per_object,
            memory: false,
            families: None,
            vhosts: Vec::new(),
            queue: None,
        };
        Some(match path.trim_end_matches('/') {
            "/metrics" if per_object => all("per-object", true),
            "/metrics" => all("aggregated", false),
            "/metrics/per-object" => all("per-object", true),
            "/metrics/memory-breakdown" => {
                Request { memory: true, families: Some(Vec::new()), ..all("memory-breakdown", false) }
            }
            "/metrics/detailed" => {
                let mut families = Vec::new();
                for name in query.all("family") {
                    families.extend_from_slice(FAMILIES.iter().find(|(known, _)| *known == name)?.1);
                }
                let queue = match query.get("queue").filter(|pattern| !pattern.is_empty()) {
                    None => None,
                    Some(pattern) if PATTERN_LENGTH_MAX < pattern.len() => return None,
                    Some(pattern) => {
                        Some(RegexBuilder::new(pattern).size_limit(PATTERN_SIZE_MAX).build().ok()?)
                    }
                };
                let vhosts = query.all("vhost").map(str::to_owned).collect();
                Request { families: Some(families), vhosts, queue, ..all("detailed", true) }
            }
            _ => return None,
        })
    }

    pub fn is_detailed(&self) -> bool {
        self.endpoint == "detailed"
    }

    pub fn wants(&self, family: Family) -> bool {
        match &self.families {
            Some(families) => families.contains(&family),
            None => !CLUSTER.contains(&family),
        }
    }

    pub fn wants_any(&self, families: &[Family]) -> bool {
        families.iter().any(|family| self.wants(*family))
    }

    pub fn vhosts(&self, management: &Management) -> Vec<Arc<Vhost>> {
        let mut vhosts = management.node.vhosts();
        if !self.vhosts.is_empty() {
            vhosts.retain(|vhost| self.vhosts.iter().any(|name| **name == *vhost.name));
        }
        vhosts
    }

    pub fn wants_queue(&self, name: &str) -> bool {
        self.queue.as_ref().is_none_or(|pattern| pattern.is_match(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detailed_scrapes_have_what_they_ask_for() {
        let of = |path: &str, query: &str| Request::of(path, &Query::parse(query), false);
        let request =
            of("/metrics/detailed", "family=queue_coarse_metrics&family=vhost_status&queue=^a").unwrap();
        assert!(request.wants(Family::QueueCoarse) && request.wants(Family::VhostStatus));
        assert!(!request.wants(Family::Queue) && !request.wants(Family::Global));
        assert!(request.wants_queue("ab") && !request.wants_queue("b"));
        assert!(!of("/metrics/detailed", "").unwrap().wants(Family::Node));
        assert!(of("/metrics/detailed", "family=none").is_none());
        assert!(of("/metrics/detailed", "queue=(").is_none());
        assert!(of("/metrics/other", "").is_none());
        assert!(of("/metrics", "").unwrap().wants(Family::Global));
        assert!(!of("/metrics", "").unwrap().wants(Family::VhostStatus));
    }
}
