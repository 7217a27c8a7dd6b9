//! What sessions may use, from the configuration.

use std::time::Duration;

use super::Config;
use crate::{
    broker::Millis,
    protocol::{self, Mechanism},
    session::SessionSettings,
};

/// The part of the configuration that sessions need.
pub fn session_settings(config: &Config) -> SessionSettings {
    SessionSettings {
        limits: protocol::Limits {
            frame_max: config.amqp.frame_max,
            channel_max: config.amqp.channel_max,
            heartbeat: config.amqp.heartbeat,
            message_size_max: config.amqp.max_message_size,
            partial_content_max: config.limits.partial_content_max,
            table_depth_max: config.limits.table_depth_max,
            handshake_timeout: millis(config.amqp.handshake_timeout),
        },
        identity: protocol::Identity {
            cluster_name: config.cluster_name.clone(),
            version: config.amqp.advertised_version.clone(),
            mechanisms: mechanisms(config),
        },
        output_max: config.limits.output_max,
        consumers_per_channel_max: config.amqp.consumers_per_channel_max,
        consumer_timeout: config.amqp.consumer_timeout.map(millis),
    }
}

/// What every client is offered; the session leaves out what its own connection does not allow.
fn mechanisms(config: &Config) -> Vec<Mechanism> {
    let is_possible =
        |mechanism: &Mechanism| *mechanism != Mechanism::Anonymous || config.auth.anonymous_user.is_some();
    let offered = Mechanism::ALL.iter().filter(|mechanism| config.auth.mechanisms.contains(mechanism));
    offered.copied().filter(is_possible).collect()
}

fn millis(duration: Duration) -> Millis {
    Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX)
}
