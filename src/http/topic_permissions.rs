//! Rights of users on the topics of exchanges.

use hyper::Method;
use serde_json::{Map, Value, json};

use super::{
    answer::{Answer, Refusal},
    call::{Call, need, text},
    listing,
};
use crate::engine::{Right, TopicPermission, TopicRow};

/// A row as listings and definition files have it.
pub fn view(row: &TopicRow) -> Value {
    json!({
        "user": row.user,
        "vhost": row.vhost,
        "exchange": row.exchange,
        "write": row.permission.text(Right::Write),
        "read": row.permission.text(Right::Read),
    })
}

fn rows(call: &Call, chosen: impl Fn(&TopicRow) -> bool) -> Vec<Value> {
    let rows = call.node().access.topic_permissions();
    rows.iter().filter(|row| chosen(row)).map(view).collect()
}

pub fn list(call: &Call) -> Answer {
    listing::plain(rows(call, |_| true), &call.query)
}

pub fn of_vhost(call: &Call, vhost: &str) -> Result<Answer, Refusal> {
    call.vhost(vhost)?;
    Ok(listing::plain(rows(call, |row| row.vhost == vhost), &call.query))
}

pub fn of_user(call: &Call, user: &str) -> Result<Answer, Refusal> {
    call.node().access.user(user).ok_or_else(Refusal::not_found)?;
    Ok(listing::plain(rows(call, |row| row.user == user), &call.query))
}

/// Gives the rights that a body or a definition file says; `Some(true)` when the user had none in the vhost.
pub fn put(
    call: &Call,
    vhost: &str,
    user: &str,
    object: &Map<String, Value>,
) -> Result<Option<bool>, Refusal> {
    need(object, &["exchange", "write", "read"])?;
    let [exchange, write, read] = [text(object, "exchange")?, text(object, "write")?, text(object, "read")?];
    let permission = TopicPermission::new(vhost, user, &write, &read)?;
    let row = TopicRow { vhost: vhost.to_owned(), user: user.to_owned(), exchange, permission };
    Ok(call.node().access.put_topic_permission(row))
}

/// What a user may do in a vhost; with an exchange, a change concerns that only.
pub fn item(call: &Call, vhost: &str, user: &str, exchange: Option<&str>) -> Result<Answer, Refusal> {
    match call.method {
        Method::PUT => {
            let is_new = put(call, vhost, user, &call.object()?)?;
            let is_new = is_new.ok_or_else(|| Refusal::bad_request("vhost_or_user_not_found"))?;
            Ok(Answer::put(is_new))
        }
        Method::DELETE if call.node().access.clear_topic_permissions(vhost, user, exchange) => {
            Ok(Answer::done())
        }
        Method::DELETE => Err(Refusal::not_found()),
        _ => {
            let rows = rows(call, |row| row.vhost == vhost && row.user == user);
            if rows.is_empty() {
                return Err(Refusal::not_found());
            }
            Ok(listing::plain(rows, &call.query))
        }
    }
}
