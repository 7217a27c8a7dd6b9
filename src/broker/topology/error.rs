//! What declaring, binding and publishing can be refused for.
//!
//! `Display` is the explanation as RabbitMQ words it, without the reply code's name in front; the session maps
//! variants to reply codes.

/// Why the topology refused an operation. Each variant names the reference line it implements.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopologyError {
    /// CH-20, CH-32, CH-34, CH-47: passive declare, bind or publish naming a missing exchange (404).
    #[error("no exchange '{name}' in vhost '{vhost}'")]
    NoExchange {
        /// The exchange asked for.
        name: String,
        /// The virtual host asked.
        vhost: String,
    },
    /// CH-40, CH-47: bind of a missing queue (404).
    #[error("no queue '{name}' in vhost '{vhost}'")]
    NoQueue {
        /// The queue asked for.
        name: String,
        /// The virtual host asked.
        vhost: String,
    },
    /// CH-22: declare of a new `amq.` name (403).
    #[error("exchange name '{name}' contains reserved prefix 'amq.*'")]
    ReservedName {
        /// The name asked for.
        name: String,
    },
    /// CH-28: declare, passive declare, delete, bind or unbind naming the default exchange (403).
    #[error("operation not permitted on the default exchange")]
    DefaultExchange,
    /// CH-29: delete of an `amq.` name, existing or not (403).
    #[error("deletion of system exchange '{name}' in vhost '{vhost}' not allowed")]
    SystemExchange {
        /// The exchange to delete.
        name: String,
        /// Its virtual host.
        vhost: String,
    },
    /// CH-35: publish to an internal exchange (403).
    #[error("cannot publish to internal exchange '{name}' in vhost '{vhost}'")]
    InternalExchange {
        /// The exchange published to.
        name: String,
        /// Its virtual host.
        vhost: String,
    },
    /// CH-24: declare with an exchange type nobody implements (406).
    #[error("unknown exchange type '{kind}'")]
    UnknownType {
        /// The type asked for.
        kind: String,
    },
    /// CH-25, CH-26: redeclare with another attribute or alternate exchange (406).
    #[error("inequivalent arg '{attribute}' for exchange '{name}' in vhost '{vhost}': {difference}")]
    Inequivalent {
        /// The attribute or argument that differs.
        attribute: &'static str,
        /// The exchange declared.
        name: String,
        /// Its virtual host.
        vhost: String,
        /// What was received and what is current.
        difference: String,
    },
    /// CH-27: an argument of the wrong field type (406).
    #[error("invalid type '{found}' for arg '{argument}' in exchange '{name}' in vhost '{vhost}'")]
    ArgumentType {
        /// The argument's name.
        argument: &'static str,
        /// The field type it came with.
        found: &'static str,
        /// The exchange declared.
        name: String,
        /// Its virtual host.
        vhost: String,
    },
    /// LIM-03: another exchange than there may be (406).
    #[error("cannot declare exchange '{name}' in vhost '{vhost}': exchange limit of {max} is reached")]
    ExchangeLimit {
        /// The exchange declared.
        name: String,
        /// Its virtual host.
        vhost: String,
        /// How many there may be.
        max: u64,
    },
    /// CH-31: delete if-unused of an exchange with bindings (406).
    #[error("exchange '{name}' in vhost '{vhost}' in use")]
    InUse {
        /// The exchange to delete.
        name: String,
        /// Its virtual host.
        vhost: String,
    },
    /// EXC-80 to EXC-87: what one of the further types of exchanges does not allow (406).
    #[error("{0}")]
    Further(#[from] FurtherError),
    /// EXC-70: `x-match` has an unknown value (406).
    #[error("Invalid x-match field value {value}; expected all, any, all-with-x, or any-with-x")]
    MatchValue {
        /// The value as a term.
        value: String,
    },
    /// EXC-70: `x-match` is not a long string (406).
    #[error("Invalid x-match field type {found} (value {value}); expected longstr")]
    MatchType {
        /// The field type it came with.
        found: &'static str,
        /// The value as a term.
        value: String,
    },
}

/// Why an exchange beyond the types of AMQP itself refuses an argument or a binding.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FurtherError {
    /// EXC-80: the weight is zero or negative.
    #[error("The binding key must be greater than 0")]
    WeightTooSmall,
    /// EXC-80: the weight is greater than RabbitMQ allows.
    #[error("The binding key must not exceed {max}")]
    WeightTooLarge {
        /// The greatest weight.
        max: u64,
    },
    /// EXC-80: the binding key is no number.
    #[error("The binding key must be an integer: {key}")]
    WeightNotInteger {
        /// The binding key as a term.
        key: String,
    },
    /// EXC-83: both a header and a property to hash.
    #[error("hash-header and hash-property are mutually exclusive")]
    TwoHashSources,
    /// EXC-83: a property that cannot be hashed.
    #[error("Unsupported property: {name}")]
    HashProperty {
        /// The property asked for.
        name: String,
    },
    /// EXC-85: a binding key where there must be none.
    #[error("Non empty binding '{key}' key not permitted")]
    KeyNotEmpty {
        /// The binding key.
        key: String,
    },
    /// EXC-85: the destination is an exchange.
    #[error("Destination not found")]
    NotAQueue,
    /// EXC-85: the destination is a queue that is not of one node.
    #[error("Queue type {module} not valid for this exchange type")]
    QueueType {
        /// The type, as texts name it.
        module: &'static str,
    },
    /// EXC-87: how much to remember is not a positive integer.
    #[error("Invalid argument {value}, 'x-recent-history-length' must be a positive integer")]
    HistoryLength {
        /// The value as a term.
        value: String,
    },
    /// EXC-91: how much to keep in mind is missing or no positive integer.
    #[error("Missing or invalid argument, 'x-cache-size' must be an integer greater than 0")]
    CacheSize,
    /// EXC-91: how long to keep it in mind is no positive integer.
    #[error("Invalid argument, 'x-cache-ttl' must be an integer greater than 0")]
    CacheTtl,
    /// EXC-91: neither of the two places there are.
    #[error("Invalid argument, 'x-cache-persistence' must be either 'disk' or 'memory'")]
    CachePersistence,
    /// EXC-88: what a delayed exchange is to route by is missing.
    #[error("Invalid argument, 'x-delayed-type' must be an existing exchange type")]
    DelayedType,
    /// EXC-88: a delayed exchange within a delayed exchange.
    #[error("Invalid argument, 'x-delayed-message' can't be used for 'x-delayed-type'")]
    DelayedTwice,
}
