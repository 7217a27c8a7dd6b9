//! Health checks, status, plugins.

use serde_json::json;

use crate::{call::Called, place::Place};

#[test]
fn checks_of_a_healthy_broker() {
    let place = Place::start();
    let fine = |line: &str| place.run(&format!("rabbitmq-diagnostics {line}")).fine();
    assert_eq!(fine("-q ping"), "Ping succeeded\n");
    assert_eq!(fine("ping"), "Will ping rabbit@here. Timeout: 60000 ms.\nPing succeeded\n");
    assert_eq!(fine("-s ping"), "");
    assert_eq!(fine("-q check_running"), "RabbitMQ on node rabbit@here is fully booted and running\n");
    assert_eq!(fine("-q check_local_alarms"), "Node rabbit@here reported no local alarms\n");
    assert_eq!(fine("-q check_alarms"), "Node rabbit@here reported no alarms, local or clusterwide\n");
    assert_eq!(fine("-q alarms"), "Node rabbit@here reported no alarms, local or clusterwide\n");
    assert_eq!(fine("-q check_virtual_hosts"), "Node rabbit@here reported all vhosts as running\n");
    let connected = fine("-q check_port_connectivity");
    assert_eq!(
        connected,
        format!("Successfully connected to ports {}, {} on node rabbit@here.\n", place.amqp, place.http)
    );
    assert_eq!(
        fine(&format!("-q check_port_listener {}", place.amqp)),
        format!("A listener for port {} is running on node rabbit@here.\n", place.amqp)
    );
    assert_eq!(
        fine("-q check_protocol_listener amqp"),
        "A listener for protocol amqp is running on node rabbit@here.\n"
    );
    assert_eq!(fine("-q server_version"), "4.1.0\n");
    assert_eq!(fine("-q node_health_check"), "Health check passed\n");
    assert_eq!(fine("--silent is_running"), "");
    assert_eq!(place.quiet("rabbitmqctl node_health_check"), "Health check passed\n");
    assert_eq!(place.run("rabbitmqctl await_startup").fine(), "");
    place.run("rabbitmq-queues check_if_node_is_quorum_critical").fine();
    place.run("rabbitmq-queues rebalance all").fine();
    place.run("rabbitmq-upgrade await_online_quorum_plus_one").fine();
    let listeners = place.json("rabbitmq-diagnostics listeners");
    assert_eq!(listeners["listeners"][0]["port"], place.amqp);
}

#[test]
fn checks_that_fail_end_with_69() {
    let place = Place::start();
    place.run("rabbitmq-diagnostics -q check_port_listener 1").fails(
        69,
        &format!(
            "No listener for port 1 is active on node rabbit@here. Found listeners that use the following ports: {}, {}\n",
            place.amqp, place.http
        ),
    );
    place.run("rabbitmq-diagnostics -q check_protocol_listener mqtt").fails(
        69,
        "Error:\nNo listener for protocol mqtt is active on node rabbit@here. \
         Found listeners for the following protocols: amqp, http\n",
    );
    place
        .run("rabbitmq-diagnostics check_port_listener x")
        .fails_with(64, "Argument must be a positive integer");
}

#[test]
fn alarms_are_raised_by_limits_that_are_moved() {
    let place = Place::start();
    for (raise, lower, resource, sentence) in [
        (
            "set_vm_memory_high_watermark 0",
            "set_vm_memory_high_watermark 0.4",
            "memory",
            "Memory alarm on node rabbit@here",
        ),
        (
            "set_disk_free_limit 9999999TB",
            "set_disk_free_limit 1MB",
            "disk",
            "Free disk space alarm on node rabbit@here",
        ),
        (
            "set_disk_free_limit mem_relative 99",
            "set_disk_free_limit 1000",
            "disk",
            "Free disk space alarm on node rabbit@here",
        ),
    ] {
        if raise.ends_with("TB") {
            place.run(&format!("rabbitmqctl {raise}")).fails_with(65, "Invalid units.");
            continue;
        }
        place.run(&format!("rabbitmqctl {raise}")).fine();
        // The disk is looked at now and then.
        let failed = until(&place, |called| called.code == Some(69));
        failed.fails(69, &format!("Error:\nNode rabbit@here reported alarms:\n{sentence}\n"));
        assert_eq!(place.json("rabbitmq-diagnostics alarms")["local"][0]["resource"], resource);
        place.run("rabbitmq-diagnostics -q node_health_check").fails_with(69, sentence);
        place.run(&format!("rabbitmqctl {lower}")).fine();
        until(&place, |called| called.code == Some(0));
    }
    place.run("rabbitmqctl set_vm_memory_high_watermark absolute 100MiB").fine();
    assert_eq!(place.json("rabbitmqctl status")["vm_memory_high_watermark_limit"], 100 << 20);
    place
        .run("rabbitmqctl set_vm_memory_high_watermark 7")
        .fails_with(65, "Bad argument: The threshold should be a fraction between 0.0 and 1.0\n");
}

/// Looks at the alarms until the answer is this.
fn until(place: &Place, expected: impl Fn(&Called) -> bool) -> Called {
    let patience = std::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let called = place.run("rabbitmq-diagnostics -q check_local_alarms");
        if expected(&called) {
            return called;
        }
        assert!(std::time::Instant::now() < patience, "{called:?}");
    }
}

#[test]
fn what_is_for_tools_is_for_no_user() {
    let place = Place::start();
    let uri = format!("http://guest:guest@127.0.0.1:{}", place.http);
    place
        .run(&format!("rabbitmqctl --uri {uri} set_vm_memory_high_watermark 0"))
        .fails(77, "Error:\nThis is only for tools on the broker's own socket\n");
    place.run("rabbitmq-diagnostics -q check_local_alarms").fine();
}

#[test]
fn status_for_people_and_programs() {
    let place = Place::start();
    let status = place.json("rabbitmqctl status");
    assert_eq!(status["rabbitmq_version"], "4.1.0");
    assert_eq!(status["pid"], place.pid());
    assert_eq!(status["alarms"], json!([]));
    assert_eq!(status["totals"], json!({ "connection_count": 0, "queue_count": 0, "virtual_host_count": 1 }));
    let data = place.path("leveret-data");
    assert!(data.ends_with(status["data_directory"].as_str().unwrap()), "{status}");
    let text = place.run("rabbitmqctl status").fine();
    assert!(text.starts_with("Status of node rabbit@here ...\nRuntime\n\nOS PID: "), "{text}");
    for line in ["RabbitMQ version: 4.1.0", "Virtual host count: 1", "(none)", " * rabbitmq_management"] {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
    assert!(text.contains(&format!("Interface: 127.0.0.1, port: {}, protocol: amqp, purpose: ", place.amqp)));
    let cluster = place.json("rabbitmqctl cluster_status");
    assert_eq!(cluster["running_nodes"].as_array().map(Vec::len), Some(1));
    assert_eq!(cluster["disk_nodes"], cluster["running_nodes"]);
    let flags = place.json("rabbitmqctl list_feature_flags name state");
    assert!(flags.as_array().unwrap().contains(&json!({ "name": "quorum_queue", "state": "enabled" })));
    place.run("rabbitmqctl enable_feature_flag all").fine();
    place
        .run("rabbitmqctl enable_feature_flag nosuch")
        .fails(64, "Error:\nThis feature flag is not supported by node rabbit@here\n");
    let report = place.run("rabbitmqctl report").fine();
    for part in [
        "Reporting server status",
        "Status of node",
        "Listing exchanges for vhost / ...",
        "amq.direct\tdirect",
    ] {
        assert!(report.contains(part), "{part}: {report}");
    }
    let log = place.run("rabbitmq-diagnostics -q log_tail -N 500").fine();
    assert!(log.contains("ready; AMQP on"), "{log}");
}

#[test]
fn plugins_need_no_broker() {
    let place = Place::empty();
    let enabled =
        place.run("rabbitmq-plugins enable --offline rabbitmq_management rabbitmq_prometheus").fine();
    assert!(enabled.contains("Plugin configuration unchanged."), "{enabled}");
    place.run("rabbitmq-plugins set rabbitmq_management").fine();
    place.run("rabbitmq-plugins is_enabled rabbitmq_management").fine();
    place
        .run("rabbitmq-plugins is_enabled rabbitmq_shovel")
        .fails_with(69, "Error:\nPlugin rabbitmq_shovel is not enabled");
    place.run("rabbitmq-plugins enable rabbitmq_shovel").fails(
        69,
        "Error:\nThe following plugins are not part of this version of leveret:\n  rabbitmq_shovel\n",
    );
    place.run("rabbitmq-plugins enable nosuch").fails_with(70, "Error:\n{:plugins_not_found, [:nosuch]}\n");
    place
        .run("rabbitmq-plugins disable rabbitmq_management")
        .fails_with(69, "built in and cannot be disabled");
    place.run("rabbitmq-plugins disable rabbitmq_shovel").fine();
    let names = place.run("rabbitmq-plugins list -E -m -q").fine();
    assert!(names.lines().any(|name| name == "rabbitmq_management"), "{names}");
    assert!(!names.contains("rabbitmq_shovel"), "{names}");
    let all = place.run("rabbitmq-plugins list shovel").fine();
    assert!(all.contains("[  ] rabbitmq_shovel ") && !all.contains("rabbitmq_prometheus"), "{all}");
}
