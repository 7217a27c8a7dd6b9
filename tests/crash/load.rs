//! The load that a crash interrupts: publishers, consumers, transactions and changing queues at once.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use lapin::{Channel, Connection, ConnectionProperties, options::QueueDeclareOptions, types::FieldTable};
use parking_lot::{Mutex, MutexGuard};
use tokio::task::JoinSet;

use crate::{
    backlogs, churn,
    consumers::{self, Habit},
    message::Id,
    model::Model,
    publishers::{self, Window},
    random::Random,
    topology::{DEAD, LONG, PRIORITIES, QUEUES, REJECTING, ROUTES, TRANSACTED},
    transactions,
};

/// What the tasks of the load have in common.
#[derive(Clone, Default)]
pub struct Shared(Arc<Inner>);

#[derive(Default)]
struct Inner {
    model: Mutex<Model>,
    ending: AtomicBool,
}

impl Shared {
    /// The model. The lock is held for one event, never while waiting for the broker.
    pub fn model(&self) -> MutexGuard<'_, Model> {
        self.0.model.lock()
    }

    /// The name of a delivered message; what is not whole is a violation.
    pub fn received(&self, queue: &str, delivery: &lapin::message::Delivery) -> Option<Id> {
        let id = Id::of(delivery).map_err(|why| self.model().violations.push(format!("{queue}: {why}")));
        id.ok()
    }

    /// From now on the broker is expected to end, and connections to fail.
    pub fn expect_end(&self) {
        self.0.ending.store(true, Ordering::SeqCst);
    }

    pub fn expect_life(&self) {
        self.0.ending.store(false, Ordering::SeqCst);
    }
}

/// A connection with one channel, which lives as long as both are held.
pub struct Peer {
    _connection: Connection,
    pub channel: Channel,
    pub shared: Shared,
    pub random: Random,
}

impl Peer {
    pub async fn connect(uri: &str, shared: Shared, random: Random) -> lapin::Result<Peer> {
        let connection = Connection::connect(uri, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        // It goes when the broker is done with the connection, which shows that it is.
        let name = shared.model().next_peer();
        let options = QueueDeclareOptions { exclusive: true, ..Default::default() };
        channel.queue_declare(name.into(), options, FieldTable::default()).await?;
        Ok(Peer { _connection: connection, channel, shared, random })
    }
}

/// The running tasks. They go on until the broker is gone, or they have done their share.
pub struct Load {
    tasks: JoinSet<()>,
    uri: String,
    shared: Shared,
}

impl Load {
    pub fn start(uri: &str, shared: &Shared, random: &mut Random) -> Load {
        let mut load = Load { tasks: JoinSet::new(), uri: uri.to_owned(), shared: shared.clone() };
        let any = Window::Sizes(1..200);
        load.spawn("direct 1", random, |peer| publishers::run(peer, 1, &ROUTES[0..1], Window::Sizes(1..2)));
        load.spawn("direct 10", random, |peer| {
            publishers::run(peer, 2, &ROUTES[1..2], Window::Sizes(10..11))
        });
        load.spawn("fanout", random, |peer| publishers::run(peer, 3, &ROUTES[3..4], Window::Sizes(100..101)));
        load.spawn("topic", random, {
            let any = any.clone();
            |peer| publishers::run(peer, 4, &ROUTES[4..7], any)
        });
        load.spawn("to transact", random, |peer| publishers::run(peer, 5, &ROUTES[2..3], any));
        load.spawn("unconfirmed", random, |peer| publishers::run(peer, 6, ROUTES, Window::Unconfirmed));
        load.spawn("transactions", random, |peer| transactions::run(peer, 7, TRANSACTED));
        load.spawn("churn", random, |peer| churn::run(peer, 8));
        load.spawn("backlogs", random, |peer| backlogs::publish(peer, 11));
        load.spawn("long", random, |peer| backlogs::consume(peer, LONG));
        load.spawn("priorities", random, |peer| backlogs::consume(peer, PRIORITIES));
        for queue in QUEUES.iter().chain([&DEAD]) {
            let habit = match *queue {
                DEAD => Habit::AckDead,
                REJECTING => Habit::Reject,
                "direct.0" | "topic.1" => Habit::AckEach,
                "fan.0" | "topic.0" => Habit::AckMultiple,
                "fan.1" => Habit::Requeue,
                // The others fill up, or are emptied by transactions.
                _ => continue,
            };
            load.spawn(queue, random, move |peer| consumers::run(peer, queue, habit));
        }
        load
    }

    fn spawn<F>(
        &mut self,
        name: &'static str,
        random: &mut Random,
        work: impl FnOnce(Peer) -> F + Send + 'static,
    ) where
        F: Future<Output = lapin::Result<()>> + Send,
    {
        let (uri, shared, random) = (self.uri.clone(), self.shared.clone(), random.fork());
        self.tasks.spawn(async move {
            let end = match Peer::connect(&uri, shared.clone(), random).await {
                Ok(peer) => work(peer).await,
                Err(error) => Err(error),
            };
            if let Err(error) = end
                && !shared.0.ending.load(Ordering::SeqCst)
            {
                shared.model().violations.push(format!("{name}: {error} while the broker should run"));
            }
        });
    }

    /// Ends the tasks in the middle of whatever they do, while the broker runs on.
    pub async fn cut(mut self) {
        self.tasks.shutdown().await;
    }

    /// Lets the tasks take in what the broker said before it was gone.
    pub async fn end(mut self) {
        let all = async { while self.tasks.join_next().await.is_some_and(|end| end.is_ok()) {} };
        // A client that does not notice the end only makes the test know less.
        if tokio::time::timeout(Duration::from_secs(10), all).await.is_err() {
            self.tasks.shutdown().await;
        }
    }
}
