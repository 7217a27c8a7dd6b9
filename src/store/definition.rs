//! What survives a restart beside messages: users, vhosts, permissions, durable exchanges, queues and bindings.

use super::{
    octets::{Malformed, Reader, put_number, put_octets},
    setting::Setting,
};

/// Names a queue for as long as its data directory lives; never reused in it.
pub type QueueId = u64;

/// A change of what is defined. Names are at most 255 octets; arguments are the body of a field table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Definition {
    /// Everything defined in the vhost so far is void; its current state follows in the same batch.
    Reset {
        vhost: String,
    },
    DeclareExchange {
        vhost: String,
        exchange: ExchangeDefinition,
    },
    DeleteExchange {
        vhost: String,
        name: String,
    },
    DeclareQueue {
        vhost: String,
        queue: QueueDefinition,
    },
    DeleteQueue {
        vhost: String,
        name: String,
        id: QueueId,
    },
    Bind {
        vhost: String,
        binding: BindingDefinition,
    },
    Unbind {
        vhost: String,
        binding: BindingDefinition,
    },
    /// What an exchange or queue kept beside its messages goes with it.
    DeleteKept {
        vhost: String,
        id: QueueId,
    },
    PutUser(UserDefinition),
    DeleteUser {
        name: String,
    },
    PutVhost(VhostDefinition),
    DeleteVhost {
        name: String,
    },
    PutPermission(PermissionDefinition),
    ClearPermission {
        vhost: String,
        user: String,
    },
    Set(Setting),
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserDefinition {
    pub name: String,
    /// Salt and digest.
    pub hash: Vec<u8>,
    /// The name of the digest's algorithm.
    pub algorithm: String,
    pub tags: Vec<String>,
}

/// A vhost, apart from what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VhostDefinition {
    pub name: String,
    pub description: String,
    pub tags: Vec<String>,
}

/// The rights of a user in a vhost, as patterns on names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PermissionDefinition {
    pub vhost: String,
    pub user: String,
    pub configure: String,
    pub write: String,
    pub read: String,
}

/// A durable exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExchangeDefinition {
    pub name: String,
    pub kind: String,
    pub auto_delete: bool,
    pub internal: bool,
    pub arguments: Vec<u8>,
    /// Where the messages are that wait in it: as if in a queue of this number.
    pub delay: Option<QueueId>,
    /// Where the messages are kept that stand for those that it has seen.
    pub cache: Option<QueueId>,
}

/// A durable queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueDefinition {
    pub name: String,
    pub id: QueueId,
    pub auto_delete: bool,
    pub arguments: Vec<u8>,
    /// Where the messages are kept that stand for the identities of those in it.
    pub identities: Option<QueueId>,
}

/// A binding between durable things.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BindingDefinition {
    pub source: String,
    pub destination: String,
    pub to_queue: bool,
    pub routing_key: String,
    pub arguments: Vec<u8>,
}

const RESET: u8 = 0;
const DECLARE_EXCHANGE: u8 = 1;
const DELETE_EXCHANGE: u8 = 2;
const DECLARE_QUEUE: u8 = 3;
const DELETE_QUEUE: u8 = 4;
const BIND: u8 = 5;
const UNBIND: u8 = 6;
const PUT_USER: u8 = 7;
const DELETE_USER: u8 = 8;
const PUT_VHOST: u8 = 9;
const DELETE_VHOST: u8 = 10;
const PUT_PERMISSION: u8 = 11;
const CLEAR_PERMISSION: u8 = 12;
const DELETE_KEPT: u8 = 13;
/// Settings have kinds of their own.
const SET: u8 = 32;

/// Stands for the node in place of a vhost, whose names are not empty.
pub const NODE: &str = "";

const AUTO_DELETE: u8 = 1;
const INTERNAL: u8 = 2;
const DELAYS: u8 = 4;
const REMEMBERS: u8 = 8;
const IDENTIFIES: u8 = 2;
const TO_QUEUE: u8 = 1;

impl ExchangeDefinition {
    /// The numbers under which it keeps messages.
    pub fn kept(&self) -> impl Iterator<Item = QueueId> {
        [self.delay, self.cache].into_iter().flatten()
    }
}

impl QueueDefinition {
    /// Its own number, and that of what it keeps beside its messages.
    pub fn ids(&self) -> impl Iterator<Item = QueueId> {
        std::iter::once(self.id).chain(self.identities)
    }
}

impl Definition {
    /// The vhost it belongs to; [`NODE`] for users, vhosts, permissions and settings, which a reset of that name voids.
    pub fn vhost(&self) -> &str {
        match self {
            Definition::Reset { vhost }
            | Definition::DeclareExchange { vhost, .. }
            | Definition::DeleteExchange { vhost, .. }
            | Definition::DeclareQueue { vhost, .. }
            | Definition::DeleteQueue { vhost, .. }
            | Definition::DeleteKept { vhost, .. }
            | Definition::Bind { vhost, .. }
            | Definition::Unbind { vhost, .. } => vhost,
            Definition::PutUser(_)
            | Definition::DeleteUser { .. }
            | Definition::PutVhost(_)
            | Definition::DeleteVhost { .. }
            | Definition::PutPermission(_)
            | Definition::ClearPermission { .. }
            | Definition::Set(_) => NODE,
        }
    }

    fn kind(&self) -> u8 {
        match self {
            Definition::Reset { .. } => RESET,
            Definition::DeclareExchange { .. } => DECLARE_EXCHANGE,
            Definition::DeleteExchange { .. } => DELETE_EXCHANGE,
            Definition::DeclareQueue { .. } => DECLARE_QUEUE,
            Definition::DeleteQueue { .. } => DELETE_QUEUE,
            Definition::DeleteKept { .. } => DELETE_KEPT,
            Definition::Bind { .. } => BIND,
            Definition::Unbind { .. } => UNBIND,
            Definition::PutUser(_) => PUT_USER,
            Definition::DeleteUser { .. } => DELETE_USER,
            Definition::PutVhost(_) => PUT_VHOST,
            Definition::DeleteVhost { .. } => DELETE_VHOST,
            Definition::PutPermission(_) => PUT_PERMISSION,
            Definition::ClearPermission { .. } => CLEAR_PERMISSION,
            Definition::Set(_) => SET,
        }
    }

    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.kind());
        put_octets(out, self.vhost().as_bytes());
        match self {
            Definition::Reset { .. } => {}
            Definition::DeclareExchange { exchange, .. } => {
                let flags = [
                    (AUTO_DELETE, exchange.auto_delete),
                    (INTERNAL, exchange.internal),
                    (DELAYS, exchange.delay.is_some()),
                    (REMEMBERS, exchange.cache.is_some()),
                ];
                out.push(flags.iter().map(|(flag, set)| if *set { *flag } else { 0 }).sum());
                put_octets(out, exchange.name.as_bytes());
                put_octets(out, exchange.kind.as_bytes());
                put_octets(out, &exchange.arguments);
                exchange.kept().for_each(|id| put_number(out, id));
            }
            Definition::DeleteExchange { name, .. } => put_octets(out, name.as_bytes()),
            Definition::DeclareQueue { queue, .. } => {
                let identifies = if queue.identities.is_some() { IDENTIFIES } else { 0 };
                out.push(if queue.auto_delete { AUTO_DELETE } else { 0 } | identifies);
                put_number(out, queue.id);
                put_octets(out, queue.name.as_bytes());
                put_octets(out, &queue.arguments);
                if let Some(id) = queue.identities {
                    put_number(out, id);
                }
            }
            Definition::DeleteQueue { name, id, .. } => {
                put_number(out, *id);
                put_octets(out, name.as_bytes());
            }
            Definition::DeleteKept { id, .. } => put_number(out, *id),
            Definition::Bind { binding, .. } | Definition::Unbind { binding, .. } => {
                out.push(if binding.to_queue { TO_QUEUE } else { 0 });
                for text in [&binding.source, &binding.destination, &binding.routing_key] {
                    put_octets(out, text.as_bytes());
                }
                put_octets(out, &binding.arguments);
            }
            Definition::PutUser(user) => {
                put_octets(out, user.name.as_bytes());
                put_octets(out, &user.hash);
                put_octets(out, user.algorithm.as_bytes());
                put_texts(out, &user.tags);
            }
            Definition::PutVhost(vhost) => {
                put_octets(out, vhost.name.as_bytes());
                put_octets(out, vhost.description.as_bytes());
                put_texts(out, &vhost.tags);
            }
            Definition::DeleteUser { name } | Definition::DeleteVhost { name } => {
                put_octets(out, name.as_bytes());
            }
            Definition::PutPermission(row) => {
                for text in [&row.vhost, &row.user, &row.configure, &row.write, &row.read] {
                    put_octets(out, text.as_bytes());
                }
            }
            Definition::ClearPermission { vhost, user } => {
                put_octets(out, vhost.as_bytes());
                put_octets(out, user.as_bytes());
            }
            Definition::Set(setting) => setting.encode(out),
        }
    }

    pub fn decode(reader: &mut Reader<'_>) -> Result<Definition, Malformed> {
        let kind = reader.octet()?;
        let vhost = reader.string()?;
        Ok(match kind {
            RESET => Definition::Reset { vhost },
            DECLARE_EXCHANGE => {
                let flags = reader.octet()?;
                let exchange = ExchangeDefinition {
                    auto_delete: flags & AUTO_DELETE != 0,
                    internal: flags & INTERNAL != 0,
                    name: reader.string()?,
                    kind: reader.string()?,
                    arguments: reader.octets()?.to_vec(),
                    delay: if flags & DELAYS != 0 { Some(reader.number()?) } else { None },
                    cache: if flags & REMEMBERS != 0 { Some(reader.number()?) } else { None },
                };
                Definition::DeclareExchange { vhost, exchange }
            }
            DELETE_EXCHANGE => Definition::DeleteExchange { vhost, name: reader.string()? },
            DECLARE_QUEUE => {
                let flags = reader.octet()?;
                let queue = QueueDefinition {
                    auto_delete: flags & AUTO_DELETE != 0,
                    id: reader.number()?,
                    name: reader.string()?,
                    arguments: reader.octets()?.to_vec(),
                    identities: if flags & IDENTIFIES != 0 { Some(reader.number()?) } else { None },
                };
                Definition::DeclareQueue { vhost, queue }
            }
            DELETE_QUEUE => {
                let id = reader.number()?;
                Definition::DeleteQueue { vhost, name: reader.string()?, id }
            }
            DELETE_KEPT => Definition::DeleteKept { vhost, id: reader.number()? },
            BIND => Definition::Bind { vhost, binding: binding(reader)? },
            UNBIND => Definition::Unbind { vhost, binding: binding(reader)? },
            PUT_USER => Definition::PutUser(UserDefinition {
                name: reader.string()?,
                hash: reader.octets()?.to_vec(),
                algorithm: reader.string()?,
                tags: texts(reader)?,
            }),
            DELETE_USER => Definition::DeleteUser { name: reader.string()? },
            PUT_VHOST => Definition::PutVhost(VhostDefinition {
                name: reader.string()?,
                description: reader.string()?,
                tags: texts(reader)?,
            }),
            DELETE_VHOST => Definition::DeleteVhost { name: reader.string()? },
            PUT_PERMISSION => Definition::PutPermission(PermissionDefinition {
                vhost: reader.string()?,
                user: reader.string()?,
                configure: reader.string()?,
                write: reader.string()?,
                read: reader.string()?,
            }),
            CLEAR_PERMISSION => {
                Definition::ClearPermission { vhost: reader.string()?, user: reader.string()? }
            }
            SET => Definition::Set(Setting::decode(reader)?),
            _ => return Err(Malformed),
        })
    }
}

fn binding(reader: &mut Reader<'_>) -> Result<BindingDefinition, Malformed> {
    let to_queue = reader.octet()? & TO_QUEUE != 0;
    Ok(BindingDefinition {
        to_queue,
        source: reader.string()?,
        destination: reader.string()?,
        routing_key: reader.string()?,
        arguments: reader.octets()?.to_vec(),
    })
}

fn put_texts(out: &mut Vec<u8>, texts: &[String]) {
    put_number(out, texts.len() as u64);
    texts.iter().for_each(|text| put_octets(out, text.as_bytes()));
}

fn texts(reader: &mut Reader<'_>) -> Result<Vec<String>, Malformed> {
    let count = reader.number()?;
    (0..count).map(|_| reader.string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_vhosts_and_permissions_come_back_as_they_went_in() {
        let user = UserDefinition {
            name: "u".to_owned(),
            hash: vec![0, 255],
            algorithm: "a".to_owned(),
            tags: vec!["one".to_owned(), String::new()],
        };
        let vhost = VhostDefinition { name: "v".to_owned(), description: "d".to_owned(), tags: Vec::new() };
        let text = str::to_owned;
        let row = PermissionDefinition {
            vhost: text("v"),
            user: text("u"),
            configure: text(".*"),
            write: text(""),
            read: text("^r"),
        };
        for definition in [
            Definition::PutUser(user),
            Definition::DeleteUser { name: text("u") },
            Definition::PutVhost(vhost),
            Definition::DeleteVhost { name: text("v") },
            Definition::PutPermission(row),
            Definition::ClearPermission { vhost: text("v"), user: text("u") },
        ] {
            let mut octets = Vec::new();
            definition.encode(&mut octets);
            let mut reader = Reader::new(&octets);
            assert_eq!(Definition::decode(&mut reader).unwrap(), definition);
            assert!(reader.is_empty() && definition.vhost() == NODE);
            // Whatever is cut off is noticed.
            for length in 0..octets.len() {
                assert!(Definition::decode(&mut Reader::new(&octets[..length])).is_err());
            }
        }
    }
}
