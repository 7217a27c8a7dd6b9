//! Hand-written parsers of the methods that pass once per message.
//!
//! Each returns `None` when the arguments do not fit exactly; the caller then answers CON-96. Property
//! tests hold them equal to `amq-protocol`'s parsers in both directions.

use super::{MethodId, reader::Reader};

/// basic.publish. Names are raw octets: RabbitMQ does not check their encoding here (CON-97).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publish<'a> {
    pub exchange: &'a [u8],
    pub routing_key: &'a [u8],
    pub mandatory: bool,
    pub immediate: bool,
}

/// basic.ack, basic.nack or basic.reject of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settle {
    Ack { tag: u64, multiple: bool },
    Nack { tag: u64, multiple: bool, requeue: bool },
    Reject { tag: u64, requeue: bool },
}

impl Settle {
    /// The method that carried it.
    pub fn id(&self) -> MethodId {
        let method = match self {
            Settle::Ack { .. } => 80,
            Settle::Reject { .. } => 90,
            Settle::Nack { .. } => 120,
        };
        MethodId { class: 60, method }
    }
}

/// Parses the payload of a basic.publish, its class and method numbers included.
#[inline]
pub fn publish(payload: &[u8]) -> Option<Publish<'_>> {
    // Class, method and the ticket, which nobody has used since 0-9.
    let mut reader = Reader::new(payload.get(6..)?);
    let exchange = reader.short().ok()?;
    let routing_key = reader.short().ok()?;
    let &[bits] = reader.rest() else { return None };
    Some(Publish { exchange, routing_key, mandatory: bits & 1 != 0, immediate: bits & 2 != 0 })
}

/// Parses the payload of a basic.ack, basic.nack or basic.reject.
#[inline]
pub fn settle(payload: &[u8]) -> Option<Settle> {
    let &[0, 60, 0, method, ref arguments @ ..] = payload else { return None };
    let (tag, rest) = arguments.split_first_chunk::<8>()?;
    let &[bits] = rest else { return None };
    let tag = u64::from_be_bytes(*tag);
    Some(match method {
        80 => Settle::Ack { tag, multiple: bits & 1 != 0 },
        90 => Settle::Reject { tag, requeue: bits & 1 != 0 },
        120 => Settle::Nack { tag, multiple: bits & 1 != 0, requeue: bits & 2 != 0 },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use amq_protocol::protocol::{AMQPClass, basic, parse_class};
    use proptest::prelude::*;

    use super::*;
    use crate::amqp::method;

    fn payload_of(class: basic::AMQPMethod) -> Vec<u8> {
        let mut out = Vec::new();
        method::encode(&mut out, 1, AMQPClass::Basic(class));
        out[7..out.len() - 1].to_vec()
    }

    proptest! {
        #[test]
        fn publish_reads_what_the_generator_wrote(
            exchange in "\\PC{0,60}", routing_key in "\\PC{0,60}", mandatory: bool, immediate: bool,
        ) {
            let payload = payload_of(basic::AMQPMethod::Publish(basic::Publish {
                exchange: exchange.as_str().into(),
                routing_key: routing_key.as_str().into(),
                mandatory,
                immediate,
            }));
            let expected = Publish {
                exchange: exchange.as_bytes(), routing_key: routing_key.as_bytes(), mandatory, immediate,
            };
            prop_assert_eq!(publish(&payload), Some(expected));
        }

        #[test]
        fn settle_reads_what_the_generator_wrote(tag: u64, multiple: bool, requeue: bool) {
            let ack = payload_of(basic::AMQPMethod::Ack(basic::Ack { delivery_tag: tag, multiple }));
            prop_assert_eq!(settle(&ack), Some(Settle::Ack { tag, multiple }));
            let nack = basic::Nack { delivery_tag: tag, multiple, requeue };
            let nack = payload_of(basic::AMQPMethod::Nack(nack));
            prop_assert_eq!(settle(&nack), Some(Settle::Nack { tag, multiple, requeue }));
            let reject = payload_of(basic::AMQPMethod::Reject(basic::Reject { delivery_tag: tag, requeue }));
            prop_assert_eq!(settle(&reject), Some(Settle::Reject { tag, requeue }));
        }

        #[test]
        fn both_parsers_accept_the_same_octets(tail in proptest::collection::vec(any::<u8>(), 0..40)) {
            for id in [40u8, 80, 90, 120] {
                let payload = [&[0, 60, 0, id][..], &tail].concat();
                let theirs = matches!(parse_class(payload.as_slice()), Ok((rest, _)) if rest.is_empty());
                let ours = match id {
                    40 => publish(&payload).is_some_and(|publish| {
                        // The generated parser insists on UTF-8, RabbitMQ and we do not.
                        std::str::from_utf8(publish.exchange).is_ok()
                            && std::str::from_utf8(publish.routing_key).is_ok()
                    }),
                    _ => settle(&payload).is_some(),
                };
                prop_assert_eq!(ours, theirs);
            }
        }
    }
}
