//! The auditor's program, which officers use for plans too: parse, wire, exit code.

#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use authoring::Reports;
use record::command::CommandLine;
use record::fingerprint::{self, hash_from_paper};
use record::verify::{self, Against};
use record::{Hash, Plan, Program, Result, Side, folder};
use terminal::guide::order;
use terminal::report::end_json;
use terminal::texts::Speech;
use terminal::{end, give, give_exactly, give_told, manual, tell};

/// Write and check plans, and verify what a ceremony left behind; needs no HSM and no share
#[derive(Parser)]
#[command(name = "keyferry-audit", version)]
struct Cli {
    #[command(flatten)]
    speech: Speech,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The plan of a ceremony
    #[command(subcommand)]
    Plan(PlanCommand),
    /// Explain one file in plain words, before it is signed or believed: a document, a request, a
    /// log, a plan, a report, a signature
    Show {
        /// The file
        file: PathBuf,
    },
    /// Say the SHA-256 of a file, for the plan's table of software, or a list that is read aloud:
    /// hex, and 32 words
    Digest {
        /// The file
        file: PathBuf,
    },
    /// Verify ceremony folders or archives: what holds, what is only a claim, what is missing
    Verify {
        /// A side's ceremony folder, an archive, or a folder with documents; give what you have
        #[arg(required = true)]
        folders: Vec<PathBuf>,
        /// The plan, where no folder holds it
        #[arg(long, value_name = "FILE")]
        plan: Option<PathBuf>,
        /// The plan's SHA-256, from paper: hex, or its 32 words in quotes
        #[arg(long, value_name = "HASH", value_parser = hash_from_paper)]
        expect_plan: Option<Hash>,
        /// The SHA-256 of a log's head, from paper: hex, or its 32 words in quotes
        #[arg(long, value_name = "HASH", value_parser = hash_from_paper)]
        expect_head: Option<Hash>,
        /// Print the verdict as JSON, for scripts
        #[arg(long)]
        json: bool,
        /// Print nothing: the exit code alone says whether something is false
        #[arg(long, conflicts_with = "json")]
        quiet: bool,
    },
}

#[derive(Subcommand)]
enum PlanCommand {
    /// Write a plan with an explanation of every field
    New {
        /// The new file
        file: PathBuf,
        /// The report of each side's token (`probe`): the plan becomes the strongest that both can
        #[arg(long, value_name = "REPORT")]
        probe: Vec<PathBuf>,
        /// The plan of the last ceremony: the new one renews its keys, with the same people and the
        /// same service
        #[arg(long, value_name = "PLAN", conflicts_with = "probe")]
        from: Option<PathBuf>,
    },
    /// Say what a plan means, or name each of its faults with its line
    Check {
        /// The plan
        file: PathBuf,
        /// The report of each side's token (`probe`): says what will be refused on the day
        #[arg(long, value_name = "REPORT")]
        probe: Vec<PathBuf>,
        /// Print who is what, and what is foretold, as JSON, for scripts
        #[arg(long)]
        json: bool,
    },
    /// Derive the rehearsal of a real plan, and print what differs
    Rehearse {
        /// The plan of the real ceremony
        plan: PathBuf,
        /// The new plan
        file: PathBuf,
        /// The folder of the rehearsal's public keys: ID.pub of officers and witnesses,
        /// ID.recipient of custodians
        #[arg(long, value_name = "FOLDER")]
        people: PathBuf,
        /// The report of each side's token in the rehearsal, where it can do less
        #[arg(long, value_name = "REPORT")]
        probe: Vec<PathBuf>,
    },
}

pub fn command() -> clap::Command {
    manual::with_examples(Cli::command())
}

fn main() -> ExitCode {
    let Cli { speech, command } = manual::typed(command());
    speech.begin(Program::Audit, Vec::new());
    // A plan's check has its own.
    let as_json = matches!(&command, Command::Verify { json: true, .. });
    let done = match command {
        Command::Plan(PlanCommand::New { file, from: Some(from), .. }) => plan_renew(&from, &file),
        Command::Plan(PlanCommand::New { file, probe, .. }) => plan_new(&file, &probe),
        Command::Plan(PlanCommand::Check { file, probe, json }) => {
            plan_check(&file, &probe, json, speech)
        }
        Command::Plan(PlanCommand::Rehearse { plan, file, people, probe }) => {
            plan_rehearse(&plan, &file, &people, &probe)
        }
        Command::Show { file } => give_told(|out| show::show(&file, speech.language, out)),
        Command::Digest { file } => digest(&file),
        Command::Verify { folders, plan, expect_plan, expect_head, json, quiet } => {
            let against = Against { plan_file: plan, plan: expect_plan, head: expect_head };
            match verify::verify(&folders, &against) {
                Err(error) if quiet => return ExitCode::from(error.exit_code()),
                verdict => verdict.and_then(|verdict| match (quiet, json) {
                    (true, _) => Ok(()),
                    (_, true) => give_exactly(&serde_json::json!(verdict).to_string()),
                    _ => give(&verdict.text()),
                }),
            }
        }
    };
    end(as_json, done)
}

fn digest(file: &Path) -> Result<()> {
    let (hash, _) = folder::hash_file(file, u64::MAX - 1)?;
    give(&hash.to_string())?;
    give(&fingerprint::rows(hash.as_bytes()))
}

fn plan_new(file: &Path, probes: &[PathBuf]) -> Result<()> {
    authoring::new_plan(file, Reports::read(probes)?.both()?.as_ref())?;
    give(&file.display().to_string())?;
    tell(&format!("next: fill in every REPLACE-, then\n  {}", check_line(file)));
    Ok(())
}

fn check_line(file: &Path) -> CommandLine {
    Program::Audit.line("plan check PLAN").with("PLAN", file)
}

fn plan_renew(from: &Path, file: &Path) -> Result<()> {
    give(&authoring::renew_plan(from, file)?.join("\n"))?;
    tell(&format!(
        "next: read what differs and the first lines of {}, mend it, then\n  {}",
        folder::shown(file),
        check_line(file)
    ));
    Ok(())
}

fn plan_check(file: &Path, probes: &[PathBuf], json: bool, speech: Speech) -> Result<()> {
    let reports = Reports::read(probes);
    let checked =
        reports.and_then(|reports| authoring::check_plan(file, &reports, speech.language));
    if json {
        let said = match &checked {
            Err(error) => end_json(error),
            Ok(checked) => {
                let mut said = checked.json();
                if let Err(error) = checked.require() {
                    said["end"] = end_json(&error);
                }
                said
            }
        };
        give_exactly(&said.to_string())?;
    }
    let checked = checked?;
    if !json {
        give(&checked.text)?;
    }
    checked.require()?;
    order::require_order(&Plan::read_new(file)?)?;
    let begin = |side| Program::of(side).line("init PLAN").with("PLAN", file);
    tell(&format!(
        "next: once enough officers of both sides have signed it, each side begins on its machine\n  {}\n  {}",
        begin(Side::Tenant),
        begin(Side::Hoster)
    ));
    Ok(())
}

fn plan_rehearse(plan: &Path, file: &Path, people: &Path, probes: &[PathBuf]) -> Result<()> {
    let probes = Reports::read(probes)?.both()?;
    give(&authoring::rehearse_plan(plan, file, people, probes.as_ref())?.join("\n"))?;
    tell(&format!(
        "next: read what differs, then\n  {}\nofficers of both sides sign it with their keys of the rehearsal",
        check_line(file)
    ));
    Ok(())
}

#[cfg(test)]
#[path = "../../tests/manual/mod.rs"]
mod manual_pages;
