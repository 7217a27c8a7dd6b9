//! The types of queues.

/// What kind of queue it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum QueueType {
    /// Messages leave when acknowledged; the default.
    #[default]
    Classic,
    /// As classic, but always durable, with delivery counts.
    Quorum,
    /// A log that is read by offset and never emptied by reading.
    Stream,
}

impl QueueType {
    /// Every type, for listings.
    pub const ALL: [Self; 3] = [Self::Classic, Self::Quorum, Self::Stream];

    /// The type that `x-queue-type` calls so.
    pub fn named(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|queue_type| queue_type.name().as_bytes() == name)
    }

    /// The name in arguments and listings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Quorum => "quorum",
            Self::Stream => "stream",
        }
    }

    /// The name in error texts (QUE-45).
    pub fn module_name(self) -> &'static str {
        match self {
            Self::Classic => "rabbit_classic_queue",
            Self::Quorum => "rabbit_quorum_queue",
            Self::Stream => "rabbit_stream_queue",
        }
    }
}
