//! Channels and consumers, as their connections report them.

use serde_json::{Value, json};

use super::{
    answer::{Answer, Refusal},
    call::Call,
    connections::{Reported, report},
    json::of_octets,
    listing::{self, Listing},
    stats::{CHANNEL, Rates},
};
use crate::engine::{ChannelReport, ConsumerReport, OpenConnection, QueueRef};

fn channel_name(connection: &OpenConnection, channel: &ChannelReport) -> String {
    format!("{} ({})", connection.info.name(), channel.number)
}

fn view(call: &Call, rates: &Rates, connection: &OpenConnection, channel: &ChannelReport) -> Value {
    let info = &connection.info;
    let mut view = json!({
        "name": channel_name(connection, channel),
        "number": channel.number,
        "node": call.management.name,
        "user": &*info.user,
        "user_who_performed_action": &*info.user,
        "vhost": &*info.vhost,
        "state": "running",
        "connection_details": {
            "name": info.name(), "peer_host": info.peer.ip(), "peer_port": info.peer.port(),
        },
        "confirm": channel.confirm,
        "transactional": channel.transactional,
        "consumer_count": channel.consumers.len(),
        "prefetch_count": channel.prefetch,
        "global_prefetch_count": channel.global_prefetch,
        "messages_unacknowledged": channel.unacknowledged,
        "messages_unconfirmed": channel.unconfirmed,
        "messages_uncommitted": channel.uncommitted,
        "acks_uncommitted": channel.uncommitted_acks,
        "pending_raft_commands": 0,
    });
    if let (Value::Object(fields), Some(meter)) = (&mut view, connection.meter.channel(channel.number)) {
        let history = meter.history.lock().clone();
        if let Some(stats) = rates.message_stats(&history, &meter.figures(), &[CHANNEL]) {
            fields.insert("message_stats".to_owned(), stats);
        }
    }
    view
}

fn consumer(call: &Call, connection: &OpenConnection, channel: &ChannelReport, of: &ConsumerReport) -> Value {
    let info = &connection.info;
    let settings = &call.management.settings;
    let queue = call.node().vhost(&info.vhost).and_then(|vhost| vhost.queue(&of.queue).ok());
    let takes_turns = queue.is_some_and(|queue| queue.properties.arguments.single_active_consumer);
    let activity = match (of.active, takes_turns) {
        (true, false) => "up",
        (true, true) => "single_active",
        (false, _) => "waiting",
    };
    json!({
        "consumer_tag": of.tag,
        "ack_required": of.acknowledges,
        "active": of.active,
        "activity_status": activity,
        "exclusive": of.exclusive,
        "prefetch_count": of.prefetch,
        "arguments": of_octets(&of.arguments),
        "consumer_timeout": settings.consumer_timeout,
        "queue": { "name": &*of.queue, "vhost": &*info.vhost },
        "channel_details": {
            "name": channel_name(connection, channel),
            "number": channel.number,
            "node": call.management.name,
            "user": &*info.user,
            "connection_name": info.name(),
            "peer_host": info.peer.ip(),
            "peer_port": info.peer.port(),
        },
    })
}

async fn reports(call: &Call, vhost: Option<&str>) -> Vec<Reported> {
    let mut connections = call.visible_connections();
    connections.retain(|connection| vhost.is_none_or(|vhost| *connection.info.vhost == *vhost));
    report(connections).await
}

/// Each channel with its connection.
fn channels(reported: &[Reported]) -> impl Iterator<Item = (&OpenConnection, &ChannelReport)> {
    reported.iter().flat_map(|(connection, report)| {
        let channels = report.iter().flat_map(|report| &report.channels);
        channels.map(|channel| (&**connection, channel))
    })
}

pub async fn list(call: &Call, vhost: Option<&str>) -> Result<Answer, Refusal> {
    let rates = Rates::of(call)?;
    let reported = reports(call, vhost).await;
    let listing = Listing::new(
        channels(&reported).map(|item| (channel_name(item.0, item.1), item)).collect(),
        |(name, _): &(String, _)| ("", name.as_str()),
        |(_, (connection, channel)): &(String, (&OpenConnection, &ChannelReport))| {
            view(call, &rates, connection, channel)
        },
    );
    listing.answer(&call.query)
}

pub async fn of_connection(call: &Call, name: &str) -> Result<Answer, Refusal> {
    let rates = Rates::of(call)?;
    let reported = report(vec![call.connection(name)?]).await;
    let views = channels(&reported).map(|(connection, channel)| view(call, &rates, connection, channel));
    Ok(listing::plain(views.collect(), &call.query))
}

pub async fn one(call: &Call, name: &str) -> Result<Answer, Refusal> {
    let (connection, _) = name.rsplit_once(" (").ok_or_else(Refusal::not_found)?;
    let reported = report(vec![call.connection(connection)?]).await;
    let found = channels(&reported).find(|(connection, channel)| channel_name(connection, channel) == name);
    let (connection, channel) = found.ok_or_else(Refusal::not_found)?;
    let mut view = view(call, &Rates::of(call)?, connection, channel);
    if let Value::Object(fields) = &mut view {
        let consumers = channel.consumers.iter().map(|of| consumer(call, connection, channel, of));
        fields.insert("consumer_details".to_owned(), consumers.collect());
        fields.insert("publishes".to_owned(), json!([]));
        fields.insert("deliveries".to_owned(), json!([]));
    }
    Ok(listing::single(view, &call.query))
}

/// Whether some channel's consumers share a prefetch.
pub async fn any_shares_its_prefetch(call: &Call) -> bool {
    let reported = report(call.node().connections()).await;
    channels(&reported).any(|(_, channel)| channel.global_prefetch != 0)
}

/// The consumers of one queue that this user sees.
pub async fn consumers_of(call: &Call, queue: &QueueRef) -> Vec<Value> {
    if queue.counts().consumers == 0 {
        return Vec::new();
    }
    let reported = reports(call, Some(&queue.vhost)).await;
    let views = channels(&reported).flat_map(|(connection, channel)| {
        let consumers = channel.consumers.iter().filter(|of| of.queue == queue.name);
        consumers.map(move |of| consumer(call, connection, channel, of))
    });
    views.collect()
}

pub async fn consumers(call: &Call, vhost: Option<&str>) -> Result<Answer, Refusal> {
    let reported = reports(call, vhost).await;
    let views = channels(&reported).flat_map(|(connection, channel)| {
        channel.consumers.iter().map(move |of| consumer(call, connection, channel, of))
    });
    Ok(listing::plain(views.collect(), &call.query))
}
