//! Definition files, in: what a document defines is added to what is there.

use std::{path::Path, sync::Arc};

use hyper::{HeaderMap, Method, body::Bytes};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::{
    Management,
    answer::Refusal,
    bindings,
    call::{Call, flag, text},
    dispatch, exchanges,
    json::to_table,
    limits,
    parameters::{self, ParameterPath},
    path::Query,
    permissions, policies, queues,
    route::BindingPath,
    topic_permissions, users, vhosts,
};
use crate::{
    amqp::{AMQPValue, FieldTable},
    broker::{policy::Owner, queue_type::QueueType, topology::ExchangeDeclare},
    engine::{PasswordHash, QueueDeclare, User, Vhost},
};

/// RabbitMQ's name for where it remembers what was imported last.
const IMPORTED: &str = "imported_definition_hash_value";

impl Management {
    /// Imports files at the start, before anybody may use the interface; `name` is what the log calls them.
    /// With `skip_known` nothing happens when they are those that were imported last.
    ///
    /// # Errors
    /// When they cannot be imported: what is wrong with which.
    pub async fn import(
        self: &Arc<Management>,
        files: &[(impl AsRef<Path> + Send + Sync, Vec<u8>)],
        skip_known: bool,
    ) -> Result<(), String> {
        let mut digest = Sha256::new();
        files.iter().for_each(|(_, content)| digest.update(content));
        let digest: String = digest.finalize().iter().map(|octet| format!("{octet:02x}")).collect();
        let access = &self.node.access;
        if skip_known && access.global_text(IMPORTED).as_ref() == Some(&digest) {
            tracing::info!("definitions are those that were imported before, and skipped");
            return Ok(());
        }
        for (path, content) in files {
            let path = path.as_ref().display();
            tracing::info!("importing definitions from {path}");
            let call = self.own_call(content);
            let document = call.object().map_err(|refusal| format!("{path}: {}", refusal.reason))?;
            let imported = import(&call, None, &document).await;
            imported.map_err(|refusal| format!("{path}: {}", refusal.reason))?;
        }
        access.put_global_parameter(IMPORTED, digest.into());
        dispatch::definitions_are_durable(&self.node).await;
        Ok(())
    }

    /// A request of the broker itself, which may do everything.
    fn own_call(self: &Arc<Management>, body: &[u8]) -> Call {
        let user = User::new("leveret", PasswordHash::nobody(), vec!["administrator".to_owned()]);
        Call {
            management: self.clone(),
            user: Arc::new(user),
            is_local: true,
            method: Method::POST,
            query: Query::default(),
            headers: HeaderMap::new(),
            body: Bytes::copy_from_slice(body),
        }
    }
}

fn items<'a>(document: &'a Map<String, Value>, key: &str) -> Result<Vec<&'a Map<String, Value>>, Refusal> {
    match document.get(key) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(items)) => {
            let object = |item: &'a Value| {
                item.as_object().ok_or_else(|| Refusal::bad_request(format!("{key}: expected objects")))
            };
            items.iter().map(object).collect()
        }
        Some(_) => Err(Refusal::bad_request(format!("{key}: expected an array"))),
    }
}

/// Adds what the document defines to what is there. What cannot be changed once it is there stays as it is.
/// Policies come before what they are for.
pub async fn import(
    call: &Call,
    only: Option<&Arc<Vhost>>,
    document: &Map<String, Value>,
) -> Result<(), Refusal> {
    let default_types = if only.is_none() { import_accounts(call, document).await? } else { Vec::new() };
    import_settings(call, only, document).await?;
    import_contents(call, only, document)?;
    // Not before: what these queues are was decided where they come from.
    for (vhost, queue_type) in default_types {
        call.node().set_default_queue_type(&vhost, queue_type);
    }
    Ok(())
}

/// Runtime parameters and policies, and then everything in their vhosts goes by them.
async fn import_settings(
    call: &Call,
    only: Option<&Arc<Vhost>>,
    document: &Map<String, Value>,
) -> Result<(), Refusal> {
    let vhost_of = |item: &Map<String, Value>| match only {
        Some(only) => Ok(only.name.to_string()),
        None => text(item, "vhost"),
    };
    for item in items(document, "parameters")? {
        let path = ParameterPath {
            component: text(item, "component")?,
            vhost: vhost_of(item)?,
            name: text(item, "name")?,
        };
        let ParameterPath { component, vhost, name } = &path;
        let put = parameters::put(call, &path, item.get("value").unwrap_or(&Value::Null)).await;
        put.map_err(|reason| Refusal::bad_request(format!("{reason} ({vhost}/{component}/{name})")))?;
    }
    let mut touched: Vec<Arc<Vhost>> = Vec::new();
    for item in items(document, "policies")? {
        let (name, vhost) = (text(item, "name")?, vhost_of(item)?);
        let no_vhost = || Refusal::bad_request(format!("no_such_vhost: {vhost}"));
        let found = call.node().vhost(&vhost).ok_or_else(no_vhost)?;
        let policy = policies::parse(Owner::User, &name, item)
            .map_err(|reason| Refusal::bad_request(format!("{reason} ({vhost}/{name})")))?;
        call.node().put_policy(&found, Owner::User, policy).ok_or_else(no_vhost)?;
        if !touched.iter().any(|known| Arc::ptr_eq(known, &found)) {
            touched.push(found);
        }
    }
    for vhost in &touched {
        policies::sweep(call, vhost).await;
    }
    Ok(())
}

/// Exchanges, queues, bindings.
fn import_contents(
    call: &Call,
    only: Option<&Arc<Vhost>>,
    document: &Map<String, Value>,
) -> Result<(), Refusal> {
    let vhost = |item: &Map<String, Value>| match only {
        Some(only) => call.vhost(&only.name),
        None => {
            let name = text(item, "vhost")?;
            call.node().vhost(&name).ok_or_else(|| Refusal::bad_request(format!("no_such_vhost: {name}")))
        }
    };
    for item in items(document, "exchanges")? {
        let (vhost, name) = (vhost(item)?, text(item, "name")?);
        if vhost.exchange(&name).is_some() {
            continue;
        }
        let kind = text(item, "type")?;
        let declare = ExchangeDeclare {
            kind: &kind,
            durable: flag(item, "durable")?,
            auto_delete: flag(item, "auto_delete")?,
            internal: flag(item, "internal")?,
            arguments: to_table(item.get("arguments"))?,
        };
        exchanges::declare_exchange(call, &vhost, &name, declare)?;
    }
    for item in items(document, "queues")? {
        let (vhost, name) = (vhost(item)?, text(item, "name")?);
        if vhost.queue(&name).is_ok() {
            continue;
        }
        let declare = QueueDeclare {
            durable: flag(item, "durable")?,
            auto_delete: flag(item, "auto_delete")?,
            exclusive: false,
            arguments: queue_arguments(&vhost, item)?,
        };
        queues::declare_queue(call, &vhost, &name, declare)?;
    }
    for item in items(document, "bindings")? {
        let vhost = vhost(item)?;
        let path = BindingPath {
            vhost: vhost.name.to_string(),
            source: text(item, "source")?,
            destination: text(item, "destination")?,
            to_queue: text(item, "destination_type")? != "exchange",
        };
        bindings::bind(call, &vhost, &path, &text(item, "routing_key")?, to_table(item.get("arguments"))?)?;
    }
    Ok(())
}

/// The arguments of a queue. RabbitMQ 4 names its type beside them; it counts where the vhost's default is another.
fn queue_arguments(vhost: &Vhost, item: &Map<String, Value>) -> Result<FieldTable, Refusal> {
    const TYPE: &str = "x-queue-type";
    let mut arguments = to_table(item.get("arguments"))?;
    let queue_type = text(item, "type")?;
    let default_type = vhost.rules.default_queue_type().unwrap_or_default().name();
    if !queue_type.is_empty() && queue_type != default_type && !arguments.contains_key(TYPE) {
        arguments.insert(TYPE.into(), AMQPValue::LongString(queue_type.as_str().into()));
    }
    Ok(arguments)
}

/// Vhosts, users and permissions. Whoever imports them may use the vhosts, to declare what is in them.
/// Returns the default queue types that vhosts are to have.
async fn import_accounts(
    call: &Call,
    document: &Map<String, Value>,
) -> Result<Vec<(String, Option<QueueType>)>, Refusal> {
    let access = &call.node().access;
    let mut default_types = Vec::new();
    for item in items(document, "vhosts")? {
        let name = text(item, "name")?;
        vhosts::check_name(&name)?;
        let about = vhosts::about(item, access.vhost(&name).unwrap_or_default())?;
        if let Some(queue_type) = vhosts::default_queue_type(item)? {
            default_types.push((name.clone(), queue_type));
        }
        let protection = vhosts::protection(item)?;
        vhosts::add(call, &name, about)?;
        if let Some(protected) = protection {
            access.set_protected(&name, protected);
        }
        limits::import_of_vhost(call, &name, item.get("limits"))?;
        if !call.may_enter(&name) {
            call.take_vhost(&name);
        }
    }
    for item in items(document, "users")? {
        let name = text(item, "name")?;
        vhosts::check_name(&name)?;
        users::put(access, &name, item).await?;
        limits::import_of_user(call, &name, item.get("limits"))?;
    }
    for item in items(document, "permissions")? {
        let (vhost, user) = (text(item, "vhost")?, text(item, "user")?);
        if access.put_permission(&vhost, &user, permissions::permission(item)?).is_none() {
            return Err(Refusal::bad_request(format!("vhost_or_user_not_found: {vhost}, {user}")));
        }
    }
    for item in items(document, "topic_permissions")? {
        let (vhost, user) = (text(item, "vhost")?, text(item, "user")?);
        if topic_permissions::put(call, &vhost, &user, item)?.is_none() {
            return Err(Refusal::bad_request(format!("vhost_or_user_not_found: {vhost}, {user}")));
        }
    }
    for item in items(document, "global_parameters")? {
        parameters::put_global(call, &text(item, "name")?, item.get("value"))?;
    }
    Ok(default_types)
}
