//! Users.

use base64::prelude::{BASE64_STANDARD, Engine};
use hyper::Method;
use serde_json::{Map, Value, json};

use super::{
    answer::{Answer, Refusal},
    call::{Call, words},
    listing, passwords,
    vhosts::check_name,
};
use crate::engine::{Access, Hashing, PasswordHash, User};

/// A user as listings and definition files have it.
pub fn view(access: &Access, user: &User) -> Value {
    json!({
        "name": &*user.name,
        "password_hash": BASE64_STANDARD.encode(&user.hash.octets),
        "hashing_algorithm": user.hash.hashing.name(),
        "tags": user.tags,
        "limits": access.user_limits(&user.name),
    })
}

pub fn list(call: &Call) -> Result<Answer, Refusal> {
    let listing = listing::Listing::new(
        call.node().access.users(),
        |user: &std::sync::Arc<User>| ("", &*user.name),
        |user: &std::sync::Arc<User>| view(&call.node().access, user),
    );
    listing.answer(&call.query)
}

pub fn without_permissions(call: &Call) -> Result<Answer, Refusal> {
    let access = &call.node().access;
    let rows = access.permissions();
    let mut users = access.users();
    users.retain(|user| !rows.iter().any(|row| *row.user == *user.name));
    Ok(listing::plain(users.iter().map(|user| view(access, user)).collect(), &call.query))
}

pub fn bulk_delete(call: &Call) -> Result<Answer, Refusal> {
    let object = call.object()?;
    super::call::need(&object, &["users"])?;
    for name in words(object.get("users")) {
        call.node().delete_user(&name);
    }
    Ok(Answer::done())
}

pub async fn item(call: &Call, name: &str) -> Result<Answer, Refusal> {
    match call.method {
        Method::PUT => {
            check_name(name)?;
            let is_new = put(&call.node().access, name, &call.object()?).await?;
            let verb = if is_new { "created" } else { "changed" };
            tracing::info!("user '{}' {verb} by user '{}'", name.escape_debug(), call.user.name);
            Ok(Answer::put(is_new))
        }
        Method::DELETE => {
            if !call.node().delete_user(name) {
                return Err(Refusal::not_found());
            }
            tracing::info!("user '{}' deleted by user '{}'", name.escape_debug(), call.user.name);
            Ok(Answer::done())
        }
        _ => {
            let user = call.node().access.user(name).ok_or_else(Refusal::not_found)?;
            Ok(listing::single(view(&call.node().access, &user), &call.query))
        }
    }
}

/// The hash that a user with this password would have.
pub async fn hash_password(call: &Call, password: &str) -> Answer {
    let hash = passwords::hash(&call.node().access, password.as_bytes()).await;
    Answer::json(&json!({ "ok": BASE64_STANDARD.encode(&hash.octets) }))
}

/// Adds or changes a user as a body or a definition file says; true when it is new.
pub async fn put(access: &Access, name: &str, object: &Map<String, Value>) -> Result<bool, Refusal> {
    let tags = match (object.get("tags"), object.get("administrator")) {
        (Some(tags), _) => words(Some(tags)),
        // As very old clients had it.
        (None, Some(Value::Bool(true))) => vec!["administrator".to_owned()],
        (None, _) => return Err(Refusal::bad_request("tags_not_present")),
    };
    let hash = hash(access, object).await?;
    Ok(access.put_user(name, hash, tags))
}

async fn hash(access: &Access, object: &Map<String, Value>) -> Result<PasswordHash, Refusal> {
    let given = |key: &str| object.get(key).filter(|value| !value.is_null());
    match (given("password"), given("password_hash")) {
        (Some(_), Some(_)) => Err(Refusal::bad_request("both_password_and_password_hash_are_provided")),
        (Some(Value::String(password)), None) if !password.is_empty() => {
            Ok(passwords::hash(access, password.as_bytes()).await)
        }
        (None, Some(Value::String(text))) if !text.is_empty() => imported(text, given("hashing_algorithm")),
        (None | Some(Value::String(_)), None | Some(Value::String(_))) => Ok(PasswordHash::nobody()),
        _ => Err(Refusal::bad_request("password and password_hash are strings")),
    }
}

fn imported(text: &str, algorithm: Option<&Value>) -> Result<PasswordHash, Refusal> {
    let hashing = match algorithm.map(|name| name.as_str().unwrap_or_default()) {
        None => Hashing::default(),
        Some(name) => Hashing::of_name(name)
            .ok_or_else(|| Refusal::bad_request(format!("hashing algorithm '{name}' is not supported")))?,
    };
    let octets = BASE64_STANDARD
        .decode(text)
        .map_err(|_| Refusal::bad_request(format!("password_hash is not base 64: {text}")))?;
    let hash = PasswordHash { hashing, octets };
    if !hash.is_usable() {
        return Err(Refusal::bad_request("password_hash is none of Argon2id, or costs too much"));
    }
    Ok(hash)
}
