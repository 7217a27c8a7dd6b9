//! Which tests prove which lines of the behaviour reference: `tests/REFERENCE.md`, written from the names of the tests.
//!
//! A test is named after the lines it proves: `que_42_...`, `exc_50_to_65_...`, `prm_12_and_13_...`, `qq_05_ver_16_...`.
//! A case of the differential test has them in a string of their own.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Where the table is.
const TABLE: &str = "tests/REFERENCE.md";
/// Set to write the table instead of comparing it.
const WRITE: &str = "LEVERET_WRITE_REFERENCE";

/// Prefixes of the reference's lines.
const PREFIXES: &[&str] = &[
    "ALM", "APP", "BAS", "CH", "CNF", "CON", "DLX", "EXC", "LEN", "LIM", "POL", "PRI", "PRM", "QQ", "QRK",
    "QUE", "RST", "STR", "TTL", "TX", "USR", "VER", "WIR",
];

/// What must have a test each: the lines about exchanges, queues, dead letters and their kind, quorum queues, streams,
/// policies, limits and permissions, as ranges of numbers.
const REQUIRED: &[(&str, &[(u32, u32)])] = &[
    ("EXC", &[(1, 26), (30, 32), (40, 41), (50, 66), (70, 78), (80, 91)]),
    ("QUE", &[(1, 6), (10, 15), (20, 47), (50, 55), (60, 67), (70, 70)]),
    ("DLX", &[(1, 10), (20, 26), (30, 31)]),
    ("TTL", &[(1, 9)]),
    ("LEN", &[(1, 9)]),
    ("PRI", &[(1, 5)]),
    ("QQ", &[(1, 11)]),
    ("STR", &[(1, 13)]),
    ("POL", &[(1, 7), (10, 15)]),
    ("LIM", &[(1, 4)]),
    ("PRM", &[(1, 15), (20, 22)]),
    ("USR", &[(1, 4)]),
];

/// One line of the reference.
type Id = (String, u32);

/// Tests by the lines they prove.
type Proofs = BTreeMap<Id, BTreeSet<String>>;

/// The lines that a test's name stands for.
fn ids_of_name(name: &str) -> Vec<Id> {
    let (mut ids, mut prefix, mut from): (Vec<Id>, Option<&str>, Option<u32>) = (Vec::new(), None, None);
    for word in name.split('_') {
        let upper = word.to_ascii_uppercase();
        let number = word.parse::<u32>().ok().filter(|_| 2 <= word.len());
        match (PREFIXES.iter().find(|known| **known == upper), prefix, number) {
            (Some(known), ..) => prefix = Some(*known),
            (None, Some(prefix), Some(number)) => {
                let first = from.take().map_or(number, |from| from + 1);
                ids.extend((first..=number).map(|number| (prefix.to_owned(), number)));
            }
            // A range needs its beginning, which is there already.
            (None, Some(_), None) if word == "to" => from = ids.last().map(|(_, number)| *number),
            (None, Some(_), None) if word == "and" => {}
            (None, Some(_), None) => break,
            (None, None, _) => return Vec::new(),
        }
    }
    ids
}

/// The lines in a string such as `"QUE-20 CH-43"`, if it holds nothing else.
fn ids_of_text(text: &str) -> Option<Vec<Id>> {
    let id = |word: &str| {
        let (prefix, number) = word.split_once('-')?;
        PREFIXES.contains(&prefix).then_some(())?;
        Some((prefix.to_owned(), number.parse().ok()?))
    };
    text.split(' ').map(id).collect()
}

fn rust_files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a readable directory") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The names of the tests in a file: functions with an attribute that ends in `test` or stands in `proptest!`.
fn tests(text: &str) -> Vec<&str> {
    let (mut names, mut is_test) = (Vec::new(), false);
    for line in text.lines().map(str::trim) {
        if line.starts_with("#[") {
            is_test |= line.contains("test]") || line.contains("test(");
        } else if is_test && !line.starts_with("//") {
            let head = line.strip_prefix("async ").unwrap_or(line);
            if let Some((name, _)) = head.strip_prefix("fn ").and_then(|rest| rest.split_once('(')) {
                names.push(name);
            }
            is_test = false;
        }
    }
    names
}

fn proofs() -> Proofs {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for directory in ["src", "tests"] {
        rust_files(&root.join(directory), &mut files);
    }
    let mut proofs = Proofs::new();
    for file in files {
        let path =
            file.strip_prefix(root).expect("a path below the root").to_string_lossy().replace('\\', "/");
        if path.starts_with("tests/fuzz/") || path.starts_with("tests/tidy") {
            continue;
        }
        let text = fs::read_to_string(&file).expect("UTF-8 source");
        for name in tests(&text) {
            for id in ids_of_name(name) {
                proofs.entry(id).or_default().insert(format!("`{path}` {name}"));
            }
        }
        if path.starts_with("tests/differential/cases/") {
            for id in text.split('"').filter_map(ids_of_text).flatten() {
                proofs.entry(id).or_default().insert(format!("`{path}`"));
            }
        }
    }
    proofs
}

fn table(proofs: &Proofs) -> String {
    let mut text = format!(
        "# Lines of the behaviour reference and the tests that prove them\n\n\
         Written from the names of the tests by `{WRITE}=1 cargo test --test tidy reference`; do not edit. A file \
         of `tests/differential` stands for its cases, which are played against RabbitMQ, too.\n\n\
         | line | tests |\n| --- | --- |\n"
    );
    for ((prefix, number), tests) in proofs {
        let tests: Vec<&str> = tests.iter().map(String::as_str).collect();
        text.push_str(&format!("| {prefix}-{number:02} | {} |\n", tests.join("<br>")));
    }
    text
}

#[test]
fn the_reference_has_a_test_for_every_line_it_must_and_its_table_is_current() {
    let proofs = proofs();
    let mut missing = Vec::new();
    for (prefix, ranges) in REQUIRED {
        let numbers = ranges.iter().flat_map(|(first, last)| *first..=*last);
        let unproven = numbers.filter(|number| !proofs.contains_key(&((*prefix).to_owned(), *number)));
        missing.extend(unproven.map(|number| format!("{prefix}-{number:02}")));
    }
    assert!(missing.is_empty(), "lines of the reference without a test: {missing:?}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(TABLE);
    let current = table(&proofs);
    if std::env::var_os(WRITE).is_some() {
        fs::write(&path, &current).expect("the table is written");
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    let difference = current.lines().find(|line| !found.lines().any(|known| known == *line));
    assert!(found == current, "{TABLE} is not current ({difference:?}): run with {WRITE}=1");
}

#[test]
fn the_reader_of_names_reads_what_tests_are_called() {
    let read = |name: &str| -> Vec<String> {
        ids_of_name(name).iter().map(|(prefix, number)| format!("{prefix}-{number}")).collect()
    };
    assert_eq!(read("que_42_what_only_these_know"), ["QUE-42"]);
    assert_eq!(read("exc_50_to_53_patterns"), ["EXC-50", "EXC-51", "EXC-52", "EXC-53"]);
    assert_eq!(read("prm_12_and_13_x_14"), ["PRM-12", "PRM-13"]);
    assert_eq!(read("qq_02_qq_03_are_counted"), ["QQ-2", "QQ-3"]);
    assert_eq!(read("bas_50_51_ver_16"), ["BAS-50", "BAS-51", "VER-16"]);
    assert_eq!(read("a_queue_of_10_messages"), Vec::<String>::new());
    assert_eq!(read("str_01_to_stay"), ["STR-1"]);
    assert_eq!(ids_of_text("QUE-20 CH-43").map(|ids| ids.len()), Some(2));
    assert_eq!(ids_of_text("QUE-20 and more"), None);
    assert_eq!(
        tests("#[test]\nfn a() {}\nfn b() {}\n#[tokio::test]\n#[ignore]\nasync fn c() {}"),
        ["a", "c"]
    );
}
