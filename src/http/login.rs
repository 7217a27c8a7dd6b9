//! Who is asking: HTTP Basic against the broker's users, with the same brake on guessing as AMQP has.

use std::{net::IpAddr, sync::Arc, time::Duration};

use base64::prelude::{BASE64_STANDARD, Engine};
use hyper::{HeaderMap, StatusCode, header::AUTHORIZATION};
use serde_json::json;

use super::{
    Management,
    answer::{Answer, CHALLENGE, Refusal},
    passwords,
    path::Query,
};
use crate::{
    amqp::Limit,
    engine::{LoginProtocol, PasswordCheck, PasswordHash, User},
};

impl Management {
    /// The user of a request, or the answer to it.
    pub(super) async fn log_in(&self, headers: &HeaderMap, peer: IpAddr) -> Result<Arc<User>, Answer> {
        let Some((name, password)) = credentials(headers) else {
            let answer = Answer::empty(StatusCode::UNAUTHORIZED);
            return Err(answer.header("www-authenticate", CHALLENGE));
        };
        self.check_password(&name, &password, peer).await
    }

    /// Logs in by a form, as the pages of RabbitMQ do: they send the cookie's content as a header from then on.
    pub(super) async fn log_in_by_form(&self, form: &[u8], peer: IpAddr) -> Answer {
        let form = Query::parse(&String::from_utf8_lossy(form));
        let [name, password] = ["username", "password"].map(|field| form.get(field).unwrap_or_default());
        match self.check_password(name, password.as_bytes(), peer).await {
            Ok(_) => {
                let cookie = BASE64_STANDARD.encode(format!("{name}:{password}"));
                let cookie = format!("auth={cookie}; Version=1; SameSite=Strict");
                Answer::json(&json!("ok")).header("set-cookie", cookie)
            }
            Err(answer) => answer,
        }
    }

    async fn check_password(&self, name: &str, password: &[u8], peer: IpAddr) -> Result<Arc<User>, Answer> {
        let Some(delay) = self.node.guard.take_turn(peer, self.now()) else {
            self.node.refusals.add(Limit::LoginFailures);
            return Err(Refusal::too_many_logins().answer());
        };
        if delay != 0 {
            tokio::time::sleep(Duration::from_millis(delay)).await;
        }
        let [attempts, failures] = &self.node.stats.http_logins;
        attempts.add_shared(1);
        let result = match self.node.access.check_password(name, password, peer) {
            PasswordCheck::Done(result) => result,
            PasswordCheck::Slow(check) => passwords::check(check).await,
        };
        self.node.attempts.note(LoginProtocol::Http, peer, name, result.is_ok(), self.now());
        match result {
            Ok(user) if user.is_manager() => {
                self.node.guard.succeeded(peer);
                Ok(user)
            }
            Ok(user) => {
                self.node.guard.succeeded(peer);
                denied(&user.name, "Not management user");
                Err(Refusal::not_authorised("Not management user").answer())
            }
            Err(reason) => {
                failures.add_shared(1);
                self.node.guard.failed(peer, self.now());
                denied(name, reason);
                // The right password from the wrong place may be told so: it proves nothing that the place does
                // not show.
                let text = if reason.contains("localhost") {
                    "User can only log in via localhost"
                } else {
                    "Login failed"
                };
                Err(Refusal::login_failed(text).answer())
            }
        }
    }
}

/// Whoever comes through the broker's own socket, by RabbitMQ's name for that. No user of that name need exist.
pub fn tool() -> Arc<User> {
    let tags = vec!["administrator".to_owned()];
    Arc::new(User::new("rmq-cli", PasswordHash::nobody(), tags))
}

fn denied(user: &str, reason: &str) {
    let user: String = user.chars().take(255).collect();
    tracing::warn!("HTTP access denied: user '{}' - {reason}", user.escape_debug());
}

fn credentials(headers: &HeaderMap) -> Option<(String, Vec<u8>)> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let octets = BASE64_STANDARD.decode(encoded.trim()).ok()?;
    let at = octets.iter().position(|octet| *octet == b':')?;
    let (name, password) = octets.split_at_checked(at)?;
    Some((String::from_utf8(name.to_vec()).ok()?, password.get(1..)?.to_vec()))
}
