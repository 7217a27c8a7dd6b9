//! Definition files: everything that is defined, as one JSON document.

use hyper::Method;
use serde_json::{Map, Value, json};

use super::{
    answer::{Answer, Refusal},
    call::Call,
    etag,
    import::import,
    json::of_table,
    parameters, permissions, policies, topic_permissions, users,
};
use crate::{
    broker::policy::Owner,
    engine::{BindingSummary, BindingsOf, ExchangeSummary, QueueRef, Vhost},
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
    let answer = etag::tagged(Answer::json(&export(call, vhost.as_deref())));
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
                if access.is_protected(&name) {
                    extend(&mut metadata, json!({ "protected_from_deletion": true }));
                }
                if let Some(queue_type) = access.default_queue_type(&name) {
                    extend(&mut metadata, json!({ "default_queue_type": queue_type.name() }));
                }
                let limits = access.vhost_limits(&name);
                Some(json!({ "name": name, "description": description, "tags": tags, "metadata": metadata, "limits": limits }))
            });
            let mut part = json!({
                "rabbitmq_definition_format": "cluster",
                "original_cluster_name": call.management.cluster_name(),
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
