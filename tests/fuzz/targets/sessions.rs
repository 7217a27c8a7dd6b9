//! Whole sessions on one node: two clients that keep exact accounts of every message, and a third one in
//! another virtual host that sends mutated frames.
//!
//! After every step: nobody panics, frames are whole, nothing is delivered twice or to nobody, delivery tags
//! ascend, prefetch limits hold, ready and unacknowledged counts are what the accounts say, no message
//! waits while a consumer has room, every publish is confirmed. In the end every queue holds exactly what
//! was not settled, and no memory is held.
#![no_main]

use leveret_fuzz::{
    actor::{declare_all, take},
    dice::Dice,
    steps::Step,
    world::World,
};
use libfuzzer_sys::fuzz_target;

/// Steps of one input; more would only be slower.
const STEPS_MAX: usize = 150;

fuzz_target!(|input: &[u8]| {
    let Some((&length, input)) = input.split_first() else { return };
    // Half of the inputs are only the beginning of a longer session.
    let mut dice = Dice::new(input, if length < 128 { 0 } else { usize::from(length) * 2 });
    let shows = std::env::var_os("FUZZ_SHOW").is_some();
    let mut world = World::new();
    declare_all(&mut world);
    for _ in 0..STEPS_MAX {
        if dice.is_over() {
            break;
        }
        let step = Step::read(&mut dice);
        if shows {
            eprintln!("{step:?}");
        }
        take(&mut world, step);
    }
    world.end();
});
