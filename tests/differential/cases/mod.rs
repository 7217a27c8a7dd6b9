//! The list, one file per part of the behaviour reference.

pub mod alarms;
pub mod arguments;
pub mod basic_errors;
pub mod channels;
pub mod closing;
pub mod confirms;
pub mod consuming;
pub mod dying;
pub mod equivalence;
pub mod exchange_errors;
pub mod exchanges;
pub mod framing;
pub mod further_exchanges;
pub mod handshake;
pub mod matching;
pub mod policies;
pub mod publishing;
pub mod queue_errors;
pub mod queue_types;
pub mod queues;
pub mod replies;
pub mod settling;
pub mod streams;
pub mod transactions;
pub mod values;
