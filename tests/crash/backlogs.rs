//! Backlogs of several MiB, which a broker that is short of memory keeps on disk, and consumers in fits.

use futures_lite::StreamExt;
use lapin::{Confirmation, options::*, types::FieldTable};

use crate::{
    load::Peer,
    message::{EXPIRING, Id, TRANSIENT},
    topology::{LONG, PRIORITIES, TTL},
};

const BURSTS_MAX: u32 = 8;
/// How many messages a consumer takes before it leaves for a while.
const APPETITE: std::ops::Range<u32> = 10..400;

/// Publishes long runs, persistent as `publisher` and transient, with some waiting for each burst's confirms.
pub async fn publish(mut peer: Peer, publisher: u16) -> lapin::Result<()> {
    peer.channel.confirm_select(ConfirmSelectOptions::default()).await?;
    for _ in 0..BURSTS_MAX {
        let queue = *peer.random.one_of(&[LONG, LONG, PRIORITIES, TTL]);
        let mut waiting = Vec::new();
        for _ in 0..peer.random.pick(1..250) {
            let from = match queue {
                TTL => EXPIRING,
                _ if peer.random.percent(30) => TRANSIENT,
                _ => publisher,
            };
            let length = peer.random.pick(1000..16_000);
            let id = {
                let mut model = peer.shared.model();
                let id = model.send(from, length, &[queue], None);
                if queue == TTL {
                    // It dies by itself, some time or other.
                    model.reject(queue, id);
                }
                id
            };
            let (options, body) = (BasicPublishOptions::default(), id.body());
            let publish =
                peer.channel.basic_publish("".into(), queue.into(), options, &body, id.properties());
            waiting.push((id, publish.await?));
        }
        for (id, confirm) in waiting {
            if let Confirmation::Ack(_) = confirm.await? {
                peer.shared.model().confirmed(id);
            }
        }
    }
    Ok(())
}

/// Takes some messages of a long queue, acknowledges, rejects and requeues, leaves the rest, and comes back.
pub async fn consume(mut peer: Peer, queue: &'static str) -> lapin::Result<()> {
    let mut seen = 0;
    loop {
        let channel = &peer.channel;
        channel.basic_qos(*peer.random.one_of(&[10, 100]), BasicQosOptions::default()).await?;
        let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
        let mut consumer = channel.basic_consume(queue.into(), "".into(), options, arguments).await?;
        for _ in 0..peer.random.pick(APPETITE) {
            let Some(delivery) = consumer.next().await else { return Ok(()) };
            let delivery = delivery?;
            let Some(id) = peer.shared.received(queue, &delivery) else { continue };
            peer.shared.model().delivered(queue, id);
            seen += 1;
            settle(&mut peer, queue, id, delivery.delivery_tag).await?;
        }
        let tag = consumer.tag();
        peer.channel.basic_cancel(tag, BasicCancelOptions::default()).await?;
        // What came after the last one that was looked at goes back to its place.
        peer.channel.basic_recover(BasicRecoverOptions { requeue: true }).await?;
        tokio::time::sleep(std::time::Duration::from_millis(u64::from(peer.random.pick(0..100)))).await;
        if seen > 3000 {
            return Ok(());
        }
    }
}

async fn settle(peer: &mut Peer, queue: &str, id: Id, tag: u64) -> lapin::Result<()> {
    match peer.random.pick(0..100) {
        0..10 => {
            peer.shared.model().requeue(queue, id);
            peer.channel.basic_nack(tag, BasicNackOptions { requeue: true, multiple: false }).await
        }
        10..20 if queue == LONG && !id.is_transient() => {
            peer.shared.model().reject(queue, id);
            peer.channel.basic_reject(tag, BasicRejectOptions { requeue: false }).await
        }
        _ => {
            peer.shared.model().ack(queue, id);
            peer.channel.basic_ack(tag, BasicAckOptions::default()).await
        }
    }
}
