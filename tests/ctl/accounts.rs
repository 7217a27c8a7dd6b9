//! Users, permissions and virtual hosts.

use serde_json::json;

use crate::place::Place;

#[test]
fn a_user_from_its_beginning_to_its_end() {
    let place = Place::start();
    assert_eq!(
        place.run("rabbitmqctl add_user alice secret").fine(),
        "Adding user \"alice\" ...\nDone. Don't forget to grant the user permissions to some virtual hosts! \
         See 'rabbitmqctl help set_permissions' to learn more.\n"
    );
    let again = place.run("rabbitmqctl add_user alice other");
    assert_eq!(again.out, "Adding user \"alice\" ...\n");
    again.fails(70, "Error:\nUser \"alice\" already exists\n");
    let authenticate = |password: &str| place.run(&format!("rabbitmqctl authenticate_user alice {password}"));
    assert_eq!(authenticate("secret").fine(), "Authenticating user \"alice\" ...\nSuccess\n");
    let refused =
        "Error:\nError: failed to authenticate user \"alice\"\nuser 'alice' - invalid credentials\n";
    authenticate("wrong").fails(65, refused);
    place.run("rabbitmqctl set_user_tags alice monitoring policymaker").fine();
    assert_eq!(authenticate("secret").code, Some(0), "tags leave the password alone");
    assert_eq!(
        place.quiet("rabbitmqctl list_users"),
        "user\ttags\nalice\t[monitoring, policymaker]\nguest\t[administrator]\n"
    );
    assert_eq!(
        place.run("rabbitmqctl list_users --formatter json").fine(),
        "[\n{\"user\":\"alice\",\"tags\":[\"monitoring\",\"policymaker\"]}\n,{\"user\":\"guest\",\"tags\":[\"administrator\"]}\n]\n"
    );
    place.run("rabbitmqctl change_password alice better").fine();
    authenticate("secret").fails(65, refused);
    assert_eq!(authenticate("better").code, Some(0));
    assert_eq!(place.json("rabbitmqctl list_users")[0]["tags"], json!(["monitoring", "policymaker"]));
    place.run("rabbitmqctl clear_password alice").fine();
    authenticate("better").fails(65, refused);
    assert_eq!(place.run("rabbitmqctl delete_user alice").fine(), "Deleting user \"alice\" ...\n");
    place.run("rabbitmqctl delete_user alice").fails(67, "Error:\nUser \"alice\" does not exist\n");
    assert_eq!(place.run("rabbitmqctl list_users -s").fine(), "guest\t[administrator]\n");
}

#[test]
fn a_password_may_come_from_standard_input_or_as_a_hash() {
    let place = Place::start();
    place.run_with("rabbitmqctl add_user bob", "from input\n").fine();
    assert_eq!(place.run_with("rabbitmqctl authenticate_user bob", "from input").code, Some(0));
    place
        .run("rabbitmqctl add_user nobody")
        .fails(65, "Error:\nPassword is not provided via argument or stdin\n");
    let hash = place.quiet("rabbitmqctl hash_password hashed");
    place.run(&format!("rabbitmqctl add_user carol {} --pre-hashed-password", hash.trim())).fine();
    assert_eq!(place.run("rabbitmqctl authenticate_user carol hashed").code, Some(0));
}

#[test]
fn permissions_are_those_of_the_vhost_that_is_named() {
    let place = Place::start();
    place.run("rabbitmqctl add_user alice a").fine();
    place
        .run("rabbitmqctl add_vhost shop --description 'The shop' --tags x,y --default-queue-type quorum")
        .fine();
    let vhosts = place.json("rabbitmqctl list_vhosts name description tags default_queue_type");
    assert_eq!(
        vhosts[1],
        json!({ "name": "shop", "description": "The shop", "tags": ["x", "y"], "default_queue_type": "quorum" })
    );
    assert_eq!(
        place.run("rabbitmqctl set_permissions -p shop alice ^a ^b ^c").fine(),
        "Setting permissions for user \"alice\" in vhost \"shop\" ...\n"
    );
    assert_eq!(
        place.quiet("rabbitmqctl list_permissions --vhost shop"),
        "user\tconfigure\twrite\tread\nalice\t^a\t^b\t^c\n"
    );
    assert_eq!(
        place.json("rabbitmqctl list_user_permissions alice"),
        json!([{ "vhost": "shop", "configure": "^a", "write": "^b", "read": "^c" }])
    );
    place
        .run("rabbitmqctl set_permissions -p nosuch alice x x x")
        .fails(69, "Error:\nVirtual host nosuch does not exist\n");
    place
        .run("rabbitmqctl set_permissions -p shop nosuch x x x")
        .fails(67, "Error:\nUser nosuch does not exist\n");
    place.run("rabbitmqctl list_permissions -p nosuch").fails(65, "Virtual host 'nosuch' does not exist\n");
    place.run("rabbitmqctl list_user_permissions nosuch").fails(69, "Error:\n{:no_such_user, \"nosuch\"}\n");
    place.run("rabbitmqctl clear_permissions -p shop alice").fine();
    place
        .run("rabbitmqctl clear_permissions -p shop nosuch")
        .fails(67, "Error:\nUser nosuch does not exist\n");
    assert_eq!(place.json("rabbitmqctl list_user_permissions alice"), json!([]));

    place.run("rabbitmqctl set_topic_permissions -p shop alice amq.topic ^w ^r").fine();
    let topics = json!([{ "user": "alice", "exchange": "amq.topic", "write": "^w", "read": "^r" }]);
    assert_eq!(place.json("rabbitmqctl list_topic_permissions -p shop"), topics);
    assert_eq!(place.json("rabbitmqctl list_user_topic_permissions alice")[0]["vhost"], "shop");
    place.run("rabbitmqctl clear_topic_permissions -p shop alice amq.topic").fine();
    assert_eq!(place.json("rabbitmqctl list_topic_permissions -p shop"), json!([]));

    place.run("rabbitmqctl set_vhost_tags shop z").fine();
    assert_eq!(place.json("rabbitmqctl list_vhosts tags")[1]["tags"], json!(["z"]));
    assert!(place.run("rabbitmqctl trace_on -p shop").fine().ends_with("\nTrace enabled for vhost shop\n"));
    let traced = json!({ "name": "shop", "description": "The shop", "tracing": true });
    assert_eq!(place.json("rabbitmqctl list_vhosts name description tracing")[1], traced);
    place.run("rabbitmqctl trace_off -p shop").fine();
    assert_eq!(place.json("rabbitmqctl list_vhosts tracing")[1]["tracing"], false);
    place.run("rabbitmqctl delete_vhost shop").fine();
    place.run("rabbitmqctl delete_vhost shop").fails(65, "Virtual host 'shop' does not exist\n");
}

#[test]
fn whoever_makes_a_vhost_through_the_socket_is_nobody() {
    let place = Place::start();
    place.run("rabbitmqctl add_vhost mine").fine();
    assert_eq!(place.json("rabbitmqctl list_permissions -p mine"), json!([]));
}

#[test]
fn limits_of_users_and_vhosts() {
    let place = Place::start();
    place.run("rabbitmqctl set_vhost_limits -p / '{\"max-queues\": 5, \"max-connections\": 7}'").fine();
    let listed = place.quiet("rabbitmqctl list_vhost_limits");
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&listed).unwrap(),
        json!({ "max-queues": 5, "max-connections": 7 })
    );
    assert_eq!(place.json("rabbitmqctl list_vhost_limits --global")[0]["vhost"], "/");
    place.run("rabbitmqctl clear_vhost_limits").fine();
    assert_eq!(place.json("rabbitmqctl list_vhost_limits"), json!({}));
    place.run("rabbitmqctl set_user_limits guest '{\"max-channels\": 3}'").fine();
    assert_eq!(place.quiet("rabbitmqctl list_user_limits --user guest"), "{\"max-channels\":3}\n");
    place.run("rabbitmqctl clear_user_limits guest max-channels").fine();
    assert_eq!(place.quiet("rabbitmqctl list_user_limits"), "{}\n");
    place
        .run("rabbitmqctl set_user_limits guest {")
        .fails(69, "Error:\nJSON decoding error. Reason: badarg\n");
    place.run("rabbitmqctl set_user_limits nosuch {}").fails(67, "Error:\nUser \"nosuch\" does not exist\n");
}
