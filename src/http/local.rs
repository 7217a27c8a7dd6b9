//! What only the machine's own tools may do, under `/api/leveret/local`: switches of the running broker.

use serde_json::Value;

use super::{
    answer::{Answer, Refusal},
    call::Call,
};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Local {
    /// Below how many free octets of the disk publishers wait.
    DiskLimit,
    /// Above how many octets of messages publishers wait.
    MemoryLimit,
}

impl Local {
    /// By its name in a path.
    pub fn named(name: &str) -> Option<Local> {
        Some(match name {
            "disk-limit" => Local::DiskLimit,
            "memory-limit" => Local::MemoryLimit,
            _ => return None,
        })
    }
}

pub fn change(call: &Call, local: Local) -> Result<Answer, Refusal> {
    let object = call.object()?;
    let settings = &call.management.settings;
    let octets = match (
        object.get("absolute").and_then(Value::as_u64),
        object.get("relative").and_then(Value::as_f64),
    ) {
        (Some(octets), None) => octets,
        // A share of the memory, also as a limit of the disk.
        (None, Some(share)) if (0.0..=100.0).contains(&share) => (settings.memory as f64 * share) as u64,
        _ => return Err(Refusal::bad_request("expected octets as 'absolute' or a share as 'relative'")),
    };
    match local {
        Local::MemoryLimit => {
            call.node().alarms.set_memory_limit(octets);
            call.node().wake_connections();
        }
        Local::DiskLimit => match &settings.set_disk_limit {
            Some(set) => set(octets),
            None => return Err(Refusal::bad_request("this broker does not use a disk")),
        },
    }
    tracing::info!("{local:?} set to {octets} by '{}'", call.user.name);
    Ok(Answer::done())
}
