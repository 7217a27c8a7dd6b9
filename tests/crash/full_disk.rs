//! Full disks: publishers wait or are refused, but are not promised what does not fit; consuming makes room.

use std::{collections::VecDeque, time::Duration};

use lapin::{Confirmation, Connection, PublisherConfirm, options::*};

use crate::{
    consumers::{self, Habit},
    cycles::{cycles, first, seeded, verify},
    disk::{Disk, MemoryDisk},
    footprint::emptied,
    isolated::inside,
    load::{Peer, Shared},
    look::open,
    message::Id,
    patience::within,
    place::{Broker, Ending, Place},
    settings::{DEFAULT, Settings},
    topology::ROUTES,
};

/// A few segments of the log.
const DISKS_MEBIBYTES: [u64; 2] = [256, 64];
const UNRESERVED: Settings = &["limits.disk_free=0"];
/// With a reserve, and to the last octet, so that the next start finds no room for another segment either.
const SETTINGS: [Settings; 3] =
    [DEFAULT, &["limits.resident_max=0"], &["limits.disk_free=0", "storage.segment_size=8MiB"]];
const MESSAGE_OCTETS: u32 = 60_000;
/// More than the disk can hold.
const MESSAGES_MAX: u32 = 6000;
const WINDOW: usize = 10;
const ROUNDS: u64 = 3;
const PUBLISHER: u16 = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs root and loop devices"]
async fn a_full_ext4_loses_nothing_and_becomes_free_again() {
    if inside("full_disk::a_full_ext4_loses_nothing_and_becomes_free_again") {
        for (mebibytes, settings) in variants() {
            let place = Place::new();
            match Disk::new(place.path(), mebibytes) {
                Some(disk) => fill_and_drain(place.with_data(&disk.data()), settings).await,
                None => eprintln!("skipped: no loop device, or no mkfs.ext4"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs root"]
async fn a_full_tmpfs_loses_nothing_and_becomes_free_again() {
    if inside("full_disk::a_full_tmpfs_loses_nothing_and_becomes_free_again") {
        for (mebibytes, settings) in variants() {
            let place = Place::new();
            match MemoryDisk::new(place.path(), mebibytes) {
                Some(disk) => fill_and_drain(place.with_data(&disk.data()), settings).await,
                None => eprintln!("skipped: no tmpfs"),
            }
        }
    }
}

/// Sizes of disks, and what brokers on them are set to.
fn variants() -> impl Iterator<Item = (u64, Settings)> {
    let all = DISKS_MEBIBYTES.iter().flat_map(|size| SETTINGS.iter().map(|settings| (*size, *settings)));
    all.inspect(|(size, settings)| eprintln!("a disk of {size} MiB, {settings:?}"))
}

/// Fills the disk, kills the broker there, and empties it with the next one, which must take messages again.
async fn fill_and_drain(mut place: Place, settings: Settings) {
    place.set(settings);
    let (mut random, shared) = (seeded(), Shared::default());
    let mut broker = first(&place, &shared).await;
    for round in 1..=cycles(ROUNDS) {
        let confirmed = fill(&place, &broker, &shared).await;
        eprintln!("full after {confirmed} messages");
        broker.end(Ending::Kill).await;
        // Who looks publishes, too, which an alarm would keep waiting.
        place.set(UNRESERVED);
        broker = place.start();
        verify(&broker, &shared, Ending::Kill, round).await;

        shared.expect_life();
        let peer = Peer::connect(broker.uri(), shared.clone(), random.fork()).await.unwrap();
        let consumer = tokio::spawn(consumers::run(peer, ROUTES[0].queues[0], Habit::AckEach));
        publish_again(&broker, &shared).await;
        consumer.abort();
        broker.end(Ending::Kill).await;
        place.set(settings);
        broker = place.start();
        verify(&broker, &shared, Ending::Kill, round).await;
    }
    // Its broker ends before the disk is taken away.
    emptied(&mut place, broker, &shared).await;
}

type Waiting = VecDeque<(Id, PublisherConfirm)>;

async fn send(channel: &lapin::Channel, shared: &Shared, waiting: &mut Waiting) {
    let id = shared.model().send(PUBLISHER, MESSAGE_OCTETS, ROUTES[0].queues, None);
    let (key, options) = (ROUTES[0].key.into(), BasicPublishOptions::default());
    let body = id.body();
    let publish = channel.basic_publish("".into(), key, options, &body, id.properties());
    waiting.push_back((id, publish.await.expect("the connection stays")));
}

/// Publishes until the broker takes no more, and tells how many it has confirmed.
async fn fill(place: &Place, broker: &Broker, shared: &Shared) -> u32 {
    let connection = broker.connect().await;
    let channel = open(&connection).await;
    within("confirm.select-ok", channel.confirm_select(ConfirmSelectOptions::default())).await.unwrap();
    let logged = place.log().len();
    let mut waiting = Waiting::new();
    for confirmed in 0..MESSAGES_MAX {
        while waiting.len() < WINDOW {
            tokio::select! {
                () = send(&channel, shared, &mut waiting) => {}
                // Nothing more is read from a connection that is blocked.
                () = full(place, logged, &connection) => return confirmed,
            }
        }
        let (id, confirm) = waiting.pop_front().expect("a full window");
        let confirm = tokio::select! {
            confirm = within("a confirm, or word of the full disk", confirm) => confirm,
            () = full(place, logged, &connection) => return confirmed,
        };
        match confirm.expect("the broker lives on") {
            Confirmation::Ack(_) => shared.model().confirmed(id),
            _ => return confirmed,
        }
    }
    panic!("{MESSAGES_MAX} messages confirmed, which is more than the disk holds");
}

/// The broker has told its clients, or at least its log, that the disk is full.
async fn full(place: &Place, logged: usize, connection: &Connection) {
    while !connection.status().blocked() && !place.log()[logged..].contains("the disk is full") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Once there is room again, everything is confirmed. A refused message is sent again, as clients do.
async fn publish_again(broker: &Broker, shared: &Shared) {
    let connection = broker.connect().await;
    let channel = open(&connection).await;
    within("confirm.select-ok", channel.confirm_select(ConfirmSelectOptions::default())).await.unwrap();
    let hundred = async {
        let mut confirmed = 0;
        while confirmed < 100 {
            let mut waiting = Waiting::new();
            send(&channel, shared, &mut waiting).await;
            for (id, confirm) in waiting {
                if let Confirmation::Ack(_) = confirm.await.expect("the broker lives on") {
                    shared.model().confirmed(id);
                    confirmed += 1;
                }
            }
        }
    };
    within("a hundred confirms after room was made", hundred).await;
}
