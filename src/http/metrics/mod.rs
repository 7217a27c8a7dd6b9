//! Prometheus metrics under RabbitMQ's names, for what exists here.
//!
//! | file | job |
//! |---|---|
//! | `scrape` | the text format |
//! | `node` | who is scraped, its resources, alarms, limits |
//! | `global` | messages of the whole node, churn, logins, sizes |
//! | `objects` | queues, exchanges, connections and channels: summed up or one by one |
//! | `request` | which of it is wanted |

mod global;
mod node;
mod objects;
mod request;
mod scrape;

use hyper::StatusCode;

use super::{Management, answer::Answer, path::Query};
use request::{Family, Request};
use scrape::Scrape;

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Answers a scrape; `None` when the path is none of metrics.
pub async fn answer(management: &Management, path: &str, query: &Query) -> Option<Answer> {
    let request = Request::of(path, query, management.settings.metrics_per_object)?;
    let mut scrape = Scrape::default();
    node::identity(management, &mut scrape, request.endpoint);
    if request.wants(Family::Node) {
        node::resources(management, &mut scrape);
        node::limits(management, &mut scrape);
    }
    if request.memory {
        node::memory(management, &mut scrape);
    }
    let vhosts = request.vhosts(management);
    global::put(management, &request, &mut scrape);
    objects::put(management, &request, vhosts, &mut scrape).await;
    Some(Answer { body: Some(scrape.into_octets()), content_type: TEXT, ..Answer::empty(StatusCode::OK) })
}
