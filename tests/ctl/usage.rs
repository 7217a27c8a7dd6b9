//! Help, wrong usage, and what is not supported.

use crate::{call::Called, place::Place};

const TOOLS: [&str; 6] = [
    "rabbitmqctl",
    "rabbitmq-diagnostics",
    "rabbitmq-plugins",
    "rabbitmq-queues",
    "rabbitmq-streams",
    "rabbitmq-upgrade",
];

#[test]
fn every_command_has_help_and_refuses_what_it_does_not_know() {
    let place = Place::empty();
    for tool in TOOLS {
        let names = place.run(&format!("{tool} help --list-commands")).fine();
        assert!(names.lines().count() > 0, "{tool}");
        let overview = place.run(&format!("{tool} help")).fine();
        for name in names.lines() {
            assert!(
                overview.lines().any(|line| line.trim_start().starts_with(&format!("{name} "))),
                "{tool} {name}"
            );
            let help = place.run(&format!("{tool} help {name}")).fine();
            assert!(
                help.contains(&format!("{tool} [--node <node>] [--longnames] [--quiet] {name}")),
                "{help}"
            );
            assert_eq!(place.run(&format!("{tool} {name} --help")).fine(), help);
            place
                .run(&format!("{tool} {name} --bogus"))
                .fails_with(64, "Error (argument validation): Invalid options for this command:\n--bogus : \nArguments given:\n");
        }
    }
}

#[test]
fn wrong_command_lines_end_with_64() {
    let place = Place::empty();
    let none = place.run("rabbitmqctl");
    assert_eq!(none.out, "");
    none.fails_with(64, "Available commands:");
    place
        .run("rabbitmqctl lisst_queues")
        .fails(64, "\nCommand 'lisst_queues' not found. \nDid you mean 'list_queues'? \n\n");
    place.run("rabbitmqctl add_vhost").fails_with(
        64,
        "Error (argument validation): not enough arguments.\nArguments given:\n\tadd_vhost\n\nUsage\n\n\
         rabbitmqctl [--node <node>] [--longnames] [--quiet] add_vhost <vhost>",
    );
    place.run("rabbitmqctl ping a b").fails_with(64, "too many arguments.");
    place.run("rabbitmqctl ping --formatter nosuch").fails_with(64, "formatter nosuch is not supported");
    place.run("rabbitmqctl --vhost").fails_with(64, "Usage");
    assert_eq!(place.run("rabbitmqctl --version").fine(), "4.1.0\n");
    assert_eq!(place.run("rabbitmqctl version").fine(), "4.1.0\n");
}

#[test]
fn what_makes_no_sense_here_is_refused_with_the_reason() {
    let place = Place::empty();
    place
        .run("rabbitmqctl eval 1+1.")
        .fails(69, "Error:\neval is not supported: this broker does not run on Erlang\n");
    place
        .run("rabbitmqctl join_cluster rabbit@there")
        .fails_with(69, "clustering is not part of this version");
}

#[test]
fn our_own_names_for_the_tools() {
    let place = Place::start();
    let run = |line: &str| Called::run(place.leveret().args(line.split(' ')), "");
    assert_eq!(run("ctl ping -q").fine(), "Ping succeeded\n");
    assert_eq!(
        run("diagnostics -q check_running").fine(),
        "RabbitMQ on node rabbit@here is fully booted and running\n"
    );
    assert_eq!(run("plugins is_enabled rabbitmq_management -s").fine(), "");
    assert_eq!(
        run("ctl list_users -s -n ignored@host -l --erlang-cookie x").fine(),
        "guest\t[administrator]\n"
    );
}
