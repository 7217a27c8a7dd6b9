//! What is counted of the whole node.

use super::{
    super::Management,
    request::{Family, Request},
    scrape::{Head, Scrape, counter, gauge, labels},
};
use crate::{
    broker::queue_type::QueueType,
    engine::stats::{Figure, SIZES, Sums, Tally},
};

/// The protocol that messages come and go by.
const PROTOCOL: (&str, &str) = ("protocol", "amqp091");

pub fn put(management: &Management, request: &Request, scrape: &mut Scrape) {
    let node = &management.node;
    if request.wants(Family::Churn) {
        churn(management, scrape);
    }
    if request.wants(Family::Auth) {
        logins(management, scrape);
    }
    if !request.wants(Family::Global) {
        return;
    }
    let sums = node.sums(node.vhosts(), management.now());
    scrape.one(gauge("connections", "Open connections"), node.connection_count() as f64);
    scrape.one(gauge("channels", "Open channels"), node.occupancy.channels() as f64);
    scrape.one(gauge("consumers", "Consumers"), sums.consumers as f64);
    scrape.one(gauge("queues", "Queues"), sums.queues as f64);
    let connections = node.connections();
    let publishers = connections.iter().flat_map(|connection| connection.meter.channels());
    let publishers = publishers.filter(|(_, channel)| channel.published.get() != 0).count();
    scrape.family(
        gauge("global_publishers", "Channels that have published"),
        [(labels(&[PROTOCOL]), publishers as f64)],
    );
    scrape.family(gauge("global_consumers", "Consumers"), [(labels(&[PROTOCOL]), sums.consumers as f64)]);
    messages_in(&sums, scrape);
    messages_out(&sums, scrape);
    dead_letters(&sums, scrape);
    let sizes = node.message_sizes();
    let bounds = SIZES.into_iter().map(Some).chain([None]);
    let classes: Vec<_> = bounds.zip(sizes.classes.iter().map(Tally::get)).collect();
    let head = Head { name: "message_size_bytes", kind: "histogram", help: "Sizes of published messages" };
    scrape.histogram(head, PROTOCOL, &classes, sizes.octets.get());
}

fn churn(management: &Management, scrape: &mut Scrape) {
    let heads = [
        counter("connections_opened_total", "Connections opened"),
        counter("connections_closed_total", "Connections closed"),
        counter("channels_opened_total", "Channels opened"),
        counter("channels_closed_total", "Channels closed"),
        counter("queues_declared_total", "Queues declared, also those that were there"),
        counter("queues_created_total", "Queues created"),
        counter("queues_deleted_total", "Queues deleted"),
    ];
    for (head, count) in heads.into_iter().zip(management.node.stats.churn()) {
        scrape.one(head, count as f64);
    }
}

fn logins(management: &Management, scrape: &mut Scrape) {
    let stats = &management.node.stats;
    let protocols = [("amqp091", &stats.amqp_logins), ("http", &stats.http_logins)];
    let mut put = |head, of: fn(u64, u64) -> u64| {
        let samples = protocols.iter().map(|(protocol, [attempts, failures])| {
            (labels(&[("protocol", protocol)]), of(attempts.get(), failures.get()) as f64)
        });
        scrape.family(head, samples);
    };
    put(counter("auth_attempts_total", "Logins"), |attempts, _| attempts);
    put(counter("auth_attempts_succeeded_total", "Logins that succeeded"), u64::saturating_sub);
    put(counter("auth_attempts_failed_total", "Logins that failed"), |_, failures| failures);
}

fn messages_in(sums: &Sums, scrape: &mut Scrape) {
    let get = |figure| sums.figures.get(figure);
    let unroutable = get(Figure::ReturnUnroutable) + get(Figure::DropUnroutable);
    for (name, help, value) in [
        ("global_messages_received_total", "Messages published", get(Figure::Publish)),
        ("global_messages_received_confirm_total", "Messages published to be confirmed", sums.to_confirm),
        (
            "global_messages_routed_total",
            "Messages that reached a queue",
            get(Figure::Publish).saturating_sub(unroutable),
        ),
        ("global_messages_confirmed_total", "Messages confirmed", get(Figure::Confirm)),
        (
            "global_messages_unroutable_dropped_total",
            "Messages that no queue got, dropped",
            get(Figure::DropUnroutable),
        ),
        (
            "global_messages_unroutable_returned_total",
            "Messages that no queue got, returned",
            get(Figure::ReturnUnroutable),
        ),
    ] {
        scrape.family(counter(name, help), [(labels(&[PROTOCOL]), value as f64)]);
    }
}

/// Deliveries of each type of queue, as the queues count them.
fn messages_out(sums: &Sums, scrape: &mut Scrape) {
    let heads = [
        counter("global_messages_delivered_total", "Messages delivered to consumers"),
        counter("global_messages_delivered_consume_manual_ack_total", "Those to be acknowledged"),
        counter("global_messages_delivered_consume_auto_ack_total", "Those not to be acknowledged"),
        counter("global_messages_delivered_get_manual_ack_total", "Messages got, to be acknowledged"),
        counter("global_messages_delivered_get_auto_ack_total", "Messages got, not to be acknowledged"),
        counter("global_messages_get_empty_total", "Gets that found nothing"),
        counter("global_messages_redelivered_total", "Messages delivered once more"),
        counter("global_messages_acknowledged_total", "Messages acknowledged"),
    ];
    let rows: Vec<(String, Vec<f64>)> = QueueType::ALL
        .iter()
        .map(|queue_type| {
            let counters = sums.by_type.get(*queue_type);
            let values = [
                counters.delivered + counters.delivered_no_ack,
                counters.delivered,
                counters.delivered_no_ack,
                counters.got,
                counters.got_no_ack,
                counters.got_nothing,
                counters.redelivered,
                counters.acknowledged,
            ];
            let labels = labels(&[PROTOCOL, ("queue_type", queue_type.module_name())]);
            (labels, values.map(|value| value as f64).to_vec())
        })
        .collect();
    scrape.table(&heads, &rows);
}

/// Messages that died, whether or not they went anywhere.
fn dead_letters(sums: &Sums, scrape: &mut Scrape) {
    let heads = [
        counter("global_messages_dead_lettered_expired_total", "Messages that expired"),
        counter("global_messages_dead_lettered_rejected_total", "Messages that were rejected"),
        counter("global_messages_dead_lettered_maxlen_total", "Messages of queues that were full"),
        counter("global_messages_dead_lettered_delivery_limit_total", "Messages given back too often"),
    ];
    let rows: Vec<(String, Vec<f64>)> = [QueueType::Classic, QueueType::Quorum]
        .iter()
        .map(|queue_type| {
            let counters = sums.by_type.get(*queue_type);
            let labels =
                labels(&[("queue_type", queue_type.module_name()), ("dead_letter_strategy", "at_most_once")]);
            let values = [
                counters.died_expired,
                counters.died_rejected,
                counters.died_of_length,
                counters.died_of_delivery_limit,
            ];
            (labels, values.map(|value| value as f64).to_vec())
        })
        .collect();
    scrape.table(&heads, &rows);
}
