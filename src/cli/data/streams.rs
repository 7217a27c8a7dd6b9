//! What `leveret check` says of the files of streams.

use std::{io, io::Write};

use serde_json::{Value, json};

use super::{Names, Stop, safe, units};
use crate::store::{FoundSegment, QueueId, Replay, ScanDepth, disk::Disk, scan_streams};

/// The streams of a data directory, as their files are.
pub struct Streams {
    /// In order of their queues' ids.
    streams: Vec<StreamLine>,
    damage: Vec<String>,
    torn_bytes: u64,
}

/// A stream in numbers.
struct StreamLine {
    queue: QueueId,
    first: u64,
    end: u64,
    segments: u64,
    chunks: u64,
    octets: u64,
}

impl Streams {
    /// Reads and verifies every message in the files.
    pub fn look<M>(disk: &dyn Disk, log: &Replay<M>) -> io::Result<Streams> {
        let logged = |queue: QueueId| Some(*log.queues.get(&queue)?.messages.first_key_value()?.0);
        let mut streams = Streams { streams: Vec::new(), damage: Vec::new(), torn_bytes: 0 };
        for found in scan_streams(disk, logged, ScanDepth::Everything)? {
            streams.add(found);
        }
        Ok(streams)
    }

    fn add(&mut self, found: FoundSegment) {
        let FoundSegment { queue, segment, end, length, damaged, .. } = found;
        let file = format!("streams/{queue:016x}-{:016x}", segment.first);
        self.damage.extend(damaged.into_iter().map(|what| format!("{file}: {what}")));
        self.torn_bytes += length.saturating_sub(end);
        let line = StreamLine { queue, first: segment.first, end: 0, segments: 0, chunks: 0, octets: 0 };
        if self.streams.last().is_none_or(|last| last.queue != queue) {
            self.streams.push(line);
        }
        if let Some(stream) = self.streams.last_mut() {
            stream.end = segment.end;
            stream.segments += 1;
            stream.chunks += segment.chunks.len() as u64;
            stream.octets += segment.bytes;
        }
    }

    pub fn is_damaged(&self) -> bool {
        !self.damage.is_empty()
    }

    pub fn write_text(&self, names: &Names, out: &mut impl Write) -> Result<(), Stop> {
        if self.streams.is_empty() {
            return Ok(());
        }
        let head = ["files of stream", "segments", "chunks", "octets", "offsets"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        for stream in &self.streams {
            let last = stream.end.saturating_sub(1);
            rows.push(vec![
                names.show(stream.queue),
                units::count(stream.segments),
                units::count(stream.chunks),
                units::size(stream.octets),
                format!("{} to {last}", stream.first),
            ]);
        }
        write!(out, "\n{}", units::table(&rows))?;
        if self.torn_bytes != 0 {
            let octets = units::count(self.torn_bytes);
            writeln!(out, "{octets} octets at the ends were being written; the log has what is in them")?;
        }
        for damage in &self.damage {
            writeln!(out, "damage found: {}", safe(damage))?;
        }
        Ok(())
    }

    pub fn as_value(&self, names: &Names) -> Value {
        let streams = self.streams.iter().map(|stream| {
            let (vhost, name) = names.get(stream.queue).unzip();
            json!({
                "id": stream.queue,
                "vhost": vhost,
                "name": name,
                "segments": stream.segments,
                "chunks": stream.chunks,
                "octets": stream.octets,
                "first_offset": stream.first,
                "next_offset": stream.end,
            })
        });
        json!({
            "streams": streams.collect::<Vec<_>>(),
            "torn_octets": self.torn_bytes,
            "damage": self.damage,
        })
    }
}
