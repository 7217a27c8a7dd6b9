//! What clients ask to learn which features there are: feature flags.

use serde_json::{Value, json};

use super::{
    answer::{Answer, Refusal},
    call::Call,
    listing,
};

/// Flags of RabbitMQ that stand for something this broker does, and what that is.
const FLAGS: [(&str, &str); 16] = [
    (
        "classic_queue_type_delivery_support",
        "Deliveries and dead letters of classic queues as of other types",
    ),
    ("detailed_queues_endpoint", "Queues with all that is known of them have a list of their own"),
    ("direct_exchange_routing_v2", "Direct exchanges route by one lookup"),
    ("drop_unroutable_metric", "Counts publishes that are dropped because nothing is bound"),
    ("empty_basic_get_metric", "Counts gets that find nothing"),
    ("feature_flags_v2", "Feature flags can be listed"),
    ("implicit_default_bindings", "Bindings of the default exchange are not stored"),
    ("khepri_db", "Definitions are kept in a log, not in Mnesia"),
    ("maintenance_mode_status", "Nodes say whether they are in service"),
    ("quorum_queue", "Queues of the type quorum"),
    ("rabbitmq_4.0.0", "What RabbitMQ 4.0 does by itself"),
    ("rabbitmq_4.1.0", "What RabbitMQ 4.1 does by itself"),
    ("stream_queue", "Queues of the type stream"),
    ("tracking_records_in_ets", "Connections and channels are counted where they are"),
    ("user_limits", "Limits of users"),
    ("virtual_host_metadata", "Virtual hosts have a description and tags"),
];

/// Those that RabbitMQ 4 does not demand of every node yet; here they are as much on as the others.
const STABLE: [&str; 4] = ["detailed_queues_endpoint", "khepri_db", "rabbitmq_4.0.0", "rabbitmq_4.1.0"];

fn view(name: &str, desc: &str) -> Value {
    let (stability, level) = if STABLE.contains(&name) { ("stable", "none") } else { ("required", "hard") };
    json!({
        "name": name,
        "desc": desc,
        "doc_url": "",
        "state": "enabled",
        "stability": stability,
        "require_level": level,
        "experiment_level": "",
        "callbacks": [],
        "provided_by": "rabbit",
    })
}

pub fn flags(call: &Call) -> Answer {
    listing::plain(FLAGS.iter().map(|(name, desc)| view(name, desc)).collect(), &call.query)
}

/// What is known is on already.
pub fn enable(name: &str) -> Result<Answer, Refusal> {
    match FLAGS.iter().any(|(known, _)| *known == name) {
        true => Ok(Answer::done()),
        false => Err(Refusal::bad_request("unsupported")),
    }
}
