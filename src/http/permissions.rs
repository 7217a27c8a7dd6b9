//! Rights of users in vhosts.

use hyper::Method;
use serde_json::{Map, Value, json};

use super::{
    answer::{Answer, Refusal},
    call::{Call, need, text},
    listing,
};
use crate::engine::{Permission, PermissionRow, Right};

/// A row as listings and definition files have it.
pub fn view(row: &PermissionRow) -> Value {
    json!({
        "user": row.user,
        "vhost": row.vhost,
        "configure": row.permission.text(Right::Configure),
        "write": row.permission.text(Right::Write),
        "read": row.permission.text(Right::Read),
    })
}

fn rows(call: &Call, chosen: impl Fn(&PermissionRow) -> bool) -> Answer {
    let rows = call.node().access.permissions();
    listing::plain(rows.iter().filter(|row| chosen(row)).map(view).collect(), &call.query)
}

pub fn list(call: &Call) -> Answer {
    rows(call, |_| true)
}

pub fn of_vhost(call: &Call, vhost: &str) -> Result<Answer, Refusal> {
    call.vhost(vhost)?;
    Ok(rows(call, |row| row.vhost == vhost))
}

pub fn of_user(call: &Call, user: &str) -> Result<Answer, Refusal> {
    call.node().access.user(user).ok_or_else(Refusal::not_found)?;
    Ok(rows(call, |row| row.user == user))
}

/// The rights that a body or a definition file gives.
pub fn permission(object: &Map<String, Value>) -> Result<Permission, Refusal> {
    need(object, &["configure", "write", "read"])?;
    let [configure, write, read] =
        [text(object, "configure")?, text(object, "write")?, text(object, "read")?];
    Ok(Permission::new(&configure, &write, &read)?)
}

pub fn item(call: &Call, vhost: &str, user: &str) -> Result<Answer, Refusal> {
    let access = &call.node().access;
    match call.method {
        Method::PUT => {
            let permission = permission(&call.object()?)?;
            let is_new = access.put_permission(vhost, user, permission);
            let is_new = is_new.ok_or_else(|| Refusal::bad_request("vhost_or_user_not_found"))?;
            Ok(Answer::put(is_new))
        }
        Method::DELETE if access.clear_permission(vhost, user) => Ok(Answer::done()),
        Method::DELETE => Err(Refusal::not_found()),
        _ => {
            let permission = access.permission(vhost, user).ok_or_else(Refusal::not_found)?;
            let row = PermissionRow { vhost: vhost.to_owned(), user: user.to_owned(), permission };
            Ok(listing::single(view(&row), &call.query))
        }
    }
}
