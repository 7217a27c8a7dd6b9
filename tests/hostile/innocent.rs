//! The innocent bystander: a well-behaved client whose work must go on during every attack.

use std::time::Duration;

use futures_lite::StreamExt;
use lapin::{BasicProperties, Connection, ConnectionProperties, Consumer, options::*, types::FieldTable};
use tokio::{sync::oneshot, task::JoinHandle};

use crate::target::{assert_no_panic, within};

/// Between two rounds, so that the bystander is not the load.
const PACE: Duration = Duration::from_millis(20);

/// A lapin client that publishes, confirms, consumes and acknowledges, over and over.
pub struct Innocent {
    stop: oneshot::Sender<()>,
    work: JoinHandle<()>,
}

impl Innocent {
    /// Connects; its first round is done when this returns.
    pub async fn start(uri: &str) -> Innocent {
        let mut desk = Desk::open(uri).await;
        desk.round(0).await;
        let (stop, stopped) = oneshot::channel();
        Innocent { stop, work: tokio::spawn(desk.work(stopped)) }
    }

    /// Its work was never disturbed, goes on after the attack, and the broker did not panic.
    pub async fn unharmed(self) {
        let Innocent { stop, work } = self;
        // It has only gone when it panicked, which the next line tells.
        let _ = stop.send(());
        within("the last round of the innocent client", work).await.expect("the innocent client is unharmed");
        assert_no_panic();
    }
}

struct Desk {
    connection: Connection,
    channel: lapin::Channel,
    queue: String,
    inbox: Consumer,
}

impl Desk {
    async fn open(uri: &str) -> Desk {
        let connecting = Connection::connect(uri, ConnectionProperties::default());
        let connection = within("connection.open-ok", connecting).await.expect("the connection opens");
        let opening = connection.create_channel();
        let channel = within("channel.open-ok", opening).await.expect("a channel opens");
        let selecting = channel.confirm_select(ConfirmSelectOptions::default());
        within("confirm.select-ok", selecting).await.expect("confirms are on");
        let options = QueueDeclareOptions { exclusive: true, ..Default::default() };
        let declaring = channel.queue_declare("".into(), options, FieldTable::default());
        let queue = within("queue.declare-ok", declaring).await.expect("the queue is new");
        let queue = queue.name().to_string();
        let options = BasicConsumeOptions::default();
        let consuming =
            channel.basic_consume(queue.as_str().into(), "".into(), options, FieldTable::default());
        let inbox = within("basic.consume-ok", consuming).await.expect("the consumer starts");
        Desk { connection, channel, queue, inbox }
    }

    async fn round(&mut self, number: u32) {
        let body = number.to_be_bytes();
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        let publish =
            self.channel.basic_publish("".into(), self.queue.as_str().into(), options, &body, properties);
        let confirm = within("room for a publish", publish).await.expect("the innocent client may publish");
        let confirmation = within("a confirm", confirm).await.expect("the innocent client's channel is open");
        assert!(confirmation.is_ack());
        let delivery = within("a delivery", self.inbox.next()).await.expect("the consumer lives");
        let delivery = delivery.expect("the innocent client's channel is open");
        assert_eq!(delivery.data, body, "the innocent client gets its own messages in order");
        let ack = delivery.ack(BasicAckOptions::default());
        within("room for an ack", ack).await.expect("the innocent client may acknowledge");
    }

    async fn work(mut self, mut stopped: oneshot::Receiver<()>) {
        let mut pace = tokio::time::interval(PACE);
        for number in 1.. {
            tokio::select! {
                _ = &mut stopped => {
                    self.round(number).await;
                    break;
                }
                _ = pace.tick() => self.round(number).await,
            }
        }
        within("connection.close-ok", self.connection.close(200, "bye".into())).await.expect("a clean close");
    }
}
