//! Whether clients are let in. Operators may take a running node out of service.

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// What the node does for clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceState {
    Serving,
    /// Nobody else is let in; who is in stays.
    Suspended,
    /// Nobody is in, and nobody is let in.
    Stopped,
}

impl ServiceState {
    const ALL: [ServiceState; 3] = [ServiceState::Serving, ServiceState::Suspended, ServiceState::Stopped];

    pub fn name(self) -> &'static str {
        match self {
            ServiceState::Serving => "serving",
            ServiceState::Suspended => "suspended",
            ServiceState::Stopped => "stopped",
        }
    }

    pub fn named(name: &str) -> Option<ServiceState> {
        ServiceState::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// The state of a node, looked at for every new connection.
#[derive(Debug, Default)]
pub struct Service(AtomicU8);

impl Service {
    pub fn state(&self) -> ServiceState {
        let state = ServiceState::ALL.get(usize::from(self.0.load(Relaxed)));
        state.copied().unwrap_or(ServiceState::Serving)
    }

    pub fn set(&self, state: ServiceState) {
        self.0.store(state as u8, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_what_was_set_and_has_a_name() {
        let service = Service::default();
        assert_eq!(service.state(), ServiceState::Serving);
        for state in ServiceState::ALL {
            service.set(state);
            assert_eq!(service.state(), state);
            assert_eq!(ServiceState::named(state.name()), Some(state));
        }
    }
}
