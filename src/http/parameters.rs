//! Runtime parameters of vhosts and of the node.

use hyper::Method;
use serde_json::{Map, Value, json};

use super::{
    answer::{Answer, Refusal},
    call::{Call, need},
    limits, listing, policies,
};
use crate::{
    broker::policy::Owner,
    engine::{LIMITS, Parameter, VHOST_LIMITS},
};

/// Octets of a value; more is no setting.
const VALUE_MAX: usize = 1 << 20;

/// Names a parameter of a vhost in a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterPath {
    pub component: String,
    pub vhost: String,
    pub name: String,
}

/// A parameter as listings and definition files have it.
pub fn view(parameter: &Parameter) -> Value {
    let Parameter { vhost, component, name, value } = parameter;
    json!({ "vhost": vhost, "component": component, "name": name, "value": value })
}

fn global_view((name, value): &(String, Value)) -> Value {
    json!({ "name": name, "value": value })
}

/// Those of a component; policies are only among them when they are asked for.
fn of_component(call: &Call, component: Option<&str>) -> Vec<Parameter> {
    let access = &call.node().access;
    if component == Some(Owner::User.component()) {
        let policy = |(vhost, policy): (String, std::sync::Arc<crate::broker::policy::Policy>)| Parameter {
            vhost,
            component: Owner::User.component().to_owned(),
            name: policy.name.clone(),
            value: policy.value(),
        };
        return access.policies(Owner::User).into_iter().map(policy).collect();
    }
    let mut parameters = access.parameters();
    parameters.retain(|parameter| component.is_none_or(|component| component == parameter.component));
    parameters
}

pub fn list(call: &Call, component: Option<&str>, vhost: Option<&str>) -> Result<Answer, Refusal> {
    if let Some(name) = vhost {
        call.vhost(name)?;
    }
    let mut parameters = of_component(call, component);
    parameters.retain(|parameter| match vhost {
        Some(only) => parameter.vhost == only,
        None => call.user.is_administrator() || call.may_enter(&parameter.vhost),
    });
    Ok(listing::plain(parameters.iter().map(view).collect(), &call.query))
}

pub async fn item(call: &Call, path: &ParameterPath) -> Result<Answer, Refusal> {
    let vhost = call.vhost(&path.vhost)?;
    let ParameterPath { component, name, .. } = path;
    match call.method {
        Method::PUT => {
            let object = call.object()?;
            need(&object, &["value"])?;
            if component == Owner::User.component() {
                return Err(Refusal::bad_request("policies may not be set using this method"));
            }
            let value = object.get("value").unwrap_or(&Value::Null);
            put(call, path, value).await.map(Answer::put).map_err(Refusal::bad_request)
        }
        Method::DELETE => {
            let existed = match Owner::of_component(component) {
                Some(owner) => {
                    let existed = call.node().clear_policy(&vhost, owner, name);
                    policies::sweep(call, &vhost).await;
                    existed
                }
                None => {
                    let known = component == VHOST_LIMITS && name == LIMITS;
                    let existed = known && !call.node().access.vhost_limits(&vhost.name).is_empty();
                    existed && call.node().set_vhost_limits(&vhost.name, None)
                }
            };
            if existed { Ok(Answer::done()) } else { Err(Refusal::not_found()) }
        }
        _ => {
            let parameters = of_component(call, Some(component));
            let is_meant = |parameter: &&Parameter| parameter.vhost == *vhost.name && parameter.name == *name;
            let parameter = parameters.iter().find(is_meant).ok_or_else(Refusal::not_found)?;
            Ok(listing::single(view(parameter), &call.query))
        }
    }
}

/// Sets a parameter of a body or a definition file; true when it is new.
pub async fn put(call: &Call, path: &ParameterPath, value: &Value) -> Result<bool, String> {
    let ParameterPath { component, vhost, name } = path;
    let found = call.node().vhost(vhost).ok_or_else(|| format!("no_such_vhost: {vhost}"))?;
    let nothing = Map::new();
    let object = value.as_object().unwrap_or(&nothing);
    if let Some(owner) = Owner::of_component(component) {
        let policy = policies::parse(owner, name, object)?;
        let is_new = call.node().put_policy(&found, owner, policy);
        let is_new = is_new.ok_or_else(|| format!("no_such_vhost: {vhost}"))?;
        policies::sweep(call, &found).await;
        return Ok(is_new);
    }
    if component != VHOST_LIMITS || name != LIMITS {
        return Err(policies::invalid(&format!("component {component} not found")));
    }
    limits::check(object, &limits::OF_VHOSTS, LIMITS).map_err(|reason| policies::invalid(&reason))?;
    let is_new = call.node().access.vhost_limits(vhost).is_empty();
    call.node().set_vhost_limits(vhost, Some(object.clone()));
    Ok(is_new)
}

pub fn global_list(call: &Call) -> Answer {
    let parameters = call.node().access.global_parameters();
    listing::plain(parameters.iter().map(global_view).collect(), &call.query)
}

/// All parameters of the node, for definition files.
pub fn global_views(call: &Call) -> Value {
    call.node().access.global_parameters().iter().map(global_view).collect()
}

pub fn global_item(call: &Call, name: &str) -> Result<Answer, Refusal> {
    let access = &call.node().access;
    match call.method {
        Method::PUT => {
            let object = call.object()?;
            need(&object, &["value"])?;
            put_global(call, name, object.get("value")).map(Answer::put)
        }
        Method::DELETE if access.clear_global_parameter(name) => Ok(Answer::done()),
        Method::DELETE => Err(Refusal::not_found()),
        _ => {
            let parameters = access.global_parameters();
            let found = parameters.iter().find(|(known, _)| known == name).ok_or_else(Refusal::not_found)?;
            Ok(listing::single(global_view(found), &call.query))
        }
    }
}

/// Sets a parameter of the node; true when it is new.
pub fn put_global(call: &Call, name: &str, value: Option<&Value>) -> Result<bool, Refusal> {
    super::vhosts::check_name(name)?;
    let value = value.unwrap_or(&Value::Null);
    if VALUE_MAX < value.to_string().len() {
        return Err(Refusal::bad_request("a parameter has at most 1 MiB"));
    }
    Ok(call.node().access.put_global_parameter(name, value.clone()))
}
