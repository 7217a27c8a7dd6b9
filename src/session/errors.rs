//! The one table from what the broker refuses to what the client is told.

use crate::{
    amqp::{Failure, ReplyCode},
    broker::topology::TopologyError,
    engine::{Full, Refused},
};

/// A refusal of exchanges and bindings.
pub fn of_topology(error: TopologyError) -> Failure {
    use TopologyError as E;
    let code = match &error {
        E::NoExchange { .. } | E::NoQueue { .. } => ReplyCode::NotFound,
        E::ReservedName { .. }
        | E::DefaultExchange
        | E::SystemExchange { .. }
        | E::InternalExchange { .. } => ReplyCode::AccessRefused,
        E::UnknownType { .. }
        | E::Inequivalent { .. }
        | E::ArgumentType { .. }
        | E::ExchangeLimit { .. }
        | E::InUse { .. }
        | E::Further(_)
        | E::MatchValue { .. }
        | E::MatchType { .. } => ReplyCode::PreconditionFailed,
    };
    Failure::channel(code, error.to_string())
}

/// A refusal of queues and consumers.
pub fn of_queue(error: Refused) -> Failure {
    let code = match &error {
        Refused::NoQueue { .. } | Refused::NoPreviousQueue => ReplyCode::NotFound,
        Refused::NotAllowed { .. }
        | Refused::TopicNotAllowed { .. }
        | Refused::ReservedName { .. }
        | Refused::ExclusiveUse { .. }
        | Refused::ReplyQueue => ReplyCode::AccessRefused,
        Refused::VhostDeleted { .. } => {
            return Failure::connection(ReplyCode::InternalError, error.to_string());
        }
        Refused::Locked { .. } => ReplyCode::ResourceLocked,
        Refused::NotOfStreams { .. } | Refused::SharedPrefetch { .. } => {
            return Failure::connection(ReplyCode::NotImplemented, error.to_string());
        }
        Refused::Argument(_)
        | Refused::NoPrefetch { .. }
        | Refused::InUse { .. }
        | Refused::QueueLimit { .. }
        | Refused::ClusterQueueLimit { .. }
        | Refused::NotEmpty { .. } => ReplyCode::PreconditionFailed,
        Refused::Topology(error) => return of_topology(error.clone()),
    };
    Failure::channel(code, error.to_string())
}

/// Another connection or channel than there may be (CON-54 to CON-56, CON-129).
pub fn of_full(full: &Full) -> Failure {
    Failure::connection(ReplyCode::NotAllowed, full.to_string()).over(full.limit())
}

/// A method that only servers send, or that belongs elsewhere (CON-123).
pub fn unimplemented_method() -> Failure {
    Failure::connection(ReplyCode::CommandInvalid, "unimplemented method")
}
