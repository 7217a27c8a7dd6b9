//! Exchanges.

use hyper::Method;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use serde_json::{Map, Value, json};

use super::{
    answer::{Answer, Refusal},
    call::{Call, exchange_name, flag, text},
    json::{of_table, to_table},
    listing::{self, Listing},
    stats::{Chart, Rates},
};
use crate::{
    amqp::{AMQPValue, FieldTable},
    broker::topology::{ExchangeDeclare, TopologyError},
    engine::{ExchangeSummary, Resource, Right, Vhost},
};

type Item = (Arc<str>, ExchangeSummary);

/// Names of what is counted of exchanges.
const COUNTED: [(&str, usize); 2] = [("publish_in", 0), ("publish_out", 1)];

/// `figures` is what went in and out.
fn view(call: &Call, rates: &Rates, (vhost, exchange): &Item, figures: [u64; 2]) -> Value {
    let found = call.node().vhost(vhost);
    let applied = found.as_ref().and_then(|vhost| vhost.rules.policies().for_exchange(&exchange.name));
    let policy = applied.and_then(|applied| applied.policy.as_ref().map(|policy| policy.name.clone()));
    let mut view = json!({
        "name": exchange.name,
        "vhost": &**vhost,
        "type": exchange.kind,
        "durable": exchange.durable,
        "auto_delete": exchange.auto_delete,
        "internal": exchange.internal,
        "arguments": of_table(&exchange.arguments),
        "policy": policy,
    });
    if let (Some(delayed), Value::Object(fields)) = (exchange.messages_delayed, &mut view) {
        fields.insert("messages_delayed".to_owned(), delayed.into());
    }
    if let (Value::Object(fields), Some(vhost)) = (&mut view, found)
        && figures != [0, 0]
    {
        let history = call.node().exchange_history(&vhost, &exchange.name);
        let mut stats = Map::new();
        for (name, at) in COUNTED {
            let sum = |figures: &[u64; 2]| figures.get(at).copied().unwrap_or(0);
            rates.put(&mut stats, Chart::Messages, (&history, &figures), name, sum);
        }
        fields.insert("message_stats".to_owned(), Value::Object(stats));
    }
    view
}

/// What went in and out of exchanges, by vhost and name.
type ByVhost = HashMap<Arc<str>, HashMap<Arc<str>, [u64; 2], RandomState>, RandomState>;

fn of_exchange(figures: &ByVhost, vhost: &str, name: &str) -> [u64; 2] {
    figures.get(vhost).and_then(|of| of.get(name)).copied().unwrap_or_default()
}

pub fn list(call: &Call, vhost: Option<&str>) -> Result<Answer, Refusal> {
    let vhosts = match vhost {
        Some(name) => vec![call.vhost(name)?],
        None => call.visible_vhosts(),
    };
    let of = |vhost: &Arc<Vhost>| {
        let name = vhost.name.clone();
        vhost.exchanges().into_iter().map(move |exchange| (name.clone(), exchange))
    };
    let rates = Rates::of(call)?;
    let figures: ByVhost =
        vhosts.iter().map(|vhost| (vhost.name.clone(), call.node().exchange_figures(vhost))).collect();
    let listing = Listing::new(
        vhosts.iter().flat_map(of).collect(),
        |(vhost, exchange): &Item| (&**vhost, exchange.name.as_str()),
        |item: &Item| view(call, &rates, item, of_exchange(&figures, &item.0, &item.1.name)),
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
            let figures = call.node().exchange_figures(&vhost).get(name).copied().unwrap_or_default();
            let mut view = view(call, &Rates::of(call)?, &(vhost.name.clone(), exchange), figures);
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
