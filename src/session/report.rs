//! What a connection says of itself to operators.

use super::{
    Core,
    channel::{Channel, Mode},
    deliver::Source,
};
use crate::{
    amqp::ChannelId,
    engine::{ChannelReport, ConnectionReport, ConsumerReport},
};

impl Core {
    pub(super) fn report(&self, output: usize) -> ConnectionReport {
        let channels = self.channels.iter().map(|(number, channel)| self.report_channel(*number, channel));
        let mut channels: Vec<_> = channels.collect();
        channels.sort_by_key(|channel| channel.number);
        ConnectionReport { blocked: self.blocked, output, channels }
    }

    fn report_channel(&self, number: ChannelId, channel: &Channel) -> ChannelReport {
        let mut report = ChannelReport {
            number,
            prefetch: channel.prefetch,
            global_prefetch: channel.shared_prefetch.limit(),
            unacknowledged: channel.unacked.len(),
            ..ChannelReport::default()
        };
        match &channel.mode {
            Mode::Plain => {}
            Mode::Confirm(confirms) => {
                report.confirm = true;
                report.unconfirmed = confirms.published.saturating_sub(confirms.answered);
            }
            Mode::Transaction(transaction) => {
                report.transactional = true;
                report.uncommitted = transaction.publishes.len();
                report.uncommitted_acks = transaction.settlements.len();
            }
        }
        let consumers = channel.consumers.values().filter_map(|id| self.consumers.get(*id));
        let mut consumers: Vec<ConsumerReport> = consumers
            .filter_map(|consumer| {
                let Source::Queue { queue, key, origin } = &consumer.source else { return None };
                Some(ConsumerReport {
                    tag: String::from_utf8_lossy(&consumer.tag).into_owned(),
                    queue: queue.name.clone(),
                    acknowledges: origin.is_some(),
                    exclusive: consumer.exclusive,
                    active: queue.is_served(*key),
                    prefetch: consumer.prefetch,
                    arguments: consumer.arguments.clone(),
                })
            })
            .collect();
        consumers.sort_by(|one, other| one.tag.cmp(&other.tag));
        report.consumers = consumers;
        report
    }
}
