//! `leveret check`: reads everything, verifies every checksum, and says what is there.
//!
//! Of each message only the length of its body stays in memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    path::Path,
};

use serde_json::{Value, json};

use super::{FOUND_WRONG, Names, Stop, safe, streams::Streams, units, unreadable};
use crate::{
    cli::progress::Bar,
    store::{
        Damage, DamageKind, FORMAT, QueueId, RecoveredQueue, RecoveryError, Replay,
        disk::{Disk, RealDisk},
        replay,
    },
};

/// What is kept of a message: octets of its body.
type Length = u64;

/// A queue in numbers.
struct QueueLine<'a> {
    vhost: &'a str,
    name: &'a str,
    messages: u64,
    octets: u64,
    paged: u64,
    returned: u64,
    deadline: Option<u64>,
}

pub fn check(disk: &RealDisk, directory: &Path, as_json: bool, out: &mut impl Write) -> Result<u8, Stop> {
    let bar = Bar::on_terminal("checking");
    let progress = |done, total| {
        if let Some(bar) = &bar {
            bar.show(done, total);
        }
    };
    let log = replay(disk as &dyn Disk, |view, _| view.body.len() as Length, progress).map_err(unreadable)?;
    drop(bar);
    let names = Names::of(&log.definitions);
    let streams = Streams::look(disk as &dyn Disk, &log)
        .map_err(|error| unreadable(RecoveryError::Io { path: "streams".to_owned(), error }))?;
    if as_json {
        let mut value = as_value(directory, &log, &names);
        value["streams"] = streams.as_value(&names);
        writeln!(out, "{value:#}")?;
    } else {
        write_text(directory, &log, &names, out)?;
        streams.write_text(&names, out)?;
    }
    Ok(if log.report.damage.is_empty() && !streams.is_damaged() { 0 } else { FOUND_WRONG })
}

fn queues(log: &Replay<Length>) -> Vec<QueueLine<'_>> {
    let all = log.definitions.iter().flat_map(|(vhost, definitions)| {
        definitions.queues.iter().map(move |queue| {
            let empty = QueueLine {
                vhost,
                name: &queue.name,
                messages: 0,
                octets: 0,
                paged: 0,
                returned: 0,
                deadline: None,
            };
            log.queues.get(&queue.id).map_or(empty, |found| line(vhost, &queue.name, found))
        })
    });
    all.collect()
}

fn line<'a>(vhost: &'a str, name: &'a str, queue: &RecoveredQueue<Length>) -> QueueLine<'a> {
    let runs = queue.pages.iter().flat_map(|page| &page.live);
    let paged: u64 = runs.map(|(_, length)| length).sum();
    let deadlines = queue.messages.values().map(|message| message.deadline);
    let deadlines = deadlines.chain(queue.pages.iter().map(|page| page.first_deadline));
    let returned = queue.messages.values().filter(|message| message.returns != 0).count();
    let paged_octets = queue.pages.iter().map(|page| page.bytes);
    let octets = queue.messages.values().map(|message| message.message).chain(paged_octets);
    QueueLine {
        vhost,
        name,
        messages: queue.messages.len() as u64 + paged,
        octets: octets.fold(0, u64::saturating_add),
        paged,
        returned: (returned + queue.returns.len()) as u64,
        deadline: deadlines.min().filter(|deadline| *deadline != u64::MAX),
    }
}

fn write_text(
    directory: &Path,
    log: &Replay<Length>,
    names: &Names,
    out: &mut impl Write,
) -> Result<(), Stop> {
    let report = &log.report;
    let by = report.written_by.as_deref().map(|by| format!(", written by leveret {}", safe(by)));
    writeln!(out, "{}: log format {FORMAT}{}", directory.display(), by.unwrap_or_default())?;
    let span = match (log.segments().next(), log.segments().last()) {
        (Some((first, _)), Some((last, _))) if first != last => format!(" ({first:016x} to {last:016x})"),
        (Some((first, _)), _) => format!(" ({first:016x})"),
        _ => String::new(),
    };
    let mut facts = vec![
        ("segments", format!("{}{span}", report.segments)),
        ("octets", format!("{} ({})", units::count(report.bytes), units::size(report.bytes))),
        ("batches", units::count(report.batches)),
        ("records", units::count(report.records)),
        ("stopped", if log.was_clean { "in order" } else { HARD_STOP }.to_owned()),
    ];
    if report.torn_bytes != 0 {
        let octets = units::count(report.torn_bytes);
        facts.push(("torn", format!("{octets} octets at the end, which the next start cuts off; {TORN}")));
    }
    facts.extend(
        report.foreign.iter().map(|name| ("foreign", format!("log/{} is not leveret's", safe(name)))),
    );
    for (what, text) in facts {
        writeln!(out, "  {what:<9} {text}")?;
    }
    write_tables(log, out)?;
    write_damage(&report.damage, names, out)
}

const HARD_STOP: &str = "without notice, or still running: every message counts as redelivered";
const TORN: &str = "they were being written when the broker stopped, nothing in them was confirmed";

fn write_tables(log: &Replay<Length>, out: &mut impl Write) -> Result<(), Stop> {
    if log.definitions.is_empty() {
        return Ok(writeln!(out, "\nnothing durable is defined")?);
    }
    let head = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<String>>();
    let mut rows = vec![head(&["vhost", "exchanges", "queues", "bindings"])];
    for (vhost, all) in &log.definitions {
        let counts = [all.exchanges.len(), all.queues.len(), all.bindings.len()];
        let counts = counts.iter().map(|count| units::count(*count as u64));
        rows.push(std::iter::once(safe(vhost)).chain(counts).collect());
    }
    write!(out, "\n{}", units::table(&rows))?;
    let mut rows =
        vec![head(&["vhost", "queue", "messages", "octets", "in pages", "redelivered", "oldest deadline"])];
    for queue in queues(log) {
        rows.push(vec![
            safe(queue.vhost),
            safe(queue.name),
            units::count(queue.messages),
            units::size(queue.octets),
            units::count(queue.paged),
            units::count(queue.returned),
            queue.deadline.map_or_else(|| "-".to_owned(), units::utc),
        ]);
    }
    if 1 < rows.len() {
        write!(out, "\n{}", units::table(&rows))?;
    }
    Ok(())
}

fn write_damage(damage: &[Damage], names: &Names, out: &mut impl Write) -> Result<(), Stop> {
    if damage.is_empty() {
        return Ok(writeln!(out, "\nno damage found")?);
    }
    writeln!(out, "\ndamage found: {}", units::count(damage.len() as u64))?;
    for one in damage {
        writeln!(out, "  {one}\n    {}", meaning(&one.kind))?;
    }
    for (queue, ranges) in affected(damage) {
        writeln!(out, "  queue {}: messages {}", names.show(queue), show_ranges(&ranges))?;
    }
    if damage.iter().any(|one| one.kind.is_grave()) {
        writeln!(out, "a broker starts with this directory only with --accept-loss; a copy of it may help")?;
    }
    Ok(())
}

/// What a damage means for whoever owns the messages.
fn meaning(kind: &DamageKind) -> &'static str {
    match kind {
        DamageKind::Record { places } if places.is_empty() => {
            "lost: a message, or an exchange, queue or binding; it cannot be told which"
        }
        DamageKind::Record { .. } => "lost, unless it was settled; everything around it is there",
        DamageKind::Settlement { .. } => {
            "nothing is lost, but messages that were acknowledged here are delivered again, or count fewer returns"
        }
        DamageKind::Batches { .. } | DamageKind::Beginning { .. } | DamageKind::Segments { .. } => {
            "lost: what was published and defined there; what was acknowledged there is delivered again"
        }
        DamageKind::Header => "nothing is lost by this",
    }
}

/// Sequences of messages that are damaged or come again, by queue, as first and last ones.
fn affected(damage: &[Damage]) -> BTreeMap<QueueId, Vec<(u64, u64)>> {
    let mut found: BTreeMap<QueueId, BTreeSet<(u64, u64)>> = BTreeMap::new();
    for one in damage {
        match &one.kind {
            DamageKind::Record { places } => {
                for (queue, sequence) in places {
                    found.entry(*queue).or_default().insert((*sequence, *sequence));
                }
            }
            DamageKind::Settlement { queue, runs } => {
                let runs = runs.iter().filter(|(_, length)| *length != 0);
                let ranges = runs.map(|(first, length)| (*first, first.saturating_add(length - 1)));
                found.entry(*queue).or_default().extend(ranges);
            }
            _ => {}
        }
    }
    found.into_iter().map(|(queue, ranges)| (queue, join(ranges))).collect()
}

/// Joins ascending ranges that touch.
fn join(ranges: impl IntoIterator<Item = (u64, u64)>) -> Vec<(u64, u64)> {
    let mut joined: Vec<(u64, u64)> = Vec::new();
    for (first, last) in ranges {
        match joined.last_mut() {
            Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
            _ => joined.push((first, last)),
        }
    }
    joined
}

fn show_ranges(ranges: &[(u64, u64)]) -> String {
    let show = |(first, last): &(u64, u64)| match first == last {
        true => first.to_string(),
        false => format!("{first} to {last}"),
    };
    ranges.iter().map(show).collect::<Vec<_>>().join(", ")
}

fn as_value(directory: &Path, log: &Replay<Length>, names: &Names) -> Value {
    let report = &log.report;
    let segments = log.segments().map(|(number, end)| json!({"number": number, "octets": end}));
    let vhosts = log.definitions.iter().map(|(vhost, all)| {
        json!({
            "name": vhost,
            "exchanges": all.exchanges.len(),
            "queues": all.queues.len(),
            "bindings": all.bindings.len(),
        })
    });
    let queues = queues(log).into_iter().map(|queue| {
        json!({
            "vhost": queue.vhost,
            "name": queue.name,
            "messages": queue.messages,
            "octets": queue.octets,
            "in_pages": queue.paged,
            "redelivered": queue.returned,
            "oldest_deadline": queue.deadline,
        })
    });
    let damage = report.damage.iter().map(|one| damage_value(one, names));
    json!({
        "data_dir": directory.display().to_string(),
        "format": FORMAT,
        "written_by": report.written_by,
        "segments": segments.collect::<Vec<_>>(),
        "octets": report.bytes,
        "batches": report.batches,
        "records": report.records,
        "torn_octets": report.torn_bytes,
        "stopped_in_order": log.was_clean,
        "foreign_files": report.foreign,
        "vhosts": vhosts.collect::<Vec<_>>(),
        "queues": queues.collect::<Vec<_>>(),
        "damage": damage.collect::<Vec<_>>(),
    })
}

fn damage_value(damage: &Damage, names: &Names) -> Value {
    let kind = match &damage.kind {
        DamageKind::Record { .. } => "record",
        DamageKind::Settlement { .. } => "settlement",
        DamageKind::Batches { .. } => "batches",
        DamageKind::Beginning { .. } => "beginning",
        DamageKind::Segments { .. } => "segments",
        DamageKind::Header => "header",
    };
    let queues = affected(std::slice::from_ref(damage)).into_iter().map(|(queue, ranges)| {
        let (vhost, name) = names.get(queue).unzip();
        json!({"id": queue, "vhost": vhost, "name": name, "sequences": ranges})
    });
    json!({
        "kind": kind,
        "segment": damage.segment,
        "offset": damage.offset,
        "grave": damage.kind.is_grave(),
        "text": damage.to_string(),
        "meaning": meaning(&damage.kind),
        "queues": queues.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_touch_are_one() {
        assert_eq!(
            join([(1, 1), (2, 4), (3, 3), (6, 6), (u64::MAX, u64::MAX)]),
            [(1, 4), (6, 6), (u64::MAX, u64::MAX)]
        );
        assert_eq!(show_ranges(&[(1, 4), (6, 6)]), "1 to 4, 6");
        let kind = DamageKind::Settlement { queue: 7, runs: vec![(u64::MAX - 1, 1), (3, 0), (1, 2)] };
        let found = affected(&[Damage { segment: 1, offset: 0, kind }]);
        assert_eq!(found[&7], [(1, 2), (u64::MAX - 1, u64::MAX - 1)]);
    }
}
