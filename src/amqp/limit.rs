//! The limits that a peer can run into, by name: for counting, for the log, and for whoever shows them.

macro_rules! limits {
    ($($(#[$meaning:meta])* $limit:ident = $name:literal,)*) => {
        /// A limit.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Limit {
            $($(#[$meaning])* $limit,)*
        }

        impl Limit {
            /// All of them, each at the place of its number.
            pub const ALL: &[Limit] = &[$(Limit::$limit,)*];

            /// The configuration key; without a dot where nothing can be configured.
            pub fn name(self) -> &'static str {
                match self {
                    $(Limit::$limit => $name,)*
                }
            }
        }
    };
}

limits! {
    /// Octets of a frame.
    FrameSize = "amqp.frame_max",
    /// Channels of a connection.
    Channels = "amqp.channel_max",
    /// Time to an open connection.
    Handshake = "amqp.handshake_timeout",
    /// Silence.
    Heartbeat = "amqp.heartbeat",
    /// Octets of a body.
    MessageSize = "amqp.max_message_size",
    /// Octets of half-received contents of a connection.
    PartialContent = "limits.partial_content_max",
    /// Nesting of tables.
    TableDepth = "limits.table_depth_max",
    /// Consumers of a channel.
    Consumers = "amqp.consumers_per_channel_max",
    /// Age of an unacknowledged delivery.
    ConsumerTimeout = "amqp.consumer_timeout",
    /// Octets of output that a client has not taken; above, its input waits.
    Output = "limits.output_max",
    /// Time without progress of a client's output.
    OutputStall = "limits.output_stall",
    /// Octets of direct replies that wait for a requester; later ones are dropped.
    DirectReplies = "direct_replies",
    /// Octets of messages in memory.
    Memory = "limits.memory",
    /// Sockets, whatever they do: what file descriptors there are.
    Sockets = "sockets",
    /// Open connections of the node.
    Connections = "limits.connections_max",
    /// Open connections of a virtual host.
    VhostConnections = "limits.connections_per_vhost_max",
    /// Open connections of a user.
    UserConnections = "limits.connections_per_user_max",
    /// Channels of a user, on all connections.
    UserChannels = "limits.channels_per_user_max",
    /// Channels of the node.
    NodeChannels = "limits.channels_max",
    /// Sockets that have not logged in.
    Unauthenticated = "limits.unauthenticated_max",
    /// The same of one address.
    UnauthenticatedOfAddress = "limits.unauthenticated_per_ip_max",
    /// Octets kept for sockets that have not logged in.
    UnauthenticatedBytes = "limits.unauthenticated_bytes_max",
    /// Connections of proxies without a header of the PROXY protocol, or with a wrong one.
    ProxyHeader = "amqp.proxy_protocol",
    /// TLS handshakes that failed or took too long.
    TlsHandshake = "tls.handshake_timeout",
    /// Wrong logins of an address before its next ones wait.
    LoginFailures = "limits.login_failures_free",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_stands_at_its_number() {
        for (at, limit) in Limit::ALL.iter().enumerate() {
            assert_eq!(*limit as usize, at);
        }
    }
}
