//! A stream as its page shows it: segments, offsets, readers, retention.

use serde_json::{Value, json};

use super::answer::{Answer, Refusal};
use crate::{
    broker::queue::stream::{ReaderOverview, SegmentOverview, StreamOverview},
    engine::QueueRef,
};

pub fn answer(queue: &QueueRef) -> Result<Answer, Refusal> {
    let overview = queue.stream_overview();
    let overview = overview.ok_or_else(|| Refusal::bad_request(format!("'{}' is no stream", queue.name)))?;
    Ok(Answer::json(&view(&overview)))
}

fn view(overview: &StreamOverview) -> Value {
    let segment = |segment: &SegmentOverview| {
        json!({
            "first": segment.first,
            "messages": segment.end - segment.first,
            "bytes": segment.bytes,
            "last_at": if segment.last_time == 0 { Value::Null } else { json!(segment.last_time) },
            "chunks": segment.chunks,
        })
    };
    let reader = |reader: &ReaderOverview| {
        json!({
            "name": reader.name,
            "next": reader.next,
            "behind": overview.committed.saturating_sub(reader.next),
            "unacknowledged": reader.unacknowledged,
            "active": reader.is_active,
            "single_active": reader.single_active,
            "filtered": reader.is_filtered,
        })
    };
    let name = |(name, at): &(String, u64)| json!({ "name": name, "next": at, "behind": overview.committed.saturating_sub(*at) });
    json!({
        "first": overview.first,
        "next": overview.next,
        "committed": overview.committed,
        "bytes": overview.bytes,
        "segment_count": overview.segment_count,
        "retention": {
            "segment_bytes": overview.segment_bytes,
            "max_bytes": overview.max_bytes,
            "max_age": overview.max_age,
        },
        "segments": overview.segments.iter().map(segment).collect::<Vec<_>>(),
        "readers": overview.readers.iter().map(reader).collect::<Vec<_>>(),
        "names": overview.names.iter().map(name).collect::<Vec<_>>(),
    })
}
