//! The limits of memory and disk above and below which publishers wait, of the running broker.

use serde_json::{Value, json};

use super::{Command, command};
use crate::ctl::{
    call::Call,
    failure::{DATA, Failure, Result},
    output::Output,
};

const NO_FRACTION: &str = "Bad argument: The threshold should be a fraction between 0.0 and 1.0";

pub const COMMANDS: &[Command] = &[
    command(
        "set_disk_free_limit",
        "<size> | mem_relative <factor>",
        "Makes publishers wait while less than this is free on the disk, until the broker is stopped",
        (1, 2),
        |call| match call.arg(0) {
            "mem_relative" => {
                format!("Setting disk free limit on {} to {} times the total RAM ...", call.node, call.arg(1))
            }
            size => format!("Setting disk free limit on {} to {size} bytes ...", call.node),
        },
        |call| {
            let limit = match (call.arg(0), call.args.len()) {
                ("mem_relative", 2) => json!({ "relative": fraction(call.arg(1), f64::MAX)? }),
                ("mem_relative", _) => return Err(Failure::argument("not enough arguments.")),
                (size, 1) => json!({ "absolute": octets(size)? }),
                _ => return Err(Failure::argument("too many arguments.")),
            };
            set(call, "disk-limit", &limit)
        },
    ),
    command(
        "set_vm_memory_high_watermark",
        "<fraction> | absolute <size>",
        "Makes publishers wait while messages take more memory than this, until the broker is stopped",
        (1, 2),
        |call| match call.arg(0) {
            "absolute" => format!("Setting memory threshold on {} to {} bytes ...", call.node, call.arg(1)),
            fraction => format!("Setting memory threshold on {} to {fraction} ...", call.node),
        },
        |call| {
            let limit = match (call.arg(0), call.args.len()) {
                ("absolute", 2) => json!({ "absolute": octets(call.arg(1))? }),
                ("absolute", _) => return Err(Failure::argument("not enough arguments.")),
                (share, 1) => json!({ "relative": fraction(share, 1.0)? }),
                _ => return Err(Failure::argument("too many arguments.")),
            };
            set(call, "memory-limit", &limit)
        },
    ),
];

fn set(call: &mut Call, what: &str, limit: &Value) -> Result<Output> {
    call.put(&format!("leveret/local/{what}"), limit)?;
    Ok(Output::Nothing)
}

fn fraction(text: &str, most: f64) -> Result<f64> {
    match text.parse::<f64>() {
        Ok(fraction) if (0.0..=most).contains(&fraction) => Ok(fraction),
        _ => Err(Failure { code: DATA, ..Failure::argument(NO_FRACTION) }),
    }
}

/// A number of octets, with one of RabbitMQ's units: `100MB`, `2GiB`, `500k`.
fn octets(text: &str) -> Result<u64> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: Option<u64> = match unit {
        "" => Some(1),
        "k" | "kiB" | "K" | "KiB" => Some(1 << 10),
        "M" | "MiB" => Some(1 << 20),
        "G" | "GiB" => Some(1 << 30),
        "kB" | "KB" => Some(1_000),
        "MB" => Some(1_000_000),
        "GB" => Some(1_000_000_000),
        _ => None,
    };
    let Some(factor) = factor else {
        return Err(Failure { code: DATA, ..Failure::argument("Bad argument: Invalid units.") });
    };
    let octets = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
    octets.ok_or_else(|| Failure {
        code: DATA,
        ..Failure::argument("Bad argument: The threshold should be an integer.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_rabbitmqs_units() {
        for (text, expected) in [("5", 5), ("2k", 2_048), ("1MB", 1_000_000), ("3GiB", 3 << 30)] {
            assert_eq!(octets(text).ok(), Some(expected), "{text}");
        }
        for wrong in ["", "x", "5PB", "99999999999999999999", "9999999999999999999G"] {
            assert!(octets(wrong).is_err(), "{wrong}");
        }
    }
}
