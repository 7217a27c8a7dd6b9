//! Power cuts: what was promised is on the disk, not only in the kernel's memory.

use std::time::Duration;

use crate::{
    cycles::{cycles, first, interrupted, seeded, verify},
    disk::Disk,
    footprint::emptied,
    isolated::inside,
    load::Shared,
    place::{Ending, Place},
    settings::{self, chosen},
};

const DISK_MEBIBYTES: u64 = 2048;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs root and loop devices"]
async fn confirmed_messages_survive_power_cut_after_power_cut() {
    if !inside("power::confirmed_messages_survive_power_cut_after_power_cut") {
        return;
    }
    let (mut random, place, shared) = (seeded(), Place::new(), Shared::default());
    let Some(disk) = Disk::new(place.path(), DISK_MEBIBYTES) else {
        eprintln!("skipped: no loop device, or no mkfs.ext4");
        return;
    };
    let mut place = place.with_data(&disk.data());
    let mut broker = first(&place, &shared).await;
    for cycle in 1..=cycles(5) {
        // The broker goes on for a moment, and must not promise anything in it.
        let agony = Duration::from_millis(u64::from(random.pick(0..100)));
        interrupted(broker, &shared, &mut random, async |broker| {
            // An fdatasync that is under way while ext4 is shut down may return 0 though its transaction never
            // reached the device, which no loss of power does. So none is under way.
            broker.pause().await;
            disk.cut();
            broker.resume();
            tokio::time::sleep(agony).await;
            broker.end(Ending::Kill).await;
        })
        .await;
        disk.restore();
        place.set(chosen(&mut random, settings::SYNCED));
        broker = place.start();
        verify(&broker, &shared, Ending::Kill, cycle).await;
    }
    // Its broker ends before the disk is taken away.
    emptied(&mut place, broker, &shared).await;
}
