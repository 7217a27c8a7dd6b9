//! More connections and channels than the node, a virtual host or a user may have.

use leveret::engine::Allowance;

use crate::{
    attacker::Attacker,
    innocent::Innocent,
    target::{Target, eventually},
    wire::*,
};

/// The client's half of a handshake of `user`, whose password is its name.
fn handshake(user: &str, vhost: &str) -> Vec<u8> {
    [HEADER, &start_ok(&client_properties(b""), user, user), &tune_ok(0, 0, 0), &open(vhost)].concat()
}

async fn opened(target: &Target, user: &str, vhost: &str) -> Attacker {
    let mut peer = Attacker::connect(target.address()).await;
    peer.send(&handshake(user, vhost)).await;
    for answer in [(10, 10), (10, 30), (10, 41)] {
        peer.expect(answer).await;
    }
    peer
}

/// What a connection is refused with.
async fn refused(target: &Target, user: &str, vhost: &str) -> String {
    let mut peer = Attacker::connect(target.address()).await;
    peer.send(&handshake(user, vhost)).await;
    peer.expect((10, 10)).await;
    peer.expect((10, 30)).await;
    let close = peer.expect(CONNECTION_CLOSE).await;
    peer.send(&method(0, 10, 51, &[])).await;
    peer.ended().await;
    close.reason()
}

/// A broker with user `mallory` and virtual host `other`.
async fn target(configure: impl FnOnce(&mut leveret::Config)) -> Target {
    Target::configured(|config| {
        config.bootstrap.users = vec![("mallory".to_owned(), "mallory".to_owned())];
        config.bootstrap.vhosts = vec!["other".to_owned()];
        configure(config);
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn con_56_the_node_has_room_for_so_many() {
    let target = target(|config| config.limits.connections_max = Some(3)).await;
    let innocent = Innocent::start(&target.uri()).await;
    let first = opened(&target, "mallory", "/").await;
    let second = opened(&target, "mallory", "other").await;
    let text = "530 NOT_ALLOWED - connection refused: node connection limit (3) is reached (10,40)";
    // Also before it is known whether there is such a virtual host.
    for vhost in ["/", "other", "nowhere"] {
        assert_eq!(refused(&target, "guest", vhost).await, text);
    }
    let report = target.report("limits.connections_max");
    assert_eq!((report.current, report.limit, report.refusals), (Some(3), Some(3), 3));
    // Whoever has the answer to its close has given its place back.
    first.close().await;
    opened(&target, "mallory", "/").await.close().await;
    drop(second);
    innocent.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn con_54_a_virtual_host_has_room_for_so_many() {
    let target = target(|config| config.limits.connections_per_vhost_max = Some(2)).await;
    let innocent = Innocent::start(&target.uri()).await;
    let occupancy = target.broker.occupancy();
    let refusal = |vhost: &str, limit: u64| {
        format!(
            "530 NOT_ALLOWED - access to vhost '{vhost}' refused for user 'mallory': connection limit \
             ({limit}) is reached (10,40)"
        )
    };
    let _one = opened(&target, "mallory", "other").await;
    let _two = opened(&target, "mallory", "other").await;
    assert_eq!(refused(&target, "mallory", "other").await, refusal("other", 2));
    occupancy.allow_vhost_connections("other", Allowance::AtMost(3));
    let _three = opened(&target, "mallory", "other").await;
    assert_eq!(refused(&target, "mallory", "other").await, refusal("other", 3));
    occupancy.allow_vhost_connections("other", Allowance::Unlimited);
    let _four = opened(&target, "mallory", "other").await;
    occupancy.allow_vhost_connections("other", Allowance::AtMost(0));
    assert_eq!(refused(&target, "mallory", "other").await, refusal("other", 0));
    // What one virtual host may not, another may.
    opened(&target, "mallory", "/").await.close().await;
    assert_eq!(target.refusals("limits.connections_per_vhost_max"), 3);
    // One that is not there has no limit to be told of.
    occupancy.allow_vhost_connections("nowhere", Allowance::AtMost(0));
    assert_eq!(
        refused(&target, "mallory", "nowhere").await,
        "530 NOT_ALLOWED - vhost nowhere not found (10,40)"
    );
    assert_eq!(occupancy.vhost_connections("other"), 4);
    innocent.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn con_55_a_user_has_room_for_so_many() {
    let target = target(|config| config.limits.connections_per_user_max = Some(2)).await;
    let innocent = Innocent::start(&target.uri()).await;
    let refusal = |limit: u64| {
        format!(
            "530 NOT_ALLOWED - connection refused for user 'mallory': user connection limit ({limit}) is \
             reached (10,40)"
        )
    };
    let one = opened(&target, "mallory", "/").await;
    let _two = opened(&target, "mallory", "other").await;
    for vhost in ["/", "other"] {
        assert_eq!(refused(&target, "mallory", vhost).await, refusal(2));
    }
    opened(&target, "guest", "other").await.close().await;
    // A smaller limit throws nobody out, and lets nobody in before enough have gone.
    let occupancy = target.broker.occupancy();
    occupancy.allow_user_connections("mallory", Allowance::AtMost(1));
    one.close().await;
    assert_eq!(refused(&target, "mallory", "/").await, refusal(1));
    assert_eq!(target.refusals("limits.connections_per_user_max"), 3);
    innocent.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn con_129_a_user_has_so_many_channels_on_all_connections() {
    let target = target(|config| config.limits.channels_per_user_max = Some(5)).await;
    let innocent = Innocent::start(&target.uri()).await;
    let mut one = opened(&target, "mallory", "/").await;
    let mut two = opened(&target, "mallory", "/").await;
    for channel in 1..=3 {
        one.open_channel(channel).await;
    }
    two.open_channel(1).await;
    two.open_channel(2).await;
    // Channels that end, whichever way, make room.
    one.send(&[channel_close(3), message(1, "nowhere", "", b"x")].concat()).await;
    one.expect((20, 41)).await;
    assert_eq!(one.channel_closed_with(1).await, 404);
    two.open_channel(3).await;
    two.open_channel(4).await;
    one.send(&channel_open(9)).await;
    assert_eq!(
        one.expect(CONNECTION_CLOSE).await.reason(),
        "530 NOT_ALLOWED - number of channels opened for user 'mallory' has reached the maximum allowed user \
         limit of 5 (0,0)"
    );
    // The connection that is closed takes its channels with it.
    two.open_channel(5).await;
    assert_eq!(target.broker.occupancy().of_user("mallory"), (1, 5));
    assert_eq!(target.refusals("limits.channels_per_user_max"), 1);
    innocent.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn places_come_back_however_a_connection_ends() {
    let target = target(|config| config.limits.connections_max = Some(5)).await;
    let innocent = Innocent::start(&target.uri()).await;
    let occupancy = target.broker.occupancy();
    for _ in 0..5 {
        let (mut mute, mut rude, mut broken) = (
            opened(&target, "mallory", "/").await,
            opened(&target, "mallory", "other").await,
            opened(&target, "mallory", "/").await,
        );
        for peer in [&mut mute, &mut rude, &mut broken] {
            peer.open_channel(1).await;
            peer.open_channel(7).await;
        }
        assert_eq!(occupancy.of_user("mallory"), (3, 6));
        // In mid frame; with a reset; by an error whose close is never answered; after a failed open.
        mute.send(&head(BODY, 1, 4_000)).await;
        drop(mute);
        rude.reset();
        broken.send(&frame(9, 0, b"")).await;
        assert_eq!(broken.close_code().await, 501);
        assert!(refused(&target, "mallory", "nowhere").await.contains("not found"));
        opened(&target, "mallory", "/").await.close().await;
        eventually("all places are free", || occupancy.of_user("mallory") == (0, 0)).await;
        assert_eq!((occupancy.connections(), occupancy.vhost_connections("other")), (1, 0));
    }
    innocent.unharmed().await;
}
