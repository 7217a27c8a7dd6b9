//! Logins: how many were tried, how many failed, from where.

use hyper::Method;
use serde_json::{Value, json};

use super::{
    answer::{Answer, Refusal},
    call::Call,
    listing,
};
use crate::engine::AttemptCounts;

/// Answers for this node; a DELETE counts from 0 again.
pub fn of_node(call: &Call, node: &str, by_source: bool) -> Result<Answer, Refusal> {
    if node != call.management.name {
        return Err(Refusal::not_found());
    }
    let attempts = &call.node().attempts;
    if call.method == Method::DELETE {
        if by_source {
            attempts.reset_sources()
        } else {
            attempts.reset()
        }
        return Ok(Answer::done());
    }
    let rows = if by_source {
        let row = |row: &crate::engine::AttemptsOfSource| {
            let source = json!({ "remote_address": row.address, "username": row.user });
            with_counts(source, row.protocol.name(), row.counts)
        };
        attempts.by_source().iter().map(row).collect()
    } else {
        let row = |(protocol, counts): &(crate::engine::LoginProtocol, AttemptCounts)| {
            with_counts(json!({}), protocol.name(), *counts)
        };
        attempts.totals().iter().map(row).collect()
    };
    Ok(listing::plain(rows, &call.query))
}

fn with_counts(mut view: Value, protocol: &str, counts: AttemptCounts) -> Value {
    let AttemptCounts { attempts, failures } = counts;
    view["protocol"] = json!(protocol);
    view["auth_attempts"] = json!(attempts);
    view["auth_attempts_failed"] = json!(failures);
    view["auth_attempts_succeeded"] = json!(attempts.saturating_sub(failures));
    view
}
