//! Transactions that take from one queue and publish to many, most committed, some rolled back.

use lapin::{Channel, options::*};

use crate::{
    load::Peer,
    message::Id,
    model::Tx,
    publishers::choose,
    topology::{ROUTES, Route},
};

/// So many of a load and no more.
const TRANSACTIONS_MAX: u32 = 500;

/// Transactions of `publisher`, which take from `queue`.
pub async fn run(mut peer: Peer, publisher: u16, queue: &str) -> lapin::Result<()> {
    peer.channel.tx_select().await?;
    // Taken, and not acknowledged in a transaction that was committed.
    let mut held: Vec<(u64, Id)> = Vec::new();
    for _ in 0..TRANSACTIONS_MAX {
        let tx = peer.shared.model().begin();
        for _ in 0..peer.random.pick(1..20) {
            let (route, length) = choose(&mut peer.random, ROUTES);
            publish(&peer, tx, publisher, route, length).await?;
        }
        for _ in 0..peer.random.pick(0..10) {
            let Some(taken) = take(&peer, queue).await? else { break };
            held.push(taken);
        }
        let keep = peer.random.pick(0..5) as usize;
        let acked: Vec<(u64, Id)> = held.drain(..held.len().saturating_sub(keep)).collect();
        for (tag, id) in &acked {
            peer.shared.model().ack_within(tx, queue, *id);
            peer.channel.basic_ack(*tag, BasicAckOptions::default()).await?;
        }
        if peer.random.percent(15) {
            peer.channel.tx_rollback().await?;
            peer.shared.model().rolled_back(tx);
            // They are not acknowledged again, and not requeued.
            held.splice(0..0, acked);
        } else {
            commit(&peer, tx).await?;
        }
    }
    Ok(())
}

async fn commit(peer: &Peer, tx: Tx) -> lapin::Result<()> {
    peer.shared.model().committing(tx);
    peer.channel.tx_commit().await?;
    peer.shared.model().committed(tx);
    Ok(())
}

async fn publish(peer: &Peer, tx: Tx, publisher: u16, route: Route, length: u32) -> lapin::Result<()> {
    let id = peer.shared.model().send(publisher, length, route.queues, Some(tx));
    let options = BasicPublishOptions::default();
    let (exchange, key) = (route.exchange.into(), route.key.into());
    let publish = peer.channel.basic_publish(exchange, key, options, &id.body(), id.properties()).await;
    // Not in confirm mode: there is nothing more to await.
    publish.map(drop)
}

async fn take(peer: &Peer, queue: &str) -> lapin::Result<Option<(u64, Id)>> {
    let channel: &Channel = &peer.channel;
    let Some(message) = channel.basic_get(queue.into(), BasicGetOptions::default()).await? else {
        return Ok(None);
    };
    let Some(id) = peer.shared.received(queue, &message.delivery) else { return Ok(None) };
    peer.shared.model().delivered(queue, id);
    Ok(Some((message.delivery.delivery_tag, id)))
}
