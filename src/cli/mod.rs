//! The command line: arguments, configuration from all its sources, starting and stopping.

mod args;
mod completions;
mod data;
mod port_file;
mod print;
mod progress;
mod serve;
mod settings;
mod sources;
mod tools;

use std::{
    ffi::OsString,
    fmt::Display,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    time::Instant,
};

use args::{Arguments, Command};
use clap::Parser;
use settings::Settings;
use sources::{Directories, Environment};

use crate::bench;

/// It could not start or could not go on: a port is taken, the data directory is in use.
const FAILURE: u8 = 1;
/// The command line or the configuration is wrong. Clap exits with the same.
const MISUSE: u8 = 2;

/// Does what the command line asks for. Exit codes: 0 fine, 1 failed, 2 wrong usage or configuration.
pub fn run() -> ExitCode {
    let launched = Instant::now();
    let mut words = std::env::args_os();
    let program = PathBuf::from(words.next().unwrap_or_default());
    let words: Vec<OsString> = words.collect();
    if let Some((tool, words)) = tools::called(&program, &words) {
        return tools::run(tool, &words);
    }
    if tools::is_server(&program) {
        if let Some(started) = tools::detach(&words) {
            return started;
        }
        if let Err(error) = tools::note_pid() {
            return complain(error, FAILURE);
        }
    }
    if let Some(arguments) = bench_arguments(words.into_iter()) {
        return bench::run(arguments);
    }
    let arguments = Arguments::parse();
    let environment = environment();
    match &arguments.command {
        Some(Command::Bench { arguments }) => return bench::run(arguments.iter().cloned()),
        Some(Command::Completions { shell }) => return completions::print(*shell),
        Some(Command::CheckData { directory, json }) => return data::check(directory, *json),
        Some(Command::Dump(dump)) => return data::dump(dump, arguments.options.vhost()),
        _ => {}
    }
    if let Some(Command::Import { file }) = &arguments.command {
        return match sources::import(file, &environment) {
            Ok(settings) => {
                warn_all(&settings);
                output(&print::imported(&settings))
            }
            Err(error) => complain(error, MISUSE),
        };
    }
    let settings = match sources::load(&arguments.options, &environment, &Directories::default()) {
        Ok(settings) => settings,
        Err(error) => return complain(error, MISUSE),
    };
    match arguments.command {
        None => serve::serve(settings, launched)
            .map_or_else(|error| complain(error, FAILURE), |()| ExitCode::SUCCESS),
        Some(Command::Check) => check(&settings),
        Some(Command::Print { template: true, .. }) => output(&print::template()),
        Some(Command::Print { origin, .. }) => output(&print::effective(&settings, origin)),
        Some(
            Command::Import { .. }
            | Command::Completions { .. }
            | Command::CheckData { .. }
            | Command::Dump(_)
            | Command::Bench { .. },
        ) => {
            unreachable!("returned above")
        }
    }
}

/// What is not UTF-8 can be none of our variables' values; lossy is enough to refuse it by name.
fn environment() -> Environment {
    std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
        .collect()
}

/// What follows `bench`, which has options of its own under names that the broker's have, too.
fn bench_arguments(mut words: impl Iterator<Item = OsString>) -> Option<Vec<OsString>> {
    match words.next()? {
        word if word == "bench" => Some(words.collect()),
        word if word == "help" && words.next()? == "bench" => Some(vec!["--help".into()]),
        _ => None,
    }
}

/// What was wrong would have been found while loading, so what is left is to say so.
fn check(settings: &Settings) -> ExitCode {
    warn_all(settings);
    let files: String = settings.files.iter().map(|file| format!("read {}\n", file.display())).collect();
    output(&format!("{files}the configuration is valid\n"))
}

fn warn_all(settings: &Settings) {
    for warning in &settings.warnings {
        eprintln!("warning: {warning}");
    }
}

/// A reader that has seen enough closes the pipe; that is its right, not an error.
fn output(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => complain(error, FAILURE),
        _ => ExitCode::SUCCESS,
    }
}

fn complain(error: impl Display, code: u8) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::from(code)
}
