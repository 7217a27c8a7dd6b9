//! tx: publishes and settlements that wait for their commit (TX-01 to TX-09).

use super::{
    Core, Output,
    channel::Mode,
    settle::{self, Verdict},
    unacked::Unacked,
};
use crate::{
    amqp::{ChannelId, Failure, ReplyCode, tx},
    broker::Message,
    engine::Queues,
};

/// A publish that was routed when it came and becomes visible at the commit (TX-03).
#[derive(Debug)]
pub struct Publish {
    pub queues: Queues,
    /// It is a direct reply.
    pub reply: bool,
    /// Exchanges remember it, once it is committed.
    pub remembered: bool,
    pub message: Message,
    pub mandatory: bool,
}

/// What a transaction gathered.
#[derive(Debug, Default)]
pub struct Transaction {
    pub publishes: Vec<Publish>,
    pub settlements: Vec<(Verdict, Unacked)>,
}

impl Core {
    pub(super) fn on_tx(
        &mut self,
        id: ChannelId,
        method: &tx::AMQPMethod,
        out: &mut Output,
    ) -> Result<(), Failure> {
        let reply = match method {
            tx::AMQPMethod::Select(_) => {
                self.tx_select(id)?;
                tx::AMQPMethod::SelectOk(tx::SelectOk {})
            }
            tx::AMQPMethod::Commit(_) => {
                let transaction = self.take_transaction(id)?;
                self.commit(id, transaction, out)?;
                tx::AMQPMethod::CommitOk(tx::CommitOk {})
            }
            tx::AMQPMethod::Rollback(_) => {
                let transaction = self.take_transaction(id)?;
                self.roll_back(id, transaction);
                tx::AMQPMethod::RollbackOk(tx::RollbackOk {})
            }
            _ => return Err(super::errors::unimplemented_method()),
        };
        out.method(id, reply);
        Ok(())
    }

    fn tx_select(&mut self, id: ChannelId) -> Result<(), Failure> {
        let Some(channel) = self.channels.get_mut(&id) else { return Ok(()) };
        match channel.mode {
            Mode::Plain => channel.mode = Mode::Transaction(Box::default()),
            Mode::Transaction(_) => {}
            Mode::Confirm(_) => {
                let text = "cannot switch from confirm to tx mode";
                return Err(Failure::channel(ReplyCode::PreconditionFailed, text));
            }
        }
        Ok(())
    }

    /// Takes what was gathered; the next transaction starts at once (TX-04).
    fn take_transaction(&mut self, id: ChannelId) -> Result<Transaction, Failure> {
        match self.channels.get_mut(&id).map(|channel| &mut channel.mode) {
            Some(Mode::Transaction(transaction)) => Ok(std::mem::take(transaction)),
            _ => Err(Failure::channel(ReplyCode::PreconditionFailed, "channel is not transactional")),
        }
    }

    /// Publishes in order, then settlements in order (TX-04).
    fn commit(&mut self, id: ChannelId, transaction: Transaction, out: &mut Output) -> Result<(), Failure> {
        let Transaction { publishes, settlements } = transaction;
        let mut refused = Vec::new();
        for (serial, mut publish) in publishes.into_iter().enumerate() {
            self.remember_committed(&mut publish);
            self.count_committed(&publish);
            if publish.queues.is_empty() {
                let delivered = publish.reply && self.reply(&publish.message);
                self.not_routed(id, &publish.message, publish.mandatory, delivered, out);
            } else {
                refused.extend(self.hand_in_committed(publish, id, serial as u64));
            }
        }
        refused.extend(self.flush_batch());
        self.settle_all(id, settle::by_verdict(settlements));
        self.flush_settlements(id);
        // All of it in one go: after a crash there is all or nothing.
        let position = self.log(true);
        self.promise(position, out);
        if refused.is_empty() {
            return Ok(());
        }
        Err(Failure::channel(ReplyCode::PreconditionFailed, "partial tx completion"))
    }

    /// Publishes vanish; settlements are forgotten and may be made again (TX-05).
    pub(super) fn roll_back(&mut self, id: ChannelId, transaction: Transaction) {
        if let Some(channel) = self.channels.get_mut(&id) {
            let returned = transaction.settlements.into_iter().map(|(_, unacked)| unacked).collect();
            channel.unacked.put_back(returned);
        }
    }
}
