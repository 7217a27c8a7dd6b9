//! What a restart found against what clients know.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    model::{DELAYING, EXCHANGES, Model, Queue, Stamp, WAITING, family, is_durable},
    wire::Letter,
};
use crate::{
    broker::{memory::Account, queue::Entry},
    store::{Definitions, PageLocation, PageRecord, Recovered, disk::MemoryDisk, read_page},
};

/// A queue's messages in the order of their sequences.
pub type Found = Vec<FoundMessage>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundMessage {
    pub sequence: u64,
    pub letter: Letter,
    pub deadline: u64,
    pub returns: u32,
}

/// A recovered log in plain words.
#[derive(Debug, Default)]
pub struct Finding {
    pub exchanges: BTreeSet<String>,
    pub bindings: BTreeSet<(String, String, String)>,
    pub queues: BTreeMap<String, Found>,
    /// Messages of a queue that lie in pages, by sequence.
    pub in_pages: BTreeSet<(String, u64)>,
    /// Something that lives in a page is not there.
    pub has_lost_pages: bool,
    pub was_clean: bool,
}

impl Finding {
    /// Reads a recovery and its pages; panics when a message is not what a client published.
    pub fn of(recovered: &Recovered, disk: &MemoryDisk) -> Finding {
        let none = Definitions::default();
        let definitions = recovered.definitions.get("/").unwrap_or(&none);
        let mut finding = Finding { was_clean: recovered.was_clean, ..Finding::default() };
        finding.exchanges = definitions.exchanges.iter().map(|exchange| exchange.name.clone()).collect();
        finding.bindings = definitions
            .bindings
            .iter()
            .map(|binding| {
                assert!(binding.to_queue, "nobody bound an exchange to an exchange");
                (binding.source.clone(), binding.destination.clone(), binding.routing_key.clone())
            })
            .collect();
        let queues = definitions.queues.iter().map(|queue| (queue.id, &*queue.name));
        let delaying = definitions.exchanges.iter().filter(|exchange| exchange.name == DELAYING);
        for (id, name) in queues.chain(delaying.filter_map(|exchange| Some((exchange.delay?, WAITING)))) {
            let Some(recovered) = recovered.queues.get(&id) else { continue };
            let messages = recovered.messages.iter().map(|(sequence, message)| FoundMessage {
                sequence: *sequence,
                letter: Letter::read(&body_of(&message.message)),
                deadline: message.deadline,
                returns: message.returns,
            });
            let mut found: Found = messages.collect();
            for page in &recovered.pages {
                let Some(paged) = in_page(page, &recovered.returns, disk) else {
                    finding.has_lost_pages = true;
                    continue;
                };
                finding.in_pages.extend(paged.iter().map(|found| (name.to_owned(), found.sequence)));
                found.extend(paged);
            }
            found.sort_by_key(|message| message.sequence);
            let before = finding.queues.insert(name.to_owned(), found);
            assert!(before.is_none(), "queue {name} was found twice");
        }
        finding
    }
}

/// What lives in a page, if all of it is there.
fn in_page(page: &PageRecord, returns: &BTreeMap<u64, u32>, disk: &MemoryDisk) -> Option<Found> {
    let location = PageLocation { file: page.file, offset: page.offset, length: page.length };
    let (entries, _) = read_page(disk, page.queue, page.page, location, Account::UNCOUNTED).ok()?;
    let lives =
        |sequence| page.live.iter().any(|(first, length)| (*first..first + length).contains(&sequence));
    let living: Vec<_> = entries.into_iter().filter(|entry| lives(entry.sequence)).collect();
    let count: u64 = page.live.iter().map(|(_, length)| length).sum();
    if living.len() as u64 != count {
        return None;
    }
    let found = |entry: Entry| FoundMessage {
        sequence: entry.sequence,
        letter: Letter::read(&body_of(&entry.message)),
        deadline: entry.deadline,
        returns: returns.get(&entry.sequence).copied().unwrap_or(entry.returns),
    };
    Some(living.into_iter().map(found).collect())
}

/// A message's body in one piece.
pub fn body_of(message: &crate::broker::Message) -> Vec<u8> {
    match message.inline_body() {
        Some(body) => body.to_vec(),
        None => message.pieces().concat(),
    }
}

/// What a restart may have lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// What nobody was told of.
    Power,
    /// What was not written.
    Process,
    /// Nothing.
    None,
}

/// Checks that what was found is everything up to the end of some commit that is late enough, and nothing
/// else.
pub fn check(model: &Model, found: &Finding, loss: Loss) -> Result<(), String> {
    if found.has_lost_pages {
        return Err("a page that the log knows is not there, or not all of it".to_owned());
    }
    let earliest = match loss {
        Loss::Power => model.horizon,
        Loss::Process => model.horizon.max(model.written),
        Loss::None => model.boundaries.last().copied().unwrap_or(0),
    };
    let mut reasons = String::new();
    let mut tried = BTreeSet::new();
    for boundary in model.boundaries.iter().filter(|boundary| earliest <= **boundary) {
        if !tried.insert(*boundary) {
            continue;
        }
        match check_at(model, found, *boundary) {
            Ok(()) => return Ok(()),
            Err(reason) => reasons.push_str(&format!("\n  if it is that of step {boundary}: {reason}")),
        }
    }
    tell!("found: {found:#?}\nboundaries: {:?}", model.boundaries);
    Err(format!(
        "no commit from step {earliest} on (now {}) explains what the restart found ({loss:?}):{reasons}",
        model.now
    ))
}

fn check_at(model: &Model, found: &Finding, at: Stamp) -> Result<(), String> {
    let delaying = (DELAYING, "", true);
    for (name, _, durable) in EXCHANGES.iter().chain([&delaying]) {
        let expected = *durable && model.exchanges.get(*name).is_some_and(|spans| spans.hold(at));
        if expected != found.exchanges.contains(*name) {
            return Err(format!("exchange {name}: {expected} expected"));
        }
    }
    let standing = |binding: &&(String, String, String)| {
        let (exchange, queue, _) = binding;
        exchange != "x.passing" && is_durable(queue) && model.bindings[*binding].hold(at)
    };
    let bindings: BTreeSet<_> = model.bindings.keys().filter(standing).cloned().collect();
    if let Some(odd) = bindings.symmetric_difference(&found.bindings).next() {
        return Err(format!("binding {odd:?}: {} expected", bindings.contains(odd)));
    }
    if let Some(name) = found.queues.keys().find(|name| !model.queues.contains_key(*name)) {
        return Err(format!("queue {name} was never declared"));
    }
    for (name, lives) in &model.queues {
        let life = lives
            .iter()
            .find(|queue| queue.span.from <= at && queue.span.until.is_none_or(|until| at < until));
        let expected = is_durable(name) && life.is_some();
        match found.queues.get(name) {
            Some(_) if !expected => return Err(format!("queue {name}: none expected")),
            None if expected => return Err(format!("queue {name} is missing")),
            None => {}
            Some(messages) => {
                if let Some(queue) = life.filter(|_| family(name) == name) {
                    let dead = found.queues.get(&format!("dead.{name}"));
                    check_queue(name, queue, messages, dead.map(Vec::as_slice).unwrap_or_default(), at)?;
                }
            }
        }
    }
    Ok(())
}

fn check_queue(
    name: &str,
    queue: &Queue,
    messages: &[FoundMessage],
    dead: &[FoundMessage],
    at: Stamp,
) -> Result<(), String> {
    let mut there = BTreeSet::new();
    let mut last = None;
    for (found, is_dead) in
        messages.iter().map(|found| (found, false)).chain(dead.iter().map(|found| (found, true)))
    {
        let id = found.letter.id;
        let Some(place) = queue.place(id) else {
            return Err(format!("{name}: message {id} was never published to it"));
        };
        if !there.insert(id) {
            return Err(format!("{name}: message {id} is there twice"));
        }
        // What waits in an exchange that delays is kept, whatever it is.
        if !found.letter.persistent && (is_dead || name != WAITING) {
            return Err(format!("{name}: transient message {id} is there"));
        }
        if !is_dead && last.is_some_and(|last| place < last) {
            return Err(format!("{name}: message {id} stands behind a later one"));
        }
        if !is_dead {
            last = Some(place);
        }
    }
    for arrival in queue.arrivals.iter().filter(|arrival| arrival.letter.persistent) {
        let (id, is_there) = (arrival.letter.id, there.contains(&arrival.letter.id));
        let (first, latest) = arrival.gone.unwrap_or((Stamp::MAX, Stamp::MAX));
        if is_there && at < arrival.at {
            return Err(format!("{name}: message {id} of step {} is there already", arrival.at));
        }
        if is_there && latest <= at {
            return Err(format!("{name}: message {id}, gone since step {latest}, came back"));
        }
        if !is_there && arrival.at <= at && at < first {
            return Err(format!("{name}: message {id} of step {} is lost", arrival.at));
        }
    }
    Ok(())
}
