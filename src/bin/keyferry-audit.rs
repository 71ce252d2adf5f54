//! The auditor's program, which officers use for plans too: parse, wire, exit code.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use keyferry::{Result, audit, encoding::Hash, terminal::fail};

/// Write and check plans, and verify what a ceremony left behind; needs no HSM and no share
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The plan of a ceremony
    #[command(subcommand)]
    Plan(PlanCommand),
    /// Verify ceremony folders or archives: what holds, what is only a claim, what is missing
    Verify {
        /// A side's ceremony folder, or an archive; give what you have
        #[arg(required = true)]
        folders: Vec<PathBuf>,
        /// The plan's SHA-256, from paper
        #[arg(long, value_name = "HASH")]
        expect_plan: Option<Hash>,
        /// The SHA-256 of a log's head, from paper
        #[arg(long, value_name = "HASH")]
        expect_head: Option<Hash>,
        /// Print the verdict as JSON, for scripts
        #[arg(long)]
        json: bool,
    },
}

#[derive(Subcommand)]
enum PlanCommand {
    /// Write a plan with an explanation of every field
    New {
        /// The new file
        file: PathBuf,
    },
    /// Say what a plan means, or name each of its faults with its line
    Check {
        /// The plan
        file: PathBuf,
    },
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Plan(PlanCommand::New { file }) => plan_new(&file),
        Command::Plan(PlanCommand::Check { file }) => plan_check(&file),
        Command::Verify {
            folders,
            expect_plan,
            expect_head,
            json,
        } => audit::verify(&folders, expect_plan, expect_head).map(|verdict| match json {
            true => println!("{}", serde_json::json!(verdict)),
            false => println!("{}", verdict.text()),
        }),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn plan_new(file: &Path) -> Result<()> {
    audit::new_plan(file)?;
    println!("{}", file.display());
    eprintln!(
        "next: fill in every REPLACE-, then keyferry-audit plan check {}",
        file.display()
    );
    Ok(())
}

fn plan_check(file: &Path) -> Result<()> {
    println!("{}", audit::check_plan(file)?);
    eprintln!(
        "next: once enough officers of both sides have signed it, both sides begin with `init`"
    );
    Ok(())
}
