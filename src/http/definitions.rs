//! Definition files: everything that is defined, as one JSON document, out and in.

use std::sync::Arc;

use hyper::Method;
use serde_json::{Map, Value, json};

use super::{
    answer::{Answer, Refusal},
    bindings,
    call::{Call, flag, text},
    exchanges,
    json::{of_table, to_table},
    limits,
    parameters::{self, ParameterPath},
    permissions, policies, queues,
    route::BindingPath,
    topic_permissions, users, vhosts,
};
use crate::{
    amqp::{AMQPValue, FieldTable},
    broker::{policy::Owner, queue_type::QueueType, topology::ExchangeDeclare},
    engine::{BindingSummary, BindingsOf, ExchangeSummary, QueueDeclare, QueueRef, Vhost},
};

/// Names that are there without being declared.
const PREDECLARED_PREFIX: &str = "amq.";

/// All of it, or one vhost's part.
pub async fn exchange(call: &Call, vhost: Option<&str>) -> Result<Answer, Refusal> {
    let vhost = vhost.map(|name| call.vhost(name)).transpose()?;
    if call.method == Method::POST {
        let document = document(call)?;
        import(call, vhost.as_ref(), &document).await?;
        return Ok(Answer::done());
    }
    let answer = Answer::json(&export(call, vhost.as_deref()));
    Ok(match call.query.get("download") {
        Some(name) => {
            let name: String = name.chars().filter(|letter| !letter.is_control() && *letter != '"').collect();
            answer.header("content-disposition", format!("attachment; filename=\"{name}\""))
        }
        None => answer,
    })
}

fn export(call: &Call, only: Option<&Vhost>) -> Value {
    let version = &call.management.settings.advertised_version;
    let mut document = json!({
        "rabbit_version": version,
        "rabbitmq_version": version,
        "product_name": "leveret",
        "product_version": env!("CARGO_PKG_VERSION"),
    });
    let access = &call.node().access;
    let mut part = match only {
        Some(vhost) => {
            let mut part = json!({
                "rabbitmq_definition_format": "single_virtual_host",
                "original_vhost_name": &*vhost.name,
            });
            extend(&mut part, contents(vhost, false));
            part
        }
        None => {
            let about = access.vhosts().into_iter().filter_map(|name| {
                let about = access.vhost(&name)?;
                let (description, tags) = (&about.description, &about.tags);
                let mut metadata = json!({ "description": description, "tags": tags });
                if let Some(queue_type) = access.default_queue_type(&name) {
                    extend(&mut metadata, json!({ "default_queue_type": queue_type.name() }));
                }
                let limits = access.vhost_limits(&name);
                Some(json!({ "name": name, "description": description, "tags": tags, "metadata": metadata, "limits": limits }))
            });
            let mut part = json!({
                "rabbitmq_definition_format": "cluster",
                "original_cluster_name": call.management.settings.cluster_name,
                "users": access.users().iter().map(|user| users::view(access, user)).collect::<Value>(),
                "vhosts": about.collect::<Value>(),
                "permissions": access.permissions().iter().map(permissions::view).collect::<Value>(),
                "topic_permissions": access.topic_permissions().iter().map(topic_permissions::view).collect::<Value>(),
                "global_parameters": parameters::global_views(call),
            });
            let mut all = json!({ "queues": [], "exchanges": [], "bindings": [] });
            for vhost in call.node().vhosts() {
                append(&mut all, contents(&vhost, true));
            }
            extend(&mut part, all);
            part
        }
    };
    extend(&mut part, settings(call, only));
    extend(&mut document, part);
    document
}

/// Policies and parameters; those of one vhost do not name it.
fn settings(call: &Call, only: Option<&Vhost>) -> Value {
    let access = &call.node().access;
    let is_meant = |vhost: &str| only.is_none_or(|only| *only.name == *vhost);
    let named = |mut view: Value| {
        if only.is_some()
            && let Value::Object(fields) = &mut view
        {
            fields.remove("vhost");
        }
        view
    };
    let parameters = access.parameters();
    let parameters = parameters.iter().filter(|parameter| is_meant(&parameter.vhost)).map(parameters::view);
    let policies = access.policies(Owner::User);
    let policies = policies
        .iter()
        .filter(|(vhost, _)| is_meant(vhost))
        .map(|(vhost, policy)| policies::view(vhost, policy));
    json!({
        "parameters": parameters.map(named).collect::<Value>(),
        "policies": policies.map(named).collect::<Value>(),
    })
}

fn extend(target: &mut Value, source: Value) {
    if let (Value::Object(target), Value::Object(source)) = (target, source) {
        target.extend(source);
    }
}

/// Adds the lists of one document to those of another.
fn append(target: &mut Value, source: Value) {
    let (Value::Object(target), Value::Object(source)) = (target, source) else { return };
    for (name, items) in source {
        if let (Some(Value::Array(all)), Value::Array(mut items)) = (target.get_mut(&name), items) {
            all.append(&mut items);
        }
    }
}

/// What is declared in a vhost, durable or not, as RabbitMQ has it: all but what belongs to a connection.
fn contents(vhost: &Vhost, names_vhost: bool) -> Value {
    let with_vhost = |mut item: Value| {
        if names_vhost && let Value::Object(fields) = &mut item {
            fields.insert("vhost".to_owned(), json!(&*vhost.name));
        }
        item
    };
    let queue = |queue: &QueueRef| {
        let properties = &queue.properties;
        with_vhost(json!({
            "name": &*queue.name,
            "type": properties.arguments.queue_type.name(),
            "durable": properties.durable,
            "auto_delete": properties.auto_delete,
            "arguments": of_table(&properties.arguments.raw),
        }))
    };
    let exchange = |exchange: &ExchangeSummary| {
        with_vhost(json!({
            "name": exchange.name,
            "type": exchange.kind,
            "durable": exchange.durable,
            "auto_delete": exchange.auto_delete,
            "internal": exchange.internal,
            "arguments": of_table(&exchange.arguments),
        }))
    };
    let binding = |binding: &BindingSummary| {
        with_vhost(json!({
            "source": binding.source,
            "destination": binding.destination,
            "destination_type": if binding.to_queue { "queue" } else { "exchange" },
            "routing_key": binding.routing_key,
            "arguments": of_table(&binding.arguments),
        }))
    };
    let mut all_queues = vhost.queues();
    let exclusive: Vec<_> = all_queues
        .iter()
        .filter(|queue| queue.properties.owner.is_some())
        .map(|queue| queue.name.clone())
        .collect();
    all_queues.retain(|queue| queue.properties.owner.is_none());
    all_queues.sort_by(|one, other| one.name.cmp(&other.name));
    let mut all_exchanges = vhost.exchanges();
    all_exchanges
        .retain(|exchange| !exchange.name.is_empty() && !exchange.name.starts_with(PREDECLARED_PREFIX));
    all_exchanges.sort_by(|one, other| one.name.cmp(&other.name));
    let mut all_bindings = vhost.bindings(BindingsOf::All);
    let to_exclusive: std::collections::HashSet<&str> = exclusive.iter().map(|name| &**name).collect();
    all_bindings.retain(|binding| {
        let is_a_clients = binding.to_queue && to_exclusive.contains(binding.destination.as_str());
        !binding.source.is_empty() && !is_a_clients
    });
    json!({
        "queues": all_queues.iter().map(queue).collect::<Value>(),
        "exchanges": all_exchanges.iter().map(exchange).collect::<Value>(),
        "bindings": all_bindings.iter().map(binding).collect::<Value>(),
    })
}

/// The document of a request: its body, or the file of a form as browsers send it.
fn document(call: &Call) -> Result<Map<String, Value>, Refusal> {
    let kind = call.headers.get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("multipart/form-data") {
        return call.object();
    }
    let file =
        kind.split("boundary=").nth(1).and_then(|boundary| form_file(&call.body, boundary.trim_matches('"')));
    let file = file.ok_or_else(|| Refusal::bad_request("failed_to_parse_json"))?;
    serde_json::from_slice(file).map_err(|_| Refusal::bad_request("failed_to_parse_json"))
}

/// The part of a form that is called `file`.
fn form_file<'a>(body: &'a [u8], boundary: &str) -> Option<&'a [u8]> {
    let text = std::str::from_utf8(body).ok()?;
    let part = text.split(&format!("--{boundary}")).find(|part| part.contains("name=\"file\""))?;
    let (_, content) = part.split_once("\r\n\r\n")?;
    Some(content.trim_end_matches("\r\n").as_bytes())
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
async fn import(
    call: &Call,
    only: Option<&Arc<Vhost>>,
    document: &Map<String, Value>,
) -> Result<(), Refusal> {
    let default_types = if only.is_none() { import_accounts(call, document)? } else { Vec::new() };
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
fn import_accounts(
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
        vhosts::add(call, &name, about)?;
        limits::import_of_vhost(call, &name, item.get("limits"))?;
        if !call.may_enter(&name) {
            access.put_permission(&name, &call.user.name, crate::engine::Permission::full());
        }
    }
    for item in items(document, "users")? {
        let name = text(item, "name")?;
        vhosts::check_name(&name)?;
        users::put(access, &name, item)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_a_form_is_found() {
        let body = b"--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"d.json\"\r\n\
                     Content-Type: application/json\r\n\r\n{\"a\":1}\r\n--x--\r\n";
        assert_eq!(form_file(body, "x"), Some(&b"{\"a\":1}"[..]));
        assert_eq!(form_file(b"--x\r\nname=\"other\"\r\n\r\n{}\r\n--x--", "x"), None);
    }
}
