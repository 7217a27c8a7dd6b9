//! Rights on topics: which routing keys a user may publish with to a topic exchange, and bind with (PRM-20 to
//! PRM-22).

use std::{collections::BTreeMap, sync::Arc};

use super::{Access, BadPattern, Right, permission::Pattern};
use crate::store::{Definition, Setting, TopicKey};

/// What a user may do with the topics of one exchange.
#[derive(Debug, Clone)]
pub struct TopicPermission {
    /// As operators wrote it.
    write_text: String,
    read_text: String,
    write: Pattern,
    read: Pattern,
}

impl TopicPermission {
    /// Variables stand for the user and the vhost that the row is about (PRM-22). There is no client id in AMQP:
    /// its variable stays as it is.
    ///
    /// # Errors
    /// When a pattern is no regular expression.
    pub fn new(vhost: &str, user: &str, write: &str, read: &str) -> Result<TopicPermission, BadPattern> {
        let pattern = |right, text: &str| {
            let expanded =
                text.replace("{username}", &regex::escape(user)).replace("{vhost}", &regex::escape(vhost));
            Pattern::new(expanded).map_err(|error| BadPattern { right, error })
        };
        Ok(TopicPermission {
            write_text: write.to_owned(),
            read_text: read.to_owned(),
            write: pattern(Right::Write, write)?,
            read: pattern(Right::Read, read)?,
        })
    }

    fn allows(&self, right: Right, topic: &str) -> bool {
        match right {
            Right::Write => self.write.matches(topic),
            Right::Read => self.read.matches(topic),
            // Topics are not declared.
            Right::Configure => true,
        }
    }

    pub fn text(&self, right: Right) -> &str {
        match right {
            Right::Write => &self.write_text,
            Right::Read => &self.read_text,
            Right::Configure => "",
        }
    }
}

/// The rights of one user on topics in one vhost, by exchange. Where there is no row, everything is allowed.
#[derive(Debug, Clone, Default)]
pub struct TopicRights(BTreeMap<String, TopicPermission>);

impl TopicRights {
    /// Whether the user may; of a topic exchange.
    pub fn allows(&self, right: Right, exchange: &str, topic: &str) -> bool {
        self.0.get(exchange).is_none_or(|row| row.allows(right, topic))
    }

    /// Whether there is anything to ask for an exchange.
    pub fn has(&self, exchange: &str) -> bool {
        self.0.contains_key(exchange)
    }
}

/// One row of rights on topics.
#[derive(Debug, Clone)]
pub struct TopicRow {
    pub vhost: String,
    pub user: String,
    pub exchange: String,
    pub permission: TopicPermission,
}

impl Access {
    /// The rights of a user on topics, if there are any rows.
    pub fn topic_rights(&self, vhost: &str, user: &str) -> Option<Arc<TopicRights>> {
        self.state.read().topics.get(&(vhost.to_owned(), user.to_owned())).cloned()
    }

    /// All rows, by vhost, user and exchange.
    pub fn topic_permissions(&self) -> Vec<TopicRow> {
        let state = self.state.read();
        let rows = state.topics.iter().flat_map(|((vhost, user), rights)| {
            rights.0.iter().map(|(exchange, permission)| TopicRow {
                vhost: vhost.clone(),
                user: user.clone(),
                exchange: exchange.clone(),
                permission: permission.clone(),
            })
        });
        rows.collect()
    }

    /// Gives rights; `Some(true)` when this user had no row in this vhost, `None` when there is no such user or
    /// vhost.
    pub fn put_topic_permission(&self, row: TopicRow) -> Option<bool> {
        let mut state = self.state.write();
        if !state.users.contains_key(&row.user) || !state.vhosts.contains_key(&row.vhost) {
            return None;
        }
        self.journal.define([definition(&row)]);
        let (write, read) = (row.permission.text(Right::Write), row.permission.text(Right::Read));
        let details = [("exchange", row.exchange.as_str()), ("write", write), ("read", read)];
        self.events.tell_rights("topic.permission.created", &row.vhost, &row.user, &details);
        let TopicRow { vhost, user, exchange, permission } = row;
        let rights = state.topics.entry((vhost, user)).or_default();
        let is_new = rights.0.is_empty();
        Arc::make_mut(rights).0.insert(exchange, permission);
        self.rights_changed();
        Some(is_new)
    }

    /// Takes one row away, or all that the user has in the vhost; false when it has none.
    pub fn clear_topic_permissions(&self, vhost: &str, user: &str, exchange: Option<&str>) -> bool {
        let mut state = self.state.write();
        let place = (vhost.to_owned(), user.to_owned());
        let Some(rights) = state.topics.get_mut(&place) else { return false };
        let rows = &mut Arc::make_mut(rights).0;
        let gone: Vec<String> =
            rows.keys().filter(|name| exchange.is_none_or(|exchange| exchange == *name)).cloned().collect();
        gone.iter().for_each(|name| drop(rows.remove(name)));
        if rows.is_empty() {
            state.topics.remove(&place);
        }
        let clear = |exchange: String| {
            let key = TopicKey { vhost: vhost.to_owned(), user: user.to_owned(), exchange };
            Definition::Set(Setting::ClearTopicPermission { key })
        };
        self.journal.define(gone.into_iter().map(clear));
        self.events.tell_rights("topic.permission.deleted", vhost, user, &[]);
        self.rights_changed();
        true
    }
}

pub(super) fn definition(row: &TopicRow) -> Definition {
    let TopicRow { vhost, user, exchange, permission } = row;
    let key = TopicKey { vhost: vhost.clone(), user: user.clone(), exchange: exchange.clone() };
    let text = |right| permission.text(right).to_owned();
    Definition::Set(Setting::PutTopicPermission { key, write: text(Right::Write), read: text(Right::Read) })
}

impl TopicRights {
    pub(super) fn insert(&mut self, exchange: String, permission: TopicPermission) {
        self.0.insert(exchange, permission);
    }

    pub(super) fn rows<'a>(&'a self, vhost: &'a str, user: &'a str) -> impl Iterator<Item = TopicRow> + 'a {
        self.0.iter().map(|(exchange, permission)| TopicRow {
            vhost: vhost.to_owned(),
            user: user.to_owned(),
            exchange: exchange.clone(),
            permission: permission.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prm_22_variables_stand_for_names_and_never_for_patterns() {
        let row = TopicPermission::new("v.1", "a.b", "^{username}\\.", "^{vhost}-{client_id}$").unwrap();
        let mut rights = TopicRights::default();
        rights.insert("x".to_owned(), row);
        assert!(rights.allows(Right::Write, "x", "a.b.c") && !rights.allows(Right::Write, "x", "axb.c"));
        assert!(
            rights.allows(Right::Read, "x", "v.1-{client_id}") && !rights.allows(Right::Read, "x", "v.1-")
        );
        assert!(rights.allows(Right::Write, "other", "anything"), "no row");
    }

    #[test]
    fn prm_20_the_empty_pattern_allows_nothing() {
        let mut rights = TopicRights::default();
        rights.insert("x".to_owned(), TopicPermission::new("/", "u", "", "").unwrap());
        assert!(!rights.allows(Right::Write, "x", "a") && !rights.allows(Right::Read, "x", "a"));
    }
}
