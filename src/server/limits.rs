//! Where every limit of the wire stands: what there is, what may be, and how often it was refused.

use std::{sync::Arc, time::Duration};

use super::{config, door::Door};
use crate::{
    amqp::Limit,
    engine::{Node, REPLY_BYTES_MAX},
    session::SessionSettings,
};

/// One limit that a client can run into, at one moment.
///
/// Sizes are in octets and times in milliseconds, except for heartbeats, which are in seconds as on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitReport {
    /// Its configuration key. A name without a dot is that of a limit which is not configured: `sockets`
    /// follows the file descriptors, `direct_replies` is constant.
    pub name: &'static str,
    /// What there is, where the whole broker has one count; not for limits of each connection, channel, user,
    /// virtual host or address.
    pub current: Option<u64>,
    /// What may be; `None` when there is no limit. Users and virtual hosts may have limits of their own beside
    /// this one.
    pub limit: Option<u64>,
    /// How often it refused, delayed, held up or dropped something or somebody since the broker started.
    pub refusals: u64,
}

/// All limits of a broker.
#[derive(Debug)]
pub struct Limits {
    pub node: Arc<Node>,
    pub door: Arc<Door>,
    pub settings: Arc<SessionSettings>,
    pub config: config::Limits,
    /// In milliseconds.
    pub tls_handshake_timeout: u64,
}

impl Limits {
    /// Every limit, in the order of their numbers.
    pub fn report(&self) -> Vec<LimitReport> {
        let report = |limit: &Limit| LimitReport {
            name: limit.name(),
            current: self.current(*limit),
            limit: self.most(*limit),
            refusals: self.node.refusals.count(*limit),
        };
        Limit::ALL.iter().map(report).collect()
    }

    fn current(&self, limit: Limit) -> Option<u64> {
        match limit {
            Limit::Memory => Some(self.node.alarms.account().held_bytes()),
            Limit::Sockets => Some(count(self.door.sockets())),
            Limit::Connections => Some(self.node.occupancy.connections()),
            Limit::NodeChannels => Some(self.node.occupancy.channels()),
            Limit::Unauthenticated => Some(count(self.door.waiting())),
            Limit::UnauthenticatedBytes => Some(count(self.door.waiting_bytes())),
            Limit::FrameSize
            | Limit::Channels
            | Limit::Handshake
            | Limit::Heartbeat
            | Limit::MessageSize
            | Limit::PartialContent
            | Limit::TableDepth
            | Limit::Consumers
            | Limit::ConsumerTimeout
            | Limit::Output
            | Limit::OutputStall
            | Limit::DirectReplies
            | Limit::VhostConnections
            | Limit::UserConnections
            | Limit::UserChannels
            | Limit::UnauthenticatedOfAddress
            | Limit::ProxyHeader
            | Limit::TlsHandshake
            | Limit::LoginFailures => None,
        }
    }

    fn most(&self, limit: Limit) -> Option<u64> {
        let Limits { settings, config, .. } = self;
        let (wire, door) = (&settings.limits, self.door.limits());
        let allowances = self.node.occupancy.allowances();
        match limit {
            Limit::FrameSize => Some(u64::from(wire.frame_max)),
            Limit::Channels => Some(u64::from(wire.channel_max)),
            Limit::Handshake => Some(wire.handshake_timeout),
            Limit::Heartbeat => (wire.heartbeat != 0).then(|| u64::from(wire.heartbeat)),
            Limit::MessageSize => Some(wire.message_size_max),
            Limit::PartialContent => Some(wire.partial_content_max),
            Limit::TableDepth => Some(count(wire.table_depth_max)),
            Limit::Consumers => Some(u64::from(settings.consumers_per_channel_max)),
            Limit::ConsumerTimeout => settings.consumer_timeout,
            Limit::Output => Some(count(settings.output_max)),
            Limit::OutputStall => Some(millis(config.output_stall)),
            Limit::DirectReplies => Some(REPLY_BYTES_MAX),
            Limit::Memory => Some(self.node.alarms.memory_limit()),
            Limit::Sockets => Some(count(door.sockets)),
            Limit::Connections => allowances.connections,
            Limit::VhostConnections => allowances.connections_per_vhost,
            Limit::UserConnections => allowances.connections_per_user,
            Limit::UserChannels => allowances.channels_per_user,
            Limit::NodeChannels => allowances.channels,
            Limit::Unauthenticated => Some(count(door.waiting)),
            Limit::UnauthenticatedOfAddress => Some(count(door.waiting_per_address)),
            Limit::UnauthenticatedBytes => Some(count(door.waiting_bytes)),
            Limit::ProxyHeader => None,
            Limit::TlsHandshake => Some(self.tls_handshake_timeout),
            Limit::LoginFailures => Some(u64::from(config.login_failures_free)),
        }
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
