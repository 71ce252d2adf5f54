//! Writes a manual page for each command of the five programs, and what completes their command
//! lines in bash, zsh and fish, from the same source as `--help`. It is run where programs and bundles are made, and is carried nowhere.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Command;
use clap_complete::{Shell, generate_to};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};
use terminal::manual::examples;

#[allow(dead_code)]
#[path = "keyferry-audit.rs"]
mod audit;
#[allow(dead_code)]
#[path = "keyferry-custodian.rs"]
mod custodian;
#[allow(dead_code)]
#[path = "keyferry-hoster.rs"]
mod hoster;
#[allow(dead_code)]
#[path = "keyferry-officer.rs"]
mod officer_program;
#[allow(dead_code)]
#[path = "keyferry-tenant.rs"]
mod tenant;

/// What every page ends with.
const EXIT_STATUS: &str = "0 done, 1 failed, 2 wrong command line, 3 refused by a rule, 4 ended by the people, 5 HSM, 6 waiting for signatures.";

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: manual FOLDER");
        return ExitCode::from(2);
    };
    let programs = [
        audit::command(),
        custodian::command(),
        hoster::command(),
        officer_program::command(),
        tenant::command(),
    ];
    for mut program in programs {
        program.build();
        let name = program.get_name().to_owned();
        let written = pages(&program, &name, &folder).and_then(|()| completions(program, &folder));
        if let Err(error) = written {
            eprintln!("{}: {error}", folder.display());
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// What completes the words of a program, in `completions/`, a file for each shell.
fn completions(mut program: Command, folder: &Path) -> io::Result<()> {
    let (name, folder) = (program.get_name().to_owned(), folder.join("completions"));
    fs::create_dir_all(&folder)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        generate_to(shell, &mut program, &name, &folder)?;
    }
    Ok(())
}

/// The page of `command`, which these words call, and of every command below it.
fn pages(command: &Command, path: &str, folder: &Path) -> io::Result<()> {
    fs::write(folder.join(format!("{}.1", path.replace(' ', "-"))), page(command, path)?)?;
    let below = command.get_subcommands().filter(|below| below.get_name() != "help");
    below
        .into_iter()
        .try_for_each(|below| pages(below, &format!("{path} {}", below.get_name()), folder))
}

fn page(command: &Command, path: &str) -> io::Result<Vec<u8>> {
    // Without clap's feature `string`, names live as long as the program.
    let name: &'static str = path.replace(' ', "-").leak();
    let man = Man::new(command.clone().name(name).bin_name(path.to_owned()).after_help(""))
        .title(name)
        .date("")
        .manual("Keyferry");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    if command.get_arguments().next().is_some() {
        man.render_options_section(&mut page)?;
    }
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
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
    end.to_writer(&mut page)?;
    Ok(page)
}
