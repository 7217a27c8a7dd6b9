//! Answers, and refusals in RabbitMQ's words.

use hyper::{StatusCode, body::Bytes};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::{
    broker::topology::TopologyError,
    engine::{BadPattern, Refused},
};

/// What goes back to the client.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub body: Option<Vec<u8>>,
    pub content_type: &'static str,
    pub headers: Vec<(&'static str, String)>,
    /// What is still to come, in place of a body.
    pub live: Option<mpsc::Receiver<Bytes>>,
}

pub const JSON: &str = "application/json";

impl Answer {
    pub fn empty(status: StatusCode) -> Answer {
        Answer { status, body: None, content_type: JSON, headers: Vec::new(), live: None }
    }

    pub fn json(value: &Value) -> Answer {
        Answer::with_status(StatusCode::OK, value)
    }

    pub fn with_status(status: StatusCode, value: &Value) -> Answer {
        Answer { body: Some(value.to_string().into_bytes()), ..Answer::empty(status) }
    }

    /// 204.
    pub fn done() -> Answer {
        Answer::empty(StatusCode::NO_CONTENT)
    }

    /// 201 for what is new, 204 for what was there.
    pub fn put(is_new: bool) -> Answer {
        Answer::empty(if is_new { StatusCode::CREATED } else { StatusCode::NO_CONTENT })
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Answer {
        self.headers.push((name, value.into()));
        self
    }
}

/// Why a request is refused.
#[derive(Debug)]
pub struct Refusal {
    pub status: StatusCode,
    pub error: &'static str,
    pub reason: String,
    /// Whether browsers should ask for another password.
    pub challenge: bool,
}

impl Refusal {
    fn new(status: StatusCode, error: &'static str, reason: impl Into<String>) -> Refusal {
        Refusal { status, error, reason: reason.into(), challenge: false }
    }

    /// No such object, no such route.
    pub fn not_found() -> Refusal {
        Refusal::new(StatusCode::NOT_FOUND, "Object Not Found", "Not Found")
    }

    /// Something that the object is made of is missing.
    pub fn missing(reason: impl Into<String>) -> Refusal {
        Refusal::new(StatusCode::NOT_FOUND, "not_found", reason)
    }

    pub fn bad_request(reason: impl Into<String>) -> Refusal {
        Refusal::new(StatusCode::BAD_REQUEST, "bad_request", reason)
    }

    /// Pages that are not there.
    pub fn page(error: &'static str, reason: impl Into<String>) -> Refusal {
        Refusal::new(StatusCode::BAD_REQUEST, error, reason)
    }

    /// What may not be deleted.
    pub fn protected(reason: impl Into<String>) -> Refusal {
        Refusal::new(StatusCode::PRECONDITION_FAILED, "precondition_failed", reason)
    }

    pub fn too_large() -> Refusal {
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", "the request body is too large")
    }

    /// So many logins of an address failed that the next ones have to wait too long.
    pub fn too_many_logins() -> Refusal {
        Refusal::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", "Too many failed logins")
    }

    pub fn timed_out() -> Refusal {
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "timeout", "the request took too long")
    }

    /// Somebody known who may not do this.
    pub fn not_authorised(reason: impl Into<String>) -> Refusal {
        Refusal::new(StatusCode::UNAUTHORIZED, "not_authorised", reason)
    }

    /// Somebody whose password is wrong.
    pub fn login_failed(reason: &str) -> Refusal {
        let refusal = Refusal::new(StatusCode::UNAUTHORIZED, "not_authorized", reason);
        Refusal { challenge: true, ..refusal }
    }

    pub fn answer(&self) -> Answer {
        let body = json!({ "error": self.error, "reason": self.reason });
        let answer = Answer::with_status(self.status, &body);
        if self.challenge { answer.header("www-authenticate", CHALLENGE) } else { answer }
    }
}

pub const CHALLENGE: &str = "Basic realm=\"RabbitMQ Management\"";

/// AMQP refuses these with access-refused, HTTP with the same words for all.
fn access_refused() -> Refusal {
    Refusal::not_authorised("Access refused.")
}

impl From<TopologyError> for Refusal {
    fn from(error: TopologyError) -> Refusal {
        use TopologyError as E;
        match &error {
            E::NoExchange { .. } | E::NoQueue { .. } => Refusal::missing(error.to_string()),
            E::ReservedName { .. }
            | E::DefaultExchange
            | E::SystemExchange { .. }
            | E::InternalExchange { .. } => access_refused(),
            E::UnknownType { .. }
            | E::Inequivalent { .. }
            | E::ArgumentType { .. }
            | E::ExchangeLimit { .. }
            | E::InUse { .. }
            | E::Further(_)
            | E::MatchValue { .. }
            | E::MatchType { .. } => Refusal::bad_request(error.to_string()),
        }
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Refusal {
        match refused {
            Refused::Topology(error) => error.into(),
            Refused::NoQueue { .. } | Refused::NoPreviousQueue | Refused::VhostDeleted { .. } => {
                Refusal::not_found()
            }
            Refused::ReservedName { .. }
            | Refused::NotAllowed { .. }
            | Refused::TopicNotAllowed { .. }
            | Refused::ReplyQueue => access_refused(),
            Refused::Locked { .. }
            | Refused::ExclusiveUse { .. }
            | Refused::Argument(_)
            | Refused::NotOfStreams { .. }
            | Refused::NoPrefetch { .. }
            | Refused::SharedPrefetch { .. }
            | Refused::InUse { .. }
            | Refused::QueueLimit { .. }
            | Refused::ClusterQueueLimit { .. }
            | Refused::NotEmpty { .. } => Refusal::bad_request(refused.to_string()),
        }
    }
}

impl From<BadPattern> for Refusal {
    fn from(error: BadPattern) -> Refusal {
        Refusal::bad_request(error.to_string())
    }
}
