//! Consumers with manual acknowledgements, of different habits.

use futures_lite::StreamExt;
use lapin::{Channel, options::*, types::FieldTable};

use crate::{load::Peer, message::Id, topology::DEAD};

/// What a consumer does with what it gets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Habit {
    /// Acknowledges one by one, and keeps some for ever.
    AckEach,
    /// Acknowledges all it has, now and then.
    AckMultiple,
    /// Sends some back, to get them once more.
    Requeue,
    /// Rejects some into the dead-letter queue.
    Reject,
    /// Acknowledges most of what is in the dead-letter queue.
    AckDead,
}

/// Consumes until the connection ends.
pub async fn run(mut peer: Peer, queue: &'static str, habit: Habit) -> lapin::Result<()> {
    let prefetch = *peer.random.one_of(&[1, 10, 100, 500]);
    peer.channel.basic_qos(prefetch, BasicQosOptions::default()).await?;
    let options = BasicConsumeOptions::default();
    let mut consumer =
        peer.channel.basic_consume(queue.into(), "".into(), options, FieldTable::default()).await?;
    let mut held: Vec<Id> = Vec::new();
    while let Some(delivery) = consumer.next().await {
        let delivery = delivery?;
        let Some(id) = peer.shared.received(queue, &delivery) else { continue };
        match queue {
            DEAD => peer.shared.model().dead_delivered(id),
            _ => peer.shared.model().delivered(queue, id),
        }
        let tag = delivery.delivery_tag;
        let chance = peer.random.pick(0..100);
        match habit {
            Habit::AckEach | Habit::AckDead if chance < 5 && prefetch >= 100 => {}
            Habit::AckDead => {
                peer.shared.model().dead_ack(id);
                ack(&peer.channel, tag, false).await?;
            }
            Habit::Requeue if chance < 20 => {
                peer.shared.model().requeue(queue, id);
                let options = BasicNackOptions { requeue: true, multiple: false };
                peer.channel.basic_nack(tag, options).await?;
            }
            Habit::Reject if chance < 30 => {
                peer.shared.model().reject(queue, id);
                peer.channel.basic_reject(tag, BasicRejectOptions { requeue: false }).await?;
            }
            Habit::AckMultiple => {
                held.push(id);
                if chance < 20 || held.len() >= usize::from(prefetch) {
                    for id in held.drain(..) {
                        peer.shared.model().ack(queue, id);
                    }
                    ack(&peer.channel, tag, true).await?;
                }
            }
            Habit::AckEach | Habit::Requeue | Habit::Reject => {
                peer.shared.model().ack(queue, id);
                ack(&peer.channel, tag, false).await?;
            }
        }
    }
    Ok(())
}

async fn ack(channel: &Channel, tag: u64, multiple: bool) -> lapin::Result<()> {
    channel.basic_ack(tag, BasicAckOptions { multiple }).await
}
