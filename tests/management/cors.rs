//! Pages from elsewhere that ask the HTTP API.

use crate::http::{GUEST, Reply, Target};

const PAGE: &str = "https://page.example";

async fn from(target: &Target, method: &str, origin: &str) -> Reply {
    let headers = [
        ("origin", origin),
        ("access-control-request-method", "PUT"),
        ("access-control-request-headers", "authorization"),
    ];
    target.request(GUEST, method, "queues", &headers, "").await.expect(200)
}

async fn allowing(origins: &[&str]) -> Target {
    let origins = origins.iter().map(|origin| (*origin).to_owned()).collect();
    Target::configured(|config| config.management.cors_allow_origins = origins).await
}

#[tokio::test]
async fn pages_from_elsewhere_may_ask_only_if_they_are_named() {
    let nobody = allowing(&[]).await;
    let some = allowing(&["https://other.example", PAGE]).await;
    for (target, origin, allowed) in [
        (&nobody, PAGE, None),
        (&some, PAGE, Some(PAGE)),
        (&some, "https://page.example.evil", None),
        (&some, "null", None),
    ] {
        for method in ["GET", "OPTIONS"] {
            let reply = from(target, method, origin).await;
            assert_eq!(reply.header("access-control-allow-origin"), allowed, "{method} {origin}");
            let credentials = allowed.map(|_| "true");
            assert_eq!(reply.header("access-control-allow-credentials"), credentials, "{method} {origin}");
        }
    }
    let before = from(&some, "OPTIONS", PAGE).await;
    assert_eq!(before.header("access-control-max-age"), Some("1800"));
    assert_eq!(before.header("access-control-allow-headers"), Some("authorization"));
    assert_eq!(before.header("access-control-allow-methods"), before.header("allow"));
    assert_eq!(from(&some, "GET", PAGE).await.header("access-control-max-age"), None);
}

#[tokio::test]
async fn who_lets_all_pages_ask_lets_none_use_what_a_browser_remembers() {
    let target = allowing(&["*"]).await;
    let reply = from(&target, "GET", PAGE).await;
    assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
    assert_eq!(reply.header("access-control-allow-credentials"), None);
}
