//! Scripts that let shells complete the broker's command line.

use std::process::ExitCode;

use clap::{CommandFactory, ValueEnum};
use clap_complete::{Shell as Generator, generate};

use super::{args::Arguments, output};

/// The shells that there are scripts for.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl Shell {
    fn generator(self) -> Generator {
        match self {
            Shell::Bash => Generator::Bash,
            Shell::Zsh => Generator::Zsh,
            Shell::Fish => Generator::Fish,
        }
    }
}

fn script(shell: Shell) -> String {
    let mut octets = Vec::new();
    let mut command = Arguments::command();
    let name = command.get_name().to_owned();
    generate(shell.generator(), &mut command, name, &mut octets);
    String::from_utf8_lossy(&octets).into_owned()
}

/// Prints the script.
pub fn print(shell: Shell) -> ExitCode {
    output(&script(shell))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_script_knows_every_command_and_flag() {
        let command = Arguments::command();
        let flags =
            command.get_arguments().filter(|flag| !flag.is_hide_set()).filter_map(|flag| flag.get_long());
        let commands = command.get_subcommands().map(|command| command.get_name());
        let words: Vec<&str> = flags.chain(commands).collect();
        assert!(words.contains(&"management") && words.contains(&"dump"), "{words:?}");
        for shell in Shell::value_variants() {
            let script = script(*shell);
            for word in &words {
                assert!(script.contains(word), "{shell:?} does not know {word}");
            }
        }
    }
}
