//! Durable queues, bindings and exchanges that come and go, with messages in them.

use lapin::{Confirmation, ExchangeKind, options::*, types::FieldTable};

use crate::{
    load::Peer,
    model::Presence,
    topology::{CHURN, durable_exchange, durable_queue},
};

/// Names are used again: what was deleted must not come back with the next of its name.
const SLOTS: u32 = 6;
/// So many changes of a load and no more.
const STEPS_MAX: u32 = 1000;

/// Every name a queue of the churn can have. It is bound with its name as the key.
pub fn queue_names() -> impl Iterator<Item = String> {
    (0..SLOTS).map(|slot| format!("churn.q.{slot}"))
}

/// Every name an exchange of the churn can have.
pub fn exchange_names() -> impl Iterator<Item = String> {
    (0..SLOTS).map(|slot| format!("churn.x.{slot}"))
}

/// Changes something, again and again, and publishes as `publisher`.
pub async fn run(mut peer: Peer, publisher: u16) -> lapin::Result<()> {
    peer.channel.confirm_select(ConfirmSelectOptions::default()).await?;
    for _ in 0..STEPS_MAX {
        let slot = peer.random.pick(0..SLOTS);
        if peer.random.percent(25) {
            change_exchange(&peer, &format!("churn.x.{slot}")).await?;
        } else {
            change_queue(&mut peer, &format!("churn.q.{slot}"), publisher).await?;
        }
    }
    Ok(())
}

async fn change_exchange(peer: &Peer, name: &str) -> lapin::Result<()> {
    let exists = peer.shared.model().exchanges.contains_key(name);
    if exists {
        peer.shared.model().exchanges.insert(name.to_owned(), Presence::Deleting);
        peer.channel.exchange_delete(name.into(), ExchangeDeleteOptions::default()).await?;
        peer.shared.model().exchanges.remove(name);
    } else {
        peer.shared.model().exchanges.insert(name.to_owned(), Presence::Declaring);
        let (kind, arguments) = (ExchangeKind::Fanout, FieldTable::default());
        peer.channel.exchange_declare(name.into(), kind, durable_exchange(), arguments).await?;
        peer.shared.model().exchanges.insert(name.to_owned(), Presence::There);
    }
    Ok(())
}

async fn change_queue(peer: &mut Peer, name: &str, publisher: u16) -> lapin::Result<()> {
    let exists = peer.shared.model().queues.contains_key(name);
    match peer.random.pick(0..10) {
        _ if !exists => {
            peer.shared.model().queues.insert(name.to_owned(), Presence::Declaring);
            peer.channel.queue_declare(name.into(), durable_queue(), FieldTable::default()).await?;
            peer.shared.model().queues.insert(name.to_owned(), Presence::There);
            Ok(())
        }
        0..3 => {
            peer.shared.model().deleting_queue(name);
            peer.channel.queue_delete(name.into(), QueueDeleteOptions::default()).await?;
            peer.shared.model().deleted_queue(name);
            Ok(())
        }
        3 => {
            peer.shared.model().purging(name);
            peer.channel.queue_purge(name.into(), QueuePurgeOptions::default()).await?;
            peer.shared.model().purged(name);
            Ok(())
        }
        4..7 => change_binding(peer, name).await,
        _ => publish(peer, name, publisher).await,
    }
}

async fn change_binding(peer: &Peer, queue: &str) -> lapin::Result<()> {
    let bond = (CHURN.to_owned(), queue.to_owned());
    let bound = peer.shared.model().bindings.contains_key(&bond);
    if bound {
        peer.shared.model().bindings.insert(bond.clone(), Presence::Deleting);
        peer.channel.queue_unbind(queue.into(), CHURN.into(), queue.into(), FieldTable::default()).await?;
        peer.shared.model().bindings.remove(&bond);
    } else {
        peer.shared.model().bindings.insert(bond.clone(), Presence::Declaring);
        let (options, arguments) = (QueueBindOptions::default(), FieldTable::default());
        peer.channel.queue_bind(queue.into(), CHURN.into(), queue.into(), options, arguments).await?;
        peer.shared.model().bindings.insert(bond, Presence::There);
    }
    Ok(())
}

async fn publish(peer: &mut Peer, queue: &str, publisher: u16) -> lapin::Result<()> {
    let mut confirms = Vec::new();
    // Some of them long enough to go to disk.
    let count = if peer.random.percent(5) { 150 } else { peer.random.pick(1..6) };
    for _ in 0..count {
        let length = peer.random.pick(0..5000);
        let id = peer.shared.model().send(publisher, length, &[queue], None);
        let (options, body) = (BasicPublishOptions::default(), id.body());
        let publish = peer.channel.basic_publish("".into(), queue.into(), options, &body, id.properties());
        confirms.push((id, publish.await?));
    }
    for (id, confirm) in confirms {
        if let Confirmation::Ack(_) = confirm.await? {
            peer.shared.model().confirmed(id);
        }
    }
    Ok(())
}
