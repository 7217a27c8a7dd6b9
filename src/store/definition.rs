//! What survives a restart beside messages: durable exchanges, queues and bindings.

use super::octets::{Malformed, Reader, put_number, put_octets};

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
}

/// A durable exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExchangeDefinition {
    pub name: String,
    pub kind: String,
    pub auto_delete: bool,
    pub internal: bool,
    pub arguments: Vec<u8>,
}

/// A durable queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueDefinition {
    pub name: String,
    pub id: QueueId,
    pub auto_delete: bool,
    pub arguments: Vec<u8>,
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

const AUTO_DELETE: u8 = 1;
const INTERNAL: u8 = 2;
const TO_QUEUE: u8 = 1;

impl Definition {
    /// The vhost it belongs to.
    pub fn vhost(&self) -> &str {
        match self {
            Definition::Reset { vhost }
            | Definition::DeclareExchange { vhost, .. }
            | Definition::DeleteExchange { vhost, .. }
            | Definition::DeclareQueue { vhost, .. }
            | Definition::DeleteQueue { vhost, .. }
            | Definition::Bind { vhost, .. }
            | Definition::Unbind { vhost, .. } => vhost,
        }
    }

    pub fn encode(&self, out: &mut Vec<u8>) {
        let kind = match self {
            Definition::Reset { .. } => RESET,
            Definition::DeclareExchange { .. } => DECLARE_EXCHANGE,
            Definition::DeleteExchange { .. } => DELETE_EXCHANGE,
            Definition::DeclareQueue { .. } => DECLARE_QUEUE,
            Definition::DeleteQueue { .. } => DELETE_QUEUE,
            Definition::Bind { .. } => BIND,
            Definition::Unbind { .. } => UNBIND,
        };
        out.push(kind);
        put_octets(out, self.vhost().as_bytes());
        match self {
            Definition::Reset { .. } => {}
            Definition::DeclareExchange { exchange, .. } => {
                let flags = if exchange.auto_delete { AUTO_DELETE } else { 0 }
                    | if exchange.internal { INTERNAL } else { 0 };
                out.push(flags);
                put_octets(out, exchange.name.as_bytes());
                put_octets(out, exchange.kind.as_bytes());
                put_octets(out, &exchange.arguments);
            }
            Definition::DeleteExchange { name, .. } => put_octets(out, name.as_bytes()),
            Definition::DeclareQueue { queue, .. } => {
                out.push(if queue.auto_delete { AUTO_DELETE } else { 0 });
                put_number(out, queue.id);
                put_octets(out, queue.name.as_bytes());
                put_octets(out, &queue.arguments);
            }
            Definition::DeleteQueue { name, id, .. } => {
                put_number(out, *id);
                put_octets(out, name.as_bytes());
            }
            Definition::Bind { binding, .. } | Definition::Unbind { binding, .. } => {
                out.push(if binding.to_queue { TO_QUEUE } else { 0 });
                for text in [&binding.source, &binding.destination, &binding.routing_key] {
                    put_octets(out, text.as_bytes());
                }
                put_octets(out, &binding.arguments);
            }
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
                };
                Definition::DeclareExchange { vhost, exchange }
            }
            DELETE_EXCHANGE => Definition::DeleteExchange { vhost, name: reader.string()? },
            DECLARE_QUEUE => {
                let queue = QueueDefinition {
                    auto_delete: reader.octet()? & AUTO_DELETE != 0,
                    id: reader.number()?,
                    name: reader.string()?,
                    arguments: reader.octets()?.to_vec(),
                };
                Definition::DeclareQueue { vhost, queue }
            }
            DELETE_QUEUE => {
                let id = reader.number()?;
                Definition::DeleteQueue { vhost, name: reader.string()?, id }
            }
            BIND => Definition::Bind { vhost, binding: binding(reader)? },
            UNBIND => Definition::Unbind { vhost, binding: binding(reader)? },
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
