//! Statistics: what is counted, by whom, and what it was some time ago.
//!
//! | file | job |
//! |---|---|
//! | [`tally`] | a counter that one task writes and all may read |
//! | [`figures`] | the names of what is counted of messages, and sums of it |
//! | [`meters`] | what connections, channels and exchanges count |
//! | [`history`] | earlier figures of one object, for rates and charts |
//! | [`ended`] | what was counted by those that are gone |
//! | [`collect`] | sums over vhosts and the node |
//! | [`sample`] | looking at everything every few seconds |
//!
//! Nothing shared is written for a message: queues count under the lock that they are operated under anyway, a
//! connection counts in memory of its own. Whoever asks adds up.

mod collect;
mod ended;
mod figures;
mod history;
mod meters;
mod sample;
mod tally;

pub use collect::{ByQueueType, Sums, VhostSums};
pub use ended::{Ended, VhostStats};
pub use figures::{Figure, Figures};
pub use history::{History, Spacing};
pub use meters::{ChannelMeter, ConnectionMeter, ExchangeMeter, MessageSizes, SIZES};
pub use sample::{Churn, Event, NodeStats, QUEUE_FIGURES};
pub use tally::Tally;
