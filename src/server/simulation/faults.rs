//! What goes wrong with disks: operations that fail, disks that are full, octets that rot.

use std::{ops::ControlFlow, sync::Arc};

use super::{
    check::{Finding, Loss, check},
    model::Model,
    runs::{Story, rules},
    world::{World, options},
};
use crate::store::{
    RecoveryError, Walked,
    disk::{Disk, FaultyDisk, MemoryDisk, Operation, When, errno},
    recover, walk,
};

/// Perhaps something will fail in this life.
pub fn plan(world: &mut World, story: &mut Story) {
    if world.random.once_in(3) {
        story.faults += 1;
        for rule in rules(world) {
            world.disk.disk.plan(rule);
        }
    }
}

/// Now and then the disk is full, and has space again.
pub fn fill_disk(world: &mut World, story: &mut Story) {
    if world.random.once_in(150) {
        story.faults += 1;
        let used: u64 = world.disk.memory().files().iter().map(|(_, length)| length).sum();
        let more = world.random.below(100_000);
        world.disk.memory().set_capacity(Some(used + more));
    } else if world.random.once_in(40) {
        world.disk.memory().set_capacity(None);
    }
}

/// Damages a copy of the disk, and sees that a restart notices. The disk itself stays as it is.
pub fn damage(world: &mut World, model: &Model, loss: Loss, story: &mut Story) {
    let kind = world.random.below(12);
    tell!("damage of kind {kind}");
    match kind {
        0 => flip(world, model, loss),
        1 => lose_segment(world, model, loss),
        2 => cut_segment(world, model, loss),
        3 => fail_reads(world, model, loss),
        _ => return,
    }
    story.faults += 1;
}

fn segments(disk: &MemoryDisk) -> Vec<(String, u64)> {
    let files = disk.files().into_iter();
    files.filter(|(path, length)| path.starts_with("log/0") && 4096 < *length).collect()
}

/// What a restart makes of a damaged disk: it says so, or nothing of worth was damaged.
fn examine(world: &World, disk: MemoryDisk, model: &Model, loss: Loss) {
    examine_with(world, disk, model, loss, false);
}

/// `tail_is_hit` says that the last batch is damaged: nothing behind it tells that it was there.
fn examine_with(world: &World, disk: MemoryDisk, model: &Model, loss: Loss, tail_is_hit: bool) {
    let disk: Arc<dyn Disk> = Arc::new(disk);
    match recover(&disk, options(world.sync, false), |_, _| ()) {
        Ok(recovered) => {
            tell!("report {:?}", recovered.report);
            // Reading it compares every body with what was published.
            let finding = Finding::of(&recovered, world.disk.memory());
            // A tail that cannot be read looks like one that was being written.
            if recovered.report.damage.is_empty() && recovered.report.torn_bytes == 0 && !tail_is_hit {
                check(model, &finding, loss).unwrap_or_else(|reason| panic!("unnoticed damage: {reason}"));
            }
        }
        Err(RecoveryError::Damaged(damage)) => {
            assert!(!damage.is_empty());
            let recovered = recover(&disk, options(world.sync, true), |_, _| ());
            let recovered = recovered.unwrap_or_else(|error| panic!("loss is accepted: {error}"));
            assert!(!recovered.report.damage.is_empty());
            Finding::of(&recovered, world.disk.memory());
            drop(recovered);
            // What was accepted once is not complained of again.
            let again = recover(&disk, options(world.sync, true), |_, _| ());
            again.unwrap_or_else(|error| panic!("after a loss that was accepted: {error}"));
        }
        Err(RecoveryError::Format { .. }) => {}
        Err(error @ RecoveryError::Io { .. }) => panic!("damage is not an error of the disk: {error}"),
    }
}

fn flip(world: &mut World, model: &Model, loss: Loss) {
    let disk = world.disk.memory().kill();
    let files = segments(&disk);
    if files.is_empty() {
        return;
    }
    // That there was a last batch, only a segment behind it tells.
    let untold = files.get(told(&disk, &files)..).unwrap_or_default();
    let tail = last_batch(&disk).filter(|(path, _)| untold.iter().any(|(last, _)| last == path));
    let mut tail_is_hit = false;
    for _ in 0..1 + world.random.below(3) {
        let (path, length) = world.random.pick(&files).clone();
        let offset = world.random.below(length);
        tail_is_hit |= tail.as_ref().is_some_and(|(last, begin)| *last == path && *begin <= offset);
        let bit = world.random.below(8) as u8;
        assert!(disk.flip_bit(&path, offset, bit));
        tell!("flip {path} {offset} {bit}, segments {files:?}");
    }
    examine_with(world, disk, model, loss, tail_is_hit);
}

/// How many of these segments have one behind them that tells how much was in them: one that was not being made,
/// be it of a file that was another segment before.
fn told(disk: &MemoryDisk, files: &[(String, u64)]) -> usize {
    let made = |(path, _): &(String, u64)| {
        let number = path.rsplit('/').next().and_then(|digits| u64::from_str_radix(digits, 16).ok());
        let octets = disk.contents(path).unwrap_or_default();
        octets.get(16..24).and_then(|octets| octets.first_chunk()).map(|octets| u64::from_le_bytes(*octets))
            == number
    };
    files.iter().rposition(made).unwrap_or(0)
}

/// Where the last batch begins.
fn last_batch(disk: &MemoryDisk) -> Option<(String, u64)> {
    let mut last: Option<(u64, u64, u64)> = None;
    let visit = |walked: Walked<'_>| {
        if last.is_none_or(|(batch, ..)| batch != walked.batch) {
            last = Some((walked.batch, walked.segment, walked.offset));
        }
        ControlFlow::Continue(())
    };
    walk(disk, visit).expect("the log can be read");
    last.map(|(_, segment, offset)| (format!("log/{segment:016x}"), offset / 4096 * 4096))
}

fn lose_segment(world: &mut World, model: &Model, loss: Loss) {
    let disk = world.disk.memory().kill();
    let files = segments(&disk);
    if files.len() < 2 {
        return;
    }
    let (path, _) = &files[world.random.index(files.len() - 1)];
    disk.remove(path).expect("it is there");
    examine(world, disk, model, loss);
}

fn cut_segment(world: &mut World, model: &Model, loss: Loss) {
    let disk = world.disk.memory().kill();
    let files = segments(&disk);
    // Nothing behind the last one tells how much was in it.
    let told = told(&disk, &files);
    if told == 0 {
        return;
    }
    let (path, length) = files[world.random.index(told)].clone();
    let file = disk.open(&path, crate::store::disk::Open::Existing).expect("it is there");
    file.set_length(world.random.below(length)).expect("it can be cut");
    drop(file);
    examine(world, disk, model, loss);
}

fn fail_reads(world: &mut World, model: &Model, loss: Loss) {
    let faulty = FaultyDisk::new(world.disk.memory().kill());
    let nth = 1 + world.random.below(30);
    let operation =
        *world.random.pick(&[Operation::Read, Operation::Open, Operation::List, Operation::Length]);
    faulty.plan(When::nth(operation, nth).fail(errno::EIO));
    let disk: Arc<dyn Disk> = Arc::new(faulty.clone());
    match recover(&disk, options(world.sync, false), |_, _| ()) {
        Ok(_) => {}
        Err(RecoveryError::Io { .. }) => {
            faulty.heal();
            let recovered = recover(&disk, options(world.sync, false), |_, _| ());
            let recovered = recovered.unwrap_or_else(|error| panic!("the disk works again: {error}"));
            world.expect(model, &recovered, loss);
        }
        Err(error) => panic!("a read that fails is no damage: {error}"),
    }
}
