//! Commands that make no sense here, with the reason. Silence would look like success.

use super::{CTL, Command, DIAGNOSTICS, MANY, command, none};
use crate::ctl::{
    Tool,
    call::Call,
    failure::{Failure, Result, UNAVAILABLE},
    output::Output,
};

macro_rules! refusal {
    ($name:literal, $tools:expr, $why:expr) => {
        command($name, "[<argument> ...]", concat!("Not supported: ", $why), (0, MANY), none, |call| {
            refuse(call, $name, $why)
        })
        .of($tools)
    };
}

fn refuse(_: &Call, name: &str, why: &str) -> Result<Output> {
    Err(Failure::new(UNAVAILABLE, format!("{name} is not supported: {why}")))
}

const QUEUES: &[Tool] = &[Tool::Queues];
const STREAMS: &[Tool] = &[Tool::Streams];

pub const COMMANDS: &[Command] = &[
    refusal!("eval", CTL, "this broker does not run on Erlang"),
    refusal!("eval_file", CTL, "this broker does not run on Erlang"),
    refusal!("exec", CTL, "this broker does not run on Erlang"),
    refusal!("encode", CTL, "configuration files are not read with encrypted values"),
    refusal!("decode", CTL, "configuration files are not read with encrypted values"),
    refusal!("observer", DIAGNOSTICS, "this broker does not run on Erlang"),
    refusal!("remote_shell", DIAGNOSTICS, "this broker does not run on Erlang"),
    refusal!("consume_event_stream", DIAGNOSTICS, "there is no stream of events"),
    refusal!("join_cluster", CTL, "clustering is not part of this version"),
    refusal!("forget_cluster_node", CTL, "clustering is not part of this version"),
    refusal!("change_cluster_node_type", CTL, "clustering is not part of this version"),
    refusal!("rename_cluster_node", CTL, "clustering is not part of this version"),
    refusal!("update_cluster_nodes", CTL, "clustering is not part of this version"),
    refusal!("force_boot", CTL, "clustering is not part of this version"),
    refusal!("sync_queue", CTL, "queues are not mirrored"),
    refusal!("cancel_sync_queue", CTL, "queues are not mirrored"),
    refusal!("add_member", QUEUES, "clustering is not part of this version"),
    refusal!("delete_member", QUEUES, "clustering is not part of this version"),
    refusal!("grow", QUEUES, "clustering is not part of this version"),
    refusal!("shrink", QUEUES, "clustering is not part of this version"),
    refusal!("add_replica", STREAMS, "clustering is not part of this version"),
    refusal!("delete_replica", STREAMS, "clustering is not part of this version"),
    refusal!("set_stream_retention_policy", STREAMS, "set a policy with max-age instead"),
    refusal!("set_log_level", CTL, "set log.level and start the broker again"),
];
