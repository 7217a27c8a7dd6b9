//! Who does what this thread does at the moment, for `user_who_performed_action`.
//!
//! Most of what changes something does not know for whom; it runs to its end on one thread, so the thread knows.

use std::{cell::RefCell, sync::Arc};

/// RabbitMQ's name for the broker itself.
const BROKER: &str = "rmq-internal";

thread_local! {
    static ACTOR: RefCell<Option<Arc<str>>> = const { RefCell::new(None) };
}

/// As long as it lives, this thread acts for somebody; then for whom it acted before.
#[derive(Debug)]
#[must_use]
pub struct Acting {
    before: Option<Arc<str>>,
}

/// This thread acts for a user.
pub fn acting(user: &Arc<str>) -> Acting {
    Acting { before: ACTOR.replace(Some(user.clone())) }
}

/// This thread does what nobody asked for.
pub fn acting_for_nobody() -> Acting {
    Acting { before: ACTOR.replace(None) }
}

impl Drop for Acting {
    fn drop(&mut self) {
        ACTOR.replace(self.before.take());
    }
}

/// Calls with the name of whom this thread acts for.
pub fn with_actor<R>(call: impl FnOnce(&str) -> R) -> R {
    ACTOR.with_borrow(|actor| call(actor.as_deref().unwrap_or(BROKER)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_acts_gives_way_again() {
        let name = || with_actor(str::to_owned);
        assert_eq!(name(), BROKER);
        {
            let _alice = acting(&"alice".into());
            assert_eq!(name(), "alice");
            {
                let _nobody = acting_for_nobody();
                assert_eq!(name(), BROKER);
            }
            assert_eq!(name(), "alice");
        }
        assert_eq!(name(), BROKER);
    }
}
