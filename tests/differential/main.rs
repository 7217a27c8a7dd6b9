//! The differential test: one list of wire exchanges, each named by the line of the behaviour
//! reference it proves, played against leveret and, when `LEVERET_DIFF_URI` names one, against a
//! real RabbitMQ. See README.md beside this file.

#[path = "../common/broker.rs"]
mod common;
#[path = "../common/wire/mod.rs"]
mod wire;

mod cases;
mod gaps;
mod http;
mod intended;
mod judge;
mod login;
mod run;
mod script;
mod send;
mod show;

/// One test per part of the reference, so that `cargo test` names what broke.
macro_rules! groups {
    ($($name:ident: $title:literal),* $(,)?) => {
        $(
            #[test]
            fn $name() {
                judge::judge($title, cases::$name::cases());
            }
        )*

        /// Every group with its cases, for the totals.
        fn all_groups() -> Vec<(&'static str, Vec<script::Case>)> {
            vec![$(($title, cases::$name::cases())),*]
        }
    };
}

groups! {
    handshake: "1.1-1.5 handshake",
    closing: "1.6-1.8 heartbeats and close",
    framing: "1.9-1.10 framing and contents",
    channels: "1.11-2.1 channels",
    exchange_errors: "2.3 exchange errors",
    queue_errors: "2.4 queue errors",
    basic_errors: "2.5 basic errors",
    exchanges: "3 exchanges",
    further_exchanges: "3.8 further exchange types",
    matching: "3.6-3.7 topic and headers",
    queues: "4.1-4.2, 4.5 queues",
    arguments: "4.3 queue arguments",
    queue_types: "4.3 arguments of quorum queues and streams",
    equivalence: "4.4 equivalence",
    publishing: "5.1 publish",
    consuming: "5.2-5.4 consume, qos, get",
    dying: "7.1-7.7 dead letters, times, lengths, priorities, quorum queues",
    policies: "8 policies, limits, permissions",
    streams: "7.8 streams",
    settling: "5.5 acknowledgement",
    replies: "5.7-5.8 direct reply-to, order",
    confirms: "6.1 confirms",
    transactions: "6.2 tx",
    alarms: "9 alarms",
    values: "10 wire",
}

/// The list of intended differences names cases and answers that exist.
#[test]
fn intended_differences_exist() {
    let cases: Vec<script::Case> = all_groups().into_iter().flat_map(|(_, cases)| cases).collect();
    for difference in intended::INTENDED {
        let known =
            cases.iter().any(|case| case.proves(difference.id) && case.script.contains(difference.ours));
        assert!(known, "no case of {} expects {:?} ({})", difference.id, difference.ours, difference.why);
    }
}

/// The list is as long as promised, and no two cases have the same name.
#[test]
fn list_is_complete() {
    let mut names: Vec<String> =
        all_groups().iter().flat_map(|(_, cases)| cases).map(script::Case::name).collect();
    let count = names.len();
    assert!(count >= 200, "only {count} exchanges");
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count, "two cases have the same name");
}
