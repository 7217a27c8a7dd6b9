//! Requests of pages from elsewhere, whose answers browsers hand over only if they say so.

use hyper::{
    HeaderMap, Method,
    header::{ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, HeaderName, ORIGIN},
};

use super::answer::Answer;

/// Which pages may ask.
#[derive(Debug, Clone, Default)]
pub struct Cors {
    /// As browsers name them, `https://example.org`, or `*`.
    pub origins: Vec<String>,
    /// For how many seconds browsers may keep the answer.
    pub max_age: Option<u64>,
}

/// What a request says of where it comes from.
#[derive(Debug)]
pub struct Asked {
    origin: Option<String>,
    /// What a browser wants to know before the request itself.
    headers: Option<String>,
    is_preflight: bool,
}

impl Asked {
    pub fn of(method: &Method, headers: &HeaderMap) -> Asked {
        let text = |name: HeaderName| headers.get(name)?.to_str().ok().map(str::to_owned);
        Asked {
            origin: text(ORIGIN),
            headers: text(ACCESS_CONTROL_REQUEST_HEADERS),
            is_preflight: method == Method::OPTIONS && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD),
        }
    }
}

impl Cors {
    /// Adds to an answer what a browser must know, if the page may ask.
    pub fn apply(&self, asked: &Asked, mut answer: Answer) -> Answer {
        let Some(origin) = &asked.origin else { return answer };
        if self.origins.contains(origin) {
            answer = answer.header("access-control-allow-origin", origin);
            answer = answer.header("access-control-allow-credentials", "true");
        } else if self.origins.iter().any(|allowed| allowed == "*") {
            // Everybody may ask with a password of their own, but nobody with what the browser remembers.
            answer = answer.header("access-control-allow-origin", "*");
        } else {
            return answer;
        }
        if !asked.is_preflight {
            return answer;
        }
        let methods =
            answer.headers.iter().find(|(name, _)| *name == "allow").map(|(_, allow)| allow.clone());
        if let Some(methods) = methods {
            answer = answer.header("access-control-allow-methods", methods);
        }
        if let Some(headers) = &asked.headers {
            answer = answer.header("access-control-allow-headers", headers);
        }
        match self.max_age {
            Some(seconds) => answer.header("access-control-max-age", seconds.to_string()),
            None => answer,
        }
    }
}
