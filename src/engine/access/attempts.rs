//! Who tried to log in, from where, and how often that went well.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
};

use parking_lot::Mutex;

use crate::broker::Millis;

/// Sources remembered; of more, a quarter goes, those that were quiet longest.
const SOURCES_MAX: usize = 10_000;
/// Octets of a user's name that are remembered: who tries to log in chooses it.
const NAME_MAX: usize = 255;

/// What was logged in to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LoginProtocol {
    Amqp,
    Http,
}

impl LoginProtocol {
    const ALL: [LoginProtocol; 2] = [LoginProtocol::Http, LoginProtocol::Amqp];

    /// RabbitMQ's name of it.
    pub fn name(self) -> &'static str {
        match self {
            LoginProtocol::Amqp => "amqp091",
            LoginProtocol::Http => "http",
        }
    }
}

/// Attempts, and how many of them failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AttemptCounts {
    pub attempts: u64,
    pub failures: u64,
}

impl AttemptCounts {
    fn note(&mut self, succeeded: bool) {
        self.attempts += 1;
        self.failures += u64::from(!succeeded);
    }
}

/// The attempts of one user name from one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptsOfSource {
    pub protocol: LoginProtocol,
    pub address: IpAddr,
    pub user: String,
    pub counts: AttemptCounts,
}

/// All attempts since the start, or since somebody reset them.
#[derive(Debug, Default)]
pub struct Attempts {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    totals: HashMap<LoginProtocol, AttemptCounts>,
    by_source: HashMap<(LoginProtocol, IpAddr), BTreeMap<Box<str>, Source>>,
    /// Names in all of those.
    sources: usize,
}

#[derive(Debug, Default)]
struct Source {
    counts: AttemptCounts,
    last: Millis,
}

impl Attempts {
    /// Counts one.
    pub fn note(&self, protocol: LoginProtocol, address: IpAddr, user: &str, succeeded: bool, now: Millis) {
        let user = user.get(..user.floor_char_boundary(NAME_MAX)).unwrap_or_default();
        let mut state = self.state.lock();
        state.totals.entry(protocol).or_default().note(succeeded);
        let known = state.by_source.get_mut(&(protocol, address)).and_then(|names| names.get_mut(user));
        if let Some(source) = known {
            source.counts.note(succeeded);
            source.last = now;
            return;
        }
        if SOURCES_MAX <= state.sources {
            state.forget_oldest();
        }
        let mut source = Source { counts: AttemptCounts::default(), last: now };
        source.counts.note(succeeded);
        state.by_source.entry((protocol, address)).or_default().insert(user.into(), source);
        state.sources += 1;
    }

    /// By protocol.
    pub fn totals(&self) -> Vec<(LoginProtocol, AttemptCounts)> {
        let state = self.state.lock();
        LoginProtocol::ALL
            .iter()
            .filter_map(|protocol| Some((*protocol, *state.totals.get(protocol)?)))
            .collect()
    }

    /// By protocol, address and user.
    pub fn by_source(&self) -> Vec<AttemptsOfSource> {
        let state = self.state.lock();
        let rows = state.by_source.iter().flat_map(|(&(protocol, address), names)| {
            names.iter().map(move |(user, source)| {
                let (user, counts) = (user.to_string(), source.counts);
                AttemptsOfSource { protocol, address, user, counts }
            })
        });
        rows.collect()
    }

    /// Counts from 0 again.
    pub fn reset(&self) {
        *self.state.lock() = State::default();
    }

    /// Forgets where attempts came from.
    pub fn reset_sources(&self) {
        let mut state = self.state.lock();
        state.by_source = HashMap::new();
        state.sources = 0;
    }
}

impl State {
    fn forget_oldest(&mut self) {
        let mut times: Vec<Millis> =
            self.by_source.values().flat_map(|names| names.values().map(|source| source.last)).collect();
        let quarter = times.len() / 4;
        let (_, oldest_kept, _) = times.select_nth_unstable(quarter);
        let oldest_kept = *oldest_kept;
        for names in self.by_source.values_mut() {
            // Those of the same moment go with the older ones, so that there is room in any case.
            names.retain(|_, source| oldest_kept < source.last);
        }
        self.by_source.retain(|_, names| !names.is_empty());
        self.sources = self.by_source.values().map(BTreeMap::len).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn attempts_are_counted_by_protocol_address_and_user() {
        let attempts = Attempts::default();
        for (protocol, user, succeeded) in [
            (LoginProtocol::Amqp, "guest", true),
            (LoginProtocol::Amqp, "guest", false),
            (LoginProtocol::Amqp, "other", false),
            (LoginProtocol::Http, "guest", true),
        ] {
            attempts.note(protocol, HERE, user, succeeded, 1);
        }
        let counts = |attempts, failures| AttemptCounts { attempts, failures };
        assert_eq!(
            attempts.totals(),
            [(LoginProtocol::Http, counts(1, 0)), (LoginProtocol::Amqp, counts(3, 2))]
        );
        let mut rows = attempts.by_source();
        rows.sort_by_key(|row| (row.protocol.name(), row.user.clone()));
        let rows: Vec<_> =
            rows.iter().map(|row| (row.protocol.name(), row.user.as_str(), row.counts)).collect();
        assert_eq!(
            rows,
            [
                ("amqp091", "guest", counts(2, 1)),
                ("amqp091", "other", counts(1, 1)),
                ("http", "guest", counts(1, 0))
            ]
        );
        attempts.reset_sources();
        assert_eq!((attempts.by_source().len(), attempts.totals().len()), (0, 2));
        attempts.reset();
        assert!(attempts.totals().is_empty());
    }

    #[test]
    fn attempts_from_everywhere_under_any_name_cost_bounded_memory() {
        let attempts = Attempts::default();
        let long = "\u{E4}".repeat(300);
        attempts.note(LoginProtocol::Amqp, HERE, &long, false, 0);
        assert_eq!(attempts.by_source()[0].user.len(), NAME_MAX - 1, "half a letter is none");
        for number in 0..3 * SOURCES_MAX as u32 {
            // Many at the same moment, as attacks are.
            let address = IpAddr::V4((number / 3).into());
            attempts.note(
                LoginProtocol::Amqp,
                address,
                &number.to_string(),
                false,
                u64::from(number / 5_000),
            );
            assert!(attempts.state.lock().sources <= SOURCES_MAX);
        }
        let rows = attempts.by_source();
        assert_eq!(rows.len(), attempts.state.lock().sources);
        assert!(rows.iter().any(|row| row.user == (3 * SOURCES_MAX - 1).to_string()));
    }
}
