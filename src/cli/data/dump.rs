//! `leveret dump`: the messages of a queue, or every record of the log.

use std::{
    io::{self, Write},
    ops::ControlFlow,
};

use serde_json::json;

use super::{
    FOUND_WRONG, Names, Stop, safe,
    show::{self, Fields},
    units, unreadable,
};
use crate::{
    cli::args::Dump,
    store::{
        Body, Definition, QueueId, Reader, Record, RecoveredMessage, Replay, Spot, View, Walked,
        disk::{Disk, RealDisk},
        replay, walk,
    },
};

pub fn dump(disk: &RealDisk, what: &Dump, vhost: Option<&str>, out: &mut impl Write) -> Result<u8, Stop> {
    match &what.queue {
        Some(queue) => dump_queue(disk, what, queue, vhost, out)?,
        None => dump_records(disk, what, vhost, out)?,
    }
    Ok(0)
}

fn body_max(what: &Dump) -> usize {
    if what.all { usize::MAX } else { what.body }
}

fn dump_queue(
    disk: &RealDisk,
    what: &Dump,
    name: &str,
    vhost: Option<&str>,
    out: &mut impl Write,
) -> Result<(), Stop> {
    // Only where each message is stays in memory.
    let log = replay(disk as &dyn Disk, |_, spot| spot, |_, _| {}).map_err(unreadable)?;
    let names = Names::of(&log.definitions);
    let id = find_queue(&log, name, vhost)?;
    let Some(queue) = log.queues.get(&id) else { return Ok(()) };
    for page in &queue.pages {
        let mut fields = vec![("in_page", json!(true))];
        fields.extend(show::page_fields(page, &names));
        write_line("page", fields, what, out)?;
    }
    for (sequence, message) in &queue.messages {
        let fields = message_fields(&log, *sequence, message, body_max(what))?;
        write_line("message", fields, what, out)?;
    }
    Ok(())
}

fn find_queue(log: &Replay<Spot>, name: &str, vhost: Option<&str>) -> Result<QueueId, Stop> {
    let named = log.definitions.iter().filter(|(own, _)| vhost.is_none_or(|vhost| vhost == *own));
    let mut found = named.flat_map(|(vhost, all)| {
        all.queues.iter().filter(|queue| queue.name == name).map(move |queue| (vhost, queue.id))
    });
    let failed = |reason: String| Err(Stop::Failed(reason, FOUND_WRONG));
    match (found.next(), found.next()) {
        (Some((_, id)), None) => Ok(id),
        (Some((one, _)), Some((other, _))) => failed(format!(
            "queue '{}' is in the vhosts '{}' and '{}'; choose one with --vhost",
            safe(name),
            safe(one),
            safe(other)
        )),
        (None, _) => failed(format!("there is no durable queue '{}'", safe(name))),
    }
}

fn message_fields(
    log: &Replay<Spot>,
    sequence: u64,
    message: &RecoveredMessage<Spot>,
    body_max: usize,
) -> Result<Fields, Stop> {
    let octets = log.read(message.message).map_err(unreadable)?;
    let view = View::decode(&mut Reader::new(&octets)).map_err(unreadable)?;
    let mut fields = vec![("sequence", json!(sequence))];
    if message.deadline != u64::MAX {
        fields.push(("expires", json!(units::utc(message.deadline))));
    }
    fields.push(("returns", json!(message.returns)));
    fields.extend(show::message(&view, body_max));
    Ok(fields)
}

fn write_line(kind: &'static str, mut fields: Fields, what: &Dump, out: &mut impl Write) -> io::Result<()> {
    if what.json {
        fields.insert(0, ("kind", json!(kind)));
        return writeln!(out, "{}", show::object(fields));
    }
    writeln!(out, "{kind:<8} {}", show::text(fields))
}

fn dump_records(disk: &RealDisk, what: &Dump, vhost: Option<&str>, out: &mut impl Write) -> Result<(), Stop> {
    if vhost.is_some() {
        return Err(Stop::Failed("--vhost goes with --queue: records are of all vhosts".to_owned(), 2));
    }
    let mut names = Names::default();
    let mut written = Ok(());
    walk(disk as &dyn Disk, |walked| {
        written = write_record(&walked, &mut names, what, out);
        if written.is_err() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .map_err(unreadable)?;
    Ok(written?)
}

fn write_record(walked: &Walked<'_>, names: &mut Names, what: &Dump, out: &mut impl Write) -> io::Result<()> {
    let (kind, contents) = match walked.body {
        Body::Good(body) => match Record::decode(body) {
            Ok(record) => {
                if let Record::Definition(Definition::DeclareQueue { vhost, queue }) = &record {
                    names.name(queue.id, vhost, &queue.name);
                }
                show::record(&record, names, body_max(what))
            }
            Err(error) => ("unknown", vec![("error", json!(error.to_string()))]),
        },
        Body::Bad(body) => ("DAMAGED", vec![("octets", json!(body.len()))]),
        Body::Lost => ("DAMAGED", vec![("error", json!("the rest of the batch cannot be read"))]),
    };
    let mut fields = vec![
        ("segment", json!(format!("{:016x}", walked.segment))),
        ("offset", json!(walked.offset)),
        ("batch", json!(walked.batch)),
    ];
    if what.json {
        fields.extend(contents);
        return write_line(kind, fields, what, out);
    }
    let (segment, offset, batch) = (walked.segment, walked.offset, walked.batch);
    writeln!(out, "{segment:016x} {offset:>9} {batch:>8}  {kind:<16} {}", show::text(contents))
}
