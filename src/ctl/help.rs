//! Usage, and what is said about a wrong one.

use super::{
    Tool,
    commands::{self, Command},
    failure::{Failure, Result, USAGE},
    output::{Format, Output},
    words::Words,
};

/// All commands of a tool.
pub fn overview(tool: Tool) -> String {
    let mut commands: Vec<&Command> =
        commands::all().filter(|command| command.tools.contains(&tool)).collect();
    commands.sort_by_key(|command| command.name);
    let width = commands.iter().map(|command| command.name.len()).max().unwrap_or(0);
    let lines: Vec<String> =
        commands.iter().map(|command| format!("   {:width$}  {}", command.name, command.about)).collect();
    format!(
        "\nUsage\n\n{program} [--node <node>] [--quiet] <command> [<argument> ...] [<option> ...]\n\n\
         Available commands:\n\n{}\n\n{}\n\nUse '{program} help <command>' to learn more about a command\n",
        lines.join("\n"),
        OPTIONS,
        program = tool.program()
    )
}

const OPTIONS: &str = "\
Options of most commands:

   -q, --quiet              no line that says what is being done
   -s, --silent             the same, and no names of columns; of checks only the exit code
   -p, --vhost <vhost>      the virtual host that is meant [default: /]
   -t, --timeout <seconds>  how long an answer may take
   --formatter <format>     table, pretty_table, json, csv or erlang
   --no-table-headers       no names of columns
   --socket <file>          the broker's socket
   --data-dir <directory>   the broker's data directory, in which its socket is
   --uri <uri>              a management interface instead: http://user:password@host:15672
   -n, --node <node>        the name for the node in messages; there is only one
   -l, --longnames, --erlang-cookie <cookie> and others are accepted and mean nothing";

/// One command of a tool.
pub fn of(tool: Tool, command: &Command) -> String {
    format!("\nUsage\n\n{}\n\n{}\n\n{OPTIONS}\n", line(tool, command), command.about)
}

fn line(tool: Tool, command: &Command) -> String {
    let usage = format!(
        "{} [--node <node>] [--longnames] [--quiet] {} {}",
        tool.program(),
        command.name,
        command.usage
    );
    usage.trim_end().to_owned()
}

/// `help [COMMAND]`.
pub fn run(tool: Tool, words: &Words) -> Result<()> {
    let text = match words.plain.get(1) {
        _ if words.unknown.iter().any(|word| word == "--list-commands") => {
            let mut names: Vec<&str> = commands::all()
                .filter(|command| command.tools.contains(&tool))
                .map(|command| command.name)
                .collect();
            names.sort_unstable();
            names.join("\n")
        }
        None => overview(tool),
        Some(name) => match commands::find(tool, name) {
            Some(command) => of(tool, command),
            None => return Err(Failure::bare(USAGE, unknown(tool, name))),
        },
    };
    super::print(&Output::text(text), Format::Table, true)
}

/// A command that there is not, with one that may have been meant.
pub fn unknown(tool: Tool, name: &str) -> String {
    let names = commands::all().filter(|command| command.tools.contains(&tool)).map(|command| command.name);
    let close = names.map(|known| (distance(name, known), known)).min();
    let meant = match close {
        Some((distance, known)) if distance <= known.len() / 3 => format!("Did you mean '{known}'? \n"),
        _ => String::new(),
    };
    format!("\nCommand '{name}' not found. \n{meant}")
}

/// How many letters have to be added, removed or replaced to make one of the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, letter) in one.chars().enumerate() {
        let mut next = vec![at + 1];
        for ((place, known), pair) in other.iter().enumerate().zip(row.windows(2)) {
            let [diagonal, above] = pair else { continue };
            let left = next.get(place).copied().unwrap_or(0);
            let replaced = diagonal + usize::from(letter != *known);
            next.push(replaced.min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

/// A command line that cannot be meant so, with what it was and what would be right.
pub fn misused(tool: Tool, command: &Command, problem: &str, given: &[String]) -> Failure {
    Failure::bare(
        USAGE,
        format!(
            "Error (argument validation): {problem}\nArguments given:\n\t{}\n{}",
            given.join(" "),
            of(tool, command)
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_understood() {
        assert_eq!(
            unknown(Tool::Ctl, "lisst_queues"),
            "\nCommand 'lisst_queues' not found. \nDid you mean 'list_queues'? \n"
        );
        assert_eq!(unknown(Tool::Ctl, "frobnicate"), "\nCommand 'frobnicate' not found. \n");
        assert_eq!((distance("", "abc"), distance("abc", "abc"), distance("abd", "bcd")), (3, 0, 2));
    }
}
