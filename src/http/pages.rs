//! The management pages: files of the binary, which ask the API for everything else.

use hyper::{Method, StatusCode};

use super::{answer::Answer, etag};

/// Nothing from elsewhere, nothing inline, in nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const IMAGE: &str = "image/svg+xml";

macro_rules! files {
    ($($path:literal: $file:literal, $kind:expr;)*) => {
        &[$(($path, $kind, include_bytes!(concat!("ui/", $file)))),*]
    };
}

/// Path, content type, content.
static FILES: &[(&str, &str, &[u8])] = files! {
    "/": "index.html", HTML;
    "/index.html": "index.html", HTML;
    "/ui/icon.svg": "icon.svg", IMAGE;
    "/ui/stream.js": "stream.js", SCRIPT;
    "/ui/style.css": "style.css", CSS;
    "/ui/api.js": "api.js", SCRIPT;
    "/ui/app.js": "app.js", SCRIPT;
    "/ui/chart.js": "chart.js", SCRIPT;
    "/ui/clients.js": "clients.js", SCRIPT;
    "/ui/dom.js": "dom.js", SCRIPT;
    "/ui/exchanges.js": "exchanges.js", SCRIPT;
    "/ui/node.js": "node.js", SCRIPT;
    "/ui/overview.js": "overview.js", SCRIPT;
    "/ui/policies.js": "policies.js", SCRIPT;
    "/ui/queue.js": "queue.js", SCRIPT;
    "/ui/queues.js": "queues.js", SCRIPT;
    "/ui/table.js": "table.js", SCRIPT;
    "/ui/users.js": "users.js", SCRIPT;
    "/ui/vhosts.js": "vhosts.js", SCRIPT;
};

/// The file at a path, if there is one.
pub fn answer(method: &Method, path: &str) -> Option<Answer> {
    let (_, kind, content) = FILES.iter().find(|(known, _, _)| *known == path)?;
    if method != Method::GET && method != Method::HEAD {
        return Some(Answer::empty(StatusCode::METHOD_NOT_ALLOWED).header("allow", "GET, HEAD"));
    }
    let answer = Answer { body: Some(content.to_vec()), content_type: kind, ..Answer::empty(StatusCode::OK) };
    // Asked about anew each time, so that a newer broker is seen at once, but sent only to who does not have them.
    let answer =
        etag::tagged(answer).header("cache-control", "no-cache").header("content-security-policy", POLICY);
    let answer = answer.header("x-content-type-options", "nosniff").header("referrer-policy", "no-referrer");
    Some(answer.header("x-frame-options", "DENY"))
}
