//! Queues, exchanges, connections and channels: summed up, or each for itself.

use std::{sync::Arc, time::Duration};

use super::{
    super::{
        Management,
        connections::{PATIENCE, report_within},
    },
    request::{Family, Request},
    scrape::{Head, Scrape, counter, gauge, labels},
};
use crate::{
    broker::{Millis, queue::QueueReport},
    engine::{
        BindingsOf, OpenConnection, QueueRef, Vhost,
        stats::{Figure, Figures},
    },
};

/// How long sums over channels wait for connections that do not answer.
const SUM_PATIENCE: Duration = Duration::from_millis(50);

type Rows = Vec<(String, Vec<f64>)>;

const QUEUE_COARSE: [Head; 3] = [
    gauge("queue_messages_ready", "Ready messages"),
    gauge("queue_messages_unacked", "Unacknowledged messages"),
    gauge("queue_messages", "Messages"),
];
const QUEUE_CONSUMERS: [Head; 1] = [gauge("queue_consumers", "Consumers of queues")];
const QUEUE: [Head; 15] = [
    gauge("queue_process_memory_bytes", "Memory that ready messages take"),
    gauge("queue_messages_bytes", "Octets of bodies"),
    gauge("queue_messages_ready_bytes", "Octets of ready bodies"),
    gauge("queue_messages_unacked_bytes", "Octets of unacknowledged bodies"),
    gauge("queue_messages_ram", "Messages in memory"),
    gauge("queue_messages_ram_bytes", "Octets of bodies in memory"),
    gauge("queue_messages_ready_ram", "Ready messages in memory"),
    gauge("queue_messages_unacked_ram", "Unacknowledged messages in memory"),
    gauge("queue_messages_paged_out", "Messages on disk only"),
    gauge("queue_messages_paged_out_bytes", "Octets of bodies on disk only"),
    counter("queue_disk_reads_total", "Messages read from disk"),
    counter("queue_disk_writes_total", "Messages written to disk"),
    // Means nothing in a sum.
    gauge("queue_consumer_utilisation", "Part of the time in which consumers had room"),
    gauge("queue_consumer_capacity", "Part of the time in which consumers had room"),
    gauge("queue_head_message_timestamp", "Timestamp of the first message"),
];
/// So many of the above mean something in a sum.
const QUEUE_SUMMABLE: usize = 12;
const QUEUE_DELIVERY: [Head; 7] = [
    counter("queue_get_ack_total", "Messages got, to be acknowledged"),
    counter("queue_get_total", "Messages got, not to be acknowledged"),
    counter("queue_messages_delivered_ack_total", "Messages delivered, to be acknowledged"),
    counter("queue_messages_delivered_total", "Messages delivered, not to be acknowledged"),
    counter("queue_messages_redelivered_total", "Messages delivered once more"),
    counter("queue_messages_acked_total", "Messages acknowledged"),
    counter("queue_get_empty_total", "Gets that found nothing"),
];
const QUEUE_EXCHANGE: [Head; 1] = [counter("queue_messages_published_total", "Messages that arrived")];
const CHANNEL: [Head; 7] = [
    gauge("channel_consumers", "Consumers of a channel"),
    gauge("channel_messages_unacked", "Messages delivered and not acknowledged"),
    gauge("channel_messages_unconfirmed", "Messages published and not confirmed"),
    gauge("channel_messages_uncommitted", "Messages of open transactions"),
    gauge("channel_acks_uncommitted", "Acknowledgements of open transactions"),
    gauge("consumer_prefetch", "Limit of unacknowledged messages of each new consumer"),
    gauge("channel_prefetch", "Limit of unacknowledged messages of the whole channel"),
];
const CHANNEL_EXCHANGE: [(Head, Figure); 4] = [
    (counter("channel_messages_published_total", "Messages published"), Figure::Publish),
    (counter("channel_messages_confirmed_total", "Messages confirmed"), Figure::Confirm),
    (
        counter("channel_messages_unroutable_returned_total", "Messages that no queue got, returned"),
        Figure::ReturnUnroutable,
    ),
    (
        counter("channel_messages_unroutable_dropped_total", "Messages that no queue got, dropped"),
        Figure::DropUnroutable,
    ),
];
const CHANNEL_QUEUE: [(Head, Figure); 7] = [
    (counter("channel_get_ack_total", "Messages got, to be acknowledged"), Figure::Get),
    (counter("channel_get_total", "Messages got, not to be acknowledged"), Figure::GetNoAck),
    (
        counter("channel_messages_delivered_ack_total", "Messages delivered, to be acknowledged"),
        Figure::Deliver,
    ),
    (
        counter("channel_messages_delivered_total", "Messages delivered, not to be acknowledged"),
        Figure::DeliverNoAck,
    ),
    (counter("channel_messages_redelivered_total", "Messages delivered once more"), Figure::Redeliver),
    (counter("channel_messages_acked_total", "Messages acknowledged"), Figure::Ack),
    (counter("channel_get_empty_total", "Gets that found nothing"), Figure::GetEmpty),
];
const CONNECTION: [Head; 5] = [
    counter("connection_incoming_bytes_total", "Octets received"),
    counter("connection_outgoing_bytes_total", "Octets sent"),
    counter("connection_incoming_packets_total", "Reads from sockets"),
    counter("connection_outgoing_packets_total", "Writes to sockets"),
    gauge("connection_channels", "Channels of connections"),
];
const EXCHANGE: [Head; 2] = [
    counter("exchange_messages_published_total", "Messages published to an exchange"),
    counter("exchange_messages_routed_total", "Copies of them that reached queues"),
];

pub async fn put(management: &Management, request: &Request, vhosts: Vec<Arc<Vhost>>, scrape: &mut Scrape) {
    if request.is_detailed() {
        scrape.call("detailed_");
    }
    queues(management, request, &vhosts, scrape);
    connections(management, request, &vhosts, scrape).await;
    if request.wants(Family::Exchange) {
        exchanges(management, request, &vhosts, scrape);
    }
    scrape.call("cluster_");
    cluster(request, &vhosts, scrape);
}

/// One row with the sums of all rows.
fn sum(rows: &Rows) -> Rows {
    let mut sums: Vec<f64> = Vec::new();
    for (_, values) in rows {
        sums.resize(values.len().max(sums.len()), 0.0);
        sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
    }
    // Without any object a zero would say that none of them has anything, which nobody asked.
    if rows.is_empty() { Vec::new() } else { vec![(String::new(), sums)] }
}

fn table(scrape: &mut Scrape, request: &Request, heads: &[Head], rows: &Rows) {
    if request.per_object { scrape.table(heads, rows) } else { scrape.table(heads, &sum(rows)) }
}

fn queues(management: &Management, request: &Request, vhosts: &[Arc<Vhost>], scrape: &mut Scrape) {
    let families = [
        Family::QueueCoarse,
        Family::QueueConsumers,
        Family::Queue,
        Family::QueueDelivery,
        Family::QueueExchange,
    ];
    if !request.wants_any(&families) {
        return;
    }
    let now = management.now();
    let interval = management.node.stats.interval();
    let wanted = |queue: &QueueRef| request.wants_queue(&queue.name);
    let queues = vhosts.iter().flat_map(|vhost| vhost.queues()).filter(wanted);
    let label = |queue: &QueueRef| {
        if request.per_object {
            labels(&[("vhost", &queue.vhost), ("queue", &queue.name)])
        } else {
            String::new()
        }
    };
    let reports: Vec<(QueueRef, String, QueueReport)> = queues
        .map(|queue| {
            let (label, report) = (label(&queue), queue.report(now));
            (queue, label, report)
        })
        .collect();
    let mut put = |family, heads: &[Head], values: &dyn Fn(&QueueRef, &QueueReport) -> Vec<f64>| {
        if request.wants(family) {
            let row = |(queue, label, report): &(QueueRef, String, QueueReport)| {
                (label.clone(), values(queue, report))
            };
            table(scrape, request, heads, &reports.iter().map(row).collect());
        }
    };
    put(Family::QueueCoarse, &QUEUE_COARSE, &|_, report| {
        let counts = &report.counts;
        floats([counts.ready, counts.unacknowledged, counts.ready + counts.unacknowledged])
    });
    put(Family::QueueConsumers, &QUEUE_CONSUMERS, &|_, report| vec![f64::from(report.counts.consumers)]);
    let heads = if request.per_object { &QUEUE[..] } else { &QUEUE[..QUEUE_SUMMABLE] };
    put(Family::Queue, heads, &|queue, report| of_queue(queue, report, now, interval));
    put(Family::QueueDelivery, &QUEUE_DELIVERY, &|_, report| {
        let counters = &report.counters;
        floats([
            counters.got,
            counters.got_no_ack,
            counters.delivered,
            counters.delivered_no_ack,
            counters.redelivered,
            counters.acknowledged,
            counters.got_nothing,
        ])
    });
    put(Family::QueueExchange, &QUEUE_EXCHANGE, &|_, report| floats([report.counters.published]));
}

fn floats<const N: usize>(values: [u64; N]) -> Vec<f64> {
    values.map(|value| value as f64).to_vec()
}

/// In the order of `QUEUE`.
fn of_queue(queue: &QueueRef, report: &QueueReport, now: Millis, interval: Millis) -> Vec<f64> {
    let counts = &report.counts;
    let all = counts.ready + counts.unacknowledged;
    let all_bytes = counts.ready_bytes + counts.unacknowledged_bytes;
    let mut values = floats([
        report.memory,
        all_bytes,
        counts.ready_bytes,
        counts.unacknowledged_bytes,
        all.saturating_sub(report.away),
        all_bytes.saturating_sub(report.away_bytes),
        counts.ready.saturating_sub(report.away),
        counts.unacknowledged,
        report.away,
        report.away_bytes,
        report.counters.disk_reads,
        report.counters.disk_writes,
    ]);
    let figures = Figures::of_queue(counts, &report.counters);
    let utilisation = queue.utilisation(now, interval, &figures, report);
    let timestamp = report.head_timestamp.map_or(f64::NAN, |timestamp| timestamp as f64);
    values.extend([utilisation, utilisation, timestamp]);
    values
}

async fn connections(management: &Management, request: &Request, vhosts: &[Arc<Vhost>], scrape: &mut Scrape) {
    let families = [Family::Connection, Family::Channel, Family::ChannelExchange, Family::ChannelQueue];
    if !request.wants_any(&families) {
        return;
    }
    let mut connections = management.node.connections();
    connections.retain(|connection| vhosts.iter().any(|vhost| vhost.name == connection.info.vhost));
    if request.wants(Family::Connection) {
        let row = |connection: &Arc<OpenConnection>| {
            let [received, sent, reads, writes] = connection.meter.traffic();
            let channels = connection.meter.channel_count() as u64;
            (
                labels(&[("channel", &connection.info.name())]),
                floats([received, sent, reads, writes, channels]),
            )
        };
        let mut rows: Rows = connections.iter().map(row).collect();
        if !request.per_object {
            // Sums never go back when somebody leaves.
            let [received, sent, reads, writes] = management.node.stats.ended_traffic();
            rows.push((String::new(), floats([received, sent, reads, writes, 0])));
        }
        table(scrape, request, &CONNECTION, &rows);
    }
    if request.wants(Family::Channel) {
        channel_states(request, connections.clone(), scrape).await;
    }
    for (family, shown) in
        [(Family::ChannelExchange, &CHANNEL_EXCHANGE[..]), (Family::ChannelQueue, &CHANNEL_QUEUE[..])]
    {
        if request.wants(family) {
            let heads: Vec<Head> = shown.iter().map(|(head, _)| *head).collect();
            let row = |label: String, figures: &Figures| {
                (label, shown.iter().map(|(_, figure)| figures.get(*figure) as f64).collect())
            };
            let mut rows = channels(&connections, row);
            if !request.per_object {
                rows.extend(
                    vhosts.iter().map(|vhost| row(String::new(), &vhost.stats.ended.channels.figures())),
                );
            }
            table(scrape, request, &heads, &rows);
        }
    }
}

fn channel_labels(connection: &OpenConnection, number: u16) -> String {
    let name = format!("{} ({number})", connection.info.name());
    labels(&[("channel", &name), ("vhost", &connection.info.vhost)])
}

fn channels(
    connections: &[Arc<OpenConnection>],
    row: impl Fn(String, &Figures) -> (String, Vec<f64>),
) -> Rows {
    let mut rows = Rows::new();
    for connection in connections {
        for (number, meter) in connection.meter.channels() {
            rows.push(row(channel_labels(connection, number), &meter.figures()));
        }
    }
    rows
}

/// What only the connections themselves know.
async fn channel_states(request: &Request, connections: Vec<Arc<OpenConnection>>, scrape: &mut Scrape) {
    // Nobody who does not read holds up a scrape that wants sums only.
    let patience = if request.per_object { PATIENCE } else { SUM_PATIENCE };
    let reported = report_within(connections, patience).await;
    let mut rows = Rows::new();
    for (connection, report) in &reported {
        for channel in report.iter().flat_map(|report| &report.channels) {
            let values = floats([
                channel.consumers.len() as u64,
                channel.unacknowledged as u64,
                channel.unconfirmed,
                channel.uncommitted as u64,
                channel.uncommitted_acks as u64,
                u64::from(channel.prefetch),
                u64::from(channel.global_prefetch),
            ]);
            rows.push((channel_labels(connection, channel.number), values));
        }
    }
    table(scrape, request, &CHANNEL, &rows);
}

fn exchanges(management: &Management, request: &Request, vhosts: &[Arc<Vhost>], scrape: &mut Scrape) {
    let mut rows = Rows::new();
    for vhost in vhosts {
        for (name, figures) in management.node.exchange_figures(vhost) {
            rows.push((labels(&[("vhost", &vhost.name), ("exchange", &name)]), floats(figures)));
        }
    }
    rows.sort_by(|one, other| one.0.cmp(&other.0));
    table(scrape, request, &EXCHANGE, &rows);
}

fn cluster(request: &Request, vhosts: &[Arc<Vhost>], scrape: &mut Scrape) {
    if request.wants(Family::VhostStatus) {
        let served = vhosts.iter().map(|vhost| (labels(&[("vhost", &vhost.name)]), 1.0));
        scrape.family(gauge("vhost_status", "Whether a vhost is served"), served);
    }
    if !request.wants_any(&[Family::ExchangeBindings, Family::ExchangeNames]) {
        return;
    }
    let (mut names, mut bindings) = (Vec::new(), Vec::new());
    for vhost in vhosts {
        for exchange in vhost.exchanges() {
            let count = vhost.bindings(BindingsOf::Source(&exchange.name)).len();
            let label =
                labels(&[("vhost", &vhost.name), ("exchange", &exchange.name), ("type", exchange.kind)]);
            names.push((label.clone(), 1.0));
            bindings.push((label, count as f64));
        }
    }
    if request.wants(Family::ExchangeBindings) {
        scrape.family(gauge("exchange_bindings", "Bindings of an exchange"), bindings);
    }
    if request.wants(Family::ExchangeNames) {
        scrape.family(gauge("exchange_name", "Exchanges"), names);
    }
}
