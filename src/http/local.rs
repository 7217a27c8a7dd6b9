//! What only the machine's own tools may do, under `/api/leveret/local`: switches of the running broker.

use serde_json::Value;

use super::{
    answer::{Answer, Refusal},
    call::{Call, text},
};
use crate::{
    amqp::{Failure, ReplyCode},
    engine::ServiceState,
};

/// What clients are told of a node that is taken out of service.
const STOPPED: &str = "broker forced connection closure with reason 'shutdown'";

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Local {
    /// Below how many free octets of the disk publishers wait.
    DiskLimit,
    /// Above how many octets of messages publishers wait.
    MemoryLimit,
    /// An empty broker, of one that is stopped.
    Reset,
    /// Whether clients are let in.
    Service,
}

impl Local {
    /// By its name in a path.
    pub fn named(name: &str) -> Option<Local> {
        Some(match name {
            "disk-limit" => Local::DiskLimit,
            "memory-limit" => Local::MemoryLimit,
            "reset" => Local::Reset,
            "service" => Local::Service,
            _ => return None,
        })
    }
}

pub fn change(call: &Call, local: Local) -> Result<Answer, Refusal> {
    let node = call.node();
    match local {
        Local::MemoryLimit => {
            node.alarms.set_memory_limit(octets(call)?);
            node.wake_connections();
        }
        Local::DiskLimit => match &call.management.settings.set_disk_limit {
            Some(set) => set(octets(call)?),
            None => return Err(Refusal::bad_request("this broker does not use a disk")),
        },
        Local::Service => {
            let state = text(&call.object()?, "state")?;
            let state = ServiceState::named(&state)
                .ok_or_else(|| Refusal::bad_request(format!("'{state}' is not a state of the service")))?;
            node.service.set(state);
            if state == ServiceState::Stopped {
                node.close_connections(&Failure::connection(ReplyCode::ConnectionForced, STOPPED));
            }
        }
        Local::Reset if node.service.state() != ServiceState::Stopped => {
            return Err(Refusal::bad_request("not_stopped"));
        }
        Local::Reset => (call.management.settings.reset)(node),
    }
    let body: String = String::from_utf8_lossy(&call.body).chars().take(80).collect();
    tracing::info!("{local:?} {} by '{}'", body.escape_debug(), call.user.name);
    Ok(Answer::done())
}

fn octets(call: &Call) -> Result<u64, Refusal> {
    let object = call.object()?;
    let absolute = object.get("absolute").and_then(Value::as_u64);
    match (absolute, object.get("relative").and_then(Value::as_f64)) {
        (Some(octets), None) => Ok(octets),
        // A share of the memory, also as a limit of the disk.
        (None, Some(share)) if 0.0 <= share => Ok((call.management.settings.memory as f64 * share) as u64),
        _ => Err(Refusal::bad_request("expected octets as 'absolute' or a share as 'relative'")),
    }
}
