//! Topic patterns: the reference's table, and a naive matcher as oracle.

use super::*;
use proptest::prelude::*;

/// Binds one pattern and says which of the keys it matches.
fn check(pattern: &str, matching: &[&str], other: &[&str]) {
    let mut topology = with_queues(&["q"]);
    topology.exchange_of("x", "topic");
    topology.queue_to("x", "q", pattern);
    for key in matching {
        assert_eq!(topology.by_key("x", key), ["q"], "'{pattern}' must match '{key}'");
    }
    for key in other {
        assert_eq!(topology.by_key("x", key), [""; 0], "'{pattern}' must not match '{key}'");
    }
    assert!(topology.unbind_queue("x", "q", pattern, FieldTable::default()).expect("bound").existed);
    for key in matching {
        assert_eq!(topology.by_key("x", key), [""; 0], "'{pattern}' is unbound");
    }
}

#[test]
fn exc_50_hash() {
    check("#", &["", "a", "a.b", ".", "..", "a.b.c.d"], &[]);
}

#[test]
fn exc_51_star() {
    check("*", &["a"], &["", "a.b", "."]);
}

#[test]
fn exc_52_empty() {
    check("", &[""], &["a", "."]);
}

#[test]
fn exc_53_hash_hash() {
    check("#.#", &["", "a", "a.b"], &[]);
}

#[test]
fn exc_54_star_hash() {
    check("*.#", &["a", "a.b", ".a", "."], &[""]);
}

#[test]
fn exc_55_hash_star() {
    check("#.*", &["a", "a.b"], &[""]);
}

#[test]
fn exc_56_star_star() {
    check("*.*", &[".", "a.", ".a", "a.b"], &["", "a", ".."]);
}

#[test]
fn exc_57_word_hash() {
    check("a.#", &["a", "a.", "a.b.c"], &["ab", "b", ""]);
}

#[test]
fn exc_58_hash_word() {
    check("#.a", &["a", ".a", "b.a", "b.c.a"], &["aa", ""]);
}

#[test]
fn exc_59_star_between() {
    check("a.*.c", &["a.b.c", "a..c"], &["a.c", "a.b.b.c"]);
}

#[test]
fn exc_60_hash_between() {
    check("a.#.c", &["a.c", "a..c", "a.b.c", "a.b.b.c"], &["a", "c", "a.b"]);
}

#[test]
fn exc_61_trailing_dot() {
    check("a.", &["a."], &["a", "a.b"]);
}

#[test]
fn exc_62_dot() {
    check(".", &["."], &["", "a."]);
}

#[test]
fn exc_63_wildcards_count_only_as_whole_words() {
    check("a*.b", &["a*.b"], &["aa.b", "a.b"]);
    check("a#", &["a#"], &["ab", "a"]);
}

#[test]
fn exc_64_hash_on_both_sides() {
    check("#.a.#", &["a", "b.a", "a.b", "x.a.y"], &["b", ""]);
}

#[test]
fn exc_65_two_words_in_order() {
    check("#.a.#.b.#", &["a.b", "x.a.y.b.z"], &["b.a", "a", "b"]);
}

#[test]
fn exc_66_any_number_of_hashes_without_blow_up() {
    // Each '#' doubles the work of a matcher that backtracks: this one would not end in a lifetime.
    let pattern = format!("{}z", "#.a.".repeat(50));
    let key = "a.".repeat(120) + "a";
    check(&pattern, &[&("a.".repeat(60) + "z")], &[&key]);
}

#[test]
fn topic_matches_copies_too() {
    let mut topology = with_queues(&["q", "r"]);
    topology.exchange_of("x", "topic");
    topology.queue_to("x", "q", "a.*");
    topology.queue_to("x", "r", "b.#");
    let keys = RoutingKeys { key: b"a.1", extra: &[b"b.2", b"a.3"] };
    assert_eq!(topology.reached("x", &keys, &FieldTable::default()), ["q", "r"]);
}

/// The rules written down as they are said, without regard to cost.
fn naive(pattern: &[&str], key: &[&str]) -> bool {
    match (pattern.split_first(), key.split_first()) {
        (None, None) => true,
        (Some((&"#", rest)), None) => naive(rest, key),
        (Some((&"#", rest)), Some((_, words))) => naive(rest, key) || naive(pattern, words),
        (Some((&"*", rest)), Some((_, words))) => naive(rest, words),
        (Some((literal, rest)), Some((word, words))) => literal == word && naive(rest, words),
        _ => false,
    }
}

fn split(key: &str) -> Vec<&str> {
    if key.is_empty() { Vec::new() } else { key.split('.').collect() }
}

fn any_key(words: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(words), 0..7).prop_map(|words| words.join("."))
}

proptest! {
    #[test]
    fn the_trie_agrees_with_the_naive_matcher(
        patterns in prop::collection::btree_set(any_key(&["a", "b", "*", "#", "", "#", "a*"]), 1..12),
        removed in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        keys in prop::collection::vec(any_key(&["a", "b", "c", "", "*", "#"]), 1..8),
    ) {
        let mut topology: Topology<String> = Topology::new("/");
        topology.declare_exchange("x", plain("topic")).expect("new");
        let mut patterns: Vec<String> = patterns.into_iter().collect();
        for pattern in &patterns {
            // One queue a pattern, named after it.
            let name = format!("q {pattern}");
            prop_assert!(topology.insert_queue(&name, pattern.clone(), QueueType::Classic, false));
            topology.bind_queue("x", &name, pattern, FieldTable::default()).expect("both exist");
        }
        for index in removed {
            if !patterns.is_empty() {
                let pattern = patterns.remove(index.index(patterns.len()));
                let name = format!("q {pattern}");
                prop_assert!(topology.remove_queue(&name).is_some());
            }
        }
        let mut scratch = Scratch::default();
        for key in keys {
            let mut matched = Vec::new();
            let routing = RoutingKeys::only(key.as_bytes());
            topology.route("x", &routing, &Traits::default(), &mut matched, &mut scratch).expect("exists");
            matched.sort();
            let expected: Vec<String> =
                patterns.iter().filter(|pattern| naive(&split(pattern), &split(&key))).cloned().collect();
            prop_assert_eq!(matched, expected, "key '{}'", key);
        }
    }
}
