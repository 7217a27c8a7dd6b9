//! Answers that wait for the log: confirms, and replies to what must be durable first.

use std::task::Waker;

use super::{
    Core, Output, Session,
    channel::{Confirms, Mode},
};
use crate::{
    amqp::{ChannelId, Failure, ReplyCode, encode},
    store::{DURABLE, Position},
};

/// A confirm that waits.
#[derive(Debug)]
pub struct Awaited {
    position: Position,
    channel: ChannelId,
    /// Everything published on the channel up to here.
    up_to: u64,
    refused: Vec<u64>,
}

impl Core {
    /// Confirms what was published on a channel so far, now or when `position` is durable. In order: what need
    /// not wait waits for what was published before it.
    pub(super) fn confirm(&mut self, id: ChannelId, position: Position, out: &mut Output) {
        let Some(Mode::Confirm(confirms)) = self.channels.get_mut(&id).map(|channel| &mut channel.mode)
        else {
            return;
        };
        if confirms.promised == confirms.published {
            return;
        }
        confirms.promised = confirms.published;
        let refused = std::mem::take(&mut confirms.refused);
        if self.awaited.is_empty() && self.node.journal.is_durable_now(position) {
            let sent = send_confirms(out, id, confirms, confirms.promised, refused);
            return self.count_confirms(id, sent);
        }
        let position = self.awaited.back().map_or(position, |last| position.max(last.position));
        self.awaited.push_back(Awaited { position, channel: id, up_to: confirms.promised, refused });
    }

    fn count_confirms(&self, id: ChannelId, sent: u64) {
        if let Some(channel) = self.channels.get(&id) {
            channel.meter.confirmed.add(sent);
        }
    }

    /// Sends the confirms whose position is durable; `waker` is woken when the next may be.
    fn send_awaited(&mut self, waker: &Waker, out: &mut Output) {
        while let Some(first) = self.awaited.front() {
            if !self.node.journal.is_durable(first.position, waker) {
                return;
            }
            let Some(Awaited { channel: id, up_to, refused, .. }) = self.awaited.pop_front() else { return };
            if let Some(Mode::Confirm(confirms)) = self.channels.get_mut(&id).map(|channel| &mut channel.mode)
            {
                let sent = send_confirms(out, id, confirms, up_to, refused);
                self.count_confirms(id, sent);
            }
        }
    }

    /// Forgets confirms of a channel that closes; its number may be used again.
    pub(super) fn forget_awaited(&mut self, id: ChannelId) {
        self.awaited.retain(|awaited| awaited.channel != id);
    }

    /// What is put out from here on says that something is durable, so that it waits until it is.
    pub(super) fn promise(&self, position: Position, out: &mut Output) {
        if position != DURABLE && !self.node.journal.is_durable_now(position) {
            out.hold(position);
        }
    }

    /// As [`Core::promise`], for every definition made so far.
    pub(super) fn promise_definitions(&self, out: &mut Output) {
        self.promise(self.node.journal.last_definition(), out);
    }
}

impl Session {
    /// Looks at the log again: lets answers go whose position is durable by now. True when input that waited
    /// for the log need not wait any more. `waker` is woken when there is something new.
    pub fn recheck_log(&mut self, waker: &Waker) -> bool {
        let journal = self.core.node.journal.clone();
        if !journal.is_on() {
            return false;
        }
        while let Some(position) = self.output.held_for()
            && journal.is_durable(position, waker)
        {
            self.output.release();
        }
        self.core.send_awaited(waker, &mut self.output);
        let is_behind = || journal.is_full(waker) || self.core.node.paging.is_behind(waker);
        if self.core.disk_is_behind && !is_behind() {
            self.core.disk_is_behind = false;
            return true;
        }
        false
    }

    /// Closes the connection if the log has failed: nothing it could be told would be true.
    pub fn check_log(&mut self) {
        if self.is_running()
            && let Some(reason) = self.core.node.journal.failure()
        {
            let text = format!("the message log failed: {reason}");
            self.output.forget_holds();
            self.on_failure(0, &Failure::connection(ReplyCode::InternalError, text));
        }
    }
}

/// Confirms everything up to `up_to`: refused ones singly, the rest as few as possible (CNF-03). Returns how
/// many were confirmed.
fn send_confirms(
    out: &mut Output,
    id: ChannelId,
    confirms: &mut Confirms,
    up_to: u64,
    mut refused: Vec<u64>,
) -> u64 {
    let before = confirms.answered;
    refused.sort_unstable();
    // A message may be refused by several of its queues.
    refused.dedup();
    let nacks = refused.len() as u64;
    for number in refused {
        confirm_up_to(out, id, confirms, number - 1);
        encode::nack(out.buffer(), id, number);
        confirms.answered = number;
    }
    confirm_up_to(out, id, confirms, up_to);
    (confirms.answered - before).saturating_sub(nacks)
}

fn confirm_up_to(out: &mut Output, id: ChannelId, confirms: &mut Confirms, number: u64) {
    if confirms.answered < number {
        let multiple = 1 < number - confirms.answered;
        encode::ack(out.buffer(), id, number, multiple);
        confirms.answered = number;
    }
}
