//! Publishers of persistent messages, with as many unconfirmed at once as their window allows.

use std::{collections::VecDeque, ops::Range};

use lapin::{Confirmation, PublisherConfirm, options::*};

use crate::{
    load::Peer,
    message::{Id, random_length},
    random::Random,
    topology::Route,
};

/// So much of a load and no more, so that what is to be looked through afterwards stays bounded.
const MESSAGES_MAX: u32 = 3000;

/// How many messages may wait for their confirms.
#[derive(Clone)]
pub enum Window {
    /// As many as chosen anew, again and again.
    Sizes(Range<u32>),
    /// The publisher does not ask for confirms.
    Unconfirmed,
}

/// Publishes as `publisher` along any of these routes.
pub async fn run(peer: Peer, publisher: u16, routes: &'static [Route], window: Window) -> lapin::Result<()> {
    match window {
        Window::Sizes(sizes) => {
            peer.channel.confirm_select(ConfirmSelectOptions::default()).await?;
            with_confirms(peer, publisher, routes, sizes).await
        }
        Window::Unconfirmed => unconfirmed(peer, publisher, routes).await,
    }
}

async fn with_confirms(
    mut peer: Peer,
    publisher: u16,
    routes: &'static [Route],
    sizes: Range<u32>,
) -> lapin::Result<()> {
    let mut waiting = VecDeque::new();
    let mut end = Ok(());
    for _ in 0..MESSAGES_MAX {
        match publish(&mut peer, publisher, routes).await {
            Ok(sent) => waiting.push_back(sent),
            Err(error) => {
                end = Err(error);
                break;
            }
        }
        let size = peer.random.pick(sizes.clone()) as usize;
        while waiting.len() >= size {
            let (id, confirm) = waiting.pop_front().expect("sizes are above zero");
            settle(&peer, id, confirm).await;
        }
    }
    // The broker may have confirmed more before its end than was looked at.
    while let Some((id, confirm)) = waiting.pop_front() {
        settle(&peer, id, confirm).await;
    }
    end
}

async fn publish(
    peer: &mut Peer,
    publisher: u16,
    routes: &'static [Route],
) -> lapin::Result<(Id, PublisherConfirm)> {
    let (route, length) = choose(&mut peer.random, routes);
    let id = peer.shared.model().send(publisher, length, route.queues, None);
    let options = BasicPublishOptions::default();
    let (exchange, key) = (route.exchange.into(), route.key.into());
    let confirm = peer.channel.basic_publish(exchange, key, options, &id.body(), id.properties()).await?;
    Ok((id, confirm))
}

/// A failed confirm says nothing: the next publish tells why.
async fn settle(peer: &Peer, id: Id, confirm: PublisherConfirm) {
    if let Ok(Confirmation::Ack(_)) = confirm.await {
        peer.shared.model().confirmed(id);
    }
}

async fn unconfirmed(mut peer: Peer, publisher: u16, routes: &'static [Route]) -> lapin::Result<()> {
    for _ in 0..MESSAGES_MAX / 10 {
        publish(&mut peer, publisher, routes).await?;
        // Keeps this one behind the others, which wait for the disk.
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// Where to, and how much.
pub fn choose(random: &mut Random, routes: &'static [Route]) -> (Route, u32) {
    (*random.one_of(routes), random_length(random))
}
