//! The command line as people read it: the commands of a program in groups, examples of each at the
//! end of its `--help` and of its manual page, and whose command it is that this program lacks.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgMatches, Command, FromArgMatches};

use crate::face::WIDEST;
use crate::tell;

/// Sections that begin with `# COMMAND`; SIDE stands for tenant and for hoster.
const EXAMPLES: &str = include_str!("../../templates/text/examples.txt");
/// The groups of commands, of all programs, in the order in which `--help` has them.
const GROUPS: &str = include_str!("../../templates/text/commands.txt");

/// The command line with its commands in groups, and the examples of each command.
pub fn with_examples(program: Command) -> Command {
    let name = program.get_name().to_owned();
    let groups = grouped(&program);
    let help = format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{groups}Options:\n{{options}}{{after-help}}"
    );
    illustrated(program, &name).help_template(help)
}

/// What was typed, of a command line; what can't be read ends the program with its help.
pub fn typed<T: FromArgMatches>(program: Command) -> T {
    T::from_arg_matches(&matches(program)).unwrap_or_else(|error| error.exit())
}

/// What was typed, in parts. Where it is a command of another program, that one is named.
pub fn matches(mut program: Command) -> ArgMatches {
    program.try_get_matches_from_mut(std::env::args_os()).unwrap_or_else(|mut error| {
        // What the environment says is as good as nothing: the help shows what there is.
        if error.kind() == ErrorKind::MissingSubcommand && std::env::args_os().len() == 1 {
            tell(&program.render_help().to_string());
            std::process::exit(2);
        }
        let word = match error.get(ContextKind::InvalidSubcommand) {
            Some(ContextValue::String(word)) => word.clone(),
            _ => String::new(),
        };
        if let Some(path) = commands().find(|path| path.split(' ').nth(1) == Some(word.as_str())) {
            let (program, _) = path.split_once(' ').unwrap_or_default();
            let hint = format!("'{word}' is a command of {program}");
            error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![hint.into()]));
        }
        error.exit()
    })
}

/// The commands of a program by their groups, each with what it is for.
fn grouped(program: &Command) -> String {
    let mut said = String::new();
    for group in groups() {
        let commands: Vec<(&str, &Command)> = (group.commands.iter())
            .filter_map(|words| Some((*words, find(program, words)?)))
            .collect();
        if commands.is_empty() {
            continue;
        }
        said.push_str(&format!("{}:\n", group.heading));
        for (words, command) in commands {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            let look = textwrap::Options::new(WIDEST)
                .word_splitter(textwrap::WordSplitter::NoHyphenation)
                .initial_indent("  ")
                .subsequent_indent("                    ");
            said.push_str(&textwrap::fill(&format!("{words:<17} {about}"), look));
            said.push('\n');
        }
        said.push('\n');
    }
    // Braces are the template's own.
    said.replace(['{', '}'], "")
}

/// A group of commands, as `--help` shows them.
pub struct CommandGroup {
    /// What stands above it.
    pub heading: &'static str,
    /// The words of each command, without the program's name.
    pub commands: Vec<&'static str>,
}

/// Every group of commands, in its order.
pub fn groups() -> impl Iterator<Item = CommandGroup> {
    GROUPS.split("\n\n").filter_map(|group| {
        let (heading, commands) = group.split_once('\n')?;
        Some(CommandGroup { heading, commands: commands.lines().map(str::trim).collect() })
    })
}

/// The command that these words call.
pub fn find<'c>(program: &'c Command, words: &str) -> Option<&'c Command> {
    words.split(' ').try_fold(program, |command, word| command.find_subcommand(word))
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
    sections().find(|(command, _)| command == path).map(|(_, body)| body)
}

/// The words of every command that has examples, of every program.
fn commands() -> impl Iterator<Item = String> {
    sections().map(|(command, _)| command)
}

fn sections() -> impl Iterator<Item = (String, String)> {
    EXAMPLES.split("\n\n").flat_map(|section| {
        let (head, body) = section.trim_end().split_once('\n').unwrap_or_default();
        let head = head.strip_prefix("# ").unwrap_or_default();
        let sides: &[&str] = if head.contains("SIDE") { &["tenant", "hoster"] } else { &[""] };
        sides.iter().map(move |side| (head.replace("SIDE", side), body.replace("SIDE", side)))
    })
}
