//! Exchanges.

use hyper::Method;
use serde_json::{Value, json};

use super::{
    answer::{Answer, Refusal},
    call::{Call, exchange_name, flag, text},
    json::{of_table, to_table},
    listing::{self, Listing},
};
use crate::{
    amqp::{AMQPValue, FieldTable},
    broker::topology::{ExchangeDeclare, TopologyError},
    engine::{ExchangeSummary, Resource, Right, Vhost},
};

type Item = (std::sync::Arc<Vhost>, ExchangeSummary);

fn view((vhost, exchange): &Item) -> Value {
    let applied = vhost.rules.policies().for_exchange(&exchange.name);
    let policy = applied.and_then(|applied| applied.policy.as_ref().map(|policy| policy.name.clone()));
    json!({
        "name": exchange.name,
        "vhost": &*vhost.name,
        "type": exchange.kind,
        "durable": exchange.durable,
        "auto_delete": exchange.auto_delete,
        "internal": exchange.internal,
        "arguments": of_table(&exchange.arguments),
        "policy": policy,
    })
}

pub fn list(call: &Call, vhost: Option<&str>) -> Result<Answer, Refusal> {
    let vhosts = match vhost {
        Some(name) => vec![call.vhost(name)?],
        None => call.visible_vhosts(),
    };
    let of = |vhost: &std::sync::Arc<Vhost>| {
        let exchanges = vhost.exchanges();
        let vhost = vhost.clone();
        exchanges.into_iter().map(move |exchange| (vhost.clone(), exchange))
    };
    let listing = Listing::new(
        vhosts.iter().flat_map(of).collect(),
        |(vhost, exchange): &Item| (&*vhost.name, exchange.name.as_str()),
        view,
    );
    listing.answer(&call.query)
}

pub fn item(call: &Call, vhost: &str, name: &str) -> Result<Answer, Refusal> {
    let vhost = call.vhost(vhost)?;
    let name = exchange_name(name);
    match call.method {
        Method::PUT => {
            let object = call.object()?;
            let kind = text(&object, "type")?;
            let declare = ExchangeDeclare {
                kind: if kind.is_empty() { "direct" } else { &kind },
                durable: flag(&object, "durable")?,
                auto_delete: flag(&object, "auto_delete")?,
                internal: flag(&object, "internal")?,
                arguments: to_table(object.get("arguments"))?,
            };
            declare_exchange(call, &vhost, name, declare).map(Answer::put)
        }
        Method::DELETE => {
            call.demand(&vhost, Right::Configure, Resource::Exchange(name))?;
            if !name.is_empty() && vhost.exchange(name).is_none() {
                return Err(Refusal::not_found());
            }
            vhost.delete_exchange(name, call.query.is_true("if-unused"))?;
            Ok(Answer::done())
        }
        _ => {
            let exchange = vhost.exchange(name).ok_or_else(Refusal::not_found)?;
            let mut view = view(&(vhost.clone(), exchange));
            if let Value::Object(fields) = &mut view {
                fields.insert("incoming".to_owned(), json!([]));
                fields.insert("outgoing".to_owned(), json!([]));
            }
            Ok(listing::single(view, &call.query))
        }
    }
}

/// Declares for the user; true when it is new.
pub fn declare_exchange(
    call: &Call,
    vhost: &Vhost,
    name: &str,
    declare: ExchangeDeclare<'_>,
) -> Result<bool, Refusal> {
    super::vhosts::check_name(name).or_else(|refusal| if name.is_empty() { Ok(()) } else { Err(refusal) })?;
    call.demand(vhost, Right::Configure, Resource::Exchange(name))?;
    if let Some(alternate) = named(&declare.arguments, "alternate-exchange") {
        call.demand(vhost, Right::Read, Resource::Exchange(name))?;
        call.demand(vhost, Right::Write, Resource::Exchange(&alternate))?;
    }
    let is_new = vhost.exchange(name).is_none();
    // The words of HTTP for what AMQP closes the channel for.
    vhost.declare_exchange(name, declare).map_err(|error| match error {
        TopologyError::UnknownType { kind } => {
            Refusal::bad_request(format!("invalid exchange type '{kind}'"))
        }
        other => other.into(),
    })?;
    Ok(is_new)
}

/// The exchange that an argument names.
pub fn named(arguments: &FieldTable, argument: &str) -> Option<String> {
    match arguments.inner().get(argument) {
        Some(AMQPValue::LongString(name)) => Some(String::from_utf8_lossy(name.as_bytes()).into_owned()),
        _ => None,
    }
}
