//! Events of connections, channels, consumers and logins.

use std::net::SocketAddr;

use super::{
    super::{ConnectionId, ConnectionInfo, Encryption, Node, PeerCertificate},
    Events, Headers,
};
use crate::amqp::{AMQPValue, ChannelId, FieldTable, table::parse_field_table};

/// The version of AMQP, as Erlang writes it.
const PROTOCOL: &str = "{0,9,1}";

/// A login that succeeded or did not.
#[derive(Debug, Clone, Copy)]
pub struct LoginEvent<'a> {
    pub user: &'a str,
    pub mechanism: &'a str,
    pub peer: SocketAddr,
    pub local: SocketAddr,
    pub encrypted: bool,
    /// Why it was refused.
    pub error: Option<&'a str>,
}

impl Events {
    /// Something that tells a connection, or a channel of it, from all others; Erlang has process ids for that.
    pub(super) fn pid(&self, connection: ConnectionId, channel: ChannelId) -> String {
        format!("<{}.{connection}.{channel}>", self.node_name())
    }

    pub fn tell_login(&self, login: LoginEvent<'_>) {
        let key =
            if login.error.is_some() { "user.authentication.failure" } else { "user.authentication.success" };
        self.tell(key, |headers| {
            let LoginEvent { user, mechanism, peer, local, encrypted, error } = login;
            let headers = headers
                .text("connection_type", "network")
                .text("name", user)
                .address("host", local.ip())
                .text("connection_name", &format!("{peer} -> {local}"))
                .address("peer_host", peer.ip())
                .number("peer_port", u64::from(peer.port()))
                .text("protocol", PROTOCOL)
                .text("auth_mechanism", mechanism)
                .flag("ssl", encrypted);
            match error {
                Some(error) => headers.text("error", &format!("user '{user}' - {error}")),
                None => headers,
            }
        });
    }

    /// A channel of a connection opened.
    pub fn tell_channel_created(&self, connection: ConnectionId, info: &ConnectionInfo, number: ChannelId) {
        self.tell("channel.created", |headers| {
            headers
                .text("pid", &self.pid(connection, number))
                .text("name", &format!("{} ({number})", info.name()))
                .text("connection", &self.pid(connection, 0))
                .number("number", u64::from(number))
                .text("user", &info.user)
                .text("vhost", &info.vhost)
                .text("user_who_performed_action", &info.user)
        });
    }

    pub fn tell_channel_closed(&self, connection: ConnectionId, number: ChannelId, user: &str) {
        self.tell("channel.closed", |headers| {
            headers.text("pid", &self.pid(connection, number)).text("user_who_performed_action", user)
        });
    }

    /// A consumer of a channel; `details` are those that only a new one has.
    pub fn tell_consumer(
        &self,
        key: &'static str,
        (connection, channel): (ConnectionId, ChannelId),
        (vhost, queue, tag): (&str, &str, &str),
        details: impl FnOnce(Headers) -> Headers,
    ) {
        self.tell(key, |headers| {
            let headers = headers
                .text("consumer_tag", tag)
                .text("channel", &self.pid(connection, channel))
                .text("queue", queue)
                .text("vhost", vhost)
                .by_actor();
            details(headers)
        });
    }
}

/// What is known of TLS; without it, all of it is empty.
fn encryption(headers: Headers, encryption: Option<&Encryption>) -> Headers {
    let certificate = encryption.and_then(|tls| tls.certificate.as_ref());
    let of_tls = |field: fn(&Encryption) -> &str| encryption.map_or("", field);
    let of_peer = |field: fn(&PeerCertificate) -> &str| certificate.map_or("", field);
    headers
        .text("ssl_protocol", of_tls(|tls| tls.protocol))
        .text("ssl_key_exchange", of_tls(|tls| tls.key_exchange))
        .text("ssl_cipher", of_tls(|tls| tls.cipher))
        .text("ssl_hash", of_tls(|tls| tls.hash))
        .text("peer_cert_subject", of_peer(|peer| &peer.subject))
        .text("peer_cert_issuer", of_peer(|peer| &peer.issuer))
        .text("peer_cert_validity", of_peer(|peer| &peer.validity))
}

fn client_name(client: &FieldTable) -> Option<String> {
    match client.inner().get("connection_name") {
        Some(AMQPValue::LongString(name)) => Some(String::from_utf8_lossy(name.as_bytes()).into_owned()),
        _ => None,
    }
}

impl Node {
    pub(in crate::engine) fn tell_connection_created(&self, id: ConnectionId, info: &ConnectionInfo) {
        self.events.tell("connection.created", |headers| {
            let headers = self
                .identity(headers, id, info)
                .text("type", "network")
                .number("port", u64::from(info.local.port()))
                .number("peer_port", u64::from(info.peer.port()))
                .address("host", info.local.ip())
                .address("peer_host", info.peer.ip())
                .flag("ssl", info.encryption.is_some())
                .text("auth_mechanism", info.mechanism)
                .text("protocol", PROTOCOL)
                .text("user", &info.user)
                .text("vhost", &info.vhost)
                .number("timeout", u64::from(info.heartbeat))
                .number("frame_max", u64::from(info.frame_max))
                .number("channel_max", u64::from(info.channel_max))
                .number("connected_at", info.connected_at)
                .text("user_who_performed_action", &info.user);
            encryption(headers, info.encryption.as_deref())
        });
    }

    pub(in crate::engine) fn tell_connection_closed(&self, id: ConnectionId, info: &ConnectionInfo) {
        self.events.tell("connection.closed", |headers| self.identity(headers, id, info));
    }

    /// What both have.
    fn identity(&self, headers: Headers, id: ConnectionId, info: &ConnectionInfo) -> Headers {
        let client = parse_field_table(&info.client_properties).unwrap_or_default();
        let headers = headers
            .text("pid", &self.events.pid(id, 0))
            .text("name", &info.name())
            .text("node", self.events.node_name())
            .terms("client_properties", &client);
        match client_name(&client) {
            Some(name) => headers.text("user_provided_name", &name),
            None => headers,
        }
    }
}
