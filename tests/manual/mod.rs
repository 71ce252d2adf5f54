//! Every example of every command, and every command that README and docs name with its program, is
//! one that the program takes. Part of each program's own tests, because only the program knows its
//! command line.

use std::{fs, path::PathBuf};

use clap::Command;

use terminal::manual::{examples, groups};

/// Every command below `command`, itself too, with the words that call it.
fn each(command: &Command, path: &str, visit: &mut dyn FnMut(&Command, &str)) {
    visit(command, path);
    for below in command.get_subcommands() {
        if below.get_name() != "help" {
            each(below, &format!("{path} {}", below.get_name()), visit);
        }
    }
}

/// `--help` shows every command of the program once, in a group, with what it is for.
#[test]
fn every_command_stands_in_one_group() {
    let mut program = super::command();
    let help = program.render_help().to_string();
    let mut shown = 0;
    each(&program, "", &mut |command, path| {
        let path = path.trim();
        let groups = groups().filter(|group| group.commands.contains(&path)).count();
        let above = || groups_above(path);
        match (path, command.has_subcommands(), groups) {
            ("", ..) => {}
            (_, false, 0) => assert!(above(), "{path} stands in no group"),
            (_, _, found) => {
                assert!(found <= 1 && !(found == 1 && above()), "{path} stands in {found} groups");
                if found == 1 {
                    let line = help.lines().find(|line| line.starts_with(&format!("  {path} ")));
                    assert!(line.is_some_and(|line| line.len() <= 80), "{path}: {help}");
                    shown += 1;
                }
            }
        }
    });
    assert!(shown >= 2, "{help}");
    assert!(help.contains("Options:") && help.contains("Usage:"), "{help}");
}

/// Whether a command that this one belongs to stands in a group.
fn groups_above(path: &str) -> bool {
    groups().any(|group| group.commands.iter().any(|words| path.starts_with(&format!("{words} "))))
}

#[test]
fn every_command_has_examples_and_takes_them() {
    let mut counted = 0;
    let program = super::command();
    each(&program, program.get_name(), &mut |command, path| {
        let Some(examples) = examples(path) else {
            assert!(command.has_subcommands(), "no example of {path}");
            return;
        };
        for line in examples.lines().filter(|line| !line.starts_with(' ')) {
            let words = split(line);
            let found = super::command()
                .try_get_matches_from(&words)
                .map_err(|error| panic!("{line}: {error}"))
                .unwrap();
            // The example is of the command that it stands with.
            let mut called = words[0].clone();
            let mut at = &found;
            while let Some((name, below)) = at.subcommand() {
                called = format!("{called} {name}");
                at = below;
            }
            assert!(called == path || path == program.get_name(), "{line} stands with {path}");
            counted += 1;
        }
    });
    assert!(counted >= 7, "{counted} examples");
}

/// Where the pages tell somebody to type a command: a line of a block, or what stands between
/// backticks.
fn told(page: &str, program: &str) -> Vec<String> {
    let (mut told, mut text, mut in_block) = (Vec::new(), String::new(), false);
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if in_block {
            told.push(line.trim_start().to_owned());
        } else {
            text += line;
            text.push('\n');
        }
    }
    told.extend(text.split('`').skip(1).step_by(2).map(str::to_owned));
    told.iter().flat_map(|line| said(line, program)).collect()
}

/// The commands of this program in a line: dots and commas part several, and who is named speaks
/// until another is.
fn said(line: &str, program: &str) -> Vec<String> {
    let mut speaker = "";
    let mut said = Vec::new();
    for part in line.split(" · ") {
        let named = part.split(' ').next().unwrap_or_default();
        let again = named.starts_with("keyferry-");
        speaker = if again { named } else { speaker };
        if speaker == program {
            let typed = part.strip_prefix(program).unwrap_or(part).trim();
            let (head, tail) = typed.split_once("  ").unwrap_or((typed, ""));
            let several = head.split(", ").filter(|command| !command.is_empty());
            said.extend(several.map(|command| format!("{program} {command}  {tail}")));
        }
    }
    said
}

/// The program takes every command that the pages tell somebody to type, and has every option that
/// they name beside it.
#[test]
fn every_command_of_the_pages_is_one() {
    let program = super::command();
    let name = program.get_name().to_owned();
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let docs = fs::read_dir(root.join("docs")).unwrap();
    let mut pages: Vec<PathBuf> = docs.map(|entry| entry.unwrap().path()).collect();
    pages.retain(|page| page.extension().is_some_and(|end| end == "md"));
    let top = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"];
    pages.extend(top.map(|page| root.join(page)));
    let mut seen = 0;
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        for line in told(&text, &name) {
            // A remark, or what may be left out, names options.
            let end = ["  ", "[", "(", "…"].map(|mark| line.find(mark));
            let end = end.into_iter().flatten().min().unwrap_or(line.len());
            let (typed, remark) = line.split_at(end);
            let typed = typed.split_whitespace().filter(|word| *word != "...");
            // What stands for an id is none.
            let typed =
                typed.map(|word| word.replace("LABEL=", "label=").replace("NODE=", "node="));
            let typed: Vec<String> = typed.collect();
            // Between backticks stands what another program takes.
            let remark: String = remark.split('`').step_by(2).collect();
            let at = format!("{}: {line}", page.display());
            if let Err(error) = super::command().try_get_matches_from(&typed) {
                let taken_or_cut_short = [
                    clap::error::ErrorKind::DisplayHelp,
                    clap::error::ErrorKind::DisplayVersion,
                    clap::error::ErrorKind::MissingRequiredArgument,
                    clap::error::ErrorKind::MissingSubcommand,
                    clap::error::ErrorKind::ValueValidation,
                    clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
                ];
                assert!(taken_or_cut_short.contains(&error.kind()), "{at}: {error}");
            }
            let mut command = &program;
            for word in &typed[1..] {
                command = command.find_subcommand(word).unwrap_or(command);
            }
            let named = format!("{} {remark}", typed.join(" "));
            let options = named.split(|c: char| c.is_whitespace() || ",;:[]()|".contains(c));
            for option in options.filter_map(|word| word.strip_prefix("--")) {
                let known = command.get_arguments().chain(program.get_arguments());
                let known = known.filter_map(clap::Arg::get_long).chain(["help", "version"]);
                let known: Vec<_> = known.collect();
                assert!(known.contains(&option), "{at}: no --{option}");
            }
            seen += 1;
        }
    }
    assert!(seen >= 5, "{name}: {seen}");
}

/// A line as a shell splits it, as far as the examples need it.
fn split(line: &str) -> Vec<String> {
    let quoted = line.split('"').enumerate();
    quoted
        .flat_map(|(n, part)| match n % 2 {
            0 => part.split_whitespace().map(str::to_owned).collect(),
            _ if part.starts_with("$(") => vec!["0".repeat(64)],
            _ => vec![part.to_owned()],
        })
        .collect()
}
