//! The architecture and the house style as tests: arrows between modules, what stays out of the core,
//! sizes and headers. It reads `src` as text.

#[path = "tidy/reference.rs"]
mod reference;

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Which top-level modules each one may import; itself is always allowed.
const ARROWS: &[(&str, &[&str])] = &[
    ("amqp", &[]),
    ("protocol", &["amqp"]),
    ("broker", &["amqp"]),
    ("store", &["amqp", "broker"]),
    ("engine", &["amqp", "broker", "store"]),
    ("session", &["amqp", "protocol", "broker", "store", "engine"]),
    ("tls", &["engine"]),
    ("http", &["amqp", "broker", "store", "engine", "tls"]),
    ("server", &["amqp", "protocol", "broker", "store", "engine", "session", "tls", "http"]),
    // The load tool measures brokers from outside; code it shared with ours would hide mistakes from it.
    ("bench", &["amqp"]),
    // The command-line tools are clients of the HTTP API, of any broker that has it.
    ("ctl", &[]),
    (
        "cli",
        &[
            "amqp", "protocol", "broker", "store", "engine", "session", "tls", "server", "http", "bench",
            "ctl",
        ],
    ),
];

/// What the pure modules must not mention: the world arrives as arguments.
const IMPURE: &[&str] = &[
    "Instant::now",
    "SystemTime::now",
    "tokio::",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "ToSocketAddrs",
    "rand::",
];
/// Modules of the standard library that are the world, too. Not `net`: an address is only a value.
const IMPURE_STD: &[&str] = &["fs", "thread", "env", "process"];
const LOCKS: &[&str] = &["Mutex", "RwLock", "parking_lot", "Condvar"];

/// The modules without I/O and clock, and whether they may lock.
const PURE: &[(&str, bool)] =
    &[("amqp", false), ("protocol", false), ("broker", false), ("session", false), ("engine", true)];

/// What the store must not mention: time arrives as an argument, and connections are none of its business.
const STORE_NEVER: &[&str] = &[
    "Instant",
    "SystemTime",
    "tokio::time",
    "tokio::net",
    "tokio::fs",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
];
/// I/O of the store, which only the real disk does; all else goes through the trait `Disk`.
const STORE_IO: &[&str] = &["std::fs", "std::os", "std::path", "rustix::"];
const STORE_IO_FILE: &str = "store/disk/real.rs";

const LINES_MAX: usize = 600;
const UNFINISHED: &[&str] = &["todo!", "unimplemented!", "FIXME", "XXX"];

/// Rules a file is excused from: (path below `src`, rule, reason).
const EXCEPTIONS: &[(&str, &str, &str)] = &[];

/// One file of `src`.
struct Source {
    /// Below `src`, with slashes.
    path: String,
    text: String,
}

impl Source {
    /// The first directory, or the name of a file directly in `src`.
    fn module(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// Numbered lines of product code: unit tests at the end of the file and comments do not count.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.product().enumerate().map(|(at, line)| (at + 1, line));
        lines.map(|(at, line)| (at, without_comment(line))).filter(|(_, line)| !line.trim().is_empty())
    }

    /// The lines before a test module at the end of the file.
    fn product(&self) -> impl Iterator<Item = &str> {
        let lines: Vec<&str> = self.text.lines().collect();
        let end = lines
            .windows(2)
            .position(|pair| pair[0].trim() == "#[cfg(test)]" && pair[1].trim_start().starts_with("mod "))
            .filter(|at| !lines[at + 1].trim_end().ends_with(';'))
            .unwrap_or(lines.len());
        lines.into_iter().take(end)
    }

    /// A test module kept in a file of its own.
    fn is_test(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        name == "tests.rs" || name.ends_with("_tests.rs") || self.path.contains("/tests/")
    }

    fn excused(&self, rule: &str) -> bool {
        EXCEPTIONS.iter().any(|(path, excused, _)| *path == self.path && *excused == rule)
    }
}

/// The line up to a comment. Good enough for code: `//` inside a string only hides the rest of the line
/// when it is not part of a URL.
fn without_comment(line: &str) -> &str {
    let mut from = 0;
    while let Some(at) = line[from..].find("//") {
        let at = from + at;
        if !line[..at].ends_with(':') {
            return &line[..at];
        }
        from = at + 2;
    }
    line
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    collect(&root, &root, &mut found);
    found.sort_by(|one, other| one.path.cmp(&other.path));
    assert!(found.len() > 5, "only {} files: is this the right directory?", found.len());
    found
}

fn collect(root: &Path, directory: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(directory).expect("a readable directory") {
        let path: PathBuf = entry.expect("a readable entry").path();
        if path.is_dir() {
            collect(root, &path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let below = path.strip_prefix(root).expect("a path below src");
            let text = fs::read_to_string(&path).expect("UTF-8 source");
            found.push(Source { path: below.to_string_lossy().replace('\\', "/"), text });
        }
    }
}

/// The top-level modules a line names after `crate::`.
fn imports(line: &str) -> Vec<String> {
    heads(line, "crate::")
}

/// What a line names right after a root such as `crate::`, also in a group: `crate::{amqp, broker::X}`.
fn heads(line: &str, root: &str) -> Vec<String> {
    let mut modules = Vec::new();
    for (at, _) in line.match_indices(root) {
        // `$crate::` in a macro and `other_crate::` are something else.
        if line[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_' || before == '$') {
            continue;
        }
        let rest = &line[at + root.len()..];
        match rest.strip_prefix('{') {
            Some(group) => modules.extend(group_heads(group)),
            None => modules.push(identifier(rest)),
        }
    }
    modules
}

/// Which of some words a statement mentions; `std::x` also as an item of a group, `use std::{x, y}`.
fn mentions(statement: &str, words: &[&str]) -> Vec<String> {
    let heads = heads(statement, "std::");
    let mentioned = |word: &&&str| match word.strip_prefix("std::") {
        Some(module) => heads.iter().any(|head| head == module),
        None => statement.contains(**word),
    };
    words.iter().filter(mentioned).map(|word| (*word).to_owned()).collect()
}

/// The first identifier of each item of a group, nested groups skipped.
fn group_heads(group: &str) -> Vec<String> {
    let (mut heads, mut depth, mut fresh) = (Vec::new(), 0, true);
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => fresh = true,
            letter if fresh && depth == 0 && !letter.is_whitespace() => {
                heads.push(identifier(&group[at..]));
                fresh = false;
            }
            _ => {}
        }
    }
    heads
}

fn identifier(text: &str) -> String {
    text.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect()
}

/// Lines of code, an import group broken over several of them as one.
fn statements(source: &Source) -> Vec<(usize, String)> {
    let mut statements = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (at, line) in source.code() {
        let (start, text) = match open.take() {
            Some((start, text)) => (start, text + line),
            None => (at, line.to_owned()),
        };
        let import =
            ["use ", "pub use ", "pub(crate) use "].iter().any(|word| text.trim_start().starts_with(word));
        if import && !text.contains(';') {
            open = Some((start, text));
        } else {
            statements.push((start, text));
        }
    }
    statements.extend(open);
    statements
}

fn report(rule: &str, violations: &[String]) {
    assert!(violations.is_empty(), "{rule}:\n  {}", violations.join("\n  "));
}

#[test]
fn imports_point_down_only() {
    let mut violations = Vec::new();
    for source in sources() {
        let Some((module, allowed)) = ARROWS.iter().find(|(module, _)| *module == source.module()) else {
            // `lib.rs` and `main.rs` see everything; a new module must be placed in the table first.
            if !matches!(source.path.as_str(), "lib.rs" | "main.rs") {
                violations.push(format!("{}: a module that ARROWS does not know", source.path));
            }
            continue;
        };
        if source.excused("arrows") {
            continue;
        }
        for (at, statement) in statements(&source) {
            for import in imports(&statement) {
                let is_module = ARROWS.iter().any(|(known, _)| *known == import);
                // What is re-exported at the root comes from `server`.
                let target = if is_module { import.as_str() } else { "server" };
                if target != *module && !allowed.contains(&target) {
                    violations.push(format!("{}:{at}: {module} imports crate::{import}", source.path));
                }
            }
        }
    }
    report("imports against the arrows of ARCHITECTURE.md", &violations);
}

#[test]
fn the_core_has_no_clock_no_io_and_no_locks() {
    let mut violations = Vec::new();
    for source in sources() {
        let Some((module, may_lock)) = PURE.iter().find(|(module, _)| *module == source.module()) else {
            continue;
        };
        if source.is_test() || source.excused("pure") {
            continue;
        }
        for (at, statement) in statements(&source) {
            let locks: &[&str] = if *may_lock { &[] } else { LOCKS };
            for word in IMPURE.iter().chain(locks).filter(|word| statement.contains(**word)) {
                violations.push(format!("{}:{at}: {module} mentions {word}", source.path));
            }
            for head in heads(&statement, "std::").iter().filter(|head| IMPURE_STD.contains(&head.as_str())) {
                violations.push(format!("{}:{at}: {module} mentions std::{head}", source.path));
            }
        }
    }
    report("I/O, clock, threads or locks below the server", &violations);
}

#[test]
fn the_store_has_no_clock_and_touches_files_in_one_place() {
    let mut violations = Vec::new();
    let sources = sources();
    for source in sources.iter().filter(|source| source.module() == "store" && !source.is_test()) {
        for (at, statement) in statements(source).into_iter().filter(|_| !source.excused("pure")) {
            let mut found = mentions(&statement, STORE_NEVER);
            if source.path != STORE_IO_FILE {
                found.extend(mentions(&statement, STORE_IO));
            }
            violations.extend(found.iter().map(|word| format!("{}:{at}: {word}", source.path)));
        }
    }
    report("a clock, sockets or hidden I/O in the store", &violations);
    let real = sources.iter().find(|source| source.path == STORE_IO_FILE).expect("the real disk");
    let seen: Vec<String> = statements(real).iter().flat_map(|(_, text)| mentions(text, STORE_IO)).collect();
    assert!(seen.contains(&"std::fs".to_owned()), "the rule does not see the I/O that is there: {seen:?}");
}

#[test]
fn every_file_says_its_job_first() {
    let violations: Vec<String> = sources()
        .iter()
        .filter(|source| !source.excused("header"))
        .filter(|source| {
            let header = source.text.lines().next().unwrap_or_default();
            !header.starts_with("//! ") || header.len() < "//! A job.".len() || header.contains("Placeholder")
        })
        .map(|source| source.path.clone())
        .collect();
    report("files without a `//!` header", &violations);
}

#[test]
fn no_file_is_longer_than_a_reader_can_hold() {
    let violations: Vec<String> = sources()
        .iter()
        .filter(|source| !source.excused("size"))
        .map(|source| (&source.path, source.product().count()))
        .filter(|(_, lines)| *lines > LINES_MAX)
        .map(|(path, lines)| format!("{path}: {lines} lines, {LINES_MAX} allowed"))
        .collect();
    report("files that should be two", &violations);
}

#[test]
fn nothing_is_left_unfinished() {
    let mut violations = Vec::new();
    for source in sources() {
        for (at, line) in source.text.lines().enumerate() {
            for word in UNFINISHED.iter().filter(|word| line.contains(**word)) {
                violations.push(format!("{}:{}: {word}", source.path, at + 1));
            }
        }
    }
    report("unfinished work", &violations);
}

#[test]
fn every_exception_is_still_needed_and_has_a_reason() {
    let sources = sources();
    for (path, rule, reason) in EXCEPTIONS {
        assert!(sources.iter().any(|source| source.path == *path), "{path} is gone, and so is its exception");
        assert!(["arrows", "pure", "header", "size"].contains(rule), "{path}: no rule is called {rule}");
        assert!(reason.len() > 20, "{path}: why is it excused from {rule}?");
    }
}

#[test]
fn the_reader_of_imports_reads_what_rust_allows() {
    assert_eq!(imports("use crate::amqp::Method;"), ["amqp"]);
    assert_eq!(imports("fn f(x: crate::broker::Queue) -> crate::amqp::Tag {"), ["broker", "amqp"]);
    assert_eq!(
        imports("use crate::{amqp::{Method, Tag}, broker, server::Config};"),
        ["amqp", "broker", "server"]
    );
    assert_eq!(imports("pub(crate) use self::x; $crate::amqp::y; other_crate::z"), Vec::<String>::new());
    assert_eq!(
        heads("use std::{collections::{HashMap, hash_map}, net::SocketAddr};", "std::"),
        ["collections", "net"]
    );
    let words = ["std::fs", "rustix::", "Instant"];
    assert_eq!(mentions("use std::{io, fs::{File, read_dir}};", &words), ["std::fs"]);
    assert_eq!(
        mentions("let now = time::Instant::now(); rustix::fs::sync()", &words),
        ["rustix::", "Instant"]
    );
    assert_eq!(mentions("use std::io; my_std::fs::x()", &words), Vec::<String>::new());
    assert_eq!(without_comment("let x = 1; // crate::server"), "let x = 1; ");
    assert_eq!(without_comment("\"amqp://host\" // why"), "\"amqp://host\" ");
    let text = "use crate::{\n    amqp::Method,\n    server::Config,\n};\nfn f() {}\n\n#[cfg(test)]\nmod tests {\n}\n";
    let source = Source { path: "broker/queue.rs".to_owned(), text: text.to_owned() };
    let found: Vec<String> = statements(&source).iter().flat_map(|(_, text)| imports(text)).collect();
    assert_eq!(found, ["amqp", "server"]);
    assert_eq!((source.module(), source.product().count()), ("broker", 6));
}
