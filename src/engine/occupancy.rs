//! Who is in: open connections and channels, counted for the node, each virtual host and each user, and how
//! many may be (CON-54 to CON-56, CON-129).
//!
//! All counts stand behind one short lock, so that they are checked and taken in one go. It is touched when a
//! connection or a channel opens or closes, never by a message.

use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use parking_lot::Mutex;

use crate::amqp::Limit;

/// How many there may be, for those that nothing else was said of; `None` is without limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Allowances {
    /// Open connections of the node.
    pub connections: Option<u64>,
    /// Of each virtual host.
    pub connections_per_vhost: Option<u64>,
    /// Of each user.
    pub connections_per_user: Option<u64>,
    /// Channels of each user, on all connections.
    pub channels_per_user: Option<u64>,
    /// Channels of the node.
    pub channels: Option<u64>,
}

/// What one virtual host or user may have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Allowance {
    /// What all others may.
    #[default]
    Default,
    /// As many as it likes; -1 in RabbitMQ's management API.
    Unlimited,
    /// So many; 0 lets nobody in.
    AtMost(u64),
}

impl Allowance {
    /// The limit itself.
    pub fn or(self, default: Option<u64>) -> Option<u64> {
        match self {
            Allowance::Default => default,
            Allowance::Unlimited => None,
            Allowance::AtMost(limit) => Some(limit),
        }
    }
}

/// Why somebody does not get in, in RabbitMQ's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// CON-56.
    #[error("connection refused: node connection limit ({limit}) is reached")]
    Node { limit: u64 },
    /// CON-54.
    #[error("access to vhost '{vhost}' refused for user '{user}': connection limit ({limit}) is reached")]
    Vhost { vhost: Arc<str>, user: Arc<str>, limit: u64 },
    /// CON-55.
    #[error("connection refused for user '{user}': user connection limit ({limit}) is reached")]
    User { user: Arc<str>, limit: u64 },
    /// CON-129.
    #[error(
        "number of channels opened for user '{user}' has reached the maximum allowed user limit of {limit}"
    )]
    Channels { user: Arc<str>, limit: u64 },
    /// LIM-03.
    #[error("number of channels opened on this node has reached the maximum allowed limit of ({limit})")]
    NodeChannels { limit: u64 },
}

impl Full {
    /// Which limit it was.
    pub fn limit(&self) -> Limit {
        match self {
            Full::Node { .. } => Limit::Connections,
            Full::Vhost { .. } => Limit::VhostConnections,
            Full::User { .. } => Limit::UserConnections,
            Full::Channels { .. } => Limit::UserChannels,
            Full::NodeChannels { .. } => Limit::NodeChannels,
        }
    }
}

/// What a virtual host or user has, and what was said of it in particular.
#[derive(Debug, Default)]
struct Tally {
    connections: u64,
    channels: u64,
    connections_allowed: Allowance,
    channels_allowed: Allowance,
}

impl Tally {
    fn says_nothing(&self) -> bool {
        let by_default = Allowance::Default;
        self.connections == 0 && self.connections_allowed == by_default && self.channels_allowed == by_default
    }
}

/// Only names that are in use or have limits of their own.
type Tallies = HashMap<String, Tally, RandomState>;

#[derive(Debug, Default)]
struct State {
    allowances: Allowances,
    connections: u64,
    channels: u64,
    vhosts: Tallies,
    users: Tallies,
}

/// Counts open connections and channels.
#[derive(Debug, Default)]
pub struct Occupancy {
    state: Mutex<State>,
}

fn is_full(count: u64, limit: Option<u64>) -> Option<u64> {
    limit.filter(|limit| *limit <= count)
}

fn tally<'a>(tallies: &'a mut Tallies, name: &str) -> &'a mut Tally {
    tallies.entry_ref(name).or_default()
}

/// Changes the tally of a name and forgets it when nothing is left to say of it.
fn change(tallies: &mut Tallies, name: &str, change: impl FnOnce(&mut Tally)) {
    let tally = tally(tallies, name);
    change(tally);
    if tally.says_nothing() {
        tallies.remove(name);
    }
}

impl Occupancy {
    pub fn new(allowances: Allowances) -> Arc<Occupancy> {
        Arc::new(Occupancy { state: Mutex::new(State { allowances, ..State::default() }) })
    }

    /// What those may have that nothing else was said of.
    pub fn allowances(&self) -> Allowances {
        self.state.lock().allowances
    }

    /// Changes that. Whoever is in stays in; as everywhere here.
    pub fn set_allowances(&self, allowances: Allowances) {
        self.state.lock().allowances = allowances;
    }

    /// How many connections a virtual host may have (LIM-01).
    pub fn allow_vhost_connections(&self, vhost: &str, allowance: Allowance) {
        change(&mut self.state.lock().vhosts, vhost, |tally| tally.connections_allowed = allowance);
    }

    /// How many connections a user may have (LIM-02).
    pub fn allow_user_connections(&self, user: &str, allowance: Allowance) {
        change(&mut self.state.lock().users, user, |tally| tally.connections_allowed = allowance);
    }

    /// How many channels a user may have (LIM-02).
    pub fn allow_user_channels(&self, user: &str, allowance: Allowance) {
        change(&mut self.state.lock().users, user, |tally| tally.channels_allowed = allowance);
    }

    /// Open connections of the node.
    pub fn connections(&self) -> u64 {
        self.state.lock().connections
    }

    /// Open connections of a virtual host.
    pub fn vhost_connections(&self, vhost: &str) -> u64 {
        self.state.lock().vhosts.get(vhost).map_or(0, |tally| tally.connections)
    }

    /// Open connections and channels of a user.
    pub fn of_user(&self, user: &str) -> (u64, u64) {
        self.state.lock().users.get(user).map_or((0, 0), |tally| (tally.connections, tally.channels))
    }

    /// Open channels of all connections.
    pub fn channels(&self) -> u64 {
        self.state.lock().channels
    }

    /// Lets a connection in, in the order of CON-51. A virtual host that does not exist has no limit to
    /// reach, and nothing is kept of its name.
    ///
    /// # Errors
    /// The first limit that is reached.
    pub fn enter(self: &Arc<Occupancy>, user: &Arc<str>, vhost: Option<&Arc<str>>) -> Result<Seat, Full> {
        let mut state = self.state.lock();
        let State { allowances, connections, vhosts, users, .. } = &mut *state;
        if let Some(limit) = is_full(*connections, allowances.connections) {
            return Err(Full::Node { limit });
        }
        // What is looked at before it is known to be entered must not stay, so `get` and not `entry`.
        let found = |tallies: &Tallies, name: &str| {
            let tally = tallies.get(name);
            tally.map_or((0, Allowance::Default), |tally| (tally.connections, tally.connections_allowed))
        };
        if let Some(vhost) = vhost {
            let (count, allowed) = found(vhosts, vhost);
            if let Some(limit) = is_full(count, allowed.or(allowances.connections_per_vhost)) {
                return Err(Full::Vhost { vhost: vhost.clone(), user: user.clone(), limit });
            }
        }
        let (count, allowed) = found(users, user);
        if let Some(limit) = is_full(count, allowed.or(allowances.connections_per_user)) {
            return Err(Full::User { user: user.clone(), limit });
        }
        *connections += 1;
        if let Some(vhost) = vhost {
            tally(vhosts, vhost).connections += 1;
        }
        tally(users, user).connections += 1;
        drop(state);
        Ok(Seat { occupancy: self.clone(), user: user.clone(), vhost: vhost.cloned(), channels: 0 })
    }
}

/// An open connection and its channels among those counted; dropping it takes them off the counts.
#[derive(Debug)]
pub struct Seat {
    occupancy: Arc<Occupancy>,
    user: Arc<str>,
    vhost: Option<Arc<str>>,
    channels: u64,
}

impl Seat {
    /// Another channel of this connection.
    ///
    /// # Errors
    /// When the node, or the user, has as many as it may.
    pub fn open_channel(&mut self) -> Result<(), Full> {
        let mut state = self.occupancy.state.lock();
        let State { allowances, channels, users, .. } = &mut *state;
        if let Some(limit) = is_full(*channels, allowances.channels) {
            return Err(Full::NodeChannels { limit });
        }
        let default = allowances.channels_per_user;
        let tally = tally(users, &self.user);
        if let Some(limit) = is_full(tally.channels, tally.channels_allowed.or(default)) {
            return Err(Full::Channels { user: self.user.clone(), limit });
        }
        tally.channels += 1;
        *channels += 1;
        self.channels += 1;
        Ok(())
    }

    /// A channel of this connection has ended.
    pub fn close_channel(&mut self) {
        debug_assert_ne!(self.channels, 0, "only what was opened is closed");
        self.channels -= 1;
        let mut state = self.occupancy.state.lock();
        state.channels -= 1;
        change(&mut state.users, &self.user, |tally| tally.channels -= 1);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.occupancy.state.lock();
        state.connections -= 1;
        state.channels -= self.channels;
        if let Some(vhost) = &self.vhost {
            change(&mut state.vhosts, vhost, |tally| tally.connections -= 1);
        }
        change(&mut state.users, &self.user, |tally| {
            tally.connections -= 1;
            tally.channels -= self.channels;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Arc<str> {
        text.into()
    }

    fn enter(occupancy: &Arc<Occupancy>, user: &str, vhost: &str) -> Result<Seat, String> {
        occupancy.enter(&name(user), Some(&name(vhost))).map_err(|full| full.to_string())
    }

    #[test]
    fn con_51_the_node_comes_before_the_vhost_and_that_before_the_user() {
        let none = Allowances {
            connections: Some(0),
            connections_per_vhost: Some(0),
            connections_per_user: Some(0),
            channels_per_user: None,
            channels: None,
        };
        let occupancy = Occupancy::new(none);
        let refused = |text: &str| assert_eq!(enter(&occupancy, "u", "/").unwrap_err(), text);
        refused("connection refused: node connection limit (0) is reached");
        occupancy.set_allowances(Allowances { connections: None, ..none });
        refused("access to vhost '/' refused for user 'u': connection limit (0) is reached");
        occupancy.allow_vhost_connections("/", Allowance::Unlimited);
        refused("connection refused for user 'u': user connection limit (0) is reached");
        occupancy.allow_user_connections("u", Allowance::AtMost(1));
        let _seat = enter(&occupancy, "u", "/").unwrap();
        refused("connection refused for user 'u': user connection limit (1) is reached");
        assert_eq!((occupancy.connections(), occupancy.vhost_connections("/")), (1, 1));
    }

    #[test]
    fn con_129_channels_of_all_connections_of_a_user_count_together() {
        let occupancy = Occupancy::new(Allowances { channels_per_user: Some(3), ..Allowances::default() });
        let mut one = enter(&occupancy, "u", "/").unwrap();
        let mut two = enter(&occupancy, "u", "other").unwrap();
        let mut neighbour = enter(&occupancy, "v", "/").unwrap();
        assert!(one.open_channel().is_ok() && one.open_channel().is_ok() && two.open_channel().is_ok());
        assert_eq!(
            two.open_channel().unwrap_err().to_string(),
            "number of channels opened for user 'u' has reached the maximum allowed user limit of 3"
        );
        assert!(neighbour.open_channel().is_ok());
        two.close_channel();
        assert!(one.open_channel().is_ok() && two.open_channel().is_err());
        drop(one);
        assert_eq!(occupancy.of_user("u"), (1, 0));
        assert!(two.open_channel().is_ok());
    }

    #[test]
    fn lim_03_channels_of_all_connections_of_the_node_count_together() {
        let occupancy = Occupancy::new(Allowances { channels: Some(2), ..Allowances::default() });
        let mut one = enter(&occupancy, "u", "/").unwrap();
        let mut two = enter(&occupancy, "v", "/").unwrap();
        assert!(one.open_channel().is_ok() && two.open_channel().is_ok());
        assert_eq!(
            two.open_channel().unwrap_err().to_string(),
            "number of channels opened on this node has reached the maximum allowed limit of (2)"
        );
        drop(one);
        assert!(two.open_channel().is_ok() && two.open_channel().is_err());
        two.close_channel();
        assert_eq!(occupancy.channels(), 1);
        assert!(two.open_channel().is_ok());
    }

    #[test]
    fn limits_set_later_count_what_is_there_already() {
        let occupancy = Occupancy::new(Allowances::default());
        let mut seats: Vec<Seat> = (0..3).map(|_| enter(&occupancy, "u", "/").unwrap()).collect();
        seats[0].open_channel().unwrap();
        occupancy.allow_user_connections("u", Allowance::AtMost(2));
        occupancy.allow_user_channels("u", Allowance::AtMost(1));
        assert!(seats[1].open_channel().is_err());
        seats.pop();
        assert!(enter(&occupancy, "u", "/").is_err(), "two are still in");
        seats.pop();
        assert!(enter(&occupancy, "u", "/").is_ok());
    }

    #[test]
    fn nothing_is_kept_of_names_that_are_not_in_use() {
        let occupancy = Occupancy::new(Allowances::default());
        let mut seat = enter(&occupancy, "u", "/").unwrap();
        seat.open_channel().unwrap();
        drop(seat);
        drop(occupancy.enter(&name("u"), None).unwrap());
        occupancy.allow_user_channels("u", Allowance::AtMost(1));
        occupancy.allow_user_channels("u", Allowance::Default);
        occupancy.allow_vhost_connections("/", Allowance::AtMost(0));
        assert!(enter(&occupancy, "u", "/").is_err());
        let state = occupancy.state.lock();
        assert_eq!((state.connections, state.users.len(), state.vhosts.len()), (0, 0, 1));
    }
}
