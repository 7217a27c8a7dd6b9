//! Where leveret means to answer differently from RabbitMQ 3.10, and why.

/// One intended difference. A case of this id may meet `rabbitmq` where it expects `ours`;
/// the rest of that case is then not played against RabbitMQ.
pub struct Intended {
    /// The line of the behaviour reference.
    pub id: &'static str,
    /// The expected line of the case: what leveret answers.
    pub ours: &'static str,
    /// What RabbitMQ 3.10 answers; `…` stands for anything.
    pub rabbitmq: &'static str,
    pub why: &'static str,
}

/// The whole list.
pub const INTENDED: &[Intended] = &[];
