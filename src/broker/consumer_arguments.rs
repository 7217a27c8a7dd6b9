//! What a consumer is started with: priority, and where and what a stream consumer reads (CH-77, CH-78, BAS-25,
//! STR-05, STR-10).

use crate::broker::arguments::{integer, term_text};
use crate::broker::queue_arguments::{ArgumentError, QueueIdentity, interval_seconds, rules};
use crate::broker::queue_type::QueueType;
use amq_protocol::types::{AMQPValue, FieldTable};

const PRIORITY: &str = "x-priority";
const TIMEOUT: &str = "x-consumer-timeout";
const OFFSET: &str = "x-stream-offset";
const FILTER: &str = "x-stream-filter";
const MATCH_UNFILTERED: &str = "x-stream-match-unfiltered";
const OFFSET_NAME: &str = "x-stream-offset-name";
const SINGLE_ACTIVE: &str = "x-single-active-consumer";
/// Octets of a name at most.
const NAME_MAX: usize = 255;

/// A consumer's arguments, checked and typed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConsumerArguments {
    /// Higher gets first; may be negative.
    pub priority: i64,
    /// Milliseconds a delivery may stay unacknowledged, if the consumer has its own limit.
    pub timeout_ms: Option<u64>,
    /// Where a stream consumer starts.
    pub offset: StreamOffset,
    /// The filter values a stream consumer wants; empty for everything.
    pub filters: Vec<Vec<u8>>,
    /// Whether messages without a filter value pass a filter.
    pub match_unfiltered: bool,
    /// Under which name a stream remembers how far this consumer read.
    pub offset_name: Option<Vec<u8>>,
    /// Of the stream's consumers with this name only one reads.
    pub single_active: bool,
}

/// Where a stream consumer starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StreamOffset {
    /// At the oldest message kept.
    First,
    /// At the last message written, or the last chunk.
    Last,
    /// At what is written from now on.
    Next,
    /// Where its name has read to, else at the oldest message kept.
    Stored,
    /// Not said: where its name has read to, else as [`StreamOffset::Next`].
    #[default]
    Unspecified,
    /// At this offset; below the oldest kept message, at that.
    At(i64),
    /// At the first message not older than these seconds since 1970.
    Timestamp(u64),
    /// At the first message not older than this many seconds ago.
    SecondsAgo(u64),
}

impl ConsumerArguments {
    /// Checks the arguments of a consumer: first the values that this type of queue knows, then that none
    /// belongs to another type. Unknown ones are ignored.
    pub fn parse(
        queue: QueueIdentity<'_>,
        queue_type: QueueType,
        raw: &FieldTable,
    ) -> Result<Self, ArgumentError> {
        match queue_type {
            QueueType::Classic | QueueType::Quorum => Self::parse_plain(queue, queue_type, raw),
            QueueType::Stream => Self::parse_stream(queue, raw),
        }
    }

    fn parse_plain(
        queue: QueueIdentity<'_>,
        queue_type: QueueType,
        raw: &FieldTable,
    ) -> Result<Self, ArgumentError> {
        let mut arguments = Self::default();
        if let Some(value) = raw.inner().get(PRIORITY) {
            let checked = rules::expect_integer(value);
            arguments.priority = checked.map_err(|detail| ArgumentError::invalid(queue, PRIORITY, detail))?;
        }
        if let Some(value) = raw.inner().get(TIMEOUT) {
            let checked = rules::check_not_negative(value, raw);
            checked.map_err(|detail| ArgumentError::invalid(queue, TIMEOUT, detail))?;
            arguments.timeout_ms = integer(value).and_then(|number| number.try_into().ok());
        }
        refuse_foreign(queue, queue_type, raw, &[OFFSET, FILTER, MATCH_UNFILTERED])?;
        Ok(arguments)
    }

    fn parse_stream(queue: QueueIdentity<'_>, raw: &FieldTable) -> Result<Self, ArgumentError> {
        let mut arguments = Self::default();
        if let Some(value) = raw.inner().get(OFFSET) {
            arguments.offset = StreamOffset::parse(value).ok_or_else(|| {
                // A tuple of type and value prints as the only element of an array does.
                let printed = term_text(&AMQPValue::FieldArray(vec![value.clone()].into()));
                let detail = format!("{{invalid_stream_offset_arg,{}}}", &printed[1..printed.len() - 1]);
                ArgumentError::invalid(queue, OFFSET, detail)
            })?;
        }
        if let Some(value) = raw.inner().get(FILTER) {
            arguments.filters = filter_values(value);
        }
        arguments.match_unfiltered = raw.inner().get(MATCH_UNFILTERED) == Some(&AMQPValue::Boolean(true));
        arguments.offset_name = offset_name(queue, raw)?;
        arguments.single_active = single_active(queue, raw, arguments.offset_name.is_some())?;
        if arguments.offset == StreamOffset::Stored && arguments.offset_name.is_none() {
            return Err(ArgumentError::invalid(queue, OFFSET, NO_NAME.to_owned()));
        }
        refuse_foreign(queue, QueueType::Stream, raw, &[PRIORITY])?;
        Ok(arguments)
    }
}

impl StreamOffset {
    fn parse(value: &AMQPValue) -> Option<Self> {
        match value {
            AMQPValue::Timestamp(seconds) => Some(Self::Timestamp(*seconds)),
            AMQPValue::LongString(text) => match text.as_bytes() {
                b"first" => Some(Self::First),
                b"last" => Some(Self::Last),
                b"next" => Some(Self::Next),
                b"stored" => Some(Self::Stored),
                interval => interval_seconds(interval).map(Self::SecondsAgo),
            },
            other => integer(other).map(Self::At),
        }
    }
}

/// The detail for what only means something together with a name.
const NO_NAME: &str = "\"x-stream-offset-name is missing\"";

/// The name under which the stream remembers how far the consumer read.
fn offset_name(queue: QueueIdentity<'_>, raw: &FieldTable) -> Result<Option<Vec<u8>>, ArgumentError> {
    let invalid = |detail: String| Err(ArgumentError::invalid(queue, OFFSET_NAME, detail));
    match raw.inner().get(OFFSET_NAME) {
        None => Ok(None),
        Some(AMQPValue::LongString(name)) => match name.as_bytes().len() {
            1..=NAME_MAX => Ok(Some(name.as_bytes().to_vec())),
            0 => invalid("\"empty name\"".to_owned()),
            length => invalid(format!("{{max_value_exceeded,{length}}}")),
        },
        Some(other) => invalid(rules::unacceptable_type(other)),
    }
}

/// Whether the consumer takes turns with others of its name.
fn single_active(queue: QueueIdentity<'_>, raw: &FieldTable, has_name: bool) -> Result<bool, ArgumentError> {
    match raw.inner().get(SINGLE_ACTIVE) {
        None | Some(AMQPValue::Boolean(false)) => Ok(false),
        Some(AMQPValue::Boolean(true)) if has_name => Ok(true),
        Some(AMQPValue::Boolean(true)) => {
            Err(ArgumentError::invalid(queue, SINGLE_ACTIVE, NO_NAME.to_owned()))
        }
        Some(other) => Err(ArgumentError::invalid(queue, SINGLE_ACTIVE, rules::unacceptable_type(other))),
    }
}

/// CH-78: arguments that only consumers of other types of queues have.
fn refuse_foreign(
    queue: QueueIdentity<'_>,
    queue_type: QueueType,
    raw: &FieldTable,
    foreign: &[&'static str],
) -> Result<(), ArgumentError> {
    match foreign.iter().find(|argument| raw.contains_key(argument)) {
        Some(argument) => Err(ArgumentError::foreign(queue, argument, queue_type)),
        None => Ok(()),
    }
}

/// One filter value or several; elements that are no strings are skipped.
fn filter_values(value: &AMQPValue) -> Vec<Vec<u8>> {
    match value {
        AMQPValue::LongString(text) => vec![text.as_bytes().to_vec()],
        AMQPValue::FieldArray(values) => values.as_slice().iter().flat_map(filter_string).collect(),
        _ => Vec::new(),
    }
}

fn filter_string(value: &AMQPValue) -> Option<Vec<u8>> {
    match value {
        AMQPValue::LongString(text) => Some(text.as_bytes().to_vec()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUEUE: QueueIdentity<'_> = QueueIdentity { name: "q", vhost: "/" };

    fn parse(queue_type: QueueType, fields: &[(&str, AMQPValue)]) -> Result<ConsumerArguments, String> {
        let mut table = FieldTable::default();
        for (name, value) in fields {
            table.insert((*name).into(), value.clone());
        }
        ConsumerArguments::parse(QUEUE, queue_type, &table).map_err(|error| error.to_string())
    }

    fn string(text: &str) -> AMQPValue {
        AMQPValue::LongString(text.into())
    }

    #[test]
    fn ch_77_priority_must_be_an_integer() {
        for queue_type in [QueueType::Classic, QueueType::Quorum] {
            let parsed = parse(queue_type, &[(PRIORITY, AMQPValue::ShortInt(-1))]).expect("an integer");
            assert_eq!(parsed.priority, -1);
            let refused = parse(queue_type, &[(PRIORITY, string("s"))]);
            let text =
                "invalid arg 'x-priority' for queue 'q' in vhost '/': \"expected integer, got longstr\"";
            assert_eq!(refused, Err(text.to_owned()));
        }
    }

    #[test]
    fn ch_78_arguments_of_other_queue_types_are_refused() {
        let text = |argument: &str, queue_type: &str| {
            Err(format!("invalid arg '{argument}' for queue 'q' in vhost '/' of queue type {queue_type}"))
        };
        let offset = (OFFSET, string("first"));
        assert_eq!(
            parse(QueueType::Classic, std::slice::from_ref(&offset)),
            text(OFFSET, "rabbit_classic_queue")
        );
        assert_eq!(
            parse(QueueType::Quorum, std::slice::from_ref(&offset)),
            text(OFFSET, "rabbit_quorum_queue")
        );
        let priority = (PRIORITY, AMQPValue::LongInt(1));
        assert_eq!(parse(QueueType::Stream, &[offset, priority]), text(PRIORITY, "rabbit_stream_queue"));
        // A wrong value is reported before a foreign argument.
        let refused = parse(QueueType::Classic, &[(OFFSET, string("first")), (PRIORITY, string("s"))]);
        assert!(refused.expect_err("wrong").contains("expected integer"));
    }

    #[test]
    fn bas_25_unknown_arguments_are_ignored() {
        let fields = [("x-cancel-on-ha-failover", AMQPValue::Boolean(true)), ("x-foo", string("bar"))];
        for queue_type in QueueType::ALL {
            assert_eq!(parse(queue_type, &fields), Ok(ConsumerArguments::default()));
        }
    }

    #[test]
    fn bas_25_consumers_may_have_their_own_timeout() {
        let parsed = parse(QueueType::Quorum, &[(TIMEOUT, AMQPValue::LongInt(60_000))]);
        assert_eq!(parsed.expect("an integer").timeout_ms, Some(60_000));
        let refused = parse(QueueType::Quorum, &[(TIMEOUT, AMQPValue::LongInt(-1))]);
        assert!(refused.expect_err("negative").ends_with(": {value_negative,-1}"));
    }

    #[test]
    fn str_05_offsets() {
        let starts = [
            (string("first"), StreamOffset::First),
            (string("last"), StreamOffset::Last),
            (string("next"), StreamOffset::Next),
            (string("1h"), StreamOffset::SecondsAgo(3600)),
            (AMQPValue::ShortShortInt(7), StreamOffset::At(7)),
            (AMQPValue::LongLongInt(-7), StreamOffset::At(-7)),
            (AMQPValue::Timestamp(99), StreamOffset::Timestamp(99)),
        ];
        for (value, offset) in starts {
            assert_eq!(parse(QueueType::Stream, &[(OFFSET, value)]).expect("a start").offset, offset);
        }
        assert_eq!(parse(QueueType::Stream, &[]).expect("nothing wrong").offset, StreamOffset::Unspecified);
        let refused = parse(QueueType::Stream, &[(OFFSET, string("3"))]).expect_err("no start");
        let text = "invalid arg 'x-stream-offset' for queue 'q' in vhost '/': ";
        assert_eq!(refused, format!("{text}{{invalid_stream_offset_arg,{{longstr,<<\"3\">>}}}}"));
    }

    #[test]
    fn str_10_filters() {
        let one = parse(QueueType::Stream, &[(FILTER, string("a"))]).expect("a filter");
        assert_eq!((one.filters, one.match_unfiltered), (vec![b"a".to_vec()], false));
        let several = AMQPValue::FieldArray(vec![string("a"), AMQPValue::Void, string("b")].into());
        let fields = [(FILTER, several), (MATCH_UNFILTERED, AMQPValue::Boolean(true))];
        let several = parse(QueueType::Stream, &fields).expect("filters");
        assert_eq!((several.filters, several.match_unfiltered), (vec![b"a".to_vec(), b"b".to_vec()], true));
    }
}
