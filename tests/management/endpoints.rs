//! Every endpoint with the tests that use it. `ENDPOINTS.md` is made from what the sources of the tests ask for and
//! the broker's own list; a new endpoint without a test fails here.
//!
//!     UPDATE_ENDPOINTS=1 cargo test --test management endpoints

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use regex::Regex;

use crate::http::Target;

const HERE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/management");
/// Tests that are named for one method of one endpoint.
const NAMED_MAX: usize = 3;

/// Method and path.
type Use = (String, Vec<String>);

/// A path of the list, split.
type Pattern = Vec<String>;

#[tokio::test]
async fn every_endpoint_has_a_test_and_the_table_is_current() {
    let target = Target::start().await;
    let document = target.get("openapi.json").await.expect(200).json();
    let mut table: BTreeMap<(Pattern, String), BTreeSet<String>> = BTreeMap::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let pattern = split(path.strip_prefix("/api/").unwrap());
        for method in methods.as_object().unwrap().keys() {
            table.insert((pattern.clone(), method.to_uppercase()), BTreeSet::new());
        }
    }
    let patterns: BTreeSet<Pattern> = table.keys().map(|(pattern, _)| pattern.clone()).collect();
    for (test, (method, path)) in uses() {
        let Some(pattern) = best(&patterns, &path) else { continue };
        if let Some(tests) = table.get_mut(&(pattern.clone(), method)) {
            tests.insert(test);
        }
    }
    let text = render(&table);
    let file = Path::new(HERE).join("ENDPOINTS.md");
    if std::env::var_os("UPDATE_ENDPOINTS").is_some() {
        fs::write(&file, &text).unwrap();
    }
    let without: Vec<_> = table.iter().filter(|(_, tests)| tests.is_empty()).map(|(key, _)| key).collect();
    assert!(without.is_empty(), "no test uses {without:?}");
    let written = rows(&fs::read_to_string(&file).unwrap_or_default());
    let listed: BTreeSet<_> = written.keys().collect();
    assert_eq!(listed, table.keys().collect(), "{OUTDATED}");
    for (key, tests) in &written {
        // It need not name all, or every new test would change it.
        assert!(!tests.is_empty() && tests.is_subset(&table[key]), "{OUTDATED}: {key:?}");
    }
}

const OUTDATED: &str = "ENDPOINTS.md is out of date: run this test with UPDATE_ENDPOINTS=1";

/// What a table that was written says.
fn rows(text: &str) -> BTreeMap<(Pattern, String), BTreeSet<String>> {
    let cells = |line: &str| -> Option<Vec<String>> {
        let cells = line.strip_prefix("| `")?.split(" | ");
        Some(cells.map(|cell| cell.trim_end_matches(" |").to_owned()).collect())
    };
    let row = |cells: Vec<String>| {
        let tests = cells[2].split(", ").map(|test| test.trim_matches('`').to_owned()).collect();
        ((split(cells[0].trim_matches('`')), cells[1].clone()), tests)
    };
    text.lines().filter_map(cells).map(row).collect()
}

fn split(path: &str) -> Vec<String> {
    path.trim_end_matches('/').split('/').map(str::to_owned).collect()
}

fn is_name(segment: &str) -> bool {
    segment.starts_with('{')
}

/// The pattern that a path fits with the fewest names.
fn best<'a>(patterns: &'a BTreeSet<Pattern>, path: &[String]) -> Option<&'a Pattern> {
    let fits = |pattern: &&Pattern| {
        let alike = |(segment, part): (&String, &String)| is_name(segment) || segment == part;
        pattern.len() == path.len() && pattern.iter().zip(path).all(alike)
    };
    let fitting = patterns.iter().filter(fits);
    fitting.min_by_key(|pattern| pattern.iter().filter(|segment| is_name(segment)).count())
}

/// What every function of the tests asks for.
fn uses() -> Vec<(String, Use)> {
    let function = Regex::new(r"(?m)^(?:pub )?(?:async )?fn (\w+)").unwrap();
    let called = Regex::new(r#"\.(get|put|post|delete)\(\s*&?(?:format!\(\s*)?r?#*"([^"]*)""#).unwrap();
    let named = Regex::new(r#""(GET|PUT|POST|DELETE|HEAD)",\s*&?(?:format!\(\s*)?&?r?#*"([^"]*)""#).unwrap();
    let raw = Regex::new(r#"(GET|PUT|POST|DELETE|HEAD) /api/([^ "]*)"#).unwrap();
    let mut all = Vec::new();
    for entry in fs::read_dir(HERE).unwrap().flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let source = fs::read_to_string(&path).unwrap();
        let file = path.file_stem().unwrap().to_string_lossy().into_owned();
        let starts: Vec<_> = function.captures_iter(&source).collect();
        for pattern in [&called, &named, &raw] {
            for found in pattern.captures_iter(&source) {
                let at = found.get(0).unwrap().start();
                let within = starts.iter().rev().find(|start| start.get(0).unwrap().start() <= at);
                let Some(within) = within else { continue };
                let path = found[2].split('?').next().unwrap();
                let method = found[1].to_uppercase().replace("HEAD", "GET");
                all.push((format!("{file}::{}", &within[1]), (method, split(path))));
            }
        }
    }
    all
}

fn render(table: &BTreeMap<(Pattern, String), BTreeSet<String>>) -> String {
    let mut text = String::from(
        "# Endpoints and their tests\n\nMade by `endpoints.rs` here; not to be edited. Tests are named by file and \
         function, three at most.\n\n| endpoint | method | tests |\n| --- | --- | --- |\n",
    );
    for ((pattern, method), tests) in table {
        let shown: Vec<String> = tests.iter().take(NAMED_MAX).map(|test| format!("`{test}`")).collect();
        text.push_str(&format!("| `{}` | {method} | {} |\n", pattern.join("/"), shown.join(", ")));
    }
    text
}
