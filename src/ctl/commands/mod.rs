//! What there is to say to a broker: a table of commands for each subject.

mod accounts;
mod clients;
mod definitions;
mod health;
mod limits;
mod listing;
mod node;
mod plugins;
mod policies;
mod process;
mod queues;
mod refusals;
mod rights;
mod service;
mod status;
mod vhosts;

use super::{Tool, call::Call, failure::Result, output::Output, words::Switch};

/// A command of one or more tools.
pub struct Command {
    pub name: &'static str,
    pub tools: &'static [Tool],
    /// What follows the name.
    pub usage: &'static str,
    /// In one sentence.
    pub about: &'static str,
    /// Options beside those that all have.
    pub switches: &'static [Switch],
    /// The least and the greatest number of arguments.
    pub arity: (usize, usize),
    /// Seconds that a request may take, unless `-t` says otherwise.
    pub patience: u64,
    /// With `--silent` only the exit code tells.
    pub is_check: bool,
    /// What is said before it is done; may be empty.
    pub banner: fn(&Call) -> String,
    pub run: fn(&mut Call) -> Result<Output>,
}

/// Of a change.
const PATIENCE: u64 = 60;
const MANY: usize = usize::MAX;
const CTL: &[Tool] = &[Tool::Ctl];
const DIAGNOSTICS: &[Tool] = &[Tool::Diagnostics];
const CTL_AND_DIAGNOSTICS: &[Tool] = &[Tool::Ctl, Tool::Diagnostics];

/// A command of `rabbitmqctl`.
const fn command(
    name: &'static str,
    usage: &'static str,
    about: &'static str,
    arity: (usize, usize),
    banner: fn(&Call) -> String,
    run: fn(&mut Call) -> Result<Output>,
) -> Command {
    Command {
        name,
        tools: CTL,
        usage,
        about,
        switches: &[],
        arity,
        patience: PATIENCE,
        is_check: false,
        banner,
        run,
    }
}

impl Command {
    const fn of(self, tools: &'static [Tool]) -> Command {
        Command { tools, ..self }
    }

    const fn with(self, switches: &'static [Switch]) -> Command {
        Command { switches, ..self }
    }

    /// Its exit code says all.
    const fn check(self) -> Command {
        Command { is_check: true, ..self }
    }
}

/// No banner.
fn none(_: &Call) -> String {
    String::new()
}

/// Every command of every tool.
pub fn all() -> impl Iterator<Item = &'static Command> {
    [
        accounts::COMMANDS,
        rights::COMMANDS,
        vhosts::COMMANDS,
        policies::COMMANDS,
        listing::COMMANDS,
        queues::COMMANDS,
        clients::COMMANDS,
        definitions::COMMANDS,
        status::COMMANDS,
        node::COMMANDS,
        process::COMMANDS,
        service::COMMANDS,
        health::COMMANDS,
        limits::COMMANDS,
        plugins::COMMANDS,
        refusals::COMMANDS,
    ]
    .into_iter()
    .flatten()
}

/// A tool's command of this name.
pub fn find(tool: Tool, name: &str) -> Option<&'static Command> {
    all().find(|command| command.name == name && command.tools.contains(&tool))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_there_once_and_says_what_it_does() {
        let mut seen = Vec::new();
        for command in all() {
            for tool in command.tools {
                assert!(!seen.contains(&(*tool, command.name)), "{tool:?} {} twice", command.name);
                seen.push((*tool, command.name));
            }
            assert!(command.about.len() > 10, "{}", command.name);
            assert!(command.arity.0 <= command.arity.1, "{}", command.name);
            assert!(
                0 < command.arity.0 || !command.usage.starts_with('<') || command.usage.contains("--all"),
                "{}",
                command.name
            );
        }
    }
}
