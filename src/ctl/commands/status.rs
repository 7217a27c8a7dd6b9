//! What a node says of itself: `status`, `cluster_status`, `environment`, `report`, `memory_breakdown`.

use serde_json::{Map, Value, json};

use super::{CTL_AND_DIAGNOSTICS, Command, DIAGNOSTICS, all, command};
use crate::ctl::{
    Tool,
    call::Call,
    failure::{Failure, Result},
    output::{Format, Output, render},
    words::valued,
};

pub const COMMANDS: &[Command] = &[
    command(
        "cluster_status",
        "",
        "Shows the nodes of the cluster, of which there is one",
        (0, 0),
        |call| format!("Cluster status of node {} ...", call.node),
        cluster,
    )
    .of(CTL_AND_DIAGNOSTICS),
    command(
        "environment",
        "",
        "Shows settings of the running broker",
        (0, 0),
        |call| format!("Application environment of node {} ...", call.node),
        environment,
    )
    .of(CTL_AND_DIAGNOSTICS),
    command(
        "memory_breakdown",
        "[--unit <bytes | mb | gb>]",
        "Shows what memory is used for",
        (0, 0),
        |call| format!("Reporting memory breakdown on node {}...", call.node),
        memory,
    )
    .of(DIAGNOSTICS)
    .with(&[valued("unit")]),
    command(
        "report",
        "",
        "Prints everything that those who help will ask for",
        (0, 0),
        |call| format!("Reporting server status of node {} ...", call.node),
        report,
    ),
    command(
        "status",
        "[--unit <bytes | mb | gb>]",
        "Shows version, memory, disk, totals and listeners of the node",
        (0, 0),
        |call| format!("Status of node {} ...", call.node),
        status,
    )
    .of(CTL_AND_DIAGNOSTICS)
    .with(&[valued("unit")]),
];

/// Node and overview, from which most of this is taken.
struct Facts {
    node: Value,
    overview: Value,
}

impl Facts {
    fn ask(call: &mut Call) -> Result<Facts> {
        let nodes = call.get_json("nodes")?;
        let overview = call.get_json("overview")?;
        Ok(Facts { node: nodes.pointer("/0").cloned().unwrap_or_default(), overview })
    }

    fn number(&self, key: &str) -> u64 {
        self.node[key].as_u64().unwrap_or(0)
    }

    fn total(&self, key: &str) -> u64 {
        self.overview["object_totals"][key].as_u64().unwrap_or(0)
    }

    fn name(&self) -> &str {
        self.node["name"].as_str().unwrap_or_default()
    }

    /// The alarms in effect, by the resource.
    fn alarms(&self) -> Vec<&'static str> {
        [("mem_alarm", "memory"), ("disk_free_alarm", "disk")]
            .iter()
            .filter(|(key, _)| self.node[*key] == true)
            .map(|(_, resource)| *resource)
            .collect()
    }

    fn listeners(&self) -> Vec<Value> {
        listeners(&self.overview)
    }
}

/// The listeners of an overview in the words of these tools.
pub fn listeners(overview: &Value) -> Vec<Value> {
    let found = overview["listeners"].as_array().into_iter().flatten();
    found
        .map(|listener| {
            json!({
                "node": listener["node"],
                "interface": interface(listener),
                "port": listener["port"],
                "protocol": listener["protocol"],
                "purpose": purpose(listener["protocol"].as_str().unwrap_or_default()),
            })
        })
        .collect()
}

fn interface(listener: &Value) -> String {
    let address = listener["ip_address"].as_str().unwrap_or_default();
    if address.contains(':') { format!("[{address}]") } else { address.to_owned() }
}

fn purpose(protocol: &str) -> &'static str {
    match protocol {
        "amqp" => "AMQP 0-9-1",
        "amqp/ssl" => "AMQP 0-9-1 over TLS",
        "http" => "HTTP API",
        "https" => "HTTP API over TLS (HTTPS)",
        "http/prometheus" => "Prometheus exporter API over HTTP",
        "https/prometheus" => "Prometheus exporter API over TLS (HTTPS)",
        _ => "other",
    }
}

/// The lines that tell of listeners.
pub fn listener_lines(listeners: &[Value], with_node: bool) -> String {
    let line = |listener: &Value| {
        let text = |key: &str| listener[key].as_str().unwrap_or_default().to_owned();
        let node = if with_node { format!("Node: {}, i", text("node")) } else { "I".to_owned() };
        format!(
            "{node}nterface: {}, port: {}, protocol: {}, purpose: {}",
            text("interface"),
            listener["port"],
            text("protocol"),
            text("purpose")
        )
    };
    listeners.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A number of octets in the unit asked for.
fn in_unit(call: &Call, octets: u64) -> Result<String> {
    let scaled = |unit: f64| (octets as f64 / unit * 10_000.0).round() / 10_000.0;
    match call.option("unit").map(str::to_ascii_lowercase).as_deref() {
        None | Some("gb") => Ok(format!("{} gb", scaled(1e9))),
        Some("mb") => Ok(format!("{} mb", scaled(1e6))),
        Some("kb") => Ok(format!("{} kb", scaled(1e3))),
        Some("tb") => Ok(format!("{} tb", scaled(1e12))),
        Some("bytes") => Ok(format!("{octets} bytes")),
        Some(other) => Err(Failure::argument(format!(
            "unit '{other}' is not supported. Please use one of: bytes, mb, gb"
        ))),
    }
}

fn status(call: &mut Call) -> Result<Output> {
    let facts = Facts::ask(call)?;
    let json = status_json(&facts);
    let mut text = String::new();
    let mut section = |title: &str, lines: &[String]| {
        text.push_str(&format!("{title}\n\n{}\n\n", lines.join("\n")));
    };
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    section(
        "Runtime",
        &[
            format!("OS PID: {}", word(&facts.node["os_pid"])),
            format!("OS: {}", word(&json["os"])),
            format!("Uptime (seconds): {}", facts.number("uptime") / 1_000),
            "Is under maintenance?: false".to_owned(),
            format!("RabbitMQ version: {}", word(&facts.overview["rabbitmq_version"])),
            format!("Product name: {}", word(&facts.overview["product_name"])),
            format!("Product version: {}", word(&facts.overview["product_version"])),
            format!("Node name: {}", facts.name()),
            format!("Cluster name: {}", word(&facts.overview["cluster_name"])),
        ],
    );
    let plugins: Vec<String> =
        strings(&facts.node["enabled_plugins"]).iter().map(|name| format!(" * {name}")).collect();
    section(
        "Plugins",
        &["Enabled plugin file: (none)".to_owned(), "Enabled plugins:\n".to_owned(), plugins.join("\n")],
    );
    section(
        "Data directory",
        &[format!("Node data directory: {}", facts.node["db_dir"].as_str().unwrap_or("(none)"))],
    );
    section("Config files", &strings(&facts.node["config_files"]));
    section("Log file(s)", &[" * <stderr>".to_owned()]);
    let alarms = facts.alarms();
    let alarms: Vec<String> = match alarms.as_slice() {
        [] => vec!["(none)".to_owned()],
        _ => alarms.iter().map(|resource| alarm_line(resource, facts.name())).collect(),
    };
    section("Alarms", &alarms);
    let limit = facts.number("mem_limit");
    section(
        "Memory",
        &[
            format!("Total memory used: {}", in_unit(call, facts.number("mem_used"))?),
            "Calculation strategy: rss".to_owned(),
            format!("Memory high watermark setting: {limit} bytes, computed to: {}", in_unit(call, limit)?),
        ],
    );
    section(
        "File Descriptors",
        &[
            format!("Total: {}, limit: {}", facts.number("fd_used"), facts.number("fd_total")),
            format!("Sockets: {}, limit: {}", facts.number("sockets_used"), facts.number("sockets_total")),
        ],
    );
    section(
        "Free Disk Space",
        &[
            format!("Low free disk space watermark: {}", in_unit(call, facts.number("disk_free_limit"))?),
            format!("Free disk space: {}", in_unit(call, facts.number("disk_free"))?),
        ],
    );
    let vhosts = call.get_json("vhosts?columns=name")?;
    let vhosts = vhosts.as_array().map_or(0, Vec::len);
    section(
        "Totals",
        &[
            format!("Connection count: {}", facts.total("connections")),
            format!("Queue count: {}", facts.total("queues")),
            format!("Virtual host count: {vhosts}"),
        ],
    );
    section("Listeners", &[listener_lines(&facts.listeners(), false)]);
    let mut json = json;
    json["totals"]["virtual_host_count"] = json!(vhosts);
    Ok(Output::Said { text: text.trim_end().to_owned(), json })
}

/// The sentence for an alarm.
pub fn alarm_line(resource: &str, node: &str) -> String {
    match resource {
        "memory" => format!("Memory alarm on node {node}"),
        "disk" => format!("Free disk space alarm on node {node}"),
        other => format!("Alarm of {other} on node {node}"),
    }
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn status_json(facts: &Facts) -> Value {
    let node = &facts.node;
    let used = facts.number("mem_used");
    json!({
        "rabbitmq_version": facts.overview["rabbitmq_version"],
        "product_name": facts.overview["product_name"],
        "product_version": facts.overview["product_version"],
        "erlang_version": "",
        "crypto_lib_version": "",
        "pid": node["os_pid"].as_str().and_then(|pid| pid.parse::<u64>().ok()),
        "os": rustix::system::uname().sysname().to_string_lossy(),
        "uptime": facts.number("uptime") / 1_000,
        "is_under_maintenance": false,
        "release_series_support_status": "supported",
        "node_name": facts.name(),
        "alarms": facts.alarms().iter().map(|resource| json!({ "resource": resource, "node": facts.name() })).collect::<Vec<_>>(),
        "listeners": facts.listeners(),
        "totals": {
            "connection_count": facts.total("connections"),
            "queue_count": facts.total("queues"),
        },
        "memory": {
            "strategy": "rss",
            "total": { "erlang": 0, "rss": used, "allocated": used },
        },
        "vm_memory_calculation_strategy": "rss",
        "vm_memory_high_watermark_setting": { "absolute": facts.number("mem_limit") },
        "vm_memory_high_watermark_limit": facts.number("mem_limit"),
        "disk_free": facts.number("disk_free"),
        "disk_free_limit": facts.number("disk_free_limit"),
        "file_descriptors": {
            "total_used": facts.number("fd_used"),
            "total_limit": facts.number("fd_total"),
            "sockets_used": facts.number("sockets_used"),
            "sockets_limit": facts.number("sockets_total"),
        },
        "processes": { "used": facts.number("proc_used"), "limit": facts.number("proc_total") },
        "run_queue": facts.number("run_queue"),
        "net_ticktime": 60,
        "config_files": node["config_files"],
        "log_files": ["<stderr>"],
        "active_plugins": node["enabled_plugins"],
        "enabled_plugin_file": "",
        "data_directory": node["db_dir"],
        "raft_data_directory": node["db_dir"],
        "cluster_tags": {},
        "node_tags": {},
    })
}

fn cluster(call: &mut Call) -> Result<Output> {
    let facts = Facts::ask(call)?;
    let flags = call.get_json("feature-flags")?;
    let name = facts.name();
    let word = |key: &str| facts.overview[key].as_str().unwrap_or_default();
    let flags: Vec<(&str, &str)> = flags
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|flag| Some((flag["name"].as_str()?, flag["state"].as_str()?)))
        .collect();
    let flag_lines: Vec<String> =
        flags.iter().map(|(flag, state)| format!("Flag: {flag}, state: {state}")).collect();
    let alarms: Vec<String> = facts.alarms().iter().map(|resource| alarm_line(resource, name)).collect();
    let alarm_lines = if alarms.is_empty() { "(none)".to_owned() } else { alarms.join("\n") };
    let text = format!(
        "Basics\n\nCluster name: {}\n\nDisk Nodes\n\n{name}\n\nRunning Nodes\n\n{name}\n\nVersions\n\n\
         {name}: RabbitMQ {} ({} {})\n\nMaintenance status\n\nNode: {name}, status: not under maintenance\n\n\
         Alarms\n\n{alarm_lines}\n\nNetwork Partitions\n\n(none)\n\nListeners\n\n{}\n\nFeature flags\n\n{}",
        word("cluster_name"),
        word("rabbitmq_version"),
        word("product_name"),
        word("product_version"),
        listener_lines(&facts.listeners(), true),
        flag_lines.join("\n"),
    );
    let version = json!({
        "rabbitmq_version": word("rabbitmq_version"), "erlang_version": "",
        "product_name": word("product_name"), "product_version": word("product_version"),
    });
    let json = json!({
        "cluster_name": word("cluster_name"),
        "disk_nodes": [name],
        "ram_nodes": [],
        "running_nodes": [name],
        "versions": { name: version },
        "maintenance_status": { name: "not under maintenance" },
        "alarms": alarms,
        "partitions": {},
        "listeners": { name: facts.listeners() },
        "feature_flags": flags.iter().map(|(flag, state)| json!({ "name": flag, "state": state })).collect::<Vec<_>>(),
    });
    Ok(Output::Said { text, json })
}

/// The API tells the effective values of what most people set.
fn environment(call: &mut Call) -> Result<Output> {
    let facts = Facts::ask(call)?;
    let listening = |protocol: &str| -> Vec<Value> {
        let found = facts.listeners();
        found
            .iter()
            .filter(|listener| listener["protocol"] == protocol)
            .map(|listener| listener["port"].clone())
            .collect()
    };
    let json = json!({
        "rabbit": {
            "tcp_listeners": listening("amqp"),
            "vm_memory_high_watermark": { "absolute": facts.number("mem_limit") },
            "disk_free_limit": facts.number("disk_free_limit"),
            "cluster_name": facts.overview["cluster_name"],
            "default_queue_type": facts.overview["default_queue_type"],
            "data_dir": facts.node["db_dir"],
        },
        "rabbitmq_management": { "tcp_config": { "port": listening("http") } },
        "rabbitmq_prometheus": { "tcp_config": { "port": listening("http/prometheus") } },
    });
    let erlang = render(&Output::Said { text: String::new(), json: json.clone() }, Format::Erlang, true);
    let text = String::from_utf8_lossy(&erlang).trim_end().to_owned();
    Ok(Output::Said { text, json })
}

fn memory(call: &mut Call) -> Result<Output> {
    let facts = Facts::ask(call)?;
    let found = call.get_json(&format!("nodes/{}/memory", crate::ctl::api::segment(facts.name())));
    // A version without the endpoint knows the sum.
    let parts: Map<String, Value> = match found {
        Ok(Value::Object(found)) => found["memory"].as_object().cloned().unwrap_or_default(),
        _ => Map::new(),
    };
    let total = facts.number("mem_used").max(1);
    let mut sizes: Vec<(String, u64)> = parts
        .iter()
        .filter(|(name, _)| *name != "total" && *name != "strategy")
        .filter_map(|(name, size)| Some((name.clone(), size.as_u64()?)))
        .collect();
    if sizes.is_empty() {
        sizes.push(("process".to_owned(), total));
    }
    sizes.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
    let (mut lines, mut json) = (Vec::new(), Map::new());
    for (name, size) in sizes {
        let share = (size as f64 / total as f64 * 10_000.0).round() / 100.0;
        lines.push(format!("{name}: {} ({share}%)", in_unit(call, size)?));
        json.insert(name, json!({ "bytes": size, "percentage": share / 100.0 }));
    }
    Ok(Output::Said { text: lines.join("\n"), json: Value::Object(json) })
}

/// The commands that a report consists of; those of vhosts are run for each.
const REPORTED: [&str; 6] =
    ["status", "cluster_status", "list_connections", "list_channels", "list_vhosts", "environment"];
const REPORTED_OF_VHOSTS: [&str; 6] =
    ["list_queues", "list_exchanges", "list_bindings", "list_permissions", "list_policies", "list_consumers"];

fn report(call: &mut Call) -> Result<Output> {
    let mut text = String::new();
    for name in REPORTED {
        text.push_str(&part(call, name)?);
    }
    let vhosts = call.get_json("vhosts?columns=name")?;
    let vhosts = vhosts.as_array().into_iter().flatten().filter_map(|vhost| vhost["name"].as_str());
    for vhost in vhosts {
        call.words.options.insert("vhost", vhost.to_owned());
        for name in REPORTED_OF_VHOSTS {
            text.push_str(&part(call, name)?);
        }
    }
    Ok(Output::text(text.trim_end()))
}

fn part(call: &mut Call, name: &str) -> Result<String> {
    let Some(command) = all().find(|command| command.name == name && command.tools.contains(&Tool::Ctl))
    else {
        return Ok(String::new());
    };
    let banner = (command.banner)(call);
    let output = render(&(command.run)(call)?, Format::Table, true);
    Ok(format!("{banner}\n{}\n", String::from_utf8_lossy(&output)))
}
