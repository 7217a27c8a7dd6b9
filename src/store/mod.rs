//! What outlives the process: durable state on a disk that may fail, fill up or lose power.
//!
//! Everything above [`disk`] is written against its trait, so that each crash and each fault can be played
//! through in memory. No clock: time comes in as milliseconds, as in the broker.
//!
//! # The log
//!
//! One append-only log for everything, in [`segment`]s that are files of one size in the directory `log`. It
//! is written in [`batch`]es by one [`writer`]; a batch is what gathered while the one before was written and
//! synced. A batch is there after a crash as a whole or not at all. All numbers are little-endian.
//!
//! | file `log/<16 hexadecimal digits>`: a segment | octets |
//! |---|---|
//! | `leveret log\n` | 12 |
//! | format, 1 | 4 |
//! | number of the segment | 8 |
//! | mark of the log, a random number that all its segments have | 8 |
//! | version of leveret that made it, padded with zeros | 16 |
//! | number of the last batch before the segment, synced before this was written | 8 |
//! | CRC-32C of the above | 4 |
//! | zeros, at 2,048 all of this once more, zeros up to 4,096 | |
//! | batches, each at a multiple of 4,096 | |
//!
//! `log/spare-<16 hexadecimal digits>` is a segment that waits to be used again; what is in it means nothing.
//!
//! | batch | octets |
//! |---|---|
//! | `LVB1` | 4 |
//! | CRC-32C of the rest of this header | 4 |
//! | number of the segment xor the mark: an earlier use of the file has another, and clients cannot know it | 8 |
//! | number of the batch, one more than the one before, also across segments | 8 |
//! | number of the last batch that was synced when this one was written | 8 |
//! | octets of all records | 8 |
//! | count of records, and 4 zeros | 8 |
//! | records; zeros up to a multiple of 4,096 | |
//!
//! A batch that is missing or fails a checksum was being written when the power went, if no later batch says
//! that it had been synced: it and everything behind it are cut off. Else it is damage, and reported.
//!
//! | record | octets |
//! |---|---|
//! | length of the body | 4 |
//! | CRC-32C of the body, begun with the low half of the batch's number xor the high one | 4 |
//! | body: kind, and what [`record`] says | |
//!
//! In bodies, *n* is a number of seven bits an octet, lowest first, the top bit set on all but the last;
//! *octets* are their length as *n* and then themselves; *deadline* is milliseconds since 1970 plus one as
//! *n*, 0 for never; *runs* are their count, and for each the distance of its first sequence from the end of
//! the run before and its length, all *n*.
//!
//! | kind | body after the kind's octet |
//! |---|---|
//! | 1 message | count of places *n*; for each queue *n*, sequence *n*, *deadline*, returns *n*; message |
//! | 2 settled | queue *n*, *runs* |
//! | 3 returned | queue *n*, *runs*; adds 1 to their number of returns |
//! | 4 definition | kind octet, vhost *octets*, and what [`definition`] says for its kind |
//! | 5 page | queue, page, file, offset, length (*n*), lane (octet), octets of bodies *n*, *deadline* of the first, *runs* that live; count *n* of those that were given back, for each its sequence *n* and how often *n*, whatever was said of them before |
//! | 6 trimmed | number of the first segment still needed *n* |
//! | 7 clean stop | - |
//! | 8 accepted | number of the segment before which damage was accepted *n* |
//! | 9 given back | queue *n*, *runs*; adds 2^20 to their number of returns |
//!
//! | message | |
//! |---|---|
//! | flags (octet) | 1 persistent, 2 has an x-death of ours, 4 has an expiration, 8 has hidden keys |
//! | priority (octet), expiration in milliseconds *n* if flagged | |
//! | exchange, routing key, properties as on the wire (*octets*) | |
//! | hidden keys (*octets*) if flagged, body (*octets*) | |
//!
//! | definition | after kind and vhost |
//! |---|---|
//! | 0 reset | - |
//! | 1 declare exchange | flags (1 auto-delete, 2 internal, 4 delays, 8 remembers), name, type, arguments (*octets*); if flagged, the ids *n* under which it keeps messages: those that wait, those that stand for what it saw |
//! | 2 delete exchange | name |
//! | 3 declare queue | flags (1 auto-delete, 2 deduplicates), id *n*, name, arguments; if flagged, the id *n* under which it keeps messages that stand for identities |
//! | 4 delete queue | id *n*, name |
//! | 5 bind, 6 unbind | flags (1 to a queue), source, destination, routing key, arguments |
//! | 7 put user | name, salt and digest (*octets*), algorithm, count of tags *n*, tags |
//! | 8 delete user, 10 delete vhost | name |
//! | 9 put vhost | name, description, count of tags *n*, tags |
//! | 11 put permission | vhost, user, configure, write, read |
//! | 12 clear permission | vhost, user |
//! | 13 delete kept | id *n* |
//! | 32 set | kind octet and what [`setting`] says for it, all *octets* |
//!
//! | setting | |
//! |---|---|
//! | 0 put parameter | vhost, component, name, value as JSON |
//! | 1 clear parameter | vhost, component, name |
//! | 2 put topic permission | vhost, user, exchange, write, read |
//! | 3 clear topic permission | vhost, user, exchange |
//! | 4 default queue type | vhost, type |
//!
//! Definitions 7 to 12 and 32 have an empty vhost in front, as has the reset that makes all of them void.
//!
//! # Pages
//!
//! Parts of long queues are in files of their own, `pages/<number>` (sixteen hexadecimal digits), as [`pages`] says; the
//! log's page records say where, and what in them lives.
//!
//! # Streams
//!
//! What a stream takes in is a message record as any other, with its offset for the sequence and the time it
//! came for the deadline, until it is in the stream's own files, as [`streams`] says; then it is settled.
//!
//! A message's record comes before any record that settles or returns it, or not at all; within a queue the
//! order of messages is that of their sequences, wherever their records are.

mod batch;
mod catalog;
mod contents;
mod damage;
mod definition;
pub mod disk;
mod holes;
mod homes;
mod index;
mod log;
mod octets;
mod pages;
mod record;
mod recovery;
mod scan;
mod segment;
mod sequences;
mod setting;
mod streams;
#[cfg(test)]
mod tests;
mod trim;
mod walk;
mod writer;

pub use catalog::{AccessDefinitions, Definitions};
pub use contents::View;
pub use damage::{Damage, DamageKind, RecoveryError, Report};
pub use definition::{
    BindingDefinition, Definition, ExchangeDefinition, NODE, PermissionDefinition, QueueDefinition, QueueId,
    UserDefinition, VhostDefinition,
};
pub use index::PageRange;
pub use log::{DURABLE, Log, Op, Position};
pub use octets::{Malformed, Reader};
pub use pages::{PageFiles, PageLocation, read_page};
pub use record::{PageRecord, Place, Places, Record};
pub use recovery::{
    Recovered, RecoveredMessage, RecoveredQueue, RecoveryOptions, Replay, Spot, recover, replay,
};
pub use segment::FORMAT;
pub use sequences::runs;
pub use setting::{ParameterKey, Setting, Settings, TopicKey};
pub use streams::{Depth as ScanDepth, FoundSegment, OpenedStreams, StreamFiles, scan_streams};
pub use walk::{Body, Walked, walk};
pub use writer::{Committed, Durability, LogSettings, Usage, Writer};
