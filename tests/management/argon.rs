//! Users whose passwords are kept as Argon2id: logins over AMQP and HTTP, definitions, restarts.

use leveret::Config;
use serde_json::{Value, json};

use crate::http::{GUEST, Target};

const ARGON: &str = "leveret_password_hashing_argon2id";

fn slow(config: &mut Config) {
    config.auth.password_hashing = leveret::engine::Hashing::Argon2id;
}

async fn user_of(target: &Target, name: &str) -> Value {
    target.get(&format!("users/{name}")).await.expect(200).json()
}

#[tokio::test]
async fn new_passwords_are_kept_slowly_and_log_in_over_both_protocols() {
    let target = Target::configured(slow).await;
    assert_eq!(user_of(&target, "guest").await["hashing_algorithm"], ARGON, "the first user, too");
    target.put("users/u", r#"{"password":"secret","tags":"management"}"#).await.expect(201);
    target.put("permissions/%2F/u", r#"{"configure":"","write":"","read":""}"#).await.expect(201);
    assert_eq!(user_of(&target, "u").await["hashing_algorithm"], ARGON);
    target.request(("u", "wrong"), "GET", "whoami", &[], "").await.expect(401);
    // Many at once, of whom nobody knows the password to be right yet.
    let connections: Vec<_> = (0..8).map(|_| target.connect(("u", "secret"), "%2F")).collect();
    for connection in all(connections).await {
        assert!(connection.unwrap().status().connected());
    }
    target.request(("u", "secret"), "GET", "whoami", &[], "").await.expect(200);
    for (user, password) in [("u", "wrong"), ("u", ""), ("nobody", "secret")] {
        let refused = target.connect((user, password), "%2F").await.unwrap_err();
        assert!(refused.contains("ACCESS_REFUSED"), "{refused}");
    }
    // A user with a hash of RabbitMQ beside them, and a password that is changed.
    let body =
        r#"{"password_hash":"kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR","tags":["management"]}"#;
    target.put("users/r", body).await.expect(201);
    target.request(("r", "test12"), "GET", "whoami", &[], "").await.expect(200);
    target.request(("r", "test13"), "GET", "whoami", &[], "").await.expect(401);
    target.put("users/u", r#"{"password":"other","tags":"management"}"#).await.expect(204);
    target.request(("u", "secret"), "GET", "whoami", &[], "").await.expect(401);
    target.request(("u", "other"), "GET", "whoami", &[], "").await.expect(200);
}

/// Waits for all of them at once.
async fn all<T>(futures: Vec<impl Future<Output = T>>) -> Vec<T> {
    let mut futures: Vec<_> = futures.into_iter().map(|future| (Some(Box::pin(future)), None)).collect();
    std::future::poll_fn(|context| {
        for (future, output) in &mut futures {
            if let Some(std::task::Poll::Ready(value)) =
                future.as_mut().map(|future| future.as_mut().poll(context))
            {
                (*future, *output) = (None, Some(value));
            }
        }
        match futures.iter().all(|(_, output)| output.is_some()) {
            true => {
                std::task::Poll::Ready(futures.iter_mut().filter_map(|(_, output)| output.take()).collect())
            }
            false => std::task::Poll::Pending,
        }
    })
    .await
}

#[tokio::test]
async fn definitions_take_such_users_along_and_refuse_what_is_no_hash() {
    let from = Target::configured(slow).await;
    from.put("users/u", r#"{"password":"secret","tags":"management"}"#).await.expect(201);
    let definitions = from.get("definitions").await.expect(200).body;
    let to = Target::start().await;
    to.post("definitions", &definitions).await.expect(204);
    to.request(("u", "secret"), "GET", "whoami", &[], "").await.expect(200);
    to.request(("u", "wrong"), "GET", "whoami", &[], "").await.expect(401);
    assert_eq!(user_of(&to, "u").await["hashing_algorithm"], ARGON);

    let hash =
        |text: &str| json!({ "password_hash": text, "hashing_algorithm": ARGON, "tags": "" }).to_string();
    for text in [
        "aaaa",
        "JGFyZ29uMmlkJHY9MTkkbT00Mjk0OTY3Mjk1LHQ9MixwPTEkYzI5dFpYTmhiSFEkQ1RGaEZkWFBKTzFhRmFNYU82TW01Yzh5N2NKSEFwaDhBclpXYjJHUlBQYw==",
    ] {
        to.put("users/v", &hash(text)).await.refused(
            400,
            "bad_request",
            "password_hash is none of Argon2id, or costs too much",
        );
    }
}

#[tokio::test]
async fn such_users_outlive_a_restart_with_another_configuration() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    let place = path.clone();
    let target = Target::configured(move |config| {
        slow(config);
        config.storage.data_dir = Some(place);
    })
    .await;
    target.put("users/u", r#"{"password":"secret","tags":"administrator"}"#).await.expect(201);
    target.broker.shutdown().await;
    let target = Target::on_disk(path).await;
    target.request(("u", "wrong"), "GET", "whoami", &[], "").await.expect(401);
    target.request(("u", "secret"), "GET", "whoami", &[], "").await.expect(200);
    target.request(GUEST, "GET", "whoami", &[], "").await.expect(200);
    target.put("users/v", r#"{"password":"secret","tags":""}"#).await.expect(201);
    assert_eq!(user_of(&target, "v").await["hashing_algorithm"], "rabbit_password_hashing_sha256");
}
