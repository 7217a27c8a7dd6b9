//! Policies and operator policies.

use std::sync::Arc;

use hyper::Method;
use serde_json::{Map, Value, json};

use super::{
    answer::{Answer, Refusal},
    call::{Call, need},
    listing,
};
use crate::{
    broker::policy::{Owner, Policy},
    engine::Vhost,
};

/// A policy as listings and definition files have it.
pub fn view(vhost: &str, policy: &Policy) -> Value {
    json!({
        "vhost": vhost,
        "name": policy.name,
        "pattern": policy.pattern,
        "apply-to": policy.apply_to.name(),
        "definition": policy.definition,
        "priority": policy.priority,
    })
}

/// What RabbitMQ says in front of what is wrong with a parameter.
pub fn invalid(reason: &str) -> String {
    format!("Validation failed\n\n{reason}\n")
}

/// Policies are shown on pages: RabbitMQ escapes what it says about them, but not about those of operators.
fn escaped(owner: Owner, text: String) -> String {
    match owner {
        Owner::User => text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"),
        Owner::Operator => text,
    }
}

/// Checks a policy of a body or a definition file.
pub fn parse(owner: Owner, name: &str, value: &Map<String, Value>) -> Result<Policy, String> {
    Policy::parse(name, owner, value).map_err(|reason| escaped(owner, invalid(&reason)))
}

/// Makes everything in a vhost go by its policies. It goes on when nobody waits for it any more, on a thread of its
/// own: a worker of the runtime that walks looks after no sockets meanwhile.
pub async fn sweep(call: &Call, vhost: &Arc<Vhost>) {
    let (management, vhost) = (call.management.clone(), vhost.clone());
    let walk = tokio::task::spawn_blocking(move || {
        let mut sweep = management.node.sweep_policies(&vhost);
        while sweep.step(&management.node, management.now()) {}
    });
    if let Err(error) = walk.await {
        tracing::error!("policies were not applied everywhere: {error}");
    }
}

pub fn list(call: &Call, owner: Owner, vhost: Option<&str>) -> Result<Answer, Refusal> {
    if let Some(name) = vhost {
        call.vhost(name)?;
    }
    let mut policies = call.node().access.policies(owner);
    policies.retain(|(of, _)| match vhost {
        Some(only) => of == only,
        None => call.user.is_monitor() || call.may_enter(of),
    });
    Ok(listing::plain(policies.iter().map(|(vhost, policy)| view(vhost, policy)).collect(), &call.query))
}

pub async fn item(call: &Call, owner: Owner, vhost: &str, name: &str) -> Result<Answer, Refusal> {
    let vhost = call.vhost(vhost)?;
    match call.method {
        Method::PUT => {
            let object = call.object()?;
            need(&object, &["pattern", "definition"])?;
            let policy = parse(owner, name, &object).map_err(Refusal::bad_request)?;
            let is_new = call.node().put_policy(&vhost, owner, policy);
            let is_new = is_new.ok_or_else(|| Refusal::missing("vhost_not_found"))?;
            sweep(call, &vhost).await;
            tracing::info!("policy '{}' set by user '{}'", name.escape_debug(), call.user.name);
            Ok(Answer::put(is_new))
        }
        Method::DELETE => {
            if !call.node().clear_policy(&vhost, owner, name) {
                return Err(Refusal::not_found());
            }
            sweep(call, &vhost).await;
            tracing::info!("policy '{}' cleared by user '{}'", name.escape_debug(), call.user.name);
            Ok(Answer::done())
        }
        _ => {
            let policies = call.node().access.policies(owner);
            let found = policies.iter().find(|(of, policy)| *of == *vhost.name && policy.name == name);
            let (_, policy) = found.ok_or_else(Refusal::not_found)?;
            Ok(listing::single(view(&vhost.name, policy), &call.query))
        }
    }
}
