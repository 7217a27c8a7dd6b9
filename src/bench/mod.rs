//! `leveret bench`: drives any AMQP 0-9-1 broker from outside and measures what a message costs it.
//!
//! Blocking threads, one per connection, and a codec of its own that writes messages encoded once and
//! reads little more than frame sizes: the tool must cost far less per message than any broker, or it
//! would measure itself. It shares no code with the broker, so that a mistake in one does not hide in the
//! other; what it imports is only what the standard library and a few crates offer.
//!
//! | part | job |
//! |---|---|
//! | [`options`] | the command line |
//! | [`client`] | one connection: wire format, handshake, reading and writing |
//! | [`traffic`] | what modes share: producers, consumers, queues, pace, counts |
//! | [`modes`] | what is done with them, a file each |
//! | [`figures`] | CPU time, rates, histograms, series, the report |

mod client;
mod error;
mod figures;
mod modes;
mod options;
mod traffic;

use std::{
    ffi::OsString,
    fmt::Display,
    fs,
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;

use crate::bench::{
    client::target::Target,
    figures::{html, report::Report},
    options::Options,
};

/// The broker could not be driven: nobody listens, or it closed.
const FAILURE: u8 = 1;
/// The options are wrong or do not fit together. Clap exits with the same.
const MISUSE: u8 = 2;
/// Messages were lost or doubled.
const MISMATCH: u8 = 3;

/// Does what `arguments` ask for, the program's name not among them.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let words: Vec<OsString> = [OsString::from("leveret bench")].into_iter().chain(arguments).collect();
    let options = match Options::parse_from(&words).check() {
        Ok(options) => options,
        Err(error) => return complain(&error, MISUSE),
    };
    match modes::run(&options) {
        Ok(Some(report)) => show(&report, &options, &words),
        Ok(None) => ExitCode::SUCCESS,
        Err(error) => complain(&error, FAILURE),
    }
}

/// Prints and writes the report; losing or doubling a message fails the run, whatever its speed.
fn show(report: &Report, options: &Options, words: &[OsString]) -> ExitCode {
    let text = if options.json {
        format!("{}\n", serde_json::to_string(report).expect("numbers and strings serialise"))
    } else {
        report.to_string()
    };
    let page =
        options.html.as_ref().map_or(Ok(()), |path| fs::write(path, html::page(report, &typed(words))));
    // A reader that has seen enough closes the pipe; that is its right.
    let _ = io::stdout().write_all(text.as_bytes());
    match page {
        Err(error) => complain(&error, FAILURE),
        Ok(()) if report.is_correct() => ExitCode::SUCCESS,
        Ok(()) => ExitCode::from(MISMATCH),
    }
}

/// The command line without the password that a URI may hold: reports get passed on.
fn typed(words: &[OsString]) -> String {
    let hidden = words.iter().map(|word| {
        let word = word.to_string_lossy();
        let (option, value) = match word.split_once('=') {
            Some((option, value)) if option.starts_with("--") => (format!("{option}="), value),
            _ => (String::new(), &*word),
        };
        let value = value.parse::<Target>().map_or_else(|_| value.to_owned(), |target| target.to_string());
        format!("{option}{value}")
    });
    hidden.collect::<Vec<_>>().join(" ")
}

fn complain(error: &dyn Display, code: u8) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::from(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_does_not_tell_the_password() {
        let words =
            ["leveret bench", "-u", "amqp://u:secret@h/v", "--uri=amqp://u:secret@h:1", "--size", "16"];
        let typed = typed(&words.map(OsString::from));
        assert_eq!(typed, "leveret bench -u amqp://h:5672/v --uri=amqp://h:1// --size 16");
    }
}
