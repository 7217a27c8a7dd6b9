//! Who the client is: login, connection.open, blocking, and what the log says of it.

use std::{fmt, net::SocketAddr, sync::Arc};

use super::{Core, Output, Session, errors};
use crate::{
    amqp::{
        AMQPValue, ChannelId, Failure, FieldTable, Limit, MethodId, ReplyCode, Scope, connection, method,
        table::{TableRef, field_table_bytes},
    },
    broker::Millis,
    engine::{ConnectionInfo, LoginError, LoginProtocol, PasswordCheck, SlowCheck, User},
    protocol::{Login, Mechanism},
};

/// Octets of a client-given name that reach the log.
const NAME_MAX: usize = 512;
/// Octets kept of what a client says of itself.
const PROPERTIES_MAX: usize = 4 << 10;

/// What the client declared of itself.
#[derive(Debug, Default)]
pub struct Client {
    /// It wants basic.cancel when a queue goes away (CON-34).
    pub cancel_notify: bool,
    /// It wants connection.blocked (CON-35).
    blocked: bool,
    /// Its connection_name (CON-37), fit for a log line.
    name: Option<String>,
    /// The body of the table that it described itself with, as far as that is kept.
    properties: Box<[u8]>,
    mechanism: &'static str,
}

impl Client {
    fn of(login: &Login) -> Client {
        Client {
            cancel_notify: login.has_capability("consumer_cancel_notify"),
            blocked: login.has_capability("connection.blocked"),
            name: connection_name(&login.client),
            properties: properties(&login.client),
            mechanism: login.mechanism.name(),
        }
    }
}

/// What a client says of itself, without what would make it too long to keep.
fn properties(client: &FieldTable) -> Box<[u8]> {
    let octets = field_table_bytes(client);
    let mut kept = Vec::with_capacity(octets.len().min(PROPERTIES_MAX));
    let mut fields = TableRef::new(&octets).iter();
    loop {
        let before = fields.rest();
        if fields.next().is_none() {
            return kept.into();
        }
        let field = before.get(..before.len() - fields.rest().len()).unwrap_or_default();
        if kept.len() + field.len() <= PROPERTIES_MAX {
            kept.extend_from_slice(field);
        }
    }
}

fn connection_name(properties: &FieldTable) -> Option<String> {
    match properties.inner().get("connection_name") {
        Some(AMQPValue::LongString(name)) => {
            let octets = name.as_bytes();
            let head = octets.get(..NAME_MAX).unwrap_or(octets);
            Some(String::from_utf8_lossy(head).escape_debug().to_string())
        }
        _ => None,
    }
}

/// A login attempt that waits because others of its address failed.
#[derive(Debug)]
pub struct PendingLogin {
    pub at: Millis,
    login: Box<Login>,
}

/// A login attempt whose password takes long to check, elsewhere.
#[derive(Debug)]
pub struct CheckedLogin {
    login: Box<Login>,
    /// Until somebody has taken it on.
    check: Option<SlowCheck>,
}

impl Session {
    pub(super) fn on_login(&mut self, mut login: Login) {
        // What is of use is taken out at once: while logins wait, large tables must not wait with them.
        self.core.client = Client::of(&login);
        login.client = FieldTable::default();
        match self.core.node.guard.take_turn(self.core.peer.address, self.core.now) {
            Some(0) => self.try_login(Box::new(login)),
            Some(delay) => {
                self.core.ran_into(Limit::LoginFailures, format_args!("login delayed by {delay} ms"));
                self.core.pending_login =
                    Some(PendingLogin { at: self.core.now + delay, login: Box::new(login) });
            }
            None => {
                let what = format_args!("login refused unseen: too many of its address wait");
                self.core.ran_into(Limit::LoginFailures, what);
                self.machine.refuse_login(self.core.now, self.output.buffer());
            }
        }
    }

    pub(super) fn finish_login(&mut self) {
        if let Some(pending) = self.core.pending_login.take() {
            self.try_login(pending.login);
        }
    }

    fn try_login(&mut self, login: Box<Login>) {
        let core = &mut self.core;
        let (access, peer) = (&core.node.access, core.peer.address);
        let user = match login.mechanism {
            Mechanism::Plain | Mechanism::AmqPlain => {
                match access.check_password(&login.user, &login.password, peer) {
                    PasswordCheck::Done(user) => user,
                    PasswordCheck::Slow(check) => {
                        core.checked_login = Some(CheckedLogin { login, check: Some(check) });
                        return;
                    }
                }
            }
            Mechanism::Anonymous => access.log_in_anonymously(peer),
            Mechanism::External => access.log_in_verified(core.certificate_user(), peer),
        };
        self.conclude_login(&login, user);
    }

    /// A check of a password that takes long, for somebody with a thread for it. Input waits for
    /// [`Session::finish_check`].
    pub fn take_check(&mut self) -> Option<SlowCheck> {
        self.core.checked_login.as_mut()?.check.take()
    }

    /// What came of it.
    pub fn finish_check(&mut self, user: Result<Arc<User>, LoginError>, now: Millis) {
        self.core.now = now;
        if let Some(CheckedLogin { login, .. }) = self.core.checked_login.take() {
            self.conclude_login(&login, user);
        }
    }

    fn conclude_login(&mut self, login: &Login, user: Result<Arc<User>, LoginError>) {
        let core = &mut self.core;
        let peer = core.peer.address;
        let [attempts, failures] = &core.node.stats.amqp_logins;
        attempts.add_shared(1);
        let named = match (login.mechanism, &user) {
            (Mechanism::External, _) => core.certificate_user(),
            (_, Ok(user)) => &user.name,
            _ => &login.user,
        };
        core.node.attempts.note(LoginProtocol::Amqp, peer, named, user.is_ok(), core.now);
        match user {
            Ok(user) => {
                core.node.guard.succeeded(peer);
                core.user = user.name.clone();
                core.tell_login(login.mechanism, &user.name, None);
                self.machine.accept_login(self.output.buffer());
            }
            Err(reason) => {
                failures.add_shared(1);
                core.node.guard.failed(peer, core.now);
                let mechanism = login.mechanism.name();
                core.tell_login(login.mechanism, named, Some(reason));
                let user = named.chars().take(NAME_MAX).collect::<String>();
                let user = user.escape_debug();
                tracing::warn!("{}: {mechanism} login refused: user '{user}' - {reason}", core.describe());
                self.machine.refuse_login(core.now, self.output.buffer());
            }
        }
    }

    pub(super) fn on_open(&mut self, vhost: &str) -> Result<(), Failure> {
        let core = &mut self.core;
        let open = MethodId { class: 10, method: 40 };
        let found = core.node.vhost(vhost);
        let name = found.as_ref().map(|vhost| &vhost.name);
        let seat = core.node.occupancy.enter(&core.user, name);
        let seat = seat.map_err(|full| errors::of_full(&full).at(open))?;
        let Some(found) = found else {
            let text = format!("vhost {vhost} not found");
            return Err(Failure::connection(ReplyCode::NotAllowed, text).at(open));
        };
        if core.node.access.permission(vhost, &core.user).is_none() {
            let text = format!("access to vhost '{vhost}' refused for user '{}'", core.user);
            return Err(Failure::connection(ReplyCode::NotAllowed, text).at(open));
        }
        core.seat = Some(seat);
        core.vhost = Some(found);
        core.tuned_frame_max = self.machine.tuned().frame_max;
        let tuned = self.machine.tuned();
        let info = ConnectionInfo {
            user: core.user.clone(),
            vhost: vhost.into(),
            peer: SocketAddr::new(core.peer.address, core.peer.port),
            local: core.peer.local,
            encryption: core.peer.encryption.clone(),
            connected_at: core.now,
            mechanism: core.client.mechanism,
            client_properties: std::mem::take(&mut core.client.properties),
            frame_max: tuned.frame_max,
            channel_max: tuned.channel_max,
            heartbeat: tuned.heartbeat,
        };
        core.node.register_connection(core.id, info, core.inbox.clone(), core.meter.clone());
        self.machine.accept_open(core.now, self.output.buffer());
        let (user, vhost) = (&core.user, vhost.escape_debug());
        tracing::info!(
            "{}: user '{user}' authenticated and granted access to vhost '{vhost}'",
            core.describe()
        );
        Ok(())
    }
}

impl Core {
    /// Whom the client's certificate names, or nobody.
    fn certificate_user(&self) -> &str {
        let certificate = self.peer.encryption.as_ref().and_then(|tls| tls.certificate.as_ref());
        certificate.and_then(|certificate| certificate.user.as_deref()).unwrap_or_default()
    }

    /// `127.0.0.1:50860` and the client's own name, if it gave one.
    pub(super) fn describe(&self) -> String {
        let (address, port) = (self.peer.address, self.peer.port);
        match &self.client.name {
            Some(name) => format!("connection {} ({address}:{port} - {name})", self.id),
            None => format!("connection {} ({address}:{port})", self.id),
        }
    }

    /// Logs what a client did wrong: once, where it is handled.
    pub(super) fn log_failure(&self, channel: ChannelId, failure: &Failure) {
        let text = failure.text.escape_debug();
        if let Some(limit) = failure.limit {
            return match failure.scope {
                Scope::Channel => self.ran_into(limit, format_args!("closing channel {channel}: {text}")),
                Scope::Connection => self.ran_into(limit, format_args!("closing connection: {text}")),
            };
        }
        match failure.scope {
            Scope::Channel => tracing::info!("{}: closing channel {channel}: {text}", self.describe()),
            Scope::Connection => tracing::warn!("{}: closing connection: {text}", self.describe()),
        }
    }

    /// Counts that the client ran into a limit, and logs it: the first time, then once a minute.
    pub(super) fn ran_into(&self, limit: Limit, what: fmt::Arguments<'_>) {
        match self.node.refusals.note(limit, self.peer.address, self.now) {
            Some(notice) => tracing::warn!("{}: {what} ({notice})", self.describe()),
            None => tracing::debug!("{}: {what}", self.describe()),
        }
    }

    /// Logs direct replies that this client did not read in time; they are counted already.
    pub(super) fn log_dropped_replies(&mut self) {
        let dropped = std::mem::take(&mut self.taken.dropped_replies);
        if dropped == 0 {
            return;
        }
        if let Some(notice) = self.node.refusals.line(Limit::DirectReplies, self.peer.address, self.now) {
            tracing::warn!("{}: {dropped} direct replies dropped ({notice})", self.describe());
        }
    }

    /// Holds publishes back; tells the client once an episode (ALM-04).
    pub(super) fn block(&mut self, reason: &str, out: &mut Output) {
        if self.blocked {
            return;
        }
        self.blocked = true;
        self.node.alarms.note_waiting(true);
        if self.client.blocked {
            let blocked = connection::Blocked { reason: reason.into() };
            let class = connection::AMQPMethod::Blocked(blocked);
            method::encode(out.buffer(), 0, crate::amqp::AMQPClass::Connection(class));
        }
        self.ran_into(Limit::Memory, format_args!("blocked, {reason}"));
    }

    /// Half-received contents count as memory of the node: `held` octets now.
    #[inline]
    pub(super) fn charge_partial(&mut self, held: u64) {
        let held = i64::try_from(held).unwrap_or(i64::MAX);
        if held != self.partial_charged {
            self.node.alarms.account().charge(held - self.partial_charged);
            self.partial_charged = held;
        }
    }

    pub(super) fn stop_waiting(&mut self) {
        if std::mem::take(&mut self.blocked) {
            self.node.alarms.note_waiting(false);
        }
    }

    /// Every alarm is over (ALM-05).
    pub(super) fn unblock(&mut self, out: &mut Output) {
        self.stop_waiting();
        if self.client.blocked {
            let class = connection::AMQPMethod::Unblocked(connection::Unblocked {});
            method::encode(out.buffer(), 0, crate::amqp::AMQPClass::Connection(class));
        }
        tracing::debug!("{}: unblocked", self.describe());
    }
}
