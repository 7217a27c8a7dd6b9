//! What all lists have in common: order, columns, pages, names, empty segments; and the small ones one by one.

use serde_json::{Value, json};

use crate::http::{GUEST, Target};

fn names(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn lists_with_pages_are_cut_filtered_sorted_and_narrowed() {
    let target = Target::start().await;
    for name in ["Alpha", "beta", "alphabet"] {
        target.put(&format!("queues/%2F/{name}"), "{}").await.expect(201);
        target.put(&format!("exchanges/%2F/{name}"), "{}").await.expect(201);
        target.put(&format!("vhosts/{name}"), "{}").await.expect(201);
        target.put(&format!("users/{name}"), r#"{"password":"p","tags":""}"#).await.expect(201);
    }
    for list in ["queues", "queues/%2F", "exchanges", "exchanges/%2F/", "vhosts", "users"] {
        let page = target.get(&format!("{list}?page=1&page_size=2&name=ALPHA")).await.expect(200).json();
        assert_eq!(names(&page["items"]), ["Alpha", "alphabet"], "{list}: without regard to case");
        let counts = ["filtered_count", "item_count", "page", "page_size", "page_count"];
        assert_eq!(counts.map(|key| page[key].as_u64().unwrap()), [2, 2, 1, 2, 1], "{list}");
        assert!(3 <= page["total_count"].as_u64().unwrap(), "{list}");
        let matching =
            "page=1&use_regex=true&pagination=false&name=^(alphabet|BETA)$&sort=name&sort_reverse=true";
        let page = target.get(&format!("{list}?{matching}&columns=name")).await.expect(200).json();
        assert_eq!(page["items"], json!([{ "name": "beta" }, { "name": "alphabet" }]), "{list}");
        let reply = target.get(&format!("{list}?page=7")).await.expect(400).json();
        assert_eq!(reply["error"], "page_out_of_range", "{list}");
        target.get(&format!("{list}?page=1&page_size=501")).await.expect(400);
        target.get(&format!("{list}?page=1&use_regex=true&name=(")).await.expect(400);
        // Without a page nothing is filtered, and there is no limit.
        let all = target.get(&format!("{list}?name=beta")).await.expect(200).json();
        assert!(3 <= names(&all).len(), "{list}");
    }
    for list in ["connections", "channels", "vhosts/%2F/connections", "vhosts/%2F/channels"] {
        let page = target.get(&format!("{list}?page=1&page_size=5")).await.expect(200).json();
        assert_eq!((&page["items"], &page["page_count"]), (&json!([]), &json!(1)), "{list}");
    }
    target.get("exchanges").await.expect(200);
    target.get("vhosts/%2F/channels").await.expect(200);
}

#[tokio::test]
async fn lists_without_pages_stay_arrays_that_can_be_sorted_and_narrowed() {
    let target = Target::start().await;
    let (one, two) = (r#"{"pattern":"a","definition":{"max-length":1},"priority":2}"#, "priority");
    target.put("policies/%2F/one", one).await.expect(201);
    target.put("policies/%2F/three", &one.replace('2', "1")).await.expect(201);
    for list in [
        "bindings",
        "consumers",
        "nodes",
        "parameters",
        "global-parameters",
        "permissions",
        "topic-permissions",
        "policies",
        "operator-policies",
        "user-limits",
        "vhost-limits",
        "feature-flags",
        "definitions/%2F",
    ] {
        let shown = target.get(&format!("{list}?page=1&page_size=1")).await.expect(200).json();
        assert!(shown.is_array() || list == "definitions/%2F", "{list}: {shown}");
    }
    let sorted = target.get(&format!("policies?sort={two}&columns=name,{two}")).await.expect(200).json();
    assert_eq!(sorted, json!([{ "name": "three", "priority": 1 }, { "name": "one", "priority": 2 }]));
    assert_eq!(target.get("operator-policies/%2F").await.expect(200).json(), json!([]));
    target.get("operator-policies/none").await.expect(404);
}

#[tokio::test]
async fn samples_are_spaced_as_they_are_asked_for() {
    let target = Target::start().await;
    target.put("queues/%2F/q", "{}").await.expect(201);
    let query = "lengths_age=60&lengths_incr=5&msg_rates_age=60&msg_rates_incr=10&data_rates_age=60&data_rates_incr=20";
    for path in ["overview", "queues/%2F/q", "vhosts/%2F"] {
        let shown = target.get(&format!("{path}?{query}")).await.expect(200).json();
        let totals = if path == "overview" { &shown["queue_totals"] } else { &shown };
        let details = &totals["messages_details"];
        let times: Vec<u64> = details["samples"]
            .as_array()
            .unwrap()
            .iter()
            .map(|sample| sample["timestamp"].as_u64().unwrap())
            .collect();
        assert_eq!(times.len(), 13, "{path}");
        assert!(times.windows(2).all(|pair| pair[0] == pair[1] + 5_000), "{path}: the newest first");
        assert!(
            times[0].is_multiple_of(5_000) && details["avg"].is_f64() && details["avg_rate"].is_f64(),
            "{path}"
        );
    }
    for wrong in
        ["lengths_age=60&lengths_incr=0", "lengths_age=x&lengths_incr=5", "lengths_age=9999&lengths_incr=1"]
    {
        target.get(&format!("overview?{wrong}")).await.expect(400);
    }
}

#[tokio::test]
async fn bindings_are_found_by_both_ends() {
    let target = Target::start().await;
    target.put("queues/%2F/q", "{}").await.expect(201);
    target.put("exchanges/%2F/x", r#"{"type":"fanout"}"#).await.expect(201);
    target.post("bindings/%2F/e/amq.topic/q/q", r#"{"routing_key":"a/b"}"#).await.expect(201);
    target.post("bindings/%2F/e/amq.topic/e/x", "{}").await.expect(201);
    let of_vhost = target.get("bindings/%2F").await.expect(200).json();
    assert_eq!(of_vhost.as_array().unwrap().len(), 3, "with that of the default exchange");
    let between = target.get("bindings/%2F/e/amq.topic/q/q").await.expect(200).json();
    assert_eq!((between.as_array().unwrap().len(), &between[0]["properties_key"]), (1, &json!("a%2Fb")));
    let one = target.get("bindings/%2F/e/amq.topic/q/q/a%252Fb").await.expect(200).json();
    assert_eq!(one, between[0]);
    // Some clients send the routing key, not the key that they were told.
    target
        .post("bindings/%2F/e/amq.topic/q/q", r#"{"routing_key":"a.*","arguments":{"x":1}}"#)
        .await
        .expect(201);
    target.post("bindings/%2F/e/amq.topic/q/q", r#"{"routing_key":"a.*"}"#).await.expect(201);
    for key in ["a.*", "a.%2A", "a.%252A"] {
        let one = target.get(&format!("bindings/%2F/e/amq.topic/q/q/{key}")).await.expect(200).json();
        assert_eq!((&one["routing_key"], &one["arguments"]), (&json!("a.*"), &json!({})), "{key}");
    }
    target.get("bindings/%2F/e/amq.topic/q/q/a.*~none").await.expect(404);
    let between = target.get("bindings/%2F/e/amq.topic/e/x").await.expect(200).json();
    assert_eq!(between[0]["destination_type"], "exchange");
    assert_eq!(target.get("bindings/%2F/e/amq.topic/e/x/~").await.expect(200).json(), between[0]);
    target.delete("bindings/%2F/e/amq.topic/e/x/~").await.expect(204);
    target.get("bindings/%2F/e/amq.topic/e/x/~").await.refused(404, "Object Not Found", "Not Found");
    // What is not there has none.
    for path in
        ["bindings/%2F/e/none/q/q", "queues/%2F/none/bindings", "exchanges/%2F/none/bindings/destination"]
    {
        assert_eq!(target.get(path).await.expect(200).json(), json!([]), "{path}");
    }
    target.get("bindings/none").await.refused(404, "Object Not Found", "Not Found");
}

#[tokio::test]
async fn single_health_checks_and_the_old_name_of_definitions() {
    let target = Target::start().await;
    target.get("health/checks/alarms").await.expect(200);
    target.get("health/checks/virtual-hosts").await.expect(200);
    let document = json!({ "vhosts": [{ "name": "imported" }] }).to_string();
    target.post("all-configuration", &document).await.expect(204);
    target.get("vhosts/imported").await.expect(200);
    target.put("queues/%2F/q", "{}").await.expect(201);
    target.get("leveret/queues/%2F/q/why").await.expect(200);
    target.get("leveret/queues/%2F/none/why").await.expect(404);
}

#[tokio::test]
async fn rights_on_topics_are_given_and_taken_for_one_exchange_or_all() {
    let target = Target::start().await;
    target.put("users/u", r#"{"password":"p","tags":""}"#).await.expect(201);
    target.put("permissions/%2F/u", r#"{"configure":"","write":".*","read":".*"}"#).await.expect(201);
    let row = |exchange: &str| format!(r#"{{"exchange":"{exchange}","write":"^a","read":"^b"}}"#);
    target.put("topic-permissions/%2F/u", &row("amq.topic")).await.expect(201);
    target.put("topic-permissions/%2F/u/other", &row("other")).await.expect(204);
    assert_eq!(
        target.get("topic-permissions/%2F/u/other").await.expect(200).json().as_array().unwrap().len(),
        2
    );
    assert_eq!(
        target.get("vhosts/%2F/topic-permissions").await.expect(200).json().as_array().unwrap().len(),
        2
    );
    target.delete("topic-permissions/%2F/u/other").await.expect(204);
    let left = target.get("topic-permissions/%2F/u").await.expect(200).json();
    assert_eq!((left.as_array().unwrap().len(), &left[0]["exchange"]), (1, &json!("amq.topic")));
    target.delete("topic-permissions/%2F/u").await.expect(204);
    target.delete("topic-permissions/%2F/u").await.expect(404);
}

#[tokio::test]
async fn the_log_is_for_those_who_watch() {
    let target = Target::start().await;
    target.put("users/m", r#"{"password":"p","tags":"management"}"#).await.expect(201);
    for reply in [
        target.request(("m", "p"), "GET", "leveret/log/live", &[], "").await,
        target.request(("m", "p"), "GET", "leveret/log", &[], "").await,
    ] {
        reply.refused(401, "not_authorised", "Not monitor user");
    }
}

#[tokio::test]
async fn limits_are_parameters_too() {
    let target = Target::start().await;
    let body = r#"{"value":{"max-queues":3}}"#;
    target.put("parameters/vhost-limits/%2F/limits", body).await.expect(201);
    assert_eq!(target.get("vhost-limits/%2F").await.json()[0]["value"], json!({ "max-queues": 3 }));
    target.delete("parameters/vhost-limits/%2F/limits").await.expect(204);
    assert_eq!(target.get("vhost-limits").await.json(), json!([]));
}

#[tokio::test]
async fn closing_one_connection_needs_its_whole_name() {
    let target = Target::start().await;
    let connection = target.connect(GUEST, "%2f").await.unwrap();
    let name = target.get("connections?columns=name").await.json()[0]["name"].as_str().unwrap().to_owned();
    let quoted = name.replace(' ', "%20").replace('>', "%3E");
    target.delete("connections/nobody").await.refused(404, "Object Not Found", "Not Found");
    target.delete(&format!("connections/{quoted}")).await.expect(204);
    crate::http::eventually("the end of the connection", || async { !connection.status().connected() }).await;
}
