//! What operators set beside users, vhosts and permissions: runtime parameters, topic permissions, the queue type
//! that a vhost declares by default.

use std::collections::BTreeMap;

use super::octets::{Malformed, Reader, put_octets};

/// A change of what operators set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    PutParameter {
        key: ParameterKey,
        /// JSON.
        value: String,
    },
    ClearParameter {
        key: ParameterKey,
    },
    PutTopicPermission {
        key: TopicKey,
        write: String,
        read: String,
    },
    ClearTopicPermission {
        key: TopicKey,
    },
    /// An empty type is none.
    DefaultQueueType {
        vhost: String,
        queue_type: String,
    },
}

/// Names a runtime parameter; those of the node have no vhost.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ParameterKey {
    pub vhost: String,
    pub component: String,
    pub name: String,
}

/// Names the rights of a user on the topics of an exchange.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TopicKey {
    pub vhost: String,
    pub user: String,
    pub exchange: String,
}

const PUT_PARAMETER: u8 = 0;
const CLEAR_PARAMETER: u8 = 1;
const PUT_TOPIC_PERMISSION: u8 = 2;
const CLEAR_TOPIC_PERMISSION: u8 = 3;
const DEFAULT_QUEUE_TYPE: u8 = 4;

impl Setting {
    /// One octet for its kind, then its texts.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut put = |kind: u8, texts: &[&String]| {
            out.push(kind);
            texts.iter().for_each(|text| put_octets(out, text.as_bytes()));
        };
        match self {
            Setting::PutParameter { key: ParameterKey { vhost, component, name }, value } => {
                put(PUT_PARAMETER, &[vhost, component, name, value]);
            }
            Setting::ClearParameter { key: ParameterKey { vhost, component, name } } => {
                put(CLEAR_PARAMETER, &[vhost, component, name]);
            }
            Setting::PutTopicPermission { key: TopicKey { vhost, user, exchange }, write, read } => {
                put(PUT_TOPIC_PERMISSION, &[vhost, user, exchange, write, read]);
            }
            Setting::ClearTopicPermission { key: TopicKey { vhost, user, exchange } } => {
                put(CLEAR_TOPIC_PERMISSION, &[vhost, user, exchange]);
            }
            Setting::DefaultQueueType { vhost, queue_type } => put(DEFAULT_QUEUE_TYPE, &[vhost, queue_type]),
        }
    }

    pub fn decode(reader: &mut Reader<'_>) -> Result<Setting, Malformed> {
        Ok(match reader.octet()? {
            PUT_PARAMETER => Setting::PutParameter { key: parameter_key(reader)?, value: reader.string()? },
            CLEAR_PARAMETER => Setting::ClearParameter { key: parameter_key(reader)? },
            PUT_TOPIC_PERMISSION => {
                let key = topic_key(reader)?;
                Setting::PutTopicPermission { key, write: reader.string()?, read: reader.string()? }
            }
            CLEAR_TOPIC_PERMISSION => Setting::ClearTopicPermission { key: topic_key(reader)? },
            DEFAULT_QUEUE_TYPE => {
                Setting::DefaultQueueType { vhost: reader.string()?, queue_type: reader.string()? }
            }
            _ => return Err(Malformed),
        })
    }
}

fn parameter_key(reader: &mut Reader<'_>) -> Result<ParameterKey, Malformed> {
    Ok(ParameterKey { vhost: reader.string()?, component: reader.string()?, name: reader.string()? })
}

fn topic_key(reader: &mut Reader<'_>) -> Result<TopicKey, Malformed> {
    Ok(TopicKey { vhost: reader.string()?, user: reader.string()?, exchange: reader.string()? })
}

/// Everything that is set, as a replay finds it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Settings {
    pub parameters: BTreeMap<ParameterKey, String>,
    /// Patterns to write and to read.
    pub topic_permissions: BTreeMap<TopicKey, (String, String)>,
    /// By vhost.
    pub queue_types: BTreeMap<String, String>,
}

impl Settings {
    pub fn apply(&mut self, setting: Setting) {
        match setting {
            Setting::PutParameter { key, value } => {
                self.parameters.insert(key, value);
            }
            Setting::ClearParameter { key } => {
                self.parameters.remove(&key);
            }
            Setting::PutTopicPermission { key, write, read } => {
                self.topic_permissions.insert(key, (write, read));
            }
            Setting::ClearTopicPermission { key } => {
                self.topic_permissions.remove(&key);
            }
            Setting::DefaultQueueType { vhost, queue_type } => {
                self.queue_types.insert(vhost, queue_type);
            }
        }
    }

    /// What was set in a vhost goes with it.
    pub fn forget_vhost(&mut self, name: &str) {
        self.parameters.retain(|key, _| key.vhost != name);
        self.topic_permissions.retain(|key, _| key.vhost != name);
        self.queue_types.remove(name);
    }

    /// A user's rights go with it; its limits are parameters of their own.
    pub fn forget_user(&mut self, name: &str) {
        self.topic_permissions.retain(|key, _| key.user != name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Vec<Setting> {
        let text = str::to_owned;
        let parameter = ParameterKey { vhost: text("v"), component: text("policy"), name: text("p") };
        let topic = TopicKey { vhost: text("v"), user: text("u"), exchange: String::new() };
        vec![
            Setting::PutParameter { key: parameter.clone(), value: text("{}") },
            Setting::ClearParameter { key: parameter },
            Setting::PutTopicPermission { key: topic.clone(), write: text("^a"), read: String::new() },
            Setting::ClearTopicPermission { key: topic },
            Setting::DefaultQueueType { vhost: text("v"), queue_type: text("quorum") },
        ]
    }

    #[test]
    fn settings_come_back_as_they_went_in() {
        for setting in settings() {
            let mut octets = Vec::new();
            setting.encode(&mut octets);
            let mut reader = Reader::new(&octets);
            assert_eq!(Setting::decode(&mut reader).unwrap(), setting);
            assert!(reader.is_empty());
            for length in 0..octets.len() {
                assert!(Setting::decode(&mut Reader::new(&octets[..length])).is_err());
            }
        }
    }

    #[test]
    fn what_is_set_in_a_vhost_or_for_a_user_goes_with_it() {
        let filled = || {
            let mut all = Settings::default();
            let kept = settings().into_iter();
            kept.filter(|setting| {
                !matches!(setting, Setting::ClearParameter { .. } | Setting::ClearTopicPermission { .. })
            })
            .for_each(|setting| all.apply(setting));
            all
        };
        let mut all = filled();
        assert_eq!((all.parameters.len(), all.topic_permissions.len(), all.queue_types.len()), (1, 1, 1));
        all.forget_vhost("v");
        assert_eq!(all, Settings::default());
        let mut all = filled();
        all.forget_user("u");
        assert!(all.topic_permissions.is_empty() && all.parameters.len() == 1);
        settings().into_iter().for_each(|setting| all.apply(setting));
        assert!(all.parameters.is_empty());
    }
}
