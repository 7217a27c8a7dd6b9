//! temp
use crate::amqp::FieldTable;
pub struct ConsumerArguments {
    pub priority: i32,
}
impl ConsumerArguments {
    pub fn parse(_: &str, _: &str, _: &FieldTable) -> Result<ConsumerArguments, String> {
        Ok(ConsumerArguments { priority: 0 })
    }
}
