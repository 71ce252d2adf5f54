//! The manual pages of docs/man say what `--help` says, and every example of every command, and
//! every command that README and docs name with its program, is one that the program takes. Part of
//! each program's own tests, because only the program knows its command line.
//! `KEYFERRY_MANUAL=write` writes the pages anew.

use std::{collections::BTreeMap, fs, path::PathBuf};

use clap::Command;
use clap_complete::Shell;
use clap_mangen::{
    Man,
    roff::{Roff, roman},
};

use terminal::manual::{examples, groups};

/// What every page ends with.
const EXIT_STATUS: &str = "0 done, 1 failed, 2 wrong command line, 3 refused by a rule, 4 ended by the people, 5 HSM, 6 waiting for signatures.";

/// Every command below `command`, itself too, with the words that call it.
fn each(command: &Command, path: &str, visit: &mut dyn FnMut(&Command, &str)) {
    visit(command, path);
    for below in command.get_subcommands() {
        if below.get_name() != "help" {
            each(below, &format!("{path} {}", below.get_name()), visit);
        }
    }
}

fn page(command: &Command, path: &str) -> Vec<u8> {
    // Without clap's feature `string`, names live as long as the program.
    let name: &'static str = path.replace(' ', "-").leak();
    let man = Man::new(command.clone().name(name).bin_name(path.to_owned()).after_help(""))
        .title(name)
        .date("")
        .manual("Keyferry");
    let mut page = Vec::new();
    man.render_title(&mut page).unwrap();
    man.render_name_section(&mut page).unwrap();
    man.render_synopsis_section(&mut page).unwrap();
    man.render_description_section(&mut page).unwrap();
    if command.get_arguments().next().is_some() {
        man.render_options_section(&mut page).unwrap();
    }
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page).unwrap();
    }
    let mut end = Roff::new();
    if let Some(examples) = examples(path) {
        end.control("SH", ["EXAMPLES"]).control("nf", []);
        for line in examples.lines() {
            end.text([roman(line)]);
        }
        end.control("fi", []);
    }
    end.control("SH", ["EXIT STATUS"]).text([roman(EXIT_STATUS)]);
    end.to_writer(&mut page).unwrap();
    page
}

#[test]
fn the_manual_says_what_help_says() {
    let mut program = super::command();
    program.build();
    let name = program.get_name().to_owned();
    let mut pages = BTreeMap::new();
    each(&program, &name, &mut |command, path| {
        pages.insert(format!("{}.1", path.replace(' ', "-")), page(command, path));
    });
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/man");
    if std::env::var_os("KEYFERRY_MANUAL").is_some_and(|value| value == "write") {
        fs::create_dir_all(&folder).unwrap();
        for (file, page) in &pages {
            fs::write(folder.join(file), page).unwrap();
        }
    }
    for (file, page) in &pages {
        let found = fs::read(folder.join(file)).unwrap_or_default();
        assert!(
            &found == page,
            "docs/man/{file} is not what --help says: KEYFERRY_MANUAL=write cargo test --bins manual"
        );
    }
    let of_program =
        |file: &String| file.starts_with(&format!("{name}-")) || *file == format!("{name}.1");
    let there = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let surplus: Vec<String> =
        there.filter(of_program).filter(|file| !pages.contains_key(file)).collect();
    assert!(surplus.is_empty(), "pages of commands that are not there: {surplus:?}");
}

/// What completes the words of a command line, in each shell, from the same source as `--help`.
#[test]
fn the_shells_complete_what_the_program_takes() {
    let name = super::command().get_name().to_owned();
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/completions");
    let write = std::env::var_os("KEYFERRY_MANUAL").is_some_and(|value| value == "write");
    for (shell, file) in [
        (Shell::Bash, format!("{name}.bash")),
        (Shell::Zsh, format!("_{name}")),
        (Shell::Fish, format!("{name}.fish")),
    ] {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut super::command(), &name, &mut script);
        if write {
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(&file), &script).unwrap();
        }
        let found = fs::read(folder.join(&file)).unwrap_or_default();
        assert!(
            found == script,
            "docs/completions/{file} is not what the program takes: KEYFERRY_MANUAL=write cargo test --bins manual"
        );
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
    let blocks = page.split("\n```").enumerate();
    let mut told = Vec::new();
    for (n, part) in blocks {
        match n % 2 {
            1 => told.extend(part.lines().map(str::to_owned)),
            _ => told.extend(part.split('`').skip(1).step_by(2).map(str::to_owned)),
        }
    }
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
    pages.push(root.join("README.md"));
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
                let left_out = [
                    clap::error::ErrorKind::MissingRequiredArgument,
                    clap::error::ErrorKind::MissingSubcommand,
                    clap::error::ErrorKind::ValueValidation,
                    clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
                ];
                assert!(left_out.contains(&error.kind()), "{at}: {error}");
            }
            let mut command = &program;
            for word in &typed[1..] {
                command = command.find_subcommand(word).unwrap_or(command);
            }
            let named = format!("{} {remark}", typed.join(" "));
            let options = named.split(|c: char| c.is_whitespace() || ",;:[]()|".contains(c));
            for option in options.filter_map(|word| word.strip_prefix("--")) {
                let known = command.get_arguments().chain(program.get_arguments());
                let known: Vec<_> = known.filter_map(clap::Arg::get_long).collect();
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
