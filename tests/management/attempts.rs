//! Counters of logins, and the brake on guessing.

use std::time::Duration;

use serde_json::{Value, json};

use crate::http::{GUEST, Target};

async fn name_of(target: &Target) -> String {
    let node = target.get("overview").await.expect(200).json()["node"].as_str().unwrap().to_owned();
    node.replace('@', "%40")
}

fn of<'a>(rows: &'a Value, protocol: &str, user: Option<&str>) -> &'a Value {
    let matches =
        |row: &&Value| row["protocol"] == protocol && user.is_none_or(|user| row["username"] == user);
    rows.as_array()
        .unwrap()
        .iter()
        .find(matches)
        .unwrap_or_else(|| panic!("no {protocol} {user:?} in {rows}"))
}

#[tokio::test]
async fn logins_are_counted_by_protocol_and_by_source() {
    let target = Target::start().await;
    let node = name_of(&target).await;
    target.delete(&format!("auth/attempts/{node}")).await.expect(204);
    target.connect(GUEST, "%2f").await.unwrap();
    assert!(target.connect(("guest", "wrong"), "%2f").await.is_err());
    assert!(target.connect(("nobody", "wrong"), "%2f").await.is_err());

    let totals = target.get(&format!("auth/attempts/{node}")).await.expect(200).json();
    let amqp = of(&totals, "amqp091", None);
    for (field, count) in [("auth_attempts", 3), ("auth_attempts_failed", 2), ("auth_attempts_succeeded", 1)]
    {
        assert_eq!(amqp[field], count, "{field}");
    }
    assert!(1 <= of(&totals, "http", None)["auth_attempts_succeeded"].as_u64().unwrap());

    let sources = target.get(&format!("auth/attempts/{node}/source")).await.expect(200).json();
    let guest = of(&sources, "amqp091", Some("guest"));
    assert_eq!(
        (&guest["remote_address"], &guest["auth_attempts"], &guest["auth_attempts_failed"]),
        (&json!("127.0.0.1"), &json!(2), &json!(1))
    );
    assert_eq!(of(&sources, "amqp091", Some("nobody"))["auth_attempts_failed"], 1);

    target.delete(&format!("auth/attempts/{node}/source")).await.expect(204);
    let sources = target.get(&format!("auth/attempts/{node}/source")).await.expect(200).json();
    assert_eq!(sources.as_array().unwrap().len(), 1, "this request's own: {sources}");
    let totals = target.get(&format!("auth/attempts/{node}")).await.expect(200).json();
    assert_eq!(of(&totals, "amqp091", None)["auth_attempts"], 3);
    target.get("auth/attempts/elsewhere").await.expect(404);
    target.request(("guest", "x"), "GET", &format!("auth/attempts/{node}"), &[], "").await.expect(401);
}

/// Requests at once are no way around the brake: each waits behind the one before, and too many are not even heard.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guessing_in_parallel_ends_in_refusals() {
    let target = Target::configured(|config| {
        config.limits.login_failures_free = 1;
        config.limits.login_delay = Duration::from_secs(3);
    })
    .await;
    target.request(("guest", "wrong"), "GET", "whoami", &[], "").await.expect(401);
    let address = target.broker.management_addrs()[0];
    let mut guesses = tokio::task::JoinSet::new();
    for _ in 0..300 {
        guesses.spawn(async move {
            crate::http::ask(address, ("guest", "wrong"), "GET", "whoami", &[], "").await.status
        });
    }
    // Those that wait are not waited for.
    loop {
        match guesses.join_next().await.expect("one is refused before all were heard").unwrap() {
            429 => break,
            other => assert_eq!(other, 401),
        }
    }
    let limits = target.broker.limits();
    let limit = limits.iter().find(|report| report.name == "limits.login_failures_free").unwrap();
    assert!(1 <= limit.refusals);
}
