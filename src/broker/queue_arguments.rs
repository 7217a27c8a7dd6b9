//! temp
use crate::amqp::FieldTable;
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Overflow {
    #[default]
    DropHead,
    RejectPublish,
    RejectPublishDlx,
}
#[derive(Debug, Clone, Default)]
pub struct QueueArguments {
    pub message_ttl: Option<u64>,
    pub expires: Option<u64>,
    pub max_length: Option<u64>,
    pub max_length_bytes: Option<u64>,
    pub overflow: Overflow,
    pub dead_letter_exchange: Option<String>,
    pub max_priority: Option<u8>,
    pub single_active_consumer: bool,
}
impl QueueArguments {
    pub fn parse(
        _: &str,
        _: &str,
        _: FieldTable,
        _: bool,
        _: bool,
        _: bool,
    ) -> Result<QueueArguments, String> {
        Ok(QueueArguments::default())
    }
    pub fn inequivalence(&self, _: &FieldTable) -> Option<(String, String)> {
        None
    }
}
