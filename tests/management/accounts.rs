//! Vhosts and users: made, changed, deleted, and remembered.

use serde_json::json;

use crate::http::{GUEST, Target, eventually};

#[tokio::test]
async fn a_vhost_comes_and_goes_with_everything_in_it() {
    let target = Target::start().await;
    target.get("vhosts/a%2Fb").await.refused(404, "Object Not Found", "Not Found");
    let body = r#"{"description":"for tests","tags":"one,two"}"#;
    target.put("vhosts/a%2Fb", body).await.expect(201);
    target.put("vhosts/a%2Fb", "").await.expect(204);
    let vhost = target.get("vhosts/a%2Fb/").await.expect(200).json();
    assert_eq!((&vhost["name"], &vhost["description"]), (&json!("a/b"), &json!("for tests")));
    assert_eq!(
        (&vhost["tags"], &vhost["metadata"]["tags"]),
        (&json!(["one", "two"]), &json!(["one", "two"]))
    );
    assert_eq!(target.get("vhosts?columns=name").await.json(), json!([{ "name": "/" }, { "name": "a/b" }]));

    // Whoever made it may use it.
    let connection = target.connect(GUEST, "a%2Fb").await.unwrap();
    target.put("queues/a%2Fb/q", r#"{"durable":true}"#).await.expect(201);
    target.delete("vhosts/a%2Fb").await.expect(204);
    target.delete("vhosts/a%2Fb").await.refused(404, "Object Not Found", "Not Found");
    eventually("the end of the connection", || async { !connection.status().connected() }).await;
    let refused = target.connect(GUEST, "a%2Fb").await.unwrap_err();
    assert!(refused.contains("vhost a/b not found"), "{refused}");
    target.put("queues/a%2Fb/q", "{}").await.refused(404, "not_found", "vhost_not_found");
    assert_eq!(target.get("permissions").await.json().as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn users_log_in_with_passwords_and_with_hashes_of_rabbitmq() {
    let target = Target::start().await;
    target.put("users/u", r#"{"password":"p"}"#).await.refused(400, "bad_request", "tags_not_present");
    let both = r#"{"password":"p","password_hash":"aaaa","tags":""}"#;
    target.put("users/u", both).await.refused(
        400,
        "bad_request",
        "both_password_and_password_hash_are_provided",
    );
    target.put("users/u", "not json").await.refused(400, "bad_request", "not_json");
    target.put("users/u", r#"{"password":"secret","tags":"management,own"}"#).await.expect(201);
    let user = target.get("users/u").await.expect(200).json();
    assert_eq!((&user["tags"], &user["limits"]), (&json!(["management", "own"]), &json!({})));
    assert_eq!(user["password_hash"].as_str().unwrap().len(), 48);
    assert_eq!(user["hashing_algorithm"], "rabbit_password_hashing_sha256");
    target.request(("u", "secret"), "GET", "whoami", &[], "").await.expect(200);

    // A hash out of RabbitMQ's documentation, and one that matches nothing.
    let body =
        r#"{"password_hash":"kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR","tags":["management"]}"#;
    target.put("users/u", body).await.expect(204);
    target.request(("u", "test12"), "GET", "whoami", &[], "").await.expect(200);
    target.request(("u", "secret"), "GET", "whoami", &[], "").await.expect(401);
    target.put("users/u", r#"{"password_hash":"","tags":"management"}"#).await.expect(204);
    target.request(("u", ""), "GET", "whoami", &[], "").await.expect(401);
    target.put("users/u", r#"{"password_hash":"!!","tags":""}"#).await.expect(400);
    target
        .put("users/u", r#"{"password_hash":"aaaa","hashing_algorithm":"md5","tags":""}"#)
        .await
        .expect(400);

    assert_eq!(target.get("users/without-permissions?columns=name").await.json(), json!([{ "name": "u" }]));
    target.put("users/v", r#"{"password":"p","tags":""}"#).await.expect(201);
    target.post("users/bulk-delete", r#"{"users":["u","v","none"]}"#).await.expect(204);
    target.get("users/u").await.refused(404, "Object Not Found", "Not Found");
    target.delete("users/u").await.expect(404);
    assert_eq!(target.get("users?columns=name").await.json(), json!([{ "name": "guest" }]));
}

#[tokio::test]
async fn tags_say_what_a_user_may_do_over_http() {
    let target = Target::start().await;
    for (user, tags) in [("none", ""), ("manager", "management"), ("monitor", "monitoring")] {
        let body = format!(r#"{{"password":"p","tags":"{tags}"}}"#);
        target.put(&format!("users/{user}"), &body).await.expect(201);
    }
    let ask = async |user: &str, method: &str, path: &str| {
        target.request((user, "p"), method, path, &[], "{}").await
    };
    ask("none", "GET", "overview").await.refused(401, "not_authorised", "Not management user");
    assert!(ask("none", "GET", "overview").await.header("www-authenticate").is_none());
    ask("manager", "GET", "users").await.refused(401, "not_authorised", "Not administrator user");
    ask("manager", "GET", "nodes").await.refused(401, "not_authorised", "Not monitor user");
    ask("monitor", "GET", "nodes").await.expect(200);
    ask("monitor", "PUT", "vhosts/new").await.refused(401, "not_authorised", "Not administrator user");
    // A manager sees its own vhosts only, a monitor all.
    assert_eq!(ask("manager", "GET", "vhosts").await.json(), json!([]));
    assert_eq!(ask("monitor", "GET", "vhosts").await.json().as_array().unwrap().len(), 1);
    let reason = "User not authorised to access virtual host";
    ask("manager", "GET", "queues/%2F").await.refused(401, "not_authorised", reason);
    ask("monitor", "GET", "queues/%2F").await.expect(200);
    ask("monitor", "PUT", "queues/%2F/q").await.refused(401, "not_authorised", reason);
    assert!(ask("manager", "GET", "overview").await.json().get("listeners").is_none());
    assert!(ask("monitor", "GET", "overview").await.json().get("listeners").is_some());
}

#[tokio::test]
async fn users_vhosts_and_permissions_outlive_a_restart_and_the_bootstrap_user_may_be_gone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    let target = Target::on_disk(path.clone()).await;
    target.put("vhosts/kept", r#"{"description":"d","tags":["t"]}"#).await.expect(201);
    target.put("vhosts/gone", "").await.expect(201);
    target.put("queues/gone/q", r#"{"durable":true}"#).await.expect(201);
    target.put("users/admin", r#"{"password":"p","tags":"administrator"}"#).await.expect(201);
    target.put("permissions/kept/admin", r#"{"configure":"^c","write":"","read":".*"}"#).await.expect(201);
    target.delete("vhosts/gone").await.expect(204);
    let admin = ("admin", "p");
    target.request(admin, "DELETE", "users/guest", &[], "").await.expect(204);
    let users = target.request(admin, "GET", "users", &[], "").await.json();
    target.broker.shutdown().await;

    let target = Target::on_disk(path).await;
    target.request(GUEST, "GET", "whoami", &[], "").await.expect(401);
    assert_eq!(target.request(admin, "GET", "users", &[], "").await.expect(200).json(), users);
    let vhosts = target.request(admin, "GET", "vhosts?columns=name,description,tags", &[], "").await.json();
    let kept = json!({ "name": "kept", "description": "d", "tags": ["t"] });
    assert_eq!(vhosts, json!([{ "name": "/", "description": "", "tags": [] }, kept]));
    let permissions = target.request(admin, "GET", "permissions", &[], "").await.json();
    let row = json!({ "user": "admin", "vhost": "kept", "configure": "^c", "write": "", "read": ".*" });
    assert_eq!(permissions, json!([row]));
    target.broker.shutdown().await;
}
