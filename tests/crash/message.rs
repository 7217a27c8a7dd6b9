//! Messages that show whether they are whole: their properties name them, and the name decides every octet.
//!
//! This is stronger than a checksum, and holds for empty bodies, too: whoever knows the name of a message
//! can make it again and compare.

use std::fmt;

use lapin::{BasicProperties, message::Delivery};

use crate::random::Random;

/// Whose messages are transient: a restart is their end.
pub const TRANSIENT: u16 = 90;
/// Whose messages expire by themselves.
pub const EXPIRING: u16 = 91;
/// Messages have priorities below this.
const PRIORITIES: u32 = 6;

/// Which message of which publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id {
    pub publisher: u16,
    pub serial: u32,
    pub length: u32,
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.publisher, self.serial, self.length)
    }
}

impl Id {
    /// Properties of the message of this name.
    pub fn properties(self) -> BasicProperties {
        let properties = BasicProperties::default().with_delivery_mode(self.delivery_mode());
        properties.with_priority(self.priority()).with_message_id(self.to_string().into())
    }

    pub fn is_transient(self) -> bool {
        self.publisher == TRANSIENT
    }

    fn delivery_mode(self) -> u8 {
        if self.is_transient() { 1 } else { 2 }
    }

    /// It matters in queues with priorities only.
    pub fn priority(self) -> u8 {
        u8::try_from(self.serial % PRIORITIES).expect("few priorities")
    }

    /// The body that belongs to this name.
    pub fn body(self) -> Vec<u8> {
        let mut random = Random::new(u64::from(self.publisher) << 32 | u64::from(self.serial));
        let mut body = Vec::with_capacity(self.length as usize + 8);
        while body.len() < self.length as usize {
            body.extend_from_slice(&random.next().to_le_bytes());
        }
        body.truncate(self.length as usize);
        body
    }

    /// The name of a delivered message, or what is wrong with it.
    pub fn of(delivery: &Delivery) -> Result<Id, String> {
        let Some(name) = delivery.properties.message_id() else {
            return Err(format!("a message of {} octets without a message-id", delivery.data.len()));
        };
        let id = parse(name.as_str()).ok_or_else(|| format!("a message of the unknown name {name}"))?;
        if delivery.data != id.body() {
            let same = delivery.data.iter().zip(id.body()).take_while(|(is, ought)| *is == ought).count();
            let length = delivery.data.len();
            return Err(format!("torn: message {id} has {length} octets, only the first {same} are right"));
        }
        match delivery.properties.delivery_mode() {
            Some(mode) if *mode == id.delivery_mode() => Ok(id),
            other => Err(format!("message {id} has the delivery-mode {other:?}")),
        }
    }
}

fn parse(name: &str) -> Option<Id> {
    let mut parts = name.split('/');
    let publisher = parts.next()?.parse().ok()?;
    let serial = parts.next()?.parse().ok()?;
    let length = parts.next()?.parse().ok()?;
    parts.next().is_none().then_some(Id { publisher, serial, length })
}

/// Mostly small, sometimes empty, sometimes of several frames.
pub fn random_length(random: &mut Random) -> u32 {
    match random.pick(0..200) {
        0..10 => 0,
        10..180 => random.pick(1..1024),
        180..199 => random.pick(1024..65536),
        _ => 300 * 1024,
    }
}
