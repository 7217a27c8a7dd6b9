//! Policies, parameters, definitions.

use std::fs;

use serde_json::{Value, json};

use crate::place::Place;

#[test]
fn policies_are_set_listed_and_cleared() {
    let place = Place::start();
    let set = "rabbitmqctl set_policy lengths ^q '{\"max-length\":5}' --apply-to queues --priority 3";
    assert_eq!(
        place.run(set).fine(),
        "Setting policy \"lengths\" for pattern \"^q\" to \"{\"max-length\":5}\" with priority \"3\" for vhost \"/\" ...\n"
    );
    assert_eq!(
        place.quiet("rabbitmqctl list_policies"),
        "vhost\tname\tpattern\tapply-to\tdefinition\tpriority\n/\tlengths\t^q\tqueues\t{\"max-length\":5}\t3\n"
    );
    assert_eq!(place.json("rabbitmqctl list_policies")[0]["definition"], "{\"max-length\":5}");
    place
        .run("rabbitmqctl set_policy x ^q nojson")
        .fails(69, "Error:\nJSON decoding error. Reason: badarg\n");
    place
        .run("rabbitmqctl set_policy x ^q '{\"max-lengthx\":5}'")
        .fails_with(69, "are not recognised policy settings");
    place.run("rabbitmqctl clear_policy lengths").fine();
    place.run("rabbitmqctl clear_policy lengths").fails(69, "Error:\nParameter does not exist\n");
    place.run("rabbitmqctl set_operator_policy most .* '{\"max-length\":9}' --apply-to queues").fine();
    assert_eq!(place.json("rabbitmqctl list_operator_policies")[0]["name"], "most");
    assert_eq!(place.json("rabbitmqctl list_policies"), json!([]));
    place.run("rabbitmqctl clear_operator_policy most").fine();
}

#[test]
fn parameters_of_the_broker_and_its_name() {
    let place = Place::start();
    place.run("rabbitmqctl set_global_parameter colour '\"blue\"'").fine();
    let listed = place.json("rabbitmqctl list_global_parameters");
    let colour = listed.as_array().unwrap().iter().find(|item| item["name"] == "colour");
    assert_eq!(colour, Some(&json!({ "name": "colour", "value": "\"blue\"" })));
    place.run("rabbitmqctl clear_global_parameter colour").fine();
    place.run("rabbitmqctl clear_global_parameter colour").fails(69, "Error:\nParameter does not exist\n");
    place.run("rabbitmqctl set_parameter nosuch a '\"x\"'").fails_with(69, "component nosuch not found");
}

#[test]
fn definitions_go_to_a_file_and_come_back() {
    let place = Place::start();
    place.run("rabbitmqctl add_user carol c").fine();
    place.run("rabbitmqctl export_definitions all.json").fine();
    let printed: Value = serde_json::from_str(&place.run("rabbitmqctl export_definitions -").fine()).unwrap();
    let file = fs::read_to_string(place.path("all.json")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&file).unwrap(), printed);
    place.run("rabbitmqctl delete_user carol").fine();
    place.run("rabbitmqctl import_definitions all.json").fine();
    assert_eq!(place.run("rabbitmqctl authenticate_user carol c").code, Some(0));
    place.run("rabbitmqctl delete_user carol").fine();
    place.run_with("rabbitmqctl import_definitions", &file).fine();
    assert_eq!(place.run("rabbitmqctl authenticate_user carol c").code, Some(0));
    place
        .run("rabbitmqctl import_definitions nosuch")
        .fails_with(65, "Bad argument: File nosuch does not exist");
    place.run_with("rabbitmqctl import_definitions -", "{").fails_with(65, "Failed to deserialise input");
    place.run("rabbitmqctl export_definitions no/such/file").fails_with(74, "does not exist");
}
