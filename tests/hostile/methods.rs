//! Every method number of every class, with arguments that fit and that do not.

use crate::{
    attacker::{Attacker, Frame},
    innocent::Innocent,
    target::Target,
    wire::*,
};

const CLASSES: [u16; 8] = [10, 20, 30, 40, 50, 60, 85, 90];
/// Channels: the connection's own, an open one, one that was never opened.
const CHANNELS: [u16; 3] = [0, 1, 7];

/// A connection that is replaced whenever the broker closes it.
struct Prober<'a> {
    target: &'a Target,
    attacker: Attacker,
}

impl<'a> Prober<'a> {
    async fn new(target: &'a Target) -> Prober<'a> {
        Prober { target, attacker: Attacker::with_channel(target.address()).await }
    }

    /// Sends one method; the broker goes on, or closes channel or connection in order.
    async fn probe(&mut self, channel: u16, class: u16, number: u16, arguments: &[u8]) {
        // The fence is answered after whatever the probe led to, unless that was the connection's end.
        let fence = channel_open(2);
        self.attacker.try_send(&[method(channel, class, number, arguments), fence].concat()).await;
        let what = || format!("{class}.{number} on channel {channel} with {arguments:?}");
        let mut channel_closed = false;
        loop {
            let Some(frame) = self.attacker.frame().await else {
                panic!("{}: the connection ends without a word", what())
            };
            match frame.method() {
                CONNECTION_CLOSE => {
                    assert_proper(&frame, &what());
                    *self = Prober::new(self.target).await;
                    return;
                }
                // The prober's own connection.close is answered in kind.
                (10, 51) => {
                    *self = Prober::new(self.target).await;
                    return;
                }
                CHANNEL_CLOSE => {
                    assert_proper(&frame, &what());
                    channel_closed = true;
                }
                (20, 41) if frame.channel == 1 => channel_closed = true,
                CHANNEL_OPEN_OK if frame.channel == 2 => break,
                _ => {}
            }
        }
        let mut next = channel_close(2);
        if channel_closed {
            next.extend(channel_close_ok(1));
            // Only known once the stray close-ok above is not one too many.
            *self = Prober::new(self.target).await;
            return;
        }
        self.attacker.send(&next).await;
        while self.attacker.frame().await.expect("the connection lives").method() != (20, 41) {}
    }
}

fn assert_proper(close: &Frame, what: &str) {
    let code = close.reply_code();
    assert!([402, 403, 404, 405, 406].contains(&code) || (501..=541).contains(&code), "{what}: code {code}");
    let text = &close.arguments()[3..][..usize::from(close.arguments()[2])];
    assert!(std::str::from_utf8(text).is_ok_and(|text| !text.is_empty()), "{what}: {text:?}");
}

/// Arguments that are empty, too short, random, and far too long.
fn arguments() -> Vec<Vec<u8>> {
    let mut dice = Dice::new(6);
    vec![Vec::new(), vec![0], vec![0; 9], dice.octets(30), vec![0xff; 12], vec![0; 300]]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_method_of_the_known_classes_is_answered_properly() {
    let target = Target::start().await;
    let innocent = Innocent::start(&target.uri()).await;
    let mut prober = Prober::new(&target).await;
    for class in CLASSES {
        for number in (0..=130).filter(|number| [0, 1].contains(&(number % 10)) || *number == 130) {
            for channel in CHANNELS {
                for arguments in arguments() {
                    prober.probe(channel, class, number, &arguments).await;
                }
            }
        }
    }
    innocent.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_number_of_every_class_is_answered_properly() {
    let target = Target::start().await;
    let innocent = Innocent::start(&target.uri()).await;
    let mut prober = Prober::new(&target).await;
    for class in 0..=100 {
        // Between the tens there is nothing in any class; one number each shows it.
        let numbers = (0..=130).filter(|number| CLASSES.contains(&class) || number % 10 == class % 10);
        for number in numbers {
            prober.probe(1, class, number, b"").await;
        }
    }
    for (class, number) in [(256, 10), (15_360, 40), (60, 10_240), (u16::MAX, u16::MAX), (60, u16::MAX)] {
        prober.probe(1, class, number, b"").await;
    }
    innocent.unharmed().await;
}

/// The same before the login, where less is answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_method_before_the_login_ends_the_connection() {
    let target = Target::configured(|config| {
        // Whoever is refused before the login is kept waiting in silence; all of them at once.
        config.limits.unauthenticated_per_ip_max = 1_000;
    })
    .await;
    let innocent = Innocent::start(&target.uri()).await;
    let mut refused = Vec::new();
    for class in CLASSES {
        for number in (0..=130).step_by(10).flat_map(|ten| [ten, ten + 1]) {
            let mut attacker = Attacker::connect(target.address()).await;
            attacker.send(&[HEADER, &method(0, class, number, &[0; 40])].concat()).await;
            refused.push(attacker);
        }
    }
    for mut attacker in refused {
        attacker.ended().await;
    }
    innocent.unharmed().await;
}
