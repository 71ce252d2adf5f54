//! Examples of each command, at the end of its `--help` and of its manual page.

use clap::{Command, FromArgMatches};

/// Sections that begin with `# COMMAND`; SIDE stands for tenant and for hoster.
const EXAMPLES: &str = include_str!("../../templates/text/examples.txt");

/// The command line with the examples of each command.
pub fn with_examples(program: Command) -> Command {
    let name = program.get_name().to_owned();
    illustrated(program, &name)
}

/// What was typed, of a command line; what can't be read ends the program with its help.
pub fn typed<T: FromArgMatches>(program: Command) -> T {
    T::from_arg_matches(&program.get_matches()).unwrap_or_else(|error| error.exit())
}

fn illustrated(command: Command, path: &str) -> Command {
    let command = command.mut_subcommands(|command| {
        let path = format!("{path} {}", command.get_name());
        illustrated(command, &path)
    });
    match examples(path) {
        Some(examples) => command.after_help(format!("Examples:\n{examples}")),
        None => command,
    }
}

/// The examples of a command: lines to type, and below each, indented, what it is for.
pub fn examples(path: &str) -> Option<String> {
    EXAMPLES.split("\n\n").find_map(|section| {
        let (head, body) = section.trim_end().split_once('\n')?;
        let head = head.strip_prefix("# ")?;
        ["tenant", "hoster"]
            .into_iter()
            .find(|side| head.replace("SIDE", side) == path)
            .map(|side| body.replace("SIDE", side))
    })
}
