//! What RabbitMQ calls deprecated: what of it this broker does all the same, what it does not do, and what is in use.

use serde_json::{Value, json};

use super::{answer::Answer, call::Call, channels, listing};

/// Somebody sets a prefetch that a channel's consumers share.
const GLOBAL_QOS: &str = "global_qos";
/// Somebody has a queue that is neither durable nor of one connection.
const TRANSIENT_QUEUES: &str = "transient_nonexcl_queues";

/// Whether this broker does a thing that RabbitMQ gives up, or has never done it.
#[derive(Clone, Copy, PartialEq)]
enum Here {
    Permitted,
    Denied,
}

/// RabbitMQ's names, and what stands behind them here.
const FEATURES: [(&str, &str, Here); 6] = [
    ("classic_queue_mirroring", "Copies of classic queues on other nodes", Here::Denied),
    (GLOBAL_QOS, "A prefetch that all consumers of a channel share", Here::Permitted),
    ("management_metrics_collection", "Statistics and their history in the HTTP API", Here::Permitted),
    ("queue_master_locator", "Rules for the node that a queue is put on", Here::Denied),
    ("ram_node_type", "Nodes that keep their definitions in memory only", Here::Denied),
    (TRANSIENT_QUEUES, "Queues that are neither durable nor exclusive", Here::Permitted),
];

fn view((name, desc, here): &(&str, &str, Here)) -> Value {
    let (phase, state) = match here {
        Here::Permitted => ("permitted_by_default", "permitted"),
        Here::Denied => ("removed", "denied"),
    };
    json!({
        "name": name,
        "desc": desc,
        "deprecation_phase": phase,
        "state": state,
        "doc_url": "",
        "provided_by": "rabbit",
    })
}

pub fn all(call: &Call) -> Answer {
    listing::plain(FEATURES.iter().map(view).collect(), &call.query)
}

/// Those that somebody uses now. Statistics, which this broker does not mean to give up, are not among them.
pub async fn used(call: &Call) -> Answer {
    let transient = call.node().queues().iter().any(|queue| {
        let properties = &queue.properties;
        !properties.durable && properties.owner.is_none()
    });
    let shared = channels::any_shares_its_prefetch(call).await;
    let in_use = |name: &str| (name == TRANSIENT_QUEUES && transient) || (name == GLOBAL_QOS && shared);
    let used = FEATURES.iter().filter(|(name, _, _)| in_use(name));
    listing::plain(used.map(view).collect(), &call.query)
}
