//! Who may log in and do what: users, their rights in each vhost, and what there is to know of vhosts.
//!
//! All of it stands behind one lock, under which the log learns of changes, so that it learns of them in their
//! order. Messages do not touch it: sessions keep the rights of their user as long as the generation stands.

mod argon;
mod attempts;
mod defaults;
mod guard;
mod parameters;
mod password;
mod permission;
mod proof;
mod topics;
mod user;

use std::{
    collections::{BTreeMap, HashSet},
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use parking_lot::RwLock;

pub use attempts::{AttemptCounts, Attempts, AttemptsOfSource, LoginProtocol};
pub use defaults::NewVhostLimits;
pub use guard::LoginGuard;
pub(super) use parameters::PolicyList;
pub use parameters::{LIMITS, Parameter, VHOST_LIMITS};
pub use password::{Hashing, PasswordHash};
pub use permission::{BadPattern, Permission, Resource, Right};
pub use proof::{LoginError, PasswordCheck, SlowCheck};
pub use topics::{TopicPermission, TopicRights, TopicRow};
pub use user::User;

use parameters::Parameters;

use super::{Journal, events::Events};
use crate::{
    broker::queue_type::QueueType,
    store::{
        AccessDefinitions, Definition, PermissionDefinition, Settings, TopicKey, UserDefinition,
        VhostDefinition,
    },
};

/// What the bootstrap user may do in the management interface.
const FIRST_TAG: &str = "administrator";
/// Why somebody is refused who does not know the password, or is nobody.
const INVALID: LoginError = "invalid credentials";

/// What operators say of a vhost.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VhostAbout {
    pub description: String,
    pub tags: Vec<String>,
}

#[derive(Debug, Default)]
struct State {
    users: BTreeMap<String, Arc<User>>,
    /// By vhost and user.
    permissions: BTreeMap<(String, String), Arc<Permission>>,
    vhosts: BTreeMap<String, VhostAbout>,
    /// By vhost; those without are of RabbitMQ's default.
    queue_types: BTreeMap<String, QueueType>,
    /// By vhost and user.
    topics: BTreeMap<(String, String), Arc<TopicRights>>,
    parameters: Parameters,
}

/// Users, vhosts, and who may do what where.
#[derive(Debug)]
pub struct Access {
    state: RwLock<State>,
    /// Moves on with every change of rights.
    generation: AtomicU64,
    anonymous: Option<String>,
    /// Users that log in from a loopback peer only (CON-29).
    loopback_only: HashSet<String>,
    journal: Arc<Journal>,
    /// Told of changes under the lock, too.
    pub(in crate::engine) events: Arc<Events>,
    random: fn() -> u128,
    /// How new passwords are hashed.
    hashing: Hashing,
    /// There is a slow hash, or was one.
    slow_hashes: AtomicBool,
    vhost_defaults: Vec<defaults::VhostDefaults>,
    /// Of digests of right passwords, which never leave the process.
    key: [u8; 32],
}

impl Default for Access {
    fn default() -> Access {
        Access::new(|| 0)
    }
}

/// One row of rights.
#[derive(Debug, Clone)]
pub struct PermissionRow {
    pub vhost: String,
    pub user: String,
    pub permission: Arc<Permission>,
}

impl Access {
    /// Nobody; `random` gives salts.
    pub fn new(random: fn() -> u128) -> Access {
        Access {
            state: RwLock::default(),
            generation: AtomicU64::new(1),
            anonymous: None,
            loopback_only: HashSet::new(),
            journal: Arc::default(),
            events: Arc::default(),
            random,
            hashing: Hashing::default(),
            slow_hashes: AtomicBool::new(false),
            vhost_defaults: Vec::new(),
            key: std::array::from_fn(|_| (random)().to_le_bytes()[0]),
        }
    }

    /// Adds a user whom an empty broker starts with; a later one of the same name replaces it.
    pub fn add(&mut self, name: &str, password: &str, loopback_only: bool) {
        let hash = if password.is_empty() { PasswordHash::nobody() } else { self.hash(password.as_bytes()) };
        let user = User::new(name, hash, vec![FIRST_TAG.to_owned()]);
        self.state.get_mut().users.insert(name.to_owned(), Arc::new(user));
        if loopback_only {
            self.loopback_only.insert(name.to_owned());
        }
    }

    /// Adds a vhost that an empty broker starts with, in which all users may do everything.
    pub fn add_vhost(&mut self, name: &str) {
        let state = self.state.get_mut();
        state.vhosts.insert(name.to_owned(), VhostAbout::default());
        let full = Arc::new(Permission::full());
        for user in state.users.keys() {
            state.permissions.insert((name.to_owned(), user.clone()), full.clone());
        }
        self.limit_first_vhost(name);
    }

    /// Takes over what a restart found.
    pub fn restore(&mut self, definitions: AccessDefinitions) {
        for UserDefinition { name, hash, algorithm, tags } in definitions.users {
            let hashing = Hashing::of_name(&algorithm).unwrap_or_default();
            let hash = PasswordHash { hashing, octets: hash };
            self.note_hash(&hash);
            let user = User::new(&name, hash, tags);
            self.state.get_mut().users.insert(name, Arc::new(user));
        }
        let state = self.state.get_mut();
        for VhostDefinition { name, description, tags } in definitions.vhosts {
            state.vhosts.insert(name, VhostAbout { description, tags });
        }
        for row in definitions.permissions {
            let PermissionDefinition { vhost, user, configure, write, read } = row;
            match Permission::new(&configure, &write, &read) {
                Ok(permission) => {
                    state.permissions.insert((vhost, user), Arc::new(permission));
                }
                Err(error) => {
                    tracing::error!("permissions of '{user}' in vhost '{vhost}' are lost: {error}");
                }
            }
        }
        state.restore_settings(definitions.settings);
    }

    /// Users that may log in from a loopback peer only.
    pub fn set_loopback_only(&mut self, users: impl IntoIterator<Item = String>) {
        self.loopback_only.extend(users);
    }

    /// The user that ANONYMOUS logs in as.
    pub fn set_anonymous(&mut self, name: Option<String>) {
        self.anonymous = name;
    }

    /// Tells this log, and whoever watches, of changes from now on.
    pub(super) fn attach(&mut self, journal: Arc<Journal>, events: Arc<Events>) {
        self.journal = journal;
        self.events = events;
    }

    /// Checks a password, or says that this takes long. Unknown users cost the same work as wrong passwords, and
    /// clients must not learn the reason for a refusal (CON-26).
    pub fn check_password(&self, name: &str, password: &[u8], peer: IpAddr) -> PasswordCheck {
        let user = self.user(name);
        let granted = user.clone().ok_or(INVALID).and_then(|user| self.check_peer(user, peer));
        PasswordCheck::begin(self, user, password, granted)
    }

    /// Logs in without a password, where that is configured (CON-23).
    ///
    /// # Errors
    /// The reason for the log.
    pub fn log_in_anonymously(&self, peer: IpAddr) -> Result<Arc<User>, &'static str> {
        let user = self.anonymous.as_ref().and_then(|name| self.user(name));
        self.check_peer(user.ok_or("anonymous logins are off")?, peer)
    }

    /// Logs in somebody who has proved who it is otherwise (CON-22).
    ///
    /// # Errors
    /// The reason for the log.
    pub fn log_in_verified(&self, name: &str, peer: IpAddr) -> Result<Arc<User>, &'static str> {
        if name.is_empty() {
            return Err("the certificate names nobody");
        }
        self.check_peer(self.user(name).ok_or(INVALID)?, peer)
    }

    fn check_peer(&self, user: Arc<User>, peer: IpAddr) -> Result<Arc<User>, &'static str> {
        if self.loopback_only.contains(&*user.name) && !peer.to_canonical().is_loopback() {
            return Err("user can only connect via localhost");
        }
        Ok(user)
    }

    pub fn user(&self, name: &str) -> Option<Arc<User>> {
        self.state.read().users.get(name).cloned()
    }

    /// All users, by name.
    pub fn users(&self) -> Vec<Arc<User>> {
        self.state.read().users.values().cloned().collect()
    }

    /// Adds or changes a user; true when it is new.
    pub fn put_user(&self, name: &str, hash: PasswordHash, tags: Vec<String>) -> bool {
        self.note_hash(&hash);
        let user = Arc::new(User::new(name, hash, tags));
        let mut state = self.state.write();
        self.journal.define([Definition::PutUser(user_definition(&user))]);
        let before = state.users.insert(name.to_owned(), user.clone());
        self.tell_put(before.as_deref(), &user);
        before.is_none()
    }

    /// How new passwords are hashed from now on.
    pub fn set_hashing(&mut self, hashing: Hashing) {
        self.hashing = hashing;
    }

    /// How new passwords are hashed.
    pub fn hashing(&self) -> Hashing {
        self.hashing
    }

    /// The hash of a new password; takes long if it is to.
    pub fn hash(&self, password: &[u8]) -> PasswordHash {
        self.hasher(password)()
    }

    /// The same for a thread that has the time.
    pub fn hasher(&self, password: &[u8]) -> impl FnOnce() -> PasswordHash + Send + use<> {
        let (hashing, password, random) = (self.hashing, password.to_vec(), (self.random)());
        move || PasswordHash::of(hashing, &password, random)
    }

    fn note_hash(&self, hash: &PasswordHash) {
        if hash.hashing.is_slow() {
            self.slow_hashes.store(true, Ordering::Relaxed);
        }
    }

    /// Whether the password of any user may take long to check.
    fn has_slow_hashes(&self) -> bool {
        self.hashing.is_slow() || self.slow_hashes.load(Ordering::Relaxed)
    }

    /// Removes a user with all its rights; false when there was none.
    pub fn remove_user(&self, name: &str) -> bool {
        let mut state = self.state.write();
        if state.users.remove(name).is_none() {
            return false;
        }
        let gone: Vec<_> = state.permissions.keys().filter(|(_, user)| user == name).cloned().collect();
        let rows = gone.into_iter().filter_map(|key| {
            state.permissions.remove(&key)?;
            Some(Definition::ClearPermission { vhost: key.0, user: key.1 })
        });
        let mut definitions: Vec<_> = rows.collect();
        state.topics.retain(|(_, user), _| user != name);
        definitions.extend(state.parameters.forget_user(name));
        definitions.push(Definition::DeleteUser { name: name.to_owned() });
        self.journal.define(definitions);
        self.events.tell_user("user.deleted", name);
        self.rights_changed();
        true
    }

    fn tell_put(&self, before: Option<&User>, user: &User) {
        match before {
            None => self.events.tell_user("user.created", &user.name),
            Some(_) if user.hash.octets.is_empty() => {
                self.events.tell_user("user.password.cleared", &user.name)
            }
            Some(before) if before.hash != user.hash => {
                self.events.tell_user("user.password.changed", &user.name);
            }
            Some(_) => {}
        }
        if before.is_some() || !user.tags.is_empty() {
            self.events.tell_tags(&user.name, &user.tags);
        }
    }

    /// The rights of a user in a vhost; `None` keeps it out.
    pub fn permission(&self, vhost: &str, user: &str) -> Option<Arc<Permission>> {
        let state = self.state.read();
        state.permissions.get(&(vhost.to_owned(), user.to_owned())).cloned()
    }

    /// All rights, by vhost and user.
    pub fn permissions(&self) -> Vec<PermissionRow> {
        let state = self.state.read();
        let row = |((vhost, user), permission): (&(String, String), &Arc<Permission>)| PermissionRow {
            vhost: vhost.clone(),
            user: user.clone(),
            permission: permission.clone(),
        };
        state.permissions.iter().map(row).collect()
    }

    /// Gives rights; `Some(true)` when there were none before, `None` when there is no such user or vhost.
    pub fn put_permission(&self, vhost: &str, user: &str, permission: Permission) -> Option<bool> {
        let mut state = self.state.write();
        if !state.users.contains_key(user) || !state.vhosts.contains_key(vhost) {
            return None;
        }
        let row = permission_definition(vhost, user, &permission);
        self.journal.define([Definition::PutPermission(row)]);
        let key = (vhost.to_owned(), user.to_owned());
        let names = [Right::Configure, Right::Write, Right::Read];
        let rights = names.map(|right| (right.name(), permission.text(right)));
        self.events.tell_rights("permission.created", vhost, user, &rights);
        let is_new = state.permissions.insert(key, Arc::new(permission)).is_none();
        self.rights_changed();
        Some(is_new)
    }

    /// Takes rights away; false when there were none.
    pub fn clear_permission(&self, vhost: &str, user: &str) -> bool {
        let mut state = self.state.write();
        let key = (vhost.to_owned(), user.to_owned());
        if state.permissions.remove(&key).is_none() {
            return false;
        }
        self.journal.define([Definition::ClearPermission { vhost: key.0, user: key.1 }]);
        self.events.tell_rights("permission.deleted", vhost, user, &[]);
        self.rights_changed();
        true
    }

    /// Rights looked up under an earlier generation must be looked up again.
    #[inline]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    fn rights_changed(&self) {
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Names of all vhosts.
    pub fn vhosts(&self) -> Vec<String> {
        self.state.read().vhosts.keys().cloned().collect()
    }

    pub fn vhost(&self, name: &str) -> Option<VhostAbout> {
        self.state.read().vhosts.get(name).cloned()
    }

    /// Adds or changes a vhost; true when it is new. The node makes it.
    pub(super) fn put_vhost(&self, name: &str, about: VhostAbout, max: Option<u64>) -> Result<bool, u64> {
        let mut state = self.state.write();
        if let Some(max) = max.filter(|max| *max <= state.vhosts.len() as u64)
            && !state.vhosts.contains_key(name)
        {
            return Err(max);
        }
        self.journal.define([Definition::PutVhost(vhost_definition(name, &about))]);
        Ok(state.vhosts.insert(name.to_owned(), about).is_none())
    }

    /// Forgets a vhost with all rights in it. What was defined in it is void, too.
    pub(super) fn remove_vhost(&self, name: &str) -> bool {
        let mut state = self.state.write();
        if state.vhosts.remove(name).is_none() {
            return false;
        }
        state.permissions.retain(|(vhost, _), _| vhost != name);
        state.topics.retain(|(vhost, _), _| vhost != name);
        state.queue_types.remove(name);
        state.parameters.forget_vhost(name);
        let vhost = name.to_owned();
        let deleted = [Definition::DeleteVhost { name: vhost.clone() }, Definition::Reset { vhost }];
        self.journal.define(state.parameters.forget_protection(name).into_iter().chain(deleted));
        self.rights_changed();
        true
    }

    /// Appends everything to the log, so that older definitions are not needed.
    pub fn log_definitions(&self) {
        let state = self.state.read();
        let mut definitions = vec![Definition::Reset { vhost: String::new() }];
        definitions.extend(state.users.values().map(|user| Definition::PutUser(user_definition(user))));
        let vhosts = state.vhosts.iter();
        definitions.extend(vhosts.map(|(name, about)| Definition::PutVhost(vhost_definition(name, about))));
        let rows = state.permissions.iter();
        definitions.extend(rows.map(|((vhost, user), permission)| {
            Definition::PutPermission(permission_definition(vhost, user, permission))
        }));
        let topics = state.topics.iter().flat_map(|((vhost, user), rights)| rights.rows(vhost, user));
        definitions.extend(topics.map(|row| topics::definition(&row)));
        let types = state.queue_types.iter();
        definitions
            .extend(types.map(|(vhost, queue_type)| parameters::default_type(vhost, Some(*queue_type))));
        definitions.extend(state.parameters.definitions());
        self.journal.define(definitions);
    }
}

impl State {
    fn restore_settings(&mut self, settings: Settings) {
        self.parameters = Parameters::restore(&settings);
        for (vhost, queue_type) in settings.queue_types {
            if let Some(queue_type) = QueueType::named(queue_type.as_bytes()) {
                self.queue_types.insert(vhost, queue_type);
            }
        }
        for (TopicKey { vhost, user, exchange }, (write, read)) in settings.topic_permissions {
            match TopicPermission::new(&vhost, &user, &write, &read) {
                Ok(permission) => {
                    let rights = self.topics.entry((vhost, user)).or_default();
                    Arc::make_mut(rights).insert(exchange, permission);
                }
                Err(error) => {
                    tracing::error!("topic permissions of '{user}' in vhost '{vhost}' are lost: {error}");
                }
            }
        }
    }
}

fn user_definition(user: &User) -> UserDefinition {
    UserDefinition {
        name: user.name.to_string(),
        hash: user.hash.octets.clone(),
        algorithm: user.hash.hashing.name().to_owned(),
        tags: user.tags.clone(),
    }
}

fn vhost_definition(name: &str, about: &VhostAbout) -> VhostDefinition {
    let VhostAbout { description, tags } = about.clone();
    VhostDefinition { name: name.to_owned(), description, tags }
}

fn permission_definition(vhost: &str, user: &str, permission: &Permission) -> PermissionDefinition {
    let text = |right| permission.text(right).to_owned();
    PermissionDefinition {
        vhost: vhost.to_owned(),
        user: user.to_owned(),
        configure: text(Right::Configure),
        write: text(Right::Write),
        read: text(Right::Read),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const REMOTE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    #[test]
    fn con_26_only_the_right_password_of_a_known_user_logs_in() {
        let mut access = Access::default();
        access.add("guest", "guest", true);
        access.add("empty", "", false);
        assert!(access.check_password("guest", b"guest", LOCAL).finish().is_ok());
        for (user, password) in
            [("guest", &b"gues"[..]), ("guest", b"guest!"), ("guest", b""), ("nobody", b""), ("empty", b"")]
        {
            assert!(access.check_password(user, password, LOCAL).finish().is_err(), "{user}");
        }
    }

    #[test]
    fn con_29_loopback_users_come_from_loopback_peers_only() {
        let mut access = Access::default();
        access.add("guest", "guest", true);
        access.add("app", "secret", false);
        assert!(access.check_password("guest", b"guest", REMOTE).finish().is_err());
        assert!(
            access.check_password("guest", b"guest", "::ffff:127.0.0.1".parse().unwrap()).finish().is_ok()
        );
        assert!(access.check_password("app", b"secret", REMOTE).finish().is_ok());
    }

    #[test]
    fn a_user_takes_its_rights_along() {
        let mut access = Access::default();
        access.add("u", "p", false);
        access.add_vhost("/");
        assert!(access.permission("/", "u").is_some());
        let before = access.generation();
        assert!(access.remove_user("u") && !access.remove_user("u"));
        assert!(access.permission("/", "u").is_none() && access.generation() != before);
        assert!(access.put_permission("/", "u", Permission::full()).is_none(), "nobody is called so");
    }

    #[test]
    fn slow_hashes_are_looked_at_once_and_refuse_nobody_quickly() {
        let mut access = Access::default();
        access.add("fast", "secret", false);
        access.set_hashing(Hashing::Argon2id);
        access.add("slow", "secret", false);
        access.add("here", "secret", true);
        let check = |name: &str, password: &str| access.check_password(name, password.as_bytes(), REMOTE);
        for (name, password) in [
            ("slow", "secret"),
            ("slow", "wrong"),
            ("slow", ""),
            ("fast", "wrong"),
            ("nobody", "x"),
            ("here", "x"),
        ] {
            assert!(matches!(check(name, password), PasswordCheck::Slow(_)), "{name} {password}");
        }
        assert!(matches!(check("fast", "secret"), PasswordCheck::Done(Ok(_))));
        assert_eq!(check("slow", "wrong").finish().unwrap_err(), INVALID);
        assert_eq!(check("nobody", "secret").finish().unwrap_err(), INVALID);
        assert_eq!(check("here", "secret").finish().unwrap_err(), "user can only connect via localhost");
        assert!(check("slow", "secret").finish().is_ok());
        assert!(matches!(check("slow", "secret"), PasswordCheck::Done(Ok(_))), "remembered");
        assert!(matches!(check("slow", "wrong"), PasswordCheck::Slow(_)));
        access.put_user("slow", access.hash(b"another"), Vec::new());
        assert!(matches!(check("slow", "secret"), PasswordCheck::Slow(_)), "forgotten");
        assert!(check("slow", "secret").finish().is_err() && check("slow", "another").finish().is_ok());
    }
}
