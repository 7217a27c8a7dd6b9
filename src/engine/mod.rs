//! Who owns what, and behind which lock.
//!
//! The pure parts of `broker` become shared here: a queue behind its own short lock, a vhost's exchanges and
//! bindings behind a read-write lock, an inbox for each connection. Nothing in here knows sockets, frames or
//! clocks. Order of locks: a vhost's topology, then one queue, then one inbox; never two queues.

mod access;
mod accounts;
mod alarms;
mod connections;
mod dead_letters;
mod definitions;
mod delays;
mod duplicates;
pub mod events;
mod firehose;
mod hand_in;
mod histories;
mod holder;
mod inbox;
mod journal;
mod keeping;
mod limits;
mod moving;
mod node;
mod occupancy;
mod paging;
mod policies;
mod queue;
mod refusals;
mod refused;
mod replies;
mod restore;
mod room;
mod routing;
mod service;
pub mod stats;
mod streams;
mod timers;
mod vhost;
mod vhost_room;
mod vhost_rules;
mod views;

pub use access::{
    Access, AttemptCounts, Attempts, AttemptsOfSource, BadPattern, Hashing, LIMITS, LoginError, LoginGuard,
    LoginProtocol, NewVhostLimits, Parameter, PasswordCheck, PasswordHash, Permission, PermissionRow,
    Resource, Right, SlowCheck, TopicPermission, TopicRights, TopicRow, User, VHOST_LIMITS, VhostAbout,
};
pub use alarms::Alarms;
pub use connections::{
    ChannelReport, ConnectionInfo, ConnectionReport, ConsumerReport, Describe, Encryption, OpenConnection,
    PeerCertificate,
};
pub use delays::{DelayRef, Delays, SharedDelay};
pub use duplicates::Duplicates;
pub use firehose::{Seen, TRACE_EXCHANGE, Tap};
pub use hand_in::HandedIn;
pub use histories::{Histories, Replay};
pub use holder::Holder;
pub use inbox::{ConsumerId, ConsumerOutlet, Delivery, Inbox, REPLY_BYTES_MAX, Signal, Taken};
pub use journal::{Journal, add_identities, add_kept, add_notes};
pub use node::{Node, NodeSettings};
pub use occupancy::{Allowance, Allowances, Full, Occupancy, Seat};
pub use paging::{LONG, PageRequest, Paging, Reader};
pub use policies::{PolicySet, PolicySweep};
pub use queue::{ConnectionId, QueueProperties, QueueRef, SharedQueue};
pub use refusals::{Notice, Refusals};
pub use refused::Refused;
pub use replies::{REPLY_TO, Replies};
pub use restore::Restored;
pub use room::{Room, RoomLimits, Share};
pub use routing::{Held, Queues, Routed};
pub use service::{Service, ServiceState};
pub use streams::{StreamRequest, Streams};
pub use timers::Timers;
pub use vhost::{DELIVERY_LIMIT, QueueDeclare, Vhost};
pub use vhost_rules::VhostRules;
pub use views::{
    BindingSummary, BindingsOf, ChosenQueues, ExchangeSummary, PARTITION_ORDER, SUPER_STREAM, is_super_stream,
};
