//! Limits of vhosts and of users.

use hyper::Method;
use serde_json::{Map, Value, json};

use super::{
    answer::{Answer, Refusal},
    call::{Call, need},
    listing,
    policies::invalid,
};
use crate::{
    broker::policy::{json_term, pairs_term},
    engine::LIMITS,
};

/// The limits that vhosts can have.
pub const OF_VHOSTS: [&str; 2] = ["max-connections", "max-queues"];
/// The limits that users can have.
const OF_USERS: [&str; 2] = ["max-channels", "max-connections"];

/// Checks limits as RabbitMQ does: known ones are integers, then that there are no others. Negative is without
/// limit.
pub fn check(limits: &Map<String, Value>, known: &[&str], kind: &str) -> Result<(), String> {
    for name in known {
        match limits.get(*name) {
            Some(value) if !value.is_i64() && !value.is_u64() => {
                return Err(format!("{name} should be a number, actually was {}", json_term(value)));
            }
            _ => {}
        }
    }
    let mut others = limits.iter().filter(|(name, _)| !known.contains(&name.as_str())).peekable();
    match others.peek() {
        Some(_) => Err(format!("Unrecognised terms {} in {kind}", pairs_term(others))),
        None => Ok(()),
    }
}

/// The limit that a body sets, alone.
fn given(call: &Call, name: &str) -> Result<Map<String, Value>, Refusal> {
    let mut object = call.object()?;
    need(&object, &["value"])?;
    Ok(Map::from_iter([(name.to_owned(), object.remove("value").unwrap_or_default())]))
}

pub fn of_vhosts(call: &Call, vhost: Option<&str>) -> Result<Answer, Refusal> {
    let vhosts = match vhost {
        Some(name) => vec![call.vhost(name)?],
        None => call.visible_vhosts(),
    };
    let limits = vhosts.iter().map(|vhost| (&vhost.name, call.node().access.vhost_limits(&vhost.name)));
    let limits = limits.filter(|(_, limits)| !limits.is_empty());
    let views = limits.map(|(name, limits)| json!({ "vhost": &**name, "value": limits }));
    Ok(listing::plain(views.collect(), &call.query))
}

pub fn of_vhost(call: &Call, vhost: &str, name: &str) -> Result<Answer, Refusal> {
    let vhost = call.vhost(vhost)?;
    let mut limits = call.node().access.vhost_limits(&vhost.name);
    if call.method == Method::DELETE {
        limits.remove(name);
    } else {
        let given = given(call, name)?;
        check(&given, &OF_VHOSTS, LIMITS).map_err(|reason| Refusal::bad_request(invalid(&reason)))?;
        limits.extend(given);
    }
    call.node().set_vhost_limits(&vhost.name, Some(limits).filter(|limits| !limits.is_empty()));
    Ok(Answer::done())
}

pub fn of_users(call: &Call, user: Option<&str>) -> Result<Answer, Refusal> {
    if let Some(name) = user {
        call.node().access.user(name).ok_or_else(Refusal::not_found)?;
    }
    let limits = call.node().access.all_user_limits();
    let chosen = limits.iter().filter(|(name, _)| user.is_none_or(|user| user == name));
    let views = chosen.map(|(name, limits)| json!({ "user": name, "value": limits }));
    Ok(listing::plain(views.collect(), &call.query))
}

pub fn of_user(call: &Call, user: &str, name: &str) -> Result<Answer, Refusal> {
    let access = &call.node().access;
    let mut limits = access.user_limits(user);
    if call.method == Method::DELETE {
        access.user(user).ok_or_else(Refusal::not_found)?;
        limits.remove(name);
    } else {
        let given = given(call, name)?;
        check(&given, &OF_USERS, "user-limits").map_err(Refusal::bad_request)?;
        limits.extend(given);
    }
    put_of_user(call, user, limits)?;
    Ok(Answer::done())
}

/// Sets all limits of a user.
fn put_of_user(call: &Call, user: &str, limits: Map<String, Value>) -> Result<(), Refusal> {
    match call.node().set_user_limits(user, limits) {
        true => Ok(()),
        false => Err(Refusal::bad_request(format!("no_such_user: {user}"))),
    }
}

/// The limits that a definition file gives a user.
pub fn import_of_user(call: &Call, user: &str, limits: Option<&Value>) -> Result<(), Refusal> {
    let Some(Value::Object(limits)) = limits else { return Ok(()) };
    check(limits, &OF_USERS, "user-limits").map_err(Refusal::bad_request)?;
    put_of_user(call, user, limits.clone())
}

/// The limits that a definition file gives a vhost with itself, as RabbitMQ 4 writes them beside the parameters.
pub fn import_of_vhost(call: &Call, vhost: &str, limits: Option<&Value>) -> Result<(), Refusal> {
    let Some(Value::Object(limits)) = limits else { return Ok(()) };
    check(limits, &OF_VHOSTS, LIMITS).map_err(|reason| Refusal::bad_request(invalid(&reason)))?;
    call.node().set_vhost_limits(vhost, Some(limits.clone()).filter(|limits| !limits.is_empty()));
    Ok(())
}
