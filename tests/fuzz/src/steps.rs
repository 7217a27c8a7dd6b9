//! What the clients of a fuzzed session do, read from the octets of an input.

use crate::{dice::Dice, vandal::Blow};

#[derive(Debug)]
pub struct Step {
    /// Which client, and which of its channels.
    pub place: u8,
    /// Into how large pieces its octets are cut.
    pub cut: u16,
    pub action: Action,
}

#[derive(Debug)]
pub enum Action {
    CloseChannel,
    Declare { queue: u8, nowait: bool },
    Delete { queue: u8, if_unused: bool, if_empty: bool },
    Purge { queue: u8 },
    Bind { queue: u8, target: u8, nowait: bool },
    Unbind { queue: u8, target: u8 },
    Burst(Vec<Item>, Then),
    PublishNowhere,
    Consume { queue: u8, no_ack: bool, exclusive: bool, priority: i8, nowait: bool },
    Cancel { nth: u8, nowait: bool },
    Get { queue: u8, no_ack: bool },
    Settle { tag: u8, how: How, multiple: bool },
    Qos { count: u8, global: bool },
    Recover { is_async: bool },
    ConfirmSelect { nowait: bool },
    TxSelect,
    TxCommit,
    TxRollback,
    CloseConnection,
    Vanish,
    ForceClose,
    ConsumeReplies,
    Reply,
    Wait { millis: u8 },
    Vandalize(Vec<Blow>),
}

/// What becomes of a burst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    Nothing,
    /// An alarm meets it; it goes on when the alarm is over.
    Alarm,
    /// A channel closes with the same write, so that deliveries to it are still under way.
    CloseChannel,
    CloseConnection,
    /// The connection is lost before anything can be written to it.
    Vanish,
}

impl Then {
    pub fn read(dice: &mut Dice<'_>) -> Then {
        match dice.below(32) {
            0 => Then::Alarm,
            1 | 2 => Then::CloseChannel,
            3 => Then::CloseConnection,
            4 => Then::Vanish,
            _ => Then::Nothing,
        }
    }
}

/// A part of a burst; nothing of it is wrong.
#[derive(Debug)]
pub enum Item {
    Publish { channel: u8, target: u8, size: u8, extras: u8, frame: u16 },
    Settle { channel: u8, which: u8, how: How, multiple: bool },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    Ack,
    Nack,
    NackRequeue,
    Reject,
    RejectRequeue,
}

impl How {
    pub fn read(dice: &mut Dice<'_>) -> How {
        match dice.below(8) {
            0 => How::Nack,
            1 => How::Reject,
            2 => How::RejectRequeue,
            3 | 4 => How::NackRequeue,
            _ => How::Ack,
        }
    }

    pub fn requeues(self) -> bool {
        matches!(self, How::NackRequeue | How::RejectRequeue)
    }
}

impl Step {
    pub fn read(dice: &mut Dice<'_>) -> Step {
        let place = dice.octet();
        // Mostly whole, at times in pieces of a few octets.
        let cut = if dice.rarely(4) { 1 + u16::from(dice.octet()) } else { u16::MAX };
        Step { place, cut, action: Action::read(dice) }
    }
}

impl Action {
    /// What happens all the time takes more than one number.
    pub fn read(dice: &mut Dice<'_>) -> Action {
        match dice.below(48) {
            0..11 => Action::Burst(Item::read_several(dice), Then::read(dice)),
            11..16 => Action::Consume {
                queue: dice.octet(),
                no_ack: dice.rarely(3),
                exclusive: dice.rarely(10),
                priority: if dice.rarely(4) { dice.below(3) as i8 - 1 } else { 0 },
                nowait: dice.rarely(4),
            },
            16..18 => Action::Cancel { nth: dice.octet(), nowait: dice.rarely(4) },
            18..21 => Action::Get { queue: dice.octet(), no_ack: dice.rarely(3) },
            21..26 => Action::Burst(vec![Item::read_settlement(dice)], Then::Nothing),
            26 => Action::Settle { tag: dice.octet() % 8, how: How::read(dice), multiple: dice.coin() },
            27..30 => Action::Qos { count: dice.octet(), global: dice.coin() },
            30 => Action::Recover { is_async: dice.coin() },
            31 => Action::ConfirmSelect { nowait: dice.coin() },
            32 => Action::TxSelect,
            33..35 => Action::TxCommit,
            35 => Action::TxRollback,
            36 => Action::CloseChannel,
            37 => Action::Declare { queue: dice.octet(), nowait: dice.coin() },
            38 => Action::Bind { queue: dice.octet(), target: dice.octet(), nowait: dice.coin() },
            39 => Action::Unbind { queue: dice.octet(), target: dice.octet() },
            40 => Action::Wait { millis: dice.octet() },
            41 => Action::ConsumeReplies,
            42 => Action::Reply,
            43 => Action::Vandalize((0..1 + dice.below(6)).map(|_| Blow::read(dice)).collect()),
            44 if dice.coin() => Action::Purge { queue: dice.octet() },
            44 => Action::Delete { queue: dice.octet(), if_unused: dice.coin(), if_empty: dice.coin() },
            45 if dice.rarely(3) => Action::PublishNowhere,
            46 if dice.rarely(3) => Action::CloseConnection,
            47 if dice.rarely(3) => Action::Vanish,
            47 if dice.rarely(8) => Action::ForceClose,
            _ => Action::Burst(Item::read_several(dice), Then::read(dice)),
        }
    }
}

impl Item {
    fn read_several(dice: &mut Dice<'_>) -> Vec<Item> {
        let count = 1 + dice.below(6);
        (0..count)
            .map(|_| if dice.rarely(3) { Item::read_settlement(dice) } else { Item::read_publish(dice) })
            .collect()
    }

    fn read_publish(dice: &mut Dice<'_>) -> Item {
        let (channel, target) = (dice.octet(), dice.octet());
        let size = if dice.rarely(4) { dice.octet() } else { 0 };
        let frame = if dice.rarely(4) { u16::from(dice.octet()) } else { u16::MAX };
        Item::Publish { channel, target, size, extras: dice.octet(), frame }
    }

    fn read_settlement(dice: &mut Dice<'_>) -> Item {
        let (channel, which) = (dice.octet(), dice.octet());
        Item::Settle { channel, which, how: How::read(dice), multiple: dice.rarely(3) }
    }
}
