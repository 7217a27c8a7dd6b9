//! The wire vocabulary of AMQP 0-9-1 and its frame codec.
//!
//! Most methods go through `amq-protocol`'s types and parsers ([`method`]). What passes once per message
//! has hand-written paths without allocation ([`hot`], [`properties`], [`encode`]); property tests hold
//! them equal to `amq-protocol`'s. Nothing here keeps state across frames.

pub mod encode;
pub mod error;
pub mod frame;
pub mod hot;
pub mod limit;
pub mod method;
pub mod properties;
pub mod reader;
pub mod reply;
pub mod table;

pub use amq_protocol::{
    protocol::{AMQPClass, access, basic, channel, confirm, connection, exchange, queue, tx},
    types::{AMQPValue, FieldTable, LongString, ShortString},
};
pub use error::{Failure, Scope};
pub use frame::{FrameHead, FrameKind};
pub use limit::Limit;
pub use method::MethodId;
pub use reply::ReplyCode;

/// Number of a channel; 0 is the connection itself.
pub type ChannelId = u16;
