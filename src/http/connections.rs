//! Connections. What changes in them they are asked for: their state is their own.

use std::{sync::Arc, time::Duration};

use hyper::Method;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::{
    answer::{Answer, Refusal},
    call::Call,
    json::of_octets,
    listing::{self, Listing},
    stats::{Chart, Rates},
};
use crate::{
    amqp::{Failure, ReplyCode},
    engine::{ConnectionReport, OpenConnection, Signal},
};

/// How long connections may take to report; one that does not read its output reports late.
pub const PATIENCE: Duration = Duration::from_millis(500);
/// Octets of a reason for closing: with its prefix it must fit a short string.
const REASON_MAX: usize = 200;

/// A connection with its report, if it came in time.
pub type Reported = (Arc<OpenConnection>, Option<ConnectionReport>);

impl Call {
    /// The connections that this user sees: its own, or all for those who watch.
    pub fn visible_connections(&self) -> Vec<Arc<OpenConnection>> {
        let mut connections = self.node().connections();
        if !self.user.is_monitor() {
            connections.retain(|connection| connection.info.user == self.user.name);
        }
        connections
    }

    /// An open connection by name, if this user sees it.
    pub fn connection(&self, name: &str) -> Result<Arc<OpenConnection>, Refusal> {
        let open = self.node().connection_named(name).ok_or_else(Refusal::not_found)?;
        if !self.user.is_monitor() && open.info.user != self.user.name {
            return Err(Refusal::not_authorised("User not authorised to access object"));
        }
        Ok(open)
    }
}

/// Asks all of them at once.
pub async fn report(connections: Vec<Arc<OpenConnection>>) -> Vec<Reported> {
    report_within(connections, PATIENCE).await
}

/// As [`report`], waiting so long at most.
pub async fn report_within(connections: Vec<Arc<OpenConnection>>, patience: Duration) -> Vec<Reported> {
    let ask = |connection: &Arc<OpenConnection>| {
        let (answer, answered) = oneshot::channel();
        connection.ask(move |report| {
            let _nobody_waits_any_more = answer.send(report);
        });
        answered
    };
    let asked: Vec<_> = connections.iter().map(ask).collect();
    let until = tokio::time::Instant::now() + patience;
    let mut reported = Vec::with_capacity(asked.len());
    for (connection, answered) in connections.into_iter().zip(asked) {
        let report = tokio::time::timeout_at(until, answered).await;
        reported.push((connection, report.ok().and_then(Result::ok)));
    }
    reported
}

fn view(call: &Call, rates: &Rates, (connection, report): &Reported) -> Value {
    let info = &connection.info;
    let encryption = info.encryption.as_deref();
    let certificate = encryption.and_then(|encryption| encryption.certificate.as_ref());
    let client_properties = of_octets(&info.client_properties);
    let mut view = json!({
        "name": info.name(),
        "node": call.management.name,
        "user": &*info.user,
        "user_who_performed_action": &*info.user,
        "vhost": &*info.vhost,
        "protocol": "AMQP 0-9-1",
        "type": "network",
        "host": info.local.ip(),
        "port": info.local.port(),
        "peer_host": info.peer.ip(),
        "peer_port": info.peer.port(),
        "connected_at": info.connected_at,
        "auth_mechanism": info.mechanism,
        "frame_max": info.frame_max,
        "channel_max": info.channel_max,
        "timeout": info.heartbeat,
        "ssl": encryption.is_some(),
        "ssl_protocol": encryption.map(|encryption| encryption.protocol),
        "ssl_cipher": encryption.map(|encryption| encryption.cipher),
        "ssl_hash": encryption.map(|encryption| encryption.hash),
        "ssl_key_exchange": encryption.map(|encryption| encryption.key_exchange),
        "peer_cert_subject": certificate.map(|certificate| &certificate.subject),
        "peer_cert_issuer": certificate.map(|certificate| &certificate.issuer),
        "peer_cert_validity": certificate.map(|certificate| &certificate.validity),
    });
    let Value::Object(fields) = &mut view else { return view };
    if let Some(name) = client_properties.get("connection_name") {
        fields.insert("user_provided_name".to_owned(), name.clone());
    }
    fields.insert("client_properties".to_owned(), client_properties);
    let traffic = (&connection.meter.history.lock().clone(), &connection.meter.traffic());
    for (name, at) in [("recv_oct", 0), ("send_oct", 1), ("recv_cnt", 2), ("send_cnt", 3)] {
        let sum = |figures: &[u64; 4]| figures.get(at).copied().unwrap_or(0);
        rates.put(fields, Chart::Data, traffic, name, sum);
    }
    fields.insert("channels".to_owned(), json!(connection.meter.channel_count()));
    if let Some(report) = report {
        fields.insert("send_pend".to_owned(), json!(report.output));
        let state = if report.blocked { "blocked" } else { "running" };
        fields.insert("state".to_owned(), json!(state));
    }
    view
}

pub async fn list(call: &Call, vhost: Option<&str>) -> Result<Answer, Refusal> {
    let mut connections = call.visible_connections();
    connections.retain(|connection| vhost.is_none_or(|vhost| *connection.info.vhost == *vhost));
    let rates = Rates::of(call)?;
    let reported = report(connections).await;
    let listing = Listing::new(
        reported.into_iter().map(|item| (item.0.info.name(), item)).collect(),
        |(name, _): &(String, Reported)| ("", name.as_str()),
        |(_, item): &(String, Reported)| view(call, &rates, item),
    );
    listing.answer(&call.query)
}

pub async fn item(call: &Call, name: &str) -> Result<Answer, Refusal> {
    let connection = call.connection(name)?;
    if call.method == Method::DELETE {
        if !call.user.is_administrator() && connection.info.user != call.user.name {
            return Err(Refusal::not_authorised("User not authorised to access object"));
        }
        close(call, &connection);
        return Ok(Answer::done());
    }
    let reported = report(vec![connection]).await;
    let reported = reported.first().ok_or_else(Refusal::not_found)?;
    Ok(listing::single(view(call, &Rates::of(call)?, reported), &call.query))
}

/// Closes with the reason that the request gives (CON-82).
fn close(call: &Call, connection: &OpenConnection) {
    let header = call.headers.get("x-reason").and_then(|reason| reason.to_str().ok());
    let reason: String = match header.filter(|reason| !reason.is_empty()) {
        Some(reason) => reason.chars().take(REASON_MAX).collect(),
        None => "Closed via management plugin".to_owned(),
    };
    let name = connection.info.name();
    tracing::info!("connection {name} closed by user '{}': {}", call.user.name, reason.escape_debug());
    connection.signal(Signal::Close(Failure::connection(ReplyCode::ConnectionForced, reason)));
}

pub fn of_user(call: &Call, user: &str) -> Result<Answer, Refusal> {
    let mut connections = call.visible_connections();
    connections.retain(|connection| *connection.info.user == *user);
    if call.method == Method::DELETE {
        if !call.user.is_administrator() && *call.user.name != *user {
            return Err(Refusal::not_authorised("Not administrator user"));
        }
        connections.iter().for_each(|connection| close(call, connection));
        return Ok(Answer::done());
    }
    let view = |connection: &Arc<OpenConnection>| {
        let info = &connection.info;
        let (user, vhost) = (&*info.user, &*info.vhost);
        json!({ "name": info.name(), "user": user, "vhost": vhost, "node": call.management.name })
    };
    Ok(listing::plain(connections.iter().map(view).collect(), &call.query))
}
