//! A client that sends frames that make sense, with octets changed, and octets that do not.

use leveret::amqp::{AMQPClass, ChannelId, basic, confirm, queue, tx};

use crate::{
    actor::{BINDINGS, TARGETS, queue_name, settlement},
    dice::Dice,
    frames::{content, frame, method_frame},
    steps::How,
    world::{close_channel, declaration, open_channel},
};

/// What the vandal sends: frames that make sense, with octets changed, and octets that do not.
#[derive(Debug)]
pub struct Blow {
    channel: u8,
    kind: Kind,
    /// Position and new value of octets of the payload.
    changes: Vec<(u8, u8)>,
    body: Vec<u8>,
}

#[derive(Debug)]
enum Kind {
    Open,
    Close,
    Declare { queue: u8 },
    DeclareWith,
    Delete { queue: u8 },
    Bind { queue: u8, target: u8 },
    Publish { target: u8 },
    Content,
    Consume { queue: u8, no_ack: bool },
    Get { queue: u8 },
    Settle { tag: u8, how: How, multiple: bool },
    Tx { which: u8 },
    Confirm,
    Method { class: u8, method: u8 },
    Frame { kind: u8 },
    Octets,
}

impl Blow {
    pub fn read(dice: &mut Dice<'_>) -> Blow {
        let channel = dice.octet();
        let kind = match dice.below(18) {
            0 => Kind::Open,
            1 => Kind::Close,
            2 => Kind::Declare { queue: dice.octet() },
            3 => Kind::DeclareWith,
            4 => Kind::Delete { queue: dice.octet() },
            5 => Kind::Bind { queue: dice.octet(), target: dice.octet() },
            6..9 => Kind::Publish { target: dice.octet() },
            9 => Kind::Content,
            10 => Kind::Consume { queue: dice.octet(), no_ack: dice.coin() },
            11 => Kind::Get { queue: dice.octet() },
            12 => Kind::Settle { tag: dice.octet() % 8, how: How::read(dice), multiple: dice.coin() },
            13 => Kind::Tx { which: dice.octet() },
            14 => Kind::Confirm,
            15 => Kind::Method { class: dice.octet(), method: dice.octet() },
            16 => Kind::Frame { kind: dice.octet() },
            _ => Kind::Octets,
        };
        let changes = if dice.rarely(3) { dice.below(4) } else { 0 };
        let changes = (0..changes).map(|_| (dice.octet(), dice.octet())).collect();
        let length = dice.below(24);
        Blow { channel, kind, changes, body: dice.octets(length) }
    }

    pub fn octets(self) -> Vec<u8> {
        let Blow { channel, kind, changes, body } = self;
        let id = ChannelId::from(channel % 4);
        let basic_frame = |method| method_frame(id, AMQPClass::Basic(method));
        let queue_frame = |method| method_frame(id, AMQPClass::Queue(method));
        let mut octets = match kind {
            Kind::Open => open_channel(id),
            Kind::Close => close_channel(id),
            Kind::Declare { queue } => {
                queue_frame(queue::AMQPMethod::Declare(declaration(queue_name(queue))))
            }
            Kind::DeclareWith => {
                let head =
                    [&[0, 50, 0, 10, 0, 0, 1, b'v', 0][..], &(body.len() as u32).to_be_bytes()].concat();
                frame(1, id, &[&head[..], &body].concat())
            }
            Kind::Delete { queue } => {
                let delete = queue::Delete { queue: queue_name(queue).into(), ..queue::Delete::default() };
                queue_frame(queue::AMQPMethod::Delete(delete))
            }
            Kind::Bind { queue, target } => {
                let (exchange, key) = BINDINGS[usize::from(target) % BINDINGS.len()];
                let bind = queue::Bind {
                    queue: queue_name(queue).into(),
                    exchange: exchange.into(),
                    routing_key: key.into(),
                    ..queue::Bind::default()
                };
                queue_frame(queue::AMQPMethod::Bind(bind))
            }
            Kind::Publish { target } => {
                let (exchange, key) = TARGETS[usize::from(target) % TARGETS.len()];
                let publish = basic::Publish {
                    exchange: exchange.into(),
                    routing_key: key.into(),
                    ..basic::Publish::default()
                };
                let mut octets = basic_frame(basic::AMQPMethod::Publish(publish));
                octets.extend(content(id, &[0x10, 0, 2], &body, 50));
                octets
            }
            Kind::Content => content(id, &body, &body, 7),
            Kind::Consume { queue, no_ack } => {
                let queue = queue_name(queue).into();
                basic_frame(basic::AMQPMethod::Consume(basic::Consume {
                    queue,
                    no_ack,
                    ..Default::default()
                }))
            }
            Kind::Get { queue } => basic_frame(basic::AMQPMethod::Get(basic::Get {
                queue: queue_name(queue).into(),
                no_ack: false,
            })),
            Kind::Settle { tag, how, multiple } => settlement(id, tag.into(), how, multiple),
            Kind::Tx { which } => {
                let method = match which % 3 {
                    0 => tx::AMQPMethod::Select(tx::Select {}),
                    1 => tx::AMQPMethod::Commit(tx::Commit {}),
                    _ => tx::AMQPMethod::Rollback(tx::Rollback {}),
                };
                method_frame(id, AMQPClass::Tx(method))
            }
            Kind::Confirm => {
                let select = confirm::Select { nowait: false };
                method_frame(id, AMQPClass::Confirm(confirm::AMQPMethod::Select(select)))
            }
            Kind::Method { class, method } => {
                let class = [10, 20, 30, 40, 50, 60, 85, 90][usize::from(class % 8)];
                frame(1, id, &[&[0, class, 0, method][..], &body].concat())
            }
            Kind::Frame { kind } => frame(kind, id, &body),
            Kind::Octets => body,
        };
        for (at, value) in changes {
            // Past the head, so that most of them are still frames.
            let length = octets.len();
            if let Some(octet) = octets.get_mut(7 + usize::from(at) % length.max(1)) {
                *octet = value;
            }
        }
        octets
    }
}
